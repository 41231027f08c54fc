"""Prompting the nano model in training: boxes, first clicks, and correction clicks with the earlier logits as mask input."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from losses import PromptLoss, prompt_loss
from network import PATCH_SIZE, NanoTrainer

from sam2_adapter.models.network import obeyed_clicks
from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.models.network.mask_decoder import DecodedMasks

# How many correction rounds a step makes, and how often; only the last one is trained, the ones before it run without gradients.
_ROUNDS, _ROUND_SHARES = (1, 2, 3, 4, 6, 8, 12, 18), (0.24, 0.14, 0.12, 0.14, 0.14, 0.11, 0.07, 0.04)
_CORRECT_BOX_SHARE = 0.25
# A user's click is not amid a low-res cell: pixels of the model's input by which it may be off, and stays in the cell.
_CLICK_OFF_PX = 1.5
# Share of a low-res cell that is wrong where a correction click can fall: at the end only cells that the object covers in part are wrong.
_WRONG_CELL_SHARE = 0.25
# Correction clicks fall on one of so many places in their cell, where the object covers most of it or least.
_PLACES_IN_CELL = 4
# Of the loss of clicks that are not obeyed: what the three candidates count beside the single mask, together.
_OBEY_CANDIDATES = 0.25


@dataclass
class Prompts:
    """Prompts of one kind: B x P objects.

    Attributes:
        points: B x P x N x 2 model pixels, or None.
        labels: B x P x N, 1 or 0, or None.
        boxes: B x P x 4 model pixels, or None.
        mask_input: B x P x h x w logits, or None.
    """

    points: torch.Tensor | None = None
    labels: torch.Tensor | None = None
    boxes: torch.Tensor | None = None
    mask_input: torch.Tensor | None = None


def prompt_losses(
    trainer: NanoTrainer,
    images: EncodedImages,
    positions: torch.Tensor,
    batch: dict[str, torch.Tensor],
    chance: random.Random,
    loss: PromptLoss,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Losses and mean low-res IoUs of a box, a click and a correction round, and of the whole image where the batch says what it wants."""
    targets = batch["targets"].float() / 255
    flat_targets = targets.flatten(0, 1)
    boxes = Prompts(boxes=batch["boxes"])
    points = batch["points"][:, :, None]
    clicks = Prompts(points=points, labels=torch.ones(points.shape[:3], dtype=torch.int64, device=points.device))

    def run(prompts: Prompts) -> DecodedMasks:
        return trainer.decode(images, positions, prompts.points, prompts.labels, prompts.boxes, prompts.mask_input)

    from_box, from_click = run(boxes), run(clicks)
    corrected, start = (boxes, from_box) if chance.random() < _CORRECT_BOX_SHARE else (clicks, from_click)
    corrected, corrected_targets = _first_half(corrected, _shown(start, corrected), targets)
    for _ in range(chance.choices(_ROUNDS, _ROUND_SHARES)[0] - 1):
        with torch.no_grad():
            corrected = with_correction(corrected, _shown(run(corrected), corrected), corrected_targets)
    losses, figures = {}, {}
    flat_corrected = corrected_targets.flatten(0, 1)
    rounds = (
        ("box", from_box, flat_targets),
        ("click", from_click, flat_targets),
        ("correction", run(corrected), flat_corrected),
    )
    for name, decoded, wanted in rounds:
        cells = batch["boxes"].flatten(0, 1) / (PATCH_SIZE / 4) if name == "box" else None
        losses[name], ious = prompt_loss(decoded, wanted, loss, boxes=cells)
        figures[f"{name}_iou"] = ious[:, 0].mean()
        figures[f"{name}_best_iou"] = ious[:, 1:].max(1).values.mean()
    obey, figures["obeyed"] = disobedience(corrected, rounds[2][1])
    losses["click"] = loss.click_weight * losses["click"]
    losses["obey"] = loss.obey_share * obey
    if "whole" in batch:
        whole, figures["whole_best_iou"] = _whole_image_loss(run, batch, loss)
        losses["whole"] = loss.whole_weight * whole
    return losses, figures


def _whole_image_loss(
    run: Callable[[Prompts], DecodedMasks], batch: dict[str, torch.Tensor], judged: PromptLoss
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and mean best low-res IoU of the whole image as a box; images of which nobody knows what it wants (kind -1) do not count."""
    wanted, kind = batch["whole"].float() / 255, batch["whole_kind"]
    side = wanted.shape[-1] * PATCH_SIZE / 4
    whole = torch.tensor([0.0, 0.0, side, side], device=wanted.device).expand(len(wanted), 1, 4)
    loss, ious = prompt_loss(run(Prompts(boxes=whole)), wanted, judged, (kind >= 0).float())
    found = kind > 0
    best = ious[:, 1:].max(1).values
    return loss, (best * found).sum() / found.sum().clamp(min=1)


def with_correction(
    prompts: Prompts, logits: torch.Tensor, targets: torch.Tensor, off_px: float = _CLICK_OFF_PX
) -> Prompts:
    """Add a click where logits (B P) x h x w are wrong, preferably amid the error, and the logits as mask input.

    It lies up to `off_px` off the middle of a cell. Cells that the object covers in part are wrong in part, whatever the mask: late clicks fall there.
    """
    batch_size, count, height, width = targets.shape
    wanted, masks = targets.flatten(0, 1), (logits > 0).float()
    wrong = (wanted - masks).abs()
    wrong = wrong * (wrong >= _WRONG_CELL_SHARE)
    amid = F.avg_pool2d(wrong[:, None], 5, stride=1, padding=2)[:, 0]
    score = wrong * (amid + 0.3 * torch.rand_like(amid))
    place = score.flatten(1).argmax(1)
    label = (wanted > masks).flatten(1).gather(1, place[:, None])[:, 0].long()
    # cells to pixels of the model's input: the middle of the cell, as a pixel index
    cell = PATCH_SIZE / 4
    x, y = place % width, torch.div(place, width, rounding_mode="floor")
    middles = (torch.stack([x, y], 1).float() + 0.5) * cell - 0.5
    new_points = _most_wrong_place(middles, label, targets.flatten(0, 1), off_px)
    new_points, new_labels = new_points.view(batch_size, count, 1, 2), label.view(batch_size, count, 1)
    if prompts.points is not None and prompts.labels is not None:
        new_points = torch.cat([prompts.points, new_points], 2)
        new_labels = torch.cat([prompts.labels, new_labels], 2)
    return Prompts(new_points, new_labels, prompts.boxes, logits.view(batch_size, count, height, width))


def _first_half(prompts: Prompts, logits: torch.Tensor, targets: torch.Tensor) -> tuple[Prompts, torch.Tensor]:
    """The first correction, of half of the objects only: it costs as much as the first round and is learned faster."""
    count = targets.shape[1]
    half = (count + 1) // 2
    parts = [None if part is None else part[:, :half] for part in (prompts.points, prompts.labels, prompts.boxes)]
    kept = logits.unflatten(0, (-1, count))[:, :half].flatten(0, 1)
    return with_correction(Prompts(*parts), kept, targets[:, :half]), targets[:, :half]


def _shown(decoded: DecodedMasks, prompts: Prompts) -> torch.Tensor:
    """The logits that a user would see, without gradients: the best-scored candidate after one click, else the single mask."""
    logits = decoded.low_res_logits.detach().float()
    one_click = prompts.boxes is None and prompts.points is not None and prompts.points.shape[2] == 1
    if not one_click:
        return logits[:, 0]
    best = decoded.iou_scores.detach()[:, 1:].argmax(1) + 1
    return logits[torch.arange(len(best), device=best.device), best]


def _most_wrong_place(middles: torch.Tensor, label: torch.Tensor, targets: torch.Tensor, off_px: float) -> torch.Tensor:
    """Of some places around the middles of cells N x 2, up to `off_px` off, the one that the object covers most; least where labels are 0."""
    offsets = torch.rand(len(middles), _PLACES_IN_CELL, 2, device=middles.device) * 2 - 1
    places = middles[:, None] + offsets * off_px
    covered = values_at(targets[:, None], places)[:, 0]
    best = (covered * (2 * label[:, None] - 1)).argmax(1)
    return places[torch.arange(len(places), device=places.device), best]


def disobedience(prompts: Prompts, decoded: DecodedMasks) -> tuple[torch.Tensor, torch.Tensor]:
    """BCE of the logits where the clicks are, and the share of clicks that the single mask obeys."""
    assert prompts.points is not None
    assert prompts.labels is not None
    points, labels = prompts.points.flatten(0, 1).float(), prompts.labels.flatten(0, 1).float()
    logits = values_at(decoded.low_res_logits.float(), points)
    losses = F.binary_cross_entropy_with_logits(logits, labels[:, None].expand_as(logits), reduction="none").mean(
        (0, 2)
    )
    obeyed = ((logits[:, 0] > 0) == (labels > 0.5)).float().mean()
    return losses[0] + _OBEY_CANDIDATES * losses[1:].mean(), obeyed.detach()


def values_at(values: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Values P x K x h x w of low-res cells at points P x N x 2 in pixels of the model's input, as bilinear upsampling gives them: P x K x N."""
    side = values.shape[-1] * PATCH_SIZE / 4
    places = ((points + 0.5) / side * 2 - 1).repeat_interleave(values.shape[1], 0)
    return obeyed_clicks.values_at(values.flatten(0, 1), places).view(*values.shape[:2], points.shape[1])
