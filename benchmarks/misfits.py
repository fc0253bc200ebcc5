"""Measures how well labels that belong to another picture are found (glyphline.training.misfits).

    make fonts && python benchmarks/misfits.py    # writes benchmarks/results/misfits.json

Lines: hand print and cursive lines of $GLYPHLINE_DATA/photos, and composed test lines of recipes/natural.yaml in each
hand font of recipes/fonts/hand and held-out, each font apart, because a hand that the reader cannot read must not lose
its lines. Each line is taken with its own text, and with that of the next line.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from glyphline.composing.line_sets import LineSet
from glyphline.reading.lines import open_line_reader
from glyphline.reading.recognition.posteriors import Posteriors
from glyphline.recipe import GlyphShare, load_recipe
from glyphline.score import score
from glyphline.training.misfits import MAX_GAP, MIN_SEEN, gap
from pages import LINES as WORDS_AND_LINES
from pages import load_photographs
from reading import RESULTS, ROOT

LINES = 12  # of a font
HARD = 0.3  # CER, from which on a font counts as a hand that the reader cannot read
LIMITS = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0)  # nats a character


def photographs() -> tuple[list[Any], list[str]]:
    """The single lines of hand print and cursive, and their texts."""
    from glyphline.imaging.documents import load

    kinds = ("hand print", "cursive")
    rows = [t for t in load_photographs() if t.kind.startswith(kinds) and t.kind.endswith(WORDS_AND_LINES)]
    return [load(row.path) for row in rows], [" ".join(row.lines) for row in rows]


def font_lines(path: Path) -> tuple[list[Any], list[str]]:
    """Composed lines in one font."""
    lines = load_recipe(ROOT / "recipes" / "natural.yaml").lines
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, folder)
        lines = replace(lines, glyphs=(GlyphShare(f"fonts:{folder}"),), sentences=("built-in",), sentence_weights=None)
        line_set = LineSet(lines, "test")
        composed = [line_set.line(k) for k in range(LINES)]
    return [line.image for line in composed], [line.text for line in composed]


def gaps_of(images: list[Any], texts: list[str]) -> dict[str, Any]:
    """The gaps of the right and of the wrong texts, of lines of which enough is seen."""
    read: list[Posteriors] = reader.recognize(images)
    seen = [k for k, p in enumerate(read) if p.confidence >= MIN_SEEN]
    return {
        "lines": len(read), "seen": len(seen), "cer": score(texts, [p.greedy.text for p in read]).cer,
        "right": [gap(read[k], texts[k]) for k in seen],
        "wrong": [gap(read[k], texts[(k + 1) % len(texts)]) for k in seen],
    }  # fmt: skip


if __name__ == "__main__":
    reader = open_line_reader("photo")
    sets = {"photographs": gaps_of(*photographs())}
    for folder in ("hand", "held-out"):
        for path in sorted((ROOT / "recipes" / "fonts" / folder).glob("*-latin-400-*.woff")):
            sets[path.stem] = gaps_of(*font_lines(path))
    fonts = [row for name, row in sets.items() if name != "photographs"]
    rows = []
    for name, members in (("photographs", [sets["photographs"]]), ("hand fonts", fonts),
                          ("hard hand fonts", [row for row in fonts if row["cer"] > HARD])):  # fmt: skip
        right, wrong = (np.concatenate([row[key] for row in members]) for key in ("right", "wrong"))
        rows.append({
            "set": name, "lines": sum(row["lines"] for row in members), "cer": mean(row["cer"] for row in members),
            "right_named": {str(t): float(np.sum(right > t)) / sum(row["lines"] for row in members) for t in LIMITS},
            "wrong_named": {str(t): float(np.sum(wrong > t)) / sum(row["lines"] for row in members) for t in LIMITS},
        })  # fmt: skip
        print(json.dumps(rows[-1], indent=1))
    (RESULTS / "misfits.json").write_text(json.dumps({"limit": MAX_GAP, "sets": rows}, indent=1) + "\n")
