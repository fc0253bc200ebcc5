"""FAMILY: what turns line pictures into log-probabilities; here the ONNX member, torch's lives in the learning wing.

Contract: `facts`, and `log_probs((N, H, W) uint8) -> (N, T, C)`. To add one: a class here and a row in ENGINES.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import Alphabet
from glyphline.errors import DataError, MissingPackage, UserError, nearest
from glyphline.reading.confidence import FEATURES, Calibration

METADATA = "glyphline"  # the key of our facts in an ONNX file
BUNDLED = "reader"
PADDLE = "pp-ocr"  # the name under which the recogniser of the extra [photo] is asked for


@dataclass(frozen=True)
class Facts:
    """What a model file says of itself."""

    name: str
    alphabet: str
    height: int  # px of a canonical line
    stride: int  # px of width a time step
    frame: str  # how pictures are framed, see glyphline.image
    window: int = 0  # px one time step sees at least; a narrower line is padded to it
    recipe: dict[str, Any] | None = None
    calibration: dict[str, dict[str, list[float]]] | None = None  # decoder -> unit -> weights, see confidence.py
    version: int = 1
    ground: int = 0  # what lines are padded with

    def steps(self, width: int) -> int:
        """Time steps that belong to a line `width` px wide, before padding."""
        if self.window:
            return max(1, (width - self.window) // self.stride + 1)
        return -(-width // self.stride)


class Engine(Protocol):
    """Runs a trained network."""

    facts: Facts

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(N, H, W) uint8, ink bright on 0 -> (N, T, C) natural logarithms, class 0 the blank."""


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


def photo_model(kind: str) -> Path:
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


class OnnxEngine:
    """An exported .onnx on onnxruntime; one session a process."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataError(f"{path} is not there; bundled: {', '.join(bundled_names())}, or export one from a run")
        self.session = open_session(path)
        said = self.session.get_modelmeta().custom_metadata_map.get(METADATA)
        if said is None:
            raise DataError(f"{path} is no glyphline model, it lacks our metadata: make it with `glyphline export`")
        try:
            self.facts = Facts(**json.loads(said))
        except (ValueError, TypeError) as error:
            raise DataError(f"{path} was made by another version of glyphline ({error}): export it again") from None
        self.input = self.session.get_inputs()[0].name

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.asarray(self.session.run(None, {self.input: lines})[0], np.float32)


def paddle_input(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Colour pictures (N, H, W, 3) as PP-OCR's networks want them: (N, 3, H, W), blue, green, red, from -1 to 1."""
    return np.asarray((pictures[..., ::-1].astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2), np.float32)


class PaddleEngine:
    """PP-OCR's recogniser (PaddleOCR, Apache-2.0), as the wheel of rapidocr carries it, of 18,709 characters.

    It says of itself which characters it knows; lines are colour, 48 px tall.
    """

    HEIGHT, STRIDE, LEAST = 48, 8, 64  # px

    def __init__(self, path: Path) -> None:
        self.session = open_session(path)
        listed = self.session.get_modelmeta().custom_metadata_map.get("character")
        if listed is None:
            raise DataError(f"{path} is no recogniser of PP-OCR: it lists no characters")
        # ground: the zero between -1 and 1
        self.facts = Facts(PADDLE, "".join(listed.split("\n")) + " ", self.HEIGHT, self.STRIDE, "colour", ground=128)
        self.input = self.session.get_inputs()[0].name

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        batch = paddle_input(lines)
        more = max(0, self.LEAST - batch.shape[3])
        batch = np.pad(batch, ((0, 0), (0, 0), (0, 0), (0, more)))
        shares = np.asarray(self.session.run(None, {self.input: batch})[0], np.float32)
        np.maximum(shares, 1e-9, out=shares)  # in place, for there are many
        return np.log(shares, out=shares)


#: suffix of a model file -> what opens it
ENGINES: dict[str, Callable[[Path], Engine]] = {".onnx": OnnxEngine}


def bundled_names() -> list[str]:
    """The readers inside the package."""
    return sorted(
        f.name[: -len(".onnx")] for f in resources.files("glyphline.models").iterdir() if f.name.endswith(".onnx")
    )


def bundled_card(name: str) -> dict[str, Any]:
    """The model card of a bundled reader."""
    card: dict[str, Any] = json.loads(resources.files("glyphline.models").joinpath(f"{name}.json").read_text("utf-8"))
    return card


def open_engine(model: str = BUNDLED) -> Engine:
    """The engine of a model file, or of a bundled reader's name. Raises DataError for anything else."""
    if model in bundled_names():
        return _bundled(model)
    if model == PADDLE:
        return _paddle()
    path = Path(model)
    if path.suffix not in ENGINES:
        choices = nearest(model, [*bundled_names(), PADDLE])
        raise DataError(f'no model "{model}"; {choices}, or a file ending in {", ".join(ENGINES)}')
    return _opened(path.resolve(), path.stat().st_mtime if path.is_file() else 0.0)


@lru_cache(maxsize=4)
def _opened(path: Path, written: float) -> Engine:
    """One session a file; a file written anew is opened anew."""
    return ENGINES[path.suffix](path)


@lru_cache(maxsize=4)
def _bundled(name: str) -> Engine:
    with resources.as_file(resources.files("glyphline.models").joinpath(f"{name}.onnx")) as inside:
        engine = OnnxEngine(inside)
    engine.facts = replace(engine.facts, name=name)  # not its recipe's
    return engine


@lru_cache(maxsize=1)
def _paddle() -> Engine:
    engine = PaddleEngine(photo_model("rec"))
    engine.facts = replace(engine.facts, calibration=bundled_card(PADDLE)["calibration"])
    return engine


def calibration_of(facts: Facts, kind: str) -> Calibration:
    """How sure a model is with this kind of decoder; plain where that was never measured."""
    fitted = (facts.calibration or {}).get(kind, {})
    # of another version's features: as if never fitted
    return Calibration(**{unit: tuple(weights) for unit, weights in fitted.items() if len(weights) == FEATURES})


def alphabet_of(engine: Engine) -> Alphabet:
    """The engine's alphabet."""
    return _alphabet(engine.facts.alphabet)


@lru_cache(maxsize=8)
def _alphabet(characters: str) -> Alphabet:
    """Made once: of PP-OCR's 18,709 characters that takes milliseconds."""
    return Alphabet(characters)
