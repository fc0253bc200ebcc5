"""Measures CER, WER and speed of glyphline, Tesseract and RapidOCR on the same images of lines, in one run.

    make peers && python benchmarks/reading.py [--model NAME_OR_FILE]...    # writes benchmarks/results/reading.json

Real lines: the rows of $GLYPHLINE_DATA/photos/manifest.tsv of kind handprint with granularity line or word. Rows whose
notes begin with "clean" and the other, hard rows are two sets. Composed lines: the test splits of three layouts.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median

import cv2

from glyphline.alphabet import fold_merged
from glyphline.composing.fetch import data_folder
from glyphline.composing.line_sets import LineSet
from glyphline.errors import UserError
from glyphline.imaging.documents import Document, load
from glyphline.memory import peak_bytes
from glyphline.reading.lines import open_line_reader
from glyphline.reading.onnx_models import rapidocr_model_path
from glyphline.reading.recognition.language_model import language_model_name
from glyphline.reading.recognition.recognizers import PP_OCR, alphabet_of, bundled_names
from glyphline.recipe import load_recipe, recipe_from
from glyphline.score import score

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PEERS = ROOT / ".venv-peers" / "bin" / "python"
DECODERS = ("greedy", "beam")
CLEAN, HARD = "hand print, clean", "hand print, hard"
LabelledImages = list[tuple[Path, str]]  # (image file, its text)


@dataclass
class Measurement:
    """The output of a reader for a set of line images, and its cost."""

    texts: list[str]
    lines_per_second: float  # in batches, where the reader has them
    ms_a_line: float  # median of lines read one by one
    peak_mb: float
    bytes: int  # of the model files


def load_real_lines() -> dict[str, LabelledImages]:
    """The hand-printed lines and words of the photographs, clean ones and hard ones. Empty without the photographs."""
    folder = data_folder() / "photos"
    manifest = folder / "manifest.tsv"
    if not manifest.exists():
        return {}
    with manifest.open(encoding="utf-8") as rows:
        table = list(csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE))
    sets: dict[str, LabelledImages] = {CLEAN: [], HARD: []}
    for row in table:
        if row["kind"] == "handprint" and row["granularity"] in ("line", "word"):
            name = CLEAN if row["notes"].startswith("clean") else HARD
            sets[name].append((folder / "handprint" / row["file"], row["transcript"]))
    return sets


def writers_of_real_lines() -> dict[str, str]:
    """File name of a photograph -> its writer, where the manifest names one."""
    with (data_folder() / "photos" / "manifest.tsv").open(encoding="utf-8") as rows:
        table = csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["file"]: match[1] for row in table if (match := re.search(r"writer=(\w+)", row["notes"]))}


def copy_lines(pairs: LabelledImages, folder: Path) -> Path:
    """Copy images into a folder of labelled lines, with labels.tsv. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, _ in pairs:
        shutil.copy(path, folder)
    (folder / "labels.tsv").write_text("".join(f"{path.name}\t{text}\n" for path, text in pairs), encoding="utf-8")
    return folder


def write_composed_lines(folder: Path, count: int) -> dict[str, LabelledImages]:
    """Write test lines of three layouts as PNG files, so that every reader opens the same files."""
    tiles = {"layout": "tiles", "punctuation": "stripped", "length": [32, 32], "start": "head", "cut": "character",
             "height": 28, "sentences": ["wikisplit"], "alphabet": "full", "glyphs": ["emnist/byclass"]}  # fmt: skip
    recipes = {
        "tiles, merged alphabet": {**tiles, "alphabet": "merged", "glyphs": ["emnist/bymerge"]},
        "tiles, full alphabet": tiles,
        "overlap, full alphabet": {**tiles, "layout": "overlap"},
    }
    sets: dict[str, LabelledImages] = {}
    for name, recipe in recipes.items():
        try:
            lines = LineSet(recipe_from({"lines": recipe}).lines, "test", 0)
        except UserError as error:
            print(f"{name} is skipped: {error}")
            continue
        sets[name] = _write_images(lines, folder / name.replace(", ", "-").replace(" ", "-"), count)
    try:
        lines = LineSet(load_recipe(ROOT / "recipes" / "natural.yaml").lines, "test", 0)
        sets["natural"] = _write_images(lines, folder / "natural", count)
    except UserError as error:
        print(f"natural is skipped: {error}")
    return sets


def _write_images(lines: LineSet, folder: Path, count: int) -> LabelledImages:
    folder.mkdir()
    pairs = []
    for index in range(count):
        line = lines.line(index)
        path = folder / f"{index:05d}.png"
        cv2.imwrite(str(path), line.image)
        pairs.append((path, line.text))
    return pairs


def measure_glyphline(model: str, decoder: str, pairs: LabelledImages) -> Measurement:
    """Read images in a subprocess, so that the peak memory is that of this reader only."""
    completed = subprocess.run(
        [sys.executable, __file__, "--worker", model, decoder],
        input="\n".join(str(path) for path, _ in pairs), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return Measurement(**json.loads(completed.stdout))


def run_worker(model: str, decoder: str) -> None:
    """Read the images whose paths are on stdin and print a Measurement as JSON."""
    reader = open_line_reader(model, decoder)
    needs_colour = reader.recognizer.info.normalization == "colour"
    images = [Document(path).colour(0) if needs_colour else load(path) for path in sys.stdin.read().splitlines()]
    reader.read_lines(images[:2])
    started = time.perf_counter()
    texts = [line.text for line in reader.read_lines(images)]
    speed = len(images) / (time.perf_counter() - started)
    milliseconds = []
    for image in images[:50]:
        started = time.perf_counter()
        reader.read_lines([image])
        milliseconds.append((time.perf_counter() - started) * 1000)
    peak = (peak_bytes() or 0) / 2**20
    folder = resources.files("glyphline.models")
    language = None if decoder == "greedy" else language_model_name(alphabet_of(reader.recognizer)) or "english"
    bundled = {name: folder / f"{name}.onnx" for name in bundled_names()}
    files = [rapidocr_model_path("rec") if model == PP_OCR else bundled.get(model, Path(model))]
    files += [folder / f"{language}.lm"] if language else []
    size = sum(Path(str(file)).stat().st_size for file in files)
    print(json.dumps(asdict(Measurement(texts, speed, median(milliseconds), peak, size))))


def measure_cold_start(image: Path) -> float:
    """The median of the seconds from starting Python to the first line read with the default model and decoder."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import glyphline; glyphline.read({str(image)!r})"], check=True)
        times.append(time.perf_counter() - started)
    return median(times)


def supports(model: str, lines: str) -> bool:
    """Whether a model is measured on a set of lines.

    Models trained on tiles read only tiled and overlapping lines. Models with the merged alphabet do not tell case and
    read only lines of that alphabet.
    """
    recognizer = open_line_reader(model).recognizer
    is_tiled = lines.startswith(("tiles", "overlap"))
    return (recognizer.info.normalization != "whole" or is_tiled) and not (
        alphabet_of(recognizer).is_merged and "merged" not in lines
    )


def measure_peer(python: Path, program: str, pairs: LabelledImages) -> Measurement | None:
    """Read images with a program of benchmarks/peers/. None, and a message, if it fails."""
    completed = subprocess.run(
        [str(python), str(ROOT / "benchmarks" / "peers" / program)],
        input="\n".join(str(path) for path, _ in pairs), capture_output=True, text=True, check=False,
    )  # fmt: skip
    *rows, info = [json.loads(line) for line in completed.stdout.splitlines() if line.startswith("{")] or [{}]
    if len(rows) != len(pairs):
        print(f"{program} failed and is skipped: {completed.stderr[-300:]}")
        return None
    times = [row["seconds"] for row in rows]
    return Measurement(
        [row["text"] for row in rows], len(rows) / sum(times), median(times) * 1000, info["peak_mb"], info["bytes"]
    )


def measure_tesseract(pairs: LabelledImages) -> Measurement | None:
    """Read images with Debian's tesseract. None if it is not installed."""
    return measure_peer(Path(sys.executable), "tesseract_lines.py", pairs) if shutil.which("tesseract") else None


def measure_rapidocr(pairs: LabelledImages) -> Measurement | None:
    """Read images with RapidOCR's recognizer, without detection and classification. None without `make peers`."""
    return measure_peer(PEERS, "rapidocr_lines.py", pairs) if PEERS.exists() else None


def mean_cer_of_writers(texts: list[str], pairs: LabelledImages, fold: str) -> float | None:
    """The mean of the writers' CER: all writers count equally. None if the writer of a line is unknown."""
    writers = writers_of_real_lines()
    by_writer: dict[str, tuple[list[str], list[str]]] = {}
    for (path, truth), text in zip(pairs, texts, strict=True):
        truths, predictions = by_writer.setdefault(writers.get(path.name, ""), ([], []))
        truths.append(truth)
        predictions.append(text)
    return mean(score(*lists, fold).cer for lists in by_writer.values()) if "" not in by_writer else None


def main() -> None:
    """Read all sets of lines with all readers, print the table and write it to results/reading.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="a bundled reader or an .onnx file; may be repeated")
    parser.add_argument("-n", type=int, default=100, help="composed lines of each layout")
    parser.add_argument("--show", action="store_true", help="print every real line with the output of all readers")
    parser.add_argument(
        "--real", type=Path, help="write the clean real lines into this folder, for training.watch, and exit"
    )
    args = parser.parse_args()
    if args.real:
        pairs = load_real_lines().get(CLEAN, [])
        print(f"{copy_lines(pairs, args.real)}: {len(pairs)} lines")
        return
    models = args.model or [*bundled_names(), *([PP_OCR] if find_spec("rapidocr") else [])]
    table = []
    with tempfile.TemporaryDirectory() as folder:
        seed_model = None
        if (ROOT / "runs" / "seed" / "best.pt").exists():
            from glyphline.training.export import export  # not on top: torch would count as memory of the workers

            seed_model = Path(folder) / "seed.onnx"
            export(ROOT / "runs" / "seed", seed_model)
        sets = {**load_real_lines(), **write_composed_lines(Path(folder), args.n)}
        for name, pairs in sets.items():
            measurements = {
                f"glyphline {Path(model).stem}, {decoder}": measure_glyphline(model, decoder, pairs)
                for model in models
                if supports(model, name)
                for decoder in DECODERS
            }
            if name == "tiles, merged alphabet" and seed_model is not None:
                measurements["network of the W&B report, greedy"] = measure_glyphline(str(seed_model), "greedy", pairs)
            for peer, measure in (("Tesseract", measure_tesseract), ("RapidOCR", measure_rapidocr)):
                if (measured := measure(pairs)) is not None:
                    measurements[peer] = measured
            truths = [text for _, text in pairs]
            for reader, measurement in measurements.items():
                folds = ("none", "loose") if "merged" not in name else ("merged", "loose")
                for fold in folds:
                    folded = [fold_merged(truth) for truth in truths] if fold == "merged" else truths
                    s = score(folded, measurement.texts, fold)
                    cost = {k: v for k, v in asdict(measurement).items() if k != "texts"}
                    is_real = name in (CLEAN, HARD)
                    writer_cer = mean_cer_of_writers(measurement.texts, pairs, fold) if is_real else None
                    table.append({"lines": name, "reader": reader, "fold": fold, "count": s.lines, "cer": s.cer,
                                  "cer_interval": s.cer_interval, "wer": s.wer, "exact": s.exact, **cost,
                                  "mean_cer_of_writers": writer_cer})  # fmt: skip
                    low, high = s.cer_interval
                    print(
                        f"{name:22s} {reader:34s} {fold:6s} CER {s.cer:7.2%} [{low:6.2%}, {high:6.2%}]  "
                        f"WER {s.wer:7.2%}  {measurement.lines_per_second:7.1f} lines/s  "
                        f"{measurement.ms_a_line:6.1f} ms  {measurement.peak_mb:5.0f} MB"
                    )
            if args.show and name in (CLEAN, HARD):
                for k, (path, truth) in enumerate(pairs):
                    print(f"    {path.name:26s} {truth!r}")
                    for reader, measurement in measurements.items():
                        print(f"        {reader:34s} {measurement.texts[k]!r}")
    RESULTS.mkdir(exist_ok=True)
    cold_start = measure_cold_start(ROOT / "examples" / "lines" / "example-0.png")
    print(f"cold start: {cold_start:.2f} s from starting Python to the first line read")
    results = {"cores": os.cpu_count(), "cold_seconds": cold_start, "rows": table}
    (RESULTS / "reading.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        run_worker(*sys.argv[2:])
    else:
        main()
