"""Opening an image of a job: whole, a region of it, or in parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import ImageError, PromptError
from sam2_adapter.images.tiff.tiles import TiffRegions
from sam2_adapter.jobs.job_image import open_image
from tests.images.tiff.test_tiles import write_sparse
from tests.jobs.writing import OPTIONS

REGION = Region(500, 200, 800, 400)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    write_sparse(tmp_path / "a.tif", 1000, {(1, 2): np.full((256, 256, 3), 200, np.uint8)})
    return tmp_path / "a.tif"


def test_a_region_is_what_is_looked_at(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    opened = open_image(tmp_path / "a.png", replace(OPTIONS, region=Region(10, 20, 30, 90)))
    assert np.array_equal(opened.seen, picture[20:60, 10:30])  # type: ignore[arg-type]
    assert np.array_equal(opened.picture, picture)  # type: ignore[arg-type]
    assert (opened.region, opened.original_hw) == (Region(10, 20, 30, 60), (60, 80))
    assert opened.notes == ("the region (10, 20, 30, 90) reaches beyond the image; (10, 20, 30, 60) is looked at",)


def test_a_large_tiff_is_read_in_parts(large: Path) -> None:
    with open_image(large, replace(OPTIONS, max_pixels=999_999)) as opened:
        assert isinstance(opened.seen, TiffRegions)
        assert (opened.pixels, opened.picture, opened.original_hw) == (None, None, (1000, 1000))
    assert open_image(large, replace(OPTIONS, max_pixels=1_000_000)).picture is not None


def test_only_the_region_of_a_large_tiff_is_read(large: Path) -> None:
    expected = np.zeros((200, 300, 3), np.uint8)
    expected[56:, 12:268] = 200
    opened = open_image(large, replace(OPTIONS, region=REGION, max_pixels=60_000))
    assert opened.picture is None
    assert np.array_equal(opened.seen, expected)  # type: ignore[arg-type]
    assert opened.original_hw == (1000, 1000)


def test_what_cannot_be_opened_is_named(large: Path, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"Region \(1000, 0, 1001, 9\) lies outside the image, which is 1000x1000"):
        open_image(large, replace(OPTIONS, region=Region(1000, 0, 1001, 9), max_pixels=99))
    with pytest.raises(ImageError, match=r"a\.tif: the region .* has 60,000 pixels, but the limit is 59,999"):
        open_image(large, replace(OPTIONS, region=REGION, max_pixels=59_999))
    write_sparse(tmp_path / "b.tif", 65_536, {})
    with pytest.raises(ImageError, match=r"b\.tif: .* masks can have 4,294,967,295 at most"):
        open_image(tmp_path / "b.tif", OPTIONS)
    turned = Image.new("RGB", (50, 40))
    turned.save(tmp_path / "c.tif", exif={274: 6})
    with pytest.raises(ImageError, match=r"c\.tif: parts of this file cannot .* raise the limit of 99 pixels with max"):
        open_image(tmp_path / "c.tif", replace(OPTIONS, max_pixels=99))
