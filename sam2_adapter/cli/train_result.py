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


def result_document(result: TrainingResult, dataset: Dataset | None) -> dict[str, Any]:
    """All that a machine may want to know about a run."""
    return {
        "summary": result.summary,
        "gained": result.best_epoch > 0,
        "gain": result.gained,
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "stopped": result.stopped,
        "seconds": round(result.seconds, 3),
        "before": asdict(result.history[0]),
        "best": asdict(result.history[result.best_epoch]),
        "files": {what: str(path) for what, path in _files(result).items()},
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
        *(f"{what:<8} {path}" for what, path in _files(result).items()),
        f"Use it:  {_predict_command(result.model_path)}",
    ]


def _files(result: TrainingResult) -> dict[str, Path]:
    """The files of the run that are there; numbers and pictures may have failed without harm to the model."""
    folder = result.model_path.parent
    names = {"model": result.model_path.name, "report": "report.html", "metrics": "metrics.json"}
    return {what: folder / name for what, name in names.items() if (folder / name).is_file()}


def _predict_command(model_path: Path) -> str:
    return f"sam2-adapter predict IMAGES --model {shlex.quote(str(model_path))}"


def _about_data(dataset: Dataset) -> dict[str, Any]:
    splits = {
        name: {"images": len(samples), "objects": sum(len(sample.objects) for sample in samples)}
        for name, samples in dataset.splits.items()
    }
    return {"format": dataset.data_format, "splits": splits, "notes": list(dataset.notes)}
