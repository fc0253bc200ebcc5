"""Training: the loss is CTC's, the tiny learns, and whatever stops a run, the run goes on as if it had not stopped."""

from __future__ import annotations

import csv
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from glyphline.alphabet import Alphabet, collapse
from glyphline.cli import main
from glyphline.composing.line_sets import LineSet
from glyphline.errors import GlyphlineError, RecipeError, UserError
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.decoders import GreedyDecoder
from glyphline.recipe import Recipe, TrainingRecipe, load_recipe
from glyphline.score import score
from glyphline.training.data import Batch, make_batch
from glyphline.training.network import Network, TorchRecognizer, load_network
from glyphline.training.trackers import TRACKERS, Numbers, Tracker
from glyphline.training.train import RESULT, SCHEDULES, ctc_loss, learning_rate_at, train

TinyRecipe = Callable[..., Recipe]
STEPS = 10  # of an epoch of the tiny recipe


def quietly(recipe: Recipe, folder: Path, **options: Any) -> dict[str, Any]:
    return train(recipe, folder, **{"trackers": ["csv"], "progress": False, "say": lambda text: None, **options})


def metrics(folder: Path) -> dict[tuple[int, str], float]:
    """(step, name) -> value, without what a clock measured."""
    with (folder / "metrics.csv").open(newline="") as rows:
        found = {(int(r["step"]), r["name"]): float(r["value"]) for r in csv.DictReader(rows)}
    return {key: value for key, value in found.items() if key[1] != "lines_per_second"}


def best_weights(folder: Path) -> dict[str, Tensor]:
    return torch.load(folder / "best.pt", weights_only=True)["weights"]  # type: ignore[no-any-return]


def assert_same_run(one: Path, other: Path) -> None:
    assert metrics(one) == metrics(other)
    mine, theirs = best_weights(one), best_weights(other)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    results = [json.loads((folder / "result.json").read_text()) for folder in (one, other)]
    assert all(result.pop("minutes") >= 0 for result in results)
    assert results[0] == results[1]


# ------------------------------------------------------------------------------------------------------------- the loss


def batch_of(texts: list[str], alphabet: Alphabet) -> Batch:
    return make_batch([np.zeros((4, 8), np.uint8)] * len(texts), texts, alphabet)


def by_brute_force(log_probs: Tensor, steps: int, said: list[int]) -> float:
    """The probability of every path that says it, one by one."""
    classes = range(log_probs.shape[1])
    paths = [path for path in itertools.product(classes, repeat=steps) if collapse(path) == said]
    return sum(math.exp(sum(float(log_probs[t, c]) for t, c in enumerate(path))) for path in paths)


@pytest.mark.parametrize("text", ["", "a", "ab", "aa", "aba", "bb"])
def test_ctc_loss_is_the_sum_over_all_paths(text: str) -> None:
    alphabet = Alphabet("ab")
    log_probs = torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(len(text))).log_softmax(2)
    batch = batch_of([text], alphabet)
    for steps in (3, 4, 5):
        probability = by_brute_force(log_probs[0], steps, alphabet.encode(text).tolist())
        loss = float(ctc_loss(log_probs, batch, torch.tensor([steps])))
        assert math.exp(-loss) == pytest.approx(probability, rel=1e-4)


def test_ctc_loss_is_summed_over_the_lines_and_deaf_to_padding() -> None:
    alphabet, texts, steps = Alphabet("abc"), ["ab", "c", "bca"], torch.tensor([4, 2, 6])
    log_probs = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0)).log_softmax(2)
    alone = [
        float(ctc_loss(log_probs[k : k + 1], batch_of([text], alphabet), steps[k : k + 1]))
        for k, text in enumerate(texts)
    ]
    together = float(ctc_loss(log_probs, batch_of(texts, alphabet), steps))
    assert together == pytest.approx(sum(alone), rel=1e-5)
    log_probs[0, 4:], log_probs[1, 2:] = -9, -9
    assert float(ctc_loss(log_probs, batch_of(texts, alphabet), steps)) == pytest.approx(together, rel=1e-5)


def test_a_line_that_ctc_cannot_say_counts_nothing() -> None:
    alphabet = Alphabet("ab")
    log_probs = torch.randn(2, 3, 3).log_softmax(2).requires_grad_()
    loss = ctc_loss(log_probs, batch_of(["aabb", "ab"], alphabet), torch.tensor([3, 3]))
    alone = ctc_loss(log_probs[1:], batch_of(["ab"], alphabet), torch.tensor([3]))
    assert float(loss.detach()) == pytest.approx(float(alone.detach()), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, log_probs)
    assert gradient.isfinite().all() and not gradient[0].any()


# ---------------------------------------------------------------------------------------------------- the learning rate


@pytest.mark.parametrize("warmup", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("total", [1, 7, 1000])
def test_learning_rates_rise_to_the_peak_and_then_fall(schedule: str, warmup: float, total: int) -> None:
    recipe = TrainingRecipe(schedule=schedule, warmup=warmup)
    rates = np.array([learning_rate_at(recipe, step, total) for step in range(total)])
    assert (rates > 0).all() and rates.max() == pytest.approx(1, abs=2e-4)
    turns = np.diff(np.sign(np.diff(rates)))
    assert (turns <= 0).all()  # up, then down, never up again
    assert 0 < learning_rate_at(recipe, 10 * total, total) <= 1.0002  # steps past the end do no harm


def test_learning_rate_schedules_differ_as_named() -> None:
    def at(schedule: str, step: int, warmup: float = 0.02) -> float:
        return learning_rate_at(TrainingRecipe(schedule=schedule, warmup=warmup), step, 1000)

    assert {at("constant", step) for step in range(1000)} == {1.0}
    assert at("cosine", 999) < 0.001 and at("onecycle", 999) < 0.001
    assert at("cosine", 20) > at("onecycle", 20)  # one cycle rises for 0.3 of the run
    assert at("cosine", 509) == pytest.approx(0.5, abs=0.01)
    assert at("onecycle", 149, 0.0) == pytest.approx(0.5)


def test_the_run_learns_at_the_rate_of_its_recipe(finished: Path) -> None:
    recipe = load_recipe(finished / "recipe.yaml").training
    logged = {step: value for (step, name), value in metrics(finished).items() if name == "learning_rate"}
    assert list(logged) == [0, 20]
    for step, rate in logged.items():
        assert rate == pytest.approx(recipe.learning_rate * learning_rate_at(recipe, step, recipe.epochs * STEPS))


@pytest.mark.parametrize("key, value", [("optimizer", "adamm"), ("schedule", "cosin")])
def test_an_unknown_choice_is_refused_with_the_nearest(tiny: TinyRecipe, tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(RecipeError, match=f'training.{key} is "{value}"; did you mean "{value[:4]}'):
        quietly(tiny(**{f"training__{key}": value}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("optimizer, schedule", [("adam", "constant"), ("sgd", "plateau"), ("adamw", "onecycle")])
def test_every_optimizer_and_schedule_trains(tiny: TinyRecipe, tmp_path: Path, optimizer: str, schedule: str) -> None:
    recipe = tiny(
        training__optimizer=optimizer, training__schedule=schedule, training__epochs=2, training__ema_decay=0.0,
        training__warmup=0.0,
        training__learning_rate=0.003,
    )  # fmt: skip
    quietly(recipe, tmp_path / "run")
    losses = [value for (_, name), value in sorted(metrics(tmp_path / "run").items()) if name == "val_loss"]
    assert len(losses) == 2 and losses[1] < losses[0]


def test_a_batch_in_pieces_takes_the_same_steps(tiny: TinyRecipe, tmp_path: Path) -> None:
    network = {
        "network__encoder": "patches", "network__channels": [4, 8], "network__context": "lstm",
        "network__features": 16, "network__layers": 1, "network__dropout": 0.0,  # no batch statistics, no dropout
        "lines__length": [6, 6], "lines__cut": "character", "lines__pad": True,  # pieces of equal weight
    }  # fmt: skip
    for regions in (1, 4):
        quietly(tiny(training__epochs=2, training__gradient_accumulation=regions, **network), tmp_path / str(regions))
    one, four = (load_network(tmp_path / name / "best.pt")[0].state_dict() for name in ("1", "4"))
    for name, value in one.items():
        torch.testing.assert_close(value, four[name], atol=2e-4, rtol=2e-3)


def test_bf16_trains_too(tiny: TinyRecipe, tmp_path: Path) -> None:
    result = quietly(tiny(training__precision="bf16", training__epochs=1), tmp_path / "run")
    assert math.isfinite(result["best"]["val_loss"])


# --------------------------------------------------------------------------------------------------------- it can learn


def test_a_tiny_network_learns_eight_lines_by_heart(tiny: TinyRecipe) -> None:
    recipe = tiny(
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
    read = [
        GreedyDecoder()(row[:count], network.alphabet).text for row, count in zip(rows, steps.tolist(), strict=True)
    ]
    assert read == batch.texts


# ---------------------------------------------------------------------------------------------------- what a run leaves


def test_a_run_leaves_all_that_is_needed_to_repeat_it(tiny: TinyRecipe, finished: Path) -> None:
    left = {path.name for path in finished.iterdir()}
    assert left == {
        "recipe.yaml", "command.txt", "environment.json", "last.ckpt", "best.pt", "metrics.csv", "result.json",
    }  # fmt: skip
    assert load_recipe(finished / "recipe.yaml") == tiny()
    assert (finished / "command.txt").read_text().count("\n") == 1
    said = json.loads((finished / "environment.json").read_text())
    assert said["torch"] == torch.__version__ and {"python", "cores", "numpy"} <= said.keys()


def test_the_result_is_that_of_the_best_epoch(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    network, info = load_network(finished / "best.pt")
    assert (result["epochs"], result["steps"]) == (4, 4 * STEPS)
    assert result["parameters"] == network.parameter_count()
    assert result["best"] == info
    values = metrics(finished)
    losses = {step: value for (step, name), value in values.items() if name == "val_loss"}
    assert list(losses) == [STEPS, 2 * STEPS, 3 * STEPS, 4 * STEPS]
    best = min(losses, key=lambda step: losses[step])
    assert {name: info[name] for name in ("val_loss", "val_cer", "val_wer", "val_exact")} == {
        name: values[best, name] for name in ("val_loss", "val_cer", "val_wer", "val_exact")
    }
    assert info["step"] == best
    assert losses[4 * STEPS] < losses[STEPS]  # it learns


def test_the_same_recipe_gives_the_same_run(tiny: TinyRecipe, finished: Path, tmp_path: Path) -> None:
    quietly(tiny(), tmp_path / "run")
    assert_same_run(finished, tmp_path / "run")


def test_a_run_never_sees_a_line_twice(tiny: TinyRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    compose = LineSet.canonical_batch

    def watched(lines: LineSet, indices: Any) -> Any:
        if lines.split == "train" and isinstance(indices, list):  # a batch, not the look ahead before training
            seen.extend(indices)
        return compose(lines, indices)

    monkeypatch.setattr(LineSet, "canonical_batch", watched)
    quietly(tiny(training__epochs=2), tmp_path / "run")
    assert sorted(seen) == list(range(2 * 40))


def test_another_seed_gives_another_run(tiny: TinyRecipe, finished: Path, tmp_path: Path) -> None:
    quietly(tiny(training__seed=1, training__epochs=1), tmp_path / "run")
    assert metrics(tmp_path / "run")[STEPS, "val_loss"] != metrics(finished)[STEPS, "val_loss"]


# -------------------------------------------------------------------------------------------- killed, full, interrupted

KILLED = """
import os, signal, sys
from glyphline.cli import main

replace, times = os.replace, []

def deadly(source, target):
    if os.path.basename(target) == "last.ckpt":
        times.append(target)
        if len(times) == 3:  # everything of the third epoch is done but this
            os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = deadly
main(sys.argv[1:])
"""


def test_a_killed_run_goes_on_as_if_it_had_not_been(tiny: TinyRecipe, finished: Path, tmp_path: Path) -> None:
    folder, recipe = tmp_path / "run", tmp_path / "tiny.yaml"
    recipe.write_text(tiny().to_yaml())
    command = ["train", str(recipe), "--out", str(folder), "--track", "csv", "--threads", "1"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *command], capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 2 * STEPS
    assert (3 * STEPS, "val_loss") in metrics(folder)  # it had come farther than its checkpoint
    with pytest.raises(SystemExit) as left:
        main([*command, "--resume"])
    assert left.value.code == 0
    assert_same_run(finished, folder)
    assert (folder / "command.txt").read_text().count("\n") == 2


class Stops(Tracker):
    """Raises once the numbers of a validation come in."""

    error: BaseException = KeyboardInterrupt()
    at = 2 * STEPS

    def log(self, step: int, numbers: Numbers) -> None:
        if step >= self.at and "val_loss" in numbers:
            raise self.error


@pytest.fixture
def interrupting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ctrl-C comes in the middle of the third epoch; Lightning's own handler is put back afterwards."""
    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(Stops, "at", 3 * STEPS)
    monkeypatch.setitem(TRACKERS, "stops", Stops)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interrupting")
def test_an_interrupted_run_keeps_its_last_epoch_and_goes_on(tiny: TinyRecipe, finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        quietly(tiny(), folder, trackers=["csv", "stops"])
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 2 * STEPS
    assert not (folder / "result.json").exists()
    quietly(tiny(), folder, resume=True)
    assert_same_run(finished, folder)


@pytest.mark.usefixtures("interrupting")
def test_an_interrupt_passes_through(tiny: TinyRecipe, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        quietly(tiny(), tmp_path / "run", trackers=["stops"])


@pytest.mark.usefixtures("interrupting")
def test_a_second_interrupt_is_heard(tiny: TinyRecipe, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        quietly(tiny(), tmp_path / "run", trackers=["stops"])
    assert signal.getsignal(signal.SIGINT) == before


def full_disk(times: int) -> Callable[[Any, Any], None]:
    """os.replace, but the disk fills up at the given last.ckpt."""
    replace, seen = os.replace, itertools.count(1)

    def filling(source: Any, target: Any) -> None:
        if Path(target).name == "last.ckpt" and next(seen) == times:
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    return filling


def test_a_full_disk_ends_the_run_and_spares_the_checkpoint_before(
    tiny: TinyRecipe, finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", full_disk(3))
        with pytest.raises(GlyphlineError, match="disk space") as caught:
            quietly(tiny(), folder)
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 2 * STEPS
    assert not list(folder.glob("*.tmp"))
    quietly(tiny(), folder, resume=True)
    assert_same_run(finished, folder)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), OSError(122, "Disk quota exceeded"),
              RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed")],
    ids=["no space", "quota", "torch"],
)  # fmt: skip
def test_a_checkpoint_that_cannot_be_written_is_our_error(
    tiny: TinyRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("lightning.pytorch.Trainer.save_checkpoint", fails)
    with pytest.raises(GlyphlineError, match="checkpoint could not be written"):
        quietly(tiny(training__epochs=1), tmp_path / "run")
    load_network(tmp_path / "run" / "best.pt")


def test_a_tracker_that_fails_does_not_change_the_run(
    tiny: TinyRecipe, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stops, "error", ConnectionError("no route"))
    monkeypatch.setitem(TRACKERS, "stops", Stops)
    said: list[str] = []
    quietly(tiny(), tmp_path / "run", trackers=["stops", "csv"], say=said.append)
    assert_same_run(finished, tmp_path / "run")
    told = [line for line in said if not line.startswith("epoch ")]
    assert len(told) == 1 and "stops" in told[0] and "no route" in told[0]


# ----------------------------------------------------------------------------------------------------- resume or refuse


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """The finished run, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_resuming_a_finished_run_changes_nothing(tiny: TinyRecipe, finished: Path, copied: Path) -> None:
    quietly(tiny(), copied, resume=True)
    assert_same_run(finished, copied)


def test_there_must_be_something_to_resume(tiny: TinyRecipe, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no last\.ckpt"):
        quietly(tiny(), tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_is_refused(tiny: TinyRecipe, finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir()}
    with pytest.raises(UserError, match="already holds a run"):
        quietly(tiny(), finished)
    assert before == {path: path.stat().st_mtime_ns for path in finished.iterdir()}


def test_another_recipe_cannot_resume(tiny: TinyRecipe, finished: Path) -> None:
    with pytest.raises(UserError, match="differs"):
        quietly(tiny(training__epochs=9), finished, resume=True)


def test_a_run_goes_on_under_another_name(tiny: TinyRecipe, finished: Path) -> None:
    quietly(tiny(name="renamed", about="said better"), finished, resume=True)


def test_a_run_killed_in_its_first_epoch_can_be_had_again(tiny: TinyRecipe, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(tiny(training__epochs=1).to_yaml())  # all that a kill in epoch 1 leaves
    refused = []
    for resume in (True, False):
        try:
            quietly(tiny(training__epochs=1), folder, resume=resume)
        except UserError as error:
            refused.append(str(error))
    assert len(refused) < 2, f"each sends the user to the other: {refused}"


def test_a_run_begins_where_another_ended(tiny: TinyRecipe, finished: Path, tmp_path: Path) -> None:
    said: list[str] = []
    recipe = tiny(training__initial_weights=str(finished), training__epochs=1, training__learning_rate=1e-6)
    begun = train(recipe, tmp_path / "run", trackers=("none",), progress=False, say=said.append)
    before = json.loads((finished / RESULT).read_text())["best"]["val_loss"]
    assert begun["best"]["val_loss"] == pytest.approx(before, rel=0.02)
    assert said[0] == f"begins with the weights of {finished}"


def test_lines_that_are_watched_are_read_after_every_epoch_and_change_nothing(
    tiny: TinyRecipe, finished: Path, tmp_path: Path
) -> None:
    lines = LineSet(tiny().lines, "test", 0)
    made = [lines.line(index) for index in range(6)]
    for one in made:
        cv2.imwrite(str(tmp_path / f"{one.index}.png"), one.image)
    (tmp_path / "labels.tsv").write_text("".join(f"{one.index}.png\t{one.text}\n" for one in made))
    quietly(tiny(training__watch=str(tmp_path)), tmp_path / "run")
    kept = metrics(tmp_path / "run")
    watched = [kept.pop(key) for key in list(kept) if key[1] == "watch_cer"]
    loosely = [kept.pop(key) for key in list(kept) if key[1] == "watch_cer_loose"]
    assert len(watched) == len(loosely) == 4
    network, _ = load_network(tmp_path / "run" / "best.pt")
    read = LineReader(TorchRecognizer(network)).read_lines([one.image for one in made])
    assert score([one.text for one in made], [line.text for line in read]).cer in watched
    assert kept == metrics(finished)


def test_a_broken_checkpoint_is_refused_by_name(tiny: TinyRecipe, copied: Path) -> None:
    whole = (copied / "last.ckpt").read_bytes()
    (copied / "last.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"last\.ckpt"):
        quietly(tiny(), copied, resume=True)


def test_a_file_is_no_run_folder(tiny: TinyRecipe, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(UserError, match="run"):
        quietly(tiny(training__epochs=1), tmp_path / "run")


def test_a_resumed_run_tells_each_number_once(tiny: TinyRecipe, tmp_path: Path) -> None:
    folder, recipe = tmp_path / "run", tiny(training__epoch_lines=80)  # 20 steps: an epoch begins with a logged step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", full_disk(2))
        with pytest.raises(GlyphlineError):
            quietly(recipe, folder)  # stopped one epoch past its checkpoint
    quietly(recipe, folder, resume=True)
    with (folder / "metrics.csv").open(newline="") as rows:
        told = [(row["step"], row["name"]) for row in csv.DictReader(rows)]
    assert len(told) == len(set(told))


# --------------------------------------------------------------------------------------------------- stopping, refusing


def test_a_run_that_no_longer_improves_stops(tiny: TinyRecipe, tmp_path: Path) -> None:
    recipe = tiny(
        network__encoder="patches", network__context="none", training__learning_rate=1e-30,  # it cannot improve
        training__epochs=20, training__patience=2, training__ema_decay=0.0, training__epoch_lines=8,
    )  # fmt: skip
    result = quietly(recipe, tmp_path / "run")
    assert result["epochs"] == 3 and result["best"]["step"] == 2  # the first is the best, two more were waited for


def test_lines_that_ctc_cannot_say_are_refused_before_anything_is_written(tiny: TinyRecipe, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"{'o' * 16} {first}{last}\n" for first in "abcdefgh" for last in "abcdefgh"))
    recipe = tiny(
        lines__sentences=[f"text:{texts}"], lines__length=[12, 12],
        network__channels=[2, 2, 4, 4], network__stride=16,  # 21 steps, but twelve o's and the blanks between need 23
    )  # fmt: skip
    with pytest.raises(RecipeError, match=r"'oooooooooooo' needs 23 time steps .* only 21"):
        quietly(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_validation_scores_as_evaluate_does(tiny: TinyRecipe, tmp_path: Path) -> None:
    """To the last character, also where lines differ in length and the network sees what lies after them."""
    recipe = tiny(lines__length=[1, 20], network__context="bilstm", training__epochs=3, training__epoch_lines=200)
    quietly(recipe, tmp_path / "run")
    lines = LineSet(recipe.lines, "val", recipe.training.seed)
    images, texts = lines.canonical_batch(range(recipe.training.validation_lines))
    network, info = load_network(tmp_path / "run" / "best.pt")
    result = score(texts, [decoded.text for decoded in LineReader(TorchRecognizer(network)).decode_all(images)])
    assert (info["val_cer"], info["val_wer"], info["val_exact"]) == (result.cer, result.wer, result.exact)


def test_a_run_that_diverges_says_so(tiny: TinyRecipe, tmp_path: Path) -> None:
    recipe = tiny(
        training__optimizer="sgd", training__learning_rate=1e30, training__gradient_clip=0.0, training__ema_decay=0.0,
        training__epochs=1,
    )  # fmt: skip
    with pytest.raises(GlyphlineError, match="learning_rate"):
        quietly(recipe, tmp_path / "run")
