"""ONNX models on onnxruntime: inference sessions, and the PP-OCR models that the wheel of rapidocr contains."""

from __future__ import annotations

import os
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glyphline.errors import DataError, MissingPackage, UserError


def _thread_count() -> int:
    """Threads of onnxruntime, from $GLYPHLINE_THREADS; 0, the default, is one for each core."""
    value = os.environ.get("GLYPHLINE_THREADS", "0")
    if not value.isdigit():
        raise UserError(f"GLYPHLINE_THREADS is {value!r}: give a whole number of threads, 0 for one for each core")
    return int(value)


def half_of_the_threads() -> int:
    """Threads of each of two sessions that run at the same time. 0 where there is an odd number of threads.

    Raises UserError where $GLYPHLINE_THREADS is not a whole number.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    count = _thread_count() or (len(affinity(0)) if affinity else os.cpu_count() or 1)
    return 0 if count % 2 else count // 2


def open_session(path: Path, threads: int | None = None) -> Any:
    """Open an onnxruntime.InferenceSession on the CPU for a model file.

    threads: of the session. None for those of $GLYPHLINE_THREADS; 0, its default, is one for each core.
    Raises DataError for a file that is missing or not an ONNX model, UserError where $GLYPHLINE_THREADS is not a whole
    number.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _thread_count() if threads is None else threads
    options.log_severity_level = 3  # errors, no warnings
    onnxruntime.disable_telemetry_events()  # for a program that imported onnxruntime before glyphline
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises exceptions of its own for an invalid file
        reason = str(error).splitlines()[0][:120]
        raise DataError(f"{path} is not an ONNX model ({reason}): export it again") from None


def rapidocr_model_path(kind: str) -> Path:
    """The path of a PP-OCR model inside the wheel of rapidocr. The code of rapidocr is not imported.

    kind: "det" for detection, "rec" for recognition, "cls" for the orientation of lines. Raises MissingPackage where
    rapidocr is not installed, DataError where its version does not contain the model.
    """
    if find_spec("rapidocr") is None:
        raise MissingPackage("rapidocr", "photo", "reading photographs of print, signs and pages")
    folder = resources.files("rapidocr") / "models"
    models = [p for p in folder.iterdir() if f"_{kind}_" in p.name and p.name.endswith(".onnx")]
    if not models:
        raise DataError(f"the installed version of rapidocr has no {kind} model: pip install rapidocr==3.10.0")
    return Path(str(models[0]))


def pp_ocr_input(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The input of PP-OCR's networks for RGB images (N, H, W, 3) uint8: (N, 3, H, W), channels BGR, range -1..1."""
    return np.asarray((images[..., ::-1].astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2), np.float32)
