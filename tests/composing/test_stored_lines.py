"""Lines in Parquet files are the lines that composing gives, bit for bit, and training from them gives the same run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from glyphline.addresses import open_path
from glyphline.cli import main
from glyphline.composing import stored_lines
from glyphline.composing.line_sets import LineSet
from glyphline.composing.stored_lines import StoredLineSet, write_parquet
from glyphline.errors import DataError
from glyphline.recipe import LinesRecipe

parquet = pytest.importorskip("pyarrow.parquet", reason='needs pip install "glyphline[cluster]"')

RECIPES = {
    "natural": LinesRecipe(length=(4, 12)),
    "tiles": LinesRecipe(layout="tiles", length=(6, 6), cut="character", height=28, pad=True, jitter=0.5),
}


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(stored_lines, "FILE_LINES", 128)
    stored_lines._read_group.cache_clear()
    yield
    stored_lines._read_group.cache_clear()


@pytest.mark.parametrize("name", RECIPES)
def test_stored_lines_are_the_composed_lines(name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    lines = LineSet(recipe, "train", 5)
    assert write_parquet(lines, 150, tmp_path) == 150
    stored = StoredLineSet(recipe, "train", 5, tmp_path, 150)
    indices = [149, 0, 64, 127, 128, 3]
    images, texts = lines.canonical_batch(indices)
    stored_images, stored_texts = stored.canonical_batch(indices)
    assert stored_texts == texts == [stored.text(index) for index in indices]
    assert all(np.array_equal(a, b) for a, b in zip(images, stored_images, strict=True))
    rows = parquet.read_table(tmp_path / "lines-000000128.parquet").to_pylist()
    assert [row["number"] for row in rows] == list(range(128, 150))
    image = cv2.imdecode(np.frombuffer(rows[0]["image"], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(image, lines.line(128).image)


def test_interrupted_writing_continues(tmp_path: Path) -> None:
    lines = LineSet(RECIPES["tiles"], "train", 5)
    assert write_parquet(lines, 130, tmp_path) == 130
    first = tmp_path / "lines-000000000.parquet"
    contents = {path.name: path.read_bytes() for path in tmp_path.glob("*.parquet")}
    time_ns = first.stat().st_mtime_ns
    (tmp_path / "lines-000000128.parquet").unlink()
    assert write_parquet(lines, 130, tmp_path) == 2 and write_parquet(lines, 130, tmp_path) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.parquet")} == contents
    assert write_parquet(lines, 140, tmp_path) == 12  # the last file is written again
    assert first.stat().st_mtime_ns == time_ns
    StoredLineSet(RECIPES["tiles"], "train", 5, tmp_path, 140)


def test_other_or_missing_lines_are_refused(tmp_path: Path) -> None:
    recipe = RECIPES["tiles"]
    with pytest.raises(DataError, match="holds no composed lines"):
        StoredLineSet(recipe, "train", 5, tmp_path, 1)
    write_parquet(LineSet(recipe, "train", 5), 130, tmp_path)
    for needed, stored in ((131, 130), (300, 130)):
        with pytest.raises(DataError, match=f"holds {stored} lines, but {needed} are needed"):
            StoredLineSet(recipe, "train", 5, tmp_path, needed)
    for other in (LineSet(recipe, "train", 6), LineSet(dataclasses.replace(recipe, jitter=0.0), "train", 5)):
        with pytest.raises(DataError, match="other settings"):
            write_parquet(other, 10, tmp_path)
    with pytest.raises(DataError, match="other settings"):
        StoredLineSet(recipe, "train", 6, tmp_path, 1)
    (tmp_path / "lines-000000000.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot be read"):
        StoredLineSet(recipe, "train", 5, tmp_path, 130).canonical_line(0)


def test_compose_writes_parquet_to_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("upath")
    address = "memory://glyphline-stored"
    words = ["compose", "-n", "130", "--layout", "tiles", "--format", "parquet", "--out", address]
    for expected in ("130 of them new", "0 of them new"):
        with pytest.raises(SystemExit) as exit_info:
            main(words)
        assert exit_info.value.code == 0 and expected in capsys.readouterr().err
    settings = json.loads((open_path(address) / "compose.json").read_text())
    assert settings["split"] == "train" and len(list(open_path(address).glob("*.parquet"))) == 2
    for extra in (["--boxes"], ["--format", "png"], ["--format", "tar"]):
        with pytest.raises(SystemExit) as exit_info:
            main([*words, *extra])
        assert exit_info.value.code == 2 and capsys.readouterr().err.count("\n") == 1
