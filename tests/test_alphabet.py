"""Alphabets: ids and characters are one to one, CTC paths collapse to what they say, folds settle at once."""

from __future__ import annotations

import itertools
import random
import string

import pytest

from glyphline.alphabet import (
    ALPHABETS,
    BLANK,
    LETTERS,
    MERGED_LETTERS,
    Alphabet,
    collapse,
    fold_merged,
    fold_plain,
    steps_needed,
)
from glyphline.errors import AlphabetError

NAMES = sorted(ALPHABETS)


def some_text(characters: str, seed: int, most: int = 20) -> str:
    rng = random.Random(seed)
    return "".join(rng.choices(characters, k=rng.randrange(most + 1)))


# ---------------------------------------------------------------------- characters and ids


@pytest.mark.parametrize("name", NAMES)
def test_encoding_and_decoding_are_inverse(name: str) -> None:
    alphabet = Alphabet.named(name)
    for seed in range(50):
        text = some_text(alphabet.characters, seed)
        ids = alphabet.encode(text)
        assert ids.shape == (len(text),) and ids.dtype == "int64"
        assert alphabet.decode(ids) == text


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_one_to_one_and_never_the_blank(name: str) -> None:
    alphabet = Alphabet.named(name)
    ids = alphabet.encode(alphabet.characters).tolist()
    assert BLANK not in ids
    assert sorted([BLANK, *ids]) == list(range(len(alphabet)))  # a class for each, none to spare


@pytest.mark.parametrize("name", NAMES)
def test_named_alphabets_hold_the_space(name: str) -> None:
    assert " " in Alphabet.named(name)


def test_the_sizes_of_emnist() -> None:
    assert len(ALPHABETS["merged"]) == 47 + 1 and len(ALPHABETS["full"]) == 62 + 1  # and the space
    assert set(ALPHABETS["merged"]) == set(ALPHABETS["full"]) - set(MERGED_LETTERS)


def test_an_alphabet_of_ones_own() -> None:
    hebrew = Alphabet.named(" אבגד")
    assert hebrew.decode(hebrew.encode("דג בא")) == "דג בא"
    assert Alphabet.named("ab") == Alphabet("ab") != Alphabet("ba")


def test_every_character_without_an_id_is_named() -> None:
    with pytest.raises(AlphabetError) as caught:
        Alphabet("ab ").encode("a é b ß é")
    message = str(caught.value)
    assert "'é', 'ß'" in message and message.count("'é'") == 1
    assert all(name in message for name in NAMES)  # the choices
    assert Alphabet("ab ").unknown("a é b ß é") == ["é", "ß"]


@pytest.mark.parametrize("characters", ["", "aa", "abca"])
def test_alphabets_that_are_none(characters: str) -> None:
    with pytest.raises(AlphabetError, match="exactly once"):
        Alphabet(characters)


@pytest.mark.parametrize("name", ["mergde", "merrged", "englissh", "digits2", "englsh", "asci", "ful"])
def test_a_mistyped_name_is_no_alphabet_of_its_letters(name: str) -> None:
    with pytest.raises(AlphabetError, match="did you mean"):
        Alphabet.named(name)


@pytest.mark.parametrize("characters", ["abc", "0123456789", " aeiou", "abcdefghijklmnopqrstuvwxyz", "日本"])
def test_characters_are_taken_for_characters(characters: str) -> None:
    assert Alphabet.named(characters) == Alphabet(characters)


# ---------------------------------------------------------------------- CTC


def a_path_of(ids: list[int], rng: random.Random) -> list[int]:
    """Any path that says the ids: each repeated, blanks in between, at least one between equal neighbours."""
    path = [BLANK] * rng.randrange(3)
    for k, one in enumerate(ids):
        path += [one] * rng.randrange(1, 4)
        needed = k + 1 < len(ids) and ids[k + 1] == one
        path += [BLANK] * rng.randrange(needed, 3)
    return path


@pytest.mark.parametrize("seed", range(40))
def test_every_path_of_a_text_collapses_to_it(seed: int) -> None:
    rng = random.Random(seed)
    ids = [rng.randrange(1, 4) for _ in range(rng.randrange(9))]
    path = a_path_of(ids, rng)
    assert collapse(path) == ids
    assert len(path) >= steps_needed(ids)


def test_collapse_drops_blanks_and_never_lengthens() -> None:
    for path in itertools.product(range(3), repeat=6):
        said = collapse(path)
        assert BLANK not in said and len(said) <= len(path)
        assert steps_needed(said) <= len(path)
        assert collapse([step for step in path for _ in (0, 1)]) == said  # slower writing says the same


@pytest.mark.parametrize("ids", [[], [1], [1, 1], [1, 2], [1, 1, 1], [1, 2, 2], [2, 1, 2]])
def test_steps_needed_is_the_shortest_path(ids: list[int]) -> None:
    said = (steps for steps in range(7) for path in itertools.product(range(3), repeat=steps) if collapse(path) == ids)
    assert next(said) == steps_needed(ids)


# ---------------------------------------------------------------------- folds


def test_merging_keeps_what_merged_emnist_can_say() -> None:
    merged = Alphabet.named("merged")
    assert not merged.unknown(fold_merged(LETTERS))
    assert set(fold_merged(LETTERS)) == {c for c in merged.characters if c.isalpha()}
    assert fold_merged(fold_merged(LETTERS)) == fold_merged(LETTERS)
    assert fold_merged(LETTERS).lower() == LETTERS.lower()


def test_only_the_merged_alphabet_merges() -> None:
    assert [name for name in NAMES if Alphabet.named(name).merges] == ["merged"]


def test_capitals_alone_are_no_merged_alphabet() -> None:
    assert not Alphabet(" " + string.ascii_uppercase).merges


def test_plain_text_stays() -> None:
    for character in set(map(chr, range(32, 127))) - {"`"}:
        assert fold_plain(character) == character


@pytest.mark.parametrize(
    ("fancy", "plain"),
    [("“a” ‘b’", "\"a\" 'b'"), ("1–2—3", "1-2-3"), ("naïve Žižek", "naive Zizek"), ("ﬁn…", "fin..."),
     ("a\u00a0b\tc", "a b c"), ("Łódź straße Ærø", "Lodz strasse Aero"), ("2 × 3", "2 x 3")],
)  # fmt: skip
def test_typography_becomes_what_people_type(fancy: str, plain: str) -> None:
    assert fold_plain(fancy) == plain


def test_folding_settles_at_once() -> None:
    for character in map(chr, [*range(32, 0x250), *range(0x1E00, 0x2200)]):
        once = fold_plain(character)
        assert fold_plain(once) == once, hex(ord(character))
    assert fold_plain("½ ǽ") == "1/2 ae"
