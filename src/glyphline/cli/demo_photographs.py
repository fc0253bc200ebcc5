"""The photographs of the demo, drawn by code: a street sign, a shop sign and a receipt on a table.

They have what makes photographs hard: perspective, shadow, texture, blur and noise. The font is Pillow's own (Aileron,
CC0). Each image is a function of nothing, so it is the same everywhere with the same versions of Pillow and OpenCV.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from glyphline.imaging.documents import ColourImage

Colour = tuple[int, int, int]
Pixels = npt.NDArray[np.float32]  # (H, W, 3) or (H, W, 1), 0..255
SIZE = (720, 520)  # width and height of a photograph, px


class DemoPhotograph(NamedTuple):
    """A photograph that was drawn, and the text on it."""

    name: str
    image: ColourImage
    truth: str  # its lines in reading order; the cells of a row with a tab between them


class TextLine(NamedTuple):
    """A line of text on a plate."""

    x: float  # px of the plate, of its left end, or of its middle or right end as `anchor` says
    y: float  # px of the plate, of its middle
    text: str
    size: int  # px
    anchor: str = "mm"  # Pillow's text anchor


def draw_photographs() -> list[DemoPhotograph]:
    """The photographs of the demo, the same at every call."""
    return [_street_sign(), _shop_sign(), _receipt()]


def _street_sign() -> DemoPhotograph:
    rng = np.random.default_rng(1)
    wall = _bricks(rng)
    lines = [TextLine(320, 80, "HARBOUR STREET", 62), TextLine(320, 170, "Boats to the islands 9:30 to 18:00", 34)]
    plate = _plate((640, 230), (28, 74, 122), (245, 245, 240), lines, border=8)
    photo = _place(wall, plate, [(92, 150), (640, 96), (622, 330), (104, 330)])
    shade = _diagonal_shadow(0.6, 260, -0.7)
    return DemoPhotograph("street sign", _expose(photo * shade, rng), _text_of(lines))


def _shop_sign() -> DemoPhotograph:
    rng = np.random.default_rng(2)
    wall = _plaster(rng, (176, 158, 132))
    lines = [TextLine(250, 75, "Fresh Bread", 74), TextLine(250, 165, "and coffee every morning", 34),
             TextLine(250, 240, "OPEN FROM 7", 46)]  # fmt: skip
    plate = _plate((500, 300), (58, 44, 34), (240, 222, 180), lines, border=4)
    plate[..., :3] *= _grain(rng, (300, 500), along=60)[..., None]
    photo = _place(wall, plate, [(150, 90), (598, 140), (580, 420), (128, 452)])
    return DemoPhotograph("shop sign", _expose(photo * _diagonal_shadow(0.55, 480, 0.9), rng), _text_of(lines))


def _receipt() -> DemoPhotograph:
    rng = np.random.default_rng(3)
    table = np.array([104, 72, 46], np.float32) * _grain(rng, SIZE[::-1], along=180)[..., None]
    rows = [("Bread", "1", "3.20"), ("Coffee", "2", "5.80"), ("Apple cake", "1", "4.10"), ("Total", "", "13.10")]
    lines = [TextLine(180, 45, "Corner Bakery", 34)]
    for k, row in enumerate(rows):
        y = 120 + 46 * k + 16 * (row[0] == "Total")
        places = ((30, "lm"), (225, "mm"), (335, "rm"))
        lines += [TextLine(x, y, cell, 26, anchor) for (x, anchor), cell in zip(places, row, strict=True)]
    lines.append(TextLine(180, 350, "Thank you", 26))
    plate = _plate((360, 390), (250, 248, 240), (40, 40, 44), lines)
    photo = _place(table, plate, [(196, 52), (520, 38), (548, 470), (182, 482)])
    truth = "\n".join([lines[0].text, *map("\t".join, rows), lines[-1].text])
    return DemoPhotograph("receipt", _expose(photo * _diagonal_shadow(0.7, 380, 0.4), rng), truth)


def _text_of(lines: list[TextLine]) -> str:
    return "\n".join(line.text for line in lines)


def _plate(
    size: tuple[int, int], paper: Colour, ink: Colour, lines: list[TextLine], border: int = 0
) -> npt.NDArray[np.float32]:
    """A plate (H, W, 4) with text; the last channel is 1. size: width and height, px. border: px of its frame."""
    image = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(image)
    if border:
        draw.rectangle((10, 10, size[0] - 11, size[1] - 11), outline=ink, width=border)
    for line in lines:
        draw.text((line.x, line.y), line.text, fill=ink, font=ImageFont.load_default(line.size), anchor=line.anchor)
    pixels = np.asarray(image, np.float32)
    return np.concatenate([pixels, np.ones((*pixels.shape[:2], 1), np.float32)], axis=2)


def _place(background: Pixels, plate: npt.NDArray[np.float32], corners: list[tuple[int, int]]) -> Pixels:
    """The background with the plate at four corners, px, from its upper left clockwise, and the plate's soft shadow."""
    h, w = plate.shape[:2]
    source = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32)
    transform = cv2.getPerspectiveTransform(source, np.array(corners, np.float32))
    warped = cv2.warpPerspective(plate, transform, SIZE, flags=cv2.INTER_AREA)
    alpha = warped[..., 3:]
    shadow = cv2.GaussianBlur(np.roll(alpha[..., 0], (9, 7), (0, 1)), (0, 0), 7)[..., None]
    return np.asarray(background * (1 - 0.6 * shadow * (1 - alpha)) * (1 - alpha) + warped[..., :3], np.float32)


def _noise(rng: np.random.Generator, shape: tuple[int, int], sigma: tuple[float, float]) -> npt.NDArray[np.float32]:
    """Smooth noise (H, W) with standard deviation 1. sigma: px across and down."""
    noise = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])
    return np.asarray(noise / noise.std(), np.float32)


def _grain(rng: np.random.Generator, shape: tuple[int, int], along: float) -> npt.NDArray[np.float32]:
    """The grain of wood (H, W), factors around 1. along: px that it is correlated from left to right."""
    return np.asarray((1 + 0.1 * _noise(rng, shape, (along, 1.2)) + 0.05 * _noise(rng, shape, (along, 6))), np.float32)


def _plaster(rng: np.random.Generator, colour: Colour) -> Pixels:
    shape = SIZE[::-1]
    texture = 1 + 0.05 * _noise(rng, shape, (1.5, 1.5)) + 0.06 * _noise(rng, shape, (30, 30))
    return np.asarray(np.array(colour) * texture[..., None], np.float32)


def _bricks(rng: np.random.Generator) -> Pixels:
    """A wall of bricks with mortar between them."""
    wall = _plaster(rng, (168, 160, 150))
    for row, y in enumerate(range(0, SIZE[1], 36)):
        for x in range(-96 + 48 * (row % 2), SIZE[0], 96):
            shade = rng.normal(1, 0.08)
            wall[y + 4 : y + 36, max(0, x + 5) : x + 96] *= np.array([0.86, 0.52, 0.42], np.float32) * shade
    return np.asarray(cv2.GaussianBlur(wall, (0, 0), 1.2), np.float32)


def _diagonal_shadow(darkness: float, x: float, slope: float) -> npt.NDArray[np.float32]:
    """The light (H, W, 1) at the soft edge of a shadow. darkness: light in it, 0..1. x: px of the edge at the top."""
    columns, rows = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    light = 1 / (1 + np.exp(-(columns - x - slope * rows) / 14))
    return np.asarray((darkness + (1 - darkness) * light)[..., None], np.float32)


def _expose(photo: Pixels, rng: np.random.Generator) -> ColourImage:
    """The photograph as a camera gives it: a little blurred and noisy, darker at the corners."""
    columns, rows = np.meshgrid(np.linspace(-1, 1, SIZE[0]), np.linspace(-1, 1, SIZE[1]))
    vignette = 1 - 0.18 * (columns**2 + rows**2)[..., None]
    noisy = cv2.GaussianBlur(photo, (0, 0), 0.7) * vignette + rng.normal(0, 4, (*SIZE[::-1], 1))
    return np.asarray(noisy.clip(0, 255), np.uint8)
