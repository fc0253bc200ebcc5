"""Scores a recognizer and a decoder on labelled lines. Does not import torch."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyphline.alphabet import Alphabet, fold_merged
from glyphline.composing.line_sets import LineSet
from glyphline.errors import DataError
from glyphline.imaging.normalization import canonical_line_image
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.recognizers import Recognizer, alphabet_of
from glyphline.recipe import RECIPE_SUFFIXES, load_recipe
from glyphline.score import FOLDS, Score, character_error_rate, score
from glyphline.training.labelled_lines import is_archive, open_labelled_lines

CHUNK_SIZE = 256  # lines that are held in memory and recognized at a time


@dataclass(frozen=True)
class ScoredLine:
    """The result of one line."""

    name: str  # file name, or "line N" of a recipe
    truth: str
    prediction: str
    confidence: float  # 0..1
    cer: float  # after the fold; a fraction, can exceed 1


@dataclass(frozen=True)
class Evaluation:
    """The score of a reader on labelled lines, and the lines it was computed from."""

    score: Score
    scored_lines: tuple[ScoredLine, ...]
    lines_per_second: float  # of recognition and decoding; loading, composing and normalization are not counted
    model: str
    decoder: str

    def worst(self, count: int = 10) -> list[ScoredLine]:
        """The `count` lines with the highest CER, the highest first."""
        return sorted(self.scored_lines, key=lambda line: -line.cer)[:count]

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that `glyphline evaluate --json` prints. Rates are fractions."""
        s = self.score
        return {
            "lines": s.lines, "cer": s.cer, "cer_interval": list(s.cer_interval), "wer": s.wer,
            "wer_interval": list(s.wer_interval), "exact": s.exact, "lines_per_second": self.lines_per_second,
            "model": self.model, "decoder": self.decoder, "normalisation": s.normalisation,
            "confusions": [[c.truth, c.prediction, c.count] for c in s.confusions],
            "lookalikes": [list(row) for row in s.lookalikes if row[1]], "case_errors": s.case_errors,
        }  # fmt: skip


def labelled_lines(
    source: str, recognizer: Recognizer, split: str, count: int, report: Callable[[str], None] = lambda note: None
) -> Iterator[tuple[str, Any, str]]:
    """Yield (name, canonical image, truth) of each labelled line of a source.

    The image is the recognizer's input: uint8 (H, W), or (H, W, 3) where its normalization is "colour".
    source: a folder of labelled lines, see `open_labelled_lines`, of which all that have a text are taken, or a recipe
    file. split, count: for a recipe only, the first `count` lines of its train, val or test split are composed. report:
    receives notes about lines that are left out.
    Raises DataError when the source is neither or its labels are damaged, ImageError for an image that cannot be
    read, RecipeError for a wrong recipe, and what `LineSet` raises.
    """
    path, info = Path(source), recognizer.info
    if path.is_dir() or is_archive(path):
        labelled = open_labelled_lines(path)
        for note in labelled.notes:
            report(note)
        for item in labelled.lines:
            yield item.name, canonical_line_image(item.image(), info.height, info.normalization), item.text
        return
    if path.suffix not in RECIPE_SUFFIXES:
        raise DataError(
            f"{source} is neither a folder of labelled lines nor a recipe ({', '.join(RECIPE_SUFFIXES)}): "
            "give one of the two"
        )
    recipe = load_recipe(path)
    lines = LineSet(recipe.lines, split, recipe.training.seed)
    for index in range(count):
        line = lines.line(index)
        yield f"line {index}", canonical_line_image(line.image, info.height, info.normalization), line.text


def _without_shapeless(text: str, alphabet: Alphabet) -> str:
    """A text without the characters outside the alphabet that have no shape: joiners, which no reader can see."""
    return "".join(c for c in text if c in alphabet or unicodedata.category(c) != "Cf")


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
    report: Callable[[str], None] = lambda note: None,
) -> Evaluation:
    """Read labelled lines and score them with `glyphline.score.score`, like validation during training.

    source, split, count: see `labelled_lines`. model, decoder: names for the report, the reader alone decides what is
    run. fold: a name in FOLDS. progress: wraps the lines to show how many are done. report: receives notes about lines
    that are left out.
    If the reader's alphabet is the merged one, the truths are folded with `fold_merged` first, because that alphabet
    lacks 15 lower-case letters. Raises UserError for an unknown fold, after the lines were read, and what
    `labelled_lines` raises.
    """
    alphabet = alphabet_of(reader.recognizer)
    scored_lines: list[ScoredLine] = []
    seconds = 0.0
    chunk: list[tuple[str, Any, str]] = []
    apply_fold = FOLDS[fold if fold in FOLDS else "none"][0]  # `score` refuses an unknown fold

    def read_chunk() -> None:
        nonlocal seconds
        start = time.perf_counter()
        decoded_texts = reader.decode_canonical([image for _, image, _ in chunk])
        seconds += time.perf_counter() - start
        for (name, _, text), decoded in zip(chunk, decoded_texts, strict=True):
            truth = fold_merged(text) if alphabet.is_merged else _without_shapeless(text, alphabet)
            cer = character_error_rate(apply_fold(truth), apply_fold(decoded.text))
            scored_lines.append(ScoredLine(name, truth, decoded.text, decoded.confidence, cer))
        chunk.clear()

    lines: Iterable[tuple[str, Any, str]] = labelled_lines(source, reader.recognizer, split, count, report)
    for line in progress(lines) if progress else lines:
        chunk.append(line)
        if len(chunk) == CHUNK_SIZE:
            read_chunk()
    if chunk:
        read_chunk()
    result = score([line.truth for line in scored_lines], [line.prediction for line in scored_lines], fold)
    return Evaluation(result, tuple(scored_lines), len(scored_lines) / max(seconds, 1e-9), model, decoder)
