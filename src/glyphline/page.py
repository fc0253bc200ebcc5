"""The typed result of reading: Page > Line > Word > Character, with confidences and positions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

Polygon = tuple[tuple[float, float], ...]  # (x, y) px of the image, clockwise from the upper left of the text


@dataclass(frozen=True)
class Character:
    """One recognized character and its position.

    `left` and `right` are columns of the image. `polygon` holds the four corners, which follow a slanted line,
    clockwise from the upper left. It is empty if the corners are unknown.
    """

    text: str
    confidence: float  # 0..1
    left: float  # px of the image
    right: float
    polygon: Polygon = ()


@dataclass(frozen=True)
class Word:
    """The characters between two spaces, with the fields of `Character`."""

    text: str
    confidence: float  # 0..1
    left: float  # px of the image
    right: float
    polygon: Polygon = ()


@dataclass(frozen=True)
class Line:
    """One line of text. If no words are passed, they are built by splitting `characters` at spaces.

    The confidence of a word built so is the lowest confidence of its characters.

    >>> line = Line("a b", 0.5, (), "", tuple(Character(c, 0.5, i, i + 1) for i, c in enumerate("a b")))
    >>> [word.text for word in line.words]
    ['a', 'b']
    """

    text: str
    confidence: float  # 0..1; 1 for an empty text
    polygon: Polygon
    recognizer: str  # name of the recognizer that gave the text
    characters: tuple[Character, ...] = ()
    words: tuple[Word, ...] = ()
    rejected: bool = False  # True if the reader rejected the line; its text is then empty
    paragraph: int = 0  # number of its paragraph on the page, from 0
    visual_confidence: float = 1.0  # 0..1, mean posterior of its characters by PP-OCR; 1 by other recognizers
    language: str | None = None  # BCP 47 code of the language it was read in, "none" without one; None: not determined
    legibility: float = 1.0  # 0..1, whether its recognizers can read it; 0.5 is the limit; 1 where it is not known
    obstacle: str | None = None  # what keeps a line of low legibility from being read, see `reliability`
    reason: str | None = None  # why the line was rejected, for people

    def __post_init__(self) -> None:
        if not self.words:
            groups = split_words(self.characters)
            words = tuple(word_from_characters(group, min(c.confidence for c in group)) for group in groups)
            object.__setattr__(self, "words", words)

    @property
    def words_with_characters(self) -> list[tuple[Word, tuple[Character, ...]]]:
        """Each word and its characters. The characters are left out if they spell other words than `words`."""
        groups = split_words(self.characters)
        match = ["".join(c.text for c in group) for group in groups] == [word.text for word in self.words]
        return [(word, tuple(groups[i]) if match else ()) for i, word in enumerate(self.words)]

    def to_dict(self) -> dict[str, Any]:
        """The line as plain data, as `read --format json` prints it.

        Confidences are rounded to 4 decimals, positions to 0.1 px. `visual_confidence`, `legibility` and `obstacle` are
        left out. Words and characters without a polygon have no key "polygon".
        """
        return {
            "text": self.text,
            "confidence": round(self.confidence, 4),
            "polygon": _round_polygon(self.polygon),
            "recognizer": self.recognizer,
            "paragraph": self.paragraph,
            "words": [_to_dict(word) for word in self.words],
            "characters": [_to_dict(character) for character in self.characters],
            "rejected": self.rejected,
            "language": self.language,
            "reason": self.reason,
        }


def _to_dict(element: Character | Word) -> dict[str, Any]:
    data = {"text": element.text, "confidence": round(element.confidence, 4), "left": round(element.left, 1),
            "right": round(element.right, 1)}  # fmt: skip
    return {**data, "polygon": _round_polygon(element.polygon)} if element.polygon else data


def _round_polygon(polygon: Polygon) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in polygon]


def split_words(characters: Iterable[Character]) -> list[list[Character]]:
    """Split characters at white space into one list a word. The white space is dropped; no list is empty."""
    groups: list[list[Character]] = [[]]
    for character in characters:
        if character.text.isspace():
            groups.append([])
        else:
            groups[-1].append(character)
    return [group for group in groups if group]


def word_from_characters(group: list[Character], confidence: float) -> Word:
    """Join characters (at least one) into a word that covers all of them.

    Its polygon has the left corners of the first and the right corners of the last character; it is empty if one of the
    two has no polygon.
    """
    first, last = group[0].polygon, group[-1].polygon
    polygon = (first[0], last[1], last[2], first[3]) if first and last else ()
    left, right = min(c.left for c in group), max(c.right for c in group)
    return Word("".join(c.text for c in group), confidence, left, right, polygon)


@dataclass(frozen=True)
class Page:
    """One page and its lines in reading order.

    All positions are px of the page image as it was passed in, before any rotation by the reader.
    """

    width: int  # px
    height: int
    lines: tuple[Line, ...] = ()
    number: int = 1  # in its file, from 1
    rotation: int = 0  # degrees anticlockwise, a multiple of 90, that turn the page upright
    language: str | None = None  # of most of its characters, as in `Line`

    @property
    def text(self) -> str:
        """The texts of the lines in reading order, joined by newlines. Rejected lines are left out.

        >>> Page(10, 10, (Line("one", 1.0, (), ""), Line("two", 1.0, (), ""))).text
        'one\\ntwo'
        """
        return "\n".join(line.text for line in self.lines if not line.rejected)

    @property
    def paragraphs(self) -> list[list[Line]]:
        """The lines grouped by paragraph, in reading order. Neighbours with an equal `paragraph` form a group.

        Rejected lines are included, unlike in `text`.

        >>> lines = (Line("one", 1.0, (), ""), Line("two", 1.0, (), "", paragraph=1))
        >>> [[line.text for line in lines] for lines in Page(10, 10, lines).paragraphs]
        [['one'], ['two']]
        """
        return [list(group) for _, group in groupby(self.lines, lambda line: line.paragraph)]

    def to_dict(self) -> dict[str, Any]:
        """The page as plain data, as `read --format json` prints it."""
        return {
            "number": self.number,
            "width": self.width,
            "height": self.height,
            "rotation": self.rotation,
            "language": self.language,
            "lines": [line.to_dict() for line in self.lines],
        }
