"""FAMILY: where the numbers of a run go: Weights & Biases, TensorBoard, CSV, nowhere.

Contract: `start`, `log`, `table`, `artifact`, `finish`. A tracker that fails is reported once and dropped; it never
stops a run. To add one: subclass Tracker, add a row to TRACKERS at the bottom.
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

Numbers = dict[str, float]


@dataclass(frozen=True)
class Prediction:
    """A row of the table of predictions."""

    image: npt.NDArray[np.uint8]  # (H, W), ink bright
    truth: str
    read: str
    cer: float


@dataclass(frozen=True)
class RunInfo:
    """What a tracker is told when a run starts."""

    folder: Path
    name: str
    recipe: dict[str, Any]
    command: str
    environment: dict[str, str]
    resumed_at: int = 0  # optimiser steps already done


class Tracker:
    """Takes the numbers of a run; every method may be left out."""

    help: ClassVar[str] = ""

    def start(self, run: RunInfo) -> None:
        """Called once, before the first number."""

    def log(self, step: int, numbers: Numbers) -> None:
        """Numbers of optimiser step `step`."""

    def table(self, step: int, rows: Sequence[Prediction]) -> None:
        """Some validation lines with their reading."""

    def artifact(self, path: Path) -> None:
        """The trained model."""

    def finish(self) -> None:
        """Called once, also after a failure."""


class Csv(Tracker):
    """metrics.csv in the run folder: step, name, value; rows after the point of resuming are dropped."""

    help = "metrics.csv in the run folder"

    def start(self, run: RunInfo) -> None:
        self.path = run.folder / "metrics.csv"
        kept: list[list[str]] = []
        if self.path.exists() and run.resumed_at:
            with self.path.open(newline="") as rows:
                kept = [
                    r for r in csv.reader(rows) if len(r) == 3 and r[0].isdigit() and self._stands(r, run.resumed_at)
                ]
        with self.path.open("w", newline="") as out:
            csv.writer(out).writerows([["step", "name", "value"], *kept])

    @staticmethod
    def _stands(row: list[str], resumed_at: int) -> bool:
        """Whether a row was logged before the checkpoint: of its very step, only the validation's rows were."""
        return int(row[0]) < resumed_at or (int(row[0]) == resumed_at and row[1].startswith(("val_", "epoch")))

    def log(self, step: int, numbers: Numbers) -> None:
        with self.path.open("a", newline="") as out:
            csv.writer(out).writerows([step, name, repr(float(value))] for name, value in numbers.items())


class TensorBoard(Tracker):
    """TensorBoard's event files under tensorboard/ in the run folder."""

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

    def log(self, step: int, numbers: Numbers) -> None:
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, step)

    def table(self, step: int, rows: Sequence[Prediction]) -> None:
        text = "| truth | read | CER |\n|---|---|---|\n" + "\n".join(
            f"| {r.truth} | {r.read} | {r.cer:.1%} |" for r in rows
        )
        self.writer.add_text("predictions", text, step)
        for k, row in enumerate(rows[:4]):
            self.writer.add_image(f"lines/{k}", row.image[None], step)

    def finish(self) -> None:
        self.writer.close()


class Wandb(Tracker):
    """Weights & Biases: online where somebody is logged in, else offline (`wandb sync` sends it later)."""

    help = "Weights & Biases; offline unless WANDB_API_KEY is set or WANDB_MODE=online"

    def start(self, run: RunInfo) -> None:
        try:
            import wandb
        except ImportError:
            raise MissingPackage("wandb", "train", "the tracker wandb") from None
        self.wandb: Any = wandb
        mode = os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")
        mark = run.folder / "wandb-id"
        identity = mark.read_text().strip() if mark.exists() else uuid.uuid4().hex[:8]
        mark.write_text(identity)
        self.run = self.wandb.init(
            project=os.environ.get("WANDB_PROJECT", "glyphline"), name=run.name, id=identity, resume="allow",
            dir=str(run.folder), config={**run.recipe, "command": run.command, "environment": run.environment},
            mode=mode, settings=self.wandb.Settings(silent=True, init_timeout=30, console="off"),
        )  # fmt: skip

    def log(self, step: int, numbers: Numbers) -> None:
        self.run.log(numbers, step=step)

    def table(self, step: int, rows: Sequence[Prediction]) -> None:
        table = self.wandb.Table(columns=["line", "truth", "read", "cer"])
        for row in rows:
            table.add_data(self.wandb.Image(row.image), row.truth, row.read, row.cer)
        self.run.log({"predictions": table}, step=step)

    def artifact(self, path: Path) -> None:
        artifact = self.wandb.Artifact(f"reader-{self.run.id}", type="model")
        artifact.add_file(str(path))
        self.run.log_artifact(artifact)

    def finish(self) -> None:
        self.run.finish()


class NoTracker(Tracker):
    """No tracking at all."""

    help = "no tracking beyond the run folder's own files"


#: name -> tracker
TRACKERS: dict[str, type[Tracker]] = {"wandb": Wandb, "tensorboard": TensorBoard, "csv": Csv, "none": NoTracker}


def _say(text: str) -> None:
    print(text, file=sys.stderr)


class Trackers(Tracker):
    """Several trackers as one that cannot fail: the first error of each drops it, with one line."""

    def __init__(self, names: Sequence[str], say: Callable[[str], None] = _say) -> None:
        for name in names:
            if name not in TRACKERS:
                raise UserError(f'no tracker "{name}"; {nearest(name, TRACKERS)}')
        self.members: dict[str, Tracker] = {name: TRACKERS[name]() for name in dict.fromkeys(names)}
        self.say = say

    def _each(self, act: Callable[[Tracker], None]) -> None:
        for name, member in list(self.members.items()):
            try:
                act(member)
            except Exception as error:  # whatever a tracker raises must not end hours of training
                del self.members[name]
                self.say(f"tracking with {name} stopped ({type(error).__name__}: {error}); the run goes on without it")

    def start(self, run: RunInfo) -> None:
        self._each(lambda t: t.start(run))

    def log(self, step: int, numbers: Numbers) -> None:
        self._each(lambda t: t.log(step, numbers))

    def table(self, step: int, rows: Sequence[Prediction]) -> None:
        self._each(lambda t: t.table(step, rows))

    def artifact(self, path: Path) -> None:
        self._each(lambda t: t.artifact(path))

    def finish(self) -> None:
        self._each(lambda t: t.finish())
