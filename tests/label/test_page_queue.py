"""The queue of pictures and other names of labels, in a real browser."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.label.run import LabelSession
from tests.label.pages import DEMO, HOSTILE, opened_page, serving

pytestmark = pytest.mark.browser

_NO_MODEL = "There is no model to answer. Objects can be painted with the brush (P)."
NAMES = ["a.png", "b.png", "broken.jpg", "c.png"]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        shutil.copy(DEMO / "coins.png", folder / name)
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def server(folder):
    with serving(folder, "--model", "sam2_nano", "--labels", "cat,dog,bird") as server:
        yield server


@pytest.fixture
def page(browser, server):
    with opened_page(browser, server.url) as page:
        page.ready()
        yield page


@pytest.fixture
def still(browser, folder):
    """A page without a model, and its server: what it does with pictures and labels needs none."""
    with (
        serving(folder, "--model", folder / "none.torch", "--labels", "cat,dog,bird") as server,
        opened_page(browser, server.url) as page,
    ):
        page.until("window.label && label.store.state.image?.width")
        yield page, server


def _put(page, x):
    """Accept an object with the label in use, as a click does."""
    mask = np.zeros((303, 384), bool)
    mask[100:140, x : x + 30] = True
    page.js(
        "([id, counts]) => label.store.dispatch({ type: 'change', changes: { [id]: { label: label.store.state.label, counts, score: 0.9 } } })",
        [f"object-{x}", mask_to_rle(mask).counts],
    )
    page.saved()


def _open(page):
    return page.js("label.store.state.images.find((one) => one.id === label.store.state.image.id).name")


def _states(page):
    return page.js("label.store.state.images.map((one) => one.state)")


def _listed(page):
    return page.js("[...document.querySelectorAll('#pictures .picture')].map((one) => one.title)")


def _accept(page, x, y):
    page.point(x, y)
    page.press("Enter")
    page.saved()


def _is_open(page, name):
    page.until(
        "(name) => { const { images, image } = label.store.state; return image.width > 0 && images.find((one) => one.id === image.id).name === name; }",
        name,
    )


def test_what_is_said_covers_no_fault_and_ends_with_its_picture_and_names_keep_their_ends(browser, folder):
    name, number = "holiday-by-the-sea-in-the-morning-0001.png", "000000000790.png"
    shutil.move(folder / "a.png", folder / name)
    shutil.move(folder / "c.png", folder / number)
    (folder / "broken.jpg").unlink()
    with (
        serving(folder, "--model", folder / "none.torch") as server,
        opened_page(browser, server.url) as page,
    ):
        page.until("window.label && label.store.state.image?.width && label.store.state.model.state === 'failed'")
        page.js(
            "label.store.dispatch({ type: 'model', model: { state: 'failed', text: 'Fetch by hand\\n  this\\n  to there' } })"
        )
        page.window.wait_for_selector("#progress")
        assert page.window.inner_text("#progress-text").splitlines() == [
            "There is no model: Fetch by hand",
            "this",
            "to there",
        ]
        page.point(100, 100)
        assert page.window.inner_text("#notice") == _NO_MODEL
        notice, fault = (page.window.locator(one).bounding_box() for one in ("#notice", "#progress"))
        assert notice["y"] >= fault["y"] + fault["height"]
        page.js(
            "label.store.dispatch({ type: 'model', model: { state: 'failed', text: 'Fetch by hand\\n'.repeat(99) } })"
        )
        notice, fault = (page.window.locator(one).bounding_box() for one in ("#notice", "#progress"))
        assert notice["y"] >= fault["y"] + fault["height"]  # however long it is
        page.press("d" if page.js("label.store.state.images[0].id === label.store.state.image.id") else "a")
        assert not page.window.is_visible("#notice")
        assert page.window.locator(".picture[title='b.png'] .file span").all_text_contents() == ["b.png"]
        parts = page.window.locator(f".picture[title='{number}'] .file span").all_text_contents()
        assert parts == ["0000000", "00790.png"]
        start, end = (page.window.locator(f".picture[title='{name}'] .file span").nth(number) for number in (0, 1))
        assert start.evaluate("(one) => one.scrollWidth > one.clientWidth")
        assert (end.text_content(), start.text_content() + end.text_content()) == ("-0001.png", name)
        assert end.evaluate(
            "(one) => one.getBoundingClientRect().right <= one.closest('.picture').getBoundingClientRect().right"
        )


def test_in_little_room_the_list_begins_at_its_head_and_the_sign_stands_beside_its_text(still):
    page, _ = still
    page.window.set_viewport_size({"width": 320, "height": 780})
    page.window.reload()
    page.until("window.label && label.store.state.image?.width && label.store.state.model.state === 'failed'")
    page.until("document.querySelector('#strip .state')")
    head, done = (page.window.locator(one).bounding_box() for one in ("#queue", "#done"))
    assert done["y"] >= head["y"]
    sign, strip = (page.window.locator(one).bounding_box() for one in ("#strip .state", "#strip"))
    assert sign["x"] < strip["x"] + 30
    assert abs(sign["y"] + sign["height"] / 2 - strip["y"] - strip["height"] / 2) < 2


def test_pictures_are_worked_off(page, browser, server, folder):
    assert (_listed(page), _states(page)) == (NAMES, ["new"] * 4)
    assert page.window.inner_text("#queue-text") == "0 of 4 done"
    _accept(page, 155, 51)
    assert _states(page) == ["progress", "new", "new", "new"]
    page.point(335, 43)
    page.press("f")  # not with an object under way
    assert "not accepted yet" in page.window.inner_text("#notice")
    page.press("Escape")
    page.window.keyboard.down("f")
    page.window.keyboard.down("f")  # a finger that stays too long does one thing
    page.window.keyboard.up("f")
    _is_open(page, "b.png")
    page.press("d")
    page.until("label.store.state.image.error")
    page.press("f")
    assert "Skip it" in page.window.inner_text("#notice")
    page.window.click("#skip")
    _is_open(page, "c.png")
    page.press("f")
    _is_open(page, "b.png")  # from the start again
    page.saved()
    assert _states(page) == ["done", "new", "skipped", "done"]
    assert page.window.inner_text("#queue-text") == "2 of 4 done, 1 skipped"
    marks = page.js("[...document.querySelectorAll('#pictures .picture')].map((one) => one.getAttribute('aria-label'))")
    assert marks[0] == "a.png, done, 1 object"
    assert marks[2].startswith("broken.jpg, skipped, cannot be shown")
    signs = page.js(
        "[...document.querySelectorAll('#pictures .badge')].map((one) => getComputedStyle(one, '::before').content)"
    )
    assert signs == ['"✓"', "none", '"»"', '"✓"']
    page.press("f")
    assert "All pictures are done or skipped." in page.window.inner_text("#notice")
    page.press("Control+z")
    assert _states(page)[1] == "new"
    page.press("Control+Shift+z", "f")  # done again, then taken back by the same key
    page.saved()
    assert _states(page)[1] == "new"
    # A picture that is done stays so when something is changed in it; work on a skipped one begins it.
    page.press("a")
    _is_open(page, "a.png")
    page.ready()
    _accept(page, 335, 43)
    assert _states(page)[0] == "done"
    page.press("s", "a")
    page.saved()
    _is_open(page, "a.png")
    page.ready()
    page.press("Control+z")  # takes the mark back
    page.press("s", "a")
    _is_open(page, "a.png")
    page.ready()
    _accept(page, 271, 118)
    assert _states(page)[0] == "progress"
    with opened_page(browser, server.url) as other:
        other.ready()
        assert _states(other) == ["progress", "new", "skipped", "done"]
        page.press("f")
        other.until("label.store.state.images[0].state === 'done'")
    page.window.reload()
    page.until("window.label && label.store.state.images.length === 4")
    assert _states(page) == ["done", "new", "skipped", "done"]
    server.kill()
    page.complaints.clear()
    with LabelSession([folder]) as session:
        assert [session.work.state_of(name) for name in NAMES] == ["done", "new", "skipped", "done"]
        assert sorted(session.work.snapshot()) == ["a.png", "c.png"]


def test_the_list_shows_what_is_chosen_and_changes_only_when_asked(still):
    page, _ = still
    page.until("label.store.state.model.state === 'failed'")
    page.window.mouse.click(*page.place(155, 51))
    assert (page.draft, page.window.inner_text("#notice")) == (None, _NO_MODEL)
    assert "Clicks are not answered" in page.window.inner_text("#strip")
    for key in ("g", "m"):
        page.js("document.getElementById('notice').replaceChildren()")
        page.press(key)
        assert page.window.inner_text("#notice") == _NO_MODEL
    _put(page, 50)
    page.window.select_option("#filter", "new")
    page.until("label.store.state.queue.ids?.length === 3")
    assert _listed(page) == NAMES[1:]
    assert _open(page) == "a.png"  # the open picture stays where it is
    assert page.window.inner_text("#place") == ""
    page.press("d")
    _is_open(page, "b.png")
    assert page.window.inner_text("#place") == "1 of 3"
    assert not page.window.is_visible("#update")
    page.press("f")
    page.until("label.store.state.image.error")  # the next one is broken, and new
    assert _listed(page) == NAMES[1:]
    page.saved()
    page.window.click("#update")
    page.until("label.store.state.queue.ids.length === 2")
    assert _listed(page) == NAMES[2:]
    assert not page.window.is_visible("#update")
    assert page.js("[...document.getElementById('filter').options].map((one) => one.textContent)") == [
        "All (4)",
        "New (2)",
        "In progress (1)",
        "Done (1)",
        "Skipped (0)",
        "cat",
        "dog",
        "bird",
    ]
    page.window.select_option("#filter", "label:cat")
    page.until("label.store.state.queue.filter === 'label'")
    assert _listed(page) == ["a.png"]
    page.window.select_option("#filter", "skipped")
    page.until("label.store.state.queue.ids.length === 0")
    assert "no such picture" in page.window.inner_text("#notice")
    page.window.select_option("#filter", "all")
    page.until("label.store.state.queue.ids === null")
    assert _listed(page) == NAMES
    assert "no such picture" in page.window.inner_text("#notice")  # nothing else was said since


def test_an_object_under_way_keeps_its_label_while_other_pictures_are_labelled(still):
    page, _ = still
    page.press("2", "p")
    page.js("label.stage.brush.dot(60, 60, false)")
    page.press("Escape", "d")
    _is_open(page, "b.png")
    assert page.js("label.store.state.label") == "dog"
    page.press("1")
    _put(page, 50)
    page.press("a")
    _is_open(page, "a.png")
    assert page.js("label.store.state.label") == "dog"
    assert page.window.inner_text("#strip .what") == "dog"
    assert page.window.get_attribute("#labels [aria-pressed=true]", "title") == "dog"
    page.press("3", "d")  # another one is chosen for it
    _is_open(page, "b.png")
    page.press("1")
    page.window.hover("#labels .entry:nth-child(3)")
    page.window.click("#labels .entry:nth-child(3) .more")
    page.window.fill("#label-name", "sparrow")
    page.press("Enter")
    page.saved()
    assert page.js("label.store.state.label") == "cat"
    page.press("Control+z", "a")  # a name that is taken back, and one that stays
    _is_open(page, "a.png")
    assert page.js("label.store.state.label") == "bird"
    page.press("d")
    _is_open(page, "b.png")
    page.press("1", "Control+Shift+z", "a")
    _is_open(page, "a.png")
    page.press("Enter")
    page.saved()
    assert page.labels == ["sparrow"]


def test_labels_are_renamed_merged_and_removed_in_all_pictures_and_back(still, browser, folder):
    page, server = still
    _put(page, 50)
    page.press("2")
    _put(page, 150)
    page.press("d")
    _is_open(page, "b.png")
    page.press("1")
    _put(page, 50)
    color = page.js("label.stage.options.colorOf('dog')")
    with opened_page(browser, server.url) as other:
        other.until("window.label && label.store.state.image?.width")
        other.press("d")
        _is_open(other, "b.png")
        other.press("1")
        page.press("F2")
        page.until("document.getElementById('label-uses').textContent")
        assert page.window.inner_text("#label-uses") == "2 objects in 2 pictures."
        page.window.fill("#label-name", HOSTILE)
        page.press("Enter")
        page.saved()
        assert (page.labels, page.js("label.store.state.label")) == ([HOSTILE], HOSTILE)
        other.until("(name) => Object.values(label.store.state.objects)[0].label === name", HOSTILE)
        assert other.js("label.store.state.label") == HOSTILE
        # A label that exists takes the objects over; the colours of the others stay.
        page.press("F2")
        page.window.fill("#label-name", "dog")
        assert "There is “dog” already" in page.window.inner_text("#label-meaning")
        assert page.window.inner_text("#label-rename") == "Merge"
        page.window.click("#label-rename")
        page.saved()
        assert page.js("[label.store.state.labels, label.store.state.label]") == [["dog", "bird"], "dog"]
        assert page.js("label.stage.options.colorOf('dog')") == color
        other.until("Object.values(label.store.state.objects)[0].label === 'dog'")
        assert other.js("label.stage.options.colorOf('dog')") == color
        page.press("Control+z")
        page.saved()
        assert (page.labels, page.js("label.store.state.label")) == ([HOSTILE], HOSTILE)
        other.until("(name) => Object.values(label.store.state.objects)[0].label === name", HOSTILE)
        page.press("Control+z")
        page.saved()
        assert (page.labels, page.js("label.store.state.labels")) == (["cat"], ["cat", "dog", "bird"])
        page.press("Control+Shift+z")
        page.saved()
        assert page.labels == [HOSTILE]
        page.press("a")
        _is_open(page, "a.png")
        assert page.labels == [HOSTILE, "dog"]
        # What is undone after a renaming comes back with the name of today.
        page.press("Control+z")
        assert page.labels == [HOSTILE]
        page.press("Control+Shift+z")
        page.press("Control+z", "Control+z", "Control+z", "Control+z")
        assert page.labels == []
        for _ in range(4):
            page.press("Control+Shift+z")
        page.saved()
        assert page.labels == [HOSTILE, "dog"]
        assert other.js("label.store.state.labels") == [HOSTILE, "dog", "bird"]
    # One that no object has goes at once, one that is used asks where its objects go.
    page.press("3", "F2")
    page.until("document.getElementById('label-uses').textContent === 'No object has it.'")
    page.window.click("#label-remove")
    page.saved()
    assert page.js("label.store.state.labels") == [HOSTILE, "dog"]
    assert page.js("label.store.state.label") == HOSTILE
    page.press("Control+z")
    page.saved()
    assert page.js("[label.store.state.labels, label.store.state.places]") == [[HOSTILE, "dog", "bird"], [0, 1, 2]]
    assert page.js("label.store.state.label") == "bird"
    page.window.hover("#labels .entry:nth-child(2)")
    page.window.click("#labels .entry:nth-child(2) .more")
    page.until("document.getElementById('label-uses').textContent === '1 object in 1 picture.'")
    page.window.click("#label-remove")
    page.window.select_option("#label-target", "bird")
    page.window.click("#label-move")
    page.saved()
    assert (page.labels, page.js("label.store.state.labels")) == ([HOSTILE, "bird"], [HOSTILE, "bird"])
    page.window.reload()
    page.until("window.label && label.store.state.image?.width")
    assert (page.labels, page.js("label.store.state.labels")) == ([HOSTILE, "bird"], [HOSTILE, "bird"])
    assert page.window.locator("#pictures img[src=x], #labels img, #label-dialog img, #filter img").count() == 0
    server.kill()
    page.complaints.clear()
    with LabelSession([folder]) as session:
        labels = [[entry["label"] for entry in session.work.objects_of(name).values()] for name in ("a.png", "b.png")]
        assert (labels, session.work.label_places) == ([[HOSTILE, "bird"], [HOSTILE]], [0, 2])
