"""Scores of texts under the output of a network, by CTC's forward algorithm (Graves et al. 2006)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import BLANK

_MIN_PATH_PROBABILITY = 1e-300  # keeps logarithms finite


def log_likelihoods(log_probs: npt.NDArray[np.floating], texts: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    """The log-likelihood log P(text | line) of each text, in nats, by CTC's forward algorithm (Graves et al. 2006).

    log_probs: (T, C), natural logarithms, class 0 the blank. texts: the classes of each text's characters. Returns one
    value a text: -inf for a text that needs more than T steps, and for a text whose likelihood is 0 in float64 when it
    is divided by that of its likeliest beginning.
    """
    longest = max((len(ids) for ids in texts), default=0)
    # Two unused states stand on the left, so that the slices that shift by one and two states need no special case.
    states = np.full((len(texts), 2 * longest + 3), BLANK)
    used = np.zeros(states.shape, bool)
    for row, ids in enumerate(texts):
        states[row, 3 : 3 + 2 * len(ids) : 2] = ids
        used[row, 2 : 3 + 2 * len(ids)] = True
    skips = np.zeros(states.shape)  # 1 where the blank before a character may be skipped: after a different character
    skips[:, 2:] = (states[:, 2:] != BLANK) & (states[:, 2:] != states[:, :-2])
    emissions = np.exp(log_probs[:, states].astype(np.float64)) * used  # (T, N, S)
    forward = np.zeros(states.shape)
    forward[:, 2] = 1.0
    log_scale = np.zeros(len(texts))
    for emission in emissions:
        reached = forward.copy()
        reached[:, 1:] += forward[:, :-1]
        reached[:, 2:] += forward[:, :-2] * skips[:, 2:]
        forward = reached * emission
        scale = np.maximum(forward.max(axis=1), _MIN_PATH_PROBABILITY)
        log_scale += np.log(scale)
        forward /= scale[:, None]
    ends = np.array([2 + 2 * len(ids) for ids in texts], np.int64)
    rows = np.arange(len(texts))
    last = forward[rows, ends] + np.where(ends > 2, forward[rows, ends - 1], 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(log_scale + np.log(last))
