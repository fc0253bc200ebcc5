"""How sure a reader may be: fitted on validation lines, measured on test lines, kept inside the model file."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from glyphline.composing.line_sets import LineSet
from glyphline.files import replacing
from glyphline.imaging.normalization import canonical_line_image
from glyphline.page import Character, split_words
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.calibration import (
    UNITS,
    Calibration,
    CharacterEvidence,
    calibration_error,
    fit,
    reliability,
)
from glyphline.reading.recognition.decoders import DecodedText, open_decoder
from glyphline.reading.recognition.recognizers import OnnxRecognizer, Recognizer, alphabet_of
from glyphline.recipe import Recipe
from glyphline.score import fold_none
from glyphline.training.export import write_model_info

FITTED = ("greedy", "beam")  # kinds of decoder

Units = dict[str, tuple[list[list[CharacterEvidence]], list[bool]]]  # kind of unit -> of its characters; was it right


@dataclass(frozen=True)
class CalibrationReport:
    """Expected calibration errors of one kind of decoder on test lines, fractions."""

    before: dict[str, float]  # unit -> with the least sure character as confidence
    after: dict[str, float]
    reliability: dict[str, list[tuple[float, float, int]]]  # unit -> (confidence, share right, count) a bin


def calibrate(path: Path, recipe: Recipe, count: int = 1000) -> dict[str, CalibrationReport]:
    """Fit the confidence of an ONNX reader on `count` validation lines of its recipe and keep it in its metadata.

    Returns what was measured on as many test lines, by kind of decoder.
    """
    recognizer = OnnxRecognizer(path)
    fitted, measured = fit_confidence(recognizer, recipe, count)
    with replacing(path) as beside:
        shutil.copy(path, beside)
        write_model_info(beside, replace(recognizer.info, calibration=fitted))
    return measured


def fit_confidence(
    recognizer: Recognizer, recipe: Recipe, count: int = 1000
) -> tuple[dict[str, dict[str, list[float]]], dict[str, CalibrationReport]]:
    """Weights of the confidence of a recognizer, fitted on `count` validation lines; what as many test lines show.

    Both by kind of decoder, the weights by unit too, as a model keeps them.
    """
    info = recognizer.info
    fitted: dict[str, dict[str, list[float]]] = {}
    measured = {}
    lines = {}
    for split in ("val", "test"):
        made = LineSet(recipe.lines, split, recipe.training.seed)
        composed = [made.line(index) for index in range(count)]
        images = [canonical_line_image(line.image, info.height, info.normalization) for line in composed]
        lines[split] = images, [line.text for line in composed]
    for kind in FITTED:
        reader = LineReader(recognizer, open_decoder(kind, alphabet_of(recognizer)))
        val, test = (units_of(reader.decode_all(images), texts) for images, texts in lines.values())
        fitted[kind] = {unit: list(fit(*val[unit])) for unit in UNITS if val[unit][0]}
        sure = Calibration(**{unit: tuple(weights) for unit, weights in fitted[kind].items()})
        told = {kind: [sure(kind, unit) for unit in test[kind][0]] for kind in UNITS}
        plain = {kind: [Calibration()(kind, unit) for unit in test[kind][0]] for kind in UNITS}
        measured[kind] = CalibrationReport(
            {unit: calibration_error(plain[unit], test[unit][1]) for unit in UNITS},
            {unit: calibration_error(told[unit], test[unit][1]) for unit in UNITS},
            {unit: reliability(told[unit], test[unit][1]) for unit in UNITS},
        )
    return fitted, measured


def units_of(read: Sequence[DecodedText], truths: Sequence[str]) -> Units:
    """Every character, word and line that was read, and whether an alignment with the truth finds it right."""
    out: Units = {unit: ([], []) for unit in UNITS}

    def told(kind: str, unit: list[CharacterEvidence], right: bool) -> None:
        out[kind][0].append(unit)
        out[kind][1].append(right)

    for decoded, truth in zip(read, map(fold_none, truths), strict=True):
        evidence = [span.evidence for span in decoded.spans]
        if not evidence:
            continue
        for one, right in zip(evidence, _found(decoded.text, truth), strict=True):
            told("character", [one], right)
        words = split_words(Character(span.character, span.confidence, span.start, span.end) for span in decoded.spans)
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
