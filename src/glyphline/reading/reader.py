"""Line pictures -> text: the same door as training, batches by width, one decoder for all."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import BLANK, Alphabet
from glyphline.image import Framed, framed, grey_of, ink_of, padded_batch
from glyphline.page import Character, Line, word_of, words_in
from glyphline.picture import Colour, Grey, load
from glyphline.reading.constraints import Constraint
from glyphline.reading.decoders import Decoded, Decoder, Greedy, LogProbs, constrained, open_decoder
from glyphline.reading.engines import BUNDLED, PADDLE, Engine, Facts, alphabet_of, calibration_of, open_engine
from glyphline.reading.places import places

BUCKET = 32  # px; a line is always padded to the same width, alone or in a batch, so it reads the same
BATCH_PIXELS = 600_000  # px of one batch; keeps the memory of long lines flat
BATCH_LINES = 64
BATCH_SHARES = 6_000_000  # probabilities that come of one batch, with PP-OCR's thousands of characters
AHEAD = 2  # batches the network may be ahead of the decoder

LONGEST, SHARED = 24, 4  # heights of a line that is read at once; heights that the parts of a longer one share
MANY = 1000  # characters of an alphabet most of which a line has nothing of
KEPT = 1e-5  # share that a class of such an alphabet must reach somewhere in the line to be thought of

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Heard:
    """What was read of one line, and what the network said of it."""

    line: Line
    decoded: Decoded
    log_probs: LogProbs  # (T, K), the blank first, then the classes that had a chance; T is 0 where nothing is inked
    columns: dict[str, int]  # of log_probs, by character
    place: Callable[[Decoded], Line]  # what else may be read of the same picture, as a line


@dataclass
class Reader:
    """Reads line pictures with one engine and one decoder.

    >>> Reader().read_line(np.full((40, 200), 255, np.uint8)).text  # blank paper says nothing
    ''
    """

    engine: Engine = field(default_factory=open_engine)
    decoder: Decoder = field(default_factory=Greedy)

    @property
    def calibrated(self) -> bool:
        """Whether its confidences were fitted."""
        return bool((self.engine.facts.calibration or {}).get(self.decoder.kind))

    def read_line(self, picture: str | Path | bytes | npt.NDArray[np.generic]) -> Line:
        """One picture of one line, in any form `glyphline.image.load` takes; raises PictureError as it does."""
        return self.read_lines([load(picture)])[0]

    def read_lines(self, pictures: Sequence[Grey | Colour]) -> list[Line]:
        """Pictures (H, W) or (H, W, 3), one line each, read in batches of similar width; results in the order given."""
        frames = [framed(p, self.engine.facts.height, self.engine.facts.frame) for p in pictures]
        decoded = self.decode_all([f.line for f in frames])
        return [self._line(d, f, p) for d, f, p in zip(decoded, frames, pictures, strict=True)]

    def hear(self, pictures: Sequence[Grey | Colour]) -> list[Heard]:
        """As `read_lines`, with what the network said, so that other readings can be weighed against it."""
        frames = [framed(p, self.engine.facts.height, self.engine.facts.frame) for p in pictures]
        said: dict[int, tuple[LogProbs, dict[str, int]]] = {}

        def keep(k: int, log_probs: LogProbs, alphabet: Alphabet) -> None:
            said[k] = log_probs, {c: at for at, c in enumerate(alphabet.characters, 1)}

        decoded = self.decode_all([f.line for f in frames], keep)
        nothing: tuple[LogProbs, dict[str, int]] = np.zeros((0, 1), np.float32), {}
        out = []
        for k, (one, frame, picture) in enumerate(zip(decoded, frames, pictures, strict=True)):
            place = partial(self._line, frame=frame, picture=picture)
            out.append(Heard(place(one), one, *said.get(k, nothing), place))
        return out

    def decode_all(
        self, lines: Sequence[Grey | Colour], heard: Callable[[int, LogProbs, Alphabet], None] | None = None
    ) -> list[Decoded]:
        """Canonical lines (height, W) -> what each says; `heard` is told each inked line's number, (T, C), alphabet."""
        facts, alphabet = self.engine.facts, alphabet_of(self.engine)
        out = [Decoded("", 1.0, ())] * len(lines)  # nothing inked says nothing
        inked = [k for k, line in enumerate(lines) if line.any()]
        parts = [(k, part) for k in inked for part in _parts(lines[k].shape[1], facts)]
        pixels = min(BATCH_PIXELS, BATCH_SHARES * facts.stride * 40 // len(alphabet.characters))
        groups = by_width([max(part.stop - part.start, facts.window) for _, part in parts], pixels)

        def log_probs(group: list[int]) -> list[LogProbs]:
            cut = [lines[k][:, part] for k, part in (parts[at] for at in group)]
            batch, widths = padded_batch(cut, BUCKET, facts.ground, facts.window)
            rows = zip(self.engine.log_probs(batch), widths, strict=True)
            return [row[: facts.steps(int(width))] for row, width in rows]

        waiting: dict[int, dict[int, LogProbs]] = {}  # of lines of several parts, by where each begins
        for group, rows in zip(groups, _ahead(log_probs, groups), strict=True):
            for (k, part), row in zip((parts[at] for at in group), rows, strict=True):
                if part.stop - part.start < lines[k].shape[1]:
                    known = waiting.setdefault(k, {})
                    known[part.start] = row
                    if len(known) < len(_parts(lines[k].shape[1], facts)):
                        continue
                    row = _one(waiting.pop(k), facts)
                likely = _likely(row, alphabet) if len(alphabet.characters) > MANY else (row, alphabet)
                out[k] = self.decoder(*likely)
                if heard:
                    heard(k, *likely)
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
        # a network of composed lines was never shown scenery, and what it sees there tells nothing
        seen = decoded.seen if facts.name == PADDLE else 1.0
        return Line(decoded.text, confidence, corners, facts.name, characters, words, seen=seen)


def open_line_reader(
    model: str | Engine = BUNDLED, decoder: str = "beam", constraint: Callable[[Engine], Constraint] | None = None
) -> Reader:
    """A reader of lines: a bundled reader's name, "pp-ocr", an .onnx file or an engine; a decoder's spec (DECODERS).

    constraint: what lines may say. Raises UserError or DataError naming the choices, MissingPackage.
    """
    engine = open_engine(model) if isinstance(model, str) else model
    made = open_decoder(decoder, alphabet_of(engine))
    return Reader(engine, constrained(made, constraint(engine)) if constraint else made)


def _likely(log_probs: LogProbs, alphabet: Alphabet) -> tuple[LogProbs, Alphabet]:
    """What a network said without the classes whose share never reaches KEPT, and the alphabet of the others."""
    most = log_probs.max(axis=0)
    likely = most > math.log(KEPT)
    likely[[BLANK, most[1:].argmax() + 1]] = True  # an alphabet has one character at least
    classes = np.flatnonzero(likely)
    return log_probs[:, classes], Alphabet("".join(alphabet.characters[c - 1] for c in classes.tolist() if c != BLANK))


def _parts(width: int, facts: Facts) -> list[slice]:
    """Columns of a canonical line that are read at once: all, or parts of a long line that overlap."""
    most, shared = LONGEST * facts.height, SHARED * facts.height
    if width <= most or facts.frame == "whole":
        return [slice(0, width)]
    count = -(-(width - shared) // (most - shared))
    starts = [math.ceil(k * (width - most) / (count - 1) / facts.stride) * facts.stride for k in range(count)]
    return [slice(start, min(start + most, width)) for start in starts]


def _one(parts: dict[int, LogProbs], facts: Facts) -> LogProbs:
    """What the network said of the parts of a line, by where they begin, as of one: (T, C).

    Where two overlap the first goes over into the second at the step that both are surest is none of a character, so
    that none is lost or doubled there.
    """
    (_, joined), *others = sorted(parts.items())
    for start, row in others:
        begins = start // facts.stride
        shared = len(joined) - begins
        edge = shared // 4  # what stands at the very edge is seen only in part
        none = joined[begins:, BLANK] + row[:shared, BLANK]
        at = edge + int(none[edge : shared - edge].argmax())
        joined = np.concatenate([joined[: begins + at], row[at:]])
    return joined


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


def by_width(widths: Sequence[int], pixels: int = BATCH_PIXELS) -> list[list[int]]:
    """Numbers of lines grouped by equal padded width, each group within so many pixels and BATCH_LINES.

    What a recurrent network says of a line depends on the padding after it: it is kept the same in every batch.
    """
    buckets: dict[int, list[int]] = {}
    for k, width in enumerate(widths):
        buckets.setdefault(-(-width // BUCKET), []).append(k)
    out = []
    for bucket, members in sorted(buckets.items()):
        most = max(1, min(BATCH_LINES, pixels // (bucket * BUCKET * 40)))
        out += [members[s : s + most] for s in range(0, len(members), most)]
    return out
