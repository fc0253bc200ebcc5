"""The typed result of reading: Page > Line > Word > Character, with confidences and positions, and Table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
class Cell:
    """The place of a line in a table of its page. Several lines may share a cell; a cell without lines is empty."""

    table: int  # number of the table on the page, from 0 in reading order
    row: int  # from 0 at the top of the table
    column: int  # from 0 at the left of the table


@dataclass(frozen=True)
class LineTranslation:
    """The text of a line in another language."""

    language: str  # BCP 47 code of the language it was translated to
    text: str  # empty for a rejected line
    translator: str  # names joined by "+"; empty where the text is the original
    is_gist: bool = False  # True: it gives the gist only
    unknown: tuple[str, ...] = ()  # words that are left as in the original


@dataclass(frozen=True)
class Line:
    """One line of text, or of a cell of a table. If no words are passed, `characters` are split into words at spaces.

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
    cell: Cell | None = None  # its place in a table; None outside tables
    translation: LineTranslation | None = None  # None where no translation was asked for

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
        left out. Words and characters without a polygon have no key "polygon", lines without a translation no key
        "translation".
        """
        data = {
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
            "cell": None if self.cell is None else asdict(self.cell),
        }
        return data if self.translation is None else {**data, "translation": asdict(self.translation)}


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

    Its polygon has the left corners of the leftmost and the right corners of the rightmost character; in right-to-left
    text these are not the first and the last one. It is empty if one of the two has no polygon.
    """
    first = min(group, key=lambda character: character.left).polygon
    last = max(reversed(group), key=lambda character: character.left).polygon  # of equal ones the last
    polygon = (first[0], last[1], last[2], first[3]) if first and last else ()
    left, right = min(c.left for c in group), max(c.right for c in group)
    return Word("".join(c.text for c in group), confidence, left, right, polygon)


@dataclass(frozen=True)
class Table:
    """A table of a page: the texts of its cells."""

    rows: tuple[tuple[str, ...], ...]  # from the top; all of one length; "" where a cell is empty or rejected
    polygon: Polygon  # an upright box around its lines, px of the image; empty if none has a position


def table_grid(lines: Iterable[Line]) -> list[list[list[Line]]]:
    """The lines of one table by row and column: `grid[row][column]` are the lines of a cell, in the order given.

    Every row has as many columns as the widest. Raises ValueError for a line outside a table.
    """
    cells: dict[tuple[int, int], list[Line]] = {}
    for line in lines:
        if line.cell is None:
            raise ValueError(f"the line {line.text!r} is in no table: pass only lines that have a cell")
        cells.setdefault((line.cell.row, line.cell.column), []).append(line)
    rows, columns = (1 + max(place[axis] for place in cells) if cells else 0 for axis in (0, 1))
    return [[cells.get((row, column), []) for column in range(columns)] for row in range(rows)]


def cell_text(lines: Iterable[Line]) -> str:
    """The text of a cell: its lines joined by spaces, without rejected ones. Tabs and line breaks become spaces."""
    return " ".join(" ".join(line.text for line in lines if not line.rejected).split())


def text_rows(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the text of lines in reading order: a row of a table with tabs between its cells, else the text of a line.

    Rejected lines are left out. Empty cells are kept as empty text between tabs, rows without any text are left out.

    >>> cells = [Line(text, 1.0, (), "", cell=Cell(0, 0, column)) for text, column in (("tea", 0), ("2.50", 2))]
    >>> list(text_rows([Line("Bill", 1.0, (), ""), *cells]))
    ['Bill', 'tea\\t\\t2.50']
    """
    for number, group in groupby(lines, lambda line: None if line.cell is None else line.cell.table):
        if number is None:
            yield from (line.text for line in group if not line.rejected)
        else:
            texts = ([cell_text(cell) for cell in row] for row in table_grid(group))
            yield from ("\t".join(row) for row in texts if any(row))


@dataclass(frozen=True)
class Page:
    """One page and its lines in reading order. The lines of a table are consecutive, row by row.

    All positions are px of the page image as it was passed in, before any rotation by the reader.
    """

    width: int  # px
    height: int
    lines: tuple[Line, ...] = ()
    number: int = 1  # in its file, from 1
    rotation: int = 0  # degrees anticlockwise, a multiple of 90, that turn the page upright
    language: str | None = None  # of most of its characters, as in `Line`
    rotation_confidence: float | None = None  # 0..1, that `rotation` is right; None: no other was considered

    @property
    def text(self) -> str:
        """The texts of the lines in reading order, joined by newlines. Rejected lines are left out.

        The cells of a row of a table are on one line with a tab between them, as in `text_rows`.

        >>> Page(10, 10, (Line("one", 1.0, (), ""), Line("two", 1.0, (), ""))).text
        'one\\ntwo'
        """
        return "\n".join(text_rows(self.lines))

    @property
    def translated(self) -> Page:
        """The page with its translations in place of the texts of the lines. Those lines have no words and characters.

        >>> line = Line("Ausgang", 1.0, (), "", translation=LineTranslation("en", "Exit", "phrase-book"))
        >>> Page(10, 10, (line,)).translated.text
        'Exit'
        """

        def translate(line: Line) -> Line:
            new = line.translation
            if new is None or new.text == line.text:
                return line
            return replace(line, text=new.text, language=new.language, words=(), characters=())

        return replace(self, lines=tuple(translate(line) for line in self.lines))

    def with_texts(self, texts: Mapping[int, str]) -> Page:
        """The page with texts that a person typed in place of those of lines. texts: number of a line, from 0 -> text.

        Those lines are sure, are not rejected, and have no words and characters. Numbers without a line are left out.

        >>> Page(10, 10, (Line("Exlt", 0.4, (), ""),)).with_texts({0: "Exit"}).text
        'Exit'
        """

        def correct(line: Line, text: str) -> Line:
            return replace(line, text=text, confidence=1.0, words=(), characters=(), rejected=False, reason=None)

        lines = (correct(line, texts[k]) if k in texts else line for k, line in enumerate(self.lines))
        return replace(self, lines=tuple(lines))

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of the page in reading order, made of the lines that have a `cell`. Empty without such lines."""
        tables = []
        lines = [line for line in self.lines if line.cell is not None]
        for _, group in groupby(lines, lambda line: line.cell and line.cell.table):
            members = list(group)
            rows = tuple(tuple(cell_text(cell) for cell in row) for row in table_grid(members))
            xs, ys = ([point[axis] for line in members for point in line.polygon] for axis in (0, 1))
            box = (min(xs), min(ys), max(xs), max(ys)) if xs else None
            polygon = ((box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3])) if box else ()
            tables.append(Table(rows, polygon))
        return tuple(tables)

    @property
    def paragraphs(self) -> list[list[Line]]:
        """The lines grouped by paragraph, in reading order. Neighbours with an equal `paragraph` form a group.

        A table is a group of its own. Rejected lines are included, unlike in `text`.

        >>> lines = (Line("one", 1.0, (), ""), Line("two", 1.0, (), "", paragraph=1))
        >>> [[line.text for line in lines] for lines in Page(10, 10, lines).paragraphs]
        [['one'], ['two']]
        """

        def block(line: Line) -> tuple[int, int | None]:
            return line.paragraph, None if line.cell is None else line.cell.table

        return [list(group) for _, group in groupby(self.lines, block)]

    def to_dict(self) -> dict[str, Any]:
        """The page as plain data, as `read --format json` prints it."""
        return {
            "number": self.number,
            "width": self.width,
            "height": self.height,
            "rotation": self.rotation,
            "rotation_confidence": None if self.rotation_confidence is None else round(self.rotation_confidence, 4),
            "language": self.language,
            "lines": [line.to_dict() for line in self.lines],
            "tables": [
                {"rows": [list(row) for row in table.rows], "polygon": _round_polygon(table.polygon)}
                for table in self.tables
            ],
        }
