"""The general set: what ships is attributed and never trained on, another one may take its place, and a loss is told."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.training import general
from sam2_adapter.training.encoding import SampleEmbeddings
from sam2_adapter.training.general import (
    GeneralChange,
    GeneralImages,
    GeneralQuality,
    GeneralSet,
    evenly,
    load_general,
    mean_general,
    measure_general,
)
from tests.small_model import small_predictor
from tests.training.small_run import make_label_maps, make_samples

ASSETS = Path(str(resources.files("sam2_adapter"))) / "assets"


def test_the_bundled_photographs_are_attributed_one_by_one_and_small() -> None:
    text = (ASSETS / "general" / "ATTRIBUTION.md").read_text()
    named = re.findall(
        r"^\| (\d{12})\.jpg \| https://www\.flickr\.com/photo\.gne\?id=\d+ \| .* \| CC BY 2\.0 \|$", text, re.M
    )
    images = {path.stem for path in (ASSETS / "general" / "images").iterdir()}
    assert images == set(named) == {path.stem for path in (ASSETS / "general" / "masks").iterdir()}
    assert 18 <= len(images) <= 25
    assert "CC BY 4.0" in text
    assert sum(path.stat().st_size for path in (ASSETS / "general").rglob("*.*")) <= 2_000_000


def test_the_bundled_model_was_not_trained_on_them() -> None:
    trained_on = re.findall(r"^\| coco-\w+/(\d{12}) \|", (ASSETS / "sam2_nano.md").read_text(), re.M)
    assert len(trained_on) > 100
    assert not {path.stem for path in (ASSETS / "general" / "images").iterdir()} & set(trained_on)


def test_the_bundled_set_has_objects_that_even_a_small_model_can_see() -> None:
    found = load_general("bundled")
    assert found is not None
    assert (found.name, len(found.samples)) == ("the bundled photographs", 21)
    objects = [(sample, item) for sample in found.samples for item in sample.objects]
    assert len(objects) == 52
    for sample, item in objects:
        x0, y0, x1, y1 = item.box_xyxy
        assert (x1 - x0) * 16 >= sample.original_hw[1], sample.name
        assert (y1 - y0) * 16 >= sample.original_hw[0], sample.name


def test_none_switches_it_off() -> None:
    assert load_general("none") is None


def test_another_data_set_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = load_general(str(make_label_maps(tmp_path / "mine", 5)))
    assert found is not None
    assert (found.name, [len(sample.objects) for sample in found.samples]) == ("mine", [2] * 5)
    monkeypatch.setattr(general, "MOST_IMAGES", 3)
    monkeypatch.setattr(general, "MOST_OBJECTS", 1)
    fewer = load_general(str(tmp_path / "mine"))
    assert fewer is not None
    assert [sample.name for sample in fewer.samples] == ["5_0.png", "5_1.png", "5_3.png"]
    assert [len(sample.objects) for sample in fewer.samples] == [1] * 3


def test_a_set_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"general_set = '.*nowhere': there is no such data set\. Give its path, or 'bundled'"
    ):
        load_general(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="not a known data set"):
        load_general(str(tmp_path / "empty"))


def test_a_set_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    samples = tuple(make_samples(tmp_path, 1))
    embeddings = SampleEmbeddings.__new__(SampleEmbeddings)
    embeddings._broken = {0: "0_0.png is cut off"}
    with pytest.raises(
        DataError, match=r"None of the images of the general set mine can be read \(0_0.png is cut off\)"
    ):
        GeneralSet(GeneralImages("mine", samples), embeddings)


def test_every_object_is_measured_from_its_box_and_from_one_click(tmp_path: Path) -> None:
    predictor = small_predictor()
    (sample,) = make_samples(tmp_path, 1)
    found = measure_general(predictor, sample, predictor.embed([sample.read_image()])[0], True)
    assert len(found) == len(sample.objects)
    assert all(0 <= iou <= 1 for pair in found for iou in pair)


def test_the_mean_does_not_depend_on_the_order() -> None:
    ious = [(0.1, 0.7), (0.2, 0.1), (0.3, 0.3)]
    assert mean_general(ious) == mean_general(ious[::-1])
    assert mean_general(ious).miou_box == pytest.approx(0.2)
    assert mean_general([(0.25, 0.5), (0.75, 0.25)]) == GeneralQuality(0.5, 0.375)
    assert GeneralQuality(0.5, 0.375).score == 0.4375


@pytest.mark.parametrize(
    ("after", "is_told"), [((0.46, 0.36), False), ((0.44, 0.40), True), ((0.6, 0.34), True), ((0.6, 0.5), False)]
)
def test_a_loss_of_more_than_a_twentieth_from_either_prompt_is_told(after: tuple[float, float], is_told: bool) -> None:
    change = GeneralChange("photographs", 21, 52, GeneralQuality(0.5, 0.4), GeneralQuality(*after))
    assert (change.warning is not None) == is_told
    went = "rose" if after[0] > 0.5 else "fell"
    assert (
        f"(52 objects in 21 images), which nothing was trained on, mean IoU from boxes {went} from 0.500 to {after[0]:.3f}, and"
        in change.sentence
    )
    assert change.to_dict()["lost"] == pytest.approx(max(0.5 - after[0], 0.4 - after[1]))


def test_an_interrupted_run_says_what_was_before() -> None:
    change = GeneralChange("photographs", 1, 1, GeneralQuality(0.5, 0.4))
    assert (
        change.sentence
        == "On photographs (1 object in 1 image) mean IoU was 0.500 from boxes and 0.400 from one click."
    )
    assert change.warning is None
    assert change.to_dict()["after"] is None


def test_items_are_taken_evenly() -> None:
    assert evenly(range(10), 3) == [0, 3, 6]
    assert evenly(range(3), 5) == [0, 1, 2]
