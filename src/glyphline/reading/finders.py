"""FAMILY: a picture of a page (H, W, 3) -> the pieces of text on it, each with four corners.

Contract: a finder is called with a colour picture and gives its pieces in any order; what joins them into lines and
puts those in order is `glyphline.reading.order`. To add one: a class with `__call__` and a row in FINDERS at the
bottom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.errors import UserError, nearest
from glyphline.picture import Colour
from glyphline.reading.engines import open_session, photo_model

Corners = npt.NDArray[np.float64]  # (4, 2) px (x, y), clockwise from where the text begins, along its upper edge


@dataclass(frozen=True)
class Piece:
    """A line of text, or a part of one."""

    corners: Corners
    confidence: float  # 0..1, that there is text


class Finder(Protocol):
    """Finds text on a page."""

    def __call__(self, picture: Colour) -> list[Piece]: ...


@dataclass(frozen=True)
class Whole:
    """The picture is one line."""

    def __call__(self, picture: Colour) -> list[Piece]:
        h, w = picture.shape[:2]
        return [Piece(np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float64), 1.0)]


# ------------------------------------------------------------------------------------------------------ photographs


@lru_cache(maxsize=1)
def _detector() -> Any:
    return open_session(photo_model("det"))


@dataclass(frozen=True)
class Photo:
    """PP-OCR's detector (differentiable binarization, Liao et al. 2020): where text is, pixel by pixel, then boxes.

    The map of text is cut at `level`; what is connected becomes its smallest rectangle, kept when the map inside it
    is at least `least` on average, and enlarged by its area / perimeter times `grow`, for the map shows text shrunk.
    """

    longest: int = 1280  # px; longer sides are shrunk to it
    shortest: int = 640  # px; pictures whose longer side is shorter are enlarged to it
    level: float = 0.3
    least: float = 0.5
    grow: float = 1.6

    def __call__(self, picture: Colour) -> list[Piece]:
        h, w = picture.shape[:2]
        scale = min(self.longest / max(h, w), max(1.0, self.shortest / max(h, w)))
        size = tuple(max(32, round(side * scale / 32) * 32) for side in (w, h))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        # blue, green, red, as OpenCV reads files, from -1 to 1
        batch = (small[..., ::-1].astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
        session = _detector()
        likely = session.run(None, {session.get_inputs()[0].name: batch})[0][0, 0]  # (H', W') 0..1
        return self._pieces(likely, np.array([w / size[0], h / size[1]]))

    def _pieces(self, likely: npt.NDArray[np.float32], enlarge: npt.NDArray[np.float64]) -> list[Piece]:
        mask = cv2.dilate((likely > self.level).astype(np.uint8), np.ones((2, 2), np.uint8))
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        pieces = []
        for outline in outlines:
            middle, (wide, tall), angle = cv2.minAreaRect(outline)
            if min(wide, tall) < 3:
                continue
            confidence = _mean_inside(likely, cv2.boxPoints((middle, (wide, tall), angle)))
            if confidence < self.least:
                continue
            reach = 2 * self.grow * wide * tall / (2 * (wide + tall))
            corners = cv2.boxPoints((middle, (wide + reach, tall + reach), angle)) * enlarge
            pieces.append(Piece(in_order(corners), confidence))
        return pieces


def _mean_inside(values: npt.NDArray[np.float32], corners: npt.NDArray[np.float32]) -> float:
    """The mean of (H, W) values inside a quadrilateral."""
    (left, top), (right, bottom) = (
        np.clip(f(corners.min(0) if f is np.floor else corners.max(0)), 0, np.array(values.shape[::-1]) - 1).astype(int)
        for f in (np.floor, np.ceil)
    )  # fmt: skip
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(values[top : bottom + 1, left : right + 1], mask)[0])


def in_order(corners: npt.NDArray[np.floating[Any]]) -> Corners:
    """Four corners clockwise, first the one from which the side nearest to level runs right."""
    around = corners - corners.mean(0)
    clockwise = corners[np.argsort(np.arctan2(around[:, 1], around[:, 0]))].astype(np.float64)
    sides = np.roll(clockwise, -1, 0) - clockwise
    first = int(np.argmax(sides[:, 0] / np.maximum(1e-9, np.hypot(*sides.T))))
    return np.roll(clockwise, -first, 0)


#: name -> (what opens the finder, its line of help)
FINDERS: dict[str, tuple[Callable[[], Finder], str]] = {
    "photo": (Photo, "photo: PP-OCR's detector, for photographs of anything; needs the extra [photo]"),
    "none": (Whole, "none: the picture is one line"),
}


def open_finder(name: str) -> Finder:
    """A finder by name. Raises UserError with the choices, MissingPackage without its extra."""
    if name not in FINDERS:
        raise UserError(f'no finder "{name}"; {nearest(name, FINDERS)}')
    return FINDERS[name][0]()
