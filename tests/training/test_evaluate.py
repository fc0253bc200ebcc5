"""Evaluating: the same lines and the same reader give the one score, wherever the lines come from."""

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
from glyphline.training import evaluate as evaluating
from glyphline.training.evaluate import Evaluation, evaluate, labelled_lines
from glyphline.training.export import open_run

COUNT = 20


@pytest.fixture(scope="module")
def reader(finished: Path) -> LineReader:
    return LineReader(open_run(finished))


@pytest.fixture(scope="module")
def folder(tiny: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test lines of the tiny recipe on disk."""
    out = tmp_path_factory.mktemp("lines") / "test"
    write_lines(LineSet(tiny().lines, "test", 0), COUNT, out)
    return out


@pytest.fixture(scope="module")
def result(reader: LineReader, folder: Path) -> Evaluation:
    return evaluate(str(folder), reader, model="tiny")


def test_every_line_is_scored_once_and_by_the_one_score(result: Evaluation, folder: Path) -> None:
    rows = (folder / "labels.tsv").read_text().splitlines()
    assert [f"{reading.name}\t{reading.truth}" for reading in result.readings] == rows
    assert result.score == score([r.truth for r in result.readings], [r.read for r in result.readings])
    assert result.lines_per_second > 0
    total = sum(reading.cer * len(reading.truth) for reading in result.readings)
    assert result.score.cer == pytest.approx(total / sum(len(reading.truth) for reading in result.readings))


def test_a_recipe_and_its_lines_on_disk_score_alike(
    tiny: Callable[..., Recipe], reader: LineReader, result: Evaluation, tmp_path: Path
) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(tiny().to_yaml())
    composed = evaluate(str(recipe), reader, split="test", count=COUNT)
    assert [(r.truth, r.read) for r in composed.readings] == [(r.truth, r.read) for r in result.readings]
    assert composed.score == result.score
    other = evaluate(str(recipe), reader, split="val", count=COUNT)
    assert {r.truth for r in other.readings} != {r.truth for r in result.readings}


def test_reading_in_chunks_changes_nothing(
    reader: LineReader, folder: Path, result: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluating, "CHUNK", 7)
    again = evaluate(str(folder), reader, progress=lambda items: items)
    assert [r.read for r in again.readings] == [r.read for r in result.readings]
    assert again.score == result.score


def test_lines_come_through_the_one_door(reader: LineReader, folder: Path) -> None:
    info = reader.recognizer.info
    for name, image, _ in labelled_lines(str(folder), reader.recognizer, "test", COUNT):
        assert np.array_equal(image, canonical_line_image(load(folder / name), info.height, info.normalization))


def test_the_worst_lines_come_first(result: Evaluation) -> None:
    rates = [reading.cer for reading in result.worst(COUNT)]
    assert rates == sorted((reading.cer for reading in result.readings), reverse=True)
    assert result.worst(3) == result.worst(COUNT)[:3] and result.worst(0) == []


def test_the_object_holds_what_the_contract_says(result: Evaluation) -> None:
    said = result.to_dict()
    assert said["lines"] == COUNT and said["model"] == "tiny" and said["decoder"] == "greedy"
    for name in ("cer", "wer"):
        low, high = said[f"{name}_interval"]
        assert 0 <= low <= said[name] <= high
    assert 0 <= said["exact"] <= 1 and said["normalisation"] == FOLDS["none"][1]


# -------------------------------------------------------------------------------------------------- folds and alphabets


class Parrot:
    """A recognizer that says one text to every line, a character in two steps."""

    def __init__(self, text: str, alphabet: str) -> None:
        self.info = ModelInfo("parrot", alphabet, 28, 4, "whole")
        self.ids = [0 if k % 2 else alphabet.index(text[k // 2]) + 1 for k in range(2 * len(text))]

    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        steps = self.info.steps(lines.shape[2])
        out = np.full((len(lines), steps, len(self.info.alphabet) + 1), -9, np.float32)
        path = (self.ids + [0] * steps)[:steps]
        out[:, np.arange(steps), path] = 0
        return out


def one_line(folder: Path, text: str) -> Path:
    import cv2

    image = np.zeros((28, 200), np.uint8)
    image[8:20, 20:180:4] = 255
    cv2.imwrite(str(folder / "a.png"), image)
    (folder / "labels.tsv").write_text(f"a.png\t{text}\n")
    return folder


@pytest.mark.parametrize("fold, right", [("none", False), ("case", True), ("loose", True), ("merged", False)])
def test_a_fold_forgives_what_it_names(tmp_path: Path, fold: str, right: bool) -> None:
    recognizer: Recognizer = Parrot("hi you", " abcdefghijklmnopqrstuvwxyzHY")
    result = evaluate(str(one_line(tmp_path, "Hi  You")), LineReader(recognizer), fold=fold)
    assert (result.score.exact == 1.0) == right == (result.readings[0].cer == 0)
    assert result.score.normalisation == FOLDS[fold][1]


def test_a_reader_of_merged_letters_is_not_blamed_for_what_it_cannot_say(tmp_path: Path) -> None:
    from glyphline.alphabet import ALPHABETS

    recognizer: Recognizer = Parrot("JaCOb", ALPHABETS["merged"])
    assert evaluate(str(one_line(tmp_path, "jacob")), LineReader(recognizer)).score.cer == 0


# ------------------------------------------------------------------------------------------------------ what is refused


def test_what_is_neither_lines_nor_a_recipe_is_refused(reader: LineReader, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    for source in (tmp_path / "note.txt", tmp_path / "missing"):
        with pytest.raises(DataError, match=r"neither a folder with labels.* nor a recipe"):
            evaluate(str(source), reader)
    with pytest.raises(DataError, match=r"labels\.tsv"):
        evaluate(str(tmp_path), reader)
    with pytest.raises(UserError, match='no fold "cases"; did you mean "case"'):
        evaluate(str(folder), reader, fold="cases")
