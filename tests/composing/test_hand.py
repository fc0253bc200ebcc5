"""From photographs of a filled sheet to the folder of a hand. The sheets are filled and photographed by simulation."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from simulated_sheets import FilledPage, compare, fill_page, photograph

from glyphline.alphabet import ALPHABETS
from glyphline.cli import main
from glyphline.composing.glyphs import SPLITS, Folder, Strokes, check_disjoint, open_glyphs
from glyphline.composing.hand import MIN_X_LETTERS, HandFolder
from glyphline.composing.line_sets import LineSet, read_labels
from glyphline.composing.sheet import CORNERS, Sheet
from glyphline.composing.sheet_photos import Cut, check_page, cut_page, find_page
from glyphline.errors import DataError, ImageError
from glyphline.imaging.documents import load
from glyphline.recipe import GlyphShare, LinesRecipe

SMALL = Sheet("acegx.", 4, ("a cage",), "a4")
DENSITY = (6.0, 6.0)  # px a mm; less than of a phone's photographs, to be quick


@pytest.fixture(scope="module")
def filled() -> FilledPage:
    return fill_page(SMALL, 1, Strokes(), 7, np.random.default_rng(3), empty=1, stray=1)


@pytest.fixture(scope="module")
def photos(filled: FilledPage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sheet.json and photographs of both pages, the first upside down."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(4)
    line = fill_page(SMALL, 2, Strokes(), 7, rng)
    (folder / "sheet.json").write_text(SMALL.to_json())
    for name, page, turns in (("b.jpg", filled, 2), ("a.jpg", line, 0)):
        photo = photograph(page.image, SMALL, rng, turns, density=DENSITY)
        cv2.imwrite(str(folder / name), photo[..., ::-1])
    return folder


@pytest.fixture(scope="module")
def hand(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that `glyphline glyphs` made of the photographs, and what it said on stderr."""
    out = tmp_path_factory.mktemp("out") / "hand"
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("glyphline.cli.glyphs.print_status", said.append)
        run_glyphs(photos, "--out", out)
    return out, "\n".join(said)


def run_glyphs(*words: object, code: int = 0) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["glyphs", *map(str, words)])
    assert exited.value.code == code


def plain_photo(sheet: Sheet, page: int, scale: float = 0.45) -> np.ndarray:
    """A page as it was printed, without light or perspective: quick."""
    blank = fill_page(sheet, page, Strokes(), 1, np.random.default_rng(0), empty=10**6).image
    return cv2.resize(blank, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


@pytest.mark.slow
def test_faults_are_named_with_their_place_and_nothing_else_is(hand: tuple[Path, str], filled: FilledPage) -> None:
    _, said = hand
    (empty,), (stray,) = filled.empty, filled.stray
    assert f"{empty.place} is empty" in said and f"{stray.place} strays over its box" in said
    assert said.count("is empty") == said.count("strays over") == 1
    assert "page 1 of 2, upside down" in said and "page 2 of 2\n" in said
    assert f"{4 * 6 - 2} glyphs of 6 characters, 1 lines" in said or "fewer than 3" in said


def test_hand_is_a_glyph_source_with_the_sizes_that_were_written(hand: tuple[Path, str], filled: FilledPage) -> None:
    folder, _ = hand
    source = open_glyphs(f"folder:{folder}")
    assert isinstance(source, Folder) and source.characters("train") == "".join(sorted(SMALL.characters))
    check_disjoint(source)
    glyphs = {c: source.glyph(c, 0, "train") for c in SMALL.characters}
    assert 0.8 < glyphs["x"].top < 1.2 and abs(glyphs["x"].bottom) < 0.2
    assert glyphs["g"].bottom < -0.3 and glyphs["."].top < 0.5
    recipe = LinesRecipe(alphabet=" acegx.", glyphs=(GlyphShare(f"folder:{folder}"),), sentences=("built-in",))
    assert LineSet(recipe, "train").line(0).image.size > 0


def test_copied_line_is_a_labelled_line_and_the_contact_sheet_shows_every_box(hand: tuple[Path, str]) -> None:
    folder, _ = hand
    ((path, text),) = read_labels(folder / "lines")
    line = load(path)
    assert text == "a cage" and line.shape[1] > 3 * line.shape[0] and line.min() < 60 and np.median(line) == 255
    sheet = cv2.imread(str(folder / "contact-sheet.png"))
    red = (sheet[..., 2] > 240) & (sheet[..., 0] < 200)
    assert cv2.connectedComponents(red.astype(np.uint8))[0] - 1 >= 2  # the empty and the stray box
    record = json.loads((folder / "hand.json").read_text())
    assert sorted(record) == ["1", "2"] and record["1"][0]["photo"] == "b.jpg"


@pytest.mark.slow
def test_pages_are_added_and_replaced_in_a_later_call(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "hand"
    run_glyphs(photos / "a.jpg", "--out", out)
    assert not (out / "U+0061").exists() and (out / "lines" / "p2-01.png").exists()
    with pytest.raises(DataError, match="has no rows"):
        Folder(out)
    folder = HandFolder(out, SMALL)
    slot = SMALL.slots[0]
    ink = np.full((9, 5), 255, np.uint8)
    folder.add_page(1, "x.jpg", [Cut(slot, ink, 5.0, 0.0, ""), Cut(SMALL.slots[1], ink, 5.0, 0.0, "")])
    folder.add_page(1, "y.jpg", [Cut(slot, ink, 5.0, 0.0, ""), Cut(SMALL.slots[1], ink, 0.0, 0.0, "is empty")])
    result = folder.finish()
    assert [path.name for path in (out / "U+0061").iterdir()] == ["p1-r1-c1.png"]
    assert result.glyph_counts["a"] == 1 and result.line_count == 1 and result.missing_pages == ()
    assert result.x_height == 4.5 and MIN_X_LETTERS > 1  # one letter measures no writer
    with pytest.raises(DataError, match="choose another --out"):
        HandFolder(out, Sheet("ab", 4, (), "a4"))
    with pytest.raises(DataError, match="holds something else"):
        HandFolder(photos, SMALL)
    (out / "hand.json").write_text("{")
    with pytest.raises(DataError, match=r"hand\.json is damaged"):
        HandFolder(out, SMALL)


@pytest.mark.slow
def test_photographs_that_cannot_be_used_are_named_and_the_others_used(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Sheet("acegx.", 3, (), "a4")
    cv2.imwrite(str(tmp_path / "other.png"), plain_photo(other, 1))
    cv2.imwrite(str(tmp_path / "nothing.png"), np.full((900, 700, 3), 230, np.uint8))
    names = [photos / "a.jpg", tmp_path / "other.png", tmp_path / "nothing.png", photos / "a.jpg"]
    run_glyphs(*names, "--out", tmp_path / "hand", code=2)
    said = capsys.readouterr().err
    assert f"other.png shows a page of sheet {other.identity:05d}, not of sheet {SMALL.identity:05d}" in said
    assert "nothing.png shows no corner mark" in said and "a.jpg shows page 2 again" in said
    assert "3 of 4 photographs could not be used" in said and "no photograph shows page 1" in said
    assert (tmp_path / "hand" / "lines" / "labels.tsv").read_text() == "p2-01.png\ta cage\n"


def test_missing_definition_is_an_error_that_names_the_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("page.png", plain_photo(SMALL, 1))
    run_glyphs("page.png", "--out", "hand", code=2)
    assert f"show sheet {SMALL.identity:05d}, but no sheet.json" in capsys.readouterr().err
    assert not Path("hand").exists()


@pytest.mark.slow
@pytest.mark.parametrize("corner", range(4))
def test_missing_corner_is_named(corner: int) -> None:
    photo = plain_photo(SMALL, 1)
    x, y = (SMALL.mark_corners()[corner].mean(axis=0) * 0.45 * 300 / 25.4).astype(int)
    cv2.circle(photo, (int(x), int(y)), 30, (200, 160, 140), -1)
    with pytest.raises(ImageError, match=f"only 3 of 4 corner marks, the {CORNERS[corner]} is missing"):
        find_page(photo)


def test_two_pages_a_small_page_and_foreign_pages_are_refused() -> None:
    page, small = plain_photo(SMALL, 1), plain_photo(SMALL, 2, 0.25)
    both = np.hstack([page, plain_photo(SMALL, 2)])
    with pytest.raises(ImageError, match="marks of more than one page"):
        find_page(both)
    with pytest.raises(ImageError, match=r"at 2\.9 px a mm, at least 4 are needed"):
        find_page(small)
    longer = Sheet("acegx.", 30, ("a cage",), "a4")
    found = find_page(plain_photo(longer, 3))
    object.__setattr__(found, "identity", SMALL.identity)  # as if two sheets had one checksum
    with pytest.raises(ImageError, match="shows page 3, but the sheet has 2"):
        check_page(found, SMALL)
    object.__setattr__(found, "version", 9)
    with pytest.raises(ImageError, match="shows a sheet of version 9"):
        check_page(found, SMALL)


def test_splits_of_a_hand_are_complete(hand: tuple[Path, str]) -> None:
    source = Folder(hand[0])
    assert all(source.count(c, split) for c in SMALL.characters for split in SPLITS)


@pytest.mark.slow
@pytest.mark.parametrize("writer", [11, 12])
def test_boxes_are_cut_right_and_every_planted_fault_is_named(writer: int) -> None:
    """The small version of benchmarks/sheets.py: at least 99 of 100 boxes of a full page."""
    characters = ALPHABETS["english"].replace(" ", "")
    sheet, rng = Sheet(characters, 4, (), "a4"), np.random.default_rng(writer)
    page = fill_page(sheet, 1 + writer % 2, Strokes(), writer, rng, empty=3, stray=3)
    photo = photograph(page.image, sheet, rng, quarter_turns=writer % 4)
    found = find_page(photo)
    assert found.turned == 90 * (writer % 4)
    cuts = cut_page(photo, found, sheet)
    named = {fault: {cut.slot for cut in cuts if cut.fault.startswith(fault)} for fault in ("is empty", "strays")}
    assert named == {"is empty": set(page.empty), "strays": set(page.stray)}
    measured = [compare(cut, page) for cut in cuts if not cut.fault]
    right = [complete >= 0.99 and foreign <= 0.01 for complete, foreign, _ in measured]
    assert len(right) > 100 and np.mean(right) >= 0.99
    assert np.quantile(np.abs([error for *_, error in measured]), 0.95) < 0.25  # mm
