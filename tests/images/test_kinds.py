"""Files are called what they are, by their names and by their first bytes."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from sam2_adapter.images.kinds import is_image_name, other_kind, what_it_is


@pytest.mark.parametrize("name", ["a.JPG", "b.png", "c.tar.tiff", "d.avif", "e.jp2", "f.PGM", "g.mpo"])
def test_names_of_images(name):
    assert is_image_name(PurePath(name))
    assert other_kind(PurePath(name)) is None


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("a.MP4", "video"),
        ("b.cr2", "raw photo of a camera"),
        ("c.nii.gz", "medical image"),
        ("d.svg", "drawing or document"),
        ("e.jxl", "picture of another format"),
        ("f.svs", "microscope file"),
        ("g.txt", None),
        ("h.gz", None),
        ("i", None),
        (".mp4", None),
    ],
)
def test_names_of_other_kinds(name, noun):
    kind = other_kind(PurePath(name))
    assert (kind and kind.noun) == noun
    assert not is_image_name(PurePath(name))


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"%PDF-1.7\n", "a PDF document"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC photo"),
        (b"\0\0\0\x18ftypisom\0\0\2\0", "a video"),
        (b"\x1aE\xdf\xa3", "a video"),
        (b"\0" * 128 + b"DICM", "a DICOM image"),
        (b"PK\3\4", "a ZIP archive"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg width="9">', "an SVG drawing"),
        (b"\0\0\0\x0cJXL \r\n", "a JPEG XL picture"),
        (b"hello", None),
        (b"", None),
    ],
)
def test_first_bytes(start, name):
    assert what_it_is(start) == name
