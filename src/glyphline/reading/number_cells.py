"""Numbers that were read as something else: a lone "1" in a column of quantities that looks like "i" or "!".

Alone such a cell is what it looks like. Its column tells more: where the others are numbers, a number that is nearly as
likely by the image is what stands there. A logistic regression weighs both (`number` in models/tables.json).
`python benchmarks/tables.py --fit` fits it and states the data.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from glyphline.page import Line
from glyphline.reading.cell_reliability import is_short_cell, kind_of
from glyphline.reading.detection.tables import log_odds_of
from glyphline.reading.recognition.calibration import feature_log_odds, logistic
from glyphline.reading.recognition.posteriors import Posteriors, score_texts

#: what numbers are written with, besides digits
NUMBER_SIGNS = frozenset("+-−–.,:/%$€£ ")
MIN_NATS, MAX_NATS = -12.0, 4.0  # to which the log-likelihood ratio is clipped
#: gets the indices of lines, returns their posteriors
Recognize = Callable[[Sequence[int]], Sequence[Posteriors]]


def is_number(text: str) -> bool:
    """Whether a text is a number, a price, a date or a share: digits, and signs that go with them."""
    return any(c.isdigit() for c in text) and all(c.isdigit() or c in NUMBER_SIGNS for c in text)


def likeliest_number(posteriors: Posteriors, text: str) -> tuple[str, float]:
    """The likeliest number of as many characters as a text: digits take the place of what a number has not.

    Returns it and log P(number | line) - log P(text | line), in nats.
    """
    number = text
    for k, c in enumerate(text):
        if not c.isdigit() and c not in NUMBER_SIGNS:
            choices = [number[:k] + digit + number[k + 1 :] for digit in "0123456789"]
            number = choices[int(score_texts(posteriors, choices).argmax())]
    of_number, of_text = score_texts(posteriors, [number, text])
    return number, float(of_number - of_text)


def _may_be_number(line: Line) -> bool:
    has_others = any(not c.isdigit() and c not in NUMBER_SIGNS for c in line.text)
    return is_short_cell(line) and has_others and len(line.characters) == len(line.text)


@dataclass(frozen=True)
class NumberCandidate:
    """A short cell that was not read as a number, in a column that has numbers."""

    index: int  # of the line on its page
    number: str  # what it holds if it is a number
    features: list[float]


def number_candidates(
    detector_confidences: Sequence[float], lines: Sequence[Line], recognize: Recognize
) -> list[NumberCandidate]:
    """The short cells of a page that may be numbers. detector_confidences: 0..1, one a line."""
    columns: dict[tuple[int, int], list[int]] = defaultdict(list)
    for k, line in enumerate(lines):
        if line.cell is not None and line.text:
            columns[line.cell.table, line.cell.column].append(k)
    numbered = [column for column in columns.values() if any(is_number(lines[k].text) for k in column)]
    chosen = [k for column in numbered for k in column if _may_be_number(lines[k])]
    posteriors = recognize(chosen) if chosen else []
    compared = {k: likeliest_number(p, lines[k].text) for k, p in zip(chosen, posteriors, strict=True)}
    return [
        NumberCandidate(k, compared[k][0], number_features(k, column, detector_confidences[k], lines, compared))
        for column in numbered
        for k in column
        if k in compared
    ]


def number_features(
    k: int, column: Sequence[int], detector_confidence: float, lines: Sequence[Line],
    compared: Mapping[int, tuple[str, float]],
) -> list[float]:  # fmt: skip
    """The features of line k of a page as a number that was read as something else.

    column: the lines of its column. compared: the likeliest number and its log-likelihood ratio of each line that may
    be a number.

    1 (the bias); the log-likelihood ratio of the number and the text that was read, and the log-odds of the number by
    this ratio and the visual confidence of the text; the log-odds of its legibility and of the detector's confidence;
    whether it is one character, whether it is of letters and whether of dashes; whether it is in the first row, where
    titles stand; of the other cells of its column, titles left out, the shares that are whole numbers, that are other
    numbers, that have the number as their text and that have the text itself; the log of one more than their number;
    and the mean visual confidence of the numbers among them. A cell that may be a number counts by the chance that its
    image and the sure cells of the column give it.
    """
    line, (number, nats) = lines[k], compared[k]
    assert line.cell is not None
    nats = min(max(nats, MIN_NATS), MAX_NATS)
    sure = [lines[n] for n in column if n not in compared and _is_below_titles(lines[n])]
    numbers = sum(is_number(other.text) for other in sure)
    prior = math.log((numbers + 0.5) / (len(sure) - numbers + 0.5))
    others = [(lines[n], *_as_number(lines[n].text, compared.get(n), prior)) for n in column if n != k]
    others = [row for row in others if _is_below_titles(row[0])]
    count = max(1, len(others))
    confidences = [other.visual_confidence for other, _, p in others if p == 1]
    return [
        1.0,
        nats,
        feature_log_odds(line.visual_confidence * math.exp(nats)),
        feature_log_odds(line.legibility),
        feature_log_odds(detector_confidence),
        float(len(line.text) == 1),
        *(float(kind_of(line.text) == name) for name in ("letters", "dash")),
        float(line.cell.row == 0),
        sum(p for _, text, p in others if text.isdigit()) / count,
        sum(p for _, text, p in others if not text.isdigit()) / count,
        sum(p for _, text, p in others if text == number) / count,
        sum(other.text == line.text for other, _, _ in others) / count,
        math.log(1 + len(others)),
        mean(confidences) if confidences else 0.0,
    ]


def _is_below_titles(line: Line) -> bool:
    """Whether a cell is no title: those stand in the first row and are no numbers."""
    return is_number(line.text) or (line.cell is not None and line.cell.row > 0)


def _as_number(text: str, compared: tuple[str, float] | None, prior: float) -> tuple[str, float]:
    """The number that a cell holds, and the chance 0..1 that it does.

    compared: of a text that is no number, its likeliest number and the log-likelihood ratio. prior: the log-odds of a
    number by the other cells.
    """
    if is_number(text):
        return text, 1.0
    return (compared[0], logistic(compared[1] + prior)) if compared else ("", 0.0)


def find_numbers(
    detector_confidences: Sequence[float], lines: Sequence[Line], recognize: Recognize
) -> dict[int, tuple[str, float]]:
    """The cells of a page that hold numbers though they were not read as such.

    detector_confidences: 0..1, one a line. Returns the index of each such line -> the number, the probability 0.5..1.
    """
    found = {}
    for candidate in number_candidates(detector_confidences, lines, recognize):
        probability = logistic(log_odds_of("number", candidate.features))
        if probability >= 0.5:
            found[candidate.index] = candidate.number, probability
    return found
