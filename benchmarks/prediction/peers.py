"""The engines to compare with, each as its own documentation uses it; imported by worker.py in the peers' environment.

All get the same RGB array and give bool masks in its size. Boxes go in calls of at most 64: a decoder call on 200 boxes
takes more memory than most machines have.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

Segment = Callable[[np.ndarray, np.ndarray], np.ndarray]

BOXES_AT_ONCE = 64
IMAGE_SIZE = 1024
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


def load_official(weights: str, config_name: str, precision: str) -> Segment:
    """The `sam2` package, as its README uses it; in bf16 under autocast. No box: three candidates for the whole image."""
    from sam2.build_sam import build_sam2
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(build_sam2(f"configs/sam2/{config_name}.yaml", weights, device="cpu"))

    def segment(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            predictor.set_image(image)
            if not len(boxes):
                whole = np.array([0, 0, width, height], np.float32)
                masks, scores, _ = predictor.predict(box=whole, multimask_output=True)
                return masks[scores.argmax()][None] > 0
            parts = [predictor.predict(box=part, multimask_output=False)[0] for part in in_parts(boxes)]
        return np.concatenate([part.reshape(-1, height, width) > 0 for part in parts])

    return segment


def load_existing(weights: str, config_name: str, precision: str) -> Segment:
    """The flow of the existing Dataloop adapter: the official package in fp32, one decoder call for each prompt."""
    from sam2.build_sam import build_sam2
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(build_sam2(f"configs/sam2/{config_name}.yaml", weights, device="cpu"))

    def segment(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        predictor.set_image(image)
        masks = [predictor.predict(box=box.astype(int), multimask_output=False)[0][0] for box in boxes]
        return np.stack(masks) > 0

    return segment


def load_ultralytics(weights: str, config_name: str, precision: str) -> Segment:
    """SAM of ultralytics, which knows the architecture by the name of the file."""
    from ultralytics import SAM

    named = Path(weights).with_name(f"sam2_{config_name.rpartition('_')[2]}.pt")
    if not named.exists():
        shutil.copyfile(weights, named)
    model = SAM(str(named))

    def segment(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        found = model(image[..., ::-1], bboxes=boxes.tolist(), conf=0.0, device="cpu", verbose=False)[0]
        return found.masks.data.cpu().numpy() > 0

    return segment


def load_onnxruntime(weights: str, config_name: str, precision: str) -> Segment:
    """What export_onnx.py wrote beside the weights, in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    encoder, decoder = (
        onnxruntime.InferenceSession(
            str(Path(weights).with_name(f"{part}.onnx")), options, providers=["CPUExecutionProvider"]
        )
        for part in ("encoder", "decoder")
    )

    def segment(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        features = encoder.run(None, {"pixel_values": pixel_values(image).numpy()})
        inputs = dict(zip(("image_embedding", "fine", "middle"), features, strict=True))
        scaled = (boxes * (np.array([IMAGE_SIZE / width, IMAGE_SIZE / height] * 2))).astype(np.float32)
        masks = [
            at_size(torch.from_numpy(decoder.run(None, {**inputs, "boxes": part})[0]), height, width)
            for part in in_parts(scaled)
        ]
        return np.concatenate(masks)

    return segment


def load_transformers(weights: str, config_name: str, precision: str) -> Segment:
    """`Sam2Model` of transformers as it comes, all boxes in one call; needs this package for the weights."""
    from sam2_adapter.models.load import load_model

    model = load_model(weights).model.train(False)

    @torch.inference_mode()
    def segment(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        embeddings = model.get_image_embeddings(pixel_values(image))
        scaled = (boxes * (np.array([IMAGE_SIZE / width, IMAGE_SIZE / height] * 2))).astype(np.float32)
        masks = []
        for part in in_parts(scaled):
            found = model(image_embeddings=embeddings, input_boxes=torch.from_numpy(part)[None], multimask_output=False)
            masks.append(at_size(found.pred_masks[0], height, width))
        return np.concatenate(masks)

    return segment


LOADERS: dict[str, Callable[[str, str, str], Segment]] = {
    "official": load_official,
    "existing": load_existing,
    "ultralytics": load_ultralytics,
    "onnxruntime": load_onnxruntime,
    "transformers": load_transformers,
}
# The others say nothing about an image without a prompt, or mean something else by it.
ZERO_SHOT = ("official",)


def in_parts(boxes: np.ndarray) -> list[np.ndarray]:
    """Boxes for one call each."""
    return [boxes[start : start + BOXES_AT_ONCE] for start in range(0, len(boxes), BOXES_AT_ONCE)]


def pixel_values(image: np.ndarray) -> torch.Tensor:
    """SAM2's transforms: 1 x 3 x 1024 x 1024."""
    values = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    resized = F.interpolate(values, (IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", antialias=True)
    return (resized - torch.tensor(PIXEL_MEAN).view(3, 1, 1)) / torch.tensor(PIXEL_STD).view(3, 1, 1)


def at_size(logits: torch.Tensor, height: int, width: int) -> np.ndarray:
    """Logits P x 1 x h x w to bool masks P x H x W."""
    return (F.interpolate(logits, (height, width), mode="bilinear") > 0)[:, 0].numpy()
