"""Label files as labelme writes them, for the tests that read them."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from tests.formats.folders import HW

SQUARE = [[8, 6], [16, 6], [16, 18], [8, 18]]


def shape(kind: str, points: list[Any], label: str = "cat", group: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "label": label,
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": None,
        **more,
    }


def label_file(*shapes: dict[str, Any], image: str = "a.png", hw: tuple[int, int] = HW, **more: Any) -> dict[str, Any]:
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": image,
        "imageData": None,
        "imageHeight": hw[0],
        "imageWidth": hw[1],
        **more,
    }


def picture(values: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
