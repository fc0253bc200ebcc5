"""Damaged and hostile images: each is read, or refused with one line that names it. None crashes or fills memory.

They are read in a subprocess, which runs this file.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from glyphline.imaging.documents import Document
from hostile import CORRUPTIONS, crowded_page, hostile_images, temporary_file, valid_images

SECONDS = 20.0  # time limit for one image
MEMORY = 1.5e9  # bytes, limit of the resident memory
READ_EVERY = 3  # one image in so many is read, the others are only decoded: reading takes most of the time
PAGES = 3  # pages that are read of one file
DETECTORS = ("auto", "paper", "none")  # used in turn


class ReaderProcess:
    """A subprocess with a page reader, which may be killed or crash."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libtiff and other libraries print warnings there
            env=environment,
        )
        self.process.stdout.readline()  # the subprocess is ready

    def close(self) -> None:
        self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def read(self, path: Path, detector: str, limit: float) -> dict[str, Any]:
        """Read an image, or only decode it if the detector is "". Returns {"status", "output", "seconds", "memory"}.

        status: "read", "refused" (a GlyphlineError), "error" (any other exception), "hang" or "crash". limit: seconds.
        """
        timer = threading.Timer(limit + 5, self.process.kill)
        timer.start()
        start = time.monotonic()
        try:
            self.process.stdin.write(json.dumps([os.fsencode(path).hex(), detector]).encode() + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if line:
            return json.loads(line)
        hung = time.monotonic() - start > limit
        status = "hang" if hung else f"crash, exit {self.process.wait()}"
        return {"status": status, "output": "", "seconds": 0, "memory": 0}


def find_violations(images: Iterator[Path], limit: float = SECONDS) -> tuple[list[str], dict[str, Any]]:
    """Read images and return a message for each violation, and statistics. limit: seconds for one image."""
    violations: list[str] = []
    statistics: dict[str, Any] = {"read": 0, "refused": 0, "slowest": (0.0, ""), "largest": (0, "")}
    reader = ReaderProcess()
    try:
        for number, path in enumerate(images):
            turn, decode_only = divmod(number, READ_EVERY)
            result = reader.read(path, "" if decode_only else DETECTORS[turn % len(DETECTORS)], limit)
            name, output = repr(path.name[:80]), result["output"]
            if result["status"] == "read":
                statistics["read"] += 1
            elif result["status"] == "refused":
                statistics["refused"] += 1
                if "\n" in output or not output.isprintable():
                    violations.append(f"{name}: more than one line: {output!r}")
                if path.name.isprintable() and path.name not in output:
                    violations.append(f"{name}: the message does not name the file: {output[:200]!r}")
            else:
                violations.append(f"{name}: {result['status']}: {output[-600:]}")
            if result["seconds"] > limit:
                violations.append(f"{name}: {result['seconds']:.1f} s")
            if result["memory"] > MEMORY:
                violations.append(f"{name}: {result['memory'] / 1e6:.0f} MB")
            statistics["slowest"] = max(statistics["slowest"], (result["seconds"], name))
            statistics["largest"] = max(statistics["largest"], (result["memory"], name))
            if reader.process.poll() is not None:
                reader.close()
                reader = ReaderProcess()
    finally:
        reader.close()
    return violations, statistics


def test_valid_images_are_opened() -> None:
    """The images that are corrupted below are valid before that."""
    for name, data in valid_images().items():
        with Document(data) as document:
            height, width, _ = document.colour(0).shape
            assert min(height, width) >= 60, name


def test_corruptions_are_reproducible() -> None:
    for kind, corrupt in CORRUPTIONS.items():
        data = valid_images()["rgb.png"]
        assert corrupt(data, random.Random("1")) == corrupt(data, random.Random("1")), kind


@pytest.mark.slow
def test_hostile_images_are_read_or_refused(tmp_path: Path) -> None:
    violations, statistics = find_violations(islice(hostile_images(tmp_path, 290, include_slow=False), 0, None, 2))
    print(statistics)
    assert not violations, "\n".join(violations)
    assert statistics["read"] > 20 and statistics["refused"] > 20


@pytest.mark.slow
def test_two_thousand_hostile_images_are_read_or_refused(tmp_path: Path) -> None:
    violations, statistics = find_violations(hostile_images(tmp_path, 2200))
    print(statistics)
    assert not violations, "\n".join(violations)
    assert statistics["read"] > 200 and statistics["refused"] > 500
    assert statistics["read"] + statistics["refused"] >= 2000


@pytest.mark.slow
def test_crowded_page_stays_within_memory(tmp_path: Path) -> None:
    """The time to read some 3,000 text regions grows with their number, the memory does not."""
    violations, statistics = find_violations(temporary_file(tmp_path, "crowded.png", crowded_page()), limit=120)
    print(statistics)
    assert not violations, "\n".join(violations)


# ---------------------------------------------------------------------- inside the subprocess


def reset_peak_memory() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def serve() -> None:
    """Read the images that are requested on stdin, and print the result of each as a line of JSON."""
    from glyphline import open_reader
    from glyphline.errors import GlyphlineError
    from glyphline.memory import peak_bytes

    readers = {detector: open_reader(detector=detector) for detector in DETECTORS}
    print("ready", flush=True)
    for line in sys.stdin:
        name, detector = json.loads(line)
        path = Path(os.fsdecode(bytes.fromhex(name)))
        reset_peak_memory()
        start, output = time.monotonic(), ""
        try:
            if detector:
                output = "".join(page.text for page in islice(readers[detector].read_pages(path), PAGES))
            else:
                with Document(path) as document:
                    for number in range(min(PAGES, len(document))):
                        document.colour(number)
            status = "read"
        except GlyphlineError as error:
            status, output = "refused", str(error)
        except BaseException:
            status, output = "error", traceback.format_exc()
        result = {"status": status, "output": output, "seconds": time.monotonic() - start, "memory": peak_bytes()}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    serve()
