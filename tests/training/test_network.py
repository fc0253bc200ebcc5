"""The network gives log-probabilities, and its file explains itself or is refused."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from glyphline.alphabet import Alphabet
from glyphline.errors import DataError, RecipeError
from glyphline.recipe import Recipe, load_recipe
from glyphline.training.network import Network, load_matching_weights, load_network, save_weights

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def noise(lines: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(width)
    return torch.randint(0, 256, (lines, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_makes_a_network_of_log_probabilities(path: Path) -> None:
    recipe = load_recipe(path)
    network = Network(recipe).eval()
    width = 20 * network.stride + 3
    with torch.inference_mode():
        out = network(noise(2, recipe.lines.height, width))
    assert out.dtype == torch.float32
    assert out.shape == (2, network.steps(width), len(Alphabet.named(recipe.lines.alphabet)))
    torch.testing.assert_close(out.exp().sum(2), torch.ones(out.shape[:2]))


@pytest.mark.parametrize("key", ["encoder", "context"])
def test_a_network_that_does_not_exist_is_refused_with_the_nearest(tiny: Callable[..., Recipe], key: str) -> None:
    name = {"encoder": "patch", "context": "bilst"}[key]
    with pytest.raises(RecipeError, match=f'no {key} "{name}"; did you mean "(patches|bilstm)"'):
        Network(tiny(**{f"network__{key}": name}))


@pytest.mark.parametrize("context", ["lstm", "mixer"])
def test_kept_weights_read_as_before(tiny: Callable[..., Recipe], tmp_path: Path, context: str) -> None:
    network = Network(tiny(network__context=context)).eval()
    save_weights(network, tmp_path / "best.pt", val_cer=0.25, epoch=3.0)
    again, info = load_network(tmp_path / "best.pt")
    lines = noise(2, 28, 61)
    assert torch.equal(again(lines), network(lines))
    assert (again.recipe, again.training, info) == (network.recipe, False, {"val_cer": 0.25, "epoch": 3.0})
    assert [path.name for path in tmp_path.iterdir()] == ["best.pt"]


def test_weights_are_written_whole_or_not_at_all(
    tiny: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "best.pt"
    save_weights(Network(tiny()), path, epoch=1.0)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError):
        save_weights(Network(tiny()), path, epoch=2.0)
    assert load_network(path)[1] == {"epoch": 1.0}


# ------------------------------------------------------------------------------------------------------ what is refused


class Harm:
    """Whoever unpickles this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def kept(recipe: Recipe) -> dict[str, Any]:
    return {"recipe": recipe.to_dict(), "facts": {}, "weights": Network(recipe).state_dict()}


BROKEN: dict[str, Callable[[Path, Recipe], Any]] = {
    "empty": lambda path, recipe: path.write_bytes(b""),
    "text": lambda path, recipe: path.write_text("no checkpoint at all\n" * 40),
    "pickle": lambda path, recipe: path.write_bytes(pickle.dumps({"weights": [1, 2]})),
    "a list": lambda path, recipe: torch.save([1, 2], path),
    "no recipe": lambda path, recipe: torch.save({"weights": {}, "facts": {}}, path),
    "a strange recipe": lambda path, recipe: torch.save(kept(recipe) | {"recipe": {"lines": 3}}, path),
    "no weights": lambda path, recipe: torch.save({"recipe": recipe.to_dict(), "facts": {}}, path),
    "others' weights": lambda path, recipe: torch.save(kept(recipe) | {"weights": {"a": torch.ones(2)}}, path),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_file_that_holds_no_network_is_refused_by_name(tiny: Callable[..., Recipe], tmp_path: Path, how: str) -> None:
    path = tmp_path / "best.pt"
    BROKEN[how](path, tiny())
    with pytest.raises(DataError, match=r"best\.pt") as caught:
        load_network(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"best\.pt is not there"):
        load_network(tmp_path / "best.pt")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_file_cut_short_is_refused(tiny: Callable[..., Recipe], tmp_path: Path, share: float) -> None:
    path = tmp_path / "best.pt"
    save_weights(Network(tiny()), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=r"best\.pt"):
        load_network(path)


def test_nothing_in_a_file_is_run(tiny: Callable[..., Recipe], tmp_path: Path) -> None:
    path, harmed = tmp_path / "best.pt", tmp_path / "harmed"
    torch.save(kept(tiny()) | {"facts": Harm(harmed)}, path)
    with pytest.raises(DataError):
        load_network(path)
    path.write_bytes(pickle.dumps(Harm(harmed)))
    with pytest.raises(DataError):
        load_network(path)
    assert not harmed.exists()


def test_a_file_without_facts_is_refused(tiny: Callable[..., Recipe], tmp_path: Path) -> None:
    without = kept(tiny())
    del without["facts"]
    torch.save(without, tmp_path / "best.pt")
    with pytest.raises(DataError):
        load_network(tmp_path / "best.pt")


def test_a_network_begins_with_the_weights_of_another(tiny: Callable[..., Recipe], tmp_path: Path) -> None:
    """Other characters keep their own first weights; those in both alphabets read as before."""
    old = Network(tiny()).eval()
    save_weights(old, tmp_path / "best.pt")
    new = Network(tiny(lines__alphabet="zé ya")).eval()
    fresh = new.head.weight[2].clone()
    assert load_matching_weights(new, tmp_path) == ["é"]
    lines = noise(2, 28, 61)
    assert torch.equal(new.head.weight[2], fresh)
    were, are = (n.head(n.context(n.encoder(lines[:, None] / 255))) for n in (old, new))
    for character in "z ya":
        torch.testing.assert_close(
            are[..., new.alphabet.encode(character)[0]], were[..., old.alphabet.encode(character)[0]]
        )
    torch.testing.assert_close(are[..., 0], were[..., 0])


def test_weights_of_another_make_are_refused(tiny: Callable[..., Recipe], tmp_path: Path) -> None:
    save_weights(Network(tiny()), tmp_path / "best.pt")
    with pytest.raises(RecipeError, match=r"holds another network .*: give the recipe the same one"):
        load_matching_weights(Network(tiny(network__features=24)), tmp_path)
    with pytest.raises(RecipeError, match=r"reads lines of 28 px: set lines.height to it"):
        load_matching_weights(Network(tiny(lines__height=32)), tmp_path)
    with pytest.raises(DataError, match="is not there"):
        load_matching_weights(Network(tiny()), tmp_path / "nothing")
