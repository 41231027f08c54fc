"""An image to one vector for similarity search: its embedding averaged over space."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from sam2_adapter.predict.predictor import ImageEmbedding


def pooled_vector(embedding: ImageEmbedding, size: int) -> list[float]:
    """Summarise an encoded image.

    The image embedding (C x h x w) is averaged over the whole image where `size` is at most C, else over a grid with
    just enough cells, then averaged to `size` values.

    Args:
        embedding: the encoded image.
        size: length of the vector.

    Returns:
        `size` finite numbers of Euclidean length 1, so that the inner product is the cosine similarity.
    """
    features = embedding.encoded.image_embedding.float().cpu()
    cells = math.ceil(math.sqrt(size / features.shape[1]))
    pooled = F.adaptive_avg_pool2d(features, cells).flatten()
    vector = F.adaptive_avg_pool1d(pooled[None], size)[0]
    return [float(value) for value in F.normalize(torch.nan_to_num(vector), dim=0)]
