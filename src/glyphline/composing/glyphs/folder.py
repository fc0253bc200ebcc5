"""Glyphs from a folder of images with one folder for each character, in any script and any image size."""

from __future__ import annotations

import re
import sys
import unicodedata
import zlib
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from glyphline.composing.glyphs.contract import (
    ALL,
    DEFAULT_SIZE,
    FEW,
    INK_THRESHOLD,
    LATIN_SIZES,
    SPLITS,
    Glyph,
    GlyphSource,
    Ink,
)
from glyphline.errors import DataError
from glyphline.imaging.documents import SUFFIXES, GreyImage, load
from glyphline.imaging.normalization import extract_ink, ink_is_bright

_CODE_POINT = re.compile(r"^[uU]\+?([0-9a-fA-F]{4,6})$")
MIN_IMAGES = len(SPLITS)  # different images of a character, one for each split; with fewer, splits share them
SMALL_MARK = 0.05  # of the pixels of an image; `ink_is_bright` may take less ink for paper
MIN_CONTRAST = 64  # grey values; of a mark so small that `extract_ink` does not see it
METRICS = "glyphs.tsv"  # rows of file<TAB>character<TAB>top<TAB>bottom, in x-heights above the baseline


def format_metrics(rows: Iterable[tuple[str, str, float, float]]) -> str:
    """The text of a METRICS file. rows: file, character, top and bottom of the ink in x-heights above the baseline."""
    return "".join(f"{file}\t{character}\t{top:.3f}\t{bottom:.3f}\n" for file, character, top, bottom in rows)


def read_metrics(path: Path) -> dict[str, list[tuple[Path, float, float]]]:
    """The rows of a METRICS file by character: the path of the image, top and bottom.

    Raises DataError that names the row for one without four columns, a character and two numbers, for an image that is
    not there, and for a file without rows.
    """
    by_character: dict[str, list[tuple[Path, float, float]]] = {}
    try:
        rows = path.read_text(encoding="utf-8-sig").split("\n")  # a name may hold U+2028, at which splitlines breaks
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): convert it first") from None
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        try:
            name, character, top, bottom = row.split("\t")
            image = (path.parent / name, float(top), float(bottom))
            valid = len(character) == 1 and image[1] > image[2]
        except ValueError:
            valid = False
        if not valid:
            raise DataError(
                f"{path} line {number} is not file<TAB>character<TAB>top<TAB>bottom with the top above the bottom: "
                "correct or remove it"
            )
        if not image[0].is_file():
            raise DataError(f"{path} line {number} names {name}, which is not in the folder: add it or remove the row")
        by_character.setdefault(character, []).append(image)
    if not by_character:
        raise DataError(f"{path} has no rows: it needs file<TAB>character<TAB>top<TAB>bottom for each glyph")
    return by_character


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
    least one, is a val glyph, and as many are test glyphs; splits share the images of a character that has fewer than
    MIN_IMAGES, see `sharing`. Only files with one of the image suffixes of `documents.SUFFIXES` are read. The height of
    a glyph on the line is that in LATIN_SIZES or DEFAULT_SIZE, whatever the size of its image.
    A `folder` with a METRICS file, such as that of `glyphline glyphs`, holds the glyphs that the file lists, at the
    sizes it gives; their images are dark ink on white.
    Raises DataError when `folder` does not exist or holds no folder, when a folder's name is no character, when an
    image has no ink, when a character has no image, and what `read_metrics` raises. Raises what `documents.load` raises
    for an image that cannot be read.
    """

    help = "folder:FOLDER: one folder a character (A, U+05D0, lower_a), images inside; or what `glyphline glyphs` wrote"

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, f"folder:{folder}"
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder: give one that holds a folder of images for each character")
        self._split_of: dict[int, str] = {}  # checksum of an image -> its split
        self._glyphs: dict[str, dict[str, list[tuple[int, Glyph]]]] = {split: {} for split in (*SPLITS, ALL)}
        self._has_few = False
        self._shared: list[str] = []  # characters with images that are in several splits
        if (folder / METRICS).exists():
            for measured, images in sorted(read_metrics(folder / METRICS).items()):
                self._add_character(measured, _read_measured_glyphs(images), folder)
            return
        for character_folder in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
            character = parse_folder_name(character_folder.name)
            if character is None:
                raise DataError(
                    f"{character_folder} does not name a character: rename it to the character itself, "
                    "its code (U+0041), or upper_a / lower_a"
                )
            self._add_character(character, _read_glyphs(character, character_folder), character_folder)
        if not self._glyphs["train"]:
            raise DataError(f"{folder} holds no folder of images: make one for each character")

    def has_few(self) -> bool:
        return self._has_few

    def sharing(self) -> str:
        if not self._shared:
            return ""
        return (
            f"{self.name} has fewer than {MIN_IMAGES} images of {' '.join(self._shared)}: validation and test share "
            "them, or even repeat those of training, so their numbers are better than on new writing"
        )

    def _add_character(self, character: str, glyphs: dict[int, Glyph], folder: Path) -> None:
        """Divide the images of a character among the splits. folder: for messages."""
        if not glyphs:
            raise DataError(f"{folder} holds no image of {character!r}: add some, or remove the folder")
        if len(glyphs) < FEW:
            self._has_few |= len(glyphs) > 1
            self._glyphs[ALL][character] = sorted(glyphs.items())
        if len(glyphs) < MIN_IMAGES:
            self._shared.append(character)
            first, *others = sorted(glyphs)
            for split in SPLITS:
                checksum = first if split == "train" or not others else others[0]
                self._glyphs[split][character] = [(checksum, glyphs[checksum])]
            return
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
        self._glyphs[ALL].setdefault(character, self._glyphs["train"].get(character, []))
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

    def fingerprint(self) -> int:
        """It covers the character, the size and the split of each image, because any of them can be corrected."""
        rows = [
            (split, character, checksum, glyph.top, glyph.bottom)
            for split in SPLITS
            for character, glyphs in sorted(self._glyphs[split].items())
            for checksum, glyph in glyphs
        ]
        return zlib.crc32(repr(rows).encode())

    def digests(self, split: str) -> set[int]:
        return {checksum for glyphs in self._glyphs[split].values() for checksum, _ in glyphs}


def _read_measured_glyphs(images: Iterable[tuple[Path, float, float]]) -> dict[int, Glyph]:
    """The different images of a character in a METRICS file as glyphs, by the checksum of their ink."""
    glyphs: dict[int, Glyph] = {}
    for path, top, bottom in images:
        cropped = _crop(255 - load(path), path)
        glyphs[zlib.crc32(cropped.tobytes(), cropped.shape[1])] = Glyph(cropped, top, bottom)
    return glyphs


def _crop(ink: Ink, path: Path) -> Ink:
    """The ink of an image without the empty border. Raises DataError for an image without ink."""
    rows = np.flatnonzero(ink.max(axis=1) > INK_THRESHOLD)
    columns = np.flatnonzero(ink.max(axis=0) > INK_THRESHOLD)
    if len(rows) == 0:
        raise DataError(
            f"{path} holds no ink on paper: remove the image, or draw or crop it again with a border around the ink"
        )
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _extract_character(grey: GreyImage) -> Ink:
    """The ink of an image (H, W) of one character, all 0 where it has no contrast.

    `extract_ink` sees lines of text: a full stop may be too little of its image, and the paper around it look like the
    ink. The ink is what differs from the border of the image then.
    """
    ink = extract_ink(grey)
    border = int(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    difference = cv2.absdiff(grey, np.full_like(grey, border))
    strongest = int(difference.max())
    if strongest < MIN_CONTRAST:
        return ink
    mark = difference > strongest // 2
    is_bright = bool(grey[mark].mean() > border)
    if ink.any() and (mark.mean() > SMALL_MARK or is_bright == ink_is_bright(grey)):
        return ink
    return cv2.convertScaleAbs(difference, alpha=255 / strongest)


def _read_glyphs(character: str, folder: Path) -> dict[int, Glyph]:
    """The different images of a folder as glyphs of the character, by the checksum of their cropped ink."""
    glyphs: dict[int, Glyph] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
        cropped = _crop(_extract_character(load(path)), path)
        top, bottom = LATIN_SIZES.get(character, DEFAULT_SIZE)
        glyphs[zlib.crc32(cropped.tobytes(), cropped.shape[1])] = Glyph(cropped, top, bottom)
    return glyphs
