"""The contract of a translator, the pairs of languages it knows, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

Progress = Callable[[int, int], None]  # called with the bytes that are done and the bytes in all


@dataclass(frozen=True)
class Pair:
    """Two languages that a translator translates between, in one direction."""

    source: str  # BCP 47 code, the language only: "en", not "en-GB"
    target: str
    translator: str  # name of the translator
    installed: bool  # False: `install` downloads it
    megabytes: float | None = None  # on the disk; before the installation about as much; None: unknown


@dataclass(frozen=True)
class Translation:
    """The translation of one sentence."""

    text: str
    unknown: tuple[str, ...] = ()  # words of the original that the translator does not know; they stand in `text`


class Translator(Protocol):
    """Translates sentences between the pairs of languages that it has."""

    name: ClassVar[str]
    is_gist: ClassVar[bool]  # True: the translation gives the gist only, and is labelled so
    pivots: ClassVar[bool]  # True: two of its pairs may be chained through English

    def pairs(self) -> list[Pair]:
        """The pairs that are installed, and those that `install` can install. No network is used."""

    def translate(self, sentences: Sequence[str], source: str, target: str) -> list[Translation | None]:
        """Translate sentences of an installed pair. None stands for a sentence that it cannot translate.

        Raises MissingPackage, DataError for a damaged model, and GlyphlineError where a program fails.
        """

    def install(self, source: str, target: str, on_progress: Progress | None) -> None:
        """Download a pair. Raises UserError where it has no such pair, GlyphlineError where the download fails."""

    def remove(self, source: str, target: str) -> bool:
        """Delete an installed pair. False where there is none that glyphline may delete."""
