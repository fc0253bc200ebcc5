"""FAMILY: log-probabilities (T, C) -> Decoded(text, confidence, spans).

Contract: a decoder is a frozen dataclass called with one line's log-probabilities and its alphabet. To add one: a
class with `__call__` and a row in DECODERS at the bottom; every decoder returns the same type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import BLANK, Alphabet
from glyphline.errors import UserError, nearest
from glyphline.reading.recognition.calibration import CharacterEvidence
from glyphline.reading.recognition.constraints import Constraint
from glyphline.reading.recognition.language_model import START, LanguageModel, language_model_for, open_language_model

LogProbs = npt.NDArray[np.float32]  # (T, C), natural logarithms, class 0 the blank


@dataclass(frozen=True)
class CharacterSpan:
    """One character and the time steps it was read from."""

    character: str
    start: int
    end: int  # exclusive
    confidence: float  # 0..1
    nats: float = 0.0  # its log p by the language model; 0 without one

    @property
    def evidence(self) -> CharacterEvidence:
        """What `glyphline.reading.recognition.calibration` weighs."""
        return self.confidence, self.nats


@dataclass(frozen=True)
class DecodedText:
    """What a decoder says of one line."""

    text: str
    confidence: float  # 0..1: the least sure character; 1 for nothing read
    spans: tuple[CharacterSpan, ...]

    @property
    def visual_confidence(self) -> float:
        """The share 0..1 that the network gave these characters, on average; 0 for nothing read."""
        return sum(s.confidence for s in self.spans) / max(1, len(self.spans))


class Decoder(Protocol):
    """Turns one line's log-probabilities into text."""

    kind: ClassVar[str]  # under which a model keeps how sure it is with this decoder

    def __call__(self, log_probs: LogProbs, alphabet: Alphabet) -> DecodedText: ...


@dataclass(frozen=True)
class GreedyDecoder:
    """The best class of every step, collapsed (best path, Graves et al. 2006)."""

    kind: ClassVar[str] = "greedy"

    def __call__(self, log_probs: LogProbs, alphabet: Alphabet) -> DecodedText:
        path = log_probs.argmax(axis=1)
        if len(path) == 0:
            return DecodedText("", 1.0, ())
        edges = np.flatnonzero(np.diff(path)) + 1
        starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(path)]])
        spans = tuple(
            CharacterSpan(
                alphabet.characters[path[s] - 1], int(s), int(e), float(np.exp(log_probs[s:e, path[s]].max()))
            )
            for s, e in zip(starts, ends, strict=True)
            if path[s] != BLANK
        )
        text = "".join(span.character for span in spans)
        return DecodedText(text, min((s.confidence for s in spans), default=1.0), spans)


class _Prefix:
    """A text that some paths so far collapse to, and the share of them; shares are relative, the best about 1."""

    __slots__ = ("blank", "following", "open", "steps", "text")

    def __init__(self, text: str, steps: tuple[int, ...], following: Mapping[str, float] | None = None) -> None:
        self.text, self.steps = text, steps  # steps: where most paths first read each character
        self.blank = self.open = 0.0  # shares of the paths that end in a blank, in the last character
        self.following = following  # log p of the next character; None until it is needed


@dataclass(frozen=True)
class BeamSearchDecoder:
    """Prefix beam search (Hannun et al. 2014) with a character language model, which settles look-alikes and case.

    Each added character counts exp(weight * log p(character | before) + bonus); characters below `min_probability` of a step are
    not tried, steps without any are passed over. Of prefixes that end alike, so that all that follows counts
    the same for each, only the best goes on. A line that is better explained as no language at all, every character
    with a log p of `chance`, is read greedily. What the network says is softened by `temperature` first (Guo et al.
    2017), for it is surer than it is right, and what it thinks unlikely would never be tried.
    """

    language: LanguageModel | None = None
    constraint: Constraint | None = None  # what the line may say; then nothing is pruned but by `width`
    width: int = 12
    weight: float = 0.6
    bonus: float = 2.0  # nats a character, which makes up for what the language model takes from longer texts
    floor: float = -7.5  # nats; the language model counts no character as less likely
    chance: float = -3.4  # nats a character in codes and random strings; -inf: every line is language
    temperature: float = 1.25
    min_probability: float = 2e-3
    hopeless: float = 2e-4  # share of a step's best below which a text is given up before its language counts
    drop: float = 1e-4  # share of the best below which a prefix is given up; 0: only `width` prunes
    kind: ClassVar[str] = "beam"

    def __call__(self, log_probs: LogProbs, alphabet: Alphabet) -> DecodedText:
        if len(log_probs) == 0:
            return DecodedText("", 1.0, ())
        probabilities = np.exp(log_probs / self.temperature)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        likely = probabilities > (self.min_probability if self.constraint is None else 1e-7)
        likely[:, BLANK] = False
        rows, classes = np.nonzero(likely)
        tried: dict[int, list[tuple[str, float]]] = {}  # step -> the characters it may hold; others hold none
        for row, k, p in zip(rows.tolist(), classes.tolist(), probabilities[rows, classes].tolist(), strict=True):
            tried.setdefault(row, []).append((alphabet.characters[k - 1], p))
        start = _Prefix("", ())
        start.blank = 1.0
        beams = [start]
        blanks = probabilities[:, BLANK].tolist()
        for step, characters in tried.items():
            if step - 1 not in tried:  # nothing but blanks before: whatever was open is closed
                for prefix in beams:
                    prefix.blank, prefix.open = prefix.blank + prefix.open, 0.0
            if len(beams) == len(characters) == 1 and self._settled(beams[0], step, blanks[step], *characters[0]):
                continue
            beams = self._pruned(self._extended(beams, step, blanks[step], characters))
        said = [p for p in beams if self.constraint is None or self.constraint.whole(p.text)]
        if not said:
            return DecodedText("", 0.0, ())
        best = max(said, key=lambda p: p.blank + p.open)
        read = _decoded(best, log_probs, alphabet)
        if self.language is None:
            return read
        read = self.with_nats(read)
        if self.constraint is None:
            plain = GreedyDecoder()(log_probs, alphabet)
            if plain.text != read.text:
                softened = np.log(np.maximum(probabilities, 1e-30))
                if self._is_no_language(read, plain, softened, alphabet):
                    return self.with_nats(plain)
        return read

    def worth(self, text: str) -> float:
        """What a whole text counts beside its likelihood in the image, nats: as language, or as none of it."""
        if self.language is None:
            return 0.0
        return self.weight * max(sum(self._nats(text)), self.chance * len(text)) + self.bonus * len(text)

    def with_nats(self, read: DecodedText) -> DecodedText:
        """The same, its characters with what the language model says of each."""
        spans = [replace(s, nats=nats) for s, nats in zip(read.spans, self._nats(read.text), strict=True)]
        return replace(read, spans=tuple(spans))

    def _nats(self, text: str) -> list[float]:
        """log p of each character of a text, by the language model, which has to be there."""
        assert self.language is not None
        before = START + text
        return [max(self.floor, self.language(before[:k], c)) for k, c in enumerate(text, 1)]

    def _is_no_language(self, read: DecodedText, plain: DecodedText, log_probs: LogProbs, alphabet: Alphabet) -> bool:
        """Whether what was read greedily, as any characters, is likelier than the best text, as language."""
        now = np.zeros(len(log_probs), np.int64)  # the class of the character that each step goes on with
        steps = np.array([span.start for span in read.spans], np.int64)
        now[steps] = ids = alphabet.encode(read.text)
        now = now[np.maximum.accumulate(np.where(now > 0, np.arange(len(now)), 0))]
        along = np.maximum(log_probs[np.arange(len(now)), now], log_probs[:, BLANK])
        along[steps] = log_probs[steps, ids]
        worth = sum(span.nats for span in read.spans)
        ours = float(along.sum()) + self.weight * worth + self.bonus * len(read.text)
        theirs = float(log_probs.max(axis=1).sum()) + (self.weight * self.chance + self.bonus) * len(plain.text)
        return ours < theirs

    def _settled(self, only: _Prefix, step: int, blank: float, character: str, p: float) -> bool:
        """Take the one prefix there is a step further where the step leaves no choice; False where it leaves one."""
        if self.constraint is not None or self.drop == 0:
            return False
        total, again = only.blank + only.open, character == only.text[-1:]
        stays, longer = total * blank + (only.open * p if again else 0.0), (only.blank if again else total) * p
        if longer <= self.hopeless * stays:
            only.blank, only.open = total * blank / stays, 1 - total * blank / stays
        elif stays <= self.hopeless * longer:
            only.text, only.steps, only.following = only.text + character, (*only.steps, step), None
            only.blank, only.open = 0.0, 1.0
        else:
            return False
        return True

    def _extended(
        self, beams: list[_Prefix], step: int, blank: float, tried: list[tuple[str, float]]
    ) -> dict[str, _Prefix]:
        """The prefixes after one more step: each as it is, and with each character tried."""
        after: dict[str, _Prefix] = {}
        longer: list[tuple[float, _Prefix, str]] = []  # share of the paths before the language counts
        for prefix in beams:
            stays = after[prefix.text] = _Prefix(prefix.text, prefix.steps, prefix.following)
            total, last = prefix.blank + prefix.open, prefix.text[-1:]
            stays.blank = total * blank
            for character, p in tried:
                if character == last:
                    stays.open = prefix.open * p
                    longer.append((prefix.blank * p, prefix, character))
                else:
                    longer.append((total * p, prefix, character))
        if self.constraint is None and self.drop > 0:
            floor = self.hopeless * max(*(s.blank + s.open for s in after.values()), *(share for share, *_ in longer))
            longer = [way for way in longer if way[0] > floor]
        for paths, prefix, character in longer:
            text = prefix.text + character
            there = after.get(text)
            if paths == 0 or (there is None and self.constraint is not None and not self.constraint.begins(text)):
                continue
            share = paths * self._worth(after[prefix.text], character)
            if there is None:
                there = after[text] = _Prefix(text, (*prefix.steps, step))
            elif share > there.blank + there.open:  # most paths read the character here
                there.steps = (*prefix.steps, step)
            there.open += share
        return after

    def _pruned(self, after: dict[str, _Prefix]) -> list[_Prefix]:
        """The best `width` that end differently, their shares relative to the best."""
        shares = sorted(((p.blank + p.open, text) for text, p in after.items()), reverse=True)
        top = shares[0][0] or 1.0
        reach = max(1, self.language.order - 1) if self.language else None  # of an ending that decides what follows
        kept: list[_Prefix] = []
        endings: set[str] = set()
        for share, text in shares:
            if self.constraint is None and self.drop > 0:
                ending = text[-reach:] if reach else text
                if share < top * self.drop:
                    break
                if ending in endings:
                    continue
                endings.add(ending)
            prefix = after[text]
            prefix.blank /= top
            prefix.open /= top
            kept.append(prefix)
            if len(kept) == self.width:
                break
        return kept

    def _worth(self, prefix: _Prefix, character: str) -> float:
        """What adding a character to a prefix counts."""
        if self.language is None:
            return 1.0
        if prefix.following is None:
            prefix.following = self.language.after(START + prefix.text)
        return math.exp(self.weight * max(self.floor, prefix.following[character]) + self.bonus)


def _decoded(prefix: _Prefix, log_probs: LogProbs, alphabet: Alphabet) -> DecodedText:
    """A prefix with the steps and the confidence of each of its characters."""
    spans = []
    ends = (*prefix.steps, len(log_probs))[1:]
    ids = alphabet.encode(prefix.text)
    for character, k, start, end in zip(prefix.text, ids, prefix.steps, ends, strict=True):
        own = np.exp(log_probs[start : max(end, start + 1), k])
        last = start + 1
        while last < end and own[last - start] > 0.3:  # the steps it goes on
            last += 1
        spans.append(CharacterSpan(character, start, last, float(own[: last - start].max())))
    return DecodedText(prefix.text, min((s.confidence for s in spans), default=1.0), tuple(spans))


def _beam(rest: str, alphabet: Alphabet) -> Decoder:
    return BeamSearchDecoder(open_language_model(rest) if rest else language_model_for(alphabet))


def _only(name: str, made: Decoder) -> Callable[[str, Alphabet], Decoder]:
    def opened(rest: str, alphabet: Alphabet) -> Decoder:
        if rest:
            raise UserError(f'the decoder {name} takes nothing after a colon, found "{rest}"')
        return made

    return opened


#: the word before the colon of a spec -> (what opens the rest of it, its line of help)
DECODERS: dict[str, tuple[Callable[[str, Alphabet], Decoder], str]] = {
    "greedy": (_only("greedy", GreedyDecoder()), "greedy: the best class of every step"),
    "beam": (_beam, "beam, beam:MODEL.lm: beam search with a language model, the bundled one of the alphabet or yours"),
    "beam-alone": (_only("beam-alone", BeamSearchDecoder()), "beam-alone: beam search without a language model"),
}


def constrained(decoder: Decoder, constraint: Constraint) -> BeamSearchDecoder:
    """A decoder that says nothing but what is allowed: a wide beam, with the language model of a beam given."""
    language = decoder.language if isinstance(decoder, BeamSearchDecoder) else None
    return BeamSearchDecoder(language, constraint, width=40)


def open_decoder(spec: str, alphabet: Alphabet) -> Decoder:
    """The decoder of a spec ("greedy", "beam", "beam:my.lm") for a reader's alphabet. Raises UserError with choices."""
    name, _, rest = spec.partition(":")
    if name not in DECODERS:
        raise UserError(f'no decoder "{name}"; {nearest(name, DECODERS)}')
    return DECODERS[name][0](rest, alphabet)
