"""Results as one Dataloop item document per image."""

from __future__ import annotations

import json

import pytest

from sam2_adapter.formats.base import WritingTarget
from sam2_adapter.formats.dataloop.format import FORMAT
from tests.formats.examples import annotated_image


@pytest.mark.parametrize(("output_type", "kind"), [("mask", "binary"), ("polygon", "segment")])
def test_the_document_of_an_image_says_what_made_it(tmp_path, output_type, kind):
    writer = FORMAT.open_writer(WritingTarget(tmp_path, lambda _: None, "small", {"tool": "x"}, output_type))
    written = writer.add(annotated_image(), "street/a")
    assert written.files == (tmp_path / "street" / "a.json",)
    assert bool(written.notes) == (output_type == "polygon")
    document = json.loads(written.files[0].read_text())
    assert {entry["type"] for entry in document["annotations"]} == {kind}
    assert document["metadata"]["user"] == {"made_by": {"tool": "x"}}
