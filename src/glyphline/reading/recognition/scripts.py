"""Names the script of a line that cannot be read, such as Greek, where it can be told.

A small convolutional network, models/script.onnx, sees the canonical line. It has a class for each script, one for
Latin letters and one for everything else: other scripts, scribbles, textures. A name is said from a fitted probability
on; below it, and for the last two classes, nothing is said. `python benchmarks/scripts.py` trains the network, fits the
limit and states the data.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from pathlib import Path

from glyphline.errors import DataError, ImageError
from glyphline.imaging.documents import ColourImage, GreyImage
from glyphline.imaging.normalization import normalize_line, pad_batch
from glyphline.reading.onnx_models import open_session

MODEL_FILE = "script.onnx"
WIDTH_MULTIPLE = 32  # px; a canonical line is padded to the next multiple, as in training
MAX_WIDTH = 1536  # px of the canonical line that are looked at
#: scripts that `--model pp-ocr` reads
READ_BY_PP_OCR = ("Chinese or Japanese", "Japanese")


class ScriptClassifier:
    """The network of a model file. Its metadata has `scripts`, its classes, and `min_probability`, the limit.

    A class that has no name is null in `scripts`. Raises DataError for a file that is no such model.
    """

    def __init__(self, path: Path) -> None:
        self._session = open_session(path)
        metadata = self._session.get_modelmeta().custom_metadata_map
        try:
            self.scripts: list[str | None] = json.loads(metadata["scripts"])
            self.min_probability = float(metadata["min_probability"])  # 0..1
            self.height = int(metadata["height"])  # px of the canonical line
        except (KeyError, ValueError):
            raise DataError(f"{path} is no model of scripts: python benchmarks/scripts.py makes one") from None

    def probabilities(self, image: GreyImage | ColourImage) -> list[float]:
        """The calibrated probability (0..1) of each of `scripts` for the image of a line.

        image: uint8 (H, W) or (H, W, 3) in RGB. Raises ImageError for a line that is too wide to be normalized.
        """
        return self.canonical_probabilities(normalize_line(image, self.height).line)

    def canonical_probabilities(self, line: GreyImage) -> list[float]:
        """As `probabilities`, for a canonical line, uint8 (height, W); MAX_WIDTH px of it are looked at."""
        batch, _ = pad_batch([line[:, :MAX_WIDTH]], WIDTH_MULTIPLE)
        return self._session.run(None, {"lines": batch})[0][0].tolist()  # type: ignore[no-any-return]

    def __call__(self, image: GreyImage | ColourImage) -> str | None:
        """The name of the script of a line, None where it cannot be told or is Latin; as `probabilities`."""
        best, name = max(zip(self.probabilities(image), self.scripts, strict=True), key=lambda pair: pair[0])
        return name if best >= self.min_probability else None


@lru_cache(maxsize=1)
def bundled_classifier() -> ScriptClassifier | None:
    """The classifier of models/script.onnx; None without the file."""
    file = Path(str(resources.files("glyphline.models") / MODEL_FILE))
    return ScriptClassifier(file) if file.is_file() else None


def script_of(image: GreyImage | ColourImage) -> str | None:
    """The name of the script of a line by the bundled classifier, see `ScriptClassifier`.

    None without the classifier and for a line that is too wide to be normalized: a thin rule, which has no script.
    """
    classifier = bundled_classifier()
    try:
        return classifier(image) if classifier else None
    except ImageError:
        return None
