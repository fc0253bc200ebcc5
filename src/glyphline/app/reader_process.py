"""The warm reader, in a process of its own: a picture that takes too long or crashes it ends that process alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, partial
from multiprocessing.connection import Connection
from threading import Lock
from typing import TYPE_CHECKING, Any

from glyphline.app.child_process import ChildProcess
from glyphline.errors import GlyphlineError, ImageError, MissingPackage, UserError
from glyphline.reading.recognition.recognizers import PHOTO

if TYPE_CHECKING:
    from glyphline.page import Page, Polygon
    from glyphline.reading.pages import PageReader

START_SECONDS = 120  # until the models are open
MIN_COMMON = 0.3  # of the areas of two lines of which one is the other, read again


@dataclass(frozen=True)
class Correction:
    """What a person typed for a line. polygon: where it was read, px of the image; () for the line of a number."""

    text: str
    polygon: Polygon = ()


@dataclass(frozen=True)
class ReadJob:
    """One picture to be read."""

    data: bytes  # of the file
    name: str  # of the file, as results state it
    format_name: str = "json"  # of FORMATS
    language: str = "auto"  # a code of LANGUAGES, "none" or "auto"
    page_limit: int = 20
    corrections: dict[int, Correction] = field(default_factory=dict)  # by the number of a line of the first page


@dataclass(frozen=True)
class ReadResult:
    """The document of a job in its format, and the pages that it was made of."""

    document: bytes
    pages: list[Page]


class ReaderTimeout(GlyphlineError):
    """A picture took longer than its time. The reader was ended and is started anew."""


class ReaderProcess:
    """A process with a reader of pages, started at the first call of `start` or `read` and again after it ended.

    open_reader: opens the reader inside the process; must be picklable. seconds: time limit of one picture. The methods
    may be called from several threads; they then wait for each other.
    """

    def __init__(self, open_reader: Callable[[], PageReader], seconds: float) -> None:
        self._open_reader, self._seconds = open_reader, seconds
        self._lock = Lock()
        self._process: ChildProcess | None = None

    @property
    def pid(self) -> int | None:
        """The id of the running process; None if none runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process if none runs, and wait until its models are open. Raises GlyphlineError if it fails."""
        with self._lock:
            self._start()

    def read(self, job: ReadJob) -> ReadResult:
        """Read one picture. Raises ImageError or UserError with a message for people, and ReaderTimeout."""
        with self._lock:
            self._start()
            assert self._process
            connection = self._process.connection
            try:
                connection.send(job)
                if not connection.poll(self._seconds):
                    self._end()
                    raise ReaderTimeout(f"{job.name} takes longer than {self._seconds:g} s: shrink or crop it first")
                answer = connection.recv()
            except (EOFError, OSError):
                self._end()
                message = f"{job.name} ended the process that read it: save it again as PNG or JPEG"
                raise ImageError(message) from None
        if isinstance(answer, GlyphlineError):
            raise answer
        assert isinstance(answer, ReadResult)
        return answer

    def close(self) -> None:
        """End the process, also in the middle of a picture."""
        if (process := self._process) is not None:
            process.kill()
        with self._lock:
            self._end()

    def _start(self) -> None:
        if self.pid is not None:
            return
        self._end()
        self._process = ChildProcess(_serve, self._open_reader, name="glyphline reader")
        connection = self._process.connection
        try:
            failure = connection.recv() if connection.poll(START_SECONDS) else "took too long"
        except EOFError:
            failure = f"ended with exit code {self._process.exitcode}"
        if failure is not None:
            self._end()
            raise failure if isinstance(failure, GlyphlineError) else GlyphlineError(f"the reader {failure}")

    def _end(self) -> None:
        if self._process is not None:
            self._process.close()
        self._process = None


# ---------------------------------------------------------------------- inside the process


def _serve(connection: Connection, open_reader: Callable[[], PageReader]) -> None:
    """Answer jobs with a ReadResult or a GlyphlineError until the other end is closed."""
    try:
        reader = open_reader()
    except GlyphlineError as error:
        connection.send(error)
        return
    connection.send(None)

    @cache
    def reader_in(language: str) -> PageReader:
        return in_language(reader, language)

    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        answer: ReadResult | GlyphlineError
        try:
            answer = read_document(reader_in(job.language), job)
        except MissingPackage as error:  # its other arguments do not travel between processes
            answer = UserError(str(error))
        except GlyphlineError as error:
            answer = error
        except Exception as error:  # an error inside a library must not end the service
            answer = ImageError(f"{job.name} could not be read ({type(error).__name__}): save it again as PNG or JPEG")
        connection.send(answer)


def open_default_reader() -> PageReader:
    """Open the reader that the app uses: that of `glyphline read` without options."""
    from glyphline.reading.pages import open_reader

    return open_reader()


def open_adapted_reader(model: str) -> PageReader:
    """Open the reader that the app uses with another network. model: as `open_line_reader` takes it."""
    from glyphline.reading.lines import open_line_reader

    return replace(open_default_reader(), line_reader=open_line_reader(model))


def reader_opener(model: str) -> Callable[[], PageReader]:
    """The picklable function that opens the reader of a model: a bundled reader's name, or an .onnx file."""
    return open_default_reader if model == PHOTO else partial(open_adapted_reader, model)


def in_language(reader: PageReader, language: str) -> PageReader:
    """The reader with the language fixed; it shares the networks. Raises UserError with the choices."""
    from glyphline.reading.lines import LineReader
    from glyphline.reading.recognition.languages import AUTO, check_language

    if check_language(language) == AUTO or not isinstance(reader.line_reader, LineReader):
        return reader
    if not reader.line_reader.languages:  # its letters are those of one language
        return reader
    return replace(reader, line_reader=replace(reader.line_reader, languages=(language,)))


@dataclass(frozen=True)
class CorrectedReader:
    """A reader of pages that puts the texts that a person typed in place of those that it read."""

    reader: PageReader
    corrections: dict[int, Correction]  # by the number of a line of the first page

    @property
    def detector(self) -> Any:
        return self.reader.detector

    def read_pages(self, source: Any) -> Iterator[Page]:
        """The pages of `PageReader.read_pages`, the first with the corrections."""
        for number, page in enumerate(self.reader.read_pages(source)):
            yield page if number else self._correct(page)

    def _correct(self, page: Page) -> Page:
        """The page with the corrections. One with a place where now no line was read becomes a line of its own."""
        from glyphline.page import Line

        texts, added = dict[int, str](), list[Line]()
        for number, correction in self.corrections.items():
            place = _line_at(page, correction.polygon) if correction.polygon else number
            if place is None:
                added.append(Line(correction.text, 1.0, correction.polygon, ""))
            else:
                texts[place] = correction.text
        corrected = page.with_texts(texts)
        return replace(corrected, lines=(*corrected.lines, *added))


def _line_at(page: Page, polygon: Polygon) -> int | None:
    """The number of the line that has most of its area in common with a polygon, at least MIN_COMMON of either."""
    import cv2
    import numpy as np

    def hull(points: Polygon) -> Any:
        return cv2.convexHull(np.array(points, np.float32))

    wanted, shares = hull(polygon), []
    for line in page.lines:
        outline = hull(line.polygon)
        common, _ = cv2.intersectConvexConvex(wanted, outline)
        shares.append(common / max(1.0, cv2.contourArea(wanted), cv2.contourArea(outline)))
    best = int(np.argmax(shares)) if shares else 0
    return best if shares and shares[best] >= MIN_COMMON else None


def read_document(reader: PageReader, job: ReadJob) -> ReadResult:
    """Read all pages of a document and render them in one file.

    Raises ImageError for a document of more than `page_limit` pages, and of several pages in a format of one page;
    UserError for an unknown format; and what `PageReader.read_pages` raises.
    """
    from glyphline.imaging.documents import Document
    from glyphline.reading.batch import read_and_render
    from glyphline.reading.formats import open_format

    output_format = open_format(job.format_name)
    try:
        with Document(job.data) as document:
            count = len(document)
        if count > (limit := 1 if output_format.single_page else job.page_limit):
            raise ImageError(f"the image has {count} pages, more than {limit}: read it with glyphline read")
        corrected: Any = CorrectedReader(reader, job.corrections) if job.corrections else reader
        documents, pages = read_and_render(corrected, job.data, job.name, output_format)
    except ImageError as error:
        raise ImageError(str(error).replace("the image", job.name, 1)) from None
    return ReadResult(documents[0], pages)
