"""`glyphline language`: estimate a character language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glyphline.cli.terminal import print_status


def language(
    sentences: Annotated[
        list[str],
        typer.Argument(
            metavar="SENTENCES", help="sources of the texts: wikisplit, text:PATH, built-in, generated:COUNT"
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help=".lm file to write")],
    alphabet: Annotated[
        str, typer.Option(help="name of an alphabet, or its characters; all digits count as one character")
    ] = "english",
    order: Annotated[int, typer.Option(min=1, max=8, help="length of the longest n-gram, in characters")] = 6,
    megabytes: Annotated[int, typer.Option(help="size of the table in MB, a power of two: 1, 2, 4, 8, ...")] = 4,
    punctuation: Annotated[
        str, typer.Option(help="written, or stripped as in lines of a recipe with lines.punctuation: stripped")
    ] = "written",
) -> None:
    """Estimate a character language model from texts.

    The option --decoder beam:FILE.lm of the other verbs uses it.
    """
    from glyphline.training.estimate_language_model import estimate_from_sentences

    estimated = estimate_from_sentences(tuple(sentences), alphabet, order, megabytes, punctuation=punctuation)
    estimated.model.save(out)
    for note in estimated.notes:
        print_status(note)
    size = out.stat().st_size / 2**20
    print_status(
        f"{out}: {size:.1f} MB from {estimated.text_count} texts, "
        f"{estimated.bits_per_character:.2f} bits a character on unseen ones"
    )
