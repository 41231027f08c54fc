"""What the tests of the adapter share: an adapter with the bundled model, scenes with known objects, and masks of documents."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sam2_adapter.formats.dataloop.objects import dataloop_item_to_image
from tests.conftest import disk_photo
from tests.dataloop.client import Platform

OUTPUT_TYPES = [("mask", "binary"), ("polygon", "segment")]

BOX = (40, 20, 120, 100)
"""Around the disk of `disk_photo`, (left, top, right, bottom)."""


def disk_mask() -> np.ndarray:
    """The object of `disk_photo`, bool 120 x 160."""
    y, x = np.mgrid[:120, :160] + 0.5
    return np.hypot(x - 80, y - 60) < 40


def disk_image() -> np.ndarray:
    """The pixels of `disk_photo`."""
    return np.asarray(disk_photo())


def configuration(output_type: str = "mask", **settings: Any) -> dict[str, Any]:
    """Every key, as a manifest lists them."""
    from sam2_adapter.config import Config
    from sam2_adapter.dataloop.settings import PLATFORM_DEFAULTS

    # In fp32, as the same image gives the same bits there, whichever others are encoded with it.
    engine = {"device": "cpu", "runtime": "torch", "precision": "fp32", "general_set": "none"}
    keys = {"model_cfg": "sam2_nano", "output_type": output_type, **engine, **settings}
    values = Config.from_mapping(keys).model_dump(mode="json")
    return {**PLATFORM_DEFAULTS, **values}


def make_adapter(platform: Platform, dataset: Any, output_type: str = "mask", **settings: Any) -> Any:
    """An adapter with the bundled model, and its model entity as `adapter.model_entity`."""
    made = dict(OUTPUT_TYPES)[output_type]
    return adapter_of(platform.model(dataset, output_type=made, configuration=configuration(output_type, **settings)))


def adapter_of(model: Any = None) -> Any:
    """An adapter of a model entity."""
    from sam2_adapter.dataloop.adapter import ModelAdapter

    return ModelAdapter(model_entity=model)


def artifacts_of(platform: Platform, model: Any) -> dict[str, bytes]:
    """The artifacts that the server lists for a model, by file name."""
    ids = [artifact["itemId"] for artifact in platform.stored_model(model)["artifacts"]]
    return {platform.store.get("items", identifier)["name"]: platform.store.files[identifier] for identifier in ids}


def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once, as often as ever."""
    from sam2_adapter.dataloop import platform_requests

    monkeypatch.setattr(platform_requests, "time", SimpleNamespace(sleep=lambda _: None))


def mask_of(document: dict[str, Any], original_hw: tuple[int, int] = (120, 160)) -> np.ndarray:
    """The mask of a stored annotation."""
    item = {"name": "item", "annotations": [document]}
    return dataloop_item_to_image(item, original_hw).images[0].annotations[0].mask


def predictions(platform: Platform, item: Any) -> list[dict[str, Any]]:
    """The stored predictions of an item."""
    return [a for a in platform.annotations(item) if a["metadata"]["user"].get("model")]


class Recorder:
    """A progress object that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def update(self, progress: int = 0, message: str = "", **_: Any) -> None:
        self.told.append((progress, message))

    @property
    def percents(self) -> list[int]:
        return [percent for percent, _ in self.told]
