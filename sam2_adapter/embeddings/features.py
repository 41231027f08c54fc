"""An encoded image as a file: what a decoder elsewhere, such as one in the browser, needs to answer clicks.

Format, version 1; all numbers little-endian:

    offset  size  content
         0     8  the ASCII text SAM2FEAT
         8     4  uint32, version
        12     4  uint32, length n of the header, a multiple of 8
        16     n  header, JSON in UTF-8, padded with blanks
    16 + n        the tensors one after another, float16, C order

The header holds `model`, `weights_sha256`, `content_sha256` (of the image file), `original_hw` (height and width of the
upright image in pixels), `image_size` (side of the model's square), `resize` (`stretch` or `pad`: how the image lies in the
square) and `tensors`, a list of `name` and `shape` in the order of the data: `image_embedding` 1 x C x h x w,
`high_res_features_0` 1 x C/8 x 4h x 4w, `high_res_features_1` 1 x C/4 x 2h x 2w. At 1024 px that is 8 MiB per image.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import torch

from sam2_adapter.errors import DataError
from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.models.network.preprocess import Geometry
from sam2_adapter.predict.predictor import ImageEmbedding

VERSION = 1

_MAGIC = b"SAM2FEAT"
_PREFIX = struct.Struct("<8sII")
_TENSORS = ("image_embedding", "high_res_features_0", "high_res_features_1")
_LARGEST = float(np.finfo(np.float16).max)


def encode_features(embedding: ImageEmbedding, content_sha256: str, model_name: str) -> bytes:
    """Write an encoded image in the format above.

    Args:
        embedding: the image; values beyond the range of float16 are clamped.
        content_sha256: hex digest of the image file.
        model_name: architecture, such as `sam2_hiera_s`.
    """
    tensors = (embedding.encoded.image_embedding, *embedding.encoded.high_res_features)
    header = {
        "model": model_name,
        "weights_sha256": embedding.weights_sha256,
        "content_sha256": content_sha256,
        "original_hw": list(embedding.original_hw),
        "image_size": embedding.geometry.image_size,
        "resize": embedding.geometry.resize,
        "tensors": [
            {"name": name, "shape": list(tensor.shape)} for name, tensor in zip(_TENSORS, tensors, strict=True)
        ],
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([_PREFIX.pack(_MAGIC, VERSION, len(text)), text, *map(_half_bytes, tensors)])


def decode_features(data: bytes) -> ImageEmbedding:
    """Read an encoded image in the format above; its tensors are float32 on the CPU.

    Raises:
        DataError: it is no such file, of another version, cut off or damaged.
    """
    if len(data) < _PREFIX.size or data[: len(_MAGIC)] != _MAGIC:
        raise DataError("This is no file of image features: it does not start with SAM2FEAT.")
    _, version, length = _PREFIX.unpack_from(data)
    if version != VERSION:
        raise DataError(
            f"The image features are of version {version}, but version {VERSION} is expected; store them again."
        )
    try:
        header = json.loads(data[_PREFIX.size : _PREFIX.size + length])
        shapes = [_shape(header, index, name) for index, name in enumerate(_TENSORS)]
        height, width = (int(side) for side in header["original_hw"])
        geometry = Geometry((height, width), int(header["image_size"]), header["resize"])
        weights_sha256 = str(header["weights_sha256"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"The header of the image features cannot be read ({error!r}); store them again.") from error
    expected = _PREFIX.size + length + 2 * sum(map(prod, shapes))
    if len(data) != expected:
        raise DataError(f"The image features have {len(data)} bytes instead of {expected}; store them again.")
    coarse, fine, middle = _tensors(data[_PREFIX.size + length :], shapes)
    return ImageEmbedding(EncodedImages(coarse, (fine, middle)), geometry, weights_sha256)


def _half_bytes(tensor: torch.Tensor) -> bytes:
    clamped = tensor.detach().float().clamp(-_LARGEST, _LARGEST).cpu().numpy()
    return clamped.astype("<f2").tobytes()


def _shape(header: Mapping[str, Any], index: int, name: str) -> tuple[int, ...]:
    entry = header["tensors"][index]
    shape = tuple(int(side) for side in entry["shape"])
    if entry["name"] != name or len(shape) != 4 or min(shape) < 1:
        raise ValueError(f"expected a tensor {name} with four sides, but got {str(entry)[:80]}")
    return shape


def _tensors(data: bytes, shapes: list[tuple[int, ...]]) -> list[torch.Tensor]:
    values = np.frombuffer(data, "<f2").astype(np.float32)
    starts = np.cumsum([0, *map(prod, shapes)])
    return [
        torch.from_numpy(values[start : start + prod(shape)].reshape(shape).copy())
        for start, shape in zip(starts[:-1], shapes, strict=True)
    ]
