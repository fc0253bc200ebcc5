"""CER, WER and lines a second of our readers and of Tesseract and RapidOCR on the same pictures, in one run.

    make peers && python benchmarks/reading.py [--model NAME_OR_FILE]...    # writes benchmarks/results/reading.json

Real lines: every row of kind handprint, granularity line or word, of $GLYPHLINE_DATA/photos/manifest.tsv; those whose
notes say "clean" are scored, the hard ones listed. Composed lines: the test split of three layouts.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import cv2

from glyphline import open_reader
from glyphline.alphabet import fold_merged
from glyphline.composing.fetch import data_folder
from glyphline.composing.lines import LineSet
from glyphline.errors import UserError
from glyphline.image import load
from glyphline.reading.engines import alphabet_of, bundled_names
from glyphline.recipe import load_recipe, recipe_from
from glyphline.score import score

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PEERS = ROOT / ".venv-peers" / "bin" / "python"
DECODERS_SHOWN = ("greedy", "beam")
Pairs = list[tuple[Path, str]]


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


def ours(model: str, decoder: str, pairs: Pairs) -> tuple[list[str], float, float]:
    """(readings, lines a second in batches, ms for a single line)."""
    reader = open_reader(model, decoder)
    pictures = [load(path) for path, _ in pairs]
    reader.read_lines(pictures[:2])
    started = time.perf_counter()
    texts = [line.text for line in reader.read_lines(pictures)]
    speed = len(pairs) / (time.perf_counter() - started)
    single = []
    for picture in pictures[:50]:
        started = time.perf_counter()
        reader.read_lines([picture])
        single.append((time.perf_counter() - started) * 1000)
    return texts, speed, median(single)


def suits(model: str, lines: str) -> bool:
    """Readers of tiles are not asked to read photographs, nor those of the merged alphabet to tell case."""
    engine = open_reader(model).engine
    tiled = lines.startswith(("tiles", "overlap"))
    return (engine.facts.frame != "whole" or tiled) and not (alphabet_of(engine).merges and "merged" not in lines)


def tesseract(pairs: Pairs) -> tuple[list[str], float, float] | None:
    """Debian's tesseract, one process a line, page segmentation 7: a single text line."""
    if shutil.which("tesseract") is None:
        return None
    texts, times = [], []
    for path, _ in pairs:
        started = time.perf_counter()
        done = subprocess.run(
            ["tesseract", str(path), "-", "--psm", "7", "-l", "eng"], capture_output=True, text=True, check=False
        )
        times.append(time.perf_counter() - started)
        texts.append(" ".join(done.stdout.split()))
    return texts, len(pairs) / sum(times), median(times) * 1000


def rapidocr(pairs: Pairs) -> tuple[list[str], float, float] | None:
    """RapidOCR's recogniser, detection and direction off."""
    if not PEERS.exists():
        return None
    done = subprocess.run(
        [str(PEERS), str(ROOT / "benchmarks" / "peers" / "rapidocr_lines.py")],
        input="\n".join(str(path) for path, _ in pairs), capture_output=True, text=True, check=False,
    )  # fmt: skip
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if len(rows) != len(pairs):
        print(f"rapidocr failed: {done.stderr[-300:]}")
        return None
    times = [row["seconds"] for row in rows]
    return [row["text"] for row in rows], len(rows) / sum(times), median(times) * 1000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", action="append", help="a bundled reader or an .onnx file; may be repeated")
    options.add_argument("-n", type=int, default=100, help="composed lines of each layout")
    options.add_argument("--show", action="store_true", help="print every real line with all readings")
    chosen = options.parse_args()
    models = chosen.model or bundled_names()
    table = []
    with tempfile.TemporaryDirectory() as folder:
        sets = {**real_lines(), **composed_lines(Path(folder), chosen.n)}
        for name, pairs in sets.items():
            runs = {
                f"glyphline {Path(m).stem}, {decoder}": ours(m, decoder, pairs)
                for m in models
                if suits(m, name)
                for decoder in DECODERS_SHOWN
                if decoder == "greedy" or not alphabet_of(open_reader(m).engine).merges  # English has its case
            }
            runs |= {
                who: made for who, act in (("Tesseract", tesseract), ("RapidOCR", rapidocr)) if (made := act(pairs))
            }
            truths = [text for _, text in pairs]
            for who, (texts, speed, single) in runs.items():
                folds = ("none", "loose") if "merged" not in name else ("merged", "loose")
                for fold in folds:
                    told = [fold_merged(t) for t in truths] if fold == "merged" else truths
                    s = score(told, texts, fold)
                    table.append({"lines": name, "reader": who, "fold": fold, "count": s.lines, "cer": s.cer,
                                  "cer_interval": s.cer_interval, "wer": s.wer, "exact": s.exact,
                                  "lines_per_second": speed, "ms_a_line": single})  # fmt: skip
                    low, high = s.cer_interval
                    print(
                        f"{name:20s} {who:32s} {fold:6s} CER {s.cer:7.2%} [{low:6.2%}, {high:6.2%}]  "
                        f"WER {s.wer:7.2%}  {speed:7.1f} lines/s  {single:6.1f} ms"
                    )
            if chosen.show and name.startswith("real"):
                for k, (path, truth) in enumerate(pairs):
                    print(f"    {path.name:26s} {truth!r}")
                    for who, (texts, *_) in runs.items():
                        print(f"        {who:32s} {texts[k]!r}")
    RESULTS.mkdir(exist_ok=True)
    kept = {"cores": os.cpu_count(), "rows": table}
    (RESULTS / "reading.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
