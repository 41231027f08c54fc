"""Overlay pictures: an image with its masks, prompts, labels and scores, to be looked at.

Everything is drawn at a size that follows the image, with light and dark rims, so that it stays visible on any
background.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from sam2_adapter.annotations.colors import Color, color_of_index, colors_of_labels
from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.polygons import Ring
from sam2_adapter.annotations.prompts import FOREGROUND, BoolArray, Prompt, rotated_box_corners
from sam2_adapter.errors import ImageError
from sam2_adapter.reports.labels import LabelFont

Picture = npt.NDArray[np.uint8]
Spot = tuple[float, float, float, float]

_MASK_OPACITY = 0.42

# Largest share of an object that a tag may hide.
_HIDDEN_SHARE = 0.2

# Of a tag, in pixels at the reference size: room beside its texts, and between them.
_TAG_MARGIN = 4.5
_TAG_GAP = 6.0

_DARK: Color = (20, 20, 24)
_WHITE: Color = (255, 255, 255)
_BACKGROUND_POINT: Color = (225, 40, 50)

# Image size, the geometric mean of height and width in pixels, at which lines are one pixel per unit of thickness.
_REFERENCE_SIZE = 480

# OpenCV draws anti-aliased lines to a fraction of a pixel; this many bits of it.
_SHIFT = 4


def draw_overlay(image: Picture, annotations: Sequence[Annotation], prompts: Sequence[Prompt] = ()) -> Picture:
    """Draw masks, prompts, labels and scores over an image.

    Objects take the colour of their label; where all have the same label, each takes its own.

    Args:
        image: uint8 RGB H x W x 3; not changed.
        annotations: the objects, of masks in the image's size.
        prompts: drawn over the masks: boxes (turned ones too), foreground points as dots, background points as crosses.
            Those that objects were made of (`prompt_index`, or the same position where there are as many) take their
            colour.

    Returns:
        uint8 RGB H x W x 3.

    Raises:
        ImageError: the image is no such array, or a mask has another size.
    """
    _check_sizes(image, annotations)
    colors = object_colors(annotations)
    scale = max(0.75, float(np.sqrt(image.shape[0] * image.shape[1])) / _REFERENCE_SIZE)
    picture = image.copy()
    order = sorted(range(len(annotations)), key=lambda index: -annotations[index].area)
    for index in order:
        _tint(picture, annotations[index], colors[index])
    for index in order:
        _draw_contours(picture, annotations[index], colors[index], scale)
    prompt_colors = _prompt_colors(annotations, prompts, colors)
    for prompt, color in zip(prompts, prompt_colors, strict=True):
        _draw_prompt(picture, prompt, color, scale)
    return _draw_tags(picture, annotations, colors, scale)


def draw_outline(image: Picture, mask: BoolArray, color: Color) -> Picture:
    """Draw the outline of one mask, without a label, over a small image.

    Args:
        image: uint8 RGB H x W x 3; not changed.
        mask: H x W, not empty.
        color: of the line.

    Returns:
        uint8 RGB H x W x 3.
    """
    picture = image.copy()
    rings = [ring for part in Annotation.from_mask(mask, "object").to_polygons() for ring in part.rings]
    _draw_rimmed_lines(picture, rings, color, 1.0)
    return picture


def object_colors(annotations: Sequence[Annotation]) -> list[Color]:
    """The colour (red, green, blue in 0..255) of every object in an overlay."""
    labels = {annotation.label for annotation in annotations}
    if len(labels) <= 1:
        return [color_of_index(index) for index in range(len(annotations))]
    of_label = colors_of_labels(labels)
    return [of_label[annotation.label] for annotation in annotations]


def _check_sizes(image: Picture, annotations: Sequence[Annotation]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ImageError(
            f"An overlay is drawn on uint8 RGB H x W x 3, but the image is {image.dtype} of shape {image.shape}."
        )
    for index, annotation in enumerate(annotations):
        if annotation.original_hw != image.shape[:2]:
            height, width = annotation.original_hw
            raise ImageError(
                f"The mask of annotation {index} is {width}x{height} pixels, but the image is {image.shape[1]}x{image.shape[0]}."
            )


def _tint(picture: Picture, annotation: Annotation, color: Color) -> None:
    x0, y0, x1, y1 = annotation.box_xyxy
    region = picture[y0:y1, x0:x1]
    mask = annotation.mask_in_box
    region[mask] = np.round(region[mask] * (1 - _MASK_OPACITY) + np.array(color) * _MASK_OPACITY).astype(np.uint8)


def _draw_contours(picture: Picture, annotation: Annotation, color: Color, scale: float) -> None:
    rings = [ring for part in annotation.to_polygons() for ring in part.rings]
    _draw_rimmed_lines(picture, rings, color, 1.1 * scale)


def _draw_rimmed_lines(picture: Picture, rings: Sequence[Ring], color: Color, thickness: float) -> None:
    """Closed lines in a light tint of `color` on a dark rim."""
    _draw_lines(picture, rings, _blend(color, _DARK, 0.65), thickness * 2.2)
    _draw_lines(picture, rings, _blend(color, _WHITE, 0.6), thickness)


def _draw_lines(picture: Picture, rings: Sequence[Ring], color: Color, thickness: float) -> None:
    # OpenCV's coordinates are pixel centres, ours pixel edges.
    points = [np.round((ring - 0.5) * 2**_SHIFT).astype(np.int32)[:, None] for ring in rings]
    cv2.polylines(picture, points, True, color, max(1, round(thickness)), cv2.LINE_AA, _SHIFT)


def _blend(color: Color, other: Color, share: float) -> Color:
    """`color` with this share of `other` in it."""
    red, green, blue = (round(a * (1 - share) + b * share) for a, b in zip(color, other, strict=True))
    return red, green, blue


def _prompt_colors(
    annotations: Sequence[Annotation], prompts: Sequence[Prompt], colors: Sequence[Color]
) -> list[Color]:
    result = [_WHITE] * len(prompts)
    is_parallel = len(annotations) == len(prompts)
    for index, annotation in enumerate(annotations):
        position = annotation.prompt_index
        if position is None and is_parallel:
            position = index
        if position is not None and position < len(prompts):
            result[position] = colors[index]
    return result


def _draw_prompt(picture: Picture, prompt: Prompt, color: Color, scale: float) -> None:
    if prompt.box_xyxy is not None:
        corners = rotated_box_corners(prompt.box_xyxy, prompt.box_angle)
        _draw_lines(picture, [corners], _DARK, 3.4 * scale)
        _draw_lines(picture, [corners], _blend(color, _WHITE, 0.15), 1.7 * scale)
    for (x, y), label in zip(prompt.point_coords.tolist(), prompt.point_labels.tolist(), strict=True):
        if label == FOREGROUND:
            _draw_dot(picture, (x, y), color, scale)
        else:
            _draw_cross(picture, (x, y), scale)


def _draw_dot(picture: Picture, center: tuple[float, float], color: Color, scale: float) -> None:
    for radius, fill in ((7.0, _DARK), (6.0, _WHITE), (4.2, color)):
        _fill_circle(picture, center, radius * scale, fill)


def _draw_cross(picture: Picture, center: tuple[float, float], scale: float) -> None:
    arm = 4.6 * scale
    for thickness, color in ((5.6, _DARK), (4.2, _WHITE), (2.0, _BACKGROUND_POINT)):
        for slope in (-1, 1):
            ends = np.array([center]) + np.array([[-arm, -arm * slope], [arm, arm * slope]])
            _draw_lines(picture, [ends], color, thickness * scale)


def _fill_circle(picture: Picture, center: tuple[float, float], radius: float, color: Color) -> None:
    x, y = (round((value - 0.5) * 2**_SHIFT) for value in center)
    cv2.circle(picture, (x, y), round(radius * 2**_SHIFT), color, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _draw_tags(picture: Picture, annotations: Sequence[Annotation], colors: Sequence[Color], scale: float) -> Picture:
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    font = LabelFont(max(9.0, 11.5 * scale))
    boxes = np.array([annotation.box_xyxy for annotation in annotations], np.float64).reshape(-1, 4)
    taken: list[Spot] = []
    for index, (annotation, color) in enumerate(zip(annotations, colors, strict=True)):
        # In a crowd the score alone may find room where label and score do not.
        score = f"{annotation.iou_score:.2f}"
        for lines in ((font.line(annotation.label), score), (score,)):
            spot = _free_spot(boxes, index, _tag_wh(lines, font, scale), canvas.size, taken)
            if spot is not None:
                _draw_tag(draw, spot, lines, font, color, scale)
                taken.append(spot)
                break
    return np.array(canvas)


def _tag_wh(lines: Sequence[str], font: LabelFont, scale: float) -> tuple[float, float]:
    extents = [font.extent(line) for line in lines]
    height = max(extent.above for extent in extents) + max(extent.below for extent in extents)
    width = sum(extent.width for extent in extents) + _TAG_GAP * scale * (len(lines) - 1)
    return width + 2 * _TAG_MARGIN * scale, height + 5 * scale


def _free_spot(
    boxes: npt.NDArray[np.float64],
    index: int,
    tag_wh: tuple[float, float],
    image_wh: tuple[int, int],
    taken: Sequence[Spot],
) -> Spot | None:
    """Where a tag hides neither another tag nor much of an object; `None` in too dense a crowd."""
    x0, y0, _, y1 = boxes[index].tolist()
    width, height = tag_wh
    left = min(x0, max(0.0, image_wh[0] - width))
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for top in (y0 - height - 1, y0 + 1.0, y1 + 1.0, y1 - height - 1):
        spot = (left, top, left + width, top + height)
        is_inside = top >= 0 and top + height <= image_wh[1]
        hides_tag = (_overlaps(spot, np.array(taken).reshape(-1, 4)) > 0).any()
        if is_inside and not hides_tag and (_overlaps(spot, boxes) <= _HIDDEN_SHARE * areas).all():
            return spot
    return None


def _overlaps(spot: Spot, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The area in square pixels that a box shares with each of N x 4 boxes."""
    widths = np.minimum(boxes[:, 2], spot[2]) - np.maximum(boxes[:, 0], spot[0])
    heights = np.minimum(boxes[:, 3], spot[3]) - np.maximum(boxes[:, 1], spot[1])
    shared: npt.NDArray[np.float64] = np.maximum(widths, 0.0) * np.maximum(heights, 0.0)
    return shared


def _draw_tag(
    draw: ImageDraw.ImageDraw, spot: Spot, lines: Sequence[str], font: LabelFont, color: Color, scale: float
) -> None:
    """Draw texts beside each other: each has a direction of its own."""
    draw.rounded_rectangle(spot, radius=3 * scale, fill=color, outline=_blend(color, _DARK, 0.7))
    extents = [font.extent(line) for line in lines]
    baseline = spot[1] + 2.5 * scale + max(extent.above for extent in extents)
    left = spot[0] + _TAG_MARGIN * scale
    for line, extent in zip(lines, extents, strict=True):
        font.draw(draw, (left, baseline), line, _text_color(color))
        left += extent.width + _TAG_GAP * scale


def _text_color(background: Color) -> Color:
    """Dark or white, whichever stands out; the weights are those of perceived brightness (ITU-R BT.601)."""
    brightness = 0.299 * background[0] + 0.587 * background[1] + 0.114 * background[2]
    return _DARK if brightness > 125 else _WHITE
