"""Numbers before the texts of a column: told from numbers of the text, and set apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from glyphline import open_reader
from glyphline.page import Cell, Character, Line
from glyphline.reading.detection.reading_order import OrderedRegion
from glyphline.reading.detection.regions import Region
from glyphline.reading.detection.tables import log_odds_of
from glyphline.reading.leading_numbers import ReadRegion, numbered_columns, separate_numbers, word_blanks

WIDTH, HEIGHT, SPACE = 12, 24, 7  # px, of a letter and of a space between words
ARTICLES = ["Tea", "Brown bread", "Oil", "Two pears", "Salt"]


def read_region(parts: list[tuple[str, float]], row: int, column: int, left: float = 50.0) -> ReadRegion:
    """A line of words, each with the gap before it, px. Letters are drawn as blocks."""
    characters, x, marks = [], 0.0, []
    for word, gap in parts:
        if characters:
            characters.append(Character(" ", 0.9, x, x + gap))
        x += gap
        for letter in word:
            characters.append(Character(letter, 0.9, x, x + WIDTH))
            marks.append(x)
            x += WIDTH
    crop = np.full((HEIGHT, round(x), 3), 255, np.uint8)
    for mark in marks:
        crop[6:19, round(mark) + 1 : round(mark) + WIDTH - 1] = 30
    top = 50.0 + 40 * row
    corners = np.array([(left, top), (left + x, top), (left + x, top + HEIGHT), (left, top + HEIGHT)])
    text = "".join(c.text for c in characters)
    line = Line(text, 0.8, (), "photo", tuple(characters), cell=Cell(0, row, column))
    return ReadRegion(OrderedRegion(Region(corners, 0.9), 0, line.cell), crop, line)


def receipt(gap: float, numbers: list[str] | None = None, articles: list[str] = ARTICLES) -> list[ReadRegion]:
    """Articles with their quantities in one cell, and their prices. gap: px, between quantity and article."""
    page = []
    for row, article in enumerate(articles):
        words = [(word, SPACE if k else gap) for k, word in enumerate(article.split())]
        number = numbers[row] if numbers else "2"
        page += [read_region([(number, 0), *words], row, 0), read_region([("4,50", 0)], row, 1, 400.0)]
    return page


def cells(page: list[ReadRegion]) -> list[tuple[int, int, str]]:
    for read in page:
        assert read.line.cell == read.ordered.cell
    return [(read.line.cell.row, read.line.cell.column, read.line.text) for read in page if read.line.cell]


def test_quantities_become_a_column() -> None:
    page = separate_numbers(receipt(gap=22))
    assert cells(page) == [
        entry for row, article in enumerate(ARTICLES) for entry in ((row, 0, "2"), (row, 1, article), (row, 2, "4,50"))
    ]
    for count, text in zip(page[::3], page[1::3], strict=True):
        left, right = count.region.corners, text.region.corners
        assert left[0, 0] == 50 and left[1, 0] < right[0, 0] < 50 + WIDTH + 22  # beside one another, with their ink
        for part in (count, text):
            assert part.crop.shape[1] == pytest.approx(part.region.size[0], abs=1)
            assert len(part.line.characters) == len(part.line.text)
            middles = [round((c.left + c.right) / 2) for c in part.line.characters if c.text != " "]
            assert (part.crop[12, middles] == 30).all()
        assert [word.text for word in text.line.words] == text.line.text.split()


@pytest.mark.parametrize(
    "page",
    [
        receipt(SPACE),  # "2 Brown bread"
        receipt(SPACE, numbers=["12", "13", "19", "2", "3"], articles=["March", "March", "March", "April", "May"]),
        receipt(22, numbers=["a"] * 5),
    ],
    ids=["word gaps", "dates", "no numbers"],
)
def test_what_belongs_to_the_text_stays(page: list[ReadRegion]) -> None:
    assert separate_numbers(page) == page


def test_title_and_sums_go_to_their_sides() -> None:
    page = receipt(gap=22)
    title, total, lone = (read_region(words, row, 0) for words, row in
                          (([("No", 0), ("Item", 13)], 5), ([("Total", 0)], 6), ([("7", 0)], 7)))  # fmt: skip
    assert cells(separate_numbers([*page, title, total, lone]))[15:] == [
        (5, 0, "No"), (5, 1, "Item"), (6, 1, "Total"), (7, 0, "7")
    ]  # fmt: skip


def test_a_title_left_of_another_stays_left() -> None:
    both = [read_region([("Nr", 0)], 5, 0), read_region([("Item", 0)], 5, 0, 84.0)]
    assert cells(separate_numbers([*receipt(gap=22), *both]))[15:] == [(5, 0, "Nr"), (5, 1, "Item")]


def test_other_tables_and_lines_outside_tables_are_not_touched() -> None:
    def in_table(read: ReadRegion, table: int | None) -> ReadRegion:
        cell = None if table is None else replace(read.line.cell or Cell(0, 0, 0), table=table)
        return ReadRegion(replace(read.ordered, cell=cell), read.crop, replace(read.line, cell=cell))

    others = [in_table(read, table) for table in (1, None) for read in receipt(SPACE)]
    assert separate_numbers([*receipt(22), *others])[15:] == others


def test_a_line_without_positions_has_no_blanks() -> None:
    read = read_region([("2", 0), ("Tea", 20)], 0, 0)
    assert [(b.space, b.end - b.start) for b in word_blanks(read)] == [(1, pytest.approx(22, abs=1))]
    assert word_blanks(replace(read, line=replace(read.line, characters=()))) == []
    curved = replace(read.region, curve=np.zeros((2, 2, 2)))
    page = [
        replace(r, ordered=replace(r.ordered, region=replace(curved, corners=r.region.corners))) for r in receipt(22)
    ]
    assert numbered_columns(page) == []


def test_evidence() -> None:
    """A gap that is wider than those between words speaks for a column."""

    def log_odds(page: list[ReadRegion]) -> float:
        (column,) = numbered_columns(page)
        return log_odds_of("leading_number", column.features)

    assert log_odds(receipt(22)) > 0 > log_odds(receipt(SPACE))
    assert log_odds(receipt(22)) > log_odds(receipt(13)) > log_odds(receipt(SPACE))


def test_a_drawn_receipt() -> None:
    image = Image.new("RGB", (560, 320), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(26)
    rows = [("2", "Apples", "3.20"), ("1", "Brown bread", "2.95"), ("3", "Fresh milk", "4.47"), ("1", "Butter", "2.10")]
    for k, (count, article, price) in enumerate(rows):
        y = 40 + 44 * k
        draw.text((40, y), count, font=font, fill="black")
        draw.text((72, y), article, font=font, fill="black")
        draw.text((500 - font.getlength(price), y), price, font=font, fill="black")
    page = open_reader().read_image(np.asarray(image))
    assert [line.split("\t") for line in page.text.split("\n")] == [list(row) for row in rows]
    assert [tuple(row) for row in page.tables[0].rows] == rows
