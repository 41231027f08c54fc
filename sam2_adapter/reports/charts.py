"""Line charts as SVG that takes its colours from the page around it, so that one picture suits light and dark."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = Sequence[tuple[float, float]]

# In points; about the width of half a page and of a phone, where the text is read as it is drawn.
_SIZE = (340.0, 215.0)
_FONT_SIZE = 11.0
_MARGIN = 3.0

# Lines of up to this many points show every point.
_MOST_DOTS = 40

# Colours that a chart is drawn in stand for those of the page, which knows whether it is light or dark.
_INK, _GRID, _MARK = "#000001", "#000002", "#000003"
_PAGE_COLORS = {_INK: "var(--soft, #6d6a64)", _GRID: "var(--line, #e6e2da)", _MARK: "var(--ink, #1d1c1a)"}

# Colours that people with red-green blindness tell apart (Okabe and Ito, https://jfly.uni-koeln.de/color/), as fallbacks.
_SERIES_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Chart:
    """A chart for a page.

    Attributes:
        title: what it shows, with the power of ten that is left out of the numbers along its axis.
        svg: an `<svg>` element; its colours are the page's `--soft`, `--line`, `--ink` and `--series-1`, `--series-2`, ...
        legend: name and CSS colour of each line; empty where there is only one.
    """

    title: str
    svg: str
    legend: tuple[tuple[str, str], ...]


def line_chart(
    title: str, series: Mapping[str, Points], x_label: str, marked_x: float | None = None, mark: str = ""
) -> Chart | None:
    """Draw lines over a common axis of whole numbers.

    Args:
        title: what the chart shows; also told to screen readers.
        series: name to (x, y) points, in the order of x, at most four; points that are not finite are left out.
        x_label: what x is.
        marked_x: where a vertical line stands.
        mark: what stands above that line.

    Returns:
        The chart; `None` where there is nothing to draw.
    """
    drawn = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in series.items()}
    drawn = {name: points for name, points in drawn.items() if points}
    if not drawn:
        return None
    legend = tuple((name, _series_color(index)) for index, name in enumerate(drawn))
    power = _power(y for points in drawn.values() for _, y in points)
    if power:
        title = f"{title}, × 10{str(power).translate(_SUPERSCRIPTS)}"
        drawn = {name: [(x, y * 10.0**-power) for x, y in points] for name, points in drawn.items()}
    return Chart(title, _svg(title, drawn, x_label, marked_x, mark), legend if len(legend) > 1 else ())


def _svg(title: str, drawn: Mapping[str, Points], x_label: str, marked_x: float | None, mark: str) -> str:
    # Slow to import, and only pages need it.
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # Text stays text: it can be read aloud and searched. The salt makes names of the parts differ between charts.
    with rc_context({"font.size": _FONT_SIZE, "svg.fonttype": "none", "svg.hashsalt": title}):
        figure = Figure(figsize=(_SIZE[0] / 72, _SIZE[1] / 72))
        FigureCanvasSVG(figure)  # texts are measured as they are drawn
        axes = figure.add_subplot()
        for index, points in enumerate(drawn.values()):
            _draw_line(axes, index, points)
        xs = [x for points in drawn.values() for x, _ in points] + ([] if marked_x is None else [marked_x])
        _draw_axes(axes, (min(xs), max(xs)), x_label)
        if marked_x is not None:
            _draw_mark(axes, marked_x, mark)
        _fill(figure, axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_page(file.getvalue(), title)


def _draw_line(axes: Axes, index: int, points: Points) -> None:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    marker = "o" if len(points) <= _MOST_DOTS else None
    axes.plot(xs, ys, color=_series_sentinel(index), linewidth=1.8, marker=marker, markersize=3.2)


def _draw_axes(axes: Axes, x_range: tuple[float, float], x_label: str) -> None:
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    first, last = x_range
    margin = 0.03 * max(last - first, 1)
    axes.set_xlim(first - margin, max(last, first + 1) + margin)
    axes.set_xlabel(x_label, color=_INK)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0, pad=5)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(_GRID)


def _draw_mark(axes: Axes, x: float, text: str) -> None:
    axes.axvline(x, color=_MARK, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
    first, last = axes.get_xlim()
    side = "left" if x < first + 0.25 * (last - first) else "right" if x > last - 0.25 * (last - first) else "center"
    axes.annotate(
        text, (x, 1), (0, 4), xycoords=axes.get_xaxis_transform(), textcoords="offset points", ha=side, color=_MARK
    )


def _fill(figure: Figure, axes: Axes) -> None:
    """Give the axes the room that their texts leave; matplotlib's own layout measures and draws everything several times for that."""
    inner, outer, whole = axes.get_window_extent(), axes.get_tightbbox(for_layout_only=True), figure.bbox
    assert outer is not None  # they are visible
    margin = _MARGIN * figure.dpi / 72
    x0, y0 = inner.x0 - outer.x0 + margin, inner.y0 - outer.y0 + margin
    x1, y1 = whole.x1 - (outer.x1 - inner.x1) - margin, whole.y1 - (outer.y1 - inner.y1) - margin
    axes.set_position((x0 / whole.width, y0 / whole.height, (x1 - x0) / whole.width, (y1 - y0) / whole.height))


def _power(values: Iterable[float]) -> int:
    """The power of ten that is told in the title, so that the numbers along the axis are short."""
    largest = max(abs(value) for value in values)
    exponent = math.floor(math.log10(largest)) if largest else 0
    return exponent if exponent < -2 or exponent > 3 else 0


def _series_sentinel(index: int) -> str:
    return f"#0001{index:02d}"


def _series_color(index: int) -> str:
    return f"var(--series-{index + 1}, {_SERIES_COLORS[index]})"


def _for_page(svg: str, title: str) -> str:
    """The element alone, without what would act on the page around it, in the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="[a-zA-Z0-9.]+_\d+"|font-family: [^;]*; ', "", svg)
    for index in range(len(_SERIES_COLORS)):
        svg = svg.replace(_series_sentinel(index), _series_color(index))
    for sentinel, color in _PAGE_COLORS.items():
        svg = svg.replace(sentinel, color)
    size = re.search(r'viewBox="([^"]+)"', svg)
    assert size is not None  # matplotlib always writes one
    return re.sub(
        r"<svg.*?>", f'<svg viewBox="{size[1]}" role="img" aria-label="{escape(title)}">', svg, count=1, flags=re.DOTALL
    )
