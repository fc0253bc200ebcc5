"""The voices of the program espeak-ng (GPL-3, a program of its own): more than a hundred languages."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from typing import ClassVar

import numpy as np

from glyphline.app.voices.contract import CannotSay, Sound, scripts_of

PROGRAM = "espeak-ng"
INSTALL = "install it, for instance with: apt-get install espeak-ng"
WORDS_PER_MINUTE = 160  # its pace at speed 1
MIN_PACE, MAX_PACE = 80, 450  # words a minute that it takes
TIMEOUT = 60.0  # seconds
#: scripts of languages that are not written in Latin letters; other languages are not checked
SCRIPTS = {
    code: frozenset(scripts.split("+"))
    for scripts, codes in {
        "CYRILLIC": "be bg kk ky mk ru sr tt uk",
        "ARABIC": "ar fa ur",
        "DEVANAGARI": "hi mr ne",
        "HIRAGANA+KATAKANA": "ja",  # it names Chinese characters in English
        "CJK": "zh", "GREEK": "el", "HEBREW": "he", "HANGUL": "ko", "THAI": "th", "GEORGIAN": "ka", "ARMENIAN": "hy",
        "TAMIL": "ta", "BENGALI": "bn",
    }.items()
    for code in codes.split()
}  # fmt: skip
LATIN_LANGUAGES = frozenset(
    "ca cs cy da de en eo es et eu fi fr ga hr hu id is it lt lv ms nb nl no pl pt ro sk sl sv tr vi".split()
)
OTHER_CODES = {"no": "nb", "zh": "cmn"}  # BCP 47 code -> the program's


@cache
def _voices() -> tuple[str, ...]:
    """The language codes that the program lists; none where it is missing."""
    if shutil.which(PROGRAM) is None:
        return ()
    done = subprocess.run([PROGRAM, "--voices"], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    codes = {row.split()[1].partition("-")[0] for row in done.stdout.splitlines()[1:] if len(row.split()) > 2}
    return tuple(sorted(codes | {code for code, other in OTHER_CODES.items() if other in codes}))


class Espeak:
    """All languages of espeak-ng."""

    name: ClassVar[str] = "espeak-ng"

    def languages(self) -> tuple[str, ...]:
        return _voices() or tuple(sorted(LATIN_LANGUAGES | SCRIPTS.keys()))

    def is_installed(self) -> bool:
        return shutil.which(PROGRAM) is not None

    def say(self, words: Sequence[str], language: str, speed: float) -> Sound:
        if not self.is_installed():
            raise CannotSay(f"the program {PROGRAM} is not installed: {INSTALL}")
        scripts = scripts_of(" ".join(words))
        known = frozenset({"LATIN"}) if language in LATIN_LANGUAGES else SCRIPTS.get(language, frozenset(scripts))
        unknown = [script for script in scripts if script not in known | {"FEMININE", "MASCULINE"}]
        if 2 * len(unknown) > len(scripts):
            raise CannotSay(f"the {language} voice of {PROGRAM} cannot say {unknown[0].capitalize()} letters")
        pace = round(min(MAX_PACE, max(MIN_PACE, WORDS_PER_MINUTE * speed)))
        command = [
            PROGRAM,
            "-v",
            OTHER_CODES.get(language, language),
            "-s",
            str(pace),
            "-b",
            "1",
            "--stdin",
            "--stdout",
        ]
        try:
            text = " ".join(words).encode("utf-8", "replace")
            done = subprocess.run(command, input=text, capture_output=True, timeout=TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotSay(f"{PROGRAM} failed: {error}") from None
        header, _, data = done.stdout.partition(b"data")  # the sizes in the header are wrong: it is written to a pipe
        if done.returncode or len(data) < 6 or header[:4] != b"RIFF":
            reason = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0] or "it gave no sound"
            raise CannotSay(f"{PROGRAM} cannot say this in {language}: {reason}")
        rate = int.from_bytes(header[24:28], "little")
        pcm = data[4 : 4 + (len(data) - 4) // 2 * 2]
        return Sound(np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768), rate)
