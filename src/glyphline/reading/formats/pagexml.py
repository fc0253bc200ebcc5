"""Renders a page as PAGE-XML 2019-07-15, used by transcription tools: https://github.com/PRImA-Research-Lab/PAGE-XML."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree

from glyphline.errors import UserError
from glyphline.page import Character, Line, Page, Polygon, Word, table_grid
from glyphline.reading.formats.complete import (
    baseline_of,
    bounding_box,
    box_polygon,
    complete_page,
    enclosing_box,
    sanitize_text,
)
from glyphline.reading.formats.contract import PageImage
from glyphline.reading.formats.markup import (
    Element,
    add_child,
    format_confidence,
    format_points,
    language_tag,
    pixel_box,
    serialize,
    software_info,
)
from glyphline.reading.recognition.languages import LANGUAGES

NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"


def render_page_xml(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """Render one page: a TextRegion a paragraph, with lines, words and characters.

    A table is a TableRegion, whose cells are TextRegions with their row and column; empty cells are left out.
    Rejected lines are empty and have the comment "rejected" with the reason. The images are not used. Raises UserError
    unless there is exactly one page.
    """
    if len(pages) != 1:
        raise UserError(
            f"PAGE-XML holds one page, {sanitize_text(file)} has {len(pages)}: choose the format alto or hocr"
        )
    page = complete_page(pages[0])
    root = Element("PcGts", {"xmlns": NAMESPACE, "xmlns:xsi": INSTANCE,
                             "xsi:schemaLocation": f"{NAMESPACE} {NAMESPACE}/pagecontent.xsd"})  # fmt: skip
    metadata = add_child(root, "Metadata")
    add_child(metadata, "Creator", " ".join(software_info()))
    for tag in ("Created", "LastChange"):
        add_child(metadata, tag, _timestamp())
    # the schema's orientation is clockwise, above -180 and up to 180
    orientation = -page.rotation if page.rotation < 180 else 360 - page.rotation
    page_element = add_child(root, "Page", imageFilename=sanitize_text(file), imageWidth=page.width,
                             imageHeight=page.height, orientation=orientation or None,
                             primaryLanguage=_language_name(language_tag(page.language)))  # fmt: skip
    if page.lines:
        order = add_child(add_child(page_element, "ReadingOrder"), "OrderedGroup", id="order")
    number = 0
    for k, lines in enumerate(page.paragraphs):
        region_id = f"region_{k + 1}"
        add_child(order, "RegionRefIndexed", index=k, regionRef=region_id)
        if lines[0].cell:
            regions = _add_table(page_element, lines, region_id)
        else:
            regions = [(_add_region(page_element, "TextRegion", lines, id=region_id, type="paragraph"), lines)]
        for region, members in regions:
            for line in members:
                number += 1
                _add_line(region, line, f"line_{number}", language_tag(line.language, page.language))
            _add_text(region, "\n".join(line.text for line in members if line.text))
    ElementTree.indent(root, " ")
    return serialize(root)


def _add_region(parent: Element, tag: str, lines: Sequence[Line], **attributes: object) -> Element:
    region = add_child(parent, tag, **attributes)
    box = box_polygon(*pixel_box(enclosing_box(bounding_box(line.polygon) for line in lines)))
    add_child(region, "Coords", points=format_points(box))
    return region


def _add_table(page_element: Element, lines: Sequence[Line], table_id: str) -> list[tuple[Element, list[Line]]]:
    """Add the regions of a table. Returns the region of each cell that has lines, with these lines."""
    grid = table_grid(lines)
    table = _add_region(page_element, "TableRegion", lines, id=table_id, rows=len(grid), columns=len(grid[0]))
    regions = []
    for r, row in enumerate(grid):
        for c, cell in enumerate(row):
            if cell:
                region = _add_region(table, "TextRegion", cell, id=f"{table_id}_{r + 1}_{c + 1}")
                add_child(add_child(region, "Roles"), "TableCellRole", rowIndex=r, columnIndex=c)
                regions.append((region, cell))
    return regions


def _timestamp() -> str:
    """The current time in UTC, or SOURCE_DATE_EPOCH where it is set, which makes documents reproducible."""
    return datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())), UTC).isoformat()


def _language_name(tag: str | None) -> str | None:
    """The name that the schema has for a language."""
    return LANGUAGES[tag].name if tag in LANGUAGES else None


def _add_line(region: Element, line: Line, line_id: str, language: str | None) -> None:
    comments = ("rejected" + (f": {line.reason}" if line.reason else "")) if line.rejected else None
    element = add_child(region, "TextLine", id=line_id, comments=comments,
                        primaryLanguage=_language_name(language))  # fmt: skip
    add_child(element, "Coords", points=format_points(_pad_to_two_points(line.polygon)))
    add_child(element, "Baseline", points=format_points(baseline_of(line.polygon)))
    for k, (word, characters) in enumerate(line.words_with_characters, 1):
        word_element = _add_item(element, "Word", word, f"{line_id}_{k}")
        for j, character in enumerate(characters, 1):
            glyph = _add_item(word_element, "Glyph", character, f"{line_id}_{k}_{j}")
            _add_text(glyph, character.text, character.confidence)
        _add_text(word_element, word.text, word.confidence)
    if not line.rejected:
        _add_text(element, line.text, line.confidence)


def _add_item(parent: Element, tag: str, item: Word | Character, item_id: str) -> Element:
    element = add_child(parent, tag, id=item_id)
    add_child(element, "Coords", points=format_points(_pad_to_two_points(item.polygon)))
    return element


def _pad_to_two_points(polygon: Polygon) -> Polygon:
    """Repeat the point of a polygon of one point: the schema requires two."""
    return polygon if len(polygon) > 1 else polygon * 2


def _add_text(parent: Element, text: str, confidence: float | None = None) -> None:
    equivalent = add_child(parent, "TextEquiv", conf=None if confidence is None else format_confidence(confidence))
    add_child(equivalent, "Unicode", text)
