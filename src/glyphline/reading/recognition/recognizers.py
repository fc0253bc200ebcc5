"""FAMILY: what turns line images into log-probabilities; here the ONNX member, torch's lives in the learning wing.

Contract: `facts`, and `log_probs((N, H, W) uint8) -> (N, T, C)`. To add one: a class here and a row in RECOGNIZERS.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import Alphabet
from glyphline.errors import DataError, nearest
from glyphline.reading.onnx_models import open_session, pp_ocr_input, rapidocr_model_path
from glyphline.reading.recognition.calibration import FEATURES, Calibration

FORMAT_VERSION = 2  # of ModelInfo in an ONNX file; raised when a key is renamed
METADATA_KEY = "glyphline"  # the key of our facts in an ONNX file
DEFAULT_MODEL = "reader"
PP_OCR = "pp-ocr"  # the name under which the recognizer of the extra [photo] is asked for


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says of itself."""

    name: str
    alphabet: str
    height: int  # px of a canonical line
    stride: int  # px of width a time step
    normalization: str  # how images are framed, see glyphline.imaging.normalization
    window: int = 0  # px one time step sees at least; a narrower line is padded to it
    recipe: dict[str, Any] | None = None
    calibration: dict[str, dict[str, list[float]]] | None = None  # decoder -> unit -> weights, see confidence.py
    padding_value: int = 0  # grey value at the right of a line in a batch
    format_version: int = FORMAT_VERSION

    def steps(self, width: int) -> int:
        """Time steps that belong to a line `width` px wide, before padding."""
        if self.window:
            return max(1, (width - self.window) // self.stride + 1)
        return -(-width // self.stride)


class Recognizer(Protocol):
    """Runs a trained network."""

    info: ModelInfo

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(N, H, W) uint8, ink bright on 0 -> (N, T, C) natural logarithms, class 0 the blank."""


class OnnxRecognizer:
    """An exported .onnx on onnxruntime; one session a process."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataError(f"{path} is not there; bundled: {', '.join(bundled_names())}, or export one from a run")
        self.session = open_session(path)
        metadata = self.session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if metadata is None:
            raise DataError(f"{path} is no glyphline model, it has no {METADATA_KEY} metadata: use `glyphline export`")
        self.info = _model_info(metadata, path)
        self.input = self.session.get_inputs()[0].name

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.asarray(self.session.run(None, {self.input: lines})[0], np.float32)


def _model_info(metadata: str, path: Path) -> ModelInfo:
    """The ModelInfo in the JSON metadata of an ONNX file. Raises DataError for another format version or damage."""
    try:
        values = json.loads(metadata)
        version = values.get("format_version", 1)
        if version == FORMAT_VERSION:
            return ModelInfo(**values)
    except (AttributeError, ValueError, TypeError) as error:
        raise DataError(f"{path} has damaged glyphline metadata ({error}): export it again from its run") from None
    raise DataError(
        f"{path} has model format {version}, this glyphline reads format {FORMAT_VERSION}: "
        "export it again from its run with `glyphline export RUN --out FILE.onnx`"
    )


class PaddleRecognizer:
    """PP-OCR's recognizer (PaddleOCR, Apache-2.0), as the wheel of rapidocr carries it, of 18,709 characters.

    It says of itself which characters it knows; lines are colour, 48 px tall.
    """

    HEIGHT, STRIDE, LEAST = 48, 8, 64  # px

    def __init__(self, path: Path) -> None:
        self.session = open_session(path)
        listed = self.session.get_modelmeta().custom_metadata_map.get("character")
        if listed is None:
            raise DataError(f"{path} is no recognizer of PP-OCR: it lists no characters")
        # ground: the zero between -1 and 1
        self.info = ModelInfo(
            PP_OCR, "".join(listed.split("\n")) + " ", self.HEIGHT, self.STRIDE, "colour", padding_value=128
        )
        self.input = self.session.get_inputs()[0].name

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        batch = pp_ocr_input(lines)
        more = max(0, self.LEAST - batch.shape[3])
        batch = np.pad(batch, ((0, 0), (0, 0), (0, 0), (0, more)))
        shares = np.asarray(self.session.run(None, {self.input: batch})[0], np.float32)
        np.maximum(shares, 1e-9, out=shares)  # in place, for there are many
        return np.log(shares, out=shares)


#: suffix of a model file -> what opens it
RECOGNIZERS: dict[str, Callable[[Path], Recognizer]] = {".onnx": OnnxRecognizer}


def bundled_names() -> list[str]:
    """The readers inside the package."""
    return sorted(
        f.name[: -len(".onnx")] for f in resources.files("glyphline.models").iterdir() if f.name.endswith(".onnx")
    )


def bundled_card(name: str) -> dict[str, Any]:
    """The model card of a bundled reader."""
    card: dict[str, Any] = json.loads(resources.files("glyphline.models").joinpath(f"{name}.json").read_text("utf-8"))
    return card


def open_recognizer(model: str = DEFAULT_MODEL) -> Recognizer:
    """The recognizer of a model file, or of a bundled reader's name. Raises DataError for anything else."""
    if model in bundled_names():
        return _bundled(model)
    if model == PP_OCR:
        return _paddle()
    path = Path(model)
    if path.suffix not in RECOGNIZERS:
        choices = nearest(model, [*bundled_names(), PP_OCR])
        raise DataError(f'no model "{model}"; {choices}, or a file ending in {", ".join(RECOGNIZERS)}')
    return _opened(path.resolve(), path.stat().st_mtime if path.is_file() else 0.0)


@lru_cache(maxsize=4)
def _opened(path: Path, written: float) -> Recognizer:
    """One session a file; a file written anew is opened anew."""
    return RECOGNIZERS[path.suffix](path)


@lru_cache(maxsize=4)
def _bundled(name: str) -> Recognizer:
    with resources.as_file(resources.files("glyphline.models").joinpath(f"{name}.onnx")) as inside:
        recognizer = OnnxRecognizer(inside)
    recognizer.info = replace(recognizer.info, name=name)  # not its recipe's
    return recognizer


@lru_cache(maxsize=1)
def _paddle() -> Recognizer:
    recognizer = PaddleRecognizer(rapidocr_model_path("rec"))
    recognizer.info = replace(recognizer.info, calibration=bundled_card(PP_OCR)["calibration"])
    return recognizer


def calibration_of(info: ModelInfo, kind: str) -> Calibration:
    """How sure a model is with this kind of decoder; plain where that was never measured."""
    fitted = (info.calibration or {}).get(kind, {})
    # of another version's features: as if never fitted
    return Calibration(**{unit: tuple(weights) for unit, weights in fitted.items() if len(weights) == FEATURES})


def alphabet_of(recognizer: Recognizer) -> Alphabet:
    """The recognizer's alphabet."""
    return _alphabet(recognizer.info.alphabet)


@lru_cache(maxsize=8)
def _alphabet(characters: str) -> Alphabet:
    """Made once: of PP-OCR's 18,709 characters that takes milliseconds."""
    return Alphabet(characters)
