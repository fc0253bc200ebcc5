"""Tests of calibrate: it changes the confidences of a model file, and not the texts that the model reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glyphline.composing.line_sets import LineSet
from glyphline.reading.lines import LineReader, open_line_reader
from glyphline.reading.recognition.calibration import UNITS
from glyphline.reading.recognition.decoders import BeamSearchDecoder, CharacterSpan, DecodedText, open_decoder
from glyphline.reading.recognition.recognizers import OnnxRecognizer, alphabet_of
from glyphline.recipe import Recipe
from glyphline.training import calibrate as calibrating
from glyphline.training.calibrate import DECODER_KINDS, calibrate, label_units
from glyphline.training.export import export

pytest.importorskip("onnx")


def make_decoded_text(text: str, *confidences: float) -> DecodedText:
    """A decoded text with these confidences of its characters."""
    spans = tuple(CharacterSpan(c, k, k + 1, p) for k, (c, p) in enumerate(zip(text, confidences, strict=True)))
    return DecodedText(text, min(confidences), spans)


def test_units_that_match_the_truth_are_correct() -> None:
    decoded = make_decoded_text("a cot", 0.9, 1.0, 0.8, 0.3, 0.7)
    units = label_units([decoded, DecodedText("", 1.0, ())], ["a  cat", "lost"])
    a, _, c, o, t = line = [(0.9, 0.0), (1.0, 0.0), (0.8, 0.0), (0.3, 0.0), (0.7, 0.0)]
    assert units["character"] == ([[evidence] for evidence in line], [True, True, True, False, True])
    assert units["word"] == ([[a], [c, o, t]], [True, False])
    assert units["line"] == ([line], [False])


@pytest.mark.slow
def test_weight_of_the_language_model_is_that_with_the_fewest_errors(
    finished_run: Path, tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrating, "LM_WEIGHTS", (0.0, 0.5, 40.0))  # the last one hears the language model alone
    path = tmp_path / "tiny.onnx"
    export(finished_run, path)
    assert OnnxRecognizer(path).info.lm_weight is None
    cers = calibrating.fit_lm_weight(path, tiny_recipe(), count=24)
    chosen = OnnxRecognizer(path).info.lm_weight
    assert list(cers) == [0.0, 0.5, 40.0] and cers[chosen] == min(cers.values()) and list(tmp_path.iterdir()) == [path]
    decoder = open_line_reader(str(path)).decoder
    assert isinstance(decoder, BeamSearchDecoder) and decoder.lm_weight == chosen
    calibrate(path, tiny_recipe(), count=24)
    assert OnnxRecognizer(path).info.lm_weight == chosen


@pytest.mark.slow
def test_calibration_changes_confidences_but_not_texts(
    finished_run: Path, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    path = tmp_path / "tiny.onnx"
    export(finished_run, path)
    before = OnnxRecognizer(path)
    reports = calibrate(path, tiny_recipe(), count=60)
    after = OnnxRecognizer(path)
    assert list(tmp_path.iterdir()) == [path] and set(reports) == set(DECODER_KINDS)
    assert before.info.calibration is None and set(after.info.calibration or {}) == set(DECODER_KINDS)
    for report in reports.values():
        assert set(report.before) == set(report.after) == set(report.reliability) == set(UNITS)
        assert all(0 <= error <= 1 for error in (*report.before.values(), *report.after.values()))
    images = [LineSet(tiny_recipe().lines, "test", 3).line(i).image for i in range(8)]
    for kind in DECODER_KINDS:
        uncalibrated, calibrated = (
            LineReader(recognizer, open_decoder(kind, alphabet_of(recognizer))).read_lines(images)
            for recognizer in (before, after)
        )
        assert [line.text for line in uncalibrated] == [line.text for line in calibrated]
        assert all(0 <= c.confidence <= 1 for line in calibrated for c in (*line.characters, *line.words, line))
    lines = np.zeros((2, before.info.height, 64), np.uint8)
    assert np.array_equal(before.log_probs(lines), after.log_probs(lines))
