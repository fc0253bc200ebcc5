"""The whole way of docs/own-hand.md at small size: sheet, photographs, glyphs, adapting, reading."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from simulated_sheets import fill_page, photograph

from glyphline.cli import main
from glyphline.composing.glyphs import Strokes
from glyphline.composing.line_sets import read_labels
from glyphline.composing.sheet import load_sheet

DENSITY = (6.0, 6.0)  # px a mm, to be quick
SMALL = {"EPOCH_LINES": 32, "BATCH": 8, "PARTS": 1, "MEASURED_LINES": 8, "COMMON_LINES": 8, "CALIBRATION_LINES": 20}


def run(*words: object) -> None:
    with pytest.raises(SystemExit) as exited:
        main([*map(str, words)])
    assert exited.value.code == 0


@pytest.mark.slow
def test_from_a_sheet_to_a_reader_of_the_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    adapting = pytest.importorskip("glyphline.training.adapt")
    for name, value in SMALL.items():
        monkeypatch.setattr(adapting, name, value)
    texts = tmp_path / "texts.txt"
    texts.write_text("the store on the east coast\nthe sun on the hot stones\nto the north or to the south\n")
    options = ("--alphabet", "acehnorstu ", "--copies", 3, "--sentences", f"text:{texts}")
    run("sheet", "--out", tmp_path / "sheet.pdf", *options)
    sheet = load_sheet(tmp_path / "sheet.json")
    rng = np.random.default_rng(0)
    for page in range(1, sheet.page_count + 1):
        filled = fill_page(sheet, page, Strokes(), 7, rng)
        photo = photograph(filled.image, sheet, rng, density=DENSITY)
        cv2.imwrite(str(tmp_path / f"photo{page}.jpg"), photo[..., ::-1])
    hand, mine = tmp_path / "hand", tmp_path / "mine.onnx"
    run("glyphs", *sorted(tmp_path.glob("photo*.jpg")), "--out", hand)
    lines = read_labels(hand / "lines")
    capsys.readouterr()

    run("adapt", "--glyphs", f"folder:{hand}", "--lines", hand / "lines", "--out", mine, "--minutes", "0.01")
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert result["own"]["lines"] >= 1 and result["epochs"] == 1 and mine.exists() == result["kept"]
    assert "the hand's glyphs lack" in said.err and "labelled lines:" in said.err

    mine = tmp_path / "mine.onnx.adapt" / "adapted.onnx"  # whether it is better, a few lines cannot tell
    run("read", "--line", lines[0][0], "--model", mine, "--format", "json")
    page = json.loads(capsys.readouterr().out)
    (line,) = page["pages"][0]["lines"]
    assert line["recognizer"] == "photo" and len(line["text"]) > len(lines[0][1]) / 2
    run("evaluate", hand / "lines", "--model", mine)
    assert f"{len(lines)} lines" in capsys.readouterr().out
