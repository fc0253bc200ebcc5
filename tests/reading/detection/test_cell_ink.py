"""The ink of table cells: regions that are split at blanks, ink in cells where the detector found nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glyphline.imaging.documents import ColourImage
from glyphline.reading.detection.cell_ink import erase_other_rows, find_ink, ink_contrast, split_at_blanks
from glyphline.reading.detection.reading_order import order_regions
from glyphline.reading.detection.regions import Corners, Region


def box(left: float, top: float, right: float, bottom: float) -> Corners:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def draw(texts: list[tuple[str, int, int]], size: tuple[int, int] = (300, 500), bright: bool = False) -> ColourImage:
    """An image of texts at (x, baseline)."""
    image = np.full((*size, 3), 240, np.uint8)
    for text, x, y in texts:
        cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 20), 2, cv2.LINE_AA)
    return 255 - image if bright else image


@pytest.mark.parametrize("bright", [False, True])
def test_region_is_split_between_cells_not_between_words(bright: bool) -> None:
    image = draw([("two words", 10, 40), ("9.50", 240, 40)], bright=bright)
    first, second = split_at_blanks(Region(box(5, 18, 300, 48), 0.9), image)
    assert first.region.corners[0, 0] == 5 and 120 < first.region.corners[1, 0] < 150
    assert 228 < second.region.corners[0, 0] < 243 and second.region.corners[1, 0] == 300
    assert 5 + 295 * second.ink[0] == pytest.approx(241, abs=3)


def test_region_without_wide_blank_is_whole() -> None:
    image = draw([("two words", 10, 40)])
    region = Region(box(5, 18, 140, 48), 0.9)
    (fragment,) = split_at_blanks(region, image)
    assert fragment.region is region and 0 < fragment.ink[0] < 0.1 and 0.8 < fragment.ink[1] < 1
    empty = Region(box(200, 200, 300, 230), 0.9)
    assert [f.ink for f in split_at_blanks(empty, image)] == [(0.0, 1.0)]


def test_rule_between_cells_is_no_ink() -> None:
    image = draw([("ab", 10, 40), ("cd", 120, 40)])
    cv2.line(image, (75, 0), (75, 299), (0, 0, 0), 1)
    assert len(split_at_blanks(Region(box(5, 18, 160, 48), 0.9), image)) == 2


def test_digit_is_found_in_an_empty_cell() -> None:
    image = draw([("word", 10, 40), ("1", 200, 40)])
    cv2.line(image, (180, 0), (180, 299), (0, 0, 0), 1)
    contrast = ink_contrast([Region(box(5, 18, 70, 48), 0.9)], image)
    assert contrast.is_dark and contrast.contrast > 100
    region = find_ink(image, box(165, 15, 260, 51), 30, contrast)
    assert region is not None and 0 < region.confidence < 1
    assert region.corners[0, 0] < 203 < 206 < region.corners[1, 0] < 230
    assert region.corners[0, 1] < 26 and region.corners[2, 1] > 40
    assert find_ink(image, box(185, 115, 260, 151), 30, contrast) is None


def test_table_gets_the_digits_that_the_detector_missed() -> None:
    rows = [("apples", "1", "2.50"), ("bread rolls", "1", "13.00"), ("tea", "2", "4.10"), ("butter", "1", "7.00")]
    places = (20, 230, 350)
    image = draw([(text, places[c], 60 + 45 * r) for r, row in enumerate(rows) for c, text in enumerate(row)])
    regions = [
        Region(box(places[c] - 6, 36 + 45 * r, places[c] + 13 * len(text) + 6, 68 + 45 * r), 0.9)
        for r, row in enumerate(rows)
        for c, text in enumerate(row)
        if c != 1 or r == 2
    ]
    cells = [line.cell for line in order_regions(regions, image)]
    assert [(cell.row, cell.column) for cell in cells if cell] == [(r, c) for r in range(4) for c in range(3)]


def test_merged_region_of_a_table_is_split() -> None:
    rows = [("apples", "2.50"), ("bread", "3.00"), ("tea", "4.10")]
    image = draw([(text, (20, 200)[c], 60 + 45 * r) for r, row in enumerate(rows) for c, text in enumerate(row)])
    regions = [
        *(Region(box(14, 36 + 45 * r, 100, 68 + 45 * r), 0.9) for r in (0, 1)),
        *(Region(box(194, 36 + 45 * r, 260, 68 + 45 * r), 0.9) for r in (0, 1)),
        Region(box(14, 126, 260, 158), 0.9),
    ]
    lines = order_regions(regions, image)
    assert [(line.cell.row, line.cell.column) for line in lines if line.cell] == [
        (r, c) for r in range(3) for c in (0, 1)
    ]


@pytest.mark.parametrize("bright", [False, True])
def test_ink_of_other_rows_is_erased_and_that_of_the_cell_stays(bright: bool) -> None:
    clean = draw([("1", 12, 34)], (44, 40), bright)
    crop = clean.copy()
    ink = 235 if bright else 20
    crop[:4, 15:20] = crop[-3:, 10:14] = ink
    assert np.abs(erase_other_rows(crop).astype(int) - clean).max() < 20
    assert erase_other_rows(clean) is clean
    rule = clean.copy()
    rule[:, 2] = ink  # it goes through the whole height
    assert erase_other_rows(rule) is rule
