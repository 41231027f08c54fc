"""Quick figures during training, on generated validation scenes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from batches import LOW_RES_STRIDE, low_res_coverage, object_boxes
from network import NanoTrainer
from rollout import Prompts, with_correction
from scenes import SCENE_SIZE, VALIDATION_SEED, render_scene

from sam2_adapter.models.network.mask_decoder import image_position_tokens
from sam2_adapter.models.network.preprocess import images_to_pixel_values
from sam2_adapter.models.network.selection import select_masks

# Objects a scene, chosen at random: crowds would otherwise outweigh everything.
OBJECTS_PER_SCENE = 5
_CLICKS = 5


@torch.no_grad()
def validate(trainer: NanoTrainer, image_size: int, scenes: int) -> dict[str, float]:
    """Mean IoU at full resolution for a box, one click and five clicks over `scenes` validation scenes."""
    trainer.eval()
    trainer.set_image_size(image_size)
    found: dict[str, list[float]] = {"box": [], "click_1": [], f"click_{_CLICKS}": []}
    for index in range(scenes):
        for name, ious in _scene_ious(trainer, index, image_size).items():
            found[name] += ious
    return {name: float(np.mean(ious)) for name, ious in found.items()}


def _scene_ious(trainer: NanoTrainer, index: int, image_size: int) -> dict[str, list[float]]:
    scene = render_scene(VALIDATION_SEED, index)
    boxes = object_boxes(scene.label_map)
    if not len(boxes):
        return {}
    rng = np.random.default_rng([VALIDATION_SEED, index])
    chosen = rng.permutation(len(boxes))[:OBJECTS_PER_SCENE] + 1
    masks = [scene.label_map == number for number in chosen]
    device = trainer.dense_head.weight.device
    scale = image_size / SCENE_SIZE
    coverage = np.stack([low_res_coverage(mask, LOW_RES_STRIDE * SCENE_SIZE // image_size) for mask in masks])
    targets = torch.from_numpy(coverage).to(device)[None].float() / 255
    truth = torch.from_numpy(np.stack(masks)).to(device)
    images, _ = trainer.encode(images_to_pixel_values([scene.image], image_size).to(device))
    positions = image_position_tokens(trainer.model)

    def shown(prompts: Prompts, multimask: bool) -> torch.Tensor:
        decoded = trainer.decode(images, positions, prompts.points, prompts.labels, prompts.boxes, prompts.mask_input)
        logits, scores = select_masks(decoded, multimask)
        return logits[torch.arange(len(logits)), scores.argmax(1)].float()

    box = Prompts(boxes=torch.from_numpy(boxes[chosen - 1]).to(device)[None] * scale)
    ious = {"box": _ious(shown(box, False), truth)}
    # The first click: where everything is wrong, the error region is the object.
    prompts = with_correction(Prompts(), torch.full_like(targets[0], -1), targets)
    prompts.mask_input = None
    logits = shown(prompts, True)
    ious["click_1"] = _ious(logits, truth)
    for _ in range(_CLICKS - 1):
        prompts = with_correction(prompts, logits, targets)
        logits = shown(prompts, False)
    ious[f"click_{_CLICKS}"] = _ious(logits, truth)
    return ious


def _ious(logits: torch.Tensor, truth: torch.Tensor) -> list[float]:
    masks = F.interpolate(logits[:, None], size=truth.shape[-2:], mode="bilinear", align_corners=False)[:, 0] > 0
    intersections, unions = (masks & truth).sum((1, 2)), (masks | truth).sum((1, 2))
    return (intersections / unions.clamp(min=1)).tolist()
