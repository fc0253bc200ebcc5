"""Orientation: each rotation of composed pages, the certainty, lines in another direction than their page."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from glyphline import open_reader
from glyphline.imaging.documents import ColourImage
from glyphline.page import Page
from glyphline.reading.detection.orientation import (
    crop_middle,
    direction_probabilities,
    orientation_features,
    rotate_points,
    rotate_quarters,
    upright_log_odds,
)
from glyphline.reading.detection.reading_order import order_mixed_directions
from glyphline.reading.detection.regions import Region
from glyphline.reading.pages import PageReader

TEXTS = ["Opening hours", "Monday to Friday", "from nine to five", "closed on holidays"]


@lru_cache(maxsize=1)
def reader() -> PageReader:
    return open_reader()


def write(image: Image.Image, place: tuple[int, int], text: str, size: int = 36, quarters: int = 0) -> None:
    """Write a text on an image, so that `quarters` counterclockwise quarter turns make it upright."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    tile = Image.new("RGB", (int(right - left), int(bottom - top)), "white")
    ImageDraw.Draw(tile).text((-left, -top), text, font=font, fill=(20, 20, 40))
    image.paste(tile.rotate(-90 * quarters, expand=True), place)


def draw(texts: list[str], size: tuple[int, int] = (640, 420)) -> ColourImage:
    image = Image.new("RGB", size, "white")
    for k, text in enumerate(texts):
        write(image, (40, 40 + 80 * k), text)
    return np.asarray(image)


def read_turned(image: ColourImage, quarters: int) -> Page:
    return reader().read_image(rotate_quarters(image, -quarters))


@pytest.mark.slow
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_page_is_read_in_any_rotation(quarters: int) -> None:
    page = read_turned(draw(TEXTS), quarters)
    assert page.text.split("\n") == TEXTS
    assert page.rotation == 90 * quarters
    assert page.rotation_confidence is not None and page.rotation_confidence > 0.9


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_one_word_is_read_in_any_rotation(quarters: int) -> None:
    page = read_turned(draw(["Harbour"], (240, 110)), quarters)
    assert (page.text, page.rotation) == ("Harbour", 90 * quarters)


def test_word_that_reads_in_two_ways_is_less_certain() -> None:
    certain, uncertain = (read_turned(draw([text], (240, 110)), 0).rotation_confidence for text in ("Harbour", "SOS"))
    assert certain is not None and uncertain is not None and uncertain < certain


def test_page_without_text_has_no_rotation_and_no_certainty() -> None:
    for shape in ((900, 700, 3), (60, 90, 3)):
        page = reader().read_image(np.full(shape, 255, np.uint8))
        assert (page.text, page.rotation, page.rotation_confidence) == ("", 0, None)
        assert page.to_dict()["rotation_confidence"] is None


@pytest.mark.slow
@pytest.mark.parametrize("quarters", [0, 3])
def test_lines_in_other_directions_are_read_each_their_own_way(quarters: int) -> None:
    image = Image.new("RGB", (900, 760), "white")
    for k, text in enumerate(TEXTS):
        write(image, (200, 60 + 70 * k), text)
    write(image, (60, 60), "margin note", quarters=1)
    write(image, (800, 60), "received today", quarters=3)
    write(image, (200, 640), "written on its head", quarters=2)
    page = read_turned(np.asarray(image), quarters)
    lines = page.text.split("\n")
    assert page.rotation == 90 * quarters
    assert sorted(lines) == sorted([*TEXTS, "margin note", "received today", "written on its head"])
    assert [line for line in lines if line in TEXTS] == TEXTS
    if not quarters:
        polygons = {line.text: np.array(line.polygon) for line in page.lines}
        for text, corner in (("margin note", 1), ("received today", 0), ("written on its head", 0)):
            start = polygons[text][:2].mean(0) - polygons[text][2:].mean(0)  # from the lower to the upper edge
            expected = {"margin note": (1, 0), "received today": (-1, 0), "written on its head": (0, 1)}[text]
            assert np.dot(start, expected) > 0.9 * np.hypot(*start), corner


def test_classifier_tells_upright_from_upside_down() -> None:
    crop = draw(["Opening hours"])[35:85, 30:300]
    upright, upside_down = upright_log_odds([crop, rotate_quarters(crop, 2)])
    assert upright > 1 and upside_down == pytest.approx(-upright, abs=0.05)
    assert upright_log_odds([]) == []


def test_features_turn_with_the_image() -> None:
    image = draw(TEXTS)
    box = np.array([(30, 30), (330, 30), (330, 90), (30, 90)], np.float64)
    regions = [Region(box + np.array([0, 80 * k]), 0.9) for k in range(4)]
    rows = orientation_features(image, regions)
    for quarters in (1, 2, 3):
        turned = [r.transform(lambda p, q=quarters: rotate_points(p, -q, image.shape)) for r in regions]
        turned_rows = orientation_features(rotate_quarters(image, -quarters), turned)
        expected = np.roll(rows, quarters, 0)
        assert turned_rows[:, 1:3] == pytest.approx(expected[:, 1:3])
        assert (np.sign(turned_rows[quarters, 3:5]) == np.sign(expected[quarters, 3:5])).all()
        assert direction_probabilities("page", turned_rows).argmax() == quarters
    assert (orientation_features(image, [])[:, 1:5] == 0).all()


def test_middle_of_a_region_has_the_given_aspect() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    image[:, 180:220] = image[180:220, :] = 255
    box = np.array([(10, 180), (390, 180), (390, 220), (10, 220)], np.float64)
    assert crop_middle(image, Region(box, 1.0), 3.0).shape == (40, 120, 3)
    upright = np.array([(180, 10), (220, 10), (220, 390), (180, 390)], np.float64)
    crop = crop_middle(image, Region(upright, 1.0), 3.0)
    assert crop.shape == (120, 40, 3) and crop.min() == 255


def test_turned_regions_are_joined_and_ordered_in_their_own_direction() -> None:
    image = np.full((600, 800, 3), 255, np.uint8)

    def region(x0: float, y0: float, x1: float, y1: float) -> Region:
        return Region(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64), 0.9)

    level = [region(200, 100, 600, 140), region(200, 160, 600, 200)]
    margin = [region(20, 250, 50, 400), region(20, 80, 50, 240), region(60, 80, 90, 400)]  # a line of two parts, a line
    ordered = order_mixed_directions([*level, *margin], [0, 0, 3, 3, 3], image)
    assert [line.region.corners[0].tolist() for line in ordered] == [[200, 100], [200, 160], [20, 400], [60, 400]]
    assert ordered[2].region.size == pytest.approx((320, 30)) and ordered[1].paragraph < ordered[2].paragraph
