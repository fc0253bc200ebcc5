"""Adapts the reader to simulated hands, and counts what each has gained: by glyphs, by 20 labelled lines, by both.

    make fonts && python benchmarks/adapt.py [--hands 12] [--minutes 10] [--ways both glyphs lines]
    python benchmarks/adapt.py --writers    # real writers; both write benchmarks/results/adapt.json

A hand is a font of recipes/fonts/held-out or held-out-hands, which no training has seen: upright, or slanted and drawn
narrower or wider; each character is bent in VARIANTS ways, in others for the test than for what teaches. Fonts that
draw small letters as capitals are left out: most of their errors are of case, and what was read right would count as
learned. Its glyphs are cut out of a sheet that is filled and photographed by simulation
(tests/composing/simulated_sheets.py). Its labelled lines and its TEST_LINES test lines are composed, with pen, paper
and camera; their sentences differ. The hands whose SELECTION_LINES, lines apart from these, the reader reads worst are
taken. What is measured is written at once and not measured again: an interrupted run goes on, on another machine too,
and deleting RESULTS begins anew. All is measured on as many cores; two processes may measure different ways beside each
other, each with its own --work and on its own core: `taskset -c 0 python benchmarks/adapt.py ...`. Errors are those of
the reader with its language models, with case, as `glyphline evaluate` counts them. Everybody's lines are COMMON_LINES
composed as the reader's recipe says, of a seed that `adapt` does not use, and the clean lines of the photographs.

A real writer is one of $GLYPHLINE_DATA/photos/manifest.tsv with WRITER_LINES clean lines or more. Each half of the
lines is read by a reader that is adapted to the other half (`--held-out 0`: nothing of it measures).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from glyphline.alphabet import ALPHABETS
from glyphline.composing.glyphs import Fonts, Glyph, GlyphSource, Strokes
from glyphline.composing.glyphs.folder import METRICS
from glyphline.composing.hand import HandFolder
from glyphline.composing.layouts import GlyphPool
from glyphline.composing.line_sets import LineSet, available_lines, write_lines
from glyphline.composing.sentences import read_sentences
from glyphline.composing.sheet import Sheet, choose_lines
from glyphline.composing.sheet_photos import check_page, cut_page, find_page
from glyphline.errors import GlyphlineError
from glyphline.files import write_atomically
from glyphline.reading.lines import open_line_reader
from glyphline.recipe import LinesRecipe
from glyphline.score import bootstrap_interval, edit_distance, fold_none, score
from glyphline.training.adapt import adapt
from glyphline.training.evaluate import ScoredLine, evaluate
from glyphline.training.labelled_lines import open_labelled_lines
from glyphline.training.network import load_any_network
from reading import CLEAN, LabelledImages, copy_lines, load_real_lines, writers_of_real_lines
from sheets import fill_page, open_font, photograph

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "adapt.json"
MODEL = "photo"
LABELLED_LINES, SELECTION_LINES, TEST_LINES, COMMON_LINES = 20, 30, 60, 300
COMMON_SEED = 2_026
WRITER_LINES = 8
VARIANTS = 12  # of each character, for each split
TURN, STRETCH, BEND = 2.5, 0.05, 0.03  # sigmas of a variant: degrees, a share, and a share of the height
BENDS = ((0.0, 1.0), (0.25, 0.85), (-0.2, 1.2))  # slant and width; font after font takes the next
CASE_SHARE = 0.3  # of the errors of a font that draws small letters as capitals, at least, are of case; others: <= 0.15
FONTS = ("held-out", "held-out-hands")
#: -> with glyphs, with labelled lines; in the order in which they are measured, each for all hands
WAYS = {"both": (True, True), "glyphs": (True, False), "lines": (False, True)}
TRAIN, SELECTION, TEST = "train", "val", "test"  # splits of a hand's sentences and variants
REAL = "real"  # folder of the clean lines of the photographs


class SimulatedHand(GlyphSource):
    """The glyphs of a font, slanted, drawn narrower or wider, and bent a little in VARIANTS ways, others in each split.

    font: a source of one font, whose splits share it.
    """

    def __init__(self, font: GlyphSource, slant: float, width: float) -> None:
        self.font, self.slant, self.width = font, slant, width
        self.name = font.name

    def characters(self, split: str) -> str:
        return self.font.characters(TRAIN)

    def count(self, character: str, split: str) -> int:
        return VARIANTS if self.font.count(character, TRAIN) else 0

    def digests(self, split: str) -> set[int]:
        return self.font.digests(TRAIN)

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        glyph = self.font.glyph(character, 0, TRAIN)
        rng = np.random.default_rng(zlib.crc32(f"{split} {character} {index}".encode()))
        height, width = glyph.ink.shape
        unit = (glyph.top - glyph.bottom) / height  # x-heights a px
        turn = np.deg2rad(rng.normal(0, TURN))
        across, up = (float(rng.normal(1, STRETCH)) for _ in range(2))
        shape = np.array([[self.width * across, -self.slant - turn], [turn, up]])
        baseline = glyph.top / unit  # px below the upper edge of the ink
        shift = np.array([[0.0], [baseline]]) - shape @ np.array([[0.0], [baseline]])  # it is mapped onto itself
        corners = shape @ np.array([[0, width, 0, width], [0, 0, height, height]]) + shift
        margin = round(3 * BEND * height) + 1
        left, top = np.floor(corners.min(axis=1)) - margin
        right, bottom = np.ceil(corners.max(axis=1)) + margin
        x, y = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
        waves = rng.normal(0, BEND * height, (2, 3, 3))
        waves = np.stack([cv2.resize(wave, x.shape[::-1], interpolation=cv2.INTER_CUBIC) for wave in waves])
        places = np.linalg.inv(shape) @ (np.stack([x, y]).reshape(2, -1) - shift)
        maps = (places.reshape(2, *x.shape) + waves).astype(np.float32)
        ink = cv2.remap(glyph.ink, maps[0], maps[1], cv2.INTER_LINEAR)
        rows, columns = (np.flatnonzero(ink.max(axis=axis) > 0) for axis in (1, 0))
        ink = np.ascontiguousarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        above = (baseline - top - rows[0]) * unit
        return Glyph(ink, above, above - len(ink) * unit)


def write_hand(source: GlyphSource, sheet: Sheet, folder: Path, seed: int) -> None:
    """The glyph folder of a hand: its sheet filled, photographed and cut."""
    rng, hand = np.random.default_rng(seed), HandFolder(folder, sheet)
    for page in range(1, sheet.page_count + 1):
        photo = photograph(fill_page(sheet, page, source, 0, rng).image, sheet, rng)
        found = find_page(photo)
        check_page(found, sheet)
        hand.add_page(page, f"page{page}.jpg", cut_page(photo, found, sheet))
    hand.finish()


def lines_of(hand: GlyphSource, split: str) -> LineSet:
    """Composed lines of a hand."""
    recipe = LinesRecipe(sentences=("built-in", "wikisplit"), length=(12, 40))
    return LineSet(recipe, split, 7, pool=GlyphPool((hand, Strokes()), (1.0, 0.0), split))


def score_reader(model: str, lines: Path) -> dict[str, Any]:
    result = evaluate(str(lines), open_line_reader(model))
    rows = result.scored_lines
    without_case = score([line.truth for line in rows], [line.prediction for line in rows], "case").cer
    return {"cer": result.score.cer, "cer_interval": result.score.cer_interval, "cer_without_case": without_case}


def write_common_lines(folder: Path) -> list[Path]:
    """Folders with everybody's lines: COMMON_LINES composed ones, and the clean lines of the photographs."""
    lines, note = available_lines(load_any_network(Path(MODEL)).recipe.lines)
    if note:
        report(note)
    write_lines(LineSet(lines, TEST, COMMON_SEED), COMMON_LINES, folder / "composed")
    return [folder / "composed", copy_lines(load_real_lines()[CLEAN], folder / REAL)]


def read_common_lines(model: str, folders: Sequence[Path]) -> dict[str, list[str]]:
    """Name of each folder -> what a reader reads in its lines."""
    reader = open_line_reader(model)
    return {folder.name: [line.prediction for line in evaluate(str(folder), reader).scored_lines] for folder in folders}


def compare_common_lines(
    folders: Sequence[Path], before: dict[str, list[str]], after: dict[str, list[str]]
) -> dict[str, dict[str, Any]]:
    """Name of each folder -> CER before and after, and the 95 % interval of the paired difference."""
    rows = {}
    for folder in folders:
        truths = [fold_none(line.text) for line in open_labelled_lines(folder).lines]
        lengths = np.array([len(truth) for truth in truths])
        errors = [
            np.array(
                [edit_distance(truth, fold_none(text)) for truth, text in zip(truths, read[folder.name], strict=True)]
            )
            for read in (before, after)
        ]
        rows[folder.name] = {
            "before": float(errors[0].sum() / lengths.sum()), "after": float(errors[1].sum() / lengths.sum()),
            "difference_interval": bootstrap_interval(errors[1] - errors[0], lengths),
        }  # fmt: skip
    return rows


def report(text: str) -> None:
    """Print a step of an adaptation."""
    print(text, file=sys.stderr)


@dataclass(frozen=True)
class Hand:
    """A simulated hand, its folder of lines and glyphs, and the seed of its photographs."""

    font: str  # "held-out/NAME"
    folder: Path
    glyphs: SimulatedHand
    seed: int

    @property
    def name(self) -> str:
        return self.folder.name

    def lines(self, split: str, count: int) -> Path:
        """The folder of its labelled, selection or test lines; composed where it is missing."""
        write_lines(lines_of(self.glyphs, split), count, self.folder / split)
        return self.folder / split

    def glyph_folder(self) -> Path:
        """The folder of its glyphs; made where it is missing. Raises GlyphlineError where no sheet is found again."""
        folder = self.folder / "hand"
        if not (folder / METRICS).exists():
            characters = ALPHABETS["english"].replace(" ", "")
            sheet = Sheet(characters, 4, choose_lines(read_sentences("built-in"), characters), "a4")
            write_hand(self.glyphs, sheet, folder, self.seed)
        return folder


def open_hands(work: Path) -> list[Hand]:
    """A hand of every font of FONTS."""
    files = (path for kind in FONTS for path in (ROOT / "recipes/fonts" / kind).glob("*-latin-400-*"))
    names = {path.name.split("-latin-")[0]: path.parent.name for path in files}
    (work / "fonts").mkdir(parents=True, exist_ok=True)
    hands = []
    for number, font in enumerate(sorted(names)):
        name = f"{names[font]}/{font}"
        copied = work / "fonts" / name.replace("/", "-")
        source = Fonts(copied) if copied.exists() else open_font(name, work / "fonts")
        hands.append(Hand(name, work / font, SimulatedHand(source, *BENDS[number % len(BENDS)]), number))
    return hands


def choose_hands(hands: Sequence[Hand], count: int, results: dict[str, Any]) -> list[Hand]:
    """The hands that the reader reads worst, without those whose errors are of case. Adds their errors to results."""
    selection = results.setdefault("selection", {})
    for hand in hands:
        if hand.name not in selection:
            selection[hand.name] = score_reader(MODEL, hand.lines(SELECTION, SELECTION_LINES))
            save(results)
    of_case = {
        name for name, row in selection.items() if row["cer"] - row["cer_without_case"] > CASE_SHARE * row["cer"] > 0
    }
    print("left out, of case:", ", ".join(sorted(of_case)), flush=True)
    rows = {row["hand"]: row for row in results.get("hands", [])}
    worst: list[Hand] = []
    for hand in sorted(hands, key=lambda hand: -selection[hand.name]["cer"]):
        if hand.name in of_case or len(worst) == count:
            continue
        try:
            if hand.name not in rows:
                hand.glyph_folder()
                before = score_reader(MODEL, hand.lines(TEST, TEST_LINES))
                rows[hand.name] = {"hand": hand.name, "before": before}
            worst.append(hand)
        except GlyphlineError as error:
            print(f"{hand.name} is left out: {error}")
    results["hands"] = [rows[hand.name] for hand in worst]
    save(results)
    return worst


def adapt_hand(
    hand: Hand, way: str, minutes: float, common: Sequence[Path], before: dict[str, list[str]]
) -> dict[str, Any]:
    """The error of one hand, and of everybody's lines, after one of WAYS to adapt.

    common: of `write_common_lines`. before: of `read_common_lines` with the old reader.
    """
    out = hand.folder / f"{way}-{minutes:g}.onnx"
    with_glyphs, with_lines = WAYS[way]
    glyphs = [f"folder:{hand.glyph_folder()}"] if with_glyphs else []
    lines = [hand.lines(TRAIN, LABELLED_LINES)] if with_lines else []
    result = adapt(out, model=MODEL, glyphs=glyphs, lines=lines, minutes=minutes, report=report)
    after = score_reader(str(out) if result.kept else MODEL, hand.lines(TEST, TEST_LINES))
    if result.kept:
        after["common"] = compare_common_lines(common, before, read_common_lines(str(out), common))
    return {**after, "adaptation": asdict(result)}


def summarize(rows: Sequence[dict[str, Any]], way: str) -> dict[str, Any]:
    """The mean error before and after one of WAYS, of the hands that it was measured for."""
    rows = [row for row in rows if way in row]
    before, after = ([row[key]["cer"] for row in rows] for key in ("before", way))
    return {
        "hands": len(rows), "before": float(np.mean(before)), "cer": float(np.mean(after)),
        "ratio_interval": ratio_interval(before, after),
    }  # fmt: skip


def save(results: dict[str, Any]) -> None:
    """Write RESULTS, with the ways and the writers that another process has measured meanwhile."""
    written = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name, value in written.items():
        results.setdefault(name, value)
    others = {row["hand"]: row for row in written.get("hands", [])}
    rows = results.get("hands", [])
    for row in rows:
        other = others.get(row["hand"], {})
        for way in WAYS:
            if way in other:
                row.setdefault(way, other[way])
    if rows:
        results["means"] = {way: summarize(rows, way) for way in WAYS if any(way in row for row in rows)}
    writers = {row["writer"]: row for row in (*written.get("writers", []), *results.get("writers", []))}
    if writers:
        results["writers"] = list(writers.values())
    write_atomically(RESULTS, (json.dumps(results, indent=1) + "\n").encode())


def ratio_interval(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """The 95 % bootstrap interval over the hands of mean CER after / mean CER before."""
    drawn = np.random.default_rng(0).integers(len(before), size=(2000, len(before)))
    ratios = np.array(after)[drawn].mean(axis=1) / np.array(before)[drawn].mean(axis=1)
    return [float(value) for value in np.quantile(ratios, (0.025, 0.975))]


def lines_of_writers() -> dict[str, LabelledImages]:
    """Name of each real writer -> the clean lines and words, at least WRITER_LINES of them."""
    writers, lines = writers_of_real_lines(), defaultdict(list)
    for path, text in load_real_lines()[CLEAN]:
        if path.name in writers:
            lines[writers[path.name]].append((path, text))
    return {name: pairs for name, pairs in lines.items() if len(pairs) >= WRITER_LINES}


def adapt_writer(name: str, lines: LabelledImages, work: Path, minutes: float) -> dict[str, Any]:
    """The error of a real writer's lines before, and of each half by a reader that was adapted to the other half."""
    before: list[ScoredLine] = []
    after: list[ScoredLine] = []
    rows = []
    for part in range(2):
        folder = work / f"{name}-{part}"
        out, done = folder / "lines.onnx", folder / "lines.json"
        test = copy_lines(lines[part::2], folder / TEST)
        if not done.exists():
            others = copy_lines(lines[1 - part :: 2], folder / "lines")
            result = adapt(out, model=MODEL, lines=[others], minutes=minutes, held_out=0, report=report)
            done.write_text(json.dumps(asdict(result)), encoding="utf-8")
        rows.append(json.loads(done.read_text(encoding="utf-8")))
        before += evaluate(str(test), open_line_reader(MODEL)).scored_lines
        after += evaluate(str(test), open_line_reader(str(out) if rows[-1]["kept"] else MODEL)).scored_lines
    result = {"writer": name, "lines": len(lines), "adaptations": rows}
    for key, scored in (("before", before), ("after", after)):
        total = score([line.truth for line in scored], [line.prediction for line in scored])
        result[key] = {"cer": total.cer, "cer_interval": total.cer_interval}
    return result


def main() -> None:
    """Make the hands, adapt to the worst of them, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hands", type=int, default=12, help="hands that the reader reads worst")
    parser.add_argument("--minutes", type=float, default=10, help="of each adaptation")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, help="what the hands are adapted with")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "hands", help="folder of hands and readers")
    parser.add_argument("--writers", action="store_true", help="adapt to the real writers instead")
    args = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    settings = {"minutes": args.minutes, "cores": len(os.sched_getaffinity(0))}
    for name, value in settings.items():
        if results.setdefault(name, value) != value:
            raise SystemExit(f"{RESULTS} holds adaptations with {results[name]:g} {name}: delete it to begin anew")
    if args.writers:
        done = {row["writer"]: row for row in results.get("writers", [])}
        for name, lines in lines_of_writers().items():
            done[name] = done.get(name) or adapt_writer(name, lines, args.work / "writers", args.minutes)
            print(json.dumps(done[name]), flush=True)
            save(results | {"writers": list(done.values())})
        return
    common = write_common_lines(args.work / "common")
    before = read_common_lines(MODEL, common)
    hands = choose_hands(open_hands(args.work), args.hands, results)
    for way in args.ways:
        for hand, row in zip(hands, results["hands"], strict=True):
            if way not in row:
                row[way] = adapt_hand(hand, way, args.minutes, common, before)
            save(results)
            print(f"{hand.name}, {way}: CER {row['before']['cer']:.1%} -> {row[way]['cer']:.1%}", flush=True)
        print(f"{way}: {results['means'][way]}")


if __name__ == "__main__":
    main()
