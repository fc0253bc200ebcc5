"""Runs the service on a socket until it is told to stop."""

from __future__ import annotations

import json
import logging
import socket
import time
from pathlib import Path
from types import FrameType

import uvicorn

from glyphline.app.connections import LimitedProtocol, allow_many_files
from glyphline.app.server import Service, create_app
from glyphline.errors import GlyphlineError, UserError


class JsonFormatter(logging.Formatter):
    """Formats the server's own messages as the log of requests is: one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON: time, level, message and, for an exception, its class and where it was raised."""
        data = {"time": round(time.time(), 3), "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info and record.exc_info[1]:
            error, place = record.exc_info[1], record.exc_info[2]
            while place and place.tb_next:
                place = place.tb_next
            data["exception"] = type(error).__name__
            data["place"] = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
        return json.dumps(data)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises UserError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)  # clients wait from now on, while the models are opened
    except (OSError, OverflowError) as error:
        sock.close()
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot listen on {host} port {port} ({reason}): give another --host or --port") from None
    return sock


class _Server(uvicorn.Server):
    """Ends a teaching as soon as the service is told to stop: it takes long, and its clients would hold up the end."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._service.teacher:
            self._service.teacher.interrupt()
        super().handle_exit(sig, frame)


def run(service: Service, sock: socket.socket, certificate: Path | None = None) -> None:
    """Serve until SIGINT or SIGTERM; requests that run then get time to end.

    certificate: a PEM file with a key and its certificate, None for http. Raises GlyphlineError if the reader does not
    start.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    allow_many_files()
    config = uvicorn.Config(
        create_app(service), http=LimitedProtocol, ws="none", loop="asyncio", lifespan="on", log_config=None,
        access_log=False, log_level="warning", server_header=False, proxy_headers=False, backlog=1024,
        timeout_keep_alive=5, timeout_graceful_shutdown=service.limits.shutdown_seconds,
        ssl_certfile=certificate, ssl_keyfile=certificate,
    )  # fmt: skip
    server = _Server(config, service)
    try:
        server.run(sockets=[sock])
    finally:
        service.reader.close()
        sock.close()
    if not server.started:
        raise GlyphlineError("the service did not start: the log above says why")
