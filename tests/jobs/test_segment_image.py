"""One image in one call."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import sam2_adapter
from sam2_adapter.config import Config
from sam2_adapter.errors import ConfigError, ExportError, ImageError, OutputExistsError, PromptError
from sam2_adapter.formats.coco.objects import read_coco
from sam2_adapter.images.read import read_image
from tests.small_model import small_predictor

PHOTO = np.full((60, 80, 3), 40, np.uint8)
PHOTO[20:40, 30:60] = 220


@pytest.fixture(scope="module")
def predictor():
    return small_predictor()


@pytest.fixture
def street(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "street.png")
    return tmp_path / "street.png"


def test_every_form_of_an_image_gives_the_same_objects(predictor, street):
    forms = [street, str(street), street.read_bytes(), Image.fromarray(PHOTO), PHOTO]
    found = [sam2_adapter.segment_image(form, box=[28, 18, 62, 42], model=predictor) for form in forms]
    assert [result.name for result in found] == ["street.png", "street.png", "image", "image", "image"]
    assert found[0].masks.shape == (1, 60, 80)
    assert found[0].masks.dtype == bool
    assert not found[0].masks[0, :18].any()  # cut at the box
    for result in found[1:]:
        assert np.array_equal(result.masks, found[0].masks)


def test_it_is_what_the_parts_give(predictor):
    prompts = [{"box": [28, 18, 62, 42], "label": "a"}, {"points": [[45, 30]]}]
    expected = sam2_adapter.segment(predictor, predictor.embed(PHOTO), prompts)
    found = sam2_adapter.segment_image(PHOTO, prompts, model=predictor)
    assert found.annotations == expected.annotations
    one = sam2_adapter.segment_image(
        PHOTO, box=(28, 18, 62, 42), points=[(45, 30), (2, 2)], labels=[1, 0], model=predictor
    )
    same = {"box": [28, 18, 62, 42], "points": [[45, 30], [2, 2]], "labels": [1, 0]}
    assert one.annotations == sam2_adapter.segment_image(PHOTO, [same], model=predictor).annotations
    clicked = sam2_adapter.segment_image(PHOTO, points=[(45, 30)], model=predictor)
    assert clicked.annotations == sam2_adapter.segment_image(PHOTO, [prompts[1]], model=predictor).annotations


def test_without_prompts_the_most_prominent_object_is_found(predictor):
    found = sam2_adapter.segment_image(PHOTO, model=predictor)
    assert len(found.annotations) + len(found.segmentation.empty_prompts) == 1


def test_objects_are_saved_and_nothing_is_replaced(predictor, street, tmp_path):
    found = sam2_adapter.segment_image(street, [{"box": [28, 18, 62, 42], "label": "car"}], model=predictor)
    for name in ("out/a.json", "a.png", "a.jpg"):
        found.save(tmp_path / name)
        with pytest.raises(OutputExistsError, match="exists already"):
            found.save(tmp_path / name)
        found.save(tmp_path / name, overwrite=True)
    (image,) = read_coco(tmp_path / "out/a.json").images
    assert (image.file_name, image.annotations[0].label) == ("street.png", "car")
    assert np.array_equal(image.annotations[0].mask, found.masks[0])
    with Image.open(tmp_path / "a.png") as label_map:
        assert np.array_equal(np.asarray(label_map) == 1, found.masks[0])
    assert read_image(tmp_path / "a.jpg").shape == PHOTO.shape
    assert found.overlay().shape == PHOTO.shape
    with pytest.raises(ExportError, match=r"a\.txt: objects are saved as \.json .* not as \.txt"):
        found.save(tmp_path / "a.txt")


def test_the_last_model_is_kept():
    first, second = (sam2_adapter.segment_image(PHOTO, box=[28, 18, 62, 42], model="sam2_nano") for _ in range(2))
    assert first.made_by is second.made_by


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"prompts": [{"box": [1, 1, 9, 9]}], "box": [1, 1, 9, 9]}, PromptError, "Give prompts or box, not both"),
        ({"labels": [1]}, PromptError, "needs at least one of|label"),
        ({"box": [900, 900, 990, 990]}, PromptError, "outside the image"),
        ({"image": "nowhere.jpg"}, ImageError, "nowhere.jpg: there is no such file"),
    ],
)
def test_wrong_arguments_are_named(predictor, arguments, error, text):
    with pytest.raises(error, match=text):
        sam2_adapter.segment_image(**{"image": PHOTO, "model": predictor, **arguments})


def test_short_descriptions(predictor):
    found = sam2_adapter.segment_image(PHOTO, [{"box": [28, 18, 62, 42], "label": "car"}], model=predictor)
    embedding = predictor.embed(PHOTO)
    prediction = predictor.predict(embedding, [{"box": [28, 18, 62, 42]}])
    assert repr(found) == "SegmentedImage('image', 80x60 pixels, 1 object, made by small)"
    assert repr(predictor) == "Predictor(small, torch fp32 on cpu)"
    assert repr(embedding).startswith("ImageEmbedding(80x60 pixels, weights ")
    assert repr(prediction).startswith("MaskPrediction(1 object, 80x60 pixels, IoU scores ")
    assert repr(found.segmentation).startswith("Segmentation(1 object: 'car' ")
    assert repr(found.annotations[0]).startswith("Annotation('car', IoU score ")
    prompt = sam2_adapter.Prompt(
        box_xyxy=(1, 2, 3, 4), point_coords=[[2, 3], [1.5, 3]], point_labels=[1, 0], label="car"
    )
    assert repr(prompt) == "Prompt(box (1, 2, 3, 4); points (2, 3) in, (1.5, 3) out; label 'car')"
    assert all(len(repr(value)) < 200 for value in (found, predictor, embedding, prediction, prompt))


def test_a_prediction_is_saved(predictor, tmp_path):
    embedding = predictor.embed(PHOTO)
    both = predictor.predict(embedding, [{"box": [2, 2, 78, 58]}, {"box": [28, 18, 62, 42]}])
    both.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        for name in ("masks", "iou_scores", "low_res_logits"):
            assert np.array_equal(arrays[name], getattr(both, name))
    both.save(tmp_path / "a.png")
    label_map = np.asarray(Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())))
    assert np.array_equal(label_map > 0, both.masks.any(axis=(0, 1)))
    with pytest.raises(OutputExistsError):
        both.save(tmp_path / "a.png")
    candidates = predictor.predict(embedding, [{"points": [[45, 30]]}], multimask_output=True)
    with pytest.raises(ExportError, match=r"1 objects with 3 masks each; save them as \.npz"):
        candidates.save(tmp_path / "b.png")
    with pytest.raises(ExportError, match=r"saved as \.npz \(arrays\) or \.png"):
        both.save(tmp_path / "c.jpg")


def test_one_image_and_several_are_encoded_alike(predictor):
    (of_batch,) = predictor.embed([PHOTO])
    single = predictor.embed(Image.fromarray(PHOTO))
    assert np.array_equal(single.encoded.image_embedding.numpy(), of_batch.encoded.image_embedding.numpy())
    assert predictor.embed([]) == ()


def test_one_click_may_be_written_without_its_list(predictor, street):
    expected = sam2_adapter.segment_image(street, points=[[45, 30]], model=predictor).masks
    for points in ([45, 30], "45, 30"):
        assert np.array_equal(sam2_adapter.segment_image(street, points=points, model=predictor).masks, expected)
    with pytest.raises(PromptError, match="'points'"):
        sam2_adapter.segment_image(street, points=5, model=predictor)


def test_prompts_are_checked_before_a_model_is_loaded(street, tmp_path):
    for arguments in ({"labels": [1]}, {"box": [9, 9, 1, 1]}, {"points": [[1, 2]], "labels": [7]}):
        with pytest.raises(PromptError):
            sam2_adapter.segment_image(street, model=tmp_path / "no-model.pt", **arguments)


def test_settings_of_another_kind_are_refused(predictor, street):
    for config in ({"clip_to_box": False}, "settings.yaml"):
        with pytest.raises(ConfigError, match="config is a Config, but got a"):
            sam2_adapter.segment_image(street, model=predictor, config=config)


def test_everything_in_one_image() -> None:
    settings = Config(points_per_side=4, pred_iou_thresh=0.0, stability_score_thresh=0.0, max_objects=4)
    image = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    found = sam2_adapter.segment_everything(image, model=small_predictor(), config=settings)
    assert 1 <= len(found.annotations) <= 4
    assert all(entry.point_xy is not None for entry in found.annotations)
    assert found.masks.shape == (len(found.annotations), 60, 90)
    assert found.overlay().shape == (60, 90, 3)


@pytest.mark.parametrize("model", ["", 5, ["sam2_nano"], np.zeros(3)])
def test_a_model_of_another_kind_is_refused_by_name(street, model):
    with pytest.raises(ConfigError, match="model is the path of a weights file or directory, or the name of a model"):
        sam2_adapter.segment_image(street, model=model)
