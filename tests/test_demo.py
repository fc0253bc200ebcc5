"""Tests of the demo: the terminal and the HTML page show the photographs, the lines and the recognized texts."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from glyphline.cli import demonstration
from glyphline.cli.demo_photographs import draw_photographs
from glyphline.cli.demonstration import DemoLine, read_photographs, render_half_blocks, run_demonstration
from glyphline.composing.line_sets import LineSet
from glyphline.errors import UserError
from glyphline.imaging.documents import GreyImage, load
from glyphline.page import Line
from glyphline.reading.recognition.recognizers import bundled_names

EXAMPLES = Path(__file__).parents[1] / "examples" / "lines"
IMAGE = re.compile(r'<img alt="([^"]*)" src="data:image/png;base64,([^"]+)">')
FIGURE = re.compile(r"<figure>.*?</figure>", re.DOTALL)
NEEDS_BUNDLED_READER = pytest.mark.skipif(not bundled_names(), reason="no reader is bundled yet")


class ImperfectReader:
    """A reader that returns the truth, without the last character of every second line."""

    def __init__(self) -> None:
        self.truths = [LineSet(demonstration.DEMO_RECIPE, "test", 0).text(k) for k in range(4)] + ['<b>"&"</b>']

    def read_lines(self, images: list[GreyImage]) -> list[Line]:
        texts = [text if k % 2 else text[:-1] for k, text in enumerate(self.truths[: len(images)])]
        return [Line(text, 0.75, (), "imperfect") for text in texts]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    folder = tmp_path / "examples"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.random.default_rng(0).integers(0, 256, (30, 90)).astype(np.uint8))
    (folder / "labels.tsv").write_text('a.png\t<b>"&"</b>\n')
    return folder


@pytest.fixture
def no_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration, "read_photographs", lambda: [])


@pytest.fixture
def demo_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, examples: Path, no_photographs: None) -> list[DemoLine]:
    monkeypatch.setattr(demonstration, "open_line_reader", ImperfectReader)
    return run_demonstration(tmp_path / "page" / "demo.html", 4, examples, 0)


# ----------------------------------------------------------------------------------------------------------- HTML page


def test_demo_reads_composed_lines_and_examples(demo_lines: list[DemoLine], examples: Path) -> None:
    line_set = LineSet(demonstration.DEMO_RECIPE, "test", 0)
    assert [line.truth for line in demo_lines] == [line_set.text(k) for k in range(4)] + ['<b>"&"</b>']
    for k, line in enumerate(demo_lines[:4]):
        assert np.array_equal(line.image, line_set.line(k).image)
    assert demo_lines[4].name == "a.png" and np.array_equal(demo_lines[4].image, load(examples / "a.png"))


def test_page_holds_every_image_and_its_texts(demo_lines: list[DemoLine], tmp_path: Path) -> None:
    page = (tmp_path / "page" / "demo.html").read_text(encoding="utf-8")
    figures = FIGURE.findall(page)
    assert len(figures) == len(demo_lines)
    for figure, line in zip(figures, demo_lines, strict=True):
        ((alt, data),) = IMAGE.findall(figure)
        assert html.unescape(alt) == line.truth
        assert np.array_equal(load(base64.b64decode(data)), line.image)
        assert f"<dd>{html.escape(line.truth)}</dd>" in figure
        figure_text = html.unescape(re.sub(r"<[^>]+>", "", figure))
        assert f"read{line.prediction}" in figure_text.replace("‸", "")
        assert ("<mark>" in figure) == (line.prediction != line.truth)  # differences are marked
        assert ("CER 0.0%" in figure) == (line.prediction == line.truth)
    assert "http" not in page and "<script" not in page  # the page loads nothing


@pytest.mark.usefixtures("no_photographs")
def test_terminal_shows_truth_and_recognized_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, examples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demonstration, "open_line_reader", ImperfectReader)
    demo_lines = run_demonstration(tmp_path / "demo.html", 4, examples, 0)
    output = capsys.readouterr().out
    for line in demo_lines:
        assert f"truth  {line.truth}" in output and f"read   {line.prediction}" in output
    assert f"({len(demo_lines)} lines)" in output and "CER" in output


@pytest.mark.usefixtures("no_photographs")
def test_demo_runs_without_examples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demonstration, "open_line_reader", ImperfectReader)
    assert len(run_demonstration(tmp_path / "demo.html", 2, tmp_path / "missing", 0)) == 2


@pytest.mark.usefixtures("no_photographs")
def test_unwritable_page_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, examples: Path) -> None:
    monkeypatch.setattr(demonstration, "open_line_reader", ImperfectReader)
    for out in (tmp_path, examples / "labels.tsv" / "demo.html"):
        with pytest.raises(UserError, match="cannot write"):
            run_demonstration(out, 1, examples, 0)


# ------------------------------------------------------------------------------------------------------------- terminal


@pytest.mark.parametrize("shape", [(28, 900), (300, 40), (1, 1), (3, 2000), (2000, 3)])
def test_half_blocks_fit_rows_and_columns(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    rows = render_half_blocks(image, rows=5, columns=60).plain.splitlines()
    assert 1 <= len(rows) <= 5 and {len(row) for row in rows} <= set(range(1, 61))
    assert len({len(row) for row in rows}) == 1


def test_half_blocks_keep_grey_values() -> None:
    image = np.array([[0, 255], [255, 0]], np.uint8)
    rendered = render_half_blocks(image, rows=1, columns=2)
    assert rendered.plain == "▀▀\n"
    assert [str(span.style) for span in rendered.spans] == [
        "rgb(0,0,0) on rgb(255,255,255)",
        "rgb(255,255,255) on rgb(0,0,0)",
    ]


def test_half_blocks_keep_colours() -> None:
    rendered = render_half_blocks(np.array([[(1, 2, 3)], [(4, 5, 6)]], np.uint8), rows=1, columns=1)
    assert [str(span.style) for span in rendered.spans] == ["rgb(1,2,3) on rgb(4,5,6)"]


# ---------------------------------------------------------------------------------------------------------- photographs


def test_photographs_are_the_same_at_every_call() -> None:
    for first, second in zip(draw_photographs(), draw_photographs(), strict=True):
        assert first.name == second.name and np.array_equal(first.image, second.image)
        assert first.image.dtype == np.uint8 and first.image.ndim == 3


# ------------------------------------------------------------------------------------------------------- bundled reader


@pytest.mark.slow
@NEEDS_BUNDLED_READER
def test_default_reader_reads_the_photographs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = read_photographs()
    assert [result.text for result in results] == [result.photograph.truth for result in results]
    monkeypatch.setattr(demonstration, "read_photographs", lambda: results)
    run_demonstration(tmp_path / "demo.html", 1, tmp_path / "missing", 0)
    page, output = (tmp_path / "demo.html").read_text(encoding="utf-8"), capsys.readouterr().out
    overlays = re.findall(r'<section>.*?src="data:image/jpeg;base64,([^"]+)"', page)
    for result, overlay in zip(results, overlays, strict=True):
        assert load(base64.b64decode(overlay)).shape == result.overlay.shape[:2]
        assert html.escape(result.photograph.truth) in page
        assert all(f"read     {line.expandtabs(14)}" in output for line in result.text.split("\n"))


@pytest.mark.slow
@NEEDS_BUNDLED_READER
def test_bundled_reader_reads_the_demo(tmp_path: Path, capsys: Any) -> None:
    from glyphline.score import score

    demo_lines = run_demonstration(tmp_path / "demo.html", 6, EXAMPLES, 0)
    assert score([line.truth for line in demo_lines], [line.prediction for line in demo_lines]).cer < 0.15
