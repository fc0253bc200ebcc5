"""The training loop (Lightning): compose, CTC loss, optimiser step, validation, tracking, checkpoints, resuming.

The loop does not depend on the kind of network. Every random number is a function of (seed, step), so a run that is
resumed from a checkpoint gives the same numbers as a run that was never stopped.
"""

from __future__ import annotations

import copy
import ctypes
import json
import logging
import math
import os
import platform
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, RichProgressBar
from torch import Tensor
from torch.nn import functional as F

from glyphline.addresses import open_path
from glyphline.composing.counter_rng import random_int
from glyphline.composing.line_sets import LineSet, normalization_of, read_labels
from glyphline.composing.stored_lines import StoredLineSet
from glyphline.errors import DataError, GlyphlineError, RecipeError, UserError, nearest
from glyphline.files import replace_atomically
from glyphline.imaging.documents import load
from glyphline.imaging.normalization import NORMALIZATIONS
from glyphline.reading.lines import LineReader, group_by_width
from glyphline.reading.recognition.decoders import GreedyDecoder
from glyphline.recipe import Recipe, TrainingRecipe, load_recipe
from glyphline.score import character_error_rate, fold_none, score
from glyphline.training.data import CHECKED_LINES, Batch, LineBatchSampler, check_time_steps, make_data_loader
from glyphline.training.distribution import Distribution, share_batch_norms, share_width
from glyphline.training.network import (
    CHECKPOINT_VERSION,
    Network,
    TorchRecognizer,
    check_format_version,
    load_matching_weights,
    mix_weights,
    save_weights,
)
from glyphline.training.trackers import Metrics, Prediction, RunInfo, Trackers

#: file names in a run folder
LAST_CHECKPOINT, BEST_WEIGHTS, RECIPE_FILE, RESULT_FILE = "last.ckpt", "best.pt", "recipe.yaml", "result.json"
PREDICTION_COUNT = 16  # validation lines in the table of predictions
LOG_INTERVAL = 20  # optimiser steps between two records of the training loss
OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "onecycle", "plateau")


def ctc_loss(log_probs: Tensor, batch: Batch, steps: Tensor) -> Tensor:
    """CTC negative log-likelihood in nats, summed over the lines of a batch (Graves et al. 2006).

    log_probs: (N, T, C), natural logarithm, class 0 the blank. steps: (N,) time steps that belong to each line; later
    ones are padding. A line whose text needs more time steps than it has adds nothing, neither loss nor gradient.
    """
    return F.ctc_loss(
        log_probs.transpose(0, 1), batch.targets, steps, batch.lengths, blank=0, reduction="sum", zero_infinity=True
    )


def learning_rate_factor(recipe: TrainingRecipe, step: int, total_steps: int) -> float:
    """The learning rate at an optimiser step, as a fraction of the recipe's peak learning rate.

    It rises linearly during the warm-up; `onecycle` warms up for at least 0.3 of `total_steps`. Then `cosine` and
    `onecycle` fall along half a cosine to 1e-4, and `plateau` stays at 1. `constant` is 1 at every step.
    """
    warmup_steps = max(1, round(recipe.warmup * total_steps))
    if recipe.schedule == "onecycle":
        warmup_steps = max(warmup_steps, round(0.3 * total_steps))
    if recipe.schedule != "constant" and step < warmup_steps:
        return (step + 1) / warmup_steps
    if recipe.schedule in ("cosine", "onecycle"):
        progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        return 0.5 * (1 + math.cos(math.pi * progress)) + 1e-4
    return 1.0


class TrainingModule(pl.LightningModule):
    """The network of a recipe with its loss, optimiser, moving average and validation.

    Sets the seed of torch's global generator. Raises RecipeError for an unknown optimizer or schedule, DataError when
    the folder training.watch has no labels, ImageError when an image in it cannot be read, and what `Network` raises.
    """

    def __init__(self, recipe: Recipe, trackers: Trackers) -> None:
        super().__init__()
        options = recipe.training
        for name, value, choices in (
            ("optimizer", options.optimizer, OPTIMIZERS),
            ("schedule", options.schedule, SCHEDULES),
        ):
            if value not in choices:
                raise RecipeError(f'training.{name} is "{value}"; {nearest(value, choices)}')
        torch.manual_seed(options.seed)
        self.recipe, self.trackers = recipe, trackers
        self.network = Network(recipe)
        self.ema_network = copy.deepcopy(self.network).requires_grad_(False) if options.ema_decay else None
        #: share training.initial_share of the initial weights and the rest of the trained ones (Wortsman et al. 2022)
        self.mixed_network = copy.deepcopy(self.network).requires_grad_(False) if options.initial_share else None
        self._initial_weights: dict[str, Tensor] = {}
        self._new_classes: list[int] = []
        self.total_steps = options.epochs * max(1, options.epoch_lines // options.batch)
        self.metrics: Metrics = {}  # of the last validation
        watch_labels = read_labels(Path(options.watch)) if options.watch is not None else []
        self.watch_lines = [(load(path), text) for path, text in watch_labels]  # grey images and their true texts
        self._text_pairs: list[tuple[str, str]] = []  # true and predicted text of each validation line
        self._predictions: list[Prediction] = []
        self._val_loss, self._val_lines = 0.0, 0
        self._last_log_time, self._lines_since_log = time.monotonic(), 0

    def load_initial_weights(self, path: Path, report: Callable[[str], None]) -> None:
        """Start from the weights of another run, a run folder or its best.pt, and report it in one line.

        Raises RecipeError or DataError as `load_matching_weights` does.
        """
        new_characters = load_matching_weights(self.network, path)
        if self.ema_network is not None:
            self.ema_network.load_state_dict(self.network.state_dict())
        if self.mixed_network is not None:
            self._initial_weights = {name: weight.clone() for name, weight in self.network.state_dict().items()}
            self._new_classes = [self.network.alphabet.characters.index(c) + 1 for c in new_characters]
        note = f"; new characters: {''.join(new_characters)}" if new_characters else ""
        report(f"starts from the weights of {path}{note}")

    def configure_optimizers(self) -> Any:
        options, weights = self.recipe.training, self.network.parameters()
        if options.optimizer == "sgd":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(
                weights, options.learning_rate, momentum=0.9, weight_decay=options.weight_decay, nesterov=True
            )
        elif options.optimizer == "adam":
            # Keras's epsilon of 1e-7 is for the loss of a line. The loss here is that of a character, 1/32 of a line.
            optimizer = torch.optim.Adam(weights, options.learning_rate, eps=1e-7 / 32)
        else:
            optimizer = torch.optim.AdamW(weights, options.learning_rate, weight_decay=options.weight_decay)
        if options.schedule == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=3)
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": plateau, "monitor": "val_loss", "interval": "epoch"},
            }
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(options, step, self.total_steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["format_version"] = CHECKPOINT_VERSION

    @property
    def inference_network(self) -> Network:
        """The network that is validated and saved: the moving average or the mixture where the recipe asks for one."""
        if self.mixed_network is not None:
            return self.mixed_network
        return self.ema_network if self.ema_network is not None else self.network

    def _mix_with_initial_weights(self) -> None:
        """Update `mixed_network` from the weights so far."""
        if self.mixed_network is not None:
            trained = (self.ema_network if self.ema_network is not None else self.network).state_dict()
            share = self.recipe.training.initial_share
            self.mixed_network.load_state_dict(mix_weights(self._initial_weights, trained, share, self._new_classes))

    def _time_steps(self, network: Network, batch: Batch, limit: int) -> Tensor:
        """Time steps of each line of a batch before padding, (N,), from 1 to `limit`."""
        return torch.tensor([min(limit, max(1, network.steps(int(width)))) for width in batch.widths.tolist()])

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Dropout must be a function of (seed, step), so that a resumed run draws what an uninterrupted run draws.
        rank = (self.global_rank,) if self.global_rank else ()
        torch.manual_seed(random_int(self.recipe.training.seed, self.global_step, batch_idx, *rank) >> 1)

    def _mean_of_workers(self, value: float | Tensor) -> Tensor:
        """The mean of a number over the processes of the training; with one process the number itself."""
        return self.trainer.strategy.reduce(torch.as_tensor(value, dtype=torch.float32), reduce_op="mean")

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        workers, lines = self.trainer.world_size, batch.lines
        if workers > 1:
            lines = share_width(lines, NORMALIZATIONS[normalization_of(self.recipe.lines)])
        log_probs = self.network(lines)
        batch_loss = ctc_loss(log_probs.float(), batch, self._time_steps(self.network, batch, log_probs.shape[1]))
        self._lines_since_log += workers * len(batch.texts)
        if self.global_step % LOG_INTERVAL == 0 and batch_idx % self.recipe.training.gradient_accumulation == 0:
            now = time.monotonic()
            speed = self._lines_since_log / max(1e-9, now - self._last_log_time)
            self._last_log_time, self._lines_since_log = now, 0
            loss = float(self._mean_of_workers(batch_loss.detach()) / self._mean_of_workers(len(batch.texts)))
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            metrics = {"loss": loss, "learning_rate": rate, "lines_per_second": speed}
            self.trackers.log_metrics(self.global_step, metrics)
            self.log("loss", loss, prog_bar=True, logger=False, batch_size=1)
            self.log("lines/s", speed, prog_bar=True, logger=False, batch_size=1)
        # Nats a character: short and long lines then give gradients of the same scale. The gradients of the workers are
        # averaged, so dividing by the average of their characters gives the gradient of the whole batch.
        return batch_loss / self._mean_of_workers(batch.lengths.sum())

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.ema_network is None or (batch_idx + 1) % self.recipe.training.gradient_accumulation:
            return
        # The decay grows to the recipe's, so that the average soon forgets the initial weights.
        decay = min(self.recipe.training.ema_decay, (1 + self.global_step) / (10 + self.global_step))
        averages, weights = self.ema_network.state_dict().values(), self.network.state_dict().values()
        with torch.no_grad():
            for average, weight in zip(averages, weights, strict=True):
                if average.is_floating_point():
                    average.lerp_(weight, 1 - decay)
                else:
                    average.copy_(weight)

    def on_validation_epoch_start(self) -> None:
        self._mix_with_initial_weights()
        self._text_pairs, self._predictions, self._val_loss, self._val_lines = [], [], 0.0, 0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        network = self.inference_network
        log_probs = network(batch.lines).float().cpu()
        steps = self._time_steps(network, batch, log_probs.shape[1])
        batch = self.transfer_batch_to_device(batch, torch.device("cpu"), 0)
        self._val_loss += float(ctc_loss(log_probs, batch, steps))
        self._val_lines += len(batch.texts)
        for row, count, truth, image, width in zip(
            log_probs.numpy(), steps.tolist(), batch.texts, batch.lines.numpy(), batch.widths.tolist(), strict=True
        ):
            text = GreedyDecoder()(row[:count], network.alphabet).text
            self._text_pairs.append((truth, text))
            if len(self._predictions) < PREDICTION_COUNT:
                cer = character_error_rate(fold_none(truth), fold_none(text))
                self._predictions.append(Prediction(image[:, :width], truth, text, cer))

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking:
            return
        result = score([truth for truth, _ in self._text_pairs], [text for _, text in self._text_pairs])
        self.metrics = {
            "val_loss": self._val_loss / max(1, self._val_lines),  # nats a line, as in the W&B report
            "val_cer": result.cer, "val_wer": result.wer, "val_exact": result.exact,
        }  # fmt: skip
        if self.watch_lines:
            self.metrics |= self._score_watch_lines()
        for name, value in self.metrics.items():
            self.log(name, value, prog_bar=name in ("val_loss", "val_cer"), logger=False, batch_size=1)
        self.trackers.log_metrics(self.global_step, {**self.metrics, "epoch": float(self.current_epoch)})
        self.trackers.log_predictions(self.global_step, self._predictions)
        self._last_log_time, self._lines_since_log = time.monotonic(), 0

    def _score_watch_lines(self) -> Metrics:
        """CER of the lines in the folder training.watch, exact and with loose folding."""
        truths = [text for _, text in self.watch_lines]
        lines = LineReader(TorchRecognizer(self.inference_network)).read_lines([image for image, _ in self.watch_lines])
        texts = [line.text for line in lines]
        return {"watch_cer": score(truths, texts).cer, "watch_cer_loose": score(truths, texts, "loose").cer}


class CheckpointCallback(Checkpoint):
    """Writes checkpoints into a run folder after each epoch, each file whole or not at all.

    last.ckpt holds everything that resuming needs. best.pt holds the network with the lowest validation loss.
    Raises GlyphlineError when the validation loss is not finite or a file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.best_loss = math.inf
        self.best_metrics: Metrics = {}

    def state_dict(self) -> dict[str, Any]:
        return {"best_loss": self.best_loss, "best_metrics": self.best_metrics}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_loss, self.best_metrics = state_dict["best_loss"], state_dict["best_metrics"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        metrics, step = pl_module.metrics, trainer.global_step
        loss = metrics["val_loss"]
        if not math.isfinite(loss):
            raise GlyphlineError(
                f"the validation loss is {loss} after step {step}: lower training.learning_rate or set "
                "training.gradient_clip, then start again; the previous checkpoint is kept"
            )
        try:
            if loss < self.best_loss:
                self.best_loss = loss
                self.best_metrics = {**metrics, "step": float(step), "epoch": float(trainer.current_epoch)}
                if trainer.is_global_zero:
                    save_weights(pl_module.inference_network, self.folder / BEST_WEIGHTS, **self.best_metrics)
            path = self.folder / LAST_CHECKPOINT  # all processes take part, and that of rank 0 writes
            with replace_atomically(path) if trainer.is_global_zero else nullcontext(path) as temporary:
                trainer.save_checkpoint(temporary)
        except (OSError, RuntimeError) as error:
            # torch wraps a full disk in RuntimeError("... file write failed")
            raise GlyphlineError(
                f"the checkpoint could not be written to {self.folder} ({error}): free some disk space or mend the "
                "folder's permissions, then continue with --resume from the previous checkpoint, which is complete"
            ) from None


class ProgressPrinter(pl.Callback):
    """Reports the metrics of each epoch in one line, in place of a progress bar."""

    def __init__(self, report: Callable[[str], None], epochs: int) -> None:
        self.report, self.epochs = report, epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        metrics = pl_module.metrics
        self.report(
            f"epoch {trainer.current_epoch + 1} of {self.epochs}, step {trainer.global_step}: "
            f"val_loss {metrics['val_loss']:.3f}  val_cer {metrics['val_cer']:.2%}  val_wer {metrics['val_wer']:.2%}"
        )


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next training step instead of returning it to the kernel.

    Otherwise the kernel maps and clears activations of tens of MB anew at each step, which takes a fifth of a step's
    time on a CPU. It applies to the whole process. Does nothing where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 64 * 2**20)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            mallopt(option, value)


def describe_environment() -> dict[str, str]:
    """The versions of Python and of the main packages, the platform and the number of cores."""
    environment = {"python": platform.python_version(), "machine": platform.platform(), "cores": str(os.cpu_count())}
    for package in ("glyphline", "torch", "lightning", "numpy", "opencv-python-headless"):
        try:
            environment[package] = version(package)
        except PackageNotFoundError:
            environment[package] = "not installed as a package"
    return environment


def _read_completed_steps(path: Path) -> int:
    """The optimiser steps behind a checkpoint. Raises DataError for a damaged file or one of another version."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        completed_steps = int(checkpoint["global_step"])
    except Exception as error:  # torch raises several kinds, pickle's among them
        raise DataError(
            f"{path} is not a complete checkpoint ({type(error).__name__}): start the run again in another folder, "
            f"or export its {BEST_WEIGHTS}, a file of its own"
        ) from None
    check_format_version(checkpoint, path)
    return completed_steps


def _fixed_settings(recipe: Recipe) -> tuple[Any, ...]:
    """The parts of a recipe that may not change when a run is resumed."""
    return recipe.lines, recipe.network, recipe.training


def _write_run_description(folder: Path, recipe: Recipe, command: str) -> None:
    """Make the run folder; write recipe.yaml and environment.json, and append to command.txt. Raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECIPE_FILE).write_text(recipe.to_yaml(), encoding="utf-8")
        with (folder / "command.txt").open("a", encoding="utf-8") as file:
            file.write(command + "\n")
        (folder / "environment.json").write_text(json.dumps(describe_environment(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write the run folder {folder}: {error.strerror or error}") from None


def train(
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = False,
    trackers: Sequence[str] = ("csv", "tensorboard"),
    command: str | None = None,
    progress: bool = True,
    report: Callable[[str], None] = print,
    distribution: Distribution | None = None,
) -> dict[str, Any]:
    """Train the network of a recipe into a run folder and return the content of its result.json.

    The folder gets recipe.yaml, command.txt, environment.json, last.ckpt, best.pt, result.json and the files of the
    trackers. The result holds name, parameters, steps, epochs, minutes (of this call), and as "best" the metrics, step
    and epoch (from 0) of the epoch with the lowest validation loss. Training runs on the accelerator that Lightning
    finds, otherwise on the CPU.

    resume: continue the folder's run from its last checkpoint. trackers: names of `TRACKERS`. command: the line for
    command.txt; by default that of the process. progress: draw a progress bar on stderr; otherwise each epoch is
    reported in one line. report: receives these lines and notes about weights and trackers. distribution: the processes
    that share the training, by default this one alone; each calls this function with the same folder.

    Raises UserError when the folder holds a run and `resume` is False, when it cannot be written or has no checkpoint
    to resume, when the run to resume has other settings than `recipe`, and for an unknown tracker; DataError when the
    checkpoint is damaged or of another version, or data are missing; RecipeError when one of the first lines is too
    long for CTC; GlyphlineError when training diverges or a checkpoint cannot be written; and what `LineSet`,
    `TrainingModule` and its `load_initial_weights` raise. KeyboardInterrupt passes through, and the last epoch's
    checkpoint is kept.
    """
    started = time.monotonic()
    keep_freed_memory()
    distribution = distribution or Distribution()
    distribution.check(recipe.training)
    if not (is_first := distribution.rank == 0):
        trackers, progress = (), False

        def report(text: str) -> None:
            pass

    last_checkpoint = folder / LAST_CHECKPOINT
    if resume and not last_checkpoint.exists():
        raise UserError(f"{folder} holds no {LAST_CHECKPOINT} to resume: leave out --resume to start the run")
    if not resume and (last_checkpoint.exists() or (folder / RESULT_FILE).exists()):
        raise UserError(f"{folder} already holds a run: continue it with --resume, or choose another folder")
    completed_steps = _read_completed_steps(last_checkpoint) if resume else 0
    if resume and _fixed_settings(load_recipe(folder / RECIPE_FILE)) != _fixed_settings(recipe):
        raise UserError(f"{folder / RECIPE_FILE} differs from this recipe: resume with the run's own recipe")
    options = recipe.training
    if options.stored_lines is None:
        lines = LineSet(recipe.lines, "train", options.seed)
    else:
        batches = options.epochs * max(1, options.epoch_lines // options.batch)
        needed = max(CHECKED_LINES, options.distinct_lines or batches * options.batch)
        lines = StoredLineSet(recipe.lines, "train", options.seed, open_path(options.stored_lines), needed)
    validation_lines = LineSet(recipe.lines, "val", options.seed, glyph_split=options.validation_glyphs)
    tracker = Trackers(trackers, report)
    module = TrainingModule(recipe, tracker)
    if options.initial_weights is not None and (not resume or options.initial_share):
        # a resumed run takes its weights from the checkpoint, but is mixed with the initial ones
        module.load_initial_weights(Path(options.initial_weights), report)
    if distribution.workers > 1:
        share_batch_norms(module.network)
    check_time_steps(lines, module.network.steps)
    command = command or shlex.join(sys.argv)
    if is_first:
        _write_run_description(folder, recipe, command)
    tracker.start(RunInfo(folder, recipe.name, recipe.to_dict(), command, describe_environment(), completed_steps))

    sampler = LineBatchSampler(
        lines, options.epoch_lines, options.batch, options.distinct_lines, options.gradient_accumulation,
        distribution.workers, distribution.rank,
    )  # fmt: skip
    validation_widths = [
        image.shape[1] for image in validation_lines.canonical_batch(range(options.validation_lines))[0]
    ]
    validation_batches = group_by_width(validation_widths)
    checkpoints = CheckpointCallback(folder)
    callbacks: list[pl.Callback] = [checkpoints]
    if options.patience:
        callbacks.insert(0, EarlyStopping("val_loss", patience=options.patience, check_on_train_epoch_end=False))
    callbacks.append(
        RichProgressBar(console_kwargs={"stderr": True}) if progress else ProgressPrinter(report, options.epochs)
    )
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning|torch")  # advice about workers and loggers
        trainer = pl.Trainer(
            max_epochs=options.epochs, accelerator="auto", logger=False, callbacks=callbacks,
            enable_progress_bar=progress, enable_model_summary=False, num_sanity_val_steps=0,
            gradient_clip_val=options.gradient_clip or None, accumulate_grad_batches=options.gradient_accumulation,
            use_distributed_sampler=False, precision="bf16-mixed" if options.precision == "bf16" else "32-true",
            default_root_dir=folder, **distribution.trainer_options,
        )  # fmt: skip
        try:
            trainer.fit(
                module,
                make_data_loader(lines, sampler, options.workers),
                make_data_loader(validation_lines, validation_batches),  # type: ignore[arg-type]
                ckpt_path=last_checkpoint if resume else None,
                weights_only=True if resume else None,
            )
        except SystemExit:  # Lightning ends an interrupted fit with SystemExit
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise
        finally:
            if sys.exc_info()[0]:
                tracker.finish()
    result = {
        "name": recipe.name, "parameters": module.network.parameter_count(), "steps": trainer.global_step,
        "epochs": trainer.current_epoch, "best": checkpoints.best_metrics,
        "minutes": (time.monotonic() - started) / 60,
    }  # fmt: skip
    if is_first:
        (folder / RESULT_FILE).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    tracker.log_artifact(folder / BEST_WEIGHTS)
    tracker.finish()
    return result
