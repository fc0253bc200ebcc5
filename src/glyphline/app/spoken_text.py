"""Text of signs as people say it: numbers, times, prices, units, abbreviations, telephone numbers.

English, German, French, Spanish and Italian have a row in SPOKEN at the bottom. In other languages only telephone
numbers and words in capitals are rewritten; their voices say digits themselves. num2words gives the words of numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from glyphline.app.sentences import is_capitals

OPENING = re.compile(r"[(\[\"'“„«‹¿¡]*")
DASH = r"\s?[-–—]\s?"
NUMBER = r"\d{1,3}(?:[.,']\d{3})+(?![\d])|\d+[.,]\d+|\d+"
TIME = r"\d{1,2}(?:[:.]|\s?h\s?)[0-5]\d(?!\d)|\d{1,2}"
VOWEL = re.compile("[aeiouyáàâäãåæéèêëíìîïóòôöõøœúùûüąęýÿ]")
#: written in capitals and spelled, or known by voices in this form
ACRONYMS = frozenset("ATM EU EC IC ICE ID IRA OK TV UK UN US USA VIP DIY IBAN AED ABS AIDS BBC SUV UFO UEFA".split())
MAX_SPELLED = 4  # letters of a word in capitals that mixed text leaves to the voice


@dataclass(frozen=True)
class Segment:
    """Some words of a text, and how they are said."""

    text: str  # one or more words with the spaces between them
    spoken: str


@dataclass(frozen=True)
class Spoken:
    """How one language says what stands on signs.

    Pairs of words are the singular and the plural. A singular that ends with "~" is feminine.
    """

    code: str  # of num2words
    to: str  # between the two ends of a range
    point: str  # in a decimal
    minus: str
    one: tuple[str, str]  # the word for 1 before a masculine or neuter and before a feminine noun
    one_hour: str  # the word for 1 as a time
    whole_hour: tuple[str, str]  # templates of a time without minutes, for one o'clock and for later hours
    minutes: str  # template of a time with minutes
    hours_to: tuple[str, str]  # templates of a range: of whole hours, and of other times
    cents_join: str  # between the units and the cents of a price
    units: dict[str, tuple[str, str]]
    currencies: dict[str, tuple[str, str, str]]  # singular, plural, plural of the hundredth
    abbreviations: dict[str, str]  # in lower case, with their full stop if they need it
    days: dict[str, str]
    months: tuple[str, ...]
    hour_marks: str  # pattern of what may follow a time
    is_decimal_point: bool = False  # True: "." marks decimals and "," thousands

    def number(self, text: str) -> str:
        """The words of a number such as 1,204 or 2.50. Five digits and more, or a leading 0, are said one by one."""
        thousands, decimal = (",", ".") if self.is_decimal_point else (".", ",")
        if re.fullmatch(rf"\d{{1,3}}(?:[{thousands}']\d{{3}})+", text):
            return self._cardinal(int(re.sub(r"\D", "", text)))
        whole, separator, rest = text.replace(thousands, decimal).partition(decimal)
        if separator:
            return f"{self.number(whole)} {self.point} {self.digits(rest)}"
        if len(whole) > 4 or (len(whole) > 1 and whole[0] == "0"):
            return self.digits(whole)
        is_year = len(whole) == 4 and 1100 <= int(whole) <= 2099
        return self._cardinal(int(whole), "year" if is_year else "cardinal")

    def digits(self, text: str) -> str:
        """Every digit of a text as a word."""
        return " ".join(self._cardinal(int(digit)) for digit in text if digit.isdigit())

    def count(self, text: str, noun: tuple[str, str]) -> str:
        """A number and its noun: "one metre", "three metres"."""
        is_feminine = noun[0].endswith("~")
        if text == "1":
            return f"{self.one[is_feminine]} {noun[0].rstrip('~')}"
        words = self._cardinal(int(text)) if text.isdigit() else self.number(text)
        return f"{self._agree(words, is_feminine)} {noun[1]}"

    def time(self, text: str) -> str:
        """The words of a time such as 9, 9:30 or 9h30."""
        hour, minute = self._hour_and_minute(text)
        hour_word = self.hour(hour)
        if minute:
            minute_word = self._cardinal(minute)
            if minute < 10 and self.code == "en":
                minute_word = f"oh {minute_word}"
            return self.minutes.format(hour=hour_word, minute=minute_word)
        return self.whole_hour[hour != 1].format(hour=hour_word)

    def times(self, start: str, end: str) -> str:
        """The words of a range of times."""
        whole = all(self._hour_and_minute(text)[1] == 0 for text in (start, end))
        words = [self.hour(self._hour_and_minute(text)[0]) if whole else self.time(text) for text in (start, end)]
        words = [word.removeprefix("ore ") for word in words]  # Italian: "dalle nove alle dieci e trenta"
        return self.hours_to[not whole].format(*words)

    def hour(self, hour: int) -> str:
        """The word of an hour."""
        return self.one_hour if hour == 1 else self._agree(self._cardinal(hour), is_feminine=True)

    def day(self, day: int) -> str:
        """The day of a month: an ordinal in English and German, and for the first in French and Italian."""
        if self.code in ("en", "de"):
            return self._cardinal(day, "ordinal") + ("r" if self.code == "de" else "")
        return {"fr": "premier", "it": "primo"}.get(self.code, self._cardinal(1)) if day == 1 else self._cardinal(day)

    def price(self, text: str, symbol: str) -> str:
        """The words of a price such as 3.50."""
        singular, plural, hundredth = self.currencies[symbol.lower()]
        whole, _, cents = text.replace(",", ".").partition(".")
        if len(cents) == 2 and int(cents):
            if int(whole) == 0:
                return f"{self._cardinal(int(cents))} {hundredth}"
            return f"{self.count(whole, (singular, plural))}{self.cents_join}{self._cardinal(int(cents))}"
        return self.count(whole if not cents or int(cents) == 0 else text, (singular, plural))

    def _agree(self, words: str, is_feminine: bool) -> str:
        """A number above 1 in the gender of its noun: "veintiún metros", "vingt et une heures"."""
        if self.code == "es":
            masculine = "veintiún" if words.endswith("veintiuno") else None
            last = "una" if is_feminine else "un"
            return (
                re.sub("veintiuno$", masculine, words) if masculine and not is_feminine else re.sub("uno$", last, words)
            )
        return words + "e" if self.code == "fr" and is_feminine and words.endswith(" un") else words

    def _hour_and_minute(self, text: str) -> tuple[int, int]:
        numbers = [int(number) for number in re.findall(r"\d+", text)]
        return numbers[0], numbers[1] if len(numbers) > 1 else 0

    def _cardinal(self, number: int, kind: str = "cardinal") -> str:
        if find_spec("num2words") is None:
            return str(number)
        from num2words import num2words

        return str(num2words(number, lang=self.code, to=kind)).replace(",", "")


Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str | None]]


def segments(text: str, language: str) -> list[Segment]:
    """Divide a text at white space into segments, each with its spoken form.

    The texts of the segments, joined by spaces, are the text with single spaces.
    language: BCP 47 code; its region is left out of account.
    """
    text = " ".join(text.split())
    rules = _rules(language.partition("-")[0])
    capitals = is_capitals(text)
    result, start = [], 0
    while start < len(text):
        end, spoken = _say_next(text, start, rules, capitals)
        result.append(Segment(text[start:end], spoken))
        start = end + 1
    return result


def spoken_text(text: str, language: str) -> str:
    """The text as people say it.

    >>> spoken_text("Mon-Fri 9-17 h, £3.50", "en")
    'Monday to Friday nine to seventeen hours, three pounds fifty'
    """
    return " ".join(segment.spoken for segment in segments(text, language) if segment.spoken)


def _say_next(text: str, start: int, rules: list[Rule], capitals: bool) -> tuple[int, str]:
    """The end of the segment that starts at `start`, and its spoken form."""
    prefix = OPENING.match(text, start)
    first = prefix.end() if prefix else start
    for pattern, say in rules:
        match = pattern.match(text, first)
        if match is None or (match.end() < len(text) and text[match.end()].isalnum() and match[0][-1].isalnum()):
            continue
        said = say(match)
        if said is None:
            continue
        end = text.find(" ", match.end())
        end = len(text) if end < 0 else end
        rest = text[match.end() : end]
        if any(character.isalnum() for character in rest):
            punctuation = re.match(r"\W*", rest)
            skipped = punctuation.end() if punctuation else 0
            _, following = _say_next(text[:end], match.end() + skipped, rules, capitals)
            return end, f"{text[start:first]}{said} {following}"
        return end, text[start:first] + said + rest
    end = text.find(" ", start)
    end = len(text) if end < 0 else end
    return end, _lower_capitals(text[start:end], capitals)


def _lower_capitals(word: str, capitals: bool) -> str:
    """A word in capitals in lower case, so that voices do not spell it. Acronyms stay.

    capitals: whether the whole text is in capitals.
    """
    letters = re.sub(r"[\W_]", "", word)
    if not letters.isalpha() or not is_capitals(word) or letters in ACRONYMS or not VOWEL.search(letters.lower()):
        return word
    return word.lower() if capitals or len(letters) > MAX_SPELLED else word


@cache
def _rules(language: str) -> list[Rule]:
    """The rules of a language, in the order in which they are tried."""
    spoken = SPOKEN.get(language)
    telephone = re.compile(
        r"(?:\+\d|\(?0\d|\(\d{3}\))[\d ()/.-]*\d|\d{3}[-. ]\d{3}[-. ]\d{3,4}(?!\d)|\d{3}-\d{4}(?!\d)|\+?\d{7,}"
    )
    if spoken is None:
        return [(telephone, lambda match: _say_telephone(match[0], " ".join))]
    speaker = spoken  # for the closures
    sides, hour_marks = rf"({TIME})", speaker.hour_marks
    symbols = "|".join(re.escape(symbol) for symbol in speaker.currencies)
    units = "|".join(re.escape(unit) for unit in sorted(speaker.units, key=len, reverse=True))
    days = "|".join(sorted(speaker.days, key=len, reverse=True))
    short = sorted(speaker.abbreviations, key=len, reverse=True)
    abbreviations = "|".join(re.escape(key) for key in short)
    date = r"(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})"

    clock = r"[:h]" if speaker.is_decimal_point else r"[:h.]"  # what tells a time without a mark from a number

    def say_time_range(match: re.Match[str]) -> str | None:
        start, end = match[1], match[2]
        is_time = bool(match[3]) or all(re.search(clock, side) for side in (start, end))
        return speaker.times(start, end) if is_time and _is_time(start) and _is_time(end) else None

    def say_time(match: re.Match[str]) -> str | None:
        return speaker.time(match[1]) if _is_time(match[1]) else None

    def say_day(match: re.Match[str]) -> str | None:
        is_lower = speaker.code in ("en", "de") and match[1][0].islower()  # "on the sun"
        return None if is_lower else speaker.days[match[1].lower()]

    def say_days(match: re.Match[str]) -> str:
        return f"{speaker.days[match[1].lower()]} {speaker.to} {speaker.days[match[2].lower()]}"

    rules: list[tuple[str, Callable[[re.Match[str]], str | None]]] = [
        (date, lambda match: _say_date(speaker, match)),
        (telephone.pattern, lambda match: _say_telephone(match[0], lambda digits: speaker.digits("".join(digits)))),
        (rf"{sides}\s?({hour_marks})?{DASH}{sides}\s?({hour_marks})?(?!\w)", lambda m: _say_clock_range(speaker, m)),
        (rf"{sides}{DASH}{sides}(?:\s?({hour_marks})(?!\w))?", say_time_range),
        (rf"({TIME})\s?({hour_marks})(?!\w)", lambda match: _say_marked_time(speaker, match)),
        (rf"(?:ore\s)({TIME})(?!\w)", lambda match: f"ore {speaker.time(match[1]).removeprefix('ore ')}"),
        (rf"(\d{{1,2}}{clock}[0-5]\d)(?!\d|[.,]\d)", say_time),
        (rf"({symbols})\s?(\d+(?:[.,]\d+)?)", lambda match: speaker.price(match[2], match[1])),
        (rf"(\d+(?:[.,]\d+)?)\s?({symbols})(?!\w)", lambda match: speaker.price(match[1], match[2])),
        (rf"([-−]?)({NUMBER})\s?({units})(?!\w)", lambda match: _say_quantity(speaker, match)),
        (rf"({NUMBER}){DASH}({NUMBER})\s?({units})(?!\w)", lambda match: _say_quantities(speaker, match)),
        (rf"({days})\.?{DASH}({days})\.?(?!\w)", say_days),
        (rf"({days})(?:\.|(?=:|\s?\d|,?$))", say_day),
        (rf"({abbreviations})(?!\w)", lambda match: _say_abbreviation(speaker, match)),
        (r"(\w{3,})str\.", lambda match: f"{match[1]}straße" if speaker.code == "de" else None),
        (rf"({NUMBER}){DASH}({NUMBER})(?!\w)", lambda match: _say_range(speaker, match)),
        (r"([A-Z]{1,3})(\d{1,4})(?!\w)", lambda match: f"{match[1]} {speaker.number(match[2])}"),
        (rf"([-−]?)({NUMBER})(?![\w:/])", lambda match: _say_number(speaker, match)),
    ]
    return [(re.compile(pattern, re.IGNORECASE if k else 0), say) for k, (pattern, say) in enumerate(rules)]


def _is_time(text: str) -> bool:
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    return numbers[0] <= 24


def _say_date(speaker: Spoken, match: re.Match[str]) -> str | None:
    """Day, month, year. English leaves the order open, so it says the numbers unless one is above 12."""
    first, second, year = int(match[1]), int(match[2]), match[3]
    day, month = (second, first) if first <= 12 < second else (first, second)
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return None
    if speaker.code == "en" and day <= 12:
        return f"{speaker.number(str(first))} {speaker.number(str(second))} {speaker.number(year)}"
    of = " of " if speaker.code == "en" else " "
    return f"{speaker.day(day)}{of}{speaker.months[month - 1]} {speaker.number(year)}"


def _say_clock_range(speaker: Spoken, match: re.Match[str]) -> str | None:
    """A range whose ends both have a mark: 9am-5pm, 9h-18h."""
    if not (match[2] and match[4] and _is_time(match[1]) and _is_time(match[3])):
        return None
    halves = [_half_day(mark) for mark in (match[2], match[4])]
    if all(halves):
        sides = [_say_half_day(speaker, text, half) for text, half in zip((match[1], match[3]), halves, strict=True)]
        return f"{sides[0]} {speaker.to} {sides[1]}"
    return speaker.times(match[1], match[3])


def _half_day(mark: str) -> str:
    """ "A.M.", "P.M.", or an empty text for another mark."""
    letters = mark.lower().replace(".", "").replace(" ", "")
    return {"am": "A.M.", "pm": "P.M."}.get(letters, "")


def _say_half_day(speaker: Spoken, text: str, half: str) -> str:
    hour, *minutes = re.findall(r"\d+", text)
    words = speaker.hour(int(hour))
    if minutes and int(minutes[0]):
        words = speaker.time(text)
    return f"{words} {half}"


def _say_marked_time(speaker: Spoken, match: re.Match[str]) -> str | None:
    """A time with a mark: 9 am, 9.30 Uhr, 9 h. "24 h" is a number of hours."""
    if not _is_time(match[1]):
        return None
    if half := _half_day(match[2]):
        return _say_half_day(speaker, match[1], half)
    if match[2].lower().startswith("h") and match[1].isdigit() and "h" in speaker.units:
        return speaker.count(match[1], speaker.units["h"])
    return speaker.time(match[1])


def _say_quantity(speaker: Spoken, match: re.Match[str]) -> str:
    sign = f"{speaker.minus} " if match[1] else ""
    return sign + speaker.count(match[2], speaker.units[match[3].lower()])


def _say_quantities(speaker: Spoken, match: re.Match[str]) -> str:
    return f"{speaker.number(match[1])} {speaker.to} {speaker.count(match[2], speaker.units[match[3].lower()])}"


def _say_range(speaker: Spoken, match: re.Match[str]) -> str:
    return f"{speaker.number(match[1])} {speaker.to} {speaker.number(match[2])}"


def _say_number(speaker: Spoken, match: re.Match[str]) -> str:
    return (f"{speaker.minus} " if match[1] else "") + speaker.number(match[2])


def _say_telephone(text: str, say_digits: Callable[[list[str]], str]) -> str | None:
    """Digit by digit, with a pause between the groups. None for fewer than seven digits."""
    if sum(character.isdigit() for character in text) < 7:
        return None
    plus = "+ " if text.startswith("+") else ""
    return plus + ", ".join(say_digits(list(group)) for group in re.findall(r"\d+", text))


def _say_abbreviation(speaker: Spoken, match: re.Match[str]) -> str | None:
    """An abbreviation in full; "St." and "Dr." are a title before a name, and a road after one."""
    key, before, after = match[1].lower(), match.string[: match.start()], match.string[match.end() :]
    if key == "no" and not re.match(r"\.?\s?\d", after):
        return None
    word = speaker.abbreviations[key]
    if "/" in word:
        road, title = word.split("/")
        is_after_name = bool(re.search(r"[A-Z][\w'’]*\.? $", before)) or not re.match(r"\s[A-Z]", after)
        word = road if is_after_name else title
    return word


def _pairs(text: str) -> dict[str, tuple[str, str]]:
    """ "m metre metres, ..." -> {"m": ("metre", "metres")}; words are joined by "_"."""
    rows = [[word.replace("_", " ") for word in row.split()] for row in text.split(",")]
    return {key: (singular, plural) for key, singular, plural in rows}


def _triples(text: str) -> dict[str, tuple[str, str, str]]:
    rows = [[word.replace("_", " ") for word in row.split()] for row in text.split(",")]
    return {key: (singular, plural, hundredth) for key, singular, plural, hundredth in rows}


def _words(text: str) -> dict[str, str]:
    rows = [row.split() for row in text.split(",")]
    return {key: word.replace("_", " ") for key, word in rows}


SPOKEN = {
    "en": Spoken(
        "en", "to", "point", "minus", ("one", "one"), "one", ("{hour} o'clock", "{hour} o'clock"), "{hour} {minute}",
        ("{} to {} hours", "{} to {}"), " ",
        _pairs(
            "km/h kilometre_per_hour kilometres_per_hour, km/t kilometre_per_hour kilometres_per_hour, "
            "mph mile_per_hour miles_per_hour, km kilometre kilometres, cm centimetre centimetres, "
            "mm millimetre millimetres, m metre metres, ft foot feet, mi mile miles, yds yard yards, "
            "kg kilogram kilograms, mg milligram milligrams, g gram grams, lbs pound pounds, lb pound pounds, "
            "oz ounce ounces, t ton tons, ml millilitre millilitres, l litre litres, "
            "°c degree_Celsius degrees_Celsius, °f degree_Fahrenheit degrees_Fahrenheit, "
            "° degree degrees, % per_cent per_cent, h hour hours, "
            "hrs hour hours, hr hour hours, min minute minutes, mins minute minutes, sec second seconds, "
            "v volt volts, kv kilovolt kilovolts, w watt watts, kw kilowatt kilowatts, m² square_metre square_metres"
        ),
        _triples(
            "£ pound pounds pence, € euro euros cents, $ dollar dollars cents, ¥ yen yen sen, p penny pence pence, "
            "gbp pound pounds pence, eur euro euros cents, usd dollar dollars cents, ¢ cent cents cents"
        ),
        _words(
            "hrs hours, hr hour, no. number, no number, nos. numbers, nr number, st. Street/Saint, dr. Drive/Doctor, "
            "ave. Avenue, rd. Road, blvd. Boulevard, ln. Lane, sq. Square, hwy Highway, apt. apartment, fl. floor, "
            "mr. Mister, mrs. Missis, ms. Miss, tel. telephone, ext. extension, max. maximum, min. minimum, "
            "approx. approximately, incl. including, excl. excluding, dept. department, govt. government, "
            "etc. et_cetera, e.g. for_example, i.e. that_is, vs. versus, & and, a.m. A.M., p.m. P.M., bldg. building, "
            "jct. junction, jct junction, pkwy Parkway, mt. Mount, ft. Fort, asap as_soon_as_possible"
        ),
        _words(
            "mon Monday, tue Tuesday, tues Tuesday, wed Wednesday, thu Thursday, thur Thursday, thurs Thursday, "
            "fri Friday, sat Saturday, sun Sunday"
        ),
        tuple("January February March April May June July August September October November December".split()),
        r"[ap]\.?\s?m\.?|hours|hrs|hr|h", True,
    ),
    "de": Spoken(
        "de", "bis", "Komma", "minus", ("ein", "eine"), "ein", ("{hour} Uhr", "{hour} Uhr"), "{hour} Uhr {minute}",
        ("{} bis {} Uhr", "{} bis {}"), " ",
        _pairs(
            "km/h Kilometer_pro_Stunde Kilometer_pro_Stunde, km Kilometer Kilometer, cm Zentimeter Zentimeter, "
            "mm Millimeter Millimeter, m Meter Meter, kg Kilogramm Kilogramm, mg Milligramm Milligramm, g Gramm Gramm, "
            "t Tonne~ Tonnen, ml Milliliter Milliliter, l Liter Liter, °c Grad_Celsius Grad_Celsius, ° Grad Grad, "
            "% Prozent Prozent, h Stunde~ Stunden, std. Stunde~ Stunden, std Stunde~ Stunden, min. Minute~ Minuten, "
            "min Minute~ Minuten, sek. Sekunde~ Sekunden, v Volt Volt, kv Kilovolt Kilovolt, w Watt Watt, "
            "kw Kilowatt Kilowatt, m² Quadratmeter Quadratmeter"
        ),
        _triples(
            "€ Euro Euro Cent, £ Pfund Pfund Pence, $ Dollar Dollar Cent, chf Franken Franken Rappen, "
            "fr. Franken Franken Rappen, eur Euro Euro Cent"
        ),
        _words(
            "nr. Nummer, nr Nummer, str. Straße, tel. Telefon, max. maximal, min. mindestens, ca. zirka, "
            "bzw. beziehungsweise, z.b. zum_Beispiel, d.h. das_heißt, u.a. unter_anderem, usw. und_so_weiter, "
            "inkl. inklusive, exkl. exklusive, zzgl. zuzüglich, st. Sankt, dr. Doktor, hr. Herr, fr. Frau, "
            "pl. Platz, etg. Etage, og Obergeschoss, eg Erdgeschoss, ug Untergeschoss, std. Stunden, tägl. täglich, "
            "mo. Montag, di. Dienstag, mi. Mittwoch, do. Donnerstag, sa. Samstag, so. Sonntag, & und, lkw L_K_W, "
            "pkw P_K_W, hbf Hauptbahnhof, hbf. Hauptbahnhof, bhf Bahnhof, bhf. Bahnhof, abs. Absatz"
        ),
        _words("mo Montag, di Dienstag, mi Mittwoch, do Donnerstag, fr Freitag, sa Samstag, so Sonntag"),
        tuple("Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()),
        r"Uhr|h",
    ),
    "fr": Spoken(
        "fr", "à", "virgule", "moins", ("un", "une"), "une", ("{hour} heure", "{hour} heures"),
        "{hour} heures {minute}", ("{} heures à {} heures", "{} à {}"), " ",
        _pairs(
            "km/h kilomètre_heure kilomètres_heure, km kilomètre kilomètres, cm centimètre centimètres, "
            "mm millimètre millimètres, m mètre mètres, kg kilogramme kilogrammes, mg milligramme milligrammes, "
            "g gramme grammes, t tonne~ tonnes, ml millilitre millilitres, l litre litres, "
            "°c degré_Celsius degrés_Celsius, ° degré degrés, % pour_cent pour_cent, min minute~ minutes, "
            "mn minute~ minutes, v volt volts, kv kilovolt kilovolts, w watt watts, kw kilowatt kilowatts, "
            "m² mètre_carré mètres_carrés"
        ),
        _triples("€ euro euros centimes, £ livre~ livres pence, $ dollar dollars cents, chf franc francs centimes"),
        _words(
            "n° numéro, nº numéro, no. numéro, no numéro, tél. téléphone, tel. téléphone, av. avenue, bd boulevard, "
            "bd. boulevard, pl. place, rte route, m. monsieur, mme madame, mlle mademoiselle, dr docteur, st saint, "
            "st. saint, ste sainte, max. maximum, min. minimum, env. environ, etc. et_cetera, ex. exemple, & et, "
            "rdc rez-de-chaussée, svp s'il_vous_plaît, s.v.p. s'il_vous_plaît, tlj tous_les_jours, ét. étage"
        ),
        _words("lun lundi, mar mardi, mer mercredi, jeu jeudi, ven vendredi, sam samedi, dim dimanche"),
        tuple("janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split()),
        r"heures|heure|h",
    ),
    "es": Spoken(
        "es", "a", "coma", "menos", ("un", "una"), "una", ("{hour} hora", "{hour} horas"), "{hour} y {minute}",
        ("{} a {} horas", "{} a {}"), " con ",
        _pairs(
            "km/h kilómetro_por_hora kilómetros_por_hora, km kilómetro kilómetros, cm centímetro centímetros, "
            "mm milímetro milímetros, m metro metros, kg kilogramo kilogramos, mg miligramo miligramos, "
            "g gramo gramos, t tonelada~ toneladas, ml mililitro mililitros, l litro litros, "
            "°c grado_Celsius grados_Celsius, ° grado grados, % por_ciento por_ciento, h hora~ horas, "
            "min minuto minutos, v voltio voltios, kv kilovoltio kilovoltios, w vatio vatios, kw kilovatio kilovatios, "
            "m² metro_cuadrado metros_cuadrados"
        ),
        _triples("€ euro euros céntimos, £ libra~ libras peniques, $ dólar dólares centavos"),
        _words(
            "n.º número, nº número, n° número, núm. número, no. número, tel. teléfono, tfno. teléfono, avda. avenida, "
            "av. avenida, c/ calle, pza. plaza, ctra. carretera, sr. señor, sra. señora, dr. doctor, dra. doctora, "
            "sta. santa, máx. máximo, mín. mínimo, max. máximo, aprox. aproximadamente, etc. etcétera, "
            "p.ej. por_ejemplo, ud. usted, uds. ustedes, hrs. horas, hrs horas, hs horas, & y, pta. puerta, "
            "dcha. derecha, izda. izquierda, ee.uu. Estados_Unidos"
        ),
        _words(
            "lun lunes, mar martes, mié miércoles, mie miércoles, jue jueves, vie viernes, sáb sábado, sab sábado, "
            "dom domingo"
        ),
        tuple("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()),
        r"horas|hrs\.?|hs|h\.?",
    ),
    "it": Spoken(
        "it", "a", "virgola", "meno", ("un", "una"), "una", ("ore {hour}", "ore {hour}"), "{hour} e {minute}",
        ("dalle {} alle {}", "dalle {} alle {}"), " e ",
        _pairs(
            "km/h chilometro_orario chilometri_orari, km chilometro chilometri, cm centimetro centimetri, "
            "mm millimetro millimetri, m metro metri, kg chilogrammo chilogrammi, mg milligrammo milligrammi, "
            "g grammo grammi, t tonnellata~ tonnellate, ml millilitro millilitri, l litro litri, "
            "°c grado_Celsius gradi_Celsius, ° grado gradi, % per_cento per_cento, h ora~ ore, min minuto minuti, "
            "v volt volt, kv kilovolt kilovolt, w watt watt, kw kilowatt kilowatt, m² metro_quadrato metri_quadrati"
        ),
        _triples("€ euro euro centesimi, £ sterlina~ sterline penny, $ dollaro dollari centesimi"),
        _words(
            "n. numero, n° numero, nº numero, nr. numero, tel. telefono, p.zza piazza, p.za piazza, c.so corso, "
            "v.le viale, v. via, sig. signor, sig.ra signora, dott. dottor, dott.ssa dottoressa, s. san, max. massimo, "
            "min. minimo, ca. circa, ecc. eccetera, es. esempio, & e, ss. strada_statale"
        ),
        _words("lun lunedì, mar martedì, mer mercoledì, gio giovedì, ven venerdì, sab sabato, dom domenica"),
        tuple("gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre".split()),
        r"ore|h",
    ),
}  # fmt: skip
