"""The voice of hibari-tts: natural American English, with the exact times of its words. Apache-2.0, in its wheel."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from glyphline.app.voices.contract import CannotSay, Sound, TimeSpan, require_latin
from glyphline.errors import MissingPackage

DURATIONS_NODE = "/Cast_32_output_0"  # tensor of hibari.onnx 0.2.1: the steps that each phoneme takes
STEP_SECONDS = 0.025  # two of its frames of 12.5 ms
#: seconds by which a word is heard to start and to end before the durations say so: the median against pocketsphinx's
#: forced alignment of twelve signs (python benchmarks/speech.py)
START_LEAD = 0.085
END_LEAD = 0.045
MAX_PHONEMES = 400  # of one run of the network
MIN_SPEED, MAX_SPEED = 0.5, 2.0  # of the network
SEED = 0  # of the noise, so that a text always sounds the same


@dataclass(frozen=True)
class _Engine:
    """The package's text analysis and its network, which also outputs the durations."""

    tts: Any
    session: Any

    def run(self, phonemes: str, speed: float) -> tuple[Any, list[int]]:
        """Phonemes -> samples (n,) float32 at 24 kHz, and the steps of every id of `tts.ids(phonemes)`."""
        from hibari import dsp

        inputs = {"ids": np.asarray([self.tts.ids(phonemes)], np.int64), "speed": np.asarray([speed], np.float32)}
        *spectrum, durations = self.session.run(None, inputs)
        samples = dsp.synth(*(output[0] for output in spectrum), np.random.default_rng(SEED))
        return samples, durations.ravel().tolist()


def _field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes (fewer than 128)."""
    return bytes([number << 3 | 2, len(content)]) + content


@cache
def _open_engine() -> _Engine:
    """Load the network. Fields of a protocol buffer that follow it are merged into it: here one more output."""
    if find_spec("hibari") is None:
        raise MissingPackage("hibari-tts", "app", "the voice hibari")
    import onnxruntime
    from hibari import Hibari as Package
    from hibari.voices import voice_path

    one_more_output = _field(7, _field(12, _field(1, DURATIONS_NODE.encode())))  # ModelProto.graph, GraphProto.output
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = Path(voice_path("heart")).read_bytes() + one_more_output
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return _Engine(Package(), session)


_lock = threading.Lock()


class Hibari:
    """English by hibari-tts."""

    name: ClassVar[str] = "hibari"

    def languages(self) -> tuple[str, ...]:
        return ("en",)

    def is_installed(self) -> bool:
        return find_spec("hibari") is not None

    def say(self, words: Sequence[str], language: str, speed: float) -> Sound:
        require_latin(words, self.name)
        with _lock:
            engine = _open_engine()
        parts, spans, offset = [], list[TimeSpan](), 0.0
        for sentence in _sentences(words):
            for group in _phonemes(engine, sentence):
                samples, word_spans = _say_group(engine, group, min(MAX_SPEED, max(MIN_SPEED, speed)))
                spans += [(offset + start, offset + end) for start, end in word_spans]
                offset += len(samples) / engine.tts.sample_rate
                parts.append(samples)
        if not any(len(samples) for samples in parts):
            raise CannotSay(f"the voice {self.name} knows no sounds for {' '.join(words)!r}")
        return Sound(np.concatenate(parts), engine.tts.sample_rate, tuple(spans))


def _sentences(words: Sequence[str]) -> list[list[str]]:
    """Divide words after the ends of sentences."""
    sentences: list[list[str]] = [[]]
    for word in words:
        sentences[-1].append(word)
        if re.search(r"[.!?…][\"”’)\]]*$", word) and not re.search(r"\b[A-Z]\.[A-Z]\.$", word):
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


def _phonemes(engine: _Engine, words: Sequence[str]) -> list[list[str]]:
    """The phonemes of each word of a sentence, in groups that the network takes at once.

    The words are analysed together, because their sounds depend on their neighbours.
    """
    ends = np.cumsum([len(word) + 1 for word in words])  # position after each word and its space
    phonemes = [""] * len(words)
    position = 0
    for token in engine.tts.g2p.phonemize_tokens(engine.tts.g2p.tokenize(" ".join(words))):
        index = min(int(np.searchsorted(ends, position, side="right")), len(words) - 1)
        phonemes[index] += (token.phonemes or "") + (" " if token.whitespace else "")
        position += len(token.text) + len(token.whitespace)
    groups: list[list[str]] = [[]]
    for word in phonemes:
        if groups[-1] and len("".join(groups[-1])) + len(word) > MAX_PHONEMES:
            groups.append([])
        groups[-1].append(word)
    return groups


def _say_group(engine: _Engine, words: Sequence[str], speed: float) -> tuple[Any, list[TimeSpan]]:
    """Phonemes of words -> samples, and the start and end of each word in seconds."""
    text = "".join(words)
    if len(engine.tts.ids(text)) < 3:  # only the pads
        return np.zeros(0, np.float32), [(0.0, 0.0)] * len(words)
    samples, durations = engine.run(text, speed)
    ends = np.cumsum(durations) * STEP_SECONDS  # of every id, the first one a pad
    length = len(samples) / engine.tts.sample_rate
    spans, first = list[TimeSpan](), 1
    for word in words:
        count = len(engine.tts.ids(word)) - 2
        voiced = len(engine.tts.ids(word.rstrip(' .,;:!?—…"“”()'))) - 2
        last = first + max(1, voiced) - 1 if count else first - 1
        times = [float(ends[max(0, first - 1)]) - START_LEAD, float(ends[last]) - END_LEAD]
        spans.append((min(length, max(0.0, times[0])), min(length, max(0.0, times[1]))))
        first += count
    nexts = [start for start, _ in spans[1:]] + [length]
    return samples, [(start, max(start, min(end, limit))) for (start, end), limit in zip(spans, nexts, strict=True)]
