"""The report: one page that loads nothing, with what a run came to."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image

from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.reports.charts import line_chart
from sam2_adapter.training.trainer import train
from tests.training.small_run import make_samples, small_config_of_run, small_loaded_model


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("run")
    left_out = LeftOut()
    left_out.add_object(Reason.TOO_SMALL, "<b>tiny</b>.png: 3")
    data = make_samples(folder / "images", 2), make_samples(folder / "images", 2, seed=1)
    result = train(small_loaded_model(), *data, folder, small_config_of_run(num_epochs=2), left_out=left_out)
    page = (folder / "report.html").read_text()
    assert result.summary in page
    return page


def test_the_page_loads_nothing(page):
    sources = re.findall(r'(?:src|href)\s*=\s*"([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"@import|<script|<link|url\(", page)


def test_the_page_shows_before_and_after_of_three_objects(page):
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', page)
    assert len(pictures) == 6
    for picture in pictures:
        assert max(Image.open(io.BytesIO(base64.b64decode(picture))).size) == 280
    assert [rank in page for rank in ("best: disc", "median: disc", "worst: disc")] == [True] * 3


def test_the_page_has_curves_tables_and_escapes_names(page):
    assert page.count("<svg") == 4
    assert "mask is too small" in page
    assert "&lt;b&gt;tiny&lt;/b&gt;.png: 3" in page
    assert "<b>tiny" not in page
    for text in ("learning_rate", "images encoded", "training objects", "boundary F"):
        assert text in page


def test_charts_leave_out_what_cannot_be_drawn():
    assert line_chart({"a": [], "b": [(0, float("nan"))]}, "epoch") == ""
    chart = line_chart({"a": [(0, 1.0), (1, float("inf")), (2, 3.0)], "flat": [(0, 1.0)]}, "epoch", marked_x=2)
    assert chart.count("<polyline") == 2
    assert chart.count("<circle") == 3
    assert "nan" not in chart
    assert "inf" not in chart
