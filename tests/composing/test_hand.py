"""From photographs of a filled sheet to the folder of a hand. The sheets are filled and photographed by simulation."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import simulated_sheets
from PIL import Image
from simulated_sheets import FilledPage, compare, fill_page, photograph

from glyphline.alphabet import ALPHABETS
from glyphline.cli import main
from glyphline.composing.glyphs import SPLITS, Folder, Strokes, check_disjoint, open_glyphs
from glyphline.composing.glyphs.folder import read_metrics
from glyphline.composing.hand import BORDER, LINE_CELL, MIN_X_LETTERS, HandFolder
from glyphline.composing.label_fonts import LabelFonts
from glyphline.composing.line_sets import LineSet, read_labels
from glyphline.composing.sheet import CORNERS, VERSION, Sheet
from glyphline.composing.sheet_drawing import draw_page, render_sheet
from glyphline.composing.sheet_photos import RESOLUTION, Cut, FoundPage, check_page, cut_page, find_page
from glyphline.errors import DataError, ImageError
from glyphline.imaging.documents import load
from glyphline.recipe import GlyphShare, LinesRecipe

SMALL = Sheet("acegx.", 4, ("a cage",), "a4")
OTHER = Sheet("acegx.", 3, (), "a4")
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
    lost = Counter((empty.text, stray.text))
    few = [c for c in SMALL.characters if 4 - lost[c] < 3]
    assert f"{4 * 6 - 2} glyphs of {6 - len(few)} characters, 1 lines" in said
    assert said.count("fewer than 3 glyphs: ") == bool(few)


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
    ink = (sheet[-15 * LINE_CELL :, : 182 * LINE_CELL, 0] < 90).any(axis=0)  # the line is below the boxes
    assert abs(np.ptp(np.flatnonzero(ink)) + 1 - (line.shape[1] - 2 * BORDER) * LINE_CELL / RESOLUTION) < 6
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
    cv2.imwrite(str(tmp_path / "other.png"), plain_photo(OTHER, 1))
    cv2.imwrite(str(tmp_path / "nothing.png"), np.full((900, 700, 3), 230, np.uint8))
    names = [photos / "a.jpg", tmp_path / "other.png", tmp_path / "nothing.png", photos / "a.jpg"]
    run_glyphs(*names, "--out", tmp_path / "hand", code=2)
    said = capsys.readouterr().err
    assert f"other.png shows a page of sheet {OTHER.identity:05d}, not of sheet {SMALL.identity:05d}" in said
    assert "nothing.png shows no corner mark" in said and "a.jpg shows page 2 again" in said
    assert "3 of 4 photographs could not be used" in said and "no photograph shows page 1" in said
    assert (tmp_path / "hand" / "lines" / "labels.tsv").read_text() == "p2-01.png\ta cage\n"


@pytest.fixture(scope="module")
def plain_photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Plain photographs of both pages of SMALL and of a page of OTHER, each in a folder of its own."""
    pages = {"own1": (SMALL, 1), "own2": (SMALL, 2), "other": (OTHER, 1)}
    paths = {name: tmp_path_factory.mktemp(name) / f"{name}.png" for name in pages}
    for name, (sheet, page) in pages.items():
        cv2.imwrite(str(paths[name]), plain_photo(sheet, page))
    return paths


@pytest.fixture
def quick_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar in every place, each of another width, instead of cutting."""

    def cut_page(image: np.ndarray, found: FoundPage, sheet: Sheet) -> list[Cut]:
        slots = enumerate(sheet.slots_of(found.page), 5)
        return [Cut(slot, np.full((9, width), 255, np.uint8), 5.0, 0.0, "") for width, slot in slots]

    monkeypatch.setattr("glyphline.composing.sheet_photos.cut_page", cut_page)


@pytest.mark.parametrize("order", [("other", "own1", "own2"), ("own1", "own2", "other")])
@pytest.mark.parametrize("has_definition", [False, True])
def test_of_two_sheets_that_of_most_photographs_is_used(
    order: tuple[str, ...], has_definition: bool, plain_photos: dict[str, Path], quick_cuts: None, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("sheet.json").write_text(SMALL.to_json())
    if has_definition:
        Path("other.json").write_text(OTHER.to_json())
    run_glyphs(*(plain_photos[name] for name in order), "--out", "hand", code=2)
    said = capsys.readouterr().err
    assert f"other.png shows a page of sheet {OTHER.identity:05d}, not of sheet {SMALL.identity:05d}" in said
    assert "1 of 3 photographs could not be used" in said and "24 glyphs of 6 characters, 1 lines" in said


@pytest.mark.parametrize("order", [("other", "own2"), ("own2", "other")])
def test_pages_are_added_by_the_sheet_of_the_folder(
    order: tuple[str, ...], plain_photos: dict[str, Path], quick_cuts: None, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("other.json").write_text(OTHER.to_json())
    HandFolder(Path("hand"), SMALL).finish()
    run_glyphs(*(plain_photos[name] for name in order), "--out", "hand", code=2)
    said = capsys.readouterr().err
    assert "own2.png: page 2 of 2" in said and "other.png shows a page of sheet" in said
    assert read_labels(Path("hand/lines"))[0][1] == "a cage"


def test_aborted_call_leaves_a_folder_of_the_pages_before(
    plain_photos: dict[str, Path], quick_cuts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sheet.json").write_text(SMALL.to_json())
    add_page = HandFolder.add_page

    def interrupt(folder: HandFolder, page: int, photo: str, cuts: list[Cut]) -> None:
        if page == 2:
            raise KeyboardInterrupt
        add_page(folder, page, photo, cuts)

    monkeypatch.setattr(HandFolder, "add_page", interrupt)
    words = plain_photos["own1"], plain_photos["own2"], "--sheet", tmp_path / "sheet.json", "--out", tmp_path / "hand"
    run_glyphs(*words, code=130)
    assert Folder(tmp_path / "hand").count("a", "train") == 2 and (tmp_path / "hand" / "contact-sheet.png").exists()


def test_tables_never_name_an_image_that_is_gone(tmp_path: Path) -> None:
    """Not even where a call is killed between a page and the end."""
    folder, ink = HandFolder(tmp_path / "hand", SMALL), np.full((9, 5), 255, np.uint8)
    box, line = SMALL.slots_of(1)[:2], SMALL.slots_of(2)
    folder.add_page(1, "a.jpg", [Cut(slot, ink, 5.0, 0.0, "") for slot in box])
    folder.add_page(2, "a.jpg", [Cut(slot, ink, 5.0, 0.0, "") for slot in line])
    assert read_labels(folder.folder / "lines")
    folder.add_page(1, "b.jpg", [Cut(box[0], ink, 5.0, 0.0, ""), Cut(box[1], ink, 0.0, 0.0, "is empty")])
    folder.add_page(2, "b.jpg", [Cut(slot, ink, 0.0, 0.0, "is empty") for slot in line])
    assert len(read_metrics(folder.folder / "glyphs.tsv")["a"]) == 1  # it raises where an image is not there
    assert not (folder.folder / "lines" / "labels.tsv").exists()


def test_corrections_of_a_person_stay_when_a_page_is_added(
    plain_photos: dict[str, Path], quick_cuts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the photographs lie in the folder above, or in the folder of the hand, which is given whole."""
    (tmp_path / "sheet.json").write_text(SMALL.to_json())
    (tmp_path / "own2.png").write_bytes(plain_photos["own2"].read_bytes())
    out = tmp_path / "hand"
    run_glyphs(tmp_path, "--out", out)
    (out / "lines" / "labels.tsv").write_text("p2-01.png\ta gage\r\n")
    run_glyphs(plain_photos["own1"], "--out", out)
    assert read_labels(out / "lines")[0][1] == "a gage"
    rows = (out / "glyphs.tsv").read_text().splitlines(keepends=True)
    places = {row.split("\t")[0]: row for row in rows}
    (out / "U+0061" / "p1-r1-c1.png").unlink()
    places.pop("U+0061/p1-r1-c2.png")
    places["U+0063/p1-r1-c5.png"] = places["U+0063/p1-r1-c5.png"].replace("\tc\t", "\te\t")
    (out / "glyphs.tsv").write_text("".join(places.values()))
    (out / "photos").mkdir()
    (tmp_path / "own2.png").rename(out / "photos" / "own2.png")
    monkeypatch.chdir(out)
    run_glyphs(".", "--out", ".")  # page 2 again; the images of the folder itself are no photographs
    metrics = read_metrics(out / "glyphs.tsv")
    assert {character: len(images) for character, images in metrics.items()} == {
        "a": 2, "c": 3, "e": 5, "g": 4, "x": 4, ".": 4
    }  # fmt: skip
    assert read_labels(out / "lines")[0][1] == "a cage"  # the page was replaced
    faults = [row["fault"] for row in json.loads((out / "hand.json").read_text())["1"]]
    assert Counter(faults) == {"": 22, "was removed": 2} and Folder(out).count("a", "train") == 1


def test_files_that_are_no_photographs_are_named(
    plain_photos: dict[str, Path], quick_cuts: None, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("glyphline.imaging.documents.find_spec", lambda name: None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    cv2.imwrite(str(tmp_path / "rule.png"), np.full((1, 4000), 90, np.uint8))
    (tmp_path / "own1.png").write_bytes(plain_photos["own1"].read_bytes())
    (tmp_path / "sheet.pdf").write_bytes(pdf := render_sheet(SMALL, LabelFonts()))
    run_glyphs(tmp_path, "--out", tmp_path / "hand", code=2)
    said = capsys.readouterr().err
    assert "sheet.pdf is a sheet to print: left out" in said and "rule.png shows no corner mark" in said
    assert "a.heic: reading HEIC images needs the package pillow-heif" in said and "24 glyphs" in said
    assert "2 of 3 photographs could not be used" in said
    run_glyphs(tmp_path / "sheet.pdf", "--out", tmp_path / "none", code=2)
    assert "these files are no photographs of a filled sheet" in capsys.readouterr().err
    (tmp_path / "filled.pdf").write_bytes(pdf + b"1 0 obj\n<<>>\nendobj\n%%EOF\n")  # as a tablet saves it
    run_glyphs(tmp_path / "filled.pdf", "--out", tmp_path / "filled")
    assert "filled.pdf: page 1 of 2" in capsys.readouterr().err


def test_missing_definition_is_an_error_that_names_the_sheet(
    plain_photos: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_glyphs(plain_photos["own1"], "--out", "hand", code=2)
    said = capsys.readouterr().err
    assert f"own1.png shows sheet {SMALL.identity:05d}, but no sheet.json" in said
    assert not Path("hand").exists()


def test_pages_of_a_pdf_are_photographs_of_their_own(
    plain_photos: dict[str, Path], quick_cuts: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cover page does not take the others with it."""
    cover = Image.new("RGB", (700, 900), "white")
    pages = [Image.open(plain_photos[name]) for name in ("own1", "own2")]
    cover.save(tmp_path / "scan.tiff", save_all=True, append_images=pages)
    (tmp_path / "sheet.json").write_text(SMALL.to_json())
    run_glyphs(tmp_path / "scan.tiff", "--out", tmp_path / "hand", code=2)
    said = capsys.readouterr().err
    assert "1 of 3 photographs could not be used" in said and "24 glyphs of 6 characters, 1 lines" in said


@pytest.mark.slow
@pytest.mark.parametrize("corner", range(4))
def test_missing_corner_is_named(corner: int) -> None:
    photo = plain_photo(SMALL, 1)
    x, y = (SMALL.mark_corners()[corner].mean(axis=0) * 0.45 * 300 / 25.4).astype(int)
    cv2.circle(photo, (int(x), int(y)), 30, (200, 160, 140), -1)
    with pytest.raises(ImageError, match=f"only 3 of 4 corner marks, the {CORNERS[corner]} is missing"):
        find_page(photo)


def test_two_pages_a_small_page_and_foreign_pages_are_refused() -> None:
    page, other = plain_photo(SMALL, 1), plain_photo(SMALL, 2)
    for hidden in (0, 110):  # px: without its upper left mark the second page has only ids of the first
        other[:hidden, :hidden] = 200
        with pytest.raises(ImageError, match="marks of more than one page"):
            find_page(np.hstack([page, other]))
    with pytest.raises(ImageError, match=r"the .* corner of the page at 2\.9 px a mm, at least 4 are needed"):
        find_page(plain_photo(SMALL, 2, 0.25))
    longer = Sheet("acegx.", 30, ("a cage",), "a4")
    found = find_page(plain_photo(longer, 3))
    object.__setattr__(found, "identity", SMALL.identity)  # as if two sheets had one checksum
    with pytest.raises(ImageError, match="shows page 3, but the sheet has 2"):
        check_page(found, SMALL)


def test_sheet_that_another_version_printed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet, version = Sheet("ag", 1, (), "a4"), VERSION + 1
    with monkeypatch.context() as of_the_other:
        of_the_other.setattr("glyphline.composing.sheet.VERSION", version)
        cv2.imwrite(str(tmp_path / "page.png"), plain_photo(sheet, 1))
        (tmp_path / "sheet.json").write_text(sheet.to_json())
    run_glyphs(tmp_path / "page.png", "--out", tmp_path / "hand", code=2)
    said = capsys.readouterr().err
    assert f"page.png shows a sheet of version {version}, this glyphline knows version {VERSION}: install" in said
    run_glyphs(tmp_path / "page.png", "--sheet", tmp_path / "sheet.json", "--out", tmp_path / "hand", code=2)
    assert f"sheet.json is a sheet of version {version}" in capsys.readouterr().err
    assert not (tmp_path / "hand").exists()


@pytest.mark.parametrize(("pen", "empty"), [((215, 40, 50), 24), ((225, 225, 120), 24), ((92, 92, 98), 0)])
def test_pen_that_is_red_or_very_light_is_named_and_a_pencil_is_cut(
    pen: tuple[int, int, int], empty: int, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(simulated_sheets, "PENS", (pen,))
    page = fill_page(SMALL, 1, Strokes(), 7, np.random.default_rng(3)).image
    page = cv2.resize(page, None, fx=0.45, fy=0.45, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "page.jpg"), page[..., ::-1])
    (tmp_path / "sheet.json").write_text(SMALL.to_json())
    run_glyphs(tmp_path / "page.jpg", "--out", tmp_path / "hand")
    said = capsys.readouterr().err
    assert f"{24 - empty} glyphs of" in said and said.count("is empty") == empty
    assert ("24 of 24 places are empty; if they are not, the pen is red" in said) == bool(empty)


@pytest.mark.parametrize("corner", range(4))
def test_marks_of_two_pages_that_look_like_one_are_refused(corner: int) -> None:
    """The page hides one of its marks, and of another page only that mark is seen."""
    page = plain_photo(SMALL, 1)
    height, width = page.shape[:2]
    x, y = ((0, 0), (width // 2, 0), (width // 2, height // 2), (0, height // 2))[corner]
    quarter = page[y : y + height // 2, x : x + width // 2].copy()
    covered = page.copy()
    covered[y : y + height // 2, x : x + width // 2][quarter.max(axis=2) < 90] = 255
    photo = np.pad(covered, ((0, 0), (0, width), (0, 0)), constant_values=200)
    photo[y : y + height // 2, width + x : width + x + width // 2] = quarter
    with pytest.raises(ImageError, match="do not fit one flat page"):
        check_page(find_page(photo), SMALL)


def test_far_side_of_a_slanted_page_must_be_large_enough() -> None:
    page = plain_photo(SMALL, 1)
    height, width = page.shape[:2]
    square = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    far = np.array([(0.2 * width, 0.1 * height), (0.8 * width, 0.1 * height), *square[2:]], np.float32)
    photo = cv2.warpPerspective(page, cv2.getPerspectiveTransform(square, far), (width, height), borderValue=(90,) * 3)
    with pytest.raises(ImageError, match=r"shows the upper (left|right) corner of the page at [23]\.\d px a mm"):
        find_page(photo)


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


@pytest.mark.slow
@pytest.mark.parametrize("paper", ["a4", "letter"])
@pytest.mark.parametrize("printer", ["colour", "grey"])
def test_boxes_are_cut_right_on_every_paper_and_without_colour(
    paper: str, printer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw_grey(sheet: Sheet, page: int) -> np.ndarray:
        return cv2.cvtColor(cv2.cvtColor(draw_page(sheet, page, LabelFonts()), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)

    if printer == "grey":
        monkeypatch.setattr(simulated_sheets, "_draw_blank", draw_grey)
    sheet, rng = Sheet("acegx.", 8, (), paper), np.random.default_rng(3)
    page = fill_page(sheet, 1, Strokes(), 7, rng, empty=1)
    photo = photograph(page.image, sheet, rng, density=DENSITY)
    cuts = cut_page(photo, find_page(photo), sheet)
    assert {cut.slot for cut in cuts if cut.fault} == set(page.empty)
    measured = [compare(cut, page) for cut in cuts if not cut.fault]
    assert len(measured) == 47 and all(complete >= 0.98 and foreign <= 0.01 for complete, foreign, _ in measured)
    assert np.quantile(np.abs([error for *_, error in measured]), 0.95) < 0.25  # mm
