"""Training on windows: what each shows, at which scale, and that the saved model says so."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.config import Config
from sam2_adapter.errors import CheckpointError
from sam2_adapter.evaluation.evaluate import evaluate
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.load import load_model
from sam2_adapter.models.network.preprocess import ModelWindow
from sam2_adapter.models.weights.checkpoint import save_checkpoint
from sam2_adapter.predict.load import make_predictor
from sam2_adapter.predict.modes import find_objects
from sam2_adapter.training.trainer import train
from sam2_adapter.training.windows import window_of, windows_of_samples
from tests.training.small_run import make_samples, small_config_of_run, small_loaded_model

HW = (96, 128)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return make_samples(tmp_path_factory.mktemp("images"), 2, original_hw=HW)


def test_the_setting_says_what_a_model_is_tuned_on(samples):
    assert window_of(Config(), samples) is None
    assert window_of(Config(window=96), samples) == ModelWindow(3.0, 96)
    boxes = [annotation.box_xyxy for sample in samples for annotation in sample.objects]
    sides = [max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes]
    found = window_of(Config(window="auto"), samples)
    assert found.pixels == round(3 * np.quantile(sides, 0.75) / 8) * 8


def test_without_windows_samples_stay(samples):
    assert windows_of_samples(samples, None) == samples


def test_windows_show_pixels_and_masks_of_the_same_place(samples):
    windows = windows_of_samples(samples, ModelWindow(3.0, 48))
    assert len({sample.name for sample in windows}) == len(windows)
    wholes = {sample.name: sample for sample in samples}
    seen = dict.fromkeys(wholes, 0)
    for sample in windows:
        image, whole = sample.read_image(), wholes[sample.whole.name]
        assert image.shape == (*sample.original_hw, 3)
        inside = sample.region.within(HW)
        at = inside.moved(-sample.region.x0, -sample.region.y0)
        part = image[at.y0 : at.y1, at.x0 : at.x1]
        assert np.array_equal(part, inside.cut(whole.read_image()))
        for annotation in sample.objects:
            assert (image[annotation.mask] >= 150).all()  # discs are bright
            seen[whole.name] += 1
        scales = {round(max(sample.original_hw) / max(_sides(annotation)), 1) for annotation in sample.objects}
        assert max(sample.original_hw) == 48 or min(scales) >= 2.9
    assert seen == dict.fromkeys(wholes, 4)  # each object in a window of its box and in one of its click


def _sides(annotation):
    x0, y0, x1, y1 = annotation.box_xyxy
    return x1 - x0, y1 - y0


def test_ignored_pixels_are_cut_along(samples):
    ignored = np.zeros(HW, bool)
    ignored[:4] = True
    (sample, *_) = samples
    sample = Sample(sample.name, sample.image_path, HW, sample.objects, mask_to_rle(ignored))
    for window in windows_of_samples([sample], ModelWindow(3.0, 48)):
        expected = window.region.cut(ignored)
        found = window.ignored_mask
        assert found is None if not expected.any() else np.array_equal(found, expected)


@pytest.fixture(scope="module")
def tuned(samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    config = small_config_of_run(window=48, num_epochs=1)
    result = train(small_loaded_model(), samples, samples, folder, config)
    return load_model(result.model_path)


@pytest.fixture(scope="module")
def windowed(tmp_path_factory):
    """A model as a run in windows saves it, without the run."""
    path, model = tmp_path_factory.mktemp("windowed") / "small.torch", small_loaded_model()
    metadata = {"window": {"object_sizes": 3.0, "pixels": 48}}
    save_checkpoint(path, model.tensors, model.architecture, metadata=metadata)
    return load_model(path)


@pytest.mark.slow
def test_the_window_is_saved_with_the_model_and_prediction_follows(tuned, samples):
    assert tuned.window == ModelWindow(3.0, 48)
    predictor = make_predictor(tuned, "cpu", "torch", "fp32")
    image = samples[0].read_image()
    prompts = [
        Prompt(box_xyxy=samples[0].objects[0].box_xyxy),
        Prompt(point_coords=[[100, 40]], point_labels=[1]),
        Prompt(box_xyxy=(1, 1, 127, 95)),
    ]
    found = find_objects(predictor, image, predictor.embed(image), prompts, Config().prediction)
    assert found.windows.in_windows == (0, 1, 2)
    whole = find_objects(predictor, image, predictor.embed(image), None, Config().prediction)
    assert whole.windows.in_windows == (0,)
    assert all(Region.whole(HW).contains(entry.box_xyxy) for entry in (*found.annotations, *whole.annotations))


def test_evaluation_follows_the_model(windowed, samples):
    predictor = make_predictor(windowed, "cpu", "torch", "fp32")
    in_windows = evaluate(predictor, samples, "box")
    object.__setattr__(predictor.info, "window", None)
    assert in_windows.summary()["miou"] != evaluate(predictor, samples, "box").summary()["miou"]


@pytest.mark.parametrize(
    "saved",
    [
        5,
        "auto",
        [],
        {},
        {"object_sizes": 3.0},
        {"object_sizes": "3", "pixels": 64},
        {"object_sizes": 3.0, "pixels": 2**40},
    ],
)
def test_a_file_with_another_window_is_refused(windowed, saved, tmp_path):
    path = tmp_path / "odd.torch"
    save_checkpoint(path, windowed.tensors, windowed.architecture, metadata={"window": saved})
    with pytest.raises(
        CheckpointError, match=r"odd\.torch was saved with window = .*; expected its object_sizes and pixels"
    ):
        _ = load_model(path).window
