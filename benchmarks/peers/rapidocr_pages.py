"""Detects and recognizes the text of whole images with RapidOCR's defaults. Run with the peers' Python (make peers).

The paths of the images come on stdin. Prints a JSON object for each image, {"text", "seconds"}. The text is that of all
lines in RapidOCR's order, joined by spaces.
"""

import json
import logging
import sys
import time

import cv2
from rapidocr import RapidOCR

logging.disable(logging.CRITICAL)


def main() -> None:
    """Read the images."""
    ocr = RapidOCR()
    for path in (line.strip() for line in sys.stdin):
        image = cv2.imread(path)
        started = time.perf_counter()
        result = ocr(image)
        seconds = time.perf_counter() - started
        print(json.dumps({"text": " ".join(result.txts or ()), "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
