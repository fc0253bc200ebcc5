"""Numbers read as something else: a short cell is one where its column is of numbers and its image allows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import resources
from unittest.mock import Mock

import numpy as np
import pytest

from glyphline.alphabet import Alphabet
from glyphline.page import Line
from glyphline.reading.cell_reliability import assess_cells
from glyphline.reading.number_cells import find_numbers, is_number, likeliest_number, number_candidates
from glyphline.reading.recognition.decoders import DecodedText
from glyphline.reading.recognition.posteriors import Posteriors
from reading.cells import make_cell

CHARACTERS = "0123456789abcilx!-"


def make_posteriors(*steps: dict[str, float]) -> Posteriors:
    """The posteriors of a line; each step is a character's, with these probabilities, and a blank follows it."""
    probabilities = np.full((2 * len(steps), 1 + len(CHARACTERS)), 1e-4)
    probabilities[1::2, 0] = 1
    for k, step in enumerate(steps):
        for character, probability in step.items():
            probabilities[2 * k, 1 + CHARACTERS.index(character)] = probability
    log_probs = np.log(probabilities / probabilities.sum(1, keepdims=True)).astype(np.float32)
    return Posteriors(log_probs, Alphabet(CHARACTERS), DecodedText("", 1.0, ()), Mock())


def make_table(column: Sequence[str], doubtful: int) -> list[Line]:
    """A column beside one of names. The cell in the row `doubtful` was hardly seen."""
    names = [make_cell("abcabcabc"[k : k + 6], k, 0) for k in range(len(column))]
    cells = [
        make_cell(text, k, 1, *((0.6, 0.0) if k == doubtful else (0.97, 0.9))) for k, text in enumerate(column) if text
    ]
    return [*names, *cells]


def recognize_as(posteriors: Posteriors) -> Callable[[Sequence[int]], list[Posteriors]]:
    return lambda indices: [posteriors] * len(indices)


LIKE_A_ONE = make_posteriors({"!": 0.5, "1": 0.3, "i": 0.2})


def numbers_in(lines: Sequence[Line], posteriors: Posteriors = LIKE_A_ONE) -> dict[int, tuple[str, float]]:
    return find_numbers([0.8] * len(lines), lines, recognize_as(posteriors))


@pytest.mark.parametrize("text", ["1", "12.50", "-3", "1,200", "24.12.2026", "15%", "$ 4"])
def test_digits_with_their_signs_are_numbers(text: str) -> None:
    assert is_number(text)


@pytest.mark.parametrize("text", ["", "-", "l", "A4", "12x", "."])
def test_other_texts_are_no_numbers(text: str) -> None:
    assert not is_number(text)


def test_only_what_is_no_digit_is_replaced_by_the_likeliest_digit() -> None:
    posteriors = make_posteriors({"l": 0.6, "1": 0.3, "7": 0.1}, {"2": 0.9, "3": 0.1})
    number, nats = likeliest_number(posteriors, "l2")
    assert number == "12"
    assert -1 < nats < 0  # the temperature of the beam search softens log(0.3 / 0.6)


def test_features_are_those_of_the_fit() -> None:
    weights = json.loads((resources.files("glyphline.models") / "tables.json").read_text(encoding="utf-8"))["weights"]
    lines = make_table(["1", "!", "2", "x"], 1)
    candidates = number_candidates([0.8] * len(lines), lines, recognize_as(LIKE_A_ONE))
    assert [lines[c.index].text for c in candidates] == ["!", "x"]
    assert {len(c.features) for c in candidates} == {len(weights["number"])}
    assert np.isfinite([c.features for c in candidates]).all()


def test_what_looks_like_a_one_among_quantities_is_a_one() -> None:
    lines = make_table(["1", "2", "!", "1", "3"], 2)
    ((index, (number, probability)),) = numbers_in(lines).items()
    assert (lines[index].text, number) == ("!", "1") and 0.5 <= probability <= 1
    cell = assess_cells([0.8] * len(lines), lines, {index: (number, probability)})[index]
    assert cell.text == cell.words[0].text == "1" and cell.confidence == cell.legibility == probability


@pytest.mark.parametrize(
    ("column", "doubtful", "posteriors"),
    [
        (["a", "b", "!", "c", "b"], 2, LIKE_A_ONE),  # no numbers beside it
        (["!", "2", "1", "1", "3"], 0, LIKE_A_ONE),  # the title
        (["1", "2", "x", "1", "3"], 2, make_posteriors({"x": 0.99, "1": 1e-5})),  # a mark that looks like no digit
        (["1", "2", "-", "1", "3"], 2, make_posteriors({"-": 0.9, "1": 0.1})),  # dashes stand in columns of numbers
    ],
)
def test_other_cells_are_left_as_they_were_read(column: list[str], doubtful: int, posteriors: Posteriors) -> None:
    assert not numbers_in(make_table(column, doubtful), posteriors)


def test_columns_without_numbers_are_not_recognized_again() -> None:
    recognize = Mock(return_value=[])
    assert find_numbers([0.8] * 10, make_table(["a", "b", "!", "c", "b"], 2), recognize) == {}
    recognize.assert_not_called()
