"""Fits the calibration and the language model's weight of a recognizer on validation lines."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from glyphline.composing.line_sets import LineSet
from glyphline.files import replace_atomically
from glyphline.imaging.normalization import canonical_line_image
from glyphline.page import Character, split_words
from glyphline.reading.lines import open_line_reader
from glyphline.reading.recognition.calibration import (
    UNITS,
    Calibration,
    CharacterEvidence,
    calibration_error,
    fit,
    reliability,
)
from glyphline.reading.recognition.decoders import DecodedText
from glyphline.reading.recognition.recognizers import ModelInfo, OnnxRecognizer, Recognizer
from glyphline.recipe import Recipe
from glyphline.score import join_spaces, score
from glyphline.training.export import write_model_info

DECODER_KINDS = ("greedy", "beam")  # each has its own weights, because it has its own evidence

LM_WEIGHTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # that `fit_lm_weight` tries
LM_LINES = 1500  # validation lines that choose among them

#: kind of unit -> (the evidence of the characters of each unit, whether each unit is correct)
LabelledUnits = dict[str, tuple[list[list[CharacterEvidence]], list[bool]]]


@dataclass(frozen=True)
class CalibrationReport:
    """The calibration of one kind of decoder on test lines. The keys are the kinds of unit in UNITS."""

    before: dict[str, float]  # expected calibration error, 0..1, of the lowest character probability
    after: dict[str, float]  # expected calibration error, 0..1, of the calibrated confidence
    reliability: dict[str, list[tuple[float, float, int]]]  # after; (mean confidence, fraction correct, units) a bin


def calibrate(path: Path, recipe: Recipe, count: int = 1000) -> dict[str, CalibrationReport]:
    """Fit the calibration of an ONNX model, as `fit_confidence` does, and store it in the metadata of its file.

    Returns the report of each of DECODER_KINDS. Raises DataError for a file that is no glyphline model, OSError if it
    cannot be written, and what `fit_confidence` raises.
    """
    recognizer = OnnxRecognizer(path)
    weights, reports = fit_confidence(recognizer, recipe, count)
    _store(path, replace(recognizer.info, calibration=weights))
    return reports


def fit_lm_weight(path: Path, recipe: Recipe, count: int = LM_LINES) -> dict[float, float]:
    """Store in an ONNX model's metadata the weight of the language model with which it makes the fewest errors.

    The weights are LM_WEIGHTS, the lines the first `count` validation lines of the recipe, normalized as the recognizer
    requires. A calibration that was fitted with another weight is not valid any more: call `calibrate` afterwards.
    Returns weight -> CER. Raises what `calibrate` raises.
    """
    recognizer = OnnxRecognizer(path)
    images, truths = _compose(recognizer.info, recipe, "val", count)
    cers = {}
    for weight in LM_WEIGHTS:
        recognizer.info = replace(recognizer.info, lm_weight=weight)
        texts = [decoded.text for decoded in open_line_reader(recognizer).decode_canonical(images)]
        cers[weight] = score(truths, texts).cer
    _store(path, replace(recognizer.info, lm_weight=min(cers, key=lambda weight: cers[weight])))
    return cers


def _store(path: Path, info: ModelInfo) -> None:
    """Replace the ModelInfo of an ONNX file, which is whole at every moment."""
    with replace_atomically(path) as temporary:
        shutil.copy(path, temporary)
        write_model_info(temporary, info)


def _compose(info: ModelInfo, recipe: Recipe, split: str, count: int) -> tuple[list[npt.NDArray[np.uint8]], list[str]]:
    """The first lines of a split as canonical images of a model, and their texts."""
    line_set = LineSet(recipe.lines, split, recipe.training.seed)
    composed = [line_set.line(index) for index in range(count)]
    images = [canonical_line_image(line.image, info.height, info.normalization) for line in composed]
    return images, [line.text for line in composed]


def fit_confidence(
    recognizer: Recognizer, recipe: Recipe, count: int = 1000
) -> tuple[dict[str, dict[str, list[float]]], dict[str, CalibrationReport]]:
    """Fit the calibration of a recognizer on `count` validation lines of a recipe, measure it on `count` test lines.

    recipe: composes the lines; they are normalized as the recognizer requires, whatever recipe.lines.height is.
    Returns the weights, decoder kind -> unit -> weights, as in ModelInfo.calibration, and the report of each decoder
    kind. Raises what `LineSet` raises.
    """
    weights: dict[str, dict[str, list[float]]] = {}
    reports = {}
    lines = {split: _compose(recognizer.info, recipe, split, count) for split in ("val", "test")}
    for kind in DECODER_KINDS:
        reader = open_line_reader(recognizer, kind)
        val, test = (label_units(reader.decode_canonical(images), truths) for images, truths in lines.values())
        weights[kind] = {unit: list(fit(*val[unit])) for unit in UNITS if val[unit][0]}
        calibrated = Calibration(**{unit: tuple(unit_weights) for unit, unit_weights in weights[kind].items()})
        before, after = (
            {unit: [calibration(unit, evidence) for evidence in test[unit][0]] for unit in UNITS}
            for calibration in (Calibration(), calibrated)
        )
        reports[kind] = CalibrationReport(
            {unit: calibration_error(before[unit], test[unit][1]) for unit in UNITS},
            {unit: calibration_error(after[unit], test[unit][1]) for unit in UNITS},
            {unit: reliability(after[unit], test[unit][1]) for unit in UNITS},
        )
    return weights, reports


def label_units(decoded_texts: Sequence[DecodedText], truths: Sequence[str]) -> LabelledUnits:
    """Collect the characters, words and lines of decoded texts, each with whether it is correct.

    truths: one text for each decoded text; runs of white space count as one space. A character or word is correct if
    a Levenshtein alignment matches it with the truth, a line if it equals the truth. Lines without text are left out.
    """
    units: LabelledUnits = {unit: ([], []) for unit in UNITS}

    def add(unit: str, evidence: list[CharacterEvidence], correct: bool) -> None:
        units[unit][0].append(evidence)
        units[unit][1].append(correct)

    for decoded, truth in zip(decoded_texts, map(join_spaces, truths), strict=True):
        evidence = [span.evidence for span in decoded.spans]
        if not evidence:
            continue
        for character_evidence, correct in zip(evidence, matches(decoded.text, truth), strict=True):
            add("character", [character_evidence], correct)
        words = split_words(Character(span.character, span.confidence, span.start, span.end) for span in decoded.spans)
        word_evidence = iter(span.evidence for span in decoded.spans if not span.character.isspace())
        for word, correct in zip(words, matches(decoded.text.split(), truth.split()), strict=True):
            add("word", list(islice(word_evidence, len(word))), correct)
        add("line", evidence, join_spaces(decoded.text) == truth)
    return units


def matches(prediction: Sequence[str], truth: Sequence[str]) -> list[bool]:
    """Whether each item of the prediction is matched with an equal item of the truth by a Levenshtein alignment."""
    matched = [False] * len(prediction)
    for opcode in Levenshtein.opcodes(prediction, truth):
        if opcode.tag == "equal":
            matched[opcode.src_start : opcode.src_end] = [True] * (opcode.src_end - opcode.src_start)
    return matched
