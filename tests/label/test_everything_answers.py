"""Searches for everything: progressive answers that add up to the whole search, in pieces between which others are served."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.annotations.regions import Region
from sam2_adapter.annotations.rle import Rle, rle_to_mask
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.errors import PromptError
from sam2_adapter.interactive import Session, Step
from sam2_adapter.label import everything_answers
from sam2_adapter.label.everything_answers import EverythingSearches
from sam2_adapter.predict.everything.find import find_everything
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.predict.window import Window, embed_window
from tests.predict.everything.discs import disc_picture

SETTINGS = EverythingSettings(points_per_side=8, pred_iou_thresh=0.5, stability_score_thresh=0.6)
HW = (160, 240)


@pytest.fixture(scope="module")
def predictor():
    return load_predictor("sam2_nano", device="cpu", runtime="torch", precision="fp32")


@pytest.fixture(scope="module")
def picture():
    return disc_picture(*HW, 80, 24)


@pytest.fixture(scope="module")
def whole(predictor, picture):
    return Window.whole(predictor.embed(picture[0]))


class _Page:
    """Asks as a page does."""

    def __init__(self, predictor, window, monkeypatch) -> None:
        monkeypatch.setattr(everything_answers, "_ANSWER_S", 0.0)
        monkeypatch.setattr(everything_answers, "_MOST_SHARE", 1e9)  # an answer after each piece
        self.told: list[Any] = []
        self.searches = EverythingSearches(predictor, self.told.append, SETTINGS)
        self.window, self.ids = window, 0

    def ask(self, after, tab="t", search=1, is_stale=False):
        self.ids += 1
        self.searches.ask({"id": self.ids, "tab": tab, "search": search, "after": after}, lambda: self.window)
        while self.searches.is_busy:
            self.searches.work(lambda request: is_stale)
        return self.told.pop()

    def all(self, **more):
        answers, found = [], {}
        while not answers or not answers[-1]["is_done"]:
            answers.append(self.ask(len(answers), **more)["answer"])
            for number in answers[-1]["gone"]:
                del found[number]
            found.update({entry["id"]: entry for entry in answers[-1]["added"]})
        return answers, found


@pytest.fixture
def page(predictor, whole, monkeypatch):
    return _Page(predictor, whole, monkeypatch)


def test_the_answers_add_up_to_the_whole_search(page, predictor, whole):
    answers, found = page.all()
    assert len(answers) > 2
    assert [answer["begins"] for answer in answers] == [True] + [False] * (len(answers) - 1)
    assert [answer["done"] for answer in answers] == sorted(answer["done"] for answer in answers)
    assert {(answer["total"], answer["least"]) for answer in answers} == {(64, 0.5)}
    assert answers[-1]["done"] == 64
    assert answers[0]["added"]
    *_, last = find_everything(predictor, None, whole, SETTINGS, points_per_call=everything_answers.POINTS_PER_CALL)
    expected = {(entry.rle.counts, entry.iou_score, entry.point_xy, entry.choice) for entry in last.finished().objects}
    assert {(one["counts"], one["score"], tuple(one["point"]), one["choice"]) for one in found.values()} == expected
    assert not page.searches.is_busy


def test_the_point_and_the_choice_give_the_same_mask_to_a_session(page, predictor, picture):
    session = Session(predictor)
    session.open(picture[0])
    _, found = page.all()
    assert len(found) >= 5
    for entry in found.values():
        answer = session.go_to([Step(point_xy=tuple(entry["point"]), choice=entry["choice"])])
        assert mask_iou(answer.mask, rle_to_mask(Rle(entry["counts"], HW))) > 0.97
        assert answer.iou_score == pytest.approx(entry["score"], abs=1e-3)


def test_in_a_view_there_is_what_its_sides_do_not_cut(predictor, picture, monkeypatch):
    view = Region(0, 0, 200, 150)  # four of the discs, and parts of two
    page = _Page(predictor, embed_window(predictor, picture[0], view), monkeypatch)
    _, found = page.all()
    masks = [rle_to_mask(Rle(entry["counts"], HW)) for entry in found.values()]
    assert all(not mask[150:].any() and not mask[:, 200:].any() for mask in masks)
    is_cut = [disc[:, 200:].any() for disc in picture[1]]
    assert is_cut == [False, False, True] * 2
    for disc, is_disc_cut in zip(picture[1], is_cut, strict=True):
        visible = disc & (np.arange(HW[1]) < 200)
        best = max(mask_iou(mask, visible) for mask in masks)
        assert (best < 0.5) if is_disc_cut else (best > 0.7)
    assert all(0 <= entry["point"][0] < 200 and 0 <= entry["point"][1] < 150 for entry in found.values())


def test_a_search_that_is_not_known_begins_again(page):
    first = page.ask(0)["answer"]
    assert page.ask(1)["answer"]["begins"] is False
    again = page.ask(1)["answer"]  # the answer before was lost
    assert again["begins"] is True
    assert again["added"] == first["added"]
    assert page.ask(0, search=2)["answer"]["begins"] is True
    assert page.ask(7, tab="other")["answer"]["begins"] is True


def test_a_picture_that_was_left_ends_its_search_and_a_stop_does(page):
    page.ask(0)
    assert page.ask(1, is_stale=True)["answer"] is None
    assert page.ask(2)["answer"]["begins"] is True
    page.searches.ask({"id": 50, "tab": "t", "search": 1, "after": 1}, lambda: page.window)
    page.searches.stop("t", 5)  # of another search
    assert page.searches.is_busy
    page.searches.stop("t", 1)
    assert page.told == [{"id": 50, "answer": None}]
    assert not page.searches.is_busy


def test_tabs_take_turns(page):
    for number, tab in enumerate("ab"):
        page.searches.ask({"id": number, "tab": tab, "search": 1, "after": 0}, lambda: page.window)
    pieces = 0
    while page.searches.is_busy:
        page.searches.work(lambda request: False)
        pieces += 1
    assert sorted(message["id"] for message in page.told) == [0, 1]
    assert pieces > 4  # each piece of work is one of many


def test_a_search_that_cannot_begin_says_why(page):
    def refuse():
        raise PromptError("there is no such view")

    page.searches.ask({"id": 9, "tab": "t", "search": 1, "after": 0}, refuse)
    page.searches.work(lambda request: False)
    assert page.told == [{"id": 9, "error": "there is no such view"}]
    assert not page.searches.is_busy
    assert np.isfinite(page.ask(0)["answer"]["least"])
