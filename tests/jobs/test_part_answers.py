"""Answers in a region, and in windows of an image that is too large to be encoded whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sam2_adapter
from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.config import Config
from sam2_adapter.errors import PromptError
from sam2_adapter.jobs.answers import ImageAnswer, ImageResult
from sam2_adapter.jobs.job_image import open_image
from sam2_adapter.jobs.part_answers import answer_opened
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.predict.window import Frame, moved_logits
from tests.conftest import disk_photo
from tests.images.tiff.test_tiles import write_sparse
from tests.jobs.writing import OPTIONS
from tests.small_model import small_predictor

REGION = Region(30, 10, 130, 110)
BOX = Prompt(box_xyxy=(40, 20, 120, 100), label="disk")
SIDE = 12_000  # 144 million pixels
BOXES = [(5010, 7005, 5060, 7055), (9010, 2005, 9060, 2055)]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "a.tif"
    tile = np.full((256, 256, 3), 40, np.uint8)
    tile[100:140, 110:150] = 220
    write_sparse(path, SIDE, {(27, 19): tile, (8, 35): tile})
    return path


def _answer(path: Path, prompts: list[Prompt | RefusedPrompt], options: PredictOptions) -> ImageAnswer:
    predictor = small_predictor()
    with open_image(path, options) as opened:
        pixels = opened.pixels
        embedding = None if pixels is None else predictor.embed([pixels])[0]
        return answer_opened(predictor, opened, embedding, prompts, options)


def test_a_region_is_answered_as_if_it_were_the_image(tmp_path: Path) -> None:
    disk_photo().save(tmp_path / "a.png")
    disk_photo().crop((30, 10, 130, 110)).save(tmp_path / "cut.png")
    outside = Prompt(box_xyxy=(140, 20, 150, 30))
    found = _answer(tmp_path / "a.png", [outside, BOX], replace(OPTIONS, region=REGION))
    cut = _answer(tmp_path / "cut.png", [Prompt(box_xyxy=(10, 10, 90, 90), label="disk")], OPTIONS)
    assert found.refused_prompts == {
        0: "It lies outside the region (30, 10, 130, 110) that is looked at; give a larger region."
    }
    entry, expected = found.segmentation.annotations[0], cut.segmentation.annotations[0]
    assert (entry.prompt_index, entry.label, entry.iou_score) == (1, "disk", expected.iou_score)
    assert np.array_equal(entry.mask, REGION.paste(expected.mask, disk_photo().size[::-1]))
    assert found.segmentation.prompts == (BOX,)


def test_everything_is_found_in_a_region(tmp_path: Path) -> None:
    disk_photo().save(tmp_path / "a.png")
    disk_photo().crop((30, 10, 130, 110)).save(tmp_path / "cut.png")
    config = Config(without_prompts="everything", points_per_side=4, pred_iou_thresh=0, stability_score_thresh=0)
    options = PredictOptions.from_config(config)
    found = _answer(tmp_path / "a.png", [], replace(options, region=REGION)).segmentation
    cut = _answer(tmp_path / "cut.png", [], options).segmentation
    assert len(found.annotations) == len(cut.annotations) > 0
    for entry, expected in zip(found.annotations, cut.annotations, strict=True):
        assert np.array_equal(REGION.cut(entry.mask), expected.mask)
        assert entry.point_xy == (expected.point_xy[0] + 30, expected.point_xy[1] + 10)  # type: ignore[index]


def _predict(path: Path, tmp_path: Path, **how: object) -> ImageResult:
    (result,) = sam2_adapter.predict_images(path, model=small_predictor(), output=tmp_path / "out", **how)  # type: ignore[arg-type]
    return result


def test_boxes_in_an_image_larger_than_the_limit(large: Path, tmp_path: Path) -> None:
    prompts = [{"box": BOXES[0]}, {"points": [(9030, 2030)]}, {"box": BOXES[1]}, {"box": (5, 5, 11_000, 11_000)}]
    result = _predict(large, tmp_path, prompts=prompts)
    assert result.error is None
    assert set(result.refused_prompts) == {1, 3}
    assert "give a box, a window in pixels for clicks" in result.refused_prompts[1]
    assert "too large for a window" in result.refused_prompts[3]
    assert "too large to be read whole" in result.notes[0]
    assert result.segmentation is not None
    for entry in result.segmentation.annotations:
        box = prompts[entry.prompt_index or 0]["box"]
        assert entry.original_hw == (SIDE, SIDE)
        assert Region(*box).contains(entry.box_xyxy)  # type: ignore[arg-type]
    assert not (tmp_path / "out" / "overlays").exists() or not list((tmp_path / "out" / "overlays").iterdir())


def test_clicks_in_windows_and_a_region_of_an_image_larger_than_the_limit(large: Path, tmp_path: Path) -> None:
    click = _predict(large, tmp_path, prompts=[{"points": [(9030, 2030)]}], config=Config(window="128"))
    assert click.segmentation is not None
    assert click.segmentation.windows.in_windows == (0,)
    region = _predict(large, tmp_path / "b", prompts=[{"box": BOXES[0]}], region=(4900, 6900, 5156, 7156))
    assert region.error is None
    assert region.segmentation is not None
    assert all(Region(*BOXES[0]).contains(entry.box_xyxy) for entry in region.segmentation.annotations)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "12000x12000 pixels, too many to look at all of it without prompts. Give the region"),
        ({"config": Config(without_prompts="everything")}, "--region X0,Y0,X1,Y1"),
        ({"prompts": [{"points": [(50, 50)]}]}, "give a box, a window in pixels for clicks"),
        ({"prompts": [{"box": BOXES[0]}], "formats": ["masks"]}, "too large for the format masks"),
        ({"prompts": [{"box": BOXES[0]}], "formats": ["coco", "dataloop"]}, "too large for the format dataloop"),
        ({"prompts": [{"box": BOXES[0]}], "region": (0, 0, 99, 99)}, "prompt 1: It lies outside the region"),
        ({"region": (12_000, 0, 12_001, 9)}, "Region (12000, 0, 12001, 9) lies outside the image"),
        ({"region": (0, 0, 11_000, 11_000)}, "has 121,000,000 pixels, but the limit is 100,000,000"),
    ],
)
def test_what_cannot_be_answered_in_a_large_image_is_said(
    large: Path, tmp_path: Path, how: dict[str, object], message: str
) -> None:
    assert message in str(_predict(large, tmp_path, **how).error)


def test_too_many_windows_are_refused_one_by_one(large: Path, tmp_path: Path) -> None:
    result = _predict(large, tmp_path, prompts=[{"box": box} for box in BOXES], config=Config(max_windows=1))
    assert list(result.refused_prompts.values()) == [
        "The image is too large to be looked at as a whole, and max_windows = 1 are too few windows for all prompts; raise it."
    ]


@pytest.mark.parametrize(
    "region", [(1, 2, 3), "1,2,3,4", (1.5, 0, 9, 9), (0, 0, float("nan"), 9), (True, 0, 9, 9), (0, 0, None, 9), 7]
)
def test_what_is_no_region_is_refused(region: object) -> None:
    with pytest.raises(PromptError, match="A region is x0, y0, x1, y1 in whole pixels, but got"):
        PredictOptions.from_config(region=region)  # type: ignore[arg-type]
    with pytest.raises(PromptError, match="empty"):
        PredictOptions.from_config(region=(5, 5, 5, 9))


def test_earlier_logits_of_the_image_are_moved_into_the_region(tmp_path: Path) -> None:
    disk_photo().save(tmp_path / "a.png")
    predictor = small_predictor()
    image = np.asarray(disk_photo())
    low_height, low_width = predictor.low_res_hw
    logits = np.full((low_height, low_width), -6, np.float32)
    logits[low_height // 4 : low_height // 2, low_width // 4 : low_width // 2] = 6
    asked = Prompt(mask_input=logits, point_coords=[[50, 40]], point_labels=[1])
    frames = [Frame(part, predictor.geometry_of(part.size_hw)) for part in (Region.whole(image.shape[:2]), REGION)]
    by_hand = predictor.predict(
        predictor.embed(REGION.cut(image)),
        [Prompt(mask_input=moved_logits(logits, *frames), point_coords=[[20, 30]], point_labels=[1])],
    )
    (entry,) = _answer(tmp_path / "a.png", [asked], replace(OPTIONS, region=REGION)).segmentation.annotations
    assert np.array_equal(REGION.cut(entry.mask), by_hand.masks[0, 0])

    logits = np.full((low_height, low_width), -6, np.float32)
    logits[-1, -1] = 6  # in the corner of the image, which the region does not show
    with pytest.raises(PromptError, match="It lies outside the region"):
        _answer(tmp_path / "a.png", [Prompt(mask_input=logits)], replace(OPTIONS, region=REGION))
