"""Scores: edit distance is a metric, rates agree with counting by hand, intervals hold the estimate."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from glyphline.errors import UserError
from glyphline.score import (
    FOLDS,
    Confusion,
    bootstrap_interval,
    character_error_rate,
    confusion_pairs,
    edit_distance,
    fold_none,
    score,
)


def words(seed: int, count: int = 3, letters: str = "abc ", most: int = 8) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(letters, k=rng.randrange(most + 1))) for _ in range(count)]


def by_the_book(truth: str, read: str) -> int:
    """Levenshtein's recursion, row by row."""
    row = list(range(len(read) + 1))
    for i, a in enumerate(truth, 1):
        before, row = row, [i]
        for j, b in enumerate(read, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


# ---------------------------------------------------------------------- edit distance


@pytest.mark.parametrize("seed", range(60))
def test_edit_distance_is_a_metric(seed: int) -> None:
    a, b, c = words(seed)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))
    assert edit_distance(a + c, b + c) <= edit_distance(a, b)


@pytest.mark.parametrize("seed", range(40))
def test_edit_distance_agrees_with_the_recursion(seed: int) -> None:
    a, b, _ = words(seed, most=12)
    assert edit_distance(a, b) == by_the_book(a, b)
    assert edit_distance(list(a), list(b)) == edit_distance(a, b)


def test_one_edit_is_one_edit() -> None:
    for k, c in itertools.product(range(4), "xyz"):
        word = "wxyz"
        assert edit_distance(word, word[:k] + word[k + 1 :]) == 1
        assert edit_distance(word, word[:k] + c + word[k:]) == 1
        assert edit_distance(word, word[:k] + "ü" + word[k + 1 :]) == 1


@pytest.mark.parametrize("seed", range(40))
def test_the_alignment_has_as_many_edits_as_the_distance(seed: int) -> None:
    truths, readings = words(seed, 6), words(seed + 1000, 6)
    pairs = confusion_pairs(truths, readings)
    assert sum(pairs.values()) == sum(map(edit_distance, truths, readings))
    assert all(t != r for t, r in pairs)


# ---------------------------------------------------------------------- rates


def test_rates_counted_by_hand() -> None:
    result = score(["kitten on a mat", "flaw", "same"], ["sitting on mat", "lawn", "same"])
    # kitten -> sitting 3, "a " gone 2; flaw -> lawn 2: 7 of 15 + 4 + 4 characters
    # kitten and a wrong 2, flaw 1: 3 of 4 + 1 + 1 words
    assert (result.characters, result.words, result.lines) == (23, 6, 3)
    assert result.cer == pytest.approx(7 / 23)
    assert result.wer == pytest.approx(3 / 6)
    assert result.exact == pytest.approx(1 / 3)


def test_the_rate_is_over_all_characters_not_a_mean_of_lines() -> None:
    assert score(["a", "b" * 99], ["x", "b" * 99]).cer == pytest.approx(1 / 100)


def test_one_line_scores_its_own_rate() -> None:
    for a, b in (("abc", "abd"), ("", "xy"), ("xy", ""), ("", "")):
        assert score([a], [b]).cer == pytest.approx(character_error_rate(a, b))


@pytest.mark.parametrize("fold", FOLDS)
def test_right_readings_score_zero(fold: str) -> None:
    texts = ["Two words", "Don't STOP", "10 Downing St.", "x"]
    result = score(texts, texts, fold)
    assert (result.cer, result.wer, result.exact) == (0, 0, 1)
    assert result.cer_interval == result.wer_interval == (0, 0)
    assert not result.confusions and not result.case_errors


def test_nothing_scores_without_a_warning() -> None:
    result = score([], [])
    assert (result.lines, result.cer, result.wer, result.exact) == (0, 0, 0, 0)


@pytest.mark.parametrize("seed", range(25))
def test_the_interval_holds_the_estimate(seed: int) -> None:
    truths = words(seed, 30, most=15)
    readings = [t if k % 3 else words(seed + k)[0] for k, t in enumerate(truths)]
    result = score(truths, readings)
    assert result.cer_interval[0] <= result.cer <= result.cer_interval[1]
    assert result.wer_interval[0] <= result.wer <= result.wer_interval[1]


def test_the_interval_narrows_with_more_lines_and_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    errors, lengths = rng.integers(0, 5, 4000), np.full(4000, 20)
    few, many = bootstrap_interval(errors[:40], lengths[:40]), bootstrap_interval(errors, lengths)
    assert many[1] - many[0] < (few[1] - few[0]) / 5  # by the root of 100
    assert many == bootstrap_interval(errors, lengths)


def test_order_does_not_matter() -> None:
    truths, readings = words(1, 20), words(2, 20)
    forth, back = score(truths, readings), score(truths[::-1], readings[::-1])
    assert (forth.cer, forth.wer, forth.exact) == (back.cer, back.wer, back.exact)


# ---------------------------------------------------------------------- folds


@pytest.mark.parametrize("fold", FOLDS)
def test_a_fold_settles_at_once_and_has_a_sentence(fold: str) -> None:
    function, sentence = FOLDS[fold]
    for text in ("  Two \t words ", "Don't  STOP - now!", "", " ", "Ünïcode", "a\u00a0b", "JACOB jacob", "- -"):
        assert function(function(text)) == function(text)
        assert function(text) == fold_none(function(text))
    assert score(["a"], ["a"], fold).normalisation == sentence != ""


def test_folds_forgive_what_they_say() -> None:
    cases = {"none": ("a  b ", "a b"), "case": ("Two Words", "tWO words"), "merged": ("Coop", "COOP"),
             "loose": ("Don't stop!", "dont, STOP")}  # fmt: skip
    assert set(cases) == set(FOLDS)
    for fold, (truth, read) in cases.items():
        assert score([truth], [read], fold).cer == 0
    assert score(["Abe"], ["abE"], "merged").cer == pytest.approx(2 / 3)  # a and e stay apart there
    assert score(["a b"], ["ab"], "loose").cer > 0  # words still count


def test_the_loose_fold_keeps_the_letters_of_any_script() -> None:
    assert score(["שלום עולם", "Ünal"], ["שלום עולם", "nal"], "loose").characters == 13


# ---------------------------------------------------------------------- what goes wrong


def test_confusions_say_what_was_read_for_what() -> None:
    result = score(["O0O", "cat", "dog"], ["000", "caat", "og"])
    assert result.confusions[0] == Confusion("O", "0", 2)
    assert Confusion("", "a", 1) in result.confusions and Confusion("d", "", 1) in result.confusions
    (inside,) = [row for row in result.lookalikes if row[0] == "0Oo"]
    assert inside == ("0Oo", 2, 4)  # two errors among the four characters of O0O and dog
    assert score(["O"], ["o"]).case_errors == 1


def test_only_the_commonest_confusions_are_kept() -> None:
    result = score(["abcdefgh"], ["ijklmnop"], top=3)
    assert len(result.confusions) == 3


def test_mistakes_are_told() -> None:
    with pytest.raises(UserError, match='did you mean "merged"'):
        score(["a"], ["a"], "merge")
    with pytest.raises(UserError, match="2 truths but 1 readings"):
        score(["a", "b"], ["a"])


def test_a_score_can_be_read_by_people() -> None:
    assert str(score(["abcd"], ["abcx"])).startswith("CER 25.00% [25.00%, 25.00%]  WER 100.00%")
