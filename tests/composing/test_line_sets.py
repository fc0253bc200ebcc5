"""Line sets: line i depends only on (seed, i), in memory, in another process and in an interrupted folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import glyphline
from glyphline.alphabet import Alphabet
from glyphline.composing import sentences
from glyphline.composing.glyphs import SPLITS, TILE, Emnist, Strokes, check_disjoint
from glyphline.composing.layouts import LAYOUTS, GlyphPool
from glyphline.composing.line_sets import (
    CHUNK,
    EMBEDDED_FONTS,
    EMBEDDED_GLYPHS,
    EMBEDDED_SENTENCES,
    LABELS,
    RECORDS,
    SETTINGS,
    LineSet,
    available_lines,
    draw_contact_sheet,
    open_layout,
    read_labels,
    write_lines,
)
from glyphline.errors import AlphabetError, DataError, GlyphlineError, RecipeError, UserError
from glyphline.imaging.documents import load
from glyphline.imaging.normalization import canonical_line_image
from glyphline.recipe import GlyphShare, LabelledShare, LinesRecipe, recipe_from

NATURAL = LinesRecipe(length=(3, 12))
TILES = LinesRecipe(
    alphabet="merged", layout="tiles", glyphs=(GlyphShare("emnist/bymerge"),), punctuation="stripped",
    length=(6, 14), cut="character", height=TILE,
)  # fmt: skip
OVERLAP = dataclasses.replace(TILES, layout="overlap")
RECIPES = {"tiles": TILES, "overlap": OVERLAP, "natural": NATURAL}
INDICES = [0, 1, 2, 63, 64, 100_000, 10**12]


@pytest.fixture(params=LAYOUTS)
def recipe(request: pytest.FixtureRequest, emnist_data: Path) -> LinesRecipe:
    return RECIPES[request.param]


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def checksum(lines: LineSet, indices: Iterable[int]) -> str:
    """The SHA-256 of the images, texts, records and boxes of some lines."""
    digest = hashlib.sha256()
    for index in indices:
        line = lines.line(index, boxes=True)
        digest.update(line.image.tobytes() + repr((line.text, line.record, line.boxes, line.image.shape)).encode())
    return digest.hexdigest()


# ---------------------------------------------------------------------- line i depends only on (seed, i)


def test_line_does_not_depend_on_the_lines_before_it(recipe: LinesRecipe) -> None:
    forwards, backwards = LineSet(recipe, "train", 3), LineSet(recipe, "train", 3)
    lines = {i: forwards.line(i) for i in INDICES}
    for i in reversed(INDICES):
        line = backwards.line(i)
        assert np.array_equal(line.image, lines[i].image) and line.record == lines[i].record
        assert line.text == lines[i].text == backwards.text(i) and line.index == i


def test_canonical_batch_equals_canonical_lines(recipe: LinesRecipe) -> None:
    lines = LineSet(recipe, "val", 1)
    images, texts = lines.canonical_batch(INDICES)
    assert texts == [lines.text(i) for i in INDICES]
    from_two_batches = lines.canonical_batch(INDICES[:2])[0] + lines.canonical_batch(INDICES[2:])[0]
    for i, image, same_image in zip(INDICES, images, from_two_batches, strict=True):
        single, text = lines.canonical_line(i)
        assert np.array_equal(image, single) and np.array_equal(image, same_image) and text == lines.text(i)
        assert image.shape[0] == recipe.height and image.dtype == np.uint8
        assert np.array_equal(
            image, canonical_line_image(lines.line(i).image, recipe.height, lines.layout.normalization)
        )


def test_another_process_composes_the_same_lines(recipe: LinesRecipe) -> None:
    expected = checksum(LineSet(recipe, "test", 7), INDICES)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_line_sets as t; "
        f"print(t.checksum(t.LineSet(t.RECIPES[{recipe.layout!r}], 'test', 7), t.INDICES))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "5"}
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == expected


def test_each_seed_and_split_has_different_lines(recipe: LinesRecipe) -> None:
    checksums = {checksum(LineSet(recipe, split, seed), range(3)) for split in SPLITS for seed in (0, 1, -1)}
    assert len(checksums) == 9


def test_lines_of_a_set_differ(recipe: LinesRecipe) -> None:
    lines = LineSet(recipe, "train", 0)
    count = 60
    assert len({lines.line(i).image.tobytes() for i in range(count)}) == count


# ---------------------------------------------------------------------- tiles


def test_jitter_distorts_training_tiles_only(emnist_data: Path) -> None:
    with_jitter = dataclasses.replace(TILES, jitter=1.0)
    for split in SPLITS:
        plain, jittered = LineSet(TILES, split, 2), LineSet(with_jitter, split, 2)
        (plain_images, _), (images, _) = plain.canonical_batch(INDICES), jittered.canonical_batch(INDICES)
        equal = [np.array_equal(a, b) for a, b in zip(plain_images, images, strict=True)]
        assert not any(equal) if split == "train" else all(equal)
        assert all(np.array_equal(image, jittered.line(i).image) for i, image in zip(INDICES, images, strict=True))
        assert [plain.text(i) for i in INDICES] == [jittered.text(i) for i in INDICES]


@pytest.mark.parametrize("split", SPLITS)
def test_line_of_tiles_is_the_tiles_of_the_bank_side_by_side(emnist_data: Path, split: str) -> None:
    lines = LineSet(TILES, split, 2)
    bank = lines.pool.sources[0].tiles(split)
    images, texts = lines.canonical_batch(range(40))
    for i, (image, text) in enumerate(zip(images, texts, strict=True)):
        line = lines.line(i)
        tile_indices = iter(g.index for g in line.record.glyphs)
        tiles = [np.zeros((TILE, TILE), np.uint8) if c == " " else bank.images[next(tile_indices)] for c in text]
        assert np.array_equal(line.image, np.hstack(tiles))
        assert np.array_equal(line.image, image) and line.text == text


# ---------------------------------------------------------------------- splits


def glyph_inks(lines: LineSet, index: int) -> Iterable[bytes]:
    """The source images of the glyphs of a line. Small ones, such as dots and dashes, are left out in natural lines."""
    for glyph in lines.record(index).glyphs:
        source = lines.pool.sources[glyph.source]
        if lines.layout.name == "natural":
            ink = source.glyph(glyph.character, glyph.index, lines.split).ink
            if min(ink.shape) > 8:
                yield ink.tobytes()
        else:
            yield source.tiles(lines.split).images[glyph.index].tobytes()


def test_splits_share_no_glyph_and_no_sentence(recipe: LinesRecipe, tiny_emnist: Any, tiny_wikisplit: Path) -> None:
    recipe = dataclasses.replace(recipe, sentences=("wikisplit", "built-in"))
    sets = {split: LineSet(recipe, split) for split in SPLITS}
    for source in sets["train"].pool.sources:
        check_disjoint(source)
    sentences.check_disjoint({split: lines.texts for split, lines in sets.items()})
    images = {split: {ink for i in range(40) for ink in glyph_inks(lines, i)} for split, lines in sets.items()}
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        assert images[a] and not images[a] & images[b]


def test_glyph_split_combines_validation_sentences_with_training_glyphs(emnist_data: Path) -> None:
    mixed = LineSet(TILES, "val", glyph_split="train")
    train, val = LineSet(TILES, "train"), LineSet(TILES, "val")
    assert mixed.texts == val.texts and not set(mixed.texts) & set(train.texts)
    training_tiles = {image.tobytes() for image in train.pool.sources[0].tiles("train").images} | {bytes(TILE * TILE)}
    for lines, from_training in ((mixed, True), (val, False)):
        tiles = {
            t.tobytes()
            for i in range(20)
            for t in np.hsplit(lines.line(i).image, lines.line(i).image.shape[1] // TILE)
            if t.any()
        }
        assert (tiles <= training_tiles) == from_training and bool(tiles & training_tiles) == from_training


def test_glyph_in_two_splits_is_detected(tiny_emnist: Any) -> None:
    for kind in ("images", "labels"):
        arrays = [tiny_emnist.array(part, kind, "bymerge") for part in ("test", "train")]
        tiny_emnist.write("test", kind, np.concatenate(arrays), "bymerge")
    with pytest.raises(DataError, match="leak"):
        check_disjoint(LineSet(TILES, "train").pool.sources[0])


def test_sentence_in_two_splits_is_detected(emnist_data: Path) -> None:
    sets = {split: list(LineSet(TILES, split).texts) for split in SPLITS}
    sentences.check_disjoint(sets)
    sets["train"].append(sets["test"][0].lower())
    with pytest.raises(DataError, match="leak"):
        sentences.check_disjoint(sets)


# ---------------------------------------------------------------------- texts


LENGTHS = [(1, 1), (1, 4), (4, 48), (10, 10), (32, 32), (200, 400)]


@pytest.mark.parametrize("start", ["head", "word", "mixed"])
@pytest.mark.parametrize("cut", ["word", "character"])
@pytest.mark.parametrize("length", LENGTHS)
def test_text_is_a_part_of_a_sentence_within_the_length_limit(length: tuple[int, int], cut: str, start: str) -> None:
    lines = LineSet(LinesRecipe(length=length, cut=cut, start=start), "test", 5)
    all_sentences = set(lines.texts)
    longest = max(map(len, lines.texts))
    for i in range(120):
        text = lines.text(i)
        assert 0 < len(text) <= length[1] and text == text.strip()
        assert not lines.alphabet.unknown_characters(text)
        sentence = lines.texts[lines._sentence_order[i % len(lines.texts)]]
        assert sentence.startswith(text) if start == "head" else text in sentence
        if start != "head":
            assert f" {text}" in f" {sentence}"  # starts at the start of a word
        if cut == "word" and " " in text:
            assert f"{text} " in f"{sentence} "  # ends at the end of a word
        if length[1] > longest:
            assert text in all_sentences or start != "head"


def test_half_of_mixed_lines_start_at_the_head_of_their_sentence() -> None:
    recipe = LinesRecipe(sentences=("built-in",), length=(12, 12), start="mixed")
    mixed, words = LineSet(recipe, "train", 5), LineSet(dataclasses.replace(recipe, start="word"), "train", 5)

    def heads(lines: LineSet) -> float:
        long = [i for i in range(1500) if len(lines.texts[lines._sentence_order[i % len(lines.texts)]]) > 24]
        assert len(long) > 100
        return float(np.mean([
            lines.texts[lines._sentence_order[i % len(lines.texts)]].startswith(lines.text(i)) for i in long
        ]))  # fmt: skip

    share = heads(words)  # a random word may be the first
    assert share < 0.4 and abs(heads(mixed) - (0.5 + share / 2)) < 0.08


def test_lengths_are_drawn_uniformly() -> None:
    lines = LineSet(LinesRecipe(length=(5, 14), cut="character"), "train", 0)
    counts = np.bincount([len(lines.text(i)) for i in range(1500)], minlength=15)
    assert counts[5:15].sum() > 1200 and counts[6:15].min() > 60


@pytest.mark.parametrize("start", ["head", "word"])
def test_padding_fills_image_and_label(emnist_data: Path, start: str) -> None:
    recipe = dataclasses.replace(TILES, length=(40, 40), pad=True, start=start)
    lines = LineSet(recipe, "train")
    padded = [i for i in range(40) if lines.text(i).endswith(" ")]
    assert padded and all(len(lines.text(i)) == 40 for i in range(40))
    for i in padded:
        line = lines.line(i)
        assert line.image.shape == (TILE, 40 * TILE) and not line.image[:, len(line.text.rstrip()) * TILE :].any()


def test_variants_have_the_same_text_and_different_images(emnist_data: Path) -> None:
    lines = LineSet(dataclasses.replace(TILES, variants=3, start="head", length=(12, 12)), "train")
    for i in range(0, 60, 3):
        assert lines.text(i) == lines.text(i + 1) == lines.text(i + 2)
        assert not np.array_equal(lines.line(i).image, lines.line(i + 1).image)


def test_every_sentence_is_used_before_any_is_repeated() -> None:
    lines = LineSet(LinesRecipe(length=(400, 400)), "val")
    count = len(lines.texts)
    assert sorted(lines.text(i) for i in range(count)) == sorted(lines.texts)
    assert [lines.text(i) for i in range(count, 2 * count)] == [lines.text(i) for i in range(count)]


def test_sentence_limit_keeps_a_subset() -> None:
    full, limited = LineSet(LinesRecipe(), "test"), LineSet(LinesRecipe(sentence_limit=7), "test")
    assert len(limited.texts) == 7 and set(limited.texts) < set(full.texts)
    assert LineSet(LinesRecipe(sentence_limit=10**9), "test").texts == full.texts
    with pytest.raises(DataError, match="no sentence"):
        LineSet(LinesRecipe(sentence_limit=0), "test")


# ---------------------------------------------------------------------- refusals


def test_characters_without_a_glyph_are_named_when_the_set_is_opened(emnist_data: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.txt").write_text("".join(f"Füll {k} with é?☃\n" for k in range(300)), encoding="utf-8")
    recipe = LinesRecipe(
        alphabet=Alphabet.from_name("english").characters + "üé", sentences=(f"text:{tmp_path / 'odd.txt'}",)
    )
    cases = {("strokes",): "'é', 'ü'", ("emnist/byclass", "strokes"): "'é', 'ü'", ("emnist/byclass",): "'?', 'é', 'ü'"}
    for glyphs, missing in cases.items():
        with pytest.raises(AlphabetError) as error:
            LineSet(dataclasses.replace(recipe, glyphs=tuple(map(GlyphShare, glyphs))), "train")
        assert missing in str(error.value) and all(g in str(error.value) for g in glyphs)
    with pytest.raises(AlphabetError, match="'☃'"):
        LineSet(dataclasses.replace(recipe, alphabet="english", unknown="refuse"), "train")


def test_sentences_that_nothing_can_draw_are_left_out_where_the_recipe_says_so(tmp_path: Path) -> None:
    texts = [
        "plain words",
        "half is \u00bd",
        "a sausage, a street",
        "the stra\u00dfe",
        "\u0645\u0631\u062d\u0628\u0627",
    ] * 40
    (tmp_path / "texts.txt").write_text("".join(f"{text} {k}\n" for k, text in enumerate(texts)), encoding="utf-8")
    alphabet = "".join(sorted(set("".join(texts)) | set(" 0123456789")))
    recipe = LinesRecipe(
        alphabet=alphabet,
        direction="ltr",
        glyphs=(GlyphShare("strokes"),),
        sentences=(f"text:{tmp_path / 'texts.txt'}",),
    )
    with pytest.raises(AlphabetError, match="none of the glyphs"):
        LineSet(recipe, "train")
    lines = LineSet(dataclasses.replace(recipe, undrawn="drop"), "train")
    assert {text.rpartition(" ")[0] for text in lines.texts} == {"plain words", "a sausage, a street"}
    (note,) = [note for note in lines.notes if "left out" in note]
    assert "no glyph source draws all of their characters, such as" in note and "'\u00bd'" in note
    assert lines.line(3).image.size > 0


def test_unknown_split_or_effect_is_refused_with_the_choices() -> None:
    with pytest.raises(DataError, match='did you mean "train"'):
        LineSet(NATURAL, "trian")
    with pytest.raises(RecipeError, match='no effect "blurr"'):
        LineSet(dataclasses.replace(NATURAL, effects={"blurr": 0.5}), "train")


def test_seed_may_be_any_whole_number() -> None:
    seeds = [0, -1, 2**63, 2**64 + 5, 10**30]
    assert len({LineSet(NATURAL, "test", seed).seed for seed in seeds}) == len(seeds)


# ---------------------------------------------------------------------- glyphline.compose


@pytest.mark.parametrize("layout", LAYOUTS)
def test_compose_draws_the_text_and_repeats_with_the_seed(layout: str, emnist_data: Path) -> None:
    glyphs = "strokes" if layout == "natural" else "emnist/byclass"
    first, same_seed, other_seed = (glyphline.compose("Hello you", seed, layout, glyphs) for seed in (1, 1, 2))
    assert first.text == "Hello you" and len(first.boxes) == 8
    assert np.array_equal(first.image, same_seed.image) and first.record == same_seed.record
    assert not np.array_equal(first.image, other_seed.image)


def test_compose_refuses_missing_characters_and_empty_texts() -> None:
    with pytest.raises(AlphabetError, match="'é'"):
        glyphline.compose("café")
    with pytest.raises(AlphabetError):
        glyphline.compose("  ")


@pytest.mark.parametrize("options", [{"layout": "tile"}, {"seed": -1}], ids=["layout", "seed"])
def test_compose_refuses_invalid_options(options: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        glyphline.compose("Hello", **options)


# ---------------------------------------------------------------------- to disk


COUNT = CHUNK + 33


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder to write to."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture(scope="module")
def lines(shared_emnist: Path) -> LineSet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLYPHLINE_DATA", str(shared_emnist))
        return LineSet(TILES, "train", 11)


@pytest.fixture(scope="module")
def uninterrupted(lines: LineSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted call; tests must not change it."""
    folder = tmp_path_factory.mktemp("lines")
    assert write_lines(lines, COUNT, folder) == COUNT
    return folder


@pytest.fixture
def expected(uninterrupted: Path, tmp_path: Path) -> dict[str, bytes]:
    """The files of an uninterrupted call. A copy of its folder is tmp_path/copy."""
    shutil.copytree(uninterrupted, tmp_path / "copy")
    return read_files(uninterrupted)


def test_folder_holds_images_labels_and_records(lines: LineSet, expected: dict[str, bytes], tmp_path: Path) -> None:
    assert set(expected) == {f"{i:06d}.png" for i in range(COUNT)} | {LABELS, RECORDS, SETTINGS}
    pairs = read_labels(tmp_path / "copy")
    records = [json.loads(row) for row in expected[RECORDS].decode().splitlines()]
    assert len(pairs) == len(records) == COUNT
    for i, ((path, text), record) in enumerate(zip(pairs, records, strict=True)):
        line = lines.line(i)
        assert path.name == record["file"] == f"{i:06d}.png" and text == record["text"] == line.text
        assert np.array_equal(load(path), line.image)
        assert [g["character"] for g in record["glyphs"]] == list(text.replace(" ", ""))
        assert np.array_equal(canonical_line_image(load(path), TILE, "whole"), lines.canonical_line(i)[0])


def test_written_natural_lines_equal_composed_lines(out: Path) -> None:
    natural = LineSet(NATURAL, "val", 4)
    write_lines(natural, 5, out, boxes=True)
    records = [json.loads(row) for row in (out / RECORDS).read_text().splitlines()]
    for i, (path, text) in enumerate(read_labels(out)):
        line = natural.line(i, boxes=True)
        assert np.array_equal(load(path), line.image) and text == line.text
        assert [tuple(box) for box in records[i]["boxes"]] == line.boxes
        assert records[i]["numbers"] == line.record.numbers


@pytest.mark.parametrize("workers", [2, 3])
def test_files_do_not_depend_on_the_number_of_workers(
    lines: LineSet, expected: dict[str, bytes], tmp_path: Path, workers: int
) -> None:
    write_lines(lines, COUNT, tmp_path / "workers", workers=workers)
    assert read_files(tmp_path / "workers") == expected


def truncate_labels_inside_a_row(out: Path) -> None:
    raw = (out / LABELS).read_bytes()
    (out / LABELS).write_bytes(raw[: raw.index(b"000040.png") + 14])


def truncate_records_inside_a_row(out: Path) -> None:
    raw = (out / RECORDS).read_bytes()
    (out / RECORDS).write_bytes(raw[: len(raw) // 3])


def remove_rows_of_the_last_chunk(out: Path) -> None:
    for name in (LABELS, RECORDS):
        rows = (out / name).read_bytes().splitlines(keepends=True)
        (out / name).write_bytes(b"".join(rows[:CHUNK]))


def remove_records(out: Path) -> None:
    (out / RECORDS).unlink()


def remove_all_but_settings(out: Path) -> None:
    for path in out.iterdir():
        if path.name != SETTINGS:
            path.unlink()


def leave_an_incomplete_image(out: Path) -> None:
    truncate_labels_inside_a_row(out)
    for index in range(41, COUNT):
        (out / f"{index:06d}.png").unlink()
    (out / "000040.png").write_bytes(b"\x89PNG")


INTERRUPTIONS = [
    truncate_labels_inside_a_row,
    truncate_records_inside_a_row,
    remove_rows_of_the_last_chunk,
    remove_records,
    remove_all_but_settings,
    leave_an_incomplete_image,
]


@pytest.mark.parametrize("interrupt", INTERRUPTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("workers", [1, 2])
def test_interrupted_call_continues_to_the_same_files(
    lines: LineSet, expected: dict[str, bytes], tmp_path: Path, interrupt: Callable[[Path], None], workers: int
) -> None:
    out = tmp_path / "copy"
    interrupt(out)
    assert 0 < write_lines(lines, COUNT, out, workers=workers) <= COUNT
    assert read_files(out) == expected


def test_existing_images_are_not_written_again(lines: LineSet, expected: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "copy"
    times_before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert write_lines(lines, COUNT, out) == 0
    assert write_lines(lines, 5, out) == 0
    assert read_files(out) == expected
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")} == times_before


def test_set_can_be_extended(lines: LineSet, expected: dict[str, bytes], tmp_path: Path) -> None:
    assert write_lines(lines, 10, tmp_path / "grown") == 10
    assert write_lines(lines, COUNT, tmp_path / "grown", workers=2) == COUNT - 10
    assert read_files(tmp_path / "grown") == expected


def test_progress_receives_every_chunk(lines: LineSet, out: Path) -> None:
    calls: list[tuple[int, int, list[int]]] = []

    def progress(chunks: Iterable[Any], done: int, count: int) -> Iterable[Any]:
        sizes: list[int] = []
        calls.append((done, count, sizes))
        for rows in chunks:
            sizes.append(len(rows))
            yield rows

    write_lines(lines, 10, out)
    write_lines(lines, 100, out, progress=progress)
    assert calls == [(10, 100, [CHUNK, 100 - 10 - CHUNK])]


@pytest.mark.parametrize("errno", [28, 122])
@pytest.mark.parametrize("files_before", [0, 1, 70])
def test_full_disk_is_reported_and_the_call_can_be_continued(
    lines: LineSet,
    expected: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files_before: int,
    errno: int,
) -> None:
    write_bytes, remaining_files = Path.write_bytes, [files_before]

    def fail_when_full(path: Path, data: bytes) -> int:
        if remaining_files[0] == 0:
            write_bytes(path, data[:10])
            raise OSError(errno, os.strerror(errno))
        remaining_files[0] -= 1
        return write_bytes(path, data)

    with monkeypatch.context() as patch, pytest.raises(GlyphlineError, match="continues there") as error:
        patch.setattr(Path, "write_bytes", fail_when_full)
        write_lines(lines, COUNT, tmp_path / "full")
    assert str(tmp_path / "full") in str(error.value) and error.value.exit_code == 1
    assert 0 < write_lines(lines, COUNT, tmp_path / "full") <= COUNT
    assert read_files(tmp_path / "full") == expected


@pytest.mark.parametrize("content", ["", '{\n "recipe": {'])
def test_incomplete_settings_are_written_again(lines: LineSet, out: Path, content: str) -> None:
    (out / SETTINGS).write_text(content)
    assert write_lines(lines, 3, out) == 3


def test_row_truncated_inside_a_character_is_removed(lines: LineSet, out: Path) -> None:
    write_lines(lines, 3, out)
    before = read_files(out)
    with (out / LABELS).open("ab") as labels:
        labels.write("000003.png\tcaf\u00e9".encode()[:-1])
    assert write_lines(lines, 3, out) == 0
    assert read_files(out) == before


@pytest.mark.parametrize(
    "change", [{"seed": 12}, {"split": "val"}, {"recipe": dataclasses.replace(TILES, length=(6, 15))}, {"boxes": True}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_folder_with_other_settings_is_refused_and_unchanged(
    lines: LineSet, emnist_data: Path, out: Path, change: dict[str, Any]
) -> None:
    write_lines(lines, 3, out)
    before = read_files(out)
    boxes = bool(change.get("boxes"))
    different = LineSet(change.get("recipe", TILES), change.get("split", "train"), change.get("seed", 11))
    with pytest.raises(DataError, match="other settings"):
        write_lines(different, 3, out, boxes=boxes)
    assert read_files(out) == before


def test_lines_of_glyphs_or_sentences_that_have_changed_are_refused(out: Path) -> None:
    lines = LineSet(LinesRecipe(length=(3, 20)), "train", 0)
    assert write_lines(lines, 2, out) == 2
    assert write_lines(lines, 3, out) == 1
    before = read_files(out)
    lines.texts = [*lines.texts[:-1], "another one"]
    with pytest.raises(DataError, match="other glyphs or sentences, which have changed since: choose another folder"):
        write_lines(lines, 4, out)
    assert read_files(out) == before
    (out / SETTINGS).write_text("[]")
    with pytest.raises(DataError, match="other settings, or of an older version"):
        write_lines(lines, 4, out)


def test_folder_with_foreign_labels_is_refused_and_unchanged(lines: LineSet, out: Path) -> None:
    (out / LABELS).write_text("mine.png\tmine\n")
    with pytest.raises(DataError, match="was not composed here"):
        write_lines(lines, 3, out)
    assert read_files(out) == {LABELS: b"mine.png\tmine\n"}
    (out / "file").write_text("")
    for path in (out / "file", out / "file" / "in"):
        with pytest.raises(DataError, match="cannot write to"):
            write_lines(lines, 3, path)


# ---------------------------------------------------------------------- reading a folder of lines


@pytest.fixture
def labelled_folder(tmp_path: Path) -> Path:
    """A folder with two images, before its labels.tsv is written."""
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((9, 9), np.uint8))
    return tmp_path


def test_labels_may_end_rows_with_crlf_and_contain_tabs(labelled_folder: Path) -> None:
    (labelled_folder / LABELS).write_bytes("a.png\tnaïve text\r\nb.png\ta\ttab\n".encode())
    assert read_labels(labelled_folder) == [
        (labelled_folder / "a.png", "naïve text"),
        (labelled_folder / "b.png", "a\ttab"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [("a.png\tx\nb.png y\n", "line 2 has no tab"), ("a.png\tx\nc.png\ty\n", r"line 2 names c\.png"), ("", "empty")],
)
def test_first_invalid_row_is_named(labelled_folder: Path, content: str, message: str) -> None:
    (labelled_folder / LABELS).write_text(content)
    with pytest.raises(DataError, match=message):
        read_labels(labelled_folder)


def test_missing_labels_are_refused_with_their_format(labelled_folder: Path) -> None:
    with pytest.raises(DataError, match="file<TAB>text"):
        read_labels(labelled_folder)


def test_labels_that_are_not_utf8_are_refused(labelled_folder: Path) -> None:
    (labelled_folder / LABELS).write_bytes("a.png\tcafé\n".encode("latin-1"))
    with pytest.raises(DataError):
        read_labels(labelled_folder)


def test_unicode_line_separator_does_not_end_a_row(labelled_folder: Path) -> None:
    (labelled_folder / LABELS).write_text("a.png\tone\u2028two\n", encoding="utf-8")
    assert read_labels(labelled_folder) == [(labelled_folder / "a.png", "one\u2028two")]


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_contact_sheet_shows_every_line(columns: int) -> None:
    pairs = [(np.full((20 + k, 30 * k + 1), 100, np.uint8), "text ☃ " * k) for k in range(1, 6)]
    sheet = draw_contact_sheet(pairs, columns)
    rows = -(-5 // columns)
    assert sheet.dtype == np.uint8 and sheet.shape[0] == rows * (48 + 22) and sheet.shape[1] % columns == 0
    for k in range(5):
        cell = sheet[k // columns * 70 :, k % columns * sheet.shape[1] // columns :]
        assert (cell[2:50, 4:10] == 100).all()


# ---------------------------------------------------------------------- the real data


@pytest.mark.slow
def test_real_data_composes_the_lines_of_the_report(shared_data: Path) -> None:
    recipe = dataclasses.replace(TILES, sentences=("wikisplit",), length=(32, 32))
    sets = {split: LineSet(recipe, split) for split in SPLITS}
    sentences.check_disjoint({split: lines.texts for split, lines in sets.items()})
    for lines in sets.values():
        images, texts = lines.canonical_batch(range(64))
        for image, text, line in zip(images, texts, map(lines.line, range(64)), strict=True):
            assert np.array_equal(image, line.image) and text == line.text
            assert np.array_equal(canonical_line_image(image, TILE, "whole"), image)


def test_open_layout_follows_the_recipe() -> None:
    for name, recipe in RECIPES.items():
        assert isinstance(open_layout(recipe), LAYOUTS[name])
    assert not open_layout(dataclasses.replace(NATURAL, effects={})).effects  # type: ignore[attr-defined]


def test_given_pool_is_used(emnist_data: Path) -> None:
    pool = GlyphPool((Emnist("byclass"), Strokes()), (1.0, 1.0), "val")
    assert LineSet(NATURAL, "val", 0, pool).pool is pool


def test_letter_spaced_share_is_kept_and_half_of_it_is_in_capitals() -> None:
    lines = LineSet(dataclasses.replace(NATURAL, letter_spaced=0.4, length=(1, 30)), "train", 0)
    texts = [lines.text(k) for k in range(1000)]
    letter_spaced = [t for t in texts if len(t) > 3 and all(len(word) == 1 for word in t.split(" "))]
    assert 0.3 < len(letter_spaced) / 1000 < 0.5 and max(map(len, texts)) <= 30
    assert 0.35 < sum(t.upper() == t for t in letter_spaced) / len(letter_spaced) < 0.65


def test_capitals_share_is_kept() -> None:
    recipe = dataclasses.replace(NATURAL, capitals=0.4)
    plain, with_capitals = LineSet(NATURAL, "train", 1), LineSet(recipe, "train", 1)
    texts = [(plain.text(i), with_capitals.text(i)) for i in range(400)]
    assert all(b in (a, a.upper()) for a, b in texts)
    assert 0.3 < sum(b == a.upper() for a, b in texts if a != a.upper()) / len(texts) < 0.5
    assert all(c in with_capitals.alphabet for _, text in texts for c in text)


# ---------------------------------------------------------------------- weights of text sources


def test_sentence_weights_give_the_shares_of_the_sources(tmp_path: Path) -> None:
    for name, letter in (("a", "a"), ("b", "b")):
        texts = [f"{letter * 3} {k}" for k in range(400 if name == "a" else 60)]
        (tmp_path / f"{name}.txt").write_text("\n".join(texts))
    sources = [f"text:{tmp_path / 'a.txt'}", f"text:{tmp_path / 'b.txt'}"]
    for weights in ([0.2, 0.8], [0.0, 1.0]):
        recipe = recipe_from({"lines": {"sentences": sources, "sentence_weights": weights, "length": [3, 40]}})
        lines = LineSet(recipe.lines, "train")
        share = np.mean(["b" in lines.text(k) for k in range(2000)])
        assert share == pytest.approx(weights[1], abs=0.03)
        assert lines.text(7) == LineSet(recipe.lines, "train").text(7)


def test_test_sentences_are_those_of_the_validation_and_test_lines_alone(tmp_path: Path) -> None:
    for letter in "ab":
        (tmp_path / f"{letter}.txt").write_text("\n".join(f"{letter * 3} {k}" for k in range(100)))
    a, b = (f"text:{tmp_path / letter}.txt" for letter in "ab")
    lines = {"sentences": [a, b], "length": [3, 40], "test_sentences": [b]}
    letters = {
        split: {text[0] for text in LineSet(recipe_from({"lines": lines}).lines, split).texts}
        for split in ("train", "val", "test")
    }
    assert letters == {"train": {"a", "b"}, "val": {"b"}, "test": {"b"}}
    whole, part = (LineSet(recipe_from({"lines": {**lines, "test_sentences": t}}).lines, "test") for t in ([], [b]))
    assert part.texts == [text for text in whole.texts if text[0] == "b"]  # no sentence changes its split


def test_test_sentences_have_to_be_among_the_sentences() -> None:
    with pytest.raises(RecipeError, match=r"test_sentences has wikisplit, which is not .* choose from built-in"):
        recipe_from({"lines": {"sentences": ["built-in"], "test_sentences": ["wikisplit"]}})


@pytest.mark.parametrize(
    ("weights", "message"), [([1.0, 1.0], "2 numbers for 1 text"), ([-1.0], "0 or more"), ([0.0], "one above 0")]
)
def test_wrong_sentence_weights_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_from({"lines": {"sentences": ["built-in"], "sentence_weights": weights}})


def test_everybodys_lines_are_composed_of_what_is_on_the_machine(tmp_path: Path) -> None:
    glyphs = (GlyphShare("strokes", 0.2), GlyphShare(f"fonts:{tmp_path / 'none'}", 0.8))
    specs = ("built-in", f"text:{tmp_path / 'none.txt'}", "generated:160000")
    recipe = LinesRecipe(
        glyphs=glyphs, sentences=specs, sentence_weights=(0.2, 0.5, 0.3), test_sentences=specs[:2],
        labelled=(LabelledShare("lines", 0.5),),
    )  # fmt: skip
    lines, note = available_lines(recipe)
    assert lines.glyphs == (*glyphs[:1], GlyphShare(EMBEDDED_FONTS, 0.8))
    assert lines.sentences == ("built-in", f"generated:{sentences.GENERATED_COUNT}")
    assert lines.sentence_weights == (0.2, 0.3) and lines.test_sentences == ("built-in",) and not lines.labelled
    missing = f"fonts:{tmp_path / 'none'}, text:{tmp_path / 'none.txt'}"
    assert note == (
        f"everybody's lines are composed without {missing}: not on this machine; fonts of the package take the "
        "place of the others"
    )
    lines, _ = available_lines(
        dataclasses.replace(
            recipe, glyphs=(GlyphShare(f"folder:{tmp_path / 'none'}"),), sentences=specs[1:2], sentence_weights=()
        )
    )
    assert [share.source for share in lines.glyphs] == [EMBEDDED_GLYPHS]
    assert lines.sentences == EMBEDDED_SENTENCES
