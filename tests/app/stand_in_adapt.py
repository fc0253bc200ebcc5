"""Stand-ins for the training of `glyphline adapt`. A module of its own, because a process that learns imports it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from glyphline.errors import GlyphlineError, MissingPackage, UserError

Say = Callable[[str], None]


def result(kept: bool) -> dict[str, Any]:
    """What `adapt` returns, as a dictionary."""
    own = {"lines": 5, "before": 0.2, "after": 0.1 if kept else 0.2, "right_before": 1, "right_after": 3 if kept else 1}
    common = {"lines": 150, "before": 0.05, "after": 0.05, "right_before": 90, "right_after": 90}
    reason = "kept in mine.onnx" if kept else "it does not read the hand better, so it was not kept"
    note = "everybody's lines are composed without emnist/byclass: not on this machine"
    return {
        "kept": kept, "reason": reason, "own_kind": "labelled", "own": own, "common": common, "common_note": note,
        "minutes": 1.0,
    }  # fmt: skip


def learn(out: Path, lines: Path, minutes: float, report: Say, leave_out: Say) -> dict[str, Any]:
    """Keep the bundled reader as the new one."""
    count = len((lines / "labels.tsv").read_text(encoding="utf-8").splitlines())
    report(f"{count} labelled lines for {minutes:g} minutes, niceness {os.nice(0)}")
    print("this belongs into the log")
    shutil.copy(str(files("glyphline") / "models" / "photo.onnx"), out)
    return result(kept=True)


def learn_nothing(out: Path, lines: Path, minutes: float, report: Say, leave_out: Say) -> dict[str, Any]:
    report("comparing the new reader with the old one")
    return result(kept=False)


def learn_slowly(out: Path, lines: Path, minutes: float, report: Say, leave_out: Say) -> dict[str, Any]:
    """Never end. A second call says that it goes on."""
    report("going on" if (out.parent / "epoch").exists() else "epoch 1")
    (out.parent / "epoch").touch()
    time.sleep(600)
    raise AssertionError


def learn_until_told(out: Path, lines: Path, minutes: float, report: Say, leave_out: Say) -> dict[str, Any]:
    """Learn until the file `go-on` is beside the reader."""
    report("epoch 1: validation CER 9.0%, 0.5 minutes left")
    while not (out.parents[1] / "go-on").exists():
        time.sleep(0.02)
    return learn(out, lines, minutes, report, leave_out)


def fail(out: Path, lines: Path, minutes: float, report: Say, leave_out: Say) -> dict[str, Any]:
    raise MissingPackage("torch", "train", "adapting a reader")


def break_down(out: Path, lines: Path, minutes: float, report: Say, leave_out: Say) -> dict[str, Any]:
    raise KeyError("x")


def die(out: Path, lines: Path, minutes: float, report: Say, leave_out: Say) -> dict[str, Any]:
    report("epoch 1")
    os._exit(9)


def leave_one_out(out: Path, lines: Path, minutes: float, report: Say, leave_out: Say) -> dict[str, Any]:
    leave_out("labels.tsv line 2 is left out: the picture shows another text")
    return learn(out, lines, minutes, report, leave_out)


def leave_too_many_out(out: Path, lines: Path, minutes: float, report: Say, leave_out: Say) -> dict[str, Any]:
    leave_out("labels.tsv line 2 is left out: the picture shows another text")
    raise UserError("too few lines are left: correct some more (labels.tsv line 2 is left out: another text)")


def run_out_of_memory(out: Path, lines: Path, minutes: float, report: Say, leave_out: Say) -> dict[str, Any]:
    """End as a training does that can go on. A second call says that it goes on."""
    report("going on" if (out.parent / "epoch").exists() else "epoch 1")
    (out.parent / "epoch").touch()
    raise GlyphlineError("a process that composes lines was killed: give the same command again to go on")
