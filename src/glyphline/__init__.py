"""glyphline composes handwritten sentences out of single characters, trains a reader on them, reads images with it.

>>> sorted(__all__)
['Page', '__version__', 'compose', 'open_reader', 'read']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glyphline.errors import UserError
from glyphline.page import Page

if TYPE_CHECKING:
    from glyphline.composing.line_sets import ComposedLine
    from glyphline.reading.pages import PageReader

__version__ = "0.1.0"
__all__ = ["Page", "__version__", "compose", "open_reader", "read"]


def open_reader(model: str = "auto", decoder: str = "beam", detector: str = "auto") -> PageReader:
    """A reader of pages; see `glyphline.reading.pages.open_reader`, whose names and errors it shares."""
    from glyphline.reading.pages import open_reader as opened

    return opened(model, decoder, detector)


def read(image: Any, model: str = "auto", decoder: str = "beam", detector: str = "auto") -> Page:
    """Find and read the text of an image (of a file of many pages, the first).

    image: a path, bytes, a PIL image or an array (H, W[, 3 or 4]); model, decoder, detector: as for `open_reader`,
    which to keep is quicker for many images. detector "none": the image is one line. Raises ImageError for no
    image, UserError naming the choices for unknown names.

    >>> read(compose("Hello there", seed=3).image, detector="none").text
    'Hello there'
    """
    return open_reader(model, decoder, detector).read(image)


def compose(text: str, seed: int = 0, layout: str = "natural", glyphs: str = "strokes") -> ComposedLine:
    """Compose one line that says `text`, drawn by a glyph source; the same arguments give the same bytes.

    Raises AlphabetError for a character the glyphs cannot draw.

    >>> compose("Hello, world!").image.ndim
    2
    """
    import numpy as np

    from glyphline.composing.layouts import GlyphPool
    from glyphline.composing.line_sets import ComposedLine, cached_glyphs, open_layout
    from glyphline.recipe import LinesRecipe

    if seed < 0:
        raise UserError(f"the seed is {seed}: give a whole number from 0 up")
    pool = GlyphPool((cached_glyphs(glyphs),), (1.0,), "test")
    pool.need(text)
    made = open_layout(LinesRecipe(layout=layout))
    record = made.sample(text, np.random.default_rng(seed), pool)
    image, boxes = made.draw(record, pool, boxes=True)
    return ComposedLine(0, image, text, record, boxes)
