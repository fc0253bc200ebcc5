"""Renders pages as ALTO 4.4, the XML format of libraries: https://www.loc.gov/standards/alto."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from glyphline.page import Line, Page, Polygon, table_grid
from glyphline.reading.formats.complete import (
    BoundingBox,
    baseline_of,
    bounding_box,
    complete_page,
    enclosing_box,
    sanitize_text,
)
from glyphline.reading.formats.contract import PageImage
from glyphline.reading.formats.markup import (
    SOFTWARE,
    Element,
    add_child,
    format_confidence,
    format_points,
    language_tag,
    pixel_box,
    serialize,
    software_info,
)

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
LOCATION = "https://www.loc.gov/standards/alto/v4/alto-4-4.xsd"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
REJECTED_TAG = "rejected"  # id and label of the tag that rejected lines refer to; its reason is its description


def render_alto(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """Render paragraphs, lines, words and characters with boxes.

    Lines and words also have polygons, words and characters have confidences. Rejected lines are empty and refer
    to a tag with the label "rejected" and the reason as its description. A table is a ComposedBlock of the type
    "table", with one of the type "row" for each row, whose TextBlocks are the cells; their IDs end with their row and
    column, from 1. The images are not used.
    """
    root = Element("alto", {"xmlns": NAMESPACE, "xmlns:xsi": INSTANCE, "SCHEMAVERSION": "4.4",
                            "xsi:schemaLocation": f"{NAMESPACE} {LOCATION}"})  # fmt: skip
    completed = [complete_page(page) for page in pages]
    lines = [line for page in completed for line in page.lines]
    _add_description(root, file, sorted({line.recognizer for line in lines}))
    reasons = sorted({line.reason or "" for line in lines if line.rejected})
    tags = {reason: REJECTED_TAG + (f"_{k}" if k else "") for k, reason in enumerate(reasons)}
    if tags:
        parent = add_child(root, "Tags")
        for reason, tag in tags.items():
            add_child(parent, "OtherTag", ID=tag, LABEL=REJECTED_TAG, DESCRIPTION=reason or None)
    layout = add_child(root, "Layout")
    for number, page in enumerate(completed, 1):
        _add_page(layout, page, f"page_{number}", tags)
    ElementTree.indent(root, " ")
    return serialize(root)


def _add_description(root: Element, file: str, recognizers: Sequence[str]) -> None:
    description = add_child(root, "Description")
    add_child(description, "MeasurementUnit", "pixel")
    add_child(add_child(description, "sourceImageInformation"), "fileName", sanitize_text(file))
    processing = add_child(description, "Processing", ID=SOFTWARE)
    add_child(processing, "processingCategory", "contentGeneration")
    add_child(processing, "processingStepSettings", sanitize_text(f"recognizers: {', '.join(recognizers)}"))
    software = add_child(processing, "processingSoftware")
    for tag, value in zip(("softwareName", "softwareVersion"), software_info(), strict=True):
        add_child(software, tag, value)


def _add_page(layout: Element, page: Page, page_id: str, tags: dict[str, str]) -> None:
    """tags: reason of a rejection -> id of its tag."""
    # ROTATION is the rotation of the text, the inverse of the rotation that sets the page upright
    rotation = (360 - page.rotation) % 360 or None
    element = add_child(layout, "Page", ID=page_id, PHYSICAL_IMG_NR=page.number, WIDTH=page.width, HEIGHT=page.height,
                        ROTATION=rotation, PROCESSINGREFS=SOFTWARE, LANG=language_tag(page.language))  # fmt: skip
    space = add_child(element, "PrintSpace", **_box_attributes((0, 0, page.width, page.height)))
    number = 0
    for k, lines in enumerate(page.paragraphs, 1):
        block_id = f"{page_id}_block_{k}"
        blocks = _add_table(space, lines, block_id) if lines[0].cell else [(_add_block(space, lines, block_id), lines)]
        for block, members in blocks:
            for line in members:
                number += 1
                tag = tags[line.reason or ""] if line.rejected else None
                _add_line(block, line, f"{page_id}_line_{number}", language_tag(line.language, page.language), tag)


def _add_block(parent: Element, lines: Sequence[Line], block_id: str, block_type: str | None = None) -> Element:
    """block_type: the TYPE of a ComposedBlock; a TextBlock has none."""
    box = enclosing_box(bounding_box(line.polygon) for line in lines)
    tag = "TextBlock" if block_type is None else "ComposedBlock"
    return add_child(parent, tag, ID=block_id, **_box_attributes(box), TYPE=block_type)


def _add_table(space: Element, lines: Sequence[Line], block_id: str) -> Iterator[tuple[Element, list[Line]]]:
    """Add the blocks of a table, and yield the block of each cell that has lines with these lines."""
    table = _add_block(space, lines, block_id, "table")
    for r, cells in enumerate(table_grid(lines), 1):
        members = [line for cell in cells for line in cell]
        row = _add_block(table, members, f"{block_id}_{r}", "row") if members else None
        for c, cell in enumerate(cells, 1):
            if row is not None and cell:
                yield _add_block(row, cell, f"{block_id}_{r}_{c}"), cell


def _add_line(block: Element, line: Line, line_id: str, language: str | None, tag: str | None) -> None:
    box = _box_attributes(bounding_box(line.polygon))
    element = add_child(block, "TextLine", ID=line_id, **box, BASELINE=format_points(baseline_of(line.polygon)),
                        TAGREFS=tag, LANG=language)  # fmt: skip
    _add_shape(element, line.polygon)
    if not line.words:
        add_child(element, "String", CONTENT="", **box)  # the schema requires at least one in a line
    for k, (word, characters) in enumerate(line.words_with_characters):
        if k:
            _add_space(element, *(bounding_box(w.polygon) for w in line.words[k - 1 : k + 1]))
        string = add_child(element, "String", ID=f"{line_id}_{k + 1}", CONTENT=word.text,
                           **_box_attributes(bounding_box(word.polygon)),
                           WC=format_confidence(word.confidence))  # fmt: skip
        _add_shape(string, word.polygon)
        for character in characters:
            if len(character.text) == 1:  # the schema allows no longer Glyph
                add_child(string, "Glyph", CONTENT=character.text, **_box_attributes(bounding_box(character.polygon)),
                          GC=format_confidence(character.confidence))  # fmt: skip


def _add_shape(parent: Element, polygon: Polygon) -> None:
    add_child(add_child(parent, "Shape"), "Polygon", POINTS=format_points(polygon))


def _add_space(line: Element, before: BoundingBox, after: BoundingBox) -> None:
    left, right = sorted((before[2], after[0]))
    add_child(line, "SP", **_box_attributes((left, after[1], right, after[3])))


def _box_attributes(box: BoundingBox) -> dict[str, int]:
    left, top, right, bottom = pixel_box(box)
    return {"HPOS": left, "VPOS": top, "WIDTH": right - left, "HEIGHT": bottom - top}
