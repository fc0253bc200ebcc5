"""Alphabets: map characters to the ids of a CTC network (0 is the blank, characters count from 1), and fold texts."""

from __future__ import annotations

import difflib
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from glyphline.errors import AlphabetError, nearest

BLANK = 0  # id of the CTC blank, which stands for no character (Graves et al. 2006)

DIGITS = string.digits
LETTERS = string.ascii_uppercase + string.ascii_lowercase
#: The 15 lower-case letters that EMNIST "by merge" labels as their capitals (Cohen et al. 2017, arXiv 1702.05373).
MERGED_LETTERS = "cijklmopsuvwxyz"
#: The letters of English, French, German, Spanish, Dutch, Italian, Polish, Portuguese, Danish and Swedish beyond ASCII.
ACCENTED_LETTERS = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŸĄĆĘŁŃŒŚŹŻàáâãäåæçèéêëìíîïñòóôõöøùúûüßÿąćęłńœśźż"
#: The signs of print in these languages beyond ASCII.
TYPOGRAPHIC_SIGNS = "¡¿ªº°§£€«»‘’“”„–—…•"
PUNCTUATION = "!\"#$%&'()*+,-./:;=?@"

#: name -> characters in the order of their ids; a recipe may list its own characters instead
ALPHABETS: dict[str, str] = {
    "digits": " " + DIGITS,
    "merged": " " + DIGITS + string.ascii_uppercase + "abdefghnqrt",  # 47 classes and the space
    "full": " " + DIGITS + LETTERS,  # 62 classes and the space
    "english": " " + PUNCTUATION + DIGITS + LETTERS,  # the characters of notes, forms and signs
    "ascii": "".join(map(chr, range(32, 127))),
    "latin": "".join(map(chr, range(32, 127))) + ACCENTED_LETTERS + TYPOGRAPHIC_SIGNS,
}

MIN_SCRIPT_LETTERS = 10  # of a script in Unicode; other words begin the names of fewer letters

_MERGE = str.maketrans(MERGED_LETTERS, MERGED_LETTERS.upper())
#: typographic character -> the plain characters that replace it
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
    """Replace the 15 lower-case letters in MERGED_LETTERS by their capitals, as the merged alphabet requires.

    >>> fold_merged("jacob")
    'JaCOb'
    """
    return text.translate(_MERGE)


def fold_plain(text: str) -> str:
    """Replace typographic characters by the plain ones that people type, and remove accents (Unicode NFKD).

    A backtick becomes an apostrophe, a tab a space. Compatibility characters are decomposed: a superscript 2 becomes 2.

    >>> fold_plain("“Café” déjà vu…")
    '"Cafe" deja vu...'
    """
    if text.isascii() and "\t" not in text and "`" not in text:
        return text
    decomposed = unicodedata.normalize("NFKD", text.translate(_PLAIN)).translate(_PLAIN)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def collapse(path: Iterable[int]) -> list[int]:
    """Collapse a CTC path, one id a time step, to its label sequence (Graves et al. 2006): merge repeats, drop blanks.

    >>> collapse([0, 3, 3, 0, 3, 5, 5, 0])
    [3, 3, 5]
    """
    ids: list[int] = []
    previous = BLANK
    for step in path:
        if step != previous and step != BLANK:
            ids.append(int(step))
        previous = step
    return ids


def min_ctc_steps(ids: Sequence[int] | npt.NDArray[np.integer]) -> int:
    """Count the time steps of the shortest CTC path for these ids: one each, and a blank between equal neighbours.

    >>> min_ctc_steps([1, 2, 2, 3])
    5
    """
    return len(ids) + sum(1 for a, b in pairwise(ids) if a == b)


@lru_cache(maxsize=1)
def _script_names() -> frozenset[str]:
    """The words with which the names of MIN_SCRIPT_LETTERS letters or more begin in Unicode, such as THAI.

    They are the names of scripts, and a few words for variants of letters, such as FULLWIDTH.
    """
    letters = (chr(code) for code in range(0x80, 0x20000) if unicodedata.category(chr(code))[0] == "L")
    counts = Counter(unicodedata.name(letter, "").partition(" ")[0] for letter in letters)
    return frozenset(word for word, count in counts.items() if word and count >= MIN_SCRIPT_LETTERS)


@dataclass(frozen=True)
class Alphabet:
    """The characters that a network can output, in the order of their ids.

    Raises AlphabetError if `characters` is empty or contains a character twice.

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
        duplicates = sorted(c for c, count in Counter(self.characters).items() if count > 1)
        if not self.characters or duplicates:
            problem = f"contains {', '.join(map(repr, duplicates))} more than once" if duplicates else "is empty"
            raise AlphabetError(f"the alphabet {problem}: list every character exactly once")
        object.__setattr__(self, "_ids", {c: i for i, c in enumerate(self.characters, start=1)})

    @classmethod
    def from_name(cls, name: str) -> Alphabet:
        """Return the alphabet with this name in ALPHABETS. Any other string is itself the list of characters.

        Raises AlphabetError for the name of a script in Unicode, such as "thai" or "Greek", and for a string that looks
        like a misspelt name: one that is similar to a name, or one of lower-case ASCII letters and digits that contains
        a character twice.
        """
        if name in ALPHABETS:
            return cls(ALPHABETS[name])
        is_word = name.isascii() and name.isalpha() and name.lower() not in ALPHABETS
        if is_word and name.upper() in _script_names():
            raise AlphabetError(
                f'"{name}" names a script, not an alphabet: give its characters themselves (for the letters of this '
                f"word alone, with a space before them); alphabets with a name: {', '.join(sorted(ALPHABETS))}"
            )
        looks_like_word = name.isascii() and name.isalnum() and name.islower() and len(set(name)) < len(name)
        if looks_like_word or difflib.get_close_matches(name, ALPHABETS, n=1):
            raise AlphabetError(f'no alphabet "{name}"; {nearest(name, ALPHABETS)}, or the characters themselves')
        return cls(name)

    def __len__(self) -> int:
        """The number of classes of a network: the characters and the blank."""
        return len(self.characters) + 1

    def __contains__(self, character: object) -> bool:
        return character in self._ids

    @property
    def is_merged(self) -> bool:
        """Whether of all LETTERS exactly the MERGED_LETTERS are missing. Texts then need `fold_merged` first."""
        missing = [c for c in LETTERS if c not in self._ids]
        return missing == list(MERGED_LETTERS)

    def unknown_characters(self, text: str) -> list[str]:
        """List the characters of the text that are not in the alphabet, each once, in order of appearance."""
        return [c for c in dict.fromkeys(text) if c not in self._ids]

    def encode(self, text: str) -> npt.NDArray[np.int64]:
        """Encode a text as ids, int64 of shape (len(text),). Raises AlphabetError listing characters without an id."""
        try:
            return np.array([self._ids[c] for c in text], dtype=np.int64)
        except KeyError:
            missing = ", ".join(repr(c) for c in self.unknown_characters(text))
            raise AlphabetError(
                f"{missing} in {text[:60]!r} is not in the alphabet of {len(self.characters)} characters: "
                f"choose a wider alphabet ({', '.join(ALPHABETS)}) or set `unknown` in the recipe to drop or replace"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """Decode ids to a text. Blanks are skipped; repeats are kept, see `collapse`."""
        return "".join(self.characters[i - 1] for i in ids if i != BLANK)
