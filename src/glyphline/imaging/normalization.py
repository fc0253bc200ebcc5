"""Line normalization: scale a line image to the height of a recognizer, with bright ink on 0.

Training and reading use the same functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.errors import ImageError, UserError, nearest
from glyphline.imaging.documents import ColourImage, GreyImage

# Line images are too small to gain from OpenCV's threads. Its thread pool does not survive a fork: a forked composing
# process would wait for it forever.
cv2.setNumThreads(1)

REMAP_LIMIT = 32_000  # px; OpenCV cannot remap wider images
WIDTH_LIMIT = 16_384  # px of a normalized line; wider ones are refused
#: name -> value of the pixels that pad a line in a batch, 0..255; see `normalize_line`. Networks scale photographs to
#: -1..1, and 128 is their zero.
NORMALIZATIONS = {"ink": 0, "whole": 0, "grey": 128, "colour": 128}
WORK_HEIGHT = 96  # px; taller line images are shrunk to it before the ink is measured
INK_THRESHOLD = 0.3  # share of the strongest ink; fainter pixels do not count for the bounds of the ink
MARGIN = 2  # px around the ink in the normalized line
LEVEL_ASPECT = 8  # width / height; the edges of lines with a greater ratio are levelled
EDGE_WINDOW = 4  # width, in heights of the line, of the windows in which the edges of a long line are measured
SLOPE_WINDOWS = 4  # number of windows that determine the slope at each end of a line
SLOPED_RATIO = 0.8  # height after levelling / height before; below it the line was sloped and is levelled again
POLARITY_PIXELS = 100_000  # of a page that are looked at to tell whether its ink is bright
POLARITY_WINDOW = 33  # side of the windows in which they are compared


def ink_is_bright(grey: GreyImage) -> bool:
    """Decide whether a line image (H, W) has bright ink on a dark background.

    Each pixel is compared with the mean of its surroundings, so that a shadow does not count as ink. The ink is bright
    if the 98 % quantile of the differences is farther from 0 than the 2 % quantile.
    """
    small = grey
    if grey.shape[0] > 48:
        small = cv2.resize(grey, (max(1, grey.shape[1] * 48 // grey.shape[0]), 48), interpolation=cv2.INTER_AREA)
    window = max(3, small.shape[0] // 2) | 1
    local_mean = cv2.blur(small, (window, window), borderType=cv2.BORDER_REPLICATE)
    differences = cv2.subtract(small, local_mean, dtype=cv2.CV_16S)
    counts = np.bincount(differences.ravel() + 255, minlength=511).cumsum()
    low, high = (
        int(np.searchsorted(counts, rank, side="right")) - 255 for rank in _quantile_ranks(counts[-1], 0.02, 0.98)
    )
    return high + low > 0


def page_has_bright_ink(grey: GreyImage) -> bool:
    """Decide whether the text of a page or a photograph (H, W) is brighter than its paper.

    Ink covers less than paper, so in a window with text the values are skewed towards the ink. The windows around all
    pixels vote by the cube root of their third central moment. Those across the edge of the paper cancel one another.
    """
    step = max(1, math.isqrt(grey.size // POLARITY_PIXELS))
    values = grey[::step, ::step].astype(np.float32) / 255 - 0.5
    window = (min(POLARITY_WINDOW, values.shape[1]), min(POLARITY_WINDOW, values.shape[0]))
    mean, square, cube = (
        cv2.blur(values**power, window, borderType=cv2.BORDER_REFLECT_101).astype(np.float64) for power in (1, 2, 3)
    )
    moments = cube - 3 * mean * square + 2 * mean**3
    return float(np.cbrt(moments).sum()) > 0


def _quantile_ranks(count: int, *quantiles: float) -> list[int]:
    """The indices of quantiles (0..1) in `count` sorted values."""
    return [min(int(count) - 1, int(count * quantile)) for quantile in quantiles]


def _background_is_dark(grey: GreyImage) -> bool:
    """Whether the grey values reach farther above the median of the image border than below it, or equally far."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    background, low, high = int(np.median(border)), int(grey.min()), int(grey.max())
    return high - background >= background - low


def extract_ink(grey: GreyImage) -> GreyImage:
    """Extract the ink of a line image: divide by the background, subtract the noise, scale the strongest ink to 255.

    grey: uint8 (H, W), dark ink on a bright background or the reverse. Returns uint8 (H, W), bright ink on 0. An image
    without contrast gives all 0.
    """
    dark_ink = 255 - grey if ink_is_bright(grey) else grey
    h, w = dark_ink.shape
    # The background is a closing: bright pixels spread over the ink between them. A quarter of the size is enough.
    small_size = (max(1, w // 4), max(1, h // 4))
    small = cv2.resize(dark_ink, small_size, interpolation=cv2.INTER_AREA)
    window = max(3, small_size[1] // 2) | 1
    background = cv2.morphologyEx(
        small, cv2.MORPH_CLOSE, np.ones((window, window), np.uint8), borderType=cv2.BORDER_REPLICATE
    )
    background = cv2.blur(background, (window, window), borderType=cv2.BORDER_REPLICATE)
    background = cv2.resize(background, (w, h), interpolation=cv2.INTER_LINEAR)
    ink = 255 - cv2.divide(dark_ink, np.maximum(background, 1), scale=255)
    step = max(1, ink.size // 20_000)
    counts = np.bincount(ink.reshape(-1)[::step], minlength=256).cumsum()
    # The quantiles of the paper are low, because a marker may cover half of the image.
    paper_low, paper_high, strongest = (
        int(np.searchsorted(counts, rank, side="right")) for rank in _quantile_ranks(counts[-1], 0.1, 0.35, 0.99)
    )
    noise = paper_high - paper_low
    floor = paper_high + 2 * noise + 4
    if strongest - floor < 12:  # of 255; no ink is clearly stronger than the paper
        return np.zeros_like(grey)
    scale = 255.0 / (strongest - floor)
    return cv2.convertScaleAbs(cv2.subtract(ink, np.full_like(ink, floor)), alpha=scale)


def _component_bounds(ink: GreyImage) -> npt.NDArray[np.int32]:
    """(top, bottom, left, right) of each connected component of ink, ends exclusive, without specks; shape (N, 4)."""
    h = ink.shape[0]
    mask = (ink > INK_THRESHOLD * 255).view(np.uint8)
    _, _, components, _ = cv2.connectedComponentsWithStatsWithAlgorithm(mask, 8, cv2.CV_32S, cv2.CCL_BOLELLI)
    components = components[1:]  # the first is the background
    left, top, width, height = components[components[:, cv2.CC_STAT_AREA] >= max(3, h * h // 1000), :4].T
    return np.stack([top, top + height, left, left + width], 1)


def ink_bounds(ink: GreyImage) -> tuple[int, int, int, int]:
    """Compute (top, bottom, left, right) of the ink in px, ends exclusive. Specks do not count.

    ink: (H, W), from `extract_ink`. Without any ink the bounds are those of the image.
    """
    components = _component_bounds(ink)
    if len(components) == 0:
        return 0, ink.shape[0], 0, ink.shape[1]
    (top, _, left, _), (_, bottom, _, right) = components.min(0).tolist(), components.max(0).tolist()
    return top, bottom, left, right


@dataclass(frozen=True)
class NormalizedLine:
    """A normalized line and its position: column c of `line` is column `left + c / scale` of the image."""

    line: GreyImage | ColourImage  # (height, W), bright ink on 0; (height, W, 3) for "colour"
    left: float  # px of the image
    scale: float  # px of the normalized line per px of the image


def canonical_line_image(grey: GreyImage, height: int, normalization: str = "ink") -> GreyImage:
    """Normalize a line image as `normalize_line` does, and return only the image: (height, W), "colour" (height, W, 3).

    Raises the errors of `normalize_line`.
    """
    return normalize_line(grey, height, normalization).line


def to_grey(image: GreyImage | ColourImage) -> GreyImage:
    """Convert an RGB image (H, W, 3) to grey values (H, W). A grey image is returned as it is."""
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def normalize_line(image: GreyImage | ColourImage, height: int, normalization: str = "ink") -> NormalizedLine:
    """Scale a line image to `height` px for a recognizer, aspect kept, and record its position in the image.

    image: uint8 (H, W) or (H, W, 3).
    normalization "ink": extract the ink, crop to it, level the edges of a long line, add MARGIN; for photographs and
    scans. Dark or bright ink gives bright ink on 0.
    normalization "whole": keep the frame of the image and scale its grey values, inverted if the background is bright;
    for tiles, which fill their frame exactly.
    normalization "grey": scale the grey values only, as they were photographed; ink may be dark or bright.
    normalization "colour": scale the RGB image only, to (height, W, 3); a grey image gets three equal channels; for
    recognizers of other projects.
    Raises UserError for an unknown normalization, ImageError for a line that is wider than WIDTH_LIMIT at this height.
    """
    if normalization not in NORMALIZATIONS:
        raise UserError(f'no normalization "{normalization}"; {nearest(normalization, NORMALIZATIONS)}')
    if normalization == "colour":
        line = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image
        return NormalizedLine(_resize(line, height, _scaled_width(line, height)), 0.0, height / len(image))
    grey = to_grey(image)
    if normalization == "grey":
        return NormalizedLine(_resize(grey, height, _scaled_width(grey, height)), 0.0, height / len(grey))
    if normalization == "whole":
        bright_ink = grey if _background_is_dark(grey) else 255 - grey
        if np.ptp(bright_ink) == 0:  # a blank image
            bright_ink = np.zeros_like(bright_ink)
        return NormalizedLine(_scale_and_pad(bright_ink, height, 0), 0.0, height / grey.shape[0])
    full_height, shrink = grey.shape[0], 1.0
    if full_height > WORK_HEIGHT:
        shrink = WORK_HEIGHT / full_height
        size = (max(1, round(grey.shape[1] * shrink)), WORK_HEIGHT)
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    ink = extract_ink(grey)
    top, bottom, left, right = ink_bounds(ink)
    ink = ink[top:bottom, left:right]
    _scaled_width(ink, height - 2 * MARGIN)  # refuses a line that is too wide before memory is allocated for levelling
    if right - left > LEVEL_ASPECT * (bottom - top):
        ink = _level_edges(ink)
        if ink.shape[0] < SLOPED_RATIO * (bottom - top):  # a sloped line: again, with windows for its own height
            ink = _level_edges(ink)
    scale = (height - 2 * MARGIN) / ink.shape[0]
    return NormalizedLine(_scale_and_pad(ink, height, MARGIN), (left - MARGIN / scale) / shrink, scale * shrink)


def _level_edges(ink: GreyImage) -> GreyImage:
    """Straighten the upper and lower edge of a long line that is cropped to its ink: (H, W) -> (H', W).

    A sloped, curved or tapering line would otherwise be scaled by its extremes. The edges are the bounds of the ink in
    windows EDGE_WINDOW heights wide, one every half window, interpolated linearly between the centres of the windows.
    """
    h, w = ink.shape
    boundaries = np.linspace(0, w, max(2, round(2 * w / (EDGE_WINDOW * h))) + 1)  # half a window apart
    half_windows = [_component_bounds(ink[:, int(start) : int(end)]) for start, end in pairwise(boundaries)]
    windows = []  # (centre, upper edge, lower edge), px
    for centre, *halves in zip(boundaries[1:-1], half_windows, half_windows[1:], strict=False):
        components = np.concatenate(halves)
        if len(components):  # not in a gap
            windows.append((centre, components[:, 0].min(), components[:, 1].max()))
    if not windows:
        return ink
    edges = np.array(windows)
    ends = []  # the edges of the first and last half window are extrapolated by the slope of the nearest windows
    for x, nearby in ((0, edges[:SLOPE_WINDOWS]), (w - 1, edges[: -SLOPE_WINDOWS - 1 : -1])):
        slope = np.polyfit(nearby[:, 0], nearby[:, 1:].mean(axis=1), 1)[0] if len(nearby) > 1 else 0.0
        ends.append((x, *(nearby[0, 1:] + slope * (x - nearby[0, 0]))))
    centres, tops, bottoms = np.vstack([ends[0], edges, ends[1]]).T
    columns = np.arange(w, dtype=np.float32)
    top, bottom = np.interp(columns, centres, tops), np.interp(columns, centres, bottoms)
    height = max(1, round(float((edges[:, 2] - edges[:, 1]).mean())))
    fraction = (np.arange(height) + 0.5)[:, None] / height  # from the upper edge to the lower
    map_y = (top + fraction * (bottom - top) - 0.5).astype(np.float32)
    map_x = np.tile(columns[:REMAP_LIMIT], (height, 1))
    spans = [slice(start, min(start + REMAP_LIMIT, w)) for start in range(0, w, REMAP_LIMIT)]
    return np.hstack([cv2.remap(ink[:, s], map_x[:, : s.stop - s.start], map_y[:, s], cv2.INTER_LINEAR) for s in spans])


def _scaled_width(image: GreyImage | ColourImage, height: int) -> int:
    """The width of an image scaled to `height`. Raises ImageError if it exceeds WIDTH_LIMIT."""
    h, w = image.shape[:2]
    width = max(1, round(w * height / h))
    if width > WIDTH_LIMIT:
        raise ImageError(
            f"a line of {w} x {h} px is {width} px wide at height {height}, more than {WIDTH_LIMIT}: "
            "cut it into shorter lines"
        )
    return width


def _scale_and_pad(ink: GreyImage, height: int, margin: int) -> GreyImage:
    """Scale to `height`, which includes `margin` px of 0 on each side, aspect kept."""
    inner_height = height - 2 * margin
    ink = _resize(ink, inner_height, _scaled_width(ink, inner_height))
    return cv2.copyMakeBorder(ink, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0) if margin else ink


def _resize(image: GreyImage, height: int, width: int) -> GreyImage:
    if image.shape[:2] == (height, width):
        return image
    interpolation = cv2.INTER_AREA if len(image) > height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)


def pad_batch(
    lines: Iterable[GreyImage | ColourImage], multiple: int = 8, padding_value: int = 0, min_width: int = 0
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Stack lines of one height into a batch, padded on the right with `padding_value`.

    lines: (H, W) or (H, W, 3) each. Returns the batch (N, H, W) or (N, H, W, 3) and the widths (N,) of the lines in px.
    W is a multiple of `multiple` and at least `min_width`. Raises UserError if there are no lines.
    """
    images = list(lines)
    if not images:
        raise UserError("a batch needs at least one line: pass one or more")
    widths = np.array([image.shape[1] for image in images], np.int64)
    width = -(-max(int(widths.max()), min_width) // multiple) * multiple
    height, _, *channels = images[0].shape
    batch = np.full((len(images), height, width, *channels), padding_value, np.uint8)
    for row, image in zip(batch, images, strict=True):
        row[:, : image.shape[1]] = image
    return batch, widths
