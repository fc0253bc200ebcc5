"""Tests of the overlay: lines are outlined on the image, and their texts stand in a panel beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glyphline.imaging.documents import ColourImage
from glyphline.page import Line, Page, Polygon
from glyphline.reading.overlay import CONFIDENCE_COLOURS, REJECTED_COLOUR, draw_overlay

BOX: Polygon = ((100, 100), (500, 100), (500, 160), (100, 160))
WIDTH, HEIGHT = 640, 480
GREEN, AMBER, RED = (colour for _, colour in CONFIDENCE_COLOURS)


def make_line(
    text: str = "Some words", confidence: float = 0.95, polygon: Polygon = BOX, rejected: bool = False
) -> Line:
    return Line(text, confidence, polygon, "reader", rejected=rejected)


def draw_halves(*lines: Line) -> tuple[ColourImage, ColourImage]:
    """The image with its outlines, and the panel with the texts."""
    combined = draw_overlay(np.full((HEIGHT, WIDTH, 3), 250, np.uint8), Page(WIDTH, HEIGHT, lines))
    assert combined.shape == (HEIGHT, 2 * WIDTH, 3) and combined.dtype == np.uint8
    return combined[:, :WIDTH], combined[:, WIDTH:]


def contains_colour(image: ColourImage, colour: tuple[int, int, int]) -> bool:
    return bool((image == colour).all(-1).any())


@pytest.mark.parametrize(("confidence", "colour"), [(0.99, GREEN), (0.9, GREEN), (0.8, AMBER), (0.2, RED), (-1.0, RED)])
def test_outline_has_the_colour_of_the_confidence(confidence: float, colour: tuple[int, int, int]) -> None:
    image, panel = draw_halves(make_line(confidence=confidence))
    for x in range(100, 500):
        assert (image[160, x] == colour).all()
    assert contains_colour(panel, colour)
    assert not any(contains_colour(image, other) for other in {GREEN, AMBER, RED} - {colour})


def test_text_stays_inside_its_line() -> None:
    for text in ("i", "Some words", "a much longer line that has to be made narrower to fit into its place " * 3):
        _, panel = draw_halves(make_line(text))
        rows, columns = np.nonzero((panel < 200).any(-1))
        assert rows.min() >= 100 and rows.max() <= 160 and columns.min() >= 98 and columns.max() <= 501
    assert columns.max() > 480  # the longest text fills its line


def test_text_follows_the_slope_of_its_line() -> None:
    _, panel = draw_halves(make_line("a line that runs down", polygon=((100, 100), (500, 300), (480, 340), (80, 140))))
    rows, columns = np.nonzero((panel < 200).any(-1))
    assert rows[columns > 300].min() > rows[columns < 200].max()


def test_rejected_line_is_dashed_grey_without_text() -> None:
    image, panel = draw_halves(make_line("", 0.2, rejected=True))
    is_grey = (image[160, 100:500] == REJECTED_COLOUR).all(-1)
    assert 0.3 < is_grey.mean() < 0.7
    assert (panel == 255).all()


def test_lines_are_numbered_in_reading_order() -> None:
    boxes = [((100, y), (500, y), (500, y + 40), (100, y + 40)) for y in (50, 150)]
    first, _ = draw_halves(*(make_line(polygon=box) for box in boxes))
    second, _ = draw_halves(*(make_line(polygon=box) for box in reversed(boxes)))
    number_columns = slice(60, 100)
    assert (first[50:75, number_columns] == second[150:175, number_columns]).all()
    assert (first[150:175, number_columns] == second[50:75, number_columns]).all()
    assert (first[50:75, number_columns] != first[150:175, number_columns]).any()


@pytest.mark.parametrize(
    "line",
    [make_line("漢字 𝔘 😀 שלום"), make_line("a\x00\n\udcff\ttab"), make_line(polygon=()), make_line("", 1.0),
     make_line(polygon=((-90, -90), (900, 900))),
     make_line(polygon=((700, 700), (900, 700), (900, 800), (700, 800))),
     make_line(polygon=((5, 5),) * 4), make_line("\x01"),
     make_line(polygon=((630, 470), (640, 470), (640, 480), (630, 480)))],
)  # fmt: skip
def test_unusual_lines_are_drawn_without_error(line: Line) -> None:
    draw_halves(line, replace(line, rejected=True))


@pytest.mark.parametrize("shape", [(1, 1), (40, 2000), (2000, 40), (20, 30)])
def test_images_of_any_shape_get_a_panel(shape: tuple[int, int]) -> None:
    height, width = shape
    image = np.zeros((height, width, 3), np.uint8)
    original = image.copy()
    combined = draw_overlay(image, Page(width, height, (make_line(polygon=()),)))
    assert combined.shape == ((2 * height, width, 3) if width > 2 * height else (height, 2 * width, 3))
    assert (image == original).all()  # the input is not changed
    assert (draw_overlay(image, Page(width, height))[:height, :width] == original).all()
