"""The order in which the characters of a line are written and seen: Unicode's bidirectional algorithm (UAX #9).

Texts are in logical order, in which they are typed and read. A line image shows them in visual order, from left to
right. A network reads an image in visual order, so its labels are turned to it and its output is turned back.
A text without right-to-left letters is the same in both orders, except on a right-to-left line of numbers and signs.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import regex

LTR, RTL, AUTO = "ltr", "rtl", "auto"
DIRECTIONS = (AUTO, LTR, RTL)  # of a recipe
_LTR_LETTER = regex.compile(r"\p{Bidi_Class=L}")
_LOOSE_MARK = regex.compile(r"(?:^|\s)\p{M}")  # one that stands on no letter
_RTL_LETTER = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")


@dataclass(frozen=True)
class PlacedCharacter:
    """A character of a line and its place in the other order."""

    character: str  # as it looks at its place: brackets of right-to-left text are mirrored
    index: int  # in the text that was reordered
    is_rtl: bool  # whether it belongs to a right-to-left run


def has_rtl_letters(text: str) -> bool:
    """Whether a text has a letter that is written from right to left.

    >>> has_rtl_letters("abc 12"), has_rtl_letters("שלום 12")
    (False, True)
    """
    return not text.isascii() and _RTL_LETTER.search(text) is not None


def is_turned(text: str, direction: str) -> bool:
    """Whether a line of text can look otherwise than its characters follow each other.

    A line of left-to-right letters is a line of another language, from left to right, also among right-to-left ones.

    >>> is_turned("1948.", "rtl"), is_turned("May 1948.", "rtl"), is_turned("1948.", "ltr")
    (True, False, False)
    """
    return has_rtl_letters(text) or (direction == RTL and _LTR_LETTER.search(text) is None)


def resolve_direction(direction: str, characters: str) -> str:
    """The direction of lines in an alphabet: "rtl" or "ltr". direction: a value of DIRECTIONS.

    "auto" is rtl for an alphabet with right-to-left letters.

    >>> resolve_direction("auto", " אבג"), resolve_direction("auto", " abc"), resolve_direction("ltr", " אבג")
    ('rtl', 'ltr', 'ltr')
    """
    return (RTL if has_rtl_letters(characters) else LTR) if direction == AUTO else direction


def mirrored(character: str) -> str:
    """The character as right-to-left text shows it: brackets and signs like < face the other way.

    >>> mirrored("("), mirrored("א")
    (')', 'א')
    """
    from bidi.mirror import MIRRORED

    opposite: str = MIRRORED.get(character, character)
    return opposite


def visual_order(text: str, direction: str) -> list[PlacedCharacter]:
    """The characters of a line of text as they are seen, from left to right.

    text: in logical order. direction: "ltr" or "rtl", the direction of the paragraph. Characters that embed or override
    directions are not seen and left out.
    """
    if not is_turned(text, direction):
        return [PlacedCharacter(character, k, False) for k, character in enumerate(text)]
    return _reorder(text, direction)


def to_visual(text: str, direction: str) -> str:
    """A line of text, given in logical order, as it is seen from left to right; see `visual_order`.

    >>> to_visual("(אב) abc 12", "rtl")
    'abc 12 (בא)'
    """
    return "".join(placed.character for placed in visual_order(text, direction)) if is_turned(text, direction) else text


def logical_order(visual: str, direction: str) -> list[PlacedCharacter]:
    """The characters of a line in logical order. visual: the line as it is seen from left to right.

    Several texts can look alike. Of the two candidates, the orders that the bidirectional algorithm gives for the line
    as it is seen and for its reverse, the first that looks exactly like `visual` is taken, one in which every mark
    follows a letter before the others; otherwise the second.

    >>> "".join(placed.character for placed in logical_order("abc 12 (בא)", "rtl"))
    '(אב) abc 12'
    """
    if not is_turned(visual, direction):
        return [PlacedCharacter(character, k, False) for k, character in enumerate(visual)]
    reversed_back = [
        PlacedCharacter(placed.character, len(visual) - 1 - placed.index, placed.is_rtl)
        for placed in reversed(_reorder(visual[::-1], direction))
    ]
    alike = None  # the first that looks exactly like the line
    for candidate in (_reorder(visual, direction), reversed_back):
        text = "".join(placed.character for placed in candidate)
        if to_visual(text, direction) == visual:
            if not _LOOSE_MARK.search(text):
                return candidate
            alike = alike or candidate
    return alike or reversed_back


def _reorder(text: str, direction: str) -> list[PlacedCharacter]:
    """The characters in the order of the bidirectional algorithm, with those of right-to-left runs mirrored.

    The algorithm's steps are called one by one, because `bidi.get_display` returns no positions. Its rule for brackets
    is missing there and added, for texts without embedded directions.
    """
    from bidi import algorithm

    storage = algorithm.get_empty_storage()
    storage["base_level"] = algorithm.PARAGRAPH_LEVELS["R" if direction == RTL else "L"]
    storage["base_dir"] = "R" if direction == RTL else "L"
    algorithm.get_embedding_levels(text, storage)
    for index, character in enumerate(storage["chars"]):
        character["index"] = index
    algorithm.explicit_embed_and_overrides(storage)
    algorithm.resolve_weak_types(storage)
    if len(storage["runs"]) == 1:
        _resolve_brackets(storage["chars"], storage["base_dir"])
    algorithm.resolve_neutral_types(storage, False)
    algorithm.resolve_implicit_levels(storage, False)
    algorithm.reorder_resolved_levels(storage, False)
    algorithm.apply_mirroring(storage, False)
    return [PlacedCharacter(c["ch"], c["index"], c["level"] % 2 == 1) for c in storage["chars"]]


#: type of a character after the weak types are resolved -> direction, as the rule for brackets counts it
_STRONG = {"L": "L", "R": "R", "AL": "R", "EN": "R", "AN": "R"}


def _resolve_brackets(characters: list[dict[str, Any]], base: str) -> None:
    """Rule N0 of UAX #9: set the types of paired brackets, in place.

    A pair takes the direction of the paragraph where a character inside has it; otherwise that of the characters
    inside, where the text before the pair has it too, and else that of the paragraph. base: "L" or "R".
    """
    stack: list[tuple[str, int]] = []  # the bracket that closes, place of the one that opens
    pairs = []
    for place, item in enumerate(characters):
        character, category = item["ch"], unicodedata.category(item["ch"])
        if item["type"] == "ON" and category == "Ps":
            stack.append((mirrored(character), place))
        elif item["type"] == "ON" and category == "Pe" and character in [closing for closing, _ in stack]:
            while stack:
                closing, opening = stack.pop()
                if closing == character:
                    pairs.append((opening, place))
                    break
    for opening, place in sorted(pairs):
        inside = {_STRONG.get(item["type"]) for item in characters[opening + 1 : place]} - {None}
        if not inside:
            continue
        before = next((_STRONG[c["type"]] for c in reversed(characters[:opening]) if c["type"] in _STRONG), base)
        direction = base if base in inside or before == base else before
        characters[opening]["type"] = characters[place]["type"] = direction
