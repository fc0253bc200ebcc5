"""The bundled readers looked at closer: decoders on several kinds of text, long lines, boxes, confidence.

python benchmarks/studies.py [--model FILE] [--tiles FILE]    # writes benchmarks/results/studies.json
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from glyphline.composing.line_sets import LineSet
from glyphline.imaging.documents import load
from glyphline.reading.lines import open_line_reader
from glyphline.recipe import LinesRecipe, load_recipe
from glyphline.score import score
from reading import real_lines

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LINES = 500  # of each kind
DECODERS_SHOWN = ("greedy", "beam-alone", "beam")
TIMES = (1, 2, 3, 4)  # the longest line of training
NAMES = ["Marta Lindqvist", "Joao Ferreira", "Anneke de Vries", "Siobhan Kelly", "Tomasz Wojcik", "Priya Nair",
         "Oluwaseun Adeyemi", "Katrin Vogel", "Hiroshi Tanaka", "Zuzana Novakova"]  # fmt: skip


def random_strings(count: int, alphabet: str) -> list[str]:
    """Words of 2 to 8 characters that no language model expects, three to five a line."""
    rng = random.Random(0)
    letters = [c for c in alphabet if c.isalnum()]
    return [
        " ".join("".join(rng.choices(letters, k=rng.randint(2, 8))) for _ in range(rng.randint(3, 5)))
        for _ in range(count)
    ]


def names(count: int) -> list[str]:
    """Two names and a number, such as forms hold."""
    rng = random.Random(1)
    parts = [name.split(" ", 1) for name in NAMES]
    return [
        f"{rng.choice(parts)[0]} {rng.choice(parts)[1]} {rng.randint(10, 99_999)} {rng.choice(parts)[1]}"
        for _ in range(count)
    ]


def order_regions(recipe: LinesRecipe, texts: list[str], path: Path) -> LineSet:
    """The recipe's lines saying these texts, kept in a file meanwhile, in test glyphs."""
    path.write_text("\n".join(f"{text}." for text in texts) + "\n", encoding="utf-8")
    return LineSet(replace(recipe, sentences=(f"text:{path}",)), "test", 0)


def decoders(model: str, recipe: LinesRecipe) -> list[dict[str, Any]]:
    """CER and WER of every decoder on prose, numbers, names, random strings, and the real lines."""
    kinds: dict[str, tuple[list[Any], list[str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        alphabet = open_line_reader(model).recognizer.info.alphabet
        for kind, lines in {
            "prose": LineSet(replace(recipe, sentences=prose_of(recipe)), "test", 0),
            "numbers, dates, addresses": LineSet(replace(recipe, sentences=("generated:20000",)), "test", 0),
            "names": order_regions(recipe, names(12 * LINES), Path(folder) / "names.txt"),
            "random strings": order_regions(recipe, random_strings(12 * LINES, alphabet), Path(folder) / "random.txt"),
        }.items():
            made = [lines.line(index) for index in range(LINES)]
            kinds[kind] = [one.image for one in made], [one.text for one in made]
    for kind, pairs in real_lines().items():
        kinds[kind] = [load(path) for path, _ in pairs], [text for _, text in pairs]
    rows = []
    for kind, (images, texts) in kinds.items():
        for decoder in DECODERS_SHOWN:
            read = [line.text for line in open_line_reader(model, decoder).read_lines(images)]
            result = score(texts, read)
            rows.append({"kind": kind, "decoder": decoder, "count": len(texts), "cer": result.cer,
                         "cer_interval": result.cer_interval, "wer": result.wer})  # fmt: skip
            print(f"{kind:28s} {decoder:10s} CER {result.cer:.2%}  WER {result.wer:.2%}", flush=True)
    return rows


def prose_of(recipe: LinesRecipe) -> tuple[str, ...]:
    return tuple(source for source in recipe.sentences if not source.startswith("generated"))


def lengths(model: str, recipe: LinesRecipe) -> list[dict[str, Any]]:
    """CER on lines up to four times as long as those of training."""
    longest, rows = recipe.length[1], []
    for times in TIMES:
        wanted = (longest * times - longest // 4, longest * times)
        # several sentences make one long line
        with tempfile.TemporaryDirectory() as folder:
            source = LineSet(replace(recipe, sentences=prose_of(recipe), length=(longest, longest)), "test", 0)
            texts = [" ".join(source.text(k * 5 + j) for j in range(5)) for k in range(LINES * 12 // 5)]
            path = Path(folder) / "long.txt"
            path.write_text("\n".join(t.replace(".", ",").replace("!", ",").replace("?", ",") for t in texts))
            lines = LineSet(replace(recipe, sentences=(f"text:{path}",), length=wanted, start="head"), "test", 0)
            made = [lines.line(index) for index in range(LINES // times)]
        made = [one for one in made if len(one.text) >= wanted[0] - 10]
        for decoder in ("greedy", "beam"):
            read = [line.text for line in open_line_reader(model, decoder).read_lines([one.image for one in made])]
            result = score([one.text for one in made], read)
            rows.append({"times": times, "characters": longest * times, "decoder": decoder, "count": len(made),
                         "cer": result.cer, "cer_interval": result.cer_interval})  # fmt: skip
            print(f"{times} x {longest} characters, {decoder:6s} CER {result.cer:.2%} ({len(made)} lines)", flush=True)
    return rows


def boxes(model: str, recipe: LinesRecipe, decoder: str) -> dict[str, float]:
    """How well the columns of rightly read characters overlap with the composer's exact ones."""
    lines, reader = LineSet(recipe, "test", 0), open_line_reader(model, decoder)
    made = [lines.line(index, boxes=True) for index in range(LINES)]
    overlaps, inside = [], []
    for one, line in zip(made, reader.read_lines([m.image for m in made]), strict=True):
        told = [c for c in line.characters if c.text != " "]
        for part in Levenshtein.opcodes(one.text.replace(" ", ""), [c.text for c in told]):
            if part.tag != "equal":
                continue
            exact = one.boxes[part.src_start : part.src_end]
            for (x0, _, x1, _), c in zip(exact, told[part.dest_start : part.dest_end], strict=True):
                overlaps.append(max(0.0, min(x1, c.right) - max(x0, c.left)) / (max(x1, c.right) - min(x0, c.left)))
                inside.append(x0 <= (c.left + c.right) / 2 <= x1)
    found = {
        "count": len(overlaps),
        "iou": float(np.mean(overlaps)),
        "median_iou": float(np.median(overlaps)),
        "over_half": float(np.mean(np.array(overlaps) > 0.5)),
        "centre_inside": float(np.mean(inside)),
    }
    print(f"boxes, {decoder}: IoU {found['iou']:.3f}, {found['over_half']:.1%} above one half", flush=True)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="reader")
    options.add_argument("--tiles", default="tiles-byclass")
    chosen = options.parse_args()
    out: dict[str, Any] = {}
    for name, model in (("natural", chosen.model), ("tiles-byclass", chosen.tiles)):
        recipe = load_recipe(ROOT / "recipes" / f"{name}.yaml").lines
        print(f"--- {model} on {name}")
        out[name] = {"lengths": lengths(model, recipe), "boxes": boxes(model, recipe, "beam")}
        if name == "natural":
            out[name]["decoders"] = decoders(model, recipe)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "studies.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
