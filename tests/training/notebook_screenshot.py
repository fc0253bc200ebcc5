"""Takes the documentation's picture of the example notebook: python tests/training/notebook_screenshot.py

Shows some of its sections with the outputs that it is committed with; nothing is executed. Needs Debian's chromium and
the extras [docs,dev]. Writes notebook.png to docs/assets, as a palette image.
"""

from __future__ import annotations

import html
import io
import re
from pathlib import Path
from typing import Any

import markdown
import nbformat
from PIL import Image
from playwright.sync_api import sync_playwright
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "from_emnist_to_wikisplit.ipynb"
SECTIONS = ("Glyphs", "Training", "The test")
STYLE = """
body { margin: 0; padding: 8px 24px 16px; font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; }
h2 { margin: 16px 0 4px; font-size: 22px; } p { margin: 4px 0 8px; }
.cell { display: grid; grid-template-columns: 64px 1fr; gap: 8px; } .cell:has(.input) { margin: 8px 0 4px; }
.prompt { color: #57606a; font: 13px/1.5 monospace; text-align: right; padding-top: 6px; }
pre { margin: 0; font: 13px/1.45 monospace; white-space: pre-wrap; } .cell > div { min-width: 0; }
.input { background: #f3f5f8; border: 1px solid #d0d7de; padding: 6px 10px; } img { max-width: 100%; display: block; }
"""


def render_output(output: Any) -> str:
    """The HTML of one output of a cell: its picture where it has one, otherwise its text."""
    data = output.get("data", {})
    if "image/png" in data:
        return f'<img alt="" src="data:image/png;base64,{data["image/png"]}">'
    return f"<pre>{html.escape(output.get('text', data.get('text/plain', '')))}</pre>"


def render_cell(cell: Any) -> str:
    """The HTML of a cell with its outputs, as Jupyter lays them out."""
    if cell.cell_type == "markdown":
        return str(markdown.markdown(cell.source))
    code = highlight(cell.source, PythonLexer(), HtmlFormatter(noclasses=True, nowrap=True))
    rows = [(f"[{cell.execution_count}]:", f'<pre class="input">{code}</pre>')]
    rows += [("", render_output(output)) for output in cell.outputs]
    return "".join(f'<div class="cell"><div class="prompt">{a}</div><div>{b}</div></div>' for a, b in rows)


def render_sections(path: Path, titles: tuple[str, ...]) -> str:
    """The HTML page of the sections with these headings of a notebook, each up to the next heading."""
    shown, parts = False, []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown" and (heading := re.match(r"#+ (.+)", cell.source)):
            shown = heading[1] in titles
        if shown:
            parts.append(render_cell(cell))
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{''.join(parts)}"


def take_picture(out: Path) -> None:
    """Write the picture of SECTIONS to a file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 400})
        page.set_content(render_sections(NOTEBOOK, SECTIONS))
        shot = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
        browser.close()
    shot.quantize(64, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    take_picture(ROOT / "docs" / "assets" / "notebook.png")
