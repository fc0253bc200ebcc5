"""Glyphs from a folder of images with one folder for each character, in any script and any image size."""

from __future__ import annotations

import re
import sys
import unicodedata
import zlib
from pathlib import Path

import numpy as np

from glyphline.composing.glyphs.contract import (
    DEFAULT_SIZE,
    INK_THRESHOLD,
    LATIN_SIZES,
    SPLITS,
    Glyph,
    GlyphSource,
)
from glyphline.errors import DataError
from glyphline.imaging.documents import SUFFIXES, load
from glyphline.imaging.normalization import extract_ink

_CODE_POINT = re.compile(r"^[uU]\+?([0-9a-fA-F]{4,6})$")
MIN_IMAGES = len(SPLITS)  # different images of a character, one for each split


def parse_folder_name(name: str) -> str | None:
    """Return the character that a folder's name stands for, or None for any other name.

    The name is the character itself, its code point (U+0041), or upper_A / lower_a for file systems that ignore case.

    >>> parse_folder_name("A"), parse_folder_name("U+05D0"), parse_folder_name("lower_a"), parse_folder_name("notes")
    ('A', 'א', 'a', None)
    """
    name = unicodedata.normalize("NFC", name)  # macOS stores accents as separate characters
    if len(name) == 1:
        return name
    if match := _CODE_POINT.match(name):
        code_point = int(match.group(1), 16)
        return chr(code_point) if code_point <= sys.maxunicode else None
    case, _, letter = name.partition("_")
    if case in ("upper", "lower") and len(letter) == 1:
        character = letter.upper() if case == "upper" else letter.lower()
        return character if len(character) == 1 else None
    return None


class Folder(GlyphSource):
    """Glyphs from `folder`, which holds one folder of images for each character.

    Images are put into splits in the order of the checksums of their cropped ink, so equal images are always in the
    same split; added images can move others to another split. Of a character's different images one in ten, and at
    least one, is a val glyph, and as many are test glyphs. Only files with one of the image suffixes of
    `documents.SUFFIXES` are read. The height of a glyph on the line is that in LATIN_SIZES or DEFAULT_SIZE, whatever
    the size of its image.
    Raises DataError when `folder` does not exist or holds no folder, when a folder's name is no character, when an
    image has no ink, or when a character has too few images for three splits. Raises what `documents.load` raises for
    an image that cannot be read.
    """

    help = "folder:FOLDER: one folder a character (A, U+05D0, lower_a), images of any size inside"

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, f"folder:{folder}"
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder: give one that holds a folder of images for each character")
        self._split_of: dict[int, str] = {}  # checksum of an image -> its split
        self._glyphs: dict[str, dict[str, list[tuple[int, Glyph]]]] = {split: {} for split in SPLITS}
        for character_folder in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
            character = parse_folder_name(character_folder.name)
            if character is None:
                raise DataError(
                    f"{character_folder} does not name a character: rename it to the character itself, "
                    "its code (U+0041), or upper_a / lower_a"
                )
            self._add_character(character, character_folder)
        if not self._glyphs["train"]:
            raise DataError(f"{folder} holds no folder of images: make one for each character")

    def _add_character(self, character: str, folder: Path) -> None:
        """Read the images of a character and divide them among the splits."""
        glyphs = _read_glyphs(character, folder)
        if len(glyphs) < MIN_IMAGES:
            raise DataError(
                f"{folder} holds {len(glyphs)} different images of {character!r}: at least {MIN_IMAGES} are needed, "
                "so that training, validation and test share none"
            )
        held_out = max(1, len(glyphs) // 10)
        room = {"val": held_out, "test": held_out, "train": len(glyphs) - 2 * held_out}  # images a split still takes
        unassigned = []
        for checksum in sorted(glyphs):
            if checksum in self._split_of:  # another character has the same image, which must stay in its split
                room[self._split_of[checksum]] -= 1
            else:
                unassigned.append(checksum)
        for checksum in unassigned:
            self._split_of[checksum] = next((s for s in ("val", "test") if room[s] > 0), "train")
            room[self._split_of[checksum]] -= 1
        for checksum in sorted(glyphs):
            self._glyphs[self._split_of[checksum]].setdefault(character, []).append((checksum, glyphs[checksum]))
        empty_splits = [s for s in SPLITS if not self._glyphs[s].get(character)]
        if empty_splits:
            raise DataError(
                f"{folder} has no image for {', '.join(empty_splits)}, because other characters have the same images: "
                "add images, or remove those that are in the folders of two characters"
            )

    def characters(self, split: str) -> str:
        return "".join(sorted(self._glyphs[split]))

    def count(self, character: str, split: str) -> int:
        return len(self._glyphs[split].get(character, ()))

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        return self._glyphs[split][character][index][1]

    def digests(self, split: str) -> set[int]:
        return {checksum for glyphs in self._glyphs[split].values() for checksum, _ in glyphs}


def _read_glyphs(character: str, folder: Path) -> dict[int, Glyph]:
    """The different images of a folder as glyphs of the character, by the checksum of their cropped ink."""
    glyphs: dict[int, Glyph] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
        ink = extract_ink(load(path))
        rows = np.flatnonzero(ink.max(axis=1) > INK_THRESHOLD)
        columns = np.flatnonzero(ink.max(axis=0) > INK_THRESHOLD)
        if len(rows) == 0:
            raise DataError(f"{path} holds no ink: remove the image or draw it again")
        cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        top, bottom = LATIN_SIZES.get(character, DEFAULT_SIZE)
        glyphs[zlib.crc32(cropped.tobytes(), cropped.shape[1])] = Glyph(cropped, top, bottom)
    return glyphs
