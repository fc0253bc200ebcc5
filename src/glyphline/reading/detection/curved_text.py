"""Text along an arc, as on plaques, coins and logos: the ring that a patch of text fills, and its two edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

CurvedOutline = npt.NDArray[
    np.float64
]  # (K, 2, 2) px (x, y): K places along the text, of each its upper and its lower edge

PLACES = 33  # along a bend
REFITS = 3
PARTS = 12  # of a patch, in each of which its radius and height are measured
FLAT = 0.3  # heights that the middle of a text stands out from its ends, below which it is straight
LONG = 2.5  # heights; shorter patches tell nothing of a bend
THIN = 0.75  # share of its rectangle's height that a patch is high along the arc, above which the arc explains nothing
OPEN = 0.35  # radians of a ring without text, at least; else nobody knows where it begins


def fit_curved_outline(points: npt.NDArray[np.floating[Any]], tall: float, grow: float) -> CurvedOutline | None:
    """The edges of a patch of text that fills a part of a ring, enlarged; None where a rectangle does as well.

    points: (N, 2) px (x, y) of the patch. tall: px, the height of the smallest rectangle around it. grow: times area /
    perimeter by which it is enlarged on all sides. The circle is the one of the least algebraic distance (Kasa 1976).
    """
    if len(points) < 4 * PARTS:
        return None
    line, middles = points, (np.arange(PARTS) + 0.5) / PARTS
    for _ in range(REFITS):  # the whole patch draws the centre to its side of the arc; its middle line does not
        fitted = _centre(line)
        if fitted is None:
            return None
        centre = fitted
        start, span, share, radii = _around(points, centre)
        turn, radius, high = _band(radii, share)
        line = centre + _directions(start + span * middles) * np.polyval(turn, middles)[:, None]
    long = span * radius
    stands_out = radius * (1 - np.cos(min(span, np.pi) / 2))
    if 2 * np.pi - span < OPEN or high > THIN * tall or long < LONG * high or stands_out < FLAT * high:
        return None
    reach = grow * long * high / (2 * (long + high))
    share = np.linspace(-reach / long, 1 + reach / long, PLACES)
    ring = _directions(start + span * share)
    level = np.polyval(turn, share.clip(0, 1))[:, None]
    outer, inner = level + high / 2 + reach, np.maximum(1.0, level - high / 2 - reach)
    edges = np.stack([ring * outer, ring * inner], 1)  # clockwise, the outer edge is the upper one
    return orient_left_to_right(edges + centre)


def _directions(angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, 2) points of the circle of radius 1."""
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _centre(points: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64] | None:
    """(x, y) of the circle nearest to points (N, 2); None where they lie on a line."""
    middle = points.mean(0)
    x, y = (points - middle).T
    (cx, cy, _), _, rank, _ = np.linalg.lstsq(
        np.column_stack([2 * x, 2 * y, np.ones(len(x))]), x * x + y * y, rcond=None
    )
    return np.array([cx, cy]) + middle if rank == 3 else None


def _around(
    points: npt.NDArray[np.floating[Any]], centre: npt.NDArray[np.float64]
) -> tuple[float, float, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where an arc starts and how far it goes, radians; of each point the share 0..1 of that way, and its radius."""
    x, y = (points - centre).T
    angles = np.arctan2(y, x)
    ranked = np.sort(angles)
    gaps = np.diff(ranked, append=ranked[0] + 2 * np.pi)
    widest = int(gaps.argmax())
    start, span = float(ranked[(widest + 1) % len(ranked)]), float(2 * np.pi - gaps[widest])
    return start, span, (angles - start) % (2 * np.pi) / max(span, 1e-9), np.hypot(x, y)


def _band(
    radii: npt.NDArray[np.float64], share: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], float, float]:
    """A parabola of the radius by the share 0..1 of the way along, its mean, and the usual height of the patch, px.

    Plaques are seen as ellipses, and patches are higher where letters are.
    """
    parts = np.minimum((share * PARTS).astype(np.int64), PARTS - 1)
    ends = np.array([[k, *np.percentile(radii[parts == k], [2, 98])] for k in range(PARTS) if (parts == k).any()])
    middle = ends[:, 1:].mean(1)
    turn = np.polyfit((ends[:, 0] + 0.5) / PARTS, middle, min(2, len(ends) - 1))
    return turn, float(middle.mean()), float(np.median(ends[:, 2] - ends[:, 1]) + 1)


def orient_left_to_right(bend: CurvedOutline) -> CurvedOutline:
    """The bend from its other end, and upside down, where it runs to the left.

    >>> orient_left_to_right(np.array([[(9, 5), (9, 2)], [(0, 5), (0, 2)]]))[0].tolist()
    [[0, 2], [0, 5]]
    """
    return bend if (bend[-1] - bend[0])[:, 0].sum() >= 0 else bend[::-1, ::-1]


def size_of(bend: CurvedOutline) -> tuple[float, float]:
    """Length along the middle of the text and mean height across it, px."""
    steps = np.diff(bend.mean(1), axis=0)
    return float(np.hypot(*steps.T).sum()), float(np.hypot(*(bend[:, 1] - bend[:, 0]).T).mean())


def at(bend: CurvedOutline, points: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Where points (..., 2) of the straightened text, each a share 0..1 along it and down it, lie on the page."""
    along = points[..., 0].clip(0, 1) * (len(bend) - 1)
    k = np.minimum(along.astype(np.int64), len(bend) - 2)
    share = (along - k)[..., None, None]
    edges = bend[k] * (1 - share) + bend[k + 1] * share  # (..., 2, 2)
    down = points[..., 1, None]
    return np.asarray(edges[..., 0, :] * (1 - down) + edges[..., 1, :] * down, np.float64)
