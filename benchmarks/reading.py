"""CER, WER and lines a second of our readers and of Tesseract and RapidOCR on the same images, in one run.

    make peers && python benchmarks/reading.py [--model NAME_OR_FILE]...    # writes benchmarks/results/reading.json

Real lines: every row of kind handprint, granularity line or word, of $GLYPHLINE_DATA/photos/manifest.tsv; those whose
notes say "clean" are scored, the hard ones listed. Composed lines: the test split of three layouts.
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
from glyphline.reading.lines import open_line_reader
from glyphline.reading.onnx_models import rapidocr_model_path
from glyphline.reading.recognition.recognizers import PP_OCR, alphabet_of, bundled_names
from glyphline.recipe import load_recipe, recipe_from
from glyphline.score import score

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PEERS = ROOT / ".venv-peers" / "bin" / "python"
DECODERS_SHOWN = ("greedy", "beam")
Pairs = list[tuple[Path, str]]


@dataclass
class Reading:
    """What one reader made of some images, and what it took."""

    texts: list[str]
    lines_per_second: float  # in batches, where the reader has them
    ms_a_line: float  # one line alone, median
    peak_mb: float
    bytes: int  # of the model's files


def real_lines() -> dict[str, Pairs]:
    """The photographs at hand: clean hand-printed lines and words, and the hard ones."""
    folder = data_folder() / "photos"
    manifest = folder / "manifest.tsv"
    if not manifest.exists():
        return {}
    with manifest.open(encoding="utf-8") as rows:
        table = list(csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE))
    out: dict[str, Pairs] = {"real, clean": [], "real, hard": []}
    for row in table:
        if row["kind"] == "handprint" and row["granularity"] in ("line", "word"):
            name = "real, clean" if row["notes"].startswith("clean") else "real, hard"
            out[name].append((folder / "handprint" / row["file"], row["transcript"]))
    return out


def write_real(folder: Path) -> None:
    """The clean real lines as a labelled folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = real_lines().get("real, clean", [])
    for path, _ in pairs:
        shutil.copy(path, folder)
    (folder / "labels.tsv").write_text("".join(f"{path.name}\t{text}\n" for path, text in pairs), encoding="utf-8")
    print(f"{folder}: {len(pairs)} lines")


def composed_lines(folder: Path, count: int) -> dict[str, Pairs]:
    """Test lines of three layouts, written as PNG so that every reader opens the same file."""
    tiles = {"layout": "tiles", "punctuation": "stripped", "length": [32, 32], "start": "head", "cut": "character",
             "height": 28, "sentences": ["wikisplit"], "alphabet": "full", "glyphs": ["emnist/byclass"]}  # fmt: skip
    wanted = {
        "tiles, merged": {**tiles, "alphabet": "merged", "glyphs": ["emnist/bymerge"]},
        "tiles, case kept": tiles,
        "overlap, case kept": {**tiles, "layout": "overlap"},
    }
    out: dict[str, Pairs] = {}
    for name, lines in wanted.items():
        try:
            made = LineSet(recipe_from({"lines": lines}).lines, "test", 0)
        except UserError as error:
            print(f"{name} left out: {error}")
            continue
        out[name] = _written(made, folder / name.replace(", ", "-").replace(" ", "-"), count)
    try:
        out["natural"] = _written(
            LineSet(load_recipe(ROOT / "recipes" / "natural.yaml").lines, "test", 0), folder / "natural", count
        )
    except UserError as error:
        print(f"natural left out: {error}")
    return out


def _written(lines: LineSet, folder: Path, count: int) -> Pairs:
    folder.mkdir()
    pairs = []
    for index in range(count):
        line = lines.line(index)
        path = folder / f"{index:05d}.png"
        cv2.imwrite(str(path), line.image)
        pairs.append((path, line.text))
    return pairs


def ours(model: str, decoder: str, pairs: Pairs) -> Reading:
    """Read in a process of its own, so that memory is this reader's alone."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", model, decoder],
        input="\n".join(str(path) for path, _ in pairs), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return Reading(**json.loads(done.stdout))


def one(model: str, decoder: str) -> None:
    """Read the images named on stdin and print what `ours` is made of."""
    reader = open_line_reader(model, decoder)
    colours = reader.recognizer.info.normalization == "colour"
    images = [Document(path).colour(0) if colours else load(path) for path in sys.stdin.read().splitlines()]
    reader.read_lines(images[:2])
    started = time.perf_counter()
    texts = [line.text for line in reader.read_lines(images)]
    speed = len(images) / (time.perf_counter() - started)
    single = []
    for image in images[:50]:
        started = time.perf_counter()
        reader.read_lines([image])
        single.append((time.perf_counter() - started) * 1000)
    status = Path("/proc/self/status").read_text()  # getrusage also counts the process that started this one
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    folder = resources.files("glyphline.models")
    language = "" if decoder == "greedy" else "english-merged" if alphabet_of(reader.recognizer).merges else "english"
    bundled = {name: folder / f"{name}.onnx" for name in bundled_names()}
    parts = [rapidocr_model_path("rec") if model == PP_OCR else bundled.get(model, Path(model))]
    parts += [folder / f"{language}.lm"] if language else []
    size = sum(Path(str(part)).stat().st_size for part in parts)
    print(json.dumps(asdict(Reading(texts, speed, median(single), peak, size))))


def cold(image: Path) -> float:
    """Seconds from starting Python to the first line read with the usual reader and its language model, median."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import glyphline; glyphline.read({str(image)!r})"], check=True)
        times.append(time.perf_counter() - started)
    return median(times)


def suits(model: str, lines: str) -> bool:
    """Readers of tiles are not asked to read photographs, nor those of the merged alphabet to tell case."""
    recognizer = open_line_reader(model).recognizer
    tiled = lines.startswith(("tiles", "overlap"))
    return (recognizer.info.normalization != "whole" or tiled) and not (
        alphabet_of(recognizer).merges and "merged" not in lines
    )


def peer(python: Path, program: str, pairs: Pairs) -> Reading | None:
    """What a program of benchmarks/peers/ reads; None where the peer is not installed."""
    done = subprocess.run(
        [str(python), str(ROOT / "benchmarks" / "peers" / program)],
        input="\n".join(str(path) for path, _ in pairs), capture_output=True, text=True, check=False,
    )  # fmt: skip
    *rows, info = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")] or [{}]
    if len(rows) != len(pairs):
        print(f"{program} failed: {done.stderr[-300:]}")
        return None
    times = [row["seconds"] for row in rows]
    return Reading(
        [row["text"] for row in rows], len(rows) / sum(times), median(times) * 1000, info["peak_mb"], info["bytes"]
    )


def tesseract(pairs: Pairs) -> Reading | None:
    """Debian's tesseract."""
    return peer(Path(sys.executable), "tesseract_lines.py", pairs) if shutil.which("tesseract") else None


def rapidocr(pairs: Pairs) -> Reading | None:
    """RapidOCR's recognizer, detection and direction off."""
    return peer(PEERS, "rapidocr_lines.py", pairs) if PEERS.exists() else None


def over_writers(texts: list[str], pairs: Pairs, fold: str) -> float | None:
    """The mean of the writers' CER, so that who wrote most does not count most; None where no writer is named."""
    with (data_folder() / "photos" / "manifest.tsv").open(encoding="utf-8") as rows:
        table = csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE)
        who = {row["file"]: found[1] for row in table if (found := re.search(r"writer=(\w+)", row["notes"]))}
    by: dict[str, tuple[list[str], list[str]]] = {}
    for (path, truth), text in zip(pairs, texts, strict=True):
        truths, read = by.setdefault(who.get(path.name, ""), ([], []))
        truths.append(truth)
        read.append(text)
    return mean(score(*one, fold).cer for one in by.values()) if "" not in by else None


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", action="append", help="a bundled reader or an .onnx file; may be repeated")
    options.add_argument("-n", type=int, default=100, help="composed lines of each layout")
    options.add_argument("--show", action="store_true", help="print every real line with all readings")
    options.add_argument(
        "--real", type=Path, help="only write the clean real lines into this folder, for training.watch"
    )
    chosen = options.parse_args()
    if chosen.real:
        write_real(chosen.real)
        return
    models = chosen.model or [*bundled_names(), *([PP_OCR] if find_spec("rapidocr") else [])]
    table = []
    with tempfile.TemporaryDirectory() as folder:
        seed = None
        if (ROOT / "runs" / "seed" / "best.pt").exists():
            from glyphline.training.export import export  # torch, which would count as the readers' memory in `one`

            seed = Path(folder) / "seed.onnx"
            export(ROOT / "runs" / "seed", seed)
        sets = {**real_lines(), **composed_lines(Path(folder), chosen.n)}
        for name, pairs in sets.items():
            runs = {
                f"glyphline {Path(m).stem}, {decoder}": ours(m, decoder, pairs)
                for m in models
                if suits(m, name)
                for decoder in DECODERS_SHOWN
            }
            if name == "tiles, merged" and seed is not None:
                runs["the report's network, greedy"] = ours(str(seed), "greedy", pairs)
            runs |= {
                who: made for who, act in (("Tesseract", tesseract), ("RapidOCR", rapidocr)) if (made := act(pairs))
            }
            truths = [text for _, text in pairs]
            for who, made in runs.items():
                folds = ("none", "loose") if "merged" not in name else ("merged", "loose")
                for fold in folds:
                    told = [fold_merged(t) for t in truths] if fold == "merged" else truths
                    s = score(told, made.texts, fold)
                    info = {k: v for k, v in asdict(made).items() if k != "texts"}
                    writers = over_writers(made.texts, pairs, fold) if name.startswith("real") else None
                    table.append({"lines": name, "reader": who, "fold": fold, "count": s.lines, "cer": s.cer,
                                  "cer_interval": s.cer_interval, "wer": s.wer, "exact": s.exact, **info,
                                  "over_writers": writers})  # fmt: skip
                    low, high = s.cer_interval
                    print(
                        f"{name:20s} {who:32s} {fold:6s} CER {s.cer:7.2%} [{low:6.2%}, {high:6.2%}]  WER {s.wer:7.2%}  "
                        f"{made.lines_per_second:7.1f} lines/s  {made.ms_a_line:6.1f} ms  {made.peak_mb:5.0f} MB"
                    )
            if chosen.show and name.startswith("real"):
                for k, (path, truth) in enumerate(pairs):
                    print(f"    {path.name:26s} {truth!r}")
                    for who, made in runs.items():
                        print(f"        {who:32s} {made.texts[k]!r}")
    RESULTS.mkdir(exist_ok=True)
    first = cold(ROOT / "examples" / "lines" / "example-0.png")
    print(f"cold: {first:.2f} s from starting Python to the first line read")
    kept = {"cores": os.cpu_count(), "cold_seconds": first, "rows": table}
    (RESULTS / "reading.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*sys.argv[2:])
    else:
        main()
