"""The prompts and losses of a run, taken from its flat configuration."""

from __future__ import annotations

from sam2_adapter.annotations.prompt_sampling import PromptMix
from sam2_adapter.config import Config
from sam2_adapter.training.losses import LossWeights


def prompt_mix(config: Config) -> PromptMix:
    """How often each kind of first prompt is drawn."""
    return PromptMix(
        box=config.prompt_box,
        tight_box=config.prompt_tight_box,
        click=config.prompt_click,
        centre_click=config.prompt_centre_click,
        clicks=config.prompt_clicks,
        box_and_clicks=config.prompt_box_and_clicks,
    )


def loss_weights(config: Config) -> LossWeights:
    """How the parts of the loss count."""
    return LossWeights(
        focal=config.loss_focal,
        bce=config.loss_bce,
        dice=config.loss_dice,
        iou_score=config.loss_iou_score,
        object_score=config.loss_object_score,
        iou_score_error=config.iou_score_error,
        other_candidates=config.loss_other_candidates,
    )
