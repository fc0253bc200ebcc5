"""Whole images, found and read: ours, RapidOCR with its defaults and Tesseract with its own, in one run.

    make peers && python benchmarks/pages.py [--show]    # writes benchmarks/results/pages.json

Every row of $GLYPHLINE_DATA/photos/manifest.tsv, by kind; the same as other cameras might have seen them; clean
handwriting and print turned and askew; and composed pages of several columns, and tables, whose reading order is scored
(with `make fonts`).
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

ONE_LINE = "glyphline, auto, --line"  # of images that are one line each
READERS = {  # ours: what it is called -> model, detector
    "glyphline, auto": ("auto", "auto"),
    "glyphline, its own reader alone": ("reader", "auto"),
    "glyphline, PP-OCR's recognizer alone": ("pp-ocr", "auto"),
    "glyphline, without the extra [photo]": ("reader", "paper"),
    ONE_LINE: ("auto", "none"),
}
RAPIDOCR = [str(PEERS), str(ROOT / "benchmarks" / "peers" / "rapidocr_pages.py")]
FOLD = "loose"


@dataclass(frozen=True)
class Sheet:
    """One image and the lines it says."""

    kind: str
    path: Path
    lines: tuple[str, ...]


def photographs() -> Iterator[Sheet]:
    """Those at hand, by kind."""
    folder = data_folder() / "photos"
    with (folder / "manifest.tsv").open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE):
            part = "pages" if row["granularity"] == "page" else "words and lines"
            sure = "clean" if row["notes"].startswith("clean") else "hard"
            kind = row["kind"] if row["kind"] in ("notext", "rotated") else f"{row['kind']}, {sure} {part}"
            lines = tuple(filter(None, row["transcript"].split(" / ")))
            yield Sheet(kind, folder / row["kind"] / row["file"], lines)


def seen_anew(sheets: list[Sheet], folder: Path) -> Iterator[Sheet]:
    """Photographs of text as other cameras might have seen them, two of each: smaller or larger, from another side,
    blurred, darker or lighter, noisy, as JPEG.
    """
    for number, sheet in enumerate(sheets):
        if sheet.kind in ("notext", "rotated"):
            continue
        image = Document(sheet.path).colour(0)
        for view in range(2):
            rng = np.random.default_rng((number, view))
            scale = max(rng.uniform(0.6, 1.3), 24 / min(image.shape[:2]))
            height, width = image.shape[:2]
            turn = cv2.getRotationMatrix2D((0, 0), rng.uniform(-4, 4), scale)
            turn[:, :2] += scale * rng.uniform(-0.03, 0.03, (2, 2))
            corners = np.array([(0, 0), (width, 0), (width, height), (0, height)]) @ turn[:, :2].T
            turn[:, 2] = -corners.min(0)
            size = np.ceil(np.ptp(corners, axis=0)).astype(int).tolist()
            made = cv2.warpAffine(image, turn, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
            if rng.random() < 0.5:
                made = cv2.GaussianBlur(made, (0, 0), rng.uniform(0.3, 0.8 + max(size) / 1000))
            light = 255 * (made / 255) ** rng.uniform(0.7, 1.5) * rng.uniform(0.7, 1) + rng.uniform(0, 30)
            made = (light + rng.normal(0, rng.uniform(0, 10), light.shape)).clip(0, 255).astype(np.uint8)
            path = folder / f"{sheet.path.stem}-view{view}.jpg"
            cv2.imwrite(str(path), made[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(35, 95))])
            kind = " ".join(sheet.kind.split()[:2])  # pages, words and lines together
            yield Sheet(f"{kind}, seen anew", path, sheet.lines)


def turned(sheets: list[Sheet], folder: Path) -> Iterator[Sheet]:
    """Clean handwriting and print, turned by quarters, and by 12 degrees either way."""
    for sheet in sheets:
        if sheet.kind not in ("handprint, clean pages", "printed, clean words and lines", "signs, clean pages"):
            continue
        image = Document(sheet.path).colour(0)
        for degrees in (90, 180, 270, 12, -12):
            if degrees % 90 == 0:
                made = np.rot90(image, degrees // 90)
            else:
                height, width = image.shape[:2]
                turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
                size = np.abs(turn[:, :2]) @ (width, height)
                turn[:, 2] += size / 2 - (width / 2, height / 2)
                made = cv2.warpAffine(image, turn, tuple(map(int, size)), borderMode=cv2.BORDER_REPLICATE)
            path = folder / f"{sheet.path.stem}-{degrees}.png"
            cv2.imwrite(str(path), np.ascontiguousarray(made[..., ::-1]))
            yield Sheet("turned by 12 degrees" if abs(degrees) == 12 else "turned by quarters", path, sheet.lines)


def composed(folder: Path) -> Iterator[Sheet]:
    """Printed pages of one to three columns, some under a heading; nothing without the fonts or the texts."""
    fonts = sorted((ROOT / "recipes" / "fonts" / "print").glob("*.woff"))
    source = data_folder() / "text" / "english.txt.gz"
    if not fonts or not source.exists():
        print("composed pages left out: they want `make fonts` and $GLYPHLINE_DATA/text")
        return
    with gzip.open(source, "rt", encoding="utf-8") as rows:
        sentences = [row.strip() for row, _ in zip(rows, range(2000), strict=False) if row.isascii()]
    rng = np.random.default_rng(0)
    for number in range(8):
        columns, font = 1 + number % 3, ImageFont.truetype(str(fonts[number % len(fonts)]), 26)
        sheet = Image.new("RGB", (1654, 2339), "white")
        pen, lines, top = ImageDraw.Draw(sheet), [], 150
        if number % 2:
            lines.append("The Order Of Things")
            pen.text((420, top), lines[0], font=ImageFont.truetype(str(fonts[0]), 60), fill="black")
            top += 140
        for column in range(columns):
            start = int(rng.integers(len(sentences) - 60))
            width = 1400 // columns
            rows = textwrap.wrap(" ".join(sentences[start : start + 40]), width // 16)[: int(rng.integers(12, 40))]
            for k, row in enumerate(rows):
                pen.text((130 + column * width, top + 38 * k), row, font=font, fill=(30, 30, 30))
            lines += rows
        path = folder / f"composed-{number}.png"
        sheet.save(path)
        yield Sheet("composed pages in columns", path, tuple(lines))


def tables(folder: Path) -> Iterator[Sheet]:
    """Lists of three to five columns of short cells, read row by row; nothing without the fonts."""
    fonts = sorted((ROOT / "recipes" / "fonts" / "print").glob("*.woff"))
    rng = np.random.default_rng(1)
    goods = ["apples", "bread", "butter", "candles", "eggs", "flour", "honey", "milk", "nails", "paper", "salt", "tea"]
    for number, path in enumerate(fonts[:6]):
        font = ImageFont.truetype(str(path), 26)
        columns = 3 + number % 3
        sheet = Image.new("RGB", (1654, 1169), "white")
        pen, lines = ImageDraw.Draw(sheet), []
        for row in range(int(rng.integers(6, 14))):
            cells = [
                " ".join(rng.choice(goods, 1 + (number + row) % 2)),
                *(
                    f"{rng.uniform(1, 500):.2f}" if rng.random() < 0.7 else rng.choice(goods)
                    for _ in range(columns - 1)
                ),
            ]
            for column, cell in enumerate(cells):
                pen.text((130 + column * 1400 // columns, 120 + 46 * row), cell, font=font, fill=(30, 30, 30))
            lines += cells
        out = folder / f"table-{number}.png"
        sheet.save(out)
        yield Sheet("composed tables", out, tuple(lines))


def order_corners(truth: tuple[str, ...], read: list[str]) -> float | None:
    """Share of all pairs of lines that are read in the right order; a line is found by its likest, one to one."""
    free, places = list(range(len(read))), []
    for line in truth:
        likest = max(free, key=lambda k: Levenshtein.normalized_similarity(line, read[k]), default=None)
        if likest is not None and Levenshtein.normalized_similarity(line, read[likest]) > 0.5:
            free.remove(likest)
            places.append(likest)
    pairs = [a < b for a, b in combinations(places, 2)]
    return mean(pairs) if pairs else None


def one(model: str, detector: str) -> None:
    """Read the images named on stdin; a line of JSON each."""
    reader = open_reader(model, detector=detector)
    paths = sys.stdin.read().splitlines()
    reader.read(paths[0])
    for path in paths:
        image: ColourImage = Document(path).colour(0)
        started = time.perf_counter()
        page = reader.read_picture(image)
        told = {"lines": [line.text for line in page.lines if line.text], "rotation": page.rotation}
        print(json.dumps({**told, "seconds": time.perf_counter() - started}), flush=True)


def takes(name: str, sheet: Sheet) -> bool:
    """Whether a reader is given this image."""
    return name != ONE_LINE or sheet.kind.endswith("words and lines") or sheet.kind == "rotated"


def run(command: list[str], sheets: list[Sheet]) -> list[dict[str, Any]]:
    """What a program of one line an image says."""
    done = subprocess.run(
        command, input="\n".join(str(s.path) for s in sheets), capture_output=True, text=True, check=False
    )
    rows = [json.loads(row) for row in done.stdout.splitlines() if row.startswith("{")]
    rows = [row for row in rows if "seconds" in row]
    if len(rows) != len(sheets):
        sys.exit(f"{' '.join(command)} read {len(rows)} of {len(sheets)} images: {done.stderr[-500:]}")
    return rows


def text_of(row: dict[str, Any]) -> str:
    """All that a program read of an image, of ours in lines."""
    return " ".join(row.get("lines") or [row.get("text", "")])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--show", action="store_true", help="print every image with all readings")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sheets = list(photographs())
        inside = Path(folder)
        sheets += [*seen_anew(sheets, inside), *turned(sheets, inside), *composed(inside), *tables(inside)]
        commands = {name: [sys.executable, __file__, "--one", *how] for name, how in READERS.items()}
        commands["RapidOCR"] = RAPIDOCR
        commands["Tesseract"] = [sys.executable, str(ROOT / "benchmarks" / "peers" / "tesseract_lines.py"), "3"]
        read = {name: run(command, [s for s in sheets if takes(name, s)]) for name, command in commands.items()}
    table = []
    for kind in dict.fromkeys(sheet.kind for sheet in sheets):
        those = [k for k, sheet in enumerate(sheets) if sheet.kind == kind]
        truths = [" ".join(sheets[k].lines) for k in those]
        for name, said in read.items():
            if not takes(name, sheets[those[0]]):
                continue
            rows = dict(zip((k for k, sheet in enumerate(sheets) if takes(name, sheet)), said, strict=True))
            texts = [text_of(rows[k]) for k in those]
            seconds = [rows[k]["seconds"] for k in those]
            row: dict[str, Any] = {"kind": kind, "reader": name, "count": len(those), "seconds": mean(seconds),
                                   "median_seconds": median(seconds)}  # fmt: skip
            if kind == "notext":
                row["invented"] = sum(bool(fold_loose(text)) for text in texts)
                scored = f"{row['invented']} with invented text"
            else:
                s = score(truths, texts, FOLD)
                row |= {"cer": s.cer, "cer_interval": s.cer_interval, "exact": s.exact}
                scored = f"CER {s.cer:7.2%} [{s.cer_interval[0]:6.2%}, {s.cer_interval[1]:6.2%}]"
            if "lines" in said[0]:
                orders = [o for k in those if (o := order_corners(sheets[k].lines, rows[k]["lines"])) is not None]
                row["order"] = mean(orders) if orders else None
            table.append(row)
            print(f"{kind:36s} {len(those):3d} {name:38s} {scored}  {row['seconds']:.2f} s", flush=True)
            for k in those if chosen.show else ():
                print(f"    {sheets[k].path.name}: {' / '.join(sheets[k].lines)!r}")
                print(f"        {rows[k].get('lines', rows[k].get('text'))!r}")
    kept = {"cores": os.cpu_count(), "fold": FOLD, "rows": table}
    (RESULTS / "pages.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*sys.argv[2:])
    else:
        main()
