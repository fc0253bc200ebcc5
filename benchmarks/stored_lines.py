"""Measures the speed of training lines from Parquet files beside composing them, on one core, in the same run.

python benchmarks/stored_lines.py    # medians of five rounds; writes benchmarks/results/stored_lines.json
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import cv2

from composing import BATCH, compose_and_discard, measure_speed, round_lines
from glyphline.composing.line_sets import LineSet
from glyphline.composing.stored_lines import StoredLineSet, write_parquet
from glyphline.recipe import LinesRecipe

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
ROUND_LINES, ROUNDS = 192, 5
RECIPES = {
    "tiles": LinesRecipe(layout="tiles", length=(32, 32), start="head", cut="character", height=28),
    "natural": LinesRecipe(),
}


def main() -> None:
    """Measure both layouts, with glyphs of strokes, print the table and write it to results/stored_lines.json."""
    cv2.setNumThreads(1)
    count = (ROUNDS + 1) * ROUND_LINES
    rows = {}
    for name, recipe in RECIPES.items():
        lines = LineSet(recipe, "train", 0)
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            write_parquet(lines, count, Path(folder))
            written = count / (time.perf_counter() - started)
            size = sum(path.stat().st_size for path in Path(folder).glob("*.parquet")) / count
            stored = StoredLineSet(recipe, "train", 0, Path(folder), count)
            rows[name] = {
                "composed_per_second": _speed(lines), "stored_per_second": _speed(stored),
                "written_per_second": written, "bytes_per_line": size,
            }  # fmt: skip
        print(
            f"{name:8s} composed {rows[name]['composed_per_second']:7.0f} lines/s, from Parquet "
            f"{rows[name]['stored_per_second']:7.0f}, written {written:7.0f}, {size:6.0f} bytes a line"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "stored_lines.json").write_text(json.dumps(rows, indent=1) + "\n")


def _speed(lines: LineSet) -> float:
    """Lines a second as the network's input, in batches, each line once."""
    return measure_speed(
        lambda number: compose_and_discard(lines.canonical_batch, round_lines(number, ROUND_LINES), BATCH),
        ROUND_LINES,
        ROUNDS,
    )


if __name__ == "__main__":
    sys.exit(main())
