"""Reads line images with RapidOCR's recognizer, without detection. Run with the peers' Python (make peers).

The paths of the images come on stdin. Prints a JSON object for each image, {"file", "text", "seconds"}, and a last one,
{"peak_mb", "bytes"}: the peak memory with all models of RapidOCR loaded, and the size of the recognizer's model.
"""

import json
import logging
import sys
import time
from pathlib import Path

import cv2
import rapidocr
from rapidocr import RapidOCR

logging.disable(logging.CRITICAL)


def main() -> None:
    """Read the images. The first image is read once more before, untimed, to warm up."""
    ocr = RapidOCR()
    paths = [line.strip() for line in sys.stdin if line.strip()]
    # RapidOCR keeps the flags of the last call, so all three are passed to every call
    flags = {"use_det": False, "use_cls": False, "use_rec": True}
    ocr(cv2.imread(paths[0]), **flags)
    for path in paths:
        image = cv2.imread(path)
        started = time.perf_counter()
        result = ocr(image, **flags)
        seconds = time.perf_counter() - started
        print(json.dumps({"file": path, "text": (result.txts or ("",))[0], "seconds": seconds}))
    models = Path(rapidocr.__file__).parent.glob("models/*rec*.onnx")
    status = Path("/proc/self/status").read_text()  # getrusage also counts the process that started this one
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"peak_mb": peak, "bytes": max(m.stat().st_size for m in models)}))


if __name__ == "__main__":
    main()
