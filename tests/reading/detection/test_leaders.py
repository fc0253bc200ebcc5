"""Rows of dots are erased, text is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glyphline.reading.detection.leaders import erase_leaders


@pytest.mark.parametrize("bright", [False, True])
@pytest.mark.parametrize("slope", [0.0, 0.02])
def test_leaders_are_erased_and_text_stays(slope: float, bright: bool) -> None:
    image = np.full((200, 700, 3), 240, np.uint8)
    cv2.putText(image, "Title i. e. ...", (10, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2, cv2.LINE_AA)
    text = 255 - image if bright else image.copy()
    for k in range(40):
        cv2.circle(image, (260 + 9 * k, round(60 + slope * 9 * k)), 1, (20, 20, 20), -1, cv2.LINE_AA)
    erased = erase_leaders(255 - image if bright else image)
    assert np.abs(erased.astype(int) - text).max() < 40


def test_image_without_leaders_is_returned_as_it_is() -> None:
    image = np.full((100, 300, 3), 240, np.uint8)
    assert erase_leaders(image) is image
    cv2.putText(image, "Six . . . . . .", (10, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2, cv2.LINE_AA)
    assert erase_leaders(image) is image


def test_letters_of_one_height_are_no_leaders() -> None:
    image = np.full((100, 600, 3), 240, np.uint8)
    for k, letter in enumerate("recoversnoermouse"):
        cv2.putText(image, letter, (10 + 20 * k, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (20, 20, 20), 2, cv2.LINE_AA)
    assert erase_leaders(image) is image
