"""RapidOCR's recognizer alone on line images. Run with the peers' Python (make peers).

Reads image paths from standard input, prints one JSON object a line: {"file", "text", "seconds"}, and at the end
{"peak_mb", "bytes"}: memory with all of RapidOCR's models loaded, size of the recognizer's.
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
    recognizer = RapidOCR()
    paths = [line.strip() for line in sys.stdin if line.strip()]
    # all three flags at every call: they stick
    flags = {"use_det": False, "use_cls": False, "use_rec": True}
    recognizer(cv2.imread(paths[0]), **flags)
    for path in paths:
        image = cv2.imread(path)
        started = time.perf_counter()
        result = recognizer(image, **flags)
        seconds = time.perf_counter() - started
        print(json.dumps({"file": path, "text": (result.txts or ("",))[0], "seconds": seconds}))
    models = Path(rapidocr.__file__).parent.glob("models/*rec*.onnx")
    status = Path("/proc/self/status").read_text()  # getrusage also counts the process that started this one
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"peak_mb": peak, "bytes": max(m.stat().st_size for m in models)}))


if __name__ == "__main__":
    main()
