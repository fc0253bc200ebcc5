"""One page -> PAGE-XML 2019-07-15, the XML of transcription tools: https://github.com/PRImA-Research-Lab/PAGE-XML."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree

from glyphline.errors import UserError
from glyphline.page import Character, Line, Page, Polygon, Word
from glyphline.reading.formats.complete import around, baseline_of, box_of, complete, level, writable
from glyphline.reading.formats.contract import PageImage
from glyphline.reading.formats.markup import Element, child, document, pixels, points, share, software

NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"


def as_page(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """A region a paragraph, with lines, words and characters. Raises UserError unless there is one page."""
    if len(pages) != 1:
        raise UserError(f"PAGE-XML holds one page, {writable(file)} has {len(pages)}: choose alto or hocr for it")
    page = complete(pages[0])
    root = Element("PcGts", {"xmlns": NAMESPACE, "xmlns:xsi": INSTANCE,
                             "xsi:schemaLocation": f"{NAMESPACE} {NAMESPACE}/pagecontent.xsd"})  # fmt: skip
    metadata = child(root, "Metadata")
    child(metadata, "Creator", " ".join(software()))
    for tag in ("Created", "LastChange"):
        child(metadata, tag, _now())
    turned = -page.rotation if page.rotation < 180 else 360 - page.rotation  # clockwise, above -180
    sheet = child(root, "Page", imageFilename=writable(file), imageWidth=page.width, imageHeight=page.height,
                  orientation=turned or None)  # fmt: skip
    if page.lines:
        order = child(child(sheet, "ReadingOrder"), "OrderedGroup", id="order")
    number = 0
    for k, lines in enumerate(page.paragraphs):
        child(order, "RegionRefIndexed", index=k, regionRef=f"region_{k + 1}")
        region = child(sheet, "TextRegion", id=f"region_{k + 1}", type="paragraph")
        where = level(*pixels(around(box_of(line.polygon) for line in lines)))
        child(region, "Coords", points=points(where))
        for line in lines:
            number += 1
            _add_line(region, line, f"line_{number}")
        _say(region, "\n".join(line.text for line in lines if line.text))
    ElementTree.indent(root, " ")
    return document(root)


def _now() -> str:
    """The time in UTC; that of SOURCE_DATE_EPOCH, where it is set, so that documents can be made again."""
    return datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())), UTC).isoformat()


def _add_line(region: Element, line: Line, name: str) -> None:
    row = child(region, "TextLine", id=name, comments="rejected" if line.rejected else None)
    child(row, "Coords", points=points(_two(line.polygon)))
    child(row, "Baseline", points=points(baseline_of(line.polygon)))
    for k, (word, characters) in enumerate(line.words_with_characters, 1):
        inside = _add_part(row, "Word", word, f"{name}_{k}")
        for j, character in enumerate(characters, 1):
            _say(_add_part(inside, "Glyph", character, f"{name}_{k}_{j}"), character.text, character.confidence)
        _say(inside, word.text, word.confidence)
    if not line.rejected:
        _say(row, line.text, line.confidence)


def _add_part(parent: Element, tag: str, part: Word | Character, name: str) -> Element:
    made = child(parent, tag, id=name)
    child(made, "Coords", points=points(_two(part.polygon)))
    return made


def _two(polygon: Polygon) -> Polygon:
    """The polygon; of a single corner two, for fewer are not allowed."""
    return polygon if len(polygon) > 1 else polygon * 2


def _say(parent: Element, text: str, confidence: float | None = None) -> None:
    equivalent = child(parent, "TextEquiv", conf=None if confidence is None else share(confidence))
    child(equivalent, "Unicode", text)
