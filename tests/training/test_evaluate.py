"""Tests of evaluate: a folder of lines and the recipe that composed them give the same score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from glyphline.composing.line_sets import LineSet, write_lines
from glyphline.errors import DataError, UserError
from glyphline.imaging.documents import load
from glyphline.imaging.normalization import canonical_line_image
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.recognizers import ModelInfo, Recognizer
from glyphline.recipe import Recipe
from glyphline.score import FOLDS, score
from glyphline.training import evaluate as evaluate_module
from glyphline.training.evaluate import Evaluation, evaluate, labelled_lines
from glyphline.training.export import open_run

LINE_COUNT = 20


@pytest.fixture(scope="module")
def reader(finished_run: Path) -> LineReader:
    return LineReader(open_run(finished_run))


@pytest.fixture(scope="module")
def lines_folder(tiny_recipe: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test lines of the tiny recipe, written to a folder."""
    out = tmp_path_factory.mktemp("lines") / "test"
    write_lines(LineSet(tiny_recipe().lines, "test", 0), LINE_COUNT, out)
    return out


@pytest.fixture(scope="module")
def evaluation(reader: LineReader, lines_folder: Path) -> Evaluation:
    return evaluate(str(lines_folder), reader, model="tiny")


def predictions(evaluation: Evaluation) -> list[str]:
    return [line.prediction for line in evaluation.scored_lines]


def truths(evaluation: Evaluation) -> list[str]:
    return [line.truth for line in evaluation.scored_lines]


def test_archive_is_no_folder_and_no_recipe_but_to_be_unpacked(reader: LineReader, tmp_path: Path) -> None:
    (tmp_path / "glyphline-lines.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"glyphline-lines\.zip is an archive: unpack it"):
        evaluate(str(tmp_path / "glyphline-lines.zip"), reader)


def test_every_line_is_scored_once(evaluation: Evaluation, lines_folder: Path) -> None:
    rows = (lines_folder / "labels.tsv").read_text().splitlines()
    assert [f"{line.name}\t{line.truth}" for line in evaluation.scored_lines] == rows
    assert evaluation.score == score(truths(evaluation), predictions(evaluation))
    assert evaluation.lines_per_second > 0
    edits = sum(line.cer * len(line.truth) for line in evaluation.scored_lines)
    assert evaluation.score.cer == pytest.approx(edits / sum(len(line.truth) for line in evaluation.scored_lines))


def test_recipe_and_its_lines_on_disk_score_alike(
    tiny_recipe: Callable[..., Recipe], reader: LineReader, evaluation: Evaluation, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_recipe().to_yaml())
    composed = evaluate(str(path), reader, split="test", count=LINE_COUNT)
    assert (truths(composed), predictions(composed)) == (truths(evaluation), predictions(evaluation))
    assert composed.score == evaluation.score
    validation = evaluate(str(path), reader, split="val", count=LINE_COUNT)
    assert set(truths(validation)) != set(truths(evaluation))


def test_chunk_size_does_not_change_the_result(
    reader: LineReader, lines_folder: Path, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_module, "CHUNK_SIZE", 7)
    in_chunks = evaluate(str(lines_folder), reader, progress=lambda items: items)
    assert predictions(in_chunks) == predictions(evaluation)
    assert in_chunks.score == evaluation.score


def test_labelled_lines_are_normalized_like_those_of_a_reader(reader: LineReader, lines_folder: Path) -> None:
    info = reader.recognizer.info
    for name, image, _ in labelled_lines(str(lines_folder), reader.recognizer, "test", LINE_COUNT):
        expected = canonical_line_image(load(lines_folder / name), info.height, info.normalization)
        assert np.array_equal(image, expected)


def test_worst_lines_come_first(evaluation: Evaluation) -> None:
    rates = [line.cer for line in evaluation.worst(LINE_COUNT)]
    assert rates == sorted((line.cer for line in evaluation.scored_lines), reverse=True)
    assert evaluation.worst(3) == evaluation.worst(LINE_COUNT)[:3] and evaluation.worst(0) == []


def test_to_dict_holds_the_documented_values(evaluation: Evaluation) -> None:
    values = evaluation.to_dict()
    assert values["lines"] == LINE_COUNT and values["model"] == "tiny" and values["decoder"] == "greedy"
    for name in ("cer", "wer"):
        low, high = values[f"{name}_interval"]
        assert 0 <= low <= values[name] <= high
    assert 0 <= values["exact"] <= 1 and values["normalisation"] == FOLDS["none"][1]


# -------------------------------------------------------------------------------------------------- folds and alphabets


class FixedTextRecognizer:
    """A recognizer that outputs the same text for every line, two time steps a character."""

    def __init__(self, text: str, alphabet: str) -> None:
        self.info = ModelInfo("fixed", alphabet, 28, 4, "whole")
        self.ids = [0 if k % 2 else alphabet.index(text[k // 2]) + 1 for k in range(2 * len(text))]

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        steps = self.info.steps(lines.shape[2])
        out = np.full((len(lines), steps, len(self.info.alphabet) + 1), -9, np.float32)
        path = (self.ids + [0] * steps)[:steps]
        out[:, np.arange(steps), path] = 0
        return out


def write_one_line(folder: Path, text: str) -> Path:
    """Write one line image with this label to a folder, and return the folder."""
    import cv2

    image = np.zeros((28, 200), np.uint8)
    image[8:20, 20:180:4] = 255
    cv2.imwrite(str(folder / "a.png"), image)
    (folder / "labels.tsv").write_text(f"a.png\t{text}\n")
    return folder


@pytest.mark.parametrize("fold, equal", [("none", False), ("case", True), ("loose", True), ("merged", False)])
def test_fold_decides_which_differences_count(tmp_path: Path, fold: str, equal: bool) -> None:
    recognizer: Recognizer = FixedTextRecognizer("hi you", " abcdefghijklmnopqrstuvwxyzHY")
    result = evaluate(str(write_one_line(tmp_path, "Hi  You")), LineReader(recognizer), fold=fold)
    assert (result.score.exact == 1.0) == equal == (result.scored_lines[0].cer == 0)
    assert result.score.normalisation == FOLDS[fold][1]


def test_truth_is_folded_for_the_merged_alphabet(tmp_path: Path) -> None:
    from glyphline.alphabet import ALPHABETS

    recognizer: Recognizer = FixedTextRecognizer("JaCOb", ALPHABETS["merged"])
    assert evaluate(str(write_one_line(tmp_path, "jacob")), LineReader(recognizer)).score.cer == 0


def test_joiners_that_no_reader_sees_are_no_errors(tmp_path: Path) -> None:
    for alphabet, cer in ((" abc", 0), (" abc\u200c", 1 / 4)):
        recognizer: Recognizer = FixedTextRecognizer("abc", alphabet)
        result = evaluate(str(write_one_line(tmp_path, "ab\u200cc")), LineReader(recognizer))
        assert result.score.cer == pytest.approx(cer)


# ------------------------------------------------------------------------------------------------------------- refusals


def test_wrong_source_or_fold_is_refused(reader: LineReader, lines_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    for source in (tmp_path / "note.txt", tmp_path / "missing"):
        with pytest.raises(DataError, match=r"neither a folder of labelled lines nor a recipe"):
            evaluate(str(source), reader)
    with pytest.raises(DataError, match=r"labels\.tsv"):
        evaluate(str(tmp_path), reader)
    with pytest.raises(UserError, match='no fold "cases"; did you mean "case"'):
        evaluate(str(lines_folder), reader, fold="cases")
