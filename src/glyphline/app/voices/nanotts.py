"""The voices of py-nanotts (SVOX Pico, Apache-2.0, in its wheel): German, French, Spanish, Italian, British English."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from typing import ClassVar

import numpy as np

from glyphline.app.voices.contract import CannotSay, Sound, require_latin
from glyphline.errors import MissingPackage

RATE = 16000  # samples a second
VOLUME = 0.7  # at 1 the loudest 0.4 % of the samples are clipped
VOICES = {"de": "de-DE", "fr": "fr-FR", "es": "es-ES", "it": "it-IT", "en": "en-GB"}

_lock = threading.Lock()


class NanoTts:
    """Five languages by py-nanotts."""

    name: ClassVar[str] = "nanotts"

    def languages(self) -> tuple[str, ...]:
        return tuple(VOICES)

    def is_installed(self) -> bool:
        return find_spec("py_nanotts") is not None

    def say(self, words: Sequence[str], language: str, speed: float) -> Sound:
        if not self.is_installed():
            raise MissingPackage("py-nanotts", "app", "the voice nanotts")
        require_latin(words, self.name)
        from py_nanotts import NanoTTS

        text = " ".join(words).replace("<", " ").replace("&", " ").replace("\\", " ")  # its mark-up
        try:
            with _lock:
                pcm = NanoTTS().speak(text, voice=VOICES[language], speed=speed, volume=VOLUME)
        except (ValueError, RuntimeError) as error:
            raise CannotSay(f"the voice {self.name} failed: {error}") from None
        return Sound(np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768), RATE)
