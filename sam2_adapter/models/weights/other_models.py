"""Naming models that are not SAM2 by the names of their tensors: people mix up the files of one family of models."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple


class _OtherModel(NamedTuple):
    """A model, and what only its state dict has: a part of a tensor's name for each."""

    model: str
    marks: tuple[str, ...]


# The first that fits is taken: those that build on another stand before it. Sources: the state dicts of the models' own code and of transformers.
_OTHER_MODELS = (
    _OtherModel("a LoRA adapter, not a whole model", (".lora_A.",)),
    _OtherModel("an EdgeTAM model", ("image_encoder.trunk.body.",)),
    _OtherModel("an EdgeTAM model", ("vision_encoder.backbone.timm_model.",)),
    _OtherModel("an EdgeTAM model", ("spatial_perceiver.",)),
    _OtherModel("a SAM 3 model", ("detector.backbone.",)),
    _OtherModel("a SAM 3 model", ("detector_model.",)),
    _OtherModel("a SAM 3 model", ("tracker_model.",)),
    _OtherModel("a SAM 3 model", ("vision_encoder.neck.fpn_layers.",)),
    _OtherModel("a SAM-HQ model", ("mask_decoder.hf_token.",)),
    _OtherModel("a SAM-HQ model", ("mask_decoder.hq_token.",)),
    _OtherModel("a MobileSAM model", ("image_encoder.patch_embed.seq.",)),
    _OtherModel("an EdgeSAM or RepViT-SAM model", ("image_encoder.features.", "mask_decoder.")),
    _OtherModel(
        "an EfficientSAM model",
        ("image_encoder.blocks.", "prompt_encoder.pe_layer.", "mask_decoder.final_output_upscaling_layers."),
    ),
    _OtherModel("a SAM 1 model", ("image_encoder.blocks.", "image_encoder.neck.", "mask_decoder.iou_token.")),
    _OtherModel("a SAM 1 model", ("vision_encoder.layers.", "vision_encoder.neck.", "mask_decoder.iou_token.")),
    _OtherModel("a YOLO model", ("model.0.conv.", "model.1.conv.")),
    _OtherModel("a YOLO model", ("0.conv.weight", "1.conv.weight", "0.bn.weight")),
)


def other_model(names: Collection[str]) -> str | None:
    """Which other model a state dict is of, such as "a SAM 1 model"; `None` where that is not known."""
    return next((known.model for known in _OTHER_MODELS if all(map(_found_in(names), known.marks))), None)


def _found_in(names: Collection[str]) -> Callable[[str], bool]:
    return lambda mark: any(mark in name for name in names)
