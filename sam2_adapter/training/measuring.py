"""Measuring the model of a run, by all its processes together: on the validation images, on the general set, and over blends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.predict.everything.thresholds import Thresholds
from sam2_adapter.training.blend import blended
from sam2_adapter.training.blend_choice import BlendPoint, shares_to_measure
from sam2_adapter.training.events import BlendMeasured, MeasuringImages
from sam2_adapter.training.everything_choice import MOST_IMAGES, EverythingChoice, choose, measure_pairs
from sam2_adapter.training.general import GeneralQuality, evenly, mean_general, measure_general
from sam2_adapter.training.optim import put
from sam2_adapter.training.quality import Figures, ObjectQuality, Quality, curve_objects, mean_quality, measure
from sam2_adapter.training.setup import Parts, gathered


def measure_validation(parts: Parts) -> Quality:
    """Measure the model as it is now on the validation images."""
    chosen = curve_objects(parts.samples, parts.validation)
    mine = parts.validation[parts.accelerator.process_index :: parts.accelerator.num_processes]
    measured: list[ObjectQuality] = []
    for done, position in enumerate(mine):
        sample, embedding = parts.samples[position], parts.image_embedding(position)
        measured += measure(parts.predictor, sample, position, embedding, parts.config.clip_to_box, chosen[position])
        parts.tell(MeasuringImages(done + 1, len(mine)))
    return mean_quality(gathered(parts.accelerator, measured))


def measure_general_set(parts: Parts) -> GeneralQuality | None:
    """Measure the model as it is now on the general set; `None` where it is switched off."""
    general = parts.general
    if general is None:
        return None
    measured: list[tuple[float, float]] = []
    for position in general.positions[parts.accelerator.process_index :: parts.accelerator.num_processes]:
        embedding = parts.image_embedding(position, general)
        measured += measure_general(parts.predictor, general.samples[position], embedding, parts.config.clip_to_box)
    return mean_general(gathered(parts.accelerator, measured))


def measure_blends(
    parts: Parts,
    untouched: Mapping[str, torch.Tensor],
    tuned: Mapping[str, torch.Tensor],
    ends: tuple[BlendPoint, Figures],
    num_epochs: int,
) -> list[tuple[BlendPoint, Sequence[ObjectQuality]]]:
    """Measure models between the untouched and the tuned one; the model has other weights afterwards.

    Args:
        parts: the run.
        untouched: trained part of the model before training.
        tuned: the same after it.
        ends: what is known already: the untouched model, and the tuned one's validation.
        num_epochs: epochs done, which decide how many shares are measured.

    Returns:
        The points of the curve, and what was measured anew for each.
    """
    found: list[tuple[BlendPoint, Sequence[ObjectQuality]]] = []
    for share in shares_to_measure(parts.config.blend, num_epochs):
        known = (ends[0], ())
        found.append(known if share == 0 else _measure_share(parts, blended(untouched, tuned, share), share, ends[1]))
        parts.tell(BlendMeasured(found[-1][0]))
    return found


def choose_everything(parts: Parts) -> EverythingChoice | None:
    """Choose thresholds of everything-mode for the model as it is now, on some of the validation images; all processes come to the same choice.

    Returns:
        The choice; `None` where no thresholds find an object.
    """
    info = parts.predictor.info
    usual = Thresholds.of(EverythingSettings(), info.everything, info.architecture)
    positions = evenly(parts.validation, MOST_IMAGES)
    mine = positions[parts.accelerator.process_index :: parts.accelerator.num_processes]
    measured = [measure_pairs(parts.predictor, parts.samples[at], at, parts.image_embedding(at), usual) for at in mine]
    return choose(gathered(parts.accelerator, measured), (usual.iou, usual.stability))


def _measure_share(
    parts: Parts, weights: Mapping[str, torch.Tensor], share: float, tuned: Figures
) -> tuple[BlendPoint, tuple[ObjectQuality, ...]]:
    put(parts.parameters, weights)
    general = measure_general_set(parts)
    if share == 1:
        return BlendPoint(share, tuned, general), ()
    quality = measure_validation(parts)
    return BlendPoint(share, quality.figures, general), quality.objects
