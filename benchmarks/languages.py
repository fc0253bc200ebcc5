"""Lines of ten languages in print and in handwriting fonts, and lines that no reader of Latin letters can read.

    make fonts && python benchmarks/languages.py [--count 40]    # writes benchmarks/results/languages.json

Print: DejaVu's faces, which nothing was trained on, drawn plainly. Handwriting: the six fonts of
recipes/fonts/held-out, composed without effects. Texts: the test split of $GLYPHLINE_DATA/text; Swedish
was in no training. Unreadable: other scripts (Debian's fonts-noto-core), mirrored print, scribbles, print too blurred
to read.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glyphline import open_reader
from glyphline.composing.glyphs import SPLITS, open_glyphs
from glyphline.composing.layouts import GlyphPool
from glyphline.composing.line_sets import LineSet
from glyphline.composing.sentences import split_sentences
from glyphline.errors import DataError
from glyphline.imaging.documents import ColourImage
from glyphline.reading.recognition.languages import LANGUAGES
from glyphline.recipe import recipe_from
from glyphline.score import score

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "languages.json"
FACES = [
    path
    for path in sorted((Path(matplotlib.get_data_path()) / "fonts" / "ttf").glob("DejaVu*.ttf"))
    if "Display" not in path.name  # those have a few symbols only
]
FOLDS = {"print": "none", "handwriting": "case"}  # four of the held-out fonts have capitals only
HELD_OUT = ROOT / "recipes" / "fonts" / "held-out"
NOTO = Path("/usr/share/fonts/truetype/noto")
#: script -> first and last code point of its letters
SCRIPTS = {
    "Arabic": (0x627, 0x64A), "Armenian": (0x561, 0x587), "Bengali": (0x995, 0x9B9), "Devanagari": (0x905, 0x939),
    "Ethiopic": (0x1200, 0x1300), "Georgian": (0x10D0, 0x10F0), "Gujarati": (0xA95, 0xAB9), "Hebrew": (0x5D0, 0x5EA),
    "Khmer": (0x1780, 0x17A2), "Myanmar": (0x1000, 0x1021), "Tamil": (0xB85, 0xBB9), "Thai": (0xE01, 0xE2E),
    "Telugu": (0xC05, 0xC39), "Tibetan": (0xF40, 0xF67), "Sinhala": (0xD85, 0xDC6), "Syriac": (0x712, 0x72C),
    "Cherokee": (0x13A0, 0x13F4), "Lao": (0xE81, 0xEAE), "Gurmukhi": (0xA15, 0xA39), "Thaana": (0x780, 0x7A5),
}  # fmt: skip


def texts_of(code: str) -> tuple[str, ...]:
    """The source of a language's texts."""
    return ("text:text/english.txt.gz",) if code == "en" else (f"text:text/languages/{code}.txt.gz",)


def draw_print(text: str, face: Path, size: int, rng: random.Random) -> ColourImage:
    """A line of print, (H, W, 3), dark on bright paper, with a little noise."""
    font = ImageFont.truetype(str(face), size)
    left, top, right, bottom = font.getbbox(text)
    margin = size // 3
    paper, ink = rng.randint(225, 255), rng.randint(0, 60)
    image = Image.new("L", (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin), paper)
    ImageDraw.Draw(image).text((margin - left, margin - top), text, fill=ink, font=font)
    noise = np.random.default_rng(rng.randrange(2**32)).normal(0, 4, image.size[::-1])
    grey = (np.asarray(image, np.float64) + noise).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def print_lines(
    code: str, count: int, split: str = "test", faces: Sequence[Path] = FACES
) -> Iterator[tuple[ColourImage, str]]:
    """Printed lines of a language with their texts. split: of the sentences. faces: font files."""
    rng = random.Random(f"print/{code}/{split}")
    texts = split_sentences(texts_of(code))[split]
    while count:
        text = rng.choice(texts)
        limit = rng.randint(10, 60)
        if len(text) > limit:
            text = text[:limit].rsplit(" ", 1)[0]
        if len(text) < 4 or any(ord(c) > 0x2122 or unicodedata.category(c) in ("Cc", "Co") for c in text):
            continue
        yield draw_print(text, rng.choice(faces), rng.randint(22, 44), rng), text
        count -= 1


def handwritten_lines(code: str, count: int) -> Iterator[tuple[ColourImage, str]]:
    """Lines of a language in the held-out handwriting fonts."""
    recipe = recipe_from(
        {"lines": {"alphabet": "latin", "glyphs": [f"fonts:{HELD_OUT}"], "sentences": list(texts_of(code)),
                   "length": [10, 56], "effects": {}}}
    ).lines  # fmt: skip
    fonts = open_glyphs(f"fonts:{HELD_OUT}")
    strokes = open_glyphs("derived:strokes")  # for characters that a font lacks
    # the folder's split has four, one and one of the six fonts
    sets = {split: LineSet(recipe, "test", 3, GlyphPool((fonts, strokes), (1.0, 0.0), split)) for split in SPLITS}
    for index in range(count):
        line = sets[("train", "train", "train", "train", "val", "test")[index % 6]].line(index)
        yield np.repeat(line.image[..., None], 3, axis=2), line.text


def unreadable_lines(
    count: int, split: str = "test", faces: Sequence[Path] = FACES
) -> Iterator[tuple[ColourImage, str]]:
    """Lines that hold no readable Latin text, each with what it is.

    The splits test and val share no script and no sentence. Raises DataError without Debian's fonts-noto-core.
    """
    rng = random.Random(f"unreadable/{split}")
    scripts = sorted(SCRIPTS.items())[split == "val" :: 2]
    latin = split_sentences(("built-in",))[split]
    for index in range(count):
        kind = ("script", "script", "script", "mirrored", "scribble", "blurred")[index % 6]
        face = rng.choice(faces)
        text = rng.choice(latin)[: rng.randint(12, 40)]
        if kind == "script":
            script, (low, high) = rng.choice(scripts)
            noto = [*NOTO.glob(f"NotoSans{script}-Regular.ttf"), *NOTO.glob(f"NotoSerif{script}-Regular.ttf")]
            if not noto:
                raise DataError(f"{NOTO} has no font for {script}: apt-get install fonts-noto-core")
            letters = [c for c in map(chr, range(low, high + 1)) if unicodedata.category(c)[0] == "L"]
            words = ["".join(rng.choice(letters) for _ in range(rng.randint(2, 8))) for _ in range(rng.randint(1, 5))]
            yield draw_print(" ".join(words), noto[0], rng.randint(24, 44), rng), script
        elif kind == "mirrored":
            yield np.ascontiguousarray(draw_print(text, face, rng.randint(24, 44), rng)[:, ::-1]), kind
        elif kind == "blurred":
            size = rng.randint(24, 36)
            yield cv2.GaussianBlur(draw_print(text, face, size, rng), (0, 0), size / 3), kind
        else:
            page = np.full((60, rng.randint(150, 500), 3), 245, np.uint8)
            points = np.cumsum([(rng.uniform(2, 9), rng.uniform(-16, 16)) for _ in range(page.shape[1] // 6)], axis=0)
            points[:, 1] = 30 + 18 * np.sin(points[:, 1] / 7)
            cv2.polylines(page, [points.astype(np.int32)], False, (40, 40, 60), rng.randint(1, 3), cv2.LINE_AA)
            yield page, kind


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=40, help="lines of each language and kind")
    parser.add_argument("--model", default="auto")
    args = parser.parse_args()
    reader = open_reader(args.model, detector="none")
    rows: list[dict[str, Any]] = []
    for kind, compose in (("print", print_lines), ("handwriting", handwritten_lines)):
        for code in LANGUAGES:
            lines = list(compose(code, args.count))
            started = time.perf_counter()
            pages = [reader.read_image(image) for image, _ in lines]
            seconds = time.perf_counter() - started
            result = score([text for _, text in lines], [page.text for page in pages], FOLDS[kind])
            found = sum(page.language == code for page in pages) / len(pages)
            rejected = sum(line.rejected for page in pages for line in page.lines) / len(pages)
            rows.append(
                {"kind": kind, "language": code, "lines": len(lines), "cer": result.cer,
                 "cer_interval": result.cer_interval, "language_found": found, "rejected": rejected,
                 "ms_a_line": 1000 * seconds / len(lines)}
            )  # fmt: skip
            print(f"{kind:12} {code} CER {result.cer:6.2%} language {found:4.0%} rejected {rejected:4.0%} "
                  f"{1000 * seconds / len(lines):4.0f} ms", file=sys.stderr, flush=True)  # fmt: skip
    invented: list[str] = []
    unreadable = list(unreadable_lines(max(60, args.count)))
    for image, kind in unreadable:
        text = reader.read_image(image).text
        if text.strip():
            invented.append(f"{kind}: {text}")
    print(f"unreadable: text on {len(invented)} of {len(unreadable)}", *invented, sep="\n  ", file=sys.stderr)
    for kind in ("print", "handwriting"):
        chosen = [row for row in rows if row["kind"] == kind]
        print(f"{kind}: mean CER {np.mean([row['cer'] for row in chosen]):.2%}", file=sys.stderr)
    results = {"model": args.model, "rows": rows, "invented": len(invented), "unreadable": len(unreadable)}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
