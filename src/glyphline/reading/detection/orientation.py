"""Orientation: rotate images and points by quarter turns, and tell which way up the text stands.

A quarter turn is 90 degrees counterclockwise. A direction is the number of quarter turns, 0 to 3, that make text
upright. Directions are chosen by conditional logistic regressions (McFadden 1974): each has a score, the weighted sum
of its features, and the softmax of the scores gives the probabilities. `orientation_features` needs only the shapes of
the regions and PP-OCR's classifier of line orientation. Where that leaves a doubt, `draft_features` adds what a few
lines read in each direction. The weights stand in models/directions.json, see benchmarks/orientation.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.imaging.documents import ColourImage
from glyphline.page import Line
from glyphline.reading.detection.rectification import rectify
from glyphline.reading.detection.regions import Corners, Region, side_lengths
from glyphline.reading.onnx_models import open_session, pp_ocr_input

DIRECTIONS = (0, 1, 2, 3)
CLASSIFIER_FILE = "orientation.onnx"  # in models/, written by benchmarks/bundle_detector.py
PROBES = 8  # regions that the classifier sees
DRAFT_LINES = 3  # lines that are read in each direction
PROBE_ASPECT = 4.0  # heights of a region that fill the input of the classifier
DRAFT_ASPECT = 12.0  # heights of a region that are read
TWO_CHARACTERS = 2.0  # length of two characters in line heights, with the margin of a detector's box
#: the probability of a direction from which on no lines are read to confirm it
SUFFICIENT_PROBABILITY = 0.99
_INPUT_SIZE = (192, 48)  # width, height, px; of the classifier
_MAX_LOG_ODDS = 4.0  # of the classifier for one region
_MIN_PROBABILITY = 1e-3  # probabilities are clipped to this distance from 0 and 1, so that log-odds are finite


def rotate_quarters(image: ColourImage, quarters: int) -> ColourImage:
    """The image (H, W, 3) rotated counterclockwise by quarter turns; clockwise for a negative number."""
    return np.ascontiguousarray(np.rot90(image, quarters % 4))


def is_one_character(region: Region) -> bool:
    """Whether a region is too short along its longer side for two characters. It stands as the other lines do."""
    width, height = region.size
    return max(width, height) < TWO_CHARACTERS * min(width, height)


def rotate_points(points: npt.NDArray[np.float64], quarters: int, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Points (..., 2) px (x, y) of an image of a shape (H, W, ...), after `rotate_quarters` of that image."""
    height, width = shape[:2]
    for _ in range(quarters % 4):
        points = np.stack([points[..., 1], width - points[..., 0]], -1)
        height, width = width, height
    return points


def _log_odds(p: float) -> float:
    p = min(max(p, _MIN_PROBABILITY), 1 - _MIN_PROBABILITY)
    return math.log(p / (1 - p))


# -------------------------------------------------------------------------------------------------------- classifier


@lru_cache(maxsize=1)
def _open_classifier() -> Any:
    with resources.as_file(resources.files("glyphline.models").joinpath(CLASSIFIER_FILE)) as path:
        return open_session(path)


def upright_log_odds(crops: Sequence[ColourImage]) -> list[float]:
    """The log-odds that level lines are upright, not upside down, by PP-OCR's classifier of line orientation.

    crops: (H, W, 3) uint8 each, at least 1 px high and wide. Each is classified both ways; the log-odds are half the
    difference, so that those of a crop that was rotated by 180 degrees have the opposite sign.
    """
    if not crops:
        return []
    batch = np.full((2 * len(crops), _INPUT_SIZE[1], _INPUT_SIZE[0], 3), 127, np.uint8)  # padded with grey
    for k, crop in enumerate(crops):
        width = min(_INPUT_SIZE[0], math.ceil(_INPUT_SIZE[1] * crop.shape[1] / crop.shape[0]))
        resized = cv2.resize(crop, (width, _INPUT_SIZE[1]), interpolation=cv2.INTER_AREA)
        batch[2 * k, :, :width] = resized
        batch[2 * k + 1, :, :width] = resized[::-1, ::-1]
    session = _open_classifier()
    probabilities = session.run(None, {session.get_inputs()[0].name: pp_ocr_input(batch)})[0][:, 0].tolist()
    odds = [_log_odds(p) for p in probabilities]
    return [(a - b) / 2 for a, b in zip(odds[::2], odds[1::2], strict=True)]


# ---------------------------------------------------------------------------------------------------------- features


def longest_regions(regions: Sequence[Region], count: int) -> list[Region]:
    """At most `count` regions, those with the longest sides."""
    return sorted(regions, key=lambda region: -max(side_lengths(region.corners)))[:count]


def crop_middle(image: ColourImage, region: Region, aspect: float) -> ColourImage:
    """The middle of a region of an image (H, W, 3), level, its longer side at most `aspect` times the shorter one."""
    corners: Corners = region.corners
    width, height = side_lengths(corners)
    ends = corners if width >= height else np.roll(corners, -1, 0)  # the first side is a longer one
    cut = max(0.0, 1 - aspect * min(width, height) / max(1e-9, width, height)) / 2
    upper, lower = ends[1] - ends[0], ends[2] - ends[3]
    middle = np.array([ends[0] + cut * upper, ends[1] - cut * upper, ends[2] - cut * lower, ends[3] + cut * lower])
    return rectify(image, middle if width >= height else np.roll(middle, 1, 0))


def _horizontality(region: Region) -> float:
    """How much wider than high a region is, -1..1: the log of the ratio, limited to that of PROBE_ASPECT."""
    width, height = side_lengths(region.corners)
    ratio = math.log(max(1e-9, width) / max(1e-9, height)) / math.log(PROBE_ASPECT)
    return min(1.0, max(-1.0, ratio))


def orientation_features(image: ColourImage, regions: Sequence[Region]) -> npt.NDArray[np.float64]:
    """The features (4, 6) of the directions of the text in regions of an image (H, W, 3) uint8.

    Whether the direction is 0; the horizontality of the regions, weighted by length, and this times the log of their
    number, both negative for the vertical directions; the mean log-odds of the classifier for up to PROBES regions, and
    their sum over the root of their number; whether the direction is vertical. The log-odds are negative for the
    opposite direction.
    """
    rows = np.zeros((4, 6))
    rows[0, 0] = 1.0
    rows[1::2, 5] = 1.0
    if not regions:
        return rows
    lengths = [max(side_lengths(region.corners)) for region in regions]
    horizontality = float(np.average([_horizontality(region) for region in regions], weights=np.maximum(1e-9, lengths)))
    probes = longest_regions(regions, PROBES)
    crops = [crop_middle(image, region, PROBE_ASPECT) for region in probes]
    for axis, sign in ((0, 1.0), (1, -1.0)):
        rows[axis::2, 1] = sign * horizontality
        rows[axis::2, 2] = sign * horizontality * math.log(len(regions))
        # a region that is clearly along the other axis says nothing
        along = [
            rotate_quarters(crop, axis)
            for crop, region in zip(crops, probes, strict=True)
            if sign * _horizontality(region) > -0.3
        ]
        odds = np.clip(upright_log_odds(along), -_MAX_LOG_ODDS, _MAX_LOG_ODDS)
        if len(odds):
            rows[axis, 3:5] = odds.mean(), odds.sum() / math.sqrt(len(odds))
            rows[axis + 2, 3:5] = -rows[axis, 3:5]
    return rows


def confident_letters(lines: Sequence[Line]) -> float:
    """The expected number of letters in correct words, each line weighted by its visual confidence.

    Upside-down text reads as pseudo-words with a low confidence.
    """
    return sum(line.visual_confidence * word.confidence * len(word.text) for line in lines for word in line.words)


def draft_features(log_probability: float, drafts: Sequence[Line]) -> list[float]:
    """The features of one direction in which a few lines were read.

    The log of its probability by `orientation_features`; the log of the number of confident letters (see
    `confident_letters`); the log-odds of the visual confidence, weighted by letters; whether there is no letter, and
    whether there are one or two.
    drafts: the lines.
    """
    letters = [sum(len(word.text) for word in line.words) for line in drafts]
    odds = [_log_odds(line.visual_confidence) for line in drafts]
    return [
        log_probability,
        math.log(0.5 + confident_letters(drafts)),
        float(np.average(odds, weights=letters)) if sum(letters) else 0.0,
        float(not sum(letters)),
        float(0 < sum(letters) <= 2),
    ]


# ---------------------------------------------------------------------------------------------------- fitted decision


@lru_cache(maxsize=1)
def _fitted_weights() -> dict[str, list[float]]:
    """Name of a decision -> weights of its features."""
    file = resources.files("glyphline.models") / "directions.json"
    weights: dict[str, list[float]] = json.loads(file.read_text(encoding="utf-8"))["weights"]
    return weights


def direction_probabilities(decision: str, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The probabilities (N,) of N directions, given by their features (N, F).

    decision: "page" or "region" for `orientation_features`, "page draft" or "region draft" for `draft_features`.
    """
    scores = rows @ np.array(_fitted_weights()[decision])
    exponentials = np.exp(scores - scores.max())
    probabilities: npt.NDArray[np.float64] = exponentials / exponentials.sum()
    return probabilities
