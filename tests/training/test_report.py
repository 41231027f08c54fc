"""The report: one page that loads nothing, with what a run came to."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from sam2_adapter.config import Config
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.training.blend_choice import BlendChoice, BlendPoint
from sam2_adapter.training.examples import Example
from sam2_adapter.training.general import GeneralChange, GeneralQuality
from sam2_adapter.training.quality import Figures
from sam2_adapter.training.records import EpochRecord, TrainingResult
from sam2_adapter.training.report import RunFacts, report_html
from sam2_adapter.training.trainer import train
from tests.browser import SCHEMES, WIDTHS, faults_everywhere, opened
from tests.training.small_run import make_samples, small_config_of_run, small_loaded_model

RECORD = EpochRecord(
    epoch=0, loss=None, loss_pixels=None, loss_dice=None, loss_iou_score=None, loss_object_score=None, miou_box=0.8125,
    miou_click=0.5, miou_clicks=0.75, miou_20_clicks=0.6875, boundary_f=0.75, score_error=0.0625, score=0.6875, is_best=True, learning_rate=None,
    gradient_norm=None, skipped_steps=0, micro_batch=8, training_seconds=0.0, evaluation_seconds=2.0, memory_mib=100.0,
    device_memory_mib=0.0, iou_by_click=(0.5, *(0.75,) * 18, 0.6875),
)  # fmt: skip

FACTS = RunFacts(
    base_sha256="0123456789abcdef" * 4,
    data="nuclei (label maps)",
    num_training_images=1,
    num_training_objects=87,
    num_validation_images=4,
    config=Config(num_epochs=3, learning_rate=5e-4),
    about={"device": "cpu"},
)


def make_result(num_epochs: int = 3, best_epoch: int = 2, name: str = "my nuclei", **changes: object) -> TrainingResult:
    trained = replace(RECORD, loss=1.0, loss_pixels=0.25, loss_dice=0.5, loss_iou_score=0.125, loss_object_score=0.0)
    history = [RECORD] + [
        replace(
            trained,
            epoch=epoch,
            loss=1 / epoch,
            miou_click=0.5 + 0.25 * (epoch == best_epoch),
            score=0.6875 + 0.0625 * (epoch == best_epoch),
            boundary_f=0.75 - 0.01 * epoch,
            learning_rate=5e-4 / epoch,
        )
        for epoch in range(1, num_epochs + 1)
    ]
    values = {
        "name": name,
        "base": "sam2_nano",
        "model_path": Path("run") / "best model.torch",
        "weights_sha256": "f" * 64,
        "best_epoch": best_epoch,
        "gained": history[best_epoch].score - history[0].score,
        "epochs": num_epochs,
        "stopped": "all epochs done",
        "history": tuple(history),
        "seconds": 61.4,
    }
    return TrainingResult(**{**values, **changes})


def make_example(rank: str, sample: str = "a.png") -> Example:
    file = io.BytesIO()
    Image.new("RGB", (90, 60), (90, 40, 20)).save(file, "JPEG")
    picture = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    return Example(rank, sample, "nucleus", 0.5, 0.75, picture, picture)


EXAMPLES = [make_example(rank) for rank in ("best", "median", "worst")]

LONG = "a_folder_with_a_very_long_name_without_any_space_in_it_" * 3
LEFT_OUT = (
    {"kind": "object", "reason": "mask is too small", "count": 12345, "examples": [f"{LONG}.png: object 7"] * 3},
)

UNCHANGED = GeneralChange("the bundled photographs", 21, 52, GeneralQuality(0.61, 0.38), GeneralQuality(0.6102, 0.382))
GENERAL = GeneralChange("the bundled photographs", 21, 52, GeneralQuality(0.61, 0.38), GeneralQuality(0.43, 0.12))
BLEND = BlendChoice(
    0.5,
    "blend = 0.5 was set",
    tuple(
        BlendPoint(share, Figures(0.8125, 0.5 + share / 4, 0.75, 0.75, 0.0625, (0.5 + share / 4,) * 20), general)
        for share, general in ((0.0, GENERAL.before), (0.5, GENERAL.after), (1.0, GENERAL.after))
    ),
)

PAGES = {
    "ordinary": lambda: report_html(make_result(), FACTS, EXAMPLES, 38),
    "nothing gained": lambda: report_html(make_result(1, 0), FACTS, EXAMPLES[:1], 1),
    "long": lambda: report_html(
        make_result(120, 119, LONG, left_out=LEFT_OUT),
        replace(FACTS, data=LONG),
        [make_example("best", LONG)] * 3,
        9999,
    ),
    "blended": lambda: report_html(make_result(blend=BLEND, general=GENERAL), FACTS, EXAMPLES, 38),
    "interrupted": lambda: report_html(make_result(0, 0, stopped="interrupted"), FACTS, [], 38),
}


@cache
def page_of(name: str) -> str:
    """A page of PAGES, made when a test first looks at it."""
    return PAGES[name]()


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page.partition("</style>")[2]))


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("run")
    left_out = LeftOut()
    left_out.add_object(Reason.TOO_SMALL, "<b>tiny</b>.png: 3")
    data = make_samples(folder / "images", 2), make_samples(folder / "images", 2, seed=1)
    train(small_loaded_model(), *data, folder, small_config_of_run(num_epochs=2), left_out=left_out, name="<i>discs")
    return (folder / "report.html").read_text()


@pytest.mark.slow
def test_the_page_loads_nothing(page):
    sources = re.findall(r'(?:src|href)\s*=\s*"([^"]*)"', page)
    assert sources
    assert all(re.match(r"data:image/|#", source) for source in sources)
    assert not re.search(r"@import|<script|<link", page)
    assert set(re.findall(r"url\((.)", page)) == {"#"}


@pytest.mark.slow
def test_the_page_shows_before_and_after_of_three_objects(page):
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', page)
    assert len(pictures) == 6
    for picture in pictures:
        width, height = Image.open(io.BytesIO(base64.b64decode(picture))).size
        assert max(width, height) == 360
    assert re.findall(r"<h3>(Best|Median|Worst)</h3>", page) == ["Best", "Median", "Worst"]
    shown = [float(iou) for iou in re.findall(r"after: IoU <b>([\d.]+)</b>", page)]
    assert shown == sorted(shown, reverse=True), "they are ordered by the figure that stands below them"


@pytest.mark.slow
def test_the_page_has_curves_tables_and_escapes_names(page):
    assert page.count("<svg") == 6
    assert "mask is too small" in page
    assert "&lt;b&gt;tiny&lt;/b&gt;.png: 3" in page
    assert "<title>&lt;i&gt;discs: fine-tuning report</title>" in page
    assert "<b>tiny" not in page
    assert "<i>discs" not in page
    for text in ("learning_rate", "images encoded", "boundary F"):
        assert text in page


def test_base_model_data_and_change_stand_in_the_first_paragraph():
    assert (
        "my nuclei is sam2_nano (weights 0123456789ab), fine-tuned on 87 objects in 1 image of nuclei (label maps) and measured with "
        "38 objects in 4 validation images. Epoch 2 of 3 is the best and was saved: mean IoU over boxes, one click, five "
        "and twenty clicks rose from 0.688 to 0.750 (+0.062). Trained were the prompt encoder and the mask decoder; the image encoder is as it was."
    ) in text_of(page_of("ordinary"))


def test_it_is_told_where_only_candidates_have_learned():
    facts = replace(FACTS, config=Config(num_epochs=3, trained_parts="candidates"))
    text = text_of(report_html(make_result(), facts, EXAMPLES, 38))
    assert "Trained was only what draws and scores the candidates of a click; the image encoder is as it was." in text
    assert "the prompt encoder and the mask decoder" not in text


def test_what_was_forgotten_and_what_was_blended_is_told():
    page = page_of("blended")
    text = text_of(page)
    assert (
        "was saved with 0.5 of its weights, the rest untouched: mean IoU over boxes, one click, five and twenty clicks rose"
        in text
    )
    lead = text[: text.index("What changed")]
    assert "mean IoU from boxes fell from 0.610 to 0.430, and from one click it fell from 0.380 to 0.120." in lead
    assert "That is a loss of more than 0.05: the saved model has forgotten." in lead
    assert page.count("<svg") == 7
    assert re.findall(r'<tr( class="saved")?><td>(0|0\.5|1)</td><td>0\.812</td>', page) == [
        ("", "0"),
        (' class="saved"', "0.5"),
        ("", "1"),
    ]


def test_a_figure_that_is_shown_as_before_did_not_change():
    result = make_result()
    before = replace(result.history[0], score=0.7497)
    result = replace(result, history=(before, *result.history[1:]), general=UNCHANGED)
    text = text_of(report_html(result, FACTS, EXAMPLES, 38))
    assert "mean IoU over boxes, one click, five and twenty clicks did not change (0.750). On" in text
    assert "mean IoU from boxes did not change (0.610), and from one click it rose from 0.380 to 0.382." in text


def test_a_run_without_gain_or_epoch_says_so():
    text = text_of(page_of("nothing gained"))
    assert (
        "Nothing was gained: in 1 epoch the mean IoU over boxes, one click, five and twenty clicks never rose above the 0.688 of"
        in text
    )
    assert "1 validation object," in text
    assert "Interrupted before the first epoch was done" in text_of(page_of("interrupted"))
    assert "0 epochs; the original model was saved" in text_of(page_of("interrupted"))


def test_changes_are_told_with_their_direction():
    rows = re.findall(r"<tr><td>(.*?)</td>.*?<td( class=\"\w+\")?>([+-][\d.]+)</td></tr>", page_of("ordinary"))
    assert [(name, re.sub(r'.*"(\w+)"', r"\1", verdict), change) for name, verdict, change in rows] == [
        ("IoU from the exact box", "", "+0.000"),
        ("IoU after one click", "up", "+0.250"),
        ("IoU after five clicks", "", "+0.000"),
        ("IoU after twenty clicks", "", "+0.000"),
        ("mean of these four", "up", "+0.062"),
        ("agreement of the outlines (boundary F)", "down", "-0.020"),
        ("error of the model&#39;s own IoU score", "", "+0.000"),
    ]


def test_settings_other_than_the_defaults_come_first():
    changed, others = page_of("ordinary").partition("Settings that have their defaults")[::2]
    assert "<dt>num_epochs</dt><dd>3</dd>" in changed
    assert "<dt>learning_rate</dt><dd>0.0005</dd>" in changed
    assert "<dt>patience</dt><dd>10</dd>" in others
    assert "<dt>num_epochs</dt>" not in others


@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_nothing_overlaps_and_nobody_scrolls_sideways(browser, tmp_path, name):
    path = tmp_path / "report.html"
    path.write_text(page_of(name))
    assert faults_everywhere(browser, path) == {}


@pytest.mark.browser
def test_charts_have_one_size_and_text_that_can_be_read(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page_of("ordinary"))
    for width in WIDTHS:
        with opened(browser, path, width) as window:
            sizes = window.evaluate(
                "[...document.querySelectorAll('svg')].map((svg) => svg.getBoundingClientRect().width)"
            )
            assert len(sizes) == 6
            assert max(sizes) - min(sizes) < 1
            heights = window.evaluate(
                "[...document.querySelectorAll('svg text')].map((text) => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)"
            )
            assert 9 <= min(heights) <= max(heights) <= 18


@pytest.mark.browser
def test_light_and_dark_differ_and_both_have_contrast(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page_of("ordinary"))
    lightness = {}
    for scheme in SCHEMES:
        with opened(browser, path, 1200, scheme) as window:
            colors = window.evaluate(
                "[...document.querySelectorAll('body, svg text')].map((e) => getComputedStyle(e)[e.tagName === 'BODY' ? 'backgroundColor' : 'fill'])"
            )
            lightness[scheme] = [sum(map(int, re.findall(r"\d+", color)[:3])) / 3 for color in colors]
    assert lightness["light"][0] > 200 > 60 > lightness["dark"][0]
    assert all(abs(text - values[0]) > 90 for values in lightness.values() for text in values[1:])
