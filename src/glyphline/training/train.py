"""The training loop (Lightning): compose, CTC loss, optimiser step, validation, tracking, checkpoints, resuming.

The loop does not depend on the kind of network. Every random number is a function of (seed, step), so a run that is
resumed from a checkpoint gives the same numbers as a run that was never stopped.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import logging
import math
import os
import platform
import shlex
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from filelock import FileLock, Timeout
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, RichProgressBar
from torch import Tensor
from torch.nn import functional as F

from glyphline.composing.counter_rng import random_int
from glyphline.composing.line_sets import normalization_of
from glyphline.errors import DataError, GlyphlineError, RecipeError, UserError, nearest
from glyphline.files import replace_atomically, write_atomically
from glyphline.imaging.normalization import NORMALIZATIONS
from glyphline.memory import keep_freed_memory
from glyphline.reading.lines import LineReader, group_by_width
from glyphline.reading.recognition.decoders import DecodedText, GreedyDecoder
from glyphline.reading.recognition.directed_decoding import decode_line
from glyphline.recipe import Recipe, TrainingRecipe, changed_keys, check_resumable, load_recipe
from glyphline.score import character_error_rate, fold_none, score
from glyphline.training.data import (
    Batch,
    LineBatchSampler,
    Lines,
    check_time_steps,
    is_data_worker_loss,
    leave_out_narrow,
    make_data_loader,
    open_lines,
    open_training_lines,
)
from glyphline.training.distribution import Distribution, share_batch_norms, share_width
from glyphline.training.labelled_lines import open_labelled_lines
from glyphline.training.network import (
    CHECKPOINT_VERSION,
    Network,
    TorchRecognizer,
    check_format_version,
    load_matching_weights,
    mix_weights,
    save_weights,
)
from glyphline.training.runs import (
    BEST_WEIGHTS,
    COMMAND_FILE,
    DAMAGE,
    ENVIRONMENT_FILE,
    LAST_CHECKPOINT,
    PACKAGES_FILE,
    RECIPE_FILE,
    RECIPE_HISTORY_FILE,
    RESULT_FILE,
    VALIDATION_FILE,
    describe_damage,
    read_recipe_history,
)
from glyphline.training.trackers import Metrics, Prediction, RunInfo, Trackers, TrialInfo
from glyphline.training.validation import make_validation, read_validation, write_validation
from glyphline.writing_direction import resolve_direction

PREDICTION_COUNT = 16  # validation lines in the table of predictions
LOG_INTERVAL = 20  # optimiser steps between two records of the training loss
RUN_LOCK = ".train.lock"  # held by the process that trains into the run folder; a kill releases it
OPTIMIZERS = ("adam", "adamw", "sgd")
LOWER_WORKERS = " or lower training.workers"  # end of a remedy
SCHEDULES = ("constant", "cosine", "onecycle", "plateau")

#: called after each validation with the epochs trained so far and the (true, recognized) texts of the validation lines
EpochListener = Callable[[int, Sequence[tuple[str, str]]], bool | None]


class DivergedError(GlyphlineError):
    """The validation loss of a training run is not finite."""


class StoppedError(GlyphlineError):
    """Something outside ended a training run, which can go on.

    reason: what. remedy: what to do before. again: how it goes on.
    """

    def __init__(self, reason: str, remedy: str, again: str) -> None:
        super().__init__(reason, remedy, again)  # all are arguments, so that it travels between processes
        self.reason, self.remedy, self.again = reason, remedy, again

    def __str__(self) -> str:
        return f"{self.reason}: {self.remedy}, then {self.again}"


def find_accelerator() -> torch.device | None:
    """The GPU that Lightning trains on; None where it is to be the CPU, also on a Mac.

    Apple's GPU has no CTC loss in many versions of torch, and is slower than the CPU with torch's fallback
    (https://github.com/pytorch/pytorch/issues/160829, https://github.com/mittagessen/kraken/issues/358).
    """
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return device if device and device.type != "mps" else None


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
        self.direction = resolve_direction(recipe.lines.direction, self.network.alphabet.characters)
        self.ema_network = copy.deepcopy(self.network).requires_grad_(False) if options.ema_decay else None
        #: share training.initial_share of the initial weights and the rest of the trained ones (Wortsman et al. 2022)
        self.mixed_network = copy.deepcopy(self.network).requires_grad_(False) if options.initial_share else None
        self._initial_weights: dict[str, Tensor] = {}
        self._new_classes: list[int] = []
        self.total_steps = options.epochs * max(1, options.epoch_lines // options.batch)
        self.metrics: Metrics = {}  # of the last validation
        watched = open_labelled_lines(Path(options.watch)).lines if options.watch is not None else ()
        self.watch_lines = [(line.image(), line.text) for line in watched]  # grey images and their true texts
        self._predictions: list[Prediction] = []
        #: line numbers of each validation batch; number, true text and reading of each line of the last validation
        self.validation_batches: Sequence[Sequence[int]] = []
        self.decoded_lines: list[tuple[int, str, DecodedText]] = []
        self._step_metrics: Metrics = {}  # of the current optimiser step, until its gradient is known
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

    def on_train_start(self) -> None:
        # The checkpoint holds the learning rate of its own recipe. Where training.epochs has changed since, the
        # schedule has another one at this step.
        if self.recipe.training.schedule != "plateau":
            factor = learning_rate_factor(self.recipe.training, self.global_step, self.total_steps)
            for group in self.trainer.optimizers[0].param_groups:
                group["lr"] = self.recipe.training.learning_rate * factor

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

    def loss(self, batch: Batch) -> Tensor:
        """The CTC loss of a batch in nats, summed over its lines; with several processes, over those of this one."""
        lines = batch.lines
        if self._trainer is not None and self.trainer.world_size > 1:
            lines = share_width(lines, NORMALIZATIONS[normalization_of(self.recipe.lines)])
        log_probs = self.network(lines)
        return ctc_loss(log_probs.float(), batch, self._time_steps(self.network, batch, log_probs.shape[1]))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        batch_loss = self.loss(batch)
        self._lines_since_log += self.trainer.world_size * len(batch.texts)
        step = self.global_step + 1  # the number of steps when this one is done, as in the validation's records
        first_part = batch_idx % self.recipe.training.gradient_accumulation == 0
        if first_part and (step == 1 or step % LOG_INTERVAL == 0):
            now = time.monotonic()
            speed = self._lines_since_log / max(1e-9, now - self._last_log_time)
            self._last_log_time, self._lines_since_log = now, 0
            loss = float(self._mean_of_workers(batch_loss.detach()) / self._mean_of_workers(len(batch.texts)))
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            self._step_metrics = {"loss": loss, "learning_rate": rate, "lines_per_second": speed}
            self.log("loss", loss, prog_bar=True, logger=False, batch_size=1)
            self.log("lines/s", speed, prog_bar=True, logger=False, batch_size=1)
        # Nats a character: short and long lines then give gradients of the same scale. The gradients of the workers are
        # averaged, so dividing by the average of their characters gives the gradient of the whole batch.
        return batch_loss / self._mean_of_workers(batch.lengths.sum())

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self._step_metrics:  # the gradient is that of the whole batch, not clipped yet
            norms = [weight.grad.norm() for weight in self.network.parameters() if weight.grad is not None]
            self._step_metrics["gradient_norm"] = float(torch.stack(norms).norm())
            self.trackers.log_metrics(self.global_step + 1, self._step_metrics)
            self._step_metrics = {}

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

    @property
    def text_pairs(self) -> list[tuple[str, str]]:
        """The true text and the reading of each line of the last validation."""
        return [(truth, decoded.text) for _, truth, decoded in self.decoded_lines]

    def on_validation_epoch_start(self) -> None:
        self._mix_with_initial_weights()
        self.decoded_lines, self._predictions, self._val_loss, self._val_lines = [], [], 0.0, 0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        network = self.inference_network
        log_probs = network(batch.lines).float().cpu()
        steps = self._time_steps(network, batch, log_probs.shape[1])
        batch = self.transfer_batch_to_device(batch, torch.device("cpu"), 0)
        self._val_loss += float(ctc_loss(log_probs, batch, steps))
        self._val_lines += len(batch.texts)
        for index, row, count, truth, image, width in zip(
            self.validation_batches[batch_idx], log_probs.numpy(), steps.tolist(), batch.texts, batch.lines.numpy(),
            batch.widths.tolist(), strict=True,
        ):  # fmt: skip
            decoded = decode_line(GreedyDecoder(), row[:count], network.alphabet, self.direction)
            text = decoded.text
            self.decoded_lines.append((index, truth, decoded))
            if len(self._predictions) < PREDICTION_COUNT:
                cer = character_error_rate(fold_none(truth), fold_none(text))
                self._predictions.append(Prediction(image[:, :width], truth, text, cer))

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking:
            return
        pairs = self.text_pairs
        result = score([truth for truth, _ in pairs], [text for _, text in pairs])
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

    last.ckpt holds everything that resuming needs. best.pt holds the network with the lowest validation loss, and
    validation.json its readings of the validation lines. The trackers get the records of an epoch after its last.ckpt.
    lines, validation_lines: the sets from which the pictures in validation.json are drawn.
    Raises DivergedError when the validation loss is not finite, GlyphlineError when a file cannot be written.
    """

    def __init__(self, folder: Path, lines: Lines, validation_lines: Lines) -> None:
        self.folder, self.lines, self.validation_lines = folder, lines, validation_lines
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
            raise DivergedError(
                f"the validation loss is {loss} after step {step}: lower training.learning_rate or set "
                "training.gradient_clip, then start again; the previous checkpoint is kept"
            )
        try:
            if loss < self.best_loss:
                self.best_loss = loss
                self.best_metrics = {**metrics, "step": float(step), "epoch": float(trainer.current_epoch)}
                if trainer.is_global_zero:
                    save_weights(pl_module.inference_network, self.folder / BEST_WEIGHTS, **self.best_metrics)
                    validation = make_validation(step, pl_module.decoded_lines, self.validation_lines, self.lines)
                    write_validation(validation, self.folder / VALIDATION_FILE)
            path = self.folder / LAST_CHECKPOINT  # all processes take part, and that of rank 0 writes
            with replace_atomically(path) if trainer.is_global_zero else nullcontext(path) as temporary:
                trainer.save_checkpoint(temporary)
        except (OSError, RuntimeError) as error:
            # torch wraps a full disk in RuntimeError("... file write failed")
            if is_data_worker_loss(error):  # which torch raises wherever the training is
                raise
            raise StoppedError(
                f"the checkpoint could not be written to {self.folder} ({error})",
                "free some disk space or mend the folder's permissions",
                "continue with --resume from the previous checkpoint, which is complete",
            ) from None
        pl_module.trackers.commit()


class Patience(EarlyStopping):
    """Ends training after `patience` epochs without a lower validation loss; 0: never.

    The count goes on when a run is resumed. Its limit is that of the current recipe, not that of the checkpoint, and a
    run whose count has reached the limit is not trained further.
    """

    def __init__(self, patience: int) -> None:
        super().__init__("val_loss", patience=patience or sys.maxsize, check_on_train_epoch_end=False)

    @property
    def state_key(self) -> str:
        return EarlyStopping("val_loss").state_key  # checkpoints of earlier versions hold the state under this name

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({**state_dict, "patience": self.patience})

    @property
    def is_exhausted(self) -> bool:
        return self.wait_count >= self.patience

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = trainer.should_stop or self.is_exhausted


class EpochNotifier(pl.Callback):
    """Calls a listener after each epoch, before the epoch's checkpoint is written. Training ends if it returns True.

    After a kill between the two the epoch is trained again and the listener is called again, with the same texts.
    """

    def __init__(self, listener: EpochListener) -> None:
        self.listener = listener

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        if self.listener(trainer.current_epoch + 1, pl_module.text_pairs):
            trainer.should_stop = True


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


def describe_environment() -> dict[str, str]:
    """The versions of Python and of the main packages, the platform, the number of cores, the git commit if any."""
    environment = {"python": platform.python_version(), "machine": platform.platform(), "cores": str(os.cpu_count())}
    for package in ("glyphline", "torch", "lightning", "numpy", "opencv-python-headless"):
        try:
            environment[package] = version(package)
        except PackageNotFoundError:
            environment[package] = "not installed as a package"
    environment["git"] = _git_commit()
    return environment


def _git_commit() -> str:
    """The commit of the checkout that this package lies in, with "+changes" where files differ; "" outside of one."""
    describe = [
        "git",
        "--no-optional-locks",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--abbrev=40",
        "--exclude=*",
    ]
    try:
        done = subprocess.run([*describe, "--dirty=+changes"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _installed_packages() -> str:
    """The installed packages and their versions in the form of requirements.txt, sorted by name."""
    packages = {f"{package.name}=={package.version}" for package in distributions() if package.name}
    return "".join(f"{package}\n" for package in sorted(packages, key=str.lower))


def describe_data(recipe: Recipe, lines: Lines, validation_lines: Lines) -> dict[str, Any]:
    """What the lines of a run are composed of: glyphs, sentences and the settings, with a digest of each split's texts.

    Returns plain data. "glyphs": source -> number of its glyphs of the alphabet's characters in the training split.
    "sentences": split -> [number of sentences, sha256 of their texts, each ended by a newline].
    """
    splits = {"train": lines, "val": validation_lines}
    return {
        "glyphs": {
            source.name: sum(source.count(c, lines.pool.split) for c in lines.alphabet.characters)
            for source in lines.pool.sources
        },
        "sentences": {
            split: [len(line_set.texts), hashlib.sha256("".join(f"{t}\n" for t in line_set.texts).encode()).hexdigest()]
            for split, line_set in splits.items()
        },
        "sources": list(recipe.lines.sentences), "seed": recipe.training.seed, "lines": recipe.to_dict()["lines"],
    }  # fmt: skip


def _read_completed_work(path: Path) -> tuple[int, int]:
    """The epochs and optimiser steps behind a checkpoint.

    Raises DataError for a damaged file or one of another version.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        completed = int(checkpoint["epoch"]) + 1, int(checkpoint["global_step"])
    except Exception as error:  # torch raises several kinds, pickle's among them
        raise DataError(
            f"{path} is not a complete checkpoint ({type(error).__name__}): start the run again in another folder, "
            f"or export its {BEST_WEIGHTS}, a file of its own"
        ) from None
    check_format_version(checkpoint, path)
    return completed


def _keep_earlier_recipe(folder: Path, recipe: Recipe, completed_epochs: int) -> None:
    """Before a run goes on with another recipe, copy its recipe.yaml to recipe-N.yaml and list it in recipes.json.

    recipes.json holds an object for each earlier recipe: file, until_epoch (the epochs trained when it was replaced)
    and changes, the keys that differ in the next recipe -> [earlier value, next value]. Does nothing when the recipes
    are the same. An earlier copy is never replaced. Raises OSError.
    """
    earlier = load_recipe(folder / RECIPE_FILE)
    changes = changed_keys(earlier, recipe)
    if not changes:
        return
    path = folder / RECIPE_HISTORY_FILE
    history = read_recipe_history(path)
    # the entries do not count the copies: a user may have deleted a damaged recipes.json
    name = next(name for k in itertools.count(1) if not (folder / (name := f"recipe-{k}.yaml")).exists())
    write_atomically(folder / name, (folder / RECIPE_FILE).read_bytes())
    history.append({"file": name, "until_epoch": completed_epochs, "changes": changes})
    # A kill before recipe.yaml is replaced adds the same entry again, which is harmless.
    write_atomically(path, (json.dumps(history, indent=1) + "\n").encode())


@contextmanager
def lock_folder(folder: Path, file: str, use: str) -> Iterator[None]:
    """Make a folder and hold the lock in its `file` during the block.

    use: what the other command does that may hold it, such as "trains into". Raises UserError when another process
    holds the lock, and when the folder cannot be written.
    """
    lock = FileLock(folder / file, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(f"another command {use} {folder}: wait until it has ended, or choose another folder") from None
    except OSError as error:
        raise UserError(f"cannot write the folder {folder}: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


def check_new_run(folder: Path, resume: bool) -> None:
    """Raise UserError when a folder holds a run and `resume` is False."""
    if not resume and any((folder / name).exists() for name in (LAST_CHECKPOINT, RESULT_FILE)):
        raise UserError(f"{folder} already holds a run: continue it with --resume, or choose another folder")


@contextmanager
def lock_run_folder(folder: Path, resume: bool) -> Iterator[None]:
    """Hold the lock of a run folder during the block, for all processes of a training.

    Raises what `lock_folder` raises, and `check_new_run`: another command may have trained since that was asked last.
    """
    with lock_folder(folder, RUN_LOCK, "trains into"):
        check_new_run(folder, resume)
        yield


def _write_run_description(
    folder: Path, recipe: Recipe, command: str, environment: dict[str, str], completed_epochs: int
) -> None:
    """Make the run folder and its description, and append to command.txt. Raises UserError.

    The recipe of a resumed run is kept, see `_keep_earlier_recipe`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if completed_epochs:
            _keep_earlier_recipe(folder, recipe, completed_epochs)
        write_atomically(folder / RECIPE_FILE, recipe.to_yaml().encode())
        with (folder / COMMAND_FILE).open("a", encoding="utf-8") as file:
            file.write(command + "\n")
        (folder / ENVIRONMENT_FILE).write_text(json.dumps(environment, indent=1) + "\n", encoding="utf-8")
        (folder / PACKAGES_FILE).write_text(_installed_packages(), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write the run folder {folder}: {error.strerror or error}") from None


def _check_resumed_recipe(folder: Path, recipe: Recipe, completed_epochs: int, report: Callable[[str], None]) -> None:
    """Check and report what differs between the recipe of a run and the one to resume it with.

    Raises RecipeError as `check_resumable` does, and when the run is already longer than training.epochs; DataError
    when the recipe of the run cannot be read, or recipes.json, in which a change is noted.
    """
    options = recipe.training
    try:
        earlier = load_recipe(folder / RECIPE_FILE)
    except RecipeError as error:
        raise DataError(
            f"{folder} cannot be resumed without its recipe ({error}): write the recipe that it was trained with to "
            f"{RECIPE_FILE} there"
        ) from None
    check_resumable(earlier, recipe)
    changes = changed_keys(earlier, recipe)
    history_file = folder / RECIPE_HISTORY_FILE
    try:
        if changes:
            read_recipe_history(history_file)
    except DAMAGE as error:
        raise DataError(
            f"{describe_damage(history_file, error)}: delete it, the files recipe-N.yaml beside it stay"
        ) from None
    if "training.epochs" in changes and options.epochs < completed_epochs:
        raise RecipeError(
            f"training.epochs is {options.epochs}, but {folder} has trained {completed_epochs} epochs: "
            f"give {completed_epochs} or more"
        )
    for key, (before, now) in changes.items():
        report(f"{key} is {now} from epoch {completed_epochs + 1} on, was {before}")
    if "training.epochs" in changes and options.schedule in ("cosine", "onecycle"):
        epoch_steps = max(1, options.epoch_lines // options.batch)
        step = completed_epochs * epoch_steps
        before, now = (
            options.learning_rate * learning_rate_factor(r.training, step, r.training.epochs * epoch_steps)
            for r in (earlier, recipe)
        )
        report(
            f"the schedule {options.schedule} now ends at epoch {options.epochs}: the learning rate goes on at "
            f"{now:.2g} instead of {before:.2g}"
        )


def train(
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = False,
    trackers: Sequence[str] = ("csv", "tensorboard"),
    command: str | None = None,
    progress: bool = True,
    report: Callable[[str], None] = print,
    until_epoch: int | None = None,
    on_epoch: EpochListener | None = None,
    distribution: Distribution | None = None,
    trial: TrialInfo | None = None,
) -> dict[str, Any]:
    """Train the network of a recipe into a run folder and return the content of its result.json.

    The folder gets recipe.yaml, command.txt, environment.json, requirements.txt, last.ckpt, best.pt, validation.json,
    result.json and the files of the trackers. The result holds name, parameters, steps, epochs, patience_exhausted,
    minutes (of this call), and as "best" the metrics, step and epoch (from 0) of the epoch with the lowest validation
    loss. Training runs on the accelerator that Lightning finds, otherwise, and on a Mac, on the CPU.

    resume: continue the folder's run from its last checkpoint. The recipe may then differ from the run's in the keys
    that `check_resumable` permits; the earlier recipe is kept as recipe-N.yaml and listed in recipes.json. trackers:
    names of `TRACKERS`. command: the line for command.txt; by default that of the process. progress: draw a progress
    bar on stderr; otherwise each epoch is reported in one line, unless `on_epoch` is given. report: receives these
    lines and notes about weights, changed keys and trackers. until_epoch: train no further than this number of epochs,
    counted from the start of the run; a later call with `resume` goes on. Learning rates are those of the recipe's
    epochs. on_epoch: see `EpochNotifier`. distribution: the processes that share the training, by default this one
    alone; each calls this function with the same folder. trial: the place of the run in a sweep, for the trackers.

    Raises UserError when the folder holds a run and `resume` is False, when another process trains into it, when it
    cannot be written or has no checkpoint to resume, and for an unknown tracker; DataError when the checkpoint is
    damaged or of another version, or data are missing; RecipeError when one of the first lines is too long for CTC, and
    what `check_resumable` raises; DivergedError when training diverges; GlyphlineError when a checkpoint cannot be
    written or a process that composes lines is killed; and what `open_lines`, `TrainingModule` and its
    `load_initial_weights` raise. KeyboardInterrupt passes through, and the last epoch's checkpoint is kept.
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
    check_new_run(folder, resume)
    completed_epochs, completed_steps = _read_completed_work(last_checkpoint) if resume else (0, 0)
    if resume:
        _check_resumed_recipe(folder, recipe, completed_epochs, report)
    options = recipe.training
    tracker = Trackers(trackers, report)
    lines = open_training_lines(recipe)
    validation_lines = open_lines(recipe.lines, "val", options.seed, options.validation_glyphs)
    for note in (*lines.notes, *(validation_lines.notes if recipe.lines.labelled else ())):
        report(note)
    module = TrainingModule(recipe, tracker)
    if options.initial_weights is not None and (not resume or options.initial_share):
        # a resumed run takes its weights from the checkpoint, but is mixed with the initial ones
        module.load_initial_weights(Path(options.initial_weights), report)
    if distribution.workers > 1:
        share_batch_norms(module.network)
    for each in (lines, validation_lines):
        for note in leave_out_narrow(each, module.network.steps):
            report(note)
    check_time_steps(lines, module.network.steps)
    command = command or shlex.join(sys.argv)
    environment = describe_environment()
    data = describe_data(recipe, lines, validation_lines)

    sampler = LineBatchSampler(
        lines, options.epoch_lines, options.batch, options.distinct_lines, options.gradient_accumulation,
        distribution.workers, distribution.rank,
    )  # fmt: skip
    sampler.set_epoch(completed_epochs)  # Lightning sets it after processes have begun to compose the first batches
    validation_widths = [
        image.shape[1] for image in validation_lines.canonical_batch(range(options.validation_lines))[0]
    ]
    validation_batches = module.validation_batches = group_by_width(validation_widths)
    checkpoints = CheckpointCallback(folder, lines, validation_lines)
    patience = Patience(options.patience)
    callbacks: list[pl.Callback] = [patience, checkpoints]
    if on_epoch is not None:
        callbacks.append(EpochNotifier(on_epoch))
    if progress:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    elif on_epoch is None:
        callbacks.append(ProgressPrinter(report, options.epochs))
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with ExitStack() as stack:
        if is_first and distribution.locks_folder:
            stack.enter_context(lock_run_folder(folder, resume))
        if is_first:
            _write_run_description(folder, recipe, command, environment, completed_epochs)
        stack.enter_context(tracker.track(RunInfo(folder, recipe, command, environment, data, completed_steps, trial)))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning|torch")  # advice about workers and loggers
            trainer = pl.Trainer(
                max_epochs=min(options.epochs, until_epoch or options.epochs), logger=False,
                accelerator="auto" if find_accelerator() else "cpu",
                callbacks=callbacks, enable_progress_bar=progress, enable_model_summary=False, num_sanity_val_steps=0,
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
            except RuntimeError as error:
                if not is_data_worker_loss(error):
                    raise
                again = " with --resume" if last_checkpoint.exists() else ""
                raise StoppedError(
                    "a process that composes lines was killed, as for lack of memory",
                    f"close other programs{LOWER_WORKERS}",
                    f"run the command again{again}",
                ) from None
        result = {
            "name": recipe.name, "parameters": module.network.parameter_count(), "steps": trainer.global_step,
            "epochs": trainer.current_epoch, "patience_exhausted": patience.is_exhausted,
            "best": checkpoints.best_metrics, "minutes": (time.monotonic() - started) / 60,
        }  # fmt: skip
        if is_first:
            write_atomically(folder / RESULT_FILE, (json.dumps(result, indent=1) + "\n").encode())
            summary = {f"best_{name}": float(value) for name, value in checkpoints.best_metrics.items()}
            sizes = {name: float(value) for name, value in result.items() if isinstance(value, int | float)}
            tracker.log_summary({**summary, **sizes})
            validation_file = folder / VALIDATION_FILE
            try:
                if validation_file.exists():  # a run that an older version began has none if no later epoch was better
                    validation = read_validation(validation_file)
                    tracker.log_errors(validation.step, validation.errors())
            except DataError as error:  # of a resumed run without a better epoch; its training is done all the same
                report(f"the trackers get no errors by character: {error}")
            tracker.log_artifact(int(checkpoints.best_metrics["step"]), folder / BEST_WEIGHTS)
    return result
