"""`glyphline sweep`: try ideas for a recipe, each alone and the good ones together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from glyphline.cli.options import require_training_packages
from glyphline.cli.terminal import print_status


def sweep(
    recipe: Annotated[Path, typer.Argument(metavar="SWEEP", help="sweep file, such as recipes/sweep.yaml")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder to write to")],
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value: override a key of the base recipe, for all arms; may be repeated"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="epochs of every arm; default: those of the sweep file")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="trainings of each arm, with different seeds")] = None,
    extra_seeds: Annotated[
        int | None, typer.Option(min=0, help="further trainings where an arm cannot be told from the baseline")
    ] = None,
    track: Annotated[
        list[str] | None, typer.Option(help="trackers of every training, as of train; may be repeated; default: csv")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="train on a Ray cluster: local (this machine), HOST:PORT, or auto"),
    ] = None,
    threads: Annotated[
        int, typer.Option(min=0, help="torch threads of a training; 0: one for each core, with --cluster one")
    ] = 0,
) -> None:
    """Try ideas for a recipe, each alone and the good ones together.

    Every idea is trained with several seeds and scored on lines that no training has seen. Hopeless ones are stopped
    early. The folder receives a run for each training, sweep.md, a table with intervals and a verdict for each idea,
    and sweep.json, the same as data. The table is also printed. The command can be interrupted or killed at any time:
    the same command goes on where it stopped. With --cluster the trainings of several ideas run at the same time on a
    Ray cluster, whose nodes must share the folder.
    """
    require_training_packages("a sweep")
    import torch

    from glyphline.training.sweep import SWEEP_TABLE, load_sweep, run_sweep, with_settings

    if threads and cluster is None:
        torch.set_num_threads(threads)
    changes = list(change or ()) + ([f"training.epochs={epochs}"] if epochs else [])
    loaded, base = load_sweep(recipe, changes)
    loaded = with_settings(loaded, seeds=seeds, extra_seeds=extra_seeds)
    try:
        with _LiveTable(loaded.name) as live:
            if cluster is not None:
                from glyphline.cluster.tuning import sweep_on_cluster

                sweep_on_cluster(
                    loaded, base, out, cluster, threads=threads or 1, trackers=track or ["csv"], report=live.report,
                    show=live.show,
                )  # fmt: skip
            else:
                run_sweep(loaded, base, out, trackers=track or ["csv"], report=live.report, show=live.show)
    except KeyboardInterrupt:
        print_status(f"interrupted; {out} holds everything up to the last epoch: the same command goes on from there")
        raise
    print((out / SWEEP_TABLE).read_text(encoding="utf-8"), end="")


class _LiveTable:
    """The trainings of a sweep as a live table on stderr; a line an epoch where stderr is no terminal."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self.title, self.console = title, Console(stderr=True)
        self.live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None

    def __enter__(self) -> _LiveTable:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.live:
            self.live.stop()

    def report(self, text: str) -> None:
        """Print a note, above the table where there is one."""
        if self.live:
            self.live.console.print(text)
        else:
            print_status(text)

    def show(self, statuses: Sequence[Any], new: Any) -> None:
        """Draw the table of all trials (TrialStatus), or print the line of the one that has a new epoch."""
        if self.live:
            self.live.update(_render_statuses(self.title, statuses), refresh=True)
        elif new is not None:
            print_status(
                f"{new.arm}, seed {new.seed}: epoch {new.epoch} of {new.epochs}, validation CER {_percent(new.cer)}, "
                f"{_time(new.seconds_left)} left; all trainings: {_time(_sum_seconds(statuses))} left at most"
            )


def _render_statuses(title: str, statuses: Sequence[Any]) -> Any:
    """The statuses as a table of rich."""
    from rich.table import Table

    caption = f"at most {_time(_sum_seconds(statuses))} left; Ctrl-C ends it, the same command goes on"
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for column in ("arm", "seed", "epoch", "CER", "time left", ""):
        table.add_column(column, justify="left" if column in ("arm", "") else "right")
    for s in statuses:
        style = "bold" if s.state in ("training", "testing") else "dim" if s.state == "stopped" else None
        left = _time(s.seconds_left) if s.state in ("training", "waiting") else ""
        cells = (s.arm, str(s.seed), f"{s.epoch}/{s.epochs}", _percent(s.cer), left, s.state)
        table.add_row(*cells, style=style)
    return table


def _percent(cer: float | None) -> str:
    return "" if cer is None else f"{cer:.2%}"


def _time(seconds: float | None) -> str:
    """Hours, minutes and seconds, such as 1:02:03; a question mark for None."""
    return "?" if seconds is None else str(timedelta(seconds=round(seconds)))


def _sum_seconds(statuses: Sequence[Any]) -> float | None:
    """The time left of all trials, None where one of them is unknown."""
    seconds = [s.seconds_left for s in statuses]
    return None if None in seconds else sum(seconds)
