"""The interface of a glyph source, tiles of glyphs, and the relative sizes of handwritten Latin characters."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.errors import AlphabetError, DataError

Ink = npt.NDArray[np.uint8]  # (h, w), bright ink on a background of 0
SPLITS = ("train", "val", "test")
#: instead of a split, for composing without training, from sources that have few glyphs: all of them
ALL = "all"
FEW = 10  # fonts, or images of a character; of fewer, one for val and one for test is a large part
TILE = 28  # px, the side of an EMNIST image
INK_THRESHOLD = 40  # of 255; fainter pixels are ignored when a glyph is cropped


@dataclass(frozen=True)
class Glyph:
    """One cropped character and its position on the line.

    Lengths are in x-heights. Heights are measured upwards from the baseline.
    """

    ink: Ink  # (h, w), h and w >= 1
    top: float  # upper edge of the ink above the baseline
    bottom: float  # lower edge of the ink; negative below the baseline
    left: float | None = None  # side bearing before the ink; None: the layout sets the gap
    advance: float | None = None  # distance to the origin of the next glyph; None: ink width and a gap


class GlyphSource(ABC):
    """Images of single characters in three splits; no glyph is in two splits, except as `sharing` says.

    To add one: write a subclass in a file of this folder and add a row to GLYPHS in `__init__.py`. The contract tests
    (tests/composing/test_glyphs.py) then run on it.
    """

    help: ClassVar[str] = ""
    shapes: ClassVar[bool] = False  # whether `count`, `choose` and `glyph` take a unit of several characters, shaped
    name: str  # the spec with which `open_glyphs` opens this source again

    @abstractmethod
    def characters(self, split: str) -> str:
        """Return the characters that have at least one glyph in this split."""

    @abstractmethod
    def count(self, character: str, split: str) -> int:
        """Return the number of glyphs of the character in the split, 0 for a character without glyphs."""

    @abstractmethod
    def glyph(self, character: str, index: int, split: str) -> Glyph:
        """Return glyph number `index` (0 <= index < count) of the character; equal arguments give equal glyphs."""

    @abstractmethod
    def digests(self, split: str) -> set[int]:
        """Return one digest for each glyph of the split, or for what it is drawn from (a font, a writer).

        Equal glyphs have equal digests, so `check_disjoint` can compare splits.
        """

    def fingerprint(self) -> int:
        """A checksum of all glyphs: it is another one where the data on disk has changed."""
        digests = sorted(set().union(*(self.digests(split) for split in SPLITS)))
        return zlib.crc32(repr(digests).encode())

    def sharing(self) -> str:
        """Say which glyphs several splits share because there are too few, and what that means; "" where none are."""
        return ""

    def has_few(self) -> bool:
        """Say whether there are so few glyphs that the methods also take ALL as a split.

        The glyphs of ALL are all where there are fewer than FEW, of a character or in fonts, otherwise those of train.
        """
        return False

    def choose(self, character: str, split: str, writer: int, rng: np.random.Generator) -> int:
        """Return the index of a glyph in the style of `writer`, any integer >= 0.

        A source without writers ignores `writer` and chooses at random with `rng`.
        """
        return int(rng.integers(self.count(character, split)))

    def check_characters(self, characters: str, split: str) -> None:
        """Raise AlphabetError with the names of all characters that have no glyph in this split. Spaces need none."""
        missing = [c for c in characters if c != " " and self.count(c, split) == 0]
        if missing:
            raise AlphabetError(
                f"the glyphs {self.name} have no image of {', '.join(map(repr, missing))} in the {split} split: "
                "add a source that has them, or choose a smaller alphabet"
            )

    def tiles(self, split: str) -> TileBank:
        """Return glyphs of the split as TILE x TILE images, for the layouts `tiles` and `overlap`; cached.

        They are the first 64 glyphs of each character, unless a source overrides this method.
        """
        cache: dict[str, TileBank] = self.__dict__.setdefault("_tile_banks", {})
        if split not in cache:
            cache[split] = self._build_tile_bank(split)
        return cache[split]

    def _build_tile_bank(self, split: str, limit: int = 64) -> TileBank:
        """Make tiles of the first `limit` glyphs of each character."""
        characters = self.characters(split)
        stacks = [
            np.stack([make_tile(self.glyph(c, i, split).ink) for i in range(min(limit, self.count(c, split)))])
            for c in characters
        ]
        return TileBank(characters, np.concatenate(stacks), np.cumsum([0, *map(len, stacks)]))


@dataclass(frozen=True)
class TileBank:
    """Tiles sorted by character: the tiles of characters[k] are images[offsets[k]:offsets[k + 1]].

    Raises DataError when the images are not TILE x TILE or the last offset is not their number.
    """

    characters: str
    images: npt.NDArray[np.uint8]  # (N, 28, 28)
    offsets: npt.NDArray[np.int64]  # (len(characters) + 1,)

    def __post_init__(self) -> None:
        if self.images.shape[1:] != (TILE, TILE) or self.offsets[-1] != len(self.images):
            raise DataError(
                f"a tile bank needs images of (N, {TILE}, {TILE}) and a last offset of N, "
                f"got {self.images.shape} and {self.offsets[-1]}: check how the tiles were made"
            )

    @cached_property
    def boxes(self) -> npt.NDArray[np.uint8]:
        """The ink box of each tile, (N, 4), see `ink_boxes`."""
        return ink_boxes(self.images)


def ink_boxes(tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the bounding box of the ink of each tile.

    tiles: uint8 (N, 28, 28); ink is brighter than INK_THRESHOLD. Returns uint8 (N, 4): top, bottom, left, right in px,
    bottom and right exclusive. The box of a tile without ink is the whole tile.
    """
    is_ink = tiles > INK_THRESHOLD
    row_has_ink, column_has_ink = is_ink.max(axis=2), is_ink.max(axis=1)  # (N, 28) each
    boxes = np.empty((len(tiles), 4), np.uint8)
    for k, profile in ((0, row_has_ink), (2, column_has_ink)):
        boxes[:, k] = profile.argmax(axis=1)
        boxes[:, k + 1] = TILE - profile[:, ::-1].argmax(axis=1)
    return boxes


def make_tile(ink: Ink, side: int = 22) -> Ink:
    """Resize a glyph and centre it in a TILE x TILE square, close to how EMNIST frames its images.

    ink: uint8 (h, w). The longer side becomes `side` px, at most TILE; the aspect ratio is kept.
    Returns uint8 (28, 28).
    """
    h, w = ink.shape
    scale = side / max(h, w)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    resized = cv2.resize(ink, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    tile = np.zeros((TILE, TILE), np.uint8)
    y, x = (TILE - size[1]) // 2, (TILE - size[0]) // 2
    tile[y : y + size[1], x : x + size[0]] = resized
    return tile


def _latin_sizes() -> dict[str, tuple[float, float]]:
    sizes: dict[str, tuple[float, float]] = {}
    for characters, top, bottom in (
        ("acemnorsuvwxz", 1.0, 0.0), ("bdhkl", 1.7, 0.0), ("f", 1.7, 0.0), ("t", 1.42, 0.0), ("i", 1.5, 0.0),
        ("gpqy", 1.0, -0.6), ("j", 1.5, -0.6), ("ABCDEFGHIJKLMNOPRSTUVWXYZ", 1.55, 0.0), ("Q", 1.55, -0.15),
        ("0123456789", 1.5, 0.0), ("!?&%#", 1.55, 0.0), ("@", 1.4, -0.2), ("$", 1.65, -0.15),
        (".", 0.18, 0.0), (",", 0.2, -0.3), (":", 0.9, 0.0), (";", 0.9, -0.3), ("-", 0.6, 0.45), ("=", 0.8, 0.35),
        ("+", 1.0, 0.15), ("*", 1.5, 0.8), ("'\"", 1.6, 1.15), ("()[]{}", 1.7, -0.35), ("/\\|", 1.65, -0.2),
        ("_", -0.1, -0.2), ("<>", 1.0, 0.1), ("^~`", 1.5, 1.0),
    ):  # fmt: skip
        sizes.update(dict.fromkeys(characters, (top, bottom)))
    return sizes


#: character -> (top, bottom) of its handwritten form in x-heights above the baseline. The values follow those of the
#: first natural lines (ascender 1.65, capital 1.55, digit 1.5, t 1.4, descender 0.5-0.6). Sources with metrics of
#: their own do not use this table.
LATIN_SIZES = _latin_sizes()
DEFAULT_SIZE = (1.5, 0.0)  # of characters outside LATIN_SIZES: about the size of a capital
