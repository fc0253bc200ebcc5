"""Rejection: drop what is not text, and reject lines that are unreliable.

Two decisions. A region that is background (leaves, tiles, clouds) is dropped without a trace: `text_probabilities`. A
line of text that would be guessed at is kept as a rejected line without text: it is reported, not printed. Both follow
the fitted models of `glyphline.reading.recognition.reliability`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from glyphline.page import Line
from glyphline.reading.recognition.calibration import feature_log_odds, regression_probability
from glyphline.reading.recognition.reliability import (
    MIN_LEGIBILITY,
    NOT_TEXT,
    UNKNOWN_WRITING,
    Reliability,
    expected_share,
    fitted_text_weights,
)

MIN_TEXT_PROBABILITY = 0.5  # the fitted limit: its bias is such that hardly any background of the fit is printed
#: a reason of rejection, beside the obstacles of `reliability`
UNRELIABLE = "too many characters are uncertain"
_CONTEXT_LETTERS = 3  # letters that a line has at least to be context for others
TEXT_FEATURE_COUNT = 13


def letter_count(line: Line) -> int:
    """The number of characters in the words of a line, spaces not counted."""
    return sum(len(word.text) for word in line.words)


def text_features(
    detector_confidences: Sequence[float | None], lines: Sequence[Line], is_small: bool, is_rotated: bool
) -> list[list[float]]:
    """The TEXT_FEATURE_COUNT features of each line of a page by which text is told from background.

    1 (the bias); the log-odds of its legibility, of its visual confidence and of the detector's confidence (0 for
    None), and whether that is None; the log of its number of letters, and whether this is 1 or 2; the mean confidence
    of its words by letters; the share of letters and digits among its characters; the context: of the other lines with
    at least _CONTEXT_LETTERS letters the greatest product of legibility, visual confidence and detector confidence;
    whether the image is small and was not rotated; whether it was rotated.

    detector_confidences: 0..1, one a line; None where the detector has none, as `InkDetector`. is_small: the image is
    small or one line, so it may be a cropped word. is_rotated: the page was rotated to be read. The rotation that looks
    most like text was chosen, so one or two letters are little evidence.
    """
    letters = [letter_count(line) for line in lines]
    scores = [
        line.legibility * line.visual_confidence * (1.0 if confidence is None else confidence) * (n >= _CONTEXT_LETTERS)
        for confidence, line, n in zip(detector_confidences, lines, letters, strict=True)
    ]
    strongest = sorted(range(len(lines)), key=lambda k: -scores[k])[:2]
    rows = []
    for k, (confidence, line, n) in enumerate(zip(detector_confidences, lines, letters, strict=True)):
        characters = [c for word in line.words for c in word.text]
        rows.append(
            [
                1.0,
                feature_log_odds(line.legibility),
                feature_log_odds(line.visual_confidence),
                0.0 if confidence is None else feature_log_odds(confidence),
                float(confidence is None),
                math.log(1 + n),
                float(n == 1),
                float(n == 2),
                expected_share(line.words),
                sum(c.isalnum() for c in characters) / max(1, n),
                next((scores[i] for i in strongest if i != k), 0.0),
                float(is_small and not is_rotated),
                float(is_rotated),
            ]
        )
    return rows


def text_probabilities(
    detector_confidences: Sequence[float | None], lines: Sequence[Line], is_small: bool, is_rotated: bool
) -> list[float]:
    """The probability 0..1 of each line of a page that it is text, not background that the detector took for text.

    The arguments of `text_features`. It is 1 for a detector confidence of 1: no detector looked for text there.
    """
    weights = fitted_text_weights()
    rows = text_features(detector_confidences, lines, is_small, is_rotated)
    return [
        1.0 if confidence == 1 or weights is None else regression_probability(weights, row)
        for confidence, row in zip(detector_confidences, rows, strict=True)
    ]


def is_unreadable_text(line: Line) -> bool:
    """Whether a line is probably text that its recognizer cannot read: it is reported, not dropped as background."""
    return line.legibility < MIN_LEGIBILITY and line.obstacle not in (None, NOT_TEXT)


def reject_unreliable_lines(lines: Sequence[Line], min_confidence: float) -> list[Line]:
    """The lines of a page, each judged beside the others and then by `reject_unreliable`, in the same order.

    min_confidence: 0..1; 0 keeps every line.
    """
    judged = Reliability(lines[0].recognizer).page_look(lines) if lines and min_confidence > 0 else lines
    return [reject_unreliable(line, min_confidence) for line in judged]


def reject_unreliable(line: Line, min_confidence: float) -> Line:
    """The line, or a rejected line without text and with the reason.

    A line is rejected if its recognizers cannot read it (`legibility` below MIN_LEGIBILITY), or if its characters have
    a mean confidence below `min_confidence`. A line without characters is never rejected. min_confidence: 0..1; 0 keeps
    every line.
    """
    if not line.characters:
        return line
    if min_confidence > 0 and line.legibility < MIN_LEGIBILITY:
        reason = line.obstacle or UNKNOWN_WRITING
    elif sum(character.confidence for character in line.characters) < min_confidence * len(line.characters):
        reason = UNRELIABLE
    else:
        return line
    return reject(line, reason)


def reject(line: Line, reason: str = NOT_TEXT) -> Line:
    """The rejected line, without text. reason: for people."""
    return replace(line, text="", characters=(), words=(), rejected=True, reason=reason)
