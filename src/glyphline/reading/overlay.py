"""Draws recognized lines on the image of a page: their outlines, reading order, confidences and texts."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from glyphline.imaging.documents import ColourImage, GreyImage
from glyphline.page import Line, Page, Polygon
from glyphline.reading.formats.complete import complete_page, corners_of

#: (minimum confidence, colour) of a line; the first row that a line reaches applies
CONFIDENCE_COLOURS = ((0.9, (0, 130, 60)), (0.7, (200, 120, 0)), (0.0, (205, 20, 40)))
REJECTED_COLOUR = (120, 120, 120)
STACK_ASPECT_RATIO = 2.0  # width / height of an image above which the text panel stands below it, not beside it
#: fonts that a system may have, those with the most scripts first; Pillow's own font has little more than English
FONT_FILES = ("NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "msyh.ttc", "DejaVuSans.ttf", "arial.ttf")
FONT_SIZE = 48  # px at which a text is rendered before it is scaled to its line
TEXT_HEIGHT = 0.9  # share of a line's height that its text takes


def draw_overlay(image: ColourImage, page: Page) -> ColourImage:
    """Draw the lines of a page, outlined and numbered in reading order, and a white panel with their texts.

    image: (H, W, 3), uint8, the page as in its file; it is not changed. Returns (H, 2 W, 3), or (2 H, W, 3) for images
    wider than STACK_ASPECT_RATIO heights. In the panel each text stands where its line is in the image. The colours are
    green for a confidence from 0.9, amber from 0.7, red below. Rejected lines are grey and dashed, and have no text.
    """
    height, width = image.shape[:2]
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    panel = np.full_like(image, 255)
    stroke_width = max(1, round(min(height, width) / 300))
    completed = complete_page(page)
    for line in completed.lines:
        _draw_outline(draw, line, stroke_width)
        if line.text:
            _draw_text(panel, line)
    for number, line in enumerate(completed.lines, 1):  # after all outlines, so that none covers a number
        _draw_number(draw, number, line, canvas.size)
    return np.concatenate([np.asarray(canvas), panel], axis=0 if width > STACK_ASPECT_RATIO * height else 1)


def _line_colour(line: Line) -> tuple[int, int, int]:
    if line.rejected:
        return REJECTED_COLOUR
    return next(colour for threshold, colour in CONFIDENCE_COLOURS if line.confidence >= threshold)


def _draw_outline(draw: ImageDraw.ImageDraw, line: Line, stroke_width: int) -> None:
    corners = np.array(line.polygon + line.polygon[:1])
    if not line.rejected:
        draw.line([tuple(corner) for corner in corners.tolist()], fill=_line_colour(line), width=stroke_width)
        return
    for start, end in pairwise(corners):
        segments = max(1, round(float(np.hypot(*(end - start))) / (8 * stroke_width)))
        for k in range(0, segments, 2):
            dash = [tuple(start + (end - start) * index / segments) for index in (k, k + 1)]
            draw.line(dash, fill=_line_colour(line), width=stroke_width)


def _draw_number(draw: ImageDraw.ImageDraw, number: int, line: Line, image_size: tuple[int, int]) -> None:
    """Draw the number of a line to the left of its start, inside the image. `image_size`: width and height."""
    font = ImageFont.load_default(max(10, min(40, round(0.5 * _text_height(line.polygon)))))
    (x, y), label = corners_of(line.polygon)[0], f" {number} "
    _, _, width, height = map(int, font.getbbox(label))
    left = min(max(0, round(x) - width), image_size[0] - width)
    top = min(max(0, round(y)), image_size[1] - height - 2)
    draw.rectangle((left, top, left + width, top + height + 2), fill=_line_colour(line))
    draw.text((left, top), label, fill="white", font=font)


def _text_height(polygon: Polygon) -> float:
    upper_left, _, _, lower_left = np.array(corners_of(polygon))
    return float(np.hypot(*(lower_left - upper_left)))


def _draw_text(panel: ColourImage, line: Line) -> None:
    """Draw the text of a line into its quadrilateral, from its start, no wider than the line."""
    corners = np.array(corners_of(line.polygon), np.float64)
    width, height = float(np.hypot(*(corners[1] - corners[0]))), _text_height(line.polygon)
    if width < 1 or height < 1:
        return
    ink = _render_text(line.text)
    width_share = min(1.0, TEXT_HEIGHT * height / ink.shape[0] * ink.shape[1] / width)
    height_share = min(TEXT_HEIGHT, width_share * width / ink.shape[1] * ink.shape[0] / height)
    margin = (1 - height_share) / 2  # share of the line's height above and below the text
    down = corners[3] - corners[0], corners[2] - corners[1]
    upper = corners[0] + margin * down[0], corners[1] + margin * down[1]
    lower = corners[3] - margin * down[0], corners[2] - margin * down[1]
    upper_right = upper[0] + width_share * (upper[1] - upper[0])
    lower_right = lower[0] + width_share * (lower[1] - lower[0])
    _warp_ink(panel, ink, np.array([upper[0], upper_right, lower_right, lower[0]]), _line_colour(line))


@lru_cache(maxsize=1)
def _load_font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    for file in FONT_FILES:
        try:
            return ImageFont.truetype(file, FONT_SIZE)
        except OSError:
            continue
    return ImageFont.load_default(FONT_SIZE)


def _render_text(text: str) -> GreyImage:
    """Render a text as white on black (h, w); characters that the font lacks become boxes."""
    font = _load_font()
    left, _, right, _ = map(int, font.getbbox(text))
    _, _, _, height = map(int, font.getbbox("Éÿ" + text))
    ink = Image.new("L", (max(1, right - min(0, left)), height + 2))
    ImageDraw.Draw(ink).text((max(0, -left), 0), text, fill=255, font=font)
    return np.asarray(ink)


def _warp_ink(
    panel: ColourImage, ink: GreyImage, corners: npt.NDArray[np.float64], colour: tuple[int, int, int]
) -> None:
    """Blend ink (h, w) into the quadrilateral `corners` (4, 2) of a panel (H, W, 3), in place."""
    low = np.floor(corners.min(0)).astype(int).clip(0)
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, panel.shape[1::-1])
    scale = float(np.hypot(*(corners[1] - corners[0]))) / ink.shape[1]
    if scale < 0.75:  # shrunk by area averaging first, because a perspective warp would skip thin strokes
        size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
        ink = np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA), np.uint8)
    h, w = ink.shape
    transform = cv2.getPerspectiveTransform(
        np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32), (corners - low).astype(np.float32)
    )
    window = panel[low[1] : high[1], low[0] : high[0]]
    alpha = cv2.warpPerspective(ink, transform, window.shape[1::-1])[..., None] / 255.0
    window[:] = (window * (1 - alpha) + np.array(colour) * alpha).astype(np.uint8)
