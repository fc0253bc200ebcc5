"""Generated texts with the accented letters and the signs of ten languages, which are rare in prose."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

#: language -> its consonants and its vowels; letters of the language alone stand twice, so that they are frequent
SYLLABLES: dict[str, tuple[str, str]] = {
    "fr": ("bcdfglmnprstvçjqh", "aeiouéèêëàâîïôùûüœæyÿéèê"),
    "de": ("bdfghklmnrstwzßß", "aeiouäöüäöü"),
    "es": ("bcdflmnprstvñññ", "aeiouáéíóúü"),
    "nl": ("bdghklmnrstvwz", "aeioueëïóéij"),
    "it": ("bcdfglmnprstvz", "aeiouàèéìòù"),
    "pl": ("bcdgklmnprstwzćłńśźżćłńśźż", "aeioyąęóąęó"),
    "pt": ("bcdflmnprstvçç", "aeiouãõáâàéêíóôú"),
    "da": ("bdfgklmnprstv", "aeiouyæøåæøå"),
    "en": ("bcdfghklmnprstvw", "aeiouy"),
}
#: opening and closing quotation marks
QUOTES = tuple(zip("“‘„„»«\"'‘", "”’“”«»\"'’", strict=True))
WORDS = (
    "open", "stop", "exit", "total", "room", "menu", "file", "note", "left", "right",
    "type", "name", "page", "line", "code", "size", "send", "copy", "edit",
)  # fmt: skip


def _word(rng: random.Random) -> str:
    """A pseudo-word of one to four syllables in the letters of one language, in lower, title or upper case."""
    consonants, vowels = SYLLABLES[rng.choice(tuple(SYLLABLES))]
    word = "".join(
        rng.choice(consonants) * (rng.random() < 0.85)
        + rng.choice(vowels)
        + rng.choice(consonants) * (rng.random() < 0.3)
        for _ in range(rng.randint(1, 4))
    )
    case = rng.random()
    if case < 0.35:
        return "".join(c if c == "ß" else c.upper() for c in word)
    return word[0].upper() + word[1:] if case < 0.6 and word[0] != "ß" else word


def _phrase(rng: random.Random, longest: int = 4) -> str:
    return " ".join(_word(rng) for _ in range(rng.randint(1, longest)))


def _words(rng: random.Random) -> str:
    return _phrase(rng, 6) + rng.choice(("", "", ".", "!", "?", "…", ":"))


def _quoted(rng: random.Random) -> str:
    opening, closing = rng.choice(QUOTES)
    space = " " if opening == "«" and rng.random() < 0.5 else ""
    quoted = f"{opening}{space}{_phrase(rng)}{rng.choice(('', '', '.', '!', ','))}{space}{closing}"
    return rng.choice((quoted, f"{_phrase(rng, 2)} {quoted}", f"{quoted} {_phrase(rng, 2)}"))


def _spanish(rng: random.Random) -> str:
    opening, closing = rng.choice((("¿", "?"), ("¡", "!")))
    return f"{opening}{_phrase(rng)}{closing}"


def _brackets(rng: random.Random) -> str:
    opening, closing = rng.choice(("[]", "{}", "<>", "()", "||"))
    inner = rng.choice((str(rng.randint(1, 999)), rng.choice(WORDS), _word(rng), f"{rng.choice(WORDS)}, {_word(rng)}"))
    bracketed = f"{opening}{inner}{closing}"
    return rng.choice(
        (bracketed, f"{_phrase(rng, 2)} {bracketed}", f"{bracketed}{bracketed}", f"{bracketed} {_word(rng)}")
    )


def _path(rng: random.Random) -> str:
    parts = [rng.choice(WORDS) + rng.choice(("", "_" + rng.choice(WORDS), str(rng.randint(1, 20)))) for _ in range(3)]
    parts = [part.title() if rng.random() < 0.3 else part for part in parts]
    return rng.choice(
        ("C:\\" + "\\".join(parts), "~/" + "/".join(parts), "\\\\" + "\\".join(parts), "/" + "/".join(parts))
    )


def _address(rng: random.Random) -> str:
    user = rng.choice(WORDS) + rng.choice(".-_+") + rng.choice((rng.choice(WORDS), str(rng.randint(1, 99))))
    host = rng.choice(WORDS) + rng.choice((".com", ".org", ".de", ".co.uk", ".fr"))
    address = rng.choice(
        (f"{user}@{host}", f"https://{host}/{user}?{rng.choice(WORDS)}={rng.randint(0, 99)}&p=~{user}")
    )
    return rng.choice((address, f"<{address}>", f"({address})", f"[{address}]", f'"{address}"', f"#{user}", f"@{user}"))


def _code(rng: random.Random) -> str:
    a, b = rng.choice(WORDS), rng.choice(WORDS)
    n = rng.randint(0, 99)
    return rng.choice(
        (f"{a}[{n}] = {b}", f"{{{a}: {n}}}", f"{a} | {b}", f"<{a}>{b}</{a}>", f"{a}^{n % 9}", f"`{a}`",
         f"{a}_{b} != {n}", f"if ({a} > {n}) {{", f"${a} ~ {n}%", f"{a} & {b}", f"* {a} *", f"{a}\\{b}",
         f"#{n} {a}", f"{a} <= {b}", f"^{a}$", f"{a}||{b}", f"[{a}]({b})", f"{a};{b};", f"~{n}", f"{n}*{n}={n * n}")
    )  # fmt: skip


def _amount(rng: random.Random) -> str:
    value = f"{rng.randint(0, 999)}{rng.choice('.,')}{rng.randint(0, 99):02}"
    n = rng.randint(1, 99)
    return rng.choice(
        (f"€{value}", f"{value} €", f"£{value}", f"{value}£", f"${value}", f"§ {n}", f"§{n} {_word(rng)}", f"{n} °C",
         f"{n}°", f"{n} %", f"{n}º {_word(rng)}", f"{n}ª", f"{n}–{n + rng.randint(1, 30)}", f"{n} – {_word(rng)}",
         f"{_word(rng)} — {_word(rng)}", f"–{n}", f"• {_phrase(rng, 3)}", f"— {_phrase(rng, 4)}", f"{_word(rng)}…",
         f"– {_phrase(rng, 4)}", f"{n}° {n}’", f"{_word(rng)}’{_word(rng)}", f"l’{_word(rng)}", f"§§ {n}–{n + 2}")
    )  # fmt: skip


GENERATORS: tuple[Callable[[random.Random], str], ...] = (
    _words, _words, _words, _quoted, _quoted, _spanish, _brackets, _path, _address, _code, _code, _amount, _amount,
)  # fmt: skip


def generate_signs(count: int, seed: int = 0) -> Iterator[str]:
    """Generate `count` texts, one line each, in the characters of the alphabet latin; the kinds take turns.

    Text i is a function of `seed` and i.

    >>> list(generate_signs(3)) == list(generate_signs(3))
    True
    """
    for i in range(count):
        yield GENERATORS[i % len(GENERATORS)](random.Random(f"signs/{seed}/{i}"))
