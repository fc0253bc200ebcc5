"""Adapts the reader to simulated hands, and counts what each has gained: by glyphs, by 20 labelled lines, by both.

    make fonts && python benchmarks/adapt.py [--hands 12] [--minutes 10]    # writes benchmarks/results/adapt.json
    python benchmarks/adapt.py --writers                                    # real writers, into the same file

A hand is a font of recipes/fonts/held-out or held-out-hands, which no training has seen: upright, or slanted and drawn
narrower or wider. Fonts that draw small letters as capitals are left out: most of their errors are of case, and what
was read right would count as learned. Its glyphs are cut out of a sheet that is filled and photographed by simulation
(tests/composing/simulated_sheets.py). Its labelled lines and its TEST_LINES test lines are composed, with pen, paper
and camera; their sentences differ. The hands that the reader reads worst are taken. An interrupted run goes on: a
finished adaptation is not made again. Errors are those of the reader with its language models, with case, as `glyphline
evaluate` counts them.

A real writer is one of $GLYPHLINE_DATA/photos/manifest.tsv with WRITER_LINES lines or more. The lines are divided into
parts; each part is read by a reader that is adapted to the others: two parts where half of the lines are enough to
adapt to (`adapt.FEW_LINES`), else three.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from glyphline.alphabet import ALPHABETS
from glyphline.composing.glyphs import Fonts, Glyph, GlyphSource, Strokes
from glyphline.composing.hand import HandFolder
from glyphline.composing.layouts import GlyphPool
from glyphline.composing.line_sets import LineSet, write_lines
from glyphline.composing.sentences import read_sentences
from glyphline.composing.sheet import Sheet, choose_lines
from glyphline.composing.sheet_photos import check_page, cut_page, find_page
from glyphline.errors import GlyphlineError
from glyphline.reading.lines import open_line_reader
from glyphline.recipe import LinesRecipe
from glyphline.score import score
from glyphline.training.adapt import FEW_LINES, adapt
from glyphline.training.evaluate import ScoredLine, evaluate
from reading import CLEAN, LabelledImages, copy_lines, load_real_lines, writers_of_real_lines
from sheets import fill_page, open_font, photograph

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "adapt.json"
LABELLED_LINES, TEST_LINES = 20, 60
WRITER_LINES = 8
BENDS = ((0.0, 1.0), (0.25, 0.85), (-0.2, 1.2))  # slant and width; font after font takes the next
CASE_SHARE = 0.5  # of the errors of a font that draws small letters as capitals, at least, are of case
FONTS = ("held-out", "held-out-hands")
#: -> with glyphs, with labelled lines; in the order in which they are measured, each for all hands
WAYS = {"both": (True, True), "glyphs": (True, False), "lines": (False, True)}
BEFORE = "before.json"  # in the folder of a hand: its error before


class Bent(GlyphSource):
    """The glyphs of another source, slanted and drawn narrower or wider."""

    def __init__(self, source: GlyphSource, slant: float, width: float) -> None:
        self.source, self.slant, self.width = source, slant, width
        self.name = source.name

    def characters(self, split: str) -> str:
        return self.source.characters(split)

    def count(self, character: str, split: str) -> int:
        return self.source.count(character, split)

    def digests(self, split: str) -> set[int]:
        return self.source.digests(split)

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        glyph = self.source.glyph(character, index, split)
        height, width = glyph.ink.shape
        room = round(abs(self.slant) * height)
        matrix = np.array([[self.width, -self.slant, room if self.slant > 0 else 0], [0, 1, 0]], np.float64)
        size = max(1, round(width * self.width) + room), height
        ink = cv2.warpAffine(glyph.ink, matrix, size, flags=cv2.INTER_AREA)
        columns = np.flatnonzero(ink.max(axis=0) > 0)
        ink = ink[:, columns[0] : columns[-1] + 1] if len(columns) else ink
        return replace(glyph, ink=np.ascontiguousarray(ink), left=None, advance=None)


def write_hand(source: GlyphSource, sheet: Sheet, folder: Path, seed: int) -> None:
    """The glyph folder of a hand: its sheet filled, photographed and cut."""
    rng, hand = np.random.default_rng(seed), HandFolder(folder, sheet)
    for page in range(1, sheet.page_count + 1):
        photo = photograph(fill_page(sheet, page, source, 0, rng).image, sheet, rng)
        found = find_page(photo)
        check_page(found, sheet)
        hand.add_page(page, f"page{page}.jpg", cut_page(photo, found, sheet))
    hand.finish()


def lines_of(source: GlyphSource, split: str) -> LineSet:
    """Composed lines of a hand."""
    recipe = LinesRecipe(sentences=("built-in", "wikisplit"), length=(12, 40))
    return LineSet(recipe, split, 7, pool=GlyphPool((source, Strokes()), (1.0, 0.0), "train"))


def score_reader(model: str, lines: Path) -> dict[str, Any]:
    result = evaluate(str(lines), open_line_reader(model))
    rows = result.scored_lines
    without_case = score([line.truth for line in rows], [line.prediction for line in rows], "case").cer
    return {"cer": result.score.cer, "interval": result.score.cer_interval, "cer_without_case": without_case}


def report(text: str) -> None:
    """Print a step of an adaptation."""
    print(text, file=sys.stderr)


def adapt_hand(folder: Path, way: str, minutes: float) -> dict[str, Any]:
    """The error of one hand after one of WAYS to adapt."""
    out, done = folder / f"{way}.onnx", folder / f"{way}.json"
    if not done.exists():
        with_glyphs, with_lines = WAYS[way]
        glyphs = [f"folder:{folder / 'hand'}"] if with_glyphs else []
        lines = [folder / "lines"] if with_lines else []
        result = adapt(out, glyphs=glyphs, lines=lines, minutes=minutes, report=report)
        after = score_reader(str(out) if result.kept else "photo", folder / "test")
        done.write_text(json.dumps({**after, "adaptation": asdict(result)}), encoding="utf-8")
    result_of_hand: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
    return result_of_hand


def make_hands(work: Path, count: int) -> dict[Path, dict[str, Any]]:
    """Make the hands. Returns folder -> error before of the `count` that the reader reads worst, the worst first."""
    characters = ALPHABETS["english"].replace(" ", "")
    sheet = Sheet(characters, 4, choose_lines(read_sentences("built-in"), characters), "a4")
    files = (path for kind in FONTS for path in (ROOT / "recipes/fonts" / kind).glob("*-latin-400-*"))
    names = {path.name.split("-latin-")[0]: path.parent.name for path in files}
    (work / "fonts").mkdir(parents=True, exist_ok=True)
    hands: list[tuple[dict[str, Any], Path, GlyphSource, int]] = []
    for number, font in enumerate(sorted(names)):
        name = f"{names[font]}/{font}"
        copied = work / "fonts" / name.replace("/", "-")
        source = Fonts(copied) if copied.exists() else open_font(name, work / "fonts")
        folder, hand = work / font, Bent(source, *BENDS[number % len(BENDS)])
        if not (folder / BEFORE).exists():
            write_lines(lines_of(hand, "train"), LABELLED_LINES, folder / "lines")
            write_lines(lines_of(hand, "test"), TEST_LINES, folder / "test")
            (folder / BEFORE).write_text(json.dumps(score_reader("photo", folder / "test")), encoding="utf-8")
        before = json.loads((folder / BEFORE).read_text(encoding="utf-8"))
        is_left_out = before["cer"] - before["cer_without_case"] > CASE_SHARE * before["cer"] > 0
        print(f"{font}: CER {before['cer']:.1%}{', left out: of case' if is_left_out else ''}", flush=True)
        if not is_left_out:
            hands.append((before, folder, hand, number))
    worst: dict[Path, dict[str, Any]] = {}
    for before, folder, hand, number in sorted(hands, key=lambda row: -row[0]["cer"]):
        if len(worst) == count:
            break
        try:
            if not (folder / "hand" / "glyphs.tsv").exists():
                write_hand(hand, sheet, folder / "hand", number)
            worst[folder] = before
        except GlyphlineError as error:
            print(f"{folder.name} is left out: {error}")
    return worst


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
    """The error of a real writer's lines before, and by readers that were adapted to the writer's other lines."""
    parts = 2 if len(lines) >= 2 * FEW_LINES else 3
    before: list[ScoredLine] = []
    after: list[ScoredLine] = []
    rows = []
    for part in range(parts):
        folder = work / f"{name}-{part}"
        out, done = folder / "lines.onnx", folder / "lines.json"
        test = copy_lines(lines[part::parts], folder / "test")
        if not done.exists():
            others = [line for k, line in enumerate(lines) if k % parts != part]
            result = adapt(out, lines=[copy_lines(others, folder / "lines")], minutes=minutes, report=report)
            done.write_text(json.dumps(asdict(result)), encoding="utf-8")
        rows.append(json.loads(done.read_text(encoding="utf-8")))
        before += evaluate(str(test), open_line_reader("photo")).scored_lines
        after += evaluate(str(test), open_line_reader(str(out) if rows[-1]["kept"] else "photo")).scored_lines
    result = {"writer": name, "lines": len(lines), "parts": parts, "adaptations": rows}
    for key, scored in (("before", before), ("after", after)):
        total = score([line.truth for line in scored], [line.prediction for line in scored])
        result[key] = {"cer": total.cer, "interval": total.cer_interval}
    return result


def main() -> None:
    """Make the hands, adapt to the worst of them, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hands", type=int, default=12, help="hands that the reader reads worst")
    parser.add_argument("--minutes", type=float, default=10, help="of each adaptation")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "hands", help="folder of hands and readers")
    parser.add_argument("--writers", action="store_true", help="adapt to the real writers instead")
    args = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if args.writers:
        writers = lines_of_writers().items()
        adapted = [adapt_writer(name, lines, args.work / "writers", args.minutes) for name, lines in writers]
        RESULTS.write_text(json.dumps({**results, "writers": adapted}, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(adapted))
        return
    worst = make_hands(args.work, args.hands)
    rows: dict[Path, dict[str, Any]] = {
        folder: {"hand": folder.name, "before": before} for folder, before in worst.items()
    }
    mean_before = float(np.mean([row["before"]["cer"] for row in rows.values()]))
    results |= {"minutes": args.minutes, "hands": list(rows.values()), "means": {}}
    for way in WAYS:
        for folder, row in rows.items():
            row[way] = adapt_hand(folder, way, args.minutes)
            print(f"{folder.name}, {way}: CER {row['before']['cer']:.1%} -> {row[way]['cer']:.1%}", flush=True)
        cers = [row[way]["cer"] for row in rows.values()]
        interval = ratio_interval([row["before"]["cer"] for row in rows.values()], cers)
        mean = float(np.mean(cers))
        results["means"][way] = {"before": mean_before, "cer": mean, "ratio_interval": interval}
        print(f"{way}: mean CER {mean_before:.1%} -> {mean:.1%}")
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
