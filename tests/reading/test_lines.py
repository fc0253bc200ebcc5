"""Line reader: a line reads the same alone and in any batch, and its characters lie where they were drawn."""

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
from glyphline.imaging.documents import GreyImage, load
from glyphline.reading import lines as lines_module
from glyphline.reading.lines import LIMITS, LineReader, open_line_reader
from glyphline.reading.pages import PageReader
from glyphline.reading.recognition.decoders import GreedyDecoder
from glyphline.reading.recognition.recognizers import bundled_names

Draw = Callable[..., GreyImage]
TEXTS = ["abc", "g", "aab bag", "fed cab gab bed", "ab" * 30, "dd", "cage", "f"]


@pytest.fixture
def reader(bar_code_recognizer: Any) -> LineReader:
    return LineReader(bar_code_recognizer())


def set_limits(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    monkeypatch.setattr(lines_module, "LIMITS", dataclasses.replace(LIMITS, **limits))


# ------------------------------------------------------------------------------------------------------ alone, in batch


@pytest.mark.parametrize("text", TEXTS)
def test_text_of_a_drawn_line_is_read(reader: LineReader, draw_bar_code: Draw, text: str) -> None:
    line = reader.read_line(draw_bar_code(text))
    assert (line.text, line.recognizer) == (text, "barcodes")
    assert line.confidence == min(c.confidence for c in line.characters)
    assert [word.text for word in line.words] == text.split()


@pytest.mark.parametrize("lines, pixels", [(64, 1_500_000), (1, 1_500_000), (3, 1_500_000), (64, 1)])
def test_lines_read_the_same_alone_and_in_any_batch(
    bar_code_recognizer: Any, draw_bar_code: Draw, monkeypatch: pytest.MonkeyPatch, lines: int, pixels: int
) -> None:
    set_limits(monkeypatch, batch_lines=lines, batch_pixels=pixels)
    images = [draw_bar_code(text, width=4 + 2 * (k % 3)) for k, text in enumerate(TEXTS * 3)]
    reader = LineReader(bar_code_recognizer())
    together = reader.read_lines(images)
    assert [line.text for line in together] == TEXTS * 3  # in the order of the images
    assert sum(shape[0] for shape in reader.recognizer.batch_shapes) == len(images)  # type: ignore[attr-defined]
    assert together == [reader.read_line(image) for image in images]
    assert together[::-1] == reader.read_lines(images[::-1])


def test_batches_keep_to_their_limits(bar_code_recognizer: Any, draw_bar_code: Draw) -> None:
    recognizer = bar_code_recognizer()
    LineReader(recognizer).read_lines([draw_bar_code("a")] * 150 + [draw_bar_code("ab" * 400)] * 9)
    assert max(shape[0] for shape in recognizer.batch_shapes) <= LIMITS.batch_lines
    assert all(n == 1 or n * h * w <= LIMITS.batch_pixels for n, h, w in recognizer.batch_shapes)
    assert all(w % LIMITS.width_multiple == 0 for _, _, w in recognizer.batch_shapes)


def test_no_images_give_no_lines(reader: LineReader) -> None:
    assert reader.read_lines([]) == []


def test_trained_network_reads_the_same_alone_and_in_any_batch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from glyphline.composing.line_sets import LineSet
    from glyphline.reading.recognition.recognizers import open_recognizer
    from glyphline.recipe import recipe_from
    from glyphline.training.export import export
    from glyphline.training.network import Network, save_weights

    settings = {"channels": [4, 8], "stride": 4, "features": 16, "context": "bilstm", "layers": 1}
    recipe = recipe_from({"lines": {"height": 32, "length": [2, 9]}, "network": settings})
    torch.manual_seed(0)
    network = Network(recipe)
    torch.nn.init.normal_(network.head.weight)  # large weights, so that the network reads some text
    save_weights(network, tmp_path / "best.pt")
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


# ------------------------------------------------------------------------------------------------- character positions


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("text", ["abc", "gag d", "b"])
def test_characters_lie_where_they_were_drawn(reader: LineReader, draw_bar_code: Draw, text: str, scale: int) -> None:
    line = reader.read_line(draw_bar_code(text, width=8, gap=8, scale=scale))
    assert line.text == text
    for k, character in enumerate(line.characters):
        space = 8 if character.text == " " else 0  # a space extends to the ink on both sides
        assert character.left == pytest.approx((8 + 16 * k - space) * scale, abs=scale)
        assert character.right == pytest.approx((16 + 16 * k + space) * scale, abs=scale)


@pytest.mark.parametrize("stride, window", [(1, 0), (4, 0), (8, 0), (14, 20)])
def test_character_positions_ascend_inside_the_image(
    bar_code_recognizer: Any, draw_bar_code: Draw, stride: int, window: int
) -> None:
    reader = LineReader(bar_code_recognizer(stride, window))
    for text in TEXTS:
        for gap in (0, 3, 20):
            image = draw_bar_code(text, width=40, gap=gap)
            line, (height, width) = reader.read_line(image), image.shape
            assert line.characters
            assert all(0 <= c.left < c.right <= width for c in line.characters)
            assert all(a.left < b.left for a, b in pairwise(line.characters))
            assert line.polygon == ((0, 0), (width, 0), (width, height), (0, height))


def test_line_narrower_than_a_window_is_read(bar_code_recognizer: Any) -> None:
    recognizer = bar_code_recognizer(14, 20)
    image = np.zeros((28, 6), np.uint8)
    image[:8, :3] = 255
    assert LineReader(recognizer).read_line(image).text == "c"
    assert recognizer.batch_shapes[0][2] >= 20


# ---------------------------------------------------------------------------------------------------------- long lines


class ColourBarCodeRecognizer:
    """A bar code recognizer with normalization "colour", for which long lines are split."""

    def __init__(self, recognizer: Any) -> None:
        self.recognizer, self.info = recognizer, dataclasses.replace(recognizer.info, normalization="colour")

    def log_probs(self, lines: Any) -> Any:
        assert lines.shape[2] <= MAX_WIDTH + LIMITS.width_multiple
        return self.recognizer.log_probs(lines[..., 0])


def draw_long_line(seed: int, width: int, stride: int) -> tuple[GreyImage, list[tuple[str, int, int]]]:
    """A line filled with bars that are at least a stride wide, and its characters as (character, left, right)."""
    rng = np.random.default_rng(seed)
    line, characters, x = np.zeros((28, width), np.uint8), [], int(rng.integers(0, 30))
    while True:
        bar_width, gap = (int(n) * max(2, stride) + int(rng.integers(0, 3)) for n in rng.integers(1, (4, 5)))
        x += gap
        if x + bar_width + 2 * stride > width:
            return line, characters
        k = int(rng.integers(1, 8))  # no spaces, because a space extends to the neighbouring bars
        line[: 2 * (k + 1), x : x + bar_width] = 255
        characters.append((" abcdefg"[k], x, x + bar_width))
        x += bar_width


MAX_WIDTH = LIMITS.chunk_width * 28  # px of a line that is not split
OVERLAP = LIMITS.chunk_overlap * 28  # px
WIDTHS = [
    MAX_WIDTH - 1,
    MAX_WIDTH,
    MAX_WIDTH + 1,
    MAX_WIDTH + 27,
    MAX_WIDTH + 500,
    2 * MAX_WIDTH - OVERLAP,
    2 * MAX_WIDTH - OVERLAP + 1,
    9 * MAX_WIDTH + 5,
]


@pytest.mark.parametrize("stride, window", [(1, 0), (4, 0), (8, 0), (6, 10)])
@pytest.mark.parametrize("width", WIDTHS)
def test_line_of_any_width_is_read_completely(bar_code_recognizer: Any, width: int, stride: int, window: int) -> None:
    reader = LineReader(ColourBarCodeRecognizer(bar_code_recognizer(stride, window)))
    for seed in range(3):
        image, characters = draw_long_line(seed, width + seed, stride)
        line = reader.read_line(np.repeat(image[:, :, None], 3, 2))
        assert line.text == "".join(c for c, _, _ in characters)  # none is lost, none is doubled
        for character, (_, left, right) in zip(line.characters, characters, strict=True):
            assert character.left < right and character.right > left
            assert abs(character.left + character.right - left - right) / 2 < 10
        shapes = reader.recognizer.recognizer.batch_shapes  # type: ignore[attr-defined]
        chunks = 1 if width + seed <= MAX_WIDTH else math.ceil((width + seed - OVERLAP) / (MAX_WIDTH - OVERLAP))
        assert sum(shape[0] for shape in shapes) == chunks
        shapes.clear()


def test_long_lines_among_short_ones_keep_their_order(bar_code_recognizer: Any) -> None:
    widths = [300, 5 * MAX_WIDTH, 90, MAX_WIDTH + 1, 5 * MAX_WIDTH, 300]
    drawings = [draw_long_line(k, width, 4) for k, width in enumerate(widths)]
    steps: list[tuple[int, int]] = []
    reader = LineReader(ColourBarCodeRecognizer(bar_code_recognizer(4)))
    decoded = reader.decode_all(
        [np.repeat(line[:, :, None], 3, 2) for line, _ in drawings],
        lambda k, log_probs, alphabet: steps.append((k, len(log_probs))),
    )
    assert [d.text for d in decoded] == ["".join(c for c, _, _ in characters) for _, characters in drawings]
    assert sorted(steps) == [(k, -(-line.shape[1] // 4)) for k, (line, _) in enumerate(drawings)]


def test_line_with_whole_normalization_is_not_split(bar_code_recognizer: Any) -> None:
    recognizer = bar_code_recognizer()
    image, characters = draw_long_line(0, 3 * MAX_WIDTH, 1)
    assert LineReader(recognizer).read_line(image).text == "".join(c for c, _, _ in characters)
    assert [shape[:2] for shape in recognizer.batch_shapes] == [(1, 28)]
    assert recognizer.batch_shapes[0][2] >= 3 * MAX_WIDTH


def test_chunks_cover_the_line_and_overlap() -> None:
    for stride in (1, 4, 6, 7, 8):
        info = dataclasses.replace(LineReader().recognizer.info, height=28, stride=stride, normalization="ink")
        for width in (1, MAX_WIDTH, *range(MAX_WIDTH + 1, MAX_WIDTH + 3 * stride), 3 * MAX_WIDTH + 1, 16_384):
            chunks = lines_module._split_long_line(width, info)
            assert chunks[0].start == 0 and chunks[-1].stop == width
            assert all(c.start % stride == 0 and c.stop - c.start <= MAX_WIDTH for c in chunks)
            assert all(a.stop - b.start >= OVERLAP - stride and a.start < b.start for a, b in pairwise(chunks))


def test_unlikely_classes_of_a_large_alphabet_are_removed() -> None:
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
    rng = np.random.default_rng(0)
    probabilities = np.full((40, 3001), 1e-9, np.float32)
    for row in probabilities:
        row[0], row[rng.integers(1, 3001)] = rng.uniform(0.2, 0.7), 0.25
    probabilities[3, 7], probabilities[4, 9] = 1.1e-5, 0.9e-5
    log_probs, large_alphabet = np.log(probabilities), Alphabet(characters)
    reduced, alphabet = lines_module._remove_unlikely_classes(log_probs, large_alphabet)
    assert characters[6] in alphabet and characters[8] not in alphabet and len(alphabet) <= 42
    assert reduced.shape == (40, len(alphabet)) and (reduced[:, 0] == log_probs[:, 0]).all()
    for k, character in enumerate(alphabet.characters, 1):
        assert (reduced[:, k] == log_probs[:, characters.index(character) + 1]).all()
    assert GreedyDecoder()(reduced, alphabet) == GreedyDecoder()(log_probs, large_alphabet)


def test_likeliest_character_is_kept_where_all_are_unlikely() -> None:
    """An alphabet without characters would be refused."""
    log_probs = np.full((9, 2001), np.log(1e-9), np.float32)
    log_probs[:, 0], log_probs[4, 77] = 0.0, np.log(1e-7)
    large_alphabet = Alphabet("".join(map(chr, range(0x4E00, 0x4E00 + 2000))))
    reduced, alphabet = lines_module._remove_unlikely_classes(log_probs, large_alphabet)
    assert alphabet.characters == chr(0x4E00 + 76) and reduced.shape == (9, 2)
    assert GreedyDecoder()(reduced, alphabet).text == ""


def test_many_batches_read_as_few_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLYPHLINE_THREADS", "2")
    image = load(Path(__file__).parents[2] / "examples" / "lines" / "example-1.png")
    parts = [image[:, : 160 + 40 * k] for k in range(8)]
    reader = open_line_reader("photo", "greedy")
    one_by_one = reader.read_lines(parts)
    set_limits(monkeypatch, paired_batches=2)
    assert reader.read_lines(parts) == one_by_one and {line.text for line in one_by_one} != {""}


def test_small_alphabet_is_kept_whole(
    bar_code_recognizer: Any, draw_bar_code: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded_classes(reader: LineReader) -> list[int]:
        counts: list[int] = []
        reader.decode_all([draw_bar_code("abc")], lambda k, log_probs, alphabet: counts.append(len(alphabet)))
        return counts

    class CertainRecognizer:
        """A bar code recognizer without doubt, so that most classes are unlikely."""

        def __init__(self) -> None:
            self.recognizer, self.info = bar_code_recognizer(), bar_code_recognizer().info

        def log_probs(self, lines: Any) -> Any:
            log_probs = self.recognizer.log_probs(lines)
            return np.where(log_probs == log_probs.max(axis=2, keepdims=True), 0, -20).astype(np.float32)

    assert decoded_classes(LineReader(CertainRecognizer())) == [9]  # eight characters and the blank
    set_limits(monkeypatch, large_alphabet=7)
    assert decoded_classes(LineReader(CertainRecognizer())) == [4]  # a, b, c and the blank
    assert LineReader(CertainRecognizer()).read_line(draw_bar_code("abc")).text == "abc"
    blank = np.full((28, 90), 255, np.uint8)
    assert LineReader(CertainRecognizer()).read_line(blank).text == ""


# -------------------------------------------------------------------------------------------------------- blank images


class ConstantRecognizer:
    """Gives the same character at every step of any image."""

    def __init__(self, recognizer: Any, normalization: str) -> None:
        self.info = dataclasses.replace(recognizer.info, normalization=normalization)

    def log_probs(self, lines: Any) -> Any:
        out = np.full((len(lines), lines.shape[2], len(self.info.alphabet) + 1), -9, np.float32)
        out[:, :, 3] = 0
        return out


BLANK_IMAGES = [("ink", 255), ("ink", 128), ("ink", 0), ("whole", 255), ("whole", 128), ("whole", 0)]


@pytest.mark.parametrize("normalization, grey", BLANK_IMAGES)
def test_blank_image_has_no_text(bar_code_recognizer: Any, normalization: str, grey: int) -> None:
    reader = LineReader(ConstantRecognizer(bar_code_recognizer(), normalization))
    line = reader.read_line(np.full((40, 200), grey, np.uint8))
    assert (line.text, line.confidence, line.characters, line.words) == ("", 1.0, (), ())


def test_blank_image_among_others_keeps_its_place(reader: LineReader, draw_bar_code: Draw) -> None:
    blank = np.full((28, 40), 255, np.uint8)
    lines = reader.read_lines([blank, draw_bar_code("abc"), blank, draw_bar_code("g"), blank])
    assert [line.text for line in lines] == ["", "abc", "", "g", ""]


def test_all_forms_of_an_image_read_the_same(reader: LineReader, draw_bar_code: Draw, tmp_path: Path) -> None:
    image = draw_bar_code("bag")
    path = tmp_path / "bag.png"
    cv2.imwrite(str(path), image)
    forms = [image, path, str(path), path.read_bytes(), np.repeat(image[:, :, None], 3, 2), 255 - image]
    assert {reader.read_line(form).text for form in forms} == {"bag"}
    assert PageReader(reader).read(path).text == "bag"


@pytest.mark.parametrize("broken", [b"", b"no picture", "missing.png"])
def test_broken_image_is_refused(reader: LineReader, broken: str | bytes) -> None:
    with pytest.raises(ImageError):
        reader.read_line(broken)


# --------------------------------------------------------------------------------------------------- the bundled reader


@pytest.mark.skipif(not bundled_names(), reason="no model is bundled yet")
def test_bundled_reader_reads_the_example_lines() -> None:
    from glyphline.composing.line_sets import read_labels
    from glyphline.imaging.documents import load
    from glyphline.score import score

    pairs = read_labels(Path(__file__).parents[2] / "examples" / "lines")
    lines = LineReader().read_lines([load(path) for path, _ in pairs])
    assert score([text for _, text in pairs], [line.text for line in lines]).cer < 0.15
