"""FAMILY: log-probabilities (T, C) -> Decoded(text, confidence, spans).

Contract: a decoder is a frozen dataclass called with one line's log-probabilities and its alphabet. To add one: a
class with `__call__` and a row in DECODERS at the bottom; every decoder returns the same type.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import BLANK, Alphabet
from glyphline.errors import UserError, nearest
from glyphline.reading.constraints import Constraint
from glyphline.reading.language import LanguageModel, language_for, open_language

LogProbs = npt.NDArray[np.float32]  # (T, C), natural logarithms, class 0 the blank


@dataclass(frozen=True)
class Span:
    """One character and the time steps it was read from."""

    character: str
    start: int
    end: int  # exclusive
    confidence: float  # 0..1


@dataclass(frozen=True)
class Decoded:
    """What a decoder says of one line."""

    text: str
    confidence: float  # 0..1: the least sure character; 1 for nothing read
    spans: tuple[Span, ...]


class Decoder(Protocol):
    """Turns one line's log-probabilities into text."""

    kind: ClassVar[str]  # under which a model keeps how sure it is with this decoder

    def __call__(self, log_probs: LogProbs, alphabet: Alphabet) -> Decoded: ...


@dataclass(frozen=True)
class Greedy:
    """The best class of every step, collapsed (best path, Graves et al. 2006)."""

    kind: ClassVar[str] = "greedy"

    def __call__(self, log_probs: LogProbs, alphabet: Alphabet) -> Decoded:
        path = log_probs.argmax(axis=1)
        if len(path) == 0:
            return Decoded("", 1.0, ())
        edges = np.flatnonzero(np.diff(path)) + 1
        starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(path)]])
        spans = tuple(
            Span(alphabet.characters[path[s] - 1], int(s), int(e), float(np.exp(log_probs[s:e, path[s]].max())))
            for s, e in zip(starts, ends, strict=True)
            if path[s] != BLANK
        )
        text = "".join(span.character for span in spans)
        return Decoded(text, min((s.confidence for s in spans), default=1.0), spans)


class _Prefix:
    """A text that some paths so far collapse to, and the share of them; shares are relative, the best about 1."""

    __slots__ = ("blank", "open", "steps", "text")

    def __init__(self, text: str, steps: tuple[int, ...], blank: float = 0.0, open_: float = 0.0) -> None:
        self.text, self.steps = text, steps  # steps: where most paths first read each character
        self.blank, self.open = blank, open_  # shares of the paths that end in a blank, in the last character


@dataclass(frozen=True)
class Beam:
    """Prefix beam search (Hannun et al. 2014) with a character language model, which settles look-alikes and case.

    Each added character counts exp(weight * log p(character | before) + bonus); steps that are surely blank are passed
    over, characters below `least` of a step are not tried.
    """

    language: LanguageModel | None = None
    constraint: Constraint | None = None  # what the line may say; then nothing is pruned but by `width`
    width: int = 12
    weight: float = 0.5
    bonus: float = 1.3  # nats a character, which makes up for what the language model takes from longer texts
    least: float = 2e-3
    drop: float = 1e-5  # share of the best below which a prefix is given up
    kind: ClassVar[str] = "beam"

    def __call__(self, log_probs: LogProbs, alphabet: Alphabet) -> Decoded:
        if len(log_probs) == 0:
            return Decoded("", 1.0, ())
        probabilities = np.exp(log_probs)
        least = self.least if self.constraint is None else 1e-7
        beams = {"": _Prefix("", (), 1.0)}
        busy = probabilities[:, BLANK] < (0.9995 if self.constraint is None else 2.0)
        rows, classes = np.nonzero((probabilities > least) & busy[:, None])
        tried: list[list[int]] = [[] for _ in range(len(log_probs))]
        for row, k in zip(rows.tolist(), classes.tolist(), strict=True):
            tried[row].append(k)
        for step in np.flatnonzero(busy).tolist():
            if step and not busy[step - 1]:  # surely blank steps lie before: whatever was open is closed
                for prefix in beams.values():
                    prefix.blank, prefix.open = prefix.blank + prefix.open, 0.0
            beams = self._step(beams, step, probabilities[step], tried[step], alphabet)
        said = [p for p in beams.values() if self.constraint is None or self.constraint.whole(p.text)]
        if not said:
            return Decoded("", 0.0, ())
        best = max(said, key=lambda p: p.blank + p.open)
        return _decoded(best, probabilities, alphabet)

    def _step(
        self, beams: dict[str, _Prefix], step: int, row: npt.NDArray[np.float32], tried: list[int], alphabet: Alphabet
    ) -> dict[str, _Prefix]:
        after: dict[str, _Prefix] = {}
        chances = [(alphabet.characters[k - 1], float(row[k])) for k in tried if k != BLANK]
        blank = float(row[BLANK])
        for text, prefix in beams.items():
            total = prefix.blank + prefix.open
            last = text[-1:]
            stays = after.get(text)
            if stays is None:
                stays = after[text] = _Prefix(text, prefix.steps)
            elif total * blank > stays.open:
                stays.steps = prefix.steps
            stays.blank += total * blank
            for character, p in chances:
                if character == last:
                    stays.open += prefix.open * p
                    paths = prefix.blank * p
                else:
                    paths = total * p
                if paths <= 0.0:
                    continue
                longer = text + character
                there = after.get(longer)
                if there is None and self.constraint is not None and not self.constraint.begins(longer):
                    continue
                share = paths * self._worth(text, character)
                if there is None:
                    after[longer] = _Prefix(longer, (*prefix.steps, step), 0.0, share)
                else:
                    if share > there.blank + there.open:  # most paths read the character here
                        there.steps = (*prefix.steps, step)
                    there.open += share
        shares = sorted(((p.blank + p.open, t) for t, p in after.items()), reverse=True)[: self.width]
        top = shares[0][0] or 1.0
        kept = {}
        for share, text in shares:
            if share < top * self.drop and self.constraint is None:
                break
            prefix = kept[text] = after[text]
            prefix.blank /= top
            prefix.open /= top
        return kept

    def _worth(self, text: str, character: str) -> float:
        if self.language is None:
            return 1.0
        return math.exp(self.weight * self.language(" " + text, character) + self.bonus)


def _decoded(prefix: _Prefix, probabilities: LogProbs, alphabet: Alphabet) -> Decoded:
    """A prefix with the steps and the confidence of each of its characters."""
    spans = []
    ends = (*prefix.steps, len(probabilities))[1:]
    for character, start, end in zip(prefix.text, prefix.steps, ends, strict=True):
        own = probabilities[start : max(end, start + 1), alphabet.characters.index(character) + 1]
        last = start + 1
        while last < end and own[last - start] > 0.3:  # the steps it goes on
            last += 1
        spans.append(Span(character, start, last, float(own[: last - start].max())))
    return Decoded(prefix.text, min((s.confidence for s in spans), default=1.0), tuple(spans))


def _beam(rest: str, alphabet: Alphabet) -> Decoder:
    return Beam(open_language(rest) if rest else language_for(alphabet))


def _only(name: str, made: Decoder) -> Callable[[str, Alphabet], Decoder]:
    def opened(rest: str, alphabet: Alphabet) -> Decoder:
        if rest:
            raise UserError(f'the decoder {name} takes nothing after a colon, found "{rest}"')
        return made

    return opened


#: the word before the colon of a spec -> (what opens the rest of it, its line of help)
DECODERS: dict[str, tuple[Callable[[str, Alphabet], Decoder], str]] = {
    "greedy": (_only("greedy", Greedy()), "greedy: the best class of every step"),
    "beam": (_beam, "beam, beam:MODEL.lm: beam search with a language model, the bundled one of the alphabet or yours"),
    "beam-alone": (_only("beam-alone", Beam()), "beam-alone: beam search without a language model"),
}


def constrained(decoder: Decoder, constraint: Constraint) -> Beam:
    """A decoder that says nothing but what is allowed: a wide beam, with the language model of a beam given."""
    language = decoder.language if isinstance(decoder, Beam) else None
    return Beam(language, constraint, width=40)


def open_decoder(spec: str, alphabet: Alphabet) -> Decoder:
    """The decoder of a spec ("greedy", "beam", "beam:my.lm") for a reader's alphabet. Raises UserError with choices."""
    name, _, rest = spec.partition(":")
    if name not in DECODERS:
        raise UserError(f'no decoder "{name}"; {nearest(name, DECODERS)}')
    return DECODERS[name][0](rest, alphabet)
