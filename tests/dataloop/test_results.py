"""Predictions as the platform's annotations: parts and holes, confidence, numbers."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.dataloop.results import make_collection, make_documents
from sam2_adapter.dataloop.storing import Owner


@pytest.mark.parametrize(("output_type", "holes_kept"), [("mask", True), ("polygon", False)])
def test_parts_survive_and_holes_survive_or_are_reported(platform, caplog, output_type, holes_kept):

    mask = np.zeros((60, 80), bool)
    mask[5:35, 5:35], mask[15:25, 15:25], mask[40:55, 50:75] = True, False, True
    item = platform.item(platform.dataset(), (60, 80), "/ring.png")
    annotation = Annotation.from_mask(mask, "cat", 1.0000001)
    documents = make_documents(item, (60, 80), [annotation], Owner("1", "m"), output_type, label_colors={}, made_by={})

    drawn = np.zeros((60, 80), bool)
    for entry in make_collection(item, documents):
        canvas = np.zeros((60, 80), np.uint8)
        shown = entry.annotation_definition.show(canvas, -1, False, 60, 80, None, 1)
        drawn |= shown.astype(bool)
    filled = mask.copy()
    filled[15:25, 15:25] = True
    assert np.array_equal(drawn, mask if holes_kept else filled)
    assert {d["metadata"]["user"]["model"]["confidence"] for d in documents} == {1.0}
    assert [d["metadata"]["user"]["made_by"]["number"] for d in documents] == list(range(len(documents)))
    assert len({d["metadata"]["system"].get("objectId") for d in documents}) == 1
    assert ("has holes of 100 pixels" in caplog.text) is not holes_kept
