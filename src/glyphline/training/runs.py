"""Run folders: the names of their files, and what a finished, a running or an interrupted run has in them.

Does not import torch.
"""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyphline.errors import DataError, UserError
from glyphline.recipe import Recipe, load_recipe

#: file names in a run folder
LAST_CHECKPOINT, BEST_WEIGHTS, RECIPE_FILE, RESULT_FILE = "last.ckpt", "best.pt", "recipe.yaml", "result.json"
COMMAND_FILE, ENVIRONMENT_FILE, PACKAGES_FILE = "command.txt", "environment.json", "requirements.txt"
METRICS_FILE, VALIDATION_FILE = "metrics.csv", "validation.json"
RECIPE_HISTORY_FILE = "recipes.json"  # the earlier recipes of a run that was resumed with another one
END_RECORDS_FILE = "tracked.json"  # tracker -> name of a record of the run's end -> the step whose record it has


@dataclass(frozen=True)
class RecipeChange:
    """A setting of which a run was resumed with another value."""

    until_epoch: int  # epochs that were trained with the earlier value
    key: str
    before: Any
    now: Any


@dataclass(frozen=True)
class Run:
    """What a run folder holds. A part that is missing or damaged is empty, and `missing` names it."""

    folder: Path
    recipe: Recipe | None
    commands: tuple[str, ...]  # the first one started the run, the others resumed it
    environment: dict[str, str]
    metrics: dict[str, tuple[tuple[int, float], ...]]  # name -> (optimiser step, value), in the order of the steps
    result: dict[str, Any]  # of result.json; {} until the run has ended
    changes: tuple[RecipeChange, ...]  # in their order; () for a run that had one recipe
    missing: tuple[str, ...]  # one phrase for each part that is not there

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.resolve().name

    @property
    def best(self) -> dict[str, float]:
        """The metrics of the epoch with the lowest validation loss, with its step; {} before the first validation."""
        losses = self.metrics.get("val_loss", ())
        if not losses:
            return dict(self.result.get("best", {}))
        step = min(losses, key=lambda row: row[1])[0]
        values = {
            name: dict(rows)[step]
            for name, rows in self.metrics.items()
            if name.startswith(("val_", "watch_", "epoch")) and step in dict(rows)
        }
        return {**values, "step": float(step)}

    @property
    def steps(self) -> int:
        """The optimiser steps of the run so far."""
        return max((rows[-1][0] for rows in self.metrics.values() if rows), default=int(self.result.get("steps", 0)))

    @property
    def epochs(self) -> int:
        """The epochs whose validation is recorded."""
        return len(self.metrics.get("val_loss", ())) or int(self.result.get("epochs", 0))


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run, be it only begun."""
    return (folder / RECIPE_FILE).is_file() or (folder / RESULT_FILE).is_file()


def read_run(folder: Path) -> Run:
    """Read a run folder, also a half-written one. Raises UserError for a folder that holds no run."""
    if not is_run(folder):
        what = "holds no run" if folder.is_dir() else "does not exist"
        raise UserError(f"{folder} {what}: give a folder that `glyphline train` wrote (`glyphline runs` lists them)")
    missing: list[str] = []
    recipe = None
    try:
        recipe = load_recipe(folder / RECIPE_FILE)
    except UserError as error:
        missing.append(f"the recipe ({error})")
    result = read_json_object(folder / RESULT_FILE)
    if not result:
        missing.append(f"the result ({RESULT_FILE}): the run has not ended")
    metrics = _read_metrics(folder / METRICS_FILE)
    if not metrics:
        missing.append(f"the curves ({METRICS_FILE}): train with --track csv, which is the default")
    if not (folder / BEST_WEIGHTS).is_file():
        missing.append(f"the network ({BEST_WEIGHTS}), which is written when the first epoch ends")
    command_file = folder / COMMAND_FILE
    commands = command_file.read_text(encoding="utf-8").splitlines() if command_file.is_file() else []
    environment = {key: str(value) for key, value in read_json_object(folder / ENVIRONMENT_FILE).items()}
    try:
        changes = _read_recipe_changes(folder / RECIPE_HISTORY_FILE)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        changes = ()
        missing.append(f"the changes of the recipe ({RECIPE_HISTORY_FILE} is damaged: {type(error).__name__})")
    return Run(folder, recipe, tuple(commands), environment, metrics, result, changes, tuple(missing))


def _read_recipe_changes(path: Path) -> tuple[RecipeChange, ...]:
    """The changes in recipes.json; () where it is missing. Raises what damaged content raises."""
    changes: list[RecipeChange] = []
    for entry in json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []:
        for key, (before, now) in entry["changes"].items():
            change = RecipeChange(int(entry["until_epoch"]), key, before, now)
            if change not in changes:  # a kill while a run is resumed lists a change twice
                changes.append(change)
    return tuple(changes)


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; {} where it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_metrics(path: Path) -> dict[str, tuple[tuple[int, float], ...]]:
    """The values of metrics.csv by name; rows that are cut short are left out."""
    values: dict[str, dict[int, float]] = {}
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                try:
                    step, name, value = row
                    values.setdefault(name, {})[int(step)] = float(value)
                except ValueError:  # the header, or a row that a kill cut short
                    continue
    return {name: tuple(sorted(rows.items())) for name, rows in values.items()}


def find_runs(folder: Path) -> list[Run]:
    """The runs in a folder and in its subfolders, sorted by path. A run folder is not searched for further runs.

    Raises DataError for a folder that does not exist.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: give the folder that holds the run folders, such as runs")
    paths = []
    for name, subfolders, _ in os.walk(folder):
        if is_run(path := Path(name)):
            paths.append(path)
            subfolders.clear()  # MLflow keeps a recipe.yaml among its artifacts
    return [read_run(path) for path in sorted(paths)]


def differing_settings(recipes: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The settings in which recipes differ: dotted key -> its value in each recipe, None where a recipe lacks it.

    recipes: as `Recipe.to_dict` gives them.

    >>> differing_settings([{"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}}])
    {'a.b': [1, 3]}
    """
    flat = [flatten_settings(recipe) for recipe in recipes]
    keys = dict.fromkeys(key for settings in flat for key in settings)
    rows = {key: [settings.get(key) for settings in flat] for key in keys}
    return {key: values for key, values in rows.items() if any(value != values[0] for value in values)}


def flatten_settings(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one dict with dotted keys.

    >>> flatten_settings({"lines": {"length": [4, 6]}, "name": "tiny"})
    {'lines.length': [4, 6], 'name': 'tiny'}
    """
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= flatten_settings(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
