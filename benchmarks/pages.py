"""Measures text detection and recognition on whole images: glyphline, RapidOCR and Tesseract, in one run.

    make peers && python benchmarks/pages.py [--show]    # writes benchmarks/results/pages.json

The images are all of $GLYPHLINE_DATA/photos/manifest.tsv, by kind; the same images re-imaged by simulated cameras;
clean hand print, signs and print rotated by quarter turns and by 12 degrees; composed pages of one to three columns;
composed tables. The peers run with their defaults. The composed pages test the reading order and need `make fonts`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean, median
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidfuzz.distance import Levenshtein

from glyphline import open_reader
from glyphline.composing.fetch import data_folder
from glyphline.imaging.documents import ColourImage, Document
from glyphline.score import fold_loose, score
from reading import PEERS, RESULTS, ROOT

DEFAULT = "glyphline, default"
SINGLE_LINE = "glyphline, --line"  # reads only the images that are one line each
READERS = {  # glyphline's rows of the table -> (model, detector)
    DEFAULT: ("auto", "auto"),
    "glyphline, --model reader": ("reader", "auto"),
    "glyphline, --model pp-ocr": ("pp-ocr", "auto"),
    "glyphline, --model reader --detector paper": ("reader", "paper"),
    SINGLE_LINE: ("auto", "none"),
}
RAPIDOCR = [str(PEERS), str(ROOT / "benchmarks" / "peers" / "rapidocr_pages.py")]
FOLD = "loose"
NO_TEXT, ROTATED = "no text", "rotated photograph"
PAGES, LINES = "pages", "words and lines"
LATIN = "*-latin-400-*"  # files of recipes/fonts that have the basic letters; the -latin-ext- ones supplement them
KIND_NAMES = {"notext": NO_TEXT, "rotated": ROTATED, "handprint": "hand print"}  # kind in the manifest -> in the table


@dataclass(frozen=True)
class TestImage:
    """An image file and the lines of text on it, in reading order."""

    kind: str
    path: Path
    lines: tuple[str, ...]


def load_photographs() -> Iterator[TestImage]:
    """Yield the photographs and scans of the manifest. Images without "clean" at the start of their notes are hard."""
    folder = data_folder() / "photos"
    with (folder / "manifest.tsv").open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE):
            extent = PAGES if row["granularity"] == "page" else LINES
            quality = "clean" if row["notes"].startswith("clean") else "hard"
            kind = KIND_NAMES.get(row["kind"], row["kind"])
            if kind not in (NO_TEXT, ROTATED):
                kind = f"{kind}, {quality} {extent}"
            lines = tuple(filter(None, row["transcript"].split(" / ")))
            yield TestImage(kind, folder / row["kind"] / row["file"], lines)


def simulate_cameras(test_images: list[TestImage], folder: Path) -> Iterator[TestImage]:
    """Yield two re-imaged versions of every image with text: scaled, sheared, blurred, relit, noisy, as JPEG."""
    for number, test_image in enumerate(test_images):
        if test_image.kind in (NO_TEXT, ROTATED):
            continue
        image = Document(test_image.path).colour(0)
        for view in range(2):
            rng = np.random.default_rng((number, view))
            scale = max(rng.uniform(0.6, 1.3), 24 / min(image.shape[:2]))
            height, width = image.shape[:2]
            transform = cv2.getRotationMatrix2D((0, 0), rng.uniform(-4, 4), scale)
            transform[:, :2] += scale * rng.uniform(-0.03, 0.03, (2, 2))
            corners = np.array([(0, 0), (width, 0), (width, height), (0, height)]) @ transform[:, :2].T
            transform[:, 2] = -corners.min(0)
            size = np.ceil(np.ptp(corners, axis=0)).astype(int).tolist()
            warped = cv2.warpAffine(image, transform, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
            if rng.random() < 0.5:
                warped = cv2.GaussianBlur(warped, (0, 0), rng.uniform(0.3, 0.8 + max(size) / 1000))
            relit = 255 * (warped / 255) ** rng.uniform(0.7, 1.5) * rng.uniform(0.7, 1) + rng.uniform(0, 30)
            noisy = (relit + rng.normal(0, rng.uniform(0, 10), relit.shape)).clip(0, 255).astype(np.uint8)
            path = folder / f"{test_image.path.stem}-view{view}.jpg"
            cv2.imwrite(str(path), noisy[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(35, 95))])
            kind = test_image.kind.removesuffix(f" {PAGES}").removesuffix(f" {LINES}")  # both extents in one row
            yield TestImage(f"{kind}, re-imaged by simulated cameras", path, test_image.lines)


def rotate_images(test_images: list[TestImage], folder: Path) -> Iterator[TestImage]:
    """Yield clean pages of hand print and signs, and clean print, rotated by 90, 180, 270, 12 and -12 degrees."""
    for test_image in test_images:
        if test_image.kind not in (f"hand print, clean {PAGES}", f"printed, clean {LINES}", f"signs, clean {PAGES}"):
            continue
        image = Document(test_image.path).colour(0)
        for degrees in (90, 180, 270, 12, -12):
            if degrees % 90 == 0:
                rotated = np.rot90(image, degrees // 90)
            else:
                height, width = image.shape[:2]
                transform = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
                size = np.abs(transform[:, :2]) @ (width, height)
                transform[:, 2] += size / 2 - (width / 2, height / 2)
                rotated = cv2.warpAffine(image, transform, tuple(map(int, size)), borderMode=cv2.BORDER_REPLICATE)
            path = folder / f"{test_image.path.stem}-{degrees}.png"
            cv2.imwrite(str(path), np.ascontiguousarray(rotated[..., ::-1]))
            kind = "rotated by 12 degrees" if abs(degrees) == 12 else "rotated by quarter turns"
            yield TestImage(kind, path, test_image.lines)


def compose_columns(folder: Path) -> Iterator[TestImage]:
    """Yield printed pages of one to three columns, every second one with a heading. Yields nothing without the data."""
    fonts = sorted((ROOT / "recipes" / "fonts" / "print").glob(LATIN))
    source = data_folder() / "text" / "english.txt.gz"
    if not fonts or not source.exists():
        print("composed pages are skipped: they need the fonts of `make fonts` and $GLYPHLINE_DATA/text")
        return
    with gzip.open(source, "rt", encoding="utf-8") as rows:
        sentences = [row.strip() for row, _ in zip(rows, range(2000), strict=False) if row.isascii()]
    rng = np.random.default_rng(0)
    for number in range(8):
        columns, font = 1 + number % 3, ImageFont.truetype(str(fonts[number % len(fonts)]), 26)
        page = Image.new("RGB", (1654, 2339), "white")
        draw, lines, top = ImageDraw.Draw(page), [], 150
        if number % 2:
            lines.append("The Order Of Things")
            draw.text((420, top), lines[0], font=ImageFont.truetype(str(fonts[0]), 60), fill="black")
            top += 140
        for column in range(columns):
            start = int(rng.integers(len(sentences) - 60))
            width = 1400 // columns
            rows = textwrap.wrap(" ".join(sentences[start : start + 40]), width // 16)[: int(rng.integers(12, 40))]
            for k, row in enumerate(rows):
                draw.text((130 + column * width, top + 38 * k), row, font=font, fill=(30, 30, 30))
            lines += rows
        path = folder / f"composed-{number}.png"
        page.save(path)
        yield TestImage("composed pages in columns", path, tuple(lines))


def compose_tables(folder: Path) -> Iterator[TestImage]:
    """Yield printed tables of three to five columns; the reading order is row by row. Yields nothing without fonts."""
    fonts = sorted((ROOT / "recipes" / "fonts" / "print").glob(LATIN))
    rng = np.random.default_rng(1)
    goods = ["apples", "bread", "butter", "candles", "eggs", "flour", "honey", "milk", "nails", "paper", "salt", "tea"]
    for number, font_path in enumerate(fonts[:6]):
        font = ImageFont.truetype(str(font_path), 26)
        columns = 3 + number % 3
        page = Image.new("RGB", (1654, 1169), "white")
        draw, lines = ImageDraw.Draw(page), []
        for row in range(int(rng.integers(6, 14))):
            cells = [
                " ".join(rng.choice(goods, 1 + (number + row) % 2)),
                *(
                    f"{rng.uniform(1, 500):.2f}" if rng.random() < 0.7 else rng.choice(goods)
                    for _ in range(columns - 1)
                ),
            ]
            for column, cell in enumerate(cells):
                draw.text((130 + column * 1400 // columns, 120 + 46 * row), cell, font=font, fill=(30, 30, 30))
            lines += cells
        path = folder / f"table-{number}.png"
        page.save(path)
        yield TestImage("composed tables", path, tuple(lines))


def reading_order_accuracy(truth: tuple[str, ...], recognized: list[str]) -> float | None:
    """The share of all pairs of lines that are in the right order, None without a pair.

    Each true line is matched with the most similar recognized line that is not matched yet. Matches with a similarity
    of 0.5 or less do not count.
    """
    unmatched, positions = list(range(len(recognized))), []
    for line in truth:
        best = max(unmatched, key=lambda k: Levenshtein.normalized_similarity(line, recognized[k]), default=None)
        if best is not None and Levenshtein.normalized_similarity(line, recognized[best]) > 0.5:
            unmatched.remove(best)
            positions.append(best)
    pairs = [a < b for a, b in combinations(positions, 2)]
    return mean(pairs) if pairs else None


def run_worker(model: str, detector: str) -> None:
    """Read the images whose paths are on stdin. Print a JSON object for each: {"lines", "rotation", "seconds"}."""
    reader = open_reader(model, detector=detector)
    paths = sys.stdin.read().splitlines()
    reader.read(paths[0])
    for path in paths:
        image: ColourImage = Document(path).colour(0)
        started = time.perf_counter()
        page = reader.read_image(image)
        output = {"lines": [line.text for line in page.lines if line.text], "rotation": page.rotation}
        print(json.dumps({**output, "seconds": time.perf_counter() - started}), flush=True)


def reads_kind(reader: str, kind: str) -> bool:
    """Whether the reader is measured on images of this kind."""
    return reader != SINGLE_LINE or kind.endswith(LINES) or kind == ROTATED


def run_program(command: list[str], test_images: list[TestImage]) -> list[dict[str, Any]]:
    """Run a program that takes image paths on stdin and prints a JSON object for each. Exits if one is missing."""
    completed = subprocess.run(
        command, input="\n".join(str(t.path) for t in test_images), capture_output=True, text=True, check=False
    )
    outputs = [json.loads(row) for row in completed.stdout.splitlines() if row.startswith("{")]
    outputs = [output for output in outputs if "seconds" in output]
    if len(outputs) != len(test_images):
        sys.exit(
            f"{' '.join(command)} read {len(outputs)} of {len(test_images)} images, expected all: "
            f"run it by hand to see why; the end of its errors: {completed.stderr[-500:]}"
        )
    return outputs


def join_text(output: dict[str, Any]) -> str:
    """The text that a program recognized in an image: its `lines` joined by spaces, or its `text`."""
    return " ".join(output.get("lines") or [output.get("text", "")])


def main() -> None:
    """Read all images with all readers, print the table and write it to results/pages.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print the truth and the output of every reader an image")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        test_images = list(load_photographs())
        folder = Path(name)
        test_images += [
            *simulate_cameras(test_images, folder),
            *rotate_images(test_images, folder),
            *compose_columns(folder),
            *compose_tables(folder),
        ]
        commands = {reader: [sys.executable, __file__, "--worker", *spec] for reader, spec in READERS.items()}
        commands["RapidOCR"] = RAPIDOCR
        commands["Tesseract"] = [sys.executable, str(ROOT / "benchmarks" / "peers" / "tesseract_lines.py"), "3"]
        outputs = {
            reader: run_program(command, [t for t in test_images if reads_kind(reader, t.kind)])
            for reader, command in commands.items()
        }
    table = []
    for kind in dict.fromkeys(test_image.kind for test_image in test_images):
        indices = [k for k, test_image in enumerate(test_images) if test_image.kind == kind]
        truths = [" ".join(test_images[k].lines) for k in indices]
        for reader, reader_outputs in outputs.items():
            if not reads_kind(reader, kind):
                continue
            indices_of_reader = (k for k, test_image in enumerate(test_images) if reads_kind(reader, test_image.kind))
            by_index = dict(zip(indices_of_reader, reader_outputs, strict=True))
            texts = [join_text(by_index[k]) for k in indices]
            seconds = [by_index[k]["seconds"] for k in indices]
            row: dict[str, Any] = {"kind": kind, "reader": reader, "count": len(indices), "seconds": mean(seconds),
                                   "median_seconds": median(seconds)}  # fmt: skip
            if kind == NO_TEXT:
                row["false_positives"] = sum(bool(fold_loose(text)) for text in texts)
                summary = f"text in {row['false_positives']} images without text"
            else:
                s = score(truths, texts, FOLD)
                row |= {"cer": s.cer, "cer_interval": s.cer_interval, "exact": s.exact}
                summary = f"CER {s.cer:7.2%} [{s.cer_interval[0]:6.2%}, {s.cer_interval[1]:6.2%}]"
            if "lines" in reader_outputs[0]:
                accuracies = [reading_order_accuracy(test_images[k].lines, by_index[k]["lines"]) for k in indices]
                measured = [accuracy for accuracy in accuracies if accuracy is not None]
                row["order"] = mean(measured) if measured else None
            table.append(row)
            print(f"{kind:50s} {len(indices):3d} {reader:42s} {summary}  {row['seconds']:.2f} s", flush=True)
            for k in indices if args.show else ():
                print(f"    {test_images[k].path.name}: {' / '.join(test_images[k].lines)!r}")
                print(f"        {by_index[k].get('lines', by_index[k].get('text'))!r}")
    results = {"cores": os.cpu_count(), "fold": FOLD, "rows": table}
    (RESULTS / "pages.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        run_worker(*sys.argv[2:])
    else:
        main()
