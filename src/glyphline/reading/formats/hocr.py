"""Renders pages as hOCR 1.2, the XHTML format of OCR tools: http://kba.github.io/hocr-spec/1.2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import atan2, degrees

from glyphline.page import Character, Line, Page, Polygon, table_grid
from glyphline.reading.formats.complete import (
    BoundingBox,
    baseline_of,
    bounding_box,
    complete_page,
    corners_of,
    enclosing_box,
    sanitize_text,
)
from glyphline.reading.formats.contract import PageImage
from glyphline.reading.formats.markup import (
    Element,
    add_child,
    language_tag,
    pixel_box,
    serialize,
    software_info,
)

DOCTYPE = (
    '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"'
    ' "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
)
CAPABILITIES = "ocr_page ocr_table ocr_par ocr_line ocrx_word ocrx_cinfo ocrp_poly ocrp_wconf"


def render_hocr(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """Render paragraphs, tables, lines, words and characters with boxes; words and characters with confidences.

    A table is an HTML table of class ocr_table, whose cells hold their lines; an empty cell is empty.
    Rejected lines are empty and have the property x_rejected with the reason. `lang` is on pages, and on lines in
    another language. The images are not used.
    """
    root = Element("html", {"xmlns": "http://www.w3.org/1999/xhtml"})
    file_name = sanitize_text(file)
    head = add_child(root, "head")
    add_child(head, "title", file_name)
    add_child(head, "meta", **{"http-equiv": "Content-Type", "content": "text/html; charset=utf-8"})
    for key, content in (("system", " ".join(software_info())), ("capabilities", CAPABILITIES),
                         ("number-of-pages", str(len(pages)))):  # fmt: skip
        add_child(head, "meta", name=f"ocr-{key}", content=content)
    body = add_child(root, "body")
    for number, page in enumerate(pages, 1):
        _add_page(body, complete_page(page), f"{number}", file_name)
    return serialize(root, DOCTYPE)


def _add_page(body: Element, page: Page, number: str, file: str) -> None:
    quoted_file = file.replace("\\", "\\\\").replace('"', '\\"')
    title = f'image "{quoted_file}"; bbox 0 0 {page.width} {page.height}; ppageno {page.number - 1}'
    element = _add_block(body, "div", "ocr_page", f"page_{number}", title)
    if tag := language_tag(page.language):
        element.set("lang", tag)
    line_number = 0
    for k, lines in enumerate(page.paragraphs, 1):
        box = enclosing_box(bounding_box(line.polygon) for line in lines)
        if lines[0].cell:
            table = _add_block(element, "table", "ocr_table", f"table_{number}_{k}", _format_bbox(box))
            rows = [[(_add_cell(row), cell) for cell in cells] for cells, row in _add_rows(table, lines)]
            parents = [(parent, line) for row in rows for parent, cell in row for line in cell]
        else:
            paragraph = _add_block(element, "p", "ocr_par", f"par_{number}_{k}", _format_bbox(box))
            parents = [(paragraph, line) for line in lines]
        for parent, line in parents:
            line_number += 1
            _add_line(parent, line, f"{number}_{line_number}", language_tag(line.language, page.language))


def _add_rows(table: Element, lines: Sequence[Line]) -> Iterator[tuple[list[list[Line]], Element]]:
    """Yield the lines of the cells of each row, and the new element of the row."""
    for cells in table_grid(lines):
        row = add_child(table, "tr", "\n")
        row.tail = "\n"
        yield cells, row


def _add_cell(row: Element) -> Element:
    cell = add_child(row, "td", "\n")  # browsers do not know a self-closing td
    cell.tail = "\n"
    return cell


def _add_line(paragraph: Element, line: Line, number: str, language: str | None) -> None:
    poly = " ".join(f"{round(x)} {round(y)}" for x, y in line.polygon)
    title = f"{_format_bbox(bounding_box(line.polygon))}; poly {poly}; {_format_direction(line.polygon)}"
    if line.rejected:
        title += f'; x_rejected "{line.reason or ""}"'
    element = _add_block(paragraph, "span", "ocr_line", f"line_{number}", title)
    if language:
        element.set("lang", language)
    element.text = "" if line.words else "\n"  # browsers do not know a self-closing span
    element.tail = "\n"
    for k, (word, characters) in enumerate(line.words_with_characters, 1):
        title = f"{_format_bbox(bounding_box(word.polygon))}; x_wconf {round(100 * word.confidence)}"
        span = _add_block(element, "span", "ocrx_word", f"word_{number}_{k}", title)
        span.text = "" if characters else word.text
        span.tail = " " if k < len(line.words) else ""
        for character in characters:
            _add_character(span, character)


def _add_character(word: Element, character: Character) -> None:
    box = " ".join(map(str, pixel_box(bounding_box(character.polygon))))
    title = f"x_bboxes {box}; x_confs {100 * character.confidence:.1f}"
    add_child(word, "span", character.text, **{"class": "ocrx_cinfo", "title": title})


def _add_block(parent: Element, tag: str, css_class: str, element_id: str, title: str) -> Element:
    element = add_child(parent, tag, "\n", **{"class": css_class, "id": element_id, "title": title})
    element.tail = "\n"
    return element


def _format_bbox(box: BoundingBox) -> str:
    return "bbox " + " ".join(map(str, pixel_box(box)))


def _format_direction(polygon: Polygon) -> str:
    """The property `textangle` of text rotated anticlockwise by 90, 180 or 270 degrees, else `baseline`."""
    (x0, y0), (x1, y1) = corners_of(polygon)[:2]
    angle = round(degrees(atan2(y0 - y1, x1 - x0)) / 90) % 4 * 90
    if angle:
        return f"textangle {angle}"
    # hOCR's baseline: its slope, and its offset in px from the lower left corner of the bounding box
    left, _, _, bottom = pixel_box(bounding_box(polygon))
    (x0, y0), (x1, y1) = baseline_of(polygon)
    slope = (y1 - y0) / (x1 - x0) if x1 > x0 else 0.0
    return f"baseline {slope:.4f} {y0 + slope * (left - x0) - bottom:.1f}"
