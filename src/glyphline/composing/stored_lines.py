"""Composed lines in Parquet files of many lines each, in a folder or at an address, and training from them.

Line i is in the file whose name holds the greatest number up to i. A file has the columns `number`, `text` (as it was
composed, with spaces at its end) and `image` (PNG, the bytes that `line_sets.write_lines` writes).
"""

from __future__ import annotations

import io
import json
import multiprocessing
import signal
from collections.abc import Iterable
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from glyphline.addresses import is_local, open_path
from glyphline.composing.layouts import GreyImage
from glyphline.composing.line_sets import CHUNK, SETTINGS, LineSet, Progress, check_same_lines
from glyphline.errors import DataError, MissingPackage
from glyphline.files import write_atomically
from glyphline.imaging.normalization import canonical_line_image
from glyphline.recipe import LinesRecipe

FILE_LINES = 4096  # lines of a Parquet file
CACHED_GROUPS = 64  # row groups of CHUNK lines that stay in memory: the lines that batches of similar length come from


def _import_parquet() -> Any:
    """The module pyarrow.parquet. Raises MissingPackage."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise MissingPackage("pyarrow", "cluster", "composed lines in Parquet") from None
    return parquet


def _read_settings(folder: Path) -> Any:
    """The settings of a folder of lines, None where it has none. Raises DataError where they cannot be read."""
    try:
        return json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / SETTINGS} cannot be read ({error}): choose another folder") from None


def _file_of(folder: Path, start: int) -> Path:
    return folder / f"lines-{start:09d}.parquet"


def _count_rows(path: Path) -> int:
    """The number of lines in a file. Raises DataError where it cannot be read."""
    import pyarrow

    try:
        with path.open("rb") as file:
            return int(_import_parquet().read_metadata(file).num_rows)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path} cannot be read ({error}): delete it and compose its lines again") from None


def _write_file(lines: LineSet, folder: Path, start: int, end: int) -> list[int]:
    """Compose lines start..end-1 into one file and return their numbers."""
    import pyarrow

    parquet = _import_parquet()
    composed = [lines.line(index) for index in range(start, end)]
    table = pyarrow.table({
        "number": pyarrow.array(range(start, end), pyarrow.int64()),
        "text": [line.text for line in composed],
        "image": [cv2.imencode(".png", line.image)[1].tobytes() for line in composed],
    })  # fmt: skip
    data = io.BytesIO()
    parquet.write_table(table, data, row_group_size=CHUNK, compression="none")  # PNG is compressed already
    write_atomically(_file_of(folder, start), data.getvalue())
    return list(range(start, end))


_worker_job: tuple[LineSet, str] | None = None  # in a worker process: the lines and the folder


def _start_worker(lines: LineSet, folder: str) -> None:
    global _worker_job
    _worker_job = (lines, folder)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which ends its workers


def _write_file_in_worker(span: tuple[int, int]) -> list[int]:
    assert _worker_job is not None  # set by _start_worker
    lines, folder = _worker_job
    return _write_file(lines, open_path(folder), *span)


def write_parquet(
    lines: LineSet, count: int, folder: Path, *, workers: int = 1, progress: Progress | None = None
) -> int:
    """Write lines 0..count-1 to Parquet files and return how many are new. An interrupted call can be continued.

    folder: a folder, or an address of `addresses.open_path`. workers: number of processes; the files do not depend on
    it. progress: as for `line_sets.write_lines`. A file is written whole, so a kill loses at most one file a process.
    Raises MissingPackage without pyarrow, DataError where the folder holds other lines or cannot be written to.
    """
    _import_parquet()
    settings, found = lines.settings, _read_settings(folder)
    if found is not None:
        check_same_lines(folder, found, settings)
    try:
        if is_local(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / SETTINGS, (json.dumps(settings, indent=1) + "\n").encode())
        existing = {path.name for path in folder.glob("lines-*.parquet")}
        spans = []
        for start in range(0, count, FILE_LINES):
            end = min(start + FILE_LINES, count)
            path, kept = _file_of(folder, start), 0
            if path.name in existing:
                kept = _count_rows(path)
            if kept < end - start:
                spans.append((start, end))
        new = sum(end - start for start, end in spans)
        written: Iterable[list[int]]
        if workers > 1 and len(spans) > 1:
            context = multiprocessing.get_context("spawn")  # pyarrow's threads do not survive a fork
            with context.Pool(workers, _start_worker, (lines, str(folder))) as processes:
                written = processes.imap(_write_file_in_worker, spans)
                for _ in progress(written, count - new, count) if progress else written:
                    pass
        else:
            written = (_write_file(lines, folder, *span) for span in spans)
            for _ in progress(written, count - new, count) if progress else written:
                pass
    except OSError as error:
        raise DataError(f"cannot write to {folder}: {error.strerror or error}") from None
    return new


class StoredLineSet(LineSet):
    """The lines of a split with their images from Parquet files: the lines that composing them anew gives, bit for bit.

    folder: of `write_parquet`. needed: the number of lines that will be used. The other arguments are those of
    `LineSet`. Raises DataError where the folder holds other lines or fewer than `needed`, and what `LineSet` raises.
    """

    def __init__(self, recipe: LinesRecipe, split: str, seed: int, folder: Path, needed: int) -> None:
        super().__init__(recipe, split, seed)
        self.folder = folder
        found = _read_settings(folder)
        if found is None:
            raise DataError(f"{folder} holds no composed lines: write them with compose --format parquet")
        if found != self.settings:
            raise DataError(
                f"{folder} holds lines of other settings, glyphs or sentences: compose them with --recipe, --seed and "
                "--split as in training"
            )
        existing = {path.name for path in folder.glob("lines-*.parquet")}
        files = [_file_of(folder, start) for start in range(0, needed, FILE_LINES)]
        complete = list(takewhile(lambda path: path.name in existing, files))
        stored = (len(complete) - 1) * FILE_LINES + _count_rows(complete[-1]) if complete else 0
        if stored < needed:
            raise DataError(f"{folder} holds {stored} lines, but {needed} are needed: compose more (-n {needed})")

    def canonical_line(self, index: int) -> tuple[GreyImage, str]:
        start = index // FILE_LINES * FILE_LINES
        texts, images = _read_group(str(_file_of(self.folder, start)), (index - start) // CHUNK)
        image = cv2.imdecode(np.frombuffer(images[(index - start) % CHUNK], np.uint8), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise DataError(f"{self.folder} has no image of line {index}: delete its file and compose it again")
        return canonical_line_image(np.asarray(image, np.uint8), self.recipe.height, self.normalization), texts[
            (index - start) % CHUNK
        ]

    def canonical_batch(self, indices: Any) -> tuple[list[GreyImage], list[str]]:
        pairs = [self.canonical_line(index) for index in indices]
        return [image for image, _ in pairs], [text for _, text in pairs]


@lru_cache(CACHED_GROUPS)
def _read_group(path: str, group: int) -> tuple[list[str], list[bytes]]:
    """The texts and the images of a row group of a file. Raises DataError where it cannot be read."""
    import pyarrow

    try:
        with open_path(path).open("rb") as file:
            table = _import_parquet().ParquetFile(file).read_row_group(group, columns=["text", "image"])
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path} cannot be read ({error}): delete it and compose its lines again") from None
    return table["text"].to_pylist(), table["image"].to_pylist()
