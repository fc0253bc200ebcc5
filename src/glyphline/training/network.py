"""The network of a reader (encoder, context, classification head), and its weights file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from glyphline.alphabet import Alphabet
from glyphline.composing.line_sets import normalization_of
from glyphline.errors import DataError, RecipeError, nearest
from glyphline.files import replace_atomically
from glyphline.imaging.normalization import NORMALIZATIONS
from glyphline.reading.recognition.recognizers import PP_OCR, ModelInfo, bundled_names
from glyphline.recipe import Recipe, recipe_from
from glyphline.training.encoders import CONTEXTS, ENCODERS, PatchEncoder
from glyphline.training.runs import BEST_WEIGHTS
from glyphline.writing_direction import resolve_direction

#: version of the checkpoint files best.pt and last.ckpt; raised when a key or the name of a layer changes
CHECKPOINT_VERSION = 2


class Network(nn.Module):
    """The network that a recipe describes.

    Input: lines (N, H, W) uint8, ink bright, H the recipe's lines.height. Output: log-probabilities (N, T, C) float32,
    natural logarithm, T time steps, C classes; class 0 is the CTC blank. Raises RecipeError for an unknown encoder or
    context, AlphabetError for a misspelt alphabet.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.alphabet = Alphabet.from_name(recipe.lines.alphabet)
        options = recipe.network
        for kind, name, table in (("encoder", options.encoder, ENCODERS), ("context", options.context, CONTEXTS)):
            if name not in table:
                raise RecipeError(f'no {kind} "{name}"; {nearest(name, table)}')
        self.encoder = ENCODERS[options.encoder](options, recipe.lines.height)
        self.context = CONTEXTS[options.context](self.encoder.features, options)
        self.head = nn.Linear(int(self.context.features), len(self.alphabet))  # type: ignore[arg-type]
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def stride(self) -> int:
        """Width of a time step in px."""
        return self.encoder.stride

    def steps(self, width: int) -> int:
        """The number of time steps of a line `width` px wide."""
        return self.encoder.steps(width)

    def forward(self, lines: Tensor) -> Tensor:
        images = (lines.float() / 255.0).unsqueeze(1)
        logits: Tensor = self.head(self.context(self.encoder(images)))
        return logits.float().log_softmax(2)

    def parameter_count(self) -> int:
        """The number of trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def describe_layers(network: Network, width: int) -> list[tuple[str, str, tuple[int | str, ...], int]]:
    """The layers of a network in the order in which they compute a line of `width` px.

    Returns (name, kind, output shape with "N" for the number of lines, trainable parameters of its own) of each layer.
    """
    rows: list[tuple[str, str, tuple[int | str, ...], int]] = []

    def make_hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def add_row(module: nn.Module, _: Any, output: Any) -> None:
            shape = tuple((output[0] if isinstance(output, tuple) else output).shape)
            count = sum(p.numel() for p in module.parameters(recurse=False) if p.requires_grad)
            rows.append((name, type(module).__name__, ("N", *shape[1:]), count))

        return add_row

    layers = [(name, module) for name, module in network.named_modules() if name and not list(module.children())]
    hooks = [module.register_forward_hook(make_hook(name)) for name, module in layers]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, network.recipe.lines.height, width, dtype=torch.uint8))
    finally:
        for hook in hooks:
            hook.remove()
    return rows


def model_info_of(network: Network) -> ModelInfo:
    """The ModelInfo of a network: all that a LineReader must know to run it."""
    lines = network.recipe.lines
    normalization = normalization_of(lines)
    window = network.encoder.window if isinstance(network.encoder, PatchEncoder) else 0
    return ModelInfo(
        network.recipe.name, network.alphabet.characters, lines.height, network.stride,
        normalization, window, network.recipe.to_dict(), padding_value=NORMALIZATIONS[normalization],
        direction=resolve_direction(lines.direction, network.alphabet.characters),
    )  # fmt: skip


class TorchRecognizer:
    """Runs a network in torch, with the contract of `glyphline.reading.recognition.recognizers.Recognizer`.

    The network must be on the CPU. It is switched to evaluation mode.
    """

    def __init__(self, network: Network) -> None:
        self.network, self.info = network.eval(), model_info_of(network)

    @torch.inference_mode()
    def log_probs(self, lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return self.network(torch.from_numpy(lines)).numpy()  # type: ignore[no-any-return]


def save_weights(network: Network, path: Path, **model_info: Any) -> None:
    """Save a network's weights and recipe to `path`, whole or not at all.

    model_info: plain data that `load_network` returns, such as the validation metrics of these weights. Raises OSError
    or RuntimeError (torch) when the file cannot be written.
    """
    checkpoint = {
        "format_version": CHECKPOINT_VERSION, "recipe": network.recipe.to_dict(), "model_info": model_info,
        "weights": network.state_dict(),
    }  # fmt: skip
    with replace_atomically(path) as temporary:
        torch.save(checkpoint, temporary)


def check_format_version(checkpoint: dict[str, Any], path: Path) -> None:
    """Raise DataError when the checkpoint read from `path` has another format version than CHECKPOINT_VERSION."""
    version = checkpoint.get("format_version", 1)
    if version != CHECKPOINT_VERSION:
        age = "an older" if isinstance(version, int) and version < CHECKPOINT_VERSION else "another"
        raise DataError(
            f"{path} was written by {age} version of glyphline (checkpoint format {version}, this version reads format "
            f"{CHECKPOINT_VERSION}): train the run again"
        )


def load_network(path: Path) -> tuple[Network, dict[str, Any]]:
    """Load a weights file: the network in evaluation mode on the CPU, and the model_info that was saved with it.

    Only tensors and plain data are unpickled. Raises DataError for a missing or damaged file, for a file of another
    kind, and for a checkpoint of another version.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist: train first, or give a run folder that holds best.pt")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        recipe = checkpoint["recipe"]
        check_format_version(checkpoint, path)
        network = Network(recipe_from(recipe, str(path)))
        network.load_state_dict(checkpoint["weights"])
        model_info: dict[str, Any] = checkpoint["model_info"]
    except DataError:
        raise
    except (RuntimeError, KeyError, EOFError, OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} holds no glyphline network ({reason}): train it again") from None
    except Exception as error:  # torch raises pickle.UnpicklingError and its own kinds for files that are no checkpoint
        raise DataError(f"{path} is no checkpoint ({type(error).__name__}): train it again") from None
    return network.eval(), model_info


def names_bundled(path: Path) -> bool:
    """Whether a path is the name of a bundled model or of PP-OCR, and not that of a run folder.

    Another folder of that name, such as photo/ with photographs, does not count.
    """
    return str(path) in (*bundled_names(), PP_OCR) and not path.is_file() and not (path / BEST_WEIGHTS).exists()


def load_any_network(path: Path) -> Network:
    """The network of a run folder, of a weights file, of an .onnx file, of a bundled model, or PP-OCR's."""
    from glyphline.training.restore import restore_network, restore_pp_ocr

    if names_bundled(path):
        if str(path) == PP_OCR:
            return restore_pp_ocr()
        with resources.as_file(resources.files("glyphline.models").joinpath(f"{path}.onnx")) as model:
            return restore_network(model)
    if path.suffix == ".onnx":
        return restore_network(path)
    return load_network(path / BEST_WEIGHTS if path.is_dir() else path)[0]


def load_matching_weights(network: Network, path: Path) -> list[str]:
    """Initialise a network with the weights of another run; return the characters that are new to these weights.

    path: a run folder, its best.pt, an .onnx file, the name of a bundled model, or "pp-ocr". See
    `copy_matching_weights`. Raises RecipeError when recipe.network differs, other than in its dropout, or the line
    height differs; DataError for what `load_network` refuses.
    """
    source = load_any_network(path)
    if replace(source.recipe.network, dropout=0) != replace(network.recipe.network, dropout=0):
        raise RecipeError(
            f"training.initial_weights: {path} holds another network ({source.recipe.network}): "
            "give the recipe the same one"
        )
    if source.recipe.lines.height != network.recipe.lines.height:
        raise RecipeError(
            f"training.initial_weights: {path} reads lines of {source.recipe.lines.height} px: set lines.height to it"
        )
    return copy_matching_weights(network, source)


def copy_matching_weights(network: Network, source: Network) -> list[str]:
    """Copy the weights of a network to one of another alphabet; return the characters that are new to these weights.

    The network is changed in place. Encoder and context are copied whole. The rows of the head are copied for the blank
    and for each character that both alphabets hold; rows of new characters keep their values.
    """
    source_weights = source.state_dict()
    source_ids = {c: k for k, c in enumerate(source.alphabet.characters, 1)}
    characters = network.alphabet.characters
    row_pairs = [(0, 0)] + [(k, source_ids[c]) for k, c in enumerate(characters, 1) if c in source_ids]
    target_rows, source_rows = (torch.tensor(rows) for rows in zip(*row_pairs, strict=True))
    for name, values in network.state_dict().items():
        if name.startswith("head."):
            values[target_rows] = source_weights[name][source_rows]
        else:
            values.copy_(source_weights[name])
    return [c for c in characters if c not in source_ids]


def mix_weights(
    initial: dict[str, Tensor], trained: dict[str, Tensor], share: float, new_classes: Sequence[int] = ()
) -> dict[str, Tensor]:
    """The weights share x initial + (1 - share) x trained of two networks with the same names and shapes.

    What a short training on composed lines won and what the initial weights knew of photographs are both in it
    (Wortsman et al. 2022, https://arxiv.org/abs/2109.01903). share: 0..1. new_classes: rows of the head that were not
    in the initial weights; they are taken from `trained`. Integers are too.
    """
    mixed = {}
    for name, weight in trained.items():
        mixed[name] = weight.clone()
        if weight.is_floating_point():
            mixed[name] = torch.lerp(weight, initial[name], share)
            if name.startswith("head.") and new_classes:
                mixed[name][list(new_classes)] = weight[list(new_classes)]
    return mixed
