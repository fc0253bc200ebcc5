"""The contract of the trackers, and what every tracker is told about a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import requests

from glyphline.errors import GlyphlineError
from glyphline.recipe import Recipe
from glyphline.training.runs import (
    COMMAND_FILE,
    ENVIRONMENT_FILE,
    PACKAGES_FILE,
    RECIPE_FILE,
    RECIPE_HISTORY_FILE,
)
from glyphline.training.validation import ErrorSummary

Metrics = dict[str, float]  # name -> value
CONNECT_SECONDS = 5  # in which a server must answer before the training starts
MATRIX_SIZE = 40  # characters in a confusion matrix, those with the most errors


@dataclass(frozen=True)
class Prediction:
    """A validation line with its true text and the text that the network recognized."""

    image: npt.NDArray[np.uint8]  # (H, W), ink bright
    truth: str
    text: str
    cer: float  # character error rate of this line, a fraction


@dataclass(frozen=True)
class TrialInfo:
    """The place of a run in a sweep."""

    sweep: str  # name of the sweep
    arm: str
    seed: int  # counted from 0


@dataclass(frozen=True)
class RunInfo:
    """Describes a run. Every tracker takes the run's name, group, job type, tags, settings and files from here."""

    folder: Path
    recipe: Recipe
    command: str
    environment: dict[str, str]
    data: dict[str, Any]  # glyphs and sentences of the lines, see `glyphline.training.train.describe_data`
    resumed_at: int = 0  # optimiser steps of the checkpoint that the run continues from; 0: a new run
    trial: TrialInfo | None = None  # of a run that belongs to a sweep

    @property
    def name(self) -> str:
        """The name of the run: that of its folder."""
        return self.folder.resolve().name

    @property
    def group(self) -> str:
        """The name under which trackers put runs together: that of the sweep, otherwise that of the recipe."""
        return self.trial.sweep if self.trial else self.recipe.name

    @property
    def job_type(self) -> str:
        """The name that divides a group: the arm of the sweep, otherwise "train"."""
        return self.trial.arm if self.trial else "train"

    @property
    def tags(self) -> list[str]:
        """What the run is found by: layout, encoder, context, optimizer and glyph sources; arm and seed of a trial."""
        lines, network = self.recipe.lines, self.recipe.network
        tags = [lines.layout, network.encoder, network.context, self.recipe.training.optimizer]
        place = [f"arm:{self.trial.arm}", f"seed:{self.trial.seed}"] if self.trial else []
        return list(dict.fromkeys([*tags, *(share.source for share in lines.glyphs), *place]))

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the run as plain data: the recipe with command, environment, data and place in a sweep."""
        return {
            **self.recipe.to_dict(), "command": self.command, "environment": self.environment, "data": self.data,
            **({"trial": asdict(self.trial)} if self.trial else {}),
        }  # fmt: skip

    @property
    def description_files(self) -> list[Path]:
        """The files in the folder that describe how the network was made, with the earlier recipes of a resumed run."""
        names = (RECIPE_FILE, COMMAND_FILE, ENVIRONMENT_FILE, PACKAGES_FILE, RECIPE_HISTORY_FILE)
        files = [self.folder / name for name in names if (self.folder / name).is_file()]
        return [*files, *sorted(self.folder.glob("recipe-*.yaml"))]


class Tracker:
    """Records a run. Every method does nothing unless a subclass overrides it."""

    help: ClassVar[str] = ""  # one line for --help
    #: whether `start` of a resumed run removes the records after its checkpoint. Other trackers receive the records of
    #: an epoch when its checkpoint is written, so that a resumed run does not record them again.
    rewinds: ClassVar[bool] = False

    def start(self, run: RunInfo) -> None:
        """Prepare for a run. Called once, before any other method."""

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        """Record the metrics of optimiser step `step`, counted from 1."""

    def log_predictions(self, step: int, predictions: Sequence[Prediction]) -> None:
        """Record sample predictions of the validation at optimiser step `step`."""

    def log_errors(self, step: int, errors: ErrorSummary) -> None:
        """Record the errors of the best network, which is that of optimiser step `step`."""

    def log_summary(self, summary: Metrics) -> None:
        """Record the figures of the finished run: its best metrics, its size, its duration and its "steps"."""

    def log_artifact(self, step: int, path: Path) -> None:
        """Record the file of the best network, which is that of optimiser step `step`."""

    def finish(self, completed: bool) -> None:
        """Close the record and undo what `start` has changed in the process.

        completed: whether the run has ended. Called once, also after a method that has raised, be it `start`.
        """


def check_server(service: str, address: str, remedy: str) -> None:
    """Raise GlyphlineError with the remedy when the server of a service does not answer within CONNECT_SECONDS.

    Any answer will do: behind a proxy the server may have no page at this address. Other kinds of store are not asked.
    """
    if address.startswith(("http://", "https://")):
        try:
            requests.head(address, timeout=CONNECT_SECONDS)
        except requests.RequestException:
            raise GlyphlineError(f"the {service} server {address} does not answer: {remedy}") from None


class ChangedEnvironment:
    """Sets environment variables until `restore` is called."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._earlier_values = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)

    def restore(self) -> None:
        """Give the variables the values that they had."""
        for name, value in self._earlier_values.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def confusion_matrix(errors: ErrorSummary, size: int = MATRIX_SIZE) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The confusion matrix of the characters with the most errors, and of nothing.

    Returns the names of n classes and the counts, (n, n): row the truth, column the character read. The last class,
    "nothing", is the truth of an inserted and the reading of a missed character. Confusions with a character that is
    not among the classes are left out.
    """
    characters = [character for character, _, _ in errors.characters[:size]]
    index = {character: k for k, character in enumerate([*characters, ""])}
    counts = np.zeros((len(index), len(index)), np.int64)
    for character, wrong, total in errors.characters[:size]:
        counts[index[character], index[character]] = total - wrong
    for truth, text, count in errors.confusions:
        if truth in index and text in index:
            counts[index[truth], index[text]] += count
    names = [{" ": "space"}.get(character, character) for character in characters]
    return [*names, "nothing"], counts


def draw_confusion_matrix(errors: ErrorSummary) -> Any:
    """Draw the confusion matrix as a matplotlib Figure; each row is a share of the character's occurrences."""
    from matplotlib.figure import Figure

    names, counts = confusion_matrix(errors)
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    figure = Figure(figsize=(8, 8), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, fontsize=7, rotation=90 if len(names) > 20 else 0)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlabel("read")
    axes.set_ylabel("truth")
    return figure


def length_metrics(errors: ErrorSummary) -> Metrics:
    """The CER of each group of lines as a metric, such as cer_of_length/008-015.

    >>> length_metrics(ErrorSummary((), (), ((8, 15, 40, 0.25),)))
    {'cer_of_length/008-015': 0.25}
    """
    return {f"cer_of_length/{low:03d}-{high:03d}": cer for low, high, _, cer in errors.lengths}


def print_to_stderr(text: str) -> None:
    """Print a line on stderr."""
    print(text, file=sys.stderr)
