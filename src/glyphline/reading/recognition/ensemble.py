"""Several readers on the same lines: what one misreads another may not, and what all of them hear decides.

Each reader proposes what it read. Where two differ, the words they differ in are exchanged between the proposals, and
the text is believed that the networks together and the language find likeliest: a log-linear combination of CTC
likelihoods (Graves et al. 2006), as recognizers of speech are combined.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from glyphline.alphabet import BLANK
from glyphline.imaging.documents import ColourImage, GreyImage
from glyphline.page import Line
from glyphline.reading.recognition.decoders import BeamSearchDecoder, CharacterSpan, DecodedText
from glyphline.reading.recognition.hypotheses import MIN_CLASS_PROBABILITY, Hypothesis, Hypothesizer
from glyphline.reading.recognition.recognizers import PP_OCR

ENOUGH, SHORT = 0.8, 3  # a line of more letters that a reader is surer of than this is not read by the next
TRUST = {PP_OCR: 1.0}  # by which a network's log-likelihood counts; it learned from photographs
COMPOSED = 0.7  # of those that learned from composed lines, and less where they are less sure than another, see _trust
SPELLED = 6  # letters set apart that make a line spelled
REGIONS = 4  # places in which two proposals differ that are exchanged in every combination
SOFT = BeamSearchDecoder.temperature  # of what the networks say
_WORDS = re.compile(r"\s|\S+")
VETO = 20.0  # nats below its likeliest text that a network may hold any other, and does where it cannot say it at all


def log_likelihoods(log_probs: npt.NDArray[np.floating], texts: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    """log P(text | line) of each text by CTC's forward algorithm (Graves et al. 2006).

    log_probs: (T, C), class 0 the blank. texts: classes of each; -inf for what does not fit into T steps, and for what
    is so much less likely than another text of its length that float64 cannot tell.
    """
    length = max((len(ids) for ids in texts), default=0)
    # two states of nothing on the left, so that shifts stay inside
    states = np.full((len(texts), 2 * length + 3), BLANK)
    real = np.zeros(states.shape, bool)
    for row, ids in enumerate(texts):
        states[row, 3 : 3 + 2 * len(ids) : 2] = ids
        real[row, 2 : 3 + 2 * len(ids)] = True
    skips = np.zeros(states.shape)  # from one character straight to a different one
    skips[:, 2:] = (states[:, 2:] != BLANK) & (states[:, 2:] != states[:, :-2])
    emitted = np.exp(log_probs[:, states].astype(np.float64)) * real  # (T, N, S)
    paths = np.zeros(states.shape)
    paths[:, 2] = 1.0
    total = np.zeros(len(texts))
    for shares in emitted:
        moved = paths.copy()
        moved[:, 1:] += paths[:, :-1]
        moved[:, 2:] += paths[:, :-2] * skips[:, 2:]
        paths = moved * shares
        top = paths.max(axis=1)
        total += np.log(np.maximum(top, 1e-300))
        paths /= np.maximum(top, 1e-300)[:, None]
    ends = np.array([2 + 2 * len(ids) for ids in texts], np.int64)
    rows = np.arange(len(texts))
    last = paths[rows, ends] + np.where(ends > 2, paths[rows, ends - 1], 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(total + np.log(last))


def is_letter_spaced(text: str) -> bool:
    """Whether most words of a text are single letters, SPELLED of them at least.

    >>> is_letter_spaced("a b c d e f gh"), is_letter_spaced("a note to all of us")
    (True, False)
    """
    words = text.split()
    single = sum(len(word) == 1 for word in words)
    return single >= max(SPELLED, 0.8 * len(words))


def candidate_texts(read: Sequence[str]) -> list[str]:
    """The texts read, and of two also those with the words in which they differ exchanged, where they are REGIONS.

    >>> candidate_texts(["a hand written merge", "a handwritten message"])[2:4]
    ['a hand written message', 'a handwritten merge']
    """
    out = list(dict.fromkeys(read))
    if len(out) == 2:
        a, b = out
        for parts in (_parted(a, b), _parted(_WORDS.findall(a), _WORDS.findall(b))):
            if 1 < sum(one != other for one, other in parts) <= REGIONS:
                out += map("".join, product(*(dict.fromkeys(part) for part in parts)))
    return list(dict.fromkeys(out))


def _parted(a: Sequence[str], b: Sequence[str]) -> list[tuple[str, str]]:
    """Two texts, in characters or in words, cut at what the shortest edit finds to be spaces of both."""
    out, start, end = [], 0, 0
    for step in Levenshtein.opcodes(a, b):
        for k in range(step.src_end - step.src_start if step.tag == "equal" else 0):
            i, j = step.src_start + k, step.dest_start + k
            if a[i] == " ":
                out.append(("".join(a[start:i]), "".join(b[end:j])))
                start, end = i, j
    return [*out, ("".join(a[start:]), "".join(b[end:]))]


@dataclass(frozen=True)
class Ensemble:
    """Reads lines with the first reader, and those it is not sure of, or are SHORT, with the others too.

    Made like a reader: `read_lines` takes and gives the same. At least one reader.
    """

    readers: tuple[Hypothesizer, ...]

    @property
    def calibrated(self) -> bool:
        """Whether the confidences of all of them were fitted."""
        return all(reader.calibrated for reader in self.readers)

    def read_lines(self, images: Sequence[GreyImage | ColourImage]) -> list[Line]:
        """Images (H, W) or (H, W, 3), one line each; a line's recognizer says who read it."""
        first, *others = self.readers
        heard = [[one] for one in first.recognize(images)]
        for reader in others:
            last = [those[-1].line for those in heard]
            unsure = [k for k, line in enumerate(last) if len(line.text) <= SHORT or line.confidence < ENOUGH]
            for k, one in zip(unsure, reader.recognize([images[k] for k in unsure]), strict=True):
                heard[k].append(one)
        seen = [min(one.line.visual_confidence for one in those) for those in heard]
        return [
            replace(self._believed(those), visual_confidence=share) for those, share in zip(heard, seen, strict=True)
        ]

    def _believed(self, heard: Sequence[Hypothesis]) -> Line:
        """The likeliest proposal as a line, placed by the reader to whose own reading it comes nearest."""
        own = [one.decoded.text for one in heard]
        bound = any(isinstance(r.decoder, BeamSearchDecoder) and r.decoder.constraint is not None for r in self.readers)
        texts = list(dict.fromkeys(own)) if bound else candidate_texts(own)  # what is allowed is not mixed
        if len(texts) == 1:
            return max((one.line for one in heard), key=lambda line: line.confidence)
        if len({text.replace(" ", "") for text in own}) == 1:
            for one in heard:  # networks of photographs drop the spaces of an alphabet
                if is_letter_spaced(one.decoded.text):
                    return one.line
        told = [_likelihoods(one, texts) for one in heard]  # nats, of each text, by each network
        worth, most = self._language(texts), max(one.line.confidence for one in heard)
        for one, nats in zip(heard, told, strict=True):
            worth = worth + _trust(one.line, most) * nats
        best = int(worth.argmax())
        sure = max(
            one.line.confidence * Levenshtein.normalized_similarity(one.decoded.text, texts[best]) for one in heard
        )
        if texts[best] in own:
            return replace(heard[own.index(texts[best])].line, confidence=sure)
        short = [nats[texts.index(text)] - nats[best] for text, nats in zip(own, told, strict=True)]
        who = int(np.argmin(short))
        said, decoder = _aligned(heard[who], texts[best]), self.readers[who].decoder
        if isinstance(decoder, BeamSearchDecoder) and decoder.language is not None:
            said = decoder.with_nats(said)
        line = heard[who].place(said)
        return replace(line, recognizer="+".join(one.line.recognizer for one in heard), confidence=sure)

    def _language(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """What each text is worth as language, nats, as the first reader with a language model counts it."""
        for reader in self.readers:
            decoder = reader.decoder
            if isinstance(decoder, BeamSearchDecoder) and decoder.language is not None:
                return np.array([decoder.worth(text) for text in texts])
        return np.zeros(len(texts))


def _trust(line: Line, most: float) -> float:
    """By how much the log-likelihoods of the network that read a line count, where the surest one is so sure.

    A network that learned from composed lines is unsure of what it has never seen the like of, and then wrong in ways
    that its likelihoods do not tell: it loses the square of the share. One of photographs keeps its whole weight.
    """
    return TRUST.get(line.recognizer, COMPOSED * (line.confidence / most) ** 2 if most else COMPOSED)


def _softened(heard: Hypothesis, texts: Sequence[str]) -> tuple[npt.NDArray[np.float64], list[list[int]]]:
    """(T, K + 1) log-probabilities, the last column for what had no chance, and the columns of each text."""
    soft = heard.log_probs / SOFT
    soft = soft - np.log(np.exp(soft).sum(axis=1, keepdims=True))
    unheard = soft.shape[1]
    wide = np.pad(soft, ((0, 0), (0, 1)), constant_values=math.log(MIN_CLASS_PROBABILITY))
    return wide, [[heard.columns.get(c, unheard) for c in text] for text in texts]


def _likelihoods(heard: Hypothesis, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """log P(text) by one network, the unlikeliest VETO less than the likeliest; all alike where it saw nothing.

    A text too long for the steps of one network would be out of the question otherwise, whatever the other saw.
    """
    if len(heard.log_probs) == 0:
        return np.zeros(len(texts))
    soft, columns = _softened(heard, texts)
    nats = log_likelihoods(soft, columns)
    return np.maximum(nats, nats.max() - VETO) if np.isfinite(nats.max()) else np.zeros(len(texts))


def _aligned(heard: Hypothesis, text: str) -> DecodedText:
    """A text laid along what a network said: the likeliest path, Viterbi's over CTC's states."""
    soft, (columns,) = _softened(heard, [text])
    plain = np.pad(heard.log_probs, ((0, 0), (0, 1)), constant_values=math.log(MIN_CLASS_PROBABILITY))
    states = np.full(2 * len(columns) + 1, BLANK)
    states[1::2] = columns
    skips = np.zeros(len(states), bool)
    skips[2:] = (states[2:] != BLANK) & (states[2:] != states[:-2])
    emitted = soft[:, states]
    score = np.full(len(states), -np.inf)
    score[:2] = emitted[0, :2]
    came = np.zeros(emitted.shape, np.int64)  # states back, 0 to 2
    for step in range(1, len(emitted)):
        ways = np.full((3, len(states)), -np.inf)
        ways[0], ways[1, 1:] = score, score[:-1]
        ways[2, 2:] = np.where(skips[2:], score[:-2], -np.inf)
        came[step] = ways.argmax(axis=0)
        score = ways.max(axis=0) + emitted[step]
    at = max(0, len(states) - 2) + int(score[-2:].argmax())
    path = []
    for step in range(len(emitted) - 1, -1, -1):
        path.append(at)
        at -= int(came[step, at])
    along = np.array(path[::-1])
    spans = []
    for k, character in enumerate(text):
        steps = np.flatnonzero(along == 2 * k + 1)
        start, end = (int(steps[0]), int(steps[-1]) + 1) if len(steps) else (0, 1)
        share = float(np.exp(plain[start:end, columns[k]].max()))
        spans.append(CharacterSpan(character, start, end, share))
    return DecodedText(text, min((s.confidence for s in spans), default=1.0), tuple(spans))
