"""The forms of `segmentation` that tools write."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.errors import DataError
from sam2_adapter.formats.coco.segmentation import from_text, read_segmentation
from tests.formats.folders import rectangle
from tests.shapes import QUICK

HW = (24, 32)
MASK = rectangle(2, 3, 10, 12)
RUNS = [51, *([9, 15] * 7), 9, 768 - 51 - 9 * 8 - 15 * 7]
COUNTS = mask_to_rle(MASK).counts


@pytest.mark.parametrize(
    "segmentation",
    [
        [[2, 3, 10, 3, 10, 12, 2, 12]],
        [2, 3, 10, 3, 10, 12, 2, 12],
        [[2, 3], [10, 3], [10, 12], [2, 12]],
        [[[2, 3], [10, 3], [10, 12], [2, 12]]],
        [["2", "3", "10.0", 3, 10, 12, 2, 12]],
        [[2, 3, 10, 3, 10, 12, 2, 12], [5, 5], []],
        {"size": [24, 32], "counts": RUNS},
        {"size": ["24", 32.0], "counts": [float(run) for run in RUNS]},
        {"size": [24, 32], "counts": COUNTS},
        {"size": [24, 32], "counts": str(COUNTS.encode())},
        "[[2, 3, 10, 3, 10, 12, 2, 12]]",
        " [2, 3, 10, 3, 10, 12, 2, 12] ",
        json.dumps({"size": [24, 32], "counts": COUNTS}),
        str({"size": [24, 32], "counts": COUNTS}),
        str({"size": [24, 32], "counts": COUNTS.encode()}),
        str({"size": (24, 32), "counts": tuple(RUNS)}),
        "[(2, 3, 10, 3, 10, 12, 2, 12)]",
        "((2, 3), (10, 3), (10, 12), (2, 12),)",
        "[[2, 3, 10, 3, 10, 12, 2, 12,],]",
    ],
)
def test_every_form_is_the_same_mask(segmentation):
    assert read_segmentation(from_text(segmentation), HW).rle == mask_to_rle(MASK)


def test_degenerate_rings_are_counted():
    assert read_segmentation([[2, 3, 10, 3, 10, 12], [1, 2], [], [1, 2, 3, 4, 5]], HW).degenerate_rings == 3


@pytest.mark.parametrize(
    ("segmentation", "text"),
    [
        (None, "'segmentation' is a list of polygons .* but got None"),
        ("M 1 2", "but got 'M 1 2'"),
        ("", "but got ''"),
        ("null", "but got None"),
        ('"[[1, 2]]"', r"but got '\[\[1, 2\]\]'"),
        ("[" * 100_000, "but got '\\[\\["),
        ("[[1, 2, 3]", "but got '\\[\\[1"),
        ("__import__('os')", "but got"),
        ("[__import__('os')]", "but got"),
        ("[(b'1', {1, 2})]", "a polygon in 'segmentation' is a list of numbers"),
        ("[" + "1, " * 100_000 + "]", "but got '\\[1, 1"),
        ("{'size': [24, 32], 'counts': '\\c'}", "RLE"),
        ([], "at least three points"),
        ([[1, 2, 3, 4]], "at least three points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "has 7 numbers; expected pairs x, y"),
        ([[1, 2, "x", 4, 5, 6]], "a polygon in 'segmentation' is a list of numbers"),
        ([{"x": 1}, [1, 2, 3, 4, 5, 6]], "a polygon in 'segmentation' is a list of numbers"),
        ([[1, 2, 3, 4, 5, 10**400]], "a polygon in 'segmentation' is a list of numbers"),
        ([[float("nan"), 1, 20, 1, 20, 20]], "must be finite numbers"),
        ({"counts": RUNS}, "the key 'size' is missing"),
        ({"size": [32, 24], "counts": RUNS}, r"has the 'size' \[32, 24\] \(height, width\), but the image \[24, 32\]"),
        ({"size": [24, 32], "counts": [1.5]}, "'counts' in 'segmentation' are whole numbers from 0"),
        ({"size": [24, 32], "counts": [-1]}, "'counts' in 'segmentation' are whole numbers from 0"),
        ({"size": [24, 32], "counts": [9]}, "cover the 768 pixels"),
        ({"size": [24, 32], "counts": COUNTS[:-2]}, "RLE"),
        ({"size": [24, 32], "counts": None}, "'counts' is a text, but got None"),
    ],
)
def test_other_forms_are_refused_in_the_words_of_the_file(segmentation, text):
    with pytest.raises(DataError, match=text):
        read_segmentation(from_text(segmentation), HW)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.sampled_from(["size", "counts", "x"]), inner),
    max_leaves=12,
)


@QUICK
@given(segmentation=anything)
def test_anything_is_a_mask_or_refused(segmentation):
    try:
        rle = read_segmentation(from_text(segmentation), HW).rle
    except DataError:
        return
    assert rle.original_hw == HW
    assert np.count_nonzero(MASK) == 72
