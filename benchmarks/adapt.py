"""Adapts the reader to simulated hands, and counts what each has gained: by glyphs, by 20 labelled lines, by both.

    make fonts && python benchmarks/adapt.py [--hands 12] [--minutes 10]    # writes benchmarks/results/adapt.json

A hand is a font of recipes/fonts/held-out, which no training has seen, upright or bent: slanted and drawn narrower or
wider. Its glyphs are cut out of a sheet that is filled and photographed by simulation (tests/composing/
simulated_sheets.py). Its labelled lines and its TEST_LINES test lines are composed, with pen, paper and camera; their
sentences differ. The hands that the reader reads worst are taken. An interrupted run goes on: a finished adaptation is
not made again. Errors are those of the reader with its language models, with case, as `glyphline evaluate` counts them.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from glyphline.alphabet import ALPHABETS
from glyphline.composing.glyphs import Fonts, Glyph, GlyphSource, Strokes
from glyphline.composing.hand import HandFolder
from glyphline.composing.layouts import GlyphPool
from glyphline.composing.line_sets import LABELS, LineSet, write_lines
from glyphline.composing.sentences import read_sentences
from glyphline.composing.sheet import Sheet, choose_lines
from glyphline.composing.sheet_photos import check_page, cut_page, find_page
from glyphline.errors import GlyphlineError
from glyphline.reading.lines import open_line_reader
from glyphline.recipe import LinesRecipe
from glyphline.training.adapt import adapt
from glyphline.training.evaluate import evaluate
from sheets import fill_page, open_font, photograph

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "adapt.json"
LABELLED_LINES, TEST_LINES = 20, 60
BENDS = ((0.0, 1.0), (0.25, 0.85), (-0.2, 1.2))  # slant and width of the upright hand and of its variants
TOO_THIN = "amatic-sc"  # hardly any ink of its composed lines is left: people cannot read them either
WAYS = {"glyphs": (True, False), "lines": (False, True), "both": (True, True)}  # -> glyphs, labelled lines


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
    score = evaluate(str(lines), open_line_reader(model)).score
    return {"cer": score.cer, "interval": score.cer_interval}


def adapt_hand(folder: Path, before: dict[str, Any], minutes: float) -> dict[str, Any]:
    """The error of one hand after each way of adapting."""
    row: dict[str, Any] = {"hand": folder.name, "before": before}
    for way, (with_glyphs, with_lines) in WAYS.items():
        out, done = folder / f"{way}.onnx", folder / f"{way}.json"
        if not done.exists():
            result = adapt(
                out, glyphs=[f"folder:{folder / 'hand'}"] if with_glyphs else (),
                lines=[folder / "lines"] if with_lines else (), minutes=minutes,
                report=lambda text: print(text, file=sys.stderr),
            )  # fmt: skip
            after = score_reader(str(out) if result.kept else "photo", folder / "test")
            done.write_text(json.dumps({**after, "adaptation": asdict(result)}), encoding="utf-8")
        row[way] = json.loads(done.read_text(encoding="utf-8"))
    return row


def main() -> None:
    """Make the hands, adapt to the worst of them, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hands", type=int, default=12, help="hands that the reader reads worst")
    parser.add_argument("--minutes", type=float, default=10, help="of each adaptation")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "hands", help="folder of hands and readers")
    args = parser.parse_args()
    characters = ALPHABETS["english"].replace(" ", "")
    sheet = Sheet(characters, 4, choose_lines(read_sentences("built-in"), characters), "a4")
    names = {p.name.split("-latin-")[0] for p in (ROOT / "recipes/fonts/held-out").glob("*-latin-400-*")}
    fonts = sorted(names - {TOO_THIN})
    (args.work / "fonts").mkdir(parents=True, exist_ok=True)
    before: dict[Path, dict[str, Any]] = {}
    for font in fonts:
        copied = args.work / "fonts" / f"held-out-{font}"
        source = Fonts(copied) if copied.exists() else open_font(f"held-out/{font}", args.work / "fonts")
        for number, (slant, width) in enumerate(BENDS):
            folder, hand = args.work / f"{font}-{number}", Bent(source, slant, width)
            if not (folder / "test" / LABELS).exists():
                write_lines(lines_of(hand, "train"), LABELLED_LINES, folder / "lines")
                write_lines(lines_of(hand, "test"), TEST_LINES, folder / "test")
            before[folder] = score_reader("photo", folder / "test")
            print(f"{folder.name}: CER {before[folder]['cer']:.1%}", flush=True)
            if not (folder / "hand" / "glyphs.tsv").exists():
                try:
                    write_hand(hand, sheet, folder / "hand", number)
                except GlyphlineError as error:
                    print(f"{folder.name} is left out: {error}")
                    del before[folder]
    worst = sorted(before, key=lambda folder: -before[folder]["cer"])[: args.hands]
    rows = []
    for folder in worst:
        rows.append(adapt_hand(folder, before[folder], args.minutes))
        print(json.dumps(rows[-1]), flush=True)
        means = {way: float(np.mean([row[way]["cer"] for row in rows])) for way in ("before", *WAYS)}
        common = {way: [row[way]["adaptation"]["common"] for row in rows] for way in WAYS}
        result = {"minutes": args.minutes, "mean_cer": means, "hands": rows, "common": common}
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print({way: f"{value:.1%}" for way, value in means.items()})


if __name__ == "__main__":
    main()
