"""Labels that belong to another picture are named; those of a hand that cannot be read are not."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest

from glyphline.composing.line_sets import LineSet
from glyphline.imaging.documents import GreyImage
from glyphline.reading.lines import LineReader, open_line_reader
from glyphline.recipe import recipe_from
from glyphline.training.labelled_lines import LabelledLine
from glyphline.training.misfits import MIN_SEEN, find_misfits, neighbours_of


@pytest.fixture(scope="module")
def reader() -> LineReader:
    return open_line_reader("photo")


def labelled(images: list[GreyImage], texts: list[str]) -> list[LabelledLine]:
    pairs = enumerate(zip(images, texts, strict=True))
    return [LabelledLine(f"{k}.png", text, partial(np.copy, image)) for k, (image, text) in pairs]


@pytest.fixture(scope="module")
def composed() -> tuple[list[GreyImage], list[str]]:
    settings = {"alphabet": "english", "layout": "natural", "glyphs": ["strokes"], "length": [12, 30]}
    lines = [LineSet(recipe_from({"lines": settings}).lines, "test").line(k) for k in range(6)]
    return [line.image for line in lines], [line.text for line in lines]


def test_texts_of_other_lines_are_found(reader: LineReader, composed: tuple[list[GreyImage], list[str]]) -> None:
    images, texts = composed
    assert list(find_misfits(labelled(images, texts), reader)) == []
    swapped = [texts[1], texts[0], *texts[2:]]
    assert [number for number, _ in find_misfits(labelled(images, swapped), reader)] == [0, 1]


def test_shifted_labels_are_found_where_little_is_seen(
    reader: LineReader, composed: tuple[list[GreyImage], list[str]]
) -> None:
    images, texts = composed
    blurred = [cv2.GaussianBlur(image, (0, 0), image.shape[0] / 14) for image in images]
    seen = [posteriors.confidence for posteriors in reader.recognize(blurred)]
    assert min(seen) < MIN_SEEN
    assert list(find_misfits(labelled(blurred, texts), reader)) == []
    found = [number for number, _ in find_misfits(labelled(blurred, [*texts[1:], texts[0]]), reader)]
    assert len(found) >= 5 and seen.index(min(seen)) in found


def test_neighbours_are_the_other_texts_beside_a_line() -> None:
    assert neighbours_of(["a", "b", "b", "c", "d"], 1) == ["a", "c"] and neighbours_of(["a"], 0) == []


def test_small_mistakes_of_the_reader_are_no_misfit(
    reader: LineReader, composed: tuple[list[GreyImage], list[str]]
) -> None:
    images, texts = composed
    nearly = [text[:3] + "x" + text[4:] for text in texts]
    assert list(find_misfits(labelled(images, nearly), reader)) == []


def test_characters_that_the_reader_does_not_know_are_to_be_learned(
    reader: LineReader, composed: tuple[list[GreyImage], list[str]]
) -> None:
    images, texts = composed
    unknown = ["СТОП СТОП СТОП", f"{texts[1]} ж", texts[0] + "ж", *texts[3:]]
    assert [number for number, _ in find_misfits(labelled(images, unknown), reader)] == [2]


def test_where_little_is_seen_nothing_is_said(reader: LineReader) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (48, 400)).astype(np.uint8)
    blank = np.full((48, 400), 255, np.uint8)
    assert list(find_misfits(labelled([noise, blank], ["the harbour museum"] * 2), reader)) == []
