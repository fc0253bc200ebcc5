"""Draws what `docs/own-characters.md` starts from: a folder of single runes and a text written in them.

    python examples/own/runes.py own      # own/letters/U+16A0/00.png ... and own/text.txt

Twenty-four runes of the Elder Futhark, twenty drawings each by one shaky hand; the text is English by sound.
"""

from __future__ import annotations

import re
import sys
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

DRAWINGS = 20
SIDE = 64  # px
#: rune -> its strokes; points are x and y in tenths, y upwards from the foot
RUNES: dict[str, str] = {
    "ᚠ": "2,0 2,10 / 2,6 8,10 / 2,3 8,7", "ᚢ": "2,0 2,10 8,7 8,0", "ᚦ": "2,0 2,10 / 2,8 8,5 2,2",
    "ᚨ": "2,0 2,10 8,7 / 2,7 8,4", "ᚱ": "2,0 2,10 8,8 2,5 8,0", "ᚲ": "8,9 2,5 8,1", "ᚷ": "1,0 9,10 / 1,10 9,0",
    "ᚹ": "2,0 2,10 8,8 2,5", "ᚺ": "2,0 2,10 / 8,0 8,10 / 2,7 8,4", "ᚾ": "5,0 5,10 / 2,7 8,4", "ᛁ": "5,0 5,10",
    "ᛃ": "5,10 2,6 5,3 / 5,7 8,4 5,0", "ᛇ": "2,2 5,0 5,10 8,8", "ᛈ": "8,10 5,8 2,10 2,0 5,2 8,0",
    "ᛉ": "5,0 5,10 / 1,10 5,5 9,10", "ᛊ": "8,10 2,7 8,3 2,0", "ᛏ": "5,0 5,10 / 1,7 5,10 9,7",
    "ᛒ": "2,0 2,10 8,8 2,5 8,2 2,0", "ᛖ": "1,0 1,10 5,7 9,10 9,0", "ᛗ": "1,0 1,10 9,5 / 9,0 9,10 1,5",
    "ᛚ": "3,0 3,10 8,7", "ᛜ": "5,9 1,5 5,1 9,5 5,9", "ᛞ": "1,0 1,10 9,0 9,10 1,0", "ᛟ": "1,0 8,6 5,10 2,6 9,0",
}  # fmt: skip
SOUNDS = {
    "th": "ᚦ", "ng": "ᛜ", "ei": "ᛇ", "ck": "ᚲ", "a": "ᚨ", "b": "ᛒ", "c": "ᚲ", "d": "ᛞ", "e": "ᛖ", "f": "ᚠ", "g": "ᚷ",
    "h": "ᚺ", "i": "ᛁ", "j": "ᛃ", "k": "ᚲ", "l": "ᛚ", "m": "ᛗ", "n": "ᚾ", "o": "ᛟ", "p": "ᛈ", "q": "ᚲ", "r": "ᚱ",
    "s": "ᛊ", "t": "ᛏ", "u": "ᚢ", "v": "ᚹ", "w": "ᚹ", "x": "ᚲᛊ", "y": "ᛃ", "z": "ᛉ",
}  # fmt: skip


def drawn(strokes: str, rng: np.random.Generator) -> np.ndarray:
    """One drawing, dark on white, (SIDE, SIDE): the corners of its strokes shaken, the whole leaning a little."""
    image = np.full((SIDE, SIDE), 255, np.uint8)
    lean, wide, pen = rng.normal(0, 0.1), rng.uniform(0.8, 1.15), int(rng.integers(2, 5))
    for stroke in strokes.split(" / "):
        points = np.array([[float(v) for v in point.split(",")] for point in stroke.split()]) + rng.normal(0, 0.35)
        points = points + rng.normal(0, 0.3, points.shape)
        x = SIDE / 2 + ((points[:, 0] - 5) * wide + lean * (points[:, 1] - 5)) * 4.6
        y = SIDE / 2 - (points[:, 1] - 5) * 4.6
        path = np.rint(np.stack([x, y], axis=1) * 16).astype(np.int32)[:, None]
        cv2.polylines(image, [path], False, int(rng.integers(10, 80)), pen, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 0.9)))


def in_runes(text: str) -> str:
    """English written in runes by sound; what has no rune becomes a space.

    >>> in_runes("The king, 9 things")
    'ᚦᛖ ᚲᛁᛜ ᚦᛁᛜᛊ'
    """
    found = re.findall("th|ng|ei|ck|[a-z]| +", re.sub("[^a-z ]", "", text.lower()))
    return " ".join("".join(SOUNDS.get(part, " ") for part in found).split())


def main(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for rune, strokes in RUNES.items():
        inner = folder / "letters" / f"U+{ord(rune):04X}"
        inner.mkdir(parents=True, exist_ok=True)
        for k in range(DRAWINGS):
            cv2.imwrite(str(inner / f"{k:02d}.png"), drawn(strokes, rng))
    sentences = resources.files("glyphline.composing").joinpath("sentences.txt").read_text(encoding="utf-8")
    lines = dict.fromkeys(in_runes(line) for line in sentences.splitlines())
    (folder / "text.txt").write_text("".join(line + "\n" for line in lines if line), encoding="utf-8")
    print(f"{folder}: {len(RUNES) * DRAWINGS} images of {len(RUNES)} runes, {len(lines)} lines of text")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "own"))
