"""What the XML formats share: elements, whole numbers of pixels, and the bytes of a document."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from math import ceil, floor
from xml.etree import ElementTree

from glyphline.page import Polygon
from glyphline.reading.formats.complete import BoundingBox

SOFTWARE = "glyphline"
Element = ElementTree.Element


def software() -> tuple[str, str]:
    """Name and version of what writes the documents."""
    try:
        return SOFTWARE, version(SOFTWARE)
    except PackageNotFoundError:  # run from its sources
        return SOFTWARE, "unknown"


def child(parent: Element, tag: str, text: str | None = None, /, **attributes: object) -> Element:
    """A new last child of an element; attributes that are None are left out."""
    made = ElementTree.SubElement(parent, tag, {k: str(v) for k, v in attributes.items() if v is not None})
    made.text = text
    return made


def points(polygon: Polygon) -> str:
    """A polygon inside its page as ALTO and PAGE write it.

    >>> points(((0.4, 1.5), (9.0, 2.6)))
    '0,2 9,3'
    """
    return " ".join(f"{round(x)},{round(y)}" for x, y in polygon)


def pixels(box: BoundingBox) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the whole pixels that a box touches."""
    return floor(box[0]), floor(box[1]), ceil(box[2]), ceil(box[3])


def share(confidence: float) -> str:
    """A confidence of 0..1."""
    return f"{confidence:.4f}"


def document(root: Element, head: str = "") -> str:
    """The document of a root element."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}{ElementTree.tostring(root, encoding="unicode")}'
