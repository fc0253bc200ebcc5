"""Training lines a second and peak memory of our networks, beside the report's network in Keras, all in one run.

make peers && python benchmarks/training.py     # writes benchmarks/results/training.json
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from glyphline.composing.line_sets import LineSet
from glyphline.recipe import Recipe, load_recipe
from glyphline.training.data import Positions, loader
from glyphline.training.network import Network
from glyphline.training.train import ctc_loss, keep_freed_memory

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PEERS = ROOT / ".venv-peers" / "bin" / "python"
ROUNDS = 3  # ours and theirs in turn, so that a slow minute hits both


def ours(recipe: str, steps: int) -> dict[str, float] | None:
    """Run in a process of its own, so that memory is this network's alone; None where its data are missing."""
    command = [sys.executable, __file__, "--one", recipe, str(steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"{recipe} left out: {done.stderr.splitlines()[-1]}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def theirs(steps: int) -> dict[str, float] | None:
    """The report's network in Keras, where the peers are installed."""
    if not PEERS.exists():
        return None
    command = [str(PEERS), str(ROOT / "benchmarks" / "peers" / "keras_seed.py"), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def speed(recipe: Recipe, steps: int) -> float:
    """Lines a second of training steps, composing included: the median of `steps`, the first two left out."""
    wanted, lines = recipe.training, LineSet(recipe.lines, "train", 0)
    network = Network(recipe).train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    positions = Positions(lines, (steps + 2) * wanted.batch, wanted.batch, regions=wanted.gradient_accumulation)
    times, started = [], time.perf_counter()
    for number, batch in enumerate(loader(lines, positions), 1):
        with torch.autocast("cpu", torch.bfloat16, enabled=wanted.precision == "bf16"):
            log_probs = network(batch.lines)
        count = torch.full((len(batch.texts),), log_probs.shape[1])
        loss = ctc_loss(log_probs.float(), batch, count) / batch.lengths.sum()
        (loss / wanted.gradient_accumulation).backward()
        if number % wanted.gradient_accumulation:
            continue
        optimizer.step()
        optimizer.zero_grad()
        now = time.perf_counter()
        times.append(now - started)
        started = now
    return wanted.batch / statistics.median(times[2:])


def measure(path: str, steps: int) -> None:
    """The speed of a recipe, and this process's peak memory."""
    keep_freed_memory()
    recipe = load_recipe(path)
    rate = speed(recipe, steps)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    parameters = Network(recipe).parameter_count()
    print(json.dumps({"lines_per_second": rate, "parameters": parameters, "peak_mb": peak}))


def main() -> None:
    names = {"seed": 8, "tiles": 20, "natural": 12}
    runs: dict[str, list[dict[str, float]]] = {}
    for _ in range(ROUNDS):
        for name, steps in names.items():
            if (one := ours(str(ROOT / "recipes" / f"{name}.yaml"), steps)) is not None:
                runs.setdefault(name, []).append(one)
        if (peer := theirs(6)) is not None:
            runs.setdefault("seed in Keras", []).append(peer)
    rows = {
        name: {
            "lines_per_second": statistics.median(r["lines_per_second"] for r in these),
            "parameters": these[0]["parameters"],
            "peak_mb": max(r["peak_mb"] for r in these),
        }
        for name, these in runs.items()
    }
    base = rows.get("seed in Keras", {}).get("lines_per_second")
    for name, row in rows.items():
        ratio = f"{row['lines_per_second'] / base:5.2f} x Keras" if base else "(no Keras here: make peers)"
        print(
            f"{name:16s} {row['lines_per_second']:7.1f} lines/s  {row['parameters']:>9,} parameters  "
            f"peak {row['peak_mb']:5.0f} MB  {ratio}"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "training.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        main()
