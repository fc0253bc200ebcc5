"""Long work of the service, which goes on when its client leaves, and the stream that tells its steps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi.responses import StreamingResponse

from glyphline.errors import GlyphlineError

Report = Callable[[dict[str, Any]], None]  # receives a step; may be called from any thread


class Steps:
    """The steps of work that begins at once. Made inside the event loop.

    work: takes a Report and returns the last step. name: of the work, the subject of the message if it fails.
    """

    def __init__(self, work: Callable[[Report], Awaitable[dict[str, Any]]], name: str) -> None:
        self._steps: list[dict[str, Any]] = []
        self._error: GlyphlineError | None = None  # that ended the work
        self.is_over = False
        self._news = asyncio.Event()  # a new one for each step
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(work, name))

    async def _run(self, work: Callable[[Report], Awaitable[dict[str, Any]]], name: str) -> None:
        try:
            last = await work(self._report)
        except GlyphlineError as error:
            self._error = error
        except asyncio.CancelledError:
            self._error = GlyphlineError(f"{name} was ended with the service")
        except Exception as error:  # the client waits for an answer
            self._error = GlyphlineError(f"{name} failed ({type(error).__name__}): try it again")
        self.is_over = True
        self._add({"error": str(self._error)} if self._error else last)

    def _report(self, step: dict[str, Any]) -> None:
        self._loop.call_soon_threadsafe(self._add, step)

    def _add(self, step: dict[str, Any]) -> None:
        self._steps.append(step)
        self._news.set()
        self._news = asyncio.Event()

    @property
    def last(self) -> dict[str, Any] | None:
        """The newest step; None before the first. Work that failed ends with {"error": a sentence}."""
        return self._steps[-1] if self._steps else None

    async def wait(self) -> None:
        """Wait for the end of the work."""
        await asyncio.wait([self._task])

    async def cancel(self) -> None:
        """End the work where it awaits something, and wait for its end."""
        self._task.cancel()
        await self.wait()

    async def response(self, is_new: bool = True) -> StreamingResponse:
        """The steps as JSON objects, one a line, as they come.

        is_new: begin with the first step, and raise the GlyphlineError of work that fails before it; otherwise begin
        with the newest one.
        """
        begin = 0 if is_new else max(0, len(self._steps) - 1)
        await self._arrival(begin)
        if is_new and self._error and len(self._steps) == 1:
            raise self._error
        headers = {"X-Accel-Buffering": "no"}  # nginx would keep the steps of minutes back
        return StreamingResponse(self._lines(begin), media_type="application/x-ndjson", headers=headers)

    async def _lines(self, position: int) -> AsyncIterator[str]:
        while not self.is_over or position < len(self._steps):
            await self._arrival(position)
            yield json.dumps(self._steps[position]) + "\n"
            position += 1

    async def _arrival(self, position: int) -> None:
        while len(self._steps) <= position:
            await self._news.wait()
