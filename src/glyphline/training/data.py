"""torch's view of composed lines: batches that are functions of (seed, position), so that any run can be continued."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from glyphline.alphabet import Alphabet, steps_needed
from glyphline.composing.line_sets import LineSet
from glyphline.errors import RecipeError
from glyphline.imaging.normalization import padded_batch

WINDOW = 16  # batches sorted by length together, so that little is padded
MULTIPLE = 32  # px; widths are padded to it


@dataclass
class Batch:
    """Lines for one step."""

    lines: Tensor  # (N, H, W) uint8
    widths: Tensor  # (N,) px before padding
    targets: Tensor  # (sum of lengths,) ids
    lengths: Tensor  # (N,) characters
    texts: list[str]


def make_batch(images: Sequence[np.ndarray], texts: list[str], alphabet: Alphabet) -> Batch:
    """Canonical lines (H, W) and their texts as one batch."""
    lines, widths = padded_batch(images, MULTIPLE)
    ids = [alphabet.encode(text) for text in texts]
    return Batch(
        torch.from_numpy(lines), torch.from_numpy(widths), torch.from_numpy(np.concatenate(ids)),
        torch.tensor([len(i) for i in ids]), texts,
    )  # fmt: skip


class LineBatches(Dataset[Batch]):
    """Asked for a list of line numbers, gives their batch."""

    def __init__(self, lines: LineSet) -> None:
        self.lines = lines

    def __getitem__(self, indices: list[int]) -> Batch:
        images, texts = self.lines.canonical_batch(indices)
        return make_batch(images, texts, self.lines.alphabet)


class Positions(Sampler[list[int]]):
    """The line numbers of each batch of an epoch; epoch e starts where epoch e - 1 ended.

    Batches hold lines of similar length where lengths vary, in an order drawn from the epoch. Each is given out in
    `gradient_accumulation` equal parts, one after the other.
    """

    def __init__(
        self, lines: LineSet, epoch_lines: int, batch: int, distinct: int | None = None, gradient_accumulation: int = 1
    ) -> None:
        self.lines, self.batch, self.distinct, self.gradient_accumulation = (
            lines,
            batch,
            distinct,
            gradient_accumulation,
        )
        self.batches = max(1, epoch_lines // batch)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches * self.gradient_accumulation

    def __iter__(self) -> Iterator[list[int]]:
        first, count = self.epoch * self.batches * self.batch, self.batches * self.batch
        numbers = np.arange(first, first + count)
        rng = np.random.default_rng([self.lines.seed, self.epoch])
        if self.distinct is not None:  # the same lines again, in a new order
            numbers = rng.permutation(self.distinct)[np.arange(count) % self.distinct]
        if self.lines.recipe.length[0] != self.lines.recipe.length[1]:
            lengths = np.array([len(self.lines.text(int(i))) for i in numbers])
            span = WINDOW * self.batch
            numbers = np.concatenate(
                [numbers[s : s + span][np.argsort(lengths[s : s + span], kind="stable")] for s in range(0, count, span)]
            )
            order = rng.permutation(self.batches)
        else:
            order = np.arange(self.batches)
        for k in order:
            for part in np.split(numbers[k * self.batch : (k + 1) * self.batch], self.gradient_accumulation):
                yield [int(i) for i in part]


def _quiet_worker(_: int) -> None:
    """A composing process keeps to one thread: the others belong to the training."""
    torch.set_num_threads(1)


def loader(lines: LineSet, positions: Sampler[list[int]], workers: int = 0) -> DataLoader[Batch]:
    """Batches in the order of positions, composed ahead by `workers` processes."""
    return DataLoader(
        LineBatches(lines), sampler=positions, batch_size=None, num_workers=workers,
        persistent_workers=workers > 0, prefetch_factor=8 if workers else None,
        worker_init_fn=_quiet_worker if workers else None,
    )  # fmt: skip


def check_steps(lines: LineSet, steps: Callable[[int], int], most: int = 256) -> None:
    """Look at the first lines of a set before an hour is spent on it; `steps` is the network's, of a width in px.

    Raises RecipeError naming a line that has more to say than CTC has time steps for.
    """
    for image, text in zip(*lines.canonical_batch(range(most)), strict=True):
        needed, given = steps_needed(lines.alphabet.encode(text)), steps(image.shape[1])
        if needed > given:
            raise RecipeError(
                f"the line {text[:60]!r} needs {needed} time steps but its {image.shape[1]} px give only {given}: "
                "choose an encoder with a smaller stride, a larger lines.height, or a smaller lines.length"
            )
