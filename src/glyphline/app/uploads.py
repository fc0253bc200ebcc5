"""Uploaded files: parsed from multipart bodies in memory. Nothing is written to disk."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fastapi import HTTPException, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from glyphline.app.limits import LIMITS
from glyphline.app.reader_process import Correction

FIELD, CORRECTIONS, MINUTES = "file", "corrections", "minutes"
MAX_NAME = 100  # characters of a file name that are kept
MAX_PLACE = 1e6  # px, of a corrected line


@dataclass
class Upload:
    """A file of a form: its name without folders, its bytes, and the other fields of the form."""

    name: str
    data: bytes
    fields: dict[str, bytes] = field(default_factory=dict)

    @property
    def corrections(self) -> dict[int, Correction]:
        """Number of a line of the first page -> what a person typed for it.

        Raises HTTPException (422) for a field of another form.
        """
        return _parse_corrections(self.fields[CORRECTIONS]) if CORRECTIONS in self.fields else {}

    def minutes(self, default: float, limit: float) -> float:
        """The field `minutes`. Raises HTTPException (422) for another value than a number from 1 to `limit`."""
        text = self.fields.get(MINUTES, b"").decode("utf-8", "replace")
        with suppress(ValueError):
            if 1 <= (minutes := float(text or default)) <= limit:
                return minutes
        raise HTTPException(422, f"{MINUTES} is a number from 1 to {limit:g}, not {text[:20]!r}")


@dataclass
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)


def clean_name(name: str) -> str:
    """The name of a file without folders and without characters that are not printable, at most MAX_NAME long.

    >>> clean_name("../../etc/passwd"), clean_name("C:\\\\photos\\\\a\\nb.png"), clean_name("..")
    ('passwd', 'ab.png', 'picture')
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(c for c in last if c.isprintable()).strip()
    return printable[-MAX_NAME:] if printable.strip(".") else "picture"


async def receive_upload(request: Request, what: str = "picture") -> Upload:
    """The only file of the field `file` of a multipart/form-data request, and the fields that are no files.

    what: the file is, for messages. Raises HTTPException: 415 for another type of body, 400 for a malformed one, 422
    for one without exactly one file.
    """
    kind, options = parse_options_header(request.headers.get("content-type", "").encode("latin-1"))
    if kind != b"multipart/form-data" or not (boundary := options.get(b"boundary")):
        raise HTTPException(415, f"send the {what} as multipart/form-data, in the field {FIELD}")
    parts: list[_Part] = []
    header_name, header_value = bytearray(), bytearray()

    def end_header() -> None:
        parts[-1].headers[bytes(header_name).lower()] = bytes(header_value)
        header_name.clear()
        header_value.clear()

    def begin_part() -> None:
        if len(parts) >= 8:
            raise HTTPException(400, f"the form has more than 8 parts: send only the {what}")
        parts.append(_Part())

    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": begin_part,
                "on_header_field": lambda data, start, end: header_name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: header_value.extend(data[start:end]),
                "on_header_end": end_header,
                "on_part_data": lambda data, start, end: parts[-1].data.extend(data[start:end]),
            },
        )
        async for chunk in request.stream():
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise HTTPException(400, f"the form is malformed ({error}): send multipart/form-data") from None
    files: list[Upload] = []
    fields: dict[str, bytes] = {}
    for part in parts:
        _, disposition = parse_options_header(part.headers.get(b"content-disposition", b""))
        name = disposition.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" not in disposition:
            fields[name] = bytes(part.data)
        elif name == FIELD:
            file_name = clean_name(disposition[b"filename"].decode("utf-8", "replace"))
            files.append(Upload(file_name, bytes(part.data), fields))
    if len(files) != 1:
        raise HTTPException(422, f"send exactly one {what} in the field {FIELD}; {len(files)} arrived")
    return files[0]


def _parse_corrections(data: bytes) -> dict[int, Correction]:
    """Number of a line -> what a person typed for it. Raises HTTPException (422) for anything else."""
    try:
        return {int(number): _parse_correction(value) for number, value in json.loads(data).items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        form = '{"0": "text of the first line"}'
        raise HTTPException(422, f"{CORRECTIONS} are a JSON object of line numbers and texts: {form}") from None


def _parse_correction(value: Any) -> Correction:
    """A text, or an object of a text and a polygon. Raises ValueError, TypeError or KeyError for anything else."""
    text, points = (value["text"], value["polygon"]) if isinstance(value, dict) else (value, ())
    polygon = tuple((float(x), float(y)) for x, y in points)
    is_place = 3 <= len(polygon) <= LIMITS.polygon_points and all(
        abs(v) < MAX_PLACE for point in polygon for v in point
    )
    if not isinstance(text, str) or len(text) > LIMITS.characters or not (is_place or points == ()):
        raise ValueError
    return Correction(" ".join(text.split()), polygon)
