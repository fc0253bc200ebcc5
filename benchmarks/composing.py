"""Lines composed a second on one core, beside the report's own per-character loop in the same run.

python benchmarks/composing.py        # the median of five rounds each; writes benchmarks/results/composing.json
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from glyphline.composing.line_sets import LineSet
from glyphline.errors import UserError
from glyphline.recipe import GlyphShare, LinesRecipe, load_recipe

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def rate(act: Callable[[int], object], lines: int, rounds: int = 5) -> float:
    """Median lines a second; round r composes lines r * lines onwards, so nothing is seen twice."""
    act(-1)
    speeds = []
    for r in range(rounds):
        started = time.perf_counter()
        act(r)
        speeds.append(lines / (time.perf_counter() - started))
    return statistics.median(speeds)


def streamed(compose: Callable[..., object], lines: range, batch: int = 0) -> None:
    """Compose lines one by one or in batches and let them go, as a training does."""
    for start in range(lines.start, lines.stop, batch or 1):
        compose(range(start, start + batch) if batch else start)


def report_loop(lines: LineSet, start: int, count: int) -> np.ndarray:
    """The report's way, written from its description: float64 lines, for every character a random choice among the
    list of its images' positions, the tile added at its place. Its notebook took 148 s for 4,000 lines."""
    bank, positions = lines.pool.sources[0].tiles(lines.split), _positions(lines)
    out = np.zeros((count, 28, 28 * 32), np.float64)
    for row, index in enumerate(range(start, start + count)):
        line = np.zeros((28, 28 * 32), np.float64)
        for place, character in enumerate(lines.text(index)[:32].ljust(32)):
            if character != " ":
                chosen = np.random.choice(positions[character])
                line[:, 28 * place : 28 * (place + 1)] = bank.images[chosen]
        out[row] += line
    return out


@lru_cache(maxsize=1)
def _positions(lines: LineSet) -> dict[str, list[int]]:
    bank = lines.pool.sources[0].tiles(lines.split)
    return {c: list(range(bank.offsets[k], bank.offsets[k + 1])) for k, c in enumerate(bank.characters)}


def main() -> None:
    cv2.setNumThreads(1)
    try:
        tiles = LineSet(load_recipe(ROOT / "recipes" / "seed.yaml").lines, "test", 0)
        glyphs = "emnist/bymerge, wikisplit"
    except UserError:
        tiles = LineSet(
            LinesRecipe(layout="tiles", length=(32, 32), start="head", cut="character", height=28), "test", 0
        )
        glyphs = "strokes, built-in (no EMNIST here)"
    shares = (GlyphShare("emnist/byclass", 0.7), GlyphShare("strokes", 0.3))
    try:
        natural, natural_glyphs = LineSet(LinesRecipe(glyphs=shares), "test", 0), "emnist/byclass 0.7, strokes 0.3"
    except UserError:
        natural, natural_glyphs = LineSet(LinesRecipe(), "test", 0), "strokes"
    batch, many, few = 64, 6400, 100
    rows = {
        "tiles": rate(lambda r: streamed(tiles.canonical_batch, range((r + 1) * many, (r + 2) * many), batch), many),
        "tiles, the report's loop": rate(lambda r: report_loop(tiles, (r + 1) * few, few), few),
        "natural, photograph": rate(lambda r: streamed(natural.line, range((r + 1) * few, (r + 2) * few)), few),
        "natural, as the network sees it": rate(
            lambda r: streamed(natural.canonical_line, range((r + 1) * few, (r + 2) * few)), few
        ),
    }
    ratio = rows["tiles"] / rows["tiles, the report's loop"]
    for name, value in rows.items():
        print(f"{name:36s} {value:10.0f} lines/s on one core")
    print(f"tiles / the report's loop {ratio:21.1f} x   ({glyphs}; natural: {natural_glyphs})")
    RESULTS.mkdir(exist_ok=True)
    kept = {"lines_per_second": rows, "ratio_to_report": ratio, "tiles": glyphs, "natural": natural_glyphs}
    (RESULTS / "composing.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
