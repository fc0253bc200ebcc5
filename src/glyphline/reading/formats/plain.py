"""Renders pages as plain text, JSON and TSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from glyphline.page import Page, text_rows
from glyphline.reading.formats.contract import PageImage


def render_text(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """Render the lines in reading order, one a line. Rejected and empty lines are left out.

    The cells of a row of a table are on one line, with a tab between them; an empty cell is empty between its tabs.
    Translations take the place of the lines.
    """
    rows = (row for page in pages for row in text_rows(page.translated.lines))
    return _replace_surrogates("\n".join(row for row in rows if row))


def render_json(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """Render one JSON object for all pages, without line breaks. docs/page.schema.json is its schema."""
    document = {"file": file, "pages": [page.to_dict() for page in pages]}
    return _replace_surrogates(json.dumps(document, ensure_ascii=False))


def render_tsv(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """Render a row a line: file, page, line, confidence, text, table, row, column.

    Pages, lines, tables, their rows and columns are numbered from 1. A rejected line has a row with an empty text. The
    last three fields are empty for a line outside tables. Tabs and quotes inside a text are quoted as in Python's
    `excel-tab` dialect.
    """
    out = io.StringIO()
    writer = csv.writer(out, dialect="excel-tab", lineterminator="\n")
    for page_number, page in enumerate(pages, 1):
        for line_number, line in enumerate(page.lines, 1):
            cell = line.cell
            place = ["", "", ""] if cell is None else [cell.table + 1, cell.row + 1, cell.column + 1]
            writer.writerow([file, page_number, line_number, f"{line.confidence:.4f}", line.text, *place])
    return _replace_surrogates(out.getvalue().rstrip("\n"))


def _replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which some file names hold and UTF-8 cannot encode, by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
