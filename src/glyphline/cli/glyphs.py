"""`glyphline glyphs`: cut the characters out of photographs of a filled sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyphline.cli.terminal import print_status, progress_bar
from glyphline.errors import DataError, ImageError, MissingPackage, UserError

if TYPE_CHECKING:
    from glyphline.composing.hand import Hand
    from glyphline.composing.sheet import Sheet
    from glyphline.composing.sheet_photos import Cut, FoundPage

DEFINITION_BYTES = 64 * 2**20  # larger files are not looked into for a sheet's definition


@dataclass(frozen=True)
class Photograph:
    """A photograph that shows a page of a sheet."""

    path: Path
    number: int  # of the page of the document, from 0
    name: str  # for messages
    found: FoundPage


class Refusals:
    """Names the photographs that cannot be used, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def catch(self, name: str = "") -> Iterator[None]:
        """Print why the block cannot use a photograph instead of raising it. name: what an ImageError lacks."""
        try:
            yield
        except (ImageError, MissingPackage) as error:
            print_status(f"{name} {error}".lstrip())
            self.count += 1


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
    labels.tsv, and contact-sheet.png to check. It is a glyph source: folder:FOLDER. An empty box or line and a
    character that strays over its box are named and left out; a line that strays is named and kept. A photograph that
    cannot be used is named, the others are used, and the exit code is 2. Of photographs of several sheets those of the
    sheet of --sheet or of the folder are used, or else of the sheet that most of them show.
    """
    from glyphline.composing.hand import HandFolder
    from glyphline.composing.label_fonts import LabelFonts
    from glyphline.composing.sheet import load_sheet
    from glyphline.composing.sheet_photos import cut_page
    from glyphline.imaging.documents import Document, image_paths

    paths = _without_own_files(image_paths(photos))
    fonts = LabelFonts(font)
    definition = load_sheet(sheet) if sheet else None
    refusals = Refusals()
    photographs = _find_pages(paths, refusals)
    definition = definition or _choose_sheet(photographs, out, dict.fromkeys(path.parent for path in paths))
    usable = _photograph_of_each_page(photographs, definition, refusals)
    used = 0
    if definition is not None and usable:
        hand = HandFolder(out, definition)
        try:
            for photograph in progress_bar(usable, "cutting", len(usable)):
                with refusals.catch(), Document(photograph.path) as document:
                    cuts = cut_page(document.colour(photograph.number), photograph.found, definition)
                    hand.add_page(photograph.found.page, photograph.path.name, cuts)
                    used += 1
                    _report_page(photograph, cuts, definition)
        finally:  # an aborted call leaves tables and a contact sheet of the pages that were cut
            result = hand.finish(fonts)
        _report_hand(result, out, definition)
    if refusals.count:
        raise UserError(f"{refusals.count} of {used + refusals.count} photographs could not be used, see above")


def _find_pages(paths: Sequence[Path], refusals: Refusals) -> list[Photograph]:
    """The photographs on which a page of a sheet was found, in their order."""
    from glyphline.composing.sheet_photos import check_version, find_page
    from glyphline.imaging.documents import Document

    photographs = []
    for path in progress_bar(paths, "finding the pages", len(paths)):
        with refusals.catch(), Document(path) as document:
            for number in range(len(document)):
                with refusals.catch():
                    name, image = document.page_name(number), document.colour(number)
                    with refusals.catch(name):
                        found = find_page(image)
                        check_version(found)
                        photographs.append(Photograph(path, number, name, found))
    return photographs


def _choose_sheet(photographs: Iterable[Photograph], out: Path, folders: Iterable[Path]) -> Sheet | None:
    """The sheet of the hand in `out`; without one, of the sheets with a definition, the one that most photographs show.

    folders: that may hold the definitions. None where there is none. Raises what `load_sheet` raises for that of `out`.
    """
    from glyphline.composing.hand import DEFINITION, RECORD
    from glyphline.composing.sheet import load_sheet

    if (out / RECORD).exists():
        return load_sheet(out / DEFINITION)
    counts = Counter(photograph.found.identity for photograph in photographs)
    definitions = (_find_definition(identity, folders) for identity, _ in counts.most_common())
    return next(filter(None, definitions), None)


def _photograph_of_each_page(
    photographs: Iterable[Photograph], definition: Sheet | None, refusals: Refusals
) -> list[Photograph]:
    """The photographs that can be used: of the sheet, and the first one of each page."""
    from glyphline.composing.sheet_photos import check_page

    by_page: dict[int, Photograph] = {}
    for photograph in photographs:
        found = photograph.found
        with refusals.catch(photograph.name):
            if definition is None:
                raise ImageError(
                    f"shows sheet {found.identity:05d}, but no sheet.json or sheet.pdf of it lies beside the "
                    "photographs or here: give it with --sheet"
                )
            check_page(found, definition)
            if other := by_page.get(found.page):
                raise ImageError(f"shows page {found.page} again, which {other.name} shows: leave one out")
            by_page[found.page] = photograph
    return list(by_page.values())


def _report_page(photograph: Photograph, cuts: Sequence[Cut], definition: Sheet) -> None:
    """Say which page a photograph shows, and what is wrong on it."""
    name, found = photograph.name, photograph.found
    turned = {0: "", 180: ", upside down"}.get(found.turned, f", turned by {found.turned} degrees")
    print_status(f"{name}: page {found.page} of {definition.page_count}{turned}")
    for cut in cuts:
        if cut.fault:
            print_status(f"{name}: {cut.slot.place} {cut.fault}")
    empty = sum(cut.fault == "is empty" for cut in cuts)
    if empty > len(cuts) / 2:
        print_status(
            f"{name}: {empty} of {len(cuts)} places are empty; if they are not, the pen is red or very light, which "
            "cannot be seen: write with a blue or black one"
        )


def _report_hand(result: Hand, out: Path, definition: Sheet) -> None:
    """Say what the folder holds now, and what it lacks."""
    from glyphline.composing.hand import CONTACT_SHEET

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


def _without_own_files(paths: Sequence[Path]) -> list[Path]:
    """The files without sheets to print and images of a hand, which a folder of photographs may hold too.

    Raises UserError where none are left.
    """
    from glyphline.composing.hand import is_cut_image

    photographs, cut = [], 0
    for path in paths:
        if is_cut_image(path):
            cut += 1
        elif _is_blank(path):
            print_status(f"{path} is a sheet to print: left out")
        else:
            photographs.append(path)
    if cut:
        print_status(f"images of glyphs and lines that this command has written are left out: {cut}")
    if not photographs:
        raise UserError("these files are no photographs of a filled sheet: photograph its pages")
    return photographs


def _is_blank(path: Path) -> bool:
    """Whether a file is a sheet as it is printed. One that was filled on a screen has been written once more."""
    from glyphline.composing.sheet import load_sheet

    try:
        return path.suffix.lower() == ".pdf" and bool(load_sheet(path)) and path.read_bytes().count(b"%%EOF") == 1
    except DataError:
        return False


def _find_definition(identity: int, folders: Iterable[Path]) -> Sheet | None:
    """The sheet of an identity among the .json and .pdf files of folders and of the current one; None without one."""
    from glyphline.composing.sheet import load_sheet

    for folder in (*folders, Path()):
        for path in sorted([*folder.glob("*.json"), *folder.glob("*.pdf")]) if folder.is_dir() else []:
            try:
                if path.stat().st_size <= DEFINITION_BYTES and (found := load_sheet(path)).identity == identity:
                    return found
            except (DataError, OSError):
                continue
    return None
