"""RapidOCR with its defaults, finding and reading, on whole images. Run with the peers' Python (make peers).

Reads image paths from standard input, prints one JSON object a line as it is done with each: {"text", "seconds"},
its lines joined by spaces in its own order.
"""

import json
import logging
import sys
import time

import cv2
from rapidocr import RapidOCR

logging.disable(logging.CRITICAL)


def main() -> None:
    recognizer = RapidOCR()
    for path in (line.strip() for line in sys.stdin):
        image = cv2.imread(path)
        started = time.perf_counter()
        result = recognizer(image)
        seconds = time.perf_counter() - started
        print(json.dumps({"text": " ".join(result.txts or ()), "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
