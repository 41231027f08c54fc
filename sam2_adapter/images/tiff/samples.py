"""Reading the samples of a TIFF file in any layout: H x W x C numbers, as they are stored."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import TiffImagePlugin

from sam2_adapter.images.tiff.pixel_layout import TiffLayout, as_bytes_tiff

# Of any type of numbers.
Samples = npt.NDArray[Any]

_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1], axis=1)[:, 0]

# Samples that are unpacked from bits at a time, which takes 16 times their memory.
_AT_ONCE = 2**20


def read_samples(content: bytes, layout: TiffLayout) -> Samples:
    """Read all samples.

    Args:
        content: the file.
        layout: how they lie in it.

    Returns:
        H x W x C in the machine's byte order, of the smallest type that holds the bits.

    Raises:
        Exception: anything that a decoder raises for a damaged file.
    """
    planes = [_plane(content, layout, plane) for plane in range(layout.num_planes)]
    samples = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
    return samples[: layout.height, : layout.width]


def _plane(content: bytes, layout: TiffLayout, plane: int) -> Samples:
    """One plane H' x W' x C', filled up to whole tiles where there are tiles."""
    _, across = layout.segments_hw
    rows = _stored_rows(content, layout, plane) if layout.compression == 1 else _unpacked_rows(content, layout, plane)
    # Rows of a segment are samples for themselves: predictors and the filling of the last byte start again in each.
    by_segment = rows.reshape(-1, across, layout.row_bytes)
    samples = _row_samples(by_segment.reshape(-1, layout.row_bytes), layout)
    return samples.reshape(len(rows), across * layout.segment_hw[1], layout.plane_channels)


def _stored_rows(content: bytes, layout: TiffLayout, plane: int) -> npt.NDArray[np.uint8]:
    """The rows of an uncompressed plane as bytes, those of tiles beside each other in one."""
    down, across = layout.segments_hw
    rows, row_bytes = layout.segment_hw[0], layout.row_bytes
    result = np.empty((down * rows, across, row_bytes), np.uint8)
    for index in range(down * across):
        top, column = index // across * rows, index % across
        height = rows if layout.is_tiled else min(rows, layout.height - top)
        offset = layout.offsets[plane * down * across + index]
        part = np.frombuffer(content, np.uint8, height * row_bytes, offset)
        result[top : top + height, column] = part.reshape(height, row_bytes)
    if not layout.is_tiled:
        result = result[: layout.height]
    return _REVERSED[result] if layout.is_bit_reversed else result


def _unpacked_rows(content: bytes, layout: TiffLayout, plane: int) -> npt.NDArray[np.uint8]:
    file = io.BytesIO(as_bytes_tiff(content, layout, plane))
    with TiffImagePlugin.TiffImageFile(file, "") as image:
        image.load()
        return np.asarray(image)


def _row_samples(rows: npt.NDArray[np.uint8], layout: TiffLayout) -> Samples:
    """Rows of bytes N x B to samples N x W x C."""
    channels, columns = layout.plane_channels, layout.segment_hw[1]
    if layout.predictor == 3:
        return _undone_float_differences(rows, layout).reshape(len(rows), columns, channels)
    if layout.bits not in (8, 16, 32, 64):
        return _from_bits(rows, layout.bits, columns * channels).reshape(len(rows), columns, channels)
    stored = np.dtype(f"{layout.byte_order}{'u' if layout.predictor == 2 else layout.kind}{layout.bits // 8}")
    samples = np.ascontiguousarray(rows).view(stored).reshape(len(rows), columns, channels)
    native = samples.astype(stored.newbyteorder("="), copy=False)
    if layout.predictor == 2:
        native = np.cumsum(native, axis=1, dtype=native.dtype)
    return native.view(np.dtype(f"{layout.kind}{layout.bits // 8}"))


def _undone_float_differences(rows: npt.NDArray[np.uint8], layout: TiffLayout) -> Samples:
    # Adobe Photoshop TIFF Technical Note 3: the bytes of a row's floats, the highest of all first, as differences.
    size = layout.bits // 8
    summed = np.cumsum(rows.reshape(len(rows), -1, layout.plane_channels), axis=1, dtype=np.uint8)
    by_byte = summed.reshape(len(rows), size, -1)
    big_endian = np.ascontiguousarray(by_byte.transpose(0, 2, 1)).view(f">f{size}")
    return big_endian[..., 0].astype(f"f{size}")


def _from_bits(rows: npt.NDArray[np.uint8], bits: int, samples_per_row: int) -> Samples:
    """Samples that are packed without regard to bytes, the highest bit first whatever the byte order."""
    result = np.empty((len(rows), samples_per_row), np.uint8 if bits <= 8 else np.uint16)
    step = max(1, _AT_ONCE // max(1, samples_per_row))
    for start in range(0, len(rows), step):
        ones = np.unpackbits(rows[start : start + step], axis=1, count=samples_per_row * bits)
        by_sample = ones.reshape(-1, samples_per_row, bits)
        values = np.zeros(by_sample.shape[:2], result.dtype)
        for bit in range(bits):
            values = (values << 1) | by_sample[..., bit]
        result[start : start + step] = values
    return result
