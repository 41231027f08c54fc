"""First prompts for training: every kind for every mask."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.annotations.prompt_sampling import (
    PromptKind,
    draw_kind,
    jitter_box,
    sample_box,
    sample_negative_points,
    sample_prompt,
)
from sam2_adapter.config import Config
from sam2_adapter.errors import ConfigError
from tests.annotations.test_clicks import ANY_MASK, MASK, is_set
from tests.formats.folders import rectangle

KINDS = get_args(PromptKind)


@given(MASK, st.sampled_from(KINDS), st.integers(0, 50), st.floats(0.1, 50))
def test_every_kind_works_for_every_mask(mask, kind, seed, scale):
    prompt = sample_prompt(mask, kind, np.random.default_rng(seed), input_scale=(scale, scale))
    prompt.fitted_to(mask.shape)
    assert (prompt.box_xyxy is not None) == (kind in ("box", "tight_box", "box_and_clicks"))
    assert len(prompt.point_coords) == 1 or kind not in ("click", "centre_click")
    for (x, y), label in zip(prompt.point_coords, prompt.point_labels, strict=True):
        assert is_set(mask, x, y) == label


@given(ANY_MASK, st.integers(0, 50), st.floats(0, 5), st.floats(0, 1))
def test_negative_points_lie_outside(mask, seed, band_px, near_share):
    points = sample_negative_points(mask, np.random.default_rng(seed), 5, band_px=band_px, near_share=near_share)
    assert points.shape == (0 if mask.all() else 5, 2)
    assert not any(is_set(mask, x, y) for x, y in points)


@given(MASK, st.sampled_from(KINDS), st.integers(0, 50))
def test_no_point_falls_on_ignored_pixels(mask, kind, seed):
    ignored = ~mask
    ignored[::3] = False
    prompt = sample_prompt(mask, kind, np.random.default_rng(seed), ignored=ignored)
    assert not any(is_set(ignored, x, y) for x, y in prompt.point_coords)
    everywhere = sample_prompt(mask, kind, np.random.default_rng(seed), ignored=~mask)
    assert (everywhere.point_labels == 1).all()


def test_negative_points_come_from_the_band_and_from_beyond():
    mask = rectangle(10, 10, 20, 20, (100, 100))

    def distances(near_share):
        points = sample_negative_points(mask, np.random.default_rng(0), 400, band_px=3, near_share=near_share)
        beyond = np.maximum(np.maximum(10.5 - points, points - 19.5), 0)
        return np.hypot(beyond[:, 0], beyond[:, 1])

    assert distances(1.0).max() <= 3
    assert distances(0.0).min() > 3
    assert np.mean(distances(0.5) <= 3) == pytest.approx(0.5, abs=0.1)


@given(MASK, st.integers(0, 50), st.floats(0, 0.49))
def test_jittered_boxes_are_never_empty_and_stay_near(mask, seed, jitter):
    tight = sample_box(mask, np.random.default_rng(0), jitter=0)
    x0, y0, x1, y1 = sample_box(mask, np.random.default_rng(seed), jitter=jitter)
    height, width = mask.shape
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    limits = np.array([tight[2] - tight[0], tight[3] - tight[1]] * 2) * jitter + 1e-9
    assert (np.abs(np.subtract((x0, y0, x1, y1), tight)) <= limits).all()


def test_the_tight_box_touches_the_mask():
    assert sample_box(rectangle(3, 4, 10, 6), np.random.default_rng(0), jitter=0) == (3, 4, 10, 6)


def test_jitter_is_limited_in_pixels_of_the_models_input():
    boxes = [
        jitter_box((200, 300, 700, 800), (1000, 1000), np.random.default_rng(seed), input_scale=(1.0, 0.5))
        for seed in range(300)
    ]
    shifts = np.abs(np.array(boxes) - (200, 300, 700, 800)).max(axis=0)
    assert (shifts <= (20, 40, 20, 40)).all()
    assert (shifts > (19, 38, 19, 38)).all()


def test_jitter_that_could_empty_a_box_is_refused():
    with pytest.raises(ConfigError, match=r"at least 0 and below 0\.5 of its size, but got 0\.5"):
        jitter_box((0, 0, 4, 4), (8, 8), np.random.default_rng(0), jitter=0.5)


def test_a_mix_draws_its_kinds_as_often_as_asked():
    rng = np.random.default_rng(0)
    drawn = [draw_kind(replace(Config().prompt_mix, box=3, click=1), rng) for _ in range(1000)]
    assert set(drawn) == {"box", "click"}
    assert drawn.count("box") == pytest.approx(750, abs=60)
