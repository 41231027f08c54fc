"""A family that does not exist: three convolutions instead of a vision encoder. One file, as a real one would be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import Sam2MaskDecoderConfig, Sam2PromptEncoderConfig
from transformers.models.sam2.modeling_sam2 import Sam2MaskDecoder, Sam2PositionalEmbedding, Sam2PromptEncoder

from sam2_adapter.models.families.base import Architecture, Decoder, ModelFamily, PublishedWeights, Shapes
from sam2_adapter.models.families.shared import convolution
from sam2_adapter.models.network.image_encoder import EncodedImages


@dataclass(frozen=True, kw_only=True)
class MadeUpArchitecture(Architecture):
    """A model with `width` channels between its convolutions."""

    kind: ClassVar[str] = "made_up"

    width: int


TINY = MadeUpArchitecture(
    name="made_up_tiny",
    image_size=64,
    fpn_hidden_size=32,
    width=12,
    decoder=Decoder(mlp_dim=16, num_attention_heads=4, attention_downsample_rate=2, iou_head_hidden_dim=16),
)


class MadeUpModel(nn.Module):
    """What `ModelFamily.model_class` asks of a model."""

    def __init__(self, architecture: MadeUpArchitecture) -> None:
        super().__init__()
        channels, width = architecture.fpn_hidden_size, architecture.width
        prompts = Sam2PromptEncoderConfig(hidden_size=channels, image_size=architecture.image_size)
        self.shared_image_embedding = Sam2PositionalEmbedding(prompts)
        self.vision_encoder = nn.Module()
        self.vision_encoder.stem = nn.Conv2d(3, width, 4, 4)
        self.vision_encoder.middle = nn.Conv2d(width, channels, 2, 2)
        self.vision_encoder.coarse = nn.Conv2d(channels, channels, 2, 2)
        self.vision_encoder.fine = nn.Conv2d(width, channels, 1)
        self.prompt_encoder = Sam2PromptEncoder(prompts)
        decoder = Sam2MaskDecoderConfig(hidden_size=channels, **asdict(architecture.decoder))
        decoder._attn_implementation = "eager"
        self.mask_decoder = Sam2MaskDecoder(decoder)
        self.no_memory_embedding = nn.Parameter(torch.zeros(1, 1, channels))

    def get_image_wide_positional_embeddings(self) -> torch.Tensor:
        side = self.prompt_encoder.image_embedding_size[0]
        centres = (torch.arange(side, device=self.no_memory_embedding.device) + 0.5) / side
        grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1)
        return self.shared_image_embedding(grid).permute(2, 0, 1)[None]


class MadeUpEncoder(nn.Module):
    """Pixel values to `EncodedImages`."""

    def __init__(self, model: MadeUpModel, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.parts = [model.vision_encoder, model.mask_decoder, model.no_memory_embedding]

    def forward(self, pixel_values: torch.Tensor) -> EncodedImages:
        vision, decoder, no_memory = self.parts
        stem = vision.stem(pixel_values).tanh()
        middle = vision.middle(stem).tanh()
        coarse = vision.coarse(middle) + no_memory.view(1, -1, 1, 1)
        return EncodedImages(coarse, (decoder.conv_s0(vision.fine(stem)), decoder.conv_s1(middle)))


class MadeUpFamily(ModelFamily):
    """Numbers, names, shapes and builder in one class."""

    kind = "made_up"
    model_class = "MadeUpModel"
    image_encoder = "tests.models.families.made_up:MadeUpEncoder"
    config_types = ("made_up",)
    vision_names = tuple(
        (f"image_encoder.{part}", f"vision_encoder.{part}") for part in ("stem", "middle", "coarse", "fine")
    )

    def architectures(self) -> Mapping[str, MadeUpArchitecture]:
        return {TINY.name: TINY}

    def read_numbers(self, values: Mapping[str, Any], weights: PublishedWeights | None) -> MadeUpArchitecture:
        keys = ("name", "image_size", "fpn_hidden_size", "width", "family")
        return MadeUpArchitecture(
            **{key: values[key] for key in keys}, decoder=Decoder(**values["decoder"]), weights=weights
        )

    def vision_shapes(self, architecture: MadeUpArchitecture) -> Shapes:
        channels, width = architecture.fpn_hidden_size, architecture.width
        parts = (
            ("stem", 3, width, 4),
            ("middle", width, channels, 2),
            ("coarse", channels, channels, 2),
            ("fine", width, channels, 1),
        )
        return dict(
            entry for name, before, after, kernel in parts for entry in convolution(name, before, after, kernel)
        )

    def build(self, architecture: MadeUpArchitecture) -> nn.Module:
        return MadeUpModel(architecture)

    def config_json(self, architecture: MadeUpArchitecture, dtype: str, with_video: bool) -> str:
        return json.dumps({"model_type": "made_up", "dtype": dtype, "numbers": architecture.to_dict()})

    def read_config(self, config: Mapping[str, Any]) -> MadeUpArchitecture:
        return self.read_numbers(config["numbers"], None)
