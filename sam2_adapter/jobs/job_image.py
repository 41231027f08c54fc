"""Opening an image of a job: all of it, a region of it, or a file that is larger than memory, of which windows are read later."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import ImageError
from sam2_adapter.images.read import image_size_with_notes, read_image_with_notes
from sam2_adapter.images.sources import Pixels
from sam2_adapter.images.tiff.tiles import TiffRegions
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.predict.window import RegionSource

# Masks are run-length encoded with 32 bits for a run.
_MOST_PIXELS = 2**32 - 1
_NO_OVERLAY = "the image is too large to be read whole, and to be drawn over"
_TIFF_SUFFIXES = frozenset({".tif", ".tiff", ".btf", ".tf8", ".svs", ".ndpi"})


@dataclass(frozen=True, eq=False)
class JobImage:
    """An image as a job looks at it.

    Attributes:
        seen: what is looked at: the image, or the region of it, uint8 RGB height x width x 3; or what reads parts of an image that is too
            large to be read whole.
        picture: all of the image, uint8 RGB H x W x 3; `None` where it is too large.
        region: what `seen` is of; `None` for the whole image.
        original_hw: (height, width) of the whole image in pixels.
        notes: what of the file is not in the picture, one sentence each.
    """

    seen: Pixels | RegionSource
    picture: Pixels | None
    region: Region | None
    original_hw: tuple[int, int]
    notes: tuple[str, ...]

    @property
    def pixels(self) -> Pixels | None:
        """What is encoded; `None` where only windows are."""
        return self.seen if isinstance(self.seen, np.ndarray) else None

    def __enter__(self) -> Self:
        """The image itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file, of which nothing is read any more."""
        if isinstance(self.seen, TiffRegions):
            self.seen.close()


def open_image(path: Path, options: PredictOptions) -> JobImage:
    """Read an image file, or prepare to read parts of a TIFF file with more than `max_pixels` pixels.

    Raises:
        ImageError: it is no image, is broken, or is too large and cannot be read in parts; the text names it.
        PromptError: the region lies outside it.
    """
    if path.suffix.lower() in _TIFF_SUFFIXES:
        (height, width), notes = image_size_with_notes(path)
        if height * width > options.max_pixels:
            return _opened_in_parts(path, options, notes)
    picture, notes = read_image_with_notes(path, max_pixels=options.max_pixels)
    original_hw = picture.shape[0], picture.shape[1]
    if options.region is None:
        return JobImage(picture, picture, None, original_hw, notes)
    region = options.region.within(original_hw)
    return JobImage(region.cut(picture), picture, region, original_hw, (*notes, *_cut_note(options.region, region)))


def _opened_in_parts(path: Path, options: PredictOptions, notes: Sequence[str]) -> JobImage:
    try:
        parts = TiffRegions(path)
    except ImageError as error:
        raise ImageError(
            f"{error} To read it whole, raise the limit of {options.max_pixels:,} pixels with max_pixels."
        ) from error
    with ExitStack() as opened:
        opened.callback(parts.close)
        height, width = parts.original_hw
        if height * width > _MOST_PIXELS:
            raise ImageError(
                f"{path}: the image has {width}x{height} pixels, but masks can have {_MOST_PIXELS:,} at most. Cut it."
            )
        if options.region is None:
            opened.pop_all()  # windows are read later
            return JobImage(parts, None, None, parts.original_hw, (*notes, _NO_OVERLAY))
        region = options.region.within(parts.original_hw)
        if region.area > options.max_pixels:
            raise ImageError(
                f"{path}: the region {region} has {region.area:,} pixels, but the limit is {options.max_pixels:,}. Give a smaller region, or "
                "raise the limit with max_pixels."
            )
        told = (*notes, _NO_OVERLAY, *_cut_note(options.region, region))
        return JobImage(parts.read(region), None, region, parts.original_hw, told)


def _cut_note(wanted: Region, region: Region) -> tuple[str, ...]:
    return () if wanted == region else (f"the region {wanted} reaches beyond the image; {region} is looked at",)
