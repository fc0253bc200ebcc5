"""Fonts that print labels: for each character the first font at hand that draws it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path

from PIL import ImageDraw, ImageFont

from glyphline.composing.glyphs.fonts import PACKAGE_FOLDER, SUFFIXES, file_with
from glyphline.composing.shaping import visual_units
from glyphline.errors import AlphabetError, DataError
from glyphline.writing_direction import RTL, has_rtl_letters

#: folders in which Linux, macOS and Windows keep fonts
SYSTEM_FOLDERS = {
    "darwin": ("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"),
    "win32": ("C:/Windows/Fonts", "~/AppData/Local/Microsoft/Windows/Fonts"),
}.get(sys.platform, ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"))
#: plain fonts of many scripts, which are asked before all others
PREFERRED = ("dejavusans", "notosans-regular", "arial", "liberationsans-regular")
PACKAGE_FONTS = "open-sans-*.woff2"  # of the package; the letters of all Latin alphabets
BUILT_IN = ""  # path of Pillow's own font, which has ASCII


class LabelFonts:
    """Draws text in fonts that are at hand. A font is asked only where those before it lack a character.

    font: a font file or a folder of them that is asked first; None: only the fonts of the system, of the package and
    Pillow's own. Raises DataError for a `font` that does not exist or holds no font.
    """

    def __init__(self, font: Path | None = None) -> None:
        self._own = [] if font is None else [font] if font.is_file() else _font_files([font])
        if font is not None and not any(map(_is_usable, self._own)):
            raise DataError(f"{font} is no font and holds none ({', '.join(SUFFIXES)}): give a font file")

    @cached_property
    def _paths(self) -> list[str]:
        def rank(path: Path) -> tuple[int, bool, str]:
            name = path.stem.lower()
            preferred = PREFERRED.index(name) if name in PREFERRED else len(PREFERRED)
            return preferred, "regular" not in name, name

        system = _font_files([Path(os.path.expanduser(folder)) for folder in SYSTEM_FOLDERS])
        package = sorted(PACKAGE_FOLDER.glob(PACKAGE_FONTS))
        return [*map(str, self._own), *map(str, sorted(system, key=rank)), *map(str, package), BUILT_IN]

    def check(self, characters: str) -> None:
        """Raise AlphabetError with all the characters that no font draws. Spaces need none."""
        missing = [c for c in dict.fromkeys(characters) if c != " " and self._path(c) is None]
        if missing:
            raise AlphabetError(
                f"no font at hand draws {', '.join(map(repr, missing))}: give one that does with --font, or leave the "
                "characters out"
            )

    def width(self, text: str, size: int) -> float:
        """The width of a text in px as `draw` draws it."""
        return sum(font.getlength(run) for font, run in self._runs(text, size))

    def draw(self, image: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, size: int, anchor: str) -> None:
        """Draw a text in black at `size` px an em. xy, anchor: as in Pillow's ImageDraw.text.

        A text that no single font draws is drawn in runs of one font each, from left to right. Right-to-left text is
        drawn unit by unit (`shaping`), in the order in which it is seen.
        """
        fonts = self._runs(text, size)
        width = sum(font.getlength(run) for font, run in fonts)
        x = xy[0] - {"l": 0.0, "m": width / 2, "r": width}[anchor[0]]
        for font, run in fonts:
            image.text((x, xy[1]), run, fill=(0, 0, 0) if image.mode == "RGB" else 0, font=font, anchor=f"l{anchor[1]}")
            x += font.getlength(run)

    def _runs(self, text: str, size: int) -> list[tuple[ImageFont.FreeTypeFont, str]]:
        """The parts of a text from left to right, each with the font that draws it."""
        if has_rtl_letters(text):
            path = self._path_of_all(text)
            runs = [
                (path or self._path_of_all(unit) or self._path(unit[0]) or BUILT_IN, unit)
                for unit in visual_units(text, RTL)
            ]
        else:
            path = self._path_of_all(text, 8)
            runs = [(path, text)] if path is not None else [
                (path, "".join(run)) for path, run in groupby(text, lambda c: self._path(c) or BUILT_IN)
            ]  # fmt: skip
        return [(_open(path, size), run) for path, run in runs]

    def _path_of_all(self, text: str, count: int | None = None) -> str | None:
        """The first font, of the first `count`, that draws all characters of a text. Spaces need none."""
        return next((p for p in self._paths[:count] if all(c == " " or _draws(p, c) for c in text)), None)

    def _path(self, character: str) -> str | None:
        return next((path for path in self._paths if _draws(path, character)), None)


def _font_files(folders: Iterable[Path]) -> list[Path]:
    """The font files below folders, in the order of their paths."""

    def walk() -> Iterator[Path]:
        for folder in folders:
            if folder.is_dir():
                yield from sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)

    return list(walk())


def _is_usable(path: Path) -> bool:
    """Whether a file can be opened as a font."""
    try:
        ImageFont.truetype(path)
    except OSError:
        return False
    return True


@lru_cache(maxsize=65536)
def _draws(path: str, character: str) -> bool:
    """Whether a font has ink for a character. A file that is no usable font has none."""
    if path == BUILT_IN:
        return "!" <= character <= "~"
    try:
        return file_with(path, character) == path  # not its supplement, which is a file of its own here
    except DataError:
        return False


@lru_cache(maxsize=64)
def _open(path: str, size: int) -> ImageFont.FreeTypeFont:
    if path == BUILT_IN:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow has FreeType, as the fonts of the recipes need it
        return font
    return ImageFont.truetype(path, size)
