"""PageReader: detection, orientation, recognition and rejection; coordinates are those of the input image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from glyphline import open_reader
from glyphline.errors import ImageError, UserError
from glyphline.imaging.documents import ColourImage
from glyphline.page import Character, Line, Polygon
from glyphline.reading import pages, rejection
from glyphline.reading.detection.detectors import DbNetDetector, InkDetector, SingleLine
from glyphline.reading.detection.regions import Region
from glyphline.reading.lines import LineReader
from glyphline.reading.pages import PageReader, space_letters
from glyphline.reading.recognition.constraints import Lexicon
from glyphline.reading.recognition.recognizers import open_recognizer

TEXTS = ["Shopping list", "bread and milk", "twelve eggs"]
BASELINES = [(120, 160), (120, 270), (120, 380)]  # (x, y) px where each line begins on its baseline


def draw_note(degrees: float = 0.0) -> ColourImage:
    """Three lines of print on a sheet (500, 700, 3), rotated by some degrees."""
    sheet = np.full((500, 700, 3), 235, np.uint8)
    for text, start in zip(TEXTS, BASELINES, strict=True):
        cv2.putText(sheet, text, start, cv2.FONT_HERSHEY_SIMPLEX, 1.6, (40, 40, 60), 3, cv2.LINE_AA)
    rotation = cv2.getRotationMatrix2D((350, 250), degrees, 1.0)
    return np.asarray(cv2.warpAffine(sheet, rotation, (700, 500), borderValue=(235, 235, 235)), np.uint8)


@pytest.fixture(scope="module")
def reader() -> PageReader:
    return open_reader("reader", detector="paper")


@pytest.mark.parametrize("degrees", [0, 9, -13])
def test_note_is_read_line_by_line(reader: PageReader, degrees: float) -> None:
    page = reader.read_image(draw_note(degrees))
    assert page.text.split("\n") == TEXTS
    assert (page.width, page.height, page.rotation, page.number) == (700, 500, 0, 1)
    rotation = cv2.getRotationMatrix2D((350, 250), degrees, 1.0)
    for line, (x, y) in zip(page.lines, BASELINES, strict=True):
        start = rotation @ (x, y - 17, 1)  # the middle of the left side of the first letter
        first = np.array(line.characters[0].polygon)
        assert np.abs((first[0] + first[3]) / 2 - start).max() < 20
        assert np.abs((np.array(line.polygon[0]) + line.polygon[3]) / 2 - start).max() < 30
        assert [w.text for w in line.words] == line.text.split()
        for part in (*line.characters, *line.words):
            assert part.left == min(x for x, _ in part.polygon) <= part.right == max(x for x, _ in part.polygon)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_rotated_page_is_read_upright_with_coordinates_of_the_input(reader: PageReader, quarters: int) -> None:
    upright, rotated = (
        reader.read_image(draw_note()),
        reader.read_image(np.ascontiguousarray(np.rot90(draw_note(), quarters))),
    )
    assert rotated.text == upright.text and rotated.rotation == (360 - 90 * quarters) % 360
    assert (rotated.width, rotated.height) == ((500, 700) if quarters % 2 else (700, 500))

    def centres(line: Line) -> np.ndarray:
        return np.array([c.polygon for c in line.characters]).mean(axis=1)

    for upright_line, rotated_line in zip(upright.lines, rotated.lines, strict=True):
        x, y = centres(upright_line).T
        expected = {1: (y, 700 - x), 2: (700 - x, 500 - y), 3: (500 - y, x)}[quarters]
        assert np.abs(centres(rotated_line) - np.stack(expected, 1)).max() < 8


def test_orientation_correction_can_be_switched_off() -> None:
    reader = replace(open_reader("reader", detector="paper"), correct_orientation=False)
    assert reader.read_image(np.ascontiguousarray(np.rot90(draw_note(), 2))).rotation == 0


def test_every_page_of_a_document_is_read(reader: PageReader) -> None:
    sheets = [Image.fromarray(draw_note()), Image.new("RGB", (300, 200), "white"), Image.fromarray(draw_note(5))]
    out = io.BytesIO()
    sheets[0].save(out, "TIFF", save_all=True, append_images=sheets[1:])
    pages = list(reader.read_pages(out.getvalue()))
    assert [page.text.split("\n") for page in pages] == [TEXTS, [""], TEXTS]
    assert [page.number for page in pages] == [1, 2, 3]
    assert reader.read(out.getvalue()) == pages[0]


class ConstantReader:
    """Recognizes the same text in every line, with the given confidences."""

    calibrated = True
    direction = "ltr"

    def __init__(
        self, text: str, confidence: float = 0.9, visual_confidence: float = 1.0, legibility: float = 1.0
    ) -> None:
        characters = [
            Character(c, confidence, 9.0 * k, 9.0 * k + 8, rectangle(9.0 * k, 9.0 * k + 8)) for k, c in enumerate(text)
        ]
        self.line = Line(text, confidence, (), "constant", tuple(characters), visual_confidence=visual_confidence)
        self.line = replace(self.line, legibility=legibility)

    def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
        return [self.line] * len(images)

    def draft_lines(self, images: Sequence[ColourImage]) -> list[Line]:
        return self.read_lines(images)


def rectangle(left: float, right: float) -> Polygon:
    return ((left, 0.0), (right, 0.0), (right, 20.0), (left, 20.0))


def test_too_long_line_is_reported_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "rule.png"
    Image.new("L", (20_000, 2), "white").save(path)
    with pytest.raises(ImageError, match=r"rule\.png: a line of 20000 x 2 px"):
        PageReader().read(path)


def test_line_below_min_confidence_is_rejected() -> None:
    image = np.full((60, 300, 3), 255, np.uint8)
    (line,) = PageReader(ConstantReader("perhaps", 0.69), min_confidence=0.7).read_image(image).lines
    assert line.rejected and line.text == "" and not line.words and not line.characters and line.confidence == 0.69
    assert line.to_dict()["rejected"] is True
    (line,) = PageReader(ConstantReader("perhaps", 0.71), min_confidence=0.7).read_image(image).lines
    assert line.text == "perhaps" and line.to_dict()["rejected"] is False
    assert (
        PageReader(ConstantReader(""), min_confidence=1.0).read_image(image).lines == ()
    )  # a line without text is not a rejected line


def test_uncalibrated_model_rejects_nothing() -> None:
    recognizer = open_recognizer("reader")
    recognizer = SimpleNamespace(info=replace(recognizer.info, calibration=None), log_probs=recognizer.log_probs)
    assert pages.open_reader(recognizer).min_confidence == 0 and open_reader("reader").min_confidence > 0


def test_letter_spaced_text_gets_a_space_between_all_letters() -> None:
    spaced = space_letters(ConstantReader("a b c d e f ghi").line)
    assert spaced.text == "a b c d e f g h i" == "".join(c.text for c in spaced.characters)
    assert [word.text for word in spaced.words] == spaced.text.split()
    assert all(a.left <= b.left for a, b in pairwise(spaced.characters))
    for text in ("a man and a dog", "a b c d e", "i am a b c d e f of all those letters here", ""):
        assert space_letters(ConstantReader(text).line) == ConstantReader(text).line


class FixedDetector:
    """Detects the given regions in every image."""

    def __init__(self, *regions: Region) -> None:
        self.regions = list(regions)

    def __call__(self, image: ColourImage) -> list[Region]:
        return self.regions


def region(left: float, top: float, right: float, bottom: float, confidence: float = 0.9) -> Region:
    return Region(np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64), confidence)


@pytest.fixture
def legibility_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The legibility of a region alone decides whether it is text."""
    weights = [0.0, 1.0, *[0.0] * (rejection.TEXT_FEATURE_COUNT - 2)]
    monkeypatch.setattr(rejection, "fitted_text_weights", lambda: weights)


@pytest.mark.usefixtures("legibility_decides")
def test_background_is_dropped() -> None:
    image = np.full((400, 400, 3), 255, np.uint8)
    for legibility, expected in ((0.97, ["goes"]), (0.1, [])):
        reader = PageReader(ConstantReader("goes", legibility=legibility), FixedDetector(region(10, 10, 90, 50, 0.7)))
        assert [line.text for line in reader.read_image(image).lines] == expected


@pytest.mark.usefixtures("legibility_decides")
def test_page_without_text_is_not_rotated() -> None:
    level = [region(10, 10, 90, 50)]
    for legibility, expected in ((0.1, ""), (0.97, "Fire")):
        reader = PageReader(ConstantReader("Fire", legibility=legibility), DetectorByShape(level, []))
        page = reader.read_image(np.full((200, 100, 3), 255, np.uint8))
        assert page.text == expected and page.rotation == (90 if expected else 0)


class ReaderByWidth(ConstantReader):
    """Recognizes the line that is given for the width of the image."""

    def __init__(self, **by_width: Line) -> None:
        self.by_width = {int(width[1:]): line for width, line in by_width.items()}

    def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
        return [self.by_width[image.shape[1]] for image in images]

    def draft_lines(self, images: Sequence[ColourImage]) -> list[Line]:
        return [Line("", 1.0, (), "constant") for _ in images]


def test_doubtful_small_image_is_also_read_as_one_line() -> None:
    image = np.full((60, 300, 3), 255, np.uint8)
    parts = ConstantReader("ear", 0.9, 0.5).line  # w80 is the detected region, w300 the whole image
    for whole, expected in (
        (ConstantReader("Dear", 0.9, 0.8).line, "Dear"),
        (ConstantReader("D", 0.9, 0.9).line, "ear"),
    ):
        reader = PageReader(
            ReaderByWidth(w80=parts, w300=whole), FixedDetector(region(10, 10, 90, 50)), second_detector=SingleLine()
        )
        page = reader.read_image(image)
        assert page.text == expected
        assert page.lines[0].polygon[0] == ((0, 0) if expected == "Dear" else (10, 10))
        clear = PageReader(
            ReaderByWidth(w80=replace(parts, visual_confidence=0.99)), reader.detector, second_detector=SingleLine()
        )
        assert clear.read_image(image).text == "ear"  # the second detector is not used
    nothing = PageReader(ReaderByWidth(), FixedDetector(), second_detector=SingleLine())  # nothing was detected
    assert nothing.read_image(image).text == ""


def test_doubtful_single_line_is_detected_again_and_joined() -> None:
    image = np.full((60, 300, 3), 255, np.uint8)
    detector = FixedDetector(region(10, 10, 90, 50), region(190, 10, 290, 50))
    first, second = ConstantReader("Dear", 0.9).line, ConstantReader("Sir", 0.8).line
    for whole, expected in (
        (ConstantReader("Deu5", 0.9, 0.4).line, "Dear Sir"),
        (ConstantReader("Dear Sirs", 0.9, 0.9).line, "Dear Sirs"),
    ):
        reader = PageReader(ReaderByWidth(w300=whole, w80=first, w100=second), second_detector=detector)
        (line,) = reader.read_image(image).lines
        assert line.text == expected == "".join(c.text for c in line.characters)
        assert [word.text for word in line.words] == expected.split()
    reader = PageReader(
        ReaderByWidth(w300=ConstantReader("Deu5", 0.9, 0.4).line, w80=first, w100=second), second_detector=detector
    )
    (line,) = reader.read_image(image).lines
    assert line.confidence == pytest.approx(0.72) and line.recognizer == "constant"
    assert [(round(x), round(y)) for x, y in line.polygon] == [(10, 10), (290, 10), (290, 50), (10, 50)]
    assert all(c.left <= c.right for c in line.characters)
    (line,) = replace(reader, min_confidence=0.95).read_image(image).lines
    assert line.rejected and line.text == ""  # the whole line, not only its unreliable part
    clear = PageReader(ReaderByWidth(w300=ConstantReader("Dear", 0.9, 0.99).line), second_detector=detector)
    assert clear.read_image(image).text == "Dear"


def test_parts_of_a_right_to_left_line_are_joined_from_the_right() -> None:
    parts = {"w80": "לום", "w100": "ש", "w120": "2 רבד"}  # 80 px at the left of the first row, 100 at its right
    detector = FixedDetector(region(10, 10, 90, 50), region(190, 10, 290, 50), region(160, 80, 280, 120))
    lines = {}
    for width, text in parts.items():
        line = ConstantReader(text[::-1], 0.9).line  # each further character stands to the left
        lines[width] = replace(line, text=text, characters=line.characters[::-1], words=())
    reader = ReaderByWidth(w300=ConstantReader("Deu5", 0.9, 0.4).line, **lines)
    reader.direction = "rtl"
    (line,) = PageReader(reader, second_detector=detector).read_image(np.full((130, 300, 3), 255, np.uint8)).lines
    assert line.text == "ש לום 2 רבד" == "".join(c.text for c in line.characters)
    assert [word.text for word in line.words] == line.text.split()
    space = line.characters[1]  # between the right part and the left one
    assert space.left == line.characters[2].right < space.right == line.characters[0].left
    assert space.polygon[0][0] == space.left and space.polygon[1][0] == space.right


@pytest.mark.usefixtures("legibility_decides")
def test_ink_that_is_no_text_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InkDetector, "__call__", lambda self, image: [region(10, 10, 90, 50, 1.0)])
    image = np.full((100, 400, 3), 255, np.uint8)
    for legibility, expected in ((0.97, "Eggs"), (0.1, "")):
        for min_confidence in (0.5, 0.0):
            reader = ConstantReader("Eggs", 0.9, legibility=legibility)
            page = PageReader(reader, InkDetector(), min_confidence=min_confidence).read_image(image)
            (line,) = page.lines
            assert page.text == (expected if min_confidence else "Eggs")
            assert line.rejected == (page.text == "") and (line.reason == rejection.NOT_TEXT) == line.rejected


class DetectorByShape(FixedDetector):
    """Detects other regions in wide images than in narrow ones, and records the sizes of the images."""

    def __init__(self, wide: list[Region], narrow: list[Region]) -> None:
        super().__init__(*wide)
        self.narrow, self.sizes = narrow, []

    def __call__(self, image: ColourImage) -> list[Region]:
        self.sizes.append(image.shape[1::-1])
        return self.regions if image.shape[1] > image.shape[0] else self.narrow


def test_sideways_page_is_detected_again_after_rotation() -> None:
    level = [region(10, 10, 390, 40), region(10, 50, 390, 80)]
    detector = DetectorByShape(level, [region(10, 10, 40, 390)])  # of two vertical lines it detects one
    page = PageReader(ConstantReader("word", 0.9), detector).read_image(np.full((400, 100, 3), 255, np.uint8))
    assert [line.text for line in page.lines] == ["word", "word"] and page.rotation == 90
    assert detector.sizes == [(100, 400), (400, 100)]
    assert page.lines[0].polygon == ((90, 10), (90, 390), (60, 390), (60, 10))  # of the input image


def test_orientation_with_more_confident_letters_is_chosen() -> None:
    class OrientedReader:
        """Recognizes other words upside down, with the same confidence and a lower visual confidence."""

        calibrated = True
        direction = "ltr"

        def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
            return [
                ConstantReader("WHY PAY", 0.9).line
                if image[:9].mean() < image[-9:].mean()
                else ConstantReader("AND MHM", 0.9, 0.5).line
                for image in images
            ]

        def draft_lines(self, images: Sequence[ColourImage]) -> list[Line]:
            return self.read_lines(images)

    image = np.full((400, 400, 3), 255, np.uint8)
    image[20:35, 10:90] = 0
    detector = FixedDetector(region(10, 20, 90, 50))
    assert PageReader(OrientedReader(), detector).read_image(image).rotation == 0
    upside_down = PageReader(OrientedReader(), FixedDetector(region(310, 350, 390, 380))).read_image(np.rot90(image, 2))
    assert upside_down.rotation == 180 and upside_down.text == "WHY PAY"


def test_joined_vertical_line_begins_at_its_upper_end() -> None:
    """The image is rotated for recognition, and the coordinates are those of the input."""
    level = [region(10, 10, 90, 50), region(190, 10, 290, 50)]
    line_reader = ReaderByWidth(
        w60=ConstantReader("x", 0.9, 0.1).line, w80=ConstantReader("Dear").line, w100=ConstantReader("Sirs").line
    )
    page = PageReader(line_reader, second_detector=DetectorByShape(level, [region(10, 10, 50, 290)])).read_image(
        np.full((300, 60, 3), 255, np.uint8)
    )
    (line,) = page.lines
    assert line.text == "Dear Sirs" and page.rotation == 90
    assert [(round(x), round(y)) for x, y in line.polygon] == [(50, 10), (50, 290), (10, 290), (10, 10)]
    assert all(c.left <= c.right for c in line.characters)


@pytest.mark.usefixtures("legibility_decides")
def test_first_result_is_kept_if_the_second_is_background() -> None:
    image = np.full((60, 300, 3), 255, np.uint8)
    for legibility, expected in ((0.1, "7"), (0.97, "T")):
        second = ConstantReader("T", 0.9, 0.98, legibility).line
        line_reader = ReaderByWidth(w300=ConstantReader("7", 0.9, 0.9).line, w80=second)
        reader = PageReader(line_reader, second_detector=FixedDetector(region(10, 10, 90, 50, 0.7)))
        assert reader.read_image(image).text == expected


def test_failing_second_detection_keeps_the_first_result() -> None:
    class FailingReader(ReaderByWidth):
        def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
            if images[0].shape[1] == 300:
                raise ImageError("a line is too long")
            return super().read_lines(images)

    reader = PageReader(
        FailingReader(w80=ConstantReader("ear", 0.9, 0.9).line),
        FixedDetector(region(10, 10, 90, 50)),
        second_detector=SingleLine(),
    )
    assert reader.read_image(np.full((60, 300, 3), 255, np.uint8)).text == "ear"


def test_small_image_without_regions_is_also_tried_sideways() -> None:
    level = [region(10, 10, 290, 40)]
    page = PageReader(ConstantReader("word", 0.9), DetectorByShape(level, [])).read_image(
        np.full((300, 60, 3), 255, np.uint8)
    )
    assert page.text == "word" and page.rotation == 90
    large = DetectorByShape(level, [])
    assert PageReader(ConstantReader("word", 0.9), large).read_image(np.full((900, 600, 3), 255, np.uint8)).lines == ()
    assert len(large.sizes) == 1  # a large photograph without text is detected once


def test_rule_is_not_a_line() -> None:
    image = np.full((100, 4000, 3), 255, np.uint8)
    reader = PageReader(ConstantReader("word"), FixedDetector(region(0, 10, 4000, 20), region(10, 60, 200, 90)))
    assert [line.polygon[0] for line in reader.read_image(image).lines] == [(10, 60)]


def test_single_line_image_is_recognized_unchanged() -> None:
    crops = []

    class RecordingReader(ConstantReader):
        def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
            crops.extend(images)
            return super().read_lines(images)

    image = draw_note()
    (line,) = PageReader(RecordingReader("word", 0.1)).read_image(image).lines
    assert len(crops) == 1 and (crops[0] == image).all()  # neither rotated nor cropped
    assert line.polygon == ((0, 0), (700, 0), (700, 500), (0, 500))


def test_constraint_disables_the_second_detector() -> None:
    assert isinstance(open_reader(detector="none").second_detector, DbNetDetector) and isinstance(
        open_reader().second_detector, SingleLine
    )
    constrained = pages.open_reader(detector="none", constraint=lambda recognizer: Lexicon(("yes", "no")))
    assert constrained.second_detector is None  # each part of a line would have to match the constraint
    assert (
        open_reader("reader", detector="none").second_detector is None
        and open_reader(detector="paper").second_detector is None
    )


def test_auto_reader_is_the_bundled_recognizer_of_photographs() -> None:
    auto = open_reader()
    assert isinstance(auto.line_reader, LineReader) and isinstance(auto.detector, DbNetDetector)
    assert auto.line_reader.recognizer.info.name == "photo" and "en" in auto.line_reader.languages
    with pytest.raises(UserError, match="choices: none, paper, photo"):
        open_reader(detector="pencil")
