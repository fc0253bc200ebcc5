"""One loop (Lightning): compose, CTC loss, step, validate, track, keep the last and the best; continues after a kill.

The loop does not know which network it trains. Everything random is a function of (seed, step), so a run continued
from a checkpoint gives the numbers of one that was never stopped.
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
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, RichProgressBar
from torch import Tensor
from torch.nn import functional as F

from glyphline.composing.counter_rng import random_int
from glyphline.composing.line_sets import LineSet, read_labels
from glyphline.errors import DataError, GlyphlineError, RecipeError, UserError, nearest
from glyphline.files import replacing
from glyphline.imaging.documents import load
from glyphline.reading.lines import LineReader, by_width
from glyphline.reading.recognition.decoders import GreedyDecoder
from glyphline.recipe import Recipe, TrainingRecipe, load_recipe
from glyphline.score import character_error_rate, fold_none, score
from glyphline.training.data import Batch, Positions, check_steps, loader
from glyphline.training.network import Network, TorchRecognizer, load_matching_weights, save_weights
from glyphline.training.trackers import Prediction, RunInfo, Trackers

LAST, BEST, RECIPE, RESULT = "last.ckpt", "best.pt", "recipe.yaml", "result.json"
SHOWN = 16  # validation lines in the table of predictions
LOG_EVERY = 20  # steps
OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "onecycle", "plateau")


def ctc_loss(log_probs: Tensor, batch: Batch, steps: Tensor) -> Tensor:
    """CTC negative log-likelihood in nats, summed over the lines (Graves et al. 2006).

    log_probs: (N, T, C); steps: (N,) time steps that belong to each line. Impossible lines count nothing.
    """
    return F.ctc_loss(
        log_probs.transpose(0, 1), batch.targets, steps, batch.lengths, blank=0, reduction="sum", zero_infinity=True
    )


def learning_rate_at(recipe: TrainingRecipe, step: int, total: int) -> float:
    """The share of the peak learning rate at a step of `total`."""
    warm = max(1, round(recipe.warmup * total))
    if recipe.schedule == "onecycle":
        warm = max(warm, round(0.3 * total))
    if recipe.schedule != "constant" and step < warm:
        return (step + 1) / warm
    if recipe.schedule in ("cosine", "onecycle"):
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm)))) + 1e-4
    return 1.0


class TrainingModule(pl.LightningModule):
    """The network, its loss, its optimiser and its validation."""

    def __init__(self, recipe: Recipe, validation: LineSet, trackers: Trackers) -> None:
        super().__init__()
        wanted = recipe.training
        for name, value, table in (
            ("optimizer", wanted.optimizer, OPTIMIZERS),
            ("schedule", wanted.schedule, SCHEDULES),
        ):
            if value not in table:
                raise RecipeError(f'training.{name} is "{value}"; {nearest(value, table)}')
        torch.manual_seed(wanted.seed)
        self.recipe, self.trackers, self.validation = recipe, trackers, validation
        self.network = Network(recipe)
        self.average = copy.deepcopy(self.network).requires_grad_(False) if wanted.ema_decay else None
        self.total_steps = wanted.epochs * max(1, wanted.epoch_lines // wanted.batch)
        self.numbers: dict[str, float] = {}  # of the last validation
        watched = read_labels(Path(wanted.watch)) if wanted.watch is not None else []
        self.watched = [(load(path), text) for path, text in watched]  # grey images and what they say
        self._readings: list[tuple[str, str]] = []
        self._shown: list[Prediction] = []
        self._val_loss, self._val_lines = 0.0, 0
        self._clock, self._lines_since = time.monotonic(), 0

    def begin_with(self, start: Path, say: Callable[[str], None]) -> None:
        """Take over the weights of another run."""
        new = load_matching_weights(self.network, start)
        if self.average is not None:
            self.average.load_state_dict(self.network.state_dict())
        say(f"begins with the weights of {start}" + (f"; new to it: {''.join(new)}" if new else ""))

    def configure_optimizers(self) -> Any:
        wanted, weights = self.recipe.training, self.network.parameters()
        if wanted.optimizer == "sgd":
            made: torch.optim.Optimizer = torch.optim.SGD(
                weights, wanted.learning_rate, momentum=0.9, weight_decay=wanted.weight_decay, nesterov=True
            )
        elif wanted.optimizer == "adam":
            # Keras's epsilon of 1e-7 for the loss of a line; ours is that of a character, one in 32 of a line of tiles
            made = torch.optim.Adam(weights, wanted.learning_rate, eps=1e-7 / 32)
        else:
            made = torch.optim.AdamW(weights, wanted.learning_rate, weight_decay=wanted.weight_decay)
        if wanted.schedule == "plateau":
            down = torch.optim.lr_scheduler.ReduceLROnPlateau(made, factor=0.5, patience=3)
            return {"optimizer": made, "lr_scheduler": {"scheduler": down, "monitor": "val_loss", "interval": "epoch"}}
        slope = torch.optim.lr_scheduler.LambdaLR(
            made, lambda step: learning_rate_at(wanted, step, self.total_steps)
        )  # fmt: skip
        return {"optimizer": made, "lr_scheduler": {"scheduler": slope, "interval": "step"}}

    @property
    def reader(self) -> Network:
        """The weights that are validated and kept."""
        return self.average if self.average is not None else self.network

    def _steps(self, network: Network, batch: Batch, given: int) -> Tensor:
        return torch.tensor([min(given, max(1, network.steps(int(w)))) for w in batch.widths])

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # dropout is a function of (seed, step): a continued run draws what an uninterrupted one draws
        torch.manual_seed(random_int(self.recipe.training.seed, self.global_step, batch_idx) >> 1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        log_probs = self.network(batch.lines)
        total = ctc_loss(log_probs.float(), batch, self._steps(self.network, batch, log_probs.shape[1]))
        self._lines_since += len(batch.texts)
        if self.global_step % LOG_EVERY == 0 and batch_idx % self.recipe.training.gradient_accumulation == 0:
            now = time.monotonic()
            speed = self._lines_since / max(1e-9, now - self._clock)
            self._clock, self._lines_since = now, 0
            loss = float(total.detach()) / len(batch.texts)
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            self.trackers.log(self.global_step, {"loss": loss, "learning_rate": rate, "lines_per_second": speed})
            self.log("loss", loss, prog_bar=True, logger=False, batch_size=1)
            self.log("lines/s", speed, prog_bar=True, logger=False, batch_size=1)
        # nats a character: the same gradient scale for short and long lines
        return total / batch.lengths.sum()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.average is None or (batch_idx + 1) % self.recipe.training.gradient_accumulation:
            return
        # early on the average follows quickly, then at the recipe's decay
        keep = min(self.recipe.training.ema_decay, (1 + self.global_step) / (10 + self.global_step))
        with torch.no_grad():
            for mine, theirs in zip(
                self.average.state_dict().values(), self.network.state_dict().values(), strict=True
            ):  # fmt: skip
                if mine.is_floating_point():
                    mine.lerp_(theirs, 1 - keep)
                else:
                    mine.copy_(theirs)

    def on_validation_epoch_start(self) -> None:
        self._readings, self._shown, self._val_loss, self._val_lines = [], [], 0.0, 0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        network = self.reader
        log_probs = network(batch.lines).float().cpu()
        steps = self._steps(network, batch, log_probs.shape[1])
        batch = self.transfer_batch_to_device(batch, torch.device("cpu"), 0)
        self._val_loss += float(ctc_loss(log_probs, batch, steps))
        self._val_lines += len(batch.texts)
        for row, count, truth, image, width in zip(
            log_probs.numpy(), steps.tolist(), batch.texts, batch.lines.numpy(), batch.widths.tolist(), strict=True
        ):
            read = GreedyDecoder()(row[:count], network.alphabet).text
            self._readings.append((truth, read))
            if len(self._shown) < SHOWN:
                rate = character_error_rate(fold_none(truth), fold_none(read))
                self._shown.append(Prediction(image[:, :width], truth, read, rate))

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking:
            return
        result = score([t for t, _ in self._readings], [r for _, r in self._readings])
        self.numbers = {
            "val_loss": self._val_loss / max(1, self._val_lines),  # nats a line, as the report's
            "val_cer": result.cer, "val_wer": result.wer, "val_exact": result.exact,
        }  # fmt: skip
        if self.watched:
            truths = [text for _, text in self.watched]
            lines = LineReader(TorchRecognizer(self.reader)).read_lines([image for image, _ in self.watched])
            read = [line.text for line in lines]
            self.numbers |= {"watch_cer": score(truths, read).cer, "watch_cer_loose": score(truths, read, "loose").cer}
        for name, value in self.numbers.items():
            self.log(name, value, prog_bar=name in ("val_loss", "val_cer"), logger=False, batch_size=1)
        self.trackers.log(self.global_step, {**self.numbers, "epoch": float(self.current_epoch)})
        self.trackers.table(self.global_step, self._shown)
        self._clock, self._lines_since = time.monotonic(), 0


class CheckpointCallback(Checkpoint):
    """After each epoch: everything to continue in last.ckpt, the best reader in best.pt, both whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.best = math.inf
        self.best_facts: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_facts": self.best_facts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_facts = state_dict["best"], state_dict["best_facts"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        numbers = pl_module.numbers
        if not math.isfinite(numbers["val_loss"]):
            raise GlyphlineError(
                f"the validation loss is {numbers['val_loss']} after step {trainer.global_step}: lower "
                "training.learning_rate or set training.gradient_clip, then start again; the checkpoint before is kept"
            )
        try:
            if numbers["val_loss"] < self.best:
                self.best = numbers["val_loss"]
                self.best_facts = {**numbers, "step": float(trainer.global_step), "epoch": float(trainer.current_epoch)}
                save_weights(pl_module.reader, self.folder / BEST, **self.best_facts)
            with replacing(self.folder / LAST) as beside:
                trainer.save_checkpoint(beside)
        except (OSError, RuntimeError) as error:
            # torch wraps a full disk in RuntimeError("... file write failed")
            raise GlyphlineError(
                f"the checkpoint could not be written to {self.folder} ({error}): free some disk space or mend the "
                "folder's permissions, then continue with --resume from the checkpoint before it, which is whole"
            ) from None


class ProgressPrinter(pl.Callback):
    """A line an epoch where no progress bar can be drawn."""

    def __init__(self, say: Callable[[str], None], epochs: int) -> None:
        self.say, self.epochs = say, epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        n = pl_module.numbers
        self.say(
            f"epoch {trainer.current_epoch + 1} of {self.epochs}, step {trainer.global_step}: "
            f"val_loss {n['val_loss']:.3f}  val_cer {n['val_cer']:.2%}  val_wer {n['val_wer']:.2%}"
        )


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory for the next step rather than give it back to the kernel.

    Activations of tens of MB are otherwise mapped and cleared afresh at each step: a fifth of a step's time on a CPU.
    Elsewhere than on glibc nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 64 * 2**20)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            mallopt(option, value)


def environment() -> dict[str, str]:
    """What the numbers of a run also depend on."""
    out = {"python": platform.python_version(), "machine": platform.platform(), "cores": str(os.cpu_count())}
    for package in ("glyphline", "torch", "lightning", "numpy", "opencv-python-headless"):
        try:
            out[package] = version(package)
        except PackageNotFoundError:
            out[package] = "not installed as a package"
    return out


def _steps_done(checkpoint: Path) -> int:
    """Optimiser steps behind a checkpoint. Raises DataError for a file that is none."""
    try:
        return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"])
    except Exception as error:  # torch raises several kinds, pickle's among them
        raise DataError(
            f"{checkpoint} is no whole checkpoint ({type(error).__name__}): start the run again in another folder, "
            f"or export its {BEST}, which is kept apart"
        ) from None


def _settings(recipe: Recipe) -> tuple[Any, ...]:
    """What a run must keep to be continued; its name and description may change."""
    return recipe.lines, recipe.network, recipe.training


def _begin(folder: Path, recipe: Recipe, said: str) -> None:
    """Make the run folder and leave in it what was asked."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
        with (folder / "command.txt").open("a", encoding="utf-8") as out:
            out.write(said + "\n")
        (folder / "environment.json").write_text(json.dumps(environment(), indent=1) + "\n", encoding="utf-8")
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
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train a recipe into a run folder; the best validation's numbers.

    The folder gets recipe.yaml, command.txt, environment.json, last.ckpt, best.pt, metrics.csv, result.json.
    Raises UserError for a folder in use or nothing to resume, RecipeError for lines that CTC cannot fit,
    GlyphlineError when the disk fills up; KeyboardInterrupt passes through with the last epoch kept.
    """
    started = time.monotonic()
    keep_freed_memory()
    last = folder / LAST
    if resume and not last.exists():
        raise UserError(f"{folder} holds no {LAST} to resume: leave out --resume to start the run")
    if not resume and (last.exists() or (folder / RESULT).exists()):
        raise UserError(f"{folder} already holds a run: continue it with --resume, or choose another folder")
    if resume and _settings(load_recipe(folder / RECIPE)) != _settings(recipe):
        raise UserError(f"{folder / RECIPE} differs from this recipe: resume with the run's own recipe")
    done = _steps_done(last) if resume else 0
    wanted = recipe.training
    lines = LineSet(recipe.lines, "train", wanted.seed)
    validation = LineSet(recipe.lines, "val", wanted.seed, glyphs=wanted.validation_glyphs)
    book = Trackers(trackers, say)
    learner = TrainingModule(recipe, validation, book)
    if wanted.initial_weights is not None and not resume:
        learner.begin_with(Path(wanted.initial_weights), say)
    check_steps(lines, learner.network.steps)
    said = command or shlex.join(sys.argv)
    _begin(folder, recipe, said)
    book.start(RunInfo(folder, recipe.name, recipe.to_dict(), said, environment(), done))

    positions = Positions(lines, wanted.epoch_lines, wanted.batch, wanted.distinct_lines, wanted.gradient_accumulation)
    ahead = loader(lines, positions, wanted.workers)
    held = by_width([line.shape[1] for line in validation.canonical_batch(range(wanted.validation_lines))[0]])
    keeper = CheckpointCallback(folder)
    callbacks: list[pl.Callback] = [keeper]
    if wanted.patience:
        callbacks.insert(0, EarlyStopping("val_loss", patience=wanted.patience, check_on_train_epoch_end=False))
    callbacks.append(
        RichProgressBar(console_kwargs={"stderr": True}) if progress else ProgressPrinter(say, wanted.epochs)
    )
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning|torch")  # advice about workers and loggers
        trainer = pl.Trainer(
            max_epochs=wanted.epochs, accelerator="auto", devices=1, logger=False, callbacks=callbacks,
            enable_progress_bar=progress, enable_model_summary=False, num_sanity_val_steps=0,
            gradient_clip_val=wanted.gradient_clip or None, accumulate_grad_batches=wanted.gradient_accumulation, use_distributed_sampler=False,
            precision="bf16-mixed" if wanted.precision == "bf16" else "32-true", default_root_dir=folder,
        )  # fmt: skip
        try:
            trainer.fit(
                learner, ahead, loader(validation, held),  # type: ignore[arg-type]
                ckpt_path=last if resume else None, weights_only=True if resume else None,
            )  # fmt: skip
        except SystemExit:  # how Lightning ends an interrupted fit
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise
        finally:
            if sys.exc_info()[0]:
                book.finish()
    result = {
        "name": recipe.name, "parameters": learner.network.parameter_count(), "steps": trainer.global_step,
        "epochs": trainer.current_epoch, "best": keeper.best_facts, "minutes": (time.monotonic() - started) / 60,
    }  # fmt: skip
    (folder / RESULT).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    book.artifact(folder / BEST)
    book.finish()
    return result
