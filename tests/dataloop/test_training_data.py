"""The subsets of a model on the disk: items of any name, annotations of any kind, and what is missing is said."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.dataloop.training_data import download_subsets
from sam2_adapter.errors import DataError, PlatformError
from sam2_adapter.formats.load import load_dataset
from tests.dataloop.adapting import disk_image, disk_mask, no_waits
from tests.dataloop.flows import FLOWS
from tests.dataloop.gateway.faults import status


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


def _model(platform, dl, dataset):
    return platform.model(dataset, subsets={"train": dl.Filters(field="dir", values="/train*")})


def test_items_of_any_name_are_trained_on(platform, dl, tmp_path):
    dataset = platform.dataset()
    names = ["a.png", "A.png", "scan", "a.png/b.png", "what?.png", f"{'n' * 240}.png", "Bäume\n.png", "ok/c.png"]
    ids = {}
    for name in names:
        item = platform.item(dataset, disk_image(), f"/train/{name}")
        platform.annotate(item, dl.Segmentation(disk_mask().astype(np.uint8), "cat"))
        ids[name] = item.id

    download_subsets(_model(platform, dl, dataset), dataset, tmp_path)
    samples = load_dataset(tmp_path, "dataloop").samples("all")

    own = {"train/a.png", "train/scan.png", "train/ok/c.png"}
    by_id = {f"{ids[name]}.png" for name in names if name not in ("a.png", "scan", "ok/c.png")}
    assert {sample.name for sample in samples} == own | by_id
    assert all(np.array_equal(sample.objects[0].mask, disk_mask()) for sample in samples)


def test_annotations_that_are_of_no_use_cost_only_themselves(platform, dl, tmp_path):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image(), "/train/a.png")
    labels = ("good", "unlabelled", "cut", "text")
    masks = [np.roll(disk_mask(), shift, axis=1).astype(np.uint8) for shift in range(4)]
    stored = platform.annotate(item, *map(dl.Segmentation, masks, labels))
    (polygon,) = platform.annotate(item, dl.Polygon([[5, 5], [20, 5], [20, 20]], "degenerate"))
    by_label = {document["label"]: platform.store.get("annotations", document["id"]) for document in stored}
    by_label["unlabelled"]["label"] = ""
    by_label["cut"]["coordinates"] = by_label["cut"]["coordinates"][:60]
    by_label["text"]["coordinates"] = "a mask"
    platform.store.get("annotations", polygon["id"])["coordinates"] = [[]]

    download_subsets(_model(platform, dl, dataset), dataset, tmp_path)
    dataset = load_dataset(tmp_path, "dataloop")

    objects = [annotation for sample in dataset.samples("all") for annotation in sample.objects]
    assert sorted(annotation.label for annotation in objects) == ["good", "object"]
    assert "3" in str(dataset.left_out)


@pytest.mark.parametrize("subsets", [None, {}, "train", ["train"]])
def test_a_model_without_usable_subsets_is_told_how_to_get_them(platform, dl, tmp_path, subsets):
    dataset = platform.dataset()
    model = _model(platform, dl, dataset)
    model.metadata["system"]["subsets"] = subsets
    with pytest.raises(DataError, match="has no subsets to train on"):
        download_subsets(model, dataset, tmp_path)


def test_a_training_on_fewer_items_does_not_pass_for_one_on_all(platform, gateway):
    scene = FLOWS["train"].scene(platform)
    missing = platform.store.all("items", name="1.png")[0]["id"]
    gateway.faults.add(status(503), path=f"{missing}/stream")
    with pytest.raises(PlatformError, match=rf"Subset 'train': 1 of 3 items were not delivered.*id {missing}"):
        FLOWS["train"].act(scene)
