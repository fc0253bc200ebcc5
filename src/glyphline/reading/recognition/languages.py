"""FAMILY: the languages that lines are read in, and which of them a page is written in.

Contract: a row of LANGUAGES names the language, its letters beyond ASCII, and its bundled language model. To add one:
estimate its model (`glyphline language`), put it into `models/`, and add a row to LANGUAGES.

The language is found from the page itself. The lines are read without a language model first. Each text is then scored
under every language model and under "none": a text in no known language, or no text at all. A page is a mixture of
languages, whose shares are estimated from all its lines (expectation-maximization, Dempster et al. 1977). Each line
is decoded in the languages that are probable for it in this mixture, and the text with the highest score decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import Alphabet
from glyphline.errors import UserError
from glyphline.reading.recognition.decoders import BeamSearchDecoder
from glyphline.reading.recognition.language_model import LanguageModel, TextScorer, open_language_model

NONE = "none"  # no known language: lines are read without a language model
AUTO = "auto"  # the language is found from the page
ENGLISH = "en"

#: the characters beside the letters and signs of a language that its model has
_ASCII = "".join(c for c in map(chr, range(32, 127)) if c not in "^`{|}~")


@dataclass(frozen=True)
class Language:
    """A language that lines can be read in."""

    name: str  # in English
    letters: str  # beyond ASCII, both cases
    signs: str  # of its print, beyond ASCII
    model: str  # name of the bundled language model

    @property
    def characters(self) -> str:
        """The characters of its language model, which has at most 125 with all digits as one."""
        return _ASCII + self.letters + self.signs


#: BCP 47 code of the language -> Language
LANGUAGES: dict[str, Language] = {
    "en": Language("English", "é", "“”‘’–—…£€°", "english"),
    "fr": Language("French", "ÀÂÇÈÉÊËÎÏÔŒÙÛàâæçèéêëîïôœùûü", "«»’–—…€°", "fr"),
    "de": Language("German", "ÄÖÜäöüßéà", "„“‚‘’»«–…€§°", "de"),
    "es": Language("Spanish", "ÁÉÍÑÓÚÜáéíñóúü", "¿¡«»“”–—…€ºª°", "es"),
    "nl": Language("Dutch", "ÉËÏÖÜéèëïöüóáê", "“”‘’„–…€°", "nl"),
    "it": Language("Italian", "ÀÈÉÌÒÙàèéìòùî", "«»“”’–…€°ºª", "it"),
    "pl": Language("Polish", "ĄĆĘŁŃÓŚŹŻąćęłńóśźż", "„”–—…€°", "pl"),
    "pt": Language("Portuguese", "ÀÁÂÃÇÉÊÍÓÔÕÚàáâãçéêíóôõú", "«»“”–—…€ºª°", "pt"),
    "da": Language("Danish", "ÆØÅæøåéö", "»«“”’–…€°§", "da"),
    "sv": Language("Swedish", "ÅÄÖåäöéü", "”’»–…€°§", "sv"),
}


@dataclass(frozen=True)
class IdentificationWeights:
    """The weights of `candidate_languages`.

    `none_log_prob` and `scale` are fitted by `python benchmarks/language_identification.py`, which states the data; the
    other values were chosen by hand.
    """

    none_log_prob: float = -3.444  # nats a character of a text in none of the languages
    scale: float = 0.215  # of log-likelihoods: characters of a text with errors are no independent evidence
    prior_lines: float = 0.5  # lines of each language that a page is assumed to have had before; smooths its shares
    min_lm_log_prob: float = -7.5  # nats; a misread character costs a language no more
    min_posterior: float = 0.02  # a less probable language is not tried
    max_candidates: int = 4  # languages in which a line is decoded


WEIGHTS = IdentificationWeights()
EM_ITERATIONS = 20


def check_language(code: str) -> str:
    """The code of a language, "auto" or "none". Raises UserError with the choices for another one."""
    if code not in LANGUAGES and code not in (AUTO, NONE):
        choices = ", ".join(f"{key} ({language.name})" for key, language in LANGUAGES.items())
        raise UserError(f'no language "{code}"; choices: auto, none, {choices}')
    return code


def language_model_of(code: str) -> LanguageModel | None:
    """The language model of a language; None for "none". Raises UserError for an unknown code."""
    return None if code == NONE else open_language_model(LANGUAGES[check_language(code)].model)


def language_score(code: str, text: str) -> float:
    """The score of a text in a language, in nats, as the beam search has it; "none" scores it as random text."""
    model = language_model_of(code)
    if model is None:
        return BeamSearchDecoder().random_text_score * len(text)
    return BeamSearchDecoder(model).score_text(text)


def has_accented_letters(alphabet: Alphabet) -> bool:
    """Whether an alphabet has A-Z, a-z and letters beyond ASCII, as these languages need."""
    return all(c in alphabet for c in "AZaz") and any(not c.isascii() and c.isalpha() for c in alphabet.characters)


def log_likelihoods(text: str, models: Sequence[LanguageModel | None], weights: IdentificationWeights) -> list[float]:
    """The log-probability of a text under each model, in nats; None is the model of no language."""
    known = tuple(model for model in models if model is not None)
    nats = dict(zip(known, _text_log_likelihoods(text, known, weights.min_lm_log_prob), strict=True)) if known else {}
    return [weights.none_log_prob * len(text) if model is None else nats[model] for model in models]


@lru_cache(maxsize=1024)  # the candidate languages and the legibility of a line ask for the same texts
def _text_log_likelihoods(text: str, models: tuple[LanguageModel, ...], min_lm_log_prob: float) -> list[float]:
    """The log-probability of a text under each model, in nats; no character has less than `min_lm_log_prob`."""
    return [sum(row) for row in np.maximum(min_lm_log_prob, _open_text_scorer(models)(text)).tolist()]


@lru_cache(maxsize=2)  # a scorer of all languages takes 13 MB
def _open_text_scorer(models: tuple[LanguageModel, ...]) -> TextScorer:
    return TextScorer(models)


def candidate_languages(
    texts: Sequence[str], codes: Sequence[str] = tuple(LANGUAGES), weights: IdentificationWeights = WEIGHTS
) -> list[dict[str, float]]:
    """The languages that each line of a page may be in, "none" among them, from texts read without a language model.

    texts: one a line. codes: the languages to choose among. Returns for each line code -> log of its share of the page,
    for the codes whose probability is at least `min_posterior`, the most probable first. A line without letters gets
    the probabilities of the page; on a page without letters all lines are in no language. A single code is taken as it
    is.
    """
    if len(codes) == 1:
        return [{codes[0]: 0.0} for _ in texts]
    if not any(c.isalpha() for text in texts for c in text):
        return [{NONE: 0.0} for _ in texts]
    names = [*codes, NONE]
    models = [language_model_of(code) for code in names]
    scores = np.array([log_likelihoods(text, models, weights) for text in texts]) * weights.scale
    has_letters = np.array([any(c.isalpha() for c in text) for text in texts])
    lengths = np.array([len(text) for text in texts]) * has_letters  # long lines tell more than short ones
    mean_length = max(1.0, float(lengths.mean()))
    shares = np.full(len(names), 1 / len(names))
    posteriors: npt.NDArray[np.float64] = np.zeros(scores.shape)
    for _ in range(EM_ITERATIONS):
        posteriors = scores + np.log(shares)
        posteriors = np.exp(posteriors - np.maximum.reduce(posteriors, axis=1, keepdims=True))
        posteriors /= np.add.reduce(posteriors, axis=1, keepdims=True)
        counts = np.add.reduce(posteriors * lengths[:, None], axis=0) / mean_length + weights.prior_lines
        shares = counts / np.add.reduce(counts)
    posteriors = np.where(has_letters[:, None], posteriors, shares)
    candidates = []
    for row in posteriors:
        order = [k for k in np.argsort(-row) if row[k] >= weights.min_posterior][: weights.max_candidates]
        candidates.append({names[k]: math.log(shares[k]) for k in order})
    return candidates


def main_language(lines: Sequence[tuple[str | None, str]]) -> str | None:
    """The language of most characters of a page, from the (language, text) of its lines.

    None where no line has a language, as without lines or with a recognizer of a single language.
    """
    characters: dict[str, int] = {}
    for code, text in lines:
        if code is not None:
            characters[code] = characters.get(code, 0) + len(text)
    return max(characters, key=lambda code: characters[code]) if characters else None
