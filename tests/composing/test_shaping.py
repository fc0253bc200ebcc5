"""Lines of any script: what fonts draw, right-to-left order, letters that join or combine."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

import glyphline
from glyphline.composing.glyphs import Fonts, open_glyphs
from glyphline.composing.glyphs.fonts import can_shape, file_with
from glyphline.composing.label_fonts import LabelFonts
from glyphline.composing.line_sets import LineSet
from glyphline.composing.sentences import _load_splits, sentence_key, split_of_text
from glyphline.composing.shaping import split_units, visual_units
from glyphline.composing.sheet import Sheet
from glyphline.composing.sheet_drawing import MM, draw_page
from glyphline.errors import AlphabetError, RecipeError
from glyphline.recipe import LinesRecipe, recipe_from
from glyphline.writing_direction import RTL, to_visual

DEJAVU = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"  # has Greek to Arabic
HEBREW = "שלום עולם (12) כאן"
MIXED = "אני לומד Python 3.5 (כבר)"
ARABIC = "كتاب جميل، 25 صفحة"
HEBREW_ALPHABET = " ()0123456789אבגדהוזחטיךכלםמןנסעףפץצקרשת"
ALPHABETS = {HEBREW: HEBREW_ALPHABET, MIXED: HEBREW_ALPHABET + ".Python", ARABIC: " 0123456789،أابتجحدرصفكلمنهويةى"}
needs_shaping = pytest.mark.skipif(not can_shape(), reason="Pillow has no HarfBuzz here: install libfribidi0")


def test_mark_after_a_space_is_drawn_by_itself() -> None:
    assert split_units("رَيْبَ ۛ فِيهِ") == ["رَيْبَ", " ", "ۛ", " ", "فِيهِ"]
    assert split_units("a \u0301") == ["a", " ", "\u0301"] and split_units("né ก้") == ["n", "é", " ", "ก้"]


@pytest.fixture
def one_font(tmp_path: Path) -> Path:
    """A folder of one font, DejaVu Sans."""
    folder = tmp_path / "fonts"
    folder.mkdir()
    shutil.copy(DEJAVU, folder)
    return folder


def lines_of(text: str, glyphs: str, folder: Path, **settings: object) -> LineSet:
    """A set of lines of one text in one glyph source."""
    _load_splits.cache_clear()  # the file may have been another one
    path = folder / "text.txt"
    path.write_text(text, encoding="utf-8")
    data = {
        "alphabet": ALPHABETS.get(text),
        "glyphs": [glyphs],
        "sentences": [f"text:{path}"],
        "effects": {},
        **settings,
    }
    lines: LinesRecipe = recipe_from({"lines": data}).lines
    return LineSet(lines, "train", 3)


# ---------------------------------------------------------------------- units


def test_letters_that_join_or_combine_are_one_unit() -> None:
    assert split_units("né (12)") == list("né (12)")
    assert split_units("كتاب جميل، ٢") == ["كتاب", " ", "جميل", "،", " ", "٢"]
    assert split_units("हिन्दी में।") == ["हिन्दी", " ", "में", "।"]
    assert split_units("ที่นี่") == ["ที่", "นี่"]
    assert split_units("שָׁלוֹם") == ["שָׁ", "ל", "וֹ", "ם"]
    assert split_units("Ωμέγα й") == list("Ωμέγα й")


def test_units_are_seen_from_left_to_right_with_mirrored_brackets() -> None:
    for text in (HEBREW, "אני לומד Python 3 (כבר)!"):
        assert "".join(visual_units(text, RTL)) == to_visual(text, RTL)
    assert visual_units("كتاب (25) جميل،", RTL) == ["،", "جميل", " ", "(", "2", "5", ")", " ", "كتاب"]


# ---------------------------------------------------------------------- fonts


def test_fonts_draw_what_they_hold(one_font: Path) -> None:
    source, code_points = Fonts(one_font), TTFont(DEJAVU).getBestCmap()
    for character in "Ωжאج٣€𝔸":
        assert ord(character) in code_points and source.count(character, "train") == 1
    for character in "中한\u0e01\u00a0\u200d":  # not in the font, or without ink
        assert source.count(character, "train") == 0
    drawn = source.characters("train")
    assert set("AéŁΩжאج٣€") <= set(drawn) and not {"中", " ", "\u00a0"} & set(drawn)


def test_character_mapped_to_an_outline_without_ink_does_not_count(one_font: Path) -> None:
    font, path = TTFont(DEJAVU), one_font / "DejaVuSans.ttf"
    names = font.getBestCmap()
    font["glyf"][names[ord("ж")]] = TTGlyphPen(None).glyph()  # no outline
    for table in font["cmap"].tables:
        if table.isUnicode():
            table.cmap[ord("ш")] = ".notdef"
            table.cmap[ord("ю")] = names[ord(" ")]
    font.save(path)
    source = Fonts(one_font)
    assert [source.count(c, "train") for c in "жшюя"] == [0, 0, 0, 1]
    assert file_with(str(path), "яж") is None and file_with(str(path), "яд") == str(path)
    with pytest.raises(AlphabetError, match="'ж', 'ш', 'ю' in the train split"):
        source.check_characters("яжшю", "train")


@needs_shaping
def test_word_is_drawn_in_joined_letters(one_font: Path) -> None:
    source = Fonts(one_font)
    word = source.glyph("بيت", 0, "train")
    isolated = [source.glyph(c, 0, "train") for c in "بيت"]
    assert word.advance is not None and word.advance < 0.95 * sum(g.advance or 0.0 for g in isolated)
    parts, _ = cv2.connectedComponents((word.ink > 127).astype(np.uint8))
    assert parts - 1 == 6  # the letters in one stroke, and their 1, 2 and 2 dots
    columns = np.flatnonzero(source.glyph("تا", 0, "train").ink[:8].any(axis=0))
    assert columns.max() < source.glyph("تا", 0, "train").ink.shape[1] / 2  # alef, the second letter, is at the left


# ---------------------------------------------------------------------- lines


@needs_shaping
@pytest.mark.parametrize("text", [HEBREW, MIXED, ARABIC])
def test_right_to_left_line_is_drawn_from_right_to_left(text: str, one_font: Path, tmp_path: Path) -> None:
    lines = lines_of(text, f"fonts:{one_font}", tmp_path)
    line = lines.line(0, boxes=True)
    assert lines.direction == "rtl" and line.text == text == line.record.text
    units = [glyph.character for glyph in line.record.glyphs]
    assert units == [unit for unit in visual_units(text, RTL) if unit != " "]
    centres = [left + right for left, _, right, _ in line.boxes]
    assert centres == sorted(centres)


def test_direction_of_a_recipe_overrides_that_of_the_alphabet(one_font: Path, tmp_path: Path) -> None:
    for direction, seen in (("ltr", "12בא)"), ("rtl", "(12בא"), ("auto", "(12בא")):
        lines = lines_of("אב 12)", f"fonts:{one_font}", tmp_path, alphabet=ALPHABETS[HEBREW], direction=direction)
        assert "".join(glyph.character for glyph in lines.line(0).record.glyphs) == seen
    with pytest.raises(RecipeError, match=r'lines\.direction is "left"'):
        recipe_from({"lines": {"direction": "left"}})


def test_tiles_are_in_visual_order_alone_and_in_a_batch(one_font: Path, tmp_path: Path) -> None:
    lines = lines_of(HEBREW, f"fonts:{one_font}", tmp_path, layout="tiles", length=18, cut="character", height=28,
                     effects=None)  # fmt: skip
    (image,), (text,) = lines.canonical_batch([0])
    alone, _ = lines.canonical_line(0)
    assert text == HEBREW and np.array_equal(image, alone)
    assert [g.character for g in lines.line(0).record.glyphs] == list(to_visual(HEBREW, RTL).replace(" ", ""))


def test_character_without_a_tile_is_refused_where_lines_are_of_tiles(one_font: Path, tmp_path: Path) -> None:
    lines = lines_of("a𝔸", f"fonts:{one_font}", tmp_path, alphabet=" a𝔸", layout="tiles", effects=None, length=2,
                     cut="character")  # fmt: skip
    with pytest.raises(AlphabetError, match="has no tiles of '𝔸': use the layout natural"):
        lines.line(0)


@pytest.mark.parametrize(("text", "unit"), [(ARABIC, "كتاب"), ("हम सुबह चाय पीते हैं", "हम"), ("ดื่มน้ำชา", "ดื่")])
def test_letters_that_join_or_combine_are_refused_where_glyphs_are_single(text: str, unit: str, tmp_path: Path) -> None:
    folder, alphabet = tmp_path / "letters", "".join(sorted(set(text)))
    for character in alphabet.replace(" ", ""):
        target = folder / f"U+{ord(character):04X}"
        target.mkdir(parents=True)
        for number in range(3):
            image = np.full((60, 60), 255, np.uint8)
            image[9:50, 9:50] = np.random.default_rng([ord(character), number]).choice((0, 255), (41, 41))
            cv2.imwrite(str(target / f"{number}.png"), image)
    with pytest.raises(AlphabetError, match=rf"characters of '{unit}' join .* folder:.* single .* use fonts:FOLDER"):
        lines_of(text, f"folder:{folder}", tmp_path, alphabet=alphabet)


@needs_shaping
def test_word_whose_letters_no_single_font_has_is_named_before_composing(one_font: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for folder, lacking in ((one_font, "گ"), (other, "ت")):
        font = TTFont(DEJAVU)
        for table in font["cmap"].tables:
            if table.isUnicode():
                table.cmap.pop(ord(lacking), None)
        font.save(folder / "DejaVuSans.ttf")
    glyphs = [f"fonts:{one_font}", f"fonts:{other}"]
    path = tmp_path / "text.txt"
    settings = {"alphabet": " اتگمن", "glyphs": glyphs, "sentences": [f"text:{path}"], "effects": {}}
    path.write_text("تمام گمان", encoding="utf-8")  # each font has one of the words
    assert LineSet(recipe_from({"lines": settings}).lines, "train", 3).line(0).text == "تمام گمان"
    path.write_text("تمام گمان تگ", encoding="utf-8")
    _load_splits.cache_clear()
    with pytest.raises(AlphabetError, match="no font in the train split has all characters of 'تگ'"):
        LineSet(recipe_from({"lines": settings}).lines, "train", 3)


def test_sentences_in_another_script_than_the_alphabet_are_refused(one_font: Path, tmp_path: Path) -> None:
    with pytest.raises(
        AlphabetError, match=r"most letters of the sentences .* such as '.', .*lines\.alphabet .*--alphabet"
    ):
        lines_of(HEBREW, f"fonts:{one_font}", tmp_path, alphabet="english")
    assert lines_of("Nice word: שלום", f"fonts:{one_font}", tmp_path, alphabet="english").line(0).text == "Nice word:"


@needs_shaping
@pytest.mark.parametrize(
    "settings", [{"layout": "tiles", "effects": None, "length": 18, "cut": "character"}, {"letter_spaced": 0.5}]
)
def test_letters_that_join_are_refused_where_they_are_set_one_by_one(
    settings: dict[str, object], one_font: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="'كتاب' join or combine in writing, but"):
        lines_of(ARABIC, f"fonts:{one_font}", tmp_path, **settings)


@needs_shaping
def test_single_line_is_composed_in_its_direction_and_shape(one_font: Path) -> None:
    for text in (HEBREW, ARABIC):
        line = glyphline.compose(text, glyphs=f"fonts:{one_font}")
        seen = [unit for unit in visual_units(text, RTL) if unit != " "]
        assert [glyph.character for glyph in line.record.glyphs] == seen and line.text == text
    with pytest.raises(RecipeError, match="the layout tiles sets them one by one"):
        glyphline.compose(ARABIC, glyphs=f"fonts:{one_font}", layout="tiles")


def test_bracket_whose_mirror_image_is_missing_is_named(one_font: Path, tmp_path: Path) -> None:
    with pytest.raises(AlphabetError, match=r"shows '\)' in the place of the opposite bracket"):
        lines_of(HEBREW, f"fonts:{one_font}", tmp_path, alphabet=ALPHABETS[HEBREW].replace(")", ""))


def test_shaping_without_harfbuzz_names_the_remedy(one_font: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glyphline.composing.glyphs import fonts
    from glyphline.errors import DataError

    monkeypatch.setattr(fonts, "can_shape", lambda: False)
    fonts._open_shaping_font.cache_clear()
    with pytest.raises(DataError, match="apt-get install libfribidi0"):
        open_glyphs(f"fonts:{one_font}").glyph("بيت", 0, "train")


def test_sentences_of_other_scripts_with_the_same_number_are_different() -> None:
    first, second = "Он родился в 1961 году", "Космос и 1961 год"
    assert sentence_key(first) != sentence_key(second)
    assert sentence_key("שנת 1948!") == sentence_key("שנת  1948") != "1948"
    assert sentence_key("The word Дом, 1961") == "theword1961"  # mostly ASCII letters: as it always was
    assert len({split_of_text(f"слово {k}") for k in range(60)}) == 3


# ---------------------------------------------------------------------- print


def test_right_to_left_line_on_a_sheet_is_printed_from_the_right(one_font: Path) -> None:
    sheet = Sheet("אבגדהו", 3, ("שלום אבא", "abc אבא"), "a4")
    fonts = LabelFonts(one_font)
    page = draw_page(sheet, sheet.page_count, fonts)
    slot = next(slot for slot in sheet.slots_of(sheet.page_count) if slot.is_line)
    rows = slice(round((slot.top - 6.5) * MM), round((slot.top - 0.5) * MM))
    ink = np.flatnonzero((page[rows].max(axis=2) < 100).any(axis=0))
    assert slot.right * MM - 12 < ink.max() <= slot.right * MM + 2 and ink.min() > (slot.left + slot.right) / 2 * MM
