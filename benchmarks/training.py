"""Measures training speed and peak memory of three recipes, beside the W&B report's network in Keras, in one run.

make peers && python benchmarks/training.py     # writes benchmarks/results/training.json
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from glyphline.composing.line_sets import LineSet
from glyphline.memory import keep_freed_memory, peak_bytes
from glyphline.recipe import Recipe, load_recipe
from glyphline.training.data import LineBatchSampler, make_data_loader
from glyphline.training.network import Network
from glyphline.training.train import ctc_loss

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PEERS = ROOT / ".venv-peers" / "bin" / "python"
ROUNDS = 3  # all networks take turns, so that a slow minute affects all of them
WARM_UP_STEPS = 2  # not timed
RECIPE_STEPS = {"seed": 8, "tiles": 20, "natural": 12}
KERAS, KERAS_STEPS = "seed in Keras", 6


def measure_recipe(recipe: str, steps: int) -> dict[str, float] | None:
    """Measure a recipe in a subprocess, so that the peak memory is its own. None, and a message, if it fails."""
    command = [sys.executable, __file__, "--worker", recipe, str(steps)]
    completed = subprocess.run(command, capture_output=True, text=True)
    if completed.returncode:
        print(f"{recipe} is skipped: {completed.stderr.splitlines()[-1]}")
        return None
    return json.loads(completed.stdout.splitlines()[-1])


def measure_keras(steps: int) -> dict[str, float] | None:
    """Measure the W&B report's network in Keras. None without `make peers`."""
    if not PEERS.exists():
        return None
    command = [str(PEERS), str(ROOT / "benchmarks" / "peers" / "keras_seed.py"), str(steps)]
    completed = subprocess.run(command, capture_output=True, text=True)
    return json.loads(completed.stdout.splitlines()[-1]) if completed.returncode == 0 else None


def measure_training_speed(recipe: Recipe, steps: int) -> float:
    """Lines a second of training steps, composing included: the median of `steps` steps after WARM_UP_STEPS."""
    training, lines = recipe.training, LineSet(recipe.lines, "train", 0)
    network = Network(recipe).train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    sampler = LineBatchSampler(
        lines,
        (steps + WARM_UP_STEPS) * training.batch,
        training.batch,
        gradient_accumulation=training.gradient_accumulation,
    )
    times, started = [], time.perf_counter()
    for number, batch in enumerate(make_data_loader(lines, sampler), 1):
        with torch.autocast("cpu", torch.bfloat16, enabled=training.precision == "bf16"):
            log_probs = network(batch.lines)
        time_steps = torch.full((len(batch.texts),), log_probs.shape[1])
        loss = ctc_loss(log_probs.float(), batch, time_steps) / batch.lengths.sum()
        (loss / training.gradient_accumulation).backward()
        if number % training.gradient_accumulation:
            continue
        optimizer.step()
        optimizer.zero_grad()
        now = time.perf_counter()
        times.append(now - started)
        started = now
    return training.batch / statistics.median(times[WARM_UP_STEPS:])


def run_worker(path: str, steps: int) -> None:
    """Print the training speed of a recipe, its number of parameters and the peak memory of this process as JSON."""
    keep_freed_memory()
    recipe = load_recipe(path)
    speed = measure_training_speed(recipe, steps)
    peak = (peak_bytes() or 0) / 2**20
    parameters = Network(recipe).parameter_count()
    print(json.dumps({"lines_per_second": speed, "parameters": parameters, "peak_mb": peak}))


def main() -> None:
    """Measure all networks, print the table and write it to results/training.json."""
    measurements: dict[str, list[dict[str, float]]] = {}
    for _ in range(ROUNDS):
        for name, steps in RECIPE_STEPS.items():
            if (measurement := measure_recipe(str(ROOT / "recipes" / f"{name}.yaml"), steps)) is not None:
                measurements.setdefault(name, []).append(measurement)
        if (measurement := measure_keras(KERAS_STEPS)) is not None:
            measurements.setdefault(KERAS, []).append(measurement)
    rows = {
        name: {
            "lines_per_second": statistics.median(r["lines_per_second"] for r in rounds),
            "parameters": rounds[0]["parameters"],
            "peak_mb": max(r["peak_mb"] for r in rounds),
        }
        for name, rounds in measurements.items()
    }
    keras_speed = rows.get(KERAS, {}).get("lines_per_second")
    for name, row in rows.items():
        ratio = (
            f"{row['lines_per_second'] / keras_speed:5.2f} x Keras" if keras_speed else "(without Keras: make peers)"
        )
        print(
            f"{name:16s} {row['lines_per_second']:7.1f} lines/s  {row['parameters']:>9,} parameters  "
            f"peak {row['peak_mb']:5.0f} MB  {ratio}"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "training.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        run_worker(sys.argv[2], int(sys.argv[3]))
    else:
        main()
