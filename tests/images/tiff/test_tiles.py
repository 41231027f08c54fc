"""Regions of TIFF files: the same pixels as in the whole picture, from the tiles that they touch."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import ImageError
from sam2_adapter.images.read import read_image
from sam2_adapter.images.tiff.tiles import TiffRegions
from sam2_adapter.predict.segment import segment
from sam2_adapter.predict.window_plan import WindowRule
from sam2_adapter.predict.windows import WindowedImage
from tests.small_model import small_predictor

HW = (200, 301)
RGB = np.random.default_rng(0).integers(0, 256, (*HW, 3), np.uint8)
SMOOTH = np.add.outer(np.arange(HW[0]), np.arange(HW[1]))[..., None].repeat(3, axis=2).astype(np.uint8) // 3
REGIONS = [Region(0, 0, 10, 10), Region(60, 60, 70, 70), Region(100, 30, 300, 199), Region(290, 190, 301, 200)]

WAYS = {
    "tiles": (RGB, {"tile": (64, 64)}),
    "wide tiles": (RGB, {"tile": (32, 128)}),
    "strips": (RGB, {"rowsperstrip": 7}),
    "deflate": (RGB, {"tile": (64, 64), "compression": "zlib", "predictor": True}),
    "lzw": (RGB, {"tile": (64, 64), "compression": "lzw", "predictor": True}),
    "zstd": (RGB, {"tile": (64, 64), "compression": "zstd"}),
    "jpeg": (SMOOTH, {"tile": (64, 64), "compression": "jpeg"}),
    "grey": (RGB[..., 0], {"tile": (64, 64)}),
    "white is zero": (RGB[..., 0], {"tile": (64, 64), "photometric": "miniswhite"}),
    "bigtiff": (RGB, {"tile": (64, 64), "bigtiff": True}),
    "big-endian": (RGB, {"tile": (64, 64), "byteorder": ">"}),
    "16-bit colours": (RGB.astype(np.uint16) * 257, {"tile": (64, 64), "compression": "zlib", "photometric": "rgb"}),
    "planes": (RGB.transpose(2, 0, 1), {"tile": (64, 64), "photometric": "rgb", "planarconfig": "separate"}),
    "alpha": (np.dstack([RGB, RGB[..., :1]]), {"tile": (64, 64), "photometric": "rgb", "extrasamples": ["unassalpha"]}),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_region_is_that_of_the_whole_picture(way, tmp_path):
    pixels, how = WAYS[way]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **how)
    whole = read_image(path)
    with TiffRegions(path) as regions:
        assert regions.original_hw == HW
        for region in REGIONS:
            assert np.array_equal(regions.read(region), region.cut(whole))


def test_only_the_tiles_that_a_region_touches_are_read(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RGB, tile=(64, 64))
    with TiffRegions(tmp_path / "a.tif") as regions:
        regions.read(Region(0, 0, 64, 64))
        assert regions.segments_read == 1
        regions.read(Region(60, 60, 70, 70))
        assert regions.segments_read == 5


def write_sparse(path, side, tiles, orientation=1):
    """A picture whose tiles are left out but for those at (down, across), as GDAL writes it with SPARSE_OK."""
    per_side = -(-side // 256)
    offsets, counts = [0] * per_side**2, [0] * per_side**2
    with path.open("wb") as file:
        file.write(b"II*\0" + bytes(4))
        for (down, across), tile in tiles.items():
            index = down * per_side + across
            offsets[index], counts[index] = file.tell(), tile.nbytes
            file.write(tile.tobytes())
        places = []
        for form, values in (("I", offsets), ("I", counts), ("H", [8, 8, 8, 0])):
            places.append(file.tell())
            file.write(struct.pack(f"<{len(values)}{form}", *values))
        entries = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 3, places[2]), (259, 3, 1, 1), (262, 3, 1, 2)]
        entries += [(274, 3, 1, orientation), (277, 3, 1, 3), (322, 4, 1, 256), (323, 4, 1, 256)]
        entries += [(324, 4, len(offsets), places[0]), (325, 4, len(counts), places[1])]
        start = file.tell()
        file.write(
            struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
        )
        file.seek(4)
        file.write(struct.pack("<I", start))


def test_tiles_that_a_sparse_file_leaves_out_are_black(tmp_path):
    tile = np.full((256, 256, 3), 200, np.uint8)
    write_sparse(tmp_path / "a.tif", 1000, {(1, 2): tile})
    with TiffRegions(tmp_path / "a.tif") as regions:
        found = regions.read(Region(500, 200, 800, 400))
        assert (found[56:, 12:268] == 200).all()
        assert not found[:56].any()
        assert not found[:, :12].any()
        assert regions.segments_read == 1
        assert not regions.read(Region(0, 0, 9, 9)).any()


def boxes_in_a_large_picture(path, side, count):
    """Prompt for bright squares of a sparse picture; the tiles read, and what was found."""
    rng = np.random.default_rng(0)
    tiles, boxes = {}, []
    per_side = side // 256
    while len(boxes) < count:
        place = tuple(rng.integers(1, per_side - 1, 2).tolist())
        if place not in tiles:
            tile = np.full((256, 256, 3), 40, np.uint8)
            tile[100:140, 110:150] = 220
            tiles[place] = tile
            boxes.append((place[1] * 256 + 105, place[0] * 256 + 95, place[1] * 256 + 155, place[0] * 256 + 145))
    write_sparse(path, side, tiles)
    with TiffRegions(path) as regions:
        windowed = WindowedImage(regions, WindowRule("auto", max_windows=count))
        prompts = [Prompt(box_xyxy=box) for box in boxes]
        found = segment(small_predictor(), None, prompts, windowed=windowed)
        return regions.segments_read, boxes, found


def check_boxes(segments_read, boxes, found, side):
    assert found.windows.in_windows == tuple(range(len(boxes)))
    assert segments_read <= 4 * found.windows.num_windows
    for annotation in found.annotations:
        x0, y0, x1, y1 = boxes[annotation.prompt_index]
        assert annotation.original_hw == (side, side)
        assert Region(x0, y0, x1, y1).contains(annotation.box_xyxy)


def test_boxes_in_a_picture_that_is_never_read_whole(tmp_path):
    check_boxes(*boxes_in_a_large_picture(tmp_path / "a.tif", 8192, 12), 8192)


@pytest.mark.soak
def test_boxes_in_a_picture_that_is_larger_than_the_memory(tmp_path):
    """200 boxes in 50,000 x 50,000 pixels, 7.5 GB in memory, with less than 1 GiB over the model."""
    import resource

    small_predictor().embed(np.zeros((64, 64, 3), np.uint8))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    check_boxes(*boxes_in_a_large_picture(tmp_path / "a.tif", 50_000, 200), 50_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB


def _save(path, **how):
    tifffile.imwrite(path, RGB, **how)


def _cut_off(path):
    _save(path, tile=(64, 64))
    path.write_bytes(path.read_bytes()[:-30_000])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b""), "it is no TIFF file"),
        (lambda path: path.write_bytes(b"II*\0\xff\xff\xff\x7f"), "cut off"),
        (lambda path: Image.fromarray(RGB).save(path, "PNG"), "it is no TIFF file"),
        (lambda path: _save(path, tile=(64, 64), extratags=[(274, 3, 1, 6, True)]), "it is stored turned"),
        (lambda path: tifffile.imwrite(path, RGB[..., 0].astype(np.complex64), tile=(64, 64)), "complex"),
    ],
)
def test_files_whose_parts_cannot_be_read_are_refused_by_name(make, reason, tmp_path):
    make(tmp_path / "a.tif")
    with pytest.raises(
        ImageError, match=rf"a\.tif: parts of this file cannot be read one by one: .*{reason}.*Save it with tiles"
    ):
        TiffRegions(tmp_path / "a.tif")


def test_strips_that_are_too_large_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sam2_adapter.images.tiff.tiles._MOST_BYTES", 1000)
    _save(tmp_path / "a.tif", rowsperstrip=200)
    with pytest.raises(ImageError, match=r"its strips of 301x200 pixels are too large\. Save it with tiles"):
        TiffRegions(tmp_path / "a.tif")


def test_a_missing_file_and_a_damaged_tile_are_named(tmp_path):
    with pytest.raises(ImageError, match=r"b\.tif: cannot read the file"):
        TiffRegions(tmp_path / "b.tif")
    _cut_off(tmp_path / "a.tif")
    with TiffRegions(tmp_path / "a.tif") as regions:
        assert regions.read(Region(0, 0, 20, 20)).any()
        with pytest.raises(ImageError, match=r"a\.tif: tile 19 is damaged \(it is cut off\)\. Download the file again"):
            regions.read(Region(290, 190, 301, 200))
