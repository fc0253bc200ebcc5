"""Pages -> hOCR 1.2, the XHTML of OCR tools: http://kba.github.io/hocr-spec/1.2."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, degrees

from glyphline.page import Character, Line, Page, Polygon
from glyphline.reading.formats.complete import BoundingBox, around, baseline_of, box_of, complete, corners_of, writable
from glyphline.reading.formats.contract import PageImage
from glyphline.reading.formats.markup import Element, child, document, pixels, software

HEAD = (
    '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"'
    ' "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
)
ABILITIES = "ocr_page ocr_par ocr_line ocrx_word ocrx_cinfo ocrp_poly ocrp_wconf"


def as_hocr(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """Paragraphs, lines, words and characters with boxes; words and characters with confidences."""
    root = Element("html", {"xmlns": "http://www.w3.org/1999/xhtml"})
    name = writable(file)
    head = child(root, "head")
    child(head, "title", name)
    child(head, "meta", **{"http-equiv": "Content-Type", "content": "text/html; charset=utf-8"})
    for key, content in (("system", " ".join(software())), ("capabilities", ABILITIES),
                         ("number-of-pages", str(len(pages)))):  # fmt: skip
        child(head, "meta", name=f"ocr-{key}", content=content)
    body = child(root, "body")
    for number, page in enumerate(pages, 1):
        _add_page(body, complete(page), f"{number}", name)
    return document(root, HEAD)


def _add_page(body: Element, page: Page, number: str, file: str) -> None:
    image = file.replace("\\", "\\\\").replace('"', '\\"')
    title = f'image "{image}"; bbox 0 0 {page.width} {page.height}; ppageno {page.number - 1}'
    sheet = _add(body, "div", "ocr_page", f"page_{number}", title)
    count = 0
    for k, lines in enumerate(page.paragraphs, 1):
        where = around(box_of(line.polygon) for line in lines)
        paragraph = _add(sheet, "p", "ocr_par", f"par_{number}_{k}", _bbox(where))
        for line in lines:
            count += 1
            _add_line(paragraph, line, f"{number}_{count}")


def _add_line(paragraph: Element, line: Line, number: str) -> None:
    poly = " ".join(f"{round(x)} {round(y)}" for x, y in line.polygon)
    title = f"{_bbox(box_of(line.polygon))}; poly {poly}; {_lie(line.polygon)}"
    row = _add(paragraph, "span", "ocr_line", f"line_{number}", title)
    row.text = "" if line.words else "\n"  # a span that is closed at once is none to browsers
    row.tail = "\n"
    for k, (word, characters) in enumerate(line.words_with_characters, 1):
        title = f"{_bbox(box_of(word.polygon))}; x_wconf {round(100 * word.confidence)}"
        span = _add(row, "span", "ocrx_word", f"word_{number}_{k}", title)
        span.text = "" if characters else word.text
        span.tail = " " if k < len(line.words) else ""
        for character in characters:
            _add_character(span, character)


def _add_character(word: Element, character: Character) -> None:
    where = " ".join(map(str, pixels(box_of(character.polygon))))
    title = f"x_bboxes {where}; x_confs {100 * character.confidence:.1f}"
    child(word, "span", character.text, **{"class": "ocrx_cinfo", "title": title})


def _add(parent: Element, tag: str, kind: str, name: str, title: str) -> Element:
    made = child(parent, tag, "\n", **{"class": kind, "id": name, "title": title})
    made.tail = "\n"
    return made


def _bbox(box: BoundingBox) -> str:
    return "bbox " + " ".join(map(str, pixels(box)))


def _lie(polygon: Polygon) -> str:
    """How the text lies: its baseline, or the quarters by which it is turned anticlockwise."""
    (x0, y0), (x1, y1) = corners_of(polygon)[:2]
    turned = round(degrees(atan2(y0 - y1, x1 - x0)) / 90) % 4 * 90
    if turned:
        return f"textangle {turned}"
    # slope, and px below the lower left corner of the box
    left, _, _, bottom = pixels(box_of(polygon))
    (x0, y0), (x1, y1) = baseline_of(polygon)
    slope = (y1 - y0) / (x1 - x0) if x1 > x0 else 0.0
    return f"baseline {slope:.4f} {y0 + slope * (left - x0) - bottom:.1f}"
