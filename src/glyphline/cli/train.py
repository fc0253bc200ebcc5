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
        typer.Option(
            help="wandb, mlflow, tensorboard, csv, none; may be repeated; default: csv, and wandb if installed"
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="number of torch threads; 0: one for each core")] = 0,
) -> None:
    """Train a network by a recipe.

    The run folder receives the checkpoints, the best network and the result, which is also printed as JSON. A run can
    be interrupted at any time and continued with --resume.
    """
    require_training_packages("training")
    import torch

    from glyphline.recipe import load_recipe
    from glyphline.training.train import train as run_training

    if threads:
        torch.set_num_threads(threads)
    loaded = load_recipe(recipe, change or ())
    default_trackers = ["csv", "wandb"] if find_spec("wandb") else ["csv"]
    try:
        result = run_training(
            loaded, out, resume=resume, trackers=track or default_trackers, progress=sys.stderr.isatty(),
            report=print_status,
        )  # fmt: skip
    except KeyboardInterrupt:
        if (out / "last.ckpt").exists():
            print_status(f"interrupted; {out} holds everything up to the last epoch: continue with --resume")
        else:
            print_status(f"interrupted before the first epoch ended; {out} holds no checkpoint yet: start again")
        raise
    print(json.dumps(result))
