"""A character n-gram language model in one small file: which character comes next, given the ones before.

Estimated with Witten-Bell interpolation (Witten and Bell 1991), pruned to the n-grams that a shorter context predicts
worst (Seymore and Rosenfeld 1996), kept as a hash table of 16-bit cells: ten bits of fingerprint (Talbot and Osborne
2007), six of log-probability or back-off weight.
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

from glyphline.alphabet import LETTERS, Alphabet
from glyphline.errors import DataError, UserError, nearest
from glyphline.files import write_whole

Keys = npt.NDArray[np.uint64]  # n-grams or contexts: a one, then seven bits a symbol
Floats = npt.NDArray[np.float64]
Counts = tuple[Keys, npt.NDArray[np.int64]]  # sorted keys and how often each was seen
Row = tuple[Keys, Floats]  # sorted keys and their log-probabilities or back-off weights

START = "\n"  # what stands before a line's first character
SYMBOL_BITS = 7  # of a key; symbols are 1 .. 126
BACKOFF = 127  # the symbol under which a context's back-off weight is kept
LONGEST = 8  # characters of an n-gram: a key has 64 bits
LEVEL = 0.2  # nats between two of the 63 levels of a probability
MULTIPLIER = 0x9E3779B97F4A7C15
FINGERPRINT_BITS, VALUE_BITS = 10, 6
MOST_PROBES = 64  # cells looked at before a key counts as absent
MOST_KNOWN = 50_000  # contexts
LOG_10 = math.log(10)
ONE_DIGIT = str.maketrans("123456789", "0" * 9)
UNKNOWN = math.log(1e-6)  # a character the model does not know; nothing is less likely
FILE = "table.npy"
FACTS = "facts.json"
MANY = 1000  # letters; more are those of many scripts
SIZE_LIMIT = 2**27  # bytes; larger tables are refused

_MASK = 2**64 - 1
_SHIFT = np.uint64(SYMBOL_BITS)


def _cells_of(keys: Keys, bits: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
    """Where a key is looked for first, and its fingerprint."""
    with np.errstate(over="ignore"):
        stirred = keys * np.uint64(MULTIPLIER)
        stirred = (stirred ^ (stirred >> np.uint64(29))) * np.uint64(MULTIPLIER)
    first = (stirred >> np.uint64(64 - bits)).astype(np.int64)
    return first, ((stirred >> np.uint64(8)) & np.uint64(2**FINGERPRINT_BITS - 1)).astype(np.uint16)


class Following(dict[str, float]):
    """character -> log p of it after one context; a key not asked for before is looked up."""

    __slots__ = ("key", "model", "shorter", "weight")

    def __init__(self, model: LanguageModel, key: int, shorter: Following | None, weight: float) -> None:
        self.model, self.key = model, key  # of the context
        self.shorter, self.weight = shorter, weight  # where to go, and at what cost, for what was not kept here

    def __missing__(self, character: str) -> float:
        model = self.model
        symbol = model.ids.get(character)
        value = model.cell(self.key << SYMBOL_BITS | symbol) if symbol is not None else 0
        if value:
            known = -(value - 1) * LEVEL - (LOG_10 if character.isdecimal() else 0.0)
        elif symbol is None or self.shorter is None:
            known = UNKNOWN
        else:
            known = self.weight + self.shorter[character]
        self[character] = known = max(UNKNOWN, known)
        return known


@dataclass(eq=False)
class LanguageModel:
    """log p(next character | the characters before it); digits are one symbol, ten equally likely.

    A line begins with START, so that what begins lines, capitals above all, is expected there.

    >>> model = estimate(["the cat sat on the mat"] * 50, order=3, cells=2**10)
    >>> model("th", "e") > model("th", "q")
    True
    """

    symbols: str  # symbols[k] is kept as k + 1; "0" stands for every digit, START for the beginning of a line
    order: int  # characters of the longest n-gram
    table: npt.NDArray[np.uint16]  # (2^bits,) cells, 0 an empty one
    _known: dict[str, Following] = field(default_factory=dict, init=False, repr=False)  # by context

    def __post_init__(self) -> None:
        self.bits, self._last = int(self.table.size).bit_length() - 1, self.table.size - 1
        self.ids = {c: k for k, c in enumerate(self.symbols, 1)}
        if "0" in self.ids:
            self.ids.update(dict.fromkeys("0123456789", self.ids["0"]))
        self._cells: Sequence[int] = memoryview(self.table.tobytes()).cast("H")  # read one cell at a time

    def __call__(self, before: str, character: str) -> float:
        """log p(character | before), natural logarithm; only the last `order` - 1 characters of `before` count."""
        return self.after(before)[character]

    def after(self, before: str) -> Following:
        """log p of every character that may come next, each looked up when it is first asked for."""
        return self._after(before[1 - self.order :] if self.order > 1 else "")

    def _after(self, context: str) -> Following:
        known = self._known.get(context)
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[context] = self._opened(context)
        return known

    def _opened(self, context: str) -> Following:
        if not context:
            return Following(self, 1, None, 0.0)
        shorter, key = self._after(context[1:]), 1
        for character in context:
            symbol = self.ids.get(character)
            if symbol is None:
                return shorter
            key = key << SYMBOL_BITS | symbol
        value = self.cell(key << SYMBOL_BITS | BACKOFF)
        # a context without a back-off weight kept no n-gram
        return Following(self, key, shorter, -(value - 1) * LEVEL) if value else shorter

    def cell(self, key: int) -> int:
        """The value kept under a key; 0 when there is none."""
        stirred = key * MULTIPLIER & _MASK
        stirred = (stirred ^ stirred >> 29) * MULTIPLIER & _MASK
        cells, place = self._cells, stirred >> 64 - self.bits
        fingerprint = stirred >> 8 & 2**FINGERPRINT_BITS - 1
        for at in range(place, place + MOST_PROBES):
            cell = cells[at & self._last]
            if not cell:
                return 0
            if cell >> VALUE_BITS == fingerprint:
                return cell & (1 << VALUE_BITS) - 1
        return 0

    def nats(self, text: str) -> float:
        """-log p of a line, in nats."""
        return -sum(self(START + text[:k], c) for k, c in enumerate(text))

    def save(self, path: Path) -> None:
        """Write the file whole or not at all. Raises UserError where it cannot be written."""
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
            cells = io.BytesIO()
            np.save(cells, self.table, allow_pickle=False)
            for name, content in ((FACTS, self._facts().encode()), (FILE, cells.getvalue())):
                out.writestr(zipfile.ZipInfo(name), content)  # no clock: the same model is the same file
        try:
            write_whole(path, data.getvalue())
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}") from None

    def _facts(self) -> str:
        return json.dumps({"symbols": self.symbols, "order": self.order})


def load_language_model(path: Path) -> LanguageModel:
    """A model from its file. Raises DataError for a file that is none."""
    if not path.is_file():
        raise DataError(f"{path} is not there: make one with `glyphline language TEXT --out {path.name}`")
    try:
        with zipfile.ZipFile(path) as packed:
            if packed.getinfo(FILE).file_size > SIZE_LIMIT:
                raise DataError(f"{path} would unpack to more than {SIZE_LIMIT >> 20} MB: it is no language model")
            info = json.loads(packed.read(FACTS))
            table = np.load(io.BytesIO(packed.read(FILE)), allow_pickle=False)
        symbols, order = info["symbols"], info["order"]
        good = (
            isinstance(symbols, str) and isinstance(order, int) and 1 <= order <= LONGEST and len(symbols) < BACKOFF
            and table.dtype == np.uint16 and table.ndim == 1 and table.size >= 2 and not table.size & (table.size - 1)
        )  # fmt: skip
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError, EOFError) as error:
        raise DataError(f"{path} holds no language model ({error}): make it again") from None
    if not good:
        raise DataError(f"{path} holds no language model that this version knows: make it again")
    return LanguageModel(symbols, order, table)


# ------------------------------------------------------------------------------------------------- estimating


def estimate(
    texts: Iterable[str], symbols: str | None = None, order: int = 6, cells: int = 2**21, fill: float = 0.8
) -> LanguageModel:
    """A model of texts, one line each, in `cells` cells of which `fill` are taken.

    symbols: the characters it knows, at most 125 (default: all of the texts); others end a context.
    Raises DataError for no text or too many characters.
    """
    if not 1 <= order <= LONGEST:
        raise UserError(f"an n-gram has 1 to {LONGEST} characters, not {order}")
    folded = "\0".join(START + text.replace(START, " ") for text in texts).translate(ONE_DIGIT)  # \0 is no symbol
    if not folded.strip(START + "\0 "):
        raise DataError("the texts are empty: a language model needs at least one line")
    if symbols is None:
        symbols = "".join(sorted(set(folded) - {"\0", START}))
    symbols = "".join(dict.fromkeys(symbols.translate(ONE_DIGIT))) + START
    if len(symbols) >= BACKOFF:
        raise DataError(
            f"the texts hold {len(symbols) - 1} characters, a model knows {BACKOFF - 2}: name those that count"
        )
    codes = np.frombuffer(folded.encode("utf-32-le"), np.uint32)
    lookup = np.zeros(int(codes.max()) + 1, np.uint8)
    for k, c in enumerate(symbols, 1):
        if ord(c) < len(lookup):
            lookup[ord(c)] = k
    ids = lookup[codes]
    counted = [_counted(ids, n) for n in range(1, order + 1)]
    seen, counts = counted[0]
    counted[0] = seen[:-1], counts[:-1]  # START, the last symbol, is never what comes next
    return LanguageModel(symbols, order, _table(counted, len(symbols) - 1, cells, fill))


def _counted(ids: npt.NDArray[np.uint8], n: int) -> Counts:
    """The n-grams of n known characters, as sorted keys with their counts."""
    count = max(0, len(ids) - n + 1)
    key = np.full(count, 1, np.uint64)
    good = np.ones(len(key), bool)
    for k in range(n):
        part = ids[k : k + count]
        key = key << _SHIFT | part
        good &= part > 0
    return np.unique(key[good], return_counts=True)


def _shorter(keys: Keys, n: int) -> Keys:
    """n-grams without their first character."""
    low = np.uint64(1 << SYMBOL_BITS * (n - 1))
    return keys & (low - np.uint64(1)) | low


def _find(keys: Keys, among: Keys) -> npt.NDArray[np.int64]:
    """Where each key stands among sorted ones; -1 for absent."""
    if len(among) == 0:
        return np.full(len(keys), -1)
    at = np.searchsorted(among, keys).clip(0, len(among) - 1)
    return np.where(among[at] == keys, at, -1)


def _table(counted: list[Counts], symbols: int, cells: int, fill: float) -> npt.NDArray[np.uint16]:
    """Witten-Bell probabilities, pruned to what `cells` cells hold."""
    rows = _pruned(counted, *_smoothed(counted, symbols), int(cells * fill))
    weights = _weights(rows)
    keys = np.concatenate([k for k, _ in rows] + [k << _SHIFT | np.uint64(BACKOFF) for k, _ in weights])
    values = np.concatenate([v for _, v in rows] + [v for _, v in weights])
    return _hashed(keys, np.clip(np.rint(-values / LEVEL), 0, 62).astype(np.uint16) + 1, cells)


def _smoothed(counted: list[Counts], symbols: int) -> tuple[list[Floats], list[Floats]]:
    """By order: p(c | h) of every n-gram, and the nats all its occurrences would lose without it."""
    keys, counts = counted[0]
    smoothed: list[Floats] = [(counts + 0.5) / (counts.sum() + 0.5 * symbols)]
    gains: list[Floats] = [np.full(len(keys), np.inf)]  # every known character stays
    for n, (keys, counts) in enumerate(counted[1:], 2):
        start = np.unique(keys >> _SHIFT, return_index=True)[1]  # of each context
        sizes = np.diff([*start, len(keys)])
        total = np.repeat(np.add.reduceat(counts, start), sizes) if len(keys) else counts
        kinds = np.repeat(sizes, sizes)  # different characters after each context
        below = smoothed[-1][_find(_shorter(keys, n), counted[n - 2][0])]
        smoothed.append((counts + kinds * below) / (total + kinds))
        gains.append(counts * (np.log(smoothed[-1]) - np.log(kinds / (total + kinds) * below)))
    return smoothed, gains


def _pruned(counted: list[Counts], smoothed: list[Floats], gains: list[Floats], room: int) -> list[Row]:
    """By order: the n-grams of the largest gains and their log-probabilities, as many as have room."""
    low, high = 0.0, max(float(g[np.isfinite(g)].max(initial=0.0)) for g in gains) + 1.0
    for _ in range(40):  # bisect the gain that fills the room
        limit = (low + high) / 2
        used = sum(  # a context with an n-gram of its own takes a cell more, for its back-off weight
            int((g >= limit).sum()) + len(np.unique(keys[g >= limit] >> _SHIFT))
            for (keys, _), g in zip(counted, gains, strict=True)
        )
        low, high = (limit, high) if used > room else (low, limit)
    return [(keys[g >= high], np.log(p[g >= high])) for (keys, _), p, g in zip(counted, smoothed, gains, strict=True)]


def _weights(rows: list[Row]) -> list[Row]:
    """By order: the contexts that kept n-grams and the log of what is left to those they did not."""
    weights: list[Row] = [(np.empty(0, np.uint64), np.empty(0))]
    for n, (keys, log_p) in enumerate(rows[1:], 2):
        contexts, start = np.unique(keys >> _SHIFT, return_index=True)
        below = np.exp(_backed_off(_shorter(keys, n), n - 1, rows, weights))
        left, left_below = ((1 - np.add.reduceat(p, start)) if len(keys) else p for p in (np.exp(log_p), below))
        weight = np.log(np.maximum(left, 1e-6) / np.maximum(left_below, 1e-6))
        weights.append((contexts, np.minimum(weight, 0.0)))
    return weights


def _backed_off(keys: Keys, n: int, rows: list[Row], weights: list[Row]) -> Floats:
    """log p of n-grams by the rows and back-off weights of the orders so far."""
    out = np.zeros(len(keys))
    open_ = np.arange(len(keys))
    while n >= 1 and len(open_):
        at = _find(keys[open_], rows[n - 1][0])
        out[open_[at >= 0]] += rows[n - 1][1][at[at >= 0]]
        open_ = open_[at < 0]
        if n == 1:
            out[open_] += UNKNOWN
            break
        context = keys[open_] >> _SHIFT
        weigh = _find(context, weights[n - 1][0])
        out[open_] += np.where(weigh >= 0, weights[n - 1][1][weigh] if len(weights[n - 1][1]) else 0.0, 0.0)
        keys = keys.copy()
        keys[open_] = _shorter(keys[open_], n)
        n -= 1
    return out


def _hashed(keys: Keys, values: npt.NDArray[np.uint16], cells: int) -> npt.NDArray[np.uint16]:
    """A table of keys and values with linear probing, all keys advanced together."""
    if cells < 2 or cells & (cells - 1):
        raise UserError(f"a table has a power of two of cells, not {cells}")
    bits = cells.bit_length() - 1
    place, fingerprint = _cells_of(keys, bits)
    cell = fingerprint << np.uint16(VALUE_BITS) | values
    table = np.zeros(cells, np.uint16)
    waiting = np.arange(len(keys))
    for _ in range(MOST_PROBES):
        free = waiting[table[place[waiting]] == 0]
        _, first = np.unique(place[free], return_index=True)
        settled = free[first]
        table[place[settled]] = cell[settled]
        waiting = np.setdiff1d(waiting, settled, assume_unique=True)
        place[waiting] = (place[waiting] + 1) % cells
        if len(waiting) == 0:
            break
    return table  # the few that found no cell within reach are left out


# ---------------------------------------------------------------------------------------------------- bundled


def bundled_language_models() -> list[str]:
    """The names of the language models inside the package."""
    return sorted(p.name.removesuffix(".lm") for p in _bundled() if p.name.endswith(".lm"))


def _bundled() -> Iterator[Path]:
    folder = resources.files("glyphline.models")
    yield from (Path(str(p)) for p in folder.iterdir())


def language_model_for(alphabet: Alphabet) -> LanguageModel | None:
    """The bundled model that suits an alphabet: one of its letters, cases merged or not; None where there is none.

    English also for alphabets of many scripts: what is none of it, a beam reads greedily.
    """
    letters = [c for c in alphabet.characters if c.isalpha()]
    if alphabet.merges and all(c.isascii() for c in letters):
        return open_language_model("english-merged")
    suits = set(letters) == set(LETTERS) or len(letters) > MANY
    return open_language_model("english") if suits else None


@lru_cache(maxsize=4)
def open_language_model(name: str) -> LanguageModel:
    """A bundled language model by name, or one from a file. Raises UserError with the choices."""
    for path in _bundled():
        if path.name == f"{name}.lm":
            return load_language_model(path)
    if "/" in name or name.endswith(".lm"):
        return load_language_model(Path(name))
    raise UserError(f'no language "{name}"; {nearest(name, bundled_language_models())}, or the path of an .lm file')
