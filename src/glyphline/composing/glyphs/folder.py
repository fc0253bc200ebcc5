"""A folder of images, one folder a character, any size, any script: your own characters."""

from __future__ import annotations

import re
import sys
import unicodedata
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
from glyphline.imaging.documents import SUFFIXES, load
from glyphline.imaging.normalization import extract_ink

_CODE = re.compile(r"^[uU]\+?([0-9a-fA-F]{4,6})$")
LEAST = len(SPLITS)  # images of a character


def character_of(folder: str) -> str | None:
    """The character a folder's name stands for: itself, or U+0041, or 'upper_A' / 'lower_a' where case is lost.

    >>> character_of("A"), character_of("U+05D0"), character_of("lower_a"), character_of("notes")
    ('A', 'א', 'a', None)
    """
    folder = unicodedata.normalize("NFC", folder)  # macOS takes accents apart
    if len(folder) == 1:
        return folder
    if code := _CODE.match(folder):
        number = int(code.group(1), 16)
        return chr(number) if number <= sys.maxunicode else None
    kind, _, rest = folder.partition("_")
    if kind in ("upper", "lower") and len(rest) == 1:
        cased = rest.upper() if kind == "upper" else rest.lower()
        return cased if len(cased) == 1 else None
    return None


class Folder(GlyphSource):
    """Images are split by the checksum of their ink, so a copy never lands in another split."""

    help = "folder:FOLDER: one folder a character (A, U+05D0, lower_a), images of any size inside"

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, f"folder:{folder}"
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder: give one that holds a folder of images for each character")
        self._split_of: dict[int, str] = {}  # checksum of an image -> its split
        self._glyphs: dict[str, dict[str, list[tuple[int, Glyph]]]] = {split: {} for split in SPLITS}
        for inner in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
            character = character_of(inner.name)
            if character is None:
                raise DataError(
                    f"{inner} does not name a character: call it by the character itself, its code (U+0041), "
                    "or upper_a / lower_a"
                )
            self._read(character, inner)
        if not self._glyphs["train"]:
            raise DataError(f"{folder} holds no folder of images: make one for each character")

    def _read(self, character: str, inner: Path) -> None:
        found: dict[int, Glyph] = {}
        for path in sorted(p for p in inner.iterdir() if p.suffix.lower() in SUFFIXES):
            ink = extract_ink(load(path))
            rows = np.flatnonzero(ink.max(axis=1) > INK_THRESHOLD)
            columns = np.flatnonzero(ink.max(axis=0) > INK_THRESHOLD)
            if len(rows) == 0:
                raise DataError(f"{path} holds no ink: remove the image or draw it again")
            cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            high, low = LATIN_SIZES.get(character, UNKNOWN_SIZE)
            found[zlib.crc32(cropped.tobytes(), cropped.shape[1])] = Glyph(cropped, high, low)
        if len(found) < LEAST:
            raise DataError(
                f"{inner} holds {len(found)} different images of {character!r}: at least {LEAST} are needed, "
                "so that training, validation and test share none"
            )
        held = max(1, len(found) // 10)
        room = {"val": held, "test": held, "train": len(found) - 2 * held}
        free = []
        for checksum in sorted(found):  # an image that another character has, too, keeps its split
            if checksum in self._split_of:
                room[self._split_of[checksum]] -= 1
            else:
                free.append(checksum)
        for checksum in free:
            self._split_of[checksum] = next((s for s in ("val", "test") if room[s] > 0), "train")
            room[self._split_of[checksum]] -= 1
        for checksum in sorted(found):
            self._glyphs[self._split_of[checksum]].setdefault(character, []).append((checksum, found[checksum]))
        missing = [s for s in SPLITS if not self._glyphs[s].get(character)]
        if missing:
            raise DataError(
                f"{inner} has no image left for {', '.join(missing)} that no other character uses, too: "
                "add images, or remove the ones filed under two characters"
            )

    def characters(self, split: str) -> str:
        return "".join(sorted(self._glyphs[split]))

    def count(self, character: str, split: str) -> int:
        return len(self._glyphs[split].get(character, ()))

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        return self._glyphs[split][character][index][1]

    def digests(self, split: str) -> set[int]:
        return {checksum for glyphs in self._glyphs[split].values() for checksum, _ in glyphs}
