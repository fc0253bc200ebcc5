"""Layouts: a record decides the bytes of an image, and each box holds the ink of its glyph."""

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
from glyphline.composing.effects import DEFAULT_EFFECT_SHARES
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
    _paste_glyph,
    draw_tiles,
    sample_tile_indices,
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
    """Tiles of one brightness for each character; adding them as uint8 would wrap."""

    name = "blocks"

    def __init__(self, characters: str = "ab", level: int = 200) -> None:
        self._characters, self.level = characters, level

    def characters(self, split: str) -> str:
        return self._characters

    def count(self, character: str, split: str) -> int:
        return 1 if character and character in self._characters else 0

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        return Glyph(np.full((TILE, TILE), self.level + self._characters.index(character), np.uint8), 1.0, 0.0)

    def digests(self, split: str) -> set[int]:
        return {SPLITS.index(split)}

    def tiles(self, split: str) -> TileBank:
        images = np.stack([np.full((TILE, TILE), self.level + k, np.uint8) for k in range(len(self._characters))])
        return TileBank(self._characters, images, np.arange(len(self._characters) + 1))


@pytest.fixture
def emnist(emnist_data: Path) -> GlyphPool:
    return GlyphPool((Emnist("byclass"),), (1.0,), "train")


STROKES = GlyphPool((Strokes(),), (1.0,), "train")


def strip_effects(record: LineRecord, *glyphs: PlacedGlyph) -> LineRecord:
    """The record without effects, full ink on white paper; `glyphs` replace those of the record."""
    numbers = {**record.numbers, "paper": 255.0, "ink": 1.0}
    return dataclasses.replace(record, glyphs=glyphs or record.glyphs, numbers=numbers, effects=())


def record_from_json(text: str) -> LineRecord:
    """The record in a row of record.jsonl."""
    values = json.loads(text)
    glyphs = tuple(PlacedGlyph(**g) for g in values.pop("glyphs"))
    effects = tuple((name, params) for name, params in values.pop("effects"))
    return LineRecord(**values, glyphs=glyphs, effects=effects)


# ---------------------------------------------------------------------- every layout


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> Layout:
    return Natural(effects=DEFAULT_EFFECT_SHARES) if request.param == "natural" else LAYOUTS[request.param]()


@pytest.mark.parametrize("seed", range(3))
def test_record_decides_the_image(layout: Layout, seed: int) -> None:
    pool = STROKES if layout.name == "natural" else GlyphPool((Blocks("abc"),), (1.0,), "train")
    for text in TEXTS if layout.name == "natural" else ["ab", "a b c", "c"]:
        record = layout.sample(text, np.random.default_rng(seed), pool)
        assert record == layout.sample(text, np.random.default_rng(seed), pool)
        image, boxes = layout.draw(record, pool, boxes=True)
        assert image.dtype == np.uint8 and image.shape == (record.height, record.width)
        assert np.array_equal(layout.draw(record, pool)[0], image)
        restored = record_from_json(json.dumps(dataclasses.asdict(record)))
        assert restored.text == text == record.text
        assert restored.layout == layout.name and restored.split == pool.split
        image_again, boxes_again = layout.draw(restored, pool, boxes=True)
        assert np.array_equal(image_again, image) and boxes_again == boxes


@pytest.mark.parametrize("seed", range(3))
def test_each_character_except_spaces_has_a_glyph_and_a_box(layout: Layout, seed: int, emnist: GlyphPool) -> None:
    for text in ("Hello world", "i", " two  gaps "):
        record = layout.sample(text, np.random.default_rng(seed), emnist)
        image, boxes = layout.draw(record, emnist, boxes=True)
        assert "".join(g.character for g in record.glyphs) == text.replace(" ", "")
        assert len(boxes) == len(record.glyphs) and layout.draw(record, emnist)[1] == []
        for left, top, right, bottom in boxes:
            assert 0 <= left < right <= image.shape[1] and 0 <= top < bottom <= image.shape[0]


def test_layout_has_a_name_and_a_valid_normalization() -> None:
    for name, kind in LAYOUTS.items():
        assert kind.name == name
        assert canonical_line_image(np.zeros((28, 28), np.uint8), 28, kind.normalization).shape[0] == 28


@pytest.mark.parametrize("name", LAYOUTS)
def test_missing_character_is_named_with_source_and_split(name: str) -> None:
    pool = GlyphPool((Blocks("ab"),), (1.0,), "val")
    with pytest.raises(AlphabetError, match="'c'") as error:
        LAYOUTS[name]().sample("abc", np.random.default_rng(0), pool)
    assert "blocks" in str(error.value) and "val" in str(error.value)


# ---------------------------------------------------------------------- tiles


@pytest.mark.parametrize("seed", range(4))
def test_tiles_are_drawn_side_by_side(emnist: GlyphPool, seed: int) -> None:
    text = "Side by side 123"
    record = Tiles().sample(text, np.random.default_rng(seed), emnist)
    bank = emnist.sources[0].tiles("train")
    glyphs = iter(record.glyphs)
    tiles = [np.zeros((TILE, TILE), np.uint8) if c == " " else bank.images[next(glyphs).index] for c in text]
    assert np.array_equal(Tiles().draw(record, emnist)[0], np.hstack(tiles))
    for glyph in record.glyphs:
        k = bank.characters.index(glyph.character)
        assert bank.offsets[k] <= glyph.index < bank.offsets[k + 1]


def test_single_line_equals_its_row_in_a_batch(emnist: GlyphPool) -> None:
    texts = ["one", "two three", "4", "a b"]
    indices = np.array([5, 0, 10**12, 7])
    tile_indices = sample_tile_indices(texts, 99, indices, emnist)
    images = draw_tiles(tile_indices, emnist)
    assert tile_indices.shape == (4, 9) and images.shape == (4, TILE, 9 * TILE)
    for text, index, row, image in zip(texts, indices, tile_indices, images, strict=True):
        assert row[: len(text)].tolist() == sample_tile_indices([text], 99, np.array([index]), emnist)[0].tolist()
        single, _ = Tiles().draw(Tiles().sample_from_seed(text, 99, int(index), emnist), emnist)
        assert np.array_equal(image[:, : TILE * len(text)], single) and not image[:, TILE * len(text) :].any()


def test_all_tiles_of_a_character_are_used_evenly(emnist: GlyphPool) -> None:
    tile_indices = sample_tile_indices(["e" * 40] * 20, 1, np.arange(20), emnist)
    counts = np.bincount((tile_indices - tile_indices.min()).ravel())
    assert len(counts) == emnist.sources[0].count("e", "train")
    assert counts.min() > 0.7 * counts.mean()


def test_box_encloses_the_ink_of_its_tile(emnist: GlyphPool) -> None:
    record = Tiles().sample("Boxed ink", np.random.default_rng(0), emnist)
    image, boxes = Tiles().draw(record, emnist, boxes=True)
    for (left, top, right, bottom), glyph in zip(boxes, record.glyphs, strict=True):
        tile = image[:, int(glyph.left) : int(glyph.left) + TILE] > 40
        rows, columns = np.flatnonzero(tile.any(axis=1)), np.flatnonzero(tile.any(axis=0)) + int(glyph.left)
        assert (left, top, right, bottom) == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


@pytest.mark.parametrize("level", [1, 127, 128, 200, 254])
def test_overlapping_tiles_keep_the_brighter_pixel(level: int) -> None:
    pool = GlyphPool((Blocks("ab", level),), (1.0,), "train")
    overlaps = set()
    for index in range(40):
        record = Overlap().sample_from_seed("abba", 3, index, pool)
        image, _ = Overlap().draw(record, pool)
        step = TILE - record.numbers["overlap"]
        overlaps.add(record.numbers["overlap"])
        expected = np.zeros((4, TILE, 3 * step + TILE), np.uint8)
        for k, c in enumerate("abba"):
            expected[k, :, k * step : k * step + TILE] = level + "ab".index(c)
        assert np.array_equal(image, expected.max(axis=0))  # a sum would wrap: 200 + 200 = 144
    assert min(overlaps) == 0 and 7 < max(overlaps) <= TILE * 0.33


def test_tiles_without_overlap_are_28_px_wide(emnist: GlyphPool) -> None:
    for index in range(20):
        assert Tiles().sample_from_seed("abc", 0, index, emnist).width == 3 * TILE


@pytest.mark.parametrize("kind", [Tiles, Overlap])
def test_normalization_keeps_a_saved_image_of_tiles(kind: type[Tiles], emnist: GlyphPool) -> None:
    for seed, text in enumerate(["Saved as PNG", "it", "W W W", "mnbvcxz 0123456789 QWERTY", " a "]):
        image, _ = kind().draw(kind().sample(text, np.random.default_rng(seed), emnist), emnist)
        _, png = cv2.imencode(".png", image)
        decoded = cv2.imdecode(png, cv2.IMREAD_GRAYSCALE)
        assert np.array_equal(canonical_line_image(np.asarray(decoded), TILE, kind.normalization), image)


def test_normalization_does_not_invert_a_single_letter() -> None:
    tile = np.zeros((TILE, TILE), np.uint8)
    cv2.circle(tile, (14, 14), 8, 255, 6, cv2.LINE_AA)
    assert np.array_equal(canonical_line_image(tile, TILE, "whole"), tile)


@pytest.mark.parametrize("text", ["", "   "])
@pytest.mark.parametrize("kind", [Tiles, Overlap])
def test_tiles_refuse_a_text_without_characters(kind: type[Tiles], text: str) -> None:
    pool = GlyphPool((Blocks("ab"),), (1.0,), "val")
    with pytest.raises(AlphabetError):
        kind().sample(text, np.random.default_rng(0), pool)


def test_random_uint64_of_scalars_equals_random_uint64_of_arrays() -> None:
    lines, places = np.arange(5, dtype=np.uint64), np.arange(7, dtype=np.uint64)
    grid = random_uint64(2**60, lines[:, None], places[None, :])
    assert grid.shape == (5, 7)
    assert all(grid[a, b] == random_uint64(2**60, a, b) for a in range(5) for b in range(7))


def test_random_uint64_has_distinct_values_and_balanced_bits() -> None:
    values = random_uint64(0, np.arange(300, dtype=np.uint64)[:, None], np.arange(300, dtype=np.uint64)[None, :])
    assert len(np.unique(values)) == values.size
    bits = (values.ravel()[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.01
    assert random_uint64(1, 2) != random_uint64(2, 1) and random_uint64(-1) != random_uint64(1)


def test_random_int_equals_random_uint64() -> None:
    for numbers in ((), (0,), (1, 2, 3), (2**62, 10**12, 2**32), (-1, 5), (2**64 - 1,)):
        assert random_int(*numbers) == int(random_uint64(*numbers))


# ---------------------------------------------------------------------- natural lines


@pytest.fixture(scope="module")
def plain_lines() -> list[tuple[LineRecord, GreyImage, list[tuple[int, int, int, int]]]]:
    """Natural lines without effects: record, image with bright ink on 0, boxes."""
    lines = []
    for seed in range(8):
        for text in TEXTS:
            record = strip_effects(Natural().sample(text, np.random.default_rng(seed), STROKES))
            image, boxes = Natural().draw(record, STROKES, boxes=True)
            lines.append((record, 255 - image, boxes))
    return lines


def test_box_encloses_the_ink_of_its_glyph_tightly(plain_lines: list[Any]) -> None:
    for record, _, boxes in plain_lines[::5]:
        for glyph, (left, top, right, bottom) in zip(record.glyphs, boxes, strict=True):
            ink = (255 - Natural().draw(strip_effects(record, glyph), STROKES)[0]) > 64
            inside = ink[top:bottom, left:right]
            assert ink.sum() == inside.sum() > 0
            assert all(side.any() for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_boxes_cover_all_ink(plain_lines: list[Any]) -> None:
    for _, ink, boxes in plain_lines:
        outside = ink.copy()
        for left, top, right, bottom in boxes:
            outside[top:bottom, left:right] = 0
        # a single glyph has no pixel above 64 outside its box; where the faint edges of two meet, twice that
        assert outside.max() <= 128


def test_image_crops_hardly_any_glyph(plain_lines: list[Any]) -> None:
    touching = [
        left == 0 or top == 0 or right == ink.shape[1] or bottom == ink.shape[0]
        for _, ink, boxes in plain_lines
        for left, top, right, bottom in boxes
    ]
    assert np.mean(touching) < 0.01


def test_boxes_are_in_the_order_of_the_text(plain_lines: list[Any]) -> None:
    for record, _, boxes in plain_lines:
        if "  " not in record.text and len(record.text) > 20:
            centres = np.array([(left + right) / 2 for left, _, right, _ in boxes])
            assert np.corrcoef(centres, np.arange(len(boxes)))[0, 1] > 0.95
            assert np.mean(np.diff(centres) > 0) > 0.9


def test_overlapping_glyphs_keep_the_brighter_pixel() -> None:
    for seed in range(6):
        record = strip_effects(Natural().sample("overlap", np.random.default_rng(seed), STROKES))
        image, _ = Natural().draw(record, STROKES)
        image_twice, _ = Natural().draw(strip_effects(record, *record.glyphs, *record.glyphs), STROKES)
        image_reversed, _ = Natural().draw(strip_effects(record, *record.glyphs[::-1]), STROKES)
        assert np.array_equal(image_twice, image) and np.array_equal(image_reversed, image)


def test_glyphs_fit_the_image_and_the_x_height(plain_lines: list[Any]) -> None:
    low, high = Natural().x_height
    for record, _, _ in plain_lines:
        x = record.numbers["x"]
        assert low <= x <= high
        assert all(g.height < 4 * x and g.width < 6 * x for g in record.glyphs)
        assert all(g.left >= 0 and g.left + g.width <= record.width for g in record.glyphs)
        assert all(g.top >= 0 and g.top + g.height <= record.height for g in record.glyphs)


def test_effects_do_not_change_boxes() -> None:
    for seed in range(6):
        plain, with_effects = (
            Natural(effects=effects).sample("worn", np.random.default_rng(seed), STROKES)
            for effects in ({}, DEFAULT_EFFECT_SHARES)
        )
        assert plain.glyphs == with_effects.glyphs and plain.numbers == with_effects.numbers
        assert Natural().draw(plain, STROKES, True)[1] == Natural().draw(with_effects, STROKES, True)[1]


def test_natural_line_is_dark_ink_on_paper(plain_lines: list[Any]) -> None:
    record, _, _ = plain_lines[0]
    for paper, strength in ((250.0, 1.0), (140.0, 0.3)):
        numbers = {**record.numbers, "paper": paper, "ink": strength}
        image, _ = Natural().draw(dataclasses.replace(record, numbers=numbers), STROKES)
        assert image.max() == int(paper) and image.min() == pytest.approx(paper * (1 - strength), abs=1.5)


@pytest.mark.parametrize("text", ["", " ", "    "])
def test_natural_refuses_a_text_without_characters(text: str) -> None:
    with pytest.raises(AlphabetError, match="nothing but spaces"):
        Natural().sample(text, np.random.default_rng(0), STROKES)


# ---------------------------------------------------------------------- pools


def test_source_is_chosen_by_weight() -> None:
    pool = GlyphPool((Blocks("a"), Blocks("ab"), Blocks("abc")), (1.0, 0.0, 3.0), "train")
    rng = np.random.default_rng(0)
    shares = np.bincount([pool.choose_source(rng) for _ in range(4000)], minlength=3) / 4000
    assert shares[1] == 0 and shares[0] == pytest.approx(0.25, abs=0.03)


def test_missing_character_comes_from_the_first_source_that_has_it() -> None:
    pool = GlyphPool((Blocks("a"), Blocks("ab"), Strokes()), (1.0, 1.0, 1.0), "train")
    assert [pool.source_for(c, 0) for c in "abc"] == [0, 1, 2]
    assert [pool.source_for(c, 2) for c in "abc"] == [2, 2, 2]
    record = Natural().sample("abcab", np.random.default_rng(0), GlyphPool(pool.sources, (1.0, 0.0, 0.0), "train"))
    assert [g.source for g in record.glyphs] == [0, 1, 2, 0, 1]
    with pytest.raises(AlphabetError, match="'é'"):
        pool.source_for("é", 0)


def test_check_characters_names_missing_characters_sources_and_split() -> None:
    pool = GlyphPool((Blocks("a"), Strokes()), (1.0, 1.0), "test")
    pool.check_characters("a b")
    with pytest.raises(AlphabetError) as error:
        pool.check_characters("aé b☃")
    assert "'é', '☃'" in str(error.value) and "blocks, strokes" in str(error.value) and "test" in str(error.value)


@pytest.mark.parametrize("weights", [(), (1.0,), (1.0, -1.0), (0.0, 0.0), (1.0, 1.0, 1.0)])
def test_invalid_weights_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(RecipeError, match="weight"):
        GlyphPool((Blocks("a"), Blocks("b")), weights, "train")


def test_glyphs_vary_in_tilt_lean_and_width() -> None:
    glyphs = [g for seed in range(9) for g in Natural().sample("lllllll", np.random.default_rng(seed), STROKES).glyphs]
    assert len({(g.tilt, g.lean) for g in glyphs}) > len(glyphs) / 2
    assert max(abs(g.tilt) for g in glyphs) < 0.4
    shapes = [g.width / g.height for g in glyphs[:7]]
    assert 1.01 < max(shapes) / min(shapes) < 1.8


def test_bend_keeps_the_place_and_most_ink_of_a_glyph() -> None:
    record = strip_effects(Natural().sample("B", np.random.default_rng(0), STROKES))
    (glyph,) = record.glyphs
    canvases = []
    for bend in (0.0, 0.03, 0.1):
        canvas = np.zeros((140, 140), np.uint8)
        _paste_glyph(canvas, dataclasses.replace(glyph, tilt=0.0, lean=0.0, bend=bend, left=40.0, top=40.0), STROKES)
        canvases.append(canvas.astype(np.float64))
    unbent, slightly_bent, strongly_bent = canvases
    assert 0.7 < strongly_bent.sum() / unbent.sum() < 1.3
    assert np.abs(slightly_bent - unbent).sum() < np.abs(strongly_bent - unbent).sum()
    centres = [np.array(np.nonzero(canvas > 64)).mean(axis=1) for canvas in canvases]
    assert np.abs(centres[2] - centres[0]).max() < 4


def test_gaps_between_words_are_wider_than_gaps_between_letters() -> None:
    """Holds for lines with wide letter gaps too; otherwise a reader could not tell a space."""
    for seed in range(60):
        glyphs = Natural().sample("aaa aaa aaa", np.random.default_rng(seed), STROKES).glyphs
        gaps = [b.left - a.left - a.width for a, b in pairwise(glyphs)]
        letter_gaps, word_gaps = [g for k, g in enumerate(gaps) if k % 3 != 2], gaps[2::3]
        assert np.median(letter_gaps) < np.median(word_gaps), seed


def test_tilt_and_lean_keep_the_place_and_ink_of_a_glyph() -> None:
    record = strip_effects(Natural().sample("H", np.random.default_rng(0), STROKES))
    (glyph,) = record.glyphs
    ink_sums, centres = [], []
    for tilt, lean in ((0.0, 0.0), (0.15, 0.0), (0.0, 0.15), (-0.15, 0.05)):
        transformed = dataclasses.replace(glyph, tilt=tilt, lean=lean, bend=0.0, left=30.0, top=30.0)
        canvas = np.zeros((120, 120), np.uint8)
        _paste_glyph(canvas, transformed, STROKES)
        ink_sums.append(float(canvas.sum()))
        y, x = np.nonzero(canvas > 64)
        centres.append((float(y.mean()), float(x.mean())))
    assert all(abs(ink / ink_sums[0] - 1) < 0.1 for ink in ink_sums)
    assert all(abs(a - b) < 1.5 for centre in centres for a, b in zip(centre, centres[0], strict=True))
