"""Prompts as tensors: values that can be cut, joined and changed, and what prompts have in common."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.models.network.obeyed_clicks import obeying, values_of
from sam2_adapter.models.network.preprocess import Geometry
from sam2_adapter.models.network.prompt_tensors import PromptShape, PromptTensors, clicks_of, prompt_tensors

CLICKS = PromptTensors(torch.arange(12.0).reshape(3, 2, 2), torch.tensor([[1, 0], [1, 1], [0, 1]]))


def test_rows_and_stacking_are_inverse():
    again = PromptTensors.stack([CLICKS[:1], CLICKS[1:3]])
    assert len(CLICKS) == len(again) == 3
    assert torch.equal(again.point_coords, CLICKS.point_coords)
    assert torch.equal(again.point_labels, CLICKS.point_labels)
    assert again.box_xyxy is again.mask_input is None
    assert len(PromptTensors()) == 0


def test_map_changes_every_tensor_and_only_tensors():
    doubled = CLICKS.map(lambda part: part * 2)
    assert doubled.point_coords[2, 1].tolist() == [20, 22]
    assert doubled.point_labels.tolist() == [[2, 0], [2, 2], [0, 2]]
    assert doubled.mask_input is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"points": [[3, 4]]}, PromptShape(1, False, False, (), True)),
        ({"box": [0, 0, 40, 20]}, PromptShape(0, True, False, (), True)),
        ({"box": [0, 0, 39, 20]}, PromptShape(0, True, False, (), False)),
        ({"box": [1, 1, 9, 9], "points": [[3, 4]]}, PromptShape(1, True, False, (), False)),
        ({"points": [[3, 4], [5, 6]]}, PromptShape(2, False, False, (), False)),
    ],
)
def test_what_prompts_have_in_common(entry, expected):
    assert PromptShape.of(Prompt.from_dict(entry), (20, 40)) == expected


def test_coordinates_are_those_of_the_square():
    geometry = Geometry((20, 40), 128)
    prompt = Prompt.from_dict({"box": [10, 5, 20, 10], "points": [[20, 10]], "labels": [1]})
    tensors = prompt_tensors([prompt], PromptShape.of(prompt, (20, 40)), geometry, (32, 32))
    assert tensors.box_xyxy.tolist() == [[32, 32, 64, 64]]
    assert tensors.point_coords.tolist() == [[[64, 64]]]
    assert tensors.point_labels.dtype == torch.int64


def test_a_click_is_at_the_centre_of_its_pixel():
    prompts = [Prompt.from_dict({"points": [[x, 19.99]]}) for x in (0, 0.9, 40)]
    found = clicks_of(prompts, PromptShape.of(prompts[0], (20, 40)), Geometry((20, 40), 128))
    assert np.allclose(found.positions[:, 0, 0], [-1 + 1 / 40, -1 + 1 / 40, 1 - 1 / 40])
    assert np.allclose(found.positions[:, 0, 1], 1 - 1 / 20)
    assert found.labels.tolist() == [[1]] * 3


@pytest.mark.parametrize(
    ("entry", "labels"),
    [
        ({"box": [0, 0, 40, 20]}, None),
        ({"points": [[3, 4], [5, 6]], "labels": [1, 0]}, [[1, 0]]),
        ({"box": [1, 1, 9, 9], "points": [[3, 4]]}, [[1]]),
        ({"points": [[3, 4], [5, 6]], "labels": [1, 0], "is_refined": True}, [[1, 0]]),
        ({"box": [1, 1, 9, 9], "is_refined": True}, None),
    ],
)
def test_prompts_without_points_have_no_clicks(entry, labels):
    refined = {"mask_input": np.zeros((32, 32), np.float32)} if entry.pop("is_refined", False) else {}
    prompt = replace(Prompt.from_dict(entry), **refined)
    found = clicks_of([prompt], PromptShape.of(prompt, (20, 40)), Geometry((20, 40), 128))
    assert labels == (found if found is None else found.labels.tolist())


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("hw", [(1, 1), (3, 90), (20, 30), (64, 64), (200, 130)])
def test_the_value_at_a_click_is_that_of_the_pixel_of_the_mask(hw, resize):
    rng = np.random.default_rng(0)
    geometry = Geometry(hw, 64, resize)
    logits = rng.normal(0, 5, (1, 16, 16)).astype(np.float32)
    pixels = np.stack([rng.integers(0, hw[1], 50), rng.integers(0, hw[0], 50)], axis=1)
    prompt = Prompt(point_coords=pixels + rng.uniform(0, 0.99, (50, 2)), point_labels=[1] * 50)
    clicks = clicks_of([prompt], PromptShape.of(prompt, hw), geometry)
    values = values_of(torch.from_numpy(logits), clicks)[0].numpy()
    is_clear = np.abs(values) > 1e-3
    assert is_clear.mean() > 0.9
    is_set = geometry.logits_to_masks(logits)[0][pixels[:, 1], pixels[:, 0]]
    assert np.array_equal((values > 0)[is_clear], is_set[is_clear])


def test_with_pad_the_last_of_clicks_on_one_pixel_of_a_small_image_is_obeyed():
    geometry = Geometry((64, 64), 256, "pad")
    logits = torch.full((1, 64, 64), -8.0)
    for count in (40, 41):
        labels = [number % 2 for number in range(count)]
        prompt = Prompt(point_coords=[[19, 19]] * count, point_labels=labels)
        clicks = clicks_of([prompt], PromptShape.of(prompt, (64, 64)), geometry)
        changed = obeying(logits, clicks).numpy()
        assert geometry.logits_to_masks(changed)[0, 19, 19] == bool(labels[-1])
