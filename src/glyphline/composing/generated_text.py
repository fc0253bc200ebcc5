"""Generated texts of the kinds that forms, notes and signs contain and prose lacks: numbers, dates, names, codes."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator

FIRST_NAMES = [
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Elena",
    "Felix",
    "Grace",
    "Hugo",
    "Ines",
    "Jack",
    "Kofi",
    "Laura",
    "Maria",
    "Noah",
    "Olga",
    "Paul",
    "Quinn",
    "Rosa",
    "Sam",
    "Tara",
    "Uma",
    "Victor",
    "Wendy",
    "Xavier",
    "Yusuf",
    "Zoe",
    "Aisha",
    "Boris",
    "Chloe",
    "Dmitri",
    "Emma",
    "Fatima",
    "George",
    "Hana",
    "Ivan",
    "Julia",
    "Karl",
    "Lucy",
    "Mohamed",
    "Nina",
    "Oscar",
    "Petra",
    "Rita",
    "Simon",
    "Thomas",
    "Ursula",
    "Vera",
    "Walter",
    "Ximena",
    "Yara",
    "Zane",
]
LAST_NAMES = [
    "Adams",
    "Baker",
    "Clark",
    "Diaz",
    "Evans",
    "Fischer",
    "Garcia",
    "Hughes",
    "Ito",
    "Jones",
    "Kim",
    "Lopez",
    "Miller",
    "Nguyen",
    "Okafor",
    "Patel",
    "Quist",
    "Rossi",
    "Smith",
    "Taylor",
    "Usman",
    "Vogel",
    "Walker",
    "Xu",
    "Young",
    "Zimmer",
    "Brown",
    "Cohen",
    "Dubois",
    "Eriksen",
    "Ferrari",
    "Green",
    "Hansen",
    "Ivanov",
    "Jensen",
    "Khan",
    "Lewis",
    "Moreau",
    "Novak",
    "Olsen",
    "Petrov",
    "Reed",
    "Singh",
    "Turner",
    "Weber",
    "Ziegler",
]
STREET_NAMES = [
    "Station",
    "High",
    "Church",
    "Mill",
    "Park",
    "Victoria",
    "Green",
    "Queen",
    "King",
    "North",
    "Bridge",
    "School",
    "Oak",
    "Elm",
    "Lake",
    "Hill",
    "River",
    "Garden",
]
STREET_TYPES = ["St.", "Street", "Road", "Rd.", "Avenue", "Ave", "Lane", "Drive", "Square", "Way", "Court"]
TOWNS = [
    "Amsterdam",
    "Boston",
    "Cairo",
    "Dublin",
    "Exeter",
    "Florence",
    "Geneva",
    "Hamburg",
    "Istanbul",
    "Jakarta",
    "Kyoto",
    "London",
    "Madrid",
    "Naples",
    "Oslo",
    "Paris",
    "Quebec",
    "Rome",
    "Seoul",
    "Tokyo",
    "Utrecht",
    "Vienna",
    "Warsaw",
    "York",
    "Zurich",
    "Jaffa",
    "Lima",
    "Fez",
]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
GOODS = [
    "milk",
    "bread",
    "eggs",
    "butter",
    "rice",
    "tea",
    "coffee",
    "sugar",
    "apples",
    "pears",
    "onions",
    "soap",
    "paper",
    "pens",
    "glue",
    "nails",
    "screws",
    "batteries",
    "cheese",
    "flour",
    "salt",
    "honey",
    "lemons",
    "jam",
    "olives",
    "fish",
    "yoghurt",
    "carrots",
    "stamps",
    "envelopes",
    "keys",
    "oats",
    "quinoa",
    "figs",
    "juice",
]
FIELD_LABELS = [
    "Name",
    "Date",
    "Address",
    "Phone",
    "Tel",
    "Email",
    "Age",
    "Total",
    "Ref",
    "No.",
    "Signed",
    "Town",
    "Zip",
    "City",
    "Order",
    "Invoice",
    "Room",
    "Qty",
    "Price",
    "Note",
]
UNITS = [
    "kg",
    "g",
    "mg",
    "km",
    "m",
    "cm",
    "mm",
    "l",
    "ml",
    "h",
    "min",
    "s",
    "mph",
    "kWh",
    "W",
    "V",
    "A",
    "C",
    "F",
    "%",
    "lb",
    "oz",
    "ft",
    "in",
    "GB",
    "MB",
    "Hz",
    "dB",
]
DOMAIN_NAMES = ["mail", "post", "example", "office", "school", "library", "museum", "clinic", "garden", "quickbox"]


def _generate_number(rng: random.Random) -> str:
    whole = rng.randrange(10 ** rng.randint(1, 6))
    return rng.choice(
        (
            f"{whole}",
            f"{whole:,}",
            f"{whole}.{rng.randrange(100):02d}",
            f"-{whole}",
            f"{whole / 10:.1f}%",
            f"No. {whole}",
        )
    )


def _generate_digits(rng: random.Random) -> str:
    return rng.choice(("0123456789", "1234567890", "".join(rng.choices(string.digits, k=rng.randint(2, 12)))))


def _generate_date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1890, 2035)
    name = MONTHS[month - 1]
    return rng.choice(
        (
            f"{day}/{month}/{year}", f"{day:02d}.{month:02d}.{year % 100:02d}", f"{year}-{month:02d}-{day:02d}",
            f"{day} {name} {year}", f"{name} {day}, {year}", f"{name[:3]}. {day}", f"{rng.choice(DAYS)}, {day} {name}",
        )
    )  # fmt: skip


def _generate_time(rng: random.Random) -> str:
    hour, minute = rng.randrange(24), rng.randrange(60)
    return rng.choice((f"{hour}:{minute:02d}", f"{hour % 12 + 1} {rng.choice(('am', 'pm', 'a.m.', 'p.m.'))}",
                       f"{hour:02d}:{minute:02d}-{(hour + 2) % 24:02d}:{minute:02d}", f"at {hour}:{minute:02d}"))  # fmt: skip


def _generate_price(rng: random.Random) -> str:
    amount = (
        f"{rng.randrange(1, 10 ** rng.randint(1, 4))}{rng.choice(('', '.99', '.50', f'.{rng.randrange(100):02d}'))}"
    )
    return rng.choice(
        (f"${amount}", f"{amount} EUR", f"Total: ${amount}", f"{rng.randint(2, 9)} x ${amount}", f"USD {amount}")
    )


def _generate_phone_number(rng: random.Random) -> str:
    digits = "".join(rng.choices(string.digits, k=11))
    return rng.choice(
        (
            f"+{digits[:2]} {digits[2:5]} {digits[5:8]} {digits[8:]}",
            f"({digits[:3]}) {digits[3:6]}-{digits[6:10]}",
            f"{digits[:3]}-{digits[3:7]}",
            f"Tel. {digits[:8]}",
        )
    )


def _generate_name(rng: random.Random) -> str:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    return rng.choice((f"{first} {last}", f"{last}, {first}", f"{first[0]}. {last}", f"{rng.choice(('Mr.', 'Mrs.', 'Ms.', 'Dr.'))} {last}",
                       f"{first} {rng.choice(string.ascii_uppercase)}. {last}", first, f"Dear {first},", f"From: {first} {last}"))  # fmt: skip


def _generate_address(rng: random.Random) -> str:
    street = (
        f"{rng.randint(1, 250)}{rng.choice(('', '', 'a', 'B'))} {rng.choice(STREET_NAMES)} {rng.choice(STREET_TYPES)}"
    )
    code = rng.choice((f"{rng.randrange(10**5):05d}", f"{rng.choice('ABCEGLMNSW')}{rng.randint(1, 20)} {rng.randint(1, 9)}"
                       f"{''.join(rng.choices('ABDEFGHJLNPQRSTUWXYZ', k=2))}"))  # fmt: skip
    return rng.choice(
        (street, f"{street}, {rng.choice(TOWNS)}", f"{code} {rng.choice(TOWNS)}", f"{rng.choice(TOWNS)} {code}")
    )


def _generate_web_address(rng: random.Random) -> str:
    user = f"{rng.choice(FIRST_NAMES)}{rng.choice(('.', '_', '-', ''))}{rng.choice(LAST_NAMES)}".lower().replace(
        "_", "-"
    )
    domain = f"{rng.choice(DOMAIN_NAMES)}.{rng.choice(('com', 'org', 'net', 'edu', 'co.uk', 'de'))}"
    return rng.choice(
        (
            f"{user}@{domain}",
            f"{user}{rng.randrange(100)}@{domain}",
            f"www.{domain}",
            f"https://{domain}/{rng.choice(GOODS)}",
        )
    )


def _generate_list(rng: random.Random) -> str:
    items = rng.sample(GOODS, rng.randint(1, 4))
    return rng.choice((", ".join(items), f"- {items[0]}", f"{rng.randint(1, 12)}. {items[0]}", f"{rng.randint(2, 12)} {items[0]}",
                       " & ".join(items[:2]), f"{items[0]}: {rng.randint(1, 900)} g", f"* {' / '.join(items[:2])}"))  # fmt: skip


def _generate_labelled_field(rng: random.Random) -> str:
    generate_value = rng.choice(
        (
            _generate_name,
            _generate_date,
            _generate_number,
            _generate_phone_number,
            _generate_price,
            _generate_digits,
        )
    )
    value = generate_value(rng)
    return rng.choice(
        (
            f"{rng.choice(FIELD_LABELS)}: {value}",
            rng.choice(FIELD_LABELS),
            f"{rng.choice(FIELD_LABELS).upper()} {value}",
        )
    )


def _generate_measurement(rng: random.Random) -> str:
    return f"{rng.randrange(1, 999)}{rng.choice(('', '.5', f'.{rng.randrange(10)}'))}{rng.choice((' ', ''))}{rng.choice(UNITS)}"


def _generate_code(rng: random.Random) -> str:
    letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(1, 4)))
    return rng.choice((f"{letters}-{rng.randrange(10**4)}", f"{letters}{rng.randrange(1000)}", f"#{rng.randrange(10**5)}",
                       f"{rng.randrange(100)}/{letters}", "".join(rng.choices(string.ascii_uppercase + string.digits, k=rng.randint(3, 9)))))  # fmt: skip


def _generate_characters(rng: random.Random) -> str:
    """Letters or digits that form no word, as on charts, plates and exercises; with or without spaces between."""
    pool = rng.choice(
        (
            string.ascii_uppercase,
            string.ascii_lowercase,
            string.ascii_letters,
            string.digits,
            string.ascii_letters + string.digits,
        )
    )
    start, count = rng.randrange(len(pool)), rng.randint(1, 18)
    characters = (pool + pool)[start : start + count] if rng.random() < 0.4 else "".join(rng.choices(pool, k=count))
    return rng.choice((" ", " ", "")).join(characters)


def _generate_alphabet(rng: random.Random) -> str:
    """A section of the alphabet or of the digits, in order and with spaces between."""
    pool = rng.choice((string.ascii_uppercase, string.ascii_uppercase, string.ascii_lowercase, string.digits))
    start = rng.choice((0, 0, rng.randrange(len(pool))))
    return " ".join((pool + pool)[start : start + rng.randint(3, 26)])


def _generate_arithmetic(rng: random.Random) -> str:
    a, b = rng.randrange(100), rng.randrange(1, 100)
    return rng.choice((f"{a} + {b} = {a + b}", f"{a}-{b}={a - b}", f"{a} x {b}", f"{a}/{b}", f"({a}, {b})", f"{a}:{b}"))


def _generate_words(rng: random.Random) -> str:
    """One to three names, places, goods, months or days, in lower, upper, title or mixed case."""
    pools = (FIRST_NAMES, LAST_NAMES, TOWNS, GOODS, MONTHS, DAYS, STREET_NAMES)
    words = " ".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, 3)))
    return rng.choice((words, words.upper(), words.title(), words.lower()))


#: kind of text -> the function that generates one text of it
GENERATORS: dict[str, Callable[[random.Random], str]] = {
    "number": _generate_number,
    "digits": _generate_digits,
    "date": _generate_date,
    "time": _generate_time,
    "price": _generate_price,
    "phone": _generate_phone_number,
    "name": _generate_name,
    "address": _generate_address,
    "email": _generate_web_address,
    "list": _generate_list,
    "label": _generate_labelled_field,
    "measure": _generate_measurement,
    "code": _generate_code,
    "letters": _generate_characters,
    "alphabet": _generate_alphabet,
    "sum": _generate_arithmetic,
    "words": _generate_words,
}


def generate(count: int, seed: int = 0) -> Iterator[str]:
    """Generate `count` texts, ASCII and one line each; the kinds of GENERATORS take turns.

    Text i is a function of `seed` and i, so that a longer series begins with the shorter one.

    >>> list(generate(3)) == list(generate(3))
    True
    """
    generators = list(GENERATORS.values())
    for i in range(count):
        yield generators[i % len(generators)](random.Random(f"{seed}/{i}"))
