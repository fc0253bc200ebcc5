"""Trackers: each records a whole run, and none can stop it by raising."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glyphline.errors import UserError
from glyphline.training.trackers import TRACKERS, CsvTracker, Metrics, Prediction, RunInfo, Tracker, Trackers

PREDICTIONS = [
    Prediction(np.zeros((28, 60), np.uint8), "a|b", "a b", 1 / 3),
    Prediction(np.full((28, 7), 255, np.uint8), "", "x", 1.0),
]


def make_run_info(folder: Path, resumed_at: int = 0) -> RunInfo:
    recipe = {"name": "tiny", "lines": {"length": [4, 6], "effects": None}, "training": {"gradient_clip": 1.0}}
    return RunInfo(folder, "tiny", recipe, "glyphline train tiny.yaml", {"python": "3"}, resumed_at)


def track_run(tracker: Tracker, run: RunInfo, model: Path) -> None:
    tracker.start(run)
    tracker.log_metrics(0, {"loss": 3.5, "learning_rate": 1e-3})
    tracker.log_metrics(20, {"val_loss": 2.5, "val_cer": 0.5, "epoch": 0.0})
    tracker.log_predictions(20, PREDICTIONS)
    tracker.log_artifact(model)
    tracker.finish()


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


# --------------------------------------------------------------------------------------------------------- the contract


@pytest.mark.parametrize("name", TRACKERS)
def test_every_tracker_records_a_run_and_its_continuation(name: str, tmp_path: Path, model: Path) -> None:
    if name in ("wandb", "tensorboard"):
        pytest.importorskip(name)
    folder = tmp_path / "run"
    folder.mkdir()
    for resumed_at in (0, 20):  # a run, then the same run resumed
        reports: list[str] = []
        trackers = Trackers([name], reports.append)
        track_run(trackers, make_run_info(folder, resumed_at), model)
        assert reports == [] and list(trackers.members) == [name]
    assert any(folder.iterdir()) == (name != "none")


@pytest.mark.parametrize("name", TRACKERS)
def test_every_tracker_has_a_help_text(name: str) -> None:
    assert TRACKERS[name].help and issubclass(TRACKERS[name], Tracker)


def test_unknown_tracker_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match='no tracker "tensorbord"; did you mean "tensorboard"'):
        Trackers(["csv", "tensorbord"])


@pytest.mark.parametrize("package, name", [("wandb", "wandb"), ("torch.utils.tensorboard", "tensorboard")])
def test_missing_package_is_reported_with_the_install_command(
    package: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    reports: list[str] = []
    Trackers([name], reports.append).start(make_run_info(tmp_path))
    assert len(reports) == 1 and 'pip install "glyphline[train]"' in reports[0]


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
    """Keeps the calls it receives."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def start(self, run: RunInfo) -> None:
        self.calls.append(("start", run.name))

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        self.calls.append((step, metrics))

    def finish(self) -> None:
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
    assert [recording.calls[0], recording.calls[-1]] == [("start", "tiny"), "finish"]
    assert failing.calls == recording.calls[:-1]  # no calls after the failure


def test_interrupt_in_a_tracker_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    class InterruptedTracker(Tracker):
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


def test_tensorboard_files_hold_the_logged_values(tmp_path: Path, model: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tracker = TRACKERS["tensorboard"]()
    track_run(tracker, make_run_info(tmp_path), model)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("val_cer")] == [(20, 0.5)]
    assert {"lines/0", "lines/1"} <= set(events.Tags()["images"])
