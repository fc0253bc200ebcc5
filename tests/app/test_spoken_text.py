"""Tests of how the text of signs is said."""

from __future__ import annotations

import pytest

from glyphline.app.spoken_text import SPOKEN, segments, spoken_text

pytest.importorskip("num2words")
EXAMPLES = {
    "en": {
        "Mon-Fri 9-17 h": "Monday to Friday nine to seventeen hours",
        "Open 9am-5pm": "Open nine A.M. to five P.M.",
        "HRS": "hours",
        "St. Mary's, 12 Main St.": "Saint Mary's, twelve Main Street",
        "Dr. Smith, Oak Dr.": "Doctor Smith, Oak Drive",
        "No. 5": "number five",
        "No dogs.": "No dogs.",
        "Max. 30 km/h": "maximum thirty kilometres per hour",
        "-5 °C": "minus five degrees Celsius",
        "Tel. 020 7946 0958": "telephone zero two zero, seven nine four six, zero nine five eight",
        "call 555-0123": "call five five five, zero one two three",
        "£3.50": "three pounds fifty",
        "£0.50 or 50p": "fifty pence or fifty pence",
        "Open 24 hrs": "Open twenty-four hours",
        "9:05": "nine oh five",
        "17:00-18:15": "seventeen o'clock to eighteen fifteen",
        "1,000 m": "one thousand metres",
        "3.5 kg": "three point five kilograms",
        "25/12/2024": "twenty-fifth of December twenty twenty-four",
        "M25, Gate B12": "M twenty-five, Gate B twelve",
        "EMERGENCY EXIT": "emergency exit",
        "ATM": "ATM",
        "sat in the sun": "sat in the sun",
        "Sun: closed": "Sunday: closed",
        "(No. 7)": "(number seven)",
        "20% off": "twenty per cent off",
    },
    "de": {
        "Mo-Fr 9-17 Uhr": "Montag bis Freitag neun bis siebzehn Uhr",
        "9.30 Uhr": "neun Uhr dreißig",
        "3,50 €": "drei Euro fünfzig",
        "1 €": "ein Euro",
        "Hauptstr. 5": "Hauptstraße fünf",
        "Nr. 21": "Nummer einundzwanzig",
        "24 h": "vierundzwanzig Stunden",
        "1 min": "eine Minute",
        "1.500 m": "eintausendfünfhundert Meter",
        "3.10.2024": "dritter Oktober zweitausendvierundzwanzig",
        "So ein Hund": "So ein Hund",
    },
    "fr": {
        "9h-18h": "neuf heures à dix-huit heures",
        "9h30": "neuf heures trente",
        "21 h": "vingt et une heures",
        "3,50 €": "trois euros cinquante",
        "n° 5": "numéro cinq",
        "av. Foch": "avenue Foch",
        "1/5/2024": "premier mai deux mille vingt-quatre",
    },
    "es": {
        "9-17 h": "nueve a diecisiete horas",
        "3,50 €": "tres euros con cincuenta",
        "21 m": "veintiún metros",
        "nº 5": "número cinco",
        "Avda. de la Paz": "avenida de la Paz",
        "Tel. 912 345 678": "teléfono nueve uno dos, tres cuatro cinco, seis siete ocho",
    },
    "it": {
        "9.00-17.30": "dalle nove alle diciassette e trenta",
        "ore 9.30": "ore nove e trenta",
        "3,50 €": "tre euro e cinquanta",
        "n. 5": "numero cinque",
        "1 km": "un chilometro",
        "1 £": "una sterlina",
    },
    "nl": {"9-17 uur": "9-17 uur", "020 123 4567": "0 2 0, 1 2 3, 4 5 6 7", "NOODUITGANG": "nooduitgang"},
}


@pytest.mark.parametrize(("language", "text"), [(code, text) for code, texts in EXAMPLES.items() for text in texts])
def test_examples(language: str, text: str) -> None:
    assert spoken_text(text, language) == EXAMPLES[language][text]
    assert spoken_text(text, language + "-XX") == EXAMPLES[language][text]


@pytest.mark.parametrize("language", [*SPOKEN, "nl", "ja"])
def test_segments_are_the_words_of_the_text(language: str) -> None:
    texts = [text for texts in EXAMPLES.values() for text in texts]
    for text in [
        *texts,
        " ".join(texts),
        "",
        "  ",
        "9-",
        "-",
        "(",
        "£",
        "24:99-77 h",
        "99999-99999",
        "£1.999,9",
        "7/24",
    ]:
        found = segments(text, language)
        assert " ".join(segment.text for segment in found) == " ".join(text.split())
        assert all(segment.spoken.strip() for segment in found)


def test_without_num2words_digits_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glyphline.app.spoken_text.find_spec", lambda name: None)
    assert spoken_text("Mon-Fri 9-17 h", "en") == "Monday to Friday 9 to 17 hours"


def test_tables_have_seven_days_and_twelve_months() -> None:
    for spoken in SPOKEN.values():
        assert len(set(spoken.days.values())) == 7 and len(spoken.months) == 12
