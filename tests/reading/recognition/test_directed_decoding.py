"""Right-to-left lines: the output of a network in visual order becomes text, spans and words in logical order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from glyphline.alphabet import Alphabet
from glyphline.reading.lines import LineReader, open_line_reader
from glyphline.reading.recognition.constraints import Lexicon, RegexConstraint
from glyphline.reading.recognition.decoders import BeamSearchDecoder, Decoder, GreedyDecoder, LogProbs
from glyphline.reading.recognition.directed_decoding import decode_line, read_from_the_right
from glyphline.reading.recognition.language_model import estimate
from glyphline.reading.recognition.posteriors import score_texts
from glyphline.reading.recognition.recognizers import ModelInfo
from glyphline.writing_direction import LTR, RTL, to_visual

ALPHABET = Alphabet(" ()%.0123456789abcאבגדוחלםעש")
TEXT = "שלום (12) אבא abc עולם"


def output_of(seen: str, probability: float = 0.9) -> LogProbs:
    """A step for each character as it is seen, and a blank step after it."""
    rows = np.full((2 * len(seen), len(ALPHABET)), 1e-6)
    rows[1::2, 0] = 1.0
    for k, character in enumerate(seen):
        rows[2 * k, ALPHABET.encode(character)[0]] = probability
    rows[::2, 0] = 1 - probability
    return np.log(rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("decoder", [GreedyDecoder(), BeamSearchDecoder()])
def test_text_is_logical_and_its_spans_are_where_it_is_seen(decoder: Decoder) -> None:
    seen = to_visual(TEXT, RTL)
    decoded = decode_line(decoder, output_of(seen), ALPHABET, RTL)
    assert decoded.text == TEXT == "".join(span.character for span in decoded.spans)
    assert sorted(span.start for span in decoded.spans) == [2 * k for k in range(len(seen))]
    first = decoded.spans[0]
    assert (first.character, first.start, first.end) == ("ש", 2 * len(seen) - 2, 2 * len(seen) - 1)
    for span in decoded.spans:
        shown = seen[span.start // 2]
        assert shown == span.character or {shown, span.character} == {"(", ")"}


def test_left_to_right_recognizer_is_decoded_as_before() -> None:
    log_probs = output_of("abc (12)")
    assert decode_line(GreedyDecoder(), log_probs, ALPHABET, LTR) == GreedyDecoder()(log_probs, ALPHABET)
    assert decode_line(GreedyDecoder(), output_of("abc בא"), ALPHABET, LTR).text == "abc אב"
    assert decode_line(GreedyDecoder(), log_probs[:0], ALPHABET, RTL).text == ""


def test_language_model_scores_letters_in_the_order_in_which_they_are_written() -> None:
    log_probs = output_of(to_visual("שלום", RTL))
    row = log_probs[2]  # of ו, the second character from the left, which now looks as much like a ג
    row[ALPHABET.encode("ג")[0]] = row[ALPHABET.encode("ו")[0]] + 0.1
    assert decode_line(GreedyDecoder(), log_probs, ALPHABET, RTL).text == "שלגם"
    language_model = estimate(["שלום עולם", "שלום אבא"] * 20, order=4, cells=2**10)
    decoded = decode_line(BeamSearchDecoder(language_model), log_probs, ALPHABET, RTL)
    assert decoded.text == "שלום"
    assert [span.lm_log_prob for span in decoded.spans] == pytest.approx(
        [max(-7.5, p) for p in language_model.log_probs("שלום")]
    )


def test_language_model_sees_brackets_as_they_are_written() -> None:
    text = "שלום (אב) עולם"
    language_model = estimate([text, "אבא (גד) לוח"] * 20, order=4, cells=2**12)
    decoded = decode_line(BeamSearchDecoder(language_model), output_of(to_visual(text, RTL)), ALPHABET, RTL)
    assert decoded.text == text == "".join(span.character for span in decoded.spans)
    assert [span.lm_log_prob for span in decoded.spans] == pytest.approx(
        [max(-7.5, p) for p in language_model.log_probs(text)]
    )


@pytest.mark.parametrize(
    ("constraint", "text"),
    [(Lexicon(("עולם", "שלום")), "שלום"), (Lexicon(("שלום (21)", "שלום (12)")), "שלום (12)"),
     (Lexicon(("שלום 50%", "עולם")), "שלום 50%"), (Lexicon(("2020.", "20%")), "2020."),
     (Lexicon(("abc (12) אב", "אב")), "abc (12) אב"), (Lexicon(("12 abc אב", "עולם")), "12 abc אב"),
     (Lexicon(("abc 12 אב", "עולם")), "abc 12 אב"),  # it looks like the one before
     (RegexConstraint(r"שלום \(\d+\)"), "שלום (12)"), (RegexConstraint(r"1\d abc"), "12 abc"),
     (RegexConstraint(r"שלום \d+%"), "שלום 50%"), (RegexConstraint(r"\d+%"), "50%")],
)  # fmt: skip
def test_constraint_is_asked_for_logical_text(constraint: Any, text: str) -> None:
    log_probs = output_of(to_visual(text, RTL), 0.6)
    log_probs[0, ALPHABET.encode("ג")[0]] = log_probs[0].max() + 0.5  # the greedy text meets no constraint
    decoder = BeamSearchDecoder(constraint=read_from_the_right(constraint, ALPHABET), width=40)
    decoded = decode_line(decoder, log_probs, ALPHABET, RTL)
    assert decoded.text == text == "".join(span.character for span in decoded.spans)


class VisualRecognizer:
    """A recognizer that outputs one text, whatever the image, in steps of equal width."""

    def __init__(self, seen: str) -> None:
        self.seen = seen
        self.info = ModelInfo("visual", ALPHABET.characters, 20, 10, "whole", direction=RTL)

    def log_probs(self, lines: np.ndarray) -> LogProbs:
        return np.stack([output_of(self.seen)] * len(lines))


def test_reader_gives_logical_words_with_their_places() -> None:
    seen = to_visual(TEXT, RTL)
    image = np.zeros((20, 20 * len(seen)), np.uint8)
    for k, character in enumerate(seen):
        image[4:16, 20 * k + 2 : 20 * k + 12] = 0 if character == " " else 255
    reader = LineReader(VisualRecognizer(seen))
    line = reader.read_line(image)
    assert line.text == TEXT and [word.text for word in line.words] == TEXT.split()
    lefts = [word.left for word in line.words]
    assert lefts == sorted(lefts, reverse=True)  # each further word stands to the left
    for word in line.words:
        xs = [x for x, _ in word.polygon]
        assert (min(xs), max(xs)) == (xs[0], xs[1]) == (word.left, word.right) and word.left < word.right
    assert reader.decode_canonical([image])[0].text == TEXT
    (posteriors,) = reader.recognize([image])
    scores = score_texts(posteriors, [TEXT, TEXT.replace("12", "21"), seen])
    assert scores.argmax() == 0


def test_reader_with_a_lexicon_reads_right_to_left() -> None:
    recognizer = VisualRecognizer(to_visual("שלום", RTL))
    reader = open_line_reader(recognizer, "greedy", lambda _: Lexicon(("עולם", "שלום")))
    assert reader.read_line(np.tile(np.repeat(np.uint8([0, 255, 0]), [4, 12, 4])[:, None], 80)).text == "שלום"
    assert replace(recognizer.info, direction=LTR).direction == LTR
