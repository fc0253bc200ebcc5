"""Characters <-> ids: the CTC blank is 0, characters count from 1; named alphabets and the folds they need."""

from __future__ import annotations

import difflib
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from glyphline.errors import AlphabetError, nearest

BLANK = 0  # id of the CTC blank, a step that says nothing (Graves et al. 2006)

DIGITS = string.digits
LETTERS = string.ascii_uppercase + string.ascii_lowercase
#: The 15 lower-case letters that EMNIST "by merge" files under their capitals (Cohen et al. 2017, arXiv 1702.05373).
MERGED_LETTERS = "cijklmopsuvwxyz"
PUNCTUATION = "!\"#$%&'()*+,-./:;=?@"

#: Named alphabets; a recipe may also spell out its own characters.
ALPHABETS: dict[str, str] = {
    "digits": " " + DIGITS,
    "merged": " " + DIGITS + string.ascii_uppercase + "abdefghnqrt",  # 47 classes and the space
    "full": " " + DIGITS + LETTERS,  # 62 classes and the space
    "english": " " + PUNCTUATION + DIGITS + LETTERS,  # what notes, forms and signs need
    "ascii": "".join(map(chr, range(32, 127))),
}

_MERGE = str.maketrans(MERGED_LETTERS, MERGED_LETTERS.upper())
#: Typographic characters and the plain ones they are written with.
_PLAIN = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "′": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "″": '"',
        "«": '"', "»": '"', "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-", "…": "...",
        "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\t": " ", "×": "x", "÷": "/", "ß": "ss", "æ": "ae",
        "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i",
        "⁄": "/",
    }
)  # fmt: skip


def fold_merged(text: str) -> str:
    """The 15 letters that EMNIST merges, as their capitals: what a reader of the merged alphabet can say.

    >>> fold_merged("jacob")
    'JaCOb'
    """
    return text.translate(_MERGE)


def fold_plain(text: str) -> str:
    """Typographic quotes, dashes and accents as the plain characters people type instead.

    >>> fold_plain("“Café” déjà vu…")
    '"Cafe" deja vu...'
    """
    if text.isascii() and "\t" not in text and "`" not in text:
        return text
    decomposed = unicodedata.normalize("NFKD", text.translate(_PLAIN)).translate(_PLAIN)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def collapse(path: Iterable[int]) -> list[int]:
    """A CTC path as the ids it says: repeats merged, then blanks dropped (Graves et al. 2006).

    >>> collapse([0, 3, 3, 0, 3, 5, 5, 0])
    [3, 3, 5]
    """
    said: list[int] = []
    previous = BLANK
    for step in path:
        if step != previous and step != BLANK:
            said.append(int(step))
        previous = step
    return said


def steps_needed(ids: Sequence[int] | npt.NDArray[np.integer]) -> int:
    """The fewest time steps in which CTC can say these ids: one each, and a blank between equal neighbours.

    >>> steps_needed([1, 2, 2, 3])
    5
    """
    return len(ids) + sum(1 for a, b in pairwise(ids) if a == b)


@dataclass(frozen=True)
class Alphabet:
    """The characters a reader knows, in the order of their ids.

    >>> tiny = Alphabet(" ab")
    >>> tiny.encode("a b").tolist()
    [2, 1, 3]
    >>> tiny.decode([2, 1, 3])
    'a b'
    >>> len(tiny)  # with the blank
    4
    """

    characters: str
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        twice = sorted(c for c, count in Counter(self.characters).items() if count > 1)
        if not self.characters or twice:
            said = f"holds {', '.join(map(repr, twice))} more than once" if twice else "is empty"
            raise AlphabetError(f"the alphabet {said}: list every character exactly once")
        object.__setattr__(self, "_ids", {c: i for i, c in enumerate(self.characters, start=1)})

    @classmethod
    def named(cls, name: str) -> Alphabet:
        """The alphabet of this name, or of these very characters when it is longer than any name's mistake.

        Raises AlphabetError for a word that looks like a name and is none.
        """
        if name in ALPHABETS:
            return cls(ALPHABETS[name])
        repeats = name.isascii() and name.isalnum() and name.islower() and len(set(name)) < len(name)
        if repeats or difflib.get_close_matches(name, ALPHABETS, n=1):
            raise AlphabetError(f'no alphabet "{name}"; {nearest(name, ALPHABETS)}, or the characters themselves')
        return cls(name)

    def __len__(self) -> int:
        """How many classes a network needs: the characters and the blank."""
        return len(self.characters) + 1

    def __contains__(self, character: object) -> bool:
        return character in self._ids

    @property
    def merges(self) -> bool:
        """True where this alphabet lacks exactly the letters that EMNIST merges, so texts must be folded first."""
        missing = [c for c in LETTERS if c not in self._ids]
        return missing == list(MERGED_LETTERS)

    def unknown(self, text: str) -> list[str]:
        """The characters of the text that the alphabet lacks, each once, in order of appearance."""
        return [c for c in dict.fromkeys(text) if c not in self._ids]

    def encode(self, text: str) -> npt.NDArray[np.int64]:
        """The ids of a text, shape (L,). Raises AlphabetError naming every character that has no id."""
        try:
            return np.array([self._ids[c] for c in text], dtype=np.int64)
        except KeyError:
            missing = ", ".join(repr(c) for c in self.unknown(text))
            raise AlphabetError(
                f"{missing} in {text[:60]!r} is not in the alphabet of {len(self.characters)} characters: "
                f"choose a wider alphabet ({', '.join(ALPHABETS)}) or let the recipe drop or replace it"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; blanks say nothing."""
        return "".join(self.characters[i - 1] for i in ids if i != BLANK)
