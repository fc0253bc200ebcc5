"""Reading order: lines joined of their parts, columns kept apart, paragraphs told; scored on made pages."""

from __future__ import annotations

import math
import random
import time

import numpy as np
import pytest

from glyphline.reading.detection.detectors import Region, order_corners
from glyphline.reading.detection.reading_order import OrderedRegion, order_regions, slope_of


def region(left: float, top: float, width: float, height: float = 20) -> Region:
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    return Region(np.array(corners, np.float64), 0.9)


def turned(regions: list[Region], degrees: float) -> list[Region]:
    """The page turned about its corner."""
    a = math.radians(degrees)
    turn = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
    return [Region(p.corners @ turn, p.confidence) for p in regions]


def order_of(regions: list[Region], degrees: float = 0.0) -> list[int]:
    """The number of the piece that each line begins with, whatever order they are found in."""
    wanted = turned(regions, degrees)
    random_uint64 = wanted[:]
    random.Random(len(regions)).shuffle(random_uint64)
    return [
        next(k for k, p in enumerate(wanted) if np.allclose(p.corners[0], o.region.corners[0], atol=2))
        for o in order_regions(random_uint64)
    ]


COLUMN = [region(50, 100 + 30 * k, 300) for k in range(6)]
BESIDE = [region(400, 100 + 30 * k, 300) for k in range(6)]
TITLE, FOOT = region(60, 40, 620, 34), region(60, 320, 620)


@pytest.mark.parametrize("degrees", [0, 3, -8, 15])
@pytest.mark.parametrize(
    "page",
    [
        COLUMN,
        [*COLUMN, *BESIDE],
        [TITLE, *COLUMN, *BESIDE],
        [TITLE, *COLUMN, *BESIDE, FOOT],
        [*COLUMN, *BESIDE, *[region(750, 100 + 30 * k, 300) for k in range(6)]],
        [region(50, 40 + 30 * k, 250 + 30 * (k % 3)) for k in range(4)],
    ],
    ids=["one column", "two columns", "title", "title and foot", "three columns", "ragged"],
)
def test_lines_come_in_reading_order(page: list[Region], degrees: float) -> None:
    assert order_of(page, degrees) == list(range(len(page)))


def test_a_form_is_read_row_by_row() -> None:
    """Labels and what was filled in beside them are no columns."""
    form = [p for k in range(5) for p in (region(50, 50 + 40 * k, 60), region(250, 52 + 40 * k, 70 + 9 * k))]
    assert order_of(form) == list(range(10))


@pytest.mark.parametrize("degrees", [0, 4, -9])
def test_a_table_is_read_row_by_row_and_lists_beside_one_another_are_not(degrees: float) -> None:
    """Cells stand level; of two columns of short lines that do not, the first is read first."""
    table = [region(50 + 250 * column, 50 + 45 * row, 120 + 9 * row) for row in range(5) for column in range(3)]
    assert order_of(table, degrees) == list(range(15))
    columns = [region(50 + 250 * column, 50 + 30 * row, 205) for column in range(3) for row in range(8)]
    assert order_of(columns, degrees) == list(range(24))  # of a newspaper: level too, but they stand close
    lists = [*(region(50, 50 + 40 * k, 150) for k in range(5)), *(region(300, 70 + 34 * k, 150) for k in range(5))]
    assert order_of(lists, degrees) == list(range(10))


def test_a_table_with_gaps_is_read_row_by_row_too() -> None:
    full = [(row, column) for row in range(10) for column in range(2) if (row, column) not in ((4, 0), (5, 1))]
    title = region(60, 10, 500, 30)
    assert order_of([title, *(region(50 + 400 * c, 70 + 40 * r, 150) for r, c in full)]) == list(range(19))


def test_long_tables_are_put_in_order_at_once() -> None:
    table = [region(50 + 250 * c, 50 + 30 * r, 100) for r in range(150) for c in range(5)]
    started = time.perf_counter()
    lines = order_regions(table[::-1])
    assert time.perf_counter() - started < 5
    assert [line.region.corners[0].tolist() for line in lines] == [p.corners[0].tolist() for p in table]


def test_a_cell_of_two_lines_is_read_from_its_first() -> None:
    cells = [
        region(50, 50, 60),
        region(200, 43, 200),
        region(500, 50, 90),
        region(200, 57, 90),
    ]  # the last under the second
    assert order_of(cells) == [0, 1, 2, 3]


@pytest.mark.parametrize("degrees", [0, 5, -12])
def test_words_of_one_line_are_joined(degrees: float) -> None:
    words = [
        region(50, 50, 80),
        region(145, 52, 40, 18),
        region(200, 48, 90, 24),
        region(50, 90, 60),
        region(122, 90, 30),
    ]
    lines = order_regions(turned(words, degrees))
    assert len(lines) == 2
    assert [round(float(np.linalg.norm(o.region.corners[1] - o.region.corners[0])), -1) for o in lines] == [240, 100]


def test_what_is_far_apart_or_of_another_size_is_not_joined() -> None:
    assert len(order_regions([region(50, 50, 80), region(180, 50, 80)])) == 2
    assert len(order_regions([region(50, 50, 80, 20), region(140, 40, 80, 60)])) == 2
    assert len(order_regions([region(50, 50, 80), region(140, 66, 80)])) == 2


def test_a_piece_inside_another_is_dropped() -> None:
    assert len(order_regions([region(50, 50, 200), region(60, 52, 50, 15)])) == 1


def paragraphs(lines: list[OrderedRegion]) -> list[int]:
    return [line.paragraph for line in lines]


def test_paragraphs_begin_after_a_gap_indented_or_in_another_size() -> None:
    assert paragraphs(order_regions([region(50, y, 300) for y in (50, 80, 110, 180, 210)])) == [0, 0, 0, 1, 1]
    indented = [region(50 + 40 * (k in (0, 3)), 50 + 30 * k, 300 - 40 * (k in (0, 3))) for k in range(6)]
    assert paragraphs(order_regions(indented)) == [0, 0, 0, 1, 1, 1]
    assert paragraphs(order_regions([region(50, 40, 300, 45), region(50, 90, 300), region(50, 120, 300)])) == [0, 1, 1]


def test_an_empty_page_has_no_lines() -> None:
    assert order_regions([]) == [] and slope_of([]) == 0.0


@pytest.mark.parametrize("degrees", [0, 20, -30, 44])
def test_corners_begin_at_the_upper_left_of_the_text(degrees: float) -> None:
    (wanted,) = turned([region(100, 100, 80)], degrees)
    for start in range(4):
        assert np.allclose(order_corners(np.roll(wanted.corners, start, 0)), wanted.corners)
        assert np.allclose(order_corners(np.roll(wanted.corners[::-1], start, 0)), wanted.corners)


def test_columns_that_stand_close_are_not_joined_where_a_line_is_long() -> None:
    """One row of the left column reaches nearly to the right one, whose lines begin under one another."""
    left = [region(100, 100 + 30 * k, 300 + 75 * (k == 2)) for k in range(5)]
    right = [region(400 + 75 + 25, 100 + 30 * k, 300) for k in range(5)]
    assert order_of([*left, *right]) == list(range(10))
    few = [left[2], right[2]]  # alone, the same two are one line
    assert len(order_regions(few)) == 1
