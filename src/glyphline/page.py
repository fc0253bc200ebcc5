"""The typed result of reading: Page > Line > Word > Character, with confidences and places."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

Polygon = tuple[tuple[float, float], ...]  # (x, y) px of the picture, clockwise from the upper left


@dataclass(frozen=True)
class Character:
    """One character and the columns it stands in."""

    text: str
    confidence: float  # 0..1
    left: float  # px of the picture
    right: float


@dataclass(frozen=True)
class Word:
    """Characters between spaces."""

    text: str
    confidence: float  # 0..1
    left: float
    right: float


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
    engine: str
    characters: tuple[Character, ...] = ()
    words: tuple[Word, ...] = ()
    unread: bool = False  # True where the reader would have had to guess; the text is then empty

    def __post_init__(self) -> None:
        if not self.words:
            groups = words_in(self.characters)
            object.__setattr__(self, "words", tuple(word_of(g, min(c.confidence for c in g)) for g in groups))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `read --format json` prints it."""
        return {
            "text": self.text,
            "confidence": round(self.confidence, 4),
            "polygon": [[round(x, 1), round(y, 1)] for x, y in self.polygon],
            "engine": self.engine,
            "words": [_rounded(asdict(w)) for w in self.words],
            "characters": [_rounded(asdict(c)) for c in self.characters],
            **({"unread": True} if self.unread else {}),
        }


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 4 if k == "confidence" else 1) if isinstance(v, float) else v for k, v in values.items()}


def words_in(characters: Iterable[Character]) -> list[list[Character]]:
    """The characters between spaces, word by word."""
    groups: list[list[Character]] = [[]]
    for character in characters:
        if character.text.isspace():
            groups.append([])
        else:
            groups[-1].append(character)
    return [g for g in groups if g]


def word_of(group: list[Character], confidence: float) -> Word:
    """One word of its characters, at least one."""
    return Word("".join(c.text for c in group), confidence, group[0].left, group[-1].right)


@dataclass(frozen=True)
class Page:
    """One picture and its lines in reading order."""

    width: int  # px
    height: int
    lines: tuple[Line, ...] = ()

    @property
    def text(self) -> str:
        """The lines in reading order, one a line.

        >>> Page(10, 10, (Line("one", 1.0, (), ""), Line("two", 1.0, (), ""))).text
        'one\\ntwo'
        """
        return "\n".join(line.text for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `read --format json` prints it."""
        return {"width": self.width, "height": self.height, "lines": [line.to_dict() for line in self.lines]}
