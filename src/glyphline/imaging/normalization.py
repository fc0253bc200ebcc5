"""A grey image of a line -> the canonical line, ink bright on 0, fixed height; one door for training and reading."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.errors import ImageError, UserError, nearest
from glyphline.imaging.documents import ColourImage, GreyImage

# Line images are too small for OpenCV's threads to pay, and its thread pool does not survive a fork: composing
# processes forked after it has started would wait for it for ever.
cv2.setNumThreads(1)

REMAP_LIMIT = 32_000  # px; OpenCV cannot remap wider images
WIDTH_LIMIT = 16_384  # px of a canonical line; wider ones are refused
NORMALIZATIONS = ("ink", "whole", "colour")  # crop to the ink, keep the image's own frame, or its colours too
WORK_HEIGHT = 96  # px; taller line images are shrunk to it before anything is measured
INK_SHARE = 0.3  # of the strongest ink: fainter pixels do not count when the ink is framed
MARGIN = 2  # px kept around the ink in the canonical line
LONG = 8  # heights; the edges of wider lines are brought level
WINDOW = 4  # heights over which the edges of a long line are looked for
SLOPE = 4  # windows that tell how a line goes on at its ends
STEEP = 0.8  # of the height a line had before its edges were level; a lower one sloped


def ink_is_bright(grey: GreyImage) -> bool:
    """True for bright ink on dark ground: what strays farthest from its surroundings is the ink.

    Compared with a wide local mean rather than one level, so that a shadow is not taken for ink.
    """
    small = grey
    if grey.shape[0] > 48:
        small = cv2.resize(grey, (max(1, grey.shape[1] * 48 // grey.shape[0]), 48), interpolation=cv2.INTER_AREA)
    reach = max(3, small.shape[0] // 2) | 1
    local = cv2.blur(small, (reach, reach), borderType=cv2.BORDER_REPLICATE)
    strays = np.bincount(cv2.subtract(small, local, dtype=cv2.CV_16S).ravel() + 255, minlength=511).cumsum()
    low, high = (int(np.searchsorted(strays, rank, side="right")) - 255 for rank in _ranks(strays[-1], 0.02, 0.98))
    return high + low > 0


def _ranks(count: int, *shares: float) -> list[int]:
    """The places of order statistics among `count` sorted values."""
    return [min(int(count) - 1, int(count * share)) for share in shares]


def _ground_is_dark(grey: GreyImage) -> bool:
    """For images that keep their own frame: the ground is what the frame's edge shows; even paper is dark."""
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ground, low, high = int(np.median(edge)), int(grey.min()), int(grey.max())
    return high - ground >= ground - low


def extract_ink(grey: GreyImage) -> GreyImage:
    """The ink of an image, bright on 0: the ground divided out, noise cut off, the strongest ink at 255.

    grey: (H, W) of any polarity -> (H, W). An image without contrast gives all 0.
    """
    dark = 255 - grey if ink_is_bright(grey) else grey
    h, w = dark.shape
    # The ground: bright pixels spread over what lies between them, on a small copy, softly.
    small_size = (max(1, w // 4), max(1, h // 4))
    small = cv2.resize(dark, small_size, interpolation=cv2.INTER_AREA)
    reach = max(3, small_size[1] // 2) | 1
    ground = cv2.morphologyEx(
        small, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8), borderType=cv2.BORDER_REPLICATE
    )
    ground = cv2.blur(ground, (reach, reach), borderType=cv2.BORDER_REPLICATE)
    wide = cv2.resize(ground, (w, h), interpolation=cv2.INTER_LINEAR)
    ink = 255 - cv2.divide(dark, np.maximum(wide, 1), scale=255)
    step = max(1, ink.size // 20_000)
    counts = np.bincount(ink.reshape(-1)[::step], minlength=256).cumsum()
    # Paper is the lower part of the values even where a marker covers half of the image.
    lowest, middle, strongest = (
        int(np.searchsorted(counts, rank, side="right")) for rank in _ranks(counts[-1], 0.1, 0.35, 0.99)
    )
    noise = middle - lowest
    floor = middle + 2 * noise + 4
    if strongest - floor < 12:  # of 255: nothing stands out from the paper
        return np.zeros_like(grey)
    scale = 255.0 / (strongest - floor)
    return cv2.convertScaleAbs(cv2.subtract(ink, np.full_like(ink, floor)), alpha=scale)


def _pieces(ink: GreyImage) -> npt.NDArray[np.int32]:
    """(top, bottom, left, right) of each connected piece of ink, ends exclusive, specks left out."""
    h = ink.shape[0]
    inked = (ink > INK_SHARE * 255).view(np.uint8)
    _, _, regions, _ = cv2.connectedComponentsWithStatsWithAlgorithm(inked, 8, cv2.CV_32S, cv2.CCL_BOLELLI)
    regions = regions[1:]  # the first is the paper
    left, top, wide, tall = regions[regions[:, cv2.CC_STAT_AREA] >= max(3, h * h // 1000), :4].T
    return np.stack([top, top + tall, left, left + wide], 1)


def ink_bounds(ink: GreyImage) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of the ink, ends exclusive, specks left out; the whole image when there is none."""
    regions = _pieces(ink)
    if len(regions) == 0:
        return 0, ink.shape[0], 0, ink.shape[1]
    (top, _, left, _), (_, bottom, _, right) = regions.min(0).tolist(), regions.max(0).tolist()
    return top, bottom, left, right


@dataclass(frozen=True)
class NormalizedLine:
    """A canonical line and where it lay: column c of `line` is column `left + c / scale` of the image."""

    line: GreyImage | ColourImage  # (height, W), ink bright on 0; (height, W, 3) as it is with the frame "colour"
    left: float  # px of the image
    scale: float  # canonical px per image px


def canonical_line_image(grey: GreyImage, height: int, normalization: str = "ink") -> GreyImage:
    """A line image as the network sees it: (height, W), ink bright on 0, W in proportion; see `normalize_line`."""
    return normalize_line(grey, height, normalization).line


def to_grey(image: GreyImage | ColourImage) -> GreyImage:
    """An image (H, W) or (H, W, 3) in greys (H, W)."""
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def normalize_line(image: GreyImage | ColourImage, height: int, normalization: str = "ink") -> NormalizedLine:
    """A line image as the network sees it, and where it lay in the image.

    frame "ink": the ground divided out and the image cropped to its ink; for photographs and scans.
    frame "whole": the image's own frame and greys, only scaled; for tiles, which fill their frame exactly.
    frame "colour": only scaled, (height, W, 3); for recognizers of other projects.
    Raises UserError for an unknown frame, ImageError for a line wider than WIDTH_LIMIT.
    """
    if normalization not in NORMALIZATIONS:
        raise UserError(f'no frame "{normalization}"; {nearest(normalization, NORMALIZATIONS)}')
    if normalization == "colour":
        line = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image
        return NormalizedLine(_resized(line, height, _width_at(height, line)), 0.0, height / len(image))
    grey = to_grey(image)
    if normalization == "whole":
        upright = grey if _ground_is_dark(grey) else 255 - grey
        if np.ptp(upright) == 0:  # nothing is written on even paper
            upright = np.zeros_like(upright)
        return NormalizedLine(_scaled(upright, height, 0), 0.0, height / grey.shape[0])
    tall, shrunk = grey.shape[0], 1.0
    if tall > WORK_HEIGHT:
        shrunk = WORK_HEIGHT / tall
        size = (max(1, round(grey.shape[1] * shrunk)), WORK_HEIGHT)
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    ink = extract_ink(grey)
    top, bottom, left, right = ink_bounds(ink)
    ink = ink[top:bottom, left:right]
    _width_at(height - 2 * MARGIN, ink)  # refused before memory is taken for levelling
    if right - left > LONG * (bottom - top):
        ink = _straightened(ink)
        if ink.shape[0] < STEEP * (bottom - top):  # it sloped: again, with windows of the line's own height
            ink = _straightened(ink)
    scale = (height - 2 * MARGIN) / ink.shape[0]
    return NormalizedLine(_scaled(ink, height, MARGIN), (left - MARGIN / scale) / shrunk, scale * shrunk)


def _straightened(ink: GreyImage) -> GreyImage:
    """A long line, cropped to its ink, with its upper and lower edge brought level: (H, W) -> (H' <= H, W).

    A line that slopes, bows or shrinks would else be scaled by its extremes, the more the longer it is. The edges are
    those of the ink in windows WINDOW heights wide, one every half a window, and straight between their middles.
    """
    h, w = ink.shape
    cuts = np.linspace(0, w, max(2, round(2 * w / (WINDOW * h))) + 1)  # half a window apart
    parts = [_pieces(ink[:, int(start) : int(end)]) for start, end in pairwise(cuts)]
    windows = []  # middle, upper and lower edge of each, px
    for middle, *halves in zip(cuts[1:-1], parts, parts[1:], strict=False):
        regions = np.concatenate(halves)
        if len(regions):  # not in a gap
            windows.append((middle, regions[:, 0].min(), regions[:, 1].max()))
    if not windows:
        return ink
    known = np.array(windows)
    ends = []  # the first and the last half window go on as the line slopes there
    for x, near in ((0, known[:SLOPE]), (w - 1, known[: -SLOPE - 1 : -1])):
        slope = np.polyfit(near[:, 0], near[:, 1:].mean(axis=1), 1)[0] if len(near) > 1 else 0.0
        ends.append((x, *(near[0, 1:] + slope * (x - near[0, 0]))))
    middles, tops, bottoms = np.vstack([ends[0], known, ends[1]]).T
    columns = np.arange(w, dtype=np.float32)
    top, bottom = np.interp(columns, middles, tops), np.interp(columns, middles, bottoms)
    height = max(1, round(float((known[:, 2] - known[:, 1]).mean())))
    share = (np.arange(height) + 0.5)[:, None] / height  # of the way from the upper edge to the lower
    rows = (top + share * (bottom - top) - 0.5).astype(np.float32)
    across = np.tile(columns[:REMAP_LIMIT], (height, 1))
    spans = [slice(start, min(start + REMAP_LIMIT, w)) for start in range(0, w, REMAP_LIMIT)]
    return np.hstack([cv2.remap(ink[:, s], across[:, : s.stop - s.start], rows[:, s], cv2.INTER_LINEAR) for s in spans])


def _width_at(height: int, ink: GreyImage | ColourImage) -> int:
    """The width of a line at a height, aspect kept. Raises ImageError for one wider than WIDTH_LIMIT."""
    h, w = ink.shape[:2]
    width = max(1, round(w * height / h))
    if width > WIDTH_LIMIT:
        raise ImageError(f"a line of {w} x {h} px is {width} px wide at height {height}: cut it into shorter lines")
    return width


def _scaled(ink: GreyImage, height: int, margin: int) -> GreyImage:
    """Scaled to `height` with `margin` px of nothing all around, aspect kept."""
    inner = height - 2 * margin
    ink = _resized(ink, inner, _width_at(inner, ink))
    return cv2.copyMakeBorder(ink, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0) if margin else ink


def _resized(image: GreyImage, height: int, width: int) -> GreyImage:
    if image.shape[:2] == (height, width):
        return image
    way = cv2.INTER_AREA if len(image) > height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)


def padded_batch(
    lines: Iterable[GreyImage | ColourImage], multiple: int = 8, padding_value: int = 0, min_width: int = 0
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Lines of one height as one array (N, H, W[, 3]), `padding_value` at their right, and their true widths (N,) in px.

    W is a multiple of `multiple`, and at least `min_width`.
    """
    every = list(lines)
    if not every:
        raise UserError("a batch needs at least one line")
    widths = np.array([line.shape[1] for line in every], np.int64)
    width = -(-max(int(widths.max()), min_width) // multiple) * multiple
    height, _, *channels = every[0].shape
    batch = np.full((len(every), height, width, *channels), padding_value, np.uint8)
    for row, line in zip(batch, every, strict=True):
        row[:, : line.shape[1]] = line
    return batch, widths
