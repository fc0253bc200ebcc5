"""EMNIST in its official IDX files (Cohen et al. 2017, arXiv 1702.05373), set upright and checked."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import DIGITS, LETTERS
from glyphline.composing.counter_rng import random_int
from glyphline.composing.fetch import data_folder
from glyphline.composing.glyphs.contract import (
    LATIN_SIZES,
    SPLITS,
    TILE,
    Glyph,
    GlyphSource,
    TileBank,
)
from glyphline.errors import DataError, nearest

_MERGED = DIGITS + LETTERS[:26] + "abdefghnqrt"
#: split name -> (characters in the order of their labels, the label of the first)
EMNIST_SPLITS: dict[str, tuple[str, int]] = {
    "byclass": (DIGITS + LETTERS, 0),
    "bymerge": (_MERGED, 0),
    "balanced": (_MERGED, 0),
    "letters": (LETTERS[:26], 1),  # ids run from 1, upper and lower case in one class
    "digits": (DIGITS, 0),
    "mnist": (DIGITS, 0),
}
SIZE_LIMIT = 2**30  # bytes of one file; EMNIST by class has 0.55 GB of images
FORMS = 3  # shapes one hand has of a character
RUN = 24  # glyphs among which it looks for one of its style; their order in the files is random
VALIDATION_TENTH = 10  # one glyph of a train file in ten, by its checksum, is a validation glyph


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """An IDX file of unsigned bytes (yann.lecun.com/exdb/mnist), gzipped or not.

    Raises DataError when the file is missing, not IDX, or shorter or longer than its header says.
    """
    if not path.exists():
        raise DataError(
            f"{path} is not there: run `glyphline fetch emnist`, or set GLYPHLINE_DATA to the folder that holds emnist/"
        )
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:3] != b"\x00\x00\x08":
                raise DataError(f"{path} is no IDX file of bytes (it starts with {head.hex()!r}): fetch it again")
            sizes = file.read(4 * head[3])
            shape = struct.unpack(f">{head[3]}I", sizes) if len(sizes) == 4 * head[3] else (0,)
            expected = math.prod(shape)
            if expected > SIZE_LIMIT:
                raise DataError(
                    f"{path} promises {expected} bytes for {shape}, more than EMNIST ever has: fetch it again"
                )
            raw = file.read(expected)
            more = len(file.read(expected + 1))  # a few bytes too many are counted, not kept
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}): delete it and run `glyphline fetch emnist` again") from None
    if len(sizes) < 4 * head[3] or len(raw) + more != expected:
        raise DataError(
            f"{path} is cut short or padded: its header promises {expected} bytes for {shape}, "
            f"{len(raw) + more} follow: delete it and run `glyphline fetch emnist` again"
        )
    return np.frombuffer(raw, np.uint8).reshape(shape)


def check_orientation(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], characters: str, first: int
) -> None:
    """Raise DataError when T (or 7, where there are no letters) has its bar at the left: images still transposed.

    images: (N, 28, 28), set upright. EMNIST files hold them transposed (pytorch/vision #8783).
    """
    witness = "T" if "T" in characters else "7"
    those = images[labels == characters.index(witness) + first][:500]
    if len(those) == 0:
        return
    mean = those.mean(axis=0)
    if mean[:9].sum() <= mean[:, :9].sum():
        raise DataError(
            f"the images of {witness} lie on their side: the files are not in EMNIST's official (transposed) "
            "orientation or the labels belong to another split; fetch the official files"
        )


def _slant_and_width(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Slant (px to the right a px up, by second moments) and stroke width (px, twice area over outline), (N, 2)."""
    ink = images.astype(np.float32) / 255.0
    area = ink.sum(axis=(1, 2)) + 1e-6
    y, x = np.mgrid[0:TILE, 0:TILE].astype(np.float32)
    basis = np.stack([x, y, x * y, y * y]).reshape(4, -1)
    mx, my, mxy, myy = (ink.reshape(len(ink), -1) @ basis.T / area[:, None]).T
    slant = -(mxy - mx * my) / (myy - my * my + 1e-6)
    outline = np.abs(np.diff(ink, axis=1)).sum(axis=(1, 2)) + np.abs(np.diff(ink, axis=2)).sum(axis=(1, 2))
    return np.stack([slant, 2 * area / (outline + 1e-6)], axis=1).astype(np.float32)


def _style_of(writer: int) -> npt.NDArray[np.float32]:
    """The slant and stroke width a hand writes with, in standard deviations, (2,)."""
    return np.array([(random_int(writer, k) / 2**63 - 1) * 1.3 for k in (1, 2)], np.float32)


class Emnist(GlyphSource):
    """The official train file gives the train and val glyphs, the official test file the test glyphs."""

    help = "emnist/byclass|bymerge|balanced|letters|digits|mnist: the official IDX files"

    def __init__(self, split: str = "byclass", folder: Path | None = None) -> None:
        if split not in EMNIST_SPLITS:
            raise DataError(f'EMNIST has no split "{split}"; {nearest(split, EMNIST_SPLITS)}')
        self.split, self.name = split, f"emnist/{split}"
        self.folder = folder or data_folder() / "emnist" / "gzip"
        self._characters, self._first = EMNIST_SPLITS[split]
        self._banks: dict[str, TileBank] = {}
        self._style_banks: dict[str, npt.NDArray[np.float32]] = {}

    def _path(self, part: str, kind: str) -> Path:
        stem = self.folder / f"emnist-{self.split}-{part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
        return stem if stem.exists() else stem.with_name(stem.name + ".gz")

    def _check_mapping(self) -> None:
        """The official mapping file, where it lies beside the images, must say what we believe."""
        path = self.folder / f"emnist-{self.split}-mapping.txt"
        if not path.exists() or self.split == "letters":  # the letters mapping lists two codes a label
            return
        rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
        try:
            said = "".join(chr(int(code)) for _, code, *_ in rows)
        except ValueError:
            raise DataError(f"{path} is no mapping of labels to codes: run `glyphline fetch emnist` again") from None
        if said != self._characters:
            raise DataError(f"{path} maps labels to {said!r}, not {self._characters!r}: fetch the official files")

    def _load(self, part: str) -> None:
        images, labels = read_idx(self._path(part, "images")), read_idx(self._path(part, "labels"))
        if images.ndim != 3 or images.shape[1:] != (TILE, TILE) or labels.ndim != 1:
            raise DataError(
                f"{self._path(part, 'images')} holds {images.shape}, expected (N, {TILE}, {TILE}): "
                "run `glyphline fetch emnist` again"
            )
        if len(images) != len(labels):
            raise DataError(
                f"{self.name} {part}: {len(images)} images but {len(labels)} labels: "
                "the two files are not of one set; fetch both again"
            )
        self._check_mapping()
        top = self._first + len(self._characters) - 1
        if len(labels) and not (self._first <= int(labels.min()) and int(labels.max()) <= top):
            raise DataError(
                f"{self.name} {part}: labels run from {labels.min()} to {labels.max()}, expected {self._first}..{top}: "
                "the label file belongs to another split; run `glyphline fetch emnist` again"
            )
        upright = images.transpose(0, 2, 1)
        check_orientation(upright, labels, self._characters, self._first)
        if part == "test":
            self._banks["test"] = self._sorted(upright, labels, "test")
            return
        sums = np.fromiter((zlib.crc32(image.tobytes()) for image in images), np.uint32, len(images))
        held = sums % VALIDATION_TENTH == 0
        self._banks["train"] = self._sorted(upright[~held], labels[~held], "train")
        self._banks["val"] = self._sorted(upright[held], labels[held], "val")

    def _sorted(self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], split: str) -> TileBank:
        order = np.argsort(labels, kind="stable")
        counts = np.bincount(labels.astype(np.int64) - self._first, minlength=len(self._characters))
        empty = [c for c, n in zip(self._characters, counts, strict=True) if n == 0]
        if empty:
            raise DataError(
                f"{self.name} has no {split} image of {', '.join(empty)}: the files are incomplete; "
                "run `glyphline fetch emnist` again"
            )
        return TileBank(self._characters, np.ascontiguousarray(images[order]), np.cumsum([0, *counts]))

    def tiles(self, split: str) -> TileBank:
        if split not in SPLITS:
            raise DataError(f'no split "{split}"; {nearest(split, SPLITS)}')
        if split not in self._banks:
            self._load("test" if split == "test" else "train")
        return self._banks[split]

    def characters(self, split: str) -> str:
        return self._characters

    def count(self, character: str, split: str) -> int:
        k = self._characters.find(character)
        bank = self.tiles(split)
        return 0 if k < 0 or not character else int(bank.offsets[k + 1] - bank.offsets[k])

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        bank = self.tiles(split)
        number = int(bank.offsets[self._characters.index(character)]) + index
        top, bottom, left, right = bank.boxes[number]
        high, low = LATIN_SIZES[character]
        return Glyph(bank.images[number, top:bottom, left:right], high, low)

    def choose(self, character: str, split: str, writer: int, rng: np.random.Generator) -> int:
        """One of the FORMS a hand has of a character: the nearest to its slant and stroke width in a run of glyphs.

        EMNIST does not say who wrote what; this brings together glyphs that one writer could have written.
        """
        k = self._characters.index(character)
        low, high = (int(n) for n in self.tiles(split).offsets[k : k + 2])
        start = low + random_int(writer, k, int(rng.integers(FORMS))) % max(1, high - low - RUN)
        those = self._styles(split)[start : min(start + RUN, high)]
        return start - low + int(((those - _style_of(writer)) ** 2).sum(axis=1).argmin())

    def _styles(self, split: str) -> npt.NDArray[np.float32]:
        """Slant and stroke width of every glyph, in standard deviations of its class, (N, 2)."""
        if split not in self._style_banks:
            bank = self.tiles(split)
            styles = np.concatenate(
                [_slant_and_width(bank.images[s : s + 8192]) for s in range(0, bank.offsets[-1], 8192)]
            )
            for start, end in pairwise(bank.offsets):
                own = styles[start:end]
                own -= np.median(own, axis=0)
                own /= own.std(axis=0) + 1e-6
            self._style_banks[split] = styles
        return self._style_banks[split]

    def digests(self, split: str) -> set[int]:
        images = self.tiles(split).images
        return {int.from_bytes(blake2b(image.tobytes(), digest_size=8).digest()) for image in images}
