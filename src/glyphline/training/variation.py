"""Random changes of the image of a labelled line, as the same hand could have written it another time.

A few labelled lines are seen many times in a training. Without changes a network learns the images by heart.
"""

from __future__ import annotations

import cv2
import numpy as np

# at strength 1: the largest change, or the standard deviation, of
WIDTH, HEIGHT = 0.2, 0.08  # scale of the width and of the height, a share
SLANT = 0.25  # px a px of height
SHIFT = 0.04  # vertical, in line heights
WAVE, WAVE_STEP = 0.02, 0.75  # elastic displacement and the distance of its nodes, in line heights
STROKE = 0.6  # share of the image with thinner or thicker strokes in the result
BLUR = 0.025  # sigma, in line heights
NOISE = 8.0  # sigma, grey values


def vary(image: np.ndarray, number: int, strength: float = 1.0) -> np.ndarray:
    """Change the image of a line: width, height, slant, position, elastic shape, stroke width, blur and noise.

    image: uint8 (H, W) or (H, W, 3), dark on bright or bright on dark; it is not modified. number: 0 or more; the
    change is a function of it. strength: 0 for none, 1 for the full changes. Returns uint8 of the same height; the
    width is another one. What comes in at the edges repeats the edges.
    """
    if strength == 0:
        return image
    rng = np.random.default_rng(number)
    height, width = image.shape[:2]
    scale_x = np.exp(strength * rng.uniform(-WIDTH, WIDTH))
    scale_y = np.exp(strength * rng.uniform(-HEIGHT, HEIGHT))
    slant = strength * rng.uniform(-SLANT, SLANT)
    shift = strength * rng.uniform(-SHIFT, SHIFT) * height
    new_width = max(1, round(width * scale_x + abs(slant) * height))
    y, x = np.mgrid[:height, :new_width].astype(np.float32)
    middle = (height - 1) / 2
    source_y = (y - middle - shift) / scale_y + middle
    source_x = (x - (new_width - 1) / 2 + slant * (y - middle)) / scale_x + (width - 1) / 2
    nodes = round(1 / WAVE_STEP) + 1, round(new_width / (WAVE_STEP * height)) + 2
    waves = rng.normal(0, strength * WAVE * height, (2, *nodes)).astype(np.float32)
    wave_y, wave_x = (cv2.resize(wave, (new_width, height), interpolation=cv2.INTER_CUBIC) for wave in waves)
    maps = (source_x + wave_x).astype(np.float32), (source_y + wave_y).astype(np.float32)
    changed = cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    kernel = np.ones((3, 3), np.uint8)
    stroke = cv2.erode(changed, kernel) if rng.random() < 0.5 else cv2.dilate(changed, kernel)
    # a pixel of a small image is more of a stroke
    share = min(1.0, strength * STROKE * rng.random() * (height / 48))
    changed = cv2.addWeighted(stroke, share, changed, 1 - share, 0)
    sigma = strength * BLUR * rng.random() * height
    if sigma > 0.3:
        changed = cv2.GaussianBlur(changed, (0, 0), sigma)
    noise = rng.normal(0, strength * NOISE * rng.random(), changed.shape)
    result: np.ndarray = np.clip(changed + noise, 0, 255).astype(np.uint8)
    return result
