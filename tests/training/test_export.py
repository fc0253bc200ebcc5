"""Exporting: the file gives torch's numbers at any size, says what it is, and is kept only then."""

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
from glyphline.training import export as exporting
from glyphline.training.export import (
    LIKELY,
    TOLERANCE,
    TorchRecognizer,
    export,
    largest_difference,
    model_info_of,
    open_run,
)
from glyphline.training.network import Network, load_network, save_weights

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
pytest.importorskip("onnx")


def stirred(network: Network) -> Network:
    """Untrained, but with statistics of its own in every normalisation, as if it had been trained."""
    generator = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
    return network.eval()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipes_network_gives_torchs_numbers_from_its_file(path: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = load_recipe(path)
    network = stirred(Network(recipe))
    save_weights(network, tmp_path / "best.pt")
    out = tmp_path / "deep" / "model.onnx"
    assert export(tmp_path / "best.pt", out) <= TOLERANCE
    assert [p.name for p in out.parent.iterdir()] == ["model.onnx"]
    file, torchs = OnnxRecognizer(out), TorchRecognizer(network)
    rng = np.random.default_rng(1)
    for lines in (1, 2, 5):
        for width in (64, 333, 608):
            noise = rng.integers(0, 256, (lines, recipe.lines.height, width)).astype(np.uint8)
            mine, theirs = file.log_probs(noise), torchs.log_probs(noise)
            assert mine.shape == theirs.shape == (lines, network.steps(width), len(network.alphabet))
            likely = theirs > LIKELY
            assert likely.any()
            np.testing.assert_allclose(mine[likely], theirs[likely], atol=1e-3)
    assert file.info == model_info_of(network)
    said = file.info
    assert (said.alphabet, said.height) == (network.alphabet.characters, recipe.lines.height)
    assert (said.stride, said.normalization) == (network.stride, "ink" if recipe.lines.layout == "natural" else "whole")
    assert recipe_from(said.recipe) == recipe
    assert all(said.steps(width) == max(1, network.steps(width)) for width in range(1, 200))


@pytest.fixture(scope="module")
def exported(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    export(finished, out)
    return out


def test_a_trained_run_reads_the_same_from_both_files(
    tiny: Callable[..., Recipe], finished: Path, exported: Path
) -> None:
    images, _ = LineSet(tiny().lines, "test", 0).canonical_batch(range(24))
    mine, theirs = (
        LineReader(recognizer).decode_all(images) for recognizer in (OnnxRecognizer(exported), open_run(finished))
    )
    assert [decoded.text for decoded in mine] == [decoded.text for decoded in theirs]
    for a, b in zip(mine, theirs, strict=True):
        assert a.confidence == pytest.approx(b.confidence, abs=1e-3)


def test_a_run_is_named_by_its_folder_or_its_weights(finished: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1, 28, 84)).astype(np.uint8)
    a, b = (open_run(path).log_probs(noise) for path in (finished, finished / "best.pt"))
    assert np.array_equal(a, b)


def test_a_run_without_weights_is_refused(tmp_path: Path) -> None:
    for missing in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(DataError, match=r"holds no best\.pt"):
            export(missing, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_an_export_that_differs_is_not_kept(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "model.onnx"
    out.write_bytes(b"the one before")
    monkeypatch.setattr(exporting, "largest_difference", lambda *_: 10 * TOLERANCE)
    with pytest.raises(GlyphlineError, match="not kept") as caught:
        export(finished, out)
    assert caught.value.exit_code == 1
    assert out.read_bytes() == b"the one before"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_network_that_is_another_is_found_out(finished: Path, exported: Path) -> None:
    network, _ = load_network(finished / "best.pt")
    file = OnnxRecognizer(exported)
    assert largest_difference(file, network) <= TOLERANCE
    with torch.no_grad():
        network.head.bias[3] += 0.05
    assert largest_difference(file, network) > TOLERANCE


def test_a_file_of_another_shape_is_found_out(finished: Path, exported: Path) -> None:
    network, _ = load_network(finished / "best.pt")
    wider = Network(dataclasses.replace(network.recipe, lines=dataclasses.replace(network.recipe.lines, alphabet="ab")))
    with pytest.raises(GlyphlineError, match="gives"):
        largest_difference(OnnxRecognizer(exported), wider)


def test_a_folder_is_no_model_file(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(GlyphlineError):
        export(finished, tmp_path)
