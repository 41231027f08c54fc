"""Our model and predictor give what Meta's own package gives, on the outputs that `make_golden.py` stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sam2_adapter.models.families.architectures import architecture_from_dict
from sam2_adapter.models.load import load_model
from sam2_adapter.models.weights.checks import expected_shapes
from sam2_adapter.models.weights.tensor_files import write_torch_file
from sam2_adapter.predict.load import make_predictor
from sam2_adapter.predict.predictor import Predictor
from tests.golden.compare import mask_iou, our_outputs
from tests.golden.seeded import (
    IMAGE_SIZES,
    PROMPT_KINDS,
    SMALL_ARCHITECTURE,
    checksum,
    seeded_image,
    seeded_prompt,
    seeded_weights,
)

HERE = Path(__file__).parent
ARCHITECTURE = architecture_from_dict(SMALL_ARCHITECTURE)

# As in make_golden.py, which cannot be imported here: it needs the official package.
PIXEL_STRIDE = 8
MAP_STRIDE = 2

PIXEL_TOLERANCE = 1e-5
EMBEDDING_TOLERANCE = 1e-3
LOGIT_TOLERANCE = 1e-3
IOU_SCORE_TOLERANCE = 1e-4
LEAST_MASK_IOU = 0.999

CASES = [f"{kind}.{outputs}" for kind in PROMPT_KINDS for outputs in ("multi", "single")]


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return seeded_weights(expected_shapes(ARCHITECTURE, "meta", with_video=True), bold=True)


@pytest.fixture(scope="module")
def predictor(weights: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """Loaded as a user would load Meta's file."""
    path = tmp_path_factory.mktemp("golden") / "golden.pt"
    model = {name: torch.from_numpy(values) for name, values in weights.items()}
    write_torch_file(path, {"model": model, "format_version": 1, "architecture": ARCHITECTURE.to_dict()})
    return make_predictor(load_model(path), device="cpu", runtime="torch", precision="fp32")


@pytest.fixture(scope="module", params=IMAGE_SIZES)
def outputs(
    request: pytest.FixtureRequest, predictor: Predictor
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The official outputs, thinned out, and ours."""
    name, hw = request.param, IMAGE_SIZES[request.param]
    with np.load(HERE / f"{name}.npz") as file:
        official = dict(file)
    prompts = {kind: seeded_prompt(kind, name, hw, ARCHITECTURE.low_res_mask_size) for kind in PROMPT_KINDS}
    return official, our_outputs(predictor, seeded_image(name, hw), prompts)


def test_both_sides_have_the_same_weights(
    weights: dict[str, np.ndarray], outputs: tuple[dict[str, np.ndarray], ...]
) -> None:
    assert str(outputs[0]["weights_checksum"]) == checksum(weights), (
        "numpy draws other numbers: make the golden files again"
    )


def test_pixel_values(outputs: tuple[dict[str, np.ndarray], ...]) -> None:
    assert_map_close("pixel_values", PIXEL_STRIDE, PIXEL_TOLERANCE, *outputs)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_embeddings(outputs: tuple[dict[str, np.ndarray], ...], level: int) -> None:
    assert_map_close(f"embedding_{level}", MAP_STRIDE, EMBEDDING_TOLERANCE, *outputs)


@pytest.mark.parametrize("case", CASES)
def test_low_res_logits(outputs: tuple[dict[str, np.ndarray], ...], case: str) -> None:
    assert_map_close(f"{case}.low_res_logits", MAP_STRIDE, LOGIT_TOLERANCE, *outputs)


@pytest.mark.parametrize("case", CASES)
def test_iou_scores(outputs: tuple[dict[str, np.ndarray], ...], case: str) -> None:
    official, ours = outputs
    np.testing.assert_allclose(
        ours[f"{case}.iou_scores"], official[f"{case}.iou_scores"], rtol=0, atol=IOU_SCORE_TOLERANCE
    )


@pytest.mark.parametrize("case", CASES)
def test_masks(outputs: tuple[dict[str, np.ndarray], ...], case: str) -> None:
    official, ours = outputs
    masks = ours[f"{case}.masks"]
    unpacked = np.unpackbits(official[f"{case}.masks"], count=masks.size).reshape(masks.shape).astype(bool)
    assert mask_iou(unpacked, masks) >= LEAST_MASK_IOU


def test_the_stability_rule_is_tried_both_ways() -> None:
    """Of the single-mask outputs some fall back to a candidate and some do not."""
    fell_back = []
    for name in IMAGE_SIZES:
        with np.load(HERE / f"{name}.npz") as file:
            fell_back += [
                bool(np.isin(file[f"{kind}.single.iou_scores"], file[f"{kind}.multi.iou_scores"]))
                for kind in PROMPT_KINDS
            ]
    assert {True, False} == set(fell_back)


def assert_map_close(
    name: str, stride: int, tolerance: float, official: dict[str, np.ndarray], ours: dict[str, np.ndarray]
) -> None:
    np.testing.assert_allclose(ours[name][:, ::stride, ::stride], official[name], rtol=0, atol=tolerance)
    assert np.abs(ours[name].astype(np.float64)).mean() == pytest.approx(
        float(official[f"{name}.mean_abs"]), abs=tolerance
    )
