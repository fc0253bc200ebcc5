"""Curved text: outlines are fitted to rings, rectified, and mapped back to the page."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from glyphline import open_reader
from glyphline.imaging.documents import ColourImage
from glyphline.reading.detection.curved_text import (
    CurvedOutline,
    curve_size,
    fit_curved_outline,
    map_to_curve,
    orient_left_to_right,
)
from glyphline.reading.detection.detectors import DbNetDetector
from glyphline.reading.detection.orientation import rotate_points, rotate_quarters
from glyphline.reading.detection.rectification import expand_outline, map_to_page, rectify
from glyphline.reading.detection.regions import Region, minimum_area_rectangle

CENTRE, RADIUS, HEIGHT = np.array([300.0, 320.0]), 220.0, 60.0
Points = npt.NDArray[np.float64]


def arc(start: float, end: float, height: float = HEIGHT, inward: bool = False) -> CurvedOutline:
    """The outline of text from one angle to another, degrees clockwise; inward: letters face the centre."""
    angles = np.radians(np.linspace(start, end, 33))
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)
    outer, inner = (CENTRE + ring * (RADIUS + side * height / 2) for side in (1, -1))
    return np.stack([inner, outer] if inward else [outer, inner], 1)


def pixels_inside(curve: CurvedOutline, vertical_scale: float = 1.0) -> Points:
    """The pixels inside an outline, on an image scaled vertically."""
    mask = np.zeros((700, 700), np.uint8)
    edge = np.concatenate([curve[:, 0], curve[::-1, 1]]) * (1, vertical_scale)
    cv2.fillPoly(mask, [edge.astype(np.int32)], 1)
    return np.argwhere(mask)[:, ::-1].astype(np.float64)


def rectangle_height(points: Points) -> float:
    return min(cv2.minAreaRect(points.astype(np.float32))[1])


@pytest.mark.parametrize(("start", "end", "inward"), [
    (-150, -30, False),  # along the upper rim of a plaque
    (150, 30, True),  # along the lower one
    (-100, -10, False), (-175, -70, False), (-250, 70, False), (170, 95, True),
])  # fmt: skip
def test_outline_is_fitted_to_a_ring(start: float, end: float, inward: bool) -> None:
    expected = arc(start, end, inward=inward)
    points = pixels_inside(expected)
    found = fit_curved_outline(points, rectangle_height(points), expansion=0.0)
    assert found is not None
    assert np.abs(found - expected).max() < 4
    length, height = curve_size(found)
    assert abs(height - HEIGHT) < 5 and abs(length - RADIUS * np.radians(abs(end - start))) < 8
    expanded = fit_curved_outline(points, rectangle_height(points), expansion=1.6)
    assert expanded is not None
    offset = 1.6 * length * height / (2 * (length + height))
    assert abs(curve_size(expanded)[1] - height - 2 * offset) < 3


def test_plaque_seen_from_the_side_is_fitted() -> None:
    expected = arc(-150, -30) * (1, 0.75)
    points = pixels_inside(arc(-150, -30), 0.75)
    found = fit_curved_outline(points, rectangle_height(points), expansion=0.0)
    assert found is not None
    assert np.abs(found.mean(1)[[2, 8, 16, 24, 30]] - expected.mean(1)[[2, 8, 16, 24, 30]]).max() < 10


def test_straight_text_closed_rings_and_dots_are_not_curved() -> None:
    for curve in (arc(-92, -88), arc(-97, -83), arc(-180, 175)):
        points = pixels_inside(curve)
        assert fit_curved_outline(points, rectangle_height(points), 1.6) is None
    for size in ((400, 30), (30, 400), (1, 50), (2, 2)):
        block = np.argwhere(np.ones(size)).astype(np.float64)
        assert fit_curved_outline(block, min(size), 1.6) is None


def draw_line() -> ColourImage:
    out = np.full((60, 461, 3), 235, np.uint8)
    cv2.putText(out, "Bread and milk", (14, 44), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (40, 40, 60), 3, cv2.LINE_AA)
    return out


def draw_along(curve: CurvedOutline) -> ColourImage:
    """A line of text drawn along an outline, (700, 700, 3)."""
    sheet, line = np.full((700, 700, 3), 235, np.uint8), draw_line()
    down, across = np.meshgrid(np.arange(line.shape[0] * 3) / 3, np.arange(line.shape[1] * 4) / 4, indexing="ij")
    shares = np.stack([across / line.shape[1], down / line.shape[0]], 2)
    x, y = np.round(map_to_curve(curve, shares)).astype(int).reshape(-1, 2).T
    sheet[y, x] = line[down.astype(int), across.astype(int)].reshape(-1, 3)
    return sheet


@pytest.mark.parametrize("curve", [arc(-150, -30), arc(150, 30, inward=True)])
def test_curved_line_is_rectified(curve: CurvedOutline) -> None:
    line = rectify(draw_along(curve), curve)
    assert line.shape == (60, 461, 3)
    assert np.abs(line.astype(int) - draw_line()).mean() < 12
    large = cv2.resize(draw_along(curve), None, fx=6, fy=6)
    assert rectify(large, curve * 6).shape[0] == 128
    assert np.abs(cv2.resize(rectify(large, curve * 6), (461, 60)).astype(int) - draw_line()).mean() < 14
    assert rectify(draw_along(curve), curve + 5000).shape == (60, 461, 3)  # outside the image
    assert rectify(draw_along(curve), curve, 0.5).shape[0] == 120


def test_points_of_a_rectified_line_map_to_its_curve() -> None:
    curve = arc(-150, -30)
    points = [(0.0, 0.0), (461.0, 60.0), (230.5, 0.0)]
    assert np.allclose(map_to_page(curve, (461, 60), points), [curve[0, 0], curve[-1, 1], curve[16, 0]])
    assert np.allclose(expand_outline(curve, 0.25)[:, 0], arc(-150, -30, 1.5 * HEIGHT)[:, 0])


def test_rotated_curve_runs_from_left_to_right() -> None:
    curve = arc(-150, -30)
    region = Region(minimum_area_rectangle(curve), 1.0, curve)
    assert not region.is_vertical and region.outline is curve
    quarter = region.transform(partial(rotate_points, quarters=1, shape=(700, 700)))
    assert quarter.is_vertical and quarter.size == pytest.approx(region.size)
    half = region.transform(partial(rotate_points, quarters=2, shape=(700, 700)))
    assert half.curve is not None and half.curve[0, 0, 0] < half.curve[-1, 0, 0]
    assert np.allclose(half.curve, orient_left_to_right(rotate_points(curve, 2, (700, 700))))
    assert half.curve[16, 0, 1] < half.curve[16, 1, 1]  # its upper edge is now the inner one


@pytest.mark.slow
@pytest.mark.parametrize(("curve", "quarters"), [
    (arc(-150, -30), 0), (arc(150, 30, inward=True), 0), (arc(-150, -30), 2),
])  # fmt: skip
def test_curved_text_is_read(curve: CurvedOutline, quarters: int) -> None:
    image = rotate_quarters(draw_along(curve), quarters)
    (region,) = DbNetDetector()(image)
    assert region.curve is not None
    page = open_reader("reader").read_image(image)
    assert (page.text, page.rotation) == ("Bread and milk", 90 * quarters)
    (line,) = page.lines
    assert len(line.polygon) == 2 * len(curve)
    middle = np.array(line.words[1].polygon).mean(0)  # "and"
    assert np.abs(rotate_points(middle[None], -quarters, (700, 700)) - curve[14].mean(0)).max() < 40
