"""Makes an ONNX model smaller: quantized to 8 bits, or with its weights alone compressed.

Quantized: a quarter of the size, two to three times as fast; a worse model is not kept. Weights alone in half precision
or in 8 bits: half or a quarter of the size, as fast as before, because the network computes in fp32.

Convolutions and linear layers are quantized statically, with activation ranges from validation lines of the recipe.
LSTMs are quantized dynamically. The matrix products of attention stay in fp32.
Method: onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glyphline.composing.line_sets import LineSet
from glyphline.errors import GlyphlineError, UserError
from glyphline.files import replace_atomically
from glyphline.imaging.normalization import pad_batch
from glyphline.reading.lines import LIMITS, LineReader
from glyphline.reading.recognition.recognizers import OnnxRecognizer
from glyphline.recipe import Recipe
from glyphline.score import score
from glyphline.training.export import write_model_info

CALIBRATION_LINES = 64  # the first validation lines; they give the ranges of the activations
MEASURED_LINES = 300  # the validation lines after these; they give the CER before and after quantization
MAX_CER_INCREASE = 0.002  # in fractions of a character
COMPRESSED_MIN_VALUES = 256  # weights of fewer values stay in fp32
GROUP = 32  # weights that share a scale in 8 bits, at most: with one for a channel a few large weights round the others
MIN_SCALE = 1e-5  # of 8 bits; half precision holds smaller numbers to less than 1 %
HALF_RANGE = (float(np.finfo(np.float16).min), float(np.finfo(np.float16).max))
MAX_RELATIVE_CER_INCREASE = 0.03  # in fractions of the CER; the larger of the two limits counts


@dataclass(frozen=True)
class QuantizationCost:
    """CER of a model before and after quantization, on the same validation lines. Fractions."""

    before: float
    after: float


def _attention_products(path: Path) -> list[str]:
    """The names of the MatMul nodes without a weight: those of attention, which lose speed and accuracy in 8 bits."""
    import onnx

    graph = onnx.load(str(path)).graph
    weights = {tensor.name for tensor in graph.initializer}
    return [node.name for node in graph.node if node.op_type == "MatMul" and not weights & set(node.input)]


def quantize(source: Path, out: Path, recipe: Recipe) -> QuantizationCost:
    """Quantize an ONNX model to 8 bits and return its CER before and after.

    source: a model that `export` wrote. out: the file to write, which may be `source`; its folder must exist. recipe:
    composes the validation lines for the ranges of the activations and for the CER; its lines.height must be that of
    the model.
    Raises GlyphlineError when the CER grows by more than both MAX_CER_INCREASE and MAX_RELATIVE_CER_INCREASE times the
    CER before, UserError when `source` is missing or `out` cannot be written, and what `LineSet` raises. After an error
    `out` is as it was before.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_dynamic,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    lines = LineSet(recipe.lines, "val", recipe.training.seed)
    images, truths = lines.canonical_batch(range(CALIBRATION_LINES + MEASURED_LINES))

    class CalibrationLines(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self.batches: Iterator[npt.NDArray[np.uint8]] = (
                pad_batch([image], LIMITS.width_multiple)[0] for image in images[:CALIBRATION_LINES]
            )

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"lines": batch}

    def measure_cer(path: Path) -> float:
        decoded_texts = LineReader(OnnxRecognizer(path)).decode_all(images[CALIBRATION_LINES:])
        return score(truths[CALIBRATION_LINES:], [decoded.text for decoded in decoded_texts]).cer

    root_logger = logging.getLogger()
    previous_level = root_logger.level
    root_logger.setLevel(logging.ERROR)  # onnxruntime logs advice with the root logger
    try:
        with tempfile.TemporaryDirectory() as folder, replace_atomically(out) as temporary:
            prepared, static = Path(folder) / "prepared.onnx", Path(folder) / "static.onnx"
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared), str(static), CalibrationLines(), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                op_types_to_quantize=["Conv", "MatMul", "Add", "Relu"], nodes_to_exclude=_attention_products(prepared),
            )  # fmt: skip
            quantize_dynamic(str(static), str(temporary), op_types_to_quantize=["LSTM"], weight_type=QuantType.QInt8)
            write_model_info(temporary, OnnxRecognizer(source).info)
            cost = QuantizationCost(measure_cer(source), measure_cer(temporary))
            if cost.after - cost.before > max(MAX_CER_INCREASE, MAX_RELATIVE_CER_INCREASE * cost.before):
                raise GlyphlineError(
                    f"8 bits raise the CER from {cost.before:.2%} to {cost.after:.2%}, more than the limit: "
                    "the quantized file was not kept, export without --int8"
                )
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from None
    finally:
        root_logger.setLevel(previous_level)
    return cost


def compress_weights(source: Path, out: Path, bits: int = 16) -> None:
    """Store the weights of an ONNX model in half precision or in 8 bits. It computes in fp32 as before.

    source: any ONNX model. out: the file to write, which may be `source`; its folder must exist. The metadata are kept.
    bits: 16, or 8 with a scale for each group of GROUP inputs of an output channel. The weights are converted when the
    model is opened.
    Raises UserError when `source` cannot be read, and when `out` cannot be written; `out` is then as it was before.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    try:
        model = onnx.load(str(source))
        graph, nodes = model.graph, []
        linear = {node.input[1]: node.op_type for node in graph.node if node.op_type in ("Conv", "MatMul")}
        for tensor in list(graph.initializer):
            values, name = numpy_helper.to_array(tensor), tensor.name
            if values.dtype != np.float32 or values.size < COMPRESSED_MIN_VALUES:
                continue
            graph.initializer.remove(tensor)
            if bits == 8 and values.ndim > 1 and name in linear:
                integers, scale = _round_in_groups(values, 0 if linear[name] == "MatMul" else 1)
                shape = np.array(values.shape, np.int64)
                for part, constant in (("int8", integers), ("scale", scale), ("shape", shape)):
                    graph.initializer.append(numpy_helper.from_array(constant, f"{name}.{part}"))
                # Not DequantizeLinear: onnxruntime computes that again in each run, but a product of constants once
                for part in ("int8", "scale"):
                    cast = [f"{name}.{part}"], [f"{name}.{part}.float"]
                    nodes.append(helper.make_node("Cast", *cast, to=TensorProto.FLOAT))
                nodes.append(helper.make_node("Mul", [f"{name}.int8.float", f"{name}.scale.float"], [f"{name}.groups"]))
                nodes.append(helper.make_node("Reshape", [f"{name}.groups", f"{name}.shape"], [name]))
            else:
                half = numpy_helper.from_array(values.clip(*HALF_RANGE).astype(np.float16), f"{name}.half")
                graph.initializer.append(half)
                nodes.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
        for node in reversed(nodes):
            graph.node.insert(0, node)
        with replace_atomically(out) as temporary:
            onnx.save(model, str(temporary))
    except OSError as error:
        raise UserError(f"cannot write {out} from {source}: {error.strerror or error}") from None


def _round_in_groups(
    values: npt.NDArray[np.float32], axis: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float16]]:
    """The weights of a linear operation as integers, and the scales that these are multiplied with.

    values: (in, out) for axis 0, (out, in, ...) for axis 1. Groups are made along the inputs: the integers have the
    shape (in / g, g, out) or (out, in / g, g), the scales 1 in place of g; g is the largest divisor of the number of
    inputs up to GROUP, or all inputs where that is small.
    """
    inputs = values.shape[0] if axis == 0 else values[0].size
    group = max(g for g in range(1, GROUP + 1) if inputs % g == 0)
    group = group if group >= GROUP // 4 else inputs  # more scales would be larger than what they save
    grouped = values.reshape(inputs // group, group, -1) if axis == 0 else values.reshape(-1, inputs // group, group)
    largest = np.abs(grouped).max(axis=axis + 1, keepdims=True)
    scale = np.maximum(largest / 127, MIN_SCALE).astype(np.float16)
    return np.round(grouped / scale.astype(np.float32)).clip(-127, 127).astype(np.int8), scale
