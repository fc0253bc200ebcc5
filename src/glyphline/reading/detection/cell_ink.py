"""The ink of table cells: split regions at wide blanks, and find ink in cells where the detector found no text.

A detector may give one region for two cells beside one another, and it may miss a single digit. Both are told by the
ink: its polarity and contrast are those of the region, or of the filled cells of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.imaging.documents import ColourImage, GreyImage
from glyphline.imaging.normalization import to_grey
from glyphline.reading.detection.rectification import rectify
from glyphline.reading.detection.regions import Corners, Region
from glyphline.reading.thresholds import THRESHOLDS

INK_CONFIDENCE = (
    0.6  # the detector confidence of a region that only its ink tells; below it the recognizer has to be sure
)
EDGE_SHARE = 0.25  # of the height of a cell, at both edges, where ink that touches the edge is that of another row
NARROW = 2.0  # heights that a cell of few characters is wide at most


@dataclass(frozen=True)
class Fragment:
    """A part of a region between wide blanks."""

    region: Region  # the whole region where it has one part; else the part with a margin
    ink: tuple[float, float]  # where its ink begins and ends, fractions of the width of the whole region


def split_at_blanks(region: Region, image: ColourImage) -> list[Fragment]:
    """The parts of a region between blanks that are wider than between words, from left to right.

    image: (H, W, 3) uint8. A curved or a vertical region has one part, and so has one without ink. The outer edges of
    the first and the last part are those of the region.
    """
    width, height = region.size
    if region.curve is not None or min(width, height) < 4:
        return [Fragment(region, (0.0, 1.0))]
    crop = to_grey(rectify(image, region.corners))
    ink = _ink_columns(crop)
    size = len(ink)
    if not ink.any():
        return [Fragment(region, (0.0, 1.0))]
    first, last = int(ink.argmax()), size - int(ink[::-1].argmax())
    min_blank = THRESHOLDS.cell_blank * crop.shape[0]
    blanks = [(start, end) for start, end in _runs(~ink) if end - start > min_blank and first < start < last]
    if not blanks:
        return [Fragment(region, (first / size, last / size))]
    margin = THRESHOLDS.box_margin * crop.shape[0]  # what detectors leave around ink
    starts = [0.0, *(end - min(margin, (end - start) / 3) for start, end in blanks)]
    ends = [*(start + min(margin, (end - start) / 3) for start, end in blanks), float(size)]
    inks = zip([first, *(end for _, end in blanks)], [*(start for start, _ in blanks), last], strict=True)
    return [
        Fragment(
            replace(
                region, corners=slice_corners(region.corners, a / size, b / size), after_bar=region.after_bar and a == 0
            ),
            (left / size, right / size),
        )
        for a, b, (left, right) in zip(starts, ends, inks, strict=True)
    ]


def erase_other_rows(crop: ColourImage) -> ColourImage:
    """The crop (H, W, 3) uint8 of a cell of few characters with paper instead of the ink of the rows above and below.

    Their ink touches the upper or the lower edge and ends within EDGE_SHARE of the height. A dot of it makes a lone "1"
    look like "i" or "!".
    """
    height = crop.shape[0]
    mask = _ink_mask(to_grey(crop)).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    tops, bottoms = stats[:, cv2.CC_STAT_TOP], stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT]
    is_other = (tops == 0) & (bottoms <= EDGE_SHARE * height) | (bottoms == height) & (
        tops >= (1 - EDGE_SHARE) * height
    )
    is_other[0] = False  # the paper
    if not is_other.any():
        return crop
    area = cv2.dilate(is_other[labels].astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return np.where(area[..., None], np.median(crop[mask == 0], axis=0).astype(np.uint8), crop)


def blanks_of(crop: ColourImage) -> list[tuple[int, int]]:
    """The blanks between the ink of the crop (H, W, 3) uint8 of a line: where each starts and ends, px."""
    ink = _ink_columns(to_grey(crop))
    return [(start, end) for start, end in _runs(~ink) if start > 0 and end < len(ink)]


def _ink_columns(grey: GreyImage) -> npt.NDArray[np.bool_]:
    """Which columns of the crop (H, W) of a line hold ink. Rules above, below and between cells are no ink."""
    height = grey.shape[0]
    mask = _ink_mask(grey)
    mask = mask[height // 8 : max(height // 8 + 1, height - height // 8)]
    mask = mask & ~(mask.mean(axis=1) > 0.8)[:, None]  # a horizontal rule
    columns = mask.sum(axis=0)
    is_rule = columns >= 0.98 * len(mask)  # a vertical rule; no letter is as high as the region
    return np.asarray((columns > 0) & ~is_rule & ~_leader_columns(mask))


def _ink_mask(grey: GreyImage) -> npt.NDArray[np.bool_]:
    """Where the crop (H, W) of a line holds ink, (H, W): it covers less than paper."""
    threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    bright = grey > threshold
    return np.asarray(~bright if bright.mean() > 0.5 else bright)


def _leader_columns(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which columns of the ink of a line (H, W) belong to leaders: four dots or more, or a longer low line.

    A dot is low ink: at most a quarter of the line high, and in its lower half.
    """
    height, width = mask.shape
    has_ink = mask.any(axis=0)
    top = np.where(has_ink, mask.argmax(axis=0), height)
    bottom = np.where(has_ink, height - mask[::-1].argmax(axis=0), 0)
    is_low = has_ink & (bottom - top <= height / 4) & (top > 0.45 * height)
    leaders = np.zeros(width, np.bool_)
    for start, end in _runs(~has_ink | is_low):
        if not is_low[start:end].any():
            continue
        dots = _runs(is_low[start:end])
        first, last = start + dots[0][0], start + dots[-1][1]
        length = (last - first) / height
        if (len(dots) >= 4 and length > 1.2) or length > 3:
            leaders[first:last] = True
    return leaders


def _runs(values: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The start and end (exclusive) of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], values, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def slice_corners(corners: Corners, start: float, end: float) -> Corners:
    """The corners of the part of a region between two fractions (0..1) of its width."""
    upper_left, upper_right, lower_right, lower_left = corners
    upper, lower = upper_right - upper_left, lower_right - lower_left
    return np.array([upper_left + start * upper, upper_left + end * upper,
                     lower_left + end * lower, lower_left + start * lower])  # fmt: skip


@dataclass(frozen=True)
class InkContrast:
    """How the ink of a table differs from its paper."""

    is_dark: bool  # darker than the paper
    contrast: float  # 0..255, of the ink against the paper


def ink_contrast(regions: Sequence[Region], image: ColourImage) -> InkContrast:
    """The contrast of the ink of at least one region: the median of up to a dozen of them."""
    step = max(1, len(regions) // 12)
    differences = []
    for region in regions[::step]:
        low, middle, high = np.percentile(to_grey(rectify(image, region.corners)), (3, 50, 97))
        differences.append(low - middle if middle - low > high - middle else high - middle)
    difference = float(np.median(differences))
    return InkContrast(difference < 0, abs(difference))


def find_ink(image: ColourImage, corners: Corners, letter_height: float, ink: InkContrast) -> Region | None:
    """The region around the ink in an empty cell; None where there is no ink that can be a letter.

    corners: (4, 2) px, of the cell without its rules. letter_height: px, of the boxes of the table. Components that
    touch the upper or lower edge of the cell are rules or letters of other rows and do not count.
    """
    crop = to_grey(rectify(image, corners)).astype(np.float32)
    height, width = crop.shape
    paper = float(np.median(crop))
    difference = paper - crop if ink.is_dark else crop - paper
    mask = (difference > 0.5 * ink.contrast).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    scale = height / max(1.0, float(np.linalg.norm(corners[3] - corners[0])))  # px of the crop per px of the page
    letters = []
    for left, top, w, h, area in stats[1:].tolist():
        is_edge = top == 0 or top + h == height
        is_thin = h > 0.9 * height or w > 0.9 * width
        is_dash = w >= 2 * h and w > 0.12 * letter_height * scale
        is_large = max(w, h) > 0.25 * letter_height * scale and area > 5
        if not is_edge and not is_thin and (is_dash or is_large):
            letters.append((left, top, left + w, top + h))
    if not letters:
        return None
    left, top = (min(box[k] for box in letters) for k in (0, 1))
    right, bottom = (max(box[k] for box in letters) for k in (2, 3))
    if right - left > 3 * letter_height * scale:
        return None  # several letters are found by the detector; this is a pattern or a picture
    margin = 0.4 * letter_height * scale
    sides = (left - margin) / width, (right + margin) / width
    slab = slice_corners(corners, *sides)
    down = slab[3] - slab[0], slab[2] - slab[1]
    middle = (top + bottom) / 2 / height
    if bottom - top < 0.3 * letter_height * scale:  # a dash: its height on the line tells it from other marks
        middle = 0.5
    # Within these margins the recognizer reads the dashes and single characters of the pages that
    # benchmarks/tables.py composes for the fit (104 of 104 dashes; 102 with less beside them)
    half = 0.45 * letter_height * scale / height
    upper, lower = max(0.0, middle - half), min(1.0, middle + half)
    region = np.array([slab[0] + upper * down[0], slab[1] + upper * down[1],
                       slab[1] + lower * down[1], slab[0] + lower * down[0]])  # fmt: skip
    return Region(region, INK_CONFIDENCE)
