"""Pages, their lines, and the words that are built from characters."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import pytest

from glyphline.page import Cell, Character, Line, Page, Word, table_grid

SQUARE = ((0.0, 0.0), (9.06, 0.0), (9.06, 5.0), (0.0, 5.0))


def make_line(text: str) -> Line:
    """A line whose character i lies in columns i .. i + 1 and has confidence 1 / (i + 1)."""
    characters = tuple(Character(c, 1 / (i + 1), float(i), i + 1.0) for i, c in enumerate(text))
    return Line(text, min((c.confidence for c in characters), default=1.0), SQUARE, "reader", characters)


@pytest.mark.parametrize("text", ["", " ", "one", "two words", "  a  b ", "a\tb", "x y z"])
def test_words_are_split_at_white_space(text: str) -> None:
    assert [w.text for w in make_line(text).words] == text.split()


def test_word_of_mixed_directions_spans_its_characters() -> None:
    """The word is seen as 12-ב: its first character is the rightmost, its last one in the middle."""
    places = {"ב": 3, "-": 2, "1": 0, "2": 1}
    characters = [
        Character(
            c, 0.9, 10.0 * k, 10.0 * k + 8, ((10.0 * k, 0.0), (10.0 * k + 8, 0.0), (10.0 * k + 8, 9.0), (10.0 * k, 9.0))
        )
        for c, k in places.items()
    ]
    (word,) = Line("ב-12", 0.9, (), "", tuple(characters)).words
    assert (word.left, word.right) == (0, 38) and word.polygon == ((0, 0), (38, 0), (38, 9), (0, 9))


@pytest.mark.parametrize("text", ["one", "two words", " a bc "])
def test_word_spans_its_characters_and_has_their_lowest_confidence(text: str) -> None:
    for word in make_line(text).words:
        start, end = int(word.left), int(word.right)
        assert text[start:end] == word.text
        assert word.confidence == pytest.approx(1 / end)


def test_character_may_be_several_code_points() -> None:
    ligature = Line("ﬁn", 1.0, (), "", (Character("fi", 1.0, 0.0, 1.0), Character("n", 1.0, 1.0, 2.0)))
    assert [w.text for w in ligature.words] == ["fin"]


def test_text_of_a_page_joins_lines_that_are_not_rejected() -> None:
    page = Page(10, 20, (make_line("one two"), make_line(""), make_line("three")))
    assert page.text.split("\n") == ["one two", "", "three"]
    assert Page(1, 1).text == ""
    assert (
        Page(10, 20, (make_line("one"), dataclasses.replace(make_line(""), rejected=True), make_line("two"))).text
        == "one\ntwo"
    )


def test_words_have_characters_only_if_these_spell_them() -> None:
    words = [
        (word.text, "".join(c.text for c in characters))
        for word, characters in make_line(" two  words").words_with_characters
    ]
    assert words == [("two", "two"), ("words", "words")]
    corrected = dataclasses.replace(
        make_line("teh end"), words=(Word("the", 1.0, 0.0, 3.0), Word("end", 1.0, 4.0, 7.0))
    )
    assert [(word.text, characters) for word, characters in corrected.words_with_characters] == [
        ("the", ()),
        ("end", ()),
    ]
    assert make_line("").words_with_characters == []


def test_plain_data_is_json_with_all_fields() -> None:
    page = Page(100, 50, (make_line("two words"), make_line("")))
    data = page.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert (data["width"], data["height"], len(data["lines"])) == (100, 50, 2)
    first = data["lines"][0]
    assert set(first) == {"text", "confidence", "polygon", "recognizer", "paragraph", "words", "characters", "rejected",
                          "language", "reason", "cell"}  # fmt: skip
    assert "".join(c["text"] for c in first["characters"]) == first["text"] == "two words"
    assert [w["text"] for w in first["words"]] == first["text"].split()
    assert first["polygon"][1] == [9.1, 0.0] and first["characters"][2]["confidence"] == 0.3333
    assert "polygon" not in first["characters"][0]  # if it is unknown
    character = Character("a", 0.5, 1.0, 2.0, ((1.04, 0.0), (2.0, 0.0), (2.0, 9.0), (1.0, 9.0)))
    rotated = Page(9, 9, (Line("a", 0.5, (), "", (character,)),), number=3, rotation=90).to_dict()
    assert (rotated["number"], rotated["rotation"]) == (3, 90)
    assert rotated["lines"][0]["characters"][0]["polygon"][0] == [1.0, 0.0]
    assert rotated["lines"][0]["words"][0]["polygon"] == [[1.0, 0.0], [2.0, 0.0], [2.0, 9.0], [1.0, 9.0]]


def make_cell(text: str, row: int, column: int, table: int = 0, rejected: bool = False) -> Line:
    box = ((10.0 * column, 5.0 * row), (10.0 * column + 8, 5.0 * row), (10.0 * column + 8, 5.0 * row + 4),
           (10.0 * column, 5.0 * row + 4))  # fmt: skip
    return replace(make_line(text), polygon=box, cell=Cell(table, row, column), rejected=rejected)


def test_table_keeps_its_rows_and_empty_cells() -> None:
    cells = [make_cell("tea", 0, 0), make_cell("1", 0, 1), make_cell("green", 1, 0), make_cell("tea", 1, 0),
             make_cell("a guess", 1, 1, rejected=True), make_cell("2.50", 1, 2)]  # fmt: skip
    page = Page(100, 50, (make_line("Bill"), *cells, make_line("Thanks")))
    assert page.text == "Bill\ntea\t1\t\ngreen tea\t\t2.50\nThanks"
    (table,) = page.tables
    assert table.rows == (("tea", "1", ""), ("green tea", "", "2.50"))
    assert table.polygon == ((0, 0), (28, 0), (28, 9), (0, 9))
    assert [len(block) for block in page.paragraphs] == [1, 6, 1]
    assert page.to_dict()["tables"][0]["rows"] == [["tea", "1", ""], ["green tea", "", "2.50"]]
    assert page.to_dict()["lines"][1]["cell"] == {"table": 0, "row": 0, "column": 0}


def test_two_tables_in_a_row_stay_two() -> None:
    page = Page(9, 9, (make_cell("a", 0, 0), make_cell("b", 0, 1), make_cell("c", 0, 0, 1), make_cell("d", 0, 1, 1)))
    assert page.text == "a\tb\nc\td" and [table.rows for table in page.tables] == [(("a", "b"),), (("c", "d"),)]
    assert Page(9, 9, (make_line("a"),)).tables == ()


def test_grid_refuses_lines_outside_tables() -> None:
    assert table_grid([]) == []
    with pytest.raises(ValueError, match="in no table"):
        table_grid([make_line("a")])


def test_pages_are_immutable_and_compare_by_value() -> None:
    assert Page(1, 2, (make_line("a"),)) == Page(1, 2, (make_line("a"),)) != Page(1, 2, (make_line("b"),))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Page(1, 2).width = 3  # type: ignore[misc]
