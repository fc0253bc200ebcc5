"""FAMILY: layouts turn a text into the image of a line.

A layout first samples every random number of a line into a LineRecord. Then it draws the record; drawing uses no random
numbers. To add a layout: subclass Layout and add a row to LAYOUTS at the bottom.
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
from glyphline.composing.shaping import visual_units
from glyphline.errors import AlphabetError, RecipeError
from glyphline.writing_direction import LTR, to_visual

GreyImage = npt.NDArray[np.uint8]  # (H, W)
GlyphBox = tuple[int, int, int, int]  # (left, top, right, bottom) in px of the line image, ends exclusive


@dataclass(frozen=True)
class PlacedGlyph:
    """A glyph of a line and its place on the canvas.

    left, top, width, height: px. Layout natural: the rectangle of the ink before tilt, lean, bend and the distortion of
    the whole line. Layouts tiles and overlap: the whole tile.
    """

    character: str  # or several that join or combine: a unit of `glyphline.composing.shaping`
    source: int  # index in GlyphPool.sources
    index: int  # of the glyph in its source; layout tiles: of the tile in the source's TileBank
    left: float
    top: float
    width: float
    height: float
    warp: int = -1  # index of its distortion, below WARP_COUNT; -1: none
    tilt: float = 0.0  # radians clockwise about its centre
    lean: float = 0.0  # shear: px to the right per px upwards
    bend: float = 0.0  # layout natural: standard deviation of the distortion `warp`, of the glyph's longer side


@dataclass(frozen=True)
class LineRecord:
    """All that decides the image of a line. Drawing it again from the same glyph pool gives the same bytes."""

    text: str
    layout: str
    split: str
    width: int  # px of the canvas
    height: int  # px of the canvas
    glyphs: tuple[PlacedGlyph, ...]
    numbers: dict[str, Any] = field(default_factory=dict)  # parameters of the layout, JSON values
    effects: tuple[tuple[str, Params], ...] = ()  # (name, parameters) of each, in the order of application


@dataclass(frozen=True)
class GlyphPool:
    """Glyph sources with weights, for one split.

    One source, chosen by weight, draws a line. A character that it lacks comes from the first source that has it.
    Raises RecipeError for no source, for a negative weight, for weights that are all 0, and where the numbers of
    sources and weights differ.
    """

    sources: tuple[GlyphSource, ...]
    weights: tuple[float, ...]
    split: str

    def __post_init__(self) -> None:
        if not self.sources or len(self.sources) != len(self.weights) or min(self.weights) < 0 or not any(self.weights):
            raise RecipeError(
                f"{len(self.sources)} glyph sources have the weights {self.weights}: "
                "give at least one source, each with a weight of 0 or more, not all 0"
            )

    def check_characters(self, characters: str) -> None:
        """Raise AlphabetError with all characters, other than the space, that no source has in this split."""
        if missing := [c for c in characters if c != " " and not self.draws(c)]:
            names = ", ".join(s.name for s in self.sources)
            raise AlphabetError(
                f"none of the glyphs ({names}) has an image of {', '.join(map(repr, missing))} in the {self.split} "
                "split: add a source that has them (strokes draws all of ASCII), or choose a smaller alphabet"
            )

    def check_units(self, units: Sequence[str]) -> None:
        """Raise AlphabetError where no source can draw one of the units of several characters (`shaping`) as a whole.

        units: at least one.
        """
        if not any(source.shapes for source in self.sources):
            raise AlphabetError(
                f"the characters of {units[0]!r} join or combine in writing, but "
                f"{', '.join(s.name for s in self.sources)} has single characters: use fonts:FOLDER, whose letters are "
                "joined by HarfBuzz, or leave these characters out of the alphabet"
            )
        every = "".join(sorted(set("".join(units))))
        if any(self._has(source, every) for source in self.sources):  # most often one font has them all
            return
        for unit in units:
            if not self.draws(unit):
                raise AlphabetError(
                    f"no font in the {self.split} split has all characters of {unit!r}: add one that does, or leave "
                    "some of them out of the alphabet"
                )

    def draws(self, unit: str) -> bool:
        """Whether a source draws a character, or a unit of several as a whole, in this split."""
        return any(self._has(source, unit) for source in self.sources)

    def _has(self, source: GlyphSource, unit: str) -> bool:
        """Whether a source draws a character, or a unit of several."""
        return (len(unit) == 1 or source.shapes) and source.count(unit, self.split) > 0

    def choose_source(self, rng: np.random.Generator) -> int:
        """The index of the source that draws a line, at random by weight. A single source takes no random number."""
        if len(self.sources) == 1:
            return 0
        return int(np.searchsorted(np.cumsum(self.weights), rng.random() * sum(self.weights), side="right"))

    def source_for(self, unit: str, preferred: int) -> int:
        """The index of the source of a character or a unit: `preferred` where it draws it, else the first that does.

        Raises AlphabetError for one that no source draws.
        """
        if self._has(self.sources[preferred], unit):
            return preferred
        for index, source in enumerate(self.sources):
            if self._has(source, unit):
                return index
        if len(unit) > 1:
            self.check_units([unit])
        self.check_characters(unit)
        raise AssertionError  # one of the checks has raised


class Layout(ABC):
    """The arrangement of glyphs in a line."""

    name: ClassVar[str]
    normalization: ClassVar[str]  # the mode of `glyphline.imaging.normalization.canonical_line_image` for its images
    joins: ClassVar[bool] = False  # whether units of several characters (`shaping`) are drawn as a whole

    @abstractmethod
    def sample(self, text: str, rng: np.random.Generator, pool: GlyphPool) -> LineRecord:
        """Sample every random number of a line.

        Raises AlphabetError for a text without a character to draw and for a character that the pool lacks.
        """

    @abstractmethod
    def draw(self, record: LineRecord, pool: GlyphPool, boxes: bool = False) -> tuple[GreyImage, list[GlyphBox]]:
        """Draw a record: its image, uint8 (height, width), and the box of the ink of each glyph of the record.

        pool: the pool that the record was sampled with. boxes: False leaves the list of boxes empty.
        """

    def check_units(self, units: Sequence[str], pool: GlyphPool) -> None:
        """Raise AlphabetError or RecipeError where units of several characters cannot be drawn as a whole.

        The error is of the pool, where no source has them in one shape, or of a layout that sets characters one by one.
        """
        if not units:
            return
        pool.check_units(units)
        if not self.joins:
            raise RecipeError(
                f"the characters of {units[0]!r} join or combine in writing, but the layout {self.name} sets them one "
                "by one: use the layout natural"
            )


# ---------------------------------------------------------------------------------------------------- tiles, overlap


def sample_tile_indices(
    texts: Sequence[str], seed: int, indices: npt.NDArray[np.int64], pool: GlyphPool
) -> npt.NDArray[np.int64]:
    """Sample a tile for each character: indices into the TileBank of the pool's first source, -1 for a space.

    texts: one text a line, at least one. indices: (lines,), the number of each line in its set. Returns int64 (lines,
    longest text); shorter texts are filled with -1. Each value depends only on the seed, the line's number, the
    position and the character. Raises AlphabetError for a character that the first source lacks.
    """
    bank = pool.sources[0].tiles(pool.split)
    length = max(map(len, texts))
    codes = np.frombuffer("".join(t.ljust(length) for t in texts).encode("utf-32-le"), np.uint32)
    codes = codes.reshape(len(texts), length)
    bank_codes = np.array([ord(c) for c in bank.characters], np.uint32)
    order = np.argsort(bank_codes)
    rows = order[np.searchsorted(bank_codes[order], codes).clip(0, len(bank_codes) - 1)]  # of bank.characters
    is_space = codes == ord(" ")
    is_missing = (bank_codes[rows] != codes) & ~is_space
    if is_missing.any():
        missing = "".join(dict.fromkeys(chr(c) for c in codes[is_missing]))
        pool.sources[0].check_characters(missing, pool.split)
        raise AlphabetError(  # fonts have more characters than are made into tiles
            f"{pool.sources[0].name} has no tiles of {', '.join(map(repr, missing))}: use the layout natural"
        )
    counts = np.diff(bank.offsets)
    random = random_uint64(seed, indices.astype(np.uint64)[:, None], np.arange(length, dtype=np.uint64)[None, :])
    tile_indices = bank.offsets[rows] + (random % counts[rows].astype(np.uint64)).astype(np.int64)
    return np.where(is_space, -1, tile_indices)


WARP_COUNT = 4096  # different distortions, sampled once


@lru_cache(maxsize=2)
def _sample_warps(jitter: float) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """WARP_COUNT distortions of a tile: OpenCV's two fixed-point maps (N, 28, 28, ..) and tone curves (N, 256).

    At jitter 1: rotation up to 12 degrees, shear up to 0.25, scale 0.85 to 1.15, shift up to 2 px, elastic displacement
    of about 0.7 px, gamma 0.6 to 1.6, which thins or thickens the strokes.
    """
    rng = np.random.default_rng(28)
    centre = (TILE - 1) / 2
    y, x = np.mgrid[0:TILE, 0:TILE].astype(np.float32) - centre
    coarse, fine = np.empty((WARP_COUNT, TILE, TILE, 2), np.int16), np.empty((WARP_COUNT, TILE, TILE), np.uint16)
    curves = np.empty((WARP_COUNT, 256), np.uint8)
    for k in range(WARP_COUNT):
        rotation, shear, scale_x, scale_y, shift_x, shift_y, gamma = jitter * rng.uniform(-1, 1, 7)
        cos, sin = np.cos(0.21 * rotation), np.sin(0.21 * rotation)
        scale_x, scale_y = np.exp(0.15 * scale_x), np.exp(0.15 * scale_y)
        grids = rng.normal(0, 0.7 * jitter, (2, 4, 4)).astype(np.float32)
        displacement = [cv2.resize(grid, (TILE, TILE), interpolation=cv2.INTER_CUBIC) for grid in grids]
        map_x = (cos * x - sin * y + 0.25 * shear * y) * scale_x + 2 * shift_x + displacement[0] + centre
        map_y = (sin * x + cos * y) * scale_y + 2 * shift_y + displacement[1] + centre
        coarse[k], fine[k] = cv2.convertMaps(map_x.astype(np.float32), map_y.astype(np.float32), cv2.CV_16SC2)
        curves[k] = (np.arange(256) / 255.0) ** np.exp(0.48 * gamma) * 255
    return coarse, fine, curves


def warp_tile(tile: GreyImage, warp: int, jitter: float) -> GreyImage:
    """Distort a tile, uint8 (28, 28). warp: which of the WARP_COUNT distortions, -1: none. jitter: their strength."""
    if warp < 0:
        return tile
    coarse, fine, curves = _sample_warps(jitter)
    return cv2.LUT(cv2.remap(tile, coarse[warp], fine[warp], cv2.INTER_LINEAR), curves[warp])


def sample_warp_indices(seed: int, indices: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """Sample a distortion for each tile: (lines, length), values below WARP_COUNT.

    indices: (lines,), the number of each line in its set. length: characters of a line.
    """
    positions = np.arange(2**33, 2**33 + length, dtype=np.uint64)[None, :]  # apart from those of the tile indices
    return (random_uint64(seed, indices.astype(np.uint64)[:, None], positions) % np.uint64(WARP_COUNT)).astype(np.int64)


def draw_tiles(
    tile_indices: npt.NDArray[np.int64],
    pool: GlyphPool,
    warp_indices: npt.NDArray[np.int64] | None = None,
    jitter: float = 0.0,
) -> npt.NDArray[np.uint8]:
    """Draw lines of tiles side by side: (lines, length) -> uint8 (lines, 28, 28 * length), ink bright on 0.

    tile_indices: from `sample_tile_indices`, -1 for an empty tile. warp_indices: from `sample_warp_indices`; None: the
    tiles are not distorted. jitter: the strength of the distortions.
    """
    bank = pool.sources[0].tiles(pool.split)
    tiles = bank.images[tile_indices.clip(0)]  # (lines, length, 28, 28)
    tiles[tile_indices < 0] = 0
    if warp_indices is not None:
        for line, position in np.argwhere(tile_indices >= 0):
            tiles[line, position] = warp_tile(tiles[line, position], int(warp_indices[line, position]), jitter)
    lines, length = tile_indices.shape
    return np.ascontiguousarray(tiles.transpose(0, 2, 1, 3)).reshape(lines, TILE, TILE * length)


@dataclass(frozen=True)
class Tiles(Layout):
    """Tiles of 28 px side by side, as in the W&B report; a space is an empty tile. Jitter distorts each tile.

    The image has bright ink on 0. Only the first source of a pool is used: `sample` raises AlphabetError for a
    character that this source lacks.
    """

    jitter: float = 0.0  # strength of the distortions; 0: none, 1: see `_sample_warps`
    direction: str = LTR  # of the lines, "ltr" or "rtl"
    name: ClassVar[str] = "tiles"
    normalization: ClassVar[str] = "whole"
    overlap_range: ClassVar[tuple[float, float]] = (0.0, 0.0)  # shares of a tile's width

    def sample(self, text: str, rng: np.random.Generator, pool: GlyphPool) -> LineRecord:
        return self.sample_from_seed(text, int(rng.integers(2**62)), 0, pool)

    def sample_from_seed(self, text: str, seed: int, index: int, pool: GlyphPool) -> LineRecord:
        """Sample line `index` of a set: the same numbers that `sample_tile_indices` gives for many lines at once.

        Raises AlphabetError for a text without a character to draw and for a character that the first source lacks.
        """
        if not text.strip():
            raise AlphabetError(f"the line {text!r} holds nothing but spaces: give it a character to draw")
        seen = to_visual(text, self.direction)
        tile_indices = sample_tile_indices([seen], seed, np.array([index]), pool)[0]
        step = TILE - self.sample_overlap(seed, index)
        warps = sample_warp_indices(seed, np.array([index]), len(seen))[0] if self.jitter else np.full(len(seen), -1)
        glyphs = tuple(
            PlacedGlyph(character, 0, int(tile_index), k * step, 0, TILE, TILE, int(warp))
            for k, (character, tile_index, warp) in enumerate(zip(seen, tile_indices, warps, strict=True))
            if tile_index >= 0
        )
        width = step * (len(seen) - 1) + TILE
        numbers = {"overlap": TILE - step, "jitter": self.jitter}
        return LineRecord(text, self.name, pool.split, width, TILE, glyphs, numbers)

    def sample_overlap(self, seed: int, index: int) -> int:
        """Sample the overlap of neighbouring tiles in line `index`, in px."""
        low, high = self.overlap_range
        share = random_int(seed, index, 2**32) / 2**64
        return int((low + (high - low) * share) * TILE)

    def draw(self, record: LineRecord, pool: GlyphPool, boxes: bool = False) -> tuple[GreyImage, list[GlyphBox]]:
        bank = pool.sources[0].tiles(pool.split)
        image = np.zeros((record.height, record.width), np.uint8)
        glyph_boxes: list[GlyphBox] = []
        for glyph in record.glyphs:
            left = int(glyph.left)
            window = image[:, left : left + TILE]
            tile = warp_tile(bank.images[glyph.index], glyph.warp, record.numbers["jitter"])
            np.maximum(window, tile, out=window)  # the brighter pixel; a sum of uint8 would wrap
            if boxes:
                ink_top, ink_bottom, ink_left, ink_right = (int(v) for v in ink_boxes(tile[None])[0])
                glyph_boxes.append((left + ink_left, ink_top, left + ink_right, ink_bottom))
        return image, glyph_boxes


@dataclass(frozen=True)
class Overlap(Tiles):
    """Tiles that overlap by 0 to a third of their width, the same for all tiles of a line; the brighter pixel wins.

    As in EMNISTLines of the course Full Stack Deep Learning (FSDL).
    """

    name: ClassVar[str] = "overlap"
    overlap_range: ClassVar[tuple[float, float]] = (0.0, 0.33)


# ----------------------------------------------------------------------------------------------------------- natural


@dataclass(frozen=True)
class Natural(Layout):
    """Handwriting: cropped glyphs on a baseline, with the proportions, spacing, slant and irregularity of a writer.

    The image is dark ink on paper, with the effects of pen, paper and camera. The effect negative inverts it.
    """

    effects: dict[str, float] = field(default_factory=dict)  # effect -> share of lines
    x_height: tuple[float, float] = (16.0, 26.0)  # px, from .. to
    direction: str = LTR  # of the lines, "ltr" or "rtl"
    name: ClassVar[str] = "natural"
    normalization: ClassVar[str] = "ink"
    joins: ClassVar[bool] = True

    def sample(self, text: str, rng: np.random.Generator, pool: GlyphPool) -> LineRecord:
        preferred_source, writer = pool.choose_source(rng), int(rng.integers(2**31))
        x = float(rng.uniform(*self.x_height))  # the x-height of this line, px
        # lengths are in x-heights, angles in radians
        slant, rotation, wave_height, gap, space, width_scale, ascender_scale, baseline_noise, taper, gap_noise = (
            float(v)
            for v in rng.uniform(
                (-0.15, -0.02, 0.0, -0.12, -0.8, 0.75, 0.75, 0.0, -0.12, 0.04),
                (0.45, 0.02, 0.12, 0.35, 1.0, 1.25, 1.2, 0.12, 0.12, 0.18),
            )
        )
        if rng.random() < 0.3:
            slant = 0.0
        if rng.random() < 0.06:  # wide gaps between letters, as on forms
            gap += float(rng.uniform(0.15, 0.5))
        space = float(np.exp(space)) + 2.2 * max(0.0, gap)  # from 0.45 x-heights; notes are often spaced widely
        wave_phase, wave_step = rng.uniform(0, 6.28), rng.uniform(0.05, 0.4)  # of the baseline, radians a character
        character_sizes: dict[str, float] = {}  # a writer repeats the size of a character
        units = visual_units(text, self.direction)
        noise = rng.normal(0, 1, (len(units), 7))  # of space, size, baseline, gap, tilt, lean, width
        shape_noise = float(rng.uniform(0.0, 0.08))  # of tilt, lean and width
        bend = float(rng.uniform(0.0, 0.04))
        bend_indices = rng.integers(WARP_COUNT, size=len(units))
        placed, pen, starts_word = [], 0.0, True
        for k, character in enumerate(units):
            if character == " ":
                pen += x * space * float(np.exp(0.2 * noise[k, 0]))
                starts_word = True
                continue
            source_index = pool.source_for(character, preferred_source)
            source = pool.sources[source_index]
            index = source.choose(character, pool.split, writer, rng)
            glyph = source.glyph(character, index, pool.split)
            character_size = character_sizes.setdefault(character, float(np.exp(rng.normal(0, 0.07))))
            size = character_size * float(np.exp(0.05 * noise[k, 1]))
            top, bottom = glyph.top, glyph.bottom
            if top > 1.2:  # ascenders and capitals
                top *= ascender_scale
            height = max(1.0, (top - bottom) * x * size)
            width = height * glyph.ink.shape[1] / glyph.ink.shape[0] * width_scale
            width = max(1.0, width * float(np.exp(shape_noise * noise[k, 6])))
            wave = wave_height * x * float(np.sin(wave_phase + wave_step * k))
            baseline = wave + baseline_noise * x * 0.5 * float(noise[k, 2])
            if glyph.advance is not None and glyph.left is not None:
                tracking = gap * 0.25 + 0.3 * gap_noise * float(noise[k, 3])
                left = pen + glyph.left * x * width_scale
                pen += max((glyph.advance + tracking) * x * width_scale, 1.0)
            else:
                gap_before = 0.0 if starts_word else x * (gap + gap_noise * float(noise[k, 3]))
                left = pen + gap_before
                pen = left + width
            starts_word = False
            tilt, lean = (shape_noise * float(v) for v in noise[k, 4:6])
            tilt /= len(character)  # the ends of a long unit would leave the line
            upper_edge = baseline - bottom * x * size - height
            warp = int(bend_indices[k])
            placed.append(
                PlacedGlyph(
                    character, source_index, index, left, upper_edge, width, height, warp, tilt, lean,
                    bend / len(character),
                )
            )  # fmt: skip
        if not placed:
            raise AlphabetError(f"the line {text!r} holds nothing but spaces: give it a character to draw")
        margin = {side: float(rng.uniform(0.15, 1.0) * x) for side in ("left", "right", "top", "bottom")}
        leftmost = min(g.left for g in placed)
        topmost = min(g.top for g in placed)
        slant_room = abs(slant) * 2.5 * x
        shifted = tuple(
            replace(g, left=g.left - leftmost + margin["left"] + slant_room, top=g.top - topmost + margin["top"])
            for g in placed
        )
        width = int(max(g.left + g.width for g in shifted) + margin["right"] + slant_room) + 2
        height = int(max(g.top + g.height for g in shifted) + margin["bottom"]) + 2
        # x, baseline, bend_depth: px. slant: px to the right for each px upwards. turn: radians clockwise. bend: the
        # seed of the smooth bend, bend_depth its standard deviation. taper: the left end is enlarged by about half of
        # it, the right end reduced. paper: grey value. ink: share of the paper's brightness that full ink takes away.
        numbers = {
            "x": x, "slant": slant, "turn": rotation if width < 12 * height else rotation * 0.3,
            "baseline": -topmost + margin["top"], "bend": int(rng.integers(2**31)),
            "bend_depth": float(rng.uniform(0, 0.11) * x), "taper": taper,
            "paper": float(rng.uniform(140, 255)), "ink": float(rng.uniform(0.3, 1.0)), "writer": writer,
        }  # fmt: skip
        effects = sample_effects(self.effects, rng, x, numbers["baseline"])
        return LineRecord(text, self.name, pool.split, width, height, shifted, numbers, tuple(effects))

    def draw(self, record: LineRecord, pool: GlyphPool, boxes: bool = False) -> tuple[GreyImage, list[GlyphBox]]:
        canvas = np.zeros((record.height, record.width), np.uint8)
        for glyph in record.glyphs:
            _paste_glyph(canvas, glyph, pool)
        map_x, map_y = self._distortion_maps(record)
        ink = cv2.remap(canvas, map_x, map_y, cv2.INTER_LINEAR)
        glyph_boxes = [_measure_box(g, pool, canvas.shape, map_x, map_y) for g in record.glyphs] if boxes else []
        effects = list(record.effects)
        ink = apply_effects(ink, effects, "ink")
        # paper * (1 - ink * strength)
        tones = record.numbers["paper"] * (1 - np.arange(256) / 255.0 * record.numbers["ink"])
        photo = cv2.LUT(ink, tones.clip(0, 255).astype(np.uint8))
        return apply_effects(photo, effects, "photo"), glyph_boxes

    @staticmethod
    def _distortion_maps(record: LineRecord) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The source x and y, px, of each pixel (H, W): slant about the baseline, rotation, taper, smooth bend."""
        n = record.numbers
        h, w = record.height, record.width
        rows, columns = max(2, round(h / n["x"]) + 1), max(2, round(w / n["x"]) + 1)
        rng = np.random.default_rng(n["bend"])
        bend = rng.normal(0, n["bend_depth"], (2, rows, columns)).astype(np.float32)
        # The maps are computed on a coarse grid and enlarged once: cheaper than enlarging the bend alone.
        y = np.linspace(0, h - 1, rows, dtype=np.float32)[:, None]
        x = np.linspace(0, w - 1, columns, dtype=np.float32)[None, :]
        above_baseline = n["baseline"] - y
        map_x = (x - n["slant"] * above_baseline + n["turn"] * (y - h / 2) + bend[0]).astype(np.float32)
        offset = (x - w / 2) / w  # -0.5 to 0.5; a camera held askew makes one end of the line larger
        map_y = (y - n["turn"] * (x - w / 2) + n["taper"] * offset * (y - h / 2) + bend[1]).astype(np.float32)
        return _enlarge_map(map_x, w, h), _enlarge_map(map_y, w, h)


def _enlarge_map(grid: npt.NDArray[np.float32], w: int, h: int) -> npt.NDArray[np.float32]:
    """A grid (rows, columns) interpolated to (h, w); the corners of the grid are those of the image."""
    rows, columns = grid.shape
    matrix = np.array([[(w - 1) / (columns - 1), 0, 0], [0, (h - 1) / (rows - 1), 0]])
    return np.asarray(
        cv2.warpAffine(grid, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


@lru_cache(maxsize=1)
def _sample_bends() -> npt.NDArray[np.float32]:
    """Bends of a glyph: displacements (x, y) of a 5 x 5 grid, (WARP_COUNT, 2, 5, 5), standard deviation 1."""
    return np.random.default_rng(55).normal(0, 1, (WARP_COUNT, 2, 5, 5)).astype(np.float32)


def _paste_glyph(canvas: GreyImage, glyph: PlacedGlyph, pool: GlyphPool) -> None:
    """Draw a glyph on the canvas in place; each pixel keeps the brighter value."""
    ink = pool.sources[glyph.source].glyph(glyph.character, glyph.index, pool.split).ink
    size = (max(1, round(glyph.width)), max(1, round(glyph.height)))
    shrinks = size[0] < ink.shape[1] and size[1] < ink.shape[0]
    image = cv2.resize(ink, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    y, x = round(glyph.top), round(glyph.left)
    if glyph.tilt or glyph.lean or glyph.bend:
        # about the glyph's centre, in an image with a border for the corners that move outwards
        border = 1 + int((abs(glyph.tilt) + abs(glyph.lean) + 2 * glyph.bend) * max(size) / 2)
        w, h = size[0] + 2 * border, size[1] + 2 * border
        grid_x = np.linspace(-w / 2, w / 2, 5, dtype=np.float32)[None, :]
        grid_y = np.linspace(-h / 2, h / 2, 5, dtype=np.float32)[:, None]
        displacement = _sample_bends()[glyph.warp] * (glyph.bend * max(size))
        map_x = grid_x + (glyph.tilt + glyph.lean) * grid_y + displacement[0] + (size[0] - 1) / 2
        map_y = grid_y - glyph.tilt * grid_x + displacement[1] + (size[1] - 1) / 2
        image = cv2.remap(
            image, _enlarge_map(map_x, w, h), _enlarge_map(map_y, w, h), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=0,
        )  # fmt: skip
        y, x, size = y - border, x - border, (w, h)
    y0, x0 = max(0, y), max(0, x)
    y1, x1 = min(canvas.shape[0], y + size[1]), min(canvas.shape[1], x + size[0])
    if y1 > y0 and x1 > x0:
        window = canvas[y0:y1, x0:x1]
        np.maximum(window, image[y0 - y : y1 - y, x0 - x : x1 - x], out=window)


def _measure_box(
    glyph: PlacedGlyph,
    pool: GlyphPool,
    shape: tuple[int, ...],
    map_x: npt.NDArray[np.float32],
    map_y: npt.NDArray[np.float32],
) -> GlyphBox:
    """The box of a glyph's ink in the distorted line, measured on an image of this glyph alone."""
    canvas = np.zeros(shape, np.uint8)
    _paste_glyph(canvas, glyph, pool)
    reach = int(shape[0])  # px; slant, rotation and bend together move a column by less
    left, right = max(0, int(glyph.left) - reach), min(shape[1], int(glyph.left + glyph.width) + reach)
    ink = cv2.remap(canvas, map_x[:, left:right], map_y[:, left:right], cv2.INTER_LINEAR) > 64
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows) == 0:  # all of it is fainter than the threshold: the columns searched, the rows before distortion
        return left, int(glyph.top), right, int(glyph.top + glyph.height)
    return left + int(columns[0]), int(rows[0]), left + int(columns[-1]) + 1, int(rows[-1]) + 1


LAYOUTS: dict[str, type[Layout]] = {"tiles": Tiles, "overlap": Overlap, "natural": Natural}
