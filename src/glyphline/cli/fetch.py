"""`glyphline fetch`: download a data set."""

from __future__ import annotations

from typing import Annotated

import typer

from glyphline.cli.terminal import print_status


def fetch(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="emnist or wikisplit")],
    source: Annotated[
        str | None, typer.Option("--from", help="take the files from a mirror's URL, a zip file or a folder")
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            help="fetch only this part: byclass, bymerge, ... (emnist), train, ... (wikisplit); may be repeated"
        ),
    ] = None,
) -> None:
    """Download, verify and unpack a data set.

    The files go to the data folder: $GLYPHLINE_DATA, or else the cache folder of the platform. Prints their folder.
    """
    from glyphline.composing.fetch import fetch as fetch_data

    print(fetch_data(name, source=source, parts=part or None, log=print_status))
