"""Eight bits: smaller, of the same metadata, and refused when it reads worse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glyphline.errors import GlyphlineError, UserError
from glyphline.reading.recognition.recognizers import OnnxRecognizer
from glyphline.recipe import Recipe
from glyphline.training import quantize as quantizing
from glyphline.training.export import export
from glyphline.training.quantize import quantize

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def whole(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "tiny.onnx"
    export(finished, out)
    return out


def test_eight_bits_say_nearly_the_same(whole: Path, tiny: Callable[..., Recipe], tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    cost = quantize(whole, out, tiny())
    assert cost.before >= 0 and cost.after >= 0
    assert list(tmp_path.iterdir()) == [out]
    small, large = OnnxRecognizer(out), OnnxRecognizer(whole)
    assert small.info == large.info
    lines = np.random.default_rng(0).integers(0, 256, (3, small.info.height, 160)).astype(np.uint8)
    mine, theirs = small.log_probs(lines), large.log_probs(lines)
    assert mine.shape == theirs.shape and np.abs(mine - theirs).max() > 0
    assert np.abs(np.exp(mine) - np.exp(theirs)).max() < 0.2


def test_it_may_take_the_place_of_its_source(whole: Path, tiny: Callable[..., Recipe], tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(whole.read_bytes())
    quantize(path, path, tiny())
    assert path.read_bytes() != whole.read_bytes() and OnnxRecognizer(path).info == OnnxRecognizer(whole).info


def test_what_reads_worse_is_not_kept(
    whole: Path, tiny: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantizing, "TOLERATED", (-2.0, -2.0))
    with pytest.raises(GlyphlineError, match="without --int8"):
        quantize(whole, tmp_path / "small.onnx", tiny())
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_told(whole: Path, tiny: Callable[..., Recipe], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        quantize(whole, tmp_path / "missing" / "small.onnx", tiny())
