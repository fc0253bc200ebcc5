"""Pages -> ALTO 4.4, the XML of libraries: https://www.loc.gov/standards/alto."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from glyphline.page import Line, Page, Polygon
from glyphline.reading.formats.complete import BoundingBox, around, baseline_of, box_of, complete, writable
from glyphline.reading.formats.contract import PageImage
from glyphline.reading.formats.markup import SOFTWARE, Element, child, document, pixels, points, share, software

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
LOCATION = "https://www.loc.gov/standards/alto/v4/alto-4-4.xsd"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
UNREAD = "rejected"  # the tag of lines that were rejected


def as_alto(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """Lines, words and characters with boxes and confidences; lines and words with polygons."""
    root = Element("alto", {"xmlns": NAMESPACE, "xmlns:xsi": INSTANCE, "SCHEMAVERSION": "4.4",
                            "xsi:schemaLocation": f"{NAMESPACE} {LOCATION}"})  # fmt: skip
    whole = [complete(page) for page in pages]
    lines = [line for page in whole for line in page.lines]
    _describe(root, file, sorted({line.recognizer for line in lines}))
    if any(line.rejected for line in lines):
        child(child(root, "Tags"), "OtherTag", ID=UNREAD, LABEL=UNREAD)
    layout = child(root, "Layout")
    for number, page in enumerate(whole, 1):
        _add_page(layout, page, f"page_{number}")
    ElementTree.indent(root, " ")
    return document(root)


def _describe(root: Element, file: str, recognizers: Sequence[str]) -> None:
    description = child(root, "Description")
    child(description, "MeasurementUnit", "pixel")
    child(child(description, "sourceImageInformation"), "fileName", writable(file))
    step = child(description, "Processing", ID=SOFTWARE)
    child(step, "processingCategory", "contentGeneration")
    child(step, "processingStepSettings", writable(f"recognizers: {', '.join(recognizers)}"))
    made = child(step, "processingSoftware")
    for tag, said in zip(("softwareName", "softwareVersion"), software(), strict=True):
        child(made, tag, said)


def _add_page(layout: Element, page: Page, name: str) -> None:
    # the text lies turned the other way than the page had to be turned
    turned = (360 - page.rotation) % 360 or None
    sheet = child(layout, "Page", ID=name, PHYSICAL_IMG_NR=page.number, WIDTH=page.width, HEIGHT=page.height,
                  ROTATION=turned, PROCESSINGREFS=SOFTWARE)  # fmt: skip
    space = child(sheet, "PrintSpace", **_at((0, 0, page.width, page.height)))
    number = 0
    for k, lines in enumerate(page.paragraphs, 1):
        where = around(box_of(line.polygon) for line in lines)
        block = child(space, "TextBlock", ID=f"{name}_block_{k}", **_at(where))
        for line in lines:
            number += 1
            _add_line(block, line, f"{name}_line_{number}")


def _add_line(block: Element, line: Line, name: str) -> None:
    row = child(block, "TextLine", ID=name, **_at(box_of(line.polygon)), BASELINE=points(baseline_of(line.polygon)),
                TAGREFS=UNREAD if line.rejected else None)  # fmt: skip
    _add_shape(row, line.polygon)
    if not line.words:
        child(row, "String", CONTENT="", **_at(box_of(line.polygon)))  # a line holds one at least
    for k, (word, characters) in enumerate(line.words_with_characters):
        if k:
            _add_space(row, *(box_of(w.polygon) for w in line.words[k - 1 : k + 1]))
        string = child(row, "String", ID=f"{name}_{k + 1}", CONTENT=word.text, **_at(box_of(word.polygon)),
                       WC=share(word.confidence))  # fmt: skip
        _add_shape(string, word.polygon)
        for character in characters:
            if len(character.text) == 1:  # the schema knows no longer ones
                child(string, "Glyph", CONTENT=character.text, **_at(box_of(character.polygon)),
                      GC=share(character.confidence))  # fmt: skip


def _add_shape(parent: Element, polygon: Polygon) -> None:
    child(child(parent, "Shape"), "Polygon", POINTS=points(polygon))


def _add_space(row: Element, before: BoundingBox, after: BoundingBox) -> None:
    left, right = sorted((before[2], after[0]))
    child(row, "SP", **_at((left, after[1], right, after[3])))


def _at(box: BoundingBox) -> dict[str, int]:
    left, top, right, bottom = pixels(box)
    return {"HPOS": left, "VPOS": top, "WIDTH": right - left, "HEIGHT": bottom - top}
