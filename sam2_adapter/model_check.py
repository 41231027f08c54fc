"""Whether a model computes what it should on this machine: it predicts on bundled pictures, with every engine that is here.

Weights are checked by their shapes when they are loaded. What only running them shows is checked here: that numbers are finite, that masks
lie where their boxes are and fit better than a trivial answer, and that the engines agree.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_adapter import __version__
from sam2_adapter.annotations.masks import MaskPrediction
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.demo.scenes import load_scenes, read_photo
from sam2_adapter.errors import ConfigError
from sam2_adapter.evaluation.evaluate import evaluate_prompts
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.models.load import LoadedModel, load_model
from sam2_adapter.predict.load import make_predictor
from sam2_adapter.predict.predictor import Predictor

# Masks of two engines, or number formats, that agree less than this are worth a report.
LEAST_AGREEMENT = 0.9

# A mask may leave its box by this part of its own pixels.
_MOST_OUTSIDE = 0.25

_PROMPTS = {"box": "boxes", "point": "one click"}


@dataclass(frozen=True)
class EngineFigures:
    """What one engine computed.

    Attributes:
        engine: its name.
        precision: number format of the image encoder.
        device: where it ran.
        seconds_per_image: time to encode a photograph, the first one not counted.
        mean_score: of all masks, the model's own estimate.
        least_agreement: smallest IoU of a mask with the one of torch in fp32; 1 for torch in fp32 itself.
    """

    engine: str
    precision: str
    device: str
    seconds_per_image: float
    mean_score: float
    least_agreement: float


@dataclass(frozen=True)
class ModelCheck:
    """What was found.

    Attributes:
        version: of this package.
        model: name of the model.
        path: its weights.
        weights_sha256: their identity.
        engines: figures of each engine, torch in fp32 first.
        mean_iou: on outlined cells, by kind of prompt, and of the trivial answer, an ellipse in the box.
        findings: what is wrong, in words; nothing where all is well.
    """

    version: str
    model: str
    path: Path
    weights_sha256: str
    engines: tuple[EngineFigures, ...]
    mean_iou: dict[str, float]
    findings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "path": str(self.path)}


def check_model(model: str | Path) -> ModelCheck:
    """Predict with a model on bundled pictures; its weights are fetched if need be.

    Raises:
        CheckpointError: the weights do not fit, or are not there and cannot be fetched.
    """
    loaded = load_model(model)
    reference = make_predictor(loaded, "cpu", "torch", "fp32")
    expected, seconds = _predictions(reference)
    engines = [_figures(reference, expected, expected, seconds)]
    findings = _wrong_masks(expected)
    for predictor in _other_engines(loaded, engines[0]):
        found, seconds = _predictions(predictor)
        engines.append(_figures(predictor, found, expected, seconds))
    findings += [
        f"{entry.engine} in {entry.precision} on {entry.device} gives another mask than torch in fp32: the least IoU is {entry.least_agreement:.3f}"
        for entry in engines
        if not entry.least_agreement >= LEAST_AGREEMENT
    ]
    mean_iou = _measure(reference)
    if mean_iou["boxes"] <= mean_iou["ellipse"]:
        findings.append("masks from boxes fit the outlined cells no better than an ellipse in the box")
    return ModelCheck(
        __version__,
        loaded.name,
        loaded.path,
        loaded.weights_sha256,
        tuple(engines),
        mean_iou,
        tuple(findings),
    )


def _other_engines(loaded: LoadedModel, reference: EngineFigures) -> list[Predictor]:
    """The engines that would be used here, without repetition."""
    predictors = [make_predictor(loaded, "auto", "torch", "auto")]
    if find_spec("openvino") is not None:
        # Where OpenVINO cannot compute this model, prediction does not take it either.
        with suppress(ConfigError):
            predictors.append(make_predictor(loaded, "cpu", "openvino", "auto"))
    kinds = {(reference.engine, reference.precision, reference.device)}
    different = []
    for predictor in predictors:
        kind = (predictor.info.runtime, predictor.info.precision, predictor.info.device)
        if kind not in kinds:
            kinds.add(kind)
            different.append(predictor)
    return different


def _predictions(predictor: Predictor) -> tuple[list[tuple[MaskPrediction, Sequence[Prompt]]], float]:
    """The masks of all prompts of the demo's photographs, and the seconds to encode one of them."""
    scenes = [scene for scene in load_scenes()[0] if scene.prompts]
    images = [read_photo(scene.photo) for scene in scenes]
    predictor.embed(images[:1])
    started = time.perf_counter()
    embeddings = [predictor.embed([image])[0] for image in images]
    seconds = (time.perf_counter() - started) / len(images)
    return [
        (predictor.predict(embedding, scene.prompts), scene.prompts)
        for embedding, scene in zip(embeddings, scenes, strict=True)
    ], seconds


def _figures(
    predictor: Predictor,
    found: list[tuple[MaskPrediction, Sequence[Prompt]]],
    expected: list[tuple[MaskPrediction, Sequence[Prompt]]],
    seconds: float,
) -> EngineFigures:
    scores = np.concatenate([prediction.iou_scores[:, 0] for prediction, _ in found])
    agreements = [
        _iou(mine, other)
        for (prediction, _), (reference, _) in zip(found, expected, strict=True)
        for mine, other in zip(prediction.masks[:, 0], reference.masks[:, 0], strict=True)
    ]
    info = predictor.info
    return EngineFigures(
        info.runtime, info.precision, info.device, seconds, float(scores.mean()), float(min(agreements))
    )


def _wrong_masks(found: list[tuple[MaskPrediction, Sequence[Prompt]]]) -> list[str]:
    findings = []
    for prediction, prompts in found:
        if not (np.isfinite(prediction.iou_scores).all() and np.isfinite(prediction.low_res_logits).all()):
            findings.append("outputs that are no finite numbers")
        for prompt, mask in zip(prompts, prediction.masks[:, 0], strict=True):
            if not mask.any():
                findings.append("an empty mask for an object that is there")
            elif prompt.box_xyxy is not None and _part_outside(mask, prompt.box_xyxy) > _MOST_OUTSIDE:
                findings.append("a mask that lies outside its box")
    return sorted(set(findings))


def _measure(predictor: Predictor) -> dict[str, float]:
    with as_file(files("sam2_adapter").joinpath("assets", "demo", "nuclei")) as folder:
        evaluations = evaluate_prompts(predictor, load_dataset(folder).samples("test"), ("box", "point"))
    means = {_PROMPTS[mode]: _mean(row.mask_iou for row in found.objects) for mode, found in evaluations.items()}
    return {**means, "ellipse": _mean(row.ellipse_iou for row in evaluations["box"].objects)}


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def _iou(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 1.0


def _part_outside(mask: npt.NDArray[np.bool_], box_xyxy: Sequence[float]) -> float:
    x0, y0, x1, y1 = (round(side) for side in box_xyxy)
    inside = int(mask[max(y0, 0) : y1, max(x0, 0) : x1].sum())
    return 1 - inside / int(mask.sum())
