"""`glyphline fetch`: download a data set."""

from __future__ import annotations

from typing import Annotated

import typer

from glyphline.cli.terminal import print_status


def fetch(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="emnist or wikisplit")],
    source: Annotated[str | None, typer.Option("--from", help="a mirror's address, a zip file or a folder")] = None,
    part: Annotated[list[str] | None, typer.Option(help="only these parts: byclass, bymerge, ..., train")] = None,
) -> None:
    """Download, verify and unpack a data set into the data folder ($GLYPHLINE_DATA, else the platform's cache)."""
    from glyphline.composing.fetch import fetch as fetch_data

    print(fetch_data(name, source=source, parts=tuple(part or ()), talk=print_status))
