"""What `glyphline read --translate`, `--speak` and `--speech-out` do with the pages that were read."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glyphline.cli.terminal import print_status, write_output
from glyphline.errors import UserError
from glyphline.page import LineTranslation, Page

if TYPE_CHECKING:
    from glyphline.app.voices import Speech

#: programs that play a WAV file, in the order in which they are tried; FILE stands for the file
PLAYERS = (
    ("paplay", "FILE"),
    ("aplay", "-q", "FILE"),
    ("afplay", "FILE"),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error", "FILE"),
    ("powershell", "-NoProfile", "-Command", "(New-Object Media.SoundPlayer 'FILE').PlaySync()"),
)


@dataclass
class TranslatingReader:
    """A PageReader whose lines have translations. Why lines are not translated is printed on stderr, once.

    Raises UserError for a target that is no language code.
    """

    reader: Any  # PageReader
    target: str  # BCP 47 code
    told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        from glyphline.app.translators import translate_lines

        translate_lines([], None, self.target)  # so that a wrong code is reported before an image is read

    @property
    def detector(self) -> Any:
        return self.reader.detector

    @property
    def min_confidence(self) -> float:
        return float(self.reader.min_confidence)

    def read_pages(self, source: Any) -> Iterator[Page]:
        """Read every page of a document and translate its lines.

        Raises as `PageReader.read_pages` does, and GlyphlineError where a translator fails.
        """
        for page in self.reader.read_pages(source):
            yield self._translate(page)

    def _translate(self, page: Page) -> Page:
        from glyphline.app.translators import translate_lines

        result = translate_lines(page.lines, page.language, self.target)
        if result.advice:
            self._tell(f"not all lines are translated: {result.advice}")
        if result.source is None and page.lines:
            self._tell("nothing is translated: the language is not known; --language names it")
        if names := {line.translator for line in result.lines if line.is_gist}:
            self._tell(f"the translation gives the gist only ({', '.join(sorted(names))})")
        lines = [
            replace(
                line,
                translation=LineTranslation(
                    result.target, translated.text, translated.translator, translated.is_gist, translated.unknown
                ),
            )
            for line, translated in zip(page.lines, result.lines, strict=True)
        ]
        return replace(page, lines=tuple(lines))

    def _tell(self, message: str) -> None:
        if message not in self.told:
            self.told.add(message)
            print_status(f"glyphline: {message}")


@dataclass(frozen=True)
class Speaker:
    """Says the lines of pages, or their translations.

    path: a WAV file that takes the place of the loudspeaker. Raises UserError for a file of another kind.
    """

    path: Path | None

    def __post_init__(self) -> None:
        if self.path is not None and self.path.suffix.lower() != ".wav":
            raise UserError(f"--speech-out {self.path}: speech is a WAV file; name it something.wav")

    def say(self, pages: Sequence[Page]) -> None:
        """Say the lines of some pages in the language of most of them.

        Raises CannotSay where there is nothing to say or no voice can say it, UserError where nothing can play it.
        """
        from glyphline.app.voices import speak_lines

        translated = [page.translated for page in pages]
        lines = [line for page in translated for line in page.lines]
        speech = speak_lines(lines, _language_of(translated))
        if self.path is not None:
            write_output(self.path, speech.to_wav())
        else:
            play(speech)


def _language_of(pages: Sequence[Page]) -> str:
    """The language of most characters; English where none is known."""
    characters: dict[str, int] = {}
    for page in pages:
        for line in page.lines:
            language = line.language or page.language
            if language not in (None, "none") and not line.rejected:
                characters[str(language)] = characters.get(str(language), 0) + len(line.text)
    return max(characters, key=lambda language: characters[language], default="en")


def play(speech: Speech) -> None:
    """Play speech through the first program of PLAYERS that is there. Raises UserError if none can play it."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        path.write_bytes(speech.to_wav())
        for program, *arguments in PLAYERS:
            if (found := shutil.which(program)) is None:
                continue
            command = [found, *(argument.replace("FILE", str(path)) for argument in arguments)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            failed.append(f"{program}: {done.stderr.strip().partition(chr(10))[0] or 'it failed'}")
    programs = ", ".join(program for program, *_ in PLAYERS)
    reason = "; ".join(failed) or f"no player is installed ({programs})"
    raise UserError(f"cannot play the speech: {reason}; --speech-out sign.wav writes it to a file")
