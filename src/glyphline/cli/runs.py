"""`glyphline runs`: list training runs with their best figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glyphline.cli.terminal import print_status

COLUMNS = ("run", "recipe", "CER", "WER", "exact", "loss", "epochs", "steps", "minutes", "state")


def runs(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="folder that holds the run folders")] = Path(
        "runs"
    ),
) -> None:
    """List the training runs in a folder with the figures of their best epochs.

    The figures are those of the validation lines. On a terminal this is a table, elsewhere rows of cells with tabs
    between them.
    """
    from rich.console import Console
    from rich.table import Table

    from glyphline.training.runs import Run, find_runs

    def describe(run: Run) -> tuple[str, ...]:
        best, minutes = run.best, run.result.get("minutes")
        state = "finished" if run.result else "not finished" if best else "no epoch yet"
        if run.unreadable:
            state = f"damaged: {', '.join(run.unreadable)}"
        rates = (f"{best[name]:.2%}" if name in best else "-" for name in ("val_cer", "val_wer", "val_exact"))
        return (
            str(run.folder.relative_to(folder)), run.recipe.name if run.recipe else "-", *rates,
            f"{best['val_loss']:.3f}" if "val_loss" in best else "-", str(run.epochs), str(run.steps),
            f"{minutes:.1f}" if minutes is not None else "-", state,
        )  # fmt: skip

    found = find_runs(folder)
    if not found:
        print_status(f"{folder} holds no runs: `glyphline train RECIPE --out {folder / 'NAME'}` makes one")
    console = Console()
    if not console.is_terminal:
        for cells in (COLUMNS, *map(describe, found)):
            print("\t".join(cells))
        return
    table = Table()
    for name in COLUMNS:
        text = name in ("run", "recipe", "state")
        table.add_column(name, justify="left" if text else "right", overflow="fold" if text else "ellipsis")
    for run in found:
        table.add_row(*describe(run))
    console.print(table)
