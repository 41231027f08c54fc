"""Where correction clicks of the bundled model's training fall, and what it costs not to obey them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from rollout import Prompts, disobedience, values_at, with_correction

from sam2_adapter.models.network.mask_decoder import DecodedMasks

SURE = 8.0


def test_values_at_points_are_those_of_the_upsampled_mask() -> None:
    values = torch.randn(2, 3, 16, 16)
    upsampled = F.interpolate(values, size=(64, 64), mode="bilinear", align_corners=False)
    points = torch.randint(0, 64, (2, 5, 2)).float()
    found = values_at(values, points)
    for row in range(2):
        x, y = points[row].long().T
        assert torch.allclose(found[row], upsampled[row, :, y, x], atol=1e-5)


def test_late_clicks_fall_into_cells_that_the_object_covers_in_part_on_the_side_that_is_wrong() -> None:
    """The mask holds every cell that is half covered; what is left to correct is smaller than a cell."""
    targets = torch.zeros(1, 1, 16, 16)
    targets[..., 4:12, 4:12] = 1
    targets[..., 4:12, 12] = 0.4
    logits = torch.where(targets[0] >= 0.5, SURE, -SURE)
    for _ in range(10):
        prompts = with_correction(Prompts(), logits, targets)
        assert prompts.points is not None
        assert prompts.labels is not None
        x, y = prompts.points[0, 0, 0].tolist()
        assert (x + 0.5) // 4 == 12
        assert 4 <= (y + 0.5) // 4 < 12
        assert prompts.labels.item() == 1
    # of many clicks into that cell more lie on the side of the object
    many = torch.stack([with_correction(Prompts(), logits, targets).points[0, 0, 0] for _ in range(60)])  # type: ignore[index]
    assert ((many[:, 0] + 0.5) / 4 - 12).mean() < 0.4


def test_clicks_that_are_not_obeyed_cost_and_are_counted() -> None:
    logits = torch.full((1, 4, 16, 16), -SURE)
    logits[..., 4:8, 4:8] = SURE
    decoded = DecodedMasks(logits, torch.zeros(1, 4), torch.zeros(1, 1))
    points = torch.tensor([[[[23.5, 23.5], [49.5, 9.5], [51.5, 51.5], [5.5, 5.5]]]])
    obeyed, share = disobedience(Prompts(points, torch.tensor([[[1, 0, 0, 0]]])), decoded)
    assert float(obeyed) < 0.01
    assert float(share) == 1
    cost, share = disobedience(Prompts(points, torch.tensor([[[1, 1, 0, 0]]])), decoded)
    # one of four clicks is wrong by SURE, in the single mask and, counting a quarter, in the candidates
    assert float(cost) == pytest.approx(1.25 * SURE / 4, abs=0.01)
    assert float(share) == 0.75
