"""Writes PP-OCR's detector into the package, its weights in half precision.

python benchmarks/bundle_detector.py    # writes src/glyphline/models/detector.onnx; needs the extra [photo]
"""

from __future__ import annotations

from bundle import MODELS
from glyphline.reading.detection.detectors import DETECTOR_FILE
from glyphline.reading.onnx_models import rapidocr_model_path
from glyphline.training.quantize import compress_weights


def main() -> None:
    out = MODELS / DETECTOR_FILE
    compress_weights(rapidocr_model_path("det"), out)
    print(f"{out}: {out.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
