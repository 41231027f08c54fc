"""The functions of the annotation studio, through the real SDK: boxes, clicks, refinement, features, and many users at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.embeddings.keys import num_bytes
from sam2_adapter.errors import ConfigError, PlatformError, PromptError
from sam2_adapter.formats.dataloop.objects import data_url_to_mask, mask_to_data_url
from sam2_adapter.images.read import read_image
from tests.dataloop.adapting import (
    BOX,
    Recorder,
    configuration,
    disk_image,
    disk_mask,
    make_adapter,
    mask_of,
    no_waits,
)
from tests.dataloop.gateway.faults import LOST, TRUNCATED, status

STREAM = "GET /items/{item_id}/stream"
CLICK = {"x": 80, "y": 60, "in": True}
CORNERS = [{"x": BOX[0], "y": BOX[1]}, {"x": BOX[2], "y": BOX[3]}]
FUNCTIONS = [("box_to_segmentation", "binary"), ("box_to_polygon", "segment")]


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


@pytest.fixture
def service(dl):
    return _service()


@pytest.fixture
def item(platform):
    return platform.item(platform.dataset(), disk_image(), "/scenes/disk.png")


def _service(**options):
    from sam2_adapter.dataloop.studio import StudioService

    return StudioService(configuration=configuration(), **options)


def _boxes(platform, dl, item, *boxes):
    return platform.annotate(item, *[dl.Box(*box, label="cat", attributes={"1": "small"}) for box in boxes])


@pytest.mark.parametrize(("function", "made"), FUNCTIONS)
def test_boxes_become_what_takes_their_place(platform, dl, service, item, function, made):
    boxes = _boxes(platform, dl, item, BOX, (0, 0, 30, 30))
    progress = Recorder()

    answers = getattr(service, function)(dl, item, boxes, progress)

    first = answers[0]
    assert first["id"] == boxes[0]["id"]
    assert {answer["id"] for answer in answers} <= {boxes[0]["id"], boxes[1]["id"], None}
    assert (first["type"], first["label"], first["itemId"]) == (made, "cat", item.id)
    assert first["metadata"]["system"]["automated"] is True
    assert first["metadata"]["system"]["attributes"] == {"1": "small"}
    model = first["metadata"]["user"]["model"]
    assert model["name"] == "sam2_nano"
    assert 0.5 < model["confidence"] < 1
    assert mask_iou(mask_of(first), disk_mask()) > 0.9
    assert progress.percents == [0, 50, 100]
    assert service.num_encoded == 1
    assert dl.Annotation.from_json(first, item=item).annotation_definition.label == "cat"


@pytest.mark.parametrize("function", [name for name, _ in FUNCTIONS])
def test_the_answers_of_boxes_do_not_depend_on_their_company(platform, dl, service, item, function):
    boxes = _boxes(platform, dl, item, BOX, (50, 30, 110, 90), (60, 40, 159, 119))
    together = getattr(service, function)(dl, item, boxes)
    alone = [answer for box in boxes for answer in getattr(service, function)(dl, item, [box])]
    assert [(a["id"], a["coordinates"]) for a in together] == [(a["id"], a["coordinates"]) for a in alone]


def test_a_model_entity_gives_its_name_and_its_weights(platform, dl, item):
    from sam2_adapter.dataloop.studio import StudioService

    adapter = make_adapter(platform, item.dataset)
    service = StudioService(dl, model_entity=adapter.model_entity)
    (answer,) = service.box_to_segmentation(dl, item, _boxes(platform, dl, item, BOX))
    model = answer["metadata"]["system"]["model"]
    assert (model["name"], model["model_id"]) == ("model", adapter.model_entity.id)


def test_what_is_no_box_or_lies_outside_is_named(platform, dl, service, item):
    assert service.box_to_segmentation(dl, item, []) == []
    point, outside = platform.annotate(item, dl.Point(1, 2, "cat"), dl.Box(500, 500, 600, 600, "cat"))
    with pytest.raises(PromptError, match=f"annotation {point['id']}: it is no box, but of the type 'point'"):
        service.box_to_polygon(dl, item, [point])
    with pytest.raises(PromptError, match=f"annotation {outside['id']}: Box .* lies outside"):
        service.box_to_segmentation(dl, item, [outside])


def test_a_box_that_cannot_be_used_costs_only_itself(platform, dl, service, item, caplog):
    (good,) = _boxes(platform, dl, item, BOX)
    (outside,) = _boxes(platform, dl, item, (500, 500, 600, 600))
    malformed = {**good, "id": "m", "coordinates": [{"x": 1, "y": None}, {"x": 9, "y": 9}], "metadata": "text"}
    unsure = {**good, "id": "u", "metadata": None}
    progress = Recorder()

    answers = service.box_to_segmentation(dl, item, [outside, good, malformed, unsure], progress)

    assert [answer["id"] for answer in answers] == [good["id"], "u"]
    assert answers[0]["coordinates"] == answers[1]["coordinates"]
    for named in (f"annotation {outside['id']}: Box ", "annotation m: 'y' is a finite number, but got None."):
        assert named in caplog.text
        assert named in progress.told[-1][1]
    assert progress.told[-1][1].startswith("found objects in 2 of 4 boxes; cannot be used: ")


def test_clicks_alone_answer_in_the_size_of_the_image(dl, service, item):
    mask = data_url_to_mask(service.predict_interactive_editing(dl, item, [CLICK]))
    assert mask.shape == (120, 160)
    assert mask_iou(mask, disk_mask()) > 0.8


def test_a_box_answers_in_its_own_size_whatever_the_order_of_its_corners(dl, service, item):
    left, top, right, bottom = BOX
    corners = [{"x": right + 0.7, "y": bottom}, {"x": left, "y": top}]
    for points in ([], [CLICK], [CLICK, {"x": 45, "y": 25, "in": False}]):
        mask = data_url_to_mask(service.predict_interactive_editing(dl, item, points, corners))
        assert mask.shape == (80, 80)
        assert mask_iou(mask, disk_mask()[top:bottom, left:right]) > 0.9


def test_a_background_click_takes_its_place_out_of_the_mask(platform, dl, service):
    image = disk_image().copy()
    image[:, 80:] = image[:, 80:] // 2
    item = platform.item(platform.dataset(), image)
    whole = data_url_to_mask(service.predict_interactive_editing(dl, item, [CLICK], CORNERS))
    cut = data_url_to_mask(
        service.predict_interactive_editing(dl, item, [{"x": 60, "y": 60}, {"x": 110, "y": 60, "in": False}], CORNERS)
    )
    assert np.count_nonzero(cut[:, 60:]) < np.count_nonzero(whole[:, 60:])


def test_an_answer_is_refined_from_its_logits(dl, service, item):
    predictor = service._predictor
    (embedding,) = predictor.embed([disk_image()])
    first = predictor.predict(embedding, [{"points": [[80, 60]]}])
    clicks = {"points": [[80, 60], [100, 60]], "labels": [1, 0]}
    expected = predictor.predict(embedding, [{**clicks, "mask": first.low_res_logits[0, 0]}])

    earlier = service.predict_interactive_editing(dl, item, [CLICK])
    points = [CLICK, {"x": 100, "y": 60, "in": False}]
    refined = data_url_to_mask(service.predict_interactive_editing(dl, item, points, mask_uri=earlier))
    fresh = data_url_to_mask(service.predict_interactive_editing(dl, item, points))

    assert np.array_equal(refined, expected.masks[0, 0])
    assert not np.array_equal(refined, fresh)


@pytest.mark.parametrize("corners", [None, CORNERS], ids=["whole image", "box"])
def test_a_mask_of_unknown_origin_is_refined_too(dl, service, item, corners):
    earlier = service.predict_interactive_editing(dl, item, [CLICK], corners)
    other_service = _service()
    refined = data_url_to_mask(other_service.predict_interactive_editing(dl, item, [CLICK], corners, earlier))
    assert mask_iou(refined, data_url_to_mask(earlier)) > 0.7


def test_a_mask_alone_and_an_empty_one(dl, service, item):
    drawn = mask_to_data_url(disk_mask(), (0, 0, 0))
    assert data_url_to_mask(service.predict_interactive_editing(dl, item, mask_uri=drawn)).shape == (120, 160)
    empty = mask_to_data_url(np.zeros((120, 160), bool), (0, 0, 0))
    assert service.predict_interactive_editing(dl, item, [CLICK], mask_uri=empty) == (
        service.predict_interactive_editing(dl, item, [CLICK])
    )


def test_the_answer_takes_the_colour_that_is_asked_for(dl, service, item):
    url = service.predict_interactive_editing(dl, item, [CLICK], color=[10, 200, 30])
    import base64
    import io

    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
    assert {tuple(pixel) for pixel in pixels[pixels[..., 3] > 0]} == {(10, 200, 30, 255)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs at least one of"),
        ({"points": [{"x": 5, "y": 5, "in": False}]}, "All points of this prompt are background"),
        ({"points": [{"x": 500, "y": 5}]}, "lies outside the image"),
        ({"points": [{"x": 1e300, "y": 5}]}, "lies outside the image"),
        ({"points": [{"x": "left"}]}, "points, click 1: expected"),
        ({"points": None, "bb": CORNERS}, "points: expected a list of clicks"),
        ({"points": [{"x": 80, "y": 60, "in": "false"}]}, "points, click 1, 'in': expected true"),
        ({"bb": [{"x": 5, "y": 5}]}, "bb: expected two corners"),
        ({"bb": [{"x": 5, "y": 5}, {"x": 5, "y": 9}]}, "covers no whole pixel"),
        ({"bb": [{"x": float("nan"), "y": 5}, {"x": 5, "y": 9}]}, "bb, corner 1: expected"),
        ({"bb": [{"x": -1e300, "y": 5}, {"x": -5, "y": 9}]}, "covers no whole pixel"),
        ({"points": [CLICK], "mask_uri": 5}, "mask_uri: expected a text"),
        ({"points": [CLICK], "click_radius": "wide"}, "click_radius: expected a number"),
        ({"points": [CLICK], "item": None}, "item: expected an item of the platform"),
        ({"points": [CLICK], "mask_uri": mask_to_data_url(np.ones((3, 4), bool), (0, 0, 0))}, "is 4x3 pixels"),
        ({"points": [CLICK], "color": "green"}, "color: expected"),
    ],
)
def test_bad_clicks_give_one_clear_error(dl, service, item, arguments, message):
    with pytest.raises(PromptError, match=message):
        service.predict_interactive_editing(**{"dl": dl, "item": item, **arguments})


@pytest.mark.parametrize(
    "options", [{"cache_bytes": "2 GB"}, {"cache_bytes": -1}, {"cache_idle_s": float("nan")}, {"cache_idle_s": None}]
)
def test_a_service_names_the_setting_of_its_cache_that_it_does_not_understand(options):
    (name,) = options
    with pytest.raises(ConfigError, match=f"^{name}: expected a number, 0 or more, but got "):
        _service(**options)


def test_wrong_kinds_of_arguments_are_refused_by_every_function(dl, service, item):
    for function in (service.box_to_segmentation, service.box_to_polygon):
        with pytest.raises(PromptError, match="annotations: expected a list"):
            function(dl, item, None)
        with pytest.raises(PromptError, match="item: expected"):
            function(dl, "item", [])
        with pytest.raises(PromptError, match="progress: expected"):
            function(dl, item, [], progress=50)
    with pytest.raises(PromptError, match="item: expected"):
        service.get_sam_features(dl, None)
    assert service.num_encoded == 0


def test_the_second_prompt_encodes_and_downloads_nothing(platform, dl, gateway, service, item):
    boxes = _boxes(platform, dl, item, BOX)
    item = dl.items.get(item_id=item.id)
    service.box_to_segmentation(dl, item, boxes)
    with gateway.counting() as requests:
        service.predict_interactive_editing(dl, item, [CLICK])
        service.box_to_polygon(dl, item, boxes)
    assert service.num_encoded == 1
    assert requests.total == 0


def test_clicks_in_windows_encode_a_place_once(platform, dl, gateway):
    from sam2_adapter.dataloop.studio import StudioService

    picture = np.zeros((600, 800, 3), np.uint8)
    picture[290:310, 390:412] = 230
    item = dl.items.get(item_id=platform.item(platform.dataset(), picture, "/scenes/small.png").id)
    service = StudioService(configuration=configuration(window="128"))
    small = {"x": 400, "y": 300, "in": True}
    first = service.predict_interactive_editing(dl, item, [small])
    mask = data_url_to_mask(first, allowed_hw=[(600, 800)], where="answer")
    assert mask_iou(mask, picture[..., 0] > 0) > 0.6
    assert service.num_encoded == 2, "the image and the window"
    with gateway.counting() as requests:
        assert service.predict_interactive_editing(dl, item, [small]) == first
        clicks = [small, {"x": 430, "y": 320, "in": False}, {"x": 405, "y": 305, "in": True}]
        service.predict_interactive_editing(dl, item, clicks, mask_uri=first)
    assert (service.num_encoded, requests.by_route()[STREAM]) == (2, 0)
    boxes = _boxes(platform, dl, item, (388, 288, 414, 312), (386, 286, 416, 314))
    before = service.num_encoded
    answers = service.box_to_segmentation(dl, item, boxes)
    assert len(answers) == 2
    assert service.num_encoded == before + 1, "both boxes share a window"
    service.box_to_segmentation(dl, item, boxes)
    assert service.num_encoded == before + 1


def test_an_annotation_costs_a_download_but_no_encoding_and_another_image_is_noticed(
    platform, dl, gateway, service, item
):
    service.predict_interactive_editing(dl, item, [CLICK])
    dl.items.get(item_id=item.id).update(system_metadata=True)
    with gateway.counting() as requests:
        service.predict_interactive_editing(dl, dl.items.get(item_id=item.id), [CLICK])
    assert (service.num_encoded, requests.by_route()[STREAM]) == (1, 1)

    moved = np.roll(disk_image(), 30, axis=1)
    platform.item(item.dataset, moved, item.filename)
    answer = service.predict_interactive_editing(dl, dl.items.get(item_id=item.id), [{"x": 110, "y": 60}])
    assert service.num_encoded == 2
    assert mask_iou(data_url_to_mask(answer), np.roll(disk_mask(), 30, axis=1)) > 0.8


def test_features_are_stored_compactly_and_give_the_same_masks(platform, dl, service, item):
    from sam2_adapter.embeddings.features import decode_features

    identifier = service.get_sam_features(dl, item)

    stored = platform.store.get("items", identifier)
    assert stored["filename"] == f"/.dataloop/sam_features/{item.id}.sam2feat"
    data = platform.store.files[identifier]
    predictor = service._predictor
    (embedding,) = predictor.embed([read_image(platform.store.files[item.id])])
    decoded = decode_features(data)
    tensors = [(e.encoded.image_embedding, *e.encoded.high_res_features) for e in (embedding, decoded)]
    for exact, half in zip(*tensors, strict=True):
        assert np.array_equal(exact.float().numpy().astype(np.float16), half.numpy().astype(np.float16))
    num_values = sum(tensor.numel() for tensor in tensors[0])
    assert num_values * 2 < len(data) < num_values * 2 + 1024 < num_values * 4 * 4 / 3 * 0.4
    assert (decoded.geometry, decoded.weights_sha256) == (embedding.geometry, embedding.weights_sha256)
    prompts = [{"box": BOX}, {"points": [[80, 60]]}]
    masks = [predictor.predict(e, prompts).masks for e in (embedding, decoded)]
    assert min(mask_iou(a[0], b[0]) for a, b in zip(*masks, strict=True)) > 0.99
    assert service.get_sam_features(dl, item) == identifier


@pytest.mark.parametrize("fault", [status(500), status(429), status(429, 0), LOST, TRUNCATED], ids=str)
def test_faults_of_the_platform_are_survived(platform, dl, gateway, service, item, fault):
    gateway.faults.add(fault, route="/items/{item_id}/stream", occurrences={1, 2})
    gateway.faults.add(fault, route="/datasets/{dataset_id}/items", occurrences={1})
    identifier = service.get_sam_features(dl, item)
    assert len(gateway.faults.injected) == 3
    found = platform.store.all("items", dir="/.dataloop/sam_features")
    assert [row["id"] for row in found] == [identifier]


def test_an_image_that_cannot_be_had_is_an_error_and_not_remembered(dl, gateway, service, item):
    gateway.faults.add(status(500), route="/items/{item_id}/stream")
    with pytest.raises(PlatformError, match="could not be downloaded"):
        service.predict_interactive_editing(dl, item, [CLICK])
    gateway.faults.clear()
    service.predict_interactive_editing(dl, item, [CLICK])
    assert service.num_encoded == 1


def test_ten_users_of_one_service_get_what_they_would_get_alone(platform, dl, service):
    dataset = platform.dataset()
    scenes = [platform.item(dataset, np.roll(disk_image(), 9 * n, axis=1), f"/{n}.png") for n in range(4)]
    boxes = {scene.id: _boxes(platform, dl, scene, BOX, (45, 25, 100, 90)) for scene in scenes}
    scenes = [dl.items.get(item_id=scene.id) for scene in scenes]

    def use(service, number):
        scene = scenes[number % 4]
        documents = service.box_to_segmentation(dl, scene, boxes[scene.id])
        click = service.predict_interactive_editing(dl, scene, [{"x": 60 + number, "y": 60}])
        refined = service.predict_interactive_editing(dl, scene, [CLICK], mask_uri=click)
        return [document["coordinates"] for document in documents], click, refined

    alone = [use(service, number) for number in range(20)]
    shared = _service()
    start = threading.Barrier(10)

    def together(number):
        if number < 10:
            start.wait()
        return use(shared, number)

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(together, range(20))) == alone
    assert shared.num_encoded == 4


@pytest.mark.parametrize("room_for", [0, 2.5])
def test_a_service_with_little_room_answers_all_the_same(platform, dl, room_for):
    size = num_bytes(_service()._predictor.embed([disk_image()])[0].encoded)
    service = _service(cache_bytes=int(room_for * size))
    dataset = platform.dataset()
    items = [platform.item(dataset, np.roll(disk_image(), n, axis=1), f"/{n}.png") for n in range(5)]

    def click(item):
        return service.predict_interactive_editing(dl, item, [{"x": 80, "y": 60}])

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(click, items * 4))
    assert answers == answers[:5] * 4
    assert 5 <= service.num_encoded <= 20
    assert service.cache_statistics.peak_bytes <= int(room_for * size)
