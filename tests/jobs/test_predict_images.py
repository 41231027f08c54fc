"""`predict_images`, the public call behind `sam2-adapter predict`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import sam2_adapter
from sam2_adapter.config import Config
from sam2_adapter.errors import ConfigError, FolderInUseError, ImageError, OutputExistsError, PromptError
from sam2_adapter.formats.coco.objects import read_coco
from sam2_adapter.formats.cvat.objects import read_cvat
from sam2_adapter.formats.dataloop.objects import read_dataloop_item
from sam2_adapter.formats.labelme.objects import read_labelme
from sam2_adapter.formats.polygon_json import read_polygons
from sam2_adapter.formats.registry import FORMATS
from sam2_adapter.jobs.answers import ImageResult
from sam2_adapter.predict.predictor import Predictor
from tests.small_model import small_predictor

BOX = {"box": [20, 20, 110, 110], "label": "thing"}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return small_predictor()


def test_images_are_predicted_and_written_while_results_are_taken(
    predictor: Predictor, photos: Path, tmp_path: Path
) -> None:
    run = sam2_adapter.predict_images(
        photos, [BOX], model=predictor, output=tmp_path / "out", formats=["masks", "coco"]
    )
    assert (run.num_images, run.directory, run.made_by["name"]) == (2, tmp_path / "out", "small")
    results = list(run)
    assert [(result.task.name, result.error) for result in results] == [("disk.png", None), ("night/square.jpg", None)]
    images = read_coco(tmp_path / "out" / "annotations.json").images
    for result, image in zip(results, images, strict=True):
        assert result.segmentation is not None
        assert [entry.rle for entry in image.annotations] == [entry.rle for entry in result.segmentation.annotations]
        assert all(path.is_file() for path in result.files)


def test_prompts_by_name_and_a_limit(predictor: Predictor, photos: Path, tmp_path: Path) -> None:
    asked = {"disk.png": [BOX, {"points": [[80, 60]], "label": "dot"}]}
    run = sam2_adapter.predict_images([photos], asked, model=predictor, output=tmp_path / "out", overlay=False, limit=1)
    (result,) = run
    assert len(result.task.prompts) == 2
    assert not (tmp_path / "out" / "overlays").exists()


def test_each_run_has_a_folder_of_its_own(predictor: Predictor, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    names = []
    for options in ({}, {}, {"resume": True}, {"overwrite": True}):
        with sam2_adapter.predict_images("disk.png", model=predictor, overlay=False, **options) as run:
            names.append(str(run.directory))
            (result,) = run
            assert result.is_kept == ("resume" in options)
    assert names == ["predictions", "predictions2", "predictions2", "predictions2"]


def test_a_run_that_is_left_early_is_complete_as_far_as_it_came(
    predictor: Predictor, photos: Path, tmp_path: Path
) -> None:
    with sam2_adapter.predict_images(photos, [BOX], model=predictor, output=tmp_path / "out") as run:
        results = iter(run)
        next(results)
        with pytest.raises(FolderInUseError):
            sam2_adapter.predict_images(photos, model=predictor, output=tmp_path / "out", resume=True)
    done = read_coco(tmp_path / "out" / "annotations.json").images
    assert done[0].file_name == "disk.png"
    with sam2_adapter.predict_images(photos, [BOX], model=predictor, output=tmp_path / "out", resume=True) as again:
        assert next(result.is_kept for result in again)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"images": "nowhere"}, ImageError, "no such file or folder"),
        ({"formats": ["kml"]}, ConfigError, "Unknown format 'kml'. The choices are coco, cvat, dataloop, "),
        ({"formats": []}, ConfigError, "the list of formats is empty. The choices are coco, cvat, "),
        ({"formats": (name for name in ("masks", "kml"))}, ConfigError, "Unknown format 'kml'"),
        ({"formats": [["coco"]]}, ConfigError, r"Unknown format \['coco'\]"),
        ({"resume": True, "overwrite": True}, ConfigError, "choose one"),
        ({"prompts": {"other.png": [BOX]}}, PromptError, "none of the images"),
        ({"output": "photos"}, OutputExistsError, "not empty"),
        ({"model": "sam2_hiera_x"}, ConfigError, "sam2_hiera_x"),
    ],
)
def test_what_is_wrong_is_said_at_once_and_nothing_is_left(
    predictor: Predictor,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict,
    error: type[Exception],
    text: str,
) -> None:
    monkeypatch.chdir(photos.parent)
    before = sorted(photos.parent.rglob("*"))
    with pytest.raises(error, match=text):
        sam2_adapter.predict_images(**{"images": "photos", "model": predictor, **options})
    assert sorted(photos.parent.rglob("*")) == before


def test_a_run_with_other_settings_is_not_gone_on_with(predictor: Predictor, photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    list(sam2_adapter.predict_images(photos, model=predictor, output=output, overlay=False))
    before = json.loads((output / "annotations.json").read_text())
    config = sam2_adapter.Config(default_label="cell")
    with pytest.raises(ConfigError, match="default_label was 'object' and is now 'cell'"):
        sam2_adapter.predict_images(photos, model=predictor, output=output, overlay=False, config=config, resume=True)
    assert json.loads((output / "annotations.json").read_text()) == before
    with sam2_adapter.predict_images(photos, model=predictor, output=output, overlay=False, resume=True) as run:
        assert [result.is_kept for result in run] == [True, True]


def test_what_is_not_in_the_results_is_said(predictor: Predictor, photos: Path, tmp_path: Path) -> None:
    pages = [Image.new("RGB", (60, 40), color) for color in ("red", "green", "blue")]
    pages[0].save(photos / "stack.tif", save_all=True, append_images=pages[1:])
    (photos / "clip.mp4").write_bytes(b"")
    run = sam2_adapter.predict_images(photos, model=predictor, output=tmp_path / "out", overlay=False)
    assert [(entry.kind.noun, entry.count) for entry in run.passed_over] == [("video", 1)]
    notes = {result.task.name: result.notes for result in run}
    assert notes == {
        "disk.png": (),
        "night/square.jpg": (),
        "stack.tif": ("3 pages, of which the first one is read",),
    }


EVERYTHING = {
    "without_prompts": "everything",
    "points_per_side": 4,
    "pred_iou_thresh": 0.0,
    "stability_score_thresh": 0.0,
    "mask_nms_thresh": 0.99,
    "max_objects": 6,
}


def test_everything_goes_through_every_format_and_is_gone_on_with(
    predictor: Predictor, photos: Path, tmp_path: Path
) -> None:
    settings = Config(**EVERYTHING)
    formats = [entry.output for entry in FORMATS if entry.output]
    told: list[tuple[str, int, int]] = []

    def run_into(output: Path, **options: Any) -> list[ImageResult]:
        with sam2_adapter.predict_images(
            photos, model=predictor, output=output, formats=formats, config=settings, **options
        ) as run:
            run.on_points = lambda *at: told.append(at)
            return list(run)

    out = tmp_path / "out"
    results = run_into(out)
    assert {entry.results for entry in FORMATS if entry.output} <= {path.name for path in out.iterdir()}
    assert {("disk.png", 16, 16), ("night/square.jpg", 16, 16)} <= set(told)
    assert all("max_objects" in note for result in results for note in result.notes)
    coco = {image.file_name: image.annotations for image in read_coco(out / "annotations.json").images}
    cvat = {image.file_name: image.annotations for image in read_cvat(out / "annotations.xml").images}
    for result in results:
        assert result.segmentation is not None
        found = result.segmentation.annotations
        assert len(found) == 6
        assert coco[result.task.name] == tuple(replace(entry, prompt_index=None) for entry in found)
        assert all(entry.stability_score is not None and entry.point_xy is not None for entry in found)
        stem = result.task.name.rpartition(".")[0]
        for other in (
            read_dataloop_item(out / "json" / f"{stem}.json").images[0].annotations,
            read_polygons(out / "polygons" / f"{stem}.json").annotations,
        ):
            assert [(entry.stability_score, entry.point_xy) for entry in other] == [
                (entry.stability_score, entry.point_xy) for entry in found
            ]
        labelme = read_labelme(out / "labelme" / f"{stem}.json").images[0].annotations
        lines = (out / "yolo" / "labels" / f"{stem}.txt").read_text().splitlines()
        for others in (labelme, cvat[result.task.name]):
            assert [entry.rle for entry in others] == [entry.rle for entry in found]
        assert [line.split()[0] for line in lines] == ["0"] * 6
    legend = json.loads((out / "masks" / "disk.json").read_text())["objects"]
    assert [entry["point"] for entry in legend] == [list(entry.point_xy or ()) for entry in coco["disk.png"]]

    again = run_into(out, resume=True)
    assert all(result.is_kept for result in again)
    for before, after in zip(results, again, strict=True):
        assert before.segmentation is not None
        assert after.segmentation is not None
        assert after.segmentation.annotations == before.segmentation.annotations
        assert [prompt.point_coords.tolist() for prompt in after.segmentation.prompts] == [
            prompt.point_coords.tolist() for prompt in before.segmentation.prompts
        ]
    with pytest.raises(ConfigError, match="everything was"):
        sam2_adapter.predict_images(photos, model=predictor, output=out, formats=formats, resume=True)


def test_images_with_prompts_get_those_alone(predictor: Predictor, photos: Path, tmp_path: Path) -> None:
    run = sam2_adapter.predict_images(
        photos, {"disk.png": [BOX]}, model=predictor, output=tmp_path / "out", config=Config(**EVERYTHING)
    )
    counts = {result.task.name: len(result.segmentation.annotations) for result in run if result.segmentation}
    assert counts == {"disk.png": 1, "night/square.jpg": 6}


def test_classes_keep_the_order_that_the_prompts_come_with(predictor: Predictor, photos: Path, tmp_path: Path) -> None:
    asked = {"night/square.jpg": [{**BOX, "label": "b"}], "none.png": [{**BOX, "label": "c"}], "disk.png": [BOX]}
    for limit in (None, 1):
        output = tmp_path / f"{limit}"
        options: dict[str, Any] = {"model": predictor, "output": output, "overlay": False, "limit": limit}
        list(sam2_adapter.predict_images(photos, asked, formats=["coco", "yolo"], **options))
        rows = json.loads((output / "annotations.json").read_text())["categories"]
        assert [(row["id"], row["name"]) for row in rows] == [(1, "b"), (2, "c"), (3, "thing")]
        description = yaml.safe_load((output / "yolo" / "data.yaml").read_text())
        assert description["names"] == {0: "b", 1: "c", 2: "thing"}
        assert (output / "yolo" / "labels" / "disk.txt").read_text().split()[0] == "2"


def test_boxes_of_a_yolo_data_set_give_masks_with_the_same_numbers(
    predictor: Predictor, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "set" / "labels").mkdir(parents=True)
    (tmp_path / "set" / "data.yaml").write_text("train: images\nnames: [cow, dog, cat]\n")
    lines = "2 0.5 0.5 0.6 0.6\n1 0.5 0.5 0.5 0.5\n"
    (tmp_path / "set" / "labels" / "disk.txt").write_text(lines)
    output = tmp_path / "out"
    list(
        sam2_adapter.predict_images(
            photos / "disk.png", tmp_path / "set", model=predictor, output=output, overlay=False, formats=["yolo"]
        )
    )
    assert yaml.safe_load((output / "yolo" / "data.yaml").read_text())["names"] == {0: "cow", 1: "dog", 2: "cat"}
    found = (output / "yolo" / "labels" / "disk.txt").read_text().splitlines()
    assert [line.split()[0] for line in found] == ["2", "1"]
