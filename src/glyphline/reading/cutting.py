"""Four corners on a page -> a level picture of the line between them; pages turned by quarters."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.picture import Colour
from glyphline.reading.finders import Corners
from glyphline.reading.order import sides

TALLEST = 128  # px; lines are cut out no taller, for nothing reads more of them


def cut(picture: Colour, corners: Corners, margin: float = 0.0) -> Colour:
    """The part of a picture (H, W, 3) between four corners, made level by perspective: (h, w, 3), h at most TALLEST.

    margin: share of the height that is added above and below, where the picture goes on.
    """
    h, w = picture.shape[:2]
    if not margin and np.array_equal(corners, [(0, 0), (w, 0), (w, h), (0, h)]):
        return picture
    wide, tall = sides(corners)
    if margin:
        corners = widened(corners, margin)
        tall *= 1 + 2 * margin
    shrunk = min(1.0, TALLEST / max(1.0, tall))
    size = max(1, round(wide * shrunk)), max(1, round(tall * shrunk))
    # Only what is needed of a large picture is touched, shrunk first by whole areas so that no stroke falls through.
    low = np.floor(corners.min(0)).astype(int).clip(0)
    high = np.ceil(corners.max(0)).astype(int)
    part = picture[low[1] : max(high[1], low[1] + 1), low[0] : max(high[0], low[0] + 1)]
    if part.size == 0:
        return np.full((size[1], size[0], 3), 255, np.uint8)
    where = corners - low
    if shrunk < 0.75:
        before = part.shape
        small = (max(1, round(before[1] * shrunk)), max(1, round(before[0] * shrunk)))
        part = cv2.resize(part, small, interpolation=cv2.INTER_AREA)
        where = where * (part.shape[1] / before[1], part.shape[0] / before[0])
    target = np.array([(0, 0), (size[0], 0), size, (0, size[1])], np.float32)
    turn = cv2.getPerspectiveTransform(where.astype(np.float32), target)
    return np.asarray(
        cv2.warpPerspective(part, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def widened(corners: Corners, margin: float) -> Corners:
    """Corners moved apart across the text, each side by a share of the height."""
    upper_left, upper_right, lower_right, lower_left = corners
    left, right = (lower_left - upper_left) * margin, (lower_right - upper_right) * margin
    return np.array([upper_left - left, upper_right - right, lower_right + right, lower_left + left])


def between(corners: Corners, start: float, end: float) -> Corners:
    """The corners of what lies between two shares (0..1) of a line's width."""
    upper_left, upper_right, lower_right, lower_left = corners
    upper, lower = upper_right - upper_left, lower_right - lower_left
    return np.array(
        [upper_left + start * upper, upper_left + end * upper, lower_left + end * lower, lower_left + start * lower]
    )


def onto(
    corners: Corners, size: tuple[int, int], points: Sequence[tuple[float, float]]
) -> tuple[tuple[float, float], ...]:
    """Where points of a line that was cut out, (width, height) px large, lie on its page."""
    w, h = size
    from_ = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32)
    turn = cv2.getPerspectiveTransform(from_, corners.astype(np.float32))
    moved = cv2.perspectiveTransform(np.array([points], np.float64), turn)[0]
    return tuple((float(x), float(y)) for x, y in moved)


def turned(picture: Colour, quarters: int) -> Colour:
    """The picture turned by quarters of a circle, anticlockwise."""
    return np.ascontiguousarray(np.rot90(picture, quarters % 4))


def turned_corners(corners: Corners, quarters: int, shape: tuple[int, ...]) -> Corners:
    """Where corners of a picture of a shape (H, W, ...) lie once it is turned by quarters, anticlockwise."""
    points: npt.NDArray[np.float64] = corners
    height, width = shape[:2]
    for _ in range(quarters % 4):
        points = np.stack([points[:, 1], width - points[:, 0]], 1)
        height, width = width, height
    return points
