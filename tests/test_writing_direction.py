"""Right-to-left text: visual and logical order."""

from __future__ import annotations

import random
import unicodedata

import pytest

from glyphline.writing_direction import (
    LTR,
    RTL,
    has_rtl_letters,
    logical_order,
    resolve_direction,
    to_visual,
    visual_order,
)


def to_logical(visual: str, direction: str) -> str:
    return "".join(placed.character for placed in logical_order(visual, direction))


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("שלום עולם", "םלוע םולש"),
        ("שנת 1948 (בערך)", "(ךרעב) 1948 תנש"),
        ("אני לומד Python 3 כבר", "רבכ Python 3 דמול ינא"),
        ("שווה 12.5% מ-₪100, כן?", "?ןכ ,₪100-מ 12.5% הווש"),
        ("سعر 5% فقط", "طقف %5 رعس"),
        ("الكتاب (٣٤)", "(٣٤) باتكلا"),
        ("Hello, (12)!", "Hello, (12)!"),
        ("שפת Python (CPython)!", "!Python (CPython) תפש"),
        ("(abc אב) [12]", "[12] (בא abc)"),
        ("1948.", ".1948"),
        ("1999 – 2003", "2003 – 1999"),
        ("1,250 ₪", "₪ 1,250"),
        ("50%", "50%"),
    ],
)
def test_lines_are_seen_as_unicode_says_and_turned_back(text: str, seen: str) -> None:
    assert to_visual(text, RTL) == seen
    assert to_logical(seen, RTL) == text


def test_order_is_that_of_the_compiled_algorithm() -> None:
    """python-bidi has the algorithm twice: compiled, without positions, and in the steps that are used here."""
    bidi = pytest.importorskip("bidi")
    rng = random.Random(1)
    words = ["שלום", "אב", "abc", "X", "12", "3.5", "5%", "(", ")", "[", "]", "-", "!", "عرب", "٣٤", ",", '"', "1-2"]
    for _ in range(400):
        text = rng.choice((" ", "")).join(rng.choice(words) for _ in range(rng.randint(1, 8)))
        if has_rtl_letters(text):
            for direction, base in ((RTL, "R"), (LTR, "L")):  # the compiled one mirrors no brackets
                order = [placed.index for placed in visual_order(text, direction)]
                assert "".join(text[index] for index in order) == bidi.get_display(text, base_dir=base), text


def test_left_to_right_line_keeps_the_order_of_its_words() -> None:
    assert to_visual("Say שלום twice", LTR) == "Say םולש twice"
    assert to_logical("Say םולש twice", LTR) == "Say שלום twice"


@pytest.mark.parametrize("text", ["abc كَتَبَ", "say שָׁ", "كَتَبَ abc"])
def test_marks_of_a_left_to_right_line_stay_on_their_letters(text: str) -> None:
    assert to_logical(to_visual(text, LTR), LTR) == text


@pytest.mark.parametrize("direction", [RTL, LTR])
def test_logical_text_of_any_line_looks_like_the_line(direction: str) -> None:
    rng = random.Random(0)
    words = ["שלום", "אב", "abc", "X", "12", "3.5", "5%", "(", ")", "-", "!", "عرب", "٣٤", ",", '"', "1-2", "שָׁ"]
    for _ in range(400):
        text = rng.choice((" ", "")).join(rng.choice(words) for _ in range(rng.randint(1, 7)))
        seen = to_visual(text, direction)
        order = logical_order(seen, direction)
        assert sorted(placed.index for placed in order) == list(range(len(seen)))
        for placed in order:  # the same character, or its mirror image
            shown = seen[placed.index]
            assert placed.character == shown or (unicodedata.mirrored(shown) and unicodedata.mirrored(placed.character))
        assert to_visual("".join(placed.character for placed in order), direction) == seen, text


def test_text_without_right_to_left_letters_is_not_changed() -> None:
    for text in ("", " ", "abc (12)", "Ωμέγα", "Дом 5", "٣٤", "…"):
        assert not has_rtl_letters(text) and to_visual(text, RTL) == text and to_logical(text, RTL) == text


def test_direction_is_that_of_the_alphabet_unless_given() -> None:
    assert [resolve_direction("auto", c) for c in (" abc", " אב", " سعر", " ะก")] == [LTR, RTL, RTL, LTR]
    assert resolve_direction(LTR, " אב") == LTR and resolve_direction(RTL, " abc") == RTL
