"""The directories of a TIFF file are read in their order, and a damaged file ends in an error, not in a loop."""

from __future__ import annotations

import io

import pytest
import tifffile

from sam2_adapter.images.tiff.tags import Tag, read_directories
from tests.images.tiff.writing import Layout


def _pages(number, **options):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, **options) as writer:
        for seed in range(number):
            writer.write(Layout("u2").samples(8, 9 + seed)[..., 0], metadata=None)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"bigtiff": True, "byteorder": ">"}])
def test_directories_in_any_byte_order(options):
    found = list(read_directories(io.BytesIO(_pages(3, **options))))
    assert [entry.one(Tag.WIDTH, 0) for entry in found] == [9, 10, 11]
    assert {entry.byte_order for entry in found} == {options.get("byteorder", "<")}
    assert {entry.is_big for entry in found} == {"bigtiff" in options}
    assert found[0].tags[Tag.BITS] == (16,)
    assert found[0].one(Tag.PREDICTOR, 1) == 1


def test_a_chain_that_comes_back_to_itself_ends():
    raw = bytearray(_pages(1))
    start = int.from_bytes(raw[4:8], "little")
    end = start + 2 + 12 * int.from_bytes(raw[start : start + 2], "little")
    raw[end : end + 4] = start.to_bytes(4, "little")
    assert len(list(read_directories(io.BytesIO(bytes(raw))))) == 1


@pytest.mark.parametrize("length", [0, 3, 7, 9, 20])
def test_files_that_are_cut_off(length):
    with pytest.raises(Exception, match=r"cut off|unpack requires"):
        list(read_directories(io.BytesIO(_pages(1)[:length])))
