"""The main job in one go, without torch: compose lines, read them and example images, show them side by side."""

from __future__ import annotations

import base64
import html
import time
from pathlib import Path
from typing import NamedTuple

import cv2
from rich.console import Console
from rich.text import Text

from glyphline.composing.line_sets import LineSet, read_labels
from glyphline.errors import UserError
from glyphline.imaging.documents import GreyImage, load
from glyphline.reading.lines import open_line_reader
from glyphline.recipe import LinesRecipe
from glyphline.score import character_error_rate, fold_none, score

ROWS = 5  # of the terminal for each image, two pixels a row
COLUMNS = 100  # of the terminal at most
COMPOSED = LinesRecipe(start="head", length=(18, 44))  # whole beginnings, from what is embedded


class Shown(NamedTuple):
    """One line of the demo."""

    name: str
    image: GreyImage
    truth: str
    read: str
    confidence: float


def terminal_image(image: GreyImage, rows: int = ROWS, columns: int = COLUMNS) -> Text:
    """An image as half blocks, two pixels a character cell."""
    scale = min(2 * rows / image.shape[0], columns / image.shape[1])
    size = max(1, round(image.shape[1] * scale)), max(2, round(image.shape[0] * scale) // 2 * 2)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    out = Text()
    for upper, lower in zip(small[0::2], small[1::2], strict=True):
        for a, b in zip(upper, lower, strict=True):
            out.append("▀", style=f"rgb({a},{a},{a}) on rgb({b},{b},{b})")
        out.append("\n")
    return out


def _marked(truth: str, read: str) -> str:
    """The reading in HTML, what differs from the truth marked."""
    from rapidfuzz.distance import Levenshtein

    parts = []
    for op in Levenshtein.opcodes(truth, read):
        region = html.escape(read[op.dest_start : op.dest_end])
        parts.append(region if op.tag == "equal" else f"<mark>{region or '&#x2038;'}</mark>")
    return "".join(parts)


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>glyphline demo</title><style>
:root {{ color-scheme: light dark }} body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
padding: 0 1rem }} figure {{ margin: 1.5rem 0; border-left: 3px solid #8886; padding-left: 1rem }}
img {{ max-width: 100%; height: auto; max-height: 6rem; display: block; margin-bottom: .4rem }}
dl {{ display: grid; grid-template-columns: 9rem 1fr; margin: 0; gap: 0 1rem }} dt {{ opacity: .65 }} dd {{ margin: 0 }}
mark {{ background: #fa04; color: inherit; border-bottom: 2px solid #e60 }}</style>
<h1>glyphline demo</h1><p>{summary}</p>{figures}</html>
"""


def _figure(line: Shown) -> str:
    ok, data = cv2.imencode(".png", line.image)
    assert ok  # PNG of a uint8 array always encodes
    source = base64.b64encode(data.tobytes()).decode()
    rate = character_error_rate(fold_none(line.truth), fold_none(line.read))
    return (
        f'<figure><img alt="{html.escape(line.truth, quote=True)}" src="data:image/png;base64,{source}"><dl>'
        f"<dt>truth</dt><dd>{html.escape(line.truth)}</dd><dt>read</dt><dd>{_marked(line.truth, line.read)}</dd>"
        f"<dt>{html.escape(line.name)}</dt><dd>CER {rate:.1%}, confidence {line.confidence:.2f}</dd></dl></figure>\n"
    )


def run_demonstration(out: Path, count: int, examples: Path, seed: int) -> list[Shown]:
    """Compose `count` lines from what is embedded, read them and the examples, show them, write the page to `out`."""
    console = Console(highlight=False)
    reader = open_line_reader()
    composed = LineSet(COMPOSED, "test", seed)
    images = [(f"composed {k}", composed.line(k).image, composed.text(k)) for k in range(count)]
    if examples.is_dir():
        images += [(path.name, load(path), text) for path, text in read_labels(examples)]
    started = time.perf_counter()
    lines = reader.read_lines([image for _, image, _ in images])
    seconds = time.perf_counter() - started
    shown = [
        Shown(name, image, truth, line.text, line.confidence)
        for (name, image, truth), line in zip(images, lines, strict=True)
    ]
    for each in shown:
        if console.is_terminal:
            console.print(terminal_image(each.image), end="")
        else:
            console.print(each.name)
        console.print(f"truth  {each.truth}\nread   {each.read}\n", markup=False)
    result = score([s.truth for s in shown], [s.read for s in shown])
    summary = f"{result}; read in {seconds * 1000:.0f} ms"
    console.print(summary, markup=False)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        page = _PAGE.format(summary=html.escape(summary), figures="".join(map(_figure, shown)))
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from None
    return shown
