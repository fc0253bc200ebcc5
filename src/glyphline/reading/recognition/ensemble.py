"""Combines the hypotheses of several recognizers for the same line (log-linear system combination).

Where two hypotheses differ, the words in which they differ are exchanged, which gives further candidate texts. Each
candidate is scored by the weighted sum of its CTC log-likelihoods (Graves et al. 2006) in all recognizers and its score
in the language model. The candidate with the highest score is the text of the line.
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
from glyphline.reading.recognition.decoders import BeamSearchDecoder, CharacterSpan, DecodedText, Decoder
from glyphline.reading.recognition.hypotheses import MIN_CLASS_PROBABILITY, Hypothesis, Hypothesizer, Posteriors
from glyphline.reading.recognition.languages import NONE, candidate_languages, language_model_of
from glyphline.reading.recognition.legibility import legibility
from glyphline.reading.recognition.recognizers import PP_OCR

PHOTO_RECOGNIZERS = frozenset({PP_OCR})  # names of the recognizers that were trained on photographs
_WORDS_AND_SPACES = re.compile(r"\s|\S+")
_MIN_PATH_PROBABILITY = 1e-300  # keeps logarithms finite


@dataclass(frozen=True)
class EnsembleWeights:
    """The weights and limits of an `Ensemble`.

    The weights and `sufficient_confidence` were chosen on the photographs of `python benchmarks/pages.py`, so its
    numbers in docs/results.md are optimistic.
    """

    #: mean probability 0..1 of the characters without a language model; a line that a recognizer reads with at least
    #: this is not read by the next reader
    sufficient_confidence: float = 0.998
    #: characters; a line with at most this many is read by every reader, whatever its confidence
    short_text: int = 3
    #: factor of the log-likelihoods of a recognizer in PHOTO_RECOGNIZERS
    photo_weight: float = 1.0
    #: factor of the log-likelihoods of a recognizer trained on composed lines, where no other has a higher confidence
    composed_weight: float = 0.7
    #: power of the ratio of its confidence to the best one, by which `composed_weight` is reduced
    confidence_exponent: int = 2
    #: divisor of log-probabilities before texts are scored (Guo et al. 2017): that of the beam search, docs/reader.md
    temperature: float = BeamSearchDecoder.temperature
    #: nats; a text is scored at most this far below the likeliest candidate of a recognizer, also where the recognizer
    #: cannot produce the text, so that no recognizer alone excludes a text
    max_log_likelihood_gap: float = 20.0
    #: places in which two hypotheses differ; with more, no words are exchanged, because every combination is scored
    max_differences: int = 4
    #: words of one letter that a letter-spaced text has at least
    letter_spaced_words: int = 6
    #: fraction 0..1 of its words that are one letter in a letter-spaced text at least
    letter_spaced_fraction: float = 0.8


WEIGHTS = EnsembleWeights()


def log_likelihoods(log_probs: npt.NDArray[np.floating], texts: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    """The log-likelihood log P(text | line) of each text, in nats, by CTC's forward algorithm (Graves et al. 2006).

    log_probs: (T, C), natural logarithms, class 0 the blank. texts: the classes of each text's characters. Returns one
    value a text: -inf for a text that needs more than T steps, and for a text whose likelihood is 0 in float64 when it
    is divided by that of its likeliest beginning.
    """
    longest = max((len(ids) for ids in texts), default=0)
    # Two unused states stand on the left, so that the slices that shift by one and two states need no special case.
    states = np.full((len(texts), 2 * longest + 3), BLANK)
    used = np.zeros(states.shape, bool)
    for row, ids in enumerate(texts):
        states[row, 3 : 3 + 2 * len(ids) : 2] = ids
        used[row, 2 : 3 + 2 * len(ids)] = True
    skips = np.zeros(states.shape)  # 1 where the blank before a character may be skipped: after a different character
    skips[:, 2:] = (states[:, 2:] != BLANK) & (states[:, 2:] != states[:, :-2])
    emissions = np.exp(log_probs[:, states].astype(np.float64)) * used  # (T, N, S)
    forward = np.zeros(states.shape)
    forward[:, 2] = 1.0
    log_scale = np.zeros(len(texts))
    for emission in emissions:
        reached = forward.copy()
        reached[:, 1:] += forward[:, :-1]
        reached[:, 2:] += forward[:, :-2] * skips[:, 2:]
        forward = reached * emission
        scale = np.maximum(forward.max(axis=1), _MIN_PATH_PROBABILITY)
        log_scale += np.log(scale)
        forward /= scale[:, None]
    ends = np.array([2 + 2 * len(ids) for ids in texts], np.int64)
    rows = np.arange(len(texts))
    last = forward[rows, ends] + np.where(ends > 2, forward[rows, ends - 1], 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(log_scale + np.log(last))


def is_letter_spaced(text: str, weights: EnsembleWeights = WEIGHTS) -> bool:
    """Whether a text is letter-spaced: most of its words are single characters, and it has enough of them.

    "Most" is `letter_spaced_fraction`, "enough" is `letter_spaced_words` of the weights.

    >>> is_letter_spaced("a b c d e f gh"), is_letter_spaced("a note to all of us")
    (True, False)
    """
    words = text.split()
    single_letters = sum(len(word) == 1 for word in words)
    return single_letters >= max(weights.letter_spaced_words, weights.letter_spaced_fraction * len(words))


def candidate_texts(hypotheses: Sequence[str], weights: EnsembleWeights = WEIGHTS) -> list[str]:
    """The candidates for the text of a line, without duplicates, the hypotheses first.

    Of exactly two different hypotheses, the words in which they differ are exchanged in every combination, where they
    differ in at least two and at most `max_differences` places.

    >>> candidate_texts(["a hand written merge", "a handwritten message"])[2:4]
    ['a hand written message', 'a handwritten merge']
    """
    candidates = list(dict.fromkeys(hypotheses))
    if len(candidates) == 2:
        a, b = candidates
        alignments = (
            _align_at_spaces(a, b),
            _align_at_spaces(_WORDS_AND_SPACES.findall(a), _WORDS_AND_SPACES.findall(b)),
        )
        for segments in alignments:
            if 1 < sum(in_a != in_b for in_a, in_b in segments) <= weights.max_differences:
                candidates += map("".join, product(*(dict.fromkeys(segment) for segment in segments)))
    return list(dict.fromkeys(candidates))


def _align_at_spaces(a: Sequence[str], b: Sequence[str]) -> list[tuple[str, str]]:
    """Split two texts, given as characters or as words, at the spaces that the shortest edit aligns."""
    segments, start_a, start_b = [], 0, 0
    for edit in Levenshtein.opcodes(a, b):
        for k in range(edit.src_end - edit.src_start if edit.tag == "equal" else 0):
            i, j = edit.src_start + k, edit.dest_start + k
            if a[i] == " ":
                segments.append(("".join(a[start_a:i]), "".join(b[start_b:j])))
                start_a, start_b = i, j
    return [*segments, ("".join(a[start_a:]), "".join(b[start_b:]))]


@dataclass(frozen=True)
class Ensemble:
    """Reads lines with several readers, of which there is at least one, and combines their hypotheses.

    The first reader reads all lines. Each further reader reads the lines whose latest hypothesis is short or has no
    sufficient confidence (see `EnsembleWeights`). `read_lines` has the interface of `LineReader.read_lines`.
    """

    readers: tuple[Hypothesizer, ...]
    weights: EnsembleWeights = WEIGHTS

    @property
    def calibrated(self) -> bool:
        """Whether all readers have a fitted calibration."""
        return all(reader.calibrated for reader in self.readers)

    def read_lines(self, images: Sequence[GreyImage | ColourImage]) -> list[Line]:
        """Read images of one line each, uint8 (H, W) or (H, W, 3) in RGB; results in the order of the images.

        `recognizer` of a line names the recognizer of its text. Where the text is a combination that none of them read,
        it names all that read the line, joined by "+". Except for letter-spaced text, the confidence is the highest of
        their hypotheses, each multiplied by the similarity (0..1) of its text to the result. `visual_confidence` is the
        lowest of those that read the line. Raises ImageError as the readers do.
        """
        first, *others = self.readers
        posteriors_by_line = [[posteriors] for posteriors in first.recognize(images)]
        for reader in others:
            latest = [posteriors[-1] for posteriors in posteriors_by_line]
            unsure = [
                k
                for k, posteriors in enumerate(latest)
                if len(posteriors.greedy.text) <= self.weights.short_text
                or posteriors.confidence < self.weights.sufficient_confidence
            ]
            for k, posteriors in zip(unsure, reader.recognize([images[k] for k in unsure]), strict=True):
                posteriors_by_line[k].append(posteriors)
        return self.decode_lines(posteriors_by_line)

    def decode_lines(self, posteriors_by_line: Sequence[Sequence[Posteriors]]) -> list[Line]:
        """Decode the lines of a page, each from the posteriors of the first readers that recognized it."""
        languages = self._candidate_languages(posteriors_by_line)
        return [self._decode(*row) for row in zip(posteriors_by_line, languages, strict=True)]

    def _decode(self, posteriors: Sequence[Posteriors], languages: dict[str | None, float]) -> Line:
        """The line in the language whose text has the highest score.

        languages: code -> log of its prior probability.
        """
        lines = []
        for language, log_prior in languages.items():
            hypotheses = [reader.decode(p, language) for reader, p in zip(self.readers, posteriors, strict=False)]
            line, score = self._combine(hypotheses, compare=len(languages) > 1)
            visual_confidence = min(hypothesis.line.visual_confidence for hypothesis in hypotheses)
            lines.append((score + log_prior, replace(line, visual_confidence=visual_confidence)))
        recognizers = [hypothesis.line.recognizer for hypothesis in hypotheses]
        best = max(lines, key=lambda scored: scored[0])[1]
        return replace(best, legibility=legibility(posteriors, recognizers))

    def _candidate_languages(self, posteriors_by_line: Sequence[Sequence[Posteriors]]) -> list[dict[str | None, float]]:
        """The languages to decode each line in, from the greedy text of the recognizer with the highest confidence.

        Code -> log of its prior probability. The only key is None where no reader can read several languages.
        """
        codes = next((reader.languages for reader in self.readers if reader.languages), ())
        if not codes:
            return [{None: 0.0} for _ in posteriors_by_line]
        best = [max(posteriors, key=lambda p: p.confidence) for posteriors in posteriors_by_line]
        found = candidate_languages([posteriors.greedy.text for posteriors in best], codes)
        return [dict(candidates.items()) for candidates in found]

    def _combine(self, hypotheses: Sequence[Hypothesis], compare: bool) -> tuple[Line, float]:
        """The candidate text with the highest score, as a line, and this score in nats.

        compare: whether the score is needed; without, it is 0 where all hypotheses agree. Its confidence is the highest
        of the hypotheses, each multiplied by the similarity of its text to the candidate.
        """
        texts = [hypothesis.decoded.text for hypothesis in hypotheses]
        constrained = any(
            isinstance(reader.decoder, BeamSearchDecoder) and reader.decoder.constraint is not None
            for reader in self.readers
        )
        # a combination of two texts that meet the constraint need not meet it
        candidates = list(dict.fromkeys(texts)) if constrained else candidate_texts(texts, self.weights)
        if len(candidates) == 1 and not compare:
            return max((hypothesis.line for hypothesis in hypotheses), key=lambda line: line.confidence), 0.0
        log_likelihoods_by_recognizer = [_score_texts(h, candidates, self.weights) for h in hypotheses]
        scores = _language_scores(hypotheses, candidates, hypotheses[0].line.language)
        best_confidence = max(hypothesis.posteriors.confidence for hypothesis in hypotheses)
        for hypothesis, nats in zip(hypotheses, log_likelihoods_by_recognizer, strict=True):
            scores = scores + _recognizer_weight(hypothesis, best_confidence, self.weights) * nats
        best = int(scores.argmax())
        score = float(scores[best])
        if len(candidates) == 1:
            return max((hypothesis.line for hypothesis in hypotheses), key=lambda line: line.confidence), score
        if len({text.replace(" ", "") for text in texts}) == 1:
            # recognizers trained on photographs drop the spaces between the letters of an alphabet
            for hypothesis in hypotheses:
                if is_letter_spaced(hypothesis.decoded.text, self.weights):
                    return hypothesis.line, score
        text = candidates[best]
        confidence = max(
            h.line.confidence * Levenshtein.normalized_similarity(h.decoded.text, text) for h in hypotheses
        )
        if text in texts:
            return replace(hypotheses[texts.index(text)].line, confidence=confidence), score
        # the recognizer whose own text is least likelier than the combination gives the positions of the characters
        losses = [
            nats[candidates.index(own_text)] - nats[best]
            for own_text, nats in zip(texts, log_likelihoods_by_recognizer, strict=True)
        ]
        nearest = int(np.argmin(losses))
        aligned = _force_align(hypotheses[nearest], text, self.weights)
        decoder = hypotheses[nearest].decoder
        if isinstance(decoder, BeamSearchDecoder) and decoder.language_model is not None:
            aligned = decoder.add_lm_log_probs(aligned)
        line = replace(hypotheses[nearest].to_line(aligned), language=hypotheses[nearest].line.language)
        recognizer = "+".join(hypothesis.line.recognizer for hypothesis in hypotheses)
        return replace(line, recognizer=recognizer, confidence=confidence), score


def _language_scores(
    hypotheses: Sequence[Hypothesis], texts: Sequence[str], language: str | None
) -> npt.NDArray[np.float64]:
    """The score of each text as text of a language, in nats; "none" scores it as random text.

    language: None takes the first decoder that has a language model of its own; without any the scores are 0.
    """
    decoder: Decoder | None = None
    if language is None:
        decoders = (hypothesis.decoder for hypothesis in hypotheses)
        decoder = next((d for d in decoders if isinstance(d, BeamSearchDecoder) and d.language_model is not None), None)
    elif language != NONE:
        decoder = BeamSearchDecoder(language_model_of(language))
    if isinstance(decoder, BeamSearchDecoder):
        return np.array([decoder.score_text(text) for text in texts])
    if language == NONE:
        return np.array([BeamSearchDecoder().random_text_score * len(text) for text in texts])
    return np.zeros(len(texts))


def _recognizer_weight(hypothesis: Hypothesis, best_confidence: float, weights: EnsembleWeights) -> float:
    """Weight of a recognizer's log-likelihoods, from the confidence of its posteriors, before any language model.

    best_confidence: the highest of all recognizers.

    A recognizer trained on composed lines has a low confidence on lines unlike those it was trained on. Its errors on
    them do not show in its likelihoods, so its weight falls with its confidence. A recognizer trained on photographs
    keeps its weight.
    """
    if hypothesis.line.recognizer in PHOTO_RECOGNIZERS:
        return weights.photo_weight
    if not best_confidence:
        return weights.composed_weight
    ratio = hypothesis.posteriors.confidence / best_confidence
    return weights.composed_weight * ratio**weights.confidence_exponent


def _soften(
    hypothesis: Hypothesis, texts: Sequence[str], weights: EnsembleWeights
) -> tuple[npt.NDArray[np.floating], list[list[int]]]:
    """Log-probabilities (T, K + 1) after the temperature, and the columns of each text's characters.

    The last column is for characters that the recognizer does not know or found unlikely everywhere.
    """
    softened = hypothesis.log_probs / weights.temperature
    softened = softened - np.log(np.exp(softened).sum(axis=1, keepdims=True))
    unlikely = softened.shape[1]
    columns = [[hypothesis.columns.get(character, unlikely) for character in text] for text in texts]
    return _add_unlikely_column(softened), columns


def _add_unlikely_column(log_probs: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Append a column with the log of MIN_CLASS_PROBABILITY."""
    return np.pad(log_probs, ((0, 0), (0, 1)), constant_values=math.log(MIN_CLASS_PROBABILITY))


def _score_texts(
    hypothesis: Hypothesis, texts: Sequence[str], weights: EnsembleWeights = WEIGHTS
) -> npt.NDArray[np.float64]:
    """log P(text) of each text by one recognizer, in nats, raised to at most `max_log_likelihood_gap` below the best.

    All are 0 where the recognizer has no output, or can produce none of the texts.
    """
    if len(hypothesis.log_probs) == 0:
        return np.zeros(len(texts))
    softened, columns = _soften(hypothesis, texts, weights)
    nats = log_likelihoods(softened, columns)
    if not np.isfinite(nats.max()):
        return np.zeros(len(texts))
    return np.asarray(np.maximum(nats, nats.max() - weights.max_log_likelihood_gap))


def _force_align(hypothesis: Hypothesis, text: str, weights: EnsembleWeights = WEIGHTS) -> DecodedText:
    """Forced alignment: place a text on the steps of a recognizer's output by the likeliest CTC path (Viterbi).

    The output has at least one step. A character for which the path has no step, as the text is too long, gets step 0.
    """
    softened, (columns,) = _soften(hypothesis, [text], weights)
    log_probs = _add_unlikely_column(hypothesis.log_probs)
    states = np.full(2 * len(columns) + 1, BLANK)
    states[1::2] = columns
    skips = np.zeros(len(states), bool)  # where the blank before a character may be skipped
    skips[2:] = (states[2:] != BLANK) & (states[2:] != states[:-2])
    emissions = softened[:, states]
    scores = np.full(len(states), -np.inf)
    scores[:2] = emissions[0, :2]
    moves = np.zeros(emissions.shape, np.int64)  # by how many states, 0 to 2, the best path into a state advanced
    for step in range(1, len(emissions)):
        predecessors = np.full((3, len(states)), -np.inf)
        predecessors[0], predecessors[1, 1:] = scores, scores[:-1]
        predecessors[2, 2:] = np.where(skips[2:], scores[:-2], -np.inf)
        moves[step] = predecessors.argmax(axis=0)
        scores = predecessors.max(axis=0) + emissions[step]
    state = max(0, len(states) - 2) + int(scores[-2:].argmax())
    reversed_path = []
    for step in range(len(emissions) - 1, -1, -1):
        reversed_path.append(state)
        state -= int(moves[step, state])
    path = np.array(reversed_path[::-1])
    spans = []
    for k, character in enumerate(text):
        steps = np.flatnonzero(path == 2 * k + 1)
        start, end = (int(steps[0]), int(steps[-1]) + 1) if len(steps) else (0, 1)
        probability = float(np.exp(log_probs[start:end, columns[k]].max()))
        spans.append(CharacterSpan(character, start, end, probability))
    return DecodedText(text, min((span.confidence for span in spans), default=1.0), tuple(spans))
