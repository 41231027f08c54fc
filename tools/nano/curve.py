"""Draw the training curve of a run as SVG: python tools/nano/curve.py runs/nano/log.jsonl docs/nano_curve.svg."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Points = list[tuple[float, float]]

_WIDTH, _HEIGHT = 720, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 150, 20, 45
_COLOURS = (
    "#1b6ca8",
    "#c8553d",
    "#3a7d44",
    "#a9cce3",
    "#f0b7ab",
    "#7d5ba6",
    "#c9a227",
    "#555555",
    "#8fbf9f",
    "#d98cb3",
)
_ROUNDS = (("box", "box"), ("1 click", "click_1"), ("5 clicks", "click_5"))
# Of the second part: what the training pictures say is noisy, and what is drawn of each validation set.
_ROUNDS_OF_SETS = (("box", "box"), ("1 click", "click_1"))


def read_log(path: Path) -> tuple[dict[str, Points], list[float]]:
    """Curves of (steps, mean IoU), and the steps at which the model input grew."""
    curves: dict[str, Points] = {}
    growth: list[float] = []
    for line in path.read_text("utf-8").splitlines():
        entry = json.loads(line)
        if "plan" in entry:
            growth = [entry["plan"]["small_steps"]]
            continue
        for name, value in _values(entry):
            curves.setdefault(name, []).append((entry["step"], value))
    return {name: _newest(curves[name]) for name in sorted(curves)}, growth


def _values(entry: dict[str, Any]) -> list[tuple[str, float]]:
    """Names of curves and their values in a line of the log; figures of one set, or of several by name."""
    if "validation" not in entry:
        return [("training: box", entry["box_iou"]), ("training: 1 click", entry["click_best_iou"])]
    found = entry["validation"]
    if "box" in found:
        return [(f"validation: {name}", found[key]) for name, key in _ROUNDS]
    return [(f"{part}: {name}", values[key]) for part, values in found.items() for name, key in _ROUNDS_OF_SETS]


def draw(curves: dict[str, Points], growth: list[float]) -> str:
    """The picture as SVG text."""
    last = max(step for points in curves.values() for step, _ in points)

    def place(step: float, value: float) -> tuple[float, float]:
        x = _LEFT + step / last * (_WIDTH - _LEFT - _RIGHT)
        return x, _HEIGHT - _BOTTOM - value * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_axes(place, last)]
    parts += [_vertical(place, step, "256 px from here") for step in growth if step < last]
    colours = dict(zip(curves, _COLOURS, strict=False))
    parts += [_line(place, points, colours[name]) for name, points in curves.items()]
    parts += [_legend(index, name, colours[name]) for index, name in enumerate(curves)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11">'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>', *parts, "</svg>\n"])


def _newest(points: Points) -> Points:
    # A resumed run logs some steps twice: the later line counts.
    return sorted(dict(points).items())


def _axes(place: Callable[[float, float], tuple[float, float]], last: float) -> str:
    parts = []
    for tenth in range(0, 11, 2):
        (x0, y), (x1, _) = place(0, tenth / 10), place(last, tenth / 10)
        parts.append(f'<path d="M{x0:.0f} {y:.1f}H{x1:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x0 - 6:.0f}" y="{y + 4:.1f}" text-anchor="end">{tenth / 10:.1f}</text>')
    for quarter in range(5):
        x, y = place(last * quarter / 4, 0)
        parts.append(f'<text x="{x:.0f}" y="{y + 16:.0f}" text-anchor="middle">{last * quarter / 4:.0f}</text>')
    x, y = place(last / 2, 0)
    parts.append(f'<text x="{x:.0f}" y="{y + 34:.0f}" text-anchor="middle">optimiser steps; upright: mean IoU</text>')
    return "\n".join(parts)


def _vertical(place: Callable[[float, float], tuple[float, float]], step: float, text: str) -> str:
    (x, low), (_, high) = place(step, 0), place(step, 1)
    line = f'<path d="M{x:.0f} {low:.0f}V{high:.0f}" stroke="#888" stroke-dasharray="4 3"/>'
    return f'{line}\n<text x="{x + 4:.0f}" y="{low - 6:.0f}" fill="#555">{text}</text>'


def _line(place: Callable[[float, float], tuple[float, float]], points: Points, colour: str) -> str:
    path = " ".join("{:.1f},{:.1f}".format(*place(step, value)) for step, value in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def _legend(index: int, name: str, colour: str) -> str:
    x, y = _WIDTH - _RIGHT + 10, _TOP + 12 + 18 * index
    return f'<path d="M{x} {y - 4}h14" stroke="{colour}" stroke-width="2"/><text x="{x + 18}" y="{y}">{name}</text>'


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(draw(*read_log(Path(sys.argv[1]))), "utf-8")
