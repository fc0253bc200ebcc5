"""Recipes: they survive a round trip, and unknown keys, wrong types and contradictions are refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from glyphline.composing.layouts import LAYOUTS
from glyphline.errors import RecipeError
from glyphline.recipe import (
    RECIPE_SUFFIXES,
    GlyphShare,
    LinesRecipe,
    NetworkRecipe,
    Recipe,
    TrainingRecipe,
    load_recipe,
    recipe_from,
)

ROOT = Path(__file__).parents[1]
BUNDLED_RECIPES = sorted(
    p for p in (ROOT / "recipes").iterdir() if p.suffix in RECIPE_SUFFIXES and p.stem != "sweep"
)  # a sweep file is tested in training/test_sweep.py
SECTIONS = {"": Recipe, "lines": LinesRecipe, "network": NetworkRecipe, "training": TrainingRecipe}
KEYS = [(section, f.name) for section, kind in SECTIONS.items() for f in dataclasses.fields(kind)]

RECIPES = [
    Recipe(),
    Recipe("Ærø", "two\nlines: #1", LinesRecipe(alphabet=" אב\u00a0'\"\\")),
    Recipe(lines=LinesRecipe(glyphs=(GlyphShare("emnist/byclass", 0.25), GlyphShare("strokes")), sentence_limit=7)),
    Recipe(lines=LinesRecipe(effects={"pen": 1.0, "blur": 0.1}), training=TrainingRecipe(distinct_lines=9, seed=-1)),
    Recipe(lines=LinesRecipe(layout="tiles", length=(9, 9), pad=True, cut="character", effects={})),
    Recipe(network=NetworkRecipe(channels=(1, 2, 3, 4), stride=16), training=TrainingRecipe(learning_rate=1e-5)),
]


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text("name: own\ntraining: {batch: 8, learning_rate: 1e-3}\nlines:\n  length: [3, 9]\n")
    return path


def refusal_message(data: Any) -> str:
    """The message of the RecipeError that `recipe_from` raises."""
    with pytest.raises(RecipeError) as error:
        recipe_from(data)
    message = str(error.value)
    assert "\n" not in message
    return message


def nest(section: str, key: str, value: Any) -> dict[str, Any]:
    return {section: {key: value}} if section else {key: value}


# ---------------------------------------------------------------------- round trips


@pytest.mark.parametrize("recipe", RECIPES, ids=range(len(RECIPES)))
def test_recipe_survives_round_trip_through_dict_json_and_yaml(recipe: Recipe) -> None:
    data = recipe.to_dict()
    assert recipe_from(data) == recipe
    assert recipe_from(json.loads(json.dumps(data))) == recipe
    assert recipe_from(yaml.safe_load(recipe.to_yaml())) == recipe


@pytest.mark.parametrize("path", BUNDLED_RECIPES, ids=lambda p: p.stem)
def test_bundled_recipe_loads_and_survives_round_trip(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem and recipe.about
    assert recipe_from(recipe.to_dict()) == recipe


def test_recipe_of_the_report_is_bundled() -> None:
    assert {"seed", "natural", "tiles"} <= {path.stem for path in BUNDLED_RECIPES}
    seed = load_recipe(ROOT / "recipes" / "seed.yaml")
    assert seed.lines.length == (32, 32) and seed.lines.pad and seed.network.encoder == "patches"


def test_missing_keys_have_their_defaults() -> None:
    assert recipe_from({}) == Recipe() == recipe_from({"lines": {}, "network": {}, "training": {}})


def test_short_forms_equal_long_forms() -> None:
    assert recipe_from({"lines": {"glyphs": ["strokes"]}}).lines.glyphs == (GlyphShare("strokes", 1.0),)
    assert recipe_from({"lines": {"glyphs": "strokes"}}).lines.glyphs == (GlyphShare("strokes", 1.0),)
    assert recipe_from({"lines": {"length": 12}}).lines.length == (12, 12)
    assert recipe_from({"training": {"learning_rate": "1e-3"}}).training.learning_rate == 1e-3  # as YAML 1.1 reads it
    assert recipe_from({"training": {"gradient_clip": 2}}).training.gradient_clip == 2.0
    assert recipe_from({"lines": {"effects": None}}).lines.effects is None


# ---------------------------------------------------------------------- descriptions


@pytest.mark.parametrize("kind", [GlyphShare, *SECTIONS.values()], ids=lambda kind: kind.__name__)
def test_every_field_has_a_one_line_description_with_its_unit(kind: type[Any]) -> None:
    for setting in dataclasses.fields(kind):
        description, unit = setting.metadata["help"], setting.metadata["unit"]
        assert len(description) > 10 and description.endswith(".") and "\n" not in description, setting.name
        assert unit in description.casefold(), f"the description of {setting.name} does not state its unit {unit}"


@pytest.mark.parametrize(
    ("section", "key"),
    [("lines", "layout"), ("lines", "unknown"), ("lines", "punctuation"), ("lines", "start"), ("lines", "cut"),
     ("training", "validation_glyphs"), ("training", "precision")],
)  # fmt: skip
def test_description_names_every_choice(section: str, key: str) -> None:
    choices = refusal_message(nest(section, key, "?")).rpartition("choices: ")[2].split(", ")
    (setting,) = (f for f in dataclasses.fields(SECTIONS[section]) if f.name == key)
    assert len(choices) > 1 and all(choice in setting.metadata["help"] for choice in choices)


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_mistyped_key_is_refused_with_the_nearest(section: str, key: str) -> None:
    mistyped = key[:-1] + "_" + key[-1]
    message = refusal_message(nest(section, mistyped, 1))
    assert f'no key "{section + "." if section else ""}{mistyped}"' in message and f'did you mean "{key}"?' in message


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_value_of_a_foreign_type_is_refused(section: str, key: str) -> None:
    class ForeignType:
        pass

    assert key in refusal_message(nest(section, key, ForeignType()))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("training", "batch", "many"), ("training", "batch", 3.5), ("training", "batch", True),
     ("training", "batch", None), ("training", "gradient_clip", True),
     ("training", "gradient_clip", "fast"), ("lines", "pad", 1), ("lines", "length", [1, 2, 3]),
     ("lines", "length", ["a", "b"]), ("lines", "effects", ["pen"]), ("lines", "effects", {"pen": "often"}),
     ("lines", "glyphs", [{"sauce": "strokes"}]), ("lines", "glyphs", [7]), ("lines", "sentences", [3]),
     ("", "lines", "tiles"), ("", "lines", None), ("", "name", 7), ("network", "channels", [32, "64"])],
)  # fmt: skip
def test_wrong_type_is_refused_with_its_key(section: str, key: str, value: Any) -> None:
    assert key in refusal_message(nest(section, key, value))


@pytest.mark.parametrize("data", [None, [], "tiles", 7, [{"name": "x"}]])
def test_recipe_that_is_not_a_mapping_is_refused(data: Any) -> None:
    assert "mapping" in refusal_message(data)


CONTRADICTIONS = {
    "decreasing length": {"lines": {"length": [9, 3]}},
    "length 0": {"lines": {"length": [0, 3]}},
    "padding with a range of lengths": {"lines": {"pad": True, "cut": "character", "length": [3, 9]}},
    "padding with cut word": {"lines": {"pad": True, "length": [9, 9]}},
    "effects on tiles": {"lines": {"layout": "tiles", "effects": {"pen": 1.0}}},
    "effects on overlap": {"lines": {"layout": "overlap", "effects": {"pen": 1.0}}},
    "tiles from two sources": {"lines": {"layout": "tiles", "glyphs": ["strokes", "emnist/bymerge"]}},
    "height 8": {"lines": {"height": 8}},
    "height 500": {"lines": {"height": 500}},
    "variants 0": {"lines": {"variants": 0}},
    "batch 0": {"training": {"batch": 0}},
    "epochs 0": {"training": {"epochs": 0}},
    "epoch_lines 0": {"training": {"epoch_lines": 0}},
    "validation_lines 0": {"training": {"validation_lines": 0}},
    "learning_rate 0": {"training": {"learning_rate": 0}},
    "negative learning_rate": {"training": {"learning_rate": -1.0}},
    "ema_decay 1": {"training": {"ema_decay": 1.0}},
    "ema_decay NaN": {"training": {"ema_decay": float("nan")}},
    "initial_share 1": {"training": {"initial_share": 1.0, "initial_weights": "latin"}},
    "initial_share without initial_weights": {"training": {"initial_share": 0.5}},
    "dropout 1": {"network": {"dropout": 1.0}},
    "stride 3": {"network": {"stride": 3}},
    "too few stages for the stride": {"network": {"stride": 16, "channels": [8]}},
    "no channels": {"network": {"channels": []}},
    "even kernel_size": {"network": {"kernel_size": 4}},
    "negative jitter": {"lines": {"layout": "tiles", "jitter": -0.1}},
    "jitter on natural lines": {"lines": {"jitter": 0.5}},
    "capitals above 1": {"lines": {"capitals": 1.5}},
    "letter_spaced above 1": {"lines": {"letter_spaced": 1.5}},
    "letter_spaced with one length": {"lines": {"letter_spaced": 0.1, "length": [32, 32]}},
    "unknown layout": {"lines": {"layout": "tile"}},
    "unknown start": {"lines": {"start": "words"}},
    "unknown cut": {"lines": {"cut": "chars"}},
    "unknown precision": {"training": {"precision": "fp16"}},
}


@pytest.mark.parametrize("data", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradictions_are_refused_however_the_recipe_is_built(data: dict[str, Any]) -> None:
    assert len(refusal_message(data)) > 20
    ((section, _),) = data.items()
    with pytest.raises(RecipeError):
        Recipe(**{section: dataclasses.replace(SECTIONS[section](), **convert_lists(data[section]))})


def convert_lists(values: dict[str, Any]) -> dict[str, Any]:
    """The values as the dataclasses hold them: tuples, glyph shares."""
    out = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    if "glyphs" in out:
        out["glyphs"] = tuple(map(GlyphShare, out["glyphs"]))
    return out


OUT_OF_RANGE = {
    "learning_rate NaN": {"training": {"learning_rate": float("nan")}},
    "infinite learning_rate": {"training": {"learning_rate": float("inf")}},
    "warmup above 1": {"training": {"warmup": 5.0}},
    "negative patience": {"training": {"patience": -1}},
    "negative workers": {"training": {"workers": -1}},
    "negative weight_decay": {"training": {"weight_decay": -1.0}},
    "distinct_lines 0": {"training": {"distinct_lines": 0}},
    "sentence_limit 0": {"lines": {"sentence_limit": 0}},
    "negative sentence_limit": {"lines": {"sentence_limit": -1}},
    "no glyphs": {"lines": {"glyphs": []}},
    "no sentences": {"lines": {"sentences": []}},
    "negative glyph weight": {"lines": {"glyphs": [{"source": "strokes", "weight": -1}]}},
    "unknown value of unknown": {"lines": {"unknown": "dorp"}},
    "unknown punctuation": {"lines": {"punctuation": "striped"}},
    "a stage with 0 channels": {"network": {"channels": [32, 0, 8]}},
    "features 0": {"network": {"features": 0}},
    "layers 0": {"network": {"layers": 0}},
    "negative kernel_size": {"network": {"kernel_size": -3}},
}


@pytest.mark.parametrize("data", OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_value_out_of_range_is_refused(data: dict[str, Any]) -> None:
    refusal_message(data)


def test_every_layout_is_a_valid_choice() -> None:
    for layout in LAYOUTS:
        assert recipe_from({"lines": {"layout": layout}}).lines.layout == layout
    assert all(layout in refusal_message({"lines": {"layout": "?"}}) for layout in LAYOUTS)


# ---------------------------------------------------------------------- files and --set


def test_changes_override_the_file(recipe_file: Path) -> None:
    changes = ["training.batch=32", "lines.alphabet=digits", "network.channels=[8, 16, 32]", "name=other"]
    recipe = load_recipe(recipe_file, changes)
    assert recipe.training.batch == 32 and recipe.training.learning_rate == 1e-3
    assert recipe.lines == dataclasses.replace(LinesRecipe(), length=(3, 9), alphabet="digits")
    assert recipe.network.channels == (8, 16, 32) and recipe.name == "other"
    assert load_recipe(recipe_file).training.batch == 8  # the file is unchanged


@pytest.mark.parametrize(
    ("change", "section", "key", "value"),
    [("training.learning_rate=1e-4", "training", "learning_rate", 1e-4),
     ("lines.length=[5, 6]", "lines", "length", (5, 6)),
     ("lines.effects.pen=0.5", "lines", "effects", {"pen": 0.5}), ("lines.effects={}", "lines", "effects", {}),
     ("lines.alphabet=a=b", "lines", "alphabet", "a=b"),
     ("training.distinct_lines=null", "training", "distinct_lines", None),
     ("lines.glyphs=[emnist/byclass]", "lines", "glyphs", (GlyphShare("emnist/byclass"),))],
)  # fmt: skip
def test_change_is_parsed_as_yaml(recipe_file: Path, change: str, section: str, key: str, value: Any) -> None:
    assert getattr(getattr(load_recipe(recipe_file, [change]), section), key) == value


def test_last_change_of_a_key_wins(recipe_file: Path) -> None:
    assert load_recipe(recipe_file, ["training.batch=1", "training.batch=2"]).training.batch == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [("training.batch", "key=value"), ("=3", "key=value"), ("training.bach=3", "batch"), ("training.batch=", "batch"),
     ("name.of=3", "holds no keys"), ("training.batch.size=3", "holds no keys"), ("trainig.batch=3", "training"),
     ("training.batch=0", "batch")],
)  # fmt: skip
def test_invalid_change_is_refused(recipe_file: Path, change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(recipe_file, [change])


def test_change_that_is_not_yaml_is_refused(recipe_file: Path) -> None:
    with pytest.raises(RecipeError):
        load_recipe(recipe_file, ["network.channels=[8, 16"])


@pytest.mark.parametrize("text", ["- name: x\n", "just words\n"])
def test_change_of_a_file_that_is_not_a_mapping_is_refused(recipe_file: Path, text: str) -> None:
    recipe_file.write_text(text)
    with pytest.raises(RecipeError):
        load_recipe(recipe_file, ["name=x"])


def test_empty_file_has_the_defaults(recipe_file: Path) -> None:
    recipe_file.write_text("# nothing\n")
    assert load_recipe(recipe_file, ["name=x"]) == Recipe("x")


@pytest.mark.parametrize(
    "content", [b"a: [1", b"\xff\xfe\x00", b"a: b: c", b"!!python/object/apply:os.system [echo]", b"a: *x"]
)
def test_file_that_is_not_a_recipe_is_refused_in_one_line(recipe_file: Path, content: bytes) -> None:
    recipe_file.write_bytes(content)
    with pytest.raises(RecipeError) as error:
        load_recipe(recipe_file)
    assert str(recipe_file) in str(error.value) and "\n" not in str(error.value)


def test_missing_file_is_refused_with_the_available_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(RecipeError, match=r"recipes/seed\.yaml"):
        load_recipe("recipes/sead.yaml")
    with pytest.raises(RecipeError):
        load_recipe(tmp_path)
