"""Images -> files of what they say: one, or thousands, in parallel, resumable, in memory that does not grow."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any

import cv2

from glyphline.errors import GlyphlineError, UserError
from glyphline.files import write_whole
from glyphline.imaging.documents import ColourImage, Document, ImageSource
from glyphline.page import Page
from glyphline.reading.detection.detectors import SingleLine
from glyphline.reading.formats import Format, open_format
from glyphline.reading.overlay import overlay
from glyphline.reading.pages import PageReader

KEPT = "glyphline-read.json"  # in the folder of results: by which settings they were made
AHEAD = 2  # images a process may be given beforehand


@dataclass(frozen=True)
class Task:
    """One image, and where its results go."""

    image: Path
    out: Path
    overlay: Path | None = None

    @property
    def done(self) -> bool:
        """Whether results are there, no older than the image."""
        wanted = [self.out, *([self.overlay] if self.overlay else [])]
        try:
            return min(path.stat().st_mtime for path in wanted) >= self.image.stat().st_mtime
        except OSError:
            return False


@dataclass(frozen=True)
class Outcome:
    """What became of a task."""

    task: Task
    error: str = ""  # one line; nothing where all went well
    lines: int = 0
    rejected: int = 0  # lines rejected


def results(
    reader: PageReader, source: ImageSource, name: str, shape: Format, drawn: Path | None = None
) -> tuple[list[bytes], list[Page]]:
    """An image's documents in a format, one a page where the format holds no more, and its pages.

    The pages are also drawn with what was found, as PNG, to `drawn` where one is given. Raises ImageError as
    `Document` does, OSError where they cannot be drawn.
    """
    pages = list(reader.read_pages(source))
    opened: list[Document] = []

    def image(page: Page) -> ColourImage:
        if not opened:
            opened.append(Document(source))
        return opened[0].colour(page.number - 1)

    try:
        parts = [[page] for page in pages] if shape.single else [pages]
        made = [_bytes(shape.make(name, part, image), isinstance(reader.detector, SingleLine)) for part in parts]
        for page in pages if drawn else ():
            assert drawn is not None
            path = _numbered(drawn, drawn.suffix, page.number)
            _, png = cv2.imencode(".png", cv2.cvtColor(overlay(image(page), page), cv2.COLOR_RGB2BGR))
            write_whole(path, png.tobytes())
    finally:
        for document in opened:
            document.__exit__()
    return made, pages


def _bytes(document: str | bytes, row: bool) -> bytes:
    """A document as a file holds it; of a page without text nothing, of a line without text an empty row."""
    if isinstance(document, bytes):
        return document
    return (document + "\n" if document or row else "").encode("utf-8", "replace")


def _numbered(path: Path, suffix: str, number: int) -> Path:
    """NAME.png for the first page, NAME-2.png for the second."""
    return path if number == 1 else path.with_name(f"{path.name.removesuffix(suffix)}-{number}{suffix}")


def tasks_in(
    given: Sequence[Path], folders: Sequence[Path], out: Path, suffix: str, overlays: Path | None
) -> list[Task]:
    """A task an image: FOLDER/a/b.png becomes OUT/a/b.png.SUFFIX.

    given: the images; folders: those among what the user gave, below which names are kept. What earlier runs made of
    the images is left out, and so is an image given twice. Raises UserError for two images of one name.
    """
    names = {image: _name(image, folders) for image in given}
    made = _made(names, folders, [(out, suffix), *([(overlays, ".png")] if overlays else [])])
    tasks: dict[Path, Task] = {}
    for image, name in names.items():
        if image in made:
            continue
        if name in tasks:
            if (other := tasks[name].image).resolve() == image.resolve():
                continue
            raise UserError(f"{other} and {image} would both become {out / name}{suffix}: read them apart")
        overlay = overlays / name.with_name(name.name + ".png") if overlays else None
        tasks[name] = Task(image, out / name.with_name(name.name + suffix), overlay)
    return list(tasks.values())


def _name(image: Path, folders: Sequence[Path]) -> Path:
    inside = [image.relative_to(folder) for folder in folders if image.is_relative_to(folder)]
    return min(inside, key=lambda path: len(path.parts)) if inside else Path(image.name)


def _made(names: dict[Path, Path], folders: Sequence[Path], results: Sequence[tuple[Path, str]]) -> set[Path]:
    """Which images are results: all in a folder of results inside one that was given, elsewhere those named so."""
    around, known = [_absolute(folder) for folder in folders], set(names.values())
    made = set()
    for folder, suffix in results:
        place = _absolute(folder)
        apart = any(place != other and place.is_relative_to(other) for other in around)
        for image in names:
            if (full := _absolute(image)).is_relative_to(place):
                inside = full.relative_to(place)
                of = re.sub(r"(-\d+)?$", "", inside.name.removesuffix(suffix))
                if apart or (inside.parent / of in known and inside.name.endswith(suffix)):
                    made.add(image)
    return made


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def prepare_folder(out: Path, settings: dict[str, Any]) -> None:
    """Make a folder of results, or go on with it. Raises UserError where it was begun with other settings."""
    kept = out / KEPT
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not kept.exists():
            write_whole(kept, (json.dumps(settings, indent=1) + "\n").encode())
        before = json.loads(kept.read_text("utf-8"))
        if not isinstance(before, dict):
            raise ValueError(f"{kept} holds no settings")
    except (OSError, ValueError) as error:
        raise UserError(f"{out} cannot be written to or continued ({error}): give another folder") from None
    if before != settings:
        every = {**before, **settings}
        other = ", ".join(
            f"{k} {before.get(k)!r}, not {settings.get(k)!r}" for k in every if before.get(k) != settings.get(k)
        )
        raise UserError(f"{out} was begun with other settings ({other}): give another folder, or the same settings")


_reader: PageReader | None = None  # of a process of the pool


def _prepare(opening: Callable[[], PageReader], parent: Connection, alone: bool) -> None:
    global _reader
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells when to stop
    Thread(target=_end_with, args=(parent,), daemon=True).start()
    if not alone:
        os.environ["GLYPHLINE_THREADS"] = "1"  # the processes are the threads
    _reader = opening()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits, for good in processes begun meanwhile: it would end their imports with a traceback."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(parent: Connection) -> None:
    """Ends this process, whatever it is at, once the parent stops or is killed: nothing else would."""
    parent.poll(None)
    os._exit(1)


def _work(task: Task, form: str) -> Outcome:
    assert _reader is not None
    return _written(_reader, task, form)


def _written(reader: PageReader, task: Task, form: str) -> Outcome:
    try:
        for path in (task.out, task.overlay):
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
        shape = open_format(form)
        made, pages = results(reader, task.image, str(task.image), shape, task.overlay)
        for number in range(len(made), 0, -1):  # the first page last, for it says that all is done
            write_whole(_numbered(task.out, shape.suffix, number), made[number - 1])
    except GlyphlineError as error:
        return Outcome(task, str(error) if str(task.image) in str(error) else f"{task.image}: {error}")
    except OSError as error:
        return Outcome(task, f"{task.out} cannot be written ({error.strerror or error}): free some space, run again")
    except Exception as error:  # whatever a library stumbles over, the others are read
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        return Outcome(task, f"{task.image} could not be read ({said}): save it again as PNG or JPEG")
    lines = [line for page in pages for line in page.lines]
    return Outcome(task, "", len(lines), sum(line.rejected for line in lines))


def read_all(tasks: Sequence[Task], opening: Callable[[], PageReader], form: str, jobs: int) -> Iterator[Outcome]:
    """Do the tasks that are not done, in any order, with `jobs` processes; each opens its own reader.

    An image that ends its process (of memory, or of a fault in a library) is tried once more alone, then reported.
    """
    todo = [task for task in tasks if not task.done]
    if len(tasks) == 1:  # no other is lost with it
        yield from (_written(opening(), task, form) for task in todo)
    else:
        yield from _Pool(opening, form, jobs).run(todo)


@dataclass
class _Pool:
    """Processes that are given a few tasks at a time, and are begun anew when one of them dies."""

    opening: Callable[[], PageReader]
    form: str
    jobs: int
    running: dict[Future[Outcome], Task] = field(default_factory=dict)
    pipe: tuple[Connection, Connection] = field(default_factory=lambda: get_context("spawn").Pipe(duplex=False))

    def run(self, todo: Sequence[Task]) -> Iterator[Outcome]:
        waiting, suspects = list(reversed(todo)), list[Task]()
        pool = self._begun()
        try:
            while waiting or suspects or self.running:
                alone = bool(suspects)  # those in flight when a process died, one at a time
                while not alone and waiting and len(self.running) < self.jobs * AHEAD:
                    self._submit(pool, waiting.pop())
                if alone and not self.running:
                    self._submit(pool, suspects.pop())
                done, _ = wait(self.running, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda future: future.exception() is not None):
                    task = self.running.pop(future)
                    try:
                        yield future.result()
                    except BrokenProcessPool:
                        if alone and not self.running:
                            yield Outcome(task, f"{task.image} ended the process that read it: is it whole?")
                        else:
                            suspects += [task, *self.running.values()]
                            self.running.clear()
                        pool.shutdown(wait=False)
                        pool = self._begun()
                        break
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for end in self.pipe:  # which ends what is still at work
                end.close()

    def _submit(self, pool: ProcessPoolExecutor, task: Task) -> None:
        with _interrupts_held():
            self.running[pool.submit(_work, task, self.form)] = task

    def _begun(self) -> ProcessPoolExecutor:
        # spawned, for neither OpenCV's nor onnxruntime's threads survive a fork
        started = (self.opening, self.pipe[0], self.jobs == 1)
        return ProcessPoolExecutor(self.jobs, get_context("spawn"), _prepare, started)
