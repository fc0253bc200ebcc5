"""Training with several workers computes what one computes: the same lines, the same losses, the same weights."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed, nn

from glyphline.cluster.training import choose_error, train_on_cluster
from glyphline.composing.line_sets import LineSet
from glyphline.errors import GlyphlineError, RecipeError, UserError
from glyphline.recipe import Recipe
from glyphline.training.data import LineBatchSampler
from glyphline.training.distribution import Distribution, SharedBatchNorm, share_batch_norms
from glyphline.training.train import lock_run_folder, train
from training.conftest import make_tiny_recipe

LOSSES = ("loss", "val_loss")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """The tiny recipe with lines of several lengths, without dropout, whose random numbers differ between workers.

    The optimizer is SGD: Adam divides by the size of a gradient, so where the true gradient is zero (a bias before a
    batch normalisation) it takes full steps in the direction of the rounding error.
    """
    return make_tiny_recipe(
        network__dropout=0.0, lines__length=[3, 8], training__epochs=2, training__epoch_lines=48, training__batch=6,
        training__optimizer="sgd",
        training__gradient_accumulation=1,
    )  # fmt: skip


def losses_of(folder: Path) -> dict[tuple[int, str], float]:
    with (folder / "metrics.csv").open(newline="") as rows:
        return {(int(r["step"]), r["name"]): float(r["value"]) for r in csv.DictReader(rows) if r["name"] in LOSSES}


def assert_parity(run: Path, other: Path) -> None:
    """The losses of two runs agree within 1e-5 of themselves, and the weights within 1e-4."""
    losses, others = losses_of(run), losses_of(other)
    assert len(losses) >= 3 and losses.keys() == others.keys()
    assert [others[key] for key in losses] == pytest.approx(list(losses.values()), rel=1e-5)
    weights, other_weights = (torch.load(f / "best.pt", weights_only=True)["weights"] for f in (run, other))
    assert weights.keys() == other_weights.keys()
    for name in weights:
        assert np.allclose(weights[name].numpy(), other_weights[name].numpy(), rtol=1e-3, atol=1e-4), name


@pytest.fixture(scope="module")
def single_run(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "single"
    train(recipe, folder, trackers=["csv"], progress=False, report=lambda text: None)
    return folder


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_workers_share_each_batch(recipe: Recipe, workers: int, accumulation: int) -> None:
    lines = LineSet(recipe.lines, "train", 3)
    whole = list(LineBatchSampler(lines, 48, 12, None, accumulation))
    shares = [list(LineBatchSampler(lines, 48, 12, None, accumulation, workers, rank)) for rank in range(workers)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(index for part in parts for index in part) == sorted(batch)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_more_workers_than_lines_are_refused(recipe: Recipe) -> None:
    Distribution(6).check(recipe.training)
    with pytest.raises(RecipeError, match=r"6 lines are computed at a time .* too few for 7 workers"):
        Distribution(7).check(recipe.training)
    with pytest.raises(RecipeError, match="3 lines"):
        Distribution(4).check(replace(recipe.training, gradient_accumulation=2))


@pytest.mark.parametrize(
    ("errors", "failure", "expected"),
    [
        ([], None, None),
        ([(1, "disk full")], None, None),  # of an attempt that Ray repeated with success
        ([(1, "disk full")], RuntimeError("a worker failed"), (1, "disk full")),
        ([(1, "disk full"), (2, "no recipe")], None, (2, "no recipe")),
        ([], RuntimeError("no\nmemory"), (1, "training on auto stopped (no memory): continue it with --resume")),
        ([(1, "disk full")], UserError("the cluster was lost"), (2, "the cluster was lost")),
    ],
)  # fmt: skip
def test_errors_of_repeated_attempts_do_not_count(
    errors: list[tuple[int, str]], failure: Exception | None, expected: tuple[int, str] | None
) -> None:
    error = choose_error(errors, failure, "auto")
    if expected is None:
        assert error is None
    else:
        assert isinstance(error, GlyphlineError) and error.exit_code == expected[0]
        assert str(error).startswith(expected[1])


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (4, 3, 7)])
def test_shared_batch_norm_of_one_process_is_batch_norm(shape: tuple[int, ...], tmp_path: Path) -> None:
    layer = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(3, momentum=0.3)
    shared = nn.Sequential(type(layer)(3, momentum=0.3))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
    shared[0].load_state_dict(layer.state_dict())
    share_batch_norms(shared)
    assert isinstance(shared[0], SharedBatchNorm)
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        for seed in range(3):
            values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 3 + 5
            inputs = [values.clone().requires_grad_() for _ in range(2)]
            outputs = [layer(inputs[0]), shared(inputs[1])]
            assert torch.allclose(*outputs, atol=1e-5)
            gradients = [
                torch.autograd.grad((out * values.sin()).sum(), x) for out, x in zip(outputs, inputs, strict=True)
            ]
            assert torch.allclose(gradients[0][0], gradients[1][0], atol=1e-5)
    finally:
        distributed.destroy_process_group()
    assert layer.state_dict().keys() == shared[0].state_dict().keys()
    for name, value in layer.state_dict().items():
        assert torch.allclose(value.float(), shared[0].state_dict()[name].float(), atol=1e-5), name
    assert torch.allclose(layer.eval()(values), shared.eval()(values), atol=1e-5)


@pytest.mark.slow
def test_two_processes_of_this_machine_train_as_one(recipe: Recipe, single_run: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "recipe.yaml", tmp_path / "run"
    path.write_text(recipe.to_yaml())
    words = [sys.executable, "-m", "glyphline", "train", str(path), "--out", str(out), "--workers", "2"]
    done = subprocess.run(
        [*words, "--track", "csv"], capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 and "parameters" in done.stdout  # one result, of the first process
    assert done.stderr.count("epoch 2 of 2") == 1
    assert len((out / "command.txt").read_text().splitlines()) == 1
    assert_parity(single_run, out)
    again = subprocess.run([*words, "--track", "csv"], capture_output=True, text=True)
    assert again.returncode == 2 and "already holds a run" in again.stderr


@pytest.mark.slow
def test_second_command_is_refused_until_the_first_process_has_died(recipe: Recipe, tmp_path: Path) -> None:
    endless = replace(recipe, training=replace(recipe.training, epochs=10_000))
    (tmp_path / "recipe.yaml").write_text(endless.to_yaml())
    words = [sys.executable, "-m", "glyphline", "train", "recipe.yaml", "--out", "run", "--workers", "2"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    with (tmp_path / "errors").open("w") as errors:
        first = subprocess.Popen(
            [*words, "--track", "csv"], cwd=tmp_path, stdout=errors, stderr=errors, env=environment,
            start_new_session=True,
        )  # fmt: skip
    try:
        ends = time.monotonic() + 120
        while not (tmp_path / "run" / "last.ckpt").exists():
            assert first.poll() is None and time.monotonic() < ends, (tmp_path / "errors").read_text()
            time.sleep(0.1)
        second = subprocess.run(
            [*words, "--track", "csv", "--resume"], cwd=tmp_path, capture_output=True, text=True, env=environment,
            timeout=120,
        )  # fmt: skip
        assert second.returncode == 2 and second.stderr.count("another command trains into run") == 1, second.stderr
        assert first.poll() is None
        first.kill()  # the process of rank 0 alone
        first.wait()
        with lock_run_folder(tmp_path / "run", resume=True):
            pass
    finally:
        with suppress(ProcessLookupError):  # the other process may have ended by itself
            os.killpg(first.pid, signal.SIGKILL)


@pytest.mark.slow
def test_two_workers_of_a_cluster_train_as_one(
    two_nodes: Any, recipe: Recipe, single_run: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    result = train_on_cluster(recipe, tmp_path / "run", two_nodes.address, 2, trackers=["csv"], report=lines.append)
    assert result["epochs"] == 2
    assert [line[:12] for line in lines if line.startswith("epoch")] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert_parity(single_run, tmp_path / "run")
    with pytest.raises(UserError, match="already holds a run"):
        train_on_cluster(recipe, tmp_path / "run", two_nodes.address, 2)
    wrong = replace(recipe, training=replace(recipe.training, optimizer="adagrad"))
    with pytest.raises(UserError, match=r'training\.optimizer is "adagrad"'):
        train_on_cluster(wrong, tmp_path / "wrong", two_nodes.address, 2, report=lines.append)
    locked = tmp_path / "locked"
    with lock_run_folder(locked, resume=False), pytest.raises(UserError, match="another command trains into"):
        train_on_cluster(recipe, locked, two_nodes.address, 2)
    assert [path.name for path in locked.iterdir()] == [".train.lock"]
    with pytest.raises(UserError, match="5 workers are more than the 4 CPUs"):
        train_on_cluster(recipe, tmp_path / "many", two_nodes.address, 5)


@pytest.mark.slow
def test_interrupted_training_on_a_cluster_says_how_to_continue(two_nodes: Any, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(make_tiny_recipe(training__epochs=10_000).to_yaml())
    words = [sys.executable, "-m", "glyphline", "train", "tiny.yaml", "--out", "run", "--track", "csv"]
    words += ["--workers", "1", "--cluster", two_nodes.address]
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=errors)
    ends = time.monotonic() + 120
    while not (tmp_path / "run" / "last.ckpt").exists():
        assert process.poll() is None and time.monotonic() < ends, (tmp_path / "errors").read_text()
        time.sleep(0.1)
    with pytest.raises(UserError, match="another command trains into"), lock_run_folder(tmp_path / "run", resume=True):
        pass
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    with lock_run_folder(tmp_path / "run", resume=True):
        pass
    last = (tmp_path / "errors").read_text().splitlines()[-2:]
    assert "continue with --resume" in last[0] and last[1] == "glyphline: interrupted"
