"""FAMILY: voices, text in a language -> speech with the times of its words.

Contract: `Voice` in contract.py. To add a voice: write a class in a file of its own, and add it to VOICES at the
bottom. Its place there is its rank: `auto` takes the first one that has the language, and the next where it fails.

Numbers, times, units and abbreviations are said as people say them (`spoken_text`). A voice that cannot say a text
raises CannotSay; there is no silent speech.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from glyphline.app.sentences import paragraphs, passages
from glyphline.app.spoken_text import Segment, segments, spoken_text
from glyphline.app.voices.contract import (
    CannotSay,
    Speech,
    SpokenWord,
    TimeSpan,
    Voice,
    VoiceInfo,
)
from glyphline.app.voices.espeak import Espeak
from glyphline.app.voices.hibari import Hibari
from glyphline.app.voices.nanotts import NanoTts
from glyphline.errors import GlyphlineError, MissingPackage, UserError, nearest
from glyphline.page import Line

__all__ = [
    "VOICES", "CannotSay", "Speech", "SpokenWord", "Voice", "VoiceInfo", "speak", "speak_lines", "spoken_text",
    "voices",
]  # fmt: skip

AUTO = "auto"
MIN_SPEED, MAX_SPEED = 0.25, 4.0
PEAK = 0.9  # of the loudest sample; all voices are set to it
QUIET_BEFORE, QUIET_AFTER = 0.2, 0.3  # seconds of silence that are kept around the sound
MIN_PEAK = 0.01  # a sound that is nowhere louder is silence
MIN_SECONDS_PER_CHARACTER = 0.01  # of a text at speed 1; real voices take 0.05 to 0.1
#: a word below it is said as doubtful, as the page does (page/text.js): three in ten or more are wrong
MIN_WORD_CONFIDENCE = 0.7
#: what is said before a doubtful word
PERHAPS = {
    "en": "perhaps:", "de": "vielleicht:", "fr": "peut-être:", "es": "quizás:", "it": "forse:", "nl": "misschien:",
    "pl": "być może:", "pt": "talvez:", "da": "måske:", "sv": "kanske:",
}  # fmt: skip
UNKNOWN_PERHAPS = "…"  # in other languages: a pause


def speak(text: str, language: str, speed: float = 1.0, voice: str = AUTO) -> Speech:
    """Say a text.

    language: BCP 47 code; the region is left out of account. speed: 0.25 to 4 times the pace of the voice; a voice
    keeps to what it can. voice: a name from VOICES, or "auto". `words` of the result are those of `text.split()`.

    Raises CannotSay for a text without letters and digits, and where no voice can say it, with the reason of each;
    UserError for an unknown voice or a speed outside the range; MissingPackage where a named voice is not installed.
    """
    code = language.partition("-")[0].lower()
    lines = [line for line in text.splitlines() if line.strip()]
    return _say([segment for line in lines for segment in _with_pause(segments(line, code))], code, speed, voice)


def speak_lines(
    lines: Sequence[Line],
    language: str,
    speed: float = 1.0,
    voice: str = AUTO,
    min_word_confidence: float = MIN_WORD_CONFIDENCE,
) -> Speech:
    """Say the lines of a page in reading order. Rejected lines are left out; their texts are not trusted.

    The lines of a sentence are joined. Before a word with a lower confidence than `min_word_confidence` stands
    "perhaps" in the language. `words` of the result are those of the joined lines. Raises as `speak` does.
    """
    code = language.partition("-")[0].lower()
    said: list[Segment] = []
    for group in paragraphs(lines):
        for passage in passages(lines, group):
            doubtful = _doubtful_words([lines[index] for index in passage.indexes], min_word_confidence)
            parts = [_mark_doubtful(segment, doubtful, code) for segment in segments(passage.text, code)]
            said += _with_pause(parts)
    return _say(said, code, speed, voice)


def voices() -> list[VoiceInfo]:
    """All voices, the best first."""
    opened = [_open_voice(name) for name in VOICES]
    return [VoiceInfo(voice.name, voice.languages(), voice.is_installed()) for voice in opened]


def _doubtful_words(lines: Sequence[Line], limit: float) -> set[str]:
    return {word.text for line in lines for word in line.words if word.confidence < limit}


def _mark_doubtful(segment: Segment, doubtful: set[str], language: str) -> Segment:
    if not doubtful.intersection(segment.text.split()):
        return segment
    return Segment(segment.text, f"{PERHAPS.get(language, UNKNOWN_PERHAPS)} {segment.spoken}")


def _with_pause(said: list[Segment]) -> list[Segment]:
    """End the last segment of a line or a passage with a full stop, where it has no punctuation: a pause."""
    if said and said[-1].spoken[-1:].isalnum():
        said = [*said[:-1], Segment(said[-1].text, said[-1].spoken + ".")]
    return said


@cache
def _open_voice(name: str) -> Voice:
    if name not in VOICES:
        raise UserError(f'no voice "{name}"; {nearest(name, [AUTO, *VOICES])}')
    return VOICES[name]()


def _say(said: list[Segment], language: str, speed: float, name: str) -> Speech:
    """Say segments by the first voice that can."""
    if not MIN_SPEED <= speed <= MAX_SPEED:
        raise UserError(f"a speed of {speed:g} is not between {MIN_SPEED:g} and {MAX_SPEED:g}")
    if not any(character.isalnum() for segment in said for character in segment.text):
        raise CannotSay("there is nothing to say: the text has no letters and no digits")
    candidates = [_open_voice(key) for key in (VOICES if name == AUTO else [name])]
    able = [voice for voice in candidates if language in voice.languages()]
    if not able:
        raise CannotSay(f'no voice says "{language}"; languages of {name}: {_languages_of(candidates)}')
    reasons = []
    for voice in able:
        try:
            return _say_by(voice, said, language, speed)
        except (CannotSay, MissingPackage) as error:
            if name != AUTO:
                raise
            reasons.append(str(error))
        except GlyphlineError:
            raise
        except Exception as error:  # a young package must not keep the next voice from speaking
            reasons.append(f"the voice {voice.name} failed ({error})")
    raise CannotSay("; ".join(dict.fromkeys(reasons)))


def _languages_of(candidates: Sequence[Voice]) -> str:
    return ", ".join(sorted({language for voice in candidates for language in voice.languages()}))


def _say_by(voice: Voice, said: list[Segment], language: str, speed: float) -> Speech:
    sound = voice.say([segment.spoken for segment in said], language, speed)
    peak = float(np.abs(sound.samples).max()) if len(sound.samples) else 0.0
    characters = sum(len(segment.spoken) for segment in said)
    if peak < MIN_PEAK or len(sound.samples) / sound.rate < MIN_SECONDS_PER_CHARACTER * characters / speed:
        raise CannotSay(f"the voice {voice.name} gave no sound for this text")
    loud = _loud_range(sound.samples)
    first, last = max(0, loud[0] - round(QUIET_BEFORE * sound.rate)), loud[1] + round(QUIET_AFTER * sound.rate)
    samples = np.round(sound.samples[first:last] * (PEAK / peak) * 32767).astype(np.int16)
    begin, finish = ((position - first) / sound.rate for position in loud)
    spans = _estimate_spans(said, begin, finish)
    if sound.spans is not None:  # the last sound fades before its duration is over
        moved = ((start - first / sound.rate, end - first / sound.rate) for start, end in sound.spans)
        spans = tuple((max(begin, start), max(begin, start, min(finish, end))) for start, end in moved)
    words = [word for segment, span in zip(said, spans, strict=True) for word in _divide(segment, span)]
    return Speech(samples, sound.rate, voice.name, tuple(words), sound.spans is not None)


def _estimate_spans(said: Sequence[Segment], start: float, end: float) -> tuple[TimeSpan, ...]:
    """The times of segments in proportion to the lengths of what is said.

    start, end: of the first and the last sound, seconds.
    """
    ends = np.cumsum([0, *(len(segment.spoken) + 1 for segment in said)])
    times = start + (end - start) * ends / max(1, ends[-1])
    return tuple((float(times[k]), float(times[k + 1])) for k in range(len(said)))


def _loud_range(samples: npt.NDArray[np.float32]) -> tuple[int, int]:
    """The first sample of the sound and the one after the last."""
    loud = np.flatnonzero(np.abs(samples) > MIN_PEAK)
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(samples))


def _divide(segment: Segment, span: TimeSpan) -> list[SpokenWord]:
    """The words of a segment, which share its time in proportion to their lengths."""
    words = segment.text.split()
    ends = np.cumsum([0, *map(len, words)]) / max(1, sum(map(len, words)))
    times = [float(span[0] + (span[1] - span[0]) * end) for end in ends]
    return [SpokenWord(word, times[k], times[k + 1]) for k, word in enumerate(words)]


#: name -> voice, best first
VOICES: dict[str, type[Voice]] = {"hibari": Hibari, "nanotts": NanoTts, "espeak-ng": Espeak}
