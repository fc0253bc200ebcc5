"""Sweeps: ideas for a recipe, each tried alone and the good ones together, on the same data and number of epochs.

A sweep file names a base recipe and its arms, each a set of changed keys. An arm is trained with several seeds; one of
these trainings is a trial (`glyphline.training.trials`). `run_sweep` runs all trials in turn and stops hopeless arms by
successive halving (Jamieson and Talwalkar 2016), the synchronous form of ASHA (Li et al. 2020). `cluster.tuning` runs
the same trials on a cluster.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, count
from pathlib import Path
from typing import Any

from glyphline.errors import RecipeError, UserError
from glyphline.files import write_atomically
from glyphline.recipe import Recipe, apply_changes, changed_keys, dataclass_from, load_recipe, parse_change, read_yaml
from glyphline.score import FOLDS, check_fold, t_quantile
from glyphline.training.train import lock_folder
from glyphline.training.trials import (
    DECODER,
    Trial,
    check_run_folder,
    mean_best_cer,
    measure_trial,
    read_progress,
    run_trial,
)
from glyphline.training.verdicts import (
    Comparison,
    TestErrors,
    compare,
    count_seeds,
    describe_verdict,
    render_table,
)

SWEEP_RESULT, SWEEP_TABLE = "sweep.json", "sweep.md"  # file names in the sweep's folder
#: the arm that the sweep composes of those that helped; a later call that composes another one adds a number
COMBINATION = "best-together"
#: file in the folder of a sweep that runs on a cluster: at which epochs ASHA stopped arms or let them go on
DECISIONS_FILE = "asha.json"
LOCK_FILE = ".sweep.lock"  # held by the process that runs the sweep of the folder; a kill releases it
FIXED_KEYS = ("training.seed", "training.epochs")  # what an arm may not change: the sweep decides both


@dataclass(frozen=True)
class ArmRecipe:
    """An idea: what it changes in the base recipe."""

    changes: dict[str, Any]  # dotted keys of the recipe -> values
    about: str = ""


@dataclass(frozen=True)
class SweepRecipe:
    """The content of a sweep file. Raises RecipeError for a value out of range, UserError for an unknown fold."""

    base: str  # recipe file, relative to the sweep file
    arms: dict[str, ArmRecipe]  # name -> idea
    name: str = "sweep"
    about: str = ""
    baseline: str = "baseline"  # name of the arm that changes nothing
    changes: dict[str, Any] = field(default_factory=dict)  # changes of the base recipe, for all arms
    seeds: int = 2  # trials of each arm
    extra_seeds: int = 1  # further trials of the arms whose difference to the baseline is still open, and of that one
    rungs: tuple[float, ...] = (0.25, 0.5)  # shares of the epochs after which the worse arms are stopped; (): never
    keep: float = 0.5  # share of the arms, besides the baseline, that survive a rung at least
    test_lines: int = 2000  # lines of the test split that decide
    fold: str = "none"  # differences that the CER ignores, a name in FOLDS

    def __post_init__(self) -> None:
        check_fold(self.fold)
        rules = (
            (not self.arms, "arms needs at least one idea"),
            (self.seeds < 1 or self.extra_seeds < 0, "seeds must be 1 or more, extra_seeds 0 or more"),
            (self.test_lines < 2, f"test_lines is {self.test_lines}: give 2 or more"),
            (not 0 < self.keep <= 1, f"keep is {self.keep}: give a share above 0, up to 1"),
            (not all(0 < r < 1 for r in self.rungs), f"rungs are {list(self.rungs)}: give shares between 0 and 1"),
        )
        for violated, message in rules:
            if violated:
                raise RecipeError(f"the sweep {self.name}: {message}")
        for name, arm in self.arms.items():
            is_taken = name == self.baseline or name.startswith(COMBINATION)
            if is_taken or not name.replace("-", "").replace("_", "").isalnum():
                raise RecipeError(
                    f'the arm "{name}" of the sweep {self.name}: take another name, of letters, digits, - and _; '
                    f"{self.baseline} is taken, and so is what begins with {COMBINATION}"
                )
            for key in FIXED_KEYS:
                if key in arm.changes:
                    raise RecipeError(
                        f'the arm "{name}" of the sweep {self.name} changes {key}, which the sweep decides for all '
                        "arms: remove it"
                    )


def load_sweep(path: Path, changes: Sequence[str] = ()) -> tuple[SweepRecipe, Recipe]:
    """Read a sweep file and its base recipe with the sweep's changes and then `changes`, key=value texts, applied.

    Raises RecipeError for a file that cannot be read, an unknown key, a wrong value and a malformed change, also in an
    arm; UserError for an unknown fold.
    """
    sweep = dataclass_from(SweepRecipe, read_yaml(path), str(path))
    base = apply_changes(load_recipe(path.parent / sweep.base), sweep.changes, f"{path}: changes")
    base = apply_changes(base, dict(map(parse_change, changes)), "--set")
    for name, arm in sweep.arms.items():
        if not changed_keys(base, apply_changes(base, arm.changes, f'{path}: the arm "{name}"')):
            raise RecipeError(f'{path}: the arm "{name}" changes nothing: its values are those of the base recipe')
    return sweep, base


def make_trial(sweep: SweepRecipe, base: Recipe, arm: str, changes: Mapping[str, Any], seed: int, out: Path) -> Trial:
    """The trial of an arm and a seed, counted from 0 and added to the base recipe's. out: the sweep's folder."""
    name = f"{sweep.name}-{arm}-{seed}"
    seeds = {"name": name, "training.seed": base.training.seed + seed}
    recipe = apply_changes(base, {**changes, **seeds}, f'the arm "{arm}"')
    return Trial(arm, seed, recipe, out / "runs" / f"{arm}-{seed}", sweep.fold)


@dataclass(frozen=True)
class TrialStatus:
    """A row of the live table."""

    arm: str
    seed: int
    epoch: int
    epochs: int
    cer: float | None  # of the validation lines after this epoch
    state: str  # waiting, training, testing, finished, stopped or diverged
    seconds_left: float | None  # until its last epoch; None where nothing is known yet


Show = Callable[[Sequence[TrialStatus], TrialStatus | None], None]  # all trials, and the one that has a new epoch


class SweepRun:
    """The state of a running sweep: its trials, the arms that were stopped, and the measurements.

    It trains in this process, a trial after the other. A subclass trains elsewhere: it overrides `run_until`,
    `run_rungs` and `describe_stopping`. The arguments are those of `run_sweep`.
    """

    def __init__(
        self, sweep: SweepRecipe, base: Recipe, out: Path, trackers: Sequence[str], report: Callable[[str], None],
        show: Show,
    ) -> None:  # fmt: skip
        self.sweep, self.base, self.out = sweep, base, out
        self.trackers, self.report, self.show = trackers, report, show
        self.epochs = base.training.epochs
        shares = (max(1, round(share * self.epochs)) for share in sweep.rungs)
        self.rungs = sorted({rung for rung in shares if rung < self.epochs})
        self.changes: dict[str, dict[str, Any]] = {sweep.baseline: {}}
        self.changes |= {name: arm.changes for name, arm in sweep.arms.items()}
        self.trials = {(arm, seed): self._trial(arm, seed) for seed in range(sweep.seeds) for arm in self.changes}
        self.stopped_at: dict[str, int] = {}
        #: (arm, seed, rung or last epoch) -> errors on the test lines
        self.measured: dict[tuple[str, int, int], TestErrors] = {}
        self.combination = COMBINATION
        self.combined: dict[str, list[str]] = {"combines": [], "leaves_out": []}
        self.recipe = base.to_dict()  # of the baseline, as the result names it
        self.is_judged_again = False
        self.statuses: dict[tuple[str, int], TrialStatus] = {}
        for key in self.trials:
            self.note(key, "waiting")

    def _trial(self, arm: str, seed: int) -> Trial:
        return make_trial(self.sweep, self.base, arm, self.changes[arm], seed, self.out)

    def note(self, key: tuple[str, int], state: str, is_new_epoch: bool = False) -> None:
        """Update a trial's row of the live table and show the table."""
        trial, progress = self.trials[key], read_progress(self.trials[key])
        epoch = progress.last_epoch
        paces = [p for p in (read_progress(t).seconds_per_epoch for t in (trial, *self.trials.values())) if p]
        if progress.is_finished:
            state = "diverged" if progress.diverged else state if state == "testing" else "finished"
        over = state in ("finished", "stopped", "diverged")
        left = 0.0 if over else paces[0] * (self.epochs - epoch) if paces else None
        self.statuses[key] = TrialStatus(
            *key, epoch, self.epochs, progress.validation_cers.get(epoch), state, left
        )  # fmt: skip
        self.show(list(self.statuses.values()), self.statuses[key] if is_new_epoch else None)

    def run_until(self, keys: Sequence[tuple[str, int]], epoch: int) -> None:
        """Train these trials up to an epoch, in turn."""
        for key in keys:
            self.note(key, "training")
            show_epoch = partial(self._show_epoch, key)
            run_trial(self.trials[key], epoch, trackers=self.trackers, report=self.report, on_epoch=show_epoch)
            self.note(key, "waiting")

    def _show_epoch(self, key: tuple[str, int], epoch: int, cer: float) -> None:
        self.note(key, "training", True)

    def measure(self, arm: str, epoch: int) -> None:
        """Read the test lines with the networks that the trials of an arm have after `epoch` epochs.

        A trial that an earlier call trained past this epoch without measuring it there is left out.
        """
        lines = self.write_test_recipe(arm)
        for key, trial in self.trials.items():
            if key[0] == arm and (*key, epoch) not in self.measured:
                self.note(key, "testing")
                errors = measure_trial(trial, epoch, lines, self.sweep.test_lines)
                if errors is not None:
                    self.measured[*key, epoch] = errors
                self.note(key, "stopped" if arm in self.stopped_at else "waiting")

    def write_test_recipe(self, arm: str) -> Path:
        """Write the recipe file that composes the test lines of an arm, and return its path."""
        path = self.out / "arms" / f"{arm}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, apply_changes(self.base, self.changes[arm], f'the arm "{arm}"').to_yaml().encode())
        return path

    def keys(self, *arms: str) -> list[tuple[str, int]]:
        return [key for key in self.trials if key[0] in arms]

    @property
    def alive(self) -> list[str]:
        """The arms, the baseline first, that were not stopped."""
        return [arm for arm in self.changes if arm not in self.stopped_at]

    def halve(self, rung: int) -> None:
        """Stop the arms that are behind the baseline at a rung and not among the best there, and measure them.

        Arms are compared by the mean over their seeds of the lowest validation CER so far. An arm that an earlier call,
        with fewer seeds or arms, has trained past the rung is not stopped; none is where no seed of the baseline was
        measured at the rung.
        """
        if not any((*key, rung) in self.measured for key in self.keys(self.sweep.baseline)):
            return
        cers = {arm: mean_best_cer([self.trials[key] for key in self.keys(arm)], rung) for arm in self.alive}
        baseline_cer = cers.pop(self.sweep.baseline)
        ranked = sorted(cers, key=lambda arm: cers[arm])
        for arm in ranked[math.ceil(self.sweep.keep * len(ranked)) :]:
            is_past = any(read_progress(self.trials[key]).last_epoch > rung for key in self.keys(arm))
            if not is_past and (cers[arm] > baseline_cer or math.isinf(cers[arm])):
                self.stopped_at[arm] = rung
                self.measure(arm, rung)

    def compare(self, arm: str, other: str) -> Comparison | None:
        """Compare two arms after as many epochs as both have; None while one of them is not measured."""
        epoch = min(self.stopped_at.get(name, self.epochs) for name in (arm, other))
        seeds = [seed for _, seed in self.keys(arm) if (other, seed) in self.trials]
        pairs = [
            (self.measured[arm, seed, epoch], self.measured[other, seed, epoch]) for seed in seeds
            if (arm, seed, epoch) in self.measured and (other, seed, epoch) in self.measured
        ]  # fmt: skip
        if not pairs:
            return None
        own, others = zip(*pairs, strict=True)
        return compare(own, others, self.base.lines.variants)

    def run_to_the_end(self, arms: Sequence[str]) -> None:
        self.run_until(self.keys(*arms), self.epochs)
        for arm in arms:
            self.measure(arm, self.epochs)
        self.write_result()

    def run_rungs(self) -> None:
        """Train all arms from rung to rung, and stop the worse ones at each."""
        for rung in self.rungs:
            self.run_until(self.keys(*self.alive), rung)
            self.measure(self.sweep.baseline, rung)  # what is stopped here, or in a later call, is compared with it
            self.halve(rung)
            self.write_result()

    def run(self) -> dict[str, Any]:
        """Run everything and return the result."""
        self.run_rungs()
        self.run_to_the_end(self.alive)
        self.add_seeds([arm for arm in self.alive if arm != self.sweep.baseline])
        if self.combine():
            self.run_to_the_end([self.combination])
            self.add_seeds([self.combination])
        return self.write_result()

    def judge_again(self) -> dict[str, Any]:
        """Bring the result up to date from the measured errors in the folder, without training, and return it.

        The trials, the stopped arms and the combination are those of the folder's sweep.json, which this version or an
        earlier one has written.
        """
        result = json.loads((self.out / SWEEP_RESULT).read_text(encoding="utf-8"))
        self.recipe = result["protocol"]["recipe"]
        self.trials, self.is_judged_again = {}, True
        for arm in result["arms"]:
            name = arm["name"]
            self.changes[name] = arm["changes"]
            if name.startswith(COMBINATION):
                self.combination, self.combined = name, {key: arm[key] for key in self.combined}
            for seed in arm["seeds"]:
                key = name, seed["seed"] - self.base.training.seed
                self.trials[key] = self._trial(*key)
                if seed["stopped_at_epoch"] is not None:
                    self.stopped_at[name] = seed["stopped_at_epoch"]
        for name in self.changes:
            self.measure(name, self.stopped_at.get(name, self.epochs))
        for rung in set(self.stopped_at.values()):
            self.measure(self.sweep.baseline, rung)
        return self.write_result()

    def add_seeds(self, arms: Sequence[str]) -> None:
        """Train the arms that cannot be told from the baseline yet, and the baseline, with further seeds."""
        for seed in range(self.sweep.seeds, self.sweep.seeds + self.sweep.extra_seeds):
            comparisons = {arm: self.compare(arm, self.sweep.baseline) for arm in arms}
            close = [arm for arm, comparison in comparisons.items() if comparison and comparison.outcome == "open"]
            if not close:
                return
            chosen = [self.sweep.baseline, *close]
            self.trials |= {(arm, seed): self._trial(arm, seed) for arm in chosen}
            self.run_to_the_end(chosen)

    def combine(self) -> bool:
        """Add the arm of the changes that helped, unless fewer than two can be together. Returns whether it was added.

        Two arms cannot be together where both set a key to different values, or where the recipe refuses both. Of the
        sets that can, the one with the greatest sum of differences to the baseline is taken; the other arms are left
        out whole.
        """
        comparisons = {arm: self.compare(arm, self.sweep.baseline) for arm in self.alive}
        helped = {arm: c.difference for arm, c in comparisons.items() if c and c.outcome == "better"}
        ranked = sorted(helped, key=lambda name: helped[name])
        sets = [arms for count in range(1, len(ranked) + 1) for arms in combinations(ranked, count)]
        best = min(filter(self._are_compatible, sets), key=lambda arms: sum(helped[arm] for arm in arms), default=())
        self.combined = {"combines": list(best), "leaves_out": [arm for arm in ranked if arm not in best]}
        if len(best) < 2:
            return False
        self._name_combination({key: value for arm in best for key, value in self.changes[arm].items()})
        self.trials |= {(self.combination, s): self._trial(self.combination, s) for s in range(self.sweep.seeds)}
        return True

    def _name_combination(self, changes: dict[str, Any]) -> None:
        """Add an arm with these changes, under a name that no combination of other changes has in the folder."""
        for number in count(1):
            self.combination = COMBINATION if number == 1 else f"{COMBINATION}-{number}"
            self.changes[self.combination] = changes
            try:
                check_run_folder(self._trial(self.combination, 0))
                return
            except UserError:
                del self.changes[self.combination]

    def _are_compatible(self, arms: Sequence[str]) -> bool:
        """Whether no key of these arms has two values, and the recipe accepts all of them together."""
        merged: dict[str, Any] = {}
        for arm in arms:
            if any(merged.get(key, value) != value for key, value in self.changes[arm].items()):
                return False
            merged |= self.changes[arm]
        try:
            apply_changes(self.base, merged, COMBINATION)
        except RecipeError:
            return False
        return True

    def write_result(self) -> dict[str, Any]:
        """Write sweep.json and sweep.md as far as the sweep has come, and return the content of sweep.json."""
        result = {
            "name": self.sweep.name, "baseline": self.sweep.baseline,
            "arms": [self._describe_arm(arm) for arm in self.changes], "protocol": self._describe_protocol(),
        }  # fmt: skip
        write_atomically(self.out / SWEEP_RESULT, (json.dumps(result, indent=1) + "\n").encode())
        write_atomically(self.out / SWEEP_TABLE, render_table(result).encode())
        return result

    def _describe_arm(self, arm: str) -> dict[str, Any]:
        """The object of an arm in sweep.json."""
        baseline, stopped_at = self.sweep.baseline, self.stopped_at.get(arm)
        comparison = self.compare(arm, baseline)
        diverged_at, seeds, paces = 0, [], []
        for key in self.keys(arm):
            progress = read_progress(self.trials[key])
            measured = self.measured.get((*key, stopped_at or self.epochs))
            diverged_at = max(1, progress.last_epoch) if progress.diverged else diverged_at
            paces += [progress.seconds_per_epoch] if progress.seconds_per_epoch else []
            seeds.append(
                {
                    "seed": self.trials[key].recipe.training.seed,
                    "run": str(self.trials[key].folder.relative_to(self.out)),
                    "cer": measured.cer if measured else None,
                    "epochs": progress.last_epoch, "stopped_at_epoch": stopped_at,
                }
            )  # fmt: skip
        if diverged_at:
            verdict = f"training diverged in epoch {diverged_at}: lower its learning rate, or clip its gradients"
        elif comparison and arm == baseline:
            verdict = "what the others are compared with"
        elif comparison is None:
            verdict = "not finished"
        else:
            verdict = describe_verdict(comparison, baseline, stopped_at, self.epochs)
        described: dict[str, Any] = {
            "name": arm, "about": self.sweep.arms[arm].about if arm in self.sweep.arms else "",
            "changes": self.changes[arm], "seeds": seeds,
            "cer": comparison.cer if comparison else None,
            "cer_interval": list(comparison.cer_interval) if comparison else None,
            "difference": None, "difference_interval": None,
            "seconds_per_epoch": statistics.mean(paces) if paces else None,
        }  # fmt: skip
        if comparison and arm != baseline:
            described["difference"] = comparison.difference
            described["difference_interval"] = list(comparison.difference_interval)
        if arm == self.combination:
            described |= {"about": "all that helped: " + ", ".join(self.combined["combines"]), **self.combined}
            if beside := self._describe_best_other():
                verdict += f"; {beside}"
            if self.combined["leaves_out"]:
                verdict += f"; leaves out {', '.join(self.combined['leaves_out'])}, which set the same keys otherwise"
        return {**described, "verdict": verdict}

    def _describe_best_other(self) -> str:
        """The combination beside the arm that has the lowest CER of all others; empty while it is not measured."""
        comparisons = {
            arm: self.compare(arm, self.sweep.baseline) for arm in self.alive
            if arm not in (self.combination, self.sweep.baseline)
        }  # fmt: skip
        cers = {arm: comparison.cer for arm, comparison in comparisons.items() if comparison}
        best = min(cers, key=lambda arm: cers[arm], default=None)
        beside = self.compare(self.combination, best) if best else None
        if beside is None:
            return ""
        one_seed = " with this one seed" if beside.seeds == 1 else ""
        relation = "cannot be told from" if beside.outcome == "open" else f"{beside.outcome}{one_seed} than"
        return f"{relation} {best}, the best other arm (CER {beside.in_points})"

    def describe_stopping(self) -> str:
        """Say which arms are stopped early, where there are rungs."""
        return (
            f"Halving after epochs {', '.join(map(str, self.rungs))}: of the arms besides the baseline the best "
            f"{self.sweep.keep:.0%} by validation CER go on, and all that are not behind the baseline; the others are "
            "stopped and compared with the baseline at that epoch."
        )

    def _describe_protocol(self) -> dict[str, Any]:
        """What was done, as data and in sentences, and what it cannot tell."""
        sweep, options = self.sweep, self.base.training
        further = f", and up to {sweep.extra_seeds} more" if sweep.extra_seeds else ""
        condition = ", one by one, as long as the interval of its difference holds 0" if further else ""
        rules = [
            f"Every arm has the same {self.epochs} epochs of {options.epoch_lines} lines and starts from random "
            f"weights with {count_seeds(sweep.seeds)}{further}{condition}.",
            f"CER: {sweep.test_lines} test lines, whose glyphs and sentences no training and no validation has seen, "
            "read by the function of `glyphline evaluate` with the best weights by validation loss; decoder "
            f"{DECODER}, {FOLDS[sweep.fold][1]}. Every seed reads the same lines.",
            "Intervals: 95 %. The chance of the lines is a bootstrap over sentences, that of the seeds is Student's t, "
            "which needs two seeds; both are combined by squares (Zou and Donner 2008). Differences are paired by line "
            "and by seed.",
            self.describe_stopping() if self.rungs else "No arm is stopped early.",
        ]
        if self.is_judged_again:
            rules.append(
                "The intervals and verdicts were computed again from the measured errors, after the sweep: which arms "
                "have further seeds, and what was combined, was decided by the intervals of that time."
            )
        cannot_tell = [
            f"What {self.epochs} epochs do not show: an idea that pays off later, such as one that delays overfitting, "
            "looks smaller than it is; so does one that was stopped early.",
            f"Seeds: {count_seeds(sweep.seeds)} an arm{further}. One says nothing about the spread between seeds. With "
            "more, an interval reaches at least "
            + ", ".join(f"{t_quantile(n - 1) / math.sqrt(n):.1f}" for n in (2, 3, 5))
            + " standard deviations between seeds to either side of the estimate for 2, 3 and 5 seeds: two seeds tell "
            "large differences only. Whether seeds scatter normally, as Student's t assumes, so few cannot tell.",
            self._describe_chance(),
            "Other hyperparameters: each idea is tried with one setting, mostly at the baseline's learning rate.",
            "An arm with other glyphs or another alphabet is tested on lines of its own: the same sentences, with "
            "other images of the characters.",
        ]
        return {
            "base": self.base.name, "recipe": self.recipe, "epochs": self.epochs, "seeds": sweep.seeds,
            "extra_seeds": sweep.extra_seeds, "rungs": self.rungs, "keep": sweep.keep, "test_lines": sweep.test_lines,
            "fold": sweep.fold, "decoder": DECODER, "rules": rules, "cannot_tell": cannot_tell,
        }  # fmt: skip

    def _describe_chance(self) -> str:
        """How often an idea without effect gets a verdict."""
        ideas, looks = len(self.sweep.arms), 1 + self.sweep.extra_seeds
        if self.sweep.seeds == 1:
            return (
                "Chance: the interval of one seed holds the chance of the lines alone. An idea without effect is found "
                "better or worse wherever the two networks differ, as two seeds of one arm do."
            )
        again = f", and of up to {0.05 * looks:.0%} in {looks} looks" if looks > 1 else ""
        return (
            "Chance: an idea without effect has a chance of up to 5 % of a verdict each time that its interval is "
            f"looked at{again}. Were all {ideas} ideas without effect, up to "
            f"{1 - max(0.0, 1 - 0.05 * looks) ** ideas:.0%} of such sweeps would still call at least one worth it or "
            "not worth it."
        )


def run_sweep(
    sweep: SweepRecipe,
    base: Recipe,
    out: Path,
    *,
    trackers: Sequence[str] = ("csv",),
    report: Callable[[str], None] = print,
    show: Show = lambda statuses, new: None,
) -> dict[str, Any]:
    """Run a sweep into a folder and return the content of its sweep.json.

    The folder gets sweep.json and sweep.md, which are brought up to date at every rung, arms/ARM.yaml, the recipe
    whose test lines decide, and runs/ARM-SEED, the run folders. A call after a kill goes on where it stopped; one with
    more seeds or further arms trains only those. report: receives notes of trackers. show: receives the live table.
    Raises what `open_sweep_folder`, `run_trial` and `measure_trial` raise, UserError for the folder of a sweep that
    runs on a cluster.
    """
    with open_sweep_folder(out):
        if (out / DECISIONS_FILE).exists():
            raise UserError(
                f"the sweep in {out} runs on a cluster: continue it with --cluster, or choose another --out"
            )
        return SweepRun(sweep, base, out, trackers, report, show).run()


@contextmanager
def open_sweep_folder(out: Path) -> Iterator[None]:
    """Make a sweep's folder and hold its lock during the block.

    Raises UserError when another process holds the lock, and when the folder cannot be written, also in the block.
    """
    try:
        with lock_folder(out, LOCK_FILE, "runs the sweep in"):
            yield
    except OSError as error:
        raise UserError(f"cannot write the sweep's folder {out}: {error.strerror or error}") from None


def with_settings(sweep: SweepRecipe, **settings: Any) -> SweepRecipe:
    """The sweep with other values of some fields, of which None keeps the sweep's own. Raises RecipeError."""
    return dataclasses.replace(sweep, **{name: value for name, value in settings.items() if value is not None})
