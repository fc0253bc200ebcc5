"""Functions that the XML formats share: elements, coordinates, confidences and the serialized document."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from math import ceil, floor
from xml.etree import ElementTree

from glyphline.page import Polygon
from glyphline.reading.formats.complete import BoundingBox
from glyphline.reading.recognition.languages import NONE

SOFTWARE = "glyphline"
Element = ElementTree.Element


def software_info() -> tuple[str, str]:
    """Return the name and the version of this program; the version is "unknown" where it is not installed."""
    try:
        return SOFTWARE, version(SOFTWARE)
    except PackageNotFoundError:
        return SOFTWARE, "unknown"


def add_child(parent: Element, tag: str, text: str | None = None, /, **attributes: object) -> Element:
    """Append a new element to `parent` and return it. Attributes whose value is None are left out."""
    element = ElementTree.SubElement(parent, tag, {k: str(v) for k, v in attributes.items() if v is not None})
    element.text = text
    return element


def format_points(polygon: Polygon) -> str:
    """Format a polygon as ALTO and PAGE-XML do: "x,y x,y ...", in whole pixels.

    >>> format_points(((0.4, 1.5), (9.0, 2.6)))
    '0,2 9,3'
    """
    return " ".join(f"{round(x)},{round(y)}" for x, y in polygon)


def pixel_box(box: BoundingBox) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the smallest box of whole pixels that contains `box`."""
    return floor(box[0]), floor(box[1]), ceil(box[2]), ceil(box[3])


def format_confidence(confidence: float) -> str:
    """Format a confidence in 0..1 with four decimals."""
    return f"{confidence:.4f}"


def serialize(root: Element, doctype: str = "") -> str:
    """Serialize an element tree with an XML declaration, followed by `doctype`."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}{ElementTree.tostring(root, encoding="unicode")}'


def language_tag(language: str | None, of_page: str | None = None) -> str | None:
    """The language tag (BCP 47) of a page or a line; None where it is not known, or for a line as that of its page.

    A line in no known language on a page in a language has "und", so that it does not inherit the language.
    """
    if language == NONE and of_page not in (None, NONE):
        return "und"
    return None if language in (None, NONE, of_page) else language
