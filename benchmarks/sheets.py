"""Fills sheets by simulation, photographs them, and counts the boxes that `glyphline glyphs` cuts right.

python benchmarks/sheets.py    # needs `make fonts`; writes benchmarks/results/sheets.json and docs/figures/hand-*

A hand is a font of recipes/fonts/held-out or held-out-hands, or a writer of the Hershey strokes' test split: no
training has seen them. It is written into the printed pages with its own pen, size and irregularity, and photographed
on a table: perspective, curled paper, uneven light and a shadow, blur, noise, JPEG
(tests/composing/simulated_sheets.py). A box is cut right when at least COMPLETE of the character's ink is there within
1 px (0.1 mm), and at most FOREIGN of what was cut is farther than 0.5 mm from it: no line of the box, no speck. Faults
are planted: empty boxes, characters across the line of a box, pages upside down or sideways; and, in a folder for
`glyphline glyphs`, a page of another sheet, a page twice, a page that is missing, a corner under a thumb. Each must be
named, and nothing else.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from glyphline.alphabet import ALPHABETS
from glyphline.composing.glyphs import Fonts, GlyphSource, Strokes
from glyphline.composing.hand import CONTACT_SHEET, HandFolder
from glyphline.composing.sentences import read_sentences
from glyphline.composing.sheet import CORNERS, Sheet, choose_lines
from glyphline.composing.sheet_photos import FoundPage, check_page, cut_page, find_page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "composing"))
from simulated_sheets import FilledPage, compare, fill_page, photograph  # noqa: E402  (it lies with the tests)

RESULTS = ROOT / "benchmarks" / "results" / "sheets.json"
FIGURES = ROOT / "docs" / "figures"
COMPLETE, FOREIGN = 0.99, 0.01  # shares of the ink's pixels
FAULTS = 2  # boxes of a page that are left empty, and as many in which the character crosses the line
FONTS = (
    "held-out/walter-turncoat", "held-out/amatic-sc", "held-out/permanent-marker", "held-out/rock-salt",
    "held-out/parisienne", "held-out-hands/julee", "held-out-hands/montez", "held-out-hands/water-brush",
)  # fmt: skip
SPLIT = "test"  # of the strokes; a source of one font has it in every split
STROKE_WRITERS = (1, 2)
SHOWN = "held-out-hands/julee"  # the hand in the figures of the documentation


def open_font(name: str, folder: Path) -> GlyphSource:
    """A source of one font of recipes/fonts: its files are copied to a folder of their own."""
    target = folder / name.replace("/", "-")
    target.mkdir()
    for path in (ROOT / "recipes" / "fonts").glob(f"{name}-latin*.woff"):
        shutil.copy(path, target)
    return Fonts(target)


def score_page(cuts: Any, filled: FilledPage, counts: Counter[str], errors: list[float], wrong: list[str]) -> None:
    """Add the boxes of a page to the counts, and the wrong ones by name."""
    for cut in cuts:
        planted = "is empty" if cut.slot in filled.empty else "strays" if cut.slot in filled.stray else ""
        kind = "line" if cut.slot.is_line else "box"
        if planted:
            counts[f"planted {planted}"] += 1
            counts[f"named {planted}"] += cut.fault.startswith(planted)
            if not cut.fault.startswith(planted):
                wrong.append(f"{cut.slot.place} {planted}, but is not named")
        elif cut.fault:
            counts[kind] += 1
            wrong.append(f"{cut.slot.place} {cut.fault}, but is not")
        else:
            complete, foreign, error = compare(cut, filled)
            counts[kind] += 1
            counts[f"{kind} right"] += complete >= COMPLETE and foreign <= FOREIGN
            errors.append(error)
            if complete < COMPLETE or foreign > FOREIGN:
                wrong.append(f"{cut.slot.place}: {complete:.1%} of its ink, {foreign:.1%} foreign")


def score_folder(
    photos: dict[str, np.ndarray], faults: dict[str, str], sheet: Sheet, folder: Path, counts: Counter[str]
) -> list[str]:
    """Add the faults that `glyphline glyphs` names to the counts. Returns what it said if it refused another number.

    photos: by name, all but those of `faults` can be used. faults: what is planted -> the words that name it.
    """
    folder.mkdir()
    (folder / "sheet.json").write_text(sheet.to_json())
    for name, photo in photos.items():
        cv2.imwrite(str(folder / name), photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    command = [sys.executable, "-m", "glyphline", "glyphs", str(folder), "--out", str(folder / "hand")]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    for fault, words in faults.items():
        counts[f"planted {fault}"] += 1
        counts[f"named {fault}"] += words in said
    refused = sum(words.partition(" ")[0] in photos for words in faults.values())
    return [] if f"{refused} of {len(photos)} photographs could not be used" in said else said.splitlines()


def measure_hand(
    name: str, source: GlyphSource, writer: int, sheet: Sheet, other: Sheet, folder: Path
) -> dict[str, Any]:
    """The counts of one hand. folder: a new one, for its files."""
    rng = np.random.default_rng([writer, len(name), sum(name.encode())])
    counts: Counter[str] = Counter()
    errors: list[float] = []
    wrong: list[str] = []
    seconds = 0.0
    hand = HandFolder(folder / "shown", sheet) if name == SHOWN else None
    missing, twice = (1 + int(page) for page in rng.choice(sheet.page_count, 2, replace=False))
    photos: dict[str, np.ndarray] = {}
    for page in range(1, sheet.page_count + 1):
        filled = fill_page(sheet, page, source, writer, rng, FAULTS, FAULTS, SPLIT)
        turns = int(rng.choice(4, p=(0.4, 0.1, 0.4, 0.1)))
        photo = photograph(filled.image, sheet, rng, turns)
        if page != missing:
            photos[f"{page}.jpg"] = photo
        if page == twice:
            photos["again.jpg"] = photograph(filled.image, sheet, rng)
        started = time.process_time()
        found: FoundPage = find_page(photo)
        check_page(found, sheet)
        cuts = cut_page(photo, found, sheet)
        seconds += time.process_time() - started
        score_page(cuts, filled, counts, errors, wrong)
        counts["planted turned"] += turns > 0
        counts["named turned"] += turns > 0 and found.turned == turns * 90 and found.page == page
        if hand:
            hand.add_page(page, f"photo{page}.jpg", cuts)
            if page == 2:
                upright = cv2.resize(np.rot90(photo, turns), None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
                quality = [cv2.IMWRITE_JPEG_QUALITY, 80]
                cv2.imwrite(str(FIGURES / "hand-photo.jpg"), upright[..., ::-1], quality)
    corner = int(rng.integers(4))
    photos["corner.jpg"] = photograph(filled.image, sheet, rng, 0, corner)
    stranger = fill_page(other, 1, source, writer, rng, split=SPLIT)
    photos["0.jpg"] = photograph(stranger.image, other, rng)  # the first of the folder
    faults = {
        "corner": f"corner.jpg shows only 3 of 4 corner marks, the {CORNERS[corner]}",
        "other sheet": f"0.jpg shows a page of sheet {other.identity:05d}",
        "page twice": f"again.jpg shows page {twice} again",
        "page missing": f"no photograph shows page {missing}:",
    }
    wrong += score_folder(photos, faults, sheet, folder / "photos", counts)
    if hand:
        hand.finish()
        sheet_image = cv2.imread(str(hand.folder / CONTACT_SHEET))
        cv2.imwrite(str(FIGURES / "hand-contact-sheet.png"), sheet_image[:, : sheet_image.shape[1]])
        printed = fill_page(sheet, 2, source, writer, rng, empty=10**6).image
        cv2.imwrite(
            str(FIGURES / "hand-sheet.png"), cv2.resize(printed, None, fx=0.28, fy=0.28, interpolation=cv2.INTER_AREA)
            [..., ::-1],
        )  # fmt: skip
    return {
        "hand": name, "counts": dict(counts), "wrong": wrong, "seconds_a_page": round(seconds / sheet.page_count, 2),
        "top_error_mm": {"median": float(np.median(np.abs(errors))), "q95": float(np.quantile(np.abs(errors), 0.95))},
    }  # fmt: skip


def main() -> None:
    characters = ALPHABETS["english"].replace(" ", "")
    sheet = Sheet(characters, 4, choose_lines(read_sentences("built-in"), characters), "a4")
    other = Sheet(characters[::-1], 4, (), "a4")
    hands = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources = [(name, open_font(name, folder), 0) for name in FONTS]
        sources += [(f"strokes, writer {writer}", Strokes(), writer) for writer in STROKE_WRITERS]
        for name, source, writer in sources:
            own_folder = folder / f"hand-{len(hands)}"
            own_folder.mkdir()
            result = measure_hand(name, source, writer, sheet, other, own_folder)
            hands.append(result)
            print(json.dumps(result), flush=True)
    total = sum((Counter(hand["counts"]) for hand in hands), Counter())
    summary = {
        "command": "python benchmarks/sheets.py", "complete": COMPLETE, "foreign": FOREIGN, "total": dict(total),
        "boxes_right": total["box right"] / total["box"], "lines_right": total["line right"] / total["line"],
        "faults_named": sum(v for k, v in total.items() if k.startswith("named"))
        / sum(v for k, v in total.items() if k.startswith("planted")),
        "hands": hands,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print({key: value for key, value in summary.items() if key != "hands"})


if __name__ == "__main__":
    main()
