"""Cells of tables for tests: lines whose characters are of one width."""

from __future__ import annotations

from glyphline.page import Cell, Character, Line


def make_cell(text: str, row: int, column: int, seen: float = 0.97, legibility: float = 1.0) -> Line:
    """A cell of table 0. seen: its visual confidence."""
    characters = tuple(Character(c, 0.5, 10.0 * k, 10.0 * k + 9) for k, c in enumerate(text))
    return Line(text, 0.5, (), "", characters, visual_confidence=seen, legibility=legibility, cell=Cell(0, row, column))
