"""FAMILY: log-probabilities (T, C) -> Decoded(text, confidence, spans).

Contract: a decoder is a frozen dataclass called with one line's log-probabilities and its alphabet. To add one: a
class with `__call__` and a row in DECODERS at the bottom; every decoder returns the same type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import BLANK, Alphabet
from glyphline.errors import UserError, nearest

LogProbs = npt.NDArray[np.float32]  # (T, C), natural logarithms, class 0 the blank


@dataclass(frozen=True)
class Span:
    """One character and the time steps it was read from."""

    character: str
    start: int
    end: int  # exclusive
    confidence: float  # 0..1


@dataclass(frozen=True)
class Decoded:
    """What a decoder says of one line."""

    text: str
    confidence: float  # 0..1: the least sure character; 1 for nothing read
    spans: tuple[Span, ...]


class Decoder(Protocol):
    """Turns one line's log-probabilities into text."""

    def __call__(self, log_probs: LogProbs, alphabet: Alphabet) -> Decoded: ...


@dataclass(frozen=True)
class Greedy:
    """The best class of every step, collapsed (best path, Graves et al. 2006)."""

    def __call__(self, log_probs: LogProbs, alphabet: Alphabet) -> Decoded:
        path = log_probs.argmax(axis=1)
        if len(path) == 0:
            return Decoded("", 1.0, ())
        edges = np.flatnonzero(np.diff(path)) + 1
        starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(path)]])
        spans = tuple(
            Span(alphabet.characters[path[s] - 1], int(s), int(e), float(np.exp(log_probs[s:e, path[s]].max())))
            for s, e in zip(starts, ends, strict=True)
            if path[s] != BLANK
        )
        text = "".join(span.character for span in spans)
        return Decoded(text, min((s.confidence for s in spans), default=1.0), spans)


#: name -> what makes the decoder
DECODERS: dict[str, Callable[[], Decoder]] = {"greedy": Greedy}


def open_decoder(name: str) -> Decoder:
    """The decoder of this name. Raises UserError with the choices."""
    if name not in DECODERS:
        raise UserError(f'no decoder "{name}"; {nearest(name, DECODERS)}')
    return DECODERS[name]()
