"""Labelled lines whose text does not belong to their picture, such as that of the next line. They would teach errors.

A text is what the picture shows if the reader finds it nearly as probable as its own reading, and more probable than
the texts of the lines beside it: a list of labels that is shifted has the right text there. Where the reader sees
little, as in a hand that it cannot read yet, only the texts beside it speak: such lines are what it has to learn from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.posteriors import Posteriors, score_texts
from glyphline.training.labelled_lines import LabelledLine

# nats a character. `python benchmarks/misfits.py` measures both and states the data
MAX_GAP = 6.0  # by which the text may be less probable than the reading
MAX_LEAD = 2.0  # by which that may be more than what it is for the text of a line beside it
MIN_SEEN = 0.75  # mean posterior of the characters of the reading, from which on MAX_GAP counts
NEIGHBOURS = 2  # lines on either side whose texts are compared
BATCH = 32  # lines that are read together


def find_misfits(lines: Sequence[LabelledLine], reader: LineReader) -> Iterator[tuple[int, str]]:
    """The number of each line whose text does not belong to its picture, and what was read there.

    lines: in the order of their list. Raises ImageError for a picture that cannot be decoded.
    """
    texts = [line.text for line in lines]
    for start in range(0, len(lines), BATCH):
        for k, posteriors in enumerate(
            reader.recognize([line.image() for line in lines[start : start + BATCH]]), start
        ):
            if is_misfit(posteriors, texts[k], neighbours_of(texts, k)):
                yield k, posteriors.greedy.text


def neighbours_of(texts: Sequence[str], number: int) -> list[str]:
    """The texts of the NEIGHBOURS lines before and after a line that are not its own."""
    window = texts[max(0, number - NEIGHBOURS) : number + NEIGHBOURS + 1]
    return [text for text in dict.fromkeys(window) if text != texts[number]]


def is_misfit(posteriors: Posteriors, text: str, neighbours: Sequence[str] = ()) -> bool:
    """Whether a text cannot be what the picture of these posteriors shows. neighbours: texts of lines beside it.

    Of a text with fewer than half of its characters in the reader's alphabet nothing is said: it is to be learned.
    """
    known = sum(character in posteriors.alphabet for character in text)
    if 2 * known < len(text):
        return False
    own, *others = gaps(posteriors, [text, *neighbours])
    return own - min(others, default=own) > MAX_LEAD or (posteriors.confidence >= MIN_SEEN and own > MAX_GAP)


def gaps(posteriors: Posteriors, texts: Sequence[str]) -> list[float]:
    """How much less probable than the best reading each text is, in nats a character of the longer of both.

    Characters outside the reader's alphabet, which it cannot have read, are left out of the texts.
    """
    read = posteriors.greedy.text
    known = ["".join(character for character in text if character in posteriors.alphabet) for text in texts]
    best, *scores = score_texts(posteriors, [read, *known])
    return [float(best - score) / max(1, len(text), len(read)) for text, score in zip(known, scores, strict=True)]
