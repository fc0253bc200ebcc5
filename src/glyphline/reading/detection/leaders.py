"""Leaders and rules drawn with characters: rows of dots and of dashes. Detectors lose the text beside them.

Dots stand between a title and its page number, dashes under the titles of a table that is drawn with characters.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.imaging.documents import ColourImage, GreyImage
from glyphline.imaging.normalization import page_has_bright_ink, to_grey

MIN_DOTS = 8  # of a row; an ellipsis has three, and texts have no row of eight full stops
MAX_SIDE = 0.45  # usual letter heights that a dot is wide or high at most; letters are higher
MIN_FILL = 0.65  # share of its bounding box that a dot fills; a disc fills pi / 4
MAX_DISTANCE = 5.0  # between the centres of neighbouring dots or dashes, in sizes of one
MAX_DASH_HEIGHT = 0.3  # usual letter heights that a dash is high at most
MAX_SIGN = 3.5  # side of a sign between dashes, in lengths of a dash


def ink_mask(grey: GreyImage, is_bright: bool) -> npt.NDArray[np.uint8]:
    """The ink of a page (H, W): 255 where it differs from the paper around it, uint8. is_bright: brighter than it."""
    dark_ink = 255 - grey if is_bright else grey
    mask = cv2.adaptiveThreshold(dark_ink, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 31, 20)
    return np.asarray(mask, np.uint8)


def erase_leaders(image: ColourImage) -> ColourImage:
    """The image (H, W, 3) uint8 with paper instead of rows of dots or dashes. The same image where there is none.

    A row has at least MIN_DOTS dots or dashes of about one size at about equal distances. It may slope a little. The
    signs between the dashes of a row, such as "+", are erased with it.
    """
    grey = to_grey(image)
    bright = page_has_bright_ink(grey)
    mask = ink_mask(grey, bright)
    _, labels, stats, centres = cv2.connectedComponentsWithStats(mask, connectivity=8)
    widths, heights = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    sides, areas = np.maximum(widths, heights), stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    areas[0] = 0  # the background
    letter_height = _letter_height(heights, areas)
    is_full = (areas >= 2) & (areas >= MIN_FILL * widths * heights)
    is_dot = is_full & (sides <= MAX_SIDE * letter_height) & (np.minimum(widths, heights) >= 0.5 * sides)
    is_dash = (
        is_full & (heights <= MAX_DASH_HEIGHT * letter_height) & (widths <= letter_height) & (heights < 0.7 * widths)
    )
    dots, dashes = (_rows_of(is_mark, centres, sides) for is_mark in (is_dot, is_dash))
    rows = [*dots, *dashes, *(_between(row, centres, sides) for row in dashes)]
    if not rows:
        return image
    erased = np.unique(np.concatenate(rows))
    reach = int(sides[erased].max()) // 2 + 2
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    area = cv2.dilate(np.isin(labels, erased).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    filled = cv2.morphologyEx(image, cv2.MORPH_OPEN if bright else cv2.MORPH_CLOSE, kernel)
    return np.where(area[..., None], filled, image)


def _letter_height(heights: npt.NDArray[np.int32], areas: npt.NDArray[np.float64]) -> float:
    """The median height of components, px, weighted by the square of their areas: many dots weigh less than letters."""
    order = np.argsort(heights)
    weights = np.cumsum(areas[order] ** 2)
    return float(heights[order[min(len(order) - 1, int(np.searchsorted(weights, weights[-1] / 2)))]])


def _between(
    row: npt.NDArray[np.intp], centres: npt.NDArray[np.float64], sides: npt.NDArray[np.int32]
) -> npt.NDArray[np.intp]:
    """The signs on the level of a row of dashes, between and beside them: components as large as a sign can be."""
    size = float(np.median(sides[row]))
    xs, ys = centres[row].T
    order = np.argsort(xs)
    level = np.interp(centres[:, 0], xs[order], ys[order])
    is_between = (centres[:, 0] > xs.min() - 3 * size) & (centres[:, 0] < xs.max() + 3 * size)
    return np.flatnonzero(is_between & (np.abs(centres[:, 1] - level) <= 0.5 * size) & (sides <= MAX_SIGN * size))


def _rows_of(
    is_mark: npt.NDArray[np.bool_], centres: npt.NDArray[np.float64], sides: npt.NDArray[np.int32]
) -> list[npt.NDArray[np.intp]]:
    """The rows of marks among components (N,): the indices of each. centres: (N, 2) px. sides: (N,) px."""
    marks = np.flatnonzero(is_mark)
    order = marks[np.lexsort((centres[marks, 1], centres[marks, 0]))]
    xs, ys, sizes_in_order = centres[order, 0], centres[order, 1], sides[order].astype(np.float64)
    following = np.full(len(order), -1)
    has_previous = np.zeros(len(order), np.bool_)
    for k in range(len(order)):
        size = sizes_in_order[k]
        near = np.arange(k + 1, int(np.searchsorted(xs, xs[k] + MAX_DISTANCE * size, side="right")))
        near = near[
            (np.abs(ys[near] - ys[k]) <= 0.5 * size + 0.5) & (np.abs(sizes_in_order[near] - size) <= 0.4 * size + 1)
        ]
        near = near[xs[near] > xs[k] + 0.8 * size]
        if len(near) and not has_previous[near[0]]:
            following[k] = near[0]
            has_previous[near[0]] = True
    rows = []
    for start in np.flatnonzero(~has_previous):
        row = [int(start)]
        while following[row[-1]] >= 0:
            row.append(int(following[row[-1]]))
        distances = np.diff(xs[row])
        if len(row) >= MIN_DOTS:
            usual = np.median(distances)
            even = np.abs(distances - usual) <= 0.25 * usual + 1
            if even.mean() > 0.8:
                rows.append(order[row])
    return rows
