"""The contract of a voice, and the speech that it gives."""

from __future__ import annotations

import io
import unicodedata
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from glyphline.errors import UserError

Samples = npt.NDArray[np.int16]  # (n,), mono
TimeSpan = tuple[float, float]  # start and end, seconds


class CannotSay(UserError):
    """A voice cannot say a text: it is empty, in a script or language that it does not know, or its program fails."""


@dataclass(frozen=True)
class SpokenWord:
    """A word of the text and when it is said."""

    text: str  # as it stands in the text, between two white spaces
    start: float  # seconds
    end: float


@dataclass(frozen=True)
class Speech:
    """A text that was said."""

    samples: Samples  # (n,), int16, mono
    rate: int  # samples a second
    voice: str  # name of the voice
    words: tuple[SpokenWord, ...]  # one for each word of the text, in order
    exact_times: bool  # False: the times of the words are estimated from their lengths

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def to_wav(self) -> bytes:
        """The speech as a WAV file: 16 bits, mono."""
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate)
            file.writeframes(self.samples.astype("<i2").tobytes())
        return buffer.getvalue()


@dataclass(frozen=True)
class VoiceInfo:
    """A voice of this machine, or one that could be installed."""

    name: str
    languages: tuple[str, ...]  # BCP 47 codes, the language only
    installed: bool


@dataclass(frozen=True)
class Sound:
    """What a voice gives for some words."""

    samples: npt.NDArray[np.float32]  # (n,), -1..1
    rate: int  # samples a second
    spans: tuple[TimeSpan, ...] | None = None  # when each of the words is said; None where the voice does not tell


class Voice(Protocol):
    """Says words in the languages that it knows."""

    name: ClassVar[str]

    def languages(self) -> tuple[str, ...]:
        """The languages of the voice, also where it is not installed. BCP 47 codes, the language only."""

    def is_installed(self) -> bool:
        """Whether the package or the program is there."""

    def say(self, words: Sequence[str], language: str, speed: float) -> Sound:
        """Say words one after the other. Each may hold several words itself, as `spoken_text` writes them.

        language: one of `languages`. speed: 1 is the pace of the voice, 2 twice as fast. Raises CannotSay and
        MissingPackage.
        """


def scripts_of(text: str) -> list[str]:
    """The script of each letter of a text, such as "LATIN", "CYRILLIC", "CJK"."""
    return [unicodedata.name(character, "?").partition(" ")[0] for character in text if character.isalpha()]


def require_latin(words: Sequence[str], voice: str) -> None:
    """Raise CannotSay if a letter is not Latin: the voices for Latin letters leave out the others in silence."""
    others = sorted(set(scripts_of(" ".join(words))) - {"LATIN", "FEMININE", "MASCULINE"})
    if others:
        raise CannotSay(f"the voice {voice} cannot say {others[0].capitalize()} letters")
