"""A sheet of paper: its definition, its geometry, its PDF, the lines to copy."""

from __future__ import annotations

import json
import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from glyphline.alphabet import ALPHABETS
from glyphline.cli import main
from glyphline.composing import label_fonts
from glyphline.composing.label_fonts import LabelFonts
from glyphline.composing.sentences import read_sentences
from glyphline.composing.sheet import (
    CORNERS,
    LINE_COUNT,
    LINE_LENGTH,
    VALUES,
    VERSION,
    Sheet,
    choose_lines,
    explain_missing_lines,
    line_count_of,
    load_sheet,
    sheet_from_json,
)
from glyphline.composing.sheet_drawing import draw_guides, draw_page, render_sheet
from glyphline.composing.sheet_photos import find_page
from glyphline.errors import AlphabetError, DataError
from glyphline.imaging.documents import Document

ENGLISH = "".join(map(chr, range(33, 127)))


@pytest.mark.parametrize("paper", ["a4", "letter"])
def test_slots_are_on_the_page_apart_from_each_other_and_from_the_marks(paper: str) -> None:
    sheet = Sheet(ENGLISH, 4, tuple(f"line {k}" for k in range(12)), paper)
    width, height = sheet.size
    marks = [(*mark.min(axis=0), *mark.max(axis=0)) for mark in sheet.mark_corners()]
    for page in range(1, sheet.page_count + 1):
        boxes = [(s.left, s.top, s.right, s.bottom) for s in sheet.slots_of(page)]
        assert boxes and all(5 < a < c < width - 5 and 5 < b < d < height - 5 for a, b, c, d in boxes)
        everything = boxes + marks
        for k, (a, b, c, d) in enumerate(everything):
            assert all(c + 1 < e or g + 1 < a or d + 1 < f or h + 1 < b for e, f, g, h in everything[k + 1 :])
    written = [slot.text for slot in sheet.slots if not slot.is_line]
    assert written == [c for c in ENGLISH for _ in range(4)]
    assert [slot.text for slot in sheet.slots if slot.is_line] == list(sheet.lines)
    assert not any(a.page == b.page and a.is_line != b.is_line for a, b in pairwise(sheet.slots))


def test_marks_of_a_page_name_corner_page_and_sheet() -> None:
    sheet = Sheet("abc", 90 // 3, (), "a4")
    ids = sheet.mark_ids(1)
    assert [k // VALUES for k in ids] == list(range(len(CORNERS))) and max(ids) < 1000
    assert ids[0] == 1 and (ids[1] % VALUES) * VALUES + ids[2] % VALUES == sheet.identity and ids[3] % VALUES == VERSION
    others = [Sheet("abd", 30, (), "a4"), Sheet("abc", 29, (), "a4"), Sheet("abc", 30, ("x",), "a4")]
    assert sheet.identity not in {other.identity for other in others}
    assert sheet.identity == 11837  # printed sheets of today must be known tomorrow: change VERSION with the geometry


@pytest.mark.parametrize(
    ("characters", "copies", "paper", "message"),
    [
        ("abca", 4, "a4", "'a' more than once"), ("", 4, "a4", "no character"), ("a b", 4, "a4", "white space"),
        ("abc", 0, "a4", "1 to 40 boxes"), ("abc", 4, "a5", 'no paper "a5"; choices: a4, letter'),
        ("".join(map(chr, range(0x4E00, 0x4E00 + 9000))), 4, "a4", "more than 249"),
    ],
)  # fmt: skip
def test_impossible_sheets_are_refused(characters: str, copies: int, paper: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Sheet(characters, copies, (), paper)


def test_pdf_and_json_hold_the_definition_and_the_printed_page_its_marks(tmp_path: Path) -> None:
    sheet = Sheet("äb7", 3, ("Tür",), "letter")
    (tmp_path / "sheet.pdf").write_bytes(render_sheet(sheet))
    (tmp_path / "sheet.json").write_text(sheet.to_json())
    assert load_sheet(tmp_path / "sheet.pdf") == load_sheet(tmp_path / "sheet.json") == sheet
    with Document(tmp_path / "sheet.pdf") as document:
        assert len(document) == sheet.page_count == 2
        found = find_page(document.colour(1))
    assert (found.page, found.identity, found.version, found.turned) == (2, sheet.identity, VERSION, 0)
    pixels_per_mm = 200 / 25.4
    assert np.abs(found.corners / pixels_per_mm - sheet.mark_corners()).max() < 0.15


def test_guides_are_faint_and_where_the_slots_are() -> None:
    sheet = Sheet("ab", 3, (), "a4")
    guides = draw_guides(sheet, 1)
    assert guides[..., 0].min() == 255 and 120 < guides[..., 2].min() < 200  # red: it vanishes in the red channel
    slot = sheet.slots[4]
    scale = 300 / 25.4
    for x, y in ((slot.left, slot.top + 3), (slot.right, slot.top + 3), (slot.left + 5, slot.bottom)):
        assert guides[round(y * scale), round(x * scale), 2] < 200
    assert guides[round((slot.top + 1) * scale), round((slot.left + 5) * scale), 2] == 255


def test_print_above_a_box_keeps_away_from_it_and_from_the_box_above() -> None:
    sheet, scale = Sheet("gjpqyQÇ;,_|ÅÊ", 4, (), "a4"), 300 / 25.4
    page = draw_page(sheet, 1, LabelFonts())[..., 0]  # red, in which the boxes vanish
    for slot in sheet.slots:
        columns = slice(round(slot.left * scale), round(slot.right * scale))
        for far, near in ((0.9, 0.0), (6.0, 5.0)):  # mm above the box
            assert page[round((slot.top - far) * scale) : round((slot.top - near) * scale), columns].min() > 200
        assert page[round((slot.top - 5) * scale) : round((slot.top - 1) * scale), columns].min() < 60


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "holds no sheet"), ("no json", "holds no sheet"), ("[1]", "holds no sheet"),
        ('{"glyphline_sheet": 1, "characters": 5, "copies": 3, "lines": [], "paper": "a4"}', "holds no sheet"),
        (json.dumps({"glyphline_sheet": 99}), f"version 99, this glyphline knows version {VERSION}"),
    ],
)  # fmt: skip
def test_files_that_are_no_sheet_are_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"some.json .*{message}"):
        sheet_from_json(text, "some.json")


def test_missing_definition_and_other_pdf_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json cannot be read"):
        load_sheet(tmp_path / "gone.json")
    (tmp_path / "other.pdf").write_bytes(b"%PDF-1.4 something")
    with pytest.raises(DataError, match=r"other\.pdf holds no sheet"):
        load_sheet(tmp_path / "other.pdf")


def pairs(lines: tuple[str, ...] | list[str]) -> set[str]:
    return {a + b for line in lines for a, b in pairwise(line) if " " not in a + b}


def test_lines_to_copy_hold_more_pairs_than_the_first_sentences() -> None:
    sentences = read_sentences("built-in")
    lines = choose_lines(sentences, ENGLISH)
    assert len(lines) == LINE_COUNT == len(set(lines)) and all(len(line) <= LINE_LENGTH for line in lines)
    first = [s for s in sentences if LINE_LENGTH // 2 <= len(s) <= LINE_LENGTH][:LINE_COUNT]
    assert len(pairs(lines)) > 1.1 * len(pairs(first)) and set(lines) <= set(sentences)


@pytest.mark.parametrize("language", ["de", "fr", "es", "nl", "it", "pl", "pt", "da", "sv"])
def test_every_language_has_lines_to_copy_in_the_latin_alphabet(language: str) -> None:
    lines = choose_lines(read_sentences(f"built-in:{language}"), ALPHABETS["latin"])
    assert len(lines) == LINE_COUNT and any(not line.isascii() for line in lines) == (language != "nl")


def test_lines_keep_to_the_characters_of_the_sheet() -> None:
    assert choose_lines(["a long line of many words here", "short"], "0123456789") == ()
    assert choose_lines(["aaa bbb aaa bbb aaa bbb", "a", "ccc aaa bbb aaa"], "ab", length=14) == ("aaa bbb aaa",)
    with pytest.raises(DataError, match=r'language "xx"; .*choices: da, de, en'):
        read_sentences("built-in:xx")


def test_sentences_without_spaces_are_cut_between_their_characters() -> None:
    sentences = ["我能吞下玻璃而不伤身体，但是我不想每天都这样做。", "今天天气很好我们去公园散步", "短句"]
    characters = "".join(dict.fromkeys("".join(sentences)))
    assert set(choose_lines(sentences, characters)) == {"我能吞下玻璃而不伤身体，但是我不想每天", sentences[1]}
    assert "are shorter than 19 characters" in explain_missing_lines(sentences, characters)
    thai = "ที่นี่มีน้ำแข็งใสอร่อยมากที่สุดในเมืองนี้เลย"
    (line,) = choose_lines([thai], thai)
    assert thai.startswith(line) and len(line) <= LINE_LENGTH and unicodedata.category(thai[len(line)]) != "Mn"


@pytest.mark.parametrize(
    ("sentences", "reason"),
    [
        (["aaa bbb aaa", "aaa bbb äää", "ccc bbb äää", "aaa bbb äää"], "the other sentences hold ä c, which the sheet"),
        (["aaa bbb aaa", "a b"], "the other sentences are shorter than 7 characters"),
        (["aaa bbb ccc", "a"], "the sentences hold c, which the sheet lacks, or are shorter than 7 characters"),
        (["".join(map(chr, range(0x3B1, 0x3BF)))], "the sentences hold α β γ δ ε ζ η θ ι κ λ μ and 2 more, which"),
        (["aaa bbb aaa"], "there are no other sentences"), ([], "there are no other sentences"),
    ],
)  # fmt: skip
def test_why_there_are_few_lines_is_said(sentences: list[str], reason: str) -> None:
    assert explain_missing_lines(sentences, "ab", length=14).startswith(reason)


def test_character_that_no_font_draws_is_named() -> None:
    with pytest.raises(AlphabetError, match=r"draws '\\U0010fffe'.*--font"):
        render_sheet(Sheet("a\U0010fffe", 3, (), "a4"))
    with pytest.raises(DataError, match="is no font"):
        LabelFonts(Path("nowhere"))


def test_labels_have_accents_on_a_machine_without_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_fonts, "SYSTEM_FOLDERS", ())
    fonts = LabelFonts()
    fonts.check("Źródło: Straße, één œuf")
    pictures = []
    for text in ("ą", "ę", "\uffff"):  # a box for what no font draws
        picture = Image.new("L", (40, 40), 255)
        fonts.draw(ImageDraw.Draw(picture), (5, 30), text, 24, "ls")
        pictures.append(picture.tobytes())
    assert len(set(pictures)) == 3


# ------------------------------------------------------------------------------------------------------------- command


def run_sheet(*words: object, code: int = 0) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["sheet", *map(str, words)])
    assert exited.value.code == code


def test_sheet_that_may_be_printed_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, definition = tmp_path / "sheet.pdf", tmp_path / "sheet.json"
    words = "--out", out, "--alphabet", "äb7", "--copies", 1
    run_sheet(*words)
    run_sheet(*words)  # the same options give the same sheet
    before = definition.read_bytes()
    run_sheet(*words, "--paper", "letter", code=2)
    said = capsys.readouterr().err
    assert f"holds sheet {load_sheet(definition).identity:05d}" in said and f"delete {out} and {definition}" in said
    out.unlink()
    run_sheet(*words, "--paper", "letter", code=2)
    assert definition.read_bytes() == before
    definition.write_text("{}")
    run_sheet(*words, code=2)
    assert "sheet.json holds something else" in capsys.readouterr().err and definition.read_text() == "{}"


def test_path_that_cannot_be_written_and_damaged_font_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sheet("--out", tmp_path / f"{'x' * 300}.pdf", code=2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "File name too long" in said
    (tmp_path / "hand.ttf").write_bytes(b"\0" * 100)
    run_sheet("--out", tmp_path / "sheet.pdf", "--font", tmp_path / "hand.ttf", code=2)
    assert "hand.ttf is no font and holds none" in capsys.readouterr().err


@pytest.mark.parametrize(("paper", "count"), [("a4", 10), ("letter", 9)])
def test_lines_to_copy_fill_one_page(paper: str, count: int, tmp_path: Path) -> None:
    run_sheet("--out", tmp_path / "sheet.pdf", "--paper", paper, "--copies", 1)
    sheet = load_sheet(tmp_path / "sheet.pdf")
    pages = {slot.page for slot in sheet.slots if slot.is_line}
    assert len(sheet.lines) == count == line_count_of(paper) and len(pages) == 1


@pytest.mark.parametrize(("language", "letters"), [("en", ""), ("de", "äöüßÄÖÜ"), ("pl", "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ")])
def test_sheet_of_a_language_has_its_letters_and_ten_lines(
    language: str, letters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sheet("--out", tmp_path / "sheet.pdf", "--language", language, "--copies", 1)
    sheet, said = load_sheet(tmp_path / "sheet.json"), capsys.readouterr().err
    english = ALPHABETS["english"].replace(" ", "")
    assert sheet.characters.startswith(english) and set(letters) <= set(sheet.characters)
    assert bool(letters) == (len(sheet.characters) > len(english))
    assert len(sheet.lines) == LINE_COUNT and f"{LINE_COUNT} lines to copy" in said and "of 10 lines" not in said
    assert not letters or any(set(line) & set(letters) for line in sheet.lines)


def test_too_few_lines_and_an_unknown_language_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_sheet("--out", tmp_path / "de.pdf", "--language", "de", "--alphabet", "english", "--copies", 1)
    said = capsys.readouterr().err
    assert f"{len(load_sheet(tmp_path / 'de.json').lines)} of 10 lines to copy: the other sentences hold " in said
    assert "ü" in said and "--sentences text:FILE" in said
    run_sheet("--out", tmp_path / "xx.pdf", "--language", "xx", code=2)
    assert 'no language "xx"; choices: da, de' in capsys.readouterr().err
    assert not (tmp_path / "xx.pdf").exists()


def test_letters_that_join_are_said_to_be_of_no_use_as_glyphs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lines.txt").write_text("كتاب كتاب كتاب كتاب\n", encoding="utf-8")
    out, words = tmp_path / "sheet.pdf", ("--alphabet", "كتاب", "--copies", 1)
    run_sheet("--out", out, *words, code=2)
    said = capsys.readouterr().err
    assert "4 characters join or combine" in said and "give lines with --sentences" in said
    assert not out.exists()
    run_sheet("--out", out, *words, "--sentences", f"text:{tmp_path / 'lines.txt'}")
    said = capsys.readouterr().err
    assert "4 characters join or combine" in said and "glyphline adapt --lines" in said
    run_sheet("--out", tmp_path / "digits.pdf", "--alphabet", "12e\u0301", "--copies", 1)
    assert "characters join" not in capsys.readouterr().err and load_sheet(tmp_path / "digits.json").characters == "12é"
