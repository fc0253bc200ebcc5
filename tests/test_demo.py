"""The demo: what it shows in the terminal and on its page is what was composed and read."""

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
from glyphline.cli.demonstration import Shown, run_demonstration, terminal_image
from glyphline.composing.line_sets import LineSet
from glyphline.errors import UserError
from glyphline.imaging.documents import GreyImage, load
from glyphline.page import Line
from glyphline.reading.recognition.recognizers import bundled_names

EXAMPLES = Path(__file__).parents[1] / "examples" / "lines"
IMAGE = re.compile(r'<img alt="([^"]*)" src="data:image/png;base64,([^"]+)">')
FIGURE = re.compile(r"<figure>.*?</figure>", re.DOTALL)
NEEDS_A_READER = pytest.mark.skipif(not bundled_names(), reason="no reader is bundled yet")


class Forgetful:
    """A reader that knows the truth, and leaves out the last character of every second line."""

    def __init__(self) -> None:
        self.truths = [LineSet(demonstration.COMPOSED, "test", 0).text(k) for k in range(4)] + ['<b>"&"</b>']

    def read_lines(self, images: list[GreyImage]) -> list[Line]:
        said = [text if k % 2 else text[:-1] for k, text in enumerate(self.truths[: len(images)])]
        return [Line(text, 0.75, (), "forgetful") for text in said]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    folder = tmp_path / "examples"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.random.default_rng(0).integers(0, 256, (30, 90)).astype(np.uint8))
    (folder / "labels.tsv").write_text('a.png\t<b>"&"</b>\n')
    return folder


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, examples: Path) -> list[Shown]:
    monkeypatch.setattr(demonstration, "open_line_reader", Forgetful)
    return run_demonstration(tmp_path / "page" / "demo.html", 4, examples, 0)


# ------------------------------------------------------------------------------------------------------------- the page


def test_composed_lines_and_examples_are_read(shown: list[Shown], examples: Path) -> None:
    lines = LineSet(demonstration.COMPOSED, "test", 0)
    assert [each.truth for each in shown] == [lines.text(k) for k in range(4)] + ['<b>"&"</b>']
    for k, each in enumerate(shown[:4]):
        assert np.array_equal(each.image, lines.line(k).image)
    assert shown[4].name == "a.png" and np.array_equal(shown[4].image, load(examples / "a.png"))


def test_the_page_holds_every_picture_and_its_texts(shown: list[Shown], tmp_path: Path) -> None:
    page = (tmp_path / "page" / "demo.html").read_text(encoding="utf-8")
    figures = FIGURE.findall(page)
    assert len(figures) == len(shown)
    for figure, each in zip(figures, shown, strict=True):
        ((alt, data),) = IMAGE.findall(figure)
        assert html.unescape(alt) == each.truth
        assert np.array_equal(load(base64.b64decode(data)), each.image)
        assert f"<dd>{html.escape(each.truth)}</dd>" in figure
        plain = html.unescape(re.sub(r"<[^>]+>", "", figure))
        assert f"read{each.read}" in plain.replace("‸", "")
        assert ("<mark>" in figure) == (each.read != each.truth)  # what differs is marked
        assert ("CER 0.0%" in figure) == (each.read == each.truth)
    assert "http" not in page and "<script" not in page  # nothing is loaded from elsewhere


def test_the_terminal_tells_truth_and_reading(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, examples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demonstration, "open_line_reader", Forgetful)
    shown = run_demonstration(tmp_path / "demo.html", 4, examples, 0)
    said = capsys.readouterr().out
    for each in shown:
        assert f"truth  {each.truth}" in said and f"read   {each.read}" in said
    assert f"({len(shown)} lines)" in said and "CER" in said


def test_the_demo_goes_without_examples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demonstration, "open_line_reader", Forgetful)
    assert len(run_demonstration(tmp_path / "demo.html", 2, tmp_path / "missing", 0)) == 2


def test_a_page_that_cannot_be_written_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, examples: Path
) -> None:
    monkeypatch.setattr(demonstration, "open_line_reader", Forgetful)
    for out in (tmp_path, examples / "labels.tsv" / "demo.html"):
        with pytest.raises(UserError, match="cannot write"):
            run_demonstration(out, 1, examples, 0)


# --------------------------------------------------------------------------------------------------------- the terminal


@pytest.mark.parametrize("shape", [(28, 900), (300, 40), (1, 1), (3, 2000), (2000, 3)])
def test_a_picture_fits_the_terminal(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    rows = terminal_image(image, rows=5, columns=60).plain.splitlines()
    assert 1 <= len(rows) <= 5 and {len(row) for row in rows} <= set(range(1, 61))
    assert len({len(row) for row in rows}) == 1


def test_half_blocks_keep_the_greys() -> None:
    image = np.array([[0, 255], [255, 0]], np.uint8)
    said = terminal_image(image, rows=1, columns=2)
    assert said.plain == "▀▀\n"
    assert [str(span.style) for span in said.spans] == [
        "rgb(0,0,0) on rgb(255,255,255)",
        "rgb(255,255,255) on rgb(0,0,0)",
    ]


# --------------------------------------------------------------------------------------------------- the bundled reader


@NEEDS_A_READER
def test_the_demo_reads_well(tmp_path: Path, capsys: Any) -> None:
    from glyphline.score import score

    shown = run_demonstration(tmp_path / "demo.html", 6, EXAMPLES, 0)
    assert score([each.truth for each in shown], [each.read for each in shown]).cer < 0.15
