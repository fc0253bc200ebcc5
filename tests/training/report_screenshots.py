"""Takes the documentation's pictures of the report page: python tests/training/report_screenshots.py RUN...

Needs Debian's chromium. Writes report-desktop.png and report-phone.png to docs/assets, as palette images.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from glyphline.training.report import build_report

ASSETS = Path(__file__).parents[2] / "docs" / "assets"


def take_all(runs: list[Path], folder: Path) -> None:
    """Write both pictures of the page about these runs to a folder."""
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        path = Path(temporary) / "report.html"
        path.write_text(build_report(runs), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, size, anchor in (("desktop", (1280, 900), "#compare"), ("phone", (375, 800), "#run-0")):
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.goto(f"{path.as_uri()}{anchor}")
            shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            shot.quantize(64, dither=Image.Dither.NONE).save(folder / f"report-{name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    take_all([Path(name) for name in sys.argv[1:]], ASSETS)
