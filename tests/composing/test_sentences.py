"""Sentences: no split shares one, what is tokenised reads as written, and what an alphabet lacks is counted."""

from __future__ import annotations

import gzip
import string
from collections import Counter
from pathlib import Path

import pytest

from glyphline.alphabet import ALPHABETS, Alphabet
from glyphline.composing.glyphs import SPLITS
from glyphline.composing.sentences import (
    HELD_SHARE,
    PUNCTUATION,
    SENTENCES,
    UNKNOWN,
    AlphabetFitter,
    built_in,
    check_disjoint,
    fitted,
    key,
    split_sentences,
    stripped,
    text_files,
    untokenise,
    wikisplit,
)
from glyphline.errors import AlphabetError, DataError, RecipeError


def sentences_of(lines: int, start: int = 0) -> list[str]:
    return [f"Sentence number {k} says {k * k}." for k in range(start, start + lines)]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A text file of 300 sentences."""
    path = tmp_path / "own.txt"
    path.write_text("\n".join(sentences_of(300)), encoding="utf-8")
    return path


# ---------------------------------------------------------------------- the family


@pytest.mark.parametrize("name", SENTENCES)
def test_every_source_gives_groups_of_texts(name: str, text: Path, tiny_wikisplit: Path) -> None:
    read, tokenised, sentence = SENTENCES[name]
    groups = list(read(str(text) if name == "text" else ""))
    assert len(groups) > 100 and sentence.startswith(name) and isinstance(tokenised, bool)
    assert all(isinstance(decides, str) and isinstance(group, tuple) and group for decides, group in groups)
    assert all(s == s.strip() != "" for _, group in groups for s in group)
    assert groups == list(read(str(text) if name == "text" else ""))


def test_unknown_sources_are_told_the_choices() -> None:
    with pytest.raises(DataError) as caught:
        split_sentences(("wikisplt",))
    assert 'did you mean "wikisplit"' in str(caught.value) and all(name in str(caught.value) for name in SENTENCES)
    with pytest.raises(DataError, match='did you mean "split"'):
        list(wikisplit("splitt"))
    with pytest.raises(RecipeError, match='did you mean "stripped"'):
        split_sentences(("built-in",), "striped")


# ---------------------------------------------------------------------- splits


@pytest.mark.parametrize("specs", [("built-in",), ("wikisplit",), ("wikisplit:split", "wikisplit:unsplit", "built-in")])
@pytest.mark.parametrize("punctuation", PUNCTUATION)
def test_no_sentence_stands_in_two_splits(specs: tuple[str, ...], punctuation: str, tiny_wikisplit: Path) -> None:
    splits = split_sentences(specs, punctuation)
    check_disjoint(splits)
    keys = [key(s) for split in SPLITS for s in splits[split]]
    assert len(keys) == len(set(keys))  # nor twice in one


@pytest.mark.parametrize("a", SPLITS)
@pytest.mark.parametrize("b", SPLITS)
def test_a_leak_is_found_however_it_is_written(a: str, b: str) -> None:
    splits = {split: (f"only {split}",) for split in SPLITS}
    check_disjoint(splits)
    splits[a] += ("It's a “leak”!",)
    splits[b] += ("its a leak",)
    if a == b:
        check_disjoint(splits)
    else:
        with pytest.raises(DataError, match="1 sentences stand in both"):
            check_disjoint(splits)


def test_nothing_is_lost_between_the_splits(text: Path) -> None:
    splits = split_sentences((f"text:{text}",))
    assert Counter(s for split in SPLITS for s in splits[split]) == Counter(sentences_of(300))
    for held in ("val", "test"):
        assert len(splits[held]) == pytest.approx(300 / HELD_SHARE, rel=0.7)


def test_the_split_of_a_sentence_survives_added_data(text: Path, tmp_path: Path) -> None:
    before = split_sentences((f"text:{text}",))
    (tmp_path / "more.txt").write_text("\n".join(sentences_of(500, 250)), encoding="utf-8")
    after = split_sentences((f"text:{tmp_path / 'more.txt'}", f"text:{text}"))
    for split in SPLITS:
        assert set(before[split]) <= set(after[split])


def test_a_group_stays_in_one_split(tiny_wikisplit: Path) -> None:
    where = {key(s): split for split, texts in split_sentences(("wikisplit",)).items() for s in texts}
    for _, group in wikisplit(""):
        assert len({where[key(s)] for s in group}) == 1


def test_a_sentence_of_two_groups_is_held_out_of_training(data: Path) -> None:
    folder = data / "wikisplit"
    folder.mkdir()
    rows = [f"Row {k} .\tWe all share this . <::::> Part {k} ." for k in range(400)]
    (folder / "a.tsv").write_text("\n".join(rows) + "\n")
    splits = split_sentences(("wikisplit",))
    assert "We all share this." in splits["test"]


def test_too_little_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("Only this.\n")
    with pytest.raises(DataError, match="give more text"):
        split_sentences((f"text:{tmp_path / 'one.txt'}",))


def test_another_data_folder_has_other_sentences(
    tiny_wikisplit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = split_sentences(("wikisplit",))
    (tmp_path / "other" / "wikisplit").mkdir(parents=True)
    (tmp_path / "other" / "wikisplit" / "a.tsv").write_text("".join(f"{s}\t{s}\n" for s in sentences_of(200)))
    monkeypatch.setenv("GLYPHLINE_DATA", str(tmp_path / "other"))
    assert split_sentences(("wikisplit",)) != before


@pytest.mark.parametrize(
    ("one", "other"), [("It's me!", "its me"), ("“A—B”", "a b"), ("Déjà  vu", "DEJA VU"), ("1,000", "1000")]
)
def test_keys_see_through_typing(one: str, other: str) -> None:
    assert key(one) == key(other) != ""


def test_keys_of_other_scripts_and_of_signs_differ() -> None:
    assert len({key(s) for s in ("שלום", "עולם", "привет", "?!", "...", "a")}) == 6


# ---------------------------------------------------------------------- WikiSplit


def test_the_parts_of_wikisplit(tiny_wikisplit: Path) -> None:
    every = [list(wikisplit(rest)) for rest in ("", "unsplit", "split")]
    assert [k for k, _ in every[0]] == [k for k, _ in every[1]] == [k for k, _ in every[2]]  # the split agrees
    both, whole, regions = ([group for _, group in groups] for groups in every)
    assert [len(both), len(whole), len(regions)] == [400] * 3
    assert both == [a + b for a, b in zip(whole, regions, strict=True)]
    assert {len(group) for group in both} == {3} and not any("<::::>" in s for group in both for s in group)


def test_rows_of_something_else_are_named(tiny_wikisplit: Path) -> None:
    with (tiny_wikisplit / "test.tsv").open("a") as rows:
        rows.write("<html>\n")
    with pytest.raises(DataError, match=r"test\.tsv line 401 has no tab"):
        list(wikisplit(""))


def test_no_wikisplit_says_how_to_get_it(data: Path) -> None:
    with pytest.raises(DataError, match="glyphline fetch wikisplit"):
        list(wikisplit(""))


@pytest.mark.parametrize(
    ("tokens", "written"),
    [
        ("Hello , world !", "Hello, world!"),
        ("It 's 5 o'clock , is n't it ?", "It's 5 o'clock, isn't it?"),
        ("They 're here ; we 've seen them : I 'll go .", "They're here; we've seen them: I'll go."),
        ("`` Quoted words '' he said .", '"Quoted words" he said.'),
        ("He said , `` yes '' , and `` no '' .", 'He said, "yes", and "no".'),
        ('A " plain " quote .', 'A "plain" quote.'),
        ("( in brackets ) [ or these ] , $ 5", "(in brackets) [or these], $5"),
        ("1999 - 2000 , well - known , 1 / 2", "1999-2000, well-known, 1/2"),
        ("the dogs ' bowls", "the dogs' bowls"),
        ("10 % of 3,000", "10% of 3,000"),
        ("wait . . .", "wait..."),
        ("  much   room ", "much room"),
        ("Nothing to do.", "Nothing to do."),
        ("", ""),
    ],
)
def test_tokens_are_put_back_the_way_people_write(tokens: str, written: str) -> None:
    assert untokenise(tokens) == written
    assert untokenise(written) == written


@pytest.mark.parametrize(
    ("tokens", "written"),
    [
        ("known as the '' Populists '' , was", 'known as the "Populists", was'),
        ("'' Come Together '' and '' Live ! ''", '"Come Together" and "Live!"'),
        ("film '' Haute Tension '' ( known as '' Switchblade '' )", 'film "Haute Tension" (known as "Switchblade")'),
    ],
)  # fmt: skip
def test_the_quotes_of_wikisplit_are_put_back(tokens: str, written: str) -> None:
    assert untokenise(tokens) == written


@pytest.mark.slow
def test_no_letter_of_wikisplit_is_lost_or_moved(shared_data: Path) -> None:
    for _, group in wikisplit(""):
        for sentence in group:
            written = untokenise(sentence)
            assert key(written) == key(sentence) and untokenise(written) == written


def test_stripping_leaves_what_the_report_kept() -> None:
    assert set(stripped("Caffé , it 's 5 o'clock ! `` 20 % '' — (no)")) <= set(
        string.ascii_letters + string.digits + " "
    )
    assert stripped("One , two ; three .") == "One two three"
    assert stripped("— ! —") == ""
    assert stripped(stripped("A , b")) == "A b"


def test_only_tokenised_sources_are_untokenised(text: Path, tiny_wikisplit: Path) -> None:
    text.write_text("".join(f"He wrote {k} - {k} ( as it is ) .\n" for k in range(300)), encoding="utf-8")
    assert all(" - " in s for s in split_sentences((f"text:{text}",))["train"])
    assert not any(" - " in s or " ," in s for s in split_sentences(("wikisplit",))["train"])
    assert not any(set(s) & set("-(.") for s in split_sentences((f"text:{text}",), "stripped")["train"])


# ---------------------------------------------------------------------- text files


def test_a_line_of_text_is_cut_into_its_sentences(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text('One. Two? "Three!" said he. It is 3.5 m long, e.g. here.\n\nFour\n')
    assert [s for _, (s,) in text_files(str(tmp_path / "a.txt"))] == [
        "One.", "Two?", '"Three!" said he.', "It is 3.5 m long, e.g. here.", "Four"
    ]  # fmt: skip


def test_cutting_into_sentences_loses_nothing_but_space(tmp_path: Path) -> None:
    line = "He said \"Go.\" Then he left. (Yes.) No! 'Well.' She sat."
    (tmp_path / "a.txt").write_text(line + "\n")
    assert " ".join(s for _, (s,) in text_files(str(tmp_path / "a.txt"))) == line


def test_the_mark_that_windows_puts_first_is_no_character(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfHello.\r\n")
    assert list(text_files(str(tmp_path / "a.txt"))) == [("Hello.", ("Hello.",))]


def test_a_folder_gives_all_its_texts_packed_or_not(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "b.txt").write_text("Two.\n")
    (tmp_path / "in" / "deep" / "a.txt.gz").write_bytes(gzip.compress("Ünö.\n".encode()))
    (tmp_path / "in" / "notes.md").write_text("Not this.\n")
    assert list(text_files(str(tmp_path / "in"))) == [("Two.", ("Two.",)), ("Ünö.", ("Ünö.",))]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("a.txt", b"caf\xe9 au lait", "not UTF-8"), ("a.txt.gz", b"no gzip", "cannot be read"),
     ("a.txt.gz", gzip.compress(b"Cut short. " * 99, mtime=0)[:-9], "cannot be read")],
)  # fmt: skip
def test_files_that_are_no_text_are_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        list(text_files(str(tmp_path / name)))
    assert str(tmp_path / name) in str(caught.value)


def test_missing_texts_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.txt is not there"):
        list(text_files(str(tmp_path / "gone.txt")))
    with pytest.raises(DataError, match=r"holds no \.txt"):
        list(text_files(str(tmp_path)))


# ---------------------------------------------------------------------- fitting


@pytest.mark.parametrize("name", ALPHABETS)
@pytest.mark.parametrize("unknown", ["drop", "replace"])
def test_a_fitted_text_can_be_encoded(name: str, unknown: str) -> None:
    alphabet = Alphabet.named(name)
    fit = AlphabetFitter(alphabet, unknown)
    for text in [*(s for s, _ in list(built_in(""))[:200]), "“Ça va…” — naïve ßtraße ☃ 5 €", "", "☃☃"]:
        once = fit(text)
        alphabet.encode(once)
        assert fit(once) == once


def test_a_text_that_fits_is_left_alone() -> None:
    fit = AlphabetFitter(Alphabet.named("ascii"))
    assert fit("two  spaces, `ticks` & all") == "two  spaces, `ticks` & all" and not fit.counts


def test_dropping_replacing_and_refusing() -> None:
    alphabet = Alphabet(" abc")
    drop, replace, refuse = (AlphabetFitter(alphabet, unknown, "c") for unknown in ("drop", "replace", "refuse"))
    assert (drop("a-b☃ ☃ -c"), replace("a-b☃")) == ("ab c", "acbc")
    assert drop.counts == Counter({"-": 2, "☃": 2}) and replace.counts == Counter("-☃")
    assert refuse("a b") == "a b"
    with pytest.raises(AlphabetError) as caught:
        refuse("a-b☃-")
    assert "'-', '☃'" in str(caught.value) and not refuse.counts


def test_counting_is_exact() -> None:
    fit = AlphabetFitter(Alphabet(" ab"))
    texts = ["a, b, c", "a b", "cc!", "á"]
    lost = Counter(c for text in ("a, b, c", "cc!") for c in text if c not in " ab")
    for text in texts:
        fit(text)
    assert fit.counts == lost


def test_what_the_alphabet_has_is_not_folded() -> None:
    assert AlphabetFitter(Alphabet(" aé“"))("é “e” ê") == "é “ "  # nothing here stands for e
    assert AlphabetFitter(Alphabet(' aeé"'))("é “e” ê") == 'é "e" e'


def test_merged_alphabets_fold_the_15_letters_only() -> None:
    fit = AlphabetFitter(Alphabet.named("merged"))
    assert fit("jacob THE quick") == "JaCOb THE qUICK" and not fit.counts


def test_capitals_take_every_letter_as_a_capital() -> None:
    fit = AlphabetFitter(Alphabet(" " + string.ascii_uppercase))
    assert fit("hand it over") == "HAND IT OVER" and not fit.counts


def test_fewer_capitals_take_their_letters() -> None:
    assert AlphabetFitter(Alphabet(" ABC"))("a cab") == "A CAB"


def test_fitters_that_contradict_themselves() -> None:
    with pytest.raises(RecipeError, match='did you mean "drop"') as caught:
        AlphabetFitter(Alphabet("a"), "drp")
    assert all(word in str(caught.value) for word in UNKNOWN)
    with pytest.raises(RecipeError, match="' ' is not in the alphabet"):
        AlphabetFitter(Alphabet("ab"), "replace")


def test_emptied_sentences_are_left_out() -> None:
    assert fitted(["ab", "☃", " b ", ""], AlphabetFitter(Alphabet(" ab"))) == ["ab", "b"]
