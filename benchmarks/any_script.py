"""Trains a small reader of Greek, Cyrillic, Hebrew and Arabic each, and measures it on fonts and sentences never seen.

python benchmarks/any_script.py prepare [SCRIPT...]    # fonts and texts into any-script/, below the current folder
python benchmarks/any_script.py run [SCRIPT...]        # trains, exports, measures; writes results/any_script.json

Needs Debian's fonts (apt-get install fonts-noto-core fonts-dejavu fonts-liberation) and the package wordfreq. A font is
taken if it has every letter of the script's recipe. Noto's fonts of Hebrew and Arabic have no digits and few signs:
those come from other fonts, in the test from fonts that training has too. The families in `held_out` are kept out of
training: the test lines are drawn in them, each font as many. A sentence is a row of frequent words, drawn by their
frequency, with signs and numbers; those of the test split are in no training line, but their words are. Trainings
resume.
"""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyphline.composing.glyphs.fonts import file_with
from glyphline.composing.line_sets import LineSet
from glyphline.files import write_atomically
from glyphline.imaging.normalization import canonical_line_image
from glyphline.reading.lines import open_line_reader
from glyphline.recipe import GlyphShare, load_recipe
from glyphline.score import score

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "any_script.json"
DATA = Path("any-script")  # where the recipes look for fonts and texts
RUNS = Path("runs") / "any-script"
SYSTEM_FONTS = Path("/usr/share/fonts/truetype")
FAMILIES = ("Noto", "DejaVu", "Liberation")  # beginnings of the names of the fonts that are looked at
LEFT_OUT = "Nastaliq"  # Urdu's style, in which words slope down
SIGNS = ("DejaVuSans", "LiberationSans", "NotoSans-")  # beginnings of the names of the fonts that draw digits and signs
SENTENCES = 12_000
WORDS = 20_000  # the most frequent words of a language that sentences are drawn from
TEST_LINES = 1000  # in all held-out fonts together


@dataclass(frozen=True)
class Script:
    """What a script is shown with."""

    language: str  # wordfreq's code
    held_out: tuple[str, ...]  # beginnings of the names of the fonts of the test
    comma: str = ","
    question: str = "?"


SCRIPTS = {
    "greek": Script("el", ("NotoSerif", "LiberationSerif"), question=";"),
    "cyrillic": Script("ru", ("NotoSerif", "LiberationSerif")),
    "hebrew": Script("he", ("NotoSerifHebrew", "LiberationSerif")),
    "arabic": Script("ar", ("NotoSansArabic",), comma="،", question="؟"),
}


def prepare(name: str) -> None:
    """Copy the fonts of a script and write its text."""
    from wordfreq import top_n_list, word_frequency

    script, recipe = SCRIPTS[name], load_recipe(ROOT / "recipes" / f"{name}.yaml")
    characters = recipe.lines.alphabet
    letters = [c for c in characters if c.isalpha()]
    signs = [c for c in characters if not c.isalpha() and c != " "]
    folder = DATA / name
    shutil.rmtree(folder, ignore_errors=True)
    copied = Counter[str]()

    def copy(path: Path, kind: str, subfolder: str = "") -> None:
        (folder / kind / subfolder).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / kind / subfolder)
        copied[kind] += 1

    for path in sorted(SYSTEM_FONTS.rglob("*.ttf")):
        if not path.name.startswith(FAMILIES) or LEFT_OUT in path.name:
            continue
        if all(file_with(str(path), c) for c in letters):
            if path.name.startswith(script.held_out):
                copy(path, "held-out", path.stem)  # one folder a font: each is then a source of its own
            else:
                copy(path, "fonts")
        if path.name.startswith(SIGNS) and all(file_with(str(path), c) for c in signs):
            copy(path, "signs")
    words = [w for w in top_n_list(script.language, WORDS) if set(w) <= set(characters)]
    weights = [word_frequency(word, script.language) ** 0.6 for word in words]  # rare words have rare letters
    rng = random.Random(19)
    rows = [_sentence(rng, words, weights, script) for _ in range(SENTENCES)]
    write_atomically(folder / "text.txt", "".join(f"{row}\n" for row in rows).encode())
    print(f"{folder}: {copied['fonts']} fonts to train on, {copied['held-out']} held out, {len(rows)} sentences")


def _sentence(rng: random.Random, words: list[str], weights: list[float], script: Script) -> str:
    """A row of words with signs and numbers."""
    row = rng.choices(words, weights, k=rng.randint(2, 9))
    row = [word[:-1] + "ς" if word.endswith("σ") else word for word in row]  # wordfreq folds the final sigma
    for k in range(len(row)):
        chance = rng.random()
        if chance < 0.06:
            row[k] = str(rng.choice((rng.randint(0, 99), rng.randint(1900, 2030), f"{rng.randint(1, 99)}.5")))
        elif chance < 0.1:
            row[k] = f"({row[k]})"
        elif chance < 0.18:
            row[k] += script.comma
        elif chance < 0.3:
            row[k] = row[k].capitalize()
    row[0] = row[0].capitalize()
    return " ".join(row) + rng.choice((".", ".", "!", script.question, ""))


def run(name: str) -> dict[str, Any]:
    """Train the recipe of a script, export it, and measure the file; a finished run is not trained again."""
    folder = RUNS / name
    started = time.monotonic()
    command = [sys.executable, "-m", "glyphline", "train", str(ROOT / "recipes" / f"{name}.yaml"), "--out", str(folder),
               "--track", "csv"]  # fmt: skip
    subprocess.run([*command, "--resume"] if (folder / "last.ckpt").exists() else command, check=True)
    minutes = (time.monotonic() - started) / 60
    model = RUNS / f"{name}.onnx"
    subprocess.run(
        [sys.executable, "-m", "glyphline", "export", str(folder), "--out", str(model), "--int8"], check=True
    )
    return {"minutes_of_this_call": round(minutes, 1), "model_bytes": model.stat().st_size, **measure(name, model)}


def measure(name: str, model: Path) -> dict[str, Any]:
    """Read the test lines of a script in its held-out fonts, greedily."""
    recipe = load_recipe(ROOT / "recipes" / f"{name}.yaml")
    reader = open_line_reader(str(model), "greedy")
    info = reader.recognizer.info
    folders = sorted((DATA / name / "held-out").iterdir())
    truths: list[str] = []
    texts: list[str] = []
    by_font = {}
    for folder in folders:
        settings = dataclasses.replace(
            recipe.lines, glyphs=(GlyphShare(f"fonts:{folder}"), GlyphShare(f"fonts:{DATA / name / 'signs'}", 0.0))
        )
        lines = [LineSet(settings, "test", 1).line(k) for k in range(TEST_LINES // len(folders))]
        images = [canonical_line_image(line.image, info.height, info.normalization) for line in lines]
        read = [decoded.text for decoded in reader.decode_canonical(images)]
        by_font[folder.name] = round(score([line.text for line in lines], read).cer, 4)
        truths += [line.text for line in lines]
        texts += read
    result = score(truths, texts)
    return {
        "lines": result.lines, "cer": round(result.cer, 4), "cer_interval": [round(v, 4) for v in result.cer_interval],
        "wer": round(result.wer, 4), "exact": round(result.exact, 4), "cer_by_font": by_font,
        "direction": info.direction, "samples": [list(pair) for pair in list(zip(truths, texts, strict=True))[:3]],
    }  # fmt: skip


def main() -> None:
    action, *names = sys.argv[1:] or ["help"]
    unknown = [name for name in names if name not in SCRIPTS]
    if action not in ("prepare", "run") or unknown:
        sys.exit(f"{__doc__}\nscripts: {', '.join(SCRIPTS)}")
    for name in names or SCRIPTS:
        if action == "prepare":
            prepare(name)
            continue
        if not (DATA / name / "text.txt").exists():
            prepare(name)
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results[name] = run(name)
        write_atomically(RESULTS, (json.dumps(results, indent=1, ensure_ascii=False) + "\n").encode())
        print(f"{name}: CER {results[name]['cer']:.2%} on {results[name]['lines']} lines")


if __name__ == "__main__":
    main()
