"""Glyphs of printable ASCII, drawn from OpenCV's Hershey vectors with random variation for each writer."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.composing.glyphs.contract import Glyph, GlyphSource

Points = npt.NDArray[np.float64]  # (P, 2): x to the right, y upwards from the baseline, in x-heights
Segment = tuple[int, int, int, int]  # x0, y0, x1, y1 in Hershey units; y upwards from the baseline

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX)
FONT_SHARES = (0.8, 0.1, 0.1)  # of the writers; most write the plain font
X_HEIGHT = 14  # Hershey units from the baseline to the top of x
TRACE_SCALE = 12  # px of a Hershey unit in the image from which the vectors are traced
VARIANTS = 64  # glyphs of one writer for each character
WRITERS = {"train": 4096, "val": 512, "test": 512}
_FIRST_WRITER = {"train": 0, "val": 1_000_000, "test": 2_000_000}  # far apart, so that no writer is in two splits
DRAW_SCALE = 28  # px of an x-height in a drawn glyph


@lru_cache(maxsize=512)
def trace_hershey(character: str, font: int) -> tuple[tuple[Segment, ...], int]:
    """Trace a character of one of OpenCV's Hershey fonts.

    character: one of printable ASCII without the space. font: one of OpenCV's numbers in FONTS.
    Returns its segments and its advance, in Hershey units. OpenCV draws the public-domain vectors of A. V. Hershey
    (1967) but has no function that returns them. At an integer scale every vertex of the drawing is on a node of the
    grid of Hershey units. The segments are therefore found among the lines between inked nodes: the longest first,
    each accepted if it is inked along its whole length and more than a quarter of it is in no accepted segment.
    """
    (width, _), _ = cv2.getTextSize(character, font, TRACE_SCALE, 1)
    side = 60 * TRACE_SCALE
    image = np.zeros((side, side), np.uint8)
    origin = np.array([15 * TRACE_SCALE, 38 * TRACE_SCALE])
    cv2.putText(image, character, origin.tolist(), font, TRACE_SCALE, 255, 1, cv2.LINE_8)
    y, x = np.nonzero(image)
    on_grid = ((x - origin[0]) % TRACE_SCALE == 0) & ((y - origin[1]) % TRACE_SCALE == 0)
    nodes = np.stack([x[on_grid], y[on_grid]], axis=1)
    if len(nodes) == 1:  # a dot
        dot = (nodes[0] - origin) // TRACE_SCALE
        return ((int(dot[0]), -int(dot[1]), int(dot[0]), -int(dot[1])),), width // TRACE_SCALE
    near_ink = cv2.dilate(image, np.ones((3, 3), np.uint8)) > 0
    first, second = np.triu_indices(len(nodes), 1)
    # nine points of each line are tested first, because this rejects most pairs of nodes at little cost
    fractions = np.linspace(0, 1, 9)[:, None, None]
    x, y = np.rint(nodes[first] * (1 - fractions) + nodes[second] * fractions).astype(int).transpose(2, 0, 1)
    is_candidate = near_ink[y, x].all(axis=0)
    first, second = first[is_candidate], second[is_candidate]
    lengths = np.hypot(*(nodes[first] - nodes[second]).T)
    uncovered = image > 0
    segments = []
    for pair in np.argsort(-lengths, kind="stable"):
        a, b = nodes[first[pair]], nodes[second[pair]]
        steps = np.linspace(0, 1, int(lengths[pair]) + 1)[:, None]
        x, y = np.rint(a + (b - a) * steps).astype(int).T
        if near_ink[y, x].all() and uncovered[y, x].mean() > 0.25:
            segments.append((*((a - origin) // TRACE_SCALE), *((b - origin) // TRACE_SCALE)))
            for dy, dx in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)):
                uncovered[y + dy, x + dx] = False
    return tuple((int(x0), -int(y0), int(x1), -int(y1)) for x0, y0, x1, y1 in segments), width // TRACE_SCALE


@dataclass(frozen=True)
class Skeleton:
    """The joints of a character and dense points on its segments: point = joints[a] * (1 - t) + joints[b] * t."""

    joints: Points  # (J, 2)
    a: npt.NDArray[np.intp]  # (P,) joint at the start of the point's segment
    b: npt.NDArray[np.intp]  # (P,) joint at its end
    t: Points  # (P, 1) position of the point between the two, 0..1
    ends: tuple[int, ...]  # for each segment the index after its last point
    advance: float  # x-heights


@lru_cache(maxsize=512)
def build_skeleton(character: str, font: int, density: float = 5.0) -> Skeleton:
    """Return the skeleton of a character of a Hershey font, with about `density` points for an x-height of length."""
    segments, advance = trace_hershey(character, font)
    joints = sorted({p for x0, y0, x1, y1 in segments for p in ((x0, y0), (x1, y1))})
    joint_index = {p: k for k, p in enumerate(joints)}
    counts = [2 + int(np.hypot(x1 - x0, y1 - y0) / X_HEIGHT * density) for x0, y0, x1, y1 in segments]
    return Skeleton(
        np.array(joints, np.float64) / X_HEIGHT,
        np.concatenate([np.full(n, joint_index[s[:2]]) for s, n in zip(segments, counts, strict=True)]),
        np.concatenate([np.full(n, joint_index[s[2:]]) for s, n in zip(segments, counts, strict=True)]),
        np.concatenate([np.linspace(0, 1, n) for n in counts])[:, None],
        tuple(int(e) for e in np.cumsum(counts)),
        advance / X_HEIGHT,
    )


@dataclass(frozen=True)
class Style:
    """The properties that all glyphs of a writer share."""

    font: int  # OpenCV's number of the Hershey font
    slant: float  # x-heights to the right for each x-height upwards
    width: float  # horizontal scale
    pen_width: float  # px at DRAW_SCALE
    jitter: float  # x-heights, standard deviation of the displacement of joints


@lru_cache(maxsize=8192)
def writer_style(writer: int) -> Style:
    """Return the style of a writer, a random function of the number `writer` alone."""
    rng = np.random.default_rng([writer, 1])
    return Style(
        int(rng.choice(FONTS, p=FONT_SHARES)), *map(float, rng.uniform((-0.15, 0.8, 1.6, 0.02), (0.3, 1.2, 4.0, 0.07)))
    )


class Strokes(GlyphSource):
    """Glyph number writer * VARIANTS + k is variant k of a writer. Each split has its own writers."""

    help = "strokes: printable ASCII from OpenCV's Hershey vectors, no file needed"
    name = "strokes"
    _characters = "".join(map(chr, range(33, 127)))

    def characters(self, split: str) -> str:
        return self._characters

    def count(self, character: str, split: str) -> int:
        return WRITERS[split] * VARIANTS if character and character in self._characters else 0

    def choose(self, character: str, split: str, writer: int, rng: np.random.Generator) -> int:
        """Return the index of a random variant by the writer."""
        return (writer % WRITERS[split]) * VARIANTS + int(rng.integers(VARIANTS))

    def digests(self, split: str) -> set[int]:
        """Return one digest for each writer of the split."""
        first = _FIRST_WRITER[split]
        return {zlib.crc32(f"{first + writer}".encode()) for writer in range(WRITERS[split])}

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        writer, variant = divmod(index, VARIANTS)
        return _draw_glyph(character, _FIRST_WRITER[split] + writer, variant)


@lru_cache(maxsize=4096)
def _draw_glyph(character: str, writer: int, variant: int) -> Glyph:
    """Displace the joints, bend the skeleton by a sine wave, apply the writer's width and slant, and draw it."""
    style = writer_style(writer)
    skeleton = build_skeleton(character, style.font)
    writer_rng = np.random.default_rng([writer, ord(character)])  # the same in all variants of the character
    variant_rng = np.random.default_rng([writer, ord(character), variant])
    n = len(skeleton.joints)
    offsets = writer_rng.normal(0, style.jitter, (n + 1, 2)) + variant_rng.normal(0, style.jitter * 0.6, (n + 1, 2))
    wave_amplitude = offsets[n]
    joints = skeleton.joints + offsets[:n]
    points = joints[skeleton.a] * (1 - skeleton.t) + joints[skeleton.b] * skeleton.t
    points = points + wave_amplitude * np.sin(3.0 * points[:, ::-1] + writer_rng.uniform(0, 6.28, 2))
    points[:, 0] = points[:, 0] * style.width + style.slant * points[:, 1]
    return _draw_polylines(points, skeleton.ends, style.pen_width, skeleton.advance * style.width)


def _draw_polylines(points: Points, ends: tuple[int, ...], pen_width: float, advance: float) -> Glyph:
    """Draw polylines as a cropped glyph. points and advance: x-heights; pen_width: px at DRAW_SCALE."""
    margin = pen_width / DRAW_SCALE
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    w, h = np.ceil((high - low) * DRAW_SCALE).astype(int) + 1
    ink = np.zeros((h, w), np.uint8)
    fraction_bits = 4  # OpenCV takes the points in 1/16 px
    scale = DRAW_SCALE << fraction_bits
    pixels = np.rint((points - (low[0], high[1])) * (scale, -scale)).astype(np.int32)
    lines = [pixels[start:end] for start, end in zip((0, *ends[:-1]), ends, strict=True)]
    cv2.polylines(ink, lines, False, 255, max(1, round(pen_width)), cv2.LINE_AA, fraction_bits)
    rows, columns = np.flatnonzero(ink.max(axis=1)), np.flatnonzero(ink.max(axis=0))
    top, left = int(rows[0]), int(columns[0])
    cropped = ink[top : rows[-1] + 1, left : columns[-1] + 1]
    upper = float(high[1]) - top / DRAW_SCALE
    return Glyph(cropped, upper, upper - len(cropped) / DRAW_SCALE, float(low[0]) + left / DRAW_SCALE, advance)
