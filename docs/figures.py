"""Draws the figures of the documentation into docs/figures/: python docs/figures.py (make figures).

Figures 1 to 3 are those of the W&B report: training lines, the integer encoding of a line, the model summary. The
others are training curves of the runs in benchmarks/results/runs/, predictions of the bundled readers, the CER of long
lines from benchmarks/results/studies.json, and reliability diagrams of the confidences from the model cards.

The lines are composed of embedded data, strokes and built-in sentences, so that the figures may be committed. With
--data they are composed of EMNIST and WikiSplit, as in the report, and written to docs/figures/data/ (ignored by git).
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
import numpy.typing as npt
from matplotlib.ticker import PercentFormatter

import glyphline
from glyphline.composing.fetch import data_folder
from glyphline.composing.layouts import GlyphPool
from glyphline.composing.line_sets import LineSet, draw_contact_sheet, open_cached_glyphs, open_layout
from glyphline.errors import UserError
from glyphline.imaging.documents import load
from glyphline.reading.lines import LineReader
from glyphline.reading.overlay import draw_overlay
from glyphline.reading.recognition.recognizers import bundled_card, bundled_names, open_recognizer
from glyphline.recipe import GlyphShare, LinesRecipe, load_recipe, recipe_from
from glyphline.score import character_error_rate
from glyphline.training.network import Network, describe_layers

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "figures"
RESULTS = ROOT / "benchmarks" / "results"
RUNS = RESULTS / "runs"
TILE = 28  # px


def use_embedded_data(recipe: LinesRecipe) -> LinesRecipe:
    """The same lines, composed of strokes and built-in sentences."""
    return replace(recipe, glyphs=(GlyphShare("strokes"),), sentences=("built-in",), sentence_limit=None)


def save_figure(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
    print(path)


def draw_training_lines(lines: LineSet, out: Path, name: str, count: int = 8) -> None:
    """Draw the first lines of a set with their texts (figure 1)."""
    figure, axes = plt.subplots(count, 1, figsize=(10, 0.85 * count), layout="constrained")
    for axis, index in zip(axes, range(count), strict=True):
        line = lines.line(index)
        axis.imshow(line.image, cmap="gray", vmin=0, vmax=255)
        axis.set_anchor("W")
        axis.set_title(line.text, fontsize=8, loc="left", pad=2, family="monospace")
        axis.axis("off")
    save_figure(figure, out / name)


def draw_integer_encoding(lines: LineSet, out: Path) -> None:
    """Draw a line of tiles with the class of each character (figure 2)."""
    image, text = lines.canonical_line(0)
    ids = lines.alphabet.encode(text)
    figure, axis = plt.subplots(figsize=(12, 1.3))
    axis.imshow(image, cmap="gray")
    centres = np.arange(len(text)) * TILE + TILE // 2
    axis.set_xticks(centres, [f"{c}\n{i}" for c, i in zip(text.replace(" ", "␣"), ids, strict=True)], fontsize=8)
    axis.set_yticks([])
    axis.set_title("each character and its class; 0 is the CTC blank", fontsize=9, loc="left")
    save_figure(figure, out / "fig2-integer-encoding.png")


def write_model_summary(out: Path) -> None:
    """Write the layers of the W&B report's network as a Markdown table (figure 3)."""
    recipe = load_recipe(ROOT / "recipes" / "seed.yaml")
    network = Network(recipe).eval()
    body = "\n".join(
        f"| {name} ({kind}) | ({', '.join(map(str, shape))}) | {count:,} |"
        for name, kind, shape, count in describe_layers(network, 32 * TILE)
    )
    total = network.parameter_count()
    (out / "fig3-model-summary.md").write_text(
        "# Model summary of the W&B report's network\n\n"
        "The layers of `recipes/seed.yaml` for a line of 28 x 896 px. The convolutions run over the whole line. "
        "Windows of 8 pooled\ncolumns, every 7 columns, are the patches of the report.\n\n"
        f"| layer | output | parameters |\n|---|---|---|\n{body}\n| **total** | | **{total:,}** |\n\n"
        "Keras counts 3,236,913 parameters for the same network. Its LSTM has one bias; the second bias of torch's "
        "LSTM is fixed\nat zero here and not counted.\n",
        encoding="utf-8",
    )
    print(out / "fig3-model-summary.md")


def draw_training_curves(out: Path) -> None:
    """Draw loss, CER and WER of every run in benchmarks/results/runs/."""
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
        save_figure(figure, out / f"curves-{folder.name}.png")


def draw_sweep_curves(out: Path) -> None:
    """Draw the validation CER of each arm of the sweep in benchmarks/results/sweep/, the mean over its seeds."""
    runs = RESULTS / "sweep" / "runs"
    curves: dict[str, list[dict[int, float]]] = {}
    for path in sorted(runs.glob("*/trial.json")):
        epochs = json.loads(path.read_text())["epochs"]
        arm = path.parent.name.rpartition("-")[0]
        curves.setdefault(arm, []).append({int(epoch): row["cer"] for epoch, row in epochs.items()})
    figure, axis = plt.subplots(figsize=(8, 4.5))
    for arm, seeds in curves.items():
        shared = sorted(set.intersection(*map(set, seeds)))
        axis.plot(shared, [np.mean([seed[epoch] for seed in seeds]) for epoch in shared], "o-", ms=3, label=arm)
    axis.set(title="Validation CER of the arms of recipes/sweep.yaml", xlabel="epoch", yscale="log")
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.yaxis.set_minor_formatter(PercentFormatter(1, decimals=0))
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3, which="both")
    save_figure(figure, out / "sweep-curves.png")


def draw_predictions(out: Path, use_data: bool, count: int = 8) -> None:
    """Draw test lines with their text, the prediction and its CER, for every bundled reader."""
    for name in bundled_names():
        recognizer = open_recognizer(name)
        recipe = recipe_from(recognizer.info.recipe)
        try:
            lines = LineSet(recipe.lines if use_data else use_embedded_data(recipe.lines), "test", 0)
        except UserError as error:
            print(f"predictions of {name} are skipped: {error}")
            continue
        reader = LineReader(recognizer)
        figure, axes = plt.subplots(count, 1, figsize=(10, 1.1 * count), layout="constrained")
        for axis, index in zip(axes, range(count), strict=True):
            line = lines.line(index)
            prediction = reader.read_lines([line.image])[0].text
            axis.imshow(line.image, cmap="gray", vmin=0, vmax=255)
            axis.set_anchor("W")
            cer = character_error_rate(line.text.strip(), prediction.strip())
            axis.set_title(
                f"{line.text.strip()}\n{prediction}   CER {cer:.0%}", fontsize=8, loc="left", pad=2, family="monospace"
            )
            axis.axis("off")
        save_figure(figure, out / f"predictions-{name}.png")


def draw_composed_beside_real(out: Path, count: int = 12) -> None:
    """Draw composed lines on the left and real hand print on the right. Draws nothing without the photographs."""
    folder = data_folder() / "photos"
    if not (folder / "manifest.tsv").exists():
        return
    with (folder / "manifest.tsv").open(encoding="utf-8") as rows:
        table = list(csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE))
    real = [(load(folder / r["kind"] / r["file"]), r["transcript"]) for r in table
            if r["kind"] == "handprint" and r["granularity"] in ("line", "word")]  # fmt: skip
    lines = LineSet(load_recipe(ROOT / "recipes" / "natural.yaml").lines, "train", 1)
    composed = [(line.image, line.text) for line in (lines.line(index) for index in range(8 * count))]
    composed = [(image, text) for image, text in composed if 5 <= len(text) <= 40][:count]
    pairs = zip(composed, real[:: max(1, len(real) // count)], strict=False)
    cells = [cell for pair in pairs for cell in pair]
    cv2.imwrite(str(out / "composed-beside-real.png"), draw_contact_sheet(cells, 2))
    print(out / "composed-beside-real.png")


def draw_long_lines(out: Path) -> None:
    """Draw the CER of lines up to four times as long as the longest line of training."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    for name, study in json.loads((RESULTS / "studies.json").read_text()).items():
        for decoder, style in (("greedy", "o--"), ("beam", "o-")):
            rows = [r for r in study["lengths"] if r["decoder"] == decoder]
            rates = np.array([[r["cer"], *r["cer_interval"]] for r in rows])
            axis.errorbar(
                [r["times"] for r in rows], rates[:, 0], (rates[:, :1] - rates[:, 1:]).T * [[1], [-1]], fmt=style,
                ms=4, lw=1, capsize=3, label=f"{name}, {decoder}",
            )  # fmt: skip
    axis.set(
        title="CER by length of the line, 95 % intervals",
        xlabel="length, in lengths of the longest line of training",
        ylabel="CER",
        xticks=(1, 2, 3, 4),
    )
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    save_figure(figure, out / "lengths.png")


def draw_reliability(out: Path) -> None:
    """Draw reliability diagrams, fraction correct by confidence, of every bundled reader with its language model."""
    names = bundled_names()
    figure, axes = plt.subplots(1, len(names), figsize=(3.6 * len(names), 3.6), layout="constrained", sharey=True)
    for axis, name in zip(axes, names, strict=True):
        report = bundled_card(name)["test"]["calibration"]["beam"]
        axis.plot([0, 1], [0, 1], color="0.7", lw=0.8)
        for unit in ("character", "word", "line"):
            confidences, fractions_correct, counts = zip(*report["reliability"][unit], strict=True)
            axis.plot(confidences, fractions_correct, "-", lw=0.8, color="0.5", zorder=1)
            axis.scatter(confidences, fractions_correct, s=4 + 60 * np.sqrt(np.array(counts) / sum(counts)), zorder=2,
                         label=f"{unit}: ECE {report['after'][unit]:.1%}")  # fmt: skip
        axis.set(title=name, xlabel="confidence", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.legend(fontsize=8, loc="upper left")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("fraction correct")
    save_figure(figure, out / "reliability.png")


NOTE = (
    "Shopping for Saturday:",
    "2 loaves of bread, milk,",
    "a dozen eggs, 500 g butter.",
    "Meet Anna at 6:45 pm and",
    "bring the blue chairs!",
)


def draw_photograph(texts: tuple[str, ...] = NOTE, seed: int = 7) -> npt.NDArray[np.uint8]:
    """Draw a photograph of a handwritten note on a wooden table, (900, 1200, 3) RGB."""
    rng = np.random.default_rng(seed)
    pool = GlyphPool((open_cached_glyphs("strokes"),), (1.0,), "test")
    layout = open_layout(LinesRecipe(layout="natural", effects={}))
    sheet = np.full((600, 900, 3), (252, 248, 238), np.float64)
    pitch = 95  # px from line to line
    for k in range(len(texts) + 1):
        sheet[pitch * k + 94 : pitch * k + 96] = (190, 206, 226)
    writer = int(rng.integers(1000))
    for k, text in enumerate(texts):
        image, _ = layout.draw(layout.sample(text, np.random.default_rng(writer), pool), pool)
        paper = np.median(image)
        ink = ((paper - image) / (paper - image.min())).clip(0, 1)
        ink[ink < 0.1] = 0
        ink = cv2.resize(ink, None, fx=62 / len(ink), fy=62 / len(ink), interpolation=cv2.INTER_AREA)[..., None]
        top, left = pitch * k + 44, 60 + int(rng.integers(12))
        part = sheet[top : top + len(ink), left : left + ink.shape[1]]
        part += (np.array((30, 42, 96.0)) - part) * ink[:, : part.shape[1]]
    return photograph_sheet(sheet, rng)


def photograph_sheet(sheet: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draw a sheet (h, w, 3) on a table as a camera sees it, (900, 1200, 3): perspective, shadow, noise, blur."""
    width, height = size = (1200, 900)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height // 6, width)), (0, 0), 12, sigmaY=1.2)
    table = np.array((132, 92, 60.0)) * (1 + 0.9 * cv2.resize(grain, size, interpolation=cv2.INTER_CUBIC)[..., None])
    h, w = sheet.shape[:2]
    corners = np.array([(150, 110), (1085, 60), (1130, 800), (60, 745)], np.float32)
    perspective = cv2.getPerspectiveTransform(np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32), corners)
    mask = cv2.warpPerspective(np.ones((h, w)), perspective, size)[..., None]
    shadow = cv2.GaussianBlur(np.roll(mask[..., 0], (14, 10), (0, 1)), (0, 0), 14)[..., None]
    photo = table * (1 - 0.5 * shadow) * (1 - mask) + cv2.warpPerspective(sheet, perspective, size) * mask
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    light = 1.02 - 0.3 * x * y - 0.22 / (1 + np.exp(-(x * 1.1 + y * 0.5 - 1.05) * 30))
    photo = photo * light[..., None] + rng.normal(0, 4, photo.shape)
    return np.asarray(cv2.GaussianBlur(photo.clip(0, 255).astype(np.uint8), (0, 0), 0.7), np.uint8)


def draw_first_pictures(out: Path) -> None:
    """Draw the pictures at the top of the README: a photograph with its overlay, and a composed line."""
    image = draw_photograph()
    page = glyphline.open_reader().read(image)
    overlay = draw_overlay(image, page)
    cv2.imwrite(str(out / "photograph-overlay.png"), cv2.resize(overlay, None, fx=0.6, fy=0.6)[..., ::-1])
    print(out / "photograph-overlay.png")
    line = glyphline.compose("Composed of single letters, 26 of them.", seed=12)
    cv2.imwrite(str(out / "composed-line.png"), line.image)
    print(out / "composed-line.png")


def main() -> None:
    """Draw all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", action="store_true", help="compose of EMNIST and WikiSplit, write to docs/figures/data/"
    )
    use_data = parser.parse_args().data
    out = FIGURES / "data" if use_data else FIGURES
    out.mkdir(parents=True, exist_ok=True)
    tiles, natural = (load_recipe(ROOT / "recipes" / f"{name}.yaml").lines for name in ("seed", "natural"))
    lines = LineSet(tiles if use_data else use_embedded_data(tiles), "train", 0)
    draw_training_lines(lines, out, "fig1-training-images.png")
    natural_lines = LineSet(natural if use_data else use_embedded_data(natural), "train", 0)
    draw_training_lines(natural_lines, out, "natural-lines.png")
    draw_integer_encoding(lines, out)
    write_model_summary(out)
    draw_sweep_curves(out)
    draw_training_curves(out)
    draw_predictions(out, use_data)
    if use_data:
        draw_composed_beside_real(out)
    else:
        draw_long_lines(out)
        draw_reliability(out)
        draw_first_pictures(out)


if __name__ == "__main__":
    main()
