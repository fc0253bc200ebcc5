"""Batches are functions of (seed, position): nothing is lost, nothing comes twice, and any epoch can be asked again."""

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
from glyphline.training.data import MULTIPLE, Positions, check_steps, loader, make_batch

LENGTHS = {"one length": [6, 6], "many lengths": [2, 9]}


@pytest.fixture(params=LENGTHS, scope="module")
def lines(request: pytest.FixtureRequest, tiny: Callable[..., Recipe]) -> LineSet:
    return LineSet(tiny(lines__length=LENGTHS[request.param]).lines, "train", 3)


def epoch_of(positions: Positions, epoch: int) -> list[list[int]]:
    positions.set_epoch(epoch)
    return list(positions)


# -------------------------------------------------------------------------------------------------------------- batches


def test_a_batch_holds_every_line_whole() -> None:
    alphabet = Alphabet(" abc")
    rng = np.random.default_rng(0)
    images = [rng.integers(1, 256, (28, width)).astype(np.uint8) for width in (5, 32, 33)]
    texts = ["a", "b c", "cab"]
    batch = make_batch(images, texts, alphabet)
    assert batch.lines.shape[2] % MULTIPLE == 0
    assert batch.lines.shape[2] - max(image.shape[1] for image in images) < MULTIPLE
    for row, image, width in zip(batch.lines.numpy(), images, batch.widths.tolist(), strict=True):
        assert width == image.shape[1]
        assert np.array_equal(row[:, :width], image) and not row[:, width:].any()
    parts = torch.split(batch.targets, batch.lengths.tolist())
    assert [alphabet.decode(part.tolist()) for part in parts] == texts == batch.texts


# ------------------------------------------------------------------------------------------------------------ positions


def test_epochs_follow_one_another_and_never_repeat_a_line(lines: LineSet) -> None:
    positions = Positions(lines, epoch_lines=200, batch=8)
    assert len(positions) == 25
    for epoch in range(4):
        batches = epoch_of(positions, epoch)
        assert [len(batch) for batch in batches] == [8] * 25
        assert sorted(chain(*batches)) == list(range(epoch * 200, (epoch + 1) * 200))


def test_an_epoch_is_a_function_of_its_number(lines: LineSet) -> None:
    one, other = Positions(lines, 96, 8), Positions(lines, 96, 8)
    asked = [epoch_of(one, epoch) for epoch in (0, 1, 2)]
    assert epoch_of(other, 2) == asked[2]  # as after a resume, no epoch before it was drawn
    assert epoch_of(one, 1) == asked[1]
    for distinct in (40, 96, 200):
        kept, fresh = Positions(lines, 96, 8, distinct), Positions(lines, 96, 8, distinct)
        before = [epoch_of(kept, epoch) for epoch in (0, 1, 2)]
        assert [epoch_of(fresh, epoch) for epoch in (2, 1, 0)] == before[::-1]


@pytest.mark.parametrize("epoch_lines", [64, 128, 160])
def test_distinct_lines_come_again_in_a_new_order(lines: LineSet, epoch_lines: int) -> None:
    positions = Positions(lines, epoch_lines, 8, distinct=64)
    epochs = [list(chain(*epoch_of(positions, epoch))) for epoch in range(3)]
    for numbers in epochs:
        times = np.bincount(numbers, minlength=64)
        assert len(times) == 64 and times.sum() == epoch_lines
        assert times.max() - times.min() <= 1  # as often as one another
    assert all(a != b for a, b in pairwise(epochs))


def test_what_does_not_fill_a_batch_is_left_for_the_next_epoch(lines: LineSet) -> None:
    positions = Positions(lines, epoch_lines=30, batch=8)
    seen = list(chain(*epoch_of(positions, 0), *epoch_of(positions, 1)))
    assert sorted(seen) == list(range(48))


def test_batches_hold_lines_of_similar_length(tiny: Callable[..., Recipe]) -> None:
    lines = LineSet(tiny(lines__length=[2, 9]).lines, "train", 3)

    def spread(batches: list[list[int]]) -> float:
        return float(np.mean([np.ptp([len(lines.text(i)) for i in batch]) for batch in batches]))

    batches = epoch_of(Positions(lines, 256, 8), 0)
    assert spread(batches) < 0.3 * spread([list(range(k, k + 8)) for k in range(0, 256, 8)])
    means = [np.mean([len(lines.text(i)) for i in batch]) for batch in batches]
    assert means != sorted(means)  # the batches themselves come in any order


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_gives_the_lines_that_were_asked_for(lines: LineSet, workers: int) -> None:
    numbers = [[5, 0, 7], [31], [2, 3]]
    batches = list(loader(lines, numbers, workers))  # type: ignore[arg-type]
    for asked, batch in zip(numbers, batches, strict=True):
        images, texts = lines.canonical_batch(asked)
        assert batch.texts == texts
        for row, width, image in zip(batch.lines, batch.widths, images, strict=True):
            assert np.array_equal(row[:, : int(width)], image)


# --------------------------------------------------------------------------------------------------------- enough steps


def test_lines_with_enough_steps_are_let_through(lines: LineSet) -> None:
    check_steps(lines, lambda width: 2 * (width // 28))  # a step and a blank for each tile


def test_a_line_that_ctc_cannot_say_is_named(lines: LineSet) -> None:
    with pytest.raises(RecipeError, match="time steps") as caught:
        check_steps(lines, lambda width: width // 28)  # no room for the blank between equal neighbours
    named = str(caught.value).split("'")[1]
    assert any(a == b for a, b in pairwise(named))
    assert named in [lines.text(index) for index in range(256)]
