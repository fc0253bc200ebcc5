"""Batches are functions of (seed, position): no line is lost or repeated, and any epoch can be drawn again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, pairwise

import numpy as np
import pytest
import torch

from glyphline.alphabet import Alphabet
from glyphline.composing.line_sets import LineSet
from glyphline.errors import RecipeError
from glyphline.recipe import Recipe
from glyphline.training.data import WIDTH_MULTIPLE, LineBatchSampler, check_time_steps, make_batch, make_data_loader

LENGTHS = {"one length": [6, 6], "many lengths": [2, 9]}


@pytest.fixture(params=LENGTHS, scope="module")
def lines(request: pytest.FixtureRequest, tiny_recipe: Callable[..., Recipe]) -> LineSet:
    return LineSet(tiny_recipe(lines__length=LENGTHS[request.param]).lines, "train", 3)


def batches_of_epoch(sampler: LineBatchSampler, epoch: int) -> list[list[int]]:
    sampler.set_epoch(epoch)
    return list(sampler)


# -------------------------------------------------------------------------------------------------------------- batches


def test_batch_holds_every_line_and_its_label() -> None:
    alphabet = Alphabet(" abc")
    rng = np.random.default_rng(0)
    images = [rng.integers(1, 256, (28, width)).astype(np.uint8) for width in (5, 32, 33)]
    texts = ["a", "b c", "cab"]
    batch = make_batch(images, texts, alphabet)
    assert batch.lines.shape[2] % WIDTH_MULTIPLE == 0
    assert batch.lines.shape[2] - max(image.shape[1] for image in images) < WIDTH_MULTIPLE
    for row, image, width in zip(batch.lines.numpy(), images, batch.widths.tolist(), strict=True):
        assert width == image.shape[1]
        assert np.array_equal(row[:, :width], image) and not row[:, width:].any()
    parts = torch.split(batch.targets, batch.lengths.tolist())
    assert [alphabet.decode(part.tolist()) for part in parts] == texts == batch.texts


# -------------------------------------------------------------------------------------------------------------- sampler


def test_epochs_continue_one_another_and_never_repeat_a_line(lines: LineSet) -> None:
    sampler = LineBatchSampler(lines, epoch_lines=200, batch_size=8)
    assert len(sampler) == 25
    for epoch in range(4):
        batches = batches_of_epoch(sampler, epoch)
        assert [len(batch) for batch in batches] == [8] * 25
        assert sorted(chain(*batches)) == list(range(epoch * 200, (epoch + 1) * 200))


def test_epoch_depends_only_on_its_number(lines: LineSet) -> None:
    sampler, fresh_sampler = LineBatchSampler(lines, 96, 8), LineBatchSampler(lines, 96, 8)
    epochs = [batches_of_epoch(sampler, epoch) for epoch in (0, 1, 2)]
    assert batches_of_epoch(fresh_sampler, 2) == epochs[2]  # as after a resume: no earlier epoch was drawn
    assert batches_of_epoch(sampler, 1) == epochs[1]
    for distinct_lines in (40, 96, 200):
        sampler, fresh_sampler = (LineBatchSampler(lines, 96, 8, distinct_lines) for _ in range(2))
        epochs = [batches_of_epoch(sampler, epoch) for epoch in (0, 1, 2)]
        assert [batches_of_epoch(fresh_sampler, epoch) for epoch in (2, 1, 0)] == epochs[::-1]


@pytest.mark.parametrize("epoch_lines", [64, 128, 160])
def test_distinct_lines_are_repeated_in_a_new_order(lines: LineSet, epoch_lines: int) -> None:
    sampler = LineBatchSampler(lines, epoch_lines, 8, distinct_lines=64)
    epochs = [list(chain(*batches_of_epoch(sampler, epoch))) for epoch in range(3)]
    for indices in epochs:
        counts = np.bincount(indices, minlength=64)
        assert len(counts) == 64 and counts.sum() == epoch_lines
        assert counts.max() - counts.min() <= 1
    assert all(a != b for a, b in pairwise(epochs))


def test_lines_that_do_not_fill_a_batch_are_left_for_the_next_epoch(lines: LineSet) -> None:
    sampler = LineBatchSampler(lines, epoch_lines=30, batch_size=8)
    indices = list(chain(*batches_of_epoch(sampler, 0), *batches_of_epoch(sampler, 1)))
    assert sorted(indices) == list(range(48))


def test_batches_hold_lines_of_similar_length(tiny_recipe: Callable[..., Recipe]) -> None:
    lines = LineSet(tiny_recipe(lines__length=[2, 9]).lines, "train", 3)

    def mean_spread(batches: list[list[int]]) -> float:
        """Mean over the batches of the longest minus the shortest text."""
        return float(np.mean([np.ptp([len(lines.text(i)) for i in batch]) for batch in batches]))

    batches = batches_of_epoch(LineBatchSampler(lines, 256, 8), 0)
    assert mean_spread(batches) < 0.3 * mean_spread([list(range(k, k + 8)) for k in range(0, 256, 8)])
    means = [np.mean([len(lines.text(i)) for i in batch]) for batch in batches]
    assert means != sorted(means)  # the batches are not ordered by length


@pytest.mark.parametrize("workers", [0, 1])
def test_data_loader_gives_the_lines_of_the_sampler(lines: LineSet, workers: int) -> None:
    indices = [[5, 0, 7], [31], [2, 3]]
    batches = list(make_data_loader(lines, indices, workers))  # type: ignore[arg-type]
    for batch_indices, batch in zip(indices, batches, strict=True):
        images, texts = lines.canonical_batch(batch_indices)
        assert batch.texts == texts
        for row, width, image in zip(batch.lines, batch.widths, images, strict=True):
            assert np.array_equal(row[:, : int(width)], image)


# ----------------------------------------------------------------------------------------------------------- time steps


def test_lines_with_enough_time_steps_are_accepted(lines: LineSet) -> None:
    check_time_steps(lines, lambda width: 2 * (width // 28))  # a step and a blank for each tile


def test_line_with_too_few_time_steps_is_named(lines: LineSet) -> None:
    with pytest.raises(RecipeError, match="time steps") as caught:
        check_time_steps(lines, lambda width: width // 28)  # no room for the blank between equal neighbours
    text = str(caught.value).split("'")[1]
    assert any(a == b for a, b in pairwise(text))
    assert text in [lines.text(index) for index in range(256)]


def test_targets_of_right_to_left_lines_are_in_visual_order() -> None:
    alphabet = Alphabet(" ()12אבג")
    images = [np.full((28, 64), 255, np.uint8)] * 2
    batch = make_batch(images, ["אב (12)", "12"], alphabet, direction="rtl")
    first, second = torch.split(batch.targets, batch.lengths.tolist())
    assert alphabet.decode(first.tolist()) == "(12) בא" and alphabet.decode(second.tolist()) == "12"
    assert batch.texts == ["אב (12)", "12"]
