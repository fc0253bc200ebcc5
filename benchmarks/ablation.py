"""What each part of the natural lines gains: a small reader trained without it, then read on real lines.

    python benchmarks/reading.py --real runs/real
    python benchmarks/ablation.py              # an hour and a half on one core; resumes; writes results/ablation.json

All are trained on as many lines with the same small network; what is told is the mean of the last epochs' CER on the
real lines, greedy, for a single epoch's is noisy, and on composed lines with nothing left out.
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
from glyphline.training.train import RESULT, train
from studies import prose_of

ROOT = Path(__file__).resolve().parent.parent
RUNS, RESULTS = ROOT / "runs" / "ablation", ROOT / "benchmarks" / "results"
SMALL = ["network.channels=[16,32,64]", "network.features=128", "network.layers=1", "training.batch=32",
         "training.epochs=12", "training.epoch_lines=6400", "training.validation_lines=300",
         "training.learning_rate=0.002", "training.ema_decay=0.998", "training.watch=runs/real"]  # fmt: skip
LAST = 3  # epochs whose mean is told
TEST = 500  # composed lines


NATURAL = load_recipe(ROOT / "recipes" / "natural.yaml").lines


def without(*words: str) -> dict[str, object]:
    """The recipe's glyph sources but those whose names hold one of the words, as a change to its lines."""
    return {"glyphs": tuple(share for share in NATURAL.glyphs if not any(word in share.source for word in words))}


#: what is left out -> the run's name, changes to the recipe's lines
PARTS: dict[str, tuple[str, dict[str, object]]] = {
    "nothing": ("all", {}),
    "handwriting fonts": ("no-hand-fonts", without("fonts/hand")),
    "EMNIST": ("no-emnist", without("emnist")),
    "printed fonts and strokes": ("no-print", without("fonts/print", "strokes")),
    "pens, papers and cameras (all effects)": ("no-effects", {"effects": {}}),
    "numbers, dates, capitals, spelled lines": (
        "no-generated", {"sentences": prose_of(NATURAL), "capitals": 0.0, "letter_spaced": 0.0}
    ),
    "one style a hand (any EMNIST glyph in any line)": ("no-hand", {}),
    "bending every glyph its own way": ("no-bends", {}),
    "bringing long lines level, when read too": ("no-level", {}),
}  # fmt: skip


def recipe_of(run: str, changes: dict[str, object]) -> Recipe:
    recipe = load_recipe(ROOT / "recipes" / "natural.yaml", [f"name={run}", *SMALL])
    lines: LinesRecipe = replace(recipe.lines, **changes)  # type: ignore[arg-type]
    return replace(recipe, lines=lines)


@contextmanager
def left_out(run: str) -> Iterator[None]:
    """What is done in code rather than asked for by the recipe, left out while a run trains and reads."""
    with ExitStack() as changed:
        if run == "no-hand":
            changed.enter_context(mock.patch.object(Emnist, "choose", GlyphSource.choose))
        if run == "no-level":
            changed.enter_context(mock.patch.object(normalization, "LONG", math.inf))
        if run == "no-bends":
            straight = np.zeros((layouts.WARPS, 2, 5, 5), np.float32)
            changed.enter_context(mock.patch.object(layouts, "_bends", lambda: straight))
        yield


def main() -> None:
    os.chdir(ROOT)
    whole = LineSet(recipe_of("all", {}).lines, "test", 0)
    test = [whole.line(index) for index in range(TEST)]
    rows = {}
    for what, (run, changes) in PARTS.items():
        folder = RUNS / run
        with left_out(run):
            if not (folder / RESULT).exists():
                print(what, flush=True)
                train(recipe_of(run, changes), folder, resume=(folder / "last.ckpt").exists(), trackers=("csv",),
                      progress=False)  # fmt: skip
            read = LineReader(open_run(folder)).read_lines([one.image for one in test])
        with (folder / "metrics.csv").open(newline="") as told:
            table = list(csv.DictReader(told))
        real = {
            name: mean([float(r["value"]) for r in table if r["name"] == name][-LAST:])
            for name in ("watch_cer", "watch_cer_loose")
        }
        result = score([one.text for one in test], [line.text for line in read])
        rows[what] = {**real, "composed": result.cer, "composed_interval": result.cer_interval}
        print(f"without {what:50s} real {real['watch_cer']:.2%} / {real['watch_cer_loose']:.2%}  composed "
              f"{result.cer:.2%}", file=sys.stderr, flush=True)  # fmt: skip
        wanted = recipe_of(run, changes).training
        kept = {"lines": wanted.epochs * wanted.epoch_lines, "test": TEST, "rows": rows}
        (RESULTS / "ablation.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
