"""Prepares pages for documents: fills in missing polygons, clips coordinates to the image, sanitizes the text.

Also holds the geometry of boxes and quadrilaterals that the formats share.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from glyphline.page import Character, Line, Page, Polygon, Word

BoundingBox = tuple[float, float, float, float]  # left, top, right, bottom, px
CharacterOrWord = TypeVar("CharacterOrWord", Character, Word)

DESCENT = 0.2  # assumed share of a line's height below its baseline
#: control characters, surrogates and noncharacters, which XML 1.0 forbids or discourages
FORBIDDEN_CHARACTERS = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")


def sanitize_text(text: str) -> str:
    """Remove the characters that XML 1.0 forbids or discourages, and replace lone surrogates by U+FFFD.

    Lone surrogates come from file names that are not valid UTF-8.

    >>> sanitize_text("a\\x00b\\udcffc")
    'ab�c'
    """
    return FORBIDDEN_CHARACTERS.sub("", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def complete_page(page: Page) -> Page:
    """Return the page with a polygon for each line, word and character, and with words on each line that has text.

    Missing words are split from the text. A missing polygon is derived from the characters and words of the line, from
    their columns, or from an equal share: of the line for a word or a character, of the page for a line. Polygons are
    clipped to the image, confidences to 0..1. The columns of words and characters become those of their polygons. Texts
    are sanitized. White space in them, line breaks included, becomes single spaces. Rejected lines lose their text,
    words and characters.

    >>> complete_page(Page(20, 10, (Line("a\\x07b c", 0.5, (), ""),))).lines[0].words[0].polygon
    ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
    """
    height = page.height / max(1, len(page.lines))
    fallbacks = (box_polygon(0.0, k * height, float(page.width), (k + 1) * height) for k in range(len(page.lines)))
    lines = (_complete_line(line, fallback, page) for line, fallback in zip(page.lines, fallbacks, strict=True))
    certainty = None if page.rotation_confidence is None else _clip_to_unit(page.rotation_confidence)
    return replace(page, lines=tuple(lines), rotation_confidence=certainty)


def _complete_line(line: Line, fallback: Polygon, page: Page) -> Line:
    """`fallback`: the polygon of the line where neither it nor its characters and words have a place."""
    text = "" if line.rejected else " ".join(sanitize_text(line.text).split())
    characters, words = (_sanitize_items(line.characters), _sanitize_items(line.words)) if text else ((), ())
    if not words:
        words = tuple(Word(word, line.confidence, 0.0, 0.0) for word in text.split())
    polygon = line.polygon or _enclosing_polygon(characters or words, fallback)
    corners = corners_of(polygon)
    return replace(
        line,
        text=text,
        confidence=_clip_to_unit(line.confidence),
        polygon=_clip_polygon(polygon, page),
        characters=tuple(_place_item(item, where, page) for item, where in _locate_items(characters, corners, gap=0)),
        words=tuple(_place_item(item, where, page) for item, where in _locate_items(words, corners, gap=1)),
    )


def _sanitize_items(items: Sequence[CharacterOrWord]) -> tuple[CharacterOrWord, ...]:
    """Sanitize the texts, and drop items without text; whitespace becomes a space."""
    texts = [" " if item.text.isspace() else " ".join(sanitize_text(item.text).split()) for item in items]
    return tuple(replace(item, text=text) for item, text in zip(items, texts, strict=True) if text)


def _place_item(item: CharacterOrWord, polygon: Polygon, page: Page) -> CharacterOrWord:
    """Set the polygon and the columns, clipped to the image."""
    clipped = _clip_polygon(polygon, page)
    left, _, right, _ = bounding_box(clipped)
    return replace(item, confidence=_clip_to_unit(item.confidence), polygon=clipped, left=left, right=right)


def _enclosing_polygon(items: Sequence[Character] | Sequence[Word], fallback: Polygon) -> Polygon:
    """The polygon of a line from the polygons or the columns of its characters or words."""
    quadrilaterals = [corners_of(item.polygon) for item in items if item.polygon]
    if quadrilaterals:
        first, last = quadrilaterals[0], quadrilaterals[-1]
        return first[0], last[1], last[2], first[3]
    if any(item.right > item.left for item in items):
        left, right = min(item.left for item in items), max(item.right for item in items)
        return box_polygon(left, fallback[0][1], right, fallback[2][1])
    return fallback


def _locate_items(
    items: Sequence[CharacterOrWord], corners: Polygon, gap: int
) -> Iterable[tuple[CharacterOrWord, Polygon]]:
    """Yield each item with its polygon: its own, else from its columns, else from its share of the characters.

    gap: characters between two items.
    """
    (x0, y0), (x1, y1) = corners[0], corners[1]
    total = max(1, sum(len(item.text) + gap for item in items) - gap)
    # columns locate an item only on a line that runs more across than down
    use_columns = abs(x1 - x0) > abs(y1 - y0) and any(item.right > item.left for item in items)
    position = 0
    for item in items:
        start, end = position / total, (position + len(item.text)) / total
        position += len(item.text) + gap
        if use_columns:
            start, end = sorted(_clip_to_unit((x - x0) / (x1 - x0)) for x in (item.left, item.right))
        yield item, item.polygon or slice_quadrilateral(corners, start, end)


def _clip_to_unit(number: float) -> float:
    return min(1.0, max(0.0, number))


def _clip_polygon(polygon: Polygon, page: Page) -> Polygon:
    return tuple((min(float(page.width), max(0.0, x)), min(float(page.height), max(0.0, y))) for x, y in polygon)


# ---------------------------------------------------------------------------------------------------------- geometry


def box_polygon(left: float, top: float, right: float, bottom: float) -> Polygon:
    """Return the corners of an upright box, clockwise from the upper left."""
    return (left, top), (right, top), (right, bottom), (left, bottom)


def corners_of(polygon: Polygon) -> Polygon:
    """Return the upper left, upper right, lower right and lower left corner of the text in a polygon.

    A polygon of four points is returned unchanged, any other is replaced by its bounding box. It may not be empty.
    """
    return polygon if len(polygon) == 4 else box_polygon(*bounding_box(polygon))


def slice_quadrilateral(corners: Polygon, start: float, end: float) -> Polygon:
    """Return the corners of the slice of a quadrilateral between two fractions (0..1) of its width."""
    upper_left, upper_right, lower_right, lower_left = corners
    upper, lower = (upper_left, upper_right), (lower_left, lower_right)
    return interpolate(*upper, start), interpolate(*upper, end), interpolate(*lower, end), interpolate(*lower, start)


def interpolate(start: tuple[float, float], end: tuple[float, float], fraction: float) -> tuple[float, float]:
    """Return the point at a fraction (0..1) of the way from `start` to `end`."""
    return start[0] + fraction * (end[0] - start[0]), start[1] + fraction * (end[1] - start[1])


def baseline_of(polygon: Polygon) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the start and the end of the baseline, taken to lie DESCENT of the height above the lower edge."""
    upper_left, upper_right, lower_right, lower_left = corners_of(polygon)
    return interpolate(lower_left, upper_left, DESCENT), interpolate(lower_right, upper_right, DESCENT)


def bounding_box(polygon: Polygon) -> BoundingBox:
    """Return the upright box around a polygon of at least one point."""
    xs, ys = zip(*polygon, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def enclosing_box(boxes: Iterable[BoundingBox]) -> BoundingBox:
    """Return the upright box around at least one box."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)
