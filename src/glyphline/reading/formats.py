"""FAMILY: pages -> text for people and programs.

Contract: a function from (file name, pages) to a string without its last newline. To add one: a function and a row
in FORMATS at the bottom.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence

from glyphline.errors import UserError, nearest
from glyphline.page import Page

Format = Callable[[str, Sequence[Page]], str]


def as_text(file: str, pages: Sequence[Page]) -> str:
    """The lines in reading order, one a line, nothing else."""
    return "\n".join(page.text for page in pages)


def as_json(file: str, pages: Sequence[Page]) -> str:
    """One object a picture."""
    return json.dumps({"file": file, "pages": [page.to_dict() for page in pages]}, ensure_ascii=False)


def as_tsv(file: str, pages: Sequence[Page]) -> str:
    """A row a line: file, page, line, confidence, text; tabs and quotes of the text escaped as csv does."""
    out = io.StringIO()
    rows = csv.writer(out, dialect="excel-tab", lineterminator="\n")
    for number, page in enumerate(pages, 1):
        for k, line in enumerate(page.lines, 1):
            rows.writerow([file, number, k, f"{line.confidence:.4f}", line.text])
    return out.getvalue().rstrip("\n")


FORMATS: dict[str, Format] = {"text": as_text, "json": as_json, "tsv": as_tsv}


def open_format(name: str) -> Format:
    """The format of this name. Raises UserError with the choices."""
    if name not in FORMATS:
        raise UserError(f'no format "{name}"; {nearest(name, FORMATS)}')
    return FORMATS[name]
