"""What embeddings are called: another image, variant or encoder has another name; and how many bytes they take."""

from __future__ import annotations

import numpy as np
import torch

from sam2_adapter.embeddings.keys import EncoderIdentity, image_key, num_bytes
from sam2_adapter.models.network.image_encoder import EncodedImages

IDENTITY = EncoderIdentity("w" * 64, 128, "stretch", "torch", "fp32")


def test_keys_tell_images_variants_and_encoders_apart():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    keys = {image_key(image), image_key(image, "flip"), image_key(image.reshape(4, 2, 3)), image_key(image + 1)}
    assert len(keys) == 4
    assert image_key(image) == image_key(image.copy())
    changes = (
        {"weights_sha256": "x"},
        {"image_size": 64},
        {"resize": "pad"},
        {"runtime": "other"},
        {"precision": "bf16"},
    )
    folders = {EncoderIdentity(**{**vars(IDENTITY), **change}).folder for change in ({}, *changes)}
    assert len(folders) == 6


def test_bytes_are_those_of_all_tensors():
    def embedding(dtype):
        return EncodedImages(torch.zeros(1, 8, 4, 4, dtype=dtype), (torch.zeros(1, 1, 16, 16), torch.zeros(1, 2, 8, 8)))

    assert num_bytes(embedding(torch.float32)) == 4 * (128 + 256 + 128)
    assert num_bytes(embedding(torch.float16)) == 4 * (128 + 256 + 128) - 2 * 128
