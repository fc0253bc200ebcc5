"""Sweeps on a Ray cluster (Ray Tune with its ASHA scheduler): the trials, files and verdicts of `training.sweep`."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glyphline.cluster.connection import Connection, connect
from glyphline.cluster.training import RAY_FOLDER, RESTARTS, print_messages
from glyphline.errors import DataError, GlyphlineError, UserError
from glyphline.files import write_atomically
from glyphline.recipe import Recipe
from glyphline.training.sweep import DECISIONS_FILE, SWEEP_RESULT, Show, SweepRecipe, SweepRun, open_sweep_folder
from glyphline.training.trials import read_progress

if TYPE_CHECKING:
    from glyphline.cluster.arms import ArmJob, Decision

LOOK_SECONDS = 1.0  # between two looks at the run folders for new epochs


def sweep_on_cluster(
    sweep: SweepRecipe,
    base: Recipe,
    out: Path,
    address: str,
    *,
    threads: int = 1,
    trackers: Sequence[str] = ("csv",),
    report: Callable[[str], None] = print,
    show: Show = lambda statuses, new: None,
) -> dict[str, Any]:
    """Run a sweep on a cluster into a folder and return the content of its sweep.json.

    address: see `connect`. out: must be shared by all nodes. threads: of each training, which takes as many CPUs, and a
    GPU where the cluster has any. One CPU of the cluster stays free. The other arguments and the files are those of
    `training.sweep.run_sweep`; the folder also gets asha.json, the decisions of the scheduler.
    A call after a kill goes on from the last epoch of each training. A process that is lost is replaced RESTARTS times.
    Raises what `connect` and `run_sweep` raise, UserError for the folder of a sweep without a cluster and for more
    threads than the cluster has CPUs, GlyphlineError when the processes of an arm were lost too often.
    """
    out = out.absolute()
    with open_sweep_folder(out):
        if (out / SWEEP_RESULT).exists() and not (out / DECISIONS_FILE).exists():
            raise UserError(f"the sweep in {out} runs without a cluster: leave out --cluster, or choose another --out")
        arms = 1 + len(sweep.arms)
        with connect(address, max(threads, min(arms * threads, os.cpu_count() or 1))) as cluster:
            return _ClusterSweepRun(sweep, base, out, trackers, report, show, cluster, threads).run()


class _ClusterSweepRun(SweepRun):
    """A sweep whose trials run on the cluster to which this process is connected."""

    def __init__(
        self, sweep: SweepRecipe, base: Recipe, out: Path, trackers: Sequence[str], report: Callable[[str], None],
        show: Show, cluster: Connection, threads: int,
    ) -> None:  # fmt: skip
        super().__init__(sweep, base, out, trackers, report, show)
        self.cluster, self.threads = cluster, threads
        self.decisions = self._read_decisions()
        self.next_look = 0.0  # time.monotonic

    def _read_decisions(self) -> list[Decision]:
        """The decisions of earlier calls; the file is made if there is none. Raises DataError for a damaged file."""
        from glyphline.cluster.arms import Decision

        path = self.out / DECISIONS_FILE
        if not path.exists():
            write_atomically(path, b"[]\n")
        try:
            return [Decision(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
        except (ValueError, TypeError) as error:
            raise DataError(f"{path} is damaged ({error}): choose another --out folder") from None

    def decide(self, decision: Decision) -> None:
        """Keep a new decision of the scheduler, measure an arm that it stopped, and bring the result up to date."""
        self.decisions.append(decision)
        rows = [dataclasses.asdict(past) for past in self.decisions]
        write_atomically(self.out / DECISIONS_FILE, (json.dumps(rows, indent=1) + "\n").encode())
        if decision.arm == self.sweep.baseline:
            self.measure(decision.arm, decision.epoch)  # read back: the arm's own process has measured it
        elif decision.stopped:
            self.stopped_at[decision.arm] = decision.epoch
            self.measure(decision.arm, decision.epoch)
        self.write_result()

    def run_rungs(self) -> None:
        """Train all arms to the end, or to the rung where ASHA stops them."""
        self.stopped_at |= {past.arm: past.epoch for past in self.decisions if past.stopped}
        jobs = []
        for arm in self.changes:
            goal = self.stopped_at.get(arm, self.epochs)
            decided = max((past.epoch for past in self.decisions if past.arm == arm), default=0)
            rungs = [rung for rung in self.rungs if decided < rung < goal]
            tested = [*self.rungs, goal] if arm == self.sweep.baseline else [] if arm in self.stopped_at else [goal]
            jobs += self._list_jobs(self.keys(arm), (*rungs, goal), tested)
        self.tune(jobs)
        for rung in self.rungs:
            self.measure(self.sweep.baseline, rung)
        for arm, rung in self.stopped_at.items():
            self.measure(arm, rung)
        self.write_result()

    def run_until(self, keys: Sequence[tuple[str, int]], epoch: int) -> None:
        """Train these trials up to an epoch, as many at once as the cluster has CPUs for."""
        self.tune([job for key in keys for job in self._list_jobs([key], (epoch,), [epoch])])

    def describe_stopping(self) -> str:
        return (
            f"Early stopping by ASHA (Ray Tune) after epochs {', '.join(map(str, self.rungs))}: an arm that is behind "
            f"the baseline there goes on if its validation CER is among the best {self.sweep.keep:.0%} of the arms "
            "that came before it; otherwise it is stopped and compared with the baseline at that epoch. Their order "
            "depends on the speed of the machines."
        )

    def _list_jobs(
        self, keys: Sequence[tuple[str, int]], targets: tuple[int, ...], tested: Sequence[int]
    ) -> list[ArmJob]:  # fmt: skip
        """The job that trains these trials of one arm; none where all of them have come to the last target."""
        from glyphline.cluster.arms import ArmJob

        trials = tuple(self.trials[key] for key in keys)
        if all(p.is_finished or p.epochs >= targets[-1] for p in map(read_progress, trials)):
            return []
        arm = keys[0][0]
        name = "-".join(map(str, (arm, *(seed for _, seed in keys))))
        return [
            ArmJob(
                arm, trials, targets, frozenset(tested), self.write_test_recipe(arm), self.sweep.test_lines,
                self.out / "arms" / f"{name}.lock",
            )
        ]  # fmt: skip

    def tune(self, jobs: Sequence[ArmJob]) -> None:
        """Run jobs through Ray Tune, which starts no more processes than leave a CPU of the cluster free."""
        if not jobs:
            return
        # read by Ray: no loggers and no tables of its own, Ctrl-C ends the sweep, the working folder stays
        os.environ |= {
            "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
            "RAY_AIR_NEW_OUTPUT": "0",
            "TUNE_DISABLE_SIGINT_HANDLER": "1",
            "RAY_CHDIR_TO_TRIAL_DIR": "0",
        }
        import ray
        from ray import tune
        from ray.util.queue import Queue

        from glyphline.cluster.arms import ArmScheduler, ArmSettings, ArmTrainable, DriverCallback

        resources = ray.cluster_resources()
        cpus = int(resources.get("CPU", 1))
        if self.threads > cpus:
            raise UserError(
                f"{self.threads} threads are more than the {cpus} CPUs of {self.cluster.address}: give --threads 1"
            )
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what it would log is raised below
        messages = Queue(actor_options={"num_cpus": 0})
        settings = ArmSettings(os.getcwd(), shlex.join(sys.argv), self.threads, tuple(self.trackers))
        trainable = tune.with_resources(
            tune.with_parameters(ArmTrainable, jobs=jobs, settings=settings, messages=messages),
            {"cpu": self.threads if cpus > 1 else 0.5, "gpu": 1 if resources.get("GPU") else 0},
        )
        scheduler = ArmScheduler(self.rungs, self.sweep.keep, self.sweep.baseline, self.decisions, self.decide)
        running = [(trial.arm, trial.seed) for job in jobs for trial in job.trials]
        for key in running:
            self.note(key, "waiting")
        errors: list[tuple[int, str]] = []
        lost = ""
        try:
            # Ray prints to stdout that a process was lost, but stdout is for results
            with print_messages(messages, self.report, errors), redirect_stdout(sys.stderr):
                tuner = tune.Tuner(
                    trainable,
                    param_space={"job": tune.grid_search(list(range(len(jobs))))},
                    tune_config=tune.TuneConfig(
                        scheduler=scheduler, max_concurrent_trials=max(1, (cpus - 1) // self.threads)
                    ),
                    run_config=tune.RunConfig(
                        name=RAY_FOLDER,
                        storage_path=str(self.out),
                        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the run folders are enough
                        failure_config=tune.FailureConfig(max_failures=RESTARTS),
                        callbacks=[DriverCallback(lambda: self._look(running), self._collect)],
                        verbose=0,
                    ),
                )
                results = self.cluster.wait_for(tuner.fit)
            lost = str(results.errors[0]) if results.errors else ""
        except Exception as error:  # of Ray, or of what Ray calls here, then perhaps as a cause
            own = error if isinstance(error, GlyphlineError) else error.__cause__
            if isinstance(own, GlyphlineError) and not errors:
                raise own from None
            lost = f"{type(error).__name__}: {error}"
        finally:
            shutil.rmtree(self.out / RAY_FOLDER, ignore_errors=True)  # records for Ray's own restores
        if errors:
            code, message = errors[0]
            raise (UserError if code == UserError.exit_code else GlyphlineError)(message)
        if lost:
            reason = " ".join(lost.split())[-300:]
            raise GlyphlineError(
                f"the sweep on {self.cluster.address} stopped ({reason}): the same command goes on from the last epochs"
            )
        self.next_look = 0.0
        self._look(running)

    def _look(self, running: Sequence[tuple[str, int]]) -> None:
        """Show the trials that have a new epoch, once in LOOK_SECONDS."""
        if time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + LOOK_SECONDS
        for key in running:
            epoch = max(read_progress(self.trials[key]).validation_cers, default=0)
            if epoch > self.statuses[key].epoch:
                self.note(key, "training", True)

    def _collect(self, arm: str) -> None:
        """Take over the errors on the test lines of an arm that has ended, and bring the result up to date."""
        if arm not in self.stopped_at and all(read_progress(self.trials[key]).is_finished for key in self.keys(arm)):
            self.measure(arm, self.epochs)
            self.write_result()
