"""The images in examples/lines: test lines in open fonts and strokes, written once and committed.

make fonts && .venv/bin/python examples/compose_examples.py
"""

from __future__ import annotations

from pathlib import Path

import cv2

from glyphline.composing.effects import USUAL
from glyphline.composing.line_sets import LABELS, LineSet
from glyphline.recipe import GlyphShare, LinesRecipe

HERE = Path(__file__).resolve().parent
COUNT = 8


def main() -> None:
    fonts = HERE.parent / "recipes" / "fonts" / "hand"
    shares = (GlyphShare("strokes", 0.4), GlyphShare(f"fonts:{fonts}", 0.6))
    effects = {name: share / 2 for name, share in USUAL.items()}  # as a careful hand and camera would
    lines = LineSet(LinesRecipe(glyphs=shares, length=(18, 44), start="head", effects=effects), "test", 3)
    out = HERE / "lines"
    out.mkdir(exist_ok=True)
    with (out / LABELS).open("w", encoding="utf-8") as labels:
        for index in range(COUNT):
            line = lines.line(index)
            cv2.imwrite(str(out / f"example-{index}.png"), line.image)
            labels.write(f"example-{index}.png\t{line.text}\n")


if __name__ == "__main__":
    main()
