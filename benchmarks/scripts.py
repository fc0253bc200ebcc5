"""Trains, bundles and tests the network that names the script of a line in a writing that the reader does not know.

    make fonts && python benchmarks/scripts.py    # a quarter of an hour on two idle cores

writes src/glyphline/models/script.onnx and benchmarks/results/scripts.json; needs wordfreq and babel (`pip install
wordfreq babel -c constraints.txt`), and Debian's fonts-noto-core, fonts-noto-cjk, fonts-dejavu and fonts-liberation.

Lines: words of wordfreq and names of places and languages in CLDR (babel), and random syllables, drawn with the fonts
and photographed: slope, stretching, light, blur, noise, JPEG, light on dark, some upside down. Train, val and test
share no word; test has other weights of the Noto fonts (`faces_of`), and `UNSEEN` designs. "None of these" are other
scripts of Noto, of which each split has its own, mirrored print, scribbles, textures and blurred lines; Latin lines are
print, handwriting fonts and EMNIST.

The temperature and the limit from which a name is said are fitted on val: at the limit at most MAX_WRONG of its lines
of named scripts have a wrong name, and at most MAX_WRONG of its other lines, Latin and none of these, have a name.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import wordfreq
from babel import Locale
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont
from torch import nn

from glyphline.composing.fetch import data_folder
from glyphline.composing.sentences import split_sentences
from glyphline.errors import GlyphlineError
from glyphline.imaging.documents import Document, GreyImage
from glyphline.imaging.normalization import normalize_line, pad_batch, to_grey
from glyphline.reading.lines import LIMITS, LineReader, open_line_reader
from glyphline.reading.recognition.reliability import MIN_LEGIBILITY, UNKNOWN_WRITING, unknown_writing
from glyphline.reading.recognition.scripts import MODEL_FILE, ScriptClassifier
from glyphline.training.quantize import compress_weights
from languages import ROOT, texts_of
from reliability import FONTS, composed_lines, draw_texture

RESULTS = ROOT / "benchmarks" / "results" / "scripts.json"
MODEL = ROOT / "src" / "glyphline" / "models" / MODEL_FILE
FONT_FOLDERS = [Path("/usr/share/fonts") / name
                for name in ("truetype/noto", "opentype/noto", "truetype/dejavu", "truetype/liberation")]  # fmt: skip
LATIN, NONE = "Latin", "none of these"
SPLITS = ("train", "val", "test")
COUNTS = {"train": 1000, "val": 160, "test": 200}  # lines of each named script
LATIN_COUNTS = {"train": 5000, "val": 1500, "test": 1500}
NONE_COUNTS = {"train": 9000, "val": 2500, "test": 2500}
UNSEEN_COUNT = 100  # test lines of each script in fonts of other designs
HEIGHT = 32  # px of the canonical line
CROP = 384  # px; longer lines are cropped in training
FONT_SIZE = 44  # px in which text is drawn before it is scaled
MAX_WRONG = 0.01
EPOCHS, BATCH, LEARNING_RATE = 9, 64, 4e-3
SPACELESS = {"Chinese or Japanese", "Japanese", "Thai", "Lao", "Khmer", "Burmese", "Tibetan"}
VERTICAL = {"Chinese or Japanese", "Japanese", "Korean"}


@dataclass(frozen=True)
class Script:
    """A script that is named, its fonts and what its texts come from."""

    letters: tuple[str, ...]  # first words of the Unicode names of its letters
    families: tuple[str, ...]  # font families; the first Regular and the others' Bold are of the training
    wordfreq: tuple[str, ...] = ()  # languages
    cldr: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()  # families of another design, only tested on
    index: int = 0  # of the face in a collection


DEJAVU = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono")
LIBERATION = ("LiberationSans", "LiberationSerif", "LiberationMono")
EUROPEAN = ("NotoSans", "NotoSerif", "NotoSansDisplay", "NotoSerifDisplay", *DEJAVU)


def _noto(name: str) -> tuple[str, ...]:
    return f"NotoSans{name}", f"NotoSerif{name}"


#: name as people are told it -> script
SCRIPTS = {
    "Arabic": Script(("ARABIC",), ("NotoSansArabic", "NotoNaskhArabic", "NotoKufiArabic", "NotoNastaliqUrdu"),
                     ("ar", "fa", "ur"), ("ckb", "ug", "ps", "sd"), ("DejaVuSans",)),
    "Armenian": Script(("ARMENIAN",), _noto("Armenian"), (), ("hy",), ("DejaVuSans", "DejaVuSerif")),
    "Bengali": Script(("BENGALI",), _noto("Bengali"), ("bn",), ("as",)),
    "Burmese": Script(("MYANMAR",), _noto("Myanmar"), (), ("my",)),
    "Chinese or Japanese": Script(("CJK",), _noto("CJK"), ("zh",), ("zh", "zh_Hant"), (), 2),
    "Cyrillic": Script(("CYRILLIC",), EUROPEAN, ("ru", "uk", "bg", "mk"), ("sr", "mn", "kk", "be"), LIBERATION),
    "Devanagari": Script(("DEVANAGARI",), _noto("Devanagari"), ("hi",), ("mr", "ne")),
    "Ethiopic": Script(("ETHIOPIC",), _noto("Ethiopic"), (), ("am", "ti")),
    "Georgian": Script(("GEORGIAN",), _noto("Georgian"), (), ("ka",), ("DejaVuSans", "DejaVuSerif")),
    "Greek": Script(("GREEK",), EUROPEAN, ("el",), ("el",), LIBERATION),
    "Gujarati": Script(("GUJARATI",), _noto("Gujarati"), (), ("gu",)),
    "Gurmukhi": Script(("GURMUKHI",), _noto("Gurmukhi"), (), ("pa",)),
    "Hebrew": Script(("HEBREW",), _noto("Hebrew"), ("he",), ("yi",), (*LIBERATION, "DejaVuSans")),
    "Japanese": Script(("HIRAGANA", "KATAKANA"), _noto("CJK"), ("ja",), ("ja",)),
    "Kannada": Script(("KANNADA",), _noto("Kannada"), (), ("kn",)),
    "Khmer": Script(("KHMER",), _noto("Khmer"), (), ("km",)),
    "Korean": Script(("HANGUL",), _noto("CJK"), ("ko",), ("ko",), (), 1),
    "Lao": Script(("LAO",), (*_noto("Lao"), "NotoLoopedLao"), (), ("lo",), ("DejaVuSans",)),
    "Malayalam": Script(("MALAYALAM",), _noto("Malayalam"), (), ("ml",)),
    "Odia": Script(("ORIYA",), _noto("Oriya"), (), ("or",)),
    "Sinhala": Script(("SINHALA",), _noto("Sinhala"), (), ("si",)),
    "Syriac": Script(("SYRIAC",), ("NotoSansSyriac",), (), ("syr",)),
    "Tamil": Script(("TAMIL",), _noto("Tamil"), ("ta",), ("ta",)),
    "Telugu": Script(("TELUGU",), _noto("Telugu"), (), ("te",)),
    "Thaana": Script(("THAANA",), ("NotoSansThaana",)),
    "Thai": Script(("THAI",), (*_noto("Thai"), "NotoLoopedThai"), (), ("th",)),
    "Tibetan": Script(("TIBETAN",), ("NotoSerifTibetan",), (), ("bo", "dz")),
}  # fmt: skip
CLASSES = (*SCRIPTS, LATIN, NONE)

# ---------------------------------------------------------------------------------------------------- fonts and texts


def face(family: str, style: str) -> Path | None:
    """The font file of a family in a style, such as Regular; None where there is none."""
    names = [f"{family}-{style}.ttf", f"{family}-{style}.ttc"] + [f"{family}.ttf"] * (style == "Regular")
    return next((folder / name for folder in FONT_FOLDERS for name in names if (folder / name).exists()), None)


def faces_of(families: Sequence[str], split: str) -> list[Path]:
    """The faces of a split. train: the first family in Regular and the others in Bold; val: the first in Bold.

    test: the others in Regular. A script with one family is tested in what val has, one with a single face in that.
    """
    first, *others = families
    regular = [path for path in (face(first, "Regular"),) if path]
    bold = [path for path in (face(first, "Bold"),) if path]
    other_bold = [path for family in others if (path := face(family, "Bold") or face(family, "Regular"))]
    other_regular = [path for family in others if (path := face(family, "Regular")) and path not in other_bold]
    return {"train": regular + other_bold, "val": bold or regular, "test": other_regular or bold or regular}[split]


@lru_cache(maxsize=400)
def load_font(path: Path, index: int = 0) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), FONT_SIZE, index)


@lru_cache(maxsize=400)
def characters_of(path: Path, index: int = 0) -> frozenset[str]:
    """The characters of a font."""
    with TTFont(path, fontNumber=index, lazy=True) as font:
        return frozenset(map(chr, font.getBestCmap()))


def _is_of(script: Script, character: str) -> bool:
    return unicodedata.name(character, "").split(" ")[0].split("-")[0] in script.letters


@lru_cache(maxsize=400)
def letters_and_marks(path: Path, index: int, script: Script | None) -> tuple[list[str], list[str], list[str]]:
    """The letters, the dependent signs and the viramas of a font, of a script or all beyond ASCII."""
    characters = sorted(c for c in characters_of(path, index) if (_is_of(script, c) if script else ord(c) > 0x24F))
    letters = [c for c in characters if unicodedata.category(c) in ("Lo", "Ll", "Lu", "Nl", "So")]
    names = {c: unicodedata.name(c, "") for c in characters}
    viramas = [c for c in characters if "VIRAMA" in names[c] or "COENG" in names[c]]
    signs = ("VOWEL SIGN", "HEBREW POINT", "FATHA", "KASRA", "MAI ", "TONE", "CHARACTER SARA", "ABAFILI", "ANUSVARA")
    marks = [c for c in characters if unicodedata.category(c)[0] == "M" and any(sign in names[c] for sign in signs)]
    consonants = [c for c in letters if not script or names[c].split(" ")[-1][:1] not in "AEIOU"]
    return consonants or letters, marks, viramas


@lru_cache(maxsize=100)
def words_of(name: str) -> dict[str, list[str]]:
    """The words of a script by split; a word is in one of them. Empty lists where there are none."""
    script = SCRIPTS[name]
    words = [word for code in script.wordfreq for word in wordfreq.top_n_list(code, 6000)]
    for code in script.cldr:
        locale = Locale.parse(code)
        phrases = [*locale.territories.values(), *locale.languages.values(), *locale.currencies.values()]
        words += [word for phrase in phrases for word in phrase.replace("\u200b", " ").split()]
    split_words: dict[str, list[str]] = {split: [] for split in SPLITS}
    for word in dict.fromkeys(words):
        letters = [c for c in word if c.isalpha()]
        own = sum(_is_of(script, c) for c in letters)
        if not letters or (own < 0.3 * len(letters) if name == "Japanese" else own < len(letters)):
            continue
        split_words[("val", "test", *["train"] * 8)[zlib.crc32(word.encode()) % 10]].append(word)
    return split_words


def random_syllables(path: Path, index: int, script: Script | None, rng: random.Random, count: int) -> str:
    letters, marks, viramas = letters_and_marks(path, index, script)
    text = ""
    for _ in range(count):
        text += rng.choice(letters)
        if viramas and rng.random() < 0.12:
            text += rng.choice(viramas) + rng.choice(letters)
        if marks and rng.random() < 0.4:
            text += rng.choice(marks)
    return text


def text_of(name: str, split: str, path: Path, rng: random.Random) -> str:
    """One to thirty characters of a named script: words, or random syllables."""
    script, length = SCRIPTS[name], min(rng.randint(1, 30), rng.randint(1, 30) + 2)
    words, supported = words_of(name)[split], characters_of(path, script.index)
    parts: list[str] = []
    is_random = not words or rng.random() < 0.3
    while sum(map(len, parts)) < length:
        if is_random:
            parts.append(random_syllables(path, script.index, script, rng, rng.randint(1, 8)))
        else:
            word = rng.choice(words)
            parts.append(word if all(c in supported or c in "\u200c\u200d" for c in word) else "")
            parts[-1] = parts[-1] or random_syllables(path, script.index, script, rng, 2)
    gap = "" if name in SPACELESS and rng.random() < 0.8 else " "
    text = gap.join(parts)
    if len(text) > length and gap:
        text = text[: length + 1].rsplit(" ", 1)[0]
    text = text[: length + 4].strip()
    if name in ("Greek", "Cyrillic", "Armenian"):
        text = rng.choice((str.lower, str.lower, str.lower, str.title, str.upper))(text)
    if rng.random() < 0.12:
        end = rng.choice((" 12", " 2024", ".", ",", "!", ":", " - ", " (3)", "?"))
        text += end if supported.issuperset(end) else ""
    return text


# --------------------------------------------------------------------------------------------------------------- lines


def draw_text(text: str, path: Path, rng: random.Random, index: int = 0, vertical: bool = False) -> GreyImage:
    """A text, (H, W), white on black. vertical: the characters lie on their side, as of a column."""
    font, stroke = load_font(path, index), int(rng.random() < 0.1)
    options: dict[str, Any] = {"direction": "ttb"} if vertical else {}
    left, top, right, bottom = font.getbbox(text, stroke_width=stroke, **options)
    margin = 8
    size = (max(1, int(right - left)) + 2 * margin, max(1, int(bottom - top)) + 2 * margin)
    image = Image.new("L", size, 0)
    ImageDraw.Draw(image).text((margin - left, margin - top), text, fill=255, font=font, stroke_width=stroke, **options)
    drawn = np.asarray(image)
    return np.ascontiguousarray(np.rot90(drawn, rng.choice((1, 3)))) if vertical else drawn


def photograph(drawn: GreyImage, rng: random.Random) -> GreyImage:
    """A line (H, W), white on black, on paper: stretched, sheared, sloped, lit unevenly, blurred, noisy."""
    h, w = drawn.shape
    scale = 2 ** rng.uniform(-1.9, 0.3)
    wide = scale * rng.uniform(0.75, 1.3)
    shear, slope = rng.gauss(0, 0.08), rng.gauss(0, 0.012)
    jitter = [[rng.uniform(-0.05, 0.05) * h * scale for _ in range(2)] for _ in range(4)]
    padding = np.array((rng.uniform(0, 12), rng.uniform(0, 8)))
    corners = np.array([(x * wide + (h - y) * scale * shear, y * scale + x * wide * slope)
                        for x, y in ((0, 0), (w, 0), (w, h), (0, h))]) + np.array(jitter)  # fmt: skip
    corners += padding - corners.min(axis=0)
    width, height = np.maximum(8, np.ceil(corners.max(axis=0) + padding)).astype(int).tolist()
    source = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32)
    if scale < 0.6:
        drawn = cv2.GaussianBlur(drawn, (0, 0), 0.35 / scale)
    mask = cv2.warpPerspective(drawn, cv2.getPerspectiveTransform(source, corners.astype(np.float32)), (width, height))
    generator = np.random.default_rng(rng.randrange(2**32))
    paper, ink = rng.uniform(150, 255), rng.uniform(0, 90)
    ground = paper * (1 + rng.gauss(0, 0.15) * np.linspace(-1, 1, width)[None])
    if rng.random() < 0.3:
        texture = cv2.resize(generator.normal(0, rng.uniform(2, 12), (max(2, height // 6), max(2, width // 6))),
                             (width, height))  # fmt: skip
        ground = ground + texture
    image = ground + (ink - ground) * (mask / 255 * rng.uniform(0.6, 1.0))
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), 0.3 + rng.uniform(0, 0.035) * h * scale)
    image = image + generator.normal(0, rng.choice((1, 3, 8)), image.shape)
    grey = image.clip(0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        grey = 255 - grey
    if rng.random() < 0.4:
        _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(30, 90)])
        grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    return np.rot90(grey, 2) if rng.random() < 0.06 else grey


def latin_faces(split: str) -> list[Path]:
    """Handwriting and other fonts of the recipes (held-out ones in test), and those of print."""
    if split == "test":
        fonts = sorted((FONTS / "held-out").iterdir())
    else:
        fonts = [p for name in ("hand", "signs", "documents", "print") for p in sorted((FONTS / name).iterdir())]
        fonts = [p for p in fonts if (zlib.crc32(p.stem.encode()) % 5 == 0) == (split == "val")]
    fonts = [p for p in fonts if p.suffix in (".ttf", ".otf", ".woff") and "-ext-" not in p.name]
    return fonts + [p for _ in range(max(1, len(fonts) // 6)) for p in faces_of(EUROPEAN, split)]


@lru_cache(maxsize=3)
def latin_words(split: str) -> list[str]:
    sentences = [s for code in ("en", "de", "fr", "es", "pl", "sv") for s in split_sentences(texts_of(code))[split]]
    words = [w for code in ("cs", "tr", "vi", "hu") for w in wordfreq.top_n_list(code, 5000)]
    return random.Random(split).sample(sentences, 5000) + [
        w for w in words if ("val", "test", *["train"] * 8)[zlib.crc32(w.encode()) % 10] == split
    ]


def latin_text(split: str, path: Path, rng: random.Random) -> str:
    supported = characters_of(path)
    while True:
        text = rng.choice(latin_words(split))
        start = rng.randrange(max(1, len(text) - 10))
        text = " ".join(text[start : start + rng.randint(1, 30)].split())
        text = rng.choice((str, str, str, str.upper, str.title))(text)
        if text and all(c in supported for c in text):
            return text


@lru_cache(maxsize=3)
def other_faces(split: str) -> list[Path]:
    """The Noto fonts of the scripts that have no name here; each split has its own families."""
    named = {family for script in SCRIPTS.values() for family in script.families}
    fonts = []
    for path in sorted(FONT_FOLDERS[0].glob("Noto*-Regular.ttf")):
        family = path.name.split("-")[0]
        is_named = any(family.startswith(own) and own not in EUROPEAN for own in named) or family in EUROPEAN
        kin = "Rashi" in family or "Devanagari" in family
        key = "Tifinagh" if "Tifinagh" in family else family.removeprefix("NotoSans").removeprefix("NotoSerif")
        part = ("val", "val", "test", "test", *["train"] * 6)[zlib.crc32(key.encode()) % 10]
        if not is_named and not kin and part == split and letters_and_marks(path, 0, None)[0]:
            fonts.append(path)
    return fonts


def scribble(rng: random.Random) -> GreyImage:
    """Strokes that are no writing, white on black: a wave, loops, hatching, single curves, dots, rules."""
    width = rng.randint(40, 480)
    image = np.zeros((60, width), np.uint8)
    kind, thickness = rng.choice(("wave", "loops", "hatching", "curves", "dots", "rules")), rng.randint(1, 4)
    if kind in ("wave", "loops"):
        x = np.arange(width // 2) * 2.0
        amplitude = 22 * np.abs(np.sin(x / rng.uniform(15, 90) + rng.uniform(0, 6)))
        phase = np.cumsum(np.random.default_rng(rng.randrange(2**32)).uniform(0.1, 0.9, len(x)))
        x = x + (15 * np.cos(phase) if kind == "loops" else 0)
        points = np.stack([x, 30 + amplitude * np.sin(phase)], 1)
        cv2.polylines(image, [points.astype(np.int32)], False, 255, thickness, cv2.LINE_AA)
        return image
    for _ in range(rng.randint(1, width // 10)):
        x, y = rng.randrange(width), rng.randrange(8, 52)
        if kind == "hatching":
            cv2.line(image, (x, 6), (x + rng.randint(-8, 12), 54), 255, thickness, cv2.LINE_AA)
        elif kind == "rules":
            cv2.line(image, (x, y), (rng.randrange(width), y), 255, thickness, cv2.LINE_AA)
        elif kind == "dots":
            cv2.circle(image, (x, y), rng.randint(1, 7), 255, rng.choice((-1, 1, 2)), cv2.LINE_AA)
        else:
            axes = (rng.randint(3, 26), rng.randint(3, 24))
            cv2.ellipse(image, (x, y), axes, rng.randrange(180), 0, rng.randint(60, 360), 255, thickness, cv2.LINE_AA)
    return image


def foreign_line(name: str, split: str, rng: random.Random, faces: Sequence[Path] | None = None) -> GreyImage:
    """A photographed line of a named script."""
    path = rng.choice(faces or faces_of(SCRIPTS[name].families, split))
    vertical = name in VERTICAL and rng.random() < 0.1
    return photograph(draw_text(text_of(name, split, path, rng), path, rng, SCRIPTS[name].index, vertical), rng)


def line_without_name(split: str, rng: random.Random) -> tuple[GreyImage, str]:
    """A line that has no name here, and its kind."""
    kind = rng.choice(("script", "script", "script", "script", "mirrored", "scribble", "texture", "texture", "blurred"))
    if kind == "script":
        path = rng.choice(other_faces(split))
        words = [random_syllables(path, 0, None, rng, rng.randint(1, 8)) for _ in range(rng.randint(1, 4))]
        return photograph(draw_text(" ".join(words), path, rng), rng), kind
    if kind == "mirrored":
        path = rng.choice(latin_faces(split))
        drawn = draw_text(latin_text(split, path, rng), path, rng)
        return photograph(np.ascontiguousarray(drawn[:, ::-1]), rng), kind
    if kind == "scribble":
        return photograph(scribble(rng), rng), kind
    if kind == "texture":
        picture = draw_texture(rng)[..., 0]
        height = rng.randint(16, 90)
        width = min(790, round(height * rng.uniform(1, 9)))
        top, left = rng.randrange(400 - height), rng.randrange(800 - width)
        return np.ascontiguousarray(picture[top : top + height, left : left + width]), kind
    line = foreign_line(rng.choice(list(SCRIPTS)), split, rng)
    return cv2.GaussianBlur(line, (0, 0), line.shape[0] * rng.uniform(0.14, 0.3)), kind


def canonical(image: GreyImage) -> GreyImage:
    """The canonical line, at most CROP px wide."""
    return normalize_line(np.ascontiguousarray(image), HEIGHT).line[:, :CROP]


Example = tuple[GreyImage, str, str]  # canonical line, class, kind


def class_lines(split: str, name: str) -> list[Example]:
    """The lines of a class in a split."""
    cv2.setNumThreads(1)
    rng = random.Random(f"scripts/{split}/{name}")
    lines: list[Example] = []
    if name == NONE:
        for _ in range(NONE_COUNTS[split]):
            image, kind = line_without_name(split, rng)
            lines.append((canonical(image), NONE, kind))
    elif name == LATIN:
        faces = latin_faces(split)
        emnist = LATIN_COUNTS[split] // 5
        for image, _ in composed_lines(texts_of("en"), "derived:emnist/byclass", None, emnist, split):
            lines.append((canonical(image[..., 0]), LATIN, "EMNIST"))
        while len(lines) < LATIN_COUNTS[split]:
            path = rng.choice(faces)
            lines.append(
                (canonical(photograph(draw_text(latin_text(split, path, rng), path, rng), rng)), LATIN, "font")
            )
    else:
        lines = [(canonical(foreign_line(name, split, rng)), name, "font") for _ in range(COUNTS[split])]
        script = SCRIPTS[name]
        unseen = [path for family in script.unseen if (path := face(family, "Regular"))]
        unseen = [path for path in unseen if letters_and_marks(path, 0, script)[0]]
        if split == "test" and unseen:
            lines += [(canonical(foreign_line(name, split, rng, unseen)), name, "unseen") for _ in range(UNSEEN_COUNT)]
    return [line for line in lines if line[0].any()]


def all_lines(split: str) -> list[Example]:
    with ProcessPoolExecutor(2) as pool:
        parts = pool.map(partial(class_lines, split), sorted(CLASSES, key=lambda name: name in SCRIPTS))
        return [line for part in parts for line in part]


def load_or_draw(split: str, folder: Path | None) -> list[Example]:
    """The lines of a split, from a folder where an earlier run kept them."""
    path = folder / f"{split}.npz" if folder else None
    if path and path.exists():
        with np.load(path) as file:
            images = np.split(file["pixels"], np.cumsum(file["widths"])[:-1], axis=1)
            return list(zip(images, file["names"].tolist(), file["kinds"].tolist(), strict=True))
    lines = all_lines(split)
    if path:
        images, names, kinds = zip(*lines, strict=True)
        widths = [image.shape[1] for image in images]
        np.savez(path, pixels=np.hstack(images), widths=widths, names=np.array(names), kinds=np.array(kinds))
    return lines


# ------------------------------------------------------------------------------------------------------------- network


class ScriptNetwork(nn.Module):
    """Canonical lines (N, HEIGHT, W), uint8, bright ink on 0 -> logits (N, classes)."""

    def __init__(self) -> None:
        super().__init__()

        def block(
            inputs: int, outputs: int, kernel: tuple[int, int], stride: int, padding: tuple[int, int]
        ) -> nn.Module:
            convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))

        self.features = nn.Sequential(
            block(1, 16, (3, 3), 2, (1, 1)),
            block(16, 48, (3, 3), 2, (1, 1)),
            block(48, 56, (3, 3), 2, (1, 1)),
            block(56, 64, (3, 3), 1, (1, 1)),
            block(64, 88, (4, 3), 1, (0, 1)),
        )
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(2 * 88, len(CLASSES))

    def forward(self, lines: torch.Tensor) -> torch.Tensor:
        features = self.features(lines.unsqueeze(1).float() / 255).squeeze(2)
        pooled = torch.cat([features.mean(dim=2), features.amax(dim=2)], dim=1)
        return self.head(self.dropout(pooled))  # type: ignore[no-any-return]


class BundledNetwork(nn.Module):
    """The network with its temperature: lines -> probabilities (N, classes)."""

    def __init__(self, network: ScriptNetwork, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, lines: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.network(lines) / self.temperature, dim=1)


def batches(lines: Sequence[Example], rng: random.Random) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Shuffled batches of lines of equal padded width, with the classes. Half of the lines are cropped."""
    buckets: dict[int, list[tuple[GreyImage, int]]] = {}
    for k in rng.sample(range(len(lines)), len(lines)):
        image, name, _ = lines[k]
        if image.shape[1] > 256 or (image.shape[1] > 64 and rng.random() < 0.4):
            width = rng.randint(48, min(256, image.shape[1]))
            start = rng.randrange(image.shape[1] - width + 1)
            image = image[:, start : start + width]
        bucket = buckets.setdefault(-(-image.shape[1] // LIMITS.width_multiple), [])
        bucket.append((image, CLASSES.index(name)))
        if len(bucket) == BATCH:
            yield _stack(bucket, rng)
            bucket.clear()
    for bucket in buckets.values():
        if len(bucket) > 3:
            yield _stack(bucket, rng)


def _stack(bucket: Sequence[tuple[GreyImage, int]], rng: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
    stacked, _ = pad_batch([image for image, _ in bucket], LIMITS.width_multiple)
    tensor = torch.from_numpy(stacked).float()
    gamma = 2 ** (torch.rand(len(tensor), 1, 1, generator=_generator(rng)) * 1.4 - 0.7)
    tensor = 255 * (tensor / 255) ** gamma
    return tensor, torch.tensor([label for _, label in bucket])


def _generator(rng: random.Random) -> torch.Generator:
    return torch.Generator().manual_seed(rng.randrange(2**32))


def train(lines: Sequence[Example], epochs: int) -> ScriptNetwork:
    torch.manual_seed(0)
    rng = random.Random("training")
    network = ScriptNetwork().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.02)
    steps = epochs * (len(lines) // BATCH + 12)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps, pct_start=0.15)
    for epoch in range(epochs):
        started, losses = time.perf_counter(), []
        network.train()
        for images, labels in batches(lines, rng):
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(images)
            loss = nn.functional.cross_entropy(logits.float(), labels, label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if schedule.last_epoch < steps:
                schedule.step()
            losses.append(float(loss.detach()))
        print(
            f"epoch {epoch + 1} loss {np.mean(losses):.3f} {time.perf_counter() - started:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return network.eval()


@torch.no_grad()
def logits_of(network: ScriptNetwork, lines: Sequence[Example]) -> npt.NDArray[np.float64]:
    """The logits (lines, classes), each line by itself as in reading."""
    rows = [network(torch.from_numpy(pad_batch([image], LIMITS.width_multiple)[0])) for image, _, _ in lines]
    return torch.cat(rows).double().numpy()


def fit_temperature(logits: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
    """The temperature with the least cross-entropy."""
    values = np.geomspace(0.5, 4, 61)
    nats = [float(nn.functional.cross_entropy(torch.tensor(logits / t), torch.tensor(labels))) for t in values]
    return float(values[int(np.argmin(nats))])


def fit_limit(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
    """The lowest probability from which a name is said with at most MAX_WRONG wrong ones, see the module."""
    best, p = probabilities.argmax(axis=1), probabilities.max(axis=1)
    is_named = best < len(SCRIPTS)
    limits = []
    for chosen in (labels < len(SCRIPTS), labels >= len(SCRIPTS)):
        wrong = np.sort(p[chosen & is_named & (best != labels)])[::-1]
        allowed = int(MAX_WRONG * chosen.sum())
        limits.append(float(wrong[allowed]) if len(wrong) > allowed else 0.0)
    return float(np.ceil(1e4 * (max(limits) + 1e-6)) / 1e4)


# ------------------------------------------------------------------------------------------------------------ the file


def bundle(network: ScriptNetwork, temperature: float, limit: float, out: Path) -> None:
    """Write the ONNX model, its weights in 8 bits and its classes and limit in the metadata."""
    import onnx

    example = torch.zeros(1, HEIGHT, 4 * LIMITS.width_multiple, dtype=torch.uint8)
    torch.onnx.export(
        BundledNetwork(network.to(memory_format=torch.contiguous_format), temperature).eval(), (example,), str(out),
        opset_version=17, dynamo=False, input_names=["lines"], output_names=["probabilities"],
        dynamic_axes={"lines": {0: "N", 2: "W"}, "probabilities": {0: "N"}},
    )  # fmt: skip
    model = onnx.load(str(out))
    metadata = {
        "scripts": json.dumps([name if name in SCRIPTS else None for name in CLASSES]),
        "min_probability": str(limit), "height": str(HEIGHT), "made_by": "benchmarks/scripts.py",
    }  # fmt: skip
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, str(out))
    compress_weights(out, out, bits=8)


def _groups_of(name: str, kind: str) -> tuple[str, ...]:
    """The rows of a report to which a line belongs."""
    if name in SCRIPTS:
        return (name if kind == "font" else f"{name}, other designs",)
    return name, f"{name}: {kind}"


def report_on(lines: Sequence[Example], probabilities: npt.NDArray[np.float64], limit: float) -> dict[str, Any]:
    """For each class and kind of line: lines, share of right best classes, of right names said, of wrong names."""
    groups: dict[str, list[int]] = {}
    for k, (_, name, kind) in enumerate(lines):
        for group in _groups_of(name, kind):
            groups.setdefault(group, []).append(k)
    best, p = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rows = {}
    for group in sorted(groups):
        chosen = np.array(groups[group])
        label = CLASSES.index(lines[chosen[0]][1])
        said = (p[chosen] >= limit) & (best[chosen] < len(SCRIPTS))
        right = best[chosen] == label
        row = {
            "lines": len(chosen), "best class right": float(right.mean()), "named": float((said & right).mean()),
            "wrong name": float((said & ~right).mean()),
        }  # fmt: skip
        if (said & ~right).any():
            names, counts = np.unique(best[chosen][said & ~right], return_counts=True)
            row["wrong names"] = {CLASSES[n]: int(c) for c, n in sorted(zip(counts, names, strict=True), reverse=True)}
        rows[group] = row
    return rows


def summary_of(rows: dict[str, Any], lines: Sequence[Example]) -> dict[str, Any]:
    """The means over the named scripts, and over the lines of each class that has no name."""
    named = [rows[name] for name in SCRIPTS]
    unseen = [row for group, row in rows.items() if group.endswith("other designs")]
    keys = ("best class right", "named", "wrong name")
    summary: dict[str, Any] = {"scripts": {key: float(np.mean([row[key] for row in named])) for key in keys}}
    if unseen:
        summary["scripts, other designs"] = {key: float(np.mean([row[key] for row in unseen])) for key in keys}
    for name in (LATIN, NONE):
        summary[name] = {"lines": rows[name]["lines"], "wrong name": rows[name]["wrong name"]}
    return summary


def end_to_end(lines: Sequence[tuple[GreyImage, str]], reader: LineReader) -> dict[str, Any]:
    """What the bundled reader says of lines, (image, class) each: how many cannot be read, and how many are named."""
    read = reader.read_lines([np.repeat(np.ascontiguousarray(image)[..., None], 3, axis=2) for image, _ in lines])
    obstacles = [
        (line.obstacle or "", name)
        for line, (_, name) in zip(read, lines, strict=True) if line.legibility < MIN_LEGIBILITY
    ]  # fmt: skip
    said = [(obstacle, name) for obstacle, name in obstacles if obstacle.startswith(f"{UNKNOWN_WRITING} (")]
    return {
        "lines": len(lines), "cannot be read": len(obstacles), "named": len(said),
        "wrong name": sum(obstacle != unknown_writing(name) for obstacle, name in said),
        "other reasons": dict(Counter(obstacle for obstacle, _ in obstacles if "(" not in obstacle)),
    }  # fmt: skip


def photo_cuttings(folder: Path, count: int) -> list[GreyImage]:
    """Cuttings of photographs without text, in the shape of lines."""
    rng, cuttings = random.Random("cuttings"), []
    paths = sorted(p for p in folder.iterdir() if p.is_file())
    while len(cuttings) < count:
        with Document(str(rng.choice(paths))) as document:
            grey = to_grey(document.colour(0))
        height = rng.randint(16, min(120, grey.shape[0] // 2))
        width = min(grey.shape[1] - 1, round(height * rng.uniform(1, 9)))
        top, left = rng.randrange(grey.shape[0] - height), rng.randrange(grey.shape[1] - width)
        cuttings.append(np.ascontiguousarray(grey[top : top + height, left : left + width]))
    return cuttings


def real_lines() -> dict[str, Any]:
    """What is said of the pictures of $GLYPHLINE_DATA/found in other scripts, and of real Latin handwriting."""
    from glyphline import open_reader

    data, reader, reports = data_folder(), open_reader(), {}
    names = ("found/japanese-print.png", "found/syriac-line.png", "found/spanish-manuscript.jpg")
    cursive = [str(p.relative_to(data)) for p in sorted((data / "photos" / "cursive").iterdir())]
    for name in [*names, *cursive]:
        try:
            page = reader.read(str(data / name))
        except GlyphlineError:
            continue  # no picture
        reasons = [line.reason or "" for line in page.lines if line.rejected]
        counts = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}
        if reasons or name in names:
            reports[name] = {"lines": len(page.lines), "rejected": counts}
    return reports


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--threads", type=int, default=2, help="of torch; 1 where other programs keep the cores busy")
    parser.add_argument("--cache", type=Path, help="folder where the lines are kept between runs")
    parser.add_argument("--weights", type=Path, help="trained weights: only fit, bundle and test")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    started = time.perf_counter()
    sets = {split: load_or_draw(split, arguments.cache) for split in SPLITS}
    print(
        {split: len(lines) for split, lines in sets.items()}, f"{time.perf_counter() - started:.0f} s", file=sys.stderr
    )
    if arguments.weights and arguments.weights.exists():
        network = ScriptNetwork().eval()
        network.load_state_dict(torch.load(arguments.weights, weights_only=True))
    else:
        network = train(sets["train"], arguments.epochs)
        if arguments.weights:
            torch.save(network.state_dict(), arguments.weights)
    labels = {split: np.array([CLASSES.index(name) for _, name, _ in lines]) for split, lines in sets.items()}
    logits = logits_of(network, sets["val"])
    temperature = fit_temperature(logits, labels["val"])
    limit = fit_limit(torch.softmax(torch.tensor(logits) / temperature, 1).numpy(), labels["val"])
    bundle(network, temperature, limit, MODEL)
    classifier = ScriptClassifier(MODEL)
    report: dict[str, Any] = {
        "bytes": MODEL.stat().st_size, "temperature": round(temperature, 3), "min_probability": limit,
        "train lines": len(sets["train"]), "epochs": arguments.epochs,
    }  # fmt: skip
    for split in ("val", "test"):
        p = np.array([classifier.canonical_probabilities(image) for image, _, _ in sets[split]])
        rows = report_on(sets[split], p, limit)
        report[split] = {"summary": summary_of(rows, sets[split]), "classes": rows}
        print(split, json.dumps(report[split]["summary"], indent=1), file=sys.stderr)
    reader, rng = open_line_reader("photo"), random.Random("end to end")
    foreign = [(foreign_line(name, "test", rng), name) for name in SCRIPTS for _ in range(8)]
    report["read by photo"] = {"scripts": end_to_end(foreign, reader)}
    textures = [(image, NONE) for image in photo_cuttings(data_folder() / "photos" / "notext", 400)]
    report["read by photo"]["cuttings of photographs"] = end_to_end(textures, reader)
    report["real"] = real_lines()
    print(json.dumps({key: report[key] for key in ("read by photo", "real")}, indent=1), file=sys.stderr)
    RESULTS.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
