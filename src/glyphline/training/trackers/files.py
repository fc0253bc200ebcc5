"""Trackers that write into the run folder alone: CSV, TensorBoard, none."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from glyphline.errors import MissingPackage
from glyphline.training.runs import METRICS_FILE, PACKAGES_FILE, flatten_settings, read_metric_rows
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
        rows = read_metric_rows(self.path)[0] if run.resumed_at and self.path.exists() else []
        kept_rows = [(step, name, repr(value)) for step, name, value in rows if step <= run.resumed_at]
        with self.path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("step", "name", "value"), *kept_rows])

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([step, name, repr(float(value))] for name, value in metrics.items())


def _markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, which TensorBoard draws."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *cells))


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
        table = _markdown_table(["setting", "value"], [(key, str(value)) for key, value in rows.items()])
        packages = run.folder / PACKAGES_FILE
        listing = f"\n\n```\n{packages.read_text(encoding='utf-8')}```" if packages.is_file() else ""
        self.writer.add_text("run", table + listing, run.resumed_at)

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)

    def log_predictions(self, step: int, predictions: Sequence[Prediction]) -> None:
        rows = [(str(k), p.truth, p.text, f"{p.cer:.1%}") for k, p in enumerate(predictions)]
        self.writer.add_text("predictions", _markdown_table(["line", "truth", "read", "CER"], rows), step)
        for k, prediction in enumerate(predictions):
            self.writer.add_image(f"lines/{k}", prediction.image[None], step)

    def log_errors(self, step: int, errors: ErrorSummary) -> None:
        self.writer.add_figure("confusions", draw_confusion_matrix(errors), step)
        rows = [("space" if c == " " else c, str(wrong), str(total)) for c, wrong, total in errors.characters]
        table = _markdown_table(["character", "errors", "in the truths"], rows)
        self.writer.add_text("errors_by_character", table, step)
        self.log_metrics(step, length_metrics(errors))

    def log_summary(self, summary: Metrics) -> None:
        table = _markdown_table(["figure", "value"], [(name, f"{value:g}") for name, value in summary.items()])
        self.writer.add_text("summary", table, int(summary["steps"]))

    def log_artifact(self, step: int, path: Path) -> None:
        self.writer.add_text("model", f"`{path.name}` beside this folder, {path.stat().st_size:,} bytes", step)

    def finish(self, completed: bool) -> None:
        self.writer.close()


class NoTracker(Tracker):
    """Records nothing."""

    help = "no tracking beyond the run folder's own files"
    rewinds = True
