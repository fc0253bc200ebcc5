"""A reader of bar codes: a recognizer whose right answer is known for any image, without any training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from glyphline.imaging.documents import GreyImage
from glyphline.reading.recognition.recognizers import ModelInfo

LETTERS = " abcdefg"


class BarCodes:
    """Says the character whose number is how many pairs of rows are inked in a column; none is the blank.

    stride: columns a step, of which the first counts; window: as the report's patches have one.
    """

    def __init__(self, stride: int = 1, window: int = 0) -> None:
        self.info = ModelInfo("barcodes", LETTERS, 28, stride, "whole", window)
        self.batches: list[tuple[int, ...]] = []

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.batches.append(lines.shape)
        inked = (lines > 127).sum(axis=1)[:, :: self.info.stride]  # (N, T)
        said = np.minimum(np.rint(inked / 2), len(LETTERS)).astype(int)
        sure = 0.5 + 0.4 * (said % 3) / 2  # each character has a confidence of its own
        others = np.log((1 - sure) / len(LETTERS))
        out = np.repeat(others[:, :, None], len(LETTERS) + 1, axis=2).astype(np.float32)
        np.put_along_axis(out, said[:, :, None], np.log(sure)[:, :, None].astype(np.float32), axis=2)
        return out


def bar_code(text: str, width: int = 8, gap: int = 8, scale: int = 1) -> GreyImage:
    """The image of a text: bars `width` px wide, `gap` px between them and around, `scale` times as large."""
    image = np.zeros((28, (width + gap) * len(text) + gap), np.uint8)
    for k, character in enumerate(text):
        left = gap + k * (width + gap)
        image[: 2 * (LETTERS.index(character) + 1), left : left + width] = 255
    return np.kron(image, np.ones((scale, scale), np.uint8))


@pytest.fixture
def bar_codes() -> type[BarCodes]:
    return BarCodes


@pytest.fixture
def drawn() -> Callable[..., GreyImage]:
    return bar_code
