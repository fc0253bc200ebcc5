"""Constraints: which prefixes and texts they accept, and that a constrained decoder returns only accepted texts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from glyphline.alphabet import Alphabet
from glyphline.errors import DataError, UserError
from glyphline.reading.recognition.constraints import Constraint, Lexicon, RegexConstraint, load_lexicon
from glyphline.reading.recognition.decoders import BeamSearchDecoder, GreedyDecoder, LogProbs, constrain, open_decoder

ALPHABET = Alphabet(" /0123456789abdenotuwy")


def noisy_log_probs(text: str, noise: float, seed: int = 0) -> LogProbs:
    """Log-probabilities of a text: each step has 1 - noise for its class, and noise for random classes."""
    rng = np.random.default_rng(seed)
    path = [k for i in ALPHABET.encode(text) for k in (0, int(i))] + [0]
    p = noise * rng.dirichlet(np.full(len(ALPHABET), 0.3), len(path))
    p[np.arange(len(path)), path] += 1 - noise
    return np.asarray(np.log(p + 1e-12), np.float32)


CONSTRAINTS: list[tuple[Constraint, str]] = [  # each with a text that it accepts
    (Lexicon(("one", "two", "ten", "two ten")), "two"),
    (RegexConstraint(r"\d{1,2}/\d{1,2}/\d{4}"), "12/3/1999"),
    (RegexConstraint("(one|two)( ten)?"), "one ten"),
]


@pytest.mark.parametrize(("constraint", "text"), CONSTRAINTS)
def test_every_prefix_of_an_accepted_text_is_accepted(constraint: Constraint, text: str) -> None:
    assert constraint.accepts(text)
    assert all(constraint.accepts_prefix(text[:k]) for k in range(len(text) + 1))
    assert not constraint.accepts_prefix(text + "y")
    assert not constraint.accepts(text + "y") and not constraint.accepts("")


@pytest.mark.parametrize(("constraint", "text"), CONSTRAINTS)
@pytest.mark.parametrize("noise", [0.0, 0.4, 0.7])
@pytest.mark.parametrize("seed", range(5))
def test_constrained_decoder_returns_only_accepted_texts(
    constraint: Constraint, text: str, noise: float, seed: int
) -> None:
    decoded = constrain(GreedyDecoder(), constraint)(noisy_log_probs(text, noise, seed), ALPHABET)
    assert constraint.accepts(decoded.text)
    assert noise > 0.4 or decoded.text == text


def test_lexicon_corrects_a_misread_word_with_low_confidence() -> None:
    log_probs = noisy_log_probs("tuo", 0.02)
    assert GreedyDecoder()(log_probs, ALPHABET).text == "tuo"
    decoded = constrain(GreedyDecoder(), Lexicon(("one", "two", "ten")))(log_probs, ALPHABET)
    assert decoded.text == "two" and decoded.confidence < 0.1


def test_lexicon_with_only_too_long_texts_gives_empty_text() -> None:
    lexicon = Lexicon(("one two ten one two ten",))
    decoded = constrain(GreedyDecoder(), lexicon)(noisy_log_probs("two", 0.01), ALPHABET)
    assert decoded.text == "" and decoded.confidence == 0 and not decoded.spans


def test_constrained_beam_keeps_its_language_model() -> None:
    beam = open_decoder("beam", Alphabet.from_name("english"))
    assert isinstance(beam, BeamSearchDecoder)
    assert constrain(beam, Lexicon(("one",))).language_model is beam.language_model


def test_lexicon_is_loaded_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "days.txt"
    path.write_text("one\n\n  two \r\nten\n", encoding="utf-8-sig")
    assert load_lexicon(path, ALPHABET).texts == ("one", "two", "ten")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"one\nX-ray\n", "lacks 'X', '-', 'r'"),
        ("one\u2028two\n".encode(), r"'one\\u2028two'"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_unusable_lexicon_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "days.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_lexicon(path, ALPHABET)
    with pytest.raises(DataError, match="cannot be read"):
        load_lexicon(tmp_path / "none.txt", ALPHABET)


def test_invalid_regular_expression_is_refused() -> None:
    with pytest.raises(UserError, match="no regular expression"):
        RegexConstraint("(")


def test_accepted_text_is_found_where_every_step_is_almost_surely_blank() -> None:
    log_probs = np.full((6, len(ALPHABET)), math.log(1e-6), np.float32)
    log_probs[:, 0] = math.log(1 - 1e-4)
    assert constrain(GreedyDecoder(), Lexicon(("one",)))(log_probs, ALPHABET).text == "one"
