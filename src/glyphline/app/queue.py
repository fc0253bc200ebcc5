"""A bounded queue of requests: one at a time is served, in the order of arrival. A full queue refuses at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException


def busy(seconds: float) -> HTTPException:
    """The refusal of a request that there is no room for. seconds: after which it may be tried again."""
    wait = max(1, math.ceil(seconds))
    return HTTPException(503, f"too many requests are waiting: try again in {wait} s", {"Retry-After": str(wait)})


class Queue:
    """Requests that take turns.

    limit: requests that wait or are served, at most. seconds: a first estimate of how long one takes.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.waiting = 0  # requests that wait or are served
        self.served = 0  # requests that had their turn
        self.seconds = seconds  # running mean of how long a request takes
        self._lock = asyncio.Lock()  # wakes those who wait in the order of arrival

    def check(self) -> None:
        """Raise HTTPException (503 with Retry-After) if the queue is full."""
        if self.waiting >= self.limit:
            raise busy(self.waiting * self.seconds)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn; it lasts until the end of the block. Raises as `check` does."""
        self.check()
        self.waiting += 1
        try:
            async with self._lock:
                start = time.monotonic()
                yield
                self.served += 1
                self.seconds += 0.2 * (time.monotonic() - start - self.seconds)
        finally:
            self.waiting -= 1

    @asynccontextmanager
    async def pause(self) -> AsyncIterator[None]:
        """Wait until none is served, and let none be served until the end of the block. Takes no place in the queue."""
        async with self._lock:
            yield
