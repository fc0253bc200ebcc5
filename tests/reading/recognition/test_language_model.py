"""The language model: probabilities that add up, a table that keeps them, a file that survives."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest

from glyphline.alphabet import LETTERS, Alphabet, fold_merged
from glyphline.errors import DataError, UserError
from glyphline.reading.recognition.language_model import (
    FACTS,
    FILE,
    LEVEL,
    START,
    UNKNOWN,
    LanguageModel,
    _cells_of,
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


def test_probabilities_of_what_may_follow_add_up(model: LanguageModel) -> None:
    """To one, but for the rounding of LEVEL; digits count ten times."""
    for before in ("", " ", "th", " the c", "x", "at", "Call 5"):
        kinds = [c for c in model.symbols if c != "0"] + list("0123456789")
        total = sum(math.exp(model(before, c)) for c in kinds)
        assert math.exp(-LEVEL) < total < math.exp(LEVEL) + 0.15, before


def test_what_was_seen_is_likelier(model: LanguageModel) -> None:
    assert model(" t", "h") > model(" t", "m") >= UNKNOWN
    assert model("the ", "c") > model("the ", "s")
    assert model.nats("the cat") < model.nats("eht tac")


def test_a_line_begins_otherwise_than_a_word(model: LanguageModel) -> None:
    """Capitals, in these texts, stand at the start of lines alone; what starts a line is never what comes next."""
    assert model(START, "C") > model(" ", "C")
    assert model(START, "m") < model(" ", "m")
    assert model("t", START) == UNKNOWN


def test_it_knows_the_probability_of_one_context() -> None:
    """Witten-Bell by hand: after b come a (30) and c (10), so P(a|b) = (30 + 2 P(a)) / 42."""
    model = estimate(["ba"] * 30 + ["bc"] * 10, order=2, cells=2**8)
    counts = {" ": 40, "a": 30, "b": 40, "c": 10}
    below = (counts["a"] + 0.5) / (sum(counts.values()) + 0.5 * 4)
    assert abs(model("b", "a") - math.log((30 + 2 * below) / 42)) <= LEVEL / 2 + 1e-9


def test_digits_are_one_symbol_of_ten(model: LanguageModel) -> None:
    assert model("at ", "1") == model("at ", "7")
    assert model("5", "5") == model("3", "9")


def test_what_it_does_not_know_is_unlikely_and_ends_the_context(model: LanguageModel) -> None:
    assert model("th", "é") == UNKNOWN
    assert model("té", "h") == model("é", "h") == model("", "h")


def test_only_the_last_characters_count(model: LanguageModel) -> None:
    assert model("what is the ca", "t") == model("e ca", "t")


def test_a_smaller_table_keeps_what_matters_most() -> None:
    large, small = (estimate(TEXTS, order=4, cells=cells) for cells in (2**12, 2**7))
    assert np.count_nonzero(small.table) <= 2**7 < np.count_nonzero(large.table)
    unseen = "the rat sat on a hat"
    assert large.nats(unseen) < small.nats(unseen) < estimate(TEXTS, order=1, cells=2**7).nats(unseen)


def test_a_cell_is_found_alone_where_it_was_put_together(model: LanguageModel) -> None:
    keys = np.random.default_rng(0).integers(1, 2**62, 200).astype(np.uint64)
    place, mark = _cells_of(keys, model.bits)
    for key, p, m in zip(keys.tolist(), place.tolist(), mark.tolist(), strict=True):
        probe = LanguageModel(model.symbols, model.order, np.zeros_like(model.table))
        table = probe.table.copy()
        table[p] = m << 6 | 5
        assert LanguageModel(model.symbols, model.order, table).cell(key) == 5


def test_a_file_holds_all_of_it(model: LanguageModel, tmp_path: Path) -> None:
    for name in ("a.lm", "b.lm"):
        model.save(tmp_path / name)
    again = load_language_model(tmp_path / "a.lm")
    assert (
        np.array_equal(again.table, model.table)
        and (tmp_path / "a.lm").read_bytes() == (tmp_path / "b.lm").read_bytes()
    )
    assert [again("th", c) for c in "aeix"] == [model("th", c) for c in "aeix"]


def test_the_same_texts_make_the_same_model() -> None:
    one, two = (estimate(list(TEXTS), order=3, cells=2**10) for _ in range(2))
    assert one.symbols == two.symbols and np.array_equal(one.table, two.table)


def broken(model: LanguageModel, path: Path, how: str) -> None:
    model.save(path)
    if how == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif how == "text":
        path.write_text("no model")
    else:
        with zipfile.ZipFile(path) as packed:
            content = {name: packed.read(name) for name in packed.namelist()}
        info = json.loads(content[FACTS])
        if how == "order":
            info["order"] = 99
        elif how == "symbols":
            del info["symbols"]
        elif how == "table":
            content.pop(FILE)
        with zipfile.ZipFile(path, "w") as out:
            for name, data in content.items():
                out.writestr(name, json.dumps(info) if name == FACTS else data)


@pytest.mark.parametrize("how", ["cut", "text", "order", "symbols", "table"])
def test_a_file_that_is_no_model_is_refused_by_name(model: LanguageModel, tmp_path: Path, how: str) -> None:
    path = tmp_path / "bad.lm"
    broken(model, path, how)
    with pytest.raises(DataError, match=r"bad\.lm"):
        load_language_model(path)


def test_what_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="glyphline language"):
        load_language_model(tmp_path / "none.lm")
    with pytest.raises(UserError, match="choices: english"):
        open_language_model("englsh")


@pytest.mark.parametrize(
    ("texts", "settings", "said"),
    [
        ([], {}, "empty"),
        (["  "], {}, "empty"),
        (["".join(map(chr, range(0x4E00, 0x4E90)))], {}, "name those"),
        (["a"], {"order": 9}, "1 to 8"),
        (["a"], {"cells": 1000}, "power of two"),
    ],
)
def test_what_cannot_be_estimated_is_told(texts: list[str], settings: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        estimate(texts, **settings)


def test_other_scripts_will_do() -> None:
    model = estimate(["мама мыла раму", "рама мыла маму"] * 9, order=3, cells=2**9)
    assert model("ма", "м") > model("ма", "р")


def test_an_alphabet_finds_the_language_that_suits_it() -> None:
    assert (
        language_model_for(Alphabet.named("english"))
        is language_model_for(Alphabet.named("full"))
        is open_language_model("english")
    )
    assert language_model_for(Alphabet.named("merged")) is open_language_model("english-merged")
    for other in ("digits", " אבג", " abc", " " + LETTERS + "é"):
        assert language_model_for(Alphabet.named(other)) is None


def test_the_merged_english_knows_the_merged_letters() -> None:
    merged = open_language_model("english-merged")
    assert merged.nats(fold_merged("The house is by the river")) < 0.75 * merged.nats("The hQUse ZS by the rZver")


def test_the_bundled_english_is_english() -> None:
    assert "english" in bundled_language_models()
    english = open_language_model("english")
    assert english.nats("The house is by the river.") < 0.75 * english.nats("Thc housc ls by thc rlvcr.")
    assert english.nats("in 1984") < english.nats("ln 1984")
