"""A SAM2 model small enough to run in milliseconds, with seeded weights that make its outputs vary with every input."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import torch
from transformers import (
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2PromptEncoderConfig,
    Sam2VisionConfig,
)

from sam2_adapter.models.engines.base import Precision
from sam2_adapter.models.engines.torch import TorchRuntime
from sam2_adapter.models.families.architectures import architecture_from_config
from sam2_adapter.models.families.base import Architecture
from sam2_adapter.models.load import LoadedModel
from sam2_adapter.models.network.preprocess import Resize
from sam2_adapter.models.weights.checkpoint import NoFirstValues, weights_sha256
from sam2_adapter.predict.predictor import Predictor

IMAGE_SIZE = 128
HIDDEN = 32


def small_config(image_size: int = IMAGE_SIZE) -> Sam2Config:
    """Four stages, five blocks, 32 channels in the decoder."""
    backbone = Sam2HieraDetConfig(
        hidden_size=16,
        image_size=[image_size, image_size],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[8, 4, 4, 2],
        global_attention_blocks=[3],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[128, 64, 32, 16],
        backbone_feature_sizes=[[image_size // stride] * 2 for stride in (4, 8, 16)],
        fpn_hidden_size=HIDDEN,
    )
    return Sam2Config(
        vision_config=vision,
        prompt_encoder_config=Sam2PromptEncoderConfig(hidden_size=HIDDEN, image_size=image_size),
        mask_decoder_config=Sam2MaskDecoderConfig(hidden_size=HIDDEN, mlp_dim=64, iou_head_hidden_dim=32),
    )


def small_model(seed: int = 0, image_size: int = IMAGE_SIZE) -> Sam2Model:
    """The small model with weights from `seed`: matrices scaled by 1 / sqrt(fan-in), vectors around 0 (norms around 1)."""
    return copy.deepcopy(_made(seed, image_size))


@cache
def _made(seed: int, image_size: int) -> Sam2Model:
    with NoFirstValues():
        model = Sam2Model(small_config(image_size)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in sorted([*model.named_parameters(), *model.named_buffers()]):
            noise = torch.randn(tensor.shape, generator=generator)
            if "norm" in name and name.endswith("weight"):
                tensor.copy_(1 + 0.1 * noise)
            elif tensor.ndim < 2 or "embed" in name or "token" in name:
                tensor.copy_(0.5 * noise)
            else:
                tensor.copy_(noise / tensor[0].numel() ** 0.5)
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(
            model.shared_image_embedding.positional_embedding
        )
    return model


def loaded(model: Sam2Model) -> LoadedModel:
    """A model with the small model's numbers as `load_model` would give it, built already."""
    image_size = int(model.prompt_encoder.input_image_size)
    architecture = _architecture(image_size)
    state = model.state_dict()
    result = LoadedModel(
        state, architecture, architecture.name, Path("small"), weights_sha256(state), "stretch", {}, {}
    )
    vars(result)["model"] = model
    return result


@cache
def _architecture(image_size: int) -> Architecture:
    return architecture_from_config({**small_config(image_size).to_dict(), "model_type": "sam2"})


def small_predictor(seed: int = 0, resize: Resize = "stretch", precision: Precision = "fp32") -> Predictor:
    """A predictor over `small_model(seed)` on the CPU."""
    return Predictor(TorchRuntime(small_model(seed), "cpu", precision), "small", f"{seed:064d}", resize)
