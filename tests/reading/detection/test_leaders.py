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


@pytest.mark.parametrize("signs", ["", "+"])
def test_rows_of_dashes_are_erased_with_the_signs_between_them(signs: str) -> None:
    image = np.full((200, 700, 3), 240, np.uint8)
    cv2.putText(image, "A well-known title", (10, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2, cv2.LINE_AA)
    text = image.copy()
    for k in range(30):
        start = 20 + 14 * k
        cv2.line(image, (start, 100), (start + 7, 100), (20, 20, 20), 2)
        if signs and k % 10 == 0:
            cv2.line(image, (start + 4, 94), (start + 4, 106), (20, 20, 20), 2)
    assert np.abs(erase_leaders(image).astype(int) - text).max() < 40


def test_dashes_in_the_cells_of_a_row_stay() -> None:
    image = np.full((200, 900, 3), 240, np.uint8)
    for k in range(12):
        cv2.line(image, (20 + 70 * k, 100), (29 + 70 * k, 100), (20, 20, 20), 2)
    assert erase_leaders(image) is image


def test_leaders_of_a_page_on_a_dark_table_are_erased() -> None:
    image = np.full((600, 900, 3), 60, np.uint8)
    image[150:450, 100:800] = 235
    cv2.putText(image, "Title", (130, 260), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2, cv2.LINE_AA)
    text = image.copy()
    for k in range(40):
        cv2.circle(image, (260 + 9 * k, 260), 1, (20, 20, 20), -1, cv2.LINE_AA)
    assert np.abs(erase_leaders(image).astype(int) - text).max() < 40


def test_letters_of_one_height_are_no_leaders() -> None:
    image = np.full((100, 600, 3), 240, np.uint8)
    for k, letter in enumerate("recoversnoermouse"):
        cv2.putText(image, letter, (10 + 20 * k, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (20, 20, 20), 2, cv2.LINE_AA)
    assert erase_leaders(image) is image
