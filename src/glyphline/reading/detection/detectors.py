"""FAMILY: text detectors. An image of a page (H, W, 3) -> the regions of text on it.

Contract: a detector is called with a colour image and returns its regions in any order. `reading_order` joins the
regions of one line and orders the lines. To add a detector: write a class with `__call__` and add a row to DETECTORS at
the bottom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.errors import UserError, nearest
from glyphline.imaging.documents import ColourImage, GreyImage
from glyphline.imaging.normalization import ink_is_bright, to_grey
from glyphline.reading.detection.curved_text import fit_curved_outline
from glyphline.reading.detection.leaders import erase_leaders
from glyphline.reading.detection.regions import Region, minimum_area_rectangle, order_corners
from glyphline.reading.onnx_models import open_session, pp_ocr_input
from glyphline.reading.thresholds import THRESHOLDS


class Detector(Protocol):
    """Detects text on a page."""

    def __call__(self, image: ColourImage) -> list[Region]:
        """The regions of text on an image (H, W, 3) uint8, in any order, positions in px of the image."""


@dataclass(frozen=True)
class SingleLine:
    """Treats the whole image as one line, with confidence 1."""

    def __call__(self, image: ColourImage) -> list[Region]:
        h, w = image.shape[:2]
        return [Region(np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float64), 1.0)]


def is_small(image: ColourImage | GreyImage) -> bool:
    """Whether the shorter side of an image is below `small_side`. Letters may fill such an image to its edges."""
    return bool(min(image.shape[:2]) < THRESHOLDS.small_side)


def _border_width(image: ColourImage | GreyImage, share: float) -> int:
    """px of border to add around a small image: a share of its shorter side. 0 for other images."""
    return round(share * min(image.shape[:2])) if is_small(image) else 0


# --------------------------------------------------------------------------------------------------------- DBNet


DETECTOR_FILE = "detector.onnx"  # in models/, written by benchmarks/bundle_detector.py


@lru_cache(maxsize=1)
def _open_dbnet() -> Any:
    with resources.as_file(resources.files("glyphline.models").joinpath(DETECTOR_FILE)) as path:
        return open_session(path)


@dataclass(frozen=True)
class DbNetDetector:
    """PP-OCR's text detector: differentiable binarization (Liao et al. 2020, https://arxiv.org/abs/1911.08947).

    The network gives a probability map. Connected pixels above `map_threshold` become a minimum-area rectangle or,
    where the text is curved, a curved outline. A region is kept if its shorter side is at least 3 px of the map and the
    mean probability inside it is at least `min_score`. Its confidence is this mean. It is then expanded by `expansion`
    x area / perimeter, because the map shows text shrunk. The three values are RapidOCR's defaults (`thresh`,
    `box_thresh`, `unclip_ratio` in its configuration). The network is PP-OCRv6's small detector (PaddleOCR,
    Apache-2.0). Rows of dots are erased first.
    """

    max_side: int = 1280  # px; images with a longer side are shrunk to it
    min_side: int = 640  # px; images whose longer side is shorter are enlarged to it
    map_threshold: float = 0.3  # probability, 0..1
    min_score: float = 0.5  # mean probability, 0..1
    expansion: float = 1.6

    def __call__(self, image: ColourImage) -> list[Region]:
        image = erase_leaders(image)
        border = _border_width(image, 0.5)
        if border:  # the network detects few letters that touch the edge of the image
            image = cv2.copyMakeBorder(image, *(border,) * 4, cv2.BORDER_REPLICATE)
        h, w = image.shape[:2]
        scale = min(self.max_side / max(h, w), max(1.0, self.min_side / max(h, w)))
        size = tuple(max(32, round(side * scale / 32) * 32) for side in (w, h))
        resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        session = _open_dbnet()
        probability_map = session.run(None, {session.get_inputs()[0].name: pp_ocr_input(resized[None])})[0][0, 0]
        regions = self._regions(probability_map, np.array([w / size[0], h / size[1]]))
        if not border:
            return regions
        shifted = [region.transform(lambda points: points - border) for region in regions]
        return [replace(region, corners=region.corners.clip(0, (w - 2 * border, h - 2 * border))) for region in shifted]

    def _regions(self, probability_map: npt.NDArray[np.float32], map_to_image: npt.NDArray[np.float64]) -> list[Region]:
        """The regions of a probability map (H, W) 0..1. map_to_image: px of the image per px of the map, (x, y)."""
        mask = cv2.dilate((probability_map > self.map_threshold).astype(np.uint8), np.ones((2, 2), np.uint8))
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        regions = []
        for contour in contours:
            centre, (width, height), angle = cv2.minAreaRect(contour)
            if min(width, height) < 3:
                continue
            curve = None
            if (
                min(width, height) >= THRESHOLDS.curve_min_height
                and cv2.contourArea(contour) < THRESHOLDS.curve_max_fill * width * height
            ):
                curve = fit_curved_outline(_pixels_inside(contour), min(width, height), self.expansion)
            if curve is None:
                polygon = cv2.boxPoints((centre, (width, height), angle))
                offset = self.expansion * width * height / (2 * (width + height))
                expanded = cv2.boxPoints((centre, (width + 2 * offset, height + 2 * offset), angle))
                corners = order_corners(expanded * map_to_image)
            else:
                polygon = contour[:, 0].astype(np.float32)
                curve *= map_to_image
                corners = minimum_area_rectangle(curve)
            confidence = _mean_inside(probability_map, polygon)
            if confidence >= self.min_score:
                regions.append(Region(corners, confidence, curve))
        return regions


def _pixels_inside(contour: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """(N, 2) px (x, y): the pixels inside a contour of OpenCV."""
    left, top, width, height = cv2.boundingRect(contour)
    mask = np.zeros((height, width), np.uint8)
    cv2.drawContours(mask, [contour - (left, top)], 0, 1, cv2.FILLED)
    return np.asarray(np.argwhere(mask)[:, ::-1] + (left, top), np.float64)


def _mean_inside(values: npt.NDArray[np.float32], polygon: npt.NDArray[np.float32]) -> float:
    """The mean of (H, W) values inside a polygon (N, 2) px (x, y)."""
    last = np.array(values.shape[::-1]) - 1
    left, top = np.floor(polygon.min(0)).clip(0, last).astype(int)
    right, bottom = np.ceil(polygon.max(0)).clip(0, last).astype(int)
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(polygon - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(values[top : bottom + 1, left : right + 1], mask)[0])


# ----------------------------------------------------------------------------------------------------------- ink


@dataclass(frozen=True)
class InkDetector:
    """Detects writing on even paper from its ink: connected components, the skew of their rows, and the rows.

    For scans and photographed notes. On other photographs it takes any dark detail for ink. Bright ink on dark paper
    and pages that lie on their side are detected too. Ruled lines, frames, specks and large dark areas are left out. An
    image with fewer than two components that can be letters has no region. The confidence of a region is 1.
    """

    max_side: int = 1600  # px; images with a longer side are shrunk to it
    max_skew: float = 15.0  # degrees that the rows, or those of a page on its side, may slope to either side

    def __call__(self, image: ColourImage) -> list[Region]:
        grey = to_grey(image)
        border = _border_width(grey, 1.0)
        if border:
            edges = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
            grey = cv2.copyMakeBorder(grey, *(border,) * 4, cv2.BORDER_CONSTANT, value=[float(np.median(edges))])
        scale = min(1.0, self.max_side / max(grey.shape))
        small = _shrink(grey, scale)
        labels, components = _text_components(_ink_mask(255 - small if ink_is_bright(small) else small))
        if len(components) < 2:
            return []
        letter_height = _usual_height(components)
        heights, widths = components[:, cv2.CC_STAT_HEIGHT], components[:, cv2.CC_STAT_WIDTH]
        is_rule = (heights < THRESHOLDS.dash_max_height * letter_height) & (
            widths > THRESHOLDS.dash_min_width * letter_height
        )
        components = components[~is_rule & (heights < THRESHOLDS.ink_max_letter_height * letter_height)]
        ink = np.isin(labels, components[:, -1]).astype(np.uint8) * 255
        deskew, size = _deskew_transform(ink, self._skew(ink, letter_height))
        level = cv2.warpAffine(ink, deskew, size, flags=cv2.INTER_AREA)
        to_image = cv2.invertAffineTransform(deskew)
        regions = []
        for left, top, right, bottom in _text_rows(level, letter_height):
            corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
            mapped = corners @ to_image[:, :2].T + to_image[:, 2]
            regions.append(Region(order_corners(mapped / scale - border), 1.0))
        return regions

    def _skew(self, ink: npt.NDArray[np.uint8], letter_height: float) -> float:
        """Degrees by which the rows run down to the right; near 90 for a page that lies on its side.

        Rotated back by the right angle, the ink of the rows forms the sharpest horizontal bands.
        """
        small = _shrink(ink, 4 / letter_height)

        def sharpest(angles: npt.NDArray[np.float64]) -> tuple[float, float]:
            return max((_profile_sharpness(small, float(degrees)), float(degrees)) for degrees in angles)

        coarse = np.arange(-self.max_skew, self.max_skew + 0.1, 1.5)
        _, estimate = max(sharpest(coarse), sharpest(coarse + 90))
        return sharpest(np.arange(estimate - 1.5, estimate + 1.6, 0.25))[1]


def _shrink(grey: GreyImage, scale: float) -> GreyImage:
    """The image scaled down to at least one px in each direction. A scale of 1 or more leaves it unchanged."""
    if scale >= 1:
        return grey
    h, w = grey.shape
    size = max(1, round(w * scale)), max(1, round(h * scale))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _ink_mask(grey: GreyImage) -> npt.NDArray[np.bool_]:
    """Where a grey image (H, W) is clearly darker than the paper around it."""
    window = max(15, min(grey.shape) // 20) | 1  # px; wider than a stroke, narrower than a shadow
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (window, window))
    paper = cv2.blur(cv2.morphologyEx(grey, cv2.MORPH_CLOSE, kernel), (window, window))
    contrast = cv2.subtract(paper, grey).astype(np.float32) / np.maximum(paper, 32)  # share of the light that is lost
    strongest = float(np.percentile(contrast, 99.5))
    return np.asarray(contrast > max(THRESHOLDS.ink_min_contrast, THRESHOLDS.ink_relative_contrast * strongest))


def _text_components(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Connected components of a mask (H, W) that can be writing.

    Returns the label of each pixel (H, W), and a row for each component: OpenCV's statistics, then its label.
    """
    h, w = mask.shape
    ink = mask.astype(np.uint8)
    # Ruled lines are removed first: thin horizontal and vertical runs, longer than a stroke
    for kernel in ((max(40, w // 12), 1), (1, max(60, h // 6))):
        ink &= 1 - cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones(kernel[::-1], np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    stats = np.column_stack([stats, np.arange(len(stats))])[1:].astype(np.int64)
    widths, heights, areas = (stats[:, k] for k in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA))
    is_text = (
        (areas >= THRESHOLDS.ink_min_area)
        & (np.maximum(widths, heights) >= THRESHOLDS.ink_min_side)
        & (heights < h * THRESHOLDS.ink_max_page_height)
        & (widths < w * THRESHOLDS.ink_max_page_width)
        & (areas < THRESHOLDS.ink_max_fill * widths * heights + THRESHOLDS.ink_fill_allowance)
    )
    return np.asarray(labels, np.int32), stats[is_text]


def _usual_height(components: npt.NDArray[np.int64]) -> float:
    """Usual letter height, px: the median component height, weighted by ink."""
    order = np.argsort(components[:, cv2.CC_STAT_HEIGHT])
    ink = np.cumsum(components[order, cv2.CC_STAT_AREA])
    return float(components[order[np.searchsorted(ink, ink[-1] / 2)], cv2.CC_STAT_HEIGHT])


def _deskew_transform(image: npt.NDArray[np.uint8], degrees: float) -> tuple[npt.NDArray[np.float64], tuple[int, int]]:
    """The affine transform (2, 3) that levels rows sloping by some degrees, and the (width, height) of its result."""
    h, w = image.shape
    transform = cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1.0)
    c, s = abs(transform[0, 0]), abs(transform[0, 1])
    size = (int(np.ceil(h * s + w * c)), int(np.ceil(h * c + w * s)))
    transform[:, 2] += (size[0] / 2 - w / 2, size[1] / 2 - h / 2)
    return np.asarray(transform, np.float64), size


def _profile_sharpness(ink: npt.NDArray[np.uint8], degrees: float) -> float:
    """Sum of squared differences between the ink of neighbouring rows, after the image is levelled by some degrees."""
    deskew, size = _deskew_transform(ink, degrees)
    profile = cv2.warpAffine(ink, deskew, size, flags=cv2.INTER_LINEAR).sum(axis=1, dtype=np.float64)
    return float((np.diff(profile) ** 2).sum())


def _text_rows(level: npt.NDArray[np.uint8], letter_height: float) -> list[tuple[float, float, float, float]]:
    """(left, top, right, bottom) px of each row of writing on a level page of ink (H, W).

    Blurring the ink along the rows leaves a dense core of each row. Each component joins the core that most of its
    pixels are nearest to.
    """
    scale = min(1.0, 16 / letter_height)  # large letters would need large, slow kernels
    small = _shrink(level, scale)
    across, down = 3.2 * letter_height * scale, 0.28 * letter_height * scale  # px: joins words, not rows
    density = cv2.GaussianBlur(small, (0, 0), sigmaX=across, sigmaY=down)
    density = cv2.resize(density, level.shape[::-1], interpolation=cv2.INTER_LINEAR)
    is_dense = density > 8
    if not is_dense.any():
        return []
    core = (density > THRESHOLDS.row_core_density * np.percentile(density[is_dense], 90)).astype(np.uint8)
    count, cores = cv2.connectedComponents(core)
    if count < 2:
        return []
    distance, nearest_core = cv2.distanceTransformWithLabels(1 - core, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    # DIST_LABEL_CCOMP numbers the cores differently: a table from its numbers to those of `cores`
    core_number = np.zeros(int(nearest_core.max()) + 1, np.int64)
    core_number[nearest_core[core > 0]] = cores[core > 0]
    _, labels, components, _ = cv2.connectedComponentsWithStats((level > 96).astype(np.uint8))
    rows: dict[int, list[npt.NDArray[np.int32]]] = {}
    for label, component in enumerate(components[1:], 1):
        x, y, w, h = component[:4]
        pixels = labels[y : y + h, x : x + w] == label
        if np.median(distance[y : y + h, x : x + w][pixels]) > THRESHOLDS.row_max_distance * letter_height:
            continue
        nearest_row = core_number[nearest_core[y : y + h, x : x + w][pixels]]
        rows.setdefault(int(np.bincount(nearest_row).argmax()), []).append(component)
    boxes = []
    for members in rows.values():
        x, y, w, h = np.array(members)[:, :4].T
        left, top, right, bottom = x.min(), np.percentile(y, 3), (x + w).max(), np.percentile(y + h, 97)
        if (
            right - left > THRESHOLDS.row_min_width * letter_height
            and bottom - top > THRESHOLDS.row_min_height * letter_height
        ):
            boxes.append((float(left), float(top), float(right), float(bottom)))
    return boxes


#: name -> (what opens the detector, its line of help)
DETECTORS: dict[str, tuple[Callable[[], Detector], str]] = {
    "photo": (DbNetDetector, "photo: PP-OCR's detector, for photographs of anything"),
    "paper": (InkDetector, "paper: ink on even paper, for scans and notes; a fifth of the time"),
    "none": (SingleLine, "none: the image is one line"),
}


def open_detector(name: str) -> Detector:
    """A detector by its name in DETECTORS. Raises UserError with the choices for another name."""
    if name not in DETECTORS:
        raise UserError(f'no detector "{name}"; {nearest(name, DETECTORS)}')
    return DETECTORS[name][0]()
