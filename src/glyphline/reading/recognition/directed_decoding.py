"""Decodes the output of a network, which is in visual order, into text in logical order.

The output for a right-to-left line is decoded from its last time step to its first, with brackets as they face in
logical order. CTC is the same in both directions, but so a language model and a lexicon see the characters in the order
in which they are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import regex

from glyphline.alphabet import Alphabet
from glyphline.reading.recognition.constraints import Constraint, Lexicon
from glyphline.reading.recognition.decoders import BeamSearchDecoder, CharacterSpan, DecodedText, Decoder, LogProbs
from glyphline.writing_direction import (
    RTL,
    has_rtl_letters,
    is_turned,
    logical_order,
    mirrored,
    to_visual,
    visual_order,
)

_TO_LAST_RTL_LETTER = regex.compile(r".*[\p{Bidi_Class=R}\p{Bidi_Class=AL}]", regex.DOTALL)


def decode_line(decoder: Decoder, log_probs: LogProbs, alphabet: Alphabet, direction: str) -> DecodedText:
    """Decode one line. The text and its spans are in logical order.

    log_probs: (T, C), see `Decoder`. direction: of the recognizer, "ltr" or "rtl". The time steps of the spans are
    those of `log_probs`: they descend in right-to-left text.
    """
    if direction != RTL:
        return _to_logical(decoder(log_probs, alphabet), direction)
    decoded = decoder(log_probs[::-1], _mirrored_alphabet(alphabet))
    spans = [
        replace(
            span, character=_mirror(span.character, alphabet), start=len(log_probs) - span.end,
            end=len(log_probs) - span.start,
        )
        for span in decoded.spans[::-1]
    ]  # fmt: skip
    constraint = decoder.constraint if isinstance(decoder, BeamSearchDecoder) else None
    if isinstance(constraint, RightToLeftLexicon) and (entry := constraint.entries.get(decoded.text)):
        return _spell(entry, decoded, spans)
    visual = "".join(_mirror(character, alphabet) for character in reversed(decoded.text))
    return _to_logical(replace(decoded, text=visual, spans=tuple(spans)), direction)


def _spell(text: str, decoded: DecodedText, spans: Sequence[CharacterSpan]) -> DecodedText:
    """A text that looks like what was decoded, with its spans. spans: from left to right."""
    places = sorted(zip(visual_order(text, RTL), spans, strict=True), key=lambda pair: pair[0].index)
    spelled = tuple(replace(span, character=text[placed.index]) for placed, span in places)
    return replace(decoded, text=text, spans=spelled)


def _mirror(character: str, alphabet: Alphabet) -> str:
    """A bracket that faces the other way, where the alphabet has both; any other character as it is."""
    opposite = mirrored(character)
    return opposite if opposite in alphabet else character


@lru_cache(maxsize=8)
def _mirrored_alphabet(alphabet: Alphabet) -> Alphabet:
    """The alphabet in which each class of a bracket is the opposite one."""
    return Alphabet("".join(_mirror(character, alphabet) for character in alphabet.characters))


def _to_logical(decoded: DecodedText, direction: str) -> DecodedText:
    """A text in visual order, turned to logical order with its spans."""
    if not is_turned(decoded.text, direction):
        return decoded
    order = logical_order(decoded.text, direction)
    spans: list[CharacterSpan] = [replace(decoded.spans[p.index], character=p.character) for p in order]
    return replace(decoded, text="".join(p.character for p in order), spans=tuple(spans))


def read_from_the_right(constraint: Constraint, alphabet: Alphabet) -> Constraint:
    """A constraint on texts in logical order, for a decoder that reads a line from right to left.

    alphabet: of the recognizer. The decoder meets numbers and left-to-right words from their end.
    """
    if isinstance(constraint, Lexicon):
        seen = ("".join(_mirror(c, alphabet) for c in reversed(to_visual(text, RTL))) for text in constraint.texts)
        return RightToLeftLexicon(dict(zip(seen, constraint.texts, strict=True)))
    return RightToLeftConstraint(constraint, alphabet)


@dataclass(frozen=True)
class RightToLeftLexicon:
    """The texts of a lexicon as a decoder that reads from right to left meets them; see `read_from_the_right`.

    entries: the characters of a line from the right -> the text of the lexicon that looks so.
    """

    entries: dict[str, str]

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon(tuple(self.entries))

    def accepts_prefix(self, text: str) -> bool:
        return self._lexicon.accepts_prefix(text)

    def accepts(self, text: str) -> bool:
        return self._lexicon.accepts(text)


@dataclass(frozen=True)
class RightToLeftConstraint:
    """A constraint that is asked only for texts that can be decided before a line is whole; see `read_from_the_right`.

    These are right-to-left letters with the spaces and signs between them. What follows the last letter may be the end
    of a number or of a left-to-right word, and a text with a bracket, a digit or another letter is only decided when it
    is whole.
    """

    constraint: Constraint
    alphabet: Alphabet

    def accepts_prefix(self, text: str) -> bool:
        decidable = _TO_LAST_RTL_LETTER.match(text)
        if decidable is None or any(mirrored(c) != c or (c.isalnum() and not has_rtl_letters(c)) for c in text):
            return True
        return self.constraint.accepts_prefix(decidable[0])

    def accepts(self, text: str) -> bool:
        visual = "".join(_mirror(c, self.alphabet) for c in reversed(text))
        return self.constraint.accepts("".join(p.character for p in logical_order(visual, RTL)))
