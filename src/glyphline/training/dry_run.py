"""A dry run: what a recipe would train, how long and in how much memory, and which learning rate and batch suit it.

It composes batches and takes real optimiser steps, but writes nothing.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed

from glyphline import memory
from glyphline.alphabet import min_ctc_steps
from glyphline.composing.line_sets import normalization_of
from glyphline.errors import GlyphlineError, UserError
from glyphline.imaging.normalization import NORMALIZATIONS
from glyphline.recipe import Recipe, TrainingRecipe
from glyphline.training.data import (
    BUCKET_BATCHES,
    PREFETCHED,
    Batch,
    LineBatchDataset,
    LineBatchSampler,
    Lines,
    check_time_steps,
    leave_out_narrow,
    make_data_loader,
    open_training_lines,
)
from glyphline.training.distribution import Distribution, share_batch_norms, share_width
from glyphline.training.trackers import Trackers
from glyphline.training.train import TrainingModule, find_accelerator
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
CONNECT_SECONDS = 300  # how long processes wait for one another, at the start for their imports
JOIN_SECONDS = 10  # how long the others have to end after the process of rank 0
Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]  # (steps, label, count) -> the same steps


@dataclass(frozen=True)
class DryRun:
    """What a dry run found. Memory is in bytes, times are in seconds."""

    device: str
    workers: int  # processes that share each batch; memory and shapes are those of one of them
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
    #: lines of the largest batch, a power of two, that fits into MEMORY_SHARE of free_bytes, in all processes together
    fitting_lines: int | None
    learning_rate: float  # suggested by the range test, between the two below
    steepest_rate: float  # at which the loss falls fastest
    lowest_rate: float  # at which it is lowest
    losses: tuple[tuple[float, float], ...]  # of the range test: learning rate, smoothed loss in nats a character

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that `glyphline train --dry-run` prints."""
        return asdict(self)


def dry_run(
    recipe: Recipe, progress: Progress = lambda steps, label, count: steps, *, workers: int = 1,
    report: Callable[[str], None] = lambda text: None,
) -> DryRun:  # fmt: skip
    """Try a recipe for a minute or two without writing anything.

    The times are means over the steps of the range test, whose lines are composed, or read from training.stored_lines,
    as in training: batches are wider and narrower, and processes that compose take the cores that the network trains
    on. progress: wraps the steps to show how many are done. workers: processes of this machine that share each batch.
    report: receives notes about lines and initial weights.
    Raises RecipeError when the lines are too long for CTC, UserError for more workers than GPUs where there are any,
    DataError for stored lines that do not suffice, and what `open_lines`, `TrainingModule` and its
    `load_initial_weights` raise.
    """
    Distribution(workers).check(recipe.training)
    device = find_accelerator()
    if workers == 1:
        return _try_recipe(recipe, device or torch.device("cpu"), Distribution(), progress, report)
    if device is not None and torch.accelerator.device_count() < workers:
        raise UserError(f"{workers} workers need a GPU each, this machine has {torch.accelerator.device_count()}")
    threads = torch.get_num_threads()
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        others = [context.Process(target=_join, args=(recipe, device, workers, k, store)) for k in range(1, workers)]
        try:
            for process in others:
                process.start()
            _connect(workers, 0, store)
            found = _try_recipe(recipe, _device_of(device, 0), Distribution(workers), progress, report)
            for process in others:
                process.join(JOIN_SECONDS)
            return found
        finally:
            if distributed.is_initialized():
                distributed.destroy_process_group()
            for process in others:
                process.kill()
            torch.set_num_threads(threads)


def _join(recipe: Recipe, device: torch.device | None, workers: int, rank: int, store: Path) -> None:
    """Take part in a dry run as the process of a rank. What goes wrong here goes wrong in that of rank 0 too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the process of rank 0, which ends this one
    _connect(workers, rank, store)
    with suppress(GlyphlineError):
        _try_recipe(recipe, _device_of(device, rank), Distribution(workers, rank))


def _connect(workers: int, rank: int, store: Path) -> None:
    """Join the processes of a dry run. store: a file by which they find one another."""
    if "OMP_NUM_THREADS" not in os.environ:  # Lightning shares the cores in the same way
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    timeout = timedelta(seconds=CONNECT_SECONDS)
    distributed.init_process_group(init_method=store.as_uri(), timeout=timeout, world_size=workers, rank=rank)


def _device_of(device: torch.device | None, rank: int) -> torch.device:
    return torch.device("cpu") if device is None else torch.device(device.type, rank)


def _try_recipe(
    recipe: Recipe, device: torch.device, distribution: Distribution,
    progress: Progress = lambda steps, label, count: steps, report: Callable[[str], None] = lambda text: None,
) -> DryRun:  # fmt: skip
    """The dry run of `dry_run` in one of its processes."""
    memory.keep_freed_memory()
    options = recipe.training
    lines = open_training_lines(recipe)
    for note in lines.notes:
        report(note)
    module = TrainingModule(recipe, Trackers(["none"]))
    if options.initial_weights is not None:
        module.load_initial_weights(Path(options.initial_weights), report)
    if distribution.workers > 1:
        share_batch_norms(module.network)
    for note in leave_out_narrow(lines, module.network.steps):
        report(note)
    check_time_steps(lines, module.network.steps)
    module.to(device).train()
    optimizer = _optimizer_of(module)
    free_bytes = _free_bytes(device)
    initial = {name: value.clone() for name, value in module.network.state_dict().items()}

    sampler = LineBatchSampler(
        lines, options.epoch_lines, options.batch, options.distinct_lines, options.gradient_accumulation,
        distribution.workers, distribution.rank,
    )  # fmt: skip
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
        free = MEMORY_SHARE * free_bytes * (1 if device.type == "cpu" else distribution.workers)
        room = max(1.0, (free - distribution.workers * state_bytes) / max(1.0, line_bytes))
        fitting = 2 ** int(math.log2(room))
    return DryRun(
        device=str(device), workers=distribution.workers, batch_shape=tuple(batch.lines.shape),
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
        total += float(_mean_of_workers(loss.detach())) / len(parts)
    if distributed.is_initialized():
        gradients = [weight.grad for weight in module.network.parameters() if weight.grad is not None]
        means = _mean_of_workers(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, mean in zip(gradients, torch.split(means, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))
    if options.gradient_clip:
        torch.nn.utils.clip_grad_norm_(module.network.parameters(), options.gradient_clip)
    optimizer.step()
    return total


def _mean_of_workers(values: Tensor) -> Tensor:
    """The mean of a tensor over the processes of the dry run; with one process the tensor itself."""
    if not distributed.is_initialized():
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


def _to_device(batch: Batch, device: torch.device) -> Batch:
    return Batch(
        batch.lines.to(device), batch.widths.to(device), batch.targets.to(device), batch.lengths.to(device), batch.texts
    )


def _loss(module: TrainingModule, batch: Batch) -> Tensor:
    """The loss in nats a character, in the precision of the recipe.

    With several processes it is that of this one's lines, divided by the mean of their characters.
    """
    is_bf16 = module.recipe.training.precision == "bf16"
    if distributed.is_initialized():
        padding_value = NORMALIZATIONS[normalization_of(module.recipe.lines)]
        batch = replace(batch, lines=share_width(batch.lines, padding_value))
    with torch.autocast(batch.lines.device.type, torch.bfloat16, enabled=is_bf16):
        return module.loss(batch) / _mean_of_workers(batch.lengths.sum().float())


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
