"""Character positions: they are in order, within the line, at the ink, and near those of the composer."""

from __future__ import annotations

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from glyphline.composing.line_sets import LineSet
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.character_positions import locate_characters
from glyphline.reading.recognition.recognizers import open_recognizer
from glyphline.recipe import LinesRecipe


@pytest.mark.parametrize("seed", range(40))
def test_positions_are_in_order_and_within_the_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    line = rng.integers(0, 256, (40, int(rng.integers(1, 300))), np.uint8) * rng.integers(0, 2, 1, np.uint8)
    count = int(rng.integers(0, 30))
    centres = np.sort(rng.uniform(-5, line.shape[1] + 5, count))
    left, right = locate_characters(line, centres.tolist(), (rng.random(count) < 0.2).tolist())
    assert left.shape == right.shape == (count,)
    assert (left >= 0).all() and (left <= right).all() and (right <= line.shape[1]).all()
    assert (np.diff(left) >= 0).all()


def test_touching_characters_are_separated_at_the_least_ink() -> None:
    line = np.zeros((40, 100), np.uint8)
    line[5:35, 10:40] = line[5:35, 44:80] = 255
    line[20:22, 40:44] = 255  # a thin stroke joins them
    left, right = locate_characters(line, [20, 60], [False, False])
    assert left[0] == 10 and right[1] == 80
    assert 40 <= right[0] <= 44 and right[0] == left[1]


def test_positions_overlap_with_those_of_the_composer() -> None:
    """The columns of the correctly read characters of composed lines, compared with the composer's glyph boxes."""
    line_set = LineSet(LinesRecipe(layout="natural", sentences=("built-in",), length=(10, 30)), "test", 0)
    composed_lines = [line_set.line(index, boxes=True) for index in range(30)]
    read_lines = LineReader(open_recognizer("reader")).read_lines([line.image for line in composed_lines])
    overlaps = []
    for composed, read in zip(composed_lines, read_lines, strict=True):
        characters = [c for c in read.characters if c.text != " "]
        for block in Levenshtein.opcodes(composed.text.replace(" ", ""), [c.text for c in characters]):
            if block.tag == "equal":
                boxes = composed.boxes[block.src_start : block.src_end]
                for (x0, _, x1, _), c in zip(boxes, characters[block.dest_start : block.dest_end], strict=True):
                    overlaps.append(max(0.0, min(x1, c.right) - max(x0, c.left)) / (max(x1, c.right) - min(x0, c.left)))
    assert len(overlaps) > 200
    assert np.mean(overlaps) > 0.65
