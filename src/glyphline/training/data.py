"""Batches of composed lines as torch tensors. Each batch is a function of (seed, position), so a run can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from glyphline.alphabet import Alphabet, min_ctc_steps
from glyphline.composing.line_sets import LineSet
from glyphline.errors import RecipeError
from glyphline.imaging.normalization import NORMALIZATIONS, pad_batch

BUCKET_BATCHES = 16  # batches whose lines are sorted by length together, so that lines need little padding
MAX_NARROW_LINES = 0.02  # share of the lines that may have too few time steps for their text
CHECKED_LINES = 256  # lines whose time steps are checked before training
WIDTH_MULTIPLE = 32  # px; the width of a batch is padded to a multiple of it


@dataclass
class Batch:
    """N lines and their labels in the form that CTC loss takes."""

    lines: Tensor  # (N, H, W) uint8, padded at the right
    widths: Tensor  # (N,) px before padding
    targets: Tensor  # (sum of lengths,) int64 character ids of all lines, one line after the other
    lengths: Tensor  # (N,) characters of each line
    texts: list[str]


def make_batch(images: Sequence[np.ndarray], texts: list[str], alphabet: Alphabet, padding_value: int = 0) -> Batch:
    """Make one batch of canonical lines, (H, W) uint8 of equal height, and their texts, at least one.

    padding_value: of the pixels at the right of shorter lines, 0..255. Raises AlphabetError for a character outside the
    alphabet.
    """
    lines, widths = pad_batch(images, WIDTH_MULTIPLE, padding_value)
    ids = [alphabet.encode(text) for text in texts]
    return Batch(
        torch.from_numpy(lines), torch.from_numpy(widths), torch.from_numpy(np.concatenate(ids)),
        torch.tensor([len(i) for i in ids]), texts,
    )  # fmt: skip


class LineBatchDataset(Dataset[Batch]):
    """A dataset whose index is a list of line numbers and whose item is the batch of these lines."""

    def __init__(self, lines: LineSet) -> None:
        self.lines = lines

    def __getitem__(self, indices: list[int]) -> Batch:
        images, texts = self.lines.canonical_batch(indices)
        return make_batch(images, texts, self.lines.alphabet, NORMALIZATIONS[self.lines.normalization])


class LineBatchSampler(Sampler[list[int]]):
    """Yields the line numbers of each batch of an epoch. Epoch e starts at the line where epoch e - 1 ended.

    Lines of varying length are sorted into batches of similar length, and the order of the batches is drawn from
    (seed, epoch).
    epoch_lines: lines of an epoch; those that do not fill a batch are left for the next epoch. An epoch has at least
    one batch. distinct_lines: only lines 0..distinct_lines-1 are used, in a new order each epoch; None never repeats a
    line. gradient_accumulation: equal parts into which each batch of `batch_size` lines is split, a divisor of it; they
    are yielded one after the other. workers: number of processes that share each part. rank: the process that this
    sampler is for, from 0; it yields every `workers`-th line of a part.
    """

    def __init__(
        self,
        lines: LineSet,
        epoch_lines: int,
        batch_size: int,
        distinct_lines: int | None = None,
        gradient_accumulation: int = 1,
        workers: int = 1,
        rank: int = 0,
    ) -> None:
        self.lines = lines
        self.batch_size = batch_size
        self.distinct_lines = distinct_lines
        self.gradient_accumulation = gradient_accumulation
        self.workers, self.rank = workers, rank
        self.batch_count = max(1, epoch_lines // batch_size)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0. Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batch_count * self.gradient_accumulation

    def __iter__(self) -> Iterator[list[int]]:
        line_count = self.batch_count * self.batch_size
        first = self.epoch * line_count
        indices = np.arange(first, first + line_count)
        rng = np.random.default_rng([self.lines.seed, self.epoch])
        if self.distinct_lines is not None:
            indices = rng.permutation(self.distinct_lines)[np.arange(line_count) % self.distinct_lines]
        if self.lines.recipe.length[0] != self.lines.recipe.length[1]:
            lengths = np.array([len(self.lines.text(int(i))) for i in indices])
            bucket = BUCKET_BATCHES * self.batch_size
            indices = np.concatenate(
                [
                    indices[start : start + bucket][np.argsort(lengths[start : start + bucket], kind="stable")]
                    for start in range(0, line_count, bucket)
                ]
            )
            batch_order = rng.permutation(self.batch_count)
        else:
            batch_order = np.arange(self.batch_count)
        for k in batch_order:
            batch = indices[k * self.batch_size : (k + 1) * self.batch_size]
            for part in np.split(batch, self.gradient_accumulation):
                yield [int(i) for i in part[self.rank :: self.workers]]


def _use_one_thread(_: int) -> None:
    """Limit a composing process to one thread, so that the other cores stay free for training."""
    torch.set_num_threads(1)


def make_data_loader(lines: LineSet, sampler: Sampler[list[int]], workers: int = 0) -> DataLoader[Batch]:
    """Make a loader of the batches that `sampler` lists, in its order.

    workers: processes that compose lines ahead of the training; 0 composes in the training process.
    """
    return DataLoader(
        LineBatchDataset(lines), sampler=sampler, batch_size=None, num_workers=workers,
        persistent_workers=workers > 0, prefetch_factor=8 if workers else None,
        worker_init_fn=_use_one_thread if workers else None,
    )  # fmt: skip


def check_time_steps(lines: LineSet, steps: Callable[[int], int], count: int = CHECKED_LINES) -> None:
    """Check before training that the first `count` lines of a set have enough time steps for CTC.

    steps: width of a line in px -> time steps that the network gives. A few lines may have too few, with letters that
    are set very closely: they add nothing to the loss. Raises RecipeError that names the first line whose text needs
    more time steps than its image has, if they are more than MAX_NARROW_LINES of the lines.
    """
    narrow = []
    for image, text in zip(*lines.canonical_batch(range(count)), strict=True):
        needed, available = min_ctc_steps(lines.alphabet.encode(text)), steps(image.shape[1])
        if needed > available:
            narrow.append(
                f"the line {text[:60]!r} needs {needed} time steps but its {image.shape[1]} px give only {available}"
            )
    if len(narrow) > MAX_NARROW_LINES * count:
        raise RecipeError(
            f"{narrow[0]}: choose an encoder with a smaller stride, a larger lines.height, or a smaller lines.length"
        )
