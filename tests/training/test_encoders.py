"""Encoders and contexts: `steps` gives the true number of time steps, and fast code gives the numbers of plain code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glyphline.recipe import NetworkRecipe, load_recipe
from glyphline.training.encoders import (
    CONTEXTS,
    ENCODERS,
    BidirectionalLSTM,
    FastDropout,
    Mixer,
    PatchEncoder,
    UnidirectionalLSTM,
)
from glyphline.training.network import Network

SEED_RECIPE = Path(__file__).parents[2] / "recipes" / "seed.yaml"


def small_recipe(**changes: object) -> NetworkRecipe:
    options = {"channels": (4, 8), "stride": 4, "features": 8, "layers": 2, "kernel_size": 3, "dropout": 0.1}
    return NetworkRecipe(**{**options, **changes})  # type: ignore[arg-type]


def noise(lines: int, height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(lines, 1, height, width, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------------------------------- the report's network


def test_seed_network_has_the_sizes_of_the_report() -> None:
    network = Network(load_recipe(SEED_RECIPE))
    assert network.steps(32 * 28) == 63  # the report's (896 - 20) / 14 + 1
    assert network.parameter_count() == 3_236_913  # as Keras counts it
    lines = torch.randint(0, 256, (1, 28, 896), dtype=torch.uint8)
    with torch.inference_mode():
        assert network.eval()(lines).shape == (1, 63, 49)


@pytest.mark.parametrize("width", [20, 33, 34, 896])
def test_patch_encoder_gives_the_numbers_of_separate_patches(width: int) -> None:
    encoder = PatchEncoder(NetworkRecipe(channels=(32, 64), dropout=0.2), 28).eval()
    lines = noise(2, 28, width)
    patches = []
    for left in range(0, width - 20 + 1, 14):
        patch = lines[:, :, :, left : left + 20]
        maps = F.relu(F.conv2d(patch, encoder.conv1.weight, encoder.conv1.bias))  # (N, 32, 26, 18)
        maps = F.relu(F.conv2d(maps, encoder.conv2.weight, encoder.conv2.bias))  # (N, 64, 24, 16)
        pooled = F.max_pool2d(maps, 2)  # (N, 64, 12, 8)
        patches.append(pooled.permute(0, 2, 3, 1).flatten(1))  # channels last, as Keras flattens
    with torch.inference_mode():
        features = encoder(lines)
    assert features.shape == (2, encoder.steps(width), 12 * 8 * 64)
    torch.testing.assert_close(features, torch.stack(patches, 1), atol=1e-5, rtol=1e-5)


# --------------------------------------------------------------------------------------------------------- the families


@pytest.mark.parametrize("width", [33, 61, 98])
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_pair_trains_on_lines_of_any_width(encoder: str, context: str, width: int) -> None:
    torch.manual_seed(0)
    recipe = small_recipe(encoder=encoder, context=context, **({"channels": (4, 8, 8)} if encoder == "lcnet" else {}))
    height = 32 if encoder == "lcnet" else 28
    encoder_module = ENCODERS[encoder](recipe, height)
    context_module = CONTEXTS[context](encoder_module.features, recipe)
    output = context_module(encoder_module(noise(2, height, width)))
    assert output.shape == (2, encoder_module.steps(width), context_module.features)
    (output**2).sum().backward()
    for name, weights in [*encoder_module.named_parameters(), *context_module.named_parameters()]:
        assert (weights.grad is not None) == weights.requires_grad, f"{name} has no gradient"
        assert weights.grad is None or weights.grad.isfinite().all(), name


def test_lcnet_has_a_time_step_for_each_begun_8_px() -> None:
    module = ENCODERS["lcnet"](small_recipe(encoder="lcnet", channels=(4, 8, 8)), 48).eval()
    with torch.inference_mode():
        for width in range(8, 40):
            assert module(noise(1, 48, width)).shape == (1, module.steps(width), 8) == (1, -(-width // 8), 8), width


@pytest.mark.parametrize("height", [16, 28, 33, 40])
@pytest.mark.parametrize("encoder, stride", [("patches", 14), ("conv", 2), ("conv", 4), ("conv", 8), ("conv", 16)])
def test_steps_equals_the_length_of_the_output(encoder: str, stride: int, height: int) -> None:
    channels = (2, 3) if encoder == "patches" else (2, 2, 3, 3)
    module = ENCODERS[encoder](small_recipe(encoder=encoder, stride=stride, channels=channels), height).eval()
    assert module.stride == stride
    with torch.inference_mode():
        for width in range(20, 70):
            assert module(noise(1, height, width)).shape == (1, module.steps(width), module.features), width


def test_line_narrower_than_a_patch_has_no_time_steps() -> None:
    encoder = PatchEncoder(small_recipe(), 28)
    assert [encoder.steps(width) for width in (1, 5, 19)] == [0, 0, 0]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_features_of_a_line_do_not_depend_on_its_batch(encoder: str) -> None:
    height, channels = (32, (4, 8, 8)) if encoder == "lcnet" else (28, (4, 8))
    module = ENCODERS[encoder](small_recipe(encoder=encoder, channels=channels), height).eval()
    lines = noise(4, height, 95)
    with torch.inference_mode():
        batched, single = module(lines), torch.cat([module(line[None]) for line in lines])
    torch.testing.assert_close(batched, single, atol=1e-5, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------------- contexts


def test_unidirectional_lstm_gives_the_same_output_in_training_and_evaluation() -> None:
    torch.manual_seed(1)
    context = UnidirectionalLSTM(12, small_recipe(features=8))
    nn.init.normal_(context.lstm.bias_ih_l0)
    steps = torch.randn(3, 9, 12)
    torch.testing.assert_close(context.train()(steps), context.eval()(steps), atol=1e-5, rtol=1e-5)


def test_unidirectional_lstm_has_the_gradients_of_torchs_lstm() -> None:
    torch.manual_seed(2)
    context, steps = UnidirectionalLSTM(6, small_recipe(features=4)), torch.randn(2, 5, 6)
    gradients = []
    for training in (True, False):
        context.train(training).zero_grad()
        (context(steps) ** 2).sum().backward()
        gradients.append([weights.grad.clone() for weights in context.parameters() if weights.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) == 3  # one bias, as in Keras
    for ours, torchs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, torchs, atol=1e-5, rtol=1e-5)


def test_bidirectional_lstm_of_wide_features_trains_as_torchs_lstm() -> None:
    torch.manual_seed(3)
    context, steps = BidirectionalLSTM(33, small_recipe(features=8, layers=1)), torch.randn(2, 5, 33)
    outputs, gradients = [], []
    for training in (True, False):  # in evaluation torch's LSTM runs
        context.train(training).zero_grad()
        outputs.append(context(steps))
        (outputs[-1] ** 2).sum().backward()
        gradients.append([weights.grad.clone() for weights in context.parameters()])
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-5, rtol=1e-5)
    assert len(gradients[0]) == 8
    for ours, torchs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, torchs, atol=1e-5, rtol=1e-5)


def test_unidirectional_lstm_ignores_later_time_steps() -> None:
    context, steps = UnidirectionalLSTM(6, small_recipe(features=4)).eval(), torch.randn(1, 8, 6)
    changed = steps.clone()
    changed[:, 5:] += 1
    assert torch.equal(context(steps)[:, :5], context(changed)[:, :5])


def test_untrained_mixer_is_the_identity() -> None:
    steps = torch.randn(2, 7, 8)
    assert torch.equal(Mixer(8, small_recipe(features=8)).eval()(steps), steps)


# -------------------------------------------------------------------------------------------------------------- dropout


@pytest.mark.parametrize("probability", [0.05, 0.2, 0.5])
def test_fast_dropout_keeps_the_mean_and_drops_with_its_probability(probability: float) -> None:
    torch.manual_seed(0)
    values = torch.ones(1000, 401)  # not a multiple of the four values of a random word
    output = FastDropout(probability).train()(values)
    assert float((output == 0).float().mean()) == pytest.approx(probability, abs=0.004)
    assert float(output.mean()) == pytest.approx(1, abs=0.01)
    assert output.unique().tolist() == [0.0, pytest.approx(1 / (1 - probability))]
    rows, columns = (output == 0).float().mean(1), (output == 0).float().mean(0)  # no row or column is favoured
    assert rows.std() < 0.05 and columns.std() < 0.05


def test_fast_dropout_follows_the_seed_and_is_off_in_evaluation() -> None:
    dropout, values = FastDropout(0.3), torch.randn(7, 5)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(dropout.train()(values))
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])
    assert torch.equal(dropout.eval()(values), values)
    assert torch.equal(FastDropout(0).train()(values), values)
