"""Scores: edit distance is a metric, rates agree with hand counts, intervals contain the estimate."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from glyphline.errors import UserError
from glyphline.score import (
    FOLDS,
    MIN_BOOTSTRAP_LINES,
    Confusion,
    bootstrap_interval,
    character_error_rate,
    confusion_pairs,
    edit_distance,
    fold_loose,
    fold_none,
    rate_interval,
    score,
    t_quantile,
)


def random_texts(seed: int, count: int = 3, letters: str = "abc ", max_length: int = 8) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(letters, k=rng.randrange(max_length + 1))) for _ in range(count)]


def reference_distance(truth: str, prediction: str) -> int:
    """Levenshtein's recursion, row by row."""
    row = list(range(len(prediction) + 1))
    for i, a in enumerate(truth, 1):
        previous, row = row, [i]
        for j, b in enumerate(prediction, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (a != b)))
    return row[-1]


# ---------------------------------------------------------------------- edit distance


@pytest.mark.parametrize("seed", range(60))
def test_edit_distance_is_a_metric(seed: int) -> None:
    a, b, c = random_texts(seed)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))
    assert edit_distance(a + c, b + c) <= edit_distance(a, b)


@pytest.mark.parametrize("seed", range(40))
def test_edit_distance_agrees_with_the_recursion(seed: int) -> None:
    a, b, _ = random_texts(seed, max_length=12)
    assert edit_distance(a, b) == reference_distance(a, b)
    assert edit_distance(list(a), list(b)) == edit_distance(a, b)


def test_single_edits_have_distance_1() -> None:
    for i, c in itertools.product(range(4), "xyz"):
        word = "wxyz"
        assert edit_distance(word, word[:i] + word[i + 1 :]) == 1
        assert edit_distance(word, word[:i] + c + word[i:]) == 1
        assert edit_distance(word, word[:i] + "ü" + word[i + 1 :]) == 1


@pytest.mark.parametrize("seed", range(40))
def test_confusion_pairs_are_as_many_as_the_edits(seed: int) -> None:
    truths, predictions = random_texts(seed, 6), random_texts(seed + 1000, 6)
    pairs = confusion_pairs(truths, predictions)
    assert sum(pairs.values()) == sum(map(edit_distance, truths, predictions))
    assert all(truth != prediction for truth, prediction in pairs)


# ---------------------------------------------------------------------- rates


def test_rates_agree_with_hand_counts() -> None:
    result = score(["kitten on a mat", "flaw", "same"], ["sitting on mat", "lawn", "same"])
    # 7 edits of 15 + 4 + 4 characters: 3 for kitten -> sitting, 2 for the missing "a ", 2 for flaw -> lawn
    # 3 edits of 4 + 1 + 1 words: kitten, a, flaw
    assert (result.characters, result.words, result.lines) == (23, 6, 3)
    assert result.cer == pytest.approx(7 / 23)
    assert result.wer == pytest.approx(3 / 6)
    assert result.exact == pytest.approx(1 / 3)


def test_rate_is_over_all_characters_and_not_a_mean_of_lines() -> None:
    assert score(["a", "b" * 99], ["x", "b" * 99]).cer == pytest.approx(1 / 100)


def test_score_of_one_line_is_its_character_error_rate() -> None:
    for truth, prediction in (("abc", "abd"), ("", "xy"), ("xy", ""), ("", "")):
        assert score([truth], [prediction]).cer == pytest.approx(character_error_rate(truth, prediction))


@pytest.mark.parametrize("fold", FOLDS)
def test_correct_predictions_have_no_errors(fold: str) -> None:
    texts = ["Two words", "Don't STOP", "10 Downing St.", "x"]
    result = score(texts, texts, fold)
    assert (result.cer, result.wer, result.exact) == (0, 0, 1)
    for low, high in (result.cer_interval, result.wer_interval):
        assert low == 0 < high  # four right lines do not show that all others are right
    assert not result.confusions and not result.case_errors


def test_score_of_no_lines_gives_no_warning() -> None:
    result = score([], [])
    assert (result.lines, result.cer, result.wer, result.exact) == (0, 0, 0, 0)


@pytest.mark.parametrize("seed", range(25))
def test_interval_contains_the_estimate(seed: int) -> None:
    truths = random_texts(seed, 1 + seed * 2, max_length=15)
    predictions = [truth if i % 3 else random_texts(seed + i)[0] for i, truth in enumerate(truths)]
    result = score(truths, predictions)
    assert result.cer_interval[0] <= result.cer <= result.cer_interval[1]
    assert result.wer_interval[0] <= result.wer <= result.wer_interval[1]


def test_interval_narrows_with_more_lines_and_is_reproducible() -> None:
    rng = np.random.default_rng(0)
    errors, lengths = rng.integers(0, 5, 4000), np.full(4000, 20)
    few, many = bootstrap_interval(errors[:40], lengths[:40]), bootstrap_interval(errors, lengths)
    assert many[1] - many[0] < (few[1] - few[0]) / 5  # the square root of 100 is 10
    assert many == bootstrap_interval(errors, lengths)


def draw_lines(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors and lengths of lines of 15 to 40 characters, with a CER of 7 % that differs between lines."""
    lengths = rng.integers(15, 41, count)
    return rng.binomial(lengths, rng.beta(0.07 * 20, 0.93 * 20, count)), lengths


@pytest.mark.parametrize("count", [2, 3, 5, 10, MIN_BOOTSTRAP_LINES - 1])
def test_interval_of_few_lines_holds_the_true_rate(count: int) -> None:
    rng = np.random.default_rng(count)
    intervals = [rate_interval(*draw_lines(rng, count)) for _ in range(400)]
    assert np.mean([low <= 0.07 <= high for low, high in intervals]) > 0.88
    assert all(low < high for low, high in intervals)


@pytest.mark.parametrize(("lines", "errors"), [(2, 0), (2, 2), (3, 2), (9, 2), (9, 0), (50, 0)])
def test_interval_of_equal_lines_has_a_width(lines: int, errors: int) -> None:
    """A bootstrap of equal lines has none: all of its resamples are equal."""
    low, high = rate_interval(np.full(lines, errors), np.full(lines, 30))
    assert low <= errors / 30 < high and high - errors / 30 > 2 / (30 * lines)
    assert high - low > np.ptp(rate_interval(np.full(2 * lines, errors), np.full(2 * lines, 30)))


def test_interval_of_one_line_says_nothing_and_that_of_many_is_the_bootstrap() -> None:
    assert rate_interval(np.array([0]), np.array([30])) == rate_interval(np.array([2]), np.array([30])) == (0, 1)
    assert rate_interval(np.array([60]), np.array([30])) == (0, 2)
    errors, lengths = draw_lines(np.random.default_rng(0), MIN_BOOTSTRAP_LINES)
    assert rate_interval(errors, lengths) == bootstrap_interval(errors, lengths)
    narrow, wide = np.ptp(rate_interval(errors, lengths)), np.ptp(rate_interval(errors[:-1], lengths[:-1]))
    assert narrow < wide < 1.5 * narrow  # no leap where the method changes


def test_quantiles_are_those_of_the_tables_of_students_t() -> None:
    for freedom, quantile in ((1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (10, 2.228), (30, 2.042)):
        assert t_quantile(freedom) == pytest.approx(quantile, abs=5e-4)


def test_score_does_not_depend_on_the_order_of_lines() -> None:
    truths, predictions = random_texts(1, 20), random_texts(2, 20)
    forward, backward = score(truths, predictions), score(truths[::-1], predictions[::-1])
    assert (forward.cer, forward.wer, forward.exact) == (backward.cer, backward.wer, backward.exact)


# ---------------------------------------------------------------------- folds


@pytest.mark.parametrize("fold", FOLDS)
def test_folds_are_idempotent_and_described(fold: str) -> None:
    apply_fold, description = FOLDS[fold]
    for text in ("  Two \t words ", "Don't  STOP - now!", "", " ", "Ünïcode", "a\u00a0b", "JACOB jacob", "- -"):
        assert apply_fold(apply_fold(text)) == apply_fold(text)
        assert apply_fold(text) == fold_none(apply_fold(text))
    assert score(["a"], ["a"], fold).normalisation == description != ""


def test_equal_texts_in_other_forms_have_no_errors() -> None:
    assert fold_none("e\u0301") == fold_none("\u00e9") and fold_none("\u05d1\u05bc\u05b8") == "\u05d1\u05b8\u05bc"
    assert fold_loose("कि!") == "कि" != fold_loose("का")


def test_folds_ignore_the_differences_in_their_description() -> None:
    cases = {"none": ("a  b ", "a b"), "case": ("Two Words", "tWO words"), "merged": ("Coop", "COOP"),
             "loose": ("Don't stop!", "dont, STOP")}  # fmt: skip
    assert set(cases) == set(FOLDS)
    for fold, (truth, prediction) in cases.items():
        assert score([truth], [prediction], fold).cer == 0
    assert score(["Abe"], ["abE"], "merged").cer == pytest.approx(2 / 3)  # EMNIST does not merge a and e
    assert score(["a b"], ["ab"], "loose").cer > 0  # spaces still count


def test_loose_fold_keeps_the_letters_of_any_script() -> None:
    assert score(["שלום עולם", "Ünal"], ["שלום עולם", "nal"], "loose").characters == 13


# ---------------------------------------------------------------------- confusions, mistakes, printing


def test_confusions_lookalikes_and_case_errors_are_counted() -> None:
    result = score(["O0O", "cat", "dog"], ["000", "caat", "og"])
    assert result.confusions[0] == Confusion("O", "0", 2)
    assert Confusion("", "a", 1) in result.confusions and Confusion("d", "", 1) in result.confusions
    (lookalike,) = [row for row in result.lookalikes if row[0] == "0Oo"]
    assert lookalike == ("0Oo", 2, 4)  # two confusions; O0O and dog have four of these characters
    assert score(["O"], ["o"]).case_errors == 1


def test_number_of_confusions_is_limited() -> None:
    result = score(["abcdefgh"], ["ijklmnop"], top=3)
    assert len(result.confusions) == 3


def test_unknown_fold_and_different_lengths_are_refused() -> None:
    with pytest.raises(UserError, match='did you mean "merged"'):
        score(["a"], ["a"], "merge")
    with pytest.raises(UserError, match="2 truths but 1 predictions"):
        score(["a", "b"], ["a"])


def test_score_is_printed_as_percentages() -> None:
    assert str(score(["abcd"], ["abcx"])).startswith("CER 25.00% [0.00%, 100.00%]  WER 100.00%")
