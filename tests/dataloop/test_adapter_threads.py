"""One adapter object used from many threads, as a service with a concurrency of ten uses it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.dataloop.adapting import (
    BOX,
    adapter_of,
    configuration,
    disk_image,
    disk_mask,
    make_adapter,
    no_waits,
    predictions,
)

USERS = 10


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


def _scenes(platform, dl, dataset, count):
    items = []
    for number in range(count):
        item = platform.item(dataset, np.roll(disk_image(), 7 * number, axis=1), f"/{number}.png")
        platform.annotate(item, dl.Box(*BOX, label="cat"), dl.Point(80, 60, "dog"))
        items.append(item)
    return items


def _together(*actions):
    start = threading.Barrier(len(actions))

    def act(action):
        start.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return [future.result() for future in [pool.submit(act, action) for action in actions]]


def _contents(platform, items):
    return [[(p["type"], p["label"], p["coordinates"]) for p in predictions(platform, item)] for item in items]


def test_ten_threads_predict_what_one_predicts(platform, dl):
    dataset = platform.dataset()
    items = _scenes(platform, dl, dataset, 2 * USERS)
    adapter = make_adapter(platform, dataset)
    adapter.predict_items(items)
    alone = _contents(platform, items)

    shares = [items[user::USERS] for user in range(USERS)]
    answers = _together(*[lambda share=share: adapter.predict_items(share, batch_size=1) for share in shares])

    assert _contents(platform, items) == alone
    assert all(len(content) == 2 for content in alone)
    for share, (answered, made) in zip(shares, answers, strict=True):
        assert answered == share
        assert [a.item_id for a in made] == [item.id for item in share for _ in range(2)]


def test_ten_threads_embed_what_one_embeds(platform, dl):
    dataset = platform.dataset()
    items = _scenes(platform, dl, dataset, USERS)
    adapter = make_adapter(platform, dataset)
    _, alone = adapter.embed_items(items, batch_size=1)

    answers = _together(*[lambda item=item: adapter.embed_items([item]) for item in items])

    assert [vectors[0] for _, vectors in answers] == alone
    assert len(platform.store.all("features")) == USERS
    assert len(platform.store.all("feature_sets")) == 1


def test_the_evaluation_of_another_model_disturbs_no_prediction(platform, dl):
    drawn, dataset = platform.dataset("drawn"), platform.dataset("predicted")
    for number in range(3):
        item = platform.item(drawn, disk_image(), f"/{number}.png")
        platform.annotate(item, dl.Segmentation(disk_mask().astype(np.uint8), "cat"))
    items = _scenes(platform, dl, dataset, 12)
    adapter = make_adapter(platform, dataset)
    other = platform.model(drawn, name="other", output_type="segment", configuration=configuration("polygon"))
    serving = adapter.model_entity.id

    def evaluate():
        return adapter.evaluate_model(dl.models.get(model_id=other.id), drawn)

    results = _together(evaluate, *[lambda n=n: adapter.predict_items(items[n::4], batch_size=1) for n in range(4)])

    assert results[0][0].id == other.id
    assert adapter.model_entity.id == serving
    assert {kind for content in _contents(platform, items) for kind, _, _ in content} == {"binary"}
    rows = [row for item in items for row in predictions(platform, item)]
    assert len(rows) == 24
    assert {row["metadata"]["user"]["model"]["model_id"] for row in rows} == {serving}
    evaluated = [a for a in platform.store.all("annotations") if a["datasetId"] == drawn.id and a["type"] == "segment"]
    assert {a["metadata"]["user"]["model"]["model_id"] for a in evaluated} == {other.id}


def test_executions_that_load_one_model_at_once_share_its_files(platform, dl):
    dataset = platform.dataset()
    (item,) = _scenes(platform, dl, dataset, 1)
    saver = make_adapter(platform, dataset)
    saver.save_to_model()
    model_id = saver.model_entity.id
    adapter = adapter_of(dl.models.get(model_id=model_id))

    _together(*[lambda: adapter.load_from_model(dl.models.get(model_id=model_id)) for _ in range(5)])

    adapter.predict_items([item])
    made_by = predictions(platform, item)[0]["metadata"]["user"]["made_by"]
    assert made_by["weights_sha256"] == saver.predictor.info.weights_sha256
