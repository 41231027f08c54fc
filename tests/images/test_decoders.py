"""Every known format is opened by its first bytes, and what is not in the picture is said."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, features

from sam2_adapter.errors import ImageError
from sam2_adapter.images import decoders
from sam2_adapter.images.decoders import OpenedImage
from sam2_adapter.images.read import image_size, read_image, read_image_with_notes
from tests.images.test_read import STORED, UPRIGHT, encoded, exif_of

LARGE = np.kron(UPRIGHT, np.ones((16, 16, 1), np.uint8))
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 184416285\n"


def _heif(image, **options):
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(image)).save(buffer, quality=95, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000"])
def test_further_formats_are_read(kind):
    if not features.check({"AVIF": "avif", "JPEG2000": "jpg_2000"}[kind]):
        pytest.skip(f"this build of Pillow does not read {kind}")
    data = encoded(LARGE, kind, **({"quality": 90} if kind == "AVIF" else {}))
    assert OpenedImage(io.BytesIO(data)).format == kind
    assert np.abs(read_image(data).astype(int) - LARGE).mean() < 4
    assert image_size(data) == LARGE.shape[:2]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_avif_photos_are_upright(orientation):
    if not features.check("avif"):
        pytest.skip("this build of Pillow does not read AVIF")
    stored = np.ascontiguousarray(STORED[orientation](LARGE))
    data = encoded(stored, "AVIF", quality=90, exif=exif_of(orientation))
    assert image_size(data) == LARGE.shape[:2]
    assert np.abs(read_image(data).astype(int) - LARGE).mean() < 4


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_heic_photos_are_read_upright(orientation):
    stored = np.ascontiguousarray(STORED[orientation](LARGE))
    data = _heif(stored, exif=exif_of(orientation).tobytes())
    assert OpenedImage(io.BytesIO(data)).format == "HEIF"
    assert image_size(data) == LARGE.shape[:2]
    assert np.abs(read_image(data).astype(int) - LARGE).mean() < 4
    with pytest.raises(ImageError, match=r"13824 pixels|13,824 pixels, but the limit is 5"):
        read_image(data, max_pixels=5)


def test_heic_photos_without_their_package_say_how_to_get_it(monkeypatch):
    monkeypatch.setattr(decoders, "can_read_heif", lambda: False)
    with pytest.raises(ImageError, match=r'a\.heic: this is a HEIC photo, .* pip install "sam2-adapter\[heif\]"'):
        read_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 400, name="a.heic")


def test_grey_maps_are_read():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(read_image(b"P5 4 3 255\n" + grey.tobytes())[..., 1], grey)
    assert np.array_equal(
        read_image(b"P2\n# by hand\n4 3\n255\n" + " ".join(map(str, grey.ravel())).encode())[..., 0], grey
    )
    assert read_image(b"P4 8 1\n" + bytes([0b10100000]))[0, :4, 0].tolist() == [0, 255, 0, 255]
    color = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    assert np.array_equal(read_image(b"P6 4 3 255\n" + color.tobytes()), color)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (LFS, r"a\.png: this is a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`\."),
        (b"<!DOCTYPE html><html>404</html>", r"a\.png: this is a web page \(HTML\), saved instead of the file"),
        (b"%PDF-1.4", r"a\.png: this is a PDF document, not an image that is read here\. Give a PNG, JPEG, "),
        (b"\0\0\0\x1cftypisom\0\0\0\0isom", r"a\.png: this is a video, not an image"),
    ],
)
def test_what_is_no_image_is_called_by_its_name(tmp_path, content, text):
    (tmp_path / "a.png").write_bytes(content)
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match=text):
            read(tmp_path / "a.png")


FIRST, SECOND = Image.fromarray(UPRIGHT), Image.fromarray(255 - UPRIGHT)


@pytest.mark.parametrize(
    ("kind", "options", "note"),
    [
        ("GIF", {}, "3 frames, of which the first one is read"),
        ("PNG", {}, "3 frames, of which the first one is read"),
        ("WEBP", {"lossless": True}, "3 frames, of which the first one is read"),
        ("TIFF", {}, "3 pages, of which the first one is read"),
    ],
)
def test_pages_and_frames_that_are_passed_over_are_said(kind, options, note):
    data = encoded(FIRST, kind, save_all=True, append_images=[SECOND, FIRST], **options)
    image, notes = read_image_with_notes(data)
    assert np.array_equal(image, UPRIGHT)
    assert notes == (note,)
    assert read_image_with_notes(encoded(FIRST, kind, **options))[1] == ()


def test_the_second_picture_of_a_camera_is_no_frame_and_its_list_may_be_wrong():
    data = encoded(
        Image.fromarray(LARGE), "MPO", save_all=True, append_images=[Image.fromarray(255 - LARGE)], quality=92
    )
    second = data.index(b"\xff\xd8\xff", 2)
    for content in (data, data[:second]):
        image, notes = read_image_with_notes(content)
        assert np.abs(image.astype(int) - LARGE).mean() < 4
        assert notes == ()
