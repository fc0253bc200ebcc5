"""Renders pages as Markdown: lines are joined to paragraphs, tables stay tables, pages are separated by rules."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import reduce

from glyphline.page import Line, Page, cell_text, table_grid
from glyphline.reading.formats.complete import complete_page
from glyphline.reading.formats.contract import PageImage

INLINE_MARKUP = re.compile(r"([\\`*_\[\]<>~|]|&(?=#?\w+;))")  # markup anywhere in a paragraph
BLOCK_MARKUP = re.compile(r"^(\d{0,9})([#+\-=.)])")  # markup at the start of a paragraph: headings, lists, rules
HYPHENATED = re.compile(r"[^\W\d_][-\u2010\u00ad]$")  # a line that ends with a letter and a hyphen


def render_markdown(file: str, pages: Sequence[Page], image: PageImage) -> str:
    """Render paragraphs and tables between empty lines, and a rule between pages. Markup in the text is escaped.

    A table is one of GitHub's Markdown; its first row is its head. Pages, lines and rows without text are left out.
    """
    return "\n\n---\n\n".join(text for page in pages if (text := _render_page(complete_page(page))))


def _render_page(page: Page) -> str:
    blocks = (_render_table(lines) if lines[0].cell else _render_paragraph(lines) for lines in page.paragraphs)
    return "\n\n".join(filter(None, blocks))


def _render_paragraph(lines: Sequence[Line]) -> str:
    texts = [line.text for line in lines if line.text]
    return _escape_markup(reduce(join_lines, texts)) if texts else ""


def _render_table(lines: Sequence[Line]) -> str:
    texts = ([INLINE_MARKUP.sub(r"\\\1", cell_text(cell)) for cell in row] for row in table_grid(lines))
    rows = [f"| {' | '.join(row)} |" for row in texts if any(row)]
    rule = f"|{' --- |' * len(table_grid(lines)[0])}"
    return "\n".join([rows[0], rule, *rows[1:]]) if rows else ""


def join_lines(paragraph: str, line: str) -> str:
    """Append a line to the text of a paragraph; neither may be empty.

    A hyphen after a letter is removed before a lower-case letter and kept otherwise. A space is put between the lines
    except after such a hyphen and between Chinese or Japanese characters.

    >>> join_lines("a para-", "graph"), join_lines("Jean-", "Paul"), join_lines("one", "two"), join_lines("大", "家")
    ('a paragraph', 'Jean-Paul', 'one two', '大家')
    """
    if HYPHENATED.search(paragraph):
        return paragraph[:-1] + line if line[0].islower() else paragraph + line
    return paragraph + ("" if _is_unspaced(paragraph[-1]) and _is_unspaced(line[0]) else " ") + line


def _is_unspaced(character: str) -> bool:
    """Whether the character's script puts no spaces between words: Chinese and Japanese, not Korean."""
    return unicodedata.east_asian_width(character) in "WF" and "HANGUL" not in unicodedata.name(character, "")


def _escape_markup(paragraph: str) -> str:
    return BLOCK_MARKUP.sub(r"\1\\\2", INLINE_MARKUP.sub(r"\\\1", paragraph))
