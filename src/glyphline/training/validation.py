"""The validation of a run: every line with its reading, and the errors by character and by length of the line.

Training writes it to validation.json in the run folder whenever it saves the best weights. Does not import torch.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.errors import DataError
from glyphline.files import write_atomically
from glyphline.reading.recognition.decoders import DecodedText
from glyphline.score import character_error_rate, confusion_pairs, edit_distance, fold_none
from glyphline.training.runs import DAMAGE, describe_damage, read_json_object

if TYPE_CHECKING:
    from glyphline.training.data import Lines

FORMAT_VERSION = 1  # of validation.json
LENGTH_GROUPS = 8  # groups of lines in the error by length, with about as many lines each
WORST_PICTURES, OTHER_PICTURES = 16, 8  # validation lines whose pictures are kept: the worst, and the first ones
SAMPLE_PICTURES = 8  # training lines whose pictures are kept


@dataclass(frozen=True)
class ErrorSummary:
    """The errors of the validation lines, after `fold_none`."""

    characters: tuple[tuple[str, int, int], ...]  # (character, misread or missed, in the truths); most errors first
    confusions: tuple[tuple[str, str, int], ...]  # (truth, read, times); "" for nothing; the most frequent first
    lengths: tuple[tuple[int, int, int, float], ...]  # (shortest, longest, lines, CER) of groups of lines


def summarize_errors(truths: Sequence[str], texts: Sequence[str]) -> ErrorSummary:
    """Count the errors of texts against their truths by character, by pair and by length of the line."""
    truths, texts = [fold_none(truth) for truth in truths], [fold_none(text) for text in texts]
    pairs = confusion_pairs(truths, texts)
    totals = Counter("".join(truths))
    wrong: Counter[str] = Counter()
    for (truth, _), count in pairs.items():
        wrong[truth] += count
    characters = sorted(((c, wrong[c], n) for c, n in totals.items()), key=lambda row: (-row[1], row[0]))
    lengths = np.array([len(truth) for truth in truths], np.int64)
    errors = np.array([edit_distance(*pair) for pair in zip(truths, texts, strict=True)], np.int64)
    groups = []
    quantiles = np.linspace(0, 1, LENGTH_GROUPS + 1)
    edges: list[int] = np.unique(np.quantile(lengths, quantiles, method="nearest")).tolist() if truths else []
    for k, high in enumerate(edges):
        low = edges[k - 1] + 1 if k else high
        chosen = (lengths >= low) & (lengths <= high)
        if chosen.any():
            cer = errors[chosen].sum() / max(1, lengths[chosen].sum())
            groups.append((int(lengths[chosen].min()), high, int(chosen.sum()), float(cer)))
    confusions = tuple((truth, text, count) for (truth, text), count in pairs.most_common())
    return ErrorSummary(tuple(characters), confusions, tuple(groups))


@dataclass(frozen=True)
class ValidationLine:
    """A validation line and its reading by greedy decoding."""

    index: int  # number of the line in the validation set
    truth: str
    text: str
    confidences: tuple[float, ...]  # probability 0..1 of each character of `text`, three decimals
    picture: str = ""  # PNG in base64; "" where it was not kept

    @property
    def cer(self) -> float:
        """The character error rate of the line after `fold_none`, a fraction."""
        return character_error_rate(fold_none(self.truth), fold_none(self.text))


@dataclass(frozen=True)
class Validation:
    """The readings of all validation lines at one optimiser step, and pictures of composed training lines."""

    step: int
    lines: tuple[ValidationLine, ...]
    samples: tuple[tuple[str, str], ...] = ()  # (text, PNG in base64) of the first training lines

    def errors(self) -> ErrorSummary:
        """The errors of the lines by character, by pair and by length."""
        return summarize_errors([line.truth for line in self.lines], [line.text for line in self.lines])

    def to_json(self) -> str:
        """The content of validation.json."""
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, ensure_ascii=False)


def encode_picture(image: npt.NDArray[np.uint8]) -> str:
    """A canonical line, (H, W) or (H, W, 3) in RGB, as a PNG in base64."""
    ok, png = cv2.imencode(".png", image if image.ndim == 2 else image[..., ::-1])
    assert ok  # PNG of a uint8 array always encodes
    return base64.b64encode(png.tobytes()).decode()


def make_validation(
    step: int, decoded: Sequence[tuple[int, str, DecodedText]], lines: Lines, training_lines: Lines
) -> Validation:
    """Collect the readings of a validation. Draws the pictures of the worst and of the first lines again.

    decoded: (number of the line, truth, reading) of each line of the set `lines`. training_lines: its first lines
    become the samples.
    """
    readings = [
        ValidationLine(index, truth, text.text, tuple(round(span.confidence, 3) for span in text.spans))
        for index, truth, text in sorted(decoded, key=lambda row: row[0])
    ]
    worst = sorted(readings, key=lambda line: -line.cer)[:WORST_PICTURES]
    pictured = {line.index for line in (*worst, *readings[:OTHER_PICTURES])}
    pictures = {index: encode_picture(lines.canonical_line(index)[0]) for index in pictured}
    samples = [training_lines.canonical_line(index) for index in range(SAMPLE_PICTURES)]
    return Validation(
        step,
        tuple(
            ValidationLine(line.index, line.truth, line.text, line.confidences, pictures.get(line.index, ""))
            for line in readings
        ),
        tuple((text, encode_picture(image)) for image, text in samples),
    )


def write_validation(validation: Validation, path: Path) -> None:
    """Write validation.json, whole or not at all. Raises OSError when it cannot be written."""
    write_atomically(path, validation.to_json().encode())


def read_validation(path: Path) -> Validation:
    """Read validation.json. Raises DataError for a file that is missing, damaged or of another version."""
    try:
        content = read_json_object(path)
        if content["format_version"] != FORMAT_VERSION:
            raise DataError(
                f"{path} has the format {content['format_version']}, this version reads {FORMAT_VERSION}: delete it, "
                "and the report reads the lines again"
            )
        lines = tuple(_read_line(row) for row in content["lines"])
        samples = tuple((str(text), _require_picture(picture)) for text, picture in content["samples"])
        return Validation(int(content["step"]), lines, samples)
    except DAMAGE as error:
        raise DataError(f"{describe_damage(path, error)}: delete it, and the report reads the lines again") from None


def _read_line(row: dict[str, Any]) -> ValidationLine:
    """A line of validation.json. Raises one of DAMAGE."""
    text, confidences = str(row["text"]), tuple(map(float, row["confidences"]))
    if len(confidences) != len(text) or not all(0 <= confidence <= 1 for confidence in confidences):
        raise ValueError("confidences do not fit their text")
    return ValidationLine(int(row["index"]), str(row["truth"]), text, confidences, _require_picture(row["picture"]))


def _require_picture(picture: Any) -> str:
    """A picture as it is, "" or an image in base64. Raises TypeError or ValueError for anything else."""
    if picture and cv2.imdecode(np.frombuffer(base64.b64decode(picture, validate=True), np.uint8), 0) is None:
        raise ValueError("a picture cannot be decoded")
    return str(picture)
