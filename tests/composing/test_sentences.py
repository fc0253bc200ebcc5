"""Sentence sources: disjoint splits, detokenisation, text files, and fitting texts to an alphabet."""

from __future__ import annotations

import gzip
import string
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from glyphline.alphabet import ALPHABETS, Alphabet
from glyphline.composing.glyphs import SPLITS
from glyphline.composing.sentences import (
    PUNCTUATION_MODES,
    SENTENCES,
    SPLIT_BUCKETS,
    UNKNOWN_POLICIES,
    AlphabetFitter,
    check_disjoint,
    detokenise,
    fit_sentences,
    read_built_in,
    read_text_files,
    read_wikisplit,
    sentence_key,
    sharing,
    split_sentences,
    split_sentences_by_source,
    strip_punctuation,
)
from glyphline.errors import AlphabetError, DataError, RecipeError


def numbered_sentences(count: int, start: int = 0) -> list[str]:
    return [f"Sentence number {k} says {k * k}." for k in range(start, start + count)]


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """A text file of 300 sentences."""
    path = tmp_path / "own.txt"
    path.write_text("\n".join(numbered_sentences(300)), encoding="utf-8")
    return path


# ---------------------------------------------------------------------- the family


@pytest.mark.parametrize("name", SENTENCES)
def test_every_source_yields_groups_of_stripped_texts(name: str, text_file: Path, tiny_wikisplit: Path) -> None:
    read_groups, is_tokenised, help_line = SENTENCES[name]
    groups = list(read_groups(str(text_file) if name == "text" else ""))
    assert len(groups) > 100 and help_line.startswith(name) and isinstance(is_tokenised, bool)
    assert all(isinstance(group_id, str) and isinstance(group, tuple) and group for group_id, group in groups)
    assert all(s == s.strip() != "" for _, group in groups for s in group)
    assert groups == list(read_groups(str(text_file) if name == "text" else ""))


def test_unknown_source_error_lists_the_choices() -> None:
    with pytest.raises(DataError) as caught:
        split_sentences(("wikisplt",))
    assert 'did you mean "wikisplit"' in str(caught.value) and all(name in str(caught.value) for name in SENTENCES)
    with pytest.raises(DataError, match='did you mean "split"'):
        list(read_wikisplit("splitt"))
    with pytest.raises(RecipeError, match='did you mean "stripped"'):
        split_sentences(("built-in",), "striped")


# ---------------------------------------------------------------------- splits


@pytest.mark.parametrize("specs", [("built-in",), ("wikisplit",), ("wikisplit:split", "wikisplit:unsplit", "built-in")])
@pytest.mark.parametrize("punctuation", PUNCTUATION_MODES)
def test_splits_share_no_sentence(specs: tuple[str, ...], punctuation: str, tiny_wikisplit: Path) -> None:
    splits = split_sentences(specs, punctuation)
    check_disjoint(splits)
    keys = [sentence_key(s) for split in SPLITS for s in splits[split]]
    assert len(keys) == len(set(keys))  # no split has a duplicate


@pytest.mark.parametrize("a", SPLITS)
@pytest.mark.parametrize("b", SPLITS)
def test_leak_with_other_punctuation_is_refused(a: str, b: str) -> None:
    splits = {split: (f"only {split}",) for split in SPLITS}
    check_disjoint(splits)
    splits[a] += ("It's a “leak”!",)
    splits[b] += ("its a leak",)
    if a == b:
        check_disjoint(splits)
    else:
        with pytest.raises(DataError, match="1 sentences are in both"):
            check_disjoint(splits)


def test_splits_together_contain_every_sentence(text_file: Path) -> None:
    splits = split_sentences((f"text:{text_file}",))
    assert Counter(s for split in SPLITS for s in splits[split]) == Counter(numbered_sentences(300))
    for split in ("val", "test"):
        assert len(splits[split]) == pytest.approx(300 / SPLIT_BUCKETS, rel=0.7)


def test_split_of_a_sentence_does_not_change_when_data_are_added(text_file: Path, tmp_path: Path) -> None:
    before = split_sentences((f"text:{text_file}",))
    (tmp_path / "more.txt").write_text("\n".join(numbered_sentences(500, 250)), encoding="utf-8")
    after = split_sentences((f"text:{tmp_path / 'more.txt'}", f"text:{text_file}"))
    for split in SPLITS:
        assert set(before[split]) <= set(after[split])


def test_group_is_in_one_split(tiny_wikisplit: Path) -> None:
    split_of = {sentence_key(s): split for split, texts in split_sentences(("wikisplit",)).items() for s in texts}
    for _, group in read_wikisplit(""):
        assert len({split_of[sentence_key(s)] for s in group}) == 1


def test_sentence_of_several_groups_is_held_out_of_training(data: Path) -> None:
    folder = data / "wikisplit"
    folder.mkdir()
    rows = [f"Row {k} .\tWe all share this . <::::> Part {k} ." for k in range(400)]
    (folder / "a.tsv").write_text("\n".join(rows) + "\n")
    splits = split_sentences(("wikisplit",))
    assert "We all share this." in splits["test"]


def test_text_without_sentences_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("\n\n")
    with pytest.raises(DataError, match="give no sentence"):
        split_sentences((f"text:{tmp_path / 'none.txt'}",))


@pytest.mark.parametrize("count", range(1, 8))
def test_few_sentences_fill_every_split(tmp_path: Path, count: int) -> None:
    """Three and more are divided, one and two are shared, and that is said."""
    (tmp_path / "few.txt").write_text("".join(f"Sentence of number {k}.\n" for k in range(count)))
    by_source = split_sentences_by_source((f"text:{tmp_path / 'few.txt'}",))
    texts = {split: sources[0] for split, sources in by_source.items()}
    assert all(texts.values()) and len({text for split in texts.values() for text in split}) == count
    assert (sharing(by_source) == "") == (count >= 3) == (sum(map(len, texts.values())) == count)
    if count == 2:
        assert texts["val"] == texts["test"] != texts["train"] and "only 2 different sentences" in sharing(by_source)


def test_folded_accents_are_counted_beside_dropped_characters() -> None:
    fit = AlphabetFitter(Alphabet.from_name("english"))
    assert [fit(text) for text in ("Café à 5 €", "Zoë’s café", "plain")] == ["Cafe a 5 ", "Zoe's cafe", "plain"]
    assert fit.folded == {("é", "e"): 2, ("à", "a"): 1, ("ë", "e"): 1, ("’", "'"): 1} and fit.counts == {"€": 1}
    folded, dropped = fit.describe()
    assert folded.startswith("characters outside the alphabet were folded to plain ones: 'é' to 'e' 2, ")
    assert dropped == "characters outside the alphabet were dropped: '€' 1"


def test_cache_distinguishes_data_folders(
    tiny_wikisplit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = split_sentences(("wikisplit",))
    (tmp_path / "other" / "wikisplit").mkdir(parents=True)
    (tmp_path / "other" / "wikisplit" / "a.tsv").write_text("".join(f"{s}\t{s}\n" for s in numbered_sentences(200)))
    monkeypatch.setenv("GLYPHLINE_DATA", str(tmp_path / "other"))
    assert split_sentences(("wikisplit",)) != before


@pytest.mark.parametrize(
    ("first", "second"), [("It's me!", "its me"), ("“A—B”", "a b"), ("Déjà  vu", "DEJA VU"), ("1,000", "1000")]
)
def test_sentence_key_ignores_case_accents_and_punctuation(first: str, second: str) -> None:
    assert sentence_key(first) == sentence_key(second) != ""


def test_sentence_keys_of_other_scripts_and_of_punctuation_differ() -> None:
    assert len({sentence_key(s) for s in ("שלום", "עולם", "привет", "?!", "...", "a")}) == 6


# ---------------------------------------------------------------------- WikiSplit


def test_wikisplit_parts_have_the_same_group_ids(tiny_wikisplit: Path) -> None:
    groups_by_part = [list(read_wikisplit(rest)) for rest in ("", "unsplit", "split")]
    group_ids = [[group_id for group_id, _ in groups] for groups in groups_by_part]
    assert group_ids[0] == group_ids[1] == group_ids[2]  # so that each row is in the same split for every part
    both, unsplit, split = ([group for _, group in groups] for groups in groups_by_part)
    assert [len(both), len(unsplit), len(split)] == [400] * 3
    assert both == [a + b for a, b in zip(unsplit, split, strict=True)]
    assert {len(group) for group in both} == {3} and not any("<::::>" in s for group in both for s in group)


def test_wikisplit_row_without_a_tab_is_named(tiny_wikisplit: Path) -> None:
    with (tiny_wikisplit / "test.tsv").open("a") as rows:
        rows.write("<html>\n")
    with pytest.raises(DataError, match=r"test\.tsv line 401 has no tab"):
        list(read_wikisplit(""))


def test_missing_wikisplit_error_names_the_fetch_command(data: Path) -> None:
    with pytest.raises(DataError, match="glyphline fetch wikisplit"):
        list(read_wikisplit(""))


@pytest.mark.parametrize(
    ("tokenised", "written"),
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
def test_detokenise_removes_spaces_and_is_idempotent(tokenised: str, written: str) -> None:
    assert detokenise(tokenised) == written
    assert detokenise(written) == written


@pytest.mark.parametrize(
    ("tokenised", "written"),
    [
        ("known as the '' Populists '' , was", 'known as the "Populists", was'),
        ("'' Come Together '' and '' Live ! ''", '"Come Together" and "Live!"'),
        ("film '' Haute Tension '' ( known as '' Switchblade '' )", 'film "Haute Tension" (known as "Switchblade")'),
    ],
)  # fmt: skip
def test_detokenise_restores_quotation_marks(tokenised: str, written: str) -> None:
    assert detokenise(tokenised) == written


@pytest.mark.slow
def test_detokenise_keeps_every_letter_of_wikisplit(shared_data: Path) -> None:
    for _, group in read_wikisplit(""):
        for sentence in group:
            written = detokenise(sentence)
            assert sentence_key(written) == sentence_key(sentence) and detokenise(written) == written


def test_strip_punctuation_keeps_ascii_letters_digits_and_spaces() -> None:
    assert set(strip_punctuation("Caffé , it 's 5 o'clock ! `` 20 % '' — (no)")) <= set(
        string.ascii_letters + string.digits + " "
    )
    assert strip_punctuation("One , two ; three .") == "One two three"
    assert strip_punctuation("— ! —") == ""
    assert strip_punctuation(strip_punctuation("A , b")) == "A b"


def test_only_tokenised_sources_are_detokenised(text_file: Path, tiny_wikisplit: Path) -> None:
    text_file.write_text("".join(f"He wrote {k} - {k} ( as it is ) .\n" for k in range(300)), encoding="utf-8")
    assert all(" - " in s for s in split_sentences((f"text:{text_file}",))["train"])
    assert not any(" - " in s or " ," in s for s in split_sentences(("wikisplit",))["train"])
    assert not any(set(s) & set("-(.") for s in split_sentences((f"text:{text_file}",), "stripped")["train"])


# ---------------------------------------------------------------------- text files


def test_text_line_is_divided_into_sentences(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text('One. Two? "Three!" said he. It is 3.5 m long, e.g. here.\n\nFour\n')
    assert [s for _, (s,) in read_text_files(str(tmp_path / "a.txt"))] == [
        "One.", "Two?", '"Three!" said he.', "It is 3.5 m long, e.g. here.", "Four"
    ]  # fmt: skip


def test_division_into_sentences_loses_only_space(tmp_path: Path) -> None:
    line = "He said \"Go.\" Then he left. (Yes.) No! 'Well.' She sat."
    (tmp_path / "a.txt").write_text(line + "\n")
    assert " ".join(s for _, (s,) in read_text_files(str(tmp_path / "a.txt"))) == line


def test_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfHello.\r\n")
    assert list(read_text_files(str(tmp_path / "a.txt"))) == [("Hello.", ("Hello.",))]


def test_folder_yields_plain_and_gzipped_texts(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "b.txt").write_text("Two.\n")
    (tmp_path / "in" / "deep" / "a.txt.gz").write_bytes(gzip.compress("Ünö.\n".encode()))
    (tmp_path / "in" / "notes.md").write_text("Not this.\n")
    assert list(read_text_files(str(tmp_path / "in"))) == [("Two.", ("Two.",)), ("Ünö.", ("Ünö.",))]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("a.txt", b"caf\xe9 au lait", "not UTF-8"), ("a.txt.gz", b"no gzip", "cannot be read"),
     ("a.txt.gz", gzip.compress(b"Cut short. " * 99, mtime=0)[:-9], "cannot be read")],
)  # fmt: skip
def test_unreadable_text_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        list(read_text_files(str(tmp_path / name)))
    assert str(tmp_path / name) in str(caught.value)


def test_missing_text_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.txt is not there: correct the path"):
        list(read_text_files(str(tmp_path / "gone.txt")))
    with pytest.raises(DataError, match=r"^nowhere\.txt is neither in the current folder nor in ") as caught:
        list(read_text_files("nowhere.txt"))
    assert "wikisplit" not in str(caught.value)
    with pytest.raises(DataError, match=r"text\.txt is neither .* prepare --scripts greek"):
        list(read_text_files("any-script/greek/text.txt"))
    with pytest.raises(DataError, match=r"holds no \.txt"):
        list(read_text_files(str(tmp_path)))


# ---------------------------------------------------------------------- fitting to an alphabet


@pytest.mark.parametrize("name", ALPHABETS)
@pytest.mark.parametrize("unknown", ["drop", "replace"])
def test_fitted_text_can_be_encoded(name: str, unknown: str) -> None:
    alphabet = Alphabet.from_name(name)
    fit = AlphabetFitter(alphabet, unknown)
    for text in [*(s for s, _ in list(read_built_in(""))[:200]), "“Ça va…” — naïve ßtraße ☃ 5 €", "", "☃☃"]:
        fitted = fit(text)
        alphabet.encode(fitted)
        assert fit(fitted) == fitted


def test_text_within_the_alphabet_is_unchanged() -> None:
    fit = AlphabetFitter(Alphabet.from_name("ascii"))
    assert fit("two  spaces, `ticks` & all") == "two  spaces, `ticks` & all" and not fit.counts


def test_policies_drop_replace_and_refuse() -> None:
    alphabet = Alphabet(" abc")
    drop, replace, refuse = (AlphabetFitter(alphabet, unknown, "c") for unknown in ("drop", "replace", "refuse"))
    assert (drop("a-b☃ ☃ -c"), replace("a-b☃")) == ("ab c", "acbc")
    assert drop.counts == Counter({"-": 2, "☃": 2}) and replace.counts == Counter("-☃")
    assert refuse("a b") == "a b"
    with pytest.raises(AlphabetError) as caught:
        refuse("a-b☃-")
    assert "'-', '☃'" in str(caught.value) and not refuse.counts


def test_counts_of_dropped_characters_are_exact() -> None:
    fit = AlphabetFitter(Alphabet(" ab"))
    texts = ["a, b, c", "a b", "cc!", "á"]
    dropped = Counter(c for text in ("a, b, c", "cc!") for c in text if c not in " ab")
    for text in texts:
        fit(text)
    assert fit.counts == dropped


def test_characters_of_the_alphabet_are_not_folded() -> None:
    assert AlphabetFitter(Alphabet(" aé“"))("é “e” ê") == "é “ "  # this alphabet has no plain e
    assert AlphabetFitter(Alphabet(' aeé"'))("é “e” ê") == 'é "e" e'


def test_merged_alphabet_folds_only_its_15_letters() -> None:
    fit = AlphabetFitter(Alphabet.from_name("merged"))
    assert fit("jacob THE quick") == "JaCOb THE qUICK" and not fit.counts


def test_alphabet_of_capitals_receives_capitals() -> None:
    fit = AlphabetFitter(Alphabet(" " + string.ascii_uppercase))
    assert fit("hand it over") == "HAND IT OVER" and not fit.counts


def test_alphabet_of_few_capitals_receives_capitals() -> None:
    assert AlphabetFitter(Alphabet(" ABC"))("a cab") == "A CAB"


@pytest.mark.parametrize(
    ("characters", "text", "fitted"),
    [
        (" -абвгдеёжзийклмнопрстуфхцчшщъыьэюяАБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ", "Он — там", "Он - там"),
        (" абвгдеёжзийклмнопрстуфхцчшщъыьэюя", "он, там", "он там"),
        (" αβγδεζηθικλμνξοπρστυφχψως", "και #", "και "),
        (" אבגדהוזחטיכלמםנסעפצקרשת", "שלום!", "שלום"),
        (" აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ", "ენა!", "ენა"),
        (" ABCÉ", "a cabé", "A CABÉ"),
    ],
)
def test_only_an_alphabet_of_capitals_receives_capitals(characters: str, text: str, fitted: str) -> None:
    assert AlphabetFitter(Alphabet(characters))(text) == fitted


def test_accents_that_follow_their_letters_are_kept_or_counted() -> None:
    fit = AlphabetFitter(Alphabet(" caéf"))
    assert fit(unicodedata.normalize("NFD", "café")) == "café" and not fit.folded and not fit.counts
    assert AlphabetFitter(Alphabet(" acfe\u0301"))("cafe\u0301 #") == "cafe\u0301 "  # this one has the accent alone
    plain = AlphabetFitter(Alphabet(" q"))
    assert plain("q\u0301") == "q"  # there is no character of both
    assert AlphabetFitter(Alphabet(" q"))("q \u0301 q") == "q q"
    assert plain.folded == Counter({("\u0301", ""): 1}) and "'\u0301' to '' 1" in plain.describe()[0]


def test_letters_with_marks_have_one_form() -> None:
    """The order of marks that are typed does not count, nor what else is in the text."""
    typed, canonical = "\u05d1\u05bc\u05b8", "\u05d1\u05b8\u05bc"
    fit = AlphabetFitter(Alphabet(" \u05d1\u05b8\u05bc"))
    assert fit(typed) == canonical and fit(typed + "#") == canonical
    nukta = AlphabetFitter(Alphabet(" \u0921\u095c\u093e"))  # NFC divides the second letter
    assert nukta("\u095c\u093e") == nukta("\u0921\u093c\u093e") == nukta("\u095c\u093e!") == "\u095c\u093e"
    assert not nukta.folded and nukta.counts == Counter("!")
    tones = AlphabetFitter(Alphabet(" \u00ea\u00e2\u0301\u0323"))  # letters, and the tones as marks of their own
    assert tones("\u1ebf \u1ead") == tones("\u00ea\u0301 \u00e2\u0323") == "\u00ea\u0301 \u00e2\u0323"
    assert AlphabetFitter(Alphabet("\u212b\u00c5"))("\u00c5") == "\u00c5"  # two letters that look alike


@pytest.mark.parametrize("unknown", UNKNOWN_POLICIES)
def test_characters_without_a_shape_are_no_loss(unknown: str) -> None:
    fit = AlphabetFitter(Alphabet(" میخواه"), unknown)
    assert fit("می\u200cخواه\u00ad") == "میخواه" and not fit.counts and not fit.describe()


def test_sentences_that_differ_in_vowel_signs_are_different() -> None:
    assert sentence_key("कि") != sentence_key("का") and sentence_key("กิน") != sentence_key("กัน")
    assert sentence_key("שָׁלוֹם") == sentence_key("שלום")


def test_invalid_fitter_options_are_refused() -> None:
    with pytest.raises(RecipeError, match='did you mean "drop"') as caught:
        AlphabetFitter(Alphabet("a"), "drp")
    assert all(word in str(caught.value) for word in UNKNOWN_POLICIES)
    with pytest.raises(RecipeError, match="' ' is not in the alphabet"):
        AlphabetFitter(Alphabet("ab"), "replace")


def test_sentences_that_become_empty_are_left_out() -> None:
    assert fit_sentences(["ab", "☃", " b ", ""], AlphabetFitter(Alphabet(" ab"))) == ["ab", "b"]
