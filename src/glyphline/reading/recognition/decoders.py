"""FAMILY: CTC decoders, log-probabilities (T, C) of one line -> DecodedText(text, confidence, spans).

Contract: a decoder is a frozen dataclass with a `kind`. It is called with the log-probabilities of one line and the
alphabet of the recognizer. To add a decoder: write such a class and add a row to DECODERS at the bottom.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import BLANK, Alphabet
from glyphline.errors import UserError, nearest
from glyphline.reading.recognition.calibration import CharacterEvidence
from glyphline.reading.recognition.constraints import Constraint
from glyphline.reading.recognition.language_model import START, LanguageModel, language_model_for, open_language_model

LogProbs = npt.NDArray[np.float32]  # (T, C), natural logarithms, class 0 the blank

CONSTRAINED_WIDTH = 40  # prefixes of a beam search with a constraint
CONSTRAINED_MIN_PROBABILITY = 1e-7  # takes the place of `min_probability` in a search with a constraint
SPAN_MIN_PROBABILITY = 0.3  # the span of a character ends at the first step with a probability of at most this


@dataclass(frozen=True)
class CharacterSpan:
    """One character of a decoded text and the time steps it was read from."""

    character: str
    start: int  # first time step
    end: int  # time step after the last
    confidence: float  # 0..1, the highest probability of the character within the span
    lm_log_prob: float = 0.0  # natural log of its probability by the language model; 0 without a language model

    @property
    def evidence(self) -> CharacterEvidence:
        """(confidence, lm_log_prob), the input of `glyphline.reading.recognition.calibration`."""
        return self.confidence, self.lm_log_prob


@dataclass(frozen=True)
class DecodedText:
    """The output of a decoder for one line."""

    text: str
    confidence: float  # 0..1, the lowest of the characters; empty text: 1, or 0 where no text meets the constraint
    spans: tuple[CharacterSpan, ...]  # one a character of `text`, in order

    @property
    def visual_confidence(self) -> float:
        """Mean probability (0..1) of the characters by the recognizer alone; 0 for an empty text."""
        return sum(s.confidence for s in self.spans) / max(1, len(self.spans))


class Decoder(Protocol):
    """Converts the log-probabilities of one line into text."""

    kind: ClassVar[str]  # key of the weights for this decoder in ModelInfo.calibration

    def __call__(self, log_probs: LogProbs, alphabet: Alphabet) -> DecodedText:
        """Decode one line: log_probs (T, C), natural logarithms, class k is the character of id k in `alphabet`."""


@dataclass(frozen=True)
class GreedyDecoder:
    """Best path decoding (Graves et al. 2006): takes the best class of every time step, then collapses the path."""

    kind: ClassVar[str] = "greedy"

    def __call__(self, log_probs: LogProbs, alphabet: Alphabet) -> DecodedText:
        path = log_probs.argmax(axis=1)
        if len(path) == 0:
            return DecodedText("", 1.0, ())
        edges = np.flatnonzero(np.diff(path)) + 1
        starts = np.concatenate([[0], edges])
        confidences = np.exp(np.maximum.reduceat(log_probs[np.arange(len(path)), path], starts)).tolist()
        ends = [*edges.tolist(), len(path)]
        spans = tuple(
            CharacterSpan(alphabet.characters[k - 1], start, end, confidence)
            for k, start, end, confidence in zip(path[starts].tolist(), starts.tolist(), ends, confidences, strict=True)
            if k != BLANK
        )
        text = "".join(span.character for span in spans)
        return DecodedText(text, min((s.confidence for s in spans), default=1.0), spans)


class _Prefix:
    """A text and the probability of the paths that collapse to it so far, relative to the best prefix (about 1)."""

    __slots__ = ("next_log_probs", "p_blank", "p_non_blank", "steps", "text")

    def __init__(self, text: str, steps: tuple[int, ...], next_log_probs: Mapping[str, float] | None = None) -> None:
        self.text = text
        self.steps = steps  # the step at which most of the probability first reads each character
        self.p_blank = self.p_non_blank = 0.0  # of the paths that end in a blank, in the last character
        self.next_log_probs = next_log_probs  # of the next character, by the language model; None: not looked up yet


@dataclass(frozen=True)
class BeamSearchDecoder:
    """CTC prefix beam search (Hannun et al. 2014) with a character language model and an optional constraint.

    A text is scored with log P(text | line) + lm_weight * log P(text) + character_bonus * (number of characters).

    - Temperature: log_probs are divided by `temperature` and normalized first (Guo et al. 2017). The networks are
      overconfident: without this, characters they think unlikely would fall below `min_probability`.
    - Pruning: a step extends the prefixes only with characters above `min_probability`. Of prefixes with the same last
      order - 1 characters, order being that of the language model, only the best is kept: the language model scores
      every continuation of them alike. A constraint or a `beam_threshold` of 0 turns off all pruning after
      `min_probability` except `width`.
    - Clear lines: where the greedy characters have a mean probability of at least `clear_line`,
      `clear_min_probability` takes the place of `min_probability`. The language model then chooses among characters
      that were seen, and cannot overrule one that was seen clearly.
    - Random text: a line is decoded greedily where the greedy text scores higher with `random_text_log_prob` for each
      character than the beam's text with its language model score. This needs a language model and no constraint.
    - Constraint: only texts that it accepts are returned. Where none is found, the text is empty and its confidence 0.
      CONSTRAINED_MIN_PROBABILITY takes the place of `min_probability`.
    """

    language_model: LanguageModel | None = None
    constraint: Constraint | None = None
    width: int = 12  # prefixes kept after each step
    lm_weight: float = 0.6
    character_bonus: float = 2.0  # nats a character; offsets the language model, whose score falls with the length
    min_lm_log_prob: float = -7.5  # nats; lower log-probabilities of the language model are raised to this
    random_text_log_prob: float = -3.4  # nats a character of codes and random strings; -inf turns random text off
    temperature: float = 1.25  # error rates with and without it: docs/reader.md
    min_probability: float = 2e-3  # of a character at a step, after the temperature
    clear_line: float = math.inf  # mean probability of the greedy characters, before the temperature; inf: never
    clear_min_probability: float = 0.02  # of a character at a step of a clear line, after the temperature
    extension_threshold: float = 2e-4  # extensions below this share of the step's best are dropped before LM scoring
    beam_threshold: float = 1e-4  # prefixes below this share of the best prefix are dropped
    kind: ClassVar[str] = "beam"

    def __call__(self, log_probs: LogProbs, alphabet: Alphabet) -> DecodedText:
        if len(log_probs) == 0:
            return DecodedText("", 1.0, ())
        probabilities = np.exp(log_probs / self.temperature)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        greedy = GreedyDecoder()(log_probs, alphabet)
        is_clear = bool(greedy.spans) and fmean(span.confidence for span in greedy.spans) >= self.clear_line
        prefixes = self._search(probabilities, alphabet, is_clear)
        accepted = [p for p in prefixes if self.constraint is None or self.constraint.accepts(p.text)]
        if not accepted:
            return DecodedText("", 0.0, ())
        best = max(accepted, key=lambda p: p.p_blank + p.p_non_blank)
        decoded = self._decode_prefix(best, log_probs, alphabet)
        if self.constraint is None and self.language_model is not None and greedy.text != decoded.text:
            softened = np.log(np.maximum(probabilities, 1e-30))
            if self._is_random_text(decoded, greedy, softened, alphabet):
                return self.add_lm_log_probs(greedy)
        return decoded

    def score_text(self, text: str) -> float:
        """The score of a whole text without its likelihood in the image, in nats; 0 without a language model.

        It is lm_weight * log P(text) + character_bonus * len(text). log P(text) is at least that of random text,
        random_text_log_prob * len(text).
        """
        if self.language_model is None:
            return 0.0
        lm_log_prob = max(sum(self._lm_log_probs(text)), self.random_text_log_prob * len(text))
        return self.lm_weight * lm_log_prob + self.character_bonus * len(text)

    @property
    def random_text_score(self) -> float:
        """The score of a character of random text, in nats, as `score_text` counts it."""
        return self.lm_weight * self.random_text_log_prob + self.character_bonus

    def add_lm_log_probs(self, decoded: DecodedText) -> DecodedText:
        """A copy of a decoded text with the `lm_log_prob` of every span set. The decoder needs a language model."""
        lm_log_probs = self._lm_log_probs(decoded.text)
        spans = [
            CharacterSpan(span.character, span.start, span.end, span.confidence, lm_log_prob)
            for span, lm_log_prob in zip(decoded.spans, lm_log_probs, strict=True)
        ]
        return replace(decoded, spans=tuple(spans))

    def _lm_log_probs(self, text: str) -> list[float]:
        """The log-probability of each character of a text by the language model, at least `min_lm_log_prob`.

        0 without a language model.
        """
        if self.language_model is None:
            return [0.0] * len(text)
        return [max(self.min_lm_log_prob, log_prob) for log_prob in self.language_model.log_probs(text)]

    def _is_random_text(
        self, decoded: DecodedText, greedy: DecodedText, log_probs: LogProbs, alphabet: Alphabet
    ) -> bool:
        """Whether the greedy text scores higher as random text than the beam's text with the language model.

        Each text has the log-likelihood of one path: the best path for the greedy text; for the beam's text the path
        that takes, at the steps after a character starts, the more likely of this character and the blank.
        """
        classes = np.zeros(len(log_probs), np.int64)  # of the last character that started at or before each step
        starts = np.array([span.start for span in decoded.spans], np.int64)
        classes[starts] = ids = alphabet.encode(decoded.text)
        classes = classes[np.maximum.accumulate(np.where(classes > 0, np.arange(len(classes)), 0))]
        path = np.maximum(log_probs[np.arange(len(classes)), classes], log_probs[:, BLANK])
        path[starts] = log_probs[starts, ids]
        lm_log_prob = sum(span.lm_log_prob for span in decoded.spans)
        beam_score = float(path.sum()) + self.lm_weight * lm_log_prob + self.character_bonus * len(decoded.text)
        greedy_score = float(log_probs.max(axis=1).sum()) + self.random_text_score * len(greedy.text)
        return beam_score < greedy_score

    def _search(self, probabilities: npt.NDArray[np.floating], alphabet: Alphabet, is_clear: bool) -> list[_Prefix]:
        """The prefixes after the last step. probabilities: (T, C), after the temperature."""
        minimum = self.clear_min_probability if is_clear else self.min_probability
        likely = probabilities > (minimum if self.constraint is None else CONSTRAINED_MIN_PROBABILITY)
        likely[:, BLANK] = False
        indices = np.flatnonzero(likely)
        rows, classes = (part.tolist() for part in np.divmod(indices, likely.shape[1]))
        candidates: dict[int, list[tuple[str, float]]] = {}  # step -> likely characters; steps without any are left out
        for row, k, p in zip(rows, classes, probabilities.ravel()[indices].tolist(), strict=True):
            candidates.setdefault(row, []).append((alphabet.characters[k - 1], p))
        root = _Prefix("", ())
        root.p_blank = 1.0
        prefixes = [root]
        blanks = probabilities[:, BLANK].tolist()
        for step, characters in candidates.items():
            if step - 1 not in candidates:  # the step before was a blank for every prefix
                for prefix in prefixes:
                    prefix.p_blank, prefix.p_non_blank = prefix.p_blank + prefix.p_non_blank, 0.0
            if len(prefixes) == len(characters) == 1 and self._advance_certain(
                prefixes[0], step, blanks[step], *characters[0]
            ):
                continue
            prefixes = self._prune(self._extend(prefixes, step, blanks[step], characters))
        return prefixes

    def _advance_certain(self, prefix: _Prefix, step: int, p_blank: float, character: str, p: float) -> bool:
        """Advance the only prefix by one step in place, where one outcome is nearly certain. False: not advanced."""
        if self.constraint is not None or self.beam_threshold == 0:
            return False
        total, repeats = prefix.p_blank + prefix.p_non_blank, character == prefix.text[-1:]
        p_unchanged = total * p_blank + (prefix.p_non_blank * p if repeats else 0.0)
        p_extended = (prefix.p_blank if repeats else total) * p
        if p_extended <= self.extension_threshold * p_unchanged:
            prefix.p_blank, prefix.p_non_blank = total * p_blank / p_unchanged, 1 - total * p_blank / p_unchanged
        elif p_unchanged <= self.extension_threshold * p_extended:
            prefix.text, prefix.steps, prefix.next_log_probs = prefix.text + character, (*prefix.steps, step), None
            prefix.p_blank, prefix.p_non_blank = 0.0, 1.0
        else:
            return False
        return True

    def _extend(
        self, prefixes: list[_Prefix], step: int, p_blank: float, candidates: list[tuple[str, float]]
    ) -> dict[str, _Prefix]:
        """The prefixes after one more step, by text: each unchanged, and each with every candidate (character, p).

        The prefixes that come in are changed in place.
        """
        extended = {prefix.text: prefix for prefix in prefixes}
        # probability without the language model, prefix, its steps before this step, character
        extensions: list[tuple[float, _Prefix, tuple[int, ...], str]] = []
        best = 0.0
        for prefix in prefixes:
            total, last, p_repeated = prefix.p_blank + prefix.p_non_blank, prefix.text[-1:], 0.0
            for character, p in candidates:
                if character == last:
                    p_repeated, p_paths = prefix.p_non_blank * p, prefix.p_blank * p
                else:
                    p_paths = total * p
                extensions.append((p_paths, prefix, prefix.steps, character))
                if p_paths > best:
                    best = p_paths
            prefix.p_blank, prefix.p_non_blank = total * p_blank, p_repeated
            best = max(best, prefix.p_blank + p_repeated)
        is_pruned = self.constraint is None and self.beam_threshold > 0
        min_path_probability = self.extension_threshold * best if is_pruned else 0.0
        for p_paths, prefix, steps, character in extensions:
            if p_paths <= min_path_probability:
                continue
            text = prefix.text + character
            target = extended.get(text)
            if target is None and self.constraint is not None and not self.constraint.accepts_prefix(text):
                continue
            p_extension = p_paths * self._lm_factor(prefix, character)
            if target is None:
                target = extended[text] = _Prefix(text, (*steps, step))
            elif p_extension > target.p_blank + target.p_non_blank:  # most of the probability starts the character here
                target.steps = (*steps, step)
            target.p_non_blank += p_extension
        return extended

    def _prune(self, extended: dict[str, _Prefix]) -> list[_Prefix]:
        """The best `width` prefixes, one for each context of the language model, scaled so that the best has 1."""
        ranked = sorted([(p.p_blank + p.p_non_blank, text) for text, p in extended.items()], reverse=True)
        best = ranked[0][0] or 1.0
        is_pruned = self.constraint is None and self.beam_threshold > 0
        min_total = best * self.beam_threshold if is_pruned else 0.0
        context_length = max(1, self.language_model.order - 1) if self.language_model else None
        kept: list[_Prefix] = []
        contexts: set[str] = set()
        for total, text in ranked:
            if is_pruned:
                if total < min_total:
                    break
                context = text[-context_length:] if context_length else text
                if context in contexts:
                    continue
                contexts.add(context)
            prefix = extended[text]
            prefix.p_blank /= best
            prefix.p_non_blank /= best
            kept.append(prefix)
            if len(kept) == self.width:
                break
        return kept

    def _lm_factor(self, prefix: _Prefix, character: str) -> float:
        """The factor of the language model and the bonus for adding a character to a prefix."""
        if self.language_model is None:
            return 1.0
        if prefix.next_log_probs is None:
            prefix.next_log_probs = self.language_model.next_log_probs(START + prefix.text)
        lm_log_prob = max(self.min_lm_log_prob, prefix.next_log_probs[character])
        return math.exp(self.lm_weight * lm_log_prob + self.character_bonus)

    def _decode_prefix(self, prefix: _Prefix, log_probs: LogProbs, alphabet: Alphabet) -> DecodedText:
        """The text of a prefix with the span, the confidence and the language model's score of each character."""
        ids = np.append(alphabet.encode(prefix.text), BLANK)
        steps = np.arange(len(log_probs))
        # of the character that started at or before each step
        probabilities = np.exp(log_probs[steps, ids[np.searchsorted(prefix.steps, steps, "right") - 1]])
        likely = (probabilities > SPAN_MIN_PROBABILITY).tolist()
        spans = []
        next_starts = (*prefix.steps, len(log_probs))[1:]
        lm_log_probs = self._lm_log_probs(prefix.text)
        for character, start, next_start, lm_log_prob in zip(
            prefix.text, prefix.steps, next_starts, lm_log_probs, strict=True
        ):
            end = start + 1
            while end < next_start and likely[end]:
                end += 1
            confidence = float(probabilities[start:end].max()) if end > start + 1 else float(probabilities[start])
            spans.append(CharacterSpan(character, start, end, confidence, lm_log_prob))
        return DecodedText(prefix.text, min((s.confidence for s in spans), default=1.0), tuple(spans))


def _open_beam_decoder(argument: str, alphabet: Alphabet) -> Decoder:
    if not argument:
        return BeamSearchDecoder(language_model_for(alphabet))
    model = open_language_model(argument)
    check_alphabet(model, argument, alphabet)
    return BeamSearchDecoder(model)


def check_alphabet(model: LanguageModel, name: str, alphabet: Alphabet) -> None:
    """Raise UserError for a language model of another alphabet: more than half of its letters are not in `alphabet`.

    name: of the model, for the message.
    """
    letters = [c for c in model.symbols if c.isalpha()]
    unknown = [c for c in letters if c not in alphabet]
    if 2 * len(unknown) > len(letters):
        readable = "".join(c for c in alphabet.characters if c.isalpha())
        raise UserError(
            f"the language model {name} is of another alphabet: {len(unknown)} of its {len(letters)} letters "
            f"({''.join(unknown[:12])}...) are not among those of the recognizer ({readable[:30]}...): estimate one "
            "from texts in these letters with glyphline language"
        )


def _opener_without_argument(name: str, decoder: Decoder) -> Callable[[str, Alphabet], Decoder]:
    """A function that returns the decoder, and raises UserError for a spec with an argument."""

    def open_without_argument(argument: str, alphabet: Alphabet) -> Decoder:
        if argument:
            raise UserError(f'the decoder {name} takes no argument after a colon, found "{argument}": use {name} alone')
        return decoder

    return open_without_argument


#: name, the part of a spec before the colon -> (function that opens the decoder from the rest of the spec, help line)
DECODERS: dict[str, tuple[Callable[[str, Alphabet], Decoder], str]] = {
    "greedy": (_opener_without_argument("greedy", GreedyDecoder()), "greedy: the best class of every step"),
    "beam": (
        _open_beam_decoder,
        "beam, beam:MODEL.lm: beam search with a language model, by default the bundled one that suits the alphabet",
    ),
    "beam-no-lm": (
        _opener_without_argument("beam-no-lm", BeamSearchDecoder()),
        "beam-no-lm: beam search without a language model",
    ),
}


def constrain(decoder: Decoder, constraint: Constraint) -> BeamSearchDecoder:
    """A beam search decoder that returns only texts the constraint accepts.

    Its width is CONSTRAINED_WIDTH. It takes over the language model of `decoder` where that is a beam search decoder;
    all its other fields have their defaults.
    """
    language_model = decoder.language_model if isinstance(decoder, BeamSearchDecoder) else None
    return BeamSearchDecoder(language_model, constraint, width=CONSTRAINED_WIDTH)


def open_decoder(spec: str, alphabet: Alphabet) -> Decoder:
    """Open the decoder of a spec, NAME or NAME:ARGUMENT: "greedy", "beam", "beam:my.lm", "beam-no-lm".

    alphabet: of the recognizer; it selects the bundled language model. Raises UserError for an unknown decoder or
    language model, or an argument that the decoder does not take; DataError for a broken language model file.
    """
    name, _, argument = spec.partition(":")
    if name not in DECODERS:
        raise UserError(f'no decoder "{name}"; {nearest(name, DECODERS)}')
    return DECODERS[name][0](argument, alphabet)
