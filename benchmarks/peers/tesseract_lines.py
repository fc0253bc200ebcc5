"""Reads images with Debian's tesseract, one process for each image.

python tesseract_lines.py [PSM]    # PSM: tesseract's page segmentation mode; by default 7, a single line of text

The paths of the images come on stdin. Prints a JSON object for each image, {"file", "text", "seconds"}, and a last one,
{"peak_mb", "bytes"}. It is a program of its own because a process inherits the peak memory of the one that starts it.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Read the images."""
    segmentation = sys.argv[1] if len(sys.argv) > 1 else "7"
    for path in (line.strip() for line in sys.stdin if line.strip()):
        started = time.perf_counter()
        command = ["tesseract", path, "-", "--psm", segmentation, "-l", "eng"]
        completed = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        print(json.dumps({"file": path, "text": " ".join(completed.stdout.split()), "seconds": seconds}))
    models = Path("/usr/share").glob("tesseract-ocr/*/tessdata/eng.traineddata")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"peak_mb": peak, "bytes": sum(m.stat().st_size for m in models)}))


if __name__ == "__main__":
    main()
