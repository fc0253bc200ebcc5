"""Strokes: printable ASCII drawn from the Hershey vectors inside OpenCV, varied like hands vary; needs no file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.composing.glyphs.contract import Glyph, GlyphSource

Points = npt.NDArray[np.float64]  # (P, 2) x to the right, y upwards from the baseline, in x-heights

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX)
FONT_SHARES = (0.8, 0.1, 0.1)  # the plain hand is the commonest
X_HEIGHT = 14  # Hershey units from the baseline to the top of x
SCALE = 12  # px a Hershey unit when the vectors are recovered
VARIANTS = 64  # glyphs a hand writes of each character
WRITERS = {"train": 4096, "val": 512, "test": 512}
_FIRST_WRITER = {"train": 0, "val": 1_000_000, "test": 2_000_000}  # numbers of hands; no split shares one
DRAW = 28  # px an x-height when a glyph is drawn


@lru_cache(maxsize=512)
def hershey(character: str, font: int) -> tuple[tuple[tuple[int, int, int, int], ...], int]:
    """The segments (x0, y0, x1, y1) of a character in Hershey units above the baseline, and its advance.

    OpenCV draws the public-domain vectors of A. V. Hershey (1967) but does not hand them out: at a whole
    scale every vertex lands on a grid node, so the longest inked lines between nodes are the segments.
    """
    (width, _), _ = cv2.getTextSize(character, font, SCALE, 1)
    side = 60 * SCALE
    image = np.zeros((side, side), np.uint8)
    origin = np.array([15 * SCALE, 38 * SCALE])
    cv2.putText(image, character, origin.tolist(), font, SCALE, 255, 1, cv2.LINE_8)
    y, x = np.nonzero(image)
    on_grid = ((x - origin[0]) % SCALE == 0) & ((y - origin[1]) % SCALE == 0)
    nodes = np.stack([x[on_grid], y[on_grid]], axis=1)
    if len(nodes) == 1:  # a dot
        dot = (nodes[0] - origin) // SCALE
        return ((int(dot[0]), -int(dot[1]), int(dot[0]), -int(dot[1])),), width // SCALE
    near = cv2.dilate(image, np.ones((3, 3), np.uint8)) > 0
    first, second = np.triu_indices(len(nodes), 1)
    places = np.linspace(0, 1, 9)[:, None, None]  # a cheap look at nine points drops most pairs
    x, y = np.rint(nodes[first] * (1 - places) + nodes[second] * places).astype(int).transpose(2, 0, 1)
    likely = near[y, x].all(axis=0)
    first, second = first[likely], second[likely]
    lengths = np.hypot(*(nodes[first] - nodes[second]).T)
    open_ink = image > 0
    segments = []
    for pair in np.argsort(-lengths, kind="stable"):
        a, b = nodes[first[pair]], nodes[second[pair]]
        steps = np.linspace(0, 1, int(lengths[pair]) + 1)[:, None]
        x, y = np.rint(a + (b - a) * steps).astype(int).T
        if near[y, x].all() and open_ink[y, x].mean() > 0.25:
            segments.append((*((a - origin) // SCALE), *((b - origin) // SCALE)))
            for dy, dx in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)):
                open_ink[y + dy, x + dx] = False
    return tuple((int(x0), -int(y0), int(x1), -int(y1)) for x0, y0, x1, y1 in segments), width // SCALE


@dataclass(frozen=True)
class Skeleton:
    """A character as joints and the dense points between them: point = joints[a] * (1 - t) + joints[b] * t."""

    joints: Points  # (J, 2)
    a: npt.NDArray[np.intp]  # (P,)
    b: npt.NDArray[np.intp]  # (P,)
    t: Points  # (P, 1)
    ends: tuple[int, ...]  # where each segment's points end
    advance: float  # x-heights


@lru_cache(maxsize=512)
def skeleton(character: str, font: int, dense: float = 5.0) -> Skeleton:
    """The segments of a character with about `dense` points an x-height."""
    segments, advance = hershey(character, font)
    corners = sorted({p for x0, y0, x1, y1 in segments for p in ((x0, y0), (x1, y1))})
    number = {p: k for k, p in enumerate(corners)}
    counts = [2 + int(np.hypot(x1 - x0, y1 - y0) / X_HEIGHT * dense) for x0, y0, x1, y1 in segments]
    return Skeleton(
        np.array(corners, np.float64) / X_HEIGHT,
        np.concatenate([np.full(n, number[s[:2]]) for s, n in zip(segments, counts, strict=True)]),
        np.concatenate([np.full(n, number[s[2:]]) for s, n in zip(segments, counts, strict=True)]),
        np.concatenate([np.linspace(0, 1, n) for n in counts])[:, None],
        tuple(int(e) for e in np.cumsum(counts)),
        advance / X_HEIGHT,
    )


@dataclass(frozen=True)
class Style:
    """What one hand keeps to."""

    font: int
    slant: float
    width: float
    thick: float  # px at DRAW px an x-height
    shake: float  # x-heights, how far joints stray


@lru_cache(maxsize=8192)
def style_of(number: int) -> Style:
    """The style of hand `number`, always the same."""
    rng = np.random.default_rng([number, 1])
    return Style(
        int(rng.choice(FONTS, p=FONT_SHARES)), *map(float, rng.uniform((-0.15, 0.8, 1.6, 0.02), (0.3, 1.2, 4.0, 0.07)))
    )


class Strokes(GlyphSource):
    """Glyph number hand * VARIANTS + k is the k-th try of that hand; hands of different splits never meet."""

    help = "strokes: printable ASCII from OpenCV's Hershey vectors, no file needed"
    name = "strokes"
    _characters = "".join(map(chr, range(33, 127)))

    def characters(self, split: str) -> str:
        return self._characters

    def count(self, character: str, split: str) -> int:
        return WRITERS[split] * VARIANTS if character and character in self._characters else 0

    def choose(self, character: str, split: str, writer: int, rng: np.random.Generator) -> int:
        return (writer % WRITERS[split]) * VARIANTS + int(rng.integers(VARIANTS))

    def digests(self, split: str) -> set[int]:
        first = _FIRST_WRITER[split]
        return {zlib.crc32(f"{first + writer}".encode()) for writer in range(WRITERS[split])}

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        writer, variant = divmod(index, VARIANTS)
        return _written(character, _FIRST_WRITER[split] + writer, variant)


@lru_cache(maxsize=4096)
def _written(character: str, writer: int, variant: int) -> Glyph:
    """Joints moved, the whole bent by a slow wave, widened and slanted, drawn with the hand's pen."""
    style = style_of(writer)
    bones = skeleton(character, style.font)
    habit = np.random.default_rng([writer, ord(character)])  # how this hand always forms this character
    own = np.random.default_rng([writer, ord(character), variant])
    n = len(bones.joints)
    stray = habit.normal(0, style.shake, (n + 1, 2)) + own.normal(0, style.shake * 0.6, (n + 1, 2))
    joints = bones.joints + stray[:n]
    points = joints[bones.a] * (1 - bones.t) + joints[bones.b] * bones.t
    points = points + stray[n] * np.sin(3.0 * points[:, ::-1] + habit.uniform(0, 6.28, 2))
    points[:, 0] = points[:, 0] * style.width + style.slant * points[:, 1]
    return _draw(points, bones.ends, style.thick, bones.advance * style.width)


def _draw(points: Points, ends: tuple[int, ...], thick: float, advance: float) -> Glyph:
    """Polylines in x-heights -> a cropped glyph; thick is the pen in px at DRAW px an x-height."""
    pad = thick / DRAW
    low, high = points.min(axis=0) - pad, points.max(axis=0) + pad
    w, h = np.ceil((high - low) * DRAW).astype(int) + 1
    ink = np.zeros((h, w), np.uint8)
    shift = 4  # 1/16 px
    pixels = np.rint((points - (low[0], high[1])) * (DRAW << shift, -(DRAW << shift))).astype(np.int32)
    lines = [pixels[start:end] for start, end in zip((0, *ends[:-1]), ends, strict=True)]
    cv2.polylines(ink, lines, False, 255, max(1, round(thick)), cv2.LINE_AA, shift)
    rows, columns = np.flatnonzero(ink.max(axis=1)), np.flatnonzero(ink.max(axis=0))
    top, left = int(rows[0]), int(columns[0])
    cropped = ink[top : rows[-1] + 1, left : columns[-1] + 1]
    upper = float(high[1]) - top / DRAW
    return Glyph(cropped, upper, upper - len(cropped) / DRAW, float(low[0]) + left / DRAW, advance)
