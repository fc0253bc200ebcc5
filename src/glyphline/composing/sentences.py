"""FAMILY: sources of sentences: WikiSplit, text files, generated texts and a built-in list.

Contract: a source is a function from the part of its spec after the colon to groups of sentences. All sentences of a
group are in the same split. To add one: write such a function and add a row to SENTENCES.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from itertools import permutations
from pathlib import Path

from glyphline.alphabet import Alphabet, fold_merged, fold_plain
from glyphline.composing.fetch import data_folder
from glyphline.composing.generated_signs import generate_signs
from glyphline.composing.generated_text import generate
from glyphline.composing.glyphs import SPLITS, resolve_path
from glyphline.errors import AlphabetError, DataError, GlyphlineError, RecipeError, nearest

Groups = Iterator[tuple[str, tuple[str, ...]]]  # (group id: the sentence that determines the split, all sentences)
UNKNOWN_POLICIES = ("replace", "drop", "refuse")  # what AlphabetFitter does with characters outside the alphabet
FEW_SENTENCES = 100  # with fewer, composing without training uses those of all splits
SPLIT_BUCKETS = 20  # groups are hashed into this many buckets; bucket 0 is test, bucket 1 val, the others train
GENERATED_COUNT = 20_000  # texts, if the spec names no number

_WIKISPLIT_SEPARATOR = "<::::>"
_SENTENCE_BOUNDARY = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')]))\s+(?=[\"'(]*[A-Z0-9])")
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")


def sentence_key(sentence: str) -> str:
    """Return the key by which sentences are compared: their ASCII letters and digits after `fold_plain`, in lower case.

    Other letters are ignored, except where they are more than the ASCII letters: then the key is the sentence's letters
    with their vowel signs, and digits. The key of a sentence without any of these is the folded sentence itself.

    >>> sentence_key("It's me!") == sentence_key("its me"), sentence_key("Ж 1961!") == sentence_key("ж 1961")
    (True, True)
    """
    folded = fold_plain(sentence).lower()
    if not folded.isascii() and 2 * sum(c.isascii() for c in folded if c.isalpha()) < sum(map(str.isalpha, folded)):
        # vowel signs are no letters in Unicode, but words differ in them
        return "".join(c for c in folded if c.isalnum() or unicodedata.category(c)[0] == "M")
    return _NOT_ALPHANUMERIC.sub("", folded) or folded


def detokenise(text: str) -> str:
    """Undo WikiSplit's tokenisation: remove the spaces around punctuation and restore the quotation marks.

    >>> detokenise("He said , `` It 's ( nearly ) done '' ; 300 - 400 km .")
    'He said, "It\\'s (nearly) done"; 300-400 km.'
    """
    text = re.sub(r"``|''", '"', text)
    text = re.sub(r'(^|[\s(\[])"\s+([^"]*?)\s*"', r'\1"\2"', text)  # opening quotes may be '', too
    text = re.sub(r"\s+([,.;:!?%)\]}])", r"\1", text)
    text = re.sub(r"([(\[{$#£])\s+", r"\1", text)
    text = re.sub(r"\s+('(?:s|S|t|re|ve|ll|d|m)\b)", r"\1", text)
    text = re.sub(r"(\w)\s+n't\b", r"\1n't", text)
    text = re.sub(r"(s)\s+'(?=\s)", r"\1'", text)
    text = re.sub(r"(?<=\w) - (?=\w)", "-", text)
    text = re.sub(r"(?<=\d) / (?=\d)", "/", text)
    return re.sub(r"\s+", " ", text).strip()


def strip_punctuation(text: str) -> str:
    """Remove everything but ASCII letters, digits and spaces, as the W&B report did, and collapse runs of spaces.

    >>> strip_punctuation("Caffé , it 's 5 o'clock !")
    'Caff it s 5 oclock'
    """
    return re.sub(r"\s+", " ", re.sub(r"[^0-9A-Za-z ]+", "", text)).strip()


#: value of the recipe key `punctuation` -> the function applied to texts
PUNCTUATION_MODES: dict[str, Callable[[str], str]] = {"written": detokenise, "stripped": strip_punctuation}


def _read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 text file, unpacked if its name ends in .gz. Raises DataError if it cannot be read."""
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")
        ) as lines:
            yield from lines
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): convert it first") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}): give a complete text or gzip file") from None


def _one_sentence_groups(texts: Iterable[str]) -> Groups:
    """Each text, stripped of surrounding space, as a group of its own; empty texts are left out."""
    yield from ((text, (text,)) for text in map(str.strip, texts) if text)


def read_wikisplit(rest: str) -> Groups:
    """Yield the rows of the fetched WikiSplit files, one group for each row.

    A row has an unsplit sentence and the sentences into which it was split. rest: "unsplit" or "split" yields only
    these, "" both. The sentences are tokenised, see `detokenise`. The group id is always the unsplit sentence, so a
    row's split does not depend on `rest`.
    Raises DataError for any other `rest`, when no .tsv file is there, for a file that cannot be read or is not UTF-8,
    and for a row without a tab.
    """
    if rest not in ("", "unsplit", "split"):
        raise DataError(f'wikisplit has no part "{rest}"; {nearest(rest, ("unsplit", "split"))}')
    folder = data_folder() / "wikisplit"
    paths = sorted(folder.glob("*.tsv"))
    if not paths:
        raise DataError(f"{folder} holds no .tsv: run `glyphline fetch wikisplit` or set GLYPHLINE_DATA")
    for path in paths:
        for number, line in enumerate(_read_lines(path), 1):
            unsplit, tab, split_column = line.rstrip("\n").partition("\t")
            if not tab:
                raise DataError(
                    f"{path} line {number} has no tab, expected WikiSplit's two columns: "
                    "run `glyphline fetch wikisplit` again"
                )
            split_sentences = tuple(s.strip() for s in split_column.split(_WIKISPLIT_SEPARATOR) if s.strip())
            yield unsplit, ((unsplit,) if rest != "split" else ()) + (split_sentences if rest != "unsplit" else ())


def read_text_files(rest: str) -> Groups:
    """Yield the sentences of a text file, or of every .txt and .txt.gz file below a folder; each is a group of its own.

    rest: a path, looked up as by `resolve_path`. Each line of a file is divided into sentences at white space after
    . ! or ? and before a capital or a digit; a sentence does not continue on the next line.
    Raises DataError when a file is missing, not UTF-8 or damaged, or when a folder holds no text file.
    """
    path = resolve_path(rest)
    paths = sorted(p for p in path.rglob("*") if p.name.endswith((".txt", ".txt.gz"))) if path.is_dir() else [path]
    if not paths:
        raise DataError(f"{path} holds no .txt or .txt.gz file: give a text file or a folder of them")
    for text_path in paths:
        for line in _read_lines(text_path):
            yield from _one_sentence_groups(_SENTENCE_BOUNDARY.split(line))


def read_built_in(rest: str) -> Groups:
    """Yield sentences written for this project, from the package.

    rest: "" or "en" for those of composing/sentences.txt, or another language of composing/languages.tsv, which has a
    few short ones of each. Raises DataError for a language that is not there.
    """
    folder = resources.files("glyphline.composing")
    if rest in ("", "en"):
        yield from _one_sentence_groups(folder.joinpath("sentences.txt").read_text(encoding="utf-8").splitlines())
        return
    rows = [row.split("\t") for row in folder.joinpath("languages.tsv").read_text(encoding="utf-8").splitlines()]
    texts = [text for language, text in rows if language == rest]
    if not texts:
        languages = nearest(rest, {"en", *(language for language, _ in rows)})
        raise DataError(f'no built-in sentences in the language "{rest}"; {languages}: or give text:FILE')
    yield from _one_sentence_groups(texts)


def read_generated(rest: str) -> Groups:
    """Yield generated numbers, dates, prices, names, addresses, codes and single letters.

    rest: how many, "" for GENERATED_COUNT. Raises DataError when it is no number.
    """
    yield from _one_sentence_groups(generate(_parse_count("generated", rest)))


def read_signs(rest: str) -> Groups:
    """Yield generated texts with accented letters and signs of ten languages.

    rest: how many, "" for GENERATED_COUNT. Raises DataError when it is no number.
    """
    yield from _one_sentence_groups(generate_signs(_parse_count("signs", rest)))


def _parse_count(kind: str, rest: str) -> int:
    if rest and not (rest.isascii() and rest.isdigit()):
        raise DataError(f"{kind}:{rest} names no number of texts: write it as {kind}:{GENERATED_COUNT}")
    return int(rest or GENERATED_COUNT)


#: first word of a spec -> (function that yields its groups, whether its texts are tokenised, one line of help)
SENTENCES: dict[str, tuple[Callable[[str], Groups], bool, str]] = {
    "wikisplit": (read_wikisplit, True, "wikisplit, wikisplit:unsplit, wikisplit:split: the fetched .tsv files"),
    "text": (read_text_files, False, "text:PATH: a UTF-8 text file (.txt, .txt.gz) or a folder of them"),
    "generated": (
        read_generated,
        False,
        "generated:COUNT: numbers, dates, prices, names, addresses, codes, single letters",
    ),
    "signs": (read_signs, False, "signs:COUNT: pseudo-words and signs in the letters of ten languages"),
    "built-in": (
        read_built_in,
        False,
        "built-in: the English sentences inside the package, no file needed; built-in:de and others: a few short ones",
    ),
}


def read_sentences(spec: str) -> list[str]:
    """All sentences of one source, untokenised, in its order, without a split.

    spec: such as "built-in:de" or "text:notes.txt". Raises DataError for an unknown, missing or damaged source.
    """
    read_groups, is_tokenised, _ = _source(spec)
    texts = (text for _, sentences in read_groups(spec.partition(":")[2]) for text in sentences)
    return [detokenise(text) if is_tokenised else text for text in texts]


def is_available(spec: str) -> bool:
    """Whether a source is known and has a sentence on this machine. Only its first one is read."""
    try:
        kind, rest = _source(spec)[0], spec.partition(":")[2]
        return next(iter(kind(rest)), None) is not None
    except GlyphlineError:
        return False


def _source(spec: str) -> tuple[Callable[[str], Groups], bool, str]:
    """The row of SENTENCES that a spec names. Raises DataError where there is none."""
    kind = spec.partition(":")[0]
    if kind not in SENTENCES:
        raise DataError(f'no sentence source "{kind}"; {nearest(kind, SENTENCES)}')
    return SENTENCES[kind]


def split_sentences(specs: tuple[str, ...], punctuation: str = "written") -> dict[str, tuple[str, ...]]:
    """Read the sentences of all sources and divide them into train, val and test, without duplicates.

    specs: sources such as "wikisplit:split" or "text:notes.txt". punctuation: a key of PUNCTUATION_MODES. "written"
    detokenises tokenised sources only, "stripped" applies to all sources.
    Returns the sentences of "train", "val" and "test". A hash of its group id gives the split of a group, so the split
    is the same in every source and when data are added; about one group in SPLIT_BUCKETS is in test, as many are in
    val. Where that leaves a split without sentences, because there are few, one of train's is moved to it; fewer than
    three sentences are shared, see `sharing`. Sentences are equal when their `sentence_key` is equal. A sentence of
    several groups is in test if one of them is in test, otherwise in val if one of them is in val. The last four
    results are kept for the process: a file that was changed is then not read again.
    Raises DataError for an unknown, missing or damaged source and for sources without sentences, RecipeError for an
    unknown `punctuation`.
    """
    by_source = split_sentences_by_source(specs, punctuation)
    return {split: tuple(text for texts in sources for text in texts) for split, sources in by_source.items()}


def split_of_text(text: str) -> str:
    """The split of a sentence or of the group that it identifies: by the hash of its key, whatever its source."""
    bucket = zlib.crc32(sentence_key(text).encode()) % SPLIT_BUCKETS
    return "test" if bucket == 0 else "val" if bucket == 1 else "train"


def split_sentences_by_source(
    specs: tuple[str, ...], punctuation: str = "written"
) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The sentences of `split_sentences`, for each split one tuple a source, in the order of `specs`.

    A sentence of several sources is in the first one that has it. Raises as `split_sentences` does.
    """
    return _load_splits(specs, punctuation, data_folder())


@lru_cache(maxsize=4)
def _load_splits(specs: tuple[str, ...], punctuation: str, data: Path) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The result of `split_sentences_by_source`. `data` is a key of the cache: another folder has other sentences."""
    if punctuation not in PUNCTUATION_MODES:
        raise RecipeError(f'no punctuation "{punctuation}"; {nearest(punctuation, PUNCTUATION_MODES)}')
    split_of: dict[str, str] = {}  # sentence key -> split
    texts: dict[str, tuple[str, int]] = {}  # sentence key -> text, number of its source
    rank = {split: i for i, split in enumerate(SPLITS)}
    for number, spec in enumerate(specs):
        read_groups, is_tokenised, _ = _source(spec)
        clean = PUNCTUATION_MODES[punctuation] if is_tokenised or punctuation == "stripped" else None
        for group_id, sentences in read_groups(spec.partition(":")[2]):
            split = split_of_text(group_id)
            for sentence in sentences:
                text = clean(sentence) if clean else sentence
                key = sentence_key(text)
                if text and rank[split] >= rank[split_of.get(key, "train")]:
                    split_of[key] = split
                    texts.setdefault(key, (text, number))
    splits: dict[str, list[list[str]]] = {split: [[] for _ in specs] for split in SPLITS}
    for key, (text, number) in texts.items():
        splits[split_of[key]][number].append(text)
    if not texts:
        raise DataError(f"{', '.join(specs)} give no sentence: give a text with at least one")
    for split in ("val", "test"):
        if not any(splits[split]):
            _fill_split(splits, split)
    if not any(splits["train"]):
        _fill_split(splits, "train")
    return {split: tuple(map(tuple, sources)) for split, sources in splits.items()}


def _fill_split(splits: dict[str, list[list[str]]], split: str) -> None:
    """Give a sentence to a split without any: one of the split that has the most, where it is copied if it is alone."""
    fullest = max(splits, key=lambda name: (sum(map(len, splits[name])), name != "train"))
    number = max(range(len(splits[fullest])), key=lambda k: len(splits[fullest][k]))
    texts = splits[fullest][number]
    splits[split][number] = [texts.pop() if sum(map(len, splits[fullest])) > 1 else texts[-1]]


def join_splits(splits: dict[str, tuple[tuple[str, ...], ...]]) -> tuple[tuple[str, ...], ...]:
    """The sentences of all splits, a tuple a source, each once.

    splits: from `split_sentences_by_source`, whose splits may share sentences.
    """
    sources = zip(*splits.values(), strict=True)  # the texts of one source in train, val and test
    return tuple(tuple(dict.fromkeys(text for texts in source for text in texts)) for source in sources)


def sharing(splits: dict[str, tuple[tuple[str, ...], ...]]) -> str:
    """Say that splits share sentences because there are too few, and what that means; "" where they share none.

    splits: from `split_sentences_by_source`.
    """
    keys = [{sentence_key(text) for texts in sources for text in texts} for sources in splits.values()]
    if not any(a & b for a, b in ((keys[0], keys[1]), (keys[0], keys[2]), (keys[1], keys[2]))):
        return ""
    return (
        f"there are only {len(set().union(*keys))} different sentences: validation and test repeat some, so their "
        "numbers say nothing about other texts"
    )


def check_disjoint(sentences: dict[str, Sequence[str]]) -> None:
    """Raise DataError when two splits have a sentence in common, compared by `sentence_key`.

    sentences: the sentences of each of train, val and test.
    """
    keys = {split: {sentence_key(s) for s in texts} for split, texts in sentences.items()}
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        if shared := keys[a] & keys[b]:
            raise DataError(
                f"{len(shared)} sentences are in both {a} and {b}, but splits must share none (a leak): "
                "divide the texts with split_sentences"
            )


@dataclass
class AlphabetFitter:
    """Rewrites texts so that they contain only characters of an alphabet.

    Texts are put in NFC, so that the same letters with marks are the same characters, but for characters of the
    alphabet that have another form there. Characters outside the alphabet are folded to plain ones; those without a
    shape, such as a soft hyphen, are left out and not counted. If the alphabet is merged, the text is folded as by
    `fold_merged`; if it has capitals but the small letter of none of them, letters outside it become capitals. What is
    still outside is handled by the policy `unknown`: "replace" puts `replacement` in its place, "drop" removes it, and
    "refuse" raises AlphabetError. Then a run of spaces becomes one space. `counts` holds how
    often each character was replaced or dropped, `folded` how often one was folded, by character and what it became:
    "" for an accent that stands by itself.
    Raises RecipeError for an unknown policy and for a `replacement` outside the alphabet.

    >>> fit = AlphabetFitter(Alphabet.from_name("merged"), unknown="drop")
    >>> fit("Déjà vu, again"), dict(fit.counts)
    ('DeJa VU agaIn', {',': 1})
    """

    alphabet: Alphabet
    unknown: str = "drop"
    replacement: str = " "
    counts: Counter[str] = field(default_factory=Counter)
    folded: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.unknown not in UNKNOWN_POLICIES:
            raise RecipeError(
                f'unknown characters cannot be "{self.unknown}"; {nearest(self.unknown, UNKNOWN_POLICIES)}'
            )
        if self.unknown == "replace" and self.replacement not in self.alphabet:
            raise RecipeError(
                f"the replacement {self.replacement!r} is not in the alphabet itself: choose one of its characters"
            )
        capitals = [c for c in self.alphabet.characters if c.isupper()]
        forms = {c: unicodedata.normalize("NFC", c) for c in self.alphabet.characters if not c.isascii()}
        self._apart = {form: c for c, form in forms.items() if self.alphabet.unknown_characters(form)}  # NFC -> its own
        self._capitalise = bool(capitals) and not any(c.lower() in self.alphabet for c in capitals)

    def __call__(self, text: str) -> str:
        """Return the text in characters of the alphabet. A text that has only such characters is only put in NFC."""
        text = self._normalize(text)
        if not self.alphabet.unknown_characters(text):
            return text
        text = "".join(c if c in self.alphabet else self._fold(c) for c in text)
        if self.alphabet.is_merged:
            text = fold_merged(text)
        elif self._capitalise:
            text = "".join(c if c in self.alphabet else c.upper() for c in text)
        outside = self.alphabet.unknown_characters(text)
        if not outside:
            return re.sub(r" {2,}", " ", text)
        if self.unknown == "refuse":
            raise AlphabetError(
                f"{', '.join(map(repr, outside))} in {text[:60]!r} is not in the alphabet: "
                "widen the alphabet, or let `unknown` be drop or replace"
            )
        self.counts.update(c for c in text if c not in self.alphabet)
        substitute = self.replacement if self.unknown == "replace" else ""
        text = "".join(c if c in self.alphabet else substitute for c in text)
        return re.sub(r" {2,}", " ", text)

    def _normalize(self, text: str) -> str:
        """The text in NFC, with the characters of the alphabet as the alphabet has them."""
        if text.isascii():
            return text
        text = unicodedata.normalize("NFC", text)
        for apart, letter in self._apart.items():
            text = text.replace(apart, letter)
        for character in self.alphabet.unknown_characters(text):
            text = text.replace(character, self._take_apart(character))
        return text

    def _take_apart(self, character: str) -> str:
        """A letter of the alphabet and marks of it that together are a character outside it; without any, itself."""
        apart = unicodedata.normalize("NFD", character)
        letter, marks = apart[0], apart[1:]
        for count in reversed(range(len(marks))):
            for order in permutations(marks):  # of Vietnamese letters with two marks, either may belong to the letter
                parts = unicodedata.normalize("NFC", letter + "".join(order[:count])) + "".join(order[count:])
                if not self.alphabet.unknown_characters(parts):
                    return parts
        return character

    def _fold(self, character: str) -> str:
        """The plain form of a character outside the alphabet, counted where the alphabet has it."""
        if self._capitalise and character.upper() in self.alphabet:
            return character.upper()
        if unicodedata.category(character) == "Cf":  # it has no shape
            return ""
        plain = fold_plain(character)
        is_accent = bool(unicodedata.combining(character))
        if plain != character and (plain.strip() or is_accent) and all(c in self.alphabet for c in plain):
            self.folded[character, plain] += 1
        return plain

    def lost_script(self, texts: Iterable[str]) -> list[str]:
        """The letters beyond ASCII that were dropped or replaced, commonest first, if most of the texts was lost so.

        texts: what the fitter has left of all texts so far. Returns [] where they hold more characters than were lost.
        """
        lost = Counter({c: n for c, n in self.counts.items() if c.isalpha() and not c.isascii()})
        return [c for c, _ in lost.most_common()] if lost.total() > sum(map(len, texts)) else []

    def describe(self, shown: int = 8) -> list[str]:
        """Say which characters were folded, dropped or replaced and how often: a sentence for each that happened."""
        notes = []
        if self.folded:
            pairs = ", ".join(f"{c!r} to {plain!r} {n}" for (c, plain), n in self.folded.most_common(shown))
            notes.append(f"characters outside the alphabet were folded to plain ones: {pairs}")
        if self.counts:
            commonest = ", ".join(f"{c!r} {n}" for c, n in self.counts.most_common(shown))
            action = "dropped" if self.unknown == "drop" else "replaced"
            notes.append(f"characters outside the alphabet were {action}: {commonest}")
        return notes


def fit_sentences(sentences: Iterable[str], fitter: AlphabetFitter) -> list[str]:
    """Fit sentences to an alphabet and strip them of surrounding space. Sentences that become empty are left out.

    Raises AlphabetError where the fitter refuses a character.
    """
    return [text for text in (fitter(s).strip() for s in sentences) if text]
