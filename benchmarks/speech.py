"""How well the English voices are understood, and how exact the word times of hibari are.

    pip install pocketsphinx -c constraints.txt && python benchmarks/speech.py

Each sign is said by each voice. pocketsphinx (English model of its wheel) hears it, and aligns the known words with the
sound. Prints the share of words that were heard, and the errors of the starts and ends of words in milliseconds.
"""

from __future__ import annotations

import re

import numpy as np
from pocketsphinx import Decoder

from glyphline.app.voices import VOICES, Speech, speak

SIGNS = (
    "Caution: wet floor",
    "Emergency exit",
    "No smoking",
    "Please keep the door closed",
    "Do not enter",
    "Mind the gap between the train and the platform",
    "Open Monday to Friday",
    "The museum is closed today",
    "Keep out of reach of children",
    "Please wait here until you are called",
    "Beware of the dog",
    "Danger: high voltage",
)
RATE = 16000  # samples a second that the recognizer takes


def normalize(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return re.sub(r"[^a-z' ]", "", text.lower()).split()


def pcm_of(speech: Speech) -> bytes:
    """The samples at RATE, 16 bits."""
    positions = np.arange(int(speech.seconds * RATE)) * speech.rate / RATE
    return np.interp(positions, np.arange(len(speech.samples)), speech.samples).astype("<i2").tobytes()


def recognize(decoder: Decoder, pcm: bytes) -> Decoder:
    """The decoder after it heard the sound."""
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    return decoder


def time_errors(speech: Speech, pcm: bytes, words: list[str]) -> list[tuple[float, float]]:
    """Seconds by which each word starts and ends later than in the forced alignment; none where that fails."""
    aligner = Decoder(samprate=RATE, loglevel="FATAL", lm=None)
    aligner.set_align_text(" ".join(words))
    found = recognize(aligner, pcm).seg() or []
    segments = [s for s in found if not s.word.startswith("<") and s.word != "(NULL)"]
    if len(segments) != len(words):
        return []
    return [
        (word.start - segment.start_frame / 100, word.end - (segment.end_frame + 1) / 100)
        for word, segment in zip(speech.words, segments, strict=True)
    ]


def main() -> None:
    recognizer = Decoder(samprate=RATE, loglevel="FATAL")
    for name in VOICES:
        heard_count, word_count, errors = 0, 0, list[tuple[float, float]]()
        for sign in SIGNS:
            speech, words = speak(sign, "en", voice=name), normalize(sign)
            pcm = pcm_of(speech)
            hypothesis = recognize(recognizer, pcm).hyp()
            heard = normalize(hypothesis.hypstr) if hypothesis else []
            heard_count, word_count = heard_count + sum(word in heard for word in words), word_count + len(words)
            errors += time_errors(speech, pcm, words)
        starts, ends = np.array(errors).T * 1000
        both = np.abs(np.concatenate([starts, ends]))
        print(
            f"{name}: {heard_count} of {word_count} words heard; start {np.median(starts):+.0f} ms, "
            f"end {np.median(ends):+.0f} ms (medians); 90 % within {np.percentile(both, 90):.0f} ms"
        )


if __name__ == "__main__":
    main()
