"""Batches of photographs, composites and generated scenes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from batches import click
from mixture import WHOLE_NOTHING, WHOLE_OBJECT, WHOLE_UNKNOWN, MixedBatches, MixturePlan

from tests.nano.photo_folders import two_folders

PLAN = MixturePlan(batch_size=3, prompts=2, small_steps=5, pool=4)


def test_a_step_is_the_same_after_resuming_and_another_on_another_process(tmp_path: Path) -> None:
    data = two_folders(tmp_path)
    first, again = (MixedBatches(PLAN, data, 10)[7] for _ in range(2))
    other = MixedBatches(PLAN, data, 10, rank=1, world_size=2)[7]
    assert all(torch.equal(first[name], again[name]) for name in first)
    reseeded = MixedBatches(replace(PLAN, seed=1), data, 10)[7]
    assert not torch.equal(first["image"], other["image"])
    assert not torch.equal(first["image"], reseeded["image"])


def test_the_input_grows_after_the_small_steps(tmp_path: Path) -> None:
    batches = MixedBatches(PLAN, two_folders(tmp_path), 10)
    small, full = batches[4], batches[5]
    assert small["image"].shape == (3, 3, 192, 192)
    assert small["targets"].shape == (3, 2, 48, 48)
    assert small["dense"].shape[2:] == small["dense_known"].shape[2:] == small["whole"].shape[1:] == (48, 48)
    assert full["image"].shape == (3, 3, 256, 256)
    assert full["targets"].shape == (3, 2, 64, 64)
    assert float(full["boxes"].max()) <= 256


def test_prompts_lie_on_their_objects(tmp_path: Path) -> None:
    batches = MixedBatches(replace(PLAN, small_steps=0), two_folders(tmp_path), 10)
    for step in range(4):
        batch = batches[step]
        for points, targets in zip(batch["points"].flatten(0, 1), batch["targets"].flatten(0, 1), strict=True):
            column, row = (int(value) // 4 for value in points)
            assert targets[row, column] > 0


def test_only_photographs_of_which_all_is_known_say_that_there_is_nothing(tmp_path: Path) -> None:
    plan = replace(PLAN, photo_share=1.0, paste_share=0.0, batch_size=8, small_steps=0)
    batches = MixedBatches(plan, two_folders(tmp_path), 10)
    kinds: list[int] = []
    for step in range(3):
        batch = batches[step]
        kinds += batch["whole_kind"].tolist()
        wanted = batch["whole"].amax((1, 2)) > 0
        assert torch.equal(wanted, batch["whole_kind"] == WHOLE_OBJECT)
        known = batch["dense_known"].mean((1, 2, 3))
        # the incompletely labelled photograph has one small object, and never says that there is none
        assert not bool(((known < 1) & (batch["whole_kind"] == WHOLE_NOTHING)).any())
    assert WHOLE_OBJECT in kinds
    assert np.isin(kinds, (WHOLE_OBJECT, WHOLE_NOTHING, WHOLE_UNKNOWN)).all()


def test_large_things_are_what_the_whole_image_means(tmp_path: Path) -> None:
    plan = replace(
        MixturePlan.for_overlap(), photo_share=0.0, composite_share=0.0, large_share=1.0, batch_size=4, prompts=1
    )
    batch = MixedBatches(plan, two_folders(tmp_path), 10)[0]
    assert batch["image"].shape == (4, 3, 256, 256)
    assert batch["whole_kind"].tolist() == [WHOLE_OBJECT] * 4
    assert torch.equal(batch["whole"] > 0, batch["targets"][:, 0] > 0)


def test_four_photographs_make_one_picture_whose_prompts_lie_on_their_objects(tmp_path: Path) -> None:
    plan = replace(
        PLAN, photo_share=1.0, photo_mosaic_share=1.0, whole_share=1.0, batch_size=4, small_steps=0, smallest_px=4
    )
    batch = MixedBatches(plan, two_folders(tmp_path), 10)[2]
    assert batch["whole_kind"].tolist() == [WHOLE_UNKNOWN] * 4
    for points, targets in zip(batch["points"].flatten(0, 1), batch["targets"].flatten(0, 1), strict=True):
        column, row = (int(value) // 4 for value in points)
        assert targets[row, column] > 0
    # The large object has 37 % of its photograph: alone in a picture it is larger than one of four can be.
    alone = MixedBatches(replace(plan, photo_mosaic_share=0.0, paste_share=0.0), two_folders(tmp_path / "alone"), 10)[2]
    largest, largest_alone = ((part["targets"] > 127).float().mean((2, 3)).max() for part in (batch, alone))
    assert largest_alone > 0.3
    assert 0.02 < largest < 0.8 * largest_alone


@pytest.mark.parametrize(("share", "always"), [(1.0, True), (0.0, False)])
def test_central_clicks_lie_where_the_object_is_deepest(share: float, always: bool) -> None:
    mask = np.zeros((64, 64), np.bool_)
    mask[10:50, 8:16] = mask[30:50, 8:40] = True  # the letter L; its foot is deeper than its stem
    rng = np.random.default_rng(1)
    clicks = np.array([click(mask, rng, share) for _ in range(60)])
    assert mask[clicks[:, 1].astype(int), clicks[:, 0].astype(int)].all()
    # The foot is 20 px wide: nine tenths of its depth of 10.5 are its middle rows.
    is_central = (clicks[:, 1] >= 38) & (clicks[:, 1] <= 41)
    assert is_central.all() == always
