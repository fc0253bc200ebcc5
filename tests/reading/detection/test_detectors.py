"""Detectors: lines are detected at any skew and size, and nothing on even paper."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glyphline.errors import MissingPackage, UserError
from glyphline.imaging.documents import ColourImage
from glyphline.reading import onnx_models
from glyphline.reading.detection.detectors import DETECTORS, DbNetDetector, InkDetector, open_detector
from glyphline.reading.detection.reading_order import order_regions

TEXTS = ["Shopping list", "bread and milk", "12 eggs"]


def draw_page(degrees: float = 0.0, paper: int = 235, ink: int = 40, scale: float = 1.0) -> ColourImage:
    """Three lines of print on paper, (600, 800, 3) times scale, rotated by some degrees."""
    sheet = np.full((600, 800, 3), paper, np.uint8)
    for k, text in enumerate(TEXTS):
        cv2.putText(sheet, text, (150, 200 + 110 * k), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (ink, ink, ink), 3, cv2.LINE_AA)
    rotation = cv2.getRotationMatrix2D((400, 300), degrees, 1.0)
    sheet = cv2.warpAffine(sheet, rotation, (800, 600), borderValue=(paper, paper, paper))
    return np.asarray(cv2.resize(sheet, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [0, 7, -14])
@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_dbnet_detects_lines(degrees: float, scale: float) -> None:
    regions = sorted(DbNetDetector()(draw_page(degrees, scale=scale)), key=lambda region: region.corners[0, 1])
    assert len(regions) == 3
    rotation = cv2.getRotationMatrix2D((400, 300), degrees, 1.0)
    for k, region in enumerate(regions):
        assert 0.5 < region.confidence <= 1
        start = rotation @ (150, 200 + 110 * k, 1) * scale  # the baseline of the line's first letter
        assert np.abs((region.corners[0] + region.corners[3]) / 2 - start).max() < 45 * scale
        direction = region.corners[1] - region.corners[0]
        assert abs(np.degrees(np.arctan2(direction[1], direction[0])) + degrees) < 5


@pytest.mark.parametrize("degrees", [0, 7, -14])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("paper, ink", [(235, 40), (30, 220)])
def test_ink_detector_detects_lines(degrees: float, scale: float, paper: int, ink: int) -> None:
    sheet = draw_page(degrees, paper, ink, scale)
    regions = sorted(
        (ordered.region for ordered in order_regions(InkDetector()(sheet))), key=lambda region: region.corners[0, 1]
    )
    rotation = cv2.getRotationMatrix2D((400, 300), degrees, 1.0)
    assert len(regions) == 3
    for k, region in enumerate(regions):
        start = rotation @ (150, 183 + 110 * k, 1) * scale  # the middle of the left side of the line's first letter
        assert np.abs((region.corners[0] + region.corners[3]) / 2 - start).max() < 30 * scale
        direction = region.corners[1] - region.corners[0]
        assert abs(np.degrees(np.arctan2(direction[1], direction[0])) + degrees) < 2


@pytest.mark.parametrize("size", [(1, 1), (1, 30_000), (30_000, 1), (33, 40), (300, 300)])
def test_ink_detector_detects_nothing_on_even_paper(size: tuple[int, int]) -> None:
    assert InkDetector()(np.full((*size, 3), 200, np.uint8)) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 30_000), (30_000, 1), (33, 40)])
def test_dbnet_detects_nothing_on_even_paper(size: tuple[int, int]) -> None:
    assert DbNetDetector()(np.full((*size, 3), 200, np.uint8)) == []


def test_dbnet_detects_light_text_on_dark_paper() -> None:
    assert len(DbNetDetector()(draw_page(paper=30, ink=220))) == 3


def test_single_line_detector_returns_the_whole_image() -> None:
    (region,) = open_detector("none")(draw_page())
    assert region.corners.tolist() == [[0, 0], [800, 0], [800, 600], [0, 600]]


def test_unknown_detector_and_missing_package_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match='did you mean "photo"'):
        open_detector("foto")
    monkeypatch.setattr(onnx_models, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"glyphline\[photo\]"):
        onnx_models.rapidocr_model_path("det")
    assert all(help_text.startswith(name) for name, (_, help_text) in DETECTORS.items())


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_dbnet_detects_letters_at_the_edge_of_a_small_image(scale: float) -> None:
    """Words cropped from photographs fill their images."""
    sheet = draw_page()[150:216, 148:520]  # the first line, cropped closely
    small = np.asarray(cv2.resize(sheet, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    (region,) = DbNetDetector()(small)
    low, high = region.corners.min(0), region.corners.max(0)
    size = np.array(small.shape[1::-1])
    assert (low >= 0).all() and (high <= size).all() and ((high - low) > 0.8 * size).all()
