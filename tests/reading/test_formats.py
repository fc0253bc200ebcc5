"""Tests of the output formats: documents of any page are valid and hold the text of the page."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium_c
import pytest
from lxml import etree
from markdown_it import MarkdownIt

from glyphline.errors import UserError
from glyphline.imaging.documents import ColourImage
from glyphline.page import Cell, Character, Line, Page, Polygon, Word
from glyphline.reading.formats import FORMATS, open_format
from glyphline.reading.formats.complete import complete_page, sanitize_text
from glyphline.reading.formats.markdown import join_lines

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE.parents[1] / "docs" / "page.schema.json").read_text(encoding="utf-8"))
ALTO = "{http://www.loc.gov/standards/alto/ns-v4#}"
PAGE = "{http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15}"
HTML = "{http://www.w3.org/1999/xhtml}"
JOINED_FORMATS = [name for name, output_format in FORMATS.items() if output_format.join_documents]
POINTS_PER_PIXEL = 72 / 200

CharacterOrWord = TypeVar("CharacterOrWord", Character, Word)


def blank_image(page: Page) -> ColourImage:
    """A white image of the size of a page."""
    return np.full((page.height, page.width, 3), 255, np.uint8)


def render_str(name: str, pages: Sequence[Page], file: str = "some.png") -> str:
    """Render pages in a format whose documents are text."""
    document = open_format(name).render(file, pages, blank_image)
    assert isinstance(document, str)
    return document


def make_line(
    text: str, x: float = 10, y: float = 10, degrees: float = 0, confidence: float = 0.98765, **fields: object
) -> Line:
    """A line that starts at (x, y) and slopes down by `degrees`; its characters are 20 px wide and 40 px tall."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def around(left: float, right: float) -> Polygon:
        level = ((left, 0), (right, 0), (right, 40), (left, 40))
        return tuple((x + s * cos - t * sin, y + s * sin + t * cos) for s, t in level)

    characters = []
    for k, character in enumerate(text):
        polygon = around(20 * k, 20 * k + 18)
        left, right = min(c[0] for c in polygon), max(c[0] for c in polygon)
        characters.append(Character(character, confidence, left, right, polygon))
    return Line(text, confidence, around(0, 20 * len(text)), "reader", tuple(characters), **fields)  # type: ignore[arg-type]


def rotate_page(page: Page, rotation: int) -> Page:
    """The page of an image that has to be rotated by `rotation` degrees to show the upright `page`."""
    for _ in range(rotation // 90):
        page = _rotate_quarter(page)
    return replace(page, rotation=rotation)


def _rotate_quarter(page: Page) -> Page:
    """The page rotated clockwise by 90 degrees."""

    def rotate_item(item: CharacterOrWord) -> CharacterOrWord:
        polygon = rotate_polygon(item.polygon)
        return replace(item, polygon=polygon, left=min(x for x, _ in polygon), right=max(x for x, _ in polygon))

    def rotate_polygon(polygon: Polygon) -> Polygon:
        return tuple((page.height - y, x) for x, y in polygon)

    lines = tuple(
        replace(line, polygon=rotate_polygon(line.polygon), characters=tuple(map(rotate_item, line.characters)),
                words=tuple(map(rotate_item, line.words)))
        for line in page.lines
    )  # fmt: skip
    return Page(page.height, page.width, lines, page.number)


PLAIN_PAGE = Page(900, 400, (make_line("Plain words"), make_line("and more", y=80)))
TWO_PARAGRAPHS = Page(
    900, 400, (make_line("First one"), make_line("goes on", y=80), make_line("Second", y=200, paragraph=1))
)
REJECTED_LINE = Line("", 0.3, ((10, 300), (400, 300), (400, 340), (10, 340)), "reader", rejected=True)


def make_cell(text: str, row: int, column: int, **fields: object) -> Line:
    return make_line(text, 10 + 300 * column, 90 + 60 * row, paragraph=1, cell=Cell(0, row, column), **fields)


TABLE_ROWS = [["Item", "", "Price"], ["Tea | \\ <b>", "1", "2.50"], ["x", "", ""]]
TABLE_PAGE = Page(
    900,
    600,
    (
        make_line("Bill"),
        *(make_cell(text, r, c) for r, row in enumerate(TABLE_ROWS) for c, text in enumerate(row) if text),
        replace(REJECTED_LINE, paragraph=1, cell=Cell(0, 2, 2)),
        make_line("Thanks", y=400, paragraph=2),
    ),
)
#: pages that are difficult to render
PAGES = {
    "plain": PLAIN_PAGE,
    "paragraphs": TWO_PARAGRAPHS,
    "empty page": Page(10, 20),
    "one pixel": Page(1, 1, (make_line("a"),)),
    "two languages": Page(
        900, 400, (make_line("Bonjour", language="fr"), make_line("hello", y=80, language="en")), language="fr"
    ),
    "no language": Page(900, 400, (make_line("qwzx", language="none"),), language="none"),
    "sloping": Page(900, 900, (make_line("runs down", 50, 50, 10), make_line("runs up", 50, 500, -10))),
    "rejected": Page(900, 400, (make_line("read"), REJECTED_LINE, make_line("too", y=80))),
    "all rejected": Page(900, 400, (REJECTED_LINE,)),
    "rejected with text": Page(900, 400, (make_line("read"), replace(make_line("a guess", y=80), rejected=True))),
    "ligature": Page(900, 400, (Line("fin", 0.9, (), "", (Character("fi", 0.9, 5, 9), Character("n", 0.9, 9, 12))),)),
    "scripts": Page(
        900, 400, (make_line("Grüße, Ωmega – 漢字 家"), make_line("שלום नमस्ते", y=80), make_line("𝔘 😀 e\u0301", y=160))
    ),
    "markup": Page(900, 400, (make_line("""<b> & "it's" &amp; ]]> <!-- -->"""), make_line("# *_`[x](y)", y=80))),
    "controls": Page(
        900, 400, (make_line("a\x00b\x07 \x1bc\ufffe"), make_line("\x01\x02", y=80), make_line("\ud800x \udcff", y=160))
    ),
    "spaces": Page(
        900, 400, (make_line("  two  spaces "), make_line(" ", y=80), make_line("tab\tbed\nnew\u3000wide", y=160))
    ),
    "no polygons": Page(900, 400, (Line("no place known", 0.9, (), ""), Line("nor here", 0.8, (), ""))),
    "line polygon only": Page(900, 400, (Line("only a polygon", 0.9, PLAIN_PAGE.lines[0].polygon, ""),)),
    "columns only": Page(
        900,
        400,
        (Line("ab c", 0.9, (), "", tuple(Character(c, 0.9, 9.0 * k, 9.0 * k + 8) for k, c in enumerate("ab c"))),),
    ),
    "no text": Page(900, 400, (Line("", 1.0, (), ""), Line("", 1.0, PLAIN_PAGE.lines[0].polygon, ""))),
    "words differ from characters": Page(
        900, 400, (replace(make_line("teh end"), words=(Word("the", 0.9, 10, 70), Word("end", 0.8, 90, 150))),)
    ),
    "outside the image": Page(
        100,
        50,
        (make_line("partly outside", -30, -7.5), make_line("wholly", 500, 500), make_line("so too", -900, -900)),
    ),
    "five points": Page(
        900, 400, (replace(PLAIN_PAGE.lines[0], polygon=((9, 9), (99, 5), (200, 9), (200, 50), (9, 50))),)
    ),
    "one point": Page(900, 400, (replace(PLAIN_PAGE.lines[0], polygon=((9, 9),)),)),
    "confidence out of range": Page(
        900, 400, (make_line("beyond", confidence=1.2), make_line("below", y=80, confidence=-0.1))
    ),
    "rotated 90": rotate_page(TWO_PARAGRAPHS, 90),
    "rotated 180": rotate_page(TWO_PARAGRAPHS, 180),
    "rotated 270": rotate_page(TWO_PARAGRAPHS, 270),
    "third page": replace(PLAIN_PAGE, number=3),
    "table": TABLE_PAGE,
    "table on its side": rotate_page(TABLE_PAGE, 90),
    "two tables": Page(
        900,
        600,
        tuple(
            replace(line, cell=line.cell and replace(line.cell, table=int(k > 3)))
            for k, line in enumerate(TABLE_PAGE.lines)
        ),
    ),
}
FILES = [
    "plain.png",
    "quo\"te's & <tags>; x.png",
    "bytes\udcff\udc80.png",
    "tab\tnew\nline\x07.png",
    "back\\slash.png",
    "",
]
any_page = pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))


# --------------------------------------------------------------------------------------------------------- all formats


def test_format_table_is_consistent() -> None:
    assert list(FORMATS) == ["text", "json", "tsv", "markdown", "hocr", "alto", "page", "pdf"]
    assert len({output_format.suffix for output_format in FORMATS.values()}) == len(FORMATS)
    for name, output_format in FORMATS.items():
        assert output_format.suffix.startswith(".") and output_format.help.startswith(f"{name}: ")
    assert JOINED_FORMATS == ["text", "json", "tsv", "markdown"]
    assert [name for name, output_format in FORMATS.items() if output_format.single_page] == ["page"]


@pytest.mark.parametrize("name", FORMATS)
@any_page
def test_any_page_renders_deterministically(name: str, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    file = FILES[2]
    document = open_format(name).render(file, [page], blank_image)
    assert document == open_format(name).render(file, [page], blank_image)
    if isinstance(document, str):
        document.encode("utf-8")  # fails for lone surrogates
        assert not document.endswith("\n")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("file", FILES)
def test_any_file_name_renders(name: str, file: str) -> None:
    document = open_format(name).render(file, [PLAIN_PAGE], blank_image)
    if isinstance(document, str):
        document.encode("utf-8")


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "pdf"])
def test_only_pdf_loads_page_images(name: str) -> None:
    def refuse(page: Page) -> ColourImage:
        raise AssertionError

    open_format(name).render("some.png", [PLAIN_PAGE], refuse)


@pytest.mark.parametrize("name", JOINED_FORMATS)
def test_joined_formats_keep_line_order_and_end_without_newline(name: str) -> None:
    for pages in ([], [PLAIN_PAGE], [PLAIN_PAGE, TWO_PARAGRAPHS], [Page(1, 1)]):
        assert not render_str(name, pages).endswith("\n")
    document = render_str(name, [PLAIN_PAGE, TWO_PARAGRAPHS])
    positions = [document.index(line.text) for page in (PLAIN_PAGE, TWO_PARAGRAPHS) for line in page.lines]
    assert positions == sorted(positions)


def test_unknown_format_is_refused_with_choices() -> None:
    with pytest.raises(UserError, match=r'no format "jsn"; did you mean "json"\? choices: .*text'):
        open_format("jsn")


# ----------------------------------------------------------------------------------------------------- text, JSON, TSV


def test_text_holds_only_the_accepted_lines() -> None:
    assert render_str("text", [TWO_PARAGRAPHS]).split("\n") == ["First one", "goes on", "Second"]
    assert render_str("text", [PLAIN_PAGE, Page(1, 1), PAGES["all rejected"], PLAIN_PAGE]) == "\n".join(
        2 * ["Plain words", "and more"]
    )
    assert render_str("text", [PAGES["rejected"]]) == "read\ntoo"
    assert render_str("text", [PAGES["rejected with text"]]) == "read"
    assert render_str("text", [Page(1, 1)]) == ""


def test_xml_formats_say_why_a_line_was_rejected() -> None:
    reasons = ("too many characters are uncertain", "writing this reader does not know", None)
    lines = [replace(REJECTED_LINE, reason=reason) for reason in (*reasons, reasons[0])]
    page = Page(900, 400, (make_line("read"), *lines))
    root = parse_valid_xml(render_str("alto", [page], FILES[1]), "alto-4-4.xsd")
    tags = {tag.get("ID"): tag.get("DESCRIPTION") for tag in root.iter(f"{ALTO}OtherTag")}
    told = [tags.get(row.get("TAGREFS")) for row in root.iter(f"{ALTO}TextLine")]
    assert told == [None, reasons[0], reasons[1], None, reasons[0]] and len(tags) == 3
    root = parse_valid_xml(render_str("page", [page], FILES[1]), "pagecontent.xsd")
    comments = [row.get("comments") for row in root.iter() if row.tag.endswith("}TextLine")]
    assert comments == [None, *(f"rejected: {r}" if r else "rejected" for r in (*reasons, reasons[0]))]
    titles = re.findall(r'ocr_line"[^>]*title="([^"]*)"', render_str("hocr", [page]))
    told = [title.partition("x_rejected ")[2] for title in titles]
    assert told == ["", *(f"&quot;{reason or ''}&quot;" for reason in (*reasons, reasons[0]))]


def test_json_is_one_object_with_all_pages() -> None:
    document = render_str("json", [PLAIN_PAGE, TWO_PARAGRAPHS], "ä b.png")
    assert "\n" not in document
    assert json.loads(document) == json.loads(
        json.dumps({"file": "ä b.png", "pages": [page.to_dict() for page in (PLAIN_PAGE, TWO_PARAGRAPHS)]})
    )
    for page, page_data in zip((PLAIN_PAGE, TWO_PARAGRAPHS), json.loads(document)["pages"], strict=True):
        for line, line_data in zip(page.lines, page_data["lines"], strict=True):
            assert line_data["text"] == line.text == "".join(c["text"] for c in line_data["characters"])
            assert [word["text"] for word in line_data["words"]] == line.text.split()
            assert line_data["confidence"] == pytest.approx(line.confidence, abs=1e-4)


@pytest.mark.parametrize(
    "name", [name for name in PAGES if name not in ("confidence out of range", "rejected with text")]
)
def test_json_matches_the_schema(name: str) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    validator.validate(json.loads(render_str("json", [PAGES[name], PLAIN_PAGE])))


def test_schema_refuses_invalid_pages() -> None:
    good = json.loads(render_str("json", [PAGES["rejected"]]))
    validator = jsonschema.Draft202012Validator(SCHEMA)
    damages: list[Callable[[dict], object]] = [  # type: ignore[type-arg]
        lambda page: page.update(rotation=45),
        lambda page: page.update(extra=1),
        lambda page: page.pop("width"),
        lambda page: page["lines"][0].update(confidence=1.2),
        lambda page: page["lines"][0].update(polygon=[[1, 2, 3]]),
        lambda page: page["lines"][0]["words"][0].pop("left"),
        lambda page: page["lines"][1].update(text="text of a rejected line"),
    ]
    for damage in damages:
        bad = json.loads(json.dumps(good))
        damage(bad["pages"][0])
        assert not validator.is_valid(bad)


def test_documentation_covers_every_field_and_format() -> None:
    documentation = (HERE.parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")
    fields = {field for kind in (SCHEMA, *SCHEMA["$defs"].values()) for field in kind.get("properties", {})}
    assert not [field for field in fields if not re.search(rf"\b{field}\b", documentation)]
    assert not [
        name
        for name, output_format in FORMATS.items()
        if f"| `{name}` | `{output_format.suffix}` |" not in documentation
    ]


def test_tsv_parses_back_to_the_lines() -> None:
    pages = [PLAIN_PAGE, TABLE_PAGE, Page(9, 9), PAGES["markup"], Page(9, 9, (make_line('a\t"b"'),))]
    rows = list(csv.reader(io.StringIO(render_str("tsv", pages, "a\tb.png")), dialect="excel-tab"))
    expected = [(n, k, line) for n, page in enumerate(pages, 1) for k, line in enumerate(page.lines, 1)]
    assert len(rows) == len(expected)
    for (file, page, number, confidence, text, *place), (n, k, line) in zip(rows, expected, strict=True):
        assert (file, int(page), int(number), text) == ("a\tb.png", n, k, line.text)
        assert place == (["1", str(line.cell.row + 1), str(line.cell.column + 1)] if line.cell else ["", "", ""])
        assert float(confidence) == pytest.approx(line.confidence, abs=1e-4)


def test_table_keeps_its_rows_in_every_format() -> None:
    assert render_str("text", [TABLE_PAGE]).split("\n") == ["Bill", *map("\t".join, TABLE_ROWS), "Thanks"]
    assert json.loads(render_str("json", [TABLE_PAGE]))["pages"][0]["tables"][0]["rows"] == TABLE_ROWS
    root = ElementTree.fromstring(render_str("hocr", [TABLE_PAGE]))
    rows = [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in root.iter(f"{HTML}tr")]
    assert rows == TABLE_ROWS
    alto = parse_valid_xml(render_str("alto", [TABLE_PAGE]), "alto-4-4.xsd")
    (table,) = (block for block in alto.iter(f"{ALTO}ComposedBlock") if block.get("TYPE") == "table")
    assert [[cell.get("ID", "")[-3:] for cell in row] for row in table] == [
        [f"{r + 1}_{c + 1}" for c, text in enumerate(row) if text or (r, c) == (2, 2)]
        for r, row in enumerate(TABLE_ROWS)
    ]
    page = parse_valid_xml(render_str("page", [TABLE_PAGE]), "pagecontent.xsd")
    (region,) = page.iter(f"{PAGE}TableRegion")
    assert (region.get("rows"), region.get("columns")) == ("3", "3")
    for cell in region.iter(f"{PAGE}TextRegion"):
        role = cell.find(f"{PAGE}Roles/{PAGE}TableCellRole")
        assert role is not None
        row, column = int(role.get("rowIndex", "")), int(role.get("columnIndex", ""))
        assert (cell.findtext(f"{PAGE}TextEquiv/{PAGE}Unicode") or "") == TABLE_ROWS[row][column]


# ------------------------------------------------------------------------------------------------------------- Markdown


def parse_markdown(markdown: str) -> list[str]:
    """The paragraphs and cells of a Markdown text, and --- for a rule. Fails on any other markup."""
    blocks = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        is_table = token.type.removesuffix("_open").removesuffix("_close") in (
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
        )
        assert is_table or token.type in ("paragraph_open", "paragraph_close", "inline", "hr"), token
        if token.type == "inline":
            assert {child.type for child in token.children} <= {"text", "text_special"}, token.children
            blocks.append("".join(child.content for child in token.children))
        elif token.type == "hr":
            blocks.append("---")
    return blocks


def test_markdown_holds_tables() -> None:
    markdown = render_str("markdown", [TABLE_PAGE])
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    cells = [tokens[k + 1].content for k, token in enumerate(tokens) if token.type in ("th_open", "td_open")]
    assert [cell.replace("\\", "") for cell in cells] == [cell.replace("\\", "") for row in TABLE_ROWS for cell in row]
    assert markdown.startswith("Bill\n\n| Item |  | Price |\n| --- | --- | --- |\n")
    assert markdown.endswith("\n\nThanks") and len(markdown.splitlines()) == 8


def test_markdown_separates_paragraphs_and_pages() -> None:
    assert (
        render_str("markdown", [TWO_PARAGRAPHS, Page(1, 1), PLAIN_PAGE])
        == "First one goes on\n\nSecond\n\n---\n\nPlain words and more"
    )


@pytest.mark.parametrize(
    "text",
    ["# no heading", "- no list", "+ 1", "1. one", "12) two", "> said", "---", "===", "***", "a_b_c *d* `e`",
     "[x](y) ![z]", "<b>bold</b>", "&amp; &#38; & co", "back\\slash", "~~gone~~", "| a | b |", "    code", "```",
     "2 + 2 = 4", "1.5 m", "$1 a"],
)  # fmt: skip
def test_markdown_escapes_markup(text: str) -> None:
    page = Page(9, 9, (Line(text, 1.0, (), ""), Line(text, 1.0, (), ""), Line(text, 1.0, (), "", paragraph=1)))
    paragraph = " ".join(text.split())
    assert parse_markdown(render_str("markdown", [page, page])) == [
        f"{paragraph} {paragraph}",
        paragraph,
        "---",
        f"{paragraph} {paragraph}",
        paragraph,
    ]


@any_page
def test_markdown_holds_the_words_of_any_page(page: Page) -> None:
    words = [word for line in page.lines if not line.rejected for word in sanitize_text(line.text).split()]
    assert "".join(parse_markdown(render_str("markdown", [page]))).replace(" ", "") == "".join(words)


@pytest.mark.parametrize(
    ("lines", "paragraph"),
    [(["a para-", "graph"], "a paragraph"), (["Jean-", "Paul"], "Jean-Paul"), (["one", "two"], "one two"),
     (["-", "x"], "- x"), (["1914-", "1918"], "1914- 1918"), (["大", "家"], "大家"), (["大", "a"], "大 a"),
     (["한국", "어"], "한국 어"), (["so‐", "called"], "socalled")],
)  # fmt: skip
def test_join_lines_handles_hyphens_and_scripts(lines: list[str], paragraph: str) -> None:
    assert join_lines(*lines) == paragraph


# ----------------------------------------------------------------------------------------------------------------- XML


class LocalResolver(etree.Resolver):  # type: ignore[misc]
    """Loads schemas from the folder beside this file, not from the network."""

    def resolve(self, url: str, _: object, context: object) -> object:
        return self.resolve_filename(str(HERE / "schemas" / Path(url).name), context)


@cache
def load_schema(file: str) -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(LocalResolver())
    return etree.XMLSchema(etree.parse(str(HERE / "schemas" / file), parser))


def parse_valid_xml(document: str, file: str) -> ElementTree.Element:
    load_schema(file).assertValid(etree.fromstring(document.encode("utf-8")))
    return ElementTree.fromstring(document)


def parse_numbers(text: str | None) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text or "")]


def expected_words(page: Page) -> list[list[str]]:
    """The words that a document holds of each line: none of a rejected line."""
    return [[] if line.rejected else sanitize_text(line.text).split() for line in page.lines]


@any_page
def test_alto_is_valid_and_holds_all_words(page: Page) -> None:
    root = parse_valid_xml(render_str("alto", [page, page], FILES[1]), "alto-4-4.xsd")
    assert [p.get("PHYSICAL_IMG_NR") for p in root.iter(f"{ALTO}Page")] == 2 * [str(page.number)]
    rows = list(root.iter(f"{ALTO}TextLine"))[: len(page.lines)]
    assert all(re.fullmatch(r"(\d+,\d+ ?)+", shape.get("POINTS", "")) for shape in root.iter(f"{ALTO}Polygon"))
    for element in root.iter():
        box = [element.get(key) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
        if box[0] is not None:
            left, top, width, height = (int(value or "") for value in box)
            assert min(left, top, width, height) >= 0 and left + width <= page.width and top + height <= page.height
    if page != PAGES["words differ from characters"]:
        assert [
            [s.get("CONTENT") for s in row.iter(f"{ALTO}String") if s.get("CONTENT")] for row in rows
        ] == expected_words(page)
    for row, line in zip(rows, page.lines, strict=True):
        assert (row.get("TAGREFS") == "rejected") == line.rejected
        assert len(row.findall(f"{ALTO}SP")) == len(row.findall(f"{ALTO}String")) - 1


def test_alto_holds_boxes_confidences_and_software() -> None:
    root = parse_valid_xml(render_str("alto", [rotate_page(TWO_PARAGRAPHS, 90)], FILES[1]), "alto-4-4.xsd")
    assert root.findtext(f".//{ALTO}fileName") == FILES[1]
    assert root.findtext(f".//{ALTO}softwareVersion") == version("glyphline")
    page_element = root.find(f".//{ALTO}Page")
    assert page_element is not None and page_element.get("ROTATION") == "270"  # anticlockwise; the text runs down
    assert len(root.findall(f".//{ALTO}TextBlock")) == 2
    string = root.find(f".//{ALTO}String")
    assert string is not None and string.get("CONTENT") == "First" and string.get("WC") == "0.9877"
    glyphs = string.findall(f"{ALTO}Glyph")
    assert [glyph.get("CONTENT") for glyph in glyphs] == list("First") and glyphs[0].get("GC") == "0.9877"
    assert [int(glyphs[1].get(key, "")) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT")] == [350, 30, 40, 18]
    row = root.find(f".//{ALTO}TextLine")
    # the baseline lies a fifth of the height above the lower edge
    assert row is not None and parse_numbers(row.get("BASELINE")) == [358, 10, 358, 190]
    upright = parse_valid_xml(render_str("alto", [TWO_PARAGRAPHS]), "alto-4-4.xsd").find(f".//{ALTO}Page")
    assert upright is not None and upright.get("ROTATION") is None


@any_page
def test_page_xml_is_valid_and_holds_all_words(page: Page) -> None:
    root = parse_valid_xml(render_str("page", [page], FILES[1]), "pagecontent.xsd")
    page_element = root.find(f"{PAGE}Page")
    assert page_element is not None and page_element.get("imageFilename") == FILES[1]
    for coords in root.iter(f"{PAGE}Coords"):
        points = parse_numbers(coords.get("points"))
        assert max(points[::2]) <= page.width and max(points[1::2]) <= page.height
    word_texts = [[w.findtext(f"{PAGE}TextEquiv/{PAGE}Unicode") for w in row.iter(f"{PAGE}Word")]
            for row in root.iter(f"{PAGE}TextLine")]  # fmt: skip
    if page != PAGES["words differ from characters"]:
        assert word_texts == expected_words(page)
    line_texts = [row.findtext(f"{PAGE}TextEquiv/{PAGE}Unicode") or "" for row in root.iter(f"{PAGE}TextLine")]
    assert [text.split() for text in line_texts] == expected_words(page)
    regions = [region.get("id") for region in page_element if region.tag in (f"{PAGE}TextRegion", f"{PAGE}TableRegion")]
    assert [ref.get("regionRef") for ref in root.iter(f"{PAGE}RegionRefIndexed")] == regions
    assert len(regions) == len(page.paragraphs)


@pytest.mark.parametrize(("rotation", "clockwise"), [(0, None), (90, "-90"), (180, "180"), (270, "90")])
def test_page_xml_holds_the_orientation(rotation: int, clockwise: str | None) -> None:
    page_element = parse_valid_xml(render_str("page", [rotate_page(TWO_PARAGRAPHS, rotation)]), "pagecontent.xsd").find(
        f"{PAGE}Page"
    )
    assert page_element is not None and page_element.get("orientation") == clockwise
    glyph = page_element.find(f".//{PAGE}Glyph/{PAGE}TextEquiv")
    assert glyph is not None and glyph.get("conf") == "0.9877"


def test_page_xml_refuses_other_than_one_page() -> None:
    for pages in ([], [PLAIN_PAGE, TWO_PARAGRAPHS]):
        with pytest.raises(UserError, match=rf"one page, a\.pdf has {len(pages)}: choose the format alto or hocr"):
            open_format("page").render("a.pdf", pages, blank_image)


def test_page_xml_uses_source_date_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SOURCE_DATE_EPOCH", "1700000000")
    assert "<Created>2023-11-14T22:13:20+00:00</Created>" in render_str("page", [PLAIN_PAGE])


# ---------------------------------------------------------------------------------------------------------------- hOCR

STRING = r'"(?:[^"\\]|\\.)*"'
INTEGERS = r"(?: \d+)"
#: class -> pattern of the properties in its title (hOCR 1.2)
PROPERTIES = {
    "ocr_page": rf"image {STRING}; bbox{INTEGERS}{{4}}; ppageno \d+",
    "ocr_par": rf"bbox{INTEGERS}{{4}}",
    "ocr_table": rf"bbox{INTEGERS}{{4}}",
    "ocr_line": rf"bbox{INTEGERS}{{4}}; poly(?:{INTEGERS}{{2}})+; "
    r"(?:baseline -?\d+\.\d+ -?\d+\.\d+|textangle \d+)"
    r'(?:; x_rejected "[^"]*")?',
    "ocrx_word": rf"bbox{INTEGERS}{{4}}; x_wconf (?:100|\d?\d)",
    "ocrx_cinfo": rf"x_bboxes{INTEGERS}{{4}}; x_confs (?:100|\d?\d)\.\d",
}


@any_page
def test_hocr_follows_its_grammar_and_holds_all_words(page: Page) -> None:
    document = render_str("hocr", [page], FILES[1])
    root = ElementTree.fromstring(document)
    assert root.tag == f"{HTML}html"
    assert "/>" not in document.partition("<body>")[2]  # browsers do not know a self-closing span
    metas = {meta.get("name"): meta.get("content", "") for meta in root.iter(f"{HTML}meta")}
    assert metas["ocr-system"] == f"glyphline {version('glyphline')}"
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        if css_class := element.get("class"):
            assert css_class != "ocr_table" or element.tag == f"{HTML}table"
            assert css_class in metas["ocr-capabilities"].split()
            title = element.get("title", "")
            assert re.fullmatch(PROPERTIES[css_class], title), (css_class, title)
            left, top, right, bottom = parse_numbers(re.findall(r"bbox(?:es)?((?: \d+){4})", title)[-1])
            assert 0 <= left <= right <= page.width and 0 <= top <= bottom <= page.height
    rows = [row for row in root.iter(f"{HTML}span") if row.get("class") == "ocr_line"]
    if page != PAGES["words differ from characters"]:
        assert ["".join(row.itertext()).split() for row in rows] == expected_words(page)


@pytest.mark.parametrize("file", FILES)
def test_hocr_names_the_image_file(file: str) -> None:
    page_element = ElementTree.fromstring(render_str("hocr", [replace(PLAIN_PAGE, number=3)], file)).find(
        f".//{HTML}div"
    )
    assert page_element is not None
    title = page_element.get("title", "")
    name = re.match(rf"image ({STRING});", title)
    assert name and re.sub(r"\\(.)", r"\1", name[1][1:-1]) == sanitize_text(file)
    assert title.endswith("; bbox 0 0 900 400; ppageno 2")


@pytest.mark.parametrize(("degrees", "slope"), [(0, 0.0), (10, 0.1763), (-10, -0.1763)])
def test_hocr_holds_the_baseline(degrees: float, slope: float) -> None:
    line = make_line("Sloping line", 100, 200, degrees)
    row = ElementTree.fromstring(render_str("hocr", [Page(900, 400, (line,))])).find(f".//{HTML}span")
    assert row is not None
    left, _, _, bottom = parse_numbers(re.findall(r"bbox([^;]*)", row.get("title", ""))[0])
    actual_slope, offset = parse_numbers(re.findall(r"baseline([^;]*)", row.get("title", ""))[0])
    assert actual_slope == pytest.approx(slope, abs=1e-3)
    for (x, y), (upper_x, upper_y) in zip(line.polygon[3:1:-1], line.polygon[:2], strict=True):
        x, y = x + (upper_x - x) / 5, y + (upper_y - y) / 5
        assert bottom + offset + actual_slope * (x - left) == pytest.approx(y, abs=0.2)


@pytest.mark.parametrize(("rotation", "angle"), [(90, 270), (180, 180), (270, 90)])
def test_hocr_holds_the_text_angle(rotation: int, angle: int) -> None:
    document = render_str("hocr", [rotate_page(TWO_PARAGRAPHS, rotation)])
    assert document.count(f"textangle {angle}") == 3 and "baseline" not in document


# ----------------------------------------------------------------------------------------------------------------- PDF


def open_pdf(pages: Sequence[Page], image: Callable[[Page], ColourImage] = blank_image) -> pypdfium2.PdfDocument:
    document = open_format("pdf").render('a "b" \udcff家.png', pages, image)
    assert isinstance(document, bytes)
    return pypdfium2.PdfDocument(document)


def extract_text(pdf: pypdfium2.PdfDocument, number: int = 0) -> str:
    text: str = pdf[number].get_textpage().get_text_range()
    return text.replace("\r\n", "\n")


LINES = ["Hello small world,", "a Grüße 家 – 族 é 𝔘x", "is & <b> I", "the end"]


def make_text_page(degrees: float = 0, rotation: int = 0) -> Page:
    lines = [make_line(text, 50, 200 + 90 * k, degrees) for k, text in enumerate(LINES)]
    return rotate_page(Page(1000, 700, tuple(lines)), rotation)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("degrees", [0, 10, -10])
def test_pdf_text_equals_the_recognized_text(degrees: float, rotation: int) -> None:
    assert extract_text(open_pdf([make_text_page(degrees, rotation)])).split("\n") == LINES


@any_page
def test_pdf_holds_the_words_of_any_page(page: Page) -> None:
    if page == PAGES["words differ from characters"]:
        return
    pdf = open_pdf([page])
    assert len(pdf) == 1
    if page.width > 1 and page != PAGES["outside the image"]:
        text = extract_text(pdf)
        for word in (word for words in expected_words(page) for word in words):
            assert word in text or set(word) & set("שלוםनमस्ते\u0301"), (word, text)


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize("degrees", [0, 10])
def test_pdf_characters_lie_on_their_words_and_lines(degrees: float, rotation: int) -> None:
    page = make_text_page(degrees, rotation)
    upright = make_text_page(degrees)  # as the PDF shows it
    text = open_pdf([page])[0].get_textpage()
    for line in upright.lines:
        for word in line.words:
            (x0, y0), _, (x1, y1), _ = word.polygon
            centre = ((x0 + x1) / 2 * POINTS_PER_PIXEL, (upright.height - (y0 + y1) / 2) * POINTS_PER_PIXEL)
            index = text.get_index(*centre, 2, 2)
            assert index is not None and text.get_text_range(index, 1) in word.text
    for k in range(text.count_chars()):
        if text.get_text_range(k, 1).strip():
            left, bottom, right, top = text.get_charbox(k)
            x, y = (left + right) / 2 / POINTS_PER_PIXEL, upright.height - (bottom + top) / 2 / POINTS_PER_PIXEL
            containing = [line for line in upright.lines if _contains(line.polygon, x, y)]
            assert any(text.get_text_range(k, 1) in line.text for line in containing)


def _contains(polygon: Polygon, x: float, y: float) -> bool:
    """Whether a point lies inside a convex clockwise polygon."""
    sides = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    return all((u - a) * (y - b) - (v - b) * (x - a) >= 0 for (a, b), (u, v) in sides)


def test_pdf_text_separates_overlapping_lines_and_distant_letters() -> None:
    crowded = tuple(make_line(text, 50, 100 + 32 * k) for k, text in enumerate(("A B C d", "The dog", "0123", "i I 1")))
    assert extract_text(open_pdf([Page(1000, 700, crowded)])).split("\n") == [line.text for line in crowded]


def test_pdf_text_separates_touching_words() -> None:
    words = tuple(
        Word(text, 0.9, 0, 0, make_line(text, 50 + 60 * k, 100).polygon) for k, text in enumerate(("one", "two"))
    )
    touching = Line("one two", 0.9, make_line("onetwo", 50, 100).polygon, "", words=words)
    assert extract_text(open_pdf([Page(1000, 700, (touching,))])) == "one two"


@pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="pdftotext is not installed: apt-get install poppler-utils"
)
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_pdf_of_a_table_keeps_its_rows_in_pdftotext(rotation: int, tmp_path: Path) -> None:
    document = open_format("pdf").render("bill.png", [rotate_page(TABLE_PAGE, rotation)], blank_image)
    assert isinstance(document, bytes)
    (tmp_path / "bill.pdf").write_bytes(document)
    command = ["pdftotext", "-layout", str(tmp_path / "bill.pdf"), "-"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [re.split(" {2,}", line.strip()) for line in output.replace("\f", "").split("\n") if line.strip()]
    assert rows == [["Bill"], *([cell for cell in row if cell] for row in TABLE_ROWS), ["Thanks"]]


def test_pdf_text_can_be_searched() -> None:
    text = open_pdf([make_text_page(10)])[0].get_textpage()
    for query in ("small", "Grüße 家", "族", "is &"):
        assert text.search(query).get_next() is not None
    assert text.search("nowhere").get_next() is None


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_pdf_shows_the_image_upright_and_its_text_is_invisible(rotation: int) -> None:
    upright = np.full((700, 1000, 3), 255, np.uint8)
    upright[:350, :450] = (200, 30, 30)
    image = np.ascontiguousarray(np.rot90(upright, -rotation // 90))
    pdf = open_pdf([make_text_page(0, rotation)], lambda page: image)
    assert pdf[0].get_size() == pytest.approx((1000 * POINTS_PER_PIXEL, 700 * POINTS_PER_PIXEL), abs=0.01)
    rendered = pdf[0].render(scale=1 / POINTS_PER_PIXEL).to_numpy()[..., ::-1].astype(int)
    assert rendered.shape == upright.shape
    for text_object in pdf[0].get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_TEXT]):
        assert pdfium_c.FPDFTextObj_GetTextRenderMode(text_object) == pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE
    assert np.abs(rendered - upright).mean() < 2 and np.percentile(np.abs(rendered - upright), 99) < 25


def test_pdf_holds_all_pages_and_a_title() -> None:
    requested: list[int] = []

    def image(page: Page) -> ColourImage:
        requested.append(page.number)
        return blank_image(page)

    pages = [replace(make_text_page(), number=1), Page(300, 200, (), 2), Page(40_000, 30, (make_line("long"),), 3)]
    pdf = open_pdf(pages, image)
    assert requested == [1, 2, 3]
    assert [extract_text(pdf, k) for k in range(3)] == ["\n".join(LINES), "", "long"]
    assert pdf[2].get_size() == pytest.approx((14_400, 10.8), abs=0.01)  # the longest side that viewers show
    widths = [open_pdf([Page(width, 30)])[0].get_width() for width in (100, 600, 1200)]
    assert widths == pytest.approx([100, 360, 432], abs=0.01)
    assert pdf.get_metadata_dict()["Title"] == 'a "b" �家.png'
    assert pdf.get_metadata_dict()["Producer"] == f"glyphline {version('glyphline')}"


# ------------------------------------------------------------------------------------------------------ complete_page


@any_page
def test_complete_page_gives_every_item_a_polygon_inside_the_image(page: Page) -> None:
    completed = complete_page(page)
    assert len(completed.lines) == len(page.lines)
    for line in completed.lines:
        assert line.text == " ".join(line.text.split()) and bool(line.words) == bool(line.text)
        for item in (line, *line.words, *line.characters):
            assert item.polygon and 0 <= item.confidence <= 1
            assert all(0 <= x <= page.width and 0 <= y <= page.height for x, y in item.polygon)
    assert complete_page(completed) == completed


def test_words_without_position_get_a_share_of_the_line() -> None:
    level = complete_page(Page(200, 50, (Line("ab cde", 0.5, ((20, 10), (140, 10), (140, 40), (20, 40)), ""),))).lines[
        0
    ]
    assert [word.polygon[0] for word in level.words] == [(20, 10), (80, 10)]
    assert [word.polygon[2] for word in level.words] == [(60, 40), (140, 40)]
    rising = complete_page(Page(50, 200, (Line("ab cde", 0.5, ((10, 140), (10, 20), (40, 20), (40, 140)), ""),))).lines[
        0
    ]
    assert [word.polygon[0] for word in rising.words] == [(10, 140), (10, 80)]


def test_columns_locate_characters_on_a_sloping_line() -> None:
    characters = tuple(Character(c, 0.9, left, left + 10) for c, left in zip("abc", (30.0, 60.0, 90.0), strict=True))
    sloping = ((20.0, 0.0), (120.0, 50.0), (120.0, 90.0), (20.0, 40.0))
    line = complete_page(Page(200, 100, (Line("abc", 0.9, sloping, "", characters),))).lines[0]
    assert [c.polygon[0] for c in line.characters] == [(30, 5), (60, 20), (90, 35)]
    assert line.words[0].polygon[0] == (30, 5) and line.words[0].polygon[2] == (100, 80)


def test_lines_without_position_get_a_share_of_the_page() -> None:
    lines = complete_page(PAGES["no polygons"]).lines
    assert [line.polygon[0] for line in lines] == [(0, 0), (0, 200)]
    assert lines[1].polygon[2] == (900, 400)


# ----------------------------------------------------------------------------------------------------------- languages


def test_language_of_pages_and_lines_is_in_every_format_that_has_one() -> None:
    pages = [PAGES["two languages"]]
    assert 'lang="fr"' in render_str("hocr", pages) and render_str("hocr", pages).count(' lang="en"') == 1
    assert 'LANG="fr"' in render_str("alto", pages) and render_str("alto", pages).count('LANG="en"') == 1
    page_xml = render_str("page", pages)
    assert 'primaryLanguage="French"' in page_xml and page_xml.count('primaryLanguage="English"') == 1
    (document,) = json.loads(render_str("json", pages))["pages"]
    assert document["language"] == "fr" and [line["language"] for line in document["lines"]] == ["fr", "en"]
    pdf = open_format("pdf").render("some.png", pages, blank_image)
    assert isinstance(pdf, bytes) and b"/Lang" in pdf
    for name in ("hocr", "alto", "page"):
        assert "none" not in render_str(name, [PAGES["no language"]])
    plain = open_format("pdf").render("some.png", [PLAIN_PAGE], blank_image)
    assert isinstance(plain, bytes) and b"/Lang" not in plain
