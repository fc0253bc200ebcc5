"""FAMILY: where texts come from: WikiSplit, any text file or folder, a built-in list.

Contract: a source gives groups of sentences, each with the sentence that decides its split. To add one: a function
from the rest of its spec to groups, and a row in SENTENCES at the bottom.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path

from glyphline.alphabet import Alphabet, fold_merged, fold_plain
from glyphline.composing.fetch import data_folder
from glyphline.composing.generated_text import generate
from glyphline.composing.glyphs import SPLITS, located
from glyphline.errors import AlphabetError, DataError, RecipeError, nearest

Groups = Iterator[tuple[str, tuple[str, ...]]]  # what decides the split, and the sentences that share it
UNKNOWN = ("replace", "drop", "refuse")  # what happens to a character outside the alphabet
HELD_SHARE = 20  # one group in 20 is for validation, one for test

_SPLIT_MARK = "<::::>"
_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')]))\s+(?=[\"'(]*[A-Z0-9])")
_NOT_KEY = re.compile(r"[^a-z0-9]+")


def key(sentence: str) -> str:
    """What makes two sentences the same: their letters and digits, case ignored.

    >>> key("It's me!") == key("its me")
    True
    """
    folded = fold_plain(sentence).lower()
    return _NOT_KEY.sub("", folded) or folded


def untokenise(text: str) -> str:
    """WikiSplit's tokenised punctuation put back the way people write.

    >>> untokenise("He said , `` It 's ( nearly ) done '' ; 300 - 400 km .")
    'He said, "It\\'s (nearly) done"; 300-400 km.'
    """
    text = re.sub(r"``|''", '"', text)
    text = re.sub(r'(^|[\s(\[])"\s+([^"]*?)\s*"', r'\1"\2"', text)  # WikiSplit writes '' for opening quotes, too
    text = re.sub(r"\s+([,.;:!?%)\]}])", r"\1", text)
    text = re.sub(r"([(\[{$#£])\s+", r"\1", text)
    text = re.sub(r"\s+('(?:s|S|t|re|ve|ll|d|m)\b)", r"\1", text)
    text = re.sub(r"(\w)\s+n't\b", r"\1n't", text)
    text = re.sub(r"(s)\s+'(?=\s)", r"\1'", text)
    text = re.sub(r"(?<=\w) - (?=\w)", "-", text)
    text = re.sub(r"(?<=\d) / (?=\d)", "/", text)
    return re.sub(r"\s+", " ", text).strip()


def stripped(text: str) -> str:
    """Punctuation and non-ASCII removed, as the report did; words stay apart.

    >>> stripped("Caffé , it 's 5 o'clock !")
    'Caff it s 5 oclock'
    """
    return re.sub(r"\s+", " ", re.sub(r"[^0-9A-Za-z ]+", "", text)).strip()


#: what happens to the tokenised punctuation of WikiSplit
PUNCTUATION: dict[str, Callable[[str], str]] = {"written": untokenise, "stripped": stripped}


def _lines(path: Path) -> Iterator[str]:
    if not path.exists():
        raise DataError(f"{path} is not there: give a text file, or run `glyphline fetch wikisplit`")
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")
        ) as lines:
            yield from lines
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): convert it first") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}): is it a whole gzip or text file?") from None


def wikisplit(rest: str) -> Groups:
    """Each row is a group: its unsplit sentence (column 1) and the split ones (column 2); rest: unsplit|split|."""
    if rest not in ("", "unsplit", "split"):
        raise DataError(f'wikisplit has no part "{rest}"; {nearest(rest, ("unsplit", "split"))}')
    folder = data_folder() / "wikisplit"
    paths = sorted(folder.glob("*.tsv"))
    if not paths:
        raise DataError(f"{folder} holds no .tsv: run `glyphline fetch wikisplit` or set GLYPHLINE_DATA")
    for path in paths:
        for number, line in enumerate(_lines(path), 1):
            unsplit, tab, split = line.rstrip("\n").partition("\t")
            if not tab:
                raise DataError(f"{path} line {number} has no tab: it is not WikiSplit's format; fetch it again")
            regions = tuple(s.strip() for s in split.split(_SPLIT_MARK) if s.strip())
            yield unsplit, ((unsplit,) if rest != "split" else ()) + (regions if rest != "unsplit" else ())


def text_files(rest: str) -> Groups:
    """A text file, or every .txt and .txt.gz of a folder; each line split into its sentences, each its own group."""
    path = located(rest)
    paths = sorted(p for p in path.rglob("*") if p.name.endswith((".txt", ".txt.gz"))) if path.is_dir() else [path]
    if not paths:
        raise DataError(f"{path} holds no .txt or .txt.gz file: give a text file or a folder of them")
    for each in paths:
        for line in _lines(each):
            yield from ((s, (s,)) for s in map(str.strip, _END.split(line)) if s)


def built_in(rest: str) -> Groups:
    """The sentences written for this project, inside the package."""
    text = resources.files("glyphline.composing").joinpath("sentences.txt").read_text(encoding="utf-8")
    yield from ((s, (s,)) for s in map(str.strip, text.splitlines()) if s)


GENERATED_COUNT = 20_000  # texts, when the spec names no number


def generated(rest: str) -> Groups:
    """Numbers, dates, prices, names, addresses, codes, single letters; rest: how many."""
    if rest and not rest.isdigit():
        raise DataError(f"generated:{rest} names no number of texts: write it as generated:{GENERATED_COUNT}")
    yield from ((s, (s,)) for s in generate(int(rest or GENERATED_COUNT)))


#: the word before the colon of a spec -> (its groups, is its punctuation tokenised?, its line of help)
SENTENCES: dict[str, tuple[Callable[[str], Groups], bool, str]] = {
    "wikisplit": (wikisplit, True, "wikisplit, wikisplit:unsplit, wikisplit:split: the fetched .tsv files"),
    "text": (text_files, False, "text:PATH: a UTF-8 text file (.txt, .txt.gz) or a folder of them"),
    "generated": (generated, False, "generated:COUNT: numbers, dates, prices, names, addresses, codes, single letters"),
    "built-in": (built_in, False, "built-in: the sentences inside the package, no file needed"),
}


def split_sentences(specs: tuple[str, ...], punctuation: str = "written") -> dict[str, tuple[str, ...]]:
    """The sentences of all sources by split, none of them in two (compared by `key`), none twice.

    The split of a group is a function of one sentence alone (WikiSplit's unsplit one, whichever columns are used), so
    it survives added data and agrees between sources.
    Raises DataError for unknown or missing sources, RecipeError for an unknown treatment of punctuation.
    """
    return _split(specs, punctuation, data_folder())


@lru_cache(maxsize=4)
def _split(specs: tuple[str, ...], punctuation: str, data: Path) -> dict[str, tuple[str, ...]]:
    """What `split_sentences` gives, kept for each data folder."""
    if punctuation not in PUNCTUATION:
        raise RecipeError(f'no punctuation "{punctuation}"; {nearest(punctuation, PUNCTUATION)}')
    where: dict[str, str] = {}  # key -> split; test wins over val, val over train
    texts: dict[str, str] = {}
    rank = {split: i for i, split in enumerate(SPLITS)}
    for spec in specs:
        kind, _, rest = spec.partition(":")
        if kind not in SENTENCES:
            raise DataError(f'no sentence source "{kind}"; {nearest(kind, SENTENCES)}')
        groups, tokenised, _ = SENTENCES[kind]
        for decides, group in groups(rest):
            bucket = zlib.crc32(key(decides).encode()) % HELD_SHARE
            split = "test" if bucket == 0 else "val" if bucket == 1 else "train"
            for sentence in group:
                text = PUNCTUATION[punctuation](sentence) if tokenised or punctuation == "stripped" else sentence
                name = key(text)
                if text and rank[split] >= rank[where.get(name, "train")]:
                    where[name] = split
                    texts.setdefault(name, text)
    out: dict[str, list[str]] = {split: [] for split in SPLITS}
    for name, text in texts.items():
        out[where[name]].append(text)
    for split, sentences in out.items():
        if not sentences:
            raise DataError(f"{', '.join(specs)} give no sentence for the {split} split: give more text")
    return {split: tuple(sentences) for split, sentences in out.items()}


def check_disjoint(sentences: dict[str, Sequence[str]]) -> None:
    """Raise DataError when two splits share a sentence, compared by `key`."""
    seen = {split: {key(s) for s in texts} for split, texts in sentences.items()}
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        if shared := seen[a] & seen[b]:
            raise DataError(f"{len(shared)} sentences stand in both {a} and {b}: the splits leak")


@dataclass
class AlphabetFitter:
    """Fits texts to an alphabet: folded first, then what is still outside is replaced, dropped or refused; counted.

    >>> fit = AlphabetFitter(Alphabet.named("merged"), unknown="drop")
    >>> fit("Déjà vu, again"), dict(fit.counts)
    ('DeJa VU agaIn', {',': 1})
    """

    alphabet: Alphabet
    unknown: str = "drop"
    replacement: str = " "
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.unknown not in UNKNOWN:
            raise RecipeError(f'unknown characters cannot be "{self.unknown}"; {nearest(self.unknown, UNKNOWN)}')
        if self.unknown == "replace" and self.replacement not in self.alphabet:
            raise RecipeError(f"the replacement {self.replacement!r} is not in the alphabet itself")
        letters = [c for c in self.alphabet.characters if c.isalpha()]
        self._fold_up = letters and all(c.isupper() for c in letters if c.isascii()) and not self.alphabet.merges

    def __call__(self, text: str) -> str:
        if not self.alphabet.unknown(text):
            return text
        text = "".join(c if c in self.alphabet else fold_plain(c) for c in text)
        if self.alphabet.merges:
            text = fold_merged(text)
        elif self._fold_up:
            text = text.upper()
        outside = self.alphabet.unknown(text)
        if not outside:
            return text
        if self.unknown == "refuse":
            raise AlphabetError(
                f"{', '.join(map(repr, outside))} in {text[:60]!r} is not in the alphabet: "
                "widen the alphabet, or let `unknown` be drop or replace"
            )
        self.counts.update(c for c in text if c not in self.alphabet)
        other = self.replacement if self.unknown == "replace" else ""
        text = "".join(c if c in self.alphabet else other for c in text)
        return re.sub(r" {2,}", " ", text)


def fitted(sentences: Iterable[str], fit: AlphabetFitter) -> list[str]:
    """Sentences fitted to an alphabet, the emptied ones left out."""
    return [text for text in (fit(s).strip() for s in sentences) if text]
