"""Generated texts: the same for a seed, of every kind, writable with the alphabet of notes and forms."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from glyphline.alphabet import Alphabet
from glyphline.composing.generated_text import GENERATED, generate
from glyphline.composing.sentences import GENERATED_COUNT, generated, split_sentences
from glyphline.errors import DataError


@pytest.mark.parametrize("kind", GENERATED.values(), ids=GENERATED)
def test_every_kind_writes_one_plain_line(kind: Callable[[random.Random], str]) -> None:
    texts = [kind(random.Random(k)) for k in range(300)]
    assert [kind(random.Random(k)) for k in range(300)] == texts
    assert len(set(texts)) > 20
    assert all(text == text.strip() != "" and text.isascii() and "\n" not in text and len(text) < 80 for text in texts)


def test_longer_runs_begin_as_shorter_ones() -> None:
    assert list(generate(200))[:50] == list(generate(50)) != list(generate(50, seed=1))


def test_characters_of_forms_are_all_there() -> None:
    written = set("".join(generate(4000)))
    assert set(Alphabet.named("full").characters) <= written
    assert set(".,:/-+@#$%&()=*") <= written


def test_the_spec_names_how_many() -> None:
    assert len(list(generated("70"))) == 70 and len(list(generated(""))) == GENERATED_COUNT
    with pytest.raises(DataError, match="generated:20000"):
        list(generated("many"))


def test_generated_texts_split_like_others() -> None:
    splits = split_sentences(("generated:3000",))
    assert min(len(texts) for texts in splits.values()) > 50
