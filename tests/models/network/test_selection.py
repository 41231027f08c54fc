"""One answer for one set of logits, whoever asks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.models.network.obeyed_clicks import Clicks
from sam2_adapter.models.network.selection import (
    STABILITY_DELTA,
    STABILITY_THRESHOLD,
    select_answer,
    select_masks,
    stability_scores,
    take_masks,
)
from tests.shapes import QUICK
from tests.small_model import small_model

SIDE = 8


def decoded(logits: torch.Tensor, scores: torch.Tensor) -> DecodedMasks:
    return DecodedMasks(logits, scores, torch.zeros(len(logits), 1))


LOGITS = st.integers(0, 2**32 - 1).map(
    lambda seed: torch.from_numpy(np.random.default_rng(seed).normal(0, 4, (1, 4, SIDE, SIDE)).astype(np.float32))
)
# Few values: ties are common.
SCORES = st.lists(st.sampled_from([0.1, 0.5, 0.5000001, 0.9]), min_size=4, max_size=4).map(
    lambda row: torch.tensor([row])
)
PIXEL = st.integers(0, SIDE - 1)


def click_at(x: int, y: int, *, inside: bool = True) -> Clicks:
    position = [(x + 0.5) / SIDE * 2 - 1, (y + 0.5) / SIDE * 2 - 1]
    return Clicks(torch.tensor([[position]]), torch.tensor([[int(inside)]]))


@QUICK
@given(LOGITS, SCORES, PIXEL, PIXEL)
def test_a_click_is_answered_by_the_first_of_the_best_candidates_that_contain_it(logits, scores, x, y):
    found, score = select_answer(decoded(logits, scores), True, click_at(x, y))
    containing = [k for k in (1, 2, 3) if logits[0, k, y, x] > 0] or [1, 2, 3]
    best = max(containing, key=lambda k: scores[0, k].item())  # `max` takes the first one
    assert torch.equal(found[0, 0], logits[0, best])
    assert score.item() == scores[0, best].item()


@QUICK
@given(LOGITS, SCORES)
def test_the_whole_image_is_answered_by_the_first_of_the_best_candidates(logits, scores):
    found, _ = select_answer(decoded(logits, scores), True)
    assert torch.equal(found[0, 0], logits[0, max((1, 2, 3), key=lambda k: scores[0, k].item())])


@QUICK
@given(LOGITS, SCORES)
def test_other_prompts_are_answered_by_the_single_mask_where_it_is_stable(logits, scores):
    found, score = select_answer(decoded(logits, scores), False)
    single = logits[0, 0]
    is_stable = (single > 0.05).sum() >= 0.98 * (single > -0.05).sum()
    best = 0 if is_stable else max((1, 2, 3), key=lambda k: scores[0, k].item())
    assert torch.equal(found[0, 0], logits[0, best])
    assert score.item() == scores[0, best].item()


@given(LOGITS, SCORES, PIXEL, PIXEL)
@QUICK
def test_the_answer_does_not_depend_on_the_other_prompts_of_a_call(logits, scores, x, y):
    clicks = click_at(x, y)
    alone = select_answer(decoded(logits, scores), True, clicks)
    others = torch.cat([logits.flip(1), logits]), torch.cat([scores.flip(1), scores])
    together = select_answer(decoded(*others), True, clicks.repeated(2))
    assert torch.equal(together[0][1], alone[0][0])
    assert torch.equal(together[1][1], alone[1][0])


@QUICK
@given(LOGITS, SCORES, PIXEL, PIXEL, st.booleans())
def test_a_click_that_corrects_is_obeyed_by_the_single_mask(logits, scores, x, y, inside):
    clicks = click_at(x, y, inside=inside)
    found, score = select_answer(decoded(logits, scores), False, clicks, refines=True)
    drawn, drawn_score = select_answer(decoded(logits, scores), False)
    assert bool(found[0, 0, y, x] > 0) == inside
    assert torch.equal(score, drawn_score)
    if bool(drawn[0, 0, y, x] > 0.01) == inside and abs(float(drawn[0, 0, y, x])) > 0.01:
        assert torch.equal(found, drawn)
    assert torch.equal(select_answer(decoded(logits, scores), False, clicks)[0], drawn), "nothing is refined"


def test_the_rule_of_stability_is_the_librarys():
    decoder = small_model().mask_decoder
    assert decoder.dynamic_multimask_via_stability
    assert decoder.dynamic_multimask_stability_delta == STABILITY_DELTA
    assert decoder.dynamic_multimask_stability_thresh == STABILITY_THRESHOLD


def test_the_single_mask_is_taken_only_when_stable():
    stable, unstable = torch.full((8, 8), 5.0), torch.full((8, 8), 0.01)
    logits = torch.stack(
        [torch.stack([first, *(torch.full((8, 8), float(k)) for k in (-1, -2, -3))]) for first in (stable, unstable)]
    )
    scores = torch.tensor([[0.3, 0.5, 0.9, 0.7]] * 2)
    chosen, chosen_scores = select_masks(DecodedMasks(logits, scores, torch.zeros(2, 1)), multimask_output=False)
    assert torch.equal(chosen[0, 0], stable)
    assert torch.equal(chosen[1, 0], torch.full((8, 8), -2.0)), (
        "an unstable mask gives way to the best-scored candidate"
    )
    assert chosen_scores[:, 0].tolist() == pytest.approx([0.3, 0.9])


def test_stability_is_the_iou_between_two_thresholds():
    logits = torch.tensor([[0.1, 0.1, 0.01, -0.01, -0.1]])
    assert stability_scores(logits[None], 0.05).tolist() == pytest.approx([2 / 4])
    assert stability_scores(torch.full((1, 2, 2), -1.0), 0.05).tolist() == [1.0]


def test_take_masks_takes_one_of_each_prompt():
    logits = torch.arange(6.0).view(2, 3, 1, 1)
    taken, scores = take_masks(logits, logits[..., 0, 0], torch.tensor([2, 0]))
    assert taken.flatten().tolist() == [2.0, 3.0]
    assert scores.tolist() == [[2.0], [3.0]]
