"""Quick figures during training: generated validation scenes and the validation splits of real pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from batches import LOW_RES_STRIDE
from network import NanoTrainer
from pictures import Picture, generated_pictures, label_map_pictures
from rollout import Prompts, with_correction
from scenes import VALIDATION_SEED

from sam2_adapter.models.network.mask_decoder import image_position_tokens
from sam2_adapter.models.network.preprocess import images_to_pixel_values
from sam2_adapter.models.network.selection import select_masks

_CLICKS = (1, 5)
_OBJECTS_PER_PHOTOGRAPH = 4
_OBJECTS_PER_NUCLEI_IMAGE, _NUCLEI_IMAGES, _SMALLEST_NUCLEUS_PX = 3, 12, 16.0

Sets = dict[str, list[Picture]]


def validation_sets(scenes: int, data: Path | None, image_size: int) -> Sets:
    """Generated validation scenes, and of real pictures in the folders of `data` the validation splits, thinned out."""
    sets = {"generated": list(generated_pictures(VALIDATION_SEED, scenes))}
    if data is not None:
        for name in ("coco-objects", "coco-cc"):
            pictures = label_map_pictures(data / name, "validation")
            sets[name] = [picture.at_most(_OBJECTS_PER_PHOTOGRAPH) for picture in pictures]
        nuclei = [
            picture.only(picture.sides_px(image_size) >= _SMALLEST_NUCLEUS_PX).at_most(_OBJECTS_PER_NUCLEI_IMAGE)
            for picture in label_map_pictures(data / "nuclei-dsb2018", "validation")
        ]
        sets["nuclei"] = [picture for picture in nuclei if len(picture.masks)][:_NUCLEI_IMAGES]
    return sets


@torch.no_grad()
def validate(trainer: NanoTrainer, image_size: int, sets: Sets) -> dict[str, dict[str, float]]:
    """For each set the mean IoU at full resolution for the whole image, a box and clicks, and the mean scores of box and click."""
    trainer.eval()
    trainer.set_image_size(image_size)
    return {name: _set_figures(trainer, image_size, pictures) for name, pictures in sets.items()}


def _set_figures(trainer: NanoTrainer, image_size: int, pictures: Iterable[Picture]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for picture in pictures:
        for name, values in _picture_figures(trainer, picture, image_size).items():
            found.setdefault(name, []).extend(values)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _picture_figures(trainer: NanoTrainer, picture: Picture, image_size: int) -> dict[str, list[float]]:
    device = trainer.dense_head.weight.device
    height, width = picture.image.shape[:2]
    targets = torch.from_numpy(_coverage(picture, image_size)).to(device)[None].float() / 255
    truth = torch.from_numpy(picture.masks).to(device)
    images, _ = trainer.encode(images_to_pixel_values([picture.image], image_size).to(device))
    positions = image_position_tokens(trainer.model)

    def shown(prompts: Prompts, multimask: bool) -> tuple[torch.Tensor, torch.Tensor]:
        decoded = trainer.decode(images, positions, prompts.points, prompts.labels, prompts.boxes, prompts.mask_input)
        logits, scores = select_masks(decoded, multimask)
        best = scores.argmax(1)
        rows = torch.arange(len(logits))
        return logits[rows, best].float(), scores[rows, best].float()

    scale = np.float32([image_size / width, image_size / height] * 2)
    logits, scores = shown(Prompts(boxes=torch.from_numpy(picture.boxes * scale).to(device)[None]), False)
    figures = {"box": _ious(logits, truth), "box_score": scores.tolist()}
    whole = torch.tensor([[[0.0, 0.0, image_size, image_size]]], device=device)
    largest = int(picture.masks.sum((1, 2)).argmax())
    figures["whole"] = _ious(shown(Prompts(boxes=whole), True)[0], truth[largest : largest + 1])
    # The first click: where everything is wrong, the error region is the object.
    prompts = with_correction(Prompts(), torch.full_like(targets[0], -1), targets, off_px=0)
    prompts.mask_input = None
    logits, scores = shown(prompts, True)
    figures |= {"click_1": _ious(logits, truth), "click_score": scores.tolist()}
    for number in range(2, max(_CLICKS) + 1):
        prompts = with_correction(prompts, logits, targets, off_px=0)
        logits, _ = shown(prompts, False)
        if number in _CLICKS:
            figures[f"click_{number}"] = _ious(logits, truth)
    return figures


def _coverage(picture: Picture, image_size: int) -> np.ndarray:
    side = image_size // LOW_RES_STRIDE
    full = picture.masks.view(np.uint8) * np.uint8(255)
    return np.stack([cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA) for mask in full])


def _ious(logits: torch.Tensor, truth: torch.Tensor) -> list[float]:
    masks = F.interpolate(logits[:, None], size=truth.shape[-2:], mode="bilinear", align_corners=False)[:, 0] > 0
    intersections, unions = (masks & truth).sum((1, 2)), (masks | truth).sum((1, 2))
    return (intersections / unions.clamp(min=1)).tolist()
