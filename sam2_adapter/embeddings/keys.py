"""What an embedding is called wherever it is kept, in memory or on disk, and how many bytes it takes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from sam2_adapter.models.network.image_encoder import EncodedImages

Image = npt.NDArray[np.uint8]

_EXACT = "-exact"

FORMAT_VERSION = 2
"""Of the files on disk; another version has folders of its own."""


@dataclass(frozen=True)
class EncoderIdentity:
    """Everything besides the image that decides an embedding.

    Attributes:
        weights_sha256: identity of the weights.
        image_size: side of the model's square in pixels.
        resize: how the image lies in it.
        runtime: engine that executed the encoder.
        precision: number format of its arithmetic.
    """

    weights_sha256: str
    image_size: int
    resize: str
    runtime: str
    precision: str

    @property
    def folder(self) -> str:
        """Name of the folder that these embeddings share."""
        return hashlib.sha256(
            json.dumps({**asdict(self), "format": FORMAT_VERSION}, sort_keys=True).encode()
        ).hexdigest()[:24]


def image_key(image: Image, variant: str = "") -> str:
    """Identity of an image, uint8 H x W x 3, by its pixels, and of the augmented variant of it."""
    digest = hashlib.sha256(f"{image.shape} {variant}\n".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def exact_key(key: str) -> str:
    """The key of the same embedding where it is kept as the encoder gave it, not rounded to fp16."""
    return f"{key}{_EXACT}"


def is_exact(key: str) -> bool:
    """Whether an embedding is kept as the encoder gave it."""
    return key.endswith(_EXACT)


def num_bytes(encoded: EncodedImages) -> int:
    """Size of embeddings in bytes."""
    return sum(tensor.nbytes for tensor in (encoded.image_embedding, *encoded.high_res_features))
