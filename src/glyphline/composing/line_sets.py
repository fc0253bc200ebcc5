"""Seeded sets of lines: item i is a function of (seed, i), streamed into training or written to disk."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.alphabet import Alphabet
from glyphline.composing.counter_rng import random_int
from glyphline.composing.effects import USUAL, check_effects
from glyphline.composing.glyphs import SPLITS, TILE, GlyphSource, open_glyphs
from glyphline.composing.layouts import (
    LAYOUTS,
    GlyphBox,
    GlyphPool,
    GreyImage,
    Layout,
    LineRecord,
    Natural,
    Tiles,
    draw_tiles,
    tile_numbers,
    warp_numbers,
)
from glyphline.composing.sentences import AlphabetFitter, fitted, split_sentences
from glyphline.errors import DataError, GlyphlineError, RecipeError, nearest
from glyphline.files import write_whole
from glyphline.imaging.normalization import canonical_line_image
from glyphline.recipe import LinesRecipe

LABELS = "labels.tsv"  # file<TAB>text
RECORDS = "record.jsonl"  # one object a line: everything that was drawn
SETTINGS = "compose.json"  # what a later call must agree with to continue
CHUNK = 64  # lines a worker composes before it reports
_ORDER, _START, _LENGTH, _CAPITALS, _SPELLED = 1, 2, 3, 4, 5  # what a mixed number is drawn for


@dataclass(frozen=True)
class ComposedLine:
    """One composed line."""

    index: int
    image: GreyImage  # (H, W), as a camera would see it: natural lines are dark ink on paper, tiles bright on 0
    text: str
    record: LineRecord
    boxes: list[GlyphBox]  # of the characters but spaces, px; empty unless asked for


class LineSet:
    """Lines of one split. `line(i)` is the image, `canonical_batch` what the network sees.

    `glyphs` names another split to draw glyphs from than the sentences'; `pool` gives glyphs that are open already.
    Raises DataError / AlphabetError when glyphs or sentences are missing or a character cannot be drawn.
    """

    def __init__(
        self, recipe: LinesRecipe, split: str, seed: int = 0, pool: GlyphPool | None = None, glyphs: str | None = None
    ) -> None:
        if split not in SPLITS:
            raise DataError(f'no split "{split}"; {nearest(split, SPLITS)}')
        self.recipe, self.split = recipe, split
        self.seed = random_int(seed, SPLITS.index(split)) >> 2
        self.alphabet = Alphabet.named(recipe.alphabet)
        self.fit = AlphabetFitter(self.alphabet, recipe.unknown, recipe.replacement)
        texts = fitted(split_sentences(tuple(recipe.sentences), recipe.punctuation)[split], self.fit)
        if recipe.sentence_limit is not None:
            order = np.random.default_rng(self.seed).permutation(len(texts))[: recipe.sentence_limit]
            texts = [texts[k] for k in np.sort(order)]
        if not texts:
            raise DataError(f"no sentence of the {split} split is left once fitted to the alphabet")
        self.texts = texts
        self._order = np.random.default_rng([self.seed, _ORDER]).permutation(len(texts))
        self.pool = pool or open_glyph_pool(recipe, glyphs or split)
        needed = set("".join(texts))
        if recipe.capitals or recipe.letter_spaced:
            needed |= set(self.fit("".join(sorted(needed)).upper()))
        self.pool.need("".join(sorted(needed)))
        # val and test lines are never bent: what is measured is the images as they are
        self.layout = open_layout(recipe if split == "train" else dataclasses.replace(recipe, jitter=0.0))

    def text(self, index: int) -> str:
        """The text of line `index`: a sentence, or the part of it that fits."""
        recipe = self.recipe
        sentence = self.texts[self._order[(index // recipe.variants) % len(self.texts)]]
        low, high = recipe.length
        length = low + random_int(self.seed, index, _LENGTH) % (high - low + 1) if high > low else low
        if recipe.start == "word" and len(sentence) > length:
            starts = [0] + [k + 1 for k, c in enumerate(sentence) if c == " " and k + 1 + low <= len(sentence)]
            sentence = sentence[starts[random_int(self.seed, index, _START) % len(starts)] :]
        if len(sentence) > length:
            end = sentence.rfind(" ", 0, length + 1) if recipe.cut == "word" else length
            sentence = sentence[: end if end > 0 else length]
        capitals = recipe.capitals
        if recipe.letter_spaced and random_int(self.seed, index, _SPELLED) < recipe.letter_spaced * 2**64:
            sentence, capitals = " ".join(sentence.replace(" ", "")[: (length + 1) // 2]), 0.5
        if capitals and random_int(self.seed, index, _CAPITALS) < capitals * 2**64:
            sentence = self.fit(sentence.upper()).strip() or sentence
        if recipe.pad:
            return sentence.ljust(length)
        return sentence.strip()

    def record(self, index: int) -> LineRecord:
        """Everything that will be drawn of line `index`."""
        text = self.text(index)
        if isinstance(self.layout, Tiles):
            return self.layout.sample_numbered(text, self.seed, index, self.pool)
        return self.layout.sample(text, np.random.default_rng([self.seed, index]), self.pool)

    def line(self, index: int, boxes: bool = False) -> ComposedLine:
        """Line `index` as an image, with its record."""
        record = self.record(index)
        image, found = self.layout.draw(record, self.pool, boxes)
        return ComposedLine(index, image, record.text, record, found)

    def canonical_line(self, index: int) -> tuple[GreyImage, str]:
        """Line `index` as the network sees it, (height, W), and its text."""
        line = self.line(index)
        return canonical_line_image(line.image, self.recipe.height, self.layout.normalization), line.text

    def canonical_batch(self, indices: Sequence[int]) -> tuple[list[GreyImage], list[str]]:
        """Several lines as the network sees them; tiles are composed all at once."""
        if self.layout.name == "tiles" and self.recipe.height == TILE:
            texts = [self.text(i) for i in indices]
            numbers = tile_numbers(texts, self.seed, np.asarray(indices, np.int64), self.pool)
            jitter = self.layout.jitter if isinstance(self.layout, Tiles) else 0.0
            warps = warp_numbers(self.seed, np.asarray(indices, np.int64), numbers.shape[1]) if jitter else None
            images = draw_tiles(numbers, self.pool, warps, jitter)
            return [row[:, : TILE * len(t)] for row, t in zip(images, texts, strict=True)], texts
        pairs = [self.canonical_line(i) for i in indices]
        return [image for image, _ in pairs], [text for _, text in pairs]


def open_glyph_pool(recipe: LinesRecipe, split: str) -> GlyphPool:
    """The glyph sources of a recipe, opened once per process."""
    sources = tuple(cached_glyphs(share.source) for share in recipe.glyphs)
    return GlyphPool(sources, tuple(share.weight for share in recipe.glyphs), split)


_OPEN: dict[str, GlyphSource] = {}


def cached_glyphs(spec: str) -> GlyphSource:
    """A source, kept: EMNIST's images are large, and three splits share them."""
    name = f"{os.environ.get('GLYPHLINE_DATA', '')}|{spec}"
    if name not in _OPEN:
        _OPEN[name] = open_glyphs(spec)
    return _OPEN[name]


def open_layout(recipe: LinesRecipe) -> Layout:
    """The layout a recipe asks for, with its effects."""
    if recipe.layout not in LAYOUTS:
        raise RecipeError(f'no layout "{recipe.layout}"; {nearest(recipe.layout, LAYOUTS)}')
    if recipe.layout == "natural":
        effects = USUAL if recipe.effects is None else recipe.effects
        check_effects(effects)
        return Natural(effects=effects)
    kind = LAYOUTS[recipe.layout]
    return kind(jitter=recipe.jitter) if issubclass(kind, Tiles) else kind()


# ------------------------------------------------------------------------------------------------------------- to disk


def _written(task: tuple[LineSet, Path, int, int, bool]) -> list[tuple[str, str]]:
    """Compose lines start..end and write their images; the rows of labels and records."""
    lines, out, start, end, boxes = task
    rows = []
    for index in range(start, end):
        line = lines.line(index, boxes)
        name = f"{index:06d}.png"
        ok, data = cv2.imencode(".png", line.image)
        assert ok  # PNG of a uint8 array always encodes
        (out / name).write_bytes(data.tobytes())
        record = dataclasses.asdict(line.record)
        if boxes:
            record["boxes"] = line.boxes
        rows.append((f"{name}\t{line.text.rstrip()}\n", json.dumps({"file": name, **record}) + "\n"))
    return rows


_shared: tuple[LineSet, Path, bool] | None = None  # what forked or spawned workers compose from


def _start_worker(lines: LineSet, out: Path, boxes: bool) -> None:
    global _shared
    _shared = (lines, out, boxes)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which ends its workers


def _worker(span: tuple[int, int]) -> list[tuple[str, str]]:
    assert _shared is not None  # set by _start_worker
    lines, out, boxes = _shared
    return _written((lines, out, *span, boxes))


def write_lines(
    lines: LineSet,
    count: int,
    out: Path,
    *,
    boxes: bool = False,
    workers: int = 1,
    settings: dict[str, object] | None = None,
    progress: Callable[[Iterable[object], int, int], Iterable[object]] | None = None,
) -> int:
    """Write lines 0..count-1 to a folder, continuing one that was interrupted; how many were new.

    The folder holds 000000.png ..., labels.tsv and record.jsonl. A line counts as written once both its rows stand,
    so a kill at any moment loses at most the chunk in flight. The bytes do not depend on `workers`.
    Raises DataError when the folder holds lines of other settings, GlyphlineError when the disk is full.
    """
    said = {"recipe": dataclasses.asdict(lines.recipe), "split": lines.split, "seed": lines.seed, "boxes": boxes}
    said |= settings or {}
    try:
        done = _begin(out, said)
        spans = [(s, min(s + CHUNK, count)) for s in range(min(done, count), count, CHUNK)]
        with (
            (out / LABELS).open("a", encoding="utf-8") as labels,
            (out / RECORDS).open("a", encoding="utf-8") as records,
        ):
            chunks: Iterator[list[tuple[str, str]]]
            if workers > 1 and len(spans) > 1:
                with multiprocessing.Pool(workers, _start_worker, (lines, out, boxes)) as processes:
                    chunks = processes.imap(_worker, spans)
                    _append(chunks, labels, records, progress, done, count)
            else:
                chunks = (_written((lines, out, *span, boxes)) for span in spans)
                _append(chunks, labels, records, progress, done, count)
    except OSError as error:
        if error.errno in (28, 122):  # no space left, quota exceeded
            raise GlyphlineError(
                f"the disk of {out} is full: free some space and run the same command again; it continues there"
            ) from None
        raise DataError(f"cannot write to {out}: {error.strerror or error}") from None
    return max(0, count - done)


def _append(chunks, labels, records, progress, done: int, count: int) -> None:  # type: ignore[no-untyped-def]
    for rows in progress(chunks, done, count) if progress else chunks:
        labels.writelines(label for label, _ in rows)
        records.writelines(record for _, record in rows)
        labels.flush()
        records.flush()


def _begin(out: Path, said: dict[str, object]) -> int:
    """Make or re-enter the folder; the number of lines that stand in it whole."""
    out.mkdir(parents=True, exist_ok=True)
    wanted = json.loads(json.dumps(said))
    settings = out / SETTINGS
    try:
        found = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else None
    except ValueError:  # a kill while it was written; nothing was composed before it stood
        found = None
    if found is None:
        if (out / LABELS).exists():
            raise DataError(f"{out} holds {LABELS} of something else: choose an empty folder")
        write_whole(settings, (json.dumps(wanted, indent=1) + "\n").encode())
        return 0
    if found != wanted:
        raise DataError(f"{out} holds lines of other settings: choose another folder, or delete it")
    rows = []
    for name in (LABELS, RECORDS):
        data = (out / name).read_bytes() if (out / name).exists() else b""
        rows.append(data.split(b"\n")[:-1])  # a last row without its newline was cut off
    whole = min(map(len, rows))
    for name, kept in zip((LABELS, RECORDS), rows, strict=True):
        write_whole(out / name, b"".join(row + b"\n" for row in kept[:whole]))
    return whole


def read_labels(folder: Path) -> list[tuple[Path, str]]:
    """The images of a folder and their texts. Raises DataError naming the first broken row."""
    path = folder / LABELS
    if not path.exists():
        raise DataError(f"{folder} has no {LABELS} (file<TAB>text a line): compose it, or write one for your own lines")
    try:
        rows = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): convert it first") from None
    pairs = []
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        name, tab, text = row.rstrip("\r").partition("\t")
        if not tab:
            raise DataError(f"{path} line {number} has no tab: each row is file<TAB>text")
        if not (folder / name).is_file():
            raise DataError(f"{path} line {number} names {name}, which is not in the folder")
        pairs.append((folder / name, text))
    if not pairs:
        raise DataError(f"{path} is empty: compose at least one line")
    return pairs


def contact_sheet(lines: Sequence[tuple[npt.NDArray[np.uint8], str]], columns: int = 1, height: int = 48) -> GreyImage:
    """Images above their texts on one grey sheet, uint8 (H, W).

    lines: (image (H, W), text) pairs, at least one.
    """
    cells = []
    for image, text in lines:
        size = (max(1, round(image.shape[1] * height / image.shape[0])), height)
        cell = np.full((height + 22, max(size[0], 9 * len(text)) + 8), 255, np.uint8)
        cell[2 : 2 + height, 4 : 4 + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        plain = text.encode("ascii", "replace").decode()
        cv2.putText(cell, plain, (4, height + 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 60, 1, cv2.LINE_AA)
        cells.append(cell)
    width = max(c.shape[1] for c in cells)
    cells = [cv2.copyMakeBorder(c, 0, 0, 0, width - c.shape[1], cv2.BORDER_CONSTANT, value=255) for c in cells]
    while len(cells) % columns:
        cells.append(np.full_like(cells[0], 255))
    return np.vstack([np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)])
