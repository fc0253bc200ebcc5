"""What a source of single-character images must offer, and the sizes Latin letters have beside one another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.errors import AlphabetError, DataError

Ink = npt.NDArray[np.uint8]  # (h, w), ink bright on 0
SPLITS = ("train", "val", "test")
TILE = 28  # px, the side of an EMNIST image
INK_THRESHOLD = 40  # of 255; fainter pixels do not count when a glyph is cropped


@dataclass(frozen=True)
class Glyph:
    """One cropped character and where it stands; lengths in x-heights, measured from the baseline upwards."""

    ink: Ink  # (h, w), h and w >= 1
    top: float  # upper edge of the ink above the baseline
    bottom: float  # lower edge of the ink; negative below the baseline
    left: float | None = None  # side bearing before the ink; None: the layout sets the gap
    advance: float | None = None  # pen travel; None: ink width and a gap


class GlyphSource(ABC):
    """Images of single characters in three splits that share none.

    To add one: subclass in a file of this folder, add a row to GLYPHS in `__init__.py`; the contract tests
    (tests/composing/test_glyphs.py) then run over it.
    """

    help: ClassVar[str] = ""
    name: str  # the spec that opens this source again

    @abstractmethod
    def characters(self, split: str) -> str:
        """The characters that have at least one glyph in this split."""

    @abstractmethod
    def count(self, character: str, split: str) -> int:
        """How many glyphs of the character the split holds; 0 when it has none."""

    @abstractmethod
    def glyph(self, character: str, index: int, split: str) -> Glyph:
        """Glyph number `index` of the character; the same arguments give the same glyph."""

    @abstractmethod
    def digests(self, split: str) -> set[int]:
        """A number for each glyph of the split (or the outline it is drawn from), equal for equal glyphs."""

    def choose(self, character: str, split: str, writer: int, rng: np.random.Generator) -> int:
        """The index of a glyph that suits the writer `writer` (any number); sources without writers ignore it."""
        return int(rng.integers(self.count(character, split)))

    def need(self, characters: str, split: str) -> None:
        """Raise AlphabetError naming every character that this split cannot draw."""
        missing = [c for c in characters if c != " " and self.count(c, split) == 0]
        if missing:
            raise AlphabetError(
                f"the glyphs {self.name} have no image of {', '.join(map(repr, missing))} in the {split} split: "
                "add a source that has them, or choose a smaller alphabet"
            )

    def tiles(self, split: str) -> TileBank:
        """Every character as TILE x TILE images, for the layouts that set tiles side by side."""
        cache: dict[str, TileBank] = self.__dict__.setdefault("_tile_banks", {})
        if split not in cache:
            cache[split] = self._tile_bank(split)
        return cache[split]

    def _tile_bank(self, split: str, most: int = 64) -> TileBank:
        """Tiles made of up to `most` glyphs of each character, set the way EMNIST sets them."""
        characters = self.characters(split)
        stacks = [
            np.stack([as_tile(self.glyph(c, i, split).ink) for i in range(min(most, self.count(c, split)))])
            for c in characters
        ]
        return TileBank(characters, np.concatenate(stacks), np.cumsum([0, *map(len, stacks)]))


@dataclass(frozen=True)
class TileBank:
    """Tiles sorted by character: those of characters[k] are images[offsets[k]:offsets[k + 1]]."""

    characters: str
    images: npt.NDArray[np.uint8]  # (N, 28, 28)
    offsets: npt.NDArray[np.int64]  # (len(characters) + 1,)

    def __post_init__(self) -> None:
        if self.images.shape[1:] != (TILE, TILE) or self.offsets[-1] != len(self.images):
            raise DataError(f"tiles must be {TILE} x {TILE} and counted; got {self.images.shape}")

    @cached_property
    def boxes(self) -> npt.NDArray[np.uint8]:
        """The ink of each tile, see `ink_boxes`."""
        return ink_boxes(self.images)


def ink_boxes(tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The ink of tiles (N, 28, 28) as (top, bottom, left, right), ends exclusive, (N, 4); all of a blank tile."""
    inked = tiles > INK_THRESHOLD
    rows, columns = inked.max(axis=2), inked.max(axis=1)  # (N, 28) each
    out = np.empty((len(tiles), 4), np.uint8)
    for k, profile in ((0, rows), (2, columns)):
        out[:, k] = profile.argmax(axis=1)
        out[:, k + 1] = TILE - profile[:, ::-1].argmax(axis=1)
    return out


def as_tile(ink: Ink, box: int = 22) -> Ink:
    """A glyph as EMNIST sets it: the longer side `box` px, aspect kept, centred in a TILE x TILE square."""
    h, w = ink.shape
    scale = box / max(h, w)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    small = cv2.resize(ink, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    tile = np.zeros((TILE, TILE), np.uint8)
    y, x = (TILE - size[1]) // 2, (TILE - size[0]) // 2
    tile[y : y + size[1], x : x + size[0]] = small
    return tile


def _latin() -> dict[str, tuple[float, float]]:
    sizes: dict[str, tuple[float, float]] = {}
    for letters, top, bottom in (
        ("acemnorsuvwxz", 1.0, 0.0), ("bdhkl", 1.7, 0.0), ("f", 1.7, 0.0), ("t", 1.42, 0.0), ("i", 1.5, 0.0),
        ("gpqy", 1.0, -0.6), ("j", 1.5, -0.6), ("ABCDEFGHIJKLMNOPRSTUVWXYZ", 1.55, 0.0), ("Q", 1.55, -0.15),
        ("0123456789", 1.5, 0.0), ("!?&%#", 1.55, 0.0), ("@", 1.4, -0.2), ("$", 1.65, -0.15),
        (".", 0.18, 0.0), (",", 0.2, -0.3), (":", 0.9, 0.0), (";", 0.9, -0.3), ("-", 0.6, 0.45), ("=", 0.8, 0.35),
        ("+", 1.0, 0.15), ("*", 1.5, 0.8), ("'\"", 1.6, 1.15), ("()[]{}", 1.7, -0.35), ("/\\|", 1.65, -0.2),
        ("_", -0.1, -0.2), ("<>", 1.0, 0.1), ("^~`", 1.5, 1.0),
    ):  # fmt: skip
        sizes.update(dict.fromkeys(letters, (top, bottom)))
    return sizes


#: (top, bottom) of handwritten Latin characters in x-heights above the baseline. Measured tries (ascender 1.65,
#: capital 1.55, digit 1.5, t 1.4, descender 0.5-0.6); sources that know their own metrics do not use it.
LATIN_SIZES = _latin()
UNKNOWN_SIZE = (1.5, 0.0)  # a character of another script without metrics: a capital
