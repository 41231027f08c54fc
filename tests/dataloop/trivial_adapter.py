"""An adapter that needs no model: it finds what is bright."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dtlpy as dl
import numpy as np
from PIL import Image

SETTINGS = {
    "batch_size": 2,
    "include_background": False,
    "predict_embed_subset_limit": 1000,
    "predict_embed_timeout": 86400,
    "upload_annotations": True,
    "clean_annotations": True,
    "overwrite_annotations": True,
    "upload_features": None,
    "root_path": None,
    "data_path": None,
    "output_path": None,
    "threshold": 128,
}
"""Every key that the base class would write into the model by itself, and one of our own."""


class BrightAdapter(dl.BaseModelAdapter):
    """Predicts one annotation of the model's output type over the pixels above a threshold; training counts the annotations."""

    def __init__(self, model_entity: Any = None) -> None:
        self.loaded_from: list[str] = []
        self.threshold = 0
        super().__init__(model_entity)

    def load(self, local_path: str, **kwargs: Any) -> None:
        self.loaded_from = sorted(path.name for path in Path(local_path).rglob("*") if path.is_file())
        weights = Path(local_path) / "weights.json"
        self.threshold = json.loads(weights.read_text())["threshold"] if weights.is_file() else 128

    def save(self, local_path: str, **kwargs: Any) -> None:
        Path(local_path).mkdir(parents=True, exist_ok=True)
        (Path(local_path) / "weights.json").write_text(json.dumps({"threshold": 100}))

    def predict(self, batch: list[np.ndarray], **kwargs: Any) -> list[Any]:
        collections = []
        for image in batch:
            collection = dl.AnnotationCollection()
            mask = (image.max(axis=-1) > self.threshold).astype(np.uint8)
            collection.add(self._definition(mask), model_info={"name": self.model_entity.name, "confidence": 0.75})
            collections.append(collection)
        return collections

    def train(self, data_path: str, output_path: str, **kwargs: Any) -> None:
        self.seen = {}
        for path in sorted(Path(data_path).rglob("*.json")):
            document = json.loads(path.read_text())
            self.seen[str(path.relative_to(data_path))] = [row["type"] for row in document["annotations"]]
        for epoch in range(2):
            sample = dl.PlotSample(figure="loss", legend="train", x=epoch, y=1.0 / (epoch + 1))
            self.model_entity.metrics.create(samples=[sample], dataset_id=self.model_entity.dataset_id)
            kwargs["on_epoch_end_callback"](i_epoch=epoch, n_epoch=2)

    def convert_from_dtlpy(self, data_path: str, **kwargs: Any) -> None:
        """The exported JSON is what `train` reads."""

    def _definition(self, mask: np.ndarray) -> Any:
        if self.model_entity.output_type == "binary":
            return dl.Segmentation(geo=mask, label="cat")
        return dl.Polygon.from_segmentation(mask, label="cat")


def bright_square(
    size: tuple[int, int] = (60, 80), inside: tuple[slice, slice] = (slice(10, 40), slice(20, 60))
) -> Image.Image:
    """Black, with a white rectangle of rows and columns `inside`."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[inside] = 255
    return Image.fromarray(pixels)
