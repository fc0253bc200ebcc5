"""One line: a layout samples every random number into a record, then draws the record as a pure function.

FAMILY of layouts: "tiles" (the report's), "overlap" (FSDL's EMNIST lines), "natural" (as people write). To add one:
subclass Layout, add a row to LAYOUTS at the bottom.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.composing.counter_rng import random_int, random_uint64
from glyphline.composing.effects import Params, apply_effects, sample_effects
from glyphline.composing.glyphs import TILE, GlyphSource, ink_boxes
from glyphline.errors import AlphabetError, RecipeError

GreyImage = npt.NDArray[np.uint8]  # (H, W)
GlyphBox = tuple[int, int, int, int]  # (left, top, right, bottom) px in the line's image, ends exclusive


@dataclass(frozen=True)
class PlacedGlyph:
    """One character of a line: whose glyph it is and the rectangle it fills before any bending, px."""

    character: str
    source: int  # position in the pool
    index: int
    left: float
    top: float
    width: float
    height: float
    warp: int = -1  # which of the WARPS bends it (tiles with jitter); -1: none
    tilt: float = 0.0  # radians anticlockwise about its middle
    lean: float = 0.0  # px to the right a px up
    bend: float = 0.0  # how far its parts stray (natural), shares of its size; which way is drawn by `warp`


@dataclass(frozen=True)
class LineRecord:
    """Everything that decides a line's image; drawing it twice gives the same bytes."""

    text: str
    layout: str
    split: str
    width: int  # px of the canvas
    height: int
    glyphs: tuple[PlacedGlyph, ...]
    numbers: dict[str, Any] = field(default_factory=dict)  # the layout's own
    effects: tuple[tuple[str, Params], ...] = ()


@dataclass(frozen=True)
class GlyphPool:
    """Weighted glyph sources; a line is drawn by one of them, and by another where that one lacks a character."""

    sources: tuple[GlyphSource, ...]
    weights: tuple[float, ...]
    split: str

    def __post_init__(self) -> None:
        if not self.sources or len(self.sources) != len(self.weights) or min(self.weights) < 0 or not any(self.weights):
            raise RecipeError("glyphs need at least one source, each with a weight of 0 or more, not all 0")

    def need(self, characters: str) -> None:
        """Raise AlphabetError naming every character that none of the sources can draw."""
        missing = [
            c for c in characters if c != " " and all(s.count(c, self.split) == 0 for s in self.sources)
        ]  # fmt: skip
        if missing:
            names = ", ".join(s.name for s in self.sources)
            raise AlphabetError(
                f"none of the glyphs ({names}) has an image of {', '.join(map(repr, missing))} in the {self.split} "
                "split: add a source that has them (strokes draws all of ASCII), or choose a smaller alphabet"
            )

    def first_choice(self, rng: np.random.Generator) -> int:
        """The source that writes a line."""
        if len(self.sources) == 1:
            return 0
        return int(np.searchsorted(np.cumsum(self.weights), rng.random() * sum(self.weights), side="right"))

    def source_for(self, character: str, first: int) -> int:
        """The source that draws this character in a line written by `first`."""
        if self.sources[first].count(character, self.split):
            return first
        for other, source in enumerate(self.sources):
            if source.count(character, self.split):
                return other
        self.need(character)
        raise AssertionError  # need has raised


class Layout(ABC):
    """How characters become a line."""

    name: ClassVar[str]
    normalization: ClassVar[str]  # how `glyphline.imaging.normalization.canonical_line_image` frames its images

    @abstractmethod
    def sample(self, text: str, rng: np.random.Generator, pool: GlyphPool) -> LineRecord:
        """Every random number of one line."""

    @abstractmethod
    def draw(self, record: LineRecord, pool: GlyphPool, boxes: bool = False) -> tuple[GreyImage, list[GlyphBox]]:
        """The line's image, uint8 (H, W), and, when asked for, the exact box of each character but spaces."""


# ---------------------------------------------------------------------------------------------------- tiles, overlap


def tile_numbers(
    texts: Sequence[str], seed: int, indices: npt.NDArray[np.int64], pool: GlyphPool
) -> npt.NDArray[np.int64]:
    """Which tile of the pool's first source stands at each place, shape (lines, longest text); -1 for a space.

    A pure function of (seed, line index, place), computed for all lines at once.
    """
    bank = pool.sources[0].tiles(pool.split)
    length = max(map(len, texts))
    codes = np.frombuffer("".join(t.ljust(length) for t in texts).encode("utf-32-le"), np.uint32)
    codes = codes.reshape(len(texts), length)
    known = np.array([ord(c) for c in bank.characters], np.uint32)
    order = np.argsort(known)
    place = order[np.searchsorted(known[order], codes).clip(0, len(known) - 1)]
    blank = codes == ord(" ")
    wrong = (known[place] != codes) & ~blank
    if wrong.any():
        missing = "".join(dict.fromkeys(chr(c) for c in codes[wrong]))
        pool.sources[0].need(missing, pool.split)
    counts = np.diff(bank.offsets)
    random = random_uint64(seed, indices.astype(np.uint64)[:, None], np.arange(length, dtype=np.uint64)[None, :])
    numbers = bank.offsets[place] + (random % counts[place].astype(np.uint64)).astype(np.int64)
    return np.where(blank, -1, numbers)


WARPS = 4096  # ways a tile may be bent, drawn once


@lru_cache(maxsize=2)
def _warps(jitter: float) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """WARPS ways to bend a tile: OpenCV's two fixed-point maps (WARPS, 28, 28, ..) and tone curves (WARPS, 256).

    At jitter 1: turned up to 12 degrees, sheared up to 0.25, scaled by 0.85 to 1.15, shifted up to 2 px, bent by about
    0.7 px, thinned or thickened by a power of 0.6 to 1.6.
    """
    rng = np.random.default_rng(28)
    middle = (TILE - 1) / 2
    y, x = np.mgrid[0:TILE, 0:TILE].astype(np.float32) - middle
    coarse, fine = np.empty((WARPS, TILE, TILE, 2), np.int16), np.empty((WARPS, TILE, TILE), np.uint16)
    curves = np.empty((WARPS, 256), np.uint8)
    for k in range(WARPS):
        turn, shear, wide, tall, right, down, power = jitter * rng.uniform(-1, 1, 7)
        c, s = np.cos(0.21 * turn), np.sin(0.21 * turn)
        wide, tall = np.exp(0.15 * wide), np.exp(0.15 * tall)
        bend = rng.normal(0, 0.7 * jitter, (2, 4, 4)).astype(np.float32)
        bent = [cv2.resize(b, (TILE, TILE), interpolation=cv2.INTER_CUBIC) for b in bend]
        across = (c * x - s * y + 0.25 * shear * y) * wide + 2 * right + bent[0] + middle
        along = (s * x + c * y) * tall + 2 * down + bent[1] + middle
        coarse[k], fine[k] = cv2.convertMaps(across.astype(np.float32), along.astype(np.float32), cv2.CV_16SC2)
        curves[k] = (np.arange(256) / 255.0) ** np.exp(0.48 * power) * 255
    return coarse, fine, curves


def warped(tile: GreyImage, warp: int, jitter: float) -> GreyImage:
    """A tile bent by one of the WARPS; -1 leaves it as it is."""
    if warp < 0:
        return tile
    coarse, fine, curves = _warps(jitter)
    return cv2.LUT(cv2.remap(tile, coarse[warp], fine[warp], cv2.INTER_LINEAR), curves[warp])


def warp_numbers(seed: int, indices: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """Which warp bends the tile at each place, shape (lines, length)."""
    places = np.arange(2**33, 2**33 + length, dtype=np.uint64)[None, :]
    return (random_uint64(seed, indices.astype(np.uint64)[:, None], places) % np.uint64(WARPS)).astype(np.int64)


def draw_tiles(
    numbers: npt.NDArray[np.int64], pool: GlyphPool, warps: npt.NDArray[np.int64] | None = None, jitter: float = 0.0
) -> npt.NDArray[np.uint8]:
    """Tiles side by side, bent where warps are given: (lines, places) -> (lines, 28, 28 * places)."""
    bank = pool.sources[0].tiles(pool.split)
    tiles = bank.images[numbers.clip(0)]  # (lines, places, 28, 28)
    tiles[numbers < 0] = 0
    if warps is not None:
        for line, place in np.argwhere(numbers >= 0):
            tiles[line, place] = warped(tiles[line, place], int(warps[line, place]), jitter)
    lines, places = numbers.shape
    return np.ascontiguousarray(tiles.transpose(0, 2, 1, 3)).reshape(lines, TILE, TILE * places)


@dataclass(frozen=True)
class Tiles(Layout):
    """The report's: 28-px tiles side by side, a space is an empty tile; with jitter, each tile bent a little."""

    jitter: float = 0.0  # 0: the tiles as they are; 1: see `_warps`
    name: ClassVar[str] = "tiles"
    normalization: ClassVar[str] = "whole"
    overlap_range: ClassVar[tuple[float, float]] = (0.0, 0.0)

    def sample(self, text: str, rng: np.random.Generator, pool: GlyphPool) -> LineRecord:
        return self.sample_numbered(text, int(rng.integers(2**62)), 0, pool)

    def sample_numbered(self, text: str, seed: int, index: int, pool: GlyphPool) -> LineRecord:
        """The record of line `index`: the same numbers that `tile_numbers` gives for a whole batch."""
        if not text.strip():
            raise AlphabetError(f"the line {text!r} holds nothing but spaces: give it a character to draw")
        numbers = tile_numbers([text], seed, np.array([index]), pool)[0]
        step = TILE - self.overlap_px(seed, index)
        warps = warp_numbers(seed, np.array([index]), len(text))[0] if self.jitter else np.full(len(text), -1)
        glyphs = tuple(
            PlacedGlyph(c, 0, int(n), k * step, 0, TILE, TILE, int(w))
            for k, (c, n, w) in enumerate(zip(text, numbers, warps, strict=True)) if n >= 0
        )  # fmt: skip
        width = step * (len(text) - 1) + TILE
        own = {"overlap": TILE - step, "jitter": self.jitter}
        return LineRecord(text, self.name, pool.split, width, TILE, glyphs, own)

    def overlap_px(self, seed: int, index: int) -> int:
        """px that neighbours of this line share."""
        low, high = self.overlap_range
        share = random_int(seed, index, 2**32) / 2**64
        return int((low + (high - low) * share) * TILE)

    def draw(self, record: LineRecord, pool: GlyphPool, boxes: bool = False) -> tuple[GreyImage, list[GlyphBox]]:
        bank = pool.sources[0].tiles(pool.split)
        image = np.zeros((record.height, record.width), np.uint8)
        found: list[GlyphBox] = []
        for glyph in record.glyphs:
            left = int(glyph.left)
            window = image[:, left : left + TILE]
            tile = warped(bank.images[glyph.index], glyph.warp, record.numbers["jitter"])
            np.maximum(window, tile, out=window)  # brightest pixel; adding uint8 wraps
            if boxes:
                top, bottom, first, last = (int(v) for v in ink_boxes(tile[None])[0])
                found.append((left + first, top, left + last, bottom))
        return image, found


@dataclass(frozen=True)
class Overlap(Tiles):
    """Tiles that share one overlap of 0 to a third per line (FSDL's EMNISTLines), the brighter pixel showing."""

    name: ClassVar[str] = "overlap"
    overlap_range: ClassVar[tuple[float, float]] = (0.0, 0.33)


# ----------------------------------------------------------------------------------------------------------- natural


@dataclass(frozen=True)
class Natural(Layout):
    """As people write: cropped glyphs on a baseline, in proportion, spaced, slanted and bent by one hand."""

    effects: dict[str, float] = field(default_factory=dict)  # effect -> share of lines
    x_height: tuple[float, float] = (16.0, 26.0)  # px
    name: ClassVar[str] = "natural"
    normalization: ClassVar[str] = "ink"

    def sample(self, text: str, rng: np.random.Generator, pool: GlyphPool) -> LineRecord:
        first, writer = pool.first_choice(rng), int(rng.integers(2**31))
        x = float(rng.uniform(*self.x_height))
        slant, turn, wander, gap, space, wide, tall, ragged, taper, loose = (
            float(v)
            for v in rng.uniform(
                (-0.15, -0.02, 0.0, -0.12, -0.8, 0.75, 0.75, 0.0, -0.12, 0.04),
                (0.45, 0.02, 0.12, 0.35, 1.0, 1.25, 1.2, 0.12, 0.12, 0.18),
            )
        )
        if rng.random() < 0.3:
            slant = 0.0
        if rng.random() < 0.06:  # letters set apart, as on forms
            gap += float(rng.uniform(0.15, 0.5))
        space = float(np.exp(space)) + 2.2 * max(0.0, gap)  # from 0.45 x-heights; notes are often spaced widely
        phase, wave = rng.uniform(0, 6.28), rng.uniform(0.05, 0.4)
        sizes: dict[str, float] = {}  # this hand's size of each character
        shake = rng.normal(0, 1, (len(text), 7))
        unsteady = float(rng.uniform(0.0, 0.08))  # how much glyphs turn, lean and widen
        bend = float(rng.uniform(0.0, 0.04))  # how much they bend, each its own way
        ways = rng.integers(WARPS, size=len(text))
        placed, pen, previous_free = [], 0.0, True
        for k, character in enumerate(text):
            if character == " ":
                pen += x * space * float(np.exp(0.2 * shake[k, 0]))
                previous_free = True
                continue
            source_for = pool.source_for(character, first)
            source = pool.sources[source_for]
            index = source.choose(character, pool.split, writer, rng)
            glyph = source.glyph(character, index, pool.split)
            own = sizes.setdefault(character, float(np.exp(rng.normal(0, 0.07))))
            size = own * float(np.exp(0.05 * shake[k, 1]))
            top, bottom = glyph.top, glyph.bottom
            if top > 1.2:  # ascenders and capitals follow the hand's own proportion
                top *= tall
            height = max(1.0, (top - bottom) * x * size)
            width = height * glyph.ink.shape[1] / glyph.ink.shape[0] * wide
            width = max(1.0, width * float(np.exp(unsteady * shake[k, 6])))
            base = wander * x * float(np.sin(phase + wave * k)) + ragged * x * 0.5 * float(shake[k, 2])
            if glyph.advance is not None and glyph.left is not None:
                tracking = gap * 0.25 + 0.3 * loose * float(shake[k, 3])
                left = pen + glyph.left * x * wide
                pen += max((glyph.advance + tracking) * x * wide, 1.0)
            else:
                touch = 0.0 if previous_free else x * (gap + loose * float(shake[k, 3]))
                left = pen + touch
                pen = left + width
            previous_free = False
            tilt, lean = (unsteady * float(v) for v in shake[k, 4:6])
            top_edge = base - bottom * x * size - height
            way = int(ways[k])
            placed.append(
                PlacedGlyph(character, source_for, index, left, top_edge, width, height, way, tilt, lean, bend)
            )
        if not placed:
            raise AlphabetError(f"the line {text!r} holds nothing but spaces: give it a character to draw")
        margin = {side: float(rng.uniform(0.15, 1.0) * x) for side in ("left", "right", "top", "bottom")}
        low = min(g.left for g in placed)
        upper = min(g.top for g in placed)
        room = abs(slant) * 2.5 * x
        shifted = tuple(
            replace(g, left=g.left - low + margin["left"] + room, top=g.top - upper + margin["top"]) for g in placed
        )
        width = int(max(g.left + g.width for g in shifted) + margin["right"] + room) + 2
        height = int(max(g.top + g.height for g in shifted) + margin["bottom"]) + 2
        numbers = {
            "x": x, "slant": slant, "turn": turn if width < 12 * height else turn * 0.3,
            "baseline": -upper + margin["top"], "bend": int(rng.integers(2**31)),
            "bend_depth": float(rng.uniform(0, 0.11) * x), "taper": taper,
            "paper": float(rng.uniform(140, 255)), "ink": float(rng.uniform(0.3, 1.0)), "writer": writer,
        }  # fmt: skip
        chosen = sample_effects(self.effects, rng, x, numbers["baseline"])
        return LineRecord(text, self.name, pool.split, width, height, shifted, numbers, tuple(chosen))

    def draw(self, record: LineRecord, pool: GlyphPool, boxes: bool = False) -> tuple[GreyImage, list[GlyphBox]]:
        canvas = np.zeros((record.height, record.width), np.uint8)
        for glyph in record.glyphs:
            _stamp(canvas, glyph, pool)
        across, down = self._map(record)
        ink = cv2.remap(canvas, across, down, cv2.INTER_LINEAR)
        found = [_box_after(g, pool, canvas.shape, across, down) for g in record.glyphs] if boxes else []
        effects = list(record.effects)
        ink = apply_effects(ink, effects, "ink")
        # paper * (1 - ink * strength)
        table = record.numbers["paper"] * (1 - np.arange(256) / 255.0 * record.numbers["ink"])
        photo = cv2.LUT(ink, table.clip(0, 255).astype(np.uint8))
        return apply_effects(photo, effects, "photo"), found

    @staticmethod
    def _map(record: LineRecord) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Where each pixel of the bent line comes from: slant about the baseline, a turn, a taper, a slow bend."""
        n = record.numbers
        h, w = record.height, record.width
        rows, columns = max(2, round(h / n["x"]) + 1), max(2, round(w / n["x"]) + 1)
        rng = np.random.default_rng(n["bend"])
        field_ = rng.normal(0, n["bend_depth"], (2, rows, columns)).astype(np.float32)
        # One small field of source positions, bent, then enlarged: cheaper than enlarging each part.
        y = np.linspace(0, h - 1, rows, dtype=np.float32)[:, None]
        x = np.linspace(0, w - 1, columns, dtype=np.float32)[None, :]
        up = n["baseline"] - y
        across = (x - n["slant"] * up + n["turn"] * (y - h / 2) + field_[0]).astype(np.float32)
        aside = (x - w / 2) / w  # -0.5 to 0.5; a camera held askew makes one end larger
        down = (y - n["turn"] * (x - w / 2) + n["taper"] * aside * (y - h / 2) + field_[1]).astype(np.float32)
        return _enlarged(across, w, h), _enlarged(down, w, h)


def _enlarged(small: npt.NDArray[np.float32], w: int, h: int) -> npt.NDArray[np.float32]:
    """A (rows, columns) field whose corners lie on the image's corners, as (h, w)."""
    rows, columns = small.shape
    matrix = np.array([[(w - 1) / (columns - 1), 0, 0], [0, (h - 1) / (rows - 1), 0]])
    return np.asarray(
        cv2.warpAffine(small, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


@lru_cache(maxsize=1)
def _bends() -> npt.NDArray[np.float32]:
    """WARPS ways to bend a glyph: how far each of 5 x 5 points of it strays, right and down, (WARPS, 2, 5, 5)."""
    return np.random.default_rng(55).normal(0, 1, (WARPS, 2, 5, 5)).astype(np.float32)


def _stamp(canvas: GreyImage, glyph: PlacedGlyph, pool: GlyphPool) -> None:
    """Set one glyph on the canvas, the brightest pixel showing."""
    ink = pool.sources[glyph.source].glyph(glyph.character, glyph.index, pool.split).ink
    size = (max(1, round(glyph.width)), max(1, round(glyph.height)))
    shrinks = size[0] < ink.shape[1] and size[1] < ink.shape[0]
    drawn = cv2.resize(ink, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    y, x = round(glyph.top), round(glyph.left)
    if glyph.tilt or glyph.lean or glyph.bend:  # about its middle, in an image with room for what turns outwards
        room = 1 + int((abs(glyph.tilt) + abs(glyph.lean) + 2 * glyph.bend) * max(size) / 2)
        wide, tall = size[0] + 2 * room, size[1] + 2 * room
        # where each of 5 x 5 points comes from, then enlarged
        across = np.linspace(-wide / 2, wide / 2, 5, dtype=np.float32)[None, :]
        down = np.linspace(-tall / 2, tall / 2, 5, dtype=np.float32)[:, None]
        stray = _bends()[glyph.warp] * (glyph.bend * max(size))
        source_x = across + (glyph.tilt + glyph.lean) * down + stray[0] + (size[0] - 1) / 2
        source_y = down - glyph.tilt * across + stray[1] + (size[1] - 1) / 2
        drawn = cv2.remap(
            drawn, _enlarged(source_x, wide, tall), _enlarged(source_y, wide, tall), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=0,
        )  # fmt: skip
        y, x, size = y - room, x - room, (wide, tall)
    y0, x0 = max(0, y), max(0, x)
    y1, x1 = min(canvas.shape[0], y + size[1]), min(canvas.shape[1], x + size[0])
    if y1 > y0 and x1 > x0:
        window = canvas[y0:y1, x0:x1]
        np.maximum(window, drawn[y0 - y : y1 - y, x0 - x : x1 - x], out=window)


def _box_after(
    glyph: PlacedGlyph,
    pool: GlyphPool,
    shape: tuple[int, ...],
    across: npt.NDArray[np.float32],
    down: npt.NDArray[np.float32],
) -> GlyphBox:
    """The exact box of one glyph's ink after bending: it alone is bent, and what shows is measured."""
    alone = np.zeros(shape, np.uint8)
    _stamp(alone, glyph, pool)
    reach = int(shape[0])  # px; more than slant, turn and bend together move a column
    left, right = max(0, int(glyph.left) - reach), min(shape[1], int(glyph.left + glyph.width) + reach)
    bent = cv2.remap(alone, across[:, left:right], down[:, left:right], cv2.INTER_LINEAR) > 64
    rows, columns = np.flatnonzero(bent.any(axis=1)), np.flatnonzero(bent.any(axis=0))
    if len(rows) == 0:  # fainter than the threshold everywhere: where it was set
        return left, int(glyph.top), right, int(glyph.top + glyph.height)
    return left + int(columns[0]), int(rows[0]), left + int(columns[-1]) + 1, int(rows[-1]) + 1


LAYOUTS: dict[str, type[Layout]] = {"tiles": Tiles, "overlap": Overlap, "natural": Natural}
