"""Render the pages of a PDF in a subprocess, which is killed when it exceeds its limits of time or memory.

PDFium cannot be interrupted. Nested forms of a few hundred bytes keep it busy for hours and fill any memory. A crash
of PDFium ends the process that it runs in. The subprocess runs this file. Its input is the size of the PDF, the PDF,
and then page numbers, one a line. It answers each with one line of JSON. The pixels of a page follow that line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from glyphline.errors import ImageError

DPI = 200  # px an inch at which a page is rendered
PIXELS = 25_000_000  # px of a rendered page; larger pages are rendered at a lower resolution
SECONDS = 12  # time limit for one page
MEMORY = 800 * 2**20  # bytes of address space of the subprocess; most pages take a tenth


class Pdf:
    """The pages of a PDF. Each is rendered when it is requested. `count` is their number, `close` ends the subprocess.

    data: the bytes of the file. Raises ImageError, without the file name, if the PDF is damaged or locked, or if it
    exceeds SECONDS or MEMORY.
    """

    def __init__(self, data: bytes) -> None:
        path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "glyphline.imaging.pdf"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # PDFium prints warnings there
            env={**os.environ, "PYTHONPATH": path},
        )
        self.close = weakref.finalize(self, _kill, self._process)
        self._failure = ""  # error message for all further pages, once the subprocess is dead
        self.count: int = self._request(b"%d\n" % len(data), data)["pages"]

    def page(self, number: int) -> tuple[int, int, bytes]:
        """Render page `number`, from 0. Returns its width and height in px, and its pixels (H, W, 3), RGB, as bytes.

        The resolution is DPI, or lower for a page that would exceed PIXELS. Raises ImageError for a page that cannot be
        rendered, and for every page after one that ended the subprocess.
        """
        response = self._request(b"%d\n" % number)
        return response["width"], response["height"], response["pixels"]

    def _request(self, *messages: bytes) -> dict[str, Any]:
        """Send a request and return the response. Kills the subprocess after SECONDS."""
        timed_out = threading.Event()

        def stop() -> None:
            timed_out.set()
            self._process.kill()

        timer = threading.Timer(SECONDS, stop)
        timer.daemon = True
        timer.start()
        try:
            response = {"error": self._failure} if self._failure else self._exchange(messages)
        except (OSError, ValueError, EOFError):  # the subprocess is dead
            if timed_out.is_set():
                reason = f"takes longer than {SECONDS} s to render"
            else:
                reason = "crashes the PDF renderer or exceeds its memory"
            self._failure = f"{reason}: print it into a new PDF, or save its pages as PNG"
            response = {"error": self._failure}
        finally:
            timer.cancel()
        if "error" in response:
            raise ImageError(response["error"])
        return response

    def _exchange(self, messages: tuple[bytes, ...]) -> dict[str, Any]:
        requests, responses = self._process.stdin, self._process.stdout
        assert requests and responses
        for message in messages:
            requests.write(message)
        requests.flush()
        response: dict[str, Any] = json.loads(responses.readline())
        if size := response.get("bytes"):
            response["pixels"] = responses.read(size)
            if len(response["pixels"]) < size:
                raise EOFError
        return response


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):  # closing flushes the buffer into a pipe that nobody reads
                pipe.close()
    process.wait()


# ---------------------------------------------------------------------- inside the subprocess


def _limit_memory() -> None:
    """Limit the address space of this process to MEMORY, if the operating system supports it."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _set_alarm(seconds: int) -> None:
    """End this process after `seconds`, even inside PDFium, in case the parent process is gone. 0 cancels the alarm."""
    with suppress(ImportError, AttributeError):
        import signal

        signal.alarm(seconds)


def _open_document(data: bytes) -> Any:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise ImageError("is locked with a password: save it without one") from None
        raise ImageError(f"is not a complete PDF ({error}): save or copy it again") from None


def _render(pdf: Any, number: int) -> Any:
    """Render a page as a bitmap of PDFium, at DPI or at the resolution that gives PIXELS, whichever is lower."""
    import pypdfium2

    try:
        page = pdf[number]
        width, height = page.get_size()  # points, 72 an inch
        scale = min(DPI / 72, (PIXELS / max(1.0, width * height)) ** 0.5)
        if not (width * scale >= 1 and height * scale >= 1):  # also true for NaN
            raise ImageError(f"measures {width:g} x {height:g} points, less than 1 px: it cannot be rendered")
        return page.render(scale=scale, rev_byteorder=True)
    except pypdfium2.PdfiumError as error:
        raise ImageError(f"cannot be rendered ({error}): save or copy the PDF again") from None


def _serve() -> None:
    """Answer requests until the input ends."""
    _limit_memory()
    requests, responses = sys.stdin.buffer, sys.stdout.buffer
    pdf: Any = None
    for line in requests:
        _set_alarm(SECONDS + 3)
        pixels = b""
        try:
            if pdf is None:
                pdf = _open_document(requests.read(int(line)))
                response: dict[str, Any] = {"pages": len(pdf)}
            else:
                bitmap = _render(pdf, int(line))
                rows = memoryview(bitmap.buffer).cast("B")
                row_bytes, stride = 3 * bitmap.width, bitmap.stride
                pixels = b"".join(rows[y * stride : y * stride + row_bytes] for y in range(bitmap.height))
                response = {"width": bitmap.width, "height": bitmap.height, "bytes": len(pixels)}
        except ImageError as error:
            response = {"error": str(error)}
        except (MemoryError, ValueError, OverflowError, RuntimeError) as error:
            response = {"error": f"cannot be rendered ({type(error).__name__}): save or copy the PDF again"}
        responses.write(json.dumps(response).encode() + b"\n" + pixels)
        responses.flush()
        _set_alarm(0)


if __name__ == "__main__":
    _serve()
