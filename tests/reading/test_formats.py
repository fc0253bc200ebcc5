"""Formats: what was read comes back out of what was written, and every document is valid, whatever the page holds."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
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
from glyphline.page import Character, Line, Page, Polygon, Word
from glyphline.reading.formats import FORMATS, open_format
from glyphline.reading.formats.complete import complete, writable
from glyphline.reading.formats.markdown import joined

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE.parents[1] / "docs" / "page.schema.json").read_text(encoding="utf-8"))
ALTO = "{http://www.loc.gov/standards/alto/ns-v4#}"
PAGE = "{http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15}"
HTML = "{http://www.w3.org/1999/xhtml}"
TEXTS = [name for name, form in FORMATS.items() if form.joined]
PIXEL = 72 / 200  # points

Part = TypeVar("Part", Character, Word)


def blank(page: Page) -> ColourImage:
    """The image of a page on which nothing is to be seen."""
    return np.full((page.height, page.width, 3), 255, np.uint8)


def written(name: str, pages: Sequence[Page], file: str = "some.png") -> str:
    """The document of a format that writes text."""
    said = open_format(name).make(file, pages, blank)
    assert isinstance(said, str)
    return said


def line(
    text: str, x: float = 10, y: float = 10, degrees: float = 0, confidence: float = 0.98765, **more: object
) -> Line:
    """A line of characters 20 px wide and 40 px tall that begins at (x, y) and runs down by some degrees."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def around(left: float, right: float) -> Polygon:
        level = ((left, 0), (right, 0), (right, 40), (left, 40))
        return tuple((x + s * cos - t * sin, y + s * sin + t * cos) for s, t in level)

    characters = []
    for k, character in enumerate(text):
        polygon = around(20 * k, 20 * k + 18)
        left, right = min(c[0] for c in polygon), max(c[0] for c in polygon)
        characters.append(Character(character, confidence, left, right, polygon))
    return Line(text, confidence, around(0, 20 * len(text)), "reader", tuple(characters), **more)  # type: ignore[arg-type]


def lying(page: Page, rotation: int) -> Page:
    """An upright page as it is when its image has to be turned by some degrees."""
    for _ in range(rotation // 90):
        page = _quarter(page)
    return replace(page, rotation=rotation)


def _quarter(page: Page) -> Page:
    """The page turned clockwise."""

    def moved(part: Part) -> Part:
        polygon = around(part.polygon)
        return replace(part, polygon=polygon, left=min(x for x, _ in polygon), right=max(x for x, _ in polygon))

    def around(polygon: Polygon) -> Polygon:
        return tuple((page.height - y, x) for x, y in polygon)

    lines = tuple(
        replace(one, polygon=around(one.polygon), characters=tuple(map(moved, one.characters)),
                words=tuple(map(moved, one.words)))
        for one in page.lines
    )  # fmt: skip
    return Page(page.height, page.width, lines, page.number)


PLAIN = Page(900, 400, (line("Plain words"), line("and more", y=80)))
TWO = Page(900, 400, (line("First one"), line("goes on", y=80), line("Second", y=200, paragraph=1)))
UNREAD = Line("", 0.3, ((10, 300), (400, 300), (400, 340), (10, 340)), "reader", rejected=True)
#: pages that break what is written without care
NASTY = {
    "plain": PLAIN,
    "paragraphs": TWO,
    "nothing found": Page(10, 20),
    "one pixel": Page(1, 1, (line("a"),)),
    "sloping": Page(900, 900, (line("runs down", 50, 50, 10), line("runs up", 50, 500, -10))),
    "rejected": Page(900, 400, (line("read"), UNREAD, line("too", y=80))),
    "all rejected": Page(900, 400, (UNREAD,)),
    "guessed": Page(900, 400, (line("read"), replace(line("guessed", y=80), rejected=True))),
    "two in one": Page(900, 400, (Line("fin", 0.9, (), "", (Character("fi", 0.9, 5, 9), Character("n", 0.9, 9, 12))),)),
    "scripts": Page(900, 400, (line("Grüße, Ωmega – 漢字 家"), line("שלום नमस्ते", y=80), line("𝔘 😀 e\u0301", y=160))),
    "markup": Page(900, 400, (line("""<b> & "it's" &amp; ]]> <!-- -->"""), line("# *_`[x](y)", y=80))),
    "controls": Page(900, 400, (line("a\x00b\x07 \x1bc\ufffe"), line("\x01\x02", y=80), line("\ud800x \udcff", y=160))),
    "spaces": Page(900, 400, (line("  two  spaces "), line(" ", y=80), line("tab\tbed\nnew\u3000wide", y=160))),
    "no places": Page(900, 400, (Line("no place known", 0.9, (), ""), Line("nor here", 0.8, (), ""))),
    "no words": Page(900, 400, (Line("only a polygon", 0.9, PLAIN.lines[0].polygon, ""),)),
    "columns only": Page(
        900,
        400,
        (Line("ab c", 0.9, (), "", tuple(Character(c, 0.9, 9.0 * k, 9.0 * k + 8) for k, c in enumerate("ab c"))),),
    ),
    "no text": Page(900, 400, (Line("", 1.0, (), ""), Line("", 1.0, PLAIN.lines[0].polygon, ""))),
    "other words": Page(
        900, 400, (replace(line("teh end"), words=(Word("the", 0.9, 10, 70), Word("end", 0.8, 90, 150))),)
    ),
    "outside": Page(100, 50, (line("partly outside", -30, -7.5), line("wholly", 500, 500), line("so too", -900, -900))),
    "many corners": Page(900, 400, (replace(PLAIN.lines[0], polygon=((9, 9), (99, 5), (200, 9), (200, 50), (9, 50))),)),
    "one corner": Page(900, 400, (replace(PLAIN.lines[0], polygon=((9, 9),)),)),
    "sure and not": Page(900, 400, (line("beyond", confidence=1.2), line("below", y=80, confidence=-0.1))),
    "lying 90": lying(TWO, 90),
    "lying 180": lying(TWO, 180),
    "lying 270": lying(TWO, 270),
    "the third": replace(PLAIN, number=3),
}
FILES = [
    "plain.png",
    "quo\"te's & <tags>; x.png",
    "bytes\udcff\udc80.png",
    "tab\tnew\nline\x07.png",
    "back\\slash.png",
    "",
]
nasty = pytest.mark.parametrize("page", NASTY.values(), ids=list(NASTY))


# ---------------------------------------------------------------------------------------------------------- all of them


def test_a_format_says_what_it_is() -> None:
    assert list(FORMATS) == ["text", "json", "tsv", "markdown", "hocr", "alto", "page", "pdf"]
    assert len({form.suffix for form in FORMATS.values()}) == len(FORMATS)
    for name, form in FORMATS.items():
        assert form.suffix.startswith(".") and form.help.startswith(f"{name}: ")
    assert TEXTS == ["text", "json", "tsv", "markdown"]
    assert [name for name, form in FORMATS.items() if form.single] == ["page"]


@pytest.mark.parametrize("name", FORMATS)
@nasty
def test_any_page_can_be_written_as_bytes_and_twice_the_same(
    name: str, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    file = FILES[2]
    said = open_format(name).make(file, [page], blank)
    assert said == open_format(name).make(file, [page], blank)
    if isinstance(said, str):
        said.encode("utf-8")  # halves of surrogate pairs would not be
        assert not said.endswith("\n")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("file", FILES)
def test_any_name_of_a_file_can_be_written(name: str, file: str) -> None:
    said = open_format(name).make(file, [PLAIN], blank)
    if isinstance(said, str):
        said.encode("utf-8")


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "pdf"])
def test_only_a_pdf_asks_for_the_pictures(name: str) -> None:
    def never(page: Page) -> ColourImage:
        raise AssertionError

    open_format(name).make("some.png", [PLAIN], never)


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_joined_ends_without_a_newline_and_says_its_lines_in_order(name: str) -> None:
    for pages in ([], [PLAIN], [PLAIN, TWO], [Page(1, 1)]):
        assert not written(name, pages).endswith("\n")
    said = written(name, [PLAIN, TWO])
    places = [said.index(one.text) for page in (PLAIN, TWO) for one in page.lines]
    assert places == sorted(places)


def test_an_unknown_format_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError, match=r'no format "jsn"; did you mean "json"\? choices: .*text'):
        open_format("jsn")


# ------------------------------------------------------------------------------------------------- text, JSON, tables


def test_text_is_the_lines_and_nothing_else() -> None:
    assert written("text", [TWO]).split("\n") == ["First one", "goes on", "Second"]
    assert written("text", [PLAIN, Page(1, 1), NASTY["all rejected"], PLAIN]) == "\n".join(
        2 * ["Plain words", "and more"]
    )
    assert written("text", [NASTY["rejected"]]) == "read\ntoo"
    assert written("text", [NASTY["guessed"]]) == "read"
    assert written("text", [Page(1, 1)]) == ""


def test_json_is_one_object_with_everything() -> None:
    said = written("json", [PLAIN, TWO], "ä b.png")
    assert "\n" not in said
    assert json.loads(said) == json.loads(
        json.dumps({"file": "ä b.png", "pages": [page.to_dict() for page in (PLAIN, TWO)]})
    )
    for page, kept in zip((PLAIN, TWO), json.loads(said)["pages"], strict=True):
        for each, told in zip(page.lines, kept["lines"], strict=True):
            assert told["text"] == each.text == "".join(c["text"] for c in told["characters"])
            assert [word["text"] for word in told["words"]] == each.text.split()
            assert told["confidence"] == pytest.approx(each.confidence, abs=1e-4)


@pytest.mark.parametrize("name", [name for name in NASTY if name not in ("sure and not", "guessed")])
def test_json_is_valid(name: str) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    validator.validate(json.loads(written("json", [NASTY[name], PLAIN])))


def test_the_schema_refuses_what_is_no_page() -> None:
    good = json.loads(written("json", [NASTY["rejected"]]))
    validator = jsonschema.Draft202012Validator(SCHEMA)
    broken: list[Callable[[dict], object]] = [  # type: ignore[type-arg]
        lambda page: page.update(rotation=45),
        lambda page: page.update(more=1),
        lambda page: page.pop("width"),
        lambda page: page["lines"][0].update(confidence=1.2),
        lambda page: page["lines"][0].update(polygon=[[1, 2, 3]]),
        lambda page: page["lines"][0]["words"][0].pop("left"),
        lambda page: page["lines"][1].update(text="rejected yet said"),
    ]
    for damage in broken:
        bad = json.loads(json.dumps(good))
        damage(bad["pages"][0])
        assert not validator.is_valid(bad)


def test_every_field_of_the_schema_is_explained() -> None:
    said = (HERE.parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")
    fields = {field for kind in (SCHEMA, *SCHEMA["$defs"].values()) for field in kind.get("properties", {})}
    assert not [field for field in fields if not re.search(rf"\b{field}\b", said)]
    assert not [name for name, form in FORMATS.items() if f"| `{name}` | `{form.suffix}` |" not in said]


def test_tsv_reads_back_as_it_was() -> None:
    pages = [PLAIN, Page(9, 9), NASTY["markup"], Page(9, 9, (line('a\t"b"'),))]
    rows = list(csv.reader(io.StringIO(written("tsv", pages, "a\tb.png")), dialect="excel-tab"))
    wanted = [(n, k, each) for n, page in enumerate(pages, 1) for k, each in enumerate(page.lines, 1)]
    assert len(rows) == len(wanted)
    for (file, page, number, confidence, text), (n, k, each) in zip(rows, wanted, strict=True):
        assert (file, int(page), int(number), text) == ("a\tb.png", n, k, each.text)
        assert float(confidence) == pytest.approx(each.confidence, abs=1e-4)


# ------------------------------------------------------------------------------------------------------------- Markdown


def shown(markdown: str) -> list[str]:
    """What a reader of Markdown sees: its paragraphs, and --- for a rule; other markup fails the test."""
    out = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        assert token.type in ("paragraph_open", "paragraph_close", "inline", "hr"), token
        if token.type == "inline":
            assert {part.type for part in token.children} <= {"text", "text_special"}, token.children
            out.append("".join(part.content for part in token.children))
        elif token.type == "hr":
            out.append("---")
    return out


def test_markdown_has_paragraphs_and_pages() -> None:
    assert written("markdown", [TWO, Page(1, 1), PLAIN]) == "First one goes on\n\nSecond\n\n---\n\nPlain words and more"


@pytest.mark.parametrize(
    "text",
    ["# no heading", "- no list", "+ 1", "1. one", "12) two", "> said", "---", "===", "***", "a_b_c *d* `e`",
     "[x](y) ![z]", "<b>bold</b>", "&amp; &#38; & co", "back\\slash", "~~gone~~", "| a | b |", "    code", "```",
     "2 + 2 = 4", "1.5 m", "$1 a"],
)  # fmt: skip
def test_markdown_shows_what_was_read(text: str) -> None:
    page = Page(9, 9, (Line(text, 1.0, (), ""), Line(text, 1.0, (), ""), Line(text, 1.0, (), "", paragraph=1)))
    one = " ".join(text.split())
    assert shown(written("markdown", [page, page])) == [f"{one} {one}", one, "---", f"{one} {one}", one]


@nasty
def test_markdown_of_any_page_is_its_words(page: Page) -> None:
    words = [word for one in page.lines if not one.rejected for word in writable(one.text).split()]
    assert "".join(shown(written("markdown", [page]))).replace(" ", "") == "".join(words)


@pytest.mark.parametrize(
    ("lines", "one"),
    [(["a para-", "graph"], "a paragraph"), (["Jean-", "Paul"], "Jean-Paul"), (["one", "two"], "one two"),
     (["-", "x"], "- x"), (["1914-", "1918"], "1914- 1918"), (["大", "家"], "大家"), (["大", "a"], "大 a"),
     (["한국", "어"], "한국 어"), (["so‐", "called"], "socalled")],
)  # fmt: skip
def test_lines_are_joined_as_one_reads_them(lines: list[str], one: str) -> None:
    assert joined(*lines) == one


# ----------------------------------------------------------------------------------------------------------------- XML


class Local(etree.Resolver):  # type: ignore[misc]
    """Schemas from the folder beside this file, never from the network."""

    def resolve(self, url: str, _: object, context: object) -> object:
        return self.resolve_filename(str(HERE / "schemas" / Path(url).name), context)


@cache
def schema(file: str) -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Local())
    return etree.XMLSchema(etree.parse(str(HERE / "schemas" / file), parser))


def valid(said: str, file: str) -> ElementTree.Element:
    schema(file).assertValid(etree.fromstring(said.encode("utf-8")))
    return ElementTree.fromstring(said)


def numbers(said: str | None) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", said or "")]


def texts(page: Page) -> list[list[str]]:
    """The words of each line that a document can hold."""
    return [[] if one.rejected else writable(one.text).split() for one in page.lines]


@nasty
def test_alto_is_valid_and_says_all_words(page: Page) -> None:
    root = valid(written("alto", [page, page], FILES[1]), "alto-4-4.xsd")
    assert [p.get("PHYSICAL_IMG_NR") for p in root.iter(f"{ALTO}Page")] == 2 * [str(page.number)]
    rows = list(root.iter(f"{ALTO}TextLine"))[: len(page.lines)]
    assert all(re.fullmatch(r"(\d+,\d+ ?)+", shape.get("POINTS", "")) for shape in root.iter(f"{ALTO}Polygon"))
    for element in root.iter():
        places = [element.get(key) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
        if places[0] is not None:
            left, top, wide, tall = (int(place or "") for place in places)
            assert min(left, top, wide, tall) >= 0 and left + wide <= page.width and top + tall <= page.height
    if page != NASTY["other words"]:
        assert [[s.get("CONTENT") for s in row.iter(f"{ALTO}String") if s.get("CONTENT")] for row in rows] == texts(
            page
        )
    for row, one in zip(rows, page.lines, strict=True):
        assert (row.get("TAGREFS") == "rejected") == one.rejected
        assert len(row.findall(f"{ALTO}SP")) == len(row.findall(f"{ALTO}String")) - 1


def test_alto_tells_places_confidences_and_what_made_it() -> None:
    root = valid(written("alto", [lying(TWO, 90)], FILES[1]), "alto-4-4.xsd")
    assert root.findtext(f".//{ALTO}fileName") == FILES[1]
    assert root.findtext(f".//{ALTO}softwareVersion") == version("glyphline")
    sheet = root.find(f".//{ALTO}Page")
    assert sheet is not None and sheet.get("ROTATION") == "270"  # anticlockwise: its text runs down
    assert len(root.findall(f".//{ALTO}TextBlock")) == 2
    string = root.find(f".//{ALTO}String")
    assert string is not None and string.get("CONTENT") == "First" and string.get("WC") == "0.9877"
    glyphs = string.findall(f"{ALTO}Glyph")
    assert [glyph.get("CONTENT") for glyph in glyphs] == list("First") and glyphs[0].get("GC") == "0.9877"
    assert [int(glyphs[1].get(key, "")) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT")] == [350, 30, 40, 18]
    row = root.find(f".//{ALTO}TextLine")
    assert row is not None and numbers(row.get("BASELINE")) == [358, 10, 358, 190]  # a fifth above the lower edge
    upright = valid(written("alto", [TWO]), "alto-4-4.xsd").find(f".//{ALTO}Page")
    assert upright is not None and upright.get("ROTATION") is None


@nasty
def test_page_xml_is_valid_and_says_all_words(page: Page) -> None:
    root = valid(written("page", [page], FILES[1]), "pagecontent.xsd")
    sheet = root.find(f"{PAGE}Page")
    assert sheet is not None and sheet.get("imageFilename") == FILES[1]
    for coords in root.iter(f"{PAGE}Coords"):
        places = numbers(coords.get("points"))
        assert max(places[::2]) <= page.width and max(places[1::2]) <= page.height
    said = [[w.findtext(f"{PAGE}TextEquiv/{PAGE}Unicode") for w in row.iter(f"{PAGE}Word")]
            for row in root.iter(f"{PAGE}TextLine")]  # fmt: skip
    if page != NASTY["other words"]:
        assert said == texts(page)
    whole = [row.findtext(f"{PAGE}TextEquiv/{PAGE}Unicode") or "" for row in root.iter(f"{PAGE}TextLine")]
    assert [one.split() for one in whole] == texts(page)
    regions = [region.get("id") for region in root.iter(f"{PAGE}TextRegion")]
    assert [ref.get("regionRef") for ref in root.iter(f"{PAGE}RegionRefIndexed")] == regions
    assert len(regions) == len(page.paragraphs)


@pytest.mark.parametrize(("rotation", "clockwise"), [(0, None), (90, "-90"), (180, "180"), (270, "90")])
def test_page_xml_tells_how_the_page_lies(rotation: int, clockwise: str | None) -> None:
    sheet = valid(written("page", [lying(TWO, rotation)]), "pagecontent.xsd").find(f"{PAGE}Page")
    assert sheet is not None and sheet.get("orientation") == clockwise
    glyph = sheet.find(f".//{PAGE}Glyph/{PAGE}TextEquiv")
    assert glyph is not None and glyph.get("conf") == "0.9877"


def test_page_xml_holds_one_page() -> None:
    for pages in ([], [PLAIN, TWO]):
        with pytest.raises(UserError, match=rf"one page, a\.pdf has {len(pages)}: choose alto or hocr"):
            open_format("page").make("a.pdf", pages, blank)


def test_page_xml_can_be_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SOURCE_DATE_EPOCH", "1700000000")
    assert "<Created>2023-11-14T22:13:20+00:00</Created>" in written("page", [PLAIN])


# ---------------------------------------------------------------------------------------------------------------- hOCR

STRING = r'"(?:[^"\\]|\\.)*"'
INTEGERS = r"(?: \d+)"
#: class -> what its title says, a property after the other (hOCR 1.2)
PROPERTIES = {
    "ocr_page": rf"image {STRING}; bbox{INTEGERS}{{4}}; ppageno \d+",
    "ocr_par": rf"bbox{INTEGERS}{{4}}",
    "ocr_line": rf"bbox{INTEGERS}{{4}}; poly(?:{INTEGERS}{{2}})+; (?:baseline -?\d+\.\d+ -?\d+\.\d+|textangle \d+)",
    "ocrx_word": rf"bbox{INTEGERS}{{4}}; x_wconf (?:100|\d?\d)",
    "ocrx_cinfo": rf"x_bboxes{INTEGERS}{{4}}; x_confs (?:100|\d?\d)\.\d",
}


@nasty
def test_hocr_follows_its_grammar_and_says_all_words(page: Page) -> None:
    said = written("hocr", [page], FILES[1])
    root = ElementTree.fromstring(said)
    assert root.tag == f"{HTML}html" and "/>" not in said.partition("<body>")[2]  # browsers know no span closed at once
    metas = {meta.get("name"): meta.get("content", "") for meta in root.iter(f"{HTML}meta")}
    assert metas["ocr-system"] == f"glyphline {version('glyphline')}"
    names = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(names) == len(set(names))
    for element in root.iter():
        if kind := element.get("class"):
            assert kind in metas["ocr-capabilities"].split()
            title = element.get("title", "")
            assert re.fullmatch(PROPERTIES[kind], title), (kind, title)
            left, top, right, bottom = numbers(re.findall(r"bbox(?:es)?((?: \d+){4})", title)[-1])
            assert 0 <= left <= right <= page.width and 0 <= top <= bottom <= page.height
    rows = [row for row in root.iter(f"{HTML}span") if row.get("class") == "ocr_line"]
    if page != NASTY["other words"]:
        assert ["".join(row.itertext()).split() for row in rows] == texts(page)


@pytest.mark.parametrize("file", FILES)
def test_hocr_names_its_picture(file: str) -> None:
    sheet = ElementTree.fromstring(written("hocr", [replace(PLAIN, number=3)], file)).find(f".//{HTML}div")
    assert sheet is not None
    title = sheet.get("title", "")
    name = re.match(rf"image ({STRING});", title)
    assert name and re.sub(r"\\(.)", r"\1", name[1][1:-1]) == writable(file)
    assert title.endswith("; bbox 0 0 900 400; ppageno 2")


@pytest.mark.parametrize(("degrees", "slope"), [(0, 0.0), (10, 0.1763), (-10, -0.1763)])
def test_hocr_tells_the_baseline(degrees: float, slope: float) -> None:
    one = line("Sloping line", 100, 200, degrees)
    row = ElementTree.fromstring(written("hocr", [Page(900, 400, (one,))])).find(f".//{HTML}span")
    assert row is not None
    left, _, _, bottom = numbers(re.findall(r"bbox([^;]*)", row.get("title", ""))[0])
    told, constant = numbers(re.findall(r"baseline([^;]*)", row.get("title", ""))[0])
    assert told == pytest.approx(slope, abs=1e-3)
    for (x, y), (upper_x, upper_y) in zip(one.polygon[3:1:-1], one.polygon[:2], strict=True):
        x, y = x + (upper_x - x) / 5, y + (upper_y - y) / 5
        assert bottom + constant + told * (x - left) == pytest.approx(y, abs=0.2)


@pytest.mark.parametrize(("rotation", "angle"), [(90, 270), (180, 180), (270, 90)])
def test_hocr_tells_how_lines_are_turned(rotation: int, angle: int) -> None:
    said = written("hocr", [lying(TWO, rotation)])
    assert said.count(f"textangle {angle}") == 3 and "baseline" not in said


# ----------------------------------------------------------------------------------------------------------------- PDF


def opened(pages: Sequence[Page], image: Callable[[Page], ColourImage] = blank) -> pypdfium2.PdfDocument:
    said = open_format("pdf").make('a "b" \udcff家.png', pages, image)
    assert isinstance(said, bytes)
    return pypdfium2.PdfDocument(said)


def extracted(pdf: pypdfium2.PdfDocument, number: int = 0) -> str:
    text: str = pdf[number].get_textpage().get_text_range()
    return text.replace("\r\n", "\n")


LINES = ["Hello small world,", "a Grüße 家 – 族 é 𝔘x", "is & <b> I", "the end"]


def sheet(degrees: float = 0, rotation: int = 0) -> Page:
    lines = [line(text, 50, 200 + 90 * k, degrees) for k, text in enumerate(LINES)]
    return lying(Page(1000, 700, tuple(lines)), rotation)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("degrees", [0, 10, -10])
def test_the_text_of_a_pdf_is_what_was_read(degrees: float, rotation: int) -> None:
    assert extracted(opened([sheet(degrees, rotation)])).split("\n") == LINES


@nasty
def test_the_words_of_any_page_are_in_its_pdf(page: Page) -> None:
    if page == NASTY["other words"]:
        return
    pdf = opened([page])
    assert len(pdf) == 1
    if page.width > 1 and page != NASTY["outside"]:
        found = extracted(pdf)
        for word in (word for words in texts(page) for word in words):
            assert word in found or set(word) & set("שלוםनमस्ते\u0301"), (word, found)


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize("degrees", [0, 10])
def test_the_characters_of_a_pdf_stand_where_they_were_read(degrees: float, rotation: int) -> None:
    page = sheet(degrees, rotation)
    upright = sheet(degrees)  # how the PDF shows it
    text = opened([page])[0].get_textpage()
    for one in upright.lines:
        for word in one.words:
            (x0, y0), _, (x1, y1), _ = word.polygon
            centre = ((x0 + x1) / 2 * PIXEL, (upright.height - (y0 + y1) / 2) * PIXEL)
            at = text.get_index(*centre, 2, 2)
            assert at is not None and text.get_text_range(at, 1) in word.text
    for k in range(text.count_chars()):
        if text.get_text_range(k, 1).strip():
            left, bottom, right, top = text.get_charbox(k)
            x, y = (left + right) / 2 / PIXEL, upright.height - (bottom + top) / 2 / PIXEL
            inside = [one for one in upright.lines if _contains(one.polygon, x, y)]
            assert any(text.get_text_range(k, 1) in one.text for one in inside)


def _contains(polygon: Polygon, x: float, y: float) -> bool:
    """Whether a point lies on the right of all sides of a clockwise polygon."""
    sides = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    return all((u - a) * (y - b) - (v - b) * (x - a) >= 0 for (a, b), (u, v) in sides)


def test_lines_that_overlap_and_letters_far_apart_keep_apart_in_a_pdf() -> None:
    crowded = tuple(line(text, 50, 100 + 32 * k) for k, text in enumerate(("A B C d", "The dog", "0123", "i I 1")))
    assert extracted(opened([Page(1000, 700, crowded)])).split("\n") == [one.text for one in crowded]


def test_words_that_touch_keep_apart_in_a_pdf() -> None:
    words = tuple(Word(text, 0.9, 0, 0, line(text, 50 + 60 * k, 100).polygon) for k, text in enumerate(("one", "two")))
    touching = Line("one two", 0.9, line("onetwo", 50, 100).polygon, "", words=words)
    assert extracted(opened([Page(1000, 700, (touching,))])) == "one two"


def test_what_is_searched_in_a_pdf_is_found() -> None:
    text = opened([sheet(10)])[0].get_textpage()
    for wanted in ("small", "Grüße 家", "族", "is &"):
        assert text.search(wanted).get_next() is not None
    assert text.search("nowhere").get_next() is None


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_pdf_shows_its_pictures_upright_and_no_letters(rotation: int) -> None:
    upright = np.full((700, 1000, 3), 255, np.uint8)
    upright[:350, :450] = (200, 30, 30)
    image = np.ascontiguousarray(np.rot90(upright, -rotation // 90))
    pdf = opened([sheet(0, rotation)], lambda page: image)
    assert pdf[0].get_size() == pytest.approx((1000 * PIXEL, 700 * PIXEL), abs=0.01)
    drawn = pdf[0].render(scale=1 / PIXEL).to_numpy()[..., ::-1].astype(int)
    assert drawn.shape == upright.shape
    for written in pdf[0].get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_TEXT]):
        assert pdfium_c.FPDFTextObj_GetTextRenderMode(written) == pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE
    assert np.abs(drawn - upright).mean() < 2 and np.percentile(np.abs(drawn - upright), 99) < 25


def test_a_pdf_has_every_page_and_a_title() -> None:
    asked: list[int] = []

    def image(page: Page) -> ColourImage:
        asked.append(page.number)
        return blank(page)

    pages = [replace(sheet(), number=1), Page(300, 200, (), 2), Page(40_000, 30, (line("long"),), 3)]
    pdf = opened(pages, image)
    assert asked == [1, 2, 3]
    assert [extracted(pdf, k) for k in range(3)] == ["\n".join(LINES), "", "long"]
    assert pdf[2].get_size() == pytest.approx((14_400, 10.8), abs=0.01)  # as long as viewers show
    small = [opened([Page(width, 30)])[0].get_width() for width in (100, 600, 1200)]
    assert small == pytest.approx([100, 360, 432], abs=0.01)
    assert pdf.get_metadata_dict()["Title"] == 'a "b" �家.png'
    assert pdf.get_metadata_dict()["Producer"] == f"glyphline {version('glyphline')}"


# ------------------------------------------------------------------------------------------------------ complete pages


@nasty
def test_a_complete_page_has_everything_inside(page: Page) -> None:
    whole = complete(page)
    assert len(whole.lines) == len(page.lines)
    for one in whole.lines:
        assert one.text == " ".join(one.text.split()) and bool(one.words) == bool(one.text)
        for part in (one, *one.words, *one.characters):
            assert part.polygon and 0 <= part.confidence <= 1
            assert all(0 <= x <= page.width and 0 <= y <= page.height for x, y in part.polygon)
    assert complete(whole) == whole


def test_words_without_a_place_have_their_share_of_the_line() -> None:
    level = complete(Page(200, 50, (Line("ab cde", 0.5, ((20, 10), (140, 10), (140, 40), (20, 40)), ""),))).lines[0]
    assert [word.polygon[0] for word in level.words] == [(20, 10), (80, 10)]
    assert [word.polygon[2] for word in level.words] == [(60, 40), (140, 40)]
    rising = complete(Page(50, 200, (Line("ab cde", 0.5, ((10, 140), (10, 20), (40, 20), (40, 140)), ""),))).lines[0]
    assert [word.polygon[0] for word in rising.words] == [(10, 140), (10, 80)]


def test_columns_say_where_on_the_line_a_character_stands() -> None:
    characters = tuple(Character(c, 0.9, left, left + 10) for c, left in zip("abc", (30.0, 60.0, 90.0), strict=True))
    sloping = ((20.0, 0.0), (120.0, 50.0), (120.0, 90.0), (20.0, 40.0))
    one = complete(Page(200, 100, (Line("abc", 0.9, sloping, "", characters),))).lines[0]
    assert [c.polygon[0] for c in one.characters] == [(30, 5), (60, 20), (90, 35)]
    assert one.words[0].polygon[0] == (30, 5) and one.words[0].polygon[2] == (100, 80)


def test_lines_without_a_place_share_the_page() -> None:
    lines = complete(NASTY["no places"]).lines
    assert [one.polygon[0] for one in lines] == [(0, 0), (0, 200)]
    assert lines[1].polygon[2] == (900, 400)
