"""The reader: a line reads the same alone and in company, and says where its characters stand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from glyphline.errors import PictureError
from glyphline.picture import Grey
from glyphline.reading import reader as reading
from glyphline.reading.engines import bundled_names
from glyphline.reading.pages import PageReader
from glyphline.reading.reader import Reader

Draw = Callable[..., Grey]
TEXTS = ["abc", "g", "aab bag", "fed cab gab bed", "ab" * 30, "dd", "cage", "f"]


@pytest.fixture
def reader(bar_codes: Any) -> Reader:
    return Reader(bar_codes())


# -------------------------------------------------------------------------------------------------------- alone or many


@pytest.mark.parametrize("text", TEXTS)
def test_a_known_picture_says_its_text(reader: Reader, drawn: Draw, text: str) -> None:
    line = reader.read_line(drawn(text))
    assert (line.text, line.engine) == (text, "barcodes")
    assert line.confidence == min(c.confidence for c in line.characters)
    assert [word.text for word in line.words] == text.split()


@pytest.mark.parametrize("lines, pixels", [(64, 1_500_000), (1, 1_500_000), (3, 1_500_000), (64, 1)])
def test_lines_read_the_same_alone_and_in_any_batch(
    bar_codes: Any, drawn: Draw, monkeypatch: pytest.MonkeyPatch, lines: int, pixels: int
) -> None:
    monkeypatch.setattr(reading, "BATCH_LINES", lines)
    monkeypatch.setattr(reading, "BATCH_PIXELS", pixels)
    pictures = [drawn(text, width=4 + 2 * (k % 3)) for k, text in enumerate(TEXTS * 3)]
    reader = Reader(bar_codes())
    together = reader.read_lines(pictures)
    assert [line.text for line in together] == TEXTS * 3  # in the order given
    assert sum(shape[0] for shape in reader.engine.batches) == len(pictures)  # type: ignore[attr-defined]
    assert together == [reader.read_line(picture) for picture in pictures]
    assert together[::-1] == reader.read_lines(pictures[::-1])


def test_batches_keep_to_their_limits(bar_codes: Any, drawn: Draw) -> None:
    engine = bar_codes()
    Reader(engine).read_lines([drawn("a")] * 150 + [drawn("ab" * 400)] * 9)
    assert max(shape[0] for shape in engine.batches) <= reading.BATCH_LINES
    assert all(n == 1 or n * h * w <= reading.BATCH_PIXELS for n, h, w in engine.batches)
    assert all(w % reading.BUCKET == 0 for _, _, w in engine.batches)


def test_no_lines_give_no_lines(reader: Reader) -> None:
    assert reader.read_lines([]) == []


def test_a_real_network_reads_the_same_alone_and_in_any_batch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from glyphline.composing.lines import LineSet
    from glyphline.learning.export import export
    from glyphline.learning.network import Network, save_weights
    from glyphline.reading.engines import open_engine
    from glyphline.recipe import recipe_from

    network = {"channels": [4, 8], "stride": 4, "features": 16, "context": "bilstm", "layers": 1}
    recipe = recipe_from({"lines": {"height": 32, "length": [2, 9]}, "network": network})
    torch.manual_seed(0)
    made = Network(recipe)
    torch.nn.init.normal_(made.head.weight)  # talkative, so that there is something to compare
    save_weights(made, tmp_path / "best.pt")
    export(tmp_path / "best.pt", tmp_path / "model.onnx")
    reader = Reader(open_engine(str(tmp_path / "model.onnx")))
    lines = LineSet(recipe.lines, "test", 0)
    pictures = [lines.line(k).image for k in range(12)]
    together = reader.read_lines(pictures)
    assert any(line.text for line in together)
    for line, picture in zip(together, pictures, strict=True):
        alone = reader.read_line(picture)
        assert alone.text == line.text
        for a, b in zip(alone.characters, line.characters, strict=True):
            assert (a.left, a.right) == (b.left, b.right) and a.confidence == pytest.approx(b.confidence, abs=1e-4)
            assert 0 <= a.left <= a.right <= picture.shape[1]
        assert all(a.left <= b.left for a, b in pairwise(alone.characters))


# ----------------------------------------------------------------------------------------------------- where they stand


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("text", ["abc", "gag d", "b"])
def test_characters_stand_where_they_were_drawn(reader: Reader, drawn: Draw, text: str, scale: int) -> None:
    line = reader.read_line(drawn(text, width=8, gap=8, scale=scale))
    assert line.text == text
    for k, character in enumerate(line.characters):
        space = 8 if character.text == " " else 0  # from the ink before to the ink after
        assert character.left == pytest.approx((8 + 16 * k - space) * scale, abs=scale)
        assert character.right == pytest.approx((16 + 16 * k + space) * scale, abs=scale)


@pytest.mark.parametrize("stride, window", [(1, 0), (4, 0), (8, 0), (14, 20)])
def test_extents_ascend_inside_the_picture(bar_codes: Any, drawn: Draw, stride: int, window: int) -> None:
    reader = Reader(bar_codes(stride, window))
    for text in TEXTS:
        for gap in (0, 3, 20):
            picture = drawn(text, width=40, gap=gap)
            line, (height, width) = reader.read_line(picture), picture.shape
            assert line.characters
            assert all(0 <= c.left < c.right <= width for c in line.characters)
            assert all(a.left < b.left for a, b in pairwise(line.characters))
            assert line.polygon == ((0, 0), (width, 0), (width, height), (0, height))


def test_a_line_narrower_than_a_window_is_read(bar_codes: Any) -> None:
    engine = bar_codes(14, 20)
    picture = np.zeros((28, 6), np.uint8)
    picture[:8, :3] = 255
    assert Reader(engine).read_line(picture).text == "c"
    assert engine.batches[0][2] >= 20


# ----------------------------------------------------------------------------------------------------------- no picture


class Babbles:
    """Says something to everything, even to nothing."""

    def __init__(self, real: Any, frame: str) -> None:
        import dataclasses

        self.facts = dataclasses.replace(real.facts, frame=frame)

    def log_probs(self, lines: Any) -> Any:
        out = np.full((len(lines), lines.shape[2], len(self.facts.alphabet) + 1), -9, np.float32)
        out[:, :, 3] = 0
        return out


BLANK = [
    ("ink", 255), ("ink", 128), ("ink", 0), ("whole", 255),
    ("whole", 128),
    ("whole", 0),
]  # fmt: skip


@pytest.mark.parametrize("frame, grey", BLANK)
def test_a_blank_picture_says_nothing(bar_codes: Any, frame: str, grey: int) -> None:
    line = Reader(Babbles(bar_codes(), frame)).read_line(np.full((40, 200), grey, np.uint8))
    assert (line.text, line.confidence, line.characters, line.words) == ("", 1.0, (), ())


def test_a_blank_picture_among_others_keeps_its_place(reader: Reader, drawn: Draw) -> None:
    blank = np.full((28, 40), 255, np.uint8)
    lines = reader.read_lines([blank, drawn("abc"), blank, drawn("g"), blank])
    assert [line.text for line in lines] == ["", "abc", "", "g", ""]


def test_any_form_of_a_picture_reads_the_same(reader: Reader, drawn: Draw, tmp_path: Path) -> None:
    picture = drawn("bag")
    path = tmp_path / "bag.png"
    cv2.imwrite(str(path), picture)
    forms = [picture, path, str(path), path.read_bytes(), np.repeat(picture[:, :, None], 3, 2), 255 - picture]
    assert {reader.read_line(form).text for form in forms} == {"bag"}
    assert PageReader(reader).read(path).text == "bag"


@pytest.mark.parametrize("broken", [b"", b"no picture", "missing.png"])
def test_what_is_no_picture_is_refused(reader: Reader, broken: str | bytes) -> None:
    with pytest.raises(PictureError):
        reader.read_line(broken)


# --------------------------------------------------------------------------------------------------- the bundled reader


@pytest.mark.skipif(not bundled_names(), reason="no reader is bundled yet")
def test_the_bundled_reader_reads_the_examples() -> None:
    from glyphline.composing.lines import read_labels
    from glyphline.picture import load
    from glyphline.score import score

    pairs = read_labels(Path(__file__).parents[2] / "examples" / "lines")
    lines = Reader().read_lines([load(path) for path, _ in pairs])
    assert score([text for _, text in pairs], [line.text for line in lines]).cer < 0.15
