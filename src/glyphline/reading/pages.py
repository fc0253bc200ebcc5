"""Page pipeline: detect lines, find the orientation, rectify each line, recognize it, reject what is unreliable."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import compress, pairwise
from typing import Protocol, TypeVar

import numpy as np

from glyphline.errors import ImageError, UserError
from glyphline.imaging.documents import ColourImage, Document, GreyImage, ImageSource
from glyphline.page import Cell, Character, Line, Page, Word
from glyphline.reading.cell_reliability import assess_cells, is_short_cell
from glyphline.reading.detection.detectors import (
    DbNetDetector,
    Detector,
    InkDetector,
    SingleLine,
    is_small,
    open_detector,
)
from glyphline.reading.detection.orientation import (
    is_clearly_upright,
    is_orientation_doubtful,
    is_rotation_better,
    is_sideways,
    is_upside_down,
    rotate_points,
    rotate_quarters,
)
from glyphline.reading.detection.reading_order import OrderedRegion, order_regions
from glyphline.reading.detection.rectification import expand_outline, map_to_page, rectify
from glyphline.reading.detection.regions import Corners, Region, minimum_area_rectangle
from glyphline.reading.lines import LineReader, open_line_reader
from glyphline.reading.recognition.constraints import Constraint
from glyphline.reading.recognition.languages import ENGLISH, main_language
from glyphline.reading.recognition.recognizers import PHOTO, Recognizer
from glyphline.reading.recognition.reliability import MIN_LEGIBILITY
from glyphline.reading.rejection import (
    MIN_TEXT_PROBABILITY,
    confident_letters,
    letter_count,
    reject,
    reject_unreliable,
    text_probabilities,
)
from glyphline.reading.thresholds import THRESHOLDS

AUTO = "auto"  # as a model or a detector: the best for anything

Part = TypeVar("Part", Character, Word)


class LineReaderProtocol(Protocol):
    """Reads line images, as `LineReader` does."""

    @property
    def calibrated(self) -> bool:
        """Whether the confidences are calibrated."""

    def read_lines(self, images: Sequence[GreyImage | ColourImage]) -> list[Line]:
        """One Line for each image (H, W) or (H, W, 3) uint8, in the same order."""


def open_reader(
    model: str | Recognizer = AUTO, decoder: str = "beam", detector: str = AUTO, min_confidence: float | None = None,
    constraint: Callable[[Recognizer], Constraint] | None = None, language: str = AUTO,
) -> PageReader:  # fmt: skip
    """Open a reader of pages.

    model: "auto", the name of a bundled reader, "pp-ocr", an .onnx file, or a recognizer. "auto" is "photo".
    decoder: a spec such as "beam" or "beam:my.lm", see DECODERS.
    detector: a name in DETECTORS, or "auto": "photo". With the model "auto", "photo" and "none" also try each other
    where the result is doubtful (see `PageReader.second_detector`), but not with a constraint.
    min_confidence: share of correct characters, 0..1; lines below it are rejected (see `reject_unreliable`). The
    default is 0.7, or 0 where a recognizer has no calibration for the decoder.
    constraint: called with each recognizer; returns the constraint on the text of a line.

    Raises UserError or DataError that name the choices, and MissingPackage for "pp-ocr" without rapidocr.
    """
    line_reader = open_line_reader(PHOTO if model == AUTO else model, decoder, constraint, language)
    if language not in (AUTO, ENGLISH) and not line_reader.languages:
        name = line_reader.recognizer.info.name
        raise UserError(f'the language {language} has letters that the model {name} lacks: use "{PHOTO}"')
    if min_confidence is None:
        min_confidence = THRESHOLDS.min_confidence if line_reader.calibrated else 0.0
    first_detector = open_detector("photo" if detector == AUTO else detector)
    second_detector: Detector | None = None
    # A constraint holds for a whole line. The second detector may split a line, and each part would have to match.
    if model == AUTO and constraint is None:
        if isinstance(first_detector, SingleLine):
            second_detector = DbNetDetector()
        elif isinstance(first_detector, DbNetDetector):
            second_detector = SingleLine()
    return PageReader(line_reader, first_detector, min_confidence=min_confidence, second_detector=second_detector)


@dataclass(frozen=True)
class PageHypothesis:
    """The lines of a page, recognized in one orientation."""

    quarters: int  # quarter turns by which the page was rotated, counterclockwise
    margin: float  # heights that were added above and below each line before it was rectified
    regions: list[OrderedRegion]  # on the rotated page
    crops: list[ColourImage]  # of the regions, rectified
    lines: list[Line]  # of the crops, positions in px of the crop; with the cells of the regions

    @property
    def letters(self) -> int:
        """The number of characters in words."""
        return sum(letter_count(line) for line in self.lines)

    @property
    def confident_letters(self) -> float:
        """The expected number of letters in correct words, weighted by visual confidence."""
        return confident_letters(self.lines)

    @property
    def visible_characters(self) -> float:
        """The number of characters, spaces included, each weighted by the visual confidence of its line."""
        return sum(line.visual_confidence * len(line.characters) for line in self.lines)

    @property
    def is_doubtful(self) -> bool:
        """Whether `visible_characters` is at most `sufficient_share` of all. True for a page without characters."""
        characters = sum(len(line.characters) for line in self.lines)
        return self.visible_characters <= THRESHOLDS.sufficient_share * characters


@dataclass
class PageReader:
    """Reads pages: detects their lines and recognizes each.

    >>> import numpy as np
    >>> PageReader(LineReader()).read(np.full((40, 200), 255, np.uint8)).text  # blank paper has no text
    ''
    """

    line_reader: LineReaderProtocol = field(default_factory=LineReader)
    detector: Detector = field(default_factory=SingleLine)
    correct_orientation: bool = True  # also read pages on their side or upside down; not tried for `SingleLine`
    min_confidence: float = 0.0  # share of correct characters, 0..1; lines below it are rejected
    second_detector: Detector | None = None  # tried on small images and single lines when the result is doubtful

    def read(self, source: ImageSource) -> Page:
        """Read the first page of a document in any form that `Document` takes.

        Raises ImageError as `read_pages` does.
        """
        return next(self.read_pages(source))

    def read_pages(self, source: ImageSource) -> Iterator[Page]:
        """Read every page of a document, one at a time.

        Raises ImageError for a document or a page that cannot be opened, and for a line that is too long to be read.
        Raises MissingPackage where the image or the detector needs a package that is not installed. Errors are raised
        when the page is requested.
        """
        with Document(source) as document:
            for number in range(len(document)):
                image = document.colour(number)
                try:
                    page = self.read_image(image, number + 1)
                except ImageError as error:  # name the file and page of a line that is too long
                    raise ImageError(f"{document.page_name(number)}: {error}") from None
                yield page

    def read_image(self, image: ColourImage, number: int = 1) -> Page:
        """Read one page from an image (H, W, 3) uint8. The coordinates of the Page are px of this image.

        number: of the page in its file, from 1. Background and lines without text are left out. What `InkDetector`
        takes for a line is rejected instead where it is probably background and `min_confidence` is above 0.
        Raises ImageError for a line that is too long to be read.
        """
        height, width = image.shape[:2]
        hypothesis = self._best_hypothesis(image)
        rotated_shape = (width, height) if hypothesis.quarters % 2 else (height, width)
        rotate_back = partial(rotate_points, quarters=-hypothesis.quarters, shape=rotated_shape)
        lines = [
            _map_line_to_page(space_letters(line), region, rotate_back, crop.shape, hypothesis.margin)
            for region, crop, line in zip(hypothesis.regions, hypothesis.crops, hypothesis.lines, strict=True)
            if line.text
        ]
        if isinstance(self.detector, SingleLine) and len(lines) > 1:
            lines = [_join_lines(lines)]
        rotation = 90 * hypothesis.quarters if lines else 0  # a page without recognized text is not rotated
        kept = tuple(reject_unreliable(line, self.min_confidence) for line in number_cells(lines))
        if self.min_confidence > 0 and isinstance(self.detector, InkDetector):
            probabilities = text_probabilities([None] * len(lines), lines, is_small(image), hypothesis.quarters != 0)
            kept = tuple(
                line if p >= MIN_TEXT_PROBABILITY else reject(line) for line, p in zip(kept, probabilities, strict=True)
            )
        language = main_language([(line.language, line.text) for line in kept if line.text])
        return Page(width, height, kept, number, rotation, language)

    def _best_hypothesis(self, image: ColourImage) -> PageHypothesis:
        """The text of a page in its best orientation.

        A small image may be a single line that was cropped, and an image given as a single line may hold vertical or
        curved text. Where the first result is doubtful, the second detector is tried. Its result is used if clearly
        more characters are visible in it.
        """
        is_single_line = isinstance(self.detector, SingleLine)
        small = is_single_line or is_small(image)
        detected = self._recognize_whole(image) if is_single_line else self.best_orientation(image, self.detector)
        first = _drop_background(detected, small)
        if self.second_detector is None or not small or not first.is_doubtful or not detected.regions:
            return first
        try:
            if is_single_line:
                second = self.best_orientation(image, self.second_detector)
            else:
                confidence = max(ordered.region.confidence for ordered in detected.regions)
                rotated = rotate_quarters(image, detected.quarters)
                second = self._recognize_whole(rotated, detected.quarters, confidence)
        except ImageError:  # the whole image is too long for a line
            return first
        second = _drop_background(second, small)
        is_better = second.visible_characters > THRESHOLDS.min_improvement * first.visible_characters
        return second if is_better else first

    def best_orientation(self, image: ColourImage, detector: Detector) -> PageHypothesis:
        """The text that a detector finds on a page, in the page's best orientation.

        Vertical text means that the page lies on its side. Its lines are then detected again on the rotated page,
        because detectors find horizontal text best. Where the result is doubtful, the other axis is tried too.
        """
        regions = detector(image)
        if not self.correct_orientation:
            return self._recognize_regions(image, regions, 0)
        sideways = is_sideways(regions)

        def recognize(quarters: int) -> PageHypothesis:
            rotated = rotate_quarters(image, quarters)
            return self._upright_or_upside_down(rotated, detector(rotated) if quarters else regions, quarters)

        first = recognize(int(sideways))
        if not is_orientation_doubtful(first.confident_letters, first.letters, is_small(image)):
            return first
        if len(first.regions) > THRESHOLDS.max_lines_to_reread:
            return first
        second = recognize(int(not sideways))
        return second if is_rotation_better(first.confident_letters, second.confident_letters) else first

    def _upright_or_upside_down(self, rotated: ColourImage, regions: list[Region], quarters: int) -> PageHypothesis:
        """The text of a page that was rotated by 0 or 1 quarter turns: as it is, or rotated by two more.

        The widest lines are recognized both ways and decide.
        """
        upright = self._recognize_regions(rotated, regions, quarters)
        if not upright.regions or is_clearly_upright(upright.confident_letters, upright.letters, quarters):
            return upright
        widest = sorted(range(len(upright.regions)), key=lambda k: -upright.regions[k].region.size[0])
        probes = widest[: THRESHOLDS.probe_lines]
        upside_down = self.line_reader.read_lines([rotate_quarters(upright.crops[k], 2) for k in probes])
        upright_letters = confident_letters([upright.lines[k] for k in probes])
        if not is_upside_down(upright_letters, confident_letters(upside_down), quarters):
            return upright
        half_turn = partial(rotate_points, quarters=2, shape=rotated.shape)
        turned_regions = [region.transform(half_turn) for region in regions]
        return self._recognize_regions(rotate_quarters(rotated, 2), turned_regions, quarters + 2)

    def _recognize_regions(self, rotated: ColourImage, regions: list[Region], quarters: int) -> PageHypothesis:
        """Recognize the regions of a page that was rotated by quarter turns, in reading order."""
        lines = [ordered for ordered in order_regions(regions, rotated) if _is_line(ordered.region)]
        return self._recognize(quarters, THRESHOLDS.line_margin, lines, rotated)

    def _recognize_whole(self, rotated: ColourImage, quarters: int = 0, confidence: float = 1.0) -> PageHypothesis:
        """Recognize a whole image, rotated by quarter turns, as one line with the given detector confidence."""
        (region,) = SingleLine()(rotated)
        return self._recognize(quarters, 0.0, [OrderedRegion(replace(region, confidence=confidence), 0)], rotated)

    def _recognize(
        self, quarters: int, margin: float, regions: list[OrderedRegion], rotated: ColourImage
    ) -> PageHypothesis:
        crops = [rectify(rotated, ordered.region.outline, margin) for ordered in regions]
        lines = zip(self.line_reader.read_lines(crops), regions, strict=True)
        return PageHypothesis(quarters, margin, regions, crops, [replace(line, cell=r.cell) for line, r in lines])


def _drop_background(hypothesis: PageHypothesis, is_small: bool) -> PageHypothesis:
    """The hypothesis without the regions that are background, with the short cells of tables assessed.

    is_small: the image is small, or one line.
    """
    confidences = [ordered.region.confidence for ordered in hypothesis.regions]
    probabilities = text_probabilities(confidences, hypothesis.lines, is_small, hypothesis.quarters != 0)
    lines = assess_cells(confidences, hypothesis.lines)
    mask = [
        p >= MIN_TEXT_PROBABILITY or (is_short_cell(line) and line.legibility >= MIN_LEGIBILITY)
        for p, line in zip(probabilities, lines, strict=True)
    ]
    return replace(
        hypothesis,
        regions=list(compress(hypothesis.regions, mask)),
        crops=list(compress(hypothesis.crops, mask)),
        lines=list(compress(lines, mask)),
    )


def number_cells(lines: Sequence[Line]) -> list[Line]:
    """The lines with tables, rows and columns numbered without gaps: those of which no line was kept do not count."""
    cells = [line.cell for line in lines if line.cell is not None]
    tables = sorted({cell.table for cell in cells})
    rows = {table: sorted({cell.row for cell in cells if cell.table == table}) for table in tables}
    columns = {table: sorted({cell.column for cell in cells if cell.table == table}) for table in tables}

    def number(cell: Cell) -> Cell:
        places = rows[cell.table].index(cell.row), columns[cell.table].index(cell.column)
        return Cell(tables.index(cell.table), *places)

    return [line if line.cell is None else replace(line, cell=number(line.cell)) for line in lines]


def _is_line(region: Region) -> bool:
    """Whether a region has the shape of a text line, not of a rule or an edge."""
    width, height = region.size
    return height >= 1 and width <= THRESHOLDS.max_line_aspect * height


def is_letter_spaced(text: str) -> bool:
    """Whether a text is letter-spaced: most of its words are single characters, and it has enough of them.

    >>> is_letter_spaced("a b c d e f gh"), is_letter_spaced("a note to all of us")
    (True, False)
    """
    words = text.split()
    single_letters = sum(len(word) == 1 for word in words)
    return single_letters >= max(THRESHOLDS.letter_spaced_words, THRESHOLDS.letter_spaced_fraction * len(words))


def space_letters(line: Line) -> Line:
    """The line with a space between all letters if most are letter-spaced, as in an alphabet (see `is_letter_spaced`).

    Recognizers miss the narrower of such spaces.
    """
    if not is_letter_spaced(line.text):
        return line
    letters = [c for c in line.characters if not c.text.isspace()]
    spaced = letters[:1]
    for a, b in pairwise(letters):
        spaced += [_space_between(a, b), b]
    return replace(line, text="".join(c.text for c in spaced), characters=tuple(spaced), words=())


def _join_lines(lines: Sequence[Line]) -> Line:
    """Join two or more lines of a page, given from left to right, into one line with a space between them."""
    characters = list(lines[0].characters)
    for line in lines[1:]:
        characters += [_space_between(characters[-1], line.characters[0]), *line.characters]
    rectangle = minimum_area_rectangle(np.array([point for line in lines for point in line.polygon]))
    # The polygon begins at the start of the text: its first side has the direction of the first line
    sides = np.roll(rectangle, -1, 0) - rectangle
    (x0, y0), (x1, y1) = lines[0].polygon[:2]
    first = int(np.argmax(sides @ (x1 - x0, y1 - y0) / np.maximum(1e-9, np.hypot(*sides.T))))
    return replace(
        lines[0], text=" ".join(line.text for line in lines), characters=tuple(characters),
        words=tuple(word for line in lines for word in line.words),
        confidence=math.prod(line.confidence for line in lines),
        legibility=float(np.average([line.legibility for line in lines], weights=[len(line.text) for line in lines])),
        polygon=tuple((float(x), float(y)) for x, y in np.roll(rectangle, -first, 0)),
        recognizer="+".join(dict.fromkeys(line.recognizer for line in lines)),
    )  # fmt: skip


def _space_between(a: Character, b: Character) -> Character:
    """A space that fills the gap between two characters, with the lower confidence of both."""
    corners = (a.polygon[1], b.polygon[0], b.polygon[3], a.polygon[2]) if a.polygon and b.polygon else ()
    xs = [x for x, _ in corners] or [a.right, b.left]
    return Character(" ", min(a.confidence, b.confidence), min(xs), max(xs), corners)


def _map_line_to_page(
    line: Line, ordered: OrderedRegion, rotate_back: Callable[[Corners], Corners], crop_shape: tuple[int, ...],
    margin: float,
) -> Line:  # fmt: skip
    """The line with the coordinates of the page instead of those of its crop.

    rotate_back: maps points of the rotated page to the page. margin: heights that the crop has above and below.
    """
    outline = ordered.region.outline
    crop_outline = rotate_back(expand_outline(outline, margin))
    to_page = partial(map_to_page, crop_outline, (crop_shape[1], crop_shape[0]))

    def map_part(part: Part) -> Part:
        polygon = to_page(part.polygon)
        xs = [x for x, _ in polygon]
        return replace(part, polygon=polygon, left=min(xs), right=max(xs))

    points = outline if outline.ndim == 2 else np.concatenate([outline[:, 0], outline[::-1, 1]])
    return replace(
        line, polygon=tuple((float(x), float(y)) for x, y in rotate_back(points)),
        paragraph=ordered.paragraph,
        characters=tuple(map(map_part, line.characters)), words=tuple(map(map_part, line.words)),
    )  # fmt: skip
