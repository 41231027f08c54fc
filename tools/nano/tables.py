"""Tables for docs/nano.md from what evaluate.py wrote: python tools/nano/tables.py BEFORE.json AFTER.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_ROWS = (
    "filled box",
    "inscribed ellipse",
    "box",
    "box, cut at it",
    "1 click",
    "2 clicks",
    "3 clicks",
    "5 clicks",
    "10 clicks",
    "20 clicks",
    "ellipse in the image",
    "whole image",
)


def table(before: dict[str, Any], after: dict[str, Any]) -> str:
    """One size group of one data set, the earlier weights' means beside the present ones."""
    lines = [
        "| prompt | before | now | 95 % interval | score | calibration error | rank correlation |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in (name for name in _ROWS if name in after):
        figures = after[name]
        earlier = before.get(name, {}).get("mean_iou")
        low, high = figures["interval"]
        cells = [name, _number(earlier), _number(figures["mean_iou"]), f"{low:.3f} to {high:.3f}"]
        cells += [_number(figures.get(key)) for key in ("score", "calibration_error", "spearman")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tables(before: dict[str, Any], after: dict[str, Any]) -> str:
    """All data sets and size groups."""
    parts = []
    for name, groups in after.items():
        if not isinstance(groups, dict):
            continue
        for group, figures in groups.items():
            objects = max(one["objects"] for key, one in figures.items() if key != "all prompts")
            parts.append(
                f"{name}, {group}, {objects} objects:\n\n" + table(before.get(name, {}).get(group, {}), figures)
            )
    return "\n\n".join(parts) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    first, second = (json.loads(Path(path).read_text("utf-8")) for path in sys.argv[1:3])
    sys.stdout.write(tables(first, second))
