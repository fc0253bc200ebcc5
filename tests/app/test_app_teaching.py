"""Teaching the reader with corrected lines: what is sent, said meanwhile and kept, and which reader reads."""

from __future__ import annotations

import io
import json
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import stand_in_adapt
from glyphline.app.limits import LIMITS, Limits
from glyphline.cli.application import main
from glyphline.errors import DataError, GlyphlineError, UserError

pytest.importorskip("fastapi")
pytest.importorskip("httpx2")

from fastapi.testclient import TestClient

from glyphline.app import server
from glyphline.app.reader_process import ReadJob, ReadResult, open_default_reader
from glyphline.app.server import Service, create_app
from glyphline.app.teaching import MIN_LINES, Teacher, unpack_lines

ROOT = Path(__file__).parents[2]
LINE = (ROOT / "examples" / "lines" / "example-1.png").read_bytes()
TEXT = "The horse refused the third fence, then"


def png(width: int = 200, height: int = 40, grey: int = 255) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (width, height), grey).save(stream, "PNG")
    return stream.getvalue()


def pack(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)  # with a fixed date, as the page makes it
    return stream.getvalue()


def lines(count: int = MIN_LINES, folder: str = "glyphline-lines/", **more: bytes) -> dict[str, bytes]:
    """The files of an archive as the page makes it."""
    labels = "".join(f"{number:06}.png\tline {number}\n" for number in range(count))
    pictures = {f"{folder}{number:06}.png": png(grey=255 - number % 200) for number in range(count)}
    return {**pictures, f"{folder}labels.tsv": labels.encode(), **more}


# ---------------------------------------------------------------------- the archive


def test_lines_are_unpacked(tmp_path: Path) -> None:
    files = lines(9)
    files["glyphline-lines/labels.tsv"] = "\ufeff".encode() + files["glyphline-lines/labels.tsv"] + b"\r\n"
    assert unpack_lines(pack(files, zipfile.ZIP_DEFLATED), tmp_path / "a") == []
    rows = (tmp_path / "a" / "labels.tsv").read_text().splitlines()
    assert rows == [f"{n:06}.png\tline {n}" for n in range(9)] and len(list((tmp_path / "a").iterdir())) == 10
    assert unpack_lines(pack(lines(folder="")), tmp_path / "b") == []


def test_lines_that_do_not_fit_are_named_and_left_out(tmp_path: Path) -> None:
    files = lines(9)
    labels = files.pop("glyphline-lines/labels.tsv").decode()
    files["glyphline-lines/000003.png"] = LINE[:300]
    labels += "none.png\ttext\n../../secret.png\ttext\n000000.png\t \n" + f"000001.png\t{'a' * 41}\n"
    files["glyphline-lines/labels.tsv"] = labels.encode()
    left_out = unpack_lines(pack(files), tmp_path)
    assert [note.split(" is left out: ")[0] for note in left_out] == [
        "line 4 (000003.png)", "line 10 (none.png)", "line 11 (../../secret.png)", "line 12 (000000.png)",
        "line 13 (000001.png)",
    ]  # fmt: skip
    assert "has no picture" in left_out[1] and "41 characters does not fit into 200 x 40 px" in left_out[4]
    assert len((tmp_path / "labels.tsv").read_text().splitlines()) == 8
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [f"{n:06}.png" for n in range(9) if n != 3]


def bomb() -> bytes:
    """An archive of 70 kB with a picture of 70 MB."""
    return pack({**lines(), "bomb.png": bytes(70_000_000)}, zipfile.ZIP_DEFLATED)


def damaged() -> bytes:
    data = pack(lines())
    return data.replace(b"line 1\n", b"lime 1\n", 1)  # its checksum is wrong now


def locked() -> bytes:
    data = bytearray(pack(lines()))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1  # says that a password is needed
    return bytes(data)


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (lambda: b"", "no zip file of lines"),
        (lambda: LINE, "no zip file of lines"),
        (lambda: pack(lines())[:-30], "no zip file of lines"),
        (damaged, "damaged"),
        (locked, "damaged"),
        (bomb, "at most 5000 lines, 64 MB unpacked"),
        (lambda: pack({f"{n}.png": b"" for n in range(5002)}), "at most 5000 lines"),
        (lambda: pack({**lines(), "../../a.png": LINE}), "more than one folder with pictures"),
        (lambda: pack({**lines(), "/etc/a.png": LINE}), "more than one folder"),
        (lambda: pack({**lines(), "a/b/c.png": LINE}), "more than one folder"),
        (lambda: pack({**lines(), "a\\b.png": LINE}), "more than one folder"),
        (lambda: pack({**lines(), "..": LINE}), "more than one folder"),
        (lambda: pack({**lines(), "evil.py": b"import os"}), "more than one folder"),
        (lambda: pack({**lines(), "other/000001.png": LINE}), "more than one folder"),
        (lambda: pack({"labels.tsv": b"\xff\xfe"}), "not UTF-8"),
        (lambda: pack({"a.png": LINE}), "0 lines are too few"),
        (lambda: pack(lines(MIN_LINES - 1)), "7 lines are too few"),
        (lambda: pack({"labels.tsv": b"a.png\ttext\n"}), r"0 lines .* \(line 1 \(a.png\) is left out: has no picture"),
    ],
)
def test_hostile_archives_are_refused_and_nothing_is_written(
    archive: Callable[[], bytes], words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        unpack_lines(archive(), tmp_path / "lines")
    assert len(str(caught.value).splitlines()) == 1 and not list(tmp_path.iterdir())


@pytest.mark.slow  # it imports torch
def test_the_service_asks_for_as_many_lines_as_adapting_needs() -> None:
    pytest.importorskip("torch")
    from glyphline.training.adapt import FEW_LINES

    assert MIN_LINES == FEW_LINES


# ---------------------------------------------------------------------- the endpoints


class StandInReader:
    """Takes the place of ReaderProcess. A reading ends when it is released."""

    made: list[StandInReader]

    def __init__(self, open_reader: Callable[[], Any], seconds: float) -> None:
        self.name = "original" if open_reader is open_default_reader else "mine"
        self.is_started = self.is_closed = False
        self.started, self.release = threading.Event(), threading.Event()
        self.made.append(self)

    def start(self) -> None:
        self.is_started = True

    def close(self) -> None:
        self.is_closed = True

    def read(self, job: ReadJob) -> ReadResult:
        assert self.is_started and not self.is_closed
        self.started.set()
        assert self.release.wait(20) and not self.is_closed
        return ReadResult(json.dumps({"reader": self.name}).encode(), [])


@pytest.fixture
def open_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TestClient]]:
    """Starts a service whose teacher learns with a stand-in; without one nobody may teach."""
    StandInReader.made = []
    monkeypatch.setattr(server, "ReaderProcess", StandInReader)
    clients = []

    def start(adapt: Any = None) -> TestClient:
        teacher = Teacher(tmp_path / "hand", adapt) if adapt else None
        opener = teacher.opener(teacher.in_use) if teacher else open_default_reader
        service = Service(reader=StandInReader(opener, 1), teacher=teacher, log=lambda _: None)  # type: ignore[arg-type]
        client = TestClient(create_app(service), base_url="http://localhost")
        client.__enter__()
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


def send(client: TestClient, archive: bytes | None = None, **fields: str) -> Any:
    data = pack(lines()) if archive is None else archive
    return client.post("/api/teach", files={"file": ("lines.zip", data)}, data=fields)


def steps(answer: Any) -> list[dict[str, Any]]:
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def reads(client: TestClient) -> str:
    for reader in StandInReader.made:
        reader.release.set()
    name: str = client.post("/api/read", files={"file": ("a.png", LINE)}).json()["reader"]
    return name


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_step(client: TestClient, text: str) -> None:
    wait_for(lambda: text in ((client.get("/api/teach").json()["step"] or {}).get("step") or ""))


def send_and_lose(client: TestClient) -> None:
    with suppress(BaseException):  # the service ends before its answer
        send(client)


def test_a_service_without_the_option_refuses(open_client: Any) -> None:
    client = open_client()
    use = client.post("/api/teach/use", json={"reader": "original"})
    for answer in (client.get("/api/teach"), client.get("/api/teach?follow=true"), send(client),
                   client.delete("/api/teach"), use):  # fmt: skip
        assert answer.status_code == 404 and "glyphline serve --teach FOLDER" in answer.json()["error"]


def test_a_reader_that_became_better_is_used_and_can_be_given_back(open_client: Any, tmp_path: Path) -> None:
    client = open_client(stand_in_adapt.learn)
    assert reads(client) == "original"
    before = client.get("/api/teach").json()
    assert before["state"] == "idle" and before["readers"] == ["original"] and before["taught"] is None
    assert before["folder"] == str(tmp_path / "hand") and before["min_lines"] == MIN_LINES
    refused = client.post("/api/teach/use", json={"reader": "mine"})
    assert refused.status_code == 422 and "no reader was taught yet" in refused.json()["error"]

    files = lines(9)
    files["glyphline-lines/000004.png"] = b"no picture"
    first, *_, step, last = steps(send(client, pack(files), minutes="3"))
    assert first["step"] == "opening the reader" and 280 < first["seconds_left"] <= 300
    assert len(first["left_out"]) == 1 and "line 5 (000004.png)" in first["left_out"][0]
    assert step["step"] == f"8 labelled lines for 3 minutes, niceness {min(os.nice(0) + 10, 19)}"
    expected = {**stand_in_adapt.result(kept=True), "reason": f"kept in {tmp_path / 'hand' / 'mine.onnx'}"}
    assert last["result"] == expected and last["left_out"] == first["left_out"]
    assert reads(client) == "mine"
    assert [(r.name, r.is_closed) for r in StandInReader.made] == [("original", True), ("mine", False)]
    after = client.get("/api/teach").json()
    assert after["in_use"] == "mine" and after["readers"] == ["original", "mine"] and after["step"] == last
    assert after["taught"]["result"]["own"]["right_after"] == 3
    assert [model["name"] for model in client.get("/api/models").json() if model["in_use"]] == ["mine"]
    kept = sorted(path.name for path in (tmp_path / "hand").iterdir())
    assert kept == ["mine.onnx", "reader.json", "teaching.log"]  # and no lines
    assert "this belongs into the log" in (tmp_path / "hand" / "teaching.log").read_text()
    assert (tmp_path / "hand").stat().st_mode & 0o77 == 0
    followed = client.get("/api/teach?follow=true")  # too late, or just in time: the newest step
    assert steps(followed) == [last]

    assert client.post("/api/teach/use", json={"reader": "original"}).json()["in_use"] == "original"
    assert reads(client) == "original"
    assert Teacher(tmp_path / "hand", stand_in_adapt.learn).in_use == "original"  # after a restart, too
    client.post("/api/teach/use", json={"reader": "mine"})
    assert reads(client) == "mine" and Teacher(tmp_path / "hand", stand_in_adapt.learn).in_use == "mine"
    count = len(StandInReader.made)
    client.post("/api/teach/use", json={"reader": "mine"})  # nothing to do
    assert len(StandInReader.made) == count
    assert client.post("/api/teach/use", json={"reader": "other"}).status_code == 422
    (tmp_path / "hand" / "mine.onnx").unlink()
    assert Teacher(tmp_path / "hand", stand_in_adapt.learn).in_use == "original"


def test_the_reader_that_was_taught_before_stays(open_client: Any, tmp_path: Path) -> None:
    client = open_client(stand_in_adapt.learn)
    send(client, pack(lines(8)), minutes="1")
    first, learned = (tmp_path / "hand" / "mine.onnx").read_bytes(), client.get("/api/teach").json()["taught"]
    (tmp_path / "hand" / "mine.onnx").write_bytes(first + b" of the first device")
    assert client.get("/api/teach").json()["taught_before"] is None
    send(client, pack(lines(9)), minutes="1")
    state = client.get("/api/teach").json()
    assert state["readers"] == ["original", "mine", "previous"] and state["in_use"] == "mine"
    assert state["taught_before"] == learned
    assert (tmp_path / "hand" / "previous.onnx").read_bytes().endswith(b"of the first device")
    assert client.post("/api/teach/use", json={"reader": "previous"}).json()["in_use"] == "previous"
    assert [model["name"] for model in client.get("/api/models").json() if model["in_use"]] == ["previous"]


def test_a_reader_that_is_no_better_is_not_used(open_client: Any, tmp_path: Path) -> None:
    client = open_client(stand_in_adapt.learn_nothing)
    last = steps(send(client))[-1]
    assert not last["result"]["kept"] and "so it was not kept" in last["result"]["reason"]
    state = client.get("/api/teach").json()
    assert state["in_use"] == "original" and state["readers"] == ["original"] and reads(client) == "original"
    assert not list((tmp_path / "hand").glob("learning-*"))


@pytest.mark.parametrize(
    ("archive", "fields", "words"),
    [
        (b"no zip", {}, "no zip file of lines"),
        (None, {"minutes": "0.5"}, "from 1 to 60"),
        (None, {"minutes": "61"}, "from 1 to 60"),
        (None, {"minutes": "nan"}, "from 1 to 60"),
        (None, {"minutes": "ten"}, "not 'ten'"),
    ],
)
def test_wrong_requests_are_refused(
    open_client: Any, tmp_path: Path, archive: bytes | None, fields: dict[str, str], words: str
) -> None:
    client = open_client(stand_in_adapt.learn)
    answer = send(client, archive, **fields)
    assert answer.status_code == 422 and words in answer.json()["error"]
    assert client.get("/api/teach").json()["state"] == "idle" and not list((tmp_path / "hand").glob("learning-*"))


def test_line_that_was_corrected_twice_counts_as_it_was_corrected_last(tmp_path: Path) -> None:
    files = lines(9)
    files["glyphline-lines/000003.png"] = files["glyphline-lines/000007.png"]
    (left_out,) = unpack_lines(pack(files), tmp_path)
    assert left_out == "000003.png is left out: line 8 corrects the same picture"
    assert not (tmp_path / "000003.png").exists() and len((tmp_path / "labels.tsv").read_text().splitlines()) == 8


def test_lines_of_a_teaching_that_was_stopped_can_be_deleted_after_a_restart(open_client: Any, tmp_path: Path) -> None:
    send(open_client(stand_in_adapt.run_out_of_memory))
    assert list((tmp_path / "hand").glob("learning-*"))
    client = open_client(stand_in_adapt.learn)  # another service with the folder
    assert client.get("/api/teach").json()["unfinished"]
    assert not client.delete("/api/teach").json()["unfinished"] and not list((tmp_path / "hand").glob("learning-*"))


def test_steps_are_not_held_back_by_a_proxy(open_client: Any) -> None:
    assert send(open_client(stand_in_adapt.learn)).headers["x-accel-buffering"] == "no"


def test_lines_that_the_training_leaves_out_are_named_to_the_end(open_client: Any) -> None:
    left_out = "labels.tsv line 2 is left out: the picture shows another text"
    first, *_, last = steps(send(open_client(stand_in_adapt.leave_one_out)))
    assert first["left_out"] == [] and last["left_out"] == [left_out] and last["result"]["kept"]


def test_lines_that_were_left_out_are_named_where_too_few_remain(open_client: Any, tmp_path: Path) -> None:
    last = steps(send(open_client(stand_in_adapt.leave_too_many_out)))[-1]
    assert "correct some more (labels.tsv line 2 is left out" in last["error"]
    assert not list((tmp_path / "hand").glob("learning-*"))


def test_a_training_that_was_stopped_goes_on_with_the_same_lines(open_client: Any, tmp_path: Path) -> None:
    client = open_client(stand_in_adapt.run_out_of_memory)
    assert "was killed" in steps(send(client))[-1]["error"]
    (folder,) = (tmp_path / "hand").glob("learning-*")
    assert folder.stat().st_mode & 0o77 == 0
    assert [step.get("step") for step in steps(send(client))][-2] == "going on"
    said: list[dict[str, Any]] = []
    other = Teacher(tmp_path / "hand", stand_in_adapt.run_out_of_memory, variant="folder:hand")
    with pytest.raises(GlyphlineError, match="was killed"):
        other.learn(pack(lines()), 1, said.append)
    assert [step["step"] for step in said][-1] == "epoch 1"  # that of another reader begins anew
    client.delete("/api/teach")
    assert not list((tmp_path / "hand").glob("learning-*"))


@pytest.mark.parametrize(
    ("adapt", "words"),
    [
        (stand_in_adapt.fail, 'pip install "glyphline[train]"'),
        (stand_in_adapt.break_down, "the teaching failed (KeyError)"),
        (stand_in_adapt.die, "the teaching ended on the way"),
    ],
    ids=["package", "fault", "death"],
)
def test_failures_are_told_and_the_service_goes_on(open_client: Any, adapt: Any, words: str) -> None:
    client = open_client(adapt)
    assert words in steps(send(client))[-1]["error"]
    assert client.get("/api/teach").json()["state"] == "idle" and reads(client) == "original"


def test_one_teaching_at_a_time_that_can_be_cancelled(open_client: Any, tmp_path: Path) -> None:
    client = open_client(stand_in_adapt.learn_slowly)
    thread = threading.Thread(target=lambda: send(client))
    thread.start()  # its answer ends with the teaching
    wait_for_step(client, "epoch 1")
    second = send(client)
    assert second.status_code == 409 and "being taught" in second.json()["error"]
    assert reads(client) == "original"  # meanwhile
    state = client.delete("/api/teach").json()
    assert state["state"] == "idle" and "cancelled" in state["step"]["error"]
    thread.join(20)
    assert not thread.is_alive() and not list((tmp_path / "hand").glob("learning-*"))
    assert client.delete("/api/teach").json()["state"] == "idle"


def test_a_teaching_goes_on_after_the_service_ended(open_client: Any, tmp_path: Path) -> None:
    for expected in ("epoch 1", "going on"):
        client = open_client(stand_in_adapt.learn_slowly)
        thread = threading.Thread(target=send_and_lose, args=(client,))
        thread.start()
        wait_for_step(client, expected)
        client.__exit__(None, None, None)
        thread.join(20)
        assert len(list((tmp_path / "hand").glob("learning-*"))) == 1


def test_no_request_is_lost_while_the_reader_changes(open_client: Any, tmp_path: Path) -> None:
    client = open_client(stand_in_adapt.learn_until_told)
    answers: list[Any] = []
    teaching = threading.Thread(target=send, args=(client,))
    teaching.start()
    wait_for_step(client, "epoch 1")
    original = StandInReader.made[0]
    reading = threading.Thread(
        target=lambda: answers.append(client.post("/api/read", files={"file": ("a.png", LINE)}).json())
    )
    reading.start()
    assert original.started.wait(20)
    (tmp_path / "hand" / "go-on").touch()
    wait_for(lambda: len(StandInReader.made) == 2 and StandInReader.made[1].is_started)
    assert not original.is_closed and answers == []  # the new one waits for the picture that is read
    original.release.set()
    teaching.join(20)
    reading.join(20)
    assert answers == [{"reader": "original"}] and original.is_closed
    assert reads(client) == "mine"


def test_teaching_starts_from_the_reader_of_the_service(tmp_path: Path) -> None:
    model = "reader"  # a bundled one with letters of its own
    teacher = Teacher(tmp_path / "hand", stand_in_adapt.learn, original=model)
    opened = teacher.opener("original")()
    assert opened.line_reader.recognizer.info.name == model  # type: ignore[attr-defined]
    service = Service(model=model, teacher=teacher, log=lambda _: None)
    with TestClient(create_app(service), base_url="http://localhost") as client:
        used = [row["name"] for row in client.get("/api/models").json() if row["in_use"]]
    assert used == [model]


def test_openapi_describes_teaching(open_client: Any) -> None:
    paths = open_client(stand_in_adapt.learn).get("/openapi.json").json()["paths"]
    assert set(paths["/api/teach"]) == {"get", "post", "delete"} and "post" in paths["/api/teach/use"]
    properties = paths["/api/teach"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert set(properties) == {"file", "minutes"} and "labels.tsv" in properties["file"]["description"]


def test_serve_says_which_extra_teaching_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("glyphline.cli.options.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--teach", str(tmp_path / "hand")])
    assert 'needs the package torch: pip install "glyphline[train]"' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="give another folder"):
        Teacher(tmp_path / "file" / "hand", stand_in_adapt.learn)


def test_limits_hold_what_the_page_keeps() -> None:
    store = (ROOT / "src" / "glyphline" / "app" / "page" / "store.js").read_text()
    assert f'Records("corrections", {LIMITS.lines})' in store and Limits().unpacked_bytes > LIMITS.body_bytes
