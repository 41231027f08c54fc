"""What each part of the training is: how long it learns, how fast, and from which loss."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from losses import PromptLoss, calibrated_losses, overlap_losses

Judged = Literal["calibrated", "overlap", "cut", "obeying", "choosing"]
LOSSES: dict[Judged, PromptLoss] = {
    "calibrated": PromptLoss(calibrated_losses),
    "overlap": PromptLoss(overlap_losses),
    "cut": PromptLoss(overlap_losses, chosen_share=0.4, is_cut=True),
    "obeying": PromptLoss(overlap_losses, chosen_share=0.4, is_cut=True, obey_share=0.4),
    "choosing": PromptLoss(
        overlap_losses, chosen_share=0.4, is_cut=True, obey_share=0.4, click_weight=1.5, whole_weight=2.5
    ),
}


@dataclass(frozen=True)
class Recipe:
    """Everything that the result depends on beside the code.

    Attributes:
        steps: optimiser steps.
        learning_rate: peak of AdamW.
        warmup_steps: steps of linear warm-up.
        decay_steps: last steps, over which the rate falls to zero along a cosine.
        weight_decay: of AdamW, on matrices only.
        clip_norm: largest gradient norm.
        average: decay of the exponential moving average of the weights.
        dense_share: weight of the throw-away head's loss.
        judged: what masks learn: how likely each cell is the object's, or their expected IoU, cut at their boxes or not, and to obey clicks.
        learns_encoder: else it stays as it is.
        feature_dropout: share of the channels of an encoded image that the decoder does not see, other ones in each step.
        seed: of the starting weights, or of what is left to chance after them.
    """

    steps: int = 2100
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    decay_steps: int = 1000
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    average: float = 0.998
    dense_share: float = 1.0
    judged: Judged = "calibrated"
    learns_encoder: bool = True
    feature_dropout: float = 0.0
    seed: int = 0

    @classmethod
    def for_photographs(cls) -> Recipe:
        """The second part, which starts from learned weights."""
        return cls(
            steps=680,
            learning_rate=4e-4,
            warmup_steps=60,
            decay_steps=400,
            weight_decay=0.05,
            average=0.996,
            dense_share=0.5,
        )

    @classmethod
    def for_overlap(cls) -> Recipe:
        """The third part, which teaches the decoder alone."""
        return cls(
            steps=500,
            learning_rate=2e-4,
            warmup_steps=20,
            decay_steps=480,
            weight_decay=0.0,
            average=0.98,
            judged="overlap",
            learns_encoder=False,
        )

    @classmethod
    def for_all(cls) -> Recipe:
        """The fourth part: encoder and decoder, for overlap."""
        return cls(
            steps=2200,
            learning_rate=6e-4,
            warmup_steps=80,
            decay_steps=2120,
            average=0.997,
            dense_share=0.3,
            judged="cut",
            feature_dropout=0.05,
        )

    @classmethod
    def for_clicks(cls) -> Recipe:
        """The fifth part: as the fourth, and masks obey the clicks."""
        return replace(cls.for_all(), steps=2400, learning_rate=7e-4, decay_steps=2300, judged="obeying")

    @classmethod
    def for_choices(cls) -> Recipe:
        """The sixth part: as the fifth, and what a first click and the whole image mean counts more."""
        return replace(cls.for_clicks(), steps=3600, decay_steps=3500, judged="choosing")

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
        left = min(1.0, (self.steps - step) / self.decay_steps)
        return self.learning_rate * min(1.0, (step + 1) / self.warmup_steps) * 0.5 * (1 - math.cos(math.pi * left))
