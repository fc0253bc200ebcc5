"""Tests of joining lines to sentences and laying texts out on lines again."""

from __future__ import annotations

import pytest

from glyphline.app.sentences import (
    Passage,
    is_capitals,
    join_lines,
    lay_out,
    paragraphs,
    passages,
    split_in_proportion,
    split_sentences,
)
from glyphline.page import Cell, Line


def make_lines(*texts: str, paragraph: int = 0) -> list[Line]:
    return [Line(text, 1.0, (), "", paragraph=paragraph, rejected=not text) for text in texts]


def test_lines_are_joined_and_their_spans_are_kept() -> None:
    passage = join_lines(make_lines("Please keep the", "infor-", "mation desk  free"), [0, 1, 2])
    assert passage.text == "Please keep the information desk free"
    assert [passage.text[start:end] for start, end in passage.spans] == ["Please keep the", "infor", "mation desk free"]


def test_a_hyphen_before_a_capital_stays() -> None:
    assert join_lines(make_lines("Baden-", "Württemberg"), [0, 1]).text == "Baden- Württemberg"


def test_paragraphs_end_at_rejected_lines_other_cells_and_other_paragraphs() -> None:
    cells = [Line("a", 1.0, (), "", cell=Cell(0, 0, column)) for column in (0, 1)]
    lines = [*make_lines("a", "b", "", "c"), *make_lines("d", paragraph=1), *cells]
    assert paragraphs(lines) == [[0, 1], [3], [4], [5], [6]]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Please wait here until you", "are called."], ["Please wait here until you are called."]),
        (["Opening hours", "Monday to Friday 9-17"], ["Opening hours", "Monday to Friday 9-17"]),
        (["Ring the bell.", "then wait"], ["Ring the bell.", "then wait"]),
        (["CAUTION", "the floor is wet"], ["CAUTION", "the floor is wet"]),
        (["Do not", "- run", "- shout"], ["Do not", "- run", "- shout"]),
        (["KEEP OUT OF REACH", "OF CHILDREN"], ["KEEP OUT OF REACH OF CHILDREN"]),
    ],
)  # fmt: skip
def test_passages(lines: list[str], expected: list[str]) -> None:
    made = make_lines(*lines)
    assert [passage.text for passage in passages(made, list(range(len(lines))))] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("At St. Mary's, No. 5. Ring twice.", ["At St. Mary's, No. 5.", "Ring twice."]),
        ("3. Etage links", ["3. Etage links"]),
        ("J. Smith lives here", ["J. Smith lives here"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


def test_every_line_of_a_sentence_gets_a_word_while_there_are_enough() -> None:
    assert split_in_proportion("RAUCHEN VERBOTEN", [2, 7]) == ["RAUCHEN", "VERBOTEN"]
    assert split_in_proportion("a b c d e f", [1, 1, 1]) == ["a b", "c d", "e f"]
    assert split_in_proportion("one", [5, 5]) == ["one", ""]
    assert split_in_proportion("", [5, 5]) == ["", ""]
    assert split_in_proportion("one two", [0, 3]) == ["", "one two"]


def test_laying_out_keeps_all_words_in_order() -> None:
    lines = make_lines("Please wait here until you are", "called. Thank you for", "your patience")
    passage = join_lines(lines, [0, 1, 2])
    sentences = split_sentences(passage.text)
    translations = ["Bitte warten Sie hier, bis Sie aufgerufen werden.", "Danke für Ihre Geduld"]
    texts = lay_out(passage, sentences, translations)
    assert " ".join(texts) == " ".join(translations)
    assert len(texts) == 3 and texts[2] in ("Ihre Geduld", "Geduld") and texts[0].startswith("Bitte warten Sie hier")
    assert lay_out(Passage((0,), "One. Two.", ((0, 9),)), ["One.", "Two."], ["Eins.", "Zwei."]) == ["Eins. Zwei."]


def test_capitals() -> None:
    assert is_capitals("ÄÖÜ 12!") and not is_capitals("A") and not is_capitals("Ab") and not is_capitals("12")
