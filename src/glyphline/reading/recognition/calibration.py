"""Calibrates confidences: of the words with confidence 0.9, 90 % are correct (ECE in docs/results.md).

The lowest character probability of a word is a poor confidence when a language model took part in the decoding. A
logistic regression on the probabilities of the network and of the language model, fitted on validation lines, gives the
probability that a character, word or line is correct (Platt 1999). The expected calibration error (ECE, Naeini et al.
2015) measures the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: of a character: its probability 0..1 in the image, its natural log p by the language model (0 without one)
CharacterEvidence = tuple[float, float]

BINS = 15  # bins of the expected calibration error
UNITS = ("character", "word", "line")
FEATURE_COUNT = 6
_MIN_PROBABILITY = 1e-6  # probabilities are clipped to this distance from 0 and 1, so that log-odds are finite
FEATURE_MIN_PROBABILITY = 1e-3  # the same for the features of fitted decisions, see `feature_log_odds`
_L2_PENALTY = 1e-2  # keeps the weights finite where all units are correct, or none
_MAX_ITERATIONS = 50


def log_odds(p: float, min_probability: float = _MIN_PROBABILITY) -> float:
    """The log-odds of a probability that is clipped to `min_probability` from 0 and 1."""
    p = min(max(p, min_probability), 1 - min_probability)
    return math.log(p / (1 - p))


def feature_log_odds(p: float) -> float:
    """The log-odds of a probability that is a feature of a fitted decision."""
    return log_odds(p, FEATURE_MIN_PROBABILITY)


def logistic(x: float) -> float:
    """The probability 0..1 with the log-odds x, in the form that does not overflow."""
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def regression_probability(weights: Sequence[float], features: Sequence[float]) -> float:
    """The probability 0..1 that a logistic regression gives. weights, features: one number for each feature."""
    return logistic(sum(w * x for w, x in zip(weights, features, strict=True)))


def features(unit: Sequence[CharacterEvidence]) -> list[float]:
    """The FEATURE_COUNT features of a unit: a character, word or line, given as the evidence of its characters.

    Returns 1 (the bias), the log-odds of the product of the probabilities, the log-odds of the lowest probability, the
    log of the number of characters, the mean and the lowest language model log p. Raises ValueError for no characters.
    """
    probabilities, lm_log_probs = zip(*unit, strict=True)
    return [
        1.0,
        log_odds(math.prod(probabilities)),
        log_odds(min(probabilities)),
        math.log(len(probabilities)),
        sum(lm_log_probs) / len(lm_log_probs),
        min(lm_log_probs),
    ]


@dataclass(frozen=True)
class Calibration:
    """Weights of `features` for each kind of unit. With None the confidence is the lowest character probability.

    >>> uncalibrated = Calibration()
    >>> uncalibrated("word", [(0.9, 0.0), (0.8, 0.0)]), uncalibrated("line", [])
    (0.8, 1.0)
    """

    character: tuple[float, ...] | None = None
    word: tuple[float, ...] | None = None
    line: tuple[float, ...] | None = None

    def __call__(self, kind: str, unit: Sequence[CharacterEvidence]) -> float:
        """The probability 0..1 that a unit is correct; 1 for a unit without characters. kind: one of UNITS."""
        if not unit:
            return 1.0
        weights: tuple[float, ...] | None = getattr(self, kind)
        if weights is None:
            return float(min(probability for probability, _ in unit))
        return regression_probability(weights, features(unit))

    def character_confidences(self, characters: Sequence[CharacterEvidence]) -> list[float]:
        """The probability 0..1 that each character is correct: `__call__("character", [c])` for all at once."""
        if self.character is None or not characters:
            return [probability for probability, _ in characters]
        probabilities, lm_log_probs = np.array(characters, np.float64).T
        p = np.clip(probabilities, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
        # of a single character, product and lowest probability are the same, and so are mean and lowest log p
        bias, product, lowest, _, lm_mean, lm_lowest = self.character
        character_log_odds = bias + (product + lowest) * np.log(p / (1 - p)) + (lm_mean + lm_lowest) * lm_log_probs
        return (1 / (1 + np.exp(-character_log_odds))).tolist()  # type: ignore[no-any-return]


def fit(units: Sequence[Sequence[CharacterEvidence]], correct: Sequence[bool]) -> tuple[float, ...]:
    """Fit the weights of `features` by logistic regression with a small L2 penalty (Platt 1999), by Newton's method.

    units: at least one unit, each the evidence of at least one character. correct: whether each unit is correct.
    Returns FEATURE_COUNT weights, rounded to six decimals. Raises ValueError for a unit without characters.
    """
    x, y = np.array([features(unit) for unit in units]), np.array(correct, np.float64)
    weights = np.zeros(x.shape[1])
    penalty = _L2_PENALTY * np.eye(x.shape[1])
    for _ in range(_MAX_ITERATIONS):
        p = 1 / (1 + np.exp(-x @ weights))
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + penalty, x.T @ (y - p) - penalty @ weights)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return tuple(float(round(w, 6)) for w in weights)


def reliability(confidences: Sequence[float], correct: Sequence[bool]) -> list[tuple[float, float, int]]:
    """The reliability diagram: (mean confidence, fraction correct, number of units) of each bin that is not empty.

    confidences: 0..1. The bins are BINS ranges of equal width, in ascending order.
    """
    p, y = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    return [(float(p[bins == k].mean()), float(y[bins == k].mean()), int((bins == k).sum())) for k in np.unique(bins)]


def calibration_error(confidences: Sequence[float], correct: Sequence[bool]) -> float:
    """The expected calibration error, 0..1 (Naeini et al. 2015); 0 for no units.

    It is the mean distance between confidence and fraction correct over the bins, weighted by their number of units.
    """
    return sum(abs(p - y) * n for p, y, n in reliability(confidences, correct)) / max(1, len(confidences))
