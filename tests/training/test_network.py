"""The network gives log-probabilities; its weights file loads to the same network or is refused."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from glyphline.alphabet import Alphabet
from glyphline.errors import DataError, RecipeError, UserError
from glyphline.recipe import Recipe, load_recipe
from glyphline.training.network import (
    CHECKPOINT_VERSION,
    Network,
    load_matching_weights,
    load_network,
    mix_weights,
    save_weights,
)

RECIPES = sorted(p for p in (Path(__file__).parents[2] / "recipes").glob("*.yaml") if p.stem != "sweep")


def noise(lines: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(width)
    return torch.randint(0, 256, (lines, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_gives_a_network_of_log_probabilities(path: Path) -> None:
    recipe = load_recipe(path)
    network = Network(recipe).eval()
    width = 20 * network.stride + 3
    with torch.inference_mode():
        log_probs = network(noise(2, recipe.lines.height, width))
    assert log_probs.dtype == torch.float32
    assert log_probs.shape == (2, network.steps(width), len(Alphabet.from_name(recipe.lines.alphabet)))
    torch.testing.assert_close(log_probs.exp().sum(2), torch.ones(log_probs.shape[:2]))


@pytest.mark.parametrize("key", ["encoder", "context"])
def test_unknown_encoder_or_context_is_refused_with_the_nearest_name(
    tiny_recipe: Callable[..., Recipe], key: str
) -> None:
    name = {"encoder": "patch", "context": "bilst"}[key]
    with pytest.raises(RecipeError, match=f'no {key} "{name}"; did you mean "(patches|bilstm)"'):
        Network(tiny_recipe(**{f"network__{key}": name}))


@pytest.mark.parametrize("context", ["lstm", "mixer"])
def test_loaded_network_gives_the_same_log_probabilities(
    tiny_recipe: Callable[..., Recipe], tmp_path: Path, context: str
) -> None:
    network = Network(tiny_recipe(network__context=context)).eval()
    save_weights(network, tmp_path / "best.pt", val_cer=0.25, epoch=3.0)
    loaded, model_info = load_network(tmp_path / "best.pt")
    lines = noise(2, 28, 61)
    assert torch.equal(loaded(lines), network(lines))
    assert (loaded.recipe, loaded.training, model_info) == (network.recipe, False, {"val_cer": 0.25, "epoch": 3.0})
    assert [path.name for path in tmp_path.iterdir()] == ["best.pt"]


def test_failed_write_keeps_the_previous_weights_file(
    tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "best.pt"
    save_weights(Network(tiny_recipe()), path, epoch=1.0)

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError):
        save_weights(Network(tiny_recipe()), path, epoch=2.0)
    assert load_network(path)[1] == {"epoch": 1.0}


# ------------------------------------------------------------------------------------------------------- refused files


class MaliciousPickle:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def make_checkpoint(recipe: Recipe) -> dict[str, Any]:
    """The content of a valid weights file."""
    weights = Network(recipe).state_dict()
    return {"format_version": CHECKPOINT_VERSION, "recipe": recipe.to_dict(), "model_info": {}, "weights": weights}


def save_without(key: str, path: Path, recipe: Recipe) -> None:
    """Save a weights file that lacks one key."""
    checkpoint = make_checkpoint(recipe)
    del checkpoint[key]
    torch.save(checkpoint, path)


BROKEN_FILES: dict[str, Callable[[Path, Recipe], Any]] = {
    "empty": lambda path, recipe: path.write_bytes(b""),
    "text": lambda path, recipe: path.write_text("no checkpoint at all\n" * 40),
    "pickle": lambda path, recipe: path.write_bytes(pickle.dumps({"weights": [1, 2]})),
    "a list": lambda path, recipe: torch.save([1, 2], path),
    "no recipe": lambda path, recipe: torch.save({"weights": {}, "model_info": {}}, path),
    "an invalid recipe": lambda path, recipe: torch.save(make_checkpoint(recipe) | {"recipe": {"lines": 3}}, path),
    "no weights": lambda path, recipe: save_without("weights", path, recipe),
    "weights of another network": lambda path, recipe: torch.save(
        make_checkpoint(recipe) | {"weights": {"a": torch.ones(2)}}, path
    ),
}


@pytest.mark.parametrize("content", BROKEN_FILES)
def test_file_without_a_network_is_refused_by_name(
    tiny_recipe: Callable[..., Recipe], tmp_path: Path, content: str
) -> None:
    path = tmp_path / "best.pt"
    BROKEN_FILES[content](path, tiny_recipe())
    with pytest.raises(DataError, match=r"best\.pt") as caught:
        load_network(path)
    assert "\n" not in str(caught.value) and "older version" not in str(caught.value)


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"best\.pt does not exist"):
        load_network(tmp_path / "best.pt")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_truncated_file_is_refused(tiny_recipe: Callable[..., Recipe], tmp_path: Path, share: float) -> None:
    path = tmp_path / "best.pt"
    save_weights(Network(tiny_recipe()), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"best\.pt"):
        load_network(path)


def test_code_in_a_pickle_is_not_run(tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    path, created_folder = tmp_path / "best.pt", tmp_path / "created"
    torch.save(make_checkpoint(tiny_recipe()) | {"model_info": MaliciousPickle(created_folder)}, path)
    with pytest.raises(DataError):
        load_network(path)
    path.write_bytes(pickle.dumps(MaliciousPickle(created_folder)))
    with pytest.raises(DataError):
        load_network(path)
    assert not created_folder.exists()


def test_file_without_model_info_is_refused(tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    save_without("model_info", tmp_path / "best.pt", tiny_recipe())
    with pytest.raises(DataError):
        load_network(tmp_path / "best.pt")


def test_file_of_an_older_version_is_refused_with_the_remedy(
    tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    """Before format 2 a weights file had "facts" instead of "model_info" and no format_version."""
    recipe = tiny_recipe().to_dict()
    recipe["training"]["pieces"] = recipe["training"].pop("gradient_accumulation")  # a key of that version
    torch.save({"recipe": recipe, "facts": {}, "weights": {}}, tmp_path / "best.pt")
    with pytest.raises(UserError, match=r"best\.pt was written by an older version .*: train the run again$"):
        load_network(tmp_path / "best.pt")


def test_file_of_a_newer_version_is_refused(tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    torch.save(make_checkpoint(tiny_recipe()) | {"format_version": CHECKPOINT_VERSION + 1}, tmp_path / "best.pt")
    with pytest.raises(UserError, match=r"best\.pt was written by another version"):
        load_network(tmp_path / "best.pt")


# ----------------------------------------------------------------------------------------------------- initial weights


def test_initial_weights_are_copied_for_the_characters_of_both_alphabets(
    tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    """Characters of both alphabets get the same logits as before; new characters keep their random weights."""
    old = Network(tiny_recipe()).eval()
    save_weights(old, tmp_path / "best.pt")
    new = Network(tiny_recipe(lines__alphabet="zé ya")).eval()
    initial_row = new.head.weight[2].clone()
    assert load_matching_weights(new, tmp_path) == ["é"]
    lines = noise(2, 28, 61)
    assert torch.equal(new.head.weight[2], initial_row)
    old_logits, new_logits = (n.head(n.context(n.encoder(lines[:, None] / 255))) for n in (old, new))
    for character in "z ya":
        torch.testing.assert_close(
            new_logits[..., new.alphabet.encode(character)[0]], old_logits[..., old.alphabet.encode(character)[0]]
        )
    torch.testing.assert_close(new_logits[..., 0], old_logits[..., 0])


def test_mixed_weights_take_new_classes_from_the_trained_ones() -> None:
    initial = {"head.weight": torch.zeros(3, 2), "norm.num_batches_tracked": torch.tensor(1)}
    trained = {"head.weight": torch.ones(3, 2), "norm.num_batches_tracked": torch.tensor(5)}
    mixed = mix_weights(initial, trained, 0.25, new_classes=[2])
    assert mixed["head.weight"].tolist() == [[0.75, 0.75], [0.75, 0.75], [1.0, 1.0]]
    assert mixed["norm.num_batches_tracked"] == 5 and trained["head.weight"].eq(1).all()


def test_initial_weights_of_another_architecture_are_refused(
    tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    save_weights(Network(tiny_recipe()), tmp_path / "best.pt")
    with pytest.raises(RecipeError, match=r"holds another network .*: give the recipe the same one"):
        load_matching_weights(Network(tiny_recipe(network__features=24)), tmp_path)
    with pytest.raises(RecipeError, match=r"reads lines of 28 px: set lines.height to it"):
        load_matching_weights(Network(tiny_recipe(lines__height=32)), tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        load_matching_weights(Network(tiny_recipe()), tmp_path / "nothing")
