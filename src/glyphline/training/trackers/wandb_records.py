"""Reads the records of offline W&B runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK, HEADER = 32768, 7  # bytes of LevelDB's log format; the file begins with a header of 7 bytes
LOOK_SECONDS = 0.02  # between two looks at a file that is being written


def read_records(path: Path) -> Iterator[Any]:
    """The records of a .wandb file: protocol buffers in the framing of LevelDB's log.

    Of a file that is being written these are the ones that are whole. Raises OSError if it cannot be read.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, record = path.read_bytes(), HEADER, b""
    while position + HEADER <= len(data):
        if BLOCK - position % BLOCK < HEADER:  # the rest of a block is too short for a header
            position += BLOCK - position % BLOCK
            continue
        length, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        record += data[position + HEADER : position + HEADER + length]
        position += HEADER + length
        if position > len(data):
            return
        if kind in (1, 4):  # a whole record, or the last part of one
            yield Record.FromString(record)
            record = b""


def wait_for_exit(path: Path, seconds: float) -> bool:
    """Wait until a .wandb file ends with the record of the run's end. Returns whether it does within so many seconds.

    wandb's process writes the last records of an offline run when `finish` has returned already.
    Raises OSError if the file cannot be read.
    """
    ends, size = time.monotonic() + seconds, -1
    while time.monotonic() < ends:
        before, size = size, path.stat().st_size
        if size != before:
            *_, last = (None, *(record.WhichOneof("record_type") for record in read_records(path)))
            if last == "exit":
                return True
        time.sleep(LOOK_SECONDS)
    return False


def find_run_files(folder: Path) -> list[Path]:
    """The .wandb files in a run folder, in the order of their start."""
    return sorted(folder.glob("wandb/offline-run-*/*.wandb"))


def item_names(items: Any) -> set[str]:
    """The names of the items of a history or summary record, without those of W&B itself."""
    names = {item.key or item.nested_key[0] for item in items}
    return {name for name in names if name[0] != "_"}


def read_history(folder: Path) -> list[tuple[int, str]]:
    """(step, name) of every metric and table in all offline runs of a run folder."""
    histories = (record.history for path in find_run_files(folder) for record in read_records(path))
    return [(history.step.num, name) for history in histories for name in sorted(item_names(history.item))]
