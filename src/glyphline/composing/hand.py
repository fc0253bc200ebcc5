"""The folder of a hand: the characters and lines that were cut out of the photographs of a sheet.

U+0061/p1-r2-c3.png   a glyph: dark ink on white, named by its page, row and column
glyphs.tsv            file, character, top and bottom of the ink in x-heights, for the glyph source folder:FOLDER
lines/labels.tsv      file<TAB>text of the lines that were copied
contact-sheet.png     all glyphs, to check
hand.json             the measures in mm and the faults; a later call adds pages to it
sheet.json            the definition of the sheet
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw

from glyphline.composing.glyphs.folder import METRICS, format_metrics
from glyphline.composing.label_fonts import LabelFonts
from glyphline.composing.line_sets import LABELS
from glyphline.composing.sheet import BOX_BASELINE, BOX_HEIGHT, BOX_WIDTH, X_HEIGHT, Sheet, load_sheet
from glyphline.composing.sheet_photos import RESOLUTION, Cut
from glyphline.errors import DataError
from glyphline.files import write_atomically
from glyphline.imaging.documents import GreyImage, load

RECORD, DEFINITION, LINES, CONTACT_SHEET = "hand.json", "sheet.json", "lines", "contact-sheet.png"
BORDER = 4  # px of white around the ink of a stored image
X_LETTERS = "acemnorsuvwxz"  # their height is the x-height, and they stand on the baseline
MIN_X_LETTERS = 5  # glyphs of X_LETTERS that measure a writer; with fewer the hints of the sheet count
X_HEIGHTS = (0.4, 2.0)  # of the hint; a measured x-height outside is not believed
CELL = 4  # px a mm, of a box on the contact sheet
SHEET_WIDTH = 1300  # px of the contact sheet, about


@dataclass(frozen=True)
class Hand:
    """What a hand's folder holds now."""

    x_height: float  # mm, of the writing
    glyph_counts: dict[str, int]  # character of the sheet -> glyphs, 0 for none
    line_count: int
    faults: int  # places that are empty or over their box
    missing_pages: tuple[int, ...]  # that are on no photograph so far


class HandFolder:
    """Writes cut pages into the folder of a hand. Pages of earlier calls stay, a page that is cut again is replaced.

    Raises DataError where the folder holds a hand of another sheet, holds other files in its place, or cannot be
    written.
    """

    def __init__(self, folder: Path, sheet: Sheet) -> None:
        self.folder, self.sheet = folder, sheet
        self._pages: dict[int, list[dict[str, Any]]] = {}
        path = folder / RECORD
        if path.exists():
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
                self._pages = {int(page): list(cuts) for page, cuts in record.items()}
            except (OSError, ValueError, AttributeError, TypeError):
                raise DataError(f"{path} is damaged: delete the folder {folder}, or choose another --out") from None
            if (old_sheet := load_sheet(folder / DEFINITION)) != sheet:
                raise DataError(
                    f"{folder} holds a hand from sheet {old_sheet.identity:05d}, these photographs show sheet "
                    f"{sheet.identity:05d}: choose another --out"
                )
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise DataError(f"{folder} holds something else: choose an empty or a new folder for --out")

    def add_page(self, page: int, photo: str, cuts: Sequence[Cut]) -> None:
        """Write the images of a page and record them; `finish` must follow."""
        record: list[dict[str, Any]] = []
        try:
            self._write_record()  # first, so that an interrupted call leaves a folder that a later one continues
            for cut in cuts:
                slot = cut.slot
                name = f"{LINES}/p{page}-{slot.row:02d}.png" if slot.is_line else (
                    f"U+{ord(slot.text):04X}/p{page}-r{slot.row}-c{slot.column}.png"
                )  # fmt: skip
                kept = cut.fault == "" or (slot.is_line and cut.fault != "is empty")
                record.append(
                    {
                        "file": name if kept else None,
                        "text": slot.text,
                        "line": slot.is_line,
                        "row": slot.row,
                        "column": slot.column,
                        "top": round(cut.top, 2),
                        "bottom": round(cut.bottom, 2),
                        "fault": cut.fault,
                        "photo": photo,
                    }
                )
                if kept:
                    (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                    white = np.pad(255 - cut.ink, BORDER, constant_values=255)
                    write_atomically(self.folder / name, cv2.imencode(".png", white)[1].tobytes())
            new = {row["file"] for row in record}
            for row in self._pages.get(page, []):
                if row["file"] and row["file"] not in new:
                    (self.folder / row["file"]).unlink(missing_ok=True)
            self._pages[page] = record
            self._write_record()
        except OSError as error:
            raise DataError(f"cannot write to {self.folder}: {error.strerror or error}") from None

    def _write_record(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / DEFINITION, self.sheet.to_json().encode() + b"\n")
        record = {str(page): self._pages[page] for page in sorted(self._pages)}
        write_atomically(self.folder / RECORD, json.dumps(record, indent=1).encode() + b"\n")

    def finish(self, fonts: LabelFonts | None = None) -> Hand:
        """Write the tables and the contact sheet. fonts: print the characters on the contact sheet."""
        rows = [row for page in sorted(self._pages) for row in self._pages[page]]
        glyphs = [row for row in rows if row["file"] and not row["line"]]
        lines = [row for row in rows if row["file"] and row["line"]]
        unit, baseline = _measure_writing(glyphs)
        metrics = format_metrics(
            (row["file"], row["text"], (row["top"] - baseline) / unit, (row["bottom"] - baseline) / unit)
            for row in glyphs
        )
        try:
            if lines:
                labels = "".join(f"{Path(row['file']).name}\t{row['text']}\n" for row in lines)
                write_atomically(self.folder / LINES / LABELS, labels.encode())
            write_atomically(self.folder / METRICS, metrics.encode())
            sheet = cv2.imencode(".png", cv2.cvtColor(self._draw_contact_sheet(fonts), cv2.COLOR_RGB2BGR))[1]
            write_atomically(self.folder / CONTACT_SHEET, sheet.tobytes())
        except OSError as error:
            raise DataError(f"cannot write to {self.folder}: {error.strerror or error}") from None
        counts = dict.fromkeys(self.sheet.characters, 0)
        for row in glyphs:
            counts[row["text"]] += 1
        missing = tuple(page for page in range(1, self.sheet.page_count + 1) if page not in self._pages)
        return Hand(unit, counts, len(lines), sum(bool(row["fault"]) for row in rows), missing)

    def _draw_contact_sheet(self, fonts: LabelFonts | None) -> GreyImage:
        """All boxes of the sheet with what was cut, a group for each character: uint8 (H, W, 3).

        A box with a fault is red, one of a page that is on no photograph grey.
        """
        fonts = fonts or LabelFonts()
        by_place = {
            (page, row["row"], row["column"]): row for page, rows in self._pages.items() for row in rows
            if not row["line"]
        }  # fmt: skip
        box = round(BOX_WIDTH * CELL), round(BOX_HEIGHT * CELL)
        group = 40 + self.sheet.copies * (box[0] + 4) + 12  # px: the character in print, its boxes, a gap
        across = max(1, SHEET_WIDTH // group)
        down = -(-len(self.sheet.characters) // across)
        image = Image.new("RGB", (across * group, down * (box[1] + 8)), "white")
        draw = ImageDraw.Draw(image)
        boxes = [slot for slot in self.sheet.slots if not slot.is_line]
        for number, character in enumerate(self.sheet.characters):
            x, y = number % across * group, number // across * (box[1] + 8) + 4
            fonts.draw(draw, (x + 20, y + 40), character, 26, "ms")
            for copy, slot in enumerate(boxes[number * self.sheet.copies : (number + 1) * self.sheet.copies]):
                row = by_place.get((slot.page, slot.row, slot.column))
                left = x + 40 + copy * (box[0] + 4)
                paper = (225, 225, 225) if row is None else (255, 190, 180) if row["fault"] else (246, 246, 240)
                draw.rectangle((left, y, left + box[0] - 1, y + box[1] - 1), paper)
                baseline = y + round(BOX_BASELINE * CELL)
                draw.line((left, baseline, left + box[0] - 1, baseline), (190, 200, 230))
                if row is not None and row["file"]:
                    ink = load(self.folder / row["file"])[BORDER:-BORDER, BORDER:-BORDER]
                    size = tuple(max(1, round(side * CELL / RESOLUTION)) for side in ink.shape[::-1])
                    mask = Image.fromarray(255 - cv2.resize(ink, size, interpolation=cv2.INTER_AREA))
                    top = baseline - round(row["top"] * CELL)
                    image.paste((20, 20, 60), (left + (box[0] - size[0]) // 2, top), mask)
        return np.asarray(image, np.uint8)


def _measure_writing(glyphs: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """The x-height of the writing and its baseline above that of the sheet, mm.

    They are the medians of X_LETTERS; the hints of the sheet where there are too few, or where those are not believed.
    """
    letters = [row for row in glyphs if row["text"] in X_LETTERS]
    if len(letters) >= MIN_X_LETTERS:
        baseline = float(np.median([row["bottom"] for row in letters]))
        x_height = float(np.median([row["top"] for row in letters])) - baseline
        if X_HEIGHTS[0] <= x_height / X_HEIGHT <= X_HEIGHTS[1]:
            return x_height, baseline
    return X_HEIGHT, 0.0
