"""Lines cut out of a page stand level, and what is found on them is found on the page."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glyphline.reading.detection.rectification import (
    TALLEST,
    between,
    expand_outline,
    rectify,
    rotate_points,
    rotate_quarters,
)

PAGE = np.full((400, 600, 3), 255, np.uint8)
cv2.putText(PAGE, "abc", (220, 210), cv2.FONT_HERSHEY_SIMPLEX, 2, (200, 30, 30), 4)
PLACE = np.array([(210.0, 150), (350, 150), (350, 225), (210, 225)])


def test_a_level_line_is_cut_as_it_is() -> None:
    assert np.abs(rectify(PAGE, PLACE).astype(int) - PAGE[150:225, 210:350]).mean() < 3


@pytest.mark.parametrize("degrees", [-40, -15, 5, 30])
def test_a_slanted_line_is_made_level(degrees: float) -> None:
    turn = cv2.getRotationMatrix2D((300, 200), degrees, 1.0)
    page = cv2.warpAffine(PAGE, turn, (600, 400), borderValue=(255, 255, 255))
    corners = PLACE @ turn[:, :2].T + turn[:, 2]
    assert np.abs(rectify(page, corners).astype(int) - rectify(PAGE, PLACE)).mean() < 12


def test_perspective_is_undone() -> None:
    askew = np.array([(100.0, 80), (500, 40), (520, 300), (90, 220)], np.float32)
    view = cv2.getPerspectiveTransform(PLACE.astype(np.float32), askew)
    page = cv2.warpPerspective(PAGE, view, (600, 400), borderValue=(255, 255, 255))
    straight = cv2.resize(rectify(page, askew.astype(float)), (140, 75), interpolation=cv2.INTER_AREA)
    assert np.abs(straight.astype(int) - rectify(PAGE, PLACE)).mean() < 12


def test_large_lines_are_cut_small_and_none_beyond_the_page() -> None:
    large = cv2.resize(PAGE, None, fx=6, fy=6)
    assert rectify(large, PLACE * 6).shape[0] == TALLEST
    outside = PLACE + 1000
    assert rectify(PAGE, outside).shape == (75, 140, 3)
    half = rectify(PAGE, PLACE - np.array([280, 0]))
    assert half.shape == (75, 140, 3)


@pytest.mark.parametrize("quarters", [-1, 0, 1, 2, 3, 4])
def test_a_turned_page_keeps_its_lines(quarters: int) -> None:
    page = rotate_quarters(PAGE, quarters)
    corners = rotate_points(PLACE, quarters, PAGE.shape)
    assert np.abs(rectify(page, corners).astype(int) - rectify(PAGE, PLACE)).mean() < 12
    assert np.allclose(rotate_points(corners, -quarters, page.shape), PLACE)


def test_parts_and_margins_of_a_line() -> None:
    assert np.allclose(between(PLACE, 0.0, 0.5), [(210, 150), (280, 150), (280, 225), (210, 225)])
    assert np.allclose(expand_outline(PLACE, 0.2), [(210, 135), (350, 135), (350, 240), (210, 240)])
