"""Shows doctests as code and comments of fields as text in the generated Python API (an extension of Griffe)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import griffe

DOCTEST = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)
FIELD_COMMENT = re.compile(r"^    \w+: .*?  # (.+)$")


@cache
def source_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


class SourceComments(griffe.Extension):  # type: ignore[misc]
    """Puts doctests into code blocks, and gives the fields of dataclasses the comments behind them as docstrings."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by Griffe for every module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(lambda match: f"```pycon\n{match.group()}\n```", obj.docstring.value)

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Called by Griffe for every attribute."""
        if attr.docstring is None and attr.lineno and isinstance(attr.filepath, Path):
            comment = FIELD_COMMENT.match(source_lines(attr.filepath)[attr.lineno - 1])
            if comment:
                attr.docstring = griffe.Docstring(comment.group(1), parent=attr)
