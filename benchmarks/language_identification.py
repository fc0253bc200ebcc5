"""Fits and tests the two weights by which the language of a text is found (languages.IdentificationWeights).

    pip install wordfreq -c constraints.txt && python benchmarks/language_identification.py

writes benchmarks/results/language_identification.json.

Texts of the ten languages: sentences of $GLYPHLINE_DATA/text, cut to 8-60 characters. Texts in none of them: words of
OTHERS drawn by their frequency (wordfreq; CC BY-SA 4.0), which the ten languages get as well, so that the order of the
words does not tell them apart. A share of up to 15 % of the characters is replaced, as a recognizer without a language
model misreads them. The fit maximizes the likelihood of the languages of the validation texts; Swedish and half of
OTHERS are only tested on.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import wordfreq

from glyphline.composing.sentences import split_sentences
from glyphline.reading.recognition.languages import (
    LANGUAGES,
    NONE,
    WEIGHTS,
    candidate_languages,
    language_model_of,
    log_likelihoods,
)
from languages import texts_of

RESULTS = Path(__file__).parent / "results" / "language_identification.json"
#: languages without a model -> split
OTHERS = {
    "nb": "val", "ca": "val", "ro": "val", "cs": "val", "fi": "val", "id": "val",
    "hu": "test", "tr": "test", "sk": "test", "lt": "test", "is": "test", "sl": "test",
}  # fmt: skip
HELD_OUT_LANGUAGE = "sv"
COUNT = 300  # texts of each language and split
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def texts(code: str, split: str) -> Iterator[str]:
    """COUNT texts of a language with misread characters, half sentences and half words where it has a model."""
    rng = random.Random(f"{code}/{split}")
    words = wordfreq.top_n_list(code, 5000)
    frequencies = [wordfreq.word_frequency(word, code) for word in words]
    sentences = split_sentences(texts_of(code))[split] if code in LANGUAGES else ()
    for index in range(COUNT):
        length = rng.randint(8, 60)
        text = rng.choice(sentences) if sentences and index % 2 else " ".join(rng.choices(words, frequencies, k=12))
        text = text[:length].rsplit(" ", 1)[0] if " " in text[:length] else text[:length]
        if not index % 2 and rng.random() < 0.5:
            text = text[:1].upper() + text[1:]
        errors = rng.uniform(0, 0.15)
        yield "".join(rng.choice(ALPHABET) if c.isalpha() and rng.random() < errors else c for c in text)


def labelled(split: str) -> tuple[list[str], list[str]]:
    """Texts and the codes of their languages, NONE for one without a model."""
    rows = [(text, code) for code in LANGUAGES if (code != HELD_OUT_LANGUAGE or split == "test")
            for text in texts(code, split)]  # fmt: skip
    rows += [(text, NONE) for code, part in OTHERS.items() if part == split for text in texts(code, split)]
    return [text for text, _ in rows], [code for _, code in rows]


def main() -> None:
    codes = [*LANGUAGES, NONE]
    models = [language_model_of(code) for code in LANGUAGES]
    fitted_texts, fitted_codes = labelled("val")
    nats = torch.tensor([log_likelihoods(text, models, WEIGHTS) for text in fitted_texts], dtype=torch.float64)
    lengths = torch.tensor([len(text) for text in fitted_texts], dtype=torch.float64)
    labels = torch.tensor([codes.index(code) for code in fitted_codes])
    counts = torch.bincount(labels, minlength=len(codes)).clamp(min=1)
    weights = (len(labels) / counts)[labels]  # every language counts alike
    parameters = torch.tensor([WEIGHTS.scale, WEIGHTS.none_log_prob], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        scores = parameters[0] * torch.cat([nats, (parameters[1] * lengths)[:, None]], dim=1)
        total = (torch.nn.functional.cross_entropy(scores, labels, reduction="none") * weights).mean()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    scale, none_log_prob = (round(float(value), 3) for value in parameters.detach())
    fitted = replace(WEIGHTS, scale=scale, none_log_prob=none_log_prob)
    report = {"scale": scale, "none_log_prob": none_log_prob, "found alone": {}, "texts": COUNT}
    for code in [*LANGUAGES, *(code for code, part in OTHERS.items() if part == "test")]:
        found = Counter(next(iter(candidate_languages([text], weights=fitted)[0])) for text in texts(code, "test"))
        report["found alone"][code] = {name: round(n / COUNT, 3) for name, n in found.most_common(3)}  # type: ignore[index]
        print(code, report["found alone"][code], file=sys.stderr)  # type: ignore[index]
    print(f"IdentificationWeights(scale={scale}, none_log_prob={none_log_prob})", file=sys.stderr)
    assert np.isfinite([scale, none_log_prob]).all()
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
