"""Rectification: crops are level, and coordinates map back to the page."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glyphline.reading.detection.orientation import rotate_points, rotate_quarters
from glyphline.reading.detection.rectification import expand_outline, rectify
from glyphline.reading.thresholds import THRESHOLDS

PAGE = np.full((400, 600, 3), 255, np.uint8)
cv2.putText(PAGE, "abc", (220, 210), cv2.FONT_HERSHEY_SIMPLEX, 2, (200, 30, 30), 4)
CORNERS = np.array([(210.0, 150), (350, 150), (350, 225), (210, 225)])


def test_level_line_is_cropped_unchanged() -> None:
    assert np.abs(rectify(PAGE, CORNERS).astype(int) - PAGE[150:225, 210:350]).mean() < 3


@pytest.mark.parametrize("degrees", [-40, -15, 5, 30])
def test_skewed_line_is_levelled(degrees: float) -> None:
    rotation = cv2.getRotationMatrix2D((300, 200), degrees, 1.0)
    page = cv2.warpAffine(PAGE, rotation, (600, 400), borderValue=(255, 255, 255))
    corners = CORNERS @ rotation[:, :2].T + rotation[:, 2]
    assert np.abs(rectify(page, corners).astype(int) - rectify(PAGE, CORNERS)).mean() < 12


def test_perspective_is_rectified() -> None:
    quadrilateral = np.array([(100.0, 80), (500, 40), (520, 300), (90, 220)], np.float32)
    perspective = cv2.getPerspectiveTransform(CORNERS.astype(np.float32), quadrilateral)
    page = cv2.warpPerspective(PAGE, perspective, (600, 400), borderValue=(255, 255, 255))
    rectified = cv2.resize(rectify(page, quadrilateral.astype(float)), (140, 75), interpolation=cv2.INTER_AREA)
    assert np.abs(rectified.astype(int) - rectify(PAGE, CORNERS)).mean() < 12


def test_crops_are_limited_in_height_and_may_leave_the_page() -> None:
    large = cv2.resize(PAGE, None, fx=6, fy=6)
    assert rectify(large, CORNERS * 6).shape[0] == THRESHOLDS.max_line_height
    outside = CORNERS + 1000
    assert rectify(PAGE, outside).shape == (75, 140, 3)
    half = rectify(PAGE, CORNERS - np.array([280, 0]))
    assert half.shape == (75, 140, 3)


@pytest.mark.parametrize("quarters", [-1, 0, 1, 2, 3, 4])
def test_rotated_page_has_the_same_crops(quarters: int) -> None:
    page = rotate_quarters(PAGE, quarters)
    corners = rotate_points(CORNERS, quarters, PAGE.shape)
    assert np.abs(rectify(page, corners).astype(int) - rectify(PAGE, CORNERS)).mean() < 12
    assert np.allclose(rotate_points(corners, -quarters, page.shape), CORNERS)


def test_expanded_outline_has_a_margin_above_and_below() -> None:
    assert np.allclose(expand_outline(CORNERS, 0.2), [(210, 135), (350, 135), (350, 240), (210, 240)])
