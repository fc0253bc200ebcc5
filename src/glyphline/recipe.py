"""A recipe (YAML) <-> frozen dataclasses; unknown or contradicting keys are refused with the nearest name."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from glyphline.errors import RecipeError, nearest

ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class GlyphShare:
    """A glyph source and how many of the lines it writes, relative to the others."""

    source: str
    weight: float = 1.0


@dataclass(frozen=True)
class LinesRecipe:
    """Which lines are composed."""

    alphabet: str = "english"  # a name (digits, merged, full, english, ascii) or the characters themselves
    layout: str = "natural"  # tiles, overlap, natural
    glyphs: tuple[GlyphShare, ...] = (GlyphShare("strokes"),)  # the first also draws what the others lack
    sentences: tuple[str, ...] = ("built-in",)
    punctuation: str = "written"  # written, stripped
    unknown: str = "drop"  # a character outside the alphabet: replace, drop, refuse
    replacement: str = " "
    length: tuple[int, int] = (4, 48)  # characters of a line, from .. to; drawn evenly
    start: str = "word"  # head: every line begins its sentence; word: at any word
    cut: str = "word"  # word: never inside a word; character: exactly at the length
    pad: bool = False  # spaces up to the length, in image and label
    capitals: float = 0.0  # share of the lines set in CAPITALS
    letter_spaced: float = 0.0  # share of the lines s p e l l e d, half of them in capitals
    variants: int = 1  # lines of each sentence in a row
    sentence_limit: int | None = None  # only so many sentences of each split
    effects: dict[str, float] | None = None  # effect -> share of lines; null: the usual ones (natural only)
    jitter: float = 0.0  # how far each training tile is bent (tiles, overlap); 0: not at all, 1: strongly
    height: int = 40  # px of the canonical line


@dataclass(frozen=True)
class NetworkRecipe:
    """Which network learns them."""

    encoder: str = "conv"  # patches (the report's), conv
    channels: tuple[int, ...] = (32, 64, 128)  # of the encoder's stages
    stride: int = 8  # px of width a time step (conv): 4 for narrow letters, 8 for tiles
    features: int = 256  # width of a time step after the encoder
    context: str = "mixer"  # none, lstm, bilstm, mixer, attention
    layers: int = 4  # of the context: bilstm, mixer, attention
    kernel_size: int = 9  # time steps a mixer or attention layer's convolution sees
    dropout: float = 0.1


@dataclass(frozen=True)
class TrainingRecipe:
    """How long and how."""

    seed: int = 0
    initial_weights: str | None = None  # a run folder or its best.pt, whose weights to begin with; null: from scratch
    epochs: int = 100
    epoch_lines: int = 4000  # lines between two validations
    distinct_lines: int | None = None  # null: never the same line twice
    validation_lines: int = 500
    watch: str | None = None  # a folder with labels.tsv, real lines say, read after every epoch; decides nothing
    validation_glyphs: str = "val"  # val: unseen; train: those of training in unseen sentences, as the report did
    batch: int = 64
    gradient_accumulation: int = (
        1  # a batch is computed in so many, their gradients added: less memory, kinder to small caches
    )
    optimizer: str = "adamw"  # adam, adamw, sgd
    learning_rate: float = 1e-3  # the peak
    weight_decay: float = 0.01
    schedule: str = "cosine"  # constant, cosine, onecycle, plateau
    warmup: float = 0.02  # share of all steps
    gradient_clip: float = 1.0  # gradient norm; 0: never
    patience: int = 0  # epochs without a better validation loss before it stops; 0: never stops early
    ema_decay: float = 0.0  # decay of the weights' moving average; 0: none
    precision: str = "bf16"  # bf16 (autocast), fp32
    workers: int = 0  # processes that compose ahead; 0: in the training process


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run."""

    name: str = "unnamed"
    about: str = ""
    lines: LinesRecipe = field(default_factory=LinesRecipe)
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)

    def __post_init__(self) -> None:
        _check(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `recipe_from` reads back to an equal recipe."""
        return _plain(dataclasses.asdict(self))  # type: ignore[no-any-return]

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def _check(recipe: Recipe) -> None:
    """Refuse what contradicts itself, in a sentence each."""
    lines, training = recipe.lines, recipe.training
    low, high = lines.length
    rules = (
        (not 1 <= low <= high, f"lines.length is {low}..{high}: give two numbers from 1 up, the smaller one first"),
        (lines.pad and low != high, "lines.pad needs one length: give lines.length twice the same number"),
        (lines.pad and lines.cut == "word", "lines.pad fills to an exact length: set lines.cut to character"),
        (lines.layout in ("tiles", "overlap") and bool(lines.effects), "lines.effects belong to the natural layout"),
        (
            lines.layout in ("tiles", "overlap") and len(lines.glyphs) > 1,
            f"the layout {lines.layout} draws from one glyph source: name one, or choose the natural layout",
        ),
        (not 0 <= lines.jitter <= 2, f"lines.jitter is {lines.jitter}: give a number from 0 to 2"),
        (lines.layout == "natural" and lines.jitter > 0, "lines.jitter bends tiles: natural lines have lines.effects"),
        (not 16 <= lines.height <= 128, f"lines.height is {lines.height} px: give a number from 16 to 128"),
        (not 0 <= lines.capitals <= 1, "lines.capitals is a share of the lines, from 0 to 1"),
        (not 0 <= lines.letter_spaced <= 1, "lines.letter_spaced is a share of the lines, from 0 to 1"),
        (
            lines.letter_spaced > 0 and low == high,
            "lines.letter_spaced makes lines shorter: give lines.length two different numbers",
        ),
        (lines.variants < 1, "lines.variants must be 1 or more"),
        (min(training.epochs, training.epoch_lines, training.batch) < 1, "training needs epochs, lines and a batch"),
        (
            training.schedule == "plateau" and training.warmup > 0,
            "training.warmup goes with the schedules cosine and onecycle: set it to 0 for plateau",
        ),
        (
            recipe.network.encoder == "patches" and len(recipe.network.channels) != 2,
            "network.channels of the encoder patches are two numbers, such as [32, 64]",
        ),
        (
            training.gradient_accumulation < 1 or training.batch % training.gradient_accumulation != 0,
            "training.gradient_accumulation must divide training.batch",
        ),
        (training.validation_lines < 1, "training.validation_lines must be 1 or more"),
        (not 0 < training.learning_rate < math.inf, "training.learning_rate must be a number above 0"),
        (not 0 <= training.weight_decay < math.inf, "training.weight_decay must be 0 or more"),
        (not 0 <= training.warmup < 1, "training.warmup is a share of the run, from 0 to below 1"),
        (min(training.patience, training.workers) < 0, "training.patience and training.workers must be 0 or more"),
        (training.gradient_clip < 0, "training.gradient_clip must be 0 (never) or more"),
        (
            training.distinct_lines is not None and training.distinct_lines < 1,
            "training.distinct_lines must be above 0",
        ),
        (lines.sentence_limit is not None and lines.sentence_limit < 1, "lines.sentence_limit must be 1 or more"),
        (not lines.glyphs or not lines.sentences, "lines needs at least one of glyphs and one of sentences"),
        (any(g.weight < 0 for g in lines.glyphs), "a glyph source's weight must be 0 or more"),
        (min(recipe.network.channels, default=0) < 1, "network.channels needs at least one stage, each above 0"),
        (
            min(recipe.network.features, recipe.network.layers) < 1,
            "network.features and network.layers must be above 0",
        ),
        (recipe.network.kernel_size < 1, "network.kernel_size must be 1 or more"),
        (not 0 <= training.ema_decay < 1, "training.ema_decay is a decay from 0 to below 1"),
        (not 0 <= recipe.network.dropout < 1, "network.dropout is a share from 0 to below 1"),
        (
            recipe.network.encoder == "conv" and recipe.network.stride not in (2, 4, 8, 16),
            "network.stride must be 2, 4, 8 or 16 px a time step",
        ),
        (
            recipe.network.encoder == "conv" and recipe.network.stride > 2 ** len(recipe.network.channels),
            "network.stride needs as many stages (network.channels) as it has factors of two",
        ),
        (recipe.network.kernel_size % 2 == 0, "network.kernel_size must be odd, so that it has a middle"),
    )
    for broken, sentence in rules:
        if broken:
            raise RecipeError(sentence)
    choices = {
        "lines.layout": (lines.layout, ("tiles", "overlap", "natural")),
        "lines.unknown": (lines.unknown, ("replace", "drop", "refuse")),
        "lines.punctuation": (lines.punctuation, ("written", "stripped")),
        "lines.start": (lines.start, ("head", "word")),
        "lines.cut": (lines.cut, ("word", "character")),
        "training.validation_glyphs": (training.validation_glyphs, ("val", "train")),
        "training.precision": (training.precision, ("bf16", "fp32")),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise RecipeError(f'{name} is "{value}"; {nearest(value, allowed)}')


def recipe_from(data: Any, where: str = "the recipe") -> Recipe:
    """A recipe from plain data. Raises RecipeError for an unknown key, a wrong type or a contradiction."""
    return typing.cast(Recipe, _build(Recipe, data, "", where))


def _build(cls: type, data: Any, path: str, where: str) -> Any:
    if not isinstance(data, dict):
        raise RecipeError(f"{where}: {path or 'the whole'} must be a mapping of keys, found {type(data).__name__}")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    values = {}
    for name, value in data.items():
        full = f"{path}.{name}" if path else str(name)
        if name not in fields:
            raise RecipeError(f'{where}: no key "{full}"; {nearest(str(name), fields)}')
        values[name] = _convert(hints[name], value, full, where)
    return cls(**values)


def _convert(hint: Any, value: Any, path: str, where: str) -> Any:
    """A YAML value as the type a field asks for."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, path, where)
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        if arguments[-1] is Ellipsis:
            return tuple(_convert(arguments[0], v, f"{path}[{i}]", where) for i, v in enumerate(items))
        if len(items) == 1:
            items = list(items) * len(arguments)
        if len(items) != len(arguments):
            raise RecipeError(f"{where}: {path} takes {len(arguments)} values, found {len(items)}")
        return tuple(_convert(a, v, path, where) for a, v in zip(arguments, items, strict=True))
    if origin is dict:
        if not isinstance(value, dict):
            raise RecipeError(f"{where}: {path} must be a mapping, found {value!r}")
        return {str(k): _convert(arguments[1], v, f"{path}.{k}", where) for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        if hint is GlyphShare and isinstance(value, str):
            return GlyphShare(value)
        return _build(typing.cast(type, hint), value, path, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is not hint:
        raise RecipeError(f"{where}: {path} must be {hint.__name__}, found {value!r}")
    return value


def load_recipe(path: str | Path, sets: Iterable[str] = ()) -> Recipe:
    """A recipe file with `key=value` changes laid over it, keys dotted: training.batch=32.

    Raises RecipeError for a missing file, broken YAML, and whatever `recipe_from` refuses.
    """
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        near = sorted(str(p) for p in Path("recipes").glob("*.yaml"))
        raise RecipeError(f"no recipe {path}; recipes here: {', '.join(near) or 'none'}") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"{path} is no readable YAML: {' '.join(str(error).split())}") from None
    for change in sets:
        key, equals, value = change.partition("=")
        if not equals or not key:
            raise RecipeError(f'"{change}" is no change: write key=value, such as training.batch=32')
        try:
            _lay(data, key.split("."), yaml.safe_load(value), change)
        except yaml.YAMLError:
            raise RecipeError(f'"{change}": {value!r} is no YAML value: quote it') from None
    return recipe_from(data, str(path))


def _lay(data: Any, keys: list[str], value: Any, change: str) -> None:
    if not isinstance(data, dict):
        raise RecipeError(f'"{change}": the recipe is no mapping of keys')
    for key in keys[:-1]:
        data = data.setdefault(key, {}) if isinstance(data, dict) else None
        if not isinstance(data, dict):
            raise RecipeError(f'"{change}": {key} holds no keys of its own')
    data[keys[-1]] = value
