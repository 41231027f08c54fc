"""Training on the platform, through the real SDK: what is read, what is published, what stays, and what goes wrong."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.dataloop.training import empty_folder, fresh_folder
from sam2_adapter.errors import DataError, PlatformError, TrainingError
from sam2_adapter.formats.left_out import Reason
from sam2_adapter.formats.load import load_dataset
from tests.dataloop.adapting import (
    OUTPUT_TYPES,
    Recorder,
    adapter_of,
    artifacts_of,
    configuration,
    no_waits,
    predictions,
)
from tests.dataloop.gateway.faults import status

ARTIFACTS = {"best_sam2_model.torch", "report.html", "metrics.json", "metrics.csv"}
UPLOAD = "/datasets/{dataset_id}/items"
METRICS = "/ml/metrics/publish"


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


def _scene(seed: int, hw: tuple[int, int] = (96, 128)) -> tuple[np.ndarray, np.ndarray]:
    """A bright disk on dark ground, and its mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: hw[0], : hw[1]] + 0.5
    mask = np.hypot(x - rng.integers(40, 90), y - rng.integers(35, 60)) < rng.integers(15, 28)
    image = np.where(mask[..., None], (210, 160, 60), (30, 50, 80)) + rng.integers(0, 24, (*hw, 3))
    return image.astype(np.uint8), mask


def _truth(dl, made, mask, label="cat"):
    if made == "binary":
        return dl.Segmentation(mask.astype(np.uint8), label)
    return dl.Polygon.from_segmentation(mask, label, epsilon=0)


def _fill(platform, dl, dataset, made, names):
    """One annotated item a name."""
    items = []
    for seed, name in enumerate(names):
        image, mask = _scene(seed)
        item = platform.item(dataset, image, name)
        platform.annotate(item, _truth(dl, made, mask))
        items.append(item)
    return items


def _model(platform, dl, dataset, output_type="mask", **settings):
    subsets = {name: dl.Filters(field="dir", values=f"/{name}*") for name in ("train", "validation")}
    settings = {"num_epochs": 2, "save_interval": 1, "correction_share": 0.0, "learning_rate": 1e-4, **settings}
    made = dict(OUTPUT_TYPES)[output_type]
    return platform.model(
        dataset, output_type=made, configuration=configuration(output_type, **settings), subsets=subsets
    )


def _train(dl, model, **kwargs):
    """As the platform does it: a new service, the model by its id."""
    adapter = adapter_of(dl.models.get(model_id=model.id))
    return adapter.train_model(dl.models.get(model_id=model.id), **kwargs)


@pytest.mark.parametrize(("output_type", "made"), OUTPUT_TYPES)
def test_training_leaves_a_trained_model_its_report_and_its_curves(platform, dl, gateway, output_type, made):
    dataset = platform.dataset()
    items = _fill(
        platform, dl, dataset, made, ["/train/a.png", "/train/b.png", "/train/deep/c.png", "/validation/d.png"]
    )
    model = _model(platform, dl, dataset, output_type)
    progress = Recorder()

    trained = _train(dl, model, progress=progress)

    stored = platform.stored_model(model)
    assert trained.status == stored["status"] == "trained"
    artifacts = artifacts_of(platform, model)
    assert set(artifacts) == ARTIFACTS
    assert b"<html" in artifacts["report.html"]
    assert [epoch["epoch"] for epoch in json.loads(artifacts["metrics.json"])["epochs"]] == [0, 1, 2]
    _check_curves(platform.store.all("metrics"), model, epochs=2)
    assert progress.percents == sorted(progress.percents)
    assert progress.told[-1] == (100, "trained")
    assert (55, "epoch 1 of 2") in progress.told
    assert not gateway.requests.unknown
    _check_reload(platform, dl, model, items, stored["configuration"]["weights_sha256"])


def _check_curves(samples, model, epochs, clicks=20):
    assert {sample["modelId"] for sample in samples} == {model.id}
    assert all(type(s["data"]["y"]) is float and math.isfinite(s["data"]["y"]) for s in samples)
    lines = {}
    for sample in samples:
        lines.setdefault((sample["figure"], sample["legend"]), []).append(sample["data"]["x"])
    for figure in ("mIoU from boxes", "mIoU from one click", "mIoU from five clicks", "mIoU from twenty clicks"):
        assert lines[figure, "validation"] == list(range(epochs + 1))
    for legend in ("untouched", "saved"):
        assert lines["mIoU by clicks", legend] == list(range(1, clicks + 1))
    for figure in ("loss", "loss: dice", "learning rate"):
        assert lines[figure, "train"] == list(range(1, epochs + 1))


def _check_reload(platform, dl, model, items, weights_sha256):
    """Two fresh adapters give the same masks, with the weights that were noted."""
    masks = []
    for _ in range(2):
        adapter = adapter_of(dl.models.get(model_id=model.id))
        assert adapter.predictor.info.weights_sha256 == weights_sha256
        adapter.predict_items(items)
        masks.append([p["coordinates"] for item in items for p in predictions(platform, item)])
    assert masks[0] == masks[1]
    assert len(masks[0]) >= len(items)


@pytest.mark.parametrize(("output_type", "made"), OUTPUT_TYPES)
def test_exactly_the_drawn_masks_and_polygons_are_read(platform, dl, output_type, made):
    dataset = platform.dataset()
    truth = {}
    for seed, name in enumerate(["/train/a.png", "/train/a.jpg", "/train/deep/a.png"]):
        image, mask = _scene(seed)
        item = platform.item(dataset, image, name)
        platform.annotate(item, _truth(dl, made, mask), dl.Box(1, 1, 20, 20, "cat"), dl.Point(5, 5, "cat"))
        platform.annotate(
            item, _truth(dl, made, ~mask, "dog"), model_info={"confidence": 0.5, "name": "m", "model_id": "1"}
        )
        truth[name.lstrip("/")] = mask
    image, mask = _scene(9, (128, 96))
    exif, content = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.fromarray(image).transpose(Image.Transpose.ROTATE_90).save(content, "JPEG", exif=exif, quality=95)
    platform.annotate(platform.item(dataset, content.getvalue(), "/train/turned.jpg"), _truth(dl, made, mask))
    truth["train/turned.jpg"] = mask
    _fill(platform, dl, dataset, made, ["/validation/only.png"])
    adapter = adapter_of(_model(platform, dl, dataset, output_type))

    _, data_path, _ = adapter.prepare_data(dataset=dataset)
    read = load_dataset(data_path, "dataloop")

    assert {sample.name for sample in read.samples("train")} == set(truth)
    assert [sample.name for sample in read.samples("validation")] == ["validation/only.png"]
    for sample in read.samples("train"):
        (annotation,) = sample.objects
        assert annotation.label == "cat"
        assert np.array_equal(annotation.mask, truth[sample.name]), sample.name
    assert read.left_out.count(Reason.MODEL_ANNOTATION) == 3
    kept = load_dataset(data_path, "dataloop", include_model_annotations=True)
    assert sum(len(sample.objects) for sample in kept.samples("train")) == 7


def test_a_second_training_in_one_directory_reads_the_data_anew(platform, dl):
    dataset = platform.dataset()
    _fill(platform, dl, dataset, "binary", ["/train/a.png", "/validation/b.png"])
    adapter = adapter_of(_model(platform, dl, dataset))
    root = str(Path("tmp"))
    adapter.prepare_data(dataset=dataset, root_path=root)
    (Path(root) / "output" / "old.torch").write_bytes(b"old")
    _fill(platform, dl, dataset, "binary", ["/train/new.png"])

    _, data_path, output_path = adapter.prepare_data(dataset=dataset, root_path=root)

    assert {sample.name for sample in load_dataset(data_path).samples("train")} == {"train/a.png", "train/new.png"}
    assert not list(Path(output_path).iterdir())


def test_the_annotation_filter_of_a_subset_is_respected(platform, dl):
    dataset = platform.dataset()
    item, _ = _fill(platform, dl, dataset, "binary", ["/train/a.png", "/validation/b.png"])
    platform.annotate(item, _truth(dl, "binary", _scene(5)[1], "dog"))
    model = _model(platform, dl, dataset)
    chosen = dl.Filters(resource=dl.FiltersResource.ANNOTATION, field="label", values="dog", use_defaults=False)
    model.metadata["system"]["annotationsSubsets"] = {"train": chosen.prepare()}

    _, data_path, _ = adapter_of(model).prepare_data(dataset=dataset)

    (sample,) = load_dataset(data_path).samples("train")
    assert [annotation.label for annotation in sample.objects] == ["dog"]


@pytest.mark.usefixtures("short_click_curve")
def test_the_number_of_left_out_model_annotations_is_said(platform, dl, caplog):
    dataset = platform.dataset()
    item, _ = _fill(platform, dl, dataset, "binary", ["/train/a.png", "/validation/b.png"])
    made = {"confidence": 0.5, "name": "m", "model_id": "1"}
    platform.annotate(item, _truth(dl, "binary", _scene(5)[1], "dog"), model_info=made)
    _train(dl, _model(platform, dl, dataset, num_epochs=1))
    assert "1 annotations that a model made are left out of the training" in caplog.text


@pytest.mark.parametrize("uploads_fail", [False, True])
def test_the_real_error_is_the_one_that_is_raised(platform, dl, gateway, uploads_fail):
    dataset = platform.dataset()
    for name in ("/train/a.png", "/validation/b.png"):
        platform.annotate(platform.item(dataset, _scene(0)[0], name), dl.Box(1, 1, 20, 20, "cat"))
    model = _model(platform, dl, dataset)
    if uploads_fail:
        gateway.faults.add(status(500), method="POST", route=UPLOAD)
    with pytest.raises(DataError, match=r"nothing in this data set can be used(?s:.*)neither mask nor polygon"):
        _train(dl, model)
    assert platform.stored_model(model)["status"] == "training"
    assert platform.stored_model(model)["artifacts"] == []


def test_a_model_without_subsets_is_told_how_to_get_them(platform, dl):
    model = platform.model(platform.dataset(), configuration=configuration())
    with pytest.raises(DataError, match=r"has no subsets to train on.*train_filter"):
        _train(dl, model)


def test_an_empty_subset_is_named(platform, dl):
    dataset = platform.dataset()
    _fill(platform, dl, dataset, "binary", ["/train/a.png"])
    with pytest.raises(DataError, match="Subset 'validation' cannot be used: it has no items"):
        _train(dl, _model(platform, dl, dataset))


class _Evicted(BaseException):
    """The machine goes away."""


@pytest.mark.usefixtures("short_click_curve")
def test_an_interrupted_training_goes_on_from_its_artifacts_to_the_same_result(platform, dl):
    dataset = platform.dataset()
    _fill(platform, dl, dataset, "binary", ["/train/a.png", "/train/b.png", "/validation/c.png"])
    straight, broken = (_named_model(platform, dl, dataset, name) for name in ("straight", "broken"))
    _train(dl, straight)

    class EvictedInEpoch3(Recorder):
        def update(self, progress=0, message="", **_):
            super().update(progress, message)
            if message == "epoch 3 of 3":
                raise _Evicted

    with pytest.raises(_Evicted):
        _train(dl, broken, progress=EvictedInEpoch3())
    assert set(artifacts_of(platform, broken)) == {"unfinished_training.torch"}
    platform.stored_model(broken)["status"] = "failed"
    progress = Recorder()
    _train(dl, broken, progress=progress)

    assert "epoch 1 of 3" not in [message for _, message in progress.told]
    assert "epoch 3 of 3" in [message for _, message in progress.told]
    assert set(artifacts_of(platform, broken)) == ARTIFACTS
    shas = {platform.stored_model(m)["configuration"]["weights_sha256"] for m in (straight, broken)}
    assert len(shas) == 1
    assert not [i for i in platform.store.all("items") if i["name"] == "unfinished_training.torch"]


def _named_model(platform, dl, dataset, name):
    model = _model(platform, dl, dataset, num_epochs=3)
    platform.stored_model(model)["name"] = name
    return dl.models.get(model_id=model.id)


@pytest.mark.usefixtures("short_click_curve")
def test_an_unfinished_training_with_other_settings_starts_anew(platform, dl, caplog):
    dataset = platform.dataset()
    _fill(platform, dl, dataset, "binary", ["/train/a.png", "/validation/c.png"])
    model = _model(platform, dl, dataset)

    class Evicted(Recorder):
        def update(self, progress=0, message="", **_):
            if message == "epoch 2 of 2":
                raise _Evicted

    with pytest.raises(_Evicted):
        _train(dl, model, progress=Evicted())
    platform.stored_model(model)["configuration"]["learning_rate"] = 2e-4
    progress = Recorder()
    _train(dl, model, progress=progress)

    assert "The unfinished training does not fit" in caplog.text
    assert "epoch 1 of 2" in [message for _, message in progress.told]
    assert set(artifacts_of(platform, model)) == ARTIFACTS


@pytest.mark.usefixtures("short_click_curve")
def test_a_missing_artifact_is_an_error(platform, dl, gateway):
    dataset = platform.dataset()
    _fill(platform, dl, dataset, "binary", ["/train/a.png", "/validation/b.png"])
    model = _model(platform, dl, dataset, num_epochs=1)
    gateway.faults.add(status(500), method="POST", route=UPLOAD)
    with pytest.raises(PlatformError, match=r"best_sam2_model.torch of model 'model' could not be stored"):
        _train(dl, model)
    assert platform.stored_model(model)["status"] == "training"


@pytest.mark.usefixtures("short_click_curve")
def test_curves_that_cannot_be_published_wait_and_cost_no_training(platform, dl, gateway):
    dataset = platform.dataset()
    _fill(platform, dl, dataset, "binary", ["/train/a.png", "/validation/b.png"])
    model = _model(platform, dl, dataset)
    gateway.faults.add(status(500), route=METRICS, occurrences=range(1, 8))
    _train(dl, model)
    _check_curves(platform.store.all("metrics"), model, epochs=2, clicks=7)


def test_a_folder_is_empty_at_the_start_and_gone_at_the_end(tmp_path):
    (tmp_path / "id").mkdir()
    (tmp_path / "id" / "old").touch()
    with fresh_folder(tmp_path, "id") as folder:
        assert folder == tmp_path / "id"
        assert not list(folder.iterdir())
        (folder / "new").touch()
    assert not folder.exists()
    with pytest.raises(ValueError, match="broken"), fresh_folder(tmp_path, "id"):
        raise ValueError("broken")
    assert not folder.exists()


def test_a_second_training_of_one_model_is_refused_and_leaves_the_first_alone(tmp_path):
    with fresh_folder(tmp_path, "id") as folder:
        (folder / "state").touch()
        with (
            pytest.raises(TrainingError, match="The model with the id id is being trained"),
            fresh_folder(tmp_path, "id"),
        ):
            pass
        assert (folder / "state").is_file()
        with fresh_folder(tmp_path, "other"):
            pass
    with fresh_folder(tmp_path, "id"):
        pass


def test_only_folders_of_an_earlier_training_are_emptied(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    empty_folder(ours)
    (ours / "old").touch()
    empty_folder(ours)
    assert not list(ours.iterdir())
    theirs.mkdir()
    empty_folder(theirs)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").touch()
    with pytest.raises(TrainingError, match="other: this is no folder of an earlier training and not empty"):
        empty_folder(other)
    with pytest.raises(TrainingError, match="no folder of an earlier training"):
        empty_folder(other / "thesis.txt")
    assert (other / "thesis.txt").is_file()
