"""Items and annotations of the emulator, through the real client."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.dataloop.gateway.faults import TRUNCATED, status
from tests.dataloop.trivial_adapter import bright_square


@pytest.fixture
def dataset(platform):
    return platform.dataset()


def _png(value, size=(4, 6)):
    buffer = io.BytesIO()
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _upload(dataset, data, name="a.png", **kwargs):
    buffer = io.BytesIO(data)
    buffer.name = name
    return dataset.items.upload(local_path=buffer, **kwargs)


def test_an_upload_keeps_bytes_path_and_metadata(platform, gateway, dataset):
    data = _png(7)
    item = _upload(dataset, data, remote_path="/deep/er", item_metadata={"user": {"batch": 3}}, item_description="one")
    stored = gateway.store.get("items", item.id)
    assert gateway.store.files[item.id] == data
    assert (stored["filename"], stored["dir"], stored["name"]) == ("/deep/er/a.png", "/deep/er", "a.png")
    assert stored["metadata"]["user"] == {"batch": 3}
    assert stored["description"] == "one"
    assert (item.width, item.height, item.mimetype, item.size) == (6, 4, "image/png", len(data))
    assert item.download(save_locally=False).read() == data


def test_files_of_binary_noise_survive_the_form(platform, gateway, dataset):
    data = np.random.default_rng(0).bytes(300_000) + b"\r\n--x\r\n"
    item = _upload(dataset, data, "noise.bin")
    assert gateway.store.files[item.id] == data


def test_overwriting_keeps_the_item(platform, gateway, dataset):
    first = _upload(dataset, _png(1))
    second = _upload(dataset, _png(2, (9, 9)), overwrite=True)
    assert first.id == second.id
    assert (second.width, gateway.store.files[first.id]) == (9, _png(2, (9, 9)))


def test_uploading_the_same_file_again_leaves_the_item_alone(platform, gateway, dataset):
    first = _upload(dataset, _png(1))
    assert _upload(dataset, _png(1)).id == first.id
    assert gateway.requests.by_route()["DELETE /items/{item_id}"] == 0


def test_without_overwrite_the_client_deletes_an_item_of_other_content(platform, gateway, dataset):
    first = _upload(dataset, _png(1))
    platform.annotate(first, platform.dl.Point(1, 1, "cat"))
    second = _upload(dataset, _png(2, (30, 40)))
    assert second.id != first.id
    assert gateway.store.all("annotations") == []


def test_orientation_is_noted_and_never_applied(platform, dataset):
    image = bright_square((60, 80))
    image.getexif()[0x0112] = 6
    item = platform.item(dataset, image, "/a.jpg")
    assert item.metadata["system"]["exif"] == {"Orientation": 6}
    assert (item.width, item.height) == (80, 60)
    assert item.download(save_locally=False, to_array=True).shape == (60, 80, 3)


def test_a_file_whose_download_breaks_off_goes_on_where_it_stopped(platform, gateway, dataset, tmp_path):
    data = np.random.default_rng(0).bytes(100_000)
    item = platform.item(dataset, data, "/a.bin")
    gateway.faults.add(TRUNCATED, route="/items/{item_id}/stream", occurrences={1, 2})
    path = item.download(local_path=str(tmp_path))
    assert Path(path).read_bytes() == data
    assert [request.status for request in gateway.requests.of("GET /items/{item_id}/stream")] == [200, 206, 206]


def test_a_download_that_always_fails_is_none_without_an_error(platform, gateway, dataset):
    item = platform.item(dataset)
    gateway.faults.add(status(500), route="/items/{item_id}/stream")
    assert item.download(save_locally=False) is None
    assert len(gateway.faults.injected) == 3


def test_system_metadata_changes_only_on_request(platform, gateway, dataset):
    item = platform.item(dataset, metadata={"user": {"a": 1, "b": 2}})
    item.metadata["user"]["a"] = 5
    item.metadata["system"]["mark"] = 1
    del item.metadata["user"]["b"]
    item.update()
    stored = gateway.store.get("items", item.id)
    assert stored["metadata"]["user"] == {"a": 5}
    assert "mark" not in stored["metadata"]["system"]
    item.update(system_metadata=True)
    assert stored["metadata"]["system"]["mark"] == 1


def test_labels_and_their_colours(platform, dataset):
    dataset.add_label("bird", color=(1, 2, 3))
    fresh = platform.dl.datasets.get(dataset_id=dataset.id)
    assert [label.tag for label in fresh.labels] == ["cat", "dog", "bird"]
    assert fresh.labels[2].rgb == (1, 2, 3)


def test_projects_and_datasets_by_name(platform, gateway):
    project = platform.dl.projects.create("mine")
    made = project.datasets.create("new", labels=[platform.dl.Label(tag="x", display_data={}, color=(9, 8, 7))])
    assert platform.dl.projects.get(project_name="mine").id == project.id
    assert [dataset.name for dataset in project.datasets.list()] == ["new"], "the hidden dataset is not listed"
    assert [label.tag for label in project.datasets.get(dataset_name="new").labels] == ["x"]
    made.delete(sure=True, really=True)
    assert list(project.datasets.list()) == []
    assert not gateway.requests.unknown


def test_stored_annotations_have_every_field(platform, gateway, dataset):
    item = platform.item(dataset)
    (document,) = platform.annotate(item, platform.dl.Box(10, 20, 40, 60, "cat"))
    assert document["coordinates"] == [{"x": 10.0, "y": 20.0, "z": 0.0}, {"x": 40.0, "y": 60.0, "z": 0.0}]
    assert (document["type"], document["label"], document["itemId"], document["datasetId"]) == (
        "box",
        "cat",
        item.id,
        dataset.id,
    )
    assert {"id", "creator", "createdAt", "updatedBy", "updatedAt", "metadata"} <= set(document)
    assert len(document["id"]) == 24
    assert gateway.store.get("items", item.id)["annotationsCount"] == 1


def test_annotations_are_changed_and_deleted(platform, gateway, dataset):
    dl = platform.dl
    item = platform.item(dataset)
    platform.annotate(item, *(dl.Point(i, i, "cat") for i in range(4)))
    first, second, *_ = item.annotations.list()
    first.label = "dog"
    first.update()
    assert gateway.store.get("annotations", first.id)["label"] == "dog"
    second.delete()
    assert len(platform.annotations(item)) == 3
    item.annotations.delete(filters=dl.Filters(resource=dl.FiltersResource.ANNOTATION, field="label", values="cat"))
    assert [row["label"] for row in platform.annotations(item)] == ["dog"]
    item.delete()
    assert gateway.store.all("annotations") == []


def test_annotations_of_many_pages_come_in_order(platform, gateway, dataset):
    dl = platform.dl
    item = platform.item(dataset)
    platform.annotate(item, *(dl.Point(i, 0, "cat") for i in range(250)))
    assert gateway.requests.by_route()["POST /items/{item_id}/annotations"] == 3
    assert len(item.annotations.list()) == 250
    assert len({row["id"] for row in platform.annotations(item)}) == 250


def test_unknown_routes_are_answered_with_404_and_kept(platform, gateway):
    dl = platform.dl
    with pytest.raises(dl.exceptions.NotFound, match="no route for GET /annotationtasks/1"):
        dl.tasks.get(task_id="1")
    assert gateway.requests.unknown == ["GET /annotationtasks/1"]


def test_the_settings_of_the_client_stay_out_of_the_home_folder(dl, tmp_path):
    assert Path.home() / ".dataloop" not in Path(dl.client_api.cookie_io.COOKIE).parents
    assert Path(dl.sdk_cache.cache_path_bin) == tmp_path / "dataloop"
