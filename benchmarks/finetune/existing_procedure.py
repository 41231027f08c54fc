"""Fine-tuning as the existing Dataloop SAM2 adapter does it, to measure against; written from a description of its steps.

For every object, one after the other: encode the image, draw five points inside the object and five outside, decode with
three candidates, compare the first of them with the mask by the cross-entropy of probabilities, add 0.05 times the error
of its score, and take an optimizer step. No schedule, no clipping, no augmentation.

Left out in its favour are faults that would only make its results worse: that its encoder sees photographic negatives
while training, that images are padded in training and stretched in prediction, that images and masks can be paired wrongly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from sam2_adapter.annotations.prompts import BACKGROUND, FOREGROUND, BoolArray
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.models.network.image_encoder import EncodedImages, encode_image
from sam2_adapter.models.network.mask_decoder import decode_masks
from sam2_adapter.models.network.preprocess import Geometry, images_to_pixel_values
from sam2_adapter.models.network.prompt_encoder import encode_prompts
from sam2_adapter.models.network.prompt_tensors import PromptTensors

POINTS_INSIDE = POINTS_OUTSIDE = 5
SCORE_WEIGHT = 0.05
# Keeps the logarithm of a probability finite.
TINY = 1e-7
FIRST_CANDIDATE = 1


class ExistingProcedure:
    """Trains a model in place."""

    def __init__(
        self, loaded: LoadedModel, learning_rate: float = 1e-5, weight_decay: float = 4e-5, seed: int = 0
    ) -> None:
        """Take all parameters into the optimizer; those of the encoder get no gradient."""
        runtime = TorchRuntime(loaded.model, "cpu", "fp32")
        self.image_size = runtime.image_size
        self.model = loaded.model.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=learning_rate, weight_decay=weight_decay)
        self.generator = np.random.default_rng(seed)

    @torch.no_grad()
    def encode(self, image: np.ndarray) -> EncodedImages:
        """Encode one image, uint8 RGB H x W x 3."""
        return encode_image(self.model, images_to_pixel_values([image], self.image_size, "stretch"))

    def step(self, encoded: EncodedImages, mask: BoolArray) -> float:
        """One optimizer step on one object, bool H x W; returns its loss."""
        geometry = Geometry((mask.shape[0], mask.shape[1]), self.image_size, "stretch")
        coords, labels = self._points(mask)
        prompts = encode_prompts(
            self.model,
            PromptTensors(torch.from_numpy(geometry.points_to_input(coords))[None], torch.from_numpy(labels)[None]),
        )
        decoded = decode_masks(self.model, encoded, prompts)
        truth = F.interpolate(torch.from_numpy(mask)[None, None].float(), size=(self.image_size,) * 2, mode="nearest")
        loss = existing_loss(decoded.low_res_logits, decoded.iou_scores, truth[:, 0])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def epoch(self, samples: Sequence[Sample], encoded: Sequence[EncodedImages]) -> float:
        """One pass over all objects in random order; returns the mean loss.

        Images are encoded before: the encoder is frozen, so encoding them again for each object, as the adapter does, gives the same.
        """
        places = [(index, item.mask) for index, sample in enumerate(samples) for item in sample.objects]
        order = self.generator.permutation(len(places))
        return float(np.mean([self.step(encoded[places[at][0]], places[at][1]) for at in order]))

    def _points(self, mask: BoolArray) -> tuple[np.ndarray, np.ndarray]:
        inside, outside = (np.argwhere(where)[:, ::-1] for where in (mask, ~mask))
        chosen = [self.generator.choice(inside, POINTS_INSIDE), self.generator.choice(outside, POINTS_OUTSIDE)]
        labels = [FOREGROUND] * POINTS_INSIDE + [BACKGROUND] * POINTS_OUTSIDE
        return np.concatenate(chosen).astype(np.float32), np.array(labels)


def existing_loss(low_res_logits: torch.Tensor, iou_scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Its loss, from logits 1 x 4 x h x w, scores 1 x 4 and the mask 1 x S x S of 0 and 1."""
    logits = F.interpolate(low_res_logits, size=truth.shape[-2:], mode="bilinear", align_corners=False)
    probabilities = logits[:, FIRST_CANDIDATE].sigmoid()
    pixels = -truth * (probabilities + TINY).log() - (1 - truth) * (1 - probabilities + TINY).log()
    predicted = (probabilities > 0.5).float()
    intersections = (truth * predicted).sum((-2, -1))
    ious = intersections / (truth.sum((-2, -1)) + predicted.sum((-2, -1)) - intersections)
    return pixels.mean() + SCORE_WEIGHT * (iou_scores[:, FIRST_CANDIDATE] - ious).abs().mean()
