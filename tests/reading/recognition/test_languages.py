"""Languages: found from the texts of a page, mixed pages, none of them, and what is read in each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from glyphline.alphabet import ACCENTED_LETTERS, ALPHABETS, Alphabet
from glyphline.errors import UserError
from glyphline.page import Line
from glyphline.reading.lines import LineReader, open_line_reader
from glyphline.reading.recognition.decoders import BeamSearchDecoder, DecodedText, GreedyDecoder
from glyphline.reading.recognition.language_model import BACKOFF, START
from glyphline.reading.recognition.languages import (
    LANGUAGES,
    NONE,
    IdentificationWeights,
    candidate_languages,
    check_language,
    has_accented_letters,
    language_model_of,
    log_likelihoods,
    main_language,
)
from glyphline.reading.recognition.posteriors import Posteriors

PAGES = {
    "en": ["The train to the coast leaves at noon", "and we shall be there before the rain"],
    "fr": ["Le train pour la côte part à midi", "et nous y serons avant la pluie, j'espère"],
    "de": ["Der Zug an die Küste fährt um zwölf", "und wir werden vor dem Regen dort sein"],
    "es": ["El tren para la costa sale al mediodía", "y estaremos allí antes de que llueva"],
    "nl": ["De trein naar de kust vertrekt om twaalf", "en wij zullen er zijn voor de regen"],
    "it": ["Il treno per la costa parte a mezzogiorno", "e saremo lì prima che cominci la pioggia"],
    "pl": ["Pociąg na wybrzeże odjeżdża w południe", "i będziemy tam przed deszczem, mam nadzieję"],
    "pt": ["O comboio para a costa parte ao meio-dia", "e não vamos chegar antes da chuva, então"],
    "da": ["Toget til kysten kører klokken tolv", "og vi skal være der før regnen kommer"],
    "sv": ["Tåget till kusten går klockan tolv", "och vi ska vara där innan regnet kommer"],
}


def best(texts: list[str]) -> list[str]:
    """The most probable language of each line."""
    return [next(iter(candidates)) for candidates in candidate_languages(texts)]


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_has_a_model_and_is_found(code: str) -> None:
    model = language_model_of(code)
    assert model is not None and len(model.symbols) < BACKOFF
    assert best(PAGES[code]) == [code] * 2
    assert [best([text])[0] for text in PAGES[code]] == [code] * 2  # each line alone, too


@pytest.mark.parametrize("code", LANGUAGES)
def test_language_is_found_in_spite_of_misread_characters(code: str) -> None:
    rng = np.random.default_rng(4)
    misread = ["".join(c if rng.random() > 0.08 else rng.choice([*"etaoins"]) for c in text) for text in PAGES[code]]
    assert all(code in candidates for candidates in candidate_languages(misread * 2))


def test_page_of_two_languages_is_told_line_by_line() -> None:
    texts = [text for pair in zip(PAGES["de"], PAGES["fr"], strict=True) for text in pair]
    assert best(texts * 3) == ["de", "fr", "de", "fr"] * 3


def test_texts_in_no_language_have_none() -> None:
    assert best(["からだ黒ごまは体にいいです", "かみ、くろ", "Привет, как дела?"]) == [NONE] * 3
    assert best(["xkqz wvjk qqzt xxkz pfwq zzkj", "qwzx kjvv pzqx"]) == [NONE] * 2


def test_line_without_letters_takes_the_languages_of_the_page() -> None:
    assert best([*PAGES["pl"], "12.30"])[-1] == "pl"
    assert candidate_languages([]) == [] and len(candidate_languages([""])) == 1


def test_given_language_is_the_only_one() -> None:
    assert candidate_languages(["XK-4471-QQ", "qwzx"], ("fr",)) == [{"fr": 0.0}] * 2
    assert candidate_languages(["any text"], (NONE,)) == [{NONE: 0.0}]


def test_page_without_letters_is_in_no_language() -> None:
    assert candidate_languages(["12/05/2024", "", "3.14"]) == [{NONE: 0.0}] * 3


def test_text_has_the_sum_of_the_log_probs_of_its_characters() -> None:
    weights = IdentificationWeights(none_log_prob=-3.0, min_lm_log_prob=-6.0)
    models = [language_model_of(code) for code in ("pl", NONE, "fr", "pl")]
    for text in ("", "a", "Dziękuję 12 razy", "中文 très bien"):
        expected = [
            -3.0 * len(text) if m is None else sum(max(-6.0, m(START + text[:k], c)) for k, c in enumerate(text))
            for m in models
        ]
        assert log_likelihoods(text, models, weights) == pytest.approx(expected, abs=1e-6)
    assert log_likelihoods("abc", [None], weights) == [-9.0]


def test_language_of_a_page_is_that_of_most_characters() -> None:
    assert main_language([("en", "abc"), ("fr", "abcdef"), (None, "x" * 50)]) == "fr"
    assert main_language([(None, "abc")]) is None and main_language([]) is None


def test_unknown_language_names_the_ten() -> None:
    with pytest.raises(UserError, match="English") as caught:
        check_language("klingon")
    assert all(code in str(caught.value) and LANGUAGES[code].name in str(caught.value) for code in LANGUAGES)
    with pytest.raises(UserError, match='no language "xx"'):
        open_line_reader(language="xx")


def test_accented_letters_are_in_some_language() -> None:
    letters = "".join(language.letters for language in LANGUAGES.values())
    assert not set(ACCENTED_LETTERS) - set(letters) - {"Ÿ", "ÿ", "Ï"}
    assert all(len(set(language.characters)) == len(language.characters) for language in LANGUAGES.values())


def test_alphabets_that_suit_the_languages() -> None:
    assert has_accented_letters(Alphabet.from_name("latin")) and not any(
        has_accented_letters(Alphabet(characters)) for name, characters in ALPHABETS.items() if name != "latin"
    )


def hesitating(first: str, second: str, share: float) -> Posteriors:
    """Posteriors of `first`, with `share` of the probability for `second` where they differ."""
    alphabet = Alphabet("".join(sorted(set(first + second + " abcdefghijklmnopqrstuvwxyzéèöå"))))
    rows = np.full((2 * len(first), len(alphabet)), 1e-6)
    for k, (a, b) in enumerate(zip(first, second, strict=True)):
        rows[2 * k, alphabet.encode(a)[0]] = 1 - share if a != b else 1
        if a != b:
            rows[2 * k, alphabet.encode(b)[0]] = share
        rows[2 * k + 1, 0] = 1
    log_probs = np.log(rows / rows.sum(1, keepdims=True)).astype(np.float32)
    reader = LineReader()
    image = np.zeros((40, 8 * len(first)), np.uint8)
    normalized = reader._normalize([image])[0]
    greedy = GreedyDecoder()(log_probs, alphabet)
    return Posteriors(
        log_probs, alphabet, greedy, lambda text, decoder: reader._build_line(text, decoder, normalized, image)
    )


@pytest.mark.parametrize(
    ("seen", "meant", "language"),
    [("tres bien merci", "très bien merci", "fr"), ("das ist schon heute", "das ist schön heute", "de")],
)
def test_language_chooses_between_characters_that_were_seen(seen: str, meant: str, language: str) -> None:
    def read(posteriors: Posteriors, *languages: str) -> Line:
        return LineReader(decoder=BeamSearchDecoder(language_model_of("en")), languages=languages).decode(posteriors)

    posteriors = hesitating(seen, meant, 0.35)
    if language == "fr":
        assert read(posteriors, language).text == read(posteriors, *LANGUAGES).text == meant
        assert read(posteriors, *LANGUAGES).language == language
    assert read(posteriors, NONE).text == seen and read(posteriors, NONE).language == NONE
    certain = hesitating(seen, meant, 1e-4)  # not seen: no language gives it
    assert read(certain, language).text == seen
    assert read(posteriors, language).language == language


def test_reader_of_one_language_has_its_own_language_model() -> None:
    english = LineReader(decoder=BeamSearchDecoder(language_model_of("en")))
    line = english.decode(hesitating("the cot sat here", "the cat sat here", 0.4))
    assert (line.text, line.language) == ("the cat sat here", None)


def test_line_without_output_has_no_text_in_any_language() -> None:
    empty = replace(hesitating("a", "a", 0.1), log_probs=np.zeros((0, 1), np.float32), greedy=DecodedText("", 1.0, ()))
    reader = LineReader(decoder=BeamSearchDecoder(language_model_of("en")), languages=tuple(LANGUAGES))
    assert (reader.decode(empty).text, reader.decode(empty).language) == ("", NONE)


def test_canonical_lines_are_decoded_in_the_language_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of a set are no page: a French line beside German ones is read as French."""
    french, german = "il est deja tres tard ce soir", "das ist heute sehr gut"
    lines = {
        1: hesitating(french, "il est deja très tard ce soir", 0.35),
        2: hesitating(german, german, 0.1),
    }
    reader = LineReader(decoder=BeamSearchDecoder(language_model_of("en")), languages=tuple(LANGUAGES))

    def decode_all(self: LineReader, images: list[int], on_log_probs: Any = None) -> list[DecodedText]:
        for k, image in enumerate(images):
            on_log_probs(k, lines[image].log_probs, lines[image].alphabet)
        return [lines[image].greedy for image in images]

    monkeypatch.setattr(LineReader, "decode_all", decode_all)
    decoded = reader.decode_canonical([2, 1, 2])  # type: ignore[list-item]
    assert [text.text for text in decoded] == [german, "il est deja très tard ce soir", german]
