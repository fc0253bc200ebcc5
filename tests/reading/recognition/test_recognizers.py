"""Recognizers: a model file is described by its metadata; a file that is no model is refused in one line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from glyphline.alphabet import Alphabet
from glyphline.errors import DataError
from glyphline.reading.recognition.language_model import open_language_model
from glyphline.reading.recognition.recognizers import (
    METADATA_KEY,
    PP_OCR,
    ModelInfo,
    OnnxRecognizer,
    PaddleRecognizer,
    alphabet_of,
    bundled_card,
    bundled_names,
    open_recognizer,
)

onnx = pytest.importorskip("onnx")
MODEL_INFO = ModelInfo("columns", "abc", 4, 1, "whole", recipe={"name": "columns"})


def write_model(path: Path, metadata: dict[str, str]) -> Path:
    """Write a network without weights: the log-probabilities of a column are its 4 pixels, (N, 4, W) -> (N, W, 4)."""
    types, helper = onnx.TensorProto, onnx.helper
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["lines"], ["grey"], to=types.FLOAT),
            helper.make_node("Transpose", ["grey"], ["columns"], perm=[0, 2, 1]),
            helper.make_node("LogSoftmax", ["columns"], ["log_probs"], axis=2),
        ],
        "columns",
        [helper.make_tensor_value_info("lines", types.UINT8, ["N", 4, "W"])],
        [helper.make_tensor_value_info("log_probs", types.FLOAT, ["N", "W", 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "columns.onnx", {METADATA_KEY: json.dumps(asdict(MODEL_INFO))})


def test_model_file_holds_its_info_and_runs(model: Path) -> None:
    recognizer = open_recognizer(str(model))
    assert recognizer.info == MODEL_INFO
    assert alphabet_of(recognizer) == Alphabet("abc")
    for lines, width in ((1, 1), (3, 7)):
        noise = np.random.default_rng(0).integers(0, 256, (lines, 4, width)).astype(np.uint8)
        out = recognizer.log_probs(noise)
        assert out.dtype == np.float32 and out.shape == (lines, width, 4)
        assert np.array_equal(out.argmax(2), noise.argmax(1))
        np.testing.assert_allclose(np.exp(out).sum(2), 1, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------- refused files


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BROKEN_FILES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no model\n" * 99),
    "truncated": truncate,
    "without metadata": lambda path: write_model(path, {}),
    "with others' metadata": lambda path: write_model(path, {"author": "someone"}),
}


@pytest.mark.parametrize("defect", BROKEN_FILES)
def test_file_that_is_no_glyphline_model_is_refused_by_name(model: Path, defect: str) -> None:
    BROKEN_FILES[defect](model)
    with pytest.raises(DataError, match=r"columns\.onnx") as caught:
        OnnxRecognizer(model)
    assert "\n" not in str(caught.value)


INVALID_METADATA = {
    "no JSON": "{",
    "no object": "3",
    "an unknown key": json.dumps({**asdict(MODEL_INFO), "added": 1}),
    "missing keys": json.dumps({"name": "columns"}),
}


@pytest.mark.parametrize("defect", INVALID_METADATA)
def test_invalid_metadata_is_refused_by_file_name(tmp_path: Path, defect: str) -> None:
    path = write_model(tmp_path / "strange.onnx", {METADATA_KEY: INVALID_METADATA[defect]})
    with pytest.raises(DataError, match=r"strange\.onnx"):
        OnnxRecognizer(path)


@pytest.mark.parametrize("name", ["nothing", "model.pt", "reader2"])
def test_unknown_model_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(DataError, match=f'no model "{name}"') as caught:
        open_recognizer(name)
    assert ".onnx" in str(caught.value) and all(bundled in str(caught.value) for bundled in bundled_names())


def test_changed_model_file_is_opened_again(model: Path, tmp_path: Path) -> None:
    assert open_recognizer(str(model)).info.name == "columns"
    (tmp_path / "other").mkdir()
    info = {**asdict(MODEL_INFO), "name": "another"}
    shutil.copy(write_model(tmp_path / "other" / "columns.onnx", {METADATA_KEY: json.dumps(info)}), model)
    assert open_recognizer(str(model)).info.name == "another"


def test_number_of_threads_follows_the_environment(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPHLINE_THREADS", "1")
    assert OnnxRecognizer(model).session.get_session_options().intra_op_num_threads == 1


# ------------------------------------------------------------------------------------------------------- steps, bundled


@pytest.mark.parametrize("stride", [1, 4, 8, 14])
@pytest.mark.parametrize("window", [0, 14, 20])
def test_steps_counts_the_windows_inside_the_line(stride: int, window: int) -> None:
    info = ModelInfo("", "a", 28, stride, "whole", window)
    for width in range(1, 200):
        if window:
            starts = [left for left in range(0, width, stride) if left + window <= width]
            assert info.steps(width) == max(1, len(starts))
        else:
            assert info.steps(width) == len(range(0, width, stride))


def test_every_bundled_model_has_a_card() -> None:
    if not bundled_names():
        pytest.skip("no model is bundled yet")
    for name in bundled_names():
        card, info = bundled_card(name), open_recognizer(name).info
        assert card["about"] and "\n" not in card["about"]
        assert Alphabet(info.alphabet).characters == info.alphabet and info.height >= 16


# ---------------------------------------------------------------------- PP-OCR's recognizer


@pytest.mark.parametrize("text", ["Total 12.50", "Open daily"])
@pytest.mark.parametrize("height", [24, 90])
def test_pp_ocr_reads_and_locates_text_alone_and_in_a_batch(text: str, height: int) -> None:
    pytest.importorskip("rapidocr")
    from glyphline.reading.lines import open_line_reader

    image = np.full((90, 700, 3), (250, 240, 200), np.uint8)
    cv2.putText(image, text, (20, 62), cv2.FONT_HERSHEY_SIMPLEX, 1.7, (160, 20, 20), 4, cv2.LINE_AA)
    image = np.asarray(cv2.resize(image, (700 * height // 90, height), interpolation=cv2.INTER_AREA), np.uint8)
    for decoder in ("greedy", "beam"):
        alone = open_line_reader(PP_OCR, decoder).read_lines([image])[0]
        in_batch = open_line_reader(PP_OCR, decoder).read_lines([image[:, :300], image])[1]
        assert alone.text == in_batch.text == text and alone.recognizer == PP_OCR
        first, last = alone.characters[0], alone.characters[-1]
        scale = height / 90
        assert abs(first.left - 20 * scale) < 14 * scale and 250 * scale < last.left < last.right < 420 * scale


def test_default_decoder_of_pp_ocr_has_the_english_language_model() -> None:
    pytest.importorskip("rapidocr")
    from glyphline import open_reader
    from glyphline.reading.lines import open_line_reader

    english = open_language_model("english")
    assert open_line_reader(PP_OCR).decoder.language_model is english  # type: ignore[attr-defined]
    assert open_reader(PP_OCR).line_reader.decoder.language_model is english  # type: ignore[attr-defined]


def test_pp_ocr_model_without_characters_is_refused(model: Path) -> None:
    with pytest.raises(DataError, match="lists no characters"):
        PaddleRecognizer(model)


# ---------------------------------------------------------------------------------------------- two batches at a time


def test_two_batches_of_photo_at_the_same_time_have_the_same_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPHLINE_THREADS", "2")
    recognizer = open_recognizer("photo")
    assert isinstance(recognizer, OnnxRecognizer)
    paired = recognizer.paired()
    assert paired is not None and paired is recognizer.paired() and paired.session is not recognizer.session
    lines = np.random.default_rng(0).integers(0, 256, (2, 48, 320)).astype(np.uint8)
    np.testing.assert_array_equal(recognizer.log_probs(lines), paired.log_probs(lines))


def test_one_batch_at_a_time_where_two_would_change_the_output_or_the_threads(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLYPHLINE_THREADS", "2")
    assert OnnxRecognizer(model).paired() is None  # not the network of photo
    write_model(model, {METADATA_KEY: json.dumps(asdict(replace(MODEL_INFO, name="photo")))})
    changed, gone, odd = OnnxRecognizer(model), OnnxRecognizer(model), OnnxRecognizer(model)
    assert OnnxRecognizer(model).paired() is not None
    monkeypatch.setenv("GLYPHLINE_THREADS", "1")
    assert odd.paired() is None
    monkeypatch.setenv("GLYPHLINE_THREADS", "2")
    os.utime(model, ns=(1, 1))
    assert changed.paired() is None
    model.unlink()
    assert gone.paired() is None
