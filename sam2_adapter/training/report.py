"""`report.html`: what a run came to, on one page that loads nothing and can be passed on."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sam2_adapter import __version__
from sam2_adapter.config import Config
from sam2_adapter.config_views import TrainedParts
from sam2_adapter.files import write_file
from sam2_adapter.reports.charts import Chart, line_chart
from sam2_adapter.reports.pages import render_page
from sam2_adapter.text import plural, shown_change, told_change
from sam2_adapter.training.blend_choice import BlendPoint
from sam2_adapter.training.examples import Example
from sam2_adapter.training.records import MEAN_OF, EpochRecord, TrainingResult
from sam2_adapter.training.setup import Parts

# A text, and whether it is emphasised.
Words = tuple[str, bool]


@dataclass(frozen=True)
class RunFacts:
    """What a report says about a run beside its figures.

    Attributes:
        base_sha256: identity of the weights that training started from.
        data: the data set in words; may be empty.
        num_training_images: images that were trained on.
        num_training_objects: objects in them.
        num_validation_images: images that were measured with.
        config: all settings.
        about: further facts, in words.
    """

    base_sha256: str
    data: str
    num_training_images: int
    num_training_objects: int
    num_validation_images: int
    config: Config
    about: Mapping[str, object]


@dataclass(frozen=True)
class _Column:
    title: str
    value: Callable[[EpochRecord], float | None]
    spec: str


_COLUMNS = (
    _Column("epoch", lambda record: record.epoch, "d"),
    _Column("loss", lambda record: record.loss, ".3f"),
    _Column("box", lambda record: record.miou_box, ".3f"),
    _Column("1 click", lambda record: record.miou_click, ".3f"),
    _Column("5 clicks", lambda record: record.miou_clicks, ".3f"),
    _Column("20 clicks", lambda record: record.miou_20_clicks, ".3f"),
    _Column("mean IoU", lambda record: record.score, ".3f"),
    _Column("boundary F", lambda record: record.boundary_f, ".3f"),
    _Column("score error", lambda record: record.score_error, ".3f"),
    _Column("learning rate", lambda record: record.learning_rate, ".2e"),
    _Column("training, s", lambda record: record.training_seconds, ".1f"),
    _Column("measuring, s", lambda record: record.evaluation_seconds, ".1f"),
    _Column("memory, MiB", lambda record: record.memory_mib, ".0f"),
)

# Figure, its field, whether more is better.
_CHANGES = (
    ("IoU from the exact box", "miou_box", True),
    ("IoU after one click", "miou_click", True),
    ("IoU after five clicks", "miou_clicks", True),
    ("IoU after twenty clicks", "miou_20_clicks", True),
    ("mean of these four", "score", True),
    ("agreement of the outlines (boundary F)", "boundary_f", True),
    ("error of the model's own IoU score", "score_error", False),
)

_QUALITY = {
    "box": "miou_box",
    "one click": "miou_click",
    "five clicks": "miou_clicks",
    "twenty clicks": "miou_20_clicks",
}
_CHARTS = {
    "Loss": {"total": "loss", "pixels": "loss_pixels", "Dice": "loss_dice", "IoU score": "loss_iou_score"},
    "Agreement of the outlines (boundary F)": {"boundary F": "boundary_f"},
    "Error of the model's own IoU score": {"error": "score_error"},
    "Learning rate": {"learning rate": "learning_rate"},
}


def facts_of(parts: Parts, data: str) -> RunFacts:
    """What the report says about the data, the machine and the embeddings of a run."""
    statistics = parts.embeddings.statistics
    return RunFacts(
        base_sha256=parts.identity.base_sha256,
        data=data,
        num_training_images=len({item.sample for item in parts.objects}),
        num_training_objects=len(parts.objects),
        num_validation_images=len(parts.validation),
        config=parts.config,
        about={
            "processes": parts.accelerator.num_processes,
            "device": str(parts.accelerator.device),
            "precision of training": parts.identity.settings["precision"],
            "image encoder": "{runtime} in {precision}".format(**parts.embeddings.encoder),
            "images encoded": statistics.made,
            "embeddings read from memory": statistics.from_memory,
            "embeddings read from disk": statistics.from_disk,
        },
    )


def write_report(
    path: Path, result: TrainingResult, facts: RunFacts, examples: Sequence[Example], num_objects: int
) -> None:
    """Write the page.

    Args:
        path: the file.
        result: what the run came to.
        facts: what else is said.
        examples: objects before and after training.
        num_objects: validation objects that were measured.

    Raises:
        ExportError: it cannot be written.
    """
    page = report_html(result, facts, examples, num_objects)
    # Names of files need not be UTF-8.
    write_file(path, lambda file: file.write(page.encode(errors="backslashreplace")))


def report_html(result: TrainingResult, facts: RunFacts, examples: Sequence[Example], num_objects: int) -> str:
    """The page as text; arguments as in `write_report`."""
    saved = f"epoch {result.best_epoch}" if result.best_epoch else "the original model"
    changed, defaults = _settings(facts.config)
    return render_page(
        "report.html",
        name=result.name,
        lead=_lead(result, facts, num_objects),
        summary=result.summary,
        num_objects=plural(num_objects, "validation object"),
        changes=[_change(result, *row) for row in _CHANGES],
        quality_chart=_chart("Mean IoU of the validation objects", _QUALITY, result),
        click_chart=_click_chart(result),
        general=result.general,
        blend=result.blend,
        blend_chart=_blend_chart(result),
        blend_rows=[_blend_row(point, result) for point in result.blend.curve],
        charts=[chart for title, fields in _CHARTS.items() if (chart := _chart(title, fields, result))],
        examples=examples,
        columns=_COLUMNS,
        epochs=[_row(record, result.best_epoch) for record in result.history],
        epochs_summary=f"{plural(result.epochs, 'epoch')}; {saved} was saved",
        left_out=[{**row, "examples": _listed(row["examples"])} for row in result.left_out],
        about=_about(result, facts),
        changed_settings=changed,
        default_settings=defaults,
        commands=(
            f"sam2-adapter predict IMAGES --model {shlex.quote(str(result.model_path))}",
            *(_blend_commands(result) if result.blend.curve else ()),
        ),
        made_by=f"Made by sam2-adapter {__version__} with torch {torch.__version__}.",
    )


# What has learned, by `trained_parts`.
_TRAINED: dict[TrainedParts, str] = {
    "decoder": "were the prompt encoder and the mask decoder",
    "candidates": "was only what draws and scores the candidates of a click",
}


def _lead(result: TrainingResult, facts: RunFacts, num_objects: int) -> list[Words]:
    """Base model, data and what changed, in one paragraph."""
    trained_on = f"{plural(facts.num_training_objects, 'object')} in {plural(facts.num_training_images, 'image')}"
    of_data = f" of {facts.data}" if facts.data else ""
    measured = f"{plural(num_objects, 'object')} in {plural(facts.num_validation_images, 'validation image')}"
    return [
        (result.name, True),
        (f" is {result.base} (weights {facts.base_sha256[:12]}), fine-tuned on ", False),
        (trained_on, True),
        (f"{of_data} and measured with {measured}. ", False),
        *_outcome(result),
        *_general(result),
        (f" Trained {_TRAINED[facts.config.trained_parts]}; the image encoder is as it was.", False),
    ]


def _outcome(result: TrainingResult) -> list[Words]:
    before, saved = result.history[0], result.saved
    what = f"mean IoU over {MEAN_OF}"
    if result.epochs == 0:
        return [("Interrupted before the first epoch was done: the saved model is the original one.", True)]
    if result.best_epoch == 0:
        return [
            ("Nothing was gained: ", True),
            (f"in {plural(result.epochs, 'epoch')} the {what} never rose above the {before.score:.3f} of ", False),
            ("the original model, which is the one that was saved.", False),
        ]
    how = (
        "was saved"
        if result.blend.share == 1
        else f"was saved with {result.blend.share:g} of its weights, the rest untouched"
    )
    difference = shown_change(before.score, saved.score)
    by = f" ({difference})" if float(difference) else ""
    return [
        (f"Epoch {result.best_epoch} of {result.epochs} is the best and {how}: ", False),
        (f"{what} {told_change(before.score, saved.score)}{by}.", True),
    ]


def _general(result: TrainingResult) -> list[Words]:
    """What the run has cost elsewhere."""
    if result.general is None:
        return []
    warning: list[Words] = [(f" {result.general.warning}", True)] if result.general.warning else []
    return [(f" {result.general.sentence}", False), *warning]


def _click_chart(result: TrainingResult) -> Chart | None:
    series = {
        name: list(enumerate(figures.iou_by_click, start=1))
        for name, figures in (("before", result.history[0]), ("after", result.saved))
    }
    return line_chart("Mean IoU by the number of clicks", series, "clicks")


def _blend_chart(result: TrainingResult) -> Chart | None:
    series: dict[str, list[tuple[float, float]]] = {
        "validation, mean": [],
        "general, box": [],
        "general, one click": [],
    }
    for point in result.blend.curve:
        values = [point.score, *((point.general.miou_box, point.general.miou_click) if point.general else ())]
        for name, value in zip(series, values, strict=False):
            series[name].append((100 * point.share, value))
    return line_chart("Mean IoU by the share of the tuned weights", series, "%", 100 * result.blend.share, "saved")


def _blend_row(point: BlendPoint, result: TrainingResult) -> dict[str, Any]:
    figures, general = point.figures, point.general
    values = [figures.miou_box, figures.miou_click, figures.miou_clicks, figures.miou_20_clicks, figures.score]
    cells = [f"{point.share:g}", *(f"{value:.3f}" for value in values)]
    cells += [f"{general.miou_box:.3f}", f"{general.miou_click:.3f}"] if general else ["–", "–"]
    return {"cells": cells, "is_saved": point.share == result.blend.share}


def _blend_commands(result: TrainingResult) -> tuple[str, ...]:
    """How to choose otherwise later, where the tuned weights are at hand."""
    if result.blend.share != 1:
        return ()
    return (f"sam2-adapter blend {shlex.quote(result.base)} {shlex.quote(str(result.model_path))} 0.5 blended.torch",)


def _change(result: TrainingResult, name: str, field: str, is_more_better: bool) -> dict[str, Any]:
    before, after = getattr(result.history[0], field), getattr(result.saved, field)
    is_shown = float(shown_change(before, after)) != 0
    verdict = ("up" if (after > before) == is_more_better else "down") if is_shown else ""
    return {"name": name, "before": before, "after": after, "verdict": verdict}


def _chart(title: str, fields: Mapping[str, str], result: TrainingResult) -> Chart | None:
    series = {name: _points(result.history, field) for name, field in fields.items()}
    return line_chart(title, series, "epoch", marked_x=result.best_epoch, mark="saved")


def _points(history: Sequence[EpochRecord], field: str) -> list[tuple[float, float]]:
    return [(record.epoch, value) for record in history if (value := getattr(record, field)) is not None]


def _row(record: EpochRecord, best_epoch: int) -> dict[str, Any]:
    values = [(column.value(record), column.spec) for column in _COLUMNS]
    cells = ["–" if value is None else format(value, spec) for value, spec in values]
    return {"cells": cells, "is_saved": record.epoch == best_epoch}


def _about(result: TrainingResult, facts: RunFacts) -> list[tuple[str, object]]:
    return [
        ("stopped", result.stopped),
        ("time", f"{result.seconds:.0f} s"),
        ("base model", result.base),
        *facts.about.items(),
        *([("thresholds of everything-mode", result.everything.sentence)] if result.everything else []),
        ("saved as", result.model_path.name),
        ("saved weights", result.weights_sha256),
    ]


def _settings(config: Config) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The settings that differ from the defaults, and the others."""
    values, defaults = config.model_dump(mode="json"), Config().model_dump(mode="json")
    rows = [(key, _setting(value), value != defaults[key]) for key, value in values.items()]
    return [row[:2] for row in rows if row[2]], [row[:2] for row in rows if not row[2]]


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _listed(examples: object) -> list[object]:
    return list(examples) if isinstance(examples, list | tuple) else [examples]
