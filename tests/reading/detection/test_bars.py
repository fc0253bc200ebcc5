"""Tables drawn with characters: bars between cells are found, separate columns and are no text; letters are no bars."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from glyphline import open_reader
from glyphline.imaging.documents import ColourImage
from glyphline.reading.detection.bars import (
    Stroke,
    bar_features,
    bars_of_tables,
    erase_bars,
    find_bars,
    find_strokes,
    split_at_bars,
)
from glyphline.reading.detection.regions import Region
from glyphline.reading.detection.tables import Block, LevelBox, separate_columns

FONT = ImageFont.load_default(26)
ROWS = [["City", "Trains", "Class"], ["Vienna", "71", "All"], ["Lille", "11", "Hill"], ["Illinois", "1", "A"],
        ["Turin", "9", "Bill"]]  # fmt: skip
LEFTS, BARS = (40, 200, 340), (180, 320)


def draw_table(bars: Sequence[int] = BARS, rows_with_bars: int = 9, dashes: bool = False) -> ColourImage:
    image = Image.new("RGB", (520, 60 + 44 * (len(ROWS) + dashes)), "white")
    draw, y = ImageDraw.Draw(image), 30
    for r, row in enumerate(ROWS):
        for x, cell in zip(LEFTS, row, strict=True):
            draw.text((x, y), cell, fill=(20, 20, 20), font=FONT)
        for x in bars if r < rows_with_bars else ():
            draw.text((x, y), "|", fill=(20, 20, 20), font=FONT)
        y += 44
        if dashes and r == 0:
            draw.text((40, y), "-" * 45, fill=(20, 20, 20), font=FONT)
            y += 44
    return np.asarray(image)


@pytest.mark.parametrize("bright", [False, True])
def test_bars_are_found_and_letters_are_not(bright: bool) -> None:
    image = draw_table()
    bars = find_bars(255 - image if bright else image, 36)
    assert len(bars) == len(ROWS) * len(BARS)
    assert all(min(abs((bar.box[0] + bar.box[2]) / 2 - x) for x in BARS) < 12 for bar in bars)
    assert find_bars(draw_table(bars=()), 36) == []


def test_bars_between_large_letters_are_found_in_the_pixels_of_the_page() -> None:
    small = draw_table()
    large = cv2.resize(small, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    expected = np.array([bar.box for bar in find_bars(small, 36)])
    boxes = np.array([bar.box for bar in find_bars(large, 108)])
    assert boxes.shape == expected.shape and np.abs(boxes / 3 - expected).max() <= 2


def test_erased_bars_leave_paper() -> None:
    image = draw_table()
    assert np.abs(erase_bars(image, find_bars(image, 36)).astype(int) - draw_table(bars=())).max() < 30


def test_features_are_those_of_the_fit() -> None:
    weights = json.loads((resources.files("glyphline.models") / "tables.json").read_text(encoding="utf-8"))["weights"]
    strokes = find_strokes(draw_table())
    assert {len(stroke.features) for stroke in strokes} == {len(weights["bar_stroke"])}
    rows = bar_features(strokes)
    assert {len(row) for row in rows} == {len(weights["bar"])} and np.isfinite(rows).all()


def make_bar(left: int, top: int) -> Stroke:
    return Stroke((left, top, left + 2, top + 24), [], [], [])


def make_region(left: float, top: float, right: float) -> Region:
    return Region(np.array([(left, top), (right, top), (right, top + 30), (left, top + 30)], np.float64), 0.9)


def test_regions_are_cut_at_bars() -> None:
    regions = [make_region(10, 0, 300), make_region(10, 50, 90), make_region(120, 50, 300)]
    cut = split_at_bars(regions, [make_bar(100, 3), make_bar(100, 53)])
    spans = [(round(region.corners[0, 0]), round(region.corners[1, 0]), region.after_bar) for region in cut]
    assert spans == [(10, 100, False), (102, 300, True), (10, 90, False), (120, 300, True)]


def test_bars_of_a_table_continue_the_part_that_was_found() -> None:
    bars = [make_bar(100, top) for top in (0, 40, 80, 120, 160, 200)] + [
        make_bar(300, 83),
        make_bar(700, 300),
        make_bar(100, 900),
    ]
    cells = [make_region(10, top, 90).corners for top in (0, 40)] + [make_region(110, 0, 200).corners]
    assert sorted(bar.box[:2] for bar in bars_of_tables(bars, [cells])) == sorted(bar.box[:2] for bar in bars[:7])
    assert bars_of_tables(bars, []) == []


def make_box(left: float, right: float, top: float, after_bar: bool = False) -> LevelBox:
    region = Region(np.zeros((4, 2)), 0.9, after_bar=after_bar)
    return LevelBox(left, top, right, top + 30, region)


def test_columns_are_separated_where_bars_stand() -> None:
    rows = [
        [make_box(0, 100, top), make_box(106, 200, top, True), make_box(260, 330, top), make_box(400, 500, top, True)]
        for top in (0, 40, 80, 120)
    ]
    assert len(separate_columns(Block(rows, 30)).columns) == 3  # not between the second and the third box


def test_a_missed_bar_between_titles_does_not_join_columns() -> None:
    titles = [make_box(0, 100, 0), make_box(206, 300, 0, True), make_box(420, 530, 0)]
    rows = [[make_box(0, 100, top), make_box(206, 300, top), make_box(420, 530, top)] for top in (40, 80, 120, 160)]
    assert len(separate_columns(Block([titles, *rows], 30)).columns) == 3


@pytest.mark.parametrize("dashes", [False, True])
@pytest.mark.parametrize("rows_with_bars", [1, 9])
def test_a_table_drawn_with_characters_is_read(rows_with_bars: int, dashes: bool) -> None:
    bars = (*BARS, 20, 460) if rows_with_bars == 1 else BARS
    page = open_reader().read_image(draw_table(bars, rows_with_bars, dashes))
    assert page.text.split("\n") == ["\t".join(row) for row in ROWS]


def test_bars_outside_of_tables_are_text() -> None:
    image = Image.new("RGB", (760, 120), "white")
    ImageDraw.Draw(image).text((30, 40), "Home | About | News | Contact | Imprint", fill=(20, 20, 20), font=FONT)
    page = open_reader().read_image(np.asarray(image))
    assert page.text.count("\t") == 0 and sum(page.text.count(c) for c in "|Il/") >= 5
