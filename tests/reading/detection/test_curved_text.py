"""Arcs: the ring that a patch of text fills is found, straightened, and its places are those of the image."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from glyphline import open_reader
from glyphline.imaging.documents import ColourImage
from glyphline.reading.detection.curved_text import CurvedOutline, at, fit_curved_outline, orient_left_to_right, size_of
from glyphline.reading.detection.detectors import DbNetDetector, Region, around
from glyphline.reading.detection.rectification import (
    expand_outline,
    map_to_page,
    rectify,
    rotate_points,
    rotate_quarters,
)

needs_photo = pytest.mark.skipif(find_spec("rapidocr") is None, reason='needs pip install "glyphline[photo]"')
CENTRE, RADIUS, HIGH = np.array([300.0, 320.0]), 220.0, 60.0
Points = npt.NDArray[np.float64]


def arc(start: float, end: float, high: float = HIGH, inward: bool = False) -> CurvedOutline:
    """Text from one angle to another, degrees clockwise on the image from its right, heads outward or inward."""
    along = np.radians(np.linspace(start, end, 33))
    ring = np.stack([np.cos(along), np.sin(along)], 1)
    outer, inner = (CENTRE + ring * (RADIUS + side * high / 2) for side in (1, -1))
    return np.stack([inner, outer] if inward else [outer, inner], 1)


def patch(bend: CurvedOutline, squeezed: float = 1.0) -> Points:
    """The pixels inside a bend, on an image squeezed from above."""
    mask = np.zeros((700, 700), np.uint8)
    edge = np.concatenate([bend[:, 0], bend[::-1, 1]]) * (1, squeezed)
    cv2.fillPoly(mask, [edge.astype(np.int32)], 1)
    return np.argwhere(mask)[:, ::-1].astype(np.float64)


def tall(points: Points) -> float:
    return min(cv2.minAreaRect(points.astype(np.float32))[1])


@pytest.mark.parametrize(("start", "end", "inward"), [
    (-150, -30, False),  # along the upper rim of a plaque
    (150, 30, True),  # along the lower one
    (-100, -10, False), (-175, -70, False), (-250, 70, False), (170, 95, True),
])  # fmt: skip
def test_the_ring_of_a_patch_is_found(start: float, end: float, inward: bool) -> None:
    wanted = arc(start, end, inward=inward)
    points = patch(wanted)
    found = fit_curved_outline(points, tall(points), grow=0.0)
    assert found is not None
    assert np.abs(found - wanted).max() < 4
    wide, high = size_of(found)
    assert abs(high - HIGH) < 5 and abs(wide - RADIUS * np.radians(abs(end - start))) < 8
    wider = fit_curved_outline(points, tall(points), grow=1.6)
    assert wider is not None
    reach = 1.6 * wide * high / (2 * (wide + high))
    assert abs(size_of(wider)[1] - high - 2 * reach) < 3


def test_a_plaque_seen_from_the_side_is_an_ellipse() -> None:
    wanted = arc(-150, -30) * (1, 0.75)
    points = patch(arc(-150, -30), 0.75)
    found = fit_curved_outline(points, tall(points), grow=0.0)
    assert found is not None
    assert np.abs(found.mean(1)[[2, 8, 16, 24, 30]] - wanted.mean(1)[[2, 8, 16, 24, 30]]).max() < 10


def test_straight_patches_whole_rings_and_dots_are_no_arcs() -> None:
    for bend in (arc(-92, -88), arc(-97, -83), arc(-180, 175)):
        points = patch(bend)
        assert fit_curved_outline(points, tall(points), 1.6) is None
    for size in ((400, 30), (30, 400), (1, 50), (2, 2)):
        block = np.argwhere(np.ones(size)).astype(np.float64)
        assert fit_curved_outline(block, min(size), 1.6) is None


def strip() -> ColourImage:
    out = np.full((60, 461, 3), 235, np.uint8)
    cv2.putText(out, "Bread and milk", (14, 44), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (40, 40, 60), 3, cv2.LINE_AA)
    return out


def painted(bend: CurvedOutline) -> ColourImage:
    """A strip of text laid along a bend, (700, 700, 3): each pixel from the nearest place of the bend."""
    sheet, line = np.full((700, 700, 3), 235, np.uint8), strip()
    down, across = np.meshgrid(np.arange(line.shape[0] * 3) / 3, np.arange(line.shape[1] * 4) / 4, indexing="ij")
    shares = np.stack([across / line.shape[1], down / line.shape[0]], 2)
    x, y = np.round(at(bend, shares)).astype(int).reshape(-1, 2).T
    sheet[y, x] = line[down.astype(int), across.astype(int)].reshape(-1, 3)
    return sheet


@pytest.mark.parametrize("bend", [arc(-150, -30), arc(150, 30, inward=True)])
def test_a_bend_is_cut_out_straight(bend: CurvedOutline) -> None:
    line = rectify(painted(bend), bend)
    assert line.shape == (60, 461, 3)
    assert np.abs(line.astype(int) - strip()).mean() < 12
    large = cv2.resize(painted(bend), None, fx=6, fy=6)
    assert rectify(large, bend * 6).shape[0] == 128
    assert np.abs(cv2.resize(rectify(large, bend * 6), (461, 60)).astype(int) - strip()).mean() < 14
    assert rectify(painted(bend), bend + 5000).shape == (60, 461, 3)  # off the image
    assert rectify(painted(bend), bend, 0.5).shape[0] == 120


def test_places_of_a_straightened_line_lie_on_its_bend() -> None:
    bend = arc(-150, -30)
    points = [(0.0, 0.0), (461.0, 60.0), (230.5, 0.0)]
    assert np.allclose(map_to_page(bend, (461, 60), points), [bend[0, 0], bend[-1, 1], bend[16, 0]])
    assert np.allclose(expand_outline(bend, 0.25)[:, 0], arc(-150, -30, 1.5 * HIGH)[:, 0])


def test_a_turned_bend_runs_right_again() -> None:
    bend = arc(-150, -30)
    region = Region(around(bend), 1.0, bend)
    assert not region.lies and region.place is bend
    quarter = region.moved(partial(rotate_points, quarters=1, shape=(700, 700)))
    assert quarter.lies and quarter.size == pytest.approx(region.size)
    head = region.moved(partial(rotate_points, quarters=2, shape=(700, 700)))
    assert head.bend is not None and head.bend[0, 0, 0] < head.bend[-1, 0, 0]
    assert np.allclose(head.bend, orient_left_to_right(rotate_points(bend, 2, (700, 700))))
    assert head.bend[16, 0, 1] < head.bend[16, 1, 1]  # its upper edge is the inner one now


@needs_photo
@pytest.mark.parametrize(("bend", "quarters"), [
    (arc(-150, -30), 0), (arc(150, 30, inward=True), 0), (arc(-150, -30), 2),
])  # fmt: skip
def test_text_along_an_arc_is_read(bend: CurvedOutline, quarters: int) -> None:
    image = rotate_quarters(painted(bend), quarters)
    (found,) = DbNetDetector()(image)
    assert found.bend is not None
    page = open_reader("reader").read_picture(image)
    assert (page.text, page.rotation) == ("Bread and milk", 90 * quarters)
    (line,) = page.lines
    assert len(line.polygon) == 2 * len(bend)
    middle = np.array(line.words[1].polygon).mean(0)  # "and"
    assert np.abs(rotate_points(middle[None], -quarters, (700, 700)) - bend[14].mean(0)).max() < 40
