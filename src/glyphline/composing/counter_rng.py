"""Counter-based random numbers: number k of line i is known without the numbers before it (Salmon et al. 2011)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def random_uint64(*numbers: npt.NDArray[np.uint64] | int) -> npt.NDArray[np.uint64]:
    """A well-stirred 64-bit number of several, by broadcasting: SplitMix64 (Steele, Lea, Flood 2014) over their sum."""
    with np.errstate(over="ignore"):
        z = np.zeros((), np.uint64)
        for number in numbers:
            z = (z + np.asarray(number).astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(
                0x632BE59BD9B4E019
            )
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
    return z


_MASK = 2**64 - 1


def random_int(*numbers: int) -> int:
    """`random_uint64` of whole numbers, the same value without numpy's cost for a single one.

    >>> random_int(1, 2, 3) == int(random_uint64(1, 2, 3))
    True
    """
    z = 0
    for number in numbers:
        z = ((z + number) * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        z ^= z >> 31
    return z
