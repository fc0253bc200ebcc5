"""Formats: what was read comes back out of what was written."""

from __future__ import annotations

import csv
import io
import json

import pytest

from glyphline.errors import UserError
from glyphline.page import Character, Line, Page
from glyphline.reading.formats import FORMATS, open_format


def line(text: str, confidence: float = 0.98765) -> Line:
    characters = tuple(Character(c, confidence, 10.04 * k, 10.04 * k + 9) for k, c in enumerate(text))
    return Line(text, confidence, ((0, 0), (99, 0), (99, 28), (0, 28)), "reader", characters)


PAGES = [
    Page(200, 28, (line("Plain words"),)),
    Page(10, 20),
    Page(640, 480, (line('She said "no",\tand left.'), line("Grüße, Ωmega - 漢字", 0.5), line("back\\slash 'q'"))),
]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_ends_without_a_newline(name: str) -> None:
    for pages in ([], PAGES[:1], PAGES, PAGES[1:2]):
        said = open_format(name)("some.png", pages)
        assert isinstance(said, str) and not said.endswith("\n")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_every_line_in_order(name: str) -> None:
    said = open_format(name)("some.png", [Page(9, 9, tuple(line(word) for word in ("one", "two", "three")))])
    assert said.index("one") < said.index("two") < said.index("three")


def test_text_is_the_lines_and_nothing_else() -> None:
    page = PAGES[2]
    assert open_format("text")("a.png", [page]).split("\n") == [each.text for each in page.lines]
    assert open_format("text")("a.png", PAGES[:1]) == "Plain words"


def test_json_is_one_object_with_everything() -> None:
    said = open_format("json")("ä b.png", PAGES)
    assert "\n" not in said
    found = json.loads(said)
    assert found == json.loads(json.dumps({"file": "ä b.png", "pages": [page.to_dict() for page in PAGES]}))
    for page, kept in zip(PAGES, found["pages"], strict=True):
        assert (kept["width"], kept["height"]) == (page.width, page.height)
        for each, told in zip(page.lines, kept["lines"], strict=True):
            assert set(told) == {"text", "confidence", "polygon", "engine", "paragraph", "words", "characters"}
            assert told["text"] == each.text == "".join(c["text"] for c in told["characters"])
            assert [word["text"] for word in told["words"]] == each.text.split()
            assert told["confidence"] == pytest.approx(each.confidence, abs=1e-4)


def test_tsv_reads_back_as_it_was() -> None:
    said = open_format("tsv")("a\tb.png", PAGES)
    rows = list(csv.reader(io.StringIO(said), dialect="excel-tab"))
    wanted = [(n, k, each) for n, page in enumerate(PAGES, 1) for k, each in enumerate(page.lines, 1)]
    assert len(rows) == len(wanted)
    for (file, page, number, confidence, text), (n, k, each) in zip(rows, wanted, strict=True):
        assert (file, int(page), int(number), text) == ("a\tb.png", n, k, each.text)
        assert float(confidence) == pytest.approx(each.confidence, abs=1e-4)


def test_an_unknown_format_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError, match=r'no format "jsn"; did you mean "json"\? choices: .*text'):
        open_format("jsn")
