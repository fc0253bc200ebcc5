"""Tests of the memory of this process and of the machine."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from glyphline.memory import free_bytes, peak_bytes

MEASURE = "from glyphline.memory import peak_bytes; print(peak_bytes())"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no peak of one process alone")
def test_peak_is_of_this_process_not_of_the_one_that_started_it() -> None:
    held = np.ones(300 * 2**20, np.uint8)
    child = int(subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, check=True, text=True).stdout)
    own = peak_bytes()
    assert own is not None and child < held.nbytes <= own


def test_free_memory_of_the_machine_is_known_on_linux() -> None:
    free = free_bytes()
    assert (free is not None and free > 0) or sys.platform != "linux"
