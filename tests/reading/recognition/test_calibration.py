"""Calibration: weights are fitted to correct and wrong units, and the calibration error is measured."""

from __future__ import annotations

import numpy as np
import pytest

from glyphline.reading.recognition.calibration import (
    FEATURE_COUNT,
    UNITS,
    Calibration,
    CharacterEvidence,
    calibration_error,
    features,
    fit,
    reliability,
)


def random_words(count: int, seed: int = 0) -> tuple[list[list[CharacterEvidence]], list[bool]]:
    """Words of an overconfident reader, which are correct less often than the probabilities of their characters."""
    rng = np.random.default_rng(seed)
    words, correct = [], []
    for _ in range(count):
        probabilities = rng.beta(6, 1, rng.integers(1, 9)).tolist()
        words.append([(p, -float(rng.exponential(2))) for p in probabilities])
        bonus = 0.1 * (min(lm_log_prob for _, lm_log_prob in words[-1]) > -6)  # words likely in the language
        correct.append(bool(rng.random() < 0.2 + 0.6 * min(probabilities) ** 2 + bonus))
    return words, correct


def test_fitted_calibration_has_a_small_calibration_error() -> None:
    weights = fit(*random_words(4000))
    words, correct = random_words(4000, 1)
    calibration = Calibration(word=weights)
    before = calibration_error([Calibration()("word", word) for word in words], correct)
    after = calibration_error([calibration("word", word) for word in words], correct)
    assert after < 0.03 < before


def test_calibration_keeps_the_order_of_single_characters() -> None:
    words, correct = random_words(3000)
    weights = fit([[word[0]] for word in words], correct)
    calibration = Calibration(character=weights)
    characters = [(float(p), -2.0) for p in np.linspace(0.01, 0.99, 40)]
    confidences = [calibration("character", [character]) for character in characters]
    assert confidences == sorted(confidences) and all(0 <= p <= 1 for p in confidences)
    assert calibration.character_confidences(characters) == pytest.approx(confidences)
    assert Calibration().character_confidences(characters) == [p for p, _ in characters]


def test_calibration_without_weights_gives_the_lowest_probability() -> None:
    for kind in UNITS:
        assert Calibration()(kind, [(0.9, -1.0), (0.4, -2.0), (0.7, 0.0)]) == 0.4
        assert Calibration()(kind, []) == 1.0


@pytest.mark.parametrize("probabilities", [[0.0], [1.0], [0.0, 1.0], [1.0] * 80, [1e-9] * 80])
def test_features_of_extreme_probabilities_are_finite(probabilities: list[float]) -> None:
    unit = [(p, -7.5) for p in probabilities]
    assert len(features(unit)) == FEATURE_COUNT and np.isfinite(features(unit)).all()
    assert 0 <= Calibration(line=(0.1, 0.5, 0.5, -0.2, 0.3, 0.1))("line", unit) <= 1


@pytest.mark.parametrize("all_correct", [True, False])
def test_units_that_are_all_correct_or_all_wrong_can_be_fitted(all_correct: bool) -> None:
    words, _ = random_words(200)
    calibration = Calibration(word=fit(words, [all_correct] * len(words)))
    assert all((calibration("word", word) > 0.5) == all_correct for word in words)


def test_calibration_error_is_the_weighted_error_of_the_bins() -> None:
    assert calibration_error([0.95] * 10, [True] * 8 + [False] * 2) == pytest.approx(0.15)
    assert calibration_error([0.1, 0.9], [False, True]) == pytest.approx(0.1)
    assert calibration_error([], []) == 0
    bins = reliability([0.05, 0.99, 1.0, 0.0], [False, True, False, False])
    assert [count for *_, count in bins] == [2, 2] and bins[1][1] == 0.5
