"""Training: CTC loss, learning rates, run folders, resuming after a kill, an interrupt or a full disk, and refusals."""

from __future__ import annotations

import csv
import itertools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from glyphline.alphabet import Alphabet, collapse
from glyphline.cli import main
from glyphline.composing.line_sets import LineSet
from glyphline.composing.stored_lines import write_parquet
from glyphline.errors import GlyphlineError, RecipeError, UserError
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.decoders import GreedyDecoder
from glyphline.recipe import Recipe, TrainingRecipe, load_recipe
from glyphline.score import score
from glyphline.training.data import Batch, make_batch
from glyphline.training.distribution import Distribution
from glyphline.training.network import Network, TorchRecognizer, load_network
from glyphline.training.runs import RESULT_FILE, read_run
from glyphline.training.trackers import TRACKERS, Metrics, Tracker
from glyphline.training.train import (
    RUN_LOCK,
    SCHEDULES,
    ctc_loss,
    learning_rate_factor,
    lock_folder,
    lock_run_folder,
    train,
)

TinyRecipe = Callable[..., Recipe]
EPOCH_STEPS = 10  # optimiser steps of an epoch of the tiny recipe


def run_training(recipe: Recipe, folder: Path, **options: Any) -> dict[str, Any]:
    return train(recipe, folder, **{"trackers": ["csv"], "progress": False, "report": lambda text: None, **options})


def read_metrics(folder: Path) -> dict[tuple[int, str], float]:
    """The rows of metrics.csv, (step, name) -> value, without the speed, which differs from run to run.

    No metric stands there twice for a step.
    """
    with (folder / "metrics.csv").open(newline="") as rows:
        records = list(csv.DictReader(rows))
    values = {(int(r["step"]), r["name"]): float(r["value"]) for r in records}
    assert len(values) == len(records)
    return {key: value for key, value in values.items() if key[1] != "lines_per_second"}


def load_best_weights(folder: Path) -> dict[str, Tensor]:
    return torch.load(folder / "best.pt", weights_only=True)["weights"]  # type: ignore[no-any-return]


def assert_same_run(run: Path, other_run: Path) -> None:
    assert read_metrics(run) == read_metrics(other_run)
    weights, other_weights = load_best_weights(run), load_best_weights(other_run)
    assert weights.keys() == other_weights.keys()
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    results = [json.loads((folder / "result.json").read_text()) for folder in (run, other_run)]
    assert all(result.pop("minutes") >= 0 for result in results)
    assert results[0] == results[1]


# ------------------------------------------------------------------------------------------------------------- the loss


def batch_of(texts: list[str], alphabet: Alphabet) -> Batch:
    return make_batch([np.zeros((4, 8), np.uint8)] * len(texts), texts, alphabet)


def enumerate_paths(log_probs: Tensor, steps: int, ids: list[int]) -> float:
    """The summed probability of all paths of `steps` time steps that collapse to `ids`."""
    classes = range(log_probs.shape[1])
    paths = [path for path in itertools.product(classes, repeat=steps) if collapse(path) == ids]
    return sum(math.exp(sum(float(log_probs[t, c]) for t, c in enumerate(path))) for path in paths)


@pytest.mark.parametrize("text", ["", "a", "ab", "aa", "aba", "bb"])
def test_ctc_loss_is_the_sum_over_all_paths(text: str) -> None:
    alphabet = Alphabet("ab")
    log_probs = torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(len(text))).log_softmax(2)
    batch = batch_of([text], alphabet)
    for steps in (3, 4, 5):
        probability = enumerate_paths(log_probs[0], steps, alphabet.encode(text).tolist())
        loss = float(ctc_loss(log_probs, batch, torch.tensor([steps])))
        assert math.exp(-loss) == pytest.approx(probability, rel=1e-4)


def test_ctc_loss_is_summed_over_lines_and_ignores_padding() -> None:
    alphabet, texts, steps = Alphabet("abc"), ["ab", "c", "bca"], torch.tensor([4, 2, 6])
    log_probs = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0)).log_softmax(2)
    single_losses = [
        float(ctc_loss(log_probs[k : k + 1], batch_of([text], alphabet), steps[k : k + 1]))
        for k, text in enumerate(texts)
    ]
    batch_loss = float(ctc_loss(log_probs, batch_of(texts, alphabet), steps))
    assert batch_loss == pytest.approx(sum(single_losses), rel=1e-5)
    log_probs[0, 4:], log_probs[1, 2:] = -9, -9
    assert float(ctc_loss(log_probs, batch_of(texts, alphabet), steps)) == pytest.approx(batch_loss, rel=1e-5)


def test_line_with_too_few_time_steps_adds_no_loss_and_no_gradient() -> None:
    alphabet = Alphabet("ab")
    log_probs = torch.randn(2, 3, 3).log_softmax(2).requires_grad_()
    loss = ctc_loss(log_probs, batch_of(["aabb", "ab"], alphabet), torch.tensor([3, 3]))
    possible_loss = ctc_loss(log_probs[1:], batch_of(["ab"], alphabet), torch.tensor([3]))
    assert float(loss.detach()) == pytest.approx(float(possible_loss.detach()), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, log_probs)
    assert gradient.isfinite().all() and not gradient[0].any()


# ---------------------------------------------------------------------------------------------------- the learning rate


@pytest.mark.parametrize("warmup", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("total", [1, 7, 1000])
def test_learning_rates_rise_to_the_peak_and_then_fall(schedule: str, warmup: float, total: int) -> None:
    recipe = TrainingRecipe(schedule=schedule, warmup=warmup)
    rates = np.array([learning_rate_factor(recipe, step, total) for step in range(total)])
    assert (rates > 0).all() and rates.max() == pytest.approx(1, abs=2e-4)
    turns = np.diff(np.sign(np.diff(rates)))
    assert (turns <= 0).all()  # the rate rises, then falls, and never rises again
    assert 0 < learning_rate_factor(recipe, 10 * total, total) <= 1.0002  # steps past the end are valid


def test_learning_rate_schedules_differ_as_named() -> None:
    def factor(schedule: str, step: int, warmup: float = 0.02) -> float:
        return learning_rate_factor(TrainingRecipe(schedule=schedule, warmup=warmup), step, 1000)

    assert {factor("constant", step) for step in range(1000)} == {1.0}
    assert factor("cosine", 999) < 0.001 and factor("onecycle", 999) < 0.001
    assert factor("cosine", 20) > factor("onecycle", 20)  # one cycle rises for 0.3 of the run
    assert factor("cosine", 509) == pytest.approx(0.5, abs=0.01)
    assert factor("onecycle", 149, 0.0) == pytest.approx(0.5)


def test_logged_learning_rates_are_those_of_the_recipe(finished_run: Path) -> None:
    options = load_recipe(finished_run / "recipe.yaml").training
    logged = {step: value for (step, name), value in read_metrics(finished_run).items() if name == "learning_rate"}
    assert list(logged) == [1, 20, 40]
    for step, rate in logged.items():
        factor = learning_rate_factor(options, step - 1, options.epochs * EPOCH_STEPS)
        assert rate == pytest.approx(options.learning_rate * factor)


@pytest.mark.parametrize("key, value", [("optimizer", "adamm"), ("schedule", "cosin")])
def test_unknown_optimizer_or_schedule_is_refused_with_the_nearest_name(
    tiny_recipe: TinyRecipe, tmp_path: Path, key: str, value: str
) -> None:
    with pytest.raises(RecipeError, match=f'training.{key} is "{value}"; did you mean "{value[:4]}'):
        run_training(tiny_recipe(**{f"training__{key}": value}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("optimizer, schedule", [("adam", "constant"), ("sgd", "plateau"), ("adamw", "onecycle")])
def test_every_optimizer_and_schedule_trains(
    tiny_recipe: TinyRecipe, tmp_path: Path, optimizer: str, schedule: str
) -> None:
    recipe = tiny_recipe(
        training__optimizer=optimizer, training__schedule=schedule, training__epochs=2, training__ema_decay=0.0,
        training__warmup=0.0,
        training__learning_rate=0.003,
    )  # fmt: skip
    run_training(recipe, tmp_path / "run")
    losses = [value for (_, name), value in sorted(read_metrics(tmp_path / "run").items()) if name == "val_loss"]
    assert len(losses) == 2 and losses[1] < losses[0]


@pytest.mark.slow
def test_gradient_accumulation_gives_the_same_weights(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    network = {
        "network__encoder": "patches", "network__channels": [4, 8], "network__context": "lstm",
        "network__features": 16, "network__layers": 1, "network__dropout": 0.0,  # no batch statistics, no dropout
        "lines__length": [6, 6], "lines__cut": "character", "lines__pad": True,  # parts with equally many characters
    }  # fmt: skip
    for parts in (1, 4):
        recipe = tiny_recipe(training__epochs=2, training__gradient_accumulation=parts, **network)
        run_training(recipe, tmp_path / str(parts))
    whole, accumulated = (load_best_weights(tmp_path / name) for name in ("1", "4"))
    for name, value in whole.items():
        torch.testing.assert_close(value, accumulated[name], atol=2e-4, rtol=2e-3)


def test_bf16_trains_to_a_finite_loss(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    result = run_training(tiny_recipe(training__precision="bf16", training__epochs=1), tmp_path / "run")
    assert math.isfinite(result["best"]["val_loss"])


# ---------------------------------------------------------------------------------------------------------- overfitting


@pytest.mark.slow
def test_small_network_overfits_eight_lines(tiny_recipe: TinyRecipe) -> None:
    recipe = tiny_recipe(
        lines__layout="natural", lines__height=32, lines__length=[4, 12], lines__cut="word",
        network__channels=[8, 16, 32], network__features=64, network__context="bilstm", network__dropout=0.0,
    )  # fmt: skip
    torch.manual_seed(0)
    network = Network(recipe)
    lines = LineSet(recipe.lines, "train", 0)
    batch = make_batch(*lines.canonical_batch(range(8)), lines.alphabet)
    steps = torch.tensor([network.steps(int(width)) for width in batch.widths])
    optimizer = torch.optim.Adam(network.parameters(), 0.004)
    for _ in range(160):
        optimizer.zero_grad()
        (ctc_loss(network(batch.lines), batch, steps) / batch.lengths.sum()).backward()
        optimizer.step()
    with torch.inference_mode():
        rows = network.eval()(batch.lines).numpy()
    predictions = [
        GreedyDecoder()(row[:count], network.alphabet).text for row, count in zip(rows, steps.tolist(), strict=True)
    ]
    assert predictions == batch.texts


# ----------------------------------------------------------------------------------------------------------- run folder


def test_run_folder_holds_recipe_command_and_environment(tiny_recipe: TinyRecipe, finished_run: Path) -> None:
    names = {path.name for path in finished_run.iterdir()}
    assert names == {
        "recipe.yaml", "command.txt", "environment.json", "requirements.txt", "last.ckpt", "best.pt", "metrics.csv",
        "validation.json", "result.json", RUN_LOCK,
    }  # fmt: skip
    assert load_recipe(finished_run / "recipe.yaml") == tiny_recipe()
    assert (finished_run / "command.txt").read_text().count("\n") == 1
    environment = json.loads((finished_run / "environment.json").read_text())
    assert environment["torch"] == torch.__version__ and {"python", "cores", "numpy"} <= environment.keys()


def test_result_holds_the_metrics_of_the_best_epoch(finished_run: Path) -> None:
    result = json.loads((finished_run / "result.json").read_text())
    network, model_info = load_network(finished_run / "best.pt")
    assert (result["epochs"], result["steps"]) == (4, 4 * EPOCH_STEPS)
    assert result["parameters"] == network.parameter_count()
    assert result["best"] == model_info
    values = read_metrics(finished_run)
    losses = {step: value for (step, name), value in values.items() if name == "val_loss"}
    assert list(losses) == [EPOCH_STEPS, 2 * EPOCH_STEPS, 3 * EPOCH_STEPS, 4 * EPOCH_STEPS]
    best_step = min(losses, key=lambda step: losses[step])
    assert {name: model_info[name] for name in ("val_loss", "val_cer", "val_wer", "val_exact")} == {
        name: values[best_step, name] for name in ("val_loss", "val_cer", "val_wer", "val_exact")
    }
    assert model_info["step"] == best_step
    assert losses[4 * EPOCH_STEPS] < losses[EPOCH_STEPS]  # the network learns


@pytest.mark.slow
def test_same_recipe_gives_the_same_run(tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path) -> None:
    run_training(tiny_recipe(), tmp_path / "run")
    assert_same_run(finished_run, tmp_path / "run")


def test_run_never_repeats_a_training_line(
    tiny_recipe: TinyRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    compose = LineSet.canonical_batch

    def record_indices(lines: LineSet, indices: Any) -> Any:
        if lines.split == "train" and isinstance(indices, list):  # a batch, not the check before training
            trained.extend(indices)
        return compose(lines, indices)

    monkeypatch.setattr(LineSet, "canonical_batch", record_indices)
    run_training(tiny_recipe(training__epochs=2), tmp_path / "run")
    assert sorted(trained) == list(range(2 * 40))


def test_another_seed_gives_a_different_run(tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path) -> None:
    run_training(tiny_recipe(training__seed=1, training__epochs=1), tmp_path / "run")
    losses = [read_metrics(folder)[EPOCH_STEPS, "val_loss"] for folder in (tmp_path / "run", finished_run)]
    assert losses[0] != losses[1]


# ---------------------------------------------------------------------------------- kill, interrupt, full disk, tracker

KILLED_RUN = """
import os, signal, sys
from glyphline.cli import main

replace, checkpoints = os.replace, []

def replace_or_kill(source, target):
    if os.path.basename(target) == "last.ckpt":
        checkpoints.append(target)
        if len(checkpoints) == 3:  # the third epoch is complete except for its checkpoint
            os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = replace_or_kill
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_killed_run_resumes_to_the_same_result(tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path) -> None:
    folder, recipe = tmp_path / "run", tmp_path / "tiny.yaml"
    recipe.write_text(tiny_recipe().to_yaml())
    command = ["train", str(recipe), "--out", str(folder), "--track", "csv", "--threads", "1"]
    killed = subprocess.run([sys.executable, "-c", KILLED_RUN, *command], capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 2 * EPOCH_STEPS
    assert (3 * EPOCH_STEPS, "val_loss") in read_metrics(folder)  # the run was past its last checkpoint
    with pytest.raises(SystemExit) as caught:
        main([*command, "--resume"])
    assert caught.value.code == 0
    assert_same_run(finished_run, folder)
    assert (folder / "command.txt").read_text().count("\n") == 2


class FailingTracker(Tracker):
    """Raises `error` at the first validation from optimiser step `first_step` on."""

    rewinds = True  # it gets its records at once
    error: BaseException = KeyboardInterrupt()
    first_step = 2 * EPOCH_STEPS

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        if step >= self.first_step and "val_loss" in metrics:
            raise self.error


@pytest.fixture
def interrupt_in_third_epoch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tracker "failing" raises KeyboardInterrupt in the third epoch. Restores the signal handler afterwards."""
    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(FailingTracker, "first_step", 3 * EPOCH_STEPS)
    monkeypatch.setitem(TRACKERS, "failing", FailingTracker)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.slow
@pytest.mark.usefixtures("interrupt_in_third_epoch")
def test_interrupted_run_keeps_its_last_epoch_and_resumes_to_the_same_result(
    tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run_training(tiny_recipe(), folder, trackers=["csv", "failing"])
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 2 * EPOCH_STEPS
    assert not (folder / "result.json").exists()
    run_training(tiny_recipe(), folder, resume=True)
    assert_same_run(finished_run, folder)


@pytest.mark.usefixtures("interrupt_in_third_epoch")
def test_interrupt_raises_keyboard_interrupt(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_training(tiny_recipe(), tmp_path / "run", trackers=["failing"])


@pytest.mark.usefixtures("interrupt_in_third_epoch")
def test_interrupt_restores_the_signal_handler(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run_training(tiny_recipe(), tmp_path / "run", trackers=["failing"])
    assert signal.getsignal(signal.SIGINT) == before


def replace_on_full_disk(number: int) -> Callable[[Any, Any], None]:
    """An os.replace that raises "no space left" for the last.ckpt of this number, from 1."""
    replace, numbers = os.replace, itertools.count(1)

    def replace_or_fail(source: Any, target: Any) -> None:
        if Path(target).name == "last.ckpt" and next(numbers) == number:
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    return replace_or_fail


def test_full_disk_ends_the_run_and_keeps_the_previous_checkpoint(
    tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", replace_on_full_disk(3))
        with pytest.raises(GlyphlineError, match="disk space") as caught:
            run_training(tiny_recipe(), folder)
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 2 * EPOCH_STEPS
    assert not list(folder.glob("*.tmp"))
    run_training(tiny_recipe(), folder, resume=True)
    assert_same_run(finished_run, folder)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), OSError(122, "Disk quota exceeded"),
              RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed")],
    ids=["no space", "quota", "torch"],
)  # fmt: skip
def test_failing_checkpoint_write_raises_glyphline_error(
    tiny_recipe: TinyRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("lightning.pytorch.Trainer.save_checkpoint", fail)
    with pytest.raises(GlyphlineError, match="checkpoint could not be written"):
        run_training(tiny_recipe(training__epochs=1), tmp_path / "run")
    load_network(tmp_path / "run" / "best.pt")


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["after an epoch", "while a checkpoint is written"])
def test_killed_data_worker_ends_the_run_and_is_named(
    tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    save, numbers = Trainer.save_checkpoint, itertools.count(1)

    def kill_workers(*_: Any) -> None:
        for child in active_children():
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()

    def save_or_kill(trainer: Trainer, path: Path) -> None:
        if next(numbers) == 2:
            kill_workers()
        save(trainer, path)

    on_epoch = kill_workers if moment == "after an epoch" else None
    with monkeypatch.context() as patch:
        if on_epoch is None:
            patch.setattr(Trainer, "save_checkpoint", save_or_kill)
        with pytest.raises(GlyphlineError, match=r"lines was killed.*training.workers.* again with --resume$"):
            run_training(tiny_recipe(training__workers=1), tmp_path / "run", on_epoch=on_epoch)
    run_training(tiny_recipe(training__workers=1), tmp_path / "run", resume=True)
    assert_same_run(finished_run, tmp_path / "run")


def test_failing_tracker_does_not_change_the_run(
    tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FailingTracker, "error", ConnectionError("no route"))
    monkeypatch.setitem(TRACKERS, "failing", FailingTracker)
    reports: list[str] = []
    run_training(tiny_recipe(), tmp_path / "run", trackers=["failing", "csv"], report=reports.append)
    assert_same_run(finished_run, tmp_path / "run")
    notes = [line for line in reports if not line.startswith(("epoch ", "characters outside the alphabet"))]
    assert len(notes) == 1 and "failing" in notes[0] and "no route" in notes[0]


# ------------------------------------------------------------------------------------------------------------- resuming


@pytest.fixture
def run_copy(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def test_resuming_a_finished_run_changes_nothing(tiny_recipe: TinyRecipe, finished_run: Path, run_copy: Path) -> None:
    run_training(tiny_recipe(), run_copy, resume=True)
    assert_same_run(finished_run, run_copy)


def test_resume_without_checkpoint_is_refused(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no last\.ckpt"):
        run_training(tiny_recipe(), tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_folder_of_another_run_is_refused(tiny_recipe: TinyRecipe, finished_run: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in finished_run.iterdir()}
    with pytest.raises(UserError, match="already holds a run"):
        run_training(tiny_recipe(), finished_run)
    assert times == {path: path.stat().st_mtime_ns for path in finished_run.iterdir()}


@pytest.mark.parametrize("workers", [1, 2])
def test_second_training_in_a_folder_is_refused(tiny_recipe: TinyRecipe, run_copy: Path, workers: int) -> None:
    before = {path: path.read_bytes() for path in run_copy.iterdir() if path.is_file()}
    with lock_folder(run_copy, RUN_LOCK, "trains into"), pytest.raises(UserError, match="another command trains into"):
        run_training(tiny_recipe(), run_copy, resume=True, distribution=Distribution(workers))
    assert before.items() <= {path: path.read_bytes() for path in run_copy.iterdir() if path.is_file()}.items()
    run_training(tiny_recipe(), run_copy, resume=True)  # the lock has been released


def test_run_that_another_command_finished_meanwhile_is_not_replaced(run_copy: Path) -> None:
    with pytest.raises(UserError, match="already holds a run"), lock_run_folder(run_copy, resume=False):
        pass
    with lock_run_folder(run_copy, resume=True):
        pass


@pytest.mark.parametrize(
    "key, value, reason",
    [("training__batch", 8, "the order of the lines"), ("training__seed", 1, "depend on it"),
     ("network__dropout", 0.1, "weights"), ("lines__jitter", 0.5, "has learned from lines")],
)  # fmt: skip
def test_resume_with_another_value_of_a_fixed_key_is_refused_with_the_reason(
    tiny_recipe: TinyRecipe, run_copy: Path, key: str, value: Any, reason: str
) -> None:
    files = {path: path.read_bytes() for path in run_copy.iterdir()}
    with pytest.raises(
        RecipeError, match=rf"^{key.replace('__', '.')} is {value}, .*{reason}.*training\.epochs"
    ) as caught:
        run_training(tiny_recipe(**{key: value}), run_copy, resume=True)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2
    assert files == {path: path.read_bytes() for path in run_copy.iterdir()}


def test_resume_with_fewer_epochs_than_trained_is_refused(tiny_recipe: TinyRecipe, run_copy: Path) -> None:
    with pytest.raises(RecipeError, match=r"training\.epochs is 3, but .* has trained 4 epochs: give 4 or more"):
        run_training(tiny_recipe(training__epochs=3), run_copy, resume=True)


def test_resume_with_another_name_is_accepted(tiny_recipe: TinyRecipe, run_copy: Path) -> None:
    run_training(tiny_recipe(name="renamed", about="a better description"), run_copy, resume=True)


@pytest.mark.slow
def test_run_continued_with_more_epochs_is_the_run_of_that_many_epochs(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    recipes = [tiny_recipe(training__epochs=n, training__schedule="constant") for n in (1, 3)]
    run_training(recipes[1], tmp_path / "whole")
    folder = tmp_path / "continued"
    run_training(recipes[0], folder)
    reports: list[str] = []
    run_training(recipes[1], folder, resume=True, report=reports.append)
    assert_same_run(tmp_path / "whole", folder)
    assert reports[0] == "training.epochs is 3 from epoch 2 on, was 1"
    assert (load_recipe(folder / "recipe-1.yaml"), load_recipe(folder / "recipe.yaml")) == tuple(recipes)
    history = json.loads((folder / "recipes.json").read_text())
    assert history == [{"file": "recipe-1.yaml", "until_epoch": 1, "changes": {"training.epochs": [1, 3]}}]


@pytest.mark.slow
def test_run_stopped_at_an_epoch_goes_on_to_the_same_result(
    tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path
) -> None:
    """Its learning rates are those of all epochs of the recipe from the start."""
    epochs: list[tuple[int, int]] = []

    def note(epoch: int, pairs: Any) -> None:
        epochs.append((epoch, len(pairs)))

    first = run_training(tiny_recipe(), tmp_path / "run", until_epoch=3, on_epoch=note)
    assert first["epochs"] == 3 and not (tmp_path / "run" / "recipes.json").exists()
    run_training(tiny_recipe(), tmp_path / "run", resume=True, on_epoch=note)
    assert_same_run(finished_run, tmp_path / "run")
    assert epochs == [(1, 12), (2, 12), (3, 12), (4, 12)]


@pytest.mark.slow
def test_cosine_goes_on_along_the_curve_of_the_new_number_of_epochs(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    recipes = [tiny_recipe(training__epochs=n, training__epoch_lines=80) for n in (1, 2)]  # 20 steps an epoch
    reports: list[str] = []
    run_training(recipes[0], tmp_path / "run")
    run_training(recipes[1], tmp_path / "run", resume=True, report=reports.append)
    options = recipes[1].training
    rates = [options.learning_rate * learning_rate_factor(options, step, 40) for step in (20, 39)]
    assert read_metrics(tmp_path / "run")[40, "learning_rate"] == pytest.approx(rates[1])  # of the step after 39
    assert f"goes on at {rates[0]:.2g} instead of" in reports[1]


@pytest.mark.slow
def test_another_patience_counts_on_and_an_exhausted_one_ends_at_once(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    settings = {"training__learning_rate": 1e-9, "training__ema_decay": 0.0, "network__dropout": 0.0}
    recipes = [tiny_recipe(**settings, training__epochs=6, training__patience=n) for n in (0, 1, 3)]
    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:  # a network that cannot improve: the first epoch stays the best
        patch.setattr("glyphline.training.train.ctc_loss", lambda log_probs, *_: log_probs.sum() * 0 + 1)
        result = run_training(recipes[1], folder)
        assert (result["epochs"], result["patience_exhausted"]) == (2, True)
        result = run_training(recipes[1], folder, resume=True)
        assert (result["epochs"], result["patience_exhausted"]) == (2, True)
        result = run_training(recipes[2], folder, resume=True)
        assert (result["epochs"], result["patience_exhausted"]) == (4, True)
        result = run_training(recipes[0], folder, resume=True)
        assert (result["epochs"], result["patience_exhausted"]) == (6, False)
    assert [entry["until_epoch"] for entry in json.loads((folder / "recipes.json").read_text())] == [2, 4]


@pytest.mark.slow
def test_precision_parts_clip_and_tracker_may_change(tiny_recipe: TinyRecipe, run_copy: Path) -> None:
    recipe = tiny_recipe(
        training__epochs=5, training__precision="bf16", training__gradient_accumulation=2, training__gradient_clip=0.5
    )
    result = run_training(recipe, run_copy, resume=True, trackers=["tensorboard"])
    assert (result["epochs"], result["steps"]) == (5, 5 * EPOCH_STEPS)
    assert list((run_copy / "tensorboard").iterdir())


def test_run_killed_in_its_first_epoch_can_be_started_again(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    recipe = tiny_recipe(training__epochs=1)
    (folder / "recipe.yaml").write_text(recipe.to_yaml())  # the only file after a kill in epoch 1
    refusals = []
    for resume in (True, False):
        try:
            run_training(recipe, folder, resume=resume)
        except UserError as error:
            refusals.append(str(error))
    assert len(refusals) < 2, f"both starting and resuming are refused: {refusals}"


def test_initial_weights_give_the_loss_of_their_run(
    tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path
) -> None:
    reports: list[str] = []
    recipe = tiny_recipe(training__initial_weights=str(finished_run), training__epochs=1, training__learning_rate=1e-6)
    result = train(recipe, tmp_path / "run", trackers=("none",), progress=False, report=reports.append)
    source_loss = json.loads((finished_run / RESULT_FILE).read_text())["best"]["val_loss"]
    assert result["best"]["val_loss"] == pytest.approx(source_loss, rel=0.02)
    assert f"starts from the weights of {finished_run}" in reports
    assert reports[0].startswith("characters outside the alphabet were dropped: '.' ")


def test_saved_weights_are_mixed_with_the_initial_ones(
    tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path
) -> None:
    """Also after a resume, whose checkpoint does not hold the initial weights."""
    settings = {"training__initial_weights": str(finished_run), "training__ema_decay": 0.0}
    run_training(tiny_recipe(**settings, training__epochs=1), tmp_path / "plain")
    recipe = tiny_recipe(**settings, training__epochs=1, training__initial_share=0.25)
    run_training(recipe, tmp_path / "mixed")
    initial, plain, mixed = (
        load_network(folder / "best.pt")[0].state_dict()
        for folder in (finished_run, tmp_path / "plain", tmp_path / "mixed")
    )
    assert any(not torch.equal(initial[name], plain[name]) for name in initial)
    for name, weight in mixed.items():
        if weight.is_floating_point():
            torch.testing.assert_close(weight, torch.lerp(plain[name], initial[name], 0.25))
    run_training(recipe, tmp_path / "mixed", resume=True)
    again = load_network(tmp_path / "mixed" / "best.pt")[0].state_dict()
    assert all(torch.equal(again[name], weight) for name, weight in mixed.items())


@pytest.mark.slow
def test_watch_lines_are_scored_after_every_epoch_and_do_not_change_the_run(
    tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path
) -> None:
    line_set = LineSet(tiny_recipe().lines, "test", 0)
    lines = [line_set.line(index) for index in range(6)]
    for line in lines:
        cv2.imwrite(str(tmp_path / f"{line.index}.png"), line.image)
    (tmp_path / "labels.tsv").write_text("".join(f"{line.index}.png\t{line.text}\n" for line in lines))
    run_training(tiny_recipe(training__watch=str(tmp_path)), tmp_path / "run")
    metrics = read_metrics(tmp_path / "run")
    exact_cers = [metrics.pop(key) for key in list(metrics) if key[1] == "watch_cer"]
    loose_cers = [metrics.pop(key) for key in list(metrics) if key[1] == "watch_cer_loose"]
    assert len(exact_cers) == len(loose_cers) == 4
    network, _ = load_network(tmp_path / "run" / "best.pt")
    predictions = LineReader(TorchRecognizer(network)).read_lines([line.image for line in lines])
    assert score([line.text for line in lines], [line.text for line in predictions]).cer in exact_cers
    assert metrics == read_metrics(finished_run)


def test_truncated_checkpoint_is_refused_by_name(tiny_recipe: TinyRecipe, run_copy: Path) -> None:
    data = (run_copy / "last.ckpt").read_bytes()
    (run_copy / "last.ckpt").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"last\.ckpt"):
        run_training(tiny_recipe(), run_copy, resume=True)


@pytest.mark.parametrize(
    "name, content, reason",
    [
        *(
            ("recipes.json", content, r"recipes\.json is damaged \(.*\): delete it")
            for content in (b"[{]", b"{}", b"[1]")
        ),
        *(("recipe.yaml", content, "without its recipe .*: write the recipe") for content in (b"\xff", b"[", b"a: b")),
        ("last.ckpt", b"\xff", r"last\.ckpt is not a complete checkpoint"),
    ],
)
def test_damaged_file_that_a_resume_needs_is_one_line_with_the_remedy(
    name: str, content: bytes, reason: str, tiny_recipe: TinyRecipe, run_copy: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (run_copy / name).write_bytes(content)
    recipe = tmp_path / "renamed.yaml"
    recipe.write_text(tiny_recipe(name="renamed").to_yaml())
    files = {path: path.read_bytes() for path in run_copy.iterdir()}
    with pytest.raises(SystemExit) as caught:
        main(["train", str(recipe), "--out", str(run_copy), "--resume", "--track", "csv"])
    last = capsys.readouterr().err.splitlines()[-1]
    assert caught.value.code == 2 and re.search(rf"^glyphline: .*{reason}", last)
    assert files == {path: path.read_bytes() for path in run_copy.iterdir()}


@pytest.mark.parametrize(
    "name, content",
    [
        *((name, b"\xff\x00") for name in ("command.txt", "environment.json", "result.json", "validation.json")),
        ("metrics.csv", b'1,"\xff\n'), ("tracked.json", b'{"tensorboard": 3}'), ("tracked.json", b"[3]"),
    ],
)  # fmt: skip
def test_damaged_file_that_a_resume_does_not_need_is_no_obstacle(
    name: str, content: bytes, tiny_recipe: TinyRecipe, run_copy: Path
) -> None:
    (run_copy / name).write_bytes(content)
    reports: list[str] = []
    result = run_training(
        tiny_recipe(name="renamed"), run_copy, resume=True, trackers=["csv", "tensorboard"], report=reports.append
    )
    assert result["epochs"] == 4 and not [line for line in reports if "stopped" in line]
    assert any("validation.json is damaged" in line for line in reports) == (name == "validation.json")
    assert read_run(run_copy).result == result


def test_copies_of_earlier_recipes_outlive_their_list(tiny_recipe: TinyRecipe, run_copy: Path) -> None:
    for k, name in enumerate(["first", "second"], 1):
        run_training(tiny_recipe(name=name), run_copy, resume=True)
        (run_copy / "recipes.json").unlink()
        assert (run_copy / f"recipe-{k}.yaml").exists()
    assert [load_recipe(run_copy / f"recipe-{k}.yaml").name for k in (1, 2)] == ["tiny", "first"]


def test_checkpoint_of_an_older_version_is_refused_with_the_remedy(tiny_recipe: TinyRecipe, run_copy: Path) -> None:
    checkpoint = torch.load(run_copy / "last.ckpt", weights_only=True)
    del checkpoint["format_version"]
    torch.save(checkpoint, run_copy / "last.ckpt")
    with pytest.raises(UserError, match=r"last\.ckpt was written by an older version .*: train the run again"):
        run_training(tiny_recipe(), run_copy, resume=True)


def test_file_as_run_folder_is_refused(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UserError, match="run"):
        run_training(tiny_recipe(training__epochs=1), tmp_path / "run")


@pytest.mark.slow
def test_resumed_run_logs_each_value_once(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    recipe = tiny_recipe(training__epoch_lines=80)  # 20 steps: each epoch starts at a logged step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", replace_on_full_disk(2))
        with pytest.raises(GlyphlineError):
            run_training(recipe, folder)  # stops one epoch after its checkpoint
    run_training(recipe, folder, resume=True)
    with (folder / "metrics.csv").open(newline="") as rows:
        keys = [(row["step"], row["name"]) for row in csv.DictReader(rows)]
    assert len(keys) == len(set(keys))


# ------------------------------------------------------------------------------------ early stopping, refusals, scoring


def test_run_without_improvement_stops_after_patience_epochs(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    recipe = tiny_recipe(
        network__encoder="patches", network__context="none", training__learning_rate=1e-30,  # no progress
        training__epochs=20, training__patience=2, training__ema_decay=0.0, training__epoch_lines=8,
    )  # fmt: skip
    result = run_training(recipe, tmp_path / "run")
    assert result["best"]["step"] == 2  # the end of the first epoch
    assert result["epochs"] == 3  # two epochs of patience after it


def test_lines_with_too_few_time_steps_are_refused_before_a_file_is_written(
    tiny_recipe: TinyRecipe, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"{'o' * 16} {first}{last}\n" for first in "abcdefgh" for last in "abcdefgh"))
    recipe = tiny_recipe(
        lines__sentences=[f"text:{texts}"], lines__length=[12, 12],
        network__channels=[2, 2, 4, 4], network__stride=16,  # 21 steps; twelve o's with the blanks between them need 23
    )  # fmt: skip
    with pytest.raises(RecipeError, match=r"'oooooooooooo' needs 23 time steps .* only 21"):
        run_training(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_validation_metrics_equal_those_of_the_line_reader(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    """They are equal also when lines differ in length and a bidirectional network sees the padding after a line."""
    recipe = tiny_recipe(
        lines__length=[1, 20], network__context="bilstm", training__epochs=3, training__epoch_lines=200
    )
    run_training(recipe, tmp_path / "run")
    lines = LineSet(recipe.lines, "val", recipe.training.seed)
    images, texts = lines.canonical_batch(range(recipe.training.validation_lines))
    network, info = load_network(tmp_path / "run" / "best.pt")
    result = score(texts, [decoded.text for decoded in LineReader(TorchRecognizer(network)).decode_all(images)])
    assert (info["val_cer"], info["val_wer"], info["val_exact"]) == (result.cer, result.wer, result.exact)


def test_diverging_run_raises_an_error_that_names_the_learning_rate(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    recipe = tiny_recipe(
        training__optimizer="sgd", training__learning_rate=1e30, training__gradient_clip=0.0, training__ema_decay=0.0,
        training__epochs=1,
    )  # fmt: skip
    with pytest.raises(GlyphlineError, match="learning_rate"):
        run_training(recipe, tmp_path / "run")


# --------------------------------------------------------------------------------------------------------- stored lines


@pytest.mark.slow
def test_training_from_stored_lines_is_training_from_composed_ones(
    tiny_recipe: TinyRecipe, finished_run: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow", reason='needs pip install "glyphline[cluster]"')
    recipe = tiny_recipe(training__stored_lines=str(tmp_path / "lines"))
    with pytest.raises(UserError, match="holds no composed lines"):
        run_training(recipe, tmp_path / "run")
    write_parquet(LineSet(recipe.lines, "train", recipe.training.seed), 256, tmp_path / "lines")
    run_training(recipe, tmp_path / "run")
    assert read_metrics(tmp_path / "run") == read_metrics(finished_run)
