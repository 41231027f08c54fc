"""Line charts as SVG text, for pages that load nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]

# Colours that people with red-green blindness tell apart (Okabe and Ito, https://jfly.uni-koeln.de/color/).
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")

_WIDTH, _HEIGHT = 460, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 14, 42
_TICKS = 4


def line_chart(series: Mapping[str, Points], x_label: str, marked_x: float | None = None) -> str:
    """Draw lines over a common axis.

    Args:
        series: name to (x, y) points, in the order of x; points that are not finite are left out.
        x_label: what x is.
        marked_x: where a vertical line stands.

    Returns:
        An `<svg>` element; empty text where there is nothing to draw.
    """
    drawn = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in series.items()}
    everything = [point for points in drawn.values() for point in points]
    if not everything:
        return ""
    scale = _Scale(everything)
    parts = [_axes(scale, x_label)]
    if marked_x is not None:
        x = scale.x(marked_x)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" class="mark"/>')
    for index, (name, points) in enumerate(drawn.items()):
        parts.append(_line(scale, points, _COLORS[index % len(_COLORS)]))
        parts.append(_legend(name, index))
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 20}" role="img">{"".join(parts)}</svg>'


class _Scale:
    """From values to positions in the picture."""

    def __init__(self, points: Points) -> None:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        self.x_range = (min(xs), max(max(xs), min(xs) + 1))
        margin = 0.05 * (max(ys) - min(ys)) or 0.05 * abs(max(ys)) or 1.0
        self.y_range = (min(ys) - margin, max(ys) + margin)

    def x(self, value: float) -> float:
        low, high = self.x_range
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(scale: _Scale, x_label: str) -> str:
    (first, last), (low, high) = scale.x_range, scale.y_range
    parts = []
    for tick in range(_TICKS + 1):
        value = low + (high - low) * tick / _TICKS
        y = scale.y(value)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for epoch in sorted({round(first + (last - first) * tick / _TICKS) for tick in range(_TICKS + 1)}):
        x = scale.x(epoch)
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{epoch}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return "".join(parts) + f'<text x="{middle:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>'


def _line(scale: _Scale, points: Points, color: str) -> str:
    positions = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{scale.x(x):.1f}" cy="{scale.y(y):.1f}" r="2" fill="{color}"/>' for x, y in points)
    return f'<polyline points="{positions}" fill="none" stroke="{color}" stroke-width="1.8"/>{dots}'


def _legend(name: str, index: int) -> str:
    x, color = _LEFT + 100 * index, _COLORS[index % len(_COLORS)]
    line = f'<line x1="{x}" x2="{x + 14}" y1="{_HEIGHT + 8}" y2="{_HEIGHT + 8}" stroke="{color}" stroke-width="3"/>'
    return f'{line}<text x="{x + 18}" y="{_HEIGHT + 12}">{escape(name)}</text>'
