"""Clicks that correct an answer change it where they are not obeyed, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.models.network.obeyed_clicks import Clicks, obeying, values_at
from tests.shapes import QUICK

SIDE = 32


def clicks_at(*places: tuple[float, float, int]) -> Clicks:
    """Clicks (x, y, label) in cells, in one prompt."""
    values = torch.tensor([places])
    return Clicks((values[..., :2] + 0.5) / SIDE * 2 - 1, values[..., 2].long())


def disc(x: float, y: float, radius: float, steepness: float = 2.0) -> torch.Tensor:
    """Logits 1 x SIDE x SIDE that fall from the middle of a disc outwards, 0 on its border."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    distance = ((columns - x) ** 2 + (rows - y) ** 2).float().sqrt()
    return (steepness * (radius - distance))[None]


def test_logits_that_obey_all_clicks_are_returned_as_they_are():
    logits = disc(12, 12, 6)
    assert obeying(logits, clicks_at((12, 12, 1), (25, 25, 0))) is logits


@pytest.mark.parametrize(("place", "label"), [((12.0, 7.0), 0), ((12.0, 3.0), 1)])
def test_a_click_that_is_not_obeyed_changes_the_mask_around_it(place, label):
    logits = disc(12, 12, 6.1)
    changed = obeying(logits, clicks_at((12, 13, 1), (*place, label)))
    assert values_at(changed, clicks_at((*place, label)).positions).item() == pytest.approx(
        0.5 * (2 * label - 1), abs=0.05
    )
    flipped = ((changed > 0) != (logits > 0))[0]
    rows, columns = np.nonzero(flipped.numpy())
    assert len(rows) >= 1
    assert np.hypot(columns - place[0], rows - place[1]).max() <= 4
    far = np.hypot(*np.meshgrid(np.arange(SIDE) - place[0], np.arange(SIDE) - place[1])) > 8
    assert torch.equal(changed[0][far], logits[0][far])
    assert ((changed > 0)[0].numpy()[flipped] == bool(label)).all()


def test_the_change_stays_nearer_to_a_click_than_to_one_of_the_other_kind():
    logits = disc(12, 12, 8)
    far = obeying(logits, clicks_at((20, 20, 0), (12, 12, 0)))
    near = obeying(logits, clicks_at((20, 20, 0), (14, 12, 1), (12, 12, 0)))
    removed_far, removed_near = (int(((found <= 0) & (logits > 0)).sum()) for found in (far, near))
    assert 0 < removed_near < removed_far
    assert near[0, 12, 14] > 0


def test_a_mask_without_any_cell_gets_one_where_it_is_clicked_on():
    changed = obeying(torch.full((1, SIDE, SIDE), -8.0), clicks_at((10, 21, 1)))
    rows, columns = np.nonzero((changed > 0)[0].numpy())
    assert set(zip(columns.tolist(), rows.tolist(), strict=True)) == {(10, 21)}


def test_the_later_of_two_clicks_on_one_place_is_right():
    logits = disc(12, 12, 6)
    for label in (0, 1):
        changed = obeying(logits, clicks_at((10, 10, 1 - label), (10, 10, label)))
        assert bool(changed[0, 10, 10] > 0) == bool(label)


PLACE = st.tuples(st.floats(0, SIDE - 1), st.floats(0, SIDE - 1), st.integers(0, 1))


@QUICK
@given(st.integers(0, 2**32 - 1), st.lists(PLACE, min_size=1, max_size=5))
def test_the_newest_click_is_obeyed_and_others_change_nothing_of_a_prompt_beside_them(seed, places):
    logits = torch.from_numpy(np.random.default_rng(seed).normal(0, 6, (1, SIDE, SIDE)).astype(np.float32))
    clicks = clicks_at(*places)
    changed = obeying(logits, clicks)
    assert torch.isfinite(changed).all()
    newest = values_at(changed, clicks.positions)[0, -1]
    assert (newest > 0) == bool(places[-1][2])
    beside = torch.cat([-logits, logits])
    together = obeying(beside, Clicks(clicks.positions.repeat(2, 1, 1), clicks.labels.repeat(2, 1)))
    assert torch.allclose(together[1], changed[0], atol=1e-4)
