"""Fits and measures tables: which blocks of a page are tables, and whether cells stand in their row and column.

    make fonts && python benchmarks/tables.py --fit    # writes src/glyphline/models/tables.json
    make fonts && python benchmarks/tables.py          # writes benchmarks/results/tables.json

Most pages are drawn here: tables ruled and unruled, with gaps, with an empty column, wide, with numbers aligned right
and with cells of several lines; receipts; contents pages with and without leaders; forms; and pages without tables:
prose in one to three columns, numbered lists, letters with short lines. The fit has the fonts recipes/fonts/documents,
the test those of recipes/fonts/print, and other texts. For the fit of `cell` and `number`, a third of the empty cells
of every other page hold marks that are no text; `number` is also fitted on worn print. A cell counts as right if the
row that is matched with its row has its text in its column. Misread letters do not count: half of the characters have
to be right, for cells of one or two characters only their number.
RapidOCR gives no columns: its `to_markdown` gives rows, whose cells are what two spaces or more separate.

A second test, benchmarks/browser_pages.py, shares nothing with the fit: pages that a browser draws. A row of them is
right if its cells are on one line with tabs in the right order, and `same_cell` holds for each.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial, reduce
from importlib.util import find_spec
from itertools import compress, pairwise
from statistics import mean
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from rapidfuzz.distance import Levenshtein

from browser_pages import CHROMIUM, browser_page, screenshot
from glyphline import open_reader
from glyphline.composing.fetch import data_folder
from glyphline.imaging.documents import ColourImage
from glyphline.reading.cell_reliability import cell_features, is_short_cell
from glyphline.reading.detection import reading_order
from glyphline.reading.detection.bars import Stroke, bar_features, find_strokes
from glyphline.reading.detection.detectors import DbNetDetector
from glyphline.reading.detection.reading_order import ink_finder, level_boxes, order_regions
from glyphline.reading.detection.tables import (
    Block,
    FindInk,
    LevelBox,
    TableBlock,
    gutter_features,
    log_odds_of,
    same_row_features,
    separate_columns,
    table_candidates,
    table_features,
)
from glyphline.reading.leading_numbers import ReadRegion, numbered_columns
from glyphline.reading.number_cells import number_candidates
from glyphline.reading.pages import PageReader
from reading import RESULTS, ROOT

MODEL = ROOT / "src" / "glyphline" / "models" / "tables.json"
L2_PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)  # the one with the least loss in a cross-validation over pages is taken
PARTS = 5  # of the pages, in the cross-validation
FIT_PAGES, FIT_PROSE_PAGES, TEST_PAGES, PROSE_PAGES, BROWSER_PAGES = 480, 400, 200, 60, 100
CELL_PAGES = 300  # of the fit, which are read for the decisions `leading_number` and `cell`
#: share of the pages of the decision `cell` with marks in a third of their empty cells. Real tables seldom have ticks
#: or stars (those of found/ never), so half is on the safe side. With marks on all pages, 12 of 2,332 right short cells
#: of browser pages were left out and 2 of 56 marks were read; with marks on half of them 6 and 6.
MARKED_PAGES = 0.5
SMALL_PRINT = (0.45, 1.0)  # scales: letters 8 to 26 px high, as in screenshots
WORN_PAGES = 480  # of the fit, of whose tables and receipts the print is worn, for the decision `number`
WRAPPED_PAGES = 120  # of the fit, after the others: tables whose cells have several lines
NUMBER_PAGES = 900  # of the fit, after those: texts that begin with numbers, which are cells of their own in half
BARRED_FROM = FIT_PAGES + WRAPPED_PAGES + NUMBER_PAGES  # the first page with bars
BARRED_PAGES, BARRED_TEST_PAGES = 600, 100
SPLITS = {"fit": ("documents", 0), "test": ("print", 1)}  # -> folder of fonts, seed
LATIN = re.compile("-latin-400-")
UNITS = (" EUR", " A")  # of prices
MONOSPACED = re.compile("mono|cousine|inconsolata|courier|special-elite")


@dataclass(frozen=True)
class Item:
    """A line of text that was drawn."""

    text: str
    box: tuple[float, float, float, float]  # left, top, right, bottom, px
    place: tuple[int, int, int] | None  # number of the table, row, column; None outside tables
    column: int = 0  # of prose


@dataclass
class ComposedPage:
    """A drawn page: its image, its lines in reading order, its tables."""

    kind: str
    image: Image.Image
    items: list[Item] = field(default_factory=list)
    tables: int = 0
    bars: list[tuple[float, float, float, float]] = field(default_factory=list)  # boxes of bars between cells, px

    def put(
        self, x: float, y: float, text: str, font: ImageFont.FreeTypeFont, place: tuple[int, int, int] | None = None,
        align: str = "left", column: int = 0,
    ) -> float:  # fmt: skip
        """Draw a text at its left, right or middle x and at the top y of its line. Returns its width."""
        width = font.getlength(text)
        x -= {"left": 0.0, "right": width, "middle": width / 2}[align]
        draw = ImageDraw.Draw(self.image)
        draw.text((x, y), text, font=font, fill=(30, 30, 30))
        left, top, right, bottom = draw.textbbox((x, y), text, font=font)
        self.items.append(Item(text, (left, top, right, bottom), place, column))
        return width

    def rows(self, table: int) -> list[list[str]]:
        """The texts of the cells of a table."""
        members = [item for item in self.items if item.place and item.place[0] == table]
        rows, columns = (1 + max(item.place[axis] for item in members if item.place) for axis in (1, 2))
        grid = [[""] * columns for _ in range(rows)]
        for item in members:
            assert item.place
            _, r, c = item.place
            grid[r][c] = f"{grid[r][c]} {item.text}".strip()
        return grid


# ------------------------------------------------------------------------------------------------------------- texts


@lru_cache(maxsize=1)
def sentences() -> list[str]:
    with gzip.open(data_folder() / "text" / "english.txt.gz", "rt", encoding="utf-8") as rows:
        return [row.strip() for row, _ in zip(rows, range(12000), strict=False) if row.isascii()]


class Words:
    """Draws texts of a split: the sentences of the fit and of the test differ."""

    def __init__(self, split: str, rng: np.random.Generator) -> None:
        self.rng = rng
        half = len(sentences()) // 2
        self.sentences = sentences()[:half] if split == "fit" else sentences()[half:]

    def phrase(self, low: int, high: int) -> str:
        """A few words in a row of a sentence."""
        words = self.sentences[int(self.rng.integers(len(self.sentences)))].split()
        count = int(self.rng.integers(low, high + 1))
        start = int(self.rng.integers(max(1, len(words) - count)))
        text = " ".join(words[start : start + count]).strip(".,;:\"' ")
        return text[:1].upper() + text[1:] if text else "Item"

    def prose(self, font: ImageFont.FreeTypeFont, width: float, lines: int) -> list[str]:
        """Lines of sentences, none wider than `width` px. A paragraph ends with a shorter line now and then."""
        rows: list[str] = []
        row = ""
        while len(rows) < lines:
            for word in self.sentences[int(self.rng.integers(len(self.sentences)))].split():
                longer = f"{row} {word}".strip()
                if font.getlength(longer) > width and row:
                    rows.append(row)
                    row = word
                else:
                    row = longer
            if row and self.rng.random() < 0.2:
                rows.append(row)
                row = ""
        return rows[:lines]

    def number(self) -> str:
        """A number as tables have them: a price, a count, a date, a code, a share."""
        rng = self.rng
        kind = int(rng.integers(7))
        if kind == 0:
            return f"{rng.integers(1, 100)}"
        if kind == 1:
            return f"{10 ** rng.uniform(0, 5):,.2f}"
        if kind == 2:
            return f"{int(10 ** rng.uniform(0, 6)):,}"
        if kind == 3:
            return f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.20{rng.integers(10, 30)}"
        if kind == 4:
            return f"{rng.uniform(0, 100):.1f}%"
        if kind == 5:
            return f"{'ABCDEFGH'[rng.integers(8)]}{rng.integers(100, 9999)}"
        return f"{rng.integers(1, 10)}"


# -------------------------------------------------------------------------------------------------------------- pages


@dataclass(frozen=True)
class Column:
    """How a column of a table is filled."""

    align: str
    cell: Callable[[], str]
    title: str


def _short_cell(kind: float, rng: np.random.Generator) -> str:
    """A cell of one to three characters; a column has one kind of them."""
    dash = "-–—"[int(100 * kind) % 3]
    cells = (("yes", "no", "1", dash, "n/a", "2"), ("A", "B", "C", dash, "F", "x"), ("1", "0", "7", dash, "4", "12"))
    return cells[int(1000 * kind) % 3][rng.integers(6)]


def sample_columns(words: Words, count: int) -> list[Column]:
    """The first column holds texts or numbers, the others mostly numbers of one kind each."""
    rng = words.rng
    columns = []
    for k in range(count):
        if rng.random() < (0.75 if k == 0 else 0.3):
            longest = int(rng.integers(1, 6))
            cell: Callable[[], str] = partial(words.phrase, 1, longest)
            align = "left" if rng.random() < 0.85 else "middle"
        else:
            kind = int(rng.integers(7))
            digits = float(rng.uniform(0.5, 5))
            cell = {
                0: lambda: f"{rng.integers(1, 10)}",
                1: lambda d=digits: f"{10 ** rng.uniform(0, d):,.2f}",
                2: lambda d=digits: f"{int(10 ** rng.uniform(0, d)):,}",
                3: lambda: f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.20{rng.integers(10, 30)}",
                4: lambda: f"{rng.uniform(0, 100):.1f}%",
                5: lambda: f"{'ABCDEFGH'[rng.integers(8)]}{rng.integers(100, 9999)}",
                6: partial(_short_cell, digits, rng),
            }[kind]
            align = str(rng.choice(["right", "right", "middle", "left"]))
        columns.append(Column(align, cell, words.phrase(1, 2)))
    if ord(columns[-1].title[-1]) % 4 == 0:  # the titles of some tables are one or two letters
        columns[1:] = [replace(column, title=column.title[: 1 + k % 2].upper()) for k, column in enumerate(columns[1:])]
    return columns


def add_table(
    page: ComposedPage, words: Words, font: ImageFont.FreeTypeFont, top: float, max_rows: int = 22,
    wrapped: float = 0.25,
) -> float:  # fmt: skip
    """Draw a table that begins at `top`. wrapped: the share of tables that have cells of several lines.

    Returns its lower edge, px.
    """
    rng = words.rng
    size = font.size
    number, page.tables = page.tables, page.tables + 1
    columns = sample_columns(words, int(rng.integers(2, 8)))
    rows = [[column.cell() for column in columns] for _ in range(int(rng.integers(2, max_rows)))]
    if rng.random() < 0.25:  # the rows are numbered
        columns[0] = Column(str(rng.choice(["left", "right", "middle"])), str, str(rng.choice(["No", "#", "Nr", "1"])))
        rows = [[f"{k + 1}", *row[1:]] for k, row in enumerate(rows)]
    gaps = float(rng.choice([0, 0, 0.1, 0.3]))
    empty = int(rng.integers(1, len(columns))) if len(columns) > 2 and rng.random() < 0.15 else -1
    for row in rows:
        for k in range(len(row)):
            if (k and rng.random() < gaps) or k == empty:
                row[k] = ""
    if rng.random() < 0.75 or empty >= 0:
        rows.insert(0, [column.title for column in columns])
    widths = [max(font.getlength(row[k]) for row in rows) for k in range(len(columns))]
    width = page.image.width - 2 * 60.0
    wrap = -1
    if rng.random() < wrapped:  # the column with the widest texts is narrow: its cells have several lines
        wrap = int(np.argmax(widths))
        if " " not in max((row[wrap] for row in rows), key=font.getlength):
            wrap = -1
    lines = [[[cell] if cell else [] for cell in row] for row in rows]
    narrowing = float(rng.uniform(0.35, 0.6)) if wrap >= 0 else 1.0
    others = [k for k in range(len(columns)) if k != wrap and any(" " in row[k] for row in rows)]
    others = others[: min(int(100 * narrowing) % 3, len(columns) - 2)]  # up to two are narrow, too, but not all
    for c in [] if wrap < 0 else [wrap, *others]:
        widths[c] = max(max(font.getlength(word) for row in rows for word in row[c].split()), widths[c] * narrowing)
        for cells in lines:
            if cells[c]:
                cells[c] = wrap_text(cells[c][0], font, widths[c])
    padding = float(rng.uniform(0.3, 1.6)) * size  # on each side of a cell
    while sum(widths) + 2 * padding * len(widths) > width and len(widths) > 2:
        dropped = len(widths) - 1
        widths, columns = widths[:-1], columns[:-1]
        lines = [cells[:dropped] for cells in lines]
    if sum(widths) + 2 * padding * len(widths) < width and rng.random() < 0.4:  # wide
        padding += (width - sum(widths) - 2 * padding * len(widths)) / 2 / len(widths) * float(rng.uniform(0.4, 1))
    rules = str(rng.choice(["none", "none", "grid", "rows", "head"]))
    pitch = size * float(rng.uniform(1.25, 1.4))  # of the lines of a cell
    space = size * (float(rng.uniform(0.0, 0.25)) if rules == "none" and wrap < 0 else float(rng.uniform(0.3, 1.1)))
    middle = bool(rng.random() < 0.6)  # cells are centred in their row
    lefts = 60.0 + np.cumsum([0.0, *(w + 2 * padding for w in widths)])
    draw, y = ImageDraw.Draw(page.image), top
    grey = int(rng.integers(0, 190))
    gap_share = float(rng.choice([0, 0, 0.15]))  # of the rows that a wider gap follows: groups of rows
    head_gap = size * float(rng.choice([0, 0, 0.4, 1.0]))
    for r, cells in enumerate(lines):
        height = max(1, *(len(cell) for cell in cells)) * pitch + space
        if y + height > page.image.height - 40:
            break
        for c, cell in enumerate(cells):
            align = columns[c].align
            x = {"left": lefts[c] + padding, "right": lefts[c + 1] - padding, "middle": (lefts[c] + lefts[c + 1]) / 2}[
                align
            ]
            offset = (height - space - len(cell) * pitch) / 2 if middle else 0.0
            for n, text in enumerate(cell):
                page.put(x, y + space / 2 + offset + n * pitch, text, font, (number, r, c), align)
        if rules in ("grid", "rows") or (rules == "head" and r == 0):
            draw.line((lefts[0], y + height, lefts[-1], y + height), fill=(grey,) * 3, width=1 + int(size > 30))
        y += height
        if rules != "grid":
            y += head_gap * (r == 0) + size * float(rng.uniform(0.3, 1.5)) * (rng.random() < gap_share)
    if rules == "grid":
        draw.line((lefts[0], top, lefts[-1], top), fill=(grey,) * 3)
        for left in lefts:
            draw.line((left, top, left, y), fill=(grey,) * 3, width=1 + int(size > 30))
    return y


def wrap_text(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """The words of a text in lines of at most `width` px, where the words allow it."""
    rows = [""]
    for word in text.split():
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and font.getlength(longer) > width:
            rows.append(word)
        else:
            rows[-1] = longer
    return rows


def add_prose(page: ComposedPage, words: Words, font: ImageFont.FreeTypeFont, top: float, lines: int) -> float:
    """Draw a paragraph over the width of the page. Returns its lower edge, px."""
    pitch = font.size * float(words.rng.uniform(1.25, 1.5))
    for row in words.prose(font, page.image.width - 120, lines):
        page.put(60, top, row, font)
        top += pitch
    return top


def compose_table(words: Words, fonts: Sequence[str]) -> ComposedPage:
    """A page with a table, often with a heading or a paragraph above and below."""
    page, font, rng = blank("table", words, fonts)
    y = 40.0
    if rng.random() < 0.5:
        page.put(60, y, words.phrase(2, 4), font.font_variant(size=round(font.size * rng.uniform(1, 1.5))))
        y += font.size * float(rng.uniform(1.8, 3.5))
    if rng.random() < 0.4:
        y = add_prose(page, words, font, y, int(rng.integers(1, 5))) + font.size * float(rng.uniform(0.6, 2))
    y = add_table(page, words, font, y)
    if rng.random() < 0.4 and y < page.image.height - 6 * font.size:
        add_prose(page, words, font, y + font.size * float(rng.uniform(0.8, 2)), int(rng.integers(1, 4)))
    return page


def compose_wrapped(words: Words, fonts: Sequence[str]) -> ComposedPage:
    """A page with a table whose cells have several lines."""
    page, font, _ = blank("wrapped", words, fonts)
    add_table(page, words, font, 40.0, wrapped=1.0)
    return page


def compose_receipt(words: Words, fonts: Sequence[str]) -> ComposedPage:
    """A receipt: heads in the middle, articles with prices or with quantities, rates and amounts, and sums.

    Half of them are in a font whose letters are all of one width, as most printers of receipts have.
    """
    rng = words.rng
    monospaced = [path for path in fonts if MONOSPACED.search(path)]
    page, font, rng = blank("receipt", words, monospaced if rng.random() < 0.5 else fonts, narrow=True)
    width, size, y = page.image.width, font.size, 40.0
    pitch = size * float(rng.uniform(1.15, 1.8))
    for _ in range(int(rng.integers(1, 4))):
        page.put(width / 2, y, words.phrase(1, 3), font, align="middle")
        y += pitch
    y += size * float(rng.uniform(0.5, 2))
    left, right = 50.0, width - 50.0
    number, page.tables = page.tables, page.tables + 1
    count = int(rng.integers(2, 10))
    point = str(rng.choice([".", ".", ","]))
    price = lambda: f"{10 ** rng.uniform(0, 3):.2f}".replace(".", point)  # noqa: E731
    prefix = str(rng.choice(["", "", "$", "EUR "]))
    suffix = ["", *UNITS][int(width) % 3] if prefix != "$" else ""
    prefix = prefix if not suffix else ""
    layout = str(rng.choice(["prices", "quantities", "rates"], p=[0.4, 0.25, 0.35]))
    #: the right edge of each column after the text, and what it holds
    amounts = [(right, lambda: prefix + price() + suffix, "Amount")]
    if layout == "rates":
        rate = right - font.getlength("Amount") - size
        quantity = rate - font.getlength("999.99") - font.getlength("Qty") - size
        amounts = [(quantity, lambda: f"{rng.choice([1, 1, 1, 2, 3, 12])}", "Qty"), (rate, price, "Rate"),
                   (right, price, "Amount")]  # fmt: skip
    first, lead = left, ""  # where the text begins, and the title of a narrow column before it
    if layout == "quantities":
        lead = "Qty"
        first = left + font.getlength("3") + size * float(rng.uniform(0.6, 1.5))
    elif layout == "rates" and rng.random() < 0.5:
        lead = str(rng.choice(["Sn", "No", "#"]))
        first = left + font.getlength("Sn") + size * float(rng.uniform(0.6, 1.2))
    text_column, row = int(bool(lead)), 0
    if layout == "rates" or (lead and font.getlength(lead) < first - left - 0.4 * size):
        for c, (x, title) in enumerate([(first, "Item"), *((edge, name) for edge, _, name in amounts)], text_column):
            page.put(x, y, title, font, (number, row, c), "left" if c == text_column else "right")
        if lead:
            page.put(left, y, lead, font, (number, row, 0))
        y += pitch
        row += 1
    widest = amounts[0][0] - font.getlength("999.99 EUR" if layout != "rates" else "Qty") - 0.7 * size - first
    counted = layout == "prices" and rng.random() < 0.4  # the quantity stands in the text
    for k in range(count):
        text = words.phrase(1, 5)
        text = f"{rng.choice([1, 1, 2, 3])} x {text}" if counted else text
        while font.getlength(text) > widest and len(text) > 1:
            text = text[: len(text) // 2].strip()
        page.put(first, y, text, font, (number, row, text_column))
        for c, (x, cell, _) in enumerate(amounts, text_column + 1):
            page.put(x, y, cell(), font, (number, row, c), "right")
        if lead:
            mark = f"{k + 1}" if layout == "rates" else f"{rng.choice([1, 1, 1, 2, 3])}"
            page.put(left, y, mark, font, (number, row, 0))
        y += pitch
        row += 1
    y += size * float(rng.choice([0, 0, 0.6, 1.5]))
    start = left if layout == "quantities" else first  # the label of a sum may span the narrow column
    for label in rng.permutation(["Total", "Subtotal", "Tax", "Change"])[: int(rng.integers(0, 4))]:
        page.put(start, y, str(label), font, (number, row, text_column))
        page.put(right, y, prefix + price() + suffix, font, (number, row, text_column + len(amounts)), "right")
        y += pitch
        row += 1
    y += size
    if rng.random() < 0.7:
        page.put(width / 2, y + size, "Thank you", font, align="middle")
    return page


def compose_numbered(words: Words, fonts: Sequence[str]) -> ComposedPage:
    """A table with a column of texts that begin with numbers. In half of the pages the numbers are cells of their own.

    In the others they belong to the text, as in dates, weights, addresses, "2 x Tea" and numbered titles.
    """
    rng = words.rng
    monospaced = [path for path in fonts if MONOSPACED.search(path)]
    is_monospaced = bool(rng.random() < 0.4)
    page, font, rng = blank("numbered", words, monospaced if is_monospaced else fonts, narrow=rng.random() < 0.5)
    size, space, y = font.size, font.getlength(" "), 40.0
    pitch = size * float(rng.uniform(1.15, 1.8))
    number, page.tables = page.tables, page.tables + 1
    apart = bool(rng.random() < 0.5)
    gap = max(size * float(rng.uniform(0.35, 1.1)), 1.4 * space)
    if is_monospaced and rng.random() < 0.5:
        gap = space * int(rng.integers(2, 4))
    numbers, text_of = (_apart if apart else _inside)(words)
    rows = int(rng.integers(2, 15))
    leads = [numbers(k) for k in range(rows)]
    amounts = int(rng.integers(1, 3)) if page.image.width > 700 else 1
    edges = [page.image.width - 50.0 - (amounts - 1 - c) * (font.getlength("9999.99") + size) for c in range(amounts)]
    has_code = page.image.width > 700 and rng.random() < 0.4  # a column before
    left = 50.0 + has_code * (font.getlength("AA0000") + size * float(rng.uniform(0.8, 2)))
    edge = left + max(map(font.getlength, leads))
    start = edge + gap if apart else left
    widest = edges[0] - font.getlength("9999.99") - size - start
    align = "right" if rng.random() < 0.4 else "left"
    column, row = int(has_code), 0
    text_column = column + apart
    if rng.random() < 0.5:
        lead = str(rng.choice(["#", "No", "Qty", "Pos"]))
        if apart and left + font.getlength(lead) < start - 1.3 * space:
            page.put(left, y, lead, font, (number, row, column))
        page.put(start, y, words.phrase(1, 1)[:8], font, (number, row, text_column))
        for c, x in enumerate(edges, text_column + 1):
            page.put(x, y, str(rng.choice(["Total", "Price", "Sum"])), font, (number, row, c), "right")
        y, row = y + pitch, row + 1
    for lead in leads:
        if has_code:
            page.put(50, y, f"AB{rng.integers(1000, 9999)}", font, (number, row, 0))
        text = text_of() if apart else f"{lead} {text_of()}"
        while font.getlength(text) > widest and len(text) > len(lead) + 4:
            text = text[:-1].strip()
        if apart:
            page.put(edge if align == "right" else left, y, lead, font, (number, row, column), align)
        page.put(start, y, text, font, (number, row, text_column))
        for c, x in enumerate(edges, text_column + 1):
            page.put(x, y, f"{10 ** rng.uniform(0, 3.5):.2f}", font, (number, row, c), "right")
        y, row = y + pitch, row + 1
    return page


def compose_barred(words: Words, fonts: Sequence[str]) -> ComposedPage:
    """A table that is drawn with characters: bars between its cells, rows of dashes.

    As database shells, Markdown and printers of receipts draw it: with a bar at both ends of a row or at none, with
    dashes under the titles or around the table, with bars in all rows or between the titles alone.
    """
    rng = words.rng
    monospaced = [path for path in fonts if MONOSPACED.search(path)]
    page, font, rng = blank("barred", words, monospaced if rng.random() < 0.75 else fonts)
    letter, y = font.getlength("n"), 40.0
    pitch = font.size * float(rng.uniform(1.15, 1.6))
    number, page.tables = page.tables, page.tables + 1
    columns = sample_columns(words, int(rng.integers(2, 6)))
    rows = [[column.cell() for column in columns] for _ in range(int(rng.integers(2, 14)))]
    rows.insert(0, [column.title for column in columns])
    if rng.random() < 0.3:
        rows = [[cell if not k or rng.random() < 0.85 else "" for k, cell in enumerate(row)] for row in rows]
    only_titles, ends = rng.random() < 0.4, rng.random() < 0.6
    padding = letter * (float(rng.uniform(0.1, 1)) if only_titles else float(rng.choice([1, 1, 1, 0.5, 2])))
    widths = [max(font.getlength(row[k]) for row in rows) for k in range(len(columns))]
    bar, dash = font.getlength("|"), str(rng.choice(["-", "-", "-", "="]))
    while sum(widths) + (2 * padding + bar) * (len(widths) + 1) > page.image.width - 100 and len(widths) > 2:
        widths.pop()
    lefts = 50.0 + bar * ends + padding + np.cumsum([0.0, *(width + 2 * padding + bar for width in widths)])
    edges = [left - padding - bar for left in lefts][0 if ends else 1 : len(lefts) if ends else -1]
    draw, ink = ImageDraw.Draw(page.image), (30, 30, 30)

    def draw_dashes() -> None:
        """A row of dashes, with a plus at each bar on half of the pages."""
        nonlocal y
        start = 50.0
        for edge in [*edges, lefts[-1] - padding] if crossed else [lefts[-1] - padding]:
            draw.text((start, y), dash * round((edge - start) / font.getlength(dash)), font=font, fill=ink)
            draw.text((edge, y), "+" if crossed else dash, font=font, fill=ink)
            start = edge + bar
        y += pitch

    crossed = rng.random() < 0.5
    around, under = rng.random() < 0.4, rng.random() < 0.7
    if around:
        draw_dashes()
    for r, row in enumerate(rows):
        for c, (left, width) in enumerate(zip(lefts, widths, strict=False)):
            if row[c]:
                align = columns[c].align
                x = {"left": left, "right": left + width, "middle": left + width / 2}[align]
                page.put(x, y, row[c], font, (number, r, c), align)
        for x in edges if r == 0 or not only_titles else []:
            draw.text((x, y), "|", font=font, fill=ink)
            page.bars.append(draw.textbbox((x, y), "|", font=font))
        y += pitch
        if r == 0 and (around or under):
            draw_dashes()
    if around:
        draw_dashes()
    return page


def _date(rng: np.random.Generator) -> str:
    """A date of one form or another."""
    day, month, year = int(rng.integers(1, 29)), int(rng.integers(1, 13)), int(rng.integers(2010, 2030))
    return str(rng.choice([f"{day:02d}.{month:02d}.{year}", f"{year}-{month:02d}-{day:02d}", f"{day:02d}/{month:02d}"]))


def _apart(words: Words) -> tuple[Callable[[int], str], Callable[[], str]]:
    """What draws the number of a row and its text, which are cells beside one another."""
    rng = words.rng
    most, letter = int(rng.choice([3, 9, 30])), "ABCDEFGH"[rng.integers(8)]
    form = _form(_date(rng))
    numbers: list[Callable[[int], str]] = [
        lambda _: f"{rng.integers(1, most + 1)}",
        lambda _: f"{rng.integers(1, most + 1)}",
        lambda k: f"{k + 1}",
        lambda _: f"{rng.integers(1, most + 1)}x",
        lambda _: f"{letter}{rng.integers(100, 9999)}",
        lambda _: next(date for _ in range(99) if _form(date := _date(rng)) == form),
        lambda _: f"{10 ** rng.uniform(0, 3):.2f}",
    ]
    texts: list[Callable[[], str]] = [partial(words.phrase, 1, 5), partial(words.phrase, 1, 2), words.number]
    return numbers[rng.integers(len(numbers))], texts[int(rng.choice(3, p=[0.5, 0.3, 0.2]))]


def _form(text: str) -> str:
    """A text with all digits alike."""
    return re.sub(r"\d", "0", text)


def _inside(words: Words) -> tuple[Callable[[int], str], Callable[[], str]]:
    """What draws the number with which the text of a row begins, and its text."""
    rng = words.rng
    most, section = int(rng.choice([3, 9, 30])), int(rng.integers(1, 9))
    months, units = ["March", "April", "May", "June", "July"], ["kg", "g", "pcs", "ml", "hours", "%"]
    count = lambda _: f"{rng.integers(1, most + 1)}"  # noqa: E731
    choices: list[tuple[Callable[[int], str], Callable[[], str]]] = [
        (count, lambda: str(rng.choice(months))),
        (count, lambda: str(rng.choice(units))),
        (lambda k: f"{count(k)} x", partial(words.phrase, 1, 3)),
        (lambda _: f"{rng.integers(1, 200)}", partial(words.phrase, 2, 4)),  # a house and its street
        (lambda k: f"{k + 1}", partial(words.phrase, 1, 4)),
        (lambda k: f"{section}.{k + 1}", partial(words.phrase, 1, 4)),
        (lambda k: f"{k + 1}.", partial(words.phrase, 1, 4)),
        (lambda _: f"{_date(rng)}", lambda: f"{rng.integers(24):02d}:{rng.integers(60):02d}"),
    ]
    return choices[rng.integers(len(choices))]


def compose_statement(words: Words, fonts: Sequence[str]) -> ComposedPage:
    """A statement of an account: a dense table over the width of the page, each amount in one of two columns."""
    page, font, rng = blank("statement", words, fonts, small=True)
    size, y, right = font.size, 40.0, page.image.width - 60.0
    for _ in range(int(rng.integers(0, 4))):
        page.put(60, y, words.phrase(1, 4), font)
        y += 1.4 * size
    y += size * float(rng.uniform(0.5, 2))
    number, page.tables = page.tables, page.tables + 1
    step = font.getlength("12,345.67") + size * float(rng.uniform(0.6, 2.5))
    details = 60 + font.getlength("28.12.2026") + size * float(rng.uniform(0.6, 2))
    edges = [right - 2 * step, right - step, right]
    titles = [(60.0, "Date"), (details, "Details"), *zip(edges, ("Paid out", "Paid in", "Balance"), strict=True)]
    pitch = size * float(rng.uniform(1.1, 1.5))
    for c, (x, title) in enumerate(titles):
        page.put(x, y, title, font, (number, 0, c), "left" if c < 2 else "right")
    y += pitch
    for row in range(1, int(rng.integers(5, 30))):
        text = words.phrase(1, 5)
        while font.getlength(text) > edges[0] - step + size - details and len(text) > 1:
            text = text[: len(text) // 2].strip()
        if rng.random() < 0.8:
            page.put(60, y, f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.2026", font, (number, row, 0))
        page.put(details, y, text, font, (number, row, 1))
        column = int(rng.random() < 0.35)
        page.put(edges[column], y, f"{10 ** rng.uniform(0, 3.5):,.2f}", font, (number, row, 2 + column), "right")
        if rng.random() < 0.7:
            page.put(right, y, f"{10 ** rng.uniform(2, 4):,.2f}", font, (number, row, 4), "right")
        y += pitch
        if y > page.image.height - 60:
            break
    return page


def compose_contents(words: Words, fonts: Sequence[str]) -> ComposedPage:
    """A contents page: titles with indents, dots or blanks, page numbers at the right edge."""
    page, font, rng = blank("contents", words, fonts)
    width, size, y = page.image.width, font.size, 40.0
    page.put(60, y, "Contents", font.font_variant(size=round(1.4 * size)))
    y += 3 * size
    number, page.tables = page.tables, page.tables + 1
    leaders = str(rng.choice(["", ".", ". ", "."]))
    edge = width - float(rng.uniform(60, 160))
    pitch = size * float(rng.uniform(1.25, 1.9))
    numbered, start = rng.random() < 0.6, 1
    for row in range(int(rng.integers(5, 24))):
        level = int(rng.integers(0, 3))
        title = words.phrase(1, 6)
        title = f"{row + 1}{'.' * (level > 0)}{level or ''} {title}" if numbered else title
        start += int(rng.integers(0, 9))
        x = 60 + level * size
        page_width = font.getlength(f"{start}")
        while x + font.getlength(title) > edge - page_width - 2 * size:
            title = title.rpartition(" ")[0]
        page.put(x, y, title, font, (number, row, 0))
        page.put(edge, y, f"{start}", font, (number, row, 1), "right")
        if leaders:
            left, right = x + font.getlength(title) + 0.3 * size, edge - page_width - 0.3 * size
            dots = leaders * int((right - left) / font.getlength(leaders * 50) * 50)
            ImageDraw.Draw(page.image).text((right - font.getlength(dots), y), dots, font=font, fill=(30, 30, 30))
        y += pitch
        if y > page.image.height - 60:
            break
    return page


def compose_form(words: Words, fonts: Sequence[str]) -> ComposedPage:
    """A form: labels, and the entries beside them in a column of their own."""
    page, font, rng = blank("form", words, fonts)
    y, number = 60.0, page.tables
    page.tables += 1
    x = 60 + font.size * float(rng.uniform(7, 14))
    pitch = font.size * float(rng.uniform(1.3, 2.4))
    for row in range(int(rng.integers(3, 12))):
        label = words.phrase(1, 2)
        while font.getlength(label) > x - 60 - font.size * 1.5:
            label = label[: len(label) // 2]
        page.put(60, y, f"{label}:", font, (number, row, 0))
        page.put(x, y, words.phrase(1, 4) if rng.random() < 0.6 else words.number(), font, (number, row, 1))
        y += pitch
    return page


def compose_columns(words: Words, fonts: Sequence[str]) -> ComposedPage:
    """Prose in one to three columns, level or not, justified or ragged, with or without a heading."""
    page, font, rng = blank("prose", words, fonts, small=True)
    count = int(rng.integers(1, 4))
    gap = font.size * float(rng.uniform(1.2, 3.5))
    width = (page.image.width - 120 - (count - 1) * gap) / count
    y = 40.0
    if rng.random() < 0.5:
        page.put(60, y, words.phrase(2, 5), font.font_variant(size=round(1.6 * font.size)))
        y += 3 * font.size
    pitch = font.size * float(rng.uniform(1.2, 1.6))
    level, justify = rng.random() < 0.6, rng.random() < 0.4
    for column in range(count):
        top = y if level else y + float(rng.uniform(0, 1)) * pitch
        rows = words.prose(font, width, int(rng.integers(4, 26)))
        for k, row in enumerate(rows):
            if top + pitch > page.image.height - 40:
                break
            x = 60 + column * (width + gap)
            if justify and font.getlength(row) > 0.8 * width and " " in row:
                put_justified(page, x, top, row, font, width, column)
            else:
                page.put(x, top, row, font, column=column)
            top += pitch * (1.5 if len(rows[k]) < 0.5 * len(rows[0]) and rng.random() < 0.3 else 1)
    return page


def put_justified(
    page: ComposedPage, x: float, y: float, row: str, font: ImageFont.FreeTypeFont, width: float, column: int
) -> None:
    """Draw a line whose spaces are widened to fill the width."""
    row_words = row.split()
    space = (width - sum(font.getlength(word) for word in row_words)) / max(1, len(row_words) - 1)
    draw, left = ImageDraw.Draw(page.image), x
    for word in row_words:
        draw.text((left, y), word, font=font, fill=(30, 30, 30))
        left += font.getlength(word) + space
    _, top, _, bottom = draw.textbbox((x, y), row, font=font)
    page.items.append(Item(row, (x, top, x + width, bottom), None, column))


def compose_list(words: Words, fonts: Sequence[str]) -> ComposedPage:
    """A numbered list or one with bullets; its entries have one to three lines with a hanging indent."""
    page, font, rng = blank("list", words, fonts)
    y = 40.0
    if rng.random() < 0.5:
        page.put(60, y, words.phrase(2, 4), font)
        y += 2 * font.size
    indent = font.size * float(rng.uniform(1.2, 2.2))
    pitch = font.size * float(rng.uniform(1.25, 1.6))
    bullet = bool(rng.random() < 0.4)
    for k in range(int(rng.integers(4, 12))):
        mark = "-" if bullet else f"{k + 1}."
        for n, row in enumerate(words.prose(font, page.image.width - 160, int(rng.integers(1, 4)))):
            if n == 0:
                ImageDraw.Draw(page.image).text((60, y), mark, font=font, fill=(30, 30, 30))
                row_text, left = f"{mark} {row}", 60.0
            else:
                row_text, left = row, 60 + indent
            ImageDraw.Draw(page.image).text((60 + indent, y), row, font=font, fill=(30, 30, 30))
            _, top, right, bottom = ImageDraw.Draw(page.image).textbbox((60 + indent, y), row, font=font)
            page.items.append(Item(row_text, (left, top, right, bottom), None))
            y += pitch
        y += font.size * float(rng.choice([0, 0.4]))
        if y > page.image.height - 120:
            break
    return page


def compose_letter(words: Words, fonts: Sequence[str]) -> ComposedPage:
    """A letter or a sign: short lines here and there, an address, a date at the right, a paragraph."""
    page, font, rng = blank("letter", words, fonts)
    y, pitch = 60.0, font.size * float(rng.uniform(1.3, 1.8))
    for _ in range(int(rng.integers(2, 5))):
        page.put(60, y, words.phrase(1, 3), font)
        y += pitch
    page.put(page.image.width - 80, y + 10, words.number(), font, align="right", column=1)
    y += 3 * pitch
    if rng.random() < 0.6:
        y = add_prose(page, words, font, y, int(rng.integers(3, 12))) + 2 * pitch
    for _ in range(int(rng.integers(1, 4))):
        page.put(60 + float(rng.uniform(0, 0.5)) * page.image.width, y, words.phrase(1, 2), font)
        y += pitch * float(rng.uniform(1, 3))
    return page


Compose = Callable[[Words, Sequence[str]], ComposedPage]
TABLE_KINDS: list[Compose] = (
    [compose_table] * 5 + [compose_receipt] * 3 + [compose_contents] * 2 + [compose_form, compose_statement]
)
PROSE_KINDS: list[Compose] = [compose_columns] * 3 + [compose_list] * 2 + [compose_letter]


def blank(
    kind: str, words: Words, fonts: Sequence[str], narrow: bool = False, small: bool = False
) -> tuple[ComposedPage, ImageFont.FreeTypeFont, np.random.Generator]:
    """An empty page, its font, and the random numbers of its words."""
    rng = words.rng
    font = ImageFont.truetype(str(rng.choice(fonts)), int(rng.integers(18, 26 if small else 32)))
    width = int(rng.integers(480, 760) if narrow else rng.integers(900, 1300))
    height = int(width * rng.uniform(0.8, 1.4))
    paper = tuple(int(v) for v in rng.integers(225, 256, 3))
    return ComposedPage(kind, Image.new("RGB", (width, height), paper)), font, rng


def compose_page(split: str, index: int, has_table: bool) -> ComposedPage:
    """Page `index` of a split, as a function of both.

    WRAPPED_PAGES after the last of FIT_PAGES have cells of several lines, NUMBER_PAGES after them have numbers before
    texts, and those after them have bars between cells.
    """
    folder, seed = SPLITS[split]
    fonts = [str(p) for p in sorted((ROOT / "recipes" / "fonts" / folder).glob("*.woff")) if LATIN.search(p.name)]
    rng = np.random.default_rng((seed, int(has_table), index))
    kinds: Sequence[Compose] = TABLE_KINDS if has_table else PROSE_KINDS
    if has_table and index >= max(FIT_PAGES, TEST_PAGES):
        kinds = [compose_wrapped if index < FIT_PAGES + WRAPPED_PAGES else compose_numbered]
        kinds = [compose_barred] if index >= BARRED_FROM else kinds
    page = kinds[index % len(kinds)](Words(split, rng), fonts)
    lowest = max((item.box[3] for item in page.items), default=200.0)
    page.image = page.image.crop((0, 0, page.image.width, min(page.image.height, int(lowest) + 60)))
    page.items = [item for item in page.items if item.box[3] <= page.image.height]  # the others are below the paper
    return page


def photograph(
    page: ComposedPage, split: str, index: int, scale: float = 1.0
) -> tuple[ColourImage, npt.NDArray[np.float64]]:
    """The image of a page and the transform (2, 3) of its points. Every third is rotated, blurred and noisy.

    scale: 0..1, of the image's sides over the page's.
    """
    image = np.asarray(page.image)
    rng = np.random.default_rng((SPLITS[split][1], 7, index))
    height, width = image.shape[:2]
    transform = cv2.getRotationMatrix2D(
        (width / 2, height / 2), float(rng.uniform(-2, 2)) if index % 3 == 2 else 0.0, 1
    )
    if index % 3 == 2:
        image = cv2.warpAffine(
            image, transform, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 0.8)))
        noisy = image * rng.uniform(0.75, 1) + rng.normal(0, rng.uniform(0, 6), image.shape)
        image = noisy.clip(0, 255).astype(np.uint8)
    image, transform = np.ascontiguousarray(image), np.asarray(transform, np.float64)
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        transform = scale * transform
    return image, transform


def wear_print(image: ColourImage, rng: np.random.Generator) -> ColourImage:
    """The image of a page whose print is worn: pale, with gaps in its strokes, and blurred."""
    ink = image.max().astype(np.float32) - image
    specks = cv2.GaussianBlur(rng.normal(size=image.shape[:2]).astype(np.float32), (0, 0), float(rng.uniform(0.7, 1.5)))
    gaps = specks < np.quantile(specks, float(rng.uniform(0, 0.4)))
    ink *= np.where(gaps, float(rng.uniform(0, 0.5)), 1.0)[..., None]
    ink = cv2.GaussianBlur(ink, (0, 0), float(rng.uniform(0.5, 1.5))) * float(rng.uniform(0.35, 1))
    return (image.max() - ink).clip(0, 255).astype(np.uint8)  # type: ignore[no-any-return]


# ---------------------------------------------------------------------------------------------------------------- fit


@dataclass(frozen=True)
class Observed:
    """The fragments that the detector found on a page, and the line of the page that each lies on."""

    items: list[Item]
    middles: npt.NDArray[np.float64]  # (N, 2) px, of the items
    halves: npt.NDArray[np.float64]  # (N, 2) px, half of the widths and heights of the items
    candidates: list[Block] = field(default_factory=list)  # of tables

    def item_of(self, box: LevelBox) -> Item | None:
        """The line that a fragment lies on."""
        return self.item_at(box.region.corners.mean(0))

    def item_at(self, point: npt.NDArray[np.float64]) -> Item | None:
        """The line that a point (2,) px lies on."""
        offset = np.abs(point - self.middles)
        inside = (offset <= self.halves).all(axis=1)
        return self.items[int(np.where(inside, offset[:, 1], np.inf).argmin())] if inside.any() else None


def observe(split: str, index: int, has_table: bool, detector: DbNetDetector) -> Observed:
    """A page and its candidates for tables. Where it has no table, also those of the parts it is divided into."""
    page = compose_page(split, index, has_table)
    image, transform = photograph(page, split, index)
    candidates: list[Block] = []

    def find_none(boxes: Sequence[LevelBox], find_ink: FindInk | None = None) -> list[TableBlock]:
        candidates.extend(table_candidates(boxes, find_ink))
        return []

    regions = detector(image)
    if has_table:
        boxes, slope = level_boxes(regions, image)
        find_none([part for box in boxes for part in box.parts], ink_finder(boxes, slope, image))
    else:
        with patch.object(reading_order, "find_tables", find_none):
            order_regions(regions, image)
    return replace(observed_items(page, transform), candidates=candidates)


def observed_boxes(
    boxes: Sequence[tuple[float, float, float, float]], transform: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The middles and the halves of the widths and heights (N, 2) px of boxes of a page on its image.

    transform: as `photograph` returns it.
    """
    corners = np.array(boxes).reshape(-1, 4)
    middles = (corners[:, :2] + corners[:, 2:]) / 2 @ transform[:, :2].T + transform[:, 2]
    return middles, float(np.linalg.norm(transform[0, :2])) * (corners[:, 2:] - corners[:, :2]) / 2


def observed_items(page: ComposedPage, transform: npt.NDArray[np.float64]) -> Observed:
    """The lines of a page where they are on its image. transform: as `photograph` returns it."""
    middles, halves = observed_boxes([item.box for item in page.items], transform)
    return Observed(page.items, middles, halves + 4)


def gutter_label(block: Block, k: int, page: Observed) -> float | None:
    """1 if the gap after column k separates cells or columns of prose, 0 if it separates words.

    None if unknown, and for the gap before a unit, which `cell_texts` closes by the text.
    """
    votes, units = [], 0
    for row in block.grid:
        if row[k] and row[k + 1]:
            a, b = page.item_of(row[k][-1]), page.item_of(row[k + 1][0])
            if a and b:
                votes.append(a is not b and (a.place is None or a.place != b.place))
                units += a is b and a.text.endswith(UNITS)
    if votes:
        return None if units > len(votes) / 2 else float(mean(votes) > 0.5)
    left, right = ({i.place[2] for row in block.grid for box in row[n] if (i := page.item_of(box)) and i.place}
                   for n in (k, k + 1))  # fmt: skip
    return None if not left or not right else float(not left & right)


def table_label(block: Block, page: Observed) -> float | None:
    """1 if a block is one table, 0 if it is none, or a table beside prose; None if it is a part of both.

    Boxes on no line, such as leaders and parts of rules, do not count.
    """
    rows = [[bool(item.place) for box in row if (item := page.item_of(box))] for row in block.rows]
    members = [is_cell for row in rows for is_cell in row]
    share = mean(members) if members else 0.0
    beside = sum(len(set(row)) > 1 for row in rows)
    if share > 0.8 and beside <= 0.1 * len(block.rows):
        return 1.0
    return 0.0 if share < 0.3 or beside > 0.3 * len(block.rows) else None


def same_row_label(block: Block, k: int, page: Observed) -> float | None:
    """1 if line k of a block and the one below are of one row; None if unknown."""
    rows = [Counter(i.place[1] for box in block.rows[n] if (i := page.item_of(box)) and i.place) for n in (k, k + 1)]
    if not rows[0] or not rows[1]:
        return None
    return float(rows[0].most_common(1)[0][0] == rows[1].most_common(1)[0][0])


@dataclass
class Examples:
    """The examples of a decision: their features, labels (1 or 0) and the numbers of their pages."""

    rows: list[list[float]] = field(default_factory=list)
    labels: list[float] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)

    def add(self, features: list[float], label: float | None, page: int) -> None:
        """Add an example whose label is known."""
        if label is not None:
            self.rows.append(features)
            self.labels.append(label)
            self.pages.append(page)

    def part(self, mask: npt.NDArray[np.bool_]) -> Examples:
        """The examples (N,) where the mask is true."""
        columns = (list(compress(column, mask)) for column in (self.rows, self.labels, self.pages))
        return Examples(*columns)


def fit_decision(examples: Examples, balanced: bool) -> tuple[npt.NDArray[np.float64], float]:
    """The weights of a decision and the L2 penalty, chosen by the log loss of a cross-validation over pages."""
    parts = np.array(examples.pages) % PARTS

    def loss(penalty: float) -> float:
        losses = []
        for k in range(PARTS):
            train, test = examples.part(parts != k), examples.part(parts == k)
            z = np.array(test.rows) @ fit_logistic(train, balanced, penalty)
            losses += np.logaddexp(0, np.where(np.array(test.labels) > 0, -z, z)).tolist()
        return mean(losses)

    penalty = min(L2_PENALTIES, key=loss)
    return fit_logistic(examples, balanced, penalty), penalty


def fit_logistic(examples: Examples, balanced: bool, penalty: float) -> npt.NDArray[np.float64]:
    """The weights of a logistic regression with an L2 penalty, by Newton's method.

    balanced: both classes count alike; else by their numbers of examples.
    """
    x, y = np.array(examples.rows), np.array(examples.labels)
    balance = np.where(y > 0, 0.5 / y.mean(), 0.5 / (1 - y.mean())) if balanced else np.ones(len(y))
    weights = np.zeros(x.shape[1])
    penalties = penalty * np.diag([0.0, *[1.0] * (x.shape[1] - 1)])
    for _ in range(60):
        p = 1 / (1 + np.exp(-(x @ weights).clip(-30, 30)))
        hessian = (x * (balance * p * (1 - p))[:, None]).T @ x + penalties
        weights += np.linalg.solve(hessian, x.T @ (balance * (y - p)) - penalties @ weights)
    return weights


def gutters(candidate: Block, page: Observed) -> Iterator[tuple[Block, int]]:
    """The gutters of a candidate, each in the blocks that `separate_columns` may see: with all gutters, and with only
    those that separate cells and it."""
    labels = [gutter_label(candidate, k, page) for k in range(len(candidate.columns) - 1)]
    others = [k for k, label in enumerate(labels) if label != 1]  # separate words, or it is not known
    for k in range(len(labels)):
        yield candidate, k
        merged = [n for n in others if n != k]
        if merged:
            yield reduce(Block.without_gutter, reversed(merged), candidate), k - sum(n < k for n in merged)


def examples_of(decision: str, pages: Sequence[Observed]) -> Examples:
    """The examples of a decision on pages. Decisions after "gutter" need its fitted weights."""
    examples = Examples()
    for number, page in enumerate(pages):
        for candidate in page.candidates:
            if decision == "gutter":
                for block, k in gutters(candidate, page):
                    examples.add(gutter_features(block, k), gutter_label(block, k, page), number)
                continue
            block = separate_columns(candidate)
            if len(block.columns) < 2:
                continue
            label = table_label(block, page)
            if decision == "table":
                examples.add(table_features(block), label, number)
            elif label == 1:
                for k in range(len(block.rows) - 1):
                    examples.add(same_row_features(block, k), same_row_label(block, k, page), number)
    return examples


def fit() -> None:
    """Fit the decisions, test them on the other split, and write the weights."""
    detector = DbNetDetector()
    started = time.perf_counter()
    counts = {"fit": (FIT_PAGES + WRAPPED_PAGES, FIT_PROSE_PAGES), "test": (120, 120)}
    pages = {
        split: [
            observe(split, k, table, detector)
            for table, n in zip((True, False), numbers, strict=True)
            for k in range(n)
        ]
        for split, numbers in counts.items()
    }
    print(f"{sum(map(len, pages.values()))} pages, {time.perf_counter() - started:.0f} s", file=sys.stderr)
    weights: dict[str, list[float]] = {}
    report: dict[str, Any] = fit_bars(weights)
    for decision in ("gutter", "table", "same_row"):
        # Whether a page has tables depends on the page; the other two classes count as they occur in tables
        examples = {split: examples_of(decision, observed) for split, observed in pages.items()}
        report[decision] = add_decision(decision, examples, weights, balanced=decision == "table")
        write_model(weights, report)
    report["leading_number"] = fit_leading_numbers(weights)
    write_model(weights, report)
    report |= fit_cells(weights)
    write_model(weights, report)


def add_decision(
    decision: str, examples: dict[str, Examples], weights: dict[str, list[float]], balanced: bool = False
) -> dict[str, Any]:
    """Fit a decision on the examples of "fit" and add it to the weights. Returns its errors on each split."""
    fitted, penalty = fit_decision(examples["fit"], balanced)
    weights[decision] = [round(float(w), 4) for w in fitted]
    report = {"penalty": penalty, **{split: errors_of(fitted, e) for split, e in examples.items()}}
    print(decision, report, file=sys.stderr)
    return report


def errors_of(weights: npt.NDArray[np.float64], examples: Examples) -> dict[str, int]:
    """The numbers of examples of both classes, and of those on the wrong side."""
    positive, truth = np.array(examples.rows) @ weights > 0, np.array(examples.labels) > 0
    return {"yes": int(truth.sum()), "missed": int((truth & ~positive).sum()),
            "no": int((~truth).sum()), "wrong": int((~truth & positive).sum())}  # fmt: skip


def write_model(weights: dict[str, list[float]], report: dict[str, Any]) -> None:
    about = "Fitted by benchmarks/tables.py --fit, which states the data."
    MODEL.write_text(json.dumps({"about": about, "weights": weights, "report": report}, indent=1) + "\n")
    log_odds_of.__globals__["_fitted_weights"].cache_clear()


def add_marks(page: ComposedPage, rng: np.random.Generator) -> list[Item]:
    """Draw marks that are no text into a third of the empty cells of a page: ticks, stars, scribbles, arrows, blots.

    Returns where they are, without text.
    """
    draw = ImageDraw.Draw(page.image)
    marks = []
    for number in range(page.tables):
        members = [item for item in page.items if item.place and item.place[0] == number]
        taken = {item.place[1:] for item in members if item.place}
        for row, column in sorted({(r, c) for r, _ in taken for _, c in taken} - taken):
            if rng.random() > 1 / 3:
                continue
            level = next(item.box for item in members if item.place and item.place[1] == row)
            aligned = next(item.box for item in members if item.place and item.place[2] == column)
            size = float(rng.uniform(0.4, 1.1)) * min(30.0, level[3] - level[1])
            x, y = (aligned[0] + aligned[2]) / 2, (level[1] + level[3]) / 2
            points = [(x + a * size / 2, y + b * size / 2) for a, b in MARKS[int(rng.integers(len(MARKS)))]]
            if rng.random() < 0.3:  # a scribble
                points = [
                    (x + float(a), y + float(b)) for a, b in rng.normal(0, size / 3, (int(rng.integers(4, 12)), 2))
                ]
            if rng.random() < 0.3:
                draw.polygon(points, fill=(30, 30, 30))
            else:
                draw.line(points, fill=(30, 30, 30), width=int(rng.integers(1, 4)), joint="curve")
            xs, ys = zip(*points, strict=True)
            marks.append(Item("", (min(xs), min(ys), max(xs), max(ys)), None))
    return marks


#: polygons in -1..1: a tick, a star, an arrow, a triangle, a square, a lightning, a heart, an hourglass, a stroke and a
#: wave
MARKS = (((-1, 0), (-0.4, 0.8), (1, -1)),
         ((0, -1), (0.25, -0.3), (1, -0.3), (0.4, 0.1), (0.6, 0.9), (0, 0.4), (-0.6, 0.9), (-0.4, 0.1), (-1, -0.3),
          (-0.25, -0.3), (0, -1)),
         ((-1, 0), (0.9, 0), (0.3, -0.6), (0.9, 0), (0.3, 0.6)), ((-1, 0.8), (0, -1), (1, 0.8), (-1, 0.8)),
         ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)), ((0.3, -1), (-0.6, 0.2), (0.2, 0.1), (-0.3, 1)),
         ((0, 1), (-1, -0.2), (-0.6, -0.9), (0, -0.5), (0.6, -0.9), (1, -0.2), (0, 1)),
         ((-0.8, -1), (0.8, -1), (-0.8, 1), (0.8, 1), (-0.8, -1)), ((-1, 0.5), (1, -0.5)),
         ((-1, 0), (-0.5, -0.4), (0, 0), (0.5, 0.4), (1, 0)))  # fmt: skip


def add_short_cells(
    cells: Examples | None, numbers: Examples, split: str, index: int, reader: PageReader, worn: bool = False
) -> None:
    """Add the short cells that are read on a page and whether each is right, and the numbers they may be instead.

    Half of the pages have marks in empty cells, and half have small print, as screenshots have (see MARKED_PAGES).
    worn: the print is worn, as that of many receipts.
    """
    page = compose_page(split, index, True)
    rng = np.random.default_rng((SPLITS[split][1], 11 + worn, index))
    scale = float(rng.uniform(*SMALL_PRINT)) if rng.random() < 0.5 else 1.0
    marks = add_marks(page, rng) if rng.random() < MARKED_PAGES else []
    image, transform = photograph(page, split, index, scale)
    image = wear_print(image, rng) if worn else image
    hypothesis = reader.best_orientation(image, reader.detector)
    if hypothesis.quarters:
        return
    text, drawn = observed_items(page, transform), observed_items(replace(page, items=marks), transform)
    lines, regions = hypothesis.lines, [ordered.region for ordered in hypothesis.regions]
    confidences = [region.confidence for region in regions]

    def drawn_at(k: int) -> tuple[Item | None, Item | None]:
        """The text and the mark that line k lies on."""
        middle = regions[k].corners.mean(0)
        return text.item_at(middle), drawn.item_at(middle)

    if cells is not None:
        short = [k for k, line in enumerate(lines) if is_short_cell(line)]
        for k, features in zip(short, cell_features(confidences, lines), strict=True):
            cells.add(features, short_cell_label(*drawn_at(k), lines[k].text), index)
    recognize = reader.line_reader.recognize
    candidates = number_candidates(confidences, lines, lambda ks: recognize([hypothesis.crops[k] for k in ks]))
    for candidate in candidates:
        item, mark = drawn_at(candidate.index)
        known = item is not None or mark is not None
        is_right = item is not None and item.text == candidate.number
        numbers.add(candidate.features, float(is_right) if known else None, index)


def short_cell_label(item: Item | None, mark: Item | None, read: str) -> float | None:
    """1 if what was read at an item is its text or a part of it, 0 if it is another or a mark; None if unknown."""
    if item is None:
        return None if mark is None else 0.0
    return float(same_cell(item.text, read) or (len(read) > 1 and read.strip() in item.text))


def add_leading_numbers(examples: Examples, split: str, index: int, reader: PageReader) -> None:
    """Add the columns of a page that begin with numbers, and whether the numbers are cells of their own."""
    page = compose_page(split, index, True)
    image, transform = photograph(page, split, index)
    hypothesis = reader.best_orientation(image, reader.detector)
    if hypothesis.quarters:
        return
    observed = observed_items(page, transform)
    regions = list(map(ReadRegion, hypothesis.regions, hypothesis.crops, hypothesis.lines))
    for column in numbered_columns(regions):
        votes = []
        for k, blank in column.blanks.items():
            width = blank.end - blank.start
            a, b = (observed.item_at(regions[k].point(x)) for x in (blank.start / 2, blank.end + width / 2))
            if a and b:
                votes.append(a is not b and a.place != b.place)
        examples.add(column.features, float(mean(votes) > 0.5) if votes else None, index)


def strokes_of(split: str, index: int, has_table: bool = True) -> tuple[list[Stroke], list[bool]]:
    """The thin strokes of a page, and whether each is a bar. Half of the pages have small print, a third is worn."""
    page = compose_page(split, index, has_table)
    rng = np.random.default_rng((SPLITS[split][1], 13, int(has_table), index))
    scale = float(rng.uniform(*SMALL_PRINT)) if rng.random() < 0.5 else 1.0
    image, transform = photograph(page, split, index, scale)
    image = wear_print(image, rng) if rng.random() < 0.3 else image
    bars, halves = observed_boxes(page.bars, transform)
    strokes, labels = find_strokes(image), []
    for left, top, right, bottom in (stroke.box for stroke in strokes):
        offset = np.abs(np.array([(left + right) / 2, (top + bottom) / 2]) - bars)
        is_bar = (offset <= 0.3 * halves + 3).all(axis=1) & (bottom - top > 1.2 * halves[:, 1])
        labels.append(bool(is_bar.any()))
    return strokes, labels


def fit_bars(weights: dict[str, list[float]]) -> dict[str, dict[str, Any]]:
    """Fit the decisions `bar_stroke` and `bar` on pages with bars and on others, and add them to the weights.

    Returns the errors of each. The first is written, because the second sees its log-odds.
    """
    pages = {
        split: [strokes_of(split, k) for k in range(BARRED_FROM, BARRED_FROM + barred)]
        + [strokes_of(split, k, has_table=k % 4 > 0) for k in range(others)]
        for split, barred, others in (
            ("fit", BARRED_PAGES, BARRED_PAGES),
            ("test", BARRED_TEST_PAGES, BARRED_TEST_PAGES),
        )
    }
    report = {}
    features_of: dict[str, Callable[[list[Stroke]], list[list[float]]]] = {
        "bar_stroke": lambda strokes: [stroke.features for stroke in strokes], "bar": bar_features
    }  # fmt: skip
    for decision, features in features_of.items():
        examples = {"fit": Examples(), "test": Examples()}
        for split, drawn in pages.items():
            for number, (strokes, labels) in enumerate(drawn):
                for row, label in zip(features(strokes), labels, strict=True):
                    examples[split].add(row, float(label), number)
        report[decision] = add_decision(decision, examples, weights)
        write_model(weights, report)
    return report


def fit_leading_numbers(weights: dict[str, list[float]]) -> dict[str, Any]:
    """Fit the decision `leading_number` on the pages of the fit, and add it to the weights. Returns its errors."""
    reader = open_reader()
    examples = {"fit": Examples(), "test": Examples()}
    first = FIT_PAGES + WRAPPED_PAGES
    for split, count, numbered in (("fit", CELL_PAGES, NUMBER_PAGES), ("test", 80, 80)):
        for index in [*range(count), *range(first, first + numbered)]:
            add_leading_numbers(examples[split], split, index, reader)
    return add_decision("leading_number", examples, weights)


def fit_cells(weights: dict[str, list[float]]) -> dict[str, dict[str, Any]]:
    """Fit the decisions `cell` and `number` on the pages of the fit, and add them to the weights.

    Returns the errors of each. The reader finds the cells with the other weights, which have to be written.
    """
    reader = open_reader()
    cells, numbers = ({"fit": Examples(), "test": Examples()} for _ in range(2))
    for split, count, worn_count in (("fit", CELL_PAGES, WORN_PAGES), ("test", 80, 80)):
        for index in range(count):
            add_short_cells(cells[split], numbers[split], split, index, reader)
        for index in range(worn_count):
            if compose_page(split, index, True).kind in ("table", "receipt"):
                add_short_cells(None, numbers[split], split, index, reader, worn=True)
    return {"cell": add_decision("cell", cells, weights), "number": add_decision("number", numbers, weights)}


# ------------------------------------------------------------------------------------------------------------ measure


def same_text(truth: str, read: str) -> bool:
    """Whether a cell was found, whatever its letters were read as."""
    a, b = ("".join(text.lower().split()) for text in (truth, read))
    if len(a) <= 2:
        return bool(b) and len(b) <= len(a) + 1
    return Levenshtein.normalized_similarity(a, b) > 0.5


def right_cells(truth: list[list[str]], read: list[list[str]]) -> tuple[int, int, int]:
    """The numbers of cells with text in the right row and column, in the right row, and of all, over the best matching
    of the rows in order."""
    columns = [[sum(same_text(cell, row[c] if c < len(row) else "") for c, cell in enumerate(expected) if cell)
                for row in read] for expected in truth]  # fmt: skip
    rows = [[sum(any(same_text(cell, other) for other in row) for cell in expected if cell) for row in read]
            for expected in truth]  # fmt: skip
    return best_matching(columns), best_matching(rows), sum(bool(cell) for row in truth for cell in row)


def best_matching(scores: list[list[int]]) -> int:
    """The largest sum of scores (rows of the truth x rows that were read) of a matching that keeps the order."""
    best = [0] * (len(scores[0]) + 1 if scores else 1)
    for row in scores:
        previous = best[:]
        for k, score in enumerate(row, 1):
            best[k] = max(previous[k], best[k - 1], previous[k - 1] + score)
    return best[-1]


def measure(pages: int, show: bool) -> dict[str, Any]:
    """Read composed pages of the test split with glyphline and, where it is installed, RapidOCR.

    The pages with bars between cells are a kind of their own: "all" is the same as before there were any.
    """
    reader = open_reader()
    rapidocr = None
    if find_spec("rapidocr") is not None:
        logging.disable(logging.CRITICAL)
        from rapidocr import RapidOCR

        rapidocr = RapidOCR()
    sums: dict[tuple[str, str], list[float]] = {}
    counts_of: Counter[str] = Counter()
    for index in [*range(pages), *range(BARRED_FROM, BARRED_FROM + min(pages, BARRED_TEST_PAGES))]:
        page = compose_page("test", index, True)
        kinds = [page.kind] if index >= BARRED_FROM else [page.kind, "all"]
        counts_of.update(kinds)
        image, _ = photograph(page, "test", index)
        outputs: dict[str, tuple[list[list[str]], float]] = {}
        started = time.perf_counter()
        text = reader.read_image(image).text
        outputs["glyphline"] = [line.split("\t") for line in text.split("\n")], time.perf_counter() - started
        if rapidocr is not None:
            started = time.perf_counter()
            markdown = rapidocr(image[..., ::-1]).to_markdown()
            seconds = time.perf_counter() - started
            outputs["RapidOCR"] = [re.split(" {2,}", line) for line in markdown.split("\n") if line], seconds
        for name, (rows, seconds) in outputs.items():
            counts = np.sum([right_cells(page.rows(table), rows) for table in range(page.tables)], axis=0)
            for kind in kinds:
                total = sums.setdefault((kind, name), [0.0] * 5)
                whole = float(counts[0] == counts[2])
                for k, value in enumerate((*counts.tolist(), whole, seconds)):
                    total[k] += value
            if show and name == "glyphline" and counts[0] < counts[2]:
                print(f"--- {index} {page.kind} {counts.tolist()}")
                for table in range(page.tables):
                    print("\n".join(" | ".join(row) for row in page.rows(table)))
                print("  read:\n" + text.replace("\t", " | "))
    return {"tables": [
        {"kind": kind, "reader": name, "pages": counts_of[kind], "cells": int(total[2]),
         "right_row_and_column": total[0] / total[2], "right_row": total[1] / total[2],
         "whole_tables": total[3] / counts_of[kind], "seconds": total[4] / counts_of[kind]}
        for (kind, name), total in sums.items()
    ]}  # fmt: skip


SHORT_LOOKALIKES = str.maketrans("–—−|liLIoO", "---1111100")  # in cells of one or two characters


def same_cell(truth: str, read: str) -> bool:
    """Whether a cell was read: seven in ten characters, or those of a cell of one or two, whatever looks like them."""
    a, b = ("".join(text.translate(str.maketrans("–—−", "---")).lower().split()) for text in (truth, read))
    if len(a) <= 2:
        return a.translate(SHORT_LOOKALIKES) == b.translate(SHORT_LOOKALIKES)
    return Levenshtein.normalized_similarity(a, b) >= 0.7


def right_rows(truth: list[list[str]], read: list[list[str]]) -> tuple[int, int]:
    """The numbers of rows whose cells with text are right and in order, and of those whose empty cells are too.

    Over the best matching of the rows in order. A row with fewer cells than others spans columns: its empty cells do
    not count.
    """
    columns = max(map(len, truth))
    used = [k for k in range(columns) if any(len(row) == columns and row[k] for row in truth)]

    def match(expected: list[str], row: list[str], with_empty: bool) -> int:
        if with_empty and len(expected) == columns:
            expected = [expected[k] for k in used]
        else:
            expected, row = ([cell for cell in cells if cell.strip()] for cells in (expected, row))
        return int(len(expected) == len(row) and all(map(same_cell, expected, row)))

    in_order, in_place = (
        best_matching([[match(expected, row, with_empty) for row in read] for expected in truth])
        for with_empty in (False, True)
    )
    return in_order, in_place


def measure_browser(pages: int, show: bool) -> dict[str, Any]:
    """Pages drawn by a browser: the share of rows that are right in the text, there with their empty cells, and in the
    tables."""
    if CHROMIUM is None:
        print("browser pages are skipped: install chromium", file=sys.stderr)
        return {}
    reader = open_reader()
    sums: dict[str, list[int]] = {}
    for index in range(pages):
        page = browser_page(index)
        read = reader.read_image(screenshot(page))
        in_order, in_place = right_rows(page.rows, [line.split("\t") for line in read.text.split("\n")])
        in_tables, _ = right_rows(page.rows, [list(row) for table in read.tables for row in table.rows])
        for kind in (page.kind, "all"):
            counts = 1, len(page.rows), in_order, in_place, in_tables
            sums[kind] = [a + b for a, b in zip(sums.get(kind, [0] * 5), counts, strict=True)]
        if show and min(in_order, in_place, in_tables) < len(page.rows):
            print(f"--- browser {index} {page.kind} {len(page.rows)} rows, {in_order} {in_place} {in_tables} right")
            print("\n".join(" | ".join(row) for row in page.rows) + "\n  read:\n" + read.text.replace("\t", " | "))
    return {"browser": [
        {"kind": kind, "pages": count, "rows": rows, "right": right / rows, "with_empty_cells": place / rows,
         "in_tables": tables / rows} for kind, (count, rows, right, place, tables) in sums.items()
    ]}  # fmt: skip


def measure_prose(pages: int, show: bool) -> dict[str, Any]:
    """Pages without tables: the share that has no table, and the share of lines in the right order."""
    reader = open_reader()
    without, orders = 0, []
    for index in range(pages):
        page = compose_page("test", index, False)
        image, _ = photograph(page, "test", index)
        read = reader.read_image(image)
        without += not read.tables
        lines = [line.text for line in read.lines if line.text]
        positions = []
        for item in page.items:
            best = max(
                range(len(lines)), key=lambda k: Levenshtein.normalized_similarity(item.text, lines[k]), default=0
            )
            if lines and Levenshtein.normalized_similarity(item.text, lines[best]) > 0.7:
                positions.append(best)
        pairs = list(pairwise(positions))
        if page.kind == "prose":
            orders.append(mean(a < b for a, b in pairs) if pairs else 1.0)
        if show and (read.tables or orders[-1:] < [1.0]):
            print(f"--- {index} {page.kind} order {orders[-1:]}\n" + read.text.replace("\t", " | "))
    return {"prose": {"pages": pages, "without_table": without / pages, "order": mean(orders)}}


def main() -> None:
    """Fit, or measure and write results/tables.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="fit the weights and write them")
    parser.add_argument("--pages", type=int, default=TEST_PAGES, help="composed pages with tables")
    parser.add_argument("--show", action="store_true", help="print what is wrong")
    args = parser.parse_args()
    if args.fit:
        fit()
        return
    results = measure_browser(min(args.pages, BROWSER_PAGES), args.show)
    for row in results.get("browser", []):
        print(f"{row['kind']:10s} browser    {row['rows']:6d} rows, right {row['right']:7.2%},"
              f" with empty cells {row['with_empty_cells']:7.2%}, in the tables {row['in_tables']:7.2%}")  # fmt: skip
    results |= {**measure(args.pages, args.show), **measure_prose(min(args.pages, PROSE_PAGES), args.show)}
    for row in results["tables"]:
        print(f"{row['kind']:10s} {row['reader']:10s} {row['cells']:6d} cells, right row and column"
              f" {row['right_row_and_column']:7.2%}, right row {row['right_row']:7.2%},"
              f" whole tables {row['whole_tables']:7.2%}, {row['seconds']:.2f} s a page")  # fmt: skip
    print(results["prose"])
    if args.pages == TEST_PAGES:
        (RESULTS / "tables.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
