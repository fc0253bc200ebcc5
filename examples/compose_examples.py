"""Composes the images and labels of examples/lines: lines of the test split, from open fonts and strokes.

The files are committed. To make them again: make fonts && .venv/bin/python examples/compose_examples.py
"""

from __future__ import annotations

from pathlib import Path

import cv2

from glyphline.composing.effects import DEFAULT_EFFECT_SHARES
from glyphline.composing.line_sets import LABELS, LineSet
from glyphline.recipe import GlyphShare, LinesRecipe

EXAMPLES = Path(__file__).resolve().parent
LINE_COUNT = 8


def main() -> None:
    fonts = EXAMPLES.parent / "recipes" / "fonts" / "hand"
    shares = (GlyphShare("strokes", 0.4), GlyphShare(f"fonts:{fonts}", 0.6))
    # each effect is half as frequent as by default, as in lines that are written and photographed with care
    effects = {name: share / 2 for name, share in DEFAULT_EFFECT_SHARES.items()}
    lines = LineSet(LinesRecipe(glyphs=shares, length=(18, 44), start="head", effects=effects), "test", 3)
    folder = EXAMPLES / "lines"
    folder.mkdir(exist_ok=True)
    with (folder / LABELS).open("w", encoding="utf-8") as labels:
        for index in range(LINE_COUNT):
            line = lines.line(index)
            cv2.imwrite(str(folder / f"example-{index}.png"), line.image)
            labels.write(f"example-{index}.png\t{line.text}\n")


if __name__ == "__main__":
    main()
