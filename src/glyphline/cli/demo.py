"""`glyphline demo`: draw photographs and lines, read them, and show the results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glyphline.cli.terminal import print_status


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML page to write")] = Path("demo/demo.html"),
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="number of lines to compose")] = 6,
    examples: Annotated[Path, typer.Option(help="folder of example images with labels.tsv")] = Path("examples/lines"),
    seed: Annotated[int, typer.Option(help="seed of the composed lines")] = 0,
) -> None:
    """Draw photographs and compose lines, read them, and show the results.

    The example images are read too. The results are printed and written to one HTML page.
    """
    from glyphline.cli.demonstration import run_demonstration

    run_demonstration(out, count, examples, seed)
    print_status(f"page: {out}")
