"""Trains a small reader of Greek, Cyrillic, Hebrew and Arabic each, and measures it on fonts and sentences never seen.

    python benchmarks/any_script.py prepare [--scripts greek,hebrew]    # fonts and texts, into any-script/
    python benchmarks/any_script.py run [--scripts greek,hebrew] [--minutes 15]    # writes results/any_script.json

Needs Debian's fonts (apt-get install fonts-noto-core fonts-dejavu fonts-liberation) and wordfreq (pip install wordfreq
-c constraints.txt). A font is taken if it has every letter of the script's recipe. Noto's fonts of Hebrew and Arabic
have no digits and few signs: those come from other fonts, in the test from fonts that training has too. The families in
`held_out` are kept out of training: the test lines are drawn in them, each font as many. A sentence is a row of
frequent words, drawn by their frequency, with signs and numbers; those of the test split are in no training line, but
their words are. The number of epochs is the one that fits into the minutes, by a dry run before the first. The result
of a script is written as soon as it is measured; an interrupted run goes on: a script that has a result for the same
minutes is left out, and a training resumes after its last epoch.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
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
from glyphline.training.dry_run import dry_run
from glyphline.training.runs import LAST_CHECKPOINT, RECIPE_FILE, RESULT_FILE
from glyphline.training.train import train

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "any_script.json"
DATA = Path("any-script")  # where the recipes look for fonts and texts
PREPARED = ".prepared"  # in a folder that `prepare` has made
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
    if folder.exists() and not (folder / PREPARED).exists():
        sys.exit(f"{folder} holds files that this script has not written: move them to another folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / PREPARED).touch()
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
    if not copied["fonts"] or not copied["held-out"]:
        sys.exit(f"{SYSTEM_FONTS} lacks fonts of {name}: apt-get install fonts-noto-core fonts-dejavu fonts-liberation")
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


def run(name: str, minutes: float) -> dict[str, Any]:
    """Train the recipe of a script for about some minutes, export it, and measure the file."""
    folder = RUNS / f"{name}-{minutes:g}"
    trained = train_for(name, folder, minutes)
    model = folder / f"{name}.onnx"
    command = [sys.executable, "-m", "glyphline", "export", str(folder), "--out", str(model), "--int8"]
    subprocess.run(command, check=True)
    return {"minutes": minutes, **trained, "model_bytes": model.stat().st_size, **measure(name, model)}


def train_for(name: str, folder: Path, minutes: float) -> dict[str, Any]:
    """Train into a run folder, or go on there. Returns the epochs and the minutes that they took in all calls."""
    times = folder / "epoch_minutes.json"  # of each epoch, with the preparing before it
    resume = (folder / LAST_CHECKPOINT).exists()
    if resume:
        recipe = load_recipe(folder / RECIPE_FILE)
    else:
        recipe = load_recipe(ROOT / "recipes" / f"{name}.yaml")
        epochs = max(1, round(60 * minutes / dry_run(recipe).epoch_seconds))
        recipe = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, epochs=epochs))
    epoch_minutes: list[float] = json.loads(times.read_text()) if resume and times.exists() else []
    started = time.monotonic()

    def note(epoch: int, pairs: Sequence[tuple[str, str]]) -> None:
        nonlocal started
        epoch_minutes.append((time.monotonic() - started) / 60)
        started = time.monotonic()
        write_atomically(times, json.dumps(epoch_minutes).encode())
        cer = score([truth for truth, _ in pairs], [text for _, text in pairs]).cer
        print(f"{name}: epoch {epoch} of {recipe.training.epochs}, validation CER {cer:.1%}", flush=True)

    if not (folder / RESULT_FILE).exists():
        train(recipe, folder, resume=resume, trackers=("csv",), progress=False, on_epoch=note)
    return {"epochs": recipe.training.epochs, "training_minutes": round(sum(epoch_minutes), 1)}


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
        "wer": round(result.wer, 4), "exact": round(result.exact, 4), "cer_by_font": by_font, "decoder": "greedy",
        "direction": info.direction, "samples": [list(pair) for pair in list(zip(truths, texts, strict=True))[:3]],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["prepare", "run"])
    parser.add_argument("--scripts", default=",".join(SCRIPTS), help="of: " + ", ".join(SCRIPTS))
    parser.add_argument("--minutes", type=float, default=15.0, help="of training a script")
    arguments = parser.parse_args()
    names = arguments.scripts.split(",")
    if unknown := [name for name in names if name not in SCRIPTS]:
        parser.error(f"no script {', '.join(unknown)}; choices: {', '.join(SCRIPTS)}")
    for name in names:
        if arguments.action == "prepare" or not (DATA / name / "text.txt").exists():
            prepare(name)
        if arguments.action == "prepare":
            continue
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        if results.get(name, {}).get("minutes") == arguments.minutes:
            print(f"{name} has a result: delete it from {RESULTS} to measure again")
            continue
        result = run(name, arguments.minutes)
        write_atomically(RESULTS, (json.dumps({**results, name: result}, indent=1, ensure_ascii=False) + "\n").encode())
        low, high = result["cer_interval"]
        print(f"{name}: CER {result['cer']:.2%} ({low:.2%} - {high:.2%}) on {result['lines']} lines")


if __name__ == "__main__":
    main()
