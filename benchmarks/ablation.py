"""Measures what each part of the composed natural lines contributes: a small reader is trained without it.

    python benchmarks/reading.py --real runs/real
    python benchmarks/ablation.py    # 90 minutes on one core; resumes; writes benchmarks/results/ablation.json

All networks have the same size and see the same number of lines. The CER on the real lines (greedy) varies from epoch
to epoch, so the mean of the last epochs is reported. The composed test lines have all parts.
"""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean
from unittest import mock

import numpy as np

from glyphline.composing import layouts
from glyphline.composing.glyphs import Emnist, GlyphSource
from glyphline.composing.line_sets import LineSet
from glyphline.imaging import normalization
from glyphline.reading.lines import LineReader
from glyphline.recipe import LinesRecipe, Recipe, load_recipe
from glyphline.score import score
from glyphline.training.export import open_run
from glyphline.training.runs import RESULT_FILE
from glyphline.training.train import train
from studies import prose_sources

ROOT = Path(__file__).resolve().parent.parent
RUNS, RESULTS = ROOT / "runs" / "ablation", ROOT / "benchmarks" / "results"
SMALL_NETWORK = [
    "network.channels=[16,32,64]", "network.features=128", "network.layers=1", "training.batch=32",
    "training.epochs=12", "training.epoch_lines=6400", "training.validation_lines=300",
    "training.learning_rate=0.002", "training.ema_decay=0.998", "training.watch=runs/real",
]  # fmt: skip
LAST_EPOCHS = 3  # the mean of their CER on the real lines is reported
TEST_LINES = 500  # composed lines


NATURAL = load_recipe(ROOT / "recipes" / "natural.yaml").lines


def glyphs_without(*words: str) -> dict[str, object]:
    """A change to the recipe's lines that removes the glyph sources whose names contain one of the words."""
    return {"glyphs": tuple(share for share in NATURAL.glyphs if not any(word in share.source for word in words))}


#: part that is left out -> (name of the run, changes to the recipe's lines)
PARTS: dict[str, tuple[str, dict[str, object]]] = {
    "nothing": ("all", {}),
    "handwriting fonts": ("no-hand-fonts", glyphs_without("fonts/hand")),
    "EMNIST": ("no-emnist", glyphs_without("emnist")),
    "printed fonts and strokes": ("no-print", glyphs_without("fonts/print", "strokes")),
    "all effects (pen, paper, camera)": ("no-effects", {"effects": {}}),
    "generated numbers and dates, capitals, letter-spaced lines": (
        "no-generated", {"sentences": prose_sources(NATURAL), "capitals": 0.0, "letter_spaced": 0.0}
    ),
    "writer styles of EMNIST (glyphs chosen at random)": ("no-hand", {}),
    "random bends of each glyph": ("no-bends", {}),
    "levelling of long lines, in training and in reading": ("no-level", {}),
}  # fmt: skip


def make_recipe(run: str, changes: dict[str, object]) -> Recipe:
    """The recipe of natural lines with the small network and changed lines."""
    recipe = load_recipe(ROOT / "recipes" / "natural.yaml", [f"name={run}", *SMALL_NETWORK])
    lines: LinesRecipe = replace(recipe.lines, **changes)  # type: ignore[arg-type]
    return replace(recipe, lines=lines)


@contextmanager
def disable_code(run: str) -> Iterator[None]:
    """Disable the part of a run that no recipe key disables, for training and reading inside the context."""
    with ExitStack() as patches:
        if run == "no-hand":
            patches.enter_context(mock.patch.object(Emnist, "choose", GlyphSource.choose))
        if run == "no-level":
            patches.enter_context(mock.patch.object(normalization, "LEVEL_ASPECT", math.inf))
        if run == "no-bends":
            straight = np.zeros((layouts.WARP_COUNT, 2, 5, 5), np.float32)
            patches.enter_context(mock.patch.object(layouts, "_sample_bends", lambda: straight))
        yield


def main() -> None:
    """Train what is not trained yet, print the table and write it to results/ablation.json after every run."""
    os.chdir(ROOT)
    complete_lines = LineSet(make_recipe("all", {}).lines, "test", 0)
    test = [complete_lines.line(index) for index in range(TEST_LINES)]
    rows = {}
    for part, (run, changes) in PARTS.items():
        folder = RUNS / run
        with disable_code(run):
            if not (folder / RESULT_FILE).exists():
                print(part, flush=True)
                train(make_recipe(run, changes), folder, resume=(folder / "last.ckpt").exists(), trackers=("csv",),
                      progress=False)  # fmt: skip
            lines = LineReader(open_run(folder)).read_lines([line.image for line in test])
        with (folder / "metrics.csv").open(newline="") as file:
            metrics = list(csv.DictReader(file))
        real = {
            name: mean([float(r["value"]) for r in metrics if r["name"] == name][-LAST_EPOCHS:])
            for name in ("watch_cer", "watch_cer_loose")
        }
        result = score([line.text for line in test], [line.text for line in lines])
        rows[part] = {**real, "composed": result.cer, "composed_interval": result.cer_interval}
        print(f"without {part:60s} real {real['watch_cer']:.2%} / {real['watch_cer_loose']:.2%}  composed "
              f"{result.cer:.2%}", file=sys.stderr, flush=True)  # fmt: skip
        training = make_recipe(run, changes).training
        results = {"lines": training.epochs * training.epoch_lines, "test": TEST_LINES, "rows": rows}
        (RESULTS / "ablation.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
