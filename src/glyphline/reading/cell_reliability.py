"""Reliability of short cells: whether the few characters of a cell of a table are right.

A line of one character is little evidence by itself: its posteriors may be those of a scribble, and no language tells.
In a table there is more: the other cells are legible, and the column holds others of its kind. A logistic regression
weighs this (`cell` in models/tables.json). `python benchmarks/tables.py --fit` fits it and states the data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean

from glyphline.page import Cell, Line
from glyphline.reading.detection.tables import log_odds_of
from glyphline.reading.recognition.calibration import feature_log_odds, logistic

MAX_CHARACTERS = 5  # of a short cell
DASHES = "-–—−"
#: letters whose two cases have one shape, and what looks like them: where one stands alone, the recognizer divides its
#: posterior among them
_SHARED_SHAPES = frozenset("cCoO0kKpPsSuUvVwWxXzZ1lI|")


def kind_of(text: str) -> str:
    """What a short cell holds: "dash", "digits" with a sign or a unit, "letters" or "other"."""
    if all(c in DASHES for c in text):
        return "dash"
    return "digits" if text.strip("+-−.,%$€£").isdigit() else "letters" if text.isalpha() else "other"


def is_short_cell(line: Line) -> bool:
    """Whether a line is a cell of at most MAX_CHARACTERS characters."""
    return line.cell is not None and 0 < len(line.text) <= MAX_CHARACTERS


def cell_features(detector_confidences: Sequence[float], lines: Sequence[Line]) -> list[list[float]]:
    """The features of each short cell of a page, in the order of the lines.

    1 (the bias); the log-odds of its visual confidence, of its legibility and of the detector's confidence; whether it
    has one, two and three characters; whether it is one character whose shape others share, and if so the log-odds of
    its visual confidence again; whether it is of dashes, of digits and of letters; the log of the number of cells of
    its table that are longer, the mean of their legibility x visual confidence; the shares of the other cells of its
    column that are of its kind, and that have its text; of those of its kind, the greatest visual confidence; and the
    mean visual confidence of the other cells of its row, and whether they are of its kind; and whether it is in the
    first row, where titles stand that are not of the kind of their columns.
    """
    rows = []
    for k, (confidence, line) in enumerate(zip(detector_confidences, lines, strict=True)):
        if not is_short_cell(line):
            continue
        place = line.cell
        assert place is not None
        others = [other for n, other in enumerate(lines) if n != k and other.text and _is_in(other, place)]
        longer = [other.legibility * other.visual_confidence for other in others if not is_short_cell(other)]
        column = [other for other in others if other.cell and other.cell.column == place.column]
        kind, shared = kind_of(line.text), float(line.text in _SHARED_SHAPES)
        row = [other for other in others if other.cell and other.cell.row == place.row]
        alike = [other for other in column if kind_of(other.text) == kind]
        rows.append(
            [
                1.0,
                feature_log_odds(line.visual_confidence),
                feature_log_odds(line.legibility),
                feature_log_odds(confidence),
                *(float(len(line.text) == length) for length in (1, 2, 3)),
                shared,
                shared * feature_log_odds(line.visual_confidence),
                *(float(kind == name) for name in ("dash", "digits", "letters")),
                math.log(1 + len(longer)),
                mean(longer) if longer else 0.0,
                len(alike) / max(1, len(column)),
                sum(other.text == line.text for other in column) / max(1, len(column)),
                max((other.visual_confidence for other in alike), default=0.0),
                mean([other.visual_confidence for other in row]) if row else 0.0,
                sum(kind_of(other.text) == kind for other in row) / max(1, len(row)),
                float(place.row == 0),
            ]
        )
    return rows


def _is_in(line: Line, place: Cell) -> bool:
    return line.cell is not None and line.cell.table == place.table


def assess_cells(
    detector_confidences: Sequence[float], lines: Sequence[Line], numbers: Mapping[int, tuple[str, float]]
) -> list[Line]:
    """The lines with the probability that a short cell is right as its confidence and its legibility.

    detector_confidences: 0..1, one a line. The confidences of its characters and words become the same, such that their
    product is the confidence of the cell. numbers: index of a line -> the number that takes the place of its text, and
    the probability that it is right (see `number_cells.find_numbers`). Other lines are not changed.
    """
    rows = iter(cell_features(detector_confidences, lines))
    assessed = []
    for k, line in enumerate(lines):
        if is_short_cell(line):
            probability = logistic(log_odds_of("cell", next(rows)))
            line = _with_probability(line, *numbers.get(k, (line.text, probability)))
        assessed.append(line)
    return assessed


def _with_probability(line: Line, text: str, probability: float) -> Line:
    """A short cell with a text, of as many characters as it has, and the probability that this is right."""
    share = probability ** (1 / len(text))
    if text != line.text:
        characters = tuple(replace(c, text=t) for c, t in zip(line.characters, text, strict=True))
        line = replace(line, text=text, characters=characters, words=(), obstacle=None)
    return replace(
        line,
        confidence=probability,
        legibility=probability,
        characters=tuple(replace(c, confidence=share) for c in line.characters),
        words=tuple(replace(w, confidence=share ** len(w.text)) for w in line.words),
    )
