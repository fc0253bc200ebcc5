"""Line images -> text: the same door as training, batches by width, one decoder for all."""

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
from glyphline.imaging.documents import ColourImage, GreyImage, load
from glyphline.imaging.normalization import NormalizedLine, extract_ink, normalize_line, padded_batch, to_grey
from glyphline.page import Character, Line, split_words, word_from_characters
from glyphline.reading.recognition.character_positions import places
from glyphline.reading.recognition.constraints import Constraint
from glyphline.reading.recognition.decoders import (
    DecodedText,
    Decoder,
    GreedyDecoder,
    LogProbs,
    constrained,
    open_decoder,
)
from glyphline.reading.recognition.hypotheses import MIN_CLASS_PROBABILITY, Hypothesis
from glyphline.reading.recognition.recognizers import (
    DEFAULT_MODEL,
    PP_OCR,
    ModelInfo,
    Recognizer,
    alphabet_of,
    calibration_of,
    open_recognizer,
)

BUCKET = 32  # px; a line is always padded to the same width, alone or in a batch, so it reads the same
BATCH_PIXELS = 600_000  # px of one batch; keeps the memory of long lines flat
BATCH_LINES = 64
BATCH_SHARES = 6_000_000  # probabilities that come of one batch, with PP-OCR's thousands of characters
AHEAD = 2  # batches the network may be ahead of the decoder

LONGEST, SHARED = 24, 4  # heights of a line that is read at once; heights that the parts of a longer one share
MANY = 1000  # characters of an alphabet most of which a line has nothing of

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class LineReader:
    """Reads line images with one recognizer and one decoder.

    >>> LineReader().read_line(np.full((40, 200), 255, np.uint8)).text  # blank paper says nothing
    ''
    """

    recognizer: Recognizer = field(default_factory=open_recognizer)
    decoder: Decoder = field(default_factory=GreedyDecoder)

    @property
    def calibrated(self) -> bool:
        """Whether its confidences were fitted."""
        return bool((self.recognizer.info.calibration or {}).get(self.decoder.kind))

    def read_line(self, image: str | Path | bytes | npt.NDArray[np.generic]) -> Line:
        """One image of one line, in any form `glyphline.imaging.normalization.load` takes; raises ImageError as it does."""
        return self.read_lines([load(image)])[0]

    def read_lines(self, images: Sequence[GreyImage | ColourImage]) -> list[Line]:
        """Images (H, W) or (H, W, 3), one line each, read in batches of similar width; results in the order given."""
        frames = [normalize_line(p, self.recognizer.info.height, self.recognizer.info.normalization) for p in images]
        decoded = self.decode_all([f.line for f in frames])
        return [self._line(d, f, p) for d, f, p in zip(decoded, frames, images, strict=True)]

    def recognize(self, images: Sequence[GreyImage | ColourImage]) -> list[Hypothesis]:
        """As `read_lines`, with what the network said, so that other readings can be weighed against it."""
        frames = [normalize_line(p, self.recognizer.info.height, self.recognizer.info.normalization) for p in images]
        said: dict[int, tuple[LogProbs, dict[str, int]]] = {}

        def keep(k: int, log_probs: LogProbs, alphabet: Alphabet) -> None:
            said[k] = log_probs, {c: at for at, c in enumerate(alphabet.characters, 1)}

        decoded = self.decode_all([f.line for f in frames], keep)
        nothing: tuple[LogProbs, dict[str, int]] = np.zeros((0, 1), np.float32), {}
        out = []
        for k, (one, frame, image) in enumerate(zip(decoded, frames, images, strict=True)):
            place = partial(self._line, frame=frame, image=image)
            out.append(Hypothesis(place(one), one, *said.get(k, nothing), place))
        return out

    def decode_all(
        self, lines: Sequence[GreyImage | ColourImage], heard: Callable[[int, LogProbs, Alphabet], None] | None = None
    ) -> list[DecodedText]:
        """Canonical lines (height, W) -> what each says; `heard` is told each inked line's number, (T, C), alphabet."""
        info, alphabet = self.recognizer.info, alphabet_of(self.recognizer)
        out = [DecodedText("", 1.0, ())] * len(lines)  # nothing inked says nothing
        inked = [k for k, line in enumerate(lines) if line.any()]
        parts = [(k, part) for k in inked for part in _parts(lines[k].shape[1], info)]
        pixels = min(BATCH_PIXELS, BATCH_SHARES * info.stride * 40 // len(alphabet.characters))
        groups = by_width([max(part.stop - part.start, info.window) for _, part in parts], pixels)

        def log_probs(group: list[int]) -> list[LogProbs]:
            cut = [lines[k][:, part] for k, part in (parts[at] for at in group)]
            batch, widths = padded_batch(cut, BUCKET, info.padding_value, info.window)
            rows = zip(self.recognizer.log_probs(batch), widths, strict=True)
            return [row[: info.steps(int(width))] for row, width in rows]

        waiting: dict[int, dict[int, LogProbs]] = {}  # of lines of several parts, by where each begins
        for group, rows in zip(groups, _ahead(log_probs, groups), strict=True):
            for (k, part), row in zip((parts[at] for at in group), rows, strict=True):
                if part.stop - part.start < lines[k].shape[1]:
                    known = waiting.setdefault(k, {})
                    known[part.start] = row
                    if len(known) < len(_parts(lines[k].shape[1], info)):
                        continue
                    row = _one(waiting.pop(k), info)
                likely = _likely(row, alphabet) if len(alphabet.characters) > MANY else (row, alphabet)
                out[k] = self.decoder(*likely)
                if heard:
                    heard(k, *likely)
        return out

    def _line(self, decoded: DecodedText, frame: NormalizedLine, image: GreyImage | ColourImage) -> Line:
        info, spans = self.recognizer.info, decoded.spans
        reach = max(info.window, info.stride)
        centres = [(s.start + s.end - 1) * info.stride / 2 + reach / 2 for s in spans]
        ink = frame.line if frame.line.ndim == 2 else extract_ink(to_grey(frame.line))
        columns = places(ink, centres, [s.character.isspace() for s in spans])
        left, right = (np.clip(frame.left + c / frame.scale, 0, image.shape[1]).tolist() for c in columns)

        h, w = image.shape[:2]
        sure, told = calibration_of(info, self.decoder.kind), [s.evidence for s in spans]
        characters = tuple(
            Character(s.character, share, x0, x1, ((x0, 0.0), (x1, 0.0), (x1, float(h)), (x0, float(h))))
            for s, share, x0, x1 in zip(spans, sure.characters(told), left, right, strict=True)
        )
        inked = iter(s.evidence for s in spans if not s.character.isspace())
        words = tuple(
            word_from_characters(g, sure("word", list(islice(inked, len(g))))) for g in split_words(characters)
        )
        confidence = sure("line", told) if spans else decoded.confidence
        corners = ((0.0, 0.0), (float(w), 0.0), (float(w), float(h)), (0.0, float(h)))
        # a network of composed lines was never shown background, and what it sees there tells nothing
        seen = decoded.visual_confidence if info.name == PP_OCR else 1.0
        return Line(decoded.text, confidence, corners, info.name, characters, words, visual_confidence=seen)


def open_line_reader(
    model: str | Recognizer = DEFAULT_MODEL,
    decoder: str = "beam",
    constraint: Callable[[Recognizer], Constraint] | None = None,
) -> LineReader:
    """A reader of lines: a bundled reader's name, "pp-ocr", an .onnx file or a recognizer; a decoder's spec (DECODERS).

    constraint: what lines may say. Raises UserError or DataError naming the choices, MissingPackage.
    """
    recognizer = open_recognizer(model) if isinstance(model, str) else model
    made = open_decoder(decoder, alphabet_of(recognizer))
    return LineReader(recognizer, constrained(made, constraint(recognizer)) if constraint else made)


def _likely(log_probs: LogProbs, alphabet: Alphabet) -> tuple[LogProbs, Alphabet]:
    """What a network said without the classes whose share never reaches MIN_CLASS_PROBABILITY, and the alphabet of the others."""
    most = log_probs.max(axis=0)
    likely = most > math.log(MIN_CLASS_PROBABILITY)
    likely[[BLANK, most[1:].argmax() + 1]] = True  # an alphabet has one character at least
    classes = np.flatnonzero(likely)
    return log_probs[:, classes], Alphabet("".join(alphabet.characters[c - 1] for c in classes.tolist() if c != BLANK))


def _parts(width: int, info: ModelInfo) -> list[slice]:
    """Columns of a canonical line that are read at once: all, or parts of a long line that overlap."""
    most, shared = LONGEST * info.height, SHARED * info.height
    if width <= most or info.normalization == "whole":
        return [slice(0, width)]
    count = -(-(width - shared) // (most - shared))
    starts = [math.ceil(k * (width - most) / (count - 1) / info.stride) * info.stride for k in range(count)]
    return [slice(start, min(start + most, width)) for start in starts]


def _one(parts: dict[int, LogProbs], info: ModelInfo) -> LogProbs:
    """What the network said of the parts of a line, by where they begin, as of one: (T, C).

    Where two overlap the first goes over into the second at the step that both are surest is none of a character, so
    that none is lost or doubled there.
    """
    (_, joined), *others = sorted(parts.items())
    for start, row in others:
        begins = start // info.stride
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
