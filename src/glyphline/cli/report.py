"""`glyphline report`: one HTML page about training runs and sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glyphline.cli.options import require_training_packages
from glyphline.cli.terminal import print_status, write_output


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="run folders, or folders of sweeps; several: side by side")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write")] = Path("report.html"),
    count: Annotated[
        int,
        typer.Option(
            "-n", "--count", min=1, help="validation lines to read again where a run folder has no predictions"
        ),
    ] = 200,
) -> None:
    """Write one HTML page about training runs, which needs no network and no account.

    It shows curves, training lines, the encoding, the network, predictions, errors, calibration and the recipe. A run
    that has not ended is shown as far as it is.
    """
    require_training_packages("a report")
    from glyphline.training.report import build_report

    page = build_report(runs, line_count=count, report=print_status)
    write_output(out, page.encode())
    print_status(f"{out}: {len(page.encode()) / 2**20:.1f} MB")
