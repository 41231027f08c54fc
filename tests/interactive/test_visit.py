"""One object under way: steps that are taken, taken back, and answered without asking the model again."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.errors import PromptError
from sam2_adapter.interactive.encoded_views import EncodedViews
from sam2_adapter.interactive.steps import Step
from sam2_adapter.interactive.visit import Visit
from tests.conftest import disk_photo
from tests.small_model import small_predictor

FIRST, SECOND = Step(point_xy=(80, 60)), Step(point_xy=(95, 60))


@pytest.fixture(scope="module")
def views():
    predictor = small_predictor()
    image = np.asarray(disk_photo())
    return EncodedViews(predictor, predictor.embed(image), lambda: image)


@pytest.fixture
def visit(views):
    return Visit(small_predictor(), views)


def test_what_is_answered_is_not_taken_yet(visit):
    assert (visit.answer, visit.answer_to(()), visit.candidates()) == (None, None, ())
    answer = visit.answer_to((FIRST,))
    assert (visit.steps, visit.answer) == ((), None)
    visit.take((FIRST,))
    assert visit.answer is answer
    assert visit.preview(SECOND).rle != answer.rle
    assert visit.steps == (FIRST,)


def test_a_click_on_what_was_looked_at_is_answered_with_what_was_seen(visit):
    seen = visit.preview(FIRST)
    assert visit.preview(FIRST) is seen
    assert visit.answer_to((SECOND,)) is not seen
    assert visit.answer_to((FIRST,)) is seen
    again = visit.answer_to((FIRST, SECOND))
    fresh = Visit(visit.predictor, visit.views).answer_to((FIRST, SECOND))
    assert (again.rle, again.iou_score) == (fresh.rle, fresh.iou_score)
    other_side = Step(point_xy=(80, 60), foreground=False)
    with pytest.raises(PromptError):
        visit.answer_to((other_side,))


def test_steps_are_taken_back_and_again_until_others_are_taken(visit):
    visit.take((FIRST, SECOND))
    newest = visit.answer
    visit.undo()
    assert visit.steps == (FIRST,)
    visit.redo()
    assert visit.answer is newest
    visit.undo()
    visit.take((SECOND,))
    visit.redo()
    assert visit.steps == (SECOND,)
    for _ in range(3):
        visit.undo()
    assert visit.steps == ()


def test_a_choice_is_part_of_the_newest_step_and_counted_within_the_candidates(visit):
    visit.take((FIRST,))
    candidates = visit.candidates()
    assert visit.choose(candidates[2]) is candidates[2] is visit.answer
    assert visit.steps == (Step(point_xy=(80, 60), choice=2),)
    assert visit.candidates() is candidates
    visit.take((SECOND,))
    assert visit.choose(candidates[0]) is None
    with pytest.raises(PromptError, match="counted from 0 to 2, but got 3"):
        visit.answer_to((Step(point_xy=(80, 60), choice=3),))
