"""Parts of a TIFF file that is larger than the memory: only the tiles, or strips, that a region touches are read.

A tile with its own index is a TIFF file of one tile. So tiles are decoded by what decodes whole files, in all its layouts and compressions, and
no other library is needed. Colours that are stretched, such as those of 16-bit grey pictures, are stretched in each region for itself.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt
from PIL import TiffImagePlugin

from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import ImageError
from sam2_adapter.files import reason_of
from sam2_adapter.images.pixel_modes import to_rgb
from sam2_adapter.images.tiff.pixel_layout import (
    GREY_WHITE_IS_ZERO,
    TiffLayout,
    any_layout,
    one_segment_tiff,
    read_layout,
)
from sam2_adapter.images.tiff.pixels import samples_to_image
from sam2_adapter.images.tiff.samples import read_samples
from sam2_adapter.images.tiff.tags import MAGIC, Directory, read_directories
from sam2_adapter.input_files import open_regular

# Bytes of a tile or strip, decoded: it is read as a whole.
_MOST_BYTES = 2**28

_ADVICE = "Save it with tiles, such as `gdal_translate -co TILED=YES` or `vips tiffsave --tile` do."


class TiffRegions:
    """The first picture of a TIFF file, of which regions are read; a context manager that closes the file. Safe between threads.

    Attributes:
        original_hw: (height, width) in pixels.
        segments_read: tiles or strips that were decoded so far; empty ones, which a sparse file leaves out, do not count.
    """

    def __init__(self, source: str | Path | IO[bytes], *, as_stored: bool = False) -> None:
        """Read the header.

        Args:
            source: the file, or where it is.
            as_stored: regions are those of the picture as it is stored; otherwise a picture that is stored turned is refused.

        Raises:
            ImageError: it is no TIFF file, or its parts cannot be read one by one; the text names the file and says what to do.
        """
        self._name = str(source) if isinstance(source, str | Path) else "the file"
        self._lock = threading.Lock()
        self.segments_read = 0
        self._file: IO[bytes] = self._opened(source) if isinstance(source, str | Path) else source
        try:
            self._directory = self._first_directory()
            self._layout, self._is_ours = self._read_layout()
            if self._layout.orientation != 1 and not as_stored:
                raise self._refused("it is stored turned, which is only read as a whole")
            self._check_segments()
        except ImageError:
            self._file.close()
            raise
        self.original_hw = (self._layout.height, self._layout.width)

    def read(self, region: Region) -> npt.NDArray[np.uint8]:
        """The pixels of a region inside the picture, uint8 RGB height x width x 3 in 0..255.

        Raises:
            ImageError: a tile is damaged.
        """
        rows, columns = self._layout.segment_hw
        parts: Any = None
        for down in range(region.y0 // rows, -(-region.y1 // rows)):
            for across in range(region.x0 // columns, -(-region.x1 // columns)):
                place = Region(across * columns, down * rows, (across + 1) * columns, (down + 1) * rows)
                part = self._segment(down * self._layout.segments_hw[1] + across)
                if parts is None and part is not None:
                    parts = np.zeros((*region.size_hw, *part.shape[2:]), part.dtype)
                if part is not None:
                    _put(parts, region, part, place)
        if parts is None:
            is_white = self._layout.photometric == GREY_WHITE_IS_ZERO
            return np.full((*region.size_hw, 3), 255 if is_white else 0, np.uint8)
        return np.asarray(to_rgb(samples_to_image(parts, self._layout))) if self._is_ours else parts

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        """The picture itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def _opened(self, path: str | Path) -> IO[bytes]:
        try:
            return open_regular(path)
        except OSError as error:
            raise ImageError(f"{path}: cannot read the file: {reason_of(error)}. Give an image file.") from error

    def _first_directory(self) -> Directory:
        try:
            if self._file.read(4) not in MAGIC:
                raise ValueError("it is no TIFF file")
            directory = next(read_directories(self._file), None)
            if directory is None:
                raise ValueError("there is no picture in it")
            return directory
        except Exception as error:  # broken headers make readers raise almost anything
            raise self._refused(str(reason_of(error))) from error

    def _read_layout(self) -> tuple[TiffLayout, bool]:
        """The layout, and whether it is one that only we read."""
        try:
            ours = read_layout(self._directory)
            return (any_layout(self._directory), False) if ours is None else (ours, True)
        except Exception as error:
            raise self._refused(str(reason_of(error))) from error

    def _check_segments(self) -> None:
        layout = self._layout
        rows, columns = layout.segment_hw
        if rows * columns * layout.channels * max(8, layout.bits) // 8 > _MOST_BYTES:
            kind = "tiles" if layout.is_tiled else "strips"
            raise self._refused(f"its {kind} of {columns}x{rows} pixels are too large")
        if not self._is_ours and layout.is_planar:
            raise self._refused("its colours are stored one after another")

    def _refused(self, reason: str) -> ImageError:
        return ImageError(
            f"{self._name}: parts of this file cannot be read one by one: {reason.rstrip('.')}. {_ADVICE}"
        )

    def _segment(self, index: int) -> npt.NDArray[Any] | None:
        """A tile or strip: samples, or RGB where Pillow reads the layout; `None` for one that the file leaves out."""
        layout = self._layout
        down, across = layout.segments_hw
        planes = [index + plane * down * across for plane in range(layout.num_planes)]
        if not all(layout.byte_counts[entry] and layout.offsets[entry] for entry in planes):
            return None
        rows = layout.segment_hw[0]
        height = rows if layout.is_tiled else min(rows, layout.height - index // across * rows)
        try:
            contents = [self._bytes(layout.offsets[entry], layout.byte_counts[entry]) for entry in planes]
            self.segments_read += 1
            if self._is_ours:
                return _samples(contents, layout, height)
            content = one_segment_tiff(contents[0], layout, self._directory, height)
            with TiffImagePlugin.TiffImageFile(io.BytesIO(content), "") as image:
                image.load()
                return np.asarray(to_rgb(image))
        except Exception as error:
            kind = "tile" if layout.is_tiled else "strip"
            raise ImageError(
                f"{self._name}: {kind} {index} is damaged ({str(reason_of(error)).rstrip('.')}). Download the file again."
            ) from error

    def _bytes(self, offset: int, count: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            content = self._file.read(min(count, 2 * _MOST_BYTES))
        if len(content) < count:
            raise ValueError("it is cut off")
        return content


def _samples(contents: Sequence[bytes], layout: TiffLayout, height: int) -> npt.NDArray[Any]:
    # The first eight bytes are those of a header, which is written over.
    starts = np.cumsum([8, *map(len, contents)]).tolist()
    alone = replace(
        layout,
        width=layout.segment_hw[1],
        height=height,
        segment_hw=(height, layout.segment_hw[1]),
        offsets=tuple(starts[:-1]),
        byte_counts=tuple(map(len, contents)),
    )
    return read_samples(b"".join([bytes(8), *contents]), alone)


def _put(parts: npt.NDArray[Any], region: Region, part: npt.NDArray[Any], place: Region) -> None:
    """Copy what a segment shows of a region."""
    x0, y0 = max(region.x0, place.x0), max(region.y0, place.y0)
    x1, y1 = min(region.x1, place.x0 + part.shape[1]), min(region.y1, place.y0 + part.shape[0])
    parts[y0 - region.y0 : y1 - region.y0, x0 - region.x0 : x1 - region.x0] = part[
        y0 - place.y0 : y1 - place.y0, x0 - place.x0 : x1 - place.x0
    ]
