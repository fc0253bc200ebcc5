"""A dry run: what a recipe would train, how long and in how much memory, and which learning rate and batch suit it.

It composes batches and takes real optimiser steps, but writes nothing.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glyphline import memory
from glyphline.alphabet import min_ctc_steps
from glyphline.recipe import Recipe, TrainingRecipe
from glyphline.training.data import (
    BUCKET_BATCHES,
    PREFETCHED,
    Batch,
    LineBatchDataset,
    LineBatchSampler,
    Lines,
    check_time_steps,
    make_data_loader,
    open_lines,
)
from glyphline.training.trackers import Trackers
from glyphline.training.train import TrainingModule
from glyphline.writing_direction import to_visual

WARM_UP_STEPS = 2
FINDER_STEPS = 60  # optimiser steps of the range test, each on new lines
SMOOTHING = 0.9  # of the losses of the range test
STOP_FACTOR = 3.0  # the range test ends when the smoothed loss is this many times its minimum
#: optimizer -> learning rates between which the range test rises
FINDER_RANGES = {"adam": (1e-5, 1.0), "adamw": (1e-5, 1.0), "sgd": (1e-3, 100.0)}
MINIMUM_SHARE = 0.1  # of the learning rate with the lowest loss, which is near the one at which training diverges
#: memory of a training step as a multiple of the tensors that the forward pass keeps for the backward pass. Measured by
#: the peak of the process over three steps: 1.2 to 1.8 on the recipes seed, tiles and natural, drawn with strokes.
ACTIVATION_FACTOR = 2.0
MEMORY_SHARE = 0.8  # of the free memory that a batch may take
Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]  # (steps, label, count) -> the same steps


@dataclass(frozen=True)
class DryRun:
    """What a dry run found. Memory is in bytes, times are in seconds."""

    device: str
    batch_shape: tuple[int, ...]  # (lines, height, width in px) of the widest of some batches, or of a part of it
    time_steps: int  # of its widest line
    needed_time_steps: int  # the most that CTC needs for a text of this batch
    classes: int  # with the CTC blank
    parameters: int
    epoch_steps: int  # optimiser steps of an epoch
    compose_seconds: float  # of a batch
    step_seconds: float  # of an optimiser step, while other processes compose ahead
    epoch_seconds: float  # with composing and validation
    run_seconds: float  # all epochs
    peak_bytes: int | None  # greatest memory of the process so far, on a GPU of its tensors there; None: unknown
    line_bytes: int  # that a training step needs for each line
    state_bytes: int  # weights, gradients and the optimizer's state
    free_bytes: int | None  # None where it is not known
    fitting_lines: int | None  # lines of the largest batch, a power of two, that fits into MEMORY_SHARE of free_bytes
    learning_rate: float  # suggested by the range test, between the two below
    steepest_rate: float  # at which the loss falls fastest
    lowest_rate: float  # at which it is lowest
    losses: tuple[tuple[float, float], ...]  # of the range test: learning rate, smoothed loss in nats a character

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that `glyphline train --dry-run` prints."""
        return asdict(self)


def dry_run(recipe: Recipe, progress: Progress = lambda steps, label, count: steps) -> DryRun:
    """Try a recipe for a minute or two without writing anything.

    The times are means over the steps of the range test, in which lines are composed as in training: batches are wider
    and narrower, and processes that compose take the cores that the network trains on. progress: wraps the steps to
    show how many are done. Raises RecipeError when the lines are too long for CTC, and what `open_lines` and
    `TrainingModule` raise.
    """
    memory.keep_freed_memory()
    options = recipe.training
    module = TrainingModule(recipe, Trackers(["none"]))
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    device = device or torch.device("cpu")
    lines = open_lines(recipe.lines, "train", options.seed)
    check_time_steps(lines, module.network.steps)
    module.to(device).train()
    optimizer = _optimizer_of(module)
    free_bytes = _free_bytes(device)
    initial = {name: value.clone() for name, value in module.network.state_dict().items()}

    sampler = LineBatchSampler(
        lines, options.epoch_lines, options.batch, options.distinct_lines, options.gradient_accumulation
    )
    dataset, started = LineBatchDataset(lines), time.perf_counter()
    composed = [dataset[part] for part in itertools.islice(sampler, BUCKET_BATCHES)]  # narrow ones and wide ones
    compose_seconds = (time.perf_counter() - started) / len(composed) * options.gradient_accumulation
    composed.sort(key=lambda batch: batch.lines.shape[2])
    batch, middle = composed[-1], composed[len(composed) // 2]
    line_bytes = _count_kept_bytes(module, _to_device(batch, device)) * ACTIVATION_FACTOR / len(batch.texts)
    batches = _batches(lines, sampler, options)
    waits, steps = [], []  # seconds in which the training waits for a batch, and in which it learns from it

    def take_step(optimizer: torch.optim.Optimizer) -> float:
        started = time.perf_counter()
        parts = next(batches)
        waits.append(time.perf_counter() - started)
        loss = _step(module, optimizer, parts, device)
        steps.append(time.perf_counter() - started - waits[-1])
        return loss

    for _ in progress(range(WARM_UP_STEPS), "warming up", WARM_UP_STEPS):
        take_step(optimizer)
    module.network.load_state_dict(initial)
    losses = _find_learning_rate(module, take_step, progress)
    # processes that compose ahead have batches ready when training begins, which cost no waiting
    skipped = min(WARM_UP_STEPS + PREFETCHED * options.workers, len(steps) // 2)
    waiting, step = (float(np.mean(times[skipped:])) for times in (waits, steps))
    if not options.workers:
        compose_seconds = waiting  # of more batches
    epoch_steps = sampler.batch_count
    validation = options.validation_lines * _seconds_per_validated_line(module, middle, device)
    epoch_seconds = epoch_steps * (waiting + step) + validation
    rate, steepest_rate, lowest_rate = suggest_learning_rate(losses)
    state_bytes = 4 * module.network.parameter_count() * {"sgd": 3}.get(options.optimizer, 4)
    fitting = None
    if free_bytes is not None:
        room = max(1.0, (MEMORY_SHARE * free_bytes - state_bytes) / max(1.0, line_bytes))
        fitting = 2 ** int(math.log2(room))
    return DryRun(
        device=str(device), batch_shape=tuple(batch.lines.shape),
        time_steps=module.network.steps(int(batch.widths.max())),
        needed_time_steps=max(
            min_ctc_steps(lines.alphabet.encode(to_visual(text, lines.direction))) for text in batch.texts
        ),
        classes=len(lines.alphabet), parameters=module.network.parameter_count(), epoch_steps=epoch_steps,
        compose_seconds=compose_seconds, step_seconds=step, epoch_seconds=epoch_seconds,
        run_seconds=options.epochs * epoch_seconds, peak_bytes=_peak_bytes(device), line_bytes=round(line_bytes),
        state_bytes=state_bytes, free_bytes=free_bytes, fitting_lines=fitting,
        learning_rate=rate, steepest_rate=steepest_rate, lowest_rate=lowest_rate, losses=tuple(losses),
    )  # fmt: skip


def suggest_learning_rate(losses: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """The learning rate that a range test suggests, that of the steepest descent, and that of the lowest loss.

    Two rules are in use: the rate at which the loss falls fastest, and a tenth of the rate at which it is lowest (Smith
    2017). CTC first learns to output blanks alone, which any rate achieves: the first rule is then too low, the second
    one too high, and the suggestion is their geometric mean.
    losses: learning rate and smoothed loss of each step, at least one, the rates in rising order.
    """
    rates, values = np.array(losses).T
    lowest = int(np.argmin(values))
    slopes = np.gradient(values[: lowest + 1], np.log(rates[: lowest + 1])) if lowest else np.zeros(1)
    steepest_rate, lowest_rate = float(rates[np.argmin(slopes)]), float(rates[lowest])
    return math.sqrt(steepest_rate * MINIMUM_SHARE * lowest_rate), steepest_rate, lowest_rate


def _optimizer_of(module: TrainingModule) -> torch.optim.Optimizer:
    """A new optimizer of the recipe; its schedule is left out."""
    optimizer: torch.optim.Optimizer = module.configure_optimizers()["optimizer"]
    return optimizer


def _batches(lines: Lines, sampler: LineBatchSampler, options: TrainingRecipe) -> Iterator[list[Batch]]:
    """The batches of training in their order, composed as there, each as its parts (gradient_accumulation)."""
    loader = make_data_loader(lines, sampler, options.workers)
    for epoch in itertools.count():
        sampler.set_epoch(epoch)
        parts_of_epoch = iter(loader)
        while parts := list(itertools.islice(parts_of_epoch, options.gradient_accumulation)):
            yield parts


def _step(module: TrainingModule, optimizer: torch.optim.Optimizer, parts: list[Batch], device: torch.device) -> float:
    """One optimiser step on the parts of a batch, as in training. Returns the loss in nats a character."""
    options = module.recipe.training
    optimizer.zero_grad()
    total = 0.0
    for part in parts:
        loss = _loss(module, _to_device(part, device))
        (loss / len(parts)).backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach()) / len(parts)
    if options.gradient_clip:
        torch.nn.utils.clip_grad_norm_(module.network.parameters(), options.gradient_clip)
    optimizer.step()
    return total


def _to_device(batch: Batch, device: torch.device) -> Batch:
    return Batch(
        batch.lines.to(device), batch.widths.to(device), batch.targets.to(device), batch.lengths.to(device), batch.texts
    )


def _loss(module: TrainingModule, batch: Batch) -> Tensor:
    """The loss in nats a character, in the precision of the recipe."""
    is_bf16 = module.recipe.training.precision == "bf16"
    with torch.autocast(batch.lines.device.type, torch.bfloat16, enabled=is_bf16):
        return module.loss(batch) / batch.lengths.sum()


def _count_kept_bytes(module: TrainingModule, batch: Batch) -> int:
    """The bytes of all tensors that the forward pass of a batch keeps for the backward pass, without the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in module.network.parameters()}
    kept: dict[int, int] = {}
    tensors: list[Tensor] = []  # held, so that no two of them have the same address

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            tensors.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _loss(module, batch)
    return sum(kept.values())


@torch.inference_mode()
def _seconds_per_validated_line(module: TrainingModule, batch: Batch, device: torch.device) -> float:
    """The time of the forward pass of a line in validation. Greedy decoding takes little beside it."""
    network = module.network.eval()
    started = time.perf_counter()
    network(batch.lines.to(device)).cpu()
    module.network.train()
    return (time.perf_counter() - started) / len(batch.texts)


def _find_learning_rate(
    module: TrainingModule, take_step: Callable[[torch.optim.Optimizer], float], progress: Progress
) -> list[tuple[float, float]]:
    """The learning rate range test (Smith 2017): the rate rises by the same factor at each step.

    Returns the rate and the smoothed loss of each step. It ends early when the loss has grown to STOP_FACTOR of its
    minimum or is not finite; the network is changed.
    """
    low, high = FINDER_RANGES[module.recipe.training.optimizer]
    optimizer = _optimizer_of(module)
    losses: list[tuple[float, float]] = []
    average = 0.0
    for k in progress(range(FINDER_STEPS), "finding a learning rate", FINDER_STEPS):
        rate = low * (high / low) ** (k / (FINDER_STEPS - 1))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = take_step(optimizer)
        if not math.isfinite(loss):
            break
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smoothed = average / (1 - SMOOTHING ** (k + 1))
        losses.append((rate, smoothed))
        if smoothed > STOP_FACTOR * min(value for _, value in losses):
            break
    return losses or [(low, math.inf)]


def _peak_bytes(device: torch.device) -> int | None:
    """The greatest memory that the process has taken, on a GPU its tensors there. None on Windows without a GPU."""
    return int(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else memory.peak_bytes()


def _free_bytes(device: torch.device) -> int | None:
    """The memory that is free for training: of the GPU, or of the machine and its container. None if unknown."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else memory.free_bytes()
