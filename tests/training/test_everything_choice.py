"""Thresholds of everything-mode are chosen by what they find, and a tuned model finds what the untouched one finds, and more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.rle import rle_overlaps
from sam2_adapter.config import Config
from sam2_adapter.evaluation.proposals import Match, matched_ious
from sam2_adapter.formats.sample import Sample
from sam2_adapter.jobs.segment_image import segment_everything
from sam2_adapter.models.load import load_model
from sam2_adapter.predict.everything.thresholds import Thresholds
from sam2_adapter.predict.load import make_predictor
from sam2_adapter.training import everything_choice
from sam2_adapter.training.everything_choice import EverythingChoice, ImageMatches, choose, measure_pairs
from sam2_adapter.training.trainer import train
from tests.training.small_run import click_curve, small_config_of_run

USUAL, LOOSE, STRICT = (0.7, 0.5), (0.5, 0.5), (0.9, 0.5)


@pytest.fixture(scope="module", autouse=True)
def _all_points() -> Iterator[None]:
    with click_curve(points_per_side=16):
        yield


def matches(ious: list[float], num_found: int) -> tuple[Match, ...]:
    return tuple(Match("image", 100, (iou,), num_found) for iou in ious)


def test_the_best_of_the_pairs_that_find_no_less_is_chosen() -> None:
    found = {
        # Fewer wrong masks, but an object less.
        STRICT: matches([0.9, 0.0, 0.0], 1),
        USUAL: matches([0.9, 0.9, 0.0], 9),
        LOOSE: matches([0.9, 0.9, 0.6], 5),
    }
    chosen = choose([ImageMatches(1, found)], USUAL)
    assert chosen is not None
    assert chosen.metadata == {"pred_iou_thresh": 0.5, "stability_score_thresh": 0.5}
    assert (chosen.num_objects, chosen.num_found, chosen.num_found_before) == (3, 3, 2)
    # At IoU 0.5 to 0.6: 3 of 5; to 0.9: 2 of 6; at 0.95: none.
    assert chosen.msa == pytest.approx((3 * 3 / 5 + 6 * 2 / 6) / 10, abs=1e-4)
    assert "they find 3 of 3 objects in 1 validation image (mSA 0.380), where the usual ones find 2" in chosen.sentence


def test_of_equal_pairs_the_strictest_and_of_useless_ones_none() -> None:
    equal = {pair: matches([0.8], 1) for pair in (LOOSE, STRICT, USUAL)}
    assert choose([ImageMatches(1, equal)], USUAL).metadata["pred_iou_thresh"] == 0.9
    useless = {pair: matches([0.4], 3) for pair in (LOOSE, USUAL)}
    assert choose([ImageMatches(1, useless)], USUAL) is None


def test_the_order_of_the_images_does_not_matter() -> None:
    images = [ImageMatches(at, {USUAL: matches([0.6 + at / 10], at + 1)}) for at in range(3)]
    assert choose(images, USUAL) == choose(images[::-1], USUAL)


def crowd(path: Path, seed: int, count: int = 14, hw: tuple[int, int] = (128, 160)) -> Sample:
    """A dim, noisy picture of blurred ellipses that hardly stand out and do not overlap, as nuclei do."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: hw[0], : hw[1]] + 0.5
    light, taken, objects = np.full(hw, 70.0), np.zeros(hw, bool), []
    while len(objects) < count:
        (a, b), angle = rng.uniform(5, 11, 2), rng.uniform(0, np.pi)
        dx, dy = x - rng.uniform(10, hw[1] - 10), y - rng.uniform(10, hw[0] - 10)
        u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        reach = np.hypot(u / a, v / b)
        mask = reach < 1
        if not (taken & (reach < 1.3)).any():
            taken |= mask
            light += np.clip(1.4 - reach, 0, 0.5) * rng.uniform(40, 90)
            objects.append(Annotation.from_mask(mask, "nucleus"))
    image = np.clip(light[..., None] * (1, 0.75, 0.9) + rng.normal(0, 14, (*hw, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(image).save(path)
    return Sample(path.name, path, hw, tuple(objects))


def num_found(model: object, samples: list[Sample]) -> int:
    predictor = make_predictor(model, device="cpu", runtime="torch")
    total = 0
    for sample in samples:
        found = segment_everything(sample.image_path, model=predictor, config=Config(points_per_side=16))
        overlaps = rle_overlaps([entry.rle for entry in sample.objects], [entry.rle for entry in found.annotations])
        total += int((matched_ious(overlaps) >= 0.5).sum())
    return total


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("crowds")
    samples = [crowd(folder / f"{seed}.png", seed, count) for seed, count in enumerate((9, 9, 5, 5, 14))]
    config = small_config_of_run(num_epochs=1, learning_rate=3e-4, correction_share=0.0, save_interval=9)
    result = train(load_model("sam2_nano"), samples[:2], samples[2:4], folder / "run", config)
    return result, samples[4:]


@pytest.mark.slow
def test_a_tuned_model_finds_at_least_the_objects_that_the_untouched_one_finds(tuned) -> None:
    result, test = tuned
    model = load_model(result.model_path)
    assert isinstance(result.everything, EverythingChoice)
    assert model.everything == result.everything.metadata
    assert (result.everything.num_images, result.everything.num_objects) == (2, 10)
    assert result.everything.num_found >= result.everything.num_found_before
    assert "thresholds of everything-mode" in (result.model_path.parent / "report.html").read_text()
    before, after = num_found(load_model("sam2_nano"), test), num_found(model, test)
    assert after >= before > 0


@pytest.mark.slow
def test_a_strict_stability_keeps_what_it_keeps_without_the_loose_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = crowd(tmp_path / "crowd.png", 3, 6, (80, 96))
    predictor = make_predictor(load_model("sam2_nano"), device="cpu", runtime="torch")
    embedding = predictor.embed(sample.read_image())
    usual = Thresholds(0.65, 0.9, 1.0, 1.0, 0.7)
    among_all = measure_pairs(predictor, sample, 0, embedding, usual).by_pair
    monkeypatch.setattr(everything_choice, "_STABILITIES", ())
    alone = measure_pairs(predictor, sample, 0, embedding, usual).by_pair
    assert 1 < alone[0.3, 0.9][0].num_found < among_all[0.3, 0.3][0].num_found
    assert alone == {pair: found for pair, found in among_all.items() if pair[1] == 0.9}


@pytest.mark.slow
def test_what_is_measured_is_what_everything_mode_finds(tmp_path: Path) -> None:
    sample = crowd(tmp_path / "crowd.png", 3, 6, (80, 96))
    predictor = make_predictor(load_model("sam2_nano"), device="cpu", runtime="torch")
    embedding = predictor.embed(sample.read_image())
    measured = measure_pairs(predictor, sample, 0, embedding, Thresholds(0.65, 0.55, 1.0, 1.0, 0.7))
    loose, strict = measured.by_pair[0.3, 0.3], measured.by_pair[0.9, 0.95]
    assert measured.by_pair[0.65, 0.55][0].num_found <= loose[0].num_found
    assert strict[0].num_found < loose[0].num_found
    settings = Config(
        everything_mode="exact",
        points_per_side=16,
        pred_iou_thresh=0.3,
        stability_score_thresh=0.3,
        box_nms_thresh=1.0,
        mask_nms_thresh=0.7,
    )
    found = segment_everything(sample.image_path, model=predictor, config=settings).annotations
    assert loose[0].num_found == pytest.approx(len(found), rel=0.1)
    ious = matched_ious(rle_overlaps([entry.rle for entry in sample.objects], [entry.rle for entry in found]))
    assert sum(row.ious[0] >= 0.5 for row in loose) == pytest.approx((ious >= 0.5).sum(), abs=2)
