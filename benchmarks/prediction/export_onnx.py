"""Export image encoder and mask decoder of the official package to ONNX; runs where `sam2` and `onnx` are installed.

python export_onnx.py CONFIG_NAME WEIGHTS.pt FOLDER

The cut is the usual one: the encoder ends with the embedding and the two high-resolution features, the decoder takes any
number of boxes and gives one mask each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from sam2.build_sam import build_sam2

IMAGE_SIZE = 1024
LEVELS = ((256, 256), (128, 128), (64, 64))
BOX_CORNERS = (2, 3)


class Encoder(torch.nn.Module):
    """Pixel values 1 x 3 x 1024 x 1024 to embedding, fine and middle features."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Encode, and bring the levels into rows and columns."""
        _, features, _, _ = self.model._prepare_backbone_features(self.model.forward_image(pixel_values))
        features[-1] = features[-1] + self.model.no_mem_embed
        fine, middle, coarse = (
            level.permute(1, 2, 0).reshape(1, -1, *hw) for level, hw in zip(features, LEVELS, strict=True)
        )
        return coarse, fine, middle


class Decoder(torch.nn.Module):
    """Embedding, features and boxes P x 4 in pixels of the model's square to logits P x 1 x 256 x 256."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, embedding: torch.Tensor, fine: torch.Tensor, middle: torch.Tensor, boxes: torch.Tensor
    ) -> torch.Tensor:
        """Boxes are two labelled corners, as in the package's predictor."""
        corners = boxes.reshape(-1, 2, 2)
        labels = torch.ones_like(corners[:, :, 0]) * torch.tensor(BOX_CORNERS, dtype=torch.float32)
        prompt_encoder = self.model.sam_prompt_encoder
        sparse, dense = prompt_encoder(points=(corners, labels), boxes=None, masks=None)
        logits, _, _, _ = self.model.sam_mask_decoder(
            image_embeddings=embedding,
            image_pe=prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
            repeat_image=True,
            high_res_features=[fine, middle],
        )
        return logits


@torch.no_grad()
def main() -> None:
    """Write encoder.onnx and decoder.onnx."""
    config_name, weights, folder = sys.argv[1:]
    model = build_sam2(f"configs/sam2/{config_name}.yaml", weights, device="cpu")
    pixel_values = torch.zeros(1, 3, IMAGE_SIZE, IMAGE_SIZE)
    features = Encoder(model)(pixel_values)
    names = ["image_embedding", "fine", "middle"]
    torch.onnx.export(
        Encoder(model),
        (pixel_values,),
        str(Path(folder) / "encoder.onnx"),
        input_names=["pixel_values"],
        output_names=names,
        opset_version=17,
        dynamo=False,
    )
    boxes = torch.tensor([[10.0, 10.0, 500.0, 500.0], [100.0, 100.0, 900.0, 800.0]])
    torch.onnx.export(
        Decoder(model),
        (*features, boxes),
        str(Path(folder) / "decoder.onnx"),
        input_names=[*names, "boxes"],
        output_names=["low_res_logits"],
        dynamic_axes={"boxes": {0: "prompts"}, "low_res_logits": {0: "prompts"}},
        opset_version=17,
        dynamo=False,
    )


if __name__ == "__main__":
    main()
