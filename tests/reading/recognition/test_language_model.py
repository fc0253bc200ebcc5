"""The language model: normalized probabilities, the hash table, the file, the bundled models."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest

from glyphline.alphabet import LETTERS, Alphabet, fold_merged
from glyphline.errors import DataError, UserError
from glyphline.reading.recognition import language_model as language_model_module
from glyphline.reading.recognition.language_model import (
    INFO_FILE,
    QUANTIZATION_STEP,
    START,
    TABLE_FILE,
    UNKNOWN_LOG_PROB,
    VALUE_BITS,
    LanguageModel,
    TextScorer,
    _hash,
    bundled_language_models,
    estimate,
    language_model_for,
    load_language_model,
    open_language_model,
)

TEXTS = ["the cat sat on the mat", "the hat is on the cat", "a rat in a hat", "Call 555 at 10:30 or 12:45."] * 30


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return estimate(TEXTS, order=4, cells=2**12)


def test_probabilities_of_next_characters_sum_to_one(model: LanguageModel) -> None:
    """Up to the quantization; each of the ten digits counts."""
    for context in ("", " ", "th", " the c", "x", "at", "Call 5"):
        characters = [c for c in model.symbols if c != "0"] + list("0123456789")
        total = sum(math.exp(model(context, c)) for c in characters)
        assert math.exp(-QUANTIZATION_STEP) < total < math.exp(QUANTIZATION_STEP) + 0.15, context


def test_frequent_ngrams_are_likelier(model: LanguageModel) -> None:
    assert model(" t", "h") > model(" t", "m") >= UNKNOWN_LOG_PROB
    assert model("the ", "c") > model("the ", "s")
    assert model.negative_log_likelihood("the cat") < model.negative_log_likelihood("eht tac")


def test_beginning_of_a_line_differs_from_beginning_of_a_word(model: LanguageModel) -> None:
    """In TEXTS capitals occur only at the beginning of a line. START itself is never a next character."""
    assert model(START, "C") > model(" ", "C")
    assert model(START, "m") < model(" ", "m")
    assert model("t", START) == UNKNOWN_LOG_PROB


def test_probability_equals_the_witten_bell_formula() -> None:
    """After b the texts have a (30 times) and c (10 times): P(a|b) = (30 + 2 P(a)) / 42."""
    model = estimate(["ba"] * 30 + ["bc"] * 10, order=2, cells=2**8)
    counts = {" ": 40, "a": 30, "b": 40, "c": 10}
    unigram = (counts["a"] + 0.5) / (sum(counts.values()) + 0.5 * 4)
    assert abs(model("b", "a") - math.log((30 + 2 * unigram) / 42)) <= QUANTIZATION_STEP / 2 + 1e-9


def test_digits_are_equally_likely(model: LanguageModel) -> None:
    assert model("at ", "1") == model("at ", "7")
    assert model("5", "5") == model("3", "9")


def test_digits_of_other_scripts_are_characters_of_their_own() -> None:
    """They are not a tenth of one symbol, as the ten ASCII digits are."""
    texts = ["٢٠", "٢١ سنة", "٢٠ سنة"] * 20
    probabilities = estimate(texts, order=3, cells=2**10).log_probs("٢٠")
    assert probabilities[0] > math.log(0.5)
    assert estimate(texts, order=3, cells=2**10).negative_log_likelihood("٢٠") == pytest.approx(-sum(probabilities))


def test_unknown_character_is_unlikely_and_ends_the_context(model: LanguageModel) -> None:
    assert model("th", "é") == UNKNOWN_LOG_PROB
    assert model("té", "h") == model("é", "h") == model("", "h")


def test_context_is_limited_to_the_order(model: LanguageModel) -> None:
    assert model("what is the ca", "t") == model("e ca", "t")


def test_smaller_table_is_worse_but_better_than_unigrams() -> None:
    large, small = (estimate(TEXTS, order=4, cells=cells) for cells in (2**12, 2**7))
    unigrams = estimate(TEXTS, order=1, cells=2**7)
    assert np.count_nonzero(small.table) <= 2**7 < np.count_nonzero(large.table)
    large_nll, small_nll, unigram_nll = (
        model.negative_log_likelihood("the rat sat on a hat") for model in (large, small, unigrams)
    )
    assert large_nll < small_nll < unigram_nll


def test_scalar_and_array_hash_are_equal(model: LanguageModel) -> None:
    keys = np.random.default_rng(0).integers(1, 2**62, 200).astype(np.uint64)
    positions, fingerprints = _hash(keys, model.bits)
    for key, position, fingerprint in zip(keys.tolist(), positions.tolist(), fingerprints.tolist(), strict=True):
        table = np.zeros_like(model.table)
        table[position] = fingerprint << VALUE_BITS | 5
        assert LanguageModel(model.symbols, model.order, table).find_value(key) == 5


@pytest.mark.parametrize("text", ["", "x", "the cat", "Call 12 at é10:3é0 中文", f"a{START}b", "zzz éé the", "٣ 3"])
def test_whole_text_has_the_log_probs_of_its_characters(model: LanguageModel, text: str) -> None:
    """Of models of any order and size of table, alone and together."""
    models = [
        model,
        *(estimate(TEXTS, order=order, cells=cells) for order, cells in ((1, 2**6), (2, 2**8), (6, 2**13), (8, 2**4))),
        estimate(["żółw 12 ٣"], order=5, cells=2**6, load_factor=0.9),
    ]
    expected = [[m(START + text[:k], c) for k, c in enumerate(text)] for m in models]
    assert [m.log_probs(text) for m in models] == expected
    together = TextScorer(models)(text)
    assert together.shape == (len(models), len(text)) and together.tolist() == expected
    assert [TextScorer([m])(text)[0].tolist() for m in models] == expected


def test_search_goes_on_at_the_beginning_of_the_table() -> None:
    """In the smallest and fullest tables a search returns to the beginning, and may find no empty cell."""
    rng = np.random.default_rng(1)
    for cells in (2, 8, 128):
        table = rng.integers(1, 2**16, cells).astype(np.uint16)
        model = LanguageModel("abcd" + START, 4, table)
        text = "".join(rng.choice([*"abcd"], 40))
        assert TextScorer([model])(text)[0].tolist() == model.log_probs(text)


def test_cache_is_bounded_and_changes_no_value(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["the cat sat", "a rat in the hat", "Call 10", "中文 é", "xyz"] * 2
    expected = [model.log_probs(text) for text in texts]
    monkeypatch.setattr(language_model_module, "MAX_CACHED_ENTRIES", 30)
    small = LanguageModel(model.symbols, model.order, model.table)
    for text, log_probs in zip(texts, expected, strict=True):
        assert small.log_probs(text) == log_probs
        entries = len(small._cache) + sum({id(after): len(after) for after in small._cache.values()}.values())
        assert entries <= small.cached_entries <= 30 + 2 * model.order  # the contexts and values of one look-up


def test_saved_model_is_loaded_unchanged(model: LanguageModel, tmp_path: Path) -> None:
    for name in ("a.lm", "b.lm"):
        model.save(tmp_path / name)
    loaded = load_language_model(tmp_path / "a.lm")
    assert np.array_equal(loaded.table, model.table)
    assert (tmp_path / "a.lm").read_bytes() == (tmp_path / "b.lm").read_bytes()
    assert [loaded("th", c) for c in "aeix"] == [model("th", c) for c in "aeix"]


def test_equal_texts_give_equal_models() -> None:
    first, second = (estimate(list(TEXTS), order=3, cells=2**10) for _ in range(2))
    assert first.symbols == second.symbols and np.array_equal(first.table, second.table)


def save_broken(model: LanguageModel, path: Path, damage: str) -> None:
    """Save a model and damage its file."""
    model.save(path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "text":
        path.write_text("no model")
    else:
        with zipfile.ZipFile(path) as archive:
            content = {name: archive.read(name) for name in archive.namelist()}
        info = json.loads(content[INFO_FILE])
        if damage == "order":
            info["order"] = 99
        elif damage == "symbols":
            del info["symbols"]
        elif damage == "table":
            content.pop(TABLE_FILE)
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, json.dumps(info) if name == INFO_FILE else data)


@pytest.mark.parametrize("damage", ["truncated", "text", "order", "symbols", "table"])
def test_broken_file_is_refused_by_name(model: LanguageModel, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.lm"
    save_broken(model, path, damage)
    with pytest.raises(DataError, match=r"bad\.lm"):
        load_language_model(path)


def test_missing_model_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="glyphline language"):
        load_language_model(tmp_path / "none.lm")
    with pytest.raises(UserError, match="english"):
        open_language_model("englsh")


@pytest.mark.parametrize(
    ("texts", "settings", "message"),
    [
        ([], {}, "empty"),
        (["  "], {}, "empty"),
        (["".join(map(chr, range(0x4E00, 0x4E90)))], {}, "fewer characters"),
        (["a"], {"order": 9}, "1 to 8"),
        (["a"], {"cells": 1000}, "power of two"),
    ],
)
def test_unusable_texts_and_settings_are_refused(texts: list[str], settings: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        estimate(texts, **settings)


def test_cyrillic_texts_are_supported() -> None:
    model = estimate(["мама мыла раму", "рама мыла маму"] * 9, order=3, cells=2**9)
    assert model("ма", "м") > model("ма", "р")


def test_bundled_model_is_chosen_by_the_alphabet() -> None:
    english = open_language_model("english")
    assert language_model_for(Alphabet.from_name("english")) is english
    assert language_model_for(Alphabet.from_name("full")) is open_language_model("english-stripped")
    assert language_model_for(Alphabet.from_name("merged")) is open_language_model("english-merged")
    for name in ("digits", " אבג", " abc", " " + LETTERS + "é"):
        assert language_model_for(Alphabet.from_name(name)) is None


def test_bundled_merged_english_expects_merged_letters() -> None:
    merged = open_language_model("english-merged")
    text = fold_merged("The house is by the river")
    assert merged.negative_log_likelihood(text) < 0.75 * merged.negative_log_likelihood("The hQUse ZS by the rZver")


def test_bundled_english_for_stripped_lines_expects_no_punctuation() -> None:
    stripped = open_language_model("english-stripped").negative_log_likelihood
    written = open_language_model("english").negative_log_likelihood
    for text in ("He lived in the U S and the UK", "one of the city s oldest houses"):
        assert stripped(text) < 0.9 * written(text)


def test_bundled_english_expects_english() -> None:
    assert "english" in bundled_language_models()
    nll = open_language_model("english").negative_log_likelihood
    assert nll("The house is by the river.") < 0.75 * nll("Thc housc ls by thc rlvcr.")
    assert nll("in 1984") < nll("ln 1984")
