"""Networks rebuilt from the ONNX files that `glyphline export` wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from glyphline.composing.line_sets import LineSet
from glyphline.errors import DataError
from glyphline.imaging.normalization import pad_batch
from glyphline.reading.recognition.recognizers import OnnxRecognizer
from glyphline.recipe import Recipe, recipe_from
from glyphline.training.export import export
from glyphline.training.network import Network, TorchRecognizer, load_matching_weights, save_weights
from glyphline.training.quantize import quantize
from glyphline.training.restore import restore_network


def make_recipe(**network: object) -> Recipe:
    options = {"encoder": "conv", "channels": [8, 12], "stride": 4, "features": 16, "context": "bilstm", "layers": 2}
    return recipe_from({"lines": {"alphabet": "ascii", "length": [4, 12]}, "network": {**options, **network}})


def trained_like(recipe: Recipe) -> Network:
    """A network with random weights whose batch statistics are those of lines, as after a training."""
    torch.manual_seed(3)
    network = Network(recipe).train()
    images, _ = LineSet(recipe.lines, "train", 5).canonical_batch(range(48))
    batch = torch.from_numpy(pad_batch(images, 32)[0])
    with torch.no_grad():
        for _ in range(30):
            network(batch)
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


def compare(network: Network, path: Path) -> float:
    """The largest difference of probabilities between a network and a file on unseen lines."""
    images, _ = LineSet(network.recipe.lines, "val", 7).canonical_batch(range(16))
    batch, _ = pad_batch(images, 32)
    difference = np.exp(TorchRecognizer(network).log_probs(batch)) - np.exp(OnnxRecognizer(path).log_probs(batch))
    return float(np.abs(difference).max())


def test_restored_network_gives_the_outputs_of_the_file(tmp_path: Path) -> None:
    network = trained_like(make_recipe())
    save_weights(network, tmp_path / "best.pt")
    export(tmp_path / "best.pt", tmp_path / "model.onnx")
    restored = restore_network(tmp_path / "model.onnx")
    assert compare(restored, tmp_path / "model.onnx") < 1e-3
    assert restored.recipe == network.recipe
    train_mode = restored.train()(torch.zeros((4, 40, 64), dtype=torch.uint8))
    assert torch.isfinite(train_mode).all()


def test_quantized_network_is_restored_up_to_rounding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = trained_like(make_recipe())
    save_weights(network, tmp_path / "best.pt")
    export(tmp_path / "best.pt", tmp_path / "model.onnx")
    monkeypatch.setattr("glyphline.training.quantize.MAX_CER_INCREASE", 1.0)
    quantize(tmp_path / "model.onnx", tmp_path / "small.onnx", network.recipe)
    restored = restore_network(tmp_path / "small.onnx")
    assert compare(restored, tmp_path / "model.onnx") < 0.05


def test_training_starts_from_an_onnx_file_with_new_characters(tmp_path: Path) -> None:
    network = trained_like(make_recipe())
    save_weights(network, tmp_path / "best.pt")
    export(tmp_path / "best.pt", tmp_path / "model.onnx")
    wider = make_recipe()
    wider = recipe_from(
        {**wider.to_dict(), "lines": {**wider.to_dict()["lines"], "alphabet": "latin", "glyphs": ["derived:strokes"]}}
    )
    target = Network(wider)
    new = load_matching_weights(target, tmp_path / "model.onnx")
    assert "é" in new and "e" not in new
    assert torch.allclose(target.head.weight[0], restore_network(tmp_path / "model.onnx").head.weight[0])


def test_other_networks_are_refused(tmp_path: Path) -> None:
    recipe = make_recipe(context="none")
    save_weights(trained_like(recipe), tmp_path / "best.pt")
    export(tmp_path / "best.pt", tmp_path / "model.onnx")
    with pytest.raises(DataError, match="only conv and bilstm can be restored"):
        restore_network(tmp_path / "model.onnx")
