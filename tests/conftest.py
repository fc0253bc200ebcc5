"""Fixtures: a miniature EMNIST and WikiSplit in the layout of the official files, and the folder of the real data."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from glyphline.composing.glyphs import EMNIST_SPLITS, TILE
from glyphline.composing.glyphs.emnist import VALIDATION_MODULUS
from glyphline.composing.sentences import _load_splits

ROOT = Path(__file__).parents[1]
Bytes = npt.NDArray[np.uint8]
TRAIN, VAL, TEST = 4, 2, 3  # images of each character in the miniature EMNIST


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, which a run without -n can do without
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file a worker, and the tests of clusters in one of them: two clusters at once are more than two cores carry."""
    from xdist.scheduler import LoadFileScheduling

    class OneClusterAtATime(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            scope = super()._split_scope(nodeid)
            return "tests/cluster" if scope.startswith("tests/cluster/") else scope

    return OneClusterAtATime(config, log)


def encode_idx(array: Bytes) -> bytes:
    """Encode an array as an IDX file."""
    sizes = b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return b"\0\0\x08" + bytes([array.ndim]) + sizes + array.tobytes()


def draw_character(character: str, rng: np.random.Generator) -> Bytes:
    """Draw an upright tile of a character with random size, thickness, position and brightness."""
    scale, thickness = float(rng.uniform(0.75, 0.95)), int(rng.integers(1, 3))
    (w, h), _ = cv2.getTextSize(character, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    x, y = (TILE - w) // 2 + int(rng.integers(-2, 3)), (TILE + h) // 2 + int(rng.integers(-2, 3))
    tile = np.zeros((TILE, TILE), np.uint8)
    brightness = int(rng.integers(200, 256))
    cv2.putText(tile, character, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, brightness, thickness, cv2.LINE_AA)
    return tile


@cache
def emnist_files(split: str) -> dict[str, bytes]:
    """The four gzipped IDX files and the mapping of an EMNIST split. Every character is in train, val and test."""
    characters, first_label = EMNIST_SPLITS[split]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    rows: dict[str, list[tuple[Bytes, int]]] = {"train": [], "test": []}
    for label, character in enumerate(characters, first_label):
        known: set[bytes] = set()
        missing = {"train": TRAIN, "val": VAL, "test": TEST}
        while any(missing.values()):
            transposed = draw_character(character, rng).T  # the official files contain transposed images
            if transposed.tobytes() in known:
                continue
            known.add(transposed.tobytes())
            is_validation = zlib.crc32(transposed.tobytes()) % VALIDATION_MODULUS == 0
            part = next((p for p in ("val" if is_validation else "train", "test") if missing[p]), None)
            if part:
                missing[part] -= 1
                rows["test" if part == "test" else "train"].append((transposed, label))
    files = {}
    for part, pairs in rows.items():
        order = rng.permutation(len(pairs))
        images = np.stack([pairs[i][0] for i in order])
        labels = np.array([pairs[i][1] for i in order], np.uint8)
        files[f"emnist-{split}-{part}-images-idx3-ubyte.gz"] = gzip.compress(encode_idx(images), 1)
        files[f"emnist-{split}-{part}-labels-idx1-ubyte.gz"] = gzip.compress(encode_idx(labels), 1)
    mapping = "".join(f"{label} {ord(c)}\n" for label, c in enumerate(characters, first_label))
    files[f"emnist-{split}-mapping.txt"] = mapping.encode()
    return files


@dataclass(frozen=True)
class TinyEmnist:
    """A data folder with a miniature EMNIST. A test may change its files."""

    data: Path  # the value of GLYPHLINE_DATA

    @property
    def folder(self) -> Path:
        return self.data / "emnist" / "gzip"

    def path(self, part: str, kind: str, split: str = "byclass") -> Path:
        return self.folder / f"emnist-{split}-{part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte.gz"

    def array(self, part: str, kind: str, split: str = "byclass") -> Bytes:
        """Copy the images (N, 28, 28), transposed as in the file, or the labels (N,)."""
        raw = gzip.decompress(self.path(part, kind, split).read_bytes())
        header_size = 4 + 4 * raw[3]
        shape = tuple(int.from_bytes(raw[i : i + 4], "big") for i in range(4, header_size, 4))
        return np.frombuffer(raw, np.uint8, offset=header_size).reshape(shape).copy()

    def write(self, part: str, kind: str, array: Bytes, split: str = "byclass") -> None:
        self.path(part, kind, split).write_bytes(gzip.compress(encode_idx(array), 1))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, set as GLYPHLINE_DATA."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("GLYPHLINE_DATA", str(folder))
    _load_splits.cache_clear()
    yield folder
    _load_splits.cache_clear()


def write_tiny_emnist(data: Path) -> TinyEmnist:
    """Write the splits byclass and bymerge with TRAIN + VAL + TEST images of each character to a data folder."""
    emnist = TinyEmnist(data)
    emnist.folder.mkdir(parents=True)
    for split in ("byclass", "bymerge"):
        for name, content in emnist_files(split).items():
            (emnist.folder / name).write_bytes(content)
    return emnist


@pytest.fixture
def tiny_emnist(data: Path) -> TinyEmnist:
    """A miniature EMNIST that the test may change, set as GLYPHLINE_DATA."""
    return write_tiny_emnist(data)


@pytest.fixture(scope="session")
def shared_emnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a miniature EMNIST that all tests share. Tests must not change it."""
    return write_tiny_emnist(tmp_path_factory.mktemp("shared") / "data").data


@pytest.fixture
def emnist_data(shared_emnist: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shared miniature EMNIST, set as GLYPHLINE_DATA."""
    monkeypatch.setenv("GLYPHLINE_DATA", str(shared_emnist))
    return shared_emnist


@pytest.fixture
def tiny_wikisplit(data: Path) -> Path:
    """A folder with 400 rows in the format and the tokenisation of WikiSplit."""
    folder = data / "wikisplit"
    folder.mkdir()
    names = ("Ada", "Brahms", "Cézanne", "Darwin", "Euler")
    verbs = ("wrote", "drew", "found", "sold")
    rows = []
    for i in range(400):
        name, verb, year = names[i % 5], verbs[i // 5 % 4], 1500 + i
        rows.append(
            f"{name} , aged {i} , {verb} it in {year} - {year + 1} .\t"
            f"{name} {verb} it in {year} . <::::> It 's {i} now ."
        )
    (folder / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def shared_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the real data, set as GLYPHLINE_DATA. Without it the test is skipped."""
    for folder in (ROOT.parent / "shared" / "data",):
        if folder.is_dir():
            monkeypatch.setenv("GLYPHLINE_DATA", str(folder))
            _load_splits.cache_clear()
            yield folder
            _load_splits.cache_clear()
            return
    pytest.skip("needs the real EMNIST and WikiSplit in the folder shared/data beside the project")
