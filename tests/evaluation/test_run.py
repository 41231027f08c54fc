"""A whole evaluation: what is measured with, both models, progress, and the report as data and as text."""

from __future__ import annotations

import json

import pytest

from sam2_adapter.config import Config
from sam2_adapter.evaluation.run import run_evaluation
from tests.disc_data import make_disc_data


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    data = make_disc_data(tmp_path_factory.mktemp("discs") / "data")
    steps = []
    config = Config(device="cpu", precision="fp32", runtime="torch", model_cfg="sam2_nano")
    report = run_evaluation(
        data,
        None,
        config,
        split="validation",
        prompts=("box",),
        compare_with="sam2_nano",
        progress=lambda *step: steps.append(step),
    )
    return data, report, steps


def test_progress_counts_the_images_of_both_models(told):
    _, _, steps = told
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_model_beside_itself_differs_by_nothing(told):
    _, report, _ = told
    document = report.to_dict()
    assert document["evaluations"] == document["compared_with"]
    difference = document["comparisons"]["box"]["differences"]["miou"]
    assert difference["difference"] == 0
    assert report.evaluations["box"].summary()["num_objects"] == 4


def test_the_report_says_what_was_measured_with(told):
    data, report, _ = told
    assert (report.data["path"], report.data["split"]) == (str(data), "validation")
    assert (report.data["num_images"], report.data["num_objects"]) == (2, 4)
    assert json.loads(json.dumps(report.to_dict()))["data"]["split"] == "validation"
    text = report.to_text()
    assert text.startswith(f"2 images, 4 objects of {data} (validation)\n\nbox: sam2_nano ")
    assert "box: difference, with 95 % interval over images" in text


def test_all_images_are_measured_as_they_are_without_a_choice_for_validation(tmp_path):
    data = make_disc_data(tmp_path / "data", with_splits=False)
    for name in "bcdefg":  # a single image, whose objects a training would share out
        for folder in ("images", "masks"):
            (data / folder / f"{name}.png").unlink()
    config = Config(device="cpu", precision="fp32", runtime="torch", model_cfg="sam2_nano")
    report = run_evaluation(data, None, config, split="all", prompts=("box",))
    assert (report.data["num_images"], report.data["num_objects"]) == (1, 2)
    assert not [note for note in report.data["notes"] if "validation" in note]
