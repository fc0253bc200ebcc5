"""Glyphs rendered from the TrueType, OpenType and WOFF fonts of a folder; each font belongs to one split."""

from __future__ import annotations

import unicodedata
import zlib
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from glyphline.composing.glyphs.contract import ALL, FEW, SPLITS, Glyph, GlyphSource
from glyphline.errors import DataError
from glyphline.writing_direction import LTR, RTL, has_rtl_letters

SUFFIXES = (".ttf", ".otf", ".woff", ".woff2", ".ttc")
SIZE = 56  # px of an em in a rendered glyph
#: parts of a font's file name that say which characters it has, as Fontsource names its files: the second supplements
#: the first
SUBSETS = ("-latin-", "-latin-ext-")
SCAN_SIZE = 8  # px of an em where fonts are searched for their characters
SCAN_BLOCK = 32  # characters that are looked up in a font together
#: ranges of the Basic Multilingual Plane that `characters` leaves out: ideographs, Hangul and private use
UNSCANNED = ((0x3400, 0xA000), (0xAC00, 0xD7B0), (0xD800, 0xFB00))
MISSING = "\U0010ffff"  # no character: a font draws its glyph for characters that it does not have
MIN_FONTS = len(SPLITS)
#: open fonts, half of them handwriting, chosen by recipes/fonts/collect.py; and what a spec calls this folder
PACKAGE_FOLDER, BUILT_IN = Path(str(resources.files("glyphline"))) / "fonts", "built-in"


class Fonts(GlyphSource):
    """Glyphs from the font files below `folder`: glyph i of a character is from the i-th font of the split that has it.

    Fonts are put into splits in the order of the checksums of their files, so renaming and copying fonts changes no
    split; added fonts can move others to another split. One font in ten, and at least one, is for val; as many are for
    test; with fewer than MIN_FONTS fonts splits share them, see `sharing`. A font has a character if it draws ink for
    it, and other ink than for a missing one. Several characters that join or combine are shaped by HarfBuzz.
    Raises DataError when `folder` has no fonts, and, when glyphs are first needed, for a file that FreeType cannot
    open and for a Pillow without HarfBuzz.
    """

    help = "fonts:FOLDER: every .ttf, .otf, .woff below the folder; fonts:built-in: open fonts of the package"
    shapes = True

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, f"fonts:{BUILT_IN if folder == PACKAGE_FOLDER else folder}"
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
        supplements = {_supplement(p) for p in paths if SUBSETS[0] in p.name}
        # of equal files the first path is kept
        by_checksum = {zlib.crc32(p.read_bytes()): p for p in reversed(paths) if p not in supplements}
        if not by_checksum:
            from glyphline.composing.fetch import how_to_get

            remedy = how_to_get(folder) or "give a folder with font files"
            raise DataError(f"{folder} holds no fonts ({', '.join(SUFFIXES)}): {remedy}")
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
    def _fonts_of(self) -> dict[tuple[str, str], list[int]]:
        """(split, unit) -> numbers of the fonts that draw it, for the units asked for so far."""
        return {}

    def _fonts_with(self, unit: str, split: str) -> list[int]:
        """The numbers of the split's fonts that draw a character, or a unit of several."""
        if (split, unit) not in self._fonts_of:
            self._fonts_of[split, unit] = [
                number for number, (_, path) in enumerate(self._fonts[split]) if file_with(str(path), unit)
            ]
        return self._fonts_of[split, unit]

    def characters(self, split: str) -> str:
        """Return the characters of the split's fonts, without those of UNSCANNED, which `count` knows too.

        All fonts are searched, at about 60 ms a file; ask `count` where single characters matter.
        """
        found: set[str] = set()
        for _, path in self._fonts[split]:
            found.update(c for c in _scan(str(path)) if c not in found and file_with(str(path), c))
        return "".join(sorted(found))

    def count(self, character: str, split: str) -> int:
        return len(self._fonts_with(character, split))

    def choose(self, character: str, split: str, writer: int, rng: np.random.Generator) -> int:
        """Return the index of the glyph in the writer's font; a random font if that font lacks the character."""
        fonts = self._fonts_with(character, split)
        writer_font = writer % len(self._fonts[split])
        return fonts.index(writer_font) if writer_font in fonts else int(rng.integers(len(fonts)))

    def digests(self, split: str) -> set[int]:
        """Return the checksums of the split's font files."""
        return {checksum for checksum, _ in self._fonts[split]}

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        path = str(self._fonts[split][self._fonts_with(character, split)[index]][1])
        file = file_with(path, character)
        assert file is not None  # _fonts_with lists only fonts that draw the character
        rendered = _render(file, character) if len(character) == 1 else _shape(file, character)
        assert rendered is not None
        ink, left, top, advance = rendered
        unit = _x_height(path)
        return Glyph(ink, top / unit, (top - len(ink)) / unit, left / unit, advance / unit)


def _supplement(path: Path) -> Path:
    """The file that supplements a font's file: the same name with the other subset; the file itself for other names."""
    return path.with_name(path.name.replace(*SUBSETS, 1))


@lru_cache(maxsize=131072)
def file_with(path: str, unit: str) -> str | None:
    """The file of a font that draws a character: the font's own, or its supplement; None for neither.

    unit: a character, or several that are drawn together; the file then has all of them.
    """
    return next((f for f in _files(path) if unit and all(_draws(f, character) for character in unit)), None)


@lru_cache(maxsize=4096)
def _files(path: str) -> tuple[str, ...]:
    """The file of a font and its supplement, if it has one."""
    supplement = _supplement(Path(path))
    return (path,) if str(supplement) == path or not supplement.exists() else (path, str(supplement))


@lru_cache(maxsize=131072)
def _draws(file: str, character: str) -> bool:
    """Whether a font file draws ink for a character, and other ink than for a missing one."""
    if not _has_outlines(file):
        return False
    ink = _ink(file, character)
    return ink is not None and ink != _missing_ink(file)


@lru_cache(maxsize=1024)
def _has_outlines(file: str) -> bool:
    """Whether a font can be drawn in any size; one of images alone, such as many emoji fonts, draws nothing here."""
    try:
        _open_font(file)
    except DataError as error:
        if "pixel size" in str(error):  # FreeType's word for it
            return False
        raise
    return True


@lru_cache(maxsize=256)
def _missing_ink(file: str) -> bytes | None:
    return _ink(file, MISSING)


def _ink(file: str, character: str) -> bytes | None:
    """The pixels that a font draws for a character; None where it draws no ink."""
    mask = _open_font(file).getmask(character)
    return bytes(mask) if mask.getbbox() else None


@lru_cache(maxsize=256)
def _scan(path: str) -> str:
    """The characters that a font and its supplement may have: those of every block that they do not draw as missing."""
    found: list[str] = []
    for file in filter(_has_outlines, _files(path)):
        font = _open_font(file, SCAN_SIZE)
        missing = bytes(font.getmask(MISSING * SCAN_BLOCK))  # the last block, if shorter, counts as found
        found += [block for block in _scanned_blocks() if bytes(font.getmask(block)) != missing]
    return "".join(dict.fromkeys("".join(found)))


@lru_cache(maxsize=1)
def _scanned_blocks() -> tuple[str, ...]:
    """The letters, marks, numbers and signs of the Basic Multilingual Plane, SCAN_BLOCK in a text; see UNSCANNED."""
    scanned = "".join(
        chr(code)
        for code in range(0x21, 0x10000)
        if not any(low <= code < high for low, high in UNSCANNED) and unicodedata.category(chr(code))[0] in "LMNPS"
    )
    return tuple(scanned[k : k + SCAN_BLOCK] for k in range(0, len(scanned), SCAN_BLOCK))


@lru_cache(maxsize=256)
def _open_font(path: str, size: int = SIZE) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise DataError(f"{path} is no font that FreeType can open ({error}): remove it from the folder") from None


@lru_cache(maxsize=256)
def _open_shaping_font(path: str) -> ImageFont.FreeTypeFont:
    """A font that HarfBuzz shapes. Raises DataError for a Pillow without it."""
    if not can_shape():
        raise DataError(
            "letters that join or combine need Pillow's text shaping (HarfBuzz, Raqm), which needs FriBiDi: "
            "install it, for example with `apt-get install libfribidi0`, or `pip install --force-reinstall Pillow`"
        )
    return ImageFont.truetype(path, SIZE, layout_engine=ImageFont.Layout.RAQM)


def can_shape() -> bool:
    """Whether Pillow has HarfBuzz: Raqm, and FriBiDi, which Raqm loads from the system."""
    return bool(features.check("raqm") and features.check("fribidi"))


@lru_cache(maxsize=256)
def _x_height(path: str) -> float:
    """The px from the baseline to the top of x; half an em for a font without x."""
    rendered = _render(path, "x") if _draws(path, "x") else None
    return float(rendered[2]) if rendered is not None and rendered[2] > 0 else SIZE / 2


@lru_cache(maxsize=16384)
def _render(path: str, character: str) -> tuple[np.ndarray, int, int, float] | None:
    """Ink (h, w), left bearing, top above the baseline, advance, lengths in px; None if the font draws no ink."""
    return _draw_ink(_open_font(path), character, None)


@lru_cache(maxsize=2048)  # a word takes about 10 kB
def _shape(path: str, unit: str) -> tuple[np.ndarray, int, int, float] | None:
    """As `_render`, for several characters, shaped by HarfBuzz in their own direction."""
    return _draw_ink(_open_shaping_font(path), unit, RTL if has_rtl_letters(unit) else LTR)


def _draw_ink(
    font: ImageFont.FreeTypeFont, text: str, direction: str | None
) -> tuple[np.ndarray, int, int, float] | None:
    """The result of `_render` for a text in a font. direction: "ltr" or "rtl" for a font that shapes, else None."""
    left, top, right, bottom = (int(v) for v in font.getbbox(text, anchor="ls", direction=direction))
    if right <= left or bottom <= top:
        return None
    image = Image.new("L", (right - left, bottom - top), 0)
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=font, anchor="ls", direction=direction)
    ink = np.asarray(image, np.uint8)
    rows, columns = np.flatnonzero(ink.max(axis=1) > 0), np.flatnonzero(ink.max(axis=0) > 0)
    if len(rows) == 0:
        return None
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    advance = float(font.getlength(text, direction=direction))
    return cropped, left + int(columns[0]), -(top + int(rows[0])), advance
