"""Many images into a folder: in parallel, continued after any end, nothing twice, nothing lost, errors told."""

from __future__ import annotations

import json
import os
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
from glyphline.reading.batch import KEPT, Outcome, Task, prepare_folder, read_all, results, tasks_in
from glyphline.reading.formats import open_format
from glyphline.reading.pages import PageReader, open_reader

FORM = {"text": ".txt", "page": ".page.xml"}


class Measures:
    """Reads of every line how wide it is."""

    calibrated = True

    def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
        return [Line(f"{p.shape[1]} px", 1.0, (), "measures") for p in images]


@dataclass
class Frail(PageReader):
    """Ends its process, fails or is slow over images that are called so."""

    def read_pages(self, source: ImageSource) -> Iterator[Page]:
        name = str(source)
        if "killer" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        if "odd" in name:
            raise ValueError("a library stumbled\nover this")
        if "wide" in name:
            raise ImageError("a line is too wide")  # as of a line, which knows no name
        time.sleep(0.04 if "slow" in name else 0)
        yield from super().read_pages(source)


def frail() -> PageReader:
    return Frail(Measures())


def opened(options: Any) -> PageReader:
    """In place of what the command line opens."""
    if options.model == "nothing":
        raise UserError('no model "nothing"')
    return frail()


def image(path: Path, width: int = 40, pages: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sheets = [Image.new("L", (width + k, 20), 200) for k in range(pages)]
    sheets[0].save(path, **({"save_all": True, "append_images": sheets[1:]} if pages > 1 else {}))
    return path


def files(folder: Path) -> dict[str, bytes]:
    """The results in a folder, by name."""
    inside = (p for p in folder.rglob("*") if p.is_file() and p.name != KEPT)
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(inside)}


def times(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in files(folder)}


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder of images, each of its own width, in folders, some of one name."""
    folder = tmp_path / "scans"
    for k, name in enumerate(["a.png", "b.jpg", "one/a.png", "one/two/a.png", "ü ö.png"]):
        image(folder / name, 40 + 10 * k)
    image(folder / "many.tif", 200, pages=3)
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """`glyphline read` in this process, with the frail reader: (exit code, what it said)."""
    monkeypatch.setattr(read_command, "open_page_reader", opened)

    def run(*words: object) -> tuple[Any, str]:
        with pytest.raises(SystemExit) as left:
            main(["read", *map(str, words)])
        told = capsys.readouterr()
        assert not told.out
        return left.value.code, told.err

    return run


# ---------------------------------------------------------------------------------------------- in parallel, continued


def test_a_folder_is_read_by_any_number_of_processes_and_continued(many: Path, tmp_path: Path, read: Any) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    code, said = read(many, "--out", one, "--jobs", 1)
    assert (code, said.splitlines()) == (
        0,
        [f"{one}: 6 images, 6 to read", f"{one}: 6 read, 8 lines, 0 rejected; 0 could not be read"],
    )
    assert read(many, "--out", two, "--jobs", 2)[0] == 0
    assert files(one) == files(two)
    assert files(one)["one/two/a.png.txt"] == b"70 px\n" and files(one)["many.tif.txt"] == b"200 px\n201 px\n202 px\n"
    assert list(files(one)) == sorted(f"{p.relative_to(many)}.txt" for p in many.rglob("*.*"))

    before = times(two)
    (two / "b.jpg.txt").unlink()  # as if killed in the middle of it
    (two / "b.jpg.txt.tmp").write_text("50")
    image(many / "one/a.png", 61)
    os.utime(many / "one/a.png", ns=(0, before["one/a.png.txt"] + 10**7))  # newer than its result
    assert "6 images, 2 to read" in read(many, "--out", two, "--jobs", 2)[1]
    assert files(two) == {**files(one), "one/a.png.txt": b"61 px\n"}  # nothing lies about
    assert {name for name, at in times(two).items() if at != before[name]} == {"b.jpg.txt", "one/a.png.txt"}

    after = times(two)
    assert "6 images, 0 to read" in read(many, "--out", two)[1]
    assert times(two) == after


def test_bad_pictures_are_told_at_the_end_and_the_others_read(many: Path, tmp_path: Path, read: Any) -> None:
    image(many / "killer.png")
    image(many / "odd.png")
    image(many / "wide.png")
    (many / "empty.png").write_bytes(b"")
    (many / "note.png").write_text("no image")
    out = tmp_path / "out"
    for todo, done, jobs in ((11, 6, 2), (5, 0, 1)):  # and again, with nothing left but these
        code, said = read(many, "--out", out, "--jobs", jobs)
        assert code == 1
        first, last, *errors = said.splitlines()
        assert f"11 images, {todo} to read" in first and f"{done} read" in last and "5 could not be read" in last
        assert all(row.startswith("glyphline: ") for row in errors)
        for name, why in (("killer", "ended the process"), ("odd", "a library stumbled"), ("wide", "too wide"),
                          ("empty", "is empty"), ("note", "no image")):  # fmt: skip
            assert len([row for row in errors if f"{many / name}.png" in row and why in row]) == 1, said
        assert len(files(out)) == 6


def test_nothing_but_bad_pictures_is_a_mistake(tmp_path: Path, read: Any) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    for form in ("text", "json"):  # the settings are no result
        code, said = read(tmp_path / "empty.png", "--out", tmp_path / form, "--format", form)
        assert (code, len(said.splitlines())) == (2, 3) and not files(tmp_path / form)
    image(tmp_path / "good.png")
    code, said = read(tmp_path / "good.png", tmp_path / "none*.png", "--out", tmp_path / "out")
    assert code == 1 and "none*.png" in said and files(tmp_path / "out") == {"good.png.txt": b"40 px\n"}


# SIGINT is ignored where the tests run in a shell's background
SCRIPT = "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
SCRIPT += "sys.path.insert(0, sys.argv.pop(1))\nfrom reading import test_batch as t\n"
SCRIPT += "t.read_command.open_page_reader = t.opened\nt.main()"


def begun(many: Path, out: Path, more: int, jobs: int) -> subprocess.Popen[str]:
    """`glyphline read` in a process of its own and a group of its own, left once it has done some more."""
    words = [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[1]), "read", many, "--out", out, "--jobs", jobs]
    done = len(list(out.glob("*.txt")))
    process = subprocess.Popen(list(map(str, words)), stderr=subprocess.PIPE, text=True, start_new_session=True)
    until = time.monotonic() + 60
    while len(list(out.glob("*.txt"))) < done + more:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    return process


def alive(group: int) -> list[int]:
    """Processes of a group that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(of) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


def gone(group: int) -> bool:
    until = time.monotonic() + 5
    while alive(group) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(group)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to see processes in")
def test_what_is_killed_or_interrupted_is_continued(tmp_path: Path, read: Any) -> None:
    folder, out = tmp_path / "scans", tmp_path / "out"
    for k in range(90):
        image(folder / f"slow-{k}.png", 40 + k)

    process = begun(folder, out, 6, 1)
    os.killpg(process.pid, signal.SIGKILL)  # all of them
    process.communicate()
    known = times(out)

    process = begun(folder, out, 6, 1)
    process.kill()  # the first alone: the others end with it
    process.communicate()
    assert gone(process.pid)
    known = {**times(out), **known}  # what was done is not done again
    assert {name: at for name, at in times(out).items() if not name.endswith(".tmp")}.items() <= known.items()

    process = begun(folder, out, 6, 2)
    at = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and time.monotonic() - at < 3
    assert said.splitlines()[1:] == ["glyphline: interrupted"] and gone(process.pid)
    assert known.items() <= times(out).items() and len(known) + 6 <= len(files(out)) < 90

    known = {name: at for name, at in times(out).items() if not name.endswith(".tmp")}
    assert f"{90 - len(known)} to read" in read(folder, "--out", out, "--jobs", 2)[1]
    assert known.items() <= times(out).items()
    assert files(out) == {f"slow-{k}.png.txt": f"{40 + k} px\n".encode() for k in range(90)}


# ------------------------------------------------------------------------------------------------- names, what is done


def test_two_pictures_of_one_name_are_refused(tmp_path: Path, read: Any) -> None:
    for name in ("a/x.png", "b/x.png"):
        image(tmp_path / name)
    code, said = read(tmp_path / "a/x.png", tmp_path / "b/x.png", "--out", tmp_path / "out")
    assert code == 2 and "x.png.txt" in said and "b/x.png" in said and not (tmp_path / "out").exists()
    code, said = read(tmp_path / "a", tmp_path / "b", "--overlay", tmp_path / "out")
    assert code == 2 and "x.png.png" in said and not (tmp_path / "out").exists()


def names(tasks: list[Task], out: Path) -> dict[str, str]:
    return {str(task.image): str(task.out.relative_to(out)) for task in tasks}


def test_a_picture_given_twice_is_read_once(many: Path, tmp_path: Path) -> None:
    a, one, out = many / "a.png", many / "one/a.png", tmp_path / "out"
    assert names(tasks_in([a, a], [], out, ".txt", None), out) == {str(a): "a.png.txt"}
    assert names(tasks_in([a, one, a], [many], out, ".txt", None), out) == {
        str(a): "a.png.txt",
        str(one): "one/a.png.txt",
    }
    # one folder within the other: the name below the inner one
    with pytest.raises(UserError, match="would both become"):
        tasks_in([a, one, one], [many, many / "one"], out, ".txt", None)
    again = many / "one" / ".." / "a.png"
    assert len(tasks_in([a, again], [], out, ".txt", None)) == 1


def test_results_are_not_taken_for_pictures(tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "scans"
    image(folder / "a.png")
    image(folder / "b.tif", pages=2)
    for out, drawn in ((folder, folder), (folder / "out", folder / "drawn")):  # beside the images, among them
        words = (folder, "--out", out, "--overlay", drawn, "--format", "pdf", "--jobs", 1)
        assert "2 images, 2 to read" in read(*words)[1]
        made = times(folder)
        assert len(made) == 2 + 2 + 3 or out != folder
        assert "2 images, 0 to read" in read(*words)[1] and times(folder) == made
        for name in files(folder).keys() - {"a.png", "b.tif"}:
            (folder / name).unlink()
        (folder / KEPT).unlink(missing_ok=True)
    monkeypatch.chdir(folder)
    assert "2 images, 2 to read" in read("a.png", "b.tif", "--out", ".", "--jobs", 1)[1]
    assert files(folder)["a.png.txt"] == b"40 px\n"


def test_what_is_done_is_no_older_than_its_picture(tmp_path: Path) -> None:
    task = Task(image(tmp_path / "a.png"), tmp_path / "a.txt", tmp_path / "a.drawn.png")
    assert not task.done
    task.out.write_text("")
    assert not task.done and Task(task.image, task.out).done  # what is to be drawn is not yet
    image(tmp_path / "a.drawn.png")
    assert task.done
    now = task.image.stat().st_mtime_ns
    os.utime(task.out, ns=(now, now))
    assert task.done
    os.utime(task.out, ns=(now, now - 10**9))
    assert not task.done
    task.image.unlink()
    assert not task.done


def test_other_settings_are_refused(tmp_path: Path, read: Any) -> None:
    image(tmp_path / "a.png")
    out = tmp_path / "out"
    assert read(tmp_path / "a.png", "--out", out)[0] == 0
    assert json.loads((out / KEPT).read_text())["model"] == "auto"
    for words, why in ((["--model", "reader"], "'auto', not 'reader'"), (["--format", "json"], "'text', not 'json'")):
        code, said = read(tmp_path / "a.png", "--out", out, *words)
        assert code == 2 and why in said and said.count("\n") == 1
    assert set(files(out)) == {"a.png.txt"}
    prepare_folder(out, json.loads((out / KEPT).read_text()))
    kept = (out / KEPT).read_text()
    for broken in ("", "[]", '"auto"', kept.replace("{", '{"newer": 1, ')):  # not written over
        (out / KEPT).write_text(broken)
        with pytest.raises(UserError, match="another folder"):
            prepare_folder(out, json.loads(kept))
        assert (out / KEPT).read_text() == broken


def test_a_wrong_option_begins_nothing(tmp_path: Path, read: Any) -> None:
    image(tmp_path / "a.png")
    code, said = read(tmp_path, "--out", tmp_path / "out", "--model", "nothing")
    assert code == 2 and said == 'glyphline: no model "nothing"\n' and not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to_is_a_mistake(tmp_path: Path, read: Any) -> None:
    image(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    (tmp_path / "taken" / f"{KEPT}.tmp").mkdir(parents=True)
    for out in ("file", "file/out", "taken"):
        code, said = read(tmp_path / "a.png", "--out", tmp_path / out)
        assert code == 2 and str(tmp_path / out) in said and said.count("\n") == 1
    assert "a folder" in read(tmp_path / "a.png", "--out", tmp_path / "out", "--overlay", tmp_path / "o.png")[1]
    (tmp_path / "full" / "a.png.txt.tmp").mkdir(parents=True)
    code, said = read(tmp_path / "a.png", "--out", tmp_path / "full")
    assert code == 2 and "a.png.txt cannot be written" in said


# ------------------------------------------------------------------------------------------------ what an image gives


def done(task: Task, form: str) -> Outcome:
    (one,) = read_all([task], frail, form, 2)  # of one there is nothing to share out
    return one


def test_a_page_a_file_where_the_format_holds_no_more(tmp_path: Path) -> None:
    given, out = image(tmp_path / "a.tif", pages=3), tmp_path / "out"
    assert done(Task(given, out / "a.tif.page.xml", out / "a.tif.png"), "page") == Outcome(
        Task(given, out / "a.tif.page.xml", out / "a.tif.png"), lines=3
    )
    assert set(files(out)) == {f"a.tif{number}.{end}" for number in ("", "-2", "-3") for end in ("page.xml", "png")}
    for number, name in ((1, "a.tif.page.xml"), (3, "a.tif-3.page.xml")):
        assert f"{39 + number} px" in (out / name).read_text()
    for number, name in ((1, "a.tif.png"), (2, "a.tif-2.png")):
        drawn = cv2.imread(str(out / name))
        assert drawn is not None and drawn.shape[1] >= 39 + number
    assert list(read_all([Task(given, out / "a.tif.page.xml")], frail, "page", 1)) == []  # is there


def test_the_first_page_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(batch, "write_whole", lambda path, data: order.append(path.name))
    done(Task(image(tmp_path / "a.tif", pages=3), tmp_path / "a.xml", tmp_path / "o.png"), "page")
    assert order[-1] == "a.xml" and len(order) == 6


def test_a_page_without_text_is_empty_and_a_line_without_text_a_row(tmp_path: Path) -> None:
    class Silent(Measures):
        def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
            return [Line("", 1.0, (), "silent") for _ in images]

    class NoTracker:
        def __call__(self, image: ColourImage) -> list[Any]:
            return []

    blank = np.full((40, 60, 3), 255, np.uint8)
    assert results(PageReader(Silent()), blank, "a", open_format("text"))[0] == [b"\n"]
    assert results(PageReader(Silent(), NoTracker()), blank, "a", open_format("text"))[0] == [b""]


# -------------------------------------------------------------------------------------------------------------- memory


def resident(pid: int) -> float:
    """MB."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(row for row in rows if row.startswith("VmRSS")).split()[1]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to see memory in")
def test_memory_does_not_grow(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = ["bread", "and", "milk", "twelve", "eggs", "list", "of", "the", "house", "by", "river", "bridges"]
    tasks = []
    for k in range(600):
        height, width = int(rng.integers(40, 300)), int(rng.integers(90, 600))
        sheet = np.full((height, width, 3), 235, np.uint8)
        for y in range(30, height - 5, int(rng.integers(34, 60))):
            said = " ".join(rng.choice(words, 4))[: width // 16]
            cv2.putText(sheet, said, (8, y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (40, 40, 60), 2, cv2.LINE_AA)
        cv2.imwrite(str(tmp_path / f"{k}.png"), sheet)
        tasks.append(Task(tmp_path / f"{k}.png", tmp_path / f"{k}.png.txt"))
    ours, theirs = [], []
    for count, one in enumerate(read_all(tasks, open_reader, "text", 1), 1):
        assert not one.error
        if count % 200 == 0:
            (child,) = active_children()
            assert child.pid
            ours.append(resident(os.getpid()))
            theirs.append(resident(child.pid))
    assert len(theirs) == 3 and theirs[2] - theirs[0] < 60 and ours[2] - ours[0] < 20, (ours, theirs)
