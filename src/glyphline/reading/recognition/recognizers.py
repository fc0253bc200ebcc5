"""FAMILY: recognizers, which turn line images into log-probabilities of characters.

Contract: `info`, and `log_probs((N, H, W) uint8) -> (N, T, C)`. To add one: a class here and a row in RECOGNIZERS. The
members here run ONNX models; `glyphline.training.network.TorchRecognizer` runs a network in torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import Alphabet
from glyphline.errors import DataError, nearest
from glyphline.imaging.normalization import NORMALIZATIONS
from glyphline.reading.onnx_models import half_of_the_threads, open_session, pp_ocr_input, rapidocr_model_path
from glyphline.reading.recognition.calibration import FEATURE_COUNT, Calibration
from glyphline.writing_direction import LTR

FORMAT_VERSION = 2  # of ModelInfo in an ONNX file; raised when a key is renamed
METADATA_KEY = "glyphline"  # the key of ModelInfo in the metadata of an ONNX file
DEFAULT_MODEL = "reader"
PP_OCR = "pp-ocr"  # the name of PP-OCR's recognizer, which needs the extra [photo]
PHOTO = "photo"  # the name of the bundled recognizer that began as PP-OCR's
PHOTO_RECOGNIZERS = frozenset({PP_OCR, PHOTO})  # recognizers that were trained on photographs


@dataclass(frozen=True)
class ModelInfo:
    """The description of a model, stored as JSON in the metadata of its file."""

    name: str
    alphabet: str  # the characters in the order of their classes, without the blank
    height: int  # px of a canonical line
    stride: int  # px of width a time step
    normalization: str  # one of glyphline.imaging.normalization.NORMALIZATIONS
    window: int = 0  # px of width that a time step sees at least; narrower lines are padded to it
    recipe: dict[str, Any] | None = None
    calibration: dict[str, dict[str, list[float]]] | None = None  # decoder -> unit -> weights, see calibration.py
    lm_weight: float | None = None  # of the beam search, fitted on validation lines; None: that of BeamSearchDecoder
    padding_value: int = 0  # 0..255, of the pixels at the right of a line in a batch
    direction: str = LTR  # of its lines, "ltr" or "rtl", see glyphline.writing_direction
    format_version: int = FORMAT_VERSION

    def steps(self, width: int) -> int:
        """The number of time steps of a line `width` px wide, without its padding; at least 1 with a `window`."""
        if self.window:
            return max(1, (width - self.window) // self.stride + 1)
        return -(-width // self.stride)


class Recognizer(Protocol):
    """Contract of a trained network."""

    info: ModelInfo

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Natural log-probabilities (N, T, C) of a batch of lines; class 0 is the blank, class k character k - 1.

        lines: (N, H, W) uint8, ink bright on 0; (N, H, W, 3) in RGB where info.normalization is "colour".
        """


class OnnxRecognizer:
    """Runs a model that `glyphline export` wrote, on onnxruntime.

    Raises DataError where the file does not exist, is no ONNX model, or where its metadata are missing, damaged or of
    another FORMAT_VERSION.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataError(
                f"{path} does not exist: give an .onnx file, a bundled model ({', '.join(bundled_names())}), "
                "or export one from a run with `glyphline export RUN --out FILE.onnx`"
            )
        self._path, self._size_and_time = path, _size_and_time(path)
        self.session = open_session(path)
        self._paired: OnnxRecognizer | None = None
        metadata = self.session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if metadata is None:
            raise DataError(
                f'{path} is no glyphline model: it has no "{METADATA_KEY}" metadata; '
                "write it with `glyphline export RUN --out FILE.onnx`"
            )
        self.info = _parse_model_info(metadata, path)
        self.input_name = self.session.get_inputs()[0].name

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.asarray(self.session.run(None, {self.input_name: lines})[0], np.float32)

    def paired(self) -> OnnxRecognizer | None:
        """The same model on half of the threads, for two batches at the same time; opened by the first call.

        Two batches on a core each take 6 % less time than one batch after the other on both: most layers of a network
        divide into unequal parts. None where the number of threads is odd, where the file is gone or another one, and
        for a network whose output depends on the number of threads. That of `photo` is the same to the bit (470 lines
        of the pages of benchmarks/tables.py), the log-probabilities of `reader` differ by up to 0.3.
        """
        threads = half_of_the_threads() if self.info.name in PHOTO_RECOGNIZERS else 0
        if self._paired is None and threads and _size_and_time(self._path) == self._size_and_time:
            paired = copy(self)
            paired.session = open_session(self._path, threads)
            self._paired = paired
        return self._paired


def _size_and_time(path: Path) -> tuple[int, int] | None:
    """The size of a file and when it was changed, ns. None where there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _parse_model_info(metadata: str, path: Path) -> ModelInfo:
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
    """Runs PP-OCR's recognizer (PaddleOCR, Apache-2.0) from the wheel of rapidocr; it knows 18,709 characters.

    The alphabet is read from the model's metadata. Lines are RGB, 48 px high. Raises DataError where the file is no
    ONNX model or lists no characters.
    """

    HEIGHT, STRIDE, MIN_WIDTH = 48, 8, 64  # px

    def __init__(self, path: Path) -> None:
        self.session = open_session(path)
        characters = self.session.get_modelmeta().custom_metadata_map.get("character")
        if characters is None:
            raise DataError(
                f"{path} is no recognizer of PP-OCR: its metadata lists no characters; "
                'install one with `pip install "glyphline[photo]"`'
            )
        self.info = ModelInfo(
            PP_OCR, "".join(characters.split("\n")) + " ", self.HEIGHT, self.STRIDE, "colour",
            padding_value=NORMALIZATIONS["colour"],
        )  # fmt: skip
        self.input_name = self.session.get_inputs()[0].name

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        batch = pp_ocr_input(lines)
        missing_width = max(0, self.MIN_WIDTH - batch.shape[3])
        batch = np.pad(batch, ((0, 0), (0, 0), (0, 0), (0, missing_width)))
        probabilities = np.asarray(self.session.run(None, {self.input_name: batch})[0], np.float32)
        # in place, because the array is large
        np.maximum(probabilities, 1e-9, out=probabilities)
        return np.log(probabilities, out=probabilities)


#: suffix of a model file -> the class that opens it
RECOGNIZERS: dict[str, Callable[[Path], Recognizer]] = {".onnx": OnnxRecognizer}


def bundled_names() -> list[str]:
    """The names of the recognizers inside the package, sorted, without "pp-ocr": the .onnx files with a model card."""
    files = {f.name for f in resources.files("glyphline.models").iterdir()}
    return sorted(name[: -len(".onnx")] for name in files if name.endswith(".onnx") and f"{name[:-5]}.json" in files)


def bundled_card(name: str) -> dict[str, Any]:
    """The model card of a bundled model, or of "pp-ocr". Raises FileNotFoundError for another name."""
    card: dict[str, Any] = json.loads(resources.files("glyphline.models").joinpath(f"{name}.json").read_text("utf-8"))
    return card


def open_recognizer(model: str = DEFAULT_MODEL) -> Recognizer:
    """Open a bundled model by its name, PP-OCR's recognizer ("pp-ocr"), or a model file by its path.

    Models stay open (of files, the last four), so calls with the same name return the same object. A file that was
    changed is opened again. Raises DataError for an unknown name, a missing file or a file that is no glyphline model,
    MissingPackage for "pp-ocr" without rapidocr.
    """
    if model in bundled_names():
        return _open_bundled(model)
    if model == PP_OCR:
        return _open_pp_ocr()
    path = Path(model)
    if path.suffix not in RECOGNIZERS:
        choices = nearest(model, [*bundled_names(), PP_OCR])
        raise DataError(f'no model "{model}"; {choices}, or a file ending in {", ".join(RECOGNIZERS)}')
    return _open_file(path.resolve(), _size_and_time(path))


@lru_cache(maxsize=4)
def _open_file(path: Path, size_and_time: tuple[int, int] | None) -> Recognizer:
    """Open a model file; size_and_time makes the cache miss when the file was changed."""
    return RECOGNIZERS[path.suffix](path)


@lru_cache(maxsize=4)
def _open_bundled(name: str) -> Recognizer:
    with resources.as_file(resources.files("glyphline.models").joinpath(f"{name}.onnx")) as path:
        recognizer = OnnxRecognizer(path)
    recognizer.info = replace(recognizer.info, name=name)  # the file has the name of its recipe
    return recognizer


@lru_cache(maxsize=1)
def _open_pp_ocr() -> Recognizer:
    recognizer = PaddleRecognizer(rapidocr_model_path("rec"))
    recognizer.info = replace(recognizer.info, calibration=bundled_card(PP_OCR)["calibration"])
    return recognizer


def calibration_of(info: ModelInfo, decoder_kind: str) -> Calibration:
    """The calibration of a model with one kind of decoder ("greedy", "beam"); unfitted where the model has none."""
    weights_by_unit = (info.calibration or {}).get(decoder_kind, {})
    # weights of another number of features come from another version and are left out
    return Calibration(
        **{unit: tuple(weights) for unit, weights in weights_by_unit.items() if len(weights) == FEATURE_COUNT}
    )


def alphabet_of(recognizer: Recognizer) -> Alphabet:
    """The recognizer's alphabet."""
    return _cached_alphabet(recognizer.info.alphabet)


@lru_cache(maxsize=8)
def _cached_alphabet(characters: str) -> Alphabet:
    """An alphabet, cached because PP-OCR's 18,709 characters take milliseconds."""
    return Alphabet(characters)
