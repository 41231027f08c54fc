"""Pictures as browsers get them: the file itself where it shows the same, else what `read_image` reads."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.errors import ImageError
from sam2_adapter.images.read import read_image
from sam2_adapter.label import pictures
from sam2_adapter.label.pictures import PictureFiles, named_pictures
from tests.conftest import disk_photo


def _of(path):
    (picture,) = named_pictures([path], path.parent)
    return PictureFiles([picture]), picture


def _shown(sent):
    return Image.open(io.BytesIO(sent.content))


def test_names_and_ids_stay_the_same_when_pictures_join(tmp_path):
    few = named_pictures([tmp_path / "b" / "x.jpg"], tmp_path)
    more = named_pictures([tmp_path / "a.jpg", tmp_path / "b" / "x.jpg"], tmp_path)
    assert [picture.name for picture in more] == ["a.jpg", "b/x.jpg"]
    assert more[1] == few[0]
    assert len({picture.id for picture in more}) == 2


def test_names_that_are_no_text_are_told_apart(tmp_path):
    odd = [tmp_path / "\udcff.jpg", tmp_path / "\\udcff.jpg"]
    assert [picture.name for picture in named_pictures(odd, tmp_path)] == ["\\udcff.jpg", "\\udcff.jpg_"]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_small_plain_files_are_sent_as_they_are(tmp_path, suffix):
    path = tmp_path / f"disk.{suffix}"
    disk_photo().save(path)
    files, picture = _of(path)
    assert files.overview(picture).content == path.read_bytes()
    assert files.original_hw(picture) == (120, 160)


@pytest.mark.parametrize(
    ("name", "change", "options"),
    [
        (
            "turned.jpg",
            lambda photo: photo,
            {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"},
        ),
        ("deep.png", lambda photo: Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257), {}),
        ("clear.png", lambda photo: photo.convert("RGBA"), {}),
        ("cmyk.jpg", lambda photo: photo.convert("CMYK"), {}),
        ("disk.tif", lambda photo: photo, {}),
    ],
)
def test_everything_else_is_sent_as_it_is_read(tmp_path, name, change, options):
    path = tmp_path / name
    change(disk_photo()).save(path, **options)
    files, picture = _of(path)
    expected = read_image(path)
    sent = files.overview(picture)
    assert sent.media_type == "image/jpeg"
    shown = np.asarray(_shown(sent))
    assert shown.shape == expected.shape
    assert files.original_hw(picture) == expected.shape[:2]
    assert np.abs(shown.astype(int) - expected).mean() < 6
    assert max(_shown(files.thumbnail(picture)).size) <= 192


def test_large_pictures_have_a_smaller_view_and_tiles(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "OVERVIEW_PX", 100)
    monkeypatch.setattr(pictures, "TILE_PX", 64)
    path = tmp_path / "disk.png"
    disk_photo().save(path)
    files, picture = _of(path)
    assert _shown(files.overview(picture)).size == (100, 75)
    last = np.asarray(_shown(files.tile(picture, 2, 1)))
    assert last.shape == (56, 32, 3)
    assert np.abs(last.astype(int) - read_image(path)[64:, 128:]).mean() < 8
    with pytest.raises(ImageError, match="there is no tile 3, 0"):
        files.tile(picture, 3, 0)


@pytest.mark.parametrize("orientation", [1, 6])
def test_views_of_large_jpeg_files_are_decoded_in_a_smaller_size(tmp_path, monkeypatch, orientation):
    monkeypatch.setattr(pictures, "OVERVIEW_PX", 90)
    path = tmp_path / "disk.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    disk_photo().resize((320, 240)).save(path, quality=95, exif=exif)
    files, picture = _of(path)
    overview = np.asarray(_shown(files.overview(picture)))
    expected = Image.fromarray(read_image(path)).resize(overview.shape[1::-1], Image.Resampling.BOX)
    assert max(overview.shape) in (80, 90)
    assert np.abs(overview.astype(int) - np.asarray(expected)).mean() < 4
    assert files._decoded.statistics.entries == 0
    files.tile(picture, 0, 0)
    assert files._decoded.statistics.entries == 1


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_broken_file_is_an_error_of_its_own(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    files, picture = _of(path)
    for ask in (files.overview, files.thumbnail, files.original_hw, lambda one: files.tile(one, 0, 0)):
        with pytest.raises(ImageError, match=r"broken\.png"):
            ask(picture)


def test_a_file_that_is_cut_off_is_read_like_everywhere(tmp_path):
    path = tmp_path / "cut.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:20_000])
    files, picture = _of(path)
    with pytest.raises(ImageError, match="cut off"):
        read_image(path)
    with pytest.raises(ImageError, match=r"cut\.jpg.*cut off"):
        files.overview(picture)
