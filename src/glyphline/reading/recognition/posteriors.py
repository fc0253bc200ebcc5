"""The output of a recognizer for one line, before decoding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import Alphabet
from glyphline.page import Line
from glyphline.reading.recognition.ctc_scores import log_likelihoods
from glyphline.reading.recognition.decoders import BeamSearchDecoder, DecodedText, Decoder, LogProbs
from glyphline.writing_direction import LTR, to_visual

#: a class of a large alphabet is kept only where its probability exceeds this at some step of the line
MIN_CLASS_PROBABILITY = 1e-5


@dataclass(frozen=True)
class Posteriors:
    """The output of a network for one line, before any language model."""

    log_probs: LogProbs  # (T, K), natural logarithms: the blank, then the classes of `alphabet`; T is 0 without ink
    alphabet: Alphabet  # a part of the recognizer's where that is large
    greedy: DecodedText  # the text of the best path
    to_line: Callable[[DecodedText, Decoder], Line]  # a decoded text of this image as a Line with positions
    direction: str = LTR  # of the recognizer's lines, "ltr" or "rtl"

    @property
    def confidence(self) -> float:
        """Mean probability (0..1) of the characters of the best path; 0 for an empty text."""
        return self.greedy.visual_confidence


def score_texts(posteriors: Posteriors, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """log P(text | line) of each text, in nats; all are 0 for a line without output.

    The log-probabilities are divided by the temperature of the beam search first (Guo et al. 2017, docs/reader.md). A
    character that is not in the alphabet has MIN_CLASS_PROBABILITY.
    """
    if len(posteriors.log_probs) == 0:
        return np.zeros(len(texts))
    softened = posteriors.log_probs / BeamSearchDecoder.temperature
    softened = softened - np.log(np.exp(softened).sum(axis=1, keepdims=True))
    columns = {c: column for column, c in enumerate(posteriors.alphabet.characters, 1)}
    unlikely = softened.shape[1]
    softened = np.pad(softened, ((0, 0), (0, 1)), constant_values=math.log(MIN_CLASS_PROBABILITY))
    seen = [to_visual(text, posteriors.direction) for text in texts]
    return log_likelihoods(softened, [[columns.get(c, unlikely) for c in text] for text in seen])
