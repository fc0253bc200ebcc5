"""Networks rebuilt from the ONNX files that `glyphline export` wrote."""

from __future__ import annotations

import dataclasses
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from glyphline.composing.line_sets import LineSet, available_lines
from glyphline.errors import DataError
from glyphline.imaging.normalization import NORMALIZATIONS, pad_batch
from glyphline.reading.recognition.recognizers import OnnxRecognizer, open_recognizer
from glyphline.recipe import LinesRecipe, Recipe, recipe_from
from glyphline.training.export import export, largest_difference
from glyphline.training.network import Network, TorchRecognizer, load_matching_weights, save_weights
from glyphline.training.quantize import compress_weights, quantize
from glyphline.training.restore import PP_OCR_NETWORK, restore_network, restore_pp_ocr


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


def small_lcnet() -> Network:
    """A network of lcnet and svtr with random weights, also in its normalizations."""
    torch.manual_seed(4)
    options = {"encoder": "lcnet", "channels": [8, 16, 24], "features": 16, "context": "svtr", "layers": 2}
    lines = {"alphabet": "ascii", "height": 48, "normalization": "grey"}
    network = Network(recipe_from({"lines": lines, "network": options})).eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if "norm" in name and value.is_floating_point():
                value.uniform_(0.5, 1.5)
    return network


@pytest.mark.slow
def test_restored_network_gives_the_outputs_of_the_file(tmp_path: Path) -> None:
    network = trained_like(make_recipe())
    save_weights(network, tmp_path / "best.pt")
    export(tmp_path / "best.pt", tmp_path / "model.onnx")
    restored = restore_network(tmp_path / "model.onnx")
    assert compare(restored, tmp_path / "model.onnx") < 1e-3
    assert restored.recipe == network.recipe
    train_mode = restored.train()(torch.zeros((4, 40, 64), dtype=torch.uint8))
    assert torch.isfinite(train_mode).all()


@pytest.mark.slow
def test_quantized_network_is_restored_up_to_rounding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = trained_like(make_recipe())
    save_weights(network, tmp_path / "best.pt")
    export(tmp_path / "best.pt", tmp_path / "model.onnx")
    monkeypatch.setattr("glyphline.training.quantize.MAX_CER_INCREASE", 1.0)
    quantize(tmp_path / "model.onnx", tmp_path / "small.onnx", network.recipe)
    restored = restore_network(tmp_path / "small.onnx")
    assert compare(restored, tmp_path / "model.onnx") < 0.05
    for bits in (16, 8):
        compress_weights(tmp_path / "model.onnx", tmp_path / "compressed.onnx", bits)
        assert compare(restore_network(tmp_path / "compressed.onnx"), tmp_path / "model.onnx") < 0.05


@pytest.mark.slow
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


@pytest.mark.slow
def test_other_networks_are_refused(tmp_path: Path) -> None:
    recipe = make_recipe(context="none")
    save_weights(trained_like(recipe), tmp_path / "best.pt")
    export(tmp_path / "best.pt", tmp_path / "model.onnx")
    with pytest.raises(DataError, match="only conv with bilstm and lcnet with svtr can be restored"):
        restore_network(tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("bits", [32, 16, 8])
def test_network_of_lcnet_and_svtr_is_read_back_by_name(tmp_path: Path, bits: int) -> None:
    network = small_lcnet()
    save_weights(network, tmp_path / "best.pt")
    export(tmp_path / "best.pt", tmp_path / "model.onnx")
    if bits < 32:
        compress_weights(tmp_path / "model.onnx", tmp_path / "model.onnx", bits)
    restored = restore_network(tmp_path / "model.onnx")
    assert largest_difference(OnnxRecognizer(tmp_path / "model.onnx"), restored) < 1e-3
    for name, value in network.state_dict().items():
        assert bits < 32 or torch.equal(restored.state_dict()[name], value), name


def test_bundled_photo_reader_can_be_trained_further() -> None:
    path = Path(str(resources.files("glyphline.models") / "photo.onnx"))
    assert largest_difference(OnnxRecognizer(path), restore_network(path)) < 1e-3


@pytest.mark.slow
def test_bundled_reader_is_restored_without_the_data_of_its_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLYPHLINE_DATA", str(tmp_path))
    path = Path(str(resources.files("glyphline.models") / "tiles.onnx"))
    network = restore_network(path)
    images, _ = LineSet(available_lines(network.recipe.lines)[0], "val", 7).canonical_batch(range(16))
    batch, _ = pad_batch(images, 32)
    best = [reader.log_probs(batch).argmax(-1) for reader in (TorchRecognizer(network), OnnxRecognizer(path))]
    assert np.mean(best[0] == best[1]) > 0.99  # the file computes with 8 bits


def test_file_without_a_weight_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    save_weights(small_lcnet(), tmp_path / "best.pt")
    export(tmp_path / "best.pt", tmp_path / "model.onnx")
    model = onnx.load(str(tmp_path / "model.onnx"))
    for number, node in enumerate(model.graph.node):
        if node.name.endswith("/qkv/MatMul"):
            node.name = f"product {number}"
    onnx.save(model, str(tmp_path / "model.onnx"))
    with pytest.raises(DataError, match=r"lacks the weights context\.layers\.0\.qkv\.weight"):
        restore_network(tmp_path / "model.onnx")


@pytest.mark.slow
def test_pp_ocr_as_a_network_gives_the_outputs_of_its_file() -> None:
    """lcnet and svtr are PP-OCRv6's small recognizer, number for number."""
    pytest.importorskip("rapidocr", reason="rapidocr is not installed")
    network, recognizer = restore_pp_ocr(), open_recognizer("pp-ocr")
    lines = LineSet(Recipe(lines=LinesRecipe(height=48, normalization="grey")).lines, "val", 7)
    batch, widths = pad_batch(lines.canonical_batch(range(6))[0], 32, NORMALIZATIONS["grey"])
    expected = recognizer.log_probs(np.repeat(batch[..., None], 3, axis=3))
    actual = TorchRecognizer(network).log_probs(batch)
    assert actual.shape == expected.shape == (6, batch.shape[2] // 8, 18_710)
    assert np.abs(np.exp(actual) - np.exp(expected)).max() < 1e-3
    assert network.steps(int(widths.max())) <= actual.shape[1]

    own = Network(recipe_from({"lines": {"alphabet": "abc¡", "height": 48, "normalization": "grey"},
                               "network": dataclasses.asdict(PP_OCR_NETWORK)}))  # fmt: skip
    assert load_matching_weights(own, Path("pp-ocr")) == ["¡"]  # the only character that PP-OCR does not know
    row = network.alphabet.characters.index("b") + 1
    assert torch.equal(own.head.weight[2], network.head.weight[row])


def test_network_of_pp_ocr_is_exported_with_its_normalization(tmp_path: Path) -> None:
    options = {"encoder": "lcnet", "channels": [8, 12, 16], "stride": 8, "features": 16, "context": "svtr", "layers": 1}
    recipe = recipe_from({"lines": {"alphabet": "ascii", "length": [4, 12], "height": 48, "normalization": "grey"},
                          "network": options})  # fmt: skip
    save_weights(Network(recipe), tmp_path / "best.pt")
    assert export(tmp_path / "best.pt", tmp_path / "model.onnx") < 1e-3
    info = OnnxRecognizer(tmp_path / "model.onnx").info
    assert (info.normalization, info.padding_value, info.stride, info.height) == ("grey", 128, 8, 48)
