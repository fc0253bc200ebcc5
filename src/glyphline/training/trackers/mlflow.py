"""The tracker of MLflow."""

from __future__ import annotations

import html
import json
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from glyphline.errors import MissingPackage
from glyphline.training.runs import flatten_settings
from glyphline.training.trackers.contract import (
    ChangedEnvironment,
    Metrics,
    Prediction,
    RunInfo,
    Tracker,
    check_server,
    draw_confusion_matrix,
    length_metrics,
)
from glyphline.training.validation import ErrorSummary, encode_picture

#: a server that does not answer must not hold up the training: seconds of a request, and how often it is repeated
REQUEST_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
PARAMS_A_REQUEST = 100  # MLflow's own limit
PARAM_LENGTH = 6000  # characters of a value, MLflow's own limit
LOCAL_DATABASE, LOCAL_ARTIFACTS = "mlflow.db", "mlflow-artifacts"  # in the run folder, where there is no server


def address_artifacts(folder: Path) -> None:
    """Give the runs of a run folder's database the address of the artifacts beside it: MLflow keeps absolute ones.

    Nothing changes unless the run folder was moved or copied. folder: absolute.
    """
    address = (folder / LOCAL_ARTIFACTS).as_uri()
    with closing(sqlite3.connect(folder / LOCAL_DATABASE)) as database, database:
        for earlier, experiment in database.execute(
            "SELECT artifact_location, experiment_id FROM experiments WHERE artifact_location LIKE ?",
            (f"%/{LOCAL_ARTIFACTS}",),
        ).fetchall():
            database.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) WHERE experiment_id = ?",
                (address, len(earlier) + 1, experiment),
            )
            database.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (address, experiment)
            )


class MlflowTracker(Tracker):
    """Records a run with MLflow.

    The server is MLFLOW_TRACKING_URI; without it the records are in mlflow.db and mlflow-artifacts/ in the run folder.
    The experiment is MLFLOW_EXPERIMENT_NAME, by default glyphline. The file mlflow-id in the run folder holds the id
    under which a resumed run continues. The settings that it was resumed with are tags, because MLflow lets no
    parameter change.
    """

    help = "MLflow; the server MLFLOW_TRACKING_URI, otherwise a database in the run folder"

    def start(self, run: RunInfo) -> None:
        self.run_id = ""
        self.environment = ChangedEnvironment({k: v for k, v in REQUEST_LIMITS.items() if k not in os.environ})
        try:
            from mlflow import entities
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise MissingPackage("mlflow-skinny", "mlflow", "the tracker mlflow") from None
        self.info, self.entities = run, entities
        folder = run.folder.resolve()
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if uri:
            check_server("MLflow", uri, "start it, or correct MLFLOW_TRACKING_URI")
        elif (folder / LOCAL_DATABASE).exists():
            address_artifacts(folder)
        self.client: Any = MlflowClient(tracking_uri=uri or f"sqlite:///{folder / LOCAL_DATABASE}")
        id_file = run.folder / "mlflow-id"
        if run.resumed_at and id_file.exists():
            self.run_id = id_file.read_text().strip()
            self.client.update_run(self.run_id, status="RUNNING")
        else:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "glyphline")
            experiment = self.client.get_experiment_by_name(name)
            location = None if uri else (folder / LOCAL_ARTIFACTS).as_uri()
            experiment_id = experiment.experiment_id if experiment else self.client.create_experiment(name, location)
            self.run_id = self.client.create_run(experiment_id, run_name=run.name).info.run_id
            id_file.write_text(self.run_id)
            self._log_data(run)
        self._log_description(run)

    def _log_description(self, run: RunInfo) -> None:
        """Record tags, the recipe as parameters, and the files that describe the run; of a resumed run, what is new."""
        known = self.client.get_run(self.run_id).data
        settings = {key: str(v)[:PARAM_LENGTH] for key, v in flatten_settings(run.recipe.to_dict()).items()}
        changed = {
            f"resumed.{key}": value for key, value in settings.items()
            if known.params.get(key, value) != value or f"resumed.{key}" in known.tags
        }  # fmt: skip
        commands = [*filter(None, [known.tags.get("mlflow.note.content")]), run.command]
        tags = {
            "group": run.group, "job_type": run.job_type, "tags": ", ".join(run.tags),
            "mlflow.note.content": "\n\n".join(commands), "mlflow.source.name": "glyphline train",
            "mlflow.source.git.commit": run.environment.get("git", ""),
            **{f"environment.{key}": value for key, value in run.environment.items()},
            **{key: str(value) for key, value in (asdict(run.trial) if run.trial else {}).items()}, **changed,
        }  # fmt: skip
        self.client.log_batch(self.run_id, tags=[self.entities.RunTag(*item) for item in tags.items()])
        params = [self.entities.Param(key, value) for key, value in settings.items() if key not in known.params]
        for start in range(0, len(params), PARAMS_A_REQUEST):
            self.client.log_batch(self.run_id, params=params[start : start + PARAMS_A_REQUEST])
        for file in run.description_files:
            self.client.log_artifact(self.run_id, str(file), "run")

    def _log_data(self, run: RunInfo) -> None:
        """Record the data of the run as its input."""
        digest = str(run.data.get("sentences", {}).get("train", ["", ""])[1])[:16] or "unknown"
        source, profile = json.dumps(run.recipe.to_dict()["lines"]), json.dumps(run.data)
        lines = self.entities.Dataset(f"lines of {run.group}", digest, "code", source, profile=profile)
        context = self.entities.InputTag("mlflow.data.context", "training")
        self.client.log_inputs(self.run_id, [self.entities.DatasetInput(lines, [context])])
        self.client.log_dict(self.run_id, run.data, "data/lines.json")

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        now = int(time.time() * 1000)
        records = [self.entities.Metric(name, value, now, step) for name, value in metrics.items()]
        self.client.log_batch(self.run_id, metrics=records)

    def log_predictions(self, step: int, predictions: Sequence[Prediction]) -> None:
        rows = "".join(
            f'<tr><td><img alt="" src="data:image/png;base64,{encode_picture(p.image)}"><td>{html.escape(p.truth)}'
            f"<td>{html.escape(p.text)}<td>{p.cer:.1%}\n"
            for p in predictions
        )
        page = f"<!doctype html><meta charset=utf-8><table>\n<tr><th>line<th>truth<th>read<th>CER\n{rows}</table>\n"
        self.client.log_text(self.run_id, page, f"predictions/step-{step:07d}.html")

    def log_errors(self, step: int, errors: ErrorSummary) -> None:
        self.log_metrics(step, length_metrics(errors))
        self.client.log_dict(self.run_id, asdict(errors), "errors/errors.json")
        self.client.log_figure(self.run_id, draw_confusion_matrix(errors), "errors/confusions.png")

    def log_summary(self, summary: Metrics) -> None:
        self.log_metrics(int(summary["steps"]), {f"summary/{name}": value for name, value in summary.items()})

    def log_artifact(self, step: int, path: Path) -> None:
        self.client.log_artifact(self.run_id, str(path), "model")

    def finish(self, completed: bool) -> None:
        try:
            if self.run_id:
                self.client.set_terminated(self.run_id, "FINISHED" if completed else "KILLED")
        finally:
            self.environment.restore()
