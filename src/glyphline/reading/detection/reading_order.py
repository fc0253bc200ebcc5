"""Reading order: join the regions of one line, find tables, separate columns, and number paragraphs.

All boxes are levelled first: the page is rotated by the median slope of its text, so that lines are horizontal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, groupby, pairwise

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.imaging.documents import ColourImage
from glyphline.page import Cell
from glyphline.reading.detection.cell_ink import find_ink, ink_contrast, split_at_blanks
from glyphline.reading.detection.orientation import rotate_points
from glyphline.reading.detection.regions import Corners, Region, minimum_area_rectangle, side_lengths
from glyphline.reading.detection.tables import (
    FindInk,
    LevelBox,
    TableBlock,
    cell_extent,
    find_tables,
    is_table,
    level_rows,
    mean_width,
    order_rows,
)
from glyphline.reading.thresholds import THRESHOLDS


@dataclass(frozen=True)
class OrderedRegion:
    """One line of a page in reading order."""

    region: Region
    paragraph: int  # number of its paragraph, from 0; a table is a paragraph of its own
    cell: Cell | None = None  # its place in a table; None outside tables


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


def order_regions(regions: Sequence[Region], image: ColourImage | None = None) -> list[OrderedRegion]:
    """The lines of a page in reading order. Regions of one line are joined, regions inside another are dropped.

    The confidence of a joined region is the mean of its parts, weighted by width. Curved regions are never joined.
    Paragraphs and tables are numbered through the whole page. The lines of a table follow one another row by row, each
    with its cell.
    image: (H, W, 3) uint8, the page. With it, regions that cover several cells of a table are split, and ink in empty
    cells becomes a region.
    """
    boxes, slope = level_boxes(regions, image)
    find = ink_finder(boxes, slope, image)
    lines: list[OrderedRegion] = []
    paragraph, table = -1, 0
    for block in _order_blocks(_join_lines(boxes, slope), slope, find):
        for box, starts_paragraph in zip(block, _paragraph_starts(block), strict=True):
            paragraph += starts_paragraph
            if box.table is None:
                lines.append(OrderedRegion(box.region, paragraph))
            else:
                cells = _read_cells(box.table, slope, find)
                lines += [OrderedRegion(region, paragraph, Cell(table, *place)) for place, region in cells]
                table += 1
    return lines


def order_mixed_directions(
    regions: Sequence[Region], directions: Sequence[int], image: ColourImage
) -> list[OrderedRegion]:
    """The lines of an upright page (H, W, 3) uint8 on which some regions run up, down or on their head.

    directions: for each region the quarter turns, 0 to 3, that make its text upright. The lines of one direction are
    ordered as `order_regions` does; their regions begin at the start of the text. Those of another direction than 0
    are paragraphs outside tables. Each stands before the first paragraph that begins below it.
    """
    level = [region for region, direction in zip(regions, directions, strict=True) if direction == 0]
    blocks = [list(group) for _, group in groupby(order_regions(level, image), lambda line: line.paragraph)]
    for direction in sorted(set(directions) - {0}):
        turn = partial(rotate_points, quarters=direction, shape=image.shape)
        turned_shape = image.shape[1::-1] if direction % 2 else image.shape[:2]
        turn_back = partial(rotate_points, quarters=-direction, shape=turned_shape)
        turned = [r.transform(turn) for r, d in zip(regions, directions, strict=True) if d == direction]
        lines = [
            OrderedRegion(
                replace(r, corners=turn_back(r.corners), curve=r.curve if r.curve is None else turn_back(r.curve)),
                line.paragraph,
            )
            for line in order_regions(turned)
            for r in (line.region,)
        ]
        for _, group in groupby(lines, lambda line: line.paragraph):
            block = list(group)
            bottom = max(line.region.corners[:, 1].max() for line in block)
            below = (k for k, b in enumerate(blocks) if min(line.region.corners[:, 1].min() for line in b) >= bottom)
            blocks.insert(next(below, len(blocks)), block)
    return [replace(line, paragraph=k) for k, block in enumerate(blocks) for line in block]


def level_boxes(regions: Sequence[Region], image: ColourImage | None = None) -> tuple[list[LevelBox], float]:
    """The boxes of the regions on the levelled page, and the slope of the text, radians, as in `text_slope`.

    Regions inside a larger one are dropped. image: (H, W, 3) uint8, the page; with it, boxes have fragments.
    """
    slope = text_slope(regions)
    boxes = [_level_box(region, slope) for region in _drop_contained(regions)]
    if image is not None:
        boxes = _separate_fragments([_add_fragments(box, slope, image) for box in boxes])
    return boxes, slope


def _separate_fragments(boxes: list[LevelBox]) -> list[LevelBox]:
    """The boxes with fragments that do not overlap in a row: two that did end in the middle of the overlap."""
    edges: dict[int, LevelBox] = {id(part): part for box in boxes for part in box.parts}
    for row in level_rows(list(edges.values())):
        for a, b in pairwise(row):
            overlap = edges[id(a)].right - b.left
            if 0 < overlap < b.width and overlap < a.width:
                edges[id(a)] = replace(edges[id(a)], right=b.left + overlap / 2)
                edges[id(b)] = replace(b, left=b.left + overlap / 2)
    return [replace(box, fragments=tuple(edges[id(part)] for part in box.parts)) for box in boxes]


def _read_cells(table: TableBlock, slope: float, find_ink: FindInk | None) -> list[tuple[tuple[int, int], Region]]:
    """The row, the column and the region of each line of a table, row by row. The lines of a cell are joined.

    A region that is much lower than the lines of the table, as around a dash, becomes as high as they are:
    recognizers read a letter by its place on the line. find_ink: looks for ink beside the lines of a cell that no
    region covers; the region then covers it too.
    """
    lines: list[tuple[tuple[int, int], Region]] = []
    height = float(np.median([box.height for box in table.boxes]))
    for r, row in enumerate(table.cells):
        level = [box.middle for cell in row for box in cell if box.height > 0.7 * height]
        for c, cell in enumerate(row):
            left, right = cell_extent(table.columns, c, height)
            for box in order_rows(_join_lines(list(cell), slope)):
                region = box.region
                if level and box.height < 0.7 * height:
                    middle = min(level, key=lambda y: abs(y - box.middle))
                    region = replace(region, corners=_corners_on_page(box.left, box.right, middle, height, slope))
                if find_ink is not None and len(cell) == 1:
                    sides = (left, box.left), (box.right, right)
                    found = [find_ink(a, b, box.middle, height) for a, b in sides if b - a > 0.3 * height]
                    beside = [part for part in found if part is not None]
                    if beside:
                        region = replace(_join_regions([box, *beside]), confidence=region.confidence)
                lines.append(((r, c), region))
    return lines


def ink_finder(boxes: Sequence[LevelBox], slope: float, image: ColourImage | None) -> FindInk | None:
    """What finds ink on a page that no region covers. None without an image (H, W, 3) uint8, or without boxes.

    boxes, slope: as `level_boxes` returns them.
    """
    if image is None or not boxes:
        return None
    contrast = ink_contrast([box.region for box in boxes], image)

    def find(left: float, right: float, middle: float, height: float) -> LevelBox | None:
        corners = _corners_on_page(left, right, middle, height, slope)
        region = find_ink(image, corners, height, contrast)
        return None if region is None else _level_box(region, slope)

    return find


def _corners_on_page(left: float, right: float, middle: float, height: float, slope: float) -> Corners:
    """The corners on the page of a part of a row of the levelled page, a little higher than a line."""
    top, bottom = middle - 0.55 * height, middle + 0.55 * height
    level = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    c, s = np.cos(slope), np.sin(slope)
    corners: Corners = level @ np.array([[c, s], [-s, c]])
    return corners


def _add_fragments(box: LevelBox, slope: float, image: ColourImage) -> LevelBox:
    """The box with its fragments. Their left and right edges are those of the ink and a margin as detectors have it."""
    fragments = []
    for fragment in split_at_blanks(box.region, image):
        left, right = (box.left + share * box.width for share in fragment.ink)
        margin = THRESHOLDS.box_margin * box.height if fragment.ink != (0.0, 1.0) else 0.0
        fragments.append(replace(_level_box(fragment.region, slope), left=left - margin, right=right + margin))
    return replace(box, fragments=tuple(fragments))


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
    return [line[0] if len(line) == 1 else _join_boxes(line, slope) for line in lines]


def _join_boxes(line: list[LevelBox], slope: float) -> LevelBox:
    fragments = tuple(part for box in line for part in box.parts)
    return replace(_level_box(_join_regions(line), slope), fragments=fragments)


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


def _order_blocks(
    boxes: list[LevelBox], slope: float, find: FindInk | None, with_tables: bool = True
) -> list[list[LevelBox]]:
    """Blocks in reading order, each with its lines from top to bottom. A table is one box of a block.

    A block is a column, or what is above, between or below columns. The page is split recursively (XY-cut, Nagy and
    Seth 1984): first by the gap between two columns, else by the highest band of lines that contains columns. Tables
    are looked for on the page and in each of its columns.
    find: finds the ink of cells. with_tables: False where they were looked for already.
    """
    if with_tables:
        boxes = _set_tables_apart(boxes, slope, find)
    if len(boxes) < 2:
        return [boxes] if boxes else []
    split = _column_split(boxes)
    if split is not None:
        if split.x is None:
            return [order_rows(boxes)]
        left, right = [b for b in boxes if b.right <= split.x], [b for b in boxes if b.right > split.x]
        return _order_blocks(left, slope, find) + _order_blocks(right, slope, find)
    ordered, cuts = sorted(boxes, key=lambda b: b.top), [0]  # cuts: indices where a horizontal line crosses no box
    for k in range(1, len(ordered)):
        if max(b.bottom for b in ordered[:k]) - 0.3 * min(b.height for b in ordered) <= ordered[k].top:
            cuts.append(k)
    cuts.append(len(ordered))
    if len(cuts) <= len(boxes):  # some boxes are beside one another
        for start, end in sorted(combinations(cuts, 2), key=lambda span: span[0] - span[1]):
            if _column_split(ordered[start:end]) is not None:
                parts = ordered[:start], ordered[start:end], ordered[end:]
                return [block for part in parts for block in _order_blocks(part, slope, find, with_tables=False)]
    return [order_rows(boxes)]


def _set_tables_apart(boxes: list[LevelBox], slope: float, find: FindInk | None) -> list[LevelBox]:
    """The boxes with one box for each table among them instead of its cells."""
    parts = [part for box in boxes if box.table is None and box.region.curve is None for part in box.parts]
    tables = find_tables(parts, find)
    if not tables:
        return boxes
    taken = {id(part) for table in tables for part in table.boxes}
    rest: list[LevelBox] = []
    for box in boxes:
        left_over = [part for part in box.parts if id(part) not in taken]
        if len(left_over) == len(box.parts):
            rest.append(box)
        elif left_over:
            rest += _join_lines(left_over, slope)
    for table in tables:
        rest.append(replace(_level_box(_join_regions(table.boxes), slope), table=table))
    return rest


def _column_split(boxes: list[LevelBox]) -> ColumnSplit | None:
    """Where a block splits into two columns; None where it does not.

    No box crosses the gap, and both sides are columns. A gap between columns of prose is preferred to one inside a
    table.
    """
    height = _usual_height(boxes)
    ordered = sorted(boxes, key=lambda b: b.left)
    right_edge = ordered[0].right
    has_table = False
    for k in range(1, len(ordered)):
        gap = ordered[k].left - right_edge
        left, right = ordered[:k], ordered[k:]
        if gap > THRESHOLDS.column_gap * height and _is_column(left, height) and _is_column(right, height):
            max_cell_width = min(THRESHOLDS.cell_max_width * height, THRESHOLDS.cell_max_width_to_gap * gap)
            if any(b.table for b in boxes) or not is_table(left, right, max_cell_width):
                return ColumnSplit(right_edge + gap / 2)
            has_table = True
        right_edge = max(right_edge, ordered[k].right)
    return ColumnSplit(None) if has_table else None


def _is_column(boxes: list[LevelBox], height: float) -> bool:
    lines = sum(1 if b.table is None else len(b.table.cells) for b in boxes)
    return lines >= THRESHOLDS.column_min_lines and mean_width(boxes) > THRESHOLDS.column_min_width * height


def _usual_height(boxes: Sequence[LevelBox]) -> float:
    """The median height of the lines and cells among at least one box, px."""
    lines = (b.table.boxes if b.table else [b] for b in boxes)
    return float(np.median([line.height for members in lines for line in members]))


def _paragraph_starts(block: list[LevelBox]) -> list[bool]:
    """Which lines of a block start a paragraph: after a wide gap, with an indent, or in another size."""
    height = _usual_height(block)
    left_edge = min(b.left for b in block)
    gaps = [b.top - a.bottom for a, b in pairwise(block)]
    usual_gap = float(np.median(gaps)) if gaps else 0.0
    max_indent = THRESHOLDS.paragraph_indent * height
    starts = [True]
    for a, b, gap in zip(block, block[1:], gaps, strict=False):
        is_separate = gap > max(0.0, usual_gap) + THRESHOLDS.paragraph_gap * height
        is_indented = b.left - left_edge > max_indent and a.left - left_edge < 0.5 * max_indent
        is_other_size = max(a.height, b.height) > THRESHOLDS.max_height_ratio * min(a.height, b.height)
        starts.append(is_separate or is_indented or is_other_size or a.table is not None or b.table is not None)
    return starts
