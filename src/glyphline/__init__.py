"""glyphline composes handwritten sentences from single characters, trains a reader on them and reads images with it.

>>> sorted(__all__)
['Page', '__version__', 'compose', 'open_reader', 'read']
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from glyphline.errors import UserError
from glyphline.page import Page

# From version 1.29 on onnxruntime keeps a device id and sends events to Microsoft, unless this is set before its import
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from glyphline.composing.line_sets import ComposedLine
    from glyphline.reading.pages import PageReader

__version__ = "0.1.0"
__all__ = ["Page", "__version__", "compose", "open_reader", "read"]


def open_reader(
    model: str = "auto", decoder: str = "beam", detector: str = "auto", language: str = "auto"
) -> PageReader:
    """Open a reader of pages. See `glyphline.reading.pages.open_reader` for names, errors and further options."""
    from glyphline.reading import pages

    return pages.open_reader(model, decoder, detector, language=language)


def read(
    image: Any, model: str = "auto", decoder: str = "beam", detector: str = "auto", language: str = "auto"
) -> Page:
    """Find and read the text of an image. Of a file with several pages, the first page is read.

    image: a path, the bytes of a file, a PIL image, or an array (H, W), (H, W, 3) in RGB or (H, W, 4) in RGBA. model,
    decoder, detector, language: names, as for `open_reader`; detector "none" reads the whole image as one line,
    language "auto" finds the language of the page. Unreliable lines are rejected (see
    `glyphline.reading.pages.open_reader`). Each call opens a new reader: to read many images, open one with
    `open_reader` and call its `read`. Raises ImageError if the image cannot be opened or a line is too long,
    UserError with the choices for an unknown name, MissingPackage if a name or the image needs a package that is not
    installed.

    >>> read(compose("Hello there", seed=3).image, detector="none").text
    'Hello there'
    """
    return open_reader(model, decoder, detector, language).read(image)


def compose(text: str, seed: int = 0, layout: str = "natural", glyphs: str = "strokes") -> ComposedLine:
    """Compose one line image with the text `text`. The same arguments give the same bytes.

    seed: 0 or more. layout: "natural", "tiles" or "overlap". glyphs: a glyph source, such as "strokes" or
    "emnist/byclass"; glyphs of its test split are drawn. Text is in logical order. Raises AlphabetError for a character
    that the glyphs lack or cannot join, and for an empty text, RecipeError for letters that join in a layout of tiles,
    UserError for a negative seed or an unknown name.

    >>> compose("Hello, world!").image.ndim
    2
    """
    import numpy as np

    from glyphline.composing.layouts import GlyphPool
    from glyphline.composing.line_sets import ComposedLine, open_cached_glyphs, open_layout
    from glyphline.composing.shaping import joined_units
    from glyphline.recipe import LinesRecipe
    from glyphline.writing_direction import AUTO, resolve_direction

    if seed < 0:
        raise UserError(f"the seed is {seed}: give a whole number, 0 or more")
    pool = GlyphPool((open_cached_glyphs(glyphs),), (1.0,), "test")
    pool.check_characters(text)
    line_layout = open_layout(LinesRecipe(layout=layout), resolve_direction(AUTO, text))
    line_layout.check_units(joined_units([text]), pool)
    record = line_layout.sample(text, np.random.default_rng(seed), pool)
    image, boxes = line_layout.draw(record, pool, boxes=True)
    return ComposedLine(0, image, text, record, boxes)
