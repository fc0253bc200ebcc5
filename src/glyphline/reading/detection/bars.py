"""Bars between the cells of tables that are drawn with characters, as terminals and printers of receipts do: "a | b".

By itself a bar is a thin straight stroke, as "l" and "I" are. It is longer than these, blanks stand beside it, and
others of its kind stand in its row and in its column. Two logistic regressions weigh this (`bar_stroke` and, with what
its neighbours are by that, `bar` in models/tables.json). `python benchmarks/tables.py --fit` fits them and states the
data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.imaging.documents import ColourImage
from glyphline.imaging.normalization import page_has_bright_ink, to_grey
from glyphline.reading.detection.cell_ink import slice_corners
from glyphline.reading.detection.leaders import ink_mask
from glyphline.reading.detection.regions import Corners, Region
from glyphline.reading.detection.tables import log_odds_of

LINE_HEIGHT = 24  # px; bars are looked for in lines of about this height
MIN_BARS = 4  # of a table; fewer are rather letters that look like bars, and a letter must not be lost
MAX_ODDS = 6.0  # to which log-odds are clipped as features
MAX_BAR_GAP = 2.0  # between a bar and the region after it, heights
MIN_PART = 6.0  # px of the part of a region beside a bar; less is paper
MAX_WIDTH = 0.35  # of a stroke, in its own height
MIN_FILL = 0.6  # share of its bounding box that a stroke fills; one that leans with its page fills less
MIN_HEIGHT = 7  # px
HEIGHTS = (0.7, 2.5)  # of a stroke, in heights of the letters of its row
REACH = 8.0  # how far the letters of a row are looked at on each side, in heights of the stroke

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stroke:
    """A thin vertical stroke of an image: a bar, or a letter such as "l"."""

    box: tuple[int, int, int, int]  # left, top, right, bottom, px
    features: list[float]
    in_row: list[int]  # the indices of the strokes of its height in its row, near it
    in_column: list[int]  # and in its column


def find_strokes(image: ColourImage) -> list[Stroke]:
    """The thin vertical strokes of an image (H, W, 3) uint8 that stand in rows of letters, with the features of bars.

    1 (the bias); the log of the height over that of the letters of the row; the smaller and the larger of how far it
    reaches above their tops and below their feet; the width and the filled share of its box; the blanks on both sides,
    the narrower one first; of the strokes of its height the logs of one more than those that stand in its row and in
    its column, near it; and both of these times the first and the second length. Lengths are in heights of the letters,
    and clipped.
    """
    grey = to_grey(image)
    mask = ink_mask(grey, page_has_bright_ink(grey))
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    lefts, tops, widths, heights, areas = stats[1:].T.astype(np.float64)
    rights, bottoms = lefts + widths, tops + heights
    is_stroke = (heights >= MIN_HEIGHT) & (widths <= np.maximum(2, MAX_WIDTH * heights))
    is_stroke &= areas >= MIN_FILL * widths * heights
    found: list[tuple[int, FloatArray, float]] = []
    for k in np.flatnonzero(is_stroke):
        height = heights[k]
        overlaps = np.minimum(bottoms, bottoms[k]) - np.maximum(tops, tops[k])
        is_near = (overlaps >= 0.5 * np.minimum(heights, height)) & (heights >= 0.3 * height) & (heights <= 2 * height)
        is_near &= (rights >= lefts[k] - REACH * height) & (lefts <= rights[k] + REACH * height)
        is_near[k] = False
        letters = is_near & ~is_stroke if (is_near & ~is_stroke).sum() >= 2 else is_near
        if not letters.any():
            continue
        size = float(np.percentile(heights[letters], 75))
        if not HEIGHTS[0] <= height / size <= HEIGHTS[1]:
            continue
        before = lefts[k] - rights[is_near & (rights <= lefts[k] + 0.3 * widths[k])].max(initial=-1e9)
        after = lefts[is_near & (lefts >= rights[k] - 0.3 * widths[k])].min(initial=1e9) - rights[k]
        blanks = np.sort([min(before / size, 2.0), min(after / size, 2.0)])
        offsets = (np.median(tops[letters]) - tops[k]) / size, (bottoms[k] - np.median(bottoms[letters])) / size
        shape = widths[k] / size, areas[k] / (widths[k] * height)
        excess = min(offsets), max(offsets)
        found.append((int(k), np.array([math.log(height / size), *excess, *shape, *blanks]).clip(-2, 2), size))
    if not found:
        return []
    index = np.array([k for k, _, _ in found])
    centres = (lefts[index] + rights[index]) / 2
    strokes = []
    for n, (stroke, numbers, size) in enumerate(found):
        alike = np.abs(heights[index] - heights[stroke]) <= 0.12 * heights[stroke] + 1
        alike[n] = False
        drop, shift = np.abs(tops[index] - tops[stroke]), np.abs(centres - centres[n])
        in_row = alike & (drop <= 0.03 * shift + 0.2 * size) & (shift <= 40 * size)
        in_column = alike & (shift <= 0.03 * drop + 0.2 * size) & (drop > 0.7 * size) & (drop <= 6 * size)
        neighbours = [np.flatnonzero(mask).tolist() for mask in (in_row, in_column)]
        counts = [math.log(1 + len(members)) for members in neighbours]
        products = [count * numbers[k] for count in counts for k in (0, 1)]
        box = int(lefts[stroke]), int(tops[stroke]), int(rights[stroke]), int(bottoms[stroke])
        strokes.append(Stroke(box, [1.0, *numbers.tolist(), *counts, *products], *neighbours))
    return strokes


def bar_features(strokes: Sequence[Stroke]) -> list[list[float]]:
    """The features of the strokes of an image as bars, with what those in line with each are.

    1 (the bias); the log-odds of a bar by itself (`bar_stroke`); of the strokes of its height in its row, and of those
    in its column, the logs of one more than how many are bars by themselves and how many are not, each counted by its
    probability.
    """
    odds = np.array([log_odds_of("bar_stroke", stroke.features) for stroke in strokes]).clip(-MAX_ODDS, MAX_ODDS)
    probabilities = 1 / (1 + np.exp(-odds))
    rows = []
    for stroke, own in zip(strokes, odds, strict=True):
        row = [1.0, float(own)]
        for members in (stroke.in_row, stroke.in_column):
            bars = float(probabilities[members].sum())
            row += [math.log(1 + bars), math.log(1 + len(members) - bars)]
        rows.append(row)
    return rows


def find_bars(image: ColourImage, line_height: float) -> list[Stroke]:
    """The strokes of an image (H, W, 3) uint8 that are bars, and have another in their row or column.

    line_height: px, of its lines. Where they are higher than LINE_HEIGHT, the image is shrunk first.
    """
    factor = max(1, int(line_height // LINE_HEIGHT))
    if factor > 1:
        image = cv2.resize(image, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    strokes = find_strokes(image)
    found = {k for k, row in enumerate(bar_features(strokes)) if log_odds_of("bar", row) > 0}
    bars = [strokes[k] for k in sorted(found) if found & {*strokes[k].in_row, *strokes[k].in_column}]
    return [replace(bar, box=tuple(factor * side for side in bar.box)) for bar in bars]  # type: ignore[arg-type]


def erase_bars(image: ColourImage, bars: Sequence[Stroke]) -> ColourImage:
    """The image (H, W, 3) uint8 with the paper beside them in the place of bars."""
    erased = image.copy()
    for left, top, right, bottom in (bar.box for bar in bars):
        margin = 2 + (right - left) // 2
        a, b = max(0, left - margin), min(image.shape[1], right + margin)
        c, d = max(0, top - margin), min(image.shape[0], bottom + margin)
        sides = np.concatenate([image[c:d, max(0, a - 2) : a], image[c:d, b : b + 2]], axis=1)
        erased[c:d, a:b] = np.median(sides, axis=1, keepdims=True) if sides.shape[1] else 255
    return erased


def bars_of_tables(bars: Sequence[Stroke], tables: Sequence[Sequence[Corners]]) -> list[Stroke]:
    """The bars between, before and after the cells of tables, and those that continue their rows and columns.

    tables: for each the outlines (4, 2) px of its cells. A table may have been found in a part of its rows.
    """
    outlines = []
    for cells in tables:
        points = np.concatenate(list(cells)).astype(np.float32)
        height = float(np.median([np.linalg.norm(corners[3] - corners[0]) for corners in cells]))
        centre, (width, depth), angle = cv2.minAreaRect(points)
        outlines.append(cv2.boxPoints((centre, (width + 3 * height, depth + 3 * height), angle)))
    found = [k for k, bar in enumerate(bars) if _is_inside(bar, outlines)]
    rest = set(range(len(bars))) - {*found}
    for k in found:  # it grows by the bars that continue those in it
        new = [n for n in sorted(rest) if _continues(bars[k], bars[n])]
        found += new
        rest -= {*new}
    return [bars[k] for k in found]


def _is_inside(bar: Stroke, outlines: Sequence[npt.NDArray[np.float32]]) -> bool:
    left, top, right, bottom = bar.box
    middle = (left + right) / 2, (top + bottom) / 2
    return any(cv2.pointPolygonTest(outline, middle, False) >= 0 for outline in outlines)


def _continues(bar: Stroke, other: Stroke) -> bool:
    """Whether another bar stands in the row of a bar, or above or below it in one of the next two rows."""
    height = bar.box[3] - bar.box[1]
    drop, shift = abs(bar.box[1] - other.box[1]), abs(bar.box[0] - other.box[0])
    in_column = drop <= 4 * height and shift <= 0.2 * height + 0.03 * drop
    return in_column or drop <= 0.2 * height + 0.03 * shift


def split_at_bars(regions: Sequence[Region], bars: Sequence[Stroke]) -> list[Region]:
    """The regions, each cut where bars stand in it, and `after_bar` where one stands before it.

    A curved region stays whole.
    """
    boxes = np.array([bar.box for bar in bars], np.float64)
    middles, halves = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2] - boxes[:, 0]) / 2
    parts: list[Region] = []
    for region in regions:
        if region.curve is not None:
            parts.append(region)
            continue
        origin, along, down = region.corners[0], *(region.corners[k] - region.corners[0] for k in (1, 3))
        width, height = region.size
        places = (middles - origin) @ along / max(1.0, width)  # px from the left end of the region
        depths = (middles - origin) @ down / max(1.0, height)
        is_level = (depths > 0) & (depths < height)
        is_inside = is_level & (places > 0) & (places < width)
        order = np.argsort(places[is_inside])
        starts = [0.0, *(places + halves)[is_inside][order].tolist()]
        ends = [*(places - halves)[is_inside][order].tolist(), width]
        is_after = [bool((is_level & (places <= 0) & (places > -MAX_BAR_GAP * height)).any())] + [True] * len(order)
        for start, end, after_bar in zip(starts, ends, is_after, strict=True):
            part = replace(region, after_bar=after_bar)
            if len(order):
                part = replace(part, corners=slice_corners(region.corners, start / width, end / width))
            if end - start >= MIN_PART:
                parts.append(part)
    return parts
