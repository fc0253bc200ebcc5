"""TrueType, OpenType and WOFF fonts from a folder; a line keeps to one font, and a font belongs to one split."""

from __future__ import annotations

import zlib
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glyphline.composing.glyphs.contract import SPLITS, Glyph, GlyphSource
from glyphline.errors import DataError

SUFFIXES = (".ttf", ".otf", ".woff", ".woff2", ".ttc")
SIZE = 56  # px an em when a glyph is drawn
LEAST_FONTS = len(SPLITS)


class Fonts(GlyphSource):
    """Glyph number i of a character is how the i-th font of the split draws it."""

    help = "fonts:FOLDER: every .ttf, .otf, .woff below the folder; at least three"

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, f"fonts:{folder}"
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
        unique = {zlib.crc32(p.read_bytes()): p for p in reversed(paths)}  # the same font twice is one font
        self._fonts: dict[str, list[tuple[int, Path]]] = {split: [] for split in SPLITS}
        if len(unique) < LEAST_FONTS:
            raise DataError(
                f"{folder} holds {len(unique)} fonts ({', '.join(SUFFIXES)}): at least {LEAST_FONTS} are needed, "
                "so that training, validation and test share none"
            )
        ordered = sorted(unique.items())  # by checksum: no order of names decides the split
        held = max(1, len(ordered) // 10)
        for number, item in enumerate(ordered):
            split = "val" if number < held else "test" if number < 2 * held else "train"
            self._fonts[split].append(item)

    @cached_property
    def _covers(self) -> dict[str, dict[str, list[int]]]:
        """split -> character -> numbers of the fonts that draw it with ink of its own."""
        out: dict[str, dict[str, list[int]]] = {split: {} for split in SPLITS}
        for split, fonts in self._fonts.items():
            for number, (_, path) in enumerate(fonts):
                nothing = _mask(str(path), "\U0010ffff")  # the font's "no such character" box
                for character in _printable():
                    mask = _mask(str(path), character)
                    if mask is not None and (nothing is None or mask[0].tobytes() != nothing[0].tobytes()):
                        out[split].setdefault(character, []).append(number)
        return out

    def characters(self, split: str) -> str:
        return "".join(sorted(self._covers[split]))

    def count(self, character: str, split: str) -> int:
        return len(self._covers[split].get(character, ()))

    def choose(self, character: str, split: str, writer: int, rng: np.random.Generator) -> int:
        fonts = self._covers[split][character]
        wanted = writer % len(self._fonts[split])
        return fonts.index(wanted) if wanted in fonts else int(rng.integers(len(fonts)))

    def digests(self, split: str) -> set[int]:
        return {checksum for checksum, _ in self._fonts[split]}

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        path = str(self._fonts[split][self._covers[split][character][index]][1])
        mask = _mask(path, character)
        assert mask is not None  # only fonts that draw the character are listed
        ink, left, above, advance = mask
        unit = _x_height(path)
        return Glyph(ink, above / unit, (above - len(ink)) / unit, left / unit, advance / unit)


def _printable() -> str:
    return "".join(map(chr, [*range(33, 127), *range(0xA1, 0x180)]))


@lru_cache(maxsize=256)
def _open(path: str) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(path, SIZE, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise DataError(f"{path} is no font that FreeType can open ({error}): remove it from the folder") from None


@lru_cache(maxsize=256)
def _x_height(path: str) -> float:
    """px from the baseline to the top of x; half an em for a font without an x."""
    mask = _mask(path, "x")
    return float(mask[2]) if mask is not None and mask[2] > 0 else SIZE / 2


@lru_cache(maxsize=16384)
def _mask(path: str, character: str) -> tuple[np.ndarray, int, int, float] | None:
    """(ink (h, w), px left of it, px from the baseline to its top, advance); None for no ink."""
    font = _open(path)
    box = font.getbbox(character, anchor="ls")
    left, top, right, bottom = (int(v) for v in box)
    if right <= left or bottom <= top:
        return None
    image = Image.new("L", (right - left, bottom - top), 0)
    ImageDraw.Draw(image).text((-left, -top), character, fill=255, font=font, anchor="ls")
    ink = np.asarray(image, np.uint8)
    rows, columns = np.flatnonzero(ink.max(axis=1) > 0), np.flatnonzero(ink.max(axis=0) > 0)
    if len(rows) == 0:
        return None
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cropped, left + int(columns[0]), -(top + int(rows[0])), float(font.getlength(character))
