"""generated_text: the texts are a function of the seed, are of every kind, and contain the characters of forms."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from glyphline.alphabet import Alphabet
from glyphline.composing.generated_text import GENERATORS, generate
from glyphline.composing.sentences import GENERATED_COUNT, read_generated, split_sentences
from glyphline.errors import DataError


@pytest.mark.parametrize("generate_text", GENERATORS.values(), ids=GENERATORS)
def test_generator_yields_varied_short_ascii_lines(generate_text: Callable[[random.Random], str]) -> None:
    texts = [generate_text(random.Random(seed)) for seed in range(300)]
    assert [generate_text(random.Random(seed)) for seed in range(300)] == texts
    assert len(set(texts)) > 20
    assert all(text == text.strip() != "" and text.isascii() and "\n" not in text and len(text) < 80 for text in texts)


def test_longer_series_begins_with_the_shorter_one() -> None:
    assert list(generate(200))[:50] == list(generate(50)) != list(generate(50, seed=1))


def test_texts_contain_all_characters_of_forms() -> None:
    characters = set("".join(generate(4000)))
    assert set(Alphabet.from_name("full").characters) <= characters
    assert set(".,:/-+@#$%&()=*") <= characters


def test_spec_sets_the_number_of_texts() -> None:
    assert len(list(read_generated("70"))) == 70 and len(list(read_generated(""))) == GENERATED_COUNT
    with pytest.raises(DataError, match="generated:20000"):
        list(read_generated("many"))


def test_generated_texts_are_split_like_other_sentences() -> None:
    splits = split_sentences(("generated:3000",))
    assert min(len(texts) for texts in splits.values()) > 50
