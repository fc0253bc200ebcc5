"""effects: `sample` draws every random number, `apply` is a pure function of the image and these numbers."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from glyphline.composing.effects import (
    DEFAULT_EFFECT_SHARES,
    EFFECTS,
    GreyImage,
    apply_effects,
    check_effects,
    sample_effects,
)
from glyphline.errors import RecipeError

SIZES = [(1, 1), (2, 9), (9, 2), (40, 300), (130, 1200)]


def draw_line(size: tuple[int, int] = (60, 400), stage: str = "photo") -> GreyImage:
    """A line of text: dark on grey paper for the stage "photo", ink bright on 0 for the stage "ink"."""
    image = np.full(size, 190 if stage == "photo" else 0, np.uint8)
    ink = 40 if stage == "photo" else 255
    cv2.putText(image, "an effect or two", (10, size[0] * 2 // 3), cv2.FONT_HERSHEY_SIMPLEX, 1, ink, 2, cv2.LINE_AA)
    return image


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("size", SIZES)
def test_apply_is_a_pure_function_of_image_and_params(name: str, size: tuple[int, int]) -> None:
    effect = EFFECTS[name]
    for seed in range(6):
        image = draw_line(size, effect.stage)
        image.setflags(write=False)
        before = image.copy()
        params = effect.sample(np.random.default_rng(seed), (8.0, 20.0, 50.0)[seed % 3], 40.0)
        params_json = json.dumps(params)
        after = effect.apply(image, params)
        assert after.shape == size and after.dtype == np.uint8
        assert np.array_equal(image, before) and json.dumps(params) == params_json
        assert np.array_equal(effect.apply(image, params), after)
        assert np.array_equal(effect.apply(image, json.loads(params_json)), after)


@pytest.mark.parametrize("name", EFFECTS)
def test_same_seed_samples_the_same_params(name: str) -> None:
    first, second = (EFFECTS[name].sample(np.random.default_rng(5), 20.0, 30.0) for _ in (0, 1))
    assert first == second


@pytest.mark.parametrize("name", EFFECTS)
def test_effect_has_stage_and_help_and_changes_the_image(name: str) -> None:
    effect = EFFECTS[name]
    assert effect.stage in ("ink", "photo") and effect.help
    image = draw_line(stage=effect.stage)
    changed = [
        not np.array_equal(effect.apply(image, effect.sample(np.random.default_rng(seed), 20.0, 30.0)), image)
        for seed in range(10)
    ]
    assert sum(changed) >= 5


@pytest.mark.parametrize("name", [name for name in EFFECTS if name != "negative"])
def test_text_stays_visible(name: str) -> None:
    effect, image = EFFECTS[name], draw_line(stage=EFFECTS[name].stage)
    for seed in range(8):
        after = effect.apply(image, effect.sample(np.random.default_rng(seed), 20.0, 30.0))
        assert np.corrcoef(image.ravel(), after.ravel())[0, 1] > 0.3


def test_pen_leaves_no_stroke_out_and_strokes_of_a_pen_as_they_were() -> None:
    pen, line = EFFECTS["pen"], np.zeros((60, 300), np.uint8)
    line[20:50, 20:280:20] = 255  # hairlines, 1 px of an x-height of 20
    wide = np.zeros((60, 300), np.uint8)
    wide[20:50, 20:280] = np.tile(np.repeat([255, 0], [6, 14]).astype(np.uint8), 13)
    for seed in range(200):
        params = pen.sample(np.random.default_rng(seed), 20.0, 50.0)
        assert pen.apply(line, params)[25:45, 20:280:20].min() > 40, params
        ramp = (np.arange(256) / 255 - params["level"]) / params["edge"] + 0.5
        thresholded = cv2.LUT(cv2.GaussianBlur(wide, (0, 0), params["reach"]), (ramp.clip(0, 1) * 255).astype(np.uint8))
        assert np.array_equal(pen.apply(wide, params), thresholded), params


def test_negative_of_negative_is_the_image() -> None:
    negative = EFFECTS["negative"]
    once = negative.apply(draw_line(), {})
    assert np.array_equal(negative.apply(once, {}), draw_line()) and once.min() == 255 - draw_line().max()


def test_grain_depends_on_position_not_on_image_size() -> None:
    params = {"y": 500, "x": 2040, "depth": 8.0, "size": 0.0}  # the window wraps around both edges of the noise field
    whole = EFFECTS["grain"].apply(np.full((60, 60), 128, np.uint8), params)
    part = EFFECTS["grain"].apply(np.full((20, 30), 128, np.uint8), params)
    assert np.array_equal(whole[:20, :30], part) and whole.std() > 1


# ---------------------------------------------------------------------- sampling by share


def test_share_0_gives_no_effect_and_share_1_all() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        assert sample_effects({}, rng, 20.0, 30.0) == sample_effects(dict.fromkeys(EFFECTS, 0.0), rng, 20.0, 30.0) == []
        sampled = sample_effects(dict.fromkeys(EFFECTS, 1.0), rng, 20.0, 30.0)
        assert [name for name, _ in sampled] == list(EFFECTS)  # in the order of the table


def test_share_is_the_fraction_of_lines_with_the_effect() -> None:
    rng = np.random.default_rng(0)
    names = [name for _ in range(600) for name, _ in sample_effects({"jpeg": 0.25, "negative": 0.75}, rng, 20.0, 30.0)]
    assert names.count("jpeg") / 600 == pytest.approx(0.25, abs=0.06)
    assert names.count("negative") / 600 == pytest.approx(0.75, abs=0.06)


def test_order_of_shares_does_not_matter() -> None:
    forward = sample_effects(DEFAULT_EFFECT_SHARES, np.random.default_rng(3), 20.0, 30.0)
    backward = sample_effects(dict(reversed(DEFAULT_EFFECT_SHARES.items())), np.random.default_rng(3), 20.0, 30.0)
    assert forward == backward


def test_only_effects_of_the_stage_are_applied() -> None:
    sampled = sample_effects(dict.fromkeys(EFFECTS, 1.0), np.random.default_rng(0), 20.0, 30.0)
    sampled_by_stage = {
        stage: [(name, params) for name, params in sampled if EFFECTS[name].stage == stage]
        for stage in ("ink", "photo")
    }
    assert all(sampled_by_stage.values())
    for stage, sampled_of_stage in sampled_by_stage.items():
        image = draw_line(stage=stage)
        assert np.array_equal(apply_effects(image, sampled, stage), apply_effects(image, sampled_of_stage, stage))
        expected = image
        for name, params in sampled_of_stage:
            expected = EFFECTS[name].apply(expected, params)
        assert np.array_equal(apply_effects(image, sampled, stage), expected)
    assert apply_effects(draw_line(), [], "photo").tobytes() == draw_line().tobytes()


def test_default_shares_cover_all_effects_but_those_of_signs() -> None:
    check_effects(DEFAULT_EFFECT_SHARES)
    assert set(EFFECTS) - set(DEFAULT_EFFECT_SHARES) == {"hollow", "shadow", "texture"}


def test_effect_that_is_not_named_draws_no_number() -> None:
    """So that a new effect changes no line of a recipe without it."""
    rng, other = np.random.default_rng(4), np.random.default_rng(4)
    assert sample_effects({}, rng, 20.0, 30.0) == [] and rng.random() == other.random()


def test_unknown_effect_and_share_outside_0_to_1_are_refused() -> None:
    with pytest.raises(RecipeError, match='no effect "blurr"; did you mean "blur"'):
        check_effects({"blurr": 0.1})
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(RecipeError, match="from 0 to 1"):
            check_effects({"blur": share})


def test_rule_is_often_near_the_baseline() -> None:
    rng, x_height, baseline = np.random.default_rng(0), 20.0, 47.0
    lines_on_rule = 0
    for _ in range(300):
        params = EFFECTS["ruled"].sample(rng, x_height, baseline)
        rules = (np.arange(-1, 60) + params["phase"]) * params["pitch"]
        lines_on_rule += bool(np.abs(rules - baseline).min() < 0.25 * x_height)
    assert 0.55 < lines_on_rule / 300 < 0.95
