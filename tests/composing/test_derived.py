"""Accented letters and signs drawn from the glyphs of another source."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glyphline.alphabet import ACCENTED_LETTERS, TYPOGRAPHIC_SIGNS, Alphabet
from glyphline.composing.glyphs import SPLITS, Derived, Emnist, Strokes
from glyphline.composing.glyphs.derived import CHARACTERS, MARKS, SIGNS, decompose

STROKES = Derived(Strokes())


def test_strokes_have_every_character_of_the_latin_alphabet() -> None:
    characters = Alphabet.from_name("latin").characters.replace(" ", "")
    for split in SPLITS:
        assert not set(characters) - set(STROKES.characters(split))


@pytest.mark.parametrize("character", "éÀñüåçęøłÆœß€„…")
def test_derived_glyph_differs_from_its_base_and_between_writers(character: str) -> None:
    first, second = (
        STROKES.glyph(character, STROKES.choose(character, "train", writer, np.random.default_rng(0)), "train")
        for writer in (1, 2)
    )
    assert first.ink.shape != second.ink.shape or not np.array_equal(first.ink, second.ink)
    base = decompose(character)[0]
    if base:
        plain = Strokes().glyph(base[0], Strokes().choose(base[0], "train", 1, np.random.default_rng(0)), "train")
        assert plain.ink.shape != first.ink.shape or not np.array_equal(plain.ink, first.ink)


def test_marks_are_above_below_and_through_the_letter() -> None:
    def glyph(character: str) -> tuple[float, float]:
        index = STROKES.choose(character, "train", 5, np.random.default_rng(0))
        drawn = STROKES.glyph(character, index, "train")
        return drawn.top, drawn.bottom

    for accented, base in (("é", "e"), ("ñ", "n"), ("å", "a"), ("ż", "z")):
        assert glyph(accented)[0] > glyph(base)[0] + 0.15 and glyph(accented)[1] == pytest.approx(
            glyph(base)[1], abs=0.1
        )
    for accented, base in (("ç", "c"), ("ę", "e")):
        assert glyph(accented)[1] < glyph(base)[1] - 0.15


def test_accent_replaces_the_dot_of_i() -> None:
    for seed in range(5):
        index = STROKES.choose("í", "train", seed, np.random.default_rng(seed))
        count, *_ = cv2.connectedComponents((STROKES.glyph("í", index, "train").ink > 40).astype(np.uint8))
        assert count <= 3  # the background, the stem and one accent


def test_characters_of_the_other_source_are_unchanged() -> None:
    plain = Strokes()
    for character in "aQ7?":
        assert STROKES.count(character, "val") == plain.count(character, "val")
        assert np.array_equal(STROKES.glyph(character, 3, "val").ink, plain.glyph(character, 3, "val").ink)
    assert STROKES.digests("test") == plain.digests("test")


def test_source_without_a_base_letter_lacks_the_derived_letter(emnist_data: object) -> None:
    letters = Derived(Emnist("byclass"))
    assert letters.count("é", "train") == letters.count("e", "train") and letters.count("«", "train") == 0
    assert letters.count("–", "train") > 0  # of strokes alone


def test_two_letters_of_a_ligature_have_the_style_of_one_writer() -> None:
    index = STROKES.choose("œ", "train", 9, np.random.default_rng(0))
    second, first = divmod(index, Strokes().count("o", "train"))
    assert first // 64 == second // 64 == 9  # the writer of each letter


def test_derived_characters_are_the_marked_letters_and_the_signs() -> None:
    assert set(ACCENTED_LETTERS) - {"ß"} <= set(CHARACTERS) and set(TYPOGRAPHIC_SIGNS) <= set(CHARACTERS)
    assert set(SIGNS) <= set(CHARACTERS) and all(decompose(c)[1] in ("", *MARKS) for c in CHARACTERS)
