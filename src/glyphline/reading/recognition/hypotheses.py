"""The output of a recognizer for one line, and the contract of what gives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from glyphline.imaging.documents import ColourImage, GreyImage
from glyphline.page import Line
from glyphline.reading.recognition.decoders import DecodedText, Decoder, LogProbs

#: a class of a large alphabet is kept only where its probability reaches this somewhere in the line
MIN_CLASS_PROBABILITY = 1e-5


@dataclass(frozen=True)
class Hypothesis:
    """What a recognizer read of one line, with its log-probabilities, so that other texts can be scored by it."""

    line: Line
    decoded: DecodedText
    log_probs: LogProbs  # (T, K), natural logarithms: the blank, then the kept classes; T is 0 for a line without ink
    columns: dict[str, int]  # character -> its column of log_probs
    place: Callable[[DecodedText], Line]  # another decoding of the same image, as a line with positions


class Hypothesizer(Protocol):
    """A reader of line images that gives its hypotheses; `glyphline.reading.lines.LineReader` is one."""

    decoder: Decoder

    @property
    def calibrated(self) -> bool: ...

    def recognize(self, images: Sequence[GreyImage | ColourImage]) -> list[Hypothesis]: ...
