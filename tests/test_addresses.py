"""Paths at addresses: what they are, listing, reading and writing there, in memory and on an S3 server on loopback."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from glyphline.addresses import is_address, is_local, modification_times, open_path
from glyphline.cli import main
from glyphline.errors import ImageError, UserError
from glyphline.files import write_atomically
from glyphline.imaging.documents import BYTE_LIMIT, Document
from glyphline.reading.batch import Task, open_task, plan_tasks, prepare_folder, select_unfinished

pytest.importorskip("upath", reason='needs pip install "glyphline[cluster]"')


def png(width: int) -> bytes:
    data = io.BytesIO()
    Image.new("L", (width, 20), 200).save(data, "PNG")
    return data.getvalue()


def run(*words: object) -> object:
    with pytest.raises(SystemExit) as exit_info:
        main([*map(str, words)])
    return exit_info.value.code


@pytest.fixture
def memory() -> Iterator[Path]:
    """An empty folder at an address, which lives in this process."""
    folder = open_path("memory://glyphline-tests")
    yield folder
    folder.fs.rm(folder.path, recursive=True) if folder.exists() else None  # type: ignore[attr-defined]


def test_text_that_is_no_address_is_a_path_of_this_machine() -> None:
    for text in ("scans", "/tmp/a b", "C:scans", "https://example.org/a.png"):
        assert not is_address(text)
    assert open_path("scans/a.png") == Path("scans/a.png") and is_local(open_path("scans"))
    assert is_address("memory://a") and not is_local(open_path("memory://a"))


def test_unknown_protocol_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError, match=r'no protocol "memry"; did you mean "memory"'):
        open_path("memry://scans")


def test_files_are_written_and_listed(memory: Path) -> None:
    assert modification_times(memory / "none") == {}
    for name in ("a.txt", "one/two/b.txt"):
        write_atomically(memory / name, name.encode())
    assert sorted(modification_times(memory)) == [f"{memory}/a.txt", f"{memory}/one/two/b.txt"]
    assert open_path(f"{memory}/one/two/b.txt").read_bytes() == b"one/two/b.txt"


def test_image_at_an_address_is_opened(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(memory / "a.png", png(30))
    with Document(memory / "a.png") as document:
        assert document.grey(0).shape == (20, 30) and document.name == f"{memory}/a.png"
    with pytest.raises(ImageError, match=r"memory://.*none\.png does not exist"):
        Document(memory / "none.png")
    monkeypatch.setattr("glyphline.imaging.documents.BYTE_LIMIT", 10)
    with pytest.raises(ImageError, match="is larger than"):
        Document(memory / "a.png")
    assert BYTE_LIMIT > 10


def test_tasks_at_addresses_are_planned_and_selected(memory: Path, tmp_path: Path) -> None:
    folder, out = memory / "in", memory / "out"
    for name in ("a.png", "one/b.png"):
        write_atomically(folder / name, png(30))
    images = [open_path(name) for name in sorted(modification_times(folder))]
    tasks = plan_tasks(images, [folder], out, ".txt", None)
    assert [str(task.out) for task in tasks] == [f"{out}/a.png.txt", f"{out}/one/b.png.txt"]
    assert select_unfinished(tasks, [folder, out]) == tasks
    write_atomically(tasks[1].out, b"")
    assert select_unfinished(tasks, [folder, out]) == tasks[:1] and tasks[1].done
    copy = open_task(*tasks[0].__reduce__()[1])  # as another process receives it
    assert copy == tasks[0]
    here = plan_tasks(images, [folder], tmp_path, ".txt", None)
    assert [task.out for task in here] == [tmp_path / "a.png.txt", tmp_path / "one/b.png.txt"]
    assert Task(Path("a"), Path("b")).__reduce__()[1] == ("a", "b", None)
    prepare_folder(out, {"format": "text"})
    with pytest.raises(UserError, match="was made with other settings"):
        prepare_folder(out, {"format": "json"})


def test_address_is_read_into_an_address(memory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_atomically(memory / "in/a.png", png(60))
    words = ("read", f"{memory}/in", "--line", "--model", "reader", "--format", "json", "--out", f"{memory}/out")
    assert run(*words) == 0 and "1 images, 1 to read" in capsys.readouterr().err
    assert f'"file": "{memory}/in/a.png"' in (memory / "out/a.png.json").read_text()
    assert run(*words) == 0 and "1 images, 0 to read" in capsys.readouterr().err
    assert run("read", f"{memory}/in") == 2 and "give --out FOLDER" in capsys.readouterr().err
    assert run("read", f"{memory}/empty", "--out", "x") == 2 and "contains no images" in capsys.readouterr().err


@pytest.fixture
def s3_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket on an S3 server on loopback (moto)."""
    program = shutil.which("moto_server")
    if program is None:
        pytest.skip('needs moto_server on the PATH: pip install "moto[server]" in an environment of its own')
    fs = pytest.importorskip("pyarrow.fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
        fs.S3FileSystem(
            endpoint_override=f"http://127.0.0.1:{port}", allow_bucket_creation=True
        ).create_dir("scans")  # fmt: skip
        yield "s3://scans"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
def test_s3_is_read_as_a_folder_is(s3_bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(3):
        path = tmp_path / f"in/{k}/a b.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(png(40 + 10 * k))
        write_atomically(open_path(f"{s3_bucket}/in/{k}/a b.png"), path.read_bytes())
    options = ("--line", "--model", "reader", "--format", "tsv", "--jobs", 2)
    assert run("read", tmp_path / "in", "--out", tmp_path / "out", *options) == 0
    capsys.readouterr()
    for todo in (3, 0):
        assert run("read", f"{s3_bucket}/in", "--out", f"{s3_bucket}/out", *options) == 0
        assert f"3 images, {todo} to read" in capsys.readouterr().err
    names = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.tsv"))
    assert len(names) == 3
    for name in names:
        content = open_path(f"{s3_bucket}/out/{name}").read_bytes()
        assert content == (tmp_path / "out" / name).read_bytes().replace(str(tmp_path).encode(), s3_bucket.encode())
    time.sleep(1.1)  # the times of S3 are whole seconds
    write_atomically(open_path(f"{s3_bucket}/in/0/a b.png"), png(90))  # newer than its result
    assert run("read", f"{s3_bucket}/in", "--out", f"{s3_bucket}/out", *options) == 0
    assert "3 images, 1 to read" in capsys.readouterr().err
    assert run("read", "s3://no-such-bucket/in", "--out", f"{s3_bucket}/out", *options) == 2
