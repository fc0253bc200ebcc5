"""Atomic writes: after a kill or a full disk a file holds either its old or its new content, never a part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`. When the block ends, the file there replaces `path`.

    The block must write that file. Its name is that of `path` and ".tmp", so two processes must not write `path` at the
    same time. If the block raises, the temporary file is deleted and `path` stays as it was. Raises OSError if the
    block wrote no file or `path` cannot be replaced.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that the file is never incomplete. Raises OSError if it cannot be written.

    A path at an address (see `addresses`) is written at once: object stores show an object only when it is whole. Its
    folder is made where the filesystem has folders.
    """
    if not isinstance(path, Path):
        try:
            path.write_bytes(data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return
    with replace_atomically(path) as temporary:
        temporary.write_bytes(data)
