"""Our outputs for the same inputs, and how far they are from the official ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.models.network.preprocess import images_to_pixel_values
from sam2_adapter.predict.predictor import Predictor

# `SAM2ImagePredictor.predict` clamps the low-res logits that it returns.
OFFICIAL_LOGIT_LIMIT = 32.0


def our_outputs(
    predictor: Predictor, image: np.ndarray, prompts: Mapping[str, Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    """The same stages under the same names as `make_golden.reference`, from our predictor."""
    pixel_values = images_to_pixel_values([image], predictor._runtime.image_size)
    embedding = predictor.embed([image])[0]
    fine, middle = embedding.encoded.high_res_features
    levels = (fine, middle, embedding.encoded.image_embedding)
    outputs = {"pixel_values": pixel_values[0].numpy()}
    outputs |= {f"embedding_{level}": values[0].float().numpy() for level, values in enumerate(levels)}
    for kind, prompt in prompts.items():
        for multimask in (True, False):
            found = predictor.predict(embedding, [_as_prompt(prompt)], multimask_output=multimask)
            case = f"{kind}.{'multi' if multimask else 'single'}"
            outputs |= {
                f"{case}.masks": found.masks[0],
                f"{case}.iou_scores": found.iou_scores[0],
                f"{case}.low_res_logits": found.low_res_logits[0].clip(-OFFICIAL_LOGIT_LIMIT, OFFICIAL_LOGIT_LIMIT),
            }
    return outputs


def differences(official: Mapping[str, np.ndarray], ours: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Largest absolute difference of every output, and the smallest IoU of every set of masks."""
    found = {}
    for name, expected in official.items():
        assert ours[name].shape == expected.shape, (name, ours[name].shape, expected.shape)
        found[name] = (
            mask_iou(expected, ours[name]) if expected.dtype == np.bool_ else float(np.abs(ours[name] - expected).max())
        )
    return found


def worst(found: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The worst value of each kind of output: largest difference, smallest IoU."""
    kinds: dict[str, list[float]] = {}
    for differences_of_image in found:
        for name, value in differences_of_image.items():
            kinds.setdefault(name.rpartition(".")[2], []).append(value)
    return {kind: min(values) if kind == "masks" else max(values) for kind, values in kinds.items()}


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Smallest IoU among pairs of masks M x H x W; 1 where both are empty."""
    unions = (a | b).sum((-2, -1))
    return float(np.where(unions, (a & b).sum((-2, -1)) / np.maximum(unions, 1), 1.0).min())


def _as_prompt(prompt: Mapping[str, Any]) -> Prompt:
    parts: dict[str, Any] = {}
    if "points" in prompt:
        parts |= {
            "point_coords": np.asarray(prompt["points"], np.float32),
            "point_labels": np.asarray(prompt["labels"], np.int64),
        }
    if "box" in prompt:
        parts["box_xyxy"] = tuple(prompt["box"])
    if "mask_input" in prompt:
        parts["mask_input"] = prompt["mask_input"]
    return Prompt(**parts)
