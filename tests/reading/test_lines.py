"""The reader: a line reads the same alone and in company, and says where its characters stand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from glyphline.alphabet import Alphabet
from glyphline.errors import ImageError
from glyphline.imaging.documents import GreyImage
from glyphline.reading import lines as reading
from glyphline.reading.lines import LONGEST, SHARED, LineReader
from glyphline.reading.pages import PageReader
from glyphline.reading.recognition.decoders import GreedyDecoder
from glyphline.reading.recognition.recognizers import bundled_names

Draw = Callable[..., GreyImage]
TEXTS = ["abc", "g", "aab bag", "fed cab gab bed", "ab" * 30, "dd", "cage", "f"]


@pytest.fixture
def reader(bar_codes: Any) -> LineReader:
    return LineReader(bar_codes())


# -------------------------------------------------------------------------------------------------------- alone or many


@pytest.mark.parametrize("text", TEXTS)
def test_a_known_picture_says_its_text(reader: LineReader, drawn: Draw, text: str) -> None:
    line = reader.read_line(drawn(text))
    assert (line.text, line.recognizer) == (text, "barcodes")
    assert line.confidence == min(c.confidence for c in line.characters)
    assert [word.text for word in line.words] == text.split()


@pytest.mark.parametrize("lines, pixels", [(64, 1_500_000), (1, 1_500_000), (3, 1_500_000), (64, 1)])
def test_lines_read_the_same_alone_and_in_any_batch(
    bar_codes: Any, drawn: Draw, monkeypatch: pytest.MonkeyPatch, lines: int, pixels: int
) -> None:
    monkeypatch.setattr(reading, "BATCH_LINES", lines)
    monkeypatch.setattr(reading, "BATCH_PIXELS", pixels)
    images = [drawn(text, width=4 + 2 * (k % 3)) for k, text in enumerate(TEXTS * 3)]
    reader = LineReader(bar_codes())
    together = reader.read_lines(images)
    assert [line.text for line in together] == TEXTS * 3  # in the order given
    assert sum(shape[0] for shape in reader.recognizer.batches) == len(images)  # type: ignore[attr-defined]
    assert together == [reader.read_line(image) for image in images]
    assert together[::-1] == reader.read_lines(images[::-1])


def test_batches_keep_to_their_limits(bar_codes: Any, drawn: Draw) -> None:
    recognizer = bar_codes()
    LineReader(recognizer).read_lines([drawn("a")] * 150 + [drawn("ab" * 400)] * 9)
    assert max(shape[0] for shape in recognizer.batches) <= reading.BATCH_LINES
    assert all(n == 1 or n * h * w <= reading.BATCH_PIXELS for n, h, w in recognizer.batches)
    assert all(w % reading.BUCKET == 0 for _, _, w in recognizer.batches)


def test_no_lines_give_no_lines(reader: LineReader) -> None:
    assert reader.read_lines([]) == []


def test_a_real_network_reads_the_same_alone_and_in_any_batch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from glyphline.composing.line_sets import LineSet
    from glyphline.reading.recognition.recognizers import open_recognizer
    from glyphline.recipe import recipe_from
    from glyphline.training.export import export
    from glyphline.training.network import Network, save_weights

    network = {"channels": [4, 8], "stride": 4, "features": 16, "context": "bilstm", "layers": 1}
    recipe = recipe_from({"lines": {"height": 32, "length": [2, 9]}, "network": network})
    torch.manual_seed(0)
    made = Network(recipe)
    torch.nn.init.normal_(made.head.weight)  # talkative, so that there is something to compare
    save_weights(made, tmp_path / "best.pt")
    export(tmp_path / "best.pt", tmp_path / "model.onnx")
    reader = LineReader(open_recognizer(str(tmp_path / "model.onnx")))
    lines = LineSet(recipe.lines, "test", 0)
    images = [lines.line(k).image for k in range(12)]
    together = reader.read_lines(images)
    assert any(line.text for line in together)
    for line, image in zip(together, images, strict=True):
        alone = reader.read_line(image)
        assert alone.text == line.text
        for a, b in zip(alone.characters, line.characters, strict=True):
            assert (a.left, a.right) == (b.left, b.right) and a.confidence == pytest.approx(b.confidence, abs=1e-4)
            assert 0 <= a.left <= a.right <= image.shape[1]
        assert all(a.left <= b.left for a, b in pairwise(alone.characters))


# ----------------------------------------------------------------------------------------------------- where they stand


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("text", ["abc", "gag d", "b"])
def test_characters_stand_where_they_were_drawn(reader: LineReader, drawn: Draw, text: str, scale: int) -> None:
    line = reader.read_line(drawn(text, width=8, gap=8, scale=scale))
    assert line.text == text
    for k, character in enumerate(line.characters):
        space = 8 if character.text == " " else 0  # from the ink before to the ink after
        assert character.left == pytest.approx((8 + 16 * k - space) * scale, abs=scale)
        assert character.right == pytest.approx((16 + 16 * k + space) * scale, abs=scale)


@pytest.mark.parametrize("stride, window", [(1, 0), (4, 0), (8, 0), (14, 20)])
def test_extents_ascend_inside_the_picture(bar_codes: Any, drawn: Draw, stride: int, window: int) -> None:
    reader = LineReader(bar_codes(stride, window))
    for text in TEXTS:
        for gap in (0, 3, 20):
            image = drawn(text, width=40, gap=gap)
            line, (height, width) = reader.read_line(image), image.shape
            assert line.characters
            assert all(0 <= c.left < c.right <= width for c in line.characters)
            assert all(a.left < b.left for a, b in pairwise(line.characters))
            assert line.polygon == ((0, 0), (width, 0), (width, height), (0, height))


def test_a_line_narrower_than_a_window_is_read(bar_codes: Any) -> None:
    recognizer = bar_codes(14, 20)
    image = np.zeros((28, 6), np.uint8)
    image[:8, :3] = 255
    assert LineReader(recognizer).read_line(image).text == "c"
    assert recognizer.batches[0][2] >= 20


# ----------------------------------------------------------------------------------------------------------- long lines


class Cut:
    """Bar codes as a network that keeps no frame sees them, so that a long line is read in parts."""

    def __init__(self, real: Any) -> None:
        self.real, self.info = real, dataclasses.replace(real.info, normalization="colour")

    def log_probs(self, lines: Any) -> Any:
        assert lines.shape[2] <= LONGEST * 28 + reading.BUCKET
        return self.real.log_probs(lines[..., 0])


def long_line(seed: int, width: int, stride: int) -> tuple[GreyImage, list[tuple[str, int, int]]]:
    """A line of some width, full of bars that every stride sees, and what they say: character, from, to."""
    rng = np.random.default_rng(seed)
    line, said, at = np.zeros((28, width), np.uint8), [], int(rng.integers(0, 30))
    while True:
        wide, gap = (int(n) * max(2, stride) + int(rng.integers(0, 3)) for n in rng.integers(1, (4, 5)))
        at += gap
        if at + wide + 2 * stride > width:
            return line, said
        k = int(rng.integers(1, 8))  # no spaces, whose places are between the others
        line[: 2 * (k + 1), at : at + wide] = 255
        said.append((" abcdefg"[k], at, at + wide))
        at += wide


MOST = LONGEST * 28  # px
WIDTHS = [
    MOST - 1,
    MOST,
    MOST + 1,
    MOST + 27,
    MOST + 500,
    2 * MOST - SHARED * 28,
    2 * MOST - SHARED * 28 + 1,
    9 * MOST + 5,
]


@pytest.mark.parametrize("stride, window", [(1, 0), (4, 0), (8, 0), (6, 10)])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_line_of_any_length_is_read_whole(bar_codes: Any, width: int, stride: int, window: int) -> None:
    reader = LineReader(Cut(bar_codes(stride, window)))
    for seed in range(3):
        image, said = long_line(seed, width + seed, stride)
        line = reader.read_line(np.repeat(image[:, :, None], 3, 2))
        assert line.text == "".join(c for c, _, _ in said)  # none lost, none doubled
        for character, (_, left, right) in zip(line.characters, said, strict=True):
            assert character.left < right and character.right > left  # where it was drawn
            assert abs(character.left + character.right - left - right) / 2 < 10
        shapes = reader.recognizer.real.batches  # type: ignore[attr-defined]
        parts = 1 if width + seed <= MOST else math.ceil((width + seed - SHARED * 28) / (MOST - SHARED * 28))
        assert sum(shape[0] for shape in shapes) == parts
        shapes.clear()


def test_long_lines_among_others_keep_their_places(bar_codes: Any) -> None:
    made = [long_line(k, width, 4) for k, width in enumerate([300, 5 * MOST, 90, MOST + 1, 5 * MOST, 300])]
    told: list[tuple[int, int]] = []
    reader = LineReader(Cut(bar_codes(4)))
    decoded = reader.decode_all(
        [np.repeat(line[:, :, None], 3, 2) for line, _ in made],
        lambda k, log_probs, alphabet: told.append((k, len(log_probs))),
    )
    assert [d.text for d in decoded] == ["".join(c for c, _, _ in said) for _, said in made]
    assert sorted(told) == [(k, -(-line.shape[1] // 4)) for k, (line, _) in enumerate(made)]


def test_a_line_that_fills_its_frame_is_not_cut(bar_codes: Any) -> None:
    recognizer = bar_codes()
    image, said = long_line(0, 3 * MOST, 1)
    assert LineReader(recognizer).read_line(image).text == "".join(c for c, _, _ in said)
    assert [shape[:2] for shape in recognizer.batches] == [(1, 28)] and recognizer.batches[0][2] >= 3 * MOST


def test_parts_cover_a_line_and_share_enough() -> None:
    for stride in (1, 4, 6, 7, 8):
        info = dataclasses.replace(LineReader().recognizer.info, height=28, stride=stride, normalization="ink")
        for width in (1, MOST, *range(MOST + 1, MOST + 3 * stride), 3 * MOST + 1, 16_384):
            parts = reading._parts(width, info)
            assert parts[0].start == 0 and parts[-1].stop == width
            assert all(part.start % stride == 0 and part.stop - part.start <= MOST for part in parts)
            assert all(a.stop - b.start >= SHARED * 28 - stride and a.start < b.start for a, b in pairwise(parts))


def test_a_large_alphabet_is_cut_to_what_had_a_chance() -> None:
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
    rng = np.random.default_rng(0)
    shares = np.full((40, 3001), 1e-9, np.float32)
    for row in shares:
        row[0], row[rng.integers(1, 3001)] = rng.uniform(0.2, 0.7), 0.25
    shares[3, 7], shares[4, 9] = 1.1e-5, 0.9e-5
    log_probs, wide = np.log(shares), Alphabet(characters)
    few, alphabet = reading._likely(log_probs, wide)
    assert characters[6] in alphabet and characters[8] not in alphabet and len(alphabet) <= 42
    assert few.shape == (40, len(alphabet)) and (few[:, 0] == log_probs[:, 0]).all()
    for k, character in enumerate(alphabet.characters, 1):
        assert (few[:, k] == log_probs[:, characters.index(character) + 1]).all()
    assert GreedyDecoder()(few, alphabet) == GreedyDecoder()(log_probs, wide)


def test_where_nothing_has_a_chance_the_likeliest_character_stays() -> None:
    """An alphabet without characters is refused, and cut to none by noise that says nothing at all."""
    log_probs = np.full((9, 2001), np.log(1e-9), np.float32)
    log_probs[:, 0], log_probs[4, 77] = 0.0, np.log(1e-7)
    few, alphabet = reading._likely(log_probs, Alphabet("".join(map(chr, range(0x4E00, 0x4E00 + 2000)))))
    assert alphabet.characters == chr(0x4E00 + 76) and few.shape == (9, 2)
    assert GreedyDecoder()(few, alphabet).text == ""


def test_all_of_a_small_alphabet_is_kept(bar_codes: Any, drawn: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    def known(reader: LineReader) -> list[int]:
        told: list[int] = []
        reader.decode_all([drawn("abc")], lambda k, log_probs, alphabet: told.append(len(alphabet)))
        return told

    class Certain:
        """Bar codes without a doubt, so that most classes have no chance."""

        def __init__(self) -> None:
            self.real, self.info = bar_codes(), bar_codes().info

        def log_probs(self, lines: Any) -> Any:
            said = self.real.log_probs(lines)
            return np.where(said == said.max(axis=2, keepdims=True), 0, -20).astype(np.float32)

    assert known(LineReader(Certain())) == [9]  # eight letters and the blank
    monkeypatch.setattr(reading, "MANY", 7)
    assert known(LineReader(Certain())) == [4]  # a, b, c and the blank
    assert LineReader(Certain()).read_line(drawn("abc")).text == "abc"
    blank = np.full((28, 90), 255, np.uint8)
    assert LineReader(Certain()).read_line(blank).text == ""


# ----------------------------------------------------------------------------------------------------------- no image


class Babbles:
    """Says something to everything, even to nothing."""

    def __init__(self, real: Any, frame: str) -> None:
        import dataclasses

        self.info = dataclasses.replace(real.info, normalization=frame)

    def log_probs(self, lines: Any) -> Any:
        out = np.full((len(lines), lines.shape[2], len(self.info.alphabet) + 1), -9, np.float32)
        out[:, :, 3] = 0
        return out


BLANK = [
    ("ink", 255), ("ink", 128), ("ink", 0), ("whole", 255),
    ("whole", 128),
    ("whole", 0),
]  # fmt: skip


@pytest.mark.parametrize("frame, grey", BLANK)
def test_a_blank_picture_says_nothing(bar_codes: Any, frame: str, grey: int) -> None:
    line = LineReader(Babbles(bar_codes(), frame)).read_line(np.full((40, 200), grey, np.uint8))
    assert (line.text, line.confidence, line.characters, line.words) == ("", 1.0, (), ())


def test_a_blank_picture_among_others_keeps_its_place(reader: LineReader, drawn: Draw) -> None:
    blank = np.full((28, 40), 255, np.uint8)
    lines = reader.read_lines([blank, drawn("abc"), blank, drawn("g"), blank])
    assert [line.text for line in lines] == ["", "abc", "", "g", ""]


def test_any_form_of_a_picture_reads_the_same(reader: LineReader, drawn: Draw, tmp_path: Path) -> None:
    image = drawn("bag")
    path = tmp_path / "bag.png"
    cv2.imwrite(str(path), image)
    forms = [image, path, str(path), path.read_bytes(), np.repeat(image[:, :, None], 3, 2), 255 - image]
    assert {reader.read_line(form).text for form in forms} == {"bag"}
    assert PageReader(reader).read(path).text == "bag"


@pytest.mark.parametrize("broken", [b"", b"no picture", "missing.png"])
def test_what_is_no_picture_is_refused(reader: LineReader, broken: str | bytes) -> None:
    with pytest.raises(ImageError):
        reader.read_line(broken)


# --------------------------------------------------------------------------------------------------- the bundled reader


@pytest.mark.skipif(not bundled_names(), reason="no reader is bundled yet")
def test_the_bundled_reader_reads_the_examples() -> None:
    from glyphline.composing.line_sets import read_labels
    from glyphline.imaging.documents import load
    from glyphline.score import score

    pairs = read_labels(Path(__file__).parents[2] / "examples" / "lines")
    lines = LineReader().read_lines([load(path) for path, _ in pairs])
    assert score([text for _, text in pairs], [line.text for line in lines]).cer < 0.15
