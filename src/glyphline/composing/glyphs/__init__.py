"""FAMILY: where single-character images come from. The contract is `contract.GlyphSource`, a member a file.

To add one: a file here with a subclass of GlyphSource, and a row in GLYPHS below; `open_glyphs`, `--help` and the
contract tests take it from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from glyphline.composing.glyphs.contract import LATIN_SIZES, SPLITS, TILE, Glyph, GlyphSource, TileBank, ink_boxes
from glyphline.composing.glyphs.emnist import EMNIST_SPLITS, Emnist
from glyphline.composing.glyphs.folder import Folder
from glyphline.composing.glyphs.fonts import Fonts
from glyphline.composing.glyphs.strokes import Strokes
from glyphline.errors import DataError, nearest

#: the word before / or : in a spec -> (what opens the rest of it, its line of help)
GLYPHS: dict[str, tuple[Callable[[str], GlyphSource], str]] = {
    "emnist": (lambda rest: Emnist(rest or "byclass"), Emnist.help),
    "strokes": (lambda rest: Strokes(), Strokes.help),
    "fonts": (lambda rest: Fonts(located(rest)), Fonts.help),
    "folder": (lambda rest: Folder(located(rest)), Folder.help),
}


def located(rest: str) -> Path:
    """A path as given, or below the data folder when it is not there."""
    from glyphline.composing.fetch import data_folder

    if not rest:
        raise DataError("the source names no path: write it after the colon, such as text:notes.txt or fonts:FOLDER")
    path = Path(rest).expanduser()
    return path if path.exists() or path.is_absolute() else data_folder() / path


def open_glyphs(spec: str) -> GlyphSource:
    """The source a spec names: "emnist/byclass", "strokes", "fonts:FOLDER", "folder:FOLDER".

    Raises DataError for an unknown source, or what the member raises for missing or broken data.
    """
    kind, _, rest = re.sub("[/:]", ":", spec, count=1).partition(":")
    if kind not in GLYPHS:
        raise DataError(f'no glyph source "{kind}"; {nearest(kind, GLYPHS)}')
    return GLYPHS[kind][0](rest)


def check_disjoint(source: GlyphSource) -> None:
    """Raise DataError when two splits of a source share a glyph."""
    seen = {split: source.digests(split) for split in SPLITS}
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        if shared := seen[a] & seen[b]:
            raise DataError(f"{source.name}: {len(shared)} glyphs stand in both {a} and {b}: the splits leak")


__all__ = [
    "EMNIST_SPLITS",
    "GLYPHS",
    "LATIN_SIZES",
    "SPLITS",
    "TILE",
    "Emnist",
    "Folder",
    "Fonts",
    "Glyph",
    "GlyphSource",
    "Strokes",
    "TileBank",
    "check_disjoint",
    "ink_boxes",
    "located",
    "open_glyphs",
]
