"""Text regions: four corners or a curved outline on the page, with the detector's confidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.reading.detection.curved_text import CurvedOutline, curve_size, orient_left_to_right
from glyphline.reading.thresholds import THRESHOLDS

Corners = npt.NDArray[np.float64]  # (4, 2) px (x, y), clockwise from the start of the text along its upper edge


@dataclass(frozen=True)
class Region:
    """A region of text: a line, or a part of a line."""

    corners: Corners
    confidence: float  # 0..1, that the region holds text
    curve: CurvedOutline | None = None  # the exact outline of curved text, inside the corners
    after_bar: bool = False  # a bar between the cells of a table stands before it

    @property
    def outline(self) -> Corners | CurvedOutline:
        """The exact outline: the curve where there is one, else the corners."""
        return self.corners if self.curve is None else self.curve

    @property
    def size(self) -> tuple[float, float]:
        """Width along the text and height across it, px."""
        return side_lengths(self.corners) if self.curve is None else curve_size(self.curve)

    @property
    def is_vertical(self) -> bool:
        """Whether the text runs up or down instead of across.

        A region without a curve is vertical if its height exceeds `vertical_aspect` widths, a curve if its ends are
        farther apart vertically than horizontally.
        """
        if self.curve is not None:
            across, down = np.abs((self.curve[-1] - self.curve[0]).sum(0))
            return bool(down > across)
        width, height = self.size
        return height > THRESHOLDS.vertical_aspect * width

    def transform(self, mapping: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Region:
        """The region with its points (..., 2) mapped. Its corners and curve run from left to right again."""
        curve = None if self.curve is None else orient_left_to_right(mapping(self.curve))
        return replace(self, corners=order_corners(mapping(self.corners)), curve=curve)

    def begin_at_other_end(self) -> Region:
        """The region of the same text if that is upside down: it begins at the lower right corner."""
        return replace(
            self, corners=np.roll(self.corners, -2, 0), curve=None if self.curve is None else self.curve[::-1, ::-1]
        )


def side_lengths(corners: Corners) -> tuple[float, float]:
    """Mean width along the text and mean height across it, px."""
    width = np.linalg.norm(corners[1] - corners[0]) + np.linalg.norm(corners[2] - corners[3])
    height = np.linalg.norm(corners[3] - corners[0]) + np.linalg.norm(corners[2] - corners[1])
    return float(width / 2), float(height / 2)


def order_corners(corners: npt.NDArray[np.floating[Any]]) -> Corners:
    """Four corners (4, 2) in clockwise order.

    The first side is the one that is closest to horizontal and runs right.
    """
    from_centre = corners - corners.mean(0)
    clockwise = corners[np.argsort(np.arctan2(from_centre[:, 1], from_centre[:, 0]))].astype(np.float64)
    sides = np.roll(clockwise, -1, 0) - clockwise
    first = int(np.argmax(sides[:, 0] / np.maximum(1e-9, np.hypot(*sides.T))))
    return np.roll(clockwise, -first, 0)


def minimum_area_rectangle(points: npt.NDArray[np.floating[Any]]) -> Corners:
    """The corners of the rotated rectangle of minimum area around points (..., 2), in the order of `order_corners`."""
    return order_corners(cv2.boxPoints(cv2.minAreaRect(points.reshape(-1, 2).astype(np.float32))))
