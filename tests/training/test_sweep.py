"""Sweeps: what is stopped, repeated, combined and resumed; verdicts from real trainings of tiny networks."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from glyphline.cli import main
from glyphline.cli.sweep import _LiveTable, _render_statuses
from glyphline.errors import DataError, UserError
from glyphline.reading.lines import open_line_reader
from glyphline.recipe import Recipe, apply_changes, changed_keys
from glyphline.training import sweep as sweep_module
from glyphline.training.evaluate import evaluate
from glyphline.training.export import open_run
from glyphline.training.sweep import COMBINATION, SweepRun, TrialStatus, load_sweep, make_trial, run_sweep
from glyphline.training.train import DivergedError
from glyphline.training.trials import Trial, check_run_folder, measure_trial, read_progress, run_trial

TinyRecipe = Callable[..., Recipe]
ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "benchmarks" / "results" / "sweep"
ARMS = {
    "sgd": {"changes": {"training.optimizer": "sgd"}},
    "bilstm": {"about": "both directions", "changes": {"network.context": "bilstm"}},
    "wide": {"changes": {"network.features": 32}},
    "attention": {"changes": {"network.context": "attention"}},
}
EPOCHS = 8


def ignore(*_: Any) -> None:
    pass


@pytest.fixture
def sweep_file(tiny_recipe: TinyRecipe, tmp_path: Path) -> Path:
    """A sweep of ARMS over the tiny recipe; rungs after epochs 2 and 4 of 8."""
    (tmp_path / "tiny.yaml").write_text(tiny_recipe(training__epochs=EPOCHS, training__schedule="constant").to_yaml())
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump({"base": "tiny.yaml", "arms": ARMS, "test_lines": 40}))
    return path


# ------------------------------------------------------------------------------------------------------- the sweep file


def test_published_sweep_tries_the_ideas_of_the_report() -> None:
    sweep, base = load_sweep(ROOT / "recipes" / "sweep.yaml")
    assert list(sweep.arms) == ["byclass", "deeper", "bilstm", "schedule", "sgd", "streamed", "default-network"]
    assert base.lines.sentence_limit == 2000 and base.training.distinct_lines == 4000 and sweep.fold == "merged"
    for arm in sweep.arms.values():  # each alone: nothing but its own keys changes
        assert set(changed_keys(base, apply_changes(base, arm.changes, ""))) <= set(arm.changes)
    tiles = yaml.safe_load((ROOT / "recipes" / "tiles.yaml").read_text())["network"]
    changes = {key.removeprefix("network."): value for key, value in sweep.arms["default-network"].changes.items()}
    tiles["dropout"] = 0.15  # as it was when the sweep was run
    assert tiles.items() <= changes.items()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"arms": {}}, "at least one idea"),
        ({"arms": {"baseline": {"changes": {"training.batch": 8}}}}, "another name"),
        ({"arms": {"a/b": {"changes": {"training.batch": 8}}}}, "another name"),
        ({"arms": {"long": {"changes": {"training.epochs": 9}}}}, r"training\.epochs, which the sweep decides"),
        ({"arms": {"same": {"changes": {"training.batch": 4}}}}, "changes nothing"),
        ({"arms": {"odd": {"changes": {"training.bach": 4}}}}, 'the arm "odd".*did you mean "batch"'),
        ({"arms": {"odd": {"change": {}}}}, 'no key "arms.odd.change"; did you mean "changes"'),
        ({"arms": {"odd": {}}}, 'arms.odd needs the key "changes"'),
        ({"seed": 3}, 'did you mean "seeds"'),
        ({"rungs": [0.5, 1.5]}, "between 0 and 1"),
        ({"keep": 0}, "share above 0"),
        ({"fold": "merge"}, 'did you mean "merged"'),
        ({"base": "none.yaml"}, "no recipe"),
    ],
)
def test_wrong_sweep_file_is_refused_in_one_line(sweep_file: Path, change: dict[str, Any], message: str) -> None:
    sweep_file.write_text(yaml.safe_dump({**yaml.safe_load(sweep_file.read_text()), **change}))
    with pytest.raises(UserError, match=message) as caught:
        load_sweep(sweep_file)
    assert "\n" not in str(caught.value)


def test_set_options_change_the_base_of_all_arms(sweep_file: Path) -> None:
    sweep, base = load_sweep(sweep_file, ["training.epochs=3", "training.batch=8"])
    trial = make_trial(sweep, base, "sgd", sweep.arms["sgd"].changes, 1, Path("out"))
    options = trial.recipe.training
    assert (options.epochs, options.batch, options.optimizer, options.seed) == (3, 8, "sgd", base.training.seed + 1)
    assert trial.folder == Path("out/runs/sgd-1")


# ---------------------------------------------------------------------------- which trials run, with imagined trainings


class ImaginedTrials:
    """Replaces training by curves: the CER of an arm after each epoch, and its errors on the test lines.

    The test lines are read where training stops, into the file from which the real `measure_trial` takes them: as
    there, a trial that has gone on cannot be measured at an earlier epoch any more.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cers: dict[str, float]) -> None:
        self.cers = cers
        self.trained: list[tuple[str, int, int, int]] = []  # arm, seed, from epoch, to epoch
        monkeypatch.setattr(sweep_module, "run_trial", self.run_trial)
        monkeypatch.setattr(sweep_module, "measure_trial", self.measure_trial)

    def cer(self, trial: Trial, epoch: int) -> float:
        return self.cers[trial.arm] + 1 / (epoch + 1) + 0.001 * trial.seed

    def run_trial(self, trial: Trial, until: int, *, on_epoch: Callable[[int, float], None], **_: Any) -> None:
        check_run_folder(trial)
        done = read_progress(trial).epochs
        if until <= done:
            return
        trial.folder.mkdir(parents=True, exist_ok=True)
        (trial.folder / "recipe.yaml").write_text(trial.recipe.to_yaml())
        for epoch in range(done + 1, until + 1):
            rows = {str(e): {"cer": self.cer(trial, e), "seconds": 2.0} for e in range(1, epoch + 1)}
            (trial.folder / "trial.json").write_text(json.dumps({"epochs": rows}))
            on_epoch(epoch, self.cer(trial, epoch))
        self.trained.append((trial.arm, trial.seed, done, until))
        (trial.folder / "result.json").write_text(json.dumps({"epochs": until}))

    def measure_trial(self, trial: Trial, epoch: int, lines: Path, count: int) -> Any:
        path = trial.folder / f"test-{epoch}.json"
        if not path.exists() and read_progress(trial).last_epoch == epoch:
            rng = np.random.default_rng([trial.seed, len(trial.arm), epoch])
            errors = rng.binomial(100, self.cer(trial, epoch) / 4, count).tolist()
            path.write_text(json.dumps({"lines": count, "errors": errors, "lengths": [100] * count}))
        return measure_trial(trial, epoch, lines, count)


CERS = {"baseline": 0.2, "sgd": 0.9, "bilstm": 0.1, "wide": 0.05, "attention": 0.8, COMBINATION: 0.02}


def run_imagined(sweep_file: Path, monkeypatch: pytest.MonkeyPatch, cers: dict[str, float], **settings: Any) -> Any:
    """Run the sweep file's sweep into `out` beside it. Returns the result and the imagined trials."""
    trials = ImaginedTrials(monkeypatch, cers)
    sweep, base = load_sweep(sweep_file)
    sweep = sweep_module.with_settings(sweep, **settings)
    return run_sweep(sweep, base, sweep_file.parent / "out", report=ignore), trials


def arm_of(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(arm for arm in result["arms"] if arm["name"] == name)


def test_hopeless_arms_are_stopped_and_compared_at_their_rung(
    sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, trials = run_imagined(sweep_file, monkeypatch, CERS)
    ends = {arm: max(end for name, _, _, end in trials.trained if name == arm) for arm in CERS}
    assert ends == {"sgd": 2, "attention": 2, "baseline": 8, "bilstm": 8, "wide": 8, COMBINATION: 8}
    assert [seed["stopped_at_epoch"] for seed in arm_of(result, "sgd")["seeds"]] == [2, 2]
    assert [seed["stopped_at_epoch"] for seed in arm_of(result, "wide")["seeds"]] == [None, None]
    sgd = arm_of(result, "sgd")
    assert sgd["difference"] == pytest.approx((0.9 - 0.2) / 4, abs=0.02)  # not (0.9 + 1/3 - 0.2 - 1/9) / 4
    assert sgd["verdict"].startswith("stopped at epoch 2 of 8, worse there (CER +")
    assert result["protocol"]["rungs"] == [2, 4] and "epochs 2, 4" in " ".join(result["protocol"]["rules"])


def test_arm_ahead_of_the_baseline_is_never_stopped(sweep_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, trials = run_imagined(sweep_file, monkeypatch, {**dict.fromkeys(CERS, 0.1), "baseline": 0.2})
    assert {arm for arm, _, _, end in trials.trained if end == 8} >= set(ARMS)


def test_all_that_helped_is_combined_and_the_better_of_two_that_conflict(
    sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = run_imagined(
        sweep_file, monkeypatch, {**CERS, "wide": 0.0, "attention": 0.07, "bilstm": 0.13, COMBINATION: -0.08}
    )
    together = arm_of(result, COMBINATION)
    assert together["combines"] == ["wide", "attention"] and together["leaves_out"] == ["bilstm"]
    assert together["changes"] == {"network.features": 32, "network.context": "attention"}
    assert "leaves out bilstm" in together["verdict"]
    assert "better than wide, the best other arm (CER -" in together["verdict"]
    assert arm_of(result, "wide")["verdict"].endswith("worth it") and result["baseline"] == "baseline"


def test_two_ideas_together_go_before_a_better_one_that_excludes_both(
    sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load(sweep_file.read_text())
    content["arms"]["whole"] = {"changes": {"network.features": 48, "network.context": "bilstm"}}
    sweep_file.write_text(yaml.safe_dump(content))
    cers = {**CERS, "whole": -0.02, "wide": 0.0, "attention": 0.05, "bilstm": 0.9}
    together = arm_of(run_imagined(sweep_file, monkeypatch, cers)[0], COMBINATION)
    assert together["combines"] == ["wide", "attention"] and together["leaves_out"] == ["whole"]
    assert "whole, the best other arm" in together["verdict"]  # not wide, the better one of those that it combines


def test_nothing_is_combined_where_one_idea_helped(sweep_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = run_imagined(sweep_file, monkeypatch, {**CERS, "bilstm": 0.9})
    assert COMBINATION not in [arm["name"] for arm in result["arms"]]


def test_close_arms_and_the_baseline_get_a_further_seed(sweep_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, trials = run_imagined(sweep_file, monkeypatch, {**CERS, "bilstm": 0.2})
    assert {arm for arm, seed, _, _ in trials.trained if seed == 2} == {"baseline", "bilstm"}
    assert len(arm_of(result, "bilstm")["seeds"]) == 3 and len(arm_of(result, "wide")["seeds"]) == 2
    assert "no difference that 3 seeds and 40 lines can show" in arm_of(result, "bilstm")["verdict"]
    _, trials = run_imagined(sweep_file, monkeypatch, {**CERS, "bilstm": 0.2}, extra_seeds=0)
    assert not trials.trained  # the folder has them all


def test_sweep_that_is_called_again_trains_only_what_is_missing(
    sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, trials = run_imagined(sweep_file, monkeypatch, CERS)
    again, none = run_imagined(sweep_file, monkeypatch, CERS)
    assert trials.trained and not none.trained and again == first
    wider, further = run_imagined(sweep_file, monkeypatch, CERS, seeds=3)
    assert {seed for _, seed, _, _ in further.trained} == {2}
    assert [seed["seed"] for seed in arm_of(wider, "wide")["seeds"]] == [0, 1, 2]


@pytest.mark.slow
def test_more_seeds_or_arms_stop_nothing_that_is_past_its_rung(
    sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cers = {**CERS, "bilstm": 0.2, "attention": 0.3, "wide": 0.5}
    content = yaml.safe_load(sweep_file.read_text()) | {"rungs": [0.25]}
    sweep_file.write_text(yaml.safe_dump(content))
    run_imagined(sweep_file, monkeypatch, cers)
    further_seed = sweep_file.parent / "out" / "runs" / "baseline-2"  # was never measured at the rung
    assert [path.name for path in further_seed.glob("test-*")] == ["test-8.json"]
    for name, features in (("better", 48), ("best", 64)):  # with these, attention is no longer among the best half
        content["arms"][name] = {"changes": {"network.features": features}}
    sweep_file.write_text(yaml.safe_dump(content))
    result, further = run_imagined(
        sweep_file, monkeypatch, {**cers, "better": 0.19, "best": 0.15}, seeds=3, extra_seeds=0
    )
    stops = {arm["name"]: arm["seeds"][0]["stopped_at_epoch"] for arm in result["arms"]}
    assert {arm for arm, stop in stops.items() if stop} == {"sgd", "wide"}
    assert not [run for run in further.trained if run[0] == "attention" and run[1] < 2]
    attention = arm_of(result, "attention")
    assert [seed["epochs"] for seed in attention["seeds"]] == [8, 8, 8] and attention["difference"] is not None
    assert arm_of(result, "sgd")["difference"] is not None  # beside the two seeds of the baseline that were measured


def test_rung_at_which_the_baseline_was_not_measured_stops_no_arm(
    sweep_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load(sweep_file.read_text())
    sweep_file.write_text(yaml.safe_dump({**content, "rungs": []}))
    run_imagined(sweep_file, monkeypatch, CERS)
    content["arms"]["late"] = {"changes": {"network.features": 48}}
    sweep_file.write_text(yaml.safe_dump(content))
    late = arm_of(run_imagined(sweep_file, monkeypatch, {**CERS, "late": 0.95})[0], "late")
    assert late["seeds"][0]["stopped_at_epoch"] is None and late["verdict"].endswith("not worth it")


@pytest.mark.slow
def test_further_arm_that_helps_makes_another_combination(sweep_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cers = {**CERS, "wide": 0.0, "attention": 0.9}
    first, _ = run_imagined(sweep_file, monkeypatch, cers)
    assert arm_of(first, COMBINATION)["combines"] == ["wide", "bilstm"]
    content = yaml.safe_load(sweep_file.read_text())
    content["arms"]["deep"] = {"changes": {"network.layers": 2}}
    sweep_file.write_text(yaml.safe_dump(content))
    name = f"{COMBINATION}-2"
    again, trials = run_imagined(sweep_file, monkeypatch, {**cers, "deep": 0.02, name: -0.05})
    assert {arm for arm, *_ in trials.trained} == {"deep", name}
    assert arm_of(again, name)["combines"] == ["wide", "deep", "bilstm"]
    assert "the best other arm" in arm_of(again, name)["verdict"]
    _, trials = run_imagined(sweep_file, monkeypatch, {**cers, "deep": 0.02, name: -0.05})
    assert not trials.trained


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A copy of the published sweep, whose runs have no weights."""
    return Path(shutil.copytree(PUBLISHED, tmp_path / "published"))


@pytest.mark.slow
def test_published_sweep_goes_on_with_further_seeds(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command of docs/try-ideas.md: glyphline sweep recipes/sweep.yaml --out runs/sweep --epochs 6 --seeds 3."""
    before = {arm["name"]: arm for arm in json.loads((published / "sweep.json").read_text())["arms"]}
    runs = {path.name for path in (published / "runs").iterdir()}
    sweep, base = load_sweep(ROOT / "recipes" / "sweep.yaml", ["training.epochs=6"])
    trials = ImaginedTrials(monkeypatch, {name: 4 * arm["cer"] - 1 / 7 for name, arm in before.items()})
    result = run_sweep(sweep_module.with_settings(sweep, seeds=3), base, published, report=ignore)
    assert trials.trained and not runs & {f"{arm}-{seed}" for arm, seed, _, _ in trials.trained}
    assert [arm["name"] for arm in result["arms"]] == list(before)
    for arm in result["arms"]:
        stops = [seed["stopped_at_epoch"] for seed in arm["seeds"]]
        assert len(stops) >= 3 and set(stops) == {3 if arm["name"] == "sgd" else None}
        measured = {seed["run"]: seed["cer"] for seed in before[arm["name"]]["seeds"]}
        assert {seed["run"]: seed["cer"] for seed in arm["seeds"]}.items() >= measured.items()


def test_stated_duration_is_the_sum_of_the_measured_epochs() -> None:
    arms = {arm["name"]: arm for arm in json.loads((PUBLISHED / "sweep.json").read_text())["arms"]}
    seconds = {name: arm["seconds_per_epoch"] for name, arm in arms.items()}
    together = seconds.pop(COMBINATION)
    sweep, base = load_sweep(ROOT / "recipes" / "sweep.yaml")
    epochs = base.training.epochs
    hours = [
        sweep.seeds * epochs * sum(seconds.values()) / 3600,
        sweep.seeds * epochs / 2 * seconds["sgd"] / 3600,
        sweep.seeds * epochs * together / 3600,
        epochs * seconds["report"] / 3600,
    ]
    first = hours[0] - hours[1] + hours[2]
    text = " ".join((ROOT / "docs" / "try-ideas.md").read_text().split())
    assert f"takes {sum(seconds.values()):.0f} s together, so two seeds and 30 epochs take {hours[0]:.1f} hours" in text
    assert f"{hours[1]:.1f} hours less" in text and f"adds {hours[2]:.1f} hours" in text
    assert f"a third seed {hours[3]:.1f} hours" in text
    most = first + epochs * sum(seconds[arm] for arm in ("report", "byclass", "schedule", "streamed")) / 3600
    assert f"takes {first + hours[3]:.0f} to {most:.0f} hours" in text
    short = (8 * (sum(seconds.values()) + together) - 4 * seconds["sgd"]) / 3600
    assert f"The second command takes {short:.1f} hours" in text
    ran = sum(len(arm["seeds"]) * arm["seeds"][0]["epochs"] * arm["seconds_per_epoch"] for arm in arms.values())
    assert f"which is {ran / 3600:.1f} hours by the same sum" in text


def test_published_verdicts_are_those_of_the_measured_errors(published: Path) -> None:
    sweep, base = load_sweep(ROOT / "recipes" / "sweep.yaml", ["training.epochs=6"])
    SweepRun(sweep, base, published, (), ignore, ignore).judge_again()
    for name in ("sweep.json", "sweep.md"):
        assert (published / name).read_text() == (PUBLISHED / name).read_text()


def test_sweep_is_judged_again_as_it_was_judged(sweep_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = run_imagined(sweep_file, monkeypatch, {**CERS, "attention": 0.19})
    sweep, base = load_sweep(sweep_file)
    again = SweepRun(sweep, base, sweep_file.parent / "out", (), ignore, ignore).judge_again()
    assert again["arms"] == result["arms"]
    assert again["protocol"]["rules"][:-1] == result["protocol"]["rules"]


def test_chance_counts_every_look_at_an_interval(sweep_file: Path) -> None:
    sweep, base = load_sweep(sweep_file)

    for seeds, extra_seeds, text in ((2, 0, "up to 19% of such"), (2, 1, "up to 34% of such"), (1, 0, "of one seed")):
        settings = sweep_module.with_settings(sweep, seeds=seeds, extra_seeds=extra_seeds)
        run = SweepRun(settings, base, sweep_file.parent / "out", (), ignore, ignore)
        assert text in run._describe_chance()


def test_result_has_the_keys_that_the_report_page_reads(sweep_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_imagined(sweep_file, monkeypatch, CERS)
    result = json.loads((sweep_file.parent / "out" / "sweep.json").read_text())
    assert {"arms", "baseline", "protocol"} <= result.keys()
    for arm in result["arms"]:
        assert {"name", "changes", "seeds", "cer", "cer_interval", "verdict"} <= arm.keys()
        assert arm["cer_interval"][0] <= arm["cer"] <= arm["cer_interval"][1]
        for seed in arm["seeds"]:
            assert {"seed", "run", "cer", "stopped_at_epoch"} <= seed.keys()
            assert (sweep_file.parent / "out" / seed["run"]).is_dir()
    table = (sweep_file.parent / "out" / "sweep.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(result["arms"]) and all(row.count("|") == rows[0].count("|") for row in rows)
    assert all(note in table for note in result["protocol"]["cannot_tell"])


def test_statuses_count_down_to_zero(sweep_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ImaginedTrials(monkeypatch, CERS)
    sweep, base = load_sweep(sweep_file)
    shown: list[list[TrialStatus]] = []
    run_sweep(
        sweep, base, sweep_file.parent / "out", report=ignore, show=lambda statuses, new: shown.append([*statuses])
    )
    assert shown[0][0].seconds_left is None
    first = next(row for rows in shown for row in rows if row.epoch == 1)
    assert (first.arm, first.seconds_left, first.state) == ("baseline", 2.0 * (EPOCHS - 1), "training")
    assert {row.state for row in shown[-1]} == {"finished", "stopped"}
    assert all(row.seconds_left == 0 for row in shown[-1])


def test_live_table_shows_every_training_and_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    statuses = [
        TrialStatus("report", 0, 8, 8, 0.0312, "finished", 0.0),
        TrialStatus("sgd", 1, 2, 8, 0.5, "training", 3723.0),
    ]
    console = Console(width=100)
    console.print(_render_statuses("ideas", statuses))
    table = capsys.readouterr().out
    assert "ideas" in table and "3.12%" in table and "2/8" in table and "at most 1:02:03 left" in table
    live = _LiveTable("ideas")
    with live:  # stderr is no terminal here: a line for each epoch
        live.show(statuses, None)
        live.show(statuses, statuses[1])
    line = "sgd, seed 1: epoch 2 of 8, validation CER 50.00%, 1:02:03 left; all trainings: 1:02:03 left at most"
    assert capsys.readouterr().err == line + "\n"


# ------------------------------------------------------------------------------------------------------- real trainings


@pytest.fixture
def short_trial(sweep_file: Path, tmp_path: Path) -> Trial:
    """A trial of two epochs."""
    sweep, base = load_sweep(sweep_file, ["training.epochs=2"])
    return make_trial(sweep, base, "baseline", {}, 0, tmp_path)


@pytest.mark.slow
def test_trial_goes_on_epoch_by_epoch_and_is_measured_as_evaluate_does(short_trial: Trial, tmp_path: Path) -> None:
    epochs: list[tuple[int, float]] = []

    def note(epoch: int, cer: float) -> None:
        epochs.append((epoch, cer))

    recipe = tmp_path / "test.yaml"
    recipe.write_text(short_trial.recipe.to_yaml())
    first = run_trial(short_trial, 1, on_epoch=note, report=ignore)
    assert (first.epochs, first.is_finished) == (1, False)
    measured = measure_trial(short_trial, 1, recipe, 20)
    second = run_trial(short_trial, 2, on_epoch=note, report=ignore)
    assert run_trial(short_trial, 2, on_epoch=note, report=ignore) == second  # nothing is repeated
    assert (second.epochs, second.is_finished, dict(second.validation_cers)) == (2, True, dict(epochs))
    assert [epoch for epoch, _ in epochs] == [1, 2] and second.best_cer(1) == epochs[0][1]
    again = measure_trial(short_trial, 1, recipe, 20)  # of the network after epoch 1, from the file
    assert measured and again and (again.errors == measured.errors).all()
    last = measure_trial(short_trial, 2, recipe, 20)
    reader = open_line_reader(open_run(short_trial.folder), "greedy")
    assert last and last.cer == evaluate(str(recipe), reader, count=20).score.cer
    assert measure_trial(short_trial, 1, recipe, 30) is None  # its network of that epoch is gone
    other = make_trial(*load_sweep(tmp_path / "sweep.yaml"), "baseline", {}, 0, tmp_path)
    with pytest.raises(UserError, match=r"run of another sweep \(training\.epochs is 2, now 8\)"):
        run_trial(other, 8)
    (short_trial.folder / "test-1.json").write_text('{"lines": 20}')
    with pytest.raises(DataError, match=r"test-1\.json is damaged \('errors' is missing\): delete it"):
        measure_trial(short_trial, 1, recipe, 20)
    (short_trial.folder / "trial.json").write_text("{")
    with pytest.raises(DataError, match=r"trial\.json is damaged"):
        run_trial(short_trial, 2)


def test_training_that_diverges_ends_its_arm_only(
    sweep_file: Path, monkeypatch: pytest.MonkeyPatch, short_trial: Trial
) -> None:
    def diverge(*_: Any, **__: Any) -> None:
        raise DivergedError("the validation loss is nan")

    monkeypatch.setattr("glyphline.training.trials.train", diverge)
    short_trial.folder.mkdir(parents=True)
    progress = run_trial(short_trial, 2)
    assert progress.is_finished and progress.best_cer(2) == float("inf")
    assert measure_trial(short_trial, 2, sweep_file, 10) is None


SWEEP_KILLER = """
import os, signal, sys
from glyphline.cli import main
from glyphline.cli.sweep import _LiveTable, _render_statuses

replace, count = os.replace, int(sys.argv[1])

def replace_or_kill(source, target):
    global count
    count -= os.path.basename(target) == "last.ckpt"
    if count == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = replace_or_kill
main(sys.argv[2:])
"""


@pytest.mark.slow
def test_killed_sweep_goes_on_to_the_same_result(
    sweep_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed while its third and its ninth checkpoint are written, each time in the middle of a training."""
    options = ["--epochs", "4", "--seeds", "1", "--extra-seeds", "0", "--threads", "1"]
    with pytest.raises(SystemExit) as caught:
        main(["sweep", str(sweep_file), "--out", str(tmp_path / "whole"), *options])
    assert caught.value.code == 0
    command = ["sweep", str(sweep_file), "--out", str(tmp_path / "killed"), *options]
    for checkpoint in (3, 7):
        killed = subprocess.run([sys.executable, "-c", SWEEP_KILLER, str(checkpoint), *command], capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 0
    out, err = capsys.readouterr()
    results = [json.loads((tmp_path / name / "sweep.json").read_text()) for name in ("whole", "killed")]
    for result in results:
        for arm in result["arms"]:
            arm.pop("seconds_per_epoch")
    assert results[0] == results[1]
    assert out == (tmp_path / "killed" / "sweep.md").read_text()
    assert len([line for line in err.splitlines() if "validation CER" in line]) < 4 * len(ARMS)  # not from the start


@pytest.mark.slow
def test_sweep_finds_that_a_network_that_hardly_learns_is_not_worth_it(sweep_file: Path, tmp_path: Path) -> None:
    arms = {"blank": {"changes": {"training.learning_rate": 2e-4}}}  # only learns to output blanks
    changes = {  # three letters and a wider network, which reads most of them after one epoch
        "lines.alphabet": " aeo", "network.channels": [8, 16], "network.features": 32, "network.context": "bilstm",
        "network.dropout": 0.0, "training.epoch_lines": 800, "training.validation_lines": 40,
    }  # fmt: skip
    settings = {"seeds": 3, "test_lines": 60, "extra_seeds": 0, "rungs": []}
    sweep_file.write_text(yaml.safe_dump({"base": "tiny.yaml", "changes": changes, "arms": arms, **settings}))
    loaded, base = load_sweep(sweep_file, ["training.epochs=1"])
    result = run_sweep(loaded, base, tmp_path / "out", report=ignore)
    blank = arm_of(result, "blank")
    assert blank["verdict"].endswith("points, not worth it") and blank["difference_interval"][0] > 0
    assert blank["cer"] > arm_of(result, "baseline")["cer"] > 0
