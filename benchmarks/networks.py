"""Networks beside one another: size, work a line, speed of training and reading, and CER after the same lines.

    python benchmarks/networks.py train    # each on 38,400 lines of recipes/tiles-byclass.yaml (an hour); resumes
    python benchmarks/networks.py          # measures what was trained; writes benchmarks/results/networks.json

Contexts are sized alike, about half a million multiplications a time step; the larger ones say what more would bring.
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
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.decoders import GreedyDecoder
from glyphline.reading.recognition.recognizers import open_recognizer
from glyphline.recipe import Recipe, load_recipe
from glyphline.score import score
from glyphline.training.export import export
from glyphline.training.network import Network, load_network
from glyphline.training.train import RESULT, keep_freed_memory, train
from training import speed

ROOT = Path(__file__).resolve().parent.parent
RUNS, RESULTS = ROOT / "runs" / "networks", ROOT / "benchmarks" / "results"
WIDTH = 896  # px of a line of 32 tiles
LINES = 1000  # test lines
ROUNDS, STEPS = 3, 12  # of the speeds; networks in turn, so that a slow minute hits all
BUDGET = ["training.epochs=6", "training.epoch_lines=6400", "training.validation_lines=500"]
SEED = ["network.encoder=patches", "network.channels=[32,64]", "network.context=lstm", "network.features=128",
        "training.gradient_accumulation=8", "training.learning_rate=0.001", "network.dropout=0.2"]  # fmt: skip

#: what it is -> its run, and changes to recipes/tiles-byclass.yaml
NETWORKS: dict[str, tuple[str, list[str]]] = {
    "patches + LSTM 128 (the report's)": ("seed", SEED),
    "convolutions alone": ("none", ["network.context=none"]),
    "convolutions + LSTM": ("lstm", ["network.context=lstm", "network.features=224"]),
    "convolutions + 2 BiLSTM (the default)": ("bilstm", []),
    "convolutions + 2 mixers": ("mixer", ["network.context=mixer", "network.layers=2"]),
    "convolutions + attention": ("attention", ["network.context=attention", "network.layers=1"]),
    "convolutions + 5 mixers": ("mixer-5", ["network.context=mixer", "network.layers=5"]),
    "convolutions + 3 attention": ("attention-3", ["network.context=attention", "network.layers=3"]),
    "convolutions + 2 BiLSTM, a step every 4 px": ("fine", ["network.stride=4"]),
}  # fmt: skip


def recipe_of(run: str, changes: list[str]) -> Recipe:
    return load_recipe(ROOT / "recipes" / "tiles-byclass.yaml", [f"name={run}", *BUDGET, *changes])


def train_all() -> None:
    for what, (run, changes) in NETWORKS.items():
        folder = RUNS / run
        if not (folder / RESULT).exists():
            print(what, flush=True)
            train(recipe_of(run, changes), folder, resume=(folder / "last.ckpt").exists(), trackers=("csv",),
                  progress=False)  # fmt: skip


def mflops(network: Network, width: int = WIDTH) -> float:
    """Millions of multiplications and additions for a line; LSTMs, which the counter passes over, by their sizes."""
    recurrent = 0

    def count(lstm: nn.LSTM, given: Any, made: Any) -> None:
        nonlocal recurrent
        steps, both = made[0].shape[0] * made[0].shape[1], 1 + lstm.bidirectional
        recurrent += both * steps * 2 * 4 * lstm.hidden_size * (lstm.input_size + lstm.hidden_size)

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.LSTM)]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, network.recipe.lines.height, width, dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    return (counter.get_total_flops() + recurrent) / 1e6


def main() -> None:
    keep_freed_memory()
    there = {what: (RUNS / run, changes) for what, (run, changes) in NETWORKS.items() if (RUNS / run / RESULT).exists()}
    lines = LineSet(recipe_of("test", []).lines, "test", 0)
    images, texts = lines.canonical_batch(range(LINES))
    rows: dict[str, dict[str, Any]] = {}
    readers = {}
    for what, (folder, _) in there.items():
        network, _facts = load_network(folder / "best.pt")
        export(folder, folder / "model.onnx")
        readers[what] = LineReader(open_recognizer(str(folder / "model.onnx")), GreedyDecoder())
        result = score(texts, [d.text for d in readers[what].decode_all(images)])
        rows[what] = {"parameters": network.parameter_count(), "mflops": mflops(network), "cer": result.cer,
                      "cer_interval": result.cer_interval, "wer": result.wer}  # fmt: skip
    speeds: dict[str, dict[str, list[float]]] = {what: {"training": [], "reading": []} for what in there}
    for _ in range(ROUNDS):
        for what, (folder, changes) in there.items():
            speeds[what]["training"].append(speed(recipe_of(folder.name, changes), STEPS))
            started = time.perf_counter()
            readers[what].decode_all(images[:256])
            speeds[what]["reading"].append(256 / (time.perf_counter() - started))
    for what, row in rows.items():
        row |= {name: statistics.median(rates) for name, rates in speeds[what].items()}
        print(
            f"{what:44s} {row['parameters']:>9,} parameters {row['mflops']:6.0f} MFLOP  "
            f"lines/s: training {row['training']:5.0f} reading {row['reading']:5.0f}  CER {row['cer']:.2%}"
        )
    wanted = recipe_of("test", []).training
    kept = {"lines": wanted.epochs * wanted.epoch_lines, "test": LINES, "rows": rows}
    (RESULTS / "networks.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    train_all() if sys.argv[1:] == ["train"] else main()
