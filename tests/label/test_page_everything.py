"""Everything as proposals on the page, in Chromium: what is shown, accepted, undone and saved, by value."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.rle import Rle, mask_to_rle, rle_iou, rle_to_mask
from sam2_adapter.interactive import Step
from tests.label.pages import engine, opened_page, photos, saved_objects, serving

pytestmark = pytest.mark.browser

HW = (303, 384)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return photos(tmp_path_factory.mktemp("everything") / "photos", ("coins.png", "flower.jpg"))


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder, "--model", "sam2_nano", "--labels", "coin,hole") as server:
        yield server


def _found(page):
    """The proposals of a search that has ended."""
    page.until("label.stage.proposals.isOn && !label.stage.proposals.search")
    return page.js("[...label.stage.proposals.list.values()]")


def _shown(page):
    return page.js("label.stage.proposals.shown")


def _share_in(entry, objects):
    """The share of a mask's pixels that objects have together."""
    mask = rle_to_mask(Rle(entry["counts"], HW))
    together = np.any([rle_to_mask(Rle(one["counts"], HW)) for one in objects], axis=0)
    return (mask & together).sum() / mask.sum()


def _box(entry):
    return Rle(entry["counts"], HW).box_xyxy


def test_proposals_come_and_are_accepted_by_click_box_and_score(browser, server, folder):
    with opened_page(browser, server.url) as page:
        page.ready()
        page.press("g")
        found = _found(page)
        session = engine(folder, "coins.png")
        for entry in found[:3]:
            (step,) = entry["steps"]
            answer = session.go_to([Step(point_xy=tuple(step["point"]), choice=step["choice"])])
            assert rle_iou(answer.rle, Rle(entry["counts"], HW)) > 0.97
            assert entry["score"] == pytest.approx(answer.iou_score, abs=1e-3)
        assert len(found) > 10
        assert f"{len(found)} proposals" in page.window.inner_text("#proposals")
        assert f"Accept {len(found)} " in page.window.inner_text("#proposals")
        assert "Nothing is saved before you accept it." in page.window.inner_text("#proposals")
        assert not page.window.is_visible("#strip")
        assert (page.objects, saved_objects(folder)) == ([], [])

        # a click
        smallest = min(_shown(page), key=lambda entry: Rle(entry["counts"], HW).area)
        x, y = smallest["steps"][0]["point"]
        page.press("2")
        page.point(x, y)
        page.saved()
        (object_,) = page.objects
        assert (object_["label"], object_["counts"], object_["score"]) == (
            "hole",
            smallest["counts"],
            smallest["score"],
        )
        assert object_["steps"] == smallest["steps"]
        assert object_["model"] == page.js("label.store.state.model.model")
        assert [entry["counts"] for entry in saved_objects(folder)] == [smallest["counts"]]
        others = [entry for entry in found if _share_in(entry, [smallest]) <= 0.5]
        assert f"Left out: {len(found) - len(others)} in accepted objects." in page.window.inner_text("#proposals")
        assert {entry["counts"] for entry in _shown(page)} == {entry["counts"] for entry in others}
        page.press("Control+z")
        assert len(_shown(page)) == len(found)
        page.press("Control+Shift+z")
        page.saved()

        # a rubber band around the left half
        page.press("1")
        page.drag((1, 1), (200, 302))
        inside = [entry for entry in others if max(_box(entry)[2] - 200, 1 - _box(entry)[0], 1 - _box(entry)[1]) <= 0]
        assert 0 < len(inside) < len(others)
        assert {entry["counts"] for entry in page.objects[1:]} == {entry["counts"] for entry in inside}
        assert set(page.labels[1:]) == {"coin"}
        page.press("Control+z")
        assert len(page.objects) == 1

        # all above a score
        scores = sorted(entry["score"] for entry in _shown(page))
        page.window.fill("#proposals input", "100")
        assert "No proposal has such a score" in page.window.inner_text("#proposals")
        least = int(100 * np.median(scores)) + 1
        page.window.fill("#proposals input", str(least))
        chosen = [entry for entry in others if entry["score"] >= least / 100]
        assert 0 < len(chosen) < len(others)
        assert f"{len(chosen)} proposals" in page.window.inner_text("#proposals").replace("proposal ", "proposals ")
        page.press("Shift+G")
        page.saved()
        assert {entry["counts"] for entry in saved_objects(folder)[1:]} == {entry["counts"] for entry in chosen}
        assert page.window.inner_text("#notice") == f"{len(chosen)} objects accepted. Ctrl+Z takes that back."
        page.press("Control+z")
        assert not page.window.is_visible("#notice")  # it is taken back
        page.saved()
        assert len(saved_objects(folder)) == 1
        page.press("Control+Shift+z")
        page.saved()

        # the end, and again: what is accepted is not proposed
        page.window.locator("#canvas").focus()
        page.press("Escape")
        assert not page.window.is_visible("#proposals")
        page.js("label.stage.proposals.offer([], 'in this view')")
        assert "Nothing was found in this view" in page.window.inner_text("#proposals")
        page.press("Escape")
        assert page.window.is_visible("#strip")
        page.press("g")
        _found(page)
        fits = [entry for entry in _found(page) if _share_in(entry, page.objects) <= 0.5]
        assert {entry["counts"] for entry in _shown(page)} == {entry["counts"] for entry in fits}
        # a part of an accepted object, and one that reaches beyond it
        whole = max(page.objects, key=lambda entry: Rle(entry["counts"], HW).area)
        mask = rle_to_mask(Rle(whole["counts"], HW))
        columns = np.arange(HW[1]) < np.median(np.nonzero(mask)[1])
        parts = [mask & columns, (mask & columns) | np.roll(mask & columns, -90, axis=0)]
        offered = [{"counts": mask_to_rle(part).counts, "score": 0.5} for part in parts]
        page.js("(list) => label.stage.proposals.offer(list, 'from the test')", offered)
        expected = [entry["counts"] for entry in offered if _share_in(entry, page.objects) <= 0.5]
        assert [entry["counts"] for entry in _shown(page)] == expected
        assert len(expected) < 2
        page.window.reload()
        page.ready()
        assert len(page.objects) == 1 + len(chosen)
        assert not page.js("label.stage.proposals.isOn")

        # what was accepted is refined from the very mask that was proposed
        page.js("label.commands.edit(Object.keys(label.store.state.objects)[0])")
        steps = page.draft["steps"]
        assert page.shown["counts"] == smallest["counts"]
        page.point(x + 3, y)
        point = page.draft["steps"][-1]["point"]
        answer = session.go_to(
            [Step(point_xy=tuple(steps[0]["point"]), choice=steps[0]["choice"]), Step(point_xy=tuple(point))]
        )
        assert page.shown["counts"] == answer.rle.counts
        page.press("Escape", "Control+z", "Control+z")


def test_a_search_in_the_view_ends_when_the_picture_is_left_and_gives_way_to_clicks(browser, server, folder):
    with opened_page(browser, server.url) as page:
        page.ready()
        page.js("() => { label.stage.view.zoomAt(500, 400, 2); label.stage.moving(); }")
        page.until("!label.stage.isMoving")
        page.press("v", "g")
        page.until("label.stage.proposals.search?.total > 0")
        x0, y0, x1, y1 = page.js("label.stage.view.part()")
        page.js(f"label.commands.point({(x0 + x1) / 2}, {(y0 + y1) / 2}, true)")
        page.answered()  # long before the search ends
        assert page.js("label.stage.proposals.search !== null")
        assert page.window.is_visible("#strip")
        page.press("Escape")
        assert page.window.is_visible("#proposals")
        found = _found(page)
        assert found
        for entry in found:
            (step,) = entry["steps"]
            assert step["view"] == [x0, y0, x1, y1]
            assert x0 <= step["point"][0] < x1
            assert y0 <= step["point"][1] < y1
            box = Rle(entry["counts"], HW).box_xyxy
            assert (box[0] >= x0, box[1] >= y0, box[2] <= x1, box[3] <= y1) == (True,) * 4
        page.press("v", "g")
        page.until("label.stage.proposals.search?.done > 0")
        page.window.click("#proposals button:text('Stop')")
        assert page.js("label.stage.proposals.search") is None
        assert page.js("label.stage.proposals.isOn")
        page.press("g")
        page.until("label.stage.proposals.search?.total > 0")
        page.press("d")
        assert not page.js("label.stage.proposals.isOn")
        page.ready()
        page.point(200, 200)
        assert page.shown["counts"]
        page.press("Escape", "g")
        found = _found(page)
        shares = [_share_of_edge(rle_to_mask(Rle(entry["counts"], (427, 640)))) for entry in found]
        objects = [entry["counts"] for entry, share in zip(found, shares, strict=True) if share <= 0.5]
        assert [entry["counts"] for entry in _shown(page)] == objects
        assert objects
        left_out = len(found) - len(objects)
        assert (f"Left out: {left_out} as background." in page.window.inner_text("#proposals")) == bool(left_out)

        # what lies on most of the edge is background; a disc that touches all sides is none, nor is a thing that leaves the picture on three
        y, x = np.mgrid[:427, :640]
        disc = np.hypot((x - 320) / 320, (y - 213) / 213.5) < 1
        masks = {
            "around the disc": ~disc,
            "disc": disc,
            "left third": x < 213,
            "all but a corner": (x > 100) | (y > 100),
        }
        shares = {name: _share_of_edge(mask) for name, mask in masks.items()}
        found_out = {
            name: page.js("(counts) => label.stage.proposals.isBackground(counts, null)", mask_to_rle(mask).counts)
            for name, mask in masks.items()
        }
        assert found_out == {name: share > 0.5 for name, share in shares.items()}
        assert found_out == {"around the disc": True, "disc": False, "left third": False, "all but a corner": True}
        in_view = page.js(
            "(counts) => label.stage.proposals.isBackground(counts, [0, 0, 200, 427])", mask_to_rle(x < 213).counts
        )
        assert in_view  # it fills the view


def _share_of_edge(mask):
    """Of the four lines a hundredth of the sides inside the picture, what a mask lies on."""
    height, width = mask.shape
    in_y, in_x = height // 100, width // 100
    lines = (mask[in_y], mask[-1 - in_y], mask[:, in_x], mask[:, -1 - in_x])
    return sum(int(line.sum()) for line in lines) / (2 * (height + width))
