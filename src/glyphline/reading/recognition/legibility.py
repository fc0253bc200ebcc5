"""Legibility: the probability that the recognizers of a line can read it.

A recognizer of Latin letters gives letters for anything: another script, a scribble, mirrored print. On these its
posteriors are low before any language model, two recognizers give different texts, and these are in no language. A
logistic regression of all this is fitted by `python benchmarks/legibility.py`, which states its data, and stands in
models/legibility.json. Its bias is such that 0.5 is the limit: of the readable lines it was fitted on 1 % are below.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

import numpy as np
from rapidfuzz.distance import Levenshtein

from glyphline.reading.recognition.calibration import log_odds, logistic
from glyphline.reading.recognition.hypotheses import Posteriors
from glyphline.reading.recognition.languages import LANGUAGES, WEIGHTS, language_model_of, log_likelihoods

_MIN_PROBABILITY = 1e-3  # probabilities are clipped to this distance from 0 and 1, so that log-odds are finite


def language_log_prob(text: str) -> float:
    """Mean log-probability of the characters of a text in the language that it fits best, in nats.

    Greedy texts of unknown writing fit no language. An empty text has that of unknown characters.
    """
    models = [language_model_of(code) for code in LANGUAGES]
    return max(log_likelihoods(text, models, WEIGHTS)) / len(text) if text else WEIGHTS.min_lm_log_prob


def legibility_features(posteriors: Sequence[Posteriors]) -> list[float]:
    """The features of a line, from the posteriors of each recognizer that read it.

    1 (the bias) and the log of its length; for each recognizer the mean probability of its greedy characters, the
    log-odds of this mean and of the lowest probability, the log-odds of the mean probability of the best class of a
    time step, and `language_log_prob` of its greedy text; for each further recognizer the similarity (0..1) of its
    greedy text to that of the first, without case and spaces, and the square of it.
    """
    texts = ["".join(p.greedy.text.lower().split()) for p in posteriors]
    features = [1.0, math.log(1 + max(map(len, texts)))]
    for p in posteriors:
        lowest = min((span.confidence for span in p.greedy.spans), default=0.0)
        sharpness = float(np.exp(p.log_probs.max(axis=1)).mean()) if len(p.log_probs) else 1.0
        features += [p.confidence, *(log_odds(x, _MIN_PROBABILITY) for x in (p.confidence, lowest, sharpness))]
        features.append(language_log_prob(p.greedy.text))
    for text in texts[1:]:
        similarity = Levenshtein.normalized_similarity(texts[0], text) if texts[0] or text else 0.0
        features += [similarity, similarity**2]
    return features


@lru_cache(maxsize=1)
def _fitted_weights() -> dict[str, list[float]]:
    """Names of the recognizers, joined by +, -> weights of the features."""
    file = resources.files("glyphline.models") / "legibility.json"
    return json.loads(file.read_text(encoding="utf-8"))["weights"] if file.is_file() else {}


def legibility(posteriors: Sequence[Posteriors], recognizers: Sequence[str]) -> float:
    """The probability 0..1 that a line can be read. recognizers: their names; 1 for those without fitted weights."""
    weights = _fitted_weights().get("+".join(recognizers))
    if weights is None:
        return 1.0
    return logistic(sum(w * x for w, x in zip(weights, legibility_features(posteriors), strict=True)))
