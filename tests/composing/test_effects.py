"""Effects: every random number is drawn first, and what is drawn decides the image."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from glyphline.composing.effects import (
    EFFECTS,
    USUAL,
    GreyImage,
    apply_effects,
    check_effects,
    sample_effects,
)
from glyphline.errors import RecipeError

SIZES = [(1, 1), (2, 9), (9, 2), (40, 300), (130, 1200)]


def line(size: tuple[int, int] = (60, 400), stage: str = "photo") -> GreyImage:
    """Writing on grey paper, or bare ink bright on 0."""
    image = np.full(size, 190 if stage == "photo" else 0, np.uint8)
    ink = 40 if stage == "photo" else 255
    cv2.putText(image, "an effect or two", (10, size[0] * 2 // 3), cv2.FONT_HERSHEY_SIMPLEX, 1, ink, 2, cv2.LINE_AA)
    return image


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("size", SIZES)
def test_an_effect_is_a_pure_function_of_what_was_drawn(name: str, size: tuple[int, int]) -> None:
    effect = EFFECTS[name]
    for seed in range(6):
        image = line(size, effect.stage)
        image.setflags(write=False)
        before = image.copy()
        params = effect.sample(np.random.default_rng(seed), (8.0, 20.0, 50.0)[seed % 3], 40.0)
        said = json.dumps(params)
        after = effect.apply(image, params)
        assert after.shape == size and after.dtype == np.uint8
        assert np.array_equal(image, before) and json.dumps(params) == said
        assert np.array_equal(effect.apply(image, params), after)
        assert np.array_equal(effect.apply(image, json.loads(said)), after)  # a record redraws the line


@pytest.mark.parametrize("name", EFFECTS)
def test_the_same_seed_draws_the_same_numbers(name: str) -> None:
    one, two = (EFFECTS[name].sample(np.random.default_rng(5), 20.0, 30.0) for _ in (0, 1))
    assert one == two


@pytest.mark.parametrize("name", EFFECTS)
def test_an_effect_has_a_stage_and_help_and_does_something(name: str) -> None:
    effect = EFFECTS[name]
    assert effect.stage in ("ink", "photo") and effect.help
    image = line(stage=effect.stage)
    changed = [
        not np.array_equal(effect.apply(image, effect.sample(np.random.default_rng(seed), 20.0, 30.0)), image)
        for seed in range(10)
    ]
    assert sum(changed) >= 5


@pytest.mark.parametrize("name", [n for n, e in EFFECTS.items() if n != "negative"])
def test_the_writing_survives(name: str) -> None:
    effect, image = EFFECTS[name], line(stage=EFFECTS[name].stage)
    for seed in range(8):
        after = effect.apply(image, effect.sample(np.random.default_rng(seed), 20.0, 30.0))
        assert np.corrcoef(image.ravel(), after.ravel())[0, 1] > 0.3


def test_a_negative_of_a_negative_is_the_picture() -> None:
    negative = EFFECTS["negative"]
    once = negative.apply(line(), {})
    assert np.array_equal(negative.apply(once, {}), line()) and once.min() == 255 - line().max()


def test_a_fixed_grain_gives_the_same_window_anywhere() -> None:
    params = {"y": 500, "x": 2040, "depth": 8.0, "size": 0.0}  # wraps around both edges
    whole = EFFECTS["grain"].apply(np.full((60, 60), 128, np.uint8), params)
    part = EFFECTS["grain"].apply(np.full((20, 30), 128, np.uint8), params)
    assert np.array_equal(whole[:20, :30], part) and whole.std() > 1


# ---------------------------------------------------------------------- choosing


def test_shares_of_nothing_and_of_all() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        assert sample_effects({}, rng, 20.0, 30.0) == sample_effects(dict.fromkeys(EFFECTS, 0.0), rng, 20.0, 30.0) == []
        chosen = sample_effects(dict.fromkeys(EFFECTS, 1.0), rng, 20.0, 30.0)
        assert [name for name, _ in chosen] == list(EFFECTS)  # in the order of the table


def test_a_share_is_the_share_of_the_lines() -> None:
    rng = np.random.default_rng(0)
    visits = [name for _ in range(600) for name, _ in sample_effects({"jpeg": 0.25, "negative": 0.75}, rng, 20.0, 30.0)]
    assert visits.count("jpeg") / 600 == pytest.approx(0.25, abs=0.06)
    assert visits.count("negative") / 600 == pytest.approx(0.75, abs=0.06)


def test_the_order_of_a_recipe_does_not_matter() -> None:
    there = sample_effects(USUAL, np.random.default_rng(3), 20.0, 30.0)
    back = sample_effects(dict(reversed(USUAL.items())), np.random.default_rng(3), 20.0, 30.0)
    assert there == back


def test_each_stage_applies_its_own() -> None:
    chosen = sample_effects(dict.fromkeys(EFFECTS, 1.0), np.random.default_rng(0), 20.0, 30.0)
    stages = {stage: [c for c in chosen if EFFECTS[c[0]].stage == stage] for stage in ("ink", "photo")}
    assert all(stages.values())
    for stage, own in stages.items():
        image = line(stage=stage)
        assert np.array_equal(apply_effects(image, chosen, stage), apply_effects(image, own, stage))
        expected = image
        for name, params in own:
            expected = EFFECTS[name].apply(expected, params)
        assert np.array_equal(apply_effects(image, chosen, stage), expected)
    assert apply_effects(line(), [], "photo").tobytes() == line().tobytes()


def test_the_usual_shares_are_shares_of_effects_there_are() -> None:
    check_effects(USUAL)
    assert set(USUAL) == set(EFFECTS)


def test_unknown_effects_and_impossible_shares_are_refused() -> None:
    with pytest.raises(RecipeError, match='no effect "blurr"; did you mean "blur"'):
        check_effects({"blurr": 0.1})
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(RecipeError, match="from 0 to 1"):
            check_effects({"blur": share})


def test_ruled_lines_are_often_written_on() -> None:
    rng, x, baseline = np.random.default_rng(0), 20.0, 47.0
    on = 0
    for _ in range(300):
        params = EFFECTS["ruled"].sample(rng, x, baseline)
        lines = (np.arange(-1, 60) + params["phase"]) * params["pitch"]
        on += bool(np.abs(lines - baseline).min() < 0.25 * x)
    assert 0.55 < on / 300 < 0.95
