"""Reliability: lines that are read surely and alike can be read; words whose letters were seen are right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from glyphline.alphabet import Alphabet
from glyphline.page import Character, Line, Word
from glyphline.reading.recognition import reliability as module
from glyphline.reading.recognition.decoders import CharacterSpan, DecodedText
from glyphline.reading.recognition.posteriors import Posteriors
from glyphline.reading.recognition.reliability import (
    ILLEGIBLE_PAGE,
    OBSTACLES,
    UNCERTAIN_WORDS,
    Reliability,
    Verdict,
    copies_of,
    fitted_models,
    image_features,
    legibility_features,
    page_features,
    second_look_features,
    word_features,
)
from glyphline.reading.rejection import TEXT_FEATURE_COUNT


def posteriors_of(text: str, confidence: float) -> Posteriors:
    spans = tuple(CharacterSpan(c, k, k + 1, confidence) for k, c in enumerate(text))
    greedy = DecodedText(text, confidence, spans)
    return Posteriors(np.zeros((1, 2), np.float32), Alphabet("a"), greedy, lambda t, d: Line(t.text, 1.0, (), "a"))


def line_of(text: str, confidence: float = 0.9) -> Line:
    return Line(text, 0.5, (), "a", tuple(Character(c, confidence, k, k + 1) for k, c in enumerate(text)))


def draw_line(height: int = 40) -> np.ndarray:
    image = np.full((60, 300, 3), 240, np.uint8)
    cv2.putText(image, "bread and", (20, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (20, 20, 20), 3, cv2.LINE_AA)
    return cv2.resize(image, (300 * height // 60, height), interpolation=cv2.INTER_AREA)


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """First looks weigh the mean probability; second looks weigh the similarity of the narrower copy."""
    second = {name: [0.0] * 23 for name in ("readable", *OBSTACLES)}
    second["readable"][18] = 9.0
    second[OBSTACLES[1]][0] = 4.0
    second[OBSTACLES[0]][0] = 1.0
    fitted = {"a": {"first": [-16.0, 0, 20.0, 0, 0, 0, 0], "sure": 0.9, "second": second}}
    fitted["a"]["word"] = [-5.0, 0, 0, 0, 8.0] + 10 * [0.0]
    fitted["a"]["page"] = [0.0, 0.5, 0.5, 0, 1.0, 1.0]
    monkeypatch.setattr(module, "fitted_models", lambda: {"line": fitted})
    return fitted


def test_features_have_one_number_for_each_weight() -> None:
    one, two = posteriors_of("cat", 0.9), posteriors_of("Cat", 0.7)
    assert len(legibility_features(one)) == 7
    features = second_look_features(draw_line(), one, two, posteriors_of("dog", 0.7))
    assert features[12] == 1.0 and features[18] == 0  # the similarities; case is ignored
    for posteriors in (one, posteriors_of("", 0.0), posteriors_of("", 1.0)):
        features = second_look_features(draw_line(), posteriors, two, posteriors_of("", 0.0))
        assert np.isfinite(features).all() and len(features) == 23


def test_image_features_tell_height_and_sharpness() -> None:
    large, small = image_features(draw_line(60)), image_features(draw_line(15))
    assert large[0] > small[0] + 1  # a quarter of the height
    blurred = image_features(cv2.GaussianBlur(draw_line(60), (0, 0), 6))
    assert blurred[3] < large[3] - 0.7
    assert np.isfinite(image_features(np.full((1, 1, 3), 200, np.uint8))).all()


def test_copies_are_mirrored_and_narrower() -> None:
    image = draw_line()
    mirrored, narrower = copies_of(image)
    assert (mirrored[:, ::-1] == image).all() and narrower.shape == (40, round(0.85 * image.shape[1]), 3)
    assert copies_of(np.zeros((3, 1), np.uint8))[1].shape == (3, 1)


@pytest.mark.usefixtures("weights")
def test_only_doubtful_lines_are_looked_at_again() -> None:
    model = Reliability("a")
    verdict = model.first_look(posteriors_of("hello there", 0.95))
    assert verdict is not None and verdict.legibility > 0.9 and verdict.obstacle is None
    assert model.first_look(posteriors_of("hello there", 0.5)) is None


def test_second_look_names_the_likeliest_obstacle(weights: dict[str, Any]) -> None:
    unclear, other = posteriors_of("hello there", 0.5), posteriors_of("mnwvlo tx", 0.4)
    verdict = Reliability("a").second_look(draw_line(), unclear, other, other)
    assert verdict.legibility < 0.5 and verdict.obstacle == OBSTACLES[1]
    verdict = Reliability("a").second_look(draw_line(), unclear, other, unclear)  # the narrower copy reads the same
    assert verdict.legibility > 0.9
    weights["a"]["second"][OBSTACLES[0]][0] = 6.0
    assert Reliability("a").second_look(draw_line(), unclear, other, other).obstacle == OBSTACLES[0]


@pytest.mark.usefixtures("weights")
def test_recognizer_without_weights_reads_every_line() -> None:
    model = Reliability("x")
    verdict = model.first_look(posteriors_of("mnwvlo", 0.1))
    assert not model.is_fitted and verdict is not None and verdict.legibility == 1
    assert model.word_confidences(line_of("a b"), posteriors_of("a b", 0.5), 1.0) is None


@pytest.mark.usefixtures("weights")
def test_words_that_were_seen_are_surer_than_words_that_were_guessed() -> None:
    posteriors = posteriors_of("the couninkes", 0.95)
    seen, guessed = Reliability("a").word_confidences(line_of("the cookies"), posteriors, 0.9) or (0, 0)
    assert seen > 0.9 > 0.7 > guessed


def test_line_of_uncertain_words_cannot_be_read(weights: dict[str, Any]) -> None:
    model, clear = Reliability("a"), Verdict(0.99)
    words = tuple(Word(text, confidence, 0, 1) for text, confidence in (("hermanar", 0.1), ("yes", 0.9)))
    assert model.with_words(clear, words) == clear  # no limit is fitted
    weights["a"]["min_share"] = 0.4
    doubtful = model.with_words(clear, words)
    assert doubtful.legibility < 0.5 and doubtful.obstacle == UNCERTAIN_WORDS
    assert model.with_words(clear, words[1:]) == clear and model.with_words(clear, ()) == clear
    unknown = Verdict(0.1, OBSTACLES[0])
    assert model.with_words(unknown, words) == unknown  # its reason stays


def test_word_features_count_what_was_seen() -> None:
    row, other = word_features(line_of("cat dog"), posteriors_of("caat dog", 0.9), 0.9)
    assert row[4] == pytest.approx(0.9) and row[6] == pytest.approx(1 / 3)  # one more letter, of three
    assert other[4] == pytest.approx(0.9) and other[6] == 0
    (row,) = word_features(line_of("cat"), posteriors_of("", 0.0), 0.9)
    assert row[4] == 0 and row[7] == 0
    unlike = Line("cat dog", 0.5, (), "a", tuple(Character(c, 0.9, 0, 1) for c in "cat"))
    assert word_features(unlike, posteriors_of("cat", 0.9), 0.9) == []
    assert word_features(line_of(""), posteriors_of("", 0.0), 0.9) == []


def test_word_features_know_the_kind_of_the_word() -> None:
    line = replace(line_of("A 35 cat"), language="none")
    rows = word_features(line, posteriors_of("A 35 cat", 0.9), 0.9)
    assert [row[8] for row in rows] == [pytest.approx(np.log(3))] * 3 and [row[-3] for row in rows] == [1, 1, 1]
    assert [row[-2:] for row in rows] == [[0, 1], [1, 0], [0, 0]]  # has a digit, is in capitals
    assert word_features(replace(line, language="en"), posteriors_of("A 35 cat", 0.9), 0.9)[0][-3] == 0


def judged_line(text: str, legibility: float, confidence: float) -> Line:
    return replace(line_of(text), legibility=legibility, words=(Word(text, confidence, 0, 1),))


def test_page_features_describe_the_other_lines() -> None:
    short, long = judged_line("cat", 0.9, 0.8), judged_line("dogs and cats", 0.2, 0.5)
    first, second = page_features([short, long])
    assert (first[1], second[1], first[2]) == pytest.approx((second[4], first[4], second[5]))
    assert page_features([short])[0][4:] == [0, 0] and page_features([]) == []
    *_, third = page_features([short, long, judged_line("", 0.0, 0.0)])
    assert long.legibility < 1 / (1 + np.exp(-third[4])) < short.legibility  # by letters: nearer to the long line
    assert third[4] < 0


@pytest.mark.usefixtures("weights")
def test_unsure_line_among_unreadable_lines_is_unreadable() -> None:
    unsure, sure, none = (judged_line("a line", *p) for p in ((0.6, 0.6), (0.999, 0.999), (0.02, 0.1)))
    alone, beside_unreadable, beside_readable = (
        Reliability("a").page_look([unsure, *others])[0] for others in ([], [none] * 5, [sure] * 5)
    )
    assert alone == unsure and beside_readable == unsure
    assert beside_unreadable.legibility < 0.5 and beside_unreadable.obstacle == ILLEGIBLE_PAGE
    lines = [sure, *[none] * 5]
    assert Reliability("a").page_look(lines) == lines  # a sure line stays, and the reasons of the others
    assert Reliability("x").page_look([unsure, none]) == [unsure, none]  # a recognizer without weights


def test_fitted_models_have_weights_for_the_bundled_recognizers() -> None:
    models = fitted_models()
    assert {"photo", "reader", "pp-ocr"} == set(models["line"])
    posteriors = posteriors_of("abc", 0.5)
    for weights in models["line"].values():
        assert len(weights["first"]) == len(legibility_features(posteriors)) and 0 < weights["sure"] < 1
        length = len(second_look_features(draw_line(), posteriors, posteriors, posteriors))
        lengths = {name: len(row) for name, row in weights["second"].items()}
        assert lengths == dict.fromkeys(("readable", *OBSTACLES), length)
        assert len(weights["page"]) == len(page_features([line_of("abc")])[0])
        assert len(weights["word"]) == len(word_features(line_of("abc"), posteriors, 0.5)[0])
    assert len(models["text"]) == TEXT_FEATURE_COUNT
