"""Output of the command line: status lines and progress bars on stderr, and files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glyphline.errors import UserError
from glyphline.files import write_atomically


def print_status(text: str) -> None:
    """Print a line on stderr."""
    print(text, file=sys.stderr)


def progress_bar(items: Iterable[Any], label: str, total: int | None = None, completed: int = 0) -> Iterator[Any]:
    """Yield the items, with a progress bar on stderr when it is a terminal.

    total: number of steps, None where it is unknown. completed: steps done before. An item that is a list counts as
    as many steps as it has members.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=total, completed=completed)
        for item in items:
            yield item
            progress.advance(task, len(item) if isinstance(item, list) else 1)


def write_output(path: Path, data: bytes) -> None:
    """Write a file atomically. Raises UserError if it cannot be written."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
