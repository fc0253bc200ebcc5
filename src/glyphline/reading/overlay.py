"""A page and what was read of it, as one image: to see at a glance what was found, in which order, and how surely."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from glyphline.imaging.documents import ColourImage, GreyImage
from glyphline.page import Line, Page, Polygon
from glyphline.reading.formats.complete import complete, corners_of

#: least confidence -> colour of the lines that reach it, the first that fits
COLOURS = ((0.9, (0, 130, 60)), (0.7, (200, 120, 0)), (0.0, (205, 20, 40)))
UNREAD = (120, 120, 120)
SURROUND = 2.0  # the panel of the text stands beside the image, or below one this many times as wide as it is tall
#: fonts of many scripts that a system may have, the widest first; Pillow's own knows little more than English
FONTS = ("NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "msyh.ttc", "DejaVuSans.ttf", "arial.ttf")
LETTERS = 48  # px; texts are drawn in this size, then shrunk or grown to the place of their line
TEXT = 0.9  # share of a line's height that its text takes


def overlay(image: ColourImage, page: Page) -> ColourImage:
    """The image (H, W, 3), its lines outlined and numbered; beside or below it their texts, each in its place.

    Green, amber and red lines are likely, less likely and hardly right; those rejected are grey and dashed.
    """
    height, width = image.shape[:2]
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    panel = np.full_like(image, 255)
    thick = max(1, round(min(height, width) / 300))
    whole = complete(page)
    for line in whole.lines:
        _outline(pen, line, thick)
        if line.text:
            _write(panel, line)
    for number, line in enumerate(whole.lines, 1):  # on top of all outlines
        _number(pen, number, line, canvas.size)
    return np.concatenate([np.asarray(canvas), panel], axis=0 if width > SURROUND * height else 1)


def _colour(line: Line) -> tuple[int, int, int]:
    if line.rejected:
        return UNREAD
    return next(colour for least, colour in COLOURS if line.confidence >= least)


def _outline(pen: ImageDraw.ImageDraw, line: Line, thick: int) -> None:
    corners = np.array(line.polygon + line.polygon[:1])
    if not line.rejected:
        pen.line([tuple(c) for c in corners.tolist()], fill=_colour(line), width=thick)
        return
    for start, end in pairwise(corners):
        dashes = max(1, round(float(np.hypot(*(end - start))) / (8 * thick)))
        for k in range(0, dashes, 2):
            ends = [tuple(start + (end - start) * share / dashes) for share in (k, k + 1)]
            pen.line(ends, fill=_colour(line), width=thick)


def _number(pen: ImageDraw.ImageDraw, number: int, line: Line, size: tuple[int, int]) -> None:
    """The number of a line, left of where it begins if there is room."""
    font = ImageFont.load_default(max(10, min(40, round(0.5 * _tall(line.polygon)))))
    (x, y), said = corners_of(line.polygon)[0], f" {number} "
    _, _, wide, tall = map(int, font.getbbox(said))
    left = min(max(0, round(x) - wide), size[0] - wide)
    top = min(max(0, round(y)), size[1] - tall - 2)
    pen.rectangle((left, top, left + wide, top + tall + 2), fill=_colour(line))
    pen.text((left, top), said, fill="white", font=font)


def _tall(polygon: Polygon) -> float:
    upper_left, _, _, lower_left = np.array(corners_of(polygon))
    return float(np.hypot(*(lower_left - upper_left)))


def _write(panel: ColourImage, line: Line) -> None:
    """Write the text of a line where it stands, no wider than the line."""
    corners = np.array(corners_of(line.polygon), np.float64)
    wide, tall = float(np.hypot(*(corners[1] - corners[0]))), _tall(line.polygon)
    if wide < 1 or tall < 1:
        return
    ink = _ink(line.text)
    taken = min(1.0, TEXT * tall / ink.shape[0] * ink.shape[1] / wide)  # share of the line's width
    rows = (1 - min(TEXT, taken * wide / ink.shape[1] * ink.shape[0] / tall)) / 2  # share left above and below
    down = corners[3] - corners[0], corners[2] - corners[1]
    upper = corners[0] + rows * down[0], corners[1] + rows * down[1]
    lower = corners[3] - rows * down[0], corners[2] - rows * down[1]
    target = [upper[0], upper[0] + taken * (upper[1] - upper[0]), lower[0] + taken * (lower[1] - lower[0]), lower[0]]
    _lay(panel, ink, np.array(target), _colour(line))


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    for name in FONTS:
        try:
            return ImageFont.truetype(name, LETTERS)
        except OSError:
            continue
    return ImageFont.load_default(LETTERS)


def _ink(text: str) -> GreyImage:
    """A text in black and white (h, w), ink bright; characters that the font does not know are boxes."""
    font = _font()
    left, _, right, _ = map(int, font.getbbox(text))
    _, _, _, tall = map(int, font.getbbox("Éÿ" + text))
    sheet = Image.new("L", (max(1, right - min(0, left)), tall + 2))
    ImageDraw.Draw(sheet).text((max(0, -left), 0), text, fill=255, font=font)
    return np.asarray(sheet)


def _lay(panel: ColourImage, ink: GreyImage, corners: npt.NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    """Lay ink (h, w) between four corners of a panel (H, W, 3)."""
    low = np.floor(corners.min(0)).astype(int).clip(0)
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, panel.shape[1::-1])
    shrunk = float(np.hypot(*(corners[1] - corners[0]))) / ink.shape[1]
    if shrunk < 0.75:  # by whole areas, so that no stroke falls through
        size = (max(1, round(ink.shape[1] * shrunk)), max(1, round(ink.shape[0] * shrunk)))
        ink = np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA), np.uint8)
    h, w = ink.shape
    turn = cv2.getPerspectiveTransform(
        np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32), (corners - low).astype(np.float32)
    )
    part = panel[low[1] : high[1], low[0] : high[0]]
    share = cv2.warpPerspective(ink, turn, part.shape[1::-1])[..., None] / 255.0
    part[:] = (part * (1 - share) + np.array(colour) * share).astype(np.uint8)
