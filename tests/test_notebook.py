"""The example notebook runs from top to bottom on embedded data, and is committed with its outputs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason='needs pip install "glyphline[dev]"')
NOTEBOOK = Path(__file__).parents[1] / "examples" / "from_emnist_to_wikisplit.ipynb"


def test_notebook_is_short_and_shows_its_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(notebook.cells) < 40 and max(len(cell.source.splitlines()) for cell in code) <= 20
    assert NOTEBOOK.stat().st_size < 1_500_000
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
    assert "/root" not in NOTEBOOK.read_text(encoding="utf-8") and "/work" not in NOTEBOOK.read_text(encoding="utf-8")


def test_text_names_the_decoder_of_the_code() -> None:
    text = ""
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        text = cell.source if cell.cell_type == "markdown" else text
        for decoder in re.findall(r'open_line_reader\(.*"(\w+)"\)', cell.source):
            assert decoder in text


@pytest.mark.slow
def test_notebook_runs_on_embedded_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason='needs pip install "glyphline[dev]"')
    pytest.importorskip("ipykernel", reason='needs pip install "glyphline[dev]"')
    monkeypatch.setenv("GLYPHLINE_DATA", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()  # raises where a cell does
    texts = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "strokes" in str(notebook.cells[1].outputs) and "(16 lines)" in texts
    assert list(tmp_path.glob("*/walk-through/report.html"))
