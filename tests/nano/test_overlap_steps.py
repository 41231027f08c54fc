"""Steps of the third part of the bundled model's training and of those after it."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from mixture import MixedBatches, MixturePlan
from recipes import LOSSES, Recipe
from train import Run

from tests.nano.photo_folders import two_folders

pytestmark = pytest.mark.slow  # steps of a real training

WEIGHTS = Path(str(files("sam2_adapter").joinpath("assets", "sam2_nano.safetensors")))
PLAN = replace(MixturePlan.for_overlap(), batch_size=1, small_size=128, small_steps=10, pool=4)


def test_the_decoder_learns_the_encoder_does_not_and_channels_left_out_make_it_harder(tmp_path: Path) -> None:
    batch = MixedBatches(PLAN, two_folders(tmp_path), 10)[3]
    errors = []
    for share in (0.0, 0.8):
        run = Run(replace(Recipe.for_overlap(), feature_dropout=share), PLAN, tmp_path)
        run.start_from(WEIGHTS)
        before = {name: value.clone() for name, value in run.trainer.model.state_dict().items()}
        errors.append(run.train_step(batch)["box"])
        changed = {
            name for name, value in run.trainer.model.state_dict().items() if not torch.equal(value, before[name])
        }
        assert any(name.startswith("mask_decoder.") for name in changed)
        assert not any(name.startswith("vision_encoder.") for name in changed)
    assert errors[1] > 1.1 * errors[0], errors


def test_a_run_with_another_seed_keeps_the_frequencies_of_its_first_weights(
    tmp_path: Path,
) -> None:
    batch = MixedBatches(PLAN, two_folders(tmp_path), 10)[3]
    errors = []
    for seed in (0, 1):
        run = Run(replace(Recipe.for_overlap(), seed=seed), PLAN, tmp_path)
        run.start_from(WEIGHTS)
        errors.append(run.train_step(batch)["box"])
    # What is drawn in a step leaves the boxes alone: the same weights make the same error.
    assert abs(errors[0] - errors[1]) < 1e-3


def test_the_fourth_part_trains_the_encoder_too_and_has_pictures_of_cells(tmp_path: Path) -> None:
    plan = replace(
        MixturePlan.for_all(), batch_size=1, small_size=128, pool=4, cell_share=1.0, photo_share=0.0, large_share=0.0
    )
    batch = MixedBatches(plan, two_folders(tmp_path), 10)[3]
    assert len(batch["targets"][0]) == plan.prompts
    run = Run(Recipe.for_all(), plan, tmp_path)
    run.start_from(WEIGHTS)
    before = {name: value.clone() for name, value in run.trainer.model.state_dict().items()}
    told = run.train_step(batch)
    assert "dense" in told
    assert told["obey"] == 0
    changed = {name for name, value in run.trainer.model.state_dict().items() if not torch.equal(value, before[name])}
    for part in ("vision_encoder.", "mask_decoder."):
        assert any(name.startswith(part) for name in changed)


def test_the_fifth_part_learns_to_obey_clicks(tmp_path: Path) -> None:
    plan = replace(MixturePlan.for_clicks(), batch_size=1, small_size=128, pool=4)
    assert (plan.prompts, plan.small_steps) == (4, 1300)
    run = Run(Recipe.for_clicks(), plan, tmp_path)
    run.start_from(WEIGHTS)
    told = run.train_step(MixedBatches(plan, two_folders(tmp_path), 10)[3])
    assert told["obey"] > 0
    assert 0 < told["obeyed"] <= 1


def test_in_the_sixth_part_first_clicks_and_the_whole_image_count_more(tmp_path: Path) -> None:
    plan = replace(
        MixturePlan.for_choices(), batch_size=2, small_size=128, pool=4, photo_share=0.0, large_share=1.0, cell_share=0
    )
    batch = MixedBatches(plan, two_folders(tmp_path), 10)[3]
    told = {}
    for judged in ("obeying", "choosing"):
        run = Run(replace(Recipe.for_choices(), judged=judged), plan, tmp_path)
        run.start_from(WEIGHTS)
        told[judged] = run.train_step(batch)
    before, now = told["obeying"], told["choosing"]
    weights = LOSSES["choosing"]
    assert now["click"] == pytest.approx(weights.click_weight * before["click"])
    assert now["whole"] == pytest.approx(weights.whole_weight / LOSSES["obeying"].whole_weight * before["whole"])
    assert now["box"] == pytest.approx(before["box"])
