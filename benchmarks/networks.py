"""Compares network architectures: size, operations a line, speed of training and reading, and CER after the same lines.

    python benchmarks/networks.py train    # trains on 38,400 lines of recipes/tiles-byclass.yaml (an hour); resumes
    python benchmarks/networks.py          # measures the trained ones; writes benchmarks/results/networks.json

The contexts have similar sizes, about half a million multiplications a time step. The last three networks have more
layers or more time steps.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from glyphline.composing.line_sets import LineSet
from glyphline.memory import keep_freed_memory
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.decoders import GreedyDecoder
from glyphline.reading.recognition.recognizers import open_recognizer
from glyphline.recipe import Recipe, load_recipe
from glyphline.score import score
from glyphline.training.export import export
from glyphline.training.network import Network, load_network
from glyphline.training.runs import RESULT_FILE
from glyphline.training.train import train
from training import measure_training_speed

ROOT = Path(__file__).resolve().parent.parent
RUNS, RESULTS = ROOT / "runs" / "networks", ROOT / "benchmarks" / "results"
WIDTH = 896  # px of a line of 32 tiles
TEST_LINES = 1000
SPEED_LINES = 256  # of the test lines, for the speed of reading
ROUNDS, STEPS = 3, 12  # of the speeds; the networks take turns, so that a slow minute affects all of them
BUDGET = ["training.epochs=6", "training.epoch_lines=6400", "training.validation_lines=500"]
REPORT_NETWORK = [
    "network.encoder=patches", "network.channels=[32,64]", "network.context=lstm", "network.features=128",
    "training.gradient_accumulation=8", "training.learning_rate=0.001", "network.dropout=0.2",
]  # fmt: skip

#: network -> (name of its run, changes to recipes/tiles-byclass.yaml)
NETWORKS: dict[str, tuple[str, list[str]]] = {
    "patches + LSTM 128 (the W&B report)": ("seed", REPORT_NETWORK),
    "convolutions, no context": ("none", ["network.context=none"]),
    "convolutions + LSTM": ("lstm", ["network.context=lstm", "network.features=224"]),
    "convolutions + 2 BiLSTM (of the recipes)": ("bilstm", []),
    "convolutions + 2 mixers": ("mixer", ["network.context=mixer", "network.layers=2"]),
    "convolutions + attention": ("attention", ["network.context=attention", "network.layers=1"]),
    "convolutions + 5 mixers": ("mixer-5", ["network.context=mixer", "network.layers=5"]),
    "convolutions + 3 attention": ("attention-3", ["network.context=attention", "network.layers=3"]),
    "convolutions + 2 BiLSTM, stride 4 px": ("fine", ["network.stride=4"]),
}  # fmt: skip


def make_recipe(run: str, changes: list[str]) -> Recipe:
    """The recipe of tiles with this benchmark's number of lines and a changed network."""
    return load_recipe(ROOT / "recipes" / "tiles-byclass.yaml", [f"name={run}", *BUDGET, *changes])


def train_all() -> None:
    """Train every network that is not trained yet; continue those that were interrupted."""
    for name, (run, changes) in NETWORKS.items():
        folder = RUNS / run
        if not (folder / RESULT_FILE).exists():
            print(name, flush=True)
            train(make_recipe(run, changes), folder, resume=(folder / "last.ckpt").exists(), trackers=("csv",),
                  progress=False)  # fmt: skip


def count_mflops(network: Network, width: int = WIDTH) -> float:
    """Count the multiplications and additions for a line, in millions.

    FlopCounterMode does not count LSTMs, so their operations are computed from their sizes.
    """
    lstm_flops = 0

    def count_lstm(lstm: nn.LSTM, _inputs: Any, outputs: Any) -> None:
        nonlocal lstm_flops
        steps, directions = outputs[0].shape[0] * outputs[0].shape[1], 1 + lstm.bidirectional
        lstm_flops += directions * steps * 2 * 4 * lstm.hidden_size * (lstm.input_size + lstm.hidden_size)

    hooks = [m.register_forward_hook(count_lstm) for m in network.modules() if isinstance(m, nn.LSTM)]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, network.recipe.lines.height, width, dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    return (counter.get_total_flops() + lstm_flops) / 1e6


def main() -> None:
    """Measure every trained network, print the table and write it to results/networks.json."""
    keep_freed_memory()
    trained = {
        name: (RUNS / run, changes) for name, (run, changes) in NETWORKS.items() if (RUNS / run / RESULT_FILE).exists()
    }
    lines = LineSet(make_recipe("test", []).lines, "test", 0)
    images, truths = lines.canonical_batch(range(TEST_LINES))
    rows: dict[str, dict[str, Any]] = {}
    readers = {}
    for name, (folder, _) in trained.items():
        network, _info = load_network(folder / "best.pt")
        export(folder, folder / "model.onnx")
        readers[name] = LineReader(open_recognizer(str(folder / "model.onnx")), GreedyDecoder())
        result = score(truths, [decoded.text for decoded in readers[name].decode_all(images)])
        rows[name] = {"parameters": network.parameter_count(), "mflops": count_mflops(network), "cer": result.cer,
                      "cer_interval": result.cer_interval, "wer": result.wer}  # fmt: skip
    speeds: dict[str, dict[str, list[float]]] = {name: {"training": [], "reading": []} for name in trained}
    for _ in range(ROUNDS):
        for name, (folder, changes) in trained.items():
            speeds[name]["training"].append(measure_training_speed(make_recipe(folder.name, changes), STEPS))
            started = time.perf_counter()
            readers[name].decode_all(images[:SPEED_LINES])
            speeds[name]["reading"].append(SPEED_LINES / (time.perf_counter() - started))
    for name, row in rows.items():
        row |= {kind: statistics.median(rates) for kind, rates in speeds[name].items()}
        print(
            f"{name:44s} {row['parameters']:>9,} parameters {row['mflops']:6.0f} MFLOP  "
            f"lines/s: training {row['training']:5.0f} reading {row['reading']:5.0f}  CER {row['cer']:.2%}"
        )
    training = make_recipe("test", []).training
    results = {"lines": training.epochs * training.epoch_lines, "test": TEST_LINES, "rows": rows}
    (RESULTS / "networks.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    train_all() if sys.argv[1:] == ["train"] else main()
