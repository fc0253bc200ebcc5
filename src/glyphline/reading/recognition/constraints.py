"""Constraints on the text of a line: a lexicon or a regular expression.

A beam search asks a constraint about every prefix and about the complete text.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import regex

from glyphline.alphabet import Alphabet
from glyphline.errors import DataError, UserError


class Constraint(Protocol):
    """A set of texts that a line may have."""

    def accepts_prefix(self, text: str) -> bool:
        """Whether `text` is the beginning of an accepted text, or is one itself."""

    def accepts(self, text: str) -> bool:
        """Whether `text` is accepted as the complete text of a line."""


@dataclass(frozen=True)
class Lexicon:
    """Accepts the texts of a list. Raises UserError for an empty list.

    >>> days = Lexicon(("Mon", "Tue", "Wed"))
    >>> days.accepts_prefix("We"), days.accepts_prefix("Wa"), days.accepts("We")
    (True, False, False)
    """

    texts: tuple[str, ...]
    _sorted_texts: list[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.texts:
            raise UserError("the lexicon is empty: give at least one text, one a line")
        object.__setattr__(self, "_sorted_texts", sorted(set(self.texts)))

    def accepts_prefix(self, text: str) -> bool:
        index = bisect_left(self._sorted_texts, text)
        return index < len(self._sorted_texts) and self._sorted_texts[index].startswith(text)

    def accepts(self, text: str) -> bool:
        index = bisect_left(self._sorted_texts, text)
        return index < len(self._sorted_texts) and self._sorted_texts[index] == text


@dataclass(frozen=True)
class RegexConstraint:
    r"""Accepts the texts that match a regular expression as a whole. Raises UserError for an invalid expression.

    >>> date = RegexConstraint(r"\d\d?/\d\d?/\d{4}")
    >>> date.accepts_prefix("12/"), date.accepts_prefix("1a"), date.accepts("12/3/1999")
    (True, False, True)
    """

    expression: str  # in the syntax of the package `regex`

    def __post_init__(self) -> None:
        try:
            regex.compile(self.expression)
        except regex.error as error:
            raise UserError(f"{self.expression!r} is no regular expression ({error}): correct the pattern") from None

    def accepts_prefix(self, text: str) -> bool:
        return regex.fullmatch(self.expression, text, partial=True) is not None

    def accepts(self, text: str) -> bool:
        return regex.fullmatch(self.expression, text) is not None


def load_lexicon(path: Path, alphabet: Alphabet) -> Lexicon:
    """Load a lexicon from a UTF-8 file, one text a line. Blank lines, and spaces around a text, are ignored.

    alphabet: of the recognizer. Raises DataError for a file that cannot be read as UTF-8 and for a text with
    characters outside the alphabet, UserError for a file without texts.
    """
    try:
        texts = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a lexicon, UTF-8 text with one entry a line: {error}") from None
    for text in texts:
        if missing := alphabet.unknown_characters(text):
            raise DataError(
                f"{path} has the text {text!r}, but the alphabet of the recognizer lacks "
                f"{', '.join(map(repr, missing))}: choose a model with a wider alphabet"
            )
    return Lexicon(texts)
