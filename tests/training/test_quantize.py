"""Tests of quantize: the 8-bit model is close to its source and has the same metadata; a worse one is not kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glyphline.errors import GlyphlineError, UserError
from glyphline.reading.recognition.recognizers import OnnxRecognizer
from glyphline.recipe import Recipe
from glyphline.training import quantize as quantize_module
from glyphline.training.export import export
from glyphline.training.quantize import GROUP, _round_in_groups, compress_weights, quantize

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def fp32_path(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of the finished run, not quantized."""
    out = tmp_path_factory.mktemp("fp32") / "tiny.onnx"
    export(finished_run, out)
    return out


def test_quantized_model_is_close_to_its_source(
    fp32_path: Path, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    out = tmp_path / "int8.onnx"
    cost = quantize(fp32_path, out, tiny_recipe())
    assert cost.before >= 0 and cost.after >= 0
    assert list(tmp_path.iterdir()) == [out]
    int8, fp32 = OnnxRecognizer(out), OnnxRecognizer(fp32_path)
    assert int8.info == fp32.info
    lines = np.random.default_rng(0).integers(0, 256, (3, int8.info.height, 160)).astype(np.uint8)
    actual, expected = int8.log_probs(lines), fp32.log_probs(lines)
    assert actual.shape == expected.shape and np.abs(actual - expected).max() > 0
    assert np.abs(np.exp(actual) - np.exp(expected)).max() < 0.2


def test_quantized_model_may_replace_its_source(
    fp32_path: Path, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(fp32_path.read_bytes())
    quantize(path, path, tiny_recipe())
    assert path.read_bytes() != fp32_path.read_bytes() and OnnxRecognizer(path).info == OnnxRecognizer(fp32_path).info


def test_quantized_model_with_a_higher_cer_is_not_kept(
    fp32_path: Path, tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize_module, "MAX_CER_INCREASE", -2.0)
    monkeypatch.setattr(quantize_module, "MAX_RELATIVE_CER_INCREASE", -2.0)
    with pytest.raises(GlyphlineError, match="without --int8"):
        quantize(fp32_path, tmp_path / "int8.onnx", tiny_recipe())
    assert not list(tmp_path.iterdir())


def test_unwritable_file_is_refused(fp32_path: Path, tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        quantize(fp32_path, tmp_path / "missing" / "int8.onnx", tiny_recipe())


@pytest.mark.parametrize(("bits", "size"), [(16, 0.75), (8, 0.6)])
def test_compressed_weights_give_nearly_the_same_outputs(
    bits: int, size: float, fp32_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small.onnx"
    compress_weights(fp32_path, out, bits)
    assert out.stat().st_size < size * fp32_path.stat().st_size
    small, fp32 = OnnxRecognizer(out), OnnxRecognizer(fp32_path)
    assert small.info == fp32.info
    lines = np.random.default_rng(0).integers(0, 256, (3, small.info.height, 160)).astype(np.uint8)
    actual, expected = small.log_probs(lines), fp32.log_probs(lines)
    assert 0 < np.abs(np.exp(actual) - np.exp(expected)).max() < 0.02
    with pytest.raises(UserError, match=r"missing\.onnx"):
        compress_weights(tmp_path / "missing.onnx", out)
    assert OnnxRecognizer(out).info == fp32.info


@pytest.mark.parametrize(("axis", "shape"), [(0, (64, 6)), (1, (6, 64, 1, 1)), (1, (6, 3, 5, 5)), (1, (6, 37))])
def test_large_weights_round_only_those_of_their_group(axis: int, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    inputs = values if axis == 0 else values.reshape(6, -1).T  # a view
    inputs[0] *= 1000
    integers, scale = _round_in_groups(values, axis)
    restored = (integers * scale.astype(np.float32)).reshape(shape)
    errors = np.abs(restored - values)
    errors = errors if axis == 0 else errors.reshape(6, -1).T
    group = len(inputs) // integers.shape[axis]
    limits = np.abs(inputs).reshape(-1, group, 6).max(axis=1).repeat(group, axis=0) / 250  # half a step of 127
    assert integers.dtype == np.int8 and (errors <= limits).all()
    assert group == {64: GROUP, 75: 25, 37: 37}[len(inputs)]
