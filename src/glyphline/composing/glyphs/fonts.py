"""Glyphs rendered from the TrueType, OpenType and WOFF fonts of a folder; each font belongs to one split."""

from __future__ import annotations

import zlib
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glyphline.composing.glyphs.contract import ALL, FEW, SPLITS, Glyph, GlyphSource
from glyphline.errors import DataError

SUFFIXES = (".ttf", ".otf", ".woff", ".woff2", ".ttc")
SIZE = 56  # px of an em in a rendered glyph
#: parts of a font's file name that say which characters it has, as Fontsource names its files: the second supplements
#: the first
SUBSETS = ("-latin-", "-latin-ext-")
TYPOGRAPHIC = "‘’“”„–—…•€"  # tested for in fonts, beyond printable ASCII, Latin-1 and Latin Extended-A
MIN_FONTS = len(SPLITS)


class Fonts(GlyphSource):
    """Glyphs from the font files below `folder`: glyph i of a character is from the i-th font of the split that has it.

    Fonts are put into splits in the order of the checksums of their files, so renaming and copying fonts changes no
    split; added fonts can move others to another split. One font in ten, and at least one, is for val; as many are for
    test; with fewer than MIN_FONTS fonts splits share them, see `sharing`. The characters are printable ASCII, Latin-1,
    Latin Extended-A and those in TYPOGRAPHIC; others are not looked up in the fonts.
    Raises DataError when `folder` has no fonts, and, when glyphs are first needed, for a file that FreeType cannot
    open.
    """

    help = "fonts:FOLDER: every .ttf, .otf, .woff below the folder"

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, f"fonts:{folder}"
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
        supplements = {_supplement(p) for p in paths if SUBSETS[0] in p.name}
        # of equal files the first path is kept
        by_checksum = {zlib.crc32(p.read_bytes()): p for p in reversed(paths) if p not in supplements}
        if not by_checksum:
            raise DataError(
                f"{folder} holds no fonts ({', '.join(SUFFIXES)}): run `make fonts` if they are those of a recipe, "
                "otherwise give a folder with font files"
            )
        fonts = sorted(by_checksum.items())
        held_out = max(1, len(fonts) // 10)
        self._fonts: dict[str, list[tuple[int, Path]]] = {
            "train": fonts[2 * held_out :], "val": fonts[:held_out], "test": fonts[held_out : 2 * held_out]
        }  # fmt: skip
        self._count = len(fonts)
        if len(fonts) < MIN_FONTS:
            self._fonts = {"train": fonts[:1], "val": fonts[-1:], "test": fonts[-1:]}
        if self.has_few():
            self._fonts[ALL] = fonts

    def has_few(self) -> bool:
        return 1 < self._count < FEW

    def sharing(self) -> str:
        if self._count >= MIN_FONTS:
            return ""
        shared = "validation and test share the second" if self._count == 2 else "all splits use it"
        return (
            f"{self.name} has {self._count} font{'s' * (self._count > 1)}, fewer than {MIN_FONTS}: {shared}, so their "
            "numbers say nothing about other writing"
        )

    @cached_property
    def _coverage(self) -> dict[str, dict[str, list[int]]]:
        """split -> character -> numbers of the fonts that have a glyph with ink for it."""
        coverage: dict[str, dict[str, list[int]]] = {split: {} for split in self._fonts}
        for split, fonts in self._fonts.items():
            for number, (_, path) in enumerate(fonts):
                for character in _candidate_characters():
                    if file_with(str(path), character):
                        coverage[split].setdefault(character, []).append(number)
        return coverage

    def characters(self, split: str) -> str:
        return "".join(sorted(self._coverage[split]))

    def count(self, character: str, split: str) -> int:
        return len(self._coverage[split].get(character, ()))

    def choose(self, character: str, split: str, writer: int, rng: np.random.Generator) -> int:
        """Return the index of the glyph in the writer's font; a random font if that font lacks the character."""
        fonts = self._coverage[split][character]
        writer_font = writer % len(self._fonts[split])
        return fonts.index(writer_font) if writer_font in fonts else int(rng.integers(len(fonts)))

    def digests(self, split: str) -> set[int]:
        """Return the checksums of the split's font files."""
        return {checksum for checksum, _ in self._fonts[split]}

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        path = str(self._fonts[split][self._coverage[split][character][index]][1])
        file = file_with(path, character)
        assert file is not None  # _coverage lists only fonts that have ink for the character
        rendered = _render(file, character)
        assert rendered is not None
        ink, left, top, advance = rendered
        unit = _x_height(path)
        return Glyph(ink, top / unit, (top - len(ink)) / unit, left / unit, advance / unit)


def _candidate_characters() -> str:
    """Printable ASCII, Latin-1, Latin Extended-A and typographic signs: the characters that fonts are tested for."""
    return "".join(map(chr, [*range(33, 127), *range(0xA1, 0x180)])) + TYPOGRAPHIC


def _supplement(path: Path) -> Path:
    """The file that supplements a font's file: the same name with the other subset; the file itself for other names."""
    return path.with_name(path.name.replace(*SUBSETS, 1))


@lru_cache(maxsize=131072)
def file_with(path: str, character: str) -> str | None:
    """The file of a font that has ink for a character: the font's own, or its supplement; None for neither."""
    supplement = _supplement(Path(path))
    for file in (path, str(supplement)):
        if file != path and not supplement.exists():
            continue
        notdef = _render(file, "\U0010ffff")  # the font's glyph for characters that it does not have
        rendered = _render(file, character)
        if rendered is not None and (notdef is None or rendered[0].tobytes() != notdef[0].tobytes()):
            return file
    return None


@lru_cache(maxsize=256)
def _open_font(path: str) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(path, SIZE, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise DataError(f"{path} is no font that FreeType can open ({error}): remove it from the folder") from None


@lru_cache(maxsize=256)
def _x_height(path: str) -> float:
    """The px from the baseline to the top of x; half an em for a font without x."""
    rendered = _render(path, "x")
    return float(rendered[2]) if rendered is not None and rendered[2] > 0 else SIZE / 2


@lru_cache(maxsize=16384)
def _render(path: str, character: str) -> tuple[np.ndarray, int, int, float] | None:
    """Ink (h, w), left bearing, top above the baseline, advance, lengths in px; None if the font draws no ink."""
    font = _open_font(path)
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
