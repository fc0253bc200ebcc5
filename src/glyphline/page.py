"""The typed result of reading: Page > Line > Word > Character, with confidences and places."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

Polygon = tuple[tuple[float, float], ...]  # (x, y) px of the image, clockwise from the upper left of the text


@dataclass(frozen=True)
class Character:
    """One character and where it stands: its columns, and its corners, which follow a line that is not level."""

    text: str
    confidence: float  # 0..1
    left: float  # px of the image
    right: float
    polygon: Polygon = ()


@dataclass(frozen=True)
class Word:
    """Characters between spaces."""

    text: str
    confidence: float  # 0..1
    left: float
    right: float
    polygon: Polygon = ()


@dataclass(frozen=True)
class Line:
    """One line of text; its words, where none are given, follow from its characters.

    >>> one = Line("a b", 0.5, (), "", tuple(Character(c, 0.5, i, i + 1) for i, c in enumerate("a b")))
    >>> [w.text for w in one.words]
    ['a', 'b']
    """

    text: str
    confidence: float  # 0..1; 1 for nothing read
    polygon: Polygon
    recognizer: str
    characters: tuple[Character, ...] = ()
    words: tuple[Word, ...] = ()
    rejected: bool = False  # True where the reader would have had to guess; the text is then empty
    paragraph: int = 0  # the number of its paragraph on the page
    visual_confidence: float = (
        1.0  # share 0..1 that a network of photographs gave its characters, on average; 1 where none did
    )

    def __post_init__(self) -> None:
        if not self.words:
            groups = split_words(self.characters)
            object.__setattr__(
                self, "words", tuple(word_from_characters(g, min(c.confidence for c in g)) for g in groups)
            )

    @property
    def words_with_characters(self) -> list[tuple[Word, tuple[Character, ...]]]:
        """Each word with its characters; without them where they spell something else."""
        groups = split_words(self.characters)
        fit = ["".join(c.text for c in group) for group in groups] == [word.text for word in self.words]
        return [(word, tuple(groups[k]) if fit else ()) for k, word in enumerate(self.words)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `read --format json` prints it."""
        return {
            "text": self.text,
            "confidence": round(self.confidence, 4),
            "polygon": _rounded(self.polygon),
            "recognizer": self.recognizer,
            "paragraph": self.paragraph,
            "words": [_plain(w) for w in self.words],
            "characters": [_plain(c) for c in self.characters],
            "rejected": self.rejected,
        }


def _plain(part: Character | Word) -> dict[str, Any]:
    out = {"text": part.text, "confidence": round(part.confidence, 4), "left": round(part.left, 1),
           "right": round(part.right, 1)}  # fmt: skip
    return {**out, "polygon": _rounded(part.polygon)} if part.polygon else out


def _rounded(polygon: Polygon) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in polygon]


def split_words(characters: Iterable[Character]) -> list[list[Character]]:
    """The characters between spaces, word by word."""
    groups: list[list[Character]] = [[]]
    for character in characters:
        if character.text.isspace():
            groups.append([])
        else:
            groups[-1].append(character)
    return [g for g in groups if g]


def word_from_characters(group: list[Character], confidence: float) -> Word:
    """One word of its characters, at least one."""
    first, last = group[0].polygon, group[-1].polygon
    around = (first[0], last[1], last[2], first[3]) if first and last else ()
    left, right = min(c.left for c in group), max(c.right for c in group)
    return Word("".join(c.text for c in group), confidence, left, right, around)


@dataclass(frozen=True)
class Page:
    """One image and its lines in reading order; places are px of the image as it was given, turned or not."""

    width: int  # px
    height: int
    lines: tuple[Line, ...] = ()
    number: int = 1  # in its file
    rotation: int = 0  # degrees anticlockwise, a multiple of 90, by which it had to be turned to stand upright

    @property
    def text(self) -> str:
        """The lines in reading order, one a line; what was rejected leaves nothing.

        >>> Page(10, 10, (Line("one", 1.0, (), ""), Line("two", 1.0, (), ""))).text
        'one\\ntwo'
        """
        return "\n".join(line.text for line in self.lines if not line.rejected)

    @property
    def paragraphs(self) -> list[list[Line]]:
        """The lines, paragraph by paragraph.

        >>> lines = (Line("one", 1.0, (), ""), Line("two", 1.0, (), "", paragraph=1))
        >>> [[line.text for line in lines] for lines in Page(10, 10, lines).paragraphs]
        [['one'], ['two']]
        """
        return [list(group) for _, group in groupby(self.lines, lambda line: line.paragraph)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `read --format json` prints it."""
        return {
            "number": self.number,
            "width": self.width,
            "height": self.height,
            "rotation": self.rotation,
            "lines": [line.to_dict() for line in self.lines],
        }
