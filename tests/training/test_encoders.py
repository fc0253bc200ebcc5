"""Encoders and contexts: steps are told truly, and what was made fast gives the numbers of what is plain."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glyphline.recipe import NetworkRecipe, load_recipe
from glyphline.training.encoders import CONTEXTS, ENCODERS, Mixer, OneWay, Patches, QuickDropout
from glyphline.training.network import Network

SEED_RECIPE = Path(__file__).parents[2] / "recipes" / "seed.yaml"


def small(**changes: object) -> NetworkRecipe:
    plain = {"channels": (4, 8), "stride": 4, "features": 8, "layers": 2, "kernel_size": 3, "dropout": 0.1}
    return NetworkRecipe(**{**plain, **changes})  # type: ignore[arg-type]


def noise(lines: int, height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(lines, 1, height, width, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------------------------------- the report's network


def test_the_seed_network_is_the_reports() -> None:
    network = Network(load_recipe(SEED_RECIPE))
    assert network.steps(32 * 28) == 63  # the report's (896 - 20) / 14 + 1
    assert network.parameter_count() == 3_236_913  # as Keras counts it
    lines = torch.randint(0, 256, (1, 28, 896), dtype=torch.uint8)
    with torch.inference_mode():
        assert network.eval()(lines).shape == (1, 63, 49)


@pytest.mark.parametrize("width", [20, 33, 34, 896])
def test_patches_are_those_cut_one_by_one(width: int) -> None:
    encoder = Patches(NetworkRecipe(channels=(32, 64), dropout=0.2), 28).eval()
    lines = noise(2, 28, width)
    separate = []
    for left in range(0, width - 20 + 1, 14):
        patch = lines[:, :, :, left : left + 20]
        maps = F.relu(F.conv2d(patch, encoder.first.weight, encoder.first.bias))  # (N, 32, 26, 18)
        maps = F.relu(F.conv2d(maps, encoder.second.weight, encoder.second.bias))  # (N, 64, 24, 16)
        pooled = F.max_pool2d(maps, 2)  # (N, 64, 12, 8)
        separate.append(pooled.permute(0, 2, 3, 1).flatten(1))  # channels last, as Keras flattens
    with torch.inference_mode():
        features = encoder(lines)
    assert features.shape == (2, encoder.steps(width), 12 * 8 * 64)
    torch.testing.assert_close(features, torch.stack(separate, 1), atol=1e-5, rtol=1e-5)


# --------------------------------------------------------------------------------------------------------- the families


@pytest.mark.parametrize("width", [33, 61, 98])
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_pair_learns_from_any_width(encoder: str, context: str, width: int) -> None:
    torch.manual_seed(0)
    recipe = small(encoder=encoder, context=context)
    first = ENCODERS[encoder](recipe, 28)
    second = CONTEXTS[context](first.features, recipe)
    out = second(first(noise(2, 28, width)))
    assert out.shape == (2, first.steps(width), second.features)
    (out**2).sum().backward()
    for name, weights in [*first.named_parameters(), *second.named_parameters()]:
        assert (weights.grad is not None) == weights.requires_grad, f"{name} takes no part"
        assert weights.grad is None or weights.grad.isfinite().all(), name


@pytest.mark.parametrize("height", [16, 28, 33, 40])
@pytest.mark.parametrize("encoder, stride", [("patches", 14), ("conv", 2), ("conv", 4), ("conv", 8), ("conv", 16)])
def test_steps_are_the_real_ones(encoder: str, stride: int, height: int) -> None:
    channels = (2, 3) if encoder == "patches" else (2, 2, 3, 3)
    made = ENCODERS[encoder](small(encoder=encoder, stride=stride, channels=channels), height).eval()
    assert made.stride == stride
    with torch.inference_mode():
        for width in range(20, 70):
            assert made(noise(1, height, width)).shape == (1, made.steps(width), made.features), width


def test_a_line_narrower_than_a_patch_has_no_steps() -> None:
    encoder = Patches(small(), 28)
    assert [encoder.steps(width) for width in (1, 5, 19)] == [0, 0, 0]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_line_reads_the_same_in_any_company(encoder: str) -> None:
    made = ENCODERS[encoder](small(encoder=encoder), 28).eval()
    lines = noise(4, 28, 95)
    with torch.inference_mode():
        together, alone = made(lines), torch.cat([made(line[None]) for line in lines])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


# -------------------------------------------------------------------------------------------------------------- one way


def test_one_way_trains_on_the_numbers_it_reads_with() -> None:
    torch.manual_seed(1)
    context = OneWay(12, small(features=8))
    nn.init.normal_(context.lstm.bias_ih_l0)
    steps = torch.randn(3, 9, 12)
    torch.testing.assert_close(context.train()(steps), context.eval()(steps), atol=1e-5, rtol=1e-5)


def test_one_way_learns_what_lstm_learns() -> None:
    torch.manual_seed(2)
    context, steps = OneWay(6, small(features=4)), torch.randn(2, 5, 6)
    gradients = []
    for mode in (True, False):
        context.train(mode).zero_grad()
        (context(steps) ** 2).sum().backward()
        gradients.append([weights.grad.clone() for weights in context.parameters() if weights.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) == 3  # one bias, as in Keras
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_one_way_knows_no_future() -> None:
    context, steps = OneWay(6, small(features=4)).eval(), torch.randn(1, 8, 6)
    changed = steps.clone()
    changed[:, 5:] += 1
    assert torch.equal(context(steps)[:, :5], context(changed)[:, :5])


def test_a_fresh_mixer_changes_nothing() -> None:
    steps = torch.randn(2, 7, 8)
    assert torch.equal(Mixer(8, small(features=8)).eval()(steps), steps)


# -------------------------------------------------------------------------------------------------------------- dropout


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_quick_dropout_keeps_the_mean_and_the_share(share: float) -> None:
    torch.manual_seed(0)
    values = torch.ones(1000, 401)  # not a multiple of the four values a draw serves
    out = QuickDropout(share).train()(values)
    assert float((out == 0).float().mean()) == pytest.approx(share, abs=0.004)
    assert float(out.mean()) == pytest.approx(1, abs=0.01)
    assert out.unique().tolist() == [0.0, pytest.approx(1 / (1 - share))]
    rows, columns = (out == 0).float().mean(1), (out == 0).float().mean(0)  # no place is favoured
    assert rows.std() < 0.05 and columns.std() < 0.05


def test_quick_dropout_follows_the_generator_and_rests_while_reading() -> None:
    dropout, values = QuickDropout(0.3), torch.randn(7, 5)
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(dropout.train()(values))
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert torch.equal(dropout.eval()(values), values)
    assert torch.equal(QuickDropout(0).train()(values), values)
