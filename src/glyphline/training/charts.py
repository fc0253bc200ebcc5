"""Line charts as inline SVG for the report page. Their colours are CSS classes, which the theme of the page defines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 420, 240  # units of the SVG's own coordinates
LEFT, RIGHT, TOP, BOTTOM = 56, 10, 10, 42  # margins for the axes
COLOURS = 6  # of the curves; the seventh has the first one again
MAX_POINTS = 400  # of a curve; more of them are averaged in groups

Points = Sequence[tuple[float, float]]


def tick_values(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers from low to high, low < high.

    >>> tick_values(0, 100)
    [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    """
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _thin(points: Points) -> list[tuple[float, float]]:
    """At most MAX_POINTS points: the means of groups of neighbours."""
    size = -(-len(points) // MAX_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)] if size > 1 else []
    if not groups:
        return list(points)
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def _widen(low: float, high: float) -> float:
    """The upper end of an axis from `low` that ends at `high` or, where nothing would be left to divide, just above."""
    return max(high, low + max(1e-9, abs(low) * 1e-9))  # relative too: 1e-9 vanishes beside a large step


def _number(value: float, percent: bool) -> str:
    """A number as an axis shows it."""
    return f"{value:.4g}" if not percent else f"{value * 100:.4g} %"


def line_chart(
    title: str,
    curves: Sequence[tuple[str, Points]],
    x_label: str,
    *,
    percent: bool = False,
    diagonal: bool = False,
    markers: bool = False,
) -> str:
    """Draw curves as an SVG element; "" without any finite point.

    curves: (name, points (x, y) in the order of x). percent: y is a fraction and shown in percent. diagonal: x and y
    both go from 0 to 1, and the line x = y is drawn. markers: draw each point. Curve k has the
    class curve-K, K = k % COLOURS.
    """
    finite = [(name, [p for p in points if math.isfinite(p[1])]) for name, points in curves]
    drawn = [(k % COLOURS, name, _thin(points)) for k, (name, points) in enumerate(finite) if points]
    if not drawn:
        return ""
    xs, ys = zip(*(point for _, _, points in drawn for point in points), strict=True)
    x_low, x_high, y_low, y_high = (0.0, 1.0, 0.0, 1.0) if diagonal else (min(xs), max(xs), min(0.0, *ys), max(ys))
    x_high, y_high = _widen(x_low, x_high), _widen(y_low, y_high)

    def x(value: float) -> float:
        return LEFT + (value - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for value in tick_values(y_low, y_high):
        parts.append(f'<path class="grid" d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" class="y">{_number(value, percent)}</text>')
    for value in tick_values(x_low, x_high):
        parts.append(f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 18}" class="x">{_number(value, False)}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" class="x">{escape(x_label)}</text>')
    if diagonal:
        parts.append(f'<path class="grid" d="M{x(0):.1f} {y(0):.1f}L{x(1):.1f} {y(1):.1f}"/>')
    for k, _, points in drawn:
        path = "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in points)
        if len(points) > 1:
            parts.append(f'<path class="curve curve-{k}" d="M{path}"/>')
        if markers or len(points) == 1:
            parts += [f'<circle class="dot curve-{k}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="4"/>' for a, b in points]
    return "".join(parts) + "</svg>"
