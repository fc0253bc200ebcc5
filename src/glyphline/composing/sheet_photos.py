"""Finds the pages of a sheet on photographs, sets them upright and flat, and cuts out what was written.

The marks give the page, its identity and a perspective transform. The printed boxes then show how the paper is bent:
each is searched near its place, and a smooth displacement is fitted to all of them. Ink is what is darker, in the red
channel, than the paper around it and than the printed boxes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.composing.sheet import CORNERS, MARK, VALUES, VERSION, Sheet, Slot
from glyphline.composing.sheet_drawing import guide_mask, mark_dictionary
from glyphline.errors import ImageError
from glyphline.imaging.documents import ColourImage, GreyImage

Points = npt.NDArray[np.float64]
Plane = npt.NDArray[np.float32]  # (H, W)

RESOLUTION = 10  # px a mm of the flattened page; an x-height of the hint is 45 px
DETECTION_SIDES = (1600, 2400)  # px; marks are searched on photographs shrunk to these longer sides
MIN_PX_PER_MM = 4.0  # of the photograph; below it strokes of a pen are about one pixel wide
MAX_PX_PER_MM = 15.0  # larger photographs are shrunk before they are flattened
SIMILAR_MARKS = 0.35  # smallest side of a mark, of the largest; smaller ones are chance patterns
MAX_MARK_ERROR = 3.0  # mm between the corners of the marks and their places on one flat page; more are of two pages
SEARCH = 3.0  # mm around its place in which a printed box is searched
MIN_MATCH = 0.2  # correlation with the printed box, -1..1, below which its place is not trusted
OUTLIER = 0.8  # mm from the smooth displacement beyond which the place of a box is not trusted
PIECE = 40.0  # mm; the edge of a line's area is matched in pieces of this length
GUIDE_LEVEL = 0.25  # darkness above which ink is cut off before boxes are searched
SMOOTHING = 0.07  # mm, sigma of the blur that takes noise away before ink is separated
GUIDE_QUANTILE = 0.97  # of the darkness on printed boxes: what is taken away there; writing covers less than the rest
MIN_FLOOR = 0.05  # darkness below which nothing is ink; the paper's noise raises it
#: darkness of the darkest tenth of the ink on a page, below which it is none: only parts of such a pen are seen. On
#: photographs by simulated_sheets.py a pencil has 0.57 and more, pens with a red channel of 200 and more 0.29 and less.
MIN_DARKNESS = 0.3
FULL_INK = 0.7  # of the darkest tenth of the ink on a page: what counts as full ink
EDGE = 0.35  # mm on either side of the line of a box that belong to it
BOX_MARGIN, AREA_MARGIN = 1.0, 1.6  # mm beyond the line in which ink of the slot is still searched
MIN_INK = 0.08  # mm2 of a stroke; smaller specks are not ink
STRAY_INK = 0.08  # mm2 of connected ink beyond the line at which a character strays over its box
MASK_LEVEL = 51  # of 255; ink above it belongs to a stroke
PEAK_LEVEL = 110  # of 255; a stroke is at least this dark somewhere


@dataclass(frozen=True)
class FoundPage:
    """The marks of a page on a photograph."""

    page: int  # from 1
    identity: int  # of the sheet
    version: int  # of the sheet's geometry
    corners: Points  # (4, 4, 2) px, in the order of `Sheet.mark_corners`
    turned: int  # degrees by which the page is turned clockwise on the photograph: 0, 90, 180 or 270


@dataclass(frozen=True)
class Cut:
    """What was written in a slot."""

    slot: Slot
    ink: GreyImage  # (h, w), bright on 0, cropped to the ink at RESOLUTION; 1 x 1 where there is none
    top: float  # mm of the upper edge of the ink above the baseline
    bottom: float  # mm of the lower edge; negative below the baseline
    fault: str  # "", "is empty" or "strays over its box"


def find_page(image: ColourImage) -> FoundPage:
    """Find the four marks of a page on a photograph, uint8 (H, W, 3).

    Raises ImageError, which begins with a verb and lacks the file's name, for a photograph without marks, with fewer
    than four, or with more than one page, and for one on which a corner of the page is too small.
    """
    marks: list[tuple[int, Points]] = []
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    for attempt, side in enumerate(DETECTION_SIDES):
        scale = min(1.0, max(side / max(grey.shape), 1 / min(grey.shape)))  # a rule of 1 px stays
        shrunk = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
        for mark_id, detected in _detect_marks(_even_light(shrunk) if attempt else shrunk):
            if not any(mark_id == known_id and _is_near(detected / scale, known) for known_id, known in marks):
                marks.append((mark_id, detected / scale))
        if len(marks) >= len(CORNERS):
            break  # the second attempt is for photographs with deep shadows and small pages
    largest = max((_side(mark) for _, mark in marks), default=0.0)
    marks = [(mark_id, mark) for mark_id, mark in marks if _side(mark) >= SIMILAR_MARKS * largest]
    if not marks:
        raise ImageError("shows no corner mark of a sheet: photograph the whole page, sharp and in even light")
    of_corner = [[(k, mark) for k, mark in marks if k // VALUES == corner] for corner in range(len(CORNERS))]
    if any(len(found) > 1 for found in of_corner):  # the pages of a sheet have three of their four ids in common
        raise ImageError("shows the marks of more than one page: photograph each page alone")
    if missing := [name for name, found in zip(CORNERS, of_corner, strict=True) if not found]:
        raise ImageError(
            f"shows only {len(marks)} of 4 corner marks, the {' and the '.join(missing)} is missing: photograph the "
            "whole page, sharp and in even light"
        )
    values = [found[0][0] % VALUES for found in of_corner]
    corners = np.stack([found[0][1] for found in of_corner])
    densities = [_side(mark) / MARK for mark in corners]
    farthest = int(np.argmin(densities))
    if densities[farthest] < MIN_PX_PER_MM:
        raise ImageError(
            f"shows the {CORNERS[farthest]} corner of the page at {densities[farthest]:.1f} px a mm, at least "
            f"{MIN_PX_PER_MM:g} are needed: go closer, hold the camera level above the page, or take a larger picture"
        )
    across = corners[1, 0] - corners[0, 0]
    turned = round(float(np.degrees(np.arctan2(across[1], across[0]))) / 90) % 4 * 90
    return FoundPage(values[0], values[1] * VALUES + values[2], values[3], corners, turned)


def check_version(found: FoundPage) -> None:
    """Raise ImageError, which begins with a verb, for a page of another version of sheets."""
    if found.version != VERSION:
        raise ImageError(
            f"shows a sheet of version {found.version}, this glyphline knows version {VERSION}: install the glyphline "
            "that made it, or print and fill a new sheet"
        )


def check_page(found: FoundPage, sheet: Sheet) -> None:
    """Raise ImageError, which begins with a verb, for a page that is not the sheet's, and for marks of two pages."""
    check_version(found)
    if found.identity != sheet.identity:
        raise ImageError(
            f"shows a page of sheet {found.identity:05d}, not of sheet {sheet.identity:05d}: give the photographs of "
            "one sheet at a time, with its own --sheet and --out"
        )
    if not 1 <= found.page <= sheet.page_count:
        raise ImageError(
            f"shows page {found.page}, but the sheet has {sheet.page_count}: give photographs of its pages"
        )
    if _mark_error(found, sheet) > MAX_MARK_ERROR:
        raise ImageError("shows corner marks that do not fit one flat page: photograph each page alone, lying flat")


def cut_page(image: ColourImage, found: FoundPage, sheet: Sheet) -> list[Cut]:
    """Cut out what was written on a page, one Cut for each of its slots.

    image: the photograph, uint8 (H, W, 3). found: its marks. sheet: the sheet it shows, see `check_page`.
    """
    slots, mask = sheet.slots_of(found.page), guide_mask(sheet, found.page, RESOLUTION)
    flat, shifts = flatten(image, found, sheet, mask)
    ink = separate_ink(flat, slots, mask)
    _, labels = cv2.connectedComponents((ink > MASK_LEVEL).astype(np.uint8), connectivity=8)
    windows = [_window(slot, shift, labels.shape) for slot, shift in zip(slots, shifts, strict=True)]
    owners = _find_owners(labels, slots, windows)
    cuts = []
    for k, (slot, shift, window) in enumerate(zip(slots, shifts, windows, strict=True)):
        baseline = slot.baseline + float(shift[1]) - window[0].start / RESOLUTION
        cuts.append(_cut_slot(ink[window], labels[window], owners == k, owners < 0, slot, baseline))
    return cuts


# ------------------------------------------------------------------------------------------------------------- marks


def _even_light(grey: GreyImage) -> GreyImage:
    """The image divided by the brightness of the paper around each pixel."""
    background = cv2.GaussianBlur(cv2.dilate(grey, np.ones((5, 5), np.uint8)), (0, 0), max(grey.shape) / 40)
    return cv2.divide(grey, background, scale=255)


def _detect_marks(grey: GreyImage) -> Iterable[tuple[int, Points]]:
    """Yield the id and the corners (4, 2) of each mark, clockwise from its upper left corner."""
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    parameters.minMarkerPerimeterRate = 0.02  # of the image's longer side; a mark on a small page
    parameters.errorCorrectionRate = 0.3  # of the bits that could be corrected; a lower rate makes fewer false marks
    corners, ids, _ = cv2.aruco.ArucoDetector(mark_dictionary(), parameters).detectMarkers(grey)
    if ids is not None:
        for mark_id, points in zip(ids.ravel().tolist(), corners, strict=True):
            yield int(mark_id), np.asarray(points, np.float64).reshape(4, 2)


def _side(corners: Points) -> float:
    """The mean side of a mark, px."""
    return float(np.linalg.norm(np.roll(corners, 1, axis=0) - corners, axis=1).mean())


def _mark_error(found: FoundPage, sheet: Sheet) -> float:
    """The largest distance, mm, of a mark's corner from its place on a flat page that is seen in perspective."""
    places = sheet.mark_corners().reshape(-1, 2)
    transform, _ = cv2.findHomography(found.corners.reshape(-1, 2), places)
    if transform is None:
        return np.inf
    on_page = cv2.perspectiveTransform(found.corners.reshape(1, -1, 2), transform)[0]
    return float(np.linalg.norm(on_page - places, axis=1).max())


def _is_near(corners: Points, others: Points) -> bool:
    """Whether two marks are at one place, so that both are the same mark, detected twice."""
    return float(np.linalg.norm(corners.mean(axis=0) - others.mean(axis=0))) < _side(others)


# ---------------------------------------------------------------------------------------------------------- flatness


def flatten(image: ColourImage, found: FoundPage, sheet: Sheet, mask: Plane) -> tuple[ColourImage, list[Points]]:
    """The page upright and flat at RESOLUTION, uint8 (H, W, 3), and the rest of each slot's shift, (x, y) in mm.

    mask: from `guide_mask`.
    """
    scale = min(1.0, MAX_PX_PER_MM * MARK / max(_side(corners) for corners in found.corners))
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    marks = sheet.mark_corners().reshape(-1, 2)
    transform, _ = cv2.findHomography(marks, found.corners.reshape(-1, 2) * scale)
    width, height = (round(side * RESOLUTION) for side in sheet.size)
    coarse = _sample(image, transform, np.zeros((height, width, 2), np.float32))
    slots = sheet.slots_of(found.page)
    places, shifts, weights = _match_guides(_darkness(coarse[..., 2]), mask, slots)
    coefficients = _fit_displacement(places, shifts, weights, marks, sheet.size)
    # the displacement is smooth: a grid of cells of 2 mm is enough, each value in the middle of its cell
    x, y = np.meshgrid(np.arange(width // 20 + 1) * 2 + 1.0, np.arange(height // 20 + 1) * 2 + 1.0)
    values = _terms(np.stack([x.ravel(), y.ravel()], 1), sheet.size) @ coefficients
    displacement = cv2.resize(values.astype(np.float32).reshape(*x.shape, 2), None, fx=20, fy=20)[:height, :width]
    flat = _sample(image, transform, displacement)
    rest = shifts - _terms(places, sheet.size) @ coefficients
    trusted = (weights > 0) & (np.abs(rest).max(axis=1) < OUTLIER)
    residuals = []
    for slot in slots:
        own = (np.abs(places - _centre(slot)).max(axis=1) < 0.5) & trusted  # a box is matched as a whole
        residuals.append(rest[own].mean(axis=0) if own.any() and not slot.is_line else np.zeros(2))
    return flat, residuals


def _sample(image: ColourImage, transform: Points, displacement: npt.NDArray[np.float32]) -> ColourImage:
    """The page as a flat image of the size of `displacement` (H, W, 2), mm.

    transform: from the page in mm to the photograph in px.
    """
    height, width = displacement.shape[:2]
    x = (np.arange(width, dtype=np.float32) + 0.5) / RESOLUTION + displacement[..., 0]
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / RESOLUTION + displacement[..., 1]
    a = transform.astype(np.float32)
    depth = a[2, 0] * x + a[2, 1] * y + a[2, 2]
    map_x = (a[0, 0] * x + a[0, 1] * y + a[0, 2]) / depth
    map_y = (a[1, 0] * x + a[1, 1] * y + a[1, 2]) / depth
    return cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _darkness(channel: GreyImage) -> Plane:
    """How much darker each pixel is than the paper around it: 0 for paper to 1, float32 (H, W).

    The paper is the closing of the channel by 4 mm, which keeps the edges of shadows.
    """
    size = (max(1, channel.shape[1] // 5), max(1, channel.shape[0] // 5))
    small = cv2.medianBlur(cv2.resize(channel, size, interpolation=cv2.INTER_AREA), 3)
    side = 4 * RESOLUTION // 5 | 1
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8), borderType=cv2.BORDER_REPLICATE)
    paper = cv2.resize(paper, channel.shape[::-1], interpolation=cv2.INTER_LINEAR)
    dark = 1 - channel.astype(np.float32) / np.maximum(paper, 1)
    return np.asarray((dark - np.median(dark[::7, ::7])).clip(0, 1), np.float32)


def _centre(slot: Slot) -> Points:
    return np.array([(slot.left + slot.right) / 2, (slot.top + slot.bottom) / 2])


def _match_guides(dark: Plane, mask: Plane, slots: list[Slot]) -> tuple[Points, Points, Points]:
    """Search each printed box near its place: places (N, 2), shifts (N, 2) in mm, weights (N,)."""
    pieces = []  # left, top, right, bottom; mm
    for slot in slots:
        edges = np.linspace(slot.left, slot.right, 1 + max(1, round((slot.right - slot.left) / PIECE)))
        pieces += [(a, slot.top, b, slot.bottom) for a, b in pairwise(edges)]
    cut = np.minimum(dark, GUIDE_LEVEL)
    places, shifts, weights = [], [], []
    reach = round(SEARCH * RESOLUTION)
    for left, top, right, bottom in pieces:
        x0, y0 = (max(reach, round((v - 1) * RESOLUTION)) for v in (left, top))
        x1, y1 = round((right + 1) * RESOLUTION), round((bottom + 1) * RESOLUTION)
        window = cut[y0 - reach : y1 + reach, x0 - reach : x1 + reach]
        scores = cv2.matchTemplate(window, mask[y0:y1, x0:x1], cv2.TM_CCOEFF_NORMED)
        _, score, _, (column, row) = cv2.minMaxLoc(scores)
        at_edge = column in (0, scores.shape[1] - 1) or row in (0, scores.shape[0] - 1)
        places.append(((left + right) / 2, (top + bottom) / 2))
        shifts.append(
            (
                (column + _peak_offset(scores[row], column) - reach) / RESOLUTION,
                (row + _peak_offset(scores[:, column], row) - reach) / RESOLUTION,
            )
        )
        weights.append(0.0 if at_edge or score < MIN_MATCH else float(score))
    return np.array(places), np.array(shifts), np.array(weights)


def _peak_offset(values: Plane, k: int) -> float:
    """The place of the maximum of the parabola through values[k - 1 : k + 2], relative to k; 0 at an end."""
    if not 0 < k < len(values) - 1:
        return 0.0
    before, at, after = (float(v) for v in values[k - 1 : k + 2])
    curvature = before - 2 * at + after
    return 0.5 * (before - after) / curvature if curvature < 0 else 0.0


def _terms(points: Points, size: tuple[float, float]) -> Points:
    """The terms of a polynomial of degree 3 at points (N, 2) of a page, mm: (N, 10)."""
    x, y = (points / size * 2 - 1).T
    return np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], axis=1)


def _fit_displacement(
    places: Points, shifts: Points, weights: Points, marks: Points, size: tuple[float, float]
) -> Points:
    """Fit a polynomial of degree 3 to the shifts of boxes, (10, 2), by reweighted least squares.

    The marks (M, 2) have no shift: the transform was measured on them. A little ridge keeps a page with few boxes from
    being bent where it has none.
    """
    terms = np.concatenate([_terms(places, size), _terms(marks, size)])
    values = np.concatenate([shifts, np.zeros_like(marks)])
    base = np.concatenate([weights, np.ones(len(marks))])
    ridge = 0.05 * np.eye(terms.shape[1])
    robust = np.ones_like(base)
    for _ in range(10):
        weighted = terms * (base * robust)[:, None]
        coefficients = np.linalg.solve(terms.T @ weighted + ridge, weighted.T @ values)
        distance = np.linalg.norm(values - terms @ coefficients, axis=1)
        robust = 1 / (1 + (distance / 0.3) ** 2)  # mm; Cauchy weights
    return np.asarray(coefficients, np.float64)


# --------------------------------------------------------------------------------------------------------------- ink


def separate_ink(flat: ColourImage, slots: list[Slot], mask: Plane) -> GreyImage:
    """The ink of a flat page at RESOLUTION: uint8 (H, W), bright on 0, without paper, shadows and printed boxes.

    slots: of the page. mask: from `guide_mask`. Ink is scaled by the darkest tenth of all ink on the page, so that a
    pencil gives full ink too. A page on which this is fainter than MIN_DARKNESS, as of a red pen, has no ink.
    """
    smooth = cv2.GaussianBlur(flat, (0, 0), SMOOTHING * RESOLUTION)
    dark = _darkness(smooth[..., 0])
    # What is left of printed boxes in the red channel is taken away where they are, with room for 0.2 mm of error.
    lines = cv2.GaussianBlur(cv2.dilate(mask, np.ones((5, 5), np.uint8)), (0, 0), 1.0)
    dark = (dark - float(np.quantile(dark[mask > 0.9], GUIDE_QUANTILE)) * lines).clip(0)
    inside = np.zeros(dark.shape, bool)
    for slot in slots:
        y0, y1, x0, x1 = (round(v * RESOLUTION) for v in (slot.top + 1, slot.bottom - 1, slot.left + 1, slot.right - 1))
        inside[y0:y1, x0:x1] = True
    on_paper = dark[inside & (lines < 0.05)]
    middle = float(np.median(on_paper))
    floor = max(MIN_FLOOR, middle + 3 * 1.48 * float(np.median(np.abs(on_paper - middle))))
    strokes = on_paper[on_paper > 1.5 * floor]
    darkness = float(np.quantile(strokes, 0.9)) if len(strokes) > 100 else 1.0
    if darkness < MIN_DARKNESS:
        return np.zeros(dark.shape, np.uint8)
    full = max(FULL_INK * darkness, 2 * floor)
    return np.asarray(((dark - floor) / (full - floor) * 255).clip(0, 255), np.uint8)


def _window(slot: Slot, shift: Points, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The rows and columns of a slot and its margin on a flat page of a shape (H, W). shift: of the slot, (x, y) mm."""
    margin = _margin(slot)
    x0, x1 = (round((v + float(shift[0])) * RESOLUTION) for v in (slot.left - margin, slot.right + margin))
    y0, y1 = (round((v + float(shift[1])) * RESOLUTION) for v in (slot.top - margin, slot.bottom + margin))
    return slice(max(0, y0), min(shape[0], y1)), slice(max(0, x0), min(shape[1], x1))


def _margin(slot: Slot) -> float:
    return AREA_MARGIN if slot.is_line else BOX_MARGIN


def _inside(labels: npt.NDArray[np.int32], margin: float) -> npt.NDArray[np.int32]:
    """The part of a window within a margin, mm."""
    edge = round(margin * RESOLUTION)
    return labels[edge:-edge, edge:-edge]


def _find_owners(
    labels: npt.NDArray[np.int32], slots: list[Slot], windows: list[tuple[slice, slice]]
) -> npt.NDArray[np.int64]:
    """For each connected piece of ink the index of the slot that has the most of it; -1 for ink outside all slots.

    A character that crosses a line therefore leaves no scrap in the next box.
    """
    count = int(labels.max()) + 1
    most, owners = np.zeros(count, np.int64), np.full(count, -1, np.int64)
    for k, (slot, window) in enumerate(zip(slots, windows, strict=True)):
        pieces, areas = np.unique(_inside(labels[window], _margin(slot) + EDGE), return_counts=True)
        better = areas > most[pieces]
        most[pieces[better]], owners[pieces[better]] = areas[better], k
    owners[0] = -1  # paper
    return owners


def _cut_slot(
    ink: GreyImage,
    labels: npt.NDArray[np.int32],
    is_own: npt.NDArray[np.bool_],
    is_loose: npt.NDArray[np.bool_],
    slot: Slot,
    baseline: float,
) -> Cut:
    """Cut what was written in a slot out of the window of its ink.

    labels: of the connected pieces of ink in the window. is_own: by label, whether the piece belongs to the slot.
    is_loose: by label, whether it belongs to none; such a piece on the line, as of a sign of two parts, strays too.
    baseline: mm below the upper edge of the window.
    """
    unit = RESOLUTION**2
    area = np.bincount(labels.ravel(), minlength=len(is_own))
    within = np.bincount(_inside(labels, _margin(slot) - EDGE).ravel(), minlength=len(is_own))
    beyond = area - within
    peak = np.zeros(len(is_own), np.uint8)
    np.maximum.at(peak, labels.ravel(), ink.ravel())
    is_ink = (area >= MIN_INK * unit) & (peak >= PEAK_LEVEL)
    is_ink[0] = False  # paper
    kept = is_own & is_ink
    if not kept.any():
        return Cut(slot, np.zeros((1, 1), np.uint8), 0.0, 0.0, "is empty")
    mask = kept[labels]
    crosses = bool((beyond[kept] >= STRAY_INK * unit).any()) or bool((is_ink & is_loose & (within > 0)).any())
    fault = "strays over its box" if crosses else ""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    soft_mask = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # with the faint rim of strokes
    cropped = np.where(soft_mask, ink, 0)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    upper, lower = baseline - int(rows[0]) / RESOLUTION, baseline - (int(rows[-1]) + 1) / RESOLUTION
    return Cut(slot, cropped.astype(np.uint8), upper, lower, fault)
