"""Confidence that means what it says: of the words read with 0.9, nine in ten are right.

The least sure step of a character says little of a word read with a language model. A logistic regression on what the
network and the language model said of its characters, fitted on validation lines, turns that into a probability (Platt
1999); the expected calibration error (Naeini et al. 2015) measures it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
CharacterEvidence = tuple[
    float, float
]  # of a character: its probability in the image, its log p in the language (or 0)

BINS = 15  # of the expected calibration error
UNITS = ("character", "word", "line")
FEATURES = 6
_SURE = 1e-6  # probabilities are kept this far from 0 and 1


def _logit(p: float) -> float:
    p = min(max(p, _SURE), 1 - _SURE)
    return math.log(p / (1 - p))


def features(unit: Sequence[CharacterEvidence]) -> list[float]:
    """What is known of a unit of at least one character."""
    shares, nats = zip(*unit, strict=True)
    return [
        1.0, _logit(math.prod(shares)), _logit(min(shares)), math.log(len(shares)), sum(nats) / len(nats), min(nats)
    ]  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """Weights of `features`, by unit; None leaves a unit's least sure character as its confidence.

    >>> plain = Calibration()
    >>> plain("word", [(0.9, 0.0), (0.8, 0.0)]), plain("line", [])
    (0.8, 1.0)
    """

    character: tuple[float, ...] | None = None
    word: tuple[float, ...] | None = None
    line: tuple[float, ...] | None = None

    def __call__(self, kind: str, unit: Sequence[CharacterEvidence]) -> float:
        """The probability that a unit of these characters is right; 1 for nothing read."""
        if not unit:
            return 1.0
        weights: tuple[float, ...] | None = getattr(self, kind)
        if weights is None:
            return float(min(share for share, _ in unit))
        odds = sum(w * x for w, x in zip(weights, features(unit), strict=True))
        return 1 / (1 + math.exp(-odds)) if odds > 0 else math.exp(odds) / (1 + math.exp(odds))

    def characters(self, unit: Sequence[CharacterEvidence]) -> list[float]:
        """The probability that each of these characters is right, all at once."""
        if self.character is None or not unit:
            return [share for share, _ in unit]
        shares, nats = np.array(unit, np.float64).T
        p = np.clip(shares, _SURE, 1 - _SURE)
        one, product, least, _, mean, worst = self.character
        odds = one + (product + least) * np.log(p / (1 - p)) + (mean + worst) * nats
        return (1 / (1 + np.exp(-odds))).tolist()  # type: ignore[no-any-return]


def fit(units: Sequence[Sequence[CharacterEvidence]], right: Sequence[bool]) -> tuple[float, ...]:
    """Weights by which units of these characters were right, by Newton's method on a slightly damped likelihood."""
    x, y = np.array([features(unit) for unit in units]), np.array(right, np.float64)
    weights = np.zeros(x.shape[1])
    damping = 1e-2 * np.eye(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + damping, x.T @ (y - p) - damping @ weights)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return tuple(float(round(w, 6)) for w in weights)


def reliability(confidences: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float, int]]:
    """(mean confidence, share that was right, how many) of each of BINS equal ranges that holds any."""
    p, y = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    return [(float(p[bins == k].mean()), float(y[bins == k].mean()), int((bins == k).sum())) for k in np.unique(bins)]


def calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """The expected calibration error: how far confidence and share of right units lie apart, by weight of the bins."""
    return sum(abs(p - y) * n for p, y, n in reliability(confidences, right)) / max(1, len(confidences))
