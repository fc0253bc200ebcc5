"""The demo: composes lines, draws photographs, reads them and the example images, and shows images and texts.

It needs no torch.
"""

from __future__ import annotations

import base64
import html
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from rich.console import Console
from rich.text import Text

from glyphline.cli.demo_photographs import DemoPhotograph, draw_photographs
from glyphline.composing.line_sets import LineSet, read_labels
from glyphline.errors import UserError
from glyphline.imaging.documents import ColourImage, GreyImage, load
from glyphline.reading.lines import open_line_reader
from glyphline.reading.overlay import draw_overlay
from glyphline.reading.pages import open_reader
from glyphline.recipe import LinesRecipe
from glyphline.score import character_error_rate, fold_none, score

TERMINAL_ROWS = 5  # for each image; a row shows two rows of pixels
TERMINAL_COLUMNS = 100  # for each image, at most
PHOTOGRAPH_ROWS = 20  # for a photograph and its overlay
JPEG_QUALITY = 85  # of photographs on the HTML page, 0..100
#: lines of the bundled sentences and glyphs, each from the beginning of a sentence
DEMO_RECIPE = LinesRecipe(start="head", length=(18, 44))


class DemoLine(NamedTuple):
    """A line of the demo: its image, the text on it and the recognized text."""

    name: str
    image: GreyImage
    truth: str
    prediction: str
    confidence: float


class PhotographResult(NamedTuple):
    """A photograph of the demo, as it was read."""

    photograph: DemoPhotograph
    overlay: ColourImage  # the photograph with the outlines of its lines, and their texts beside it
    text: str
    seconds: float  # that it took to read


def render_half_blocks(
    image: GreyImage | ColourImage, rows: int = TERMINAL_ROWS, columns: int = TERMINAL_COLUMNS
) -> Text:
    """Render an image for a terminal, with two pixels a character cell.

    image: (H, W) or (H, W, 3), uint8. rows, columns: the largest size in character cells; smaller images are enlarged
    to it, aspect kept.
    """
    scale = min(2 * rows / image.shape[0], columns / image.shape[1])
    size = max(1, round(image.shape[1] * scale)), max(2, round(image.shape[0] * scale) // 2 * 2)
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    colours = resized if resized.ndim == 3 else np.repeat(resized[..., None], 3, axis=2)
    text = Text()
    for upper_row, lower_row in zip(colours[0::2].tolist(), colours[1::2].tolist(), strict=True):
        for upper, lower in zip(upper_row, lower_row, strict=True):
            upper_colour, lower_colour = (f"rgb({','.join(map(str, colour))})" for colour in (upper, lower))
            text.append("▀", style=f"{upper_colour} on {lower_colour}")
        text.append("\n")
    return text


def _mark_differences(truth: str, prediction: str) -> str:
    """The prediction as HTML, with <mark> around its differences from the truth; a caret stands for missing text."""
    from rapidfuzz.distance import Levenshtein

    segments = []
    for operation in Levenshtein.opcodes(truth, prediction):
        segment = html.escape(prediction[operation.dest_start : operation.dest_end])
        segments.append(segment if operation.tag == "equal" else f"<mark>{segment or '&#x2038;'}</mark>")
    return "".join(segments)


PAGE_HTML = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>glyphline demo</title><style>
:root {{ color-scheme: light dark }} body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
padding: 0 1rem }} figure {{ margin: 1.5rem 0; border-left: 3px solid #8886; padding-left: 1rem }}
img {{ max-width: 100%; height: auto; max-height: 6rem; display: block; margin-bottom: .4rem }}
dl {{ display: grid; grid-template-columns: 9rem 1fr; margin: 0; gap: 0 1rem }} dt {{ opacity: .65 }} dd {{ margin: 0 }}
mark {{ background: #fa04; color: inherit; border-bottom: 2px solid #e60 }}
section img {{ max-height: none }} pre {{ margin: 0; tab-size: 14; overflow-x: auto }}</style>
<h1>glyphline demo</h1>
<h2>Photographs</h2><p>Drawn by the demo, read by the default reader. Left: the detected lines in reading order, green
for a confidence from 0.9, amber from 0.7, red below. Right: the recognized text where it stands.</p>{photographs}
<h2>Lines</h2><p>{summary}</p>{figures}</html>
"""


def _render_figure(line: DemoLine) -> str:
    _, png = cv2.imencode(".png", line.image)
    data = base64.b64encode(png.tobytes()).decode()
    cer = character_error_rate(fold_none(line.truth), fold_none(line.prediction))
    return (
        f'<figure><img alt="{html.escape(line.truth, quote=True)}" src="data:image/png;base64,{data}"><dl>'
        f"<dt>truth</dt><dd>{html.escape(line.truth)}</dd>"
        f"<dt>read</dt><dd>{_mark_differences(line.truth, line.prediction)}</dd>"
        f"<dt>{html.escape(line.name)}</dt><dd>CER {cer:.1%}, confidence {line.confidence:.2f}</dd></dl></figure>\n"
    )


def _render_photograph(result: PhotographResult) -> str:
    _, jpeg = cv2.imencode(".jpg", result.overlay[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    data = base64.b64encode(jpeg.tobytes()).decode()
    name = html.escape(result.photograph.name)
    return (
        f'<section><h3>{name}</h3><img alt="{name} and its text" src="data:image/jpeg;base64,{data}"><dl>'
        f"<dt>written</dt><dd><pre>{html.escape(result.photograph.truth)}</pre></dd>"
        f"<dt>read</dt><dd><pre>{_mark_differences(result.photograph.truth, result.text)}</pre></dd>"
        f"<dt>time</dt><dd>{result.seconds * 1000:.0f} ms</dd></dl></section>\n"
    )


def read_photographs() -> list[PhotographResult]:
    """The photographs of the demo, read with the default reader."""
    reader = open_reader()
    results = []
    for photograph in draw_photographs():
        started = time.perf_counter()
        page = reader.read_image(photograph.image)
        seconds = time.perf_counter() - started
        results.append(PhotographResult(photograph, draw_overlay(photograph.image, page), page.text, seconds))
    return results


def _show_photograph(console: Console, result: PhotographResult) -> None:
    if console.is_terminal:
        console.print(render_half_blocks(result.overlay, PHOTOGRAPH_ROWS), end="")
    console.print(f"{result.photograph.name}, {result.seconds * 1000:.0f} ms")
    for label, text in (("written", result.photograph.truth), ("read   ", result.text)):
        console.print("\n".join(f"{label}  {line}" for line in text.expandtabs(14).split("\n")), markup=False)
    console.print()


def run_demonstration(out: Path, count: int, examples: Path, seed: int) -> list[DemoLine]:
    """Read photographs, composed lines and the example images; show them in the terminal and on an HTML page.

    out: the HTML file. count: number of composed lines. examples: a folder of images with labels.tsv; it may be
    missing. Returns the composed lines, then the examples. Raises UserError when the page cannot be written.
    """
    console = Console(highlight=False)
    photographs = read_photographs()
    for photograph in photographs:
        _show_photograph(console, photograph)
    reader = open_line_reader()
    line_set = LineSet(DEMO_RECIPE, "test", seed)
    samples = [(f"composed {k}", line_set.line(k).image, line_set.text(k)) for k in range(count)]
    if examples.is_dir():
        samples += [(path.name, load(path), text) for path, text in read_labels(examples)]
    started = time.perf_counter()
    lines = reader.read_lines([image for _, image, _ in samples])
    seconds = time.perf_counter() - started
    demo_lines = [
        DemoLine(name, image, truth, line.text, line.confidence)
        for (name, image, truth), line in zip(samples, lines, strict=True)
    ]
    for demo_line in demo_lines:
        if console.is_terminal:
            console.print(render_half_blocks(demo_line.image), end="")
        else:
            console.print(demo_line.name)
        console.print(f"truth  {demo_line.truth}\nread   {demo_line.prediction}\n", markup=False)
    result = score([line.truth for line in demo_lines], [line.prediction for line in demo_lines])
    summary = f"{result}; read in {seconds * 1000:.0f} ms"
    console.print(summary, markup=False)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        page = PAGE_HTML.format(
            photographs="".join(map(_render_photograph, photographs)),
            summary=html.escape(summary),
            figures="".join(map(_render_figure, demo_lines)),
        )
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from None
    return demo_lines
