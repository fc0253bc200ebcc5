"""`glyphline compose`: compose line images with labels."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from glyphline.addresses import is_local, open_path
from glyphline.alphabet import Alphabet
from glyphline.cli.terminal import print_status, progress_bar, write_output
from glyphline.errors import AlphabetError, UserError, nearest
from glyphline.recipe import GlyphShare, LinesRecipe, Recipe, load_recipe
from glyphline.writing_direction import mirrored

#: glyph source -> the alphabet it can draw, where that is not "english"
SOURCE_ALPHABETS = {
    "emnist/byclass": "full", "emnist/bymerge": "merged", "emnist/balanced": "merged", "emnist/digits": "digits",
    "emnist/mnist": "digits", "emnist/letters": " ABCDEFGHIJKLMNOPQRSTUVWXYZ",
}  # fmt: skip
SHEET_LINES = 24  # lines of a contact sheet, at most
SCRIPT_SENTENCES = 1000  # sentences by which their script is found, at most


def compose(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="PATH", parser=open_path, help="folder to write to")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="number of lines")] = 100,
    glyphs: Annotated[
        str, typer.Option(help="source of the characters: emnist/byclass, strokes, fonts:FOLDER, folder:FOLDER")
    ] = "strokes",
    sentences: Annotated[
        str, typer.Option(help="source of the texts: wikisplit, text:PATH, built-in, generated:COUNT")
    ] = "built-in",
    layout: Annotated[str, typer.Option(help="how characters are placed: tiles, overlap, natural")] = "natural",
    alphabet: Annotated[
        str | None,
        typer.Option(
            help="name of an alphabet, or its characters; default: those that the glyphs can draw, english with "
            "fonts:FOLDER, and those of the sentences if they are in another script"
        ),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="compose the lines of a recipe; it replaces the four options above")
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of all random numbers; line i depends only on the seed and i")] = 0,
    split: Annotated[
        str | None,
        typer.Option(
            help="split of the glyphs and sentences: train, val, test; default: train, and of few glyphs or sentences "
            "all, unless lines are composed for training (--recipe, --format parquet)"
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="number of processes; the images do not depend on it")] = 1,
    format_name: Annotated[
        str, typer.Option("--format", help="png (a file a line), or parquet (for training.stored_lines; any address)")
    ] = "png",
    boxes: Annotated[
        bool, typer.Option("--boxes", help="also write the box of each character to record.jsonl")
    ] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="also write a contact sheet of the first lines to this PNG file")
    ] = None,
) -> None:
    """Compose line images with labels.

    The folder receives the images 000000.png, 000001.png and so on, their texts in labels.tsv (file<TAB>text), and
    record.jsonl; with --format parquet it receives files of 4,096 lines. An interrupted command continues where it
    stopped when it is run again.
    """
    import cv2

    from glyphline.composing.line_sets import LineSet, draw_contact_sheet, write_lines
    from glyphline.composing.stored_lines import write_parquet

    if format_name not in ("png", "parquet"):
        raise UserError(f'no format "{format_name}"; {nearest(format_name, ("png", "parquet"))}')
    if format_name == "parquet" and boxes:
        raise UserError("--boxes goes with --format png: Parquet files hold the images and the texts")
    if format_name == "png" and not is_local(out):
        raise UserError(f"{out} is an address: lines are written there with --format parquet")

    if sheet and sheet.suffix.lower() != ".png":
        raise UserError(f"{sheet}: a contact sheet is a PNG; name it something.png")
    all_if_few = split is None and recipe is None and format_name == "png"  # otherwise they are lines for training
    if recipe:
        lines_recipe = load_recipe(recipe).lines
    else:
        if alphabet is not None:
            alphabet = unicodedata.normalize("NFC", alphabet)
        elif _drawn_source(glyphs).startswith("fonts:"):
            alphabet = _alphabet_of_fonts(glyphs, sentences, split or "train", all_if_few)
        lines_recipe = _recipe_from_options(layout, glyphs, sentences, alphabet)
    lines = LineSet(lines_recipe, split or "train", seed, all_if_few=all_if_few)
    for note in lines.notes:
        print_status(note)

    def progress(chunks: Iterable[Any], done: int, total: int) -> Iterator[Any]:
        return progress_bar(chunks, "composing", total, done)

    if format_name == "parquet":
        new = write_parquet(lines, count, out, workers=workers, progress=progress)
    else:
        new = write_lines(lines, count, out, boxes=boxes, workers=workers, progress=progress)
    print_status(f"{out}: {count} lines, {new} of them new")
    if sheet:
        first = [lines.line(i) for i in range(min(count, SHEET_LINES))]
        _, png = cv2.imencode(".png", draw_contact_sheet([(line.image, line.text) for line in first], 2))
        write_output(sheet, png.tobytes())
        print_status(f"{sheet}: a contact sheet of {len(first)} lines")


def _drawn_source(glyphs: str) -> str:
    """The glyph source whose glyphs derived:SOURCE and undivided:SOURCE draw."""
    return re.sub("^((derived|undivided):)+", "", glyphs)


def _alphabet_of_fonts(glyphs: str, sentences: str, split: str, all_if_few: bool) -> str:
    """The default alphabet of fonts: "english", or the characters that they draw of sentences in another script.

    split, all_if_few: see `LineSet`. Raises AlphabetError for fonts that draw no letter of such sentences.
    """
    from glyphline.composing.glyphs import ALL
    from glyphline.composing.line_sets import open_cached_glyphs
    from glyphline.composing.sentences import AlphabetFitter, fit_sentences, join_splits, split_sentences_by_source

    (texts,) = join_splits(split_sentences_by_source((sentences,)))
    fitter = AlphabetFitter(Alphabet.from_name("english"))
    if not fitter.lost_script(fit_sentences(texts[:SCRIPT_SENTENCES], fitter)):
        return "english"
    source = open_cached_glyphs(glyphs)
    if all_if_few and source.has_few():
        split = ALL
    needed = {c for text in texts for c in text}
    needed |= set(map(mirrored, needed))  # right-to-left text shows a bracket as its opposite
    drawn = sorted(c for c in needed if source.count(c, split))
    if not any(c.isalpha() for c in drawn):
        letters = sorted(c for c in needed if c.isalpha())
        raise AlphabetError(
            f"{glyphs} has no picture of the letters of the sentences, such as {', '.join(map(repr, letters[:5]))}: "
            "give fonts of their script, or choose the characters with --alphabet"
        )
    return " " + "".join(drawn)


def _recipe_from_options(layout: str, glyphs: str, sentences: str, alphabet: str | None) -> LinesRecipe:
    """The lines recipe for the plain options of `compose`. Raises RecipeError where they contradict each other."""
    if alphabet is None and _drawn_source(glyphs).startswith("folder:"):
        from glyphline.composing.glyphs import open_glyphs

        alphabet = " " + open_glyphs(glyphs).characters("train")
    tiled = layout in ("tiles", "overlap")
    if alphabet is None:
        # a natural line takes the punctuation that byclass lacks from the strokes
        alphabet = "english" if not tiled and "byclass" in glyphs else SOURCE_ALPHABETS.get(glyphs, "english")
    shares: tuple[GlyphShare, ...] = (GlyphShare(glyphs),)
    if not tiled and glyphs.startswith("emnist"):
        shares += (GlyphShare("strokes", 0.0),)  # draws the punctuation only
    lines = LinesRecipe(
        alphabet=alphabet, layout=layout, glyphs=shares, sentences=(sentences,),
        punctuation="stripped" if tiled and glyphs.startswith("emnist") else "written",
        length=(32, 32) if tiled else (4, 48), start="head" if tiled else "word",
        cut="character" if tiled else "word", height=28 if tiled else 40,
    )  # fmt: skip
    return Recipe(lines=lines).lines  # Recipe refuses contradictions
