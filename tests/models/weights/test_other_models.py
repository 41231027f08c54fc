"""Other models are called what they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sam2_adapter.errors import CheckpointError
from sam2_adapter.models.families.architectures import architecture_names, get_architecture
from sam2_adapter.models.weights.checkpoint import load_checkpoint
from sam2_adapter.models.weights.checks import expected_shapes
from sam2_adapter.models.weights.other_models import other_model

OLD_DECODER = ["mask_decoder.iou_token.weight", "mask_decoder.transformer.layers.0.self_attn.q_proj.weight"]
SAM_1 = [
    "image_encoder.pos_embed",
    "image_encoder.blocks.0.attn.rel_pos_h",
    "image_encoder.neck.0.weight",
    *OLD_DECODER,
]

MODELS = {
    "a SAM 1 model": [
        SAM_1,
        [f"sam.{name}" for name in SAM_1],
        ["vision_encoder.layers.0.attn.qkv.weight", "vision_encoder.neck.conv1.weight", *OLD_DECODER],
    ],
    "a SAM-HQ model": [[*SAM_1, "mask_decoder.hf_token.weight"]],
    "a MobileSAM model": [["image_encoder.patch_embed.seq.0.c.weight", "image_encoder.neck.0.weight", *OLD_DECODER]],
    "an EdgeTAM model": [
        ["image_encoder.trunk.body.stages_0.blocks.0.weight", "sam_mask_decoder.iou_token.weight"],
        ["vision_encoder.backbone.timm_model.stem.weight", "mask_decoder.iou_token.weight"],
    ],
    "a SAM 3 model": [
        ["detector.backbone.vision_backbone.trunk.pos_embed", "tracker.sam_mask_decoder.iou_token.weight"],
        ["tracker_model.mask_decoder.iou_token.weight", "detector_model.vision_encoder.x"],
        ["vision_encoder.backbone.layers.0.x", "vision_encoder.neck.fpn_layers.0.proj1.weight", *OLD_DECODER],
    ],
    "a LoRA adapter, not a whole model": [["base_model.model.mask_decoder.x.lora_A.weight"]],
    "a YOLO model": [["model.0.conv.weight", "model.1.conv.weight", "model.22.dfl.conv.weight"]],
}


@pytest.mark.parametrize(("model", "names"), [(model, names) for model, known in MODELS.items() for names in known])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_the_message_says_what_the_file_holds(tmp_path: Path, model: str, names: list[str], suffix: str) -> None:
    path, tensors = tmp_path / f"some{suffix}", {name: torch.zeros(1) for name in names}
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    with pytest.raises(CheckpointError, match=rf"some{suffix} holds {model}; sam2-adapter runs SAM2 and SAM2\.1"):
        load_checkpoint(path)


@pytest.mark.parametrize("layout", ["meta", "transformers"])
@pytest.mark.parametrize("name", architecture_names())
def test_no_model_of_ours_is_taken_for_another(name: str, layout: str) -> None:
    architecture = get_architecture(name)
    names = expected_shapes(architecture, layout, architecture.has_video_model)
    assert other_model(names) is None
    assert other_model([f"module.{name}" for name in names]) is None
