"""Where text is on a page -> a level image of that line; pages turned by quarters."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.imaging.documents import ColourImage
from glyphline.reading.detection.curved_text import CurvedOutline, at, size_of
from glyphline.reading.detection.detectors import Corners, sides

TALLEST = 128  # px; lines are cut out no taller, for nothing reads more of them


def rectify(image: ColourImage, place: Corners | CurvedOutline, margin: float = 0.0) -> ColourImage:
    """The text at a place of an image (H, W, 3), made level: (h, w, 3), h at most TALLEST.

    Between four corners by perspective, along a bend by straightening it. margin: share of the height that is added
    above and below, where the image goes on.
    """
    h, w = image.shape[:2]
    if not margin and np.array_equal(place, [(0, 0), (w, 0), (w, h), (0, h)]):
        return image
    place = expand_outline(place, margin)
    wide, tall = sides(place) if place.ndim == 2 else size_of(place)
    shrunk = min(1.0, TALLEST / max(1.0, tall))
    size = max(1, round(wide * shrunk)), max(1, round(tall * shrunk))
    # Only what is needed of a large image is touched, shrunk first by whole areas so that no stroke falls through.
    points = place.reshape(-1, 2)
    low = np.floor(points.min(0)).astype(int).clip(0)
    high = np.ceil(points.max(0)).astype(int)
    part = image[low[1] : max(high[1], low[1] + 1), low[0] : max(high[0], low[0] + 1)]
    if part.size == 0:
        return np.full((size[1], size[0], 3), 255, np.uint8)
    where = place - low
    if shrunk < 0.75:
        before = part.shape
        small = (max(1, round(before[1] * shrunk)), max(1, round(before[0] * shrunk)))
        part = cv2.resize(part, small, interpolation=cv2.INTER_AREA)
        where = where * (part.shape[1] / before[1], part.shape[0] / before[0])
    if place.ndim == 3:
        across, down = np.meshgrid((np.arange(size[0]) + 0.5) / size[0], (np.arange(size[1]) + 0.5) / size[1])
        sampled = (at(where, np.stack([across, down], 2)) - 0.5).astype(np.float32)
        level = cv2.remap(part, sampled, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    else:
        target = np.array([(0, 0), (size[0], 0), size, (0, size[1])], np.float32)
        turn = cv2.getPerspectiveTransform(where.astype(np.float32), target)
        level = cv2.warpPerspective(part, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(level, np.uint8)


def expand_outline(place: Corners | CurvedOutline, margin: float) -> Corners | CurvedOutline:
    """A place whose sides are moved apart across the text, each by a share of the height."""
    if place.ndim == 3:
        reach = (place[:, 1] - place[:, 0]) * margin
        return np.stack([place[:, 0] - reach, place[:, 1] + reach], 1)
    upper_left, upper_right, lower_right, lower_left = place
    left, right = (lower_left - upper_left) * margin, (lower_right - upper_right) * margin
    return np.array([upper_left - left, upper_right - right, lower_right + right, lower_left + left])


def between(corners: Corners, start: float, end: float) -> Corners:
    """The corners of what lies between two shares (0..1) of a line's width."""
    upper_left, upper_right, lower_right, lower_left = corners
    upper, lower = upper_right - upper_left, lower_right - lower_left
    return np.array(
        [upper_left + start * upper, upper_left + end * upper, lower_left + end * lower, lower_left + start * lower]
    )


def map_to_page(
    place: Corners | CurvedOutline, size: tuple[int, int], points: Sequence[tuple[float, float]]
) -> tuple[tuple[float, float], ...]:
    """Where points of a line that was cut out, (width, height) px large, lie on its page."""
    w, h = size
    if place.ndim == 3:
        moved = at(place, np.array(points, np.float64) / (w, h))
    else:
        from_ = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32)
        turn = cv2.getPerspectiveTransform(from_, place.astype(np.float32))
        moved = cv2.perspectiveTransform(np.array([points], np.float64), turn)[0]
    return tuple((float(x), float(y)) for x, y in moved)


def rotate_quarters(image: ColourImage, quarters: int) -> ColourImage:
    """The image turned by quarters of a circle, anticlockwise."""
    return np.ascontiguousarray(np.rot90(image, quarters % 4))


def rotate_points(points: npt.NDArray[np.float64], quarters: int, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Where points (..., 2) of an image of a shape (H, W, ...) lie once it is turned by quarters, anticlockwise."""
    height, width = shape[:2]
    for _ in range(quarters % 4):
        points = np.stack([points[..., 1], width - points[..., 0]], -1)
        height, width = width, height
    return points
