"""One thread for torch, and a tiny run that trains in a second on built-in glyphs and sentences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from glyphline.recipe import Recipe, recipe_from
from glyphline.training.train import train

#: It uses everything that is random or stateful: dropout, the moving average, lines of several lengths.
TINY: dict[str, Any] = {
    "name": "tiny",
    "lines": {
        "alphabet": " abcdefghijklmnopqrstuvwxyz",
        "layout": "tiles",
        "glyphs": ["strokes"],
        "sentences": ["built-in"],
        "length": [4, 6],
        "cut": "character",
        "height": 28,
    },
    "network": {
        "encoder": "conv",
        "channels": [4, 8],
        "stride": 4,
        "features": 16,
        "context": "mixer",
        "layers": 1,
        "kernel_size": 3,
        "dropout": 0.2,
    },
    "training": {
        "epochs": 4,
        "epoch_lines": 40,
        "validation_lines": 12,
        "batch": 4,
        "learning_rate": 0.01,
        "ema_decay": 0.9,
        "precision": "fp32",
    },
}

TinyRecipe = Callable[..., Recipe]


def make_tiny_recipe(**changes: Any) -> Recipe:
    """TINY with changes. `__` in a key stands for the dot of a recipe key: training__epochs=2."""
    data = copy.deepcopy(TINY)
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            data[section][name] = value
        else:
            data[section] = value
    return recipe_from(data)


@pytest.fixture(scope="session", autouse=True)
def _limit_threads() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_recipe() -> TinyRecipe:
    return make_tiny_recipe


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny run that was never interrupted. Tests must not change it."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    train(make_tiny_recipe(), folder, trackers=["csv"], progress=False, report=lambda text: None)
    return folder
