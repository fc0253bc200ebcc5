"""FAMILY: experiment trackers, which record the metrics of a run: Weights & Biases, TensorBoard, CSV, none.

Contract: `start`, `log_metrics`, `log_predictions`, `log_artifact`, `finish`. A tracker that raises is reported once
and dropped; the run goes on. To add one: subclass Tracker, add a row to TRACKERS at the bottom.
"""

from __future__ import annotations

import csv
import os
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from glyphline.errors import MissingPackage, UserError, nearest

Metrics = dict[str, float]  # name -> value


@dataclass(frozen=True)
class Prediction:
    """A validation line with its true text and the text that the network recognized."""

    image: npt.NDArray[np.uint8]  # (H, W), ink bright
    truth: str
    text: str
    cer: float  # character error rate of this line, a fraction


@dataclass(frozen=True)
class RunInfo:
    """Describes a run to its trackers."""

    folder: Path
    name: str
    recipe: dict[str, Any]
    command: str
    environment: dict[str, str]
    resumed_at: int = 0  # optimiser steps of the checkpoint that the run continues from; 0: a new run


class Tracker:
    """Records the metrics of a run. Every method does nothing unless a subclass overrides it."""

    help: ClassVar[str] = ""  # one line for --help

    def start(self, run: RunInfo) -> None:
        """Prepare for a run. Called once, before any other method."""

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        """Record the metrics of optimiser step `step`."""

    def log_predictions(self, step: int, predictions: Sequence[Prediction]) -> None:
        """Record sample predictions of the validation at optimiser step `step`."""

    def log_artifact(self, path: Path) -> None:
        """Record the file of the trained network."""

    def finish(self) -> None:
        """Close the record. Called once, also after a failure."""


class CsvTracker(Tracker):
    """Writes metrics.csv into the run folder, one row a value: step, name, value.

    When a run is resumed, the rows logged after its checkpoint are dropped, because they will be logged again.
    """

    help = "metrics.csv in the run folder"

    def start(self, run: RunInfo) -> None:
        self.path = run.folder / "metrics.csv"
        kept_rows: list[list[str]] = []
        if self.path.exists() and run.resumed_at:
            with self.path.open(newline="") as file:
                kept_rows = [
                    row
                    for row in csv.reader(file)
                    if len(row) == 3 and row[0].isdigit() and self._precedes_checkpoint(row, run.resumed_at)
                ]
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([["step", "name", "value"], *kept_rows])

    @staticmethod
    def _precedes_checkpoint(row: list[str], resumed_at: int) -> bool:
        """Whether a row was logged before the checkpoint; of the checkpoint's own step only validation rows were."""
        return int(row[0]) < resumed_at or (
            int(row[0]) == resumed_at and row[1].startswith(("val_", "watch_", "epoch"))
        )

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerows([step, name, repr(float(value))] for name, value in metrics.items())


class TensorBoardTracker(Tracker):
    """Writes TensorBoard's event files to tensorboard/ in the run folder."""

    help = "event files for TensorBoard, under tensorboard/ in the run folder"

    def start(self, run: RunInfo) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingPackage("tensorboard", "train", "the tracker tensorboard") from None
        self.writer = SummaryWriter(
            str(run.folder / "tensorboard"), purge_step=run.resumed_at + 1 if run.resumed_at else None
        )
        self.writer.add_text("recipe", f"```\n{run.recipe}\n```")
        self.writer.add_text("command", run.command)

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)

    def log_predictions(self, step: int, predictions: Sequence[Prediction]) -> None:
        table = "| truth | read | CER |\n|---|---|---|\n" + "\n".join(
            f"| {p.truth} | {p.text} | {p.cer:.1%} |" for p in predictions
        )
        self.writer.add_text("predictions", table, step)
        for k, prediction in enumerate(predictions[:4]):
            self.writer.add_image(f"lines/{k}", prediction.image[None], step)

    def finish(self) -> None:
        self.writer.close()


class WandbTracker(Tracker):
    """Records a run with Weights & Biases.

    The run is online when WANDB_API_KEY is set, otherwise offline; WANDB_MODE overrides both. `wandb sync` uploads an
    offline run later. The project is WANDB_PROJECT, by default glyphline. The file wandb-id in the run folder holds the
    id under which a resumed run continues.
    """

    help = "Weights & Biases; offline unless WANDB_API_KEY is set or WANDB_MODE=online"

    def start(self, run: RunInfo) -> None:
        try:
            import wandb
        except ImportError:
            raise MissingPackage("wandb", "train", "the tracker wandb") from None
        self.wandb: Any = wandb
        mode = os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")
        id_file = run.folder / "wandb-id"
        run_id = id_file.read_text().strip() if id_file.exists() else uuid.uuid4().hex[:8]
        id_file.write_text(run_id)
        self.run = self.wandb.init(
            project=os.environ.get("WANDB_PROJECT", "glyphline"), name=run.name, id=run_id, resume="allow",
            dir=str(run.folder), config={**run.recipe, "command": run.command, "environment": run.environment},
            mode=mode, settings=self.wandb.Settings(silent=True, init_timeout=30, console="off"),
        )  # fmt: skip

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        self.run.log(metrics, step=step)

    def log_predictions(self, step: int, predictions: Sequence[Prediction]) -> None:
        table = self.wandb.Table(columns=["line", "truth", "read", "cer"])
        for prediction in predictions:
            table.add_data(self.wandb.Image(prediction.image), prediction.truth, prediction.text, prediction.cer)
        self.run.log({"predictions": table}, step=step)

    def log_artifact(self, path: Path) -> None:
        artifact = self.wandb.Artifact(f"reader-{self.run.id}", type="model")
        artifact.add_file(str(path))
        self.run.log_artifact(artifact)

    def finish(self) -> None:
        self.run.finish()


class NoTracker(Tracker):
    """Records nothing."""

    help = "no tracking beyond the run folder's own files"


#: name of --track -> tracker
TRACKERS: dict[str, type[Tracker]] = {
    "wandb": WandbTracker,
    "tensorboard": TensorBoardTracker,
    "csv": CsvTracker,
    "none": NoTracker,
}


def _print_to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


class Trackers(Tracker):
    """Passes every call to several trackers and never raises an Exception of theirs.

    names: keys of TRACKERS; a name given twice counts once. report: receives one line when a tracker raises; that
    tracker gets no further calls. Raises UserError for an unknown name.
    """

    def __init__(self, names: Sequence[str], report: Callable[[str], None] = _print_to_stderr) -> None:
        for name in names:
            if name not in TRACKERS:
                raise UserError(f'no tracker "{name}"; {nearest(name, TRACKERS)}')
        self.members: dict[str, Tracker] = {name: TRACKERS[name]() for name in dict.fromkeys(names)}
        self.report = report

    def _call_each(self, call: Callable[[Tracker], None]) -> None:
        for name, member in list(self.members.items()):
            try:
                call(member)
            except Exception as error:  # whatever a tracker raises must not end hours of training
                del self.members[name]
                self.report(
                    f"tracking with {name} stopped ({type(error).__name__}: {error}); the run goes on without it"
                )

    def start(self, run: RunInfo) -> None:
        self._call_each(lambda tracker: tracker.start(run))

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        self._call_each(lambda tracker: tracker.log_metrics(step, metrics))

    def log_predictions(self, step: int, predictions: Sequence[Prediction]) -> None:
        self._call_each(lambda tracker: tracker.log_predictions(step, predictions))

    def log_artifact(self, path: Path) -> None:
        self._call_each(lambda tracker: tracker.log_artifact(path))

    def finish(self) -> None:
        self._call_each(lambda tracker: tracker.finish())
