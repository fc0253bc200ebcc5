"""Batch processing: reads many images into files, in parallel, with resumption and bounded memory."""

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

from glyphline.addresses import is_local, modification_times, open_path
from glyphline.errors import GlyphlineError, UserError
from glyphline.files import write_atomically
from glyphline.imaging.documents import ColourImage, Document, ImageSource
from glyphline.page import Page
from glyphline.reading.detection.detectors import SingleLine
from glyphline.reading.formats import Format, open_format
from glyphline.reading.overlay import draw_overlay
from glyphline.reading.pages import PageReader

SETTINGS_FILE = "glyphline-read.json"  # in a folder of results: the settings they were made with
TASKS_PER_PROCESS = 2  # tasks submitted ahead for each process, so that none waits for work


@dataclass(frozen=True)
class Task:
    """An image file and the files its results are written to.

    A format of one page a document writes page 2 to NAME-2 and the suffix of the format, beside `out`. The paths may be
    at addresses (see `addresses`).
    """

    image: Path
    out: Path  # the document, or that of the first page
    overlay: Path | None = None  # the overlay of the first page; None for none

    @property
    def done(self) -> bool:
        """Whether `out` and `overlay` exist and neither is older than the image; False where the image is missing.

        The files of further pages are not checked: `out` is written last.
        """
        return self.is_done(lambda path: path.stat().st_mtime)

    def is_done(self, modification_time: Callable[[Path], float]) -> bool:
        """`done` by a function: file -> seconds since 1970. It raises OSError or KeyError for a missing file."""
        outputs = [self.out, *([self.overlay] if self.overlay else [])]
        try:
            return min(map(modification_time, outputs)) >= modification_time(self.image)
        except (OSError, KeyError):
            return False

    def __reduce__(self) -> tuple[Any, ...]:  # as texts: opening a path at an address sets its filesystem up
        return open_task, (str(self.image), str(self.out), str(self.overlay) if self.overlay else None)


def open_task(image: str, out: str, overlay: str | None = None) -> Task:
    """A task from the texts of its paths."""
    return Task(open_path(image), open_path(out), open_path(overlay) if overlay else None)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a task: an error message, or the number of lines."""

    task: Task
    error: str = ""  # one line; empty when the image was read
    lines: int = 0
    rejected: int = 0  # of these lines
    pages: tuple[Page, ...] = ()  # what was read, where no document was written


def read_and_render(
    reader: PageReader, source: ImageSource, name: str, output_format: Format, overlay: Path | None = None
) -> tuple[list[bytes], list[Page]]:
    """Read an image and render its pages in a format.

    name: the file's name as documents state it. overlay: the PNG file of the overlay of the first page; the overlay of
    page 2 is written to NAME-2.png. Returns the documents, one for all pages or, for a single-page format, one a page,
    and the pages. Text is encoded as UTF-8 and ends with a newline. Empty text stays empty, except with the detector
    `SingleLine`, where it is a newline. Raises ImageError and MissingPackage as `PageReader.read_pages` does, and
    OSError when an overlay cannot be written.
    """
    pages = list(reader.read_pages(source))
    opened_documents: list[Document] = []

    def load_page_image(page: Page) -> ColourImage:
        if not opened_documents:
            opened_documents.append(Document(source))
        return opened_documents[0].colour(page.number - 1)

    try:
        page_groups = [[page] for page in pages] if output_format.single_page else [pages]
        is_line = isinstance(reader.detector, SingleLine)
        documents = [
            _encode_document(output_format.render(name, group, load_page_image), is_line) for group in page_groups
        ]
        if overlay is not None:
            for page in pages:
                drawn = draw_overlay(load_page_image(page), page)
                _, png = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
                write_atomically(_page_path(overlay, overlay.suffix, page.number), png.tobytes())
    finally:
        for document in opened_documents:
            document.__exit__()
    return documents, pages


def _encode_document(document: str | bytes, is_line: bool) -> bytes:
    """Encode a document for a file. Text ends with a newline, but empty text of a whole page stays empty."""
    if isinstance(document, bytes):
        return document
    return (document + "\n" if document or is_line else "").encode("utf-8", "replace")


def _page_path(path: Path, suffix: str, number: int) -> Path:
    """NAME.png for the first page, NAME-2.png for the second."""
    return path if number == 1 else path.with_name(f"{path.name.removesuffix(suffix)}-{number}{suffix}")


def plan_tasks(
    images: Sequence[Path], folders: Sequence[Path], out: Path, suffix: str, overlays: Path | None
) -> list[Task]:
    """Return a task for each image: the result of FOLDER/a/b.png is OUT/a/b.png + suffix.

    folders: input folders. The path of an image below the innermost of them is kept; an image outside them keeps only
    its name. overlays: the folder of the overlays, None for none. The overlay of FOLDER/a/b.png is
    OVERLAYS/a/b.png.png. Results of earlier runs among the images and repeated images are left
    out.
    Raises UserError when two images would be written to the same file.
    """
    relative_names = {image: _relative_name(image, folders) for image in images}
    output_folders = [(out, suffix), *([(overlays, ".png")] if overlays else [])]
    earlier_results = _find_results(relative_names, folders, output_folders)
    tasks: dict[Path, Task] = {}
    for image, name in relative_names.items():
        if image in earlier_results:
            continue
        if name in tasks:
            if (other := tasks[name].image).resolve() == image.resolve():
                continue
            raise UserError(
                f"{other} and {image} would both be written to {out / name.as_posix()}{suffix}: "
                "read them in two commands with two --out folders"
            )
        overlay = overlays / f"{name.as_posix()}.png" if overlays else None
        tasks[name] = Task(image, out / f"{name.as_posix()}{suffix}", overlay)
    return list(tasks.values())


def _relative_name(image: Path, folders: Sequence[Path]) -> Path:
    """The path of an image below the innermost of the folders, or its name."""
    relative = [Path(str(image.relative_to(folder))) for folder in folders if _is_below(image, folder)]
    return min(relative, key=lambda path: len(path.parts)) if relative else Path(image.name)


def _find_results(
    relative_names: dict[Path, Path], folders: Sequence[Path], output_folders: Sequence[tuple[Path, str]]
) -> set[Path]:
    """Find the images that are results of earlier runs.

    An output folder inside an input folder holds only results. In any other output folder a file is a result when its
    name is the name of an input image and the suffix of the format.
    """
    input_folders, input_names = [_absolute(folder) for folder in folders], set(relative_names.values())
    results = set()
    for output_folder, suffix in output_folders:
        output = _absolute(output_folder)
        is_inside_input = any(output != folder and _is_below(output, folder) for folder in input_folders)
        for image in relative_names:
            if _is_below(path := _absolute(image), output):
                relative = path.relative_to(output)
                input_name = re.sub(r"(-\d+)?$", "", relative.name.removesuffix(suffix))
                has_result_name = relative.parent / input_name in input_names and relative.name.endswith(suffix)
                if is_inside_input or has_result_name:
                    results.add(image)
    return results


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path)) if is_local(path) else path


def _is_below(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or in it. Nothing at an address is below a folder of this machine."""
    return is_local(path) == is_local(folder) and path.is_relative_to(folder)


def select_unfinished(tasks: Sequence[Task], folders: Sequence[Path]) -> list[Task]:
    """The tasks that are not done. Folders at addresses are listed once, instead of asking about each file.

    folders: the input folders and the folders of results.
    """
    times: dict[str, float] = {}
    for folder in folders:
        if not is_local(folder):
            times |= modification_times(folder)

    def modification_time(path: Path) -> float:
        return path.stat().st_mtime if is_local(path) else times[str(path)]

    return [task for task in tasks if not task.is_done(modification_time)]


#: settings that folders of older versions do not name, and the value that they had
DEFAULT_SETTINGS: dict[str, Any] = {"language": "auto", "translate": None}


def prepare_folder(out: Path, settings: dict[str, Any]) -> None:
    """Make a folder of results with a SETTINGS_FILE, or check that an existing SETTINGS_FILE holds the same settings.

    settings: values that JSON returns unchanged, so no tuples and no paths.
    Raises UserError when the folder was made with other settings, or cannot be written to or read.
    """
    settings_file = out / SETTINGS_FILE
    try:
        if is_local(out):
            out.mkdir(parents=True, exist_ok=True)
        if not settings_file.exists():
            write_atomically(settings_file, (json.dumps(settings, indent=1) + "\n").encode())
        previous = json.loads(settings_file.read_text("utf-8"))
        if not isinstance(previous, dict):
            raise ValueError(f"{settings_file} holds no settings")
        previous = DEFAULT_SETTINGS | previous
    except (OSError, ValueError) as error:
        raise UserError(f"{out} cannot be written to or continued ({error}): give another folder") from None
    if previous != DEFAULT_SETTINGS | settings:
        differences = ", ".join(
            f"{key} {previous.get(key)!r}, not {settings.get(key)!r}"
            for key in {**previous, **settings}
            if previous.get(key) != settings.get(key)
        )
        raise UserError(f"{out} was made with other settings ({differences}): give another folder or these settings")


_worker_reader: PageReader | None = None  # of this process, when it is a worker
_worker_error = ""  # why it has none


def _initialize_worker(open_reader: Callable[[], PageReader], parent: Connection, single_process: bool) -> None:
    global _worker_reader, _worker_error
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process stops the workers
    Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
    if not single_process:
        os.environ["GLYPHLINE_THREADS"] = "1"  # the processes are the parallel units, not threads
    try:
        _worker_reader = open_reader()
    except Exception as error:  # on another machine of a cluster a model may be missing, or a package
        _worker_error = str(error).strip().partition("\n")[0] or type(error).__name__


@contextmanager
def _block_interrupts() -> Iterator[None]:
    """Hold back SIGINT. Processes started meanwhile ignore it: it would end their imports with a traceback."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)


def _exit_with_parent(parent: Connection) -> None:
    """Exit this process as soon as the parent closes its end of the pipe or dies, even in the middle of an image."""
    parent.poll(None)
    os._exit(1)


def _run_in_worker(task: Task, format_name: str | None) -> Outcome:
    if _worker_reader is None:
        return Outcome(task, f"{task.image}: {_worker_error}")
    return _run_task(_worker_reader, task, format_name)


def _run_task(reader: PageReader, task: Task, format_name: str | None) -> Outcome:
    """Read an image and write its results. format_name: None writes nothing, and the outcome has the pages."""
    try:
        if format_name is None:
            pages = list(reader.read_pages(task.image))
            return Outcome(task, "", *_count_lines(pages), tuple(pages))
        for path in (task.out, task.overlay):
            if path and is_local(path):
                path.parent.mkdir(parents=True, exist_ok=True)
        output_format = open_format(format_name)
        documents, pages = read_and_render(reader, task.image, str(task.image), output_format, task.overlay)
        # the first page is written last, because its file marks the task as done
        for number in range(len(documents), 0, -1):
            write_atomically(_page_path(task.out, output_format.suffix, number), documents[number - 1])
    except GlyphlineError as error:
        return Outcome(task, str(error) if str(task.image) in str(error) else f"{task.image}: {error}")
    except OSError as error:
        message = f"{task.out} cannot be written ({error.strerror or error}): free some space and run the command again"
        return Outcome(task, message)
    except Exception as error:  # an error inside a library must not stop the other images
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return Outcome(task, f"{task.image} could not be read ({reason}): save it again as PNG or JPEG")
    return Outcome(task, "", *_count_lines(pages))


def _count_lines(pages: Sequence[Page]) -> tuple[int, int]:
    """The number of lines of pages, and how many of them are rejected."""
    lines = [line for page in pages for line in page.lines]
    return len(lines), sum(line.rejected for line in lines)


def read_all(
    tasks: Sequence[Task], open_reader: Callable[[], PageReader], format_name: str, jobs: int,
    unfinished: Sequence[Task] | None = None,
) -> Iterator[Outcome]:  # fmt: skip
    """Run the tasks that are not done, and yield their outcomes in any order. Tasks that are done have no outcome.

    jobs: the number of processes, at least 1. Each opens its own reader with `open_reader`, which must be picklable.
    unfinished: the tasks that are not done, where they are known. Several processes use one onnxruntime thread each. If
    `tasks` has one member, it is run in this process.
    An image that cannot be read is reported in its outcome, not by an exception. An image whose process dies (out of
    memory, a crash inside a library) is tried once more alone, and reported if its process dies again.
    """
    todo = [task for task in tasks if not task.done] if unfinished is None else unfinished
    if len(tasks) == 1:  # a crash loses no other image
        yield from (_run_task(open_reader(), task, format_name) for task in todo)
    else:
        pool = WorkerPool(open_reader, format_name, jobs)
        try:
            yield from pool.run(todo)
        finally:
            pool.close()


@dataclass
class WorkerPool:
    """Worker processes that get a few tasks ahead, and are started anew when one of them dies.

    open_reader, jobs: as for `read_all`. format_name: None writes nothing, and the outcomes have the pages. The
    processes open their readers once and stay for the next `run`, until `close`.
    """

    open_reader: Callable[[], PageReader]
    format_name: str | None
    jobs: int
    executor: ProcessPoolExecutor | None = None
    running: dict[Future[Outcome], Task] = field(default_factory=dict)
    pipe: tuple[Connection, Connection] = field(default_factory=lambda: get_context("spawn").Pipe(duplex=False))

    def run(self, todo: Sequence[Task]) -> Iterator[Outcome]:
        """Run the tasks, and yield their outcomes in any order."""
        waiting, suspects = list(reversed(todo)), list[Task]()
        while waiting or suspects or self.running:
            # the suspects were in flight when a process died; each runs alone, which shows the one that kills it
            alone = bool(suspects)
            while not alone and waiting and len(self.running) < self.jobs * TASKS_PER_PROCESS:
                self._submit(waiting.pop())
            if alone and not self.running:
                self._submit(suspects.pop())
            finished, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in sorted(finished, key=lambda future: future.exception() is not None):
                task = self.running.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    if alone and not self.running:
                        message = f"{task.image} ended the process that read it: save it again as PNG or JPEG"
                        yield Outcome(task, message)
                    else:
                        suspects += [task, *self.running.values()]
                        self.running.clear()
                    self._stop_executor()
                    break

    def close(self) -> None:
        """Stop the processes, also in the middle of an image."""
        self._stop_executor()
        for connection in self.pipe:  # workers that are still reading exit when the pipe is closed
            connection.close()

    def _submit(self, task: Task) -> None:
        with _block_interrupts():
            if self.executor is None:
                # spawned, because the threads of OpenCV and onnxruntime do not survive a fork
                arguments = (self.open_reader, self.pipe[0], self.jobs == 1)
                self.executor = ProcessPoolExecutor(self.jobs, get_context("spawn"), _initialize_worker, arguments)
            try:
                self.running[self.executor.submit(_run_in_worker, task, self.format_name)] = task
            except BrokenProcessPool:  # a process died while it had no task
                self._stop_executor()
                return self._submit(task)

    def _stop_executor(self) -> None:
        if self.executor is not None:
            self.executor.shutdown(wait=False, cancel_futures=True)
            self.executor = None
