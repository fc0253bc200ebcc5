"""A recognizer and a decoder on labelled lines -> a score; loads no torch for an ONNX model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyphline.alphabet import fold_merged
from glyphline.composing.line_sets import LineSet, read_labels
from glyphline.errors import DataError
from glyphline.imaging.documents import load
from glyphline.imaging.normalization import canonical_line_image
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.recognizers import Recognizer, alphabet_of
from glyphline.recipe import ENDINGS, load_recipe
from glyphline.score import FOLDS, Score, character_error_rate, score

CHUNK = 256  # lines prepared and read at a time


@dataclass(frozen=True)
class ScoredLine:
    """One line that was read."""

    name: str
    truth: str
    read: str
    confidence: float
    cer: float


@dataclass(frozen=True)
class Evaluation:
    """A score and what it was made of."""

    score: Score
    readings: tuple[ScoredLine, ...]
    lines_per_second: float  # reading alone: canonical images in, text out
    model: str
    decoder: str

    def worst(self, most: int = 10) -> list[ScoredLine]:
        """The lines with the most errors a character, the worst first."""
        return sorted(self.readings, key=lambda r: -r.cer)[:most]

    def to_dict(self) -> dict[str, Any]:
        """What `glyphline evaluate --json` prints."""
        s = self.score
        return {
            "lines": s.lines, "cer": s.cer, "cer_interval": list(s.cer_interval), "wer": s.wer,
            "wer_interval": list(s.wer_interval), "exact": s.exact, "lines_per_second": self.lines_per_second,
            "model": self.model, "decoder": self.decoder, "normalisation": s.normalisation,
            "confusions": [[c.truth, c.read, c.count] for c in s.confusions],
            "lookalikes": [list(row) for row in s.lookalikes if row[1]], "case_errors": s.case_errors,
        }  # fmt: skip


def labelled_lines(source: str, recognizer: Recognizer, split: str, count: int) -> Iterator[tuple[str, Any, str]]:
    """(name, canonical image, truth) of a folder with labels.tsv, or of `count` lines a recipe composes.

    Raises DataError when the source is neither.
    """
    path, info = Path(source), recognizer.info
    if path.is_dir():
        for image, text in read_labels(path):
            yield image.name, canonical_line_image(load(image), info.height, info.normalization), text
        return
    if path.suffix not in ENDINGS:
        raise DataError(f"{source} is neither a folder with labels.tsv nor a recipe ({', '.join(ENDINGS)})")
    recipe = load_recipe(path)
    lines = LineSet(recipe.lines, split, recipe.training.seed)
    for index in range(count):
        line = lines.line(index)
        yield f"line {index}", canonical_line_image(line.image, info.height, info.normalization), line.text


def evaluate(
    source: str,
    reader: LineReader,
    *,
    model: str = "",
    decoder: str = "greedy",
    fold: str = "none",
    split: str = "test",
    count: int = 1000,
    progress: Callable[[Iterable[Any]], Iterable[Any]] | None = None,
) -> Evaluation:
    """Read labelled lines and score them with the one definition of right (`glyphline.score`).

    Truths are said in the reader's alphabet where it is the merged one, which cannot say 15 lower-case letters.
    """
    alphabet = alphabet_of(reader.recognizer)
    readings: list[ScoredLine] = []
    seconds = 0.0
    waiting: list[tuple[str, Any, str]] = []
    function = FOLDS[fold][0] if fold in FOLDS else FOLDS["none"][0]

    def read_waiting() -> None:
        nonlocal seconds
        started = time.perf_counter()
        decoded = reader.decode_all([image for _, image, _ in waiting])
        seconds += time.perf_counter() - started
        for (name, _, text), said in zip(waiting, decoded, strict=True):
            truth = fold_merged(text) if alphabet.merges else text
            rate = character_error_rate(function(truth), function(said.text))
            readings.append(ScoredLine(name, truth, said.text, said.confidence, rate))
        waiting.clear()

    every: Iterable[tuple[str, Any, str]] = labelled_lines(source, reader.recognizer, split, count)
    for item in progress(every) if progress else every:
        waiting.append(item)
        if len(waiting) == CHUNK:
            read_waiting()
    if waiting:
        read_waiting()
    result = score([r.truth for r in readings], [r.read for r in readings], fold)
    return Evaluation(result, tuple(readings), len(readings) / max(seconds, 1e-9), model, decoder)
