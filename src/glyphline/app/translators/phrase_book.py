"""The phrase book: common signs in ten languages, written for this project and checked by hand.

phrases.tsv has a row a phrase and a column a language. A cell holds the wordings of the phrase, separated by "|". The
first is the one that a translation takes, the others are recognized too. "#" stands for a number, which is copied.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import ClassVar

from glyphline.app.sentences import is_capitals
from glyphline.app.translators.contract import Pair, Progress, Translation
from glyphline.errors import UserError

NUMBER = re.compile(r"\d+(?:[.,:h]\d+)*")
PARTS = re.compile(r"(\s*[.!?:;,/|·•–—-]+\s+|[.!?]+$|\s+[|·•–—-]\s*)")  # what may stand between two phrases of a line
END = re.compile(r"[.!?:…]+$")
OPENING = {"!": "¡", "?": "¿"}  # of a Spanish sentence, by its last character


def fold(text: str) -> str:
    """Fold case, accents, punctuation and white space; every number becomes "#".

    >>> fold("  ¡SALIDA de emérgencia! "), fold("Gleis 12")
    ('salida de emergencia', 'gleis #')
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(character for character in decomposed if not unicodedata.combining(character))
    letters = NUMBER.sub("#", re.sub("['’‘`´]", "", letters))
    return " ".join(re.sub(r"[^\w#]+|_", " ", letters).split())


@cache
def load_phrases() -> dict[str, list[tuple[str, ...]]]:
    """Language -> the wordings of every phrase, in the order of the rows of phrases.tsv."""
    table = files("glyphline.app.translators").joinpath("phrases.tsv").read_text(encoding="utf-8")
    header, *rows = (line.split("\t") for line in table.splitlines())
    return {code: [tuple(row[k].split("|")) for row in rows] for k, code in enumerate(header)}


@cache
def _rows_by_phrase(language: str) -> dict[str, int]:
    wordings = load_phrases().get(language, [])
    return {fold(wording): row for row, cell in enumerate(wordings) for wording in cell}


class PhraseBook:
    """Translates whole phrases of phrases.tsv, and lines made of several of them."""

    name: ClassVar[str] = "phrase-book"
    is_gist: ClassVar[bool] = False
    pivots: ClassVar[bool] = False

    def pairs(self) -> list[Pair]:
        codes = list(load_phrases())
        return [Pair(source, target, self.name, True, 0.0) for source in codes for target in codes if source != target]

    def translate(self, sentences: Sequence[str], source: str, target: str) -> list[Translation | None]:
        return [self._translate(sentence, source, target) for sentence in sentences]

    def install(self, source: str, target: str, on_progress: Progress | None) -> None:
        raise UserError(f"the phrase book is part of glyphline and has {', '.join(load_phrases())}")

    def remove(self, source: str, target: str) -> bool:
        return False

    def _translate(self, text: str, source: str, target: str) -> Translation | None:
        """Translate a phrase, or a text all of whose parts between punctuation are phrases."""
        if (whole := self._translate_phrase(text, source, target)) is not None:
            return Translation(whole)
        parts = [part for part in PARTS.split(text) if part]
        if len(parts) < 2:
            return None
        translated = [part if PARTS.fullmatch(part) else self._translate_phrase(part, source, target) for part in parts]
        known = [part for part in translated if part is not None]
        return Translation("".join(known)) if len(known) == len(parts) else None

    def _translate_phrase(self, text: str, source: str, target: str) -> str | None:
        row = _rows_by_phrase(source).get(fold(text))
        if row is None or target not in load_phrases():
            return None
        numbers = iter(NUMBER.findall(text))
        phrase = re.sub("#", lambda _: next(numbers), load_phrases()[target][row][0])
        end = match[0] if (match := END.search(text.strip())) else ""
        if end and not END.search(phrase):
            opening = OPENING.get(end[-1], "") if target == "es" else ""
            phrase = opening + phrase + end
        return phrase.upper() if is_capitals(text) else phrase
