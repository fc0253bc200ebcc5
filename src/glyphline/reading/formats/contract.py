"""What every format is: how its document is made, what its file is called, what may follow what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glyphline.imaging.documents import ColourImage
from glyphline.page import Page

PageImage = Callable[[Page], ColourImage]  # the image (H, W, 3) of a page as it was given, not turned


@dataclass(frozen=True)
class Format:
    """One way to write pages down."""

    make: Callable[[str, Sequence[Page], PageImage], str | bytes]  # of a file's name, its pages and their images
    suffix: str  # of the files it is written to
    help: str  # its line of help
    joined: bool  # whether the documents of several images may follow one another
    between: str = "\n"  # what stands between them then
    single: bool = False  # True where a document holds one page, no more and no fewer
