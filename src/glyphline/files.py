"""Atomic writes: after a kill or a full disk a file holds either its old or its new content, never a part."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # of an OSError
NAME_CHARACTERS = 60  # of a name in that of its temporary file: filesystems allow 255 bytes, UTF-8 takes up to four


@contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`. When the block ends, the file there replaces `path`.

    The block must write that file. Each call has its own, named NAME.RANDOM.tmp, so several processes, also of several
    machines, may write `path` at the same time: the last one counts. If the block raises, the temporary file is deleted
    and `path` stays as it was. A process that is killed leaves the file. Raises OSError if the block wrote no file or
    `path` cannot be replaced.
    """
    # random, because containers of one machine may share the name of the host and have the same process numbers
    temporary = path.with_name(f"{path.name[:NAME_CHARACTERS]}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = str(path)  # the name that is known outside
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
