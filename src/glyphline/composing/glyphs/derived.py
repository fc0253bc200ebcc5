"""Accented letters and typographic signs, drawn from the glyphs of another source.

EMNIST and the Hershey strokes have no accents. This source adds what the ten languages need: a mark of the width of the
pen above, below or through a letter, ligatures of two letters, and signs of strokes.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.composing.glyphs.contract import ALL, SPLITS, Glyph, GlyphSource

Polyline = tuple[tuple[float, float], ...]  # points (x, y) in x-heights, y upwards

RESOLUTION = 28  # px of an x-height in a drawn glyph
STROKE_WRITERS = 4096  # different drawings of a sign that is made of strokes alone
PEN_WIDTHS = (0.06, 0.16)  # x-heights, of such signs


@dataclass(frozen=True)
class Mark:
    """A diacritic: polylines around an anchor, and where the anchor is."""

    strokes: tuple[Polyline, ...]  # x-heights around the anchor
    anchor: str  # "above", "below", "right below", "through" or "across": see `_anchor`


_RING = tuple((0.15 * float(np.cos(a)), 0.3 + 0.15 * float(np.sin(a))) for a in np.linspace(0, 2 * np.pi, 13))
#: combining character of Unicode -> mark
MARKS: dict[str, Mark] = {
    "\u0300": Mark((((-0.2, 0.42), (0.08, 0.17)),), "above"),  # grave
    "\u0301": Mark((((0.2, 0.42), (-0.08, 0.17)),), "above"),  # acute
    "\u0302": Mark((((-0.22, 0.16), (0.0, 0.4), (0.22, 0.16)),), "above"),  # circumflex
    "\u0303": Mark((((-0.27, 0.2), (-0.12, 0.33), (0.08, 0.2), (0.25, 0.34)),), "above"),  # tilde
    "\u0307": Mark((((0.0, 0.26), (0.01, 0.28)),), "above"),  # dot
    "\u0308": Mark((((-0.18, 0.26), (-0.17, 0.28)), ((0.18, 0.26), (0.19, 0.28))), "above"),  # diaeresis
    "\u030a": Mark((_RING,), "above"),  # ring
    "\u0327": Mark((((0.0, 0.02), (0.1, -0.12), (0.06, -0.26), (-0.12, -0.28)),), "below"),  # cedilla
    "\u0328": Mark((((0.0, 0.04), (-0.12, -0.1), (-0.06, -0.25), (0.1, -0.24)),), "right below"),  # ogonek
    "/": Mark((((-0.5, -0.5), (0.5, 0.5)),), "through"),  # of ø; the unit is the size of the letter
    "-": Mark((((-0.26, -0.14), (0.26, 0.14)),), "across"),  # of ł
}

#: letter -> its base letters and the mark on them, for those that Unicode does not decompose
LETTERS: dict[str, tuple[str, str]] = {
    "ø": ("o", "/"), "Ø": ("O", "/"), "ł": ("l", "-"), "Ł": ("L", "-"),
    "æ": ("ae", ""), "Æ": ("AE", ""), "œ": ("oe", ""), "Œ": ("OE", ""),
}  # fmt: skip


@dataclass(frozen=True)
class Copy:
    """A glyph of the other source inside a sign."""

    character: str
    left: float  # x-heights
    top: float  # x-heights above the baseline
    scale: float = 1.0
    turned: bool = False  # rotated by 180 degrees
    width: float = 1.0  # times as wide


def _circle(x: float, y: float, radius: float) -> Polyline:
    angles = np.linspace(0, 2 * np.pi, 15)
    return tuple((x + radius * float(np.cos(a)), y + radius * float(np.sin(a))) for a in angles)


#: sign -> copies of glyphs and polylines that make it
SIGNS: dict[str, tuple[Copy | Polyline, ...]] = {
    "’": (Copy(",", 0.0, 1.6),),
    "‘": (Copy(",", 0.0, 1.6, turned=True),),
    "”": (Copy(",", 0.0, 1.6), Copy(",", 0.32, 1.6)),
    "“": (Copy(",", 0.0, 1.6, turned=True), Copy(",", 0.32, 1.6, turned=True)),
    "„": (Copy(",", 0.0, 0.12), Copy(",", 0.32, 0.12)),
    "«": (Copy("<", 0.0, 0.9, 0.55, width=0.7), Copy("<", 0.34, 0.9, 0.55, width=0.7)),
    "»": (Copy(">", 0.0, 0.9, 0.55, width=0.7), Copy(">", 0.34, 0.9, 0.55, width=0.7)),
    "…": (Copy(".", 0.0, 0.12), Copy(".", 0.4, 0.12), Copy(".", 0.8, 0.12)),
    "¿": (Copy("?", 0.0, 1.0, turned=True),),
    "¡": (Copy("!", 0.0, 1.0, turned=True),),
    "º": (Copy("o", 0.0, 1.6, 0.5),),
    "ª": (Copy("a", 0.0, 1.6, 0.5),),
    "§": (Copy("S", 0.0, 1.6, 0.7), Copy("S", 0.0, 1.05, 0.7)),
    "€": (Copy("C", 0.2, 1.5), ((0.0, 0.9), (0.75, 0.92)), ((0.0, 0.6), (0.7, 0.62))),
    "–": (((0.0, 0.5), (1.0, 0.52)),),
    "—": (((0.0, 0.5), (1.8, 0.52)),),
    "•": (_circle(0.25, 0.6, 0.08), _circle(0.25, 0.6, 0.16)),
    "°": (_circle(0.2, 1.35, 0.18),),
    "£": (
        ((0.7, 1.25), (0.58, 1.48), (0.36, 1.45), (0.27, 1.2), (0.3, 0.5), (0.2, 0.08), (0.02, 0.0), (0.75, 0.03)),
        ((0.05, 0.72), (0.6, 0.74)),
    ),
    "ß": (
        (
            (0.0, -0.25), (0.06, 0.9), (0.15, 1.35), (0.35, 1.5), (0.55, 1.38), (0.58, 1.15), (0.36, 0.9), (0.58, 0.7),
            (0.66, 0.35), (0.5, 0.04), (0.25, 0.05),
        ),
    ),
}  # fmt: skip


def decompose(character: str) -> tuple[str, str]:
    """The base letters of a letter and the key in MARKS of the mark on them.

    Both are empty for a character that is no letter with a mark.

    >>> decompose("é"), decompose("œ"), decompose("e")
    (('e', '́'), ('oe', ''), ('', ''))
    """
    if character in LETTERS:
        return LETTERS[character]
    parts = unicodedata.normalize("NFD", character)
    return (parts[0], parts[1]) if len(parts) == 2 and parts[1] in MARKS else ("", "")


#: the characters that are drawn where the other source lacks them
CHARACTERS = "".join(
    [
        *(c for c in map(chr, range(0xC0, 0x180)) if unicodedata.category(c)[0] == "L" and decompose(c)[0]),
        *SIGNS,
    ]
)


class Derived(GlyphSource):
    """The glyphs of another source, with accented letters and signs drawn from them.

    A character that the other source has is taken as it is. A glyph drawn from others belongs to their split.
    """

    help = "derived:SOURCE: another source, with accents and signs drawn from its glyphs"

    def __init__(self, source: GlyphSource) -> None:
        self.source, self.name = source, f"derived:{source.name}"

    def characters(self, split: str) -> str:
        own = self.source.characters(split)
        return own + "".join(c for c in CHARACTERS if c not in own and self.count(c, split))

    def count(self, character: str, split: str) -> int:
        own = self.source.count(character, split)
        if own or not character or character not in CHARACTERS:
            return own
        counts = [self.source.count(base, split) for base in _bases(character)]
        return int(np.prod(counts, dtype=np.int64)) if counts else STROKE_WRITERS

    def choose(self, character: str, split: str, writer: int, rng: np.random.Generator) -> int:
        """Return the index of a glyph whose parts are all in the style of the writer."""
        if self.source.count(character, split):
            return self.source.choose(character, split, writer, rng)
        bases = _bases(character)
        if not bases:
            return writer % STROKE_WRITERS
        index = 0
        for base in reversed(bases):
            index = index * self.source.count(base, split) + self.source.choose(base, split, writer, rng)
        return index

    def fingerprint(self) -> int:
        return self.source.fingerprint()

    def digests(self, split: str) -> set[int]:
        return self.source.digests(split)

    def has_few(self) -> bool:
        return self.source.has_few()

    def sharing(self) -> str:
        return self.source.sharing()

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        if self.source.count(character, split):
            return self.source.glyph(character, index, split)
        rng = np.random.default_rng([zlib.crc32(character.encode()), index, (*SPLITS, ALL).index(split)])
        glyphs = {}
        for base in _bases(character):
            index, number = divmod(index, self.source.count(base, split))
            glyphs[base] = self.source.glyph(base, number, split)
        if character in SIGNS:
            return _draw_sign(SIGNS[character], glyphs, rng)
        bases, mark = decompose(character)
        letter = _join_letters([glyphs[base] for base in bases])
        return _add_mark(letter, MARKS[mark], rng, bases in "ij") if mark else letter


@lru_cache(maxsize=512)
def _bases(character: str) -> tuple[str, ...]:
    """The different characters of the other source that a derived character is drawn from."""
    if character in SIGNS:
        return tuple(dict.fromkeys(part.character for part in SIGNS[character] if isinstance(part, Copy)))
    return tuple(dict.fromkeys(decompose(character)[0]))


@dataclass
class _Canvas:
    """Ink on a plane in x-heights: images and polylines, drawn at RESOLUTION."""

    images: list[tuple[npt.NDArray[np.uint8], float, float]]  # ink, left, top
    lines: list[tuple[npt.NDArray[np.float64], float]]  # points (P, 2), pen width; x-heights

    def draw(self, left: float | None, advance: float | None) -> Glyph:
        """The glyph of all ink. left, advance: as in Glyph, with the origin of the plane; None: without bearings."""
        corners = [(x, y) for ink, x, y in self.images]
        corners += [(x + ink.shape[1] / RESOLUTION, y - ink.shape[0] / RESOLUTION) for ink, x, y in self.images]
        for points, width in self.lines:
            corners += [tuple(points.min(0) - width), tuple(points.max(0) + width)]
        (x0, y0), (x1, y1) = np.min(corners, 0), np.max(corners, 0)
        w, h = (max(1, int(np.ceil(side * RESOLUTION)) + 1) for side in (x1 - x0, y1 - y0))
        plane = np.zeros((h, w), np.uint8)
        for ink, x, y in self.images:
            row, column = round((y1 - y) * RESOLUTION), round((x - x0) * RESOLUTION)
            window = plane[row : row + len(ink), column : column + ink.shape[1]]
            np.maximum(window, ink[: len(window), : window.shape[1]], out=window)
        for points, width in self.lines:
            pixels = np.rint((points - (x0, y1)) * (16 * RESOLUTION, -16 * RESOLUTION)).astype(np.int32)
            cv2.polylines(plane, [pixels], False, 255, max(1, round(width * RESOLUTION)), cv2.LINE_AA, 4)
        rows, columns = np.flatnonzero(plane.max(axis=1) > 0), np.flatnonzero(plane.max(axis=0) > 0)
        top, first = int(rows[0]), int(columns[0])
        cropped = plane[top : rows[-1] + 1, first : columns[-1] + 1]
        upper = float(y1) - top / RESOLUTION
        bearing = None if left is None else float(x0) + first / RESOLUTION
        return Glyph(cropped, upper, upper - len(cropped) / RESOLUTION, bearing, advance)


def _resized(glyph: Glyph, scale: float = 1.0, width: float = 1.0) -> npt.NDArray[np.uint8]:
    """The ink of a glyph at RESOLUTION times `scale`, and `width` times as wide."""
    h = max(1, round((glyph.top - glyph.bottom) * RESOLUTION * scale))
    w = max(1, round(glyph.ink.shape[1] * h / glyph.ink.shape[0] * width))
    shrinks = h < glyph.ink.shape[0]
    resized = cv2.resize(glyph.ink, (w, h), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)


def _pen_width(ink: npt.NDArray[np.uint8]) -> float:
    """The stroke width of ink at RESOLUTION, in x-heights: twice the area over the length of the outline."""
    values = np.pad(ink.astype(np.float64) / 255, 1)
    outline = np.abs(np.diff(values, axis=0)).sum() + np.abs(np.diff(values, axis=1)).sum()
    return float(np.clip(2 * values.sum() / max(outline, 1e-6) / RESOLUTION, 0.05, 0.3))


def _join_letters(letters: Sequence[Glyph]) -> Glyph:
    """One letter, or two that touch, narrowed, as a ligature."""
    if len(letters) == 1:
        return letters[0]
    first, second = (_resized(letter, width=0.85) for letter in letters)
    left = letters[0].left
    start = left or 0.0
    offset = start + first.shape[1] / RESOLUTION - _pen_width(first)
    canvas = _Canvas([(first, start, letters[0].top), (second, offset, letters[1].top)], [])
    advance = None if letters[0].advance is None else offset + second.shape[1] / RESOLUTION + max(0.0, start)
    return canvas.draw(left, advance)


def _without_dot(ink: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The ink of i or j without the components that are above the largest one."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((ink > 40).astype(np.uint8), connectivity=8)
    if count < 3:
        return ink
    body = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    upper_edge = stats[body, cv2.CC_STAT_TOP]
    dots = [k for k in range(1, count) if stats[k, cv2.CC_STAT_TOP] + stats[k, cv2.CC_STAT_HEIGHT] <= upper_edge]
    return np.where(np.isin(labels, dots), 0, ink)[upper_edge:] if dots else ink


def _add_mark(letter: Glyph, mark: Mark, rng: np.random.Generator, has_dot: bool) -> Glyph:
    """The letter with a mark: its place, size and strokes vary a little."""
    ink, top = _resized(letter), letter.top
    if has_dot:
        body = _without_dot(ink)
        top -= (len(ink) - len(body)) / RESOLUTION
        ink = body
    pen = min(0.15, 0.8 * _pen_width(ink))  # a thick pen would fill a ring and hide a letter behind a slash
    left = letter.left or 0.0
    width, height = ink.shape[1] / RESOLUTION, len(ink) / RESOLUTION
    x, y = {
        "above": (left + width / 2, top),
        "below": (left + width / 2, top - height),
        "right below": (left + 0.8 * width, top - height),
        "through": (left + width / 2, top - height / 2),
        "across": (left + width / 2, top - 0.45 * height),
    }[mark.anchor]
    scale = np.array([width * 1.15, height * 1.15]) if mark.anchor == "through" else float(rng.uniform(0.8, 1.25))
    shift = np.array([x, y]) + (0 if mark.anchor == "through" else rng.normal(0, 0.05, 2))
    lift = pen / 2 if mark.anchor == "above" else 0.0
    lines = [
        (np.array(stroke) * scale + shift + (0, lift) + rng.normal(0, 0.02, (len(stroke), 2)), pen)
        for stroke in mark.strokes
    ]
    return _Canvas([(ink, left, top)], lines).draw(letter.left, letter.advance)


def _draw_sign(
    parts: tuple[Copy | Polyline, ...], glyphs: dict[str, Glyph], rng: np.random.Generator
) -> Glyph:  # fmt: skip
    """A sign of copies of glyphs and of strokes, each point a little displaced."""
    canvas = _Canvas([], [])
    pen = float(rng.uniform(*PEN_WIDTHS))
    size = float(rng.uniform(0.9, 1.1))
    slant = float(rng.uniform(-0.1, 0.2))
    has_bearings = True
    for part in parts:
        if isinstance(part, Copy):
            glyph = glyphs[part.character]
            ink = _resized(glyph, part.scale, part.width)
            pen = _pen_width(ink)
            canvas.images.append((np.ascontiguousarray(ink[::-1, ::-1]) if part.turned else ink, part.left, part.top))
            has_bearings = has_bearings and glyph.advance is not None
        else:
            points = np.array(part) * size + rng.normal(0, 0.02, (len(part), 2))
            points[:, 0] += slant * (points[:, 1] - 0.5)
            canvas.lines.append((points, pen))
    drawn = canvas.draw(0.0, None)
    if not has_bearings:
        return Glyph(drawn.ink, drawn.top, drawn.bottom)
    bearing = float(rng.uniform(0.08, 0.2))
    return Glyph(drawn.ink, drawn.top, drawn.bottom, bearing, drawn.ink.shape[1] / RESOLUTION + 2 * bearing)
