"""Images without any text: in how many do ours and RapidOCR, with its defaults, read some all the same?

    make peers && python benchmarks/background.py FOLDER [--show]    # writes benchmarks/results/background.json

FOLDER holds images of which you looked at each, and found no text. Those of the published numbers are wallpapers and
drawing stamps of Debian 12 (gnome-backgrounds, mate-backgrounds, ukui-wallpapers, lomiri-wallpapers-16.04 and -20.04,
plasma-workspace-wallpapers, ubuntustudio-wallpapers, tuxpaint-stamps-default, gcompris-qt-data) and sample images of
opencv-doc, scikit-image and scikit-learn, shrunk to 1,400 px, duplicates left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from glyphline.imaging.documents import image_paths
from glyphline.score import fold_loose
from pages import RAPIDOCR, READERS, ROOT, Sheet, run, text_of
from reading import RESULTS

OURS = "glyphline, auto"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--show", action="store_true", help="print what is read where nothing is")
    chosen = options.parse_args()
    sheets = [Sheet("background", path, ()) for path in image_paths([str(chosen.folder)])]
    commands = {
        OURS: [sys.executable, str(ROOT / "benchmarks" / "pages.py"), "--one", *READERS[OURS]],
        "RapidOCR": RAPIDOCR,
    }
    table = {}
    for name, command in commands.items():
        texts = [text_of(row) for row in run(command, sheets)]
        table[name] = sum(bool(fold_loose(text)) for text in texts)
        print(f"{name:20s} {table[name]} of {len(sheets)}", flush=True)
        for sheet, text in zip(sheets, texts, strict=True):
            if chosen.show and fold_loose(text):
                print(f"    {sheet.path.name}: {text!r}")
    kept = {"images": len(sheets), "invented": table}
    (RESULTS / "background.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
