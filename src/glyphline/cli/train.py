"""`glyphline train`: train a network by a recipe."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from glyphline.cli.options import require_training_packages
from glyphline.cli.terminal import print_status


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="recipe file, such as recipes/tiles.yaml")],
    out: Annotated[Path, typer.Option("--out", "-o", help="run folder to write to")],
    change: Annotated[
        list[str] | None, typer.Option("--set", help="key=value: override a key of the recipe; may be repeated")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the run from its last checkpoint")] = False,
    track: Annotated[
        list[str] | None,
        typer.Option(help="wandb, tensorboard, csv, none; may be repeated; default: csv, and wandb if installed"),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="processes that share each batch; the lines and the loss stay the same")
    ] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="train on a Ray cluster: local (this machine), HOST:PORT, or auto"),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="number of torch threads; 0: one for each core")] = 0,
) -> None:
    """Train a network by a recipe.

    The run folder receives the checkpoints, the best network and the result, which is also printed as JSON. A run can
    be interrupted at any time and continued with --resume. With --workers N, N processes of this machine share each
    batch, or with --cluster those of a Ray cluster, whose nodes must share the run folder.
    """
    require_training_packages("training")
    import torch

    from glyphline.recipe import load_recipe
    from glyphline.training.distribution import on_this_machine
    from glyphline.training.train import train as run_training

    if threads:
        torch.set_num_threads(threads)
    loaded = load_recipe(recipe, change or ())
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
