"""From a step to a prompt, and from the model's masks to answers."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.interactive.mask_answers import Taken, answer_prompt, answers_in, pointed
from sam2_adapter.interactive.steps import Step
from sam2_adapter.predict.window import Window, embed_window, moved_logits
from tests.conftest import disk_photo
from tests.small_model import small_predictor


@pytest.fixture(scope="module")
def predictor():
    return small_predictor()


@pytest.fixture(scope="module")
def whole(predictor):
    return Window.whole(predictor.embed(np.asarray(disk_photo())))


def test_a_step_goes_on_from_the_answer_before_it(predictor, whole):
    first = pointed(None, Step(point_xy=(80, 60)), whole)
    (answer,) = answers_in(predictor, whole, first, None, multimask_output=False)
    taken = Taken(first, answer, whole)
    second = pointed(taken, Step(point_xy=(9, 8), foreground=False), whole)
    assert second.point_coords.tolist() == [[80, 60], [9, 8]]
    assert second.point_labels.tolist() == [1, 0]
    assert np.array_equal(second.mask_input, answer.low_res_logits)
    boxed = pointed(taken, Step(box_xyxy=(1, 2, 30, 40)), whole)
    assert (boxed.point_coords.tolist(), boxed.box_xyxy) == ([[80, 60]], (1, 2, 30, 40))

    view = embed_window(predictor, np.asarray(disk_photo()), Region(40, 30, 120, 100))
    seen = pointed(taken, Step(point_xy=(9, 8)), view)
    assert np.array_equal(seen.mask_input, moved_logits(answer.low_res_logits, whole, view))


def test_outside_a_view_the_earlier_answer_stays(predictor, whole):
    prompt = Prompt(point_coords=[[80, 60]], point_labels=[1])
    before = Taken(prompt, answer_prompt(predictor, whole.embedding, prompt), whole)
    view = embed_window(predictor, np.asarray(disk_photo()), Region(40, 30, 120, 100))
    candidates = answers_in(predictor, view, prompt, before, multimask_output=True)
    assert len(candidates) == 3
    outside = np.ones((120, 160), bool)
    outside[30:100, 40:120] = False
    for candidate in candidates:
        assert np.array_equal(candidate.mask & outside, before.answer.mask & outside)
    (alone,) = answers_in(predictor, view, prompt, None, multimask_output=False)
    assert not (alone.mask & outside).any()
