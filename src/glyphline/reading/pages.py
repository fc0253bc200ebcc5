"""Images of pages -> pages read: find, set upright, cut out, read line by line, leave out what would be guessed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from itertools import compress, pairwise
from typing import Protocol, TypeVar

import numpy as np

from glyphline.errors import ImageError
from glyphline.imaging.documents import ColourImage, Document, GreyImage, ImageSource
from glyphline.page import Character, Line, Page, Word
from glyphline.reading.detection.detectors import (
    NARROW,
    Corners,
    DbNetDetector,
    Detector,
    InkDetector,
    Region,
    SingleLine,
    around,
    open_detector,
)
from glyphline.reading.detection.reading_order import OrderedRegion, order_regions
from glyphline.reading.detection.rectification import (
    expand_outline,
    map_to_page,
    rectify,
    rotate_points,
    rotate_quarters,
)
from glyphline.reading.lines import LineReader, open_line_reader
from glyphline.reading.recognition.constraints import Constraint
from glyphline.reading.recognition.ensemble import Ensemble, is_letter_spaced
from glyphline.reading.recognition.recognizers import DEFAULT_MODEL, PP_OCR, Recognizer

AUTO = "auto"  # the best that is installed, of readers and of detectors
MIN_CONFIDENCE = 0.7  # share of a line that is probably right, below which it is rejected rather than guessed
MARGIN = 0.06  # heights added above and below a line that is cut out
UPRIGHT_LINES = 4  # widest lines of a page that are read the other way up
CLEARLY = 1.5  # times as much must be evident for a page to be turned on its head
DOUBTFUL = 0.5  # share of the letters that is evident, below which the page is turned on its side too
CROWD = 300  # lines; where more are found, their shapes have said how the page lies, and reading them takes long
WELL = 0.85  # share of the letters that is evident, which makes looking at the other way up needless
#: letters -> how sure the detector has to be of so few, times how much like text they looked to a network, that they are
#: text: in the company of other text, in a small image, which may be a word cut out, and where nothing promises text
IN_COMPANY: dict[float, float] = {2: 0.45, math.inf: 0.25}
SMALL: dict[float, float] = {2: 0.72, math.inf: 0.25}
ALONE: dict[float, float] = {2: 0.72, 5: 0.5, math.inf: 0.33}
PLAIN = 0.6  # the same of three letters and more, from which a line is company for others
LIKELY = 0.3  # confidence that one or two letters need where nothing else is text
FEW, SURE = (
    4,
    0.7,
)  # letters probably right, confidence of a line: less than both is background to a detector of mere ink
LONGEST = 300  # heights; what is longer is a rule or an edge
DOUBTED, CLEARER = 0.95, 1.05  # share of a line that is seen, below which it is looked at anew; times more seen then

Part = TypeVar("Part", Character, Word)


class LineReaderProtocol(Protocol):
    """Reads images of one line each: a Reader, or several as one."""

    @property
    def calibrated(self) -> bool: ...

    def read_lines(self, images: Sequence[GreyImage | ColourImage]) -> list[Line]: ...


def open_reader(
    model: str | Recognizer = AUTO, decoder: str = "beam", detector: str = AUTO, min_confidence: float | None = None,
    constraint: Callable[[Recognizer], Constraint] | None = None,
) -> PageReader:  # fmt: skip
    """A reader of pages.

    model: "auto" (the bundled reader, and PP-OCR's recognizer where rapidocr is installed; both are weighed line by
    line), a bundled reader's name, "pp-ocr", an .onnx file, or a recognizer. decoder, detector: their names, see DECODERS
    and DETECTORS; "auto" finds with PP-OCR's detector where it is installed, else by ink. min_confidence: lines of which a smaller
    share is probably right stay rejected; by default MIN_CONFIDENCE, or 0 for a model that was never calibrated. constraint: what
    lines may say. Raises UserError or DataError naming the choices, MissingPackage.
    """
    photo = find_spec("rapidocr") is not None
    models: list[str | Recognizer] = [model] if model != AUTO else [DEFAULT_MODEL, PP_OCR] if photo else [DEFAULT_MODEL]
    readers = [open_line_reader(one, decoder, constraint) for one in models]
    lines = readers[0] if len(readers) == 1 else Ensemble(tuple(readers))
    if min_confidence is None:  # the confidence of a model that was never calibrated means nothing
        min_confidence = MIN_CONFIDENCE if lines.calibrated else 0.0
    if detector == AUTO:
        detector = "photo" if photo else "paper"
    first = open_detector(detector)
    other: Detector | None = None
    if model == AUTO and photo and constraint is None and isinstance(first, DbNetDetector | SingleLine):
        other = DbNetDetector() if isinstance(first, SingleLine) else SingleLine()
    return PageReader(lines, first, min_confidence=min_confidence, other=other)


@dataclass(frozen=True)
class PageHypothesis:
    """What a page says when it is turned one way."""

    quarters: int  # of a circle, anticlockwise
    margin: float  # heights that were added above and below each line when it was cut out
    found: list[OrderedRegion]
    crops: list[ColourImage]
    lines: list[Line]

    @property
    def letters(self) -> int:
        """How many were read."""
        return sum(len(word.text) for line in self.lines for word in line.words)

    @property
    def likely(self) -> float:
        """How many letters stand in words that are probably right."""
        return sum(word.confidence * len(word.text) for line in self.lines for word in line.words)

    @property
    def evident(self) -> float:
        """How many letters stand in words that are probably right, and were seen."""
        return _evident(self.lines)

    @property
    def surest(self) -> float:
        """The confidence of the surest line."""
        return max((line.confidence for line in self.lines if line.text), default=0.0)

    @property
    def visible_characters(self) -> float:
        """How many characters the networks saw, not guessed by the language around them."""
        return sum(line.visual_confidence * len(line.characters) for line in self.lines)

    @property
    def is_doubted(self) -> bool:
        """Whether no more than DOUBTED of it was seen, or nothing is there to be seen."""
        return self.visible_characters <= DOUBTED * sum(len(line.characters) for line in self.lines)


@dataclass
class PageReader:
    """Finds the lines of a page and reads them.

    >>> import numpy as np
    >>> PageReader(LineReader()).read(np.full((40, 200), 255, np.uint8)).text  # blank paper says nothing
    ''
    """

    reader: LineReaderProtocol = field(default_factory=LineReader)
    detector: Detector = field(default_factory=SingleLine)
    upright: bool = True  # turn pages that lie on their side or stand on their head
    min_confidence: float = 0.0  # lines of which a smaller share is probably right are rejected rather than guessed
    other: Detector | None = None  # looks again at small images, and those of one line, that are read with doubt

    def read(self, source: ImageSource) -> Page:
        """The first page of an image, in any form that `Document` takes; raises ImageError as `read_pages` does."""
        return next(self.read_pages(source))

    def read_pages(self, source: ImageSource) -> Iterator[Page]:
        """Every page of an image, one at a time; raises ImageError as `Document` does, and for a line too long."""
        with Document(source) as pages:
            for number in range(len(pages)):
                image = pages.colour(number)
                try:
                    page = self.read_picture(image, number + 1)
                except ImageError as error:  # of a line that is too long
                    raise ImageError(f"{pages.where(number)}: {error}") from None
                yield page

    def read_picture(self, image: ColourImage, number: int = 1) -> Page:
        """One page as it lies: (H, W, 3)."""
        height, width = image.shape[:2]
        said = self._upright(image)
        standing = (width, height) if said.quarters % 2 else (height, width)
        back = partial(rotate_points, quarters=-said.quarters, shape=standing)
        scenery = (
            self.min_confidence > 0
            and isinstance(self.detector, InkDetector)
            and said.likely < FEW
            and said.surest < SURE
        )
        placed = [
            _placed(space_letters(line), one, back, crop.shape, said.margin)
            for one, crop, line in zip(said.found, said.crops, said.lines, strict=True)
            if line.text
        ]
        if isinstance(self.detector, SingleLine) and len(placed) > 1:
            placed = [_as_one(placed)]
        sure = (_sure(line, math.inf if scenery else self.min_confidence) for line in placed)
        return Page(width, height, tuple(sure), number, 90 * said.quarters if placed else 0)

    def _upright(self, image: ColourImage) -> PageHypothesis:
        """What is text on a page, read the way it stands upright.

        A small image may be one line cut out of a page, and what is said to be one line may run up, or along an arc:
        what is read with doubt, or not at all, is looked at again, and believed where clearly more letters are seen.
        """
        alone = isinstance(self.detector, SingleLine)
        small = alone or min(image.shape[:2]) < NARROW
        said = self._whole(image) if alone else self._turned(image, self.detector)
        text = _text_in(said, small)
        if self.other is None or not small or not text.is_doubted or not said.found:
            return text
        try:
            if alone:
                again = self._turned(image, self.other)
            else:
                sure = max(one.region.confidence for one in said.found)
                again = self._whole(rotate_quarters(image, said.quarters), said.quarters, sure)
        except ImageError:  # all of it is too long a line
            return text
        again = _text_in(again, small)
        return again if again.visible_characters > CLEARER * text.visible_characters else text

    def _turned(self, image: ColourImage, detector: Detector) -> PageHypothesis:
        """What a detector finds of a page, read the way it stands upright.

        Text that runs up or down says that the page lies on its side: then its lines are looked for anew once it is
        turned, for detectors know level text best. Where what is read is doubtful the other axis is tried too.
        """
        regions = detector(image)
        if not self.upright:
            return self._read(image, regions, 0)
        on_its_side = sum(region.size[1] if region.lies else -region.size[0] for region in regions) > 0

        def facing(quarters: int) -> PageHypothesis:
            standing = rotate_quarters(image, quarters)
            return self._facing(standing, detector(standing) if quarters else regions, quarters)

        best = facing(int(on_its_side))
        if best.evident >= DOUBTFUL * best.letters and (best.letters or min(image.shape[:2]) >= NARROW):
            return best
        if len(best.found) > CROWD:
            return best
        other = facing(int(not on_its_side))
        return other if other.evident > CLEARLY * best.evident else best

    def _facing(self, standing: ColourImage, regions: list[Region], quarters: int) -> PageHypothesis:
        """A page turned by quarters, 0 or 1, and its pieces: read as it stands, or on its head.

        Its widest lines say which, unless a page that stands reads well as it is.
        """
        said = self._read(standing, regions, quarters)
        if not said.found or (quarters == 0 and said.evident >= WELL * said.letters > 0):
            return said
        widest = sorted(range(len(said.found)), key=lambda k: -said.found[k].region.size[0])[:UPRIGHT_LINES]
        heads = self.reader.read_lines(
            [rotate_quarters(said.crops[k], 2) for k in widest]
        )  # the same lines, on their heads
        # pages lie on either side, but few stand on their heads
        if _evident(heads) <= (1 if quarters else CLEARLY) * _evident([said.lines[k] for k in widest]):
            return said
        on_head = partial(rotate_points, quarters=2, shape=standing.shape)
        return self._read(rotate_quarters(standing, 2), [region.moved(on_head) for region in regions], quarters + 2)

    def _read(self, standing: ColourImage, regions: list[Region], quarters: int) -> PageHypothesis:
        """A page that was turned by quarters, and its pieces, read as it stands."""
        return self._heard(quarters, MARGIN, [one for one in order_regions(regions) if _is_line(one.region)], standing)

    def _whole(self, standing: ColourImage, quarters: int = 0, confidence: float = 1.0) -> PageHypothesis:
        """All of an image, turned by quarters, read as one line, of which a detector is so sure that it is text."""
        (region,) = SingleLine()(standing)
        return self._heard(quarters, 0.0, [OrderedRegion(replace(region, confidence=confidence), 0)], standing)

    def _heard(self, quarters: int, margin: float, found: list[OrderedRegion], standing: ColourImage) -> PageHypothesis:
        crops = [rectify(standing, one.region.place, margin) for one in found]
        return PageHypothesis(quarters, margin, found, crops, self.reader.read_lines(crops))


def _sure(line: Line, min_confidence: float) -> Line:
    """The line, or without its text where a smaller share than the least is probably right: it would be guessed."""
    if line.characters and _right([line]) < min_confidence * len(line.characters):
        return replace(line, text="", characters=(), words=(), rejected=True)
    return line


def _text_in(said: PageHypothesis, small: bool) -> PageHypothesis:
    """Those lines of a page that are text, not clouds, twigs and tiles that a detector took for it.

    small: it is NARROW, or said to be one line.

    A detector that looks for text is unsure of background, and so is a network of what it reads there; the fewer letters,
    the more of it looks like them. Of a page that was turned the way was taken in which it looks most like text.
    """
    counts = [sum(len(word.text) for word in line.words) for line in said.lines]
    shares = [one.region.confidence for one in said.found]
    sure = [share * line.visual_confidence for share, line in zip(shares, said.lines, strict=True)]
    company = any(n > min(ALONE) and one >= PLAIN for n, one in zip(counts, sure, strict=True))
    least = IN_COMPANY if company else SMALL if small and not said.quarters else ALONE
    text = [
        share == 1  # where nothing looked for text: ink, and what is said to be a line
        or (
            one >= next(enough for most, enough in least.items() if n <= most)
            and (company or n > min(ALONE) or (line.confidence >= LIKELY and not said.quarters))
        )
        for share, n, one, line in zip(shares, counts, sure, said.lines, strict=True)
    ]
    found, crops, lines = compress(said.found, text), compress(said.crops, text), compress(said.lines, text)
    return replace(said, found=list(found), crops=list(crops), lines=list(lines))


def _is_line(region: Region) -> bool:
    wide, tall = region.size
    return tall >= 1 and wide <= LONGEST * tall


def space_letters(line: Line) -> Line:
    """The line with a space between all of its letters where most are set apart, as in an alphabet (`is_letter_spaced`).

    Networks miss the narrower ones of such spaces.
    """
    if not is_letter_spaced(line.text):
        return line
    inked = [c for c in line.characters if not c.text.isspace()]
    out = inked[:1]
    for a, b in pairwise(inked):
        out += [_space(a, b), b]
    return replace(line, text="".join(c.text for c in out), characters=tuple(out), words=())


def _as_one(lines: Sequence[Line]) -> Line:
    """Lines of a page, two at min_confidence, each with its place, as the one that they are parts of."""
    characters = list(lines[0].characters)
    for line in lines[1:]:
        characters += [_space(characters[-1], line.characters[0]), *line.characters]
    rectangle = around(np.array([point for line in lines for point in line.polygon]))
    # it begins where the first line does, however the page was turned
    edges = np.roll(rectangle, -1, 0) - rectangle
    (x0, y0), (x1, y1) = lines[0].polygon[:2]
    first = int(np.argmax(edges @ (x1 - x0, y1 - y0) / np.maximum(1e-9, np.hypot(*edges.T))))
    return replace(
        lines[0], text=" ".join(line.text for line in lines), characters=tuple(characters),
        words=tuple(word for line in lines for word in line.words), confidence=math.prod(x.confidence for x in lines),
        polygon=tuple((float(x), float(y)) for x, y in np.roll(rectangle, -first, 0)),
        recognizer="+".join(dict.fromkeys(line.recognizer for line in lines)),
    )  # fmt: skip


def _space(a: Character, b: Character) -> Character:
    """What stands between two characters."""
    corners = (a.polygon[1], b.polygon[0], b.polygon[3], a.polygon[2]) if a.polygon and b.polygon else ()
    across = [x for x, _ in corners] or [a.right, b.left]
    return Character(" ", min(a.confidence, b.confidence), min(across), max(across), corners)


def _evident(lines: Sequence[Line]) -> float:
    """How many letters stand in words that are probably right, and were seen.

    Text on its head reads as words that are none, and what a language makes words of was not seen.
    """
    return sum(line.visual_confidence * word.confidence * len(word.text) for line in lines for word in line.words)


def _right(lines: Sequence[Line]) -> float:
    """How many characters of some lines are probably right."""
    return sum(c.confidence for line in lines for c in line.characters)


def _placed(
    line: Line, found: OrderedRegion, back: Callable[[Corners], Corners], shape: tuple[int, ...], margin: float
) -> Line:
    """A line as it was read from an image of a shape, with its places on the page."""
    place = found.region.place
    wide = back(expand_outline(place, margin))
    move = partial(map_to_page, wide, (shape[1], shape[0]))

    def moved(part: Part) -> Part:
        polygon = move(part.polygon)
        across = [x for x, _ in polygon]
        return replace(part, polygon=polygon, left=min(across), right=max(across))

    edge = place if place.ndim == 2 else np.concatenate([place[:, 0], place[::-1, 1]])
    around = tuple((float(x), float(y)) for x, y in back(edge))
    return replace(
        line, polygon=around, paragraph=found.paragraph, characters=tuple(map(moved, line.characters)),
        words=tuple(map(moved, line.words)),
    )  # fmt: skip
