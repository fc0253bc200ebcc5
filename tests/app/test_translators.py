"""Tests of the translators: the phrase book, Apertium, Firefox's models, and what becomes of the lines of a page."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from glyphline.app import translators
from glyphline.app.translators import Pair, pairs, translate_lines, translate_text
from glyphline.app.translators.apertium import LANGUAGE_CODES, Apertium, Pipeline, find_modes, read_mode
from glyphline.app.translators.phrase_book import NUMBER, PhraseBook, fold, load_phrases
from glyphline.errors import DataError, GlyphlineError, MissingPackage, UserError
from glyphline.page import Line

LANGUAGES = ["en", "es", "fr", "de", "it", "nl", "pl", "pt", "da", "sv"]
needs_apertium = pytest.mark.skipif(
    shutil.which("apertium") is None or ("en", "es") not in find_modes(),
    reason="needs the program apertium with a pair: apt-get install apertium-eng-spa",
)


def make_lines(*texts: str) -> list[Line]:
    return [Line(text, 1.0, (), "", rejected=not text) for text in texts]


def translate(texts: list[str], source: str, target: str, translator: str = "auto") -> list[str]:
    return [line.text for line in translate_lines(make_lines(*texts), source, target, translator).lines]


@pytest.fixture
def only_phrase_book(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translators, "TRANSLATORS", {"phrase-book": PhraseBook})


# --------------------------------------------------------------------------------------------------- phrase book


def test_phrase_book_has_every_phrase_in_ten_languages() -> None:
    phrases = load_phrases()
    assert list(phrases) == LANGUAGES and len({len(cells) for cells in phrases.values()}) == 1
    assert len(phrases["en"]) >= 150
    for cells in phrases.values():
        assert all(wording.strip() == wording and fold(wording) for cell in cells for wording in cell)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wording_stands_in_one_row_only(language: str) -> None:
    rows: dict[str, set[int]] = {}
    for row, cell in enumerate(load_phrases()[language]):
        assert len({fold(wording) for wording in cell}) == len(cell), cell
        for wording in cell:
            rows.setdefault(fold(wording), set()).add(row)
    assert not {wording: found for wording, found in rows.items() if len(found) > 1}


def test_all_wordings_of_a_row_have_as_many_numbers() -> None:
    for row in zip(*load_phrases().values(), strict=True):
        assert len({fold(wording).count("#") for cell in row for wording in cell}) == 1, row


def test_no_phrase_holds_a_number_of_its_own() -> None:
    assert not [w for cells in load_phrases().values() for cell in cells for w in cell if NUMBER.search(w)]


@pytest.mark.parametrize("source", LANGUAGES)
def test_every_wording_is_translated_and_back(source: str, only_phrase_book: None) -> None:
    target = "de" if source == "en" else "en"
    book = PhraseBook()
    for row, cell in enumerate(load_phrases()[source]):
        for wording in cell:
            (there,) = book.translate([wording.replace("#", "7").upper()], source, target)
            assert there is not None and fold(there.text) == fold(load_phrases()[target][row][0])
            (back,) = book.translate([there.text], target, source)
            assert back is not None and fold(back.text) == fold(cell[0])


def test_phrases_are_known_without_case_accents_and_punctuation(only_phrase_book: None) -> None:
    assert translate(["salida de EMERGENCIA", "¡Prohibido fumar!", "SORTIE DE SECOURS"], "es", "en")[:2] == [
        "Emergency exit",
        "No smoking!",
    ]
    assert translate(["DEFENSE DE FUMER"], "fr", "de") == ["RAUCHEN VERBOTEN"]
    assert translate(["No smoking!"], "en", "es") == ["¡Prohibido fumar!"]


def test_phrases_over_several_lines_and_several_phrases_on_a_line(only_phrase_book: None) -> None:
    assert translate(["NO", "SMOKING"], "en", "de") == ["RAUCHEN", "VERBOTEN"]
    assert translate(["Caution! Wet floor"], "en", "pl") == ["Uwaga! Mokra podłoga"]
    assert translate(["Notausgang – bitte freihalten"], "de", "en") == ["Emergency exit – Keep clear"]


def test_numbers_of_phrases_are_copied(only_phrase_book: None) -> None:
    assert translate(["Mo-Fr 9:00-17:30 Uhr", "Gleis 12", "Max. 8 Personen"], "de", "en") == [
        "Monday to Friday 9:00-17:30",
        "Platform 12",
        "Maximum 8 persons",
    ]


# --------------------------------------------------------------------------------------------------- lines of a page


def test_without_a_translator_the_advice_names_the_command(only_phrase_book: None) -> None:
    page = translate_lines(make_lines("Ausgang", "Der Hund schläft heute lange im Garten"), "de", "en")
    assert [line.text for line in page.lines] == ["Exit", "Der Hund schläft heute lange im Garten"]
    assert [line.translator for line in page.lines] == ["phrase-book", ""]
    assert page.advice and page.advice.endswith("glyphline translate install de en")
    with pytest.raises(UserError, match="glyphline translate install de en"):
        translate_text("Der Hund schläft", "de", "en")


@pytest.mark.parametrize("source", [None, "none", "auto", "en", "en-GB"])
def test_unknown_or_equal_language_leaves_the_text(source: str | None) -> None:
    page = translate_lines(make_lines("No smoking", ""), source, "en")
    assert [line.text for line in page.lines] == ["No smoking", ""] and page.advice is None


def test_region_is_left_out_of_account(only_phrase_book: None) -> None:
    page = translate_lines(make_lines("Exit"), "en-GB", "pt-BR")
    assert (page.source, page.target, page.lines[0].text) == ("en", "pt", "Saída")


def test_rejected_lines_are_empty_and_numbers_and_addresses_stay(only_phrase_book: None) -> None:
    lines = [*make_lines("12.50", "www.example.org", "info@example.org"), Line("Exit", 0.1, (), "", rejected=True)]
    page = translate_lines(lines, "en", "de")
    assert [line.text for line in page.lines] == ["12.50", "www.example.org", "info@example.org", ""]
    assert page.advice is None


def test_lines_in_the_target_language_stay_unless_the_source_is_a_correction(only_phrase_book: None) -> None:
    lines = [Line("Salida", 1.0, (), "", language="es"), Line("Exit", 1.0, (), "", paragraph=1, language="en")]
    assert [line.text for line in translate_lines(lines, "es", "en").lines] == ["Exit", "Exit"]
    wrong = [Line("Salida", 1.0, (), "", language="en")]
    assert [line.text for line in translate_lines(wrong, "es", "en").lines] == ["Exit"]


@pytest.mark.parametrize("code", ["", "e", "english", "en_GB", "../x", "EN"])
def test_wrong_codes_and_names_are_refused(code: str) -> None:
    with pytest.raises(UserError, match="code"):
        translate_lines(make_lines("Exit"), "en", code)
    with pytest.raises(UserError, match=r"choices: .*phrase-book"):
        translate_lines(make_lines("Exit"), "en", "de", "fraze-book")


def test_pairs_are_complete() -> None:
    found = pairs()
    assert Pair("de", "en", "phrase-book", True, 0.0) in found and len(found) == len(set(found))
    assert {pair.translator for pair in found} <= set(translators.TRANSLATORS)
    assert not [pair for pair in found if pair.source == pair.target]


# --------------------------------------------------------------------------------------------------- apertium


@needs_apertium
def test_apertium_translates_capitals_numbers_and_names() -> None:
    page = translate_lines(make_lines("THE MUSEUM IS CLOSED TODAY"), "en", "es")
    assert page.lines[0].text == "EL MUSEO ESTÁ CERRADO HOY"
    assert page.lines[0].is_gist and page.lines[0].translator == "apertium"
    page = translate_lines(make_lines("The train 25 leaves at 9:30 from PARIS."), "en", "es")
    assert all(kept in page.lines[0].text.rstrip(".").split() for kept in ("25", "9:30", "PARIS"))
    (line,) = translate(["Write to info@example.com or www.example.org/a-b"], "en", "es")
    assert "info@example.com" in line and "www.example.org/a-b" in line


@needs_apertium
def test_apertium_joins_lines_and_lays_them_out_again() -> None:
    page = translate_lines(make_lines("The museum is closed", "on Sundays and on", "holidays."), "en", "es")
    assert len(page.lines) == 3 and all(line.text for line in page.lines)
    assert " ".join(line.text for line in page.lines).startswith("El museo está cerrado")


@needs_apertium
def test_unknown_words_stay_as_in_the_original() -> None:
    page = translate_lines(make_lines("The grumpledorf is open"), "en", "es")
    assert "grumpledorf" in page.lines[0].text and page.lines[0].unknown == ("grumpledorf",)
    assert not set("*@#") & set(page.lines[0].text)


@needs_apertium
def test_apertium_never_mixes_texts_and_bears_special_characters() -> None:
    texts = [
        "the red car",
        "a [b] {c} ^d$ e/f \\ <g> @h",
        "the blue house",
        "9:30",
        "x" * 3000,
        "a\0b",
        "...",
        "two dogs",
    ]
    apertium = Apertium()
    try:
        together = [t.text for t in apertium.translate(texts, "en", "es") if t]
        alone = [t.text for text in reversed(texts) for t in apertium.translate([text], "en", "es") if t]
        assert together == alone[::-1] and together[0] == "El coche rojo" and together[-1] == "Dos perros"
        assert together[3] == "9:30"
        assert all(mark in together[1] for mark in "[]{}^$/\\<>@")
    finally:
        apertium.close()


@needs_apertium
def test_a_pipeline_starts_again_after_its_programs_died() -> None:
    pipeline = Pipeline(find_modes()["en", "es"])
    try:
        first = pipeline.translate("the red car.[]")
        pipeline.processes[3].kill()
        with pytest.raises(GlyphlineError, match="apertium eng-spa failed"):
            pipeline.translate("the red car.[]")
        assert pipeline.translate("the red car.[]") == first
    finally:
        pipeline.close()


def test_mode_files_are_read_without_a_shell(tmp_path: Path) -> None:
    mode = tmp_path / "eng-spa.mode"
    mode.write_text("cat '/tmp/a b.bin' | cat -g $2 x | cat $1 y")
    assert read_mode(mode) == [["cat", "-z", "/tmp/a b.bin"], ["cat", "-z", "-g", "x"], ["cat", "-z", "-g", "y"]]
    mode.write_text("no-such-program x")
    with pytest.raises(UserError, match="no-such-program"):
        read_mode(mode)
    assert LANGUAGE_CODES["deu"] == "de"


# --------------------------------------------------------------------------------------------------- Firefox's models


@pytest.fixture
def model_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of fxtranslate's models, empty. Nothing can be downloaded."""
    fxtranslate = pytest.importorskip("fxtranslate")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FXTRANSLATE_RECORDS_URL", "http://127.0.0.1:9/records")
    root = Path(fxtranslate.Cache().root)
    if not root.is_relative_to(tmp_path):
        pytest.skip("the cache of fxtranslate cannot be moved on this system")
    return root


def test_firefox_lists_what_is_cached_and_what_can_be_installed(model_cache: Path) -> None:
    firefox = translators.Firefox()
    assert not [pair for pair in firefox.pairs() if pair.installed] and len(firefox.pairs()) == 18
    (model_cache / "de-en").mkdir(parents=True)
    (model_cache / "de-en" / "model.deen.intgemm.alphas.bin").write_bytes(bytes(2_000_000))
    installed = [pair for pair in firefox.pairs() if pair.installed]
    assert installed == [Pair("de", "en", "firefox", True, 2.0)]
    assert firefox.remove("de", "en") and not firefox.remove("de", "en")


def test_a_damaged_model_of_firefox_is_refused(model_cache: Path) -> None:
    folder = model_cache / "de-en"
    folder.mkdir(parents=True)
    (folder / "model.deen.intgemm.alphas.bin").write_bytes(os.urandom(2000))
    with pytest.raises(DataError, match=r"damaged .*a file is missing.*glyphline translate remove de en"):
        translate_text("Der Hund schläft.", "de", "en")
    (folder / "vocab.deen.spm").write_bytes(os.urandom(2000))
    with pytest.raises(DataError, match=r"damaged .*glyphline translate remove de en"):
        translate_text("Der Hund schläft.", "de", "en")
    translators.remove("de", "en")


def test_a_download_that_fails_is_reported(model_cache: Path) -> None:
    with pytest.raises(GlyphlineError, match="Firefox's model de-en could not be downloaded"):
        translators.install("de", "en", lambda done, total: None)
    with pytest.raises(UserError, match="no pair"):
        translators.install("en", "en", None)
    with pytest.raises(UserError, match="no model from de to en is installed"):
        translators.remove("de", "en")


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glyphline.app.translators.firefox.find_spec", lambda name: None)
    assert translators.Firefox().pairs() == []
    with pytest.raises(MissingPackage, match=r'pip install "glyphline\[app\]"'):
        translators.install("de", "en", None)
