"""A folder of pictures, one folder a character, any size, any script: your own characters."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np

from glyphline.composing.glyphs.contract import (
    INK_THRESHOLD,
    LATIN_SIZES,
    SPLITS,
    UNKNOWN_SIZE,
    Glyph,
    GlyphSource,
)
from glyphline.errors import DataError
from glyphline.image import SUFFIXES, ink_of, load

_CODE = re.compile(r"^[uU]\+?([0-9a-fA-F]{4,6})$")
LEAST = len(SPLITS)  # pictures of a character


def character_of(folder: str) -> str | None:
    """The character a folder's name stands for: itself, or U+0041, or 'upper_A' / 'lower_a' where case is lost.

    >>> character_of("A"), character_of("U+05D0"), character_of("lower_a"), character_of("notes")
    ('A', 'א', 'a', None)
    """
    if len(folder) == 1:
        return folder
    if code := _CODE.match(folder):
        return chr(int(code.group(1), 16))
    kind, _, rest = folder.partition("_")
    if kind in ("upper", "lower") and len(rest) == 1:
        return rest.upper() if kind == "upper" else rest.lower()
    return None


class Folder(GlyphSource):
    """Pictures are split by the checksum of their ink, so a copy never lands in another split."""

    help = "folder:FOLDER: one folder a character (A, U+05D0, lower_a), pictures of any size inside"

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, f"folder:{folder}"
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder: give one that holds a folder of pictures for each character")
        self._glyphs: dict[str, dict[str, list[tuple[int, Glyph]]]] = {split: {} for split in SPLITS}
        for inner in sorted(p for p in folder.iterdir() if p.is_dir()):
            character = character_of(inner.name)
            if character is None:
                raise DataError(
                    f"{inner} does not name a character: call it by the character itself, its code (U+0041), "
                    "or upper_a / lower_a"
                )
            self._read(character, inner)
        if not self._glyphs["train"]:
            raise DataError(f"{folder} holds no folder of pictures: make one for each character")

    def _read(self, character: str, inner: Path) -> None:
        found: dict[int, Glyph] = {}
        for path in sorted(p for p in inner.iterdir() if p.suffix.lower() in SUFFIXES):
            ink = ink_of(load(path))
            rows = np.flatnonzero(ink.max(axis=1) > INK_THRESHOLD)
            columns = np.flatnonzero(ink.max(axis=0) > INK_THRESHOLD)
            if len(rows) == 0:
                raise DataError(f"{path} holds no ink: remove the picture or draw it again")
            cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            high, low = LATIN_SIZES.get(character, UNKNOWN_SIZE)
            found[zlib.crc32(cropped.tobytes(), cropped.shape[1])] = Glyph(cropped, high, low)
        if len(found) < LEAST:
            raise DataError(
                f"{inner} holds {len(found)} different pictures of {character!r}: at least {LEAST} are needed, "
                "so that training, validation and test share none"
            )
        ordered = sorted(found.items())
        held = max(1, len(ordered) // 10)
        for number, item in enumerate(ordered):
            split = "val" if number < held else "test" if number < 2 * held else "train"
            self._glyphs[split].setdefault(character, []).append(item)

    def characters(self, split: str) -> str:
        return "".join(sorted(self._glyphs[split]))

    def count(self, character: str, split: str) -> int:
        return len(self._glyphs[split].get(character, ()))

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        return self._glyphs[split][character][index][1]

    def digests(self, split: str) -> set[int]:
        return {checksum for glyphs in self._glyphs[split].values() for checksum, _ in glyphs}
