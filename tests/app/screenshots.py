"""Takes the pictures of the app that the documentation shows: python tests/app/screenshots.py

Needs Debian's chromium. The pictures are palette images, so that they stay small.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from app_process import AppProcess

ROOT = Path(__file__).parents[2]
SIGN = ROOT / "examples" / "sign.jpg"


def save(page: Page, path: Path) -> None:
    """Save what the page shows, with 128 colours."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(128, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


def take_all(folder: Path) -> None:
    """Write app-start.png, app-result.png and app-dark.png (a phone) and app-desktop.png to a folder."""
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        app = AppProcess("--picture", str(SIGN), data=Path(data))
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        try:
            for name, size, scheme, has_touch in (
                ("start", (390, 844), "light", True),
                ("result", (390, 844), "light", True),
                ("dark", (390, 844), "dark", True),
                ("desktop", (1120, 720), "light", False),
            ):
                context = browser.new_context(
                    viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, has_touch=has_touch,
                    is_mobile=has_touch,
                )  # fmt: skip
                page = context.new_page()
                page.goto(app.address.partition("?")[0] if name == "start" else app.address)
                page.wait_for_selector("#start:not([hidden])" if name == "start" else "#result:not([hidden])")
                page.wait_for_timeout(500)
                save(page, folder / f"app-{name}.png")
                context.close()
        finally:
            browser.close()
            app.close()


if __name__ == "__main__":
    take_all(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "assets")
