"""`glyphline train`: train a network by a recipe."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from glyphline.cli.options import require_training_packages
from glyphline.cli.terminal import print_status, progress_bar
from glyphline.errors import UserError
from glyphline.recipe import Recipe, load_recipe


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="recipe file, such as recipes/tiles.yaml")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="run folder to write to")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="key=value: override a key of the recipe; may be repeated")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the run from its last checkpoint")] = False,
    track: Annotated[
        list[str] | None,
        typer.Option(
            help="wandb, mlflow, tensorboard, csv, none; may be repeated; default: csv, and wandb if installed"
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="processes that share each batch; the lines and the loss stay the same")
    ] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="train on a Ray cluster: local (this machine), HOST:PORT, or auto"),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="number of torch threads; 0: one for each core")] = 0,
    dry: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="show shapes, time, memory, and a learning rate and a batch that suit; write nothing",
        ),
    ] = False,
) -> None:
    """Train a network by a recipe.

    The run folder receives the checkpoints, the best network and the result, which is also printed as JSON. A run can
    be interrupted at any time and continued with --resume, also with more epochs, another patience or other trackers.
    With --workers N, N processes of this machine share each batch, or with --cluster those of a Ray cluster, whose
    nodes must share the run folder.
    """
    if dry and resume:
        raise UserError("--dry-run starts no run: leave out --resume")
    if dry and cluster is not None:
        raise UserError("--dry-run tries the training on this machine: leave out --cluster, --workers may stay")
    if out is None and not dry:
        raise UserError("train writes a run folder: give --out FOLDER, or --dry-run to write nothing")
    require_training_packages("training")
    import torch

    from glyphline.training.distribution import on_this_machine
    from glyphline.training.train import train as run_training

    if threads:
        torch.set_num_threads(threads)
    loaded = load_recipe(recipe, change or ())
    if dry or out is None:
        _print_dry_run(loaded, workers)
        return
    default_trackers = ["csv", "wandb"] if find_spec("wandb") else ["csv"]
    distribution = on_this_machine(workers)
    try:
        if cluster is not None:
            from glyphline.cluster.training import train_on_cluster

            result = train_on_cluster(
                loaded, out, cluster, workers, resume=resume, trackers=track or default_trackers, report=print_status
            )
        else:
            result = run_training(
                loaded, out, resume=resume, trackers=track or default_trackers, progress=sys.stderr.isatty(),
                report=print_status, distribution=distribution,
            )  # fmt: skip
    except KeyboardInterrupt:
        if (out / "last.ckpt").exists():
            print_status(f"interrupted; {out} holds everything up to the last epoch: continue with --resume")
        else:
            print_status(f"interrupted before the first epoch ended; {out} holds no checkpoint yet: start again")
        raise
    if cluster is not None or distribution.rank == 0:
        print(json.dumps(result))


def _print_dry_run(recipe: Recipe, workers: int) -> None:
    """Run the dry run of a recipe; print it as JSON on stdout, and as sentences on stderr."""
    from glyphline.training.dry_run import dry_run

    options = recipe.training
    found = dry_run(recipe, progress_bar, workers=workers, report=print_status)
    lines, height, width = found.batch_shape
    part = "" if options.gradient_accumulation == 1 else f", one of {options.gradient_accumulation} parts of a batch"
    part += "" if workers == 1 else f", the share of one of {workers} processes"
    each = "" if workers == 1 else " in each process"
    peak = "" if found.peak_bytes is None else f"; the process has taken {_megabytes(found.peak_bytes)} so far"
    print_status(
        f"batch: {lines} lines of {height} x {width} px{part}\n"
        f"time steps: {found.time_steps} for the widest line; its texts need up to {found.needed_time_steps}\n"
        f"network: {found.parameters:,} parameters, {found.classes} classes with the blank, on {found.device}\n"
        f"time: {found.step_seconds:.2f} s a step and {found.compose_seconds:.2f} s to compose its lines; "
        f"{found.epoch_seconds:.0f} s an epoch of {found.epoch_steps} steps with validation; "
        f"{found.run_seconds / 3600:.1f} h for {options.epochs} epochs\n"
        f"memory: {_megabytes(found.line_bytes)} a line and {_megabytes(found.state_bytes)} for weights and optimizer, "
        f"{_megabytes(found.line_bytes * lines + found.state_bytes)} in all{each}{peak}"
    )
    if found.fitting_lines is not None and found.free_bytes is not None:
        print_status(
            f"batch that fits: {found.fitting_lines} lines at a time into 80 % of the {_megabytes(found.free_bytes)} "
            "that are free; training.gradient_accumulation splits a larger batch"
        )
    print_status(
        f"learning rate: {found.learning_rate:.1e} suggested, the recipe has {options.learning_rate:.1e}; in "
        f"{len(found.losses)} steps of rising rate the loss fell fastest at {found.steepest_rate:.1e} and was lowest "
        f"at {found.lowest_rate:.1e}"
    )
    print(json.dumps(found.to_dict()))


def _megabytes(count: float) -> str:
    return f"{count / 2**20:,.1f} MB"
