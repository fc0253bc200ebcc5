"""Tables: find blocks of cells on a level page, and give each cell its row and column.

The model is geometric. Boxes that are level make rows. Neighbouring rows make a block as long as the gaps between their
boxes agree. A gap that runs through the rows of a block is a gutter, between two gutters lies a column. Three decisions
weigh evidence, each a logistic regression: whether a gutter separates columns of cells or only words (`gutter`),
whether a block is a table or columns of prose (`table`), and whether two lines belong to one row whose cells have
several lines (`same_row`). `python benchmarks/tables.py --fit` fits them; it states the data. The weights stand in
models/tables.json.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib import resources
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from glyphline.reading.detection.regions import Region
from glyphline.reading.thresholds import THRESHOLDS

#: below 0, because a gutter that is missed spoils every row of a table, while most gaps that are taken for gutters are
#: in numbered lists, which the decision `table` refuses; on the composed pages of benchmarks/tables.py
MIN_GUTTER_LOG_ODDS = -1.0
#: above 0, because cells of several lines are more frequent on the pages of the fit than on receipts and statements
MIN_SAME_ROW_LOG_ODDS = 1.0
Interval = tuple[float, float]  # left, right or top, bottom, px of the levelled page


@dataclass(frozen=True)
class LevelBox:
    """The box of a region after the page is levelled by the slope of its text, px.

    Each side is the mean of the two corners of the region on that side, so the box may be smaller than the region.
    """

    left: float
    top: float
    right: float
    bottom: float
    region: Region
    fragments: tuple[LevelBox, ...] = ()  # its parts between wide blanks, from left to right; empty for one part
    table: TableBlock | None = None  # the table that the box stands for

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """The vertical centre, px."""
        return (self.top + self.bottom) / 2

    @property
    def parts(self) -> tuple[LevelBox, ...]:
        """Its fragments, or the box itself."""
        return self.fragments or (self,)


#: left, right, middle, height, px of the levelled page -> the box of ink between them that no region covers, or None
FindInk = Callable[[float, float, float, float], LevelBox | None]


@dataclass(frozen=True)
class TableBlock:
    """The cells of a table on the levelled page."""

    cells: tuple[tuple[tuple[LevelBox, ...], ...], ...]  # by row and column: the boxes of a cell, () for an empty one
    columns: tuple[Interval, ...]  # left and right edge of the ink of each column, from left to right

    @property
    def boxes(self) -> list[LevelBox]:
        """The boxes of all cells, row by row."""
        return [box for row in self.cells for cell in row for box in cell]


@dataclass
class Block:
    """Neighbouring rows whose gutters agree: a candidate for a table."""

    rows: list[list[LevelBox]]  # from top to bottom; the boxes of a row from left to right
    height: float  # px, the median height of the boxes of the page
    #: of ink, from left to right; no two overlap. Those that all gutters separate, unless they are given
    columns: list[Interval] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.columns:
            inks = [[self.ink(box) for box in row] for row in self.rows]
            self.columns = merge_intervals(without_spanning(inks))

    @property
    def has_columns(self) -> bool:
        """Whether a row has boxes in several columns."""
        return any(len({self.column_of(box) for box in row}) > 1 for row in self.rows if len(row) > 1)

    @cached_property
    def is_barred(self) -> bool:
        """Whether bars (see `detection.bars`) stand between cells of several rows, or between all cells of one row.

        One row is the titles: if a bar of it was missed, its gutter is none with a bar.
        """
        bars = [[box.region.after_bar for box in row[1:]] for row in self.rows]
        return sum(map(any, bars)) > 1 or any(row and all(row) for row in bars)

    def ink(self, box: LevelBox) -> Interval:
        """The horizontal extent of the ink in a box, px: detectors draw boxes larger by a share of their height."""
        margin = min(THRESHOLDS.box_margin * self.height, 0.4 * box.width)
        return box.left + margin, box.right - margin

    def column_of(self, box: LevelBox) -> int:
        """The number of the column that holds the ink of a box of the block."""
        left, right = self.ink(box)
        return max(
            range(len(self.columns)), key=lambda k: min(right, self.columns[k][1]) - max(left, self.columns[k][0])
        )

    @cached_property
    def grid(self) -> list[list[list[LevelBox]]]:
        """The boxes of each row by column."""
        cells: list[list[list[LevelBox]]] = [[[] for _ in self.columns] for _ in self.rows]
        for row, boxes in zip(cells, self.rows, strict=True):
            for box in boxes:
                row[self.column_of(box)].append(box)
        return cells

    def without_gutter(self, k: int) -> Block:
        """The block whose columns k and k + 1 are one."""
        joined = self.columns[k][0], self.columns[k + 1][1]
        return Block(self.rows, self.height, [*self.columns[:k], joined, *self.columns[k + 2 :]])


def merge_intervals(intervals: Sequence[Interval]) -> list[Interval]:
    """The union of intervals as disjoint intervals in rising order.

    >>> merge_intervals([(5, 6), (1, 3), (2, 4)])
    [(1, 4), (5, 6)]
    """
    merged: list[Interval] = []
    for left, right in sorted(intervals):
        if merged and left <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], right)
        else:
            merged.append((left, right))
    return merged


def without_spanning(rows: Sequence[Sequence[Interval]]) -> list[Interval]:
    """The intervals of all rows without those that span several columns: a few lie where most rows have a gap.

    The label of a sum below several columns is such an interval. A gap counts where three rows or more have intervals
    on both of its sides, and at most a third as many rows one that lies across it.

    >>> without_spanning([[(0, 1), (3, 9)]] * 4 + [[(0, 4)]])[-2:]
    [(0, 1), (3, 9)]
    """
    intervals = [interval for row in rows for interval in row]
    if len(rows) < 4 or sum(len(row) > 1 for row in rows) < 3:
        return intervals
    left, right = np.array(intervals).T
    edges = np.unique([left, right])
    # Between two neighbouring edges lies a point; an interval lies across the points first..last - 1
    first, last = np.searchsorted(edges, left), np.searchsorted(edges, right)
    row_of = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    order = np.lexsort((first, row_of))
    offset = row_of[order] * len(edges)  # puts the rows one after the other, so that one pass serves all of them
    reach = np.maximum.accumulate(last[order] + offset) - offset
    before = np.concatenate([[0], reach[:-1] + offset[:-1]]) - offset  # how far the row is covered already
    starts, ends = np.maximum(first[order], before), reach

    def count(starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """The number of ranges start..end - 1 at each point; a range that ends before it starts has none."""
        ends = np.maximum(starts, ends)
        counts = (np.bincount(values, minlength=len(edges)) for values in (starts, ends))
        return np.cumsum(np.subtract(*counts))[:-1]

    firsts = np.concatenate([[0], np.cumsum([len(row) for row in rows])[:-1]])  # of each row; no row is empty
    low, high = np.minimum.reduceat(last, firsts), np.maximum.reduceat(first, firsts)
    low_of, high_of = low[row_of[order]], high[row_of[order]]
    crossed = count(starts, ends)
    gaps = count(low, high) - count(np.maximum(starts, low_of), np.minimum(ends, high_of))
    is_gap = (gaps >= 3) & (crossed > 0) & (3 * crossed <= gaps)
    if not is_gap.any():
        return intervals
    gaps_before = np.concatenate([[0], np.cumsum(is_gap)])
    is_across = gaps_before[last] > gaps_before[first]
    columns = np.array(merge_intervals([*map(tuple, np.stack([left, right], 1)[~is_across].tolist())]))
    overlaps = np.searchsorted(columns[:, 0], right) - np.searchsorted(columns[:, 1], left, side="right")
    spans = is_across & (overlaps > 1)
    return [interval for interval, is_spanning in zip(intervals, spans, strict=True) if not is_spanning]


def mean_width(boxes: Sequence[LevelBox]) -> float:
    """The mean width of boxes, px."""
    return float(np.mean([box.width for box in boxes]))


# ------------------------------------------------------------------------------------------------------ candidates


def level_rows(boxes: Sequence[LevelBox]) -> list[list[LevelBox]]:
    """The boxes in rows from top to bottom, each from left to right.

    A box continues the row whose last box is most level with it. Boxes that overlap by less than half of the lower one
    are not level. Rows may drift up or down across the page.
    """
    rows: list[list[LevelBox]] = []
    for box in sorted(boxes, key=lambda b: b.left):
        level = [row for row in rows if _continues_row(row[-1], box)]
        if level:
            min(level, key=lambda row: abs(row[-1].middle - box.middle)).append(box)
        else:
            rows.append([box])
    return sorted(rows, key=lambda row: float(np.mean([box.middle for box in row])))


def _continues_row(last: LevelBox, box: LevelBox) -> bool:
    lower = min(last.height, box.height)
    overlap = min(last.bottom, box.bottom) - max(last.top, box.top)
    return overlap > THRESHOLDS.same_line_overlap * lower and box.left > last.right - 0.5 * lower


def table_candidates(boxes: Sequence[LevelBox], find_ink: FindInk | None = None) -> list[Block]:
    """Blocks of rows whose gutters agree, from top to bottom. Each has at least two rows of two columns or more.

    boxes: fragments of lines in any order. find_ink: looks for what the detector missed in empty cells.
    """
    if len(boxes) < 4:
        return []
    height = float(np.median([box.height for box in boxes]))
    blocks: list[Block] = []
    block: Block | None = None
    for row in level_rows(boxes):
        # Rows of prose above a table are no part of it: their width would hide its gutters
        begins = (
            block is not None and len(row) > 1 and not block.has_columns and not _is_near(block.rows[-1], row, height)
        )
        extended = None if block is None or begins else _extend(block, row)
        if extended is None:
            if block is not None:
                blocks.append(block)
            block = _begin(block, row, height)
        else:
            block = extended
    if block is not None:
        blocks.append(block)
    trimmed = (_trim(block, with_head=find_ink is not None) for block in blocks)
    filled = [fill_cells(block, find_ink) for block in trimmed if block is not None]
    return [block for block in map(_trim, filled) if block is not None]


def _begin(previous: Block | None, row: list[LevelBox], height: float) -> Block:
    """A new block that begins with a row, or with the row above where that has one box, in a column of the row."""
    if previous is not None and len(previous.rows[-1]) == 1 and len(row) > 1:
        above, both = previous.rows[-1][0], Block([previous.rows[-1], row], height)
        is_close = min(box.top for box in row) - above.bottom < height
        if is_close and len(both.columns) == len(Block([row], height).columns):
            return both
    return Block([row], height)


def _is_near(upper: list[LevelBox], lower: list[LevelBox], height: float) -> bool:
    """Whether two rows overlap, so that they may be lines of cells of one row. height: px, of the lines of the page."""
    distance = float(np.mean([box.middle for box in lower]) - np.mean([box.middle for box in upper]))
    return distance < 0.8 * height


def _extend(block: Block, row: list[LevelBox]) -> Block | None:
    """The block with one more row; None where the row is too far below or its gaps disagree with the gutters."""
    bottom = max(box.bottom for previous in block.rows[-2:] for box in previous)
    if min(box.top for box in row) - bottom > THRESHOLDS.table_max_gap * block.height:
        return None
    is_across = False  # a box of the row lies across a gutter
    hits: dict[int, list[LevelBox]] = {}  # column -> the boxes of the row that it holds
    for box in row:
        left, right = block.ink(box)
        touched = [k for k, column in enumerate(block.columns) if column[0] <= right and left <= column[1]]
        if any(_is_wide_gutter(block, k) for k in touched[:-1]):
            is_across = True
            if not _is_sum(block, row, touched):
                return None
        for k in touched[:1]:
            hits.setdefault(k, []).append(box)
    for members in hits.values():  # two cells of the row lie in one column
        gaps = [b.left - a.right for a, b in pairwise(members)]
        if any(gap > THRESHOLDS.column_gap * block.height for gap in gaps):
            return None
    extended = Block([*block.rows, row], block.height)
    return None if len(extended.columns) < len(block.columns) and is_across else extended


def _is_sum(block: Block, row: list[LevelBox], spanned: list[int]) -> bool:
    """Whether a row below a block is one of its sums, of which a box lies across the columns `spanned`.

    A sum has a label, which may span columns, and a value in the last column. The value may begin before it, as one
    with a unit does, but ends where the column ends. The block has to have four rows, so that its columns are known
    without them.
    """
    last = len(block.columns) - 1
    left, right = block.ink(row[-1])
    start, end = block.columns[last]
    if len(block.rows) < 4 or len(row) < 2 or left > end or right < start:
        return False
    if last in spanned:
        return spanned[0] > 0 and abs(right - end) < 0.5 * block.height
    return left > block.columns[last - 1][1]


def _is_wide_gutter(block: Block, k: int) -> bool:
    """Whether the gap after column k is wide in some row, so that it is more than a gap between words."""
    right, left = block.columns[k][1], block.columns[k + 1][0]
    for row in block.rows:
        before = [box.right for box in row if box.left < right]
        after = [box.left for box in row if box.right > left]
        if before and after and min(after) - max(before) > THRESHOLDS.column_gap * block.height:
            return True
    return False


def _trim(block: Block, with_head: bool = False) -> Block | None:
    """The block without what precedes and follows the table; None without two rows of several columns.

    Rows of one box at its head are titles or prose, unless they overlap the row below: then they are the first line of
    one of its cells. At its foot they belong to the table as long as they are not farther than its rows. with_head:
    they do so at its head too.
    """
    counts = [len({block.column_of(box) for box in row}) for row in block.rows]
    several = [k for k, count in enumerate(counts) if count > 1]
    if len(several) < 2:
        return None
    middles = [float(np.mean([box.middle for box in row])) for row in block.rows]
    usual = float(np.median(np.diff(middles[several[0] : several[-1] + 1])))
    first, last = several[0], several[-1]
    while first and (
        _is_near(block.rows[first - 1], block.rows[first], block.height)
        or (with_head and middles[first] - middles[first - 1] < 1.15 * usual)
    ):
        first -= 1
    while last + 1 < len(middles) and middles[last + 1] - middles[last] < 1.15 * usual:
        last += 1
    return Block(block.rows[first : last + 1], block.height)


# ------------------------------------------------------------------------------------------------- fitted decisions


@lru_cache(maxsize=1)
def _fitted_weights() -> dict[str, list[float]]:
    """Name of a decision -> weights of its features."""
    file = resources.files("glyphline.models") / "tables.json"
    weights: dict[str, list[float]] = json.loads(file.read_text(encoding="utf-8"))["weights"]
    return weights


def log_odds_of(decision: str, features: Sequence[float]) -> float:
    """The log-odds of a fitted decision; above 0 it is more likely than not.

    decision: "gutter", "table", "same_row"; "bar_stroke" or "bar" (see `detection.bars`); "cell", "number" or
    "leading_number" (see `cell_reliability`, `number_cells` and `leading_numbers` in glyphline.reading).
    """
    return sum(w * x for w, x in zip(_fitted_weights()[decision], features, strict=True))


def gutter_features(block: Block, k: int) -> list[float]:
    """The features of the gap after column k of a block.

    1 (the bias); the logs of the width of the gap that is free in all rows, of the one that is free in four fifths of
    them, and of the median gap between the cells beside it, heights; the share of the rows that have cells on both
    sides, and of those that have more than a word gap there; the shares of the rows that have a cell on its left and on
    its right, and the logs of their numbers; the logs of the numbers of rows and of columns; the logs of the mean width
    of the cells on its left and on its right, heights; and how far the cells of the column on its left and on its right
    are from being aligned at their left, their right or their middle, heights.
    All but the bias are repeated, 0 for a block of two columns: in one of more, a narrow column is no list's.
    """
    cells = block.grid
    free = block.columns[k + 1][0] - block.columns[k][1]
    pairs = [(row[k][-1], row[k + 1][0]) for row in cells if row[k] and row[k + 1]]
    gaps = [(b.left - a.right) / block.height for a, b in pairs]
    sides = [[(row[n][0].left, row[n][-1].right) for row in cells if row[n]] for n in (k, k + 1)]
    left, right = (sum(bool(row[n]) for row in cells) / len(cells) for n in (k, k + 1))
    ends, starts = [x1 for _, x1 in sides[0]], [x0 for x0, _ in sides[1]]
    usual = max(free, float(np.quantile(starts, 0.2) - np.quantile(ends, 0.8)))
    median = float(np.median(gaps)) if gaps else 5.0  # the columns are never filled together, so they are two
    wide = sum(gap > THRESHOLDS.column_gap for gap in gaps) / len(cells)
    features = [math.log(0.05 + free / block.height), math.log(0.05 + usual / block.height),
                math.log(0.2 + max(0.0, median)), len(gaps) / len(cells), wide,
                left, right, *(math.log(len(extents)) for extents in sides), math.log(len(cells)),
                math.log(len(block.columns)),
                *(math.log(0.2 + float(np.mean([x1 - x0 for x0, x1 in extents])) / block.height) for extents in sides),
                *(_misalignment(extents) / block.height for extents in sides)]  # fmt: skip
    return [1.0, *features, *(float(len(block.columns) > 2) * x for x in features)]


def _misalignment(extents: Sequence[Interval]) -> float:
    """The median distance of intervals from their median left, right or middle, whichever is the least, px."""
    edges = np.array([(left, right, (left + right) / 2) for left, right in extents])
    return float(np.median(np.abs(edges - np.median(edges, axis=0)), axis=0).min())


def table_features(block: Block) -> list[float]:
    """The features of a block of at least two columns.

    1 (the bias); the logs of the numbers of rows and columns; the share of cells that are filled, and of rows with one
    filled cell; the mean distance of a cell's centre from that of its row, heights; the least and the largest share of
    the cells of a column that fill its width; the logs of the mean width of the narrowest and of the widest column, of
    the narrowest gutter's median gap and of the narrowest gap that is free in all rows, heights; the log of the median
    distance of rows, heights; the mean and the least over the columns of (share that fills the width x log of the
    width): columns of prose are filled and wide; how far the narrowest column is above six heights, as columns of
    prose are, and the first one below three, as that of a list is (logs). All but the bias are repeated, 0 for a block
    of more than two columns: lists, letters and most prose have two.
    """
    cells = block.grid
    height = block.height
    rows, columns = len(cells), len(block.columns)
    filled = [sum(bool(cell) for cell in row) for row in cells]
    offsets = []
    for row in block.rows:
        middle = float(np.median([box.middle for box in row]))
        offsets += [abs(box.middle - middle) / height for box in row if len(row) > 1]
    full, widths = [], []
    for k, (left, right) in enumerate(block.columns):
        extents = [cell[-1].right - cell[0].left for cell in (row[k] for row in cells) if cell]
        inner = (right - left) + 2 * THRESHOLDS.box_margin * height
        full.append(sum(extent > inner - max(height, 0.15 * inner) for extent in extents) / len(extents))
        widths.append(math.log(float(np.mean(extents)) / height + 0.2))
    gaps = [
        float(np.median([row[k + 1][0].left - row[k][-1].right for row in cells if row[k] and row[k + 1]] or [height]))
        for k in range(columns - 1)
    ]
    free = min(b[0] - a[1] for a, b in pairwise(block.columns))
    middles = [float(np.mean([box.middle for box in row])) for row in block.rows]
    distance = float(np.median(np.diff(middles))) / height
    prose = [share * max(0.0, width) for share, width in zip(full, widths, strict=True)]
    features = [math.log(rows), math.log(columns), sum(filled) / rows / columns,
                sum(count == 1 for count in filled) / rows, float(np.mean(offsets)) if offsets else 0.0,
                min(full), max(full), min(widths), max(widths),
                math.log(max(0.1, min(gaps) / height)), math.log(max(0.1, free / height)),
                math.log(max(0.3, distance)), float(np.mean(prose)), min(prose),
                max(0.0, min(widths) - math.log(6)), max(0.0, math.log(3) - widths[0])]  # fmt: skip
    return [1.0, *features, *(float(columns == 2) * x for x in features)]


def same_row_features(block: Block, k: int) -> list[float]:
    """The features of line k of a block of one line or more a row, and the line below it.

    1 (the bias); the distance of the two, heights; the same as a multiple of the larger distance to the lines around,
    of the median distance, and of the least distance of two lines that are both mostly filled, so two rows; whether a
    column is filled in both; whether the first column is; the shares of columns that are filled in the one with fewer
    and in the one with more of them; and the columns filled in both as a share of those filled in one: a continued cell
    stands alone; where the distance is between the least and the largest of the block, 0..1, and the log of the ratio
    of these two: lines of a cell are closer than rows; the share of columns that are filled only in the lower line;
    and the largest blank beside the upper line in a column filled in both, heights up to 5: a cell is continued where
    its line is full.
    """
    cells = block.grid
    middles = [float(np.mean([box.middle for box in row])) for row in block.rows]
    distances = np.diff(middles)
    around = [distances[n] for n in (k - 1, k + 1) if 0 <= n < len(distances)]
    upper, lower = ([bool(cell) for cell in cells[n]] for n in (k, k + 1))
    shares = sorted(sum(row) / len(row) for row in (upper, lower))
    distance = float(distances[k])
    full = [sum(map(bool, row)) >= max(2.0, 0.6 * len(row)) for row in cells]
    low, high = float(np.min(distances)), float(np.max(distances))
    blanks = [
        (right - left - (cells[k][c][-1].right - cells[k][c][0].left)) / block.height
        for c, (left, right) in enumerate(block.columns)
        if upper[c] and lower[c]
    ]
    of_rows = float(
        min((d for d, pair in zip(distances, pairwise(full), strict=True) if all(pair)), default=np.max(distances))
    )
    return [1.0, min(3.0, distance / block.height), min(3.0, distance / max(1.0, max(around, default=distance))),
            min(3.0, distance / max(1.0, float(np.median(distances)))), min(3.0, distance / max(1.0, of_rows)),
            float(any(a and b for a, b in zip(upper, lower, strict=True))), float(upper[0] and lower[0]), *shares,
            sum(a and b for a, b in zip(upper, lower, strict=True)) / sum(map(max, upper, lower)),
            (distance - low) / (high - low + 0.1 * block.height), math.log(max(1.0, high) / max(1.0, low)),
            sum(b and not a for a, b in zip(upper, lower, strict=True)) / len(upper),
            min(5.0, max(0.0, *blanks, 0.0))]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ tables


def find_tables(boxes: Sequence[LevelBox], find_ink: FindInk | None = None) -> list[TableBlock]:
    """The tables among the boxes of a page or of one of its columns, from top to bottom.

    boxes: fragments of lines in any order. find_ink: looks for what the detector missed in empty cells. A table has at
    least two rows and two columns.
    """
    rows, taken = level_rows(boxes), set[int]()
    tables = []
    for candidate in reversed(table_candidates(boxes, find_ink)):  # a table takes the rows above that continue it
        left_over = _without(candidate, taken)
        block = None if left_over is None else table_of(left_over)
        if left_over is not None and block is not None:
            members = {id(box) for row in left_over.rows for box in row}
            first = next(k for k, row in enumerate(rows) if any(id(box) in members for box in row))
            block = _add_rows_above(left_over, block, rows[:first])
            taken |= {id(box) for row in block.rows for box in row}
            tables.append(TableBlock(join_rows(block), tuple(block.columns)))
    return tables[::-1]


def _without(candidate: Block, taken: set[int]) -> Block | None:
    """The candidate without the rows that have a box in `taken`, a set of ids; None where no candidate is left."""
    rows = [row for row in candidate.rows if not any(id(box) in taken for box in row)]
    return candidate if len(rows) == len(candidate.rows) else _trim(Block(rows, candidate.height)) if rows else None


def table_of(candidate: Block) -> Block | None:
    """The candidate with its columns separated; None where it is no table."""
    block = separate_columns(candidate)
    if len(block.columns) < 2:
        return None
    return block if block.is_barred or log_odds_of("table", table_features(block)) > 0 else None


def _add_rows_above(candidate: Block, block: Block, above: Sequence[list[LevelBox]]) -> Block:
    """The table with the rows above it that continue its columns.

    The head of a receipt may be taken for a block of its own, and the first articles with it. candidate: the table
    before its columns were separated. block: the table. above: the rows above it, from the top.
    """
    for row in reversed(above):
        middles = [float(np.mean([box.middle for box in members])) for members in (row, *candidate.rows)]
        distances = np.diff(middles)
        if len(row) < 2 or _extend(candidate, row) is None or distances[0] > 1.15 * float(np.median(distances[1:])):
            break
        candidate = Block([row, *candidate.rows], candidate.height)
        extended = table_of(candidate)
        if extended is None or len({extended.column_of(box) for box in row}) < 2:
            break
        block = extended
    return block


def fill_cells(block: Block, find_ink: FindInk | None) -> Block:
    """The block with boxes for the ink in its empty cells."""
    if find_ink is None:
        return block
    rows = []
    for row, cells in zip(block.rows, block.grid, strict=True):
        added = []
        for k in range(len(cells)):
            left, right = cell_extent(block.columns, k, block.height)
            left = max([left, *(box.right for box in row if box.left < block.columns[k][0])])
            right = min([right, *(box.left for box in row if box.right > block.columns[k][1])])
            if not cells[k] and right - left > 0.3 * block.height:
                nearest = min(row, key=lambda box: abs(box.left + box.right - left - right))
                added.append(find_ink(left, right, nearest.middle, block.height))
        rows.append(sorted([*row, *filter(None, added)], key=lambda box: box.left))
    return Block(rows, block.height)


def cell_extent(columns: Sequence[Interval], k: int, height: float) -> Interval:
    """Where column k begins and ends: its ink, widened into the gutters beside it. height: px, of the boxes."""
    left, right = columns[k]
    before = columns[k - 1][1] if k else left - height
    after = columns[k + 1][0] if k + 1 < len(columns) else right + height
    return left - min(0.7 * height, 0.5 * (left - before)), right + min(0.7 * height, 0.5 * (after - right))


def separate_columns(block: Block) -> Block:
    """The block without the gutters that separate only words: the columns beside them become one.

    The least likely gutter goes first, because a column of one stray word hides the gutter beside it. In a barred block
    the gutters with bars are those that separate cells.
    """
    while len(block.columns) > 1:
        odds = [
            math.inf if _has_bar(block, k)
            else -math.inf if block.is_barred
            else log_odds_of("gutter", gutter_features(block, k))
            for k in range(len(block.columns) - 1)
        ]  # fmt: skip
        k = min(range(len(odds)), key=odds.__getitem__)
        if odds[k] > MIN_GUTTER_LOG_ODDS:
            break
        block = block.without_gutter(k)
    return block


def _has_bar(block: Block, k: int) -> bool:
    """Whether a bar stands in the gutter after column k, in some row."""
    return any(row[k + 1] and row[k + 1][0].region.after_bar for row in block.grid)


def join_rows(block: Block) -> tuple[tuple[tuple[LevelBox, ...], ...], ...]:
    """The cells of a block by row and column. Lines of one row are joined: its cells then have several lines."""
    cells = block.grid
    rows = cells[:1]
    for k, lower in enumerate(cells[1:]):
        if log_odds_of("same_row", same_row_features(block, k)) > MIN_SAME_ROW_LOG_ODDS:
            rows[-1] = [a + b for a, b in zip(rows[-1], lower, strict=True)]
        else:
            rows.append(lower)
    return tuple(tuple(tuple(cell) for cell in row) for row in rows)


# --------------------------------------------------------------------------------------------- blocks without tables


def is_table(left: list[LevelBox], right: list[LevelBox], max_cell_width: float) -> bool:
    """Whether the boxes on both sides of a gap are cells of one table, not two columns of prose.

    left, right: at least one box each. max_cell_width: px. The mean width of the boxes of one side must be at most
    this. Of the side with fewer boxes, at least the share `level_cells` must have a box beside it on the same level.
    """
    fewer, others = sorted((left, right), key=len)
    if min(mean_width(fewer), mean_width(others)) > max_cell_width:
        return False
    middles, heights = np.array([(box.middle, box.height) for box in fewer]).T
    offsets = np.abs(middles[:, None] - [box.middle for box in others]).min(axis=1)
    is_level = offsets < (1 - THRESHOLDS.same_line_overlap) * heights
    return float(np.mean(is_level)) >= THRESHOLDS.level_cells


def order_rows(boxes: list[LevelBox]) -> list[LevelBox]:
    """The boxes row by row from top to bottom, each row from left to right.

    Boxes share a row where they are level and none is above another: a cell of two lines makes two rows.
    """
    rows: list[list[LevelBox]] = []
    for box in sorted(boxes, key=lambda b: b.middle):
        if rows and _belongs_to_row(rows[-1], box):
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row, key=lambda b: b.left)]


def _belongs_to_row(row: list[LevelBox], box: LevelBox) -> bool:
    offset = abs(box.middle - np.mean([b.middle for b in row]))
    is_level = offset < THRESHOLDS.same_line_overlap * min(box.height, row[0].height)
    return bool(is_level and all(box.left >= b.right - b.height or b.left >= box.right - b.height for b in row))
