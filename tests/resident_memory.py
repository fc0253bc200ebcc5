"""The resident memory of a process that a test watches."""

from __future__ import annotations

from glyphline.memory import process_bytes


def resident_megabytes(process: int) -> float:
    size = process_bytes(process, "VmRSS")
    assert size is not None
    return size / 2**20
