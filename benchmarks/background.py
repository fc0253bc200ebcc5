"""Counts the images without text in which glyphline and RapidOCR, with their defaults, report text.

    make peers && python benchmarks/background.py FOLDER [--show]    # writes benchmarks/results/background.json

FOLDER holds images without text; look at each of them first. The published numbers are for wallpapers and drawing
stamps of Debian 12 (gnome-backgrounds, mate-backgrounds, ukui-wallpapers, lomiri-wallpapers-16.04 and -20.04,
plasma-workspace-wallpapers, ubuntustudio-wallpapers, tuxpaint-stamps-default, gcompris-qt-data) and sample images of
opencv-doc, scikit-image and scikit-learn, shrunk to 1,400 px, without duplicates.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from glyphline.imaging.documents import image_paths
from glyphline.score import fold_loose
from pages import DEFAULT, NO_TEXT, RAPIDOCR, READERS, ROOT, TestImage, join_text, run_program
from reading import RESULTS


def main() -> None:
    """Read all images of a folder, print the counts and write them to results/background.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", action="store_true", help="print the text that is reported for an image")
    args = parser.parse_args()
    test_images = [TestImage(NO_TEXT, path, ()) for path in image_paths([str(args.folder)])]
    commands = {
        DEFAULT: [sys.executable, str(ROOT / "benchmarks" / "pages.py"), "--worker", *READERS[DEFAULT]],
        "RapidOCR": RAPIDOCR,
    }
    counts = {}
    for reader, command in commands.items():
        texts = [join_text(output) for output in run_program(command, test_images)]
        counts[reader] = sum(bool(fold_loose(text)) for text in texts)
        print(f"{reader:20s} {counts[reader]} of {len(test_images)}", flush=True)
        for test_image, text in zip(test_images, texts, strict=True):
            if args.show and fold_loose(text):
                print(f"    {test_image.path.name}: {text!r}")
    results = {"images": len(test_images), "false_positives": counts}
    (RESULTS / "background.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
