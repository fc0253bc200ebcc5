"""Ensembles: log-likelihoods are those of CTC, and the text with the highest score of all recognizers is chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise, product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glyphline.alphabet import Alphabet, collapse
from glyphline.imaging.documents import GreyImage
from glyphline.page import Line
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition import ensemble
from glyphline.reading.recognition.constraints import Lexicon
from glyphline.reading.recognition.decoders import (
    BeamSearchDecoder,
    CharacterSpan,
    DecodedText,
    Decoder,
    GreedyDecoder,
)
from glyphline.reading.recognition.ensemble import (
    WEIGHTS,
    Ensemble,
    _force_align,
    _score_texts,
    candidate_texts,
    is_letter_spaced,
    log_likelihoods,
)
from glyphline.reading.recognition.hypotheses import MIN_CLASS_PROBABILITY, Hypothesis, Posteriors
from glyphline.reading.recognition.language_model import estimate

LETTERS = " abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(autouse=True)
def _legible(monkeypatch: pytest.MonkeyPatch) -> None:
    """All lines are legible: the posteriors of these tests are those of no recognizer."""
    monkeypatch.setattr(ensemble, "legibility", lambda posteriors, recognizers: 1.0)


def random_log_probs(steps: int, classes: int, seed: int) -> np.ndarray:
    """Random log-probabilities (T, C)."""
    return np.log(np.random.default_rng(seed).dirichlet(np.full(classes, 0.4), steps) + 1e-9)


# ----------------------------------------------------------------------------------------------------- log-likelihoods


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


# ----------------------------------------------------------------------------------------------------- candidate texts


def test_candidates_are_the_hypotheses_and_those_with_exchanged_words() -> None:
    assert candidate_texts(["same", "same"]) == ["same"]
    assert candidate_texts(["", "cat"]) == ["", "cat"]
    assert candidate_texts(["a cat", "a cut"]) == ["a cat", "a cut"]  # one difference gives no new combination
    assert set(candidate_texts(["one cat sat", "one cat set"])) == {"one cat sat", "one cat set"}
    assert {"a handwritten merge", "a hand written message"} < set(
        candidate_texts(["a hand written merge", "a handwritten message"])
    )
    too_many_differences = candidate_texts(["a b c d e f", "q r s t u v"])
    assert too_many_differences == ["a b c d e f", "q r s t u v"]
    assert candidate_texts(["a", "b", "a"]) == ["a", "b"] and candidate_texts(["a", "b", "c"]) == ["a", "b", "c"]


def test_candidates_have_only_words_of_the_hypotheses() -> None:
    rng = np.random.default_rng(2)
    for _ in range(300):
        a, b = (" ".join("".join(rng.choice([*"abc"], 3)) for _ in range(rng.integers(0, 6))) for _ in range(2))
        candidates = candidate_texts([a, b])
        assert candidates[:2] in ([a, b], [a]) and len(candidates) == len(set(candidates)) <= 2 + 2 * 2**4
        assert all(set(text.split()) <= {*a.split(), *b.split()} for text in candidates), (a, b, candidates)


# ---------------------------------------------------------------------------------------------------- forced alignment


def make_hypothesis(
    steps: Sequence[dict[str, float]], text: str = "", confidence: float = 0.5, recognizer: str = "reader"
) -> Hypothesis:
    """A hypothesis with the given probabilities of characters at each step, the rest of which is the blank's."""
    rows = np.full((len(steps), len(LETTERS) + 1), 1e-7)
    for row, probabilities in zip(rows, steps, strict=True):
        for character, probability in probabilities.items():
            row[LETTERS.index(character) + 1] = probability
        row[0] = max(1e-7, 1 - sum(probabilities.values()))

    def to_line(decoded: DecodedText, decoder: Decoder) -> Line:
        return Line(decoded.text, decoded.confidence, (), recognizer)

    spans = tuple(CharacterSpan(c, 2 * k, 2 * k + 1, confidence) for k, c in enumerate(text))
    decoded = DecodedText(text, confidence, spans)
    log_probs = np.log(rows / rows.sum(1, keepdims=True)).astype(np.float32)
    posteriors = Posteriors(log_probs, Alphabet(LETTERS), decoded, to_line)
    return Hypothesis(to_line(decoded, GreedyDecoder()), decoded, posteriors, GreedyDecoder())


def without_output(hypothesis: Hypothesis) -> Hypothesis:
    """The hypothesis of a line without ink: no time step."""
    return replace(hypothesis, posteriors=replace(hypothesis.posteriors, log_probs=np.zeros((0, 1), np.float32)))


def steps_of(text: str, probability: float = 0.9, **alternatives: dict[str, float]) -> list[dict[str, float]]:
    """One step for each character and a blank step after it. alternatives: character -> others at the same step."""
    return [step for c in text for step in ({c: probability, **alternatives.get(c, {})}, {})]


@pytest.mark.parametrize("text", ["", "a", "cat", "aab", "balloon", "zzz", "caé", "éé", "é中", " a ", "book keeper"])
def test_alignment_of_any_text_is_ordered_and_inside_the_line(text: str) -> None:
    for steps in (steps_of("cat"), steps_of("balloon"), steps_of("book keeper"), [{}] * 12):
        hypothesis = make_hypothesis(steps * 4)
        aligned = _force_align(hypothesis, text)
        assert aligned.text == text == "".join(span.character for span in aligned.spans)
        assert all(0 <= s.start < s.end <= len(hypothesis.log_probs) for s in aligned.spans)
        assert all(a.end <= b.start for a, b in pairwise(aligned.spans))
        # a blank between equal characters
        assert all(a.end < b.start for a, b in pairwise(aligned.spans) if a.character == b.character)
        assert all(0 < s.confidence <= 1 for s in aligned.spans)
        assert aligned.confidence == min((s.confidence for s in aligned.spans), default=1.0)


def test_alignment_finds_the_steps_of_the_text() -> None:
    aligned = _force_align(make_hypothesis(steps_of("balloon", 0.8)), "balloon")
    assert [(s.start, s.end) for s in aligned.spans] == [(2 * k, 2 * k + 1) for k in range(7)]
    # the probabilities of the network, without the temperature
    assert [s.confidence for s in aligned.spans] == pytest.approx([0.8] * 7, rel=1e-3)
    aligned = _force_align(make_hypothesis(steps_of("cat")), "cét")
    assert [s.start for s in aligned.spans] == [0, 2, 4] or [s.start for s in aligned.spans][::2] == [0, 4]
    assert aligned.spans[1].confidence == pytest.approx(MIN_CLASS_PROBABILITY)


def test_scores_of_texts_are_finite() -> None:
    empty = without_output(make_hypothesis([]))
    assert _score_texts(empty, ["", "cat"]).tolist() == [0, 0]
    scores = _score_texts(make_hypothesis(steps_of("cat")), ["cat", "cut", "", "dog", "cat" * 9, "中文"])
    assert np.isfinite(scores).all() and scores.argmax() == 0
    assert scores[4] == scores[0] - WEIGHTS.max_log_likelihood_gap
    # both texts are too long for the line
    assert _score_texts(make_hypothesis(steps_of("cat")), ["cat" * 9, "dog" * 9]).tolist() == [0, 0]


# ------------------------------------------------------------------------------------------------------------ ensemble


class FixedReader:
    """Returns the same hypothesis for every line, and counts the lines."""

    def __init__(self, hypothesis: Hypothesis, decoder: Any = None, languages: tuple[str, ...] = ()) -> None:
        self.hypothesis, self.decoder, self.lines_read = hypothesis, decoder or GreedyDecoder(), 0
        self.recognizer, self.calibrated, self.languages = SimpleNamespace(), True, languages

    def recognize(self, images: Sequence[GreyImage]) -> list[Posteriors]:
        self.lines_read += len(images)
        return [self.hypothesis.posteriors] * len(images)

    def decode(self, posteriors: Posteriors, language: str | None) -> Hypothesis:
        line = posteriors.to_line(posteriors.greedy, self.decoder)
        if posteriors is self.hypothesis.posteriors:
            line = self.hypothesis.line
        return Hypothesis(replace(line, language=language), posteriors.greedy, posteriors, self.decoder)


def read_with(*readers: Any) -> Line:
    (line,) = Ensemble(tuple(readers)).read_lines([np.zeros((4, 4), np.uint8)])
    return line


def test_confident_line_is_not_read_by_the_next_reader() -> None:
    first = FixedReader(make_hypothesis(steps_of("cats"), "cats", WEIGHTS.sufficient_confidence))
    other = FixedReader(make_hypothesis(steps_of("dogs"), "dogs", 1.0, "pp-ocr"))
    assert read_with(first, other) == first.hypothesis.line and (first.lines_read, other.lines_read) == (1, 0)
    assert read_with(first) == first.hypothesis.line
    assert Ensemble((first, other)).read_lines([]) == [] and other.lines_read == 0  # type: ignore[arg-type]


def test_short_line_is_read_by_all_readers() -> None:
    first = FixedReader(make_hypothesis(steps_of("the"), "the", 1.0))
    other = FixedReader(make_hypothesis(steps_of("the"), "the", 0.9, "pp-ocr"))
    line = read_with(first, other)
    assert (first.lines_read, other.lines_read) == (1, 1) and line.text == "the"


def test_visual_confidence_is_the_lowest_of_the_readers() -> None:
    first = make_hypothesis(steps_of("cats"), "cats", 0.7)
    other = make_hypothesis(steps_of("cats"), "cats", 0.5, "pp-ocr")
    other = replace(other, line=replace(other.line, visual_confidence=0.2))
    assert (
        read_with(FixedReader(first), FixedReader(other)).visual_confidence
        == 0.2
        == read_with(FixedReader(other), FixedReader(first)).visual_confidence
    )
    assert read_with(FixedReader(first)).visual_confidence == 1


def test_only_unsure_lines_are_read_by_the_next_reader() -> None:
    sure = make_hypothesis(steps_of("cats"), "cats", 0.999)
    unsure = make_hypothesis(steps_of("cuts"), "cuts", 0.5)

    class PartlySureReader(FixedReader):
        def recognize(self, images: Sequence[GreyImage]) -> list[Posteriors]:
            return [(unsure if image.any() else sure).posteriors for image in images]

    second = FixedReader(make_hypothesis(steps_of("hens"), "hens", 0.999))
    third = FixedReader(make_hypothesis(steps_of("dogs"), "dogs", 0.5))
    images = [np.full((4, 4), k % 2, np.uint8) for k in range(7)]
    lines = Ensemble((PartlySureReader(sure), second, third)).read_lines(images)  # type: ignore[arg-type]
    assert (second.lines_read, third.lines_read) == (3, 0) and [line.text for line in lines][::2] == ["cats"] * 4


def test_equal_texts_have_the_highest_confidence() -> None:
    first = FixedReader(make_hypothesis(steps_of("cat"), "cat", 0.5))
    other = FixedReader(make_hypothesis(steps_of("cat"), "cat", 0.7, "pp-ocr"))
    assert read_with(first, other) == other.hypothesis.line and read_with(other, first) == other.hypothesis.line
    assert (first.lines_read, other.lines_read) == (2, 2)  # neither is confident alone


def test_certain_recognizer_decides_for_an_uncertain_one() -> None:
    uncertain = make_hypothesis(steps_of("cat", 0.5, a={"u": 0.45}), "cat", 0.5)
    other = make_hypothesis(steps_of("cut", 0.95), "cut", 0.6, "pp-ocr")
    assert read_with(FixedReader(uncertain), FixedReader(other)) == other.line and other.line.recognizer == "pp-ocr"
    uncertain = make_hypothesis(steps_of("cut", 0.5, u={"a": 0.45}), "cut", 0.6, "pp-ocr")
    certain = make_hypothesis(steps_of("cat", 0.99), "cat", 0.5)
    line = read_with(FixedReader(certain), FixedReader(uncertain))
    assert line == certain.line and certain.line.recognizer == "reader"


def test_weight_of_a_recognizer_of_composed_lines_falls_with_its_confidence() -> None:
    """Both recognizers are uncertain between the same two texts, so that the weight of the first decides."""

    def read(confidence: float) -> Line:
        first = make_hypothesis(steps_of("cat", 0.75, a={"u": 0.2}), "cat", confidence)
        other = make_hypothesis(steps_of("cut", 0.6, u={"a": 0.35}), "cut", 0.75, "pp-ocr")
        return read_with(FixedReader(first), FixedReader(other))

    assert read(0.75).text == "cat" and read(0.4).text == "cut"


def test_confidence_is_the_best_of_confidence_times_similarity() -> None:
    first = make_hypothesis(steps_of("catch", 0.9), "catch", 0.3)
    other = make_hypothesis(steps_of("catsh", 0.5, s={"c": 0.4}), "catsh", 0.7, "pp-ocr")
    line = read_with(FixedReader(first), FixedReader(other))
    assert line.text == "catch" and line.confidence == pytest.approx(0.7 * 0.8)


def test_line_without_text_is_read_by_the_next_reader() -> None:
    blank = make_hypothesis([{}] * 8, "", 1.0)
    other = make_hypothesis(steps_of("cats", 0.9), "cats", 0.5, "pp-ocr")
    no_output = without_output(blank)
    assert read_with(FixedReader(no_output), FixedReader(other)) == other.line  # no output scores all texts alike
    assert read_with(FixedReader(no_output), FixedReader(no_output)).text == ""
    unlikely = make_hypothesis(steps_of("c", 0.2), "c", 0.2, "pp-ocr")
    assert read_with(FixedReader(blank), FixedReader(unlikely)).text == ""


def complementary_hypotheses() -> tuple[Hypothesis, Hypothesis]:
    """Each recognizer reads another word wrong, and gives the correct word nearly the same probability."""
    first = make_hypothesis(
        [*steps_of("the "), *steps_of("cat", 0.95), *steps_of(" "), *steps_of("sot", 0.5, o={"a": 0.45})],
        "the cat sot",
        0.5,
    )
    other = make_hypothesis(
        [*steps_of("the "), *steps_of("cot", 0.5, o={"a": 0.45}), *steps_of(" "), *steps_of("sat", 0.95)],
        "the cot sat",
        0.5,
        "pp-ocr",
    )
    return first, other


def test_words_of_several_recognizers_are_combined() -> None:
    line = read_with(*map(FixedReader, complementary_hypotheses()))
    assert (line.text, line.recognizer) == ("the cat sat", "reader+pp-ocr")
    assert 0 < line.confidence <= 0.96


def test_texts_with_a_constraint_are_not_combined() -> None:
    constrained = BeamSearchDecoder(constraint=Lexicon(("the cat sot", "the cot sat")))
    for decoders in ((constrained, constrained), (constrained, GreedyDecoder()), (GreedyDecoder(), constrained)):
        line = read_with(*map(FixedReader, complementary_hypotheses(), decoders))
        assert line.text in ("the cat sot", "the cot sat") and "+" not in line.recognizer


def test_language_model_of_any_reader_is_used() -> None:
    language = estimate(["the cat sat on the mat"] * 50, order=4, cells=2**12)
    for correct, wrong in (("cat", "czt"), ("the mat", "the mqt")):
        at = next(k for k, (a, b) in enumerate(zip(correct, wrong, strict=True)) if a != b)
        uncertain = {correct[at]: 0.5, wrong[at]: 0.5}
        first, other = [
            make_hypothesis([*steps_of(text[:at]), uncertain, {}, *steps_of(text[at + 1 :])], text, 0.5, name)
            for text, name in ((wrong, "reader"), (correct, "pp-ocr"))
        ]
        assert read_with(FixedReader(first, BeamSearchDecoder(language)), FixedReader(other)).text == correct
        assert read_with(FixedReader(first), FixedReader(other, BeamSearchDecoder(language))).text == correct


def test_combined_line_has_language_model_log_probs() -> None:
    """Confidence is calibrated on them; without them a combined line would have too high a confidence."""
    language = estimate(["the cat sat on the mat"] * 50, order=4, cells=2**12)
    converted: list[DecodedText] = []

    def record_conversions(hypothesis: Hypothesis) -> Hypothesis:
        def to_line(decoded: DecodedText, decoder: Decoder) -> Line:
            if decoded is not hypothesis.decoded:
                converted.append(decoded)
            return hypothesis.posteriors.to_line(decoded, decoder)

        return replace(hypothesis, posteriors=replace(hypothesis.posteriors, to_line=to_line))

    read_with(*(FixedReader(record_conversions(h), BeamSearchDecoder(language)) for h in complementary_hypotheses()))
    (aligned,) = converted
    assert aligned.text == "the cat sat" and aligned == BeamSearchDecoder(language).add_lm_log_probs(aligned)
    assert any(span.lm_log_prob < 0 for span in aligned.spans)


def test_spaces_of_letter_spaced_text_are_kept() -> None:
    spaced, joined = "a b c d e f", "abcdef"
    assert is_letter_spaced(spaced)
    assert not is_letter_spaced(joined) and not is_letter_spaced("") and not is_letter_spaced("a b c d e")
    for first, second in ((joined, spaced), (spaced, joined)):
        one, other = (
            make_hypothesis(steps_of(first), first, 0.5),
            make_hypothesis(steps_of(second), second, 0.5, "pp-ocr"),
        )
        assert read_with(FixedReader(one), FixedReader(other)).text == spaced


def test_line_readers_can_be_combined(bar_code_recognizer: Any, draw_bar_code: Callable[..., GreyImage]) -> None:
    images = [draw_bar_code("abc"), np.zeros((28, 40), np.uint8), draw_bar_code("gag d")]
    first, other = LineReader(bar_code_recognizer()), LineReader(bar_code_recognizer(stride=2))
    lines = Ensemble((first, other)).read_lines(images)
    assert [line.text for line in lines] == ["abc", "", "gag d"]
    assert {line.recognizer for line in lines} == {"barcodes"} and not Ensemble((first, other)).calibrated
    assert Alphabet(LETTERS).unknown_characters("".join(line.text for line in lines)) == []
