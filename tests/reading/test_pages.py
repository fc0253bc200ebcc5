"""Pages: lines are found, set upright, read, and said to stand where they stand on the picture as it was given."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from glyphline import open_reader
from glyphline.page import Line
from glyphline.picture import Colour
from glyphline.reading.finders import Paper
from glyphline.reading.pages import PageReader

TEXTS = ["Shopping list", "bread and milk", "twelve eggs"]
AT = [(120, 160), (120, 270), (120, 380)]  # where each begins on its baseline


def note(degrees: float = 0.0) -> Colour:
    sheet = np.full((500, 700, 3), 235, np.uint8)
    for text, at in zip(TEXTS, AT, strict=True):
        cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, 1.6, (40, 40, 60), 3, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((350, 250), degrees, 1.0)
    return np.asarray(cv2.warpAffine(sheet, turn, (700, 500), borderValue=(235, 235, 235)), np.uint8)


@pytest.fixture(scope="module")
def reader() -> PageReader:
    return PageReader((open_reader("reader"),), Paper())


@pytest.mark.parametrize("degrees", [0, 9, -13])
def test_a_note_is_read_line_by_line(reader: PageReader, degrees: float) -> None:
    page = reader.read_picture(note(degrees))
    assert page.text.split("\n") == TEXTS
    assert (page.width, page.height, page.turned, page.number) == (700, 500, 0, 1)
    turn = cv2.getRotationMatrix2D((350, 250), degrees, 1.0)
    for line, (x, y) in zip(page.lines, AT, strict=True):
        start = turn @ (x, y - 17, 1)  # the middle of the left side of the first letter
        first = np.array(line.characters[0].polygon)
        assert np.abs((first[0] + first[3]) / 2 - start).max() < 20
        assert np.abs((np.array(line.polygon[0]) + line.polygon[3]) / 2 - start).max() < 30
        assert [w.text for w in line.words] == line.text.split()
        for part in (*line.characters, *line.words):
            assert part.left == min(x for x, _ in part.polygon) <= part.right == max(x for x, _ in part.polygon)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_picture_is_set_upright_and_its_places_are_those_of_the_picture(
    reader: PageReader, quarters: int
) -> None:
    upright, turned = reader.read_picture(note()), reader.read_picture(np.ascontiguousarray(np.rot90(note(), quarters)))
    assert turned.text == upright.text and turned.turned == (360 - 90 * quarters) % 360
    assert (turned.width, turned.height) == ((500, 700) if quarters % 2 else (700, 500))

    def place(line: Line) -> np.ndarray:
        return np.array([c.polygon for c in line.characters]).mean(axis=1)

    for one, other in zip(upright.lines, turned.lines, strict=True):
        x, y = place(one).T
        wanted = {1: (y, 700 - x), 2: (700 - x, 500 - y), 3: (500 - y, x)}[quarters]
        assert np.abs(place(other) - np.stack(wanted, 1)).max() < 8


def test_pages_that_lie_may_be_left_so() -> None:
    reader = PageReader((open_reader("reader"),), Paper(), upright=False)
    assert reader.read_picture(np.ascontiguousarray(np.rot90(note(), 2))).turned == 0


def test_every_page_of_a_file_is_read(reader: PageReader) -> None:
    sheets = [Image.fromarray(note()), Image.new("RGB", (300, 200), "white"), Image.fromarray(note(5))]
    out = io.BytesIO()
    sheets[0].save(out, "TIFF", save_all=True, append_images=sheets[1:])
    pages = list(reader.read_pages(out.getvalue()))
    assert [page.text.split("\n") for page in pages] == [TEXTS, [""], TEXTS]
    assert [page.number for page in pages] == [1, 2, 3]
    assert reader.read(out.getvalue()) == pages[0]


def test_the_surest_of_several_readers_is_believed() -> None:
    class Says:
        """A reader of one text, as sure as it is told to be."""

        def __init__(self, text: str, sure: float) -> None:
            self.line = Line(text, sure, (), text)

        def read_lines(self, pictures: list[Colour]) -> list[Line]:
            return [self.line] * len(pictures)

    reader = PageReader((Says("timid", 0.4), Says("bold", 0.9), Says("shy", 0.2)))  # type: ignore[arg-type]
    assert [line.text for line in reader.read_picture(note()).lines] == ["bold"]
