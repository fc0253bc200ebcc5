"""Pictures of pages -> pages read: find, set upright, cut out, read with each engine, keep the surest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from glyphline.page import Character, Line, Page, Word
from glyphline.picture import Colour, Document, Grey, Source
from glyphline.reading.cutting import cut, onto, turned, turned_corners, widened
from glyphline.reading.finders import Corners, Finder, Piece, Whole, in_order
from glyphline.reading.order import Ordered, lines_of, sides
from glyphline.reading.reader import Reader

MARGIN = 0.06  # heights added above and below a line that is cut out
UPRIGHT_LINES = 4  # widest lines of a page that are read both ways up
CLEARLY = 1.3  # times as many characters must be right one way up as the other for a reader to be believed
TALL = 1.5  # a piece this many times as tall as it is wide stands on its side

Part = TypeVar("Part", Character, Word)


@dataclass
class PageReader:
    """Finds the lines of a page and reads each with every reader, the quickest first; the surest is believed.

    >>> import numpy as np
    >>> PageReader((Reader(),)).read(np.full((40, 200), 255, np.uint8)).text  # blank paper says nothing
    ''
    """

    readers: tuple[Reader, ...]
    finder: Finder = field(default_factory=Whole)
    upright: bool = True  # turn pages that lie on their side or stand on their head

    def read(self, source: Source) -> Page:
        """The first page of a picture, in any form that `Document` takes; raises PictureError as it does."""
        return next(self.read_pages(source))

    def read_pages(self, source: Source) -> Iterator[Page]:
        """Every page of a picture, one at a time."""
        with Document(source) as pages:
            for number in range(len(pages)):
                yield self.read_picture(pages.colour(number), number + 1)

    def read_lines(self, pictures: Sequence[Grey | Colour]) -> list[Line]:
        """Pictures of one line each, read by every reader, the surest of which is believed."""
        read = [reader.read_lines(pictures) for reader in self.readers]
        return [max(those, key=lambda line: line.confidence) for those in zip(*read, strict=True)]

    def read_picture(self, picture: Colour, number: int = 1) -> Page:
        """One page as it lies: (H, W, 3)."""
        height, width = picture.shape[:2]
        pieces, quarters = self._set_upright(picture, self.finder(picture))
        standing, found = turned(picture, quarters), lines_of(pieces)
        crops = [cut(standing, one.piece.corners, MARGIN) for one in found]
        lines = []
        for one, crop, line in zip(found, crops, self.read_lines(crops), strict=True):
            if line.text or line.unread:
                place = partial(turned_corners, quarters=-quarters, shape=standing.shape)
                lines.append(_placed(line, one, place, crop.shape))
        return Page(width, height, tuple(lines), number, 90 * quarters)

    def _set_upright(self, picture: Colour, pieces: list[Piece]) -> tuple[list[Piece], int]:
        """The pieces as they lie on the upright page, and the quarters by which it has to be turned anticlockwise.

        Text that runs up or down says that the page lies on its side; which side, or whether it stands on its head, its
        widest lines say: the way up in which more of their characters are probably right.
        """
        if not self.upright or not pieces:
            return pieces, 0
        lying = 0.0
        for piece in pieces:
            wide, tall = sides(piece.corners)
            lying += tall if tall > TALL * wide else -wide
        tried = []
        for quarters in (1, 3) if lying > 0 else (0, 2):
            there = [replace(p, corners=in_order(turned_corners(p.corners, quarters, picture.shape))) for p in pieces]
            widest = sorted(there, key=lambda p: -sides(p.corners)[0])[:UPRIGHT_LINES]
            page = turned(picture, quarters)
            tried.append((quarters, there, [cut(page, p.corners, MARGIN) for p in widest]))
        for reader in self.readers:  # the quickest first
            one, other = (_right(reader.read_lines(crops)) for _, _, crops in tried)
            if max(one, other) > CLEARLY * min(one, other):
                break
        quarters, there, _ = tried[int(other > one)]
        return there, quarters


def _right(lines: Sequence[Line]) -> float:
    """How many characters of some lines are probably right."""
    return sum(c.confidence for line in lines for c in line.characters)


def _placed(line: Line, found: Ordered, place: Callable[[Corners], Corners], shape: tuple[int, ...]) -> Line:
    """A line as it was read from a picture of a shape, with its places on the page."""
    wide = place(widened(found.piece.corners, MARGIN))
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
