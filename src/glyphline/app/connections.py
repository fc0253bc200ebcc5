"""Connections: how many may be open, and how long one may stay open without a whole request."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from glyphline.app.limits import LIMITS


class LimitedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with limits that it lacks: connections in all, and time for the headers."""

    header_timer: asyncio.TimerHandle | None = None
    refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or end it if too many are open."""
        self.refused = len(self.connections) >= LIMITS.connections
        if self.refused:
            transport.abort()
            return
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take data from the client."""
        if not self.refused:
            super().data_received(data)
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self.header_timer:
            self.header_timer.cancel()
        if not self.refused:
            super().connection_lost(exc)

    def _watch(self) -> None:
        """Let the timer run as long as a request is expected whose headers are not complete."""
        waits = self.conn.their_state is h11.IDLE
        if waits and self.header_timer is None:
            self.header_timer = self.loop.call_later(LIMITS.header_seconds, self.transport.abort)
        elif not waits and self.header_timer:
            self.header_timer.cancel()
            self.header_timer = None


def allow_many_files() -> None:
    """Raise this process's limit of open files, which bounds its connections, to what the system permits."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted: Any = LIMITS.connections + 200
        wanted = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
