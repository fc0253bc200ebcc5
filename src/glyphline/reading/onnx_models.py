"""ONNX models on onnxruntime: sessions, and the PP-OCR models that the wheel of rapidocr contains."""

from __future__ import annotations

import os
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glyphline.errors import DataError, MissingPackage, UserError


def _threads() -> int:
    """Threads of onnxruntime: $GLYPHLINE_THREADS, or 0, as many as there are cores."""
    said = os.environ.get("GLYPHLINE_THREADS", "0")
    if not said.isdigit():
        raise UserError(f"GLYPHLINE_THREADS is {said!r}: give a whole number of threads, 0 for as many as cores")
    return int(said)


def open_session(path: Path) -> Any:
    """A model on onnxruntime. Raises DataError for a file that is none."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own kinds for a file that is no model
        raise DataError(f"{path} is no ONNX model ({str(error).splitlines()[0][:120]}): export it again") from None


def rapidocr_model_path(kind: str) -> Path:
    """A model ("det", "rec") inside the wheel of rapidocr, whose code is not needed.

    Raises MissingPackage without the wheel, DataError for a version of it that carries none.
    """
    if find_spec("rapidocr") is None:
        raise MissingPackage("rapidocr", "photo", "reading photographs of print, signs and pages")
    inside = resources.files("rapidocr") / "models"
    found = [p for p in inside.iterdir() if f"_{kind}_" in p.name and p.name.endswith(".onnx")]
    if not found:
        raise DataError(f"this version of rapidocr carries no {kind} model: pip install rapidocr==3.10.0")
    return Path(str(found[0]))


def pp_ocr_input(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Colour images (N, H, W, 3) as PP-OCR's networks want them: (N, 3, H, W), blue, green, red, from -1 to 1."""
    return np.asarray((images[..., ::-1].astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2), np.float32)
