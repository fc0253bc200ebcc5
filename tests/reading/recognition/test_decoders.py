"""Decoders: every one gives the same type, and the greedy one says what CTC's best path says."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from glyphline.alphabet import BLANK, Alphabet, collapse
from glyphline.errors import UserError
from glyphline.reading.recognition.decoders import (
    DECODERS,
    BeamSearchDecoder,
    CharacterSpan,
    DecodedText,
    GreedyDecoder,
    LogProbs,
    open_decoder,
)
from glyphline.reading.recognition.language_model import estimate

ALPHABET = Alphabet(" abcde")


def some_log_probs(seed: int, steps: int = 40, classes: int = len(ALPHABET), spread: float = 3) -> LogProbs:
    """Rows like a network's: most steps sure of something, the blank more often than not."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (steps, classes))
    logits[:, BLANK] += 2
    logits = np.repeat(logits, rng.integers(1, 4, steps), axis=0)[:steps]  # characters last several steps
    return np.asarray(logits - np.log(np.exp(logits).sum(1, keepdims=True)), np.float32)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("seed", range(20))
def test_what_every_decoder_says_hangs_together(name: str, seed: int) -> None:
    log_probs = some_log_probs(seed)
    said = open_decoder(name, ALPHABET)(log_probs, ALPHABET)
    assert isinstance(said, DecodedText)
    assert said.text == "".join(span.character for span in said.spans)
    assert all(c in ALPHABET for c in said.text)
    assert all(0 <= span.start < span.end <= len(log_probs) for span in said.spans)
    assert all(a.end <= b.start for a, b in pairwise(said.spans))
    assert all(0 <= span.confidence <= 1 for span in said.spans)
    assert said.confidence == min(span.confidence for span in said.spans)


@pytest.mark.parametrize("name", DECODERS)
def test_nothing_said_is_said_surely(name: str) -> None:
    blank = np.full((7, len(ALPHABET)), -20, np.float32)
    blank[:, BLANK] = 0
    for log_probs in (blank, blank[:0]):
        assert open_decoder(name, ALPHABET)(log_probs, ALPHABET) == DecodedText("", 1.0, ())


@pytest.mark.parametrize("name", DECODERS)
def test_a_sure_path_is_read_by_every_decoder(name: str) -> None:
    path = [0, 2, 2, 0, 2, 1, 3, 3, 0]
    log_probs = np.full((len(path), len(ALPHABET)), -30, np.float32)
    log_probs[np.arange(len(path)), path] = 0
    said = open_decoder(name, ALPHABET)(log_probs, ALPHABET)
    assert said.text == "aa b" and said.confidence == 1
    assert [(s.start, s.end) for s in said.spans] == [(1, 3), (4, 5), (5, 6), (6, 8)]


@pytest.mark.parametrize("seed", range(50))
def test_greedy_says_the_best_path_collapsed(seed: int) -> None:
    log_probs = some_log_probs(seed)
    path = log_probs.argmax(1)
    said = GreedyDecoder()(log_probs, ALPHABET)
    assert said.text == ALPHABET.decode(collapse(path.tolist()))
    for span in said.spans:
        (number,) = ALPHABET.encode(span.character)
        assert (path[span.start : span.end] == number).all()
        assert span.start == 0 or path[span.start - 1] != number
        assert span.end == len(path) or path[span.end] != number
        assert span.confidence == pytest.approx(math.exp(log_probs[span.start : span.end, number].max()))


@pytest.mark.parametrize("seed", range(5))
def test_greedys_text_has_at_least_the_probability_of_its_path(seed: int) -> None:
    alphabet = Alphabet("ab")
    log_probs = some_log_probs(seed, 5, 3)
    said = alphabet.encode(GreedyDecoder()(log_probs, alphabet).text).tolist()
    total = sum(
        math.exp(sum(float(log_probs[t, c]) for t, c in enumerate(path)))
        for path in itertools.product(range(3), repeat=5)
        if collapse(path) == said
    )
    assert math.exp(float(log_probs.max(1).sum())) <= total * (1 + 1e-5) <= 1 + 1e-4


def test_an_unknown_decoder_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError, match=r'no decoder "greedi"; did you mean "greedy"\? choices: '):
        open_decoder("greedi", ALPHABET)


# --------------------------------------------------------------------------------------------------- beam


def every_text(log_probs: LogProbs, alphabet: Alphabet) -> dict[str, float]:
    """The probability of each text, by adding up all paths."""
    out: dict[str, float] = {}
    for path in itertools.product(range(len(alphabet)), repeat=len(log_probs)):
        text = alphabet.decode(collapse(path))
        out[text] = out.get(text, 0.0) + math.exp(sum(float(row[k]) for row, k in zip(log_probs, path, strict=True)))
    return out


@pytest.mark.parametrize("seed", range(30))
def test_a_wide_beam_finds_the_likeliest_text(seed: int) -> None:
    alphabet = Alphabet(" ab")
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (6, len(alphabet)))
    log_probs = np.asarray(logits - np.log(np.exp(logits).sum(1, keepdims=True)), np.float32)
    texts = every_text(log_probs, alphabet)
    said = BeamSearchDecoder(width=500, min_probability=0.0, drop=0.0, temperature=1.0)(log_probs, alphabet)
    assert said.text == max(texts, key=lambda t: texts[t])


@pytest.mark.parametrize("seed", range(30))
def test_with_a_language_it_finds_the_likeliest_text_there_is(seed: int) -> None:
    alphabet = Alphabet(" ab")
    language = estimate(["ab ab ba ab", "a ab"] * 9, order=3, cells=2**8)
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.0, (6, len(alphabet)))
    log_probs = np.asarray(logits - np.log(np.exp(logits).sum(1, keepdims=True)), np.float32)
    worth = {
        text: share * math.exp(-0.7 * language.nats(text) + 0.4 * len(text))
        for text, share in every_text(log_probs, alphabet).items()
    }
    said = BeamSearchDecoder(
        language, width=500, weight=0.7, bonus=0.4, min_probability=0.0, drop=0.0, temperature=1.0
    )(log_probs, alphabet)
    assert said.text == max(worth, key=lambda t: worth[t])


PHRASES = ["bad cab", "a bee", "dead ace", "add a bed"]


def test_a_temperature_softens_what_the_network_says() -> None:
    """And nothing of how sure the characters were."""
    language, differ = estimate(PHRASES * 9, order=4, cells=2**9), 0
    for seed in range(20):
        log_probs = some_log_probs(seed, 30, spread=9)
        soft = log_probs / 2 - np.log(np.exp(log_probs / 2).sum(axis=1, keepdims=True))
        read = BeamSearchDecoder(language, temperature=2.0)(log_probs, ALPHABET)
        assert read.text == BeamSearchDecoder(language, temperature=1.0)(soft, ALPHABET).text
        differ += read.text != BeamSearchDecoder(language, temperature=1.0)(log_probs, ALPHABET).text
        steps = [(span.start, ALPHABET.encode(span.character)[0]) for span in read.spans]
        assert all(
            s.confidence >= np.exp(log_probs[at, k]) - 1e-6 for s, (at, k) in zip(read.spans, steps, strict=True)
        )
    assert differ


def test_what_is_given_up_would_seldom_have_won() -> None:
    """For its ending, its share, or at its step."""
    language = estimate(PHRASES * 9, order=4, cells=2**9)
    same = 0
    for seed in range(40):
        log_probs = some_log_probs(seed, 30, spread=5)
        whole = BeamSearchDecoder(language, width=300, weight=0.5, bonus=1.3, drop=0.0, temperature=1.0)(
            log_probs, ALPHABET
        )
        same += (
            BeamSearchDecoder(language, width=300, weight=0.5, bonus=1.3, temperature=1.0)(log_probs, ALPHABET).text
            == whole.text
        )
    assert same >= 39


def test_a_narrow_beam_finds_more_when_it_keeps_one_of_those_that_end_alike() -> None:
    language = estimate(PHRASES * 9, order=4, cells=2**9)
    found = {0.0: 0, BeamSearchDecoder.drop: 0}
    for seed in range(60):
        log_probs = some_log_probs(seed, 30, spread=5)
        best = BeamSearchDecoder(language, width=300, weight=0.5, bonus=1.3, drop=0.0, temperature=1.0)(
            log_probs, ALPHABET
        ).text
        for drop in found:
            found[drop] += (
                BeamSearchDecoder(language, weight=0.5, bonus=1.3, drop=drop, temperature=1.0)(log_probs, ALPHABET).text
                == best
            )
    assert found[BeamSearchDecoder.drop] > found[0.0] + 4
    assert found[BeamSearchDecoder.drop] >= 54


def test_the_language_settles_what_the_picture_leaves_open() -> None:
    alphabet = Alphabet(" 10IloOhmw")
    log_probs = np.full((9, len(alphabet)), -12.0, np.float32)

    def says(step: int, **chances: float) -> None:
        for name, p in chances.items():
            log_probs[step, alphabet.encode({"one": "1", "zero": "0"}.get(name, name))[0]] = math.log(p)

    for step in (1, 3, 5, 7):
        log_probs[step, BLANK] = math.log(0.999)
    says(0, h=0.99)
    says(2, zero=0.55, o=0.45)
    says(4, w=0.99)
    says(6, m=0.0001)
    log_probs[6, BLANK] = math.log(0.99)
    log_probs[8, BLANK] = math.log(0.99)
    assert GreedyDecoder()(log_probs, alphabet).text == "h0w"
    assert BeamSearchDecoder(estimate(["how low who"] * 20, order=3, cells=2**9))(log_probs, alphabet).text == "how"


def test_what_is_no_language_is_read_as_it_stands() -> None:
    """A code whose every character is a little unsure: the language would rather have words, the image would not."""
    alphabet, text = Alphabet.named("english"), "kXq7Zw9 vB3tGp JxL4"
    log_probs = np.full((2 * len(text), len(alphabet)), math.log(1e-4), np.float32)
    log_probs[::2, BLANK] = math.log(0.99)
    for step, character in enumerate(text):
        log_probs[2 * step + 1, alphabet.encode(character)[0]] = math.log(0.6)
        log_probs[2 * step + 1, alphabet.encode("e" if character != " " else "s")[0]] = math.log(0.3)
    decoder = open_decoder("beam", alphabet)
    assert isinstance(decoder, BeamSearchDecoder)
    assert decoder(log_probs, alphabet).text == text
    assert replace(decoder, chance=-math.inf)(log_probs, alphabet).text != text


def test_without_doubt_the_language_changes_nothing() -> None:
    """Random letters read with certainty stay as they are, whatever English thinks of them."""
    alphabet = Alphabet.named("english")
    text = "xQz7 &jK w9#Vt"
    path = [k for i in alphabet.encode(text) for k in (BLANK, int(i))]
    log_probs = np.full((len(path), len(alphabet)), math.log(1e-3 / len(alphabet)), np.float32)
    log_probs[np.arange(len(path)), path] = math.log(0.999)
    assert open_decoder("beam", alphabet)(log_probs, alphabet).text == text


@pytest.mark.parametrize("seed", range(20))
def test_spans_of_a_beam_lie_where_the_character_was_read(seed: int) -> None:
    log_probs = some_log_probs(seed)
    greedy, beam = GreedyDecoder()(log_probs, ALPHABET), BeamSearchDecoder()(log_probs, ALPHABET)
    if greedy.text == beam.text:
        for mine, theirs in zip(beam.spans, greedy.spans, strict=True):
            assert mine.start < theirs.end + 2 and theirs.start < mine.end + 2


def test_a_decoder_that_takes_nothing_says_so() -> None:
    with pytest.raises(UserError, match="takes nothing after a colon"):
        open_decoder("greedy:english", ALPHABET)
    with pytest.raises(UserError, match="no language"):
        open_decoder("beam:klingon", ALPHABET)


def test_how_much_was_seen_is_the_mean_share_of_the_characters() -> None:
    assert DecodedText(
        "ab", 0.5, (CharacterSpan("a", 0, 1, 0.5), CharacterSpan("b", 1, 2, 0.9))
    ).visual_confidence == pytest.approx(0.7)
    assert DecodedText("", 1.0, ()).visual_confidence == 0
