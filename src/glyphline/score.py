"""One definition of right: edit distance, CER, WER, exact match, bootstrap intervals and confusion pairs.

Validation while training, `glyphline evaluate` and every published number come from `score`.
Rates are fractions: total edits over total reference length (micro average), so they can exceed 1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from glyphline.alphabet import fold_merged
from glyphline.errors import UserError, nearest

_SPACES = re.compile(r"\s+")
_LOOSE = re.compile(r"[^\w ]+|_+")  # letters and digits of any script stay
#: Look-alikes worth a row of their own in every report (peers.md E3).
LOOKALIKES = ("0Oo", "1Iil", "5Ss", "2Zz", "9gq", "6b", "8B", "cC", "kK", "pP", "uUvV", "wW", "xX", "yY", "mM")


def fold_none(text: str) -> str:
    """Runs of white space as one space, none at the ends; the strict score.

    >>> fold_none("  Two   words ")
    'Two words'
    """
    return _SPACES.sub(" ", text).strip()


def fold_case(text: str) -> str:
    """As `fold_none`, and case ignored."""
    return fold_none(text).lower()


def fold_merged_letters(text: str) -> str:
    """As `fold_none`, and the 15 letters EMNIST merges ignored in case."""
    return fold_merged(fold_none(text))


def fold_loose(text: str) -> str:
    """As `fold_case`, and everything but letters, digits and single spaces dropped.

    >>> fold_loose("Don't  STOP - now!")
    'dont stop now'
    """
    return fold_none(_LOOSE.sub("", _SPACES.sub(" ", text).lower()))


#: name -> (function, the sentence that stands beside every number folded so)
FOLDS: dict[str, tuple[Callable[[str], str], str]] = {
    "none": (fold_none, "strict; runs of white space count as one space, words split at spaces"),
    "case": (fold_case, "case ignored; runs of white space count as one space, words split at spaces"),
    "merged": (fold_merged_letters, "the 15 merged EMNIST letters ignored in case; runs of white space as one space"),
    "loose": (fold_loose, "case and everything but letters, digits and single spaces ignored"),
}


@dataclass(frozen=True)
class Confusion:
    """How often a piece of truth was read as something else; an empty side is a deletion or an insertion."""

    truth: str
    read: str
    count: int


@dataclass(frozen=True)
class Score:
    """Rates of a set of lines as fractions, each interval a 95 % bootstrap over lines."""

    lines: int
    characters: int
    words: int
    cer: float
    cer_interval: tuple[float, float]
    wer: float
    wer_interval: tuple[float, float]
    exact: float
    normalisation: str
    confusions: tuple[Confusion, ...] = ()
    lookalikes: tuple[tuple[str, int, int], ...] = ()  # (group, errors inside the group, characters of it in the truth)
    case_errors: int = 0  # letters right but for their case

    def __str__(self) -> str:
        low, high = self.cer_interval
        return (
            f"CER {self.cer:.2%} [{low:.2%}, {high:.2%}]  WER {self.wer:.2%}  "
            f"exact {self.exact:.1%}  ({self.lines} lines)"
        )


def edit_distance(truth: Sequence[str] | str, read: Sequence[str] | str) -> int:
    """Levenshtein distance in characters, or in items of two sequences.

    >>> edit_distance("kitten", "sitting")
    3
    >>> edit_distance("a b c".split(), "a c".split())
    1
    """
    return int(Levenshtein.distance(truth, read))


def character_error_rate(truth: str, read: str) -> float:
    """Edits per character of one pair; the length of the reading when the truth is empty."""
    return edit_distance(truth, read) / max(1, len(truth))


def bootstrap_interval(
    errors: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of sum(errors) / sum(lengths), lines drawn with replacement (Efron 1979).

    errors, lengths: shape (lines,).
    """
    n = len(errors)
    if n == 0:
        return (0.0, 0.0)
    rng = np.random.default_rng(seed)
    rates = np.empty(draws)
    for k in range(draws):
        chosen = rng.integers(0, n, n)
        rates[k] = errors[chosen].sum() / max(1, lengths[chosen].sum())
    low, high = np.percentile(rates, [2.5, 97.5])
    return (float(low), float(high))


def confusion_pairs(truths: Sequence[str], readings: Sequence[str]) -> Counter[tuple[str, str]]:
    """(truth, read) -> count over an optimal alignment of each pair of lines; '' stands for nothing."""
    pairs: Counter[tuple[str, str]] = Counter()
    for truth, read in zip(truths, readings, strict=True):
        for op in Levenshtein.editops(truth, read):
            if op.tag == "replace":
                pairs[truth[op.src_pos], read[op.dest_pos]] += 1
            elif op.tag == "delete":
                pairs[truth[op.src_pos], ""] += 1
            else:
                pairs["", read[op.dest_pos]] += 1
    return pairs


def check_fold(fold: str) -> None:
    """Raises UserError for a fold that does not exist."""
    if fold not in FOLDS:
        raise UserError(f'no fold "{fold}"; {nearest(fold, FOLDS)}')


def score(truths: Sequence[str], readings: Sequence[str], fold: str = "none", top: int = 20) -> Score:
    """Score readings against truths, both folded first.

    Raises UserError for an unknown fold or lists of different lengths.
    """
    check_fold(fold)
    if len(truths) != len(readings):
        raise UserError(f"{len(truths)} truths but {len(readings)} readings: give one reading for each line")
    function, sentence = FOLDS[fold]
    truths, readings = [function(t) for t in truths], [function(r) for r in readings]
    errors = np.array([edit_distance(t, r) for t, r in zip(truths, readings, strict=True)], dtype=np.int64)
    lengths = np.array([len(t) for t in truths], dtype=np.int64)
    words = [(t.split(), r.split()) for t, r in zip(truths, readings, strict=True)]
    word_errors = np.array([edit_distance(t, r) for t, r in words], dtype=np.int64)
    word_counts = np.array([len(t) for t, _ in words], dtype=np.int64)
    pairs = confusion_pairs(truths, readings)
    letters = Counter("".join(truths))
    return Score(
        lines=len(truths),
        characters=int(lengths.sum()),
        words=int(word_counts.sum()),
        cer=float(errors.sum() / max(1, lengths.sum())),
        cer_interval=bootstrap_interval(errors, lengths),
        wer=float(word_errors.sum() / max(1, word_counts.sum())),
        wer_interval=bootstrap_interval(word_errors, word_counts),
        exact=float(np.mean(errors == 0)) if len(truths) else 0.0,
        normalisation=sentence,
        confusions=tuple(Confusion(t, r, n) for (t, r), n in pairs.most_common(top)),
        lookalikes=tuple(
            (group, sum(n for (t, r), n in pairs.items() if t and r and t in group and r in group),
             sum(letters[c] for c in group))
            for group in LOOKALIKES
        ),
        case_errors=sum(n for (t, r), n in pairs.items() if t and r and t.lower() == r.lower()),
    )  # fmt: skip
