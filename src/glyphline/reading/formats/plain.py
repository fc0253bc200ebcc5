"""Pages -> text, JSON and tables: what a terminal, a program and a spreadsheet take."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from glyphline.page import Page
from glyphline.reading.formats.contract import PageImage


def as_text(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """The lines in reading order, one a line, nothing else."""
    return _whole("\n".join(line.text for page in pages for line in page.lines if line.text and not line.rejected))


def as_json(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """One object an image; docs/page.schema.json says what is in it."""
    return _whole(json.dumps({"file": file, "pages": [page.to_dict() for page in pages]}, ensure_ascii=False))


def as_tsv(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """A row a line: file, page, line, confidence, text; tabs and quotes of the text escaped as csv does."""
    out = io.StringIO()
    rows = csv.writer(out, dialect="excel-tab", lineterminator="\n")
    for number, page in enumerate(pages, 1):
        for k, line in enumerate(page.lines, 1):
            rows.writerow([file, number, k, f"{line.confidence:.4f}", line.text])
    return _whole(out.getvalue().rstrip("\n"))


def _whole(text: str) -> str:
    """The text with U+FFFD for halves of surrogate pairs, as the names of some files have them: UTF-8 refuses them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
