"""Documents of any content: objects that make no sense are counted, nothing else happens."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.formats.coco.dataset import read_coco_data
from sam2_adapter.formats.dataloop.dataset import read_dataloop_export
from sam2_adapter.formats.dataset_reader import ReadingOptions
from sam2_adapter.formats.document import as_number, from_base64, listed_side
from sam2_adapter.formats.left_out import LeftOut
from tests.formats.folders import HW, coco, coco_image, item, segment, write_image, write_json

NUMBER = st.integers() | st.floats(width=32) | st.sampled_from([-1, 0, 5, 24, 32, 768, 10**30])
LEAF = st.none() | st.booleans() | NUMBER | st.text(max_size=4)
ANYTHING = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyzabc"), inner, max_size=3),
    max_leaves=8,
)
RING = st.lists(NUMBER, max_size=9)
RLE = st.fixed_dictionaries(
    {
        "size": st.just(list(HW)) | st.lists(NUMBER, max_size=3),
        "counts": st.lists(NUMBER, max_size=4) | st.text(max_size=9),
    }
)
COCO_ENTRY = st.fixed_dictionaries(
    {"image_id": st.just(1) | ANYTHING, "segmentation": st.lists(RING, max_size=2) | RLE | ANYTHING},
    optional={"category_id": st.just(1) | ANYTHING, "iscrowd": st.sampled_from([0, 1]), "id": ANYTHING},
)
POINT = st.fixed_dictionaries({"x": NUMBER, "y": NUMBER}) | ANYTHING
ITEM_ENTRY = st.fixed_dictionaries(
    {"type": st.sampled_from(["segment", "binary", "box"]) | ANYTHING},
    optional={
        "label": st.text(max_size=3) | ANYTHING,
        "coordinates": st.lists(st.lists(POINT, max_size=4), max_size=2) | ANYTHING,
        "metadata": st.fixed_dictionaries({"system": st.fixed_dictionaries({"objectId": st.just("1") | ANYTHING})})
        | ANYTHING,
    },
)


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        write_image(Path(name, "items", "a.png"))
        yield Path(name)


@given(st.lists(COCO_ENTRY | ANYTHING, max_size=3), ANYTHING)
def test_coco(folder, entries, image):
    document = coco([coco_image(1, "a.png"), image], [])
    document["annotations"] = entries
    (folder / "annotations.json").write_text(json.dumps(document))
    left_out = LeftOut()
    samples = read_coco_data(folder, ReadingOptions(), left_out)
    assert sum(len(sample.objects) for sample in samples[""]) <= len(entries)
    json.dumps(list(left_out))


@given(st.lists(ITEM_ENTRY | ANYTHING, max_size=3), ANYTHING)
def test_dataloop_items(folder, entries, other):
    good = segment([(2, 2), (12, 2), (12, 12), (2, 12)])
    write_json(folder / "json" / "a.json", item("/a.png", good, *entries))
    (folder / "json" / "b.json").write_text(json.dumps(other))
    left_out = LeftOut()
    (sample,) = read_dataloop_export(folder, ReadingOptions(), left_out)[""]
    assert 1 <= len(sample.objects) <= 1 + len(entries)
    json.dumps(list(left_out))


@pytest.mark.parametrize(
    "text", ["aGVsbG8=", "aGVs\r\nbG8=\n", " data:image/png;base64,aGVsbG8=", "data:image/svg+xml;base64,aGVs\nbG8="]
)
def test_base64_as_tools_write_it(text):
    assert from_base64(text) == b"hello"


@pytest.mark.parametrize("text", ["aGVsbG8", "@", "data:text/plain,hello"])
def test_other_texts_are_no_base64(text):
    with pytest.raises(ValueError, match=r"base64|padding"):
        from_base64(text)


@pytest.mark.parametrize(
    ("value", "side"),
    [(None, None), ("", None), (0, None), (-1, None), (float("nan"), None), ("64", 64), (64.0, 64), ("64.0", 64)],
)
def test_sides_as_tools_write_them(value, side):
    assert listed_side(value) == side


@pytest.mark.parametrize("value", ["wide", 64.5, [64], True, float("inf"), "9" * 5000, 2**31])
def test_other_sides_are_no_numbers_of_pixels(value):
    with pytest.raises(ValueError, match=r"no whole number of pixels|could not convert"):
        listed_side(value)


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("-2", -2), ("007", 7), ("", None), ("a", None), ("1.5", None), ("\u00b2", None), ("9" * 5000, None)],
)
def test_numbers_in_texts(text, number):
    assert as_number(text) == number
