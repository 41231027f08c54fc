"""`run_evaluation`, all that `evaluate` on the command line does: data set, models, prompts, comparison, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sam2_adapter.config import Config
from sam2_adapter.evaluation.compare import compare
from sam2_adapter.evaluation.evaluate import Progress, evaluate_prompts
from sam2_adapter.evaluation.scores import Evaluation, EvaluationSettings, PromptMode
from sam2_adapter.formats.load import DataFormat, load_configured_dataset
from sam2_adapter.predict.loading import load_predictor


def run_evaluation(
    data: str | Path,
    model: str | Path | None = None,
    config: Config | None = None,
    *,
    split: str = "test",
    prompts: Sequence[PromptMode] = ("box", "point", "clicks"),
    compare_with: str | Path | None = None,
    settings: EvaluationSettings | None = None,
    data_format: DataFormat | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Everything that `evaluate` on the command line does.

    Args:
        data: data set, as in `load_dataset`.
        model: what to measure, as in `load_predictor`; by default `config.model_cfg`.
        config: how the data set is read and where the model runs.
        split: `train`, `validation`, `test` or `all`.
        prompts: kinds of prompts.
        compare_with: another model to hold against it on the same prompts; differences are `model` minus this one.
        settings: how prompts are made; by default with `config.clip_to_box`.
        data_format: as in `load_dataset`.
        progress: called with the number of images done and their total, over both models.

    Returns:
        Plain data: `data`, `evaluations` by prompt and, with `compare_with`, `compared_with` and `comparisons` by prompt.
    """
    config = config or Config()
    settings = settings or EvaluationSettings(clip_to_box=config.clip_to_box)
    dataset = load_configured_dataset(data, config, data_format)
    samples = dataset.samples(split)
    names = [model or config.model_cfg, *([compare_with] if compare_with is not None else [])]
    measured = []
    for turn, name in enumerate(names):
        predictor = load_predictor(name, config.device, config.runtime, config.precision, len(samples))
        step = _shifted(progress, turn * len(samples), len(names) * len(samples))
        measured.append(evaluate_prompts(predictor, samples, prompts, settings, progress=step))
    report: dict[str, Any] = {
        "data": {
            "path": str(data),
            "format": dataset.data_format,
            "split": split,
            "num_images": len(samples),
            "num_objects": sum(len(sample.objects) for sample in samples),
            "notes": list(dataset.notes),
            "left_out": list(dataset.left_out),
        },
        "evaluations": {mode: evaluation.to_dict() for mode, evaluation in measured[0].items()},
    }
    if compare_with is not None:
        report["compared_with"] = {mode: evaluation.to_dict() for mode, evaluation in measured[1].items()}
        report["comparisons"] = {mode: compare(measured[1][mode], measured[0][mode]).to_dict() for mode in measured[0]}
    return report


def report_to_text(report: Mapping[str, Any]) -> str:
    """The tables of what `run_evaluation` returned."""
    data = report["data"]
    parts = [
        f"{data['num_images']} images, {data['num_objects']} objects of {data['path']} ({data['split']})",
        *data["notes"],
    ]
    for mode, document in report["evaluations"].items():
        evaluation = Evaluation.from_dict(document)
        parts.append(f"{mode}: {_model(evaluation)}\n{evaluation.to_table()}")
        if "compared_with" in report:
            other = Evaluation.from_dict(report["compared_with"][mode])
            comparison = compare(other, evaluation)
            parts.append(f"{mode}: {_model(other)}\n{other.to_table()}")
            parts.append(f"{mode}: difference, with 95 % interval over images\n{comparison.to_table()}")
    return "\n\n".join(parts)


def _shifted(progress: Progress | None, offset: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(offset + done, total)


def _model(evaluation: Evaluation) -> str:
    """Which model was measured, such as `nuclei (tuned from sam2_nano) 0123456789ab`."""
    model = evaluation.model
    base = f" (tuned from {model['base']})" if model.get("base") else ""
    return f"{model['name']}{base} {model['weights_sha256'][:12]}"
