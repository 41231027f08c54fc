"""Tiny data sets of every layout, written by the tests that read them."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HW = (24, 32)


def rectangle(x0: int, y0: int, x1: int, y1: int, hw: tuple[int, int] = HW) -> np.ndarray:
    mask = np.zeros(hw, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def write_image(path: Path, hw: tuple[int, int] = HW, value: int = 100, orientation: int | None = None) -> Path:
    """An image of `hw` as stored; the EXIF orientation turns it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.full((*hw, 3), value, np.uint8))
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    image.save(path, exif=exif)
    return path


def write_json(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def write_label_map(path: Path, label_map: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(label_map).save(path)
    return path


def label_map(*masks: np.ndarray, dtype: type = np.uint8) -> np.ndarray:
    result = np.zeros(masks[0].shape, dtype)
    for number, mask in enumerate(masks, start=1):
        result[mask] = number
    return result


def label_map_folder(root: Path, names: dict[str, list[np.ndarray]], hw: tuple[int, int] = HW) -> Path:
    """`images/` and `masks/` with one label map per image."""
    for name, masks in names.items():
        write_image(root / "images" / name, hw)
        write_label_map(root / "masks" / Path(name).with_suffix(".png"), label_map(*masks))
    return root


def binary(
    mask: np.ndarray, label: str = "cat", color: tuple[int, int, int] = (255, 0, 0), **metadata: Any
) -> dict[str, Any]:
    """A mask annotation as the platform stores it: RGBA, label colour, alpha is the mask."""
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    rgba[..., :3] = color
    rgba[..., 3] = mask * 255
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"type": "binary", "label": label, "coordinates": url, "metadata": metadata}


def segment(*rings: list[tuple[float, float]], label: str = "cat", **metadata: Any) -> dict[str, Any]:
    """A polygon annotation as the platform stores it: vertices are pixel centres."""
    coordinates = [[{"x": x, "y": y, "z": 0} for x, y in ring] for ring in rings]
    return {"type": "segment", "label": label, "coordinates": coordinates, "metadata": metadata}


def item(filename: str, *annotations: dict[str, Any], **extra: Any) -> dict[str, Any]:
    return {"filename": filename, "name": Path(filename).name, "annotations": list(annotations), **extra}


def coco(images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> dict[str, Any]:
    numbered = [{"id": index, **annotation} for index, annotation in enumerate(annotations)]
    return {
        "images": images,
        "annotations": numbered,
        "categories": [{"id": 1, "name": "cat"}, {"id": 7, "name": "dog"}],
    }


def coco_image(number: int, file_name: str, hw: tuple[int, int] = HW) -> dict[str, Any]:
    return {"id": number, "file_name": file_name, "height": hw[0], "width": hw[1]}


def coco_object(image_id: int, segmentation: Any, category_id: int = 1, **extra: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": category_id, "segmentation": segmentation, **extra}
