"""The reader network: encoder + context + head; it carries its recipe, and its files explain themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from glyphline.alphabet import Alphabet
from glyphline.composing.line_sets import open_layout
from glyphline.errors import DataError, RecipeError, nearest
from glyphline.files import replacing
from glyphline.reading.recognition.recognizers import ModelInfo
from glyphline.recipe import Recipe, recipe_from
from glyphline.training.encoders import CONTEXTS, ENCODERS, Patches


class Network(nn.Module):
    """Lines (N, H, W) uint8, ink bright -> log-probabilities (N, T, C), class 0 the CTC blank.

    Raises RecipeError for an encoder or context that does not exist.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.alphabet = Alphabet.named(recipe.lines.alphabet)
        wanted = recipe.network
        for kind, name, table in (("encoder", wanted.encoder, ENCODERS), ("context", wanted.context, CONTEXTS)):
            if name not in table:
                raise RecipeError(f'no {kind} "{name}"; {nearest(name, table)}')
        self.encoder = ENCODERS[wanted.encoder](wanted, recipe.lines.height)
        self.context = CONTEXTS[wanted.context](self.encoder.features, wanted)
        self.head = nn.Linear(int(self.context.features), len(self.alphabet))  # type: ignore[arg-type]
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def stride(self) -> int:
        """px of width a time step."""
        return self.encoder.stride

    def steps(self, width: int) -> int:
        """Time steps of a line `width` px wide."""
        return self.encoder.steps(width)

    def forward(self, lines: Tensor) -> Tensor:
        images = (lines.float() / 255.0).unsqueeze(1)
        logits: Tensor = self.head(self.context(self.encoder(images)))
        return logits.float().log_softmax(2)

    def parameter_count(self) -> int:
        """Trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def model_info_of(network: Network) -> ModelInfo:
    """What a reader needs to know of a network."""
    lines = network.recipe.lines
    window = network.encoder.window if isinstance(network.encoder, Patches) else 0
    return ModelInfo(
        network.recipe.name, network.alphabet.characters, lines.height, network.stride,
        open_layout(lines).normalization, window, network.recipe.to_dict(),
    )  # fmt: skip


class TorchRecognizer:
    """A trained network as a recognizer: the same contract as `glyphline.reading.recognition.recognizers.OnnxRecognizer`."""

    def __init__(self, network: Network) -> None:
        self.network, self.info = network.eval(), model_info_of(network)

    @torch.inference_mode()
    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return self.network(torch.from_numpy(lines)).numpy()  # type: ignore[no-any-return]


def save_weights(network: Network, path: Path, **info: Any) -> None:
    """Weights with the recipe and facts (plain data) inside, written whole or not at all."""
    with replacing(path) as beside:
        torch.save({"recipe": network.recipe.to_dict(), "facts": info, "weights": network.state_dict()}, beside)


def load_matching_weights(network: Network, path: Path) -> list[str]:
    """Begin with the weights of another run; the characters of `network` that they did not know.

    Layers are taken over whole; the head's rows character by character, so that the alphabets may differ.
    Raises RecipeError for a network of another make, DataError for a file that holds none.
    """
    other, _ = load_network(path / "best.pt" if path.is_dir() else path)
    if replace(other.recipe.network, dropout=0) != replace(network.recipe.network, dropout=0):
        raise RecipeError(
            f"training.initial_weights: {path} holds another network ({other.recipe.network}): give the recipe the same one"
        )
    if other.recipe.lines.height != network.recipe.lines.height:
        raise RecipeError(
            f"training.initial_weights: {path} reads lines of {other.recipe.lines.height} px: set lines.height to it"
        )
    theirs, mine = other.state_dict(), network.state_dict()
    known = {c: k for k, c in enumerate(other.alphabet.characters, 1)}
    rows = [(0, 0)] + [(k, known[c]) for k, c in enumerate(network.alphabet.characters, 1) if c in known]
    to, of = (torch.tensor(side) for side in zip(*rows, strict=True))
    for name, values in mine.items():
        if name.startswith("head."):
            values[to] = theirs[name][of]
        else:
            values.copy_(theirs[name])
    return [c for c in network.alphabet.characters if c not in known]


def load_network(path: Path) -> tuple[Network, dict[str, Any]]:
    """The network of a weights file, ready to read, and its facts. Raises DataError for anything else."""
    if not path.is_file():
        raise DataError(f"{path} is not there: train first, or give a run folder that holds best.pt")
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        network = Network(recipe_from(kept["recipe"], str(path)))
        network.load_state_dict(kept["weights"])
        info: dict[str, Any] = kept["facts"]
    except (RuntimeError, KeyError, EOFError, OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} holds no glyphline network ({reason}): train it again") from None
    except Exception as error:  # torch raises pickle.UnpicklingError and its own kinds for files that are no checkpoint
        raise DataError(f"{path} is no checkpoint ({type(error).__name__}): train it again") from None
    return network.eval(), info
