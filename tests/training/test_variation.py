"""vary: changes of the image of a labelled line are functions of a number, and leave the writing readable."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glyphline.training.variation import vary


def line_image(height: int, ink: int, paper: int) -> np.ndarray:
    image = np.full((height, 6 * height), paper, np.uint8)
    cv2.putText(image, "some words", (4, height * 2 // 3), cv2.FONT_HERSHEY_SIMPLEX, height / 50, ink, 2, cv2.LINE_AA)
    return image


@pytest.mark.parametrize(("height", "ink", "paper"), [(48, 40, 200), (28, 255, 0), (1, 40, 200), (8, 40, 200)])
def test_image_keeps_its_height_and_its_ink(height: int, ink: int, paper: int) -> None:
    image = line_image(height, ink, paper)
    for number in range(30):
        changed = vary(image, number)
        assert changed.dtype == np.uint8 and changed.shape[0] == height
        assert 0.7 < changed.shape[1] / image.shape[1] < 1.4 and np.array_equal(changed, vary(image, number))
        if height > 8:
            contrast = np.abs(image.astype(float) - paper).sum() / abs(ink - paper)
            assert 0.3 < np.abs(changed.astype(float) - paper).sum() / abs(ink - paper) / contrast < 3


def test_numbers_change_differently_and_strength_0_nothing() -> None:
    image = line_image(48, 40, 200)
    assert len({vary(image, number).tobytes() for number in range(20)}) == 20
    assert np.array_equal(vary(image, 5, 0.0), image)
    near = [vary(image, number, 0.01) for number in range(5)]
    assert all(abs(changed.shape[1] - image.shape[1]) <= 1 for changed in near)


def test_colour_is_kept() -> None:
    image = np.repeat(line_image(48, 40, 200)[:, :, None], 3, axis=2)
    image[..., 0] = 255
    changed = vary(image, 3)
    assert changed.shape[2] == 3 and changed[..., 0].mean() > changed[..., 1].mean() + 20
