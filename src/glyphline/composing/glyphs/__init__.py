"""FAMILY: sources of single-character images. The contract is `contract.GlyphSource`; each member has its own file.

To add one: write a subclass of GlyphSource in a file of this folder and add a row to GLYPHS below. `open_glyphs` and
the contract tests use this table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from glyphline.composing.glyphs.contract import ALL, LATIN_SIZES, SPLITS, TILE, Glyph, GlyphSource, TileBank, ink_boxes
from glyphline.composing.glyphs.derived import Derived
from glyphline.composing.glyphs.emnist import EMNIST_SPLITS, Emnist
from glyphline.composing.glyphs.folder import Folder
from glyphline.composing.glyphs.fonts import BUILT_IN, PACKAGE_FOLDER, Fonts
from glyphline.composing.glyphs.strokes import Strokes
from glyphline.composing.glyphs.undivided import Undivided
from glyphline.errors import DataError, nearest

#: first word of a spec -> (function that opens the source from the text after / or :, one line of help)
GLYPHS: dict[str, tuple[Callable[[str], GlyphSource], str]] = {
    "emnist": (lambda rest: Emnist(rest or "byclass"), Emnist.help),
    "strokes": (lambda rest: Strokes(), Strokes.help),
    "fonts": (lambda rest: Fonts(PACKAGE_FOLDER if rest == BUILT_IN else resolve_path(rest)), Fonts.help),
    "folder": (lambda rest: Folder(resolve_path(rest)), Folder.help),
    "derived": (lambda rest: Derived(open_glyphs(rest)), Derived.help),
    "undivided": (lambda rest: Undivided(open_glyphs(rest)), Undivided.help),
}


def resolve_path(name: str) -> Path:
    """Return the path `name` if it exists, otherwise the path `name` below the data folder.

    Raises DataError when `name` is empty, and where neither is there.
    """
    from glyphline.composing.fetch import data_folder, how_to_get

    if not name:
        raise DataError("the source names no path: write it after the colon, such as text:notes.txt or fonts:FOLDER")
    path = Path(name).expanduser()
    for candidate in (path, data_folder() / path):
        if candidate.exists():
            return candidate
    where = "is not there" if path.is_absolute() else f"is neither in the current folder nor in {data_folder()}"
    raise DataError(f"{name} {where}: {how_to_get(path) or 'correct the path, or set GLYPHLINE_DATA to its folder'}")


def open_glyphs(spec: str) -> GlyphSource:
    """Open the glyph source that a spec names: "emnist/byclass", "strokes", "fonts:FOLDER", "folder:FOLDER",
    "derived:SOURCE", "undivided:SOURCE".

    "emnist" alone is emnist/byclass. Raises DataError for an unknown source, for a missing path and for missing or
    damaged data, ImageError for a damaged image in a folder. The files of emnist and single fonts are opened, and their
    errors raised, only when glyphs are first needed.
    """
    kind, _, rest = re.sub("[/:]", ":", spec, count=1).partition(":")
    if kind not in GLYPHS:
        raise DataError(f'no glyph source "{kind}"; {nearest(kind, GLYPHS)}')
    return GLYPHS[kind][0](rest)


def check_disjoint(source: GlyphSource) -> None:
    """Raise DataError when two splits of a source have a digest in common."""
    digests = {split: source.digests(split) for split in SPLITS}
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        if shared := digests[a] & digests[b]:
            raise DataError(
                f"{source.name}: {len(shared)} glyphs are in both {a} and {b}, but splits must share none (a leak): "
                "remove the copies from the data"
            )


__all__ = [
    "ALL",
    "EMNIST_SPLITS",
    "GLYPHS",
    "LATIN_SIZES",
    "SPLITS",
    "TILE",
    "Derived",
    "Emnist",
    "Folder",
    "Fonts",
    "Glyph",
    "GlyphSource",
    "Strokes",
    "TileBank",
    "Undivided",
    "check_disjoint",
    "ink_boxes",
    "open_glyphs",
    "resolve_path",
]
