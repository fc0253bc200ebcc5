"""Pictures of pages -> pages read: find, set upright, cut out, read line by line, leave out what would be guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from typing import Protocol, TypeVar

from glyphline.page import Character, Line, Page, Word
from glyphline.picture import Colour, Document, Grey, Source
from glyphline.reading.choosing import Surest, is_spelled
from glyphline.reading.constraints import Constraint
from glyphline.reading.cutting import cut, onto, turned, turned_corners, widened
from glyphline.reading.engines import BUNDLED, PADDLE, Engine
from glyphline.reading.finders import Corners, Finder, Piece, Whole, in_order, open_finder
from glyphline.reading.order import Ordered, lines_of, sides
from glyphline.reading.reader import Reader, open_line_reader

AUTO = "auto"  # the best that is installed, of readers and of finders
LEAST = 0.7  # share of a line that is probably right, below which it is left unread rather than guessed
MARGIN = 0.06  # heights added above and below a line that is cut out
UPRIGHT_LINES = 4  # widest lines of a page that are read the other way up
CLEARLY = 1.5  # times as much must be right for a page to be turned on its head
WELL = 0.85  # share of the letters in words probably right that makes looking at the other way up needless
TALL = 1.5  # a piece this many times as tall as it is wide stands on its side
LONE, CHANCE = 2, 0.6  # characters; confidence of finding times that of reading, below which they are no text
LONGEST = 300  # heights; what is longer is a rule or an edge

Part = TypeVar("Part", Character, Word)


class LineReader(Protocol):
    """Reads pictures of one line each: a Reader, or several as one."""

    @property
    def calibrated(self) -> bool: ...

    def read_lines(self, pictures: Sequence[Grey | Colour]) -> list[Line]: ...


def open_reader(
    model: str | Engine = AUTO, decoder: str = "beam", finder: str = AUTO, least: float | None = None,
    constraint: Callable[[Engine], Constraint] | None = None,
) -> PageReader:  # fmt: skip
    """A reader of pages.

    model: "auto" (the bundled reader, and PP-OCR's recogniser where rapidocr is installed; both are weighed line by
    line), a bundled reader's name, "pp-ocr", an .onnx file, or an engine. decoder, finder: their names, see DECODERS
    and FINDERS; "auto" finds with PP-OCR's detector where it is installed, else by ink. least: lines of which a smaller
    share is probably right stay unread; by default LEAST, or 0 for a model that was never calibrated. constraint: what
    lines may say. Raises UserError or DataError naming the choices, MissingPackage.
    """
    photo = find_spec("rapidocr") is not None
    models: list[str | Engine] = [model] if model != AUTO else [BUNDLED, PADDLE] if photo else [BUNDLED]
    readers = [open_line_reader(one, decoder, constraint) for one in models]
    lines = readers[0] if len(readers) == 1 else Surest(tuple(readers))
    if least is None:  # the confidence of a model that was never calibrated means nothing
        least = LEAST if lines.calibrated else 0.0
    if finder == AUTO:
        finder = "photo" if photo else "paper"
    return PageReader(lines, open_finder(finder), least=least)


@dataclass
class PageReader:
    """Finds the lines of a page and reads them.

    >>> import numpy as np
    >>> PageReader(Reader()).read(np.full((40, 200), 255, np.uint8)).text  # blank paper says nothing
    ''
    """

    reader: LineReader = field(default_factory=Reader)
    finder: Finder = field(default_factory=Whole)
    upright: bool = True  # turn pages that lie on their side or stand on their head; a picture of one line is left so
    least: float = 0.0  # lines of which a smaller share is probably right are left unread rather than guessed

    def read(self, source: Source) -> Page:
        """The first page of a picture, in any form that `Document` takes; raises PictureError as it does."""
        return next(self.read_pages(source))

    def read_pages(self, source: Source) -> Iterator[Page]:
        """Every page of a picture, one at a time."""
        with Document(source) as pages:
            for number in range(len(pages)):
                yield self.read_picture(pages.colour(number), number + 1)

    def read_picture(self, picture: Colour, number: int = 1) -> Page:
        """One page as it lies: (H, W, 3)."""
        height, width = picture.shape[:2]
        quarters, found, crops, lines = self._upright(picture, self.finder(picture))
        standing = (width, height) if quarters % 2 else (height, width)
        place = partial(turned_corners, quarters=-quarters, shape=standing)
        placed = [
            self._sure(_placed(spelled(line), one, place, crop.shape, self.margin))
            for one, crop, line in zip(found, crops, lines, strict=True)
            if line.text and not _is_chance(line, one.piece)
        ]
        return Page(width, height, tuple(placed), number, 90 * quarters)

    @property
    def margin(self) -> float:
        """Heights added above and below a line that is cut out."""
        return 0.0 if isinstance(self.finder, Whole) else MARGIN

    def _upright(self, picture: Colour, pieces: list[Piece]) -> tuple[int, list[Ordered], list[Colour], list[Line]]:
        """Quarters by which the page is turned anticlockwise to stand upright, its lines, cut out and read.

        Text that runs up or down says that the page lies on its side; which side, or whether it stands on its head, its
        widest lines say, unless a page that stands reads well as it is.
        """
        if not self.upright or isinstance(self.finder, Whole):
            return self._read(picture, pieces, 0)
        lying = 0.0
        for piece in pieces:
            wide, tall = sides(piece.corners)
            lying += tall if tall > TALL * wide else -wide
        first = 1 if lying > 0 else 0
        quarters, found, crops, lines = self._read(picture, pieces, first)
        if not found or (first == 0 and _likely(lines) >= WELL * _letters(lines) > 0):
            return quarters, found, crops, lines
        widest = sorted(range(len(found)), key=lambda k: -sides(found[k].piece.corners)[0])[:UPRIGHT_LINES]
        other = self.reader.read_lines([turned(crops[k], 2) for k in widest])  # the same lines, on their heads
        # pages lie on either side, but few stand on their heads
        if _likely(other) > (1 if first else CLEARLY) * _likely([lines[k] for k in widest]):
            return self._read(picture, pieces, first + 2)
        return quarters, found, crops, lines

    def _read(
        self, picture: Colour, pieces: list[Piece], quarters: int
    ) -> tuple[int, list[Ordered], list[Colour], list[Line]]:
        """The page read once it is turned by quarters."""
        standing = turned(picture, quarters)
        there = [replace(p, corners=in_order(turned_corners(p.corners, quarters, picture.shape))) for p in pieces]
        found = [one for one in lines_of(there) if isinstance(self.finder, Whole) or _is_line(one.piece)]
        crops = [cut(standing, one.piece.corners, self.margin) for one in found]
        return quarters, found, crops, self.reader.read_lines(crops)

    def _sure(self, line: Line) -> Line:
        """The line, or without its text where it would be guessed."""
        if line.characters and _right([line]) < self.least * len(line.characters):
            return replace(line, text="", characters=(), words=(), unread=True)
        return line


def _is_chance(line: Line, piece: Piece) -> bool:
    """Whether a lone character or two are what twigs and tiles look like: neither found nor read with confidence."""
    doubted = piece.confidence < 1  # by a finder that looks for text, not for ink
    return doubted and len(line.text) <= LONE and piece.confidence * _right([line]) < CHANCE * len(line.characters)


def _is_line(piece: Piece) -> bool:
    wide, tall = sides(piece.corners)
    return tall >= 1 and wide <= LONGEST * tall


def spelled(line: Line) -> Line:
    """The line with a space between all of its letters where most are set apart, as in an alphabet (`is_spelled`).

    Networks miss the narrower ones of such spaces.
    """
    if not is_spelled(line.text):
        return line
    inked = [c for c in line.characters if not c.text.isspace()]
    out = inked[:1]
    for a, b in pairwise(inked):
        around = (a.polygon[1], b.polygon[0], b.polygon[3], a.polygon[2]) if a.polygon and b.polygon else ()
        out += [Character(" ", min(a.confidence, b.confidence), a.right, b.left, around), b]
    return replace(line, text="".join(c.text for c in out), characters=tuple(out), words=())


def _likely(lines: Sequence[Line]) -> float:
    """How many letters stand in words that are probably right; text on its head reads as words that are none."""
    return sum(word.confidence * len(word.text) for line in lines for word in line.words)


def _letters(lines: Sequence[Line]) -> int:
    return sum(len(word.text) for line in lines for word in line.words)


def _right(lines: Sequence[Line]) -> float:
    """How many characters of some lines are probably right."""
    return sum(c.confidence for line in lines for c in line.characters)


def _placed(
    line: Line, found: Ordered, place: Callable[[Corners], Corners], shape: tuple[int, ...], margin: float
) -> Line:
    """A line as it was read from a picture of a shape, with its places on the page."""
    wide = place(widened(found.piece.corners, margin))
    move = partial(onto, wide, (shape[1], shape[0]))

    def moved(part: Part) -> Part:
        polygon = move(part.polygon)
        across = [x for x, _ in polygon]
        return replace(part, polygon=polygon, left=min(across), right=max(across))

    corners = tuple((float(x), float(y)) for x, y in place(found.piece.corners))
    return replace(
        line, polygon=corners, paragraph=found.paragraph, characters=tuple(map(moved, line.characters)),
        words=tuple(map(moved, line.words)),
    )  # fmt: skip
