"""Rectification: crop a line of a page as a level image, and map points of the crop back to the page."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from glyphline.imaging.documents import ColourImage
from glyphline.reading.detection.curved_text import CurvedOutline, curve_size, map_to_curve
from glyphline.reading.detection.regions import Corners, side_lengths
from glyphline.reading.thresholds import THRESHOLDS


def rectify(image: ColourImage, outline: Corners | CurvedOutline, margin: float = 0.0) -> ColourImage:
    """Crop the text inside an outline of an image (H, W, 3) as a level image (h, w, 3) uint8.

    Four corners are rectified by a perspective transform, a curved outline by sampling along it. margin: heights of the
    outline that are added above and below. h is at most `max_line_height` px. Pixels beyond the image repeat its edge.
    An outline to the right of the image or below it gives a white crop. The outline of the whole image, without a
    margin, gives the image itself, whatever its height.
    """
    h, w = image.shape[:2]
    if not margin and np.array_equal(outline, [(0, 0), (w, 0), (w, h), (0, h)]):
        return image
    outline = expand_outline(outline, margin)
    width, height = side_lengths(outline) if outline.ndim == 2 else curve_size(outline)
    scale = min(1.0, THRESHOLDS.max_line_height / max(1.0, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Only the part of a large image that is needed is touched. It is shrunk by area first, so that no stroke is lost.
    points = outline.reshape(-1, 2)
    low = np.floor(points.min(0)).astype(int).clip(0)
    high = np.ceil(points.max(0)).astype(int)
    part = image[low[1] : max(high[1], low[1] + 1), low[0] : max(high[0], low[0] + 1)]
    if part.size == 0:
        return np.full((size[1], size[0], 3), 255, np.uint8)
    source = outline - low
    if scale < 0.75:
        full_size = part.shape
        shrunk_size = (max(1, round(full_size[1] * scale)), max(1, round(full_size[0] * scale)))
        part = cv2.resize(part, shrunk_size, interpolation=cv2.INTER_AREA)
        source = source * (part.shape[1] / full_size[1], part.shape[0] / full_size[0])
    if outline.ndim == 3:
        across, down = np.meshgrid((np.arange(size[0]) + 0.5) / size[0], (np.arange(size[1]) + 0.5) / size[1])
        grid = (map_to_curve(source, np.stack([across, down], 2)) - 0.5).astype(np.float32)
        crop = cv2.remap(part, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    else:
        target = np.array([(0, 0), (size[0], 0), size, (0, size[1])], np.float32)
        transform = cv2.getPerspectiveTransform(source.astype(np.float32), target)
        crop = cv2.warpPerspective(part, transform, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def expand_outline(outline: Corners | CurvedOutline, margin: float) -> Corners | CurvedOutline:
    """The outline with its upper and lower edge each moved outwards. margin: share of the outline's height."""
    if outline.ndim == 3:
        offset = (outline[:, 1] - outline[:, 0]) * margin
        return np.stack([outline[:, 0] - offset, outline[:, 1] + offset], 1)
    upper_left, upper_right, lower_right, lower_left = outline
    left, right = (lower_left - upper_left) * margin, (lower_right - upper_right) * margin
    return np.array([upper_left - left, upper_right - right, lower_right + right, lower_left + left])


def map_to_page(
    outline: Corners | CurvedOutline, size: tuple[int, int], points: Sequence[tuple[float, float]]
) -> tuple[tuple[float, float], ...]:
    """Map points of a rectified line to its page, px (x, y).

    outline: where the line was cropped, its margin included. size: (width, height) of the crop, px. points: at least
    one, (x, y) in px of the crop.
    """
    w, h = size
    if outline.ndim == 3:
        mapped = map_to_curve(outline, np.array(points, np.float64) / (w, h))
    else:
        crop_corners = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32)
        transform = cv2.getPerspectiveTransform(crop_corners, outline.astype(np.float32))
        mapped = cv2.perspectiveTransform(np.array([points], np.float64), transform)[0]
    return tuple((x, y) for x, y in mapped.tolist())
