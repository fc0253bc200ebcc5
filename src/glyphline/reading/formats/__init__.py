"""FAMILY: output formats, which render pages as documents.

Contract: `Format` in contract.py. To add a format: write its render function in a file of its own, and add a row to
FORMATS.
"""

from __future__ import annotations

from glyphline.errors import UserError, nearest
from glyphline.reading.formats.alto import render_alto
from glyphline.reading.formats.contract import Format, PageImage
from glyphline.reading.formats.hocr import render_hocr
from glyphline.reading.formats.markdown import render_markdown
from glyphline.reading.formats.pagexml import render_page_xml
from glyphline.reading.formats.pdf import render_pdf
from glyphline.reading.formats.plain import render_json, render_text, render_tsv

__all__ = ["FORMATS", "Format", "PageImage", "open_format"]

FORMATS: dict[str, Format] = {
    "text": Format(
        render_text, ".txt", "text: the lines in reading order, rows of tables with tabs", join_documents=True
    ),
    "json": Format(render_json, ".json", "json: all results, one object an image", join_documents=True),
    "tsv": Format(
        render_tsv,
        ".tsv",
        "tsv: file, page, line, confidence, text, table, row, column; a row a line",
        join_documents=True,
    ),
    "markdown": Format(
        render_markdown,
        ".md",
        "markdown: paragraphs with their lines joined, tables",
        join_documents=True,
        separator="\n\n",
    ),
    "hocr": Format(render_hocr, ".hocr", "hocr: hOCR 1.2, words and characters with boxes", join_documents=False),
    "alto": Format(render_alto, ".alto.xml", "alto: ALTO 4.4, the XML format of libraries", join_documents=False),
    "page": Format(
        render_page_xml, ".page.xml", "page: PAGE-XML 2019, one page a file", join_documents=False, single_page=True
    ),
    "pdf": Format(render_pdf, ".pdf", "pdf: the images with invisible, searchable text", join_documents=False),
}


def open_format(name: str) -> Format:
    """Return the format of this name. Raises UserError with the choices for an unknown name."""
    if name not in FORMATS:
        raise UserError(f'no format "{name}"; {nearest(name, FORMATS)}')
    return FORMATS[name]
