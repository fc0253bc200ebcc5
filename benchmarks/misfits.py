"""Measures how well labels that belong to another picture are found (glyphline.training.misfits).

    make fonts && python benchmarks/misfits.py    # writes benchmarks/results/misfits.json

Lines: hand print and cursive lines of $GLYPHLINE_DATA/photos, and composed test lines of recipes/natural.yaml in each
hand font of recipes/fonts/hand and held-out, each font apart, because a hand that the reader cannot read must not lose
its lines. Each line is taken with its own text, and with that of the next line, as in a list of labels that is shifted.
"""

from __future__ import annotations

import json
import math
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
from glyphline.training.misfits import MAX_GAP, MAX_LEAD, MIN_SEEN, gaps, neighbours_of
from pages import LINES as WORDS_AND_LINES
from pages import load_photographs
from reading import RESULTS, ROOT

LINES = 12  # of a font
HARD = 0.3  # CER, from which on a font counts as a hand that the reader cannot read
GAPS = (4.0, 6.0, 8.0)  # nats a character: limits of the gap alone
LEADS = (0.5, 1.0, 2.0, 3.0)  # limits of the lead, beside MAX_GAP


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
    """The gaps and the leads of the right and of the wrong texts; the gap is 0 where too little is seen.

    Lines that are too narrow for their text are left out: `adapt` names them apart.
    """
    read: list[Posteriors] = reader.recognize(images)
    wide = [k for k, posteriors in enumerate(read) if math.isfinite(gaps(posteriors, [texts[k]])[0])]
    read, texts = [read[k] for k in wide], [texts[k] for k in wide]
    measured: dict[str, Any] = {"lines": len(read), "cer": score(texts, [p.greedy.text for p in read]).cer}
    for kind, labels in (("right", texts), ("wrong", texts[1:] + texts[:1])):
        rows = []
        for k, posteriors in enumerate(read):
            own, *others = gaps(posteriors, [labels[k], *neighbours_of(labels, k)])
            rows.append((own if posteriors.confidence >= MIN_SEEN else 0.0, own - min(others)))
        measured[kind] = rows
    return measured


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
        row = {"set": name, "lines": sum(m["lines"] for m in members), "cer": mean(m["cer"] for m in members)}
        for kind in ("right", "wrong"):
            gap, lead = np.concatenate([m[kind] for m in members]).T
            row[f"{kind}_named"] = {
                **{f"gap {limit}": float(np.mean(gap > limit)) for limit in GAPS},
                **{f"gap {MAX_GAP} or lead {t}": float(np.mean((gap > MAX_GAP) | (lead > t))) for t in LEADS},
            }
        rows.append(row)
        print(json.dumps(row, indent=1))
    limits = {"gap": MAX_GAP, "lead": MAX_LEAD}
    (RESULTS / "misfits.json").write_text(json.dumps({"limits": limits, "sets": rows}, indent=1) + "\n")
