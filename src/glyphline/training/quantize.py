"""An ONNX reader in eight bits: a quarter of the size, two to three times as fast, kept only when it reads as well.

Convolutions and layers are quantised statically, calibrated on validation lines of the recipe, LSTMs dynamically,
attention not at all (onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
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
from glyphline.files import replacing
from glyphline.imaging.normalization import padded_batch
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.recognizers import OnnxRecognizer
from glyphline.recipe import Recipe
from glyphline.score import score
from glyphline.training.export import write_model_info

CALIBRATED, MEASURED = 64, 300  # validation lines
TOLERATED = (0.002, 0.03)  # growth of the CER: in fractions of a character, and of the CER itself


@dataclass(frozen=True)
class QuantizationCost:
    """What eight bits change on the same validation lines: CER before and after, fractions."""

    before: float
    after: float


def _between_steps(path: Path) -> list[str]:
    """The names of the products of two computed matrices: attention, where eight bits cost time and accuracy."""
    import onnx

    graph = onnx.load(str(path)).graph
    weights = {tensor.name for tensor in graph.initializer}
    return [node.name for node in graph.node if node.op_type == "MatMul" and not weights & set(node.input)]


def quantize(source: Path, out: Path, recipe: Recipe) -> QuantizationCost:
    """Write the ONNX reader `source` to `out` in eight bits; `recipe` composes the lines that it is measured on.

    Raises GlyphlineError when the CER grows by more than TOLERATED; the file is then not kept.
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
    images, texts = lines.canonical_batch(range(CALIBRATED + MEASURED))

    class Calibration(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self.batches: Iterator[npt.NDArray[np.uint8]] = (padded_batch([i], 32)[0] for i in images[:CALIBRATED])

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"lines": batch}

    root = logging.getLogger()
    usual = root.level
    root.setLevel(logging.ERROR)  # onnxruntime advises on the root logger
    try:
        with tempfile.TemporaryDirectory() as folder, replacing(out) as beside:
            prepared, convolved = Path(folder) / "prepared.onnx", Path(folder) / "convolved.onnx"
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared), str(convolved), Calibration(), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                op_types_to_quantize=["Conv", "MatMul", "Add", "Relu"], nodes_to_exclude=_between_steps(prepared),
            )  # fmt: skip
            quantize_dynamic(str(convolved), str(beside), op_types_to_quantize=["LSTM"], weight_type=QuantType.QInt8)
            write_model_info(beside, OnnxRecognizer(source).info)
            rates = []
            for path in (source, beside):
                read = LineReader(OnnxRecognizer(path)).decode_all(images[CALIBRATED:])
                rates.append(score(texts[CALIBRATED:], [each.text for each in read]).cer)
            cost = QuantizationCost(*rates)
            if cost.after - cost.before > max(TOLERATED[0], TOLERATED[1] * cost.before):
                raise GlyphlineError(
                    f"in eight bits the CER grows from {cost.before:.2%} to {cost.after:.2%}: not kept; "
                    "export without --int8"
                )
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from None
    finally:
        root.setLevel(usual)
    return cost
