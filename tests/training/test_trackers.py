"""Trackers: each records a whole run, and none can stop it by raising."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from glyphline.errors import UserError
from glyphline.recipe import Recipe, recipe_from
from glyphline.training.runs import LAST_CHECKPOINT
from glyphline.training.sweep import ArmRecipe, SweepRecipe, make_trial
from glyphline.training.trackers import (
    TRACKERS,
    CsvTracker,
    Metrics,
    Prediction,
    RunInfo,
    Tracker,
    Trackers,
    TrialInfo,
)
from glyphline.training.trackers.contract import confusion_matrix
from glyphline.training.trackers.wandb import PACKAGE_FOLDER
from glyphline.training.trackers.wandb_records import find_run_files, read_history, read_records, wait_for_exit
from glyphline.training.train import train
from glyphline.training.trials import describe_trial, run_trial
from glyphline.training.validation import ErrorSummary, summarize_errors
from wandb_server import serve_wandb_until

TinyRecipe = Callable[..., Recipe]
ROOT = Path(__file__).parents[2]

PREDICTIONS = [
    Prediction(np.zeros((28, 60), np.uint8), "a|b", "a b", 1 / 3),
    Prediction(np.full((28, 7), 255, np.uint8), "", "x", 1.0),
    *(Prediction(np.full((28, 9 + k), k, np.uint8), "ab", "ab", 0.0) for k in range(14)),  # 16, as training gives
]


ERRORS = summarize_errors(["ab", "a"], ["aa", ""])


def make_run_info(folder: Path, resumed_at: int = 0, trial: TrialInfo | None = None, epochs: int = 60) -> RunInfo:
    recipe = recipe_from({"name": "tiny", "lines": {"length": [4, 6]}, "training": {"epochs": epochs}})
    data = {"glyphs": {"strokes": 94}, "sentences": {"train": [500, "0123456789abcdef"]}}
    command = f"glyphline train tiny.yaml --set training.epochs={epochs}"
    return RunInfo(folder, recipe, command, {"python": "3", "git": "abc"}, data, resumed_at, trial)


def track_run(trackers: Trackers, run: RunInfo, model: Path, first_step: int = 1) -> None:
    trackers.start(run)
    trackers.log_metrics(first_step, {"loss": 3.5, "learning_rate": 1e-3})
    trackers.log_metrics(first_step + 19, {"val_loss": 2.5, "val_cer": 0.5, "epoch": 0.0})
    trackers.log_predictions(first_step + 19, PREDICTIONS)
    trackers.commit()
    trackers.log_metrics(first_step + 39, {"loss": 3.0})  # after the last checkpoint
    trackers.log_summary({"best_val_cer": 0.5, "steps": first_step + 19})
    trackers.log_errors(first_step + 19, ERRORS)
    trackers.log_artifact(first_step + 19, model)
    trackers.finish(completed=True)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "best.pt"
    path.write_bytes(b"weights")
    return path


@pytest.fixture(autouse=True)
def use_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb-home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


# --------------------------------------------------------------------------------------------------------- the contract


SLOW = ("wandb", "mlflow")  # a process of its own, a database to create


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in TRACKERS])
def test_every_tracker_records_a_run_and_its_continuation(name: str, tmp_path: Path, model: Path) -> None:
    if name in ("wandb", "tensorboard", "mlflow"):
        pytest.importorskip(name)
    folder = tmp_path / "run"
    folder.mkdir()
    for resumed_at in (0, 20):  # a run, then the same run resumed
        reports: list[str] = []
        trackers = Trackers([name], reports.append)
        track_run(trackers, make_run_info(folder, resumed_at), model, resumed_at + 1)
        assert reports == [] and list(trackers.members) == [name]
    assert any(folder.iterdir()) == (name != "none")


@pytest.mark.parametrize("name", TRACKERS)
def test_every_tracker_has_a_help_text(name: str) -> None:
    assert TRACKERS[name].help and issubclass(TRACKERS[name], Tracker)


def test_unknown_tracker_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match='no tracker "tensorbord"; did you mean "tensorboard"'):
        Trackers(["csv", "tensorbord"])


@pytest.mark.parametrize(
    "package, name, extra",
    [("wandb", "wandb", "train"), ("torch.utils.tensorboard", "tensorboard", "train"), ("mlflow", "mlflow", "mlflow")],
)
def test_missing_package_is_reported_with_the_install_command(
    package: str, name: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    reports: list[str] = []
    Trackers([name], reports.append).start(make_run_info(tmp_path))
    assert len(reports) == 1 and f'pip install "glyphline[{extra}]"' in reports[0]


# ------------------------------------------------------------------------------------------------------ runs of a sweep


def test_trial_is_grouped_by_its_sweep_and_found_by_arm_and_seed(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    sweep = SweepRecipe("tiny.yaml", {"sgd-2": ArmRecipe({"training.optimizer": "sgd"})}, name="ideas")
    trial = make_trial(sweep, tiny_recipe(), "sgd-2", sweep.arms["sgd-2"].changes, 1, tmp_path)
    assert describe_trial(trial) == TrialInfo("ideas", "sgd-2", 1)
    run = make_run_info(trial.folder, trial=describe_trial(trial))
    assert (run.group, run.job_type, run.tags[-2:]) == ("ideas", "sgd-2", ["arm:sgd-2", "seed:1"])
    assert run.settings["trial"] == {"sweep": "ideas", "arm": "sgd-2", "seed": 1}
    alone = make_run_info(trial.folder)
    assert (alone.group, alone.job_type) == ("tiny", "train") and "trial" not in alone.settings


def test_trackers_of_a_trial_are_told_its_place_in_the_sweep(
    tiny_recipe: TinyRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[RunInfo] = []

    class StartTracker(Tracker):
        def start(self, run: RunInfo) -> None:
            runs.append(run)

    monkeypatch.setitem(TRACKERS, "start", StartTracker)
    sweep = SweepRecipe("tiny.yaml", {"sgd": ArmRecipe({"training.optimizer": "sgd"})}, name="ideas")
    trial = make_trial(sweep, tiny_recipe(training__epochs=1), "sgd", {}, 0, tmp_path)
    run_trial(trial, 1, trackers=["start"], report=lambda text: None)
    assert [run.trial for run in runs] == [TrialInfo("ideas", "sgd", 0)]


# ------------------------------------------------------------------------------------------------------------------ csv


def read_rows(folder: Path) -> list[tuple[int, str, float]]:
    """The rows of metrics.csv: step, name, value."""
    with (folder / "metrics.csv").open(newline="") as rows:
        return [(int(row["step"]), row["name"], float(row["value"])) for row in csv.DictReader(rows)]


def test_csv_keeps_every_value_exactly(tmp_path: Path) -> None:
    metrics = {"a": 0.1 + 0.2, "b": 1e-300, "c": 12345678.9, "d": float("inf")}
    tracker = CsvTracker()
    tracker.start(make_run_info(tmp_path))
    tracker.log_metrics(7, metrics)
    tracker.log_metrics(8, {"a": 1})
    assert read_rows(tmp_path) == [*((7, name, value) for name, value in metrics.items()), (8, "a", 1.0)]


def test_csv_of_a_resumed_run_drops_rows_after_the_checkpoint(tmp_path: Path) -> None:
    tracker = CsvTracker()
    tracker.start(make_run_info(tmp_path))
    for step in (1, 10, 11, 12):
        tracker.log_metrics(step, {"val_loss": float(step), "watch_cer": 0.1})
    with (tmp_path / "metrics.csv").open("a") as out:
        out.write("13,val_l")  # a row cut short by a kill
    resumed = CsvTracker()
    resumed.start(make_run_info(tmp_path, resumed_at=10))
    resumed.log_metrics(11, {"val_loss": 0.5})
    before = [
        (step, name, value) for step in (1, 10) for name, value in (("val_loss", float(step)), ("watch_cer", 0.1))
    ]
    assert read_rows(tmp_path) == [*before, (11, "val_loss", 0.5)]


def test_csv_of_a_new_run_drops_the_rows_of_an_old_run(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,name,value\n1,loss,2.0\n")
    CsvTracker().start(make_run_info(tmp_path))
    assert read_rows(tmp_path) == []


# ----------------------------------------------------------------------------------------------------- several trackers


class RecordingTracker(Tracker):
    """Keeps the calls it receives, at once."""

    rewinds = True

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def start(self, run: RunInfo) -> None:
        self.calls.append(("start", run.name))

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        self.calls.append((step, metrics))

    def log_summary(self, summary: Metrics) -> None:
        self.calls.append("summary")

    def log_errors(self, step: int, errors: ErrorSummary) -> None:
        self.calls.append(("errors", step))

    def log_artifact(self, step: int, path: Path) -> None:
        self.calls.append(("artifact", step))

    def finish(self, completed: bool) -> None:
        self.calls.append("finish")


class FailingTracker(RecordingTracker):
    """Raises at its first table of predictions."""

    def log_predictions(self, step: int, predictions: Any) -> None:
        raise RuntimeError("the server is gone")


def test_failing_tracker_is_dropped_with_one_message(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TRACKERS, "failing", FailingTracker)
    monkeypatch.setitem(TRACKERS, "recording", RecordingTracker)
    reports: list[str] = []
    trackers = Trackers(["failing", "recording"], reports.append)
    failing, recording = (trackers.members[name] for name in ("failing", "recording"))
    track_run(trackers, make_run_info(tmp_path), model)
    assert list(trackers.members) == ["recording"]
    assert len(reports) == 1 and "\n" not in reports[0]
    assert "failing" in reports[0] and "the server is gone" in reports[0]
    assert isinstance(failing, FailingTracker) and isinstance(recording, RecordingTracker)
    assert [recording.calls[0], recording.calls[-1]] == [("start", tmp_path.name), "finish"]
    assert failing.calls == [*recording.calls[:3], "finish"]  # no other call after the failure


def test_interrupt_in_a_tracker_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    class InterruptedTracker(Tracker):
        rewinds = True

        def log_metrics(self, step: int, metrics: Metrics) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(TRACKERS, "interrupted", InterruptedTracker)
    with pytest.raises(KeyboardInterrupt):
        Trackers(["interrupted"]).log_metrics(0, {})


def test_tracker_named_twice_is_called_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRACKERS, "recording", RecordingTracker)
    trackers = Trackers(["recording", "recording"])
    trackers.log_metrics(1, {"loss": 1.0})
    (member,) = trackers.members.values()
    assert isinstance(member, RecordingTracker) and member.calls == [(1, {"loss": 1.0})]


def test_records_wait_for_the_checkpoint_where_a_tracker_cannot_rewind(monkeypatch: pytest.MonkeyPatch) -> None:
    class PatientTracker(RecordingTracker):
        rewinds = False

    monkeypatch.setitem(TRACKERS, "patient", PatientTracker)
    monkeypatch.setitem(TRACKERS, "recording", RecordingTracker)
    trackers = Trackers(["patient", "recording"])
    patient, recording = trackers.members.values()
    trackers.log_metrics(1, {"loss": 1.0})
    assert (patient.calls, recording.calls) == ([], [(1, {"loss": 1.0})])  # type: ignore[attr-defined]
    trackers.commit()
    trackers.log_metrics(2, {"loss": 2.0})
    trackers.finish(completed=False)
    assert patient.calls == [(1, {"loss": 1.0}), "finish"]  # type: ignore[attr-defined]
    assert recording.calls == [(1, {"loss": 1.0}), (2, {"loss": 2.0}), "finish"]  # type: ignore[attr-defined]


def test_record_of_a_runs_end_is_logged_once_for_each_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ended at step 20 is continued without a better epoch to step 40, then to step 60 with one."""
    monkeypatch.setitem(TRACKERS, "recording", RecordingTracker)
    monkeypatch.setitem(TRACKERS, "added", RecordingTracker)
    records: dict[str, list[Any]] = {"recording": [], "added": []}
    for names, resumed_at, steps, best in (
        (["recording", "csv"], 0, 20, 10), (["recording"], 20, 20, 10), (["recording", "added"], 20, 40, 10),
        (["recording", "added"], 40, 60, 50),
    ):  # fmt: skip
        trackers = Trackers(names)
        with trackers.track(make_run_info(tmp_path, resumed_at)):
            trackers.log_summary({"steps": steps})
            trackers.log_errors(best, ERRORS)
            trackers.log_artifact(best, tmp_path / "best.pt")
        for name, member in trackers.members.items():
            if isinstance(member, RecordingTracker):
                records[name] += member.calls[1:-1]
    last = ["summary", ("errors", 50), ("artifact", 50)]
    assert records["added"] == ["summary", ("errors", 10), ("artifact", 10), *last]
    assert records["recording"] == ["summary", ("errors", 10), ("artifact", 10), "summary", *last]
    assert "csv" not in json.loads((tmp_path / "tracked.json").read_text())


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), RuntimeError("a fault")])
def test_trackers_are_finished_however_a_run_ends(
    error: BaseException | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[bool] = []

    class EndTracker(Tracker):
        def finish(self, completed: bool) -> None:
            ends.append(completed)

    monkeypatch.setitem(TRACKERS, "end", EndTracker)
    with (
        nullcontext() if error is None else pytest.raises(type(error)),
        Trackers(["end"]).track(make_run_info(tmp_path)),
    ):
        if error is not None:
            raise error
    assert ends == [error is None]


def test_confusion_matrix_counts_every_character_once() -> None:
    truths, texts = ["abc a", "bcd"], ["abd a", "bbcd"]
    names, counts = confusion_matrix(summarize_errors(truths, texts))
    assert counts[names.index("c"), names.index("d")] == 1 and counts[names.index("a"), names.index("a")] == 2
    assert counts[:-1].sum() == len("".join(truths))  # the last row holds insertions
    assert counts[-1].sum() == 1 and names[-1] == "nothing" and "space" in names


def test_errors_by_length_cover_every_line() -> None:
    truths = ["a" * n for n in range(1, 41)]
    errors = summarize_errors(truths, [text[:-1] for text in truths])
    assert sum(lines for _, _, lines, _ in errors.lengths) == 40
    assert [low for low, _, _, _ in errors.lengths][1:] == [high + 1 for _, high, _, _ in errors.lengths][:-1]
    low, high, _, cer = errors.lengths[0]
    assert cer == pytest.approx((high - low + 1) / sum(range(low, high + 1)))
    assert errors.characters == (("a", 40, sum(range(1, 41))),)
    assert summarize_errors([], []) == ErrorSummary((), (), ())


# --------------------------------------------------------------------------------------------------- records read back


def test_tensorboard_files_hold_everything_and_no_step_twice(tmp_path: Path, model: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    (tmp_path / "requirements.txt").write_text("numpy==2\n")
    track_run(Trackers(["tensorboard"]), make_run_info(tmp_path), model)
    for path in (tmp_path / "tensorboard").iterdir():  # named by the second, which may be that of the resumed run
        path.rename(path.with_name(path.name.replace("tfevents.", "tfevents.0")))
    track_run(Trackers(["tensorboard"]), make_run_info(tmp_path, resumed_at=20), model, 21)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("val_cer")] == [(20, 0.5), (40, 0.5)]
    assert [e.step for e in events.Scalars("loss")] == [1, 21, 60]  # 40, after the first run's checkpoint, is gone
    assert {f"lines/{k}" for k in range(len(PREDICTIONS))} | {"confusions"} == set(events.Tags()["images"])

    def read_text(name: str) -> str:
        return events.Tensors(f"{name}/text_summary")[-1].tensor_proto.string_val[0].decode()

    assert "| training.epochs | 60 |" in read_text("run") and "numpy==2\n" in read_text("run")
    assert read_text("predictions").splitlines()[2:4] == ["| 0 | a\\|b | a b | 33.3% |", "| 1 |  | x | 100.0% |"]
    assert "| best_val_cer | 0.5 |" in read_text("summary") and "`best.pt`" in read_text("model")
    rows = [f"| {character} | {wrong} | {total} |" for character, wrong, total in ERRORS.characters]
    assert rows and read_text("errors_by_character").splitlines()[2:] == rows
    assert {"cer_of_length/001-001", "cer_of_length/002-002"} <= set(events.Tags()["scalars"])


@pytest.fixture
def fake_wandb(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """A package wandb whose calls are recorded."""
    wandb = MagicMock()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    return wandb


def test_wandb_added_on_resume_records_the_data_once(fake_wandb: MagicMock, tmp_path: Path) -> None:
    for count, resumed_at in enumerate([20, 30, 40], 1):  # csv alone until step 20
        Trackers(["wandb"]).start(make_run_info(tmp_path, resumed_at))
        assert [call.kwargs["type"] for call in fake_wandb.Artifact.call_args_list] == ["dataset"]
        assert fake_wandb.init.call_count == fake_wandb.init.return_value.log_code.call_count == count
    assert len({call.kwargs["id"] for call in fake_wandb.init.call_args_list}) == 1


def test_wandb_gets_the_place_of_a_trial_and_no_tag_that_it_refuses(fake_wandb: MagicMock, tmp_path: Path) -> None:
    run = make_run_info(tmp_path, trial=TrialInfo("ideas", "a" * 80, 1))
    Trackers(["wandb"]).start(run)
    options = fake_wandb.init.call_args.kwargs
    assert (options["group"], options["job_type"]) == ("ideas", "a" * 80) and "seed:1" in options["tags"]
    assert max(map(len, options["tags"])) == 64


def test_wandb_that_does_not_start_leaves_nothing_behind(fake_wandb: MagicMock, tmp_path: Path) -> None:
    before = dict(os.environ)
    fake_wandb.init.side_effect = RuntimeError("timed out")
    Trackers(["wandb"], lambda text: None).start(make_run_info(tmp_path))
    assert dict(os.environ) == before and not (tmp_path / "wandb-id").exists()


def test_records_are_waited_for_until_the_exit(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    records = [Record(num=1), Record(num=2)]
    records[0].run.run_id = "r"
    records[1].exit.exit_code = 0
    framed = [
        bytes(4) + len(data).to_bytes(2, "little") + b"\1" + data for data in map(Record.SerializeToString, records)
    ]
    whole, path = b":W&B\0\0\0" + b"".join(framed), tmp_path / "run.wandb"
    path.write_bytes(whole[:-1])
    assert [record.num for record in read_records(path)] == [1] and not wait_for_exit(path, 0.1)
    writer = Timer(0.1, path.write_bytes, [whole])
    writer.start()
    assert wait_for_exit(path, 10)
    assert [record.num for record in read_records(path)] == [1, 2]
    with pytest.raises(FileNotFoundError):
        wait_for_exit(tmp_path / "none.wandb", 1)


@pytest.mark.slow
def test_copied_offline_wandb_run_is_complete(tmp_path: Path, model: Path) -> None:
    pytest.importorskip("wandb")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.yaml").write_text("name: tiny\n")
    track_run(Trackers(["wandb"]), make_run_info(folder), model)
    assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "wandb-home")  # as it was before
    assert not list((tmp_path / "wandb-home").rglob("staging"))
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(folder, copy)
    shutil.rmtree(folder)
    model.unlink()
    (path,) = find_run_files(copy)
    records = list(read_records(path))
    kinds = Counter(record.WhichOneof("record_type") for record in records)
    assert kinds["run"] == kinds["exit"] == 1 and kinds["history"] == 2
    run = next(record.run for record in records if record.WhichOneof("record_type") == "run")
    assert (run.display_name, run.run_group, run.project) == ("run", "tiny", "glyphline")
    assert {"natural", "conv", "mixer", "adamw", "strokes"} == set(run.tags)
    config = {item.key for item in run.config.update}
    assert {"lines", "network", "training", "command", "environment", "data"} <= config
    summary = {item.key: item.value_json for record in records for item in record.summary.update}
    assert json.loads(summary["best_val_cer"]) == 0.5 and "cer_of_length/001-001" in summary
    artifacts = {record.artifact.name.rpartition("-")[0] or record.artifact.name: record.artifact for record in records
                 if record.WhichOneof("record_type") == "artifact"}  # fmt: skip
    assert Counter(artifact.type for artifact in artifacts.values()) >= Counter(dataset=1, model=1)
    contents = {record.artifact.type: {entry.path for entry in record.artifact.manifest.contents} for record in records
                if record.artifact.type in ("dataset", "model")}  # fmt: skip
    assert contents == {"dataset": {"lines.json"}, "model": {"best.pt", "recipe.yaml"}}
    uses = {record.artifact.type: record.artifact.use_after_commit for record in records if record.artifact.type}
    assert uses == {"code": False, "dataset": True, "model": False, "run_table": False}  # the data are an input
    (code,) = (r.artifact for r in records if r.artifact.type == "code")
    sources = {str(path.relative_to(PACKAGE_FOLDER)) for path in PACKAGE_FOLDER.rglob("*.py")}
    assert {entry.path for entry in code.manifest.contents} == sources
    tables = [a for a in (r.artifact for r in records) if a.type == "run_table"]
    names = {name.removeprefix(f"run-{run.run_id}-") for name in (table.name for table in tables)}
    assert names == {"predictions", "errors_by_length", "errors_by_character", "confusions_table"}
    pictures = [e.path for table in tables for e in table.manifest.contents if e.path.endswith(".png")]
    assert len(pictures) == len(PREDICTIONS)
    for record in records:
        for entry in record.artifact.manifest.contents:  # `wandb sync` is called from within the copied folder
            assert not os.path.isabs(entry.local_path) and (copy / entry.local_path).stat().st_size == entry.size
        for file in record.files.files:
            assert (path.parent / "files" / file.path).is_file()
    staged = next(e for r in records for e in r.artifact.manifest.contents if e.path == "best.pt")
    assert (copy / staged.local_path).read_bytes() == b"weights"


class InterruptingTracker(Tracker):
    """Interrupts the run in the middle of the third epoch of the tiny recipe."""

    rewinds = True

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        if step == 25:
            raise KeyboardInterrupt


def recorded_rows(name: str, folder: Path) -> list[tuple[int, str]]:
    """(step, name) of every metric, table and image that a tracker has recorded of a run."""
    if name == "csv":
        return [row[:2] for row in read_rows(folder)]
    if name == "wandb":
        return read_history(folder)
    if name == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder / "tensorboard"))
        events.Reload()
        rows = [(e.step, tag) for tag in events.Tags()["scalars"] for e in events.Scalars(tag)]
        rows += [(e.step, tag) for tag in events.Tags()["images"] for e in events.Images(tag)]
        texts = [tag for tag in events.Tags()["tensors"] if tag != "run/text_summary"]  # that is of a start
        return rows + [(e.step, tag) for tag in texts for e in events.Tensors(tag)]
    from mlflow.tracking import MlflowClient

    client, run = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}"), (folder / "mlflow-id").read_text()
    metrics = client.get_run(run).data.metrics
    return [(m.step, metric) for metric in metrics for m in client.get_metric_history(run, metric)]


NEEDED_PACKAGES = {"wandb": ["wandb"], "tensorboard": ["tensorboard"], "mlflow": ["mlflow", "sqlalchemy"]}
RECORDING_TRACKERS = [
    name for name in TRACKERS if name != "none" and all(map(find_spec, NEEDED_PACKAGES.get(name, ())))
]


@pytest.mark.slow
def test_no_step_is_logged_twice_after_an_interruption_within_an_epoch(
    tiny_recipe: TinyRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TRACKERS, "interrupting", InterruptingTracker)
    monkeypatch.setattr("glyphline.training.train.LOG_INTERVAL", 5)
    folder = tmp_path / "run"
    options: dict[str, Any] = {"progress": False, "report": lambda text: None}
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train(tiny_recipe(), folder, trackers=[*RECORDING_TRACKERS, "interrupting"], **options)
    assert (folder / LAST_CHECKPOINT).exists() and (25, "loss") in recorded_rows("csv", folder)
    train(tiny_recipe(), folder, trackers=RECORDING_TRACKERS, resume=True, **options)
    expected = {(step, "loss") for step in (1, 5, 10, 15, 20, 25, 30, 35, 40)}
    expected |= {(step, "val_cer") for step in (10, 20, 30, 40)} | {(s, "gradient_norm") for s, _ in expected}
    assert len(find_run_files(folder)) == 2
    for name in RECORDING_TRACKERS:
        rows = recorded_rows(name, folder)
        assert len(set(rows)) == len(rows) and expected <= set(rows), name


@pytest.mark.slow
def test_no_step_is_logged_twice_when_a_finished_run_is_continued(
    tiny_recipe: TinyRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is continued without a better epoch, then with no epoch left. An added tracker gets the errors of the best."""
    monkeypatch.setattr("glyphline.training.train.ctc_loss", lambda log_probs, *_: log_probs.sum() * 0 + 1)
    first_trackers = [name for name in RECORDING_TRACKERS if name != "tensorboard"]
    reports: list[str] = []
    for trackers, epochs in ((first_trackers, 1), (RECORDING_TRACKERS, 2), (RECORDING_TRACKERS, 2)):
        train(
            tiny_recipe(training__epochs=epochs), tmp_path, resume=trackers is RECORDING_TRACKERS, trackers=trackers,
            progress=False, report=reports.append,
        )  # fmt: skip
    assert not [text for text in reports if "stopped" in text]
    for name in RECORDING_TRACKERS:
        rows = recorded_rows(name, tmp_path)
        assert len(set(rows)) == len(rows), name
        assert {(20, "val_cer")} <= set(rows) and ((10, "val_cer") in rows) == (name != "tensorboard")
    assert {step for step, name in recorded_rows("tensorboard", tmp_path) if name == "confusions"} == {10}
    tables = [row for row in recorded_rows("wandb", tmp_path) if row[1].startswith("errors_by_")]
    assert tables == [(10, "errors_by_character"), (10, "errors_by_length")]


# --------------------------------------------------------------------------------------------------------------- mlflow


def free_port() -> int:
    with closing(socket.socket()) as connection:
        connection.bind(("127.0.0.1", 0))
        return int(connection.getsockname()[1])


@pytest.fixture
def mlflow_process(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and the process of an MLflow server with an SQLite store."""
    for package in ("mlflow", "flask", "sqlalchemy", "pandas"):
        pytest.importorskip(package, reason='needs an MLflow server: pip install "glyphline[dev]"')
    requests = pytest.importorskip("requests")
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}",
        "--artifacts-destination", str(tmp_path / "artifacts"), "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            for _ in range(240):
                try:
                    assert requests.get(f"{address}/health", timeout=2).ok
                    break
                except (OSError, AssertionError):
                    assert server.poll() is None, (tmp_path / "server.log").read_text()
                    time.sleep(0.5)
            yield address, server
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)
                server.wait(20)


@pytest.fixture
def mlflow_server(mlflow_process: tuple[str, subprocess.Popen[bytes]]) -> str:
    """The address of an MLflow server."""
    return mlflow_process[0]


@pytest.mark.slow
def test_mlflow_server_holds_everything(
    mlflow_server: str, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.yaml").write_text("name: tiny\n")
    reports: list[str] = []
    track_run(Trackers(["mlflow"], reports.append), make_run_info(folder), model)
    (folder / "recipe-1.yaml").write_text("name: tiny\n")
    track_run(Trackers(["mlflow"], reports.append), make_run_info(folder, resumed_at=20, epochs=80), model, 21)
    assert reports == []
    client = MlflowClient(mlflow_server)
    experiment = client.get_experiment_by_name("glyphline")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "run" and run.info.status == "FINISHED"
    assert run.data.params["lines.length"] == "[4, 6]" and run.data.params["network.encoder"] == "conv"
    assert run.data.tags["group"] == "tiny" and run.data.tags["mlflow.source.git.commit"] == "abc"
    assert (run.data.params["training.epochs"], run.data.tags["resumed.training.epochs"]) == ("60", "80")
    assert [tag for tag in run.data.tags if tag.startswith("resumed.")] == ["resumed.training.epochs"]
    assert [text[-2:] for text in run.data.tags["mlflow.note.content"].split("\n\n")] == ["60", "80"]
    history = client.get_metric_history(run.info.run_id, "loss")
    assert sorted((m.step, m.value) for m in history) == [(1, 3.5), (21, 3.5)]
    assert {"val_cer", "summary/best_val_cer", "cer_of_length/001-001"} <= run.data.metrics.keys()
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.digest == "0123456789abcdef" and json.loads(data.dataset.profile)["glyphs"] == {"strokes": 94}
    artifacts = {file.path for part in ("data", "run", "predictions", "errors", "model")
                 for file in client.list_artifacts(run.info.run_id, part)}  # fmt: skip
    assert artifacts == {
        "data/lines.json", "run/recipe.yaml", "run/recipe-1.yaml",
        "predictions/step-0000020.html", "predictions/step-0000040.html",
        "errors/errors.json", "errors/confusions.png", "model/best.pt",
    }  # fmt: skip
    page = Path(client.download_artifacts(run.info.run_id, "predictions/step-0000020.html", str(tmp_path)))
    assert page.read_text().count("data:image/png;base64,") == len(PREDICTIONS)


@pytest.mark.slow
def test_mlflow_run_in_a_moved_folder_keeps_its_artifacts_there(tmp_path: Path, model: Path) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    from mlflow.tracking import MlflowClient
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

    folder, moved = tmp_path / "run", tmp_path / "elsewhere" / "moved"
    folder.mkdir()
    reports: list[str] = []
    track_run(Trackers(["mlflow"], reports.append), make_run_info(folder), model)
    moved.parent.mkdir()
    folder.rename(moved)
    _artifact_repos_cache.clear()  # as in another process
    track_run(Trackers(["mlflow"], reports.append), make_run_info(moved, resumed_at=20), model, 21)
    assert reports == [] and not folder.exists()
    client, run = MlflowClient(f"sqlite:///{moved / 'mlflow.db'}"), (moved / "mlflow-id").read_text()
    files = {file.path for file in client.list_artifacts(run, "predictions")}
    assert files == {"predictions/step-0000020.html", "predictions/step-0000040.html"}
    (experiment,) = client.search_experiments(filter_string="name = 'glyphline'")
    assert experiment.artifact_location == (moved / "mlflow-artifacts").as_uri()


@pytest.mark.slow
@pytest.mark.parametrize("listening", [False, True], ids=["refuses", "is silent"])
def test_mlflow_server_that_does_not_answer_ends_tracking_within_seconds(
    listening: bool, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        if listening:
            server.listen()  # accepts connections and never answers
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        reports: list[str] = []
        trackers = Trackers(["mlflow"], reports.append)
        started = time.monotonic()
        track_run(trackers, make_run_info(tmp_path), model)
        assert time.monotonic() - started < 12
    assert reports == [
        f"tracking with mlflow stopped (the MLflow server {address} does not answer: start it, or correct "
        "MLFLOW_TRACKING_URI); the run goes on without it"
    ]
    assert trackers.members == {}


@pytest.mark.slow
def test_training_goes_on_when_its_mlflow_server_goes_away(
    mlflow_process: tuple[str, subprocess.Popen[bytes]],
    tiny_recipe: TinyRecipe,
    finished_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, server = mlflow_process

    class ServerKiller(Tracker):
        rewinds = True

        def log_metrics(self, step: int, metrics: Metrics) -> None:
            if step == 20 and server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait(20)

    monkeypatch.setitem(TRACKERS, "killer", ServerKiller)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    before, started, reports = dict(os.environ), time.monotonic(), list[str]()
    result = train(
        tiny_recipe(), tmp_path / "run", trackers=["mlflow", "killer"], progress=False, report=reports.append
    )
    assert time.monotonic() - started < 60 and dict(os.environ) == before
    assert result["best"] == json.loads((finished_run / "result.json").read_text())["best"]
    (line,) = (text for text in reports if "stopped" in text)
    assert line.startswith("tracking with mlflow stopped (") and "\n" not in line


# ---------------------------------------------------------------------------------------------------------------- wandb


@pytest.mark.slow
@pytest.mark.parametrize(
    "last_request, reason",
    [(None, "correct WANDB_BASE_URL"), ("file_stream", "did not respond in time"), ("-predictions", "`wandb sync ")],
    ids=["is not there", "goes away at the start", "goes away after an epoch"],
)
def test_training_goes_on_without_its_wandb_server(
    last_request: str | None, reason: str, tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path
) -> None:
    pytest.importorskip("wandb")
    folder, recipe = tmp_path / "run", tmp_path / "tiny.yaml"
    recipe.write_text(tiny_recipe().to_yaml())
    command = [sys.executable, "-m", "glyphline", "train", str(recipe), "--out", str(folder), "--track", "wandb"]
    server = serve_wandb_until(last_request) if last_request else nullcontext(f"http://127.0.0.1:{free_port()}")
    with server as address:
        variables = {"WANDB_MODE": "online", "WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": address}
        environment = {**os.environ, **variables, "WANDB_FINISH_TIMEOUT": "3"}
        done = subprocess.run(
            [*command, "--threads", "1"], env=environment, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    best = json.loads((finished_run / "result.json").read_text())["best"]
    assert json.loads((folder / "result.json").read_text())["best"] == best
    (line,) = (line for line in done.stderr.splitlines() if "stopped" in line)
    assert line.startswith("tracking with wandb stopped (") and reason in line


@pytest.mark.slow
def test_documented_contents_of_an_offline_wandb_run_are_those_of_a_training(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    script = [sys.executable, str(ROOT / "benchmarks" / "trackers.py")]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    def rows(text: str) -> set[str]:
        """Without the numbers of the machine and of the package's files."""
        rows = {re.sub(r"(source-ID \(\.py\)): \d+", r"\1", row) for row in text.splitlines()}
        return {row for row in rows if row.startswith("| ") and not row.startswith("| machine")}

    assert rows(done.stdout) <= rows((ROOT / "docs" / "track-a-run.md").read_text(encoding="utf-8"))
