"""The limits of the service. `docs/run-as-a-service.md` states them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one client, or all of them together, may take. A request beyond a limit is refused with its reason."""

    body_bytes: int = 24 * 2**20  # of one request; the page shrinks pictures to less than 1 MB
    memory_bytes: int = 256 * 2**20  # of all request bodies that are being received, wait, or are read
    body_seconds: float = 60.0  # until a request body has arrived
    header_seconds: float = 10.0  # until the headers of a request have arrived
    send_seconds: float = 60.0  # until a client has taken a part of the response
    read_seconds: float = 60.0  # of one picture in the reader, which is then ended and started anew
    pages: int = 20  # of one document; longer ones are for `glyphline read`
    waiting: int = 64  # requests that wait for the reader or are read; translation and speech have a queue each
    characters: int = 5000  # of a text that is translated or spoken
    polygon_points: int = 400  # of the place of a line that was corrected
    lines: int = 5000  # that a reader is taught with; as many as the page keeps
    unpacked_bytes: int = 64 * 2**20  # of these lines and their labels
    connections: int = 4000  # open at once, also those that send nothing
    shutdown_seconds: int = 30  # that running requests get to end


LIMITS = Limits()
