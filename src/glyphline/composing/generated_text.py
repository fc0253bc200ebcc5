"""Texts that prose lacks and forms, notes and signs are full of: numbers, dates, prices, names, codes, letters."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator

FIRST = [
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
LAST = [
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
STREETS = [
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
KINDS = ["St.", "Street", "Road", "Rd.", "Avenue", "Ave", "Lane", "Drive", "Square", "Way", "Court"]
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
THINGS = [
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
LABELS = [
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
SITES = ["mail", "post", "example", "office", "school", "library", "museum", "clinic", "garden", "quickbox"]


def _number(r: random.Random) -> str:
    whole = r.randrange(10 ** r.randint(1, 6))
    return r.choice(
        (f"{whole}", f"{whole:,}", f"{whole}.{r.randrange(100):02d}", f"-{whole}", f"{whole / 10:.1f}%", f"No. {whole}")
    )


def _digits(r: random.Random) -> str:
    return r.choice(("0123456789", "1234567890", "".join(r.choices(string.digits, k=r.randint(2, 12)))))


def _date(r: random.Random) -> str:
    day, month, year = r.randint(1, 28), r.randint(1, 12), r.randint(1890, 2035)
    name = MONTHS[month - 1]
    return r.choice(
        (
            f"{day}/{month}/{year}", f"{day:02d}.{month:02d}.{year % 100:02d}", f"{year}-{month:02d}-{day:02d}",
            f"{day} {name} {year}", f"{name} {day}, {year}", f"{name[:3]}. {day}", f"{r.choice(DAYS)}, {day} {name}",
        )
    )  # fmt: skip


def _time(r: random.Random) -> str:
    hour, minute = r.randrange(24), r.randrange(60)
    return r.choice((f"{hour}:{minute:02d}", f"{hour % 12 + 1} {r.choice(('am', 'pm', 'a.m.', 'p.m.'))}",
                     f"{hour:02d}:{minute:02d}-{(hour + 2) % 24:02d}:{minute:02d}", f"at {hour}:{minute:02d}"))  # fmt: skip


def _price(r: random.Random) -> str:
    amount = f"{r.randrange(1, 10 ** r.randint(1, 4))}{r.choice(('', '.99', '.50', f'.{r.randrange(100):02d}'))}"
    return r.choice(
        (f"${amount}", f"{amount} EUR", f"Total: ${amount}", f"{r.randint(2, 9)} x ${amount}", f"USD {amount}")
    )


def _phone(r: random.Random) -> str:
    d = "".join(r.choices(string.digits, k=11))
    return r.choice(
        (f"+{d[:2]} {d[2:5]} {d[5:8]} {d[8:]}", f"({d[:3]}) {d[3:6]}-{d[6:10]}", f"{d[:3]}-{d[3:7]}", f"Tel. {d[:8]}")
    )


def _name(r: random.Random) -> str:
    first, last = r.choice(FIRST), r.choice(LAST)
    return r.choice((f"{first} {last}", f"{last}, {first}", f"{first[0]}. {last}", f"{r.choice(('Mr.', 'Mrs.', 'Ms.', 'Dr.'))} {last}",
                     f"{first} {r.choice(string.ascii_uppercase)}. {last}", first, f"Dear {first},", f"From: {first} {last}"))  # fmt: skip


def _address(r: random.Random) -> str:
    street = f"{r.randint(1, 250)}{r.choice(('', '', 'a', 'B'))} {r.choice(STREETS)} {r.choice(KINDS)}"
    code = r.choice((f"{r.randrange(10**5):05d}", f"{r.choice('ABCEGLMNSW')}{r.randint(1, 20)} {r.randint(1, 9)}"
                     f"{''.join(r.choices('ABDEFGHJLNPQRSTUWXYZ', k=2))}"))  # fmt: skip
    return r.choice((street, f"{street}, {r.choice(TOWNS)}", f"{code} {r.choice(TOWNS)}", f"{r.choice(TOWNS)} {code}"))


def _email(r: random.Random) -> str:
    who = f"{r.choice(FIRST)}{r.choice(('.', '_', '-', ''))}{r.choice(LAST)}".lower().replace("_", "-")
    site = f"{r.choice(SITES)}.{r.choice(('com', 'org', 'net', 'edu', 'co.uk', 'de'))}"
    return r.choice(
        (f"{who}@{site}", f"{who}{r.randrange(100)}@{site}", f"www.{site}", f"https://{site}/{r.choice(THINGS)}")
    )


def _list(r: random.Random) -> str:
    things = r.sample(THINGS, r.randint(1, 4))
    return r.choice((", ".join(things), f"- {things[0]}", f"{r.randint(1, 12)}. {things[0]}", f"{r.randint(2, 12)} {things[0]}",
                     " & ".join(things[:2]), f"{things[0]}: {r.randint(1, 900)} g", f"* {' / '.join(things[:2])}"))  # fmt: skip


def _label(r: random.Random) -> str:
    value = r.choice((_name, _date, _number, _phone, _price, _digits))(r)
    return r.choice((f"{r.choice(LABELS)}: {value}", r.choice(LABELS), f"{r.choice(LABELS).upper()} {value}"))


def _measure(r: random.Random) -> str:
    return f"{r.randrange(1, 999)}{r.choice(('', '.5', f'.{r.randrange(10)}'))}{r.choice((' ', ''))}{r.choice(UNITS)}"


def _code(r: random.Random) -> str:
    letters = "".join(r.choices(string.ascii_uppercase, k=r.randint(1, 4)))
    return r.choice((f"{letters}-{r.randrange(10**4)}", f"{letters}{r.randrange(1000)}", f"#{r.randrange(10**5)}",
                     f"{r.randrange(100)}/{letters}", "".join(r.choices(string.ascii_uppercase + string.digits, k=r.randint(3, 9)))))  # fmt: skip


def _letters(r: random.Random) -> str:
    """Letters and digits on their own, as on charts, plates and exercises."""
    pool = r.choice(
        (
            string.ascii_uppercase,
            string.ascii_lowercase,
            string.ascii_letters,
            string.digits,
            string.ascii_letters + string.digits,
        )
    )
    start, count = r.randrange(len(pool)), r.randint(1, 18)
    run = (pool + pool)[start : start + count] if r.random() < 0.4 else "".join(r.choices(pool, k=count))
    return r.choice((" ", " ", "")).join(run)


def _alphabet(r: random.Random) -> str:
    """The alphabet or the digits one by one, or a part of them."""
    pool = r.choice((string.ascii_uppercase, string.ascii_uppercase, string.ascii_lowercase, string.digits))
    start = r.choice((0, 0, r.randrange(len(pool))))
    return " ".join((pool + pool)[start : start + r.randint(3, 26)])


def _sum(r: random.Random) -> str:
    a, b = r.randrange(100), r.randrange(1, 100)
    return r.choice((f"{a} + {b} = {a + b}", f"{a}-{b}={a - b}", f"{a} x {b}", f"{a}/{b}", f"({a}, {b})", f"{a}:{b}"))


def _words(r: random.Random) -> str:
    """A name, a thing or a town on its own or in a short run, in any case."""
    pools = (FIRST, LAST, TOWNS, THINGS, MONTHS, DAYS, STREETS)
    words = " ".join(r.choice(r.choice(pools)) for _ in range(r.randint(1, 3)))
    return r.choice((words, words.upper(), words.title(), words.lower()))


#: kind -> what writes one
GENERATED: dict[str, Callable[[random.Random], str]] = {
    "number": _number, "digits": _digits, "date": _date, "time": _time, "price": _price, "phone": _phone, "name": _name,
    "address": _address, "email": _email, "list": _list, "label": _label, "measure": _measure, "code": _code,
    "letters": _letters, "alphabet": _alphabet, "sum": _sum, "words": _words,
}  # fmt: skip


def generate(count: int, seed: int = 0) -> Iterator[str]:
    """`count` texts of all kinds in turn, always the same for a seed.

    >>> list(generate(3)) == list(generate(3))
    True
    """
    writers = list(GENERATED.values())
    for number in range(count):
        yield writers[number % len(writers)](random.Random(f"{seed}/{number}"))
