"""Exact everything-mode gives what Meta's own automatic mask generator gives, on the masks that `make_everything.py` stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2_adapter.annotations.rle import Rle, mask_to_rle, rle_overlaps
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.models.engines.base import cpu_has_bf16
from sam2_adapter.models.load import load_model
from sam2_adapter.predict.everything.find import find_everything
from sam2_adapter.predict.everything.finish import Found
from sam2_adapter.predict.load import make_predictor
from sam2_adapter.predict.predictor import Predictor
from tests.golden.make_everything import CASES, TARGET, case_image, case_settings

pytestmark = pytest.mark.slow  # whole searches in fp32

LEAST_BEFORE_NMS = 50
LEAST_AFTER_NMS = 15


@pytest.fixture(scope="module")
def official() -> dict[str, np.ndarray]:
    with np.load(TARGET) as file:
        arrays = dict(file)
    assert str(arrays["weights_sha256"]) == load_model("sam2_nano").weights_sha256, (
        f"the bundled weights are others than those of {Path(TARGET).name}: make it again with tests/golden/make_everything.py"
    )
    return arrays


def ours(predictor: Predictor, name: str, official: dict[str, np.ndarray]) -> tuple[Found, ...]:
    image = case_image(name)
    iou, stability = official[f"{name}.thresholds"].tolist()
    settings = EverythingSettings(
        everything_mode="exact", pred_iou_thresh=iou, stability_score_thresh=stability, **case_settings(name)
    )
    *_, last = find_everything(predictor, image, predictor.embed(image), settings)
    return last.finished().objects


def their_masks(name: str, official: dict[str, np.ndarray]) -> list[Rle]:
    shape = tuple(official[f"{name}.shape"].tolist())
    masks = np.unpackbits(official[f"{name}.masks"], count=int(np.prod(shape))).reshape(shape).astype(bool)
    return [mask_to_rle(mask) for mask in masks]


def share_with_partner(first: list[Rle], second: list[Rle], least_iou: float) -> float:
    """Share of the masks of the side with fewer such masks that have a partner on the other side."""
    ious = rle_overlaps(first, second)
    return min(float((ious.max(axis=axis) >= least_iou).mean()) for axis in (0, 1))


@pytest.mark.parametrize("name", CASES)
def test_in_fp32_at_least_99_percent_of_the_masks_agree(name: str, official: dict[str, np.ndarray]) -> None:
    predictor = make_predictor(load_model("sam2_nano"), "cpu", "torch", "fp32")
    found = ours(predictor, name, official)
    theirs = their_masks(name, official)
    assert int(official[f"{name}.passed"]) >= LEAST_BEFORE_NMS
    assert len(theirs) >= LEAST_AFTER_NMS
    assert share_with_partner([entry.rle for entry in found], theirs, 0.99) >= 0.99
    pairs = rle_overlaps([entry.rle for entry in found], theirs)
    best = pairs.argmax(axis=1)
    for index, entry in enumerate(found):
        if pairs[index, best[index]] >= 0.99:
            assert entry.iou_score == pytest.approx(float(official[f"{name}.iou"][best[index]]), abs=1e-3)
            assert entry.stability_score == pytest.approx(float(official[f"{name}.stability"][best[index]]), abs=2e-3)
            np.testing.assert_allclose(entry.point_xy, official[f"{name}.points"][best[index]], atol=1e-2)


@pytest.mark.skipif(not cpu_has_bf16(), reason="no bf16 on this processor")
def test_in_bf16_at_least_95_percent_of_the_masks_agree(official: dict[str, np.ndarray]) -> None:
    predictor = make_predictor(load_model("sam2_nano"), "cpu", "torch", "bf16")
    name = "square"
    found = ours(predictor, name, official)
    assert share_with_partner([entry.rle for entry in found], their_masks(name, official), 0.95) >= 0.95
