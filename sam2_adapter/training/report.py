"""`report.html`: what a run came to, on one page that loads nothing and can be passed on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import torch

from sam2_adapter import __version__
from sam2_adapter.files import write_file
from sam2_adapter.reports.charts import line_chart
from sam2_adapter.training.examples import Example
from sam2_adapter.training.records import EpochRecord, TrainingResult
from sam2_adapter.training.setup import Parts

_STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 980px; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.2rem; }
.summary { font-size: 1.1rem; padding: .8rem 1rem; border-left: 4px solid #0072b2; background: #8881; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; flex: 1 1 300px; }
figcaption { font-size: .9rem; } img { max-width: 100%; display: block; }
.pair { display: flex; gap: .3rem; } svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; }
svg text { fill: currentColor; } .grid { stroke: var(--line); } .mark { stroke: #888; stroke-dasharray: 4 3; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; }
td, th { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
td.text, th.text { text-align: left; white-space: normal; } tr.best { font-weight: 600; }
"""

_COLUMNS: tuple[tuple[str, Callable[[EpochRecord], object]], ...] = (
    ("epoch", lambda record: record.epoch),
    ("loss", lambda record: record.loss),
    ("mIoU box", lambda record: record.miou_box),
    ("1 click", lambda record: record.miou_click),
    ("5 clicks", lambda record: record.miou_clicks),
    ("mean", lambda record: record.score),
    ("boundary F", lambda record: record.boundary_f),
    ("score error", lambda record: record.score_error),
    ("learning rate", lambda record: record.learning_rate),
    ("training s", lambda record: round(record.training_seconds, 1)),
    ("measuring s", lambda record: round(record.evaluation_seconds, 1)),
    ("memory MiB", lambda record: round(record.memory_mib)),
)


def about_run(parts: Parts) -> dict[str, object]:
    """Facts about the data, the machine and the embeddings of a run."""
    statistics = parts.embeddings.statistics
    return {
        "training images": len({item.sample for item in parts.objects}),
        "training objects": len(parts.objects),
        "validation images": len(parts.validation),
        "processes": parts.accelerator.num_processes,
        "device": str(parts.accelerator.device),
        "image encoder": "{runtime} in {precision}".format(**parts.embeddings.encoder),
        "images encoded": statistics.made,
        "embeddings read from memory": statistics.from_memory,
        "embeddings read from disk": statistics.from_disk,
        "software": f"sam2-adapter {__version__}, torch {torch.__version__}",
    }


def write_report(
    path: Path,
    result: TrainingResult,
    settings: Mapping[str, Any],
    examples: Sequence[Example],
    about: Mapping[str, Any],
) -> None:
    """Write the page.

    Args:
        path: the file.
        result: what the run came to.
        settings: the run's configuration.
        examples: objects before and after training.
        about: further facts for the table of timing and data, in words.

    Raises:
        ExportError: it cannot be written.
    """
    page = report_html(result, settings, examples, about)
    write_file(path, lambda file: file.write(page.encode()))


def report_html(
    result: TrainingResult, settings: Mapping[str, Any], examples: Sequence[Example], about: Mapping[str, Any]
) -> str:
    """The page as text; arguments as in `write_report`."""
    facts = {
        "epochs": result.epochs,
        "stopped": result.stopped,
        "model": result.model_path.name,
        "weights": result.weights_sha256,
        "seconds": f"{result.seconds:.1f}",
        **about,
    }
    body = [
        "<h1>Fine-tuning report</h1>",
        f'<p class="summary">{escape(result.summary)}</p>',
        _section("Curves", _charts(result)),
        _section("Before and after", _examples(examples)) if examples else "",
        _section("Epochs", _epochs(result)),
        _section("Left out", _left_out(result.left_out)),
        _section("Run", _table(("what", "value"), facts.items())),
        _section("Configuration", _table(("key", "value"), sorted(settings.items()))),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Fine-tuning report</title>'
    return (
        f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body>{"".join(body)}</body></html>'
    )


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>{content}"


def _charts(result: TrainingResult) -> str:
    names = (
        {"boxes": "miou_box", "one click": "miou_click", "five clicks": "miou_clicks", "mean": "score"},
        {"loss": "loss", "pixels": "loss_pixels", "dice": "loss_dice", "IoU score": "loss_iou_score"},
        {"boundary F": "boundary_f", "score error": "score_error"},
        {"learning rate": "learning_rate"},
    )
    titles = ("Mean IoU on the validation objects", "Loss", "Outlines and calibration", "Learning rate")
    figures = []
    for title, fields in zip(titles, names, strict=True):
        series = {name: _points(result.history, field) for name, field in fields.items()}
        chart = line_chart(series, "epoch", marked_x=result.best_epoch)
        figures.append(f"<figure>{chart}<figcaption>{escape(title)}</figcaption></figure>" if chart else "")
    note = f"The dashed line marks the saved model, epoch {result.best_epoch}."
    return f'<div class="row">{"".join(figures)}</div><p>{note}</p>'


def _points(history: Sequence[EpochRecord], field: str) -> list[tuple[float, float]]:
    return [(record.epoch, value) for record in history if (value := getattr(record, field)) is not None]


def _examples(examples: Sequence[Example]) -> str:
    figures = []
    for item in examples:
        images = f'<img src="{item.before}" alt="before"><img src="{item.after}" alt="after">'
        caption = (
            f"{item.rank}: {item.label} in {item.sample}, IoU {item.iou_before:.3f} before, {item.iou_after:.3f} after"
        )
        figures.append(f'<figure><div class="pair">{images}</div><figcaption>{escape(caption)}</figcaption></figure>')
    note = "Prompted with the exact box. Blue: predicted mask, before training on the left. Yellow: the true outline."
    return f'<div class="row">{"".join(figures)}</div><p>{note}</p>'


def _epochs(result: TrainingResult) -> str:
    rows = ((_number(value(record)) for _, value in _COLUMNS) for record in result.history)
    return _table([title for title, _ in _COLUMNS], rows, best=result.best_epoch, is_text=False)


def _left_out(rows: Sequence[Mapping[str, object]]) -> str:
    if not rows:
        return "<p>Nothing was left out.</p>"
    cells = ((row["count"], row["kind"], row["reason"], ", ".join(map(str, _listed(row)))) for row in rows)
    return _table(("count", "what", "reason", "such as"), cells)


def _listed(row: Mapping[str, object]) -> list[object]:
    examples = row["examples"]
    return list(examples) if isinstance(examples, list | tuple) else [examples]


def _table(
    titles: Sequence[str], rows: Iterable[Iterable[object]], best: int | None = None, is_text: bool = True
) -> str:
    kind = ' class="text"' if is_text else ""
    head = "".join(f"<th{kind}>{escape(title)}</th>" for title in titles)
    lines = []
    for index, row in enumerate(rows):
        cells = "".join(f"<td{kind}>{escape(str(value))}</td>" for value in row)
        lines.append(f"<tr{' class=best' if index == best else ''}>{cells}</tr>")
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _number(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
