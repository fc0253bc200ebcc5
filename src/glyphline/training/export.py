"""Exports the network of a run to ONNX, and keeps the file only if its outputs equal those of torch."""

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
from glyphline.files import replace_atomically
from glyphline.reading.recognition.recognizers import METADATA_KEY, ModelInfo, OnnxRecognizer
from glyphline.recipe import LinesRecipe
from glyphline.training.network import Network, TorchRecognizer, load_network, model_info_of
from glyphline.training.runs import BEST_WEIGHTS

OPSET = 17
#: nats, of the log-probabilities above MIN_LOG_PROB. fp32 sums of another order differ by 0.0001 in small networks, by
#: up to 0.0011 in adapted ones of photo; a wrong export differs by whole nats.
TOLERANCE = 1e-2
MIN_LOG_PROB = -20.0  # natural logarithm; lower log-probabilities are not compared, they do not change a text
COMPARED_SHAPES = ((1, 320), (3, 896), (2, 1312))  # (lines, width in px) of the compared batches


def weights_path(run: Path) -> Path:
    """The path of the best weights of a run. run: a run folder, or the weights file itself.

    Raises DataError when the file does not exist.
    """
    path = run / BEST_WEIGHTS if run.is_dir() else run
    if not path.is_file():
        raise DataError(
            f"{run} holds no {BEST_WEIGHTS}: give a run folder whose first epoch has ended, or its {BEST_WEIGHTS}"
        )
    return path


def open_run(run: Path) -> TorchRecognizer:
    """Open the best network of a run as a recognizer. run: a run folder, or its best.pt.

    Raises DataError for a missing or damaged weights file.
    """
    return TorchRecognizer(load_network(weights_path(run))[0])


def _compose_batch(count: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """A batch (count, height, width) of composed lines, joined and cropped to the width; ink bright on 0.

    The networks are compared on text, because noise saturates the cells of a recurrent network. Its output is then
    chaotic, and the rounding of a sum grows to a large difference.
    """
    line_set = LineSet(LinesRecipe(height=height), "test")
    rows = []
    for first in range(count):
        row, index = np.zeros((height, 0), np.uint8), first
        while row.shape[1] < width:
            row = np.hstack([row, line_set.canonical_line(index)[0]])
            index += count
        rows.append(row[:, :width])
    return np.stack(rows)


def largest_difference(recognizer: OnnxRecognizer, network: Network) -> float:
    """Measure the largest absolute difference, in nats, between the outputs of an ONNX model and of a torch network.

    Both recognize batches of composed lines of the COMPARED_SHAPES. Only log-probabilities above MIN_LOG_PROB are
    compared. Raises GlyphlineError when the outputs differ in shape.
    """
    difference, torch_recognizer = 0.0, TorchRecognizer(network)
    for count, width in COMPARED_SHAPES:
        images = _compose_batch(count, network.recipe.lines.height, width)
        actual, expected = recognizer.log_probs(images), torch_recognizer.log_probs(images)
        if actual.shape != expected.shape:
            raise GlyphlineError(
                f"the ONNX model outputs an array of shape {actual.shape}, the network one of {expected.shape}: "
                "export the model from this network"
            )
        likely = expected > MIN_LOG_PROB
        difference = max(difference, float(np.abs(actual - expected)[likely].max(initial=0.0)))
    return difference


def export(run: Path, out: Path) -> float:
    """Export the best network of a run to an ONNX file, with its ModelInfo, and return its `largest_difference`.

    run: a run folder, or its best.pt. out: the .onnx file; missing folders are created. The input is "lines" (N, H, W)
    uint8, the output "log_probs" (N, T, C) float32; N, W and T are free.
    Raises DataError for missing or damaged weights, UserError when `out` is a folder or cannot be written,
    GlyphlineError when the difference exceeds TOLERANCE. After an error `out` is as it was before.
    """
    network, _ = load_network(weights_path(run))
    if out.is_dir():
        raise UserError(f"{out} is a folder: name the .onnx file to write")
    example = torch.zeros(2, network.recipe.lines.height, 320, dtype=torch.uint8)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(out) as temporary:
            with warnings.catch_warnings():
                # Torch warns that its exporter is old and of LSTMs in batches. The outputs are compared below.
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    network, (example,), str(temporary), opset_version=OPSET, dynamo=False,
                    input_names=["lines"], output_names=["log_probs"],
                    dynamic_axes={"lines": {0: "N", 2: "W"}, "log_probs": {0: "N", 1: "T"}},
                )  # fmt: skip
            write_model_info(temporary, model_info_of(network))
            difference = largest_difference(OnnxRecognizer(temporary), network)
            if difference > TOLERANCE:
                raise GlyphlineError(
                    f"the log-probabilities of the ONNX model differ from those of torch by {difference:.2g}, "
                    f"the limit is {TOLERANCE}: the exported file was not kept"
                )
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from None
    return difference


def write_model_info(path: Path, info: ModelInfo) -> None:
    """Store a ModelInfo as JSON in the metadata of an ONNX file, in place of all metadata the file has."""
    import onnx

    model = onnx.load(str(path))
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(asdict(info))
    onnx.save(model, str(path))
