"""`glyphline sheet`: a sheet of paper to write the characters on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glyphline.cli.terminal import print_status, write_output
from glyphline.errors import UserError


def sheet(
    out: Annotated[Path, typer.Option("--out", "-o", help="PDF to write; its definition goes beside it as .json")],
    alphabet: Annotated[
        str, typer.Option(help="characters to write: english, latin, digits, another alphabet, or the characters")
    ] = "english",
    language: Annotated[
        str, typer.Option(help="language of the lines to copy: en, de, fr, es, nl, it, pl, pt, da, sv")
    ] = "en",
    sentences: Annotated[
        str | None, typer.Option(help="take the lines to copy from this source instead, such as text:FILE")
    ] = None,
    copies: Annotated[int, typer.Option(help="boxes for each character; at least 3, to train on them")] = 4,
    paper: Annotated[str, typer.Option(help="a4, letter")] = "a4",
    font: Annotated[
        Path | None,
        typer.Option(help="font file, or folder of them, for the print; default: the system's"),
    ] = None,
) -> None:
    """Make a sheet of paper to write on.

    Print it, write each character into its box and copy the lines, photograph the pages, and run `glyphline glyphs`.
    Any scale of printing will do. The same options give the same sheet.
    """
    from glyphline.alphabet import Alphabet
    from glyphline.composing.label_fonts import LabelFonts
    from glyphline.composing.sentences import read_sentences
    from glyphline.composing.sheet import Sheet, choose_lines
    from glyphline.composing.sheet_drawing import render_sheet

    if out.suffix.lower() != ".pdf":
        raise UserError(f"{out}: a sheet is a PDF; name it something.pdf")
    characters = Alphabet.from_name(alphabet).characters.replace(" ", "")
    lines = choose_lines(read_sentences(sentences or f"built-in:{language}"), characters)
    definition = Sheet(characters, copies, lines, paper.lower())
    pdf = render_sheet(definition, LabelFonts(font))
    write_output(out, pdf)
    write_output(out.with_suffix(".json"), definition.to_json().encode() + b"\n")
    print_status(
        f"{out}: sheet {definition.identity:05d}, {definition.page_count} pages, {len(characters)} characters, "
        f"{copies} boxes each, {len(lines)} lines to copy; print it, fill it, and keep {out.with_suffix('.json').name}"
    )
    if not lines:
        print_status(
            "no sentence consists of these characters, so there are no lines to copy: give some with --sentences "
            "text:FILE"
        )
