"""Run folders: the names of their files, and what a finished, a running or an interrupted run has in them.

Does not import torch.
"""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from glyphline.errors import DataError, UserError
from glyphline.recipe import Recipe, load_recipe

#: file names in a run folder
LAST_CHECKPOINT, BEST_WEIGHTS, RECIPE_FILE, RESULT_FILE = "last.ckpt", "best.pt", "recipe.yaml", "result.json"
COMMAND_FILE, ENVIRONMENT_FILE, PACKAGES_FILE = "command.txt", "environment.json", "requirements.txt"
METRICS_FILE, VALIDATION_FILE = "metrics.csv", "validation.json"
RECIPE_HISTORY_FILE = "recipes.json"  # the earlier recipes of a run that was resumed with another one
END_RECORDS_FILE = "tracked.json"  # tracker -> name of a record of the run's end -> the step whose record it has
#: what reading and unpacking a damaged file raises: no text, no JSON, another structure, endless nesting or numbers
DAMAGE = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
STEP_DIGITS = 16  # of an optimiser step; floats are exact below

MetricRow = tuple[int, str, float]  # optimiser step, name, value
Part = TypeVar("Part")
Kind = TypeVar("Kind")


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
    missing: tuple[str, ...]  # one phrase for each part that is missing or damaged
    unreadable: tuple[str, ...]  # files that are damaged or of another version

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.resolve().name

    @property
    def best(self) -> dict[str, float]:
        """The metrics of the epoch with the lowest validation loss, with its step; {} before the first validation."""
        finite = {
            name: {step: value for step, value in rows if math.isfinite(value)} for name, rows in self.metrics.items()
        }
        losses = finite.get("val_loss")
        if not losses:
            return dict(self.result.get("best", {}))
        step = min(losses, key=losses.__getitem__)
        values = {
            name: rows[step]
            for name, rows in finite.items()
            if name.startswith(("val_", "watch_", "epoch")) and step in rows
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
    # unlike Path.is_file, False for a folder that this user must not enter
    return any(os.path.isfile(folder / name) for name in (RECIPE_FILE, RESULT_FILE))


def read_run(folder: Path) -> Run:
    """Read a run folder, also a half-written or damaged one. Raises UserError for a folder that holds no run."""
    if not is_run(folder):
        fault = "holds no run" if folder.is_dir() else "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {fault}: give a folder that `glyphline train` wrote (`glyphline runs` lists them)")
    missing: list[str] = []
    unreadable: list[str] = []

    def read_part(part: str, file: str, read: Callable[[Path], Part], empty: Part, absence: str = "") -> Part:
        """The content of a file; `empty` where it is missing or damaged, which is then noted."""
        if not (folder / file).is_file():
            missing.append(f"{part} ({file}){absence}")
            return empty
        try:
            return read(folder / file)
        except UserError as error:
            reason = str(error)
        except DAMAGE as error:
            reason = describe_damage(file, error)
        missing.append(f"{part} ({reason})")
        unreadable.append(file)
        return empty

    recipe: Recipe | None = read_part("the recipe", RECIPE_FILE, load_recipe, None)
    result: dict[str, Any] = read_part("the result", RESULT_FILE, _read_result, {}, ": the run has not ended")
    absence = ": train with --track csv, which is the default"
    no_rows: tuple[list[MetricRow], int] = [], 0
    rows, damaged_rows = read_part("the curves", METRICS_FILE, read_metric_rows, no_rows, absence)
    if damaged_rows:
        missing.append(f"a part of the curves ({METRICS_FILE} is damaged, unreadable rows: {damaged_rows})")
        unreadable.append(METRICS_FILE)
    if not (folder / BEST_WEIGHTS).is_file():
        missing.append(f"the network ({BEST_WEIGHTS}), which is written when the first epoch ends")
    commands: tuple[str, ...] = read_part("the command", COMMAND_FILE, _read_lines, ())
    environment: dict[str, Any] = read_part("the environment", ENVIRONMENT_FILE, read_json_object, {})
    changes: tuple[RecipeChange, ...] = ()
    if (folder / RECIPE_HISTORY_FILE).exists():  # most runs have one recipe
        changes = read_part("the changes of the recipe", RECIPE_HISTORY_FILE, _read_recipe_changes, ())
    metrics: dict[str, dict[int, float]] = {}
    for step, name, value in rows:
        metrics.setdefault(name, {})[step] = value
    return Run(
        folder, recipe, commands, {key: str(value) for key, value in environment.items()},
        {name: tuple(sorted(values.items())) for name, values in metrics.items()}, result, changes, tuple(missing),
        tuple(unreadable),
    )  # fmt: skip


def describe_damage(file: str | Path, error: Exception) -> str:
    """Say that a file is damaged. error: one of DAMAGE, which reading it has raised."""
    reason = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
    return f"{file} is damaged ({reason or type(error).__name__})"


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises one of DAMAGE where it is missing or damaged."""
    return require(dict, json.loads(path.read_text(encoding="utf-8")), "the content")


def require(kind: type[Kind], value: Any, name: str) -> Kind:
    """A value of a JSON file as it is. Raises TypeError with its name where it is of another kind."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} is {str(value)[:40]!r}, no {kind.__name__}")
    return value


def require_number(value: Any, name: str) -> float:
    """A number of a JSON file as it is. Raises TypeError with its name where it is no number or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise TypeError(f"{name} is {str(value)[:40]!r}, no number")
    return value


def _read_result(path: Path) -> dict[str, Any]:
    """The object in result.json, in which "best" and the figures that are shown have their types."""
    result = read_json_object(path)
    for name, value in require(dict, result["best"], "best").items():
        require_number(value, f"best.{name}")
    for name in ("parameters", "steps", "epochs", "minutes"):
        require_number(result.get(name, 0), name)
    return result


def _read_lines(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8").splitlines())


def read_recipe_history(path: Path) -> list[dict[str, Any]]:
    """The entries of recipes.json, as `training.train` writes them; [] where it is missing.

    Raises one of DAMAGE where it is damaged.
    """
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    history = require(list, content, "the content")
    for entry in history:
        require_number(entry["until_epoch"], "until_epoch")
        for key, values in require(dict, entry["changes"], "changes").items():
            _, _ = require(list, values, key)  # before and now
    return history


def _read_recipe_changes(path: Path) -> tuple[RecipeChange, ...]:
    """The changes in recipes.json."""
    changes: list[RecipeChange] = []
    for entry in read_recipe_history(path):
        for key, (before, now) in entry["changes"].items():
            change = RecipeChange(int(entry["until_epoch"]), key, before, now)
            if change not in changes:  # a kill while a run is resumed lists a change twice
                changes.append(change)
    return tuple(changes)


def read_metric_rows(path: Path) -> tuple[list[MetricRow], int]:
    """The rows (optimiser step, name, value) of metrics.csv, and the number of rows that are damaged.

    A last row that a kill has cut short is left out and no damage. Raises OSError.
    """
    rows: list[MetricRow] = []
    damaged = 0
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            ((step, name, value),) = csv.reader([line])  # each line alone: a stray quote would swallow the next ones
            if not (step.isascii() and step.isdigit() and len(step) < STEP_DIGITS) or "\ufffd" in name:
                raise ValueError
            rows.append((int(step), name, float(value)))
        except (ValueError, csv.Error):
            damaged += 1 < number < len(lines)  # the first line is the header
    return rows, damaged


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
