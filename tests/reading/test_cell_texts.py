"""Units of numbers in columns of their own, and leaders that were read as text."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

import pytest

from glyphline.page import Cell, Character, Line
from glyphline.reading.cell_texts import join_units, remove_leaders

HEIGHT = 20.0


def cell(text: str, row: int, column: int, left: float, table: int = 0) -> Line:
    right, top = left + 10 * len(text), 30.0 * row
    corners = ((left, top), (right, top), (right, top + HEIGHT), (left, top + HEIGHT))
    return Line(text, 0.9, corners, "photo", cell=Cell(table, row, column))


def join(lines: list[Line]) -> Line:
    return replace(lines[0], text=" ".join(line.text for line in lines), confidence=mean(li.confidence for li in lines))


def receipt(units: list[str], gap: float = 10.0, numbers: list[str] | None = None) -> list[Line]:
    rows = []
    for row, unit in enumerate(units):
        number = (numbers or ["4,94"] * len(units))[row]
        rows += [cell("Tea", row, 0, 0), cell(number, row, 1, 200)]
        rows += [cell(unit, row, 2, 200 + 10 * len(number) + gap)] if unit else []
    return rows


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in join_units(lines, join)]


def test_a_unit_is_joined_to_the_number_before_it() -> None:
    assert texts(receipt(["EUR", "EUR"])) == ["Tea", "4,94 EUR", "Tea", "4,94 EUR"]


def test_a_row_without_unit_keeps_its_number() -> None:
    assert texts(receipt(["EUR", "", "EUR"]))[2:4] == ["Tea", "4,94"]


@pytest.mark.parametrize(
    "lines",
    [
        receipt(["EUR"]),  # one cell is no column
        receipt(["EUR", "USD"]),  # the words differ: the column says something
        receipt(["-", "-"]),  # an empty value
        receipt(["--", "--"]),
        receipt(["12", "12"]),
        receipt(["EUR", "EUR"], gap=25.0),  # farther than a blank
        receipt(["EUR", "EUR"], numbers=["4,94", "none"]),  # a word before it
        receipt(["pieces", "pieces"]),  # longer than a unit
        [cell("4,94", 0, 1, 0), cell("EUR", 0, 0, 50, table=1), cell("EUR", 1, 0, 50, table=1)],  # of another table
    ],
)
def test_other_columns_stay(lines: list[Line]) -> None:
    assert join_units(lines, join) == lines


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Winter..... ....", "Winter"),
        ("…… 138", "138"),
        (". . . . . 12", "12"),
        ("Winter ····", "Winter"),
        ("Loading...", "Loading..."),  # an ellipsis
        ("and so on…", "and so on…"),
        ("......", "......"),  # a cell of dots alone stays
        ("v1.2.3.4", "v1.2.3.4"),
    ],
)
def test_leaders_are_removed(text: str, kept: str) -> None:
    characters = tuple(Character(c, 0.9, 10.0 * k, 10.0 * k + 9) for k, c in enumerate(text))
    line = remove_leaders(replace(cell(text, 0, 0, 0), characters=characters))
    assert line.text == kept == "".join(c.text for c in line.characters)
    assert remove_leaders(replace(line, text="Winter.....", cell=None)).text == "Winter....."  # prose stays
