"""What a line may say, and that a decoder says nothing else."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from glyphline.alphabet import Alphabet
from glyphline.errors import DataError, UserError
from glyphline.reading.recognition.constraints import Constraint, Lexicon, RegexConstraint, load_lexicon
from glyphline.reading.recognition.decoders import BeamSearchDecoder, GreedyDecoder, LogProbs, constrained, open_decoder

ALPHABET = Alphabet(" /0123456789abdenotuwy")


def noisy(text: str, doubt: float, seed: int = 0) -> LogProbs:
    """Log-probabilities of a text, each character sure but for `doubt`, which goes to all classes at random."""
    rng = np.random.default_rng(seed)
    path = [k for i in ALPHABET.encode(text) for k in (0, int(i))] + [0]
    p = doubt * rng.dirichlet(np.full(len(ALPHABET), 0.3), len(path))
    p[np.arange(len(path)), path] += 1 - doubt
    return np.asarray(np.log(p + 1e-12), np.float32)


ALLOWED: list[tuple[Constraint, str]] = [
    (Lexicon(("one", "two", "ten", "two ten")), "two"),
    (RegexConstraint(r"\d{1,2}/\d{1,2}/\d{4}"), "12/3/1999"),
    (RegexConstraint("(one|two)( ten)?"), "one ten"),
]


@pytest.mark.parametrize(("constraint", "text"), ALLOWED)
def test_every_beginning_of_what_is_allowed_may_begin(constraint: Constraint, text: str) -> None:
    assert constraint.whole(text)
    assert all(constraint.begins(text[:k]) for k in range(len(text) + 1))
    assert not constraint.begins(text + "y") and not constraint.whole(text + "y") and not constraint.whole("")


@pytest.mark.parametrize(("constraint", "text"), ALLOWED)
@pytest.mark.parametrize("doubt", [0.0, 0.4, 0.7])
@pytest.mark.parametrize("seed", range(5))
def test_a_decoder_says_what_is_allowed_and_nothing_else(
    constraint: Constraint, text: str, doubt: float, seed: int
) -> None:
    said = constrained(GreedyDecoder(), constraint)(noisy(text, doubt, seed), ALPHABET)
    assert constraint.whole(said.text)
    assert doubt > 0.4 or said.text == text


def test_a_list_mends_what_the_picture_says_wrongly() -> None:
    log_probs = noisy("tuo", 0.02)
    assert GreedyDecoder()(log_probs, ALPHABET).text == "tuo"
    said = constrained(GreedyDecoder(), Lexicon(("one", "two", "ten")))(log_probs, ALPHABET)
    assert said.text == "two" and said.confidence < 0.1  # it says so, but not that it is sure


def test_what_cannot_be_said_in_the_steps_there_are_is_not_said() -> None:
    said = constrained(GreedyDecoder(), Lexicon(("one two ten one two ten",)))(noisy("two", 0.01), ALPHABET)
    assert said.text == "" and said.confidence == 0 and not said.spans


def test_the_language_of_a_beam_stays() -> None:
    beam = open_decoder("beam", Alphabet.named("english"))
    assert isinstance(beam, BeamSearchDecoder)
    assert constrained(beam, Lexicon(("one",))).language is beam.language


def test_a_list_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "days.txt"
    path.write_text("one\n\n  two \r\nten\n", encoding="utf-8-sig")
    assert load_lexicon(path, ALPHABET).texts == ("one", "two", "ten")


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "empty"), (b"one\nX-ray\n", "cannot say 'X', '-', 'r'"), (b"\xff\xfe\x00", "UTF-8")]
)
def test_a_list_that_will_not_do_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "days.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        load_lexicon(path, ALPHABET)
    with pytest.raises(DataError, match="cannot be read"):
        load_lexicon(tmp_path / "none.txt", ALPHABET)


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(UserError, match="no regular expression"):
        RegexConstraint("(")


def test_probability_of_the_rest_does_not_matter() -> None:
    """A step sure of its blank still lets an allowed text through when nothing else is allowed."""
    log_probs = np.full((6, len(ALPHABET)), math.log(1e-6), np.float32)
    log_probs[:, 0] = math.log(1 - 1e-4)
    assert constrained(GreedyDecoder(), Lexicon(("one",)))(log_probs, ALPHABET).text == "one"
