"""What the texts of cells tell about a table: units belong to the number before them, leaders are no text.

In print of one letter width the blank before "EUR" or "kg" is as wide as a gap between columns, and nothing but the
text tells the two apart. Most leaders are cut away before reading (`detection.cell_ink`); a few dots of some remain.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from glyphline.page import Line
from glyphline.reading.cell_reliability import DASHES

MAX_UNIT_LENGTH = 4  # characters
MAX_GAP = 1.0  # between a number and its unit, heights of the line
_DOTS = r"(?:(?:[.·]\s?){4}|(?:…\s?){2})[.·…\s]*"
_LEADERS = re.compile(rf"^{_DOTS}|\s*{_DOTS}$")  # an ellipsis is text


def remove_leaders(line: Line) -> Line:
    """The line without four dots or more before or after the text of a cell. A cell of dots alone stays.

    >>> from glyphline.page import Cell
    >>> remove_leaders(Line("Winter..... ....", 1.0, (), "", cell=Cell(0, 0, 0))).text
    'Winter'
    """
    if line.cell is None:
        return line
    start = match.end() if (match := _LEADERS.match(line.text)) else 0
    end = match.start() if (match := _LEADERS.search(line.text, start)) else len(line.text)
    if start >= end or (start, end) == (0, len(line.text)):
        return line
    return replace(line, text=line.text[start:end], characters=line.characters[start:end], words=())


def join_units(lines: Sequence[Line], join: Callable[[Sequence[Line]], Line]) -> list[Line]:
    """The lines with units joined to their numbers.

    join: makes one line of two. A column holds units where two cells or more have text, all have the same word of at
    most MAX_UNIT_LENGTH letters or signs and no digit, and each stands close behind a number in the column before.
    """
    columns: dict[tuple[int, int], list[Line]] = defaultdict(list)
    for line in lines:
        if line.cell is not None and line.text:
            columns[line.cell.table, line.cell.column].append(line)
    joined: dict[int, Line | None] = {}  # id of a line -> what takes its place; None for a unit
    for before, column in pairwise(sorted(columns)):
        if before[0] != column[0] or not _is_unit(columns[column]):
            continue
        pairs = [(_number_before(unit, columns[before]), unit) for unit in columns[column]]
        numbers = [number for number, _ in pairs if number is not None and id(number) not in joined]
        if len(numbers) == len(pairs):
            joined |= {id(number): join([number, unit]) for number, (_, unit) in zip(numbers, pairs, strict=True)}
            joined |= {id(unit): None for _, unit in pairs}
    return [kept for line in lines if (kept := joined.get(id(line), line)) is not None]


def _is_unit(column: Sequence[Line]) -> bool:
    texts = {line.text for line in column}
    unit = next(iter(texts))
    return (
        len(texts) == 1 and len(column) > 1 and len(unit) <= MAX_UNIT_LENGTH
        and not any(c.isdigit() or c.isspace() for c in unit) and not set(unit) <= set(DASHES)
    )  # fmt: skip


def _number_before(unit: Line, column: Sequence[Line]) -> Line | None:
    """The number in the column that stands close before a unit in its row; None where there is none."""
    row = [line for line in column if line.cell and unit.cell and line.cell.row == unit.cell.row]
    if len(row) != 1 or not row[0].text[-1].isdigit():
        return None
    height = math.dist(unit.polygon[0], unit.polygon[3])
    return row[0] if math.dist(row[0].polygon[1], unit.polygon[0]) < MAX_GAP * height else None
