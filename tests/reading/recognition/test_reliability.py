"""Legibility: lines that the recognizers read with high probabilities and alike are legible, others are not."""

from __future__ import annotations

import numpy as np
import pytest

from glyphline.alphabet import Alphabet
from glyphline.page import Line
from glyphline.reading.recognition import legibility as module
from glyphline.reading.recognition.decoders import CharacterSpan, DecodedText
from glyphline.reading.recognition.hypotheses import Posteriors
from glyphline.reading.recognition.legibility import legibility, legibility_features
from glyphline.reading.rejection import REJECT_ALL, UNKNOWN_WRITING, UNRELIABLE, reject_unreliable


def posteriors_of(text: str, confidence: float) -> Posteriors:
    spans = tuple(CharacterSpan(c, k, k + 1, confidence) for k, c in enumerate(text))
    greedy = DecodedText(text, confidence, spans)
    return Posteriors(np.zeros((1, 2), np.float32), Alphabet("a"), greedy, lambda t, d: Line(t.text, 1.0, (), "a"))


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of two recognizers: the mean probability of the first, and the similarity of both."""
    fitted = {"a+b": [-8.0, 0, 6.0, *[0] * 9, 8.0, 0], "a": [-4.0, 0, 6.0, 0, 0, 0, 0]}
    monkeypatch.setattr(module, "_fitted_weights", lambda: fitted)


def test_features_have_one_number_for_each_weight() -> None:
    one, two = posteriors_of("cat", 0.9), posteriors_of("Cat", 0.7)
    assert len(legibility_features([one])) == 7 and len(legibility_features([one, two])) == 14
    assert legibility_features([one, two])[-2:] == [1.0, 1.0]  # case is ignored
    assert np.isfinite(legibility_features([posteriors_of("", 0.0), posteriors_of("", 1.0)])).all()


@pytest.mark.usefixtures("weights")
def test_agreement_and_clear_posteriors_make_a_line_legible() -> None:
    clear = [posteriors_of("hello there", 0.95), posteriors_of("hello there", 0.9)]
    unclear = [posteriors_of("hello there", 0.5), posteriors_of("mnwvlo tx", 0.4)]
    assert legibility(clear, ("a", "b")) > 0.9 > 0.1 > legibility(unclear, ("a", "b"))
    assert legibility(clear[:1], ("a",)) > 0.5 and legibility(unclear, ("x", "y")) == 1.0


def test_fitted_model_has_weights_for_the_bundled_recognizers() -> None:
    weights = module._fitted_weights()
    assert {"reader", "pp-ocr", "reader+pp-ocr"} <= set(weights)
    for names, values in weights.items():
        count = names.count("+") + 1
        assert len(values) == len(legibility_features([posteriors_of("abc", 0.5)] * count))


def make_line(legible: float, confidence: float) -> Line:
    from glyphline.page import Character

    return Line("ab", 0.5, (), "a", tuple(Character(c, confidence, 0, 1) for c in "ab"), legibility=legible)


def test_rejected_line_has_a_reason() -> None:
    assert reject_unreliable(make_line(0.9, 0.9), 0.7).rejected is False
    assert reject_unreliable(make_line(0.9, 0.6), 0.7).reason == UNRELIABLE
    unknown = reject_unreliable(make_line(0.2, 0.9), 0.7)
    assert (unknown.text, unknown.rejected, unknown.reason) == ("", True, UNKNOWN_WRITING)
    assert reject_unreliable(make_line(0.2, 0.1), 0.0).text == "ab"  # 0 keeps every line
    assert reject_unreliable(make_line(1.0, 1.0), REJECT_ALL).rejected
