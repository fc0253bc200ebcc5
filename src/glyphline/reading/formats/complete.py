"""Pages as documents need them: corners around every part, inside the image, and no character that is forbidden."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from glyphline.page import Character, Line, Page, Polygon, Word

BoundingBox = tuple[float, float, float, float]  # left, top, right, bottom, px
Part = TypeVar("Part", Character, Word)

DESCENT = 0.2  # share of a line's height below its baseline, about
#: controls, halves of surrogate pairs and what is no character: XML 1.0 forbids or discourages them
UNWRITABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")


def writable(text: str) -> str:
    """The text without what no document may hold; bytes of a file's name that are no text are shown as such.

    >>> writable("a\\x00b\\udcffc")
    'ab�c'
    """
    return UNWRITABLE.sub("", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def complete(page: Page) -> Page:
    """The page with a polygon around each part, and with words on each line that says something.

    Places that were never told follow from those around them: a word has its share of its line, a line its share of the
    page. Places end at the edges of the image, confidences at 0 and 1; texts are writable, each on one line.

    >>> complete(Page(20, 10, (Line("a\\x07b c", 0.5, (), ""),))).lines[0].words[0].polygon
    ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
    """
    tall = page.height / max(1, len(page.lines))
    shares = (level(0.0, k * tall, float(page.width), (k + 1) * tall) for k in range(len(page.lines)))
    return replace(page, lines=tuple(_complete(*both, page) for both in zip(page.lines, shares, strict=True)))


def _complete(line: Line, spare: Polygon, page: Page) -> Line:
    """A line with all its places; `spare` is where it stands if nothing tells."""
    text = "" if line.rejected else " ".join(writable(line.text).split())
    characters, words = (_written(line.characters), _written(line.words)) if text else ((), ())
    if not words:
        words = tuple(Word(word, line.confidence, 0.0, 0.0) for word in text.split())
    polygon = line.polygon or _around(characters or words, spare)
    corners = corners_of(polygon)
    return replace(
        line,
        text=text,
        confidence=_share(line.confidence),
        polygon=_inside(polygon, page),
        characters=tuple(_settled(part, where, page) for part, where in _places(characters, corners, gap=0)),
        words=tuple(_settled(part, where, page) for part, where in _places(words, corners, gap=1)),
    )


def _written(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts of which something can be written; spaces stay."""
    texts = [" " if part.text.isspace() else " ".join(writable(part.text).split()) for part in parts]
    return tuple(replace(part, text=text) for part, text in zip(parts, texts, strict=True) if text)


def _settled(part: Part, polygon: Polygon, page: Page) -> Part:
    inside = _inside(polygon, page)
    left, _, right, _ = box_of(inside)
    return replace(part, confidence=_share(part.confidence), polygon=inside, left=left, right=right)


def _around(parts: Sequence[Character] | Sequence[Word], spare: Polygon) -> Polygon:
    """Around the parts of a line whose own polygon is not known."""
    placed = [corners_of(part.polygon) for part in parts if part.polygon]
    if placed:
        return placed[0][0], placed[-1][1], placed[-1][2], placed[0][3]
    if any(part.right > part.left for part in parts):
        return level(min(p.left for p in parts), spare[0][1], max(p.right for p in parts), spare[2][1])
    return spare


def _places(parts: Sequence[Part], corners: Polygon, gap: int) -> Iterable[tuple[Part, Polygon]]:
    """Each part and where it stands on a line: as told, else by its columns, else by its share of the characters."""
    (x0, y0), (x1, y1) = corners[0], corners[1]
    total = max(1, sum(len(part.text) + gap for part in parts) - gap)
    told = abs(x1 - x0) > abs(y1 - y0) and any(part.right > part.left for part in parts)
    done = 0
    for part in parts:
        start, end = done / total, (done + len(part.text)) / total
        done += len(part.text) + gap
        if told:
            start, end = sorted(_share((x - x0) / (x1 - x0)) for x in (part.left, part.right))
        yield part, part.polygon or between(corners, start, end)


def _share(number: float) -> float:
    return min(1.0, max(0.0, number))


def _inside(polygon: Polygon, page: Page) -> Polygon:
    return tuple((min(float(page.width), max(0.0, x)), min(float(page.height), max(0.0, y))) for x, y in polygon)


# ----------------------------------------------------------------------------------------------------------- corners


def level(left: float, top: float, right: float, bottom: float) -> Polygon:
    """The corners of an upright box."""
    return (left, top), (right, top), (right, bottom), (left, bottom)


def corners_of(polygon: Polygon) -> Polygon:
    """Upper left, upper right, lower right and lower left of the text in a polygon of one corner or more."""
    return polygon if len(polygon) == 4 else level(*box_of(polygon))


def between(corners: Polygon, start: float, end: float) -> Polygon:
    """The corners of what lies between two shares (0..1) of a line's width."""
    upper_left, upper_right, lower_right, lower_left = corners
    upper, lower = (upper_left, upper_right), (lower_left, lower_right)
    return along(*upper, start), along(*upper, end), along(*lower, end), along(*lower, start)


def along(start: tuple[float, float], end: tuple[float, float], share: float) -> tuple[float, float]:
    """The point at a share (0..1) of the way."""
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def baseline_of(polygon: Polygon) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the text in a polygon stands, about: from its start to its end."""
    upper_left, upper_right, lower_right, lower_left = corners_of(polygon)
    return along(lower_left, upper_left, DESCENT), along(lower_right, upper_right, DESCENT)


def box_of(polygon: Polygon) -> BoundingBox:
    """The upright box around a polygon of one corner or more."""
    across, down = zip(*polygon, strict=True)
    return min(across), min(down), max(across), max(down)


def around(boxes: Iterable[BoundingBox]) -> BoundingBox:
    """The upright box around boxes, one or more."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)
