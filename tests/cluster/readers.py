"""Page readers that the processes of a test cluster open: they note what they read, and one kind of image ends them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from glyphline.errors import ImageError
from glyphline.imaging.documents import ImageSource
from glyphline.page import Page
from glyphline.reading.pages import PageReader
from width_reader import WidthReader


@dataclass
class NotingReader(PageReader):
    """Writes the name and the process of each image it has read to the file `log`."""

    log: str = ""
    seconds: float = 0.0  # for an image

    def read_pages(self, source: ImageSource) -> Iterator[Page]:
        name = Path(str(source)).name
        if "killer" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        if "wide" in name:
            raise ImageError("a line is too wide")
        time.sleep(self.seconds)
        yield from super().read_pages(source)
        with open(self.log, "a") as file:  # one short write is whole, also from several processes
            file.write(f"{name} {os.getpid()} {os.getppid()}\n")


def open_noting_reader(log: str, seconds: float) -> PageReader:
    return NotingReader(WidthReader(), log=log, seconds=seconds)


def noting_reader(log: Path, seconds: float = 0.0) -> Any:
    return partial(open_noting_reader, str(log), seconds)


def open_page_reader_for_test(options: Any) -> PageReader:
    """Replaces `glyphline.cli.read.open_page_reader`; the option --model is LOG|SECONDS."""
    log, _, seconds = options.model.partition("|")
    return open_noting_reader(log, float(seconds))


SCRIPT = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from cluster import readers
from glyphline.cli import main, read
read.open_page_reader = readers.open_page_reader_for_test
main()
"""
#: `glyphline read` with the reader of `open_page_reader_for_test`
READ_COMMAND = [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[1]), "read"]
