"""Hypothesis, the output of a recognizer for one line, and Hypothesizer, the contract of the readers that return it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from glyphline.imaging.documents import ColourImage, GreyImage
from glyphline.page import Line
from glyphline.reading.recognition.decoders import DecodedText, Decoder, LogProbs

#: a class of a large alphabet is kept only where its probability exceeds this at some step of the line
MIN_CLASS_PROBABILITY = 1e-5


@dataclass(frozen=True)
class Hypothesis:
    """What a recognizer read from one line, with its log-probabilities, by which other texts can be scored."""

    line: Line
    decoded: DecodedText
    log_probs: LogProbs  # (T, K), natural logarithms: the blank, then the kept classes; T is 0 for a line without ink
    columns: dict[str, int]  # character -> its column of log_probs
    to_line: Callable[[DecodedText], Line]  # converts any decoded text of this image into a Line with positions


class Hypothesizer(Protocol):
    """A reader of line images that returns hypotheses; `glyphline.reading.lines.LineReader` is one."""

    decoder: Decoder

    @property
    def calibrated(self) -> bool:
        """Whether the confidences are calibrated for the reader's decoder."""

    def recognize(self, images: Sequence[GreyImage | ColourImage]) -> list[Hypothesis]:
        """Read images (H, W) or (H, W, 3), one line each: one hypothesis an image, in the same order."""
