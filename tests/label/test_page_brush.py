"""Brush and eraser on the page, in Chromium: what is painted, undone, refined and saved, pixel by pixel against numpy."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from sam2_adapter.annotations.rle import Rle, mask_to_rle, rle_to_mask
from sam2_adapter.annotations.separate_parts import without_small_regions
from sam2_adapter.interactive import Step
from tests.label.pages import Fingers, engine, opened_page, photos, saved_objects, serving

pytestmark = pytest.mark.browser

HW = (303, 384)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return photos(tmp_path_factory.mktemp("brush") / "photos", ["coins.png", "flower.jpg"])


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder, "--model", "sam2_nano", "--labels", "coin,hole") as server:
        yield server


@pytest.fixture
def page(browser, server):
    with opened_page(browser, server.url, has_touch=True) as page:
        page.ready()
        yield page
        page.saved()


def painted(points, size, hw=HW):
    """The pixels whose centre is at most half the size away from the line through points (x, y), in half pixels and whole numbers."""
    snap = (lambda value: 2 * int(np.floor(value)) + 1) if size % 2 else (lambda value: 2 * int(np.floor(value + 0.5)))
    places = [(snap(x), snap(y)) for x, y in points]
    y, x = 2 * np.mgrid[: hw[0], : hw[1]].astype(np.int64) + 1
    mask = np.zeros(hw, bool)
    for (ax, ay), (bx, by) in itertools.pairwise([places[0], *places]):
        dx, dy, px, py = bx - ax, by - ay, x - ax, y - ay
        length, along = dx * dx + dy * dy, px * dx + py * dy
        beside = (px * dy - py * dx) ** 2 <= size * size * length
        ends = (px * px + py * py <= size * size) | ((px - dx) ** 2 + (py - dy) ** 2 <= size * size)
        mask |= ends | (beside & (along > 0) & (along < length))
    return mask


def _stroke(page, points, button="left"):
    places = [page.place(*point) for point in points]
    page.window.mouse.move(*places[0])
    page.window.mouse.down(button=button)
    for place in places[1:]:
        page.window.mouse.move(*place)
    page.window.mouse.up(button=button)


def _mask(page):
    return rle_to_mask(Rle(page.shown["counts"], HW))


def test_strokes_are_exact_undone_one_by_one_and_saved_as_they_were_painted(page, folder):
    page.press("p")
    assert page.window.get_attribute("#brush", "aria-pressed") == "true"
    sizes = [page.js("label.stage.brush.size")]
    page.press("]", "]", "[")
    sizes.append(page.js("label.stage.brush.size"))
    assert sizes == [20, 22]
    assert "22 px" in page.window.inner_text("#brush-bar")
    first = [(60, 60), (120, 80), (110, 140)]
    _stroke(page, first)
    expected = painted(first, 22)
    assert np.array_equal(_mask(page), expected)
    assert "painted" in page.window.inner_text("#strip")
    page.js("label.stage.brush.setSize(8)")
    second = [(90, 70), (90, 250), (-30, 150)]  # leaves the picture
    _stroke(page, second)
    expected_2 = expected | painted(second, 8)
    assert np.array_equal(_mask(page), expected_2)
    page.press("w")
    third = [(40, 100), (200, 100)]
    _stroke(page, third)
    expected_3 = expected_2 & ~painted(third, 8)
    assert np.array_equal(_mask(page), expected_3)
    _stroke(page, [(300, 20), (310, 20)])  # where nothing is: no step
    page.press("p")
    _stroke(page, [(65, 65)], button="right")
    assert np.array_equal(_mask(page), expected_3 & ~painted([(65, 65)], 8))
    page.press("Control+z")
    assert np.array_equal(_mask(page), expected_3)
    page.press("Control+z")
    assert np.array_equal(_mask(page), expected_2)
    page.press("Control+Shift+z", "Enter")
    page.saved()
    (saved,) = saved_objects(folder)
    assert saved["counts"] == mask_to_rle(expected_3).counts
    assert (saved["label"], saved["score"]) == ("coin", 1)
    assert saved["steps"] == [{"mask": saved["counts"], "painted": True}]
    assert (folder / "labels" / "journal.jsonl").read_text().count(json.dumps(saved["counts"])) == 1
    assert page.js("label.stage.brush.isOn")  # for the next object
    page.press("Escape")
    assert not page.js("label.stage.brush.isOn")
    page.press("Control+z", "Control+z", "Control+z", "Control+z")
    assert (page.draft, page.objects) == (None, [])


def test_a_brush_of_one_pixel_zoomed_and_while_the_pointer_is_down(page):
    page.window.mouse.move(*page.place(200.5, 150.5))
    for _ in range(5):
        page.window.mouse.wheel(0, -240)
    page.until("label.stage.view.scale > 8 && !label.stage.isMoving")
    page.press("p")
    page.js("label.stage.brush.setSize(1)")
    places = [page.place(x, y) for x, y in ((190.9, 150.2), (196.1, 153.8))]
    page.window.mouse.move(*places[0])
    page.window.mouse.down()
    page.window.mouse.move(*places[1])
    page.until("!label.stage.isDue")
    assert page.draft is None  # drawn, but no step yet
    color = [int(page.js("label.store.state.palette[0]")[i : i + 2], 16) for i in (1, 3, 5)]
    at = "([x, y]) => { const { view, canvas } = label.stage; const [a, b] = view.toScreen(x, y); return [...canvas.getContext('2d').getImageData(Math.round(a), Math.round(b), 1, 1).data.slice(0, 3)]; }"
    page.js(
        "() => { label.options_ = label.stage.options.opacity; label.stage.options.opacity = 1; label.stage.brush.at = null; label.stage.draw(); }"
    )
    assert np.abs(np.array(page.js(at, [190.5, 150.5])) - color).max() <= 3
    assert np.abs(np.array(page.js(at, [190.5, 152.5])) - color).max() > 3
    page.window.mouse.up()
    page.js("() => { label.stage.options.opacity = label.options_; }")
    assert np.array_equal(_mask(page), painted([(190.9, 150.2), (196.1, 153.8)], 1))
    assert _mask(page).sum() == 10
    page.press("Escape", "Escape")


def _says_painted_in_place_of_a_score(page, mask):
    """The only object of all pictures was painted: the list, the review and, with another model, the bar say so."""
    page.saved()
    row = "#objects .row"
    assert page.window.inner_text(f"{row} .number") == "painted"
    assert page.window.get_attribute(row, "aria-label") == page.window.get_attribute(row, "title") == "coin, painted"
    page.press("r")
    page.until("document.querySelector('.cutout')")
    assert page.window.get_attribute(".cutout", "title") == f"coin, painted, {mask.sum():,} pixels, in coins.png"
    assert page.window.inner_text(".cutout .number") == "painted"
    assert "Painted masks have none and come first; then low scores" in page.window.inner_text("#review-why")
    assert page.js(
        "[...document.querySelectorAll('#review-labels tr:first-child td')].map((cell) => cell.innerText).slice(-2)"
    ) == ["", "1"]
    page.press("Escape")
    page.js("""() => {
      const [[id, object]] = Object.entries(label.store.state.objects);
      label.store.dispatch({ type: "change", changes: { [id]: { ...object, model: { name: "other", weights: "0" } } } });
      label.commands.edit(id);
    }""")
    assert page.window.inner_text("#strip .score") == "painted"
    page.press("Enter")
    assert page.objects[0]["steps"] == [{"mask": mask_to_rle(mask).counts, "painted": True}]


def test_a_click_after_a_stroke_refines_it_and_accepted_objects_are_painted_on(page, folder):
    session = engine(folder, "coins.png")
    page.point(335, 43)
    answer = session.click(335, 43)
    page.press("p")
    page.js("label.stage.brush.setSize(9)")
    _stroke(page, [(300.5, 43.5), (300.5, 60.5)])
    together = answer.mask | painted([(300.5, 43.5), (300.5, 60.5)], 9)
    assert np.array_equal(_mask(page), together)
    assert page.js(_ASKS_BEFORE_CLOSING)
    page.press("Escape")
    page.point(318, 60, button="right")
    assert (
        page.shown["counts"]
        == session.go_to([Step(mask=mask_to_rle(together)), Step(point_xy=(318, 60), foreground=False)]).rle.counts
    )
    page.press("Control+z", "Enter")
    assert page.objects[0]["counts"] == mask_to_rle(together).counts
    _says_painted_in_place_of_a_score(page, together)
    page.point(300.5, 50.5)  # selects it
    assert page.window.inner_text("#strip .score") == "painted"
    assert page.window.locator("#strip .by").count() == 0
    page.press("w")
    _stroke(page, [(300.5, 43.5), (300.5, 60.5)])
    assert page.draft["editing"]
    assert np.array_equal(_mask(page), together & ~painted([(300.5, 43.5), (300.5, 60.5)], 9))
    page.js("label.stage.brush.setSize(500)")
    _stroke(page, [(335, 43)])
    assert "Everything is erased" in page.window.inner_text("#strip")
    page.press("Enter")  # nothing to accept
    assert len(page.objects) == 1
    page.press("Escape")
    page.point(335, 43)
    assert page.shown["counts"] == answer.rle.counts
    page.press("Escape")
    page.js("label.commands.select(Object.keys(label.store.state.objects)[0])")
    page.press("Delete")


_HOLD = """() => {
  label.held = window.fetch;
  window.fetch = async (path, options) => {
    if (options?.body?.includes('"kind":"click"')) await new Promise((go) => { label.letGo = [...(label.letGo ?? []), go]; });
    return label.held.call(window, path, options);
  };
}"""
_LET_GO = "() => { window.fetch = label.held; for (const go of label.letGo.splice(0)) go(); }"


def test_what_is_done_while_a_mask_is_awaited_changes_that_mask(page, folder):
    session = engine(folder, "coins.png")
    answer = session.click(335, 43).mask
    strokes = [
        painted([(300.5, 43.5), (300.5, 60.5)], 9),
        painted([(335.5, 30.5), (335.5, 60.5)], 9),
        painted([(60.5, 60.5), (90.5, 60.5)], 9),
    ]
    page.js(_HOLD)
    page.window.mouse.click(*page.place(335, 43))
    page.press("p")
    page.js("label.stage.brush.setSize(9)")
    _stroke(page, [(300.5, 43.5), (300.5, 60.5)])
    _stroke(page, [(335.5, 30.5), (335.5, 60.5)], button="right")
    _stroke(page, [(60.5, 60.5), (90.5, 60.5)])
    page.press("Control+z", "Control+z", "Control+Shift+z")
    assert page.shown is None
    page.press("Escape")
    page.window.mouse.click(*page.place(318, 60), button="right")
    page.js(_LET_GO)
    page.until("label.store.state.desk.waiting.length === 0 && label.own()")
    refined = (answer | strokes[0]) & ~strokes[1]
    steps = [Step(mask=mask_to_rle(refined)), Step(point_xy=(318, 60), foreground=False)]
    assert page.shown["counts"] == session.go_to(steps).rle.counts
    page.press("Control+z")
    assert np.array_equal(_mask(page), refined)
    page.press("Control+z", "Control+z")
    assert np.array_equal(_mask(page), answer)
    page.press("Escape")
    # After Enter another object begins, with a label of its own, although the first mask is not there yet.
    page.js(_HOLD)
    page.window.mouse.click(*page.place(155, 51))
    page.press("Enter", "2")
    page.window.mouse.click(*page.place(335, 45))
    page.press("p")
    _stroke(page, [(60.5, 60.5), (90.5, 60.5)])
    page.press("Enter", "Escape")
    page.js(_LET_GO)
    page.until("label.store.state.desk.draft === null && Object.keys(label.store.state.objects).length === 2")
    page.saved()
    first, second = saved_objects(folder)[-2:]
    assert (first["label"], first["counts"]) == ("coin", session.go_to([Step(point_xy=(155, 51))]).rle.counts)
    together = session.go_to([Step(point_xy=(335, 45))]).mask | strokes[2]
    assert (second["label"], second["counts"]) == ("hole", mask_to_rle(together).counts)
    page.press("Control+z", "Control+z", "Control+z", "Control+z", "Control+z")
    assert (page.draft, page.objects) == (None, [])
    page.press("1")


def test_what_leaves_an_object_behind_waits_until_it_is_accepted(page, folder):
    counts = engine(folder, "coins.png").click(155, 51).rle.counts
    states = "label.store.state.images.map((one) => one.state)"

    def pressed_too_early(x, y, *keys):
        page.js(_HOLD)
        page.window.mouse.click(*page.place(x, y))
        page.press("Enter", *keys)
        assert "accepted once the mask is there" in page.window.inner_text("#strip")

    pressed_too_early(155, 51, "2", "d", "Control+z", "f")
    assert page.window.inner_text("#strip").startswith("coin\n")  # 2 is for the next object
    page.window.mouse.click(*page.place(335, 45))
    assert "goes on as soon as the mask is there" in page.window.inner_text("#notice")
    assert len(page.draft["steps"]) == 1
    assert "done" not in page.js(states)
    page.js(_LET_GO)
    page.until("label.store.state.images[1].id === label.store.state.image.id")
    page.saved()
    assert page.js(states) == ["done", "new"]
    assert [(one["label"], one["counts"]) for one in saved_objects(folder)] == [("coin", counts)]
    page.press("a")
    page.ready()
    page.press("Control+z", "Control+z", "Control+z", "1")
    page.saved()
    assert (page.draft, page.objects, page.js(states)[0]) == (None, [], "progress")
    # Where the model has failed, nothing is waited for; what lies in a picture that was left is asked about before the page closes.
    pressed_too_early(271, 118)
    page.js(
        "label.store.dispatch({ type: 'model', model: { ...label.store.state.model, state: 'failed', text: 'gone' } })"
    )
    page.press("d")
    page.until("label.store.state.image.id === label.store.state.images[1].id")
    assert page.js(_ASKS_BEFORE_CLOSING)
    page.press("a")
    page.until("label.store.state.image.id === label.store.state.images[0].id && label.store.state.image.width")
    page.press("Escape")
    assert not page.js(_ASKS_BEFORE_CLOSING)
    page.js(_LET_GO)


_ASKS_BEFORE_CLOSING = "() => { const event = new Event('beforeunload', { cancelable: true }); dispatchEvent(event); return event.defaultPrevented; }"


def test_holes_and_specks_are_marked_filled_and_dropped(page, folder):
    rng = np.random.default_rng(3)
    mask = np.zeros(HW, bool)
    mask[40:200, 50:260] = True
    mask[60:180, 80:240] &= rng.random((120, 160)) > 0.15
    mask[210:300, 100:384] = rng.random((90, 284)) > 0.9
    counts = mask_to_rle(mask).counts
    page.js(
        "(counts) => label.store.dispatch({ type: 'change', changes: { noisy: { label: 'hole', counts, score: 0.5 } }, selected: 'noisy' })",
        counts,
    )
    page.press("p")
    page.window.fill("#brush-bar input[type=number]", "12")
    told = page.window.inner_text("#brush-bar")
    page.window.keyboard.press("Enter")
    holes, specks = page.js("[label.stage.cleaning.holes.length, label.stage.cleaning.specks.length]")
    assert f"{holes} small holes: fill" in told
    assert f"{specks} specks: drop" in told
    page.press("Escape")  # the same without the brush, where one accepts
    assert page.window.inner_text("#notes").split("\n") == [
        f"{specks} specks: drop ⇧W",
        f"{holes} small holes: fill ⇧P",
    ]
    page.press("Shift+P")
    filled = _mask(page)
    page.press("Shift+W")
    assert np.array_equal(_mask(page), without_small_regions(mask, 12))
    assert np.array_equal(filled | _mask(page), filled)
    page.press("Control+z")
    assert np.array_equal(_mask(page), filled)
    page.press("Control+z", "Control+z")
    assert page.objects[0]["counts"] == counts
    page.press("Control+Shift+z", "Control+Shift+z", "Control+Shift+z", "Enter")
    page.saved()
    saved = saved_objects(folder)[-1]
    assert saved["counts"] == mask_to_rle(without_small_regions(mask, 12)).counts
    assert (saved["score"], saved["steps"]) == (
        0.5,
        [{"mask": saved["counts"]}],
    )  # still the model's: nobody has painted it
    page.js("label.store.dispatch({ type: 'change', changes: { noisy: null } })")


def test_what_accepted_objects_have_is_cut_off_in_one_step(page, folder):
    def box(x0, y0, x1, y1):
        mask = np.zeros(HW, bool)
        mask[y0:y1, x0:x1] = True
        return mask

    def cut_notes():
        page.until("label.stage.cleaning.isCurrent")
        return [text for text in page.window.inner_text("#notes").split("\n") if "overlap" in text]

    left, small, whole = box(20, 20, 100, 120), box(120, 60, 140, 80), box(0, 0, 300, 200)
    masks = {"left": left, "small": small, "whole": whole}
    changes = {name: {"label": name, "counts": mask_to_rle(mask).counts, "score": 0.9} for name, mask in masks.items()}
    mine = box(80, 40, 180, 140)
    changes["mine"] = {"label": "mine", "counts": mask_to_rle(mine).counts, "score": 0.5}
    page.js("(changes) => label.store.dispatch({ type: 'change', changes, selected: 'mine' })", changes)
    assert cut_notes() == ["2 overlaps: cut off ⇧U"]  # with all but the one that has all of it
    assert page.js("label.stage.cleaning.overlaps.map(({ area }) => area)") == [20 * 80, 20 * 20]
    page.window.hover("#notes button:has-text('overlap')")
    assert page.js("label.stage.cleaning.pointed") == "overlaps"
    page.window.click("#notes button:has-text('overlap')")
    kept = mine & ~left & ~small
    assert np.array_equal(_mask(page), kept)
    assert page.js("document.getElementById('live').textContent") == "2 overlaps cut off."
    assert cut_notes() == []
    page.press("Control+z")
    assert np.array_equal(_mask(page), mine)
    assert cut_notes() == ["2 overlaps: cut off ⇧U"]
    page.js("label.store.dispatch({ type: 'change', changes: { small: null } })")
    page.js("label.commands.edit('mine')")
    assert cut_notes() == ["1 overlap: cut off ⇧U"]
    page.press("Shift+U", "Enter")
    page.saved()
    saved = next(one for one in saved_objects(folder) if one["label"] == "mine")
    assert (saved["counts"], saved["score"]) == (mask_to_rle(mine & ~left).counts, 0.5)
    page.js("label.commands.select('whole')")
    assert cut_notes() == ["2 overlaps: cut off ⇧U"]
    page.press("Shift+U")
    assert np.array_equal(_mask(page), whole & ~left & ~mine)
    page.press("Escape", "Shift+U")
    assert page.draft is None
    changes = {
        "left": None,
        "whole": None,
        "part": {"label": "part", "counts": mask_to_rle(box(90, 50, 100, 60)).counts, "score": 0.5},
    }
    page.js("(changes) => label.store.dispatch({ type: 'change', changes, selected: 'part' })", changes)
    page.press("Shift+U")
    assert page.js("document.getElementById('live').textContent") == "There are no overlaps to cut off."
    page.js("label.store.dispatch({ type: 'change', changes: { mine: null, part: null } })")


def test_parts_are_specks_only_beside_a_much_larger_one_and_dropped_with_a_click(page):
    page.press("p")
    page.js("() => { const { brush } = label.stage; brush.setSize(20); brush.dot(60, 60, false); }")
    large = painted([(60, 60)], 20).sum()
    for size, name in ((8, "No specks"), (5, "1 speck: drop")):
        assert (painted([(100, 60)], size).sum() < large / 10) == (size == 5)
        page.js(
            f"() => {{ const {{ brush }} = label.stage; brush.setSize({size}); brush.dot(100, {60 + 10 * size}, false); }}"
        )
        page.until("label.stage.cleaning.of === label.own().counts")
        assert page.window.inner_text("#brush-bar .cleaning").split("\n")[0] == name
    both = _mask(page)
    page.press("Escape")
    page.window.click("#notes button")
    assert np.array_equal(_mask(page), both & ~painted([(100, 110)], 5))
    page.press("Control+z")
    assert np.array_equal(_mask(page), both)
    page.press("Escape")


def test_a_finger_paints_and_two_fingers_give_the_stroke_up(page):
    page.press("p")
    page.js("label.stage.brush.setSize(11)")
    fingers = Fingers(page)
    fingers.down((0, page.place(50.5, 50.5)))
    fingers.move((0, page.place(90.5, 70.5)))
    fingers.up()
    assert np.array_equal(_mask(page), painted([(50.5, 50.5), (90.5, 70.5)], 11))
    before = page.draft
    fingers.down((0, page.place(150.5, 50.5)))
    fingers.down((1, page.place(200.5, 100.5)))
    fingers.up()
    assert page.draft == before
    page.press("Escape", "Escape")
