"""The output of a recognizer for one line before and after decoding, and the contract of the readers that give it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from glyphline.alphabet import Alphabet
from glyphline.imaging.documents import ColourImage, GreyImage
from glyphline.page import Line
from glyphline.reading.recognition.decoders import DecodedText, Decoder, LogProbs

#: a class of a large alphabet is kept only where its probability exceeds this at some step of the line
MIN_CLASS_PROBABILITY = 1e-5


@dataclass(frozen=True)
class Posteriors:
    """The output of a network for one line, before any language model."""

    log_probs: LogProbs  # (T, K), natural logarithms: the blank, then the classes of `alphabet`; T is 0 without ink
    alphabet: Alphabet  # a part of the recognizer's where that is large
    greedy: DecodedText  # the text of the best path
    to_line: Callable[[DecodedText, Decoder], Line]  # a decoded text of this image as a Line with positions

    @property
    def confidence(self) -> float:
        """Mean probability (0..1) of the characters of the best path; 0 for an empty text."""
        return self.greedy.visual_confidence


@dataclass(frozen=True)
class Hypothesis:
    """What a reader read from one line, with the posteriors, by which other texts can be scored."""

    line: Line
    decoded: DecodedText
    posteriors: Posteriors
    decoder: Decoder  # that gave the text

    @property
    def log_probs(self) -> LogProbs:
        """(T, K), natural logarithms; see `Posteriors`."""
        return self.posteriors.log_probs

    @cached_property
    def columns(self) -> dict[str, int]:
        """character -> its column of log_probs."""
        return {c: column for column, c in enumerate(self.posteriors.alphabet.characters, 1)}

    def to_line(self, decoded: DecodedText) -> Line:
        """Any decoded text of this image as a Line with positions."""
        return self.posteriors.to_line(decoded, self.decoder)


class Hypothesizer(Protocol):
    """A reader of line images that returns hypotheses; `glyphline.reading.lines.LineReader` is one."""

    decoder: Decoder
    languages: tuple[str, ...]  # codes of the languages that it can read; () for a decoder with its own language model

    @property
    def calibrated(self) -> bool:
        """Whether the confidences are calibrated for the reader's decoder."""

    def recognize(self, images: Sequence[GreyImage | ColourImage]) -> list[Posteriors]:
        """The posteriors of images (H, W) or (H, W, 3), one line each, in the same order."""

    def decode(self, posteriors: Posteriors, language: str | None) -> Hypothesis:
        """Decode a line with the language model of a language; None: with the decoder's own."""
