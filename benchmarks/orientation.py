"""Fits and measures orientation: which way up a page stands, and lines that run another way than their page.

    make fonts && python benchmarks/orientation.py --fit      # writes src/glyphline/models/directions.json
    make fonts peers && python benchmarks/orientation.py      # writes benchmarks/results/orientation.json

All pictures of the fit are drawn here and turned by quarter turns: pages of prose in one or two columns, notes of two
to five lines, signs of one to four words on coloured grounds with a slant, labels of one or two words cut close, in the
fonts of recipes/fonts/documents, hand and signs; and upright pages with a margin note, turned headings above columns
of digits, and upside-down lines. The test has the fonts of recipes/fonts/print and held-out, and other texts; the
photographs of $GLYPHLINE_DATA/photos, turned, were fitted on nowhere. A picture is assumed to be upright with
UPRIGHT_SHARE, and to be turned each other way equally often.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from glyphline import open_reader
from glyphline.imaging.documents import ColourImage, Document
from glyphline.memory import peak_bytes
from glyphline.reading.detection.detectors import DbNetDetector
from glyphline.reading.detection.orientation import (
    DIRECTIONS,
    DRAFT_ASPECT,
    crop_middle,
    direction_probabilities,
    draft_features,
    orientation_features,
    rotate_quarters,
)
from glyphline.reading.pages import PageReader
from glyphline.score import score
from pages import FOLD, RAPIDOCR, ROTATED, TestImage, load_photographs, run_program
from reading import RESULTS, ROOT
from tables import Words

MODEL = ROOT / "src" / "glyphline" / "models" / "directions.json"
UPRIGHT_SHARE = 0.7
L2_PENALTY = 0.05
FIT_PICTURES, FIT_MIXED, TEST_PICTURES = 110, 16, 36
MIXED_PAGES, REPEATS = 12, 3
SPLITS = {"fit": (("documents", "hand", "signs"), 10), "test": (("print", "held-out"), 11)}  # -> font folders, seed
LATIN = re.compile("-latin-400-")
#: where lines read alike in all directions the shapes of the regions decide
MIN_WEIGHT_OF_SHAPES = 0.25
#: the features (D, F) of the directions, the index of the right one, the weight of the example
Example = tuple[npt.NDArray[np.float64], int, float]


@dataclass
class Drawing:
    """A drawn picture: its kind, its lines, and the direction of the text in each polygon of a mixed page."""

    kind: str
    image: Image.Image
    lines: list[str] = field(default_factory=list)
    placed: list[tuple[tuple[float, float, float, float], int]] = field(default_factory=list)  # box, quarter turns

    def put(self, x: float, y: float, text: str, font: ImageFont.FreeTypeFont, ink: Any, direction: int = 0) -> None:
        """Draw a text with its upper left corner at x, y, so that `direction` quarter turns make it upright."""
        left, top, right, bottom = (int(v) for v in font.getbbox(text))
        tile = Image.new("L", (right + 2, bottom + 2), 0)
        ImageDraw.Draw(tile).text((0, 0), text, font=font, fill=255)
        tile = tile.crop((left, top, right + 2, bottom + 2)) if direction else tile
        tile = tile.rotate(-90 * direction, expand=True)
        self.image.paste(Image.new("RGB", tile.size, ink), (int(x), int(y)), tile)
        self.lines.append(text)
        self.placed.append(((x, y, x + tile.width, y + tile.height), direction))


def load_fonts(split: str) -> list[Path]:
    folders = SPLITS[split][0]
    fonts = [p for folder in folders for p in sorted((ROOT / "recipes" / "fonts" / folder).glob("*.*"))]
    return [p for p in fonts if LATIN.search(p.name) or p.suffix in (".ttf", ".otf")]


def _colours(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A ground and an ink that differ clearly in brightness."""
    ground = rng.integers(0, 256, 3)
    ink = (ground + rng.choice([-1, 1], 3) * rng.integers(0, 60, 3)).clip(0, 255)
    shift = 255 if ground.mean() < 128 else 0
    ink = (ink + (shift - ink) * rng.uniform(0.6, 1)).astype(int)
    return tuple(map(int, ground)), tuple(map(int, ink))


def draw_picture(kind: str, words: Words, rng: np.random.Generator, fonts: list[Path]) -> Drawing:
    """An upright picture of a kind: "page", "note", "sign" or "label"."""
    path = str(fonts[int(rng.integers(len(fonts)))])
    if kind == "page":
        width, height = (int(v) for v in rng.integers(900, 1700, 2))
        drawing = Drawing(kind, Image.new("RGB", (width, height), (250, 248, 244)))
        size = int(rng.integers(18, 36))
        font, columns = ImageFont.truetype(path, size), int(rng.integers(1, 3))
        for column in range(columns):
            left, share = 0.06 * width + column * 0.9 * width / columns, 0.84 * width / columns
            rows = words.prose(font, share, int(rng.integers(4, max(5, int(0.8 * height / size / 1.5)))))
            for k, row in enumerate(rows):
                drawing.put(left, 0.06 * height + 1.45 * size * k, row, font, (30, 30, 35))
    elif kind == "note":
        size = int(rng.integers(24, 60))
        font = ImageFont.truetype(path, size)
        rows = [words.phrase(1, 5) for _ in range(int(rng.integers(2, 6)))]
        width = int(max(font.getlength(row) for row in rows) + size * rng.uniform(1, 8))
        ground, ink = _colours(rng) if rng.random() < 0.4 else ((246, 244, 238), (30, 30, 60))
        drawing = Drawing(kind, Image.new("RGB", (width, int(size * (1.5 * len(rows) + rng.uniform(1, 6)))), ground))
        left = rng.uniform(0.2, 0.9) * size
        for k, row in enumerate(rows):
            drawing.put(left, size * (0.5 + 1.5 * k), row, font, ink)
    else:
        size = int(rng.integers(28, 120))
        font = ImageFont.truetype(path, size)
        rows = [words.phrase(1, 2) if rng.random() < 0.8 else words.number() for _ in range(int(rng.integers(1, 3)))]
        rows = [row.upper() if rng.random() < 0.4 else row for row in (rows[:1] if kind == "label" else rows)]
        margin = size * (rng.uniform(0.1, 0.5) if kind == "label" else rng.uniform(0.5, 3))
        ground, ink = _colours(rng)
        width = int(max(font.getlength(row) for row in rows) + 2 * margin)
        drawing = Drawing(kind, Image.new("RGB", (width, int(1.3 * size * len(rows) + 2 * margin)), ground))
        for k, row in enumerate(rows):
            drawing.put(margin, margin + 1.3 * size * k, row, font, ink)
    return drawing


def photograph(drawing: Drawing, rng: np.random.Generator) -> ColourImage:
    """The picture as a camera might take it: sheared and slanted, relit, blurred, noisy. The size stays similar."""
    image = np.asarray(drawing.image)
    height, width = image.shape[:2]
    if drawing.kind in ("sign", "label", "note"):
        transform = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 4)), rng.uniform(0.8, 1))
        transform[:, :2] += rng.uniform(-0.08, 0.08, (2, 2))
        image = cv2.warpAffine(image, transform, (width, height), borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1 + min(height, width) / 600))
    light = np.linspace(rng.uniform(0.6, 1), rng.uniform(0.6, 1), width)[None, :, None]
    noisy = image * light + rng.normal(0, rng.uniform(0, 14), image.shape)
    return np.asarray(noisy.clip(0, 255), np.uint8)


def draw_pictures(split: str, count: int) -> Iterator[tuple[Drawing, ColourImage]]:
    """Yield pictures and how a camera takes them, upright. Half of them are signs and labels."""
    rng = np.random.default_rng(SPLITS[split][1])
    words, fonts = Words(split, rng), load_fonts(split)
    for number in range(count):
        drawing = draw_picture(("sign", "label", "note", "sign", "label", "page")[number % 6], words, rng, fonts)
        yield drawing, photograph(drawing, rng)


def draw_mixed(split: str, count: int) -> Iterator[Drawing]:
    """Yield upright pages with a margin note, turned headings above columns of digits, and upside-down lines."""
    rng = np.random.default_rng(SPLITS[split][1] + 100)
    words, fonts = Words(split, rng), load_fonts(split)
    for _ in range(count):
        size = int(rng.integers(20, 34))
        font = ImageFont.truetype(str(fonts[int(rng.integers(len(fonts)))]), size)
        drawing = Drawing("mixed", Image.new("RGB", (1100, 1400), (250, 249, 246)))
        for k, row in enumerate(words.prose(font, 800, int(rng.integers(4, 12)))):
            drawing.put(200, 80 + 1.5 * size * k, row, font, (30, 30, 30))
        drawing.put(70, 90, words.phrase(1, 4), font, (60, 30, 90), int(rng.choice([1, 3])))
        direction = int(rng.choice([1, 3]))
        for column in range(int(rng.integers(2, 7))):
            left = 220 + 110 * column
            drawing.put(left, 720, words.phrase(1, 2)[:12], font, (30, 30, 30), direction)
            for row in range(int(rng.integers(2, 6))):
                text = str(rng.choice(["1", "7", "I", "4", "12", "l", "0"]))
                drawing.put(left, 1000 + 1.7 * size * row, text, font, (30, 30, 30))
        for row in range(2):
            drawing.put(220, 1290 + 1.7 * size * row, words.phrase(2, 6), font, (30, 30, 30), 2)
        yield drawing


# --------------------------------------------------------------------------------------------------------------- fit


def fit_conditional(examples: list[Example], first: float | None = None) -> list[float]:
    """The weights of a conditional logistic regression, by Newton's method with an L2 penalty.

    first: the weight of the first feature, where it is not to be fitted.
    """
    weights = np.zeros(examples[0][0].shape[1])
    weights[0] = first or 0.0
    free = np.arange(first is not None, len(weights))
    for _ in range(50):
        gradient, hessian = -L2_PENALTY * weights, L2_PENALTY * np.eye(len(weights))
        for rows, right, share in examples:
            scores = rows @ weights
            p = np.exp(scores - scores.max())
            p /= p.sum()
            centred = rows - p @ rows
            gradient += share * centred[right]
            hessian += share * centred.T @ (p[:, None] * centred)
        step = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        weights[free] += step
        if np.abs(step).max() < 1e-8:
            break
    return [round(float(w), 5) for w in weights]


def fit_drafts(examples: list[Example]) -> list[float]:
    """The weights of `draft_features`; that of the probability without drafts is at least MIN_WEIGHT_OF_SHAPES."""
    weights = fit_conditional(examples)
    return weights if weights[0] >= MIN_WEIGHT_OF_SHAPES else fit_conditional(examples, MIN_WEIGHT_OF_SHAPES)


def _accuracy(examples: list[Example], weights: list[float]) -> float:
    return mean(float(int((rows @ np.array(weights)).argmax()) == right) for rows, right, _ in examples)


def fit() -> None:
    """Fit the four decisions and write them with the accuracies on the fitted pictures."""
    reader = open_reader()
    detector, line_reader = DbNetDetector(), reader.line_reader
    rng = np.random.default_rng(0)
    pictures: list[tuple[ColourImage, dict[int, Any]]] = []
    weights: dict[str, list[float]] = {}
    page: list[Example] = []
    for number, (_, upright) in enumerate(draw_pictures("fit", FIT_PICTURES)):
        right = int(rng.integers(4))
        image = rotate_quarters(upright, -right)
        regions = {axis: detector(rotate_quarters(image, axis)) for axis in (0, 1)}
        if not any(regions.values()):
            continue
        pictures.append((image, regions))
        share = UPRIGHT_SHARE * 4 if right == 0 else (1 - UPRIGHT_SHARE) * 4 / 3
        page.append((orientation_features(image, regions[0]), right, share))
        print(f"\r{number + 1} pictures", end="", file=sys.stderr, flush=True)
    weights["page"] = fit_conditional(page)
    MODEL.write_text(json.dumps({"weights": weights}))
    direction_probabilities.__globals__["_fitted_weights"].cache_clear()
    drafts = []
    for (image, regions), (rows, right, share) in zip(pictures, page, strict=True):
        probabilities = direction_probabilities("page", rows)
        drafts.append((reader.draft_rows(image, regions, DIRECTIONS, probabilities), right, share))
    weights["page draft"] = fit_drafts(drafts)
    region, images = [], []
    for drawing in draw_mixed("fit", FIT_MIXED):
        image = np.asarray(drawing.image)
        for found in detector(image):
            centre = found.corners.mean(0)
            inside = [d for (x0, y0, x1, y1), d in drawing.placed if x0 < centre[0] < x1 and y0 < centre[1] < y1]
            if len(inside) != 1 or not (found.is_vertical or inside[0] == 2 or rng.random() < 0.2):
                continue
            candidates = (0, 1, 3) if found.is_vertical else (0, 2)
            if inside[0] not in candidates:
                continue
            rows = orientation_features(image, [found])[list(candidates)]
            region.append((rows, candidates.index(inside[0]), 1.0))
            crop = crop_middle(image, found, DRAFT_ASPECT)
            images.append([rotate_quarters(crop, q) for q in candidates])
    weights["region"] = fit_conditional(region)
    MODEL.write_text(json.dumps({"weights": weights}))
    direction_probabilities.__globals__["_fitted_weights"].cache_clear()
    region_drafts = []
    for crops, (rows, right, share) in zip(images, region, strict=True):
        log_probabilities = np.log(direction_probabilities("region", rows))
        read = line_reader.draft_lines(crops)
        features = [draft_features(p, [line]) for p, line in zip(log_probabilities, read, strict=True)]
        region_drafts.append((np.array(features), right, share))
    weights["region draft"] = fit_drafts(region_drafts)
    examples = {"page": page, "page draft": drafts, "region": region, "region draft": region_drafts}
    report = {
        name: {"examples": len(rows), "right": round(_accuracy(rows, weights[name]), 4)}
        for name, rows in examples.items()
    }
    about = "Fitted by benchmarks/orientation.py --fit, which states the data."
    MODEL.write_text(json.dumps({"about": about, "weights": weights, "report": report}, indent=1) + "\n")
    print(json.dumps(report, indent=1))


# ------------------------------------------------------------------------------------------------------------ measure


def turned_pictures() -> Iterator[tuple[str, str, int, ColourImage]]:
    """Yield the kind, the text, the quarter turns that make it upright, and the image: drawings and photographs."""
    for drawing, image in draw_pictures("test", TEST_PICTURES):
        for direction in DIRECTIONS:
            yield drawing.kind, " ".join(drawing.lines), direction, rotate_quarters(image, -direction)
    for photograph_ in load_photographs():
        if not photograph_.lines or photograph_.kind == ROTATED:
            continue
        image = Document(photograph_.path).colour(0)
        for direction in DIRECTIONS:
            yield "photographs", " ".join(photograph_.lines), direction, rotate_quarters(image, -direction)


def measure_turned(reader: PageReader) -> list[dict[str, Any]]:
    """For each kind: the share of right rotations, the CER upright and turned, the time of turned over upright."""
    outcomes: dict[str, list[dict[str, Any]]] = {}
    for kind, text, direction, image in turned_pictures():
        started = time.process_time()
        page = reader.read_image(image)
        outcomes.setdefault(kind, []).append({
            "direction": direction, "right": page.rotation == 90 * direction, "confidence": page.rotation_confidence,
            "truth": text, "text": " ".join(line.text for line in page.lines if line.text),
            "seconds": time.process_time() - started,
        })  # fmt: skip
    table = []
    for kind, rows in outcomes.items():
        upright, turned = ([r for r in rows if bool(r["direction"]) == flag] for flag in (False, True))
        seconds = {d: sum(r["seconds"] for r in rows if r["direction"] == d) for d in DIRECTIONS}
        sure = [r for r in rows if (r["confidence"] or 0) >= 0.9]
        table.append({
            "kind": kind, "pictures": len(upright),
            "right_upright": mean(r["right"] for r in upright), "right_turned": mean(r["right"] for r in turned),
            "right_of_confident": mean(r["right"] for r in sure) if sure else None, "confident": len(sure) / len(rows),
            "cer_upright": score([r["truth"] for r in upright], [r["text"] for r in upright], FOLD).cer,
            "cer_turned": score([r["truth"] for r in turned], [r["text"] for r in turned], FOLD).cer,
            "time_ratio": {str(90 * d): seconds[d] / seconds[0] for d in (1, 2, 3)},
        })  # fmt: skip
        print(json.dumps(table[-1]), flush=True)
    return table


def measure_mixed(reader: PageReader) -> dict[str, Any]:
    """The share of the lines of mixed pages that are read to the letter, by their direction on the page."""
    found: dict[int, list[bool]] = {}
    for drawing in draw_mixed("test", MIXED_PAGES):
        texts = [line.text for line in reader.read_image(np.asarray(drawing.image)).lines]
        for text, (_, direction) in zip(drawing.lines, drawing.placed, strict=True):
            if len(text) > 2:
                found.setdefault(90 * direction, []).append(any(text in read for read in texts))
    return {str(degrees): {"lines": len(flags), "found": mean(flags)} for degrees, flags in sorted(found.items())}


def dense_page() -> ColourImage:
    """A page of A4 at 300 dpi with 56 lines of print."""
    font = ImageFont.truetype(str(load_fonts("test")[0]), 40)
    page = Image.new("RGB", (2480, 3508), "white")
    for k, row in enumerate(Words("test", np.random.default_rng(0)).prose(font, 2080, 56)):
        ImageDraw.Draw(page).text((200, 200 + 56 * k), row, font=font, fill=(30, 30, 30))
    return np.asarray(page)


def run_worker() -> None:
    """Read the images whose paths are on stdin. Print a JSON object for each: {"seconds", "megabytes", "rotation"}."""
    reader = open_reader()
    for path in sys.stdin.read().splitlines():
        image = Document(path).colour(0)
        started = time.perf_counter()
        page = reader.read_image(image)
        seconds = time.perf_counter() - started
        megabytes = (peak_bytes() or 0) / 2**20
        print(json.dumps({"seconds": seconds, "megabytes": megabytes, "rotation": page.rotation}), flush=True)


def measure_speed() -> dict[str, Any]:
    """The times of a dense page, upright and turned, over RapidOCR's, and the peak memory of a fresh process."""
    worker = [sys.executable, __file__, "--worker"]
    with tempfile.TemporaryDirectory() as name:
        page = dense_page()
        photograph_ = cv2.resize(page, (3000, 4000), interpolation=cv2.INTER_AREA)
        pictures = {"0": page, "90": np.rot90(page, -1), "180": np.rot90(page, 2), "270": np.rot90(page, -3)}
        tests = []
        for key, image in {**pictures, "12 megapixels": photograph_}.items():
            tests.append(TestImage(key, Path(name) / f"{key}.png", ()))
            cv2.imwrite(str(tests[-1].path), image[..., ::-1])
        own, peer = [], []
        for _ in range(REPEATS):  # alternated, the first page of a process warms it up
            own.append([row["seconds"] for row in run_program(worker, [tests[0], *tests[:4]])][1:])
            peer.append(run_program(RAPIDOCR, [tests[0], tests[0]])[1]["seconds"])
        seconds = np.median(own, axis=0)
        memory = {test.kind: run_program(worker, [test])[0]["megabytes"] for test in (tests[0], tests[4])}
    peer_seconds = median(peer)
    return {
        "seconds": float(seconds[0]), "rapidocr_seconds": peer_seconds,
        "over_rapidocr": float(seconds[0]) / peer_seconds,
        "turned_over_upright": dict(zip(("90", "180", "270"), (seconds[1:] / seconds[0]).tolist(), strict=True)),
        "peak_megabytes": {"A4 at 300 dpi": memory["0"], "12 megapixels": memory["12 megapixels"]},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="fit the weights instead of measuring")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit:
        fit()
    elif arguments.worker:
        run_worker()
    else:
        reader = open_reader()
        results = {"turned": measure_turned(reader), "mixed": measure_mixed(reader), "dense page": measure_speed()}
        results["fold"] = FOLD
        (RESULTS / "orientation.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
