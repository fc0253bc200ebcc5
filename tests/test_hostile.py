"""Damaged and hostile images: each ends in text or in one line that names it; none crashes, hangs or fills memory.

They are read in a process of their own, which this file is when it is run.
"""

from __future__ import annotations

import json
import os
import random
import resource
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
from hostile import DAMAGES, crowded, for_a_while, hostile, sound

SECONDS = 20.0  # for one image
MEMORY = 1.5e9  # bytes resident
WHOLE = 3  # every so many-th is read, the others are opened and unpacked: reading takes most of the time
PAGES = 3  # of one file
DETECTORS = ("auto", "paper", "none")  # in turn


class Victim:
    """A process with the real reader in it, which may die."""

    def __init__(self) -> None:
        here = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what libtiff and others print
            env=here,
        )
        self.process.stdout.readline()  # it is ready

    def __enter__(self) -> Victim:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def read(self, path: Path, detector: str, limit: float) -> dict[str, Any]:
        """How it ended: {"end", "said", "seconds", "memory"}; without a detector it is only opened."""
        timer = threading.Timer(limit + 5, self.process.kill)
        timer.start()
        began = time.monotonic()
        try:
            self.process.stdin.write(json.dumps([os.fsencode(path).hex(), detector]).encode() + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if line:
            return json.loads(line)
        hung = time.monotonic() - began > limit
        return {"end": "hang" if hung else f"crash, exit {self.process.wait()}", "said": "", "seconds": 0, "memory": 0}


def violations(images: Iterator[Path], seconds: float = SECONDS) -> tuple[list[str], dict[str, Any]]:
    """What was not as it should be, and what it took."""
    wrong: list[str] = []
    most: dict[str, Any] = {"read": 0, "refused": 0, "slowest": (0.0, ""), "largest": (0, "")}
    victim = Victim()
    try:
        for number, path in enumerate(images):
            turn, opened = divmod(number, WHOLE)
            told = victim.read(path, "" if opened else DETECTORS[turn % len(DETECTORS)], seconds)
            name = repr(path.name[:80])
            if told["end"] == "text":
                most["read"] += 1
            elif told["end"] == "named":
                most["refused"] += 1
                if "\n" in told["said"] or not told["said"].isprintable():
                    wrong.append(f"{name}: more than one line: {told['said']!r}")
                if path.name.isprintable() and path.name not in told["said"]:
                    wrong.append(f"{name}: does not say which: {told['said'][:200]!r}")
            else:
                wrong.append(f"{name}: {told['end']}: {told['said'][-600:]}")
            if told["seconds"] > seconds:
                wrong.append(f"{name}: {told['seconds']:.1f} s")
            if told["memory"] > MEMORY:
                wrong.append(f"{name}: {told['memory'] / 1e6:.0f} MB")
            most["slowest"] = max(most["slowest"], (told["seconds"], name))
            most["largest"] = max(most["largest"], (told["memory"], name))
            if victim.process.poll() is not None:
                victim.__exit__()
                victim = Victim()
    finally:
        victim.__exit__()
    return wrong, most


def test_the_sound_ones_are_opened() -> None:
    """Or all that follows would prove nothing."""
    for name, data in sound().items():
        with Document(data) as pages:
            high, wide, _ = pages.colour(0).shape
            assert min(high, wide) >= 60, name


def test_hostile_pictures_are_the_same_every_time() -> None:
    for kind, damage in DAMAGES.items():
        data = sound()["rgb.png"]
        assert damage(data, random.Random("1")) == damage(data, random.Random("1")), kind


def test_some_hostile_pictures(tmp_path: Path) -> None:
    wrong, most = violations(islice(hostile(tmp_path, 290, slow=False), 0, None, 2))
    print(most)
    assert not wrong, "\n".join(wrong)
    assert most["read"] > 20 and most["refused"] > 20


@pytest.mark.slow
def test_two_thousand_hostile_pictures(tmp_path: Path) -> None:
    wrong, most = violations(hostile(tmp_path, 2200))
    print(most)
    assert not wrong, "\n".join(wrong)
    assert most["read"] > 200 and most["refused"] > 500
    assert most["read"] + most["refused"] >= 2000


@pytest.mark.slow
def test_a_crowded_page(tmp_path: Path) -> None:
    """Some 3,000 pieces of text: they take as long to read as they are many, but no more memory."""
    wrong, most = violations(for_a_while(tmp_path, "crowded.png", crowded()), seconds=120)
    print(most)
    assert not wrong, "\n".join(wrong)


# ---------------------------------------------------------------------- inside the process


def peak() -> int:
    """Bytes, the most that were resident since the last reset."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return 1024 * next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def reset() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def read_what_is_named() -> None:
    from glyphline import open_reader
    from glyphline.errors import GlyphlineError

    readers = {detector: open_reader(detector=detector) for detector in DETECTORS}
    print("ready", flush=True)
    for line in sys.stdin:
        name, detector = json.loads(line)
        path = Path(os.fsdecode(bytes.fromhex(name)))
        reset()
        began, said = time.monotonic(), ""
        try:
            if detector:
                said = "".join(page.text for page in islice(readers[detector].read_pages(path), PAGES))
            else:
                with Document(path) as pages:
                    for number in range(min(PAGES, len(pages))):
                        pages.colour(number)
            end = "text"
        except GlyphlineError as error:
            end, said = "named", str(error)
        except BaseException as error:
            end, said = "unnamed", f"{type(error).__name__}: {error}"
            said = traceback.format_exc()
        print(json.dumps({"end": end, "said": said, "seconds": time.monotonic() - began, "memory": peak()}), flush=True)


if __name__ == "__main__":
    read_what_is_named()
