"""Prediction on the platform, through the real SDK: modes, what travels to a mask, and how little an item costs."""

from __future__ import annotations

import base64
import gc
import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.dataloop import prediction
from sam2_adapter.errors import ConfigError, PlatformError
from tests.conftest import square_photo
from tests.dataloop.adapting import (
    BOX,
    OUTPUT_TYPES,
    Recorder,
    configuration,
    disk_image,
    disk_mask,
    make_adapter,
    mask_of,
    no_waits,
    predictions,
)
from tests.dataloop.gateway.faults import status


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


@pytest.mark.parametrize(("output_type", "made"), OUTPUT_TYPES)
def test_a_box_becomes_one_stored_mask_with_everything_that_belongs_to_it(platform, dl, output_type, made):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image(), "/scenes/disk.png")
    box = dl.Box(*BOX, label="cat", attributes={"1": "small"})
    item.annotations.upload([dl.Annotation.new(item=item, annotation_definition=box, object_id=7, parent_id="above")])
    adapter = make_adapter(platform, dataset, output_type)

    items, annotations = adapter.predict_items([item])

    (stored,) = predictions(platform, item)
    assert items == [item]
    assert [a.id for a in annotations] == [stored["id"]]
    assert stored["type"] == made
    assert stored["label"] == "cat"
    assert stored["metadata"]["system"]["objectId"] == "7"
    assert stored["metadata"]["system"]["parentId"] == "above"
    assert stored["metadata"]["system"]["attributes"] == {"1": "small"}
    confidence = stored["metadata"]["user"]["model"]["confidence"]
    expected = {"name": "model", "model_id": adapter.model_entity.id, "confidence": confidence}
    assert stored["metadata"]["user"]["model"] == stored["metadata"]["system"]["model"] == expected
    assert 0.5 < confidence <= 1
    assert stored["metadata"]["user"]["made_by"]["weights_sha256"] == adapter.predictor.info.weights_sha256
    assert mask_iou(mask_of(stored), disk_mask()) > 0.9


def test_the_mask_has_the_colour_of_its_label(platform, dl):
    dataset = platform.dataset(labels=["cat", "dog"])
    item = platform.item(dataset, disk_image())
    platform.annotate(item, dl.Box(*BOX, label="dog"))

    _, (annotation,) = make_adapter(platform, dataset).predict_items([item])

    png = Image.open(io.BytesIO(base64.b64decode(annotation.coordinates.partition(",")[2])))
    y, x = np.argwhere(np.asarray(png)[..., 3])[0]
    assert tuple(np.asarray(png)[y, x, :3]) == dataset.labels_flat_dict["dog"].rgb


def test_the_three_modes_and_their_mixture(platform, dl):
    dataset = platform.dataset()
    empty, pointed, mixed = (platform.item(dataset, disk_image(), f"/{name}.png") for name in "abc")
    platform.annotate(pointed, dl.Point(80, 60, "cat"), dl.Point(82, 58, "dog"))
    platform.annotate(mixed, dl.Point(80, 60, "cat"), dl.Box(*BOX, label="dog"))
    adapter = make_adapter(platform, dataset)

    adapter.predict_items([empty, pointed, mixed])

    assert [a["label"] for a in predictions(platform, empty)] == ["object"]
    assert [a["label"] for a in predictions(platform, pointed)] == ["cat", "dog"]
    assert [a["label"] for a in predictions(platform, mixed)] == ["cat", "dog"]
    assert mask_iou(mask_of(predictions(platform, pointed)[0]), disk_mask()) > 0.8


def test_points_inside_and_outside_make_one_object(platform, dl):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image())
    platform.annotate(item, dl.Point(70, 60, "inside"), dl.Point(95, 60, "inside"), dl.Point(10, 10, "outside"))

    make_adapter(platform, dataset, multi_points_prediction=True, default_label="thing").predict_items([item])

    (stored,) = predictions(platform, item)
    assert stored["label"] == "thing"
    assert mask_iou(mask_of(stored), disk_mask()) > 0.8


@pytest.mark.parametrize(("output_type", "made"), OUTPUT_TYPES)
def test_predicting_twice_changes_nothing_but_ids(platform, dl, output_type, made):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image())
    polygon = dl.Polygon([[1, 1], [20, 1], [20, 20]], label="dog")
    platform.annotate(
        item, dl.Box(*BOX, label="cat"), dl.Point(80, 60, "dog"), polygon, dl.Segmentation(disk_mask(), "dog")
    )
    drawn = platform.annotations(item)
    adapter = make_adapter(platform, dataset, output_type)

    adapter.predict_items([item])
    first = predictions(platform, item)
    adapter.predict_items([item])
    second = predictions(platform, item)

    def content(documents):
        return [(d["type"], d["label"], d["coordinates"], d["metadata"]) for d in documents]

    assert len(first) >= 2
    assert content(first) == content(second)
    assert {d["id"] for d in first}.isdisjoint(d["id"] for d in second)
    assert [a for a in platform.annotations(item) if a not in second] == drawn


@pytest.mark.parametrize(("output_type", "made"), OUTPUT_TYPES)
def test_everything_in_items_without_prompts(platform, dl, caplog, output_type, made):
    dataset = platform.dataset()
    bare, prompted = (platform.item(dataset, disk_image(), f"/{name}.png") for name in ("bare", "prompted"))
    platform.annotate(prompted, dl.Box(*BOX, label="cat"))
    easy = {"points_per_side": 6, "pred_iou_thresh": 0.2, "stability_score_thresh": 0.2, "mask_nms_thresh": 0.95}
    settings = {"without_prompts": "everything", "max_objects": 3, "default_label": "thing", **easy}

    make_adapter(platform, dataset, output_type, **settings).predict_items([bare, prompted])

    stored = predictions(platform, bare)
    objects = {document["metadata"]["system"].get("objectId", document["id"]) for document in stored}
    assert len(objects) == 3
    assert {(document["type"], document["label"]) for document in stored} == {(made, "thing")}
    for document in stored:
        assert 0.2 <= document["metadata"]["user"]["found"]["stability_score"] <= 1
        assert len(document["metadata"]["user"]["found"]["point"]) == 2
    assert "/bare.png" in caplog.text
    assert "the best 3 objects are kept, and" in caplog.text
    assert {document["label"] for document in predictions(platform, prompted)} == {"cat"}


def test_predictions_of_another_model_stay_and_are_no_prompts(platform, dl):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image())
    other = {"name": "other", "model_id": "f" * 24, "confidence": 0.5}
    (foreign,) = platform.annotate(item, dl.Box(1, 1, 9, 9, "dog"), model_info=other)

    make_adapter(platform, dataset).predict_items([item])

    assert foreign in platform.annotations(item)
    own = [a for a in predictions(platform, item) if a != foreign]
    assert [a["label"] for a in own] == ["object"]  # the zero-shot mode: the item has no prompt


@pytest.mark.parametrize(("output_type", "made"), OUTPUT_TYPES)
def test_ground_truth_masks_are_no_prompts(platform, dl, output_type, made):
    dataset = platform.dataset()
    with_truth, without = (platform.item(dataset, disk_image(), f"/{name}.png") for name in "ab")
    platform.annotate(with_truth, dl.Segmentation(disk_mask(), "cat"))

    make_adapter(platform, dataset, output_type).predict_items([with_truth, without])

    assert [a["coordinates"] for a in predictions(platform, with_truth)] == [
        a["coordinates"] for a in predictions(platform, without)
    ]


def _files():
    image = Image.fromarray(disk_image())
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    turned = image.transpose(Image.Transpose.ROTATE_90)
    turned_bytes = io.BytesIO()
    turned.save(turned_bytes, "JPEG", exif=exif, quality=95)
    files = {"exif.jpg": turned_bytes.getvalue()}
    sixteen = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    for name, converted in {
        "grey.png": image.convert("L"),
        "palette.png": image.quantize(64),
        "rgba.png": image.convert("RGBA"),
        "sixteen.png": sixteen,
    }.items():
        content = io.BytesIO()
        converted.save(content, "PNG")
        files[name] = content.getvalue()
    return files


@pytest.mark.parametrize(("output_type", "made"), OUTPUT_TYPES)
def test_images_of_all_kinds_are_predicted_upright(platform, dl, output_type, made):
    dataset = platform.dataset()
    items = [platform.item(dataset, content, f"/{name}") for name, content in _files().items()]
    for item in items:
        platform.annotate(item, dl.Box(*BOX, label="cat"))

    make_adapter(platform, dataset, output_type).predict_items(items)

    for item in items:
        (stored,) = predictions(platform, item)
        mask = mask_of(stored)
        assert mask.shape == (120, 160)
        assert mask_iou(mask, disk_mask()) > 0.85, item.name


def test_an_item_costs_five_requests_and_a_batch_one_call_of_the_encoder(platform, dl, gateway, monkeypatch):
    dataset = platform.dataset()
    items = [platform.item(dataset, disk_image(), f"/{n:02}.png") for n in range(24)]
    for item in items:
        platform.annotate(item, dl.Box(*BOX, label="cat"))
    adapter = make_adapter(platform, dataset)
    batches = []
    embed = adapter.predictor.embed
    monkeypatch.setattr(adapter.predictor, "embed", lambda images: (batches.append(len(images)), embed(images))[1])

    with gateway.counting() as first:
        adapter.predict_items(items, batch_size=8)
    with gateway.counting() as second:
        adapter.predict_items(items, batch_size=8)

    assert set(first.by_item().values()) == {4}
    assert set(second.by_item().values()) == {5}
    assert first.total <= 24 * 4 + 2  # the recipe and the ontology, for the colours
    assert second.total == 24 * 5
    assert batches == [8, 8, 8] * 2
    assert not gateway.requests.unknown


def test_building_and_reading_settings_sends_no_change(platform, dl, gateway):
    dataset = platform.dataset()
    with gateway.counting() as requests:
        adapter = make_adapter(platform, dataset)
        assert adapter.config.batch_size == 4
    assert not [request for request in requests if request.method == "PATCH"]
    with gateway.counting() as requests:
        assert adapter.config.model_cfg == "sam2_nano"
        adapter.load_from_model(adapter.model_entity)
    assert not [request for request in requests if request.method == "PATCH"]


def test_keys_that_are_missing_send_no_change_either(platform, dl, gateway):
    from sam2_adapter.dataloop.adapter import ModelAdapter

    model = platform.model(platform.dataset(), configuration={"model_cfg": "sam2_nano"})
    with gateway.counting() as requests:
        ModelAdapter(model_entity=model)
    assert requests.total == 0


def test_an_output_type_that_does_not_match_is_refused(platform, dl):
    from sam2_adapter.dataloop.adapter import ModelAdapter

    model = platform.model(platform.dataset(), output_type="segment", configuration=configuration("mask"))
    with pytest.raises(
        ConfigError, match="set output_type to 'polygon' in the configuration, or change the outputType"
    ):
        ModelAdapter(model_entity=model)


def test_one_broken_image_costs_only_itself(platform, dl):
    dataset = platform.dataset()
    good = [platform.item(dataset, disk_image(), f"/{n}.png") for n in range(5)]
    broken = platform.item(dataset, b"no picture", "/broken.png")
    items = [*good[:2], broken, *good[2:]]
    adapter = make_adapter(platform, dataset)

    with pytest.raises(PlatformError, match=r"1 of 6 items could not be predicted; the other 5 are done") as caught:
        adapter.predict_items(items, batch_size=3)

    assert f"/broken.png (id {broken.id})" in str(caught.value)
    assert "not an image" in str(caught.value)
    assert [len(predictions(platform, item)) for item in items] == [1, 1, 0, 1, 1, 1]


def test_a_prompt_that_cannot_be_used_costs_only_its_object(platform, dl, caplog):
    dataset = platform.dataset()
    items = [platform.item(dataset, disk_image(), f"/{n}.png") for n in range(2)]
    stored = platform.annotate(
        items[0], dl.Point(900, 60, "bird"), dl.Box(*BOX, label="cat"), dl.Point(5, 5, "fish"), dl.Point(80, 60, "dog")
    )
    ids = {document["label"]: document["id"] for document in stored}
    platform.store.get("annotations", ids["fish"])["coordinates"] = {"x": None, "y": 5}
    progress = Recorder()

    make_adapter(platform, dataset).predict_items(items, progress=progress)

    assert [[a["label"] for a in predictions(platform, item)] for item in items] == [["cat", "dog"], ["object"]]
    assert (
        f"/0.png (id {items[0].id}): The prompt of annotation {ids['bird']} cannot be used: Point (900, 60) lies "
        in caplog.text
    )
    assert (
        f"The prompt of annotation {ids['fish']} cannot be used: 'x' is a finite number, but got None." in caplog.text
    )
    assert progress.told[-1] == (
        100,
        "predicted 2 of 2 items; 2 prompts could not be used, the log says which",
    )


def test_an_item_none_of_whose_prompts_can_be_used_is_an_error_and_keeps_what_it_has(platform, dl):
    dataset = platform.dataset()
    items = [platform.item(dataset, disk_image(), f"/{n}.png") for n in range(2)]
    adapter = make_adapter(platform, dataset)
    adapter.predict_items(items)
    before = predictions(platform, items[0])
    platform.annotate(items[0], dl.Point(900, 60, "cat"))

    with pytest.raises(
        PlatformError, match=rf"1 of 2 items .*\n.*id {items[0].id}.*Point \(900, 60\) lies outside the image"
    ):
        adapter.predict_items(items)

    assert predictions(platform, items[0]) == before
    assert len(predictions(platform, items[1])) == 1


def test_progress_rises_to_the_end(platform, dl):
    dataset = platform.dataset()
    items = [platform.item(dataset, disk_image(), f"/{n}.png") for n in range(10)]
    progress = Recorder()
    make_adapter(platform, dataset).predict_items(items, batch_size=2, progress=progress)
    assert progress.percents == list(range(10, 101, 10))
    assert progress.told[-1] == (100, "predicted 10 of 10 items")


@pytest.mark.parametrize("filters", ["filters", "query", "part", None])
def test_a_dataset_is_predicted_as_its_filter_says(platform, dl, filters):
    dataset = platform.dataset()
    chosen, other = platform.item(dataset, disk_image(), "/a/x.png"), platform.item(dataset, disk_image(), "/b/y.png")
    made = dl.Filters(field="dir", values="/a")
    given = {"filters": made, "query": made.prepare(), "part": made.prepare()["filter"], None: None}[filters]
    progress = Recorder()

    make_adapter(platform, dataset).predict_dataset(dataset, given, progress=progress)

    assert len(predictions(platform, chosen)) == 1
    assert len(predictions(platform, other)) == (0 if filters else 1)
    assert progress.percents[-1] == 100


def test_items_that_leave_the_filter_while_they_are_predicted_move_no_others_away(platform, dl, monkeypatch):
    from sam2_adapter.dataloop import platform_requests

    monkeypatch.setattr(platform_requests, "PAGE_SIZE", 3)
    dataset = platform.dataset()
    items = [platform.item(dataset, square_photo(), f"/{n}.png") for n in range(40)]
    filters = dl.Filters(field="annotated", values=False)

    make_adapter(platform, dataset).predict_dataset(dataset, filters)

    assert [len(predictions(platform, item)) for item in items] == [1] * 40


def test_the_sdks_own_flow_works_too(platform, dl):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image())
    platform.annotate(item, dl.Box(*BOX, label="cat"))
    adapter = make_adapter(platform, dataset)

    _, annotations = dl.BaseModelAdapter.predict_items(adapter, [item])

    assert [a.label for a in annotations] == ["cat"]
    assert mask_iou(mask_of(predictions(platform, item)[0]), disk_mask()) > 0.9


def test_label_colours_that_cannot_be_had_cost_no_prediction(platform, dl, gateway, caplog):
    dataset = platform.dataset()
    item = platform.item(dataset, disk_image())
    platform.annotate(item, dl.Box(*BOX, label="dog"))
    adapter = make_adapter(platform, dataset)
    gateway.faults.add(status(500), path="/(recipes|ontologies)/")
    adapter.predict_items([dl.items.get(item_id=item.id)])
    assert gateway.faults.injected
    assert len(predictions(platform, item)) == 1
    assert f"Dataset {dataset.id}: no label colours" in caplog.text


@pytest.mark.parametrize(("output_type", "made"), OUTPUT_TYPES)
def test_a_mask_that_is_empty_gives_no_annotation_and_removes_the_earlier_one(platform, dl, output_type, made):
    dataset = platform.dataset()
    nothing, something = (platform.item(dataset, disk_image(), f"/{name}.png") for name in ("nothing", "something"))
    adapter = make_adapter(platform, dataset, output_type)
    adapter.predict_items([nothing])
    assert [p["type"] for p in predictions(platform, nothing)] == [made]
    # No centre of a pixel lies in it, so that the mask cut at the box is empty whatever the model answers.
    sliver = dl.Box(80.6, 20, 81.4, 100, label="cat")
    platform.annotate(nothing, sliver)
    platform.annotate(something, sliver, dl.Box(*BOX, label="dog"))

    _, annotations = adapter.predict_items([nothing, something])

    assert predictions(platform, nothing) == []
    assert [(p["type"], p["label"]) for p in predictions(platform, something)] == [(made, "dog")]
    assert len(annotations) == 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_items(platform, dl, monkeypatch):
    """What Python and NumPy hold at the most; images and masks are in it."""
    monkeypatch.setattr(prediction, "UNDER_WAY", 8)  # the few items are more than are under way
    dataset = platform.dataset()
    for number in range(70):
        folder = "warm-up" if number < 4 else "few" if number < 20 else "many"
        item = platform.item(dataset, disk_image(), f"/{folder}/{number}.png")
        platform.annotate(item, dl.Box(*BOX, label="cat"))
    adapter = make_adapter(platform, dataset)

    def peak(folder):
        filters = dl.Filters(field="dir", values=f"/{folder}")
        gc.collect()
        tracemalloc.start()
        try:
            adapter.predict_dataset(dataset, filters)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak("warm-up")
    few, many = peak("few"), peak("many")
    # A page of items is held as it was listed, about 20 kB an item; the images of 30 items more are not.
    assert many < few + 20 * disk_image().nbytes


def test_prompts_beyond_the_most_windows_are_told(platform, dl, caplog):
    dataset = platform.dataset()
    item = platform.item(dataset, np.full((320, 800, 3), 90, np.uint8), "/two.png")
    platform.annotate(item, dl.Box(20, 20, 34, 34, label="dot"), dl.Box(700, 260, 714, 274, label="dot"))
    make_adapter(platform, dataset, window="auto", max_windows=1).predict_items([item])
    assert "/two.png" in caplog.text
    assert "1 small prompt was answered on the whole image, since 1 window was allowed" in caplog.text


@pytest.mark.slow
def test_two_hundred_small_boxes_encode_a_bounded_number_of_windows(platform, dl, monkeypatch):
    picture = np.zeros((320, 800, 3), np.uint8)
    boxes = [
        (26 * column + 140, 26 * row + 30, 26 * column + 154, 26 * row + 44)
        for row in range(10)
        for column in range(20)
    ]
    for x0, y0, x1, y1 in boxes:
        picture[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] = 220
    dataset = platform.dataset()
    item = platform.item(dataset, picture, "/many.png")
    platform.annotate(item, *[dl.Box(*box, label="dot") for box in boxes])
    adapter = make_adapter(platform, dataset, window="auto", max_windows=16)
    encoded = []
    embed = adapter.predictor.embed

    def counting(images):
        encoded.append(len(images) if isinstance(images, list) else 1)
        return embed(images)

    monkeypatch.setattr(adapter.predictor, "embed", counting)
    _, annotations = adapter.predict_items([item])
    assert 1 < sum(encoded) <= 1 + 16, "the image and its windows"
    assert len(annotations) >= 190
