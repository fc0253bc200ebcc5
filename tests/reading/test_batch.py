"""Tests of batch reading: parallel, resumed after an interruption, with all errors reported."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from glyphline.cli import main
from glyphline.cli import read as read_command
from glyphline.errors import ImageError, UserError
from glyphline.imaging.documents import ColourImage, ImageSource
from glyphline.page import Line, Page
from glyphline.reading import batch
from glyphline.reading.batch import SETTINGS_FILE, Outcome, Task, plan_tasks, prepare_folder, read_all, read_and_render
from glyphline.reading.formats import open_format
from glyphline.reading.pages import PageReader, open_reader
from resident_memory import resident_megabytes
from width_reader import WidthReader


@dataclass
class FailingPageReader(PageReader):
    """A page reader that crashes, raises or is slow for images with certain names."""

    def read_pages(self, source: ImageSource) -> Iterator[Page]:
        name = str(source)
        if "killer" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        if "odd" in name:
            raise ValueError("a library failed\non this image")
        if "wide" in name:
            raise ImageError("a line is too wide")  # as the line reader does, without the file name
        time.sleep(0.04 if "slow" in name else 0)
        yield from super().read_pages(source)


def open_failing_reader() -> PageReader:
    return FailingPageReader(WidthReader())


def open_page_reader_for_test(options: Any) -> PageReader:
    """Replaces `glyphline.cli.read.open_page_reader`."""
    if options.model == "nothing":
        raise UserError('no model "nothing"')
    return open_failing_reader()


def write_image(path: Path, width: int = 40, pages: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [Image.new("L", (width + k, 20), 200) for k in range(pages)]
    images[0].save(path, **({"save_all": True, "append_images": images[1:]} if pages > 1 else {}))
    return path


def read_results(folder: Path) -> dict[str, bytes]:
    """The bytes of each result in a folder, by relative path; a temporary file, which a kill leaves, is none."""
    paths = (p for p in folder.rglob("*") if p.is_file() and p.name != SETTINGS_FILE and p.suffix != ".tmp")
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(paths)}


def modification_times(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in read_results(folder)}


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of images of different widths in subfolders; some have the same file name."""
    folder = tmp_path / "scans"
    for k, name in enumerate(["a.png", "b.jpg", "one/a.png", "one/two/a.png", "ü ö.png"]):
        write_image(folder / name, 40 + 10 * k)
    write_image(folder / "many.tif", 200, pages=3)
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `glyphline read` in this process with the failing reader; returns the exit code and stderr."""
    monkeypatch.setattr(read_command, "open_page_reader", open_page_reader_for_test)

    def run(*words: object) -> tuple[Any, str]:
        with pytest.raises(SystemExit) as exit_info:
            main(["read", *map(str, words)])
        captured = capsys.readouterr()
        assert not captured.out
        return exit_info.value.code, captured.err

    return run


# ------------------------------------------------------------------------------------------ parallel runs, resumption


@pytest.mark.slow
def test_folder_is_read_in_parallel_and_resumed(scans: Path, tmp_path: Path, read: Any) -> None:
    out_1, out_2 = tmp_path / "one", tmp_path / "two"
    code, output = read(scans, "--out", out_1, "--jobs", 1)
    assert (code, output.splitlines()) == (
        0,
        [f"{out_1}: 6 images, 6 to read", f"{out_1}: 6 read, 8 lines, 0 rejected; 0 could not be read"],
    )
    assert read(scans, "--out", out_2, "--jobs", 2)[0] == 0
    assert read_results(out_1) == read_results(out_2)
    assert read_results(out_1)["one/two/a.png.txt"] == b"70 px\n"
    assert read_results(out_1)["many.tif.txt"] == b"200 px\n201 px\n202 px\n"
    assert list(read_results(out_1)) == sorted(f"{p.relative_to(scans)}.txt" for p in scans.rglob("*.*"))

    times_before = modification_times(out_2)
    (out_2 / "b.jpg.txt").unlink()  # as after a kill during writing
    (out_2 / "b.jpg.txt.0.tmp").write_text("50")
    write_image(scans / "one/a.png", 61)
    os.utime(scans / "one/a.png", ns=(0, times_before["one/a.png.txt"] + 10**7))  # newer than its result
    assert "6 images, 2 to read" in read(scans, "--out", out_2, "--jobs", 2)[1]
    assert read_results(out_2) == {**read_results(out_1), "one/a.png.txt": b"61 px\n"}
    assert [path.name for path in out_2.rglob("*.tmp")] == ["b.jpg.txt.0.tmp"]  # that of the kill, and no other
    changed = {name for name, time_ns in modification_times(out_2).items() if time_ns != times_before[name]}
    assert changed == {"b.jpg.txt", "one/a.png.txt"}

    times_after = modification_times(out_2)
    assert "6 images, 0 to read" in read(scans, "--out", out_2)[1]
    assert modification_times(out_2) == times_after


@pytest.mark.slow
def test_bad_images_are_reported_and_the_others_read(scans: Path, tmp_path: Path, read: Any) -> None:
    write_image(scans / "killer.png")
    write_image(scans / "odd.png")
    write_image(scans / "wide.png")
    (scans / "empty.png").write_bytes(b"")
    (scans / "note.png").write_text("no image")
    out = tmp_path / "out"
    for todo, read_count, jobs in ((11, 6, 2), (5, 0, 1)):  # the second run has only the bad images left
        code, output = read(scans, "--out", out, "--jobs", jobs)
        assert code == 1
        first, last, *errors = output.splitlines()
        assert f"11 images, {todo} to read" in first and f"{read_count} read" in last and "5 could not be read" in last
        assert all(message.startswith("glyphline: ") for message in errors)
        for name, reason in (("killer", "ended the process"), ("odd", "a library failed"), ("wide", "too wide"),
                             ("empty", "is empty"), ("note", "no image")):  # fmt: skip
            matching = [message for message in errors if f"{scans / name}.png" in message and reason in message]
            assert len(matching) == 1, output
        assert len(read_results(out)) == 6


def test_only_bad_images_exit_with_2(tmp_path: Path, read: Any) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    for format_name in ("text", "json"):  # the settings file does not count as a result
        code, output = read(tmp_path / "empty.png", "--out", tmp_path / format_name, "--format", format_name)
        assert (code, len(output.splitlines())) == (2, 3) and not read_results(tmp_path / format_name)
    write_image(tmp_path / "good.png")
    code, output = read(tmp_path / "good.png", tmp_path / "none*.png", "--out", tmp_path / "out")
    assert code == 1 and "none*.png" in output and read_results(tmp_path / "out") == {"good.png.txt": b"40 px\n"}


# a shell starts background processes with SIGINT ignored, so the handler is set here
SCRIPT = "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
SCRIPT += "sys.path.insert(0, sys.argv.pop(1))\nfrom reading import test_batch as t\n"
SCRIPT += "t.read_command.open_page_reader = t.open_page_reader_for_test\nt.main()"


def start_read(scans: Path, out: Path, count: int, jobs: int) -> subprocess.Popen[str]:
    """Start `glyphline read` in its own process group; returns after `count` more results are written."""
    words = [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[1]), "read", scans, "--out", out, "--jobs", jobs]
    before = len(list(out.glob("*.txt")))
    process = subprocess.Popen(list(map(str, words)), stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.txt"))) < before + count:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    return process


def running_processes(group: int) -> list[int]:
    """The process ids of a group that have not ended."""
    processes = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(process_group) == group and state != "Z":
            processes.append(int(stat.parent.name))
    return processes


def has_ended(group: int) -> bool:
    deadline = time.monotonic() + 5
    while running_processes(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not running_processes(group)


@pytest.mark.flaky(reruns=1)  # a limit in seconds: a busy machine may hold the process up
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to list processes")
def test_killed_or_interrupted_run_is_resumed(tmp_path: Path, read: Any) -> None:
    folder, out = tmp_path / "scans", tmp_path / "out"
    for k in range(90):
        write_image(folder / f"slow-{k}.png", 40 + k)

    process = start_read(folder, out, 6, 1)
    os.killpg(process.pid, signal.SIGKILL)  # all processes
    process.communicate()
    times_before = modification_times(out)

    process = start_read(folder, out, 6, 1)
    process.kill()  # the parent alone; the workers end with it
    process.communicate()
    assert has_ended(process.pid)
    times_before = {**modification_times(out), **times_before}  # finished results are not written again
    assert modification_times(out).items() <= times_before.items()

    process = start_read(folder, out, 6, 2)
    interrupted_at = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, output = process.communicate(timeout=30)
    assert process.returncode == 130 and time.monotonic() - interrupted_at < 3
    assert output.splitlines()[1:] == ["glyphline: interrupted"] and has_ended(process.pid)
    assert times_before.items() <= modification_times(out).items()
    assert len(times_before) + 6 <= len(read_results(out)) < 90

    times_before = modification_times(out)
    assert f"{90 - len(times_before)} to read" in read(folder, "--out", out, "--jobs", 2)[1]
    assert times_before.items() <= modification_times(out).items()
    assert read_results(out) == {f"slow-{k}.png.txt": f"{40 + k} px\n".encode() for k in range(90)}


# -------------------------------------------------------------------------------------------- result names, done tasks


def test_two_images_with_one_result_name_are_refused(tmp_path: Path, read: Any) -> None:
    for name in ("a/x.png", "b/x.png"):
        write_image(tmp_path / name)
    code, output = read(tmp_path / "a/x.png", tmp_path / "b/x.png", "--out", tmp_path / "out")
    assert code == 2 and "x.png.txt" in output and "b/x.png" in output and not (tmp_path / "out").exists()
    code, output = read(tmp_path / "a", tmp_path / "b", "--overlay", tmp_path / "out")
    assert code == 2 and "x.png.png" in output and not (tmp_path / "out").exists()


def result_names(tasks: list[Task], out: Path) -> dict[str, str]:
    return {str(task.image): str(task.out.relative_to(out)) for task in tasks}


def test_repeated_image_is_read_once(scans: Path, tmp_path: Path) -> None:
    image_a, image_b, out = scans / "a.png", scans / "one/a.png", tmp_path / "out"
    assert result_names(plan_tasks([image_a, image_a], [], out, ".txt", None), out) == {str(image_a): "a.png.txt"}
    assert result_names(plan_tasks([image_a, image_b, image_a], [scans], out, ".txt", None), out) == {
        str(image_a): "a.png.txt",
        str(image_b): "one/a.png.txt",
    }
    # of nested input folders the innermost one counts
    with pytest.raises(UserError, match="would both be written to"):
        plan_tasks([image_a, image_b, image_b], [scans, scans / "one"], out, ".txt", None)
    same_image = scans / "one" / ".." / "a.png"
    assert len(plan_tasks([image_a, same_image], [], out, ".txt", None)) == 1


@pytest.mark.slow
def test_results_are_not_read_as_images(tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "scans"
    write_image(folder / "a.png")
    write_image(folder / "b.tif", pages=2)
    # results beside the images, then in subfolders
    for out, overlays in ((folder, folder), (folder / "out", folder / "drawn")):
        words = (folder, "--out", out, "--overlay", overlays, "--format", "pdf", "--jobs", 1)
        assert "2 images, 2 to read" in read(*words)[1]
        times_before = modification_times(folder)
        assert len(times_before) == 2 + 2 + 3 or out != folder
        assert "2 images, 0 to read" in read(*words)[1] and modification_times(folder) == times_before
        for name in read_results(folder).keys() - {"a.png", "b.tif"}:
            (folder / name).unlink()
        (folder / SETTINGS_FILE).unlink(missing_ok=True)
    monkeypatch.chdir(folder)
    assert "2 images, 2 to read" in read("a.png", "b.tif", "--out", ".", "--jobs", 1)[1]
    assert read_results(folder)["a.png.txt"] == b"40 px\n"


def test_task_is_done_when_results_are_no_older_than_the_image(tmp_path: Path) -> None:
    task = Task(write_image(tmp_path / "a.png"), tmp_path / "a.txt", tmp_path / "a.drawn.png")
    assert not task.done
    task.out.write_text("")
    assert not task.done and Task(task.image, task.out).done  # the overlay is missing
    write_image(tmp_path / "a.drawn.png")
    assert task.done
    image_time = task.image.stat().st_mtime_ns
    os.utime(task.out, ns=(image_time, image_time))
    assert task.done
    os.utime(task.out, ns=(image_time, image_time - 10**9))
    assert not task.done
    task.image.unlink()
    assert not task.done


def test_folder_with_other_settings_is_refused(tmp_path: Path, read: Any) -> None:
    write_image(tmp_path / "a.png")
    out = tmp_path / "out"
    assert read(tmp_path / "a.png", "--out", out)[0] == 0
    assert json.loads((out / SETTINGS_FILE).read_text())["model"] == "auto"
    for words, reason in (
        (["--model", "reader"], "'auto', not 'reader'"),
        (["--format", "json"], "'text', not 'json'"),
    ):
        code, output = read(tmp_path / "a.png", "--out", out, *words)
        assert code == 2 and reason in output and output.count("\n") == 1
    assert set(read_results(out)) == {"a.png.txt"}
    prepare_folder(out, json.loads((out / SETTINGS_FILE).read_text()))
    older = json.loads((out / SETTINGS_FILE).read_text())  # of a version without the option --language
    del older["language"]
    (out / SETTINGS_FILE).write_text(json.dumps(older))
    prepare_folder(out, {**older, "language": "auto"})
    with pytest.raises(UserError, match="language 'auto', not 'fr'"):
        prepare_folder(out, {**older, "language": "fr"})
    settings = (out / SETTINGS_FILE).read_text()
    for broken in ("", "[]", '"auto"', settings.replace("{", '{"newer": 1, ')):  # the file is not overwritten
        (out / SETTINGS_FILE).write_text(broken)
        with pytest.raises(UserError, match="another folder"):
            prepare_folder(out, json.loads(settings))
        assert (out / SETTINGS_FILE).read_text() == broken


def test_wrong_option_makes_no_folder(tmp_path: Path, read: Any) -> None:
    write_image(tmp_path / "a.png")
    code, output = read(tmp_path, "--out", tmp_path / "out", "--model", "nothing")
    assert code == 2 and output == 'glyphline: no model "nothing"\n' and not (tmp_path / "out").exists()


def test_unwritable_folder_is_refused(tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda size: "0")  # in the names of temporary files
    write_image(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    (tmp_path / "taken" / f"{SETTINGS_FILE}.0.tmp").mkdir(parents=True)
    for out in ("file", "file/out", "taken"):
        code, output = read(tmp_path / "a.png", "--out", tmp_path / out)
        assert code == 2 and str(tmp_path / out) in output and output.count("\n") == 1
    assert "a folder" in read(tmp_path / "a.png", "--out", tmp_path / "out", "--overlay", tmp_path / "o.png")[1]
    (tmp_path / "full" / "a.png.txt.0.tmp").mkdir(parents=True)
    code, output = read(tmp_path / "a.png", "--out", tmp_path / "full")
    assert code == 2 and "a.png.txt cannot be written" in output


# --------------------------------------------------------------------------------------------- documents and overlays


def run_task(task: Task, format_name: str) -> Outcome:
    (outcome,) = read_all([task], open_failing_reader, format_name, 2)  # a single task runs in this process
    return outcome


def test_single_page_format_writes_one_file_a_page(tmp_path: Path) -> None:
    document, out = write_image(tmp_path / "a.tif", pages=3), tmp_path / "out"
    assert run_task(Task(document, out / "a.tif.page.xml", out / "a.tif.png"), "page") == Outcome(
        Task(document, out / "a.tif.page.xml", out / "a.tif.png"), lines=3
    )
    assert set(read_results(out)) == {
        f"a.tif{number}.{suffix}" for number in ("", "-2", "-3") for suffix in ("page.xml", "png")
    }
    for number, name in ((1, "a.tif.page.xml"), (3, "a.tif-3.page.xml")):
        assert f"{39 + number} px" in (out / name).read_text()
    for number, name in ((1, "a.tif.png"), (2, "a.tif-2.png")):
        overlay = cv2.imread(str(out / name))
        assert overlay is not None and overlay.shape[1] >= 39 + number
    finished = Task(document, out / "a.tif.page.xml")
    assert list(read_all([finished], open_failing_reader, "page", 1)) == []


def test_first_page_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(batch, "write_atomically", lambda path, data: order.append(path.name))
    run_task(Task(write_image(tmp_path / "a.tif", pages=3), tmp_path / "a.xml", tmp_path / "o.png"), "page")
    assert order[-1] == "a.xml" and len(order) == 6


def test_page_without_text_is_empty_and_line_without_text_is_a_newline(tmp_path: Path) -> None:
    class EmptyReader(WidthReader):
        def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
            return [Line("", 1.0, (), "empty") for _ in images]

    class EmptyDetector:
        def __call__(self, image: ColourImage) -> list[Any]:
            return []

    blank = np.full((40, 60, 3), 255, np.uint8)
    assert read_and_render(PageReader(EmptyReader()), blank, "a", open_format("text"))[0] == [b"\n"]
    assert read_and_render(PageReader(EmptyReader(), EmptyDetector()), blank, "a", open_format("text"))[0] == [b""]


# -------------------------------------------------------------------------------------------------------------- memory


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to measure memory")
def test_memory_does_not_grow(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = ["bread", "and", "milk", "twelve", "eggs", "list", "of", "the", "house", "by", "river", "bridges"]
    tasks = []
    for k in range(300):
        height, width = int(rng.integers(40, 300)), int(rng.integers(90, 600))
        page = np.full((height, width, 3), 235, np.uint8)
        for y in range(30, height - 5, int(rng.integers(34, 60))):
            text = " ".join(rng.choice(words, 4))[: width // 16]
            cv2.putText(page, text, (8, y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (40, 40, 60), 2, cv2.LINE_AA)
        cv2.imwrite(str(tmp_path / f"{k}.png"), page)
        tasks.append(Task(tmp_path / f"{k}.png", tmp_path / f"{k}.png.txt"))
    parent_memory, child_memory = [], []
    for count, outcome in enumerate(read_all(tasks, open_reader, "text", 1), 1):
        assert not outcome.error
        if count % 100 == 0:
            (child,) = active_children()
            assert child.pid
            parent_memory.append(resident_megabytes(os.getpid()))
            child_memory.append(resident_megabytes(child.pid))
    assert (
        len(child_memory) == 3 and child_memory[2] - child_memory[0] < 40 and parent_memory[2] - parent_memory[0] < 20
    ), (parent_memory, child_memory)
