"""Image features on the platform: a file beside the data, for a decoder elsewhere; `embeddings/features.py` has the format."""

from __future__ import annotations

import io
from typing import Any

from sam2_adapter.dataloop.items import nested
from sam2_adapter.dataloop.platform_requests import UnansweredError, retried
from sam2_adapter.embeddings.features import encode_features
from sam2_adapter.interactive.encoded_sources import EncodedSource

FEATURES_FOLDER = "/.dataloop/sam_features"
"""Hidden folder of the dataset where the files lie, named by the id of the item."""


def upload_features(item: Any, encoded: EncodedSource, model_name: str) -> str:
    """Store the features of an item in its dataset, in place of earlier ones.

    Args:
        item: `dl.Item`.
        encoded: its encoded image.
        model_name: architecture.

    Returns:
        Id of the hidden item that holds them.

    Raises:
        UnansweredError: they did not arrive in full.
    """
    data = encode_features(encoded.embedding, encoded.content_sha256, model_name)
    name = f"{item.id}.sam2feat"

    def upload() -> str:
        buffer = io.BytesIO(data)
        buffer.name = name
        stored = item.dataset.items.upload(
            local_path=buffer, remote_path=FEATURES_FOLDER, remote_name=name, overwrite=True
        )
        size = nested(getattr(stored, "metadata", None), "system").get("size")
        if size != len(data):
            raise UnansweredError(
                f"The features of {item.filename} could not be stored: {size} of {len(data)} bytes arrived."
            )
        return str(stored.id)

    return retried(upload)
