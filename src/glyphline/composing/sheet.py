"""A sheet of paper to write on: which character stands in which box, and where every box is on the page.

`Sheet` is the definition. It is stored as JSON, beside the PDF and inside it, and the marks of each page carry its
identity, so that a photograph of a page can be matched with it. `sheet_drawing` draws the pages, `sheet_photos` finds
them on photographs. All lengths are millimetres, x to the right and y downwards from the upper left corner of a page.
"""

from __future__ import annotations

import json
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glyphline.composing.shaping import split_units
from glyphline.errors import DataError, name_first, nearest

VERSION = 1  # of the geometry below; sheets of another version are refused
PAPERS = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}  # mm

MARK = 12.0  # mm, side of a corner mark
MARK_MARGIN = 10.0  # mm from the edge of the paper to a mark; printers leave up to 6 mm blank
CORNERS = ("upper left", "upper right", "lower right", "lower left")
VALUES = 250  # a mark's id is 250 * corner + value: of the 1,000 ids of OpenCV's dictionary each corner has a quarter

SIDE_MARGIN, TOP, BOTTOM = 14.0, 26.0, 25.0  # mm from the edges of the paper to the boxes
BOX_WIDTH, BOX_HEIGHT = 12.0, 16.0  # mm
BOX_PITCH_X, BOX_PITCH_Y = 14.0, 22.0  # mm from a box to the next; the character in print is above its box
AREA_HEIGHT, AREA_PITCH = 15.0, 23.0  # mm, of the ruled area of a line
BOX_BASELINE, AREA_BASELINE = 10.5, 10.0  # mm from the upper edge
X_HEIGHT = 4.5  # mm, of the hint
LABEL_HEIGHT = 4.0  # mm of print above a box
TICK_PITCH = 20.0  # mm between the ticks on the edge of a line's area, which show how the paper is bent
MAX_PAGES = VALUES - 1
MAX_COPIES = 40
LINE_COUNT = 10  # lines to copy, at most; see `line_count_of`
LINE_LENGTH = 38  # Latin characters of a line to copy: at this x-height, a person needs about 4.5 mm for each
NAMED_CHARACTERS = 12  # that sentences hold and a sheet lacks, in a message; the others are counted


@dataclass(frozen=True)
class Slot:
    """A place to write in: the box of one character, or the ruled area of a line of text."""

    page: int  # from 1
    row: int  # from 1
    column: int  # from 1; of a line always 1
    text: str  # the character or the text of the line
    left: float
    top: float
    right: float
    bottom: float
    baseline: float  # y
    is_line: bool

    @property
    def place(self) -> str:
        """Where the slot is, for messages.

        >>> Slot(2, 3, 4, "a", 0, 0, 12, 16, 10, False).place
        "page 2, row 3, column 4, 'a'"
        """
        where = f"page {self.page}, line {self.row}" if self.is_line else (
            f"page {self.page}, row {self.row}, column {self.column}"
        )  # fmt: skip
        return f"{where}, {self.text!r}"


@dataclass(frozen=True)
class Sheet:
    """The definition of a sheet.

    Raises DataError for an unknown paper, for no or repeated characters, for white space among them, for copies outside
    1..MAX_COPIES, and for a sheet of more than MAX_PAGES pages.
    """

    characters: str  # in the order of the boxes
    copies: int  # boxes of each character
    lines: tuple[str, ...]  # texts to copy
    paper: str  # a key of PAPERS

    def __post_init__(self) -> None:
        size_of(self.paper)
        twice = [c for c, count in Counter(self.characters).items() if count > 1]
        if not self.characters or twice or any(c.isspace() for c in self.characters):
            problem = f"{', '.join(map(repr, twice))} more than once" if twice else "no character or white space"
            raise DataError(f"the characters of a sheet hold {problem}: list every character exactly once")
        if not 1 <= self.copies <= MAX_COPIES:
            raise DataError(f"a sheet has 1 to {MAX_COPIES} boxes for each character, not {self.copies}")
        if self.page_count > MAX_PAGES:
            raise DataError(
                f"{len(self.characters)} characters with {self.copies} copies need {self.page_count} pages, more than "
                f"{MAX_PAGES}: choose fewer characters or copies"
            )

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the paper."""
        return size_of(self.paper)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """All boxes in the order of writing, then the lines, which begin on a page of their own."""
        width, height = self.size
        columns = int((width - 2 * SIDE_MARGIN) // BOX_PITCH_X)
        rows = int((height - TOP - BOTTOM) // BOX_PITCH_Y)
        left = (width - columns * BOX_PITCH_X + BOX_PITCH_X - BOX_WIDTH) / 2
        slots = []
        for k, character in enumerate(c for c in self.characters for _ in range(self.copies)):
            page, place = divmod(k, columns * rows)
            row, column = divmod(place, columns)
            x, y = left + column * BOX_PITCH_X, TOP + row * BOX_PITCH_Y + LABEL_HEIGHT
            edges = x, y, x + BOX_WIDTH, y + BOX_HEIGHT
            slots.append(Slot(page + 1, row + 1, column + 1, character, *edges, y + BOX_BASELINE, False))
        first_page = slots[-1].page + 1
        lines_on_page = _lines_on_page(self.paper)
        for k, text in enumerate(self.lines):
            page, row = divmod(k, lines_on_page)
            y = TOP + row * AREA_PITCH + LABEL_HEIGHT + 2.0
            edges = SIDE_MARGIN, y, width - SIDE_MARGIN, y + AREA_HEIGHT
            slots.append(Slot(first_page + page, row + 1, 1, text, *edges, y + AREA_BASELINE, True))
        return tuple(slots)

    @property
    def page_count(self) -> int:
        return self.slots[-1].page

    def slots_of(self, page: int) -> list[Slot]:
        """The slots of one page, from 1."""
        return [slot for slot in self.slots if slot.page == page]

    @property
    def identity(self) -> int:
        """A checksum of the definition, below VALUES ** 2. Two of its digits are in the marks of every page."""
        return zlib.crc32(self.to_json().encode()) % VALUES**2

    def mark_ids(self, page: int) -> tuple[int, int, int, int]:
        """The ids of the marks of a page, in the order of CORNERS: its number, the identity in two digits, VERSION."""
        high, low = divmod(self.identity, VALUES)
        return page, VALUES + high, 2 * VALUES + low, 3 * VALUES + VERSION

    def mark_corners(self) -> npt.NDArray[np.float64]:
        """The corners of the marks, (4, 4, 2): marks in the order of CORNERS, the corners of each clockwise from the
        upper left."""
        width, height = self.size
        far_x, far_y = width - MARK_MARGIN - MARK, height - MARK_MARGIN - MARK
        origins = ((MARK_MARGIN, MARK_MARGIN), (far_x, MARK_MARGIN), (far_x, far_y), (MARK_MARGIN, far_y))
        square = np.array([(0, 0), (MARK, 0), (MARK, MARK), (0, MARK)], np.float64)
        return np.stack([square + origin for origin in origins])

    def to_json(self) -> str:
        """The definition as one line of ASCII; equal sheets give equal text."""
        return json.dumps({"glyphline_sheet": VERSION, **asdict(self)}, sort_keys=True)


def sheet_from_json(text: str, source: str) -> Sheet:
    """The sheet that `Sheet.to_json` wrote. source: the file that messages name.

    Raises DataError for text that is no definition of a sheet, and for one of another version.
    """
    try:
        data = json.loads(text)
        version = data.pop("glyphline_sheet")
        if version == VERSION:
            data["lines"] = tuple(map(str, data["lines"]))
            sheet = Sheet(**data)
            return sheet if isinstance(sheet.characters, str) and isinstance(sheet.copies, int) else _refuse(source)
    except (ValueError, KeyError, TypeError, AttributeError):
        return _refuse(source)
    raise DataError(
        f"{source} is a sheet of version {version}, this glyphline knows version {VERSION}: "
        "install the glyphline that made it, or print and fill a new sheet"
    )


def _refuse(source: str) -> Sheet:
    raise DataError(
        f"{source} holds no sheet: give the sheet.pdf that `glyphline sheet` wrote, or the sheet.json beside it"
    )


_PDF_KEY = b"/GlyphlineSheet"


def embed_definition(sheet: Sheet) -> tuple[bytes, str]:
    """The stream and the dictionary entries with which a PDF holds the definition."""
    return sheet.to_json().encode("ascii"), f"/Type {_PDF_KEY.decode()}"


def load_sheet(path: Path) -> Sheet:
    """The sheet of a sheet.json, or of a sheet.pdf as `glyphline sheet` wrote it.

    Raises DataError for a file that cannot be read, that holds no sheet, or that holds one of another version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}): give the sheet.pdf or sheet.json of the sheet"
        ) from None
    if b"%PDF-" in data[:1024]:
        _, found, rest = data.partition(_PDF_KEY)
        data = rest.partition(b"stream\n")[2].partition(b"\nendstream")[0] if found else b""
    return sheet_from_json(data.decode("utf-8", "replace"), str(path))


def size_of(paper: str) -> tuple[float, float]:
    """Width and height of a paper, mm. Raises DataError for a name that is not in PAPERS."""
    if paper not in PAPERS:
        raise DataError(f'no paper "{paper}"; {nearest(paper, PAPERS)}')
    return PAPERS[paper]


def _lines_on_page(paper: str) -> int:
    return int((size_of(paper)[1] - TOP - BOTTOM) // AREA_PITCH)


def line_count_of(paper: str) -> int:
    """The number of lines to copy on one page of a paper, LINE_COUNT at most. Raises what `size_of` raises."""
    return min(LINE_COUNT, _lines_on_page(paper))


def choose_lines(
    sentences: Iterable[str], characters: str, count: int = LINE_COUNT, length: int = LINE_LENGTH
) -> tuple[str, ...]:
    """Choose lines to copy that together hold the commonest pairs of letters of the sentences.

    sentences: any number, in the language of the sheet; pairs are counted in them. characters: a line holds only these
    and spaces. count: lines, at most. length: Latin characters of a line, at most; one of Chinese, Japanese or Korean
    takes the place of two. A longer sentence is cut between words, one without spaces between characters, and taken
    only where too few are short enough.
    Each turn takes the line whose pairs that no chosen line holds yet are the commonest (greedy
    set cover). Returns fewer lines where there are fewer, see `explain_missing_lines`.
    """
    allowed = set(characters) | {" "}
    whole: list[str] = []
    shortened: list[str] = []
    for sentence in sentences:
        line, is_whole = _cut_line(sentence, length)
        if _length(line) >= length // 2 and set(line) <= allowed:
            (whole if is_whole else shortened).append(line)
    candidates = list(dict.fromkeys(whole if len(whole) >= count else whole + shortened))
    pairs_of = {line: {a + b for a, b in pairwise(line) if " " not in a + b} for line in candidates}
    frequency = Counter(a + b for line in candidates for a, b in pairwise(line) if " " not in a + b)
    chosen: list[str] = []
    covered: set[str] = set()
    while len(chosen) < count and len(chosen) < len(candidates):
        rest = [line for line in candidates if line not in chosen]
        best = max(rest, key=lambda line: sum(frequency[p] for p in pairs_of[line] - covered))
        chosen.append(best)
        covered |= pairs_of[best]
    return tuple(chosen)


def explain_missing_lines(
    sentences: Iterable[str], characters: str, count: int = LINE_COUNT, length: int = LINE_LENGTH
) -> str:
    """Say why `choose_lines` with the same arguments chooses fewer than `count` lines: what the other sentences are.

    Up to NAMED_CHARACTERS characters that they hold and that are not in `characters` are named, the commonest first.
    """
    allowed = set(characters) | {" "}
    lines = list(dict.fromkeys(_cut_line(sentence, length)[0] for sentence in sentences))
    long_enough = [line for line in lines if _length(line) >= length // 2]
    lacking = Counter(c for line in long_enough for c in line if c not in allowed)
    reasons = []
    if lacking:
        named = name_first([c for c, _ in lacking.most_common()], NAMED_CHARACTERS, " ")
        reasons.append(f"hold {named}, which the sheet lacks")
    if len(long_enough) < len(lines):
        reasons.append(f"are shorter than {length // 2} characters")
    if not reasons:
        return "there are no other sentences"
    other = "other " if any(set(line) <= allowed for line in long_enough) else ""
    return f"the {other}sentences {', or '.join(reasons)}"


def _length(text: str) -> int:
    """The number of Latin characters that take as much of a line as a text."""
    return len(text) if text.isascii() else sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _cut_line(sentence: str, length: int) -> tuple[str, bool]:
    """The words of a sentence that fit a line of `length` characters, and whether they are all of it.

    If not even the first word fits, it is cut between its characters: in some scripts a sentence is one word.
    """
    line, separator = "", ""
    for word in sentence.split():
        if _length(longer := line + separator + word) > length:
            return line or _join_fitting(split_units(word[: 4 * length]), length), False
        line, separator = longer, " "
    return line, True


def _join_fitting(units: Iterable[str], length: int) -> str:
    """The first of some units that fit a line of `length` characters together."""
    text = ""
    for unit in units:
        if _length(text + unit) > length:
            break
        text += unit
    return text
