"""Every flow of the platform as a scene, an action and the state that it must end in; for tests under random faults.

A state holds no ids and no dates, so that two runs can be compared.
"""

from __future__ import annotations

import copy
import csv
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.dataloop.adapting import adapter_of, artifacts_of, configuration, disk_image, disk_mask
from tests.dataloop.client import Platform

State = dict[str, Any]

_EPOCH_FIELDS = ("epoch", "loss", "miou_box", "miou_click", "miou_clicks", "learning_rate", "is_best")


@dataclass(frozen=True)
class Scene:
    """What a flow works on: a platform with one dataset and, where the flow needs one, a model entity by its id."""

    platform: Platform
    dataset: Any
    model_id: str

    @property
    def model(self) -> Any:
        """As the platform hands it over: made of the stored document, without a request."""
        dl, document = self.platform.dl, self.platform.store.get("models", self.model_id)
        return dl.Model.from_json(
            _json=copy.deepcopy(document), client_api=dl.client_api, project=self.platform.project, package=None
        )

    def item(self, row: dict[str, Any]) -> Any:
        """As the platform hands it over."""
        dl = self.platform.dl
        return dl.Item.from_json(_json=copy.deepcopy(row), client_api=dl.client_api, dataset=self.dataset)


@dataclass(frozen=True)
class Flow:
    """One flow.

    Attributes:
        fill: puts items and annotations into a dataset.
        act: what the platform calls; returns what the caller gets, without ids.
        state: what is stored afterwards.
        model_fields: of the model entity.
    """

    fill: Callable[[Platform, Any], None]
    act: Callable[[Scene], Any]
    state: Callable[[Scene], State]
    output_type: str = "mask"
    settings: tuple[tuple[str, Any], ...] = ()
    subsets: tuple[str, ...] = ()

    def scene(self, platform: Platform) -> Scene:
        """The dataset, filled, and the model."""
        dl = platform.dl
        dataset = platform.dataset()
        self.fill(platform, dataset)
        model = platform.model(
            dataset,
            output_type={"mask": "binary", "polygon": "segment"}[self.output_type],
            configuration=configuration(self.output_type, batch_size=2, **dict(self.settings)),
            subsets={name: dl.Filters(field="dir", values=f"/{name}*") for name in self.subsets},
        )
        return Scene(platform, dataset, model.id)


def _fill_prompts(platform: Platform, dataset: Any) -> None:
    dl = platform.dl
    for number in range(6):
        item = platform.item(dataset, np.roll(disk_image(), 5 * number, axis=1), f"/{number}.png")
        boxes = [dl.Box(left, 20, left + 60, 90, "cat") for left in (30, 45, 60)]
        platform.annotate(item, *boxes, dl.Point(80, 60, "dog"))


def _fill_truth(platform: Platform, dataset: Any) -> None:
    dl = platform.dl
    for number, folder in enumerate(("train", "train", "train", "validation")):
        shift = 6 * number
        item = platform.item(dataset, np.roll(disk_image(), shift, axis=1), f"/{folder}/{number}.png")
        mask = np.roll(disk_mask(), shift, axis=1).astype(np.uint8)
        platform.annotate(item, dl.Segmentation(mask, ("cat", "dog")[number % 2]))


def _predict(scene: Scene) -> Any:
    adapter_of(scene.model).predict_dataset(scene.dataset)


def _train(scene: Scene) -> Any:
    return adapter_of(scene.model).train_model(scene.model).status


def _evaluate(scene: Scene) -> Any:
    adapter_of(scene.model).evaluate_model(scene.model, scene.dataset)


def _embed(scene: Scene) -> Any:
    adapter_of(scene.model).embed_dataset(scene.dataset)


def _studio(scene: Scene) -> Any:
    from sam2_adapter.dataloop.studio import StudioService

    service = StudioService(model_entity=scene.model)
    answers = []
    for row in _items(scene)[:3]:
        item = scene.item(row)
        boxes = [a for a in scene.platform.annotations(item) if a["type"] == "box"]
        made = [*service.box_to_segmentation(None, item, boxes), *service.box_to_polygon(None, item, boxes)]
        click = service.predict_interactive_editing(None, item, [{"x": 80, "y": 60}])
        refined = service.predict_interactive_editing(None, item, [{"x": 70, "y": 60}], mask_uri=click)
        service.get_sam_features(None, item)
        answers.append(([a["coordinates"] for a in made], click, refined))
    return answers


def _items(scene: Scene) -> list[dict[str, Any]]:
    rows = [row for row in scene.platform.store.all("items", datasetId=scene.dataset.id) if not row["hidden"]]
    return sorted(rows, key=lambda row: row["filename"])


def annotations_state(scene: Scene) -> State:
    """The annotations of every item."""
    return {row["filename"]: sorted(map(_annotation, _annotations(scene, row))) for row in _items(scene)}


def _annotations(scene: Scene, row: dict[str, Any]) -> list[dict[str, Any]]:
    return scene.platform.store.annotations_of(row["id"])


def _annotation(document: dict[str, Any]) -> str:
    model = (document["metadata"].get("user") or {}).get("model") or {}
    owner = [model.get("name"), model.get("confidence")]
    return json.dumps([document["type"], document["label"], document["coordinates"], *owner])


def training_state(scene: Scene) -> State:
    """The model entity, its artifacts by content, and the points of its curves."""
    stored = scene.platform.store.get("models", scene.model_id)
    artifacts = artifacts_of(scene.platform, scene.model)
    epochs = json.loads(artifacts.get("metrics.json", b'{"epochs": []}'))["epochs"]
    timeless = [{name: epoch[name] for name in _EPOCH_FIELDS} for epoch in epochs]
    return {
        "status": stored["status"],
        "weights": stored["configuration"].get("weights_sha256"),
        "artifacts": sorted(artifacts),
        "epochs": timeless,
        "curves": _curves(scene),
    }


def evaluation_state(scene: Scene) -> State:
    """The predictions, the platform's score files and our figures."""
    return {"annotations": annotations_state(scene), "scores": _scores(scene), "curves": _curves(scene)}


def vectors_state(scene: Scene) -> State:
    """The vectors of every item."""
    rows = scene.platform.store.all("features")
    return {row["filename"]: [v["value"] for v in rows if v["entityId"] == row["id"]] for row in _items(scene)}


def features_state(scene: Scene) -> State:
    """The stored image features of every item, by content."""
    store = scene.platform.store
    names = {row["id"]: row["filename"] for row in _items(scene)}
    found = store.all("items", datasetId=scene.dataset.id, dir="/.dataloop/sam_features")
    files = [
        (names[row["name"].partition(".")[0]], hashlib.sha256(store.files[row["id"]]).hexdigest()) for row in found
    ]
    return {"features": sorted(files), "annotations": annotations_state(scene)}


def _curves(scene: Scene) -> list[str]:
    """A point that is sent twice is drawn once."""
    samples = scene.platform.store.all("metrics")
    points = {(s["figure"], s["legend"], s["data"]["x"], s["data"]["y"]) for s in samples}
    return sorted(str(point) for point in points)


def _scores(scene: Scene) -> State:
    store = scene.platform.store
    found = {
        row["name"].replace(scene.model_id, "model"): store.files[row["id"]]
        for row in store.all("items", dir="/.modelscores")
    }
    rows = list(csv.DictReader(io.StringIO(found.get("model.csv", b"").decode())))
    wanted = ("annotation_type", "first_label", "second_label", "geometry_score", "label_score", "attribute_score")
    return {"files": sorted(found), "rows": sorted(str([row.get(name) for name in wanted]) for row in rows)}


_TRAINING = (("num_epochs", 2), ("save_interval", 1), ("correction_share", 0.0), ("learning_rate", 1e-4))

FLOWS = {
    "predict masks": Flow(_fill_prompts, _predict, annotations_state),
    "predict polygons": Flow(_fill_prompts, _predict, annotations_state, "polygon"),
    "embed": Flow(_fill_prompts, _embed, vectors_state),
    "studio": Flow(_fill_prompts, _studio, features_state),
    "evaluate": Flow(_fill_truth, _evaluate, evaluation_state),
    "train": Flow(_fill_truth, _train, training_state, settings=_TRAINING, subsets=("train", "validation")),
}
