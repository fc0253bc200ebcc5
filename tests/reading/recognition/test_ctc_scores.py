"""CTC scores: the log-likelihood of a text is the sum over all its paths, and equals torch's CTC loss."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from glyphline.alphabet import collapse
from glyphline.reading.recognition.ctc_scores import log_likelihoods


def random_log_probs(steps: int, classes: int, seed: int) -> np.ndarray:
    """Random log-probabilities (T, C)."""
    return np.log(np.random.default_rng(seed).dirichlet(np.full(classes, 0.4), steps) + 1e-9)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_log_likelihood_is_the_sum_over_all_paths_of_the_text(steps: int) -> None:
    log_probs = random_log_probs(steps, 3, steps)
    texts = [list(ids) for length in range(5) for ids in product((1, 2), repeat=length)]
    probabilities = dict.fromkeys(map(tuple, texts), 0.0)
    for path in product(range(3), repeat=steps):
        text = tuple(collapse(path))
        if text in probabilities:
            probabilities[text] += math.exp(sum(log_probs[t, c] for t, c in enumerate(path)))
    with np.errstate(divide="ignore"):
        expected = np.log(list(probabilities.values()))
    np.testing.assert_allclose(log_likelihoods(log_probs, texts), expected, rtol=1e-6)
    for ids, value in zip(texts, expected, strict=True):  # the same alone as among other texts
        np.testing.assert_allclose(log_likelihoods(log_probs, [ids]), [value], rtol=1e-6)


def test_log_likelihood_equals_the_ctc_loss_of_torch() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    for steps, classes in ((40, 30), (300, 30), (120, 4)):
        log_probs = random_log_probs(steps, classes, steps)
        texts = [rng.integers(1, classes, length).tolist() for length in (1, 5, 12, 25)] + [[1] * 9]
        for text, ours in zip(texts, log_likelihoods(log_probs, texts), strict=True):
            loss = torch.nn.functional.ctc_loss(
                torch.tensor(log_probs)[:, None], torch.tensor([text]), [steps], [len(text)], reduction="none"
            )
            assert ours == pytest.approx(-loss.item(), rel=1e-6)


def test_log_likelihood_of_an_impossible_text_is_minus_infinity() -> None:
    log_probs = random_log_probs(3, 4, 0)
    values = log_likelihoods(log_probs, [[1, 1, 1], [1, 2, 3, 1], [], [3, 2, 1]])
    assert np.isneginf(values[:2]).all() and np.isfinite(values[2:]).all()
    assert log_likelihoods(log_probs, []).shape == (0,)
    with np.errstate(divide="ignore"):
        certain = np.log(np.eye(3)[[1, 0, 2]])  # probabilities of exactly 0
    assert log_likelihoods(certain, [[1, 2], [1], []]).tolist() == [0, -np.inf, -np.inf]
