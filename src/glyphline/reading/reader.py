"""Line pictures -> text: the same door as training, batches by width, one decoder for all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from glyphline.image import Framed, framed, grey_of, ink_of, padded_batch
from glyphline.page import Character, Line, Page, word_of, words_in
from glyphline.picture import Colour, Grey, load
from glyphline.reading.decoders import Decoded, Decoder, Greedy, LogProbs
from glyphline.reading.engines import Engine, alphabet_of, calibration_of, open_engine
from glyphline.reading.places import places

BUCKET = 32  # px; a line is always padded to the same width, alone or in a batch, so it reads the same
BATCH_PIXELS = 600_000  # px of one batch; keeps the memory of long lines flat
BATCH_LINES = 64
AHEAD = 2  # batches the network may be ahead of the decoder

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class Reader:
    """Reads line pictures with one engine and one decoder.

    >>> Reader().read_line(np.full((40, 200), 255, np.uint8)).text  # blank paper says nothing
    ''
    """

    engine: Engine = field(default_factory=open_engine)
    decoder: Decoder = field(default_factory=Greedy)
    least: float = 0.0  # a line of which a smaller share is probably right is left unread rather than guessed

    def read_line(self, picture: str | Path | bytes | npt.NDArray[np.generic]) -> Line:
        """One picture of one line, in any form `glyphline.image.load` takes; raises PictureError as it does."""
        return self.read_lines([load(picture)])[0]

    def read_page(self, picture: str | Path | bytes | npt.NDArray[np.generic]) -> Page:
        """One picture of one line as a page."""
        grey = load(picture)
        return Page(grey.shape[1], grey.shape[0], tuple(self.read_lines([grey])))

    def read_lines(self, pictures: Sequence[Grey | Colour]) -> list[Line]:
        """Pictures (H, W) or (H, W, 3), one line each, read in batches of similar width; results in the order given."""
        facts = self.engine.facts
        frames = [framed(p, facts.height, facts.frame) for p in pictures]
        decoded = self.decode_all([f.line for f in frames])
        return [self._line(d, f, p) for d, f, p in zip(decoded, frames, pictures, strict=True)]

    def decode_all(self, lines: Sequence[Grey | Colour]) -> list[Decoded]:
        """Canonical lines (height, W) -> what each says."""
        facts, alphabet = self.engine.facts, alphabet_of(self.engine)
        out = [Decoded("", 1.0, ())] * len(lines)  # nothing inked says nothing
        inked = [k for k, line in enumerate(lines) if line.any()]
        groups = by_width([max(lines[k].shape[1], facts.window) for k in inked])

        def log_probs(group: list[int]) -> list[LogProbs]:
            batch, widths = padded_batch([lines[inked[k]] for k in group], BUCKET, facts.ground, facts.window)
            rows = zip(self.engine.log_probs(batch), widths, strict=True)
            return [row[: facts.steps(int(width))] for row, width in rows]

        for group, rows in zip(groups, _ahead(log_probs, groups), strict=True):
            for k, row in zip(group, rows, strict=True):
                out[inked[k]] = self.decoder(row, alphabet)
        return out

    def _line(self, decoded: Decoded, frame: Framed, picture: Grey | Colour) -> Line:
        facts, spans = self.engine.facts, decoded.spans
        reach = max(facts.window, facts.stride)
        centres = [(s.start + s.end - 1) * facts.stride / 2 + reach / 2 for s in spans]
        ink = frame.line if frame.line.ndim == 2 else ink_of(grey_of(frame.line))
        columns = places(ink, centres, [s.character.isspace() for s in spans])
        left, right = (np.clip(frame.left + c / frame.scale, 0, picture.shape[1]).tolist() for c in columns)

        h, w = picture.shape[:2]
        sure, told = calibration_of(facts, self.decoder.kind), [s.evidence for s in spans]
        characters = tuple(
            Character(s.character, share, x0, x1, ((x0, 0.0), (x1, 0.0), (x1, float(h)), (x0, float(h))))
            for s, share, x0, x1 in zip(spans, sure.characters(told), left, right, strict=True)
        )
        inked = iter(s.evidence for s in spans if not s.character.isspace())
        words = tuple(word_of(g, sure("word", list(islice(inked, len(g))))) for g in words_in(characters))
        confidence = sure("line", told) if spans else decoded.confidence
        corners = ((0.0, 0.0), (float(w), 0.0), (float(w), float(h)), (0.0, float(h)))
        if characters and sum(c.confidence for c in characters) < self.least * len(characters):
            return Line("", confidence, corners, facts.name, unread=True)
        return Line(decoded.text, confidence, corners, facts.name, characters, words)


def _ahead(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """What `work` makes of each item, in order: the network reads a batch while the one before is decoded."""
    if len(items) < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(1) as other:
        later: deque[Future[Result]] = deque()
        for item in items:
            later.append(other.submit(work, item))
            if len(later) > AHEAD:
                yield later.popleft().result()
        while later:
            yield later.popleft().result()


def by_width(widths: Sequence[int]) -> list[list[int]]:
    """Numbers of lines grouped by equal padded width, each group within BATCH_PIXELS and BATCH_LINES.

    What a recurrent network says of a line depends on the padding after it: it is kept the same in every batch.
    """
    buckets: dict[int, list[int]] = {}
    for k, width in enumerate(widths):
        buckets.setdefault(-(-width // BUCKET), []).append(k)
    out = []
    for bucket, members in sorted(buckets.items()):
        most = max(1, min(BATCH_LINES, BATCH_PIXELS // (bucket * BUCKET * 40)))
        out += [members[s : s + most] for s in range(0, len(members), most)]
    return out
