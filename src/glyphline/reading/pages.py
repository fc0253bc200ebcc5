"""Page pipeline: detect lines, find which way up they stand, rectify each, recognize it, reject what is unreliable."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import compress, islice, pairwise
from math import log
from statistics import median
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from glyphline.errors import ImageError, UserError
from glyphline.imaging.documents import ColourImage, Document, GreyImage, ImageSource
from glyphline.page import Cell, Character, Line, Page, Word
from glyphline.reading.cell_reliability import assess_cells, is_short_cell
from glyphline.reading.cell_texts import join_units, remove_leaders
from glyphline.reading.detection.bars import MIN_BARS, bars_of_tables, erase_bars, find_bars, split_at_bars
from glyphline.reading.detection.cell_ink import NARROW, erase_other_rows
from glyphline.reading.detection.detectors import (
    DbNetDetector,
    Detector,
    InkDetector,
    SingleLine,
    is_small,
    open_detector,
)
from glyphline.reading.detection.orientation import (
    DIRECTIONS,
    DRAFT_ASPECT,
    DRAFT_LINES,
    SUFFICIENT_PROBABILITY,
    crop_middle,
    direction_probabilities,
    draft_features,
    is_one_character,
    orientation_features,
    rotate_points,
    rotate_quarters,
)
from glyphline.reading.detection.reading_order import OrderedRegion, order_mixed_directions, order_regions
from glyphline.reading.detection.rectification import expand_outline, map_to_page, rectify
from glyphline.reading.detection.regions import Corners, Region, minimum_area_rectangle
from glyphline.reading.leading_numbers import ReadRegion, separate_numbers
from glyphline.reading.lines import LineReader, open_line_reader
from glyphline.reading.number_cells import find_numbers
from glyphline.reading.recognition.constraints import Constraint
from glyphline.reading.recognition.languages import ENGLISH, main_language
from glyphline.reading.recognition.posteriors import Posteriors
from glyphline.reading.recognition.recognizers import PHOTO, Recognizer
from glyphline.reading.recognition.reliability import MIN_LEGIBILITY
from glyphline.reading.rejection import (
    MIN_TEXT_PROBABILITY,
    is_unreadable_text,
    reject,
    reject_unreliable,
    reject_unreliable_lines,
    text_probabilities,
)
from glyphline.reading.thresholds import THRESHOLDS
from glyphline.writing_direction import RTL

AUTO = "auto"  # as a model or a detector: the best for anything

Part = TypeVar("Part", Character, Word)


class LineReaderProtocol(Protocol):
    """Reads line images, as `LineReader` does."""

    @property
    def calibrated(self) -> bool:
        """Whether the confidences are calibrated."""

    @property
    def direction(self) -> str:
        """The direction of the lines, "ltr" or "rtl"."""

    def read_lines(self, images: Sequence[GreyImage | ColourImage]) -> list[Line]:
        """One Line for each image (H, W) or (H, W, 3) uint8, in the same order."""

    def draft_lines(self, images: Sequence[GreyImage | ColourImage]) -> list[Line]:
        """As `read_lines`, but faster: nothing but the texts and the confidences is needed."""

    def recognize(self, images: Sequence[GreyImage | ColourImage]) -> list[Posteriors]:
        """The posteriors of the lines."""


def open_reader(
    model: str | Recognizer = AUTO, decoder: str = "beam", detector: str = AUTO, min_confidence: float | None = None,
    constraint: Callable[[Recognizer], Constraint] | None = None, language: str = AUTO,
) -> PageReader:  # fmt: skip
    """Open a reader of pages.

    model: "auto", the name of a bundled reader, "pp-ocr", an .onnx file, or a recognizer. "auto" is "photo".
    decoder: a spec such as "beam" or "beam:my.lm", see DECODERS.
    detector: a name in DETECTORS, or "auto": "photo". With the model "auto", "photo" and "none" also try each other
    where the result is doubtful (see `PageReader.second_detector`), but not with a constraint.
    min_confidence: share of correct characters, 0..1; lines below it are rejected (see `reject_unreliable_lines`). The
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
    rotation_confidence: float | None = None  # 0..1, the probability of `quarters`; None if others were not considered

    @property
    def visible_characters(self) -> float:
        """The number of characters of legible lines, each weighted by the visual confidence of its line."""
        legible = [line for line in self.lines if line.legibility >= MIN_LEGIBILITY]
        return sum(line.visual_confidence * len(line.characters) for line in legible)

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
        hypothesis = _separate_numbers(self._best_hypothesis(image))
        rotated_shape = (width, height) if hypothesis.quarters % 2 else (height, width)
        rotate_back = partial(rotate_points, quarters=-hypothesis.quarters, shape=rotated_shape)
        lines = [
            _map_line_to_page(space_letters(line), region, rotate_back, crop.shape, hypothesis.margin)
            for region, crop, line in zip(hypothesis.regions, hypothesis.crops, hypothesis.lines, strict=True)
            if line.text
        ]
        if isinstance(self.detector, SingleLine) and len(lines) > 1:
            lines = [_join_lines(_order_parts(lines) if self.line_reader.direction == RTL else lines)]
        lines = number_cells(join_units([remove_leaders(line) for line in lines], _join_lines))
        rotation = 90 * hypothesis.quarters if lines else 0  # a page without recognized text is not rotated
        kept = tuple(reject_unreliable_lines(lines, self.min_confidence))
        if self.min_confidence > 0 and isinstance(self.detector, InkDetector):
            probabilities = text_probabilities([None] * len(lines), lines, is_small(image), hypothesis.quarters != 0)
            kept = tuple(
                line if p >= MIN_TEXT_PROBABILITY else reject(line) for line, p in zip(kept, probabilities, strict=True)
            )
        language = main_language([(line.language, line.text) for line in kept if line.text])
        rotation_confidence = hypothesis.rotation_confidence if lines else None
        return Page(width, height, kept, number, rotation, language, rotation_confidence)

    def _best_hypothesis(self, image: ColourImage) -> PageHypothesis:
        """The text of a page in its best orientation.

        A small image may be a single line that was cropped, and an image given as a single line may hold vertical or
        curved text. Where the first result is doubtful, the second detector is tried. Its result is used if clearly
        more characters are visible in it.
        """
        is_single_line = isinstance(self.detector, SingleLine)
        small = is_single_line or is_small(image)
        detected = self._recognize_whole(image) if is_single_line else self.best_orientation(image, self.detector)
        first = self._drop_background(detected, small)
        if self.second_detector is None or not small or not first.is_doubtful or not detected.regions:
            return first
        try:
            if is_single_line:
                second = self.best_orientation(image, self.second_detector)
            else:
                confidence = max(ordered.region.confidence for ordered in detected.regions)
                rotated = rotate_quarters(image, detected.quarters)
                second = self._recognize_whole(rotated, detected.quarters, confidence)
                second = replace(second, rotation_confidence=detected.rotation_confidence)
        except ImageError:  # the whole image is too long for a line
            return first
        second = self._drop_background(second, small)
        is_better = second.visible_characters > THRESHOLDS.min_improvement * first.visible_characters
        return second if is_better else first

    def best_orientation(self, image: ColourImage, detector: Detector) -> PageHypothesis:
        """The text that a detector finds on a page, in the orientation in which it is upright.

        The direction is chosen before the lines are recognized (see `_find_orientation`). The lines of a page on its
        side are detected again on the rotated page, because detectors find horizontal text best.
        """
        regions = detector(image)
        if not self.correct_orientation:
            return self._recognize_regions(image, regions, detector, 0, None)
        regions_by_axis = {0: regions}
        quarters, confidence = self._find_orientation(image, regions_by_axis, detector)
        rotated = rotate_quarters(image, quarters)
        if quarters % 2:
            regions = regions_by_axis[1] if 1 in regions_by_axis else detector(rotate_quarters(image, 1))
        if quarters > 1:
            half_turn = partial(rotate_points, quarters=2, shape=rotated.shape)
            regions = [region.transform(half_turn) for region in regions]
        return self._recognize_regions(rotated, regions, detector, quarters, confidence)

    def _find_orientation(
        self, image: ColourImage, regions_by_axis: dict[int, list[Region]], detector: Detector
    ) -> tuple[int, float | None]:
        """The quarter turns that make a page upright, and their probability 0..1. None without evidence.

        regions_by_axis: 0 -> the regions of the image. 1 -> those of the image rotated by a quarter turn; they are
        added where they are needed. A large image without a region is most often a photograph without text.
        """
        regions = regions_by_axis[0]
        if not regions and not is_small(image):
            return 0, None
        probabilities = direction_probabilities("page", orientation_features(image, regions))
        best = int(probabilities.argmax())
        if probabilities[best] >= SUFFICIENT_PROBABILITY:
            return best, float(probabilities[best])
        candidates = [q for q in DIRECTIONS if probabilities[q] > 1 - SUFFICIENT_PROBABILITY]
        if any(q % 2 for q in candidates):
            regions_by_axis[1] = detector(rotate_quarters(image, 1))
        rows = self.draft_rows(image, regions_by_axis, candidates, probabilities)
        probabilities = direction_probabilities("page draft", rows)
        best = int(probabilities.argmax())
        return candidates[best], float(probabilities[best])

    def draft_rows(
        self, image: ColourImage, regions_by_axis: dict[int, list[Region]], candidates: Sequence[int],
        probabilities: npt.NDArray[np.float64],
    ) -> npt.NDArray[np.float64]:  # fmt: skip
        """The features of the candidates, directions of a page, by what a few of its lines read (see `draft_features`).

        regions_by_axis: of the image, and of the image rotated by a quarter turn, where a candidate needs them.
        probabilities: (4,), of each direction by `orientation_features`.
        """
        rotated = {axis: rotate_quarters(image, axis) for axis in {q % 2 for q in candidates}}
        crops: list[ColourImage] = []
        counts = []
        for q in candidates:
            probes = sorted(regions_by_axis[q % 2], key=lambda region: -region.size[0])[:DRAFT_LINES]
            crops += [rotate_quarters(crop_middle(rotated[q % 2], r, DRAFT_ASPECT), q - q % 2) for r in probes]
            counts.append(len(probes))
        drafts = iter(self.line_reader.draft_lines(crops))
        return np.array(
            [
                draft_features(log(probabilities[q]), list(islice(drafts, count)))
                for q, count in zip(candidates, counts, strict=True)
            ]
        )

    def _recognize_regions(
        self, rotated: ColourImage, regions: list[Region], detector: Detector, quarters: int, confidence: float | None
    ) -> PageHypothesis:
        """Recognize the regions of a page that was rotated by quarter turns, in reading order, each its own way up.

        Bars between the cells of its tables are no text.
        """
        rotated, regions = _without_bars(rotated, regions, detector)
        directions = [0] * len(regions)
        if self.correct_orientation:
            vertical = [k for k, region in enumerate(regions) if region.is_vertical and not is_one_character(region)]
            found = self._find_directions(rotated, [regions[k] for k in vertical], (0, 1, 3))
            for k, direction in zip(vertical, found, strict=True):
                directions[k] = direction
        lines = [o for o in order_mixed_directions(regions, directions, rotated) if _is_line(o.region)]
        hypothesis = self._recognize(quarters, THRESHOLDS.line_margin, lines, rotated)
        hypothesis = replace(hypothesis, rotation_confidence=confidence)
        return self._turn_upside_down_lines(hypothesis, rotated) if self.correct_orientation else hypothesis

    def _find_directions(
        self, rotated: ColourImage, regions: Sequence[Region], candidates: tuple[int, ...]
    ) -> list[int]:
        """The direction of each region of an upright page, one of the candidates."""
        chosen: list[int] = []
        doubtful: list[tuple[int, npt.NDArray[np.float64]]] = []
        for k, region in enumerate(regions):
            rows = orientation_features(rotated, [region])[list(candidates)]
            probabilities = direction_probabilities("region", rows)
            chosen.append(candidates[int(probabilities.argmax())])
            if probabilities.max() < SUFFICIENT_PROBABILITY:
                doubtful.append((k, probabilities))
        if not doubtful:
            return chosen
        crops = [crop_middle(rotated, regions[k], DRAFT_ASPECT) for k, _ in doubtful]
        drafts = self.line_reader.draft_lines([rotate_quarters(crop, q) for crop in crops for q in candidates])
        for n, (k, probabilities) in enumerate(doubtful):
            read = drafts[n * len(candidates) : (n + 1) * len(candidates)]
            rows = np.array([draft_features(log(p), [d]) for p, d in zip(probabilities, read, strict=True)])
            chosen[k] = candidates[int(direction_probabilities("region draft", rows).argmax())]
        return chosen

    def _turn_upside_down_lines(self, hypothesis: PageHypothesis, rotated: ColourImage) -> PageHypothesis:
        """The hypothesis with its upside-down lines recognized the right way up.

        They are looked for among the lines that would be rejected. Short cells of a table stand as the others do.
        """
        regions, crops, lines = list(hypothesis.regions), list(hypothesis.crops), list(hypothesis.lines)
        rejected = [
            k
            for k, line in enumerate(lines)
            if not is_short_cell(line) and reject_unreliable(line, self.min_confidence).rejected
        ]
        directions = self._find_directions(rotated, [regions[k].region for k in rejected], (0, 2))
        turned = [k for k, direction in zip(rejected, directions, strict=True) if direction]
        if not turned:
            return hypothesis
        for k in turned:
            regions[k] = replace(regions[k], region=regions[k].region.begin_at_other_end())
            crops[k] = rotate_quarters(crops[k], 2)
        for k, line in zip(turned, self.line_reader.read_lines([crops[k] for k in turned]), strict=True):
            lines[k] = replace(line, cell=regions[k].cell)
        return replace(hypothesis, regions=regions, crops=crops, lines=lines)

    def _recognize_whole(self, rotated: ColourImage, quarters: int = 0, confidence: float = 1.0) -> PageHypothesis:
        """Recognize a whole image, rotated by quarter turns, as one line with the given detector confidence."""
        (region,) = SingleLine()(rotated)
        return self._recognize(quarters, 0.0, [OrderedRegion(replace(region, confidence=confidence), 0)], rotated)

    def _recognize(
        self, quarters: int, margin: float, regions: list[OrderedRegion], rotated: ColourImage
    ) -> PageHypothesis:
        crops = [_crop(rotated, ordered, margin) for ordered in regions]
        lines = zip(self.line_reader.read_lines(crops), regions, strict=True)
        return PageHypothesis(quarters, margin, regions, crops, [replace(line, cell=r.cell) for line, r in lines])

    def _drop_background(self, hypothesis: PageHypothesis, is_small: bool) -> PageHypothesis:
        """The hypothesis without the regions that are background, with the short cells of tables assessed.

        is_small: the image is small, or one line.
        """
        confidences = [ordered.region.confidence for ordered in hypothesis.regions]
        probabilities = text_probabilities(confidences, hypothesis.lines, is_small, hypothesis.quarters != 0)
        numbers = find_numbers(
            confidences, hypothesis.lines, lambda ks: self.line_reader.recognize([hypothesis.crops[k] for k in ks])
        )
        lines = assess_cells(confidences, hypothesis.lines, numbers)
        mask = [
            p >= MIN_TEXT_PROBABILITY
            or (is_short_cell(line) and line.legibility >= MIN_LEGIBILITY)
            or is_unreadable_text(line)
            for p, line in zip(probabilities, lines, strict=True)
        ]
        return replace(
            hypothesis,
            regions=list(compress(hypothesis.regions, mask)),
            crops=list(compress(hypothesis.crops, mask)),
            lines=list(compress(lines, mask)),
        )


def _without_bars(image: ColourImage, regions: list[Region], detector: Detector) -> tuple[ColourImage, list[Region]]:
    """A page without the bars between the cells of its tables, and its regions; the same where there are none.

    regions: those that the detector finds with the bars. Bars outside of tables are text.
    """
    if not regions:
        return image, regions
    bars = find_bars(image, median(region.size[1] for region in regions))
    if len(bars) < MIN_BARS:
        return image, regions
    tables: dict[int, list[Corners]] = defaultdict(list)
    erased = erase_bars(image, bars)
    found = detector(erased)
    for ordered in order_regions(found, erased):
        if ordered.cell is not None:
            tables[ordered.cell.table].append(ordered.region.corners)
    inside = bars_of_tables(bars, list(tables.values()))
    if len(inside) < MIN_BARS:
        return image, regions
    if len(inside) < len(bars):
        erased = erase_bars(image, inside)
        found = detector(erased)
    return erased, split_at_bars(found, inside)


def _crop(image: ColourImage, ordered: OrderedRegion, margin: float) -> ColourImage:
    """The rectified image of a region; that of a cell of few characters is without the ink of other rows."""
    crop = rectify(image, ordered.region.outline, margin)
    is_narrow = ordered.cell is not None and crop.shape[1] <= NARROW * crop.shape[0]
    return erase_other_rows(crop) if is_narrow else crop


def _separate_numbers(hypothesis: PageHypothesis) -> PageHypothesis:
    """The hypothesis with the numbers before the texts of its tables in cells of their own."""
    page = separate_numbers(list(map(ReadRegion, hypothesis.regions, hypothesis.crops, hypothesis.lines)))
    return replace(
        hypothesis,
        regions=[read.ordered for read in page],
        crops=[read.crop for read in page],
        lines=[read.line for read in page],
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


def _order_parts(lines: Sequence[Line]) -> list[Line]:
    """The parts of a right-to-left line from right to left. lines: at least one, in the order of left-to-right text.

    Parts further to the right than the one before are in one row; rows follow one another as they are given.
    """
    (x0, y0), (x1, y1) = lines[0].polygon[:2]
    starts = [(x1 - x0) * x + (y1 - y0) * y for (x, y), *_ in (line.polygon for line in lines)]
    rows = [[lines[0]]]
    for line, (before, start) in zip(lines[1:], pairwise(starts), strict=True):
        if start > before:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in reversed(row)]


def _join_lines(lines: Sequence[Line]) -> Line:
    """Join two or more lines of a page, given in the order of their text, into one line with a space between them."""
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
    """A space that fills the gap between two characters, with the lower confidence of both.

    In right-to-left text the second character is the left one.
    """
    if a.polygon and b.polygon:
        (x0, y0), (x1, y1) = a.polygon[:2]
        is_reversed = (b.polygon[0][0] - x0) * (x1 - x0) + (b.polygon[0][1] - y0) * (y1 - y0) < 0
    else:
        is_reversed = b.left < a.left
    if is_reversed:
        a, b = b, a
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
    # All parts are mapped at once: a transform for each character took as long as finding the tables
    parts: list[Character | Word] = [*line.characters, *line.words]
    corners = [point for part in parts for point in part.polygon]
    mapped = iter(map_to_page(crop_outline, (crop_shape[1], crop_shape[0]), corners) if corners else ())

    def map_part(part: Part) -> Part:
        polygon = tuple(islice(mapped, len(part.polygon)))
        xs = [x for x, _ in polygon]
        return replace(part, polygon=polygon, left=min(xs), right=max(xs))

    characters, words = tuple(map(map_part, line.characters)), tuple(map(map_part, line.words))
    points = outline if outline.ndim == 2 else np.concatenate([outline[:, 0], outline[::-1, 1]])
    return replace(
        line, polygon=tuple((float(x), float(y)) for x, y in rotate_back(points)),
        paragraph=ordered.paragraph, characters=characters, words=words,
    )  # fmt: skip
