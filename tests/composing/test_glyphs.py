"""Glyph sources: the contract of every row in GLYPHS, and what each member owes beyond it."""

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

from glyphline.composing.glyphs import (
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
from glyphline.composing.glyphs.contract import INK_THRESHOLD, as_tile
from glyphline.composing.glyphs.emnist import FORMS, _slant_and_width, read_idx
from glyphline.composing.glyphs.folder import character_of
from glyphline.errors import AlphabetError, DataError

PAIRS = (("train", "val"), ("train", "test"), ("val", "test"))
FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSansMono.ttf",
    "STIXGeneral.ttf",
    "cmr10.ttf",
    "STIXSizOneSymReg.ttf",
)


@pytest.fixture(scope="session")
def six_fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six fonts out of matplotlib, some of which draw only few characters; not to be changed."""
    folder = tmp_path_factory.mktemp("fonts")
    for name in FONTS:
        shutil.copy(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, folder)
    return folder


@pytest.fixture
def font_folder(six_fonts: Path, tmp_path: Path) -> Path:
    """The six fonts, free to be changed."""
    return Path(shutil.copytree(six_fonts, tmp_path / "fonts"))


def drawing(character: str, number: int) -> np.ndarray:
    """A dark character on light paper; another size and pen for each number."""
    page = np.full((50 + 3 * number, 60), 240 - number, np.uint8)
    plain = unicodedata.normalize("NFKD", character)[0]
    place = (10, 40)
    cv2.putText(page, plain if plain.isascii() else "&", place, cv2.FONT_HERSHEY_SIMPLEX, 1 + number / 10, 30, 2)
    return page


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """Images of A, a, 7 and א, one folder each; 3 of the rarest, 24 of the commonest."""
    folder = tmp_path / "images"
    for name, count in (("A", 24), ("lower_a", 5), ("7", 3), ("U+05D0", 6)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / name / f"{number}.png"), drawing(character_of(name) or "", number))
    return folder


#: how the tests make a member's data; a new row of GLYPHS needs one here
SPECS: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "emnist": lambda request: (request.getfixturevalue("emnist_data"), "emnist/byclass")[1],
    "strokes": lambda request: "strokes",
    "fonts": lambda request: f"fonts:{request.getfixturevalue('six_fonts')}",
    "folder": lambda request: f"folder:{request.getfixturevalue('picture_folder')}",
}


@pytest.fixture(params=GLYPHS)
def source(request: pytest.FixtureRequest) -> GlyphSource:
    return open_glyphs(SPECS[request.param](request))


def some(source: GlyphSource, split: str, most: int = 12) -> list[tuple[str, int]]:
    """Characters from all over the source, each with its first and its last glyph."""
    characters = source.characters(split)
    chosen = characters[:: max(1, len(characters) // most)]
    return [(c, index) for c in chosen for index in {0, source.count(c, split) - 1}]


# ---------------------------------------------------------------------- the contract


def test_a_source_says_what_it_draws(source: GlyphSource) -> None:
    for split in SPLITS:
        characters = source.characters(split)
        assert characters and len(set(characters)) == len(characters)
        assert all(source.count(c, split) > 0 for c in characters)
        assert " " not in characters
        for other in (" ", "", "☃", "\u0000"):
            assert source.count(other, split) == 0


def test_its_name_opens_it_again(source: GlyphSource) -> None:
    again = open_glyphs(source.name)
    assert type(again) is type(source) and again.name == source.name
    for split in SPLITS:
        assert again.characters(split) == source.characters(split)
        assert again.digests(split) == source.digests(split)
        for character, index in some(source, split, 4):
            one, two = source.glyph(character, index, split), again.glyph(character, index, split)
            assert np.array_equal(one.ink, two.ink) and (one.top, one.bottom) == (two.top, two.bottom)


@pytest.mark.parametrize("split", SPLITS)
def test_a_glyph_is_cropped_ink_that_stands_somewhere(source: GlyphSource, split: str) -> None:
    for character, index in some(source, split):
        glyph = source.glyph(character, index, split)
        ink = glyph.ink
        assert ink.dtype == np.uint8 and ink.ndim == 2 and min(ink.shape) >= 1 and ink.max() > INK_THRESHOLD
        assert all(side.any() for side in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))
        assert -3 < glyph.bottom < glyph.top < 4  # x-heights
        for length in (glyph.left, glyph.advance):
            assert length is None or np.isfinite(length)


def test_the_same_arguments_give_the_same_glyph(source: GlyphSource) -> None:
    for character, index in some(source, "train"):
        one, two = (source.glyph(character, index, "train") for _ in (0, 1))
        assert np.array_equal(one.ink, two.ink) and one.top == two.top and one.advance == two.advance


def test_drawing_changes_no_glyph(source: GlyphSource) -> None:
    character = source.characters("train")[0]
    before = source.glyph(character, 0, "train").ink.copy()
    as_tile(source.glyph(character, 0, "train").ink)
    cv2.resize(source.glyph(character, 0, "train").ink, (9, 9))
    assert np.array_equal(source.glyph(character, 0, "train").ink, before)


@pytest.mark.parametrize("split", SPLITS)
def test_every_hand_finds_a_glyph(source: GlyphSource, split: str) -> None:
    for writer in (0, 1, 7, 4096, 2**31 - 1):
        for character, _ in some(source, split, 5):
            index = source.choose(character, split, writer, np.random.default_rng(writer))
            assert isinstance(index, int) and 0 <= index < source.count(character, split)
            assert index == source.choose(character, split, writer, np.random.default_rng(writer))


def test_what_cannot_be_drawn_is_named(source: GlyphSource) -> None:
    source.need(source.characters("test") + " ", "test")
    with pytest.raises(AlphabetError) as caught:
        source.need(source.characters("test")[:2] + " ☃☂", "test")
    message = str(caught.value)
    assert "'☃', '☂'" in message and source.name in message and "test" in message


def test_tiles_are_counted_and_framed(source: GlyphSource) -> None:
    bank = source.tiles("val")
    assert bank is source.tiles("val")
    assert set(bank.characters) == set(source.characters("val"))
    assert bank.images.shape == (bank.offsets[-1], TILE, TILE) and bank.images.dtype == np.uint8
    assert bank.offsets[0] == 0 and (np.diff(bank.offsets) > 0).all()
    assert (bank.images.max(axis=(1, 2)) > INK_THRESHOLD).all()  # never a blank with a label
    for tile, (top, bottom, left, right) in list(zip(bank.images, bank.boxes, strict=True))[::7]:
        outside = tile.copy()
        outside[top:bottom, left:right] = 0
        assert outside.max() <= INK_THRESHOLD
        inside = tile[top:bottom, left:right] > INK_THRESHOLD
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


def test_no_glyph_stands_in_two_splits(source: GlyphSource) -> None:
    check_disjoint(source)
    seen = {
        split: {source.glyph(c, i, split).ink.tobytes() for c, i in some(source, split) if c not in ".,-|_'\"Il1"}
        for split in SPLITS
    }
    for a, b in PAIRS:
        assert seen[a] and not seen[a] & seen[b]


def test_a_leak_is_found(source: GlyphSource, monkeypatch: pytest.MonkeyPatch) -> None:
    truly = source.digests
    for a, b in PAIRS:
        leaked = min(truly(a))
        monkeypatch.setattr(source, "digests", lambda s, b=b, leaked=leaked: truly(s) | ({leaked} if s == b else set()))
        with pytest.raises(DataError, match=f"1 glyphs stand in both {a} and {b}"):
            check_disjoint(source)


def test_every_member_has_help_and_its_data_here() -> None:
    assert set(SPECS) == set(GLYPHS)
    for name, (_, sentence) in GLYPHS.items():
        assert sentence.startswith(name)


def test_an_unknown_source_is_told_the_choices() -> None:
    with pytest.raises(DataError) as caught:
        open_glyphs("emnits")
    assert 'did you mean "emnist"' in str(caught.value) and all(name in str(caught.value) for name in GLYPHS)


def test_an_unknown_source_is_told_the_nearest_whatever_follows() -> None:
    with pytest.raises(DataError) as caught:
        open_glyphs("emnits/byclass")
    assert 'did you mean "emnist"' in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (5, 80), (28, 28), (300, 200)])
def test_a_tile_keeps_the_proportion_and_the_middle(shape: tuple[int, int]) -> None:
    tile = as_tile(np.full(shape, 255, np.uint8))
    rows, columns = np.flatnonzero(tile.any(axis=1)), np.flatnonzero(tile.any(axis=0))
    assert tile.shape == (TILE, TILE) and max(len(rows), len(columns)) == 22
    assert len(rows) == max(1, round(22 * shape[0] / max(shape))) and len(columns) == max(
        1, round(22 * shape[1] / max(shape))
    )
    for place in (rows, columns):
        assert abs(place[0] - (TILE - 1 - place[-1])) <= 1


def test_a_bank_that_does_not_add_up_is_refused() -> None:
    for images, last in ((np.zeros((3, TILE, TILE), np.uint8), 2), (np.zeros((3, 20, 20), np.uint8), 3)):
        with pytest.raises(DataError):
            TileBank("a", images, np.array([0, last]))


# ---------------------------------------------------------------------- EMNIST


def emnist_error(split: str = "byclass", part: str = "train") -> str:
    with pytest.raises(DataError) as caught:
        Emnist(split).tiles(part)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("split", ["byclass", "bymerge"])
def test_pictures_are_set_upright_and_go_with_their_labels(tiny_emnist: Any, split: str) -> None:
    source = Emnist(split)
    for part, name in (("train", "train"), ("train", "val"), ("test", "test")):
        images, labels = tiny_emnist.array(part, "images", split), tiny_emnist.array(part, "labels", split)
        for k, character in enumerate(source.characters(name)):
            first, last = source.tiles(name).offsets[k : k + 2]
            those = {image.tobytes() for image in source.tiles(name).images[first:last]}
            assert those <= {image.T.tobytes() for image in images[labels == k]}
            assert len(those) == source.count(character, name) == last - first


def test_train_and_val_are_the_train_file_and_test_is_the_test_file(tiny_emnist: Any) -> None:
    source = Emnist("byclass")
    for part, splits in (("train", ("train", "val")), ("test", ("test",))):
        lying = sorted(image.T.tobytes() for image in tiny_emnist.array(part, "images"))
        assert lying == sorted(image.tobytes() for split in splits for image in source.tiles(split).images)


def test_order_in_the_file_decides_no_split(tiny_emnist: Any) -> None:
    before = Emnist("byclass").digests("val")
    images, labels = tiny_emnist.array("train", "images"), tiny_emnist.array("train", "labels")
    tiny_emnist.write("train", "images", images[::-1])
    tiny_emnist.write("train", "labels", labels[::-1])
    assert Emnist("byclass").digests("val") == before


def test_a_picture_copied_from_train_to_test_is_found(tiny_emnist: Any) -> None:
    images, labels = tiny_emnist.array("test", "images"), tiny_emnist.array("test", "labels")
    copied = tiny_emnist.array("train", "images")[5]
    tiny_emnist.write("test", "images", np.concatenate([images, copied[None]]))
    tiny_emnist.write("test", "labels", np.append(labels, tiny_emnist.array("train", "labels")[5]).astype(np.uint8))
    with pytest.raises(DataError, match="leak"):
        check_disjoint(Emnist("byclass"))


def test_unpacked_files_do_as_well(tiny_emnist: Any) -> None:
    packed = Emnist("byclass").tiles("test").images
    for path in tiny_emnist.folder.glob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert np.array_equal(Emnist("byclass").tiles("test").images, packed)


def test_a_glyph_fills_its_box_and_stands_as_its_letter_does(tiny_emnist: Any) -> None:
    source = Emnist("byclass")
    for character in "Tgx7":
        glyph = source.glyph(character, 0, "train")
        assert (glyph.top, glyph.bottom) == LATIN_SIZES[character]
        assert (glyph.ink > INK_THRESHOLD)[0].any() and (glyph.ink > INK_THRESHOLD)[:, -1].any()


def test_missing_files_say_how_to_get_them(data: Path) -> None:
    message = emnist_error()
    assert "glyphline fetch emnist" in message and "GLYPHLINE_DATA" in message and str(data) in message


@pytest.mark.parametrize("kind", ["images", "labels"])
@pytest.mark.parametrize("part", ["train", "test"])
def test_a_truncated_file_is_named(tiny_emnist: Any, part: str, kind: str) -> None:
    path = tiny_emnist.path(part, kind)
    path.write_bytes(path.read_bytes()[:-20])
    message = emnist_error(part=part)
    assert str(path) in message and "fetch" in message


def test_a_corrupt_gzip_is_named(tiny_emnist: Any) -> None:
    path = tiny_emnist.path("train", "images")
    whole = path.read_bytes()
    for place in (0, 2, 12, len(whole) // 2, len(whole) - 6):
        bad = bytearray(whole)
        bad[place] ^= 0x55
        path.write_bytes(bad)
        assert str(path) in (message := emnist_error()) and "fetch" in message


@pytest.mark.parametrize(
    "content", [b"", b"\0\0", b"\0\0\x0d\x01\0\0\0\0", b"<!doctype html><title>404</title>", b"\0\0\x08\x03"]
)
def test_a_file_of_something_else_is_named(tiny_emnist: Any, content: bytes) -> None:
    path = tiny_emnist.path("train", "labels")
    path.write_bytes(gzip.compress(content))
    assert str(path) in (message := emnist_error()) and "fetch" in message


@pytest.mark.parametrize("more", [-1, 1, 784])
def test_a_header_must_agree_with_what_follows(tmp_path: Path, more: int) -> None:
    (tmp_path / "a").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 2, 28, 28) + bytes(2 * 784 + more))
    with pytest.raises(DataError, match="promises 1568 bytes"):
        read_idx(tmp_path / "a")


def test_a_header_of_sizes_that_wrap_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 2**31, 4))
    with pytest.raises(DataError):
        read_idx(tmp_path / "a")


def test_no_more_is_unpacked_than_the_header_promises(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 10) + bytes(32 << 20), 1))
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read_idx(tmp_path / "a.gz")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_idx_files_hold_any_number_of_axes(tmp_path: Path) -> None:
    for shape in ((5,), (2, 3), (2, 3, 4), (2, 1, 3, 2)):
        array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        (tmp_path / "a").write_bytes(
            b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()
        )
        assert np.array_equal(read_idx(tmp_path / "a"), array)


def test_files_of_different_counts_are_refused(tiny_emnist: Any) -> None:
    tiny_emnist.write("train", "labels", tiny_emnist.array("train", "labels")[:-1])
    message = emnist_error()
    assert "372 images but 371 labels" in message and "fetch" in message


def test_pictures_not_transposed_are_refused(tiny_emnist: Any) -> None:
    for part in ("train", "test"):
        tiny_emnist.write(part, "images", tiny_emnist.array(part, "images").transpose(0, 2, 1))
        message = emnist_error(part=part)
        assert "on their side" in message and "fetch" in message


def test_seven_is_the_witness_where_there_are_no_letters(tiny_emnist: Any) -> None:
    for part in ("train", "test"):
        labels = tiny_emnist.array(part, "labels")
        lying = tiny_emnist.array(part, "images")[labels < 10]
        tiny_emnist.write(part, "images", lying, "digits")
        tiny_emnist.write(part, "labels", labels[labels < 10], "digits")
        assert Emnist("digits").tiles(part).characters == "0123456789"
        tiny_emnist.write(part, "images", lying.transpose(0, 2, 1), "digits")
        assert "images of 7" in emnist_error("digits", part)


def test_the_ids_of_letters_run_from_one(tiny_emnist: Any) -> None:
    for part in ("train", "test"):
        labels = tiny_emnist.array(part, "labels")
        capital = (labels >= 10) & (labels < 36)
        tiny_emnist.write(part, "images", tiny_emnist.array(part, "images")[capital], "letters")
        tiny_emnist.write(part, "labels", labels[capital] - 9, "letters")
    assert np.array_equal(Emnist("letters").glyph("Q", 1, "test").ink, Emnist("byclass").glyph("Q", 1, "test").ink)
    tiny_emnist.write("test", "labels", labels[capital] - 10, "letters")
    assert "expected 1..26" in emnist_error("letters", "test")


def empty_class(tiny: Any) -> str:
    labels, images = tiny.array("train", "labels"), tiny.array("train", "images")
    tiny.write("train", "images", images[labels != 10])
    tiny.write("train", "labels", labels[labels != 10])
    return "no train image of A"


def labels_out_of_range(tiny: Any) -> str:
    labels = tiny.array("train", "labels")
    labels[3] = 62
    tiny.write("train", "labels", labels)
    return "expected 0..61"


def another_size(tiny: Any) -> str:
    tiny.write("train", "images", tiny.array("train", "images")[:, :27])
    return r"expected \(N, 28, 28\)"


def no_picture_at_all(tiny: Any) -> str:
    for kind in ("images", "labels"):
        tiny.write("train", kind, tiny.array("train", kind)[:0])
    return "no train image of 0, 1"


def another_mapping(tiny: Any) -> str:
    shutil.copy(tiny.folder / "emnist-bymerge-mapping.txt", tiny.folder / "emnist-byclass-mapping.txt")
    return "maps labels"


DAMAGES = [empty_class, labels_out_of_range, another_size, no_picture_at_all, another_mapping]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
def test_files_that_do_not_fit_are_refused(tiny_emnist: Any, damage: Callable[[Any], str]) -> None:
    with pytest.raises(DataError, match=damage(tiny_emnist)):
        Emnist("byclass").tiles("train")


@pytest.mark.parametrize("damage", DAMAGES[:4], ids=lambda d: d.__name__)
def test_files_that_do_not_fit_come_with_a_remedy(tiny_emnist: Any, damage: Callable[[Any], str]) -> None:
    damage(tiny_emnist)
    assert "fetch" in emnist_error()


@pytest.mark.parametrize("text", ["<html>\n", "0 forty-eight\n", "0 -1\n"])
def test_a_mapping_of_something_else_is_refused(tiny_emnist: Any, text: str) -> None:
    (tiny_emnist.folder / "emnist-byclass-mapping.txt").write_text(text)
    assert "mapping" in emnist_error()


def test_unknown_splits_are_told_the_choices(tiny_emnist: Any) -> None:
    with pytest.raises(DataError, match='did you mean "bymerge"'):
        open_glyphs("emnist/bymerg")
    with pytest.raises(DataError, match='did you mean "val"'):
        Emnist("byclass").tiles("vall")


@pytest.mark.slow
@pytest.mark.parametrize("split", ["byclass", "bymerge"])
def test_the_real_emnist_does_not_leak(shared_data: Path, split: str) -> None:
    source = Emnist(split)
    seen = {name: {image.tobytes() for image in source.tiles(name).images} for name in SPLITS}
    assert not any(seen[a] & seen[b] for a, b in PAIRS)
    held = len(source.tiles("val").images) / (len(source.tiles("val").images) + len(source.tiles("train").images))
    assert held == pytest.approx(0.1, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("split", ["byclass", "bymerge"])
def test_the_real_emnist_is_not_taken_for_leaking(shared_data: Path, split: str) -> None:
    check_disjoint(Emnist(split))


# ---------------------------------------------------------------------- fonts


def test_a_font_is_asked_for_what_it_has(six_fonts: Path) -> None:
    source = Fonts(six_fonts)
    having = {path: set(TTFont(path).getBestCmap()) for path in six_fonts.iterdir()}
    total = {c: sum(source.count(c, split) for split in SPLITS) for c in "Aaxé7@ŁĀ"}
    assert total == {c: sum(ord(c) in codes for codes in having.values()) for c in total}
    assert 0 < total["é"] < len(FONTS)


def test_a_hand_keeps_to_one_font(font_folder: Path) -> None:
    (font_folder / FONTS[-1]).unlink()  # the one without letters
    source, rng = Fonts(font_folder), np.random.default_rng(0)
    assert {source.count(c, "train") for c in "abcdefgh"} == {3}
    kept = [{source.choose(c, "train", writer, rng) for c in "abcdefgh"} for writer in range(6)]
    assert all(len(fonts) == 1 for fonts in kept) and set.union(*kept) == {0, 1, 2}


def test_a_font_sets_letters_on_a_line(six_fonts: Path) -> None:
    for number in range(2):
        x, p, b, dot = (Fonts(six_fonts).glyph(c, number, "train") for c in "xpb.")
        assert x.top == pytest.approx(1.0, abs=0.05) and abs(x.bottom) < 0.05
        assert p.bottom < -0.25 and b.top > 1.25 and dot.top < 0.5
        assert all(g.advance and g.advance > 0 for g in (x, p, b, dot))


def test_a_font_twice_is_one_font(font_folder: Path) -> None:
    before = {split: Fonts(font_folder).digests(split) for split in SPLITS}
    for path in list(font_folder.iterdir()):
        shutil.copy(path, font_folder / f"copy of {path.name}")
    source = Fonts(font_folder)
    assert {split: source.digests(split) for split in SPLITS} == before
    check_disjoint(source)


def test_names_decide_no_split(font_folder: Path) -> None:
    before = {split: Fonts(font_folder).digests(split) for split in SPLITS}
    for number, path in enumerate(sorted(font_folder.iterdir(), reverse=True)):
        path.rename(font_folder / f"{number}.ttf")
    assert {split: Fonts(font_folder).digests(split) for split in SPLITS} == before


def test_too_few_fonts_are_counted(font_folder: Path, tmp_path: Path) -> None:
    for name in FONTS[2:]:
        (font_folder / name).unlink()
    for folder, count in ((font_folder, 2), (tmp_path / "none", 0)):
        with pytest.raises(DataError, match=f"holds {count} fonts .* at least 3"):
            Fonts(folder)


def test_a_broken_font_is_named(font_folder: Path) -> None:
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
def test_folders_name_characters(name: str, character: str | None) -> None:
    assert character_of(name) == character


def test_a_code_beyond_unicode_names_no_character() -> None:
    assert character_of("U+FFFFFF") is None


def test_a_folder_names_one_character_or_none() -> None:
    assert character_of("upper_ß") is None


def test_pictures_lose_their_paper_and_keep_their_ink(picture_folder: Path) -> None:
    source = Folder(picture_folder)
    assert [source.count(c, s) for c in "Aa7א" for s in SPLITS] == [20, 2, 2, 3, 1, 1, 1, 1, 1, 4, 1, 1]
    assert (source.glyph("7", 0, "train").ink.max(), source.glyph("7", 0, "val").top) == (255, 1.5)


def test_a_copy_counts_once_and_moves_nothing(picture_folder: Path) -> None:
    before = {split: Folder(picture_folder).digests(split) for split in SPLITS}
    for path in list((picture_folder / "A").iterdir()):
        shutil.copy(path, path.with_name(f"copy {path.name}"))
    assert {split: Folder(picture_folder).digests(split) for split in SPLITS} == before


def test_the_same_picture_under_two_characters_stays_in_one_split(picture_folder: Path) -> None:
    (picture_folder / "0").mkdir()
    (picture_folder / "O").mkdir()
    for number in range(12):
        for name, numbers in (("0", range(0, 8)), ("O", range(4, 12))):
            if number in numbers:
                cv2.imwrite(str(picture_folder / name / f"{number}.png"), drawing("O", number))
    source = Folder(picture_folder)
    assert not any(source.digests(a) & source.digests(b) for a, b in PAIRS)


def test_folders_that_do_not_fit_are_named(picture_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder"):
        Folder(tmp_path / "gone")
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="holds no folder of images"):
        Folder(tmp_path / "bare")
    (picture_folder / "7" / "0.png").unlink()
    with pytest.raises(DataError, match=r"2 different images of '7': at least 3"):
        Folder(picture_folder)
    shutil.rmtree(picture_folder / "7")
    cv2.imwrite(str(picture_folder / "A" / "blank.png"), np.full((9, 9), 255, np.uint8))
    with pytest.raises(DataError, match=r"blank\.png holds no ink"):
        Folder(picture_folder)
    (picture_folder / "A" / "blank.png").unlink()
    (picture_folder / "notes").mkdir()
    with pytest.raises(DataError, match=r"notes does not name a character"):
        Folder(picture_folder)


def test_a_relative_folder_may_lie_in_the_data_folder(data: Path, picture_folder: Path) -> None:
    shutil.copytree(picture_folder, data / "mine")
    assert open_glyphs("folder:mine").characters("train") == "7Aaא"


# ---------------------------------------------------------------------- strokes


def test_strokes_draw_all_of_ascii() -> None:
    assert Strokes().characters("train") == "".join(map(chr, range(33, 127)))


def test_tries_of_a_hand_are_alike_and_differ() -> None:
    source = Strokes()
    for character in "agR8":
        writer = [source.glyph(character, k, "train") for k in range(6)]
        assert len({g.ink.tobytes() for g in writer}) == 6
        assert np.ptp([g.top for g in writer]) < 0.5


def test_strokes_stand_as_letters_do() -> None:
    source = Strokes()
    for character, (top, bottom) in (("x", (1, 0)), ("p", (1, -0.6)), ("B", (1.55, 0))):
        several = [source.glyph(character, 64 * writer, "train") for writer in range(20)]
        assert np.median([g.top for g in several]) == pytest.approx(top, abs=0.25)
        assert np.median([g.bottom for g in several]) == pytest.approx(bottom, abs=0.25)


class Dots(GlyphSource):
    """A source as a user would write it: nothing but the contract."""

    name = "dots"

    def characters(self, split: str) -> str:
        return ".:"

    def count(self, character: str, split: str) -> int:
        return 3 if character and character in ".:" else 0

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        return Glyph(np.full((3, 3), 200 + index, np.uint8), 0.2, 0.0)

    def digests(self, split: str) -> set[int]:
        return {SPLITS.index(split)}


def test_four_methods_make_a_source() -> None:
    dots = Dots()
    check_disjoint(dots)
    dots.need(". :", "val")
    assert dots.choose(".", "test", 9, np.random.default_rng(0)) in range(3)
    assert dots.tiles("train").offsets.tolist() == [0, 3, 6]


def test_a_hand_keeps_to_few_shapes_of_a_character_and_to_its_style(tiny_emnist: Any) -> None:
    source, rng = Emnist("byclass"), np.random.default_rng(0)
    shapes = {writer: {source.choose("a", "train", writer, rng) for _ in range(40)} for writer in range(20)}
    count = source.count("a", "train")
    assert all(1 <= len(own) <= FORMS and max(own) < count and min(own) >= 0 for own in shapes.values())
    assert len(set().union(*shapes.values())) > 1  # hands differ


def test_styles_are_slant_and_stroke_width() -> None:
    upright = np.zeros((TILE, TILE), np.uint8)
    upright[4:24, 12:15] = 255
    leaning = np.stack([np.roll(row, (14 - k) // 3) for k, row in enumerate(upright)])
    bold = np.zeros((TILE, TILE), np.uint8)
    bold[4:24, 10:16] = 255
    styles = _slant_and_width(np.stack([upright, leaning, bold, leaning[:, ::-1]]))
    assert abs(styles[0, 0]) < 1e-3 and abs(styles[1, 0] - 1 / 3) < 0.05 and abs(styles[3, 0] + 1 / 3) < 0.05
    assert 2 < styles[0, 1] < 3.5 and styles[2, 1] > 1.6 * styles[0, 1]


def test_a_line_of_real_glyphs_is_of_one_style(shared_data: Path) -> None:
    """Slant and stroke width agree within a hand better than among hands."""
    source, rng = Emnist("byclass"), np.random.default_rng(0)
    bank, styles = source.tiles("train"), source._styles("train")
    within, all_of = [], []
    for writer in range(150):
        own = []
        for character in "anestroli":
            k = bank.characters.index(character)
            own.append(styles[bank.offsets[k] + source.choose(character, "train", writer, rng)])
        within.append(np.var(own, axis=0))
        all_of.extend(own)
    assert (np.mean(within, axis=0) < 0.55 * np.var(all_of, axis=0)).all()
