"""Debian's tesseract, one process an image; page segmentation 7, a single text line, or the number that is given.

Reads image paths from standard input, prints one JSON object a line: {"file", "text", "seconds"}, and at the end
{"peak_mb", "bytes"}. A program of its own, for a process inherits the memory mark of the one that starts it.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    segmentation = sys.argv[1] if len(sys.argv) > 1 else "7"
    for path in (line.strip() for line in sys.stdin if line.strip()):
        started = time.perf_counter()
        command = ["tesseract", path, "-", "--psm", segmentation, "-l", "eng"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        print(json.dumps({"file": path, "text": " ".join(done.stdout.split()), "seconds": seconds}))
    models = Path("/usr/share").glob("tesseract-ocr/*/tessdata/eng.traineddata")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"peak_mb": peak, "bytes": sum(m.stat().st_size for m in models)}))


if __name__ == "__main__":
    main()
