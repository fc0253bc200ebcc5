"""Lines to sentences and back: joins the lines of a paragraph, and lays a text out on them again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from glyphline.page import Line

SENTENCE_END = re.compile(r"[.!?…]+[\"”’»)\]]*(?=\s+\S)")
BULLET = re.compile(r"[-–—•·*▪►]\s|\d+[.)]\s|[a-z]\)\s")
#: abbreviations, in lower case and without their full stop, after which a sentence goes on
ABBREVIATIONS = frozenset(
    "abs approx av ave avda bd bl blvd bzw ca cf co corp dept dr ed env etc evtl fig fr gr hr inc incl jr kl ltd max "
    "min mio mme mr mrs ms nr no nos núm n.º ok p pág pl pp prof pta rd s sig sr sra st ste std str tel tél tlf ul "
    "urb usw vgl vol vs z.b d.h u.a i.d.r e.g i.e a.m p.m b.v bl.a t.ex np".split()
)
SHORT_LINE = 0.7  # a line below this share of the longest line of its paragraph may end its sentence


@dataclass(frozen=True)
class Passage:
    """Consecutive lines that are one text.

    `spans[i]` is the range (start, end) of characters of `text` that line `indexes[i]` gave.
    """

    indexes: tuple[int, ...]
    text: str
    spans: tuple[tuple[int, int], ...]


def join_lines(lines: Sequence[Line], indexes: Sequence[int]) -> Passage:
    """Join lines by spaces. A word divided by a hyphen at the end of a line becomes whole.

    >>> join_lines([Line("infor-", 1.0, (), ""), Line("mation desk", 1.0, (), "")], [0, 1]).text
    'information desk'
    """
    text, spans = "", list[tuple[int, int]]()
    for index in indexes:
        piece = " ".join(lines[index].text.split())
        if re.search(r"[^\W\d_]-$", text) and piece[:1].islower():
            text = text[:-1]
            spans[-1] = (spans[-1][0], len(text))
        elif text:
            text += " "
        spans.append((len(text), len(text) + len(piece)))
        text += piece
    return Passage(tuple(indexes), text, tuple(spans))


def paragraphs(lines: Sequence[Line]) -> list[list[int]]:
    """The indexes of the lines with text, grouped by paragraph and cell. A rejected line divides its paragraph."""
    groups: list[list[int]] = []
    previous: object = None
    for index, line in enumerate(lines):
        key = None if line.rejected or not line.text.strip() else (line.paragraph, line.cell)
        if key is not None:
            if key == previous:
                groups[-1].append(index)
            else:
                groups.append([index])
        previous = key
    return groups


def passages(lines: Sequence[Line], group: Sequence[int]) -> list[Passage]:
    """Divide the lines of a paragraph where a sentence ends with its line, and join the others."""
    longest = max((len(lines[index].text) for index in group), default=0)
    runs: list[list[int]] = []
    for index in group:
        if runs and _goes_on(lines[runs[-1][-1]].text.strip(), lines[index].text.strip(), longest):
            runs[-1].append(index)
        else:
            runs.append([index])
    return [join_lines(lines, run) for run in runs]


def _goes_on(line: str, next_line: str, longest: int) -> bool:
    """Whether a sentence goes on from one line to the next.

    longest: number of characters of the longest line of the paragraph. Signs often have no full stops: there a short
    line before a capital or a digit ends its sentence.
    """
    if line[-1:] in ".!?:;…" or BULLET.match(next_line) or is_capitals(line) != is_capitals(next_line):
        return False
    return next_line[:1].islower() or len(line) >= SHORT_LINE * longest


def split_sentences(text: str) -> list[str]:
    """Split a text into sentences; joined by spaces they are the text again, but for the white space between them.

    >>> split_sentences("Ring at St. Mary's. Platform 3. Dogs! no entry")
    ["Ring at St. Mary's.", 'Platform 3.', 'Dogs! no entry']
    """
    sentences, start = [], 0
    for match in SENTENCE_END.finditer(text):
        following = text[match.end() :].lstrip()
        words = text[start : match.start()].split()
        word = words[-1].lower().lstrip("(\"'“«[") if words else ""
        is_abbreviation = match[0] == "." and (word in ABBREVIATIONS or (len(word) == 1 and word.isalpha()))
        is_ordinal = match[0] == "." and word.isdigit() and len(words) == 1  # "3. Etage"
        if not (following[:1].islower() or is_abbreviation or is_ordinal):
            sentences.append(text[start : match.end()].strip())
            start = match.end()
    return [sentence for sentence in [*sentences, text[start:].strip()] if sentence]


def lay_out(passage: Passage, sentences: Sequence[str], translations: Sequence[str]) -> list[str]:
    """Lay the translations of the sentences of a passage out on its lines.

    sentences: `split_sentences(passage.text)`, translations: one for each. A sentence of several lines is split at word
    boundaries, in proportion to the number of its characters in each line. Returns one text for each line.
    """
    texts: list[list[str]] = [[] for _ in passage.spans]
    position = 0
    for sentence, translation in zip(sentences, translations, strict=True):
        start = passage.text.index(sentence, position)
        position = start + len(sentence)
        shares = [max(0, min(position, right) - max(start, left)) for left, right in passage.spans]
        for text, part in zip(texts, split_in_proportion(translation, shares), strict=True):
            if part:
                text.append(part)
    return [" ".join(parts) for parts in texts]


def split_in_proportion(text: str, shares: Sequence[int]) -> list[str]:
    """Split a text at spaces into one part for each share, in proportion to the shares. Parts may be empty.

    >>> split_in_proportion("one two three four", [1, 0, 1])
    ['one two', '', 'three four']
    """
    words, total = text.split(), sum(shares)
    ends = [0]  # number of characters up to the end of each word
    for word in words:
        ends.append(ends[-1] + len(word) + 1)
    parts, first, sum_of_shares = list[str](), 0, 0
    for index, share in enumerate(shares):
        sum_of_shares += share
        goal = ends[-1] * sum_of_shares / max(1, total)
        following = sum(other > 0 for other in shares[index + 1 :])  # parts that need a word, too
        choices = range(first + 1, max(first + 2, len(ends) - following))
        last = min(choices, key=lambda k: abs(ends[k] - goal)) if share and first < len(words) else first
        parts.append(" ".join(words[first:last]))
        first = last
    return parts


def is_capitals(text: str) -> bool:
    """Whether a text has at least two letters with case, all of them capitals.

    >>> is_capitals("KEEP OUT 24 h"), is_capitals("KEEP OUT 24 H"), is_capitals("A")
    (False, True, False)
    """
    letters = [character for character in text if character.isupper() or character.islower()]
    return len(letters) >= 2 and all(character.isupper() for character in letters)
