"""The figures of the W&B report, made anew: python docs/figures.py (make figures), into docs/figures/.

Fig 1 a view of the training images, Fig 2 an integer encoding, Fig 3 the model summary, then the training curves of the
runs whose numbers are kept in benchmarks/results/runs/, predictions of the bundled readers, and what
benchmarks/studies.py found: long lines, and whether confidence means what it says.

Drawn from what is embedded (strokes and the built-in sentences), so that they can be committed. With --data they are
drawn from EMNIST and WikiSplit, as the report's were, into docs/figures/data/, which git ignores.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.ticker import PercentFormatter

from glyphline.composing.fetch import data_folder
from glyphline.composing.line_sets import LineSet, contact_sheet
from glyphline.errors import UserError
from glyphline.imaging.documents import load
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.recognizers import bundled_card, bundled_names, open_recognizer
from glyphline.recipe import GlyphShare, LinesRecipe, load_recipe, recipe_from
from glyphline.score import character_error_rate
from glyphline.training.network import Network

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "figures"
RESULTS = ROOT / "benchmarks" / "results"
RUNS = RESULTS / "runs"


def embedded(recipe: LinesRecipe) -> LinesRecipe:
    """The same lines of what is embedded."""
    return replace(recipe, glyphs=(GlyphShare("strokes"),), sentences=("built-in",), sentence_limit=None)


def saved(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
    print(path)


def training_images(lines: LineSet, out: Path, name: str, count: int = 8) -> None:
    """Fig 1, and the same view of natural lines."""
    figure, axes = plt.subplots(count, 1, figsize=(10, 0.85 * count), layout="constrained")
    for axis, index in zip(axes, range(count), strict=True):
        line = lines.line(index)
        image, text = line.image, line.text
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        axis.set_anchor("W")
        axis.set_title(text, fontsize=8, loc="left", pad=2, family="monospace")
        axis.axis("off")
    saved(figure, out / name)


def integer_encoding(lines: LineSet, out: Path) -> None:
    """Fig 2."""
    image, text = lines.canonical_line(0)
    ids = lines.alphabet.encode(text)
    figure, axis = plt.subplots(figsize=(12, 1.3))
    axis.imshow(image, cmap="gray")
    places = np.arange(len(text)) * 28 + 14
    axis.set_xticks(places, [f"{c}\n{i}" for c, i in zip(text.replace(" ", "␣"), ids, strict=True)], fontsize=8)
    axis.set_yticks([])
    axis.set_title("each character and its class; 0 is the CTC blank", fontsize=9, loc="left")
    saved(figure, out / "fig2-integer-encoding.png")


def model_summary(out: Path) -> None:
    """Fig 3, as a table of layers."""
    recipe = load_recipe(ROOT / "recipes" / "seed.yaml")
    network = Network(recipe).eval()
    rows: list[tuple[str, str, int]] = []

    def watch(name: str) -> Any:
        def hook(module: torch.nn.Module, _: Any, out: Any) -> None:
            shape = tuple(out[0].shape if isinstance(out, tuple) else out.shape)
            count = sum(p.numel() for p in module.parameters(recurse=False) if p.requires_grad)
            rows.append((f"{name} ({type(module).__name__})", str(("N", *shape[1:])).replace("'", ""), count))

        return hook

    for name, module in network.named_modules():
        if not list(module.children()) and name:
            module.register_forward_hook(watch(name))
    with torch.no_grad():
        network(torch.zeros(1, 28, 896, dtype=torch.uint8))
    body = "\n".join(f"| {layer} | {shape} | {count:,} |" for layer, shape, count in rows)
    total = network.parameter_count()
    (out / "fig3-model-summary.md").write_text(
        "The report's network (recipes/seed.yaml) on a line of 28 x 896 px; the convolutions run over the whole line, "
        "windows of\n8 pooled columns every 7 are the report's patches.\n\n"
        f"| layer | output | parameters |\n|---|---|---|\n{body}\n| **total** | | **{total:,}** |\n\n"
        "Keras counts 3,236,913 for the same network. Its LSTM has one bias; torch's second is held at zero here and "
        "not counted.\n",
        encoding="utf-8",
    )
    print(out / "fig3-model-summary.md")


def curves(out: Path) -> None:
    """Loss and CER of every kept run."""
    for folder in sorted(p for p in RUNS.glob("*") if (p / "metrics.csv").exists()):
        series: dict[str, list[tuple[int, float]]] = {}
        with (folder / "metrics.csv").open(newline="") as rows:
            for row in csv.DictReader(rows):
                series.setdefault(row["name"], []).append((int(row["step"]), float(row["value"])))
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4))
        for name, style in (("loss", "-"), ("val_loss", "o-")):
            left.plot(*zip(*series.get(name, [(0, np.nan)]), strict=True), style, ms=2.5, lw=0.8, label=name)
        left.set(title=f"{folder.name}: CTC loss, nats a line", xlabel="step", yscale="log")
        for name in ("val_cer", "val_wer"):
            right.plot(*zip(*series.get(name, [(0, np.nan)]), strict=True), "o-", ms=2.5, lw=0.8, label=name)
        right.set(title=f"{folder.name}: validation error rates", xlabel="step", yscale="log")
        for axis in (left, right):
            axis.legend(fontsize=8)
            axis.grid(alpha=0.3, which="both")
        saved(figure, out / f"curves-{folder.name}.png")


def predictions(out: Path, data: bool, count: int = 8) -> None:
    """Unseen lines with truth and reading, for every bundled reader."""
    for name in bundled_names():
        recognizer = open_recognizer(name)
        recipe = recipe_from(recognizer.info.recipe)
        try:
            lines = LineSet(recipe.lines if data else embedded(recipe.lines), "test", 0)
        except UserError as error:
            print(f"predictions of {name} left out: {error}")
            continue
        reader = LineReader(recognizer)
        figure, axes = plt.subplots(count, 1, figsize=(10, 1.1 * count), layout="constrained")
        for axis, index in zip(axes, range(count), strict=True):
            line = lines.line(index)
            read = reader.read_lines([line.image])[0].text
            axis.imshow(line.image, cmap="gray", vmin=0, vmax=255)
            axis.set_anchor("W")
            rate = character_error_rate(line.text.strip(), read.strip())
            axis.set_title(
                f"{line.text.strip()}\n{read}   CER {rate:.0%}", fontsize=8, loc="left", pad=2, family="monospace"
            )
            axis.axis("off")
        saved(figure, out / f"predictions-{name}.png")


def beside_real(out: Path, count: int = 12) -> None:
    """Composed lines on the left, real ones on the right: a stranger should hesitate. Only where photographs are."""
    folder = data_folder() / "photos"
    if not (folder / "manifest.tsv").exists():
        return
    with (folder / "manifest.tsv").open(encoding="utf-8") as rows:
        table = list(csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE))
    real = [(load(folder / r["kind"] / r["file"]), r["transcript"]) for r in table
            if r["kind"] == "handprint" and r["granularity"] in ("line", "word")]  # fmt: skip
    lines = LineSet(load_recipe(ROOT / "recipes" / "natural.yaml").lines, "train", 1)
    made = [(one.image, one.text) for one in (lines.line(index) for index in range(8 * count))]
    made = [one for one in made if 5 <= len(one[1]) <= 40][:count]
    pairs = [one for both in zip(made, real[:: max(1, len(real) // count)], strict=False) for one in both]
    cv2.imwrite(str(out / "composed-beside-real.png"), contact_sheet(pairs, 2))
    print(out / "composed-beside-real.png")


def lengths(out: Path) -> None:
    """CER of lines up to four times as long as those of training."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    for name, one in json.loads((RESULTS / "studies.json").read_text()).items():
        for decoder, style in (("greedy", "o--"), ("beam", "o-")):
            rows = [r for r in one["lengths"] if r["decoder"] == decoder]
            rates = np.array([[r["cer"], *r["cer_interval"]] for r in rows])
            axis.errorbar(
                [r["times"] for r in rows], rates[:, 0], (rates[:, :1] - rates[:, 1:]).T * [[1], [-1]], fmt=style,
                ms=4, lw=1, capsize=3, label=f"{name}, {decoder}",
            )  # fmt: skip
    axis.set(title="CER by the length of the line", xlabel="times the longest line of training", xticks=(1, 2, 3, 4))
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    saved(figure, out / "lengths.png")


def reliability(out: Path) -> None:
    """Of the words read with some confidence, how many were right; of every bundled reader, with its language model."""
    names = bundled_names()
    figure, axes = plt.subplots(1, len(names), figsize=(3.6 * len(names), 3.6), layout="constrained", sharey=True)
    for axis, name in zip(axes, names, strict=True):
        told = bundled_card(name)["test"]["calibration"]["beam"]
        axis.plot([0, 1], [0, 1], color="0.7", lw=0.8)
        for unit in ("character", "word", "line"):
            said, right, count = zip(*told["reliability"][unit], strict=True)
            axis.plot(said, right, "-", lw=0.8, color="0.5", zorder=1)
            axis.scatter(said, right, s=4 + 60 * np.sqrt(np.array(count) / sum(count)), zorder=2,
                         label=f"{unit}: ECE {told['after'][unit]:.1%}")  # fmt: skip
        axis.set(title=name, xlabel="confidence", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.legend(fontsize=8, loc="upper left")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("share that was right")
    saved(figure, out / "reliability.png")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", action="store_true", help="draw from EMNIST and WikiSplit, into docs/figures/data/")
    data = options.parse_args().data
    out = FIGURES / "data" if data else FIGURES
    out.mkdir(parents=True, exist_ok=True)
    tiles, natural = (load_recipe(ROOT / "recipes" / f"{name}.yaml").lines for name in ("seed", "natural"))
    lines = LineSet(tiles if data else embedded(tiles), "train", 0)
    training_images(lines, out, "fig1-training-images.png")
    training_images(LineSet(natural if data else embedded(natural), "train", 0), out, "natural-lines.png")
    integer_encoding(lines, out)
    model_summary(out)
    curves(out)
    predictions(out, data)
    if data:
        beside_real(out)
    else:
        lengths(out)
        reliability(out)


if __name__ == "__main__":
    main()
