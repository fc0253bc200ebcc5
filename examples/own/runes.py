"""Writes the data of `docs/own-characters.md`: images of single runes and a text in runes.

    python examples/own/runes.py own      # own/letters/U+16A0/00.png ... and own/text.txt

The images are 20 drawings, with random variation, of each of 24 runes of the Elder Futhark. The text is English,
transliterated by sound.
"""

from __future__ import annotations

import re
import sys
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

DRAWINGS = 20  # of each rune
SIDE = 64  # px, of a drawing
UNIT = 4.6  # px of a unit of RUNES
FRACTION_BITS = 4  # OpenCV takes points in 1/16 px
#: rune -> its strokes, separated by " / ", as points "x,y" in units of a tenth of its height; y upwards from the foot
RUNES: dict[str, str] = {
    "ᚠ": "2,0 2,10 / 2,6 8,10 / 2,3 8,7", "ᚢ": "2,0 2,10 8,7 8,0", "ᚦ": "2,0 2,10 / 2,8 8,5 2,2",
    "ᚨ": "2,0 2,10 8,7 / 2,7 8,4", "ᚱ": "2,0 2,10 8,8 2,5 8,0", "ᚲ": "8,9 2,5 8,1", "ᚷ": "1,0 9,10 / 1,10 9,0",
    "ᚹ": "2,0 2,10 8,8 2,5", "ᚺ": "2,0 2,10 / 8,0 8,10 / 2,7 8,4", "ᚾ": "5,0 5,10 / 2,7 8,4", "ᛁ": "5,0 5,10",
    "ᛃ": "5,10 2,6 5,3 / 5,7 8,4 5,0", "ᛇ": "2,2 5,0 5,10 8,8", "ᛈ": "8,10 5,8 2,10 2,0 5,2 8,0",
    "ᛉ": "5,0 5,10 / 1,10 5,5 9,10", "ᛊ": "8,10 2,7 8,3 2,0", "ᛏ": "5,0 5,10 / 1,7 5,10 9,7",
    "ᛒ": "2,0 2,10 8,8 2,5 8,2 2,0", "ᛖ": "1,0 1,10 5,7 9,10 9,0", "ᛗ": "1,0 1,10 9,5 / 9,0 9,10 1,5",
    "ᛚ": "3,0 3,10 8,7", "ᛜ": "5,9 1,5 5,1 9,5 5,9", "ᛞ": "1,0 1,10 9,0 9,10 1,0", "ᛟ": "1,0 8,6 5,10 2,6 9,0",
}  # fmt: skip
#: English letters -> runes of the same sound
SOUNDS = {
    "th": "ᚦ", "ng": "ᛜ", "ei": "ᛇ", "ck": "ᚲ", "a": "ᚨ", "b": "ᛒ", "c": "ᚲ", "d": "ᛞ", "e": "ᛖ", "f": "ᚠ", "g": "ᚷ",
    "h": "ᚺ", "i": "ᛁ", "j": "ᛃ", "k": "ᚲ", "l": "ᛚ", "m": "ᛗ", "n": "ᚾ", "o": "ᛟ", "p": "ᛈ", "q": "ᚲ", "r": "ᚱ",
    "s": "ᛊ", "t": "ᛏ", "u": "ᚢ", "v": "ᚹ", "w": "ᚹ", "x": "ᚲᛊ", "y": "ᛃ", "z": "ᛉ",
}  # fmt: skip


def draw_rune(strokes: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a rune with random displacement of its points, slant, width and pen.

    strokes: a value of RUNES. Returns uint8 (SIDE, SIDE), dark on white.
    """
    image = np.full((SIDE, SIDE), 255, np.uint8)
    slant, width, pen_width = rng.normal(0, 0.1), rng.uniform(0.8, 1.15), int(rng.integers(2, 5))
    for stroke in strokes.split(" / "):
        points = np.array([[float(v) for v in point.split(",")] for point in stroke.split()]) + rng.normal(0, 0.35)
        points = points + rng.normal(0, 0.3, points.shape)
        x = SIDE / 2 + ((points[:, 0] - 5) * width + slant * (points[:, 1] - 5)) * UNIT
        y = SIDE / 2 - (points[:, 1] - 5) * UNIT
        path = np.rint(np.stack([x, y], axis=1) * 2**FRACTION_BITS).astype(np.int32)[:, None]
        cv2.polylines(image, [path], False, int(rng.integers(10, 80)), pen_width, cv2.LINE_AA, FRACTION_BITS)
    return cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 0.9)))


def transliterate(text: str) -> str:
    """Write English text in runes by sound. Characters other than letters and spaces are left out.

    >>> transliterate("The king, 9 things")
    'ᚦᛖ ᚲᛁᛜ ᚦᛁᛜᛊ'
    """
    sounds = re.findall("th|ng|ei|ck|[a-z]| +", re.sub("[^a-z ]", "", text.lower()))
    return " ".join("".join(SOUNDS.get(sound, " ") for sound in sounds).split())


def main(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for rune, strokes in RUNES.items():
        rune_folder = folder / "letters" / f"U+{ord(rune):04X}"
        rune_folder.mkdir(parents=True, exist_ok=True)
        for k in range(DRAWINGS):
            cv2.imwrite(str(rune_folder / f"{k:02d}.png"), draw_rune(strokes, rng))
    sentences = resources.files("glyphline.composing").joinpath("sentences.txt").read_text(encoding="utf-8")
    lines = dict.fromkeys(transliterate(line) for line in sentences.splitlines())
    (folder / "text.txt").write_text("".join(line + "\n" for line in lines if line), encoding="utf-8")
    print(f"{folder}: {len(RUNES) * DRAWINGS} images of {len(RUNES)} runes, {len(lines)} lines of text")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "own"))
