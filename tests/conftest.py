"""What several tests share: EMNIST and WikiSplit in miniature, in the official layout, and the data at hand."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from glyphline.composing.glyphs import EMNIST_SPLITS, TILE
from glyphline.composing.glyphs.emnist import VALIDATION_TENTH
from glyphline.composing.sentences import _split

ROOT = Path(__file__).parents[1]
Bytes = npt.NDArray[np.uint8]
TRAIN, VAL, TEST = 4, 2, 3  # images of each character in the miniature


def idx(array: Bytes) -> bytes:
    """An array as the bytes of an IDX file."""
    sizes = b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return b"\0\0\x08" + bytes([array.ndim]) + sizes + array.tobytes()


def drawn(character: str, rng: np.random.Generator) -> Bytes:
    """An upright tile of a character, a little different every time."""
    scale, thick = float(rng.uniform(0.75, 0.95)), int(rng.integers(1, 3))
    (w, h), _ = cv2.getTextSize(character, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    x, y = (TILE - w) // 2 + int(rng.integers(-2, 3)), (TILE + h) // 2 + int(rng.integers(-2, 3))
    tile = np.zeros((TILE, TILE), np.uint8)
    cv2.putText(
        tile, character, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, int(rng.integers(200, 256)), thick, cv2.LINE_AA
    )
    return tile


@cache
def official_files(split: str) -> dict[str, bytes]:
    """The four gzipped IDX files and the mapping of an EMNIST split; every character in train, val and test."""
    characters, first = EMNIST_SPLITS[split]
    rng = np.random.default_rng(zlib.crc32(split.encode()))
    rows: dict[str, list[tuple[Bytes, int]]] = {"train": [], "test": []}
    for label, character in enumerate(characters, first):
        seen: set[bytes] = set()
        left = {"train": TRAIN, "val": VAL, "test": TEST}
        while any(left.values()):
            lying = drawn(character, rng).T  # the official files hold every image transposed
            if lying.tobytes() in seen:
                continue
            seen.add(lying.tobytes())
            held = zlib.crc32(lying.tobytes()) % VALIDATION_TENTH == 0
            part = next((p for p in ("val" if held else "train", "test") if left[p]), None)
            if part:
                left[part] -= 1
                rows["test" if part == "test" else "train"].append((lying, label))
    files = {}
    for part, pairs in rows.items():
        order = rng.permutation(len(pairs))
        images = np.stack([pairs[k][0] for k in order])
        labels = np.array([pairs[k][1] for k in order], np.uint8)
        files[f"emnist-{split}-{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(images), 1)
        files[f"emnist-{split}-{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels), 1)
    mapping = "".join(f"{label} {ord(c)}\n" for label, c in enumerate(characters, first))
    files[f"emnist-{split}-mapping.txt"] = mapping.encode()
    return files


@dataclass(frozen=True)
class TinyEmnist:
    """A data folder with a miniature EMNIST, free to be damaged."""

    data: Path  # what GLYPHLINE_DATA says

    @property
    def folder(self) -> Path:
        return self.data / "emnist" / "gzip"

    def path(self, part: str, kind: str, split: str = "byclass") -> Path:
        return self.folder / f"emnist-{split}-{part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte.gz"

    def array(self, part: str, kind: str, split: str = "byclass") -> Bytes:
        """Images (N, 28, 28), lying as in the file, or labels (N,); a copy."""
        raw = gzip.decompress(self.path(part, kind, split).read_bytes())
        head = 4 + 4 * raw[3]
        shape = tuple(int.from_bytes(raw[k : k + 4], "big") for k in range(4, head, 4))
        return np.frombuffer(raw, np.uint8, offset=head).reshape(shape).copy()

    def write(self, part: str, kind: str, array: Bytes, split: str = "byclass") -> None:
        self.path(part, kind, split).write_bytes(gzip.compress(idx(array), 1))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder that GLYPHLINE_DATA names."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("GLYPHLINE_DATA", str(folder))
    _split.cache_clear()
    yield folder
    _split.cache_clear()


def laid_out(data: Path) -> TinyEmnist:
    """byclass and bymerge with TRAIN + VAL + TEST images of each character."""
    tiny = TinyEmnist(data)
    tiny.folder.mkdir(parents=True)
    for split in ("byclass", "bymerge"):
        for name, content in official_files(split).items():
            (tiny.folder / name).write_bytes(content)
    return tiny


@pytest.fixture
def tiny_emnist(data: Path) -> TinyEmnist:
    """A miniature EMNIST of the test's own, free to be damaged, where GLYPHLINE_DATA says."""
    return laid_out(data)


@pytest.fixture(scope="session")
def emnist_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a miniature EMNIST that all tests share; not to be changed."""
    return laid_out(tmp_path_factory.mktemp("shared") / "data").data


@pytest.fixture
def emnist_data(emnist_here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shared miniature EMNIST, where GLYPHLINE_DATA says."""
    monkeypatch.setenv("GLYPHLINE_DATA", str(emnist_here))
    return emnist_here


@pytest.fixture
def tiny_wikisplit(data: Path) -> Path:
    """400 rows of WikiSplit's format, tokenised as WikiSplit is; the folder that holds them."""
    folder = data / "wikisplit"
    folder.mkdir()
    names = ("Ada", "Brahms", "Cézanne", "Darwin", "Euler")
    verbs = ("wrote", "drew", "found", "sold")
    rows = []
    for k in range(400):
        who, did, year = names[k % 5], verbs[k // 5 % 4], 1500 + k
        rows.append(
            f"{who} , aged {k} , {did} it in {year} - {year + 1} .\t{who} {did} it in {year} . <::::> It 's {k} now ."
        )
    (folder / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def shared_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real data at hand, named by GLYPHLINE_DATA; the test is skipped where there is none."""
    for folder in (ROOT.parent / "shared" / "data",):
        if folder.is_dir():
            monkeypatch.setenv("GLYPHLINE_DATA", str(folder))
            _split.cache_clear()
            yield folder
            _split.cache_clear()
            return
    pytest.skip("no shared/data beside the project: the real EMNIST and WikiSplit are needed")
