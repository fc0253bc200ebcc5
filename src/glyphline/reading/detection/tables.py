"""Tables: tell two columns of a table from two columns of prose, and put cells in order row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glyphline.reading.detection.regions import Region
from glyphline.reading.thresholds import THRESHOLDS


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


def mean_width(boxes: Sequence[LevelBox]) -> float:
    """The mean width of boxes, px."""
    return float(np.mean([box.width for box in boxes]))


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
