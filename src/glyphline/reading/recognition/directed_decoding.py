"""Decodes the output of a network, which is in visual order, into text in logical order.

The output for a right-to-left line is decoded from its last time step to its first. CTC is the same in both directions,
but so a language model and a lexicon see the letters in the order in which they are written.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace

from glyphline.alphabet import Alphabet
from glyphline.reading.recognition.constraints import Constraint
from glyphline.reading.recognition.decoders import CharacterSpan, DecodedText, Decoder, LogProbs
from glyphline.writing_direction import RTL, has_rtl_letters, logical_order


def decode_line(decoder: Decoder, log_probs: LogProbs, alphabet: Alphabet, direction: str) -> DecodedText:
    """Decode one line. The text and its spans are in logical order.

    log_probs: (T, C), see `Decoder`. direction: of the recognizer, "ltr" or "rtl". The time steps of the spans are
    those of `log_probs`: they descend in right-to-left text.
    """
    if direction != RTL:
        return _to_logical(decoder(log_probs, alphabet), direction)
    decoded = decoder(log_probs[::-1], alphabet)
    spans = [
        replace(span, start=len(log_probs) - span.end, end=len(log_probs) - span.start) for span in decoded.spans[::-1]
    ]
    return _to_logical(replace(decoded, text=decoded.text[::-1], spans=tuple(spans)), direction)


def _to_logical(decoded: DecodedText, direction: str) -> DecodedText:
    """A text in visual order, turned to logical order with its spans."""
    if not has_rtl_letters(decoded.text):
        return decoded
    order = logical_order(decoded.text, direction)
    spans: list[CharacterSpan] = [replace(decoded.spans[p.index], character=p.character) for p in order]
    return replace(decoded, text="".join(p.character for p in order), spans=tuple(spans))


@dataclass(frozen=True)
class RightToLeftConstraint:
    """A constraint for a decoder that reads a line from right to left, character by character.

    `constraint` accepts texts in logical order; here it is asked for those that can be decided before a line is whole:
    texts of right-to-left letters, spaces and signs. Numbers and left-to-right words are read from their end, and
    brackets are seen mirrored, so a text that has begun with one of them is only decided when it is whole.
    """

    constraint: Constraint

    def accepts_prefix(self, text: str) -> bool:
        undecided = any(unicodedata.mirrored(c) or (c.isalnum() and not has_rtl_letters(c)) for c in text)
        return undecided or self.constraint.accepts_prefix(text)

    def accepts(self, text: str) -> bool:
        visual = text[::-1]
        return self.constraint.accepts("".join(p.character for p in logical_order(visual, RTL)))
