"""Writes the objects of a PDF byte by byte (ISO 32000-1): numbered objects, streams, the table at the end."""

from __future__ import annotations

import zlib


class PdfObjects:
    """The numbered objects of a PDF, counted from 1."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []

    def reserve(self) -> int:
        """Return the number of a new object whose body is put later."""
        self._bodies.append(b"")
        return len(self._bodies)

    def put(self, number: int, body: str | bytes) -> None:
        self._bodies[number - 1] = body.encode("ascii") if isinstance(body, str) else body

    def add(self, body: str | bytes) -> int:
        number = self.reserve()
        self.put(number, body)
        return number

    def add_stream(self, data: bytes, entries: str = "") -> int:
        """`entries`: further entries of the stream's dictionary."""
        head = f"<< {entries} /Length {len(data)} >>\nstream\n".encode("ascii")
        return self.add(head + data + b"\nendstream")

    def add_compressed_stream(self, data: bytes, entries: str = "") -> int:
        return self.add_stream(zlib.compress(data, 9), f"{entries} /Filter /FlateDecode")

    def serialize(self, catalog: int, info: int) -> bytes:
        """The bytes of the whole file: the objects, the cross-reference table and the trailer."""
        out = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
        offsets = []
        for number, body in enumerate(self._bodies, 1):
            offsets.append(len(out))
            out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
        table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
        size = len(offsets) + 1
        out += (
            f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n"
            f"<< /Size {size} /Root {catalog} 0 R /Info {info} 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
        ).encode("ascii")
        return bytes(out)


def text_string(text: str) -> str:
    """A PDF text string: UTF-16 with a byte order mark, in hexadecimal."""
    return f"<FEFF{text.encode('utf-16-be').hex().upper()}>"
