"""Image features as a file for other decoders: the published format, read back and checked."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from sam2_adapter.embeddings.features import decode_features, encode_features
from sam2_adapter.errors import DataError
from tests.small_model import small_predictor

IMAGE = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def embedding():
    return small_predictor().embed([IMAGE])[0]


def test_the_format_is_the_published_one(embedding):
    data = encode_features(embedding, "c" * 64, "sam2_nano")
    magic, version, length = struct.unpack_from("<8sII", data)
    header = json.loads(data[16 : 16 + length])
    assert (magic, version, length % 8) == (b"SAM2FEAT", 1, 0)
    assert header == {
        "model": "sam2_nano",
        "weights_sha256": embedding.weights_sha256,
        "content_sha256": "c" * 64,
        "original_hw": [90, 120],
        "image_size": embedding.geometry.image_size,
        "resize": "stretch",
        "tensors": [
            {"name": name, "shape": list(tensor.shape)}
            for name, tensor in zip(
                ("image_embedding", "high_res_features_0", "high_res_features_1"),
                (embedding.encoded.image_embedding, *embedding.encoded.high_res_features),
                strict=True,
            )
        ],
    }
    first = embedding.encoded.image_embedding.numpy().astype("<f2").tobytes()
    assert data[16 + length : 16 + length + len(first)] == first


def test_features_come_back_rounded_to_half_precision(embedding):
    decoded = decode_features(encode_features(embedding, "c", "m"))
    assert (decoded.geometry, decoded.weights_sha256) == (embedding.geometry, embedding.weights_sha256)
    exact = embedding.encoded.image_embedding.numpy()
    assert np.array_equal(decoded.encoded.image_embedding.numpy(), exact.astype(np.float16).astype(np.float32))


def test_damaged_features_are_refused(embedding):
    data = encode_features(embedding, "c", "sam2_nano")
    for damaged, message in [
        (b"", "does not start with"),
        (b"{}" + data, "does not start with"),
        (data[:8] + b"\x02" + data[9:], "version 2, but version 1"),
        (data[:-2], f"{len(data) - 2} bytes instead of {len(data)}"),
        (data[:16] + b"?" + data[17:], "header .* cannot be read"),
        (data[:40], "header .* cannot be read"),
        (data.replace(b'"image_embedding"', b'"other_embedding"'), "expected a tensor image_embedding"),
    ]:
        with pytest.raises(DataError, match=message):
            decode_features(damaged)
