"""The memory of processes and of the machine."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from pathlib import Path


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next training step instead of returning it to the kernel.

    Otherwise the kernel maps and clears activations of tens of MB anew at each step, which takes a fifth of a step's
    time on a CPU. It applies to the whole process. Does nothing where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 64 * 2**20)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            mallopt(option, value)


def process_bytes(process: int | str, field: str) -> int | None:
    """A size in /proc/PROCESS/status, such as VmRSS, the resident memory. None where Linux does not tell it.

    process: a process number, or "self". A process that has ended has no sizes.
    """
    with contextlib.suppress(OSError):
        for row in Path(f"/proc/{process}/status").read_text().splitlines():
            if row.startswith(f"{field}:"):
                return 1024 * int(row.split()[1])
    return None


def peak_bytes() -> int | None:
    """The greatest memory that this process has taken so far. None on Windows.

    On Linux it is not the field ru_maxrss of getrusage, which begins with the peak of the process that started this
    one.
    """
    if sys.platform == "win32":
        return None
    if (peak := process_bytes("self", "VmHWM")) is not None:
        return peak
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def free_bytes() -> int | None:
    """The memory of the machine and its container that is free. None if unknown."""
    limits = []
    meminfo, cgroup = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    if meminfo.exists():
        row = next(row for row in meminfo.read_text().splitlines() if row.startswith("MemAvailable"))
        limits.append(1024 * int(row.split()[1]))
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit
        limits.append(int((cgroup / "memory.max").read_text()) - int((cgroup / "memory.current").read_text()))
    return max(0, min(limits)) if limits else None
