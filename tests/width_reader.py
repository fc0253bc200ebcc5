"""A line reader for tests that need no text: it is ready at once, and processes of a cluster can open it."""

from __future__ import annotations

from collections.abc import Sequence

from glyphline.imaging.documents import ColourImage
from glyphline.page import Line


class WidthReader:
    """A line reader whose text for each line is the width of its image."""

    calibrated = True
    direction = "ltr"

    def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
        return [Line(f"{image.shape[1]} px", 1.0, (), "width") for image in images]

    def draft_lines(self, images: Sequence[ColourImage]) -> list[Line]:
        return self.read_lines(images)
