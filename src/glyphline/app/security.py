"""The gate before the service: who may ask, what a body may weigh, which headers every response has, and the log.

A pure ASGI middleware. It looks at headers and sizes, never at pictures or texts, and logs neither.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glyphline.app.limits import LIMITS, Limits
from glyphline.app.queue import busy

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MIN_TOKEN = 12  # characters of a token that a person chooses
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; require-trusted-types-for 'script'; trusted-types glyphline"
)
RESPONSE_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), clipboard-read=(self), clipboard-write=(self)",
}


@dataclass(frozen=True)
class Access:
    """Who may use the service.

    token: what requests to /api must carry, None for a service that only this machine reaches. hosts: the names,
    without a port, that a request may be addressed to; None for any, which only a token makes safe: without either, a
    web page could reach the service under a name of its own (DNS rebinding).
    """

    token: str | None = None
    hosts: frozenset[str] | None = LOOPBACK_NAMES

    def refusal(self, scope: Scope) -> HTTPException | None:
        """Why a request is refused, judged by its path and headers; None if it is not."""
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if self.hosts is not None and name not in self.hosts:
            return HTTPException(421, "this service does not answer to that name: add it with --allow-host")
        if scope["method"] not in READING_METHODS:
            origin = headers.get("origin")
            is_foreign = origin is not None and (urlsplit(origin).netloc.lower() or origin) != host
            if is_foreign or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                return HTTPException(403, "this request comes from another web site")
        if self.token is not None and scope["path"].startswith("/api"):
            scheme, _, token = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self.token.encode()):
                message = "a key is needed: open the address or the QR code that glyphline serve prints"
                return HTTPException(401, message, {"WWW-Authenticate": "Bearer"})
        return None


def log_to_stderr(record: dict[str, Any]) -> None:
    """Print a record of the log as one line of JSON on stderr."""
    print(json.dumps(record), file=sys.stderr, flush=True)


@dataclass
class Gate:
    """The middleware. Every request passes it.

    log: called with one record a request: time, method, path without its query, status, milliseconds, bytes.
    """

    app: ASGIApp
    access: Access = field(default_factory=Access)
    limits: Limits = LIMITS
    log: Callable[[dict[str, Any]], None] = log_to_stderr
    memory: int = 0  # bytes of the request bodies that are held now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises what the application raises."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(receive, self)
        start, status = time.monotonic(), 0
        is_api = scope["path"].startswith("/api")

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                names = {name for name, _ in message["headers"]}
                policy = "default-src 'none'; sandbox" if is_api else PAGE_POLICY
                cache = "no-store" if is_api else "no-cache"
                wanted = RESPONSE_HEADERS | {"content-security-policy": policy, "cache-control": cache}
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in wanted.items() if k.encode() not in names),
                ]
            await asyncio.wait_for(send(message), self.limits.send_seconds)

        try:
            if refusal := self.access.refusal(scope) or self._oversize(scope):
                await body.discard()
                response = JSONResponse({"error": refusal.detail}, refusal.status_code, refusal.headers)
                await response(scope, receive, send_with_headers)
            else:
                await self.app(scope, body.receive, send_with_headers)
        finally:
            self.memory -= body.size
            self.log(
                {
                    "time": round(time.time(), 3), "method": scope["method"], "path": printable_path(scope["path"]),
                    "status": status, "ms": round(1000 * (time.monotonic() - start)), "bytes": body.size,
                }
            )  # fmt: skip

    def _oversize(self, scope: Scope) -> HTTPException | None:
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared) > self.limits.body_bytes:
            return self.too_large()
        return None

    def too_large(self) -> HTTPException:
        """The refusal of a body that is larger than the limit."""
        return HTTPException(413, f"larger than {self.limits.body_bytes >> 20} MB: shrink or crop the picture first")


def printable_path(path: str) -> str:
    """The path of a request for the log: the first 80 characters, those that are not printable as question marks."""
    return "".join(c if c.isprintable() else "?" for c in path[:80])


class _Body:
    """The body of a request as it arrives: its size and its time are limited."""

    def __init__(self, receive: Receive, gate: Gate) -> None:
        self._receive, self._gate = receive, gate
        self._deadline = time.monotonic() + gate.limits.body_seconds
        self._complete = False
        self.size = 0  # bytes that are held

    async def receive(self) -> Message:
        """The next message. Raises HTTPException: 408 too slow, 413 too large, 503 if all bodies are too many."""
        if self._complete:  # what comes now is the end of the connection
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self._deadline - time.monotonic()))
        except TimeoutError:
            seconds = self._gate.limits.body_seconds
            raise HTTPException(408, f"the body did not arrive within {seconds:g} s: send a smaller one") from None
        size = len(message.get("body", b""))
        self.size += size
        self._gate.memory += size
        self._complete = not message.get("more_body", False)
        if self.size > self._gate.limits.body_bytes:
            raise self._gate.too_large()
        if self._gate.memory > self._gate.limits.memory_bytes:
            raise busy(5)
        return message

    async def discard(self) -> None:
        """Take a small body off the connection, so that the client gets to read the refusal. Takes 2 s at most."""
        taken, deadline = 0, time.monotonic() + 2
        while not self._complete and taken < 2**20:
            try:
                message = await asyncio.wait_for(self._receive(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                return
            taken += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)


def check_token(token: str) -> str:
    """The token if it is fit to be sent in a header and long enough. Raises ValueError with the reason."""
    if len(token) < MIN_TOKEN:
        raise ValueError(f"has {len(token)} characters: give at least {MIN_TOKEN}")
    if not all("!" <= c <= "~" for c in token):
        raise ValueError("has spaces or characters outside ASCII: give letters and digits")
    return token


def host_names(names: Iterable[str]) -> frozenset[str]:
    """The names of `Access.hosts` for names and IP addresses: lower case, IPv6 addresses in brackets.

    >>> sorted(host_names(["Example.org", "fe80::1"]))
    ['[fe80::1]', 'example.org']
    """
    return frozenset(
        f"[{name}]" if ":" in name and not name.startswith("[") else name for name in map(str.lower, names)
    )
