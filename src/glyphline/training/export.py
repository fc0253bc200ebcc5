"""Weights -> ONNX, then compared with torch number for number before the file is kept."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from glyphline.composing.line_sets import LineSet
from glyphline.errors import DataError, GlyphlineError, UserError
from glyphline.files import replacing
from glyphline.reading.recognition.recognizers import METADATA_KEY, ModelInfo, OnnxRecognizer
from glyphline.recipe import LinesRecipe
from glyphline.training.network import Network, TorchRecognizer, load_network, model_info_of
from glyphline.training.train import BEST

OPSET = 17
TOLERANCE = 1e-3  # of a log-probability above LIKELY; fp32 sums in another order
LIKELY = -20.0  # natural logarithm; what is less likely than this decides nothing
SHAPES = ((1, 320), (3, 896), (2, 1312))  # (lines, px) that are compared


def weights_of(run: Path) -> Path:
    """The best weights of a run folder, or the weights file itself."""
    path = run / BEST if run.is_dir() else run
    if not path.is_file():
        raise DataError(f"{run} holds no {BEST}: give a run folder whose first epoch has ended, or its {BEST}")
    return path


def open_run(run: Path) -> TorchRecognizer:
    """The best network of a run folder as a recognizer."""
    return TorchRecognizer(load_network(weights_of(run))[0])


def _written_lines(count: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Embedded lines (count, height, width), ink bright. Writing, not noise: on noise a network of saturated cells is
    chaotic, and the smallest difference of two sums grows."""
    lines = LineSet(LinesRecipe(height=height), "test")
    strips = []
    for first in range(count):
        strip, index = np.zeros((height, 0), np.uint8), first
        while strip.shape[1] < width:
            strip = np.hstack([strip, lines.canonical_line(index)[0]])
            index += count
        strips.append(strip[:, :width])
    return np.stack(strips)


def largest_difference(recognizer: OnnxRecognizer, network: Network) -> float:
    """The largest difference of any likely log-probability between an ONNX file and its network."""
    worst, theirs = 0.0, TorchRecognizer(network)
    for lines, width in SHAPES:
        images = _written_lines(lines, network.recipe.lines.height, width)
        a, b = recognizer.log_probs(images), theirs.log_probs(images)
        if a.shape != b.shape:
            raise GlyphlineError(f"the export gives {a.shape} where the network gives {b.shape}")
        worst = max(worst, float(np.abs(a - b)[b > LIKELY].max(initial=0.0)))
    return worst


def export(run: Path, out: Path) -> float:
    """Export a run's best network to `out`; the largest difference from torch that was found.

    Batch and width are free. Raises DataError for a run without weights, GlyphlineError when the numbers differ
    by more than TOLERANCE; the file is then not kept.
    """
    network, _ = load_network(weights_of(run))
    if out.is_dir():
        raise UserError(f"{out} is a folder: name the .onnx file to write")
    example = torch.zeros(2, network.recipe.lines.height, 320, dtype=torch.uint8)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as beside:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # advice about the exporter and LSTM batches; parity is measured below
                torch.onnx.export(
                    network, (example,), str(beside), opset_version=OPSET, dynamo=False,
                    input_names=["lines"], output_names=["log_probs"],
                    dynamic_axes={"lines": {0: "N", 2: "W"}, "log_probs": {0: "N", 1: "T"}},
                )  # fmt: skip
            write_model_info(beside, model_info_of(network))
            difference = largest_difference(OnnxRecognizer(beside), network)
            if difference > TOLERANCE:
                raise GlyphlineError(
                    f"the export differs from torch by {difference:.2g}, more than {TOLERANCE}: not kept"
                )
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from None
    return difference


def write_model_info(path: Path, info: ModelInfo) -> None:
    """Put the facts, and nothing else, into an ONNX file's metadata."""
    import onnx

    model = onnx.load(str(path))
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(asdict(info))
    onnx.save(model, str(path))
