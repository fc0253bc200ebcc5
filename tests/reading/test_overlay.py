"""The annotated image: what was found is outlined where it stands, what was read stands beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glyphline.imaging.documents import ColourImage
from glyphline.page import Line, Page, Polygon
from glyphline.reading.overlay import COLOURS, UNREAD, overlay

BOX: Polygon = ((100, 100), (500, 100), (500, 160), (100, 160))
WIDTH, HEIGHT = 640, 480
GREEN, AMBER, RED = (colour for _, colour in COLOURS)


def said(text: str = "Some words", confidence: float = 0.95, polygon: Polygon = BOX, rejected: bool = False) -> Line:
    return Line(text, confidence, polygon, "reader", rejected=rejected)


def halves(*lines: Line) -> tuple[ColourImage, ColourImage]:
    """The annotated image and the panel of its texts."""
    drawn = overlay(np.full((HEIGHT, WIDTH, 3), 250, np.uint8), Page(WIDTH, HEIGHT, lines))
    assert drawn.shape == (HEIGHT, 2 * WIDTH, 3) and drawn.dtype == np.uint8
    return drawn[:, :WIDTH], drawn[:, WIDTH:]


def has(image: ColourImage, colour: tuple[int, int, int]) -> bool:
    return bool((image == colour).all(-1).any())


@pytest.mark.parametrize(("confidence", "colour"), [(0.99, GREEN), (0.9, GREEN), (0.8, AMBER), (0.2, RED), (-1.0, RED)])
def test_a_line_is_outlined_in_the_colour_of_its_confidence(confidence: float, colour: tuple[int, int, int]) -> None:
    image, panel = halves(said(confidence=confidence))
    for x in range(100, 500):
        assert (image[160, x] == colour).all()
    assert has(panel, colour) and not any(has(image, other) for other in {GREEN, AMBER, RED} - {colour})


def test_a_text_stands_where_its_line_does_and_no_wider() -> None:
    for text in ("i", "Some words", "a much longer line that has to be made narrower to fit into its place " * 3):
        _, panel = halves(said(text))
        rows, columns = np.nonzero((panel < 200).any(-1))
        assert rows.min() >= 100 and rows.max() <= 160 and columns.min() >= 98 and columns.max() <= 501
    assert columns.max() > 480  # the long one takes all of its place


def test_a_text_follows_a_slope() -> None:
    _, panel = halves(said("a line that runs down", polygon=((100, 100), (500, 300), (480, 340), (80, 140))))
    rows, columns = np.nonzero((panel < 200).any(-1))
    assert rows[columns > 300].min() > rows[columns < 200].max()


def test_what_was_left_unread_is_dashed_grey_and_says_nothing() -> None:
    image, panel = halves(said("", 0.2, rejected=True))
    grey = (image[160, 100:500] == UNREAD).all(-1)
    assert 0.3 < grey.mean() < 0.7
    assert (panel == 255).all()


def test_lines_are_numbered_in_order() -> None:
    boxes = [((100, y), (500, y), (500, y + 40), (100, y + 40)) for y in (50, 150)]
    first, _ = halves(*(said(polygon=box) for box in boxes))
    second, _ = halves(*(said(polygon=box) for box in reversed(boxes)))
    left = slice(60, 100)
    assert (first[50:75, left] == second[150:175, left]).all() and (first[150:175, left] == second[50:75, left]).all()
    assert (first[50:75, left] != first[150:175, left]).any()


@pytest.mark.parametrize(
    "line",
    [said("漢字 𝔘 😀 שלום"), said("a\x00\n\udcff\ttab"), said(polygon=()), said("", 1.0),
     said(polygon=((-90, -90), (900, 900))),
     said(polygon=((700, 700), (900, 700), (900, 800), (700, 800))), said(polygon=((5, 5),) * 4), said("\x01"),
     said(polygon=((630, 470), (640, 470), (640, 480), (630, 480)))],
)  # fmt: skip
def test_nothing_that_a_line_may_be_is_too_much(line: Line) -> None:
    halves(line, replace(line, rejected=True))


@pytest.mark.parametrize("shape", [(1, 1), (40, 2000), (2000, 40), (20, 30)])
def test_pictures_of_any_shape(shape: tuple[int, int]) -> None:
    height, width = shape
    image = np.zeros((height, width, 3), np.uint8)
    kept = image.copy()
    drawn = overlay(image, Page(width, height, (said(polygon=()),)))
    assert drawn.shape == ((2 * height, width, 3) if width > 2 * height else (height, 2 * width, 3))
    assert (image == kept).all()  # what was given is left alone
    assert (overlay(image, Page(width, height))[:height, :width] == kept).all()
