"""Glyph sources: the contract of every row in GLYPHS, and the behaviour of each member."""

from __future__ import annotations

import gzip
import shutil
import struct
import tracemalloc
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
import pytest
from fontTools.ttLib import TTFont
from PIL import ImageFont

from glyphline.alphabet import Alphabet
from glyphline.composing.glyphs import (
    ALL,
    GLYPHS,
    LATIN_SIZES,
    SPLITS,
    TILE,
    Emnist,
    Folder,
    Fonts,
    Glyph,
    GlyphSource,
    Strokes,
    TileBank,
    check_disjoint,
    open_glyphs,
)
from glyphline.composing.glyphs.contract import INK_THRESHOLD, make_tile
from glyphline.composing.glyphs.emnist import SHAPES_PER_WRITER, measure_slant_and_width, read_idx
from glyphline.composing.glyphs.folder import parse_folder_name
from glyphline.composing.glyphs.fonts import file_with
from glyphline.errors import AlphabetError, DataError

SPLIT_PAIRS = (("train", "val"), ("train", "test"), ("val", "test"))
FONT_FILES = (
    "DejaVuSans.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSansMono.ttf",
    "STIXGeneral.ttf",
    "cmr10.ttf",
    "STIXSizOneSymReg.ttf",
)


@pytest.fixture(scope="session")
def six_fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six fonts from matplotlib, shared by all tests. Some fonts have few characters. Do not change it."""
    folder = tmp_path_factory.mktemp("fonts")
    for name in FONT_FILES:
        shutil.copy(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, folder)
    return folder


@pytest.fixture
def font_folder(six_fonts: Path, tmp_path: Path) -> Path:
    """A copy of the six fonts that a test may change."""
    return Path(shutil.copytree(six_fonts, tmp_path / "fonts"))


def draw_character(character: str, number: int) -> np.ndarray:
    """Draw a dark character on a light image whose size and grey values depend on `number`."""
    page = np.full((50 + 3 * number, 60), 240 - number, np.uint8)
    plain = unicodedata.normalize("NFKD", character)[0]
    origin = (10, 40)
    cv2.putText(page, plain if plain.isascii() else "&", origin, cv2.FONT_HERSHEY_SIMPLEX, 1 + number / 10, 30, 2)
    return page


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """One folder of images for each of A, a, 7 and א: between 3 and 24 images."""
    folder = tmp_path / "images"
    for name, count in (("A", 24), ("lower_a", 5), ("7", 3), ("U+05D0", 6)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / name / f"{number}.png"), draw_character(parse_folder_name(name) or "", number))
    return folder


#: name in GLYPHS -> function that prepares the source's data and returns its spec; a new row of GLYPHS needs one here
SPECS: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "emnist": lambda request: (request.getfixturevalue("emnist_data"), "emnist/byclass")[1],
    "strokes": lambda request: "strokes",
    "fonts": lambda request: f"fonts:{request.getfixturevalue('six_fonts')}",
    "folder": lambda request: f"folder:{request.getfixturevalue('image_folder')}",
    "derived": lambda request: "derived:strokes",
    "undivided": lambda request: "undivided:strokes",
}


@pytest.fixture(params=GLYPHS)
def source(request: pytest.FixtureRequest) -> GlyphSource:
    return open_glyphs(SPECS[request.param](request))


def sample_glyphs(source: GlyphSource, split: str, limit: int = 12) -> list[tuple[str, int]]:
    """Return about `limit` evenly spaced characters of the source, each with its first and its last index."""
    characters = source.characters(split)
    sample = characters[:: max(1, len(characters) // limit)]
    return [(c, index) for c in sample for index in {0, source.count(c, split) - 1}]


# ---------------------------------------------------------------------- the contract


def test_characters_have_glyphs_and_others_have_none(source: GlyphSource) -> None:
    for split in SPLITS:
        characters = source.characters(split)
        assert characters and len(set(characters)) == len(characters)
        assert all(source.count(c, split) > 0 for c in characters)
        assert " " not in characters
        for other in (" ", "", "𓀀", "\u0000"):
            assert source.count(other, split) == 0


def test_name_reopens_the_same_source(source: GlyphSource) -> None:
    reopened = open_glyphs(source.name)
    assert type(reopened) is type(source) and reopened.name == source.name
    for split in SPLITS:
        assert reopened.characters(split) == source.characters(split)
        assert reopened.digests(split) == source.digests(split)
        for character, index in sample_glyphs(source, split, 4):
            first, second = source.glyph(character, index, split), reopened.glyph(character, index, split)
            assert np.array_equal(first.ink, second.ink)
            assert (first.top, first.bottom) == (second.top, second.bottom)


@pytest.mark.parametrize("split", SPLITS)
def test_glyph_is_cropped_ink_with_a_position(source: GlyphSource, split: str) -> None:
    for character, index in sample_glyphs(source, split):
        glyph = source.glyph(character, index, split)
        ink = glyph.ink
        assert ink.dtype == np.uint8 and ink.ndim == 2 and min(ink.shape) >= 1 and ink.max() > INK_THRESHOLD
        assert all(side.any() for side in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))
        assert -3 < glyph.bottom < glyph.top < 4  # x-heights
        for length in (glyph.left, glyph.advance):
            assert length is None or np.isfinite(length)


def test_glyph_is_deterministic(source: GlyphSource) -> None:
    for character, index in sample_glyphs(source, "train"):
        first, second = (source.glyph(character, index, "train") for _ in (0, 1))
        assert np.array_equal(first.ink, second.ink)
        assert first.top == second.top and first.advance == second.advance


def test_glyph_is_not_changed_by_its_use(source: GlyphSource) -> None:
    character = source.characters("train")[0]
    before = source.glyph(character, 0, "train").ink.copy()
    make_tile(source.glyph(character, 0, "train").ink)
    cv2.resize(source.glyph(character, 0, "train").ink, (9, 9))
    assert np.array_equal(source.glyph(character, 0, "train").ink, before)


@pytest.mark.parametrize("split", SPLITS)
def test_choose_returns_a_valid_index_for_every_writer(source: GlyphSource, split: str) -> None:
    for writer in (0, 1, 7, 4096, 2**31 - 1):
        for character, _ in sample_glyphs(source, split, 5):
            index = source.choose(character, split, writer, np.random.default_rng(writer))
            assert isinstance(index, int) and 0 <= index < source.count(character, split)
            assert index == source.choose(character, split, writer, np.random.default_rng(writer))


def test_missing_characters_are_named(source: GlyphSource) -> None:
    source.check_characters(source.characters("test") + " ", "test")
    with pytest.raises(AlphabetError) as caught:
        source.check_characters(source.characters("test")[:2] + " 𓀀𓀁", "test")
    message = str(caught.value)
    assert "'𓀀', '𓀁'" in message and source.name in message and "test" in message


@pytest.mark.slow
def test_tile_bank_has_consistent_offsets_and_boxes(source: GlyphSource) -> None:
    bank = source.tiles("val")
    assert bank is source.tiles("val")
    assert set(bank.characters) == set(source.characters("val"))
    assert bank.images.shape == (bank.offsets[-1], TILE, TILE) and bank.images.dtype == np.uint8
    assert bank.offsets[0] == 0 and (np.diff(bank.offsets) > 0).all()
    assert (bank.images.max(axis=(1, 2)) > INK_THRESHOLD).all()  # no blank tile has a label
    for tile, (top, bottom, left, right) in list(zip(bank.images, bank.boxes, strict=True))[::7]:
        outside = tile.copy()
        outside[top:bottom, left:right] = 0
        assert outside.max() <= INK_THRESHOLD
        inside = tile[top:bottom, left:right] > INK_THRESHOLD
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


def test_splits_share_no_glyph(source: GlyphSource) -> None:
    check_disjoint(source)
    look_alikes = ".,-|_'\"Il1"  # different fonts and writers may draw these as the same pixels
    inks = {
        split: {
            source.glyph(c, i, split).ink.tobytes() for c, i in sample_glyphs(source, split) if c not in look_alikes
        }
        for split in SPLITS
    }
    for a, b in SPLIT_PAIRS:
        assert inks[a] and not inks[a] & inks[b]


def test_leak_between_splits_is_refused(source: GlyphSource, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = source.digests
    for a, b in SPLIT_PAIRS:
        leaked = min(digests(a))
        monkeypatch.setattr(
            source, "digests", lambda split, b=b, leaked=leaked: digests(split) | ({leaked} if split == b else set())
        )
        with pytest.raises(DataError, match=f"1 glyphs are in both {a} and {b}"):
            check_disjoint(source)


def test_every_source_has_help_and_test_data() -> None:
    assert set(SPECS) == set(GLYPHS)
    for name, (_, help_line) in GLYPHS.items():
        assert help_line.startswith(name)


def test_unknown_source_error_lists_the_choices() -> None:
    with pytest.raises(DataError) as caught:
        open_glyphs("emnits")
    assert 'did you mean "emnist"' in str(caught.value) and all(name in str(caught.value) for name in GLYPHS)


def test_unknown_source_error_names_the_nearest_for_a_spec_with_a_split() -> None:
    with pytest.raises(DataError) as caught:
        open_glyphs("emnits/byclass")
    assert 'did you mean "emnist"' in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (5, 80), (28, 28), (300, 200)])
def test_make_tile_keeps_aspect_ratio_and_centres(shape: tuple[int, int]) -> None:
    tile = make_tile(np.full(shape, 255, np.uint8))
    rows, columns = np.flatnonzero(tile.any(axis=1)), np.flatnonzero(tile.any(axis=0))
    assert tile.shape == (TILE, TILE) and max(len(rows), len(columns)) == 22
    assert len(rows) == max(1, round(22 * shape[0] / max(shape))) and len(columns) == max(
        1, round(22 * shape[1] / max(shape))
    )
    for inked in (rows, columns):
        assert abs(inked[0] - (TILE - 1 - inked[-1])) <= 1


def test_inconsistent_tile_bank_is_refused() -> None:
    for images, last in ((np.zeros((3, TILE, TILE), np.uint8), 2), (np.zeros((3, 20, 20), np.uint8), 3)):
        with pytest.raises(DataError):
            TileBank("a", images, np.array([0, last]))


# ---------------------------------------------------------------------- EMNIST


def load_error_message(split: str = "byclass", part: str = "train") -> str:
    """Load a damaged EMNIST split and return the message of the DataError, which must be one line."""
    with pytest.raises(DataError) as caught:
        Emnist(split).tiles(part)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("split", ["byclass", "bymerge"])
def test_emnist_images_are_upright_and_match_their_labels(tiny_emnist: Any, split: str) -> None:
    source = Emnist(split)
    for part, name in (("train", "train"), ("train", "val"), ("test", "test")):
        images, labels = tiny_emnist.array(part, "images", split), tiny_emnist.array(part, "labels", split)
        for k, character in enumerate(source.characters(name)):
            first, last = source.tiles(name).offsets[k : k + 2]
            tiles = {image.tobytes() for image in source.tiles(name).images[first:last]}
            assert tiles <= {image.T.tobytes() for image in images[labels == k]}
            assert len(tiles) == source.count(character, name) == last - first


def test_emnist_train_and_val_are_from_the_train_file_and_test_from_the_test_file(tiny_emnist: Any) -> None:
    source = Emnist("byclass")
    for part, splits in (("train", ("train", "val")), ("test", ("test",))):
        upright = sorted(image.T.tobytes() for image in tiny_emnist.array(part, "images"))
        assert upright == sorted(image.tobytes() for split in splits for image in source.tiles(split).images)


def test_emnist_split_does_not_depend_on_file_order(tiny_emnist: Any) -> None:
    before = Emnist("byclass").digests("val")
    images, labels = tiny_emnist.array("train", "images"), tiny_emnist.array("train", "labels")
    tiny_emnist.write("train", "images", images[::-1])
    tiny_emnist.write("train", "labels", labels[::-1])
    assert Emnist("byclass").digests("val") == before


def test_emnist_image_copied_from_train_to_test_is_refused(tiny_emnist: Any) -> None:
    images, labels = tiny_emnist.array("test", "images"), tiny_emnist.array("test", "labels")
    copied = tiny_emnist.array("train", "images")[5]
    tiny_emnist.write("test", "images", np.concatenate([images, copied[None]]))
    tiny_emnist.write("test", "labels", np.append(labels, tiny_emnist.array("train", "labels")[5]).astype(np.uint8))
    with pytest.raises(DataError, match="leak"):
        check_disjoint(Emnist("byclass"))


def test_emnist_unpacked_files_are_read(tiny_emnist: Any) -> None:
    packed = Emnist("byclass").tiles("test").images
    for path in tiny_emnist.folder.glob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert np.array_equal(Emnist("byclass").tiles("test").images, packed)


def test_emnist_glyph_is_cropped_and_has_latin_size(tiny_emnist: Any) -> None:
    source = Emnist("byclass")
    for character in "Tgx7":
        glyph = source.glyph(character, 0, "train")
        assert (glyph.top, glyph.bottom) == LATIN_SIZES[character]
        assert (glyph.ink > INK_THRESHOLD)[0].any() and (glyph.ink > INK_THRESHOLD)[:, -1].any()


def test_missing_emnist_error_names_the_fetch_command(data: Path) -> None:
    message = load_error_message()
    assert "glyphline fetch emnist" in message and "GLYPHLINE_DATA" in message and str(data) in message


@pytest.mark.parametrize("kind", ["images", "labels"])
@pytest.mark.parametrize("part", ["train", "test"])
def test_truncated_emnist_file_is_named(tiny_emnist: Any, part: str, kind: str) -> None:
    path = tiny_emnist.path(part, kind)
    path.write_bytes(path.read_bytes()[:-20])
    message = load_error_message(part=part)
    assert str(path) in message and "fetch" in message


def test_corrupt_emnist_gzip_is_named(tiny_emnist: Any) -> None:
    path = tiny_emnist.path("train", "images")
    content = path.read_bytes()
    for position in (0, 2, 12, len(content) // 2, len(content) - 6):
        damaged = bytearray(content)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        assert str(path) in (message := load_error_message()) and "fetch" in message


@pytest.mark.parametrize(
    "content", [b"", b"\0\0", b"\0\0\x0d\x01\0\0\0\0", b"<!doctype html><title>404</title>", b"\0\0\x08\x03"]
)
def test_emnist_file_of_another_format_is_named(tiny_emnist: Any, content: bytes) -> None:
    path = tiny_emnist.path("train", "labels")
    path.write_bytes(gzip.compress(content))
    assert str(path) in (message := load_error_message()) and "fetch" in message


@pytest.mark.parametrize("extra_bytes", [-1, 1, 784])
def test_idx_header_must_match_the_length_of_the_data(tmp_path: Path, extra_bytes: int) -> None:
    (tmp_path / "a").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 2, 28, 28) + bytes(2 * 784 + extra_bytes))
    with pytest.raises(DataError, match="promises 1568 bytes"):
        read_idx(tmp_path / "a")


def test_idx_header_with_overflowing_sizes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 2**31, 4))
    with pytest.raises(DataError):
        read_idx(tmp_path / "a")


def test_idx_data_beyond_the_header_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 10) + bytes(32 << 20), 1))
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read_idx(tmp_path / "a.gz")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_idx_files_of_any_number_of_axes_are_read(tmp_path: Path) -> None:
    for shape in ((5,), (2, 3), (2, 3, 4), (2, 1, 3, 2)):
        array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        (tmp_path / "a").write_bytes(
            b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()
        )
        assert np.array_equal(read_idx(tmp_path / "a"), array)


def test_emnist_files_of_different_counts_are_refused(tiny_emnist: Any) -> None:
    tiny_emnist.write("train", "labels", tiny_emnist.array("train", "labels")[:-1])
    message = load_error_message()
    assert "372 images but 371 labels" in message and "fetch" in message


def test_emnist_images_that_are_not_transposed_are_refused(tiny_emnist: Any) -> None:
    for part in ("train", "test"):
        tiny_emnist.write(part, "images", tiny_emnist.array(part, "images").transpose(0, 2, 1))
        message = load_error_message(part=part)
        assert "on their side" in message and "fetch" in message


def test_orientation_of_digits_is_checked_with_seven(tiny_emnist: Any) -> None:
    for part in ("train", "test"):
        labels = tiny_emnist.array(part, "labels")
        transposed = tiny_emnist.array(part, "images")[labels < 10]
        tiny_emnist.write(part, "images", transposed, "digits")
        tiny_emnist.write(part, "labels", labels[labels < 10], "digits")
        assert Emnist("digits").tiles(part).characters == "0123456789"
        tiny_emnist.write(part, "images", transposed.transpose(0, 2, 1), "digits")
        assert "images of 7" in load_error_message("digits", part)


def test_emnist_letters_labels_start_at_one(tiny_emnist: Any) -> None:
    for part in ("train", "test"):
        labels = tiny_emnist.array(part, "labels")
        is_capital = (labels >= 10) & (labels < 36)
        tiny_emnist.write(part, "images", tiny_emnist.array(part, "images")[is_capital], "letters")
        tiny_emnist.write(part, "labels", labels[is_capital] - 9, "letters")
    assert np.array_equal(Emnist("letters").glyph("Q", 1, "test").ink, Emnist("byclass").glyph("Q", 1, "test").ink)
    tiny_emnist.write("test", "labels", labels[is_capital] - 10, "letters")
    assert "expected 1..26" in load_error_message("letters", "test")


def remove_a_class(tiny: Any) -> str:
    labels, images = tiny.array("train", "labels"), tiny.array("train", "images")
    tiny.write("train", "images", images[labels != 10])
    tiny.write("train", "labels", labels[labels != 10])
    return "no train image of A"


def write_label_out_of_range(tiny: Any) -> str:
    labels = tiny.array("train", "labels")
    labels[3] = 62
    tiny.write("train", "labels", labels)
    return "expected 0..61"


def write_images_of_another_size(tiny: Any) -> str:
    tiny.write("train", "images", tiny.array("train", "images")[:, :27])
    return r"expected \(N, 28, 28\)"


def remove_all_images(tiny: Any) -> str:
    for kind in ("images", "labels"):
        tiny.write("train", kind, tiny.array("train", kind)[:0])
    return "no train image of 0, 1"


def replace_mapping(tiny: Any) -> str:
    shutil.copy(tiny.folder / "emnist-bymerge-mapping.txt", tiny.folder / "emnist-byclass-mapping.txt")
    return "maps labels"


DAMAGE_FUNCTIONS = [
    remove_a_class,
    write_label_out_of_range,
    write_images_of_another_size,
    remove_all_images,
    replace_mapping,
]


@pytest.mark.parametrize("damage", DAMAGE_FUNCTIONS, ids=lambda d: d.__name__)
def test_damaged_emnist_files_are_refused(tiny_emnist: Any, damage: Callable[[Any], str]) -> None:
    with pytest.raises(DataError, match=damage(tiny_emnist)):
        Emnist("byclass").tiles("train")


@pytest.mark.parametrize("damage", DAMAGE_FUNCTIONS[:4], ids=lambda d: d.__name__)
def test_damaged_emnist_error_names_the_fetch_command(tiny_emnist: Any, damage: Callable[[Any], str]) -> None:
    damage(tiny_emnist)
    assert "fetch" in load_error_message()


@pytest.mark.parametrize("text", ["<html>\n", "0 forty-eight\n", "0 -1\n"])
def test_emnist_mapping_of_another_format_is_refused(tiny_emnist: Any, text: str) -> None:
    (tiny_emnist.folder / "emnist-byclass-mapping.txt").write_text(text)
    assert "mapping" in load_error_message()


def test_unknown_split_error_names_the_nearest(tiny_emnist: Any) -> None:
    with pytest.raises(DataError, match='did you mean "bymerge"'):
        open_glyphs("emnist/bymerg")
    with pytest.raises(DataError, match='did you mean "val"'):
        Emnist("byclass").tiles("vall")


@pytest.mark.slow
@pytest.mark.parametrize("split", ["byclass", "bymerge"])
def test_real_emnist_splits_share_no_image_and_have_the_expected_sizes(shared_data: Path, split: str) -> None:
    source = Emnist(split)
    images = {name: {image.tobytes() for image in source.tiles(name).images} for name in SPLITS}
    assert not any(images[a] & images[b] for a, b in SPLIT_PAIRS)
    val, train = len(source.tiles("val").images), len(source.tiles("train").images)
    assert val / (val + train) == pytest.approx(0.1, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("split", ["byclass", "bymerge"])
def test_real_emnist_passes_check_disjoint(shared_data: Path, split: str) -> None:
    check_disjoint(Emnist(split))


# ---------------------------------------------------------------------- fonts


def test_fonts_of_the_package_draw_the_latin_alphabet_in_every_split() -> None:
    source = open_glyphs("fonts:built-in")
    assert isinstance(source, Fonts) and source.name == "fonts:built-in"
    letters = [c for c in Alphabet.from_name("latin").characters if c.isalpha()]
    for split in SPLITS:
        assert all(source.count(c, split) for c in letters)
    licence = (source.folder / "LICENSE.txt").read_text(encoding="utf-8")
    names = {path.name.split("-latin-")[0] for path in source.folder.glob("*.woff2")}
    assert len(names) == 45 and all(f"\n{name}\n" in licence for name in names)
    check_disjoint(source)


def test_font_coverage_matches_the_character_map(six_fonts: Path) -> None:
    source = Fonts(six_fonts)
    code_points = [set(TTFont(path).getBestCmap()) for path in six_fonts.iterdir()]
    total = {c: sum(source.count(c, split) for split in SPLITS) for c in "Aaxé7@ŁĀ"}
    assert total == {c: sum(ord(c) in codes for codes in code_points) for c in total}
    assert 0 < total["é"] < len(FONT_FILES)


def test_writer_uses_one_font(font_folder: Path) -> None:
    (font_folder / FONT_FILES[-1]).unlink()  # this font has no letters
    source, rng = Fonts(font_folder), np.random.default_rng(0)
    assert {source.count(c, "train") for c in "abcdefgh"} == {3}
    fonts_of_writers = [{source.choose(c, "train", writer, rng) for c in "abcdefgh"} for writer in range(6)]
    assert all(len(fonts) == 1 for fonts in fonts_of_writers) and set.union(*fonts_of_writers) == {0, 1, 2}


def test_font_glyphs_have_baseline_positions(six_fonts: Path) -> None:
    for number in range(2):
        x, p, b, dot = (Fonts(six_fonts).glyph(c, number, "train") for c in "xpb.")
        assert x.top == pytest.approx(1.0, abs=0.05) and abs(x.bottom) < 0.05
        assert p.bottom < -0.25 and b.top > 1.25 and dot.top < 0.5
        assert all(g.advance and g.advance > 0 for g in (x, p, b, dot))


def test_copied_font_counts_once(font_folder: Path) -> None:
    before = {split: Fonts(font_folder).digests(split) for split in SPLITS}
    for path in list(font_folder.iterdir()):
        shutil.copy(path, font_folder / f"copy of {path.name}")
    source = Fonts(font_folder)
    assert {split: source.digests(split) for split in SPLITS} == before
    check_disjoint(source)


def test_font_split_does_not_depend_on_file_names(font_folder: Path) -> None:
    before = {split: Fonts(font_folder).digests(split) for split in SPLITS}
    for number, path in enumerate(sorted(font_folder.iterdir(), reverse=True)):
        path.rename(font_folder / f"{number}.ttf")
    assert {split: Fonts(font_folder).digests(split) for split in SPLITS} == before


def test_folder_without_fonts_names_the_make_target(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no fonts .* `make fonts`"):
        Fonts(tmp_path / "recipes" / "fonts" / "hand")
    with pytest.raises(DataError, match=r"none holds no fonts .*: give a folder with font files"):
        Fonts(tmp_path / "none")


@pytest.mark.parametrize(
    ("spec", "remedy"),
    [
        ("fonts:any-script/hebrew/fonts", "run `python benchmarks/any_script.py prepare --scripts hebrew`"),
        ("fonts:recipes/fonts/signs", "run `make fonts`"), ("folder:own/letters", "put your images and"),
        ("folder:nowhere", "correct the path, or set GLYPHLINE_DATA"),
    ],
)  # fmt: skip
def test_missing_folder_is_named_as_given_with_what_makes_it(
    spec: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLYPHLINE_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError) as caught:
        open_glyphs(spec)
    path = spec.partition(":")[2]
    assert str(caught.value).startswith(f"{path} is neither in the current folder nor in {tmp_path / 'data'}: {remedy}")
    (tmp_path / "data" / path).mkdir(parents=True)
    if spec.startswith("fonts"):  # an empty folder has the same remedy
        with pytest.raises(DataError, match=remedy):
            open_glyphs(spec)


def test_few_fonts_are_all_used_where_nothing_is_trained(font_folder: Path) -> None:
    for name in FONT_FILES[:3]:  # these have thousands of characters, which take long
        (font_folder / name).unlink()
    fonts = Fonts(font_folder)
    assert fonts.has_few() and fonts.digests(ALL) == set().union(*map(fonts.digests, SPLITS))
    assert fonts.count("A", ALL) == sum(fonts.count("A", split) for split in SPLITS)
    fonts.tiles(ALL)
    assert not open_glyphs("strokes").has_few()


def test_few_fonts_are_shared_and_said(font_folder: Path) -> None:
    assert Fonts(font_folder).sharing() == ""
    for name in FONT_FILES[2:]:
        (font_folder / name).unlink()
    two = Fonts(font_folder)
    assert two.digests("val") == two.digests("test") != two.digests("train") and "has 2 fonts" in two.sharing()
    (font_folder / FONT_FILES[1]).unlink()
    one = Fonts(font_folder)
    assert one.digests("val") == one.digests("test") == one.digests("train") != set() and "1 font," in one.sharing()
    assert one.glyph("A", 0, "val").ink.shape == one.glyph("A", 0, "train").ink.shape


def test_font_of_images_alone_draws_nothing(font_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as an emoji font among a system's: FreeType opens it in one size only."""
    (font_folder / "Emoji.ttf").write_bytes((font_folder / FONT_FILES[0]).read_bytes() + b" ")
    open_font = ImageFont.truetype

    def truetype(path: str, *args: Any, **kwargs: Any) -> ImageFont.FreeTypeFont:
        if Path(path).name == "Emoji.ttf":
            raise OSError("invalid pixel size")
        return open_font(path, *args, **kwargs)

    monkeypatch.setattr(ImageFont, "truetype", truetype)
    assert file_with(str(font_folder / "Emoji.ttf"), "a") is None
    assert file_with(str(font_folder / FONT_FILES[0]), "a") and "a" in Fonts(font_folder).characters(ALL)


def test_broken_font_is_named(font_folder: Path) -> None:
    (font_folder / "broken.ttf").write_bytes(b"no font")
    with pytest.raises(DataError, match=r"broken\.ttf"):
        for split in SPLITS:
            Fonts(font_folder).characters(split)


# ---------------------------------------------------------------------- folders


@pytest.mark.parametrize(
    ("name", "character"),
    [("A", "A"), ("a", "a"), ("é", "é"), ("א", "א"), ("U+0041", "A"), ("u0041", "A"), ("U+1F600", "😀"),
     ("upper_a", "A"), ("lower_A", "a"), ("upper_é", "É"),
     ("AB", None), ("notes", None), ("U+41", None), ("upper_ab", None), ("", None)],
)  # fmt: skip
def test_folder_names_are_parsed(name: str, character: str | None) -> None:
    assert parse_folder_name(name) == character


def test_code_point_beyond_unicode_is_no_character() -> None:
    assert parse_folder_name("U+FFFFFF") is None


def test_folder_name_with_a_capital_of_two_letters_is_no_character() -> None:
    assert parse_folder_name("upper_ß") is None


def test_folder_images_are_reduced_to_ink_and_split(image_folder: Path) -> None:
    source = Folder(image_folder)
    assert [source.count(c, s) for c in "Aa7א" for s in SPLITS] == [20, 2, 2, 3, 1, 1, 1, 1, 1, 4, 1, 1]
    assert (source.glyph("7", 0, "train").ink.max(), source.glyph("7", 0, "val").top) == (255, 1.5)


def test_copied_image_counts_once_and_changes_no_split(image_folder: Path) -> None:
    before = {split: Folder(image_folder).digests(split) for split in SPLITS}
    for path in list((image_folder / "A").iterdir()):
        shutil.copy(path, path.with_name(f"copy {path.name}"))
    assert {split: Folder(image_folder).digests(split) for split in SPLITS} == before


def test_image_of_two_characters_is_in_one_split(image_folder: Path) -> None:
    (image_folder / "0").mkdir()
    (image_folder / "O").mkdir()
    for number in range(12):
        for name, numbers in (("0", range(0, 8)), ("O", range(4, 12))):
            if number in numbers:
                cv2.imwrite(str(image_folder / name / f"{number}.png"), draw_character("O", number))
    source = Folder(image_folder)
    assert not any(source.digests(a) & source.digests(b) for a, b in SPLIT_PAIRS)


def test_invalid_folders_are_named(image_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder"):
        Folder(tmp_path / "gone")
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="holds no folder of images"):
        Folder(tmp_path / "bare")
    for path in (image_folder / "7").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"7 holds no image of '7'"):
        Folder(image_folder)
    shutil.rmtree(image_folder / "7")
    cv2.imwrite(str(image_folder / "A" / "blank.png"), np.full((9, 9), 255, np.uint8))
    with pytest.raises(DataError, match=r"blank\.png holds no ink"):
        Folder(image_folder)
    (image_folder / "A" / "blank.png").unlink()
    (image_folder / "notes").mkdir()
    with pytest.raises(DataError, match=r"notes does not name a character"):
        Folder(image_folder)


@pytest.mark.parametrize("paper", [255, 30])
@pytest.mark.parametrize("side", [3, 7, 12])
def test_full_stop_on_the_canvas_of_a_letter_is_ink(tmp_path: Path, side: int, paper: int) -> None:
    (tmp_path / "U+002E").mkdir()
    for number in range(3):
        page = np.full((64, 64), paper, np.uint8)
        page[40 : 40 + side, 20 : 20 + side + number] = 255 - paper
        cv2.imwrite(str(tmp_path / "U+002E" / f"{number}.png"), page)
    source = Folder(tmp_path)
    sizes = sorted(source.glyph(".", 0, split).ink.shape for split in SPLITS)
    assert sizes == [(side, side + number) for number in range(3)]
    assert all(source.glyph(".", 0, split).ink.min() > 200 for split in SPLITS)


def test_fingerprint_tells_corrected_glyphs(image_folder: Path, font_folder: Path) -> None:
    before = Folder(image_folder).fingerprint()
    assert before == open_glyphs(f"derived:undivided:folder:{image_folder}").fingerprint()
    (image_folder / "7").rename(image_folder / "1")
    assert Folder(image_folder).fingerprint() != before  # the same images, of another character
    fonts = Fonts(font_folder).fingerprint()
    (font_folder / FONT_FILES[0]).unlink()
    assert Fonts(font_folder).fingerprint() != fonts


def test_few_images_are_all_used_where_nothing_is_trained(image_folder: Path) -> None:
    folder = open_glyphs(f"derived:folder:{image_folder}")
    assert folder.has_few() and set(folder.characters("train")) <= set(folder.characters(ALL))
    assert folder.count("7", ALL) == 3 and folder.count("7", "train") == 1
    assert folder.count("A", ALL) == folder.count("A", "train") == 20  # of 24
    assert len({folder.glyph("7", number, ALL).ink.tobytes() for number in range(3)}) == 3


def test_few_images_are_shared_and_said(image_folder: Path) -> None:
    paths = sorted((image_folder / "7").iterdir())
    assert Folder(image_folder).sharing() == "" and len(paths) == 3
    paths[0].unlink()
    two = Folder(image_folder)
    assert [two.count("7", split) for split in SPLITS] == [1, 1, 1] and "fewer than 3 images of 7:" in two.sharing()
    assert np.array_equal(two.glyph("7", 0, "val").ink, two.glyph("7", 0, "test").ink)
    assert not np.array_equal(two.glyph("7", 0, "val").ink, two.glyph("7", 0, "train").ink)
    paths[1].unlink()
    one = Folder(image_folder)
    assert np.array_equal(one.glyph("7", 0, "val").ink, one.glyph("7", 0, "train").ink)
    assert open_glyphs(f"derived:folder:{image_folder}").sharing() == one.sharing()


def test_measured_folder_gives_its_sizes(image_folder: Path) -> None:
    metrics = image_folder / "glyphs.tsv"
    names = [f"7/{path.name}" for path in sorted((image_folder / "7").iterdir())]
    metrics.write_text("".join(f"{name}\tg\t0.9\t-0.55\n" for name in names))
    source = Folder(image_folder)
    assert source.characters("train") == "g"  # the file decides, not the folders' names
    assert {(source.glyph("g", 0, s).top, source.glyph("g", 0, s).bottom) for s in SPLITS} == {(0.9, -0.55)}
    check_disjoint(source)
    for row, message in (
        ("7/0.png\tg\t1.0", r"line 1 is not file<TAB>character"),
        ("7/0.png\tgg\t1.0\t0.0", r"line 1 is not"),
        ("7/0.png\tg\t0.0\t1.0", r"top above the bottom"),
        ("7/99.png\tg\t1.0\t0.0", r"line 1 names 7/99\.png"),
        ("", r"has no rows"),
    ):
        metrics.write_text(row + "\n")
        with pytest.raises(DataError, match=message):
            Folder(image_folder)


def test_relative_folder_is_found_in_the_data_folder(data: Path, image_folder: Path) -> None:
    shutil.copytree(image_folder, data / "mine")
    assert open_glyphs("folder:mine").characters("train") == "7Aaא"


# ---------------------------------------------------------------------- strokes


def test_strokes_have_all_printable_ascii() -> None:
    assert Strokes().characters("train") == "".join(map(chr, range(33, 127)))


def test_stroke_variants_of_a_writer_differ_little() -> None:
    source = Strokes()
    for character in "agR8":
        variants = [source.glyph(character, k, "train") for k in range(6)]
        assert len({g.ink.tobytes() for g in variants}) == 6
        assert np.ptp([g.top for g in variants]) < 0.5


def test_stroke_glyphs_have_latin_sizes() -> None:
    source = Strokes()
    for character, (top, bottom) in (("x", (1, 0)), ("p", (1, -0.6)), ("B", (1.55, 0))):
        glyphs = [source.glyph(character, 64 * writer, "train") for writer in range(20)]
        assert np.median([g.top for g in glyphs]) == pytest.approx(top, abs=0.25)
        assert np.median([g.bottom for g in glyphs]) == pytest.approx(bottom, abs=0.25)


class Dots(GlyphSource):
    """A source with nothing but the abstract methods."""

    name = "dots"

    def characters(self, split: str) -> str:
        return ".:"

    def count(self, character: str, split: str) -> int:
        return 3 if character and character in ".:" else 0

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        return Glyph(np.full((3, 3), 200 + index, np.uint8), 0.2, 0.0)

    def digests(self, split: str) -> set[int]:
        return {SPLITS.index(split)}


def test_source_with_only_the_abstract_methods_works() -> None:
    dots = Dots()
    check_disjoint(dots)
    dots.check_characters(". :", "val")
    assert dots.choose(".", "test", 9, np.random.default_rng(0)) in range(3)
    assert dots.tiles("train").offsets.tolist() == [0, 3, 6]


def test_emnist_writer_uses_few_shapes_of_a_character(tiny_emnist: Any) -> None:
    source, rng = Emnist("byclass"), np.random.default_rng(0)
    shapes = {writer: {source.choose("a", "train", writer, rng) for _ in range(40)} for writer in range(20)}
    count = source.count("a", "train")
    assert all(1 <= len(s) <= SHAPES_PER_WRITER and max(s) < count and min(s) >= 0 for s in shapes.values())
    assert len(set().union(*shapes.values())) > 1  # writers differ


def test_slant_and_stroke_width_are_measured() -> None:
    upright = np.zeros((TILE, TILE), np.uint8)
    upright[4:24, 12:15] = 255
    leaning = np.stack([np.roll(row, (14 - k) // 3) for k, row in enumerate(upright)])
    bold = np.zeros((TILE, TILE), np.uint8)
    bold[4:24, 10:16] = 255
    styles = measure_slant_and_width(np.stack([upright, leaning, bold, leaning[:, ::-1]]))
    assert abs(styles[0, 0]) < 1e-3 and abs(styles[1, 0] - 1 / 3) < 0.05 and abs(styles[3, 0] + 1 / 3) < 0.05
    assert 2 < styles[0, 1] < 3.5 and styles[2, 1] > 1.6 * styles[0, 1]


@pytest.mark.slow
def test_real_emnist_glyphs_of_a_writer_agree_in_style(shared_data: Path) -> None:
    """Slant and stroke width vary less among the glyphs of a writer than among all glyphs."""
    source, rng = Emnist("byclass"), np.random.default_rng(0)
    bank, styles = source.tiles("train"), source._styles("train")
    writer_variances, all_styles = [], []
    for writer in range(150):
        writer_styles = []
        for character in "anestroli":
            k = bank.characters.index(character)
            writer_styles.append(styles[bank.offsets[k] + source.choose(character, "train", writer, rng)])
        writer_variances.append(np.var(writer_styles, axis=0))
        all_styles.extend(writer_styles)
    assert (np.mean(writer_variances, axis=0) < 0.55 * np.var(all_styles, axis=0)).all()


# ---------------------------------------------------------------------- fonts of two files


def test_supplement_draws_the_characters_that_a_font_lacks(font_folder: Path) -> None:
    """Fontsource splits a font: NAME-latin-... has Western letters, NAME-latin-ext-... has Polish ones."""
    (font_folder / "DejaVuSans.ttf").rename(font_folder / "sans-latin-400.ttf")
    lone = Fonts(font_folder)
    subset = TTFont(font_folder / "sans-latin-400.ttf")
    for table in subset["cmap"].tables:
        table.cmap = {code: name for code, name in table.cmap.items() if code < 0x100}
    shutil.copy(font_folder / "sans-latin-400.ttf", font_folder / "sans-latin-ext-400.ttf")
    subset.save(font_folder / "sans-latin-400.ttf")
    both = Fonts(font_folder)
    splits = [split for split in SPLITS if "sans-latin" in str(both._fonts[split])]
    assert len(splits) == 1 and sum(map(len, both._fonts.values())) == sum(map(len, lone._fonts.values()))
    (split,) = splits
    assert "ł" in both.characters(split)
    without = Path(shutil.copytree(font_folder, font_folder.parent / "without"))
    (without / "sans-latin-ext-400.ttf").unlink()
    assert Fonts(without).count("ł", split) == both.count("ł", split) - 1


def test_undivided_glyphs_all_teach_where_there_are_few(image_folder: Path) -> None:
    divided, undivided = (open_glyphs(f"{kind}folder:{image_folder}") for kind in ("", "undivided:"))
    counts = {c: [source.count(c, "train") for source in (divided, undivided)] for c in "Aa7"}
    assert counts == {"A": [20, 20], "a": [3, 5], "7": [1, 3]}  # 24 of A are enough for three splits
    assert "validation and test repeat those of training" in undivided.sharing()
    every = {undivided.glyph("a", k, "train").ink.tobytes() for k in range(5)}
    assert len(every) == 5 and undivided.glyph("a", 0, "val").ink.tobytes() in every
