"""Reading order: join the regions of one line, separate columns, and number paragraphs.

All boxes are levelled first: the page is rotated by the median slope of its text, so that lines are horizontal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.reading.detection.regions import Region, minimum_area_rectangle, side_lengths
from glyphline.reading.detection.tables import LevelBox, is_table, mean_width, order_rows
from glyphline.reading.thresholds import THRESHOLDS


@dataclass(frozen=True)
class OrderedRegion:
    """One line of a page in reading order."""

    region: Region
    paragraph: int  # number of its paragraph, from 0


@dataclass(frozen=True)
class ColumnSplit:
    """The gap that separates the columns of a block."""

    x: float | None  # px; None where the columns belong to one table, which is read row by row


def text_slope(regions: Sequence[Region]) -> float:
    """Slope of the text, radians, positive where it runs down to the right: the median, weighted by width.

    0 for no regions.
    """
    if not regions:
        return 0.0
    directions = np.array([r.corners[1] - r.corners[0] + r.corners[2] - r.corners[3] for r in regions])
    weights = np.hypot(*directions.T)
    angles = np.arctan2(directions[:, 1], directions[:, 0])
    order = np.argsort(angles)
    median = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    return float(angles[order][min(int(median), len(order) - 1)])


def order_regions(regions: Sequence[Region]) -> list[OrderedRegion]:
    """The lines of a page in reading order. Regions of one line are joined, regions inside another are dropped.

    The confidence of a joined region is the mean of its parts, weighted by width. Curved regions are never joined.
    Paragraphs are numbered through the whole page.
    """
    slope = text_slope(regions)
    boxes = _join_lines([_level_box(region, slope) for region in _drop_contained(regions)], slope)
    lines, paragraph = [], -1
    for block in _order_blocks(boxes):
        for box, starts_paragraph in zip(block, _paragraph_starts(block), strict=True):
            paragraph += starts_paragraph
            lines.append(OrderedRegion(box.region, paragraph))
    return lines


def _level_box(region: Region, slope: float) -> LevelBox:
    """The box of a region on the levelled page: its sides at half its height and half its width."""
    c, s = np.cos(slope), np.sin(slope)
    level: npt.NDArray[np.float64] = region.corners @ np.array([[c, -s], [s, c]])
    (left0, top0), (right0, top1), (right1, bottom1), (left1, bottom0) = level.tolist()
    return LevelBox((left0 + left1) / 2, (top0 + top1) / 2, (right0 + right1) / 2, (bottom0 + bottom1) / 2, region)


def _drop_contained(regions: Sequence[Region]) -> list[Region]:
    """The regions that are not inside a larger one."""
    ranked = sorted(regions, key=lambda region: -cv2.contourArea(region.corners.astype(np.float32)))
    low = np.array([region.corners.min(0) for region in ranked]).reshape(-1, 2)
    high = np.array([region.corners.max(0) for region in ranked]).reshape(-1, 2)
    kept: list[int] = []
    for k, region in enumerate(ranked):
        polygon = region.corners.astype(np.float32)
        area = cv2.contourArea(polygon)
        candidates = np.array(kept, np.int64)  # intersect only those whose bounding boxes overlap
        candidates = candidates[((low[candidates] < high[k]) & (high[candidates] > low[k])).all(axis=1)]
        # The rectangle of curved text also covers what the curve runs around
        others = (ranked[n].corners.astype(np.float32) for n in candidates.tolist() if ranked[n].curve is None)
        limit = THRESHOLDS.contained_share * area
        if all(cv2.intersectConvexConvex(polygon, other)[0] < limit for other in others):
            kept.append(k)
    return [ranked[k] for k in kept]


def _join_lines(boxes: list[LevelBox], slope: float) -> list[LevelBox]:
    """One box for each line: boxes that continue a line are joined with it."""
    ordered = sorted(boxes, key=lambda b: b.left)
    left_edges = np.array([b.left for b in ordered])
    lines: list[list[LevelBox]] = []
    for box in ordered:
        tolerance = THRESHOLDS.column_alignment * box.height
        aligned = np.searchsorted(left_edges, [box.left - tolerance, box.left + tolerance])
        # A box that is aligned with others may begin a line of a column: it is joined only across a smaller gap
        is_column = aligned[1] - aligned[0] > THRESHOLDS.column_min_lines
        max_gap = THRESHOLDS.column_gap if is_column else THRESHOLDS.word_gap
        candidates = [line for line in lines if _continues_line(line[-1], box, max_gap)]
        if candidates:
            min(candidates, key=lambda line: abs(line[-1].middle - box.middle) + box.left - line[-1].right).append(box)
        else:
            lines.append([box])
    return [line[0] if len(line) == 1 else _level_box(_join_regions(line), slope) for line in lines]


def _continues_line(a: LevelBox, b: LevelBox, max_gap: float) -> bool:
    """Whether b continues the line of a, which begins to its left. max_gap: heights between them."""
    lower, higher = sorted((a.height, b.height))
    overlap = min(a.bottom, b.bottom) - max(a.top, b.top)
    gap = b.left - a.right
    is_straight = a.region.curve is None and b.region.curve is None
    return (
        is_straight
        and overlap > THRESHOLDS.same_line_overlap * lower
        and higher < THRESHOLDS.max_height_ratio * lower
        and -0.5 * lower < gap < max_gap * (lower + higher) / 2
    )


def _join_regions(line: list[LevelBox]) -> Region:
    """One region around the boxes of a line. Its confidence is their mean, weighted by width."""
    corners = np.concatenate([box.region.corners for box in line])
    widths = [side_lengths(box.region.corners)[0] for box in line]
    confidence = float(np.average([box.region.confidence for box in line], weights=widths))
    return Region(minimum_area_rectangle(corners), confidence)


def _order_blocks(boxes: list[LevelBox]) -> list[list[LevelBox]]:
    """Blocks in reading order, each with its lines from top to bottom.

    A block is a column, or what is above, between or below columns. The page is split recursively (XY-cut, Nagy and
    Seth 1984): first by the gap between two columns, else by the highest band of lines that contains columns.
    """
    if len(boxes) < 2:
        return [boxes] if boxes else []
    split = _column_split(boxes)
    if split is not None:
        if split.x is None:
            return [order_rows(boxes)]
        left, right = [b for b in boxes if b.right <= split.x], [b for b in boxes if b.right > split.x]
        return _order_blocks(left) + _order_blocks(right)
    ordered, cuts = sorted(boxes, key=lambda b: b.top), [0]  # cuts: indices where a horizontal line crosses no box
    for k in range(1, len(ordered)):
        if max(b.bottom for b in ordered[:k]) - 0.3 * min(b.height for b in ordered) <= ordered[k].top:
            cuts.append(k)
    cuts.append(len(ordered))
    if len(cuts) <= len(boxes):  # some boxes are beside one another
        for start, end in sorted(combinations(cuts, 2), key=lambda span: span[0] - span[1]):
            if _column_split(ordered[start:end]) is not None:
                return _order_blocks(ordered[:start]) + _order_blocks(ordered[start:end]) + _order_blocks(ordered[end:])
    return [order_rows(boxes)]


def _column_split(boxes: list[LevelBox]) -> ColumnSplit | None:
    """Where a block splits into two columns; None where it does not.

    No box crosses the gap, and both sides are columns. A gap between columns of prose is preferred to one inside a
    table.
    """
    height = float(np.median([b.height for b in boxes]))
    ordered = sorted(boxes, key=lambda b: b.left)
    right_edge = ordered[0].right
    has_table = False
    for k in range(1, len(ordered)):
        gap = ordered[k].left - right_edge
        left, right = ordered[:k], ordered[k:]
        if gap > THRESHOLDS.column_gap * height and _is_column(left, height) and _is_column(right, height):
            max_cell_width = min(THRESHOLDS.cell_max_width * height, THRESHOLDS.cell_max_width_to_gap * gap)
            if not is_table(left, right, max_cell_width):
                return ColumnSplit(right_edge + gap / 2)
            has_table = True
        right_edge = max(right_edge, ordered[k].right)
    return ColumnSplit(None) if has_table else None


def _is_column(boxes: list[LevelBox], height: float) -> bool:
    return len(boxes) >= THRESHOLDS.column_min_lines and mean_width(boxes) > THRESHOLDS.column_min_width * height


def _paragraph_starts(block: list[LevelBox]) -> list[bool]:
    """Which lines of a block start a paragraph: after a wide gap, with an indent, or in another size."""
    height = float(np.median([b.height for b in block]))
    left_edge = min(b.left for b in block)
    gaps = [b.top - a.bottom for a, b in pairwise(block)]
    usual_gap = float(np.median(gaps)) if gaps else 0.0
    max_indent = THRESHOLDS.paragraph_indent * height
    starts = [True]
    for a, b, gap in zip(block, block[1:], gaps, strict=False):
        is_separate = gap > max(0.0, usual_gap) + THRESHOLDS.paragraph_gap * height
        is_indented = b.left - left_edge > max_indent and a.left - left_edge < 0.5 * max_indent
        is_other_size = max(a.height, b.height) > THRESHOLDS.max_height_ratio * min(a.height, b.height)
        starts.append(is_separate or is_indented or is_other_size)
    return starts
