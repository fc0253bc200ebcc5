"""The contract of an output format: how a document is rendered, its file suffix, and which documents may be joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glyphline.imaging.documents import ColourImage
from glyphline.page import Page

PageImage = Callable[[Page], ColourImage]  # returns the image (H, W, 3) of a page, uint8, as in its file, not rotated


@dataclass(frozen=True)
class Format:
    """One output format for the pages of a file.

    `render` takes the file's name, its pages and a function that returns the image of a page. It returns text without
    a newline at its end, or bytes.
    """

    render: Callable[[str, Sequence[Page], PageImage], str | bytes]
    suffix: str  # of the written files, such as ".txt"
    help: str  # one line: name, colon, content
    join_documents: bool  # whether the documents of several images may be joined in one stream or file
    separator: str = "\n"  # text between two joined documents
    single_page: bool = False  # whether a document holds exactly one page
