"""FAMILY: effects of pen, paper and camera on the image of a line.

Contract: `sample` draws every random number of an effect into a plain dict, `apply` is a pure function of the image and
that dict. To add one: subclass Effect and add a row to EFFECTS at the bottom. A recipe names an effect with the
probability that a line gets it. An effect of the stage "ink" gets the ink alone, bright on 0. An effect of the stage
"photo" gets the grey image of ink on paper.
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
Params = dict[str, Any]  # plain numbers, lists and dicts, so that a record can be written as JSON


class Effect(ABC):
    """One change of the image of a line. `stage`: "ink" or "photo". `help`: one line for the list of effects."""

    stage: ClassVar[str] = "photo"
    help: ClassVar[str] = ""

    @abstractmethod
    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        """Draw the random numbers of one application.

        x_height: of the line, px. baseline: of the line, px from the top of the image. Returns JSON values.
        """

    @abstractmethod
    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        """The changed image, (H, W) uint8. The input is not modified. Equal arguments give equal images.

        image: of the stage "ink": ink alone, bright on 0; of the stage "photo": grey values of ink on paper.
        params: the result of `sample`.
        """


@lru_cache(maxsize=1)
def _noise_field() -> npt.NDArray[np.int8]:
    """A fixed field of Gaussian noise, (512, 2048), sigma 32; effects take windows of it."""
    return np.random.default_rng(1).normal(0, 32, (512, 2048)).clip(-127, 127).astype(np.int8)


def _noise_window(shape: tuple[int, ...], y: int, x: int) -> npt.NDArray[np.int8]:
    """A (H, W) window of the noise field that starts at (y, x) and wraps around."""
    field = _noise_field()
    rows, columns = np.arange(y, y + shape[0]) % field.shape[0], np.arange(x, x + shape[1]) % field.shape[1]
    return field[rows[:, None], columns]


def _sample_noise_origin(rng: np.random.Generator) -> Params:
    return {"y": int(rng.integers(512)), "x": int(rng.integers(2048))}


def _ellipse(radius: float) -> npt.NDArray[np.uint8]:
    """A disc for dilation and erosion. radius: px, at least 1 after rounding."""
    size = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


class StrokeWidth(Effect):
    """Thinner or thicker strokes with softer or harder edges: the ink is blurred and thresholded with a linear ramp.

    Strokes that are too thin for that stay as they are. Else a label would name letters that the image does not show.
    """

    stage = "ink"
    help = "stroke width and edge, from pencil to marker"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        return {
            "reach": float(rng.uniform(0.03, 0.09) * x_height),  # px, sigma of the blur
            "level": float(rng.uniform(0.18, 0.6)),  # of full ink; lower is thicker
            "edge": float(rng.uniform(0.15, 0.5)),  # of full ink; width of the ramp around the level
        }

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        blurred = cv2.GaussianBlur(image, (0, 0), params["reach"])
        ramp = (np.arange(256) / 255.0 - params["level"]) / params["edge"] + 0.5
        changed = cv2.LUT(blurred, (ramp.clip(0, 1) * 255).astype(np.uint8))
        lost = cv2.subtract(image, cv2.dilate(changed, _ellipse(2 * params["reach"])))  # ink far from what is left
        return cv2.max(changed, lost)


class UnevenInk(Effect):
    """Uneven ink: a pencil on rough paper, a dry pen."""

    stage = "ink"
    help = "uneven ink of pencils and dry pens"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        return {
            **_sample_noise_origin(rng),
            "depth": float(rng.uniform(0.3, 1.6)),  # share of the ink that noise of 128 takes away, 0.8 at most
            "size": float(rng.uniform(0.5, 1.5)),  # px, sigma of the blur of the noise
        }

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        noise = _noise_window(image.shape, params["y"], params["x"]).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), params["size"]) * (params["size"] * 2)
        return (image * (1 - (noise * (params["depth"] / 128)).clip(0, 0.8))).astype(np.uint8)


class Hollow(Effect):
    """Hollow letters: only the outline of a stroke is inked, its inside less or not at all."""

    stage = "ink"
    help = "outlined letters"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        return {
            "rim": float(rng.uniform(0.05, 0.1) * x_height),  # px, width of the outline
            "grow": float(rng.uniform(0.0, 0.06) * x_height),  # px by which the stroke is widened first
            "inside": float(rng.uniform(0.1, 0.6)),  # ink of the inside, of full ink
        }

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        stroke = cv2.dilate(image, _ellipse(params["grow"])) if params["grow"] >= 0.5 else image
        inside = cv2.erode(stroke, _ellipse(params["rim"]))
        return cv2.subtract(stroke, cv2.convertScaleAbs(inside, alpha=1 - params["inside"]))


class Shadow(Effect):
    """A shadow of each letter, as on signs and shop fronts: the ink again, shifted, fainter."""

    stage = "ink"
    help = "letters with a drop shadow"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        return {
            "right": float(rng.uniform(-0.16, 0.16) * x_height),  # px
            "down": float(rng.uniform(0.03, 0.16) * x_height),  # px
            "strength": float(rng.uniform(0.2, 0.65)),  # ink of the shadow, of full ink
            "blur": float(rng.uniform(0.0, 0.06) * x_height),  # px, sigma
        }

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        shift = np.array([[1, 0, params["right"]], [0, 1, params["down"]]])
        shadow = cv2.warpAffine(image, shift, image.shape[::-1], flags=cv2.INTER_LINEAR)
        if params["blur"] > 0.3:
            shadow = cv2.GaussianBlur(shadow, (0, 0), params["blur"])
        return np.maximum(image, cv2.convertScaleAbs(shadow, alpha=params["strength"]))


class Texture(Effect):
    """A coarse texture of what the letters stand on: wood, stone, plaster, cloth."""

    help = "wood, stone or cloth behind the letters"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        return {
            **_sample_noise_origin(rng),
            "depth": float(rng.uniform(5, 35)),  # grey levels, sigma
            "width": float(np.exp(rng.uniform(np.log(0.5), np.log(12.0)))),  # px, horizontal sigma of the blur
            "height": float(np.exp(rng.uniform(np.log(0.5), np.log(4.0)))),  # px, vertical sigma
        }

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        noise = _noise_window(image.shape, params["y"], params["x"]).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), params["width"], sigmaY=params["height"])
        noise *= params["depth"] / max(1e-3, float(noise.std()))
        return cv2.add(image, noise, dtype=cv2.CV_8U)


class UnevenLight(Effect):
    """Uneven light: a gradient, and sometimes a shadow with a soft edge."""

    help = "gradients and shadows over the paper"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        return {
            "corners": [float(v) for v in rng.uniform(0.55, 1.0, 6)],  # brightness, 0..1, of a grid of 2 x 3 points
            "shadow": float(rng.uniform(0.5, 0.9)) if rng.random() < 0.3 else 1.0,  # brightness in the shadow
            "at": float(rng.uniform(0.1, 0.9)),  # position of the shadow's edge, of the width
        }

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        h, w = image.shape
        grid = np.rint(np.array(params["corners"]).reshape(2, 3) * 255).astype(np.uint8)
        light = cv2.resize(grid, (w, h), interpolation=cv2.INTER_LINEAR)
        if params["shadow"] < 1:
            distance = np.arange(w) - params["at"] * w
            shadow = 255 * (1 - (1 - params["shadow"]) / (1 + np.exp(-distance / (0.3 * h))))
            light = cv2.multiply(light, np.tile(shadow.astype(np.uint8), (h, 1)), scale=1 / 255)
        return cv2.multiply(image, light, scale=1 / 255)


class RuledPaper(Effect):
    """Ruled or squared paper. The rules are fainter than the ink; one of them is often near the baseline."""

    help = "ruled and squared paper"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        pitch = float(rng.uniform(2.2, 4.5) * x_height)
        squared = bool(rng.random() < 0.35)
        pitch *= 0.45 if squared else 1.0
        below_baseline = float(rng.normal(0.06, 0.08) * x_height)  # people write on the rule or a little above it
        return {
            "pitch": pitch,  # px between two rules
            "phase": (baseline + below_baseline) / pitch % 1.0 if rng.random() < 0.6 else float(rng.uniform(0, 1)),
            "squared": squared,
            "slope": float(rng.normal(0, 0.004)),  # px downwards for each px to the right
            "thick": float(rng.uniform(0.6, 2.2)),  # px
            "strength": float(rng.uniform(0.06, 0.8)),  # share of the brightness that a rule takes away
        }

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        h, w = image.shape
        mask = np.zeros((h, w), np.uint8)
        pitch, fraction_bits = params["pitch"], 4
        thickness, slope = max(1, round(params["thick"])), params["slope"]
        for k in range(int(h / pitch) + 3):
            y = (k - 1 + params["phase"]) * pitch
            ends = [(0, y), (w, y + slope * w)]
            start, end = (tuple(round(v * (1 << fraction_bits)) for v in point) for point in ends)
            cv2.line(mask, start, end, 255, thickness, cv2.LINE_AA, fraction_bits)
        if params["squared"]:
            for k in range(int(w / pitch) + 2):
                x = round((k + params["phase"]) * pitch)
                cv2.line(mask, (x, 0), (round(x - slope * h), h), 255, thickness, cv2.LINE_AA)
        paper = cv2.convertScaleAbs(mask, alpha=-params["strength"], beta=255)
        return cv2.multiply(image, paper, scale=1 / 255)


class Grain(Effect):
    """Paper texture and sensor noise."""

    help = "paper texture and sensor noise"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        return {
            **_sample_noise_origin(rng),
            "depth": float(rng.uniform(1, 12)),  # grey levels, sigma of the noise
            "size": float(rng.uniform(0, 1.2)),  # px, sigma of the blur of the noise
        }

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        noise = _noise_window(image.shape, params["y"], params["x"]).astype(np.float32)
        scale = params["depth"] / 32
        if params["size"] > 0.4:
            noise = cv2.GaussianBlur(noise, (0, 0), params["size"])
            scale *= params["size"] * 2
        return cv2.addWeighted(image, 1.0, noise, scale, 0.0, dtype=cv2.CV_8U)


class Blur(Effect):
    """The blur of a lens out of focus (Gaussian), or of a camera in motion (along a line)."""

    help = "out of focus, or moved while the shutter was open"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        moved = bool(rng.random() < 0.3)
        sigma = float(rng.uniform(0.3, 0.09 * x_height))  # px
        return {"sigma": sigma, "moved": moved, "angle": float(rng.uniform(0, np.pi))}

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        sigma = params["sigma"]
        if not params["moved"]:
            return cv2.GaussianBlur(image, (0, 0), sigma)
        size = 2 * int(np.ceil(2 * sigma)) + 1
        kernel = np.zeros((size, size), np.float32)
        middle, half_length = size // 2, 2 * sigma
        offset = np.array([np.cos(params["angle"]), np.sin(params["angle"])]) * half_length
        start, end = np.rint(middle - offset).astype(int), np.rint(middle + offset).astype(int)
        cv2.line(kernel, start.tolist(), end.tolist(), 1.0, 1)
        return cv2.filter2D(image, -1, kernel / kernel.sum())


class LowResolution(Effect):
    """A low resolution: the image is reduced and enlarged again."""

    help = "low resolution"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        return {"scale": float(rng.uniform(7.0, 16.0) / x_height)}  # leaves an x-height of 7 to 16 px

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        if params["scale"] >= 1:
            return image
        h, w = image.shape
        size = (max(1, round(w * params["scale"])), max(1, round(h * params["scale"])))
        reduced = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return cv2.resize(reduced, (w, h), interpolation=cv2.INTER_LINEAR)


class Jpeg(Effect):
    """The artefacts of JPEG compression."""

    help = "JPEG artefacts"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        return {"quality": int(rng.integers(25, 90))}

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, params["quality"]])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


class Negative(Effect):
    """Inverted brightness: light ink on a dark background, as on blackboards and signs."""

    help = "light on dark"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        return {}

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        return 255 - image


class NeighbouringLines(Effect):
    """Dark strokes at the upper and lower edge, like parts of neighbouring lines that a crop leaves in the image."""

    help = "scraps of neighbouring lines at the upper and lower edge"

    def sample(self, rng: np.random.Generator, x_height: float, baseline: float) -> Params:
        scraps = []
        for _ in range(int(rng.integers(1, 9))):
            scraps.append(
                {
                    "above": bool(rng.random() < 0.5),  # at the upper edge, otherwise at the lower
                    "at": float(rng.random()),  # of the width
                    "reach": float(rng.uniform(0.05, 0.35) * x_height),  # px into the image
                    "width": float(rng.uniform(-0.4, 0.4) * x_height),  # px, horizontal extent
                    "thick": int(rng.integers(1, 4)),  # px
                }
            )
        return {"scraps": scraps, "dark": float(rng.uniform(0.1, 0.7))}  # dark: brightness, of the image's mean

    def apply(self, image: GreyImage, params: Params) -> GreyImage:
        out = image.copy()
        h, w = image.shape
        brightness = int(image.mean() * params["dark"])
        for scrap in params["scraps"]:
            x = round(scrap["at"] * w)
            start, end = (0, round(scrap["reach"])) if scrap["above"] else (h - 1, h - 1 - round(scrap["reach"]))
            cv2.line(out, (x, start), (x + round(scrap["width"]), end), brightness, scrap["thick"], cv2.LINE_AA)
        return out


#: name in recipes -> effect, in the order in which effects are applied to a line
EFFECTS: dict[str, Effect] = {
    "pen": StrokeWidth(),
    "dry": UnevenInk(),
    "hollow": Hollow(),
    "shadow": Shadow(),
    "texture": Texture(),
    "ruled": RuledPaper(),
    "neighbours": NeighbouringLines(),
    "light": UnevenLight(),
    "negative": Negative(),
    "blur": Blur(),
    "resolution": LowResolution(),
    "grain": Grain(),
    "jpeg": Jpeg(),
}

#: name of an effect -> probability that a natural line gets it, for recipes that do not set effects; an effect that is
#: missing is not drawn
DEFAULT_EFFECT_SHARES: dict[str, float] = {
    "pen": 0.9, "dry": 0.15, "ruled": 0.3, "neighbours": 0.1, "light": 0.5, "negative": 0.08, "blur": 0.4,
    "resolution": 0.3, "grain": 0.5, "jpeg": 0.3,
}  # fmt: skip


def check_effects(shares: dict[str, float]) -> None:
    """Check the effects of a recipe. Raises RecipeError for an unknown effect and for a share outside 0..1.

    shares: name of an effect -> share of the lines that get it.
    """
    for name, share in shares.items():
        if name not in EFFECTS:
            raise RecipeError(f'no effect "{name}"; {nearest(name, EFFECTS)}')
        if not 0 <= share <= 1:
            raise RecipeError(f"the share of lines with the effect {name} is {share}: give a number from 0 to 1")


def sample_effects(
    shares: dict[str, float], rng: np.random.Generator, x_height: float, baseline: float
) -> list[tuple[str, Params]]:
    """Draw which effects one line gets, and their random numbers.

    shares: name of an effect -> probability, 0..1; an effect that is missing is not drawn. x_height: px. baseline: px
    from the top of the image. Returns (name, parameters) of each effect drawn, in the order of EFFECTS.
    """
    return [
        (name, effect.sample(rng, x_height, baseline))
        for name, effect in EFFECTS.items()
        if name in shares and rng.random() < shares[name]  # an effect that a recipe does not name draws no number
    ]


def apply_effects(image: GreyImage, sampled_effects: list[tuple[str, Params]], stage: str) -> GreyImage:
    """The image, (H, W) uint8, after the effects of one stage, "ink" or "photo"; those of the other are skipped.

    sampled_effects: the result of `sample_effects`. The input image is not modified.
    """
    for name, params in sampled_effects:
        if EFFECTS[name].stage == stage:
            image = EFFECTS[name].apply(image, params)
    return image
