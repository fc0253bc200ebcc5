"""Recipes: the YAML files that decide a training run, as frozen dataclasses.

`recipe_from` and `load_recipe` check keys, types, ranges and contradictions. They raise RecipeError, which names the
nearest key or value. Each field describes itself: `field.metadata["help"]` is one line with the meaning, the unit and
the range, `field.metadata["unit"]` is the unit alone, "" for a value without one, and `field.metadata["resumable"]`
says whether a run that is resumed may have another value than before.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from glyphline.errors import RecipeError, nearest
from glyphline.writing_direction import DIRECTIONS

RECIPE_SUFFIXES = (".yaml", ".yml")
_Settings = TypeVar("_Settings")


#: section of a recipe -> why its keys may not change when a run is resumed, except those marked as resumable
FIXED_BECAUSE = {
    "lines": "the run has learned from lines composed with the earlier value",
    "network": "the weights in the checkpoint fit only the network with the earlier value",
    "training": "the optimizer, the order of the lines and the best validation loss in the checkpoint depend on it",
}


def _describe(description: str, unit: str = "", resumable: bool = False) -> dict[str, Any]:
    """The metadata of a field: what the documentation and its table of recipe keys say about it."""
    return {"help": description, "unit": unit, "resumable": resumable}


@dataclass(frozen=True)
class GlyphShare:
    """A glyph source and its share of the lines."""

    source: str = field(
        metadata=_describe("Glyph source: strokes, emnist/SET (byclass, bymerge, ...), fonts:FOLDER or folder:FOLDER.")
    )
    weight: float = field(
        default=1.0,
        metadata=_describe("Share of the lines from this source, relative to the other weights, 0 or more."),
    )


@dataclass(frozen=True)
class LabelledShare:
    """A folder of labelled lines and its share of the training lines."""

    folder: str = field(
        metadata=_describe("Folder of labelled lines: labels.tsv, .gt.txt pairs, PAGE-XML, ALTO or metadata.csv.")
    )
    share: float = field(
        default=0.2, metadata=_describe("Share of the lines from this folder, above 0 to below 1.", "share")
    )
    variation: float = field(
        default=1.0,
        metadata=_describe(
            "Strength of the random changes of the images in training, 0 to 2: slant, width, shape, strokes, blur."
        ),
    )


@dataclass(frozen=True)
class LinesRecipe:
    """The lines to compose: characters, glyphs, texts and layout."""

    alphabet: str = field(
        default="english",
        metadata=_describe("Name of an alphabet (digits, merged, full, english, ascii), or its characters themselves."),
    )
    direction: str = field(
        default="auto",
        metadata=_describe(
            "Direction of the lines: ltr, rtl (right to left), or auto (rtl if the alphabet has right-to-left letters)."
        ),
    )
    layout: str = field(
        default="natural",
        metadata=_describe(
            "Arrangement of the glyphs: tiles (side by side), overlap (overlapping tiles) or natural (handwriting)."
        ),
    )
    glyphs: tuple[GlyphShare, ...] = field(
        default=(GlyphShare("strokes"),),
        metadata=_describe(
            "Glyph sources: a line uses one, and others for characters it lacks; tiles and overlap take one source."
        ),
    )
    sentences: tuple[str, ...] = field(
        default=("built-in",),
        metadata=_describe(
            "Text sources, 1 or more: built-in, wikisplit, wikisplit:split or :unsplit, text:PATH, generated:COUNT."
        ),
    )
    test_sentences: tuple[str, ...] = field(
        default=(),
        metadata=_describe("Those of `sentences` that give the validation and test lines; []: all of them."),
    )
    sentence_weights: tuple[float, ...] | None = field(
        default=None,
        metadata=_describe(
            "Weight of each text source, 0 or more: a line draws its source by them; null: all sentences alike."
        ),
    )
    punctuation: str = field(
        default="written",
        metadata=_describe(
            "Punctuation: written (WikiSplit's is untokenised first) or stripped (only ASCII letters, digits, spaces)."
        ),
    )
    unknown: str = field(
        default="drop",
        metadata=_describe(
            "Treatment of a character outside the alphabet: replace (see replacement), drop or refuse (an error)."
        ),
    )
    replacement: str = field(
        default=" ", metadata=_describe("Character of the alphabet that stands for an unknown one (unknown: replace).")
    )
    undrawn: str = field(
        default="refuse",
        metadata=_describe(
            "Treatment of a sentence with a character that no glyph source draws: refuse (an error) or drop (left out)."
        ),
    )
    length: tuple[int, int] = field(
        default=(4, 48),
        metadata=_describe(
            "Least and greatest length limit in characters, 1 or more; the limit of a line is drawn uniformly.",
            "characters",
        ),
    )
    start: str = field(
        default="word",
        metadata=_describe(
            "Start of a line in a sentence above the length limit: head (its first word), word (a random word) or "
            "mixed (half of the lines each)."
        ),
    )
    cut: str = field(
        default="word",
        metadata=_describe(
            "End of a line that is too long: word (between words) or character (exactly at the length limit)."
        ),
    )
    pad: bool = field(
        default=False,
        metadata=_describe(
            "Whether spaces fill image and label up to the length limit; needs a single length and cut: character."
        ),
    )
    capitals: float = field(
        default=0.0, metadata=_describe("Share of the lines that are set in capitals, 0 to 1.", "share")
    )
    letter_spaced: float = field(
        default=0.0,
        metadata=_describe(
            "Share of the lines with a space between all characters, 0 to 1; half of them are in capitals.", "share"
        ),
    )
    variants: int = field(
        default=1, metadata=_describe("Number of consecutive lines of the same sentence, 1 or more.", "lines")
    )
    sentence_limit: int | None = field(
        default=None, metadata=_describe("Number of sentences to use of each split, 1 or more; null: all.", "sentences")
    )
    effects: dict[str, float] | None = field(
        default=None,
        metadata=_describe(
            "Share of the lines, 0 to 1, by name of pen, paper or camera effect (only natural); null: the defaults.",
            "share",
        ),
    )
    jitter: float = field(
        default=0.0,
        metadata=_describe(
            "Strength of the random distortion of training tiles (layouts tiles and overlap), 0 (none) to 2."
        ),
    )
    labelled: tuple[LabelledShare, ...] = field(
        default=(),
        metadata=_describe(
            "Folders of labelled lines whose lines are mixed into training and validation, in place of composed ones."
        ),
    )
    height: int = field(default=40, metadata=_describe("Height of the normalised line image in px, 16 to 128.", "px"))
    normalization: str | None = field(
        default=None,
        metadata=_describe(
            "Preparation of the line image: ink (ink alone, bright), whole, grey (as photographed); null: the layout's."
        ),
    )


@dataclass(frozen=True)
class NetworkRecipe:
    """The network to train: an encoder, a context and their sizes."""

    encoder: str = field(
        default="conv",
        metadata=_describe(
            "Layers that turn the image into time steps: conv, patches (the W&B report's 20 px windows) or lcnet "
            "(PP-OCR's backbone)."
        ),
    )
    channels: tuple[int, ...] = field(
        default=(32, 64, 128),
        metadata=_describe(
            "Channels of each stage of the encoder, 1 or more; two stages for patches, three for lcnet.", "channels"
        ),
    )
    stride: int = field(
        default=8,
        metadata=_describe(
            "Width of a time step of the encoder conv in px: 2, 4, 8 or 16; patches always 14, lcnet always 8.", "px"
        ),
    )
    features: int = field(
        default=256,
        metadata=_describe(
            "Features of a time step after the encoder conv and in the contexts lstm, bilstm and svtr, 1 or more.",
            "features",
        ),
    )
    context: str = field(
        default="mixer",
        metadata=_describe(
            "Layers that relate the time steps to one another: none, lstm, bilstm, mixer, attention or svtr (PP-OCR's)."
        ),
    )
    layers: int = field(
        default=4,
        metadata=_describe("Number of layers of the contexts bilstm, mixer, attention and svtr, 1 or more.", "layers"),
    )
    kernel_size: int = field(
        default=9,
        metadata=_describe(
            "Width of the convolutions of mixer and attention in time steps, an odd number, 1 or more.", "time steps"
        ),
    )
    dropout: float = field(
        default=0.1,
        metadata=_describe("Share of the values that dropout sets to 0 in training, 0 to below 1.", "share"),
    )


@dataclass(frozen=True)
class TrainingRecipe:
    """The training: data, duration, optimizer and validation."""

    seed: int = field(
        default=0, metadata=_describe("Seed of the composed lines, the initial weights and dropout, any whole number.")
    )
    initial_weights: str | None = field(
        default=None,
        metadata=_describe(
            "Weights to start from: run folder, best.pt, .onnx file, bundled model, pp-ocr (lcnet, svtr); null: random."
        ),
    )
    epochs: int = field(default=100, metadata=_describe("Greatest number of epochs, 1 or more.", "epochs", True))
    epoch_lines: int = field(
        default=4000,
        metadata=_describe("Number of lines in an epoch, 1 or more; a validation follows each epoch.", "lines"),
    )
    distinct_lines: int | None = field(
        default=None,
        metadata=_describe(
            "Number of different training lines, 1 or more, which epochs repeat; null: no line is repeated.", "lines"
        ),
    )
    stored_lines: str | None = field(
        default=None,
        metadata=_describe(
            "Folder or address of compose --format parquet with the training lines; null: they are composed."
        ),
    )
    validation_lines: int = field(default=500, metadata=_describe("Number of validation lines, 1 or more.", "lines"))
    watch: str | None = field(
        default=None,
        metadata=_describe(
            "Folder of labelled lines that are read and scored after each epoch, for information; null: none.",
            resumable=True,
        ),
    )
    validation_glyphs: str = field(
        default="val",
        metadata=_describe(
            "Split of the validation glyphs: val (not in training) or train (those of training, as in the report)."
        ),
    )
    batch: int = field(default=64, metadata=_describe("Number of lines in a batch, 1 or more.", "lines"))
    gradient_accumulation: int = field(
        default=1,
        metadata=_describe(
            "Number of equal parts of a batch, 1 or more, that are computed in turn to save memory; must divide batch.",
            "parts",
            True,
        ),
    )
    optimizer: str = field(default="adamw", metadata=_describe("Optimizer: adam, adamw or sgd."))
    learning_rate: float = field(default=1e-3, metadata=_describe("Highest learning rate, above 0."))
    weight_decay: float = field(default=0.01, metadata=_describe("Weight decay of adamw and sgd, 0 or more."))
    schedule: str = field(
        default="cosine", metadata=_describe("Schedule of the learning rate: constant, cosine, onecycle or plateau.")
    )
    warmup: float = field(
        default=0.02,
        metadata=_describe(
            "Share of the steps in which the learning rate rises, 0 to below 1; onecycle uses at least 0.3; "
            "constant ignores it; plateau needs 0.",
            "share",
        ),
    )
    gradient_clip: float = field(
        default=1.0,
        metadata=_describe("Greatest norm of the gradient, 0 or more; 0: gradients are not clipped.", resumable=True),
    )
    patience: int = field(
        default=0,
        metadata=_describe(
            "Number of epochs without a lower validation loss before training stops, 0 or more; 0: never.",
            "epochs",
            True,
        ),
    )
    initial_share: float = field(
        default=0.0,
        metadata=_describe(
            "Share of initial_weights in the weights that are validated and saved, 0 to below 1; above 0 a network "
            "keeps more of what it knew before (WiSE-FT).",
            "share",
        ),
    )
    ema_decay: float = field(
        default=0.0,
        metadata=_describe("Decay of the exponential moving average of the weights, 0 to below 1; 0: no average."),
    )
    precision: str = field(
        default="bf16", metadata=_describe("Number format of training: bf16 (autocast) or fp32.", resumable=True)
    )
    workers: int = field(
        default=0,
        metadata=_describe(
            "Number of processes that compose lines in advance, 0 or more; 0: the training process does.",
            "processes",
            True,
        ),
    )


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run. Raises RecipeError for a value out of range or a contradiction.

    Only this class checks the values; LinesRecipe, NetworkRecipe and TrainingRecipe alone accept any. It does not check
    the alphabet, the sources, the effects, nor the names of encoder, context, optimizer and schedule: the code that
    uses them does.
    """

    name: str = field(default="unnamed", metadata=_describe("Name of the recipe and of its runs.", resumable=True))
    about: str = field(default="", metadata=_describe("Description of the recipe.", resumable=True))
    lines: LinesRecipe = field(default_factory=LinesRecipe, metadata=_describe("Settings of the lines to compose."))
    network: NetworkRecipe = field(default_factory=NetworkRecipe, metadata=_describe("Settings of the network."))
    training: TrainingRecipe = field(default_factory=TrainingRecipe, metadata=_describe("Settings of the training."))

    def __post_init__(self) -> None:
        _validate(self)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as dicts, lists and scalars; `recipe_from` turns them back into an equal recipe."""
        return _to_plain_data(dataclasses.asdict(self))  # type: ignore[no-any-return]

    def to_yaml(self) -> str:
        """The recipe as YAML text, every key with its value."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)


def flat_keys(recipe: Recipe) -> dict[str, Any]:
    """Every key of a recipe with dots, such as training.epochs, and its value in plain data, see `Recipe.to_dict`."""
    flat: dict[str, Any] = {}
    for name, value in recipe.to_dict().items():
        if dataclasses.is_dataclass(getattr(recipe, name)):
            flat |= {f"{name}.{key}": setting for key, setting in value.items()}
        else:
            flat[name] = value
    return flat


def changed_keys(earlier: Recipe, later: Recipe) -> dict[str, list[Any]]:
    """The keys in which two recipes differ -> [value in `earlier`, value in `later`], in plain data."""
    before, now = flat_keys(earlier), flat_keys(later)
    return {key: [before[key], now[key]] for key in now if before[key] != now[key]}


def resumable_keys() -> tuple[str, ...]:
    """The dotted keys that a run may change when it is resumed: the fields marked as `resumable`."""
    sections = {"": Recipe, "lines.": LinesRecipe, "network.": NetworkRecipe, "training.": TrainingRecipe}
    return tuple(
        f"{prefix}{f.name}" for prefix, cls in sections.items() for f in dataclasses.fields(cls)
        if f.metadata.get("resumable")
    )  # fmt: skip


def check_resumable(earlier: Recipe, later: Recipe) -> None:
    """Raise RecipeError when a run with the recipe `earlier` cannot be resumed with the recipe `later`.

    The message names the first key that differs and may not, the reason in FIXED_BECAUSE, and the keys that may.
    """
    permitted = resumable_keys()
    for key, (before, now) in changed_keys(earlier, later).items():
        if key not in permitted:
            keys = [name for name in permitted if "." in name]
            raise RecipeError(
                f"{key} is {now}, but the run to resume has {before}, and {FIXED_BECAUSE[key.partition('.')[0]]}: "
                f"resume with {before}, or train another run (training.initial_weights starts it from these weights); "
                f"a resumed run may change {', '.join(keys)}"
            )


def _to_plain_data(value: Any) -> Any:
    """The value with lists in place of tuples, at every depth."""
    if isinstance(value, dict):
        return {k: _to_plain_data(v) for k, v in value.items()}
    return [_to_plain_data(v) for v in value] if isinstance(value, tuple | list) else value


def _validate(recipe: Recipe) -> None:
    """Raise RecipeError for the first value that is out of range or contradicts another."""
    lines, network, training = recipe.lines, recipe.network, recipe.training
    low, high = lines.length
    rules = (
        (
            not 1 <= low <= high,
            f"lines.length is {low}..{high}: give two numbers of 1 or more, the smaller one first",
        ),
        (lines.pad and low != high, "lines.pad needs a single length: set lines.length to the same number twice"),
        (lines.pad and lines.cut == "word", "lines.pad fills lines to an exact length: set lines.cut to character"),
        (
            lines.layout in ("tiles", "overlap") and bool(lines.effects),
            f"lines.effects need the layout natural, but lines.layout is {lines.layout}: remove the effects",
        ),
        (
            lines.layout in ("tiles", "overlap") and len(lines.glyphs) > 1,
            f"the layout {lines.layout} takes one glyph source: leave one in lines.glyphs, or choose natural",
        ),
        (not 0 <= lines.jitter <= 2, f"lines.jitter is {lines.jitter}: give a number from 0 to 2"),
        (
            lines.layout == "natural" and lines.jitter > 0,
            "lines.jitter needs the layout tiles or overlap: set it to 0, or use lines.effects for natural lines",
        ),
        (not 16 <= lines.height <= 128, f"lines.height is {lines.height} px: give a number from 16 to 128"),
        (not 0 <= lines.capitals <= 1, f"lines.capitals is {lines.capitals}: give a share from 0 to 1"),
        (not 0 <= lines.letter_spaced <= 1, f"lines.letter_spaced is {lines.letter_spaced}: give a share from 0 to 1"),
        (
            lines.letter_spaced > 0 and low == high,
            "lines.letter_spaced shortens lines: set lines.length to two different numbers",
        ),
        (lines.variants < 1, f"lines.variants is {lines.variants}: give 1 or more"),
        (
            min(training.epochs, training.epoch_lines, training.batch) < 1,
            "training.epochs, training.epoch_lines and training.batch must each be 1 or more",
        ),
        (
            training.schedule == "plateau" and training.warmup > 0,
            "training.warmup belongs to the schedules cosine and onecycle: set it to 0 for plateau",
        ),
        (
            network.encoder == "patches" and len(network.channels) != 2,
            f"network.channels has {len(network.channels)} numbers: the encoder patches takes two, such as [32, 64]",
        ),
        (
            network.encoder == "lcnet"
            and (len(network.channels) != 3 or network.channels[0] % 4 != 0 or lines.height % 16 != 0),
            f"the encoder lcnet has network.channels {list(network.channels)} and lines.height {lines.height}: give "
            "three numbers, the first a multiple of 4, such as [96, 192, 384], and a height that is a multiple of 16",
        ),
        (
            network.context == "svtr" and network.features % 8 != 0,
            f"network.features is {network.features}: give a multiple of 8 for the context svtr",
        ),
        (
            training.gradient_accumulation < 1 or training.batch % training.gradient_accumulation != 0,
            f"training.gradient_accumulation is {training.gradient_accumulation}: "
            f"give a divisor of training.batch ({training.batch})",
        ),
        (training.validation_lines < 1, f"training.validation_lines is {training.validation_lines}: give 1 or more"),
        (
            not 0 < training.learning_rate < math.inf,
            f"training.learning_rate is {training.learning_rate}: give a finite number above 0",
        ),
        (
            not 0 <= training.weight_decay < math.inf,
            f"training.weight_decay is {training.weight_decay}: give a finite number of 0 or more",
        ),
        (not 0 <= training.warmup < 1, f"training.warmup is {training.warmup}: give a share from 0 to below 1"),
        (min(training.patience, training.workers) < 0, "training.patience and training.workers must be 0 or more"),
        (training.gradient_clip < 0, f"training.gradient_clip is {training.gradient_clip}: give 0 (off) or more"),
        (
            training.distinct_lines is not None and training.distinct_lines < 1,
            f"training.distinct_lines is {training.distinct_lines}: give 1 or more, or null for no repeated line",
        ),
        (
            not set(lines.test_sentences) <= set(lines.sentences),
            f"lines.test_sentences has {', '.join(sorted(set(lines.test_sentences) - set(lines.sentences)))}, which is "
            f"not in lines.sentences: choose from {', '.join(lines.sentences)}",
        ),
        (
            lines.sentence_weights is not None and len(lines.sentence_weights) != len(lines.sentences),
            f"lines.sentence_weights has {len(lines.sentence_weights or ())} numbers for {len(lines.sentences)} text "
            "sources: give one for each",
        ),
        (
            lines.sentence_weights is not None
            and not (min(lines.sentence_weights, default=0) >= 0 and sum(lines.sentence_weights) > 0),
            f"lines.sentence_weights is {list(lines.sentence_weights or ())}: give numbers of 0 or more, one above 0",
        ),
        (
            lines.sentence_weights is not None and lines.sentence_limit is not None,
            "lines.sentence_limit does not work with lines.sentence_weights: leave one of them out",
        ),
        (
            lines.sentence_limit is not None and lines.sentence_limit < 1,
            f"lines.sentence_limit is {lines.sentence_limit}: give 1 or more, or null for all sentences",
        ),
        *(
            (
                not 0 <= item.variation <= 2,
                f"lines.labelled has the variation {item.variation}: give a number from 0 to 2",
            )
            for item in lines.labelled
        ),
        (
            any(not 0 < item.share < 1 for item in lines.labelled) or sum(item.share for item in lines.labelled) >= 1,
            f"lines.labelled has the shares {[item.share for item in lines.labelled]}: give numbers above 0 whose sum "
            "is below 1",
        ),
        (not lines.glyphs or not lines.sentences, "lines.glyphs and lines.sentences each need at least one source"),
        (any(share.weight < 0 for share in lines.glyphs), "the weights in lines.glyphs must be 0 or more"),
        (
            min(network.channels, default=0) < 1,
            f"network.channels is {list(network.channels)}: give at least one number, each 1 or more",
        ),
        (min(network.features, network.layers) < 1, "network.features and network.layers must be 1 or more"),
        (network.kernel_size < 1, f"network.kernel_size is {network.kernel_size}: give an odd number of 1 or more"),
        (
            not 0 <= training.initial_share < 1 or (training.initial_share > 0 and training.initial_weights is None),
            f"training.initial_share is {training.initial_share}: give 0 to below 1, and above 0 only with "
            "training.initial_weights",
        ),
        (not 0 <= training.ema_decay < 1, f"training.ema_decay is {training.ema_decay}: give 0 to below 1"),
        (not 0 <= network.dropout < 1, f"network.dropout is {network.dropout}: give a share from 0 to below 1"),
        (
            network.encoder == "conv" and network.stride not in (2, 4, 8, 16),
            f"network.stride is {network.stride} px: give 2, 4, 8 or 16",
        ),
        (
            network.encoder == "conv" and network.stride > 2 ** len(network.channels),
            f"network.stride is {network.stride} px, but {len(network.channels)} stages (network.channels) give at "
            f"most {2 ** len(network.channels)}: add stages or choose a smaller stride",
        ),
        (network.kernel_size % 2 == 0, f"network.kernel_size is {network.kernel_size}: give an odd number"),
    )
    for violated, message in rules:
        if violated:
            raise RecipeError(message)
    choices = {
        "lines.layout": (lines.layout, ("tiles", "overlap", "natural")),
        "lines.direction": (lines.direction, DIRECTIONS),
        "lines.normalization": (lines.normalization or "ink", ("ink", "whole", "grey")),
        "lines.unknown": (lines.unknown, ("replace", "drop", "refuse")),
        "lines.undrawn": (lines.undrawn, ("refuse", "drop")),
        "lines.punctuation": (lines.punctuation, ("written", "stripped")),
        "lines.start": (lines.start, ("head", "word", "mixed")),
        "lines.cut": (lines.cut, ("word", "character")),
        "training.validation_glyphs": (training.validation_glyphs, ("val", "train")),
        "training.precision": (training.precision, ("bf16", "fp32")),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise RecipeError(f'{name} is "{value}"; {nearest(value, allowed)}')


def recipe_from(data: Any, source: str = "the recipe") -> Recipe:
    """The recipe in plain data, such as parsed YAML or JSON.

    data: a mapping with the keys of Recipe; a missing key has its default. A glyph source or a folder of
    labelled lines may be written as a string.
    A list of one item may be written as the item. lines.length may be one number, which is then both limits.
    source: the file or object that messages about keys and types name.
    Raises RecipeError for an unknown key, a wrong type, a value out of range or a contradiction, see `Recipe`.
    """
    return dataclass_from(Recipe, data, source)


def dataclass_from(cls: type[_Settings], data: Any, source: str) -> _Settings:
    """An instance of a dataclass from a mapping in plain data, its keys and types checked as in `recipe_from`.

    Raises RecipeError for an unknown or missing key, a wrong type, and whatever the class refuses.
    """
    return typing.cast(_Settings, _build_dataclass(cls, data, "", source))


def _build_dataclass(cls: type, data: Any, path: str, source: str) -> Any:
    """An instance of `cls` from a mapping. path: dotted key of the mapping in the recipe, "" for the whole recipe."""
    if not isinstance(data, dict):
        raise RecipeError(
            f"{source}: {path or 'the whole file'} must be a mapping of keys to values, found {type(data).__name__}"
        )
    fields = {f.name: f for f in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    values = {}
    for name, value in data.items():
        key = f"{path}.{name}" if path else str(name)
        if name not in fields:
            raise RecipeError(f'{source}: no key "{key}"; {nearest(str(name), fields)}')
        values[name] = _convert(hints[name], value, key, source)
    for name, f in fields.items():
        if name not in values and f.default is f.default_factory is dataclasses.MISSING:
            raise RecipeError(f'{source}: {path or "the file"} needs the key "{name}"')
    return cls(**values)


def _convert(hint: Any, value: Any, path: str, source: str) -> Any:
    """A YAML value converted to the type of its field. Raises RecipeError where that is impossible."""
    if hint is Any:
        return value
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, path, source)
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        if arguments[-1] is Ellipsis:
            return tuple(_convert(arguments[0], item, f"{path}[{i}]", source) for i, item in enumerate(items))
        if len(items) == 1:
            items = list(items) * len(arguments)
        if len(items) != len(arguments):
            raise RecipeError(f"{source}: {path} takes {len(arguments)} values, found {len(items)}")
        return tuple(_convert(a, item, path, source) for a, item in zip(arguments, items, strict=True))
    if origin is dict:
        if not isinstance(value, dict):
            raise RecipeError(f"{source}: {path} must be a mapping of keys to values, found {value!r}")
        return {str(k): _convert(arguments[1], v, f"{path}.{k}", source) for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        if hint is GlyphShare and isinstance(value, str):
            return GlyphShare(value)
        if hint is LabelledShare and isinstance(value, str):
            return LabelledShare(value)
        return _build_dataclass(typing.cast(type, hint), value, path, source)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is not hint:
        raise RecipeError(f"{source}: {path} must be of type {hint.__name__}, found {value!r}")
    return value


def load_recipe(path: str | Path, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe file and apply changes to it.

    path: a YAML file in UTF-8. changes: `key=value` texts with dotted keys and YAML values, such as training.batch=32;
    later ones win. Raises RecipeError for a missing or unreadable file, broken YAML, a malformed change, and whatever
    `recipe_from` refuses.
    """
    data = read_yaml(path)
    for change in changes:
        key, value = parse_change(change)
        _set_key(data, key.split("."), value, change)
    return recipe_from(data, str(path))


def read_yaml(path: str | Path) -> Any:
    """The content of a recipe file as plain data, {} for an empty one. Raises RecipeError as `load_recipe` does."""
    path = Path(path)
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        available = sorted(str(p) for p in Path("recipes").glob("*.yaml"))
        raise RecipeError(f"no recipe {path}; recipes here: {', '.join(available) or 'none'}") from None
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:  # ValueError: no UTF-8, or no date
        raise RecipeError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from None


def parse_change(change: str) -> tuple[str, Any]:
    """The dotted key and the value of a text such as training.batch=32. Raises RecipeError for a malformed one."""
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise RecipeError(f'"{change}" is not a change of the recipe: write key=value, such as training.batch=32')
    try:
        return key, yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise RecipeError(f'"{change}": {value!r} is not a YAML value: check brackets and quotes') from None


def apply_changes(recipe: Recipe, changes: Mapping[str, Any], source: str) -> Recipe:
    """A recipe with other values of some keys.

    changes: dotted keys and values in plain data. source: what messages name, as in `recipe_from`. Raises RecipeError
    as `recipe_from` does.
    """
    data = recipe.to_dict()
    for key, value in changes.items():
        _set_key(data, key.split("."), value, f"{key}={value}")
    return recipe_from(data, source)


def _set_key(data: Any, keys: list[str], value: Any, change: str) -> None:
    """Set the value at a path of keys in nested mappings; a mapping that is missing is added."""
    if not isinstance(data, dict):
        raise RecipeError(f'"{change}": the recipe file is not a mapping of keys to values')
    for key in keys[:-1]:
        data = data.setdefault(key, {}) if isinstance(data, dict) else None
        if not isinstance(data, dict):
            raise RecipeError(f'"{change}": {key} is a value and holds no keys')
    data[keys[-1]] = value
