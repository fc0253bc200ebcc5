"""Trials of a sweep: one training that can be run epoch by epoch, and its errors on the test lines.

`run_trial` trains a trial up to an epoch. It can be called again for more epochs, also after a kill, by this process or
another one: everything that it needs is in the trial's run folder.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glyphline.errors import DataError, UserError
from glyphline.files import write_atomically
from glyphline.reading.lines import open_line_reader
from glyphline.recipe import Recipe, changed_keys, load_recipe
from glyphline.score import FOLDS, edit_distance
from glyphline.training.evaluate import evaluate
from glyphline.training.export import open_run
from glyphline.training.runs import DAMAGE, LAST_CHECKPOINT, RECIPE_FILE, RESULT_FILE, describe_damage, read_json_object
from glyphline.training.trackers import TrialInfo
from glyphline.training.train import DivergedError, train
from glyphline.training.verdicts import TestErrors

PROGRESS_FILE = "trial.json"  # in the run folder: the validation CER and the seconds of each epoch
DECODER = "greedy"  # of the test lines


@dataclass(frozen=True)
class Trial:
    """The training of an arm with one seed."""

    arm: str
    seed: int
    recipe: Recipe  # with this seed
    folder: Path  # its run folder
    fold: str  # of the validation CER, a name in FOLDS


@dataclass(frozen=True)
class TrialProgress:
    """How far a trial has come."""

    epochs: int  # trained in full
    validation_cers: Mapping[int, float]  # epoch, from 1 -> CER of the validation lines after it, folded
    seconds: Mapping[int, float]  # epoch -> how long it took, with its validation
    is_finished: bool  # all epochs are trained, the recipe's patience is exhausted, or training diverged
    diverged: str = ""  # the message, if it did

    def best_cer(self, until_epoch: int) -> float:
        """The lowest validation CER up to an epoch; infinity for a trial that diverged or has none."""
        cers = [cer for epoch, cer in self.validation_cers.items() if epoch <= until_epoch]
        return math.inf if self.diverged else min(cers, default=math.inf)

    @property
    def seconds_per_epoch(self) -> float | None:
        """The median over the epochs; None before the first one."""
        return statistics.median(self.seconds.values()) if self.seconds else None

    @property
    def last_epoch(self) -> int:
        """The last epoch with a validation CER, also one after which the process was killed; 0 before the first one."""
        return max(self.validation_cers, default=0)


def describe_trial(trial: Trial) -> TrialInfo:
    """What the trackers of a trial are told about its place in the sweep. Its recipe is named SWEEP-ARM-SEED."""
    return TrialInfo(trial.recipe.name.removesuffix(f"-{trial.arm}-{trial.seed}"), trial.arm, trial.seed)


def check_run_folder(trial: Trial) -> None:
    """Raise UserError when the folder of a trial holds a run of another recipe, also a finished one without weights."""
    if not any((trial.folder / name).exists() for name in (LAST_CHECKPOINT, RESULT_FILE)):
        return
    if changes := changed_keys(load_recipe(trial.folder / RECIPE_FILE), trial.recipe):
        key, (before, now) = next(iter(changes.items()))
        raise UserError(
            f"{trial.folder} holds a run of another sweep ({key} is {before}, now {now}): choose another --out folder, "
            "or delete that run"
        )


def read_progress(trial: Trial) -> TrialProgress:
    """The progress of a trial, from its run folder. Raises DataError when the files there are damaged."""
    try:
        result = _read_json(trial.folder / RESULT_FILE)
        saved = _read_json(trial.folder / PROGRESS_FILE)
        rows = {int(epoch): row for epoch, row in saved.get("epochs", {}).items()}
        epochs, diverged = int(result.get("epochs", 0)), str(saved.get("diverged", ""))
        cers, seconds = ({epoch: float(row[key]) for epoch, row in rows.items()} for key in ("cer", "seconds"))
    except DAMAGE as error:
        raise DataError(
            f"{trial.folder}: its {RESULT_FILE} or {PROGRESS_FILE} is damaged ({error}): delete this run"
        ) from None
    finished = epochs >= trial.recipe.training.epochs or bool(result.get("patience_exhausted")) or bool(diverged)
    return TrialProgress(epochs, cers, seconds, finished, diverged)


def _read_json(path: Path) -> dict[str, Any]:
    return read_json_object(path) if path.exists() else {}


def mean_best_cer(trials: Sequence[Trial], until_epoch: int) -> float:
    """The lowest validation CER of each trial up to an epoch, on average. Raises DataError as `read_progress` does."""
    return statistics.mean(read_progress(trial).best_cer(until_epoch) for trial in trials)


def run_trial(
    trial: Trial,
    until_epoch: int,
    *,
    trackers: Sequence[str] = ("csv",),
    on_epoch: Callable[[int, float], None] = lambda epoch, cer: None,
    report: Callable[[str], None] = print,
    command: str | None = None,
) -> TrialProgress:
    """Train a trial until it has `until_epoch` epochs, from wherever an earlier call or a kill left it.

    A trial that has come so far, or is finished, is returned at once. on_epoch: called after each epoch with the
    number of epochs, from 1, and the folded CER of the validation lines. command: recorded in the run folder; None:
    that of this process. Training that diverges finishes the trial.
    Raises what `check_run_folder`, `read_progress` and `train` raise, except DivergedError. KeyboardInterrupt passes
    through.
    """
    check_run_folder(trial)
    progress = read_progress(trial)
    if progress.is_finished or progress.epochs >= until_epoch:
        return progress
    apply_fold = FOLDS[trial.fold][0]
    path = trial.folder / PROGRESS_FILE
    rows: dict[str, Any] = {
        str(epoch): {"cer": cer, "seconds": progress.seconds[epoch]} for epoch, cer in progress.validation_cers.items()
    }
    started = time.monotonic()

    def record_epoch(epoch: int, pairs: Sequence[tuple[str, str]]) -> None:
        nonlocal started
        folded = [(apply_fold(truth), apply_fold(text)) for truth, text in pairs]
        cer = sum(edit_distance(*pair) for pair in folded) / max(1, sum(len(truth) for truth, _ in folded))
        rows[str(epoch)] = {"cer": cer, "seconds": time.monotonic() - started}
        write_atomically(path, json.dumps({"epochs": rows}).encode())
        started = time.monotonic()
        on_epoch(epoch, cer)

    try:
        train(
            trial.recipe, trial.folder, resume=(trial.folder / LAST_CHECKPOINT).exists(), trackers=trackers,
            progress=False, report=report, until_epoch=until_epoch, on_epoch=record_epoch,
            command=command, trial=describe_trial(trial),
        )  # fmt: skip
    except DivergedError as error:
        write_atomically(path, json.dumps({"epochs": rows, "diverged": str(error)}).encode())
    return read_progress(trial)


def measure_trial(trial: Trial, epoch: int, lines: Path, count: int) -> TestErrors | None:
    """The edits on `count` test lines of the best network that a trial has after `epoch` epochs.

    lines: a recipe file that composes the lines, whatever the trial's seed. They are read as by `glyphline evaluate
    LINES --fold FOLD --decoder greedy`. The result is kept in the run folder. Returns None where training diverged
    before there was any network, and where the trial has gone on without having been measured on these lines at this
    epoch: its network of that time is gone. Raises what `evaluate` raises, and DataError when the kept result is
    damaged.
    """
    path = trial.folder / f"test-{epoch}.json"
    try:
        saved = _read_json(path)
        if saved.get("lines") == count:
            return TestErrors(np.array(saved["errors"], np.int64), np.array(saved["lengths"], np.int64))
    except DAMAGE as error:
        raise DataError(f"{describe_damage(path, error)}: delete it, and the lines are read again") from None
    if read_progress(trial).last_epoch > epoch:
        return None
    try:
        recognizer = open_run(trial.folder)
    except DataError:
        return None
    reader = open_line_reader(recognizer, DECODER)
    result = evaluate(str(lines), reader, decoder=DECODER, fold=trial.fold, count=count)
    apply_fold = FOLDS[trial.fold][0]
    pairs = [(apply_fold(line.truth), apply_fold(line.prediction)) for line in result.scored_lines]
    errors, lengths = [edit_distance(*pair) for pair in pairs], [len(truth) for truth, _ in pairs]
    saved = {"lines": count, "cer": result.score.cer, "errors": errors, "lengths": lengths}
    write_atomically(path, json.dumps(saved).encode())
    return TestErrors(np.array(errors, np.int64), np.array(lengths, np.int64))
