"""Reliability: whether a recognizer can read a line, what keeps it from it, and which words are right.

A recognizer of Latin letters gives letters for anything: another script, a scribble, mirrored print. What tells them
apart is known before any language model: the posteriors are low, and the text is in no language. A line that is not
clearly legible is looked at again: its mirror image and a narrower copy are read too, and its height and sharpness are
measured. An unsure line among lines that cannot be read is rejected like them. A word is the likelier to be right the
surer the recognizer saw its letters before any language model.

All of this is decided by logistic regressions in models/reliability.json, a set for each recognizer.
`python benchmarks/reliability.py` fits them and states the data.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from glyphline.imaging.documents import ColourImage, GreyImage
from glyphline.imaging.normalization import extract_ink, ink_bounds, to_grey
from glyphline.page import Line, Word
from glyphline.reading.recognition.calibration import feature_log_odds, regression_probability
from glyphline.reading.recognition.languages import LANGUAGES, NONE, WEIGHTS, language_model_of, log_likelihoods
from glyphline.reading.recognition.posteriors import Posteriors

#: what keeps a line from being read, as a person is told
UNKNOWN_WRITING = "writing this reader does not know"
TOO_BLURRED = "too blurred"
TOO_SMALL = "too small"
NOT_TEXT = "probably not text"
UNCERTAIN_WORDS = "too many words are uncertain"
ILLEGIBLE_PAGE = "the lines around it cannot be read"
#: the classes of the model of a line that are not legible, in the order of its weights
OBSTACLES = (UNKNOWN_WRITING, TOO_BLURRED, TOO_SMALL, NOT_TEXT)

MIN_LEGIBILITY = 0.5  # the fitted limit: its biases are such that 1 % of the readable lines of the fit are below
NARROWING = 0.85  # width of the narrower copy / width of the line
_SHARPNESS_HEIGHT = 48  # px to which a line is scaled before its sharpness is measured
_WORDS = re.compile(r"\S+")


@dataclass(frozen=True)
class Verdict:
    """Whether a line can be read."""

    legibility: float = 1.0  # probability 0..1; 1 where no weights are fitted for its recognizer
    #: one of OBSTACLES, the likeliest for a line that cannot be read, or `unknown_writing`; None: not determined
    obstacle: str | None = None


def unknown_writing(script: str) -> str:
    """The obstacle of a line in a writing that the reader does not know. script: its name.

    >>> unknown_writing("Greek")
    'writing this reader does not know (Greek)'
    """
    return f"{UNKNOWN_WRITING} ({script})"


def language_log_prob(text: str) -> float:
    """Mean log-probability of the characters of a text in the language that it fits best, in nats.

    Greedy texts of unknown writing fit no language. An empty text has that of unknown characters.
    """
    models = [language_model_of(code) for code in LANGUAGES]
    return max(log_likelihoods(text, models, WEIGHTS)) / len(text) if text else WEIGHTS.min_lm_log_prob


def legibility_features(posteriors: Posteriors) -> list[float]:
    """The features of a line: 1 (the bias), the log of its length, and those of its posteriors.

    The mean probability of its greedy characters, the log-odds of this mean and of the lowest probability, the log-odds
    of the mean probability of the best class of a time step, and `language_log_prob` of its greedy text.
    """
    return [1.0, math.log(1 + len(_without_case_and_spaces(posteriors.greedy.text))), *_posterior_features(posteriors)]


def second_look_features(
    image: GreyImage | ColourImage, posteriors: Posteriors, mirrored: Posteriors, narrower: Posteriors
) -> list[float]:
    """The features of a line that was looked at again: `legibility_features`, and what the second look showed.

    image: the line, uint8 (H, W) or (H, W, 3). mirrored, narrower: what the recognizer reads in `copies_of` it. For
    each copy the differences of its posterior features to those of the line, and the similarity of the texts, without
    case and spaces; then `image_features`.
    """
    features, own_text = legibility_features(posteriors), _without_case_and_spaces(posteriors.greedy.text)
    _, _, *own = features  # those of the posteriors
    for copy in (mirrored, narrower):
        features += [a - b for a, b in zip(_posterior_features(copy), own, strict=True)]
        features.append(_similarity(own_text, _without_case_and_spaces(copy.greedy.text)))
    return features + image_features(image)


def copies_of(image: GreyImage | ColourImage) -> tuple[GreyImage | ColourImage, GreyImage | ColourImage]:
    """The mirror image of a line and its narrower copy, for a second look."""
    height, width = image.shape[:2]
    size = (max(1, round(NARROWING * width)), height)
    return np.ascontiguousarray(image[:, ::-1]), cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def image_features(image: GreyImage | ColourImage) -> list[float]:
    """The log of the height of a line's ink in px, with its square, and the logs of its contrast and its sharpness.

    image: uint8 (H, W) or (H, W, 3). The contrast is the range of the grey values (1st to 99th percentile). The
    sharpness is the steepest slope (99th percentile) as a share of the contrast a px, at _SHARPNESS_HEIGHT px.
    """
    grey = to_grey(image)
    top, bottom, _, _ = ink_bounds(extract_ink(grey))
    height = math.log(max(1, bottom - top) / 32)
    scale = _SHARPNESS_HEIGHT / max(1, bottom - top)
    size = (max(2, min(2048, round(scale * grey.shape[1]))), max(2, min(256, round(scale * grey.shape[0]))))
    scaled = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    low, high = np.percentile(scaled, (1, 99))
    contrast = max(1.0, float(high - low))
    slopes = np.hypot(cv2.Sobel(scaled, cv2.CV_32F, 1, 0), cv2.Sobel(scaled, cv2.CV_32F, 0, 1)) / 8
    return [
        height,
        height**2,
        math.log(contrast / 255),
        math.log(max(1e-3, float(np.percentile(slopes, 99)) / contrast)),
    ]


def word_features(line: Line, posteriors: Posteriors, legibility: float) -> list[list[float]]:
    """The features of each word of a line; an empty list where the text has other words than `line.words`.

    1 (the bias), the log-odds of the word's calibrated confidence, the log of its length, the log-odds of the line's
    legibility. Then, from the probabilities of the characters of the greedy text that are aligned with equal characters
    of the line (0 where there is none): their mean in the word, the log-odds of the lowest, the number of greedy
    characters within the word that the text lacks, as a share of its length, and their mean in the line. Then the log
    of the number of words, the squares of the log-odds of the lowest and of the confidence, the product of the latter
    and the mean in the word; and whether the line is in no known language, and whether the word has a digit and is in
    capitals.
    """
    places = [match.span() for match in _WORDS.finditer(line.text)]
    if [line.text[start:end] for start, end in places] != [word.text for word in line.words]:
        return []
    line_odds, (seen, missing) = feature_log_odds(legibility), _seen_characters(line.text, posteriors)
    words, is_unknown = math.log(max(1, len(places))), float(line.language == NONE)
    rows = []
    for word, (start, end) in zip(line.words, places, strict=True):
        confidence, mean = feature_log_odds(word.confidence), float(seen[start:end].mean())
        lowest, lacking = (
            feature_log_odds(float(seen[start:end].min())),
            float(missing[start : end + 1].sum()),
        )
        rows.append(
            [1.0, confidence, math.log(len(word.text)), line_odds, mean, lowest, lacking / (end - start),
             float(seen.mean()), words, lowest**2, confidence**2, confidence * mean, is_unknown,
             float(any(c.isdigit() for c in word.text)), float(word.text.isupper())]
        )  # fmt: skip
    return rows


def expected_share(words: Sequence[Word]) -> float:
    """The expected share (0..1) of the letters of words that stand in right words; 0 for no words."""
    letters = sum(len(word.text) for word in words)
    return sum(word.confidence * len(word.text) for word in words) / max(1, letters)


def page_features(lines: Sequence[Line]) -> list[list[float]]:
    """The features of each line of a page beside the others, from the verdicts on all of them.

    1 (the bias), the log-odds of its legibility and of the expected share of its letters in right words, the log of its
    number of letters, and the log-odds of the mean legibility and of the mean share of the other lines, by their
    letters; 0 where no other line has a letter.
    """
    letters = np.array([sum(len(word.text) for word in line.words) for line in lines], np.float64)
    shown = np.array([(line.legibility, expected_share(line.words)) for line in lines]).reshape(-1, 2)
    others = letters.sum() - letters
    context = ((letters @ shown) - letters[:, None] * shown) / np.maximum(1, others)[:, None]
    rows = []
    for own, around, n, count in zip(shown.tolist(), context.tolist(), letters.tolist(), others.tolist(), strict=True):
        odds = [feature_log_odds(p) for p in (*own, *around)]
        rows.append([1.0, *odds[:2], math.log(1 + n), *(odds[2:] if count else (0.0, 0.0))])
    return rows


def _seen_characters(text: str, posteriors: Posteriors) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """For each character of a text the probability with which a recognizer saw it, and what it saw before it.

    Returns the probability (0 for a character that its greedy text lacks) of each of the n characters, and at n + 1
    places the number of characters, without spaces, that the greedy text has there in addition.
    """
    greedy, spans = posteriors.greedy.text, posteriors.greedy.spans
    seen, missing = np.zeros(len(text)), np.zeros(len(text) + 1)
    for edit in Levenshtein.opcodes(text, greedy):
        if edit.tag == "equal":
            seen[edit.src_start : edit.src_end] = [span.confidence for span in spans[edit.dest_start : edit.dest_end]]
        elif edit.tag == "insert":
            missing[edit.src_start] += sum(not c.isspace() for c in greedy[edit.dest_start : edit.dest_end])
    return seen, missing


def _posterior_features(posteriors: Posteriors) -> list[float]:
    """See `legibility_features`."""
    lowest = min((span.confidence for span in posteriors.greedy.spans), default=0.0)
    log_probs = posteriors.log_probs
    sharpness = float(np.exp(log_probs.max(axis=1)).mean()) if len(log_probs) else 1.0
    confidence = posteriors.confidence
    odds = [feature_log_odds(p) for p in (confidence, lowest, sharpness)]
    return [confidence, *odds, language_log_prob(posteriors.greedy.text)]


def _without_case_and_spaces(text: str) -> str:
    return "".join(text.lower().split())


def _similarity(a: str, b: str) -> float:
    """The normalized Levenshtein similarity (0..1) of two texts; 0 for two empty ones, which show nothing."""
    return Levenshtein.normalized_similarity(a, b) if a or b else 0.0


@lru_cache(maxsize=1)
def fitted_models() -> dict[str, Any]:
    """The content of models/reliability.json; empty without the file.

    "line": name of the recognizer -> the weights of each model. "first": of `legibility_features`. "sure": the
    legibility from which no second look is taken. "second": for "readable" and each of OBSTACLES the weights of
    `second_look_features`. "word": of `word_features`. "min_share": the limit of `Reliability.with_words`. "page": of
    `page_features`. "text": of `glyphline.reading.rejection`.
    """
    file = resources.files("glyphline.models") / "reliability.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def fitted_text_weights() -> list[float] | None:
    """The weights of `glyphline.reading.rejection.text_features`; None where nothing is fitted."""
    return fitted_models().get("text")


@dataclass(frozen=True)
class Reliability:
    """The fitted models for a recognizer. recognizer: its name."""

    recognizer: str

    @property
    def _weights(self) -> dict[str, Any]:
        return fitted_models().get("line", {}).get(self.recognizer, {})  # type: ignore[no-any-return]

    @property
    def is_fitted(self) -> bool:
        """Whether there are weights for this recognizer."""
        return bool(self._weights)

    def first_look(self, posteriors: Posteriors) -> Verdict | None:
        """The verdict on a line from its posteriors; None where it takes a second look."""
        if not self.is_fitted:
            return Verdict()
        legibility = regression_probability(self._weights["first"], legibility_features(posteriors))
        return Verdict(legibility) if legibility >= self._weights["sure"] else None

    def second_look(
        self, image: GreyImage | ColourImage, posteriors: Posteriors, mirrored: Posteriors, narrower: Posteriors
    ) -> Verdict:
        """The verdict on a line that was looked at again; the arguments of `second_look_features`."""
        weights = np.array([self._weights["second"][name] for name in ("readable", *OBSTACLES)])
        scores = weights @ np.array(second_look_features(image, posteriors, mirrored, narrower))
        probabilities = np.exp(scores - scores.max())
        probabilities /= probabilities.sum()
        return Verdict(float(probabilities[0]), OBSTACLES[int(probabilities[1:].argmax())])

    def with_words(self, verdict: Verdict, words: Sequence[Word]) -> Verdict:
        """The verdict on a line that follows from its words, too.

        A line cannot be read where the expected share of its letters that stand in right words is below the fitted
        limit.
        """
        share = expected_share(words)
        if not words or share >= self._weights.get("min_share", 0.0) or verdict.legibility < MIN_LEGIBILITY:
            return verdict
        return Verdict(min(share, MIN_LEGIBILITY / 2), UNCERTAIN_WORDS)

    def word_confidences(self, line: Line, posteriors: Posteriors, legibility: float) -> list[float] | None:
        """The probability 0..1 of each word of a line that it is right; None where it is not known."""
        if "word" not in self._weights:
            return None
        rows = word_features(line, posteriors, legibility)
        return [regression_probability(self._weights["word"], row) for row in rows] if rows else None

    def page_look(self, lines: Sequence[Line]) -> list[Line]:
        """The lines of a page, of which those that cannot be read beside the others have a low legibility.

        A sure line stays readable among others that are not. An unsure one is one more that cannot be read.
        """
        if "page" not in self._weights or len(lines) < 2:
            return list(lines)
        probabilities = [regression_probability(self._weights["page"], row) for row in page_features(lines)]
        return [
            replace(line, legibility=min(line.legibility, p), obstacle=ILLEGIBLE_PAGE)
            if p < MIN_LEGIBILITY <= line.legibility and line.words
            else line
            for line, p in zip(lines, probabilities, strict=True)
        ]
