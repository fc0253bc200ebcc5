"""How sure a reader may be: fitted on validation lines, measured on test lines, kept inside the model file."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from glyphline.composing.lines import LineSet
from glyphline.files import replacing
from glyphline.image import canonical
from glyphline.learning.export import write_facts
from glyphline.page import Character, words_in
from glyphline.reading.confidence import UNITS, Calibration, Evidence, calibration_error, fit, reliability
from glyphline.reading.decoders import Decoded, open_decoder
from glyphline.reading.engines import Engine, OnnxEngine, alphabet_of
from glyphline.reading.reader import Reader
from glyphline.recipe import Recipe
from glyphline.score import fold_none

FITTED = ("greedy", "beam")  # kinds of decoder

Units = dict[str, tuple[list[list[Evidence]], list[bool]]]  # kind of unit -> of its characters; was it right


@dataclass(frozen=True)
class Measured:
    """Expected calibration errors of one kind of decoder on test lines, fractions."""

    before: dict[str, float]  # unit -> with the least sure character as confidence
    after: dict[str, float]
    reliability: dict[str, list[tuple[float, float, int]]]  # unit -> (confidence, share right, count) a bin


def calibrate(path: Path, recipe: Recipe, count: int = 1000) -> dict[str, Measured]:
    """Fit the confidence of an ONNX reader on `count` validation lines of its recipe and keep it in its metadata.

    Returns what was measured on as many test lines, by kind of decoder.
    """
    engine = OnnxEngine(path)
    fitted, measured = fit_confidence(engine, recipe, count)
    with replacing(path) as beside:
        shutil.copy(path, beside)
        write_facts(beside, replace(engine.facts, calibration=fitted))
    return measured


def fit_confidence(
    engine: Engine, recipe: Recipe, count: int = 1000
) -> tuple[dict[str, dict[str, list[float]]], dict[str, Measured]]:
    """Weights of the confidence of an engine, fitted on `count` validation lines; what as many test lines show.

    Both by kind of decoder, the weights by unit too, as a model keeps them.
    """
    facts = engine.facts
    fitted: dict[str, dict[str, list[float]]] = {}
    measured = {}
    lines = {}
    for split in ("val", "test"):
        made = LineSet(recipe.lines, split, recipe.training.seed)
        composed = [made.line(index) for index in range(count)]
        pictures = [canonical(line.image, facts.height, facts.frame) for line in composed]
        lines[split] = pictures, [line.text for line in composed]
    for kind in FITTED:
        reader = Reader(engine, open_decoder(kind, alphabet_of(engine)))
        val, test = (units_of(reader.decode_all(images), texts) for images, texts in lines.values())
        fitted[kind] = {unit: list(fit(*val[unit])) for unit in UNITS if val[unit][0]}
        sure = Calibration(**{unit: tuple(weights) for unit, weights in fitted[kind].items()})
        told = {kind: [sure(kind, unit) for unit in test[kind][0]] for kind in UNITS}
        plain = {kind: [Calibration()(kind, unit) for unit in test[kind][0]] for kind in UNITS}
        measured[kind] = Measured(
            {unit: calibration_error(plain[unit], test[unit][1]) for unit in UNITS},
            {unit: calibration_error(told[unit], test[unit][1]) for unit in UNITS},
            {unit: reliability(told[unit], test[unit][1]) for unit in UNITS},
        )
    return fitted, measured


def units_of(read: Sequence[Decoded], truths: Sequence[str]) -> Units:
    """Every character, word and line that was read, and whether an alignment with the truth finds it right."""
    out: Units = {unit: ([], []) for unit in UNITS}

    def told(kind: str, unit: list[Evidence], right: bool) -> None:
        out[kind][0].append(unit)
        out[kind][1].append(right)

    for decoded, truth in zip(read, map(fold_none, truths), strict=True):
        evidence = [span.evidence for span in decoded.spans]
        if not evidence:
            continue
        for one, right in zip(evidence, _found(decoded.text, truth), strict=True):
            told("character", [one], right)
        words = words_in(Character(span.character, span.confidence, span.start, span.end) for span in decoded.spans)
        inked = iter(span.evidence for span in decoded.spans if not span.character.isspace())
        for word, right in zip(words, _found(decoded.text.split(), truth.split()), strict=True):
            told("word", list(islice(inked, len(word))), right)
        told("line", evidence, fold_none(decoded.text) == truth)
    return out


def _found(read: Sequence[str], truth: Sequence[str]) -> list[bool]:
    """Which parts of what was read stand in the truth, by the shortest edit."""
    right = [False] * len(read)
    for step in Levenshtein.opcodes(read, truth):
        if step.tag == "equal":
            right[step.src_start : step.src_end] = [True] * (step.src_end - step.src_start)
    return right
