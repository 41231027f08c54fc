"""Masks that clicks correct obey them: they hold where one clicked inside the object, and leave out where one clicked outside.

The decoder sees all clicks and the answer before, and still may leave a click without effect, most often a late one at a small error. A person
cannot say it more plainly than by clicking there, so that its logits are then changed around the click.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F

# A click is obeyed where its logit lies on the right side of 0, the mask's border, by the first number; else it gets the second one.
_OBEYED_LOGIT, _CORRECTED_LOGIT = 0.01, 0.5

# The change is a Gaussian that ends after four standard deviations. One of them is a share of the way to the nearest cell that agrees with the click,
# at most a share of the way to the nearest click of the other kind and of the logits' side, and at least so many cells.
_END = 4**2 / 2
_WIDTH, _WIDTH_TO_OTHER, _WIDEST, _NARROWEST_CELLS = 0.9, 0.5, 1 / 16, 0.6

# A change can undo what another click said before: so often all clicks are looked at.
_PASSES = 3


class Clicks(NamedTuple):
    """The clicks of P prompts.

    Attributes:
        positions: float32 P x N x 2 (x, y), where in the model's square they are, in -1..1, oldest first.
        labels: P x N, 1 inside the object, 0 outside it.
        samples: float32 P x N x K x 2, in -1..1, the places whose values the clicked pixel of the mask is made of; `None` for the positions alone.
        weights: float32 P x N x K, how much each of them counts.
    """

    positions: torch.Tensor
    labels: torch.Tensor
    samples: torch.Tensor | None = None
    weights: torch.Tensor | None = None

    def beside(self, values: torch.Tensor) -> Clicks:
        """The same on the device of values, in their number format."""
        return self._map(lambda part: part.to(values))

    def only(self, number: int) -> Clicks:
        """One click of each prompt."""
        return self._map(lambda part: part[:, number : number + 1])

    def repeated(self, times: int) -> Clicks:
        """Those of each prompt so many times, one after the other."""
        return self._map(lambda part: part.repeat_interleave(times, 0))

    def _map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Clicks:
        return Clicks(*(None if part is None else change(part) for part in self))  # type: ignore[arg-type]


def obeying(logits: torch.Tensor, clicks: Clicks) -> torch.Tensor:
    """Change logits around the clicks that they do not obey; where they obey all of them, they are returned as they are.

    Where two clicks contradict each other within a cell, the later one is right.

    Args:
        logits: float32 P x h x w.
        clicks: of each prompt.

    Returns:
        float32 P x h x w.
    """
    clicks = clicks.beside(logits)
    signs = torch.where(clicks.labels > 0, 1.0, -1.0)
    for _ in range(_PASSES):
        if bool((values_of(logits, clicks) * signs > _OBEYED_LOGIT).all()):
            break
        for number in range(signs.shape[1]):
            logits = _corrected(logits, clicks, signs, number)
    return logits


def values_of(values: torch.Tensor, clicks: Clicks) -> torch.Tensor:
    """Values P x h x w at the pixels that were clicked, as their mask has them: P x N."""
    if clicks.samples is None or clicks.weights is None:
        return values_at(values, clicks.positions)
    found = values_at(values, clicks.samples.flatten(1, 2)).view(clicks.weights.shape)
    return (found * clicks.weights).sum(-1)


def values_at(values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Values P x h x w at places P x N x 2 in -1..1, bilinearly, as masks are upsampled: P x N."""
    found = F.grid_sample(values[:, None], places[:, None], mode="bilinear", padding_mode="border", align_corners=False)
    return found[:, 0, 0]


def _corrected(logits: torch.Tensor, clicks: Clicks, signs: torch.Tensor, number: int) -> torch.Tensor:
    """Change the logits where they do not obey one click."""
    one, click, sign = clicks.only(number), clicks.positions[:, number], signs[:, number]
    value = values_of(logits, one)[:, 0]
    lacking = torch.where(value * sign > _OBEYED_LOGIT, 0.0, _CORRECTED_LOGIT * sign - value)
    if not bool(lacking.any()):
        return logits
    squares = _squared_distances(click, logits)
    agrees = logits * sign[:, None, None] > 0
    away = torch.where(agrees, squares, torch.inf).flatten(1).amin(1).sqrt()
    side = max(logits.shape[-2:])
    width = torch.minimum(
        _WIDTH * away.clamp(max=_WIDEST * side),
        _WIDTH_TO_OTHER * _cells_to_other(clicks.positions, signs, number, side),
    ).clamp(min=_NARROWEST_CELLS)
    exponents = squares / (2 * width.square())[:, None, None]
    change = torch.where(exponents < _END, torch.exp(-exponents), 0.0)
    peak = values_of(change, one)[:, 0].clamp(min=1e-3)
    return logits + (lacking / peak)[:, None, None] * change


def _squared_distances(click: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Of all cells from a click of each prompt, in cells: P x h x w."""
    height, width = logits.shape[-2:]
    x, y = ((click + 1) / 2 * torch.tensor([width, height], device=click.device) - 0.5).unbind(1)
    columns, rows = torch.arange(width, device=click.device), torch.arange(height, device=click.device)
    return (columns - x[:, None]).square()[:, None] + (rows - y[:, None]).square()[:, :, None]


def _cells_to_other(positions: torch.Tensor, signs: torch.Tensor, number: int, side: int) -> torch.Tensor:
    """How far it is from one click to the nearest one of the other kind, in cells; infinite where there is none."""
    distances = (positions - positions[:, number, None]).norm(dim=2) * side / 2
    return torch.where(signs == signs[:, number, None], torch.inf, distances).amin(1)
