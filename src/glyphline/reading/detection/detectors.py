"""FAMILY: an image of a page (H, W, 3) -> the pieces of text on it, each with four corners.

Contract: a detector is called with a colour image and gives its pieces in any order; what joins them into lines and
puts those in order is `glyphline.reading.detection.reading_order`. To add one: a class with `__call__` and a row in DETECTORS at the
bottom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.errors import UserError, nearest
from glyphline.imaging.documents import ColourImage, GreyImage
from glyphline.imaging.normalization import ink_is_bright, to_grey
from glyphline.reading.detection.curved_text import CurvedOutline, fit_curved_outline, orient_left_to_right, size_of
from glyphline.reading.onnx_models import open_session, pp_ocr_input, rapidocr_model_path

TALL = 1.5  # a piece this many times as tall as it is wide stands on its side

Corners = npt.NDArray[np.float64]  # (4, 2) px (x, y), clockwise from where the text begins, along its upper edge


@dataclass(frozen=True)
class Region:
    """A line of text, or a part of one."""

    corners: Corners
    confidence: float  # 0..1, that there is text
    bend: CurvedOutline | None = None  # of text along an arc, inside of the corners

    @property
    def place(self) -> Corners | CurvedOutline:
        """Where exactly the text is."""
        return self.corners if self.bend is None else self.bend

    @property
    def size(self) -> tuple[float, float]:
        """Width along the text and height across it, px."""
        return sides(self.corners) if self.bend is None else size_of(self.bend)

    @property
    def lies(self) -> bool:
        """Whether the text runs up or down rather than across."""
        if self.bend is not None:
            across, down = np.abs((self.bend[-1] - self.bend[0]).sum(0))
            return bool(down > across)
        wide, tall = self.size
        return tall > TALL * wide

    def moved(self, to: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Region:
        """The piece where a function of points (..., 2) moves it; text runs right there again."""
        bend = None if self.bend is None else orient_left_to_right(to(self.bend))
        return replace(self, corners=order_corners(to(self.corners)), bend=bend)


def sides(corners: Corners) -> tuple[float, float]:
    """Width along the text and height across it, px."""
    wide = np.linalg.norm(corners[1] - corners[0]) + np.linalg.norm(corners[2] - corners[3])
    tall = np.linalg.norm(corners[3] - corners[0]) + np.linalg.norm(corners[2] - corners[1])
    return float(wide / 2), float(tall / 2)


class Detector(Protocol):
    """Finds text on a page."""

    def __call__(self, image: ColourImage) -> list[Region]: ...


@dataclass(frozen=True)
class SingleLine:
    """The image is one line."""

    def __call__(self, image: ColourImage) -> list[Region]:
        h, w = image.shape[:2]
        return [Region(np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float64), 1.0)]


NARROW = 300  # px; images less high or wide are given margins, for their letters may fill them


def _margin(image: ColourImage | GreyImage, share: float) -> int:
    """px to be added around a NARROW image, a share of its shorter side; 0 for others."""
    shorter = min(image.shape[:2])
    return round(share * shorter) if shorter < NARROW else 0


# ------------------------------------------------------------------------------------------------------ photographs


BENT = 8  # px of the map of text; lower patches tell nothing of a bend
FULL = 0.75  # share of its rectangle that straight text fills, at least


@lru_cache(maxsize=1)
def _detector() -> Any:
    return open_session(rapidocr_model_path("det"))


@dataclass(frozen=True)
class DbNetDetector:
    """PP-OCR's detector (differentiable binarization, Liao et al. 2020): where text is, pixel by pixel, then boxes.

    The map of text is cut at `level`; what is connected becomes its smallest rectangle, kept when the map inside it
    is at least `min_score` on average, and enlarged by its area / perimeter times `grow`, for the map shows text shrunk.
    """

    longest: int = 1280  # px; longer sides are shrunk to it
    shortest: int = 640  # px; images whose longer side is shorter are enlarged to it
    level: float = 0.3
    min_score: float = 0.5
    grow: float = 1.6

    def __call__(self, image: ColourImage) -> list[Region]:
        edge = _margin(image, 0.5)
        if edge:  # the detector sees little of letters at the very edge
            image = cv2.copyMakeBorder(image, *(edge,) * 4, cv2.BORDER_REPLICATE)
        h, w = image.shape[:2]
        scale = min(self.longest / max(h, w), max(1.0, self.shortest / max(h, w)))
        size = tuple(max(32, round(side * scale / 32) * 32) for side in (w, h))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        session = _detector()
        likely = session.run(None, {session.get_inputs()[0].name: pp_ocr_input(small[None])})[0][0, 0]  # (H', W') 0..1
        regions = self._pieces(likely, np.array([w / size[0], h / size[1]]))
        if not edge:
            return regions
        back = [region.moved(lambda points: points - edge) for region in regions]
        return [replace(region, corners=region.corners.clip(0, (w - 2 * edge, h - 2 * edge))) for region in back]

    def _pieces(self, likely: npt.NDArray[np.float32], enlarge: npt.NDArray[np.float64]) -> list[Region]:
        mask = cv2.dilate((likely > self.level).astype(np.uint8), np.ones((2, 2), np.uint8))
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        regions = []
        for outline in outlines:
            middle, (wide, tall), angle = cv2.minAreaRect(outline)
            if min(wide, tall) < 3:
                continue
            bend = None
            if min(wide, tall) >= BENT and cv2.contourArea(outline) < FULL * wide * tall:
                bend = fit_curved_outline(_inside(outline), min(wide, tall), self.grow)
            if bend is None:
                shape = cv2.boxPoints((middle, (wide, tall), angle))
                reach = self.grow * wide * tall / (2 * (wide + tall))  # px on every side
                corners = order_corners(cv2.boxPoints((middle, (wide + 2 * reach, tall + 2 * reach), angle)) * enlarge)
            else:
                shape = outline[:, 0].astype(np.float32)
                bend *= enlarge
                corners = around(bend)
            confidence = _mean_inside(likely, shape)
            if confidence >= self.min_score:
                regions.append(Region(corners, confidence, bend))
        return regions


def _inside(outline: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """(N, 2) px (x, y): the pixels inside an outline of OpenCV's."""
    left, top, wide, tall = cv2.boundingRect(outline)
    mask = np.zeros((tall, wide), np.uint8)
    cv2.drawContours(mask, [outline - (left, top)], 0, 1, cv2.FILLED)
    return np.asarray(np.argwhere(mask)[:, ::-1] + (left, top), np.float64)


def _mean_inside(values: npt.NDArray[np.float32], corners: npt.NDArray[np.float32]) -> float:
    """The mean of (H, W) values inside a polygon, its corners (N, 2)."""
    most = np.array(values.shape[::-1]) - 1
    left, top = np.floor(corners.min(0)).clip(0, most).astype(int)
    right, bottom = np.ceil(corners.max(0)).clip(0, most).astype(int)
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(values[top : bottom + 1, left : right + 1], mask)[0])


def order_corners(corners: npt.NDArray[np.floating[Any]]) -> Corners:
    """Four corners clockwise, first the one from which the side nearest to level runs right."""
    around = corners - corners.mean(0)
    clockwise = corners[np.argsort(np.arctan2(around[:, 1], around[:, 0]))].astype(np.float64)
    sides = np.roll(clockwise, -1, 0) - clockwise
    first = int(np.argmax(sides[:, 0] / np.maximum(1e-9, np.hypot(*sides.T))))
    return np.roll(clockwise, -first, 0)


def around(points: npt.NDArray[np.floating[Any]]) -> Corners:
    """The smallest rectangle around points (..., 2)."""
    return order_corners(cv2.boxPoints(cv2.minAreaRect(points.reshape(-1, 2).astype(np.float32))))


# ------------------------------------------------------------------------------------------------- scans and notes


@dataclass(frozen=True)
class InkDetector:
    """Writing on even paper by its ink alone: the strokes, the slope of their rows, and the rows they crowd in.

    For scanned pages and photographed notes; of a street it would read the houses. Ruled lines, frames, specks and
    large dark things are left out.
    """

    longest: int = 1600  # px; longer sides are shrunk to it
    steepest: float = 15.0  # degrees that the rows may slope either way

    def __call__(self, image: ColourImage) -> list[Region]:
        grey = to_grey(image)
        edge = _margin(grey, 1.0)
        if edge:
            ground = float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
            grey = cv2.copyMakeBorder(grey, *(edge,) * 4, cv2.BORDER_CONSTANT, value=[ground])
        scale = min(1.0, self.longest / max(grey.shape))
        small = _shrunk(grey, scale)
        labels, strokes = _strokes(_dark(255 - small if ink_is_bright(small) else small))
        if len(strokes) < 2:
            return []
        tall = _usual_height(strokes)
        flat = (strokes[:, cv2.CC_STAT_HEIGHT] < 0.3 * tall) & (strokes[:, cv2.CC_STAT_WIDTH] > 1.2 * tall)
        strokes = strokes[~flat & (strokes[:, cv2.CC_STAT_HEIGHT] < 6 * tall)]
        written = np.isin(labels, strokes[:, -1]).astype(np.uint8) * 255
        turn, size = _levelling(written, self._slope(written, tall))
        level = cv2.warpAffine(written, turn, size, flags=cv2.INTER_AREA)
        back = cv2.invertAffineTransform(turn)
        regions = []
        for left, top, right, bottom in _rows(level, tall):
            corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
            regions.append(Region(order_corners((corners @ back[:, :2].T + back[:, 2]) / scale - edge), 1.0))
        return regions

    def _slope(self, written: npt.NDArray[np.uint8], tall: float) -> float:
        """Degrees by which rows run down to the right: turned back by it, their ink stands in the sharpest bands.

        About 90 for a page that lies on its side.
        """
        few = _shrunk(written, 4 / tall)

        def sharpest(tried: npt.NDArray[np.float64]) -> tuple[float, float]:
            return max((_sharpness(few, float(degrees)), float(degrees)) for degrees in tried)

        near = np.arange(-self.steepest, self.steepest + 0.1, 1.5)
        _, about = max(sharpest(near), sharpest(near + 90))
        return sharpest(np.arange(about - 1.5, about + 1.6, 0.25))[1]


def _shrunk(grey: GreyImage, scale: float) -> GreyImage:
    """An image scaled, unless that enlarges it; one px wide and high at least."""
    if scale >= 1:
        return grey
    h, w = grey.shape
    size = max(1, round(w * scale)), max(1, round(h * scale))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _dark(grey: GreyImage) -> npt.NDArray[np.bool_]:
    """Where a grey image is clearly darker than the ground around it."""
    reach = max(15, min(grey.shape) // 20) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (reach, reach))
    ground = cv2.blur(cv2.morphologyEx(grey, cv2.MORPH_CLOSE, kernel), (reach, reach))
    fallen = cv2.subtract(ground, grey).astype(np.float32) / np.maximum(ground, 32)  # share of the light that is lost
    strong = float(np.percentile(fallen, 99.5))
    return np.asarray(fallen > max(0.12, 0.4 * strong))


def _strokes(dark: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Labels of what is connected (H, W), and the statistics of what may be writing: OpenCV's, then its label."""
    h, w = dark.shape
    mask = dark.astype(np.uint8)
    # ruled lines: long level or upright runs, thin
    for kernel in ((max(40, w // 12), 1), (1, max(60, h // 6))):
        mask &= 1 - cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones(kernel[::-1], np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    stats = np.column_stack([stats, np.arange(len(stats))])[1:].astype(np.int64)
    wide, tall, area = (stats[:, k] for k in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA))
    likely = (
        (area >= 8)
        & (np.maximum(wide, tall) >= 5)
        & (tall < h / 3)
        & (wide < w / 1.5)
        & (area < 0.9 * wide * tall + 20)
    )
    return np.asarray(labels, np.int32), stats[likely]


def _usual_height(strokes: npt.NDArray[np.int64]) -> float:
    """px of a letter, about: half of all ink belongs to strokes that are lower."""
    order = np.argsort(strokes[:, cv2.CC_STAT_HEIGHT])
    ink = np.cumsum(strokes[order, cv2.CC_STAT_AREA])
    return float(strokes[order[np.searchsorted(ink, ink[-1] / 2)], cv2.CC_STAT_HEIGHT])


def _levelling(image: npt.NDArray[np.uint8], degrees: float) -> tuple[npt.NDArray[np.float64], tuple[int, int]]:
    """The affine turn (2, 3) that levels rows sloping by some degrees, and the (width, height) that holds all of it."""
    h, w = image.shape
    turn = cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1.0)
    c, s = abs(turn[0, 0]), abs(turn[0, 1])
    size = (int(np.ceil(h * s + w * c)), int(np.ceil(h * c + w * s)))
    turn[:, 2] += (size[0] / 2 - w / 2, size[1] / 2 - h / 2)
    return np.asarray(turn, np.float64), size


def _sharpness(written: npt.NDArray[np.uint8], degrees: float) -> float:
    """How unevenly ink is spread over the rows once they are turned back by some degrees."""
    turn, size = _levelling(written, degrees)
    rows = cv2.warpAffine(written, turn, size, flags=cv2.INTER_LINEAR).sum(axis=1, dtype=np.float64)
    return float((np.diff(rows) ** 2).sum())


def _rows(level: npt.NDArray[np.uint8], tall: float) -> list[tuple[float, float, float, float]]:
    """(left, top, right, bottom) of each row of writing on a level page, letters `tall` px.

    Ink smeared along the rows leaves a core of each; every stroke belongs to the core that most of it lies nearest to.
    """
    shrunk = min(1.0, 16 / tall)  # large letters would make for slow, wide kernels
    small = _shrunk(level, shrunk)
    dense = cv2.GaussianBlur(small, (0, 0), sigmaX=3.2 * tall * shrunk, sigmaY=0.28 * tall * shrunk)
    dense = cv2.resize(dense, level.shape[::-1], interpolation=cv2.INTER_LINEAR)
    core = (dense > 0.45 * np.percentile(dense[dense > 8], 90)).astype(np.uint8) if (dense > 8).any() else dense * 0
    count, cores = cv2.connectedComponents(core)
    if count < 2:
        return []
    distance, nearest_core = cv2.distanceTransformWithLabels(1 - core, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    # DIST_LABEL_CCOMP numbers the cores anew: which of ours each number is
    ours = np.zeros(int(nearest_core.max()) + 1, np.int64)
    ours[nearest_core[core > 0]] = cores[core > 0]
    _, labels, strokes, _ = cv2.connectedComponentsWithStats((level > 96).astype(np.uint8))
    rows: dict[int, list[npt.NDArray[np.int32]]] = {}
    for label, stroke in enumerate(strokes[1:], 1):
        x, y, w, h = stroke[:4]
        window = labels[y : y + h, x : x + w] == label
        if np.median(distance[y : y + h, x : x + w][window]) > tall:
            continue  # a speck far from any row
        near = ours[nearest_core[y : y + h, x : x + w][window]]
        rows.setdefault(int(np.bincount(near).argmax()), []).append(stroke)
    out = []
    for members in rows.values():
        boxes = np.array(members)
        x, y, w, h = boxes[:, :4].T
        left, top, right, bottom = x.min(), np.percentile(y, 3), (x + w).max(), np.percentile(y + h, 97)
        if right - left > 0.8 * tall and bottom - top > 0.5 * tall:
            out.append((float(left), float(top), float(right), float(bottom)))
    return out


#: name -> (what opens the detector, its line of help)
DETECTORS: dict[str, tuple[Callable[[], Detector], str]] = {
    "photo": (DbNetDetector, "photo: PP-OCR's detector, for photographs of anything; needs the extra [photo]"),
    "paper": (InkDetector, "paper: ink on even paper, for scans and notes; needs nothing more"),
    "none": (SingleLine, "none: the image is one line"),
}


def open_detector(name: str) -> Detector:
    """A detector by name. Raises UserError with the choices, MissingPackage without its extra."""
    if name not in DETECTORS:
        raise UserError(f'no detector "{name}"; {nearest(name, DETECTORS)}')
    return DETECTORS[name][0]()
