"""Page orientation: rotate images and points by quarter turns, and decide which way up the text is.

A quarter turn is 90 degrees counterclockwise. The decisions take counts of confident letters
(`glyphline.reading.rejection.confident_letters`), so that this module needs no recognizer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from glyphline.imaging.documents import ColourImage
from glyphline.reading.detection.regions import Region
from glyphline.reading.thresholds import THRESHOLDS


def rotate_quarters(image: ColourImage, quarters: int) -> ColourImage:
    """The image (H, W, 3) rotated counterclockwise by quarter turns; clockwise for a negative number."""
    return np.ascontiguousarray(np.rot90(image, quarters % 4))


def rotate_points(points: npt.NDArray[np.float64], quarters: int, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Points (..., 2) px (x, y) of an image of a shape (H, W, ...), after `rotate_quarters` of that image."""
    height, width = shape[:2]
    for _ in range(quarters % 4):
        points = np.stack([points[..., 1], width - points[..., 0]], -1)
        height, width = width, height
    return points


def is_sideways(regions: Sequence[Region]) -> bool:
    """Whether the heights of the vertical regions sum to more than the widths of the others (see `Region.size`)."""
    return sum(region.size[1] if region.is_vertical else -region.size[0] for region in regions) > 0


def is_clearly_upright(confident_letters: float, letters: int, quarters: int) -> bool:
    """Whether a page reads so well that the upside-down orientation need not be tried.

    confident_letters must be at least `upright_share` of the letters that were read. quarters: quarter turns of the
    page, 0 or 1. A page that was rotated is always tried both ways, and so is a page without letters.
    """
    return quarters == 0 and confident_letters >= THRESHOLDS.upright_share * letters > 0


def is_upside_down(confident_letters: float, confident_letters_rotated: float, quarters: int) -> bool:
    """Whether a page is upside down, from the confident letters of some of its lines, read as they are and rotated.

    quarters: quarter turns of the page before, 0 or 1. Sideways pages are rotated to either side equally often, but few
    pages are upside down: those need `upside_down_ratio` times as many letters.
    """
    return confident_letters_rotated > (1 if quarters else THRESHOLDS.upside_down_ratio) * confident_letters


def is_orientation_doubtful(confident_letters: float, letters: int, is_small: bool) -> bool:
    """Whether the page should be read rotated by a quarter turn too: few of its letters are confident.

    "Few" is less than `sideways_share`. A small image is also read again where it has no letter.
    is_small: the image has a side below `small_side`. A larger image without any letter is not read again: it is
    most often a photograph without text.
    """
    return confident_letters < THRESHOLDS.sideways_share * letters or (not letters and is_small)


def is_rotation_better(confident_letters: float, confident_letters_rotated: float) -> bool:
    """Whether the page has `upside_down_ratio` times as many confident letters after another quarter turn."""
    return confident_letters_rotated > THRESHOLDS.upside_down_ratio * confident_letters
