"""Generated texts with accents and signs."""

from __future__ import annotations

from glyphline.alphabet import ACCENTED_LETTERS, TYPOGRAPHIC_SIGNS, Alphabet
from glyphline.composing.generated_signs import generate_signs


def test_texts_are_in_the_latin_alphabet_and_cover_it() -> None:
    texts = list(generate_signs(20_000))
    latin = Alphabet.from_name("latin")
    assert not latin.unknown_characters("".join(texts))
    assert all(text == text.strip() and "\n" not in text and 1 <= len(text) < 120 for text in texts)
    seen = set("".join(texts))
    assert not set(ACCENTED_LETTERS + TYPOGRAPHIC_SIGNS + "\\@#&%$[]{}<>|~^_`\"'*") - seen


def test_text_depends_on_seed_and_number_only() -> None:
    assert list(generate_signs(50))[:20] == list(generate_signs(20))
    assert list(generate_signs(20, seed=1)) != list(generate_signs(20))
