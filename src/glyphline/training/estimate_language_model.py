"""Estimates a character language model from sentence sources, measures it on others. Does not import torch."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from textwrap import wrap

from glyphline.alphabet import Alphabet
from glyphline.composing.sentences import AlphabetFitter, fit_sentences, split_sentences
from glyphline.errors import AlphabetError, UserError
from glyphline.reading.recognition.language_model import LanguageModel, estimate

VALIDATION_SENTENCES = 2000  # at most this many sentences of the validation split are measured
LINE_LENGTHS = (20, 60)  # characters; the least and the greatest length limit of a line of handwritten prose
BYTES_PER_CELL = 2  # of the model's table


@dataclass(frozen=True)
class EstimatedModel:
    """A language model, the number of its training texts and its cross-entropy on validation sentences."""

    model: LanguageModel
    text_count: int  # texts it was estimated from, those in capitals included
    bits_per_character: float  # mean -log2 p(character | context) on sentences of the validation split
    notes: tuple[str, ...]  # sentences about characters of the texts that the alphabet lacks


def _wrap_text(text: str, width: int) -> list[str]:
    """The lines of a text, at most `width` characters each unless a word is longer."""
    return wrap(text, width, break_long_words=False, break_on_hyphens=False)


def estimate_from_sentences(
    specs: tuple[str, ...],
    alphabet: str = "english",
    order: int = 6,
    megabytes: int = 4,
    capitals: float = 0.08,
    punctuation: str = "written",
) -> EstimatedModel:
    """Estimate a character language model from the training split of sentence sources.

    specs: sources such as "wikisplit", see `split_sentences`. alphabet: a name or the characters themselves, to which
    the sentences are fitted. order: characters of the longest n-gram, 1 to MAX_ORDER of the language model.
    megabytes: size of the table, a power of two. capitals: a random sample of the texts, this share (0..1) of them, is
    added once more in capitals. punctuation: "written" or "stripped", as the lines have it that the model is for, see
    `split_sentences`. Every second text is wrapped into lines of LINE_LENGTHS.
    Raises UserError for another size or order, AlphabetError for a misspelt alphabet and for texts in another script
    than it, DataError for an alphabet with
    too many characters, and what `split_sentences` raises for missing sources or another `punctuation`.
    """
    if megabytes < 1 or megabytes & (megabytes - 1):
        raise UserError(f"the table cannot have {megabytes} MB: give a power of two, 1, 2, 4, 8, ...")
    target = Alphabet.from_name(alphabet)
    fitter = AlphabetFitter(target)
    splits = split_sentences(specs, punctuation)
    texts, rng = fit_sentences(splits["train"], fitter), random.Random(0)
    if lost := fitter.lost_script(texts):
        raise AlphabetError(
            f"most letters of the texts are not in the alphabet, such as {', '.join(map(repr, lost[:5]))}: give the "
            "characters of their script with --alphabet"
        )
    notes = tuple(fitter.describe())
    if capitals:
        sample = rng.sample(texts, round(len(texts) * capitals))
        texts += fit_sentences((text.upper() for text in sample), fitter)
    # Half of the texts are wrapped, because a line of a page begins with a sentence or in the middle of one.
    wrapped = [line for text in texts[1::2] for line in _wrap_text(text, rng.randint(*LINE_LENGTHS))]
    model = estimate(texts[::2] + wrapped, target.characters, order, megabytes * 2**20 // BYTES_PER_CELL)
    unseen = fit_sentences(splits["val"], fitter)[:VALIDATION_SENTENCES]
    nats = sum(map(model.negative_log_likelihood, unseen))
    characters = sum(map(len, unseen))
    return EstimatedModel(model, len(texts), nats / max(1, characters) / math.log(2), notes)
