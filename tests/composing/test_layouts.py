"""One line: what was drawn at random decides its bytes, and every character stands where its box says."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from glyphline.composing.counter_rng import random_int, random_uint64
from glyphline.composing.effects import USUAL
from glyphline.composing.glyphs import SPLITS, TILE, Emnist, Glyph, GlyphSource, Strokes, TileBank
from glyphline.composing.layouts import (
    LAYOUTS,
    GlyphPool,
    GreyImage,
    Layout,
    LineRecord,
    Natural,
    Overlap,
    PlacedGlyph,
    Tiles,
    _stamp,
    draw_tiles,
    tile_numbers,
)
from glyphline.errors import AlphabetError, RecipeError
from glyphline.imaging.normalization import canonical_line_image

TEXTS = [
    "Hello, world!",
    "a",
    "jumping gypsy",
    "  two   gaps  ",
    "WWWW....iiii",
    "A line of text that is rather long, 1234567890",
]


class Blocks(GlyphSource):
    """Full tiles of one brightness a character: what a wrong sum would wrap."""

    name = "blocks"

    def __init__(self, characters: str = "ab", level: int = 200) -> None:
        self._own, self.level = characters, level

    def characters(self, split: str) -> str:
        return self._own

    def count(self, character: str, split: str) -> int:
        return 1 if character and character in self._own else 0

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        return Glyph(np.full((TILE, TILE), self.level + self._own.index(character), np.uint8), 1.0, 0.0)

    def digests(self, split: str) -> set[int]:
        return {SPLITS.index(split)}

    def tiles(self, split: str) -> TileBank:
        images = np.stack([np.full((TILE, TILE), self.level + k, np.uint8) for k in range(len(self._own))])
        return TileBank(self._own, images, np.arange(len(self._own) + 1))


@pytest.fixture
def emnist(emnist_data: Path) -> GlyphPool:
    return GlyphPool((Emnist("byclass"),), (1.0,), "train")


STROKES = GlyphPool((Strokes(),), (1.0,), "train")


def bare(record: LineRecord, *glyphs: PlacedGlyph) -> LineRecord:
    """The record without effects, full ink on white paper, of these glyphs alone."""
    numbers = {**record.numbers, "paper": 255.0, "ink": 1.0}
    return dataclasses.replace(record, glyphs=glyphs or record.glyphs, numbers=numbers, effects=())


def from_json(text: str) -> LineRecord:
    """A record as record.jsonl holds it."""
    said = json.loads(text)
    glyphs = tuple(PlacedGlyph(**g) for g in said.pop("glyphs"))
    effects = tuple((name, params) for name, params in said.pop("effects"))
    return LineRecord(**said, glyphs=glyphs, effects=effects)


# ---------------------------------------------------------------------- every layout


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> Layout:
    return Natural(effects=USUAL) if request.param == "natural" else LAYOUTS[request.param]()


@pytest.mark.parametrize("seed", range(3))
def test_a_record_decides_the_picture(layout: Layout, seed: int) -> None:
    pool = STROKES if layout.name == "natural" else GlyphPool((Blocks("abc"),), (1.0,), "train")
    for text in TEXTS if layout.name == "natural" else ["ab", "a b c", "c"]:
        record = layout.sample(text, np.random.default_rng(seed), pool)
        again = layout.sample(text, np.random.default_rng(seed), pool)
        assert record == again
        image, boxes = layout.draw(record, pool, boxes=True)
        assert image.dtype == np.uint8 and image.shape == (record.height, record.width)
        assert np.array_equal(layout.draw(record, pool)[0], image)
        back = from_json(json.dumps(dataclasses.asdict(record)))
        assert back.text == text == record.text and back.layout == layout.name and back.split == pool.split
        image_back, boxes_back = layout.draw(back, pool, boxes=True)
        assert np.array_equal(image_back, image) and boxes_back == boxes


@pytest.mark.parametrize("seed", range(3))
def test_every_character_but_spaces_has_its_glyph_and_its_box(layout: Layout, seed: int, emnist: GlyphPool) -> None:
    for text in ("Hello world", "i", " two  gaps "):
        record = layout.sample(text, np.random.default_rng(seed), emnist)
        image, boxes = layout.draw(record, emnist, boxes=True)
        assert "".join(g.character for g in record.glyphs) == text.replace(" ", "")
        assert len(boxes) == len(record.glyphs) and layout.draw(record, emnist)[1] == []
        for left, top, right, bottom in boxes:
            assert 0 <= left < right <= image.shape[1] and 0 <= top < bottom <= image.shape[0]


def test_layouts_know_their_name_and_frame() -> None:
    for name, kind in LAYOUTS.items():
        assert kind.name == name
        assert canonical_line_image(np.zeros((28, 28), np.uint8), 28, kind.normalization).shape[0] == 28


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_nobody_can_draw_is_named(name: str) -> None:
    pool = GlyphPool((Blocks("ab"),), (1.0,), "val")
    with pytest.raises(AlphabetError, match="'c'") as caught:
        LAYOUTS[name]().sample("abc", np.random.default_rng(0), pool)
    assert "blocks" in str(caught.value) and "val" in str(caught.value)


# ---------------------------------------------------------------------- tiles


@pytest.mark.parametrize("seed", range(4))
def test_tiles_stand_side_by_side(emnist: GlyphPool, seed: int) -> None:
    text = "Side by side 123"
    record = Tiles().sample(text, np.random.default_rng(seed), emnist)
    bank = emnist.sources[0].tiles("train")
    left = iter(record.glyphs)
    row = [np.zeros((TILE, TILE), np.uint8) if c == " " else bank.images[next(left).index] for c in text]
    assert np.array_equal(Tiles().draw(record, emnist)[0], np.hstack(row))
    for glyph in record.glyphs:
        k = bank.characters.index(glyph.character)
        assert bank.offsets[k] <= glyph.index < bank.offsets[k + 1]


def test_one_line_alone_is_its_row_in_a_batch(emnist: GlyphPool) -> None:
    texts = ["one", "two three", "4", "a b"]
    indices = np.array([5, 0, 10**12, 7])
    numbers = tile_numbers(texts, 99, indices, emnist)
    images = draw_tiles(numbers, emnist)
    assert numbers.shape == (4, 9) and images.shape == (4, TILE, 9 * TILE)
    for text, index, row, image in zip(texts, indices, numbers, images, strict=True):
        assert row[: len(text)].tolist() == tile_numbers([text], 99, np.array([index]), emnist)[0].tolist()
        alone, _ = Tiles().draw(Tiles().sample_numbered(text, 99, int(index), emnist), emnist)
        assert np.array_equal(image[:, : TILE * len(text)], alone) and not image[:, TILE * len(text) :].any()


def test_all_tiles_of_a_character_come_up(emnist: GlyphPool) -> None:
    numbers = tile_numbers(["e" * 40] * 20, 1, np.arange(20), emnist)
    counts = np.bincount((numbers - numbers.min()).ravel())
    assert len(counts) == emnist.sources[0].count("e", "train")
    assert counts.min() > 0.7 * counts.mean()


def test_a_box_is_the_ink_of_its_tile(emnist: GlyphPool) -> None:
    record = Tiles().sample("Boxed ink", np.random.default_rng(0), emnist)
    image, boxes = Tiles().draw(record, emnist, boxes=True)
    for (left, top, right, bottom), glyph in zip(boxes, record.glyphs, strict=True):
        tile = image[:, int(glyph.left) : int(glyph.left) + TILE] > 40
        rows, columns = np.flatnonzero(tile.any(axis=1)), np.flatnonzero(tile.any(axis=0)) + int(glyph.left)
        assert (left, top, right, bottom) == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


@pytest.mark.parametrize("level", [1, 127, 128, 200, 254])
def test_where_ink_overlaps_the_brightest_pixel_shows(level: int) -> None:
    pool = GlyphPool((Blocks("ab", level),), (1.0,), "train")
    overlaps = set()
    for index in range(40):
        record = Overlap().sample_numbered("abba", 3, index, pool)
        image, _ = Overlap().draw(record, pool)
        step = TILE - record.numbers["overlap"]
        overlaps.add(record.numbers["overlap"])
        expected = np.zeros((4, TILE, 3 * step + TILE), np.uint8)
        for k, c in enumerate("abba"):
            expected[k, :, k * step : k * step + TILE] = level + "ab".index(c)
        assert np.array_equal(image, expected.max(axis=0))  # a sum would wrap: 200 + 200 = 144
    assert min(overlaps) == 0 and 7 < max(overlaps) <= TILE * 0.33


def test_tiles_without_overlap_keep_28_px(emnist: GlyphPool) -> None:
    for index in range(20):
        assert Tiles().sample_numbered("abc", 0, index, emnist).width == 3 * TILE


@pytest.mark.parametrize("kind", [Tiles, Overlap])
def test_a_tiles_picture_saved_and_read_is_what_training_sees(kind: type[Tiles], emnist: GlyphPool) -> None:
    for seed, text in enumerate(["Saved as PNG", "it", "W W W", "mnbvcxz 0123456789 QWERTY", " a "]):
        image, _ = kind().draw(kind().sample(text, np.random.default_rng(seed), emnist), emnist)
        _, data = cv2.imencode(".png", image)
        read = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        assert np.array_equal(canonical_line_image(np.asarray(read), TILE, kind.normalization), image)


def test_a_lone_letter_is_not_turned_into_its_negative() -> None:
    tile = np.zeros((TILE, TILE), np.uint8)
    cv2.circle(tile, (14, 14), 8, 255, 6, cv2.LINE_AA)
    assert np.array_equal(canonical_line_image(tile, TILE, "whole"), tile)


@pytest.mark.parametrize("text", ["", "   "])
@pytest.mark.parametrize("kind", [Tiles, Overlap])
def test_no_tiles_say_nothing(kind: type[Tiles], text: str) -> None:
    pool = GlyphPool((Blocks("ab"),), (1.0,), "val")
    with pytest.raises(AlphabetError):
        kind().sample(text, np.random.default_rng(0), pool)


def test_mixed_numbers_are_the_same_alone_and_together() -> None:
    lines, places = np.arange(5, dtype=np.uint64), np.arange(7, dtype=np.uint64)
    together = random_uint64(2**60, lines[:, None], places[None, :])
    assert together.shape == (5, 7)
    assert all(together[a, b] == random_uint64(2**60, a, b) for a in range(5) for b in range(7))


def test_mixed_numbers_look_like_chance() -> None:
    many = random_uint64(0, np.arange(300, dtype=np.uint64)[:, None], np.arange(300, dtype=np.uint64)[None, :])
    assert len(np.unique(many)) == many.size
    bits = (many.ravel()[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.01
    assert random_uint64(1, 2) != random_uint64(2, 1) and random_uint64(-1) != random_uint64(1)


def test_a_single_mixed_number_is_the_same_without_numpy() -> None:
    for numbers in ((), (0,), (1, 2, 3), (2**62, 10**12, 2**32), (-1, 5), (2**64 - 1,)):
        assert random_int(*numbers) == int(random_uint64(*numbers))


# ---------------------------------------------------------------------- natural lines


@pytest.fixture(scope="module")
def drawn() -> list[tuple[LineRecord, GreyImage, list[tuple[int, int, int, int]]]]:
    """Natural lines without effects, full ink on white, with their boxes."""
    out = []
    for seed in range(8):
        for text in TEXTS:
            record = bare(Natural().sample(text, np.random.default_rng(seed), STROKES))
            image, boxes = Natural().draw(record, STROKES, boxes=True)
            out.append((record, 255 - image, boxes))
    return out


def test_a_box_holds_the_ink_of_its_glyph_and_no_less(drawn: list[Any]) -> None:
    for record, _, boxes in drawn[::5]:
        for glyph, (left, top, right, bottom) in zip(record.glyphs, boxes, strict=True):
            ink = (255 - Natural().draw(bare(record, glyph), STROKES)[0]) > 64
            inside = ink[top:bottom, left:right]
            assert ink.sum() == inside.sum() > 0
            assert all(side.any() for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_all_ink_stands_in_some_box(drawn: list[Any]) -> None:
    for _, ink, boxes in drawn:
        left_over = ink.copy()
        for left, top, right, bottom in boxes:
            left_over[top:bottom, left:right] = 0
        # each glyph alone leaves no more than 64 outside; where the faint edges of two meet, twice that
        assert left_over.max() <= 128


def test_no_glyph_is_cut_off_by_the_picture(drawn: list[Any]) -> None:
    touching = [
        left == 0 or top == 0 or right == ink.shape[1] or bottom == ink.shape[0]
        for _, ink, boxes in drawn
        for left, top, right, bottom in boxes
    ]
    assert np.mean(touching) < 0.01


def test_boxes_follow_the_text(drawn: list[Any]) -> None:
    for record, _, boxes in drawn:
        if "  " not in record.text and len(record.text) > 20:
            middles = np.array([(left + right) / 2 for left, _, right, _ in boxes])
            assert np.corrcoef(middles, np.arange(len(boxes)))[0, 1] > 0.95
            assert np.mean(np.diff(middles) > 0) > 0.9


def test_overlapping_ink_takes_the_brightest_pixel() -> None:
    for seed in range(6):
        record = bare(Natural().sample("overlap", np.random.default_rng(seed), STROKES))
        image, _ = Natural().draw(record, STROKES)
        twice, _ = Natural().draw(bare(record, *record.glyphs, *record.glyphs), STROKES)
        back, _ = Natural().draw(bare(record, *record.glyphs[::-1]), STROKES)
        assert np.array_equal(twice, image) and np.array_equal(back, image)


def test_a_line_is_as_tall_as_its_hand_writes(drawn: list[Any]) -> None:
    low, high = Natural().x_height
    for record, _, _ in drawn:
        x = record.numbers["x"]
        assert low <= x <= high
        assert all(g.height < 4 * x and g.width < 6 * x for g in record.glyphs)
        assert all(g.left >= 0 and g.left + g.width <= record.width for g in record.glyphs)
        assert all(g.top >= 0 and g.top + g.height <= record.height for g in record.glyphs)


def test_effects_move_no_box() -> None:
    for seed in range(6):
        plain, worn = (Natural(effects=e).sample("worn", np.random.default_rng(seed), STROKES) for e in ({}, USUAL))
        assert plain.glyphs == worn.glyphs and plain.numbers == worn.numbers
        assert Natural().draw(plain, STROKES, True)[1] == Natural().draw(worn, STROKES, True)[1]


def test_dark_ink_on_light_paper(drawn: list[Any]) -> None:
    record, _, _ = drawn[0]
    for paper, strength in ((250.0, 1.0), (140.0, 0.3)):
        numbers = {**record.numbers, "paper": paper, "ink": strength}
        image, _ = Natural().draw(dataclasses.replace(record, numbers=numbers), STROKES)
        assert image.max() == int(paper) and image.min() == pytest.approx(paper * (1 - strength), abs=1.5)


@pytest.mark.parametrize("text", ["", " ", "    "])
def test_a_line_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(AlphabetError, match="nothing but spaces"):
        Natural().sample(text, np.random.default_rng(0), STROKES)


# ---------------------------------------------------------------------- pools


def test_lines_are_shared_out_by_weight() -> None:
    pool = GlyphPool((Blocks("a"), Blocks("ab"), Blocks("abc")), (1.0, 0.0, 3.0), "train")
    rng = np.random.default_rng(0)
    first = np.bincount([pool.first_choice(rng) for _ in range(4000)], minlength=3) / 4000
    assert first[1] == 0 and first[0] == pytest.approx(0.25, abs=0.03)


def test_another_source_helps_out_where_one_lacks_a_character() -> None:
    pool = GlyphPool((Blocks("a"), Blocks("ab"), Strokes()), (1.0, 1.0, 1.0), "train")
    assert [pool.source_for(c, 0) for c in "abc"] == [0, 1, 2]
    assert [pool.source_for(c, 2) for c in "abc"] == [2, 2, 2]
    record = Natural().sample("abcab", np.random.default_rng(0), GlyphPool(pool.sources, (1.0, 0.0, 0.0), "train"))
    assert [g.source for g in record.glyphs] == [0, 1, 2, 0, 1]
    with pytest.raises(AlphabetError, match="'é'"):
        pool.source_for("é", 0)


def test_need_names_all_that_is_missing_and_all_that_was_asked() -> None:
    pool = GlyphPool((Blocks("a"), Strokes()), (1.0, 1.0), "test")
    pool.need("a b")
    with pytest.raises(AlphabetError) as caught:
        pool.need("aé b☃")
    assert "'é', '☃'" in str(caught.value) and "blocks, strokes" in str(caught.value) and "test" in str(caught.value)


@pytest.mark.parametrize("weights", [(), (1.0,), (1.0, -1.0), (0.0, 0.0), (1.0, 1.0, 1.0)])
def test_weights_that_share_out_nothing(weights: tuple[float, ...]) -> None:
    with pytest.raises(RecipeError, match="weight"):
        GlyphPool((Blocks("a"), Blocks("b")), weights, "train")


def test_glyphs_turn_lean_and_widen_a_little() -> None:
    glyphs = [g for seed in range(9) for g in Natural().sample("lllllll", np.random.default_rng(seed), STROKES).glyphs]
    assert len({(g.tilt, g.lean) for g in glyphs}) > len(glyphs) / 2
    assert max(abs(g.tilt) for g in glyphs) < 0.4
    shapes = [g.width / g.height for g in glyphs[:7]]
    assert 1.01 < max(shapes) / min(shapes) < 1.8


def test_a_bent_glyph_keeps_its_place_and_much_of_its_ink() -> None:
    record = bare(Natural().sample("B", np.random.default_rng(0), STROKES))
    (glyph,) = record.glyphs
    canvases = []
    for bend in (0.0, 0.03, 0.1):
        canvas = np.zeros((140, 140), np.uint8)
        _stamp(canvas, dataclasses.replace(glyph, tilt=0.0, lean=0.0, bend=bend, left=40.0, top=40.0), STROKES)
        canvases.append(canvas.astype(np.float64))
    plain, little, much = canvases
    assert 0.7 < much.sum() / plain.sum() < 1.3
    assert np.abs(little - plain).sum() < np.abs(much - plain).sum()
    middles = [np.array(np.nonzero(canvas > 64)).mean(axis=1) for canvas in canvases]
    assert np.abs(middles[2] - middles[0]).max() < 4


def test_letters_stand_nearer_to_one_another_than_words() -> None:
    """Also where they are set apart: what is read as a space must be wider than what is not."""
    for seed in range(60):
        glyphs = Natural().sample("aaa aaa aaa", np.random.default_rng(seed), STROKES).glyphs
        gaps = [b.left - a.left - a.width for a, b in pairwise(glyphs)]
        within, between = [g for k, g in enumerate(gaps) if k % 3 != 2], gaps[2::3]
        assert np.median(within) < np.median(between), seed


def test_a_turned_glyph_stays_where_it_was_and_whole() -> None:
    record = bare(Natural().sample("H", np.random.default_rng(0), STROKES))
    (glyph,) = record.glyphs
    inks, middles = [], []
    for tilt, lean in ((0.0, 0.0), (0.15, 0.0), (0.0, 0.15), (-0.15, 0.05)):
        turned = dataclasses.replace(glyph, tilt=tilt, lean=lean, bend=0.0, left=30.0, top=30.0)
        canvas = np.zeros((120, 120), np.uint8)
        _stamp(canvas, turned, STROKES)
        inks.append(float(canvas.sum()))
        y, x = np.nonzero(canvas > 64)
        middles.append((float(y.mean()), float(x.mean())))
    assert all(abs(ink / inks[0] - 1) < 0.1 for ink in inks)
    assert all(abs(a - b) < 1.5 for middle in middles for a, b in zip(middle, middles[0], strict=True))
