"""Reads EMNIST from its official IDX files (Cohen et al. 2017, arXiv 1702.05373) and checks them."""

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
#: name of an EMNIST split -> (characters in the order of their labels, label of the first character)
EMNIST_SPLITS: dict[str, tuple[str, int]] = {
    "byclass": (DIGITS + LETTERS, 0),
    "bymerge": (_MERGED, 0),
    "balanced": (_MERGED, 0),
    "letters": (LETTERS[:26], 1),  # upper and lower case have one label; labels start at 1
    "digits": (DIGITS, 0),
    "mnist": (DIGITS, 0),
}
SIZE_LIMIT = 2**30  # bytes of one unpacked file; the largest, the images of byclass, has 0.55 GB
SHAPES_PER_WRITER = 3  # different glyphs that a writer uses for one character
CANDIDATES = 24  # consecutive glyphs of the file among which each shape is chosen; their order in the file is random
VALIDATION_MODULUS = 10  # glyphs of the train file whose checksum is a multiple of this are validation glyphs
STYLE_CHUNK = 8192  # tiles whose style is measured at once, to limit memory


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes (format: yann.lecun.com/exdb/mnist); `.gz` files are unpacked.

    Returns a uint8 array of the shape in the header. Raises DataError when the file is missing, unreadable, not an IDX
    file of bytes, larger than SIZE_LIMIT, or shorter or longer than its header says.
    """
    if not path.exists():
        raise DataError(
            f"{path} is not there: run `glyphline fetch emnist`, or set GLYPHLINE_DATA to the folder that holds emnist/"
        )
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:3] != b"\x00\x00\x08":
                raise DataError(f"{path} is no IDX file of bytes (it starts with {magic.hex()!r}): fetch it again")
            sizes = file.read(4 * magic[3])
            shape = struct.unpack(f">{magic[3]}I", sizes) if len(sizes) == 4 * magic[3] else (0,)
            expected = math.prod(shape)
            if expected > SIZE_LIMIT:
                raise DataError(
                    f"{path} promises {expected} bytes for {shape}, more than the limit of {SIZE_LIMIT}: fetch it again"
                )
            raw = file.read(expected)
            excess = len(file.read(expected + 1))  # limited, so that a padded file cannot fill the memory
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}): delete it and run `glyphline fetch emnist` again") from None
    if len(sizes) < 4 * magic[3] or len(raw) + excess != expected:
        raise DataError(
            f"{path} is truncated or padded: its header promises {expected} bytes for {shape}, "
            f"{len(raw) + excess} follow: delete it and run `glyphline fetch emnist` again"
        )
    return np.frombuffer(raw, np.uint8).reshape(shape)


def check_orientation(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], characters: str, first: int
) -> None:
    """Raise DataError when the images are still transposed, as in the official files (pytorch/vision #8783).

    images: uint8 (N, 28, 28), expected upright. labels: (N,), where label `first` is characters[0].
    Up to 500 images of T (of 7 if there is no T) are averaged. Upright ones have more ink at the top than at the left.
    Without such images nothing is checked.
    """
    reference = "T" if "T" in characters else "7"
    samples = images[labels == characters.index(reference) + first][:500]
    if len(samples) == 0:
        return
    mean = samples.mean(axis=0)
    if mean[:9].sum() <= mean[:, :9].sum():
        raise DataError(
            f"the images of {reference} lie on their side: the files are not in EMNIST's official (transposed) "
            "orientation or the labels belong to another split; fetch the official files"
        )


def measure_slant_and_width(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Measure the slant and the stroke width of tiles.

    images: uint8 (N, 28, 28). Returns float32 (N, 2): the slant, in px to the right for each px upwards, from second
    moments; and the stroke width in px, twice the area over the length of the outline.
    """
    ink = images.astype(np.float32) / 255.0
    area = ink.sum(axis=(1, 2)) + 1e-6
    y, x = np.mgrid[0:TILE, 0:TILE].astype(np.float32)
    basis = np.stack([x, y, x * y, y * y]).reshape(4, -1)
    mean_x, mean_y, mean_xy, mean_yy = (ink.reshape(len(ink), -1) @ basis.T / area[:, None]).T
    slant = -(mean_xy - mean_x * mean_y) / (mean_yy - mean_y * mean_y + 1e-6)
    outline = np.abs(np.diff(ink, axis=1)).sum(axis=(1, 2)) + np.abs(np.diff(ink, axis=2)).sum(axis=(1, 2))
    return np.stack([slant, 2 * area / (outline + 1e-6)], axis=1).astype(np.float32)


def _writer_style(writer: int) -> npt.NDArray[np.float32]:
    """The slant and stroke width of a writer in standard deviations, (2,), each between -1.3 and 1.3."""
    return np.array([(random_int(writer, k) / 2**63 - 1) * 1.3 for k in (1, 2)], np.float32)


class Emnist(GlyphSource):
    """Glyphs of one EMNIST split.

    The official train file gives the train and val glyphs, the official test file the test glyphs. About one glyph in
    VALIDATION_MODULUS of the train file, chosen by its checksum, is a val glyph. The heights of glyphs are those in
    LATIN_SIZES.
    split: a name in EMNIST_SPLITS. folder: the folder of the IDX files, by default emnist/gzip in the data folder.
    Raises DataError for an unknown split. Files are read when they are first needed; missing, damaged, incomplete or
    contradictory files then raise DataError.
    """

    help = "emnist/byclass|bymerge|balanced|letters|digits|mnist: the official IDX files"

    def __init__(self, split: str = "byclass", folder: Path | None = None) -> None:
        if split not in EMNIST_SPLITS:
            raise DataError(f'EMNIST has no split "{split}"; {nearest(split, EMNIST_SPLITS)}')
        self.split, self.name = split, f"emnist/{split}"
        self.folder = folder or data_folder() / "emnist" / "gzip"
        self._characters, self._first_label = EMNIST_SPLITS[split]
        self._banks: dict[str, TileBank] = {}
        self._style_banks: dict[str, npt.NDArray[np.float32]] = {}

    def _path(self, part: str, kind: str) -> Path:
        """The IDX file of a part (train, test) and kind (images, labels): unpacked if it exists, otherwise .gz."""
        unpacked = self.folder / f"emnist-{self.split}-{part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
        return unpacked if unpacked.exists() else unpacked.with_name(unpacked.name + ".gz")

    def _check_mapping(self) -> None:
        """Raise DataError when the official mapping file exists and contradicts EMNIST_SPLITS."""
        path = self.folder / f"emnist-{self.split}-mapping.txt"
        if not path.exists() or self.split == "letters":  # the mapping of letters has two codes for each label
            return
        rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
        try:
            mapped = "".join(chr(int(code)) for _, code, *_ in rows)
        except ValueError:
            raise DataError(f"{path} is no mapping of labels to codes: run `glyphline fetch emnist` again") from None
        if mapped != self._characters:
            raise DataError(f"{path} maps labels to {mapped!r}, not {self._characters!r}: fetch the official files")

    def _load(self, part: str) -> None:
        """Read and check the files of a part, train or test, and fill the banks of its splits."""
        images, labels = read_idx(self._path(part, "images")), read_idx(self._path(part, "labels"))
        if images.ndim != 3 or images.shape[1:] != (TILE, TILE) or labels.ndim != 1:
            raise DataError(
                f"{self._path(part, 'images')} holds {images.shape}, expected (N, {TILE}, {TILE}): "
                "run `glyphline fetch emnist` again"
            )
        if len(images) != len(labels):
            raise DataError(
                f"{self.name} {part}: {len(images)} images but {len(labels)} labels, expected as many of each: "
                "fetch both files again"
            )
        self._check_mapping()
        last_label = self._first_label + len(self._characters) - 1
        if len(labels) and not (self._first_label <= int(labels.min()) and int(labels.max()) <= last_label):
            raise DataError(
                f"{self.name} {part}: labels run from {labels.min()} to {labels.max()}, "
                f"expected {self._first_label}..{last_label}: "
                "the label file belongs to another split; run `glyphline fetch emnist` again"
            )
        upright = images.transpose(0, 2, 1)
        check_orientation(upright, labels, self._characters, self._first_label)
        if part == "test":
            self._banks["test"] = self._build_bank(upright, labels, "test")
            return
        checksums = np.fromiter((zlib.crc32(image.tobytes()) for image in images), np.uint32, len(images))
        is_validation = checksums % VALIDATION_MODULUS == 0
        self._banks["train"] = self._build_bank(upright[~is_validation], labels[~is_validation], "train")
        self._banks["val"] = self._build_bank(upright[is_validation], labels[is_validation], "val")

    def _build_bank(self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], split: str) -> TileBank:
        """Sort tiles by label. Raises DataError when a character has no tile."""
        order = np.argsort(labels, kind="stable")
        counts = np.bincount(labels.astype(np.int64) - self._first_label, minlength=len(self._characters))
        missing = [c for c, n in zip(self._characters, counts, strict=True) if n == 0]
        if missing:
            raise DataError(
                f"{self.name} has no {split} image of {', '.join(missing)}: the files are incomplete; "
                "run `glyphline fetch emnist` again"
            )
        return TileBank(self._characters, np.ascontiguousarray(images[order]), np.cumsum([0, *counts]))

    def tiles(self, split: str) -> TileBank:
        """Return the upright official images of the split. Raises DataError for an unknown split and for bad files."""
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
        upper, lower = LATIN_SIZES[character]
        return Glyph(bank.images[number, top:bottom, left:right], upper, lower)

    def choose(self, character: str, split: str, writer: int, rng: np.random.Generator) -> int:
        """Return the index of one of the SHAPES_PER_WRITER glyphs that this writer uses for the character.

        The official files do not say who wrote a glyph. Each writer therefore has a slant and a stroke width, and of
        CANDIDATES consecutive glyphs the nearest to that style is chosen.
        """
        k = self._characters.index(character)
        begin, end = (int(n) for n in self.tiles(split).offsets[k : k + 2])
        start = begin + random_int(writer, k, int(rng.integers(SHAPES_PER_WRITER))) % max(1, end - begin - CANDIDATES)
        candidates = self._styles(split)[start : min(start + CANDIDATES, end)]
        return start - begin + int(((candidates - _writer_style(writer)) ** 2).sum(axis=1).argmin())

    def _styles(self, split: str) -> npt.NDArray[np.float32]:
        """Slant and stroke width of every glyph, less the median of its class, in standard deviations, (N, 2)."""
        if split not in self._style_banks:
            bank = self.tiles(split)
            styles = np.concatenate(
                [
                    measure_slant_and_width(bank.images[start : start + STYLE_CHUNK])
                    for start in range(0, bank.offsets[-1], STYLE_CHUNK)
                ]
            )
            for start, end in pairwise(bank.offsets):
                class_styles = styles[start:end]  # a view: changed in place
                class_styles -= np.median(class_styles, axis=0)
                class_styles /= class_styles.std(axis=0) + 1e-6
            self._style_banks[split] = styles
        return self._style_banks[split]

    def fingerprint(self) -> int:
        """Always the same, because EMNIST's files do not change: reading them takes seconds."""
        return 0

    def digests(self, split: str) -> set[int]:
        images = self.tiles(split).images
        return {int.from_bytes(blake2b(image.tobytes(), digest_size=8).digest()) for image in images}
