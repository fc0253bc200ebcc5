"""Trackers that write into the run folder alone: CSV, TensorBoard, none."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from glyphline.errors import MissingPackage
from glyphline.training.runs import METRICS_FILE, flatten_settings
from glyphline.training.trackers.contract import (
    Metrics,
    Prediction,
    RunInfo,
    Tracker,
    draw_confusion_matrix,
    length_metrics,
)
from glyphline.training.validation import ErrorSummary


class CsvTracker(Tracker):
    """Writes metrics.csv into the run folder, one row a value: step, name, value.

    When a run is resumed, the rows logged after its checkpoint are dropped, because they will be logged again.
    """

    help = "metrics.csv in the run folder"
    rewinds = True

    def start(self, run: RunInfo) -> None:
        self.path = run.folder / METRICS_FILE
        kept_rows: list[list[str]] = []
        if self.path.exists() and run.resumed_at:
            with self.path.open(newline="") as file:
                kept_rows = [
                    row
                    for row in csv.reader(file)
                    if len(row) == 3 and row[0].isdigit() and int(row[0]) <= run.resumed_at
                ]
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([["step", "name", "value"], *kept_rows])

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerows([step, name, repr(float(value))] for name, value in metrics.items())


def _markdown_cell(text: str) -> str:
    """A text as a cell of a Markdown table."""
    return text.replace("|", "\\|")


class TensorBoardTracker(Tracker):
    """Writes TensorBoard's event files to tensorboard/ in the run folder."""

    help = "event files for TensorBoard, under tensorboard/ in the run folder"
    rewinds = True

    def start(self, run: RunInfo) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingPackage("tensorboard", "train", "the tracker tensorboard") from None
        self.info = run
        self.writer = SummaryWriter(
            str(run.folder / "tensorboard"), purge_step=run.resumed_at + 1 if run.resumed_at else None
        )
        names = {"group": run.group, "job type": run.job_type, "tags": ", ".join(run.tags)}
        rows = {**names, **flatten_settings(run.settings)}
        table = "\n".join(f"| {key} | {_markdown_cell(str(value))} |" for key, value in rows.items())
        self.writer.add_text("run", f"| setting | value |\n|---|---|\n{table}", run.resumed_at)

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)

    def log_predictions(self, step: int, predictions: Sequence[Prediction]) -> None:
        table = "| truth | read | CER |\n|---|---|---|\n" + "\n".join(
            f"| {_markdown_cell(p.truth)} | {_markdown_cell(p.text)} | {p.cer:.1%} |" for p in predictions
        )
        self.writer.add_text("predictions", table, step)
        for k, prediction in enumerate(predictions[:4]):
            self.writer.add_image(f"lines/{k}", prediction.image[None], step)

    def log_errors(self, step: int, errors: ErrorSummary) -> None:
        self.writer.add_figure("confusions", draw_confusion_matrix(errors), step)
        self.log_metrics(step, length_metrics(errors))

    def log_summary(self, summary: Metrics) -> None:
        table = "\n".join(f"| {name} | {value:g} |" for name, value in summary.items())
        self.writer.add_text("summary", f"| figure | value |\n|---|---|\n{table}", int(summary["steps"]))

    def log_artifact(self, step: int, path: Path) -> None:
        self.writer.add_text("model", f"`{path.name}` beside this folder, {path.stat().st_size:,} bytes", step)

    def finish(self, completed: bool) -> None:
        self.writer.close()


class NoTracker(Tracker):
    """Records nothing."""

    help = "no tracking beyond the run folder's own files"
    rewinds = True
