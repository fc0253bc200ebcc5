"""What a line may say: one of a list, or anything that fits a pattern. A decoder asks as it goes along."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import regex

from glyphline.alphabet import Alphabet
from glyphline.errors import DataError, UserError


class Constraint(Protocol):
    """Which texts are allowed."""

    def begins(self, text: str) -> bool:
        """True where some allowed text begins so."""

    def whole(self, text: str) -> bool:
        """True where the text itself is allowed."""


@dataclass(frozen=True)
class Lexicon:
    """One of these texts.

    >>> days = Lexicon(("Mon", "Tue", "Wed"))
    >>> days.begins("We"), days.begins("Wa"), days.whole("We")
    (True, False, False)
    """

    texts: tuple[str, ...]
    _sorted: list[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.texts:
            raise UserError("the list of allowed texts is empty: give at least one, a line each")
        object.__setattr__(self, "_sorted", sorted(set(self.texts)))

    def begins(self, text: str) -> bool:
        at = bisect_left(self._sorted, text)
        return at < len(self._sorted) and self._sorted[at].startswith(text)

    def whole(self, text: str) -> bool:
        at = bisect_left(self._sorted, text)
        return at < len(self._sorted) and self._sorted[at] == text


@dataclass(frozen=True)
class RegexConstraint:
    r"""A regular expression that the whole line fits.

    >>> date = RegexConstraint(r"\d\d?/\d\d?/\d{4}")
    >>> date.begins("12/"), date.begins("1a"), date.whole("12/3/1999")
    (True, False, True)
    """

    expression: str

    def __post_init__(self) -> None:
        try:
            regex.compile(self.expression)
        except regex.error as error:
            raise UserError(f"{self.expression!r} is no regular expression: {error}") from None

    def begins(self, text: str) -> bool:
        return regex.fullmatch(self.expression, text, partial=True) is not None

    def whole(self, text: str) -> bool:
        return regex.fullmatch(self.expression, text) is not None


def load_lexicon(path: Path, alphabet: Alphabet) -> Lexicon:
    """The allowed texts of a UTF-8 file, a line each. Raises DataError for one the reader has no characters for."""
    try:
        texts = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text, one allowed line a row: {error}") from None
    for text in texts:
        if missing := alphabet.unknown(text):
            raise DataError(
                f"{path} allows {text!r}, but this reader cannot say {', '.join(map(repr, missing))}: "
                "choose a reader with a wider alphabet"
            )
    return Lexicon(texts)
