"""Scores of recognized lines: edit distance, CER, WER, exact lines, intervals and confusion pairs.

Validation during training, `glyphline evaluate` and every published number use `score`. Rates are fractions: all edits
divided by the length of all references (micro average). They can exceed 1.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import regex
from rapidfuzz.distance import Levenshtein

from glyphline.alphabet import fold_merged
from glyphline.errors import UserError, nearest

_SPACES = re.compile(r"\s+")
_LOOSE = regex.compile(r"[^\w\p{M} ]+|_+")  # everything but letters, their signs, digits of any script and spaces
#: groups of characters that look alike; every report has a row for each
LOOKALIKES = ("0Oo", "1Iil", "5Ss", "2Zz", "9gq", "6b", "8B", "cC", "kK", "pP", "uUvV", "wW", "xX", "yY", "mM")
#: lines below which `rate_interval` is no bootstrap. Of simulated lines of 15 to 40 characters, whose CER is 7 % and
#: differs between lines as a beta distribution with a + b = 20, bootstrap intervals hold the true CER in 47 % of the
#: cases with 2 lines, 78 % with 5, 86 % with 10 and 90 % with 20; those of Student's t in 91 % or more
MIN_BOOTSTRAP_LINES = 20


def join_spaces(text: str) -> str:
    """Replace each run of white space by one space, and strip the ends. Other characters stay as they are."""
    return _SPACES.sub(" ", text).strip()


def fold_none(text: str) -> str:
    """Apply `join_spaces`, and put the text in NFC. This is the strict fold.

    >>> fold_none("  Two   words ")
    'Two words'
    """
    return unicodedata.normalize("NFC", join_spaces(text))


def fold_case(text: str) -> str:
    """Apply `fold_none` and lower the case."""
    return fold_none(text).lower()


def fold_merged_letters(text: str) -> str:
    """Apply `fold_none`, and replace the 15 letters that EMNIST merges by their capitals."""
    return fold_merged(fold_none(text))


def fold_loose(text: str) -> str:
    """Apply `fold_case`, and remove everything but letters, digits and single spaces.

    >>> fold_loose("Don't  STOP - now!")
    'dont stop now'
    """
    return fold_none(_LOOSE.sub("", _SPACES.sub(" ", text).lower()))


#: name -> (function, description that is reported with every score)
FOLDS: dict[str, tuple[Callable[[str], str], str]] = {
    "none": (fold_none, "strict; NFC, runs of white space count as one space, words split at spaces"),
    "case": (fold_case, "case ignored; runs of white space count as one space, words split at spaces"),
    "merged": (fold_merged_letters, "the 15 merged EMNIST letters ignored in case; runs of white space as one space"),
    "loose": (fold_loose, "case and everything but letters, digits and single spaces ignored"),
}


@dataclass(frozen=True)
class Confusion:
    """How often one character was recognized as another.

    An empty `prediction` is a deletion. An empty `truth` is an insertion.
    """

    truth: str
    prediction: str
    count: int


@dataclass(frozen=True)
class Score:
    """The scores of a set of lines. Rates are fractions; intervals are 95 % intervals, see `rate_interval`.

    All counts are of folded texts. Without lines all rates are 0.
    """

    lines: int
    characters: int  # of the truths
    words: int  # of the truths
    cer: float
    cer_interval: tuple[float, float]
    wer: float
    wer_interval: tuple[float, float]
    exact: float  # share of the lines without any edit
    normalisation: str  # description of the fold
    confusions: tuple[Confusion, ...] = ()
    lookalikes: tuple[tuple[str, int, int], ...] = ()  # (group, confusions inside it, its characters in the truths)
    case_errors: int = 0  # substitutions that differ in case only

    def __str__(self) -> str:
        low, high = self.cer_interval
        return (
            f"CER {self.cer:.2%} [{low:.2%}, {high:.2%}]  WER {self.wer:.2%}  "
            f"exact {self.exact:.1%}  ({self.lines} lines)"
        )


def edit_distance(truth: Sequence[str] | str, prediction: Sequence[str] | str) -> int:
    """Compute the Levenshtein distance of two strings in characters, or of two sequences in items.

    >>> edit_distance("kitten", "sitting")
    3
    >>> edit_distance("a b c".split(), "a c".split())
    1
    """
    return int(Levenshtein.distance(truth, prediction))


def character_error_rate(truth: str, prediction: str) -> float:
    """Compute edits per character of the truth for one line. For an empty truth it is the length of the prediction."""
    return edit_distance(truth, prediction) / max(1, len(truth))


def rate_interval(errors: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Compute the 95 % interval of an error rate, sum(errors) / sum(lengths).

    errors, lengths: of each line, shape (lines,), not negative. Returns (low, high), (0, 0) for no lines.
    It is the bootstrap interval. Of fewer than MIN_BOOTSTRAP_LINES lines, and of lines without any error, it is that of
    Student's t with one degree of freedom less than lines, because resamples of few lines are too much alike, and of
    equal ones equal. The standard error is that of the ratio over the lines (Cochran 1977, Sampling Techniques, 6.3),
    and at least that of as many independent characters or words, which is not 0 without errors (Agresti and Coull
    1998: two errors and two right ones are added). One line alone gives 0 to 1: it says nothing about other lines.
    """
    lines, length = len(errors), max(1, int(lengths.sum()))
    if lines == 0 or (lines >= MIN_BOOTSTRAP_LINES and errors.any()):
        return bootstrap_interval(errors, lengths)
    rate = float(errors.sum() / length)
    if lines == 1:
        return (0.0, max(1.0, rate))
    of_lines = lines / (lines - 1) * float(((errors - rate * lengths) ** 2).sum()) / length**2
    smoothed = min(1.0, (float(errors.sum()) + 2) / (length + 4))
    half_width = t_quantile(lines - 1) * math.sqrt(max(of_lines, smoothed * (1 - smoothed) / (length + 4)))
    high = rate + half_width
    return (max(0.0, rate - half_width), high if rate > 1 else min(1.0, high))


def t_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t with `freedom` degrees of freedom, 1 or more.

    By bisection over the finite series of its distribution (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).
    """
    is_odd = freedom % 2

    def share_within(angle: float) -> float:
        """The share of the distribution between -x and x, where x = sqrt(freedom) * tan(angle)."""
        term, total = math.cos(angle) if is_odd else 1.0, 0.0
        for k in range(freedom // 2):
            total += term
            term *= math.cos(angle) ** 2 * (2 * k + 1 + is_odd) / (2 * k + 2 + is_odd)
        return 2 / math.pi * (angle + math.sin(angle) * total) if is_odd else math.sin(angle) * total

    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if share_within(middle) < 0.95 else (low, middle)
    return math.sqrt(freedom) * math.tan(high)


def bootstrap_interval(
    errors: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Compute the 95 % bootstrap interval of sum(errors) / sum(lengths) by the percentile method (Efron 1979).

    errors, lengths: of each line, shape (lines,). Lines are resampled with replacement. Returns (low, high), (0, 0) for
    no lines.
    """
    n = len(errors)
    if n == 0:
        return (0.0, 0.0)
    rng = np.random.default_rng(seed)
    rates = np.empty(resamples)
    for i in range(resamples):
        sample = rng.integers(0, n, n)
        rates[i] = errors[sample].sum() / max(1, lengths[sample].sum())
    low, high = np.percentile(rates, [2.5, 97.5])
    return (float(low), float(high))


def confusion_pairs(truths: Sequence[str], predictions: Sequence[str]) -> Counter[tuple[str, str]]:
    """Count the edits of an optimal alignment of each line, as (truth, prediction) -> count.

    The prediction of a deletion and the truth of an insertion are "". The texts are not folded. Raises ValueError if
    the two sequences differ in length.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for truth, prediction in zip(truths, predictions, strict=True):
        for op in Levenshtein.editops(truth, prediction):
            if op.tag == "replace":
                pairs[truth[op.src_pos], prediction[op.dest_pos]] += 1
            elif op.tag == "delete":
                pairs[truth[op.src_pos], ""] += 1
            else:
                pairs["", prediction[op.dest_pos]] += 1
    return pairs


def check_fold(fold: str) -> None:
    """Raise UserError if there is no fold of this name."""
    if fold not in FOLDS:
        raise UserError(f'no fold "{fold}"; {nearest(fold, FOLDS)}')


def score(truths: Sequence[str], predictions: Sequence[str], fold: str = "none", top: int = 20) -> Score:
    """Score the predictions for lines against the truths. Both are folded first.

    fold: a name in FOLDS. top: the number of confusions in the result, the most frequent first.
    Raises UserError for an unknown fold, or if the two sequences differ in length.
    """
    check_fold(fold)
    if len(truths) != len(predictions):
        raise UserError(f"{len(truths)} truths but {len(predictions)} predictions: give one prediction for each line")
    apply_fold, description = FOLDS[fold]
    truths, predictions = [apply_fold(t) for t in truths], [apply_fold(p) for p in predictions]
    errors = np.array([edit_distance(t, p) for t, p in zip(truths, predictions, strict=True)], dtype=np.int64)
    lengths = np.array([len(t) for t in truths], dtype=np.int64)
    words = [(t.split(), p.split()) for t, p in zip(truths, predictions, strict=True)]
    word_errors = np.array([edit_distance(t, p) for t, p in words], dtype=np.int64)
    word_counts = np.array([len(t) for t, _ in words], dtype=np.int64)
    pairs = confusion_pairs(truths, predictions)
    letters = Counter("".join(truths))
    return Score(
        lines=len(truths),
        characters=int(lengths.sum()),
        words=int(word_counts.sum()),
        cer=float(errors.sum() / max(1, lengths.sum())),
        cer_interval=rate_interval(errors, lengths),
        wer=float(word_errors.sum() / max(1, word_counts.sum())),
        wer_interval=rate_interval(word_errors, word_counts),
        exact=float(np.mean(errors == 0)) if len(truths) else 0.0,
        normalisation=description,
        confusions=tuple(Confusion(t, p, n) for (t, p), n in pairs.most_common(top)),
        lookalikes=tuple(
            (group, sum(n for (t, p), n in pairs.items() if t and p and t in group and p in group),
             sum(letters[c] for c in group))
            for group in LOOKALIKES
        ),
        case_errors=sum(n for (t, p), n in pairs.items() if t and p and t.lower() == p.lower()),
    )  # fmt: skip
