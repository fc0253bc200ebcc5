"""Alphabets: ids and characters map one to one, CTC paths collapse to their ids, folds are idempotent."""

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
    min_ctc_steps,
)
from glyphline.errors import AlphabetError

NAMES = sorted(ALPHABETS)


def random_text(characters: str, seed: int, max_length: int = 20) -> str:
    rng = random.Random(seed)
    return "".join(rng.choices(characters, k=rng.randrange(max_length + 1)))


# ---------------------------------------------------------------------- characters and ids


@pytest.mark.parametrize("name", NAMES)
def test_encoding_and_decoding_are_inverse(name: str) -> None:
    alphabet = Alphabet.from_name(name)
    for seed in range(50):
        text = random_text(alphabet.characters, seed)
        ids = alphabet.encode(text)
        assert ids.shape == (len(text),) and ids.dtype == "int64"
        assert alphabet.decode(ids) == text


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_one_to_one_and_never_the_blank(name: str) -> None:
    alphabet = Alphabet.from_name(name)
    ids = alphabet.encode(alphabet.characters).tolist()
    assert BLANK not in ids
    assert sorted([BLANK, *ids]) == list(range(len(alphabet)))  # as many classes as characters and the blank


@pytest.mark.parametrize("name", NAMES)
def test_named_alphabets_contain_the_space(name: str) -> None:
    assert " " in Alphabet.from_name(name)


def test_emnist_alphabets_have_47_and_62_classes_and_the_space() -> None:
    assert len(ALPHABETS["merged"]) == 47 + 1 and len(ALPHABETS["full"]) == 62 + 1
    assert set(ALPHABETS["merged"]) == set(ALPHABETS["full"]) - set(MERGED_LETTERS)


def test_alphabet_of_custom_characters() -> None:
    hebrew = Alphabet.from_name(" אבגד")
    assert hebrew.decode(hebrew.encode("דג בא")) == "דג בא"
    assert Alphabet.from_name("ab") == Alphabet("ab") != Alphabet("ba")


def test_encoding_error_lists_every_unknown_character() -> None:
    with pytest.raises(AlphabetError) as caught:
        Alphabet("ab ").encode("a é b ß é")
    message = str(caught.value)
    assert "'é', 'ß'" in message and message.count("'é'") == 1
    assert all(name in message for name in NAMES)  # the choices
    assert Alphabet("ab ").unknown_characters("a é b ß é") == ["é", "ß"]


@pytest.mark.parametrize("characters", ["", "aa", "abca"])
def test_empty_alphabet_and_duplicate_characters_are_refused(characters: str) -> None:
    with pytest.raises(AlphabetError, match="exactly once"):
        Alphabet(characters)


@pytest.mark.parametrize("name", ["mergde", "merrged", "englissh", "digits2", "englsh", "asci", "ful"])
def test_mistyped_name_is_refused_with_a_suggestion(name: str) -> None:
    with pytest.raises(AlphabetError, match="did you mean"):
        Alphabet.from_name(name)


@pytest.mark.parametrize("name", ["thai", "lao", "runic", "greek", "Hebrew", "cyrillic", "ARABIC", "devanagari", "cjk"])
def test_name_of_a_script_is_refused_and_asks_for_its_characters(name: str) -> None:
    with pytest.raises(AlphabetError, match=f'"{name}" names a script, .*: give its characters themselves'):
        Alphabet.from_name(name)
    letters = " " + "".join(dict.fromkeys(name))
    assert Alphabet.from_name(letters).characters == letters  # with a space, the letters of the word are meant


def test_name_of_an_alphabet_in_capitals_is_a_misspelt_name_and_no_script() -> None:
    with pytest.raises(AlphabetError, match='did you mean "latin"'):
        Alphabet.from_name("Latin")


@pytest.mark.parametrize("characters", ["abc", "the", "0123456789", " aeiou", "abcdefghijklmnopqrstuvwxyz", "日本"])
def test_other_strings_are_lists_of_characters(characters: str) -> None:
    assert Alphabet.from_name(characters) == Alphabet(characters)


# ---------------------------------------------------------------------- CTC


def random_path(ids: list[int], rng: random.Random) -> list[int]:
    """A random CTC path for the ids, with repeats and blanks, and at least one blank between equal neighbours."""
    path = [BLANK] * rng.randrange(3)
    for i, label in enumerate(ids):
        path += [label] * rng.randrange(1, 4)
        min_blanks = i + 1 < len(ids) and ids[i + 1] == label
        path += [BLANK] * rng.randrange(min_blanks, 3)
    return path


@pytest.mark.parametrize("seed", range(40))
def test_paths_collapse_to_their_ids(seed: int) -> None:
    rng = random.Random(seed)
    ids = [rng.randrange(1, 4) for _ in range(rng.randrange(9))]
    path = random_path(ids, rng)
    assert collapse(path) == ids
    assert len(path) >= min_ctc_steps(ids)


def test_collapse_drops_blanks_and_ignores_the_speed_of_a_path() -> None:
    for path in itertools.product(range(3), repeat=6):
        ids = collapse(path)
        assert BLANK not in ids and len(ids) <= len(path)
        assert min_ctc_steps(ids) <= len(path)
        assert collapse([step for step in path for _ in (0, 1)]) == ids  # at half the speed


@pytest.mark.parametrize("ids", [[], [1], [1, 1], [1, 2], [1, 1, 1], [1, 2, 2], [2, 1, 2]])
def test_min_ctc_steps_is_the_length_of_the_shortest_path(ids: list[int]) -> None:
    lengths = (
        steps for steps in range(7) for path in itertools.product(range(3), repeat=steps) if collapse(path) == ids
    )
    assert next(lengths) == min_ctc_steps(ids)


# ---------------------------------------------------------------------- folds


def test_merged_letters_are_in_the_merged_alphabet() -> None:
    merged = Alphabet.from_name("merged")
    assert not merged.unknown_characters(fold_merged(LETTERS))
    assert set(fold_merged(LETTERS)) == {c for c in merged.characters if c.isalpha()}
    assert fold_merged(fold_merged(LETTERS)) == fold_merged(LETTERS)
    assert fold_merged(LETTERS).lower() == LETTERS.lower()


def test_only_the_merged_alphabet_is_merged() -> None:
    assert [name for name in NAMES if Alphabet.from_name(name).is_merged] == ["merged"]


def test_alphabet_of_capitals_is_not_merged() -> None:
    assert not Alphabet(" " + string.ascii_uppercase).is_merged


def test_fold_plain_keeps_plain_characters() -> None:
    for character in set(map(chr, range(32, 127))) - {"`"}:
        assert fold_plain(character) == character


@pytest.mark.parametrize(
    ("typographic", "plain"),
    [("“a” ‘b’", "\"a\" 'b'"), ("1–2—3", "1-2-3"), ("naïve Žižek", "naive Zizek"), ("ﬁn…", "fin..."),
     ("a\u00a0b\tc", "a b c"), ("Łódź straße Ærø", "Lodz strasse Aero"), ("2 × 3", "2 x 3")],
)  # fmt: skip
def test_fold_plain_replaces_typographic_characters(typographic: str, plain: str) -> None:
    assert fold_plain(typographic) == plain


def test_fold_plain_is_idempotent() -> None:
    for character in map(chr, [*range(32, 0x250), *range(0x1E00, 0x2200)]):
        folded = fold_plain(character)
        assert fold_plain(folded) == folded, hex(ord(character))
    assert fold_plain("½ ǽ") == "1/2 ae"
