"""Canonical lines: whatever the grey, the same line for training and reading."""

from __future__ import annotations

from unittest import mock

import cv2
import numpy as np
import pytest

from glyphline.errors import ImageError, UserError
from glyphline.imaging import normalization as door
from glyphline.imaging.normalization import (
    INK_SHARE,
    MARGIN,
    NORMALIZATIONS,
    WIDTH_LIMIT,
    WORK_HEIGHT,
    GreyImage,
    canonical_line_image,
    extract_ink,
    ink_bounds,
    ink_is_bright,
    normalize_line,
    padded_batch,
)

SOME = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (3, 200), (40, 40), (28, 896), (96, 300), (97, 300), (400, 150), (500, 3)]


def written(text: str = "Handwritten line", paper: int = 235, ink: int = 30, scale: float = 1.0) -> GreyImage:
    """Dark writing on light paper."""
    size, _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, scale, 2)
    page = np.full((round(60 * scale), size[0] + round(40 * scale)), paper, np.uint8)
    cv2.putText(page, text, (round(20 * scale), round(40 * scale)), cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, scale, ink, 2, 16)
    return page


# ---------------------------------------------------------------------- the canonical line


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("height", [28, 40])
@pytest.mark.parametrize("size", SIZES)
def test_any_picture_becomes_a_line(size: tuple[int, int], height: int, normalization: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, size, np.uint8)
    before = noise.copy()
    line = canonical_line_image(noise, height, normalization)
    assert line.shape[0] == height and line.shape[1] >= 1 and line.dtype == np.uint8
    assert np.array_equal(noise, before)
    assert np.array_equal(canonical_line_image(noise, height, normalization), line)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_blank_pictures_hold_no_ink(size: tuple[int, int], level: int) -> None:
    blank = np.full(size, level, np.uint8)
    assert not extract_ink(blank).any()
    assert not canonical_line_image(blank, 40).any()


def test_faint_noise_is_no_ink() -> None:
    paper = np.random.default_rng(0).normal(200, 2, (60, 400)).clip(0, 255).astype(np.uint8)
    assert not canonical_line_image(paper, 40).any()


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (235, 30), (200, 120), (130, 20)])
def test_polarity_does_not_matter(paper: int, ink: int) -> None:
    dark = written(paper=paper, ink=ink)
    assert not ink_is_bright(dark) and ink_is_bright(255 - dark)
    for normalization in ("ink", "whole"):
        assert np.array_equal(
            canonical_line_image(dark, 40, normalization), canonical_line_image(255 - dark, 40, normalization)
        )


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (200, 90), (120, 30)])
def test_ink_is_full_and_paper_is_nothing(paper: int, ink: int) -> None:
    page = written(paper=paper, ink=ink)
    found = extract_ink(page)
    assert found.max() == 255
    assert not found[page == paper].any()
    assert found[page == ink].min() > 200


def test_a_shadow_is_not_ink() -> None:
    page = written("shadow over it").astype(np.float32)
    shaded = (page * np.linspace(1.0, 0.45, page.shape[1])).astype(np.uint8)
    plain, under = extract_ink(written("shadow over it")) > 128, extract_ink(shaded) > 128
    assert (plain & under).sum() / (plain | under).sum() > 0.8


def test_the_line_is_cropped_to_its_ink() -> None:
    line = canonical_line_image(written(), 40)
    assert not line[:MARGIN].any() and not line[-MARGIN:].any()
    assert not line[:, :MARGIN].any() and not line[:, -MARGIN:].any()
    inner = line[MARGIN:-MARGIN, MARGIN:-MARGIN] > INK_SHARE * 255 / 2
    assert all(side.any() for side in (inner[:2], inner[-2:], inner[:, :2], inner[:, -2:]))


@pytest.mark.parametrize("pad", [(0, 40, 0, 40), (30, 0, 60, 5)])
def test_more_paper_around_it_hardly_matters(pad: tuple[int, int, int, int]) -> None:
    page = written()
    wider = cv2.copyMakeBorder(page, *pad, cv2.BORDER_CONSTANT, value=235)
    assert ink_bounds(extract_ink(wider)) == tuple(
        np.add(ink_bounds(extract_ink(page)), (pad[0], pad[0], pad[2], pad[2]))
    )


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 4.0])
def test_a_column_of_the_line_knows_where_it_lay(scale: float) -> None:
    page = np.full((round(60 * scale), round(400 * scale)), 240, np.uint8)
    for left in (50, 200, 340):  # three bars, 20 px wide
        page[round(15 * scale) : round(45 * scale), round(left * scale) : round((left + 20) * scale)] = 20
    found = normalize_line(page, 40)
    inked = np.flatnonzero(found.line.max(axis=0) > 128)
    starts = inked[np.flatnonzero(np.diff(inked, prepend=-9) > 1)]
    said = found.left + starts / found.scale
    assert np.abs(said - np.array([50, 200, 340]) * scale).max() <= max(2.0, 1.5 * scale)


def letters(width: int, *, slope: float = 0.0, bow: float = 0.0, growth: float = 0.0, gap: int = 0) -> GreyImage:
    """Dark strokes on paper along a line that slopes, bows (px at its end and middle) or grows (share at its end)."""
    image = np.full((300, width), 230, np.uint8)
    for x in range(20, width - 20, 12):
        share = x / width
        tall = 30 * (1 + growth * share)
        y = 150 + slope * (share - 0.5) + bow * (1 - (2 * share - 1) ** 2) - bow / 2
        if not abs(x - width / 2) < gap / 2:
            cv2.line(image, (x, round(y - tall / 2)), (x + 3, round(y + tall / 2)), 30, 3)
    return image


@pytest.mark.parametrize(
    "askew", [{"slope": 150}, {"slope": -90}, {"bow": 60}, {"bow": -40}, {"growth": 0.5}, {"slope": 70, "growth": -0.3}]
)
def test_a_long_line_is_brought_level(askew: dict[str, float]) -> None:
    """All along it the strokes fill the height, as those of a short line do."""
    line = canonical_line_image(letters(2400, **askew), 40)
    for part in np.array_split(line, 10, axis=1):
        top, bottom, _, _ = ink_bounds(np.ascontiguousarray(part))
        assert top <= MARGIN + 5 and bottom >= 40 - MARGIN - 5


@pytest.mark.parametrize("askew", [{}, {"slope": 120}])
def test_a_wide_gap_in_a_long_line_changes_nothing_of_its_letters(askew: dict[str, float]) -> None:
    line = canonical_line_image(letters(2400, gap=700, **askew), 40)
    for part in (line[:, :200], line[:, -200:]):
        top, bottom, _, _ = ink_bounds(np.ascontiguousarray(part))
        assert top <= MARGIN + 5 and bottom >= 40 - MARGIN - 5


def test_a_column_of_a_levelled_line_knows_where_it_lay() -> None:
    image = letters(2400, slope=100, gap=400)
    found = normalize_line(image, 40)
    columns = np.flatnonzero(found.line.max(axis=0) > 128)
    k = int(np.argmax(np.diff(columns)))  # the gap
    left, right = (found.left + c / found.scale for c in columns[k : k + 2])
    assert abs(left - 1005) < 10 and abs(right - 1400) < 10


def test_a_level_line_is_only_scaled() -> None:
    image = letters(2400)
    levelled = canonical_line_image(image, 40)
    with mock.patch.object(door, "LONG", 1e9):
        plain = canonical_line_image(image, 40)
    assert levelled.shape == plain.shape
    assert np.abs(levelled.astype(int) - plain.astype(int)).mean() < 6


def test_the_widest_lines_are_levelled_too() -> None:
    """OpenCV remaps 32,767 px at once."""
    image = cv2.resize(letters(17_000, slope=5)[128:172], (33_000, 92))
    line = canonical_line_image(image, 40)
    assert line.shape[1] > WIDTH_LIMIT // 2
    assert np.diff(np.flatnonzero(line.max(axis=0) > 128)).max() < 20  # no stroke is lost where the parts meet


@pytest.mark.parametrize("size", [(100, 300), (WORK_HEIGHT, 200), (28, 56), (10, 33)])
def test_the_whole_frame_keeps_its_proportion(size: tuple[int, int]) -> None:
    found = normalize_line(np.random.default_rng(0).integers(0, 60, size, np.uint8), 28, "whole")
    assert found.line.shape[1] == max(1, round(size[1] * 28 / size[0]))
    assert (found.left, found.scale) == (0.0, 28 / size[0])


def test_a_line_of_the_right_height_is_left_alone() -> None:
    tiles = np.zeros((28, 280), np.uint8)
    cv2.putText(tiles, "plain", (9, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    assert np.array_equal(canonical_line_image(tiles, 28, "whole"), tiles)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_line_far_too_wide_is_refused(normalization: str) -> None:
    endless = np.full((4, 4 * WIDTH_LIMIT), 255, np.uint8)
    endless[1:3, 5:-5:3] = 0
    with pytest.raises(ImageError, match="shorter lines"):
        canonical_line_image(endless, 40, normalization)


def test_an_unknown_frame_is_told_the_choices() -> None:
    with pytest.raises(UserError, match='did you mean "whole"'):
        canonical_line_image(SOME[..., 0], 40, "wole")


# ---------------------------------------------------------------------- batches and files


@pytest.mark.parametrize("multiple", [1, 8, 32])
def test_a_batch_holds_its_lines_and_nothing_else(multiple: int) -> None:
    lines = [np.random.default_rng(k).integers(1, 256, (28, w), np.uint8) for k, w in enumerate((1, 8, 33, 64))]
    batch, widths = padded_batch(lines, multiple)
    assert widths.tolist() == [1, 8, 33, 64]
    assert batch.shape == (4, 28, 64) and batch.shape[2] % multiple == 0
    for row, line, width in zip(batch, lines, widths, strict=True):
        assert np.array_equal(row[:, :width], line) and not row[:, width:].any()
