"""Calibrating a model file: its confidence changes, what it reads does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glyphline.composing.line_sets import LineSet
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.calibration import UNITS
from glyphline.reading.recognition.decoders import CharacterSpan, DecodedText, open_decoder
from glyphline.reading.recognition.recognizers import OnnxRecognizer, alphabet_of
from glyphline.recipe import Recipe
from glyphline.training.calibrate import FITTED, calibrate, units_of
from glyphline.training.export import export

pytest.importorskip("onnx")


def said(text: str, *shares: float) -> DecodedText:
    return DecodedText(
        text,
        min(shares),
        tuple(CharacterSpan(c, k, k + 1, p) for k, (c, p) in enumerate(zip(text, shares, strict=True))),
    )


def test_units_are_right_where_they_stand_in_the_truth() -> None:
    found = units_of([said("a cot", 0.9, 1.0, 0.8, 0.3, 0.7), DecodedText("", 1.0, ())], ["a  cat", "lost"])
    a, _, c, o, t = every = [(0.9, 0.0), (1.0, 0.0), (0.8, 0.0), (0.3, 0.0), (0.7, 0.0)]
    assert found["character"] == ([[one] for one in every], [True, True, True, False, True])
    assert found["word"] == ([[a], [c, o, t]], [True, False])
    assert found["line"] == ([every], [False])


def test_a_calibrated_file_reads_the_same_and_says_how_sure_it_is(
    finished: Path, tiny: Callable[..., Recipe], tmp_path: Path
) -> None:
    path = tmp_path / "tiny.onnx"
    export(finished, path)
    before = OnnxRecognizer(path)
    measured = calibrate(path, tiny(), count=60)
    after = OnnxRecognizer(path)
    assert list(tmp_path.iterdir()) == [path] and set(measured) == set(FITTED)
    assert before.info.calibration is None and set(after.info.calibration or {}) == set(FITTED)
    for one in measured.values():
        assert set(one.before) == set(one.after) == set(one.reliability) == set(UNITS)
        assert all(0 <= e <= 1 for e in (*one.before.values(), *one.after.values()))
    images = [LineSet(tiny().lines, "test", 3).line(i).image for i in range(8)]
    for kind in FITTED:
        plain, fitted = (
            LineReader(recognizer, open_decoder(kind, alphabet_of(recognizer))).read_lines(images)
            for recognizer in (before, after)
        )
        assert [line.text for line in plain] == [line.text for line in fitted]
        assert all(0 <= c.confidence <= 1 for line in fitted for c in (*line.characters, *line.words, line))
    lines = np.zeros((2, before.info.height, 64), np.uint8)
    assert np.array_equal(before.log_probs(lines), after.log_probs(lines))
