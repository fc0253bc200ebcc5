"""Dry runs: what they show is what training would do, and nothing is written."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from glyphline.cli import main
from glyphline.composing.line_sets import LineSet
from glyphline.composing.stored_lines import write_parquet
from glyphline.errors import DataError, RecipeError, UserError
from glyphline.recipe import Recipe
from glyphline.training import dry_run as dry_run_module
from glyphline.training.data import CHECKED_LINES, Batch, LineBatchDataset, LineBatchSampler, make_batch
from glyphline.training.dry_run import DryRun, dry_run, suggest_learning_rate
from glyphline.training.network import Network
from glyphline.training.trackers import Trackers
from glyphline.training.train import TrainingModule, find_accelerator

TinyRecipe = Callable[..., Recipe]
STEPS = 12  # of the range test, for these tests


@pytest.fixture(scope="module")
def found(tiny_recipe: TinyRecipe) -> DryRun:
    """The dry run of the tiny recipe with batches of two parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dry_run_module, "FINDER_STEPS", STEPS)
        patch.setattr(dry_run_module, "_free_bytes", lambda device: 2**30)
        return dry_run(tiny_recipe(training__gradient_accumulation=2))


def test_shapes_steps_and_parameters_are_those_of_training(tiny_recipe: TinyRecipe, found: DryRun) -> None:
    recipe = tiny_recipe()
    network = Network(recipe)
    lines, height, width = found.batch_shape
    assert (lines, height) == (2, recipe.lines.height) and width % 32 == 0  # half of a batch of 4
    assert found.time_steps <= network.steps(width) and found.time_steps >= found.needed_time_steps >= 4
    assert (found.parameters, found.classes) == (network.parameter_count(), 28)
    assert found.epoch_steps == 10


def test_times_add_up(tiny_recipe: TinyRecipe, found: DryRun) -> None:
    assert found.epoch_seconds >= found.epoch_steps * (found.step_seconds + found.compose_seconds) > 0
    assert found.run_seconds == pytest.approx(tiny_recipe().training.epochs * found.epoch_seconds)


@pytest.mark.slow
def test_time_of_an_epoch_is_that_of_training_with_wide_and_narrow_lines(
    tiny_recipe: TinyRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_step(module: TrainingModule, optimizer: object, parts: list[Batch], device: torch.device) -> float:
        time.sleep(1e-4 * max(part.lines.shape[2] for part in parts))
        return 1.0

    monkeypatch.setattr(dry_run_module, "_step", slow_step)
    recipe = tiny_recipe(lines__length=[1, 30], training__epoch_lines=400, training__validation_lines=1)
    lines = LineSet(recipe.lines, "train", recipe.training.seed)
    sampler = LineBatchSampler(lines, 400, recipe.training.batch)
    wanted = sum(1e-4 * LineBatchDataset(lines)[part].lines.shape[2] for part in sampler)
    found = dry_run(recipe)
    assert found.epoch_seconds == pytest.approx(wanted, rel=0.5) and found.step_seconds < 2 * wanted / 100


def test_shape_and_memory_are_those_of_a_wide_batch(tiny_recipe: TinyRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run_module, "FINDER_STEPS", 3)
    recipe = tiny_recipe(lines__length=[1, 30], training__epoch_lines=400)
    lines = LineSet(recipe.lines, "train", recipe.training.seed)
    parts = list(itertools.islice(LineBatchSampler(lines, 400, recipe.training.batch), 16))
    widths = [LineBatchDataset(lines)[part].lines.shape[2] for part in parts]
    assert dry_run(recipe).batch_shape[2] == max(widths) > 2 * min(widths)


def test_batch_that_fits_is_the_largest_power_of_two(found: DryRun) -> None:
    assert found.fitting_lines is not None and math.log2(found.fitting_lines).is_integer()
    needed = found.state_bytes + found.line_bytes * found.fitting_lines
    assert needed <= 0.8 * 2**30 < needed + found.line_bytes * found.fitting_lines


def test_kept_bytes_grow_with_the_lines_and_not_with_the_weights(tiny_recipe: TinyRecipe) -> None:
    kept = []
    for features, count in ((16, 4), (16, 8), (256, 4)):
        recipe = tiny_recipe(network__features=features, lines__length=[6, 6])
        module = TrainingModule(recipe, Trackers(["none"])).train()
        images, texts = LineSet(recipe.lines, "train", 0).canonical_batch(range(count))
        kept.append(dry_run_module._count_kept_bytes(module, make_batch(images, texts, module.network.alphabet)))
        assert all(parameter.grad is None for parameter in module.parameters())
    assert kept[1] == pytest.approx(2 * kept[0], rel=0.15)
    weights = 4 * Network(tiny_recipe(network__features=256)).parameter_count()
    assert kept[2] < kept[0] * 17 + weights / 2


def test_suggested_learning_rate_lies_between_the_two_rules() -> None:
    rates = np.geomspace(1e-5, 1, 61)
    # falls fastest at 1e-3, is lowest at 0.1, then diverges
    losses = 3 - 2 / (1 + (rates / 1e-3) ** -2) + np.maximum(0, np.log(rates / 0.1)) * 2 - 1e-3 * np.log(rates)
    rate, steepest, lowest = suggest_learning_rate(list(zip(rates.tolist(), losses.tolist(), strict=True)))
    assert steepest == pytest.approx(1e-3, rel=0.3) and lowest == pytest.approx(0.1, rel=0.2)
    assert rate == pytest.approx(math.sqrt(steepest * lowest / 10))
    assert suggest_learning_rate([(1e-5, 3.0)])[1:] == (1e-5, 1e-5)


def test_range_test_rises_to_its_end_or_to_divergence(found: DryRun) -> None:
    rates = [rate for rate, _ in found.losses]
    assert rates == pytest.approx(np.geomspace(1e-5, 1, STEPS)[: len(rates)].tolist())
    assert all(math.isfinite(loss) for _, loss in found.losses) and found.losses[0][1] > 1
    assert found.learning_rate == suggest_learning_rate(found.losses)[0]


def test_text_too_long_for_the_time_steps_is_refused(tiny_recipe: TinyRecipe, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"{'o' * 16} {first}{last}\n" for first in "abcdefgh" for last in "abcdefgh"))
    narrow = {"lines__sentences": [f"text:{texts}"], "lines__length": [12, 12], "network__stride": 16}
    with pytest.raises(RecipeError, match="smaller stride"):
        dry_run(tiny_recipe(**narrow, network__channels=[2, 2, 4, 4]))


def test_command_prints_json_and_writes_nothing(
    tiny_recipe: TinyRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dry_run_module, "FINDER_STEPS", 3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(tiny_recipe().to_yaml())
    with pytest.raises(SystemExit) as caught:
        main(["train", "tiny.yaml", "--out", "run", "--dry-run", "--set", "training.batch=8"])
    out, err = capsys.readouterr()
    assert caught.value.code == 0 and json.loads(out)["batch_shape"][0] == 8
    assert "batch: 8 lines of 28 x" in err and "learning rate: " in err and "batch that fits: " in err
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_stored_lines_are_read_and_not_composed(
    tiny_recipe: TinyRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow", reason='needs pip install "glyphline[cluster]"')
    recipe = tiny_recipe(training__stored_lines=str(tmp_path))
    write_parquet(LineSet(recipe.lines, "train", recipe.training.seed), CHECKED_LINES, tmp_path)
    with pytest.raises(DataError, match=f"holds {CHECKED_LINES} lines, but 400 are needed"):
        dry_run(tiny_recipe(training__stored_lines=str(tmp_path), training__epoch_lines=100))

    def refuse(*_: object) -> None:
        raise AssertionError("a line was composed")

    monkeypatch.setattr(LineSet, "canonical_batch", refuse)
    monkeypatch.setattr(dry_run_module, "FINDER_STEPS", 2)
    assert dry_run(recipe).epoch_steps == 10


def test_range_test_starts_from_the_initial_weights(
    tiny_recipe: TinyRecipe, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run_module, "FINDER_STEPS", 2)
    notes: list[str] = []
    trained = dry_run(tiny_recipe(training__initial_weights=str(finished_run)), report=notes.append)
    assert trained.losses[0][1] < dry_run(tiny_recipe()).losses[0][1] - 1  # nats a character
    assert f"starts from the weights of {finished_run}" in notes


@pytest.mark.slow
def test_workers_share_each_batch_and_take_the_steps_of_one_process(tiny_recipe: TinyRecipe) -> None:
    recipe = tiny_recipe(network__dropout=0.0, training__gradient_accumulation=2, training__batch=8)
    alone, shared = dry_run(recipe), dry_run(recipe, workers=2)
    assert (alone.batch_shape[0], shared.batch_shape[0], shared.workers) == (4, 2, 2)
    count = min(len(alone.losses), len(shared.losses), 30)  # later, at high rates, rounding errors grow
    assert [loss for _, loss in shared.losses[:count]] == pytest.approx(
        [loss for _, loss in alone.losses[:count]], rel=1e-3
    )
    assert not torch.distributed.is_initialized()
    with pytest.raises(RecipeError, match="too few for 8 workers"):
        dry_run(recipe, workers=8)


@pytest.mark.parametrize(("kind", "is_used"), [("cuda", True), ("mps", False), (None, False)])
def test_apples_gpu_does_not_train(kind: str | None, is_used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: kind is not None)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(str(kind)))
    assert (find_accelerator() is not None) == is_used


def test_more_workers_than_gpus_are_refused(tiny_recipe: TinyRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"is_available": True, "current_accelerator": torch.device("cuda"), "device_count": 1}
    for name, value in found.items():
        monkeypatch.setattr(torch.accelerator, name, lambda value=value: value)
    with pytest.raises(UserError, match="2 workers need a GPU each, this machine has 1"):
        dry_run(tiny_recipe(), workers=2)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--dry-run", "--resume"], "leave out --resume"),
        (["--dry-run", "--cluster", "local"], "leave out --cluster"),
        ([], "give --out"),
    ],
)
def test_wrong_options_are_refused(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "recipes/tiles.yaml", *options])
    assert caught.value.code == 2 and message in capsys.readouterr().err


def test_same_seed_gives_the_same_range_test(tiny_recipe: TinyRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run_module, "FINDER_STEPS", 4)
    runs = []
    for _ in range(2):
        runs.append(dry_run(tiny_recipe(network__dropout=0.0)).losses)
        torch.rand(3)  # the state of the global generator does not matter
    assert runs[0] == runs[1]
