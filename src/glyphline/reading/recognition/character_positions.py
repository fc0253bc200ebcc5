"""Where the characters of a line stand: CTC says in which order and about where, the ink says from where to where.

CTC networks spike: they name a character in one or two steps, somewhere within it (Graves et al. 2006), so the steps
alone say too little of its width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from glyphline.imaging.documents import GreyImage

INKED = 90  # brightest pixel of a column that holds ink, of 255
PULL = 0.2  # how many inked pixels a border is worth for each px it lies nearer to the middle
REACH = 0.6  # heights of the line that the first and the last character may reach outwards


def places(line: GreyImage, centres: Sequence[float], spaces: Sequence[bool]) -> tuple[npt.NDArray[np.int64], ...]:
    """(left, right) columns of each character, each shape (K,), on a canonical line (H, W), ink bright.

    centres: columns at which the characters were read, in order; spaces: which of them leave no ink. Two neighbours
    are parted where the least ink lies between them, and each is as wide as its ink; a space fills what is between.

    >>> line = np.zeros((20, 20), np.uint8)
    >>> line[:, 2:6], line[:, 9:17] = 255, 255
    >>> [side.tolist() for side in places(line, [3, 7, 10], [False, True, False])]
    [[2, 6, 9], [6, 9, 17]]
    """
    height, width = line.shape
    at = np.clip(np.rint(centres), 0, width - 1).astype(np.int64)
    if len(at) == 0:
        return at, at
    before, after = at[:-1, None], at[1:, None]
    columns = np.minimum(before + np.arange(max(1, int((after - before).max(initial=0)) + 1)), width - 1)
    cost = line.sum(axis=0, dtype=np.float32)[columns] / 255 + PULL * np.abs(columns - (before + after) / 2)
    borders = at[:-1] + np.where(columns <= after, cost, np.inf).argmin(axis=1)
    reach = round(REACH * height)
    first = np.concatenate([[max(0, at[0] - reach)], borders])
    last = np.concatenate([borders, [min(width, at[-1] + reach)]])

    inked, every = line.max(axis=0) > INKED, np.arange(width)
    following = np.minimum.accumulate(np.where(inked, every, width)[::-1])[::-1]  # first inked column from here on
    foregoing = np.maximum.accumulate(np.where(inked, every, -1))  # last inked column up to here
    left, right = following[np.minimum(first, width - 1)], foregoing[np.maximum(last - 1, 0)] + 1
    bare = np.asarray(spaces, bool) | (left >= right) | (left >= last) | (right <= first)
    left, right = np.where(bare, first, left), np.where(bare, np.maximum(last, first), right)
    for k in np.flatnonzero(spaces):  # from ink to ink
        left[k] = right[k - 1] if k else left[k]
        right[k] = max(left[k + 1] if k + 1 < len(at) else right[k], left[k])
    return left, right
