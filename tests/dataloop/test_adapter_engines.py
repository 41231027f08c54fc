"""Which engine a job of the platform runs on: a few items start at once, many repay compiling the model."""

from __future__ import annotations

import pytest
import torch

from sam2_adapter.annotations.masks import mask_iou
from tests.dataloop.adapting import (
    BOX,
    adapter_of,
    configuration,
    disk_image,
    disk_mask,
    mask_of,
    no_waits,
    predictions,
)

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU, auto means torch")

MANY = 20


@pytest.fixture(autouse=True)
def _empty_cache(dl, monkeypatch, tmp_path):
    no_waits(monkeypatch)
    monkeypatch.setenv("SAM2_ADAPTER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def dataset(platform):
    return platform.dataset()


@pytest.fixture
def items(platform, dataset):
    return [platform.item(dataset, disk_image(), f"/{n}.png") for n in range(MANY)]


def adapter_on_auto(platform, dataset, **settings):
    values = configuration(runtime="auto", precision="fp32", **settings)
    return adapter_of(platform.model(dataset, output_type="binary", configuration=values))


def engines(adapter) -> tuple[str, str]:
    return adapter.predictor.info.runtime, adapter.predictor.info.precision


def test_a_few_items_do_not_wait_for_a_compiler(platform, dataset, items):
    adapter = adapter_on_auto(platform, dataset)
    before = adapter.predictor
    adapter.predict_items(items[: MANY - 1])
    assert adapter.predictor is before
    assert engines(adapter) == ("torch", "fp32")


def test_many_items_are_predicted_on_openvino_with_the_same_masks(platform, dl, dataset, items):
    platform.annotate(items[0], dl.Box(*BOX, label="cat"))
    adapter = adapter_on_auto(platform, dataset)
    adapter.predict_items(items[:1])
    (by_torch,) = (mask_of(document) for document in predictions(platform, items[0]))
    adapter.predict_items(items)
    assert engines(adapter) == ("openvino", "fp32")
    (document,) = predictions(platform, items[0])
    assert mask_iou(mask_of(document), by_torch) > 0.999
    compiled = adapter.predictor
    adapter.predict_items(items)
    assert adapter.predictor is compiled


@pytest.mark.parametrize("job", ["predict_dataset", "embed_dataset", "embed_items"])
def test_every_job_of_many_items_runs_on_openvino(platform, dataset, items, job):
    adapter = adapter_on_auto(platform, dataset, embeddings_size=256)
    if job == "embed_items":
        adapter.embed_items(items, upload_features=False)
    else:
        getattr(adapter, job)(dataset)
    assert engines(adapter) == ("openvino", "fp32")


def test_evaluation_of_many_items_runs_on_openvino(platform, dl, dataset, items):
    for item in items:
        platform.annotate(item, dl.Segmentation(disk_mask(), "cat"))
    adapter = adapter_on_auto(platform, dataset)
    adapter.evaluate_model(adapter.model_entity, dataset)
    assert engines(adapter) == ("openvino", "fp32")


def test_an_engine_that_was_asked_for_stays(platform, dataset, items):
    values = configuration(runtime="torch", precision="fp32")
    adapter = adapter_of(platform.model(dataset, output_type="binary", configuration=values))
    before = adapter.predictor
    adapter.predict_items(items)
    assert adapter.predictor is before
