"""Pieces of text on a page -> its lines in reading order: parts of one line joined, columns and paragraphs told apart.

All of it happens in the frame of the text: turned by its usual slope, so that lines are level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.reading.detection.detectors import Region, around, sides

SAME_LINE = 0.5  # share of the lower piece's height that two pieces of one line have in common
WORD_GAP = 1.6  # heights; parts of one line that stand farther apart are two
HEIGHTS = 1.9  # the taller of two pieces of one line is at most this many times as tall as the other
INSIDE = 0.7  # share of its area that makes a piece part of another
GUTTER = 0.9  # heights between columns
COLUMN_LINES, ALIGNED = 3, 0.4  # lines of a column, at least; heights by which their beginnings differ
COLUMN = 4.0  # heights; lines of columns are at least as wide, on average
CELLS, APART = 12.0, 3.0  # heights, times the gap beside them; lines that are less wide and level with others are cells
LEVEL = 0.8  # share of them that are
BREAK = 0.9  # heights; paragraphs stand farther apart than lines
INDENT = 1.2  # heights; a line that starts farther to the right begins a paragraph


@dataclass(frozen=True)
class LevelBox:
    """A piece in the frame of the text, px."""

    left: float
    top: float
    right: float
    bottom: float
    region: Region

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Cut:
    """What parts two columns."""

    at: float | None  # px; None where both are of one table, which is not to be cut


@dataclass(frozen=True)
class OrderedRegion:
    """One line of the page."""

    region: Region
    paragraph: int  # from 0


def slope_of(regions: Sequence[Region]) -> float:
    """Radians by which the text runs down to the right, the median of its pieces, wide ones counting more."""
    if not regions:
        return 0.0
    along = np.array([p.corners[1] - p.corners[0] + p.corners[2] - p.corners[3] for p in regions])
    weights = np.hypot(*along.T)
    angles = np.arctan2(along[:, 1], along[:, 0])
    order = np.argsort(angles)
    at = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    return float(angles[order][min(int(at), len(order) - 1)])


def order_regions(regions: Sequence[Region]) -> list[OrderedRegion]:
    """The lines that the pieces make up, in reading order, with the number of the paragraph each belongs to."""
    slope = slope_of(regions)
    boxes = _joined([_box(p, slope) for p in _outermost(regions)], slope)
    out, paragraph = [], -1
    for block in _blocks(boxes):
        for box, begins in zip(block, _begins(block), strict=True):
            paragraph += begins
            out.append(OrderedRegion(box.region, paragraph))
    return out


def _box(region: Region, slope: float) -> LevelBox:
    c, s = np.cos(slope), np.sin(slope)
    level: npt.NDArray[np.float64] = region.corners @ np.array([[c, -s], [s, c]])
    # the sides of a slanted quadrilateral at half its height and width
    (l0, t0), (r0, t1), (r1, b1), (l1, b0) = level.tolist()
    return LevelBox((l0 + l1) / 2, (t0 + t1) / 2, (r0 + r1) / 2, (b0 + b1) / 2, region)


def _outermost(regions: Sequence[Region]) -> list[Region]:
    """Pieces that do not lie inside a larger one."""
    ranked = sorted(regions, key=lambda p: -cv2.contourArea(p.corners.astype(np.float32)))
    low = np.array([p.corners.min(0) for p in ranked]).reshape(-1, 2)
    high = np.array([p.corners.max(0) for p in ranked]).reshape(-1, 2)
    kept: list[int] = []
    for k, region in enumerate(ranked):
        own = region.corners.astype(np.float32)
        area = cv2.contourArea(own)
        near = np.array(kept, np.int64)  # only those whose upright boxes meet are worth cutting
        near = near[((low[near] < high[k]) & (high[near] > low[k])).all(axis=1)]
        # what an arc runs around is not part of it
        others = (ranked[n].corners.astype(np.float32) for n in near.tolist() if ranked[n].bend is None)
        if all(cv2.intersectConvexConvex(own, other)[0] < INSIDE * area for other in others):
            kept.append(k)
    return [ranked[k] for k in kept]


def _joined(boxes: list[LevelBox], slope: float) -> list[LevelBox]:
    """Boxes with those of one line made one."""
    left = sorted(boxes, key=lambda b: b.left)
    edges = np.array([b.left for b in left])
    lines: list[list[LevelBox]] = []
    for box in left:
        aligned = np.searchsorted(edges, [box.left - ALIGNED * box.height, box.left + ALIGNED * box.height])
        gap = GUTTER if aligned[1] - aligned[0] > COLUMN_LINES else WORD_GAP
        near = [line for line in lines if _goes_on(line[-1], box, gap)]
        if near:
            min(near, key=lambda line: abs(line[-1].middle - box.middle) + box.left - line[-1].right).append(box)
        else:
            lines.append([box])
    return [line[0] if len(line) == 1 else _box(_one(line), slope) for line in lines]


def _goes_on(a: LevelBox, b: LevelBox, most: float) -> bool:
    """Whether b goes on with the line of a, which begins to its left; most: heights between them."""
    lower, higher = sorted((a.height, b.height))
    common = min(a.bottom, b.bottom) - max(a.top, b.top)
    gap = b.left - a.right
    straight = a.region.bend is None and b.region.bend is None
    return (
        straight
        and common > SAME_LINE * lower
        and higher < HEIGHTS * lower
        and -0.5 * lower < gap < most * (lower + higher) / 2
    )


def _one(line: list[LevelBox]) -> Region:
    """One piece around several: from the first one's left side to the last one's right."""
    points = np.concatenate([box.region.corners for box in line])
    widths = [sides(box.region.corners)[0] for box in line]
    sure = float(np.average([box.region.confidence for box in line], weights=widths))
    return Region(around(points), sure)


def _blocks(boxes: list[LevelBox]) -> list[list[LevelBox]]:
    """Columns and what stands above, between and below them, in reading order; the lines of each from top to bottom."""
    if len(boxes) < 2:
        return [boxes] if boxes else []
    gutter = _gutter(boxes)
    if gutter is not None:
        if gutter.at is None:
            return [_rows(boxes)]
        left, right = [b for b in boxes if b.right <= gutter.at], [b for b in boxes if b.right > gutter.at]
        return _blocks(left) + _blocks(right)
    down, levels = sorted(boxes, key=lambda b: b.top), [0]  # where a level line crosses nothing
    for k in range(1, len(down)):
        if max(b.bottom for b in down[:k]) - 0.3 * min(b.height for b in down) <= down[k].top:
            levels.append(k)
    levels.append(len(down))
    if len(levels) <= len(boxes):  # some stand beside one another
        for start, end in sorted(combinations(levels, 2), key=lambda span: span[0] - span[1]):
            if _gutter(down[start:end]) is not None:
                return _blocks(down[:start]) + _blocks(down[start:end]) + _blocks(down[end:])
    return [_rows(boxes)]


def _gutter(boxes: list[LevelBox]) -> Cut | None:
    """Where two columns part; None where nothing parts them.

    Nothing crosses there, and what stands on both sides is running text; a table is what has no better gap.
    """
    height = float(np.median([b.height for b in boxes]))
    across = sorted(boxes, key=lambda b: b.left)
    reach = across[0].right
    table = False
    for k in range(1, len(across)):
        gap = across[k].left - reach
        sides_ = across[:k], across[k:]
        if gap > GUTTER * height and all(_is_column(side, height) for side in sides_):
            if not _is_table(*sides_, min(CELLS * height, APART * gap)):
                return Cut(reach + gap / 2)
            table = True
        reach = max(reach, across[k].right)
    return Cut(None) if table else None


def _is_column(boxes: list[LevelBox], height: float) -> bool:
    return len(boxes) >= COLUMN_LINES and float(np.mean([b.right - b.left for b in boxes])) > COLUMN * height


def _is_table(left: list[LevelBox], right: list[LevelBox], widest: float) -> bool:
    """Whether what stands on both sides of a gap are cells of one table, whose rows are read, not two columns.

    widest: px, of the cells of the narrower side, on average.
    """
    fewer, more = sorted((left, right), key=len)
    if min(float(np.mean([b.right - b.left for b in side])) for side in (fewer, more)) > widest:
        return False
    middles, heights = np.array([(b.middle, b.height) for b in fewer]).T
    away = np.abs(middles[:, None] - [b.middle for b in more]).min(axis=1)
    return float(np.mean(away < (1 - SAME_LINE) * heights)) >= LEVEL


def _rows(boxes: list[LevelBox]) -> list[LevelBox]:
    """From top to bottom; boxes on one level from left to right, none of them above another."""
    rows: list[list[LevelBox]] = []
    for box in sorted(boxes, key=lambda b: b.middle):
        if rows and _is_beside(rows[-1], box):
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row, key=lambda b: b.left)]


def _is_beside(row: list[LevelBox], box: LevelBox) -> bool:
    away = abs(box.middle - np.mean([b.middle for b in row]))
    level = away < SAME_LINE * min(box.height, row[0].height)
    return bool(level and all(box.left >= b.right - b.height or b.left >= box.right - b.height for b in row))


def _begins(block: list[LevelBox]) -> list[bool]:
    """Which lines of a block begin a paragraph: after a wide gap, indented, or of another size."""
    height = float(np.median([b.height for b in block]))
    edge = min(b.left for b in block)
    gaps = [b.top - a.bottom for a, b in pairwise(block)]
    usual = float(np.median(gaps)) if gaps else 0.0
    out = [True]
    for a, b, gap in zip(block, block[1:], gaps, strict=False):
        apart = gap > max(0.0, usual) + BREAK * height
        indented = b.left - edge > INDENT * height and a.left - edge < 0.5 * INDENT * height
        other = max(a.height, b.height) > HEIGHTS * min(a.height, b.height)
        out.append(apart or indented or other)
    return out
