"""Draws the pages of a sheet and writes them as a PDF."""

from __future__ import annotations

import zlib
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from glyphline.composing.label_fonts import LabelFonts
from glyphline.composing.sheet import (
    LABEL_HEIGHT,
    MARK,
    MARK_MARGIN,
    TICK_PITCH,
    X_HEIGHT,
    Sheet,
    Slot,
    embed_definition,
)
from glyphline.imaging.documents import ColourImage
from glyphline.imaging.pdf_objects import PdfObjects, text_string
from glyphline.writing_direction import has_rtl_letters

DPI = 300
MM = DPI / 25.4  # px
#: Colour of boxes and hints: red, so that it vanishes in the red channel of a photograph, and faint where it is
#: printed in grey.
GUIDE = (255, 176, 160)
GUIDE_WIDTH = 0.2  # mm
DASH, GAP = 1.0, 1.0  # mm, of the baseline
LABEL_GAP = 1.9  # mm from the print of a character to its box; a blurred g or j then is no ink on the line of the box
DOT, DOT_GAP = 0.3, 1.7  # mm, of the line at the x-height


@lru_cache(maxsize=1)
def mark_dictionary() -> cv2.aruco.Dictionary:
    """The marks: 1,000 patterns of 5 x 5 cells (Garrido-Jurado et al. 2014)."""
    return cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_1000)


def draw_page(sheet: Sheet, page: int, fonts: LabelFonts) -> ColourImage:
    """Draw a page, from 1, at DPI: uint8 (H, W, 3). Raises AlphabetError for a character that no font draws."""
    slots = sheet.slots_of(page)
    fonts.check("".join(slot.text for slot in slots))
    image = Image.fromarray(draw_guides(sheet, page))
    draw = ImageDraw.Draw(image)
    width, height = sheet.size
    for corner, mark_id in zip(sheet.mark_corners(), sheet.mark_ids(page), strict=True):
        side = round(MARK * MM / 7) * 7  # 5 cells and the border of one cell on either side
        mark = cv2.aruco.generateImageMarker(mark_dictionary(), mark_id, side)
        exact = cv2.resize(mark, (round(MARK * MM), round(MARK * MM)), interpolation=cv2.INTER_NEAREST)
        image.paste(Image.fromarray(exact).convert("RGB"), (round(corner[0, 0] * MM), round(corner[0, 1] * MM)))
    middle = width / 2 * MM
    advice = (
        "Copy each line below its print, in your usual writing."
        if slots[0].is_line
        else "Write each character into its box, on the dashed line, in your usual writing, with a blue or black pen."
    )
    for y, text, size in (
        (MARK_MARGIN + 4, f"glyphline sheet {sheet.identity:05d}", 3.4),
        (MARK_MARGIN + 9, advice, 2.9),
        (height - MARK_MARGIN - 3, f"page {page} of {sheet.page_count}", 3.4),
    ):
        fonts.draw(draw, (middle, y * MM), text, round(size * MM), "ms")
    for slot in slots:
        if slot.is_line:
            x, anchor = (slot.right, "rs") if has_rtl_letters(slot.text) else (slot.left, "ls")
            fonts.draw(draw, (x * MM, (slot.top - 1.8) * MM), slot.text, round(3.6 * MM), anchor)
        else:
            x = (slot.left + slot.right) / 2 * MM
            fonts.draw(draw, (x, (slot.top - LABEL_GAP) * MM), slot.text, round(0.8 * LABEL_HEIGHT * MM), "ms")
    return np.asarray(image, np.uint8)


def draw_guides(sheet: Sheet, page: int) -> ColourImage:
    """Draw only the boxes and hints of a page, from 1, at DPI on white: uint8 (H, W, 3)."""
    width, height = (round(side * MM) for side in sheet.size)
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for slot in sheet.slots_of(page):
        _draw_slot(draw, slot)
    return np.asarray(image, np.uint8)


def _draw_slot(draw: ImageDraw.ImageDraw, slot: Slot) -> None:
    """Draw the outline of a slot, its baseline in dashes and its x-height in dots."""
    half = GUIDE_WIDTH / 2

    def bar(x0: float, y0: float, x1: float, y1: float) -> None:
        draw.rectangle([round(v * MM) for v in (x0, y0)] + [round(v * MM) - 1 for v in (x1, y1)], GUIDE)

    for y in (slot.top, slot.bottom):
        bar(slot.left - half, y - half, slot.right + half, y + half)
    for x in (slot.left, slot.right):
        bar(x - half, slot.top - half, x + half, slot.bottom + half)
    for y, on, off in ((slot.baseline, DASH, GAP), (slot.baseline - X_HEIGHT, DOT, DOT_GAP)):
        for x in np.arange(slot.left + off / 2 + half, slot.right - on, on + off):
            bar(x, y - half, x + on, y + half)
    if slot.is_line:
        for x in np.arange(slot.left + TICK_PITCH, slot.right - TICK_PITCH / 2, TICK_PITCH):
            for y0, y1 in ((slot.top, slot.top + 1.0), (slot.bottom - 1.0, slot.bottom)):
                bar(x - half, y0, x + half, y1)


def guide_mask(sheet: Sheet, page: int, px_per_mm: float) -> npt.NDArray[np.float32]:
    """How dark the boxes and hints of a page are where they should be: float32 (H, W), 0 for paper to 1."""
    full = (255 - draw_guides(sheet, page)[..., 2]).astype(np.float32) / (255 - GUIDE[2])
    size = tuple(round(side * px_per_mm) for side in sheet.size)
    return np.asarray(cv2.resize(full, size, interpolation=cv2.INTER_AREA), np.float32)


def render_sheet(sheet: Sheet, fonts: LabelFonts | None = None) -> bytes:
    """The PDF of a sheet: each page as an image at DPI without loss, and the definition, which `load_sheet` reads.

    Raises AlphabetError with the characters that no font draws.
    """
    fonts = fonts or LabelFonts()
    fonts.check(sheet.characters + "".join(sheet.lines))
    objects = PdfObjects()
    catalog, page_tree = objects.reserve(), objects.reserve()
    kids = []
    points = " ".join(f"{side * 72 / 25.4:.3f}" for side in sheet.size)
    for page in range(1, sheet.page_count + 1):
        pixels = draw_page(sheet, page, fonts)
        image = objects.add_stream(
            zlib.compress(pixels.tobytes(), 6),
            f"/Type /XObject /Subtype /Image /Width {pixels.shape[1]} /Height {pixels.shape[0]}"
            " /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /FlateDecode",
        )
        width, height = points.split()
        content = objects.add_stream(f"q {width} 0 0 {height} 0 0 cm /Image Do Q".encode())
        kids.append(
            objects.add(
                f"<< /Type /Page /Parent {page_tree} 0 R /MediaBox [0 0 {points}]"
                f" /Resources << /XObject << /Image {image} 0 R >> >> /Contents {content} 0 R >>"
            )
        )
    objects.put(catalog, f"<< /Type /Catalog /Pages {page_tree} 0 R >>")
    objects.put(page_tree, f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] >>")
    objects.add_stream(*embed_definition(sheet))
    info = objects.add(f"<< /Title {text_string(f'glyphline sheet {sheet.identity:05d}')} >>")
    return objects.serialize(catalog, info)
