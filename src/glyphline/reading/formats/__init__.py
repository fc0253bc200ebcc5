"""FAMILY: pages -> documents for people and programs.

Contract: `Format`, in contract.py. Its `make` takes a file's name, its pages and a function that gives the image of a
page, and returns text without its last newline, or bytes. To add one: a function in a file of its own, and a row in
FORMATS.
"""

from __future__ import annotations

from glyphline.errors import UserError, nearest
from glyphline.reading.formats.alto import as_alto
from glyphline.reading.formats.contract import Format, PageImage
from glyphline.reading.formats.hocr import as_hocr
from glyphline.reading.formats.markdown import as_markdown
from glyphline.reading.formats.pagexml import as_page
from glyphline.reading.formats.pdf import as_pdf
from glyphline.reading.formats.plain import as_json, as_text, as_tsv

__all__ = ["FORMATS", "Format", "PageImage", "open_format"]

FORMATS: dict[str, Format] = {
    "text": Format(as_text, ".txt", "text: the lines in reading order, nothing else", joined=True),
    "json": Format(as_json, ".json", "json: everything, one object an image", joined=True),
    "tsv": Format(as_tsv, ".tsv", "tsv: a row a line: file, page, line, confidence, text", joined=True),
    "markdown": Format(as_markdown, ".md", "markdown: paragraphs whose lines are joined", joined=True, between="\n\n"),
    "hocr": Format(as_hocr, ".hocr", "hocr: hOCR 1.2, words and characters with boxes", joined=False),
    "alto": Format(as_alto, ".alto.xml", "alto: ALTO 4.4, as libraries keep it", joined=False),
    "page": Format(as_page, ".page.xml", "page: PAGE-XML 2019, one page a file", joined=False, single=True),
    "pdf": Format(as_pdf, ".pdf", "pdf: the images with text that can be searched and copied", joined=False),
}


def open_format(name: str) -> Format:
    """The format of this name. Raises UserError with the choices."""
    if name not in FORMATS:
        raise UserError(f'no format "{name}"; {nearest(name, FORMATS)}')
    return FORMATS[name]
