"""`glyphline sheet`: a sheet of paper to write the characters on."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyphline.cli.terminal import print_status, write_output
from glyphline.errors import DataError, UserError, nearest

if TYPE_CHECKING:
    from glyphline.composing.sheet import Sheet

MORE_LINES = "give lines with --sentences text:FILE, and an --alphabet that has all of their characters"


def sheet(
    out: Annotated[Path, typer.Option("--out", "-o", help="PDF to write; its definition goes beside it as .json")],
    alphabet: Annotated[
        str | None,
        typer.Option(
            help="characters to write: english, latin, digits, another alphabet, or the characters; "
            "default: english and the letters of the language"
        ),
    ] = None,
    language: Annotated[
        str,
        typer.Option(help="language of the letters and of the lines to copy: en, de, fr, es, nl, it, pl, pt, da, sv"),
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
    Any scale of printing will do. The same options give the same sheet. A sheet of other options that is there already
    is not overwritten: it may be printed, and its photographs need it.
    """
    from glyphline.alphabet import Alphabet
    from glyphline.composing.label_fonts import LabelFonts
    from glyphline.composing.sentences import read_sentences
    from glyphline.composing.shaping import can_join
    from glyphline.composing.sheet import Sheet, choose_lines, explain_missing_lines, line_count_of
    from glyphline.composing.sheet_drawing import render_sheet

    if out.suffix.lower() != ".pdf":
        raise UserError(f"{out}: a sheet is a PDF; name it something.pdf")
    given = _alphabet_of(language) if alphabet is None else unicodedata.normalize("NFC", alphabet)
    characters = Alphabet.from_name(given).characters.replace(" ", "")
    texts = [unicodedata.normalize("NFC", text) for text in read_sentences(sentences or f"built-in:{language}")]
    wanted = line_count_of(paper.lower())
    lines = choose_lines(texts, characters, wanted)
    definition = Sheet(characters, copies, lines, paper.lower())
    joining = list(filter(can_join, characters))
    if len(joining) == len(characters) and not lines:
        raise UserError(
            f"{_describe_joining(joining)}, and there are no lines to copy: "
            f"{explain_missing_lines(texts, characters, wanted)}; {MORE_LINES}"
        )
    json_path = out.with_suffix(".json")
    _check_free(out, json_path, definition)
    pdf = render_sheet(definition, LabelFonts(font))
    write_output(out, pdf)
    write_output(json_path, definition.to_json().encode() + b"\n")
    print_status(
        f"{out}: sheet {definition.identity:05d}, {definition.page_count} pages, {len(characters)} characters, "
        f"{copies} boxes each, {len(lines)} lines to copy; print it, fill it, and keep {json_path.name}"
    )
    if len(lines) < wanted:
        print_status(
            f"{len(lines)} of {wanted} lines to copy: {explain_missing_lines(texts, characters, wanted)}; {MORE_LINES}"
        )
    if joining:
        print_status(f"{_describe_joining(joining)}; readers learn them from copied lines: glyphline adapt --lines")


def _alphabet_of(language: str) -> str:
    """The characters of a sheet for a language: those of English, and its letters beyond ASCII.

    English has none: é is rare in it, and `adapt` draws accents on the letters of a hand. Raises UserError for an
    unknown language.
    """
    from glyphline.alphabet import ALPHABETS
    from glyphline.reading.recognition.languages import ENGLISH, LANGUAGES

    if language not in LANGUAGES:
        raise UserError(f'no language "{language}"; {nearest(language, LANGUAGES)}; or give an --alphabet')
    return ALPHABETS["english"] + (LANGUAGES[language].letters if language != ENGLISH else "")


def _describe_joining(characters: Sequence[str]) -> str:
    """What a writer must know of characters that join or combine: their number, examples, and what helps."""
    examples = " ".join(characters[:8])
    return (
        f"{len(characters)} characters join or combine with others in writing ({examples}): no line can be composed of "
        "their boxes, only of a font (fonts:FOLDER)"
    )


def _check_free(pdf: Path, json: Path, sheet: Sheet) -> None:
    """Raise UserError where one of the two files to write is there and holds anything else than the sheet."""
    from glyphline.composing.sheet import load_sheet

    for path in (pdf, json):
        if not path.exists():
            continue
        try:
            other = load_sheet(path)
        except DataError:
            raise UserError(f"{path} holds something else than a sheet: choose another --out") from None
        if other != sheet:
            raise UserError(
                f"{path} holds sheet {other.identity:05d}, which its photographs need if it is printed: choose another "
                f"--out, or delete {pdf} and {json}"
            )
