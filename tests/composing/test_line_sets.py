"""Sets of lines: item i is a function of (seed, i), in memory, in another process and on disk, whatever happens."""

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
    LABELS,
    RECORDS,
    SETTINGS,
    LineSet,
    contact_sheet,
    open_layout,
    read_labels,
    write_lines,
)
from glyphline.errors import AlphabetError, DataError, GlyphlineError, RecipeError, UserError
from glyphline.imaging.documents import load
from glyphline.imaging.normalization import canonical_line_image
from glyphline.recipe import GlyphShare, LinesRecipe

NATURAL = LinesRecipe(length=(3, 12))
TILES = LinesRecipe(
    alphabet="merged", layout="tiles", glyphs=(GlyphShare("emnist/bymerge"),), punctuation="stripped",
    length=(6, 14), cut="character", height=TILE,
)  # fmt: skip
OVERLAP = dataclasses.replace(TILES, layout="overlap")
RECIPES = {"tiles": TILES, "overlap": OVERLAP, "natural": NATURAL}
SOME = [0, 1, 2, 63, 64, 100_000, 10**12]


@pytest.fixture(params=LAYOUTS)
def recipe(request: pytest.FixtureRequest, emnist_data: Path) -> LinesRecipe:
    return RECIPES[request.param]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def checksum(lines: LineSet, indices: Iterable[int]) -> str:
    """Of images, texts and records."""
    out = hashlib.sha256()
    for index in indices:
        line = lines.line(index, boxes=True)
        out.update(line.image.tobytes() + repr((line.text, line.record, line.boxes, line.image.shape)).encode())
    return out.hexdigest()


# ---------------------------------------------------------------------- item i is a function of (seed, i)


def test_a_line_does_not_depend_on_the_lines_before_it(recipe: LinesRecipe) -> None:
    forth, back = LineSet(recipe, "train", 3), LineSet(recipe, "train", 3)
    lines = {i: forth.line(i) for i in SOME}
    for i in reversed(SOME):
        again = back.line(i)
        assert np.array_equal(again.image, lines[i].image) and again.record == lines[i].record
        assert again.text == lines[i].text == back.text(i) and again.index == i


def test_one_by_one_or_in_batches(recipe: LinesRecipe) -> None:
    lines = LineSet(recipe, "val", 1)
    images, texts = lines.canonical_batch(SOME)
    assert texts == [lines.text(i) for i in SOME]
    parts = lines.canonical_batch(SOME[:2])[0] + lines.canonical_batch(SOME[2:])[0]
    for i, image, part in zip(SOME, images, parts, strict=True):
        alone, text = lines.canonical_line(i)
        assert np.array_equal(image, alone) and np.array_equal(image, part) and text == lines.text(i)
        assert image.shape[0] == recipe.height and image.dtype == np.uint8
        assert np.array_equal(
            image, canonical_line_image(lines.line(i).image, recipe.height, lines.layout.normalization)
        )


def test_the_same_in_another_process(recipe: LinesRecipe) -> None:
    here = checksum(LineSet(recipe, "test", 7), SOME)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_line_sets as t; "
        f"print(t.checksum(t.LineSet(t.RECIPES[{recipe.layout!r}], 'test', 7), t.SOME))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "5"}
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_seeds_and_splits_give_other_lines(recipe: LinesRecipe) -> None:
    seen = {checksum(LineSet(recipe, split, seed), range(3)) for split in SPLITS for seed in (0, 1, -1)}
    assert len(seen) == 9


def test_lines_do_not_repeat(recipe: LinesRecipe) -> None:
    lines = LineSet(recipe, "train", 0)
    count = 60
    assert len({lines.line(i).image.tobytes() for i in range(count)}) == count


# ---------------------------------------------------------------------- tiles


def test_jitter_bends_training_tiles_alone(emnist_data: Path) -> None:
    bent = dataclasses.replace(TILES, jitter=1.0)
    for split in SPLITS:
        plain, other = LineSet(TILES, split, 2), LineSet(bent, split, 2)
        (a, _), (b, _) = plain.canonical_batch(SOME), other.canonical_batch(SOME)
        same = [np.array_equal(x, y) for x, y in zip(a, b, strict=True)]
        assert not any(same) if split == "train" else all(same)
        assert all(np.array_equal(y, other.line(i).image) for i, y in zip(SOME, b, strict=True))
        assert [plain.text(i) for i in SOME] == [other.text(i) for i in SOME]


@pytest.mark.parametrize("split", SPLITS)
def test_tiles_are_the_bank_s_side_by_side(emnist_data: Path, split: str) -> None:
    lines = LineSet(TILES, split, 2)
    bank = lines.pool.sources[0].tiles(split)
    images, texts = lines.canonical_batch(range(40))
    for i, (image, text) in enumerate(zip(images, texts, strict=True)):
        line = lines.line(i)
        numbers = iter(g.index for g in line.record.glyphs)
        plain = [np.zeros((TILE, TILE), np.uint8) if c == " " else bank.images[next(numbers)] for c in text]
        assert np.array_equal(line.image, np.hstack(plain))
        assert np.array_equal(line.image, image) and line.text == text


# ---------------------------------------------------------------------- splits


def inks_of(lines: LineSet, index: int) -> Iterable[bytes]:
    """The glyphs of a line as they were before it, dots and dashes left out."""
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
    images = {split: {ink for i in range(40) for ink in inks_of(lines, i)} for split, lines in sets.items()}
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        assert images[a] and not images[a] & images[b]


def test_the_report_s_validation_reads_unseen_sentences_in_glyphs_of_training(emnist_data: Path) -> None:
    random_uint64 = LineSet(TILES, "val", glyphs="train")
    train, val = LineSet(TILES, "train"), LineSet(TILES, "val")
    assert random_uint64.texts == val.texts and not set(random_uint64.texts) & set(train.texts)
    known = {image.tobytes() for image in train.pool.sources[0].tiles("train").images} | {bytes(TILE * TILE)}
    for lines, from_training in ((random_uint64, True), (val, False)):
        tiles = {
            t.tobytes()
            for i in range(20)
            for t in np.hsplit(lines.line(i).image, lines.line(i).image.shape[1] // TILE)
            if t.any()
        }
        assert (tiles <= known) == from_training and bool(tiles & known) == from_training


def test_a_planted_glyph_is_found(tiny_emnist: Any) -> None:
    for kind in ("images", "labels"):
        both = [tiny_emnist.array(part, kind, "bymerge") for part in ("test", "train")]
        tiny_emnist.write("test", kind, np.concatenate(both), "bymerge")
    with pytest.raises(DataError, match="leak"):
        check_disjoint(LineSet(TILES, "train").pool.sources[0])


def test_a_planted_sentence_is_found(emnist_data: Path) -> None:
    sets = {split: list(LineSet(TILES, split).texts) for split in SPLITS}
    sentences.check_disjoint(sets)
    sets["train"].append(sets["test"][0].lower())
    with pytest.raises(DataError, match="leak"):
        sentences.check_disjoint(sets)


# ---------------------------------------------------------------------- texts


LENGTHS = [(1, 1), (1, 4), (4, 48), (10, 10), (32, 32), (200, 400)]


@pytest.mark.parametrize("start", ["head", "word"])
@pytest.mark.parametrize("cut", ["word", "character"])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_text_is_a_part_of_a_sentence_that_fits(length: tuple[int, int], cut: str, start: str) -> None:
    lines = LineSet(LinesRecipe(length=length, cut=cut, start=start), "test", 5)
    sentences_here = set(lines.texts)
    longest = max(map(len, lines.texts))
    for i in range(120):
        text = lines.text(i)
        assert 0 < len(text) <= length[1] and text == text.strip()
        assert not lines.alphabet.unknown(text)
        sentence = lines.texts[lines._order[i % len(lines.texts)]]
        assert sentence.startswith(text) if start == "head" else text in sentence
        if start == "word":
            assert f" {text}" in f" {sentence}"  # begins where a word begins
        if cut == "word" and " " in text:
            assert f"{text} " in f"{sentence} "  # ends where a word ends
        if length[1] > longest:
            assert text in sentences_here or start == "word"


def test_lengths_are_drawn_evenly() -> None:
    lines = LineSet(LinesRecipe(length=(5, 14), cut="character"), "train", 0)
    counts = np.bincount([len(lines.text(i)) for i in range(1500)], minlength=15)
    assert counts[5:15].sum() > 1200 and counts[6:15].min() > 60


@pytest.mark.parametrize("start", ["head", "word"])
def test_padding_fills_picture_and_label(emnist_data: Path, start: str) -> None:
    recipe = dataclasses.replace(TILES, length=(40, 40), pad=True, start=start)
    lines = LineSet(recipe, "train")
    padded = [i for i in range(40) if lines.text(i).endswith(" ")]
    assert padded and all(len(lines.text(i)) == 40 for i in range(40))
    for i in padded:
        line = lines.line(i)
        assert line.image.shape == (TILE, 40 * TILE) and not line.image[:, len(line.text.rstrip()) * TILE :].any()


def test_variants_write_the_same_text_again(emnist_data: Path) -> None:
    lines = LineSet(dataclasses.replace(TILES, variants=3, start="head", length=(12, 12)), "train")
    for i in range(0, 60, 3):
        assert lines.text(i) == lines.text(i + 1) == lines.text(i + 2)
        assert not np.array_equal(lines.line(i).image, lines.line(i + 1).image)


def test_every_sentence_comes_up_before_any_comes_twice() -> None:
    lines = LineSet(LinesRecipe(length=(400, 400)), "val")
    count = len(lines.texts)
    assert sorted(lines.text(i) for i in range(count)) == sorted(lines.texts)
    assert [lines.text(i) for i in range(count, 2 * count)] == [lines.text(i) for i in range(count)]


def test_a_limit_keeps_a_part_of_each_split() -> None:
    whole, some = LineSet(LinesRecipe(), "test"), LineSet(LinesRecipe(sentence_limit=7), "test")
    assert len(some.texts) == 7 and set(some.texts) < set(whole.texts)
    assert LineSet(LinesRecipe(sentence_limit=10**9), "test").texts == whole.texts
    with pytest.raises(DataError, match="no sentence"):
        LineSet(LinesRecipe(sentence_limit=0), "test")


# ---------------------------------------------------------------------- refusals


def test_what_nobody_can_draw_is_named_before_the_first_line(emnist_data: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.txt").write_text("".join(f"Füll {k} with é?☃\n" for k in range(300)), encoding="utf-8")
    recipe = LinesRecipe(
        alphabet=Alphabet.named("english").characters + "üé", sentences=(f"text:{tmp_path / 'odd.txt'}",)
    )
    cases = {("strokes",): "'é', 'ü'", ("emnist/byclass", "strokes"): "'é', 'ü'", ("emnist/byclass",): "'?', 'é', 'ü'"}
    for glyphs, missing in cases.items():
        with pytest.raises(AlphabetError) as caught:
            LineSet(dataclasses.replace(recipe, glyphs=tuple(map(GlyphShare, glyphs))), "train")
        assert missing in str(caught.value) and all(g in str(caught.value) for g in glyphs)
    with pytest.raises(AlphabetError, match="'☃'"):
        LineSet(dataclasses.replace(recipe, alphabet="english", unknown="refuse"), "train")


def test_unknown_names_are_told_the_choices() -> None:
    with pytest.raises(DataError, match='did you mean "train"'):
        LineSet(NATURAL, "trian")
    with pytest.raises(RecipeError, match='no effect "blurr"'):
        LineSet(dataclasses.replace(NATURAL, effects={"blurr": 0.5}), "train")


def test_a_seed_of_any_size_will_do() -> None:
    seeds = [0, -1, 2**63, 2**64 + 5, 10**30]
    assert len({LineSet(NATURAL, "test", seed).seed for seed in seeds}) == len(seeds)


# ---------------------------------------------------------------------- the package's face


@pytest.mark.parametrize("layout", LAYOUTS)
def test_compose_writes_what_it_is_told(layout: str, emnist_data: Path) -> None:
    glyphs = "strokes" if layout == "natural" else "emnist/byclass"
    one, two, other = (glyphline.compose("Hello you", seed, layout, glyphs) for seed in (1, 1, 2))
    assert one.text == "Hello you" and len(one.boxes) == 8
    assert np.array_equal(one.image, two.image) and one.record == two.record
    assert not np.array_equal(one.image, other.image)


def test_compose_names_what_it_cannot_write() -> None:
    with pytest.raises(AlphabetError, match="'é'"):
        glyphline.compose("café")
    with pytest.raises(AlphabetError):
        glyphline.compose("  ")


@pytest.mark.parametrize("wrong", [{"layout": "tile"}, {"seed": -1}], ids=["layout", "seed"])
def test_compose_refuses_in_a_sentence(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        glyphline.compose("Hello", **wrong)


# ---------------------------------------------------------------------- to disk


COUNT = CHUNK + 33


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder to write to."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture(scope="module")
def lines(emnist_here: Path) -> LineSet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLYPHLINE_DATA", str(emnist_here))
        return LineSet(TILES, "train", 11)


@pytest.fixture(scope="module")
def undisturbed(lines: LineSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run writes that nothing befalls; not to be changed."""
    folder = tmp_path_factory.mktemp("lines")
    assert write_lines(lines, COUNT, folder) == COUNT
    return folder


@pytest.fixture
def whole(undisturbed: Path, tmp_path: Path) -> dict[str, bytes]:
    """The contents of tmp_path/whole, a run that nothing befell yet."""
    shutil.copytree(undisturbed, tmp_path / "whole")
    return contents(undisturbed)


def test_a_folder_holds_pictures_labels_and_records(lines: LineSet, whole: dict[str, bytes], tmp_path: Path) -> None:
    assert set(whole) == {f"{i:06d}.png" for i in range(COUNT)} | {LABELS, RECORDS, SETTINGS}
    pairs = read_labels(tmp_path / "whole")
    records = [json.loads(row) for row in whole[RECORDS].decode().splitlines()]
    assert len(pairs) == len(records) == COUNT
    for i, ((path, text), record) in enumerate(zip(pairs, records, strict=True)):
        line = lines.line(i)
        assert path.name == record["file"] == f"{i:06d}.png" and text == record["text"] == line.text
        assert np.array_equal(load(path), line.image)
        assert [g["character"] for g in record["glyphs"]] == list(text.replace(" ", ""))
        assert np.array_equal(canonical_line_image(load(path), TILE, "whole"), lines.canonical_line(i)[0])


def test_natural_lines_are_written_as_they_are_composed(out: Path) -> None:
    natural = LineSet(NATURAL, "val", 4)
    write_lines(natural, 5, out, boxes=True)
    records = [json.loads(row) for row in (out / RECORDS).read_text().splitlines()]
    for i, (path, text) in enumerate(read_labels(out)):
        line = natural.line(i, boxes=True)
        assert np.array_equal(load(path), line.image) and text == line.text
        assert [tuple(box) for box in records[i]["boxes"]] == line.boxes
        assert records[i]["numbers"] == line.record.numbers


@pytest.mark.parametrize("workers", [2, 3])
def test_the_number_of_workers_does_not_show(
    lines: LineSet, whole: dict[str, bytes], tmp_path: Path, workers: int
) -> None:
    write_lines(lines, COUNT, tmp_path / "many", workers=workers)
    assert contents(tmp_path / "many") == whole


def cut_labels_in_a_row(out: Path) -> None:
    raw = (out / LABELS).read_bytes()
    (out / LABELS).write_bytes(raw[: raw.index(b"000040.png") + 14])


def cut_records_in_a_row(out: Path) -> None:
    raw = (out / RECORDS).read_bytes()
    (out / RECORDS).write_bytes(raw[: len(raw) // 3])


def lose_the_last_chunk_s_rows(out: Path) -> None:
    for name in (LABELS, RECORDS):
        rows = (out / name).read_bytes().splitlines(keepends=True)
        (out / name).write_bytes(b"".join(rows[:CHUNK]))


def lose_the_records(out: Path) -> None:
    (out / RECORDS).unlink()


def lose_all_rows(out: Path) -> None:
    for path in out.iterdir():
        if path.name != SETTINGS:
            path.unlink()


def leave_half_a_picture(out: Path) -> None:
    cut_labels_in_a_row(out)
    for index in range(41, COUNT):
        (out / f"{index:06d}.png").unlink()
    (out / "000040.png").write_bytes(b"\x89PNG")


KILLS = [
    cut_labels_in_a_row,
    cut_records_in_a_row,
    lose_the_last_chunk_s_rows,
    lose_the_records,
    lose_all_rows,
    leave_half_a_picture,
]


@pytest.mark.parametrize("kill", KILLS, ids=lambda k: k.__name__)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_to_the_same_bytes(
    lines: LineSet, whole: dict[str, bytes], tmp_path: Path, kill: Callable[[Path], None], workers: int
) -> None:
    out = tmp_path / "whole"
    kill(out)
    assert 0 < write_lines(lines, COUNT, out, workers=workers) <= COUNT
    assert contents(out) == whole


def test_what_is_done_is_not_done_again(lines: LineSet, whole: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "whole"
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert write_lines(lines, COUNT, out) == 0
    assert write_lines(lines, 5, out) == 0
    assert contents(out) == whole
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")} == before


def test_a_set_may_grow(lines: LineSet, whole: dict[str, bytes], tmp_path: Path) -> None:
    assert write_lines(lines, 10, tmp_path / "grown") == 10
    assert write_lines(lines, COUNT, tmp_path / "grown", workers=2) == COUNT - 10
    assert contents(tmp_path / "grown") == whole


def test_the_progress_is_told_of_every_chunk(lines: LineSet, out: Path) -> None:
    told: list[tuple[int, int, list[int]]] = []

    def progress(chunks: Iterable[Any], done: int, count: int) -> Iterable[Any]:
        sizes: list[int] = []
        told.append((done, count, sizes))
        for rows in chunks:
            sizes.append(len(rows))
            yield rows

    write_lines(lines, 10, out)
    write_lines(lines, 100, out, progress=progress)
    assert told == [(10, 100, [CHUNK, 100 - 10 - CHUNK])]


@pytest.mark.parametrize("number", [28, 122])
@pytest.mark.parametrize("after", [0, 1, 70])
def test_a_full_disk_is_told_and_gone_on_from(
    lines: LineSet, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, number: int
) -> None:
    truly, left = Path.write_bytes, [after]

    def full(path: Path, data: bytes) -> int:
        if left[0] == 0:
            truly(path, data[:10])
            raise OSError(number, os.strerror(number))
        left[0] -= 1
        return truly(path, data)

    with monkeypatch.context() as patch, pytest.raises(GlyphlineError, match="continues there") as caught:
        patch.setattr(Path, "write_bytes", full)
        write_lines(lines, COUNT, tmp_path / "full")
    assert str(tmp_path / "full") in str(caught.value) and caught.value.exit_code == 1
    assert 0 < write_lines(lines, COUNT, tmp_path / "full") <= COUNT
    assert contents(tmp_path / "full") == whole


@pytest.mark.parametrize("left", ["", '{\n "recipe": {'])
def test_a_kill_while_the_settings_are_written_does_no_harm(lines: LineSet, out: Path, left: str) -> None:
    (out / SETTINGS).write_text(left)
    assert write_lines(lines, 3, out) == 3


def test_a_kill_inside_a_letter_of_two_bytes_does_no_harm(lines: LineSet, out: Path) -> None:
    write_lines(lines, 3, out)
    before = contents(out)
    with (out / LABELS).open("ab") as labels:
        labels.write("000003.png\tcaf\u00e9".encode()[:-1])
    assert write_lines(lines, 3, out) == 0
    assert contents(out) == before


@pytest.mark.parametrize(
    "other", [{"seed": 12}, {"split": "val"}, {"recipe": dataclasses.replace(TILES, length=(6, 15))}, {"boxes": True}],
    ids=lambda o: next(iter(o)),
)  # fmt: skip
def test_lines_of_other_settings_are_not_mixed(
    lines: LineSet, emnist_data: Path, out: Path, other: dict[str, Any]
) -> None:
    write_lines(lines, 3, out)
    before = contents(out)
    boxes = bool(other.get("boxes"))
    different = LineSet(other.get("recipe", TILES), other.get("split", "train"), other.get("seed", 11))
    with pytest.raises(DataError, match="other settings"):
        write_lines(different, 3, out, boxes=boxes)
    assert contents(out) == before


def test_a_folder_of_something_else_is_left_alone(lines: LineSet, out: Path) -> None:
    (out / LABELS).write_text("mine.png\tmine\n")
    with pytest.raises(DataError, match="something else"):
        write_lines(lines, 3, out)
    assert contents(out) == {LABELS: b"mine.png\tmine\n"}
    (out / "file").write_text("")
    for wrong in (out / "file", out / "file" / "in"):
        with pytest.raises(DataError, match="cannot write to"):
            write_lines(lines, 3, wrong)


# ---------------------------------------------------------------------- reading a folder of lines


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder as a user labels it."""
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((9, 9), np.uint8))
    return tmp_path


def test_labels_of_ones_own(own: Path) -> None:
    (own / LABELS).write_bytes("a.png\tnaïve text\r\nb.png\ta\ttab\n".encode())
    assert read_labels(own) == [(own / "a.png", "naïve text"), (own / "b.png", "a\ttab")]


@pytest.mark.parametrize(
    ("content", "said"),
    [("a.png\tx\nb.png y\n", "line 2 has no tab"), ("a.png\tx\nc.png\ty\n", r"line 2 names c\.png"), ("", "empty")],
)
def test_the_first_broken_row_is_named(own: Path, content: str, said: str) -> None:
    (own / LABELS).write_text(content)
    with pytest.raises(DataError, match=said):
        read_labels(own)


def test_a_folder_without_labels_says_what_they_are(own: Path) -> None:
    with pytest.raises(DataError, match="file<TAB>text"):
        read_labels(own)


def test_labels_that_are_not_utf8_are_told(own: Path) -> None:
    (own / LABELS).write_bytes("a.png\tcafé\n".encode("latin-1"))
    with pytest.raises(DataError):
        read_labels(own)


def test_only_a_newline_ends_a_row(own: Path) -> None:
    (own / LABELS).write_text("a.png\tone\u2028two\n", encoding="utf-8")
    assert read_labels(own) == [(own / "a.png", "one\u2028two")]


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_a_contact_sheet_shows_every_line(columns: int) -> None:
    shown = [(np.full((20 + k, 30 * k + 1), 100, np.uint8), "text ☃ " * k) for k in range(1, 6)]
    sheet = contact_sheet(shown, columns)
    rows = -(-5 // columns)
    assert sheet.dtype == np.uint8 and sheet.shape[0] == rows * (48 + 22) and sheet.shape[1] % columns == 0
    for k in range(5):
        cell = sheet[k // columns * 70 :, k % columns * sheet.shape[1] // columns :]
        assert (cell[2:50, 4:10] == 100).all()


# ---------------------------------------------------------------------- the real data


@pytest.mark.slow
def test_the_report_s_lines_from_the_real_data(shared_data: Path) -> None:
    recipe = dataclasses.replace(TILES, sentences=("wikisplit",), length=(32, 32))
    sets = {split: LineSet(recipe, split) for split in SPLITS}
    sentences.check_disjoint({split: lines.texts for split, lines in sets.items()})
    for lines in sets.values():
        images, texts = lines.canonical_batch(range(64))
        for image, text, alone in zip(images, texts, map(lines.line, range(64)), strict=True):
            assert np.array_equal(image, alone.image) and text == alone.text
            assert np.array_equal(canonical_line_image(image, TILE, "whole"), image)


def test_layouts_open_by_recipe_with_their_effects() -> None:
    for name, recipe in RECIPES.items():
        assert isinstance(open_layout(recipe), LAYOUTS[name])
    assert not open_layout(dataclasses.replace(NATURAL, effects={})).effects  # type: ignore[attr-defined]


def test_a_pool_of_ones_own_is_taken(emnist_data: Path) -> None:
    pool = GlyphPool((Emnist("byclass"), Strokes()), (1.0, 1.0), "val")
    assert LineSet(NATURAL, "val", 0, pool).pool is pool


def test_spelled_lines_are_a_share_half_of_it_in_capitals() -> None:
    lines = LineSet(dataclasses.replace(NATURAL, letter_spaced=0.4, length=(1, 30)), "train", 0)
    texts = [lines.text(k) for k in range(1000)]
    spelled = [t for t in texts if len(t) > 3 and all(len(word) == 1 for word in t.split(" "))]
    assert 0.3 < len(spelled) / 1000 < 0.5 and max(map(len, texts)) <= 30
    assert 0.35 < sum(t.upper() == t for t in spelled) / len(spelled) < 0.65


def test_capitals_are_a_share_of_the_lines() -> None:
    recipe = dataclasses.replace(NATURAL, capitals=0.4)
    plain, some = LineSet(NATURAL, "train", 1), LineSet(recipe, "train", 1)
    texts = [(plain.text(i), some.text(i)) for i in range(400)]
    assert all(b in (a, a.upper()) for a, b in texts)
    assert 0.3 < sum(b == a.upper() for a, b in texts if a != a.upper()) / len(texts) < 0.5
    assert all(c in some.alphabet for _, text in texts for c in text)
