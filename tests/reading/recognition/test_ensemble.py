"""Several readers on the same lines: likelihoods are CTC's, and the text believed is the one all of them speak for."""

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
from glyphline.reading.recognition.constraints import Lexicon
from glyphline.reading.recognition.decoders import BeamSearchDecoder, DecodedText, GreedyDecoder
from glyphline.reading.recognition.ensemble import (
    ENOUGH,
    VETO,
    Ensemble,
    _aligned,
    _likelihoods,
    is_letter_spaced,
    log_likelihoods,
)
from glyphline.reading.recognition.ensemble import candidate_texts as proposed
from glyphline.reading.recognition.hypotheses import MIN_CLASS_PROBABILITY, Hypothesis
from glyphline.reading.recognition.language_model import estimate

LETTERS = " abcdefghijklmnopqrstuvwxyz"


def spread(steps: int, classes: int, seed: int) -> np.ndarray:
    """(T, C) log-probabilities of a network that is of any opinion."""
    return np.log(np.random.default_rng(seed).dirichlet(np.full(classes, 0.4), steps) + 1e-9)


# --------------------------------------------------------------------------------------------------------- likelihoods


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_a_likelihood_is_the_share_of_all_paths_that_say_the_text(steps: int) -> None:
    log_probs = spread(steps, 3, steps)
    texts = [list(ids) for length in range(5) for ids in product((1, 2), repeat=length)]
    shares = dict.fromkeys(map(tuple, texts), 0.0)
    for path in product(range(3), repeat=steps):
        said = tuple(collapse(path))
        if said in shares:
            shares[said] += math.exp(sum(log_probs[t, c] for t, c in enumerate(path)))
    with np.errstate(divide="ignore"):
        wanted = np.log(list(shares.values()))
    np.testing.assert_allclose(log_likelihoods(log_probs, texts), wanted, rtol=1e-6)
    for text, one in zip(texts, wanted, strict=True):  # alone as among others
        np.testing.assert_allclose(log_likelihoods(log_probs, [text]), [one], rtol=1e-6)


def test_a_likelihood_is_what_torch_counts() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    for steps, classes in ((40, 30), (300, 30), (120, 4)):
        log_probs = spread(steps, classes, steps)
        texts = [rng.integers(1, classes, length).tolist() for length in (1, 5, 12, 25)] + [[1] * 9]
        for text, ours in zip(texts, log_likelihoods(log_probs, texts), strict=True):
            said = torch.nn.functional.ctc_loss(
                torch.tensor(log_probs)[:, None], torch.tensor([text]), [steps], [len(text)], reduction="none"
            )
            assert ours == pytest.approx(-said.item(), rel=1e-6)


def test_what_cannot_be_said_is_infinitely_unlikely_and_nothing_is_no_number() -> None:
    log_probs = spread(3, 4, 0)
    found = log_likelihoods(log_probs, [[1, 1, 1], [1, 2, 3, 1], [], [3, 2, 1]])
    assert np.isneginf(found[:2]).all() and np.isfinite(found[2:]).all()
    assert log_likelihoods(log_probs, []).shape == (0,)
    with np.errstate(divide="ignore"):
        certain = np.log(np.eye(3)[[1, 0, 2]])  # shares of exactly 0
    assert log_likelihoods(certain, [[1, 2], [1], []]).tolist() == [0, -np.inf, -np.inf]


# ----------------------------------------------------------------------------------------------------------- proposals


def test_proposals_are_what_was_read_and_its_words_exchanged() -> None:
    assert proposed(["same", "same"]) == ["same"]
    assert proposed(["", "cat"]) == ["", "cat"]
    assert proposed(["a cat", "a cut"]) == ["a cat", "a cut"]  # in one place there is nothing to exchange
    assert set(proposed(["one cat sat", "one cat set"])) == {"one cat sat", "one cat set"}
    assert {"a handwritten merge", "a hand written message"} < set(
        proposed(["a hand written merge", "a handwritten message"])
    )
    many = proposed(["a b c d e f", "q r s t u v"])
    assert many == ["a b c d e f", "q r s t u v"]  # in too many
    assert proposed(["a", "b", "a"]) == ["a", "b"] and proposed(["a", "b", "c"]) == ["a", "b", "c"]


def test_proposals_hold_no_word_that_nobody_read() -> None:
    rng = np.random.default_rng(2)
    for _ in range(300):
        a, b = (" ".join("".join(rng.choice([*"abc"], 3)) for _ in range(rng.integers(0, 6))) for _ in range(2))
        found = proposed([a, b])
        assert found[:2] in ([a, b], [a]) and len(found) == len(set(found)) <= 2 + 2 * 2**4
        assert all(set(text.split()) <= {*a.split(), *b.split()} for text in found), (a, b, found)


# ------------------------------------------------------------------------------------------------------------- aligned


def heard(
    said: Sequence[dict[str, float]], text: str = "", sure: float = 0.5, recognizer: str = "reader"
) -> Hypothesis:
    """What a network said step by step, the rest of each step blank, and the line that was read of it."""
    rows = np.full((len(said), len(LETTERS) + 1), 1e-7)
    for row, shares in zip(rows, said, strict=True):
        for character, share in shares.items():
            row[LETTERS.index(character) + 1] = share
        row[0] = max(1e-7, 1 - sum(shares.values()))

    def place(decoded: DecodedText) -> Line:
        return Line(decoded.text, decoded.confidence, (), recognizer)

    decoded, columns = DecodedText(text, sure, ()), {c: k for k, c in enumerate(LETTERS, 1)}
    return Hypothesis(
        place(decoded), decoded, np.log(rows / rows.sum(1, keepdims=True)).astype(np.float32), columns, place
    )


def clear(text: str, sure: float = 0.9, **other: dict[str, float]) -> list[dict[str, float]]:
    """Each character in one step, a blank after each; other: what is also heard in place of a character, by it."""
    return [step for c in text for step in ({c: sure, **other.get(c, {})}, {})]


@pytest.mark.parametrize("text", ["", "a", "cat", "aab", "balloon", "zzz", "caé", "éé", "é中", " a ", "book keeper"])
def test_a_text_is_laid_along_what_was_said(text: str) -> None:
    for said in (clear("cat"), clear("balloon"), clear("book keeper"), [{}] * 12):
        one = heard(said * 4)
        laid = _aligned(one, text)
        assert laid.text == text == "".join(span.character for span in laid.spans)
        assert all(0 <= s.start < s.end <= len(one.log_probs) for s in laid.spans)
        assert all(a.end <= b.start for a, b in pairwise(laid.spans))
        assert all(a.end < b.start for a, b in pairwise(laid.spans) if a.character == b.character)  # a blank between
        assert all(0 < s.confidence <= 1 for s in laid.spans)
        assert laid.confidence == min((s.confidence for s in laid.spans), default=1.0)


def test_a_text_is_laid_where_it_was_said() -> None:
    laid = _aligned(heard(clear("balloon", 0.8)), "balloon")
    assert [(s.start, s.end) for s in laid.spans] == [(2 * k, 2 * k + 1) for k in range(7)]
    assert [s.confidence for s in laid.spans] == pytest.approx([0.8] * 7, rel=1e-3)  # as the network said, not softened
    laid = _aligned(heard(clear("cat")), "cét")
    assert [s.start for s in laid.spans] == [0, 2, 4] or [s.start for s in laid.spans][::2] == [0, 4]
    assert laid.spans[1].confidence == pytest.approx(MIN_CLASS_PROBABILITY)


def test_what_a_network_makes_of_texts_is_a_number() -> None:
    nothing = Hypothesis(
        heard([]).line, DecodedText("", 1.0, ()), np.zeros((0, 1), np.float32), {}, lambda decoded: heard([]).line
    )
    assert _likelihoods(nothing, ["", "cat"]).tolist() == [0, 0]
    found = _likelihoods(heard(clear("cat")), ["cat", "cut", "", "dog", "cat" * 9, "中文"])
    assert np.isfinite(found).all() and found.argmax() == 0 and found[4] == found[0] - VETO
    assert _likelihoods(heard(clear("cat")), ["cat" * 9, "dog" * 9]).tolist() == [0, 0]  # it can say neither


# -------------------------------------------------------------------------------------------------------------- surest


class Says:
    """Hears the same in every line, and counts the lines it is asked for."""

    def __init__(self, one: Hypothesis, decoder: Any = None) -> None:
        self.one, self.decoder, self.asked = one, decoder or GreedyDecoder(), 0
        self.recognizer, self.calibrated = SimpleNamespace(), True

    def recognize(self, images: Sequence[GreyImage]) -> list[Hypothesis]:
        self.asked += len(images)
        return [self.one] * len(images)


def believed(*readers: Any) -> Line:
    (line,) = Ensemble(tuple(readers)).read_lines([np.zeros((4, 4), np.uint8)])
    return line


def test_a_sure_reader_is_not_doubted() -> None:
    first, other = Says(heard(clear("cats"), "cats", ENOUGH)), Says(heard(clear("dogs"), "dogs", 1.0, "pp-ocr"))
    assert believed(first, other) == first.one.line and (first.asked, other.asked) == (1, 0)
    assert believed(first) == first.one.line
    assert Ensemble((first, other)).read_lines([]) == [] and other.asked == 0  # type: ignore[arg-type]


def test_of_few_letters_all_are_asked_for_scenery_looks_like_them() -> None:
    first, other = Says(heard(clear("the"), "the", 1.0)), Says(heard(clear("the"), "the", 0.9, "pp-ocr"))
    said = believed(first, other)
    assert (first.asked, other.asked) == (1, 1) and said.text == "the"


def test_how_much_like_text_it_looked_is_what_the_network_of_photographs_says() -> None:
    first, other = heard(clear("cats"), "cats", 0.7), heard(clear("cats"), "cats", 0.5, "pp-ocr")
    other = replace(other, line=replace(other.line, visual_confidence=0.2))
    assert (
        believed(Says(first), Says(other)).visual_confidence
        == 0.2
        == believed(Says(other), Says(first)).visual_confidence
    )
    assert believed(Says(first)).visual_confidence == 1


def test_only_the_lines_that_are_not_sure_go_on() -> None:
    sure, doubted = heard(clear("cats"), "cats", 0.95), heard(clear("cuts"), "cuts", 0.5)

    class Both(Says):
        def recognize(self, images: Sequence[GreyImage]) -> list[Hypothesis]:
            return [doubted if image.any() else sure for image in images]

    second, third = Says(heard(clear("hens"), "hens", 0.95)), Says(heard(clear("dogs"), "dogs", 0.5))
    images = [np.full((4, 4), k % 2, np.uint8) for k in range(7)]
    lines = Ensemble((Both(sure), second, third)).read_lines(images)  # type: ignore[arg-type]
    assert (second.asked, third.asked) == (3, 0) and [line.text for line in lines][::2] == ["cats"] * 4


def test_readers_that_agree_are_as_sure_as_the_surest() -> None:
    first, other = Says(heard(clear("cat"), "cat", 0.5)), Says(heard(clear("cat"), "cat", 0.7, "pp-ocr"))
    assert believed(first, other) == other.one.line and believed(other, first) == other.one.line
    assert (first.asked, other.asked) == (2, 2)  # none is sure alone


def test_what_the_others_hear_decides() -> None:
    torn = heard(clear("cat", 0.5, a={"u": 0.45}), "cat", 0.5)
    other = heard(clear("cut", 0.95), "cut", 0.6, "pp-ocr")
    assert believed(Says(torn), Says(other)) == other.line and other.line.recognizer == "pp-ocr"
    torn = heard(clear("cut", 0.5, u={"a": 0.45}), "cut", 0.6, "pp-ocr")
    sure = heard(clear("cat", 0.99), "cat", 0.5)
    assert believed(Says(sure), Says(torn)) == sure.line and sure.line.recognizer == "reader"


def test_a_network_of_composed_lines_counts_less_where_it_is_less_sure() -> None:
    """Each torn between the same two texts, for its own: how much the first one counts is a matter of confidence."""

    def torn(sure: float) -> Line:
        first = heard(clear("cat", 0.75, a={"u": 0.2}), "cat", sure)
        other = heard(clear("cut", 0.6, u={"a": 0.35}), "cut", 0.75, "pp-ocr")
        return believed(Says(first), Says(other))

    assert torn(0.75).text == "cat" and torn(0.4).text == "cut"


def test_a_line_is_as_sure_as_the_surest_that_reads_nearly_so() -> None:
    first = heard(clear("catch", 0.9), "catch", 0.3)
    other = heard(clear("catsh", 0.5, s={"c": 0.4}), "catsh", 0.7, "pp-ocr")
    line = believed(Says(first), Says(other))
    assert line.text == "catch" and line.confidence == pytest.approx(0.7 * 0.8)


def test_nothing_read_is_asked_of_the_other() -> None:
    silent = heard([{}] * 8, "", 1.0)
    other = heard(clear("cats", 0.9), "cats", 0.5, "pp-ocr")
    nothing = Hypothesis(silent.line, silent.decoded, np.zeros((0, 1), np.float32), {}, silent.place)
    assert believed(Says(nothing), Says(other)) == other.line  # what saw nothing has no say
    assert believed(Says(nothing), Says(nothing)).text == ""
    sure = Says(silent)
    assert believed(sure, Says(heard(clear("c", 0.2), "c", 0.2, "pp-ocr"))).text == ""


def halves() -> tuple[Hypothesis, Hypothesis]:
    """Each reader is right in one word, and hears the other's right word nearly as well as its own wrong one."""
    first = heard(
        [*clear("the "), *clear("cat", 0.95), *clear(" "), *clear("sot", 0.5, o={"a": 0.45})], "the cat sot", 0.5
    )
    other = heard(
        [*clear("the "), *clear("cot", 0.5, o={"a": 0.45}), *clear(" "), *clear("sat", 0.95)], "the cot sat", 0.5,
        "pp-ocr",
    )  # fmt: skip
    return first, other


def test_words_of_several_readers_make_one_line() -> None:
    line = believed(*map(Says, halves()))
    assert (line.text, line.recognizer) == ("the cat sat", "reader+pp-ocr")
    assert 0 < line.confidence <= 0.96


def test_what_is_allowed_is_not_mixed() -> None:
    allowed = BeamSearchDecoder(constraint=Lexicon(("the cat sot", "the cot sat")))
    for decoders in ((allowed, allowed), (allowed, GreedyDecoder()), (GreedyDecoder(), allowed)):
        line = believed(*map(Says, halves(), decoders))
        assert line.text in ("the cat sot", "the cot sat") and "+" not in line.recognizer


def test_language_has_its_say(monkeypatch: pytest.MonkeyPatch) -> None:
    language = estimate(["the cat sat on the mat"] * 50, order=4, cells=2**12)
    for right, wrong in (("cat", "czt"), ("the mat", "the mqt")):
        at = next(k for k, (a, b) in enumerate(zip(right, wrong, strict=True)) if a != b)
        torn = [
            heard([*clear(text[:at]), {right[at]: 0.5, wrong[at]: 0.5}, {}, *clear(text[at + 1 :])], text, 0.5, name)
            for text, name in ((wrong, "reader"), (right, "pp-ocr"))
        ]
        assert believed(Says(torn[0], BeamSearchDecoder(language)), Says(torn[1])).text == right
        assert (
            believed(Says(torn[0]), Says(torn[1], BeamSearchDecoder(language))).text == right
        )  # whichever reader has it


def test_a_mixed_line_is_weighed_as_what_was_read_is() -> None:
    """Confidence was fitted on what the language says of each character; without it a mixed line looked certain."""
    language = estimate(["the cat sat on the mat"] * 50, order=4, cells=2**12)
    told: list[DecodedText] = []

    def keep(one: Hypothesis) -> Hypothesis:
        def place(decoded: DecodedText) -> Line:
            told.append(decoded)
            return one.place(decoded)

        return Hypothesis(one.line, one.decoded, one.log_probs, one.columns, place)

    believed(*(Says(keep(one), BeamSearchDecoder(language)) for one in halves()))
    (laid,) = told
    assert laid.text == "the cat sat" and laid == BeamSearchDecoder(language).with_nats(laid)
    assert any(span.nats < 0 for span in laid.spans)


def test_spaces_of_an_alphabet_are_kept() -> None:
    spaced, joined = "a b c d e f", "abcdef"
    assert (
        is_letter_spaced(spaced)
        and not is_letter_spaced(joined)
        and not is_letter_spaced("")
        and not is_letter_spaced("a b c d e")
    )
    for first, second in ((joined, spaced), (spaced, joined)):
        one, other = heard(clear(first), first, 0.5), heard(clear(second), second, 0.5, "pp-ocr")
        assert believed(Says(one), Says(other)).text == spaced


def test_real_readers_say_who_read_it(bar_codes: Any, drawn: Callable[..., GreyImage]) -> None:
    images = [drawn("abc"), np.zeros((28, 40), np.uint8), drawn("gag d")]
    one, other = LineReader(bar_codes()), LineReader(bar_codes(stride=2))
    lines = Ensemble((one, other)).read_lines(images)
    assert [line.text for line in lines] == ["abc", "", "gag d"]
    assert {line.recognizer for line in lines} == {"barcodes"} and not Ensemble((one, other)).calibrated
    assert Alphabet(LETTERS).unknown("".join(line.text for line in lines)) == []
