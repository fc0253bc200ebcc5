"""Labelled lines whose text does not belong to their picture, such as that of the next line. They would teach errors.

A text is what the picture shows if the reader finds it nearly as probable as its own reading. Where the reader sees
little, as in a hand that it cannot read yet, nothing is said: such lines are what it has to learn from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.posteriors import Posteriors, score_texts
from glyphline.training.labelled_lines import LabelledLine

#: nats a character by which the text may be less probable than the reading. `python benchmarks/misfits.py` measures it
#: and states the data
MAX_GAP = 6.0
MIN_SEEN = 0.75  # mean posterior of the characters of the reading, from which on it says anything about the text
BATCH = 32  # lines that are read together


def find_misfits(lines: Sequence[LabelledLine], reader: LineReader) -> Iterator[tuple[int, str]]:
    """The number of each line whose text does not belong to its picture, and what was read there.

    Raises ImageError for a picture that cannot be decoded.
    """
    for start in range(0, len(lines), BATCH):
        batch = lines[start : start + BATCH]
        for k, posteriors in enumerate(reader.recognize([line.image() for line in batch])):
            if is_misfit(posteriors, batch[k].text):
                yield start + k, posteriors.greedy.text


def is_misfit(posteriors: Posteriors, text: str) -> bool:
    """Whether a text cannot be what the picture of these posteriors shows.

    Of a text with fewer than half of its characters in the reader's alphabet nothing is said: it is to be learned.
    """
    known = sum(character in posteriors.alphabet for character in text)
    return 2 * known >= len(text) and posteriors.confidence >= MIN_SEEN and gap(posteriors, text) > MAX_GAP


def gap(posteriors: Posteriors, text: str) -> float:
    """How much less probable than the best reading a text is, in nats a character of the longer of both.

    Characters outside the reader's alphabet, which it cannot have read, are left out of the text.
    """
    known = "".join(character for character in text if character in posteriors.alphabet)
    own, read = score_texts(posteriors, [known, posteriors.greedy.text])
    return float(read - own) / max(1, len(known), len(posteriors.greedy.text))
