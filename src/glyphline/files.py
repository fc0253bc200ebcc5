"""Files that are written whole or not at all, so that a kill or a full disk leaves the one before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to: it takes the place of `path` when the block ends, and is gone when it fails.

    Raises OSError where the place cannot be taken.
    """
    beside = path.with_name(path.name + ".tmp")
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises OSError."""
    with replacing(path) as beside:
        beside.write_bytes(data)
