"""Confidence: fitted to what was right, and measured."""

from __future__ import annotations

import numpy as np
import pytest

from glyphline.reading.recognition.calibration import (
    FEATURES,
    UNITS,
    Calibration,
    CharacterEvidence,
    calibration_error,
    features,
    fit,
    reliability,
)


def some_units(count: int, seed: int = 0) -> tuple[list[list[CharacterEvidence]], list[bool]]:
    """Words of an overconfident reader: right less often than the probabilities of their characters say."""
    rng = np.random.default_rng(seed)
    units, right = [], []
    for _ in range(count):
        shares = rng.beta(6, 1, rng.integers(1, 9)).tolist()
        units.append([(share, -float(rng.exponential(2))) for share in shares])
        likely = 0.1 * (min(nats for _, nats in units[-1]) > -6)  # what the language expects is right more often
        right.append(bool(rng.random() < 0.2 + 0.6 * min(shares) ** 2 + likely))
    return units, right


def test_what_is_fitted_means_what_it_says() -> None:
    weights = fit(*some_units(4000))
    units, right = some_units(4000, 1)
    sure = Calibration(word=weights)
    before = calibration_error([Calibration()("word", u) for u in units], right)
    after = calibration_error([sure("word", u) for u in units], right)
    assert after < 0.03 < before


def test_a_calibration_keeps_the_order_of_single_characters() -> None:
    units, right = some_units(3000)
    weights = fit([[u[0]] for u in units], right)
    sure, unit = Calibration(character=weights), [(float(p), -2.0) for p in np.linspace(0.01, 0.99, 40)]
    told = [sure("character", [one]) for one in unit]
    assert told == sorted(told) and all(0 <= p <= 1 for p in told)
    assert sure.characters(unit) == pytest.approx(told)
    assert Calibration().characters(unit) == [share for share, _ in unit]


def test_without_weights_it_is_the_least_sure_character() -> None:
    for unit in UNITS:
        assert Calibration()(unit, [(0.9, -1.0), (0.4, -2.0), (0.7, 0.0)]) == 0.4
        assert Calibration()(unit, []) == 1.0


@pytest.mark.parametrize("shares", [[0.0], [1.0], [0.0, 1.0], [1.0] * 80, [1e-9] * 80])
def test_the_surest_and_the_least_sure_have_features(shares: list[float]) -> None:
    unit = [(share, -7.5) for share in shares]
    assert len(features(unit)) == FEATURES and np.isfinite(features(unit)).all()
    assert 0 <= Calibration(line=(0.1, 0.5, 0.5, -0.2, 0.3, 0.1))("line", unit) <= 1


@pytest.mark.parametrize("right", [True, False])
def test_units_that_are_all_right_or_all_wrong_can_be_fitted(right: bool) -> None:
    units, _ = some_units(200)
    sure = Calibration(word=fit(units, [right] * len(units)))
    assert all((sure("word", u) > 0.5) == right for u in units)


def test_the_error_is_that_of_the_bins() -> None:
    assert calibration_error([0.95] * 10, [True] * 8 + [False] * 2) == pytest.approx(0.15)
    assert calibration_error([0.1, 0.9], [False, True]) == pytest.approx(0.1)
    assert calibration_error([], []) == 0
    rows = reliability([0.05, 0.99, 1.0, 0.0], [False, True, False, False])
    assert [n for *_, n in rows] == [2, 2] and rows[1][1] == 0.5
