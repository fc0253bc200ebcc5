"""Short cells: dashes and single characters of legible tables are kept, marks and illegible tables are not."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from glyphline import open_reader
from glyphline.imaging.documents import ColourImage
from glyphline.page import Line
from glyphline.reading.cell_reliability import assess_cells, cell_features, is_short_cell
from glyphline.reading.formats import open_format
from reading.cells import make_cell

ROWS = [["City", "Trains", "Late", "Class"], ["Vienna", "7", "-", "A"], ["Warsaw", "-", "12", "B"],
        ["Lisbon", "1", "3", "A"], ["Turin", "9", "-", "C"]]  # fmt: skip


def make_table(seen: float, legibility: float) -> list[Line]:
    """Names in the first column and single characters in the second."""
    names = [
        make_cell(name, k, 0, seen, legibility) for k, name in enumerate(("Vienna", "Warsaw", "Lisbon", "Helsinki"))
    ]
    return [*names, *(make_cell(text, k, 1, seen, 0.2) for k, text in enumerate("7-19"))]


def test_features_are_those_of_the_fit() -> None:
    weights = json.loads((resources.files("glyphline.models") / "tables.json").read_text(encoding="utf-8"))["weights"]
    lines = make_table(0.95, 1.0)
    rows = cell_features([0.8] * len(lines), lines)
    assert len(rows) == sum(map(is_short_cell, lines)) == 4
    assert {len(row) for row in rows} == {len(weights["cell"])} and np.isfinite(rows).all()


def test_short_cells_of_a_legible_table_are_right() -> None:
    lines = make_table(0.97, 1.0)
    assessed = assess_cells([0.7] * len(lines), lines, {})
    assert assessed[:4] == lines[:4]
    for line in assessed[4:]:
        assert line.confidence == line.legibility > 0.7
        assert line.characters[0].confidence == pytest.approx(line.confidence)
        assert line.words[0].confidence == pytest.approx(line.confidence)


def test_short_cells_that_were_hardly_seen_are_not() -> None:
    lines = make_table(0.3, 0.1)
    assert all(line.confidence < 0.5 for line in assess_cells([0.55] * len(lines), lines, {})[4:])


def test_short_lines_outside_tables_are_not_changed() -> None:
    lines = [replace(line, cell=None) for line in make_table(0.97, 1.0)]
    assert assess_cells([0.7] * len(lines), lines, {}) == lines


def draw_table() -> ColourImage:
    image = Image.new("RGB", (760, 60 + 52 * len(ROWS)), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(26)
    for r, row in enumerate(ROWS):
        for c, cell in enumerate(row):
            draw.text((40 + 190 * c, 40 + 52 * r), cell, fill=(20, 20, 20), font=font)
    return np.asarray(image)


def test_a_table_of_short_cells_is_read() -> None:
    page = open_reader().read_image(draw_table())
    assert page.text.split("\n") == ["\t".join(row) for row in ROWS]


@pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="pdftotext is not installed: apt-get install poppler-utils"
)
def test_searchable_pdf_of_a_table_keeps_its_rows(tmp_path: Path) -> None:
    image = draw_table()
    document = open_format("pdf").render("table.png", [open_reader().read_image(image)], lambda page: image)
    assert isinstance(document, bytes)
    (tmp_path / "table.pdf").write_bytes(document)
    command = ["pdftotext", "-layout", str(tmp_path / "table.pdf"), "-"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [re.split(" {2,}", line.strip()) for line in output.replace("\f", "").split("\n") if line.strip()] == ROWS
