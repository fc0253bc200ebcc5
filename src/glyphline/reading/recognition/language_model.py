"""Character n-gram language models in one small file: log p(next character | the characters before it).

A model is estimated with Witten-Bell interpolation (Witten and Bell 1991). It is pruned to the n-grams that shorter
contexts predict worst (Seymore and Rosenfeld 1996). It is stored as a hash table of 16-bit cells: ten bits of
fingerprint (Talbot and Osborne 2007), six bits of log-probability or back-off weight.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from glyphline.alphabet import DIGITS, LETTERS, Alphabet
from glyphline.errors import DataError, UserError, nearest
from glyphline.files import write_atomically

NgramKeys = npt.NDArray[np.uint64]  # n-grams or contexts: a leading 1 bit, then SYMBOL_BITS for each symbol
Floats = npt.NDArray[np.float64]
NgramCounts = tuple[NgramKeys, npt.NDArray[np.int64]]  # sorted keys and the number of times each occurs
NgramScores = tuple[NgramKeys, Floats]  # sorted keys and their log-probabilities or back-off weights

START = "\n"  # stands before the first character of a line
SYMBOL_BITS = 7  # bits of a symbol in a key; symbols are 1 .. 126
BACKOFF = 127  # the symbol that follows a context in the key of its back-off weight
MAX_ORDER = 8  # characters of an n-gram: a key has 64 bits
QUANTIZATION_STEP = 0.2  # nats between two of the 63 levels of a value
HASH_MULTIPLIER = 0x9E3779B97F4A7C15
FINGERPRINT_BITS, VALUE_BITS = 10, 6
MAX_PROBES = 64  # cells searched for a key before it counts as absent
MAX_CACHED_ENTRIES = 60_000  # contexts and log-probabilities that a model keeps; 200 bytes each, 12 MB a model
LOG_10 = math.log(10)
DIGITS_TO_ZERO = str.maketrans("123456789", "0" * 9)
UNKNOWN_LOG_PROB = math.log(1e-6)  # of a character that the model does not know, and the lowest of any character
TABLE_FILE = "table.npy"
INFO_FILE = "facts.json"
MULTISCRIPT_LETTERS = 1000  # an alphabet with more letters than this covers many scripts
MAX_TABLE_BYTES = 2**27  # larger tables in a file are refused

_UINT64_MASK = 2**64 - 1
_SYMBOL_SHIFT = np.uint64(SYMBOL_BITS)
_EMPTY_CELL = chr(2**FINGERPRINT_BITS)  # of an empty cell, in a string of fingerprints
#: first and last + 1 of the cells searched at once for many keys; most keys are found, or absent, in the first ones
_PROBE_RANGES = ((0, 16), (16, MAX_PROBES))


def _hash(keys: NgramKeys, bits: int | npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
    """The first cell to search for each key in a table of 2^bits cells, and the fingerprint of each key.

    bits: one number, or one for each key.
    """
    with np.errstate(over="ignore"):
        mixed = keys * np.uint64(HASH_MULTIPLIER)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(HASH_MULTIPLIER)
    first = (mixed >> np.asarray(64 - bits, np.uint64)).astype(np.int64)
    return first, ((mixed >> np.uint64(8)) & np.uint64(2**FINGERPRINT_BITS - 1)).astype(np.uint16)


class NextLogProbs(dict[str, float]):
    """character -> its log-probability after one context, natural logarithm.

    `probs[character]` looks a character up in the model on first access. `get` and `in` know only characters that were
    looked up.
    """

    __slots__ = ("backoff_weight", "context_key", "model", "shorter")

    def __init__(
        self, model: LanguageModel, context_key: int, shorter: NextLogProbs | None, backoff_weight: float
    ) -> None:
        self.model, self.context_key = model, context_key
        self.shorter = shorter  # the same for the context without its first character; None for the empty context
        self.backoff_weight = backoff_weight  # log; added to the log-probabilities of `shorter`

    def __missing__(self, character: str) -> float:
        model = self.model
        symbol = model.symbol_ids.get(character)
        if symbol is None:  # not stored, so that the symbols bound the size
            return UNKNOWN_LOG_PROB
        value = model.find_value(self.context_key << SYMBOL_BITS | symbol)
        if value:
            log_prob = -(value - 1) * QUANTIZATION_STEP - (LOG_10 if character in DIGITS else 0.0)
        else:
            log_prob = UNKNOWN_LOG_PROB if self.shorter is None else self.backoff_weight + self.shorter[character]
        self[character] = log_prob = max(UNKNOWN_LOG_PROB, log_prob)
        model.cached_entries += 1
        return log_prob


@dataclass(eq=False)
class LanguageModel:
    """A character n-gram model: model(context, character) is log p(character | context).

    All digits are one symbol, and each digit has a tenth of its probability. START at the beginning of a context marks
    the beginning of a line, where capitals are likelier, for example. A character that the model does not know has
    UNKNOWN_LOG_PROB.

    >>> model = estimate(["the cat sat on the mat"] * 50, order=3, cells=2**10)
    >>> model("th", "e") > model("th", "q")
    True
    """

    symbols: str  # symbols[k] is symbol k + 1 of a key; "0" stands for every digit, START for the beginning of a line
    order: int  # characters of the longest n-gram
    table: npt.NDArray[np.uint16]  # (2^bits,) cells; 0 is an empty cell
    cached_entries: int = field(default=0, init=False, repr=False)  # contexts and log-probabilities in the cache
    _cache: dict[str, NextLogProbs] = field(default_factory=dict, init=False, repr=False)  # by context

    def __post_init__(self) -> None:
        self.bits, self._last_cell = int(self.table.size).bit_length() - 1, self.table.size - 1
        self.symbol_ids = {c: k for k, c in enumerate(self.symbols, 1)}
        if "0" in self.symbol_ids:
            self.symbol_ids.update(dict.fromkeys("0123456789", self.symbol_ids["0"]))
        self._cells: Sequence[int] = np.ascontiguousarray(self.table).data  # its single items are faster than numpy's
        cells = self.padded_table
        fingerprints = np.where(cells > 0, cells >> VALUE_BITS, np.uint16(ord(_EMPTY_CELL)))
        # a string is searched faster than single items are compared
        self._fingerprints = fingerprints.astype("<u2").tobytes().decode("utf-16-le")

    @property
    def padded_table(self) -> npt.NDArray[np.uint16]:
        """A copy of the table and, after it, its first MAX_PROBES cells: a search need not return to the beginning."""
        return np.resize(self.table, self.table.size + MAX_PROBES)

    def __call__(self, context: str, character: str) -> float:
        """log p(character | context), natural logarithm. The last `order` - 1 characters of `context` count."""
        return self.next_log_probs(context)[character]

    def next_log_probs(self, context: str) -> NextLogProbs:
        """The log-probabilities of all next characters; the last `order` - 1 characters of `context` count."""
        return self._next_log_probs(context[1 - self.order :] if self.order > 1 else "")

    def _next_log_probs(self, context: str) -> NextLogProbs:
        cached = self._cache.get(context)
        if cached is None:
            if self.cached_entries >= MAX_CACHED_ENTRIES:
                self._cache.clear()
                self.cached_entries = 0
            cached = self._cache[context] = self._create_next_log_probs(context)
            self.cached_entries += 1
        return cached

    def _create_next_log_probs(self, context: str) -> NextLogProbs:
        if not context:
            return NextLogProbs(self, 1, None, 0.0)
        shorter, key = self._next_log_probs(context[1:]), 1
        for character in context:
            symbol = self.symbol_ids.get(character)
            if symbol is None:
                return shorter
            key = key << SYMBOL_BITS | symbol
        value = self.find_value(key << SYMBOL_BITS | BACKOFF)
        # a context without a back-off weight has no n-grams in the table
        return NextLogProbs(self, key, shorter, -(value - 1) * QUANTIZATION_STEP) if value else shorter

    def find_value(self, ngram_key: int) -> int:
        """The quantized value (1..63) stored under a key; 0 for an absent key.

        The value stands for -(value - 1) * QUANTIZATION_STEP nats. An absent key can have the fingerprint of another
        key and then gets that key's value.
        """
        mixed = ngram_key * HASH_MULTIPLIER & _UINT64_MASK
        mixed = (mixed ^ mixed >> 29) * HASH_MULTIPLIER & _UINT64_MASK
        first, fingerprints = mixed >> 64 - self.bits, self._fingerprints
        position = fingerprints.find(chr(mixed >> 8 & 2**FINGERPRINT_BITS - 1), first, first + MAX_PROBES)
        if position < 0 or fingerprints.find(_EMPTY_CELL, first, position) >= 0:  # a search ends at an empty cell
            return 0
        return self._cells[position & self._last_cell] & (1 << VALUE_BITS) - 1

    def log_probs(self, text: str) -> list[float]:
        """log p of each character of a whole line after START and the characters before it, in nats.

        The contexts are cached: after a beam search, which looked up those of its text, this takes a tenth of the time
        of `TextScorer`.
        """
        line, length = START + text, self.order - 1
        return [self._next_log_probs(line[max(0, k - length) : k])[c] for k, c in enumerate(text, 1)]

    def negative_log_likelihood(self, text: str) -> float:
        """-log p of a whole line, in nats."""
        return -sum(self.log_probs(text))

    def save(self, path: Path) -> None:
        """Write the model to a file (NAME.lm). Equal models give equal bytes. A failure leaves no partial file.

        Raises UserError where the file cannot be written.
        """
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            table = io.BytesIO()
            np.save(table, self.table, allow_pickle=False)
            info = json.dumps({"symbols": self.symbols, "order": self.order})
            for name, content in ((INFO_FILE, info.encode()), (TABLE_FILE, table.getvalue())):
                archive.writestr(zipfile.ZipInfo(name), content)  # ZipInfo has a fixed date: equal models, equal bytes
        try:
            write_atomically(path, data.getvalue())
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}") from None


class TextScorer:
    """Scores whole texts under several language models at once: one search in a copy of all tables.

    The log-probabilities are those of `LanguageModel.log_probs`. Nothing is cached. A call takes about 7 KB for each
    character of its text with the ten bundled languages.
    """

    def __init__(self, models: Sequence[LanguageModel]) -> None:
        """models: at least one."""
        self.models = tuple(models)
        self.orders = np.array([model.order for model in models], np.int64)
        self.bits = np.array([model.bits for model in models], np.int64)
        tables = [model.padded_table for model in models]
        self.offsets = np.cumsum([0, *(table.size for table in tables[:-1])])  # first cell of each table
        cells = np.concatenate(tables)
        self._windows = [sliding_window_view(cells, stop - start) for start, stop in _PROBE_RANGES]

    def __call__(self, text: str) -> Floats:
        """log p of each character of a line under each model, (M, len(text)), natural logarithms."""
        order, count = int(self.orders.max()), len(text)
        line = START + text
        symbols = np.zeros((len(self.models), order + count), np.uint64)  # 0 is unknown, also before START
        symbols[:, order - 1 :] = [[model.symbol_ids.get(c, 0) for c in line] for model in self.models]
        following = symbols[:, order:]

        contexts = np.ones((order, *following.shape), np.uint64)  # keys of the last 0, 1, ... order - 1 characters
        known = np.ones(contexts.shape, bool)  # whether a model knows all characters of a context
        for n in range(1, order):
            first = symbols[:, order - n : -n]
            leading_one = np.uint64(1 << SYMBOL_BITS * (n - 1))
            contexts[n] = contexts[n - 1] + (first + np.uint64(2**SYMBOL_BITS - 1)) * leading_one
            known[n] = known[n - 1] & (first > 0) & (self.orders > n)[:, None]
        contexts <<= _SYMBOL_SHIFT
        known[0] = False  # the empty context has no back-off weight
        backoff_values = self._find_values(contexts | np.uint64(BACKOFF), known)
        has_ngrams = backoff_values > 0
        has_ngrams[0] = True
        has_ngrams &= following > 0
        values = self._find_values(contexts | following, has_ngrams)

        digits = np.where([c in DIGITS for c in text], LOG_10, 0.0)
        ngrams = -(values.astype(np.float64) - 1) * QUANTIZATION_STEP - digits
        backoff_weights = -(np.maximum(backoff_values, 1).astype(np.float64) - 1) * QUANTIZATION_STEP  # 0 for absent
        log_probs = np.full(following.shape, UNKNOWN_LOG_PROB)
        for n in range(order):
            longer = np.where(values[n] > 0, ngrams[n], backoff_weights[n] + log_probs)
            log_probs = np.where(has_ngrams[n], np.maximum(UNKNOWN_LOG_PROB, longer), log_probs)
        return log_probs

    def _find_values(self, keys: NgramKeys, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint16]:
        """`LanguageModel.find_value` of the wanted keys, 0 elsewhere. keys, wanted: (order, M, N)."""
        indices = np.flatnonzero(wanted)
        model = indices // keys.shape[2] % len(self.models)
        first, fingerprints = _hash(keys.ravel()[indices], self.bits[model])
        first += self.offsets[model]
        values = np.zeros(keys.shape, np.uint16)
        for (start, _), windows in zip(_PROBE_RANGES, self._windows, strict=True):
            cells = windows[first + start]
            is_end = (cells >> VALUE_BITS == fingerprints[:, None]) | (cells == 0)
            rows, position = np.arange(len(cells)), is_end.argmax(axis=1)
            ended = is_end[rows, position]
            values.ravel()[indices[ended]] = cells[rows, position][ended] & (2**VALUE_BITS - 1)  # 0 of an empty cell
            indices, first, fingerprints = (pending[~ended] for pending in (indices, first, fingerprints))
        return values


def load_language_model(path: Path) -> LanguageModel:
    """Load a language model from its .lm file.

    Raises DataError for a missing file, a file that is not a language model, and a table above MAX_TABLE_BYTES.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist: estimate it with `glyphline language TEXT --out {path.name}`")
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(TABLE_FILE).file_size > MAX_TABLE_BYTES:
                raise DataError(
                    f"{path} unpacks to more than {MAX_TABLE_BYTES >> 20} MB, the limit of a language model: "
                    "estimate a smaller one"
                )
            info = json.loads(archive.read(INFO_FILE))
            table = np.load(io.BytesIO(archive.read(TABLE_FILE)), allow_pickle=False)
        symbols, order = info["symbols"], info["order"]
        valid = (
            isinstance(symbols, str) and isinstance(order, int) and 1 <= order <= MAX_ORDER and len(symbols) < BACKOFF
            and table.dtype == np.uint16 and table.ndim == 1 and table.size >= 2 and not table.size & (table.size - 1)
        )  # fmt: skip
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError, EOFError) as error:
        raise DataError(
            f"{path} is not a language model ({error}): estimate it again with `glyphline language`"
        ) from None
    if not valid:
        raise DataError(
            f"{path} is not a language model of this version of glyphline: estimate it again with `glyphline language`"
        )
    return LanguageModel(symbols, order, table)


# ------------------------------------------------------------------------------------------------- estimating


def estimate(
    texts: Iterable[str], symbols: str | None = None, order: int = 6, cells: int = 2**21, load_factor: float = 0.8
) -> LanguageModel:
    """Estimate a language model from texts, one line each.

    symbols: the characters of the model, at most 125 besides START, all digits counting as one; by default all
    characters of the texts. A character of the texts that is not among them ends the context.
    order: characters of the longest n-gram, 1 to MAX_ORDER. cells: size of the table, a power of two. load_factor: the
    share of the cells that is filled.
    Raises DataError for empty texts or too many characters, UserError for another order or number of cells.
    """
    if not 1 <= order <= MAX_ORDER:
        raise UserError(f"the order is {order}: give 1 to {MAX_ORDER} characters for the longest n-gram")
    # \0 separates the lines: it is never a symbol, so that no n-gram spans two lines
    joined = "\0".join(START + text.replace(START, " ") for text in texts).translate(DIGITS_TO_ZERO)
    if not joined.strip(START + "\0 "):
        raise DataError("the texts are empty: a language model needs at least one line")
    if symbols is None:
        symbols = "".join(sorted(set(joined) - {"\0", START}))
    symbols = "".join(dict.fromkeys(symbols.translate(DIGITS_TO_ZERO))) + START
    if len(symbols) >= BACKOFF:
        raise DataError(
            f"the language model would have {len(symbols) - 1} characters, the limit is {BACKOFF - 2}: "
            "give an alphabet with fewer characters"
        )
    codes = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
    lookup = np.zeros(int(codes.max()) + 1, np.uint8)
    for k, c in enumerate(symbols, 1):
        if ord(c) < len(lookup):
            lookup[ord(c)] = k
    ids = lookup[codes]
    counts_by_order = [_count_ngrams(ids, n) for n in range(1, order + 1)]
    unigrams, counts = counts_by_order[0]
    counts_by_order[0] = unigrams[:-1], counts[:-1]  # START, the last symbol, is never a next character
    return LanguageModel(symbols, order, _build_table(counts_by_order, len(symbols) - 1, cells, load_factor))


def _count_ngrams(ids: npt.NDArray[np.uint8], n: int) -> NgramCounts:
    """The n-grams of n known symbols (0 is unknown), with the number of times each occurs."""
    count = max(0, len(ids) - n + 1)
    keys = np.full(count, 1, np.uint64)
    known = np.ones(len(keys), bool)
    for k in range(n):
        symbols = ids[k : k + count]
        keys = keys << _SYMBOL_SHIFT | symbols
        known &= symbols > 0
    return np.unique(keys[known], return_counts=True)


def _drop_first_symbol(keys: NgramKeys, n: int) -> NgramKeys:
    """The keys of n-grams without their first symbol."""
    leading_one = np.uint64(1 << SYMBOL_BITS * (n - 1))
    return keys & (leading_one - np.uint64(1)) | leading_one


def _find(keys: NgramKeys, sorted_keys: NgramKeys) -> npt.NDArray[np.int64]:
    """The index of each key in `sorted_keys`; -1 for an absent key."""
    if len(sorted_keys) == 0:
        return np.full(len(keys), -1)
    index = np.searchsorted(sorted_keys, keys).clip(0, len(sorted_keys) - 1)
    return np.where(sorted_keys[index] == keys, index, -1)


def _build_table(
    counts_by_order: list[NgramCounts], symbol_count: int, cells: int, load_factor: float
) -> npt.NDArray[np.uint16]:
    """The hash table of the Witten-Bell log-probabilities, pruned to `cells` * `load_factor` cells."""
    scores = _prune(counts_by_order, *_smooth(counts_by_order, symbol_count), int(cells * load_factor))
    backoff_weights = _compute_backoff_weights(scores)
    keys = np.concatenate(
        [k for k, _ in scores] + [k << _SYMBOL_SHIFT | np.uint64(BACKOFF) for k, _ in backoff_weights]
    )
    values = np.concatenate([v for _, v in scores] + [v for _, v in backoff_weights])
    return _fill_hash_table(keys, np.clip(np.rint(-values / QUANTIZATION_STEP), 0, 62).astype(np.uint16) + 1, cells)


def _smooth(counts_by_order: list[NgramCounts], symbol_count: int) -> tuple[list[Floats], list[Floats]]:
    """By order: p(last symbol | context) of each n-gram, and the nats that all its occurrences lose without it."""
    keys, counts = counts_by_order[0]
    smoothed: list[Floats] = [(counts + 0.5) / (counts.sum() + 0.5 * symbol_count)]
    gains: list[Floats] = [np.full(len(keys), np.inf)]  # unigrams are never pruned
    for n, (keys, counts) in enumerate(counts_by_order[1:], 2):
        context_starts = np.unique(keys >> _SYMBOL_SHIFT, return_index=True)[1]
        context_sizes = np.diff([*context_starts, len(keys)])
        totals = np.repeat(np.add.reduceat(counts, context_starts), context_sizes) if len(keys) else counts
        distinct = np.repeat(context_sizes, context_sizes)  # different symbols after the context of each n-gram
        lower = smoothed[-1][_find(_drop_first_symbol(keys, n), counts_by_order[n - 2][0])]
        smoothed.append((counts + distinct * lower) / (totals + distinct))
        gains.append(counts * (np.log(smoothed[-1]) - np.log(distinct / (totals + distinct) * lower)))
    return smoothed, gains


def _prune(
    counts_by_order: list[NgramCounts], smoothed: list[Floats], gains: list[Floats], max_cells: int
) -> list[NgramScores]:
    """By order: the n-grams with the largest gains that fit into `max_cells` cells, with their log-probabilities."""
    low, high = 0.0, max(float(g[np.isfinite(g)].max(initial=0.0)) for g in gains) + 1.0
    for _ in range(40):  # bisection of the smallest gain that is kept
        threshold = (low + high) / 2
        used = sum(  # a context with n-grams takes another cell for its back-off weight
            int((g >= threshold).sum()) + len(np.unique(keys[g >= threshold] >> _SYMBOL_SHIFT))
            for (keys, _), g in zip(counts_by_order, gains, strict=True)
        )
        low, high = (threshold, high) if used > max_cells else (low, threshold)
    return [
        (keys[g >= high], np.log(p[g >= high]))
        for (keys, _), p, g in zip(counts_by_order, smoothed, gains, strict=True)
    ]


def _compute_backoff_weights(scores: list[NgramScores]) -> list[NgramScores]:
    """By order: the contexts with n-grams, and the log of their back-off weight, at most 0.

    The weight is the probability that the n-grams of the context leave to other symbols, divided by the probability
    that the shorter context gives to those symbols.
    """
    weights: list[NgramScores] = [(np.empty(0, np.uint64), np.empty(0))]
    for n, (keys, log_p) in enumerate(scores[1:], 2):
        contexts, starts = np.unique(keys >> _SYMBOL_SHIFT, return_index=True)
        lower = np.exp(_evaluate(_drop_first_symbol(keys, n), n - 1, scores, weights))
        left, left_lower = ((1 - np.add.reduceat(p, starts)) if len(keys) else p for p in (np.exp(log_p), lower))
        weight = np.log(np.maximum(left, 1e-6) / np.maximum(left_lower, 1e-6))
        weights.append((contexts, np.minimum(weight, 0.0)))
    return weights


def _evaluate(keys: NgramKeys, n: int, scores: list[NgramScores], weights: list[NgramScores]) -> Floats:
    """log p of n-grams by the pruned scores and the back-off weights of the orders up to n."""
    log_p = np.zeros(len(keys))
    pending = np.arange(len(keys))
    while n >= 1 and len(pending):
        index = _find(keys[pending], scores[n - 1][0])
        log_p[pending[index >= 0]] += scores[n - 1][1][index[index >= 0]]
        pending = pending[index < 0]
        if n == 1:
            log_p[pending] += UNKNOWN_LOG_PROB
            break
        context = keys[pending] >> _SYMBOL_SHIFT
        index = _find(context, weights[n - 1][0])
        log_p[pending] += np.where(index >= 0, weights[n - 1][1][index] if len(weights[n - 1][1]) else 0.0, 0.0)
        keys = keys.copy()
        keys[pending] = _drop_first_symbol(keys[pending], n)
        n -= 1
    return log_p


def _fill_hash_table(keys: NgramKeys, values: npt.NDArray[np.uint16], cells: int) -> npt.NDArray[np.uint16]:
    """A hash table with linear probing: every key takes the first free cell within MAX_PROBES, or is left out."""
    if cells < 2 or cells & (cells - 1):
        raise UserError(f"the table has {cells} cells: give a power of two")
    bits = cells.bit_length() - 1
    position, fingerprint = _hash(keys, bits)
    cell = fingerprint << np.uint16(VALUE_BITS) | values
    table = np.zeros(cells, np.uint16)
    pending = np.arange(len(keys))
    for _ in range(MAX_PROBES):
        free = pending[table[position[pending]] == 0]
        _, first = np.unique(position[free], return_index=True)
        stored = free[first]
        table[position[stored]] = cell[stored]
        pending = np.setdiff1d(pending, stored, assume_unique=True)
        position[pending] = (position[pending] + 1) % cells
        if len(pending) == 0:
            break
    return table


# ---------------------------------------------------------------------------------------------------- bundled


def bundled_language_models() -> list[str]:
    """The names of the language models inside the package, sorted."""
    return sorted(p.name.removesuffix(".lm") for p in _bundled_files() if p.name.endswith(".lm"))


def _bundled_files() -> Iterator[Path]:
    folder = resources.files("glyphline.models")
    yield from (Path(str(p)) for p in folder.iterdir())


def language_model_name(alphabet: Alphabet) -> str | None:
    """The name of the bundled language model that suits the characters of an alphabet; None where there is none.

    English suits the alphabet of A-Z and a-z, and alphabets with more than MULTISCRIPT_LETTERS letters: the beam search
    decodes text of other languages greedily. Two more models of English are estimated from texts without punctuation:
    for A-Z and a-z with no sign beside digits and spaces, and for the merged letters.
    """
    letters = [c for c in alphabet.characters if c.isalpha()]
    if alphabet.is_merged and all(c.isascii() for c in letters):
        return "english-merged"
    if set(letters) == set(LETTERS):
        return "english" if any(not c.isalnum() and c != " " for c in alphabet.characters) else "english-stripped"
    return "english" if len(letters) > MULTISCRIPT_LETTERS else None


def language_model_for(alphabet: Alphabet) -> LanguageModel | None:
    """The bundled language model of `language_model_name`, opened; None where there is none."""
    name = language_model_name(alphabet)
    return open_language_model(name) if name else None


@lru_cache(maxsize=16)
def open_language_model(name: str) -> LanguageModel:
    """Open a bundled language model by name, or an .lm file by path (it has a slash or ends in .lm).

    The last 16 models stay open. A file that was changed is not read again while its model is open.
    Raises UserError with the choices for an unknown name, DataError for a missing or broken file.
    """
    for path in _bundled_files():
        if path.name == f"{name}.lm":
            return load_language_model(path)
    if "/" in name or name.endswith(".lm"):
        return load_language_model(Path(name))
    choices = nearest(name, bundled_language_models())
    raise UserError(f'no language model "{name}"; {choices}, or the path of an .lm file')
