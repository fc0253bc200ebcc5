"""A recognizer of bar codes, whose correct output is known for any image without training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from glyphline.imaging.documents import GreyImage
from glyphline.reading.recognition.recognizers import ModelInfo

LETTERS = " abcdefg"


class BarCodeRecognizer:
    """Recognizes in a column the character whose id is the number of inked pairs of rows; no ink is the blank.

    stride: columns a step, of which the first counts. window: px, as of the network of patches.
    """

    def __init__(self, stride: int = 1, window: int = 0) -> None:
        self.info = ModelInfo("barcodes", LETTERS, 28, stride, "whole", window)
        self.batch_shapes: list[tuple[int, ...]] = []

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.batch_shapes.append(lines.shape)
        inked = (lines > 127).sum(axis=1)[:, :: self.info.stride]  # (N, T)
        classes = np.minimum(np.rint(inked / 2), len(LETTERS)).astype(int)
        confidences = 0.5 + 0.4 * (classes % 3) / 2  # neighbouring classes have different confidences
        others = np.log((1 - confidences) / len(LETTERS))
        out = np.repeat(others[:, :, None], len(LETTERS) + 1, axis=2).astype(np.float32)
        np.put_along_axis(out, classes[:, :, None], np.log(confidences)[:, :, None].astype(np.float32), axis=2)
        return out


def _draw_bar_code(text: str, width: int = 8, gap: int = 8, scale: int = 1) -> GreyImage:
    """Draw a text as bars `width` px wide, with `gap` px between and around them, all enlarged by `scale`."""
    image = np.zeros((28, (width + gap) * len(text) + gap), np.uint8)
    for k, character in enumerate(text):
        left = gap + k * (width + gap)
        image[: 2 * (LETTERS.index(character) + 1), left : left + width] = 255
    return np.kron(image, np.ones((scale, scale), np.uint8))


@pytest.fixture
def bar_code_recognizer() -> type[BarCodeRecognizer]:
    return BarCodeRecognizer


@pytest.fixture
def draw_bar_code() -> Callable[..., GreyImage]:
    return _draw_bar_code
