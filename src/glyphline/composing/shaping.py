"""The units that a line is drawn from: single characters, or several that join or combine into one shape.

Letters of Arabic and its relatives join to their neighbours, letters of Devanagari, Bengali and Gurmukhi hang from one
line, and vowel signs and marks combine with their letters. Such characters are one unit, which a font draws whole,
shaped by HarfBuzz.
"""

from __future__ import annotations

from collections.abc import Iterable

import regex

from glyphline.writing_direction import PlacedCharacter, is_turned, visual_order

#: a run of letters that join (Unicode's Joining_Type) or hang from one line, otherwise a grapheme cluster (UAX #29)
_UNIT = regex.compile(
    r"(?:[\p{Joining_Type=D}\p{Joining_Type=R}\p{Joining_Type=L}\p{Joining_Type=C}]\p{M}*)+"
    r"|[[\p{Devanagari}\p{Bengali}\p{Gurmukhi}]--[\p{N}\p{P}]]+"
    r"| |\X",  # a mark that follows a space is drawn by itself
    regex.V1,
)


def split_units(text: str) -> list[str]:
    """The units of a text in its order.

    >>> split_units("né 12"), split_units("كتاب،"), split_units("บ้าน")
    (['n', 'é', ' ', '1', '2'], ['كتاب', '،'], ['บ้', 'า', 'น'])
    """
    return list(text) if text.isascii() else _UNIT.findall(text)


def can_join(character: str) -> bool:
    """Whether a character joins or combines with others of its kind, or with the one before it.

    >>> can_join("é"), can_join("ب"), can_join("่")
    (False, True, True)
    """
    return len(split_units(f"o{character}{character}")) < 3


def joined_units(texts: Iterable[str]) -> list[str]:
    """The units of several characters in some texts, each once."""
    return list(dict.fromkeys(unit for text in texts for unit in split_units(text) if len(unit) > 1))


def visual_units(text: str, direction: str) -> list[str]:
    """The units of a line of text, given in logical order, as they are seen from left to right.

    direction: "ltr" or "rtl", see `glyphline.writing_direction`. The characters of a unit stay in logical order.
    """
    units = split_units(text)
    if not is_turned(text, direction):
        return units
    seen: dict[int, PlacedCharacter] = {placed.index: placed for placed in visual_order(text, direction)}
    places = {index: place for place, index in enumerate(seen)}
    positioned: list[tuple[int, str]] = []
    start = 0
    for unit in units:
        indices = [k for k in range(start, start + len(unit)) if k in seen]
        start += len(unit)
        if indices:
            shown = seen[indices[0]].character if len(unit) == 1 else unit
            positioned.append((min(places[k] for k in indices), shown))
    return [unit for _, unit in sorted(positioned)]
