"""Teaching: a reader learns from lines that people corrected on the page, and may take the original reader's place.

Only where `glyphline serve --teach FOLDER` allows it, because lines to learn from have to be written to disk. FOLDER
holds mine.onnx, the reader that was taught; previous.onnx, the one that was taught before it; reader.json, which reader
is in use; teaching.log, what the training printed; and, while a reader learns, learning-*/ with the lines and the
training. That folder stays only where the service or the training ended before the reader had learned; the same lines
then go on from there.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import re
import shutil
import struct
import time
import traceback
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glyphline.app.child_process import ChildProcess
from glyphline.app.limits import LIMITS, Limits
from glyphline.app.reader_process import reader_opener
from glyphline.errors import DataError, GlyphlineError, ImageError, UserError
from glyphline.files import write_atomically
from glyphline.reading.recognition.recognizers import PHOTO

if TYPE_CHECKING:
    from glyphline.app.steps import Report
    from glyphline.reading.pages import PageReader

ORIGINAL, MINE, PREVIOUS = "original", "mine", "previous"  # the readers that can be in use
FILES = {MINE: "mine.onnx", PREVIOUS: "previous.onnx"}
MIN_LINES = 8  # a quarter of the lines measures the result; training.adapt.FEW_LINES is the same number
MINUTES, MAX_MINUTES = 10.0, 60.0  # of training
COMPARING_SECONDS = 120  # after the training, about
TICK_SECONDS = 5.0  # between two steps that differ in the time left only
NAMED = 10  # lines that were left out and are named; the others are counted
NICENESS = 10  # readings go first
LABELS = "labels.tsv"
#: what an archive may hold: a name, or a name in a folder
MEMBER = re.compile(rf"(?:(?!\.\.?/)[^/\\]+/)?([\w.-]+\.(?:png|jpe?g)|{re.escape(LABELS)})", re.IGNORECASE)
MAX_DENSITY = 8  # characters a height of the line; the network's output has six steps there, and each is one at most
# what zipfile raises for damaged data; RuntimeError: it needs a password or an unknown compression method
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, RuntimeError)

#: takes the .onnx file to write, the folder of lines, minutes, a function for what it does now, and one for sentences
#: about lines that it leaves out; returns an `Adaptation` as a dictionary, and has written the file where its "kept" is
#: true
Adapt = Callable[[Path, Path, float, Callable[[str], None], Callable[[str], None]], dict[str, Any]]


class Teacher:
    """Teaches a reader in a process of its own, and knows which reader is in use.

    folder: is made where it is missing. adapt: picklable. original: the model of the reader that it starts from.
    variant: what else decides a teaching, which goes on only with the same. Raises UserError if the folder cannot be
    written.
    """

    def __init__(
        self, folder: Path, adapt: Adapt, limits: Limits = LIMITS, original: str = PHOTO, variant: str = ""
    ) -> None:
        self.folder, self._adapt, self._limits, self._original = folder.absolute(), adapt, limits, original
        self._variant = f"{original} {variant}".encode()
        self._child: ChildProcess | None = None
        self._end = ""  # "cancelled" or "interrupted", from then on
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._log, b"")
        except OSError as error:
            raise UserError(f"cannot write into {folder} ({error.strerror or error}): give another folder") from None

    @property
    def _log(self) -> Path:
        return self.folder / "teaching.log"

    def file(self, name: str) -> Path:
        """The file of a reader that was taught, MINE or PREVIOUS. It may not exist."""
        return self.folder / FILES[name]

    def _state(self) -> dict[str, Any]:
        try:
            state = json.loads((self.folder / "reader.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    @property
    def readers(self) -> list[str]:
        """The readers that can be used."""
        return [ORIGINAL, *self.taught_readers]

    @property
    def taught_readers(self) -> list[str]:
        """Those of them that were taught."""
        return [name for name in FILES if self.file(name).is_file()]

    @property
    def in_use(self) -> str:
        """The reader that was chosen last, if it is there."""
        chosen = self._state().get("in_use")
        return chosen if chosen in self.readers else ORIGINAL

    @property
    def taught(self) -> dict[str, Any] | None:
        """When the reader was taught (ISO 8601) and with which result; None if none was."""
        return self._state().get("taught") if self.file(MINE).is_file() else None

    @property
    def taught_before(self) -> dict[str, Any] | None:
        """The same of the reader that was taught before; None if there is none."""
        return self._state().get("taught_before") if self.file(PREVIOUS).is_file() else None

    def choose(self, name: str, **changes: Any) -> None:
        """Keep the choice of a reader for the next start."""
        state = {**self._state(), "in_use": name, **changes}
        write_atomically(self.folder / "reader.json", json.dumps(state, indent=1).encode())

    def opener(self, name: str) -> Callable[[], PageReader]:
        """The picklable function that opens a reader. Raises UserError for one that is not there."""
        if name not in self.readers:
            raise UserError("no reader was taught yet: correct lines, and teach it")
        return reader_opener(str(self.file(name)) if name in FILES else self._original)

    @property
    def is_unfinished(self) -> bool:
        """Whether lines are kept of a teaching that was stopped before it had learned, or of one that runs."""
        return any(self.folder.glob("learning-*"))

    def prepare(self) -> None:
        """Forget that an earlier teaching was cancelled. To be called before `learn` is started in a thread."""
        self._end = ""

    def learn(self, archive: bytes, minutes: float, report: Report) -> dict[str, Any]:
        """Teach a reader, and keep it if it became better. The one that was taught before stays as PREVIOUS.

        archive: a zip of labelled lines, see `unpack_lines`. report: receives {"step": what it does now,
        "seconds_left": about, "left_out": sentences about lines that were left out} every few seconds. Returns the
        last step: {"result": what `adapt` returned, "left_out"}.

        Raises DataError for an archive that cannot be used, before the first step; UserError if it was cancelled;
        and GlyphlineError with what `adapt` raises, and if its process died. Where something outside stopped the
        training, the same lines go on there.
        """
        work = self.folder / f"learning-{sha256(self._variant + archive).hexdigest()[:16]}"
        for other in set(self.folder.glob("learning-*")) - {work}:
            shutil.rmtree(other, ignore_errors=True)
        end = time.monotonic() + 60 * minutes + COMPARING_SECONDS
        child = ChildProcess(
            _learn, self._adapt, archive, minutes, work, self._log, self._limits, name="glyphline teacher"
        )
        self._child = child
        is_finished = True
        step: dict[str, Any] = {}
        try:
            while "result" not in step:
                if self._end:
                    raise EOFError
                if child.connection.poll(TICK_SECONDS):
                    message = child.connection.recv()
                    if "error" in message:
                        is_finished = not message["goes_on"]
                        raise GlyphlineError(message["error"])
                    step |= message
                if "step" in step and "result" not in step:
                    report({**step, "seconds_left": max(0, round(end - time.monotonic()))})
            if step["result"]["kept"]:
                model, before = self.file(MINE), self.taught
                if model.is_file():
                    os.replace(model, self.file(PREVIOUS))
                os.replace(work / FILES[MINE], model)
                step["result"]["reason"] = f"kept in {model}"
                now = datetime.now(UTC).isoformat(timespec="seconds")
                self.choose(self.in_use, taught={"time": now, "result": step["result"]}, taught_before=before)
        except (EOFError, ConnectionError):
            if self._end == "cancelled":
                raise UserError("the teaching was cancelled: the reader stays as it was") from None
            is_finished = False
            reason = "the service was stopped" if self._end else f"too little memory? see {self._log}"
            raise GlyphlineError(f"the teaching ended on the way ({reason}): teach again to go on") from None
        finally:
            self._child = None
            child.close()
            if is_finished:
                shutil.rmtree(work, ignore_errors=True)
        return {"result": step["result"], "left_out": step["left_out"]}

    def cancel(self) -> None:
        """End the teaching that runs, and delete its lines, or those of one that ended before it had learned."""
        self._stop("cancelled")
        if self._child is None:
            for folder in self.folder.glob("learning-*"):
                shutil.rmtree(folder, ignore_errors=True)

    def interrupt(self) -> None:
        """End the teaching that runs. It goes on when the same lines are sent again."""
        self._stop("interrupted")

    def _stop(self, end: str) -> None:
        self._end = end
        if child := self._child:
            child.kill()


# ---------------------------------------------------------------------- inside the process


def _learn(
    connection: Connection, adapt: Adapt, archive: bytes, minutes: float, work: Path, log: Path, limits: Limits
) -> None:
    """Send what `Teacher.learn` reports, and at last the result or an error.

    An error is {"error": a sentence, "goes_on": whether the same lines go on where the training ended}.
    """
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    with log.open("wb") as file:
        for stream in (1, 2):  # what libraries print does not belong into the service's log of requests
            os.dup2(file.fileno(), stream)
    left_out: list[str] = []

    def report(text: str) -> None:
        more = [f"and {len(left_out) - NAMED} more"] if len(left_out) > NAMED else []
        connection.send({"step": text, "left_out": [*left_out[:NAMED], *more]})

    try:
        work.mkdir(mode=0o700, exist_ok=True)  # of whatever mode the folder of the reader is: this one holds writing
        left_out += unpack_lines(archive, work / "lines", limits)
        report("opening the reader")
        result = adapt(work / FILES[MINE], work / "lines", minutes, report, left_out.append)
        connection.send({"result": result})
    except UserError as error:
        connection.send({"error": str(error), "goes_on": False})
    except GlyphlineError as error:
        connection.send({"error": str(error), "goes_on": True})
    except OSError as error:
        text = f"cannot write {error.filename or work}: {error.strerror or error}"
        connection.send({"error": text, "goes_on": False})
    except Exception as error:
        traceback.print_exc()
        text = f"the teaching failed ({type(error).__name__}): {log} says where"
        connection.send({"error": text, "goes_on": False})


def unpack_lines(archive: bytes, folder: Path, limits: Limits = LIMITS) -> list[str]:
    """Write the labelled lines of a zip archive into a folder: pictures and labels.tsv, with rows of file<TAB>text.

    The archive may hold one folder, as that of the page does. Returns sentences about lines that are left out: without
    a picture that can be read, with a text that does not fit into it, or corrected by a later line. Raises DataError
    for an archive that is damaged, exceeds the limits, holds anything else, or has less than MIN_LINES lines to learn
    from; nothing is written then.
    """
    from glyphline.imaging.documents import load

    files = _read_archive(archive, limits)
    try:
        rows = files.pop(LABELS, b"").decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise DataError(f"{LABELS} is not UTF-8 text: download the lines again") from None
    labels, left_out = dict[str, str](), list[str]()
    names_of: dict[bytes, str] = {}  # picture -> the file that holds it: a line that was corrected twice counts once
    for number, row in enumerate(filter(str.strip, rows), 1):
        name, _, text = row.partition("\t")
        text = " ".join(text.split())
        try:
            if name not in files:
                raise ImageError("has no picture in the zip file")
            height, width = load(files[name]).shape
            if not 0 < len(text) <= MAX_DENSITY * width / height:
                raise ImageError(f"a text of {len(text)} characters does not fit into {width} x {height} px")
            if earlier := names_of.get(files[name]):
                del labels[earlier]
                left_out.append(f"{earlier[:40]} is left out: line {number} corrects the same picture")
            names_of[files[name]] = name
            labels[name] = text
        except UserError as error:
            left_out.append(f"line {number} ({name[:40]}) is left out: {error}")
    if len(labels) < MIN_LINES:
        details = f" ({left_out[0]})" if left_out else ""
        raise DataError(f"{len(labels)} lines are too few to learn from and to measure by: send {MIN_LINES}{details}")
    folder.mkdir(parents=True, exist_ok=True)
    for name in labels:
        write_atomically(folder / name, files[name])
    write_atomically(folder / LABELS, "".join(f"{name}\t{text}\n" for name, text in labels.items()).encode())
    return left_out


def _read_archive(archive: bytes, limits: Limits) -> dict[str, bytes]:
    """The files of a zip archive by their names without folders. Raises DataError as `unpack_lines` does."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            if len(members) > limits.lines + 1 or sum(m.file_size for m in members) > limits.unpacked_bytes:
                size = f"{limits.lines} lines, {limits.unpacked_bytes >> 20} MB unpacked"
                raise DataError(f"the zip file is too large (at most {size}): send fewer lines")
            names = [match[1] for member in members if (match := MEMBER.fullmatch(member.filename))]
            if len(set(names)) < len(members):
                raise DataError(f"the zip file holds more than one folder with pictures (PNG, JPEG) and {LABELS}")
            return {name: opened.read(member) for name, member in zip(names, members, strict=True)}
    except ZIP_ERRORS as error:
        raise DataError(f"this is no zip file of lines, or a damaged one ({error}): download the lines again") from None
