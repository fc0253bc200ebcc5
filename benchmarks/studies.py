"""Studies of the bundled readers: decoders on several kinds of text, long lines, accuracy of character positions.

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
from reading import load_real_lines

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LINES = 500  # of each kind of text
DECODERS = ("greedy", "beam-no-lm", "beam")
LENGTH_FACTORS = (1, 2, 3, 4)  # multiples of the length of the longest line of training
NAMES = ["Marta Lindqvist", "Joao Ferreira", "Anneke de Vries", "Siobhan Kelly", "Tomasz Wojcik", "Priya Nair",
         "Oluwaseun Adeyemi", "Katrin Vogel", "Hiroshi Tanaka", "Zuzana Novakova"]  # fmt: skip


def make_random_strings(count: int, alphabet: str) -> list[str]:
    """Draw lines of three to five random words of 2 to 8 letters and digits, which no language model predicts."""
    rng = random.Random(0)
    letters = [c for c in alphabet if c.isalnum()]
    return [
        " ".join("".join(rng.choices(letters, k=rng.randint(2, 8))) for _ in range(rng.randint(3, 5)))
        for _ in range(count)
    ]


def make_names(count: int) -> list[str]:
    """Draw lines of a first name, two last names and a number."""
    rng = random.Random(1)
    parts = [name.split(" ", 1) for name in NAMES]
    return [
        f"{rng.choice(parts)[0]} {rng.choice(parts)[1]} {rng.randint(10, 99_999)} {rng.choice(parts)[1]}"
        for _ in range(count)
    ]


def lines_of_texts(recipe: LinesRecipe, texts: list[str], path: Path) -> LineSet:
    """Open test lines of the recipe with these texts, which are written to `path`."""
    path.write_text("\n".join(f"{text}." for text in texts) + "\n", encoding="utf-8")
    return LineSet(replace(recipe, sentences=(f"text:{path}",)), "test", 0)


def compare_decoders(model: str, recipe: LinesRecipe) -> list[dict[str, Any]]:
    """Measure CER and WER of every decoder on prose, numbers, names, random strings and the real lines."""
    sets: dict[str, tuple[list[Any], list[str]]] = {}  # kind of text -> (images, truths)
    with tempfile.TemporaryDirectory() as folder:
        alphabet = open_line_reader(model).recognizer.info.alphabet
        strings = make_random_strings(12 * LINES, alphabet)
        for kind, lines in {
            "prose": LineSet(replace(recipe, sentences=prose_sources(recipe)), "test", 0),
            "numbers, dates, addresses": LineSet(replace(recipe, sentences=("generated:20000",)), "test", 0),
            "names": lines_of_texts(recipe, make_names(12 * LINES), Path(folder) / "names.txt"),
            "random strings": lines_of_texts(recipe, strings, Path(folder) / "random.txt"),
        }.items():
            composed = [lines.line(index) for index in range(LINES)]
            sets[kind] = [line.image for line in composed], [line.text for line in composed]
    for kind, pairs in load_real_lines().items():
        sets[kind] = [load(path) for path, _ in pairs], [text for _, text in pairs]
    rows = []
    for kind, (images, truths) in sets.items():
        for decoder in DECODERS:
            predictions = [line.text for line in open_line_reader(model, decoder).read_lines(images)]
            result = score(truths, predictions)
            rows.append({"kind": kind, "decoder": decoder, "count": len(truths), "cer": result.cer,
                         "cer_interval": result.cer_interval, "wer": result.wer})  # fmt: skip
            print(f"{kind:28s} {decoder:10s} CER {result.cer:.2%}  WER {result.wer:.2%}", flush=True)
    return rows


def prose_sources(recipe: LinesRecipe) -> tuple[str, ...]:
    """The sentence sources of a recipe without the generated texts."""
    return tuple(source for source in recipe.sentences if not source.startswith("generated"))


def measure_long_lines(model: str, recipe: LinesRecipe) -> list[dict[str, Any]]:
    """Measure the CER of lines up to four times as long as the longest line of training."""
    longest, rows = recipe.length[1], []
    for factor in LENGTH_FACTORS:
        length = (longest * factor - longest // 4, longest * factor)
        # several sentences make one long line
        with tempfile.TemporaryDirectory() as folder:
            source = LineSet(replace(recipe, sentences=prose_sources(recipe), length=(longest, longest)), "test", 0)
            texts = [" ".join(source.text(k * 5 + j) for j in range(5)) for k in range(LINES * 12 // 5)]
            path = Path(folder) / "long.txt"
            path.write_text("\n".join(t.replace(".", ",").replace("!", ",").replace("?", ",") for t in texts))
            lines = LineSet(replace(recipe, sentences=(f"text:{path}",), length=length, start="head"), "test", 0)
            composed = [lines.line(index) for index in range(LINES // factor)]
        composed = [line for line in composed if len(line.text) >= length[0] - 10]
        for decoder in ("greedy", "beam"):
            reader = open_line_reader(model, decoder)
            predictions = [line.text for line in reader.read_lines([line.image for line in composed])]
            result = score([line.text for line in composed], predictions)
            rows.append({"times": factor, "characters": longest * factor, "decoder": decoder, "count": len(composed),
                         "cer": result.cer, "cer_interval": result.cer_interval})  # fmt: skip
            print(
                f"{factor} x {longest} characters, {decoder:6s} CER {result.cer:.2%} ({len(composed)} lines)",
                flush=True,
            )
    return rows


def measure_character_positions(model: str, recipe: LinesRecipe, decoder: str) -> dict[str, float]:
    """Compare the columns of correctly recognized characters with the composer's exact boxes (IoU along the line)."""
    lines, reader = LineSet(recipe, "test", 0), open_line_reader(model, decoder)
    composed = [lines.line(index, boxes=True) for index in range(LINES)]
    overlaps, centre_inside = [], []
    for truth, line in zip(composed, reader.read_lines([line.image for line in composed]), strict=True):
        characters = [c for c in line.characters if c.text != " "]
        for operation in Levenshtein.opcodes(truth.text.replace(" ", ""), [c.text for c in characters]):
            if operation.tag != "equal":
                continue
            boxes = truth.boxes[operation.src_start : operation.src_end]
            for (x0, _, x1, _), c in zip(boxes, characters[operation.dest_start : operation.dest_end], strict=True):
                overlaps.append(max(0.0, min(x1, c.right) - max(x0, c.left)) / (max(x1, c.right) - min(x0, c.left)))
                centre_inside.append(x0 <= (c.left + c.right) / 2 <= x1)
    result = {
        "count": len(overlaps),
        "iou": float(np.mean(overlaps)),
        "median_iou": float(np.median(overlaps)),
        "over_half": float(np.mean(np.array(overlaps) > 0.5)),
        "centre_inside": float(np.mean(centre_inside)),
    }
    print(f"boxes, {decoder}: IoU {result['iou']:.3f}, {result['over_half']:.1%} above one half", flush=True)
    return result


def main() -> None:
    """Run all studies and write results/studies.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="reader", help="the reader of natural lines")
    parser.add_argument("--tiles", default="tiles-byclass", help="the reader of tiles")
    args = parser.parse_args()
    results: dict[str, Any] = {}
    for name, model in (("natural", args.model), ("tiles-byclass", args.tiles)):
        recipe = load_recipe(ROOT / "recipes" / f"{name}.yaml").lines
        print(f"--- {model} on {name}")
        results[name] = {
            "lengths": measure_long_lines(model, recipe),
            "boxes": measure_character_positions(model, recipe, "beam"),
        }
        if name == "natural":
            results[name]["decoders"] = compare_decoders(model, recipe)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "studies.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
