"""Fills a sheet by simulation and photographs it: for tests and for benchmarks/sheets.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.composing.effects import Blur, Effect, Grain, UnevenLight
from glyphline.composing.glyphs import Glyph, GlyphSource, Strokes
from glyphline.composing.label_fonts import LabelFonts
from glyphline.composing.sheet import MARK, X_HEIGHT, Sheet, Slot
from glyphline.composing.sheet_drawing import MM, draw_page
from glyphline.composing.sheet_photos import MASK_LEVEL, RESOLUTION, Cut
from glyphline.imaging.documents import ColourImage, GreyImage

PENS = ((28, 28, 34), (36, 48, 140), (92, 92, 98))  # RGB: black, blue, pencil
THINNEST_PEN = 0.35  # mm; thinner strokes of a font are widened to it
INSIDE = 0.6  # mm from the line of a box that a careful writer keeps
LARGE = 0.9  # x-heights; characters of this height and width are used for planted strays
STRAY = 0.8  # mm over the line, at least, of a planted stray
NEAR, FAR = 1, 5  # px at RESOLUTION: ink is complete within the first, and foreign beyond the second (blur widens it)


@dataclass
class FilledPage:
    """A page as a person left it on the table."""

    image: ColourImage  # (H, W, 3) at DPI
    ink: dict[Slot, GreyImage] = field(default_factory=dict)  # the true ink of each slot, (H, W) of `image`, cropped
    top: dict[Slot, float] = field(default_factory=dict)  # mm of its upper edge above the baseline
    empty: list[Slot] = field(default_factory=list)  # planted
    stray: list[Slot] = field(default_factory=list)  # planted


@dataclass(frozen=True)
class Writer:
    """Whose glyphs are written. Characters that the source lacks are drawn by strokes."""

    source: GlyphSource
    number: int
    split: str

    def glyph(self, character: str, rng: np.random.Generator) -> Glyph:
        source = self.source if self.source.count(character, self.split) else Strokes()
        return source.glyph(character, source.choose(character, self.split, self.number, rng), self.split)


def fill_page(
    sheet: Sheet, page: int, source: GlyphSource, writer: int, rng: np.random.Generator, empty: int = 0, stray: int = 0,
    split: str = "train",
) -> FilledPage:  # fmt: skip
    """Write a page of a sheet in the hand of a writer of a source. Characters that it lacks are drawn by strokes.

    empty, stray: boxes that are left empty, and in which the character crosses the line. split: of the glyphs.
    """
    hand = Writer(source, writer, split)
    slots = sheet.slots_of(page)
    blank = _draw_blank(sheet, page)
    image = blank.astype(np.float32)
    pen = np.array(PENS[int(rng.integers(len(PENS)))], np.float32)
    size = X_HEIGHT * MM * float(rng.uniform(0.8, 1.15))  # px of an x-height
    filled = FilledPage(blank)
    order = [slots[k] for k in rng.permutation(len(slots)) if not slots[k].is_line]
    filled.empty = order[:empty] if not slots[0].is_line else [slots[k] for k in rng.permutation(len(slots))[:empty]]
    glyphs = {slot: hand.glyph(slot.text, rng) for slot in order[empty:]}
    large = [s for s, g in glyphs.items() if g.top > LARGE and g.top * g.ink.shape[1] / g.ink.shape[0] > LARGE]
    filled.stray = large[:stray]
    for slot in slots:
        if slot in filled.empty:
            continue
        ink, top = (_write_line if slot.is_line else _write_character)(slot, hand, size, rng)
        height, width = ink.shape
        x = (slot.left + slot.right) / 2 * MM - width / 2
        if not slot.is_line:
            room = ((slot.right - slot.left) / 2 - INSIDE) * MM - width / 2
            x += float(rng.uniform(-1, 1)) * min(max(0.0, room), 1.5 * MM)
        if slot in filled.stray:
            over = max(width * float(rng.uniform(0.25, 0.45)), STRAY * MM)  # most of it stays in its box
            x = slot.right * MM - width + over if rng.random() < 0.5 else slot.left * MM - over
        x0, y0 = round(x), round(slot.baseline * MM - top)
        window = image[y0 : y0 + height, x0 : x0 + width]
        strength = (ink / 255.0)[..., None]
        window[:] = window * (1 - strength) + np.minimum(window, pen) * strength
        filled.ink[slot], filled.top[slot] = ink, slot.baseline - y0 / MM
    filled.image = image.round().astype(np.uint8)
    return filled


@lru_cache(maxsize=8)
def _draw_blank(sheet: Sheet, page: int) -> ColourImage:
    return draw_page(sheet, page, LabelFonts())


def _scaled(glyph: Glyph, size: float, turn: float = 0.0) -> GreyImage:
    """The ink of a glyph at `size` px an x-height, turned by radians, cropped."""
    height = max(2, round((glyph.top - glyph.bottom) * size))
    width = max(2, round(glyph.ink.shape[1] * height / glyph.ink.shape[0]))
    ink = cv2.resize(glyph.ink, (width, height), interpolation=cv2.INTER_CUBIC)
    border = 3 + int(abs(turn) * max(height, width))
    ink = cv2.copyMakeBorder(ink, border, border, border, border, cv2.BORDER_CONSTANT, value=0)
    if turn:
        matrix = cv2.getRotationMatrix2D((ink.shape[1] / 2, ink.shape[0] / 2), float(np.degrees(turn)), 1.0)
        ink = cv2.warpAffine(ink, matrix, ink.shape[::-1])
    sharp = ((ink.astype(np.float32) - 90) * 3).clip(0, 255).astype(np.uint8)
    thin = THINNEST_PEN * MM - _pen_width(sharp)
    if thin > 0.5:
        side = 1 + round(thin)
        sharp = cv2.dilate(sharp, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    rows, columns = np.flatnonzero(sharp.max(axis=1) > 60), np.flatnonzero(sharp.max(axis=0) > 60)
    return sharp[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _pen_width(ink: GreyImage) -> float:
    """The stroke width of ink, px: twice the area over the length of the outline."""
    values = ink.astype(np.float64) / 255
    outline = np.abs(np.diff(values, axis=0)).sum() + np.abs(np.diff(values, axis=1)).sum()
    return float(2 * values.sum() / max(outline, 1e-6))


def _write_character(slot: Slot, hand: Writer, size: float, rng: np.random.Generator) -> tuple[GreyImage, float]:
    """Ink of a character that fits its box, and its upper edge above the baseline, px."""
    glyph = hand.glyph(slot.text, rng)
    size *= float(np.exp(rng.normal(0, 0.06)))
    above = (slot.baseline - slot.top - INSIDE) * MM
    below = (slot.bottom - slot.baseline - INSIDE) * MM
    across = (slot.right - slot.left - 2 * INSIDE) * MM
    drop = float(rng.normal(0, 0.2)) * MM  # px below the baseline
    size = min(
        size,
        (above + drop) / max(0.05, glyph.top) / 1.06,
        (below - drop) / max(0.05, -glyph.bottom) / 1.06,
        across / max(0.05, (glyph.top - glyph.bottom) * glyph.ink.shape[1] / glyph.ink.shape[0]) / 1.06,
    )
    ink = _scaled(glyph, size, float(rng.normal(0, 0.05)))
    middle = (glyph.top + glyph.bottom) / 2 * size - drop
    top = min(middle + ink.shape[0] / 2, above)
    return ink, max(top, ink.shape[0] - below)


def _write_line(slot: Slot, hand: Writer, size: float, rng: np.random.Generator) -> tuple[GreyImage, float]:
    """Ink of a line of text, and its upper edge above the baseline, px."""
    placed, pen = [], 0.0
    for character in slot.text:
        if character == " ":
            pen += 0.7 * size
            continue
        glyph = hand.glyph(character, rng)
        ink = _scaled(glyph, size)
        left = pen + (glyph.left or 0.0) * size
        placed.append((ink, left, glyph.top * size + float(rng.normal(0, 0.1)) * MM))
        pen = pen + glyph.advance * size if glyph.advance else left + ink.shape[1] + 0.15 * size
    top = max(upper for _, _, upper in placed)
    start = min(left for _, left, _ in placed)
    height = max(round(top - upper) + ink.shape[0] for ink, _, upper in placed)
    width = max(round(left - start) + ink.shape[1] for ink, left, _ in placed)
    line = np.zeros((height, width), np.uint8)
    for ink, left, upper in placed:
        y, x = round(top - upper), round(left - start)
        window = line[y : y + ink.shape[0], x : x + ink.shape[1]]
        np.maximum(window, ink, out=window)
    room = (slot.right - slot.left - 6) * MM
    above, below = ((v - 0.5) * MM for v in (slot.baseline - slot.top, slot.bottom - slot.baseline))
    scale = min(1.0, room / width, above / top, below / max(1.0, height - top))
    if scale < 1:
        line = cv2.resize(line, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return line, top * scale


# ------------------------------------------------------------------------------------------------------------- camera


def photograph(
    page: ColourImage,
    sheet: Sheet,
    rng: np.random.Generator,
    quarter_turns: int = 0,
    hidden_corner: int | None = None,
    density: tuple[float, float] = (7.5, 10.5),
) -> ColourImage:
    """A photograph (H, W, 3) of a page that lies on a table: askew, curled, unevenly lit, blurred, noisy, JPEG.

    quarter_turns: by which the camera was turned. hidden_corner: the corner, 0 to 3, that a thumb covers. density: px a
    mm, from .. to.
    """
    width, height = sheet.size
    px_per_mm = float(rng.uniform(*density))
    margin = np.array([width, height]) * rng.uniform(0.03, 0.1)
    out_w, out_h = (round(float(v)) for v in (np.array([width, height]) + 2 * margin) * px_per_mm)
    square = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    corners = (square + margin + rng.uniform(-0.03, 0.03, (4, 2)) * width) * px_per_mm
    transform = cv2.getPerspectiveTransform(corners.astype(np.float32), square)
    grid_x, grid_y = np.meshgrid(np.arange(0, out_w + 16, 16.0), np.arange(0, out_h + 16, 16.0))
    points = cv2.perspectiveTransform(np.stack([grid_x, grid_y], 2).reshape(1, -1, 2), transform)[0]
    u, v = (points / (width, height) * 2 - 1).T
    bends = np.stack([u**2 - 1, v**2 - 1, u * (u**2 - 1), v * (v**2 - 1), u * (v**2 - 1)], 1)
    displacement = bends @ rng.normal(0, 1, (5, 2))
    inside = (np.abs(u) < 1) & (np.abs(v) < 1)
    displacement *= float(rng.uniform(0.3, 2.0)) / np.abs(displacement[inside]).max()  # mm
    source = ((points + displacement) * MM).astype(np.float32).reshape(*grid_x.shape, 2)
    maps = cv2.resize(source, (source.shape[1] * 16, source.shape[0] * 16), interpolation=cv2.INTER_LINEAR)
    # a pixel of the enlarged map lies half a cell before its grid point
    maps = cv2.warpAffine(maps, np.array([[1, 0, -7.5], [0, 1, -7.5]]), (out_w, out_h), borderMode=cv2.BORDER_REPLICATE)
    table = rng.uniform(60, 170, 3)
    desk = cv2.resize(rng.normal(0, 6, (out_h // 8, out_w // 2)).astype(np.float32), (out_w, out_h))
    on_page = cv2.remap(np.full(page.shape[:2], 255, np.uint8), maps, None, cv2.INTER_LINEAR)[..., None] / 255.0
    paper = page.astype(np.float32) * rng.uniform(0.93, 1.0, 3).astype(np.float32)
    photo = cv2.remap(paper, maps, None, cv2.INTER_LINEAR) * on_page + (table + desk[..., None]) * (1 - on_page)
    if hidden_corner is not None:
        centre = cv2.perspectiveTransform(
            sheet.mark_corners()[hidden_corner].mean(0).reshape(1, 1, 2), np.linalg.inv(transform)
        )[0, 0]
        cv2.circle(photo, tuple(round(float(c)) for c in centre), round(0.75 * MARK * px_per_mm), (205, 160, 140), -1)
    photo = photo.clip(0, 255).astype(np.uint8)
    for effect, x_height in ((UnevenLight(), 40.0), (Blur(), 14.0), (Grain(), 40.0)):
        photo = _apply(effect, photo, rng, x_height)
    photo = _cast_shadow(photo, rng)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(70, 93))]
    photo = cv2.imdecode(cv2.imencode(".jpg", photo, quality)[1], cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.rot90(photo, -quarter_turns))


def _apply(effect: Effect, photo: ColourImage, rng: np.random.Generator, x_height: float) -> ColourImage:
    params = effect.sample(rng, x_height, 0.0)
    if "depth" in params:
        params["depth"] = min(params["depth"], 6.0)  # grey levels of noise: a phone in a room
    return np.stack([effect.apply(np.ascontiguousarray(photo[..., c]), params) for c in range(3)], axis=2)


def _cast_shadow(photo: ColourImage, rng: np.random.Generator) -> ColourImage:
    """The shadow of a hand or a phone: a half-plane, with an edge of a few mm to a few cm."""
    h, w = photo.shape[:2]
    angle, at, soft = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4), rng.uniform(20, 200)
    small_y, small_x = np.mgrid[0:h:8, 0:w:8]
    distance = (small_x - w / 2) * np.cos(angle) + (small_y - h / 2) * np.sin(angle) - at * w
    shade = 1 - float(rng.uniform(0.0, 0.45)) / (1 + np.exp(-(distance / soft).clip(-30, 30)))
    shade = cv2.resize(shade.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR)
    return (photo * shade[..., None]).astype(np.uint8)


# ------------------------------------------------------------------------------------------------------------ measure


def compare(cut: Cut, page: FilledPage) -> tuple[float, float, float]:
    """How well a box was cut: the share of the true ink that is there, the share of foreign ink, the error of its top.

    True ink is there when the cut ink is within NEAR px of it; ink is foreign beyond FAR px from all true ink. The
    error is in mm; positive where the ink was placed too high.
    """
    truth = page.ink[cut.slot]
    scale = RESOLUTION / MM
    size = tuple(max(1, round(side * scale)) for side in truth.shape[::-1])
    reach = 12 + max(cut.ink.shape)
    true_ink = np.pad(cv2.resize(truth, size, interpolation=cv2.INTER_AREA), reach) > 127
    found: npt.NDArray[np.bool_] = cut.ink > MASK_LEVEL
    scores = cv2.matchTemplate(true_ink.astype(np.float32), found.astype(np.float32), cv2.TM_CCORR)
    _, _, _, (x, y) = cv2.minMaxLoc(scores)
    placed = np.zeros_like(true_ink)
    placed[y : y + found.shape[0], x : x + found.shape[1]] = found

    def grow(mask: npt.NDArray[np.bool_], radius: int) -> npt.NDArray[np.bool_]:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        return cv2.dilate(mask.astype(np.uint8), kernel) > 0

    complete = float((true_ink & grow(placed, NEAR)).sum() / max(1, true_ink.sum()))
    foreign = float((placed & ~grow(true_ink, FAR)).sum() / max(1, placed.sum()))
    return complete, foreign, cut.top - page.top[cut.slot]
