"""Draws examples/sign.jpg: a sign on a wall, seen from the side. `make app-demo` opens the app with it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

#: text, font size in px, distance to the line before in px
ROWS = (
    ("HARBOUR MUSEUM", 92, 0), ("Open daily 10 am to 5 pm", 58, 56), ("Closed on Mondays", 58, 22),
    ("Tickets at the front desk", 44, 58), ("Please do not touch the ropes", 44, 20),
)  # fmt: skip


def draw_sign() -> Image.Image:
    """The sign as an RGB image of 1280 x 960 px. It is the same at every call."""
    sign = Image.new("RGB", (1000, 640), (19, 62, 92))
    draw = ImageDraw.Draw(sign)
    draw.rounded_rectangle((14, 14, 985, 625), 26, outline=(240, 236, 222), width=6)
    y = 62
    for text, size, gap in ROWS:
        y += gap
        font = ImageFont.load_default(size)
        draw.text((70, y), text, (246, 243, 232), font)
        y += size
    draw.line((70, 178, 930, 178), (226, 170, 80), 7)

    rng = np.random.default_rng(0)
    wall = np.linspace(206, 158, 1280)[None, :, None] * np.ones((960, 1, 3)) * (1.0, 0.96, 0.89)
    wall += cv2.GaussianBlur(rng.normal(0, 60, (960, 1280, 1)), (0, 0), 3)[..., None]
    corners = np.array([(0, 0), (1000, 0), (1000, 640), (0, 640)], np.float32)
    places = np.array([(150, 178), (1120, 118), (1136, 838), (140, 786)], np.float32)
    transform = cv2.getPerspectiveTransform(corners, places)
    size = (1280, 960)
    mask = cv2.warpPerspective(np.ones((640, 1000), np.float32), transform, size, flags=cv2.INTER_AREA)
    shadow = cv2.GaussianBlur(np.roll(mask, (16, 14), (0, 1)), (0, 0), 14)[..., None]
    scene = wall * (1 - 0.45 * shadow)
    warped = cv2.warpPerspective(np.asarray(sign, np.float32), transform, size, flags=cv2.INTER_LINEAR)
    scene = scene * (1 - mask[..., None]) + warped * np.linspace(1.06, 0.9, 1280)[None, :, None]
    scene += rng.normal(0, 2.5, scene.shape)
    return Image.fromarray(cv2.GaussianBlur(scene.clip(0, 255).astype(np.uint8), (0, 0), 0.8))


if __name__ == "__main__":
    draw_sign().save(Path(__file__).with_name("sign.jpg"), quality=82)
