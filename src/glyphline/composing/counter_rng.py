"""Counter-based random numbers: each number is a function of its counters, not of the numbers drawn before it.

The idea: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3". The mixing function: SplitMix64 (Steele,
Lea, Flood 2014, "Fast splittable pseudorandom number generators").
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_MULTIPLIER = 0x9E3779B97F4A7C15  # the increment of SplitMix64, 2**64 divided by the golden ratio
_OFFSET = 0x632BE59BD9B4E019  # without it leading zeros among the counters would have no effect
_FACTOR_1 = 0xBF58476D1CE4E5B9
_FACTOR_2 = 0x94D049BB133111EB
_UINT64_MASK = 2**64 - 1


def random_uint64(*counters: npt.NDArray[np.uint64] | int) -> npt.NDArray[np.uint64]:
    """Random numbers, uniform over 0..2**64-1, as a function of the counters and of their order.

    counters: a seed and indices, whole numbers from -2**63 to 2**64-1; a negative one counts modulo 2**64. Arrays are
    broadcast against each other. Returns uint64 of the broadcast shape.
    Each counter is added to the state. The state is then multiplied, a constant is added, and the finalizer of
    SplitMix64 mixes it.
    """
    with np.errstate(over="ignore"):
        z = np.zeros((), np.uint64)
        for counter in counters:
            z = (z + np.asarray(counter).astype(np.uint64)) * np.uint64(_MULTIPLIER) + np.uint64(_OFFSET)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(_FACTOR_1)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(_FACTOR_2)
            z = z ^ (z >> np.uint64(31))
    return z


def random_int(*counters: int) -> int:
    """The number of `random_uint64` for whole numbers, as a Python int and without the overhead of numpy.

    counters: whole numbers of any size, taken modulo 2**64.

    >>> random_int(1, 2, 3) == int(random_uint64(1, 2, 3))
    True
    """
    z = 0
    for counter in counters:
        z = ((z + counter) * _MULTIPLIER + _OFFSET) & _UINT64_MASK
        z = ((z ^ (z >> 30)) * _FACTOR_1) & _UINT64_MASK
        z = ((z ^ (z >> 27)) * _FACTOR_2) & _UINT64_MASK
        z ^= z >> 31
    return z
