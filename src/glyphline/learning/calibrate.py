"""How sure a reader may be: fitted on validation lines, measured on test lines, kept inside the model file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from glyphline.composing.lines import LineSet
from glyphline.files import replacing
from glyphline.reading.confidence import UNITS, Calibration, calibration_error, fit, reliability
from glyphline.reading.decoders import Decoded, open_decoder
from glyphline.reading.engines import METADATA, OnnxEngine, alphabet_of
from glyphline.reading.reader import Reader
from glyphline.recipe import Recipe
from glyphline.score import fold_none

FITTED = ("greedy", "beam")  # kinds of decoder

Units = dict[str, tuple[list[list[float]], list[bool]]]  # unit -> what its characters were read with, was it right


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
    import onnx

    engine = OnnxEngine(path)
    fitted: dict[str, dict[str, list[float]]] = {}
    measured = {}
    sets = {split: LineSet(recipe.lines, split, recipe.training.seed) for split in ("val", "test")}
    lines = {split: those.canonical_batch(range(count)) for split, those in sets.items()}
    for kind in FITTED:
        reader = Reader(engine, open_decoder(kind, alphabet_of(engine)))
        val, test = (units_of(reader.decode_all(images), texts) for images, texts in lines.values())
        fitted[kind] = {unit: list(fit(*val[unit])) for unit in UNITS if val[unit][0]}
        made = Calibration(**{unit: tuple(weights) for unit, weights in fitted[kind].items()})
        told = {unit: [made(unit, shares) for shares in test[unit][0]] for unit in UNITS}
        plain = {unit: [min(shares) for shares in test[unit][0]] for unit in UNITS}
        measured[kind] = Measured(
            {unit: calibration_error(plain[unit], test[unit][1]) for unit in UNITS},
            {unit: calibration_error(told[unit], test[unit][1]) for unit in UNITS},
            {unit: reliability(told[unit], test[unit][1]) for unit in UNITS},
        )
    facts = dataclasses.replace(engine.facts, calibration=fitted)
    model = onnx.load(str(path))
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(dataclasses.asdict(facts))
    with replacing(path) as beside:
        onnx.save(model, str(beside))
    return measured


def units_of(read: Sequence[Decoded], truths: Sequence[str]) -> Units:
    """Every character, word and line that was read, and whether an alignment with the truth finds it right."""
    out: Units = {unit: ([], []) for unit in UNITS}

    def told(unit: str, shares: list[float], right: bool) -> None:
        out[unit][0].append(shares)
        out[unit][1].append(right)

    for decoded, truth in zip(read, map(fold_none, truths), strict=True):
        shares = [span.confidence for span in decoded.spans]
        if not shares:
            continue
        for share, right in zip(shares, _found(decoded.text, truth), strict=True):
            told("character", [share], right)
        words = decoded.text.split()
        groups: list[list[float]] = [[]]
        for character, share in zip(decoded.text, shares, strict=True):
            if character.isspace():
                groups.append([])
            else:
                groups[-1].append(share)
        for group, right in zip([g for g in groups if g], _found(words, truth.split()), strict=True):
            told("word", group, right)
        told("line", shares, fold_none(decoded.text) == truth)
    return out


def _found(read: Sequence[str], truth: Sequence[str]) -> list[bool]:
    """Which parts of what was read stand in the truth, by the shortest edit."""
    right = [False] * len(read)
    for step in Levenshtein.opcodes(read, truth):
        if step.tag == "equal":
            right[step.src_start : step.src_end] = [True] * (step.src_end - step.src_start)
    return right
