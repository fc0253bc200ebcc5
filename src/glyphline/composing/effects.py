"""FAMILY: what pen, paper and camera do to a line.

Contract: an effect samples every random number into a plain dict, then applies it as a pure function. To add one:
subclass Effect and add a row to EFFECTS at the bottom; recipes name it with the share of lines it visits.
Stage "ink" sees the ink, bright on 0, before it meets paper; stage "photo" sees the grey image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.errors import RecipeError, nearest

GreyImage = npt.NDArray[np.uint8]  # (H, W)
Params = dict[str, Any]  # plain numbers, so that a record can be written as JSON


class Effect(ABC):
    """One thing that happens to a line; `x` is its x-height, `baseline` where it stands, px from the top."""

    stage: ClassVar[str] = "photo"
    help: ClassVar[str] = ""

    @abstractmethod
    def sample(self, rng: np.random.Generator, x: float, baseline: float) -> Params:
        """Every random number of one visit."""

    @abstractmethod
    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        """The image after it; the input is not changed. The same arguments give the same image."""


@lru_cache(maxsize=1)
def _grain() -> npt.NDArray[np.int8]:
    """A fixed field of Gaussian noise, (512, 2048), sigma 32; a visit takes a window of it."""
    return np.random.default_rng(1).normal(0, 32, (512, 2048)).clip(-127, 127).astype(np.int8)


def _window(shape: tuple[int, ...], y: int, x: int) -> npt.NDArray[np.int8]:
    """A (H, W) window of the grain that starts at (y, x) and wraps around."""
    grain = _grain()
    rows, columns = np.arange(y, y + shape[0]) % grain.shape[0], np.arange(x, x + shape[1]) % grain.shape[1]
    return grain[rows[:, None], columns]


def _origin(rng: np.random.Generator) -> Params:
    return {"y": int(rng.integers(512)), "x": int(rng.integers(2048))}


class Pen(Effect):
    """Thinner or thicker strokes with softer or harder edges: a blurred level set of the ink."""

    stage = "ink"
    help = "stroke width and edge, from pencil to marker"

    def sample(self, rng: np.random.Generator, x: float, baseline: float) -> Params:
        return {
            "reach": float(rng.uniform(0.03, 0.09) * x),  # px, sigma of the blur
            "level": float(rng.uniform(0.18, 0.6)),  # of full ink; lower is thicker
            "edge": float(rng.uniform(0.15, 0.5)),  # width of the ramp around the level
        }

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        soft = cv2.GaussianBlur(image, (0, 0), params["reach"])
        ramp = (np.arange(256) / 255.0 - params["level"]) / params["edge"] + 0.5
        return cv2.LUT(soft, (ramp.clip(0, 1) * 255).astype(np.uint8))


class Dry(Effect):
    """Ink that covers unevenly: pencil on rough paper, a dry pen."""

    stage = "ink"
    help = "uneven ink of pencils and dry pens"

    def sample(self, rng: np.random.Generator, x: float, baseline: float) -> Params:
        return {**_origin(rng), "depth": float(rng.uniform(0.3, 1.6)), "size": float(rng.uniform(0.5, 1.5))}

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        noise = _window(image.shape, params["y"], params["x"]).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), params["size"]) * (params["size"] * 2)
        return (image * (1 - (noise * (params["depth"] / 128)).clip(0, 0.8))).astype(np.uint8)


class Light(Effect):
    """Uneven light: a slanting gradient and a soft shadow's edge."""

    help = "gradients and shadows over the paper"

    def sample(self, rng: np.random.Generator, x: float, baseline: float) -> Params:
        return {
            "corners": [float(v) for v in rng.uniform(0.55, 1.0, 6)],  # brightness at 2 x 3 places
            "shadow": float(rng.uniform(0.5, 0.9)) if rng.random() < 0.3 else 1.0,
            "at": float(rng.uniform(0.1, 0.9)),  # of the width
        }

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        h, w = image.shape
        field = np.rint(np.array(params["corners"]).reshape(2, 3) * 255).astype(np.uint8)
        light = cv2.resize(field, (w, h), interpolation=cv2.INTER_LINEAR)
        if params["shadow"] < 1:
            edge = np.arange(w) - params["at"] * w
            shade = 255 * (1 - (1 - params["shadow"]) / (1 + np.exp(-edge / (0.3 * h))))
            light = cv2.multiply(light, np.tile(shade.astype(np.uint8), (h, 1)), scale=1 / 255)
        return cv2.multiply(image, light, scale=1 / 255)


class Ruled(Effect):
    """Ruled or squared paper: lines fainter than the ink, one of them often near the baseline."""

    help = "ruled and squared paper"

    def sample(self, rng: np.random.Generator, x: float, baseline: float) -> Params:
        pitch = float(rng.uniform(2.2, 4.5) * x)
        squared = bool(rng.random() < 0.35)
        pitch *= 0.45 if squared else 1.0
        below = float(rng.normal(0.06, 0.08) * x)  # people write on the line, or a little above it
        return {
            "pitch": pitch,
            "phase": (baseline + below) / pitch % 1.0 if rng.random() < 0.6 else float(rng.uniform(0, 1)),
            "squared": squared,
            "slope": float(rng.normal(0, 0.004)),
            "thick": float(rng.uniform(0.6, 2.2)),
            "strength": float(rng.uniform(0.06, 0.8)),
        }

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        h, w = image.shape
        mask = np.zeros((h, w), np.uint8)
        pitch, shift = params["pitch"], 4
        thick, slope = max(1, round(params["thick"])), params["slope"]
        for k in range(int(h / pitch) + 3):
            y = (k - 1 + params["phase"]) * pitch
            ends = [(0, y), (w, y + slope * w)]
            p, q = (tuple(round(v * (1 << shift)) for v in end) for end in ends)
            cv2.line(mask, p, q, 255, thick, cv2.LINE_AA, shift)
        if params["squared"]:
            for k in range(int(w / pitch) + 2):
                x = round((k + params["phase"]) * pitch)
                cv2.line(mask, (x, 0), (round(x - slope * h), h), 255, thick, cv2.LINE_AA)
        keep = cv2.convertScaleAbs(mask, alpha=-params["strength"], beta=255)
        return cv2.multiply(image, keep, scale=1 / 255)


class Grain(Effect):
    """Paper texture and sensor noise."""

    help = "paper texture and sensor noise"

    def sample(self, rng: np.random.Generator, x: float, baseline: float) -> Params:
        return {**_origin(rng), "depth": float(rng.uniform(1, 12)), "size": float(rng.uniform(0, 1.2))}

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        noise = _window(image.shape, params["y"], params["x"]).astype(np.float32)
        scale = params["depth"] / 32
        if params["size"] > 0.4:
            noise = cv2.GaussianBlur(noise, (0, 0), params["size"])
            scale *= params["size"] * 2
        return cv2.addWeighted(image, 1.0, noise, scale, 0.0, dtype=cv2.CV_8U)


class Blur(Effect):
    """A lens out of focus, or a hand that moved."""

    help = "out of focus, or moved while the shutter was open"

    def sample(self, rng: np.random.Generator, x: float, baseline: float) -> Params:
        moved = bool(rng.random() < 0.3)
        return {"sigma": float(rng.uniform(0.3, 0.09 * x)), "moved": moved, "angle": float(rng.uniform(0, np.pi))}

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        sigma = params["sigma"]
        if not params["moved"]:
            return cv2.GaussianBlur(image, (0, 0), sigma)
        size = 2 * int(np.ceil(2 * sigma)) + 1
        kernel = np.zeros((size, size), np.float32)
        middle, reach = size // 2, 2 * sigma
        offset = np.array([np.cos(params["angle"]), np.sin(params["angle"])]) * reach
        p, q = np.rint(middle - offset).astype(int), np.rint(middle + offset).astype(int)
        cv2.line(kernel, p.tolist(), q.tolist(), 1.0, 1)
        return cv2.filter2D(image, -1, kernel / kernel.sum())


class Resolution(Effect):
    """Fewer pixels than one would like: shrunk and enlarged again."""

    help = "low resolution"

    def sample(self, rng: np.random.Generator, x: float, baseline: float) -> Params:
        return {"scale": float(rng.uniform(7.0, 16.0) / x)}  # 7 to 16 px an x-height remain

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        if params["scale"] >= 1:
            return image
        h, w = image.shape
        size = (max(1, round(w * params["scale"])), max(1, round(h * params["scale"])))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)


class Jpeg(Effect):
    """JPEG's blocks and ringing."""

    help = "JPEG artefacts"

    def sample(self, rng: np.random.Generator, x: float, baseline: float) -> Params:
        return {"quality": int(rng.integers(25, 90))}

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, params["quality"]])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


class Negative(Effect):
    """Light ink on dark ground: chalk, signs."""

    help = "light on dark"

    def sample(self, rng: np.random.Generator, x: float, baseline: float) -> Params:
        return {}

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        return 255 - image


class Neighbours(Effect):
    """Scraps of the lines above and below that a crop cut through."""

    help = "scraps of neighbouring lines at the upper and lower edge"

    def sample(self, rng: np.random.Generator, x: float, baseline: float) -> Params:
        scraps = []
        for _ in range(int(rng.integers(1, 9))):
            scraps.append(
                {
                    "above": bool(rng.random() < 0.5),
                    "at": float(rng.random()),
                    "reach": float(rng.uniform(0.05, 0.35) * x),  # px into the image
                    "width": float(rng.uniform(-0.4, 0.4) * x),
                    "thick": int(rng.integers(1, 4)),
                }
            )
        return {"scraps": scraps, "dark": float(rng.uniform(0.1, 0.7))}

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        out = image.copy()
        h, w = image.shape
        tone = int(image.mean() * params["dark"])
        for scrap in params["scraps"]:
            x = round(scrap["at"] * w)
            start, end = (0, round(scrap["reach"])) if scrap["above"] else (h - 1, h - 1 - round(scrap["reach"]))
            cv2.line(out, (x, start), (x + round(scrap["width"]), end), tone, scrap["thick"], cv2.LINE_AA)
        return out


#: name -> the effect, in the order in which they happen to a line
EFFECTS: dict[str, Effect] = {
    "pen": Pen(),
    "dry": Dry(),
    "ruled": Ruled(),
    "neighbours": Neighbours(),
    "light": Light(),
    "negative": Negative(),
    "blur": Blur(),
    "resolution": Resolution(),
    "grain": Grain(),
    "jpeg": Jpeg(),
}

#: the share of natural lines that each effect visits when a recipe does not say
USUAL: dict[str, float] = {
    "pen": 0.9, "dry": 0.15, "ruled": 0.3, "neighbours": 0.1, "light": 0.5, "negative": 0.08, "blur": 0.4,
    "resolution": 0.3, "grain": 0.5, "jpeg": 0.3,
}  # fmt: skip


def check_effects(shares: dict[str, float]) -> None:
    """Raise RecipeError for an unknown effect or a share outside 0..1."""
    for name, share in shares.items():
        if name not in EFFECTS:
            raise RecipeError(f'no effect "{name}"; {nearest(name, EFFECTS)}')
        if not 0 <= share <= 1:
            raise RecipeError(f"the effect {name} visits a share of {share} of the lines: give a number from 0 to 1")


def sample_effects(
    shares: dict[str, float], rng: np.random.Generator, x: float, baseline: float
) -> list[tuple[str, Params]]:
    """The effects that visit one line with their numbers, in the order of EFFECTS."""
    return [(n, e.sample(rng, x, baseline)) for n, e in EFFECTS.items() if rng.random() < shares.get(n, 0.0)]


def apply_effects(image: GreyImage, chosen: list[tuple[str, Params]], stage: str) -> GreyImage:
    """The image after all chosen effects of one stage, "ink" or "photo"."""
    for name, params in chosen:
        if EFFECTS[name].stage == stage:
            image = EFFECTS[name].apply(image, params)
    return image
