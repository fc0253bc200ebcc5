"""The tracker of Weights & Biases."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glyphline.errors import GlyphlineError, MissingPackage
from glyphline.training.trackers.contract import (
    ChangedEnvironment,
    Metrics,
    Prediction,
    RunInfo,
    Tracker,
    check_server,
    confusion_matrix,
    length_metrics,
)
from glyphline.training.trackers.wandb_records import wait_for_exit
from glyphline.training.validation import ErrorSummary

#: where wandb keeps the files of artifacts, which are the pictures of tables too, until they are uploaded
STORAGE_VARIABLES = ("WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR", "WANDB_CACHE_DIR")
START_SECONDS = 30  # in which the server must have the run before the training starts
TAG_LENGTH = 64  # characters, W&B's own limit
FINISH_SECONDS = 300.0  # in which the last uploads must end; WANDB_FINISH_TIMEOUT overrides it
WRITE_SECONDS = 60.0  # in which the last records of an offline run must be in its file
REPETITIONS = 10  # of a request that fails, within these seconds; wandb's own 17 minutes also hold up the end of a run
PACKAGE_FOLDER = Path(__file__).parents[2]


class WandbTracker(Tracker):
    """Records a run with Weights & Biases.

    The run is online when WANDB_API_KEY is set, otherwise offline; WANDB_MODE overrides both. `wandb sync` uploads an
    offline run later. The project is WANDB_PROJECT, by default glyphline. The file wandb-id in the run folder holds the
    id under which a resumed run continues.

    All files of an offline run are inside the run folder, and the records name them by paths relative to it: a copy of
    the folder is synced from within it.
    """

    help = "Weights & Biases; offline unless WANDB_API_KEY is set or WANDB_MODE=online"

    def start(self, run: RunInfo) -> None:
        try:
            import wandb
        except ImportError:
            raise MissingPackage("wandb", "train", "the tracker wandb") from None
        self.wandb: Any = wandb
        self.run: Any = None
        self.info, self.last_step = run, run.resumed_at
        mode = os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")
        self.offline = mode == "offline"
        if mode == "online":
            address = self.wandb.setup().settings.base_url
            check_server("W&B", address, "start it, correct WANDB_BASE_URL, or set WANDB_MODE=offline")
        storage = str(run.folder.resolve() / "wandb" / "storage")
        self.environment = ChangedEnvironment(dict.fromkeys(STORAGE_VARIABLES, storage) if self.offline else {})
        id_file = run.folder / "wandb-id"
        continues = bool(run.resumed_at) and id_file.exists()
        run_id = id_file.read_text().strip() if id_file.exists() else uuid.uuid4().hex[:8]
        limit = float(os.environ.get("WANDB_FINISH_TIMEOUT", FINISH_SECONDS))
        longest_wait = max(1, round(limit / REPETITIONS))  # wandb takes whole seconds
        self.run = self.wandb.init(
            project=os.environ.get("WANDB_PROJECT", "glyphline"), name=run.name, group=run.group,
            job_type=run.job_type, tags=[tag[:TAG_LENGTH] for tag in run.tags], id=run_id, resume="allow",
            dir=str(run.folder), config=run.settings, mode=mode,
            settings=self.wandb.Settings(
                silent=True, console="off", init_timeout=START_SECONDS, finish_timeout_raises=True,
                finish_timeout=limit, x_graphql_retry_max=REPETITIONS,
                x_graphql_retry_wait_min_seconds=min(2, longest_wait), x_graphql_retry_wait_max_seconds=longest_wait,
            ),
        )  # fmt: skip
        if self.offline:
            # Tables and code log artifacts of their own through this method; their files must be relative as well.
            self._log_run_artifact, self.run._log_artifact = self.run._log_artifact, self._log_offline_artifact
        elif mode == "online":
            # It asks the server for the type of each artifact and waits; with the server gone, 20 s for each table.
            self.run._assert_can_log_artifact = lambda artifact: None
        for name, best in (("val_loss", "min"), ("val_cer", "min"), ("val_wer", "min"), ("val_exact", "max")):
            self.run.define_metric(name, summary=best)
        if mode != "disabled":
            self.run.log_code(str(PACKAGE_FOLDER), name=f"source-{run_id}")
            if not continues:
                self._log_data(run)
            id_file.write_text(run_id)

    def _log_offline_artifact(self, artifact: Any, *arguments: Any, **options: Any) -> Any:
        """Log an artifact of an offline run with the paths of its files relative to the run folder."""
        folder = self.info.folder.resolve()
        for entry in artifact.manifest.entries.values():
            if entry.local_path is not None:
                entry.local_path = os.path.relpath(entry.local_path, folder)
        return self._log_run_artifact(artifact, *arguments, **options)

    def _log_data(self, run: RunInfo) -> None:
        """Record the data of the run: glyphs, sentences and the settings of the lines. The run uses this artifact."""
        artifact = self.wandb.Artifact(f"lines-{self.run.id}", type="dataset", metadata=run.data)
        with artifact.new_file("lines.json") as file:
            json.dump(run.data, file, indent=1)
        # run.use_artifact makes this call too, but refuses to offline, and online waits for the server without a limit.
        self.run._log_artifact(artifact, is_user_created=True, use_after_commit=True)

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        self.last_step = step
        self.run.log(metrics, step=step)

    def log_predictions(self, step: int, predictions: Sequence[Prediction]) -> None:
        table = self.wandb.Table(columns=["line", "truth", "read", "cer"])
        for prediction in predictions:
            table.add_data(self.wandb.Image(prediction.image), prediction.truth, prediction.text, prediction.cer)
        self.run.log({"predictions": table}, step=step)

    def log_errors(self, step: int, errors: ErrorSummary) -> None:
        names, counts = confusion_matrix(errors)
        cells = [(row, column) for row, column in zip(*counts.nonzero(), strict=True)]
        truths = [int(row) for row, column in cells for _ in range(counts[row, column])]
        texts = [int(column) for row, column in cells for _ in range(counts[row, column])]
        lengths = self.wandb.Table(
            columns=["shortest", "longest", "lines", "cer"], data=[list(row) for row in errors.lengths]
        )
        characters = self.wandb.Table(
            columns=["character", "errors", "in the truths"], data=[list(row) for row in errors.characters]
        )
        matrix = self.wandb.plot.confusion_matrix(
            y_true=truths, preds=texts, class_names=names, title="Characters read, by the true character"
        )
        tables = {"errors_by_length": lengths, "errors_by_character": characters, "confusions": matrix}
        self.run.log(tables, step=max(self.last_step, self.run.step))  # wandb takes no step before its last one
        self.run.summary.update(length_metrics(errors))

    def log_summary(self, summary: Metrics) -> None:
        self.run.summary.update(summary)

    def log_artifact(self, step: int, path: Path) -> None:
        lineage = {"data": self.info.data, "recipe": self.info.recipe.to_dict(), "lines": f"lines-{self.run.id}"}
        artifact = self.wandb.Artifact(f"reader-{self.run.id}", type="model", metadata=lineage)
        for file in (path, *self.info.description_files):
            artifact.add_file(str(file))
        self.run.log_artifact(artifact)

    def finish(self, completed: bool) -> None:
        try:
            if self.run is not None:
                self.run.finish(exit_code=0 if completed else 1)
                if self.offline:
                    self._wait_for_records(Path(self.run.settings.sync_file))
        except TimeoutError:
            raise GlyphlineError(
                f"the server has not taken all records: `wandb sync {self.info.folder}/wandb/run-*` uploads them later"
            ) from None
        finally:
            self.environment.restore()

    @staticmethod
    def _wait_for_records(path: Path) -> None:
        """Wait for the last records of an offline run, so that a copy of its folder is complete."""
        try:
            complete = wait_for_exit(path, WRITE_SECONDS)
        except OSError as error:
            raise GlyphlineError(f"{path} cannot be read ({error.strerror or error}): its records are lost") from None
        if not complete:
            raise GlyphlineError(
                f"wandb has not written the last records to {path}: copy it and sync it when the file ends growing"
            )
