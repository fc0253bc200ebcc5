"""Tests of the voices: length, level, no silence, times of words; English is heard back by pocketsphinx."""

from __future__ import annotations

import io
import re
import shutil
import wave
from collections.abc import Callable
from importlib import resources
from importlib.util import find_spec

import numpy as np
import pytest

from glyphline.app import voices as voices_module
from glyphline.app.voices import (
    MIN_WORD_CONFIDENCE,
    PERHAPS,
    VOICES,
    CannotSay,
    Speech,
    speak,
    speak_lines,
    voices,
)
from glyphline.errors import MissingPackage, UserError
from glyphline.page import Line, Word

needs_packages = pytest.mark.skipif(
    find_spec("hibari") is None or find_spec("py_nanotts") is None, reason='needs pip install "glyphline[app]"'
)
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs the program espeak-ng")
SIGNS = {
    "en": "Caution: wet floor",
    "de": "Vorsicht, nasser Boden",
    "fr": "Attention, sol mouillé",
    "es": "Cuidado, suelo mojado",
    "it": "Attenzione, pavimento bagnato",
    "nl": "Pas op, natte vloer",
    "pl": "Uwaga, mokra podłoga",
    "pt": "Cuidado, piso molhado",
    "da": "Pas på, vådt gulv",
    "sv": "Varning, vått golv",
    "ru": "Осторожно, мокрый пол",
    "el": "Προσοχή, βρεγμένο δάπεδο",
}
RANKED = {"en": "hibari", "de": "nanotts", "fr": "nanotts", "es": "nanotts", "it": "nanotts"}
ENGLISH_SIGNS = (
    "Caution: wet floor",
    "No smoking",
    "Please keep the door closed",
    "Mind the gap between the train and the platform",
    "Open Monday to Friday",
    "The museum is closed today",
    "Keep out of reach of children",
    "Please wait here until you are called",
    "Danger: high voltage",
    "Do not leave bags alone",
)


def check(speech: Speech, text: str, speed: float = 1.0) -> None:
    """A speech is as long as a text takes, loud, not clipped, and its words are those of the text, in order."""
    assert speech.samples.dtype == np.int16 and speech.samples.ndim == 1
    assert 0.03 < speech.seconds * speed / len(text) < 0.25
    level = np.sqrt(np.mean(speech.samples.astype(float) ** 2))
    assert 1500 < level < 12000 and 29000 < np.abs(speech.samples.astype(int)).max() < 32767
    assert [word.text for word in speech.words] == text.split()
    times = [time for word in speech.words for time in (word.start, word.end)]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= speech.seconds
    assert all(word.end > word.start for word in speech.words)
    quiet = np.abs(speech.samples.astype(int)) < 300
    longest = max(map(len, re.findall("1+", "".join("01"[int(q)] for q in quiet))), default=0)
    assert longest / speech.rate < 0.8


@needs_packages
@needs_espeak
@pytest.mark.parametrize("language", SIGNS)
def test_every_language_is_said(language: str) -> None:
    speech = speak(SIGNS[language], language)
    check(speech, SIGNS[language])
    assert speech.voice == RANKED.get(language, "espeak-ng") and speech.exact_times == (language == "en")


@needs_packages
@needs_espeak
@pytest.mark.parametrize("name", VOICES)
def test_every_voice_says_english_at_several_speeds(name: str) -> None:
    lengths = []
    for speed in (0.5, 1.0, 2.0):
        speech = speak("Please keep this door closed", "en-GB", speed, name)
        check(speech, "Please keep this door closed", speed)
        assert speech.voice == name
        lengths.append(speech.seconds)
    assert lengths[0] > 1.4 * lengths[1] > 1.8 * lengths[2]


@needs_packages
def test_wav_holds_the_samples() -> None:
    speech = speak("Exit", "en")
    with wave.open(io.BytesIO(speech.to_wav())) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, speech.rate)
        assert np.array_equal(np.frombuffer(file.readframes(file.getnframes()), "<i2"), speech.samples)


@needs_packages
def test_a_text_always_sounds_the_same() -> None:
    assert np.array_equal(speak("Exit", "en").samples, speak("Exit", "en").samples)


@needs_packages
def test_words_are_those_of_the_text_though_numbers_are_said_in_words() -> None:
    text = "Open Mon-Fri 9-17 h, £3.50.\nTel. 020 7946 0958 (No. 7)"
    speech = speak(text, "en")
    assert [word.text for word in speech.words] == text.split() and speech.exact_times
    assert speech.seconds > 8  # the numbers are said
    long = " ".join(
        ["The quick brown fox jumps over the lazy dog"] * 20
    )  # more phonemes than the network takes at once
    assert [word.text for word in speak(long, "en").words] == long.split()


@needs_packages
def test_what_cannot_be_said_is_an_error() -> None:
    for text in ("", "  \n ", "...", "—"):
        with pytest.raises(CannotSay, match="nothing to say"):
            speak(text, "en")
    with pytest.raises(CannotSay, match="Cyrillic letters"):
        speak("Выход", "en", voice="hibari")
    with pytest.raises(CannotSay, match=r"hibari cannot say.*nanotts cannot say.*espeak-ng"):
        speak("Выход", "en")
    with pytest.raises(CannotSay, match=r'no voice says "tlh"'):
        speak("Qapla", "tlh")
    with pytest.raises(CannotSay, match='no voice says "de"; languages of hibari: en'):
        speak("Ausgang", "de", voice="hibari")
    with pytest.raises(UserError, match="choices: auto, espeak-ng, hibari, nanotts"):
        speak("Exit", "en", voice="hibary")
    for speed in (0.0, 0.1, 5.0, -1.0):
        with pytest.raises(UserError, match="speed"):
            speak("Exit", "en", speed)


@needs_packages
@needs_espeak
def test_the_next_voice_speaks_where_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such node")

    monkeypatch.setattr("glyphline.app.voices.hibari._open_engine", fail)
    assert speak("Exit", "en").voice == "nanotts"
    monkeypatch.setattr("glyphline.app.voices.nanotts.find_spec", lambda name: None)
    assert speak("Exit", "en").voice == "espeak-ng"
    assert speak("Ausgang", "de").voice == "espeak-ng"
    with pytest.raises(MissingPackage, match="py-nanotts"):
        speak("Ausgang", "de", voice="nanotts")


@needs_packages
def test_without_the_program_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glyphline.app.voices.espeak._voices", tuple)
    monkeypatch.setattr("glyphline.app.voices.espeak.shutil.which", lambda name: None)
    with pytest.raises(CannotSay, match=r"espeak-ng is not installed: .*apt-get install espeak-ng"):
        speak("Wyjście", "pl")
    assert [voice.installed for voice in voices() if voice.name == "espeak-ng"] == [False]


@needs_packages
def test_a_silent_voice_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    silent: Callable[..., bytes] = lambda *_, **__: bytes(32000)  # noqa: E731
    monkeypatch.setattr("py_nanotts._speak", silent)
    with pytest.raises(CannotSay, match="no sound"):
        speak("Ausgang", "de", voice="nanotts")


def make_line(text: str, *confidences: float, rejected: bool = False) -> Line:
    words = [Word(word, confidence, 0, 0) for word, confidence in zip(text.split(), confidences, strict=False)]
    return Line(text, 1.0, (), "", words=tuple(words), rejected=rejected)


@needs_packages
def test_doubtful_words_are_said_as_doubtful_and_rejected_lines_are_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    original = VOICES["hibari"].say
    monkeypatch.setattr(
        VOICES["hibari"], "say", lambda self, words, *rest: said.extend(words) or original(self, words, *rest)
    )
    lines = [make_line("Mind the gap", 0.9, 0.9, 0.3), make_line("Secret", rejected=True), make_line("Exit", 0.75)]
    speech = speak_lines(lines, "en")
    assert said == ["Mind", "the", "perhaps: gap.", "Exit."]
    assert [word.text for word in speech.words] == ["Mind", "the", "gap", "Exit"]
    said.clear()
    speak_lines(lines, "en", min_word_confidence=0.0)
    assert said == ["Mind", "the", "gap.", "Exit."]
    with pytest.raises(CannotSay, match="nothing to say"):
        speak_lines([make_line("Secret", rejected=True)], "en")


@needs_packages
def test_lines_of_a_sentence_are_joined() -> None:
    speech = speak_lines([make_line("Please wait here until you are"), make_line("called.")], "en")
    assert speech.seconds < 3.0 and len(speech.words) == 7


def test_perhaps_is_known_in_the_languages_that_are_read() -> None:
    from glyphline.reading.recognition.languages import LANGUAGES

    assert voices_module.PERHAPS.keys() == LANGUAGES.keys()


def test_voices_are_listed() -> None:
    listed = voices()
    assert [voice.name for voice in listed] == list(VOICES) and all(voice.languages for voice in listed)


# ------------------------------------------------------------------------------------------- heard back by a recognizer


def normalize(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]", "", text.lower()).split()


def pcm_16_khz(speech: Speech) -> bytes:
    positions = np.arange(int(speech.seconds * 16000)) * speech.rate / 16000
    return np.interp(positions, np.arange(len(speech.samples)), speech.samples).astype("<i2").tobytes()


@needs_packages
@pytest.mark.slow
def test_english_signs_are_heard_back_and_the_times_of_their_words_are_right() -> None:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    recognizer = pocketsphinx.Decoder(samprate=16000, loglevel="FATAL")
    words, found, errors = 0, 0, []
    for sign in ENGLISH_SIGNS:
        speech = speak(sign, "en")
        pcm, expected = pcm_16_khz(speech), normalize(sign)
        recognizer.start_utt()
        recognizer.process_raw(pcm, full_utt=True)
        recognizer.end_utt()
        heard = normalize(recognizer.hyp().hypstr) if recognizer.hyp() else []
        words, found = words + len(expected), found + sum(word in heard for word in expected)
        aligner = pocketsphinx.Decoder(samprate=16000, loglevel="FATAL", lm=None)
        aligner.set_align_text(" ".join(expected))
        aligner.start_utt()
        aligner.process_raw(pcm, full_utt=True)
        aligner.end_utt()
        aligned = [s for s in aligner.seg() if not s.word.startswith("<") and s.word != "(NULL)"]
        assert [re.sub(r"\(\d+\)", "", s.word) for s in aligned] == expected
        for word, segment in zip(speech.words, aligned, strict=True):
            errors += [word.start - segment.start_frame / 100, word.end - (segment.end_frame + 1) / 100]
    assert found / words > 0.8, (found, words)
    assert abs(np.median(errors)) < 0.02 and np.percentile(np.abs(errors), 90) < 0.08


def test_page_says_doubtful_words_as_the_voices_do() -> None:
    page = (resources.files("glyphline.app") / "page" / "text.js").read_text(encoding="utf-8")
    limit = re.search(r"DOUBTFUL = ([\d.]+);", page)
    assert limit is not None and float(limit[1]) == MIN_WORD_CONFIDENCE
    (table,) = re.findall(r"const PERHAPS = \{(.*?)\};", page, re.DOTALL)
    assert {code: f"{text}:" for code, text in re.findall(r'(\w\w): "([^"]+)"', table)} == PERHAPS
