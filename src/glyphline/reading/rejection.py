"""Rejection: drop what is not text, and reject lines that are unreliable.

Two decisions. A region that is background (leaves, tiles, clouds) is dropped without a trace. A line of text that would
be guessed at is kept as a rejected line without text: it is reported, not printed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from glyphline.page import Line
from glyphline.reading.thresholds import THRESHOLDS, ScoreLimits

MIN_LEGIBILITY = 0.5  # the fitted limit, see glyphline.reading.recognition.legibility
#: reasons of rejection
UNKNOWN_WRITING = "writing this reader does not know"
UNRELIABLE = "too many characters are uncertain"
NOT_TEXT = "probably not text"
#: the min_confidence of `reject_unreliable` that rejects every line with characters
REJECT_ALL = math.inf


def letter_count(line: Line) -> int:
    """The number of characters in the words of a line, spaces not counted."""
    return sum(len(word.text) for word in line.words)


def expected_letters(lines: Sequence[Line]) -> float:
    """The expected number of letters in correct words: word confidence x word length, summed."""
    return sum(word.confidence * len(word.text) for line in lines for word in line.words)


def confident_letters(lines: Sequence[Line]) -> float:
    """The expected number of letters in correct words, each line weighted by its visual confidence.

    Upside-down text reads as pseudo-words with a low confidence. Words that a language model made of noise have a low
    visual confidence.
    """
    return sum(line.visual_confidence * word.confidence * len(word.text) for line in lines for word in line.words)


def text_mask(
    detector_confidences: Sequence[float], lines: Sequence[Line], is_small: bool, is_rotated: bool
) -> list[bool]:
    """Which lines of a page are text; the others are background that the detector took for text.

    The score of a line is detector confidence x visual confidence: both are low on background. A line needs a higher
    score the fewer letters it has. A page has context where one of its lines has more than `context_letters` letters
    and a score of at least `context_score`. The lowest score of text is `score_with_context` on a page with context,
    `score_in_small_image` where is_small and not is_rotated, and else `score_alone`. Without context, a line of
    `context_letters` or fewer also needs a confidence of `few_letters_confidence`, and is never text where is_rotated.
    Lines with a detector confidence of 1 always count as text: no detector looked for text there.
    detector_confidences: 0..1, one a line. is_small: the image is small or one line, so it may be a cropped word.
    is_rotated: the page was rotated to be read. The rotation that looks most like text was chosen, so one or two
    letters are no evidence of text.
    """
    letters = [letter_count(line) for line in lines]
    scores = [c * line.visual_confidence for c, line in zip(detector_confidences, lines, strict=True)]
    few = THRESHOLDS.context_letters
    has_context = any(n > few and score >= THRESHOLDS.context_score for n, score in zip(letters, scores, strict=True))
    if has_context:
        limits = THRESHOLDS.score_with_context
    elif is_small and not is_rotated:
        limits = THRESHOLDS.score_in_small_image
    else:
        limits = THRESHOLDS.score_alone

    def is_text(detector_confidence: float, n: int, score: float, line: Line) -> bool:
        if detector_confidence == 1:
            return True
        is_supported = has_context or n > few
        is_likely = line.confidence >= THRESHOLDS.few_letters_confidence and not is_rotated
        return score >= _min_score(limits, n) and (is_supported or is_likely)

    return [is_text(*row) for row in zip(detector_confidences, letters, scores, lines, strict=True)]


def _min_score(limits: ScoreLimits, letters: int) -> float:
    return next(min_score for max_letters, min_score in limits if letters <= max_letters)


def is_background(lines: Sequence[Line]) -> bool:
    """Whether a page of ink holds no text.

    Fewer than `background_letters` letters are expected to be in correct words, and no line has a confidence of
    `background_confidence`. For the ink detector, which takes any dark detail for text.
    """
    best = max((line.confidence for line in lines if line.text), default=0.0)
    return expected_letters(lines) < THRESHOLDS.background_letters and best < THRESHOLDS.background_confidence


def reject_unreliable(line: Line, min_confidence: float) -> Line:
    """The line, or a rejected line without text and with the reason.

    A line is rejected if its recognizers cannot read it (`legibility` below MIN_LEGIBILITY), or if its characters have
    a mean confidence below `min_confidence`. A line without characters is never rejected. min_confidence: 0..1; 0 keeps
    every line, REJECT_ALL rejects every line.
    """
    if not line.characters:
        return line
    if min_confidence == REJECT_ALL:
        reason = NOT_TEXT
    elif min_confidence > 0 and line.legibility < MIN_LEGIBILITY:
        reason = UNKNOWN_WRITING
    elif sum(character.confidence for character in line.characters) < min_confidence * len(line.characters):
        reason = UNRELIABLE
    else:
        return line
    return replace(line, text="", characters=(), words=(), rejected=True, reason=reason)
