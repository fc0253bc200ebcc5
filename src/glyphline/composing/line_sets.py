"""Sets of composed lines. Line i depends only on the recipe, the split, the seed and i.

`LineSet` composes the lines in memory, for training. `write_lines` writes them to a folder, `read_labels` reads one.
"""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import os
import signal
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from glyphline.alphabet import Alphabet
from glyphline.composing.counter_rng import random_int
from glyphline.composing.effects import DEFAULT_EFFECT_SHARES, check_effects
from glyphline.composing.glyphs import ALL, SPLITS, TILE, GlyphSource, open_glyphs
from glyphline.composing.label_fonts import LabelFonts
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
    sample_tile_indices,
    sample_warp_indices,
)
from glyphline.composing.sentences import (
    FEW_SENTENCES,
    GENERATED_COUNT,
    AlphabetFitter,
    fit_sentences,
    is_available,
    join_splits,
    sharing,
    split_sentences_by_source,
)
from glyphline.composing.shaping import can_join, joined_units
from glyphline.errors import AlphabetError, DataError, GlyphlineError, RecipeError, nearest
from glyphline.files import DISK_FULL, write_atomically
from glyphline.imaging.normalization import canonical_line_image
from glyphline.recipe import GlyphShare, LinesRecipe
from glyphline.writing_direction import LTR, has_rtl_letters, mirrored, resolve_direction, to_visual

LABELS = "labels.tsv"  # rows of file<TAB>text
RECORDS = "record.jsonl"  # one JSON object a line image: its file name and its LineRecord
SETTINGS = "compose.json"  # the settings of the lines; a later call continues only with the same
CHUNK = 64  # lines that a worker composes before it returns their rows

CAPTION_SIZE = 14  # px an em of the texts of a contact sheet

#: glyphs and sentences of `available_lines` where those of a recipe are not on this machine
EMBEDDED_GLYPHS, EMBEDDED_FONTS = "derived:strokes", "fonts:built-in"
EMBEDDED_SENTENCES = ("built-in", f"generated:{GENERATED_COUNT}")
GENERATED_KINDS = ("generated", "signs")  # sources of texts that are made up

# Keys of the counter-based random numbers of a set, one for each decision.
_ORDER_KEY, _START_KEY, _LENGTH_KEY, _CAPITALS_KEY, _LETTER_SPACED_KEY, _SOURCE_KEY, _SENTENCE_KEY = range(1, 8)

Rows = list[tuple[str, str]]  # the row of LABELS and the row of RECORDS of each line
Progress = Callable[[Iterable[Any], int, int], Iterable[Any]]  # (chunks, lines done, lines in all) -> the same chunks


@dataclass(frozen=True)
class ComposedLine:
    """A composed line: its image, its text and everything that was sampled for it."""

    index: int
    image: GreyImage  # (H, W); natural: dark ink on paper, inverted by the effect negative; others: bright ink on 0
    text: str
    record: LineRecord
    boxes: list[GlyphBox]  # of the glyphs, in px of the image; empty unless requested


class LineSet:
    """The lines of one split, composed on demand.

    recipe: the settings of the lines; jitter applies to the split train only. split: train, val or test; it decides the
    sentences and the glyphs. seed: any whole number; the attribute `seed` is another number, derived from it and the
    split. pool: an open glyph pool to use instead of the recipe's glyphs, with a split of its own. glyph_split: the
    split of the recipe's glyphs, where it differs from that of the sentences. all_if_few: for composing alone: use
    every sentence where there are fewer than FEW_SENTENCES, and every glyph where the sources have few
    (`GlyphSource.has_few`); the attribute `split` is then ALL.
    Raises DataError for an unknown split and for missing glyphs or sentences, AlphabetError for a misspelt alphabet,
    for sentences in another script than it and for a character that no glyph source can draw or join or that the recipe
    refuses, RecipeError for an unknown layout or effect, a replacement outside the alphabet, and weights of the glyphs
    that are all 0.
    """

    def __init__(
        self,
        recipe: LinesRecipe,
        split: str,
        seed: int = 0,
        pool: GlyphPool | None = None,
        glyph_split: str | None = None,
        all_if_few: bool = False,
    ) -> None:
        if split not in SPLITS:
            raise DataError(f'no split "{split}"; {nearest(split, SPLITS)}')
        self.recipe, self.split = recipe, split
        self.seed = random_int(seed, SPLITS.index(split)) >> 2
        self.alphabet = Alphabet.from_name(recipe.alphabet)
        self.direction = resolve_direction(recipe.direction, self.alphabet.characters)
        self.fitter = AlphabetFitter(self.alphabet, recipe.unknown, recipe.replacement)
        by_source = split_sentences_by_source(tuple(recipe.sentences), recipe.punctuation)
        self._sentence_notes, sources = [sharing(by_source)], by_source[split]
        every = join_splits(by_source) if all_if_few else ()
        if 1 < (total := sum(map(len, every))) < FEW_SENTENCES:
            sources, self.split = every, ALL
            self._sentence_notes.append(
                f"all {total} sentences are used, also those that training holds out; --split train leaves them out"
            )
        if split != "train" and recipe.test_sentences:  # the other sources have a place in the lists, but no texts
            in_test = [spec in recipe.test_sentences for spec in recipe.sentences]
            sources = tuple(texts if kept else () for texts, kept in zip(sources, in_test, strict=True))
        self.pool = pool or open_glyph_pool(recipe, glyph_split or split)
        if all_if_few and all(source.has_few() for source in self.pool.sources):
            self.split, self.pool = ALL, dataclasses.replace(self.pool, split=ALL)
        fitted = [fit_sentences(texts, self.fitter) for texts in sources]
        if recipe.undrawn == "drop":
            fitted = self._drop_undrawn(fitted)
        texts = [text for source_texts in fitted for text in source_texts]
        if letters := self.fitter.lost_script(texts):
            raise AlphabetError(
                f"most letters of the sentences are not in the alphabet, such as {', '.join(map(repr, letters[:5]))}: "
                "list the characters of their script in lines.alphabet (glyphline compose: --alphabet)"
            )
        self._source_counts = np.array([len(source_texts) for source_texts in fitted])
        self._source_starts = np.cumsum(self._source_counts) - self._source_counts
        weights = np.where(self._source_counts > 0, recipe.sentence_weights or 1.0, 0.0)  # an empty source is left out
        self._weight_sum, self._weight_ends = weights.sum(), np.cumsum(weights)
        if recipe.sentence_limit is not None:
            chosen = np.random.default_rng(self.seed).permutation(len(texts))[: recipe.sentence_limit]
            texts = [texts[k] for k in np.sort(chosen)]
        if not texts:
            raise DataError(
                f"no sentence of the {split} split is left after fitting to the alphabet: "
                "choose a wider alphabet or other sentences"
            )
        self.texts = texts
        self._sentence_order = np.random.default_rng([self.seed, _ORDER_KEY]).permutation(len(texts))
        characters = set("".join(texts))
        if self._has_capitals:
            characters |= set(self.fitter("".join(sorted(characters)).upper()))
        self.pool.check_characters("".join(sorted(characters)))
        # Lines for validation and test are never distorted: they measure the reader on the glyphs as they are.
        drawn_recipe = recipe if split == "train" else dataclasses.replace(recipe, jitter=0.0)
        self.layout = open_layout(drawn_recipe, self.direction)
        self.normalization = normalization_of(recipe)
        self._check_shaping(characters)

    @property
    def _has_capitals(self) -> bool:
        """Whether some lines are set in capitals."""
        return bool(self.recipe.capitals or self.recipe.letter_spaced)

    def _drop_undrawn(self, sources: Sequence[list[str]]) -> list[list[str]]:
        """The texts of each source without those that hold a character or a unit that no glyph source draws."""
        undrawn, joining = set(), set()
        for character in set().union(*("".join(texts) for texts in sources)) - {" "}:
            if can_join(character):
                joining.add(character)
            capitals = self.fitter(character.upper()).replace(" ", "") if self._has_capitals else ""
            if not all(map(self.pool.draws, character + capitals)):
                undrawn.add(character)

        def is_drawn(text: str) -> bool:
            units = [] if joining.isdisjoint(text) else joined_units([text])
            return undrawn.isdisjoint(text) and all(map(self.pool.draws, units))

        kept = [list(filter(is_drawn, texts)) for texts in sources]
        if dropped := sum(map(len, sources)) - sum(map(len, kept)):
            names = f", such as {', '.join(map(repr, sorted(undrawn)[:8]))}" if undrawn else ""
            self._sentence_notes.append(
                f"{dropped} sentences are left out: no glyph source draws all of their characters{names}"
            )
        return kept

    def _check_shaping(self, characters: set[str]) -> None:
        """Raise AlphabetError or RecipeError where the texts cannot be drawn as they are written.

        That is for letters that join or combine which the glyphs or the layout draw one by one, and for a bracket whose
        mirror image, which right-to-left text shows in its place, is not in the alphabet.
        """
        units = joined_units(self.texts) if any(map(can_join, characters)) else []  # most texts need no search
        self.layout.check_units(units, self.pool)
        if units and self.recipe.letter_spaced:
            raise RecipeError(
                f"the characters of {units[0]!r} join or combine in writing, but lines.letter_spaced sets them one by "
                "one: leave it out"
            )
        if has_rtl_letters("".join(characters)):
            shown = "".join(mirrored(character) for character in sorted(characters))
            if missing := self.alphabet.unknown_characters(shown):
                raise AlphabetError(
                    f"right-to-left text shows {', '.join(map(repr, missing))} in the place of the opposite bracket or "
                    "sign, but the alphabet lacks it: add it, or leave out the other one"
                )
            self.pool.check_characters(shown)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the lines, as JSON values; `data` is a checksum of the glyphs and the sentences."""
        data = zlib.crc32("\n".join(self.texts).encode())
        for source in self.pool.sources:
            data = zlib.crc32(str(source.fingerprint()).encode(), data)
        settings = {"recipe": dataclasses.asdict(self.recipe), "split": self.split, "seed": self.seed, "data": data}
        return json.loads(json.dumps(settings))  # as they are read back: lists for tuples

    @property
    def notes(self) -> list[str]:
        """What a user should know of the data: characters folded or dropped, glyphs and sentences that splits share."""
        sources = self.pool.sources
        notes = [*self.fitter.describe(), *self._sentence_notes, *(source.sharing() for source in sources)]
        if self.pool.split == ALL:
            names = ", ".join(source.name for source in sources)
            notes.append(
                f"where {names} has few glyphs, all are used, also those that training holds out; --split train leaves "
                "them out"
            )
        return list(filter(None, notes))

    def text(self, index: int) -> str:
        """The text of line `index`: a sentence, or a part of it that keeps the length limit.

        It is in capitals, letter-spaced or padded with spaces where the recipe says so. index: 0 or more. Sentences are
        taken in shuffled rounds through all of them, or drawn at random if the recipe has sentence_weights.
        """
        recipe = self.recipe
        sentence = self.texts[self._sentence_number(index // recipe.variants)]
        low, high = recipe.length
        limit = low + random_int(self.seed, index, _LENGTH_KEY) % (high - low + 1) if high > low else low
        if recipe.start != "head" and len(sentence) > limit:
            drawn, is_head = random_int(self.seed, index, _START_KEY), False
            if recipe.start == "mixed":
                drawn, is_head = drawn >> 1, bool(drawn & 1)
            starts = [0] + [k + 1 for k, c in enumerate(sentence) if c == " " and k + 1 + low <= len(sentence)]
            sentence = sentence if is_head else sentence[starts[drawn % len(starts)] :]
        if len(sentence) > limit:
            end = sentence.rfind(" ", 0, limit + 1) if recipe.cut == "word" else limit
            sentence = sentence[: end if end > 0 else limit]
        capitals = recipe.capitals
        if recipe.letter_spaced and random_int(self.seed, index, _LETTER_SPACED_KEY) < recipe.letter_spaced * 2**64:
            sentence, capitals = " ".join(sentence.replace(" ", "")[: (limit + 1) // 2]), 0.5
        if capitals and random_int(self.seed, index, _CAPITALS_KEY) < capitals * 2**64:
            sentence = self.fitter(sentence.upper()).strip() or sentence
        if recipe.pad:
            return sentence.ljust(limit)
        return sentence.strip()

    def _sentence_number(self, turn: int) -> int:
        """The number of a sentence in `texts`: of a shuffled round through all, or of a source drawn by its weight."""
        if self.recipe.sentence_weights is None:
            return int(self._sentence_order[turn % len(self.texts)])
        share = random_int(self.seed, turn, _SOURCE_KEY) / 2**64 * self._weight_sum
        source = min(int(np.searchsorted(self._weight_ends, share, side="right")), len(self._weight_ends) - 1)
        within = random_int(self.seed, turn, _SENTENCE_KEY) % int(self._source_counts[source])
        return int(self._source_starts[source]) + within

    def record(self, index: int) -> LineRecord:
        """Everything that decides the image of line `index`."""
        text = self.text(index)
        if isinstance(self.layout, Tiles):
            return self.layout.sample_from_seed(text, self.seed, index, self.pool)
        return self.layout.sample(text, np.random.default_rng([self.seed, index]), self.pool)

    def line(self, index: int, boxes: bool = False) -> ComposedLine:
        """Compose line `index`. boxes: also measure the box of each glyph, which takes longer."""
        record = self.record(index)
        image, glyph_boxes = self.layout.draw(record, self.pool, boxes)
        return ComposedLine(index, image, record.text, record, glyph_boxes)

    def canonical_line(self, index: int) -> tuple[GreyImage, str]:
        """Line `index` as the network's input, uint8 (recipe.height, W), normalized, and its text."""
        line = self.line(index)
        return canonical_line_image(line.image, self.recipe.height, self.normalization), line.text

    def canonical_batch(self, indices: Sequence[int]) -> tuple[list[GreyImage], list[str]]:
        """The images and texts that `canonical_line` gives for several lines.

        Lines of the layout tiles with a height of 28 px are drawn all at once, which is faster.
        """
        if self.layout.name == "tiles" and self.recipe.height == TILE and self.normalization == "whole":
            texts = [self.text(i) for i in indices]
            line_indices = np.asarray(indices, np.int64)
            seen = [to_visual(text, self.direction) for text in texts]
            tile_indices = sample_tile_indices(seen, self.seed, line_indices, self.pool)
            jitter = self.layout.jitter if isinstance(self.layout, Tiles) else 0.0
            warps = sample_warp_indices(self.seed, line_indices, tile_indices.shape[1]) if jitter else None
            images = draw_tiles(tile_indices, self.pool, warps, jitter)
            return [image[:, : TILE * len(text)] for image, text in zip(images, texts, strict=True)], texts
        pairs = [self.canonical_line(i) for i in indices]
        return [image for image, _ in pairs], [text for _, text in pairs]


def open_glyph_pool(recipe: LinesRecipe, split: str) -> GlyphPool:
    """The glyph sources of a recipe for one split.

    Raises what `open_cached_glyphs` raises, and RecipeError for weights that are all 0.
    """
    sources = tuple(open_cached_glyphs(share.source) for share in recipe.glyphs)
    return GlyphPool(sources, tuple(share.weight for share in recipe.glyphs), split)


_open_sources: dict[str, GlyphSource] = {}


def open_cached_glyphs(spec: str) -> GlyphSource:
    """Open a glyph source once per process and data folder: EMNIST's images are large, and three splits share them.

    spec: as in a recipe, such as emnist/byclass. Raises what `open_glyphs` raises. A source that was changed on disk is
    not opened again.
    """
    key = f"{os.environ.get('GLYPHLINE_DATA', '')}|{spec}"
    if key not in _open_sources:
        _open_sources[key] = open_glyphs(spec)
    return _open_sources[key]


def open_layout(recipe: LinesRecipe, direction: str = LTR) -> Layout:
    """The layout of a recipe with its effects or jitter.

    direction: of the lines, "ltr" or "rtl".
    Raises RecipeError for an unknown layout or effect, and for the share of an effect outside 0..1.
    """
    if recipe.layout not in LAYOUTS:
        raise RecipeError(f'no layout "{recipe.layout}"; {nearest(recipe.layout, LAYOUTS)}')
    if recipe.layout == "natural":
        effects = DEFAULT_EFFECT_SHARES if recipe.effects is None else recipe.effects
        check_effects(effects)
        return Natural(effects=effects, direction=direction)
    layout = LAYOUTS[recipe.layout]
    return layout(jitter=recipe.jitter, direction=direction) if issubclass(layout, Tiles) else layout()


def normalization_of(recipe: LinesRecipe) -> str:
    """The normalization of a network's input: that of the recipe, otherwise that of its layout.

    Raises RecipeError as `open_layout` does.
    """
    return recipe.normalization or open_layout(recipe).normalization


# ------------------------------------------------------------------------------------------------------------- to disk


def available_lines(lines: LinesRecipe) -> tuple[LinesRecipe, str]:
    """The lines of a reader's recipe without what is not on this machine, and a sentence that says what this is.

    The fonts of the package take the place of missing fonts, with their weight. Where no glyphs or no sentences are
    left, those that are part of glyphline take their place. Labelled lines are left out: they are in the folders of
    another training.
    """
    kept, missing, font_weight = [], [], 0.0
    for share in lines.glyphs:
        try:
            open_glyphs(share.source).count("a", "train")  # some sources open their files only now
            kept.append(share)
        except (GlyphlineError, OSError):
            missing.append(share.source)
            if "fonts:" in share.source:
                font_weight += share.weight
    if font_weight:
        kept.append(GlyphShare(EMBEDDED_FONTS, font_weight))
    weights = lines.sentence_weights or (1.0,) * len(lines.sentences)
    sentences = []
    for spec, weight in zip(lines.sentences, weights, strict=True):
        kind = spec.partition(":")[0]
        if kind in GENERATED_KINDS:  # fewer than for a training of hours: they take longest to prepare
            sentences.append((f"{kind}:{GENERATED_COUNT}", weight))
        elif is_available(spec):
            sentences.append((spec, weight))
        else:
            missing.append(spec)
    sentences = sentences or [(spec, 1.0) for spec in EMBEDDED_SENTENCES]
    note = f"everybody's lines are composed without {', '.join(missing)}: not on this machine" if missing else ""
    if font_weight:
        note += "; fonts of the package take the place of the others"
    common = dataclasses.replace(
        lines, glyphs=tuple(kept) or (GlyphShare(EMBEDDED_GLYPHS),), sentences=tuple(spec for spec, _ in sentences),
        sentence_weights=tuple(weight for _, weight in sentences),
        test_sentences=tuple(spec for spec in lines.test_sentences if spec in dict(sentences)), labelled=(),
        undrawn="drop",
    )  # fmt: skip
    return common, note


def _write_chunk(lines: LineSet, out: Path, start: int, end: int, boxes: bool) -> Rows:
    """Compose lines start..end-1 and write their images. Returns their rows of labels and records."""
    rows = []
    for index in range(start, end):
        line = lines.line(index, boxes)
        name = f"{index:06d}.png"
        ok, png = cv2.imencode(".png", line.image)
        assert ok  # PNG of a uint8 array always encodes
        (out / name).write_bytes(png.tobytes())
        record = dataclasses.asdict(line.record)
        if boxes:
            record["boxes"] = line.boxes
        rows.append((f"{name}\t{line.text.rstrip()}\n", json.dumps({"file": name, **record}) + "\n"))
    return rows


_worker_job: tuple[LineSet, Path, bool] | None = None  # in a worker process: the lines, the folder, whether boxes


def _start_worker(lines: LineSet, out: Path, boxes: bool) -> None:
    global _worker_job
    _worker_job = (lines, out, boxes)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which ends its workers


def _write_chunk_in_worker(span: tuple[int, int]) -> Rows:
    assert _worker_job is not None  # set by _start_worker
    lines, out, boxes = _worker_job
    return _write_chunk(lines, out, *span, boxes)


def write_lines(
    lines: LineSet,
    count: int,
    out: Path,
    *,
    boxes: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> int:
    """Write lines 0..count-1 to a folder and return how many of them are new. An interrupted call can be continued.

    out: the folder; it receives 000000.png ..., labels.tsv, record.jsonl and compose.json. boxes: whether records hold
    the glyph boxes. workers: number of processes; the files do not depend on it. progress: called with the chunks, the
    lines done and the lines in all, it yields the same chunks and can show how many lines are done.
    labels.tsv has the texts without spaces at their end; record.jsonl has them as they are composed.
    A line counts as written once both its rows are in the files, so a kill loses at most the chunks in progress.
    Raises DataError where the folder holds lines of other settings, glyphs or sentences, holds a labels.tsv that was
    not composed, or cannot be written to; GlyphlineError for a full disk.
    """
    try:
        done = _resume_folder(out, lines.settings | {"boxes": boxes})
        spans = [(start, min(start + CHUNK, count)) for start in range(min(done, count), count, CHUNK)]
        with (
            (out / LABELS).open("a", encoding="utf-8") as labels,
            (out / RECORDS).open("a", encoding="utf-8") as records,
        ):
            chunks: Iterable[Rows]
            if workers > 1 and len(spans) > 1:
                with multiprocessing.Pool(workers, _start_worker, (lines, out, boxes)) as processes:
                    chunks = processes.imap(_write_chunk_in_worker, spans)
                    _append_rows(chunks, labels, records, progress, done, count)
            else:
                chunks = (_write_chunk(lines, out, *span, boxes) for span in spans)
                _append_rows(chunks, labels, records, progress, done, count)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise GlyphlineError(
                f"the disk of {out} is full: free some space and run the same command again; it continues there"
            ) from None
        raise DataError(f"cannot write to {out}: {error.strerror or error}") from None
    return max(0, count - done)


def _append_rows(
    chunks: Iterable[Rows], labels: TextIO, records: TextIO, progress: Progress | None, done: int, count: int
) -> None:
    """Append the rows of each chunk to both files as soon as its images are written."""
    for rows in progress(chunks, done, count) if progress else chunks:
        labels.writelines(label for label, _ in rows)
        records.writelines(record for _, record in rows)
        labels.flush()
        records.flush()


def _resume_folder(out: Path, settings: dict[str, object]) -> int:
    """Create the folder, or cut its files to the lines that are complete. Returns the number of these lines."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / SETTINGS
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except ValueError:  # the process was killed while it wrote this file, which comes before all lines
        found = None
    if found is None:
        if (out / LABELS).exists():
            raise DataError(f"{out} holds a {LABELS} that was not composed here: choose an empty folder")
        write_atomically(path, (json.dumps(settings, indent=1) + "\n").encode())
        return 0
    check_same_lines(out, found, settings)
    rows = []
    for name in (LABELS, RECORDS):
        data = (out / name).read_bytes() if (out / name).exists() else b""
        rows.append(data.split(b"\n")[:-1])  # a last row without its newline is incomplete
    complete = min(map(len, rows))
    for name, file_rows in zip((LABELS, RECORDS), rows, strict=True):
        write_atomically(out / name, b"".join(row + b"\n" for row in file_rows[:complete]))
    return complete


def check_same_lines(folder: Path, found: Any, settings: dict[str, Any]) -> None:
    """Raise DataError where the `LineSet.settings` of the lines in a folder, `found`, are not those of other lines."""
    if found == settings:
        return
    only_data = isinstance(found, dict) and "data" in found and {**found, "data": 0} == {**settings, "data": 0}
    other = "glyphs or sentences, which have changed since" if only_data else "settings, or of an older version"
    raise DataError(f"{folder} holds lines of other {other}: choose another folder, or delete it")


def read_labels(folder: Path) -> list[tuple[Path, str]]:
    """The path and the text of each line image in a folder with labels.tsv (UTF-8, rows of file<TAB>text).

    Empty rows are skipped. Raises DataError for a missing or empty labels.tsv, for text that is not UTF-8, and for the
    first row without a tab or with an image that does not exist.
    """
    path = folder / LABELS
    if not path.exists():
        raise DataError(
            f"{folder} has no {LABELS} (rows of file<TAB>text): compose lines into it, or write it for your images"
        )
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
            raise DataError(f"{path} line {number} has no tab: write each row as file<TAB>text")
        if not (folder / name).is_file():
            raise DataError(f"{path} line {number} names {name}, which is not in the folder: add it or remove the row")
        pairs.append((folder / name, text))
    if not pairs:
        raise DataError(f"{path} is empty: it needs at least one row file<TAB>text")
    return pairs


def draw_contact_sheet(
    lines: Sequence[tuple[npt.NDArray[np.uint8], str]], columns: int = 1, height: int = 48
) -> GreyImage:
    """Draw line images with their texts below them on one white sheet, uint8 (H, W).

    lines: at least one pair of an image, uint8 (H, W), and its text. columns: images side by side. height: of each
    image on the sheet, px. The texts are drawn in fonts of this machine or the package.
    """
    fonts = LabelFonts()
    cells = []
    for image, text in lines:
        size = (max(1, round(image.shape[1] * height / image.shape[0])), height)
        label_width = math.ceil(fonts.width(text, CAPTION_SIZE))
        cell = Image.new("L", (max(size[0], label_width) + 8, height + 22), 255)
        cell.paste(Image.fromarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)), (4, 2))
        fonts.draw(ImageDraw.Draw(cell), (4, height + 16), text, CAPTION_SIZE, "ls")
        cells.append(np.asarray(cell))
    width = max(c.shape[1] for c in cells)
    cells = [cv2.copyMakeBorder(c, 0, 0, 0, width - c.shape[1], cv2.BORDER_CONSTANT, value=255) for c in cells]
    while len(cells) % columns:
        cells.append(np.full_like(cells[0], 255))
    return np.vstack([np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)])
