"""An image may be given as a file, its content, a Pillow image or an array; all mean the same pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from sam2_adapter.errors import ImageError
from sam2_adapter.images.sources import as_pixels, is_one_image
from tests.images.test_read import STORED, UPRIGHT, encoded, exif_of


def test_every_form_of_an_image_gives_the_same_pixels(tmp_path):
    turned = encoded(np.ascontiguousarray(STORED[6](UPRIGHT)), exif=exif_of(6))
    (tmp_path / "a.png").write_bytes(turned)
    with Image.open(tmp_path / "a.png") as picture:
        forms = [tmp_path / "a.png", str(tmp_path / "a.png"), turned, picture, Image.fromarray(UPRIGHT), UPRIGHT]
        for form in forms:
            assert is_one_image(form)
            assert np.array_equal(as_pixels(form), UPRIGHT)
    assert not is_one_image([UPRIGHT])
    assert not is_one_image(np.stack([UPRIGHT, UPRIGHT]))


class _Place:
    """A path of another library."""

    def __init__(self, path):
        self._path = path

    def __fspath__(self):
        return str(self._path)


def test_paths_and_contents_of_other_types_are_images(tmp_path):
    content = encoded(UPRIGHT)
    (tmp_path / "a.png").write_bytes(content)
    for form in (_Place(tmp_path / "a.png"), bytearray(content), memoryview(content)):
        assert is_one_image(form)
        assert np.array_equal(as_pixels(form), UPRIGHT)
    assert not is_one_image(np.array(["a.png", "b.png"]))
    assert not is_one_image(np.array(["a.png", None], object))


@pytest.mark.parametrize(
    "image", [io.BytesIO(b"line\nline\n"), {"a.png": 1}, torch.zeros(4, 4, 3), np.zeros(9, np.uint8)]
)
def test_what_can_be_looped_over_and_is_no_list_of_images_is_refused_as_one(image):
    assert is_one_image(image)
    with pytest.raises(
        ImageError, match=r"The image: expected a path, .* but got (BytesIO|dict|Tensor|uint8 of shape)"
    ):
        as_pixels(image)


def test_a_pillow_image_without_pixels_is_refused():
    with pytest.raises(ImageError, match="The image: the Pillow image has no pixels, it is 0x7"):
        as_pixels(Image.new("RGB", (0, 7)))


def test_pillow_images_of_any_mode():
    rgba = Image.fromarray(np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8), "RGBA")
    assert as_pixels(rgba).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    assert as_pixels(Image.fromarray(np.array([[0, 900]], np.uint16))).tolist() == [[[0] * 3, [255] * 3]]


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (
            np.zeros((4, 4), np.uint8),
            "The image: expected a path, the content of a file as bytes, a Pillow image or a uint8 RGB array of shape H x W x 3, but got uint8 of ",
        ),
        (np.zeros((4, 4, 3), np.float32), "but got float32 of shape"),
        (np.zeros((0, 4, 3), np.uint8), r"but got uint8 of shape \(0, 4, 3\)"),
        (7, "but got int"),
        (b"hello", "The image: not an image in a known format"),
        ("nowhere.jpg", "nowhere.jpg: there is no such file"),
    ],
)
def test_what_is_no_image_is_refused(image, text):
    with pytest.raises(ImageError, match=text):
        as_pixels(image)


def test_a_broken_pillow_image_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(
        encoded(np.zeros((60, 60, 3), np.uint8) + np.arange(60, dtype=np.uint8)[:, None, None])[:-40]
    )
    with (
        Image.open(tmp_path / "a.png") as picture,
        pytest.raises(ImageError, match="Image 3: the Pillow image cannot be decoded"),
    ):
        as_pixels(picture, "Image 3")
