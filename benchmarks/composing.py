"""Measures the speed of composing on one core, beside the per-character loop of the W&B report, in the same run.

python benchmarks/composing.py    # medians of five rounds; writes benchmarks/results/composing.json
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
BATCH = 64
TILE_LINES, FEW_LINES = 6400, 100  # lines a round; few of those that are slow
REPORT_LOOP = "tiles, loop of the W&B report"


def measure_speed(compose_round: Callable[[int], object], lines: int, rounds: int = 5) -> float:
    """The median of the lines a second of several rounds.

    compose_round: composes `lines` lines, other ones for each round number. Round -1 warms up and is not timed.
    """
    compose_round(-1)
    speeds = []
    for number in range(rounds):
        started = time.perf_counter()
        compose_round(number)
        speeds.append(lines / (time.perf_counter() - started))
    return statistics.median(speeds)


def compose_and_discard(compose: Callable[..., object], lines: range, batch: int = 0) -> None:
    """Compose lines one by one, or in batches with batch > 0, and keep none, as training does."""
    for start in range(lines.start, lines.stop, batch or 1):
        compose(range(start, start + batch) if batch else start)


def run_report_loop(lines: LineSet, start: int, count: int) -> np.ndarray:
    """Compose lines with the loop of the W&B report, written from its description: float64 (count, 28, 896).

    For every character it chooses a position among those of the character's images and adds the tile to the line. The
    notebook of the report took 148 s for 4,000 lines.
    """
    bank, positions = lines.pool.sources[0].tiles(lines.split), _positions(lines)
    out = np.zeros((count, 28, 28 * 32), np.float64)
    for row, index in enumerate(range(start, start + count)):
        line = np.zeros((28, 28 * 32), np.float64)
        for column, character in enumerate(lines.text(index)[:32].ljust(32)):
            if character != " ":
                position = np.random.choice(positions[character])
                line[:, 28 * column : 28 * (column + 1)] = bank.images[position]
        out[row] += line
    return out


@lru_cache(maxsize=1)
def _positions(lines: LineSet) -> dict[str, list[int]]:
    """Character -> the positions of its images in the tile bank."""
    bank = lines.pool.sources[0].tiles(lines.split)
    return {c: list(range(bank.offsets[k], bank.offsets[k + 1])) for k, c in enumerate(bank.characters)}


def round_lines(number: int, count: int) -> range:
    """The line numbers of a round."""
    return range((number + 1) * count, (number + 2) * count)


def main() -> None:
    """Measure tiles and natural lines, print the table and write it to results/composing.json."""
    cv2.setNumThreads(1)
    try:
        tiles = LineSet(load_recipe(ROOT / "recipes" / "seed.yaml").lines, "test", 0)
        tile_data = "emnist/bymerge, wikisplit"
    except UserError:
        tiles = LineSet(
            LinesRecipe(layout="tiles", length=(32, 32), start="head", cut="character", height=28), "test", 0
        )
        tile_data = "strokes, built-in (EMNIST is not available)"
    shares = (GlyphShare("emnist/byclass", 0.7), GlyphShare("strokes", 0.3))
    try:
        natural, natural_data = LineSet(LinesRecipe(glyphs=shares), "test", 0), "emnist/byclass 0.7, strokes 0.3"
    except UserError:
        natural, natural_data = LineSet(LinesRecipe(), "test", 0), "strokes"
    speeds = {
        "tiles": measure_speed(
            lambda r: compose_and_discard(tiles.canonical_batch, round_lines(r, TILE_LINES), BATCH), TILE_LINES
        ),
        REPORT_LOOP: measure_speed(lambda r: run_report_loop(tiles, (r + 1) * FEW_LINES, FEW_LINES), FEW_LINES),
        "natural, line image as composed": measure_speed(
            lambda r: compose_and_discard(natural.line, round_lines(r, FEW_LINES)), FEW_LINES
        ),
        "natural, normalised line image": measure_speed(
            lambda r: compose_and_discard(natural.canonical_line, round_lines(r, FEW_LINES)), FEW_LINES
        ),
    }
    ratio = speeds["tiles"] / speeds[REPORT_LOOP]
    for name, speed in speeds.items():
        print(f"{name:36s} {speed:10.0f} lines/s on one core")
    print(f"tiles / loop of the W&B report {ratio:16.1f} x   (tiles: {tile_data}; natural: {natural_data})")
    RESULTS.mkdir(exist_ok=True)
    results = {"lines_per_second": speeds, "ratio_to_report": ratio, "tiles": tile_data, "natural": natural_data}
    (RESULTS / "composing.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
