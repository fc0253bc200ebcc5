"""Curved text, as on plaques, coins and logos: fit the part of a ring that a text region fills."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from glyphline.reading.thresholds import THRESHOLDS

#: (K, 2, 2) px (x, y): K positions along the text, at each the point of the upper edge and the point of the lower edge
CurvedOutline = npt.NDArray[np.float64]

OUTLINE_POSITIONS = 33  # positions along a fitted outline
FIT_ITERATIONS = 3
SECTORS = 12  # equal parts of the arc, in each of which radius and height are measured


def fit_curved_outline(
    points: npt.NDArray[np.floating[Any]], rectangle_height: float, expansion: float
) -> CurvedOutline | None:
    """Fit the outline of text along an arc. Returns it from left to right, (OUTLINE_POSITIONS, 2, 2), or None.

    None is for text that a rectangle fits as well, that is short, that fills nearly a whole ring, or that has fewer
    than 4 x SECTORS pixels.
    points: (N, 2) px (x, y), the pixels of the region. rectangle_height: px, the shorter side of the minimum-area
    rectangle around them. expansion: the outline is moved outwards by expansion x area / perimeter, because the
    detector's map shows text shrunk. The centre is that of the circle with the least algebraic distance to the text's
    centre line (Kasa 1976). The radius is a parabola of the position along the arc.
    """
    if len(points) < 4 * SECTORS:
        return None
    centre_line, sector_centres = points, (np.arange(SECTORS) + 0.5) / SECTORS
    # The pixels of the whole region pull the circle's centre towards the arc. Its centre line does not.
    for _ in range(FIT_ITERATIONS):
        fitted = _fit_circle_centre(centre_line)
        if fitted is None:
            return None
        centre = fitted
        start, span, positions, radii = _polar_coordinates(points, centre)
        radius_curve, radius, height = _fit_band(radii, positions)
        angles = start + span * sector_centres
        centre_line = centre + _unit_vectors(angles) * np.polyval(radius_curve, sector_centres)[:, None]
    length = span * radius
    sagitta = radius * (1 - np.cos(min(span, np.pi) / 2))
    if (
        2 * np.pi - span < THRESHOLDS.curve_min_opening
        or height > THRESHOLDS.curve_max_thickness * rectangle_height
        or length < THRESHOLDS.curve_min_length * height
        or sagitta < THRESHOLDS.curve_min_sagitta * height
    ):
        return None
    offset = expansion * length * height / (2 * (length + height))
    positions = np.linspace(-offset / length, 1 + offset / length, OUTLINE_POSITIONS)
    directions = _unit_vectors(start + span * positions)
    middle = np.polyval(radius_curve, positions.clip(0, 1))[:, None]
    outer, inner = middle + height / 2 + offset, np.maximum(1.0, middle - height / 2 - offset)
    edges = np.stack([directions * outer, directions * inner], 1)  # clockwise, so the outer edge is the upper one
    return orient_left_to_right(edges + centre)


def _unit_vectors(angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, 2) points of the unit circle at angles (N,), radians."""
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _fit_circle_centre(points: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64] | None:
    """(x, y) of the centre of the circle that fits points (N, 2); None where they lie on a straight line."""
    mean = points.mean(0)
    x, y = (points - mean).T
    equations = np.column_stack([2 * x, 2 * y, np.ones(len(x))])
    (centre_x, centre_y, _), _, rank, _ = np.linalg.lstsq(equations, x * x + y * y, rcond=None)
    return np.array([centre_x, centre_y]) + mean if rank == 3 else None


def _polar_coordinates(
    points: npt.NDArray[np.floating[Any]], centre: npt.NDArray[np.float64]
) -> tuple[float, float, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The start and the span of the arc, radians; the position 0..1 of each point along it; the radius of each, px."""
    x, y = (points - centre).T
    angles = np.arctan2(y, x)
    ranked = np.sort(angles)
    gaps = np.diff(ranked, append=ranked[0] + 2 * np.pi)
    widest = int(gaps.argmax())
    start, span = float(ranked[(widest + 1) % len(ranked)]), float(2 * np.pi - gaps[widest])
    return start, span, (angles - start) % (2 * np.pi) / max(span, 1e-9), np.hypot(x, y)


def _fit_band(
    radii: npt.NDArray[np.float64], positions: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], float, float]:
    """The radius as a parabola of the position 0..1, its mean, and the median height of the text, px.

    A parabola, because a plaque seen from the side is an ellipse. The median, because regions are higher where letters
    have ascenders.
    """
    sectors = np.minimum((positions * SECTORS).astype(np.int64), SECTORS - 1)
    measured = np.array(
        [[k, *np.percentile(radii[sectors == k], [2, 98])] for k in range(SECTORS) if (sectors == k).any()]
    )
    middles = measured[:, 1:].mean(1)
    radius_curve = np.polyfit((measured[:, 0] + 0.5) / SECTORS, middles, min(2, len(measured) - 1))
    return radius_curve, float(middles.mean()), float(np.median(measured[:, 2] - measured[:, 1]) + 1)


def orient_left_to_right(curve: CurvedOutline) -> CurvedOutline:
    """An outline that runs to the left, reversed and with its edges exchanged. Any other is returned unchanged.

    >>> orient_left_to_right(np.array([[(9, 5), (9, 2)], [(0, 5), (0, 2)]]))[0].tolist()
    [[0, 2], [0, 5]]
    """
    return curve if (curve[-1] - curve[0])[:, 0].sum() >= 0 else curve[::-1, ::-1]


def curve_size(curve: CurvedOutline) -> tuple[float, float]:
    """Length along the centre line and mean height across it, px."""
    steps = np.diff(curve.mean(1), axis=0)
    return float(np.hypot(*steps.T).sum()), float(np.hypot(*(curve[:, 1] - curve[:, 0]).T).mean())


def map_to_curve(curve: CurvedOutline, points: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Map points (..., 2) of the straightened text to the page, px (x, y).

    points: the share of the length along the text, which is clipped to 0..1, and the share of the height below the
    upper edge, which is not clipped. Linear between the outline's positions.
    """
    along = points[..., 0].clip(0, 1) * (len(curve) - 1)
    k = np.minimum(along.astype(np.int64), len(curve) - 2)
    share = (along - k)[..., None, None]
    edges = curve[k] * (1 - share) + curve[k + 1] * share  # (..., 2, 2)
    down = points[..., 1, None]
    return np.asarray(edges[..., 0, :] * (1 - down) + edges[..., 1, :] * down, np.float64)
