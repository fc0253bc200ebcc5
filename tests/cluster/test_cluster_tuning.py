"""Sweeps through Ray Tune: the trainings and the winner of the sweep without it; nothing done is repeated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from glyphline.cli import main
from glyphline.errors import UserError
from glyphline.training.sweep import load_sweep, make_trial, open_sweep_folder, run_sweep
from glyphline.training.trials import TrialProgress, read_progress
from training.conftest import make_tiny_recipe

ARMS = {
    "learns": {"changes": {"training.learning_rate": 0.01}},
    "wide": {"changes": {"training.learning_rate": 0.01, "network.features": 32}},
    "slow": {"changes": {"training.learning_rate": 1e-8}},
}
COMMAND_SECONDS = 600


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    """A sweep of ARMS over a recipe that hardly learns, with one seed; rungs after epochs 1 and 2 of 4."""
    base = make_tiny_recipe(training__epochs=4, training__schedule="constant", training__learning_rate=1e-9)
    (tmp_path / "tiny.yaml").write_text(base.to_yaml())
    path = tmp_path / "sweep.yaml"
    settings = {"seeds": 1, "extra_seeds": 0, "test_lines": 40}
    path.write_text(yaml.safe_dump({"base": "tiny.yaml", "arms": ARMS, **settings}))
    return path


def progress_of(sweep_file: Path, out: Path) -> dict[str, TrialProgress]:
    """How far each arm has come in a sweep's folder."""
    sweep, base = load_sweep(sweep_file)
    changes = {"baseline": {}, **{name: arm.changes for name, arm in sweep.arms.items()}}
    return {arm: read_progress(make_trial(sweep, base, arm, changes[arm], 0, out)) for arm in changes}


def cers_of(result: dict[str, Any]) -> dict[str, float]:
    """The CER of each arm that was not stopped."""
    return {arm["name"]: arm["cer"] for arm in result["arms"] if arm["seeds"][0]["stopped_at_epoch"] is None}


@pytest.mark.slow
def test_killed_sweep_on_a_cluster_goes_on_to_the_winner_of_one_machine(sweep_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason='needs pip install "glyphline[cluster]"')
    sweep, base = load_sweep(sweep_file)
    single = run_sweep(sweep, base, tmp_path / "single", report=lambda text: None)
    out = tmp_path / "cluster"
    words = [sys.executable, "-m", "glyphline", "sweep", str(sweep_file), "--out", str(out), "--cluster", "local"]
    killed = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + COMMAND_SECONDS
    while not any(progress.epochs >= 2 for progress in progress_of(sweep_file, out).values()):
        assert killed.poll() is None and time.monotonic() < deadline, killed.stderr and killed.stderr.read()
        time.sleep(0.2)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    before = progress_of(sweep_file, out)
    done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_SECONDS)
    assert done.returncode == 0, done.stderr
    after = progress_of(sweep_file, out)
    for arm, progress in before.items():  # an epoch that is repeated takes another time
        for epoch in range(1, progress.epochs + 1):
            assert after[arm].seconds[epoch] == progress.seconds[epoch], (arm, epoch)
    result = json.loads((out / "sweep.json").read_text())
    cers, single_cers = cers_of(result), cers_of(single)
    assert min(cers, key=cers.__getitem__) == min(single_cers, key=single_cers.__getitem__) != "baseline"
    assert {arm: cers[arm] for arm in cers.keys() & single_cers} == {
        arm: single_cers[arm] for arm in cers.keys() & single_cers
    }
    assert "ASHA (Ray Tune) after epochs 1, 2" in " ".join(result["protocol"]["rules"])
    assert done.stdout == (out / "sweep.md").read_text() and not (out / "ray").exists()
    decisions = json.loads((out / "asha.json").read_text())
    assert len({(row["arm"], row["epoch"]) for row in decisions}) == len(decisions)
    command = (out / "runs" / "learns-0" / "command.txt").read_text()
    assert "--cluster local" in command  # that of the driver, not of the process that trained
    with pytest.raises(UserError, match="continue it with --cluster"):
        run_sweep(sweep, base, out)


@pytest.mark.slow
def test_scheduler_stops_what_is_behind_the_baseline_and_not_among_the_best(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason='needs pip install "glyphline[cluster]"')
    from glyphline.cluster.arms import DIVERGED_CER, ArmScheduler, Decision

    decided: list[Decision] = []

    def ask(scheduler: ArmScheduler, arm: str, epoch: int, cer: float) -> str:
        trial = SimpleNamespace(trial_id=arm)
        if arm not in scheduler._trial_info:
            scheduler.on_trial_add(None, trial)
        return scheduler.on_trial_result(None, trial, {"arm": arm, "epoch": epoch, "cer": cer})

    def open_scheduler(past: list[Decision], keep: float = 0.5) -> ArmScheduler:
        return ArmScheduler([7, 15], keep, "baseline", past, decided.append)

    scheduler = open_scheduler([])
    arrivals = [
        ("early", 7, 0.9, "CONTINUE"),  # before the baseline
        ("baseline", 7, 0.5, "CONTINUE"),
        ("ahead", 7, 0.4, "CONTINUE"),
        ("worst", 7, 0.95, "STOP"),
        ("middle", 7, 0.6, "CONTINUE"),  # behind the baseline, better than the median of the three before it
        ("diverged", 7, DIVERGED_CER, "STOP"),
        ("baseline", 15, 0.2, "CONTINUE"),
        ("ahead", 15, 0.3, "CONTINUE"),  # the first arm at its rung
        ("middle", 15, 0.4, "STOP"),
        ("middle", 15, 0.4, "CONTINUE"),  # repeated by an actor that replaces a lost one
    ]
    assert [ask(scheduler, *arrival[:3]) for arrival in arrivals] == [arrival[3] for arrival in arrivals]
    assert [(d.arm, d.epoch) for d in decided if d.stopped] == [("worst", 7), ("diverged", 7), ("middle", 15)]
    assert len(decided) == len(arrivals) - 1
    again = open_scheduler(list(decided))  # another call knows them
    assert ask(again, "late", 15, 0.38) == "STOP" and ask(again, "ahead", 7, 0.99) == "CONTINUE"
    assert ask(open_scheduler(list(decided), keep=1.0), "late", 15, 0.38) == "CONTINUE"


def test_folder_of_another_sweep_is_refused(sweep_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray", reason='needs pip install "glyphline[cluster]"')
    out = sweep_file.parent / "out"
    command = ["sweep", str(sweep_file), "--out", str(out)]

    def fails_with(message: str, *options: str) -> None:
        with pytest.raises(SystemExit) as caught:
            main([*command, *options])
        err = capsys.readouterr().err
        assert caught.value.code == 2 and message in err and err.count("\n") == 1

    with open_sweep_folder(out):
        fails_with("another command runs the sweep in")
        fails_with("another command runs the sweep in", "--cluster", "local")
    (out / "sweep.json").write_text("{}")
    fails_with("runs without a cluster: leave out --cluster", "--cluster", "local")
    (out / "asha.json").write_text("[]")
    fails_with("runs on a cluster: continue it with --cluster")
    fails_with('"nowhere" is no address of a cluster', "--cluster", "nowhere")
    assert os.listdir(out) and not (out / "runs").exists()
