"""One image with every kind of object that a format must carry."""

from __future__ import annotations

import numpy as np

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from tests.shapes import ellipse

HW = (90, 120)


def annotated_image() -> AnnotatedImage:
    """A plain object, one with a hole, one of two parts, one cut by the border, one speck."""
    whole = ellipse(HW, (30, 30), (18, 20))
    holed = ellipse(HW, (30, 80), (20, 24)) & ~ellipse(HW, (30, 80), (7, 8))
    parted = ellipse(HW, (70, 20), (10, 12)) | ellipse(HW, (70, 60), (12, 14))
    cut = ellipse(HW, (80, 118), (22, 24))
    speck = np.zeros(HW, np.bool_)
    speck[0, 0] = True
    return AnnotatedImage(
        "street/a.jpg",
        HW,
        (
            Annotation.from_mask(
                whole, "cat", 0.9, attributes={"colour": "schwarz-weiß"}, object_id="7", parent_id="3"
            ),
            Annotation.from_mask(holed, "dog", 0.5),
            Annotation.from_mask(parted, "cat", 0.25),
            Annotation.from_mask(cut, "猫", 0.0),
            Annotation.from_mask(speck, "dog", 1.0),
        ),
    )
