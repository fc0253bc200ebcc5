"""`glyphline translate`: list, install and remove translators."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from glyphline.cli.terminal import print_status
from glyphline.errors import UserError, nearest

ACTIONS = ("list", "install", "remove")


def translate(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="list, install or remove")],
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="language to translate from: de")] = None,
    target: Annotated[str | None, typer.Argument(metavar="TARGET", help="language to translate to: en")] = None,
) -> None:
    """List the pairs of languages that are translated, or install or remove Firefox's model of a pair.

    A model is about 37 MB. It is downloaded once, and translates offline. A pair without English takes two models.
    """
    from glyphline.app import translators

    if action not in ACTIONS:
        raise UserError(f'translate has no "{action}"; {nearest(action, ACTIONS)}')
    if action == "list":
        if source or target:
            raise UserError("translate list takes no languages")
        pairs = [pair for pair in translators.pairs() if pair.translator != "phrase-book"]
        codes = sorted({pair.source for pair in translators.open_translator("phrase-book").pairs()})
        print_status(f"phrase book of common signs, for any two of: {', '.join(codes)}")
        for pair in pairs:
            size = "" if pair.megabytes is None else f"{pair.megabytes:.0f} MB"
            state = "installed" if pair.installed else f"glyphline translate install {pair.source} {pair.target}"
            print(f"{pair.source}\t{pair.target}\t{pair.translator}\t{state}\t{size}")
        return
    if source is None or target is None:
        raise UserError(f"translate {action} takes two languages: glyphline translate {action} de en")
    if action == "remove":
        translators.remove(source, target)
        print_status(f"removed: {source} to {target}")
        return
    translators.install(source, target, _print_progress)
    print_status(f"installed: {source} to {target}")


def _print_progress(done: int, total: int) -> None:
    """Print how far the download is, over the line before it, where stderr is a terminal."""
    if sys.stderr.isatty():
        print(f"\r{done / 1e6:.0f} of {total / 1e6:.0f} MB", end="\n" if done >= total else "", file=sys.stderr)
