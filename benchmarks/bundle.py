"""Put a run's best network into the package with its model card, and its numbers into benchmarks/results/runs/NAME/.

python benchmarks/bundle.py runs/natural reader       # also src/glyphline/models/NAME.onnx and NAME.json
python benchmarks/bundle.py runs/seed seed --numbers  # the numbers alone
python benchmarks/bundle.py recipes/natural.yaml pp-ocr  # how sure PP-OCR's recognizer may be, on a recipe's lines
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from glyphline.composing.line_sets import LineSet
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.decoders import open_decoder
from glyphline.reading.recognition.recognizers import PP_OCR, OnnxRecognizer, Recognizer, alphabet_of, open_recognizer
from glyphline.recipe import load_recipe
from glyphline.training.calibrate import calibrate, fit_confidence
from glyphline.training.data import LineBatches
from glyphline.training.evaluate import evaluate
from glyphline.training.export import export, open_run, weights_of
from glyphline.training.network import Network, load_network
from glyphline.training.quantize import quantize
from glyphline.training.train import ctc_loss

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "src" / "glyphline" / "models"
LINES = 1000  # test lines of the run's own recipe
DATA = {
    "emnist": "EMNIST (Cohen et al. 2017), the part of the official train files at hand",
    "strokes": "Hershey vectors (A. V. Hershey 1967, public domain) as OpenCV draws them",
    "fonts": "open fonts (SIL OFL 1.1, Apache-2.0) pinned in recipes/fonts/package.json",
    "folder": "a folder of single-character images",
    "wikisplit": "WikiSplit (Botha et al. 2018, CC BY-SA 4.0)",
    "text": "English prose, public domain and Creative Commons, one sentence a line",
    "generated": "generated numbers, dates, names, addresses, codes and single letters",
    "built-in": "the sentences written for this project",
}


def tested(run: Path, name: str, recognizer: Recognizer) -> dict[str, Any]:
    """CER, WER and CTC loss (nats a line) on test lines of the run's recipe: unseen glyphs, unseen sentences."""
    scored = {}
    for spec in ("greedy", "beam"):
        reader = LineReader(recognizer, open_decoder(spec, alphabet_of(recognizer)))
        scored[spec] = evaluate(
            str(run / "recipe.yaml"), reader, model=name, decoder=spec, split="test", count=LINES
        ).to_dict()
    recipe = load_recipe(run / "recipe.yaml")
    data = LineBatches(LineSet(recipe.lines, "test", recipe.training.seed))
    loss = 0.0
    for start in range(0, LINES, 50):
        batch = data[list(range(start, start + 50))]
        log_probs = torch.from_numpy(recognizer.log_probs(batch.lines.numpy()))
        steps = torch.tensor([min(log_probs.shape[1], recognizer.info.steps(int(w))) for w in batch.widths])
        loss += float(ctc_loss(log_probs, batch, steps))
    kept = ("cer", "cer_interval", "wer", "wer_interval", "exact", "normalisation")
    return {
        "lines": f"{LINES} lines of the recipe's test split: unseen glyphs, unseen sentences",
        "command": f"glyphline evaluate RUN/recipe.yaml --model {name} --count {LINES} --decoder greedy|beam",
        **{spec: {k: v for k, v in one.items() if k in kept} for spec, one in scored.items()},
        "loss": loss / LINES,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path)
    options.add_argument("name")
    options.add_argument("--numbers", action="store_true", help="leave the package as it is")
    chosen = options.parse_args()
    if chosen.name == PP_OCR:
        write_photo_card(chosen.run)
        return
    network, info = load_network(weights_of(chosen.run))
    kept = ROOT / "benchmarks" / "results" / "runs" / chosen.name
    kept.mkdir(parents=True, exist_ok=True)
    for name in ("recipe.yaml", "metrics.csv", "environment.json", "result.json"):
        if (chosen.run / name).exists():
            shutil.copy(chosen.run / name, kept / name)
    if chosen.numbers:
        test = tested(chosen.run, chosen.name, open_run(chosen.run))
    else:
        out = MODELS / f"{chosen.name}.onnx"
        difference = export(chosen.run, out)
        cost = quantize(out, out, network.recipe)
        print(f"in eight bits: validation CER {cost.before:.2%} -> {cost.after:.2%}")
        sure = calibrate(out, network.recipe)
        test = tested(chosen.run, chosen.name, OnnxRecognizer(out))
        test["calibration"] = {kind: asdict(one) for kind, one in sure.items()}
        write_card(chosen.name, out, network, info, test, difference)
        print(f"{out}: {out.stat().st_size / 2**20:.1f} MB")
    (kept / "test.json").write_text(json.dumps(test, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(test, indent=1))


def write_photo_card(recipe: Path) -> None:
    """The card of PP-OCR's recognizer, which is not ours and stays in its own wheel: how sure it may be."""
    fitted, measured = fit_confidence(open_recognizer(PP_OCR), load_recipe(recipe), LINES)
    card = {
        "name": PP_OCR,
        "about": "PP-OCR's recognizer (PaddleOCR, Apache-2.0) as the wheel of rapidocr carries it; not contained here",
        "calibration": fitted,
        "test": {
            "lines": f"{LINES} lines of the test split of {recipe}",
            "calibration": {kind: asdict(one) for kind, one in measured.items()},
        },
    }
    (MODELS / f"{PP_OCR}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    print({kind: one.after for kind, one in measured.items()})


def write_card(
    name: str, out: Path, network: Network, info: dict[str, Any], test: dict[str, Any], difference: float
) -> None:
    """The model card beside the .onnx file."""
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
        "licence": "MIT (weights and code); the data named above keep their own terms and are not contained",
        "limits": "One line of Latin text an image; joined handwriting is read worse than print.",
    }
    (MODELS / f"{name}.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
