"""What the user can mend: every message names what happened, what was expected, the remedy and the choices.

GlyphlineError               anything glyphline raises on purpose; exit code 1
└── UserError                the user's mistake, one line, exit code 2
    ├── DataError            a file or a set of data is missing, broken or does not fit
    ├── AlphabetError        a character that the alphabet or the glyphs do not have
    ├── RecipeError          an unknown key, a wrong type or a contradiction in a recipe
    ├── ImageError         an image that cannot be opened or is too large
    └── MissingPackage       an optional package is not installed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GlyphlineError(Exception):
    """Anything glyphline raises on purpose; the command line ends with `exit_code`."""

    exit_code = 1


class UserError(GlyphlineError):
    """A mistake the user can mend; shown as one line, without a traceback."""

    exit_code = 2


class DataError(UserError):
    """A file or a set of data is missing, broken or does not fit the rest."""


class AlphabetError(UserError):
    """A character that the alphabet does not hold or that no glyph source can draw."""


class RecipeError(UserError):
    """A recipe with an unknown key, a wrong type or a contradiction."""


class ImageError(UserError):
    """An image that cannot be opened, is empty, or is larger than the limits."""


class MissingPackage(UserError):
    """An optional package is not installed; the message holds the line that installs it."""

    def __init__(self, package: str, extra: str, what: str) -> None:
        super().__init__(f'{what} needs the package {package}: pip install "glyphline[{extra}]"')


def nearest(word: str, choices: Iterable[str]) -> str:
    """The tail of a message about an unknown name: the nearest choice and all of them.

    >>> nearest("tile", ["tiles", "natural"])
    'did you mean "tiles"? choices: natural, tiles'
    """
    known = sorted(choices)
    close = difflib.get_close_matches(word, known, n=1)
    hint = f'did you mean "{close[0]}"? ' if close else ""
    return f"{hint}choices: {', '.join(known)}"
