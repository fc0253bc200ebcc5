"""Trackers: each takes a whole run's numbers, and none of them can stop one."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glyphline.errors import UserError
from glyphline.training.trackers import TRACKERS, Csv, Numbers, Prediction, RunInfo, Tracker, Trackers

ROWS = [
    Prediction(np.zeros((28, 60), np.uint8), "a|b", "a b", 1 / 3),
    Prediction(np.full((28, 7), 255, np.uint8), "", "x", 1.0),
]


def info(folder: Path, resumed_at: int = 0) -> RunInfo:
    recipe = {"name": "tiny", "lines": {"length": [4, 6], "effects": None}, "training": {"gradient_clip": 1.0}}
    return RunInfo(folder, "tiny", recipe, "glyphline train tiny.yaml", {"python": "3"}, resumed_at)


def whole_run(tracker: Tracker, run: RunInfo, model: Path) -> None:
    tracker.start(run)
    tracker.log(0, {"loss": 3.5, "learning_rate": 1e-3})
    tracker.log(20, {"val_loss": 2.5, "val_cer": 0.5, "epoch": 0.0})
    tracker.table(20, ROWS)
    tracker.artifact(model)
    tracker.finish()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "best.pt"
    path.write_bytes(b"weights")
    return path


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb-home"))


# --------------------------------------------------------------------------------------------------------- the contract


@pytest.mark.parametrize("name", TRACKERS)
def test_every_tracker_takes_a_run_and_its_continuation(name: str, tmp_path: Path, model: Path) -> None:
    if name in ("wandb", "tensorboard"):
        pytest.importorskip(name)
    folder = tmp_path / "run"
    folder.mkdir()
    for resumed_at in (0, 20):  # a run, then the same run resumed
        said: list[str] = []
        book = Trackers([name], said.append)
        whole_run(book, info(folder, resumed_at), model)
        assert said == [] and list(book.members) == [name]
    assert any(folder.iterdir()) == (name != "none")


@pytest.mark.parametrize("name", TRACKERS)
def test_every_tracker_says_what_it_is(name: str) -> None:
    assert TRACKERS[name].help and issubclass(TRACKERS[name], Tracker)


def test_unknown_trackers_are_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match='no tracker "tensorbord"; did you mean "tensorboard"'):
        Trackers(["csv", "tensorbord"])


@pytest.mark.parametrize("package, name", [("wandb", "wandb"), ("torch.utils.tensorboard", "tensorboard")])
def test_a_missing_package_is_named_with_its_remedy(
    package: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    said: list[str] = []
    Trackers([name], said.append).start(info(tmp_path))
    assert len(said) == 1 and 'pip install "glyphline[train]"' in said[0]


# ------------------------------------------------------------------------------------------------------------------ csv


def rows_of(folder: Path) -> list[tuple[int, str, float]]:
    with (folder / "metrics.csv").open(newline="") as rows:
        return [(int(row["step"]), row["name"], float(row["value"])) for row in csv.DictReader(rows)]


def test_csv_keeps_every_number_exactly(tmp_path: Path) -> None:
    numbers = {"a": 0.1 + 0.2, "b": 1e-300, "c": 12345678.9, "d": float("inf")}
    tracker = Csv()
    tracker.start(info(tmp_path))
    tracker.log(7, numbers)
    tracker.log(8, {"a": 1})
    assert rows_of(tmp_path) == [*((7, name, value) for name, value in numbers.items()), (8, "a", 1.0)]


def test_csv_forgets_what_a_resumed_run_will_tell_again(tmp_path: Path) -> None:
    tracker = Csv()
    tracker.start(info(tmp_path))
    for step in (1, 10, 11, 12):
        tracker.log(step, {"val_loss": float(step)})
    with (tmp_path / "metrics.csv").open("a") as out:
        out.write("13,val_l")  # the kill came while it was written
    again = Csv()
    again.start(info(tmp_path, resumed_at=10))
    again.log(11, {"val_loss": 0.5})
    assert rows_of(tmp_path) == [(1, "val_loss", 1.0), (10, "val_loss", 10.0), (11, "val_loss", 0.5)]


def test_csv_of_a_new_run_holds_nothing_of_an_old_one(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,name,value\n1,loss,2.0\n")
    Csv().start(info(tmp_path))
    assert rows_of(tmp_path) == []


# ------------------------------------------------------------------------------------------------------- several as one


class Remembers(Tracker):
    """Writes down what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def start(self, run: RunInfo) -> None:
        self.told.append(("start", run.name))

    def log(self, step: int, numbers: Numbers) -> None:
        self.told.append((step, numbers))

    def finish(self) -> None:
        self.told.append("finish")


class Fails(Remembers):
    """Works until its first table."""

    def table(self, step: int, rows: Any) -> None:
        raise RuntimeError("the server is gone")


def test_a_tracker_that_fails_is_dropped_with_one_message(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TRACKERS, "fails", Fails)
    monkeypatch.setitem(TRACKERS, "remembers", Remembers)
    said: list[str] = []
    book = Trackers(["fails", "remembers"], said.append)
    failing, remembering = (book.members[name] for name in ("fails", "remembers"))
    whole_run(book, info(tmp_path), model)
    assert list(book.members) == ["remembers"]
    assert len(said) == 1 and "fails" in said[0] and "the server is gone" in said[0] and "\n" not in said[0]
    assert isinstance(failing, Fails) and isinstance(remembering, Remembers)
    assert [remembering.told[0], remembering.told[-1]] == [("start", "tiny"), "finish"]
    assert failing.told == remembering.told[:-1]  # nothing more after its failure


def test_an_interrupt_is_no_failure_of_a_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Tracker):
        def log(self, step: int, numbers: Numbers) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(TRACKERS, "interrupted", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        Trackers(["interrupted"]).log(0, {})


def test_a_tracker_named_twice_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRACKERS, "remembers", Remembers)
    book = Trackers(["remembers", "remembers"])
    book.log(1, {"loss": 1.0})
    (only,) = book.members.values()
    assert isinstance(only, Remembers) and only.told == [(1, {"loss": 1.0})]


def test_tensorboard_holds_what_was_logged(tmp_path: Path, model: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tracker = TRACKERS["tensorboard"]()
    whole_run(tracker, info(tmp_path), model)
    kept = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    kept.Reload()
    assert [(e.step, e.value) for e in kept.Scalars("val_cer")] == [(20, 0.5)]
    assert {"lines/0", "lines/1"} <= set(kept.Tags()["images"])
