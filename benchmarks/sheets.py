"""Fills sheets by simulation, photographs them, and counts the boxes that `glyphline glyphs` cuts right.

python benchmarks/sheets.py    # needs `make fonts`; writes benchmarks/results/sheets.json and the picture in docs/figures/

A hand is a font of recipes/fonts/held-out or hand, or a writer of the Hershey strokes. It is written into the printed
PDF, with its own size, ink and irregularity, photographed askew on a table: perspective, curled paper, uneven light
and a shadow, blur, noise, JPEG. A box is cut right when the character's ink is complete within 1 px (0.1 mm) and
nothing else is in it: no line of the box, no speck. Faults are planted in some boxes and photographs; each must be
named, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.alphabet import ALPHABETS
from glyphline.composing.effects import Blur, Grain, UnevenLight
from glyphline.composing.glyphs import GlyphSource, Strokes
from glyphline.composing.glyphs.fonts import Fonts
from glyphline.composing.label_fonts import LabelFonts
from glyphline.composing.sentences import read_sentences
from glyphline.composing.sheet import CORNERS, X_HEIGHT, Sheet, Slot, choose_lines
from glyphline.composing.sheet_drawing import DPI, MM, draw_page
from glyphline.composing.sheet_photos import MASK_LEVEL, RESOLUTION, Cut, check_page, cut_page, find_page
from glyphline.errors import GlyphlineError, ImageError
from glyphline.score import wilson_interval
from glyphline.imaging.documents import ColourImage, GreyImage

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "sheets.json"
FIGURES = ROOT / "docs" / "figures"
COMPLETE, CLEAN = 0.99, 0.99  # shares of the ink's pixels; 1 px is 0.1 mm
