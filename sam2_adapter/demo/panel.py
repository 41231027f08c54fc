"""A photograph of the demo with what is drawn over it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from sam2_adapter.annotations.colors import color_of_index, hex_of_color
from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.polygons import Polygon
from sam2_adapter.annotations.prompts import FOREGROUND, Prompt

_PNG_SIGNATURE = b"\x89PNG"


@dataclass(frozen=True)
class Panel:
    """One photograph with its masks and prompts.

    Attributes:
        caption: what stands below it.
        photo: the image file.
        original_hw: (height, width) in pixels.
        annotations: the objects.
        prompts: the prompts, in the order that `Annotation.prompt_index` counts.
        truth: true masks, drawn as outlines.
    """

    caption: str
    photo: bytes
    original_hw: tuple[int, int]
    annotations: tuple[Annotation, ...]
    prompts: tuple[Prompt, ...]
    truth: tuple[Annotation, ...] = ()


def panel_values(panel: Panel) -> dict[str, Any]:
    """What the page draws: plain values, shapes in SVG's path language, the photograph as a data URL."""
    height, width = panel.original_hw
    return {
        "caption": panel.caption,
        "width": width,
        "height": height,
        # Strokes and dots are sized in units of the image.
        "unit": max(width, height) / 100,
        "href": _data_url(panel.photo),
        "objects": [_object_values(annotation) for annotation in panel.annotations],
        "prompts": [_prompt_values(prompt, index) for index, prompt in enumerate(panel.prompts)],
        "truth": [_outline(annotation) for annotation in panel.truth],
    }


def _object_values(annotation: Annotation) -> dict[str, Any]:
    return {
        "label": annotation.label,
        "score": annotation.iou_score,
        "area": annotation.area,
        "color": _color(annotation.prompt_index or 0),
        "path": _outline(annotation),
    }


def _prompt_values(prompt: Prompt, index: int) -> dict[str, Any]:
    points = [
        {"x": x, "y": y, "is_foreground": label == FOREGROUND}
        for (x, y), label in zip(prompt.point_coords.tolist(), prompt.point_labels.tolist(), strict=True)
    ]
    return {"color": _color(index), "box": prompt.box_xyxy, "points": points}


def _outline(annotation: Annotation) -> str:
    return " ".join(_path(part) for part in annotation.to_polygons())


def _path(polygon: Polygon) -> str:
    """A part and its holes in SVG's path language; the even-odd rule leaves the holes open."""
    rings = ["L".join(f"{x:g} {y:g}" for x, y in ring.tolist()) for ring in polygon.rings]
    return "".join(f"M{ring}Z" for ring in rings)


def _color(index: int) -> str:
    # From the second on: the first, red, is lost on the reds of the photographs.
    return hex_of_color(color_of_index(index + 1))


def _data_url(photo: bytes) -> str:
    media_type = "image/png" if photo.startswith(_PNG_SIGNATURE) else "image/jpeg"
    return f"data:{media_type};base64,{base64.b64encode(photo).decode('ascii')}"
