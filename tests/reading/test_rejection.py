"""Rejection: unreadable and unreliable lines lose their text and get a reason; background is told from text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glyphline.page import Character, Line
from glyphline.reading.recognition.reliability import NOT_TEXT, TOO_BLURRED, UNKNOWN_WRITING
from glyphline.reading.rejection import (
    MIN_TEXT_PROBABILITY,
    TEXT_FEATURE_COUNT,
    UNRELIABLE,
    is_unreadable_text,
    reject,
    reject_unreliable,
    reject_unreliable_lines,
    text_features,
    text_probabilities,
)


def make_line(text: str = "ab", legible: float = 0.9, confidence: float = 0.9, visual: float = 0.9) -> Line:
    characters = tuple(Character(c, confidence, 0, 1) for c in text)
    return Line(text, 0.5, (), "a", characters, visual_confidence=visual, legibility=legible)


def test_rejected_line_has_a_reason() -> None:
    assert reject_unreliable(make_line(), 0.7).rejected is False
    assert reject_unreliable(make_line(confidence=0.6), 0.7).reason == UNRELIABLE
    unknown = reject_unreliable(make_line(legible=0.2), 0.7)
    assert (unknown.text, unknown.rejected, unknown.reason) == ("", True, UNKNOWN_WRITING)
    assert reject_unreliable(replace(make_line(legible=0.2), obstacle=TOO_BLURRED), 0.7).reason == TOO_BLURRED
    assert reject_unreliable(make_line(legible=0.2, confidence=0.1), 0.0).text == "ab"  # 0 keeps every line
    assert reject_unreliable(Line("", 1.0, (), "a", legibility=0.0), 0.7).rejected is False
    assert (reject(make_line()).reason, reject(make_line()).words) == (NOT_TEXT, ())


def test_unreadable_text_is_told_from_background() -> None:
    unreadable = replace(make_line(legible=0.2), obstacle=UNKNOWN_WRITING)
    assert is_unreadable_text(unreadable) and is_unreadable_text(replace(unreadable, obstacle=TOO_BLURRED))
    assert not is_unreadable_text(replace(unreadable, obstacle=NOT_TEXT)) and not is_unreadable_text(make_line())
    assert not is_unreadable_text(make_line(legible=0.2))  # nothing is known of it


def test_lines_of_a_page_are_judged_beside_each_other() -> None:
    lines = [make_line(), make_line(legible=0.2)]
    assert [line.rejected for line in reject_unreliable_lines(lines, 0.7)] == [False, True]
    assert reject_unreliable_lines(lines, 0.0) == lines and reject_unreliable_lines([], 0.7) == []


def test_text_features_are_finite_and_know_the_page() -> None:
    lines = [make_line("a"), make_line("bread and milk"), make_line("")]
    rows = text_features([0.8, None, 0.0], lines, is_small=True, is_rotated=False)
    assert np.isfinite(rows).all() and {len(row) for row in rows} == {TEXT_FEATURE_COUNT}
    assert rows[0][10] > 0.7 and rows[1][10] == 0  # only the long line is context, and not for itself
    assert [row[4] for row in rows] == [0, 1, 0] and rows[0][11] == 1
    assert text_features([0.8], lines[:1], is_small=True, is_rotated=True)[0][11:] == [0, 1]
    assert text_probabilities([], [], is_small=False, is_rotated=False) == []


@pytest.mark.parametrize("text", ["E", "BREAD", "bread and milk"])
def test_clear_text_is_told_from_background(text: str) -> None:
    clear, unclear = make_line(text, 0.98, 0.95, 0.95), make_line(text, 0.05, 0.3, 0.3)
    (high,), (low,) = (
        text_probabilities([confidence], [line], is_small=False, is_rotated=False)
        for confidence, line in ((0.9, clear), (0.55, unclear))
    )
    assert low < high
    # a longer line that cannot be read is kept, and rejected for that
    assert low < MIN_TEXT_PROBABILITY or len(text) > 1
    assert len(text) == 1 or high > MIN_TEXT_PROBABILITY
    assert text_probabilities([1.0], [unclear], is_small=False, is_rotated=False) == [1.0]  # no detector looked


def test_context_makes_a_line_likelier() -> None:
    letter, other = make_line("7", 0.9, 0.9, 0.8), make_line("bread and milk", 0.98, 0.95, 0.95)
    (alone,) = text_probabilities([0.7], [letter], is_small=False, is_rotated=False)
    beside, _ = text_probabilities([0.7, 0.9], [letter, other], is_small=False, is_rotated=False)
    assert beside > alone
