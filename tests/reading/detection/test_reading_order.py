"""Reading order of drawn pages: joined lines, columns, tables, paragraphs."""

from __future__ import annotations

import math
import random
import time

import numpy as np
import pytest

from glyphline.reading.detection.reading_order import OrderedRegion, order_regions, text_slope
from glyphline.reading.detection.regions import Region, order_corners


def region(left: float, top: float, width: float, height: float = 20) -> Region:
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    return Region(np.array(corners, np.float64), 0.9)


def rotate(regions: list[Region], degrees: float) -> list[Region]:
    """The regions of a page that is rotated about its corner."""
    a = math.radians(degrees)
    rotation = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
    return [Region(region.corners @ rotation, region.confidence) for region in regions]


def order_of(regions: list[Region], degrees: float = 0.0) -> list[int]:
    """The index of the region that each line begins with. The regions are shuffled first."""
    rotated = rotate(regions, degrees)
    shuffled = rotated[:]
    random.Random(len(regions)).shuffle(shuffled)
    return [
        next(k for k, r in enumerate(rotated) if np.allclose(r.corners[0], ordered.region.corners[0], atol=2))
        for ordered in order_regions(shuffled)
    ]


COLUMN = [region(50, 100 + 30 * k, 300) for k in range(6)]
SECOND_COLUMN = [region(400, 100 + 30 * k, 300) for k in range(6)]
TITLE, FOOT = region(60, 40, 620, 34), region(60, 320, 620)


@pytest.mark.parametrize("degrees", [0, 3, -8, 15])
@pytest.mark.parametrize(
    "page",
    [
        COLUMN,
        [*COLUMN, *SECOND_COLUMN],
        [TITLE, *COLUMN, *SECOND_COLUMN],
        [TITLE, *COLUMN, *SECOND_COLUMN, FOOT],
        [*COLUMN, *SECOND_COLUMN, *[region(750, 100 + 30 * k, 300) for k in range(6)]],
        [region(50, 40 + 30 * k, 250 + 30 * (k % 3)) for k in range(4)],
    ],
    ids=["one column", "two columns", "title", "title and foot", "three columns", "ragged"],
)
def test_columns_are_read_in_order(page: list[Region], degrees: float) -> None:
    assert order_of(page, degrees) == list(range(len(page)))


def test_form_is_read_row_by_row() -> None:
    """Labels and the entries beside them are not columns."""
    form = [field for k in range(5) for field in (region(50, 50 + 40 * k, 60), region(250, 52 + 40 * k, 70 + 9 * k))]
    assert order_of(form) == list(range(10))


@pytest.mark.parametrize("degrees", [0, 4, -9])
def test_table_is_read_row_by_row_and_lists_column_by_column(degrees: float) -> None:
    """The cells of a table are level. Two lists whose lines are not level are columns."""
    table = [region(50 + 250 * column, 50 + 45 * row, 120 + 9 * row) for row in range(5) for column in range(3)]
    assert order_of(table, degrees) == list(range(15))
    columns = [region(50 + 250 * column, 50 + 30 * row, 205) for column in range(3) for row in range(8)]
    assert order_of(columns, degrees) == list(range(24))  # a newspaper: its lines are level, but the gaps are narrow
    lists = [*(region(50, 50 + 40 * k, 150) for k in range(5)), *(region(300, 70 + 34 * k, 150) for k in range(5))]
    assert order_of(lists, degrees) == list(range(10))


def test_table_with_empty_cells_is_read_row_by_row() -> None:
    cells = [(row, column) for row in range(10) for column in range(2) if (row, column) not in ((4, 0), (5, 1))]
    title = region(60, 10, 500, 30)
    assert order_of([title, *(region(50 + 400 * c, 70 + 40 * r, 150) for r, c in cells)]) == list(range(19))


def test_long_table_is_ordered_quickly() -> None:
    table = [region(50 + 250 * c, 50 + 30 * r, 100) for r in range(150) for c in range(5)]
    started = time.perf_counter()
    lines = order_regions(table[::-1])
    assert time.perf_counter() - started < 5
    assert [line.region.corners[0].tolist() for line in lines] == [cell.corners[0].tolist() for cell in table]


def test_cell_of_two_lines_is_read_from_its_first_line() -> None:
    cells = [
        region(50, 50, 60),
        region(200, 43, 200),
        region(500, 50, 90),
        region(200, 57, 90),
    ]  # the last is below the second
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
    lines = order_regions(rotate(words, degrees))
    assert len(lines) == 2
    assert [round(float(np.linalg.norm(line.region.corners[1] - line.region.corners[0])), -1) for line in lines] == [
        240,
        100,
    ]


def test_distant_or_differently_sized_regions_are_not_joined() -> None:
    assert len(order_regions([region(50, 50, 80), region(180, 50, 80)])) == 2
    assert len(order_regions([region(50, 50, 80, 20), region(140, 40, 80, 60)])) == 2
    assert len(order_regions([region(50, 50, 80), region(140, 66, 80)])) == 2


def test_region_inside_another_is_dropped() -> None:
    assert len(order_regions([region(50, 50, 200), region(60, 52, 50, 15)])) == 1


def paragraph_numbers(lines: list[OrderedRegion]) -> list[int]:
    return [line.paragraph for line in lines]


def test_paragraph_starts_after_a_gap_with_an_indent_or_in_another_size() -> None:
    assert paragraph_numbers(order_regions([region(50, y, 300) for y in (50, 80, 110, 180, 210)])) == [0, 0, 0, 1, 1]
    indented = [region(50 + 40 * (k in (0, 3)), 50 + 30 * k, 300 - 40 * (k in (0, 3))) for k in range(6)]
    assert paragraph_numbers(order_regions(indented)) == [0, 0, 0, 1, 1, 1]
    assert paragraph_numbers(order_regions([region(50, 40, 300, 45), region(50, 90, 300), region(50, 120, 300)])) == [
        0,
        1,
        1,
    ]


def test_page_without_regions_has_no_lines() -> None:
    assert order_regions([]) == [] and text_slope([]) == 0.0


@pytest.mark.parametrize("degrees", [0, 20, -30, 44])
def test_first_corner_is_the_upper_left_of_the_text(degrees: float) -> None:
    (expected,) = rotate([region(100, 100, 80)], degrees)
    for start in range(4):
        assert np.allclose(order_corners(np.roll(expected.corners, start, 0)), expected.corners)
        assert np.allclose(order_corners(np.roll(expected.corners[::-1], start, 0)), expected.corners)


def test_close_columns_are_not_joined_by_a_long_line() -> None:
    """One line of the left column reaches nearly to the right column, whose lines are aligned."""
    left = [region(100, 100 + 30 * k, 300 + 75 * (k == 2)) for k in range(5)]
    right = [region(400 + 75 + 25, 100 + 30 * k, 300) for k in range(5)]
    assert order_of([*left, *right]) == list(range(10))
    pair = [left[2], right[2]]  # without the other lines, the same two regions are one line
    assert len(order_regions(pair)) == 1
