"""Posteriors: texts are scored under the output of a recognizer, also those that it cannot produce."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from glyphline.alphabet import Alphabet
from glyphline.page import Line
from glyphline.reading.recognition.decoders import DecodedText, GreedyDecoder
from glyphline.reading.recognition.posteriors import Posteriors, score_texts

LETTERS = "acdgotu"


def posteriors_of(text: str, probability: float) -> Posteriors:
    """One step with a probability for each character of a text, and a blank step after it."""
    rows = np.full((2 * len(text), len(LETTERS) + 1), 1e-7)
    for k, character in enumerate(text):
        rows[2 * k, LETTERS.index(character) + 1] = probability
    rows[:, 0] = np.maximum(1e-7, 1 - rows[:, 1:].sum(axis=1))
    log_probs = np.log(rows / rows.sum(1, keepdims=True)).astype(np.float32)
    greedy = GreedyDecoder()(log_probs, Alphabet(LETTERS))
    return Posteriors(log_probs, Alphabet(LETTERS), greedy, lambda decoded, _: Line(decoded.text, 1.0, (), "a"))


def test_seen_text_has_the_highest_score() -> None:
    posteriors = posteriors_of("cat", 0.9)
    scores = score_texts(posteriors, ["cat", "cut", "", "dog", "c\u00e9t"])
    assert scores.argmax() == 0 and np.isfinite(scores).all()
    assert np.isneginf(score_texts(posteriors, ["cat" * 9])).all()  # too long for the line
    assert score_texts(posteriors, []).shape == (0,)
    assert posteriors.confidence > 0.85


def test_line_without_output_scores_all_texts_alike() -> None:
    empty = replace(posteriors_of("cat", 0.9), log_probs=np.zeros((0, 1), np.float32), greedy=DecodedText("", 1.0, ()))
    assert score_texts(empty, ["", "cat"]).tolist() == [0, 0] and empty.confidence == 0
