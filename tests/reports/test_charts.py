"""Curves: what is drawn, what is left out, and numbers along the axes that can be read."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from sam2_adapter.reports.charts import line_chart


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def lines(svg: str) -> list[str]:
    """The paths of the curves, which are drawn in the colours of series."""
    return re.findall(r'<path d="([^"]*)"[^>]*stroke: var\(--series-\d[^>]*stroke-width: 1.8', svg)


def test_nothing_to_draw_is_no_chart():
    assert line_chart("t", {"a": [], "b": [(0, float("nan"))]}, "epoch") is None


def test_values_that_are_not_finite_are_left_out():
    chart = line_chart("t", {"a": [(0, 1.0), (1, float("inf")), (2, 3.0)], "flat": [(0, 1.0)]}, "epoch", marked_x=2)
    assert [len(re.findall(r"[ML] ", path)) for path in lines(chart.svg)] == [2, 1]
    assert "nan" not in chart.svg
    assert "inf" not in chart.svg


def test_one_line_needs_no_legend():
    assert line_chart("t", {"a": [(0, 1.0)]}, "epoch").legend == ()
    chart = line_chart("t", {"a": [(0, 1.0)], "none": [], "b": [(0, 2.0)]}, "epoch")
    assert chart.legend == (("a", "var(--series-1, #0072b2)"), ("b", "var(--series-2, #d55e00)"))


@pytest.mark.parametrize(
    ("values", "title"),
    [
        ([0.000916, 0.0002], "t, × 10⁻⁴"),
        ([5e-8, 1e-8], "t, × 10⁻⁸"),
        ([0.8, 0.9], "t"),
        ([123456.0, 1.0], "t, × 10⁵"),
        ([0.0], "t"),
    ],
)
def test_numbers_along_the_axis_are_short(values, title):
    chart = line_chart("t", {"a": list(enumerate(values))}, "epoch")
    assert chart.title == title
    assert all(len(text) <= 6 for text in texts(chart.svg))


@pytest.mark.parametrize("values", [[0.5, 0.6], [0.0, 1000.0], [0.81234, 0.8123]])
def test_texts_have_the_room_that_they_need_and_no_more(values):
    svg = line_chart("t", {"a": list(enumerate(values))}, "epoch", marked_x=1, mark="saved").svg
    found = re.findall(r'<text[^>]*anchor: (\w+)[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)', svg)
    texts_at = {text: (anchor, float(x), float(y)) for anchor, x, y, text in found}
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
    # Of the font that the charts are measured with, a digit is 7 points wide and a full stop half as much.
    numbers = [
        (x, text) for text, (anchor, x, _) in texts_at.items() if anchor == "end" and text.replace(".", "").isdigit()
    ]
    assert min(x - sum(3.5 if character == "." else 7 for character in text) for x, text in numbers) == pytest.approx(
        3, abs=0.5
    )
    assert texts_at["epoch"][2] == pytest.approx(height - 5.6, abs=0.5)  # below the line is the foot of the p
    assert texts_at["saved"][2] == pytest.approx(11.4, abs=0.5)
    assert texts_at["1"][1] == pytest.approx(width - 11.4, abs=0.5)


@pytest.mark.parametrize("last", [0, 1, 8, 120])
def test_epochs_are_whole_numbers(last):
    chart = line_chart("t", {"a": [(epoch, 0.5) for epoch in range(last + 1)]}, "epoch")
    before, _, _ = chart.svg.partition(">epoch<")
    ticks = texts(before)
    assert ticks == [str(int(tick)) for tick in ticks]
    assert 2 <= len(ticks) <= 8


def test_colours_are_those_of_the_page():
    chart = line_chart("a < b", {"a": [(0, 1.0), (1, 2.0)]}, "epoch", marked_x=1, mark="saved")
    assert "saved" in texts(chart.svg)
    assert 'aria-label="a &lt; b"' in chart.svg
    assert "#0000" not in chart.svg
    assert "#0001" not in chart.svg
    assert set(re.findall(r"var\(--([a-z0-9-]+)", chart.svg)) == {"soft", "line", "ink", "series-1"}


def test_two_charts_of_one_page_do_not_share_names():
    charts = [line_chart(title, {"a": [(0, 1.0), (1, 2.0)]}, "epoch").svg for title in ("one", "two")]
    names = [set(re.findall(r'id="([^"]*)"', chart)) for chart in charts]
    assert names[0]
    assert not names[0] & names[1]


def test_the_same_chart_is_the_same_text():
    assert len({line_chart("t", {"a": [(0, 1.0), (1, 2.0)]}, "epoch").svg for _ in range(2)}) == 1


@pytest.mark.slow
def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, sam2_adapter.reports.charts; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
