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
    from glyphline.reading.reader import Reader

__version__ = "0.1.0"
__all__ = ["Page", "__version__", "compose", "open_reader", "read"]


def open_reader(model: str = "reader", decoder: str = "beam") -> Reader:
    """A reader with a bundled model's name or an .onnx file. Raises DataError / UserError naming the choices."""
    from glyphline.reading.decoders import open_decoder
    from glyphline.reading.engines import alphabet_of, open_engine
    from glyphline.reading.reader import Reader

    engine = open_engine(model)
    return Reader(engine, open_decoder(decoder, alphabet_of(engine)))


def read(picture: Any, model: str = "reader", decoder: str = "beam") -> Page:
    """Read a picture of one line: a path, bytes, a PIL picture or an array. Raises PictureError for no picture."""
    return open_reader(model, decoder).read_page(picture)


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
