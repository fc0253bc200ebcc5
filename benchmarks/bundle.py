"""Put a run's best network into the package with its model card.

    python benchmarks/bundle.py runs/natural reader

Writes src/glyphline/models/NAME.onnx and NAME.json; copies the run's numbers to benchmarks/results/runs/NAME/.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path

from glyphline.learning.evaluate import evaluate
from glyphline.learning.export import export, weights_of
from glyphline.learning.network import load_network
from glyphline.reading.engines import OnnxEngine
from glyphline.reading.reader import Reader

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "src" / "glyphline" / "models"
LINES = 1000  # test lines of the run's own recipe
DATA = {
    "emnist": "EMNIST (Cohen et al. 2017), the part of the official train files at hand",
    "strokes": "Hershey vectors (A. V. Hershey 1967, public domain) as OpenCV draws them",
    "fonts": "open fonts (SIL OFL 1.1, Apache-2.0) pinned in recipes/fonts/package.json",
    "folder": "a folder of single-character pictures",
    "wikisplit": "WikiSplit (Botha et al. 2018, CC BY-SA 4.0)",
    "text": "English prose, public domain and Creative Commons, one sentence a line",
    "built-in": "the sentences written for this project",
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run", type=Path)
    options.add_argument("name")
    chosen = options.parse_args()
    out = MODELS / f"{chosen.name}.onnx"
    difference = export(chosen.run, out)
    network, facts = load_network(weights_of(chosen.run))
    recipe = network.recipe
    scored = evaluate(
        str(chosen.run / "recipe.yaml"), Reader(OnnxEngine(out)), model=chosen.name, split="test", count=LINES
    )
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    kinds = [s.source.replace("/", ":").partition(":")[0] for s in recipe.lines.glyphs]
    kinds += [s.partition(":")[0] for s in recipe.lines.sentences]
    card = {
        "name": chosen.name,
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
        "steps": int(facts["step"]),
        "validation": {k: facts[k] for k in ("val_loss", "val_cer", "val_wer", "val_exact")},
        "test": {
            "lines": f"{LINES} lines of the recipe's test split: unseen glyphs, unseen sentences",
            "command": f"glyphline evaluate RUN/recipe.yaml --model {chosen.name} --count {LINES}",
            **{
                k: v
                for k, v in scored.to_dict().items()
                if k in ("cer", "cer_interval", "wer", "exact", "normalisation")
            },
        },
        "largest_difference_from_torch": difference,
        "licence": "MIT (weights and code); the data named above keep their own terms and are not contained",
        "limits": "One line of Latin text a picture; joined handwriting is read worse than print.",
    }
    (MODELS / f"{chosen.name}.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    kept = ROOT / "benchmarks" / "results" / "runs" / chosen.name
    kept.mkdir(parents=True, exist_ok=True)
    for name in ("recipe.yaml", "metrics.csv", "environment.json", "result.json"):
        if (chosen.run / name).exists():
            shutil.copy(chosen.run / name, kept / name)
    print(f"{out}: {out.stat().st_size / 2**20:.1f} MB; {scored.score}")


if __name__ == "__main__":
    main()
