"""Apertium: rule-based translation by the pairs that the system has, for the gist of a text. GPL, a program of its own.

A pair is a pipeline of programs, which its .mode file lists. The pipeline stays open: every stage gets `-z`, so that it
answers after each NUL byte (https://wiki.apertium.org/wiki/Daemon). A text costs about a millisecond, and texts cannot
mix, as they do when several lines are one call.
"""

from __future__ import annotations

import atexit
import difflib
import os
import re
import selectors
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from glyphline.app.translators.contract import Pair, Progress, Translation
from glyphline.errors import GlyphlineError, UserError

MODE_FOLDERS = (Path("/usr/share/apertium/modes"), Path("/usr/local/share/apertium/modes"))
TIMEOUT = 20.0  # seconds for one text; the first one also loads the dictionaries
SPECIAL = re.compile(r"[\[\]{}^$/\\@<>]")  # characters of Apertium's stream format, escaped by a backslash
END = re.compile(r"[\s.!?:;…]*$")
MARKED_WORD = re.compile(r"(?<!\\)[*@#]([^\s.,;:!?()]+)")  # unknown word, no translation, no inflected form

#: ISO 639-3 code of a mode -> BCP 47 code; modes of other languages keep their code
LANGUAGE_CODES = dict(
    word.split(":")
    for word in (
        "afr:af ara:ar arg:an bel:be bre:br bul:bg cat:ca ces:cs cym:cy dan:da deu:de eng:en epo:eo est:et eus:eu "
        "fin:fi fra:fr gle:ga glg:gl hin:hi ind:id isl:is ita:it kaz:kk mkd:mk mlt:mt nld:nl nno:nn nob:nb oci:oc "
        "pol:pl por:pt ron:ro rus:ru slk:sk slv:sl sme:se spa:es srd:sc swe:sv tat:tt tur:tr ukr:uk urd:ur zlm:ms"
    ).split()
)


class Pipeline:
    """The running programs of a pair. `translate` may be called from any thread; the texts take turns."""

    def __init__(self, mode: Path) -> None:
        self.mode = mode
        self.lock = threading.Lock()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.rest = b""  # bytes that were read after the last answer

    def translate(self, text: str) -> str:
        """Translate a text without special characters' escapes: both ways in Apertium's stream format.

        Raises GlyphlineError if the programs end or do not answer in time. They are started anew by the next call.
        """
        with self.lock:
            try:
                if not self.processes:
                    self._start()
                # the second NUL: lttoolbox 3.7 holds an answer back until it has read the next byte
                assert self.processes[0].stdin is not None
                self.processes[0].stdin.write(text.encode() + b"\0\0")
                self.processes[0].stdin.flush()
                return self._read_answer().decode("utf-8", "replace")
            except OSError as error:
                self.close()
                raise GlyphlineError(f"apertium {self.mode.stem} failed: {error.strerror or error}") from None

    def close(self) -> None:
        """End the programs."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
        self.processes, self.rest = [], b""

    def _start(self) -> None:
        source: int | None = subprocess.PIPE
        for command in read_mode(self.mode):
            previous = self.processes[-1].stdout if self.processes else None
            process = subprocess.Popen(
                command, stdin=previous or source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            if previous:
                previous.close()  # so that a program notices when the one after it ends
            self.processes.append(process)

    def _read_answer(self) -> bytes:
        """The bytes until the next NUL that are not empty. Raises OSError if the programs end, TimeoutError."""
        output = self.processes[-1].stdout
        assert output is not None
        deadline = time.monotonic() + TIMEOUT
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                answer, end, rest = self.rest.partition(b"\0")
                if end:
                    self.rest = rest
                    if answer:
                        return answer
                    continue
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f"no answer in {TIMEOUT:g} s")
                received = os.read(output.fileno(), 1 << 16)
                if not received:
                    raise ConnectionAbortedError("its programs have ended")
                self.rest += received


def read_mode(path: Path) -> list[list[str]]:
    """The commands of a .mode file, each with `-z`. They are started without a shell.

    $1 becomes -g, which marks unknown words; $2 is dropped. Raises UserError where a program is not installed.
    """
    commands = []
    for stage in path.read_text(encoding="utf-8").split("|"):
        program, *arguments = ["-g" if word == "$1" else word for word in shlex.split(stage) if word != "$2"]
        if shutil.which(program) is None:
            raise UserError(f"{path.stem} needs the program {program}: install apertium again")
        commands.append([program, "-z", *arguments])
    return commands


def find_modes() -> dict[tuple[str, str], Path]:
    """(source, target) as BCP 47 codes -> the .mode file of each pair of the system."""
    if shutil.which("apertium") is None:
        return {}
    modes: dict[tuple[str, str], Path] = {}
    for path in sorted(path for folder in MODE_FOLDERS for path in folder.glob("*.mode")):
        codes = tuple(LANGUAGE_CODES.get(code, code) for code in path.stem.split("-"))
        if len(codes) == 2 and "_" not in path.stem:  # eng_US is a variant of eng
            modes.setdefault((codes[0], codes[1]), path)
    return modes


class Apertium:
    """Translates with the system's pairs of Apertium. Its output is the gist only."""

    name: ClassVar[str] = "apertium"
    is_gist: ClassVar[bool] = True
    pivots: ClassVar[bool] = False

    def __init__(self) -> None:
        self.pipelines: dict[Path, Pipeline] = {}
        self.lock = threading.Lock()
        atexit.register(self.close)

    def pairs(self) -> list[Pair]:
        return [Pair(source, target, self.name, True) for source, target in find_modes()]

    def translate(self, sentences: Sequence[str], source: str, target: str) -> list[Translation | None]:
        mode = find_modes()[source, target]
        with self.lock:
            pipeline = self.pipelines.setdefault(mode, Pipeline(mode))
        return [self._translate(pipeline, sentence) for sentence in sentences]

    def install(self, source: str, target: str, on_progress: Progress | None) -> None:
        raise UserError("pairs of Apertium come from the system: apt-get install apertium-eng-spa, for instance")

    def remove(self, source: str, target: str) -> bool:
        return False

    def close(self) -> None:
        """End the programs of all pairs."""
        for pipeline in self.pipelines.values():
            pipeline.close()

    @staticmethod
    def _translate(pipeline: Pipeline, sentence: str) -> Translation | None:
        core = " ".join(END.sub("", sentence.replace("\0", " ")).split())
        if not core:
            return Translation(sentence)
        ending = sentence[len(END.sub("", sentence)) :]
        # a full stop outside the text ends its last word: without one, part of "9:30" would wait for more
        answer = pipeline.translate(SPECIAL.sub(r"\\\g<0>", core) + ".[]").removesuffix(".[]")
        unknown = []

        def original_word(match: re.Match[str]) -> str:
            """The word of the original that a marked word stands for, which may be its dictionary form."""
            marked = match[1]
            words = re.findall(r"[^\W\d_]+", core)
            nearest = difflib.get_close_matches(marked, words, n=1, cutoff=0.7)
            unknown.append(nearest[0] if nearest else marked)
            return unknown[-1]

        text = re.sub(r"\\(.)", r"\1", MARKED_WORD.sub(original_word, answer))
        return Translation(" ".join(text.split()) + ending, tuple(unknown))
