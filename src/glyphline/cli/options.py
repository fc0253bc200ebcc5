"""Options that several verbs share, and the function that opens the model they name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from glyphline.errors import MissingPackage

Model = Annotated[str, typer.Option("--model", "-m", help="a bundled reader, an .onnx file, or a run folder")]
DecoderName = Annotated[
    str,
    typer.Option(
        "--decoder", "-d", help="greedy, beam (with a bundled language model), beam:FILE.lm (with your own), beam-no-lm"
    ),
]
Split = Annotated[str, typer.Option(help="split of the glyphs and sentences: train, val, test")]


def require_training_packages(purpose: str) -> None:
    """Raise MissingPackage, with the command that installs it, if torch or lightning is missing.

    purpose: subject of the error message, such as "training".
    """
    for package in ("torch", "lightning"):
        if find_spec(package) is None:
            raise MissingPackage(package, "train", purpose)


def model_or_recognizer(model: str) -> Any:
    """Open the torch recognizer of a run folder or of its best.pt. The name of any other model is returned unchanged.

    Raises MissingPackage if torch is missing, DataError for a run without weights.
    """
    from glyphline.reading.recognition.recognizers import bundled_names

    if model in bundled_names() or not (Path(model).is_dir() or model.endswith(".pt")):
        return model
    require_training_packages("reading with a run's own weights")
    from glyphline.training.export import open_run

    return open_run(Path(model))
