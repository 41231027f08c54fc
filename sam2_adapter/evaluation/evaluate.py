"""`evaluate`: prompts made from ground truth, answered by a predictor, and measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from sam2_adapter.arguments import able_to, call_or_none, instance_of
from sam2_adapter.errors import ConfigError, DataError, ImageError
from sam2_adapter.evaluation.compare import Comparison, compare
from sam2_adapter.evaluation.measure import measure_image
from sam2_adapter.evaluation.scores import PROMPT_MODES, Evaluation, EvaluationSettings, ObjectScore, PromptMode
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.window_plan import WindowRule
from sam2_adapter.predict.windows import WindowedImage
from sam2_adapter.text import plural, shown, unknown_name

__all__ = ["Comparison", "Evaluation", "EvaluationSettings", "compare", "evaluate", "evaluate_prompts"]

Embed = Callable[[Sample], ImageEmbedding]
Progress = Callable[[int, int], None]


def evaluate(
    predictor: Predictor,
    samples: Sequence[Sample],
    prompt: PromptMode = "box",
    settings: EvaluationSettings | None = None,
    *,
    embed: Embed | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model with one kind of prompt; see `evaluate_prompts`."""
    return evaluate_prompts(predictor, samples, (prompt,), settings, embed=embed, progress=progress)[prompt]


def evaluate_prompts(
    predictor: Predictor,
    samples: Sequence[Sample],
    prompts: Sequence[PromptMode],
    settings: EvaluationSettings | None = None,
    *,
    embed: Embed | None = None,
    progress: Progress | None = None,
) -> dict[PromptMode, Evaluation]:
    """Measure a model with several kinds of prompts, encoding each image once.

    - `box`: the box of each object;
    - `point`: one click in the middle of each object;
    - `clicks`: clicks in the middle of the largest error, with the last answer fed back, until the object is good enough;
    - `zero_shot`: no prompt; the one mask of an image is held against the object that it fits best;
    - `everything`: no prompt; all objects of an image are found, and each true one is held against at most one of them.

    Args:
        predictor: the model.
        samples: images with ground truth.
        prompts: kinds of prompts.
        settings: how prompts are made.
        embed: gives the encoded image of a sample where it is at hand; by default the image is read and encoded.
        progress: called with the number of images done and their total.

    Raises:
        ConfigError: an unknown kind of prompt, or another argument of another kind.
        DataError: no object could be measured; images that cannot be read are otherwise left out and counted.
    """
    able_to(predictor, ("embed", "predict"), "predictor", "a predictor, which load_predictor makes")
    settings = settings or EvaluationSettings()
    instance_of(settings, EvaluationSettings, "settings", "an EvaluationSettings or None")
    if not isinstance(samples, Sequence) or not all(isinstance(sample, Sample) for sample in samples):
        raise DataError(
            f"The samples to measure with are those of a data set, such as load_dataset(path).samples('test'), but got {shown(samples)}."
        )
    modes = _checked_modes(prompts)
    call_or_none(embed, "embed")
    call_or_none(progress, "progress")
    rows: dict[PromptMode, list[ObjectScore]] = {mode: [] for mode in modes}
    left_out = LeftOut()
    rule = WindowRule.of(settings, predictor.info.window)
    for done, sample in enumerate(samples, start=1):
        try:
            image = sample.read_image() if embed is None or not rule.is_off else None
            embedding = embed(sample) if embed else predictor.embed([image])[0]  # type: ignore[list-item]
        except ImageError:
            left_out.add_image(Reason.BROKEN_IMAGE, sample.name)
        else:
            objects = _large_enough(sample, embedding, settings.min_side_px, left_out)
            for mode in modes:
                windowed = None if image is None or rule.is_off else WindowedImage(image, rule)
                rows[mode] += measure_image(predictor, sample, objects, embedding, mode, settings, windowed=windowed)
        if progress:
            progress(done, len(samples))
    if not any(rows.values()):
        raise DataError(f"There is nothing to measure in {plural(len(samples), 'image')}. {left_out.account}")
    info = predictor.info
    model = {"name": info.name, "base": info.base, "weights_sha256": info.weights_sha256}
    return {mode: Evaluation(mode, model, settings, tuple(found), tuple(left_out)) for mode, found in rows.items()}


def _checked_modes(prompts: Sequence[str]) -> list[PromptMode]:
    if isinstance(prompts, str) or not isinstance(prompts, Iterable):
        raise ConfigError(f"prompts is a list of kinds of prompt, such as ['box', 'point'], but got {shown(prompts)}.")
    return [_checked_mode(prompt) for prompt in prompts]


def _checked_mode(prompt: str) -> PromptMode:
    for mode in PROMPT_MODES:
        if prompt == mode:
            return mode
    raise ConfigError(unknown_name("kind of prompt", prompt, PROMPT_MODES))


def _large_enough(sample: Sample, embedding: ImageEmbedding, min_side_px: float, left_out: LeftOut) -> list[int]:
    """Positions of the objects whose box is large enough in the model's input."""
    kept = []
    for index, annotation in enumerate(sample.objects):
        corners = embedding.geometry.points_to_input(np.reshape(annotation.box_xyxy, (2, 2)))
        if (corners[1] - corners[0]).min() >= min_side_px:
            kept.append(index)
        else:
            left_out.add_object(Reason.TOO_SMALL, f"{sample.name}: {annotation.label} {index}")
    return kept
