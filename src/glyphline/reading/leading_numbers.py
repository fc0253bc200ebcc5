"""Numbers before the texts of a table: quantities, numbers of rows, dates and codes in a narrow column of their own.

The gap after such a number is often hardly wider than between words, so geometry alone (`detection.tables`) takes
number and text for one cell. After reading, the texts tell more: most cells of the column begin with a number, the gaps
after it are wider than those between words, and the texts behind are aligned. A logistic regression weighs this
(`leading_number` in models/tables.json). `python benchmarks/tables.py --fit` fits it and states the data.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import mean, median

import numpy as np
import numpy.typing as npt

from glyphline.imaging.documents import ColourImage
from glyphline.page import Line
from glyphline.reading.detection.cell_ink import blanks_of, slice_corners
from glyphline.reading.detection.reading_order import OrderedRegion
from glyphline.reading.detection.regions import Region
from glyphline.reading.detection.tables import log_odds_of
from glyphline.reading.thresholds import THRESHOLDS

MIN_CELLS = 2  # of a column that begin with a number
MIN_SHARE = 0.25  # of the lines of a column
MAX_COLUMNS = 3  # of numbers before one text
WIDER = 0.35  # the log of how much wider than between words a gap is that certainly is no gap between words
USUAL_WORD_GAP = 0.25  # heights, where a table has no cell of two words
_NUMBER = re.compile(r"((?=\S*\d)\S{1,12}|[-–—]) (?=\S)")  # or a dash in its place


@dataclass(frozen=True)
class ReadRegion:
    """A region of a page and what was read in it."""

    ordered: OrderedRegion
    crop: ColourImage  # (H, W, 3) uint8, of the region
    line: Line  # of the crop, positions in px of the crop

    @property
    def region(self) -> Region:
        """The region itself."""
        return self.ordered.region

    def point(self, x: float) -> npt.NDArray[np.float64]:
        """The point (2,) px of the page in the middle of the height of the region, at column x of the crop."""
        upper_left, upper_right, lower_right, lower_left = self.region.corners
        left, right = (upper_left + lower_left) / 2, (upper_right + lower_right) / 2
        return np.asarray(left + x / self.crop.shape[1] * (right - left), np.float64)

    def position(self, x: float, direction: npt.NDArray[np.float64]) -> float:
        """Where a column of the crop is on the page, px along a direction (2,)."""
        return float(self.point(x) @ direction)


@dataclass(frozen=True)
class Blank:
    """A blank in the ink of a line at one of its spaces."""

    space: int  # the index of the space in the text of the line
    start: float  # where the ink before it ends, px of the crop
    end: float  # where the ink after it begins, px of the crop

    def width(self, read: ReadRegion) -> float:
        """Its width on the page, px."""
        return float((self.end - self.start) / read.crop.shape[1] * read.region.size[0])


@dataclass(frozen=True)
class NumberedColumn:
    """A column of a table of which most cells begin with a number: a candidate for two columns."""

    table: int
    column: int
    blanks: dict[int, Blank]  # number of a region of the page -> the blank after its number
    direction: npt.NDArray[np.float64]  # (2,), unit vector of the direction of the text
    gutter: tuple[float, float]  # from the numbers to the texts, px along the direction
    features: list[float]


def word_blanks(read: ReadRegion) -> list[Blank]:
    """The blanks in the ink of a line at its spaces. A space where the ink has none is left out.

    The recognizer knows the place of a character roughly, so the blank at a space is the widest one between the middles
    of the characters beside it.
    """
    line = read.line
    if len(line.characters) != len(line.text) or " " not in line.text:
        return []
    runs = blanks_of(read.crop)
    blanks = []
    for k in range(1, len(line.text) - 1):
        if line.text[k] == " ":
            before, after = ((c.left + c.right) / 2 for c in (line.characters[k - 1], line.characters[k + 1]))
            between = [(start, end) for start, end in runs if start < after and end > before]
            if between:
                blanks.append(Blank(k, *max(between, key=lambda run: run[1] - run[0])))
    return blanks


def numbered_columns(page: Sequence[ReadRegion]) -> list[NumberedColumn]:
    """The columns of the tables of a page of which two cells or more begin with a number and go on with text."""
    tables: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for k, read in enumerate(page):
        if read.line.cell is not None and read.line.text and read.region.curve is None:
            tables[read.line.cell.table][read.line.cell.column].append(k)
    found = []
    for table, columns in tables.items():
        inside = [k for members in columns.values() for k in members]
        blanks: dict[int, list[Blank]] | None = None
        for column, members in columns.items():
            numbered = [k for k in members if _NUMBER.match(page[k].line.text)]
            if len(numbered) < max(MIN_CELLS, MIN_SHARE * len(members)):
                continue
            if blanks is None:
                blanks = {k: word_blanks(page[k]) for k in inside}
            after = {k: b[0] for k in numbered if (b := blanks[k]) and b[0].space == page[k].line.text.index(" ")}
            if len(after) < MIN_CELLS:
                continue
            corners = np.array([page[k].region.corners for k in inside], np.float64)
            direction = (corners[:, 1] - corners[:, 0]).sum(0)
            direction /= max(1e-9, float(np.hypot(*direction)))
            gutter, features = _features(page, column, columns, blanks, after, direction)
            found.append(NumberedColumn(table, column, after, direction, gutter, features))
    return found


def _features(
    page: Sequence[ReadRegion], column: int, columns: dict[int, list[int]], blanks: dict[int, list[Blank]],
    after: dict[int, Blank], direction: npt.NDArray[np.float64],
) -> tuple[tuple[float, float], list[float]]:  # fmt: skip
    """The gutter between the numbers and the texts of a column, and the features of the decision.

    1 (the bias); the log of the number of cells that begin with a number, and their share of the lines of the column;
    the logs of the median gap after the number, heights, of its ratio to the median gap between the other words of the
    table, and of the ratio of the least gap after a number to the greatest between other words of the column; how far
    the log of the first ratio is below WIDER; whether the table has other words of which two are in a cell, and, 0
    where it has none, how far that log is below and above WIDER; how far the texts are from being aligned at their
    left, and the numbers at their left, right or middle, heights; whether it is the first column; the log of the number
    of columns; the shares of the numbers that have at most three digits and nothing else, that follow the one above by
    one, and that have the digits, letters and signs of the most frequent form; the log of their mean length,
    characters; the shares of the texts that begin with a digit, that begin with an x, and that are one word without a
    digit; the number of different texts as a share of all; and the log of their mean length, characters.
    """
    members = columns[column]
    height = median(page[k].region.size[1] for k in members)

    def gaps(group: Sequence[int]) -> list[float]:
        return [b.width(page[k]) / height for k in group for b in blanks[k] if b is not after.get(k)]

    widths = [blank.width(page[k]) / height for k, blank in after.items()]
    of_table, of_column = gaps([k for group in columns.values() for k in group]), gaps(members)
    usual = median(of_table) if of_table else USUAL_WORD_GAP
    widest = max(of_column) if of_column else usual
    lefts, ends, starts = np.array(
        [
            [page[k].position(x, direction) for x in (page[k].line.characters[0].left, blank.start, blank.end)]
            for k, blank in after.items()
        ]
    ).T
    numbers = [match[1] for k in after if (match := _NUMBER.match(page[k].line.text))]
    texts = [page[k].line.text[blank.space + 1 :] for k, blank in after.items()]
    counts = [int(number) if re.fullmatch(r"\d{1,3}", number) else -1 for number in numbers]
    forms = Counter(re.sub(r"[^\W\d]", "a", re.sub(r"\d", "0", number)) for number in numbers)
    ratio = math.log((0.05 + median(widths)) / (0.05 + usual))
    has_words, below, above = float(bool(of_table)), 10 * max(0.0, WIDER - ratio), max(0.0, ratio - WIDER)
    features = [1.0, math.log(len(after)), len(after) / len(members), math.log(0.05 + median(widths)), ratio,
                math.log((0.05 + min(widths)) / (0.05 + widest)), below, has_words, has_words * below,
                has_words * above, min(1.0, _spread(starts) / height),
                min(1.0, min(map(_spread, (lefts, ends, (lefts + ends) / 2))) / height),
                float(column == 0), math.log(len(columns)), mean([count >= 0 for count in counts]),
                mean([b == a + 1 and a >= 0 for a, b in pairwise(counts)]),
                forms.most_common(1)[0][1] / len(numbers), math.log(mean(map(len, numbers))),
                mean([text[0].isdigit() for text in texts]), mean([text[:2] in ("x ", "X ", "× ") for text in texts]),
                mean([text.isalpha() for text in texts]), len(set(texts)) / len(texts),
                math.log(mean(map(len, texts)))]  # fmt: skip
    return (float(np.median(ends)), float(np.median(starts))), features


def _spread(positions: npt.NDArray[np.float64]) -> float:
    """The median distance of positions from their median."""
    return float(np.median(np.abs(positions - np.median(positions))))


def separate_numbers(page: Sequence[ReadRegion]) -> list[ReadRegion]:
    """The regions of a page with the numbers before texts in columns of their own.

    The other lines of such a column, such as its title, are cut at a blank in the gutter between numbers and texts.
    Without one they are texts, such as the label of a sum, unless they are numbers, or stand left of another line of
    their row.
    """
    for _ in range(MAX_COLUMNS):
        chosen = [c for c in numbered_columns(page) if log_odds_of("leading_number", c.features) > 0]
        if not chosen:
            break
        page = [part for k in range(len(page)) for part in _divide_all(page, k, chosen)]
    return list(page)


def _divide_all(page: Sequence[ReadRegion], k: int, chosen: Sequence[NumberedColumn]) -> list[ReadRegion]:
    """The parts of region k of a page, moved to the right by the columns that are divided before it."""
    place = page[k].line.cell
    if place is None:
        return [page[k]]
    moves = sum(column.table == place.table and column.column < place.column for column in chosen)
    own = [c for c in chosen if (c.table, c.column) == (place.table, place.column)]
    parts = _divide(page, k, own[0]) if own else [page[k]]
    return [_move(part, moves) for part in parts]


def _divide(page: Sequence[ReadRegion], k: int, column: NumberedColumn) -> list[ReadRegion]:
    """Region k of a page, a line of a column, with its number and its text apart, or on the side where it belongs."""
    read, gutter = page[k], column.gutter
    blank = column.blanks.get(k)
    if blank is None:
        for other in word_blanks(read):
            start, end = (read.position(x, column.direction) for x in (other.start, other.end))
            inside = min(end, gutter[1]) - max(start, gutter[0])
            if inside > 0.35 * (gutter[1] - gutter[0]):  # a gap between words is narrower
                blank = other
    if blank is not None:
        return _split(read, blank)
    beside = [other for other in page if other is not read and other.line.cell == read.line.cell and other.line.text]
    is_left = read.position(read.crop.shape[1] / 2, column.direction) < gutter[1]
    return [read if is_left and (beside or any(c.isdigit() for c in read.line.text)) else _move(read)]


def _move(read: ReadRegion, columns: int = 1) -> ReadRegion:
    """A region of a table some columns further to the right."""
    place = read.line.cell
    assert place is not None
    cell = replace(place, column=place.column + columns)
    return replace(read, ordered=replace(read.ordered, cell=cell), line=replace(read.line, cell=cell))


def _split(read: ReadRegion, blank: Blank) -> list[ReadRegion]:
    """The parts of a line before and after a blank. The second is one column further to the right."""
    line, width = read.line, read.crop.shape[1]
    margin = min(THRESHOLDS.box_margin * read.crop.shape[0], (blank.end - blank.start) / 3)
    parts = []
    for (start, end), (a, b) in (
        ((0, blank.space), (0, round(blank.start + margin))),
        ((blank.space + 1, len(line.text)), (round(blank.end - margin), width)),
    ):
        characters = tuple(
            replace(c, left=c.left - a, right=c.right - a, polygon=tuple((x - a, y) for x, y in c.polygon))
            for c in line.characters[start:end]
        )
        corners = slice_corners(read.region.corners, a / width, b / width)
        parts.append(
            ReadRegion(
                replace(read.ordered, region=replace(read.region, corners=corners)),
                read.crop[:, a:b],
                replace(line, text=line.text[start:end], characters=characters, words=()),
            )
        )
    return [parts[0], _move(parts[1])]
