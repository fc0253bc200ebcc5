"""Recipes: what is written is what is read, and nothing unknown or contradicting passes in silence."""

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
    ENDINGS,
    GlyphShare,
    LinesRecipe,
    NetworkRecipe,
    Recipe,
    TrainingRecipe,
    load_recipe,
    recipe_from,
)

ROOT = Path(__file__).parents[1]
OURS = sorted(p for p in (ROOT / "recipes").iterdir() if p.suffix in ENDINGS)
PARTS = {"": Recipe, "lines": LinesRecipe, "network": NetworkRecipe, "training": TrainingRecipe}
KEYS = [(part, f.name) for part, kind in PARTS.items() for f in dataclasses.fields(kind)]

RECIPES = [
    Recipe(),
    Recipe("Ærø", "two\nlines: #1", LinesRecipe(alphabet=" אב\u00a0'\"\\")),
    Recipe(lines=LinesRecipe(glyphs=(GlyphShare("emnist/byclass", 0.25), GlyphShare("strokes")), sentence_limit=7)),
    Recipe(lines=LinesRecipe(effects={"pen": 1.0, "blur": 0.1}), training=TrainingRecipe(distinct_lines=9, seed=-1)),
    Recipe(lines=LinesRecipe(layout="tiles", length=(9, 9), pad=True, cut="character", effects={})),
    Recipe(network=NetworkRecipe(channels=(1, 2, 3, 4), stride=16), training=TrainingRecipe(learning_rate=1e-5)),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text("name: own\ntraining: {batch: 8, learning_rate: 1e-3}\nlines:\n  length: [3, 9]\n")
    return path


def refused(data: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe_from(data)
    message = str(caught.value)
    assert "\n" not in message
    return message


def nested(part: str, key: str, value: Any) -> dict[str, Any]:
    return {part: {key: value}} if part else {key: value}


# ---------------------------------------------------------------------- there and back


@pytest.mark.parametrize("recipe", RECIPES, ids=range(len(RECIPES)))
def test_a_recipe_comes_back_from_plain_data_from_json_and_from_yaml(recipe: Recipe) -> None:
    said = recipe.to_dict()
    assert recipe_from(said) == recipe
    assert recipe_from(json.loads(json.dumps(said))) == recipe
    assert recipe_from(yaml.safe_load(recipe.to_yaml())) == recipe


@pytest.mark.parametrize("path", OURS, ids=lambda p: p.stem)
def test_the_recipes_we_ship_load_and_come_back(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem and recipe.about
    assert recipe_from(recipe.to_dict()) == recipe


def test_the_report_s_recipe_is_here() -> None:
    assert {"seed", "natural", "tiles"} <= {path.stem for path in OURS}
    seed = load_recipe(ROOT / "recipes" / "seed.yaml")
    assert seed.lines.length == (32, 32) and seed.lines.pad and seed.network.encoder == "patches"


def test_nothing_said_means_the_defaults() -> None:
    assert recipe_from({}) == Recipe() == recipe_from({"lines": {}, "network": {}, "training": {}})


def test_short_ways_to_write_mean_the_long_ones() -> None:
    assert recipe_from({"lines": {"glyphs": ["strokes"]}}).lines.glyphs == (GlyphShare("strokes", 1.0),)
    assert recipe_from({"lines": {"glyphs": "strokes"}}).lines.glyphs == (GlyphShare("strokes", 1.0),)
    assert recipe_from({"lines": {"length": 12}}).lines.length == (12, 12)
    assert recipe_from({"training": {"learning_rate": "1e-3"}}).training.learning_rate == 1e-3  # as YAML 1.1 reads it
    assert recipe_from({"training": {"gradient_clip": 2}}).training.gradient_clip == 2.0
    assert recipe_from({"lines": {"effects": None}}).lines.effects is None


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(("part", "key"), KEYS)
def test_a_mistyped_key_is_told_the_nearest(part: str, key: str) -> None:
    wrong = key[:-1] + "_" + key[-1]
    message = refused(nested(part, wrong, 1))
    assert f'no key "{part + "." if part else ""}{wrong}"' in message and f'did you mean "{key}"?' in message


@pytest.mark.parametrize(("part", "key"), KEYS)
def test_no_key_takes_a_thing_of_another_type(part: str, key: str) -> None:
    class Odd:
        pass

    assert key in refused(nested(part, key, Odd()))


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [("training", "batch", "many"), ("training", "batch", 3.5), ("training", "batch", True),
     ("training", "batch", None), ("training", "clip", True),
     ("training", "clip", "fast"), ("lines", "pad", 1), ("lines", "length", [1, 2, 3]),
     ("lines", "length", ["a", "b"]), ("lines", "effects", ["pen"]), ("lines", "effects", {"pen": "often"}),
     ("lines", "glyphs", [{"sauce": "strokes"}]), ("lines", "glyphs", [7]), ("lines", "sentences", [3]),
     ("", "lines", "tiles"), ("", "lines", None), ("", "name", 7), ("network", "channels", [32, "64"])],
)  # fmt: skip
def test_a_wrong_type_is_named_with_its_place(part: str, key: str, value: Any) -> None:
    assert key in refused(nested(part, key, value))


@pytest.mark.parametrize("data", [None, [], "tiles", 7, [{"name": "x"}]])
def test_a_recipe_is_a_mapping(data: Any) -> None:
    assert "mapping" in refused(data)


CONTRADICTIONS = {
    "a length from more to less": {"lines": {"length": [9, 3]}},
    "no length": {"lines": {"length": [0, 3]}},
    "padding to a range": {"lines": {"pad": True, "cut": "character", "length": [3, 9]}},
    "padding to whole words": {"lines": {"pad": True, "length": [9, 9]}},
    "effects on tiles": {"lines": {"layout": "tiles", "effects": {"pen": 1.0}}},
    "effects on overlapping tiles": {"lines": {"layout": "overlap", "effects": {"pen": 1.0}}},
    "tiles of two sources": {"lines": {"layout": "tiles", "glyphs": ["strokes", "emnist/bymerge"]}},
    "a line of 8 px": {"lines": {"height": 8}},
    "a line of 500 px": {"lines": {"height": 500}},
    "no variant": {"lines": {"variants": 0}},
    "a batch of none": {"training": {"batch": 0}},
    "no epoch": {"training": {"epochs": 0}},
    "epochs without lines": {"training": {"epoch_lines": 0}},
    "no validation": {"training": {"validation_lines": 0}},
    "no learning": {"training": {"learning_rate": 0}},
    "learning backwards": {"training": {"learning_rate": -1.0}},
    "an average that never moves": {"training": {"ema_decay": 1.0}},
    "an average that is no number": {"training": {"ema_decay": float("nan")}},
    "everything dropped": {"network": {"dropout": 1.0}},
    "a stride of 3": {"network": {"stride": 3}},
    "too few stages for the stride": {"network": {"stride": 16, "channels": [8]}},
    "no stage": {"network": {"channels": []}},
    "a reach without a middle": {"network": {"kernel_size": 4}},
    "a negative jitter": {"lines": {"layout": "tiles", "jitter": -0.1}},
    "jitter of natural lines": {"lines": {"jitter": 0.5}},
    "capitals beyond all lines": {"lines": {"capitals": 1.5}},
    "more spelled than all lines": {"lines": {"letter_spaced": 1.5}},
    "spelled lines of one length": {"lines": {"letter_spaced": 0.1, "length": [32, 32]}},
    "an unknown layout": {"lines": {"layout": "tile"}},
    "an unknown start": {"lines": {"start": "words"}},
    "an unknown cut": {"lines": {"cut": "chars"}},
    "an unknown precision": {"training": {"precision": "fp16"}},
}


@pytest.mark.parametrize("data", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradictions_are_refused_in_a_sentence(data: dict[str, Any]) -> None:
    assert len(refused(data)) > 20
    ((part, _),) = data.items()
    with pytest.raises(RecipeError):  # however the recipe is made
        Recipe(**{part: dataclasses.replace(PARTS[part](), **_tuples(data[part]))})


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    out = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    if "glyphs" in out:
        out["glyphs"] = tuple(map(GlyphShare, out["glyphs"]))
    return out


SILENT = {
    "a learning rate that is no number": {"training": {"learning_rate": float("nan")}},
    "an endless learning rate": {"training": {"learning_rate": float("inf")}},
    "a warm-up five times the run": {"training": {"warmup": 5.0}},
    "less than no patience": {"training": {"patience": -1}},
    "less than no worker": {"training": {"workers": -1}},
    "a negative decay": {"training": {"weight_decay": -1.0}},
    "no distinct line": {"training": {"distinct_lines": 0}},
    "no sentence": {"lines": {"sentence_limit": 0}},
    "all but one sentence": {"lines": {"sentence_limit": -1}},
    "no glyphs": {"lines": {"glyphs": []}},
    "no sentences": {"lines": {"sentences": []}},
    "a negative weight": {"lines": {"glyphs": [{"source": "strokes", "weight": -1}]}},
    "an unknown treatment of unknowns": {"lines": {"unknown": "dorp"}},
    "an unknown punctuation": {"lines": {"punctuation": "striped"}},
    "a stage without channels": {"network": {"channels": [32, 0, 8]}},
    "no features": {"network": {"features": 0}},
    "no layer": {"network": {"layers": 0}},
    "a reach of less than one": {"network": {"kernel_size": -3}},
}


@pytest.mark.parametrize("data", SILENT.values(), ids=SILENT)
def test_these_are_refused_too(data: dict[str, Any]) -> None:
    refused(data)


def test_every_layout_there_is_can_be_asked_for() -> None:
    for layout in LAYOUTS:
        assert recipe_from({"lines": {"layout": layout}}).lines.layout == layout
    assert all(layout in refused({"lines": {"layout": "?"}}) for layout in LAYOUTS)


# ---------------------------------------------------------------------- files and --set


def test_changes_lie_over_the_file(file: Path) -> None:
    sets = ["training.batch=32", "lines.alphabet=digits", "network.channels=[8, 16, 32]", "name=other"]
    recipe = load_recipe(file, sets)
    assert recipe.training.batch == 32 and recipe.training.learning_rate == 1e-3
    assert recipe.lines == dataclasses.replace(LinesRecipe(), length=(3, 9), alphabet="digits")
    assert recipe.network.channels == (8, 16, 32) and recipe.name == "other"
    assert load_recipe(file).training.batch == 8  # the file is as it was


@pytest.mark.parametrize(
    ("change", "part", "key", "value"),
    [("training.learning_rate=1e-4", "training", "learning_rate", 1e-4),
     ("lines.length=[5, 6]", "lines", "length", (5, 6)),
     ("lines.effects.pen=0.5", "lines", "effects", {"pen": 0.5}), ("lines.effects={}", "lines", "effects", {}),
     ("lines.alphabet=a=b", "lines", "alphabet", "a=b"),
     ("training.distinct_lines=null", "training", "distinct_lines", None),
     ("lines.glyphs=[emnist/byclass]", "lines", "glyphs", (GlyphShare("emnist/byclass"),))],
)  # fmt: skip
def test_a_change_is_read_as_yaml(file: Path, change: str, part: str, key: str, value: Any) -> None:
    assert getattr(getattr(load_recipe(file, [change]), part), key) == value


def test_the_last_change_wins(file: Path) -> None:
    assert load_recipe(file, ["training.batch=1", "training.batch=2"]).training.batch == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [("training.batch", "key=value"), ("=3", "key=value"), ("training.bach=3", "batch"), ("training.batch=", "batch"),
     ("name.of=3", "holds no keys"), ("training.batch.size=3", "holds no keys"), ("trainig.batch=3", "training"),
     ("training.batch=0", "batch")],
)  # fmt: skip
def test_a_change_that_does_not_fit_is_told(file: Path, change: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load_recipe(file, [change])


def test_a_change_that_is_no_yaml_is_told(file: Path) -> None:
    with pytest.raises(RecipeError):
        load_recipe(file, ["network.channels=[8, 16"])


@pytest.mark.parametrize("text", ["- name: x\n", "just words\n"])
def test_a_change_to_a_file_that_is_no_mapping_is_told(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(RecipeError):
        load_recipe(file, ["name=x"])


def test_an_empty_file_is_the_defaults(file: Path) -> None:
    file.write_text("# nothing\n")
    assert load_recipe(file, ["name=x"]) == Recipe("x")


@pytest.mark.parametrize(
    "content", [b"a: [1", b"\xff\xfe\x00", b"a: b: c", b"!!python/object/apply:os.system [echo]", b"a: *x"]
)
def test_files_that_are_no_recipe(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        load_recipe(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_told_the_recipes_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(RecipeError, match=r"recipes/seed\.yaml"):
        load_recipe("recipes/sead.yaml")
    with pytest.raises(RecipeError):
        load_recipe(tmp_path)
