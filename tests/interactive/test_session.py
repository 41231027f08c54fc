"""A session of clicks: refinement, boxes, candidates, undo, and answers that come too late."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.annotations.regions import Region
from sam2_adapter.annotations.rle import rle_to_mask
from sam2_adapter.errors import ImageError, PromptError
from sam2_adapter.interactive import Answer, Session, Step
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.predict.window import embed_window, moved_logits, predict_in_window
from tests.conftest import disk_photo
from tests.small_model import small_predictor

BOX = (40, 20, 120, 100)


@pytest.fixture(scope="module")
def predictor():
    """A model of milliseconds, whose masks vary with everything that it is asked."""
    return small_predictor()


@pytest.fixture(scope="module")
def image():
    return np.asarray(disk_photo())


@pytest.fixture(scope="module")
def finding(image):
    """A session with a model that finds objects."""
    session = Session(load_predictor("sam2_nano", device="cpu", runtime="torch"))
    session.open(image)
    return session


@pytest.fixture
def session(predictor, image):
    session = Session(predictor)
    session.open(image)
    return session


def _disk():
    y, x = np.mgrid[:120, :160] + 0.5
    return np.hypot(x - 80, y - 60) < 40


@pytest.mark.slow
def test_clicks_boxes_and_masks_find_the_object(finding):
    finding.clear()
    assert mask_iou(finding.click(80, 60).mask, _disk()) > 0.8
    assert mask_iou(finding.box(BOX).mask, _disk()) > 0.9
    assert mask_iou(finding.click(80, 60).mask, _disk()) > 0.9
    assert mask_iou(finding.start_from(_disk()).mask, _disk()) > 0.7


def test_a_click_is_answered_and_the_next_one_refines_the_answer(predictor, image, session):
    (embedding,) = predictor.embed([image])
    first = session.click(80, 60)
    assert first.mask.shape == session.original_hw == (120, 160)
    alone = predictor.predict(embedding, [{"points": [[80, 60]]}])
    assert np.array_equal(first.mask, alone.masks[0, 0])
    assert first.iou_score == alone.iou_scores[0, 0]

    second = session.click(100, 60, foreground=False)
    clicks = {"points": [[80, 60], [100, 60]], "labels": [1, 0]}
    refined = predictor.predict(embedding, [{**clicks, "mask": first.low_res_logits}])
    fresh = predictor.predict(embedding, [clicks])
    assert np.array_equal(second.mask, refined.masks[0, 0])
    assert not np.array_equal(second.low_res_logits, fresh.low_res_logits[0, 0])
    assert session.answer is second


def test_a_box_and_clicks_are_one_object_and_a_box_replaces_the_one_before(predictor, image, session):
    session.box(BOX)
    both = session.click(80, 60)
    other = session.box([0, 0, 100, 90])
    prompt = {"box": [0, 0, 100, 90], "points": [[80, 60]], "mask": both.low_res_logits}
    expected = predictor.predict(predictor.embed([image])[0], [prompt])
    assert np.array_equal(other.low_res_logits, expected.low_res_logits[0, 0])


def _in_box(mask, box):
    x0, y0, x1, y1 = box
    kept = np.zeros_like(mask)
    kept[y0:y1, x0:x1] = mask[y0:y1, x0:x1]
    return kept


def test_a_mask_ends_at_the_box_until_a_click_outside_says_that_the_object_goes_on(session):
    box = (40, 20, 100, 70)
    loose = Step(box_xyxy=box, is_loose=True)
    clicks = [Step(point_xy=(80, 60)), Step(point_xy=(20, 100), foreground=False), Step(point_xy=(120, 90))]
    free = [session.go_to([loose, *clicks[:number]]).mask for number in range(4)]
    assert (free[0] & ~_in_box(free[0], box)).any()
    kept = [session.go_to([Step(box_xyxy=box), *clicks[:number]]).mask for number in range(4)]
    for number in range(3):
        assert np.array_equal(kept[number], _in_box(free[number], box))
    assert np.array_equal(kept[3], free[3])
    session.undo()
    assert np.array_equal(session.answer.mask, kept[2])
    whole = session.go_to([loose]) and session.candidates()
    cut = session.go_to([Step(box_xyxy=box)]) and session.candidates()
    for one, other in zip(cut, whole, strict=True):
        assert np.array_equal(one.mask, _in_box(other.mask, box))
        assert np.array_equal(session.choose(one).mask, one.mask)


def test_a_mask_that_ends_at_a_box_in_the_view_reaches_no_edge_of_it(session):
    view = (10, 10, 110, 100)
    assert session.go_to([Step(box_xyxy=(30, 30, 60, 60), is_loose=True, view_xyxy=view)]).is_cut
    answer = session.go_to([Step(box_xyxy=(30, 30, 60, 60), view_xyxy=view)])
    assert answer.mask.any()
    assert not answer.is_cut
    assert session.go_to([Step(box_xyxy=(2, 30, 60, 60), view_xyxy=view)]).is_cut


@pytest.mark.slow
def test_a_click_that_enlarges_the_mask_does_not_leave_the_box(finding):
    finding.clear()
    box = (40, 20, 90, 100)  # the left half of the disk, and a little more
    masks = [finding.box(box).mask, finding.click(85, 60).mask]
    for mask in masks:
        assert np.array_equal(mask, _in_box(mask, box))
    assert mask_iou(masks[1], _in_box(_disk(), box)) > 0.85
    assert mask_iou(finding.click(110, 60).mask, _disk()) > 0.85


def test_undo_goes_back_click_by_click(session):
    answers = [session.click(80, 60), session.click(95, 60), session.box(BOX)]
    assert session.undo() is answers[1]
    assert session.answer is answers[1]
    again = session.box(BOX)
    assert np.array_equal(again.mask, answers[2].mask)
    assert [session.undo(), session.undo(), session.undo()] == [answers[1], answers[0], None]
    assert session.answer is None
    assert session.undo() is None
    assert np.array_equal(session.click(80, 60).mask, answers[0].mask)


def test_redo_takes_the_same_steps_again_until_something_new_is_pointed_at(session):
    answers = [session.click(80, 60), session.click(95, 60), session.box(BOX)]
    session.undo()
    session.undo()
    assert [session.redo(), session.redo(), session.redo()] == [answers[1], answers[2], answers[2]]
    session.undo()
    other = session.click(10, 10)
    assert session.redo() is other


def test_a_list_of_steps_is_all_there_is_to_know(predictor, image, session):
    answers = [session.click(80, 60), session.click(95, 60, foreground=False)]
    chosen = session.choose(session.candidates()[2])
    answers.append(session.box(BOX))
    steps = session.steps
    assert steps[1] == Step(point_xy=(95, 60), foreground=False, choice=2)

    asked = _Counting(predictor)
    other = Session(asked)
    other.open(predictor.embed(image))
    again = other.go_to(steps)
    assert again is other.answer
    assert again.rle == answers[-1].rle
    assert np.array_equal(again.low_res_logits, answers[-1].low_res_logits)
    assert asked.calls == 3
    assert other.go_to(steps[:2]).rle == chosen.rle
    assert other.go_to(steps[:1]).rle == answers[0].rle
    assert other.go_to(steps) is again
    assert (other.go_to([]), other.answer, other.steps) == (None, None, ())
    assert asked.calls == 3


def test_steps_that_cannot_be_taken_leave_the_session_where_it_was(session):
    answer = session.click(80, 60)
    for steps, message in [
        ([Step(point_xy=(500, 5))], "lies outside the image"),
        ([Step(point_xy=(80, 60)), Step(point_xy=(5, 5), choice=3)], "counted from 0 to 2, but got 3"),
    ]:
        with pytest.raises(PromptError, match=message):
            session.go_to(steps)
    assert session.answer is answer


VIEW = (60, 30, 140, 100)


def test_a_view_is_answered_at_full_resolution_and_the_next_view_refines_it(predictor, image, session):
    whole = session.click(80, 60)
    pixels = image[30:100, 60:140]
    alone = predictor.predict(predictor.embed(pixels), [{"points": [[20, 30]]}])
    session.clear()
    answer = session.click(80, 60, view_xyxy=VIEW)
    assert np.array_equal(answer.mask[30:100, 60:140], alone.masks[0, 0])
    assert not answer.mask[:30].any()
    assert not np.array_equal(answer.mask, whole.mask)
    assert answer.is_cut == Region(*VIEW).cuts_off(alone.masks[0, 0], (120, 160))

    first, second = (embed_window(predictor, image, Region(*view)) for view in (VIEW, (40, 40, 120, 110)))
    logits = moved_logits(answer.low_res_logits, first, second)
    prompt = {"points": [[80, 60], [100, 70]], "labels": [1, 0], "mask": logits}
    expected = predict_in_window(predictor, second, [prompt]).masks[0, 0]
    moved = session.click(100, 70, foreground=False, view_xyxy=(40, 40, 120, 110))
    assert np.array_equal(moved.mask[40:110, 40:120], expected[40:110, 40:120])
    outside = np.ones((120, 160), bool)
    outside[40:110, 40:120] = False
    assert np.array_equal(moved.mask & outside, answer.mask & outside)
    assert session.preview(80, 60, view_xyxy=VIEW).rle == answer.rle
    assert session.click(90, 60).is_cut is False


def test_a_view_that_is_looked_at_is_encoded_once(predictor, image):
    counting = _Embedding(predictor)
    session = Session(counting)
    session.open(image)
    session.look(VIEW)
    session.click(80, 60, view_xyxy=VIEW)
    session.clear()
    session.click(90, 60, view_xyxy=VIEW)
    session.click(95, 60, view_xyxy=(0, 0, 160, 120))  # all of the image is no view
    assert counting.calls == 2
    with pytest.raises(PromptError, match="lies outside the image"):
        session.look((200, 200, 300, 300))
    with pytest.raises(PromptError, match="lies outside the image"):
        session.click(500, 5)
    with pytest.raises(PromptError, match=r"Point \(500, 5\) lies outside the view"):
        session.click(500, 5, view_xyxy=VIEW)
    session.open(predictor.embed(image))
    with pytest.raises(PromptError, match="A view needs the pixels of the image"):
        session.look(VIEW)


def test_a_preview_is_the_answer_to_a_click_and_changes_nothing(session):
    first = session.click(80, 60)
    session.clear()
    assert session.preview(80, 60).rle == first.rle
    assert (session.answer, session.steps) == (None, ())
    session.close()
    with pytest.raises(PromptError, match="No image is open"):
        session.preview(80, 60)


def test_a_hundred_clicks_on_a_large_image_keep_no_masks_in_full(predictor, session):
    answer = session.click(80, 60)
    assert len(answer.rle.counts) < answer.mask.nbytes / 4
    assert np.array_equal(answer.mask, rle_to_mask(answer.rle))


def test_the_next_object_begins_anew(session):
    first = session.click(80, 60)
    session.click(90, 60)
    session.clear()
    assert session.answer is None
    assert np.array_equal(session.click(80, 60).mask, first.mask)


def test_a_drawn_mask_is_refined(session):
    session.click(10, 10)
    drawn = session.start_from(_disk())
    assert drawn is session.answer
    session.click(80, 60)
    assert session.undo() is drawn
    with pytest.raises(PromptError, match="is 5x4 pixels, but the image is 160x120"):
        session.start_from(np.ones((4, 5), bool))
    with pytest.raises(PromptError, match="empty"):
        session.start_from(np.zeros((120, 160), bool))


def test_candidates_are_three_and_the_chosen_one_is_refined(predictor, image, session):
    assert session.candidates() == ()
    session.click(80, 60)
    candidates = session.candidates()
    assert [type(candidate) for candidate in candidates] == [Answer] * 3
    scores = [candidate.iou_score for candidate in candidates]
    assert scores == sorted(scores, reverse=True)
    assert session.candidates() is candidates

    chosen = session.choose(candidates[2])
    assert chosen is session.answer is candidates[2]
    refined = session.click(90, 60)
    prompt = {"points": [[80, 60], [90, 60]], "mask": candidates[2].low_res_logits}
    expected = predictor.predict(predictor.embed([image])[0], [prompt])
    assert np.array_equal(refined.mask, expected.masks[0, 0])
    assert session.choose(candidates[0]) is None  # of an earlier click
    assert session.answer is refined
    assert session.undo() is candidates[2]


def test_candidates_of_an_image_that_was_left_cannot_be_chosen(session, image):
    session.click(80, 60)
    candidates = session.candidates()
    session.open(image[:, ::-1])
    session.click(80, 60)
    assert session.choose(candidates[0]) is None


def test_what_cannot_be_used_changes_nothing(session):
    answer = session.click(80, 60)
    for ask, message in [
        (lambda: session.click(500, 5), "lies outside the image"),
        (lambda: session.click(float("nan"), 5), "finite"),
        (lambda: session.click(10**400, 5), "'point'"),
        (lambda: session.click("left", None), "'point'"),
        (lambda: session.box([5, 5, 5, 9]), "is empty"),
        (lambda: session.box([5, 5]), "4 numbers"),
    ]:
        with pytest.raises(PromptError, match=message):
            ask()
    assert session.answer is answer
    session.clear()
    with pytest.raises(PromptError, match="All points of this prompt are background"):
        session.click(80, 60, foreground=False)


def test_without_an_image_there_is_nothing_to_point_at(predictor, tmp_path):
    session = Session(predictor)
    assert (session.original_hw, session.answer, session.undo(), session.candidates()) == (None, None, None, ())
    for ask in (lambda: session.click(1, 1), lambda: session.box(BOX), lambda: session.start_from(_disk())):
        with pytest.raises(PromptError, match="No image is open"):
            ask()
    with pytest.raises(ImageError, match="there is no such file"):
        session.open(tmp_path / "missing.png")
    assert session.original_hw is None


def test_files_are_opened_and_an_image_that_was_open_before_is_not_encoded_again(predictor, image, session, tmp_path):
    path = tmp_path / "disk.png"
    disk_photo().save(path)
    for given in (path, str(path), path.read_bytes(), image):
        session.open(given)
        assert session.original_hw == (120, 160)
    assert session._sources.num_encoded == 1
    session.close()
    assert session.original_hw is None


class _Embedding:
    """The predictor, and how many images it encoded."""

    def __init__(self, predictor):
        self._predictor, self.calls = predictor, 0

    def embed(self, images):
        self.calls += 1
        return self._predictor.embed(images)

    def __getattr__(self, name):
        return getattr(self._predictor, name)


class _Counting:
    """The predictor, and how often it was asked."""

    def __init__(self, predictor):
        self._predictor, self.calls = predictor, 0

    def predict_rles(self, *arguments, **options):
        self.calls += 1
        return self._predictor.predict_rles(*arguments, **options)


class _Slow:
    """The predictor, whose prediction waits until it may go on."""

    def __init__(self, predictor):
        self._predictor = predictor
        self.is_asked, self.may_go_on = threading.Event(), threading.Event()

    def embed(self, images):
        return self._predictor.embed(images)

    def embed_when_allowed(self, images):
        self.is_asked.set()
        assert self.may_go_on.wait(60)
        return self._predictor.embed(images)

    def predict_rles(self, *arguments, **options):
        self.is_asked.set()
        assert self.may_go_on.wait(60)
        return self._predictor.predict_rles(*arguments, **options)


@pytest.mark.parametrize("leave", [lambda s, i: s.open(i[::-1]), lambda s, i: s.close(), lambda s, i: s.clear()])
def test_an_answer_for_what_was_left_is_dropped(predictor, image, leave):
    slow = _Slow(predictor)
    session = Session(slow)
    session.open(image)
    with ThreadPoolExecutor(2) as pool:
        late = pool.submit(session.click, 80, 60)
        assert slow.is_asked.wait(60)
        queued = pool.submit(session.click, 90, 60)
        leave(session, image)  # waits for no answer
        slow.may_go_on.set()
        assert late.result() is None
        assert queued.result() is None or session.answer is queued.result()
    if session.original_hw is not None:
        session.clear()
        assert session.click(80, 60) is session.answer


def test_the_image_that_was_opened_last_is_open(predictor, image):
    slow = _Slow(predictor)
    session = Session(slow)
    slow.embed = slow.embed_when_allowed
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(session.open, image)
        assert slow.is_asked.wait(60)
        second = pool.submit(session.open, image[:90])
        while session._num_opened < 2:
            time.sleep(0.001)
        slow.may_go_on.set()
        first.result()
        second.result()
    assert session.original_hw == (90, 160)


def test_clicks_at_the_same_time_are_all_counted(session):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda x: session.click(x, 60), range(70, 90, 5)))
    assert session.answer in answers
    undone = 0
    while session.answer is not None:
        session.undo()
        undone += 1
    assert undone == 4
