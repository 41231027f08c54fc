"""Opening a TIFF file: its first picture, read by Pillow or by us, whoever reads its layout right."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import IO

from PIL import Image, ImageChops

from sam2_adapter.annotations.regions import Region
from sam2_adapter.images.tiff.pixel_layout import GREY_WHITE_IS_ZERO, TiffLayout, any_layout, read_layout
from sam2_adapter.images.tiff.pixels import passed_over_channels, samples_to_image
from sam2_adapter.images.tiff.samples import read_samples
from sam2_adapter.images.tiff.tags import Directory, Tag, read_directories
from sam2_adapter.images.tiff.tiles import TiffRegions

# Memory that the samples of a picture may take, however few of its pixels there are.
_MOST_BYTES = 2**32

# Pages that are counted; a file may claim any number.
_MOST_PAGES = 10_000

# ImageJ gives stacks above 4 GiB a directory for their first picture only, and says beside it how many follow.
_IMAGEJ_STACK = re.compile(rb"ImageJ=[^\0\n]{0,40}\nimages=(\d{1,9})\n")
_START_BYTES = 2**16

# Bits of the subfile type: a smaller version of another picture, and the mask of one. They are no pages.
_NO_PAGE = 1 | 4


@dataclass(frozen=True, eq=False)
class OpenedTiff:
    """A TIFF file that only we read, before its pixels are.

    Attributes:
        size_wh: (width, height) of the picture as it is stored.
        orientation: as in EXIF, 1 to 8.
        load: reads the pixels; not turned.
        note: which channels are not shown; `None` where all are.
    """

    size_wh: tuple[int, int]
    orientation: int
    load: Callable[[], Image.Image]
    note: str | None


def open_tiff(file: IO[bytes]) -> OpenedTiff | None:
    """Read the header of a TIFF file; `None` where Pillow reads its first picture right.

    Raises:
        ValueError: the layout is not read, or the file is damaged; the text says which.
        struct.error: the file is damaged.
    """
    directory = next(read_directories(file), None)
    if directory is None:
        raise ValueError("TIFF header: there is no picture in the file")
    ours, is_sparse = read_layout(directory), _leaves_out_segments(directory)
    if ours is None and not is_sparse:
        return None
    layout = ours or any_layout(directory)
    if not is_sparse:  # of a sparse picture, parts are read where the whole is too large
        _check_memory(layout)
    size_wh, note = (layout.width, layout.height), passed_over_channels(layout) if ours else None
    load = _load_sparse if is_sparse else _load
    return OpenedTiff(size_wh, layout.orientation, lambda: load(file, layout), note)


def count_pages(file: IO[bytes]) -> int:
    """Pictures in a TIFF file, without smaller versions and masks of others; at most ten thousand are counted."""
    number = sum(
        not directory.one(Tag.SUBFILE_TYPE, 0) & _NO_PAGE for directory in islice(read_directories(file), _MOST_PAGES)
    )
    file.seek(0)
    stack = _IMAGEJ_STACK.search(file.read(_START_BYTES))
    return max(number, int(stack[1])) if stack else number


def stored_values(image: Image.Image) -> Image.Image:
    """A grey picture of 8 bits that Pillow has read, with the values that are stored where 0 is white, as ImageJ saves masks."""
    tags = getattr(image, "tag_v2", {})
    is_inverted = tags.get(Tag.PHOTOMETRIC) == GREY_WHITE_IS_ZERO and tags.get(Tag.BITS) == (8,)
    return ImageChops.invert(image) if is_inverted else image


def _leaves_out_segments(directory: Directory) -> bool:
    """Whether empty tiles or strips are not stored: Pillow puts the others in the wrong places then, without an error."""
    tags = (Tag.TILE_BYTE_COUNTS, Tag.STRIP_BYTE_COUNTS)
    return any(0 in directory.tags.get(tag, ()) for tag in tags)


def _check_memory(layout: TiffLayout) -> None:
    num_bytes = layout.width * layout.height * layout.channels * max(8, layout.bits) // 8
    if num_bytes > _MOST_BYTES:
        raise ValueError(f"the {layout.channels} channels of {layout.bits} bits take {num_bytes:,} bytes of memory")


def _load_sparse(file: IO[bytes], layout: TiffLayout) -> Image.Image:
    _check_memory(layout)
    file.seek(0)
    parts = TiffRegions(file, as_stored=True)
    return Image.fromarray(parts.read(Region.whole(parts.original_hw)))


def _load(file: IO[bytes], layout: TiffLayout) -> Image.Image:
    file.seek(0)
    return samples_to_image(read_samples(file.read(), layout), layout)
