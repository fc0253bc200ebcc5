"""Labelled lines from folders of other tools, and their share of training."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from glyphline.composing.line_sets import LineSet
from glyphline.composing.sentences import split_of_text
from glyphline.errors import DataError, ImageError, RecipeError
from glyphline.recipe import LinesRecipe, Recipe, recipe_from
from glyphline.training import labelled_lines
from glyphline.training.data import MAX_NAMED, MixedLines, leave_out_narrow, open_lines
from glyphline.training.labelled_lines import clean_text, line_outline, open_labelled_lines
from glyphline.training.train import train

#: texts as people leave them -> texts as they are learned; one is empty
TEXTS = {"Cafe\u0301": "Café", " tab\tbed ": "tab bed", "": None, "plain": "plain"}
BOXES = [(30, 20 + 60 * k, 330, 60 + 60 * k) for k in range(len(TEXTS))]  # of the lines on the page, px


def draw_page() -> np.ndarray:
    """A page with a dark bar of another length in the middle of each line's box."""
    page = np.full((300, 400), 230, np.uint8)
    for k, (left, top, _, bottom) in enumerate(BOXES):
        page[top + 12 : bottom - 12, left + 10 : left + 60 + 50 * k] = 20
    return page


def page_xml(tmp_path: Path, scale: int = 1) -> None:
    """One PAGE-XML file as Transkribus lays it out. scale: of the coordinates, of the image."""
    lines = ""
    for k, (text, (a, b, c, d)) in enumerate(zip(TEXTS, BOXES, strict=True)):
        a, b, c, d = (scale * v for v in (a, b, c, d))
        lines += (
            f'<TextLine id="l{k}"><Coords points="{a},{b} {c},{b} {c},{d} {a},{d}"/>'
            f'<Baseline points="{a},{d - 10 * scale} {c},{d - 10 * scale}"/>'
            f"<TextEquiv index='1'><Unicode>wrong</Unicode></TextEquiv>"
            f"<TextEquiv index='0'><Unicode>{text}</Unicode></TextEquiv></TextLine>"
        )
    namespace = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2013-07-15"
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "p.xml").write_text(
        f'<PcGts xmlns="{namespace}">'
        f'<Page imageFilename="p.png" imageWidth="{400 * scale}" imageHeight="{300 * scale}">'
        f"<TextRegion>{lines}</TextRegion></Page></PcGts>",
        encoding="utf-8",
    )
    cv2.imwrite(str(tmp_path / "p.png"), draw_page())


def alto(tmp_path: Path) -> None:
    lines = ""
    for k, (text, (a, b, c, d)) in enumerate(zip(TEXTS, BOXES, strict=True)):
        words = "<SP/>".join(f'<String CONTENT="{word}"/>' for word in text.split()) or '<String CONTENT=""/>'
        lines += f'<TextLine ID="l{k}" HPOS="{a}" VPOS="{b}" WIDTH="{c - a}" HEIGHT="{d - b}">{words}</TextLine>'
    (tmp_path / "p.alto.xml").write_text(
        '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description><MeasurementUnit>pixel</MeasurementUnit>'
        "<sourceImageInformation><fileName>scans/p.png</fileName></sourceImageInformation></Description><Layout>"
        f'<Page WIDTH="400" HEIGHT="300"><PrintSpace><TextBlock>{lines}</TextBlock></PrintSpace></Page>'
        "</Layout></alto>",
        encoding="utf-8",
    )
    cv2.imwrite(str(tmp_path / "p.png"), draw_page())


def line_images(tmp_path: Path) -> None:
    for k, (a, b, c, d) in enumerate(BOXES):
        cv2.imwrite(str(tmp_path / f"{k}.png"), draw_page()[b:d, a:c])


def labels_tsv(tmp_path: Path) -> None:
    line_images(tmp_path)
    rows = "".join(f"{k}.png\t{text}\r\n" for k, text in enumerate(TEXTS))
    (tmp_path / "labels.tsv").write_bytes(b"\xef\xbb\xbf" + rows.encode())


def metadata_csv(tmp_path: Path) -> None:
    line_images(tmp_path)
    rows = "".join(f'{k}.png,"{text}"\r\n' for k, text in enumerate(TEXTS))
    (tmp_path / "metadata.csv").write_bytes(b"\xef\xbb\xbffile_name,text\r\n" + rows.encode())


def metadata_jsonl(tmp_path: Path) -> None:
    line_images(tmp_path)
    rows = "".join(json.dumps({"file_name": f"{k}.png", "transcription": t}) + "\n" for k, t in enumerate(TEXTS))
    (tmp_path / "metadata.jsonl").write_text(rows)


def ground_truth(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    line_images(tmp_path / "book")
    (tmp_path / "book" / "3.png").rename(tmp_path / "book" / "3.bin.png")
    for k, text in enumerate(TEXTS):
        (tmp_path / "book" / f"{k}.gt.txt").write_bytes(text.encode() + b"\r\n")


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "labels.tsv": (labels_tsv, "labels.tsv"), "metadata.csv": (metadata_csv, "metadata"),
    "metadata.jsonl": (metadata_jsonl, "metadata"), "gt.txt": (ground_truth, "gt.txt"),
    "page": (page_xml, "page"), "alto": (alto, "alto"),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_gives_the_same_lines(name: str, tmp_path: Path) -> None:
    """NFC, tabs, byte order marks, CRLF and empty texts are treated alike, and the images are those of the lines."""
    write, kind = KINDS[name]
    write(tmp_path)
    labelled = open_labelled_lines(tmp_path)
    assert labelled.kind == kind and [line.text for line in labelled.lines] == [t for t in TEXTS.values() if t]
    (note,) = labelled.notes
    assert "1 lines without text were left out" in note
    for line, k in zip(labelled.lines, (0, 1, 3), strict=True):
        image = line.image()
        assert abs(image.shape[0] - 40) <= 4 and abs(image.shape[1] - 300) <= 4
        bar = np.flatnonzero((image < 100).any(axis=0))
        assert abs(len(bar) - (50 + 50 * k)) <= 4 and abs(bar[0] - 10) <= 3


def test_table_and_test_know_the_same_kinds() -> None:
    assert {kind for _, kind in KINDS.values()} == set(labelled_lines.KINDS)


def test_page_coordinates_follow_the_size_of_the_image(tmp_path: Path) -> None:
    page_xml(tmp_path, scale=3)  # coordinates of a scan three times as large
    image = open_labelled_lines(tmp_path).lines[0].image()
    assert abs(image.shape[0] - 40) <= 4 and abs(image.shape[1] - 300) <= 4


X = "<TextEquiv><Unicode>x</Unicode></TextEquiv>"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"holds no labelled lines .* labels\.tsv .* PAGE-XML"),
        ({"metadata.csv": "file_name,label\na.png,x\n"}, r"metadata\.csv line 2 lacks file_name or a text"),
        ({"metadata.csv": "file_name,text\na.png,x\n"}, r"metadata\.csv line 2 names a\.png"),
        ({"metadata.jsonl": '{"file_name": "a.png", "text": "x"}\n[1]\n', "a.png": ""}, r"jsonl line 2 is not a JSON"),
        ({"a.gt.txt": "x"}, r"a\.gt\.txt has no image beside it"),
        ({"a.gt.txt": "x\ny", "a.png": ""}, r"a\.gt\.txt line 2 is one too many"),
        ({"a.gt.txt": "\n", "a.png": ""}, r"holds no line with a text"),
        ({"a.xml": f"<PcGts><Page><TextLine id='q'>{X}</TextLine></Page></PcGts>"}, r"a\.xml line q has no Coords"),
        ({"a.xml": f"<PcGts><Page><TextLine>{X}<Coords points='1,x'/></TextLine></Page></PcGts>"}, r"points '1,x'"),
        ({"a.xml": "<PcGts>\n<Page>"}, r"a\.xml line 2 is not XML"),
        ({"a.xml": f"<PcGts><Page imageFilename='b.png'><TextLine>{X}<Coords points='1,1 9,9'/></TextLine>"
          "</Page></PcGts>"},
         r"a\.xml has no page image b\.png"),
        ({"a.xml": "<alto><MeasurementUnit>mm10</MeasurementUnit></alto>"}, r"a\.xml measures in mm10"),
        ({"a.xml": "<alto><Page/><Page/></alto>"}, r"a\.xml has 2 pages"),
        ({"a.xml": "<PcGts><Page><TextLine id='q'><TextEquiv index='x'/></TextLine></Page></PcGts>"},
         r"a\.xml line q has index='x', which is no number"),
        ({"a.xml": "<PcGts><Page imageWidth='nan'/></PcGts>"}, r"a\.xml has imageWidth='nan', which is no number"),
        ({"a.xml": f"<PcGts><Page><TextLine>{X}<Coords points='1,nan'/></TextLine></Page></PcGts>"}, r"points '1,nan'"),
        ({"a.xml": "<?xml version='1.0' encoding='none'?><PcGts/>"}, r"a\.xml is XML that cannot be read"),
        ({"a.xml": ""}, r"a\.xml line 1 is not XML"),
    ],
)  # fmt: skip
def test_damaged_labels_are_named_with_file_and_line(files: dict[str, str], message: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        open_labelled_lines(tmp_path)


@pytest.mark.parametrize(("write", "root"), [(page_xml, "PcGts"), (alto, "alto")], ids=["page", "alto"])
def test_lines_without_text_need_neither_outlines_nor_an_image(
    write: Callable[[Path], None], root: str, tmp_path: Path
) -> None:
    write(tmp_path)
    (tmp_path / "other.xml").write_text(f"<{root}><Page><TextLine/></Page></{root}>")
    labelled = open_labelled_lines(tmp_path)
    assert len(labelled.lines) == 3 and "2 lines without text were left out" in labelled.notes[0]


def test_outlines_of_older_exports_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PAGE of 2010 has elements Point; ALTO may have a circle or an empty polygon. The page image is one folder up."""
    cv2.imwrite(str(tmp_path / "p.png"), draw_page())
    a, b, c, d = BOXES[0]
    points = "".join(f"<Point x='{x}' y='{y}'/>" for x, y in ((a, b), (c, b), (c, d), (a, d)))
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "p.xml").write_text(
        f"<PcGts><Page imageFilename='p.png'><TextLine>{X}<Coords>{points}</Coords></TextLine></Page></PcGts>"
    )
    monkeypatch.chdir(tmp_path / "page")
    image = open_labelled_lines(Path()).lines[0].image()
    assert abs(image.shape[0] - 40) <= 4 and abs(image.shape[1] - 300) <= 4
    for shape in ("<Circle HPOS='1' VPOS='1' RADIUS='9'/>", "<Polygon POINTS=''/>"):
        (tmp_path / "page" / "p.xml").write_text(
            f"<alto><Page><TextLine HPOS='{a}' VPOS='{b}' WIDTH='{c - a}' HEIGHT='{d - b}'><Shape>{shape}</Shape>"
            "<String CONTENT='x'/></TextLine></Page></alto>"
        )
        image = open_labelled_lines(Path()).lines[0].image()
        assert abs(image.shape[0] - 40) <= 4 and abs(image.shape[1] - 300) <= 4


def test_signs_without_a_shape_leave_no_space_behind() -> None:
    assert clean_text("\u05e9\u05dc \u200f \u05e2\u05d5") == "\u05e9\u05dc \u05e2\u05d5"
    assert clean_text("\u200bHello \u00ad") == "Hello" and clean_text("\u200e \u200e") == ""
    assert clean_text("e\u200b\u0301") == "\u00e9" and clean_text("\u0646\u200c\u0647") == "\u0646\u200c\u0647"


@pytest.mark.parametrize("name", ["glyphline-lines.zip", "lines.tar.gz", "LINES.ZIP"])
def test_archive_is_to_be_unpacked_first(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(DataError, match=rf"{name} is an archive: unpack it"):
        open_labelled_lines(tmp_path / name)


@pytest.mark.parametrize("below", ["train", "data/train"])
@pytest.mark.parametrize("write", [labels_tsv, metadata_csv, metadata_jsonl])
def test_labels_in_a_folder_below_are_pointed_out(below: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "hf" / below).mkdir(parents=True)
    write(tmp_path / "hf" / below)
    (tmp_path / "hf" / "empty").mkdir()
    with pytest.raises(DataError, match=f"hf holds no labels itself; they lie in .*hf/{below}: give that folder"):
        open_labelled_lines(tmp_path / "hf")
    (tmp_path / "hf" / "test").mkdir()
    write(tmp_path / "hf" / "test")
    with pytest.raises(DataError, match=r"hf/(data/)?t.* and in .*hf/t.*: give one of these folders"):
        open_labelled_lines(tmp_path / "hf")


def test_line_separators_of_unicode_do_not_divide_a_row(tmp_path: Path) -> None:
    """U+2028 and U+0085 are space in a text, not the end of a row."""
    cv2.imwrite(str(tmp_path / "a.png"), draw_page())
    text = "one\u2028two\u0085three"
    for name, content in (
        ("labels.tsv", f"a.png\t{text}\n"), ("metadata.csv", f"file_name,text\na.png,{text}\n"),
        ("metadata.jsonl", json.dumps({"file_name": "a.png", "text": text}, ensure_ascii=False)), ("a.gt.txt", text),
    ):  # fmt: skip
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert [line.text for line in open_labelled_lines(tmp_path).lines] == ["one two three"], name
        (tmp_path / name).unlink()


def test_suffixes_of_images_and_xml_may_be_in_capitals(tmp_path: Path) -> None:
    ground_truth(tmp_path)
    for path in [*tmp_path.glob("book/*.png")]:
        path.rename(path.with_name(path.name.replace(".bin.png", ".Bin.Png").replace(".png", ".PNG")))
    assert len(open_labelled_lines(tmp_path).lines) == 3
    for path in tmp_path.glob("book/*.gt.txt"):
        path.unlink()
    page_xml(tmp_path)
    (tmp_path / "p.png").rename(tmp_path / "p.PNG")
    (tmp_path / "page" / "p.xml").rename(tmp_path / "page" / "scan.XML")
    assert open_labelled_lines(tmp_path).lines[0].image().size > 0


@pytest.mark.parametrize("space", ["", "<SP/>"])
@pytest.mark.parametrize(("sign", "text"), [("-", "a wo-"), ("\u00ad", "a wo-"), ("\u2e17", "a wo\u2e17")])
def test_hyphen_of_a_divided_word_is_part_of_its_alto_line(space: str, sign: str, text: str, tmp_path: Path) -> None:
    alto(tmp_path)
    path = tmp_path / "p.alto.xml"
    line = f'<String CONTENT="a"/>{space}<String CONTENT="wo" SUBS_CONTENT="word"/><HYP CONTENT="{sign}"/>'
    path.write_text(path.read_text(encoding="utf-8").replace('<String CONTENT="plain"/>', line), encoding="utf-8")
    assert open_labelled_lines(tmp_path).lines[-1].text == text


def test_outline_follows_a_curved_baseline_and_a_rotated_line() -> None:
    x = np.linspace(0, 400, 9)
    y = 200 + 60 * (x / 200 - 1) ** 2
    polygon = np.concatenate([np.stack([x, y - 30], 1), np.stack([x, y + 10], 1)[::-1]])
    for angle in (0.0, 0.4, -1.2):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        outline = line_outline(polygon @ turn.T, np.stack([x, y], 1) @ turn.T)
        heights = np.linalg.norm(outline[:, 1] - outline[:, 0], axis=1)
        assert outline.ndim == 3 and np.abs(heights - 40).max() < 8
    assert line_outline(polygon, np.empty((0, 2))).shape == (4, 2)


# ------------------------------------------------------------------------------------------------------------ training


@pytest.fixture
def own_lines(tmp_path: Path) -> Path:
    """120 lines: a bar each, so that an image tells its text; one holds a character outside the tiny alphabet."""
    rows = []
    for k in range(120):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.pad(np.zeros((20, 40 + k), np.uint8), 4, constant_values=255))
        rows.append(f"{k}.png\t{'abcdefghij'[k % 10] * 2}{'abcdefghij'[k // 10 % 10]}{'cab' if k > 99 else ''}\n")
    (tmp_path / "labels.tsv").write_text("".join(rows) + "119.png\té 7日\n", encoding="utf-8")
    return tmp_path


def test_labelled_lines_take_their_share_and_splits_share_no_text(
    own_lines: Path, tiny_recipe: Callable[..., Recipe]
) -> None:
    recipe = tiny_recipe().lines
    recipe = recipe_from({"lines": {**Recipe(lines=recipe).to_dict()["lines"], "labelled": [
        {"folder": str(own_lines), "share": 0.3}]}}).lines  # fmt: skip
    sets = {split: open_lines(recipe, split, 0) for split in ("train", "val")}
    composed = LineSet(recipe, "train", 0)
    train = sets["train"]
    assert isinstance(train, MixedLines)
    indices = list(range(400))
    images, texts = train.canonical_batch(indices)
    own = [k for k in indices if texts[k] != composed.text(k)]
    assert 80 < len(own) < 160 and all(image.shape[0] == recipe.height for image in images)
    assert texts == [train.text(k) for k in indices] and train.canonical_batch([7, 3])[1] == [texts[7], texts[3]]
    assert all(split_of_text(texts[k]) == "train" for k in own)
    assert any("with characters outside the alphabet are left out: " in note for note in train.notes)
    own_val = {sets["val"].text(k) for k in range(400)} & {texts[k] for k in own}
    assert not own_val


@pytest.mark.slow
def test_training_changes_labelled_images_each_time_and_validation_does_not(
    own_lines: Path, tiny_recipe: Callable[..., Recipe]
) -> None:
    def images_of(split: str, variation: float) -> dict[str, list[bytes]]:
        labelled = [{"folder": str(own_lines), "share": 0.9, "variation": variation}]
        recipe = recipe_from({"lines": {**tiny_recipe().to_dict()["lines"], "labelled": labelled}}).lines
        lines = open_lines(recipe, split, 0)
        assert isinstance(lines, MixedLines)
        images: dict[str, list[bytes]] = {}
        for index in range(600):
            image, text = lines.canonical_line(index)
            if text != lines.composed.text(index):
                images.setdefault(text, []).append(image.tobytes())
        return {text: seen for text, seen in images.items() if len(seen) > 2}

    for split, variation, is_changed in (("train", 1.0, True), ("train", 0.0, False), ("val", 1.0, False)):
        images = images_of(split, variation)
        assert images and all((len(set(seen)) > 2) == is_changed for seen in images.values())
    assert images_of("train", 1.0) == images_of("train", 1.0)


def test_folder_outside_the_alphabet_and_a_broken_image_are_named(
    own_lines: Path, tiny_recipe: Callable[..., Recipe]
) -> None:
    recipe = recipe_from({"lines": {**tiny_recipe().to_dict()["lines"], "labelled": str(own_lines)}})
    text = next(t for t in ("ab", "cd", "ef", "gh") if split_of_text(t) == "train")
    (own_lines / "0.png").write_bytes(b"no image")
    (own_lines / "labels.tsv").write_text(f"0.png\t{text}\n")
    with pytest.raises(ImageError, match=r"0\.png"):
        open_lines(recipe.lines, "train", 0)
    (own_lines / "labels.tsv").write_text("1.png\t日本\n", encoding="utf-8")
    with pytest.raises(DataError, match="every line holds characters outside the alphabet"):
        open_lines(recipe.lines, "train", 0)


def labelled_recipe(folder: Path, tiny_recipe: Callable[..., Recipe], share: float = 0.5) -> LinesRecipe:
    labelled = [{"folder": str(folder), "share": share}]
    return recipe_from({"lines": {**tiny_recipe().to_dict()["lines"], "labelled": labelled}}).lines


def test_folded_accents_of_the_learned_lines_are_counted_and_said(
    own_lines: Path, tiny_recipe: Callable[..., Recipe]
) -> None:
    """Those of lines that are left out, or of another split, do not count."""
    texts = [text for text in ("café", "bébé", "fête", "à bec") if split_of_text(text) == "train"]
    rows = [f"{k}.png\t{text}\n" for k, text in enumerate((*texts, "é 日"))]
    (own_lines / "labels.tsv").write_text("".join(rows), encoding="utf-8")
    recipe = labelled_recipe(own_lines, tiny_recipe)
    lines = open_lines(recipe, "train", 0)
    (note,) = [note for note in lines.notes if f"{own_lines}: " in note and "were folded" in note]
    assert f"'é' to 'e' {''.join(texts).count('é')}" in note and "a wider alphabet" in note
    (own_lines / "labels.tsv").write_text("0.png\tcab\n")
    assert not any(f"{own_lines}: " in note and "were folded" in note for note in open_lines(recipe, "train", 0).notes)


def test_lines_that_are_too_narrow_for_their_text_are_named_and_never_given(
    own_lines: Path, tiny_recipe: Callable[..., Recipe]
) -> None:
    rows = (own_lines / "labels.tsv").read_text(encoding="utf-8")
    long_texts = [text for text in (f"{c}abcdefgh" * 12 for c in "abcdefghijkl") if split_of_text(text) == "train"]
    (own_lines / "labels.tsv").write_text(
        rows + "".join(f"{k}.png\t{text}\n" for k, text in enumerate(long_texts)), encoding="utf-8"
    )
    lines = open_lines(labelled_recipe(own_lines, tiny_recipe), "train", 0)
    assert set(long_texts) & {lines.text(k) for k in range(400)}
    notes = leave_out_narrow(lines, lambda width: width // 4)
    assert notes[0].startswith(f"{own_lines}, 0.png is left out: its image is too narrow for {long_texts[0]!r}")
    assert len(notes) == MAX_NAMED + 1 and f"{len(long_texts) - MAX_NAMED} more lines" in notes[-1]
    texts = [lines.text(k) for k in range(400)]
    assert not set(long_texts) & set(texts) and texts == lines.canonical_batch(range(400))[1]
    assert leave_out_narrow(lines, lambda width: width // 4) == []
    assert isinstance(lines, MixedLines)
    leave_out_narrow(lines, lambda width: 0)  # composed lines take the place of a folder without any
    assert [lines.text(k) for k in range(50)] == [lines.composed.text(k) for k in range(50)]
    assert leave_out_narrow(lines.composed, lambda width: 0) == []


@pytest.mark.slow
def test_training_names_narrow_lines_of_both_splits(
    own_lines: Path, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    texts = {split_of_text(text): text for text in (f"{c}{d}cdefgh" * 12 for c in "abcdefghij" for d in "abcdefghij")}
    rows = [f"{k}.png\t{texts[split]}\n" for k, split in enumerate(("train", "val", "test"))]
    (own_lines / "labels.tsv").write_text("".join([*rows, "9.png\tcab\n"]))
    recipe = dataclasses.replace(tiny_recipe(), lines=labelled_recipe(own_lines, tiny_recipe))
    said: list[str] = []
    train(recipe, tmp_path / "run", trackers=("none",), progress=False, report=said.append)
    named = [note for note in said if "too narrow" in note]
    assert [text in note for text, note in zip((texts["train"], texts["val"]), named, strict=True)] == [True, True]


def test_variation_outside_its_range_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"lines\.labelled has the variation 3"):
        recipe_from({"lines": {"labelled": [{"folder": "x", "variation": 3}]}})


@pytest.mark.parametrize("shares", [[0.0], [1.0], [0.5, 0.5]])
def test_shares_that_leave_nothing_are_refused(shares: list[float]) -> None:
    with pytest.raises(RecipeError, match=r"lines\.labelled has the shares"):
        recipe_from({"lines": {"labelled": [{"folder": "x", "share": share} for share in shares]}})
