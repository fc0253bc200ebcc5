"""Fits and tests what decides whether a line can be read, whether it is text, and which of its words are right.

    make fonts && python benchmarks/reliability.py WALLPAPERS    # writes src/glyphline/models/reliability.json

WALLPAPERS: a folder with the unpacked Debian packages in PACKAGES and STAMPS, pictures without text (apt-get
download, dpkg -x).

Readable lines: nine languages (without Swedish) in print (recipes/fonts/print), in handwriting fonts with and without
effects, of EMNIST, generated codes, and short lines as on signs (recipes/fonts/signs and documents), all of the
validation split. Lines that cannot be read: half of the scripts of Debian's fonts-noto-core, Chinese, Japanese and
Korean characters (fonts-noto-cjk), mirrored and upside-down print, scribbles; print and handwriting that is blurred or
shrunk, and handwriting that is bent so far that the recognizer does not read it; cuttings of textures and of
wallpapers. Tested on Swedish, the
held-out fonts, DejaVu, the other scripts, other wallpapers. A line that is not meant to be unreadable and of which the
recognizer misreads more than 40 % of the characters is left out, unless it was blurred, shrunk or bent.

Regions of text and of background: what the detectors find in drawn pages, in signs on wallpapers, and in wallpapers and
their cuttings.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from rapidfuzz.distance import Levenshtein

from glyphline import open_reader
from glyphline.composing.line_sets import LineSet
from glyphline.errors import DataError
from glyphline.imaging.documents import ColourImage, Document
from glyphline.page import Line
from glyphline.reading.detection.detectors import DbNetDetector, Detector, InkDetector, is_small
from glyphline.reading.detection.orientation import rotate_points
from glyphline.reading.detection.regions import Region
from glyphline.reading.lines import LineReader, open_line_reader
from glyphline.reading.pages import PageReader
from glyphline.reading.recognition.calibration import calibration_error
from glyphline.reading.recognition.languages import LANGUAGES
from glyphline.reading.recognition.posteriors import Posteriors
from glyphline.reading.recognition.recognizers import PHOTO, PP_OCR
from glyphline.reading.recognition.reliability import (
    MIN_LEGIBILITY,
    NOT_TEXT,
    OBSTACLES,
    TOO_BLURRED,
    TOO_SMALL,
    UNKNOWN_WRITING,
    copies_of,
    expected_share,
    fitted_models,
    legibility_features,
    page_features,
    second_look_features,
    word_features,
)
from glyphline.reading.rejection import text_features
from glyphline.recipe import recipe_from
from glyphline.score import fold_none
from glyphline.training.calibrate import matches
from languages import (
    NOTO,
    ROOT,
    SCRIPTS,
    draw_print,
    handwritten_lines,
    print_lines,
    texts_of,
    unreadable_lines,
)

MODEL = ROOT / "src" / "glyphline" / "models" / "reliability.json"
FONTS = ROOT / "recipes" / "fonts"
PRINT_FACES = sorted((FONTS / "print").glob("*-latin-400-*"))
HELD_OUT_LANGUAGE = "sv"
#: Debian package of wallpapers -> the split that its pictures belong to
PACKAGES = {
    "mate-backgrounds": "val", "ukui-wallpapers": "val", "plasma-workspace-wallpapers": "val",
    "gnome-backgrounds": "test", "lomiri-wallpapers-20.04": "test",
}  # fmt: skip
NOTO_CJK = Path("/usr/share/fonts/opentype/noto")
#: script -> first and last code point; Debian's fonts-noto-cjk
EAST_ASIAN = {
    "Hiragana": (0x3041, 0x3096),
    "Katakana": (0x30A1, 0x30FA),
    "Han": (0x4E00, 0x7000),
    "Hangul": (0xAC00, 0xD7A3),
}
STAMPS = "tuxpaint-stamps-default"  # Debian package of pictures of single things
STAMP_KINDS = ("animals", "clothes", "food", "household", "naturalforces", "plants")  # folders without letters
STAMP_COUNT = {"val": 130, "test": 60}  # stamps of each split
WITH_TEXT = ("GreenTraditional", "MATE-Stripes", "focal-ubuntukylin", "EveningGlow")  # wallpapers that do hold text
WALLPAPER_SIDE = 1000  # px of the longer side
MODELS = (PHOTO, "reader", PP_OCR)
MIN_SIMILARITY = 0.6  # of the greedy text to the truth, for a line that can be read
L2_PENALTY = 0.05
MAX_REJECTED = 0.01  # share of the readable lines of the fit that are rejected
MAX_SURE = 0.002  # share of the unreadable lines of the fit that are not looked at again
MAX_REGIONS = 30  # of a picture; the ink detector finds hundreds on leaves
MIN_REGION_HEIGHT = 4.0  # px; nobody can read lower ones, and long ones take minutes
MAX_PRINTED = 0.005  # share of the regions of background of the fit whose text is printed
CUTTINGS = 4  # of each wallpaper
MAX_REJECTED_BY_PAGE = 0.003  # share of the readable lines that are rejected beside lines that cannot be read
PAGES = 2000  # put together for this
READABLE = 0  # the class of a readable line; class k is OBSTACLES[k - 1]
BENT = "bent"  # handwriting that few can read. Its posteriors are those of readable handwriting: only its words tell it
BENT_MISREAD = -1  # the class of a bent line that is not read


@dataclass(frozen=True)
class LabelledLine:
    """A line image, what it is, and its text."""

    image: ColourImage
    kind: str  # print, hand or signs; else why it cannot be read
    text: str = ""
    may_be_readable: bool = False  # blurred, shrunk or bent: the recognizer decides whether it can be read


def composed_lines(
    texts: Sequence[str],
    glyphs: str,
    effects: dict[str, float] | None,
    count: int,
    split: str = "val",
    length: tuple[int, int] = (4, 56),
    capitals: float = 0.0,
) -> Iterator[tuple[ColourImage, str]]:
    """Natural lines of a language from a split of a glyph source and of the sentences."""
    recipe = recipe_from(
        {"lines": {"alphabet": "latin", "glyphs": [glyphs, {"source": "derived:strokes", "weight": 0.0}],
                   "sentences": list(texts), "length": list(length), "capitals": capitals, "effects": effects}}
    ).lines  # fmt: skip
    lines = LineSet(recipe, split, 11)
    for index in range(count):
        line = lines.line(index)
        yield np.repeat(line.image[..., None], 3, axis=2), line.text


def sign_lines(fonts: str, count: int, split: str) -> Iterator[tuple[ColourImage, str]]:
    """Short lines as on signs: one to three words or a code, often in capitals, light on dark, with a shadow.

    fonts: a folder of recipes/fonts.
    """
    texts = (*texts_of("en"), *texts_of("de"), "generated:4000", "signs:4000")
    effects = {"hollow": 0.05, "shadow": 0.25, "texture": 0.3, "light": 0.5, "negative": 0.4, "blur": 0.3, "grain": 0.4}
    yield from composed_lines(texts, f"fonts:{FONTS / fonts}", effects, count, split, length=(2, 18), capitals=0.5)


def fit_lines(wallpapers: dict[str, list[ColourImage]]) -> Iterator[LabelledLine]:
    """The lines that the models are fitted on."""
    hand = f"fonts:{FONTS / 'hand'}"
    rng = random.Random("fit")
    for code in LANGUAGES:
        if code == HELD_OUT_LANGUAGE:
            continue
        printed = list(print_lines(code, 25, "val", PRINT_FACES))
        written = [*composed_lines(texts_of(code), hand, {}, 20), *composed_lines(texts_of(code), hand, None, 15)]
        written += composed_lines(texts_of(code), "derived:emnist/byclass", None, 20)
        yield from (LabelledLine(image, "print", text) for image, text in printed)
        yield from (LabelledLine(image, "hand", text) for image, text in written)
        yield from spoiled_lines(rng.sample(printed, 8) + rng.sample(written, 8), rng)
        yield from bent_lines(written[::2], random.Random(f"bent/{code}"))
    codes = ("generated:9000", "signs:9000")
    for image, text in composed_lines(codes, f"fonts:{FONTS / 'print'}", {}, 120):
        yield LabelledLine(image, "print", text)
    for image, text in composed_lines(codes, "derived:emnist/byclass", None, 60):
        yield LabelledLine(image, "hand", text)
    for fonts in ("signs", "documents"):
        signs = list(sign_lines(fonts, 150, "val"))
        yield from (LabelledLine(image, "signs", text) for image, text in signs)
        yield from spoiled_lines(rng.sample(signs, 30), rng)
    yield from lines_without_text(600, "val", PRINT_FACES, wallpapers["val"])


def test_lines(wallpapers: dict[str, list[ColourImage]]) -> Iterator[LabelledLine]:
    """The lines that the models are tested on."""
    rng = random.Random("test")
    printed = [*print_lines(HELD_OUT_LANGUAGE, 60), *print_lines("en", 40), *print_lines("es", 40)]
    written = list(composed_lines(texts_of(HELD_OUT_LANGUAGE), "derived:emnist/byclass", None, 40, "test"))
    written += composed_lines(texts_of("en"), "derived:emnist/byclass", None, 40, "test")
    for code in ("en", "fr", "pl", HELD_OUT_LANGUAGE):
        written += handwritten_lines(code, 25)
    signs = [*sign_lines("held-out", 80, "test"), *sign_lines("signs", 60, "test")]
    for kind, lines in (("print", printed), ("hand", written), ("signs", signs)):
        yield from (LabelledLine(image, kind, text) for image, text in lines)
        yield from spoiled_lines(rng.sample(lines, 20), rng)
    yield from bent_lines(written[::2], random.Random("bent/test"))
    yield from lines_without_text(300, "test", None, wallpapers["test"])


def spoiled_lines(lines: Sequence[tuple[ColourImage, str]], rng: random.Random) -> Iterator[LabelledLine]:
    """Each line blurred or shrunk more or less."""
    for image, text in lines:
        height = image.shape[0]
        if rng.random() < 0.5:
            blurred = cv2.GaussianBlur(image, (0, 0), height * rng.uniform(0.04, 0.25))
            yield LabelledLine(blurred, TOO_BLURRED, text, may_be_readable=True)
        else:
            scale = rng.uniform(5, 14) / height
            size = (max(4, round(image.shape[1] * scale)), max(3, round(height * scale)))
            yield LabelledLine(cv2.resize(image, size, interpolation=cv2.INTER_AREA), TOO_SMALL, text, True)


def bent_lines(lines: Sequence[tuple[ColourImage, str]], rng: random.Random) -> Iterator[LabelledLine]:
    """Each line narrower and bent more or less, as a hand that few can read."""
    for image, text in lines:
        height = image.shape[0]
        width = max(16, round(image.shape[1] * rng.uniform(0.35, 1)))
        narrow = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        noise = np.random.default_rng(rng.randrange(2**32)).normal(size=(2, height, width))
        scale, reach = height * rng.uniform(0.06, 0.2), height * rng.uniform(0, 0.18)
        shifts = [cv2.GaussianBlur(plane, (0, 0), scale) for plane in noise]
        dx, dy = (reach * shift / max(1e-9, shift.std()) for shift in shifts)
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        maps = (x + dx).astype(np.float32), (y + dy).astype(np.float32)
        bent = cv2.remap(narrow, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        yield LabelledLine(bent, BENT, text, may_be_readable=True)


def lines_without_text(
    count: int, split: str, faces: Sequence[Path] | None, wallpapers: Sequence[ColourImage]
) -> Iterator[LabelledLine]:
    """Lines that hold no readable Latin text: other scripts, mirrored and upside-down print, scribbles, pictures."""
    rng = random.Random(f"without text/{split}")
    arguments = (count, split) if faces is None else (count, split, faces)
    for image, what in unreadable_lines(*arguments):
        yield LabelledLine(image, TOO_BLURRED if what == "blurred" else UNKNOWN_WRITING)
        if what in SCRIPTS:  # as many short ones, some on their side
            yield LabelledLine(short_foreign_line(rng, split), UNKNOWN_WRITING)
        if what in ("mirrored", "scribble"):  # as many upside-down lines
            upright = image[:, ::-1] if what == "mirrored" else image
            yield LabelledLine(np.ascontiguousarray(np.rot90(upright, 2)), UNKNOWN_WRITING)
    for _ in range(count // 3):
        yield LabelledLine(picture_cutting(rng, wallpapers), NOT_TEXT)


def short_foreign_line(rng: random.Random, split: str) -> ColourImage:
    """One to six characters of a script that is not Latin, Chinese and Japanese too, upright or on their side."""
    scripts = [*sorted(SCRIPTS)[split == "val" :: 2], *EAST_ASIAN, *EAST_ASIAN]
    script = rng.choice(scripts)
    low, high = SCRIPTS.get(script) or EAST_ASIAN[script]
    names = [f"NotoSans{script}-Regular.ttf", f"NotoSerif{script}-Regular.ttf"]
    fonts = [NOTO / name for name in names if (NOTO / name).exists()] or sorted(NOTO_CJK.glob("Noto*CJK-Regular.ttc"))
    if not fonts:
        raise DataError(f"{NOTO_CJK} has no font: apt-get install fonts-noto-cjk")
    letters = [c for c in map(chr, range(low, high + 1)) if unicodedata.category(c)[0] == "L"]
    face, size, on_side = rng.choice(fonts), rng.randint(20, 44), rng.random() < 0.4
    parts = [draw_print(rng.choice(letters), face, size, rng) for _ in range(rng.randint(1, 6))]
    height = max(part.shape[0] for part in parts)
    paper = int(np.median(parts[0]))
    parts = [
        cv2.copyMakeBorder(part, 0, height - part.shape[0], 0, 0, cv2.BORDER_CONSTANT, value=(paper,) * 3)
        for part in parts
    ]
    if on_side:
        width = max(part.shape[1] for part in parts)
        parts = [
            np.rot90(cv2.copyMakeBorder(part, 0, 0, 0, width - part.shape[1], cv2.BORDER_REPLICATE)) for part in parts
        ]
    return np.ascontiguousarray(np.hstack(parts))


def picture_cutting(rng: random.Random, wallpapers: Sequence[ColourImage]) -> ColourImage:
    """A cutting of a wallpaper or of a drawn texture, in the shape of a line."""
    picture = rng.choice(wallpapers) if rng.random() < 0.6 else draw_texture(rng)
    height = rng.randint(16, 90)
    width = min(picture.shape[1] - 1, round(height * rng.uniform(1, 9)))
    top, left = rng.randrange(picture.shape[0] - height), rng.randrange(picture.shape[1] - width)
    return np.ascontiguousarray(picture[top : top + height, left : left + width])


def wallpaper_cutting(wallpaper: ColourImage, rng: random.Random) -> ColourImage:
    """A cutting of a wallpaper, shrunk or enlarged, as a picture of its own: its sides are 150 to 1000 px long."""
    height, width = wallpaper.shape[:2]
    h, w = rng.randint(100, height - 1), rng.randint(100, width - 1)
    top, left = rng.randrange(height - h), rng.randrange(width - w)
    size = rng.randint(150, 1000), rng.randint(150, 1000)
    cutting = wallpaper[top : top + h, left : left + w]
    scale = min(size[0] / w, size[1] / h)
    return cv2.resize(cutting, (max(16, round(w * scale)), max(16, round(h * scale))), interpolation=cv2.INTER_AREA)


def draw_texture(rng: random.Random) -> ColourImage:
    """A texture without text, (400, 800, 3): clouds, wood, bars, a fence, tiles."""
    noise = np.random.default_rng(rng.randrange(2**32)).normal(0, 60, (400, 800))
    picture = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.6, 6), sigmaY=rng.uniform(0.6, 6))
    if rng.random() < 0.5:
        period = rng.uniform(5, 40)
        picture += 60 * np.sign(np.sin(2 * np.pi * np.arange(800) / period))[None]
        if rng.random() < 0.5:
            picture += 60 * np.sign(np.sin(2 * np.pi * np.arange(400) / period))[:, None]
    return np.repeat((128 + picture).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def load_stamps(folder: Path) -> dict[str, list[ColourImage]]:
    """Pictures of single things of each split, on white."""
    rng = random.Random("stamps")
    paths = [p for kind in STAMP_KINDS for p in sorted((folder / STAMPS).rglob(f"stamps/{kind}/**/*.png"))]
    paths = [p for p in rng.sample(paths, len(paths)) if "clock" not in p.name and not p.stem.endswith("_mirror")]
    stamps: dict[str, list[ColourImage]] = {}
    for split, count in STAMP_COUNT.items():
        stamps[split] = []
        while len(stamps[split]) < count:
            with Document(str(paths.pop())) as document:
                image = document.colour(0)
            if min(image.shape[:2]) > 60:
                stamps[split].append(image)
    return stamps


def load_wallpapers(folder: Path) -> dict[str, list[ColourImage]]:
    """The wallpapers of each split, shrunk. The smallest versions of a picture are left out with all below 600 px."""
    wallpapers: dict[str, list[ColourImage]] = {"val": [], "test": []}
    for package, split in PACKAGES.items():
        paths = [p for p in sorted((folder / package).rglob("*")) if p.suffix.lower() in (".jpg", ".png", ".webp")]
        seen = set()
        for path in paths:
            with Document(str(path)) as document:
                image = document.colour(0)
            scale = WALLPAPER_SIDE / max(image.shape[:2])
            thumbnail = cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA) // 32
            has_text = any(name in str(path) for name in WITH_TEXT)
            if min(image.shape[:2]) < 600 or thumbnail.tobytes() in seen or has_text:
                continue
            seen.add(thumbnail.tobytes())
            size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
            wallpapers[split].append(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    return wallpapers


# ------------------------------------------------------------------------------------------------------- logistic


def fit_logistic(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.int64], balanced: bool = True, classes: int = 2
) -> npt.NDArray[np.float64]:
    """The weights (classes, features) of a multinomial logistic regression with an L2 penalty on scaled features.

    x: (lines, features), the first feature 1. y: the class of each line. balanced: the classes count alike.
    """
    scale = np.maximum(x.std(axis=0), 1e-6)
    scale[0] = 1.0
    counts = np.maximum(1, np.bincount(y, minlength=classes))
    sample_weights = torch.tensor(len(y) / (classes * counts)[y] if balanced else np.ones(len(y)))
    inputs, labels = torch.tensor(x / scale), torch.tensor(y)
    weights = torch.zeros(classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        nats = torch.nn.functional.cross_entropy(inputs @ weights.T, labels, reduction="none")
        total = (nats * sample_weights).sum() + L2_PENALTY * weights[:, 1:].square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach().numpy() / scale


def binary_weights(x: npt.NDArray[np.float64], y: npt.NDArray[np.int64], balanced: bool = True) -> list[float]:
    """The weights of the log-odds of class 1."""
    weights = fit_logistic(x, y, balanced)
    return (weights[1] - weights[0]).tolist()  # type: ignore[no-any-return]


def probability(weights: Sequence[float], x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The probability of class 1 of each row."""
    return np.asarray(1 / (1 + np.exp(-(x @ np.array(weights)))))


def rounded(weights: Sequence[float]) -> list[float]:
    return [round(float(w), 5) for w in weights]


# ---------------------------------------------------------------------------------------------------------- lines


#: a line, its posteriors, its text, its kind and its legibility
DecodedLine = tuple[Line, Posteriors, str, str, float]


@dataclass
class LineData:
    """The features and the labels of the lines of a set."""

    first: npt.NDArray[np.float64]
    second: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]
    decoded: list[tuple[Line, Posteriors, str, str]]  # line, posteriors, text, kind

    @property
    def is_bent(self) -> npt.NDArray[np.bool_]:
        """Whether each line is a bent one. Only the look at a page is fitted on these."""
        return np.array([kind == BENT for _, _, _, kind in self.decoded])

    def readable(self, legibilities: npt.NDArray[np.float64]) -> list[DecodedLine]:
        """What is known of the readable lines, with their legibilities, without the bent ones."""
        rows = zip(self.decoded, legibilities.tolist(), (self.classes == READABLE) & ~self.is_bent, strict=True)
        return [(*decoded, legibility) for decoded, legibility, is_chosen in rows if is_chosen]


def read_line_data(reader: LineReader, lines: Sequence[LabelledLine]) -> LineData:
    """What a recognizer gives for labelled lines."""
    images = [line.image for line in lines]
    copies = reader.recognize([copy for image in images for copy in copies_of(image)])
    first, second, classes, decoded = [], [], [], []
    for k, (line, posteriors) in enumerate(zip(lines, reader.recognize(images), strict=True)):
        similarity = Levenshtein.normalized_similarity(posteriors.greedy.text.lower(), line.text.lower())
        is_read = bool(line.text) and similarity >= MIN_SIMILARITY
        if line.text and not is_read and not line.may_be_readable:
            continue  # a line that should be readable and is not
        first.append(legibility_features(posteriors))
        second.append(second_look_features(line.image, posteriors, *copies[2 * k : 2 * k + 2]))
        if is_read:
            classes.append(READABLE)
        else:
            classes.append(BENT_MISREAD if line.kind == BENT else 1 + OBSTACLES.index(line.kind))
        decoded.append((reader.decode(posteriors), posteriors, line.text, line.kind))
    return LineData(np.array(first), np.array(second), np.array(classes), decoded)


def fit_line_models(sets: dict[str, LineData]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The weights of the two looks at a line and of its words, and the report on the fitted and on the test lines."""
    usual = ~sets["fit"].is_bent
    x_first, x_second, labels = (array[usual] for array in (sets["fit"].first, sets["fit"].second, sets["fit"].classes))
    readable = (labels == READABLE).astype(np.int64)
    first = binary_weights(x_first, readable)
    sure = float(min(0.999, np.quantile(probability(first, x_first)[readable == 0], 1 - MAX_SURE)))
    doubtful = probability(first, x_first) < sure
    second = fit_logistic(x_second, labels, classes=1 + len(OBSTACLES))
    # the bias of "readable" is such that 0.5 rejects a share of MAX_REJECTED of all readable lines
    odds = _log_odds_of_readable(second, x_second)
    readable_odds = np.where(doubtful, odds, math.inf)[readable > 0]
    second[0, 0] -= float(np.quantile(readable_odds, MAX_REJECTED, method="lower"))
    weights = {"first": rounded(first), "sure": round(sure, 5)}
    weights["second"] = {name: rounded(row) for name, row in zip(("readable", *OBSTACLES), second, strict=True)}
    legibilities, report = {}, {}
    for name, data in sets.items():
        p_first = probability(first, data.first)
        p_second = 1 / (1 + np.exp(-_log_odds_of_readable(second, data.second)))
        legibility = np.where(p_first >= sure, p_first, p_second)
        legibilities[name] = legibility
        accepted, told = legibility >= 0.5, (second @ data.second.T)[1:].argmax(axis=0) + 1
        is_readable, is_misread = (data.classes == READABLE) & ~data.is_bent, data.classes == BENT_MISREAD
        is_unreadable = (data.classes != READABLE) & ~data.is_bent
        report[name] = {
            "lines": len(legibility), "looked at again": float((p_first < sure)[is_readable].mean()),
            "readable rejected": float((~accepted & is_readable).sum() / is_readable.sum()),
            "unreadable accepted": int((accepted & is_unreadable).sum()), "unreadable": int(is_unreadable.sum()),
            "bent and misread accepted": int((accepted & is_misread).sum()), "bent and misread": int(is_misread.sum()),
            "reason right": float((told == data.classes)[is_unreadable & ~accepted].mean()),
        }  # fmt: skip
    words = {name: word_rows(data.readable(legibilities[name])) for name, data in sets.items()}
    x, y, _ = words["fit"]
    weights["word"] = rounded(binary_weights(x, y, balanced=False))
    shares = {name: expected_shares(weights["word"], data.readable(legibilities[name])) for name, data in sets.items()}
    weights["min_share"] = round(float(np.quantile(shares["fit"], MAX_REJECTED)), 4)
    for name, share in shares.items():
        report[name]["readable with too few right words"] = float((share < weights["min_share"]).mean())
    pages = {name: page_rows(weights, data, legibilities[name]) for name, data in sets.items()}
    x, y = pages["fit"]
    page = np.array(binary_weights(x, y))
    accepted_alone = (y > 0) & (x[:, 1] >= 0)  # the log-odds of legibility
    page[0] -= float(np.quantile((x @ page)[accepted_alone], MAX_REJECTED_BY_PAGE, method="lower"))
    weights["page"] = rounded(page)
    for name, (x, y) in pages.items():
        by_line, by_page = x[:, 1] >= 0, probability(weights["page"], x) >= MIN_LEGIBILITY  # log-odds of legibility
        report[name]["readable rejected beside others"] = float((by_line & ~by_page)[y > 0].mean())
        report[name]["unreadable accepted alone"] = float(by_line[y == 0].mean())
        report[name]["unreadable accepted beside others"] = float((by_line & by_page)[y == 0].mean())
    x, y, kinds = words["test"]
    p = probability(weights["word"], x)
    for kind in ("print", "hand", "signs"):
        chosen = kinds == kind
        report["test"][f"word ECE, {kind}"] = calibration_error(p[chosen].tolist(), (y[chosen] > 0).tolist())
        report["test"][f"words wrong, {kind}"] = float(1 - y[chosen].mean())
    return weights, report


def _log_odds_of_readable(weights: npt.NDArray[np.float64], x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    scores = weights @ x.T
    return np.asarray(scores[0] - np.logaddexp.reduce(scores[1:], axis=0))


def word_rows(
    decoded: Sequence[DecodedLine],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.str_]]:
    """The features of the words of lines, whether each is right, case aside, and the kind of its line.

    Case is left aside because four of the held-out fonts have capitals only, and many letters are written alike.
    """
    rows: list[list[float]] = []
    right: list[int] = []
    kinds: list[str] = []
    for line, posteriors, text, kind, legibility in decoded:
        features = word_features(line, posteriors, legibility)
        if features:
            rows += features
            read, truth = (fold_none(t).casefold().split() for t in (line.text, text))
            right += [int(m) for m in matches(read, truth)]
            kinds += [kind] * len(features)
    return np.array(rows), np.array(right), np.array(kinds)


def expected_shares(weights: Sequence[float], decoded: Sequence[DecodedLine]) -> npt.NDArray[np.float64]:
    """The expected share of its letters that stand in right words, of each line with words."""
    lines = [_with_confidences(weights, row) for row in decoded]
    return np.array([expected_share(line.words) for line in lines if line.words])


def _with_confidences(weights: Sequence[float], decoded: DecodedLine) -> Line:
    """The line of which the words have the confidences that the weights give."""
    line, posteriors, _, _, legibility = decoded
    features = word_features(line, posteriors, legibility)
    if not features:
        return line
    confidences = probability(weights, np.array(features)).tolist()
    return replace(line, words=tuple(replace(w, confidence=c) for w, c in zip(line.words, confidences, strict=True)))


def page_rows(
    weights: dict[str, Any], data: LineData, legibilities: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The features of the lines of pages that are put together of the lines of a set, and whether each is readable.

    Half of the pages have readable lines of one kind, a quarter lines that cannot be read for one reason, a quarter any
    lines.
    """
    rng = random.Random("pages")
    judged = []
    for decoded, legibility in zip(data.decoded, legibilities.tolist(), strict=True):
        line = _with_confidences(weights["word"], (*decoded, legibility))
        share = expected_share(line.words)
        if legibility >= MIN_LEGIBILITY and share < weights["min_share"]:
            legibility = min(share, MIN_LEGIBILITY / 2)
        judged.append(replace(line, legibility=legibility))
    groups: dict[tuple[bool, str], list[int]] = {}
    for k, ((_, _, _, kind), label) in enumerate(zip(data.decoded, data.classes.tolist(), strict=True)):
        groups.setdefault((label == READABLE, kind if label == READABLE else str(label)), []).append(k)
    readable, unreadable = (
        [group for (flag, _), group in groups.items() if flag == wanted] for wanted in (True, False)
    )
    rows: list[list[float]] = []
    labels: list[int] = []
    for number in range(PAGES):
        pool = rng.choice(unreadable) if number % 4 == 0 else rng.choice(readable)
        if number % 4 == 1:
            pool = rng.choice(unreadable) + rng.choice(readable)
        page = [rng.choice(pool) for _ in range(rng.randint(2, 40))]
        features = page_features([judged[k] for k in page])
        for k, row in zip(page, features, strict=True):
            if judged[k].words:
                rows.append(row)
                labels.append(int(data.classes[k] == READABLE))
    return np.array(rows), np.array(labels)


# -------------------------------------------------------------------------------------------------------- regions


def scenes(
    split: str, wallpapers: Sequence[ColourImage], stamps: Sequence[ColourImage]
) -> Iterator[tuple[ColourImage, list[tuple[Any, str]]]]:
    """Pictures with the corners (4, 2) and the text of each line on them, a third of them rotated by quarter turns.

    Wallpapers, stamps and textures without text, signs on wallpapers, words cropped from signs, pages of print.
    """
    rng = random.Random(f"rotation/{split}")
    without_text: Iterator[tuple[ColourImage, list[tuple[Any, str]]]] = ((stamp, []) for stamp in stamps)
    for image, placed in chain(without_text, upright_scenes(split, wallpapers)):
        quarters = rng.choice((0, 0, 0, 0, 0, 0, 1, 2, 3))
        turned = [(rotate_points(corners, quarters, image.shape), text) for corners, text in placed]
        yield np.ascontiguousarray(np.rot90(image, quarters)), turned


def upright_scenes(
    split: str, wallpapers: Sequence[ColourImage]
) -> Iterator[tuple[ColourImage, list[tuple[Any, str]]]]:
    """See `scenes`."""
    rng = random.Random(f"scenes/{split}")
    for wallpaper in wallpapers:
        yield wallpaper, []
        yield draw_texture(rng), []
        for _ in range(CUTTINGS):
            yield wallpaper_cutting(wallpaper, rng), []
    fonts = "signs" if split == "val" else "held-out"
    signs = list(sign_lines(fonts, 3 * len(wallpapers), split))
    for wallpaper in wallpapers:
        scene, placed = wallpaper.copy(), []
        for (image, text), top in zip(rng.sample(signs, rng.randint(1, 2)), (0.05, 0.5), strict=False):
            placed.append((paste(scene, image, top, rng), text))
        yield scene, placed
    for image, text in signs[: len(wallpapers)]:  # a cropped word
        h, w = image.shape[:2]
        yield image, [(np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float64), text)]
    faces = PRINT_FACES if split == "val" else None
    codes = [code for code in LANGUAGES if code != HELD_OUT_LANGUAGE] if split == "val" else [HELD_OUT_LANGUAGE, "en"]
    for _ in range(len(wallpapers) // 3):  # a page of print
        code = rng.choice(codes)
        page, placed, y = np.full((900, 900, 3), rng.randint(225, 255), np.uint8), [], 40
        face = rng.choice(faces or PRINT_FACES)
        for _, text in print_lines(code, rng.randint(3, 10), split):
            image = draw_print(text, face, rng.randint(18, 26), rng)[:, :820]
            h, w = image.shape[:2]
            page[y : y + h, 40 : 40 + w] = image
            placed.append((np.array([(40, y), (40 + w, y), (40 + w, y + h), (40, y + h)], np.float64), text))
            y += h + rng.randint(0, 20)
        yield page, placed


def paste(scene: ColourImage, image: ColourImage, top: float, rng: random.Random) -> npt.NDArray[np.float64]:
    """Paste a line into a scene with a little perspective. Returns its corners (4, 2) in the scene.

    top: the share of the scene's height from which on it stands.
    """
    height, width = scene.shape[:2]
    h, w = image.shape[:2]
    scale = min(rng.uniform(0.04, 0.14) * height / h, 0.8 * width / w)
    left, y = rng.uniform(0.02, 0.95 - w * scale / width) * width, (top + rng.uniform(0, 0.25)) * height
    jitter = 0.12 * h * scale
    corners = np.array(
        [
            (left + dx * w * scale + rng.uniform(-jitter, jitter), y + dy * h * scale + rng.uniform(-jitter, jitter))
            for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1))
        ],
        np.float32,
    )
    matrix = cv2.getPerspectiveTransform(np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32), corners)
    warped = cv2.warpPerspective(image, matrix, (width, height))
    mask = cv2.warpPerspective(np.full((h, w), 255, np.uint8), matrix, (width, height))
    scene[mask > 127] = warped[mask > 127]
    return corners.astype(np.float64)


@dataclass(frozen=True)
class FewRegions:
    """A detector that keeps at most MAX_REGIONS of the regions of another, drawn at random, and no very low ones."""

    detector: Detector

    def __call__(self, image: ColourImage) -> list[Region]:
        regions = [region for region in self.detector(image) if region.size[1] >= MIN_REGION_HEIGHT]
        return random.Random(len(regions)).sample(regions, min(len(regions), MAX_REGIONS))


def region_rows(
    reader: PageReader, pictures: Iterator[tuple[ColourImage, list[tuple[Any, str]]]]
) -> tuple[list[list[float]], list[int]]:
    """The features of the regions that both detectors find in pictures, and whether each is text."""
    rows: list[list[float]] = []
    is_text: list[int] = []
    for number, (image, placed) in enumerate(pictures):
        is_ink = number % 3 == 0
        hypothesis = reader.best_orientation(image, FewRegions(InkDetector() if is_ink else DbNetDetector()))
        shape = image.shape[1::-1] if hypothesis.quarters % 2 else image.shape[:2]
        confidences = [None if is_ink else ordered.region.confidence for ordered in hypothesis.regions]
        features = text_features(confidences, hypothesis.lines, is_small(image), hypothesis.quarters != 0)
        for region, line, row in zip(hypothesis.regions, hypothesis.lines, features, strict=True):
            if not line.text:
                continue
            centre = rotate_points(region.region.corners.mean(0)[None], -hypothesis.quarters, shape)[0]
            truths = [
                text for corners, text in placed
                if cv2.pointPolygonTest(corners.astype(np.float32), centre.tolist(), False) >= 0
            ]  # fmt: skip
            if not truths or _is_part(line.text, truths[0]):
                rows.append(row)
                is_text.append(int(bool(truths)))
        print(f"\r{number + 1} pictures, {len(rows)} regions", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows, is_text


def _is_part(text: str, truth: str) -> bool:
    """Whether at least half of a text stands in the truth, in this order."""
    a, b = (fold_none(t).lower().replace(" ", "") for t in (text, truth))
    return 2 * (len(a) + len(b) - Levenshtein.distance(a, b, weights=(1, 1, 2))) >= 2 * len(a)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("wallpapers", type=Path, help="the unpacked packages, a folder each")
    parser.add_argument("--models", nargs="*", default=MODELS, help="models whose lines are fitted; the others stay")
    arguments = parser.parse_args()
    wallpapers = load_wallpapers(arguments.wallpapers)
    print({split: len(images) for split, images in wallpapers.items()}, "wallpapers", file=sys.stderr)
    document: dict[str, Any] = json.loads(MODEL.read_text()) if MODEL.exists() else {"line": {}, "report": {}}
    document["about"] = "Fitted by benchmarks/reliability.py, which states the data."
    lines: dict[str, list[LabelledLine]] = {}
    if arguments.models:
        lines = {"fit": list(fit_lines(wallpapers)), "test": list(test_lines(wallpapers))}
    for name in arguments.models:
        reader = open_line_reader(name)
        data = {split: read_line_data(reader, labelled) for split, labelled in lines.items()}
        document["line"][name], document["report"][name] = fit_line_models(data)
        print(name, json.dumps(document["report"][name], indent=1), file=sys.stderr, flush=True)
        MODEL.write_text(json.dumps(document, indent=1) + "\n")
    if arguments.models and PHOTO not in arguments.models:
        return  # the regions are read by this model
    fitted_models.cache_clear()  # the regions are read with the models of lines that were just fitted
    page_reader, stamps = open_reader(), load_stamps(arguments.wallpapers)
    rows = {
        split: region_rows(page_reader, scenes(split, images, stamps[split])) for split, images in wallpapers.items()
    }
    x, y = np.array(rows["val"][0]), np.array(rows["val"][1])
    text_weights = binary_weights(x, y)
    # 0.5 prints a share of MAX_PRINTED of the regions of background, or drops a share of MAX_REJECTED of those of text,
    # whichever drops more. The text of illegible regions is not printed anyway.
    odds = x @ np.array(text_weights)
    printed_odds = np.where(x[:, 1] >= 0, odds, -math.inf)[y == 0]
    text_weights[0] -= float(
        max(
            np.quantile(odds[y > 0], MAX_REJECTED, method="lower"),
            np.quantile(printed_odds, 1 - MAX_PRINTED, method="higher"),
        )
    )
    document["text"] = rounded(text_weights)
    document["report"]["text"] = {}
    for split, (x, y) in rows.items():
        accepted, labels = probability(document["text"], np.array(x)) >= 0.5, np.array(y)
        document["report"]["text"][{"val": "fit"}.get(split, split)] = {
            "regions of text dropped": float((~accepted & (labels > 0)).sum() / labels.sum()),
            "regions of background kept": int((accepted & (labels == 0)).sum()),
            "of these legible": int((accepted & (labels == 0) & (np.array(x)[:, 1] >= 0)).sum()),
            "regions of background": int((labels == 0).sum()), "regions of text": int(labels.sum()),
        }  # fmt: skip
    print(json.dumps(document["report"]["text"], indent=1), file=sys.stderr)
    MODEL.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
