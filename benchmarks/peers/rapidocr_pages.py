"""RapidOCR with its defaults, finding and reading, on whole pictures. Run with the peers' Python (make peers).

Reads picture paths from standard input, prints one JSON object a line as it is done with each: {"text", "seconds"},
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
    engine = RapidOCR()
    for path in (line.strip() for line in sys.stdin):
        picture = cv2.imread(path)
        started = time.perf_counter()
        result = engine(picture)
        seconds = time.perf_counter() - started
        print(json.dumps({"text": " ".join(result.txts or ()), "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
