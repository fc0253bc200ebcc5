"""The folder of a hand: the characters and lines that were cut out of the photographs of a sheet.

U+0061/p1-r2-c3.png   a glyph: dark ink on white, named by its page, row and column
glyphs.tsv            file, character, top and bottom of the ink in x-heights, for the glyph source folder:FOLDER
lines/labels.tsv      file<TAB>text of the lines that were copied
contact-sheet.png     all glyphs and lines, to check
hand.json             the measures in mm and the faults; a later call adds pages to it
sheet.json            the definition of the sheet
"""

from __future__ import annotations

import json
import re
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
from glyphline.composing.sheet import (
    AREA_BASELINE,
    AREA_HEIGHT,
    BOX_BASELINE,
    BOX_HEIGHT,
    BOX_WIDTH,
    SIDE_MARGIN,
    X_HEIGHT,
    Sheet,
    Slot,
    load_sheet,
)
from glyphline.composing.sheet_photos import RESOLUTION, Cut
from glyphline.errors import DataError
from glyphline.files import write_atomically
from glyphline.imaging.documents import ColourImage, load
from glyphline.writing_direction import has_rtl_letters

RECORD, DEFINITION, LINES, CONTACT_SHEET = "hand.json", "sheet.json", "lines", "contact-sheet.png"
BORDER = 4  # px of white around the ink of a stored image
X_LETTERS = "acemnorsuvwxz"  # their height is the x-height, and they stand on the baseline
MIN_X_LETTERS = 5  # glyphs of X_LETTERS that measure a writer; with fewer the hints of the sheet count
X_HEIGHTS = (0.4, 2.0)  # of the hint; a measured x-height outside is not believed
_CUT_NAME = re.compile(rf"(?:^|/)(U\+[0-9A-F]+|{LINES})/p\d+-[\w-]+\.png$")  # of the images of glyphs and lines
CELL, LINE_CELL = 4, 3  # px a mm, of a box and of a line on the contact sheet
LINE_TEXT = 18  # px an em, of the text of a line there
SHEET_WIDTH = 1300  # px of the contact sheet, about


@dataclass(frozen=True)
class Hand:
    """What a hand's folder holds now."""

    x_height: float  # mm, of the writing
    glyph_counts: dict[str, int]  # character of the sheet -> glyphs, 0 for none
    line_count: int
    faults: int  # places that are empty or over their box
    missing_pages: tuple[int, ...]  # that are on no photograph so far


def is_cut_image(path: Path) -> bool:
    """Whether a file is one of the images that a `HandFolder` writes."""
    if path.name == CONTACT_SHEET:
        return (path.parent / RECORD).exists()
    return _CUT_NAME.search(path.as_posix()) is not None and (path.parent.parent / RECORD).exists()


class HandFolder:
    """Writes cut pages into the folder of a hand. Pages of earlier calls stay, a page that is cut again is replaced.

    What a person has corrected in them stays too: images and rows of the tables that were removed, other texts of
    lines, and other characters of glyphs.
    Raises DataError where the folder holds a hand of another sheet, holds other files in its place, or cannot be
    read or written.
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
            self._take_corrections()
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise DataError(f"{folder} holds something else: choose an empty or a new folder for --out")

    def _take_corrections(self) -> None:
        """Bring the rows of the pages up to date with the tables and the images of the folder."""
        glyphs, labels = _read_rows(self.folder / METRICS), _read_rows(self.folder / LINES / LABELS)
        for row in self._rows():
            if not row["file"]:
                continue
            table, name = (labels, Path(row["file"]).name) if row["line"] else (glyphs, row["file"])
            if table is not None and name in table:
                row["text"] = table[name]
            if (table is not None and name not in table) or not (self.folder / row["file"]).is_file():
                row["file"], row["fault"] = None, "was removed"

    def add_page(self, page: int, photo: str, cuts: Sequence[Cut]) -> None:
        """Write the images and the tables of a page; `finish`, for the contact sheet, must follow."""
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
            old = [row["file"] for row in self._pages.get(page, []) if row["file"] and row["file"] not in new]
            self._pages[page] = record
            self._write_tables()  # before the record: a row of this that they lack was removed by a person
            self._write_record()
            for name in old:  # last, so that the tables never name an image that is gone
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"cannot write to {self.folder}: {error.strerror or error}") from None

    def _write_record(self) -> None:
        """Write the definition and the measures; the folder is made if it is not there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / DEFINITION, self.sheet.to_json().encode() + b"\n")
        record = {str(page): self._pages[page] for page in sorted(self._pages)}
        write_atomically(self.folder / RECORD, json.dumps(record, indent=1).encode() + b"\n")

    def _rows(self) -> list[dict[str, Any]]:
        """The places of all pages so far, in the order of writing."""
        return [row for page in sorted(self._pages) for row in self._pages[page]]

    def _write_tables(self) -> tuple[float, int]:
        """Write METRICS, and LABELS of the lines. Returns the x-height, mm, and the number of lines."""
        glyphs = [row for row in self._rows() if row["file"] and not row["line"]]
        lines = [row for row in self._rows() if row["file"] and row["line"]]
        unit, baseline = _measure_writing(glyphs)
        metrics = format_metrics(
            (row["file"], row["text"], (row["top"] - baseline) / unit, (row["bottom"] - baseline) / unit)
            for row in glyphs
        )
        write_atomically(self.folder / METRICS, metrics.encode())
        if lines:
            labels = "".join(f"{Path(row['file']).name}\t{row['text']}\n" for row in lines)
            write_atomically(self.folder / LINES / LABELS, labels.encode())
        else:
            (self.folder / LINES / LABELS).unlink(missing_ok=True)
        return unit, len(lines)

    def finish(self, fonts: LabelFonts | None = None) -> Hand:
        """Write the tables and the contact sheet. fonts: print the characters and the lines on the contact sheet."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            unit, line_count = self._write_tables()
            self._write_record()
            sheet = cv2.imencode(".png", cv2.cvtColor(self._draw_contact_sheet(fonts), cv2.COLOR_RGB2BGR))[1]
            write_atomically(self.folder / CONTACT_SHEET, sheet.tobytes())
        except OSError as error:
            raise DataError(f"cannot write to {self.folder}: {error.strerror or error}") from None
        counts = dict.fromkeys(self.sheet.characters, 0)
        for row in self._rows():
            if row["file"] and not row["line"] and row["text"] in counts:
                counts[row["text"]] += 1
        faults = sum(bool(row["fault"]) for row in self._rows())
        missing = tuple(page for page in range(1, self.sheet.page_count + 1) if page not in self._pages)
        return Hand(unit, counts, line_count, faults, missing)

    def _draw_contact_sheet(self, fonts: LabelFonts | None) -> ColourImage:
        """All places of the sheet with what was cut: uint8 (H, W, 3).

        A group of boxes for each character, then the lines, each below its text. A place with a fault is red, one of a
        page that is on no photograph grey.
        """
        fonts = fonts or LabelFonts()
        box = round(BOX_WIDTH * CELL), round(BOX_HEIGHT * CELL)
        area = round((self.sheet.size[0] - 2 * SIDE_MARGIN) * LINE_CELL), round(AREA_HEIGHT * LINE_CELL)
        group = 40 + self.sheet.copies * (box[0] + 4) + 12  # px: the character in print, its boxes, a gap
        across = max(1, SHEET_WIDTH // group)
        width = max(across * group, area[0] + 12)
        beside = width // (area[0] + 12)  # lines
        lines_top = -(-len(self.sheet.characters) // across) * (box[1] + 8)
        pitch = LINE_TEXT + 12 + area[1]  # px from a line to the next below it
        height = lines_top + -(-len(self.sheet.lines) // beside) * pitch
        image = Image.new("RGB", (width, height), "white")
        draw = ImageDraw.Draw(image)
        boxes = [slot for slot in self.sheet.slots if not slot.is_line]
        for number, character in enumerate(self.sheet.characters):
            x, y = number % across * group, number // across * (box[1] + 8) + 4
            fonts.draw(draw, (x + 20, y + 40), character, 26, "ms")
            for copy, slot in enumerate(boxes[number * self.sheet.copies : (number + 1) * self.sheet.copies]):
                self._draw_slot(image, slot, (x + 40 + copy * (box[0] + 4), y), box, round(BOX_BASELINE * CELL), CELL)
        for number, slot in enumerate(slot for slot in self.sheet.slots if slot.is_line):
            x, y = number % beside * (area[0] + 12) + 6, lines_top + number // beside * pitch + LINE_TEXT + 4
            corner, anchor = (x + area[0], "rs") if has_rtl_letters(slot.text) else (x, "ls")
            row = self._row_of(slot)
            fonts.draw(draw, (corner, y - 5), row["text"] if row else slot.text, LINE_TEXT, anchor)
            self._draw_slot(image, slot, (x, y), area, round(AREA_BASELINE * LINE_CELL), LINE_CELL)
        return np.asarray(image, np.uint8)

    def _row_of(self, slot: Slot) -> dict[str, Any] | None:
        """What was cut from a place; None where its page is on no photograph so far."""
        rows = self._pages.get(slot.page, [])
        return next((row for row in rows if (row["row"], row["column"]) == (slot.row, slot.column)), None)

    def _draw_slot(
        self, image: Image.Image, slot: Slot, corner: tuple[int, int], size: tuple[int, int], baseline: int, scale: int
    ) -> None:
        """Draw a place and the ink that was cut from it, in the middle.

        corner: the upper left one, px. size: width and height, px. baseline: px below the corner. scale: px a mm.
        """
        row = self._row_of(slot)
        paper = (225, 225, 225) if row is None else (255, 190, 180) if row["fault"] else (246, 246, 240)
        draw = ImageDraw.Draw(image)
        left, top = corner
        draw.rectangle((left, top, left + size[0] - 1, top + size[1] - 1), paper)
        draw.line((left, top + baseline, left + size[0] - 1, top + baseline), (190, 200, 230))
        if row is not None and row["file"]:
            ink = load(self.folder / row["file"])[BORDER:-BORDER, BORDER:-BORDER]
            shape = tuple(max(1, round(side * scale / RESOLUTION)) for side in ink.shape[::-1])
            mask = Image.fromarray(255 - cv2.resize(ink, shape, interpolation=cv2.INTER_AREA))
            place = left + (size[0] - shape[0]) // 2, top + baseline - round(row["top"] * scale)
            image.paste((20, 20, 60), place, mask)


def _read_rows(path: Path) -> dict[str, str] | None:
    """The first and the second column of a tab-separated table; None without it. Raises DataError if it is not text."""
    try:
        rows = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}): save it as UTF-8 text") from None
    columns = [row.rstrip("\r").split("\t") for row in rows]
    return {row[0]: row[1] for row in columns if len(row) > 1}


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
