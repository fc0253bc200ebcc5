"""glyphline composes handwritten sentences out of single characters, trains a reader on them, reads pictures with it.

>>> sorted(__all__)
['Page', '__version__', 'compose', 'open_reader', 'read']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glyphline.errors import UserError
from glyphline.page import Page

if TYPE_CHECKING:
    from glyphline.composing.lines import Line
    from glyphline.reading.pages import PageReader

__version__ = "0.1.0"
__all__ = ["Page", "__version__", "compose", "open_reader", "read"]


def open_reader(model: str = "auto", decoder: str = "beam", finder: str = "auto") -> PageReader:
    """A reader of pages; see `glyphline.reading.pages.open_reader`, whose names and errors it shares."""
    from glyphline.reading.pages import open_reader as opened

    return opened(model, decoder, finder)


def read(picture: Any, model: str = "auto", decoder: str = "beam", finder: str = "auto") -> Page:
    """Find and read the text of a picture (of a file of many pages, the first).

    picture: a path, bytes, a PIL picture or an array (H, W[, 3 or 4]); model, decoder, finder: as for `open_reader`,
    which to keep is quicker for many pictures. finder "none": the picture is one line. Raises PictureError for no
    picture, UserError naming the choices for unknown names.

    >>> read(compose("Hello there", seed=3).image, finder="none").text
    'Hello there'
    """
    return open_reader(model, decoder, finder).read(picture)


def compose(text: str, seed: int = 0, layout: str = "natural", glyphs: str = "strokes") -> Line:
    """Compose one line that says `text`, drawn by a glyph source; the same arguments give the same bytes.

    Raises AlphabetError for a character the glyphs cannot draw.

    >>> compose("Hello, world!").image.ndim
    2
    """
    import numpy as np

    from glyphline.composing.line import Pool
    from glyphline.composing.lines import Line, open_layout, opened
    from glyphline.recipe import LinesRecipe

    if seed < 0:
        raise UserError(f"the seed is {seed}: give a whole number from 0 up")
    pool = Pool((opened(glyphs),), (1.0,), "test")
    pool.need(text)
    made = open_layout(LinesRecipe(layout=layout))
    record = made.sample(text, np.random.default_rng(seed), pool)
    image, boxes = made.draw(record, pool, boxes=True)
    return Line(0, image, text, record, boxes)
