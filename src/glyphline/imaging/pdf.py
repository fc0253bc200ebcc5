"""The pages of a PDF, drawn by a process of its own that is ended when it wants too much: PDFium cannot be interrupted.

A few hundred bytes of forms within forms keep it busy for hours and fill any memory, and what crashes it crashes the
process it runs in. That process runs this file: it reads the PDF, then numbers of pages, and answers each with a line
of JSON, a page also with its pixels.
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

DPI = 200  # px an inch at which a page is drawn
PIXELS = 25_000_000  # px; larger pages are drawn at fewer an inch
SECONDS = 12  # for one page
MEMORY = 800 * 2**20  # bytes the process may address; most pages take a tenth


class Pdf:
    """The pages of a PDF, each drawn when it is asked for.

    Raises ImageError, without the name of the file, for what is damaged, locked, too large or endless.
    """

    def __init__(self, data: bytes) -> None:
        path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "glyphline.imaging.pdf"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # PDFium's talk
            env={**os.environ, "PYTHONPATH": path},
        )
        self.close = weakref.finalize(self, _end, self._process)
        self._broken = ""  # why no more pages can be drawn
        self.count: int = self._answer(b"%d\n" % len(data), data)["pages"]

    def page(self, number: int) -> tuple[int, int, bytes]:
        """Page `number`, from 0: its width and height in px, and its pixels (H, W, 3)."""
        drawn = self._answer(b"%d\n" % number)
        return drawn["width"], drawn["height"], drawn["pixels"]

    def _answer(self, *asked: bytes) -> dict[str, Any]:
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(SECONDS, stop)
        timer.daemon = True
        timer.start()
        try:
            answer = {"error": self._broken} if self._broken else self._exchanged(asked)
        except (OSError, ValueError, EOFError):  # the process is gone
            why = f"takes longer than {SECONDS} s to draw" if late.is_set() else "breaks or overfills what draws it"
            self._broken = f"{why}: print it into a new PDF, or save its pages as PNG"
            answer = {"error": self._broken}
        finally:
            timer.cancel()
        if "error" in answer:
            raise ImageError(answer["error"])
        return answer

    def _exchanged(self, asked: tuple[bytes, ...]) -> dict[str, Any]:
        told, heard = self._process.stdin, self._process.stdout
        assert told and heard
        for part in asked:
            told.write(part)
        told.flush()
        answer: dict[str, Any] = json.loads(heard.readline())
        if size := answer.get("bytes"):
            answer["pixels"] = heard.read(size)
            if len(answer["pixels"]) < size:
                raise EOFError
        return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):  # what was not yet written goes nowhere
                pipe.close()
    process.wait()


# ---------------------------------------------------------------------- inside the process


def _limited() -> None:
    """No more memory than MEMORY, where the system knows such limits."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _alarm(seconds: int) -> None:
    """End this process after some seconds, even inside PDFium, should the one that asks be gone; 0: no more."""
    with suppress(ImportError, AttributeError):
        import signal

        signal.alarm(seconds)


def _opened(data: bytes) -> Any:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise ImageError("is locked with a password: save it without one") from None
        raise ImageError(f"is no whole PDF ({error}): save or copy it again") from None


def _drawn(pdf: Any, number: int) -> Any:
    """A page as PDFium's bitmap: at DPI, or as many px an inch as PIXELS allow."""
    import pypdfium2

    try:
        page = pdf[number]
        wide, tall = page.get_size()  # points, 72 an inch
        scale = min(DPI / 72, (PIXELS / max(1.0, wide * tall)) ** 0.5)
        if not (wide * scale >= 1 and tall * scale >= 1):  # so too for sizes that are no numbers
            raise ImageError(f"measures {wide:g} x {tall:g} points: nothing can be drawn of it")
        return page.render(scale=scale, rev_byteorder=True)
    except pypdfium2.PdfiumError as error:
        raise ImageError(f"cannot be drawn ({error}): save or copy the PDF again") from None


def _serve() -> None:
    """Answer until no more is asked."""
    _limited()
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    pdf: Any = None
    for line in asked:
        _alarm(SECONDS + 3)
        pixels = b""
        try:
            if pdf is None:
                pdf = _opened(asked.read(int(line)))
                answer: dict[str, Any] = {"pages": len(pdf)}
            else:
                bitmap = _drawn(pdf, int(line))
                rows = memoryview(bitmap.buffer).cast("B")
                wide, stride = 3 * bitmap.width, bitmap.stride
                pixels = b"".join(rows[y * stride : y * stride + wide] for y in range(bitmap.height))
                answer = {"width": bitmap.width, "height": bitmap.height, "bytes": len(pixels)}
        except ImageError as error:
            answer = {"error": str(error)}
        except (MemoryError, ValueError, OverflowError, RuntimeError) as error:
            answer = {"error": f"cannot be drawn ({type(error).__name__}): save or copy the PDF again"}
        told.write(json.dumps(answer).encode() + b"\n" + pixels)
        told.flush()
        _alarm(0)


if __name__ == "__main__":
    _serve()
