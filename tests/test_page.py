"""Pages: what was read, and the words that follow from its characters."""

from __future__ import annotations

import dataclasses
import json

import pytest

from glyphline.page import Character, Line, Page, Word

SQUARE = ((0.0, 0.0), (9.06, 0.0), (9.06, 5.0), (0.0, 5.0))


def line(text: str) -> Line:
    """A line whose character k stands in columns k .. k + 1 and is sure to 1 / (k + 1)."""
    characters = tuple(Character(c, 1 / (k + 1), float(k), k + 1.0) for k, c in enumerate(text))
    return Line(text, min((c.confidence for c in characters), default=1.0), SQUARE, "reader", characters)


@pytest.mark.parametrize("text", ["", " ", "one", "two words", "  a  b ", "a\tb", "x y z"])
def test_words_are_what_stands_between_spaces(text: str) -> None:
    assert [w.text for w in line(text).words] == text.split()


@pytest.mark.parametrize("text", ["one", "two words", " a bc "])
def test_a_word_spans_its_characters_and_is_as_sure_as_the_least_sure(text: str) -> None:
    for word in line(text).words:
        start, end = int(word.left), int(word.right)
        assert text[start:end] == word.text
        assert word.confidence == pytest.approx(1 / end)


def test_a_character_may_be_several_code_points() -> None:
    ligature = Line("ﬁn", 1.0, (), "", (Character("fi", 1.0, 0.0, 1.0), Character("n", 1.0, 1.0, 2.0)))
    assert [w.text for w in ligature.words] == ["fin"]


def test_the_text_of_a_page_is_its_lines_in_order() -> None:
    page = Page(10, 20, (line("one two"), line(""), line("three")))
    assert page.text.split("\n") == ["one two", "", "three"]
    assert Page(1, 1).text == ""
    assert Page(10, 20, (line("one"), dataclasses.replace(line(""), rejected=True), line("two"))).text == "one\ntwo"


def test_words_know_their_characters_if_these_spell_them() -> None:
    said = [
        (word.text, "".join(c.text for c in characters))
        for word, characters in line(" two  words").words_with_characters
    ]
    assert said == [("two", "two"), ("words", "words")]
    other = dataclasses.replace(line("teh end"), words=(Word("the", 1.0, 0.0, 3.0), Word("end", 1.0, 4.0, 7.0)))
    assert [(word.text, characters) for word, characters in other.words_with_characters] == [("the", ()), ("end", ())]
    assert line("").words_with_characters == []


def test_plain_data_survives_json() -> None:
    page = Page(100, 50, (line("two words"), line("")))
    said = page.to_dict()
    assert json.loads(json.dumps(said)) == said
    assert (said["width"], said["height"], len(said["lines"])) == (100, 50, 2)
    first = said["lines"][0]
    assert set(first) == {"text", "confidence", "polygon", "recognizer", "paragraph", "words", "characters", "rejected"}
    assert "".join(c["text"] for c in first["characters"]) == first["text"] == "two words"
    assert [w["text"] for w in first["words"]] == first["text"].split()
    assert first["polygon"][1] == [9.1, 0.0] and first["characters"][2]["confidence"] == 0.3333
    assert "polygon" not in first["characters"][0]  # where none was told
    around = Character("a", 0.5, 1.0, 2.0, ((1.04, 0.0), (2.0, 0.0), (2.0, 9.0), (1.0, 9.0)))
    placed = Page(9, 9, (Line("a", 0.5, (), "", (around,)),), number=3, rotation=90).to_dict()
    assert (placed["number"], placed["rotation"]) == (3, 90)
    assert placed["lines"][0]["characters"][0]["polygon"][0] == [1.0, 0.0]
    assert placed["lines"][0]["words"][0]["polygon"] == [[1.0, 0.0], [2.0, 0.0], [2.0, 9.0], [1.0, 9.0]]


def test_pages_are_values() -> None:
    assert Page(1, 2, (line("a"),)) == Page(1, 2, (line("a"),)) != Page(1, 2, (line("b"),))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Page(1, 2).width = 3  # type: ignore[misc]
