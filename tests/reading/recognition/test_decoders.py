"""Decoders: the common output of all of them, greedy decoding by CTC's best path, and beam search with language."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

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


def log_softmax(logits: np.ndarray) -> LogProbs:
    return np.asarray(logits - np.log(np.exp(logits).sum(1, keepdims=True)), np.float32)


def random_log_probs(seed: int, steps: int = 40, classes: int = len(ALPHABET), scale: float = 3) -> LogProbs:
    """Log-probabilities like a network's: most steps are confident, and the blank is the most frequent class."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, scale, (steps, classes))
    logits[:, BLANK] += 2
    logits = np.repeat(logits, rng.integers(1, 4, steps), axis=0)[:steps]  # characters last several steps
    return log_softmax(logits)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("seed", range(20))
def test_decoded_text_is_consistent_with_its_spans(name: str, seed: int) -> None:
    log_probs = random_log_probs(seed)
    decoded = open_decoder(name, ALPHABET)(log_probs, ALPHABET)
    assert isinstance(decoded, DecodedText)
    assert decoded.text == "".join(span.character for span in decoded.spans)
    assert all(c in ALPHABET for c in decoded.text)
    assert all(0 <= span.start < span.end <= len(log_probs) for span in decoded.spans)
    assert all(a.end <= b.start for a, b in pairwise(decoded.spans))
    assert all(0 <= span.confidence <= 1 for span in decoded.spans)
    assert decoded.confidence == min(span.confidence for span in decoded.spans)


@pytest.mark.parametrize("name", DECODERS)
def test_blank_line_is_empty_text_with_confidence_1(name: str) -> None:
    blank = np.full((7, len(ALPHABET)), -20, np.float32)
    blank[:, BLANK] = 0
    for log_probs in (blank, blank[:0]):
        assert open_decoder(name, ALPHABET)(log_probs, ALPHABET) == DecodedText("", 1.0, ())


@pytest.mark.parametrize("name", DECODERS)
def test_certain_path_is_decoded_by_every_decoder(name: str) -> None:
    path = [0, 2, 2, 0, 2, 1, 3, 3, 0]
    log_probs = np.full((len(path), len(ALPHABET)), -30, np.float32)
    log_probs[np.arange(len(path)), path] = 0
    decoded = open_decoder(name, ALPHABET)(log_probs, ALPHABET)
    assert decoded.text == "aa b" and decoded.confidence == 1
    assert [(s.start, s.end) for s in decoded.spans] == [(1, 3), (4, 5), (5, 6), (6, 8)]


@pytest.mark.parametrize("seed", range(50))
def test_greedy_text_is_the_collapsed_best_path(seed: int) -> None:
    log_probs = random_log_probs(seed)
    path = log_probs.argmax(1)
    decoded = GreedyDecoder()(log_probs, ALPHABET)
    assert decoded.text == ALPHABET.decode(collapse(path.tolist()))
    for span in decoded.spans:
        (k,) = ALPHABET.encode(span.character)
        assert (path[span.start : span.end] == k).all()
        assert span.start == 0 or path[span.start - 1] != k
        assert span.end == len(path) or path[span.end] != k
        assert span.confidence == pytest.approx(math.exp(log_probs[span.start : span.end, k].max()))


@pytest.mark.parametrize("seed", range(5))
def test_greedy_text_is_at_least_as_likely_as_its_path(seed: int) -> None:
    alphabet = Alphabet("ab")
    log_probs = random_log_probs(seed, 5, 3)
    ids = alphabet.encode(GreedyDecoder()(log_probs, alphabet).text).tolist()
    total = sum(
        math.exp(sum(float(log_probs[t, c]) for t, c in enumerate(path)))
        for path in itertools.product(range(3), repeat=5)
        if collapse(path) == ids
    )
    assert math.exp(float(log_probs.max(1).sum())) <= total * (1 + 1e-5) <= 1 + 1e-4


def test_unknown_decoder_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError, match=r'no decoder "greedi"; did you mean "greedy"\? choices: '):
        open_decoder("greedi", ALPHABET)


# --------------------------------------------------------------------------------------------------- beam


def text_probabilities(log_probs: LogProbs, alphabet: Alphabet) -> dict[str, float]:
    """The probability of each text, as the sum over all paths."""
    probabilities: dict[str, float] = {}
    for path in itertools.product(range(len(alphabet)), repeat=len(log_probs)):
        text = alphabet.decode(collapse(path))
        p = math.exp(sum(float(row[k]) for row, k in zip(log_probs, path, strict=True)))
        probabilities[text] = probabilities.get(text, 0.0) + p
    return probabilities


@pytest.mark.parametrize("seed", range(30))
def test_wide_beam_finds_the_likeliest_text(seed: int) -> None:
    alphabet = Alphabet(" ab")
    rng = np.random.default_rng(seed)
    log_probs = log_softmax(rng.normal(0, 1.5, (6, len(alphabet))))
    probabilities = text_probabilities(log_probs, alphabet)
    decoder = BeamSearchDecoder(width=500, min_probability=0.0, beam_threshold=0.0, temperature=1.0)
    assert decoder(log_probs, alphabet).text == max(probabilities, key=lambda text: probabilities[text])


@pytest.mark.parametrize("seed", range(30))
def test_wide_beam_with_language_model_finds_the_best_text(seed: int) -> None:
    alphabet = Alphabet(" ab")
    language_model = estimate(["ab ab ba ab", "a ab"] * 9, order=3, cells=2**8)
    rng = np.random.default_rng(seed)
    log_probs = log_softmax(rng.normal(0, 1.0, (6, len(alphabet))))
    scores = {
        text: p * math.exp(-0.7 * language_model.negative_log_likelihood(text) + 0.4 * len(text))
        for text, p in text_probabilities(log_probs, alphabet).items()
    }
    decoder = BeamSearchDecoder(
        language_model,
        width=500,
        lm_weight=0.7,
        character_bonus=0.4,
        min_probability=0.0,
        beam_threshold=0.0,
        temperature=1.0,
    )
    assert decoder(log_probs, alphabet).text == max(scores, key=lambda text: scores[text])


PHRASES = ["bad cab", "a bee", "dead ace", "add a bed"]


def test_temperature_softens_the_log_probs_but_not_the_confidences() -> None:
    language_model, differences = estimate(PHRASES * 9, order=4, cells=2**9), 0
    for seed in range(20):
        log_probs = random_log_probs(seed, 30, scale=9)
        softened = log_probs / 2 - np.log(np.exp(log_probs / 2).sum(axis=1, keepdims=True))
        decoded = BeamSearchDecoder(language_model, temperature=2.0)(log_probs, ALPHABET)
        unsoftened = BeamSearchDecoder(language_model, temperature=1.0)
        assert decoded.text == unsoftened(softened, ALPHABET).text
        differences += decoded.text != unsoftened(log_probs, ALPHABET).text
        starts = [(span.start, ALPHABET.encode(span.character)[0]) for span in decoded.spans]
        assert all(
            span.confidence >= np.exp(log_probs[step, k]) - 1e-6
            for span, (step, k) in zip(decoded.spans, starts, strict=True)
        )
    assert differences


def beam_with_language_model(**fields: float) -> BeamSearchDecoder:
    """A beam search decoder for PHRASES without a temperature."""
    language_model = estimate(PHRASES * 9, order=4, cells=2**9)
    decoder = BeamSearchDecoder(language_model, lm_weight=0.5, character_bonus=1.3, temperature=1.0)
    return replace(decoder, **fields)  # type: ignore[arg-type]


@pytest.mark.slow
def test_pruning_rarely_changes_the_text() -> None:
    unpruned, pruned = beam_with_language_model(width=300, beam_threshold=0.0), beam_with_language_model(width=300)
    equal = 0
    for seed in range(40):
        log_probs = random_log_probs(seed, 30, scale=5)
        equal += pruned(log_probs, ALPHABET).text == unpruned(log_probs, ALPHABET).text
    assert equal >= 39


@pytest.mark.slow
def test_narrow_beam_finds_more_with_one_prefix_a_context() -> None:
    default = BeamSearchDecoder.beam_threshold
    wide = beam_with_language_model(width=300, beam_threshold=0.0)
    narrow = {threshold: beam_with_language_model(beam_threshold=threshold) for threshold in (0.0, default)}
    correct = dict.fromkeys(narrow, 0)
    for seed in range(60):
        log_probs = random_log_probs(seed, 30, scale=5)
        text = wide(log_probs, ALPHABET).text
        for threshold, decoder in narrow.items():
            correct[threshold] += decoder(log_probs, ALPHABET).text == text
    assert correct[default] > correct[0.0] + 4
    assert correct[default] >= 54


def test_language_model_resolves_look_alikes() -> None:
    alphabet = Alphabet(" 10IloOhmw")
    log_probs = np.full((9, len(alphabet)), -12.0, np.float32)

    def set_probabilities(step: int, **probabilities: float) -> None:
        for name, p in probabilities.items():
            log_probs[step, alphabet.encode({"one": "1", "zero": "0"}.get(name, name))[0]] = math.log(p)

    for step in (1, 3, 5, 7):
        log_probs[step, BLANK] = math.log(0.999)
    set_probabilities(0, h=0.99)
    set_probabilities(2, zero=0.55, o=0.45)
    set_probabilities(4, w=0.99)
    set_probabilities(6, m=0.0001)
    log_probs[6, BLANK] = math.log(0.99)
    log_probs[8, BLANK] = math.log(0.99)
    assert GreedyDecoder()(log_probs, alphabet).text == "h0w"
    assert BeamSearchDecoder(estimate(["how low who"] * 20, order=3, cells=2**9))(log_probs, alphabet).text == "how"


def test_random_text_is_decoded_greedily() -> None:
    """A code with uncertain characters: the language model favours words, the log-probabilities favour the code."""
    alphabet, text = Alphabet.from_name("english"), "kXq7Zw9 vB3tGp JxL4"
    log_probs = np.full((2 * len(text), len(alphabet)), math.log(1e-4), np.float32)
    log_probs[::2, BLANK] = math.log(0.99)
    for step, character in enumerate(text):
        log_probs[2 * step + 1, alphabet.encode(character)[0]] = math.log(0.6)
        log_probs[2 * step + 1, alphabet.encode("e" if character != " " else "s")[0]] = math.log(0.3)
    decoder = open_decoder("beam", alphabet)
    assert isinstance(decoder, BeamSearchDecoder)
    assert decoder(log_probs, alphabet).text == text
    assert replace(decoder, random_text_log_prob=-math.inf)(log_probs, alphabet).text != text


def test_language_model_does_not_change_certain_characters() -> None:
    alphabet = Alphabet.from_name("english")
    text = "xQz7 &jK w9#Vt"
    path = [k for i in alphabet.encode(text) for k in (BLANK, int(i))]
    log_probs = np.full((len(path), len(alphabet)), math.log(1e-3 / len(alphabet)), np.float32)
    log_probs[np.arange(len(path)), path] = math.log(0.999)
    assert open_decoder("beam", alphabet)(log_probs, alphabet).text == text


@pytest.mark.parametrize(("p", "text"), [(0.98, "the publio house"), (0.6, "the public house")])
def test_language_model_does_not_overrule_a_clear_line(p: float, text: str) -> None:
    """An old spelling in clear print stays; the same letters seen less clearly become the usual word."""
    alphabet, seen = Alphabet.from_name("english"), "the publio house"
    log_probs = np.full((2 * len(seen), len(alphabet)), math.log(1e-5), np.float32)
    log_probs[::2, BLANK] = math.log(0.999)
    for step, character in enumerate(seen):
        log_probs[2 * step + 1, alphabet.encode(character)[0]] = math.log(p)
    log_probs[2 * seen.index("o") + 1, alphabet.encode("c")[0]] = math.log(0.005)
    decoder = open_decoder("beam", alphabet)
    assert isinstance(decoder, BeamSearchDecoder)
    assert decoder(log_probs, alphabet).text == "the public house"
    assert replace(decoder, clear_line=0.95)(log_probs, alphabet).text == text


@pytest.mark.parametrize("seed", range(20))
def test_beam_spans_are_near_the_greedy_spans(seed: int) -> None:
    log_probs = random_log_probs(seed)
    greedy, beam = GreedyDecoder()(log_probs, ALPHABET), BeamSearchDecoder()(log_probs, ALPHABET)
    if greedy.text == beam.text:
        for beam_span, greedy_span in zip(beam.spans, greedy.spans, strict=True):
            assert beam_span.start < greedy_span.end + 2 and greedy_span.start < beam_span.end + 2


def test_wrong_decoder_argument_is_refused() -> None:
    with pytest.raises(UserError, match="takes no argument after a colon"):
        open_decoder("greedy:english", ALPHABET)
    with pytest.raises(UserError, match="no language model"):
        open_decoder("beam:klingon", ALPHABET)


def test_language_model_of_another_alphabet_is_refused(tmp_path: Path) -> None:
    greek, latin = tmp_path / "greek.lm", tmp_path / "latin.lm"
    estimate(["το νερό είναι κρύο"] * 20, order=3, cells=2**10).save(greek)
    estimate(["the cat sat on the mat"] * 20, order=3, cells=2**10).save(latin)
    letters = Alphabet(" abcdefghijklmnopqrstuvwxyz")
    with pytest.raises(UserError, match=r"greek\.lm is of another alphabet: .* letters .*estimate one"):
        open_decoder(f"beam:{greek}", letters)
    assert isinstance(open_decoder(f"beam:{latin}", letters), BeamSearchDecoder)


def test_visual_confidence_is_the_mean_confidence_of_the_characters() -> None:
    spans = (CharacterSpan("a", 0, 1, 0.5), CharacterSpan("b", 1, 2, 0.9))
    assert DecodedText("ab", 0.5, spans).visual_confidence == pytest.approx(0.7)
    assert DecodedText("", 1.0, ()).visual_confidence == 0
