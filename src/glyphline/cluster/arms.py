"""What Ray Tune runs for a sweep: the training of an arm, the scheduler that stops arms, and a callback for the driver.

Importing this module imports ray.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from filelock import FileLock
from ray.tune import Callback, Trainable
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from glyphline.errors import GlyphlineError
from glyphline.training.trials import Trial, mean_best_cer, measure_trial, run_trial

BUDGET, CER = "budget", "cer"  # keys of a result: how far an arm has come, and the CER by which arms are compared
DIVERGED_CER = 1e9  # stands for the infinity of an arm that diverged, which JSON does not have
LOCK_SECONDS = 120  # how long an arm waits for a process that still trains it, such as one of a driver that was killed


@dataclass(frozen=True)
class ArmJob:
    """A trial of Ray Tune: an arm with all its seeds, because arms are compared by their mean over seeds."""

    arm: str
    trials: tuple[Trial, ...]
    targets: tuple[int, ...]  # epochs: the rungs at which the scheduler decides, then the last epoch
    tested: frozenset[int]  # epochs after which the networks read the test lines
    test_recipe: Path  # composes these lines
    test_lines: int
    lock: Path


@dataclass(frozen=True)
class ArmSettings:
    """What all jobs of a sweep have in common."""

    folder: str  # working folder of the command, from which relative paths of the recipes start
    command: str
    threads: int
    trackers: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """What the scheduler decided at a rung."""

    arm: str
    epoch: int
    cer: float  # as in `ArmTrainable.step`
    stopped: bool


class ArmTrainable(Trainable):  # type: ignore[misc]  # ray has no types
    """Trains the arm of a job in a process of the cluster. A step trains all its seeds up to the next target."""

    def setup(
        self, config: dict[str, Any], jobs: Sequence[ArmJob], settings: ArmSettings, messages: Any
    ) -> None:  # fmt: skip
        """config: the number of the job as "job". messages: a queue for reports (str) and errors (code, message)."""
        import torch

        torch.set_num_threads(settings.threads)
        if os.path.isdir(settings.folder):
            os.chdir(settings.folder)
        self.job, self.settings, self.messages = jobs[config["job"]], settings, messages
        self.steps = count()

    def step(self) -> dict[str, Any]:
        """Train to the next target. Returns the mean over the seeds of the lowest validation CER so far.

        A GlyphlineError goes to `messages`, and the result is then only that there was one: Ray would try again.
        """
        job, target = self.job, self.job.targets[next(self.steps)]
        epochs = sorted({*(epoch for epoch in job.tested if epoch <= target), target})
        try:
            with FileLock(job.lock, timeout=LOCK_SECONDS):
                for trial in job.trials:
                    for epoch in epochs:
                        run_trial(
                            trial, epoch, trackers=self.settings.trackers, report=self.messages.put,
                            command=self.settings.command,
                        )  # fmt: skip
                        if epoch in job.tested:
                            measure_trial(trial, epoch, job.test_recipe, job.test_lines)
        except GlyphlineError as error:
            self.messages.put((error.exit_code, str(error)))
            return {"error": True, "done": True}
        cer = min(DIVERGED_CER, mean_best_cer(job.trials, target))
        return {"arm": job.arm, "epoch": target, CER: cer, "done": target == job.targets[-1]}


class ArmScheduler(ASHAScheduler):  # type: ignore[misc]  # ray has no types
    """ASHA (Li et al. 2020) with the rungs of a sweep. It never stops the baseline, nor an arm that is not behind it.

    ASHA's rungs are powers of its reduction factor, those of a sweep are any epochs: an arm at rung k is told to ASHA
    as one with a budget of factor ** k. Arms are compared with those that were at the rung before them, without the
    baseline. An arm that arrives before the baseline goes on. One that diverged is stopped, and ASHA is not told of it,
    because it interpolates between the CERs of arms.
    rungs: epochs. keep: share of the arms that go on at least; 1 stops none. past: decisions of an earlier call, in
    their order. decide: receives each new one.
    """

    def __init__(
        self, rungs: Sequence[int], keep: float, baseline: str, past: Sequence[Decision],
        decide: Callable[[Decision], None],
    ) -> None:  # fmt: skip
        factor = 1 / keep if keep < 1 else 2.0
        super().__init__(BUDGET, CER, "min", max_t=factor ** len(rungs), grace_period=1, reduction_factor=factor)
        self.budgets = {rung: factor**k for k, rung in enumerate(rungs)}
        self.keep, self.baseline, self.decide = keep, baseline, decide
        self.decided: set[tuple[str, int]] = set()
        self.baseline_cers: dict[int, float] = {}
        for decision in past:
            trial = SimpleNamespace(trial_id=f"past-{decision.arm}")
            self.on_trial_add(None, trial)
            self._is_among_best(None, trial, decision)

    def __getstate__(self) -> dict[str, Any]:
        """Ray pickles the scheduler for restores. A sweep does not use them: it goes on from its own files."""
        return {}

    def _is_among_best(self, controller: Any, trial: Any, decision: Decision) -> bool:
        """Tell ASHA of an arm at a rung, and return whether it goes on by ASHA's rule."""
        self.decided.add((decision.arm, decision.epoch))
        if decision.arm == self.baseline:
            self.baseline_cers[decision.epoch] = decision.cer
            return True
        if decision.cer >= DIVERGED_CER:
            return False
        if decision.epoch not in self.budgets:  # of a rung that the sweep no longer has
            return True
        result = {BUDGET: self.budgets[decision.epoch], CER: decision.cer}
        return bool(super().on_trial_result(controller, trial, result) != TrialScheduler.STOP)

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        arm, epoch, cer = result["arm"], result["epoch"], result[CER]
        if (arm, epoch) in self.decided:  # repeated by an actor that replaces a lost one
            return str(TrialScheduler.CONTINUE)
        among_best = self._is_among_best(controller, trial, Decision(arm, epoch, cer, False))
        is_behind = cer > self.baseline_cers.get(epoch, math.inf) or cer >= DIVERGED_CER
        stopped = self.keep < 1 and is_behind and not among_best
        self.decide(Decision(arm, epoch, cer, stopped))
        return str(TrialScheduler.STOP if stopped else TrialScheduler.CONTINUE)


class DriverCallback(Callback):  # type: ignore[misc]  # ray has no types
    """Tells the driver of each step of Ray's loop and of each arm that has ended, and ends the loop at an error.

    on_step: called a few times a second. on_end: receives the arm.
    """

    def __init__(self, on_step: Callable[[], None], on_end: Callable[[str], None]) -> None:
        self.on_step, self.on_end = on_step, on_end

    def __getstate__(self) -> dict[str, Any]:
        """As that of ArmScheduler."""
        return {}

    def on_step_end(self, iteration: int, trials: Sequence[Any], **info: Any) -> None:
        self.on_step()

    def on_trial_result(
        self, iteration: int, trials: Sequence[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:  # fmt: skip
        if "error" in result:
            raise GlyphlineError("an arm has failed")  # the message itself is in the queue
        if result["done"]:
            self.on_end(result["arm"])
