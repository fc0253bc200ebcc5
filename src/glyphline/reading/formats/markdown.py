"""Pages -> Markdown: paragraphs whose lines are joined, pages between rules, nothing of the text taken for markup."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import reduce

from glyphline.page import Page
from glyphline.reading.formats.complete import complete
from glyphline.reading.formats.contract import PageImage

INLINE = re.compile(r"([\\`*_\[\]<>~|]|&(?=#?\w+;))")  # what is markup anywhere
FIRST = re.compile(r"^(\d{0,9})([#+\-=.)])")  # what is markup where a paragraph begins: headings, lists, rules
BROKEN = re.compile(r"[^\W\d_][-\u2010\u00ad]$")  # a word that the end of a line breaks


def as_markdown(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """Paragraphs between empty lines; pages, if any of it was read, between rules."""
    return "\n\n---\n\n".join(text for page in pages if (text := _page(complete(page))))


def _page(page: Page) -> str:
    paragraphs = ([line.text for line in lines if line.text] for lines in page.paragraphs)
    return "\n\n".join(_escaped(reduce(joined, lines)) for lines in paragraphs if lines)


def joined(text: str, line: str) -> str:
    """A paragraph and its next line as one.

    >>> joined("a para-", "graph"), joined("Jean-", "Paul"), joined("one", "two"), joined("大", "家")
    ('a paragraph', 'Jean-Paul', 'one two', '大家')
    """
    if BROKEN.search(text):
        return text[:-1] + line if line[0].islower() else text + line
    return text + ("" if _unspaced(text[-1]) and _unspaced(line[0]) else " ") + line


def _unspaced(character: str) -> bool:
    """Whether it is of a script that puts no spaces between words: Chinese or Japanese."""
    return unicodedata.east_asian_width(character) in "WF" and "HANGUL" not in unicodedata.name(character, "")


def _escaped(paragraph: str) -> str:
    return FIRST.sub(r"\1\\\2", INLINE.sub(r"\\\1", paragraph))
