"""What a run came to, as text for people and as one document for machines."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam2_adapter.text import plural

if TYPE_CHECKING:
    from sam2_adapter.formats.load import Dataset
    from sam2_adapter.training.records import TrainingResult


# The files of a run that people look at.
_TOLD = ("model", "report", "metrics")


def result_document(result: TrainingResult, dataset: Dataset | None) -> dict[str, Any]:
    """All that a machine may want to know about a run."""
    outcome = result.outcome
    return {
        "summary": result.summary,
        "name": result.name,
        "base": result.base,
        "gained": result.best_epoch > 0,
        "gain": result.gained,
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "stopped": result.stopped,
        "seconds": round(result.seconds, 3),
        "general": outcome["general"],
        "blend": outcome["blend"],
        "click_curve": outcome["click_curve"],
        "before": asdict(result.history[0]),
        "best": asdict(result.history[result.best_epoch]),
        "files": {what: str(result.files[what]) for what in _TOLD if what in result.files},
        "weights_sha256": result.weights_sha256,
        "predict": _predict_command(result.model_path),
        "data": _about_data(dataset) if dataset is not None else None,
        "left_out": list(result.left_out),
    }


def result_lines(result: TrainingResult) -> list[str]:
    """The summary, where the files are, and what to do next."""
    return [
        f"Stopped after {plural(result.epochs, 'epoch')}, {result.seconds:.0f} s: {result.stopped}.",
        result.summary,
        *((f"{result.general.sentence} {result.general.warning or ''}".rstrip(),) if result.general else ()),
        *(
            (f"Saved share of the tuned weights: {result.blend.share:g}, {result.blend.reason}.",)
            if result.blend.share != 1
            else ()
        ),
        *(f"{what:<8} {result.files[what]}" for what in _TOLD if what in result.files),
        f"Use it:  {_predict_command(result.model_path)}",
    ]


def _predict_command(model_path: Path) -> str:
    return f"sam2-adapter predict IMAGES --model {shlex.quote(str(model_path))}"


def _about_data(dataset: Dataset) -> dict[str, Any]:
    splits = {
        name: {"images": len(samples), "objects": sum(len(sample.objects) for sample in samples)}
        for name, samples in dataset.splits.items()
    }
    return {"format": dataset.data_format, "splits": splits, "notes": list(dataset.notes)}
