"""Fits and tests the model of legibility: which lines can be read (glyphline.reading.recognition.legibility).

    make fonts && python benchmarks/legibility.py    # writes src/glyphline/models/legibility.json

Readable: lines of nine languages (without Swedish) in print (recipes/fonts/print), in handwriting fonts with and
without effects, of EMNIST, generated codes, and short lines as on signs (recipes/fonts/signs and documents), all of the
validation split. Unreadable: half of the scripts of Debian's fonts-noto-core, mirrored print, scribbles, blurred print.
Tested on Swedish, the held-out fonts, DejaVu and the other scripts. A line of which both recognizers misread more than
40 % of the characters counts as neither.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from glyphline import open_reader
from glyphline.composing.line_sets import LineSet
from glyphline.imaging.documents import ColourImage
from glyphline.reading.recognition.ensemble import Ensemble
from glyphline.reading.recognition.hypotheses import Posteriors
from glyphline.reading.recognition.languages import LANGUAGES
from glyphline.reading.recognition.legibility import legibility_features
from glyphline.recipe import recipe_from
from languages import ROOT, handwritten_lines, print_lines, texts_of, unreadable_lines

MODEL = ROOT / "src" / "glyphline" / "models" / "legibility.json"
HELD_OUT_LANGUAGE = "sv"
L2_PENALTY = 0.05
PRINT_FACES = sorted((ROOT / "recipes" / "fonts" / "print").glob("*-latin-400-*"))
MAX_REJECTED = 0.01  # share of readable lines; the threshold rejects no more of the fitted ones


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
    glyphs = f"fonts:{ROOT / 'recipes' / 'fonts' / fonts}"
    yield from composed_lines(texts, glyphs, effects, count, split, length=(2, 18), capitals=0.5)


def fit_lines() -> Iterator[tuple[ColourImage, str | None]]:
    """The lines that the model is fitted on; None for an unreadable one."""
    for code in LANGUAGES:
        if code == HELD_OUT_LANGUAGE:
            continue
        yield from print_lines(code, 25, "val", PRINT_FACES)
        yield from composed_lines(texts_of(code), f"fonts:{ROOT / 'recipes' / 'fonts' / 'hand'}", {}, 20)
        yield from composed_lines(texts_of(code), f"fonts:{ROOT / 'recipes' / 'fonts' / 'hand'}", None, 15)
        yield from composed_lines(texts_of(code), "derived:emnist/byclass", None, 20)
    codes = ("generated:9000", "signs:9000")
    yield from composed_lines(codes, f"fonts:{ROOT / 'recipes' / 'fonts' / 'print'}", {}, 120)
    yield from composed_lines(codes, "derived:emnist/byclass", None, 60)
    yield from sign_lines("signs", 150, "val")
    yield from sign_lines("documents", 150, "val")
    for image, _ in unreadable_lines(600, "val", PRINT_FACES):
        yield image, None


def test_lines() -> Iterator[tuple[ColourImage, str | None]]:
    """The lines that the model is tested on."""
    yield from print_lines(HELD_OUT_LANGUAGE, 60)
    yield from composed_lines(texts_of(HELD_OUT_LANGUAGE), "derived:emnist/byclass", None, 40, "test")
    for code in ("en", "fr", "pl", HELD_OUT_LANGUAGE):
        yield from handwritten_lines(code, 25)
    yield from sign_lines("held-out", 40, "test")
    for image, _ in unreadable_lines(200, "test"):
        yield image, None


def fit_logistic(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The weights of a logistic regression with an L2 penalty, by Newton's method; both classes count alike."""
    balance = np.where(y > 0, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    weights = np.zeros(x.shape[1])
    penalty = L2_PENALTY * np.diag([0.0, *[1.0] * (x.shape[1] - 1)])
    for _ in range(100):
        p = 1 / (1 + np.exp(-x @ weights))
        hessian = (x * (balance * p * (1 - p))[:, None]).T @ x + penalty
        weights += np.linalg.solve(hessian, x.T @ (balance * (y - p)) - penalty @ weights)
    return weights


def main() -> None:
    line_reader = open_reader().line_reader
    assert isinstance(line_reader, Ensemble)
    names = [reader.recognizer.info.name for reader in line_reader.readers]  # type: ignore[attr-defined]
    data: dict[str, tuple[list[list[Posteriors]], list[float]]] = {}
    for name, lines in (("fit", fit_lines()), ("test", test_lines())):
        posteriors, readable = [], []
        pairs = list(lines)
        outputs = [reader.recognize([image for image, _ in pairs]) for reader in line_reader.readers]
        for row, (_, text) in zip(zip(*outputs, strict=True), pairs, strict=True):
            best = max(Levenshtein.normalized_similarity(p.greedy.text.lower(), (text or "").lower()) for p in row)
            if text is not None and best < 0.6:
                continue  # it cannot be read
            posteriors.append(list(row))
            readable.append(float(text is not None))
        data[name] = posteriors, readable
        print(
            f"{name}: {int(sum(readable))} readable, {int(len(readable) - sum(readable))} unreadable", file=sys.stderr
        )
    weights, report = {}, {}
    for members in ((0, 1), (0,), (1,)):
        key = "+".join(names[k] for k in members)
        sets = {
            name: (np.array([legibility_features([row[k] for k in members]) for row in rows]), np.array(y))
            for name, (rows, y) in data.items()
        }
        fitted = fit_logistic(*sets["fit"])
        weights[key] = [round(float(w), 5) for w in fitted]
        probabilities = {name: 1 / (1 + np.exp(-x @ fitted)) for name, (x, _) in sets.items()}
        threshold = float(np.quantile(probabilities["fit"][sets["fit"][1] > 0], MAX_REJECTED))
        weights[key][0] = round(weights[key][0] - math.log(threshold / (1 - threshold)), 5)  # so that 0.5 is the limit
        report[key] = {}
        for name, (_, y) in sets.items():
            accepted = probabilities[name] >= threshold
            report[key][name] = {
                "readable rejected": float((~accepted & (y > 0)).sum() / (y > 0).sum()),
                "unreadable accepted": int((accepted & (y == 0)).sum()), "unreadable": int((y == 0).sum()),
            }  # fmt: skip
        print(key, "threshold", round(threshold, 3), json.dumps(report[key]), file=sys.stderr)
    about = "Fitted by benchmarks/legibility.py, which states the data."
    document = {"about": about, "weights": weights, "report": report}
    MODEL.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
