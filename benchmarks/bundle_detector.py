"""Writes PP-OCR's detector and its classifier of line orientation into the package.

python benchmarks/bundle_detector.py    # writes detector.onnx and orientation.onnx in src/glyphline/models/

Needs the extra [photo]. The weights of the detector are stored in half precision. The classifier is copied: it has
0.6 MB, and its weights are constants of the graph, which `compress_weights` leaves as they are.
"""

from __future__ import annotations

import shutil

from bundle import MODELS
from glyphline.reading.detection.detectors import DETECTOR_FILE
from glyphline.reading.detection.orientation import CLASSIFIER_FILE
from glyphline.reading.onnx_models import rapidocr_model_path
from glyphline.training.quantize import compress_weights


def main() -> None:
    compress_weights(rapidocr_model_path("det"), MODELS / DETECTOR_FILE)
    shutil.copyfile(rapidocr_model_path("cls"), MODELS / CLASSIFIER_FILE)
    for name in (DETECTOR_FILE, CLASSIFIER_FILE):
        print(f"{MODELS / name}: {(MODELS / name).stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
