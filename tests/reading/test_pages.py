"""Pages: lines are found, set upright, read, and said to stand where they stand on the image as it was given."""

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
from glyphline.reading import pages
from glyphline.reading.detection.detectors import DbNetDetector, InkDetector, Region, SingleLine
from glyphline.reading.lines import LineReader
from glyphline.reading.pages import PageReader, space_letters
from glyphline.reading.recognition.constraints import Lexicon
from glyphline.reading.recognition.ensemble import Ensemble
from glyphline.reading.recognition.recognizers import open_recognizer

TEXTS = ["Shopping list", "bread and milk", "twelve eggs"]
AT = [(120, 160), (120, 270), (120, 380)]  # where each begins on its baseline


def note(degrees: float = 0.0) -> ColourImage:
    sheet = np.full((500, 700, 3), 235, np.uint8)
    for text, at in zip(TEXTS, AT, strict=True):
        cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, 1.6, (40, 40, 60), 3, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((350, 250), degrees, 1.0)
    return np.asarray(cv2.warpAffine(sheet, turn, (700, 500), borderValue=(235, 235, 235)), np.uint8)


@pytest.fixture(scope="module")
def reader() -> PageReader:
    return open_reader("reader", detector="paper")


@pytest.mark.parametrize("degrees", [0, 9, -13])
def test_a_note_is_read_line_by_line(reader: PageReader, degrees: float) -> None:
    page = reader.read_picture(note(degrees))
    assert page.text.split("\n") == TEXTS
    assert (page.width, page.height, page.rotation, page.number) == (700, 500, 0, 1)
    turn = cv2.getRotationMatrix2D((350, 250), degrees, 1.0)
    for line, (x, y) in zip(page.lines, AT, strict=True):
        start = turn @ (x, y - 17, 1)  # the middle of the left side of the first letter
        first = np.array(line.characters[0].polygon)
        assert np.abs((first[0] + first[3]) / 2 - start).max() < 20
        assert np.abs((np.array(line.polygon[0]) + line.polygon[3]) / 2 - start).max() < 30
        assert [w.text for w in line.words] == line.text.split()
        for part in (*line.characters, *line.words):
            assert part.left == min(x for x, _ in part.polygon) <= part.right == max(x for x, _ in part.polygon)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_picture_is_set_upright_and_its_places_are_those_of_the_picture(
    reader: PageReader, quarters: int
) -> None:
    upright, turned = reader.read_picture(note()), reader.read_picture(np.ascontiguousarray(np.rot90(note(), quarters)))
    assert turned.text == upright.text and turned.rotation == (360 - 90 * quarters) % 360
    assert (turned.width, turned.height) == ((500, 700) if quarters % 2 else (700, 500))

    def place(line: Line) -> np.ndarray:
        return np.array([c.polygon for c in line.characters]).mean(axis=1)

    for one, other in zip(upright.lines, turned.lines, strict=True):
        x, y = place(one).T
        wanted = {1: (y, 700 - x), 2: (700 - x, 500 - y), 3: (500 - y, x)}[quarters]
        assert np.abs(place(other) - np.stack(wanted, 1)).max() < 8


def test_pages_that_lie_may_be_left_so() -> None:
    reader = replace(open_reader("reader", detector="paper"), upright=False)
    assert reader.read_picture(np.ascontiguousarray(np.rot90(note(), 2))).rotation == 0


def test_every_page_of_a_file_is_read(reader: PageReader) -> None:
    sheets = [Image.fromarray(note()), Image.new("RGB", (300, 200), "white"), Image.fromarray(note(5))]
    out = io.BytesIO()
    sheets[0].save(out, "TIFF", save_all=True, append_images=sheets[1:])
    pages = list(reader.read_pages(out.getvalue()))
    assert [page.text.split("\n") for page in pages] == [TEXTS, [""], TEXTS]
    assert [page.number for page in pages] == [1, 2, 3]
    assert reader.read(out.getvalue()) == pages[0]


class Says:
    """Reads the same in every line, each character as sure as it is told."""

    calibrated = True

    def __init__(self, text: str, sure: float = 0.9, seen: float = 1.0) -> None:
        places = [Character(c, sure, 9.0 * k, 9.0 * k + 8, box(9.0 * k, 9.0 * k + 8)) for k, c in enumerate(text)]
        self.line = Line(text, sure, (), "says", tuple(places), visual_confidence=seen)

    def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
        return [self.line] * len(images)


def box(left: float, right: float) -> Polygon:
    return ((left, 0.0), (right, 0.0), (right, 20.0), (left, 20.0))


def test_a_line_that_is_too_long_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rule.png"
    Image.new("L", (20_000, 2), "white").save(path)
    with pytest.raises(ImageError, match=r"rule\.png: a line of 20000 x 2 px"):
        PageReader().read(path)


def test_a_line_that_would_be_guessed_is_left_unread() -> None:
    image = np.full((60, 300, 3), 255, np.uint8)
    (line,) = PageReader(Says("perhaps", 0.69), min_confidence=0.7).read_picture(image).lines
    assert line.rejected and line.text == "" and not line.words and not line.characters and line.confidence == 0.69
    assert line.to_dict()["rejected"] is True
    (line,) = PageReader(Says("perhaps", 0.71), min_confidence=0.7).read_picture(image).lines
    assert line.text == "perhaps" and line.to_dict()["rejected"] is False
    assert (
        PageReader(Says(""), min_confidence=1.0).read_picture(image).lines == ()
    )  # nothing there is nothing unreadable


def test_what_is_never_calibrated_is_always_read() -> None:
    recognizer = open_recognizer("reader")
    recognizer = SimpleNamespace(info=replace(recognizer.info, calibration=None), log_probs=recognizer.log_probs)
    assert pages.open_reader(recognizer).min_confidence == 0 and open_reader("reader").min_confidence > 0


def test_the_letters_of_an_alphabet_are_all_set_apart() -> None:
    said = space_letters(Says("a b c d e f ghi").line)
    assert said.text == "a b c d e f g h i" == "".join(c.text for c in said.characters)
    assert [word.text for word in said.words] == said.text.split()
    assert all(a.left <= b.left for a, b in pairwise(said.characters))
    for text in ("a man and a dog", "a b c d e", "i am a b c d e f of all those letters here", ""):
        assert space_letters(Says(text).line) == Says(text).line


class Finds:
    """Pieces where it is told, as sure as it is told."""

    def __init__(self, *regions: Region) -> None:
        self.regions = list(regions)

    def __call__(self, image: ColourImage) -> list[Region]:
        return self.regions


def region(left: float, top: float, right: float, bottom: float, sure: float = 0.9) -> Region:
    return Region(np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64), sure)


@pytest.mark.parametrize(
    ("text", "found", "seen", "wanted"),
    [
        ("E", 0.6, 0.86, False),  # a fork
        ("2", 0.8, 1.0, True),
        ("goes", 0.68, 0.67, False),  # tiles
        ("Exit", 0.7, 0.9, True),
        ("000100", 0.75, 0.4, False),  # coins
        ("The first test", 0.7, 0.48, True),
    ],
)
def test_scenery_is_found_and_read_without_confidence(text: str, found: float, seen: float, wanted: bool) -> None:
    reader = PageReader(Says(text, 0.9, seen), Finds(region(10, 10, 90, 50, found)))
    page = reader.read_picture(np.full((400, 400, 3), 255, np.uint8))
    assert [line.text for line in page.lines] == ([text] if wanted else [])


def test_a_lone_letter_that_no_text_would_be_is_none() -> None:
    image = np.full((400, 400, 3), 255, np.uint8)
    for sure, wanted in ((0.2, ""), (0.5, "V")):  # a fan of folds; confidence knows that texts are seldom so
        assert PageReader(Says("V", sure), Finds(region(10, 10, 90, 50))).read_picture(image).text == wanted


def test_a_page_is_not_turned_for_a_letter() -> None:
    level = [region(10, 10, 90, 50)]
    for text, wanted in (("F", ""), ("Fire", "Fire")):
        page = PageReader(Says(text), Looks(level, [])).read_picture(np.full((200, 100, 3), 255, np.uint8))
        assert page.text == wanted and page.rotation == (90 if wanted else 0)  # what says nothing lies as it lies


class SaysInTurn(Says):
    """Reads other lines in each image of a line, by how wide it is."""

    def __init__(self, **by_width: Line) -> None:
        self.by_width = {int(width[1:]): line for width, line in by_width.items()}

    def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
        return [self.by_width[image.shape[1]] for image in images]


def test_what_stands_beside_text_need_not_look_like_much() -> None:
    regions = [region(10, 10, 190, 50), region(10, 60, 50, 100, 0.6)]
    image = np.full((400, 400, 3), 255, np.uint8)
    for first, seen, wanted in (("Item", 0.9, "Item\n2"), ("Item", 0.6, "Item"), ("It", 0.9, "It")):
        reader = PageReader(SaysInTurn(w180=Says(first, 0.9, seen).line, w40=Says("2", 0.9, 0.9).line), Finds(*regions))
        assert reader.read_picture(image).text == wanted


def test_a_small_picture_is_also_read_as_one_line() -> None:
    image = np.full((60, 300, 3), 255, np.uint8)
    parts = Says("ear", 0.9, 0.5).line  # what the detector finds, and all of the image
    for whole, wanted in ((Says("Dear", 0.9, 0.8).line, "Dear"), (Says("D", 0.9, 0.9).line, "ear")):
        reader = PageReader(SaysInTurn(w80=parts, w300=whole), Finds(region(10, 10, 90, 50)), other=SingleLine())
        page = reader.read_picture(image)
        assert page.text == wanted
        assert page.lines[0].polygon[0] == ((0, 0) if wanted == "Dear" else (10, 10))
        clear = PageReader(SaysInTurn(w80=replace(parts, visual_confidence=0.99)), reader.detector, other=SingleLine())
        assert clear.read_picture(image).text == "ear"  # nothing else is looked at
    nothing = PageReader(SaysInTurn(), Finds(), other=SingleLine())  # no detector promises text
    assert nothing.read_picture(image).text == ""


def test_what_is_said_to_be_one_line_is_looked_at_more_closely_where_it_is_doubted() -> None:
    image = np.full((60, 300, 3), 255, np.uint8)
    detector = Finds(region(10, 10, 90, 50), region(190, 10, 290, 50))
    one, two = Says("Dear", 0.9).line, Says("Sir", 0.8).line
    for whole, wanted in ((Says("Deu5", 0.9, 0.4).line, "Dear Sir"), (Says("Dear Sirs", 0.9, 0.9).line, "Dear Sirs")):
        reader = PageReader(SaysInTurn(w300=whole, w80=one, w100=two), other=detector)
        (line,) = reader.read_picture(image).lines
        assert line.text == wanted == "".join(c.text for c in line.characters)
        assert [word.text for word in line.words] == wanted.split()
    reader = PageReader(SaysInTurn(w300=Says("Deu5", 0.9, 0.4).line, w80=one, w100=two), other=detector)
    (line,) = reader.read_picture(image).lines
    assert line.confidence == pytest.approx(0.72) and line.recognizer == "says"
    assert [(round(x), round(y)) for x, y in line.polygon] == [(10, 10), (290, 10), (290, 50), (10, 50)]
    assert all(c.left <= c.right for c in line.characters)
    (line,) = replace(reader, min_confidence=0.95).read_picture(image).lines
    assert line.rejected and line.text == ""  # all of it, not the half that is sure
    clear = PageReader(SaysInTurn(w300=Says("Dear", 0.9, 0.99).line), other=detector)
    assert clear.read_picture(image).text == "Dear"


def test_ink_that_says_nearly_nothing_is_scenery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InkDetector, "__call__", lambda self, image: [region(10, 10, 90, 50, 1.0)])
    image = np.full((100, 400, 3), 255, np.uint8)
    for text, sure, wanted in (
        ("ma", 0.6, ""),
        ("Eggs", 0.9, "Eggs"),
        ("Nine words of this sort are worth a look", 0.6, None),
    ):
        for least in (0.5, 0.0):
            page = PageReader(Says(text, sure), InkDetector(), min_confidence=least).read_picture(image)
            assert page.text == (text if wanted is None or not least else wanted)
            assert len(page.lines) == 1 and page.lines[0].rejected == (page.text == "")


class Looks(Finds):
    """Finds only where the image is wide, and remembers the sizes of those it was shown."""

    def __init__(self, wide: list[Region], narrow: list[Region]) -> None:
        super().__init__(*wide)
        self.narrow, self.shown = narrow, []

    def __call__(self, image: ColourImage) -> list[Region]:
        self.shown.append(image.shape[1::-1])
        return self.regions if image.shape[1] > image.shape[0] else self.narrow


def test_a_page_on_its_side_is_looked_through_anew() -> None:
    level = [region(10, 10, 390, 40), region(10, 50, 390, 80)]
    detector = Looks(level, [region(10, 10, 40, 390)])  # of the two lines that lie it finds one
    page = PageReader(Says("word", 0.9), detector).read_picture(np.full((400, 100, 3), 255, np.uint8))
    assert [line.text for line in page.lines] == ["word", "word"] and page.rotation == 90
    assert detector.shown == [(100, 400), (400, 100)]
    assert page.lines[0].polygon == ((90, 10), (90, 390), (60, 390), (60, 10))  # of the image as it was given


def test_a_page_stands_the_way_in_which_more_is_seen() -> None:
    class Reads:
        """A page whose upper half is dark stands upright; on its head other words are read, as surely, but not seen."""

        calibrated = True

        def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
            return [
                Says("WHY PAY", 0.9).line if image[:9].mean() < image[-9:].mean() else Says("AND MHM", 0.9, 0.5).line
                for image in images
            ]

    image = np.full((400, 400, 3), 255, np.uint8)
    image[20:35, 10:90] = 0
    detector = Finds(region(10, 20, 90, 50))
    assert PageReader(Reads(), detector).read_picture(image).rotation == 0
    on_its_head = PageReader(Reads(), Finds(region(310, 350, 390, 380))).read_picture(np.rot90(image, 2))
    assert on_its_head.rotation == 180 and on_its_head.text == "WHY PAY"


def test_a_line_of_several_parts_that_runs_down_begins_at_its_upper_end() -> None:
    """The image was turned to be read; its places are those of the image as it was given."""
    level = [region(10, 10, 90, 50), region(190, 10, 290, 50)]
    said = SaysInTurn(w60=Says("x", 0.9, 0.1).line, w80=Says("Dear").line, w100=Says("Sirs").line)
    page = PageReader(said, other=Looks(level, [region(10, 10, 50, 290)])).read_picture(
        np.full((300, 60, 3), 255, np.uint8)
    )
    (line,) = page.lines
    assert line.text == "Dear Sirs" and page.rotation == 90
    assert [(round(x), round(y)) for x, y in line.polygon] == [(50, 10), (50, 290), (10, 290), (10, 10)]
    assert all(c.left <= c.right for c in line.characters)


def test_what_is_read_is_not_given_up_for_scenery() -> None:
    image = np.full((60, 300, 3), 255, np.uint8)
    said = SaysInTurn(w300=Says("7", 0.9, 0.9).line, w80=Says("T", 0.9, 0.98).line)
    assert PageReader(said, other=Finds(region(10, 10, 90, 50, 0.7))).read_picture(image).text == "7"


def test_a_second_look_that_fails_costs_nothing() -> None:
    class Fails(SaysInTurn):
        def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
            if images[0].shape[1] == 300:
                raise ImageError("a line is too long")
            return super().read_lines(images)

    reader = PageReader(Fails(w80=Says("ear", 0.9, 0.9).line), Finds(region(10, 10, 90, 50)), other=SingleLine())
    assert reader.read_picture(np.full((60, 300, 3), 255, np.uint8)).text == "ear"


def test_a_small_picture_in_which_nothing_is_found_is_turned_too() -> None:
    level = [region(10, 10, 290, 40)]
    page = PageReader(Says("word", 0.9), Looks(level, [])).read_picture(np.full((300, 60, 3), 255, np.uint8))
    assert page.text == "word" and page.rotation == 90
    large = Looks(level, [])
    assert PageReader(Says("word", 0.9), large).read_picture(np.full((900, 600, 3), 255, np.uint8)).lines == ()
    assert len(large.shown) == 1  # of a photograph of anything that takes too long


def test_a_crowded_page_is_read_once() -> None:
    for rows, looks in ((20, 2), (301, 1)):
        detector = Looks([region(10, 20 * k, 90, 20 * k + 15) for k in range(rows)], [])
        PageReader(Says("doubt", 0.4, 0.5), detector).read_picture(np.full((6100, 7000, 3), 255, np.uint8))
        assert len(detector.shown) == looks


def test_a_rule_is_no_line() -> None:
    image = np.full((100, 4000, 3), 255, np.uint8)
    reader = PageReader(Says("word"), Finds(region(0, 10, 4000, 20), region(10, 60, 200, 90)))
    assert [line.polygon[0] for line in reader.read_picture(image).lines] == [(10, 60)]


def test_a_picture_of_one_line_is_read_as_it_is() -> None:
    seen = []

    class Looks(Says):
        def read_lines(self, images: Sequence[ColourImage]) -> list[Line]:
            seen.extend(images)
            return super().read_lines(images)

    image = note()
    (line,) = PageReader(Looks("word", 0.1)).read_picture(image).lines
    assert len(seen) == 1 and (seen[0] == image).all()  # not turned, not cut
    assert line.polygon == ((0, 0), (700, 0), (700, 500), (0, 500))


def test_what_a_line_may_say_is_asked_of_all_of_it_once() -> None:
    pytest.importorskip("rapidocr")
    assert isinstance(open_reader(detector="none").other, DbNetDetector) and isinstance(open_reader().other, SingleLine)
    bound = pages.open_reader(detector="none", constraint=lambda recognizer: Lexicon(("yes", "no")))
    assert bound.other is None  # parts of it would each say a whole text
    assert open_reader("reader", detector="none").other is None and open_reader(detector="paper").other is None


def test_the_usual_reader_is_the_best_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rapidocr")
    both = open_reader()
    assert isinstance(both.reader, Ensemble) and isinstance(both.detector, DbNetDetector)
    assert [reader.recognizer.info.name for reader in both.reader.readers] == ["reader", "pp-ocr"]
    monkeypatch.setattr(pages, "find_spec", lambda name: None)
    alone = open_reader()
    assert isinstance(alone.reader, LineReader) and isinstance(alone.detector, InkDetector)
    with pytest.raises(UserError, match="choices: none, paper, photo"):
        open_reader(detector="pencil")
