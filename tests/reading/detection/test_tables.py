"""Tables of drawn boxes: their rows and columns, empty cells, cells of several lines, and prose that is no table."""

from __future__ import annotations

import numpy as np
import pytest

from glyphline.reading.detection.reading_order import level_boxes
from glyphline.reading.detection.regions import Region
from glyphline.reading.detection.tables import (
    LevelBox,
    find_tables,
    gutter_features,
    level_rows,
    log_odds_of,
    merge_intervals,
    same_row_features,
    table_candidates,
    table_features,
)

Text = tuple[float, float, float]  # left, top, width


def boxes_of(texts: list[Text], height: float = 20) -> list[LevelBox]:
    regions = [
        Region(np.array([(x, y), (x + w, y), (x + w, y + height), (x, y + height)], np.float64), 0.9)
        for x, y, w in texts
    ]
    return level_boxes(regions)[0]


def grids_of(texts: list[Text], height: float = 20) -> list[list[list[list[int]]]]:
    """The tables among texts: by row and column the numbers of the texts of a cell."""
    boxes = boxes_of(texts, height)
    tables = find_tables(boxes[::-1])
    numbers = {(box.left, box.top): [text[:2] for text in texts].index((box.left, box.top)) for box in boxes}
    return [[[[numbers[box.left, box.top] for box in cell] for cell in row] for row in table.cells] for table in tables]


def prices(rows: int, pitch: float = 30) -> list[Text]:
    """Articles and prices that are aligned right at 500."""
    return [
        text
        for k in range(rows)
        for text in (
            (50.0, 50.0 + pitch * k, 90.0 + 17 * (k % 4)),
            (500.0 - 40 - 9 * (k % 3), 50.0 + pitch * k, 40.0 + 9 * (k % 3)),
        )
    ]


def test_article_and_price_are_one_row() -> None:
    assert grids_of(prices(5)) == [[[[2 * k], [2 * k + 1]] for k in range(5)]]


def test_empty_cells_and_an_empty_column_are_kept() -> None:
    widths = (80.0, 30.0, 60.0)
    texts = [(50.0 + 160 * c, 50.0 + 30 * r, widths[c] + 7 * (r % 3)) for r in range(6) for c in range(3)]
    texts = [text for k, text in enumerate(texts) if k in (0, 1, 2) or k % 3 != 1]  # the second has only a title
    (grid,) = grids_of(texts)
    assert len(grid) == 6 and all(len(row) == 3 for row in grid)
    assert grid[0] == [[0], [1], [2]] and grid[3] == [[7], [], [8]]


def test_title_above_and_prose_below_are_outside() -> None:
    title, foot = (50.0, 0.0, 420.0), [(50.0, 260.0 + 28 * k, 440.0) for k in range(3)]
    (grid,) = grids_of([title, *prices(5), *foot])
    assert sorted(n for row in grid for cell in row for n in cell) == list(range(1, 11))


def test_words_of_a_head_in_the_middle_take_no_row_of_a_receipt() -> None:
    """Wide spaces between monospaced words look like gutters."""
    head: list[Text] = [(137, 18, 106), (120, 37, 141), (119, 56, 39), (165, 56, 41), (211, 56, 60)]
    lefts = (330, 322, 322, 331, 322, 330, 313, 313)
    widths = (88, 89, 116, 145, 145, 62, 52, 42)
    rows = [
        ((17.0, 91.0 + 18.5 * k, w), (x, 91.0 + 18.5 * k, 372.0 - x))
        for k, (x, w) in enumerate(zip(lefts, widths, strict=True))
    ]
    (grid,) = grids_of([*head, *(text for row in rows for text in row)])
    assert grid == [[[5 + 2 * k], [6 + 2 * k]] for k in range(len(rows))]


def test_cell_of_two_lines_is_one_cell() -> None:
    """Each row is as high as its text of two lines; the other cells are centred beside it."""
    texts = [
        text
        for r in range(5)
        for text in (
            (50.0, 60.0 + 80 * r, 60.0 + 9 * (r % 2)),
            (200.0, 48.0 + 80 * r, 180.0 - 20 * (r % 3)),
            (200.0, 72.0 + 80 * r, 90.0 + 9 * r),
            (450.0, 60.0 + 80 * r, 50.0),
        )
    ]
    (grid,) = grids_of(texts, height=26)
    assert [[sorted(cell) for cell in row] for row in grid] == [
        [[4 * r], [4 * r + 1, 4 * r + 2], [4 * r + 3]] for r in range(5)
    ]


def test_tables_with_other_gutters_are_two() -> None:
    """The sums of a receipt do not stand in the columns of its articles."""
    articles = [(50.0 + 110 * c, 50.0 + 30 * r, 60.0 + 5 * (r % 2)) for r in range(4) for c in range(5)]
    sums = [text for k in range(3) for text in ((190.0, 200.0 + 30 * k, 150.0 - 30 * k), (505.0, 200.0 + 30 * k, 50.0))]
    assert [len(grid[0]) for grid in grids_of([*articles, *sums])] == [5, 2]


def test_a_sum_whose_value_begins_before_the_last_column_belongs_to_the_table() -> None:
    """A value with a unit is wider than the amounts above it, and ends where they end."""
    articles = [
        (x, 50.0 + 30 * r, width)
        for r in range(6)
        for x, width in (
            (50.0, 150.0 - 9 * (r % 3)),
            (340.0, 15.0),
            (440.0, 55.0),
            (530.0 + 9 * (r % 2), 70.0 - 9 * (r % 2)),
        )
    ]
    label, value = (50.0, 245.0, 90.0), (470.0, 245.0, 130.0)
    (grid,) = grids_of([*articles, label, value])
    assert len(grid) == 7 and [len(row) for row in grid] == [4] * 7
    assert grid[6][0] == [24] and grid[6][3] == [25]


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_columns_of_prose_are_no_table(columns: int) -> None:
    rng = np.random.default_rng(columns)
    width = 330.0
    texts = [
        (50.0 + (width + 50) * c, 50.0 + 27 * r, width - float(rng.uniform(0, 25)) if r % 7 < 6 else 0.4 * width)
        for c in range(columns)
        for r in range(20)
    ]
    assert grids_of(texts) == []


def test_few_boxes_are_no_table() -> None:
    assert find_tables([]) == [] and grids_of(prices(1)) == []


def test_rows_may_drift() -> None:
    """Paper that is bent: each box of a row is a little lower than the one before."""
    rows = level_rows(boxes_of([(50.0 + 100 * c, 50.0 + 30 * r + 5 * c, 60.0) for r in range(3) for c in range(6)]))
    assert [len(row) for row in rows] == [6, 6, 6]


def test_intervals_are_merged() -> None:
    assert merge_intervals([]) == [] and merge_intervals([(0, 5), (2, 3), (7, 8), (8, 9)]) == [(0, 5), (7, 9)]


def test_every_decision_has_fitted_weights() -> None:
    (block,) = table_candidates(boxes_of(prices(5)))
    for decision, features in (
        ("gutter", gutter_features(block, 0)),
        ("table", table_features(block)),
        ("same_row", same_row_features(block, 0)),
    ):
        assert features[0] == 1.0 and np.isfinite(features).all() and np.isfinite(log_odds_of(decision, features))
