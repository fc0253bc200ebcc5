"""Compares recognizers, each alone, on the photographed lines and words in $GLYPHLINE_DATA/photos.

    python benchmarks/recognizers.py reader latin pp-ocr runs/photo    # writes benchmarks/results/recognizers.json

A recognizer is a bundled model, "pp-ocr", an .onnx file, or the run folder (or best.pt) of `glyphline train`. Nothing
was trained or fitted on these photographs. Every line is one image, read as it was cropped: no detector, no rejection.
CER with loose folding (`glyphline.score`), with greedy decoding, and with the beam and the language of the line; and
the expected calibration error of the confidences of words, case aside.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glyphline.cli.options import model_or_recognizer
from glyphline.imaging.documents import ColourImage, Document
from glyphline.page import Line
from glyphline.reading.lines import open_line_reader
from glyphline.reading.recognition.calibration import calibration_error
from glyphline.reading.recognition.recognizers import open_recognizer
from glyphline.score import fold_none, score
from glyphline.training.calibrate import matches
from pages import LINES, load_photographs

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "recognizers.json"
KINDS = ("hand print", "signs", "printed")


def photographed_lines() -> dict[str, list[tuple[ColourImage, str]]]:
    """The photographed lines and words of each kind in KINDS with their texts."""
    lines = defaultdict(list)
    for photograph in load_photographs():
        kind, _, extent = photograph.kind.partition(", ")
        if kind in KINDS and extent.endswith(LINES):
            with Document(str(photograph.path)) as document:
                lines[kind].append((document.colour(0), " ".join(photograph.lines)))
    return lines


def measure(name: str, lines: dict[str, list[tuple[ColourImage, str]]]) -> dict[str, Any]:
    """CER and its interval of one recognizer for each decoder and kind, as fractions."""
    recognizer = model_or_recognizer(name)
    recognizer = open_recognizer(recognizer) if isinstance(recognizer, str) else recognizer
    row: dict[str, Any] = {"recognizer": name}
    for decoder in ("greedy", "beam"):
        reader = open_line_reader(recognizer, decoder)
        for kind, pairs in lines.items():
            read = [reader.read_lines([image])[0] for image, _ in pairs]  # each in a language of its own
            result = score([truth for _, truth in pairs], [line.text for line in read], "loose")
            row[f"{kind} {decoder}"] = {
                "cer": result.cer, "cer_interval": result.cer_interval, "lines": len(pairs),
                "word_ece": word_calibration_error(read, [truth for _, truth in pairs]),
                "words": sum(len(line.words) for line in read),
            }  # fmt: skip
    return row


def word_calibration_error(lines: Sequence[Line], truths: Sequence[str]) -> float:
    """The expected calibration error of the confidences of all words, of which those are right that the truth has."""
    confidences = [word.confidence for line in lines for word in line.words]
    right = [
        is_right
        for line, truth in zip(lines, truths, strict=True)
        for is_right in matches(*(fold_none(text).casefold().split() for text in (line.text, truth)))
    ]
    return calibration_error(confidences, right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recognizers", nargs="+", help="bundled models, pp-ocr, .onnx files, run folders")
    arguments = parser.parse_args()
    lines = photographed_lines()
    rows = [measure(name, lines) for name in arguments.recognizers]
    RESULTS.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    columns = [f"{kind} {decoder}" for kind in KINDS for decoder in ("greedy", "beam")]
    print("| recognizer | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for row in rows:
        print(
            f"| {row['recognizer']} | " + " | ".join(f"{100 * row[column]['cer']:.1f} %" for column in columns) + " |"
        )
        errors = (f"{100 * row[column]['word_ece']:.1f} % of {row[column]['words']}" for column in columns)
        print("| error of the confidences of words | " + " | ".join(errors) + " |")


if __name__ == "__main__":
    main()
