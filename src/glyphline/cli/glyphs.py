"""`glyphline glyphs`: cut the characters out of photographs of a filled sheet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyphline.cli.terminal import print_status, progress_bar
from glyphline.errors import DataError, ImageError, UserError

if TYPE_CHECKING:
    from glyphline.composing.sheet import Sheet

DEFINITION_BYTES = 64 * 2**20  # larger files are not looked into for a sheet's definition


def glyphs(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO...", help="photographs of the filled pages, any order")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder for the glyphs and lines; pages can be added to it")],
    sheet: Annotated[
        Path | None,
        typer.Option(help="sheet.pdf or sheet.json of the sheet; default: looked for here and beside the photographs"),
    ] = None,
    font: Annotated[Path | None, typer.Option(help="font that prints the characters on the contact sheet")] = None,
) -> None:
    """Cut the characters out of photographs of a filled sheet.

    The folder receives a folder of images for each character, glyphs.tsv with their sizes, the copied lines with
    labels.tsv, and contact-sheet.png to check. It is a glyph source: folder:FOLDER. What is empty or strays over its
    box is named and left out. A photograph that cannot be used is named, the others are used, and the exit code is 2.
    """
    from glyphline.composing.hand import CONTACT_SHEET, HandFolder
    from glyphline.composing.label_fonts import LabelFonts
    from glyphline.composing.sheet import load_sheet
    from glyphline.composing.sheet_photos import check_page, cut_page, find_page
    from glyphline.imaging.documents import Document, image_paths

    paths = [path for path in image_paths(photos) if not _is_definition(path)]
    if not paths:
        raise UserError("these files are sheets to print, not photographs of a filled one: photograph its pages")
    definition = load_sheet(sheet) if sheet else None
    hand: HandFolder | None = None
    photo_of: dict[int, str] = {}  # page -> the photograph it was cut from
    refused = 0
    for path in progress_bar(paths, "cutting", len(paths)):
        try:
            with Document(path) as document:
                for number in range(len(document)):
                    name, image = document.page_name(number), document.colour(number)
                    with _naming(name):
                        found = find_page(image)
                        definition = definition or _find_definition(found.identity, [out, *{p.parent for p in paths}])
                        check_page(found, definition)
                        if other := photo_of.get(found.page):
                            raise ImageError(f"shows page {found.page} again, which {other} shows: leave one out")
                    hand = hand or HandFolder(out, definition)
                    cuts = cut_page(image, found, definition)
                    hand.add_page(found.page, path.name, cuts)
                    photo_of[found.page] = name
                    turned = {0: "", 180: ", upside down"}.get(found.turned, f", turned by {found.turned} degrees")
                    print_status(f"{name}: page {found.page} of {definition.page_count}{turned}")
                    for cut in cuts:
                        if cut.fault:
                            print_status(f"{name}: {cut.slot.place} {cut.fault}")
        except ImageError as error:
            print_status(str(error))
            refused += 1
    if hand is not None and definition is not None:
        result = hand.finish(LabelFonts(font))
        few = [c for c, count in result.glyph_counts.items() if count < min(3, definition.copies)]
        print_status(
            f"{out}: {sum(result.glyph_counts.values())} glyphs of {len(result.glyph_counts) - len(few)} characters, "
            f"{result.line_count} lines, x-height {result.x_height:.1f} mm, {result.faults} places with a fault; "
            f"check {out / CONTACT_SHEET}"
        )
        if result.missing_pages:
            pages = ", ".join(map(str, result.missing_pages))
            print_status(f"no photograph shows page {pages}: run the command with it to add it")
        if few:
            print_status(f"fewer than {min(3, definition.copies)} glyphs: {' '.join(few)}")
    if refused:
        raise UserError(f"{refused} of {len(paths)} photographs could not be used, see above")


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Put the name of a photograph before the message of an ImageError."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{name} {error}") from None


def _is_definition(path: Path) -> bool:
    """Whether a file is a sheet to print, which a folder of photographs may hold too."""
    from glyphline.composing.sheet import load_sheet

    try:
        return path.suffix.lower() == ".pdf" and bool(load_sheet(path))
    except DataError:
        return False


def _find_definition(identity: int, folders: Iterable[Path]) -> Sheet:
    """The sheet of an identity among the .json and .pdf files of folders and of the current one. Raises DataError."""
    from glyphline.composing.sheet import load_sheet

    for folder in (*folders, Path()):
        for path in sorted([*folder.glob("*.json"), *folder.glob("*.pdf")]) if folder.is_dir() else []:
            try:
                if path.stat().st_size <= DEFINITION_BYTES and (found := load_sheet(path)).identity == identity:
                    return found
            except (DataError, OSError):
                continue
    raise DataError(
        f"the photographs show sheet {identity:05d}, but no sheet.json or sheet.pdf of it lies beside them or here: "
        "give it with --sheet"
    )
