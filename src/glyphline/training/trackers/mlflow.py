"""The tracker of MLflow."""

from __future__ import annotations

import html
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import requests

from glyphline.errors import GlyphlineError, MissingPackage
from glyphline.training.runs import flatten_settings
from glyphline.training.trackers.contract import (
    Metrics,
    Prediction,
    RunInfo,
    Tracker,
    draw_confusion_matrix,
    length_metrics,
)
from glyphline.training.validation import ErrorSummary, encode_picture

#: a server that does not answer must not hold up the training: seconds of a request, and how often it is repeated
REQUEST_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
CONNECT_SECONDS = 5  # in which the server must answer before the training starts
PARAMS_A_REQUEST = 100  # MLflow's own limit
PARAM_LENGTH = 6000  # characters of a value, MLflow's own limit


def check_server(uri: str) -> None:
    """Raise GlyphlineError when a server does not answer within CONNECT_SECONDS. uri: MLFLOW_TRACKING_URI.

    Any answer will do: behind a proxy the server may have no page at this address. Other kinds of store are not asked.
    """
    if uri.startswith(("http://", "https://")):
        try:
            requests.head(uri, timeout=CONNECT_SECONDS)
        except requests.RequestException:
            raise GlyphlineError(
                f"the MLflow server {uri} does not answer: start it, or correct MLFLOW_TRACKING_URI"
            ) from None


class MlflowTracker(Tracker):
    """Records a run with MLflow.

    The server is MLFLOW_TRACKING_URI; without it the records are in mlflow.db and mlflow-artifacts/ in the run folder.
    The experiment is MLFLOW_EXPERIMENT_NAME, by default glyphline. The file mlflow-id in the run folder holds the id
    under which a resumed run continues.
    """

    help = "MLflow; the server MLFLOW_TRACKING_URI, otherwise a database in the run folder"

    def start(self, run: RunInfo) -> None:
        for name, value in REQUEST_LIMITS.items():
            os.environ.setdefault(name, value)
        try:
            from mlflow import entities
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise MissingPackage("mlflow-skinny", "mlflow", "the tracker mlflow") from None
        self.info, self.entities = run, entities
        folder = run.folder.resolve()
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if uri:
            check_server(uri)
        self.client: Any = MlflowClient(tracking_uri=uri or f"sqlite:///{folder / 'mlflow.db'}")
        id_file = run.folder / "mlflow-id"
        if run.resumed_at and id_file.exists():
            self.run_id = id_file.read_text().strip()
            self.client.update_run(self.run_id, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "glyphline")
        experiment = self.client.get_experiment_by_name(name)
        location = None if uri else (folder / "mlflow-artifacts").as_uri()
        experiment_id = experiment.experiment_id if experiment else self.client.create_experiment(name, location)
        tags = {
            "group": run.group, "tags": ", ".join(run.tags), "mlflow.note.content": run.command,
            "mlflow.source.name": "glyphline train", "mlflow.source.git.commit": run.environment.get("git", ""),
            **{f"environment.{key}": value for key, value in run.environment.items()},
        }  # fmt: skip
        self.run_id = self.client.create_run(experiment_id, run_name=run.name, tags=tags).info.run_id
        id_file.write_text(self.run_id)
        self._log_settings(run)

    def _log_settings(self, run: RunInfo) -> None:
        """Record the recipe as parameters, its data as the input of the run, and the files that describe the run."""
        settings = flatten_settings(run.recipe.to_dict()).items()
        params = [self.entities.Param(key, str(value)[:PARAM_LENGTH]) for key, value in settings]
        for start in range(0, len(params), PARAMS_A_REQUEST):
            self.client.log_batch(self.run_id, params=params[start : start + PARAMS_A_REQUEST])
        digest = str(run.data.get("sentences", {}).get("train", ["", ""])[1])[:16] or "unknown"
        source, profile = json.dumps(run.recipe.to_dict()["lines"]), json.dumps(run.data)
        lines = self.entities.Dataset(f"lines of {run.group}", digest, "code", source, profile=profile)
        context = self.entities.InputTag("mlflow.data.context", "training")
        self.client.log_inputs(self.run_id, [self.entities.DatasetInput(lines, [context])])
        self.client.log_dict(self.run_id, run.data, "data/lines.json")
        for file in run.description_files:
            self.client.log_artifact(self.run_id, str(file), "run")

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
        self.log_metrics(int(summary.get("steps", 0)), {f"summary/{name}": value for name, value in summary.items()})

    def log_artifact(self, path: Path) -> None:
        self.client.log_artifact(self.run_id, str(path), "model")

    def finish(self, completed: bool) -> None:
        self.client.set_terminated(self.run_id, "FINISHED" if completed else "KILLED")
