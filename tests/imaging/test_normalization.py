"""Line normalization: the same ink gives the same normalized line, whatever the polarity, paper, light and slope."""

from __future__ import annotations

from unittest import mock

import cv2
import numpy as np
import pytest

from glyphline.errors import ImageError, UserError
from glyphline.imaging import normalization
from glyphline.imaging.normalization import (
    INK_THRESHOLD,
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
    pad_batch,
    page_has_bright_ink,
)

COLOUR_NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (3, 200), (40, 40), (28, 896), (96, 300), (97, 300), (400, 150), (500, 3)]


def draw_writing(text: str = "Handwritten line", paper: int = 235, ink: int = 30, scale: float = 1.0) -> GreyImage:
    """A page (H, W) with dark writing on bright paper."""
    size, _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, scale, 2)
    page = np.full((round(60 * scale), size[0] + round(40 * scale)), paper, np.uint8)
    cv2.putText(page, text, (round(20 * scale), round(40 * scale)), cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, scale, ink, 2, 16)
    return page


# ---------------------------------------------------------------------- the normalized line


@pytest.mark.parametrize("mode", NORMALIZATIONS)
@pytest.mark.parametrize("height", [28, 40])
@pytest.mark.parametrize("size", SIZES)
def test_any_image_becomes_a_line(size: tuple[int, int], height: int, mode: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, size, np.uint8)
    before = noise.copy()
    line = canonical_line_image(noise, height, mode)
    assert line.shape[0] == height and line.shape[1] >= 1 and line.dtype == np.uint8
    assert np.array_equal(noise, before)
    assert np.array_equal(canonical_line_image(noise, height, mode), line)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_blank_images_have_no_ink(size: tuple[int, int], level: int) -> None:
    blank = np.full(size, level, np.uint8)
    assert not extract_ink(blank).any()
    assert not canonical_line_image(blank, 40).any()


def test_faint_noise_is_not_ink() -> None:
    paper = np.random.default_rng(0).normal(200, 2, (60, 400)).clip(0, 255).astype(np.uint8)
    assert not canonical_line_image(paper, 40).any()


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (235, 30), (200, 120), (130, 20)])
def test_polarity_does_not_matter(paper: int, ink: int) -> None:
    dark = draw_writing(paper=paper, ink=ink)
    assert not ink_is_bright(dark) and ink_is_bright(255 - dark)
    for mode in ("ink", "whole"):
        assert np.array_equal(canonical_line_image(dark, 40, mode), canonical_line_image(255 - dark, 40, mode))


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (200, 90), (120, 30)])
def test_ink_is_near_255_and_paper_is_0(paper: int, ink: int) -> None:
    page = draw_writing(paper=paper, ink=ink)
    extracted = extract_ink(page)
    assert extracted.max() == 255
    assert not extracted[page == paper].any()
    assert extracted[page == ink].min() > 200


def test_shadow_is_not_ink() -> None:
    page = draw_writing("shadow over it").astype(np.float32)
    shaded = (page * np.linspace(1.0, 0.45, page.shape[1])).astype(np.uint8)
    plain_ink, shaded_ink = extract_ink(draw_writing("shadow over it")) > 128, extract_ink(shaded) > 128
    assert (plain_ink & shaded_ink).sum() / (plain_ink | shaded_ink).sum() > 0.8


def test_line_is_cropped_to_its_ink() -> None:
    line = canonical_line_image(draw_writing(), 40)
    assert not line[:MARGIN].any() and not line[-MARGIN:].any()
    assert not line[:, :MARGIN].any() and not line[:, -MARGIN:].any()
    inner = line[MARGIN:-MARGIN, MARGIN:-MARGIN] > INK_THRESHOLD * 255 / 2
    assert all(side.any() for side in (inner[:2], inner[-2:], inner[:, :2], inner[:, -2:]))


@pytest.mark.parametrize("padding", [(0, 40, 0, 40), (30, 0, 60, 5)])
def test_additional_paper_only_moves_the_ink_bounds(padding: tuple[int, int, int, int]) -> None:
    page = draw_writing()
    wider = cv2.copyMakeBorder(page, *padding, cv2.BORDER_CONSTANT, value=235)
    assert ink_bounds(extract_ink(wider)) == tuple(
        np.add(ink_bounds(extract_ink(page)), (padding[0], padding[0], padding[2], padding[2]))
    )


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 4.0])
def test_columns_of_the_line_map_back_to_the_image(scale: float) -> None:
    page = np.full((round(60 * scale), round(400 * scale)), 240, np.uint8)
    for left in (50, 200, 340):  # three bars, 20 px wide
        page[round(15 * scale) : round(45 * scale), round(left * scale) : round((left + 20) * scale)] = 20
    normalized = normalize_line(page, 40)
    ink_columns = np.flatnonzero(normalized.line.max(axis=0) > 128)
    starts = ink_columns[np.flatnonzero(np.diff(ink_columns, prepend=-9) > 1)]
    positions = normalized.left + starts / normalized.scale
    assert np.abs(positions - np.array([50, 200, 340]) * scale).max() <= max(2.0, 1.5 * scale)


def draw_strokes(width: int, *, slope: float = 0.0, bow: float = 0.0, growth: float = 0.0, gap: int = 0) -> GreyImage:
    """Draw dark strokes on paper, (300, width), along a line that slopes, bows or grows.

    slope: px that the line falls from start to end. bow: px that its middle lies below its ends. growth: relative
    increase of the height of the strokes. gap: px without strokes in the middle.
    """
    image = np.full((300, width), 230, np.uint8)
    for x in range(20, width - 20, 12):
        fraction = x / width
        height = 30 * (1 + growth * fraction)
        y = 150 + slope * (fraction - 0.5) + bow * (1 - (2 * fraction - 1) ** 2) - bow / 2
        if not abs(x - width / 2) < gap / 2:
            cv2.line(image, (x, round(y - height / 2)), (x + 3, round(y + height / 2)), 30, 3)
    return image


@pytest.mark.parametrize(
    "distortion",
    [{"slope": 150}, {"slope": -90}, {"bow": 60}, {"bow": -40}, {"growth": 0.5}, {"slope": 70, "growth": -0.3}],
)
def test_long_line_is_levelled(distortion: dict[str, float]) -> None:
    """The strokes fill the height in each tenth of the line, as those of a short line do."""
    line = canonical_line_image(draw_strokes(2400, **distortion), 40)
    for part in np.array_split(line, 10, axis=1):
        top, bottom, _, _ = ink_bounds(np.ascontiguousarray(part))
        assert top <= MARGIN + 5 and bottom >= 40 - MARGIN - 5


@pytest.mark.parametrize("distortion", [{}, {"slope": 120}])
def test_wide_gap_does_not_change_the_height_of_the_letters(distortion: dict[str, float]) -> None:
    line = canonical_line_image(draw_strokes(2400, gap=700, **distortion), 40)
    for part in (line[:, :200], line[:, -200:]):
        top, bottom, _, _ = ink_bounds(np.ascontiguousarray(part))
        assert top <= MARGIN + 5 and bottom >= 40 - MARGIN - 5


def test_columns_of_a_levelled_line_map_back_to_the_image() -> None:
    image = draw_strokes(2400, slope=100, gap=400)
    normalized = normalize_line(image, 40)
    columns = np.flatnonzero(normalized.line.max(axis=0) > 128)
    i = int(np.argmax(np.diff(columns)))  # the gap
    left, right = (normalized.left + c / normalized.scale for c in columns[i : i + 2])
    assert abs(left - 1005) < 10 and abs(right - 1400) < 10


def test_level_line_is_only_scaled() -> None:
    image = draw_strokes(2400)
    levelled = canonical_line_image(image, 40)
    with mock.patch.object(normalization, "LEVEL_ASPECT", 1e9):
        plain = canonical_line_image(image, 40)
    assert levelled.shape == plain.shape
    assert np.abs(levelled.astype(int) - plain.astype(int)).mean() < 6


def test_lines_wider_than_the_limit_of_remap_are_levelled() -> None:
    """OpenCV can remap at most 32,767 px, so a wider line is remapped in spans."""
    image = cv2.resize(draw_strokes(17_000, slope=5)[128:172], (33_000, 92))
    line = canonical_line_image(image, 40)
    assert line.shape[1] > WIDTH_LIMIT // 2
    assert np.diff(np.flatnonzero(line.max(axis=0) > 128)).max() < 20  # no stroke is lost where the spans meet


@pytest.mark.parametrize("size", [(100, 300), (WORK_HEIGHT, 200), (28, 56), (10, 33)])
def test_whole_keeps_the_frame_and_the_aspect_ratio(size: tuple[int, int]) -> None:
    normalized = normalize_line(np.random.default_rng(0).integers(0, 60, size, np.uint8), 28, "whole")
    assert normalized.line.shape[1] == max(1, round(size[1] * 28 / size[0]))
    assert (normalized.left, normalized.scale) == (0.0, 28 / size[0])


def test_whole_does_not_change_a_line_of_the_target_height() -> None:
    tiles = np.zeros((28, 280), np.uint8)
    cv2.putText(tiles, "plain", (9, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    assert np.array_equal(canonical_line_image(tiles, 28, "whole"), tiles)


@pytest.mark.parametrize("mode", NORMALIZATIONS)
def test_line_beyond_the_width_limit_is_refused(mode: str) -> None:
    too_wide = np.full((4, 4 * WIDTH_LIMIT), 255, np.uint8)
    too_wide[1:3, 5:-5:3] = 0
    with pytest.raises(ImageError, match="shorter lines"):
        canonical_line_image(too_wide, 40, mode)


def test_unknown_normalization_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError, match='did you mean "whole"'):
        canonical_line_image(COLOUR_NOISE[..., 0], 40, "wole")


# ---------------------------------------------------------------------- batches


@pytest.mark.parametrize("multiple", [1, 8, 32])
def test_batch_holds_its_lines_padded_with_zeros(multiple: int) -> None:
    lines = [np.random.default_rng(i).integers(1, 256, (28, w), np.uint8) for i, w in enumerate((1, 8, 33, 64))]
    batch, widths = pad_batch(lines, multiple)
    assert widths.tolist() == [1, 8, 33, 64]
    assert batch.shape == (4, 28, 64) and batch.shape[2] % multiple == 0
    for row, line, width in zip(batch, lines, widths, strict=True):
        assert np.array_equal(row[:, :width], line) and not row[:, width:].any()


def test_grey_normalization_keeps_the_picture_as_it_was_photographed() -> None:
    image = np.random.default_rng(0).integers(0, 256, (96, 200, 3), dtype=np.uint8)
    normalized = normalize_line(image, 48, "grey")
    assert normalized.line.shape == (48, 100) and (normalized.left, normalized.scale) == (0.0, 0.5)
    inverted = normalize_line(255 - image, 48, "grey").line
    assert np.abs(normalized.line.astype(int) + inverted - 255).max() <= 2  # neither is turned to bright ink


@pytest.mark.parametrize("bright", [False, True])
@pytest.mark.parametrize("surroundings", [20, 128, 250])
def test_polarity_of_a_page_is_that_of_its_text_whatever_surrounds_the_paper(surroundings: int, bright: bool) -> None:
    page = np.full((700, 1000), 210, np.uint8)
    for k in range(8):
        cv2.putText(page, "a few lines of text", (40, 80 + 70 * k), cv2.FONT_HERSHEY_SIMPLEX, 1.1, 40, 2, cv2.LINE_AA)
    page = 255 - page if bright else page
    photograph = np.full((1000, 1600), surroundings, np.uint8)
    photograph[150:850, 300:1300] = page
    assert page_has_bright_ink(page) == page_has_bright_ink(photograph) == bright
    assert page_has_bright_ink(page[:1, :1]) in (False, True)  # a pixel has no text
