"""Sentence sources -> a character language model, measured on sentences it has not seen; loads no torch."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from textwrap import wrap

from glyphline.alphabet import Alphabet
from glyphline.composing.sentences import AlphabetFitter, fitted, split_sentences
from glyphline.errors import UserError
from glyphline.reading.recognition.language_model import LanguageModel, estimate

MEASURED = 2000  # sentences of the validation split
LINE = (20, 60)  # characters of the lines that people write prose in, about


@dataclass(frozen=True)
class EstimatedModel:
    """A language model and what it makes of unseen sentences."""

    model: LanguageModel
    texts: int  # it was estimated from
    bits: float  # a character of the validation split


def _lines(text: str, width: int) -> list[str]:
    return wrap(text, width, break_long_words=False, break_on_hyphens=False)


def estimate_from_sentences(
    specs: tuple[str, ...], alphabet: str = "english", order: int = 6, megabytes: int = 4, capitals: float = 0.08
) -> EstimatedModel:
    """Estimate a model from the training split of the sources, `capitals` of the texts once more in capitals.

    megabytes: of the table, a power of two. Raises what the sources raise, UserError for other sizes.
    """
    if megabytes < 1 or megabytes & (megabytes - 1):
        raise UserError(f"a table has 1, 2, 4, 8, ... MB, not {megabytes}")
    known = Alphabet.named(alphabet)
    fit = AlphabetFitter(known)
    splits = split_sentences(specs)
    texts, rng = fitted(splits["train"], fit), random.Random(0)
    if capitals:
        texts += fitted((t.upper() for t in rng.sample(texts, round(len(texts) * capitals))), fit)
    # every second text as the lines of a page, which begin with a sentence or in the middle of one
    lines = texts[::2] + [line for text in texts[1::2] for line in _lines(text, rng.randint(*LINE))]
    model = estimate(lines, known.characters, order, megabytes * 2**20 // 2)
    unseen = fitted(splits["val"], fit)[:MEASURED]
    nats, count = sum(map(model.nats, unseen)), sum(map(len, unseen))
    return EstimatedModel(model, len(texts), nats / max(1, count) / math.log(2))
