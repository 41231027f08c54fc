"""`run_evaluation`, all that `evaluate` on the command line does: data set, models, prompts, comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_adapter.config import Config
from sam2_adapter.evaluation.compare import Comparison, compare
from sam2_adapter.evaluation.evaluate import Progress, evaluate_prompts
from sam2_adapter.evaluation.scores import Evaluation, EvaluationSettings, PromptMode
from sam2_adapter.formats.load import ALL_SPLITS, DataFormat, load_configured_dataset
from sam2_adapter.models.load import load_model
from sam2_adapter.predict.load import make_predictor
from sam2_adapter.text import plural


@dataclass(frozen=True)
class EvaluationReport:
    """What `evaluate` has measured.

    Attributes:
        data: what was measured with, as plain data.
        evaluations: of the model, by prompt.
        compared_with: of the model that it is held against, by prompt; empty without one.
        comparisons: the differences by prompt, the model minus the other one; empty without one.
    """

    data: Mapping[str, Any]
    evaluations: Mapping[PromptMode, Evaluation]
    compared_with: Mapping[PromptMode, Evaluation]
    comparisons: Mapping[PromptMode, Comparison]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: `data`, `evaluations` by prompt and, with another model, `compared_with` and `comparisons`."""
        document: dict[str, Any] = {"data": dict(self.data), "evaluations": _documents(self.evaluations)}
        if self.compared_with:
            document["compared_with"] = _documents(self.compared_with)
            document["comparisons"] = _documents(self.comparisons)
        return document

    def to_text(self) -> str:
        """The tables."""
        data = self.data
        counts = f"{plural(data['num_images'], 'image')}, {plural(data['num_objects'], 'object')}"
        parts = [f"{counts} of {data['path']} ({data['split']})", *data["notes"]]
        for mode, evaluation in self.evaluations.items():
            parts.append(f"{mode}: {_model(evaluation)}\n{evaluation.to_table()}")
            if mode in self.compared_with:
                other, comparison = self.compared_with[mode], self.comparisons[mode]
                parts.append(f"{mode}: {_model(other)}\n{other.to_table()}")
                parts.append(f"{mode}: difference, with 95 % interval over images\n{comparison.to_table()}")
        return "\n\n".join(parts)


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
) -> EvaluationReport:
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
    """
    config = config or Config()
    everything = config.everything.model_dump(mode="json") if "everything" in prompts else None
    settings = settings or EvaluationSettings(
        clip_to_box=config.clip_to_box, everything=everything, window=config.window, max_windows=config.max_windows
    )
    # Of all images none need be chosen for validation; a single image would be split into two.
    read_with = config.model_copy(update={"validation_share": 0.0}) if split == ALL_SPLITS else config
    dataset = load_configured_dataset(data, read_with, data_format)
    samples = dataset.samples(split)
    names = [model or config.model_cfg, *([compare_with] if compare_with is not None else [])]
    measured = []
    for turn, name in enumerate(names):
        predictor = make_predictor(
            load_model(name), config.device, config.runtime, config.precision, len(samples), as_in_training=True
        )
        step = _shifted(progress, turn * len(samples), len(names) * len(samples))
        measured.append(evaluate_prompts(predictor, samples, prompts, settings, progress=step))
    described = {
        "path": str(data),
        "format": dataset.data_format,
        "split": split,
        "num_images": len(samples),
        "num_objects": sum(len(sample.objects) for sample in samples),
        "notes": list(dataset.notes),
        "left_out": list(dataset.left_out),
    }
    others = measured[1] if compare_with is not None else {}
    comparisons = {mode: compare(other, measured[0][mode]) for mode, other in others.items()}
    return EvaluationReport(described, measured[0], others, comparisons)


def _documents(values: Mapping[PromptMode, Evaluation] | Mapping[PromptMode, Comparison]) -> dict[str, Any]:
    return {mode: value.to_dict() for mode, value in values.items()}


def _shifted(progress: Progress | None, offset: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(offset + done, total)


def _model(evaluation: Evaluation) -> str:
    """Which model was measured, such as `nuclei (tuned from sam2_nano) 0123456789ab`."""
    model = evaluation.model
    base = f" (tuned from {model['base']})" if model.get("base") else ""
    return f"{model['name']}{base} {model['weights_sha256'][:12]}"
