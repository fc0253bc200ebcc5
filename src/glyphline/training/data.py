"""Batches of composed lines as torch tensors. Each batch is a function of (seed, position), so a run can be resumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from glyphline.addresses import open_path
from glyphline.alphabet import Alphabet, min_ctc_steps
from glyphline.composing.counter_rng import random_int
from glyphline.composing.layouts import GlyphPool
from glyphline.composing.line_sets import LineSet
from glyphline.composing.sentences import AlphabetFitter, split_of_text
from glyphline.composing.stored_lines import StoredLineSet
from glyphline.errors import DataError, ImageError, RecipeError
from glyphline.imaging.normalization import NORMALIZATIONS, canonical_line_image, pad_batch
from glyphline.recipe import LinesRecipe, Recipe
from glyphline.training.labelled_lines import open_labelled_lines
from glyphline.training.variation import vary
from glyphline.writing_direction import LTR, to_visual

BUCKET_BATCHES = 16  # batches whose lines are sorted by length together, so that lines need little padding
MAX_NARROW_LINES = 0.02  # share of the lines that may have too few time steps for their text
#: of the counter-based random numbers, apart from those of `line_sets`
_FOLDER_KEY, _LABELLED_KEY, _VARIATION_KEY = 101, 102, 103
MAX_NAMED = 8  # lines of a folder that are named where they are left out
CHECKED_LINES = 256  # lines whose time steps are checked before training
PREFETCHED = 8  # batches that each composing process has ready
WIDTH_MULTIPLE = 32  # px; the width of a batch is padded to a multiple of it


@dataclass
class Batch:
    """N lines and their labels in the form that CTC loss takes."""

    lines: Tensor  # (N, H, W) uint8, padded at the right
    widths: Tensor  # (N,) px before padding
    targets: Tensor  # (sum of lengths,) int64 character ids of all lines, one line after the other
    lengths: Tensor  # (N,) characters of each line
    texts: list[str]


def make_batch(
    images: Sequence[np.ndarray], texts: list[str], alphabet: Alphabet, padding_value: int = 0, direction: str = LTR
) -> Batch:
    """Make one batch of canonical lines, (H, W) uint8 of equal height, and their texts, at least one.

    padding_value: of the pixels at the right of shorter lines, 0..255. direction: of the lines, "ltr" or "rtl"; the
    targets are in the visual order of the texts. Raises AlphabetError for a character outside the alphabet.
    """
    lines, widths = pad_batch(images, WIDTH_MULTIPLE, padding_value)
    ids = [alphabet.encode(to_visual(text, direction)) for text in texts]
    return Batch(
        torch.from_numpy(lines), torch.from_numpy(widths), torch.from_numpy(np.concatenate(ids)),
        torch.tensor([len(i) for i in ids]), texts,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class LoadedLine:
    """A labelled line in the form in which a network takes it."""

    name: str  # see `LabelledLine`
    image: np.ndarray  # normalized
    text: str  # in characters of the alphabet


class MixedLines:
    """The composed lines of a set, with labelled lines of the recipe's folders in the place of some of them.

    Which line stands at an index is a function of the set's seed and the index. A labelled line belongs to the split
    that its text has as a sentence (`split_of_text`), so that no text is in two splits; a folder without a line of the
    set's split leaves its share to composed lines. Texts are fitted to the alphabet like sentences: accents that it
    lacks are folded away, and counted in a note. A line that would lose a character is left out, because its image
    shows it. All images are normalized here and kept in memory;
    those of the split train are changed by `vary` each time, as the recipe says.
    `notes`: sentences about the data, for the user, those of the set among them.
    Raises what `open_labelled_lines` raises, DataError for a folder whose lines all hold characters outside the
    alphabet, and ImageError, with its place, for an image that cannot be read or is too wide.
    """

    def __init__(self, lines: LineSet) -> None:
        self.composed, self.recipe, self.seed = lines, lines.recipe, lines.seed
        self.alphabet, self.normalization, self.direction = lines.alphabet, lines.normalization, lines.direction
        self.notes: list[str] = lines.notes
        self._folders = [self._load_folder(Path(item.folder)) for item in lines.recipe.labelled]
        self._divide_shares()

    def _divide_shares(self) -> None:
        """Give each folder with lines its share of the numbers from 0 to 1; the rest is that of composed lines."""
        shares = [
            item.share if folder else 0.0 for item, folder in zip(self.recipe.labelled, self._folders, strict=True)
        ]
        self._ends = np.cumsum(shares)

    def _load_folder(self, folder: Path) -> list[LoadedLine]:
        """A folder's lines of this split, normalized and fitted to the alphabet."""
        labelled = open_labelled_lines(folder)
        loaded, left_out = [], 0
        dropped, folded = Counter[str](), Counter[tuple[str, str]]()
        for line in labelled.lines:
            fitter = AlphabetFitter(self.alphabet)
            text = fitter(line.text).strip()
            if fitter.counts or not text:
                left_out += 1
                dropped += fitter.counts
            elif split_of_text(line.text) == self.composed.split:
                try:
                    image = canonical_line_image(line.image(), self.recipe.height, self.normalization)
                except ImageError as error:
                    raise ImageError(f"{folder}, {line.name}: {error}") from None
                loaded.append(LoadedLine(line.name, image, text))
                folded += fitter.folded
        if left_out == len(labelled.lines):
            raise DataError(
                f"{folder}: every line holds characters outside the alphabet ({', '.join(map(repr, dropped))}): "
                "choose a wider alphabet"
            )
        self.notes += [*labelled.notes, f"{folder}: {len(loaded)} of {len(labelled.lines)} lines are for the "
                       f"{self.composed.split} split ({labelled.kind})"]  # fmt: skip
        if left_out:
            characters = ", ".join(f"{c!r} {n}" for c, n in dropped.most_common(8))
            self.notes.append(
                f"{folder}: {left_out} lines with characters outside the alphabet are left out: {characters}"
            )
        self.notes += [
            f"{folder}: {note}; the images show the former: a wider alphabet learns them"
            for note in AlphabetFitter(self.alphabet, folded=folded).describe()
        ]
        return loaded

    def leave_out_narrow(self, steps: Callable[[int], int]) -> list[str]:
        """Leave out the labelled lines whose image has too few time steps for their text: it may be another image's.

        steps: width of a line in px -> time steps that the network gives. Returns a sentence for each of the first
        MAX_NAMED lines of a folder, and one for the others.
        """
        notes = []
        for number, item in enumerate(self.recipe.labelled):
            kept: list[LoadedLine] = []
            narrow: list[LoadedLine] = []
            for line in self._folders[number]:
                is_narrow = needed_steps(line.text, self.alphabet, self.direction) > steps(line.image.shape[1])
                (narrow if is_narrow else kept).append(line)
            self._folders[number] = kept
            notes += [
                f"{item.folder}, {line.name} is left out: its image is too narrow for {line.text!r}"
                for line in narrow[:MAX_NAMED]
            ]
            if len(narrow) > MAX_NAMED:
                notes.append(f"{item.folder}: {len(narrow) - MAX_NAMED} more lines are left out as too narrow")
        self._divide_shares()
        return notes

    def _labelled_line(self, index: int) -> tuple[np.ndarray, str, float] | None:
        """The labelled line at an index and the strength of its changes; None where a composed line stands."""
        share = random_int(self.seed, index, _FOLDER_KEY) / 2**64
        number = int(np.searchsorted(self._ends, share, side="right"))
        if number == len(self._folders):
            return None
        folder = self._folders[number]
        variation = self.recipe.labelled[number].variation if self.composed.split == "train" else 0.0
        line = folder[random_int(self.seed, index, _LABELLED_KEY) % len(folder)]
        return line.image, line.text, variation

    @property
    def pool(self) -> GlyphPool:
        """The glyphs of the composed lines."""
        return self.composed.pool

    @property
    def texts(self) -> list[str]:
        """The sentences of the composed lines."""
        return self.composed.texts

    def canonical_line(self, index: int) -> tuple[np.ndarray, str]:
        """The image, as the network's input, and the text of line `index`."""
        (image,), (text,) = self.canonical_batch([index])
        return image, text

    def text(self, index: int) -> str:
        """The text of line `index`."""
        line = self._labelled_line(index)
        return self.composed.text(index) if line is None else line[1]

    def canonical_batch(self, indices: Sequence[int]) -> tuple[list[np.ndarray], list[str]]:
        """The images, as the network's input, and the texts of several lines."""
        labelled = [self._labelled_line(index) for index in indices]
        composed = [index for index, line in zip(indices, labelled, strict=True) if line is None]
        pairs = zip(*self.composed.canonical_batch(composed), strict=True) if composed else iter(())
        images, texts = [], []
        for index, line in zip(indices, labelled, strict=True):
            if line is None:
                image, text = next(pairs)
            else:
                image, text, variation = line
                image = vary(image, random_int(self.seed, index, _VARIATION_KEY), variation)
            images.append(image)
            texts.append(text)
        return images, texts


Lines = LineSet | MixedLines


def open_lines(recipe: LinesRecipe, split: str, seed: int, glyph_split: str | None = None) -> Lines:
    """The lines of a recipe for one split: composed, and mixed with labelled ones where it names folders of them.

    seed, glyph_split: see `LineSet`. Raises what `LineSet` and `MixedLines` raise.
    """
    lines = LineSet(recipe, split, seed, glyph_split=glyph_split)
    return MixedLines(lines) if recipe.labelled else lines


def open_training_lines(recipe: Recipe) -> Lines:
    """The training lines of a recipe: composed, or read from training.stored_lines.

    Raises what `open_lines` raises, and what `StoredLineSet` raises for stored lines.
    """
    options = recipe.training
    if options.stored_lines is None:
        return open_lines(recipe.lines, "train", options.seed)
    batches = options.epochs * max(1, options.epoch_lines // options.batch)
    needed = max(CHECKED_LINES, options.distinct_lines or batches * options.batch)
    stored = StoredLineSet(recipe.lines, "train", options.seed, open_path(options.stored_lines), needed)
    return MixedLines(stored) if recipe.lines.labelled else stored


class LineBatchDataset(Dataset[Batch]):
    """A dataset whose index is a list of line numbers and whose item is the batch of these lines."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    def __getitem__(self, indices: list[int]) -> Batch:
        images, texts = self.lines.canonical_batch(indices)
        padding_value = NORMALIZATIONS[self.lines.normalization]
        return make_batch(images, texts, self.lines.alphabet, padding_value, self.lines.direction)


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
        lines: Lines,
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


def is_data_worker_loss(error: BaseException) -> bool:
    """Whether torch raised this because a process of a data loader has ended."""
    return isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker (pid")


def make_data_loader(lines: Lines, sampler: Sampler[list[int]], workers: int = 0) -> DataLoader[Batch]:
    """Make a loader of the batches that `sampler` lists, in its order.

    workers: processes that compose lines ahead of the training; 0 composes in the training process.
    """
    return DataLoader(
        LineBatchDataset(lines), sampler=sampler, batch_size=None, num_workers=workers,
        persistent_workers=workers > 0, prefetch_factor=PREFETCHED if workers else None,
        worker_init_fn=_use_one_thread if workers else None,
    )  # fmt: skip


def needed_steps(text: str, alphabet: Alphabet, direction: str) -> int:
    """The time steps that CTC needs at least for a text in characters of an alphabet. direction: ltr or rtl."""
    return min_ctc_steps(alphabet.encode(to_visual(text, direction)))


def leave_out_narrow(lines: Lines, steps: Callable[[int], int]) -> list[str]:
    """Leave out the labelled lines that are too narrow for their text; see `MixedLines.leave_out_narrow`."""
    return lines.leave_out_narrow(steps) if isinstance(lines, MixedLines) else []


def check_time_steps(lines: Lines, steps: Callable[[int], int], count: int = CHECKED_LINES) -> None:
    """Check before training that the first `count` lines of a set have enough time steps for CTC.

    steps: width of a line in px -> time steps that the network gives. A few lines may have too few, with letters that
    are set very closely: they add nothing to the loss. Raises RecipeError that names the first line whose text needs
    more time steps than its image has, if they are more than MAX_NARROW_LINES of the lines.
    """
    narrow = []
    for image, text in zip(*lines.canonical_batch(range(count)), strict=True):
        needed, available = needed_steps(text, lines.alphabet, lines.direction), steps(image.shape[1])
        if needed > available:
            narrow.append(
                f"the line {text[:60]!r} needs {needed} time steps but its {image.shape[1]} px give only {available}"
            )
    if len(narrow) > MAX_NARROW_LINES * count:
        raise RecipeError(
            f"{narrow[0]}: choose an encoder with a smaller stride, a larger lines.height, or a smaller lines.length"
        )
