"""Tests of export: the ONNX model gives torch's outputs for any shape, has the right metadata, or is not kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from glyphline.composing.line_sets import LineSet
from glyphline.errors import DataError, GlyphlineError
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.recognizers import OnnxRecognizer
from glyphline.recipe import Recipe, load_recipe, recipe_from
from glyphline.training import export as export_module
from glyphline.training.export import MIN_LOG_PROB, TOLERANCE, export, largest_difference, open_run
from glyphline.training.network import Network, TorchRecognizer, load_network, model_info_of, save_weights

RECIPES = sorted(p for p in (Path(__file__).parents[2] / "recipes").glob("*.yaml") if p.stem != "sweep")
pytest.importorskip("onnx")


def randomize_batch_norms(network: Network) -> Network:
    """Give every batch normalisation of an untrained network its own statistics, as training does."""
    generator = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
    return network.eval()


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, id=p.stem, marks=() if p.stem in ("seed", "latin") else pytest.mark.slow) for p in RECIPES],
)
def test_network_of_every_recipe_gives_torchs_outputs_in_onnx(path: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = load_recipe(path)
    network = randomize_batch_norms(Network(recipe))
    save_weights(network, tmp_path / "best.pt")
    out = tmp_path / "deep" / "model.onnx"
    assert export(tmp_path / "best.pt", out) <= TOLERANCE
    assert [p.name for p in out.parent.iterdir()] == ["model.onnx"]
    onnx_recognizer, torch_recognizer = OnnxRecognizer(out), TorchRecognizer(network)
    rng = np.random.default_rng(1)
    for count in (1, 2, 5):
        for width in (64, 333, 608):
            noise = rng.integers(0, 256, (count, recipe.lines.height, width)).astype(np.uint8)
            actual, expected = onnx_recognizer.log_probs(noise), torch_recognizer.log_probs(noise)
            assert actual.shape == expected.shape == (count, network.steps(width), len(network.alphabet))
            likely = expected > MIN_LOG_PROB
            assert likely.any()
            np.testing.assert_allclose(actual[likely], expected[likely], atol=1e-3)
    info = onnx_recognizer.info
    assert info == model_info_of(network)
    assert (info.alphabet, info.height) == (network.alphabet.characters, recipe.lines.height)
    expected_normalization = "ink" if recipe.lines.layout == "natural" else "whole"
    assert (info.stride, info.normalization) == (network.stride, recipe.lines.normalization or expected_normalization)
    assert recipe_from(info.recipe) == recipe
    assert all(info.steps(width) == max(1, network.steps(width)) for width in range(1, 200))


@pytest.fixture(scope="module")
def onnx_path(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of the finished run."""
    out = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    export(finished_run, out)
    return out


def test_onnx_model_reads_like_its_run(tiny_recipe: Callable[..., Recipe], finished_run: Path, onnx_path: Path) -> None:
    images, _ = LineSet(tiny_recipe().lines, "test", 0).canonical_batch(range(24))
    from_onnx, from_torch = (
        LineReader(recognizer).decode_all(images) for recognizer in (OnnxRecognizer(onnx_path), open_run(finished_run))
    )
    assert [decoded.text for decoded in from_onnx] == [decoded.text for decoded in from_torch]
    for a, b in zip(from_onnx, from_torch, strict=True):
        assert a.confidence == pytest.approx(b.confidence, abs=1e-3)


def test_run_opens_from_its_folder_or_its_weights(finished_run: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1, 28, 84)).astype(np.uint8)
    a, b = (open_run(path).log_probs(noise) for path in (finished_run, finished_run / "best.pt"))
    assert np.array_equal(a, b)


def test_run_without_weights_is_refused(tmp_path: Path) -> None:
    for missing in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(DataError, match=r"holds no best\.pt"):
            export(missing, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_export_that_differs_from_torch_is_not_kept(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "model.onnx"
    out.write_bytes(b"the previous model")
    monkeypatch.setattr(export_module, "largest_difference", lambda *_: 10 * TOLERANCE)
    with pytest.raises(GlyphlineError, match="not kept") as error:
        export(finished_run, out)
    assert error.value.exit_code == 1
    assert out.read_bytes() == b"the previous model"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_largest_difference_finds_changed_weights(finished_run: Path, onnx_path: Path) -> None:
    network, _ = load_network(finished_run / "best.pt")
    recognizer = OnnxRecognizer(onnx_path)
    assert largest_difference(recognizer, network) <= TOLERANCE
    with torch.no_grad():
        network.head.bias[3] += 0.05
    assert largest_difference(recognizer, network) > TOLERANCE


def test_largest_difference_refuses_another_output_shape(finished_run: Path, onnx_path: Path) -> None:
    network, _ = load_network(finished_run / "best.pt")
    lines = dataclasses.replace(network.recipe.lines, alphabet="ab")
    with pytest.raises(GlyphlineError, match="outputs an array of shape"):
        largest_difference(OnnxRecognizer(onnx_path), Network(dataclasses.replace(network.recipe, lines=lines)))


def test_export_to_a_folder_is_refused(finished_run: Path, tmp_path: Path) -> None:
    with pytest.raises(GlyphlineError):
        export(finished_run, tmp_path)
