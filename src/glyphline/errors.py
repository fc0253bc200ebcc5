"""Exceptions. Every message is one line: what is wrong, what was expected, what to do, and the choices, if any.

GlyphlineError               base of all exceptions that glyphline raises on purpose; exit code 1
└── UserError                a mistake that the user can correct; exit code 2
    ├── DataError            a file, a data set or a source is unknown, missing, damaged or inconsistent
    ├── AlphabetError        a character is missing from the alphabet or the glyphs, or the alphabet is invalid
    ├── RecipeError          a recipe has an unknown key, an invalid value or a contradiction
    ├── ImageError           an image cannot be opened, is empty or is too large
    └── MissingPackage       an optional package is not installed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class GlyphlineError(Exception):
    """Base of all exceptions that glyphline raises on purpose. The command line exits with `exit_code`."""

    exit_code = 1


class UserError(GlyphlineError):
    """A mistake that the user can correct. The command line prints it as one line, without a traceback."""

    exit_code = 2


class DataError(UserError):
    """A file, a data set or a source is unknown, missing, damaged or inconsistent with other data."""


class AlphabetError(UserError):
    """A character is missing from the alphabet, no glyph source can draw it, or the alphabet is invalid."""


class RecipeError(UserError):
    """A recipe has an unknown key, a value of the wrong type or out of range, or a contradiction."""


class ImageError(UserError):
    """An image cannot be opened, is empty, or exceeds a limit on its size."""


class MissingPackage(UserError):
    """An optional package is not installed. The message contains the command that installs it.

    package: name of the package. extra: the extra of glyphline that installs it. purpose: what needs the package, the
    subject of the message.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs the package {package}: pip install "glyphline[{extra}]"')


def nearest(word: str, choices: Iterable[str]) -> str:
    """Format the choices for a message about an unknown name.

    All choices are listed in sorted order. If one of them is similar to `word`, a question with it comes before them.

    >>> nearest("tile", ["tiles", "natural"])
    'did you mean "tiles"? choices: natural, tiles'
    """
    known = sorted(choices)
    matches = difflib.get_close_matches(word, known, n=1)
    hint = f'did you mean "{matches[0]}"? ' if matches else ""
    return f"{hint}choices: {', '.join(known)}"


def name_first(names: Sequence[str], limit: int, separator: str = ", ") -> str:
    """Join the first `limit` names and the number of the others, for a message.

    >>> name_first("abcd", 2, " ")
    'a b and 2 more'
    """
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return separator.join(names[:limit]) + more
