"""The columns of each character of a line: CTC gives the order and an approximate column, the ink gives the edges.

A CTC network emits a character in one or two time steps, anywhere within the character (Graves et al. 2006). The time
steps alone do not give its width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from glyphline.imaging.documents import GreyImage

INK_THRESHOLD = 90  # of 255; a column with a brighter pixel has ink
BORDER_PULL = 0.2  # cost of a border for each px from the middle of the two centres, in fully inked pixels
#: of the line height: how far at most the first and the last character extend outwards from their centres
OUTER_REACH = 0.6


def locate_characters(
    line: GreyImage, centres: Sequence[float], spaces: Sequence[bool]
) -> tuple[npt.NDArray[np.int64], ...]:
    """Find the columns of each character of a normalized line: (left, right), each (K,) int64 px, right exclusive.

    line: (H, W) uint8, bright ink on a background of 0. centres: the columns, in px, at which the K characters were
    read, in ascending order. spaces: whether each character is a space.
    The border between two neighbours is the column with the least ink between their centres, preferably near the
    middle. A character extends from its first to its last inked column between its borders. A space extends from the
    character before it to the character after it. Without ink, a character extends from border to border. The outer
    borders of the first and the last character are at most OUTER_REACH line heights from their centres.

    >>> line = np.zeros((20, 20), np.uint8)
    >>> line[:, 2:6], line[:, 9:17] = 255, 255
    >>> [side.tolist() for side in locate_characters(line, [3, 7, 10], [False, True, False])]
    [[2, 6, 9], [6, 9, 17]]
    """
    height, width = line.shape
    centre = np.clip(np.rint(centres), 0, width - 1).astype(np.int64)
    if len(centre) == 0:
        return centre, centre
    before, after = centre[:-1, None], centre[1:, None]
    columns = np.minimum(before + np.arange(max(1, int((after - before).max(initial=0)) + 1)), width - 1)
    cost = line.sum(axis=0, dtype=np.float32)[columns] / 255 + BORDER_PULL * np.abs(columns - (before + after) / 2)
    borders = centre[:-1] + np.where(columns <= after, cost, np.inf).argmin(axis=1)
    reach = round(OUTER_REACH * height)
    start = np.concatenate([[max(0, centre[0] - reach)], borders])
    end = np.concatenate([borders, [min(width, centre[-1] + reach)]])

    inked, every_column = line.max(axis=0) > INK_THRESHOLD, np.arange(width)
    next_inked = np.minimum.accumulate(np.where(inked, every_column, width)[::-1])[::-1]
    last_inked = np.maximum.accumulate(np.where(inked, every_column, -1))
    left, right = next_inked[np.minimum(start, width - 1)], last_inked[np.maximum(end - 1, 0)] + 1
    without_ink = np.asarray(spaces, bool) | (left >= right) | (left >= end) | (right <= start)
    left, right = np.where(without_ink, start, left), np.where(without_ink, np.maximum(end, start), right)
    for k in np.flatnonzero(spaces):
        left[k] = right[k - 1] if k else left[k]
        right[k] = max(left[k + 1] if k + 1 < len(centre) else right[k], left[k])
    return left, right
