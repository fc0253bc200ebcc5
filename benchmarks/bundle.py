"""Adds the best network of a run to the package, with its model card, and its numbers to benchmarks/results/runs/NAME/.

python benchmarks/bundle.py runs/natural reader          # writes src/glyphline/models/NAME.onnx and NAME.json too
python benchmarks/bundle.py runs/seed seed --numbers     # writes the numbers only
python benchmarks/bundle.py recipes/natural.yaml pp-ocr  # calibrates PP-OCR's recognizer on the lines of a recipe
python benchmarks/bundle.py recipes/tiles.yaml tiles     # measures a bundled model again, where its test lines changed
python benchmarks/bundle.py recipes/tiles.yaml tiles --fit  # fits its language weight and calibration
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from glyphline.composing.line_sets import LineSet
from glyphline.errors import GlyphlineError
from glyphline.reading.lines import LineReader, open_line_reader
from glyphline.reading.recognition.recognizers import PP_OCR, OnnxRecognizer, Recognizer, open_recognizer
from glyphline.recipe import Recipe, load_recipe
from glyphline.score import score
from glyphline.training.calibrate import calibrate, fit_confidence, fit_lm_weight
from glyphline.training.data import LineBatchDataset
from glyphline.training.evaluate import evaluate
from glyphline.training.export import export, open_run, weights_path
from glyphline.training.network import Network, load_network
from glyphline.training.quantize import MEASURED_LINES, compress_weights, quantize
from glyphline.training.train import ctc_loss

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "src" / "glyphline" / "models"
TEST_LINES = 1000  # of the run's own recipe
BATCH = 50
RUN_FILES = ("recipe.yaml", "metrics.csv", "environment.json", "result.json")
LICENCE = "MIT (weights and code); the data named above keep their own terms and are not contained"
#: initial weights -> the licence of what was trained from them
LICENCES = {
    PP_OCR: "Apache-2.0: trained further from the weights of PP-OCRv6's small recognizer (PaddleOCR, Apache-2.0); "
    "the data named above keep their own terms and are not contained"
}
SCORE_KEYS = ("cer", "cer_interval", "wer", "wer_interval", "exact", "normalisation")
DATA = {
    "emnist": "EMNIST (Cohen et al. 2017), the part of the official train files at hand",
    "strokes": "Hershey vectors (A. V. Hershey 1967, public domain) as OpenCV draws them",
    "fonts": "open fonts (SIL OFL 1.1, Apache-2.0) pinned in recipes/fonts/package.json",
    "folder": "a folder of single-character images",
    "wikisplit": "WikiSplit (Botha et al. 2018, CC BY-SA 4.0)",
    "text": "English prose, public domain and Creative Commons, one sentence a line",
    "signs": "generated pseudo-words with the accents and the signs of ten languages",
    "derived": "accents and signs drawn from EMNIST's characters and the Hershey vectors",
    "generated": "generated numbers, dates, names, addresses, codes and single letters",
    "built-in": "the sentences written for this project",
}


def evaluate_recognizer(path: Path, name: str, recognizer: Recognizer) -> dict[str, Any]:
    """CER, WER and mean CTC loss (nats a line) on TEST_LINES test lines of the recipe at a path.

    The glyphs and sentences of the test lines are not in the training lines. name: of the model, for the card.
    """
    scores = {}
    for spec in ("greedy", "beam"):
        reader = open_line_reader(recognizer, spec)
        scores[spec] = evaluate(str(path), reader, model=name, decoder=spec, split="test", count=TEST_LINES).to_dict()
    recipe = load_recipe(path)
    data = LineBatchDataset(LineSet(recipe.lines, "test", recipe.training.seed))
    loss = 0.0
    for start in range(0, TEST_LINES, BATCH):
        batch = data[list(range(start, start + BATCH))]
        log_probs = torch.from_numpy(recognizer.log_probs(batch.lines.numpy()))
        steps = torch.tensor([min(log_probs.shape[1], recognizer.info.steps(int(w))) for w in batch.widths])
        loss += float(ctc_loss(log_probs, batch, steps))
    options = f"--model {name} --count {TEST_LINES} --decoder greedy|beam"
    return {
        "lines": f"{TEST_LINES} lines of the recipe's test split: unseen glyphs, unseen sentences",
        "command": f"glyphline evaluate {os.path.relpath(path, ROOT)} {options}",
        **{spec: {k: v for k, v in result.items() if k in SCORE_KEYS} for spec, result in scores.items()},
        "loss": loss / TEST_LINES,
    }


def evaluate_greedy(path: Path, recipe: Recipe) -> float:
    """CER of an ONNX model on validation lines of a recipe, read greedily."""
    images, truths = LineSet(recipe.lines, "val", recipe.training.seed).canonical_batch(range(MEASURED_LINES))
    return score(truths, [decoded.text for decoded in LineReader(OnnxRecognizer(path)).decode_all(images)]).cer


def main() -> None:
    """Write the files of a run that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder, or a recipe")
    parser.add_argument("name", help="the name of the model")
    parser.add_argument("--numbers", action="store_true", help="write the numbers only, not the model and its card")
    parser.add_argument("--fit", action="store_true", help="fit a bundled model's weight of the language model anew")
    args = parser.parse_args()
    if args.name == PP_OCR:
        write_pp_ocr_card(args.run)
        return
    if args.run.is_file():
        measure_again(args.run, args.name, args.fit)
        return
    network, info = load_network(weights_path(args.run))
    results = ROOT / "benchmarks" / "results" / "runs" / args.name
    results.mkdir(parents=True, exist_ok=True)
    for file in RUN_FILES:
        if (args.run / file).exists():
            shutil.copy(args.run / file, results / file)
    if args.numbers:
        test = evaluate_recognizer(results / "recipe.yaml", args.name, open_run(args.run))
    else:
        out = MODELS / f"{args.name}.onnx"
        difference = export(args.run, out)
        try:
            cost = quantize(out, out, network.recipe)
            print(f"8-bit quantization: validation CER {cost.before:.2%} -> {cost.after:.2%}")
        except GlyphlineError as error:
            before = evaluate_greedy(out, network.recipe)
            compress_weights(out, out, bits=8)
            print(f"{error}; weights alone in 8 bits: CER {before:.2%} -> {evaluate_greedy(out, network.recipe):.2%}")
        fitted = fit_decoding(out, network.recipe)
        test = evaluate_recognizer(results / "recipe.yaml", args.name, OnnxRecognizer(out)) | fitted
        write_card(args.name, out, network, info, test, difference)
        print(f"{out}: {out.stat().st_size / 2**20:.1f} MB")
    (results / "test.json").write_text(json.dumps(test, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(test, indent=1))


def fit_decoding(path: Path, recipe: Recipe) -> dict[str, Any]:
    """Fit a model's weight of the language model, then its calibration. Returns what the card says of both."""
    cers = fit_lm_weight(path, recipe)
    print("CER of validation lines by the weight of the language model:", cers)
    reports = calibrate(path, recipe)
    return {
        "lm_weight": OnnxRecognizer(path).info.lm_weight,
        "validation_cer_by_lm_weight": cers,
        "calibration": {decoder: asdict(report) for decoder, report in reports.items()},
    }


def measure_again(path: Path, name: str, fit: bool) -> None:
    """Write the CER and the loss of a bundled model on the test lines of a recipe.

    Its weight of the language model and its calibration stay, or are fitted anew (`fit`).
    """
    card_path, numbers = MODELS / f"{name}.json", ROOT / "benchmarks" / "results" / "runs" / name / "test.json"
    card, model = json.loads(card_path.read_text(encoding="utf-8")), card_path.with_suffix(".onnx")
    if fit:
        card["test"] |= fit_decoding(model, load_recipe(path))
    card["test"] |= evaluate_recognizer(path, name, OnnxRecognizer(model))
    card_path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    numbers.write_text(json.dumps(card["test"], indent=1) + "\n", encoding="utf-8")
    print(json.dumps({spec: card["test"][spec] for spec in ("greedy", "beam")}, indent=1))


def write_pp_ocr_card(recipe: Path) -> None:
    """Calibrate PP-OCR's recognizer on the lines of a recipe and write its card. The network stays in its own wheel."""
    weights, reports = fit_confidence(open_recognizer(PP_OCR), load_recipe(recipe), TEST_LINES)
    card = {
        "name": PP_OCR,
        "about": "PP-OCR's recognizer (PaddleOCR, Apache-2.0), loaded from the wheel of rapidocr; not contained here",
        "calibration": weights,
        "test": {
            "lines": f"{TEST_LINES} lines of the test split of {recipe}",
            "calibration": {decoder: asdict(report) for decoder, report in reports.items()},
        },
    }
    (MODELS / f"{PP_OCR}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    print({decoder: report.after for decoder, report in reports.items()})


def write_card(
    name: str, out: Path, network: Network, info: dict[str, Any], test: dict[str, Any], difference: float
) -> None:
    """Write the model card beside an .onnx file.

    info: what was saved with the weights, see `load_network`. test: of `evaluate_recognizer`. difference: the largest
    one between the outputs of the ONNX model and of torch.
    """
    recipe = network.recipe
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    kinds = [s.source.replace("/", ":").partition(":")[0] for s in recipe.lines.glyphs]
    kinds += [s.partition(":")[0] for s in recipe.lines.sentences]
    card = {
        "name": name,
        "about": recipe.about.strip(),
        "alphabet": network.alphabet.characters,
        "height": recipe.lines.height,
        "stride": network.stride,
        "parameters": network.parameter_count(),
        "bytes": out.stat().st_size,
        "recipe": recipe.to_dict(),
        "data": [DATA[k] for k in dict.fromkeys(kinds)],
        "seed": recipe.training.seed,
        "commit": commit.stdout.strip(),
        "steps": int(info["step"]),
        "validation": {k: info[k] for k in ("val_loss", "val_cer", "val_wer", "val_exact")},
        "test": test,
        "largest_difference_from_torch": difference,
        "licence": LICENCES.get(recipe.training.initial_weights or "", LICENCE),
        "limits": "One line of Latin text an image; joined handwriting has a higher error rate than print.",
    }
    (MODELS / f"{name}.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
