"""FAMILY: what turns line pictures into log-probabilities; here the ONNX member, torch's lives in the learning wing.

Contract: `facts`, and `log_probs((N, H, W) uint8) -> (N, T, C)`. To add one: a class here and a row in ENGINES.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import Alphabet
from glyphline.errors import DataError, UserError, nearest
from glyphline.reading.confidence import FEATURES, Calibration

METADATA = "glyphline"  # the key of our facts in an ONNX file
BUNDLED = "reader"


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


class OnnxEngine:
    """An exported .onnx on onnxruntime; one session a process."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        if not path.is_file():
            raise DataError(f"{path} is not there; bundled: {', '.join(bundled_names())}, or export one from a run")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _threads()
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own kinds for a file that is no model
            raise DataError(f"{path} is no ONNX model ({str(error).splitlines()[0][:120]}): export it again") from None
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
        with resources.as_file(resources.files("glyphline.models").joinpath(f"{model}.onnx")) as inside:
            return _opened(inside, 0.0)
    path = Path(model)
    if path.suffix not in ENGINES:
        choices = nearest(model, bundled_names()) if bundled_names() else "nothing is bundled"
        raise DataError(f'no model "{model}"; {choices}, or a file ending in {", ".join(ENGINES)}')
    return _opened(path.resolve(), path.stat().st_mtime if path.is_file() else 0.0)


@lru_cache(maxsize=4)
def _opened(path: Path, written: float) -> Engine:
    """One session a file; a file written anew is opened anew."""
    return ENGINES[path.suffix](path)


def calibration_of(facts: Facts, kind: str) -> Calibration:
    """How sure a model is with this kind of decoder; plain where that was never measured."""
    fitted = (facts.calibration or {}).get(kind, {})
    # of another version's features: as if never fitted
    return Calibration(**{unit: tuple(weights) for unit, weights in fitted.items() if len(weights) == FEATURES})


def alphabet_of(engine: Engine) -> Alphabet:
    """The engine's alphabet."""
    return Alphabet(engine.facts.alphabet)
